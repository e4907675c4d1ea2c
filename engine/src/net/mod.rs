//! Frames over sockets: knows connections and nothing of what the frames ask for.
//!
//! A [`Service`] gets all frames that one socket read brought and answers through the connection,
//! at once or later. Both sides of a connection may call the other (remoting.md §4).

pub mod connection;
pub mod listener;
pub mod stream;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
pub mod tls;
#[cfg(feature = "tls")]
pub mod tls;
pub mod tls_error;

use std::sync::Arc;

pub use connection::{CallError, ConnId, Connection, Limits};
pub use stream::Stream;

use crate::protocol::frame::Frame;

/// What is done with frames.
pub trait Service: Send + Sync + 'static {
    /// Handles the frames of one read, in their order. Must not block.
    fn batch(&self, conn: &Arc<Connection>, frames: &[Frame]);
    /// The connection is gone; nothing sent to it arrives any more.
    fn closed(&self, conn: &Arc<Connection>);
    /// Something happened to a connection; for statistics.
    fn noted(&self, _event: Event) {}
}

/// What happens to a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// It was accepted.
    Connect,
    /// It ended, however it did.
    Close,
    /// It was silent for too long.
    Idle,
    /// It sent what is no frame, or was lost.
    Exception,
}

impl Event {
    /// Its name in statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Close => "CLOSE",
            Self::Idle => "IDLE",
            Self::Exception => "EXCEPTION",
        }
    }
}
