//! Requests whose bytes are not in memory: nobody who serves sockets waits for the disk, and every
//! request is answered once (architecture.md §6, lanes).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::Broker;
use super::broker::Parts;
use super::handle::{pull, send};
use super::outcome::{Answer, Cx, Outcome, Peer, Shell};
use super::serve::{self, Port};
use super::state::groups::Groups;
use super::state::lock;
use super::state::topics::{self, Topics};
use super::task::persist;
use super::test_support::Client;
use crate::clock::{Clock, ManualClock};
use crate::config::BrokerConfig;
use crate::decide::delay::Levels;
use crate::protocol::code;
use crate::protocol::ext_fields::Fields;
use crate::protocol::frame::{self, Serialization};
use crate::protocol::header::{Language, Outgoing};
use crate::protocol::ids::UniqueKeys;
use crate::protocol::names;
use crate::protocol::record::RecordView;
use crate::protocol::request::offset::QueryConsumerOffset;
use crate::protocol::request::pull::{PULL_COMMIT, PULL_SUBSCRIPTION, PULL_SUSPEND, PullMessage};
use crate::protocol::request::send::{SendBack, SendMessage};
use crate::store::test_storage::{Faults, TestStorage};
use crate::store::{Arrival, QueueOffset, Store, StoreConfig, Wait};

const START_MS: i64 = 1_700_000_000_000;
const OPAQUE: i32 = 77;

/// A pool that runs its jobs when it is told to.
#[derive(Default)]
struct Pool {
    full: bool,
    jobs: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

impl Shell for Pool {
    fn slow(&self, job: Box<dyn FnOnce() + Send>) -> bool {
        if !self.full {
            lock(&self.jobs).push(job);
        }
        !self.full
    }
}

impl Pool {
    /// Runs what waits and answers how much it was.
    fn run(&self) -> usize {
        let jobs = std::mem::take(&mut *lock(&self.jobs));
        let count = jobs.len();
        for job in jobs {
            job();
        }
        count
    }
}

struct Bench {
    clock: Arc<ManualClock>,
    storage: TestStorage,
    broker: Arc<Broker>,
    client: Arc<Client>,
    pool: Arc<Pool>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Pool::default())
    }

    fn with(pool: Pool) -> Self {
        let storage = TestStorage::new();
        let manual = Arc::new(ManualClock::at(START_MS));
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&manual);
        let config = BrokerConfig::default();
        let store = StoreConfig {
            root: "/data".into(),
            file_size: 1 << 20,
            max_message_size: 64 << 10,
            index_enabled: false,
            ..StoreConfig::default()
        };
        let store = Store::open(Arc::new(storage.clone()), store, Arc::clone(&clock)).unwrap();
        let store = Arc::new(store);
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
            clock,
            addr: "127.0.0.1:10911".parse().unwrap(),
            is_local: true,
            levels: Levels::default(),
            memory_window: 1 << 30,
            unique_keys: UniqueKeys::new("127.0.0.1".parse().unwrap(), 1, 1, 0),
        }));
        broker.topics.put(topics::plain("t", 4, 6), START_MS);
        let pool = Arc::new(pool);
        broker.set_shell(Arc::<Pool>::clone(&pool));
        let woken = Arc::downgrade(&broker);
        broker.store.on_arrival(Box::new(move |arrivals: &[Arrival]| {
            pull::arrived(&woken.upgrade().unwrap(), arrivals);
        }));
        Self { clock: manual, storage, broker, client: Arc::default(), pool }
    }

    fn put(&self, body: &'static str) {
        let header = SendMessage {
            group: "pg",
            topic: "t",
            default_topic: Some("TBW102"),
            default_queues: Some(4),
            queue_id: 0,
            sys_flag: 0,
            born_ms: START_MS,
            flag: 0,
            properties: Some("TAGS\u{1}a\u{2}"),
            reconsume_times: None,
            unit_mode: None,
            max_reconsume_times: None,
            batch: None,
            broker_name: None,
        };
        let answer = Answer {
            peer: Arc::<Client>::default(),
            opaque: 0,
            kind: Serialization::Json,
            oneway: true,
        };
        let cx =
            Cx { answer, version: 500, language: Language::JAVA, now_ms: START_MS, wait: Wait::No };
        let body = Bytes::from_static(body.as_bytes());
        let outcome = send::send(&self.broker, &cx, &header, &body);
        assert!(matches!(outcome, Outcome::Stored { .. }));
        let mut appends = Vec::new();
        serve::finish(&self.broker, &cx, outcome, &mut appends);
        self.broker.store.submit(appends);
    }

    fn chill(&self) {
        self.storage.set_faults(Faults { cold: Some("/data".into()), ..Faults::default() });
    }

    fn request(&self, code: i32, fields: impl Into<Fields>) {
        let mut bytes = BytesMut::new();
        let request = Outgoing::request(code, OPAQUE, fields.into(), Bytes::new());
        request.encode(Serialization::Json, &mut bytes);
        let frame = frame::split(&mut bytes).unwrap().unwrap();
        let shell: Arc<dyn Shell> = Arc::<Pool>::clone(&self.pool);
        let peer: Arc<dyn Peer> = Arc::<Client>::clone(&self.client);
        serve::batch(&self.broker, &shell, &peer, Port::Main, &[frame]);
    }

    fn pull(&self, offset: i64, flag: i32, commit: i64) {
        let header = PullMessage {
            group: "g",
            topic: "t",
            queue_id: 0,
            offset,
            max_messages: 32,
            sys_flag: PULL_SUBSCRIPTION | flag,
            commit_offset: commit,
            suspend_ms: 15_000,
            subscription: Some("*"),
            sub_version: 0,
            expression_type: None,
            max_bytes: None,
            request_source: None,
        };
        self.request(code::PULL_MESSAGE, header);
    }

    /// The only answer there is.
    fn answer(&self) -> Outgoing {
        let mut got = std::mem::take(&mut *lock(&self.client.got));
        assert_eq!(got.len(), 1, "answered once");
        let answer = got.remove(0);
        assert_eq!(answer.opaque, OPAQUE);
        answer
    }

    fn silent(&self) -> bool {
        lock(&self.client.got).is_empty()
    }
}

fn bodies(answer: &Outgoing) -> Vec<String> {
    let mut rest = &answer.body[..];
    let mut bodies = Vec::new();
    while !rest.is_empty() {
        let view = RecordView::parse(rest).unwrap();
        bodies.push(String::from_utf8_lossy(view.body()).into_owned());
        rest = &rest[view.size()..];
    }
    bodies
}

#[test]
fn a_warm_pull_never_meets_the_pool() {
    let bench = Bench::new();
    bench.put("one");
    bench.pull(0, 0, 0);
    let answer = bench.answer();
    assert_eq!((answer.code, bodies(&answer)), (0, vec!["one".to_owned()]));
    assert_eq!(bench.pool.run(), 0);
}

#[test]
fn a_cold_pull_is_answered_by_the_pool_and_once() {
    let bench = Bench::new();
    for body in ["one", "two", "three"] {
        bench.put(body);
    }
    bench.chill();
    bench.pull(1, 0, 0);
    assert!(bench.silent(), "nobody waited where sockets are served");
    assert_eq!(bench.pool.run(), 1);
    let answer = bench.answer();
    assert_eq!((answer.code, bodies(&answer)), (0, vec!["two".to_owned(), "three".to_owned()]));
    assert_eq!(bench.pool.run(), 0);
}

#[test]
fn a_full_pool_refuses_a_cold_pull_once() {
    let bench = Bench::with(Pool { full: true, ..Pool::default() });
    bench.put("one");
    bench.chill();
    bench.pull(0, 0, 0);
    assert_eq!(bench.answer().code, 2);
}

#[test]
fn a_cold_pull_commits_at_once_and_not_again_from_the_pool() {
    let bench = Bench::new();
    for body in ["one", "two", "three"] {
        bench.put(body);
    }
    bench.chill();
    bench.pull(1, PULL_COMMIT, 1);
    assert_eq!(bench.broker.offsets.committed("g", "t", 0), Some(1));
    bench.broker.offsets.commit("g", "t", 0, 2);
    bench.pool.run();
    assert_eq!(bench.answer().code, 0);
    assert_eq!(bench.broker.offsets.committed("g", "t", 0), Some(2), "the newer commit stays");
}

#[test]
fn a_parked_pull_that_wakes_to_a_cold_message_is_answered_by_the_pool_and_once() {
    let bench = Bench::new();
    bench.put("one");
    bench.pull(1, PULL_SUSPEND, 0);
    assert!(bench.silent());
    bench.chill();
    bench.put("two");
    assert!(bench.silent());
    assert_eq!(bench.pool.run(), 1);
    assert_eq!(bodies(&bench.answer()), ["two"]);
    bench.put("three");
    assert!(bench.silent(), "it waits no more");
    assert_eq!(bench.pool.run(), 0);
}

#[test]
fn a_woken_pull_is_told_when_the_pool_is_full() {
    let bench = Bench::with(Pool { full: true, ..Pool::default() });
    bench.put("one");
    bench.pull(1, PULL_SUSPEND, 0);
    bench.chill();
    bench.put("two");
    assert_eq!(bench.answer().code, 2);
}

#[test]
fn a_cold_message_given_back_is_stored_once_and_answered_when_its_group_is_kept() {
    let bench = Bench::new();
    bench.put("one");
    bench.chill();
    let header = SendBack {
        offset: 0,
        group: "g",
        delay_level: 0,
        origin_message_id: None,
        origin_topic: Some("t"),
        unit_mode: None,
        max_reconsume_times: None,
    };
    bench.request(code::CONSUMER_SEND_MSG_BACK, header);
    assert!(bench.silent());
    assert!(bench.broker.groups.get("g").is_none(), "nothing was changed before");
    assert_eq!(bench.pool.run(), 1);
    assert!(bench.silent(), "the group it made is not on the disk yet");
    persist::tables(&bench.broker).unwrap();
    assert_eq!(bench.answer().code, 0);
    let level = 2; // the first retry waits for level 3
    assert_eq!(bench.broker.store.max_offset(names::SCHEDULE_TOPIC, level), QueueOffset(1));
}

#[test]
fn where_a_new_group_starts_is_found_out_by_the_pool_when_the_queue_is_cold() {
    let bench = Bench::new();
    bench.put("one");
    bench.clock.advance(6_000);
    bench.broker.store.flush_turn(Duration::ZERO);
    bench.broker.store.disk_turn(Duration::ZERO);
    bench.chill();
    let header =
        QueryConsumerOffset { group: "g", topic: "t", queue_id: 0, zero_if_not_found: None };
    bench.request(code::QUERY_CONSUMER_OFFSET, header);
    assert!(bench.silent());
    assert_eq!(bench.pool.run(), 1);
    assert_eq!(bench.answer().code, 0);
}
