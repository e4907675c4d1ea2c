//! The cluster that a command works on: which one, a client for it, and what interrupts it.
//!
//! Before a change begins a signal ends the process at once; afterwards the change stops after the
//! present item and says what was done.

use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use engine::client::{ClientError, Cluster, ClusterConfig};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tui::data::{Part, Picture};
use tui::hands::Hands;
use tui::journal::Journal;
use tui::ledger::Ledger;
use tui::state_dir::StateDir;
use tui::{Need, Only};

use crate::args::Common;
use crate::output::{self, Code, fault, usage};
use crate::settings::{self, Settings};
use tui::sheet::Form;

/// Context of the engine of this machine.
const LOCAL: &str = "local";

/// A command's connection.
#[derive(Debug)]
pub struct Session {
    runtime: Runtime,
    /// The client.
    pub cluster: Arc<Cluster>,
    /// Form of the output.
    pub form: Form,
    /// What it is connected to.
    pub target: Target,
    /// Nothing may be changed.
    pub read_only: bool,
    state_dir: PathBuf,
    interrupted: Arc<AtomicBool>,
    changing: Arc<AtomicBool>,
}

/// Which cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Name of the context.
    pub name: String,
    /// Name servers.
    pub namesrv: Vec<String>,
    /// Names are asked for before a change.
    pub prod: bool,
    /// Nothing may be changed.
    pub read_only: bool,
}

impl Target {
    /// The cluster that flags and configuration name; without any, the engine of this machine.
    ///
    /// # Errors
    /// Usage: there is no such context.
    pub fn choose(settings: &Settings, common: &Common) -> anyhow::Result<Self> {
        if let Some(namesrv) = &common.namesrv {
            let name = namesrv.0.join(";");
            return Ok(Self { name, namesrv: namesrv.0.clone(), prod: false, read_only: false });
        }
        match common.context.as_deref() {
            None | Some(LOCAL) => Ok(Self::local(settings)),
            Some(other) => Err(usage(format!("there is no context {other:?}"))),
        }
    }

    /// Every cluster that is known by name.
    pub fn all(settings: &Settings) -> Vec<Self> {
        vec![Self::local(settings)]
    }

    /// Whether it is the engine of this machine.
    pub fn is_local(&self) -> bool {
        self.name == LOCAL
    }

    /// The engine of this machine.
    pub fn local(settings: &Settings) -> Self {
        let port = settings.values.namesrv.listen_port;
        let ip = match settings.values.listen {
            ip if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
            ip => ip,
        };
        let namesrv = vec![std::net::SocketAddr::new(ip, port).to_string()];
        Self { name: LOCAL.to_owned(), namesrv, prod: false, read_only: false }
    }
}

impl Session {
    /// Opens a client; nothing is asked yet.
    ///
    /// # Errors
    /// Usage: no such context, no home directory.
    pub fn open(settings: &Settings, common: &Common) -> anyhow::Result<Self> {
        Self::open_on(settings, common, Target::choose(settings, common)?)
    }

    /// The same over a cluster that is chosen already.
    ///
    /// # Errors
    /// Usage: no home directory.
    pub fn open_on(settings: &Settings, common: &Common, target: Target) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("client")
            .enable_all()
            .build()?;
        let read_only = settings.values.read_only || target.read_only;
        let mut config = ClusterConfig::new(target.namesrv.clone(), runtime.handle().clone());
        config.read_only = read_only;
        config.credentials = settings.credentials(target.is_local())?;
        config.tls = settings.client_tls()?;
        if let Some(timeout) = common.timeout {
            config.timeout = timeout;
        }
        let session = Self {
            cluster: Cluster::connect(config),
            form: common.output.unwrap_or_default(),
            target,
            read_only,
            state_dir: settings::state_dir()?,
            interrupted: Arc::default(),
            changing: Arc::default(),
            runtime,
        };
        session.heed_signals()?;
        Ok(session)
    }

    fn heed_signals(&self) -> std::io::Result<()> {
        let _inside = self.runtime.enter();
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (interrupted, changing) = (Arc::clone(&self.interrupted), Arc::clone(&self.changing));
        self.runtime.spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                let again = interrupted.swap(true, Ordering::SeqCst);
                if again || !changing.load(Ordering::SeqCst) {
                    std::process::exit(i32::from(Code::Interrupted as u8));
                }
            }
        });
        Ok(())
    }

    /// Waits for an answer.
    pub fn wait<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// Whether a signal came since a change began.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// From here on a signal lets the present item end.
    pub fn begin_change(&self) {
        self.changing.store(true, Ordering::SeqCst);
    }

    /// One picture of the cluster.
    ///
    /// # Errors
    /// Unreachable: no name server, or no broker answers.
    pub fn look(&self, need: Need, only: Option<&Only>) -> anyhow::Result<Picture> {
        let ledger = Mutex::new(self.ledger());
        let picture = self.wait(tui::look(&self.cluster, &ledger, need, only))?;
        if let Part::Ready(ready) = &picture.brokers {
            if ready.answered == 0 && ready.asked > 0 {
                let why = ready.value.iter().find_map(|row| row.problem.as_ref());
                let why = why.map_or_else(String::new, |why| format!(": {}", why.remark));
                return Err(fault(Code::Unreachable, format!("no broker answers{why}")));
            }
            if ready.answered < ready.asked {
                output::tell(&format!(
                    "mqdeck: {} of {} masters answered",
                    ready.answered, ready.asked
                ));
            }
        }
        Ok(picture)
    }

    /// The ledger of letters sent back from this machine; empty where there is none.
    pub fn ledger(&self) -> Ledger {
        StateDir::open(&self.state_dir).map(|state| Ledger::read(&state)).unwrap_or_default()
    }

    /// The jobs of this machine, and its name.
    ///
    /// # Errors
    /// Usage: the state directory cannot be read.
    pub fn journal(&self) -> anyhow::Result<(Journal, String)> {
        let journal = StateDir::open(&self.state_dir).and_then(|state| state.journal());
        let dir = self.state_dir.display();
        let journal = journal.map_err(|error| usage(format!("{dir}: {error}")))?;
        Ok((journal, tui::host()))
    }

    /// What carries changes out.
    ///
    /// # Errors
    /// Refused: the audit file cannot be written.
    pub fn hands(&self) -> anyhow::Result<Hands> {
        let mut hands =
            Hands::new(&self.cluster, &self.state_dir, &self.target.name).map_err(|error| {
                let dir = self.state_dir.display();
                fault(Code::Refused, format!("nothing is changed without audit, {dir}: {error}"))
            })?;
        hands.interrupted = Arc::clone(&self.interrupted);
        Ok(hands)
    }

    /// Masters by broker name; those named, or all.
    ///
    /// # Errors
    /// Nothing: a named broker does not exist. Unreachable: no name server answers.
    pub fn masters(&self, only: &[String]) -> anyhow::Result<Vec<(String, String)>> {
        let info = self.wait(self.cluster.cluster_info())?;
        let table = &info.broker_addr_table;
        if let Some(missing) = only.iter().find(|name| !table.contains_key(*name)) {
            return Err(fault(Code::Nothing, format!("there is no broker {missing:?}")));
        }
        let chosen = table.iter().filter(|(name, _)| only.is_empty() || only.contains(name));
        Ok(chosen
            .filter_map(|(name, data)| Some((name.clone(), data.master()?.to_owned())))
            .collect())
    }

    /// The command that does this again, for the audit file.
    pub fn command_line() -> String {
        let words = std::env::args().skip(1).map(|word| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:@%+,".contains(c);
            if !word.is_empty() && word.chars().all(plain) {
                word
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        });
        std::iter::once("mqdeck".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Waits a moment; false when a signal came.
    pub fn pause(&self, time: std::time::Duration) -> bool {
        self.wait(async { tokio::time::sleep(time).await });
        !self.is_interrupted()
    }
}

/// Whether all masters answered.
pub fn is_complete<T>(part: &Part<T>) -> bool {
    matches!(part, Part::Ready(ready) if ready.answered == ready.asked)
}

/// The rows of a part.
///
/// # Errors
/// Nobody answered.
pub fn rows<T>(part: &Part<Vec<T>>) -> Result<&[T], ClientError> {
    match part {
        Part::Refused(problem) => Err(ClientError::Invalid(problem.remark.clone())),
        other => Ok(other.get().map_or(&[], Vec::as_slice)),
    }
}
