//! What a start finds and makes right: the end of the log, damaged ranges, units that are missing.
//!
//! Runs before anybody is served, single-threaded, over `Storage` alone. First everything is looked
//! at, then the end of the log is made true, then queues and positions follow from it.
//! Spec: architecture.md §5 (recovery), §7; store.md §7, §11.3.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::checkpoint::{AbortMark, Checkpoint, LastStop};
use super::commit_log::{CommitLog, check_files};
use super::dispatch;
use super::error::StoreError;
use super::flush::UNSYNCED_FILE;
use super::queue_io::{QueueIo, Unit};
use super::queue_table::QueueTable;
use super::scan::{Checksum, Scanner, Step};
use super::snapshot;
use super::storage::{self, LogOffset, Storage, Wait};
use super::store::{Mark, Opened, RecoveredTopics, StoreConfig};
use crate::clock::Clock;
use crate::protocol::record::RecordView;

/// Damaged ranges that were ever found, one a line.
const DAMAGED_FILE: &str = "mqdeck.damaged";
/// Tails that are written during a scan once they hold this much.
const TAIL_BYTES_MAX: usize = 32 << 20;
/// Queue offsets in a row that damage may have taken. A larger gap is not one: the offset in the
/// record is wrong, as no checksum covers it.
const LOST_UNITS_MAX: u64 = 1_000_000;
/// Bytes written again at once.
const REWRITE_CHUNK: usize = 1 << 20;

/// What a start found.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// The last stop was not clean.
    pub abnormal: bool,
    /// The snapshot of a clean stop was used: nothing was scanned.
    pub fast: bool,
    /// Where the scan began.
    pub scanned_from: LogOffset,
    /// End of the log.
    pub end: LogOffset,
    /// Records that were scanned.
    pub records: u64,
    /// Damaged ranges of the log, found now or earlier.
    pub damaged: Vec<(u64, u64)>,
    /// Topics of the scanned part: those missing in the topic table and newer than it were created
    /// just before the stop.
    pub topics: RecoveredTopics,
    /// How long it took.
    pub took_ms: u64,
}

impl Recovery {
    /// Topics with a record that is newer than a time, each with its highest queue id.
    pub fn topics_newer_than(&self, time_ms: i64) -> impl Iterator<Item = (&str, i32)> {
        let newer = self.topics.iter().filter(move |(_, facts)| facts.newest_ms > time_ms);
        newer.map(|(topic, facts)| (topic.as_str(), facts.queue_id_max))
    }
}

/// Opens a locked directory.
pub(super) fn open(
    storage: &Arc<dyn Storage>,
    config: &StoreConfig,
    clock: &dyn Clock,
) -> Result<Opened, StoreError> {
    let begun_ns = clock.monotonic_ns();
    let root = config.root.as_path();
    let fail = |name: &str| StoreError::io(root.join(name));
    let disk = storage.as_ref();
    let log_dir = root.join("commitlog");
    let bases = check_files(disk, &log_dir, config.file_size)?;
    let queues = QueueTable::new(QueueIo::new(Arc::clone(storage), root, config.queue_file_size));
    let stop = AbortMark::read(disk, root).map_err(fail("abort"))?;
    let checkpoint = Checkpoint::read(disk, root).map_err(fail("checkpoint"))?;
    let log = CommitLog::new(Arc::clone(storage), root, config.file_size, config.flush, &bases);
    let snapshot = snapshot::read(disk, config)?.filter(|found| {
        stop == LastStop::Clean && found.matches(disk, root, &log).unwrap_or(false)
    });
    let unsynced = read_unsynced(disk, root).map_err(fail(UNSYNCED_FILE))?;
    if snapshot.is_none() {
        queues.check()?;
    }
    // The directory fits: from here on it may be changed.
    for dir in [&log_dir, &queues.io.dir, &root.join("config")] {
        disk.create_dir(dir).map_err(StoreError::io(dir))?;
    }
    let mut opened = if let Some(snapshot) = snapshot {
        open_fast(config, log, queues, checkpoint, snapshot)?
    } else {
        remove_empty_files(disk, &log_dir)?;
        let mut scan = Recoverer {
            config,
            log,
            queues,
            checkpoint,
            abnormal: stop != LastStop::Clean || unsynced.is_some(),
            durable: least(stop, unsynced),
            found: Found::default(),
        };
        scan.run()?;
        scan.finish(root)?
    };
    snapshot::remove(disk, root).map_err(fail(snapshot::SNAPSHOT_FILE))?;
    opened.recovery.damaged = merge_damaged(disk, root, &opened.recovery.damaged)?;
    opened.recovery.took_ms = (clock.monotonic_ns() - begun_ns) / 1_000_000;
    Ok(opened)
}

/// The offset up to which the log is surely durable.
fn least(stop: LastStop, unsynced: Option<u64>) -> Option<u64> {
    let noted = match stop {
        LastStop::Clean => None,
        LastStop::Unclean { durable } => durable,
    };
    noted.into_iter().chain(unsynced).min()
}

fn read_unsynced(disk: &dyn Storage, root: &Path) -> io::Result<Option<u64>> {
    let bytes = storage::read_whole(disk, &root.join(UNSYNCED_FILE))?;
    // A torn note says nothing: then all that is scanned is written again.
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().parse().unwrap_or(0)))
}

/// Remains of a creation: an empty file at the end of the log directory.
fn remove_empty_files(disk: &dyn Storage, dir: &Path) -> Result<(), StoreError> {
    let entries = disk.list(dir).map_err(StoreError::io(dir))?;
    for entry in entries.iter().filter(|entry| !entry.is_dir && entry.len == 0) {
        let path = dir.join(&entry.name);
        disk.remove(&path).map_err(StoreError::io(&path))?;
    }
    Ok(())
}

fn open_fast(
    config: &StoreConfig,
    log: CommitLog,
    queues: QueueTable,
    checkpoint: Checkpoint,
    snapshot: snapshot::Snapshot,
) -> Result<Opened, StoreError> {
    let last = snapshot.last;
    log.set_written(last.end);
    log.set_flushed(last.end);
    let indexed = snapshot.indexed;
    snapshot.restore(&queues);
    let abort = AbortMark::write(log.storage(), &config.root, last.end)
        .map_err(StoreError::io(config.root.join("abort")))?;
    let end = LogOffset(last.end);
    let recovery = Recovery { fast: true, end, scanned_from: end, ..Recovery::default() };
    Ok(Opened { log, queues, recovery, last, abort, checkpoint, indexed })
}

/// What a scan has found.
#[derive(Default)]
struct Found {
    from: u64,
    end: u64,
    records: u64,
    last: Mark,
    damaged: Vec<(u64, u64)>,
    topics: RecoveredTopics,
    /// The first record not older than what the checkpoint calls durable.
    rewrite_from: Option<u64>,
}

struct Recoverer<'a> {
    config: &'a StoreConfig,
    log: CommitLog,
    queues: QueueTable,
    checkpoint: Checkpoint,
    abnormal: bool,
    /// Offset below which an invalid record is damage; at or above it is the end.
    durable: Option<u64>,
    found: Found,
}

/// Whether a scan came through.
#[derive(PartialEq, Eq)]
enum Scan {
    Done,
    /// A queue lacks units of records that lie before the scanned part.
    Gap,
}

/// Which gaps of a queue are accepted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gaps {
    /// None: the missing units may be found by a scan from further back.
    Refuse,
    /// All: there is nothing further back.
    Fill,
}

impl Recoverer<'_> {
    fn run(&mut self) -> Result<(), StoreError> {
        if self.log.files().is_empty() {
            // Numbers of queues whose log is gone mean nothing (store.md §7.4).
            let dir = self.queues.io.dir.clone();
            let storage = self.log.storage();
            let clear = || storage.remove_dir(&dir).and_then(|()| storage.create_dir(&dir));
            return clear().map_err(StoreError::io(&dir));
        }
        let known = u64::try_from(self.checkpoint.queue_offset).unwrap_or(0);
        self.queues.load(if self.abnormal { known } else { u64::MAX })?;
        if !self.abnormal {
            // A clean stop left everything durable up to the last message of any queue at least.
            self.durable = self.queues.all().iter().map(|queue| queue.last_end()).max();
        }
        let fail = |log: &CommitLog| StoreError::io(log.dir.clone());
        let min = self.log.min();
        let from = self.first_offset().map_err(fail(&self.log))?;
        let gaps = if from == min { Gaps::Fill } else { Gaps::Refuse };
        let scan = self.scan(from, gaps).map_err(fail(&self.log))?;
        if scan == Scan::Gap {
            tracing::warn!(from, "queues lack units from before the scanned part: scanning all");
            self.scan(min, Gaps::Fill).map_err(fail(&self.log))?;
        }
        Ok(())
    }

    /// Where the scan begins: early enough for every unit that may be missing.
    fn first_offset(&self) -> io::Result<u64> {
        let min = self.log.min();
        let base_of = |offset| self.log.file_of(offset).map_or(min, |file| file.base);
        let newest = self.queues.all().iter().map(|queue| queue.last_end()).max().unwrap_or(0);
        if newest == 0 {
            return Ok(min);
        }
        if !self.abnormal {
            return Ok(base_of(newest - 1));
        }
        let Some(known) = u64::try_from(self.checkpoint.queue_offset).ok().filter(|at| *at > 0)
        else {
            return self.first_offset_by_time();
        };
        let known = self.durable.map_or(known, |durable| durable.min(known));
        let mut scanner = Scanner::new(&self.log, u64::MAX);
        let exact = known >= min
            && self.log.file_of(known).is_some()
            && matches!(scanner.step(known, Checksum::Verify)?, Step::Record(_));
        Ok(if exact { known } else { base_of(known) })
    }

    /// The rule for checkpoints that know only a time.
    fn first_offset_by_time(&self) -> io::Result<u64> {
        for file in self.log.files().iter().rev() {
            let time = self.log.store_time(file.base, u64::MAX)?;
            if time.is_some_and(|time| time > 0 && time <= self.checkpoint.queue_time) {
                return Ok(file.base);
            }
        }
        Ok(self.log.min())
    }

    fn scan(&mut self, from: u64, gaps: Gaps) -> io::Result<Scan> {
        let mut found = Found { from, ..Found::default() };
        let mut scanner = Scanner::new(&self.log, u64::MAX);
        let mut at = from;
        loop {
            match scanner.step(at, Checksum::Verify)? {
                // No checksum covers what follows the body.
                Step::Record(view)
                    if self.durable.is_none_or(|durable| at >= durable) && is_torn(&view) =>
                {
                    break;
                }
                Step::Record(view) => {
                    if !self.take(&view, gaps, &mut found)? {
                        return Ok(Scan::Gap);
                    }
                    at += view.size() as u64;
                    found.last.end = at;
                }
                Step::NextFile(base) => {
                    if self.log.file_of(base).is_none() {
                        break;
                    }
                    at = base;
                }
                Step::Invalid => {
                    let Some(durable) = self.durable.filter(|durable| at < *durable) else { break };
                    let next = scanner.search(at + 1)?;
                    found.damaged.push((at, next.unwrap_or(durable)));
                    match next {
                        Some(next) => at = next,
                        None => break,
                    }
                }
            }
        }
        found.end = at;
        self.found = found;
        Ok(Scan::Done)
    }

    /// Notes a record and adds its unit if its queue lacks it. False for a gap that is refused.
    fn take(&self, view: &RecordView<'_>, gaps: Gaps, found: &mut Found) -> io::Result<bool> {
        let start = u64::try_from(view.physical_offset()).unwrap_or(0);
        found.records += 1;
        found.last = Mark { start, end: 0, time: view.store_timestamp() };
        if found.rewrite_from.is_none() && view.store_timestamp() >= self.checkpoint.log_time {
            found.rewrite_from = Some(start);
        }
        if let Some(topic) = found.topics.get_mut(view.topic()) {
            topic.newest_ms = topic.newest_ms.max(view.store_timestamp());
            topic.queue_id_max = topic.queue_id_max.max(view.queue_id());
        } else {
            let facts = super::store::RecoveredTopic {
                queue_id_max: view.queue_id(),
                newest_ms: view.store_timestamp(),
            };
            found.topics.insert(view.topic().to_owned(), facts);
        }
        let Some((offset, unit)) = dispatch::unit(view, &self.config.delay_levels_ms) else {
            return Ok(true);
        };
        self.add_unit(view, offset, unit, gaps)
    }

    fn add_unit(
        &self,
        view: &RecordView<'_>,
        offset: u64,
        unit: Unit,
        gaps: Gaps,
    ) -> io::Result<bool> {
        let is_new = self.queues.get(view.topic(), view.queue_id()).is_none();
        if is_new && offset > 0 && gaps == Gaps::Refuse {
            return Ok(false);
        }
        let made = self.queues.get_or_make(view.topic(), view.queue_id(), offset);
        let Some(queue) = made else {
            tracing::warn!(topic = view.topic(), "a record names a topic that cannot be one");
            return Ok(true);
        };
        if unit.end() <= queue.last_end() {
            return Ok(true);
        }
        let next = queue.next();
        if offset < next {
            tracing::warn!(topic = view.topic(), offset, "a queue offset was given twice");
            return Ok(true);
        }
        if offset > next {
            if gaps == Gaps::Refuse {
                return Ok(false);
            }
            // Offsets lost in a damaged range. Apache appends at the end for ever; ours keeps the
            // numbers, as long as they can be true.
            if offset - next <= LOST_UNITS_MAX {
                for _ in next..offset {
                    self.queues.push(&queue, Unit::BLANK, 0);
                }
            }
        }
        self.queues.push(&queue, unit, 0);
        queue.assigned.store(queue.next(), Ordering::Relaxed);
        if self.queues.io.tail_bytes.load(Ordering::Relaxed) > TAIL_BYTES_MAX {
            let busy = self.queues.take_busy();
            for queue in &busy {
                queue.write_tail(&self.queues.io, u64::MAX)?;
            }
            self.queues.put_busy(busy);
        }
        Ok(true)
    }

    /// Makes the end of the log true and durable, then lets everything else follow from it.
    fn finish(self, root: &Path) -> Result<Opened, StoreError> {
        let Self { log, queues, mut checkpoint, abnormal, durable, found, .. } = self;
        let fail = |path: &Path| StoreError::io(path.to_owned());
        let disk = log.storage();
        let end = found.end;
        let safe = match durable {
            _ if !abnormal => end,
            Some(durable) => durable.min(end),
            None => found.rewrite_from.unwrap_or(end).min(end),
        };
        AbortMark::write(disk, root, safe).map_err(fail(&root.join("abort")))?;
        let make_true = || {
            log.cut(end)?;
            rewrite(&log, safe, end)?;
            log.sync(safe, end)
        };
        make_true().map_err(fail(&log.dir))?;
        log.set_written(end);
        log.set_flushed(end);
        for queue in queues.all() {
            let dir = queue.dir(&queues.io);
            let correct = || {
                queue.cut(&queues.io, end)?;
                queue.correct_min(&queues.io, log.min())
            };
            correct().map_err(StoreError::io(dir))?;
        }
        disk.remove(&root.join(UNSYNCED_FILE)).map_err(fail(&root.join(UNSYNCED_FILE)))?;
        let abort = AbortMark::write(disk, root, end).map_err(fail(&root.join("abort")))?;
        let last = Mark { end, ..found.last };
        if found.records > 0 {
            checkpoint.confirm = last.start as i64;
        }
        let recovery = Recovery {
            abnormal,
            fast: false,
            scanned_from: LogOffset(found.from),
            end: LogOffset(end),
            records: found.records,
            damaged: found.damaged,
            topics: found.topics,
            took_ms: 0,
        };
        Ok(Opened { log, queues, recovery, last, abort, checkpoint, indexed: None })
    }
}

/// Whether a record has zeros where its last bytes should be: pages that the disk never got. A topic
/// has no such byte, and properties do not end with one.
fn is_torn(view: &RecordView<'_>) -> bool {
    view.properties_bytes().last() == Some(&0) || view.topic().contains('\0')
}

/// Writes the same bytes once more: after a kill or an I/O error they may exist only as clean pages
/// that the disk never got (architecture.md §7).
fn rewrite(log: &CommitLog, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let mut buffer = Vec::new();
        let want = usize::try_from(to - at).unwrap_or(usize::MAX).min(REWRITE_CHUNK);
        log.read_into(&mut buffer, at, want, Wait::Yes)?;
        let Some(file) = log.file_of(at).filter(|_| !buffer.is_empty()) else { return Ok(()) };
        storage::write_all(file.open(log.storage())?.as_ref(), &buffer, at - file.base)?;
        at += buffer.len() as u64;
    }
    Ok(())
}

/// Adds new ranges to the list of those ever found.
fn merge_damaged(
    disk: &dyn Storage,
    root: &Path,
    new: &[(u64, u64)],
) -> Result<Vec<(u64, u64)>, StoreError> {
    let path = root.join(DAMAGED_FILE);
    let bytes = storage::read_whole(disk, &path).map_err(StoreError::io(&path))?;
    let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
    let range = |line: &str| {
        let (from, to) = line.split_once(' ')?;
        Some((from.parse().ok()?, to.trim().parse().ok()?))
    };
    let mut all: Vec<(u64, u64)> = text.lines().filter_map(range).collect();
    let known = all.len();
    all.extend_from_slice(new);
    all.sort_unstable();
    all.dedup();
    if all.len() != known {
        for (from, to) in new {
            tracing::error!(from, to, "a range of the log is damaged: its messages are lost");
        }
        let lines: Vec<String> = all.iter().map(|(from, to)| format!("{from} {to}\n")).collect();
        let text = lines.concat();
        storage::write_whole(disk, &path, text.as_bytes()).map_err(StoreError::io(&path))?;
    }
    Ok(all)
}
