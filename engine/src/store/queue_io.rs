//! The 20-byte unit of a consume queue, and the files of all queues: a bounded set of them open.
//!
//! Spec: message.md §1.2, store.md §3.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::consume_queue::Queue;
use super::storage::{self, File, LogOffset, OpenMode, Storage};
use crate::protocol::record::{i32_at, i64_at};

/// Bytes of a unit.
pub(super) const UNIT_LEN: usize = 20;
/// Bytes of a unit, as a position counts them.
pub(super) const UNIT: u64 = UNIT_LEN as u64;
/// Size field of a unit that stands for no record.
const BLANK_SIZE: i32 = i32::MAX;
/// Queue files kept open.
const OPEN_MAX: usize = 512;

/// What a queue knows of one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unit {
    /// Where its record starts.
    pub log_offset: LogOffset,
    /// Bytes of its record.
    pub size: u32,
    /// Hash of its tag, or when a delayed message is due.
    pub tags_code: i64,
}

impl Unit {
    /// The unit of a queue offset whose record does not exist.
    pub const BLANK: Self =
        Self { log_offset: LogOffset(0), size: BLANK_SIZE as u32, tags_code: 0 };

    /// Whether the unit stands for no record.
    pub fn is_blank(&self) -> bool {
        self.log_offset.0 == 0 && self.size == BLANK_SIZE as u32
    }

    /// Log offset behind the record; 0 for a blank unit.
    pub fn end(&self) -> u64 {
        if self.is_blank() { 0 } else { self.log_offset.0.saturating_add(u64::from(self.size)) }
    }

    pub(super) fn encode(self) -> [u8; UNIT_LEN] {
        let mut bytes = [0; UNIT_LEN];
        bytes[..8].copy_from_slice(&self.log_offset.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.size.to_be_bytes());
        bytes[12..].copy_from_slice(&self.tags_code.to_be_bytes());
        bytes
    }

    /// None for bytes that were never written as a unit.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let log_offset = u64::try_from(i64_at(bytes, 0)?).ok()?;
        let size = u32::try_from(i32_at(bytes, 8)?).ok().filter(|size| *size > 0)?;
        Some(Self { log_offset: LogOffset(log_offset), size, tags_code: i64_at(bytes, 12)? })
    }
}

/// What every queue needs to reach its files.
pub(super) struct QueueIo {
    pub storage: Arc<dyn Storage>,
    pub dir: PathBuf,
    /// Bytes of a queue file, a multiple of [`UNIT_LEN`].
    pub file_size: u64,
    /// Bytes of all tails.
    pub tail_bytes: AtomicUsize,
    open: Mutex<HashMap<(u64, u64), OpenFile>>,
    tick: AtomicU64,
}

struct OpenFile {
    file: Arc<dyn File>,
    used: u64,
}

impl QueueIo {
    pub fn new(storage: Arc<dyn Storage>, root: &Path, file_size: u64) -> Self {
        Self {
            storage,
            dir: root.join("consumequeue"),
            file_size: file_size.next_multiple_of(UNIT),
            tail_bytes: AtomicUsize::new(0),
            open: Mutex::default(),
            tick: AtomicU64::new(1),
        }
    }

    fn open_files(&self) -> MutexGuard<'_, HashMap<(u64, u64), OpenFile>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn file(&self, queue: &Queue, base: u64, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        if let Some(file) = self.opened(queue, base) {
            return Ok(file);
        }
        let path = queue.dir(self).join(storage::file_name(base));
        let file = self.storage.open(&path, mode)?;
        let mut open = self.open_files();
        if open.len() >= OPEN_MAX {
            // Half at once, so that this is rare.
            let mut uses: Vec<u64> = open.values().map(|open| open.used).collect();
            uses.sort_unstable();
            let limit = uses[uses.len() / 2];
            open.retain(|_, open| open.used > limit);
        }
        let used = self.tick.fetch_add(1, Ordering::Relaxed);
        open.insert((queue.uid, base), OpenFile { file: Arc::clone(&file), used });
        Ok(file)
    }

    /// The file if it is open.
    pub fn opened(&self, queue: &Queue, base: u64) -> Option<Arc<dyn File>> {
        let tick = self.tick.fetch_add(1, Ordering::Relaxed);
        self.open_files().get_mut(&(queue.uid, base)).map(|open| {
            open.used = tick;
            Arc::clone(&open.file)
        })
    }

    pub fn remove_file(&self, queue: &Queue, base: u64) -> io::Result<()> {
        self.open_files().remove(&(queue.uid, base));
        self.storage.remove(&queue.dir(self).join(storage::file_name(base)))
    }

    /// Forgets the open files of a queue.
    pub fn forget(&self, queue: &Queue) {
        self.open_files().retain(|(uid, _), _| *uid != queue.uid);
    }
}
