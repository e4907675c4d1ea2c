//! One connection: reads batches of frames, writes what waits in one vectored write, calls the peer.
//!
//! The task of a connection is [`run`]; whoever holds the [`Connection`] may send at any time from any
//! thread. Bounds: architecture.md §6 (back-pressure), remoting.md §7 (idle time).

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use super::{Service, Stream};
use crate::protocol::frame::{self, Frame, FrameError, Serialization};
use crate::protocol::header::{Header, Outgoing};

/// Size of a fresh read buffer; it grows behind a valid length prefix only.
const READ_BUFFER: usize = 16 * 1024;
/// Most bytes read before frames are handled.
const READ_STEP: usize = 256 * 1024;
/// Bodies from this size on are written from where they are, smaller ones copied behind their header.
const BODY_COPY_MAX: usize = 4 * 1024;
/// Most pieces of one vectored write.
const SLICES_MAX: usize = 64;
/// Most calls that wait for one peer's answers.
const CALLS_MAX: usize = 65_536;

/// A connection's number, unique in the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ConnId(pub u64);

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Why a call to the peer has no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallError {
    /// The connection is closed.
    #[error("connection to {0} is closed")]
    Closed(SocketAddr),
    /// No answer in time.
    #[error("no answer from {addr} within {ms} ms")]
    TimeOut {
        /// The peer.
        addr: SocketAddr,
        /// How long was waited.
        ms: u64,
    },
    /// Too many calls wait already.
    #[error("too many calls wait for {0}")]
    Full(SocketAddr),
}

/// What a connection may cost. The values are those of `decide`: this module only keeps to them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Silence in both directions after which it is closed.
    pub idle: Duration,
    /// Time within which a peer that connected must send its first whole frame.
    pub first_frame: Duration,
    /// Bytes waiting to be written from which on nothing more is read.
    pub pending_bytes: usize,
}

impl Limits {
    /// Those of a connection that we opened: the peer speaks when it is asked.
    pub const CLIENT: Self = Self {
        idle: Duration::from_secs(120),
        first_frame: Duration::from_secs(120),
        pending_bytes: 8 * 1024 * 1024,
    };
}

/// One end of a connection.
#[derive(Debug)]
pub struct Connection {
    /// Its number.
    pub id: ConnId,
    /// The peer's address.
    pub remote: SocketAddr,
    /// Our address.
    pub local: SocketAddr,
    outbox: Mutex<Outbox>,
    closed: AtomicBool,
    calls: Mutex<HashMap<i32, oneshot::Sender<Frame>>>,
    next_opaque: AtomicI32,
}

#[derive(Debug, Default)]
struct Outbox {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    bytes: usize,
    /// The connection's task, and whether it sleeps.
    task: Option<Waker>,
    sleeps: bool,
}

impl Outbox {
    /// Wakes the connection's task; while it runs it looks here before it sleeps.
    fn wake(&mut self) {
        if self.sleeps
            && let Some(task) = &self.task
        {
            self.sleeps = false;
            task.wake_by_ref();
        }
    }

    /// The task is about to sleep: false when there is something to write.
    fn sleep(&mut self, task: &Waker, written_all: bool) -> bool {
        if written_all && self.bytes > 0 {
            return false;
        }
        if !self.task.as_ref().is_some_and(|known| known.will_wake(task)) {
            self.task = Some(task.clone());
        }
        self.sleeps = true;
        true
    }

    fn push(&mut self, frame: &Outgoing, kind: Serialization) {
        let before = self.tail.len();
        if frame.body.len() < BODY_COPY_MAX {
            frame.encode(kind, &mut self.tail);
            self.bytes += self.tail.len() - before;
        } else {
            frame.encode_head(kind, &mut self.tail);
            self.bytes += self.tail.len() - before + frame.body.len();
            self.pieces.push_back(self.tail.split().freeze());
            self.pieces.push_back(frame.body.clone());
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(self.tail.split().freeze());
        }
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while written > 0 {
            let Some(first) = self.pieces.front_mut() else { return };
            let step = written.min(first.len());
            first.advance(step);
            written -= step;
            if first.is_empty() {
                self.pieces.pop_front();
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    /// The handle of a connected stream; [`run`] drives it.
    pub fn new(stream: &TcpStream) -> std::io::Result<Arc<Self>> {
        stream.set_nodelay(true)?;
        Ok(Arc::new(Self {
            id: ConnId(NEXT_ID.fetch_add(1, Ordering::Relaxed)),
            remote: stream.peer_addr()?,
            local: stream.local_addr()?,
            outbox: Mutex::default(),
            closed: AtomicBool::new(false),
            calls: Mutex::default(),
            next_opaque: AtomicI32::new(0),
        }))
    }

    /// Queues a frame. Lost without a word when the connection is closed, as on the wire.
    pub fn send(&self, frame: &Outgoing, kind: Serialization) {
        if self.is_closed() {
            return;
        }
        let mut outbox = lock(&self.outbox);
        outbox.push(frame, kind);
        outbox.wake();
    }

    /// Whether the peer is gone.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends the connection; what is queued may be lost.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        lock(&self.outbox).wake();
        lock(&self.calls).clear();
    }

    /// Bytes that wait to be written.
    pub fn pending_bytes(&self) -> usize {
        lock(&self.outbox).bytes
    }

    /// A correlation id that no call of this side waits for.
    pub fn next_opaque(&self) -> i32 {
        self.next_opaque.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`CallError`] when the connection closes, the time runs out or too many calls wait.
    pub async fn call(&self, mut request: Outgoing, wait: Duration) -> Result<Frame, CallError> {
        let opaque = self.next_opaque();
        request.opaque = opaque;
        let (done, answer) = oneshot::channel();
        {
            let mut calls = lock(&self.calls);
            if self.is_closed() {
                return Err(CallError::Closed(self.remote));
            }
            if calls.len() >= CALLS_MAX {
                return Err(CallError::Full(self.remote));
            }
            calls.insert(opaque, done);
        }
        let _forget = Forget { conn: self, opaque };
        self.send(&request, Serialization::Json);
        match tokio::time::timeout(wait, answer).await {
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(_)) => Err(CallError::Closed(self.remote)),
            Err(_) => Err(CallError::TimeOut { addr: self.remote, ms: wait.as_millis() as u64 }),
        }
    }

    /// Hands an answer to the call that waits for it; one that nobody waits for is dropped.
    pub fn answered(&self, header: &Header<'_>, frame: &Frame) {
        let waiter = lock(&self.calls).remove(&header.opaque);
        if let Some(waiter) = waiter {
            // The caller may have given up in this moment: then nobody needs the answer.
            let _ = waiter.send(frame.clone());
        }
    }
}

/// Removes a call's entry when its caller goes away, by time-out or cancellation.
struct Forget<'a> {
    conn: &'a Connection,
    opaque: i32,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.conn.calls).remove(&self.opaque);
    }
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The peer closed it, or we did.
    #[error("closed")]
    Closed,
    /// Nothing was heard or said for two minutes, or no first frame came.
    #[error("silent for too long")]
    Idle,
    /// What came is no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Drives a connection until it ends; tells the service when it is over.
pub async fn run(
    stream: Stream,
    conn: Arc<Connection>,
    service: Arc<dyn Service>,
    limits: Limits,
) -> Ended {
    let leaving = Leaving { conn, service };
    let mut driver = Driver {
        stream,
        conn: &leaving.conn,
        service: &leaving.service,
        limits,
        buffer: BytesMut::with_capacity(READ_BUFFER),
        heard_any: false,
        unflushed: false,
        active: Instant::now(),
        alarm: Box::pin(tokio::time::sleep(limits.first_frame)),
    };
    match poll_fn(|cx| driver.poll(cx)).await {
        Ok(()) => Ended::Closed,
        Err(ended) => ended,
    }
}

/// Closes a connection and tells the service, also when its task panics or is cancelled.
struct Leaving {
    conn: Arc<Connection>,
    service: Arc<dyn Service>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.conn.close();
        self.service.closed(&self.conn);
    }
}

/// The task of a connection. Written as one poll function, not with `select!`: futures that are made,
/// registered and dropped for every message cost more than the message (docs/performance.md).
struct Driver<'a> {
    stream: Stream,
    conn: &'a Arc<Connection>,
    service: &'a Arc<dyn Service>,
    limits: Limits,
    buffer: BytesMut,
    heard_any: bool,
    /// TLS may keep back what was written.
    unflushed: bool,
    active: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Driver<'_> {
    /// Writes, reads and handles until nothing more can be done now.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        loop {
            let pending = self.flush(cx)?;
            if self.conn.is_closed() {
                return Poll::Ready(Ok(()));
            }
            if pending < self.limits.pending_bytes {
                match self.read(cx)? {
                    Read::Ended => return Poll::Ready(Ok(())),
                    Read::Some => continue,
                    Read::Nothing => {}
                }
            }
            if self.alarm.as_mut().poll(cx).is_ready() {
                self.alarm_rang()?;
            } else if lock(&self.conn.outbox).sleep(cx.waker(), pending == 0) {
                // Closed in between: whoever closed it saw a task that did not sleep yet.
                if self.conn.is_closed() {
                    return Poll::Ready(Ok(()));
                }
                return Poll::Pending;
            }
        }
    }

    /// Reads what is there, up to one step, and hands it on.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<Read, Ended> {
        let start = self.buffer.len();
        loop {
            if self.buffer.capacity() - self.buffer.len() < READ_BUFFER / 4 {
                let want = frame::missing(&self.buffer).clamp(READ_BUFFER, READ_STEP);
                self.buffer.reserve(want);
            }
            let room = self.buffer.capacity() - self.buffer.len();
            match self.stream.poll_read(cx, &mut self.buffer) {
                Poll::Ready(Ok(0)) => return Ok(Read::Ended),
                // A short read emptied the socket: asking again would only cost a call.
                Poll::Ready(Ok(n)) if n == room && self.buffer.len() - start < READ_STEP => {}
                Poll::Ready(Ok(_)) => break,
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending if self.buffer.len() > start => break,
                Poll::Pending => return Ok(Read::Nothing),
            }
        }
        self.active = Instant::now();
        self.heard_any |= handle(&mut self.buffer, self.conn, self.service)?;
        Ok(Read::Some)
    }

    /// Writes as much as the socket takes; bytes left.
    fn flush(&mut self, cx: &mut Context<'_>) -> Result<usize, Ended> {
        let conn = self.conn;
        let mut outbox = lock(&conn.outbox);
        outbox.seal();
        while !outbox.pieces.is_empty() {
            let slices: Vec<IoSlice<'_>> =
                outbox.pieces.iter().take(SLICES_MAX).map(|piece| IoSlice::new(piece)).collect();
            match self.stream.poll_write(cx, &slices) {
                Poll::Ready(written) => {
                    outbox.advance(written?);
                    self.unflushed = true;
                    self.active = Instant::now();
                }
                Poll::Pending => return Ok(outbox.bytes),
            }
        }
        if self.unflushed && self.stream.poll_flush(cx)?.is_ready() {
            self.unflushed = false;
        }
        Ok(outbox.bytes)
    }

    fn alarm_rang(&mut self) -> Result<(), Ended> {
        let limit = if self.heard_any { self.limits.idle } else { self.limits.first_frame };
        if self.active.elapsed() >= limit || !self.heard_any {
            return Err(Ended::Idle);
        }
        self.alarm.as_mut().reset(self.active + limit);
        Ok(())
    }
}

/// What a read brought.
enum Read {
    Some,
    Nothing,
    /// The peer has closed its side.
    Ended,
}

/// Hands all complete frames to the service; whether there was one.
fn handle(
    buffer: &mut BytesMut,
    conn: &Arc<Connection>,
    service: &Arc<dyn Service>,
) -> Result<bool, Ended> {
    let mut frames = Vec::new();
    let split = loop {
        match frame::split(buffer) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    if !frames.is_empty() {
        service.batch(conn, &frames);
    }
    split?;
    Ok(!frames.is_empty())
}
