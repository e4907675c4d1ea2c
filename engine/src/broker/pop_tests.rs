//! POP against a store on a real directory, with killed brokers in between and time by hand.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::Broker;
use super::broker::Parts;
use super::handle::{ack, invisible, notification, pop, topic};
use super::outcome::{Answer, Cx, Outcome};
use super::put::{Delay, Put};
use super::serve;
use super::state::groups::Groups;
use super::state::lock;
use super::state::pop_state::Place;
use super::state::topics::{self, Topics};
use super::task::persist;
use super::task::pop_revive::PopRevive;
use super::task::timer_delivery::TimerDelivery;
use super::test_support::Client;
use crate::clock::{Clock, ManualClock};
use crate::config::BrokerConfig;
use crate::decide::delay::Levels;
use crate::decide::pop::Handle;
use crate::protocol::body::group_config::SubscriptionGroupConfig;
use crate::protocol::ext_fields::Value;
use crate::protocol::frame::Serialization;
use crate::protocol::header::{Language, Outgoing};
use crate::protocol::ids::UniqueKeys;
use crate::protocol::properties::key;
use crate::protocol::record::RecordView;
use crate::protocol::request::pop::{AckMessage, ChangeInvisible, Notification, PopMessage};
use crate::protocol::request::topic::TopicOf;
use crate::store::{Arrival, Disk, Store, StoreConfig, Wait};

const START_MS: i64 = 1_700_000_000_000;
const INVISIBLE_MS: i64 = 10_000;

/// A message that was popped, with its handle.
#[derive(Clone, Debug)]
struct Popped {
    body: String,
    tries: i32,
    handle: String,
}

/// A broker that lives until it is dropped, which is how it is killed.
struct Running {
    broker: Arc<Broker>,
    clock: Arc<ManualClock>,
    client: Arc<Client>,
    timers: TimerDelivery,
    revive: PopRevive,
}

impl Running {
    fn start(root: &Path, now_ms: i64) -> Self {
        Self::start_as(BrokerConfig::default(), root, now_ms)
    }

    fn start_as(config: BrokerConfig, root: &Path, now_ms: i64) -> Self {
        let clock = Arc::new(ManualClock::at(now_ms));
        let own: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let store = StoreConfig {
            root: root.to_owned(),
            file_size: 1 << 20,
            max_message_size: 64 << 10,
            index_enabled: false,
            disk_free_min: 0,
            ..StoreConfig::default()
        };
        let store = Arc::new(Store::open(Arc::new(Disk), store, Arc::clone(&own)).unwrap());
        let committer = Arc::downgrade(&store);
        store.on_append_queued(Box::new(move || {
            let store = committer.upgrade().unwrap();
            while store.commit() > 0 {}
        }));
        let (stored_topics, stored_groups) = persist::load_tables(&store).unwrap();
        let broker = Arc::new(Broker::new(Parts {
            topics: Topics::new(&config, stored_topics),
            groups: Groups::new(stored_groups),
            config,
            store,
            clock: own,
            addr: "127.0.0.1:10911".parse().unwrap(),
            is_local: true,
            levels: Levels::default(),
            memory_window: 1 << 30,
            unique_keys: UniqueKeys::new("127.0.0.1".parse().unwrap(), 1, 1, 0),
        }));
        persist::load_positions(&broker).unwrap();
        broker.topics.put(topics::plain("t", 2, 6), now_ms);
        broker.topics.put(topics::plain("%RETRY%g_t", 1, 6), now_ms);
        broker.groups.put(SubscriptionGroupConfig::named("g"), now_ms);
        let woken = Arc::downgrade(&broker);
        broker.store.on_arrival(Box::new(move |arrivals: &[Arrival]| {
            if let Some(broker) = woken.upgrade() {
                pop::arrived(&broker, arrivals);
            }
        }));
        let client = Arc::<Client>::default();
        Self {
            broker,
            clock,
            client,
            timers: TimerDelivery::default(),
            revive: PopRevive::default(),
        }
    }

    /// Writes the positions, as a broker does every few seconds.
    fn save(&self) {
        persist::all(&self.broker).unwrap();
        self.broker.store.flush_now().unwrap();
        self.broker.store.disk_turn(std::time::Duration::ZERO);
    }

    fn put(&self, queue_id: i32, body: &str) {
        let put = Put {
            topic: Arc::from("t"),
            queue_id,
            flag: 0,
            sys_flag: 0,
            born_ms: self.clock.wall_ms(),
            born_host: self.broker.addr,
            reconsume_times: 0,
            prepared_offset: 0,
            body: body.as_bytes(),
            properties: String::new(),
            wait: true,
        };
        let append = self.broker.append_of(put, Delay::Done).unwrap();
        assert!(self.broker.store.append_now(append).is_stored());
    }

    /// Lets time pass, with the tasks at work.
    fn pass(&mut self, ms: i64) {
        for _ in 0..ms / 500 {
            self.clock.advance(500);
            self.timers.run(&self.broker);
            pop::tick(&self.broker, self.clock.wall_ms());
            self.revive.run(&self.broker, self.clock.wall_ms());
        }
    }

    fn cx(&self) -> Cx {
        let answer = Answer {
            peer: Arc::<Client>::clone(&self.client),
            opaque: 1,
            kind: Serialization::Json,
            oneway: false,
        };
        let now_ms = self.clock.wall_ms();
        Cx { answer, version: 500, language: Language::JAVA, now_ms, wait: Wait::Yes }
    }

    fn answer(&self, outcome: Outcome) -> Option<Outgoing> {
        let mut appends = Vec::new();
        serve::finish(&self.broker, &self.cx(), outcome, &mut appends);
        self.broker.store.submit(appends);
        self.got()
    }

    fn got(&self) -> Option<Outgoing> {
        lock(&self.client.got).pop()
    }

    fn ask(&self, order: Option<&str>, poll_ms: i64) -> Option<Outgoing> {
        let header = PopMessage {
            group: "g",
            topic: "t",
            queue_id: -1,
            max_messages: 32,
            invisible_ms: INVISIBLE_MS,
            poll_ms,
            born_ms: None,
            init_mode: 0,
            expression_type: None,
            expression: None,
            order: order.map(|_| true),
            attempt_id: order,
        };
        self.answer(pop::pop(&self.broker, &self.cx(), &header))
    }

    /// Pops until nothing is left.
    fn pop_all(&self) -> Vec<Popped> {
        std::iter::from_fn(|| self.ask(None, 0).filter(|answer| answer.code == 0))
            .flat_map(|answer| popped(&answer))
            .collect()
    }

    fn ack(&self, message: &Popped) -> i32 {
        let handle = Handle::parse(&message.handle).unwrap();
        let topic = handle.origin.topic("t", "g");
        let header = AckMessage {
            group: "g",
            topic: &topic,
            queue_id: handle.queue_id,
            handle: &message.handle,
            offset: handle.offset,
        };
        self.answer(ack::ack(&self.broker, &self.cx(), &header)).unwrap().code
    }

    fn in_flight(&self) -> i64 {
        let in_queue =
            |queue| self.broker.pop.in_flight(&Place::new("t", "g", queue), self.clock.wall_ms());
        (0..2).filter_map(in_queue).sum()
    }
}

fn text(answer: &Outgoing, name: &str) -> String {
    let value = answer.fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    match value {
        Some(Value::Int(number)) => number.to_string(),
        Some(Value::Text(text)) => text.into_owned(),
        Some(Value::Bool(flag)) => flag.to_string(),
        None => String::new(),
    }
}

/// The messages of an answer, with the handles that a client makes.
fn popped(answer: &Outgoing) -> Vec<Popped> {
    let mut rest = &answer.body[..];
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let view = RecordView::parse(rest).unwrap();
        let (queue, offset) = (view.queue_id(), view.queue_offset());
        let starts = text(answer, "startOffsetInfo");
        let made = || {
            let prefix = format!("0 {queue} ");
            let start = starts.split(';').find_map(|entry| entry.strip_prefix(&prefix)).unwrap();
            let of = |name| text(answer, name);
            let (at, long, revive) = (of("popTime"), of("invisibleTime"), of("reviveQid"));
            format!("{start} {at} {long} {revive} 0 mqdeck {queue} {offset}")
        };
        assert_eq!(view.topic(), "t");
        messages.push(Popped {
            body: String::from_utf8(view.body().to_vec()).unwrap(),
            tries: view.reconsume_times(),
            handle: view.property(key::POP_CK).map_or_else(made, str::to_owned),
        });
        rest = &rest[view.size()..];
    }
    messages
}

fn bodies(messages: &[Popped]) -> BTreeSet<String> {
    messages.iter().map(|message| message.body.clone()).collect()
}

#[test]
fn what_was_handed_out_and_not_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    running.pass(1_000);
    (0..40).for_each(|n| running.put(n % 2, &n.to_string()));
    let messages = running.pop_all();
    assert_eq!((messages.len(), running.in_flight()), (40, 40));
    for message in &messages[..30] {
        assert_eq!(running.ack(message), 0);
        assert_eq!(running.ack(message), 0, "twice is harmless");
    }
    assert_eq!(running.in_flight(), 10);
    running.save();
    let now_ms = running.clock.wall_ms();
    drop(running);

    let mut again = Running::start(dir.path(), now_ms + 1_000);
    again.pass(5_000);
    assert!(again.pop_all().is_empty(), "their time is not over");
    again.pass(12_000);
    let back = again.pop_all();
    assert_eq!(bodies(&back), bodies(&messages[30..]));
    assert!(back.len() == 10 && back.iter().all(|message| message.tries == 1), "{back:?}");
    for message in &back {
        assert_eq!(again.ack(message), 0);
    }
    again.pass(30_000);
    assert!(again.pop_all().is_empty());
}

#[test]
fn a_pop_counts_its_checkpoints_and_an_acknowledgement_its_messages() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    running.pass(1_000);
    (0..4).for_each(|n| running.put(n % 2, &n.to_string()));
    let messages = running.pop_all();
    for message in &messages[..3] {
        assert_eq!(running.ack(message), 0);
    }
    let sum = |name, key| running.broker.stats.sum(name, key);
    for (name, key, want) in [
        ("GROUP_CK_NUMS", "t@g", Some(2)),
        ("BROKER_CK_NUMS", "DefaultCluster", Some(2)),
        ("GROUP_ACK_NUMS", "t@g", Some(3)),
        ("BROKER_ACK_NUMS", "DefaultCluster", Some(3)),
        ("GROUP_GET_NUMS", "t@g", Some(4)),
        ("GROUP_GET_LATENCY", "-1@t@g", Some(0)),
        ("GROUP_GET_LATENCY", "0@t@g", None),
    ] {
        assert_eq!(sum(name, key), want, "{name} {key}");
    }
}

#[test]
fn a_changed_time_moves_one_message_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    running.pass(1_000);
    running.put(0, "a");
    running.put(0, "b");
    let messages = running.pop_all();
    let header = ChangeInvisible {
        group: "g",
        topic: "t",
        queue_id: 0,
        handle: &messages[0].handle,
        offset: 0,
        invisible_ms: 60_000,
        suspend: None,
    };
    let outcome = invisible::change(&running.broker, &running.cx(), &header);
    let answer = running.answer(outcome).unwrap();
    assert_eq!((answer.code, text(&answer, "invisibleTime")), (0, "60000".into()));
    assert_eq!(running.in_flight(), 2);
    running.pass(20_000);
    assert_eq!(bodies(&running.pop_all()), BTreeSet::from(["b".into()]));
    running.pass(50_000);
    assert!(bodies(&running.pop_all()).contains("a"));
}

#[test]
fn a_waiting_pop_is_answered_by_a_message_or_its_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    running.pass(1_000);
    let header = Notification {
        group: "g",
        topic: "t",
        queue_id: -1,
        poll_ms: 5_000,
        born_ms: None,
        order: None,
        attempt_id: None,
    };
    let told = notification::notification(&running.broker, &running.cx(), &header);
    assert!(running.answer(told).is_none());
    running.put(1, "x");
    assert_eq!(text(&running.got().unwrap(), "hasMsg"), "true");
    assert_eq!(bodies(&running.pop_all()), BTreeSet::from(["x".into()]));
    assert!(running.ask(None, 5_000).is_none(), "it waits");
    running.put(0, "y");
    assert_eq!(bodies(&popped(&running.got().unwrap())), BTreeSet::from(["y".into()]));
    assert!(running.ask(None, 5_000).is_none());
    running.pass(4_500);
    assert!(running.got().is_none());
    running.pass(1_000);
    assert_eq!(running.got().unwrap().code, 210);
}

#[test]
fn an_ordered_queue_has_one_batch_out_and_wakes_when_it_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    running.pass(1_000);
    (0..3).for_each(|n| running.put(0, &n.to_string()));
    let first = popped(&running.ask(Some("a"), 0).unwrap());
    assert_eq!(first.len(), 3);
    assert!(running.ask(Some("b"), 30_000).is_none(), "the queue is blocked");
    assert_eq!(running.ack(&first[0]), 0);
    assert_eq!(running.broker.offsets.committed("g", "t", 0), Some(1));
    assert!(running.got().is_none());
    running.pass(INVISIBLE_MS);
    let second = running.got().unwrap();
    assert_eq!(bodies(&popped(&second)), BTreeSet::from(["1".into(), "2".into()]));
    assert_eq!(text(&second, "orderCountInfo"), "0 qo0%1 1;0 qo0%2 1;0 0 1");
    running.save();
    let now_ms = running.clock.wall_ms();
    drop(running);
    let again = Running::start(dir.path(), now_ms + 100);
    assert_eq!(again.ask(Some("c"), 0).unwrap().code, 210, "the block outlives a kill");
}

fn second_form() -> BrokerConfig {
    BrokerConfig { enable_retry_topic_v2: true, ..BrokerConfig::default() }
}

/// Takes the only message that a pop gets; its flag of origin, and what the header says.
fn only(running: &Running) -> (Popped, String) {
    let answer = running.ask(None, 0).unwrap();
    let mut messages = popped(&answer);
    assert_eq!((answer.code, messages.len()), (0, 1));
    (messages.remove(0), text(&answer, "startOffsetInfo"))
}

#[test]
fn retry_topics_of_the_second_form_outlive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start_as(second_form(), dir.path(), START_MS);
    running.pass(1_000);
    running.put(0, "x");
    assert_eq!(running.pop_all().len(), 1);
    running.pass(15_000);
    let (back, starts) = only(&running);
    assert_eq!((back.tries, starts.as_str()), (1, "2 0 0"));
    running.save();
    let now_ms = running.clock.wall_ms();
    drop(running);
    let mut again = Running::start_as(second_form(), dir.path(), now_ms + 100);
    again.pass(15_000);
    let (back, starts) = only(&again);
    assert_eq!((back.tries, starts.as_str()), (2, "2 0 1"));
    assert_eq!(again.ack(&back), 0);
    again.pass(30_000);
    assert!(again.pop_all().is_empty());
}

#[test]
fn retry_topics_of_the_first_form_are_read_beside_the_second_until_switched_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    running.pass(1_000);
    running.put(0, "old");
    assert_eq!(running.pop_all().len(), 1);
    running.pass(15_000);
    let now_ms = running.clock.wall_ms();
    running.broker.change_config(b"enableRetryTopicV2=true", now_ms).unwrap();
    running.put(0, "new");
    let both = running.pop_all();
    assert_eq!(bodies(&both), BTreeSet::from(["old".into(), "new".into()]));
    running.pass(15_000);
    // The old one comes back where it came from, the new one in the second form.
    assert_eq!(bodies(&running.pop_all()), BTreeSet::from(["old".into(), "new".into()]));
    running.pass(15_000);
    let off = b"retrieveMessageFromPopRetryTopicV1=false";
    running.broker.change_config(off, running.clock.wall_ms()).unwrap();
    assert_eq!(bodies(&running.pop_all()), BTreeSet::from(["new".into()]));
}

#[test]
fn a_waiting_pop_is_woken_by_a_retry_topic_of_the_second_form() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start_as(second_form(), dir.path(), START_MS);
    running.pass(1_000);
    running.put(0, "x");
    assert_eq!(running.pop_all().len(), 1);
    assert!(running.ask(None, 60_000).is_none(), "it waits");
    running.pass(15_000);
    assert_eq!(bodies(&popped(&running.got().unwrap())), BTreeSet::from(["x".into()]));
}

fn delete(running: &Running, name: &str) {
    let outcome = topic::delete(&running.broker, &running.cx(), &TopicOf { topic: name });
    assert!(matches!(outcome, Outcome::Persisted(reply) if reply.code == 0), "{name}");
}

#[test]
fn a_deleted_topic_takes_its_pop_retry_topics_along() {
    for (config, retry) in [(BrokerConfig::default(), "%RETRY%g_t"), (second_form(), "%RETRY%g+t")]
    {
        let dir = tempfile::tempdir().unwrap();
        let mut running = Running::start_as(config, dir.path(), START_MS);
        running.pass(1_000);
        running.put(0, "x");
        assert_eq!(running.pop_all().len(), 1);
        running.pass(15_000);
        let broker = Arc::clone(&running.broker);
        broker.topics.put(topics::plain("%RETRY%g", 1, 6), START_MS);
        broker.topics.put(topics::plain("%RETRY%g_u", 1, 6), START_MS);
        assert_eq!(broker.store.max_offset(retry, 0).0, 1);
        delete(&running, "t");
        assert!(broker.topics.get(retry).is_none(), "{retry}");
        assert_eq!(broker.store.max_offset(retry, 0).0, 0);
        assert!(broker.offsets.topics_of("g").is_empty());
        assert_eq!(broker.pop.in_flight(&Place::new("t", "g", 0), START_MS), None);
        let others = ["%RETRY%g", "%RETRY%g_u"].map(|name| broker.topics.get(name).is_some());
        assert_eq!(others, [true, true], "other retry topics of the group stay");
        running.pass(30_000);
        assert!(broker.topics.get(retry).is_none(), "nothing comes back");
    }
}

#[test]
fn a_deleted_topic_leaves_the_retry_topic_of_a_group_that_is_named_alike() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    running.pass(1_000);
    running.broker.groups.put(SubscriptionGroupConfig::named("g_t"), START_MS);
    running.put(0, "x");
    assert_eq!(running.pop_all().len(), 1);
    delete(&running, "t");
    assert!(running.broker.topics.get("%RETRY%g_t").is_some());
}

#[test]
fn a_retry_topic_of_the_second_form_can_be_deleted_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), START_MS);
    running.broker.topics.put(topics::plain("%RETRY%g+t", 1, 6), START_MS);
    delete(&running, "%RETRY%g+t");
    assert!(running.broker.topics.get("%RETRY%g+t").is_none());
}

#[test]
fn a_topic_that_comes_again_has_no_blocked_queue() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    running.pass(1_000);
    running.put(0, "old");
    assert_eq!(popped(&running.ask(Some("a"), 0).unwrap()).len(), 1);
    delete(&running, "t");
    running.broker.topics.put(topics::plain("t", 2, 6), START_MS);
    running.put(0, "new");
    assert_eq!(
        bodies(&popped(&running.ask(Some("b"), 0).unwrap())),
        BTreeSet::from(["new".into()])
    );
}
