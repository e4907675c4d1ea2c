//! The key index: hash files that find records by unique key, key word and tag.
//!
//! Follows the visible log on a thread of its own; losing it costs a rebuild, nothing else. A hit is a
//! hash match: who asks compares the keys. Spec: message.md §1.2, store.md §4, architecture.md §7.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::dispatch;
use super::error::StoreError;
use super::scan::{Checksum, Scanner, Step};
use super::storage::{File, LogOffset, Mapping, OpenMode, Storage};
use super::store::{Opened, Store, StoreConfig};
use crate::protocol::java_hash;
use crate::protocol::record::{i32_at, i64_at};

const HEADER_LEN: u64 = 40;
const SLOT_LEN: u64 = 4;
const UNIT_LEN: u64 = 20;
/// Room is taken in steps of this size, before it is touched.
const RESERVE_STEP: u64 = 16 << 20;
/// A query follows the log itself as far as this before it looks.
const QUERY_FOLLOWS_MAX: u64 = 256 << 20;
/// Log bytes behind which the flush wakes the index before its tick.
const BEHIND_MAX: u64 = 4 << 20;
/// Records that one turn indexes, so that the thread can be ended.
const TURN_RECORDS: usize = 20_000;

/// How far a turn of the index came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Followed {
    /// All that was visible when it began.
    UpTo,
    /// It stopped before.
    Behind,
}
/// Hits that one query answers (`maxMsgsNumBatch`).
const HITS_MAX: usize = 64;

/// Where records with a key may be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyHits {
    /// Log offsets, newest first. The keys only have the same hash.
    pub offsets: Vec<LogOffset>,
    /// Store time of the newest indexed record.
    pub last_update_ms: i64,
    /// Log offset of the newest indexed record.
    pub last_update_offset: LogOffset,
}

/// Sizes of an index file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shape {
    slots: u32,
    units: u32,
}

impl Shape {
    fn slot_at(self, hash: i32) -> u64 {
        HEADER_LEN + u64::from(hash.unsigned_abs() % self.slots) * SLOT_LEN
    }

    fn unit_at(self, number: u32) -> u64 {
        HEADER_LEN + u64::from(self.slots) * SLOT_LEN + u64::from(number) * UNIT_LEN
    }

    fn len(self) -> u64 {
        self.unit_at(self.units)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Header {
    begin_ms: i64,
    end_ms: i64,
    begin_offset: i64,
    end_offset: i64,
    slots_used: i32,
    /// Number of the next unit; numbering starts at 1.
    next: u32,
}

impl Header {
    fn decode(bytes: &[u8]) -> Self {
        let long = |at| i64_at(bytes, at).unwrap_or(0);
        let next = i32_at(bytes, 36).and_then(|next| u32::try_from(next).ok()).unwrap_or(0);
        Self {
            begin_ms: long(0),
            end_ms: long(8),
            begin_offset: long(16),
            end_offset: long(24),
            slots_used: i32_at(bytes, 32).unwrap_or(0),
            next: next.max(1),
        }
    }

    fn encode(self, bytes: &mut [u8]) {
        for (at, field) in
            [self.begin_ms, self.end_ms, self.begin_offset, self.end_offset].into_iter().enumerate()
        {
            put(bytes, at as u64 * 8, &field.to_be_bytes());
        }
        put(bytes, 32, &self.slots_used.to_be_bytes());
        put(bytes, 36, &self.next.to_be_bytes());
    }
}

fn put(bytes: &mut [u8], at: u64, field: &[u8]) {
    let at = at as usize;
    bytes[at..at + field.len()].copy_from_slice(field);
}

struct IndexFile {
    path: PathBuf,
    name: u64,
    shape: Shape,
    file: Arc<dyn File>,
    map: RwLock<Box<dyn Mapping>>,
    reserved: AtomicU64,
}

impl IndexFile {
    fn open(
        storage: &dyn Storage,
        dir: &std::path::Path,
        name: u64,
        shape: Shape,
    ) -> io::Result<Self> {
        let path = dir.join(format!("{name:017}"));
        let file = storage.open(&path, OpenMode::Create)?;
        if file.len()? < shape.len() {
            file.set_len(shape.len())?;
        }
        // Header and slots are touched anywhere, units one after the other.
        let reserved = shape.unit_at(1);
        file.reserve(0, reserved)?;
        let map = RwLock::new(file.map(shape.len())?);
        Ok(Self { path, name, shape, file, map, reserved: AtomicU64::new(reserved) })
    }

    fn header(&self) -> Header {
        Header::decode(self.map.read().unwrap_or_else(PoisonError::into_inner).bytes())
    }

    /// Adds entries of one record; false when the file is full before the first of them.
    fn put(&self, hash: i32, offset: u64, time_ms: i64) -> io::Result<bool> {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let bytes = map.bytes_mut();
        let mut header = Header::decode(bytes);
        if header.next >= self.shape.units {
            return Ok(false);
        }
        let unit_at = self.shape.unit_at(header.next);
        let reserved = self.reserved.load(Ordering::Relaxed);
        if unit_at + UNIT_LEN > reserved {
            let from = unit_at.max(reserved);
            let to = (from + RESERVE_STEP).min(self.shape.len());
            self.file.reserve(from, to - from)?;
            self.reserved.store(to, Ordering::Relaxed);
        }
        if header.next == 1 {
            header.begin_ms = time_ms;
            header.begin_offset = offset as i64;
        }
        let slot_at = self.shape.slot_at(hash);
        let previous = self.link(bytes, slot_at, header.next);
        let seconds = ((time_ms - header.begin_ms) / 1000).clamp(0, i64::from(i32::MAX)) as i32;
        put(bytes, unit_at, &hash.to_be_bytes());
        put(bytes, unit_at + 4, &offset.to_be_bytes());
        put(bytes, unit_at + 12, &seconds.to_be_bytes());
        put(bytes, unit_at + 16, &previous.to_be_bytes());
        put(bytes, slot_at, &header.next.to_be_bytes());
        header.slots_used += i32::from(previous == 0);
        header.next += 1;
        header.end_ms = time_ms;
        header.end_offset = offset as i64;
        header.encode(bytes);
        Ok(true)
    }

    /// A number of a unit that exists, or 0.
    fn link(&self, bytes: &[u8], at: u64, next: u32) -> u32 {
        let number = i32_at(bytes, at as usize).and_then(|number| u32::try_from(number).ok());
        number.filter(|number| *number < next && *number < self.shape.units).unwrap_or(0)
    }

    /// Collects offsets of a hash in a window of time, newest first.
    fn find(&self, hash: i32, max: usize, begin_ms: i64, end_ms: i64, found: &mut Vec<LogOffset>) {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        let bytes = map.bytes();
        let header = Header::decode(bytes);
        if header.begin_ms > end_ms || header.end_ms < begin_ms {
            return;
        }
        let mut number = self.link(bytes, self.shape.slot_at(hash), header.next);
        while number > 0 && found.len() < max {
            let at = self.shape.unit_at(number);
            let seconds = i32_at(bytes, at as usize + 12).unwrap_or(0).max(0);
            let time = header.begin_ms + i64::from(seconds) * 1000;
            // The time is cut to whole seconds from the first: be generous at the start.
            let inside = time + 999 >= begin_ms && time <= end_ms;
            if inside && i32_at(bytes, at as usize) == Some(hash) {
                let offset = i64_at(bytes, at as usize + 4).unwrap_or(0);
                found.extend(u64::try_from(offset).ok().map(LogOffset));
            }
            let previous = self.link(bytes, at + 16, header.next);
            // Links only go down; anything else is damage and would never end.
            number = if previous < number { previous } else { 0 };
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.map.read().unwrap_or_else(PoisonError::into_inner).sync()
    }
}

/// The index files and how far they follow the log.
pub(super) struct Index {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    shape: Shape,
    files: RwLock<Vec<Arc<IndexFile>>>,
    /// Held by who moves `indexed`.
    following: Mutex<()>,
    indexed: AtomicU64,
    full_time: AtomicI64,
}

impl Index {
    /// Opens the files; after an unclean stop those that are not known to be whole are removed and
    /// rebuilt (store.md §11.3).
    pub fn open(
        storage: &Arc<dyn Storage>,
        config: &StoreConfig,
        opened: &Opened,
    ) -> Result<Option<Self>, StoreError> {
        if !config.index_enabled {
            return Ok(None);
        }
        let shape = Shape { slots: config.index_slots.max(1), units: config.index_units.max(2) };
        let dir = config.root.join("index");
        storage.create_dir(&dir).map_err(StoreError::io(&dir))?;
        let mut files = Vec::new();
        let entries = storage.list(&dir).map_err(StoreError::io(&dir))?;
        for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
            let Ok(name) = entry.name.parse::<u64>() else { continue };
            let path = dir.join(&entry.name);
            // Other parameters would be misread: such a file is as good as none.
            if entry.len != shape.len() {
                storage.remove(&path).map_err(StoreError::io(&path))?;
                continue;
            }
            let file = IndexFile::open(storage.as_ref(), &dir, name, shape)
                .map_err(StoreError::io(&path))?;
            let header = file.header();
            let beyond = header.end_offset >= opened.log.written() as i64 && header.next > 1;
            let unsure = opened.recovery.abnormal && header.end_ms > opened.checkpoint.index_time;
            if beyond || unsure {
                drop(file);
                storage.remove(&path).map_err(StoreError::io(&path))?;
                continue;
            }
            files.push(Arc::new(file));
        }
        let last = files.last().map(|file| file.header()).filter(|header| header.next > 1);
        let covered = last.map(|header| u64::try_from(header.end_offset).unwrap_or(0));
        // Without files nothing was indexed, whatever a snapshot says.
        let indexed = covered.map_or(0, |covered| opened.indexed.unwrap_or(covered));
        Ok(Some(Self {
            storage: Arc::clone(storage),
            dir,
            shape,
            files: RwLock::new(files),
            following: Mutex::new(()),
            indexed: AtomicU64::new(indexed.max(opened.log.min())),
            full_time: AtomicI64::new(opened.checkpoint.index_time),
        }))
    }

    /// Log offset up to which records are indexed.
    pub fn indexed(&self) -> u64 {
        self.indexed.load(Ordering::Acquire)
    }

    /// End time of the newest full file that is durable.
    pub fn full_time(&self) -> i64 {
        self.full_time.load(Ordering::Relaxed)
    }

    fn files(&self) -> Vec<Arc<IndexFile>> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, hashes: &[i32], offset: u64, time_ms: i64, now_ms: i64) -> io::Result<()> {
        let mut file = match self.files().last() {
            Some(file) => Arc::clone(file),
            None => self.add_file(now_ms)?,
        };
        for hash in hashes {
            if !file.put(*hash, offset, time_ms)? {
                file.sync()?;
                self.full_time.store(file.header().end_ms, Ordering::Relaxed);
                file = self.add_file(now_ms)?;
                file.put(*hash, offset, time_ms)?;
            }
        }
        Ok(())
    }

    /// Files are named by local time, in order.
    fn add_file(&self, now_ms: i64) -> io::Result<Arc<IndexFile>> {
        use chrono::{Local, TimeZone};
        let time = Local.timestamp_millis_opt(now_ms).earliest().unwrap_or_default();
        let name = time.format("%Y%m%d%H%M%S%3f").to_string().parse().unwrap_or(0);
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        let name = files.last().map_or(name, |last| name.max(last.name + 1));
        let file = IndexFile::open(self.storage.as_ref(), &self.dir, name, self.shape)?;
        self.storage.sync_dir(&self.dir)?;
        let file = Arc::new(file);
        files.push(Arc::clone(&file));
        Ok(file)
    }

    /// Removes files whose last record is gone from the log, never the last one.
    pub fn expire(&self, log_min: u64) -> Result<(), StoreError> {
        loop {
            let gone = {
                let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
                let first = files.first().map(|file| file.header().end_offset);
                if files.len() < 2 || first.is_none_or(|end| end >= log_min as i64) {
                    return Ok(());
                }
                files.remove(0)
            };
            self.storage.remove(&gone.path).map_err(StoreError::io(&gone.path))?;
        }
    }

    /// Makes the newest file durable; full ones are already.
    pub fn sync(&self) -> Result<(), StoreError> {
        match self.files().last() {
            Some(file) => file.sync().map_err(StoreError::io(&file.path)),
            None => Ok(()),
        }
    }
}

impl Store {
    /// One turn of the `index` thread: waits, at most `timeout`, and indexes what has become visible.
    /// False when the thread should end. The engine calls it in a loop, with 100 ms.
    pub fn index_turn(&self, timeout: Duration) -> bool {
        self.index_bell.wait(timeout);
        let Some(index) = &self.index else { return !self.ending.load(Ordering::Acquire) };
        match self.follow(index, TURN_RECORDS) {
            Err(error) => tracing::error!(offset = index.indexed(), %error, "indexing keys failed"),
            Ok(Followed::Behind) => self.index_bell.ring(),
            // What came meanwhile waits for the next flush: a turn a record would cost more than the send.
            Ok(Followed::UpTo) => {}
        }
        !self.ending.load(Ordering::Acquire)
    }

    /// After a flush: wakes the index when much waits for it, else its tick will do.
    pub(super) fn index_after_flush(&self) {
        let indexed = self.index.as_ref().map_or(u64::MAX, Index::indexed);
        if self.log.visible().saturating_sub(indexed) >= BEHIND_MAX {
            self.index_bell.ring();
        }
    }

    /// Where records with a key may be: `topic#key` by hash, newest first. For a tag the key is
    /// `T#tag`. Looks at everything visible when it is asked, but for the newest of a burst of 256 MiB.
    ///
    /// # Errors
    /// When the disk cannot be read, or has no room for the index.
    pub fn query_key(
        &self,
        topic: &str,
        key: &str,
        max: usize,
        begin_ms: i64,
        end_ms: i64,
    ) -> Result<KeyHits, StoreError> {
        let Some(index) = &self.index else { return Ok(KeyHits::default()) };
        let seen = self.log.visible();
        let lag = seen.saturating_sub(index.indexed());
        if lag < QUERY_FOLLOWS_MAX {
            self.follow(index, usize::MAX).map_err(StoreError::io(&index.dir))?;
        }
        let hash = java_hash::index_hash(topic, key);
        let max = max.min(HITS_MAX);
        let files = index.files();
        let mut hits = KeyHits::default();
        if let Some(last) = files.last() {
            let header = last.header();
            hits.last_update_ms = header.end_ms;
            hits.last_update_offset = LogOffset(u64::try_from(header.end_offset).unwrap_or(0));
        }
        for file in files.iter().rev() {
            file.find(hash, max, begin_ms, end_ms, &mut hits.offsets);
            if hits.offsets.len() >= max {
                break;
            }
        }
        let log_min = LogOffset(self.log.min());
        hits.offsets.retain(|offset| *offset >= log_min);
        Ok(hits)
    }

    /// Indexes records up to the visible end, at most so many.
    fn follow(&self, index: &Index, most: usize) -> io::Result<Followed> {
        let _one = index.following.lock().unwrap_or_else(PoisonError::into_inner);
        let visible = self.log.visible();
        let mut at = index.indexed().max(self.log.min());
        if at >= visible {
            return Ok(Followed::UpTo);
        }
        let last = index.files().last().map(|file| file.header()).filter(|h| h.next > 1);
        let covered = last.map_or(-1, |header| header.end_offset);
        let now_ms = self.clock.wall_ms();
        let mut scanner = Scanner::new(&self.log, visible);
        let mut hashes = Vec::new();
        let mut records = 0;
        while at < visible && records < most {
            at = match scanner.step(at, Checksum::Trust)? {
                Step::Record(view) => {
                    records += 1;
                    if view.physical_offset() > covered {
                        hashes.clear();
                        dispatch::key_hashes(&view, &mut hashes);
                        index.put(&hashes, at, view.store_timestamp(), now_ms)?;
                    }
                    at + view.size() as u64
                }
                Step::NextFile(base) => base,
                // Damage that recovery has listed, or a head that was just deleted.
                Step::Invalid => scanner.search(at + 1)?.unwrap_or(visible).min(visible),
            };
            index.indexed.store(at, Ordering::Release);
        }
        Ok(if at < visible { Followed::Behind } else { Followed::UpTo })
    }
}
