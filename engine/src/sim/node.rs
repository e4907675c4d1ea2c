//! One process: a broker over a store, with its threads as turns that the world gives.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::checker::{GROUP, Place};
use super::network::{Line, Wire};
use crate::broker::outcome::{Peer, Shell};
use crate::broker::serve::{self, Port};
use crate::broker::task::{Tasks, persist};
use crate::broker::{Broker, handle};
use crate::clock::Clock;
use crate::config::{BrokerConfig, EngineConfig, FlushDiskType, NamesrvConfig};
use crate::decide::delay::Levels;
use crate::engine::{self, EngineError};
use crate::protocol::body::offsets::{ConsumerOffsets, DelayOffsets};
use crate::protocol::frame::Frame;
use crate::protocol::{json_dialect, names};
use crate::store::test_storage::TestStorage;
use crate::store::{FlushMode, Store};

/// Data directory of every run.
pub const ROOT: &str = "/sim";
/// Delays of the levels: short, so that chains of retries end within a run.
pub const LEVELS: &str = "1s 2s 1s 2s 3s 4s 5s 6s 7s 8s 9s 10s 11s 12s 13s 14s 15s 16s";
/// Bytes that count as in memory.
const MEMORY: u64 = 1 << 30;
const MS_PER_DAY: i64 = 86_400_000;

/// Which thread gets a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// The committer.
    Commit,
    /// The flush thread.
    Flush,
    /// The disk thread.
    Disk,
    /// The index thread.
    Index,
    /// The tasks thread.
    Tasks,
    /// The thread that writes tables.
    Tables,
}

/// A running broker.
pub struct Node {
    /// Its data directory.
    pub store: Arc<Store>,
    /// The broker.
    pub broker: Arc<Broker>,
    /// What it left behind.
    pub wire: Arc<Wire>,
    tasks: Tasks,
    in_tasks: Arc<AtomicBool>,
}

/// The configuration of every run.
pub fn config(sync_flush: bool) -> EngineConfig {
    let flush = if sync_flush { FlushDiskType::SyncFlush } else { FlushDiskType::AsyncFlush };
    let broker = BrokerConfig {
        flush_disk_type: flush,
        message_delay_level: LEVELS.to_owned(),
        max_message_size: 4096,
        mapped_file_size_commit_log: 1 << 17,
        mapped_file_size_consume_queue: 20 * 64,
        max_hash_slot_num: 64,
        max_index_num: 512,
        flush_consumer_offset_interval: 1_000,
        flush_delay_offset_interval: 1_000,
        disk_free_min: 1 << 20,
        ..BrokerConfig::default()
    };
    EngineConfig {
        data_dir: PathBuf::from(ROOT),
        listen: Ipv4Addr::LOCALHOST.into(),
        advertise: Ipv4Addr::LOCALHOST.into(),
        broker,
        namesrv: NamesrvConfig::default(),
        tls: None,
        net_threads: None,
    }
}

impl Node {
    /// Starts on what the disk holds.
    pub fn start(
        disk: &TestStorage,
        config: &EngineConfig,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, EngineError> {
        let levels = Levels::parse(&config.broker.message_delay_level)?;
        let store_config = engine::store_config(config, &levels);
        let store = Arc::new(Store::open(Arc::new(disk.clone()), store_config, Arc::clone(clock))?);
        let port = config.broker.listen_port;
        let broker = engine::broker(config, levels, &store, clock, port, MEMORY)?;
        let wire = Arc::new(Wire::default());
        let in_tasks = Arc::new(AtomicBool::new(false));
        wake(&store, &wire, &in_tasks);
        engine::tell_readers(&broker, &store);
        broker.set_shell(Arc::<Wire>::clone(&wire));
        let tables = Arc::clone(&wire);
        broker.persist.on_change(move || tables.want_tables());
        Ok(Self { store, broker, wire, tasks: Tasks::default(), in_tasks })
    }

    /// Handles frames that arrived together.
    pub fn receive(&self, line: &Arc<Line>, frames: &[Frame]) {
        let shell: Arc<dyn Shell> = Arc::<Wire>::clone(&self.wire);
        let peer: Arc<dyn Peer> = Arc::<Line>::clone(line);
        serve::batch(&self.broker, &shell, &peer, Port::Main, frames);
    }

    /// A connection is gone.
    pub fn gone(&self, line: &Line) {
        line.close();
        handle::heartbeat::peer_gone(&self.broker, line.id());
    }

    /// Lets one thread do what it has to do.
    pub fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Commit => while self.store.commit() > 0 {},
            Turn::Flush => drop(self.store.flush_turn(Duration::ZERO)),
            Turn::Disk => drop(self.store.disk_turn(Duration::ZERO)),
            Turn::Index => drop(self.store.index_turn(Duration::ZERO)),
            Turn::Tasks => {
                self.in_tasks.store(true, Ordering::Relaxed);
                self.tasks.run(&self.broker, |now_ms| now_ms.div_euclid(MS_PER_DAY));
                self.in_tasks.store(false, Ordering::Relaxed);
            }
            Turn::Tables => {
                if persist::tables(&self.broker).is_err() {
                    self.wire.want_tables();
                }
            }
        }
    }

    /// A clean stop. The connections are gone after it.
    pub fn stop(mut self) -> Result<(), EngineError> {
        self.store.refuse_appends();
        self.tasks.close(&self.broker);
        persist::all(&self.broker)?;
        Ok(self.store.close()?)
    }
}

/// Who is woken when appends are queued: the committer at its next turn. But the tasks wait for what
/// they append, so that the committer has its turn within theirs.
fn wake(store: &Arc<Store>, wire: &Arc<Wire>, in_tasks: &Arc<AtomicBool>) {
    let (own, wire, in_tasks) = (Arc::downgrade(store), Arc::clone(wire), Arc::clone(in_tasks));
    let busy = AtomicBool::new(false);
    store.on_append_queued(Box::new(move || {
        if !in_tasks.load(Ordering::Relaxed) {
            wire.want_commit();
        } else if let Some(store) = own.upgrade()
            && !busy.swap(true, Ordering::Relaxed)
        {
            settle(&store);
            busy.store(false, Ordering::Relaxed);
        }
    }));
}

fn settle(store: &Store) {
    loop {
        let mut written = store.commit();
        if store.config().flush == FlushMode::Sync {
            store.flush_turn(Duration::ZERO);
            written += store.commit();
        }
        if written == 0 {
            return;
        }
    }
}

/// What a file of committed offsets says of the group.
pub fn committed_in(bytes: &[u8]) -> Vec<(Place, i64)> {
    let Ok(file) = json_dialect::from_slice::<ConsumerOffsets>(bytes) else { return Vec::new() };
    let mut offsets = Vec::new();
    for (key, queues) in file.offset_table {
        let Some((topic, group)) = key.rsplit_once('@') else { continue };
        if group == GROUP {
            offsets.extend(queues.into_iter().map(|(q, offset)| ((topic.to_owned(), q), offset)));
        }
    }
    offsets
}

/// What a file of delay offsets says of the levels' queues.
pub fn delivered_in(bytes: &[u8]) -> Vec<(Place, i64)> {
    let Ok(file) = json_dialect::from_slice::<DelayOffsets>(bytes) else { return Vec::new() };
    let place = |level: i32| (names::SCHEDULE_TOPIC.to_owned(), level - 1);
    file.offset_table.into_iter().map(|(level, offset)| (place(level), offset)).collect()
}
