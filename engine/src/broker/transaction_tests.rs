//! Transactions and replies against a store on a real directory, with killed brokers in between.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::Broker;
use super::broker::Parts;
use super::handle::{reply, send, transaction};
use super::outcome::{Answer, Cx, Outcome, Peer, PeerId, Relayed};
use super::serve;
use super::state::connections::Member;
use super::state::groups::Groups;
use super::state::lock;
use super::state::topics::{self, Topics};
use super::task::persist;
use super::task::transaction_check::{self, TransactionCheck};
use crate::clock::{Clock, ManualClock};
use crate::config::BrokerConfig;
use crate::decide::delay::Levels;
use crate::protocol::code;
use crate::protocol::ext_fields::Value;
use crate::protocol::frame::{Frame, Serialization};
use crate::protocol::header::{Header, Language, Outgoing};
use crate::protocol::ids::{self, UniqueKeys};
use crate::protocol::names::{HALF_TOPIC, OP_HALF_TOPIC, SCHEDULE_TOPIC, TRANS_CHECK_MAX_TOPIC};
use crate::protocol::properties::{self, key};
use crate::protocol::record::RecordView;
use crate::protocol::request::send::SendMessage;
use crate::protocol::request::transaction::{EndTransaction, ResumeCheck};
use crate::protocol::sys_flag::{SysFlag, Transaction};
use crate::store::{Disk, QueueOffset, Store, StoreConfig, Wait};

const START_MS: i64 = 1_700_000_000_000;
const COMMIT: i32 = 8;
const ROLLBACK: i32 = 12;

/// A client that writes down what it is sent, and takes or refuses what it is asked.
#[derive(Debug)]
struct Client {
    id: PeerId,
    takes: bool,
    got: Mutex<Vec<Outgoing>>,
}

impl Client {
    fn new(id: PeerId, takes: bool) -> Arc<Self> {
        Arc::new(Self { id, takes, got: Mutex::default() })
    }

    fn got(&self) -> Vec<Outgoing> {
        std::mem::take(&mut *lock(&self.got))
    }
}

impl Peer for Client {
    fn id(&self) -> PeerId {
        self.id
    }
    fn remote(&self) -> SocketAddr {
        "127.0.0.1:4711".parse().unwrap()
    }
    fn send(&self, frame: &Outgoing, _kind: Serialization) {
        lock(&self.got).push(frame.clone());
    }
    fn answered(&self, _header: &Header<'_>, _frame: &Frame) {}
    fn call(
        self: Arc<Self>,
        request: Outgoing,
        _wait_ms: u64,
        done: Box<dyn FnOnce(Option<Relayed>) + Send>,
    ) {
        lock(&self.got).push(request);
        let code = i32::from(!self.takes);
        done(Some(Relayed { code, remark: None, body: Bytes::new() }));
    }
    fn close(&self) {}
    fn is_closed(&self) -> bool {
        false
    }
}

/// A broker that lives until it is dropped, which is how it is killed.
pub(super) struct Running {
    pub(super) broker: Arc<Broker>,
    clock: Arc<ManualClock>,
    client: Arc<Client>,
    task: TransactionCheck,
}

impl Running {
    pub(super) fn start(root: &Path, now_ms: i64) -> Self {
        let clock = Arc::new(ManualClock::at(now_ms));
        let own: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let config = BrokerConfig::default();
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
        broker.topics.put(topics::plain("t", 4, 6), now_ms);
        let client = Client::new(1, true);
        let running = Self { broker, clock, client, task: TransactionCheck::default() };
        running.online(&running.client, "pg", "client-1");
        running
    }

    /// A committed message in queue 3 of `t`.
    pub(super) fn commit_one(&self) {
        let sent = self.send(&[]);
        assert_eq!(self.end(0, log_of(&sent), COMMIT, false), Some(0));
    }

    /// The client as a member of a group.
    pub(super) fn member(&self) -> Member {
        Member {
            client_id: "client-1".into(),
            peer: Arc::<Client>::clone(&self.client),
            language: Language::JAVA,
            version: 500,
            last_ms: self.clock.wall_ms(),
        }
    }

    fn online(&self, client: &Arc<Client>, group: &str, id: &str) {
        let member = Member {
            client_id: id.into(),
            peer: Arc::<Client>::clone(client),
            language: Language::JAVA,
            version: 500,
            last_ms: self.clock.wall_ms(),
        };
        self.broker.connections.producer(member, group);
    }

    pub(super) fn cx(&self) -> Cx {
        let answer = Answer {
            peer: Arc::<Client>::clone(&self.client),
            opaque: 1,
            kind: Serialization::Json,
            oneway: false,
        };
        let now_ms = self.clock.wall_ms();
        Cx { answer, version: 500, language: Language::JAVA, now_ms, wait: Wait::Yes }
    }

    /// The answer to a request; `None` when there is none.
    pub(super) fn answer(&self, outcome: Outcome) -> Option<Outgoing> {
        let mut appends = Vec::new();
        serve::finish(&self.broker, &self.cx(), outcome, &mut appends);
        self.broker.store.submit(appends);
        self.client.got().pop()
    }

    fn send(&self, extra: &[(&str, &str)]) -> Outgoing {
        let mut text = String::new();
        for (key, value) in [("TRAN_MSG", "true"), ("PGROUP", "pg"), ("UNIQ_KEY", "U1")] {
            properties::push(&mut text, key, value);
        }
        for (key, value) in extra {
            properties::push(&mut text, key, value);
        }
        let header = message("t", &text, 3, SysFlag::PREPARED | 1, self.clock.wall_ms());
        let outcome = send::send(&self.broker, &self.cx(), &header, &Bytes::from_static(b"body"));
        self.answer(outcome).unwrap()
    }

    fn end(&self, half: i64, log: i64, verdict: i32, from_check: bool) -> Option<i32> {
        let header = EndTransaction {
            topic: Some("t"),
            group: "pg",
            half_offset: half,
            log_offset: log,
            verdict,
            from_check: Some(from_check),
            message_id: "U1",
            transaction_id: None,
        };
        self.answer(transaction::end(&self.broker, &self.cx(), &header)).map(|frame| frame.code)
    }

    /// Time passes, and the tasks run as they do every 100 ms, only less often.
    fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.clock.advance(1_000);
            self.task.run(&self.broker, self.clock.wall_ms());
        }
    }

    fn checks(&self) -> Vec<Outgoing> {
        let got = self.client.got();
        got.into_iter().filter(|frame| frame.code == code::CHECK_TRANSACTION_STATE).collect()
    }

    fn record(&self, topic: &str, queue: i32, offset: u64) -> Bytes {
        let unit = self.broker.store.unit(topic, queue, QueueOffset(offset)).unwrap().unwrap();
        self.broker.store.record_at(unit.log_offset).unwrap().unwrap()
    }

    fn max(&self, topic: &str, queue: i32) -> u64 {
        self.broker.store.max_offset(topic, queue).0
    }
}

pub(super) fn message<'a>(
    topic: &'a str,
    text: &'a str,
    queue: i32,
    flag: i32,
    now: i64,
) -> SendMessage<'a> {
    SendMessage {
        group: "pg",
        topic,
        default_topic: Some("TBW102"),
        default_queues: Some(4),
        queue_id: queue,
        sys_flag: flag,
        born_ms: now,
        flag: 7,
        properties: Some(text),
        reconsume_times: None,
        unit_mode: None,
        max_reconsume_times: None,
        batch: None,
        broker_name: None,
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

fn number(frame: &Outgoing, key: &str) -> i64 {
    text(frame, key).parse().unwrap()
}

/// Log offset of the half copy that a send answered.
fn log_of(sent: &Outgoing) -> i64 {
    ids::parse_offset_id(&text(sent, "msgId")).unwrap().1 as i64
}

#[test]
fn a_half_message_waits_in_the_half_topic_and_is_seen_once_committed() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), START_MS);
    let sent = running.send(&[("TAGS", "a")]);
    assert_eq!((sent.code, number(&sent, "queueId"), number(&sent, "queueOffset")), (0, 3, 0));
    assert_eq!(running.max("t", 3), 0);
    let half = running.record(HALF_TOPIC, 0, 0);
    let half = RecordView::parse(&half).unwrap();
    assert_eq!(half.sys_flag().0, 1, "transaction bits are cleared, compression is kept");
    assert_eq!(half.property(key::REAL_TOPIC), Some("t"));
    assert_eq!(half.property(key::REAL_QUEUE_ID), Some("3"));
    assert_eq!(half.property(key::TRANSACTION_ID), Some("U1"));
    assert_eq!(half.property(key::TRANSACTION_PREPARED), Some("true"));
    assert_eq!(half.physical_offset(), log_of(&sent));

    assert_eq!(running.end(0, log_of(&sent), 0, false), None, "unknown gets no answer");
    assert_eq!(running.end(0, log_of(&sent), 4, false), Some(1));
    assert_eq!(running.end(1, log_of(&sent), COMMIT, false), Some(1));
    assert_eq!(running.end(0, log_of(&sent) + 1, COMMIT, false), Some(1));
    assert_eq!(running.end(0, log_of(&sent), COMMIT, false), Some(0));
    let seen = running.record("t", 3, 0);
    let seen = RecordView::parse(&seen).unwrap();
    assert_eq!(seen.sys_flag().transaction(), Transaction::Commit);
    assert_eq!(seen.prepared_transaction_offset(), half.physical_offset());
    assert_eq!((seen.body(), seen.flag()), (half.body(), half.flag()));
    assert_eq!(
        (seen.born_timestamp(), seen.born_host()),
        (half.born_timestamp(), half.born_host())
    );
    assert_eq!(seen.properties(), half.properties());
    assert_eq!(running.end(0, log_of(&sent), COMMIT, false), Some(1), "it ends once");
    assert_eq!(running.max("t", 3), 1);
}

#[test]
fn a_half_message_survives_a_kill_and_is_committed_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let killed = Running::start(dir.path(), START_MS);
    let sent = killed.send(&[]);
    drop(killed);
    let mut running = Running::start(dir.path(), START_MS + 1_000);
    assert_eq!(running.end(0, log_of(&sent), COMMIT, false), Some(0));
    assert_eq!(running.max("t", 3), 1);
    running.pass(70);
    assert!(running.checks().is_empty(), "nobody is asked about what has ended");
}

#[test]
fn after_a_kill_the_producer_is_asked_and_its_answer_counts() {
    let dir = tempfile::tempdir().unwrap();
    let killed = Running::start(dir.path(), START_MS);
    killed.send(&[]);
    drop(killed);
    let mut running = Running::start(dir.path(), START_MS + 1_000);
    running.pass(29);
    assert!(running.checks().is_empty());
    running.pass(2);
    let checks = running.checks();
    assert_eq!(checks.len(), 1);
    let check = &checks[0];
    let body = RecordView::parse(&check.body).unwrap();
    assert_eq!((body.topic(), body.queue_id(), body.body()), ("t", 3, &b"body"[..]));
    assert_eq!(body.property(key::TRANSACTION_CHECK_TIMES), Some("1"));
    assert_eq!((text(check, "msgId"), text(check, "transactionId")), ("U1".into(), "U1".into()));
    let (half, log) = (number(check, "tranStateTableOffset"), number(check, "commitLogOffset"));
    assert_eq!(half, 1, "the copy is at the tail");
    assert_eq!(body.physical_offset(), log);
    assert_eq!(running.end(half, log, COMMIT, true), Some(0));
    assert_eq!(running.max("t", 3), 1);
    running.pass(120);
    assert!(running.checks().is_empty());
    assert_eq!(running.max("t", 3), 1);
}

#[test]
fn ends_in_the_op_log_count_after_a_kill_without_written_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let mut killed = Running::start(dir.path(), START_MS);
    let kept = killed.send(&[]);
    let dropped = killed.send(&[]);
    assert_eq!(killed.end(0, log_of(&kept), COMMIT, false), Some(0));
    assert_eq!(killed.end(1, log_of(&dropped), ROLLBACK, false), Some(0));
    killed.pass(4);
    let op = killed.record(OP_HALF_TOPIC, 0, 0);
    let op = RecordView::parse(&op).unwrap();
    assert_eq!((op.body(), op.property(key::TAGS)), (&b"0,1,"[..], Some("d")));
    drop(killed);
    let mut running = Running::start(dir.path(), START_MS + 10_000);
    running.pass(100);
    assert!(running.checks().is_empty());
    assert_eq!((running.max("t", 3), running.max(HALF_TOPIC, 0)), (1, 2));
}

#[test]
fn a_clean_stop_writes_the_ends_that_wait() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), START_MS);
    let sent = running.send(&[]);
    running.end(0, log_of(&sent), ROLLBACK, false);
    assert_eq!(running.max(OP_HALF_TOPIC, 0), 0);
    transaction_check::close(&running.broker);
    assert_eq!(running.max(OP_HALF_TOPIC, 0), 1);
}

#[test]
fn an_end_for_an_older_copy_ends_the_newest_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    let sent = running.send(&[]);
    running.pass(65);
    assert_eq!(running.checks().len(), 2);
    assert_eq!(running.end(0, log_of(&sent), COMMIT, false), Some(0));
    running.pass(120);
    assert!(running.checks().is_empty(), "a slow producer is not asked again, nor heard twice");
    assert_eq!(running.max("t", 3), 1);
}

#[test]
fn an_undecided_message_is_given_up_after_the_last_check_and_can_be_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    running.send(&[]);
    running.pass(31 * 16);
    assert_eq!(running.checks().len(), 15);
    assert_eq!(running.max(HALF_TOPIC, 0), 16);
    assert_eq!(running.max(TRANS_CHECK_MAX_TOPIC, 0), 1);
    assert!(running.broker.topics.get(TRANS_CHECK_MAX_TOPIC).is_some());
    let given_up = running.record(TRANS_CHECK_MAX_TOPIC, 0, 0);
    let at = RecordView::parse(&given_up).unwrap().physical_offset();
    let id = ids::offset_id(running.broker.addr, at as u64);
    let resume = ResumeCheck { message_id: &id, topic: None };
    let answer = running.answer(transaction::resume_check(&running.broker, &resume)).unwrap();
    assert_eq!(answer.code, 0);
    running.pass(31);
    let checks = running.checks();
    assert_eq!(checks.len(), 1);
    let body = RecordView::parse(&checks[0].body).unwrap();
    assert_eq!(body.property(key::TRANSACTION_CHECK_TIMES), Some("1"));
}

#[test]
fn a_message_that_asked_for_time_does_not_hold_up_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = Running::start(dir.path(), START_MS);
    let slow = running.send(&[("CHECK_IMMUNITY_TIME_IN_SECONDS", "100")]);
    running.send(&[("UNIQ_KEY", "U2")]);
    running.pass(65);
    let asked: Vec<_> = running.checks().iter().map(|check| text(check, "msgId")).collect();
    assert_eq!(asked, ["U2", "U2"]);
    assert_eq!(running.end(0, log_of(&slow), COMMIT, false), Some(0));
    running.pass(120);
    assert!(running.checks().iter().all(|check| text(check, "msgId") == "U2"));
    assert_eq!(running.max("t", 3), 1);
}

#[test]
fn a_delay_counts_from_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), START_MS);
    let sent = running.send(&[("DELAY", "3")]);
    assert_eq!((running.max(HALF_TOPIC, 0), running.max(SCHEDULE_TOPIC, 2)), (1, 0));
    running.clock.advance(5_000);
    assert_eq!(running.end(0, log_of(&sent), COMMIT, false), Some(0));
    let unit = running.broker.store.unit(SCHEDULE_TOPIC, 2, QueueOffset(0)).unwrap().unwrap();
    assert_eq!(unit.tags_code, START_MS + 5_000 + 10_000);
}

#[test]
fn a_reply_goes_to_who_asked_and_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), START_MS);
    let (asker, refuser) = (Client::new(8, true), Client::new(9, false));
    running.online(&asker, "askers", "asker");
    running.online(&refuser, "askers", "refuser");
    let topic = "DefaultCluster_REPLY_TOPIC";
    let answer = |client: Option<&str>| {
        let mut text = String::new();
        properties::push(&mut text, key::CORRELATION_ID, "c1");
        properties::push(&mut text, key::REPLY_TO_CLIENT, client.unwrap_or_default());
        let header = message(topic, &text, 0, 0, START_MS);
        let body = Bytes::from_static(b"answer");
        running.answer(reply::reply(&running.broker, &running.cx(), &header, &body)).unwrap()
    };
    let done = answer(Some("asker"));
    assert_eq!((done.code, number(&done, "queueOffset")), (0, 0));
    let pushed = asker.got().pop().unwrap();
    assert_eq!(pushed.code, code::PUSH_REPLY_MESSAGE_TO_CLIENT);
    assert_eq!(&pushed.body[..], b"answer");
    assert_eq!(text(&pushed, "bornHost"), "127.0.0.1:4711");
    let told = text(&pushed, "properties");
    assert_eq!(properties::get(&told, key::CORRELATION_ID), Some("c1"));
    assert!(properties::get(&told, key::PUSH_REPLY_TIME).is_some());
    let stored = running.record(topic, 0, 0);
    assert_eq!(RecordView::parse(&stored).unwrap().property(key::PUSH_REPLY_TIME), None);
    for client in [Some("refuser"), Some("nobody"), None] {
        assert_eq!(answer(client).code, 1, "{client:?}");
    }
    assert_eq!(running.max(topic, 0), 4, "stored whether it arrived or not");
}
