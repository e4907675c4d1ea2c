//! The store against a model of a few lines: random operations, restarts, kills and power cuts.
//!
//! Laws: what was acknowledged is read, in order, without holes; a power cut takes only what was not
//! flushed, from the end; no file of positions is ever ahead of the log (architecture.md §9, §11).

#![allow(clippy::unwrap_used)] // all of this is tests

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::ManualClock;
use engine::protocol::record::{RecordBuilder, RecordView};
use engine::protocol::sys_flag::SysFlag;
use engine::store::test_storage::TestStorage;
use engine::store::{
    Append, FlushMode, Match, OpenMode, QueueOffset, ReadLimit, ReadStatus, Storage, Store,
    StoreConfig, UnitKind,
};
use proptest::prelude::*;

const POSITIONS: &str = "consumerOffset.json";

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many messages into one queue of two topics.
    Append { queue: usize, count: u8, len: u16 },
    /// A batch into one queue.
    Batch { queue: usize, count: u8 },
    /// One turn of the flush, disk and index threads.
    Turn { ms: u16 },
    /// Positions are to be written.
    Positions,
    /// The process is killed.
    Kill,
    /// The power fails; the number chooses the pages that survive.
    PowerCut { seed: u64 },
    /// A clean stop.
    Restart,
    /// Everything but the last log files expires.
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..4, 1u8..30, 0u16..2000)
            .prop_map(|(queue, count, len)| Step::Append { queue, count, len }),
        1 => (0usize..4, 1u8..20).prop_map(|(queue, count)| Step::Batch { queue, count }),
        4 => (0u16..6000).prop_map(|ms| Step::Turn { ms }),
        1 => Just(Step::Positions),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(|seed| Step::PowerCut { seed }),
        1 => Just(Step::Restart),
        1 => Just(Step::Expire),
    ]
}

/// One message of the model.
#[derive(Clone, Debug, PartialEq)]
struct Message {
    body: Vec<u8>,
    end: u64,
}

#[derive(Default)]
struct Model {
    /// Queue to messages by queue offset; those that expired are gone.
    queues: BTreeMap<usize, BTreeMap<u64, Message>>,
    count: u64,
}

struct World {
    storage: TestStorage,
    clock: Arc<ManualClock>,
    config: StoreConfig,
    store: Option<Store>,
    model: Model,
}

fn name(queue: usize) -> (&'static str, i32) {
    (if queue < 2 { "T" } else { "%RETRY%g" }, (queue % 2) as i32)
}

impl World {
    fn new(flush: FlushMode) -> Self {
        let config = StoreConfig {
            root: "/data".into(),
            file_size: 80_000,
            queue_file_size: 400,
            index_slots: 20,
            index_units: 100,
            max_message_size: 8_000,
            file_reserved_ms: 1_000_000_000,
            delete_hours: Vec::new(),
            flush,
            ..StoreConfig::default()
        };
        let mut world = Self {
            storage: TestStorage::new(),
            clock: Arc::new(ManualClock::at(1_700_000_000_000)),
            config,
            store: None,
            model: Model::default(),
        };
        world.open();
        world
    }

    fn open(&mut self) {
        let clock: Arc<dyn engine::clock::Clock> = Arc::<ManualClock>::clone(&self.clock);
        let store = Store::open(Arc::new(self.storage.clone()), self.config.clone(), clock);
        self.store = Some(store.expect("the directory opens"));
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("open between steps")
    }

    fn append(&mut self, queue: usize, bodies: Vec<Vec<u8>>) {
        let (topic, id) = name(queue);
        let host = "127.0.0.1:10911".parse().expect("an address");
        let mut records: Vec<_> = bodies
            .iter()
            .map(|body| {
                let key = format!("UNIQ_KEY\u{1}u{}\u{2}", self.model.count);
                self.model.count += 1;
                RecordBuilder {
                    topic,
                    queue_id: id,
                    flag: 0,
                    sys_flag: SysFlag(0),
                    born_timestamp: 1,
                    born_host: host,
                    store_host: host,
                    reconsume_times: 0,
                    prepared_transaction_offset: 0,
                    body,
                    properties: &key,
                }
                .encode()
                .expect("within limits")
            })
            .collect();
        let sizes: Vec<u64> = records.iter().map(|record| record.len() as u64).collect();
        let more = records.split_off(1).into_iter().map(|record| (record, 0)).collect();
        let appended = self.store().append_now(Append {
            topic: Arc::from(topic),
            queue_id: id,
            record: records.remove(0),
            tags_code: 0,
            more,
            kind: UnitKind::Message,
            delay_ms: None,
            wait: true,
            done: Box::new(|_| {}),
        });
        assert!(appended.is_stored(), "{appended:?}");
        let starts: Vec<u64> = appended.offsets().map(|offset| offset.0).collect();
        for (index, body) in bodies.into_iter().enumerate() {
            let end = starts[index] + sizes[index];
            let offset = appended.queue_offset.0 + index as u64;
            let old =
                self.model.queues.entry(queue).or_default().insert(offset, Message { body, end });
            assert_eq!(old, None, "queue offset {offset} of {topic}/{id} was given twice");
        }
    }

    fn read_all(&self, queue: usize) -> BTreeMap<u64, Vec<u8>> {
        let (topic, id) = name(queue);
        let limit = ReadLimit { messages: 7, bytes: 5_000, scan_units: 50 };
        let mut from = self.store().min_offset(topic, id);
        let mut found = BTreeMap::new();
        loop {
            let read = self
                .store()
                .read(topic, id, from, limit, &mut |_| Match::Take, &mut |_| true)
                .expect("readable");
            for record in &read.records {
                let view = RecordView::parse(record).expect("a whole record");
                assert_eq!((view.topic(), view.queue_id()), (topic, id));
                assert!(view.crc_matches());
                let old = found.insert(view.queue_offset() as u64, view.body().to_vec());
                assert_eq!(old, None, "a queue offset twice");
            }
            match read.status {
                ReadStatus::AtEnd | ReadStatus::Empty | ReadStatus::NoQueue => return found,
                _ => assert!(read.next_offset > from, "no progress: {read:?}"),
            }
            from = read.next_offset;
        }
    }

    /// Everything the model has is there, and nothing else.
    fn check(&self) {
        let visible = self.store().positions().visible.0;
        for queue in 0..4 {
            let empty = BTreeMap::new();
            let messages = self.model.queues.get(&queue).unwrap_or(&empty);
            let seen = messages.iter().filter(|(_, message)| message.end <= visible);
            let expected: BTreeMap<u64, Vec<u8>> =
                seen.map(|(offset, message)| (*offset, message.body.clone())).collect();
            let found = self.read_all(queue);
            assert_eq!(
                found.keys().collect::<Vec<_>>(),
                expected.keys().collect::<Vec<_>>(),
                "offsets of queue {queue}"
            );
            assert!(found == expected, "bodies of queue {queue}");
        }
    }

    /// After a power cut: nothing that was flushed is missing, what is missing is the end of the log.
    fn shrink(&mut self, flushed: u64) {
        let end = self.store().positions().written.0;
        // Behind the last record of a file there may be nothing but its end marker.
        let messages = self.model.queues.values().flat_map(BTreeMap::values);
        let lost = messages.map(|m| m.end).find(|at| *at <= flushed && *at > end);
        assert_eq!(
            lost, None,
            "the log ends at {end}, a message before the flushed {flushed} is gone"
        );
        for messages in self.model.queues.values_mut() {
            messages.retain(|_, message| message.end <= end);
        }
    }

    fn positions_are_not_ahead(&self, flushed: u64) {
        let path = Path::new("/data/config").join(POSITIONS);
        let Ok(file) = self.storage.open(&path, OpenMode::Existing) else { return };
        let mut bytes = Vec::new();
        file.read_at(&mut bytes, 100, 0).expect("readable");
        let noted: u64 = String::from_utf8_lossy(&bytes).parse().expect("a number");
        assert!(noted <= flushed, "positions at {noted} are ahead of {flushed}");
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Append { queue, count, len } => {
                for number in 0..count {
                    self.append(queue, vec![vec![number; usize::from(len)]]);
                }
            }
            Step::Batch { queue, count } => {
                self.append(queue, (0..count).map(|number| vec![number; 20]).collect());
            }
            Step::Turn { ms } => {
                self.clock.advance(i64::from(ms));
                self.store().flush_turn(Duration::ZERO);
                self.store().disk_turn(Duration::ZERO);
                self.store().index_turn(Duration::ZERO);
                self.positions_are_not_ahead(self.store().positions().flushed.0);
            }
            Step::Positions => {
                let end = self.store().positions().written.0;
                self.store().write_positions(POSITIONS, end.to_string().into_bytes());
            }
            Step::Kill => {
                self.storage = self.storage.kill();
                self.open();
            }
            Step::PowerCut { mut seed } => {
                let flushed = self.store().positions().flushed.0;
                self.storage = self.storage.power_cut(|| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (seed >> 33) & 1 == 1
                });
                self.open();
                self.positions_are_not_ahead(self.store().positions().written.0);
                self.shrink(flushed);
            }
            Step::Restart => {
                self.store().close().expect("a clean stop");
                self.storage = self.storage.kill();
                self.open();
                assert!(self.store().recovered().fast, "the snapshot is used");
            }
            Step::Expire => self.expire(),
        }
        self.check();
    }

    fn expire(&mut self) {
        self.clock.advance(1_000_000_001);
        // Something must follow for the last full file to be older than it.
        self.append(0, vec![b"after".to_vec()]);
        self.store().flush_now().expect("no fault was ordered");
        self.store().delete_expired().expect("removable");
        let min = self.store().positions().min.0;
        for (queue, messages) in &mut self.model.queues {
            messages.retain(|_, message| message.end > min);
            let (topic, id) = name(*queue);
            let first = self.store.as_ref().expect("open").min_offset(topic, id);
            if let Some(offset) = messages.keys().next() {
                assert_eq!(first, QueueOffset(*offset), "min of {topic}/{id}");
            }
        }
    }
}

fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    // `PROPTEST_CASES` asks for more; a failing case is printed, not left in a file.
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { 96 };
    ProptestConfig { cases, max_shrink_iters: 400, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_store_agrees_with_its_model(
        sync in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut world = World::new(if sync { FlushMode::Sync } else { FlushMode::Async });
        for step in steps {
            world.run(step);
        }
        // Every message that is still there is found by its key.
        let visible = world.store().positions().visible;
        let hits = world.store().query_key("T", "u0", 64, 0, i64::MAX).expect("readable");
        prop_assert!(hits.offsets.iter().all(|offset| *offset < visible));
    }
}
