//! Certificates that are replaced on the disk are used from then on, without a restart.
//!
//! The files are looked at now and then; a change counts once it can be read. New ones that cannot are said in
//! the log once, and the old ones stay in use.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::net::tls::Server;

/// Pause between looks at the files.
const EVERY: Duration = Duration::from_secs(2);

/// When a file was written, and its length; none when it is not there.
type Stamp = Option<(SystemTime, u64)>;

fn stamp(path: &Path) -> Stamp {
    let facts = std::fs::metadata(path).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}

fn stamps(server: &Server) -> Vec<Stamp> {
    server.files().paths().map(stamp).collect()
}

/// Looks until told to stop.
pub async fn run(server: Arc<Server>, mut stop: watch::Receiver<bool>) {
    let mut known = stamps(&server);
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.changed() => return,
        }
        let now = stamps(&server);
        if now == known {
            continue;
        }
        known = now;
        match server.reload() {
            Ok(()) => tracing::info!("new certificates are in use"),
            Err(error) => tracing::error!(%error, "the old certificates stay in use"),
        }
    }
}
