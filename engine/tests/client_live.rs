//! The client against a broker: an engine in this process, or with `MQDECK_TEST_NAMESRV=host:port` any
//! cluster, mqdeck or Apache. Every test uses names of its own, so that they may run on a cluster that
//! is in use.

#![allow(clippy::unwrap_used)] // every function here is a test's

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use engine::client::dead_letters::{self, CopyId, Suggestion};
use engine::client::figures::Key;
use engine::client::replay;
use engine::client::retry_ladder::{self, Owner, Scan};
use engine::client::{
    ClientError, Cluster, ClusterConfig, Consume, ConsumeFrom, Listener, Message, Producer,
    ProducerConfig, PullConsumer, PushConfig, PushConsumer, Seek, SendStatus,
};
use engine::config::{BrokerConfig, EngineConfig, NamesrvConfig};
use engine::engine::Engine;
use engine::protocol::body::MessageQueue;
use engine::protocol::body::heartbeat::MessageModel;
use engine::protocol::body::running_info::ConsumeResult;
use engine::protocol::body::topic_config::TopicConfig;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

/// Longest wait for something that has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a listener noted.
type Log = Arc<Mutex<Vec<String>>>;

/// The cluster under test: that of `MQDECK_TEST_NAMESRV` (mqdeck or Apache), else an engine in here.
fn cluster() -> Arc<Cluster> {
    let namesrv = std::env::var("MQDECK_TEST_NAMESRV").unwrap_or_else(|_| own_engine().clone());
    let list = namesrv.split(';').map(str::to_owned).collect();
    Cluster::connect(ClusterConfig::new(list, Handle::current()))
}

/// Name server of an engine that all tests of this process share.
fn own_engine() -> &'static String {
    static OWN: OnceLock<(Engine, String)> = OnceLock::new();
    let start = || {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("client_live");
        let _ = std::fs::remove_dir_all(&dir); // of an earlier run, if there was one
        let engine = Engine::start(EngineConfig {
            data_dir: dir,
            listen: Ipv4Addr::LOCALHOST.into(),
            advertise: Ipv4Addr::LOCALHOST.into(),
            broker: BrokerConfig {
                listen_port: 0,
                mapped_file_size_commit_log: 16 << 20,
                disk_free_min: 0,
                ..BrokerConfig::default()
            },
            namesrv: NamesrvConfig { listen_port: 0, ..NamesrvConfig::default() },
            tls: None,
            net_threads: Some(1),
        });
        let engine = engine.unwrap();
        let namesrv = engine.namesrv_addr().to_string();
        (engine, namesrv)
    };
    // A runtime cannot be started inside a runtime: the engine's is made on a thread of its own.
    let started = || std::thread::scope(|scope| scope.spawn(start).join().unwrap());
    &OWN.get_or_init(started).1
}

/// Address of the first master.
async fn master(cluster: &Cluster) -> String {
    let info = cluster.cluster_info().await.unwrap();
    info.broker_addr_table.values().find_map(|broker| broker.master()).unwrap().to_owned()
}

/// A name that no other run has.
fn fresh(cluster: &Cluster, what: &str) -> String {
    format!("{what}_{}", cluster.unique_key())
}

/// A topic of one queue on the first master.
async fn topic(cluster: &Cluster, what: &str, queues: i32) -> String {
    let config = TopicConfig {
        topic_name: fresh(cluster, what),
        read_queue_nums: queues,
        write_queue_nums: queues,
        ..TopicConfig::default()
    };
    cluster.update_topic(&master(cluster).await, &config).await.unwrap();
    until("the topic has a route", async || cluster.fresh_route(&config.topic_name).await.is_ok())
        .await;
    config.topic_name
}

/// Asks again and again until something holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} until {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A producer of a group of its own.
fn producer(cluster: &Arc<Cluster>) -> Producer {
    Producer::start(cluster, ProducerConfig::new(fresh(cluster, "p"))).unwrap()
}

fn seen(list: &Log) -> Vec<String> {
    list.lock().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_pulled_back_as_it_was() {
    let cluster = cluster();
    let topic = topic(&cluster, "pull", 1).await;
    let producer = producer(&cluster);
    let long = "long ".repeat(2_000);
    let first = Message::json(&topic, &vec![1, 2]).unwrap().tag("a").keys(["k1", "k2"]);
    let first = producer.send(&first.property("mine", "yes")).await.unwrap();
    assert_eq!((first.status, first.queue_offset), (SendStatus::Ok, 0));
    producer.send(&Message::new(&topic, long.clone())).await.unwrap();
    let batch: Vec<_> = (0..3).map(|n| Message::new(&topic, format!("b{n}"))).collect();
    assert_eq!(producer.send_batch(&batch).await.unwrap().queue_offset, 2);
    producer.send_oneway(&Message::new(&topic, "oneway")).await.unwrap();
    let (told, answer) = tokio::sync::oneshot::channel();
    producer.send_then(Message::new(&topic, "then"), |result| told.send(result).unwrap());
    answer.await.unwrap().unwrap();

    let reader = PullConsumer::tools(&cluster);
    let queue = reader.queues(&topic).await.unwrap().remove(0);
    reader.seek(&queue, Seek::Begin).await.unwrap();
    let mut got = Vec::new();
    until("seven messages came", async || {
        got.extend(reader.poll(&queue, Duration::from_secs(1)).await.unwrap());
        got.len() == 7
    })
    .await;
    assert_eq!(got[0].json::<Vec<i32>>().unwrap(), [1, 2]);
    assert_eq!(got[0].unique_id(), first.message_id);
    assert_eq!(got[0].offset_id(), first.offset_id);
    assert_eq!((got[0].tag(), got[0].get("mine")), (Some("a"), Some("yes")));
    assert!(got[1].stored_body.len() < 1_000, "a long body travels compressed");
    assert_eq!(got[1].text(), Some(long.as_str()));
    assert_eq!(got[4].text(), Some("b2"));

    let addr = master(&cluster).await;
    let by_key = Key::Business("k2");
    until("the index has the key", async || {
        cluster.query_messages(&addr, &topic, by_key, 8).await.unwrap().len() == 1
    })
    .await;
    let unique = Key::Unique(&first.message_id);
    assert_eq!(cluster.query_messages(&addr, &topic, unique, 8).await.unwrap().len(), 1);
    let viewed = cluster.view_message(&addr, got[0].log_offset).await.unwrap().unwrap();
    assert_eq!(viewed.body, got[0].body);
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_message_comes_again_and_the_position_is_stored() {
    let cluster = cluster();
    let topic = topic(&cluster, "push", 4).await;
    let group = fresh(&cluster, "g");
    let log = Log::default();
    let noted = Arc::clone(&log);
    let listener = Listener::blocking(move |message| {
        let text = message.text().unwrap_or_default().to_owned();
        let line = format!("{} {} {text}", message.topic(), message.reconsume_times);
        noted.lock().unwrap().push(line);
        let failing = text == "bad" && message.reconsume_times == 0;
        if failing { Consume::LaterAt(1) } else { Consume::Success }
    });
    let mut config = PushConfig::new(&group);
    config.from = ConsumeFrom::First;
    let consumer = PushConsumer::new(&cluster, config, listener);
    consumer.subscribe(&topic, "a || b").unwrap();
    consumer.start().await.unwrap();
    let producer = producer(&cluster);
    for (tag, text) in [("a", "good"), ("c", "unwanted"), ("b", "bad"), ("a", "last")] {
        producer.send(&Message::new(&topic, text).tag(tag)).await.unwrap();
    }
    let wanted: BTreeSet<String> =
        ["0 good", "0 bad", "1 bad", "0 last"].map(|line| format!("{topic} {line}")).into();
    until("all were consumed", async || seen(&log).into_iter().collect::<BTreeSet<_>>() == wanted)
        .await;
    assert_eq!(seen(&log).len(), 4);

    let addr = master(&cluster).await;
    let members = cluster.consumer_connections(&addr, &group).await.unwrap().unwrap();
    assert_eq!(members.connection_set[0].client_id, cluster.client_id());
    let member = engine::client::admin::Member { group: &group, client_id: cluster.client_id() };
    let stacks = engine::client::admin::Stacks::Omit;
    let info = cluster.running_info(&addr, &member, stacks).await.unwrap();
    assert!(info.mq_table.len() >= 5, "four queues and the retry queue: {info:?}");
    assert_eq!(info.status_table[&topic].consume_failed_msgs, 1);
    let positions = cluster.member_positions(&addr, &topic, &group).await.unwrap();
    assert_eq!(positions.consumer_table[cluster.client_id()].len(), 4);
    consumer.close().await;
    assert!(cluster.consumer_connections(&addr, &group).await.unwrap().is_none());
    let stats = cluster.consume_stats(&addr, &group, Some(&topic)).await.unwrap();
    let lag: i64 =
        stats.offset_table.values().map(|row| row.broker_offset - row.consumer_offset).sum();
    // A pull that is held does not pass what nobody wanted before its time is over.
    assert!(lag <= 1, "only the unwanted message may be left, not {lag}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_share_the_queues_and_one_takes_over() {
    let first = cluster();
    let second = cluster();
    let topic = topic(&first, "share", 4).await;
    let group = fresh(&first, "g");
    let mut members = Vec::new();
    for cluster in [&first, &second] {
        let listener = Listener::blocking(|_| Consume::Success);
        let consumer = PushConsumer::new(cluster, PushConfig::new(&group), listener);
        consumer.subscribe(&topic, "*").unwrap();
        consumer.start().await.unwrap();
        members.push(consumer);
    }
    let owns = |consumer: &PushConsumer| -> BTreeSet<MessageQueue> {
        consumer.queues().into_iter().filter(|queue| queue.topic == topic).collect()
    };
    until("each reads two queues", async || members.iter().all(|one| owns(one).len() == 2)).await;
    assert!(owns(&members[0]).is_disjoint(&owns(&members[1])));
    members.pop().unwrap().close().await;
    until("one reads four queues", async || owns(&members[0]).len() == 4).await;
    members.pop().unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_reaches_every_member_and_positions_stay_local() {
    let cluster = cluster();
    let topic = topic(&cluster, "cast", 2).await;
    let group = fresh(&cluster, "g");
    let dir = tempfile::tempdir().unwrap();
    let log = Log::default();
    let producer = producer(&cluster);
    for round in ["one", "two"] {
        let noted = Arc::clone(&log);
        let listener = Listener::future(move |message| {
            noted.lock().unwrap().push(message.text().unwrap_or_default().to_owned());
            async { Consume::Later }
        });
        let mut config = PushConfig::new(&group);
        config.model = MessageModel::Broadcasting;
        config.from = ConsumeFrom::First;
        config.positions_dir = Some(dir.path().to_owned());
        let consumer = PushConsumer::new(&cluster, config, listener);
        consumer.subscribe(&topic, "*").unwrap();
        consumer.start().await.unwrap();
        producer.send(&Message::new(&topic, round)).await.unwrap();
        until("the round came", async || seen(&log).contains(&round.to_owned())).await;
        consumer.close().await;
    }
    assert_eq!(seen(&log), ["one", "two"]);
    let addr = master(&cluster).await;
    let stored = cluster.all_offsets(&addr).await.unwrap().offset_table;
    assert!(!stored.contains_key(&format!("{topic}@{group}")), "{stored:?}");
}

/// A running consumer that starts at the first message and notes what it got.
async fn consumer(cluster: &Arc<Cluster>, topic: &str, group: &str) -> (PushConsumer, Log) {
    let log = Log::default();
    let noted = Arc::clone(&log);
    let listener = Listener::blocking(move |message| {
        noted.lock().unwrap().push(message.text().unwrap_or_default().to_owned());
        Consume::Success
    });
    let mut config = PushConfig::new(group);
    config.from = ConsumeFrom::First;
    let consumer = PushConsumer::new(cluster, config, listener);
    consumer.subscribe(topic, "*").unwrap();
    consumer.start().await.unwrap();
    (consumer, log)
}

/// A topic of one queue with ten messages.
async fn ten(cluster: &Arc<Cluster>) -> (String, Producer) {
    let topic = topic(cluster, "replay", 1).await;
    let producer = producer(cluster);
    for number in 0..10 {
        producer.send(&Message::new(&topic, number.to_string())).await.unwrap();
    }
    (topic, producer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_replayed_offline_and_back() {
    let cluster = cluster();
    let (topic, _producer) = ten(&cluster).await;
    let group = fresh(&cluster, "g");
    let (first, log) = consumer(&cluster, &topic, &group).await;
    until("ten were consumed", async || seen(&log).len() == 10).await;
    first.close().await;

    let topics: Vec<String> =
        replay::topics_of(&cluster, &group).await.unwrap().into_iter().collect();
    assert_eq!(topics, std::slice::from_ref(&topic));
    let target = replay::Target::Time(0);
    let plan = replay::plan(&cluster, &group, &topics, target).await.unwrap();
    assert!(plan.is_complete(), "{plan:?}");
    assert_eq!((plan.total().again, plan.total().skipped), (10, 0));
    let queue = &plan.queues[0];
    let head = replay::first_message(&cluster, queue).await.unwrap().unwrap();
    assert_eq!(head.text(), Some("0"));
    assert_eq!(replay::run(&cluster, &group, queue).await, replay::Outcome::Moved(0));
    assert_eq!(replay::undo(&cluster, &group, queue).await, replay::Outcome::Moved(10));
    assert_eq!(replay::run(&cluster, &group, queue).await, replay::Outcome::Moved(0));
    let (second, log) = consumer(&cluster, &topic, &group).await;
    until("ten came again", async || seen(&log).len() == 10).await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_replayed_while_its_member_stays_online() {
    let cluster = cluster();
    let (topic, producer) = ten(&cluster).await;
    let group = fresh(&cluster, "g");
    let (online, log) = consumer(&cluster, &topic, &group).await;
    until("ten were consumed", async || seen(&log).len() == 10).await;
    let plan = async || {
        let topics = std::slice::from_ref(&topic);
        replay::plan(&cluster, &group, topics, replay::Target::First).await.unwrap()
    };
    until("the position is stored", async || plan().await.queues[0].row.now == Some(10)).await;
    let moved = replay::run(&cluster, &group, &plan().await.queues[0]).await;
    assert_eq!(moved, replay::Outcome::Moved(0));
    // The next message wakes the pull that is told of the reset.
    producer.send(&Message::new(&topic, "wake")).await.unwrap();
    until("all came again", async || {
        let again: BTreeSet<String> = seen(&log).split_off(10).into_iter().collect();
        again.len() == 11
    })
    .await;
    online.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_found_and_its_copy_reaches_the_group() {
    let cluster = cluster();
    let topic = topic(&cluster, "dead", 1).await;
    let group = fresh(&cluster, "g");
    let log = Log::default();
    let noted = Arc::clone(&log);
    let listener = Listener::blocking(move |message| {
        let Some(from) = message.get(dead_letters::RESENT_FROM) else {
            return Consume::LaterAt(-1);
        };
        let line = format!("{} {from} {}", message.topic(), message.reconsume_times);
        noted.lock().unwrap().push(line);
        Consume::Success
    });
    let consumer = PushConsumer::new(&cluster, PushConfig::new(&group), listener);
    consumer.subscribe(&topic, "*").unwrap();
    consumer.start().await.unwrap();
    until("the retry queue is read", async || consumer.queues().len() == 2).await;
    let producer = producer(&cluster);
    for number in 0..3 {
        let message = Message::new(&topic, number.to_string()).keys(["order-1"]).tag("t");
        producer.send(&message).await.unwrap();
    }
    until("three are dead", async || {
        dead_letters::of_group(&cluster, &group).await.unwrap().total() == 3
    })
    .await;
    until("the group is listed", async || {
        dead_letters::groups(&cluster).await.unwrap().contains(&group)
    })
    .await;
    let dead = dead_letters::of_group(&cluster, &group).await.unwrap();
    assert_eq!(dead_letters::dead_since(&cluster, &dead, 0).await.unwrap(), 3);
    let mut pages = dead_letters::Pages::new(dead);
    let page = pages.next(&cluster, 2).await.unwrap();
    let rest = pages.next(&cluster, 2).await.unwrap();
    assert_eq!((page.len(), rest.len()), (2, 1));
    let letter = &page[0];
    assert!(page[1].died_ms() <= letter.died_ms() && rest[0].died_ms() <= page[1].died_ms());
    assert_eq!((letter.tries(), letter.origin_topic()), (1, Some(topic.as_str())));

    let addr = master(&cluster).await;
    let member = engine::client::admin::Member { group: &group, client_id: cluster.client_id() };
    let id = letter.message.offset_id();
    let direct = cluster.consume_directly(&addr, &member, &letter.message.topic, &id).await;
    assert_eq!(direct.unwrap().consume_result, ConsumeResult::Later);

    let readers = dead_letters::readers(&cluster, &group).await.unwrap();
    assert!(readers.members.contains_key(cluster.client_id()));
    let Suggestion::Retry(target) = readers.suggest(&group) else {
        panic!("the group reads its retry topic: {readers:?}");
    };
    assert!(dead_letters::copies(&cluster, letter, target.topic()).await.unwrap().is_empty());
    dead_letters::resend(&cluster, letter, &target, CopyId::Same).await.unwrap();
    until("the copy came", async || !seen(&log).is_empty()).await;
    assert_eq!(seen(&log), [format!("{topic} {} 0", letter.id())]);
    until("the copy is in the index", async || {
        dead_letters::copies(&cluster, letter, target.topic()).await.unwrap().len() == 1
    })
    .await;
    let origin = dead_letters::Target::Origin(topic.clone());
    dead_letters::resend(&cluster, &rest[0], &origin, CopyId::New).await.unwrap();
    until("the second copy came", async || seen(&log).len() == 2).await;
    until("the second copy is in the index", async || {
        dead_letters::copies(&cluster, &rest[0], &topic).await.unwrap().len() == 1
    })
    .await;
    assert_eq!(dead_letters::of_group(&cluster, &group).await.unwrap().total(), 3);
    consumer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ladder_tells_retries_from_delays_of_users() {
    let cluster = cluster();
    let topic = topic(&cluster, "ladder", 1).await;
    let group = fresh(&cluster, "g");
    let listener = Listener::blocking(|_| Consume::LaterAt(5));
    let mut config = PushConfig::new(&group);
    config.from = ConsumeFrom::First;
    let consumer = PushConsumer::new(&cluster, config, listener);
    consumer.subscribe(&topic, "*").unwrap();
    consumer.start().await.unwrap();
    let producer = producer(&cluster);
    producer.send(&Message::new(&topic, "fails").keys(["k"])).await.unwrap();
    producer.send(&Message::new(&topic, "waits").delay_level(5)).await.unwrap();
    let addr = master(&cluster).await;
    let mut scan = Scan::new(&addr, "any");
    let mine = [Owner::Group(group.clone()), Owner::User(topic.clone())];
    until("both wait at level 5", async || {
        scan.refresh(&retry_ladder::levels(&cluster, &addr).await.unwrap());
        while scan.step(&cluster).await.unwrap() {}
        mine.iter().all(|owner| scan.split(5).by_owner.contains_key(owner))
    })
    .await;
    let retry = scan.entries(5).find(|entry| entry.owner == mine[0]).unwrap();
    assert_eq!((retry.topic.as_str(), retry.tries, retry.keys.as_str()), (topic.as_str(), 1, "k"));
    let due = retry_ladder::due_at(&cluster, &addr, 5, retry.offset).await.unwrap().unwrap();
    assert!((due - retry.due_ms).abs() < 1_000, "the unit says {due}, we {}", retry.due_ms);
    let ladder = retry_ladder::levels(&cluster, &addr).await.unwrap();
    let level = ladder.levels.iter().find(|level| level.number == 5).unwrap();
    let before = retry_ladder::due_before(&cluster, &addr, level, i64::MAX).await.unwrap();
    assert_eq!(before, level.waiting());
    consumer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_name_server_in_the_list_is_passed_over() {
    let cluster = cluster();
    // The listener reserves the port and is gone before it is dialled.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut list = vec![gone.to_string()];
    list.extend(cluster.config().namesrv.iter().cloned());
    let both = Cluster::connect(ClusterConfig::new(list, Handle::current()));
    both.cluster_info().await.unwrap();
    let before = both.requests_sent();
    both.cluster_info().await.unwrap();
    assert_eq!(both.requests_sent(), before + 1, "it sticks to the one that answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_session_asks_everything_and_changes_nothing() {
    let writer = cluster();
    let (topic, _producer) = ten(&writer).await;
    let mut config = ClusterConfig::new(writer.config().namesrv.clone(), Handle::current());
    config.read_only = true;
    let reader = Cluster::connect(config);
    let addr = master(&reader).await;
    let pull = PullConsumer::tools(&reader);
    let queue = pull.queues(&topic).await.unwrap().remove(0);
    assert_eq!(pull.poll(&queue, Duration::ZERO).await.unwrap().len(), 10);
    let topics = std::slice::from_ref(&topic);
    let plan = replay::plan(&reader, "nobody", topics, replay::Target::First).await.unwrap();
    assert_eq!(plan.total().unknown, 1, "a group without position has nothing to say");
    let outcome = replay::run(&reader, "nobody", &plan.queues[0]).await;
    assert_eq!(outcome, replay::Outcome::Failed(ClientError::ReadOnly { code: 222 }));
    let groups = writer.group_configs(&addr).await.unwrap().subscription_group_table;
    assert!(!groups.contains_key("nobody"));
    let refused = Producer::start(&reader, ProducerConfig::new("p")).unwrap();
    let refused = refused.send(&Message::new(&topic, "x")).await;
    assert_eq!(refused, Err(ClientError::ReadOnly { code: 310 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_broker_question_of_the_console_is_answered() {
    let cluster = cluster();
    let addr = master(&cluster).await;
    let probe = cluster.probe(&addr).await.unwrap();
    assert!(probe.runtime.broker_now_ms().unwrap() > 1_600_000_000_000);
    assert!(!probe.config.unwrap().delay_levels().is_empty());
    assert!(probe.all_offsets);
    assert!(cluster.topic_configs(&addr).await.unwrap().topic_config_table.contains_key("TBW102"));
    let groups = cluster.group_configs(&addr).await.unwrap();
    assert!(groups.subscription_group_table.contains_key("TOOLS_CONSUMER"));
    assert!(cluster.topic_stats(&addr, "no-such-topic").await.unwrap().is_none());
    assert!(cluster.consumer_connections(&addr, "no-such-group").await.unwrap().is_none());
    cluster.producers(&addr).await.unwrap();
    cluster.delay_offsets(&addr).await.unwrap();
    cluster.broker_consume_stats(&addr).await.unwrap();
    cluster.topic_names().await.unwrap();
}
