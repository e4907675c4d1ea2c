//! Starts and stops a name server and a broker in one process; owns every thread and task.
//!
//! Order of start: ports, data directory, state, threads, sockets, registration. Order of stop:
//! architecture.md §5 (Stop). Threads: architecture.md §6.

mod alone;
mod register;
mod shell;
mod threads;
mod tls_reload;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::broker::broker::Parts;
use crate::broker::serve::Port;
use crate::broker::state::groups::Groups;
use crate::broker::state::settings;
use crate::broker::state::topics::{self, Topics};
use crate::broker::{Broker, task};
use crate::clock::{Clock, SystemClock};
use crate::config::{EngineConfig, Mode, NamesrvConfig};
use crate::decide::delay::{Levels, LevelsError};
use crate::decide::{expiry, flow};
use crate::namesrv::{NameServer, Settings};
use crate::net::listener::{self, Admission};
use crate::net::tls_error::TlsError;
use crate::net::{Limits, tls};
use crate::protocol::ids::UniqueKeys;
use crate::store::{Disk, Store, StoreConfig, StoreError};

pub use alone::NameServerAlone;
use register::Registrar;
#[cfg(feature = "sim")]
pub use shell::committer;
#[cfg(feature = "sim")]
pub(crate) use shell::tell_readers;
use shell::{BrokerService, NameFiles, NamesrvService, Pool};
use threads::Threads;

/// Attempts to find a free port whose neighbour two below is free too.
const PORT_ATTEMPTS: usize = 64;
/// Blocking threads: slow requests and whoever leaves a worker for a slow write.
const BLOCKING_THREADS: usize = 16;
/// How long the tasks of the network may take to end.
const NET_STOP: Duration = Duration::from_millis(200);
/// How long a start waits for the broker to be in the route.
const REGISTER_WAIT: Duration = Duration::from_secs(5);
/// Descriptors kept for log, index and state files.
const FILES_KEPT: u64 = 256;

/// Why an engine does not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// An address cannot be listened on.
    #[error("cannot listen on {addr} for the {what}: {source}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What wanted it.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The delay table is malformed.
    #[error("messageDelayLevel: {0}")]
    Levels(#[from] LevelsError),
    /// Certificates or keys.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// The data directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No runtime or thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The broker did not get into the route.
    #[error("the broker could not register at its name server within {} s", REGISTER_WAIT.as_secs())]
    NotRegistered,
}

impl EngineError {
    /// Whether the user can mend it by other settings: exit code 2.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Thread(_) | Self::NotRegistered)
    }
}

/// A running name server and broker.
pub struct Engine {
    broker: Arc<Broker>,
    store: Arc<Store>,
    namesrv_addr: SocketAddr,
    broker_addr: SocketAddr,
    to_itself: Option<tls::Client>,
    data_dir: PathBuf,
    stop_tx: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    registrar: Arc<Registrar>,
    threads: Threads,
    runtime: Runtime,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("broker", &self.broker_addr).finish_non_exhaustive()
    }
}

/// The ports and what protects them.
struct Sockets {
    listeners: Listeners,
    tls: Option<Arc<tls::Server>>,
}

struct Listeners {
    namesrv: TcpListener,
    main: TcpListener,
    fast: TcpListener,
}

impl Engine {
    /// Starts everything; returns once name server and broker accept requests and the route is there.
    ///
    /// # Errors
    /// [`EngineError`]; nothing of the data directory was changed when a port was taken or the
    /// directory did not fit.
    pub fn start(config: EngineConfig) -> Result<Self, EngineError> {
        let levels = Levels::parse(&config.broker.message_delay_level)?;
        let tls = config.tls.clone().map(tls::Server::load).transpose()?;
        let runtime = runtime(&config).map_err(EngineError::Thread)?;
        let listeners = {
            let _inside = runtime.enter();
            bind(&config)?
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let store_config = store_config(&config, &levels);
        let store = Arc::new(Store::open(Arc::new(Disk), store_config, Arc::clone(&clock))?);
        let port = local_port(&listeners.main);
        let broker = broker(&config, levels, &store, &clock, port, memory_bytes())?;
        Self::run(config, runtime, Sockets { listeners, tls }, broker, store, clock)
    }

    fn run(
        config: EngineConfig,
        runtime: Runtime,
        Sockets { listeners, tls }: Sockets,
        broker: Arc<Broker>,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EngineError> {
        let (stop_tx, stop) = watch::channel(false);
        let namesrv_port = local_port(&listeners.namesrv);
        let namesrv_addr = SocketAddr::new(config.advertise, namesrv_port);
        let files = NameFiles::Store(Arc::clone(&store));
        let names = name_server(&config.namesrv, &files, namesrv_port, clock.wall_ms())?;
        let handle = runtime.handle().clone();
        let pool: Arc<Pool> = Arc::new(Pool::new(handle.clone()));
        let mut tasks = vec![handle.spawn(shell::committer(Arc::clone(&store)))];
        let reach = SocketAddr::new(reachable(config.listen), namesrv_port);
        let to_itself = to_itself(tls.as_ref())?;
        let registrar = Registrar::new(Arc::clone(&broker), vec![reach], to_itself.clone());
        tasks.push(handle.spawn(register::run(
            Arc::clone(&registrar),
            handle.clone(),
            stop.clone(),
        )));
        let threads = Threads::start(&broker, &store, &names).map_err(EngineError::Thread)?;
        shell::wire(&broker, &store, &registrar, &threads);
        broker.set_shell(Arc::<Pool>::clone(&pool));
        if let Some(tls) = &tls {
            tasks.push(handle.spawn(tls_reload::run(Arc::clone(tls), stop.clone())));
        }
        let admission = Admission { tls, ..admission() };
        let names_service = Arc::new(NamesrvService::new(names, files, clock));
        tasks.push(handle.spawn(listener::run(
            listeners.namesrv,
            names_service,
            stop.clone(),
            admission.clone(),
        )));
        for (socket, port) in [(listeners.main, Port::Main), (listeners.fast, Port::Fast)] {
            let service =
                Arc::new(BrokerService::new(Arc::clone(&broker), Arc::clone(&pool), port));
            tasks.push(handle.spawn(listener::run(
                socket,
                service,
                stop.clone(),
                admission.clone(),
            )));
        }
        let broker_addr = broker.addr;
        let engine = Self {
            broker,
            store,
            namesrv_addr,
            broker_addr,
            to_itself,
            data_dir: config.data_dir,
            stop_tx,
            tasks,
            registrar,
            threads,
            runtime,
        };
        let registered = engine.registrar.registered();
        let in_route = engine
            .runtime
            .block_on(async { tokio::time::timeout(REGISTER_WAIT, registered).await });
        if in_route.is_err() {
            engine.stop()?;
            return Err(EngineError::NotRegistered);
        }
        tracing::info!(namesrv = %namesrv_addr, broker = %broker_addr, "engine started");
        Ok(engine)
    }

    /// Where the name server is reached.
    pub fn namesrv_addr(&self) -> SocketAddr {
        self.namesrv_addr
    }

    /// Where the broker is reached.
    pub fn broker_addr(&self) -> SocketAddr {
        self.broker_addr
    }

    /// How this process reaches its own ports where they are closed to plain connections.
    pub fn tls(&self) -> Option<tls::Client> {
        self.to_itself.clone()
    }

    /// The data directory.
    pub fn data_dir(&self) -> &std::path::Path {
        &self.data_dir
    }

    /// Number of clients that are connected with a group.
    pub fn client_count(&self) -> usize {
        self.broker.client_count()
    }

    /// Stops cleanly: unregister, close connections, write everything, remove the mark of a running
    /// broker.
    ///
    /// # Errors
    /// What could not be written; the next start recovers then.
    pub fn stop(self) -> Result<(), EngineError> {
        let Self { broker, store, stop_tx, tasks, registrar, threads, runtime, .. } = self;
        runtime.block_on(registrar.unregister());
        task::transaction_check::close(&broker);
        store.refuse_appends();
        // Nobody listens any more only when every task has ended already.
        let _ = stop_tx.send(true);
        store.end_threads();
        threads.end();
        let written = task::persist::all(&broker);
        let closed = store.close();
        for task in &tasks {
            task.abort();
        }
        runtime.shutdown_timeout(NET_STOP);
        written?;
        closed?;
        tracing::info!("engine stopped");
        Ok(())
    }
}

/// Where plain connections are closed, this process needs TLS towards itself too.
fn to_itself(tls: Option<&Arc<tls::Server>>) -> Result<Option<tls::Client>, EngineError> {
    let enforcing = tls.filter(|tls| tls.files().mode == Mode::Enforcing);
    Ok(enforcing.map(tls::Server::to_itself).transpose()?)
}

fn runtime(config: &EngineConfig) -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.net_threads.unwrap_or(cores / 2).max(1))
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("net")
        .enable_all()
        .build()
}

fn bind(config: &EngineConfig) -> Result<Listeners, EngineError> {
    let at = |port: u16, what: &'static str| {
        let addr = SocketAddr::new(config.listen, port);
        listener::bind(addr).map_err(|source| EngineError::Bind { addr, what, source })
    };
    let namesrv = at(config.namesrv.listen_port, "name server")?;
    let port = config.broker.listen_port;
    if port != 0 {
        let fast =
            port.checked_sub(2).filter(|fast| *fast > 0).ok_or_else(|| too_low(config, port))?;
        let (main, fast) = (at(port, "broker")?, at(fast, "broker's fast port")?);
        return Ok(Listeners { namesrv, main, fast });
    }
    let mut last = None;
    for _ in 0..PORT_ATTEMPTS {
        let main = at(0, "broker")?;
        let Some(below) = local_port(&main).checked_sub(2).filter(|below| *below > 0) else {
            continue;
        };
        match at(below, "broker's fast port") {
            Ok(fast) => return Ok(Listeners { namesrv, main, fast }),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| too_low(config, 0)))
}

fn too_low(config: &EngineConfig, port: u16) -> EngineError {
    EngineError::Bind {
        addr: SocketAddr::new(config.listen, port),
        what: "broker",
        source: std::io::Error::other("the fast port is two below, so the port must be 3 or more"),
    }
}

fn local_port(listener: &TcpListener) -> u16 {
    listener.local_addr().map_or(0, |addr| addr.port())
}

/// Where a listener on this address is reached from the same machine.
fn reachable(listen: IpAddr) -> IpAddr {
    match listen {
        IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

/// What of the configuration is the store's.
pub(crate) fn store_config(config: &EngineConfig, levels: &Levels) -> StoreConfig {
    let broker = &config.broker;
    let habits = settings::habits(broker);
    StoreConfig {
        root: config.data_dir.clone(),
        file_size: broker.mapped_file_size_commit_log,
        queue_file_size: broker.mapped_file_size_consume_queue,
        index_slots: broker.max_hash_slot_num,
        index_units: broker.max_index_num,
        index_enabled: broker.message_index_enable,
        max_message_size: habits.max_message_size,
        flush: settings::flush_mode(broker),
        flush_interval_ms: habits.flush_interval_ms,
        sync_flush_timeout_ms: habits.sync_flush_timeout_ms,
        delay_levels_ms: (1..=levels.level_max()).map(|level| levels.wait_ms(level)).collect(),
        cluster: broker.broker_cluster_name.clone(),
        broker_name: broker.broker_name.clone(),
        file_reserved_ms: habits.file_reserved_ms,
        delete_hours: habits.delete_hours,
        disk_free_min: habits.disk_free_min,
        disk_ratios: habits.disk_ratios,
        ..StoreConfig::default()
    }
}

/// A broker over an open store, with everything that it remembers of earlier runs. `memory` is what
/// this process may use, in bytes.
pub(crate) fn broker(
    config: &EngineConfig,
    levels: Levels,
    store: &Arc<Store>,
    clock: &Arc<dyn Clock>,
    port: u16,
    memory: u64,
) -> Result<Arc<Broker>, EngineError> {
    let (stored_topics, stored_groups) = task::persist::load_tables(store)?;
    let table_ms = stored_topics.data_version.timestamp;
    let topics = Topics::new(&config.broker, stored_topics);
    let remade = remake_topics(&topics, store, config, table_ms, clock.wall_ms());
    let addr = SocketAddr::new(config.advertise, port);
    let broker = Arc::new(Broker::new(Parts {
        config: config.broker.clone(),
        store: Arc::clone(store),
        clock: Arc::clone(clock),
        addr,
        is_local: config.listen.is_loopback(),
        levels,
        memory_window: memory / 10 * 4,
        unique_keys: unique_keys(config.advertise, clock.as_ref()),
        topics,
        groups: Groups::new(stored_groups),
    }));
    task::persist::load_settings(&broker)?;
    task::persist::load_positions(&broker)?;
    if remade {
        broker.persist.topics_changed();
    }
    Ok(broker)
}

/// A topic whose messages survived but whose entry did not comes back: no acknowledged message lies
/// in an unknown topic. One whose newest message is older than the table was deleted.
fn remake_topics(
    topics: &Topics,
    store: &Store,
    config: &EngineConfig,
    table_ms: i64,
    now_ms: i64,
) -> bool {
    let mut remade = false;
    for (name, found) in &store.recovered().topics {
        if topics.get(name).is_some() || found.newest_ms <= table_ms {
            continue;
        }
        let queues = (found.queue_id_max + 1).max(config.broker.default_topic_queue_nums as i32);
        topics.put(topics::plain(name, queues, 6), now_ms);
        tracing::warn!(topic = %name, queues, "topic came back with its messages");
        remade = true;
    }
    remade
}

fn name_server(
    config: &NamesrvConfig,
    files: &NameFiles,
    port: u16,
    now_ms: i64,
) -> Result<Arc<NameServer>, EngineError> {
    let mut own = config.clone();
    own.listen_port = port;
    let changed = files.read(shell::NAMES_FILE)?.unwrap_or_default();
    let names = NameServer::new(Settings::default(), now_ms);
    names.configure(own, &changed);
    if let Some(json) = files.read(shell::KV_FILE)?
        && let Err(error) = names.load_kv(&json)
    {
        tracing::warn!(%error, file = shell::KV_FILE, "settings of the name server cannot be read");
    }
    Ok(Arc::new(names))
}

fn unique_keys(ip: IpAddr, clock: &dyn Clock) -> UniqueKeys {
    let offset = chrono::Local::now().offset().local_minus_utc();
    let seed = (clock.wall_ms() as u64 ^ (clock.wall_ms() as u64 >> 32)) as u32;
    UniqueKeys::new(ip, std::process::id(), seed, offset)
}

/// Memory that this process may use: the limit of its control group, else the machine's.
fn memory_bytes() -> u64 {
    let machine = rustix::system::sysinfo();
    let machine = machine.totalram as u64 * u64::from(machine.mem_unit);
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    limit.and_then(|text| text.trim().parse().ok()).map_or(machine, |limit: u64| limit.min(machine))
}

/// Raises the limit of open files and gives three quarters of it to connections.
/// What all listeners of the process admit together.
fn admission() -> Admission {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20).min(1 << 20);
    let connections =
        usize::try_from(files.saturating_sub(FILES_KEPT) / 4 * 3).unwrap_or(1).max(16);
    let limits = Limits {
        idle: Duration::from_millis(expiry::IDLE_MS.unsigned_abs()),
        first_frame: Duration::from_millis(flow::FIRST_FRAME_MS.unsigned_abs()),
        pending_bytes: flow::PENDING_BYTES_MAX,
    };
    Admission { slots: Arc::new(Semaphore::new(connections)), limits, tls: None }
}
