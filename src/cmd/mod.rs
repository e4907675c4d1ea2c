//! One-shot commands, one noun a file. What they say goes through `output`, rows through `sheet`;
//! figures, plans and changes are the console's own. Spec: console-ux.md §15.

mod broker;
mod client;
pub mod complete;
mod context;
mod dlq;
mod doctor;
mod group;
mod job;
mod keys;
mod manual;
mod message;
mod replay;
mod retry;
mod select;
mod send;
mod session;
mod sure;
mod tail;
mod theme;
mod timer;
mod topic;
mod trace;
mod transaction;

use crate::args::{Args, Command, Pick};
use crate::output::{self, Code};
use crate::settings::Settings;
use tui::sheet::{Form, Sheet};

pub use session::Session;

/// Runs a command that is over when its output is written.
///
/// # Errors
/// What kept it from its end, with an exit code of its own.
pub fn run(args: &Args, command: &Command, settings: &Settings) -> anyhow::Result<Code> {
    let form = args.common.output.unwrap_or_default();
    match command {
        Command::Completions { shell } => complete::script(*shell),
        Command::Man { dir } => manual::pages(dir.as_deref()),
        Command::Jobs(jobs) => job::run(&open(args, settings)?, jobs),
        Command::Keys(pick) => keys::list(settings, form, pick),
        Command::Themes(themes) => theme::run(form, themes),
        Command::Contexts(pick) => context::list(settings, &args.common, form, pick),
        Command::Doctor => doctor::run(settings, &args.common, form),
        Command::Topics(topics) => topic::run(&open(args, settings)?, topics),
        Command::Groups(groups) => group::run(&open(args, settings)?, groups),
        Command::Retry(retry) => retry::run(&open(args, settings)?, retry),
        Command::Brokers(brokers) => broker::run(&open(args, settings)?, brokers),
        Command::Message(message) => message::run(&open(args, settings)?, &message.action),
        Command::Clients(pick) => client::list(&open(args, settings)?, pick),
        Command::Timers(timers) => timer::run(&open(args, settings)?, timers),
        Command::Transactions(wanted) => transaction::run(&open(args, settings)?, wanted),
        Command::Trace(trace) => trace::run(&open(args, settings)?, trace),
        Command::Dlq(dlq) => dlq::run(&open(args, settings)?, dlq),
        Command::Replay(replay) => replay::run(&open(args, settings)?, replay),
        Command::Tail(tail) => tail::run(&open(args, settings)?, tail, args.common.output),
        Command::Send(send) => send::run(&open(args, settings)?, send),
        other => unreachable!("{other:?} is run by main"),
    }
}

fn open(args: &Args, settings: &Settings) -> anyhow::Result<Session> {
    Session::open(settings, &args.common)
}

/// Selects, sorts and prints rows; the exit code says what `--fail-if` found.
fn list(form: Form, mut sheet: Sheet, pick: &Pick, complete: bool) -> anyhow::Result<Code> {
    let verdict = select::apply(&mut sheet, pick, complete)?;
    output::print(&sheet.text(form))?;
    Ok(verdict)
}

/// Prints one thing.
fn one(form: Form, sheet: &Sheet) -> anyhow::Result<Code> {
    output::print(&sheet.one(form))?;
    Ok(Code::Done)
}
