//! Timer messages from the send to the delivery, against a store on a real directory, with killed
//! brokers and lost files in between.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Broker;
use super::broker::Parts;
use super::handle::{recall, send, timer};
use super::outcome::{Answer, Cx, Outcome};
use super::put::Put;
use super::serve;
use super::state::groups::Groups;
use super::state::lock;
use super::state::topics::{self, Topics};
use super::task::persist;
use super::task::timer_delivery::TimerDelivery;
use super::test_support::Client;
use crate::clock::{Clock, ManualClock};
use crate::config::BrokerConfig;
use crate::decide::delay::Levels;
use crate::protocol::ext_fields::Value;
use crate::protocol::frame::Serialization;
use crate::protocol::header::{Language, Outgoing};
use crate::protocol::ids::UniqueKeys;
use crate::protocol::names::{SCHEDULE_TOPIC, TIMER_TOPIC};
use crate::protocol::properties::{self, key};
use crate::protocol::record::RecordView;
use crate::protocol::request::send::{RecallMessage, SendMessage};
use crate::store::{Disk, QueueOffset, Store, StoreConfig, Wait};

const START_MS: i64 = 1_700_000_000_300;
const DAY_MS: i64 = 86_400_000;

/// A broker that lives until it is dropped, which is how it is killed.
struct Running {
    broker: Arc<Broker>,
    clock: Arc<ManualClock>,
    client: Arc<Client>,
    task: TimerDelivery,
}

impl Running {
    fn start(root: &Path, now_ms: i64) -> Self {
        Self::with(root, now_ms, BrokerConfig::default())
    }

    fn with(root: &Path, now_ms: i64, config: BrokerConfig) -> Self {
        let clock = Arc::new(ManualClock::at(now_ms));
        let own: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let store = StoreConfig {
            root: root.to_owned(),
            file_size: 1 << 20,
            max_message_size: 64 << 10,
            index_enabled: false,
            disk_free_min: 0,
            file_reserved_ms: 30 * DAY_MS,
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
        broker.topics.put(topics::plain("t", 4, 6), now_ms);
        Self { broker, clock, client: Arc::default(), task: TimerDelivery::default() }
    }

    /// Kills the broker and starts another one after some time.
    fn killed(self, root: &Path, down_ms: i64) -> Self {
        let now_ms = self.clock.wall_ms() + down_ms;
        drop(self);
        Self::start(root, now_ms)
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

    fn answer(&self, outcome: Outcome) -> Outgoing {
        let mut appends = Vec::new();
        serve::finish(&self.broker, &self.cx(), outcome, &mut appends);
        self.broker.store.submit(appends);
        lock(&self.client.got).pop().unwrap()
    }

    fn send(&self, unique: &str, extra: &[(&str, &str)]) -> Outgoing {
        let mut text = String::new();
        properties::push(&mut text, key::UNIQ_KEY, unique);
        for (key, value) in extra {
            properties::push(&mut text, key, value);
        }
        let header = SendMessage {
            group: "pg",
            topic: "t",
            default_topic: Some("TBW102"),
            default_queues: Some(4),
            queue_id: 3,
            sys_flag: 0,
            born_ms: 77,
            flag: 7,
            properties: Some(&text),
            reconsume_times: None,
            unit_mode: None,
            max_reconsume_times: None,
            batch: None,
            broker_name: None,
        };
        let body = Bytes::from_static(b"body");
        self.answer(send::send(&self.broker, &self.cx(), &header, &body))
    }

    fn recall(&self, topic: &str, handle: &str) -> Outgoing {
        let header = RecallMessage { group: Some("pg"), topic, handle, broker_name: None };
        self.answer(recall::recall(&self.broker, &self.cx(), &header))
    }

    /// Time passes in steps; after each the task runs, and what is due is written.
    fn pass(&mut self, steps: usize, step_ms: i64) {
        for _ in 0..steps {
            self.clock.advance(step_ms);
            while self.task.run(&self.broker).is_some_and(|at| at <= self.clock.wall_ms()) {}
            self.broker.store.flush_turn(Duration::ZERO);
            self.broker.store.disk_turn(Duration::ZERO);
        }
    }

    fn record(&self, topic: &str, queue: i32, offset: u64) -> Bytes {
        let unit = self.broker.store.unit(topic, queue, QueueOffset(offset)).unwrap().unwrap();
        self.broker.store.record_at(unit.log_offset).unwrap().unwrap()
    }

    /// Unique keys of what was delivered, in order.
    fn delivered(&self) -> Vec<String> {
        let max = self.broker.store.max_offset("t", 3).0;
        let key = |offset| {
            let record = self.record("t", 3, offset);
            RecordView::parse(&record).unwrap().property(key::UNIQ_KEY).unwrap().to_owned()
        };
        (0..max).map(key).collect()
    }

    fn waiting(&self) -> i64 {
        self.broker.timers.metrics().timing_count.get("t").map_or(0, |metric| metric.count)
    }
}

fn text(frame: &Outgoing, key: &str) -> String {
    match frame.fields.iter().find(|(name, _)| *name == key).map(|(_, value)| value) {
        Some(Value::Text(text)) => text.to_string(),
        Some(Value::Int(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        None => String::new(),
    }
}

#[test]
fn a_message_waits_until_the_end_of_its_second() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    let sent = running.send("U1", &[("TIMER_DELAY_MS", "5000"), ("TAGS", "a")]);
    assert_eq!((sent.code, text(&sent, "queueId").as_str()), (0, "3"));
    let waiting = running.record(TIMER_TOPIC, 0, 0);
    let waiting = RecordView::parse(&waiting).unwrap();
    assert_eq!(waiting.property(key::TIMER_OUT_MS), Some("1700000005000"));
    assert_eq!(waiting.property(key::REAL_TOPIC), Some("t"));
    assert_eq!(waiting.property(key::REAL_QUEUE_ID), Some("3"));
    running.pass(56, 100);
    assert_eq!((running.delivered().len(), running.waiting()), (0, 1));
    running.pass(1, 100);
    assert_eq!((running.delivered(), running.waiting()), (vec!["U1".to_owned()], 0));
    let record = running.record("t", 3, 0);
    let view = RecordView::parse(&record).unwrap();
    assert_eq!((view.flag(), view.born_timestamp(), view.body()), (7, 77, &b"body"[..]));
    assert_eq!(view.store_timestamp(), START_MS + 5_700);
    assert_eq!(view.property(key::TIMER_DEQUEUE_MS), Some("1700000006000"));
    assert_eq!(view.property(key::TIMER_ENQUEUE_MS), Some("1700000000000"));
    assert_eq!(view.property(key::TIMER_ROLL_TIMES), None);
    assert_eq!(view.property(key::TAGS), Some("a"));
}

#[test]
fn what_a_timer_message_asks_for_is_checked_when_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), START_MS);
    assert_eq!(running.send("U1", &[("TIMER_DELAY_SEC", "259201")]).code, 13);
    assert_eq!(running.send("U2", &[("TIMER_DELAY_SEC", "soon")]).code, 13);
    let past = running.send("U3", &[("TIMER_DELIVER_MS", "1")]);
    assert_eq!((past.code, text(&past, "recallHandle").as_str()), (0, ""));
    // A message that was delivered once is not timed again, whatever it carries.
    running.send("U4", &[("TIMER_DELAY_SEC", "9"), ("TIMER_OUT_MS", "1")]);
    assert_eq!(running.delivered(), ["U3", "U4"]);
    running.send("U5", &[("TIMER_DELAY_SEC", "9"), ("DELAY", "1")]);
    let record = running.record(SCHEDULE_TOPIC, 0, 0);
    assert_eq!(RecordView::parse(&record).unwrap().property(key::TIMER_DELAY_SEC), None);
    assert_eq!(running.broker.store.max_offset(TIMER_TOPIC, 0).0, 0);
    let off = BrokerConfig { timer_wheel_enable: false, ..BrokerConfig::default() };
    let other = tempfile::tempdir().unwrap();
    let running = Running::with(other.path(), START_MS, off);
    assert_eq!(running.send("U1", &[("TIMER_DELAY_SEC", "1")]).code, 1);
}

#[test]
fn a_kill_between_send_and_delivery_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for read_before in [false, true] {
        for down_ms in [0, 60_000] {
            let dir = dir.path().join(format!("{read_before}{down_ms}"));
            let mut running = Running::start(&dir, START_MS);
            for n in 0..10 {
                running.send(&format!("U{n}"), &[("TIMER_DELAY_SEC", &(n + 3).to_string())]);
            }
            if read_before {
                running.pass(2, 1_000);
            }
            let mut running = running.killed(&dir, down_ms);
            running.pass(15, 1_000);
            let want: Vec<String> = (0..10).map(|n| format!("U{n}")).collect();
            assert_eq!(running.delivered(), want, "{read_before} {down_ms}");
            assert_eq!(running.broker.timers.figures().unwrap().waiting, 0);
        }
    }
}

#[test]
fn a_kill_after_delivery_delivers_at_most_the_last_seconds_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    for n in 0..10 {
        running.send(&format!("U{n}"), &[("TIMER_DELAY_SEC", &(n + 1).to_string())]);
    }
    running.pass(6, 1_000);
    let before = running.delivered().len();
    assert_eq!(before, 5);
    let mut running = running.killed(dir.path(), 0);
    running.pass(8, 1_000);
    let mut all = running.delivered();
    assert!(all.len() <= 12, "only what was not on the disk yet comes twice: {all:?}");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 10);
}

#[test]
fn lost_files_are_made_anew_from_what_is_left() {
    let lost: [(&[&str], bool); 4] = [
        (&["timerwheel"], false),
        (&["timerlog"], false),
        (&["config/timercheck", "config/timercheck.bak"], true),
        (&["timerwheel", "timerlog", "config/timercheck", "config/timercheck.bak"], true),
    ];
    for (files, twice) in lost {
        let dir = tempfile::tempdir().unwrap();
        let mut running = Running::start(dir.path(), START_MS);
        running.send("early", &[("TIMER_DELAY_SEC", "2")]);
        running.send("late", &[("TIMER_DELAY_SEC", "3600")]);
        running.pass(8, 1_000);
        assert_eq!(running.delivered(), ["early"]);
        running.task.close(&running.broker);
        running.broker.store.close().unwrap();
        let now_ms = running.clock.wall_ms();
        drop(running);
        for name in files {
            let path = dir.path().join(name);
            let _ = std::fs::remove_dir_all(&path);
            let _ = std::process::Command::new("rm").arg("-f").arg(&path).status();
        }
        let mut running = Running::start(dir.path(), now_ms);
        running.pass(3, 1_000);
        let again = if twice { 2 } else { 1 };
        assert_eq!(running.delivered().len(), again, "{files:?}");
        running.pass(1, 3_600_000);
        assert_eq!(running.delivered().len(), again + 1, "{files:?}");
        assert_eq!(running.delivered().last().unwrap(), "late");
    }
}

#[test]
fn a_recalled_message_is_not_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    let sent = running.send("U1", &[("TIMER_DELAY_SEC", "10")]);
    running.send("U2", &[("TIMER_DELAY_SEC", "10")]);
    running.pass(1, 1_000);
    assert_eq!(running.waiting(), 2);
    let handle = text(&sent, "recallHandle");
    assert_eq!(running.recall("other", &handle).code, 17);
    let recalled = running.recall("t", &handle);
    assert_eq!((recalled.code, text(&recalled, "msgId").as_str()), (0, "U1"));
    running.pass(1, 1_000);
    assert_eq!(running.waiting(), 1);
    running.pass(12, 1_000);
    assert_eq!(running.delivered(), ["U2"]);
    assert_eq!((running.waiting(), running.broker.timers.figures().unwrap().waiting), (0, 0));
    assert_eq!(running.recall("t", &handle).code, 604, "it is due");
}

#[test]
fn a_recall_during_which_the_broker_is_killed_counts_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    let sent = running.send("U1", &[("TIMER_DELAY_SEC", "10")]);
    running.pass(3, 1_000);
    assert_eq!(running.recall("t", &text(&sent, "recallHandle")).code, 0);
    let mut running = running.killed(dir.path(), 60_000);
    running.pass(3, 1_000);
    assert!(running.delivered().is_empty());
}

#[test]
fn a_far_message_gets_to_its_second_in_stages() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    let due_ms = START_MS + 250_000_000;
    running.send("U1", &[("TIMER_DELIVER_MS", &due_ms.to_string())]);
    let recalled = running.send("U2", &[("TIMER_DELIVER_MS", &due_ms.to_string())]);
    running.pass(1, 1_000);
    assert_eq!(running.recall("t", &text(&recalled, "recallHandle")).code, 0);
    running.pass(1, 1_000);
    let mut running = running.killed(dir.path(), DAY_MS);
    running.pass(25, 3_600_000);
    running.pass(1, 100);
    assert_eq!(running.broker.store.max_offset(TIMER_TOPIC, 0).0, 6, "each was put back");
    assert!(running.delivered().is_empty());
    assert_eq!(running.waiting(), 1);
    running.clock.set(due_ms - 400);
    running.pass(1, 1);
    assert!(running.delivered().is_empty());
    running.clock.set(due_ms + 1_000);
    running.pass(1, 1);
    assert_eq!(running.delivered(), ["U1"]);
    let record = running.record("t", 3, 0);
    let view = RecordView::parse(&record).unwrap();
    assert_eq!(view.property(key::TIMER_ROLL_TIMES), Some("1"));
}

#[test]
fn one_second_may_have_more_messages_than_a_turn_takes() {
    const MANY: usize = 5_000;
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    for n in 0..MANY {
        running.send(&format!("U{n}"), &[("TIMER_DELIVER_MS", "1700000005500")]);
    }
    running.pass(7, 1_000);
    let want: Vec<String> = (0..MANY).map(|n| format!("U{n}")).collect();
    assert_eq!(running.delivered(), want, "in the order of the sends");
}

#[test]
fn a_clock_set_back_does_not_hold_new_messages_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    running.send("U1", &[("TIMER_DELAY_SEC", "1")]);
    running.pass(3, 1_000);
    running.clock.set(START_MS - 3_600_000);
    running.pass(1, 1_000);
    running.send("U2", &[("TIMER_DELAY_SEC", "2")]);
    running.pass(4, 1_000);
    assert_eq!(running.delivered(), ["U1", "U2"]);
    let mut running = running.killed(dir.path(), 3_600_000);
    running.pass(3, 1_000);
    assert_eq!(running.delivered().iter().filter(|key| *key == "U2").count(), 1);
}

#[test]
fn the_broker_schedules_messages_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    let put = Put {
        topic: Arc::from("revive"),
        queue_id: 5,
        flag: 0,
        sys_flag: 0,
        born_ms: START_MS,
        born_host: "127.0.0.1:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_offset: 0,
        body: b"{}",
        properties: "TAGS\u{1}ck\u{2}".to_owned(),
        wait: false,
    };
    let append = running.broker.append_at(put.clone(), START_MS + 2_000).unwrap();
    let past = running.broker.append_at(put, START_MS).unwrap();
    running.broker.store.submit(vec![append, past]);
    assert_eq!(running.broker.store.max_offset("revive", 5).0, 1, "what is past goes at once");
    running.pass(3, 1_000);
    assert_eq!(running.broker.store.max_offset("revive", 5).0, 2);
}

#[test]
fn tools_see_how_far_the_timers_are() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    assert_eq!(timer::check_point(&running.broker).code, 1, "the files are not open yet");
    running.send("U1", &[("TIMER_DELAY_SEC", "60")]);
    running.pass(3, 1_000);
    let body = timer::check_point(&running.broker).body;
    let number = |at: usize| i64::from_be_bytes(body[at * 8..at * 8 + 8].try_into().unwrap());
    assert_eq!((body.len(), number(0)), (56, 1_700_000_003_000));
    assert_eq!((number(1), number(2), number(3)), (52, 1, 1));
    let body = timer::metrics(&running.broker).body;
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.contains(r#""timingCount":{"t":{"count":1,"timeStamp":"#), "{body}");
    let mut keys = std::collections::BTreeMap::new();
    timer::about(&running.broker, running.clock.wall_ms(), &mut |key, value| {
        keys.insert(key.to_owned(), value);
    });
    let figures = ["timerReadBehind", "timerOffsetBehind", "timerCongestNum"].map(|key| &keys[key]);
    assert_eq!(figures, ["0", "0", "1"]);
}
