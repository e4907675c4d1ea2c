//! The critical section of the store: assign offsets, one write, publish.
//!
//! `submit` queues records, `commit` takes the queue and writes it in groups, under the log mutex.
//! An answer given here means "written"; who waits for the disk is kept in `flush.rs`.
//! Spec: architecture.md §5 (send, steps 4–7), store.md §2.

use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::append_queue::{Append, Appended, Arrival, Done, PutStatus, UnitKind};
use super::commit_log::FlushMode;
use super::consume_queue::Queue;
use super::flush::Waiting;
use super::queue_io::Unit;
use super::storage::{self, LogOffset, QueueOffset};
use super::store::{Mark, Store};
use crate::mutant::{self, Mutant};
use crate::protocol::record::BLANK_LEN;

/// While one group has been written for this long, more are refused.
const SLOW_WRITE_NS: u64 = 1_000_000_000;
/// Bytes of queue tails that could not be written, above which appends are refused.
const TAIL_BYTES_MAX: usize = 64 << 20;
/// How far the clock may have gone back and still be bridged by repeating the last time.
const CLOCK_BACK_MAX_MS: i64 = 10_000;

/// What only the holder of the log mutex may touch.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// Store time of the newest record.
    pub last_time: i64,
    /// A failed write whose bytes could not be made zero again yet.
    pub undo: Option<(u64, u64)>,
    /// Whether a clock that went far back has been logged.
    clock_logged: bool,
}

impl Writer {
    /// A writer that goes on behind a record of this time.
    pub fn new(last_time: i64) -> Self {
        Self { last_time, ..Self::default() }
    }

    /// Store time of the next group: it does not go back for a small step of the clock, but a clock
    /// that was once far ahead does not stick (architecture.md §7).
    fn store_time(&mut self, now: i64) -> i64 {
        let back = self.last_time - now;
        if back > 0 && back <= CLOCK_BACK_MAX_MS {
            return self.last_time;
        }
        if back > 0 && !self.clock_logged {
            self.clock_logged = true;
            tracing::warn!(
                back_ms = back,
                "the clock went back: search by time is less exact there"
            );
        }
        self.last_time = now;
        now
    }
}

/// One append with its place in the group.
struct Placed {
    append: Append,
    queue: Arc<Queue>,
    first: u64,
    start: u64,
}

#[derive(Default)]
struct Group {
    placed: Vec<Placed>,
    start: u64,
    end: u64,
}

/// Answers and arrivals that are given once the log mutex is released.
#[derive(Default)]
pub(super) struct Finished {
    pub answers: Vec<(Done, Appended)>,
    pub arrivals: Vec<Arrival>,
}

impl Finished {
    fn refuse(&mut self, append: Append, status: PutStatus) {
        self.answers.push((append.done, Appended::refused(status)));
    }
}

impl Store {
    /// Queues records for the next commit and wakes the committer. What does not fit is answered at
    /// once.
    pub fn submit(&self, items: Vec<Append>) {
        let refusal = self.refusal().or_else(|| self.slow_write().then_some(PutStatus::Busy));
        let (refused, status) = match refusal {
            Some(status) => (items, status),
            None => (self.appends.add(items), PutStatus::Busy),
        };
        for item in refused {
            (item.done)(Appended::refused(status));
        }
        if refusal.is_none() {
            self.wake_committer();
        }
    }

    /// Writes one group of what is queued and answers it; how many records it took. May be called by
    /// several threads; call again while it answers more than zero.
    pub fn commit(&self) -> usize {
        self.complete_flushed();
        let mut finished = Finished::default();
        let mut count = 0;
        if !self.appends.is_empty() {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            self.writing_since_ns.store(self.clock.monotonic_ns().max(1), Ordering::Relaxed);
            let items = self.appends.take();
            count = items.iter().map(Append::records).sum();
            self.commit_items(&mut writer, items, &mut finished);
            self.writing_since_ns.store(0, Ordering::Relaxed);
        }
        self.finish(finished);
        if count > 0 {
            self.after_commit();
        }
        count
    }

    /// Stores records now and answers how it ended, without the queue's waker. Under sync flush it
    /// flushes itself when `wait` is set: for tasks and tests.
    pub fn append_now(&self, mut item: Append) -> Appended {
        let (tell, told) = std::sync::mpsc::channel();
        let outer = std::mem::replace(&mut item.done, Box::new(|_| {}));
        item.done = Box::new(move |appended: Appended| {
            let _ = tell.send(appended.clone()); // the receiver waits below
            outer(appended);
        });
        if let Some(status) = self.refusal() {
            (item.done)(Appended::refused(status));
        } else {
            for refused in self.appends.add(vec![item]) {
                (refused.done)(Appended::refused(PutStatus::Busy));
            }
        }
        loop {
            if self.commit() == 0 && self.log.mode == FlushMode::Sync {
                // A failure stops the log and answers everybody who waits.
                let _ = self.flush_now();
                self.complete_flushed();
            }
            // Another thread may have taken the record and be about to answer.
            match told.recv_timeout(Duration::from_millis(1)) {
                Ok(appended) => return appended,
                Err(RecvTimeoutError::Disconnected) => return Appended::refused(PutStatus::Failed),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Why nothing can be appended at all.
    fn refusal(&self) -> Option<PutStatus> {
        if self.stopped.get().is_some() || self.closing.load(Ordering::Acquire) {
            Some(PutStatus::Stopped)
        } else if self.refusing.load(Ordering::Relaxed)
            || self.queues.io.tail_bytes.load(Ordering::Relaxed) >= TAIL_BYTES_MAX
        {
            Some(PutStatus::DiskFull)
        } else {
            None
        }
    }

    fn slow_write(&self) -> bool {
        let since = self.writing_since_ns.load(Ordering::Relaxed);
        since != 0 && self.clock.monotonic_ns().saturating_sub(since) > SLOW_WRITE_NS
    }

    fn commit_items(&self, writer: &mut Writer, mut items: Vec<Append>, finished: &mut Finished) {
        let mut refusal = self.refusal_at_commit(writer);
        let now = self.clock.wall_ms();
        let time = writer.store_time(now);
        if mutant::is(Mutant::Reordered) {
            items.reverse();
        }
        let mut group = Group::default();
        for append in items {
            if let Some(status) = refusal {
                finished.refuse(append, status);
                continue;
            }
            if let Some(status) = self.unfit(&append) {
                finished.refuse(append, status);
                continue;
            }
            if !self.fits(&group, append.bytes()) {
                let done = self
                    .write_group(writer, &mut group, now, time, finished)
                    .and_then(|()| self.roll(append.bytes()));
                if let Err(status) = done {
                    finished.refuse(append, status);
                    refusal = Some(status);
                    continue;
                }
            }
            self.place(&mut group, append, time, finished);
        }
        // The error has been told to those it concerns.
        let _ = self.write_group(writer, &mut group, now, time, finished);
    }

    /// Like [`Self::refusal`], after trying to undo a failed write once more.
    fn refusal_at_commit(&self, writer: &mut Writer) -> Option<PutStatus> {
        if self.stopped.get().is_some() {
            return Some(PutStatus::Stopped);
        }
        if let Some((from, to)) = writer.undo {
            if self.zero(from, to).is_err() {
                return Some(PutStatus::DiskFull);
            }
            writer.undo = None;
        }
        None
    }

    fn unfit(&self, append: &Append) -> Option<PutStatus> {
        let limit = self.habits().record_max();
        let too_large = append.record.len() > limit
            || append.more.iter().any(|(record, _)| record.len() > limit)
            || append.bytes() as u64 + BLANK_LEN as u64 > self.log.file_size;
        too_large.then_some(PutStatus::TooLarge)
    }

    /// Whether more bytes fit into the file behind the group, with room for the end marker.
    fn fits(&self, group: &Group, bytes: usize) -> bool {
        let at = if group.placed.is_empty() { self.log.written() } else { group.end };
        let need = (bytes + BLANK_LEN) as u64;
        // The group never crosses a file, so a full one ends before the file does.
        self.log.file_of(at).is_some_and(|file| at + need <= file.base + self.log.file_size)
    }

    /// Goes on in the next file, when an append does not fit into this one.
    fn roll(&self, bytes: usize) -> Result<(), PutStatus> {
        if self.fits(&Group::default(), bytes) {
            return Ok(());
        }
        let at = self.log.written();
        self.roll_at(at).map_err(|error| {
            tracing::error!(offset = at, %error, "cannot go on in a new log file");
            self.note_write_error(&error)
        })
    }

    fn roll_at(&self, at: u64) -> io::Result<()> {
        let Some(full) = self.log.file_of(at) else {
            self.log.add_file(at)?;
            return Ok(());
        };
        // The file comes first: a marker without a file behind it would only be overwritten.
        let next = self.log.next_base(at);
        self.log.add_file(next)?;
        self.log.write_blank(&full, at)?;
        self.log.set_written(next);
        self.rolled.store(true, Ordering::Release);
        Ok(())
    }

    fn place(&self, group: &mut Group, mut append: Append, time: i64, finished: &mut Finished) {
        let Some(queue) = self.queues.get_or_make(&append.topic, append.queue_id, 0) else {
            finished.refuse(append, PutStatus::Failed);
            return;
        };
        if group.placed.is_empty() {
            group.start = self.log.written();
            group.end = group.start;
        }
        let start = group.end;
        let step = u64::from(append.kind == UnitKind::Message);
        let first = if step == 0 { 0 } else { queue.assigned.load(Ordering::Relaxed) };
        let mut next = first;
        let records =
            std::iter::once(&mut append.record).chain(append.more.iter_mut().map(|(r, _)| r));
        for record in records {
            record.fill(next, group.end, time);
            next += step;
            group.end += record.len() as u64;
        }
        if step != 0 {
            queue.assigned.store(next, Ordering::Relaxed);
        }
        group.placed.push(Placed { append, queue, first, start });
    }

    /// Writes a group with one call and publishes it; on failure nothing of it remains.
    fn write_group(
        &self,
        writer: &mut Writer,
        group: &mut Group,
        now: i64,
        time: i64,
        finished: &mut Finished,
    ) -> Result<(), PutStatus> {
        let group = std::mem::take(group);
        if group.placed.is_empty() {
            return Ok(());
        }
        let written = self.write_records(&group);
        let Err(error) = written else {
            self.publish(group, now, time, finished);
            return Ok(());
        };
        tracing::error!(offset = group.start, %error, "a write to the log failed");
        if self.zero(group.start, group.end).is_err() {
            writer.undo = Some((group.start, group.end));
        }
        let status = self.note_write_error(&error);
        for placed in group.placed {
            placed.queue.assigned.store(placed.queue.next(), Ordering::Relaxed);
            finished.refuse(placed.append, status);
        }
        Err(status)
    }

    fn write_records(&self, group: &Group) -> io::Result<()> {
        let file = self.log.file_of(group.start).ok_or(io::ErrorKind::NotFound)?;
        let mut slices = Vec::with_capacity(group.placed.len());
        for placed in &group.placed {
            slices.push(IoSlice::new(placed.append.record.as_bytes()));
            slices.extend(placed.append.more.iter().map(|(r, _)| IoSlice::new(r.as_bytes())));
        }
        file.open(self.log.storage())?.write_at(&slices, group.start - file.base)
    }

    /// Zeros what a failed write may have left, so that it can never come to life behind a shorter
    /// append.
    fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        let file = self.log.file_of(from).ok_or(io::ErrorKind::NotFound)?;
        storage::write_zeros(file.open(self.log.storage())?.as_ref(), from - file.base, to - from)
    }

    fn note_write_error(&self, error: &io::Error) -> PutStatus {
        if error.kind() == io::ErrorKind::StorageFull {
            // `disk_turn` takes the mark away when there is room again.
            self.refusing.store(true, Ordering::Relaxed);
            PutStatus::DiskFull
        } else {
            PutStatus::Failed
        }
    }

    /// Units, positions, answers, in this order: a reader that sees the position finds the units.
    fn publish(&self, group: Group, now: i64, time: i64, finished: &mut Finished) {
        let now_ns = self.clock.monotonic_ns();
        let want_arrivals = self.arrival_hook.get().is_some();
        let mut arrivals = Vec::new();
        let mut answers = Vec::with_capacity(group.placed.len());
        let mut last_start = group.start;
        for placed in group.placed {
            let Placed { append, queue, first, start } = placed;
            let Append { topic, queue_id, record, tags_code, more, kind, delay_ms, wait, done } =
                append;
            let mut at = start;
            let mut offsets = Vec::with_capacity(more.len());
            let size = record.len() as u32;
            let sizes = std::iter::once((record.len(), tags_code))
                .chain(more.iter().map(|(record, code)| (record.len(), *code)));
            for (index, (len, code)) in sizes.enumerate() {
                if index > 0 {
                    offsets.push(LogOffset(at));
                }
                if kind == UnitKind::Message {
                    let tags_code = delay_ms.map_or(code, |delay| now.saturating_add(delay));
                    let unit = Unit { log_offset: LogOffset(at), size: len as u32, tags_code };
                    self.queues.push(&queue, unit, now_ns);
                    if want_arrivals {
                        arrivals.push(Arrival {
                            topic: Arc::clone(&topic),
                            queue_id,
                            next: QueueOffset(first + index as u64 + 1),
                            tags_code,
                            log_offset: LogOffset(at),
                            size: len as u32,
                        });
                    }
                }
                last_start = at;
                at += len as u64;
            }
            let appended = Appended {
                status: PutStatus::Ok,
                queue_offset: QueueOffset(first),
                physical: LogOffset(start),
                more: offsets,
                size,
                store_timestamp: time,
            };
            answers.push((wait, done, appended));
        }
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner) =
            Mark { end: group.end, start: last_start, time };
        self.log.set_written(group.end);
        self.settle(group.end, answers, arrivals, finished);
    }

    /// Answers now, or leaves the answer to the flush.
    fn settle(
        &self,
        end: u64,
        answers: Vec<(bool, Done, Appended)>,
        arrivals: Vec<Arrival>,
        finished: &mut Finished,
    ) {
        if self.log.mode == FlushMode::Async || mutant::is(Mutant::AcknowledgedEarly) {
            finished.answers.extend(answers.into_iter().map(|(_, done, told)| (done, told)));
            finished.arrivals.extend(arrivals);
            return;
        }
        let deadline_ns = self.clock.monotonic_ns()
            + self.habits().sync_flush_timeout_ms.saturating_mul(1_000_000);
        let mut held = Vec::new();
        for (wait, done, appended) in answers {
            if wait {
                held.push((done, appended));
            } else {
                finished.answers.push((done, appended));
            }
        }
        self.flush.add(Waiting { end, deadline_ns, answers: held, arrivals });
    }

    /// Gives answers, then arrivals, outside of every lock: who sent does not wait for who polls.
    pub(super) fn finish(&self, finished: Finished) {
        for (done, appended) in finished.answers {
            done(appended);
        }
        if !finished.arrivals.is_empty()
            && let Some(hook) = self.arrival_hook.get()
        {
            hook(&finished.arrivals);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_time_bridges_a_small_step_back_and_follows_a_large_one() {
        let mut writer = Writer::default();
        assert_eq!(writer.store_time(100_000), 100_000);
        assert_eq!(writer.store_time(95_000), 100_000);
        assert_eq!(writer.store_time(89_000), 89_000);
        assert_eq!(writer.store_time(89_001), 89_001);
    }
}
