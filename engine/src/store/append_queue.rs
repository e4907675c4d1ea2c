//! What is to be appended, how it ended, and the bounded queue before the committer.
//!
//! Only data: the critical section that empties the queue is `append.rs`. Spec: architecture.md §5,
//! §6 (back-pressure).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::storage::{LogOffset, QueueOffset};
use crate::protocol::record::RecordBuf;

/// Records that may wait for the committer.
const QUEUED_RECORDS_MAX: usize = 10_000;
/// Bytes that may wait for the committer.
const QUEUED_BYTES_MAX: usize = 64 << 20;
/// Records of one group.
const GROUP_RECORDS_MAX: usize = 512;
/// Bytes of one group.
const GROUP_BYTES_MAX: usize = 4 << 20;

/// What becomes of a record in its queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnitKind {
    /// It gets the next queue offset.
    Message,
    /// It gets none: prepared and rollback records of a transaction.
    NoUnit,
}

/// How an append ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PutStatus {
    /// Stored, as durable as was asked for.
    Ok,
    /// Stored and delivered, but not on the disk within the time limit.
    FlushTimeout,
    /// Not stored: too much waits already.
    Busy,
    /// Not stored: no room on the disk.
    DiskFull,
    /// Not stored: the log stopped, or the store is closing.
    Stopped,
    /// Not stored: larger than a log file or the limit of a message.
    TooLarge,
    /// Not stored: the write failed, or the name of the topic cannot be one.
    Failed,
}

/// The answer to an append.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    /// How it ended. Only [`PutStatus::Ok`] and [`PutStatus::FlushTimeout`] mean "stored"; else the
    /// other fields are zero.
    pub status: PutStatus,
    /// Queue offset of the first record.
    pub queue_offset: QueueOffset,
    /// Where the first record starts.
    pub physical: LogOffset,
    /// Where the further records of a batch start.
    pub more: Vec<LogOffset>,
    /// Bytes of the first record.
    pub size: u32,
    /// Store time of all of them.
    pub store_timestamp: i64,
}

impl Appended {
    /// An append that was not stored.
    pub fn refused(status: PutStatus) -> Self {
        Self {
            status,
            queue_offset: QueueOffset(0),
            physical: LogOffset(0),
            more: Vec::new(),
            size: 0,
            store_timestamp: 0,
        }
    }

    /// Whether the records are in the log.
    pub fn is_stored(&self) -> bool {
        matches!(self.status, PutStatus::Ok | PutStatus::FlushTimeout)
    }

    /// Where every record of the append starts.
    pub fn offsets(&self) -> impl Iterator<Item = LogOffset> + '_ {
        std::iter::once(self.physical).chain(self.more.iter().copied())
    }
}

/// Who is told how an append ended. Called once, outside every lock of the store.
pub type Done = Box<dyn FnOnce(Appended) + Send>;

/// Records to be stored together: one, or the elements of a batch, which get consecutive offsets and
/// the same file.
pub struct Append {
    /// Topic of the records.
    pub topic: Arc<str>,
    /// Queue of the records.
    pub queue_id: i32,
    /// The first record.
    pub record: RecordBuf,
    /// Tag code of the first record.
    pub tags_code: i64,
    /// Further records of a batch, each with its tag code.
    pub more: Vec<(RecordBuf, i64)>,
    /// Whether they get queue offsets.
    pub kind: UnitKind,
    /// Time until a delayed message is due: its unit carries the due time instead of a tag code.
    pub delay_ms: Option<i64>,
    /// Whether `done` waits for the disk under sync flush.
    pub wait: bool,
    /// Who is told.
    pub done: Done,
}

impl Append {
    /// Bytes of its records, as they will lie in the log.
    pub fn bytes(&self) -> usize {
        self.record.len() + self.more.iter().map(|(record, _)| record.len()).sum::<usize>()
    }

    /// How many they are.
    pub fn records(&self) -> usize {
        1 + self.more.len()
    }
}

/// A message that readers may see now.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its queue.
    pub queue_id: i32,
    /// Queue offset behind it.
    pub next: QueueOffset,
    /// Tag code of its unit.
    pub tags_code: i64,
    /// Where its record starts.
    pub log_offset: LogOffset,
    /// Bytes of its record.
    pub size: u32,
}

/// Appends that wait for the committer.
#[derive(Default)]
pub(super) struct AppendQueue {
    waiting: Mutex<Queued>,
}

#[derive(Default)]
struct Queued {
    items: VecDeque<Append>,
    records: usize,
    bytes: usize,
}

impl AppendQueue {
    fn lock(&self) -> MutexGuard<'_, Queued> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues what fits and gives the rest back.
    pub fn add(&self, items: Vec<Append>) -> Vec<Append> {
        let mut refused = Vec::new();
        let mut queued = self.lock();
        for item in items {
            let (records, bytes) = (item.records(), item.bytes());
            let full = queued.records + records > QUEUED_RECORDS_MAX
                || queued.bytes + bytes > QUEUED_BYTES_MAX;
            if full && !queued.items.is_empty() {
                refused.push(item);
            } else {
                queued.records += records;
                queued.bytes += bytes;
                queued.items.push_back(item);
            }
        }
        refused
    }

    /// Takes one group: at least one append, at most the limits of a group.
    pub fn take(&self) -> Vec<Append> {
        let mut queued = self.lock();
        let (mut records, mut bytes, mut count) = (0, 0, 0);
        for item in &queued.items {
            records += item.records();
            bytes += item.bytes();
            if count > 0 && (records > GROUP_RECORDS_MAX || bytes > GROUP_BYTES_MAX) {
                break;
            }
            count += 1;
        }
        let group: Vec<Append> = queued.items.drain(..count).collect();
        queued.records -= group.iter().map(Append::records).sum::<usize>();
        queued.bytes -= group.iter().map(Append::bytes).sum::<usize>();
        group
    }

    pub fn is_empty(&self) -> bool {
        self.lock().items.is_empty()
    }
}
