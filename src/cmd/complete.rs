//! Completion of command lines: the binary itself is asked by the shell, so names of topics, groups,
//! brokers and contexts are those of the cluster that the line names (console-ux.md §15).
//!
//! The cluster has 300 ms to answer; then the list seen last is taken.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Command, CommandFactory, Parser};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use engine::client::{ClientError, Cluster, ClusterConfig};

use super::session::Target;
use crate::args::{Args, Common};
use crate::output::{self, Code, usage};
use crate::settings::{self, Settings};

/// Variable by which a shell asks for completions.
const ASKED: &str = "COMPLETE";
/// Name of the program.
const NAME: &str = "mqdeck";
/// How long the cluster may take.
const PATIENCE: Duration = Duration::from_millis(300);
/// Most names that are offered and remembered.
const NAMES_MAX: usize = 10_000;

/// What a value names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Topic,
    Group,
    Broker,
    Context,
}

impl Kind {
    /// By the name of the argument, which is the same in every command.
    fn of(argument: &str) -> Option<Self> {
        match argument {
            "topic" | "topics" => Some(Self::Topic),
            "group" => Some(Self::Group),
            "broker" | "leave_out" => Some(Self::Broker),
            "context" => Some(Self::Context),
            _ => None,
        }
    }

    const fn file(self) -> &'static str {
        match self {
            Self::Topic => "topics",
            Self::Group => "groups",
            Self::Broker => "brokers",
            Self::Context => "contexts",
        }
    }
}

/// Answers a shell that asks for completions, and ends then; else returns.
pub fn answer() {
    CompleteEnv::with_factory(command).var(ASKED).complete();
}

/// Prints what a shell has to run to be completed.
pub fn script(shell: clap_complete::Shell) -> anyhow::Result<Code> {
    let name = shell.to_string();
    let shells = Shells::builtins();
    let Some(completer) = shells.completer(&name) else {
        return Err(usage(format!("{name} cannot be completed")));
    };
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from(NAME));
    let mut script = Vec::new();
    let program = program.to_string_lossy();
    completer.write_registration(ASKED, NAME, NAME, &program, &mut script)?;
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Code::Done)
}

/// The definition of the command line with its values completed.
fn command() -> Command {
    completed(Args::command())
}

fn completed(command: Command) -> Command {
    let command = command.mut_args(|arg| match Kind::of(arg.get_id().as_str()) {
        Some(kind) => arg.add(ArgValueCompleter::new(move |start: &OsStr| values(kind, start))),
        None => arg,
    });
    command.mut_subcommands(completed)
}

fn values(kind: Kind, start: &OsStr) -> Vec<CompletionCandidate> {
    let start = start.to_string_lossy();
    let names = names(kind).unwrap_or_default();
    let names = names.into_iter().filter(|name| name.starts_with(&*start));
    names.take(NAMES_MAX).map(CompletionCandidate::new).collect()
}

/// The cluster that the line names so far.
fn common() -> Common {
    let words: Vec<String> = std::env::args().collect();
    let value = |flag: &str| {
        let mut rest = words.iter().skip_while(|word| *word != flag).skip(1);
        let inline = format!("{flag}=");
        let joined = words.iter().find_map(|word| word.strip_prefix(&inline));
        rest.next().map(String::as_str).or(joined).map(str::to_owned)
    };
    let mut line = vec![NAME.to_owned()];
    for flag in ["--namesrv", "--context", "--config"] {
        line.extend(value(flag).map(|value| format!("{flag}={value}")));
    }
    Args::try_parse_from(line).map(|args| args.common).unwrap_or_default()
}

fn names(kind: Kind) -> anyhow::Result<Vec<String>> {
    let common = common();
    let settings = Settings::load(&common)?;
    if kind == Kind::Context {
        return Ok(Target::all(&settings).into_iter().map(|target| target.name).collect());
    }
    let target = Target::choose(&settings, &common)?;
    let seen = Seen::of(&target)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut config = ClusterConfig::new(target.namesrv.clone(), runtime.handle().clone());
    config.read_only = true;
    config.timeout = PATIENCE;
    config.credentials = settings.credentials(target.is_local())?;
    config.tls = settings.client_tls()?;
    let cluster = Cluster::connect(config);
    let found =
        runtime.block_on(async { tokio::time::timeout(PATIENCE, ask(&cluster, kind)).await });
    match found {
        Ok(Ok(names)) => {
            // Without the list of last time there is nothing to fall back on, and that is all.
            let _ = seen.write(kind, &names);
            Ok(names)
        }
        _ => Ok(seen.read(kind)),
    }
}

async fn ask(cluster: &Cluster, kind: Kind) -> Result<Vec<String>, ClientError> {
    if kind == Kind::Topic {
        return Ok(cluster.topic_names().await?.topic_list.into_iter().collect());
    }
    let info = cluster.cluster_info().await?;
    if kind == Kind::Broker {
        return Ok(info.broker_addr_table.into_keys().collect());
    }
    let mut groups = BTreeMap::new();
    for data in info.broker_addr_table.values() {
        let Some(addr) = data.master() else { continue };
        groups.extend(cluster.group_configs(addr).await?.subscription_group_table);
    }
    Ok(groups.into_keys().collect())
}

/// Names seen last, one a line, a file for each kind and cluster.
struct Seen {
    dir: PathBuf,
}

impl Seen {
    fn of(target: &Target) -> anyhow::Result<Self> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let name: String = target.name.chars().map(plain).collect();
        Ok(Self { dir: settings::state_dir()?.join("seen").join(name) })
    }

    fn write(&self, kind: Kind, names: &[String]) -> std::io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let file = self.dir.join(kind.file());
        let mut open = std::fs::OpenOptions::new();
        let mut file = open.create(true).truncate(true).write(true).mode(0o600).open(file)?;
        let names: Vec<&str> = names.iter().take(NAMES_MAX).map(String::as_str).collect();
        file.write_all(names.join("\n").as_bytes())
    }

    fn read(&self, kind: Kind) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.join(kind.file())).unwrap_or_default();
        text.lines().take(NAMES_MAX).map(str::to_owned).collect()
    }
}
