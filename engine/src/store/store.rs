//! `Store`: the only door to a data directory.
//!
//! Opens, answers for positions and files of positions, closes. Appending is in `append.rs`, reading
//! in `read.rs`, the work of the `flush`, `disk` and `index` threads in `flush.rs`, `upkeep.rs`
//! and `index.rs`; all of them extend `Store`. Spec: store.md, architecture.md §5–§7.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::{ArcSwap, Guard};

use super::append::Writer;
use super::append_queue::{AppendQueue, Arrival};
use super::bell::Bell;
use super::checkpoint::{ABORT_FILE, AbortMark, Checkpoint};
use super::commit_log::{CommitLog, FlushMode, Positions};
use super::error::StoreError;
use super::flush::Flush;
use super::json_file;
use super::queue_table::QueueTable;
use super::recovery::{self, Recovery};
use super::storage::{QueueOffset, Storage};
use super::upkeep::Upkeep;
use crate::clock::Clock;

/// What is added to the limit of a body to get the limit of a whole record.
const RECORD_OVERHEAD_MAX: usize = 65_536;

/// Used shares of the disk, in per cent, at which Apache's rules act (store.md §9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskRatios {
    /// Expired files go whatever the hour.
    pub max_used: u64,
    /// Files go although they have not expired.
    pub clean_forcibly: u64,
    /// Writes are refused.
    pub warning: u64,
}

/// Sizes, limits and habits of a store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Data directory.
    pub root: PathBuf,
    /// Bytes of a log file (`mappedFileSizeCommitLog`).
    pub file_size: u64,
    /// Bytes of a queue file (`mappedFileSizeConsumeQueue`), rounded up to whole units.
    pub queue_file_size: u64,
    /// Slots of an index file (`maxHashSlotNum`).
    pub index_slots: u32,
    /// Units of an index file (`maxIndexNum`).
    pub index_units: u32,
    /// Whether keys are indexed (`messageIndexEnable`).
    pub index_enabled: bool,
    /// Bytes of a body (`maxMessageSize`).
    pub max_message_size: u32,
    /// When an append counts as done.
    pub flush: FlushMode,
    /// Time between two flushes under async flush.
    pub flush_interval_ms: u64,
    /// How long a send waits for the disk.
    pub sync_flush_timeout_ms: u64,
    /// Delays of the levels, the first being level 1.
    pub delay_levels_ms: Vec<i64>,
    /// Cluster name, part of the geometry.
    pub cluster: String,
    /// Broker name, part of the geometry.
    pub broker_name: String,
    /// Age at which a log file expires (`fileReservedTime`, there in hours).
    pub file_reserved_ms: i64,
    /// Local hours in which expired files are deleted (`deleteWhen`).
    pub delete_hours: Vec<u32>,
    /// Free bytes below which writes are refused.
    pub disk_free_min: u64,
    /// Apache's rules by used share; none unless configured.
    pub disk_ratios: Option<DiskRatios>,
    /// Files deleted in one pass (`deleteFileBatchMax`).
    pub delete_files_max: usize,
}

/// The part of the configuration that may change while a store is open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Habits {
    /// Bytes of a body (`maxMessageSize`).
    pub max_message_size: u32,
    /// Time between two flushes under async flush.
    pub flush_interval_ms: u64,
    /// How long a send waits for the disk.
    pub sync_flush_timeout_ms: u64,
    /// Age at which a log file expires (`fileReservedTime`, there in hours).
    pub file_reserved_ms: i64,
    /// Local hours in which expired files are deleted (`deleteWhen`).
    pub delete_hours: Vec<u32>,
    /// Free bytes below which writes are refused.
    pub disk_free_min: u64,
    /// Apache's rules by used share; none unless configured.
    pub disk_ratios: Option<DiskRatios>,
}

impl Habits {
    /// Bytes of a whole record.
    pub fn record_max(&self) -> usize {
        self.max_message_size as usize + RECORD_OVERHEAD_MAX
    }
}

impl From<&StoreConfig> for Habits {
    fn from(config: &StoreConfig) -> Self {
        Self {
            max_message_size: config.max_message_size,
            flush_interval_ms: config.flush_interval_ms,
            sync_flush_timeout_ms: config.sync_flush_timeout_ms,
            file_reserved_ms: config.file_reserved_ms,
            delete_hours: config.delete_hours.clone(),
            disk_free_min: config.disk_free_min,
            disk_ratios: config.disk_ratios,
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        const S: i64 = 1000;
        const M: i64 = 60 * S;
        const H: i64 = 60 * M;
        Self {
            root: PathBuf::new(),
            file_size: 1 << 30,
            queue_file_size: 6_000_000,
            index_slots: 5_000_000,
            index_units: 20_000_000,
            index_enabled: true,
            max_message_size: 4 << 20,
            flush: FlushMode::Async,
            flush_interval_ms: 500,
            sync_flush_timeout_ms: 5000,
            delay_levels_ms: vec![
                S,
                5 * S,
                10 * S,
                30 * S,
                M,
                2 * M,
                3 * M,
                4 * M,
                5 * M,
                6 * M,
                7 * M,
                8 * M,
                9 * M,
                10 * M,
                20 * M,
                30 * M,
                H,
                2 * H,
            ],
            cluster: "DefaultCluster".to_owned(),
            broker_name: "mqdeck".to_owned(),
            file_reserved_ms: 72 * H,
            delete_hours: vec![4],
            disk_free_min: 1 << 30,
            disk_ratios: None,
            delete_files_max: 10,
        }
    }
}

impl StoreConfig {
    /// Bytes of a whole record.
    pub fn record_max(&self) -> usize {
        self.max_message_size as usize + RECORD_OVERHEAD_MAX
    }
}

/// The newest record at some moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Mark {
    pub end: u64,
    pub start: u64,
    pub time: i64,
}

type ArrivalHook = Box<dyn Fn(&[Arrival]) + Send + Sync>;
type Waker = Box<dyn Fn() + Send + Sync>;

/// Figures of a store.
#[derive(Clone, Debug, Default)]
pub struct StoreStats {
    /// Bytes that may still be used on the disk.
    pub disk_free: u64,
    /// Used share of the disk in per cent.
    pub disk_used_percent: u64,
    /// Bytes of the disk in all, as this user could use them.
    pub disk_total: u64,
    /// Whether writes are refused for lack of room.
    pub refusing: bool,
    /// Whether writes are refused until restart, after a failed sync.
    pub stopped: bool,
    /// Ranges of the log that were found damaged, ever.
    pub damaged: Vec<(u64, u64)>,
    /// Directory of the log.
    pub log_dir: PathBuf,
    /// Directory of the queues.
    pub queue_dir: PathBuf,
    /// Written and not yet flushed bytes.
    pub unflushed_bytes: u64,
    /// How long the write in progress has held the log, ms; 0 when idle.
    pub writing_ms: u64,
    /// Bytes of queue units in memory only.
    pub tail_bytes: usize,
    /// How far the key index lags behind the log, in bytes.
    pub index_lag_bytes: u64,
    /// Start of the newest record whose unit is durable.
    pub queues_durable: u64,
}

/// One data directory, open.
pub struct Store {
    pub(super) config: StoreConfig,
    habits: ArcSwap<Habits>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) log: CommitLog,
    pub(super) queues: QueueTable,
    pub(super) appends: AppendQueue,
    /// The log mutex.
    pub(super) writer: Mutex<Writer>,
    /// When the write began that is going on; 0 when none is.
    pub(super) writing_since_ns: AtomicU64,
    pub(super) mark: Mutex<Mark>,
    pub(super) flushed_mark: Mutex<Mark>,
    pub(super) flush: Flush,
    pub(super) flushing: Mutex<()>,
    /// One writer of `config/` at a time: a file is written under a temporary name first.
    pub(super) config_files: Mutex<()>,
    pub(super) upkeep: Upkeep,
    pub(super) index: Option<super::index::Index>,
    pub(super) flush_bell: Bell,
    pub(super) disk_bell: Bell,
    pub(super) index_bell: Bell,
    /// Set with the first failed sync: where, and the kernel's reason.
    pub(super) stopped: OnceLock<(u64, io::ErrorKind)>,
    /// Lack of room.
    pub(super) refusing: AtomicBool,
    /// A log file was filled since the tails were last written.
    pub(super) rolled: AtomicBool,
    /// Appends are refused, what is queued is still written.
    pub(super) closing: AtomicBool,
    /// The threads of the store end.
    pub(super) ending: AtomicBool,
    pub(super) arrival_hook: OnceLock<ArrivalHook>,
    committer: OnceLock<Waker>,
    recovery: Recovery,
    _lock: Box<dyn Any + Send + Sync>,
}

impl Store {
    /// Opens a data directory: lock, check of names and sizes, recovery. Nothing but the lock file is
    /// made before the directory is known to fit.
    ///
    /// # Errors
    /// [`StoreError::Locked`] and [`StoreError::Geometry`] are for the user to solve; the others
    /// mean that the directory cannot be read or is damaged beyond what recovery may skip.
    #[allow(clippy::needless_pass_by_value)] // parts of the store keep it
    pub fn open(
        storage: Arc<dyn Storage>,
        config: StoreConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let root = config.root.clone();
        check_sizes(&config)?;
        storage.create_dir(&root).map_err(StoreError::io(&root))?;
        let lock_path = root.join("lock");
        let lock = storage.lock(&lock_path).map_err(StoreError::io(&lock_path))?;
        let lock = lock.ok_or_else(|| StoreError::Locked { root: root.clone() })?;
        let opened = recovery::open(&storage, &config, clock.as_ref())?;
        let index = super::index::Index::open(&storage, &config, &opened)?;
        let refusing = AtomicBool::new(false);
        let store = Self {
            clock,
            appends: AppendQueue::default(),
            writer: Mutex::new(Writer::new(opened.last.time)),
            writing_since_ns: AtomicU64::new(0),
            mark: Mutex::new(opened.last),
            flushed_mark: Mutex::new(opened.last),
            flush: Flush::default(),
            flushing: Mutex::new(()),
            config_files: Mutex::new(()),
            upkeep: Upkeep::new(opened.abort, opened.checkpoint),
            index,
            flush_bell: Bell::default(),
            disk_bell: Bell::default(),
            index_bell: Bell::default(),
            stopped: OnceLock::new(),
            refusing,
            rolled: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            arrival_hook: OnceLock::new(),
            committer: OnceLock::new(),
            log: opened.log,
            queues: opened.queues,
            recovery: opened.recovery,
            habits: ArcSwap::from_pointee(Habits::from(&config)),
            config,
            _lock: lock,
        };
        store.check_space();
        Ok(store)
    }

    /// What the start found.
    pub fn recovered(&self) -> &Recovery {
        &self.recovery
    }

    /// Sizes, limits and habits.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// What of them holds now.
    pub fn habits(&self) -> Guard<Arc<Habits>> {
        self.habits.load()
    }

    /// Changes what may change while the store is open; counts from the next append, flush and pass on.
    pub fn set_habits(&self, habits: Habits) {
        self.habits.store(Arc::new(habits));
        self.check_space();
    }

    /// The positions of the log.
    pub fn positions(&self) -> Positions {
        self.log.positions()
    }

    /// Sets who is woken when appends are queued or answers are ready. Once.
    pub fn on_append_queued(&self, waker: Waker) {
        let _ = self.committer.set(waker); // a second one is not supported
    }

    /// Sets who is told of messages that have become visible. Called outside of every lock. Once.
    pub fn on_arrival(&self, hook: ArrivalHook) {
        let _ = self.arrival_hook.set(hook); // a second one is not supported
    }

    pub(super) fn has_committer(&self) -> bool {
        self.committer.get().is_some()
    }

    pub(super) fn wake_committer(&self) {
        if let Some(wake) = self.committer.get() {
            wake();
        }
    }

    /// End of what may be read of a queue: the offset of the next message. 0 for an unknown queue.
    pub fn max_offset(&self, topic: &str, queue_id: i32) -> QueueOffset {
        let queue = self.queues.get(topic, queue_id);
        QueueOffset(queue.map_or(0, |queue| queue.bounds(self.log.visible()).max))
    }

    /// Offset of the first message that is still there. 0 for an unknown queue.
    pub fn min_offset(&self, topic: &str, queue_id: i32) -> QueueOffset {
        let queue = self.queues.get(topic, queue_id);
        QueueOffset(queue.map_or(0, |queue| queue.bounds(self.log.visible()).min))
    }

    /// Ids of the queues of a topic that hold or held a message.
    pub fn queues(&self, topic: &str) -> Vec<i32> {
        self.queues.ids(topic)
    }

    /// Topics that have such queues, in order.
    pub fn topics_with_queues(&self) -> Vec<Arc<str>> {
        self.queues.topics()
    }

    /// Removes the queues of a topic. Its messages stay in the log; an unclean stop brings queues of
    /// the part it scans back (store.md §3.4).
    ///
    /// # Errors
    /// When the directory cannot be removed.
    pub fn delete_topic(&self, topic: &str) -> Result<(), StoreError> {
        // The `disk` thread must not write a tail into a directory that is being removed.
        let _still = self.upkeep.lock();
        if !self.queues.remove_topic(topic).is_empty() {
            let dir = self.queues.io.dir.join(topic);
            self.log.storage().remove_dir(&dir).map_err(StoreError::io(&dir))?;
        }
        Ok(())
    }

    /// Replaces a file of `config/`, durable, its previous content kept as `.bak`. Waits for the
    /// disk; see [`Store::submit_json`] for a way that does not.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_json(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let _one = self.config_files.lock().unwrap_or_else(PoisonError::into_inner);
        json_file::write(self.log.storage(), &self.config_path(name), bytes)
    }

    /// Reads a file of `config/`, or its `.bak` when it is absent or empty.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_json(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_json_with(name, |bytes| Some(bytes.to_vec()))
    }

    /// Reads and parses a file of `config/`, or its `.bak` when it is absent, empty or does not parse.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when neither parses.
    pub fn read_json_with<T>(
        &self,
        name: &str,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        json_file::read(self.log.storage(), &self.config_path(name), parse)
    }

    pub(super) fn config_path(&self, name: &str) -> PathBuf {
        self.config.root.join("config").join(name)
    }

    /// Figures for the console and for request 28.
    pub fn stats(&self) -> StoreStats {
        let space = self.upkeep.space();
        let positions = self.positions();
        StoreStats {
            disk_free: space.available,
            disk_used_percent: space.used_percent(),
            disk_total: space.used.saturating_add(space.available),
            refusing: self.refusing.load(Ordering::Relaxed),
            stopped: self.stopped.get().is_some(),
            damaged: self.recovery.damaged.clone(),
            log_dir: self.log.dir.clone(),
            queue_dir: self.queues.io.dir.clone(),
            writing_ms: match self.writing_since_ns.load(Ordering::Relaxed) {
                0 => 0,
                since => self.clock.monotonic_ns().saturating_sub(since) / 1_000_000,
            },
            unflushed_bytes: positions.written.0.saturating_sub(positions.flushed.0),
            tail_bytes: self.queues.io.tail_bytes.load(Ordering::Relaxed),
            index_lag_bytes: self
                .index
                .as_ref()
                .map_or(0, |index| positions.visible.0.saturating_sub(index.indexed())),
            queues_durable: self.upkeep.queues_durable(),
        }
    }

    /// Tells the threads of the store to end: their next turn answers false. [`Store::close`] comes
    /// after they have.
    pub fn end_threads(&self) {
        self.ending.store(true, Ordering::Release);
        for bell in [&self.flush_bell, &self.disk_bell, &self.index_bell] {
            bell.ring();
        }
    }

    /// Refuses further appends, while what is queued is still written and answered.
    pub fn refuse_appends(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Clean stop: writes and syncs everything, leaves the checkpoint and the snapshot, takes the mark
    /// of a running broker away. With anything unwritten the mark stays, and the next start recovers.
    ///
    /// # Errors
    /// What could not be written.
    pub fn close(&self) -> Result<(), StoreError> {
        self.refuse_appends();
        self.end_threads();
        while self.commit() > 0 {}
        self.flush_now()?;
        self.complete_flushed();
        self.finish_upkeep()?;
        if let Some(index) = &self.index {
            index.sync()?;
        }
        self.log.drop_spare().map_err(StoreError::io(&self.log.dir))?;
        self.write_snapshot()?;
        let root = &self.config.root;
        let storage = self.log.storage();
        let remove = || {
            storage.remove(&root.join(ABORT_FILE))?;
            storage.sync_dir(root)
        };
        remove().map_err(StoreError::io(root.join(ABORT_FILE)))
    }

    pub(super) fn flushed_mark(&self) -> Mark {
        *self.flushed_mark.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record must fit into a file together with the end marker.
fn check_sizes(config: &StoreConfig) -> Result<(), StoreError> {
    let min = config.record_max() as u64 + 8;
    if config.file_size <= min {
        let problem = format!(
            "log files of {} bytes cannot hold a message of {} bytes",
            config.file_size, config.max_message_size
        );
        return Err(StoreError::geometry(&config.root, problem));
    }
    if config.file_size > i32::MAX as u64 {
        let problem = "log files cannot be larger than 2147483647 bytes";
        return Err(StoreError::geometry(&config.root, problem));
    }
    Ok(())
}

/// What recovery hands over.
pub(super) struct Opened {
    pub log: CommitLog,
    pub queues: QueueTable,
    pub recovery: Recovery,
    pub last: Mark,
    pub abort: AbortMark,
    pub checkpoint: Checkpoint,
    /// Log offset up to which the key index is known to be complete.
    pub indexed: Option<u64>,
}

/// Newest queue and time of a topic in the part of the log that a start has scanned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RecoveredTopic {
    /// Highest queue id.
    pub queue_id_max: i32,
    /// Store time of its newest record.
    pub newest_ms: i64,
}

/// Topics by name.
pub type RecoveredTopics = BTreeMap<String, RecoveredTopic>;
