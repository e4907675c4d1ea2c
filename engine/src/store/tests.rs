//! The store from its door: what was appended is read, in every state a directory can be in.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::test_storage::{Faults, TestStorage};
use super::*;
use crate::clock::ManualClock;
use crate::protocol::java_hash;
use crate::protocol::record::{RecordBuf, RecordBuilder, RecordView};
use crate::protocol::sys_flag::SysFlag;

const T0: i64 = 1_700_000_000_000;

struct Bench {
    storage: TestStorage,
    clock: Arc<ManualClock>,
    config: StoreConfig,
    store: Store,
}

fn small() -> StoreConfig {
    StoreConfig {
        root: "/data".into(),
        file_size: 100_000,
        queue_file_size: 400,
        index_slots: 50,
        index_units: 200,
        max_message_size: 8_000,
        ..StoreConfig::default()
    }
}

fn open(storage: &TestStorage, config: &StoreConfig, clock: &Arc<ManualClock>) -> Store {
    let clock: Arc<dyn crate::clock::Clock> = Arc::<ManualClock>::clone(clock);
    Store::open(Arc::new(storage.clone()), config.clone(), clock).unwrap()
}

impl Bench {
    fn new(config: StoreConfig) -> Self {
        let storage = TestStorage::new();
        let clock = Arc::new(ManualClock::at(T0));
        let store = open(&storage, &config, &clock);
        Self { storage, clock, config, store }
    }

    /// Opens what another storage holds, after whatever was done to it.
    fn reopen(self, storage: TestStorage) -> Self {
        drop(self.store);
        let store = open(&storage, &self.config, &self.clock);
        Self { storage, store, ..self }
    }

    fn put(&self, topic: &str, queue: i32, body: &str) -> Appended {
        self.store.append_now(message(topic, queue, body, "TAGS\u{1}a\u{2}"))
    }

    fn bodies(&self, topic: &str, queue: i32) -> Vec<String> {
        let mut from = self.store.min_offset(topic, queue);
        let mut bodies = Vec::new();
        loop {
            let read = read_from(&self.store, topic, queue, from);
            if read.status != ReadStatus::Found {
                return bodies;
            }
            bodies.extend(read.records.iter().map(|record| {
                String::from_utf8_lossy(RecordView::parse(record).unwrap().body()).into_owned()
            }));
            from = read.next_offset;
        }
    }

    fn turn(&self) {
        self.clock.advance(6_000);
        self.store.flush_turn(Duration::ZERO);
        self.store.disk_turn(Duration::ZERO);
    }
}

fn read_from(store: &Store, topic: &str, queue: i32, from: QueueOffset) -> Read {
    let limit = ReadLimit { messages: 32, bytes: 1 << 18, scan_units: 800 };
    store.read(topic, queue, from, limit, &mut |_| Match::Take, &mut |_| true).unwrap()
}

fn record(topic: &str, queue: i32, body: &str, properties: &str) -> RecordBuf {
    let host = "127.0.0.1:10911".parse().unwrap();
    RecordBuilder {
        topic,
        queue_id: queue,
        flag: 0,
        sys_flag: SysFlag(0),
        born_timestamp: T0,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: body.as_bytes(),
        properties,
    }
    .encode()
    .unwrap()
}

fn message(topic: &str, queue: i32, body: &str, properties: &str) -> Append {
    let tag = crate::protocol::properties::get(properties, "TAGS");
    Append {
        topic: Arc::from(topic),
        queue_id: queue,
        record: record(topic, queue, body, properties),
        tags_code: java_hash::tag_code(tag),
        more: Vec::new(),
        kind: UnitKind::Message,
        delay_ms: None,
        wait: true,
        done: Box::new(|_| {}),
    }
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn what_was_appended_is_read_over_file_ends_and_restarts() {
    let mut bench = Bench::new(small());
    for number in 0..3000 {
        let appended = bench.put("T", number % 2, &number.to_string());
        assert_eq!(appended.status, PutStatus::Ok);
        assert_eq!(appended.queue_offset, QueueOffset(u64::from(number as u32 / 2)));
        if number % 700 == 0 {
            bench.turn();
        }
    }
    let even: Vec<String> = numbers(0..3000).into_iter().step_by(2).collect();
    assert_eq!(bench.bodies("T", 0), even);
    for clean in [true, false, true] {
        if clean {
            bench.store.close().unwrap();
        }
        let storage = bench.storage.kill();
        bench = bench.reopen(storage);
        assert_eq!(bench.store.recovered().abnormal, !clean);
        assert_eq!(bench.store.recovered().fast, clean);
        assert_eq!(bench.bodies("T", 0), even);
        assert_eq!(bench.store.max_offset("T", 1), QueueOffset(1500));
    }
    assert_eq!(bench.put("T", 0, "next").queue_offset, QueueOffset(1500));
}

#[test]
fn files_have_the_names_and_lengths_that_apache_wants() {
    let bench = Bench::new(small());
    for number in 0..1200 {
        bench.put("T", 0, &number.to_string());
        if number % 100 == 0 {
            bench.turn();
        }
    }
    bench.store.close().unwrap();
    for path in bench.storage.paths() {
        let dir = path.parent().unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let len = bench.storage.open(&path, OpenMode::Existing).unwrap().len().unwrap();
        if dir == Path::new("/data/commitlog") {
            assert_eq!((name.len(), len), (20, 100_000), "{name}");
            assert!(name.parse::<u64>().unwrap().is_multiple_of(100_000));
        } else if dir == Path::new("/data/consumequeue/T/0") {
            assert_eq!((name.len(), len), (20, 400), "{name}");
        } else if dir == Path::new("/data/index") {
            assert_eq!((name.len(), len), (17, 40 + 50 * 4 + 200 * 20), "{name}");
        }
    }
    let paths = bench.storage.paths();
    assert!(!paths.contains(&"/data/abort".into()));
    assert!(paths.contains(&"/data/checkpoint".into()));
    assert_eq!(paths.iter().filter(|p| p.starts_with("/data/consumequeue")).count(), 60);
}

#[test]
fn a_batch_gets_consecutive_offsets_in_one_file() {
    let bench = Bench::new(small());
    while bench.store.positions().written.0 < 99_500 {
        bench.put("T", 0, "fill");
    }
    let first = bench.store.max_offset("T", 0);
    let mut batch = message("T", 0, "b0", "");
    let more = |n: u32| (record("T", 0, &format!("b{n}"), ""), 0);
    batch.more = (1..6).map(more).collect();
    let appended = bench.store.append_now(batch);
    assert_eq!(appended.queue_offset, first);
    assert_eq!(appended.physical, LogOffset(100_000));
    assert_eq!(appended.offsets().count(), 6);
    for offset in appended.offsets() {
        assert!(bench.store.record_at(offset).unwrap().is_some());
    }
    assert_eq!(
        bench.bodies("T", 0).split_off(first.0 as usize),
        ["b0", "b1", "b2", "b3", "b4", "b5"]
    );
}

#[test]
fn under_sync_flush_nothing_is_visible_before_it_is_flushed() {
    let bench = Bench::new(StoreConfig { flush: FlushMode::Sync, ..small() });
    let told = Arc::new(AtomicUsize::new(0));
    let arrived = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&arrived);
    bench.store.on_arrival(Box::new(move |arrivals| {
        count.fetch_add(arrivals.len(), Ordering::SeqCst);
    }));
    for wait in [true, false] {
        let count = Arc::clone(&told);
        let done: Done = Box::new(move |appended| {
            assert_eq!(appended.status, PutStatus::Ok);
            count.fetch_add(1, Ordering::SeqCst);
        });
        bench.store.submit(vec![Append { wait, done, ..message("T", 0, "x", "") }]);
    }
    assert_eq!(bench.store.commit(), 2);
    let seen = || (told.load(Ordering::SeqCst), arrived.load(Ordering::SeqCst));
    assert_eq!(seen(), (1, 0), "only who does not wait is told");
    assert_eq!(bench.store.max_offset("T", 0), QueueOffset(0));
    assert_eq!(read_from(&bench.store, "T", 0, QueueOffset(0)).status, ReadStatus::Empty);
    assert!(bench.store.record_at(LogOffset(0)).unwrap().is_none());
    bench.store.flush_turn(Duration::ZERO);
    assert_eq!(seen(), (2, 2));
    assert_eq!(bench.store.max_offset("T", 0), QueueOffset(2));
    assert_eq!(bench.bodies("T", 0), ["x", "x"]);
}

#[test]
fn a_slow_disk_is_told_after_the_limit_and_the_message_stays() {
    let bench = Bench::new(StoreConfig { flush: FlushMode::Sync, ..small() });
    let told = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&told);
    let done: Done = Box::new(move |appended| *slot.lock().unwrap() = Some(appended.status));
    bench.store.submit(vec![Append { done, ..message("T", 0, "x", "") }]);
    bench.store.commit();
    // The flush thread is inside `fdatasync`; another turn only looks at the clock.
    let sync = bench.store.flushing.lock().unwrap();
    bench.clock.advance(5_001);
    bench.store.finish_late();
    assert_eq!(*told.lock().unwrap(), Some(PutStatus::FlushTimeout));
    drop(sync);
    bench.store.flush_turn(Duration::ZERO);
    assert_eq!(bench.bodies("T", 0), ["x"]);
}

#[test]
fn after_a_failed_sync_the_log_stops_and_the_mark_stays() {
    let bench = Bench::new(StoreConfig { flush: FlushMode::Sync, ..small() });
    assert_eq!(bench.put("T", 0, "kept").status, PutStatus::Ok);
    bench.storage.set_faults(Faults { sync: Some("/data/commitlog".into()), ..Faults::default() });
    assert_eq!(bench.put("T", 0, "lost").status, PutStatus::Stopped);
    bench.storage.set_faults(Faults::default());
    assert_eq!(bench.put("T", 0, "refused").status, PutStatus::Stopped);
    assert!(matches!(bench.store.close(), Err(StoreError::Stopped { .. })));
    assert!(bench.storage.paths().contains(&"/data/abort".into()));
    assert!(bench.storage.paths().contains(&"/data/mqdeck.unsynced".into()));
    let storage = bench.storage.kill();
    let bench = bench.reopen(storage);
    assert!(bench.store.recovered().abnormal);
    // It was in the page cache, is written again, and may come: nobody was told that it was lost.
    assert_eq!(bench.bodies("T", 0), ["kept", "lost"]);
    assert!(!bench.storage.paths().contains(&"/data/mqdeck.unsynced".into()));
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let bench = Bench::new(small());
    bench.put("T", 0, "a");
    bench.storage.set_faults(Faults { write: Some("/data/commitlog".into()), ..Faults::default() });
    assert_eq!(bench.put("T", 0, "b").status, PutStatus::DiskFull);
    bench.storage.set_faults(Faults::default());
    assert_eq!(bench.put("T", 0, "b").status, PutStatus::DiskFull, "until there is room again");
    bench.turn();
    assert_eq!(bench.put("T", 0, "c").queue_offset, QueueOffset(1));
    let storage = bench.storage.kill();
    let bench = bench.reopen(storage);
    assert_eq!(bench.bodies("T", 0), ["a", "c"]);
}

#[test]
fn full_disk_refuses_writes_and_serves_reads() {
    let bench = Bench::new(small());
    bench.put("T", 0, "a");
    bench.storage.set_faults(Faults { free: Some(1 << 20), ..Faults::default() });
    bench.turn();
    assert_eq!(bench.put("T", 0, "b").status, PutStatus::DiskFull);
    assert!(bench.store.stats().refusing);
    assert_eq!(bench.bodies("T", 0), ["a"]);
    bench.storage.set_faults(Faults::default());
    bench.turn();
    assert_eq!(bench.put("T", 0, "c").status, PutStatus::Ok);
}

#[test]
fn limits_are_answered_at_once() {
    let bench = Bench::new(small());
    let large = "x".repeat(8_000 + 65_536);
    assert_eq!(bench.put("T", 0, &large).status, PutStatus::TooLarge);
    assert_eq!(bench.put("../T", 0, "x").status, PutStatus::Failed);
    let busy = Arc::new(AtomicUsize::new(0));
    let items = (0..10_003).map(|_| {
        let count = Arc::clone(&busy);
        let done: Done = Box::new(move |appended| {
            count.fetch_add(usize::from(appended.status == PutStatus::Busy), Ordering::SeqCst);
        });
        Append { done, ..message("T", 0, "x", "") }
    });
    bench.store.submit(items.collect());
    assert_eq!(busy.load(Ordering::SeqCst), 3);
    assert_eq!(bench.store.commit(), 512, "one group at a time");
    while bench.store.commit() > 0 {}
    assert_eq!(bench.store.max_offset("T", 0), QueueOffset(10_000));
}

#[test]
fn offsets_outside_of_the_queue_are_told_apart() {
    let bench = Bench::new(small());
    for _ in 0..3 {
        bench.put("T", 0, "x");
    }
    let status = |offset| {
        let read = read_from(&bench.store, "T", 0, QueueOffset(offset));
        (read.status, read.next_offset.0)
    };
    assert_eq!(status(3), (ReadStatus::AtEnd, 3));
    assert_eq!(status(4), (ReadStatus::BeyondEnd, 3));
    assert_eq!(status(u64::MAX), (ReadStatus::BelowMin, 0));
    assert_eq!(status(2), (ReadStatus::Found, 3));
    let read = read_from(&bench.store, "T", 9, QueueOffset(5));
    assert_eq!((read.status, read.next_offset.0), (ReadStatus::NoQueue, 0));
}

#[test]
fn filters_skip_units_and_may_ask_for_the_record() {
    let bench = Bench::new(small());
    for number in 0..100 {
        bench.put("T", 0, &number.to_string());
    }
    let limit = ReadLimit { messages: 3, bytes: 1 << 18, scan_units: 60 };
    let mut units = 0;
    let read = bench
        .store
        .read(
            "T",
            0,
            QueueOffset(0),
            limit,
            &mut |_| {
                units += 1;
                Match::NeedRecord
            },
            &mut |view| view.body().ends_with(b"7"),
        )
        .unwrap();
    let bodies: Vec<_> =
        read.records.iter().map(|r| RecordView::parse(r).unwrap().body().to_vec()).collect();
    assert_eq!(bodies, [b"7".to_vec(), b"17".to_vec(), b"27".to_vec()]);
    assert!(read.next_offset.0 >= 28);
    let read = bench
        .store
        .read("T", 0, QueueOffset(0), limit, &mut |_| Match::Skip, &mut |_| true)
        .unwrap();
    assert_eq!((read.status, read.next_offset.0), (ReadStatus::NoMatched, 60));
}

#[test]
fn the_first_message_is_taken_whatever_its_size_and_the_byte_limit_ends_a_read() {
    let bench = Bench::new(small());
    for _ in 0..5 {
        bench.put("T", 0, &"x".repeat(1000));
    }
    let read = |bytes| {
        let limit = ReadLimit { messages: 32, bytes, scan_units: 800 };
        let read = bench
            .store
            .read("T", 0, QueueOffset(0), limit, &mut |_| Match::Take, &mut |_| true)
            .unwrap();
        (read.records.len(), read.next_offset.0)
    };
    assert_eq!(read(10), (1, 1));
    assert_eq!(read(2_500), (2, 2));
    assert_eq!(read(1 << 20), (5, 5));
}

#[test]
fn offsets_by_time_follow_the_table() {
    let bench = Bench::new(small());
    let by_time =
        |time, boundary| bench.store.offset_by_time("T", 0, T0 + time, boundary).unwrap().0;
    assert_eq!(by_time(0, Boundary::Lower), 0, "unknown queue");
    // Times 100, 200, 200, 300.
    for (step, _) in [(100, 0), (100, 1), (0, 2), (100, 3)] {
        bench.clock.advance(step);
        bench.put("T", 0, "x");
    }
    let table = [(200, 1, 2), (150, 1, 0), (250, 3, 2), (50, 0, 0), (300, 3, 3), (400, 4, 3)];
    for (time, lower, upper) in table {
        assert_eq!(by_time(time, Boundary::Lower), lower, "lower of {time}");
        assert_eq!(by_time(time, Boundary::Upper), upper, "upper of {time}");
    }
    assert_eq!(bench.store.store_time("T", 0, QueueOffset(2)).unwrap(), Some(T0 + 200));
    assert_eq!(bench.store.earliest_time().unwrap(), Some(T0 + 100));
}

#[test]
fn messages_are_found_by_their_keys_also_after_the_index_was_lost() {
    let mut bench = Bench::new(small());
    for number in 0..300 {
        bench.clock.advance(1000);
        let text = format!("UNIQ_KEY\u{1}u{number}\u{2}KEYS\u{1}k{} all\u{2}", number % 7);
        bench.store.append_now(message("T", 0, "x", &text));
    }
    for round in 0..4 {
        let found = bench.store.query_key("T", "u299", 32, 0, i64::MAX).unwrap();
        assert_eq!(found.offsets.len(), 1, "round {round}");
        let bytes = bench.store.record_at(found.offsets[0]).unwrap().unwrap();
        assert_eq!(RecordView::parse(&bytes).unwrap().property("UNIQ_KEY"), Some("u299"));
        assert_eq!(bench.store.query_key("T", "all", 100, 0, i64::MAX).unwrap().offsets.len(), 64);
        assert!(bench.store.query_key("T", "none", 9, 0, i64::MAX).unwrap().offsets.is_empty());
        let (from, to) = (T0 + 100_000, T0 + 103_500);
        assert_eq!(bench.store.query_key("T", "all", 64, from, to).unwrap().offsets.len(), 4);
        let storage = match round {
            0 => bench.storage.kill(),
            1 => {
                bench.store.close().unwrap();
                let storage = bench.storage.kill();
                storage.remove_dir(Path::new("/data/index")).unwrap();
                storage
            }
            _ => {
                bench.store.close().unwrap();
                bench.storage.kill()
            }
        };
        bench = bench.reopen(storage);
    }
}

#[test]
fn positions_are_written_only_when_the_log_is_durable_that_far() {
    let bench = Bench::new(small());
    bench.put("T", 0, "x");
    bench.store.write_positions("consumerOffset.json", b"{}".to_vec());
    bench.store.disk_turn(Duration::ZERO);
    assert_eq!(bench.store.read_json("consumerOffset.json").unwrap(), None);
    bench.store.flush_now().unwrap();
    bench.store.disk_turn(Duration::ZERO);
    assert_eq!(bench.store.read_json("consumerOffset.json").unwrap().unwrap(), b"{}");
}

#[test]
fn submitted_files_are_written_once_and_everybody_is_told() {
    let bench = Bench::new(small());
    let told = Arc::new(AtomicUsize::new(0));
    for text in ["1", "2"] {
        let count = Arc::clone(&told);
        let done: JsonDone = Box::new(move |result| {
            result.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
        });
        bench.store.submit_json("topics.json", text.into(), done);
    }
    bench.store.disk_turn(Duration::ZERO);
    assert_eq!(told.load(Ordering::SeqCst), 2);
    assert_eq!(bench.store.read_json("topics.json").unwrap().unwrap(), b"2");
}

#[test]
fn a_directory_is_opened_once_and_only_with_its_geometry() {
    let bench = Bench::new(small());
    let again = |config: StoreConfig| {
        let clock = Arc::new(ManualClock::at(T0));
        Store::open(Arc::new(bench.storage.clone()), config, clock).map(drop)
    };
    assert!(matches!(again(small()), Err(StoreError::Locked { .. })));
    bench.put("T", 0, "x");
    bench.store.close().unwrap();
    let storage = bench.storage.kill();
    let before = storage.paths();
    let other = |config: StoreConfig| {
        let clock = Arc::new(ManualClock::at(T0));
        Store::open(Arc::new(storage.clone()), config, clock).map(drop)
    };
    let wrong = [
        StoreConfig { file_size: 200_000, ..small() },
        StoreConfig { queue_file_size: 800, ..small() },
        StoreConfig { delay_levels_ms: vec![1], ..small() },
        StoreConfig { broker_name: "other".into(), ..small() },
    ];
    for config in wrong {
        assert!(matches!(other(config), Err(StoreError::Geometry { .. })));
        assert_eq!(storage.paths(), before, "nothing was changed");
    }
    other(small()).unwrap();
}

#[test]
fn expired_files_go_with_their_units_and_numbering_goes_on() {
    let bench = Bench::new(small());
    for _ in 0..2000 {
        bench.put("T", 0, "x");
    }
    bench.put("U", 0, "only at the start");
    bench.turn();
    assert_eq!(bench.store.delete_expired().unwrap(), 0);
    bench.clock.advance(73 * 3_600_000);
    bench.put("T", 0, "y");
    let min = bench.store.positions().min;
    let files = bench.store.delete_expired().unwrap();
    assert!(files >= 1, "{files} files");
    let after = bench.store.positions().min;
    assert!(after > min);
    let first = bench.store.min_offset("T", 0);
    assert!(first.0 > 0);
    let unit = bench.store.unit("T", 0, first).unwrap().unwrap();
    assert!(unit.log_offset >= after);
    assert_eq!(bench.store.max_offset("T", 0), QueueOffset(2001));
    let read = read_from(&bench.store, "T", 0, QueueOffset(0));
    assert_eq!((read.status, read.next_offset), (ReadStatus::BelowMin, first));
    bench.store.close().unwrap();
    let storage = bench.storage.kill();
    let bench = bench.reopen(storage);
    assert_eq!(bench.store.min_offset("T", 0), first);
    assert_eq!(bench.put("T", 0, "z").queue_offset, QueueOffset(2001));
}

#[test]
fn a_deleted_topic_starts_again_at_zero() {
    let bench = Bench::new(small());
    bench.put("T", 0, "x");
    bench.turn();
    bench.put("T", 0, "x");
    bench.store.delete_topic("T").unwrap();
    assert!(bench.store.queues("T").is_empty());
    bench.turn();
    assert!(!bench.storage.paths().iter().any(|path| path.starts_with("/data/consumequeue/T")));
    assert_eq!(bench.put("T", 0, "y").queue_offset, QueueOffset(0));
}

#[test]
fn delayed_and_half_messages_have_their_units_and_none() {
    let bench = Bench::new(small());
    let delayed = Append { delay_ms: Some(5000), ..message("SCHEDULE_TOPIC_XXXX", 1, "d", "") };
    bench.store.append_now(delayed);
    let unit = bench.store.unit("SCHEDULE_TOPIC_XXXX", 1, QueueOffset(0)).unwrap().unwrap();
    assert_eq!(unit.tags_code, T0 + 5000);
    let half = Append { kind: UnitKind::NoUnit, ..message("T", 0, "p", "") };
    let appended = bench.store.append_now(half);
    assert!(appended.is_stored());
    assert_eq!(bench.store.max_offset("T", 0), QueueOffset(0));
    assert!(bench.store.record_at(appended.physical).unwrap().is_some());
}

#[test]
fn the_real_disk_keeps_everything_while_all_threads_run() {
    const WRITERS: i32 = 4;
    const EACH: usize = 500;
    for flush in [FlushMode::Async, FlushMode::Sync] {
        let dir = tempfile::tempdir().unwrap();
        let config =
            StoreConfig { root: dir.path().to_owned(), flush, disk_free_min: 0, ..small() };
        let open = || {
            let clock = Arc::new(crate::clock::SystemClock::new());
            Store::open(Arc::new(Disk), config.clone(), clock).unwrap()
        };
        let store = open();
        let tick = Duration::from_millis(1);
        std::thread::scope(|scope| {
            scope.spawn(|| while store.flush_turn(tick) {});
            scope.spawn(|| while store.disk_turn(tick) {});
            scope.spawn(|| while store.index_turn(tick) {});
            let writers: Vec<_> = (0..WRITERS)
                .map(|queue| {
                    let store = &store;
                    scope.spawn(move || {
                        for number in 0..EACH {
                            let text = format!("UNIQ_KEY\u{1}u{queue}-{number}\u{2}");
                            let body = number.to_string();
                            let told = store.append_now(message("T", queue, &body, &text));
                            assert_eq!(told.status, PutStatus::Ok);
                            assert_eq!(told.queue_offset, QueueOffset(number as u64));
                        }
                    })
                })
                .collect();
            for writer in writers {
                writer.join().unwrap();
            }
            store.end_threads();
        });
        store.close().unwrap();
        drop(store);
        let store = open();
        assert!(store.recovered().fast);
        for queue in 0..WRITERS {
            assert_eq!(store.max_offset("T", queue), QueueOffset(EACH as u64));
            let read = read_from(&store, "T", queue, QueueOffset(EACH as u64 - 1));
            assert_eq!(RecordView::parse(&read.records[0]).unwrap().body(), b"499");
            let key = format!("u{queue}-7");
            assert_eq!(store.query_key("T", &key, 9, 0, i64::MAX).unwrap().offsets.len(), 1);
        }
    }
}

#[test]
fn a_read_that_may_not_wait_is_cold_or_the_same() {
    let bench = Bench::new(small());
    for number in 0..40 {
        bench.put("T", 0, &number.to_string());
    }
    bench.turn();
    let limit = ReadLimit { messages: 32, bytes: 1 << 18, scan_units: 800 };
    let read = |wait| {
        let reads = bench.store.reads(wait);
        reads.read("T", 0, QueueOffset(3), limit, &mut |_| Match::Take, &mut |_| true)
    };
    let waited = read(Wait::Yes).unwrap();
    assert_eq!(read(Wait::No).unwrap().records, waited.records);
    let at = bench.store.unit("T", 0, QueueOffset(3)).unwrap().unwrap().log_offset;
    for cold in ["/data/commitlog", "/data/consumequeue"] {
        let cold = Some(std::path::PathBuf::from(cold));
        bench.storage.set_faults(Faults { cold, ..Faults::default() });
        assert!(matches!(read(Wait::No), Err(StoreError::Cold)));
        assert_eq!(read(Wait::Yes).unwrap().records, waited.records);
    }
    assert!(bench.store.reads(Wait::No).record_at(at).unwrap().is_some());
    let cold = Some("/data".into());
    bench.storage.set_faults(Faults { cold, ..Faults::default() });
    assert!(matches!(bench.store.reads(Wait::No).record_at(at), Err(StoreError::Cold)));
    assert!(bench.store.record_at(at).unwrap().is_some());
}

#[test]
fn nothing_is_opened_for_a_read_that_may_not_wait() {
    let mut bench = Bench::new(small());
    bench.put("T", 0, "0");
    bench.turn();
    let storage = bench.storage.kill();
    bench = bench.reopen(storage);
    for number in 0..3 {
        bench.put("T", 1, &number.to_string());
    }
    let reads = bench.store.reads(Wait::No);
    let first = reads.unit("T", 0, QueueOffset(0));
    // Recovery may have left the file open; if not, one read that waits opens it for all.
    assert!(matches!(first, Err(StoreError::Cold) | Ok(Some(_))));
    assert!(bench.store.unit("T", 0, QueueOffset(0)).unwrap().is_some());
    assert!(reads.unit("T", 0, QueueOffset(0)).unwrap().is_some());
}

#[test]
fn records_that_lie_together_are_one_piece_and_gaps_part_them() {
    let bench = Bench::new(small());
    for queue in [0, 0, 0, 1, 0, 0] {
        bench.put("T", queue, &"x".repeat(500));
    }
    bench.put("T", 1, &"y".repeat(7_000));
    bench.put("T", 0, "last");
    let read = read_from(&bench.store, "T", 0, QueueOffset(0));
    assert_eq!(read.records.len(), 6);
    let runs: Vec<usize> =
        read.pieces.iter().map(|piece| piece.len() / read.records[0].len()).collect();
    assert_eq!(runs, [3, 2, 0], "over a small gap by one read, behind a large one by another");
    assert_eq!(read.pieces[0].as_ptr(), read.records[0].as_ptr(), "nothing was copied");
    assert_eq!(read.pieces.concat(), read.records.concat());
    let limit = ReadLimit { messages: 3, bytes: 1 << 18, scan_units: 800 };
    let mut odd = false;
    let read = bench
        .store
        .read("T", 0, QueueOffset(0), limit, &mut |_| Match::NeedRecord, &mut |_| {
            odd = !odd;
            odd
        })
        .unwrap();
    assert_eq!(read.pieces, read.records, "what a filter refused is in no piece");
}

/// Prints what one append costs: `cargo test --release -p mqdeck-engine --lib cost_of -- --ignored
/// --nocapture`. Nothing is asserted (architecture.md §11).
#[test]
#[ignore = "a measurement"]
fn cost_of_appending_and_reading() {
    const MESSAGES: usize = 400_000;
    let dir = tempfile::tempdir().unwrap();
    let config =
        StoreConfig { root: dir.path().to_owned(), disk_free_min: 0, ..StoreConfig::default() };
    let clock = Arc::new(crate::clock::SystemClock::new());
    let store = Store::open(Arc::new(Disk), config, Arc::clone(&clock) as _).unwrap();
    let now = || crate::clock::Clock::monotonic_ns(clock.as_ref());
    let body = "x".repeat(1000);
    for group in [1, 16, 64] {
        let mut spent = 0;
        for start in 0..MESSAGES / 4 / group {
            let items: Vec<Append> = (0..group)
                .map(|n| {
                    let text =
                        format!("UNIQ_KEY\u{1}u{start}-{n}\u{2}KEYS\u{1}k{n}\u{2}TAGS\u{1}a\u{2}");
                    message("T", (n % 8) as i32, &body, &text)
                })
                .collect();
            let begun = now();
            store.submit(items);
            while store.commit() > 0 {}
            spent += now() - begun;
            if start % 1000 == 0 {
                store.disk_turn(Duration::ZERO);
            }
        }
        println!("append, groups of {group}: {} ns", spent as usize / (MESSAGES / 4));
    }
    let begun = now();
    store.query_key("T", "u0-0", 1, 0, i64::MAX).unwrap();
    while store.index.as_ref().unwrap().indexed() < store.positions().visible.0 {
        store.index_turn(Duration::ZERO);
    }
    let count = 3 * (MESSAGES / 4) as u64;
    println!("index, three keys a message: {} ns a message", (now() - begun) / count);
    let (begun, mut read, mut from) = (now(), 0, QueueOffset(0));
    while from < store.max_offset("T", 0) {
        let found = read_from(&store, "T", 0, from);
        read += found.records.len() as u64;
        from = found.next_offset;
    }
    println!("read, 32 at a time: {} ns a message", (now() - begun) / read);
    let begun = now();
    drop(store);
    println!("drop: {} ms", (now() - begun) / 1_000_000);
}
