//! Starts on directories that a crash, a bad disk or a user left behind.
//!
//! Laws of architecture.md §7: at or above the durable offset the first invalid record is the end of
//! the log; below it, it is damage, listed and passed over; queues and index are made again.

#![allow(clippy::unwrap_used)] // all of this is tests

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::clock::ManualClock;
use engine::protocol::record::{RecordBuilder, RecordView};
use engine::protocol::sys_flag::SysFlag;
use engine::store::test_storage::TestStorage;
use engine::store::{
    Append, Appended, Match, OpenMode, QueueOffset, ReadLimit, ReadStatus, Storage, Store,
    StoreConfig, StoreError, UnitKind,
};

const T0: i64 = 1_700_000_000_000;
const LOG: &str = "/data/commitlog/00000000000000000000";

fn config() -> StoreConfig {
    StoreConfig {
        root: "/data".into(),
        file_size: 80_000,
        queue_file_size: 400,
        index_slots: 20,
        index_units: 100,
        max_message_size: 8_000,
        delete_hours: Vec::new(),
        ..StoreConfig::default()
    }
}

fn try_open(storage: &TestStorage) -> Result<Store, StoreError> {
    Store::open(Arc::new(storage.clone()), config(), Arc::new(ManualClock::at(T0)))
}

fn open(storage: &TestStorage) -> Store {
    try_open(storage).unwrap()
}

fn put(store: &Store, queue_id: i32, body: &str) -> Appended {
    let host = "127.0.0.1:10911".parse().unwrap();
    let record = RecordBuilder {
        topic: "T",
        queue_id,
        flag: 0,
        sys_flag: SysFlag(0),
        born_timestamp: T0,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: body.as_bytes(),
        properties: &format!("UNIQ_KEY\u{1}{body}\u{2}"),
    };
    let appended = store.append_now(Append {
        topic: Arc::from("T"),
        queue_id,
        record: record.encode().unwrap(),
        tags_code: 0,
        more: Vec::new(),
        kind: UnitKind::Message,
        delay_ms: None,
        wait: true,
        done: Box::new(|_| {}),
    });
    assert!(appended.is_stored());
    appended
}

fn bodies(store: &Store, queue: i32) -> Vec<String> {
    let limit = ReadLimit { messages: 10_000, bytes: 1 << 30, scan_units: 1 << 20 };
    let mut from = store.min_offset("T", queue);
    let mut found = Vec::new();
    loop {
        let read =
            store.read("T", queue, from, limit, &mut |_| Match::Take, &mut |_| true).unwrap();
        let text = |record: &bytes::Bytes| {
            String::from_utf8(RecordView::parse(record).unwrap().body().to_vec()).unwrap()
        };
        found.extend(read.records.iter().map(text));
        if matches!(read.status, ReadStatus::AtEnd | ReadStatus::Empty | ReadStatus::NoQueue) {
            return found;
        }
        assert!(read.next_offset > from);
        from = read.next_offset;
    }
}

fn texts(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("body {number:04}")).collect()
}

/// A directory with so many messages in one queue, all of them durable when `durable`.
fn written(count: usize, durable: usize) -> (TestStorage, Vec<Appended>) {
    let storage = TestStorage::new();
    let clock = Arc::new(ManualClock::at(T0));
    let moving: Arc<dyn engine::clock::Clock> = Arc::<ManualClock>::clone(&clock);
    let store = Store::open(Arc::new(storage.clone()), config(), moving).unwrap();
    let mut all = Vec::new();
    for (number, body) in texts(0..count).iter().enumerate() {
        all.push(put(&store, 0, body));
        if number + 1 == durable {
            store.flush_turn(Duration::ZERO);
            clock.advance(6_000);
            store.disk_turn(Duration::ZERO);
        }
    }
    (storage.kill(), all)
}

fn change(storage: &TestStorage, path: &str, at: u64, change: impl Fn(&mut Vec<u8>)) {
    let file = storage.open(Path::new(path), OpenMode::Existing).unwrap();
    let mut bytes = Vec::new();
    file.read_at(&mut bytes, 1, at).unwrap();
    change(&mut bytes);
    file.write_at(&[std::io::IoSlice::new(&bytes)], at).unwrap();
}

fn zero(storage: &TestStorage, path: &str, from: u64, to: u64) {
    let file = storage.open(Path::new(path), OpenMode::Existing).unwrap();
    file.zero(from, to - from).unwrap();
}

#[test]
fn a_log_cut_at_any_byte_of_its_last_records_ends_before_the_torn_one() {
    let (storage, all) = written(12, 8);
    let ends: Vec<u64> = all.iter().map(|a| a.physical.0 + u64::from(a.size)).collect();
    for cut in ends[8]..ends[11] {
        let storage = storage.kill();
        zero(&storage, LOG, cut, ends[11]);
        let store = open(&storage);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let found = bodies(&store, 0);
        assert!(found == texts(0..whole), "cut at {cut}: {} of {whole}", found.len());
        assert!(store.recovered().damaged.is_empty(), "cut at {cut}");
        assert_eq!(put(&store, 0, "next").queue_offset, QueueOffset(whole as u64));
        let storage = storage.kill();
        assert_eq!(bodies(&open(&storage), 0).len(), whole + 1, "cut at {cut}");
    }
}

#[test]
fn stale_bytes_behind_the_end_never_come_to_life() {
    let (storage, all) = written(12, 8);
    // The tenth record is torn, the two behind it are whole.
    change(&storage, LOG, all[9].physical.0 + 90, |bytes| bytes[0] ^= 1);
    let store = open(&storage);
    assert_eq!(bodies(&store, 0), texts(0..9));
    // Exactly as long as the torn one: what lay behind it would fit on.
    put(&store, 0, "body 0009");
    let storage = storage.kill();
    assert_eq!(bodies(&open(&storage), 0), texts(0..10));
}

#[test]
fn damage_below_the_durable_offset_is_listed_and_passed_over() {
    let (storage, all) = written(60, 50);
    for damaged in [0, 7, 20] {
        let at = all[damaged].physical.0;
        change(&storage, LOG, at + 90, |bytes| bytes[0] ^= 1);
    }
    // So that everything is looked at, and the units of the damaged records are lost too.
    storage.remove(Path::new("/data/checkpoint")).unwrap();
    storage.remove_dir(Path::new("/data/consumequeue")).unwrap();
    let store = open(&storage);
    let size = u64::from(all[0].size);
    let ranges: Vec<(u64, u64)> =
        [0, 7, 20].map(|n| (all[n].physical.0, all[n].physical.0 + size)).to_vec();
    assert_eq!(store.recovered().damaged, ranges);
    let mut expected = texts(0..60);
    for lost in [20, 7, 0] {
        expected.remove(lost);
    }
    assert_eq!(bodies(&store, 0), expected);
    assert_eq!(store.max_offset("T", 0), QueueOffset(60));
    assert!(store.unit("T", 0, QueueOffset(7)).unwrap().is_none());
    assert_eq!(put(&store, 0, "next").queue_offset, QueueOffset(60));
    // The list stays for the next start.
    store.close().unwrap();
    assert_eq!(open(&storage.kill()).stats().damaged, ranges);
}

#[test]
fn damage_that_reaches_the_durable_offset_ends_the_log() {
    let (storage, all) = written(60, 50);
    let from = all[40].physical.0;
    zero(&storage, LOG, from, 80_000);
    let store = open(&storage);
    assert_eq!(bodies(&store, 0), texts(0..40));
    assert_eq!(store.recovered().damaged.len(), 1);
    assert_eq!(store.recovered().damaged[0].0, from);
}

#[test]
fn queues_that_are_missing_or_short_are_made_again() {
    let queue = "/data/consumequeue/T/0";
    for case in ["all gone", "last file gone", "torn", "file without units", "first file gone"] {
        let (storage, _) = written(70, 65);
        match case {
            "all gone" => storage.remove_dir(Path::new("/data/consumequeue")).unwrap(),
            "last file gone" => {
                storage.remove(Path::new(&format!("{queue}/{:020}", 1200))).unwrap();
            }
            "torn" => zero(&storage, &format!("{queue}/{:020}", 800), 207, 400),
            "file without units" => zero(&storage, &format!("{queue}/{:020}", 1200), 0, 400),
            _ => storage.remove_dir(Path::new(queue)).unwrap(),
        }
        let store = open(&storage);
        assert_eq!(bodies(&store, 0), texts(0..70), "{case}");
        assert_eq!(put(&store, 0, "next").queue_offset, QueueOffset(70), "{case}");
        store.close().unwrap();
        assert_eq!(bodies(&open(&storage.kill()), 0).len(), 71, "{case}");
    }
}

#[test]
fn queues_that_run_ahead_of_the_log_are_cut() {
    let (storage, all) = written(70, 65);
    zero(&storage, LOG, all[30].physical.0, 80_000);
    // Nothing says how far the log was durable, as after Apache.
    let abort = storage.open(Path::new("/data/abort"), OpenMode::Existing).unwrap();
    abort.set_len(4).unwrap();
    let store = open(&storage);
    assert_eq!(bodies(&store, 0), texts(0..30));
    assert_eq!(store.max_offset("T", 0), QueueOffset(30));
    put(&store, 0, "body 0030");
    store.close().unwrap();
    let store = open(&storage.kill());
    assert_eq!(bodies(&store, 0), texts(0..31));
}

#[test]
fn an_index_of_any_state_is_usable_after_a_start() {
    for case in ["missing", "short", "foreign name", "behind"] {
        let (storage, _) = written(70, 65);
        let store = open(&storage);
        assert_eq!(store.query_key("T", "body 0042", 9, 0, i64::MAX).unwrap().offsets.len(), 1);
        store.close().unwrap();
        let storage = storage.kill();
        let index = Path::new("/data/index");
        let name = storage.list(index).unwrap()[0].name.clone();
        match case {
            "missing" => storage.remove_dir(index).unwrap(),
            "short" => {
                storage.open(&index.join(&name), OpenMode::Existing).unwrap().set_len(99).unwrap();
            }
            "foreign name" => {
                storage.open(&index.join("README"), OpenMode::Create).unwrap();
            }
            _ => {}
        }
        let store = open(&storage);
        for key in ["body 0000", "body 0042", "body 0069"] {
            let found = store.query_key("T", key, 9, 0, i64::MAX).unwrap().offsets;
            assert_eq!(found.len(), 1, "{case}: {key}");
        }
    }
}

#[test]
fn a_log_of_several_files_is_scanned_over_its_ends() {
    let (storage, all) = written(1_500, 1_400);
    assert!(all[1_499].physical.0 > 160_000);
    storage.remove(Path::new("/data/checkpoint")).unwrap();
    storage.remove_dir(Path::new("/data/consumequeue")).unwrap();
    let store = open(&storage);
    assert_eq!(bodies(&store, 0), texts(0..1_500));
    assert_eq!(store.recovered().records, 1_500);
    assert_eq!(
        store.recovered().topics_newer_than(0).collect::<Vec<_>>(),
        [("T", 0)],
        "topics are known from their records"
    );
}

#[test]
fn a_damaged_end_marker_does_not_hide_the_next_file() {
    let (storage, all) = written(1_500, 1_400);
    let last = all.iter().rfind(|a| a.physical.0 < 80_000).unwrap();
    let marker = last.physical.0 + u64::from(last.size);
    zero(&storage, LOG, marker, 80_000);
    storage.remove(Path::new("/data/checkpoint")).unwrap();
    let store = open(&storage);
    assert_eq!(bodies(&store, 0), texts(0..1_500));
    assert_eq!(store.recovered().damaged, [(marker, 80_000)]);
}

#[test]
fn a_start_that_cannot_be_leaves_the_directory_alone() {
    let cases: [(&str, u64); 3] =
        [("notes.txt", 5), ("00000000000000080000", 79_999), ("00000000000000000007", 80_000)];
    for (name, len) in cases {
        let (storage, _) = written(10, 5);
        let path = Path::new("/data/commitlog").join(name);
        storage.open(&path, OpenMode::Create).unwrap().set_len(len).unwrap();
        let before = storage.paths();
        assert!(matches!(try_open(&storage), Err(StoreError::Geometry { .. })), "{name}");
        assert_eq!(storage.paths(), before, "{name}");
    }
}

#[test]
fn an_all_zero_file_behind_the_end_goes() {
    let (storage, _) = written(10, 5);
    let next = Path::new("/data/commitlog/00000000000000080000");
    storage.open(next, OpenMode::Create).unwrap().set_len(80_000).unwrap();
    let store = open(&storage);
    assert_eq!(bodies(&store, 0), texts(0..10));
    assert!(!storage.paths().contains(&next.to_path_buf()));
}

#[test]
fn a_crash_in_the_middle_of_a_recovery_is_recovered() {
    let (storage, all) = written(300, 200);
    zero(&storage, LOG, all[250].physical.0 + 40, 80_000);
    for seed in 0..50u64 {
        let first = storage.kill();
        drop(open(&first));
        let mut state = seed;
        let second = first.power_cut(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed | 1);
            (state >> 33) & 1 == 1
        });
        assert_eq!(bodies(&open(&second), 0), texts(0..250), "seed {seed}");
    }
}
