//! Accepts connections on one address and owns their tasks until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::connection::{Connection, Ended, Limits};
use super::{Event, Service, connection, tls};

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
#[derive(Clone, Debug)]
pub struct Admission {
    /// One for each connection at a time, of all listeners that share them; further connections wait
    /// in the kernel's queue.
    pub slots: Arc<Semaphore>,
    /// What each of them may cost.
    pub limits: Limits,
    /// TLS, where a certificate is configured.
    pub tls: Option<Arc<tls::Server>>,
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
            accepted = accept(&listener, &admission.slots) => match accepted {
                Ok((stream, slot)) => match Connection::new(&stream) {
                    Ok(conn) => {
                        open.push(Arc::downgrade(&conn));
                        let served = serve(stream, conn, Arc::clone(&service), admission.clone());
                        tasks.spawn(async move {
                            served.await;
                            drop(slot);
                        });
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

/// The next connection, once there is a slot for it. May be dropped at any time: nothing is lost.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

async fn serve(
    stream: TcpStream,
    conn: Arc<Connection>,
    service: Arc<dyn Service>,
    Admission { limits, tls, .. }: Admission,
) {
    service.noted(Event::Connect);
    let event = carry(stream, conn, &service, limits, tls).await;
    if let Some(event) = event {
        service.noted(event);
    }
    service.noted(Event::Close);
}

/// Serves a connection to its end; what was wrong with it.
async fn carry(
    stream: TcpStream,
    conn: Arc<Connection>,
    service: &Arc<dyn Service>,
    limits: Limits,
    tls: Option<Arc<tls::Server>>,
) -> Option<Event> {
    let remote = conn.remote;
    let stream = match tls {
        None => stream.into(),
        Some(tls) => match tokio::time::timeout(limits.first_frame, tls.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%remote, %error, "connection closed: TLS");
                conn.close();
                return Some(Event::Exception);
            }
            Err(_) => {
                conn.close();
                return Some(Event::Idle);
            }
        },
    };
    match connection::run(stream, conn, Arc::clone(service), limits).await {
        Ended::Closed => None,
        Ended::Idle => Some(Event::Idle),
        Ended::Frame(error) => {
            tracing::warn!(%remote, %error, "connection closed: no frame");
            Some(Event::Exception)
        }
        Ended::Io(error) => {
            tracing::debug!(%remote, %error, "connection lost");
            Some(Event::Exception)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::AsyncReadExt;
    use tokio::runtime::Handle;

    use super::*;
    use crate::net::Limits;
    use crate::protocol::frame::Frame;

    /// Counts who left, and notes what happened.
    #[derive(Default)]
    struct Leavers(Mutex<usize>, Mutex<Vec<Event>>);

    impl Service for Leavers {
        fn batch(&self, _: &Arc<Connection>, _: &[Frame]) {
            panic!("a handler that fails");
        }
        fn closed(&self, _: &Arc<Connection>) {
            *self.0.lock().unwrap() += 1;
        }
        fn noted(&self, event: Event) {
            self.1.lock().unwrap().push(event);
        }
    }

    struct Bench {
        addrs: Vec<SocketAddr>,
        slots: Arc<Semaphore>,
        service: Arc<Leavers>,
        _stop: watch::Sender<bool>,
    }

    fn bench(listeners: usize, connections: usize) -> Bench {
        let (stop_tx, stop) = watch::channel(false);
        let slots = Arc::new(Semaphore::new(connections));
        let admission = Admission { slots: Arc::clone(&slots), limits: Limits::CLIENT, tls: None };
        let service = Arc::new(Leavers::default());
        let addrs = (0..listeners).map(|_| {
            let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let addr = socket.local_addr().unwrap();
            let service: Arc<dyn Service> = Arc::<Leavers>::clone(&service);
            Handle::current().spawn(run(socket, service, stop.clone(), admission.clone()));
            addr
        });
        Bench { addrs: addrs.collect(), slots, service, _stop: stop_tx }
    }

    #[tokio::test]
    async fn the_life_of_a_connection_is_told_from_its_first_moment_to_its_last() {
        let bench = bench(1, 1);
        for (bytes, between) in [(&b""[..], None), (b"GET / HTTP/1.1\r\n", Some(Event::Exception))]
        {
            let mut conn = TcpStream::connect(bench.addrs[0]).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut conn, bytes).await.unwrap();
            tokio::io::AsyncWriteExt::shutdown(&mut conn).await.unwrap();
            let _ = conn.read(&mut [0; 1]).await;
            while bench.service.1.lock().unwrap().last() != Some(&Event::Close) {
                tokio::task::yield_now().await;
            }
            let told = std::mem::take(&mut *bench.service.1.lock().unwrap());
            let want: Vec<Event> =
                [Some(Event::Connect), between, Some(Event::Close)].into_iter().flatten().collect();
            assert_eq!(told, want);
        }
    }

    #[tokio::test]
    async fn listeners_with_the_same_slots_admit_no_more_than_there_are() {
        let bench = bench(2, 3);
        let mut open = Vec::new();
        for at in 0..8 {
            open.push(TcpStream::connect(bench.addrs[at % 2]).await.unwrap());
        }
        while bench.slots.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        drop(open);
        // Everybody is gone: whoever waited was admitted and left, none of the slots is lost.
        let all = async {
            while *bench.service.0.lock().unwrap() < 8 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all).await.unwrap();
    }

    #[tokio::test]
    async fn a_handler_that_panics_closes_its_connection_alone_and_is_told_of() {
        let bench = bench(1, 4);
        let mut stream = TcpStream::connect(bench.addrs[0]).await.unwrap();
        let frame = [0, 0, 0, 6, 0, 0, 0, 2, b'{', b'}'];
        tokio::io::AsyncWriteExt::write_all(&mut stream, &frame).await.unwrap();
        let gone = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut [0; 8])).await;
        assert!(matches!(gone.unwrap(), Ok(0) | Err(_)));
        let told = async {
            while *bench.service.0.lock().unwrap() < 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
        assert!(TcpStream::connect(bench.addrs[0]).await.is_ok());
    }
}
