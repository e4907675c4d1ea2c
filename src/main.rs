//! mqdeck: a RocketMQ-compatible broker and name server with a terminal console over them.
//!
//! The binary composes and has no rules of its own: arguments → settings → one command → exit code.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod bench;
mod console;
mod demo;
mod logging;
mod output;
mod serve;
mod settings;
mod signals;

use args::{Args, Command, ConfigAction};
use console::Mode;
use settings::Settings;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failed(&error),
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(sentence) = args.conflict() {
        return Err(output::usage(sentence));
    }
    let settings = Settings::load(&args.common)?;
    match &args.command {
        Some(Command::Bench { load }) => Ok(output::print(&(bench::run(load)? + "\n"))?),
        Some(Command::Serve) => serve::run(&settings),
        Some(Command::Config { action: ConfigAction::Show }) => {
            Ok(output::print(&settings.show())?)
        }
        Some(Command::Config { action: ConfigAction::Check }) => {
            settings.engine()?;
            Ok(output::print(&settings.verdict())?)
        }
        None => console::run(&settings, mode(args)),
    }
}

fn mode(args: &Args) -> Mode {
    match &args.namesrv {
        Some(namesrv) => Mode::Attached(namesrv.clone()),
        None if args.demo => Mode::Demo,
        None => Mode::Embedded,
    }
}
