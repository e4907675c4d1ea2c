//! `--metrics-listen`: the console's figures in Prometheus' text form, over the smallest HTTP that a
//! scraper needs: `GET /metrics`, one answer a connection.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::client::Cluster;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tui::Watcher;
use tui::ledger::Ledger;
use tui::model::metrics;
use tui::state_dir::StateDir;

use crate::output::usage;

/// Between two looks at the cluster.
const INTERVAL_MS: i64 = 2_000;
/// Bytes of a request's head.
const HEAD_MAX: usize = 8 * 1024;
/// How long a request may take to arrive, and an answer to leave.
const PATIENCE: Duration = Duration::from_secs(10);
/// Scrapes at a time; further ones wait in the kernel's queue.
const SCRAPES_MAX: usize = 8;
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Starts on the cluster's own runtime; gives the address, which tells a free port that was taken.
///
/// # Errors
/// Usage: the address cannot be listened on.
pub fn start(cluster: &Arc<Cluster>, state: &Path, addr: SocketAddr) -> anyhow::Result<SocketAddr> {
    let bound = cluster.handle().block_on(TcpListener::bind(addr));
    let listener =
        bound.map_err(|error| usage(format!("cannot listen on {addr} for metrics: {error}")))?;
    let addr = listener.local_addr()?;
    if !addr.ip().is_loopback() {
        tracing::warn!(%addr, "metrics are reachable from other machines");
    }
    // Without a ledger every letter counts as open.
    let ledger = StateDir::open(state).map(|state| Ledger::read(&state)).unwrap_or_default();
    let watcher = Watcher::start(cluster, Arc::new(Mutex::new(ledger)), INTERVAL_MS);
    let handle = cluster.handle().clone();
    cluster.handle().spawn(serve(listener, Arc::new(watcher), handle));
    Ok(addr)
}

async fn serve(listener: TcpListener, watcher: Arc<Watcher>, handle: Handle) {
    let slots = Arc::new(Semaphore::new(SCRAPES_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let watcher = Arc::clone(&watcher);
                handle.spawn(async move {
                    // A scraper that is slow or gone comes again.
                    let _ = tokio::time::timeout(PATIENCE, answer(stream, &watcher)).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a scrape");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, watcher: &Watcher) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut piece).await?;
        if read == 0 || head.len() + read > HEAD_MAX {
            break;
        }
        head.extend_from_slice(&piece[..read]);
    }
    let (status, body) = match route(&head) {
        Route::Metrics => ("200 OK", watcher.with(metrics::page)),
        Route::NotFound => ("404 Not Found", "only /metrics is here\n".to_owned()),
        Route::Method => ("405 Method Not Allowed", "only GET is here\n".to_owned()),
        Route::Bad => ("400 Bad Request", "this is no request\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Route {
    Metrics,
    NotFound,
    Method,
    Bad,
}

fn route(head: &[u8]) -> Route {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return Route::Bad };
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["GET", target, version] if version.starts_with("HTTP/1.") => {
            match target.split('?').next() {
                Some("/metrics") => Route::Metrics,
                _ => Route::NotFound,
            }
        }
        [_, _, version] if version.starts_with("HTTP/1.") => Route::Method,
        _ => Route::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_path_and_one_method_are_there() {
        for (head, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Route::Metrics),
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", Route::Metrics),
            ("GET / HTTP/1.1\r\n\r\n", Route::NotFound),
            ("POST /metrics HTTP/1.1\r\n\r\n", Route::Method),
            ("GET /metrics\r\n\r\n", Route::Bad),
            ("", Route::Bad),
            ("\u{1}\u{2}", Route::Bad),
        ] {
            assert_eq!(route(head.as_bytes()), expected, "{head:?}");
        }
    }
}
