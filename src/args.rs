//! The command line. This file is its whole definition; what a flag means for the configuration is in
//! `settings.rs`.
//!
//! Spec: architecture.md §2, console-ux.md §15.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args as Flags, Parser, Subcommand};

pub mod bench;

/// A RocketMQ-compatible broker and name server, with a terminal console over them.
///
/// Without a command the engine starts in the background and the console opens over it.
#[derive(Clone, Debug, Parser)]
#[command(name = "mqdeck", version, max_term_width = 100)]
pub struct Args {
    /// Run a playground on a temporary data directory: producers, groups and dead letters.
    #[arg(long, conflicts_with = "namesrv")]
    pub demo: bool,

    /// Start no engine: open the console over a running cluster, mqdeck or Apache RocketMQ.
    #[arg(long, value_name = "HOST:PORT[;HOST:PORT…]", value_parser = name_servers)]
    pub namesrv: Option<NameServers>,

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

    /// Look only: nothing in the cluster can be changed from this console.
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
    /// Drive a cluster with load and print the figures as JSON.
    Bench {
        /// What kind of load.
        #[command(subcommand)]
        load: bench::Bench,
    },
    /// Look at the configuration.
    Config {
        /// What to do with it.
        #[command(subcommand)]
        action: ConfigAction,
    },
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

impl Args {
    /// What clap cannot say: flags of the console do not go with a command.
    pub fn conflict(&self) -> Option<&'static str> {
        match (&self.command, self.demo, &self.namesrv) {
            (Some(_), true, _) => Some("--demo opens the console: leave the command out"),
            (Some(_), _, Some(_)) => {
                Some("--namesrv opens the console over a running cluster: leave the command out")
            }
            _ => None,
        }
    }
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
    fn flags_of_the_console_do_not_go_with_a_command() {
        let args = |text: &str| Args::try_parse_from(text.split(' ')).unwrap();
        assert_eq!(args("mqdeck serve --broker-port 0").conflict(), None);
        assert_eq!(args("mqdeck --broker-port 0 serve").conflict(), None);
        assert!(args("mqdeck --demo serve").conflict().is_some());
        assert!(args("mqdeck --namesrv a:1 serve").conflict().is_some());
    }
}
