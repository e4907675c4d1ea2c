//! `mqdeck serve`: the engine without a terminal. Ready line, signals, clean stop.
//!
//! Also starts the engine for the console, with one sentence for every reason that it cannot.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context;
use engine::client::{Cluster, ClusterConfig};
use engine::config::EngineConfig;
use tokio::runtime::Runtime;

use engine::engine::{Engine, EngineError, NameServerAlone};

use crate::logging::Log;
use crate::output::{self, usage};
use crate::settings::{self, Settings};
use crate::{logging, signals};

/// How long whatever holds a port may take to answer as a name server.
const PROBE: Duration = Duration::from_millis(500);

/// Runs the engine until a signal comes.
///
/// # Errors
/// Usage when it cannot start; others when it cannot stop in order.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    let mut log = logging::start()?;
    let config = settings.engine()?;
    let (signal, stopped) = mpsc::channel();
    let told = move || {
        // Fails only when this function has returned: then nobody waits any more.
        let _ = signal.send(());
    };
    signals::on_signal(told, || ())?;
    let engine = start(config, &mut log)?;
    let (namesrv, broker) = (engine.namesrv_addr(), engine.broker_addr());
    let metrics = match metrics(settings, &engine) {
        Ok(metrics) => metrics,
        Err(error) => {
            engine.stop()?;
            return Err(error);
        }
    };
    let told = metrics.as_ref().map_or_else(String::new, |(_, addr)| format!(" metrics={addr}"));
    output::print(&format!("ready namesrv={namesrv} broker={broker}{told}\n"))?;
    // An error means that the sender is gone, which is a reason to stop as well.
    let _ = stopped.recv();
    if let Some((runtime, _)) = metrics {
        runtime.shutdown_background();
    }
    engine.stop().context("the engine did not stop in order")
}

/// Offers metrics when that is configured, by a client on a runtime of its own.
fn metrics(settings: &Settings, engine: &Engine) -> anyhow::Result<Option<(Runtime, SocketAddr)>> {
    let Some(addr) = settings.values.metrics_listen else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("metrics")
        .enable_all()
        .build()?;
    let config = ClusterConfig {
        read_only: true,
        credentials: settings.credentials(true)?,
        tls: engine.tls(),
        ..ClusterConfig::new(vec![engine.namesrv_addr().to_string()], runtime.handle().clone())
    };
    let addr = crate::metrics::start(&Cluster::connect(config), &settings::state_dir()?, addr)?;
    Ok(Some((runtime, addr)))
}

/// Runs a name server alone until a signal comes.
///
/// # Errors
/// Usage when it cannot start.
pub fn namesrv(settings: &Settings) -> anyhow::Result<()> {
    let mut log = logging::start()?;
    let config = settings.namesrv()?;
    let (signal, stopped) = mpsc::channel();
    let told = move || {
        // Fails only when this function has returned: then nobody waits any more.
        let _ = signal.send(());
    };
    signals::on_signal(told, || ())?;
    let addr = SocketAddr::new(reachable(config.listen), config.namesrv.listen_port);
    let names = match NameServerAlone::start(&config) {
        Ok(names) => names,
        Err(error) if error.is_usage() => {
            return Err(usage(format!("{error}{}", advice(&error, addr))));
        }
        Err(error) => return Err(error.into()),
    };
    log.open(&logging::dir()?)?;
    output::print(&format!("ready namesrv={}\n", names.addr()))?;
    // An error means that the sender is gone, which is a reason to stop as well.
    let _ = stopped.recv();
    names.stop();
    Ok(())
}

/// Starts the engine, and with it the log file.
///
/// # Errors
/// Usage for what the user can put right: what is wrong, and what to do about it.
pub fn start(config: EngineConfig, log: &mut Log) -> anyhow::Result<Engine> {
    let log_dir = logging::dir()?;
    let listen = config.listen;
    let access = config.broker.authentication_enabled;
    let namesrv = SocketAddr::new(reachable(listen), config.namesrv.listen_port);
    match Engine::start(config) {
        Ok(engine) => {
            if let Err(error) = log.open(&log_dir) {
                engine.stop()?;
                return Err(error);
            }
            if !listen.is_loopback() && !access {
                tracing::warn!(%listen, "reachable from other machines, without access control");
            }
            Ok(engine)
        }
        Err(error) if error.is_usage() => Err(usage(format!("{error}{}", advice(&error, namesrv)))),
        Err(error) => Err(error.into()),
    }
}

/// What to do about a start that failed.
fn advice(error: &EngineError, namesrv: SocketAddr) -> String {
    match error {
        EngineError::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
            let other =
                "stop what holds the port or choose others with --namesrv-port and --broker-port";
            if namesrv.port() > 0 && answers_as_name_server(namesrv) {
                format!(
                    "; {other}; or open the console over what runs there: mqdeck --namesrv {namesrv}"
                )
            } else {
                format!("; {other}")
            }
        }
        EngineError::Bind { .. } => {
            "; choose another address with --listen, or ports above 1023".to_owned()
        }
        EngineError::Store(_) => "; another directory can be chosen with --data-dir".to_owned(),
        _ => String::new(),
    }
}

/// Where a wildcard address is reached from this machine.
fn reachable(listen: IpAddr) -> IpAddr {
    match listen {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

/// Whether a name server answers at an address.
fn answers_as_name_server(addr: SocketAddr) -> bool {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return false;
    };
    let mut config = ClusterConfig::new(vec![addr.to_string()], runtime.handle().clone());
    config.timeout = PROBE;
    let cluster = Cluster::connect(config);
    runtime.block_on(async { cluster.cluster_info().await.is_ok() })
}
