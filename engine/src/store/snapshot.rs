//! What a clean stop leaves for a fast start: the bounds of every queue and the end of the log.
//!
//! Used only without an abort mark, when files, checkpoint and log end are exactly as it says;
//! removed before the first append. Apache ignores it and would make it stale, which the checks
//! find. Spec: architecture.md §7.

use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checkpoint::CHECKPOINT_FILE;
use super::commit_log::CommitLog;
use super::consume_queue::{Queue, QueueFacts};
use super::error::StoreError;
use super::queue_table::QueueTable;
use super::storage::{self, Storage, Wait};
use super::store::{Mark, Store, StoreConfig};
use crate::protocol::record;

pub(super) const SNAPSHOT_FILE: &str = "mqdeck.snapshot";
/// Version of the format; another one is ignored.
const VERSION: u32 = 1;

/// What must be the same for the files to mean the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Geometry {
    file_size: u64,
    queue_file_size: u64,
    index_slots: u32,
    index_units: u32,
    delay_levels_ms: Vec<i64>,
    cluster: String,
    broker_name: String,
}

impl Geometry {
    fn of(config: &StoreConfig) -> Self {
        Self {
            file_size: config.file_size,
            queue_file_size: config.queue_file_size,
            index_slots: config.index_slots,
            index_units: config.index_units,
            delay_levels_ms: config.delay_levels_ms.clone(),
            cluster: config.cluster.clone(),
            broker_name: config.broker_name.clone(),
        }
    }

    /// The first difference, as a sentence fragment.
    fn difference(&self, other: &Self) -> Option<String> {
        let differs = |what: &str, had: String, has: String| {
            (had != has).then(|| format!("{what} was {had} and is configured as {has}"))
        };
        differs("mappedFileSizeCommitLog", self.file_size.to_string(), other.file_size.to_string())
            .or_else(|| {
                let (had, has) = (self.queue_file_size, other.queue_file_size);
                differs("mappedFileSizeConsumeQueue", had.to_string(), has.to_string())
            })
            .or_else(|| {
                differs(
                    "maxHashSlotNum",
                    self.index_slots.to_string(),
                    other.index_slots.to_string(),
                )
            })
            .or_else(|| {
                differs("maxIndexNum", self.index_units.to_string(), other.index_units.to_string())
            })
            .or_else(|| {
                let (had, has) = (&self.delay_levels_ms, &other.delay_levels_ms);
                differs("messageDelayLevel in ms", format!("{had:?}"), format!("{has:?}"))
            })
            .or_else(|| differs("brokerClusterName", self.cluster.clone(), other.cluster.clone()))
            .or_else(|| differs("brokerName", self.broker_name.clone(), other.broker_name.clone()))
    }
}

/// One queue: id, first and last + 1 byte of its files, min, next, log offset behind its last record.
type QueueRow = (i32, u64, u64, u64, u64, u64);

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    version: u32,
    geometry: Geometry,
    end: u64,
    last_start: u64,
    last_time: i64,
    log_files: Vec<u64>,
    indexed: Option<u64>,
    checkpoint_crc: u32,
    checkpoint_modified_ms: i64,
    topics: Vec<(String, Vec<QueueRow>)>,
}

/// A snapshot that was read whole and has the configured geometry.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub last: Mark,
    pub indexed: Option<u64>,
    content: Content,
}

/// Reads the snapshot; none when there is none, or none that is whole.
///
/// # Errors
/// [`StoreError::Geometry`] when the directory was written with another geometry.
pub(super) fn read(
    disk: &dyn Storage,
    config: &StoreConfig,
) -> Result<Option<Snapshot>, StoreError> {
    let path = config.root.join(SNAPSHOT_FILE);
    let bytes = storage::read_whole(disk, &path).map_err(StoreError::io(&path))?;
    let Some(content) = bytes.as_deref().and_then(parse) else { return Ok(None) };
    if let Some(problem) = content.geometry.difference(&Geometry::of(config)) {
        return Err(StoreError::geometry(&config.root, problem));
    }
    let last = Mark { end: content.end, start: content.last_start, time: content.last_time };
    Ok(Some(Snapshot { last, indexed: content.indexed, content }))
}

/// First line the checksum of the rest.
fn parse(bytes: &[u8]) -> Option<Content> {
    let at = memchr::memchr(b'\n', bytes)?;
    let (crc, rest) = (std::str::from_utf8(&bytes[..at]).ok()?, &bytes[at + 1..]);
    if u32::from_str_radix(crc, 16).ok()? != crc32fast::hash(rest) {
        return None;
    }
    serde_json::from_slice(rest).ok().filter(|content: &Content| content.version == VERSION)
}

/// Takes the snapshot away, so that it can never be stale.
pub(super) fn remove(disk: &dyn Storage, root: &Path) -> io::Result<()> {
    disk.remove(&root.join(SNAPSHOT_FILE))?;
    disk.sync_dir(root)
}

impl Snapshot {
    /// Whether the directory is still as it was: same log files, same checkpoint, the log ends there.
    pub fn matches(&self, disk: &dyn Storage, root: &Path, log: &CommitLog) -> io::Result<bool> {
        let content = &self.content;
        let bases: Vec<u64> = log.files().iter().map(|file| file.base).collect();
        if bases != content.log_files {
            return Ok(false);
        }
        if checkpoint_facts(disk, root)? != (content.checkpoint_crc, content.checkpoint_modified_ms)
        {
            return Ok(false);
        }
        let mut behind = Vec::new();
        log.read_into(&mut behind, content.end, 8, Wait::Yes)?;
        if behind.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        if content.end == content.last_start {
            return Ok(true);
        }
        // The last record, unless a marker or a new file came behind it.
        let mut head = Vec::new();
        log.read_into(&mut head, content.last_start, record::HEAD_MAX, Wait::Yes)?;
        let size = record::i32_at(&head, 0).and_then(|size| usize::try_from(size).ok());
        Ok(size.is_some_and(|size| record::head_matches(&head, size, content.last_start)))
    }

    pub fn restore(self, queues: &QueueTable) {
        for (topic, rows) in self.content.topics {
            let topic: Arc<str> = Arc::from(topic);
            for (id, first, last, min, next, last_end) in rows {
                let facts = QueueFacts { files: (first, last), min, next, last_end };
                queues.insert(Queue::from_facts(Arc::clone(&topic), id, facts));
            }
        }
    }
}

fn checkpoint_facts(disk: &dyn Storage, root: &Path) -> io::Result<(u32, i64)> {
    let bytes = storage::read_whole(disk, &root.join(CHECKPOINT_FILE))?.unwrap_or_default();
    let entries = disk.list(root)?;
    let modified = entries.iter().find(|entry| entry.name == CHECKPOINT_FILE);
    Ok((crc32fast::hash(&bytes), modified.map_or(0, |entry| entry.modified_ms)))
}

impl Store {
    /// Leaves the snapshot. Everything has been written and synced before.
    pub(super) fn write_snapshot(&self) -> Result<(), StoreError> {
        let root = &self.config.root;
        let path = root.join(SNAPSHOT_FILE);
        let disk = self.log.storage();
        let (checkpoint_crc, checkpoint_modified_ms) =
            checkpoint_facts(disk, root).map_err(StoreError::io(&path))?;
        let mut topics: Vec<(String, Vec<QueueRow>)> = Vec::new();
        for queue in self.queues.all() {
            let QueueFacts { files, min, next, last_end } = queue.facts();
            let row = (queue.id, files.0, files.1, min, next, last_end);
            match topics.last_mut() {
                Some((topic, rows)) if **topic == *queue.topic => rows.push(row),
                _ => topics.push((queue.topic.to_string(), vec![row])),
            }
        }
        let mark = self.flushed_mark();
        let content = Content {
            version: VERSION,
            geometry: Geometry::of(&self.config),
            end: self.log.written(),
            last_start: mark.start,
            last_time: mark.time,
            log_files: self.log.files().iter().map(|file| file.base).collect(),
            indexed: self.index.as_ref().map(super::index::Index::indexed),
            checkpoint_crc,
            checkpoint_modified_ms,
            topics,
        };
        let json = serde_json::to_vec(&content)
            .map_err(io::Error::other)
            .map_err(StoreError::io(&path))?;
        let mut bytes = format!("{:08x}\n", crc32fast::hash(&json)).into_bytes();
        bytes.extend_from_slice(&json);
        storage::write_whole(disk, &path, &bytes).map_err(StoreError::io(&path))
    }
}
