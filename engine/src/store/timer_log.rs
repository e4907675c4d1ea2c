//! The log of timer messages: one unit a message, chained backwards by the second it waits for.
//!
//! Files of equal length, one after the other, as Apache has them. What the chains start from is the
//! wheel's business. Spec: store.md §10.2.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::StoreError;
use super::storage::{self, File, LogOffset, OpenMode, Storage};
use crate::protocol::record::{i32_at, i64_at};

/// Bytes of a log unit.
pub(super) const UNIT_LEN: usize = 52;
/// Bytes of the marker at the end of a log file.
const BLANK_LEN: usize = 16;
/// Magic of that marker.
const BLANK_MAGIC: i32 = 0xCBD4_3194_u32 as i32;
/// Bytes of a log file, unless there are some of another size (`mappedFileSizeTimerLog`).
const FILE_LEN: u64 = 104_857_600;
/// Bytes that are read at once.
const BLOCK_LEN: usize = 256 << 10;
/// Log files kept open.
const OPEN_MAX: usize = 8;

const MAGIC_DEFAULT: i32 = 1;
const MAGIC_ROLL: i32 = 2;
const MAGIC_DELETE: i32 = 4;
const MAGIC_MASK: i32 = 0xF;

const LOG_DIR: &str = "timerlog";

/// One entry of the timer log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerUnit {
    /// It is a stage only: the message goes back to the timer topic.
    pub roll: bool,
    /// It removes another.
    pub delete: bool,
    /// When it was written, a whole second, ms.
    pub written_ms: i64,
    /// The second that it waits for, ms.
    pub due_ms: i64,
    /// Where its record starts in the commit log.
    pub log_offset: LogOffset,
    /// Bytes of its record.
    pub size: u32,
    /// Java hash of its real topic.
    pub topic_hash: i32,
}

impl TimerUnit {
    fn encode(&self, previous: i64) -> [u8; UNIT_LEN] {
        let roll = if self.roll { MAGIC_ROLL } else { 0 };
        let delete = if self.delete { MAGIC_DELETE } else { 0 };
        let delay = self.due_ms.saturating_sub(self.written_ms);
        let delay = i32::try_from(delay).unwrap_or(if delay < 0 { i32::MIN } else { i32::MAX });
        let mut bytes = [0; UNIT_LEN];
        bytes[..4].copy_from_slice(&(UNIT_LEN as i32).to_be_bytes());
        bytes[4..12].copy_from_slice(&previous.to_be_bytes());
        bytes[12..16].copy_from_slice(&(MAGIC_DEFAULT | roll | delete).to_be_bytes());
        bytes[16..24].copy_from_slice(&self.written_ms.to_be_bytes());
        bytes[24..28].copy_from_slice(&delay.to_be_bytes());
        bytes[28..36].copy_from_slice(&self.log_offset.0.to_be_bytes());
        bytes[36..40].copy_from_slice(&self.size.to_be_bytes());
        bytes[40..44].copy_from_slice(&self.topic_hash.to_be_bytes());
        bytes
    }

    /// The unit and the position of the one before it in its slot.
    fn decode(bytes: &[u8]) -> Option<(Self, i64)> {
        let magic = i32_at(bytes, 12)?;
        if i32_at(bytes, 0)? != UNIT_LEN as i32 || magic & !MAGIC_MASK != 0 {
            return None;
        }
        let written_ms = i64_at(bytes, 16)?;
        let unit = Self {
            roll: magic & MAGIC_ROLL != 0,
            delete: magic & MAGIC_DELETE != 0,
            written_ms,
            due_ms: written_ms.checked_add(i64::from(i32_at(bytes, 24)?))?,
            log_offset: LogOffset(u64::try_from(i64_at(bytes, 28)?).ok()?),
            size: u32::try_from(i32_at(bytes, 36)?).ok()?,
            topic_hash: i32_at(bytes, 40)?,
        };
        Some((unit, i64_at(bytes, 4)?))
    }

    /// What it adds to the count of its slot.
    pub(super) fn weight(&self) -> i32 {
        if self.delete { -1 } else { 1 }
    }
}

/// The files of the timer log.
pub(super) struct TimerLog {
    pub storage: Arc<dyn Storage>,
    dir: PathBuf,
    pub file_len: u64,
    /// Where the oldest file starts.
    pub min: u64,
    /// Where the next unit goes.
    pub end: u64,
    /// Files that were written since the last sync.
    unsynced: BTreeSet<u64>,
    open: BTreeMap<u64, Arc<dyn File>>,
    block: (u64, Vec<u8>),
}

impl TimerLog {
    pub fn open(storage: &Arc<dyn Storage>, root: &Path) -> Result<Self, StoreError> {
        let dir = root.join(LOG_DIR);
        let entries = storage.list(&dir).map_err(StoreError::io(&dir))?;
        let files: Vec<_> = entries.iter().filter(|entry| !entry.is_dir).collect();
        let len_min = (UNIT_LEN + BLANK_LEN) as u64;
        let file_len = files.first().map_or(0, |file| file.len);
        let file_len = if file_len < len_min { FILE_LEN } else { file_len };
        let mut bases = Vec::new();
        for (at, file) in files.iter().enumerate() {
            // A machine that crashed may have left the newest file without its length.
            let fits = file.len == file_len || (file.len < len_min && at + 1 == files.len());
            let base = storage::parse_file_name(&file.name);
            bases.push(base.filter(|base| fits && base % file_len == 0).ok_or_else(|| {
                let problem = "no file of the timer log, or not as long as the others";
                StoreError::geometry(dir.join(&file.name), problem)
            })?);
        }
        let min = bases.first().copied().unwrap_or(0);
        if bases.iter().zip((min..).step_by(file_len as usize)).any(|(is, want)| *is != want) {
            return Err(StoreError::geometry(&dir, "a file of the timer log is missing"));
        }
        Ok(Self {
            storage: Arc::clone(storage),
            file_len,
            min,
            end: min + bases.len() as u64 * file_len,
            unsynced: BTreeSet::new(),
            open: BTreeMap::new(),
            block: (0, Vec::new()),
            dir,
        })
    }

    fn base(&self, position: u64) -> u64 {
        position - position % self.file_len
    }

    fn path(&self, base: u64) -> PathBuf {
        self.dir.join(storage::file_name(base))
    }

    /// The file that starts at `base`; it is made when it is the next one.
    fn file(&mut self, base: u64, mode: OpenMode) -> Result<Arc<dyn File>, StoreError> {
        if let Some(file) = self.open.get(&base) {
            return Ok(Arc::clone(file));
        }
        let path = self.path(base);
        let open = || {
            if mode == OpenMode::Create {
                self.storage.create_dir(&self.dir)?;
            }
            let file = self.storage.open(&path, mode)?;
            if file.len()? < self.file_len {
                file.set_len(self.file_len)?;
                file.sync_data()?;
                self.storage.sync_dir(&self.dir)?;
            }
            Ok(file)
        };
        let file = open().map_err(StoreError::io(&path))?;
        while self.open.len() >= OPEN_MAX {
            self.open.pop_first();
        }
        self.open.insert(base, Arc::clone(&file));
        Ok(file)
    }

    /// Whether a unit fits behind what lies before this position of its file.
    fn fits(&self, position: u64) -> bool {
        position % self.file_len + (UNIT_LEN + BLANK_LEN) as u64 <= self.file_len
    }

    fn write(&mut self, position: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let base = self.base(position);
        let file = self.file(base, OpenMode::Create)?;
        storage::write_all(file.as_ref(), bytes, position - base)
            .map_err(StoreError::io(self.path(base)))?;
        self.unsynced.insert(base);
        Ok(())
    }

    /// The 52 bytes at a position below the end, through a block that is kept.
    fn bytes_at(&mut self, position: u64) -> Result<Option<[u8; UNIT_LEN]>, StoreError> {
        if position < self.min || position.saturating_add(UNIT_LEN as u64) > self.end {
            return Ok(None);
        }
        let within = |block: &(u64, Vec<u8>)| {
            let at = usize::try_from(position.checked_sub(block.0)?).ok()?;
            block.1.get(at..at.checked_add(UNIT_LEN)?)?.try_into().ok()
        };
        if let Some(bytes) = within(&self.block) {
            return Ok(Some(bytes));
        }
        let base = self.base(position);
        // Chains lead backwards: the block ends a little behind the unit.
        let behind = (BLOCK_LEN - UNIT_LEN * 16) as u64;
        let start = position.saturating_sub(behind).max(base);
        let len = (BLOCK_LEN as u64).min(self.end.min(base + self.file_len) - start) as usize;
        let mut bytes = Vec::new();
        let file = self.file(base, OpenMode::Existing)?;
        file.read_at(&mut bytes, len, start - base).map_err(StoreError::io(self.path(base)))?;
        self.block = (start, bytes);
        Ok(within(&self.block))
    }

    /// The unit at a position, and the position of the one before it in its slot.
    pub fn unit(&mut self, position: u64) -> Result<Option<(TimerUnit, i64)>, StoreError> {
        Ok(self.bytes_at(position)?.and_then(|bytes| TimerUnit::decode(&bytes)))
    }

    /// Writes units to the end. `place` is told where each goes and answers the position of the one
    /// before it in its slot. On an error nothing of it counts.
    pub fn append(
        &mut self,
        units: &[TimerUnit],
        place: &mut dyn FnMut(u64, &TimerUnit) -> i64,
    ) -> Result<(), StoreError> {
        let mut start = self.end;
        let mut bytes = Vec::with_capacity(units.len() * UNIT_LEN);
        for unit in units {
            let mut position = start + bytes.len() as u64;
            if !self.fits(position) {
                let next = self.base(position) + self.file_len;
                bytes.extend_from_slice(&((next - position) as i32).to_be_bytes());
                bytes.extend_from_slice(&0i64.to_be_bytes());
                bytes.extend_from_slice(&BLANK_MAGIC.to_be_bytes());
                self.write(start, &bytes)?;
                bytes.clear();
                (start, position) = (next, next);
            }
            bytes.extend_from_slice(&unit.encode(place(position, unit)));
        }
        if !bytes.is_empty() {
            self.write(start, &bytes)?;
            self.end = start + bytes.len() as u64;
        }
        Ok(())
    }

    /// Hands every unit from the file of `from` on to `take`, until something else stands there or
    /// `take` says so. Answers where that is.
    pub fn scan(
        &mut self,
        from: u64,
        take: &mut dyn FnMut(u64, &TimerUnit) -> bool,
    ) -> Result<u64, StoreError> {
        let mut position = self.base(from.max(self.min));
        let mut block = Vec::new();
        'files: while position < self.end {
            let base = self.base(position);
            let file = self.file(base, OpenMode::Existing)?;
            loop {
                block.clear();
                let len = BLOCK_LEN / UNIT_LEN * UNIT_LEN;
                file.read_at(&mut block, len, position - base)
                    .map_err(StoreError::io(self.path(base)))?;
                for bytes in block.chunks(UNIT_LEN) {
                    if self.fits(position)
                        && let Some((unit, _)) = TimerUnit::decode(bytes)
                        && take(position, &unit)
                    {
                        position += UNIT_LEN as u64;
                        continue;
                    }
                    if i32_at(bytes, 12) == Some(BLANK_MAGIC) && !self.fits(position) {
                        position = base + self.file_len;
                        continue 'files;
                    }
                    return Ok(position);
                }
                if block.is_empty() {
                    return Ok(position);
                }
            }
        }
        Ok(position)
    }

    /// Nothing lies behind `end` from now on.
    pub fn cut(&mut self, end: u64) -> Result<(), StoreError> {
        let last = self.end;
        self.end = end;
        self.block = (0, Vec::new());
        let base = self.base(end);
        if base < last {
            let file = self.file(base, OpenMode::Existing)?;
            file.zero(end - base, base + self.file_len - end)
                .map_err(StoreError::io(self.path(base)))?;
            self.unsynced.insert(base);
        }
        for base in (base + self.file_len..last).step_by(self.file_len as usize) {
            self.open.remove(&base);
            self.storage.remove(&self.path(base)).map_err(StoreError::io(self.path(base)))?;
        }
        Ok(())
    }

    pub fn sync(&mut self) -> Result<(), StoreError> {
        for base in self.unsynced.clone() {
            let file = self.file(base, OpenMode::Existing)?;
            file.sync_data().map_err(StoreError::io(self.path(base)))?;
            self.unsynced.remove(&base);
        }
        Ok(())
    }

    /// Removes files of which even the last unit's record is gone; never the last file.
    pub fn expire(&mut self, log_min: u64) -> Result<usize, StoreError> {
        let mut removed = 0;
        while self.min + self.file_len < self.end {
            let room = self.file_len - (UNIT_LEN + BLANK_LEN) as u64;
            let last = self.min + room / UNIT_LEN as u64 * UNIT_LEN as u64;
            let unit = self.unit(last)?;
            if unit.is_some_and(|(unit, _)| unit.log_offset.0 >= log_min) {
                break;
            }
            let path = self.path(self.min);
            self.open.remove(&self.min);
            self.unsynced.remove(&self.min);
            self.storage.remove(&path).map_err(StoreError::io(&path))?;
            self.min += self.file_len;
            removed += 1;
        }
        Ok(removed)
    }
}
