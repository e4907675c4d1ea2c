//! Accepts connections on one address and owns their tasks until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection::{Connection, Ended, Limits};
use super::{Service, connection};

/// Connections that the kernel holds for us (remoting.md §7).
const BACKLOG: u32 = 1024;
/// Pause after a failed accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds an address; port 0 asks for a free one.
///
/// # Errors
/// Whatever the system says, usually that the port is taken.
pub fn bind(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// What a listener admits.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// Connections at a time; further ones wait in the kernel's queue.
    pub connections: usize,
    /// What each of them may cost.
    pub limits: Limits,
}

/// Accepts until `stop` turns true, then closes every connection.
pub async fn run(
    listener: TcpListener,
    service: Arc<dyn Service>,
    mut stop: watch::Receiver<bool>,
    admission: Admission,
) {
    let mut tasks = JoinSet::new();
    let mut open: Vec<std::sync::Weak<Connection>> = Vec::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if tasks.len() < admission.connections => match accepted {
                Ok((stream, _)) => match Connection::new(&stream) {
                    Ok(conn) => {
                        open.push(Arc::downgrade(&conn));
                        tasks.spawn(serve(stream, conn, Arc::clone(&service), admission.limits));
                    }
                    Err(error) => tracing::debug!(%error, "connection was gone before it was served"),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {
                if open.len() > 2 * tasks.len() + 16 {
                    open.retain(|conn| conn.strong_count() > 0);
                }
            }
            changed = stop.changed() => {
                if changed.is_err() || *stop.borrow() {
                    break;
                }
            }
        }
    }
    for conn in open.iter().filter_map(std::sync::Weak::upgrade) {
        conn.close();
    }
    while tasks.join_next().await.is_some() {}
}

async fn serve(
    stream: tokio::net::TcpStream,
    conn: Arc<Connection>,
    service: Arc<dyn Service>,
    limits: Limits,
) {
    let remote = conn.remote;
    match connection::run(stream, conn, service, limits).await {
        Ended::Closed | Ended::Idle => {}
        Ended::Frame(error) => tracing::warn!(%remote, %error, "connection closed: no frame"),
        Ended::Io(error) => tracing::debug!(%remote, %error, "connection lost"),
    }
}
