//! Connections without sockets: what the broker sends is kept until the world delivers it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use crate::broker::outcome::{Peer, PeerId, Relayed, Shell};
use crate::protocol::frame::{self, Frame, Serialization};
use crate::protocol::header::{Header, Outgoing};

/// What the broker left behind in one step: frames for clients, work for others.
#[derive(Default)]
pub struct Wire {
    left: Mutex<Left>,
}

/// See [`Wire`].
#[derive(Default)]
pub struct Left {
    /// Frames, each with the connection that it goes to.
    pub frames: Vec<(PeerId, Bytes)>,
    /// Requests for the slow pool.
    pub jobs: Vec<Box<dyn FnOnce() + Send>>,
    /// The committer was woken.
    pub commit: bool,
    /// Tables have to be written.
    pub tables: bool,
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the committer.
    pub fn want_commit(&self) {
        self.lock().commit = true;
    }

    /// Asks for the tables to be written.
    pub fn want_tables(&self) {
        self.lock().tables = true;
    }

    /// Takes everything that was left.
    pub fn take(&self) -> Left {
        std::mem::take(&mut self.lock())
    }
}

impl Shell for Wire {
    fn slow(&self, job: Box<dyn FnOnce() + Send>) -> bool {
        self.lock().jobs.push(job);
        true
    }
}

/// One connection, as the broker sees it.
pub struct Line {
    id: PeerId,
    wire: Arc<Wire>,
    closed: AtomicBool,
}

impl Line {
    /// A connection with this number.
    pub fn new(id: PeerId, wire: &Arc<Wire>) -> Self {
        Self { id, wire: Arc::clone(wire), closed: AtomicBool::new(false) }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({})", self.id)
    }
}

impl Peer for Line {
    fn id(&self) -> PeerId {
        self.id
    }

    fn remote(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.id as u16))
    }

    fn send(&self, frame: &Outgoing, kind: Serialization) {
        if !self.is_closed() {
            self.wire.lock().frames.push((self.id, encoded(frame, kind)));
        }
    }

    fn answered(&self, _header: &Header<'_>, _frame: &Frame) {}

    fn call(
        self: Arc<Self>,
        _request: Outgoing,
        _wait_ms: u64,
        done: Box<dyn FnOnce(Option<Relayed>) + Send>,
    ) {
        // The clients of the simulator answer no questions.
        done(None);
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

/// A frame as bytes.
pub fn encoded(frame: &Outgoing, kind: Serialization) -> Bytes {
    let mut out = BytesMut::new();
    frame.encode(kind, &mut out);
    out.freeze()
}

/// The frame in these bytes; none when they are not exactly one.
pub fn decoded(bytes: &Bytes) -> Option<Frame> {
    let mut buffer = BytesMut::from(&bytes[..]);
    let frame = frame::split(&mut buffer).ok().flatten()?;
    buffer.is_empty().then_some(frame)
}
