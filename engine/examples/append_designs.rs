//! A broker whose appends are committed in one of several ways, to be driven by `mqdeck bench produce`.
//!
//! `append_designs DIR DESIGN PORT [SLOW_EVERY]`, with DESIGN = `echo` (nothing is stored), `lock` (whoever
//! read the frames commits), `thread` (a thread with a queue) or `task` (the committer task that the
//! engine has). Every SLOW_EVERYth write of the log takes 40 ms. Decision: docs/decisions/0001.
//! Built with `--features sim`.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::broker::Broker;
use engine::broker::broker::Parts;
use engine::broker::outcome::{Peer, Shell};
use engine::broker::serve::{self, Port};
use engine::broker::state::groups::Groups;
use engine::broker::state::topics::{Topics, plain};
use engine::clock::{Clock, SystemClock};
use engine::config::BrokerConfig;
use engine::decide::delay::Levels;
use engine::net::listener::{self, Admission};
use engine::net::{Connection, Limits, Service};
use engine::protocol::body::group_config::SubscriptionGroupWrapper;
use engine::protocol::body::topic_config::TopicConfigSerializeWrapper;
use engine::protocol::frame::Frame;
use engine::protocol::header::Outgoing;
use engine::protocol::ids::UniqueKeys;
use engine::store::{
    Bell, Disk, Entry, File, Mapping, OpenMode, Space, Storage, Store, StoreConfig,
};

/// How long an injected write takes.
const SLOW: Duration = Duration::from_millis(40);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Design {
    Echo,
    Lock,
    Thread,
    Task,
}

/// A disk on which every nth write of the commit log is slow.
struct SlowDisk {
    every: u64,
    writes: Arc<AtomicU64>,
}

struct SlowFile {
    inner: Arc<dyn File>,
    every: u64,
    writes: Arc<AtomicU64>,
}

impl Storage for SlowDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let inner = Disk.open(path, mode)?;
        let is_log = path.parent().is_some_and(|dir| dir.ends_with("commitlog"));
        if !is_log || self.every == 0 {
            return Ok(inner);
        }
        Ok(Arc::new(SlowFile { inner, every: self.every, writes: Arc::clone(&self.writes) }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        Disk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        Disk.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        Disk.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        Disk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn std::any::Any + Send + Sync>>> {
        Disk.lock(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        Disk.space(path)
    }
}

impl File for SlowFile {
    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        if self.writes.fetch_add(1, Ordering::Relaxed) % self.every == self.every - 1 {
            std::thread::sleep(SLOW);
        }
        self.inner.write_at(buffers, offset)
    }

    fn read_at(&self, buffer: &mut Vec<u8>, len: usize, offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, len, offset)
    }

    fn read_now(&self, buffer: &mut Vec<u8>, len: usize, offset: u64) -> io::Result<usize> {
        self.inner.read_now(buffer, len, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        self.inner.zero(offset, len)
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        self.inner.reserve(offset, len)
    }

    fn map(&self, len: u64) -> io::Result<Box<dyn Mapping>> {
        self.inner.map(len)
    }
}

/// No slow requests are sent by the load.
struct NoPool;

impl Shell for NoPool {
    fn slow(&self, _: Box<dyn FnOnce() + Send>) -> bool {
        false
    }
}

struct Server {
    broker: Arc<Broker>,
    store: Arc<Store>,
    shell: Arc<dyn Shell>,
    design: Design,
}

impl Service for Server {
    fn batch(&self, conn: &Arc<Connection>, frames: &[Frame]) {
        if self.design == Design::Echo {
            for frame in frames {
                let opaque = frame.decode().map_or(0, |header| header.opaque);
                conn.send(&Outgoing::response(0, opaque), frame.serialization);
            }
            return;
        }
        let peer: Arc<dyn Peer> = Arc::<Connection>::clone(conn);
        serve::batch(&self.broker, &self.shell, &peer, Port::Main, frames);
        if self.design == Design::Lock {
            self.store.commit();
        }
    }

    fn closed(&self, _: &Arc<Connection>) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, dir, design, port, rest @ ..] = &args[..] else {
        return Err("append_designs DIR echo|lock|thread|task PORT [SLOW_EVERY]".into());
    };
    let design = match design.as_str() {
        "echo" => Design::Echo,
        "lock" => Design::Lock,
        "thread" => Design::Thread,
        "task" => Design::Task,
        other => return Err(format!("no design {other}").into()),
    };
    let every = rest.first().map_or(Ok(0), |text| text.parse())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let disk = Arc::new(SlowDisk { every, writes: Arc::default() });
    let config = StoreConfig { root: dir.into(), ..StoreConfig::default() };
    let store = Arc::new(Store::open(disk, config, Arc::clone(&clock))?);
    let addr = format!("127.0.0.1:{port}").parse()?;
    let topics = Topics::new(&BrokerConfig::default(), TopicConfigSerializeWrapper::default());
    topics.put(plain("bench", 4, 6), 1);
    let broker = Arc::new(Broker::new(Parts {
        config: BrokerConfig::default(),
        store: Arc::clone(&store),
        clock,
        addr,
        is_local: true,
        levels: Levels::default(),
        memory_window: 1 << 30,
        unique_keys: UniqueKeys::new([127, 0, 0, 1].into(), 1, 1, 0),
        topics,
        groups: Groups::new(SubscriptionGroupWrapper::default()),
    }));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    match design {
        Design::Task => drop(runtime.spawn(engine::engine::committer(Arc::clone(&store)))),
        Design::Thread => start_thread(&store),
        Design::Echo | Design::Lock => {}
    }
    start_upkeep(&store);
    let limits = Limits::CLIENT;
    let server = Arc::new(Server { broker, store, shell: Arc::new(NoPool), design });
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    runtime.block_on(async {
        let socket = listener::bind(addr)?;
        listener::run(
            socket,
            server,
            stopped,
            Admission { slots: Arc::new(tokio::sync::Semaphore::new(10_000)), limits, tls: None },
        )
        .await;
        Ok(())
    })
}

fn start_thread(store: &Arc<Store>) {
    let bell = Arc::new(Bell::default());
    let ring = Arc::clone(&bell);
    store.on_append_queued(Box::new(move || ring.ring()));
    let store = Arc::clone(store);
    let run = move || {
        loop {
            bell.wait(Duration::from_secs(1));
            while store.commit() > 0 {}
        }
    };
    std::thread::Builder::new().spawn(run).expect("a thread can be started");
}

/// The threads that every design has: they are part of the cost.
fn start_upkeep(store: &Arc<Store>) {
    let own = Arc::clone(store);
    let flush = move || while own.flush_turn(Duration::from_millis(500)) {};
    std::thread::Builder::new().spawn(flush).expect("a thread can be started");
    let own = Arc::clone(store);
    let disk = move || while own.disk_turn(Duration::from_millis(250)) {};
    std::thread::Builder::new().spawn(disk).expect("a thread can be started");
    let own = Arc::clone(store);
    let index = move || while own.index_turn(Duration::from_secs(1)) {};
    std::thread::Builder::new().spawn(index).expect("a thread can be started");
}
