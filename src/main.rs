//! mqdeck: a RocketMQ-compatible broker and name server with a terminal console over them.
//!
//! The binary composes and has no rules of its own: arguments → settings → one command → exit code.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod bench;
mod cmd;
mod console;
mod demo;
mod logging;
mod metrics;
mod output;
mod serve;
mod settings;
mod signals;

use args::{Args, Command, ConfigAction};
use console::Mode;
use output::Code;
use settings::Settings;

fn main() -> ExitCode {
    cmd::complete::answer();
    let args = match Args::try_parse() {
        Ok(args) => args,
        // Help and version are what was asked for; clap prints them whole.
        Err(asked) if !asked.use_stderr() => asked.exit(),
        Err(error) => return output::failed(&output::usage(one_sentence(&error.to_string()))),
    };
    output::errors_as(args.common.output.unwrap_or_default());
    match run(&args) {
        Ok(code) => code.into(),
        Err(error) => output::failed(&error),
    }
}

/// What is wrong with the command line, and where help is.
fn one_sentence(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let told: Vec<&str> = lines
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(|line| line.trim_start_matches("error: "))
        .collect();
    format!("{}; see `mqdeck --help`", told.join("; "))
}

fn run(args: &Args) -> anyhow::Result<Code> {
    if let Some(sentence) = args.conflict() {
        return Err(output::usage(sentence));
    }
    let settings = Settings::load(&args.common)?;
    match &args.command {
        Some(Command::Bench { load }) => bench::run(load)?,
        Some(Command::Serve) => serve::run(&settings)?,
        Some(Command::Namesrv) => serve::namesrv(&settings)?,
        Some(Command::Config { action: ConfigAction::Show }) => {
            output::print(&settings.show()).map(drop)?;
        }
        Some(Command::Config { action: ConfigAction::Check }) => {
            settings.engine()?;
            output::print(&settings.verdict()).map(drop)?;
        }
        Some(command) => return cmd::run(args, command, &settings),
        None => console::run(&settings, mode(args))?,
    }
    Ok(Code::Done)
}

fn mode(args: &Args) -> Mode {
    match &args.common.namesrv {
        Some(namesrv) => Mode::Attached(namesrv.clone()),
        None if args.demo => Mode::Demo,
        None => Mode::Embedded,
    }
}
