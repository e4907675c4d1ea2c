//! The wheel of seconds over the timer log, and `timercheck`.
//!
//! In memory are only the seconds that somebody waits for. The log is written at once, touched slots
//! and `timercheck` once a second; a start repairs the wheel from the log. Which second a message
//! waits for, and its delivery, is the broker's business. Spec: store.md §10.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::StoreError;
use super::storage::{self, File, LogOffset, OpenMode, Storage};
use super::store::Store;
use super::timer_log::{TimerLog, TimerUnit, UNIT_LEN};
use crate::protocol::body::topic_config::DataVersion;
use crate::protocol::record::{RecordView, i32_at, i64_at};

/// Milliseconds of a slot.
const PRECISION_MS: i64 = 1_000;
/// Slots of the wheel: twice seven days.
const SLOTS: i64 = 2 * 7 * 86_400;
/// Bytes of a slot.
const SLOT_LEN: usize = 32;
/// Bytes of the wheel.
const WHEEL_LEN: u64 = SLOTS as u64 * SLOT_LEN as u64;
/// Bytes of `timercheck`, most of them unused.
const CHECK_LEN: usize = 4_096;
/// Bytes of it that mean something.
const CHECK_USED: usize = 56;
/// Bytes of the wheel that are read at once.
const BLOCK_LEN: usize = 256 << 10;

const CHECK_FILE: &str = "timercheck";
const WHEEL_FILE: &str = "timerwheel";

/// How far timer messages are: the content of `timercheck`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TimerCheck {
    /// The next second to be delivered, ms.
    pub read_ms: i64,
    /// End of the timer log that is durable.
    pub log_flushed: u64,
    /// Next offset of the timer topic.
    pub queue_offset: u64,
    /// The same on the master; our own.
    pub master_offset: u64,
    /// Edition.
    pub version: DataVersion,
}

impl TimerCheck {
    /// The fields one after the other, as request 60 answers them.
    pub fn fields(&self) -> [u8; CHECK_USED] {
        let values = [
            self.read_ms,
            self.log_flushed as i64,
            self.queue_offset as i64,
            self.master_offset as i64,
            self.version.state_version,
            self.version.timestamp,
            self.version.counter,
        ];
        let mut bytes = [0; CHECK_USED];
        for (slot, value) in bytes.chunks_exact_mut(8).zip(values) {
            slot.copy_from_slice(&value.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let position = |at| Some(u64::try_from(i64_at(bytes, at)?).unwrap_or(0));
        Some(Self {
            read_ms: i64_at(bytes, 0)?,
            log_flushed: position(8)?,
            queue_offset: position(16)?,
            master_offset: position(24)?,
            version: DataVersion {
                state_version: i64_at(bytes, 32)?,
                timestamp: i64_at(bytes, 40)?,
                counter: i64_at(bytes, 48)?,
            },
        })
    }
}

/// What waits for one second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Slot {
    first: u64,
    last: u64,
    count: i32,
}

impl Slot {
    fn encode(slot: Option<&Self>, due_ms: i64) -> [u8; SLOT_LEN] {
        let mut bytes = [0; SLOT_LEN];
        let Some(slot) = slot else { return bytes };
        bytes[..8].copy_from_slice(&(due_ms / PRECISION_MS).to_be_bytes());
        bytes[8..16].copy_from_slice(&slot.first.to_be_bytes());
        bytes[16..24].copy_from_slice(&slot.last.to_be_bytes());
        bytes[24..28].copy_from_slice(&slot.count.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<(i64, Self)> {
        let second = i64_at(bytes, 0)?;
        let position = |at| u64::try_from(i64_at(bytes, at)?).ok();
        let slot = Self { first: position(8)?, last: position(16)?, count: i32_at(bytes, 24)? };
        (second > 0).then_some((second.checked_mul(PRECISION_MS)?, slot))
    }

    fn with(slot: Option<Self>, position: u64, unit: &TimerUnit) -> Self {
        let first = slot.map_or(position, |slot| slot.first);
        let count = slot.map_or(0, |slot| slot.count);
        Self { first, last: position, count: count.saturating_add(unit.weight()) }
    }
}

/// Where a slot lies in the file.
fn slot_offset(due_ms: i64) -> u64 {
    (due_ms / PRECISION_MS).rem_euclid(SLOTS) as u64 * SLOT_LEN as u64
}

/// What waits, by second.
pub struct TimerWheel {
    path: PathBuf,
    slots: BTreeMap<i64, Slot>,
    /// Slots whose place in the file is not up to date; those that are not in `slots` are empty there.
    dirty: BTreeSet<i64>,
    file: Option<Arc<dyn File>>,
    log: TimerLog,
    /// Sum of the counts of all slots.
    count: i64,
}

/// What a start found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerStart {
    /// Where to go on.
    pub check: TimerCheck,
    /// Messages of the timer topic below this offset that are due before `check.read_ms` were
    /// delivered, should they be read again.
    pub seen: u64,
}

impl TimerWheel {
    /// Opens the files, and repairs the wheel from the log. `log_end` is the end of the commit log:
    /// units of records beyond it were written by a machine that then crashed. Answers the commit-log
    /// offset of the last unit, too.
    fn open(
        storage: &Arc<dyn Storage>,
        root: &Path,
        check: &TimerCheck,
        log_end: u64,
    ) -> Result<(Self, Option<LogOffset>), StoreError> {
        let path = root.join(WHEEL_FILE);
        let found = load_slots(storage.as_ref(), &path, check.read_ms)?;
        let log = TimerLog::open(storage, root)?;
        let known = found.is_some();
        let slots = found.unwrap_or_default();
        let mut wheel = Self { path, slots, dirty: BTreeSet::new(), file: None, log, count: 0 };
        let flushed = check.log_flushed.min(wheel.log.end);
        let from = if known { flushed.saturating_sub(wheel.log.file_len) } else { 0 };
        let (mut end, mut last) = wheel.replay(from, check.read_ms, log_end)?;
        let lost = |slot: &Slot| slot.last.saturating_add(UNIT_LEN as u64) > end;
        if wheel.slots.values().any(lost) {
            tracing::warn!("the timer log ends before the wheel says: the wheel is made anew");
            wheel.dirty.extend(wheel.slots.keys());
            wheel.slots.clear();
            (end, last) = wheel.replay(0, check.read_ms, log_end)?;
        }
        if end < wheel.log.end {
            wheel.log.cut(end)?;
        }
        wheel.count = wheel.slots.values().map(|slot| i64::from(slot.count)).sum();
        Ok((wheel, last))
    }

    /// Sets the slots of every unit from the file of `from` on; the end of the log and its last unit.
    fn replay(
        &mut self,
        from: u64,
        read_ms: i64,
        log_end: u64,
    ) -> Result<(u64, Option<LogOffset>), StoreError> {
        let (slots, dirty) = (&mut self.slots, &mut self.dirty);
        let mut last = None;
        let end = self.log.scan(from, &mut |position, unit| {
            if unit.log_offset.0 >= log_end {
                return false;
            }
            last = Some(unit.log_offset);
            let old = slots.get(&unit.due_ms).copied();
            if unit.due_ms >= read_ms && old.is_none_or(|slot| slot.last < position) {
                slots.insert(unit.due_ms, Slot::with(old, position, unit));
                dirty.insert(unit.due_ms);
            }
            true
        })?;
        Ok((end, last))
    }

    /// Writes units to the log and puts them into their slots, in this order. On an error nothing of
    /// it has happened.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn add(&mut self, units: &[TimerUnit]) -> Result<(), StoreError> {
        let mut changed: BTreeMap<i64, Slot> = BTreeMap::new();
        let slots = &self.slots;
        self.log.append(units, &mut |position, unit| {
            let old = changed.get(&unit.due_ms).or_else(|| slots.get(&unit.due_ms)).copied();
            changed.insert(unit.due_ms, Slot::with(old, position, unit));
            old.map_or(-1, |slot| slot.last as i64)
        })?;
        self.count += units.iter().map(|unit| i64::from(unit.weight())).sum::<i64>();
        self.dirty.extend(changed.keys());
        self.slots.extend(changed);
        Ok(())
    }

    /// The first second from `from_ms` on that somebody waits for.
    pub fn next_due(&self, from_ms: i64) -> Option<i64> {
        self.slots.range(from_ms..).next().map(|(due_ms, _)| *due_ms)
    }

    /// Position of the newest unit of a second.
    pub fn last_of(&self, due_ms: i64) -> Option<u64> {
        self.slots.get(&due_ms).map(|slot| slot.last)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Messages on the wheel, less those that are to be removed.
    pub fn count(&self) -> i64 {
        self.count.max(0)
    }

    /// Messages on the wheel by the hash of their topic, counted unit by unit.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn count_by_topic(&mut self) -> Result<BTreeMap<i32, i64>, StoreError> {
        let mut counts = BTreeMap::new();
        for due_ms in self.slots.keys().copied().collect::<Vec<_>>() {
            for position in self.chain(due_ms, None)? {
                if let Some(unit) = self.unit(position)? {
                    *counts.entry(unit.topic_hash).or_default() += i64::from(unit.weight());
                }
            }
        }
        Ok(counts)
    }

    /// Positions of the units of a second that were written behind `after`, oldest first.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn chain(&mut self, due_ms: i64, after: Option<u64>) -> Result<Vec<u64>, StoreError> {
        let mut positions = Vec::new();
        let mut at = self.last_of(due_ms);
        while let Some(position) = at.filter(|at| after.is_none_or(|after| *at > after)) {
            let unit = self.log.unit(position)?;
            let Some((_, previous)) = unit.filter(|(unit, _)| unit.due_ms == due_ms) else {
                if position >= self.log.min {
                    tracing::warn!(
                        due_ms,
                        position,
                        "the timer log is damaged: a chain ends early"
                    );
                }
                break;
            };
            positions.push(position);
            at = u64::try_from(previous).ok().filter(|previous| *previous < position);
        }
        positions.reverse();
        Ok(positions)
    }

    /// The unit at a position of a chain.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn unit(&mut self, position: u64) -> Result<Option<TimerUnit>, StoreError> {
        Ok(self.log.unit(position)?.map(|(unit, _)| unit))
    }

    /// A second was delivered. Its slot in the file keeps what it says, as a start begins behind it.
    pub fn delivered(&mut self, due_ms: i64) {
        self.count -= self.slots.remove(&due_ms).map_or(0, |slot| i64::from(slot.count));
        self.dirty.remove(&due_ms);
    }

    /// The clock went back into seconds that were delivered: their slots are emptied in the file too.
    pub fn reopen(&mut self, from_ms: i64, to_ms: i64) {
        let to_ms = to_ms.min(from_ms.saturating_add(SLOTS * PRECISION_MS));
        self.dirty.extend((from_ms..to_ms).step_by(PRECISION_MS as usize));
    }

    /// Writes the slots that changed and makes wheel and log durable. Answers the end of the log.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn sync(&mut self) -> Result<u64, StoreError> {
        self.log.sync()?;
        if !self.dirty.is_empty() {
            self.write_slots()?;
            self.dirty.clear();
        }
        Ok(self.log.end)
    }

    fn write_slots(&mut self) -> Result<(), StoreError> {
        if self.file.is_none() {
            let storage = self.log.storage.as_ref();
            let file = open_wheel(storage, &self.path, OpenMode::Create)
                .map_err(StoreError::io(&self.path))?;
            self.file = Some(file);
        }
        let Some(file) = &self.file else { return Ok(()) };
        for due_ms in &self.dirty {
            let bytes = Slot::encode(self.slots.get(due_ms), *due_ms);
            storage::write_all(file.as_ref(), &bytes, slot_offset(*due_ms))
                .map_err(StoreError::io(&self.path))?;
        }
        file.sync_data().map_err(StoreError::io(&self.path))
    }

    /// Deletes log files of which the commit log has no record any more. Answers how many.
    ///
    /// # Errors
    /// When one cannot be read or deleted.
    pub fn expire(&mut self, log_min: LogOffset) -> Result<usize, StoreError> {
        self.log.expire(log_min.0)
    }
}

fn open_wheel(
    storage: &dyn Storage,
    path: &Path,
    mode: OpenMode,
) -> std::io::Result<Arc<dyn File>> {
    let file = storage.open(path, mode)?;
    if file.len()? != WHEEL_LEN {
        file.set_len(WHEEL_LEN)?;
        storage.sync_dir(path.parent().unwrap_or(path))?;
    }
    Ok(file)
}

/// The slots from `read_ms` on; none when there is no wheel of the right length.
fn load_slots(
    storage: &dyn Storage,
    path: &Path,
    read_ms: i64,
) -> Result<Option<BTreeMap<i64, Slot>>, StoreError> {
    let load = || {
        let file = match storage.open(path, OpenMode::Existing) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if file.len()? != WHEEL_LEN {
            return Ok(None);
        }
        let mut slots = BTreeMap::new();
        let mut bytes = Vec::new();
        for offset in (0..WHEEL_LEN).step_by(BLOCK_LEN) {
            bytes.clear();
            file.read_at(&mut bytes, BLOCK_LEN, offset)?;
            let found = bytes.chunks_exact(SLOT_LEN).filter_map(Slot::decode);
            slots.extend(found.filter(|(due_ms, _)| *due_ms >= read_ms));
        }
        Ok(Some(slots))
    };
    load().map_err(StoreError::io(path))
}

impl Store {
    /// Opens wheel and timer log, and finds where to go on: in time not before `oldest_ms` and not
    /// after `newest_ms`, in the timer topic behind the last message of the log.
    ///
    /// # Errors
    /// When a file cannot be read, or a file of the log has no length that fits.
    pub fn open_timers(
        &self,
        topic: &str,
        oldest_ms: i64,
        newest_ms: i64,
    ) -> Result<(TimerWheel, TimerStart), StoreError> {
        let stored = self.read_json_with(CHECK_FILE, |bytes| {
            Some(TimerCheck::decode(bytes).unwrap_or_default())
        })?;
        let mut check = stored.unwrap_or_default();
        let seen = check.queue_offset;
        check.read_ms = check.read_ms.min(newest_ms).max(oldest_ms);
        let storage = &self.queues.io.storage;
        let log_end = self.positions().written.0;
        let (wheel, last) = TimerWheel::open(storage, &self.config().root, &check, log_end)?;
        let last_offset = match last {
            Some(at) => self.record_at(at)?.and_then(|record| queue_offset_of(&record, topic)),
            None => None,
        };
        if wheel.log.end < check.log_flushed {
            // Units were lost: what they stood for is read from the topic again.
            check.queue_offset = last_offset.map_or(0, |offset| offset + 1);
        } else if let Some(offset) = last_offset {
            check.queue_offset = check.queue_offset.max(offset + 1);
        }
        let max = self.max_offset(topic, 0).0;
        check.queue_offset = check.queue_offset.min(max).max(self.min_offset(topic, 0).0);
        check.log_flushed = wheel.log.end;
        check.master_offset = check.queue_offset;
        Ok((wheel, TimerStart { check, seen }))
    }

    /// Hands `timercheck` over, to be written once the commit log is durable up to here.
    pub fn write_timer_check(&self, check: &TimerCheck) {
        let mut bytes = vec![0; CHECK_LEN];
        bytes[..CHECK_USED].copy_from_slice(&check.fields());
        self.write_positions(CHECK_FILE, bytes);
    }
}

fn queue_offset_of(record: &[u8], topic: &str) -> Option<u64> {
    let view = RecordView::parse(record).ok().filter(|view| view.topic() == topic)?;
    u64::try_from(view.queue_offset()).ok()
}

#[cfg(test)]
#[path = "timer_wheel_tests.rs"]
mod tests;
