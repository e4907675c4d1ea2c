//! `mqdeck`, `mqdeck --demo`, `mqdeck --namesrv …`: the console, with or without an engine behind it.
//!
//! The console has a thread of its own, for it may be stuck in a write to a stalled terminal; main
//! waits for its end or a signal and stops things in order: console, demo, engine, terminal.
//! Spec: architecture.md §6, console-ux.md §12.

use std::io::{self, IsTerminal};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use engine::client::{Cluster, ClusterConfig};
use engine::engine::Engine;
use tokio::runtime::Runtime;
use tui::{EmbeddedInfo, StopHandle};

use crate::args::NameServers;
use crate::demo::{self, Demo, TemporaryDir};
use crate::logging::Log;
use crate::output::usage;
use crate::settings::{Settings, TimeMode};
use crate::{logging, metrics, serve, settings, signals};

/// How long the console and the client's tasks may take to end.
const END_WAIT: Duration = Duration::from_millis(500);

/// What the console shows.
#[derive(Clone, Debug)]
pub enum Mode {
    /// An engine of this process on the data directory.
    Embedded,
    /// An engine of this process on a temporary directory, with clients.
    Demo,
    /// A running cluster.
    Attached(NameServers),
}

/// Why main stops waiting.
enum End {
    Signal,
    Console(anyhow::Result<()>),
}

/// What runs beside the console.
struct Beside {
    engine: Option<Engine>,
    demo: Option<Demo>,
    dir: Option<TemporaryDir>,
    namesrv: Vec<String>,
}

/// Opens the console; returns when it has ended and everything is stopped.
///
/// # Errors
/// Usage for what keeps it from starting; others for what went wrong at the end.
pub fn run(settings: &Settings, mode: Mode) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(usage("this is no terminal: use `mqdeck serve` to run the engine without one"));
    }
    tui::keymap::install(settings.keys()).map_err(usage)?;
    let mut log = logging::start()?;
    let stop = StopHandle::new();
    let (ended, end) = mpsc::channel();
    watch_signals(&stop, &ended)?;
    let runtime = runtime()?;
    let beside = beside(settings, mode, &runtime, &mut log)?;
    let cluster = Cluster::connect(ClusterConfig {
        read_only: settings.values.read_only,
        credentials: settings.credentials(beside.engine.is_some())?,
        tls: match &beside.engine {
            Some(engine) => engine.tls(),
            None => settings.client_tls()?,
        },
        ..ClusterConfig::new(beside.namesrv.clone(), runtime.handle().clone())
    });
    let result = match begin(settings, &beside, cluster, &stop, ended) {
        Ok(()) => wait(&stop, &end),
        Err(error) => Err(error),
    };
    let stopped = beside.stop();
    restore_terminal();
    runtime.shutdown_timeout(END_WAIT);
    result.and(stopped)
}

/// Offers metrics where that is configured, then opens the console.
fn begin(
    settings: &Settings,
    beside: &Beside,
    cluster: Arc<Cluster>,
    stop: &StopHandle,
    ended: Sender<End>,
) -> anyhow::Result<()> {
    let console = console(settings, beside, stop)?;
    if let Some(addr) = settings.values.metrics_listen {
        metrics::start(&cluster, &console.state_dir, addr)?;
    }
    start(cluster, console, ended)
}

/// The first signal ends the console in order, the second one the process.
fn watch_signals(stop: &StopHandle, ended: &Sender<End>) -> anyhow::Result<()> {
    let (stop, ended) = (stop.clone(), ended.clone());
    let first = move || {
        stop.stop();
        // Nobody waits any more when main is past waiting: then everything stops already.
        let _ = ended.send(End::Signal);
    };
    Ok(signals::on_signal(first, restore_terminal)?)
}

/// One worker for all that uses the client: never the engine's.
fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("client")
        .enable_all()
        .build()
}

fn beside(
    settings: &Settings,
    mode: Mode,
    runtime: &Runtime,
    log: &mut Log,
) -> anyhow::Result<Beside> {
    if let Mode::Attached(NameServers(namesrv)) = mode {
        log.open(&logging::dir()?)?;
        return Ok(Beside { engine: None, demo: None, dir: None, namesrv });
    }
    let mut config = settings.engine()?;
    let mut dir = None;
    if matches!(mode, Mode::Demo) {
        let temporary = TemporaryDir::new()
            .map_err(|error| usage(format!("no temporary directory can be made: {error}")))?;
        demo::configure(&mut config, &temporary);
        dir = Some(temporary);
    }
    signals::ignore_suspend()?;
    let engine = serve::start(config, log)?;
    let (namesrv, broker) = (engine.namesrv_addr().to_string(), engine.broker_addr().to_string());
    let demo = dir.is_some().then(|| Demo::start(runtime.handle(), namesrv.clone(), broker));
    Ok(Beside { engine: Some(engine), demo, dir, namesrv: vec![namesrv] })
}

impl Beside {
    fn stop(self) -> anyhow::Result<()> {
        drop(self.demo);
        let stopped = self.engine.map_or(Ok(()), Engine::stop);
        drop(self.dir);
        stopped.context("the engine did not stop in order")
    }
}

fn console(
    settings: &Settings,
    beside: &Beside,
    stop: &StopHandle,
) -> anyhow::Result<tui::Settings> {
    let values = &settings.values;
    let namesrv = beside.namesrv.join(";");
    let embedded = beside.engine.as_ref().map(|engine| EmbeddedInfo {
        listen: namesrv.clone(),
        data_dir: engine.data_dir().display().to_string(),
        demo: beside.demo.is_some(),
    });
    let state_dir = match &beside.dir {
        Some(dir) => dir.state(),
        None => settings::state_dir()?,
    };
    Ok(tui::Settings {
        context: if embedded.is_some() { "local".to_owned() } else { namesrv.clone() },
        embedded,
        read_only: values.read_only,
        theme: (values.theme != "auto").then(|| values.theme.clone()),
        theme_dir: Some(settings::config_dir()?.join("themes")),
        interval_ms: values.interval.0,
        state_dir,
        utc: values.time == TimeMode::Utc,
        ascii: values.ascii,
        mouse: values.mouse,
        namesrv,
        danger_prod: false,
        commands: false,
        stop: stop.clone(),
    })
}

/// Starts the console's thread, which says how it ended.
fn start(cluster: Arc<Cluster>, settings: tui::Settings, ended: Sender<End>) -> anyhow::Result<()> {
    let run = move || {
        let result = panic::catch_unwind(AssertUnwindSafe(|| tui::run(&cluster, &settings)));
        let result = match result {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(anyhow!("the console failed; the log says where")),
        };
        // Main may be past waiting: then nobody asks any more.
        let _ = ended.send(End::Console(result));
    };
    thread::Builder::new().name("console".to_owned()).spawn(run)?;
    Ok(())
}

/// Waits for the end. After a signal the console gets a moment to leave; if it is stuck, it is left.
fn wait(stop: &StopHandle, end: &Receiver<End>) -> anyhow::Result<()> {
    match end.recv() {
        Ok(End::Console(result)) => result,
        Ok(End::Signal) | Err(_) => {
            stop.stop();
            match end.recv_timeout(END_WAIT) {
                Ok(End::Console(result)) => result,
                Ok(End::Signal) | Err(_) => Ok(()),
            }
        }
    }
}

/// Restores the terminal, unless that too gets stuck in it.
fn restore_terminal() {
    let (done, waited) = mpsc::channel();
    let restore = move || {
        tui::restore_terminal();
        // Nobody waits for it any longer than a moment.
        let _ = done.send(());
    };
    if thread::Builder::new().name("restore".to_owned()).spawn(restore).is_ok() {
        // Either it is done, or it is stuck and the process ends without it.
        let _ = waited.recv_timeout(END_WAIT);
    }
}
