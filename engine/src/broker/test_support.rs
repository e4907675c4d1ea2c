//! What tests of the broker share: a client that writes down what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::outcome::{Peer, PeerId, Relayed};
use super::state::lock;
use crate::protocol::frame::{Frame, Serialization};
use crate::protocol::header::{Header, Outgoing};

/// A connected client.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// Its connection's number.
    pub number: PeerId,
    /// What it answers to a call; nothing: it keeps silent.
    pub says: Option<Relayed>,
    /// Everything that it was sent.
    pub got: Mutex<Vec<Outgoing>>,
}

impl Peer for Client {
    fn id(&self) -> PeerId {
        self.number
    }
    fn remote(&self) -> SocketAddr {
        "127.0.0.1:4711".parse().unwrap()
    }
    fn send(&self, frame: &Outgoing, _kind: Serialization) {
        lock(&self.got).push(frame.clone());
    }
    fn answered(&self, _header: &Header<'_>, _frame: &Frame) {}
    fn call(
        self: Arc<Self>,
        _request: Outgoing,
        _wait_ms: u64,
        done: Box<dyn FnOnce(Option<Relayed>) + Send>,
    ) {
        done(self.says.clone());
    }
    fn close(&self) {}
    fn is_closed(&self) -> bool {
        false
    }
}
