//! Between sockets and the synchronous core: services, the pool of slow requests, the committer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};

use super::register::Registrar;
use super::threads::Threads;
use crate::broker::outcome::{Peer, PeerId, Relayed, Shell};
use crate::broker::serve::{self, Port};
use crate::broker::state::stat_names::CHANNEL_ACTIVITY;
use crate::broker::{Broker, handle};
use crate::clock::Clock;
pub use crate::config::CHANGED_NAMESRV_FILE as NAMES_FILE;
use crate::decide::flow;
use crate::namesrv::{self, NameServer};
use crate::net::{Connection, Event, Service};
use crate::protocol::code::Request;
use crate::protocol::frame::{Frame, Serialization};
use crate::protocol::header::{Header, Outgoing};
use crate::protocol::response_code;
use crate::store::{Arrival, ConfigDir, JsonDone, Store, StoreError};

/// File of the name server's settings.
pub const KV_FILE: &str = "kvConfig.json";
/// A group that takes longer to write than this is written off the worker from then on.
const SLOW_COMMIT: Duration = Duration::from_millis(2);
/// Fast groups in a row after which writes come back to the worker.
const FAST_COMMITS: u32 = 64;

impl Peer for Connection {
    fn id(&self) -> PeerId {
        self.id.0
    }

    fn remote(&self) -> SocketAddr {
        self.remote
    }

    fn send(&self, frame: &Outgoing, kind: Serialization) {
        Self::send(self, frame, kind);
    }

    fn answered(&self, header: &Header<'_>, frame: &Frame) {
        Self::answered(self, header, frame);
    }

    fn call(
        self: Arc<Self>,
        request: Outgoing,
        wait_ms: u64,
        done: Box<dyn FnOnce(Option<Relayed>) + Send>,
    ) {
        // Handlers run on workers or on the pool, both inside the runtime.
        Handle::current().spawn(async move {
            let answer = Self::call(&self, request, Duration::from_millis(wait_ms)).await;
            done(answer.ok().and_then(|frame| relayed(&frame)));
        });
    }

    fn close(&self) {
        Self::close(self);
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }
}

fn relayed(frame: &Frame) -> Option<Relayed> {
    let header = frame.decode().ok()?;
    let remark = header.remark.map(std::borrow::Cow::into_owned);
    Some(Relayed { code: header.code, remark, body: frame.body.clone() })
}

/// The bounded pool of slow requests (architecture.md §6).
pub struct Pool {
    handle: Handle,
    running: Arc<Semaphore>,
    taken: Arc<AtomicUsize>,
}

impl Pool {
    /// A pool on the blocking threads of the runtime.
    pub fn new(handle: Handle) -> Self {
        let running = Arc::new(Semaphore::new(flow::SLOW_RUNNING_MAX));
        Self { handle, running, taken: Arc::default() }
    }
}

impl Shell for Pool {
    fn slow(&self, job: Box<dyn FnOnce() + Send>) -> bool {
        let waiting = self.taken.load(Ordering::Relaxed).saturating_sub(flow::SLOW_RUNNING_MAX);
        if flow::slow(waiting).is_err() {
            return false;
        }
        self.taken.fetch_add(1, Ordering::Relaxed);
        let (running, taken) = (Arc::clone(&self.running), Arc::clone(&self.taken));
        let handle = self.handle.clone();
        self.handle.spawn(async move {
            // The semaphore is never closed.
            let _permit = running.acquire().await;
            if let Err(error) = handle.spawn_blocking(job).await {
                tracing::error!(%error, "a slow request failed");
            }
            taken.fetch_sub(1, Ordering::Relaxed);
        });
        true
    }
}

/// A broker behind one of its ports.
pub struct BrokerService {
    broker: Arc<Broker>,
    shell: Arc<dyn Shell>,
    port: Port,
}

impl BrokerService {
    /// The service of one port.
    pub fn new(broker: Arc<Broker>, pool: Arc<Pool>, port: Port) -> Self {
        Self { broker, shell: pool, port }
    }
}

impl Service for BrokerService {
    fn batch(&self, conn: &Arc<Connection>, frames: &[Frame]) {
        let peer: Arc<dyn Peer> = Arc::<Connection>::clone(conn);
        serve::batch(&self.broker, &self.shell, &peer, self.port, frames);
    }

    fn closed(&self, conn: &Arc<Connection>) {
        handle::heartbeat::peer_gone(&self.broker, conn.id.0);
    }

    fn noted(&self, event: Event) {
        self.broker.stats.add(CHANNEL_ACTIVITY, event.name(), 1);
    }
}

/// Where a name server's files go.
pub enum NameFiles {
    /// Beside a broker's.
    Store(Arc<Store>),
    /// In a directory of its own.
    Alone(ConfigDir),
}

impl NameFiles {
    /// Replaces a file and tells how it went: on the broker's disk thread, or here with the other
    /// connections moved to another worker.
    fn submit(&self, name: &str, bytes: Vec<u8>, done: JsonDone) {
        match self {
            Self::Store(store) => store.submit_json(name, bytes, done),
            Self::Alone(dir) => {
                done(tokio::task::block_in_place(|| dir.write_json(name, &bytes)));
            }
        }
    }

    /// Reads a file; none when there is none.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Store(store) => store.read_json(name),
            Self::Alone(dir) => dir.read_json(name),
        }
    }
}

/// The name server behind its port.
pub struct NamesrvService {
    names: Arc<NameServer>,
    files: NameFiles,
    clock: Arc<dyn Clock>,
}

impl NamesrvService {
    /// The service of the name server's port.
    pub fn new(names: Arc<NameServer>, files: NameFiles, clock: Arc<dyn Clock>) -> Self {
        Self { names, files, clock }
    }

    fn one(&self, conn: &Arc<Connection>, frame: &Frame, header: &Header<'_>, now_ms: i64) {
        let (reply, file) = match Request::decode(header.code, &header.ext) {
            None => {
                let refusal = serve::unsupported(header.code);
                let mut reply = Outgoing::response(refusal.code, header.opaque);
                reply.remark = refusal.remark;
                (reply, None)
            }
            Some(Err(error)) => {
                let mut reply = Outgoing::response(response_code::SYSTEM_ERROR, header.opaque);
                reply.remark = Some(error.to_string().into());
                (reply, None)
            }
            Some(Ok(request)) => self.call(conn, frame, header, &request, now_ms),
        };
        let (conn, kind) = (Arc::clone(conn), frame.serialization);
        let (opaque, oneway) = (header.opaque, header.is_oneway());
        let send = move |mut reply: Outgoing| {
            if !oneway {
                reply.opaque = opaque;
                conn.send(&reply, kind);
            }
        };
        match file {
            None => send(reply),
            // On the disk first, and never by a worker that serves sockets.
            Some((name, content)) => {
                let done = Box::new(move |written: Result<(), StoreError>| {
                    send(match written {
                        Ok(()) => reply,
                        Err(error) => unwritten(&error),
                    });
                });
                self.files.submit(name, content, done);
            }
        }
    }

    /// The answer, and what has to be on the disk before it is given.
    fn call(
        &self,
        conn: &Connection,
        frame: &Frame,
        header: &Header<'_>,
        request: &Request<'_>,
        now_ms: i64,
    ) -> (Outgoing, Option<(&'static str, Vec<u8>)>) {
        let call = namesrv::Call {
            conn: conn.id.0,
            version: header.version,
            opaque: header.opaque,
            request,
            body: &frame.body,
        };
        let answer = self.names.handle(call, now_ms);
        let kv = answer.persist.then(|| (KV_FILE, self.names.kv_json()));
        let file = kv.or(answer.settings_file.map(|file| (NAMES_FILE, file)));
        (answer.reply, file)
    }
}

fn unwritten(error: &StoreError) -> Outgoing {
    let mut reply = Outgoing::response(response_code::SYSTEM_ERROR, 0);
    reply.remark = Some(format!("the setting holds until the next start only: {error}").into());
    reply
}

impl Service for NamesrvService {
    fn batch(&self, conn: &Arc<Connection>, frames: &[Frame]) {
        let now_ms = self.clock.wall_ms();
        for frame in frames {
            match frame.decode() {
                Ok(header) if header.is_response() => conn.answered(&header, frame),
                Ok(header) => self.one(conn, frame, &header, now_ms),
                Err(error) => {
                    tracing::warn!(remote = %conn.remote, %error, "connection closed: unreadable header");
                    conn.close();
                    return;
                }
            }
        }
    }

    fn closed(&self, conn: &Arc<Connection>) {
        for addr in self.names.connection_closed(conn.id.0) {
            tracing::info!(broker = addr, "broker gone from the route: its connection closed");
        }
    }
}

/// Writes what has gathered whenever something has: yields once first, so that every connection that
/// is ready in this round adds its records (architecture.md §6).
pub async fn committer(store: Arc<Store>) {
    let wake = Arc::new(Notify::new());
    let waker = Arc::clone(&wake);
    store.on_append_queued(Box::new(move || waker.notify_one()));
    let mut fast_in_a_row = FAST_COMMITS;
    loop {
        wake.notified().await;
        tokio::task::yield_now().await;
        loop {
            let start = tokio::time::Instant::now();
            let throttled = fast_in_a_row < FAST_COMMITS;
            let committed = if throttled {
                tokio::task::block_in_place(|| commit(&store))
            } else {
                commit(&store)
            };
            fast_in_a_row =
                if start.elapsed() > SLOW_COMMIT { 0 } else { fast_in_a_row.saturating_add(1) };
            if committed == 0 {
                break;
            }
        }
    }
}

/// One group. A panic in somebody's answer must not end the task: sends would wait for ever while the
/// process looks healthy.
fn commit(store: &Store) -> usize {
    let group = std::panic::AssertUnwindSafe(|| store.commit());
    std::panic::catch_unwind(group).unwrap_or_else(|_| {
        tracing::error!("answering an append panicked; the others go on");
        1
    })
}

/// Connects what happens in the store and the broker with who has to know.
pub fn wire(
    broker: &Arc<Broker>,
    store: &Arc<Store>,
    registrar: &Arc<Registrar>,
    threads: &Threads,
) {
    tell_readers(broker, store);
    let registrar = Arc::clone(registrar);
    broker.on_topics_changed(move || registrar.changed());
    let bell = threads.tables_bell();
    broker.persist.on_change(move || bell.ring());
}

/// Answers parked reads when something arrives for them.
pub fn tell_readers(broker: &Arc<Broker>, store: &Store) {
    let woken = Arc::downgrade(broker);
    store.on_arrival(Box::new(move |arrivals: &[Arrival]| {
        if let Some(broker) = woken.upgrade() {
            handle::pull::arrived(&broker, arrivals);
            handle::pop::arrived(&broker, arrivals);
        }
    }));
}
