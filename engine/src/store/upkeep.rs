//! The work of the `disk` thread: next log file, queue tails, abort mark, checkpoint, files of
//! positions, free room, retention.
//!
//! Nothing on the hot path waits for it. Order within a turn keeps every position on disk at or
//! below what is durable. Spec: architecture.md §6, §7; store.md §5, §9.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::checkpoint::{AbortMark, Checkpoint};
use super::commit_log::FlushMode;
use super::consume_queue::{Queue, Work};
use super::error::StoreError;
use super::retention;
use super::storage::Space;
use super::store::{Mark, Store};
use crate::mutant::{self, Mutant};

/// A tail of this size is written.
const TAIL_WRITE_BYTES: usize = 4096;
/// A tail of this age is written.
const TAIL_WRITE_NS: u64 = 5_000_000_000;
/// All tails together; above it the oldest are written.
const TAILS_BYTES: usize = 32 << 20;
/// Time between notes of what is durable.
const NOTE_NS: u64 = 1_000_000_000;
/// Time between passes of retention.
const RETENTION_NS: u64 = 10_000_000_000;
/// Queues whose files are synced in one second, doubled for each log file by which they lag.
const SYNCS_MAX: usize = 256;
/// Room taken ahead of the end of the log.
const RESERVE_BYTES: u64 = 64 << 20;
/// Between two log lines for the same trouble.
const COMPLAINT_NS: u64 = 60_000_000_000;

/// Who is told that a file was written, or why not.
pub type JsonDone = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// State of the `disk` thread.
pub(super) struct Upkeep {
    state: Mutex<State>,
    jobs: Mutex<Jobs>,
    space: Mutex<Space>,
    queues_durable: AtomicU64,
}

pub(super) struct State {
    abort: AbortMark,
    checkpoint: Checkpoint,
    written_checkpoint: Option<Checkpoint>,
    noted_ns: Option<u64>,
    retained_ns: Option<u64>,
    reserved_to: u64,
    complained_ns: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct Jobs {
    /// Files of positions, each with the end of the log when its content was taken.
    positions: BTreeMap<String, (u64, Vec<u8>)>,
    files: BTreeMap<String, (Vec<u8>, Vec<JsonDone>)>,
}

impl Upkeep {
    pub fn new(abort: AbortMark, checkpoint: Checkpoint) -> Self {
        Self {
            queues_durable: AtomicU64::new(u64::try_from(checkpoint.queue_offset).unwrap_or(0)),
            state: Mutex::new(State {
                abort,
                checkpoint,
                written_checkpoint: None,
                noted_ns: None,
                retained_ns: None,
                reserved_to: 0,
                complained_ns: BTreeMap::new(),
            }),
            jobs: Mutex::default(),
            space: Mutex::default(),
        }
    }

    /// Keeps the `disk` thread out.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn space(&self) -> Space {
        *self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn queues_durable(&self) -> u64 {
        self.queues_durable.load(Ordering::Relaxed)
    }
}

impl State {
    /// Logs trouble, the same at most once a minute.
    fn complain(&mut self, what: &'static str, now_ns: u64, result: Result<(), StoreError>) {
        let Err(error) = result else { return };
        let silent = self
            .complained_ns
            .get(what)
            .is_some_and(|at| now_ns.saturating_sub(*at) < COMPLAINT_NS);
        if !silent {
            self.complained_ns.insert(what, now_ns);
            tracing::error!(%error, "{what} failed");
        }
    }
}

/// Whether something that happens in this rhythm is due.
fn is_due(last: Option<u64>, now_ns: u64, every_ns: u64) -> bool {
    last.is_none_or(|last| now_ns.saturating_sub(last) >= every_ns)
}

impl Store {
    /// One turn of the `disk` thread: waits for work, at most `timeout`, and does what is due. False
    /// when the thread should end. The engine calls it in a loop, with 100 ms.
    pub fn disk_turn(&self, timeout: Duration) -> bool {
        self.disk_bell.wait(timeout);
        self.finish_late();
        let now_ns = self.clock.monotonic_ns();
        let mut state = self.upkeep.lock();
        self.write_files();
        let result = self.write_due_positions(self.log.flushed());
        state.complain("writing positions", now_ns, result);
        if self.stopped.get().is_none() {
            let result = self.prepare_log(&mut state);
            state.complain("preparing the next log file", now_ns, result);
        }
        // What is durable is read before the queues: their units are then in the list.
        let flushed = self.flushed_mark();
        let mut busy = self.queues.take_busy();
        let result = self.write_tails(&mut busy, now_ns);
        state.complain("writing queues", now_ns, result);
        if is_due(state.noted_ns, now_ns, NOTE_NS) {
            state.noted_ns = Some(now_ns);
            let result = self.sync_queues(&mut busy, self.syncs_max(flushed));
            state.complain("syncing queues", now_ns, result);
            let result = self.note(&mut state, &busy, flushed);
            state.complain("writing the checkpoint", now_ns, result);
            self.check_space();
        }
        busy.retain(|queue| queue.work().undurable.is_some());
        self.queues.put_busy(busy);
        if is_due(state.retained_ns, now_ns, RETENTION_NS) {
            state.retained_ns = Some(now_ns);
            let result = self.retain(false).map(drop);
            state.complain("deleting expired files", now_ns, result);
        }
        !self.ending.load(Ordering::Acquire)
    }

    /// Writes a file of positions once the log is durable up to where it is now, so that no position
    /// is ever ahead of the log. A newer content of the same name replaces one that still waits.
    pub fn write_positions(&self, name: &str, bytes: Vec<u8>) {
        let end = self.log.written();
        self.upkeep.jobs().positions.insert(name.to_owned(), (end, bytes));
    }

    /// Replaces a file of `config/` on the `disk` thread. Of several contents that wait under one
    /// name only the last is written, and everybody is told.
    pub fn submit_json(&self, name: &str, bytes: Vec<u8>, done: JsonDone) {
        let mut jobs = self.upkeep.jobs();
        let entry = jobs.files.entry(name.to_owned()).or_default();
        entry.0 = bytes;
        entry.1.push(done);
        drop(jobs);
        self.disk_bell.ring();
    }

    fn write_files(&self) {
        let files = std::mem::take(&mut self.upkeep.jobs().files);
        for (name, (bytes, done)) in files {
            let result = self.write_json(&name, &bytes);
            let text = result.as_ref().err().map(ToString::to_string);
            for tell in done {
                tell(match &text {
                    None => Ok(()),
                    Some(text) => Err(StoreError::Io {
                        path: self.config_path(&name),
                        source: std::io::Error::other(text.clone()),
                    }),
                });
            }
        }
    }

    fn write_due_positions(&self, flushed: u64) -> Result<(), StoreError> {
        let mut due = Vec::new();
        {
            let mut jobs = self.upkeep.jobs();
            let waiting = std::mem::take(&mut jobs.positions);
            for (name, (end, bytes)) in waiting {
                if end <= flushed || mutant::is(Mutant::PositionsAhead) {
                    due.push((name, bytes));
                } else {
                    jobs.positions.insert(name, (end, bytes));
                }
            }
        }
        for (name, bytes) in due {
            self.write_json(&name, &bytes)?;
        }
        Ok(())
    }

    /// Makes the next log file when this one is three quarters full, and takes room ahead.
    fn prepare_log(&self, state: &mut State) -> Result<(), StoreError> {
        let written = self.log.written();
        let Some(file) = self.log.file_of(written) else { return Ok(()) };
        let fail = StoreError::io(&self.log.dir);
        let at = written - file.base;
        if at > self.log.file_size / 4 * 3 {
            self.log.prepare_next().map_err(fail)?;
        }
        let end = file.base + self.log.file_size;
        if written + RESERVE_BYTES / 2 <= state.reserved_to || state.reserved_to == end {
            return Ok(());
        }
        let from = state.reserved_to.max(written);
        let to = (written + RESERVE_BYTES).min(end);
        state.reserved_to = to;
        if from >= to || self.upkeep.space().in_memory || self.refusing.load(Ordering::Relaxed) {
            return Ok(());
        }
        let reserve = || file.open(self.log.storage())?.reserve(from - file.base, to - from);
        reserve().map_err(StoreError::io(&file.path))
    }

    /// Writes tails that are large, old, or too many.
    fn write_tails(&self, busy: &mut [Arc<Queue>], now_ns: u64) -> Result<(), StoreError> {
        let io = &self.queues.io;
        let visible = self.log.visible();
        let rolled = self.rolled.swap(false, Ordering::AcqRel);
        let due = |work: &Work| {
            rolled
                || work.tail_bytes >= TAIL_WRITE_BYTES
                || now_ns.saturating_sub(work.tail_since_ns) >= TAIL_WRITE_NS
        };
        let mut result = Ok(());
        let crowded = io.tail_bytes.load(Ordering::Relaxed) > TAILS_BYTES;
        if crowded {
            busy.sort_by_cached_key(|queue| queue.work().undurable);
        }
        for queue in busy.iter() {
            let work = queue.work();
            let crowded = crowded && io.tail_bytes.load(Ordering::Relaxed) > TAILS_BYTES;
            if work.tail_bytes > 0 && (crowded || due(&work)) {
                let written = queue.write_tail(io, visible);
                result = result.and(written.map_err(StoreError::io(queue.dir(io))));
            }
        }
        result
    }

    fn syncs_max(&self, flushed: Mark) -> usize {
        let lag = flushed.start.saturating_sub(self.upkeep.queues_durable());
        let files = (lag / self.log.file_size).min(16) as u32;
        SYNCS_MAX << files
    }

    /// Makes queue files durable, those with the oldest units first.
    fn sync_queues(&self, busy: &mut [Arc<Queue>], most: usize) -> Result<(), StoreError> {
        let io = &self.queues.io;
        busy.sort_by_cached_key(|queue| queue.work().undurable);
        for queue in busy.iter().filter(|queue| queue.work().unsynced).take(most) {
            queue.sync(io).map_err(StoreError::io(queue.dir(io)))?;
        }
        Ok(())
    }

    /// Notes what is durable: the log's end in the abort mark, then the queues in the checkpoint.
    fn note(
        &self,
        state: &mut State,
        busy: &[Arc<Queue>],
        flushed: Mark,
    ) -> Result<(), StoreError> {
        let root = &self.config.root;
        let disk = self.log.storage();
        let end = self.log.flushed();
        state.abort.note(end).map_err(StoreError::io(root.join("abort")))?;
        let undurable = busy.iter().filter_map(|queue| queue.work().undurable).min();
        let start = undurable.map_or(flushed.start, |oldest| oldest.min(flushed.start));
        let mut next = state.checkpoint;
        next.log_time = flushed.time;
        if start > 0 || undurable.is_none() {
            let time = self.log.store_time(start, self.log.visible());
            if let Some(time) = time.map_err(StoreError::io(&self.log.dir))? {
                next.queue_offset = start as i64;
                next.queue_time = time;
            }
        }
        if let Some(index) = &self.index {
            next.index_time = index.full_time().max(next.index_time);
        }
        if state.written_checkpoint != Some(next) {
            next.write(disk, root).map_err(StoreError::io(root.join("checkpoint")))?;
            state.checkpoint = next;
            state.written_checkpoint = Some(next);
            self.upkeep.queues_durable.store(start, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Looks how much room there is and decides whether writes are refused.
    pub(super) fn check_space(&self) {
        let path: &Path = &self.config.root;
        let space = match self.log.storage().space(path) {
            Ok(space) => space,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot ask for free room");
                return;
            }
        };
        *self.upkeep.space.lock().unwrap_or_else(PoisonError::into_inner) = space;
        let habits = self.habits();
        let was = self.refusing.load(Ordering::Relaxed);
        let is = retention::refuses(
            was,
            space.available,
            habits.disk_free_min,
            space.used_percent(),
            habits.disk_ratios,
        );
        self.refusing.store(is, Ordering::Relaxed);
        if is != was {
            let free = space.available;
            if is {
                tracing::error!(path = %path.display(), free, "disk is full: writes are refused");
            } else {
                tracing::info!(path = %path.display(), free, "there is room again");
            }
        }
    }

    /// The last turn of a clean stop: everything that waits is written and synced.
    pub(super) fn finish_upkeep(&self) -> Result<(), StoreError> {
        let mut state = self.upkeep.lock();
        debug_assert!(
            self.log.mode == FlushMode::Async || self.log.visible() == self.log.flushed()
        );
        self.write_files();
        self.write_due_positions(self.log.flushed())?;
        let flushed = self.flushed_mark();
        let io = &self.queues.io;
        let mut busy = self.queues.take_busy();
        for queue in &busy {
            queue.write_tail(io, self.log.visible()).map_err(StoreError::io(queue.dir(io)))?;
        }
        self.sync_queues(&mut busy, usize::MAX)?;
        self.note(&mut state, &busy, flushed)
    }
}
