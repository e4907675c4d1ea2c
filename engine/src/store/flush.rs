//! Who waits for the disk, and what to sync next: one `fdatasync` answers everybody before it.
//!
//! Runs on the `flush` thread. A failed sync is final: the kernel may have dropped the pages, so the
//! log stops (architecture.md §7). Spec: store.md §8.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::append::Finished;
use super::append_queue::{Appended, Arrival, Done, PutStatus};
use super::commit_log::FlushMode;
use super::error::StoreError;
use super::storage;
use super::store::Store;

/// Bytes not flushed that wake an asynchronous flush before its time.
const DIRTY_BYTES_MAX: u64 = 16 << 20;
/// Offset up to which the log is durable, left behind after a failed sync.
pub(super) const UNSYNCED_FILE: &str = "mqdeck.unsynced";

/// A group that waits for the disk.
pub(super) struct Waiting {
    /// Log offset behind it.
    pub end: u64,
    /// When those who wait are told that it takes too long.
    pub deadline_ns: u64,
    pub answers: Vec<(Done, Appended)>,
    pub arrivals: Vec<Arrival>,
}

/// Groups that wait, in the order of the log.
#[derive(Default)]
pub(super) struct Flush {
    waiting: Mutex<VecDeque<Waiting>>,
}

impl Flush {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a group. Called under the log mutex, so that groups come in order.
    pub fn add(&self, group: Waiting) {
        self.lock().push_back(group);
    }

    fn take_flushed(&self, flushed: u64) -> Finished {
        let mut finished = Finished::default();
        let mut waiting = self.lock();
        while waiting.front().is_some_and(|group| group.end <= flushed) {
            if let Some(group) = waiting.pop_front() {
                finished.answers.extend(group.answers);
                finished.arrivals.extend(group.arrivals);
            }
        }
        finished
    }

    /// Answers of groups that have waited too long. Their messages stay and will arrive.
    fn take_late(&self, now_ns: u64) -> Finished {
        let mut finished = Finished::default();
        for group in self.lock().iter_mut().filter(|group| group.deadline_ns <= now_ns) {
            for (done, mut appended) in group.answers.drain(..) {
                appended.status = PutStatus::FlushTimeout;
                finished.answers.push((done, appended));
            }
        }
        finished
    }

    fn take_all(&self) -> Vec<Waiting> {
        self.lock().drain(..).collect()
    }

    fn any_flushed(&self, flushed: u64) -> bool {
        self.lock().front().is_some_and(|group| group.end <= flushed)
    }
}

impl Store {
    /// One turn of the `flush` thread: waits for work, at most `timeout`, makes the log durable and
    /// sees to answers that are late. False when the thread should end.
    ///
    /// The engine calls it in a loop, with the flush interval (500 ms) under async flush and 100 ms
    /// under sync flush, where every append rings.
    pub fn flush_turn(&self, timeout: Duration) -> bool {
        self.flush_bell.wait(timeout);
        // A failure has stopped the log and answered everybody: nothing is left to do with it here.
        let _ = self.flush_now();
        self.finish_late();
        if self.flush.any_flushed(self.log.flushed()) {
            if self.has_committer() {
                self.wake_committer();
            } else {
                self.complete_flushed();
            }
        }
        !self.ending.load(Ordering::Acquire)
    }

    /// Tells those who have waited too long. `flush_turn` does it between two syncs; as one sync may
    /// be what takes so long, `disk_turn` does it too.
    pub(super) fn finish_late(&self) {
        self.finish(self.flush.take_late(self.clock.monotonic_ns()));
    }

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// [`StoreError::Stopped`] when a sync failed, now or before.
    pub fn flush_now(&self) -> Result<(), StoreError> {
        let _one = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_stopped()?;
        let mark = *self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        let (from, to) = (self.log.flushed(), self.log.written());
        if from == to {
            return Ok(());
        }
        match self.log.sync(from, to) {
            Ok(()) => {
                self.log.set_flushed(to);
                if mark.end <= to {
                    *self.flushed_mark.lock().unwrap_or_else(PoisonError::into_inner) = mark;
                }
                self.index_after_flush();
                Ok(())
            }
            Err(error) => {
                self.stop_log(from, &error);
                self.check_stopped()
            }
        }
    }

    /// Refuses writes until restart, tells everybody who waits, and notes up to where the log is
    /// durable.
    fn stop_log(&self, at: u64, error: &std::io::Error) {
        tracing::error!(offset = at, %error, "syncing the log failed: no more writes until restart");
        let _ = self.stopped.set((at, error.kind())); // the first failure counts
        let path = self.config.root.join(UNSYNCED_FILE);
        let text = format!("{at}\n");
        if let Err(error) = storage::write_whole(self.log.storage(), &path, text.as_bytes()) {
            tracing::error!(path = %path.display(), %error, "cannot note the durable offset");
        }
        for group in self.flush.take_all() {
            for (done, _) in group.answers {
                done(Appended::refused(PutStatus::Stopped));
            }
        }
    }

    pub(super) fn check_stopped(&self) -> Result<(), StoreError> {
        match self.stopped.get() {
            Some((at, kind)) => Err(StoreError::Stopped { at: *at, kind: *kind }),
            None => Ok(()),
        }
    }

    /// Gives the answers and arrivals of groups that are durable now.
    pub(super) fn complete_flushed(&self) {
        if self.log.mode == FlushMode::Sync {
            self.finish(self.flush.take_flushed(self.log.flushed()));
        }
    }

    /// After a commit: under sync flush every append wakes the flush, waited for or not.
    pub(super) fn after_commit(&self) {
        match self.log.mode {
            FlushMode::Sync => self.flush_bell.ring(),
            FlushMode::Async => {
                if self.log.written().saturating_sub(self.log.flushed()) >= DIRTY_BYTES_MAX {
                    self.flush_bell.ring();
                }
            }
        }
    }
}
