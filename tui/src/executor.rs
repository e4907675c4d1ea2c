//! Carries effects out: reads, plans, changes. Every change has an audit line before and after it.

mod decide;
mod replay;
mod resend;

pub use resend::last_change;

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use engine::client::{ClientError, Cluster};
use engine::protocol::names;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

use crate::data::Problem;
use crate::data::plan::ItemOutcome;
use crate::effect::{AuditNote, Effect, Steer};
use crate::event::{Event, Ticket};
use crate::export;
use crate::journal::{Item, Plan, Running, Stage};
use crate::ledger::Ledger;
use crate::messages;
use crate::model::clock::Zone;
use crate::poll::{Order, problem};
use crate::state_dir::{AuditLine, LedgerLine, StateDir};
use crate::survey::{self, trace};

/// How running changes are steered.
type Steers = Arc<Mutex<BTreeMap<Ticket, Steer>>>;

/// Who runs this console.
#[derive(Clone, Debug)]
pub struct Who {
    pub user: String,
    pub host: String,
    pub context: String,
}

/// Name of this machine, by which jobs and audit lines tell where they were made.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl Who {
    /// The user and machine of this process.
    pub fn of_process(context: &str) -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        Self {
            user: set("USER").or_else(|| set("LOGNAME")).unwrap_or_else(|| "?".to_owned()),
            host: host(),
            context: context.to_owned(),
        }
    }
}

const fn stage(outcome: &ItemOutcome) -> Stage {
    match outcome {
        ItemOutcome::Done(_) => Stage::Done,
        ItemOutcome::Unchanged => Stage::Unchanged,
        ItemOutcome::Refused(_) => Stage::Refused,
        ItemOutcome::Unknown(_) => Stage::Unknown,
        ItemOutcome::Gone => Stage::Gone,
        ItemOutcome::NotTried => Stage::NotTried,
    }
}

/// Runs effects as tasks.
#[derive(Clone)]
pub struct Executor {
    pub cluster: Arc<Cluster>,
    pub handle: Handle,
    pub out: Sender<Event>,
    pub orders: UnboundedSender<Order>,
    pub state: Option<StateDir>,
    pub ledger: Arc<Mutex<Ledger>>,
    pub who: Who,
    pub steers: Steers,
}

impl Executor {
    /// Starts one effect; its answers come as events.
    pub fn run(&self, effect: Effect) {
        let me = self.clone();
        match effect {
            Effect::Watch(watch) => self.order(Order::Watch(watch)),
            Effect::Interval(ms) => self.order(Order::Interval(ms)),
            Effect::Refresh => self.order(Order::Refresh),
            Effect::ScanLadder => self.order(Order::Scan),
            Effect::Steer(ticket, steer) => {
                if let Ok(mut steers) = self.steers.lock() {
                    steers.insert(ticket, steer);
                }
            }
            Effect::ReadMessages(ticket, queue, from) => {
                self.handle.spawn(async move {
                    let page = messages::page(&me.cluster, &queue, from).await;
                    me.tell(Event::Messages(ticket, me.answer(page)));
                });
            }
            Effect::FindWhere(ticket, message) => {
                self.handle.spawn(async move {
                    let found = messages::wheres(&me.cluster, &message).await;
                    me.tell(Event::Where(ticket, me.answer(found)));
                });
            }
            Effect::FindTrace(ticket, what) => {
                self.handle.spawn(async move {
                    let life = trace::look(&me.cluster, names::TRACE_TOPIC, &what).await;
                    me.tell(Event::Traced(ticket, me.answer(life.map(Box::new))));
                });
            }
            Effect::Survey(ticket, what) => {
                self.handle.spawn(async move {
                    let found = survey::take(&me.cluster, what).await;
                    me.tell(Event::Surveyed(ticket, me.answer(found)));
                });
            }
            Effect::PlanReplay(ticket, ask) => {
                self.handle.spawn(async move { replay::plan(&me, ticket, ask).await });
            }
            Effect::RunReplay(ticket, plan, note) => {
                self.handle.spawn(async move { replay::run(&me, ticket, &plan, &note).await });
            }
            Effect::CheckResend(ticket, ask) => {
                self.handle.spawn(async move { resend::check(&me, ticket, ask).await });
            }
            Effect::RunResend(ticket, run, note) => {
                self.handle.spawn(async move { resend::run(&me, ticket, &run, &note).await });
            }
            Effect::Decide(ticket, half, verdict, note) => {
                self.handle
                    .spawn(async move { decide::run(&me, ticket, &half, verdict, &note).await });
            }
            Effect::Export(file, text, rows) => {
                let out = self.out.clone();
                self.handle.spawn_blocking(move || {
                    let told = export::write(&file, &text, rows);
                    let _ = out.send(Event::Told(told)); // nobody reads it any more: the console has ended
                });
            }
            // The loop's own.
            Effect::Copy(_)
            | Effect::Theme(_)
            | Effect::Mouse(_)
            | Effect::Redraw
            | Effect::Suspend
            | Effect::Exit(_) => {}
        }
    }

    fn order(&self, order: Order) {
        let _ = self.orders.send(order); // the poller ends only with the console
    }

    fn tell(&self, event: Event) {
        let _ = self.out.send(event); // the console is gone: nobody wants to know
    }

    fn answer<T>(&self, result: Result<T, ClientError>) -> Result<T, Problem> {
        result.map_err(|e| problem(&e, self.cluster.now_ms()))
    }

    fn steer(&self, ticket: Ticket) -> Option<Steer> {
        self.steers.lock().ok()?.get(&ticket).copied()
    }

    /// Writes the line before a change. Without it the change must not start.
    fn audit_start(&self, ticket: Ticket, note: &AuditNote) -> bool {
        self.audit(&AuditLine {
            targets: note.targets.clone(),
            preview: note.preview.clone(),
            command: note.command.clone(),
            ..self.line(ticket, note, "started")
        })
    }

    /// Writes the plan of a job. Without it the change must not start.
    fn begin_job(&self, note: &AuditNote, group: &str, items: Vec<Item>) -> Option<Running> {
        let plan = Plan {
            job: 0,
            at_ms: self.cluster.now_ms(),
            user: self.who.user.clone(),
            host: self.who.host.clone(),
            process: std::process::id(),
            context: self.who.context.clone(),
            action: note.action.to_owned(),
            preview: note.preview.clone(),
            command: note.command.clone(),
            group: group.to_owned(),
            items,
        };
        let begun = match &self.state {
            Some(state) => state.journal().and_then(|journal| journal.begin(plan)),
            None => Err(std::io::Error::other("there is no state directory")),
        };
        match begun {
            Ok(running) => Some(running),
            Err(why) => {
                self.tell(Event::CannotAudit(format!("the job cannot be journaled: {why}")));
                None
            }
        }
    }

    /// Journals how a step stands; a step that cannot be journaled is told, and goes on.
    fn step(&self, job: &mut Running, item: usize, outcome: Option<&ItemOutcome>) {
        let written = match outcome {
            None => job.step(item, Stage::Begun, ""),
            Some(outcome) => job.step(item, stage(outcome), &outcome.text()),
        };
        if let Err(why) = written {
            self.tell(Event::CannotAudit(format!("the job cannot be journaled: {why}")));
        }
    }

    fn end_job(&self, job: &mut Running, outcome: &str) {
        if let Err(why) = job.end(self.cluster.now_ms(), outcome) {
            self.tell(Event::CannotAudit(format!("the job cannot be journaled: {why}")));
        }
    }

    /// Writes the line after a change.
    fn audit_end(&self, ticket: Ticket, note: &AuditNote, outcome: &str) {
        self.audit(&AuditLine { outcome: outcome.to_owned(), ..self.line(ticket, note, "done") });
        let at = Zone::Machine.hm(self.cluster.now_ms());
        let text = format!("{at} {}: {} {}, {outcome}", self.who.user, note.action, note.preview);
        self.tell(Event::LastChange(text));
    }

    /// A line of the audit file about a change.
    pub fn line(&self, ticket: Ticket, note: &AuditNote, phase: &str) -> AuditLine {
        AuditLine {
            at_ms: self.cluster.now_ms(),
            id: format!("{}-{ticket}", std::process::id()),
            phase: phase.to_owned(),
            user: self.who.user.clone(),
            host: self.who.host.clone(),
            context: self.who.context.clone(),
            action: note.action.to_owned(),
            targets: Vec::new(),
            preview: String::new(),
            command: String::new(),
            outcome: String::new(),
        }
    }

    fn audit(&self, line: &AuditLine) -> bool {
        let written = match &self.state {
            Some(state) => state.audit(line).map_err(|e| e.to_string()),
            None => Err("there is no state directory".to_owned()),
        };
        if let Err(why) = &written {
            self.tell(Event::CannotAudit(format!("the audit file cannot be written: {why}")));
        }
        written.is_ok()
    }

    /// Remembers that a letter was sent back.
    fn remember(&self, line: LedgerLine) {
        if let Some(state) = &self.state
            && let Err(why) = state.resent(&line)
        {
            self.tell(Event::CannotAudit(format!("the resend ledger cannot be written: {why}")));
        }
        if let Ok(mut ledger) = self.ledger.lock() {
            ledger.add(line);
        }
    }
}
