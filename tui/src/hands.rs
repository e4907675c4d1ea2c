//! The console's hands without its screen: the plans and changes that its dialogs make, for commands.
//!
//! The same executor carries them out, so plan, audit lines and ledger are the same. Nothing here
//! asks: whoever calls has confirmed (console-ux.md §7, §15).

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::client::Cluster;

use crate::data::Problem;
use crate::data::plan::{ItemOutcome, ReplayAsk, ReplayPlan, ResendAsk, ResendPlan, ResendRun};
use crate::effect::{AuditNote, Effect, Steer};
use crate::event::{Event, Ticket};
use crate::executor::{Executor, Who};
use crate::ledger::Ledger;
use crate::state_dir::{AuditLine, LedgerLine, StateDir};

/// How often a run looks whether it was interrupted.
const LOOK: Duration = Duration::from_millis(100);

/// What carries changes out.
pub struct Hands {
    executor: Executor,
    events: Receiver<Event>,
    ticket: Ticket,
    /// Set by whoever is interrupted: the run stops after the present item.
    pub interrupted: Arc<AtomicBool>,
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hands").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

/// How the items of a change ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// One for each item, in order.
    pub items: Vec<ItemOutcome>,
    /// Why it stopped before its end.
    pub stopped: Option<String>,
    /// Number of the job; none when it never began.
    pub job: Option<u64>,
}

impl Hands {
    /// Over a cluster, with the audit file and ledger of a state directory.
    ///
    /// # Errors
    /// The directory cannot be used: then nothing may be changed.
    pub fn new(cluster: &Arc<Cluster>, state: &Path, context: &str) -> std::io::Result<Self> {
        let state = StateDir::open(state)?;
        let (out, events) = mpsc::channel();
        let (orders, _) = tokio::sync::mpsc::unbounded_channel();
        let ledger = Arc::new(Mutex::new(Ledger::read(&state)));
        let executor = Executor {
            cluster: Arc::clone(cluster),
            handle: cluster.handle().clone(),
            out,
            orders,
            ledger,
            who: Who::of_process(context),
            steers: Arc::default(),
            state: Some(state),
        };
        Ok(Self { executor, events, ticket: 0, interrupted: Arc::default() })
    }

    /// Plans a replay as the dialog does.
    ///
    /// # Errors
    /// What the dialog would show instead of a plan.
    pub fn plan_replay(&mut self, ask: ReplayAsk) -> Result<ReplayPlan, Problem> {
        let ticket = self.start(|ticket| Effect::PlanReplay(ticket, ask));
        self.wait(|event| match event {
            Event::ReplayPlanned(of, plan) if of == ticket => Some(plan.map(|plan| *plan)),
            _ => None,
        })
    }

    /// Carries a replay out, queue by queue.
    pub fn run_replay(&mut self, plan: ReplayPlan, note: AuditNote) -> Ended {
        let mut items = vec![ItemOutcome::NotTried; plan.rows.len()];
        let ticket = self.start(|ticket| Effect::RunReplay(ticket, Arc::new(plan), note));
        let stopped = self.wait(|event| match event {
            Event::ReplayItem(of, at, outcome) if of == ticket => {
                items[at] = outcome;
                None
            }
            Event::ReplayDone(of, stopped) if of == ticket => Some(stopped),
            _ => None,
        });
        Ended { items, stopped, job: self.newest_job() }
    }

    /// Looks letters up before they are sent back, as the dialog does.
    ///
    /// # Errors
    /// What the dialog would show instead of a preview.
    pub fn check_resend(&mut self, ask: ResendAsk) -> Result<ResendPlan, Problem> {
        let ticket = self.start(|ticket| Effect::CheckResend(ticket, ask));
        self.wait(|event| match event {
            Event::ResendChecked(of, Ok(plan)) if of == ticket && !plan.complete => None,
            Event::ResendChecked(of, plan) if of == ticket => Some(plan.map(|plan| *plan)),
            _ => None,
        })
    }

    /// Sends copies, letter by letter.
    pub fn run_resend(&mut self, run: ResendRun, note: AuditNote) -> Ended {
        let mut items = vec![ItemOutcome::NotTried; run.order.len()];
        let ticket = self.start(|ticket| Effect::RunResend(ticket, Arc::new(run), note));
        let stopped = self.wait(|event| match event {
            Event::ResendItem(of, at, outcome) if of == ticket => {
                items[at] = outcome;
                None
            }
            Event::ResendDone(of, stopped) if of == ticket => Some(stopped),
            _ => None,
        });
        Ended { items, stopped, job: self.newest_job() }
    }

    /// Writes the audit line of a change that is not a job; without it the change must not start.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn audit_start(&mut self, note: &AuditNote) -> std::io::Result<()> {
        self.ticket += 1;
        let line = AuditLine {
            targets: note.targets.clone(),
            preview: note.preview.clone(),
            command: note.command.clone(),
            ..self.executor.line(self.ticket, note, "started")
        };
        self.state()?.audit(&line)
    }

    /// Writes how the change ended.
    ///
    /// # Errors
    /// The file cannot be written: the change is done all the same.
    pub fn audit_end(&self, note: &AuditNote, outcome: &str) -> std::io::Result<()> {
        let line = self.executor.line(self.ticket, note, "done");
        self.state()?.audit(&AuditLine { outcome: outcome.to_owned(), ..line })
    }

    /// Remembers that a letter was sent back.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn resent(&self, letter: &str, to: &str, result: &str) -> std::io::Result<()> {
        let line = LedgerLine {
            at_ms: self.executor.cluster.now_ms(),
            letter: letter.to_owned(),
            user: self.executor.who.user.clone(),
            to: to.to_owned(),
            result: result.to_owned(),
        };
        self.state()?.resent(&line)?;
        if let Ok(mut ledger) = self.executor.ledger.lock() {
            ledger.add(line);
        }
        Ok(())
    }

    /// The jobs of this machine.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn journal(&self) -> std::io::Result<crate::journal::Journal> {
        self.state()?.journal()
    }

    /// The job that this process began last.
    fn newest_job(&self) -> Option<u64> {
        let jobs = self.journal().and_then(|journal| journal.all()).ok()?;
        let own = jobs.iter().rev().find(|job| job.plan.process == std::process::id())?;
        Some(own.plan.job)
    }

    fn state(&self) -> std::io::Result<&StateDir> {
        self.executor.state.as_ref().ok_or_else(|| std::io::Error::other("no state directory"))
    }

    fn start(&mut self, effect: impl FnOnce(Ticket) -> Effect) -> Ticket {
        self.ticket += 1;
        self.executor.run(effect(self.ticket));
        self.ticket
    }

    /// Waits for the event that ends what was started; passes an interrupt on.
    fn wait<T>(&self, mut take: impl FnMut(Event) -> Option<T>) -> T {
        loop {
            match self.events.recv_timeout(LOOK) {
                Ok(event) => {
                    if let Some(end) = take(event) {
                        return end;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    if self.interrupted.load(Ordering::Relaxed) {
                        self.executor.run(Effect::Steer(self.ticket, Steer::Stop));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => unreachable!("the executor has the sender"),
            }
        }
    }
}
