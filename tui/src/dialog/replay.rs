//! Replay: moves a group's offsets to a time (console-ux.md §7.2).
//!
//! Fields, preview, confirmation, and the result queue by queue. The plan itself is computed by the
//! client; this file decides only what the person may do next.

mod view;

pub use view::outcome_role;

use std::sync::Arc;

use super::{Ctx, Step, complete, quoted};
use crate::data::Name;
use crate::data::fig::Fig;
use crate::data::plan::{ItemOutcome, ReplayAsk, ReplayPath, ReplayPlan, ReplayRow, ReplayTo};
use crate::effect::{AuditNote, Effect, Steer};
use crate::event::{Code, Event, Key, Ticket};
use crate::model::confirm::{Gate, PREVIEW_MAX_AGE_MS, Verdict};
use crate::model::replay::{risk, totals};
use crate::model::time_field::{self, When};
use crate::widget::input::Field;

/// What has the focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Focus {
    Topic(usize),
    Time,
    LeaveOut,
    Name,
    Cancel,
    Run,
}

/// How far the preview is.
#[derive(Debug)]
enum Preview {
    None,
    Computing,
    Ready(Arc<ReplayPlan>),
    Failed(String),
}

/// How far the run is.
#[derive(Debug)]
enum Run {
    Not,
    Going,
    Stopping,
    Done(String),
}

/// State of the dialog.
#[derive(Debug)]
pub struct Replay {
    group: Name,
    topics: Vec<(Name, Option<u32>, bool)>,
    time: Field,
    time_error: Option<String>,
    leave_out: bool,
    name: Field,
    focus: Focus,
    preview: Preview,
    run: Run,
    outcomes: Vec<Option<ItemOutcome>>,
    gate: Gate,
    ticket: Ticket,
    scroll: usize,
    copy: bool,
    wait: bool,
}

impl Replay {
    /// Opens on a group; the time field is empty, for "now" would replay nothing.
    pub fn new(group: Name, topics: Vec<Name>, ticket: Ticket, now_ms: i64) -> Self {
        Self {
            group,
            topics: topics.into_iter().map(|t| (t, None, true)).collect(),
            time: Field::default(),
            time_error: None,
            leave_out: false,
            name: Field::default(),
            focus: Focus::Time,
            preview: Preview::None,
            run: Run::Not,
            outcomes: Vec::new(),
            gate: Gate::shown(now_ms),
            ticket,
            scroll: 0,
            copy: false,
            wait: false,
        }
    }

    fn plan(&self) -> Option<&Arc<ReplayPlan>> {
        match &self.preview {
            Preview::Ready(plan) => Some(plan),
            _ => None,
        }
    }

    fn asks_name(&self, ctx: &Ctx) -> bool {
        self.plan().is_some_and(|p| risk(&p.ask.to, Some(p)).asks_name(ctx.prod))
    }

    fn fields(&self, ctx: &Ctx) -> Vec<Focus> {
        let mut fields: Vec<Focus> = (0..self.topics.len()).map(Focus::Topic).collect();
        fields.push(Focus::Time);
        if let Some(plan) = self.plan() {
            if !plan.silent.is_empty() {
                fields.push(Focus::LeaveOut);
            }
            if self.asks_name(ctx) {
                fields.push(Focus::Name);
            }
        }
        fields.push(Focus::Cancel);
        if self.plan().is_some() {
            fields.push(Focus::Run);
        }
        fields
    }

    /// Esc and Ctrl+C: while it runs, stops after the present queue; else closes.
    pub fn cancel(&mut self) -> Step {
        match self.run {
            Run::Going => {
                self.run = Run::Stopping;
                Step::effect(Effect::Steer(self.ticket, Steer::Stop))
            }
            Run::Stopping => Step::tell("stopping after the present queue"),
            Run::Not | Run::Done(_) => Step::closed(),
        }
    }

    /// Keys for the last row while it runs and after.
    pub const fn keys(&self) -> &'static [(&'static str, &'static str)] {
        match self.run {
            Run::Not | Run::Stopping => &[],
            Run::Going => &[("Esc", "stop after this queue")],
            Run::Done(_) => &[("j k", "scroll"), ("Esc", "close")],
        }
    }

    const fn esc(&self) -> &'static str {
        match self.run {
            Run::Not => "Esc cancel",
            Run::Going => "Esc stops",
            Run::Stopping => "stopping",
            Run::Done(_) => "Esc close",
        }
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key, ctx: &Ctx) -> Step {
        let runs = key == Key::char('R') || (key.code == Code::Enter && self.focus == Focus::Run);
        let in_text = matches!(self.focus, Focus::Time | Focus::Name);
        if runs && !(in_text && key.code != Code::Enter) {
            return self.run_key(ctx);
        }
        self.gate.key(ctx.now_ms);
        self.wait = false;
        match key.code {
            Code::Esc => return self.cancel(),
            _ if !matches!(self.run, Run::Not) => return self.scroll_key(key),
            Code::Tab if self.focus == Focus::Name => {
                match complete(self.name.text(), &ctx.groups) {
                    Some(name) if name != self.name.text() => self.name = Field::with(&name),
                    _ => self.move_focus(ctx, 1),
                }
            }
            Code::Tab => self.move_focus(ctx, 1),
            Code::BackTab => self.move_focus(ctx, -1),
            Code::Enter => return self.enter(ctx),
            _ if in_text => self.text_key(key),
            Code::Char(' ') => self.toggle(),
            Code::Char('y') => self.copy = true,
            Code::Char('c') if self.copy => {
                self.copy = false;
                return self
                    .command(ctx)
                    .map_or_else(Step::default, |text| Step::effect(Effect::Copy(text)));
            }
            _ => return self.scroll_key(key),
        }
        Step::default()
    }

    fn scroll_key(&mut self, key: Key) -> Step {
        self.copy = false;
        match key.code {
            Code::Down | Code::Char('j') => self.scroll = self.scroll.saturating_add(1),
            Code::Up | Code::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            Code::PageDown => self.scroll = self.scroll.saturating_add(8),
            Code::PageUp => self.scroll = self.scroll.saturating_sub(8),
            Code::Enter | Code::Char('q') if matches!(self.run, Run::Done(_)) => {
                return Step::closed();
            }
            _ => {}
        }
        let len = self.plan().map_or(0, |p| p.rows.len());
        self.scroll = self.scroll.min(len.saturating_sub(1));
        Step::default()
    }

    fn text_key(&mut self, key: Key) {
        match self.focus {
            Focus::Time => {
                let before = self.time.text().to_owned();
                self.time.key(key);
                if before != self.time.text() {
                    self.forget();
                }
            }
            _ => {
                self.name.key(key);
            }
        }
    }

    /// A change of any field empties the preview.
    fn forget(&mut self) {
        self.preview = Preview::None;
        self.time_error = None;
        self.scroll = 0;
        self.ticket += 1;
    }

    fn move_focus(&mut self, ctx: &Ctx, step: isize) {
        let fields = self.fields(ctx);
        let at = fields.iter().position(|f| *f == self.focus).unwrap_or(0) as isize;
        let next = (at + step).rem_euclid(fields.len() as isize) as usize;
        self.focus = fields[next];
    }

    fn toggle(&mut self) {
        match self.focus {
            Focus::Topic(i) => {
                if let Some(topic) = self.topics.get_mut(i) {
                    topic.2 = !topic.2;
                    self.forget();
                }
            }
            Focus::LeaveOut => {
                self.leave_out = !self.leave_out;
                self.gate.key(0);
            }
            _ => {}
        }
    }

    fn enter(&mut self, ctx: &Ctx) -> Step {
        match self.focus {
            Focus::Cancel => self.cancel(),
            Focus::Name => {
                self.focus = Focus::Cancel;
                Step::default()
            }
            _ => self.compute(ctx),
        }
    }

    fn compute(&mut self, ctx: &Ctx) -> Step {
        let to = match time_field::parse(self.time.text(), ctx.now_ms, ctx.zone) {
            Ok(When::At(ms)) => ReplayTo::Time(ms),
            Ok(When::Start) => ReplayTo::Start,
            Ok(When::End) => ReplayTo::End,
            Err(error) => {
                self.time_error = Some(error.to_string());
                return Step::default();
            }
        };
        let topics: Vec<Name> =
            self.topics.iter().filter(|t| t.2).map(|t| Arc::clone(&t.0)).collect();
        if topics.is_empty() && !self.topics.is_empty() {
            self.time_error = Some("tick a topic".to_owned());
            return Step::default();
        }
        let silent = self.plan().map(|p| p.silent.clone()).unwrap_or_default();
        let leave_out = if self.leave_out { silent } else { Vec::new() };
        self.forget();
        self.preview = Preview::Computing;
        let ask =
            ReplayAsk { group: Arc::clone(&self.group), topics, to, queues: Vec::new(), leave_out };
        Step::effect(Effect::PlanReplay(self.ticket, ask))
    }

    fn blocked(&self, ctx: &Ctx) -> Option<String> {
        let Some(plan) = self.plan() else {
            return Some("Enter computes the preview first".into());
        };
        if let ReplayPath::Blocked(why) = &plan.path {
            return Some(why.clone());
        }
        if !plan.silent.is_empty() && !self.leave_out {
            return Some(format!("{} does not answer: tick \"leave out\"", plan.silent.join(", ")));
        }
        if self.asks_name(ctx) && self.name.text() != &*self.group {
            return Some(format!("type {} first", self.group));
        }
        let moves = |r: &ReplayRow| r.now != r.target && r.target.value().is_some();
        (!plan.rows.iter().any(moves)).then(|| "nothing would move".to_owned())
    }

    fn run_key(&mut self, ctx: &Ctx) -> Step {
        self.copy = false;
        if !matches!(self.run, Run::Not) {
            return Step::default();
        }
        let verdict = self.gate.run(ctx.now_ms);
        if let Some(why) = self.blocked(ctx) {
            return Step::tell(why);
        }
        if verdict == Verdict::Wait {
            self.wait = true;
            return Step::default();
        }
        self.wait = false;
        let Some(plan) = self.plan().cloned() else { return Step::default() };
        if ctx.now_ms - plan.computed_ms > PREVIEW_MAX_AGE_MS {
            let mut step = self.compute(ctx);
            step.tell = Some("the preview was older than 30 s: look again, then R".to_owned());
            return step;
        }
        self.run = Run::Going;
        self.outcomes = vec![None; plan.rows.len()];
        self.scroll = 0;
        let note = self.note(&plan, ctx);
        Step::effect(Effect::RunReplay(self.ticket, plan, note))
    }

    fn note(&self, plan: &ReplayPlan, ctx: &Ctx) -> AuditNote {
        let sums = totals(plan);
        AuditNote {
            action: "replay",
            targets: plan
                .rows
                .iter()
                .map(|r| {
                    let at = |f: &Fig<u64>| f.text(u64::to_string);
                    format!(
                        "{} {} q{}: {} -> {}",
                        r.topic,
                        r.broker,
                        r.queue,
                        at(&r.now),
                        at(&r.target)
                    )
                })
                .collect(),
            preview: format!(
                "{}: {} again, {} skipped",
                self.group,
                sums.again.text(u64::to_string),
                sums.skipped.text(u64::to_string)
            ),
            command: self.command(ctx).unwrap_or_default(),
        }
    }

    /// The command that would do the same.
    fn command(&self, ctx: &Ctx) -> Option<String> {
        use std::fmt::Write as _;
        let plan = self.plan()?;
        let mut text = format!(
            "mqdeck --context {} replay --group {}",
            quoted(&ctx.context),
            quoted(&self.group)
        );
        for topic in &plan.ask.topics {
            let _ = write!(text, " --topic {}", quoted(topic)); // writing to a String cannot fail
        }
        let to = match plan.ask.to {
            ReplayTo::Time(ms) => ctx.zone.iso(ms),
            ReplayTo::Offset(offset) => format!("offset:{offset}"),
            ReplayTo::Start => "start".to_owned(),
            ReplayTo::End => "end".to_owned(),
        };
        let _ = write!(text, " --to {to}");
        Some(text)
    }

    /// Takes pasted text.
    pub fn paste(&mut self, text: &str, ctx: &Ctx) {
        self.gate.key(ctx.now_ms);
        match self.focus {
            Focus::Time if matches!(self.run, Run::Not) => {
                self.time.paste(text);
                self.forget();
            }
            Focus::Name => self.name.paste(text),
            _ => {}
        }
    }

    /// Takes an answer.
    pub fn answer(&mut self, event: Event, ctx: &Ctx) -> Step {
        match event {
            Event::ReplayPlanned(ticket, result) if ticket == self.ticket => {
                self.planned(result, ctx);
            }
            Event::ReplayItem(ticket, index, outcome) if ticket == self.ticket => {
                if let Some(slot) = self.outcomes.get_mut(index) {
                    *slot = Some(outcome);
                }
            }
            Event::ReplayDone(ticket, stopped) if ticket == self.ticket => {
                self.run = Run::Done(self.summary(stopped));
            }
            _ => {}
        }
        Step::default()
    }

    fn planned(&mut self, result: Result<Box<ReplayPlan>, crate::data::Problem>, ctx: &Ctx) {
        match result {
            Err(problem) => {
                self.preview = Preview::Failed(format!("{} {}", problem.line(), problem.remark));
            }
            Ok(plan) => {
                self.topics = plan
                    .topics
                    .iter()
                    .map(|(t, q)| (Arc::clone(t), Some(*q), plan.ask.topics.contains(t)))
                    .collect();
                self.preview = Preview::Ready(Arc::from(plan));
                self.focus = if self.asks_name(ctx) { Focus::Name } else { Focus::Cancel };
            }
        }
    }

    fn summary(&self, stopped: Option<String>) -> String {
        let (mut done, mut unchanged, mut refused, mut unknown, mut not) = (0, 0, 0, 0, 0);
        for outcome in &self.outcomes {
            match outcome {
                Some(ItemOutcome::Done(_)) => done += 1,
                Some(ItemOutcome::Unchanged) => unchanged += 1,
                Some(ItemOutcome::Refused(_) | ItemOutcome::Gone) => refused += 1,
                Some(ItemOutcome::Unknown(_)) => unknown += 1,
                Some(ItemOutcome::NotTried) | None => not += 1,
            }
        }
        let mut parts = vec![format!("{done} of {} queues moved", self.outcomes.len())];
        for (n, word) in [
            (unchanged, "unchanged"),
            (refused, "refused"),
            (unknown, "unknown"),
            (not, "not tried"),
        ] {
            if n > 0 {
                parts.push(format!("{n} {word}"));
            }
        }
        let mut text = parts.join(", ");
        if let Some(why) = stopped {
            text = format!("{text} · stopped: {why}");
        }
        text
    }
}
