//! Reading: a queue from an offset, a unit, a record, an offset by time.
//!
//! Nothing here goes beyond what is visible, and nothing decides what a client is told: the broker
//! turns [`ReadStatus`] into codes (semantics.md §6, §12).

use std::ops::Range;

use bytes::Bytes;

use super::consume_queue::{Bounds, Queue};
use super::error::StoreError;
use super::queue_io::{UNIT_LEN, Unit};
use super::storage::{LogOffset, QueueOffset, Wait};
use super::store::Store;
use crate::protocol::record::{self, RecordView};

/// Units that are looked at in one step.
const STEP_UNITS: usize = 256;
/// Bytes that are read at once for records that lie near one another.
const MERGE_BYTES: u64 = 256 << 10;
/// Bytes between two such records: reading over them costs less than a second call.
const MERGE_GAP: u64 = 4 << 10;
/// Bytes that one read answers at most, whatever was asked for.
const READ_BYTES_MAX: usize = 128 << 20;

/// How much one read takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadLimit {
    /// Messages.
    pub messages: usize,
    /// Bytes of records; the first one is taken even if it is larger.
    pub bytes: usize,
    /// Units that are examined, taken or not.
    pub scan_units: usize,
}

/// What a filter says of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// It is wanted.
    Take,
    /// It is not.
    Skip,
    /// The record has to be looked at.
    NeedRecord,
}

/// How a read ended (semantics.md §6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadStatus {
    /// There are messages.
    Found,
    /// Nothing of what was examined is wanted.
    NoMatched,
    /// The records were deleted meanwhile.
    Removed,
    /// There is no such queue.
    NoQueue,
    /// The queue has never had a message.
    Empty,
    /// The offset is that of the next message to come.
    AtEnd,
    /// No unit where one should be; the next offset is behind the hole.
    Hole,
    /// The offset is beyond the next message to come.
    BeyondEnd,
    /// The offset is below the first message.
    BelowMin,
}

/// What a read found.
#[derive(Clone, Debug)]
pub struct Read {
    /// How it ended.
    pub status: ReadStatus,
    /// The records, in order.
    pub records: Vec<Bytes>,
    /// The same bytes in as few pieces as possible: one when the records lay behind one another.
    pub pieces: Vec<Bytes>,
    /// Bytes of the records.
    pub bytes: usize,
    /// Where to go on.
    pub next_offset: QueueOffset,
    /// First offset of the queue.
    pub min_offset: QueueOffset,
    /// End of the queue.
    pub max_offset: QueueOffset,
}

/// Which of several equal or of two neighbouring messages a time stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Boundary {
    /// The first message with that time, else the first after it.
    #[default]
    Lower,
    /// The last message with that time, else the last before it.
    Upper,
}

/// Reads that may wait for the disk, or may not: then [`StoreError::Cold`] says that they would have
/// to. Nothing is opened for those either.
#[derive(Clone, Copy)]
pub struct Reads<'a> {
    store: &'a Store,
    wait: Wait,
}

impl std::fmt::Debug for Reads<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reads").field("wait", &self.wait).finish_non_exhaustive()
    }
}

impl Reads<'_> {
    /// Reads a queue from an offset. `filter` decides by unit, `record_filter` looks at records for
    /// which it asked. A negative offset, cast, counts as below the minimum.
    ///
    /// # Errors
    /// When the disk cannot be read, or not now.
    pub fn read(
        &self,
        topic: &str,
        queue_id: i32,
        from: QueueOffset,
        limit: ReadLimit,
        filter: &mut dyn FnMut(&Unit) -> Match,
        record_filter: &mut dyn FnMut(&RecordView<'_>) -> bool,
    ) -> Result<Read, StoreError> {
        let Self { store, wait } = *self;
        let visible = store.log.visible();
        let Some(queue) = store.queues.get(topic, queue_id) else {
            return Ok(nothing(ReadStatus::NoQueue, 0, Bounds::default()));
        };
        let bounds = queue.bounds(visible);
        if let Some((status, next)) = outside(from.0, bounds) {
            return Ok(nothing(status, next, bounds));
        }
        let mut reader = Reader {
            store,
            queue: &queue,
            wait,
            visible,
            limit: ReadLimit { bytes: limit.bytes.min(READ_BYTES_MAX), ..limit },
            read: nothing(ReadStatus::NoMatched, from.0, bounds),
            examined: 0,
            removed: 0,
        };
        reader.run(filter, record_filter).map_err(StoreError::io(&store.log.dir))?;
        let Reader { mut read, removed, examined, .. } = reader;
        read.status = if !read.records.is_empty() {
            ReadStatus::Found
        } else if examined == 0 {
            ReadStatus::Hole
        } else if removed == examined {
            ReadStatus::Removed
        } else {
            ReadStatus::NoMatched
        };
        Ok(read)
    }

    /// The unit of a queue offset; none outside of the queue, and none for a blank one.
    ///
    /// # Errors
    /// When the disk cannot be read, or not now.
    pub fn unit(
        &self,
        topic: &str,
        queue_id: i32,
        offset: QueueOffset,
    ) -> Result<Option<Unit>, StoreError> {
        let units = self.units(topic, queue_id, offset, 1)?;
        Ok(units.first().copied().filter(|unit| !unit.is_blank()))
    }

    /// Units from an offset on, blank ones included.
    ///
    /// # Errors
    /// When the disk cannot be read, or not now.
    pub fn units(
        &self,
        topic: &str,
        queue_id: i32,
        from: QueueOffset,
        count: usize,
    ) -> Result<Vec<Unit>, StoreError> {
        let queues = &self.store.queues;
        let Some(queue) = queues.get(topic, queue_id) else { return Ok(Vec::new()) };
        let visible = self.store.log.visible();
        if from.0 < queue.bounds(visible).min {
            return Ok(Vec::new());
        }
        let units = queue.units(&queues.io, from.0, count, visible, self.wait);
        units.map_err(StoreError::io(queue.dir(&queues.io)))
    }

    /// The record that starts at a log offset; none when there is none, or none visible.
    ///
    /// # Errors
    /// When the disk cannot be read, or not now.
    pub fn record_at(&self, offset: LogOffset) -> Result<Option<Bytes>, StoreError> {
        let log = &self.store.log;
        log.record_at(offset.0, log.visible(), self.wait).map_err(StoreError::io(&log.dir))
    }
}

impl Store {
    /// Reads that may or may not wait. The methods of the same names below always may.
    pub fn reads(&self, wait: Wait) -> Reads<'_> {
        Reads { store: self, wait }
    }

    /// As [`Reads::read`].
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn read(
        &self,
        topic: &str,
        queue_id: i32,
        from: QueueOffset,
        limit: ReadLimit,
        filter: &mut dyn FnMut(&Unit) -> Match,
        record_filter: &mut dyn FnMut(&RecordView<'_>) -> bool,
    ) -> Result<Read, StoreError> {
        self.reads(Wait::Yes).read(topic, queue_id, from, limit, filter, record_filter)
    }

    /// As [`Reads::unit`].
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn unit(
        &self,
        topic: &str,
        queue_id: i32,
        offset: QueueOffset,
    ) -> Result<Option<Unit>, StoreError> {
        self.reads(Wait::Yes).unit(topic, queue_id, offset)
    }

    /// As [`Reads::units`].
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn units(
        &self,
        topic: &str,
        queue_id: i32,
        from: QueueOffset,
        count: usize,
    ) -> Result<Vec<Unit>, StoreError> {
        self.reads(Wait::Yes).units(topic, queue_id, from, count)
    }

    /// As [`Reads::record_at`].
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn record_at(&self, offset: LogOffset) -> Result<Option<Bytes>, StoreError> {
        self.reads(Wait::Yes).record_at(offset)
    }

    /// Store time of a message; none when it is not there.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn store_time(
        &self,
        topic: &str,
        queue_id: i32,
        offset: QueueOffset,
    ) -> Result<Option<i64>, StoreError> {
        match self.unit(topic, queue_id, offset)? {
            Some(unit) => self.unit_time(&unit),
            None => Ok(None),
        }
    }

    fn unit_time(&self, unit: &Unit) -> Result<Option<i64>, StoreError> {
        let time = self.log.store_time(unit.log_offset.0, self.log.visible());
        time.map_err(StoreError::io(&self.log.dir))
    }

    /// Store time of the oldest record of the log.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn earliest_time(&self) -> Result<Option<i64>, StoreError> {
        let time = self.log.store_time(self.log.min(), self.log.visible());
        time.map_err(StoreError::io(&self.log.dir))
    }

    /// The queue offset of a time (semantics.md §12).
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn offset_by_time(
        &self,
        topic: &str,
        queue_id: i32,
        timestamp: i64,
        boundary: Boundary,
    ) -> Result<QueueOffset, StoreError> {
        let Some(queue) = self.queues.get(topic, queue_id) else { return Ok(QueueOffset(0)) };
        let bounds = queue.bounds(self.log.visible());
        if bounds.min >= bounds.max {
            return Ok(QueueOffset(0));
        }
        match boundary {
            Boundary::Lower => {
                let first = self.partition(&queue, bounds, |time| time < timestamp)?;
                Ok(QueueOffset(first))
            }
            Boundary::Upper => {
                let after = self.partition(&queue, bounds, |time| time <= timestamp)?;
                Ok(QueueOffset(if after == bounds.min { 0 } else { after - 1 }))
            }
        }
    }

    /// First offset whose message does not come before, for times in order. A unit without a record
    /// goes with the next one that has one.
    fn partition(
        &self,
        queue: &Queue,
        bounds: Bounds,
        before: impl Fn(i64) -> bool,
    ) -> Result<u64, StoreError> {
        let (mut low, mut high) = (bounds.min, bounds.max);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.timed_unit(queue, middle, high)? {
                Some((at, time)) if before(time) => low = at + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn timed_unit(
        &self,
        queue: &Queue,
        from: u64,
        to: u64,
    ) -> Result<Option<(u64, i64)>, StoreError> {
        let io = &self.queues.io;
        for at in from..to {
            let units = queue.units(io, at, 1, self.log.visible(), Wait::Yes);
            let units = units.map_err(StoreError::io(queue.dir(io)))?;
            if let Some(unit) = units.first().filter(|unit| !unit.is_blank())
                && let Some(time) = self.unit_time(unit)?
            {
                return Ok(Some((at, time)));
            }
        }
        Ok(None)
    }
}

/// The answer to an offset outside of the queue, with the offset to go on at.
fn outside(from: u64, bounds: Bounds) -> Option<(ReadStatus, u64)> {
    if bounds.max == 0 {
        Some((ReadStatus::Empty, 0))
    } else if from < bounds.min || i64::try_from(from).is_err() {
        Some((ReadStatus::BelowMin, bounds.min))
    } else if from == bounds.max {
        Some((ReadStatus::AtEnd, from))
    } else if from > bounds.max {
        Some((ReadStatus::BeyondEnd, bounds.max))
    } else {
        None
    }
}

fn nothing(status: ReadStatus, next: u64, bounds: Bounds) -> Read {
    Read {
        status,
        records: Vec::new(),
        pieces: Vec::new(),
        bytes: 0,
        next_offset: QueueOffset(next),
        min_offset: QueueOffset(bounds.min),
        max_offset: QueueOffset(bounds.max),
    }
}

struct Reader<'a> {
    store: &'a Store,
    queue: &'a Queue,
    wait: Wait,
    visible: u64,
    limit: ReadLimit,
    read: Read,
    examined: usize,
    removed: usize,
}

/// A unit that the filter let through.
#[derive(Clone, Copy)]
struct Wanted {
    unit: Unit,
    by_record: bool,
}

impl Reader<'_> {
    fn run(
        &mut self,
        filter: &mut dyn FnMut(&Unit) -> Match,
        record_filter: &mut dyn FnMut(&RecordView<'_>) -> bool,
    ) -> std::io::Result<()> {
        let io = &self.store.queues.io;
        while self.examined < self.limit.scan_units && !self.full() {
            let from = self.read.next_offset.0;
            let count = STEP_UNITS.min(self.limit.scan_units - self.examined);
            // A plain read of few messages need not look at more units than it will take.
            let count = count.min((self.limit.messages - self.read.records.len()).max(16));
            let units = self.queue.units(io, from, count, self.visible, self.wait)?;
            if units.is_empty() {
                self.step_over_hole(from);
                break;
            }
            let (wanted, limited) = self.choose(from, &units, filter);
            let before = self.read.records.len();
            self.take(&wanted, record_filter)?;
            // Records that were refused made room, so that more may be chosen.
            if limited && self.read.records.len() - before == wanted.len() {
                break;
            }
        }
        Ok(())
    }

    fn full(&self) -> bool {
        self.read.records.len() >= self.limit.messages
            || (!self.read.records.is_empty() && self.read.bytes >= self.limit.bytes)
    }

    /// A unit that ends the files too early: damage that the next start repairs.
    fn step_over_hole(&mut self, from: u64) {
        if from < self.read.max_offset.0 && self.examined == 0 {
            let units = self.store.queues.io.file_size / UNIT_LEN as u64;
            let next = (from / units + 1) * units;
            self.read.next_offset = QueueOffset(next.min(self.read.max_offset.0));
        }
    }

    /// Units to read, in order, and whether a limit ended it; moves on behind the last examined.
    fn choose(
        &mut self,
        from: u64,
        units: &[Unit],
        filter: &mut dyn FnMut(&Unit) -> Match,
    ) -> (Vec<Wanted>, bool) {
        let log_min = self.store.log.min();
        let mut wanted: Vec<Wanted> = Vec::with_capacity(units.len());
        let mut bytes = self.read.bytes;
        for (offset, unit) in (from..).zip(units) {
            let taken = self.read.records.len() + wanted.len();
            let size = unit.size as usize;
            let gone = unit.is_blank() || unit.log_offset.0 < log_min;
            let matched = if gone { Match::Skip } else { filter(unit) };
            if matched != Match::Skip {
                if taken > 0 && (taken >= self.limit.messages || bytes + size > self.limit.bytes) {
                    // Not examined: the next read begins with it.
                    return (wanted, true);
                }
                bytes += size;
                wanted.push(Wanted { unit: *unit, by_record: matched == Match::NeedRecord });
            }
            self.removed += usize::from(gone);
            self.examined += 1;
            self.read.next_offset = QueueOffset(offset + 1);
        }
        (wanted, false)
    }

    /// Reads what was chosen, what lies near together.
    fn take(
        &mut self,
        wanted: &[Wanted],
        record_filter: &mut dyn FnMut(&RecordView<'_>) -> bool,
    ) -> std::io::Result<()> {
        let log = &self.store.log;
        let mut rest = wanted;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(near(rest, log.file_size));
            let start = now[0].unit.log_offset.0;
            let len = now[now.len() - 1].unit.end() - start;
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let mut buffer = Vec::new();
            log.read_into(&mut buffer, start, len, self.wait)?;
            let buffer = Bytes::from(buffer);
            let mut run = 0..0;
            for item in now {
                let at = (item.unit.log_offset.0 - start) as usize;
                let end = at + item.unit.size as usize;
                let record = buffer.get(at..end).map(|_| buffer.slice(at..end));
                if !self.take_one(item, record, record_filter) {
                    continue;
                }
                if run.end != at {
                    self.add_piece(&buffer, run);
                    run = at..at;
                }
                run.end = end;
            }
            self.add_piece(&buffer, run);
            rest = later;
        }
        Ok(())
    }

    fn add_piece(&mut self, buffer: &Bytes, run: Range<usize>) {
        if !run.is_empty() {
            self.read.pieces.push(buffer.slice(run));
        }
    }

    /// Whether the record is one that is wanted.
    fn take_one(
        &mut self,
        item: &Wanted,
        record: Option<Bytes>,
        record_filter: &mut dyn FnMut(&RecordView<'_>) -> bool,
    ) -> bool {
        let size = item.unit.size as usize;
        // A bad record is passed over, as recovery has listed or will list it.
        let Some(bytes) =
            record.filter(|bytes| record::head_matches(bytes, size, item.unit.log_offset.0))
        else {
            return false;
        };
        if item.by_record && !RecordView::parse(&bytes).is_ok_and(|view| record_filter(&view)) {
            return false;
        }
        self.read.bytes += size;
        self.read.records.push(bytes);
        true
    }
}

/// How many of the first units can be read at once: they touch or nearly do, in one file.
fn near(wanted: &[Wanted], file_size: u64) -> usize {
    let start = wanted[0].unit.log_offset.0;
    let mut count = 1;
    for pair in wanted.windows(2) {
        let next = pair[1].unit;
        let gap = next.log_offset.0.checked_sub(pair[0].unit.end());
        let is_near = gap.is_some_and(|gap| gap <= MERGE_GAP)
            && next.log_offset.0 / file_size == start / file_size
            && next.end() - start <= MERGE_BYTES;
        if !is_near {
            break;
        }
        count += 1;
    }
    count
}
