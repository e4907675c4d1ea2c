//! One connection: reads batches of frames, writes what waits in one vectored write, calls the peer.
//!
//! The task of a connection is [`run`]; whoever holds the [`Connection`] may send at any time from any
//! thread. Bounds: architecture.md §6 (back-pressure), remoting.md §7 (idle time).

use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::Service;
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
    wake: Notify,
    closed: AtomicBool,
    calls: Mutex<HashMap<i32, oneshot::Sender<Frame>>>,
    next_opaque: AtomicI32,
}

#[derive(Debug, Default)]
struct Outbox {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    bytes: usize,
}

impl Outbox {
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
            wake: Notify::new(),
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
        lock(&self.outbox).push(frame, kind);
        self.wake.notify_one();
    }

    /// Whether the peer is gone.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends the connection; what is queued may be lost.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake.notify_one();
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
    stream: TcpStream,
    conn: Arc<Connection>,
    service: Arc<dyn Service>,
    limits: Limits,
) -> Ended {
    let leaving = Leaving { conn, service };
    match drive(&stream, &leaving.conn, &leaving.service, limits).await {
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

async fn drive(
    stream: &TcpStream,
    conn: &Arc<Connection>,
    service: &Arc<dyn Service>,
    limits: Limits,
) -> Result<(), Ended> {
    let mut buffer = BytesMut::with_capacity(READ_BUFFER);
    let mut heard_any = false;
    let mut active = Instant::now();
    let mut alarm = std::pin::pin!(tokio::time::sleep(limits.first_frame));
    loop {
        let pending = flush(stream, conn)?;
        if conn.is_closed() {
            return Ok(());
        }
        tokio::select! {
            ready = stream.readable(), if pending < limits.pending_bytes => {
                ready?;
                if !read(stream, &mut buffer)? {
                    return Ok(());
                }
                active = Instant::now();
                heard_any |= handle(&mut buffer, conn, service)?;
            }
            ready = stream.writable(), if pending > 0 => {
                ready?;
                active = Instant::now();
            }
            () = conn.wake.notified() => {}
            () = alarm.as_mut() => {
                let limit = if heard_any { limits.idle } else { limits.first_frame };
                if active.elapsed() >= limit || !heard_any {
                    return Err(Ended::Idle);
                }
                alarm.as_mut().reset(active + limit);
            }
        }
    }
}

/// Reads what is there, up to one step; `false` at the end of the stream.
fn read(stream: &TcpStream, buffer: &mut BytesMut) -> Result<bool, Ended> {
    let start = buffer.len();
    loop {
        let want = frame::missing(buffer).clamp(READ_BUFFER, READ_STEP);
        if buffer.capacity() - buffer.len() < READ_BUFFER / 4 {
            buffer.reserve(want);
        }
        let room = buffer.capacity() - buffer.len();
        match stream.try_read_buf(buffer) {
            Ok(0) => return Ok(false),
            // A short read emptied the socket: asking again would only cost a call.
            Ok(n) if n < room || buffer.len() - start >= READ_STEP => return Ok(true),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
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

/// Writes as much as the socket takes; bytes left.
fn flush(stream: &TcpStream, conn: &Connection) -> Result<usize, Ended> {
    let mut outbox = lock(&conn.outbox);
    outbox.seal();
    while !outbox.pieces.is_empty() {
        let slices: Vec<IoSlice<'_>> =
            outbox.pieces.iter().take(SLICES_MAX).map(|piece| IoSlice::new(piece)).collect();
        match stream.try_write_vectored(&slices) {
            Ok(written) => outbox.advance(written),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(outbox.bytes)
}
