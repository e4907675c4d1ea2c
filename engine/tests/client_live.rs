//! The client against a real cluster: runs only with `MQDECK_TEST_NAMESRV=host:port`.
//!
//! Works on Apache and on mqdeck alike; every test uses names of its own, so that they may run on a
//! cluster that is in use. Without the variable each test says that it skipped.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // every function here is a test's

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::client::figures::Key;
use engine::client::{
    Cluster, ClusterConfig, Consume, ConsumeFrom, Listener, Message, Producer, ProducerConfig,
    PullConsumer, PushConfig, PushConsumer, Seek, SendStatus,
};
use engine::protocol::body::MessageQueue;
use engine::protocol::body::heartbeat::MessageModel;
use engine::protocol::body::topic_config::TopicConfig;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

/// Longest wait for something that has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The cluster under test, or none when nobody named one.
fn cluster() -> Option<Arc<Cluster>> {
    let Ok(namesrv) = std::env::var("MQDECK_TEST_NAMESRV") else {
        println!("skipped: MQDECK_TEST_NAMESRV is not set");
        return None;
    };
    let list = namesrv.split(';').map(str::to_owned).collect();
    Some(Cluster::connect(ClusterConfig::new(list, Handle::current())))
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

fn seen(list: &Arc<Mutex<Vec<String>>>) -> Vec<String> {
    list.lock().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_pulled_back_as_it_was() {
    let Some(cluster) = cluster() else { return };
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
    let Some(cluster) = cluster() else { return };
    let topic = topic(&cluster, "push", 4).await;
    let group = fresh(&cluster, "g");
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
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
    let Some(first) = cluster() else { return };
    let second = cluster().unwrap();
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
    let Some(cluster) = cluster() else { return };
    let topic = topic(&cluster, "cast", 2).await;
    let group = fresh(&cluster, "g");
    let dir = tempfile::tempdir().unwrap();
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
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

#[tokio::test(flavor = "multi_thread")]
async fn every_broker_question_of_the_console_is_answered() {
    let Some(cluster) = cluster() else { return };
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
