//! The connection to one address: made when first needed, reused, made again after it broke.
//!
//! At most one attempt to connect is under way for an address; who comes meanwhile waits for it and
//! shares its failure. Timers: remoting.md §7.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::net::{Connection, Limits, Service, connection, tls};

/// Longest time that an attempt to connect may take.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Calls without an answer in a row after which a connection is given up as dead.
const SILENT_MAX: u32 = 2;

/// Whether a connection has been used before: an old one may have been closed by its peer just now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Age {
    Fresh,
    Reused,
}

/// One address and what leads there.
#[derive(Debug)]
pub(super) struct Link {
    /// What is dialled; the advertised address after mapping.
    dial: String,
    gate: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    conn: Option<Arc<Connection>>,
    attempts: u64,
    failure: Option<String>,
    silent: u32,
    version: Option<i32>,
}

impl Link {
    pub(super) fn new(dial: String) -> Self {
        Self { dial, gate: tokio::sync::Mutex::default(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The live connection, if there is one.
    pub(super) fn live(&self) -> Option<Arc<Connection>> {
        self.state().conn.clone().filter(|conn| !conn.is_closed())
    }

    /// The live connection, or a new one; the reason when none can be made.
    pub(super) async fn get(
        &self,
        handle: &Handle,
        service: Arc<dyn Service>,
        tls: Option<&tls::Client>,
    ) -> Result<(Arc<Connection>, Age), String> {
        if let Some(conn) = self.live() {
            return Ok((conn, Age::Reused));
        }
        let seen = self.state().attempts;
        let _gate = self.gate.lock().await;
        if let Some(conn) = self.live() {
            return Ok((conn, Age::Reused));
        }
        {
            let state = self.state();
            if let (true, Some(reason)) = (state.attempts > seen, &state.failure) {
                return Err(reason.clone());
            }
        }
        let made = dial(&self.dial, handle, service, tls.cloned()).await;
        let mut state = self.state();
        state.attempts += 1;
        state.silent = 0;
        state.failure = made.as_ref().err().cloned();
        state.conn = made.as_ref().ok().cloned();
        drop(state);
        made.map(|conn| (conn, Age::Fresh))
    }

    /// Notes an answer and the version of who gave it.
    pub(super) fn heard(&self, version: i32) {
        let mut state = self.state();
        state.silent = 0;
        state.version = Some(version);
    }

    /// Notes a call without an answer; a connection that stays silent is closed, so that the next call
    /// makes a new one.
    pub(super) fn silent(&self) {
        let mut state = self.state();
        state.silent += 1;
        if state.silent >= SILENT_MAX
            && let Some(conn) = state.conn.take()
        {
            conn.close();
        }
    }

    /// Wire version of the peer, once it answered.
    pub(super) fn version(&self) -> Option<i32> {
        self.state().version
    }

    pub(super) fn close(&self) {
        if let Some(conn) = self.state().conn.take() {
            conn.close();
        }
    }
}

/// Connects on the client's runtime, whichever runtime the caller is polled by.
async fn dial(
    addr: &str,
    handle: &Handle,
    service: Arc<dyn Service>,
    tls: Option<tls::Client>,
) -> Result<Arc<Connection>, String> {
    let target = addr.to_owned();
    let spawner = handle.clone();
    let attempt = handle.spawn(async move {
        let stream = tokio::time::timeout(CONNECT_MAX, TcpStream::connect(&target))
            .await
            .map_err(|_| format!("no connection within {} s", CONNECT_MAX.as_secs()))?
            .map_err(|error| error.to_string())?;
        let conn = Connection::new(&stream).map_err(|error| error.to_string())?;
        let stream = match tls {
            None => stream.into(),
            Some(tls) => tokio::time::timeout(CONNECT_MAX, tls.connect(&target, stream))
                .await
                .map_err(|_| format!("no TLS within {} s", CONNECT_MAX.as_secs()))?
                .map_err(|error| format!("TLS: {error}"))?,
        };
        spawner.spawn(connection::run(stream, Arc::clone(&conn), service, Limits::CLIENT));
        Ok(conn)
    });
    attempt.await.map_err(|_| "the client's runtime has stopped".to_owned())?
}
