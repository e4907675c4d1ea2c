//! The threads that are not the network's: flush, disk, index, tasks, tables (architecture.md §6).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::broker::Broker;
use crate::broker::task::housekeeping::due;
use crate::broker::task::{Tasks, persist};
use crate::decide::expiry::BROKER_SCAN_MS;
use crate::namesrv::NameServer;
use crate::store::{Bell, FlushMode, Store};

/// Longest sleep of the tasks: the precision of delays and long polls.
const TASKS_TICK: Duration = Duration::from_millis(100);
/// Pause of the disk thread.
const DISK_TICK: Duration = Duration::from_millis(250);
/// Longest sleep of the index thread; it is rung when much waits for it.
const INDEX_TICK: Duration = Duration::from_millis(500);
/// Longest sleep of the flush thread under sync flush, where every append rings.
const SYNC_TICK: Duration = Duration::from_millis(100);
/// Pause before tables that could not be written are tried again.
const TABLES_RETRY: Duration = Duration::from_secs(1);

/// Running threads.
pub struct Threads {
    stop: Arc<AtomicBool>,
    tables: Arc<Bell>,
    tasks: Arc<Bell>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts all of them.
    pub fn start(
        broker: &Arc<Broker>,
        store: &Arc<Store>,
        names: &Arc<NameServer>,
    ) -> io::Result<Self> {
        let mut threads = Self {
            stop: Arc::default(),
            tables: Arc::default(),
            tasks: Arc::default(),
            handles: Vec::new(),
        };
        let own = Arc::clone(store);
        threads.spawn("flush", move || while own.flush_turn(flush_tick(&own)) {})?;
        let own = Arc::clone(store);
        threads.spawn("disk", move || while own.disk_turn(DISK_TICK) {})?;
        let own = Arc::clone(store);
        threads.spawn("index", move || while own.index_turn(INDEX_TICK) {})?;
        let (own, stop, bell) =
            (Arc::clone(broker), Arc::clone(&threads.stop), Arc::clone(&threads.tasks));
        let own_names = Arc::clone(names);
        threads.spawn("tasks", move || tasks(&own, &own_names, &stop, &bell))?;
        let (own, stop, bell) =
            (Arc::clone(broker), Arc::clone(&threads.stop), Arc::clone(&threads.tables));
        threads.spawn("tables", move || tables(&own, &stop, &bell))?;
        Ok(threads)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let handle = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        self.handles.push(handle);
        Ok(())
    }

    /// Rung when topic or group tables have to be written.
    pub fn tables_bell(&self) -> Arc<Bell> {
        Arc::clone(&self.tables)
    }

    /// Ends all threads and waits for them; those of the store were told before.
    pub fn end(self) {
        self.stop.store(true, Ordering::Release);
        self.tables.ring();
        self.tasks.ring();
        for handle in self.handles {
            if handle.join().is_err() {
                tracing::error!("a thread of the engine had panicked");
            }
        }
    }
}

/// Pause between two flushes, as it is set now.
fn flush_tick(store: &Store) -> Duration {
    match store.config().flush {
        FlushMode::Async => Duration::from_millis(store.habits().flush_interval_ms),
        FlushMode::Sync => SYNC_TICK,
    }
}

fn tasks(broker: &Arc<Broker>, names: &NameServer, stop: &AtomicBool, bell: &Bell) {
    let mut tasks = Tasks::default();
    let mut names_ms = 0;
    while !stop.load(Ordering::Acquire) {
        let next_ms = tasks.run(broker, local_day);
        let now_ms = broker.clock.wall_ms();
        if due(&mut names_ms, now_ms, BROKER_SCAN_MS) {
            for addr in names.expire(now_ms) {
                tracing::warn!(broker = addr, "broker gone from the route: silent for too long");
            }
        }
        let until_next = next_ms.map_or(i64::MAX, |next| (next - broker.clock.wall_ms()).max(0));
        bell.wait(TASKS_TICK.min(Duration::from_millis(until_next.unsigned_abs())));
    }
    tasks.close(broker);
}

fn tables(broker: &Arc<Broker>, stop: &AtomicBool, bell: &Bell) {
    while !stop.load(Ordering::Acquire) {
        bell.wait(Duration::from_secs(60));
        if let Err(error) = persist::tables(broker) {
            tracing::error!(%error, "topics and groups cannot be written; who made them waits");
            std::thread::sleep(TABLES_RETRY);
            bell.ring();
        }
    }
}

/// Number of the local day since 1970.
fn local_day(now_ms: i64) -> i64 {
    let offset_ms = i64::from(chrono::Local::now().offset().local_minus_utc()) * 1_000;
    (now_ms + offset_ms).div_euclid(86_400_000)
}
