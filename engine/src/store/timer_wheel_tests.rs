//! The wheel against bytes made by hand from store.md §10, and starts with files that are missing.

use super::*;
use crate::store::storage::read_whole;
use crate::store::test_storage::TestStorage;

const T: i64 = 1_700_000_000_000;
const FILE: u64 = 52 * 3 + 68;
const LOG_END: u64 = 1 << 40;

fn root() -> PathBuf {
    PathBuf::from("/data")
}

fn unit(due_ms: i64, log_offset: u64) -> TimerUnit {
    TimerUnit {
        roll: false,
        delete: false,
        written_ms: T,
        due_ms,
        log_offset: LogOffset(log_offset),
        size: 300,
        topic_hash: "pay".len() as i32,
    }
}

fn open(disk: &TestStorage, check: &TimerCheck, log_end: u64) -> (TimerWheel, Option<LogOffset>) {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    TimerWheel::open(&storage, &root(), check, log_end).unwrap()
}

fn check(read_ms: i64, log_flushed: u64) -> TimerCheck {
    TimerCheck { read_ms, log_flushed, ..TimerCheck::default() }
}

/// A wheel whose log has files of [`FILE`] bytes: four units each.
fn small(disk: &TestStorage) -> TimerWheel {
    let path = root().join("timerlog/00000000000000000000");
    disk.create_dir(path.parent().unwrap()).unwrap();
    disk.open(&path, OpenMode::Create).unwrap().set_len(FILE).unwrap();
    open(disk, &check(T, 0), LOG_END).0
}

fn log_offsets(wheel: &mut TimerWheel, due_ms: i64) -> Vec<u64> {
    let positions = wheel.chain(due_ms, None).unwrap();
    positions.iter().map(|at| wheel.unit(*at).unwrap().unwrap().log_offset.0).collect()
}

fn bytes(disk: &TestStorage, name: &str) -> Vec<u8> {
    read_whole(disk, &root().join(name)).unwrap().unwrap()
}

#[test]
fn log_and_wheel_are_written_as_the_specification_draws_them() {
    let disk = TestStorage::new();
    let mut wheel = small(&disk);
    let due = T + 5_000;
    let rolled = TimerUnit { roll: true, delete: true, topic_hash: -2, ..unit(due, 0x0102) };
    wheel.add(&[unit(due, 7), rolled]).unwrap();
    assert_eq!(wheel.sync().unwrap(), 104);

    let log = bytes(&disk, "timerlog/00000000000000000000");
    assert_eq!(log.len() as u64, FILE);
    let mut want = Vec::new();
    want.extend_from_slice(&[0, 0, 0, 52]);
    want.extend_from_slice(&[0xFF; 8]);
    want.extend_from_slice(&[0, 0, 0, 1]);
    want.extend_from_slice(&T.to_be_bytes());
    want.extend_from_slice(&[0, 0, 0x13, 0x88]);
    want.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 7]);
    want.extend_from_slice(&[0, 0, 1, 0x2C]);
    want.extend_from_slice(&[0, 0, 0, 3]);
    want.extend_from_slice(&[0; 8]);
    assert_eq!(log[..52], want);
    assert_eq!(log[52..56], [0, 0, 0, 52]);
    assert_eq!(log[56..64], [0; 8], "the one before lies at 0");
    assert_eq!(log[64..68], [0, 0, 0, 7], "default, roll and delete");
    assert_eq!(log[80..88], [0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(log[92..96], [0xFF, 0xFF, 0xFF, 0xFE]);
    assert!(log[104..].iter().all(|byte| *byte == 0));

    let slots = bytes(&disk, "timerwheel");
    assert_eq!(slots.len(), 38_707_200);
    let second = 1_700_000_005_i64;
    let at = usize::try_from(second % 1_209_600).unwrap() * 32;
    let mut want = second.to_be_bytes().to_vec();
    want.extend_from_slice(&[0; 8]);
    want.extend_from_slice(&52_i64.to_be_bytes());
    want.extend_from_slice(&[0; 8]);
    assert_eq!(slots[at..at + 32], want, "one more and one less: a count of 0, magic 0");
    assert!(slots[..at].iter().chain(&slots[at + 32..]).all(|byte| *byte == 0));
}

#[test]
fn timercheck_is_seven_numbers() {
    let check = TimerCheck {
        read_ms: 1,
        log_flushed: 2,
        queue_offset: 3,
        master_offset: 4,
        version: DataVersion { state_version: 5, timestamp: 6, counter: 7 },
    };
    let bytes = check.fields();
    let numbers: Vec<i64> = (0..7).map(|at| i64_at(&bytes, at * 8).unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(TimerCheck::decode(&bytes), Some(check));
    assert_eq!(TimerCheck::decode(&bytes[..55]), None);
}

#[test]
fn a_file_ends_with_a_marker_and_the_next_one_goes_on() {
    let disk = TestStorage::new();
    let mut wheel = small(&disk);
    let units: Vec<_> = (0..9).map(|n| unit(T + 5_000, n)).collect();
    wheel.add(&units).unwrap();
    let first = bytes(&disk, "timerlog/00000000000000000000");
    let mut want = 16_i32.to_be_bytes().to_vec();
    want.extend_from_slice(&[0; 8]);
    want.extend_from_slice(&[0xCB, 0xD4, 0x31, 0x94]);
    assert_eq!(first[208..], want);
    assert_eq!(wheel.sync().unwrap(), 2 * FILE + 52);
    assert_eq!(log_offsets(&mut wheel, T + 5_000), (0..9).collect::<Vec<_>>());
    assert_eq!(wheel.chain(T + 5_000, Some(FILE)).unwrap().len(), 4, "only what came behind");
    assert_eq!(wheel.count(), 9);

    let (mut again, last) = open(&disk, &check(T, 0), LOG_END);
    assert_eq!(last, Some(LogOffset(8)));
    assert_eq!(log_offsets(&mut again, T + 5_000).len(), 9);
    again.add(&[unit(T + 6_000, 9)]).unwrap();
    assert_eq!(again.last_of(T + 6_000), Some(2 * FILE + 52));
}

#[test]
fn after_a_kill_slots_that_were_not_written_come_back_from_the_log() {
    let disk = TestStorage::new();
    let mut wheel = small(&disk);
    wheel.add(&[unit(T + 1_000, 1), unit(T + 2_000, 2)]).unwrap();
    let flushed = wheel.sync().unwrap();
    wheel.add(&[unit(T + 2_000, 3), unit(T + 9_000, 4)]).unwrap();
    let (mut again, last) = open(&disk.kill(), &check(T + 2_000, flushed), LOG_END);
    assert_eq!(last, Some(LogOffset(4)));
    assert_eq!(again.next_due(0), Some(T + 2_000), "what was delivered does not come back");
    assert_eq!(log_offsets(&mut again, T + 2_000), [2, 3]);
    assert_eq!(log_offsets(&mut again, T + 9_000), [4]);
    assert_eq!(again.count(), 3);
}

#[test]
fn a_missing_wheel_is_made_anew_from_the_whole_log() {
    let disk = TestStorage::new();
    let mut wheel = small(&disk);
    let units: Vec<_> = (0..9).map(|n| unit(T + n as i64 * 1_000, n)).collect();
    wheel.add(&units).unwrap();
    let flushed = wheel.sync().unwrap();
    disk.remove(&root().join("timerwheel")).unwrap();
    let (mut again, _) = open(&disk, &check(T + 3_000, flushed), LOG_END);
    assert_eq!(again.count(), 6);
    assert_eq!(log_offsets(&mut again, T + 3_000), [3]);
    again.sync().unwrap();
    assert_eq!(open(&disk, &check(T + 3_000, flushed), LOG_END).0.count(), 6);
}

#[test]
fn slots_that_point_behind_the_log_are_empty() {
    let disk = TestStorage::new();
    let mut wheel = small(&disk);
    wheel.add(&[unit(T + 1_000, 1), unit(T + 1_000, 2)]).unwrap();
    wheel.sync().unwrap();
    disk.remove(&root().join("timerlog/00000000000000000000")).unwrap();
    let (mut again, last) = open(&disk, &check(T, 104), LOG_END);
    assert_eq!((again.next_due(0), last), (None, None));
    again.sync().unwrap();
    assert!(bytes(&disk, "timerwheel").iter().all(|byte| *byte == 0));
}

#[test]
fn units_of_records_that_the_commit_log_lost_are_cut_off() {
    let disk = TestStorage::new();
    let mut wheel = small(&disk);
    let units: Vec<_> = (0..6).map(|n| unit(T + 1_000, n * 100)).collect();
    wheel.add(&units).unwrap();
    let flushed = wheel.sync().unwrap();
    let (mut again, last) = open(&disk, &check(T, flushed), 300);
    assert_eq!(last, Some(LogOffset(200)));
    assert_eq!(log_offsets(&mut again, T + 1_000), [0, 100, 200]);
    assert_eq!(again.sync().unwrap(), 156);
    assert_eq!(disk.list(&root().join("timerlog")).unwrap().len(), 1);
    let log = bytes(&disk, "timerlog/00000000000000000000");
    assert!(log[156..].iter().all(|byte| *byte == 0), "nothing stale may follow a new unit");
}

#[test]
fn a_damaged_unit_ends_the_log_and_the_chains() {
    let disk = TestStorage::new();
    let mut wheel = small(&disk);
    let units: Vec<_> = (0..4).map(|n| unit(T + 1_000, n)).collect();
    wheel.add(&units).unwrap();
    let flushed = wheel.sync().unwrap();
    let path = root().join("timerlog/00000000000000000000");
    let file = disk.open(&path, OpenMode::Existing).unwrap();
    storage::write_all(file.as_ref(), &[0, 0, 0, 0xF1], 104 + 12).unwrap();
    let (mut again, last) = open(&disk, &check(T, flushed), LOG_END);
    assert_eq!(last, Some(LogOffset(1)));
    assert_eq!(log_offsets(&mut again, T + 1_000), [0, 1]);
}

#[test]
fn a_power_cut_never_loses_what_was_synced() {
    for seed in 0..40_u32 {
        let disk = TestStorage::new();
        let mut wheel = small(&disk);
        wheel.add(&[unit(T + 1_000, 1), unit(T + 2_000, 2), unit(T + 1_000, 3)]).unwrap();
        let flushed = wheel.sync().unwrap();
        wheel.add(&[unit(T + 1_000, 4), unit(T + 3_000, 5), unit(T + 1_000, 6)]).unwrap();
        let mut bits = seed.wrapping_mul(2_654_435_761);
        let mut keep = || {
            bits = bits.rotate_left(5).wrapping_mul(5).wrapping_add(1);
            bits & 4 != 0
        };
        let after = disk.power_cut(&mut keep);
        let (mut again, _) = open(&after, &check(T, flushed), LOG_END);
        assert_eq!(log_offsets(&mut again, T + 1_000)[..2], [1, 3], "seed {seed}");
        assert_eq!(log_offsets(&mut again, T + 2_000), [2], "seed {seed}");
    }
}

#[test]
fn log_files_go_with_the_records_they_point_to() {
    let disk = TestStorage::new();
    let mut wheel = small(&disk);
    let units: Vec<_> = (0..9).map(|n| unit(T + 5_000, n)).collect();
    wheel.add(&units).unwrap();
    assert_eq!(wheel.expire(LogOffset(3)).unwrap(), 0);
    assert_eq!(wheel.expire(LogOffset(4)).unwrap(), 1);
    assert_eq!(log_offsets(&mut wheel, T + 5_000), [4, 5, 6, 7, 8]);
    assert_eq!(wheel.expire(LogOffset(1_000)).unwrap(), 1, "the last file stays");
    wheel.sync().unwrap();
    let (mut again, _) = open(&disk, &check(T, 0), LOG_END);
    assert_eq!(log_offsets(&mut again, T + 5_000), [8]);
}

#[test]
fn a_clock_set_back_empties_what_was_delivered() {
    let disk = TestStorage::new();
    let mut wheel = small(&disk);
    wheel.add(&[unit(T + 1_000, 1)]).unwrap();
    wheel.sync().unwrap();
    wheel.delivered(T + 1_000);
    wheel.reopen(T, T + 2_000);
    wheel.sync().unwrap();
    assert!(bytes(&disk, "timerwheel").iter().all(|byte| *byte == 0));
}

#[test]
fn files_of_another_length_are_refused() {
    let disk = TestStorage::new();
    drop(small(&disk));
    let path = root().join(format!("timerlog/{FILE:020}"));
    disk.open(&path, OpenMode::Create).unwrap().set_len(FILE + 1).unwrap();
    let storage: Arc<dyn Storage> = Arc::new(disk);
    let opened = TimerWheel::open(&storage, &root(), &check(T, 0), LOG_END);
    assert!(matches!(opened.err(), Some(StoreError::Geometry { .. })));
}
