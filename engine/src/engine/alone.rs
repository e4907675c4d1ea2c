//! A name server by itself: its port, its two files, and the watch for brokers that fell silent.
//!
//! Brokers of other processes register with it. Order of start and stop as in [`super::Engine`], with
//! nothing that needs a log (architecture.md §14).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::shell::{NameFiles, NamesrvService};
use super::{
    Admission, EngineError, NET_STOP, admission, listener, local_port, name_server, runtime, tls,
    tls_reload,
};
use crate::clock::{Clock, SystemClock};
use crate::config::EngineConfig;
use crate::decide::expiry::BROKER_SCAN_MS;
use crate::namesrv::NameServer;
use crate::store::{ConfigDir, Disk};

/// A running name server without a broker.
#[derive(Debug)]
pub struct NameServerAlone {
    addr: SocketAddr,
    stop_tx: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    runtime: Runtime,
}

impl NameServerAlone {
    /// Starts it; returns once it accepts requests. Of the configuration only the parts count that a
    /// name server has.
    ///
    /// # Errors
    /// [`EngineError`]: a port that is taken, a directory that somebody has.
    pub fn start(config: &EngineConfig) -> Result<Self, EngineError> {
        let tls = config.tls.clone().map(tls::Server::load).transpose()?;
        let runtime = runtime(config).map_err(EngineError::Thread)?;
        let listen = SocketAddr::new(config.listen, config.namesrv.listen_port);
        let socket = {
            let _inside = runtime.enter();
            let what = "name server";
            listener::bind(listen).map_err(|source| EngineError::Bind {
                addr: listen,
                what,
                source,
            })?
        };
        let port = local_port(&socket);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let files = ConfigDir::open(Arc::new(Disk), config.data_dir.clone())?;
        let files = NameFiles::Alone(files);
        let names = name_server(&config.namesrv, &files, port, clock.wall_ms())?;
        let (stop_tx, stop) = watch::channel(false);
        let service = NamesrvService::new(Arc::clone(&names), files, Arc::clone(&clock));
        let mut tasks = vec![runtime.spawn(expire(names, clock))];
        if let Some(tls) = &tls {
            tasks.push(runtime.spawn(tls_reload::run(Arc::clone(tls), stop.clone())));
        }
        let admission = Admission { tls, ..admission() };
        tasks.push(runtime.spawn(listener::run(socket, Arc::new(service), stop, admission)));
        let addr = SocketAddr::new(config.advertise, port);
        tracing::info!(namesrv = %addr, "name server started");
        Ok(Self { addr, stop_tx, tasks, runtime })
    }

    /// Where it is reached.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Closes every connection. What it has to remember was written when it changed.
    pub fn stop(self) {
        // Nobody listens any more only when every task has ended already.
        let _ = self.stop_tx.send(true);
        for task in &self.tasks {
            task.abort();
        }
        self.runtime.shutdown_timeout(NET_STOP);
        tracing::info!("name server stopped");
    }
}

/// Drops brokers that gave no sign of life in time.
async fn expire(names: Arc<NameServer>, clock: Arc<dyn Clock>) {
    let pause = Duration::from_millis(BROKER_SCAN_MS.unsigned_abs());
    loop {
        tokio::time::sleep(pause).await;
        for addr in names.expire(clock.wall_ms()) {
            tracing::warn!(broker = addr, "broker gone from the route: silent for too long");
        }
    }
}
