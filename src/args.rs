//! The command line. This file is its whole definition; what a flag means for the configuration is in
//! `settings.rs`.
//!
//! Spec: architecture.md §2, console-ux.md §15.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args as Flags, Parser, Subcommand};
use tui::sheet::Form;

pub mod bench;
mod changes;
mod nouns;

pub use changes::*;
pub use nouns::*;

/// A RocketMQ-compatible broker and name server, with a terminal console over them.
///
/// Without a command the engine starts in the background and the console opens over it.
#[derive(Clone, Debug, Parser)]
#[command(name = "mqdeck", version, max_term_width = 100)]
pub struct Args {
    /// Run a playground on a temporary data directory: producers, groups and dead letters.
    #[arg(long, conflicts_with = "namesrv")]
    pub demo: bool,

    /// What every command understands.
    #[command(flatten)]
    pub common: Common,

    /// What to do instead of opening the console.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that every command understands.
#[derive(Clone, Debug, Default, Flags)]
pub struct Common {
    /// Name servers of a running cluster, mqdeck or Apache RocketMQ. The console then starts no engine.
    #[arg(long, global = true, value_name = "HOST:PORT[;HOST:PORT…]", value_parser = name_servers)]
    pub namesrv: Option<NameServers>,

    /// Cluster of the configuration file, by its name.
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "namesrv")]
    pub context: Option<String>,

    /// Form of the output: a table for people, the others for programs.
    #[arg(long, short, global = true, value_name = "FORM", value_parser = form())]
    pub output: Option<Form>,

    /// How long one request may take, such as 5s or 500ms.
    #[arg(long, global = true, value_name = "TIME", value_parser = pause)]
    pub timeout: Option<std::time::Duration>,

    /// Configuration file instead of the one in the platform's configuration directory.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Data directory; made when it is absent.
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Port of the name server; 0 takes a free one.
    #[arg(long, global = true, value_name = "PORT")]
    pub namesrv_port: Option<u16>,

    /// Port of the broker, its fast port is two below; 0 takes free ones.
    #[arg(long, global = true, value_name = "PORT")]
    pub broker_port: Option<u16>,

    /// Address that all ports are bound to.
    #[arg(long, global = true, value_name = "IP")]
    pub listen: Option<IpAddr>,

    /// Address that clients are told to connect to, when it is not the one that is bound.
    #[arg(long, global = true, value_name = "HOST")]
    pub advertise: Option<String>,

    /// Console and serve: offer figures in Prometheus' text form at this address, path /metrics.
    #[arg(long, global = true, value_name = "IP:PORT")]
    pub metrics_listen: Option<SocketAddr>,

    /// Look only: nothing in the cluster can be changed.
    #[arg(long, global = true)]
    pub read_only: bool,

    /// Theme of the console.
    #[arg(long, global = true, value_name = "NAME")]
    pub theme: Option<String>,
}

/// Commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the engine without a terminal; prints one `ready …` line when it serves.
    Serve,
    /// Run a name server without a broker; prints one `ready …` line when it serves.
    Namesrv,
    /// Topics: list, show, create, update, delete.
    #[command(visible_alias = "topic")]
    Topics(Topics),
    /// Consumer groups: list, show, lag, clients, doctor, create, update, delete.
    #[command(visible_alias = "group")]
    Groups(Groups),
    /// What waits in the delay levels, retries and user delays apart.
    Retry(Retry),
    /// Dead letters: list, show, resend, edit, export, import, try, purge, sink.
    Dlq(Dlq),
    /// Move a group back to a point in time, or forward.
    Replay(Replay),
    /// One message by its id, or messages of a topic by a key.
    Message(MessageArgs),
    /// What traces say about one message.
    Trace(Trace),
    /// Print messages as they are stored.
    Tail(Tail),
    /// Send messages.
    Send(Send),
    /// Brokers: list, show, config, drain.
    #[command(visible_alias = "broker")]
    Brokers(Brokers),
    /// Connected producers and consumers.
    Clients(Pick),
    /// Messages that wait for a time of their own.
    Timers(Timers),
    /// Transactions that are not decided: list, commit, rollback.
    Transactions(Transactions),
    /// Changes of this machine, by every mqdeck process: list, show.
    Jobs(Jobs),
    /// Drive a cluster with load and print the figures as JSON.
    Bench {
        /// What kind of load.
        #[command(subcommand)]
        load: bench::Bench,
    },
    /// Clusters that the configuration names.
    Contexts(Pick),
    /// Look at the configuration.
    Config {
        /// What to do with it.
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Themes: list, check.
    Themes(Themes),
    /// Keys of the console.
    Keys(Pick),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands into a directory.
    Man {
        /// Directory for the pages.
        dir: Option<PathBuf>,
    },
    /// Check terminal, colours, reachability, permissions and clocks.
    Doctor,
}

/// What can be done with the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Subcommand)]
pub enum ConfigAction {
    /// Print every value and where it comes from.
    Show,
    /// Say whether the configuration is valid.
    Check,
}

/// Name servers as `host:port`, at least one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameServers(pub Vec<String>);

fn name_servers(text: &str) -> Result<NameServers, String> {
    let list: Vec<String> =
        text.split(';').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect();
    if list.is_empty() {
        return Err("no address in it".to_owned());
    }
    for one in &list {
        let port = one.rsplit_once(':').and_then(|(host, port)| {
            (!host.is_empty()).then_some(port)?.parse::<u16>().ok().filter(|port| *port > 0)
        });
        if port.is_none() {
            return Err(format!("{one:?} is not HOST:PORT"));
        }
    }
    Ok(NameServers(list))
}

fn pause(text: &str) -> Result<std::time::Duration, String> {
    match tui::model::time_field::span(text) {
        Some(ms @ 1..=3_600_000) => Ok(std::time::Duration::from_millis(ms as u64)),
        _ => Err(format!("{text:?} is not a time such as 5s or 500ms, at most 1h")),
    }
}

impl Args {
    /// What clap cannot say: flags of the console do not go with a command.
    pub fn conflict(&self) -> Option<&'static str> {
        match &self.command {
            Some(_) if self.demo => Some("--demo opens the console: leave the command out"),
            Some(Command::Serve | Command::Namesrv) if self.common.namesrv.is_some() => {
                Some("--namesrv is a running cluster; --namesrv-port is where this one listens")
            }
            Some(command)
                if self.common.metrics_listen.is_some() && !matches!(command, Command::Serve) =>
            {
                Some("--metrics-listen is for the console and `mqdeck serve`")
            }
            _ => None,
        }
    }
}

/// Reads a form of output; its names are listed by the help.
fn form() -> impl TypedValueParser<Value = Form> {
    let names = Form::ALL.map(|(_, name, help)| PossibleValue::new(name).help(help));
    PossibleValuesParser::new(names).map(|name| Form::named(&name).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn several_name_servers_are_separated_by_semicolons() {
        let two = name_servers("a:1; [::1]:2;").unwrap();
        assert_eq!(two.0, ["a:1", "[::1]:2"]);
        for bad in ["", ";", "a", "a:", ":1", "a:x", "a:0", "a:70000"] {
            assert!(name_servers(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn values_may_begin_with_a_minus() {
        let args = |text: &str| Args::try_parse_from(text.split(' ')).unwrap().command.unwrap();
        let replay = args("mqdeck replay --group g --to -2h");
        assert!(matches!(replay, Command::Replay(Replay { to: Some(to), .. }) if to == "-2h"));
        let tail = args("mqdeck tail t --from -5m");
        assert!(matches!(tail, Command::Tail(Tail { from, .. }) if from.as_deref() == Some("-5m")));
        let sort = args("mqdeck groups --sort -lag");
        assert!(matches!(sort, Command::Groups(_)));
    }

    #[test]
    fn flags_of_the_console_do_not_go_with_a_command() {
        let args = |text: &str| Args::try_parse_from(text.split(' ')).unwrap();
        assert_eq!(args("mqdeck serve --broker-port 0").conflict(), None);
        assert_eq!(args("mqdeck --broker-port 0 serve").conflict(), None);
        assert_eq!(args("mqdeck --namesrv a:1 topics").conflict(), None);
        assert!(args("mqdeck --demo serve").conflict().is_some());
        assert!(args("mqdeck --namesrv a:1 serve").conflict().is_some());
    }
}
