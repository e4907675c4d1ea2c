//! One consume queue: 20-byte units, the newest in memory, the rest in files behind it.
//!
//! The tail is filled by the append and by recovery, and written by the `disk` thread; nothing here
//! decides when. Files look as Apache wants them: full length, no hole, never one without a unit.
//! Spec: store.md §3, architecture.md §7.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::commit_log::check_files;
use super::error::StoreError;
use super::queue_io::{QueueIo, UNIT, UNIT_LEN, Unit};
use super::storage::{self, OpenMode, Wait};

/// Units that are read at once when a queue is loaded.
const LOAD_UNITS: u64 = 4096;

/// A tail that was shorter than this when it was written gives its memory back.
const TAIL_KEPT: usize = 4096;

/// A queue.
pub(super) struct Queue {
    pub topic: Arc<str>,
    pub id: i32,
    pub uid: u64,
    /// Next queue offset that the append gives out. Only touched under the log mutex; ahead of
    /// [`Bounds::next`] while a group is being written.
    pub assigned: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// First and last + 1 byte position of the files there are; equal without files.
    files: (u64, u64),
    min: u64,
    /// Units below are in files.
    tail_base: u64,
    tail: Vec<u8>,
    /// When the oldest unit of the tail came.
    tail_since_ns: u64,
    last_end: u64,
    /// Units below are durable.
    synced: u64,
    /// Log offset of the first unit that is not durable.
    undurable: Option<u64>,
    deleted: bool,
}

/// Bounds of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Bounds {
    pub min: u64,
    /// End of what may be seen.
    pub max: u64,
}

/// What a clean stop remembers of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct QueueFacts {
    pub files: (u64, u64),
    pub min: u64,
    pub next: u64,
    pub last_end: u64,
}

/// What the `disk` thread has to know about a queue with work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Work {
    pub tail_bytes: usize,
    pub tail_since_ns: u64,
    /// Units that are in files and not durable.
    pub unsynced: bool,
    pub undurable: Option<u64>,
}

static NEXT_UID: AtomicU64 = AtomicU64::new(0);

impl State {
    fn next(&self) -> u64 {
        self.tail_base + (self.tail.len() / UNIT_LEN) as u64
    }

    fn tail_unit(&self, offset: u64) -> Option<Unit> {
        let at = usize::try_from(offset.checked_sub(self.tail_base)?).ok()? * UNIT_LEN;
        Unit::decode(self.tail.get(at..at + UNIT_LEN)?)
    }

    /// Walks back over units that end behind what is visible: few, as the append is just ahead.
    fn visible_end(&self, visible: u64) -> u64 {
        let mut end = self.next();
        if self.last_end <= visible {
            return end;
        }
        while end > self.tail_base && self.tail_unit(end - 1).is_some_and(|u| u.end() > visible) {
            end -= 1;
        }
        end
    }

    fn push(&mut self, unit: Unit, now_ns: u64) {
        if self.tail.is_empty() {
            self.tail_since_ns = now_ns;
        }
        if self.undurable.is_none() && !unit.is_blank() {
            self.undurable = Some(unit.log_offset.0);
        }
        self.tail.extend_from_slice(&unit.encode());
        self.last_end = self.last_end.max(unit.end());
    }
}

impl Queue {
    /// A queue without units that starts at a queue offset.
    pub fn new(topic: Arc<str>, id: i32, start: u64) -> Self {
        let facts = QueueFacts { files: (0, 0), min: start, next: start, last_end: 0 };
        Self::from_facts(topic, id, facts)
    }

    /// A queue as a clean stop left it.
    pub fn from_facts(topic: Arc<str>, id: i32, facts: QueueFacts) -> Self {
        let state = State {
            files: facts.files,
            min: facts.min,
            tail_base: facts.next,
            tail: Vec::new(),
            tail_since_ns: 0,
            last_end: facts.last_end,
            synced: facts.next,
            undurable: None,
            deleted: false,
        };
        Self {
            topic,
            id,
            uid: NEXT_UID.fetch_add(1, Ordering::Relaxed),
            assigned: AtomicU64::new(facts.next),
            state: Mutex::new(state),
        }
    }

    /// Reads a queue's files: units in order up to the first that is none (store.md §7.2). None when
    /// the directory holds no unit. What lies behind the last unit is removed, so that nothing stale
    /// comes to life when the queue has grown that far again.
    ///
    /// Units of records that start at or before `trusted` are known to be durable.
    pub fn load(
        io: &QueueIo,
        topic: Arc<str>,
        id: i32,
        trusted: u64,
    ) -> Result<Option<Self>, StoreError> {
        let queue = Self::new(topic, id, 0);
        let dir = queue.dir(io);
        let bases = check_files(io.storage.as_ref(), &dir, io.file_size)?;
        queue.load_files(io, &bases, trusted).map_err(StoreError::io(&dir))
    }

    fn load_files(self, io: &QueueIo, bases: &[u64], trusted: u64) -> io::Result<Option<Self>> {
        let first = bases.first().copied().unwrap_or(0);
        let start = self.trusted_file(io, bases, trusted)?;
        let (next, last_end) = self.find_end(io, bases, start)?;
        let end = next * UNIT;
        let dir = self.dir(io);
        let entries = io.storage.list(&dir)?;
        for base in entries.iter().filter_map(|entry| storage::parse_file_name(&entry.name)) {
            if base >= end || bases.is_empty() {
                io.remove_file(&self, base)?;
            }
        }
        if end <= first || bases.is_empty() {
            return Ok(None);
        }
        let files = (first, (end - 1) / io.file_size * io.file_size + io.file_size);
        if end < files.1 {
            let base = files.1 - io.file_size;
            io.file(&self, base, OpenMode::Existing)?.zero(end - base, files.1 - end)?;
        }
        {
            let mut state = self.lock();
            state.files = files;
            state.tail_base = next;
            state.last_end = last_end;
            state.min = first / UNIT;
            // Units that only the page cache may have are synced once more.
            let unsure = last_end > trusted;
            state.synced = if unsure { start / UNIT } else { next };
            state.undurable = unsure.then_some(trusted);
        }
        self.assigned.store(next, Ordering::Relaxed);
        Ok(Some(self))
    }

    /// Where the last file starts whose first unit is known to be durable, as all before it are; at
    /// most the third from the end.
    fn trusted_file(&self, io: &QueueIo, bases: &[u64], trusted: u64) -> io::Result<u64> {
        let latest = bases.len().saturating_sub(2);
        for base in bases[..latest].iter().rev() {
            let mut bytes = Vec::new();
            self.read_bytes(io, &mut bytes, (base / UNIT, UNIT_LEN), Wait::Yes)?;
            if Unit::decode(&bytes).is_some_and(|unit| unit.log_offset.0 <= trusted) {
                return Ok(*base);
            }
        }
        Ok(bases.first().copied().unwrap_or(0))
    }

    /// The first queue offset without a unit, and the log offset behind the last record.
    fn find_end(&self, io: &QueueIo, bases: &[u64], start: u64) -> io::Result<(u64, u64)> {
        let mut last_end = 0;
        let mut next = start / UNIT;
        for base in bases.iter().filter(|base| **base >= start) {
            let file_end = (base + io.file_size) / UNIT;
            while next < file_end {
                let mut bytes = Vec::new();
                let want = (file_end - next).min(LOAD_UNITS) as usize * UNIT_LEN;
                self.read_bytes(io, &mut bytes, (next, want), Wait::Yes)?;
                for chunk in bytes.chunks_exact(UNIT_LEN) {
                    let Some(unit) = Unit::decode(chunk) else { return Ok((next, last_end)) };
                    last_end = unit.end().max(last_end);
                    next += 1;
                }
                if bytes.len() < want {
                    return Ok((next, last_end));
                }
            }
        }
        Ok((next, last_end))
    }

    pub fn dir(&self, io: &QueueIo) -> PathBuf {
        io.dir.join(&*self.topic).join(self.id.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the next unit and answers whether the queue has just become one with work.
    pub fn push(&self, io: &QueueIo, unit: Unit, now_ns: u64) -> bool {
        let mut state = self.lock();
        let idle = state.undurable.is_none();
        state.push(unit, now_ns);
        io.tail_bytes.fetch_add(UNIT_LEN, Ordering::Relaxed);
        idle
    }

    /// Where the next unit goes, visible or not.
    pub fn next(&self) -> u64 {
        self.lock().next()
    }

    /// Log offset behind the last record of the queue.
    pub fn last_end(&self) -> u64 {
        self.lock().last_end
    }

    pub fn bounds(&self, visible: u64) -> Bounds {
        let state = self.lock();
        let max = state.visible_end(visible);
        Bounds { min: state.min.min(max), max }
    }

    pub fn facts(&self) -> QueueFacts {
        let state = self.lock();
        QueueFacts {
            files: state.files,
            min: state.min,
            next: state.next(),
            last_end: state.last_end,
        }
    }

    pub fn work(&self) -> Work {
        let mut state = self.lock();
        if state.tail.is_empty() && state.synced >= state.tail_base {
            state.undurable = None;
        }
        Work {
            tail_bytes: state.tail.len(),
            tail_since_ns: state.tail_since_ns,
            unsynced: state.synced < state.tail_base,
            undurable: state.undurable,
        }
    }

    /// Units from an offset on that may be seen, at most `count`.
    pub fn units(
        &self,
        io: &QueueIo,
        from: u64,
        count: usize,
        visible: u64,
        wait: Wait,
    ) -> io::Result<Vec<Unit>> {
        let (in_files, tail) = {
            let state = self.lock();
            let end = state.visible_end(visible).min(from.saturating_add(count as u64));
            if from >= end {
                return Ok(Vec::new());
            }
            let in_files = state.tail_base.min(end).saturating_sub(from) as usize;
            let tail_from = (from.max(state.tail_base) - state.tail_base) as usize * UNIT_LEN;
            let tail_to = end.saturating_sub(state.tail_base) as usize * UNIT_LEN;
            let tail = state.tail.get(tail_from..tail_to).unwrap_or_default().to_vec();
            (in_files, tail)
        };
        let mut bytes = Vec::with_capacity(in_files * UNIT_LEN + tail.len());
        while bytes.len() < in_files * UNIT_LEN {
            let at = from + (bytes.len() / UNIT_LEN) as u64;
            let want = in_files * UNIT_LEN - bytes.len();
            if self.read_bytes(io, &mut bytes, (at, want), wait)? == 0 {
                break;
            }
        }
        bytes.truncate(in_files * UNIT_LEN);
        if bytes.len() == in_files * UNIT_LEN {
            bytes.extend_from_slice(&tail);
        }
        Ok(bytes.chunks_exact(UNIT_LEN).map_while(Unit::decode).collect())
    }

    /// Whole units from the file that holds an offset.
    fn read_bytes(
        &self,
        io: &QueueIo,
        bytes: &mut Vec<u8>,
        (from, want): (u64, usize),
        wait: Wait,
    ) -> io::Result<usize> {
        let position = from * UNIT;
        let base = position / io.file_size * io.file_size;
        let want = want.min((base + io.file_size - position) as usize);
        let start = bytes.len();
        let file = match wait {
            Wait::Yes => io.file(self, base, OpenMode::Existing),
            // Opening it is waiting too.
            Wait::No => io.opened(self, base).ok_or_else(|| io::ErrorKind::WouldBlock.into()),
        };
        match (file, wait) {
            (Ok(file), Wait::Yes) => file.read_at(bytes, want, position - base)?,
            (Ok(file), Wait::No) => file.read_now(bytes, want, position - base)?,
            // Expired since its bounds were asked.
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            (Err(error), _) => return Err(error),
        };
        let got = (bytes.len() - start) / UNIT_LEN * UNIT_LEN;
        bytes.truncate(start + got);
        Ok(got)
    }

    fn unit_at(&self, io: &QueueIo, offset: u64) -> io::Result<Option<Unit>> {
        Ok(self.units(io, offset, 1, u64::MAX, Wait::Yes)?.first().copied())
    }

    /// Writes what of the tail may be seen to files. Called by one thread at a time.
    pub fn write_tail(&self, io: &QueueIo, visible: u64) -> io::Result<()> {
        let (start, bytes, mut files) = {
            let state = self.lock();
            let end = state.visible_end(visible);
            let len = end.saturating_sub(state.tail_base) as usize * UNIT_LEN;
            if state.deleted || len == 0 {
                return Ok(());
            }
            (state.tail_base, state.tail[..len].to_vec(), state.files)
        };
        let mut done = 0;
        while done < bytes.len() {
            let position = start * UNIT + done as u64;
            let base = position / io.file_size * io.file_size;
            let now = (bytes.len() - done).min((base + io.file_size - position) as usize);
            if base >= files.1 {
                self.make_file(io, base, position)?;
                files = (if files.0 == files.1 { base } else { files.0 }, base + io.file_size);
            }
            let file = io.file(self, base, OpenMode::Existing)?;
            storage::write_all(file.as_ref(), &bytes[done..done + now], position - base)?;
            done += now;
        }
        let mut state = self.lock();
        state.files = files;
        state.tail.drain(..done);
        state.tail_base += (done / UNIT_LEN) as u64;
        if state.tail.is_empty() && done < TAIL_KEPT {
            // A quiet queue costs no memory; a busy one keeps its buffer.
            state.tail = Vec::new();
        }
        io.tail_bytes.fetch_sub(done, Ordering::Relaxed);
        Ok(())
    }

    /// Makes a file for its first unit. What lies before that unit becomes blank: a zero unit would
    /// end the queue for every reader (store.md §11.2).
    fn make_file(&self, io: &QueueIo, base: u64, position: u64) -> io::Result<()> {
        let dir = self.dir(io);
        io.storage.create_dir(&dir)?;
        let file = io.file(self, base, OpenMode::Create)?;
        file.set_len(io.file_size)?;
        if position > base {
            let blanks = Unit::BLANK.encode().repeat(((position - base) / UNIT) as usize);
            storage::write_all(file.as_ref(), &blanks, 0)?;
        }
        io.storage.sync_dir(&dir)?;
        if let Some(topic_dir) = dir.parent() {
            io.storage.sync_dir(topic_dir)?;
            io.storage.sync_dir(&io.dir)?;
        }
        Ok(())
    }

    /// Makes what is in files durable. Called by one thread at a time, that of [`Self::write_tail`].
    pub fn sync(&self, io: &QueueIo) -> io::Result<()> {
        let (from, to, deleted) = {
            let state = self.lock();
            // What expired before it was synced need not be any more.
            ((state.synced * UNIT).max(state.files.0), state.tail_base * UNIT, state.deleted)
        };
        let mut base = from / io.file_size * io.file_size;
        while base < to && !deleted {
            io.file(self, base, OpenMode::Existing)?.sync_data()?;
            base += io.file_size;
        }
        let mut state = self.lock();
        state.synced = to / UNIT;
        let in_tail = state.tail.chunks_exact(UNIT_LEN).filter_map(Unit::decode);
        state.undurable = in_tail.filter(|unit| !unit.is_blank()).map(|u| u.log_offset.0).next();
        Ok(())
    }

    /// Removes the units of records that do not end at or before `end`.
    pub fn cut(&self, io: &QueueIo, end: u64) -> io::Result<()> {
        let facts = self.facts();
        if facts.last_end <= end {
            return Ok(());
        }
        let first = if facts.files.0 == facts.files.1 {
            self.lock().tail_base
        } else {
            facts.files.0 / UNIT
        };
        let mut next = facts.next;
        let mut last_end = 0;
        while next > first {
            let unit = self.unit_at(io, next - 1)?.unwrap_or(Unit::BLANK);
            if !unit.is_blank() && unit.end() <= end {
                last_end = unit.end();
                break;
            }
            next -= 1;
        }
        let mut state = self.lock();
        state.last_end = last_end;
        if next >= state.tail_base {
            let keep = (next - state.tail_base) as usize * UNIT_LEN;
            io.tail_bytes.fetch_sub(state.tail.len() - keep, Ordering::Relaxed);
            state.tail.truncate(keep);
        } else {
            io.tail_bytes.fetch_sub(state.tail.len(), Ordering::Relaxed);
            state.tail.clear();
            state.tail_base = next;
            state.synced = state.synced.min(next);
            let files = state.files;
            drop(state);
            let files = self.cut_files(io, files, next * UNIT)?;
            state = self.lock();
            state.files = files;
        }
        state.min = state.min.min(next);
        drop(state);
        self.assigned.store(next, Ordering::Relaxed);
        Ok(())
    }

    fn cut_files(&self, io: &QueueIo, files: (u64, u64), end: u64) -> io::Result<(u64, u64)> {
        let mut last = files.1;
        while last > files.0 && last - io.file_size >= end {
            last -= io.file_size;
            io.remove_file(self, last)?;
        }
        if last > files.0 && end < last {
            let base = last - io.file_size;
            let file = io.file(self, base, OpenMode::Existing)?;
            file.zero(end - base, last - end)?;
        }
        io.storage.sync_dir(&self.dir(io))?;
        Ok((files.0, last))
    }

    /// Finds the first unit whose record is still there. With none left the queue is empty and its
    /// numbering goes on (store.md §3.3).
    pub fn correct_min(&self, io: &QueueIo, log_min: u64) -> io::Result<()> {
        let facts = self.facts();
        let first = if facts.files.0 == facts.files.1 { facts.min } else { facts.files.0 / UNIT };
        let (mut low, mut high) = (first, facts.next);
        if log_min == 0 {
            high = first;
        }
        if facts.last_end <= log_min && facts.next > first {
            low = if facts.last_end == 0 { first } else { high };
        }
        while low < high {
            let middle = low + (high - low) / 2;
            // A blank unit says nothing: the next real one to the right speaks for it.
            match self.real_unit(io, middle, high)? {
                Some((at, unit)) if unit.log_offset.0 < log_min => low = at + 1,
                _ => high = middle,
            }
        }
        // The search may have ended at the first of several blank units.
        let min = self.real_unit(io, low, facts.next)?.map_or(low, |(at, _)| at);
        self.lock().min = min;
        Ok(())
    }

    /// The first unit in a range that stands for a record.
    fn real_unit(&self, io: &QueueIo, from: u64, to: u64) -> io::Result<Option<(u64, Unit)>> {
        for at in from..to {
            if let Some(unit) = self.unit_at(io, at)?.filter(|unit| !unit.is_blank()) {
                return Ok(Some((at, unit)));
            }
        }
        Ok(None)
    }

    /// Removes files whose last record is gone from the log, never the last one.
    pub fn expire(&self, io: &QueueIo, log_min: u64) -> io::Result<()> {
        let mut files = self.facts().files;
        let before = files;
        while files.0 + io.file_size < files.1 {
            let last = (files.0 + io.file_size) / UNIT - 1;
            let gone = self.unit_at(io, last)?.is_none_or(|unit| unit.log_offset.0 < log_min);
            if !gone {
                break;
            }
            let base = files.0;
            files.0 += io.file_size;
            {
                let mut state = self.lock();
                state.files.0 = files.0;
                state.min = state.min.max(files.0 / UNIT);
            }
            io.remove_file(self, base)?;
        }
        if files != before {
            io.storage.sync_dir(&self.dir(io))?;
        }
        self.correct_min(io, log_min)
    }

    /// Marks the queue as removed: its tail will not be written any more.
    pub fn mark_deleted(&self, io: &QueueIo) {
        let mut state = self.lock();
        state.deleted = true;
        state.undurable = None;
        io.tail_bytes.fetch_sub(state.tail.len(), Ordering::Relaxed);
        state.tail = Vec::new();
        state.tail_base = state.synced;
    }
}
