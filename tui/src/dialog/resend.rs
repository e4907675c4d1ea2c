//! Resend: sends copies of dead letters (console-ux.md §7.3).
//!
//! The letters are looked up before the dialog can run: what was sent back before is left out. The
//! result is listed letter by letter, and "all sent" is said only when sent = selected.

mod view;

use std::sync::Arc;

use super::{Ctx, Step, complete, quoted};
use crate::data::plan::{ItemOutcome, Reader, ResendAsk, ResendPlan, ResendRun, ResendTo};
use crate::data::{Letter, Name, Problem};
use crate::effect::{AuditNote, Effect, Steer};
use crate::event::{Code, Event, Key, Ticket};
use crate::model::confirm::{Gate, PREVIEW_MAX_AGE_MS, Risk, Verdict};
use crate::model::resend::{order, was_sent};
use crate::widget::input::Field;

/// Rates a person may ask for, messages per second.
const RATE_MAX: u32 = 10_000;
const RATE_DEFAULT: &str = "50";
const STOP_DEFAULT: &str = "5";

/// What has the focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Focus {
    To(usize),
    Topic,
    ReaderUnknown,
    Hidden,
    KeepId,
    Rate,
    Order,
    Stop,
    LeaveOut,
    Name,
    Cancel,
    Run,
}

/// How far the check is.
#[derive(Debug)]
enum Check {
    Going(Option<Arc<ResendPlan>>),
    Ready(Arc<ResendPlan>),
    Failed(String),
}

/// How far the run is.
#[derive(Debug, PartialEq, Eq)]
enum Run {
    Not,
    Going,
    Paused,
    Stopping,
    Done(String),
}

/// State of the dialog.
#[derive(Debug)]
pub struct Resend {
    group: Name,
    shown: Vec<Letter>,
    hidden: Vec<Letter>,
    include_hidden: bool,
    letters: Arc<[Letter]>,
    to: usize,
    topic: Field,
    accept_unknown: bool,
    keep_id: bool,
    rate: Field,
    oldest_first: bool,
    stop_after: Field,
    leave_out: bool,
    name: Field,
    focus: Focus,
    check: Check,
    run: Run,
    order: Vec<usize>,
    outcomes: Vec<Option<ItemOutcome>>,
    gate: Gate,
    ticket: Ticket,
    scroll: usize,
    list_all: bool,
    copy: bool,
    wait: bool,
}

impl Resend {
    /// Opens on letters and starts their check.
    pub fn new(
        group: Name,
        shown: Vec<Letter>,
        hidden: Vec<Letter>,
        ticket: Ticket,
        now_ms: i64,
    ) -> (Self, Vec<Effect>) {
        let mut dialog = Self {
            group,
            letters: shown.clone().into(),
            shown,
            hidden,
            include_hidden: false,
            to: 0,
            topic: Field::default(),
            accept_unknown: false,
            keep_id: true,
            rate: Field::with(RATE_DEFAULT),
            oldest_first: true,
            stop_after: Field::with(STOP_DEFAULT),
            leave_out: true,
            name: Field::default(),
            focus: Focus::Cancel,
            check: Check::Going(None),
            run: Run::Not,
            order: Vec::new(),
            outcomes: Vec::new(),
            gate: Gate::shown(now_ms),
            ticket,
            scroll: 0,
            list_all: false,
            copy: false,
            wait: false,
        };
        let effects = dialog.recheck();
        (dialog, effects)
    }

    fn target(&self) -> ResendTo {
        match self.to {
            0 => ResendTo::Group,
            1 => ResendTo::Origin,
            _ => ResendTo::Topic(self.topic.text().trim().to_owned()),
        }
    }

    /// Any change of what is sent or whereto starts the check again.
    fn recheck(&mut self) -> Vec<Effect> {
        let mut letters = self.shown.clone();
        if self.include_hidden {
            letters.extend(self.hidden.iter().cloned());
        }
        self.letters = letters.into();
        self.ticket += 1;
        self.check = Check::Going(None);
        if self.target() == ResendTo::Topic(String::new()) {
            return Vec::new();
        }
        let ask = ResendAsk {
            group: Arc::clone(&self.group),
            letters: Arc::clone(&self.letters),
            to: self.target(),
        };
        vec![Effect::CheckResend(self.ticket, ask)]
    }

    fn plan(&self) -> Option<&Arc<ResendPlan>> {
        match &self.check {
            Check::Ready(plan) | Check::Going(Some(plan)) => Some(plan),
            _ => None,
        }
    }

    fn ready(&self) -> Option<&Arc<ResendPlan>> {
        match &self.check {
            Check::Ready(plan) => Some(plan),
            _ => None,
        }
    }

    fn risk(&self, ctx: &Ctx) -> Risk {
        let risk = if self.letters.len() == 1 { Risk::One } else { Risk::Two };
        risk.in_context(ctx.prod)
    }

    fn asks_name(&self, ctx: &Ctx) -> bool {
        self.risk(ctx).asks_name(ctx.prod)
    }

    fn asks_reader(&self) -> bool {
        self.to == 0 && self.plan().is_some_and(|p| matches!(p.reader, Reader::Unknown(_)))
    }

    fn again(&self) -> usize {
        self.plan().map_or(0, |p| p.twice.iter().filter(|t| was_sent(t)).count())
    }

    /// Indices of the letters that would be sent, in order.
    fn selection(&self) -> Vec<usize> {
        let Some(plan) = self.plan() else { return Vec::new() };
        order(&self.letters, &plan.twice, self.leave_out, self.oldest_first)
    }

    fn fields(&self, ctx: &Ctx) -> Vec<Focus> {
        let mut fields = vec![Focus::To(0), Focus::To(1), Focus::To(2)];
        if self.to == 2 {
            fields.push(Focus::Topic);
        }
        if self.asks_reader() {
            fields.push(Focus::ReaderUnknown);
        }
        fields.extend([Focus::KeepId, Focus::Rate, Focus::Order, Focus::Stop]);
        if !self.hidden.is_empty() {
            fields.push(Focus::Hidden);
        }
        if self.again() > 0 {
            fields.push(Focus::LeaveOut);
        }
        if self.asks_name(ctx) {
            fields.push(Focus::Name);
        }
        fields.extend([Focus::Cancel, Focus::Run]);
        fields
    }

    const fn in_text(&self) -> bool {
        matches!(self.focus, Focus::Topic | Focus::Rate | Focus::Stop | Focus::Name)
    }

    /// Esc and Ctrl+C: while it runs, stops after the present letter; else closes.
    pub fn cancel(&mut self) -> Step {
        match self.run {
            Run::Going | Run::Paused => {
                self.run = Run::Stopping;
                Step::effect(Effect::Steer(self.ticket, Steer::Stop))
            }
            Run::Stopping => Step::tell("stopping after the present letter"),
            Run::Not | Run::Done(_) => Step::closed(),
        }
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key, ctx: &Ctx) -> Step {
        let runs = key == Key::char('R') && !self.in_text()
            || key.code == Code::Enter && self.focus == Focus::Run;
        if runs && self.run == Run::Not {
            return self.run_key(ctx);
        }
        self.gate.key(ctx.now_ms);
        self.wait = false;
        if self.run != Run::Not {
            return self.running_key(key);
        }
        match key.code {
            Code::Esc => return self.cancel(),
            Code::Tab if self.focus == Focus::Name => match complete(self.name.text(), &ctx.groups)
            {
                Some(name) if name != self.name.text() => self.name = Field::with(&name),
                _ => self.move_focus(ctx, 1),
            },
            Code::Tab => self.move_focus(ctx, 1),
            Code::BackTab => self.move_focus(ctx, -1),
            Code::Enter => return self.enter(),
            _ if self.in_text() => return self.text_key(key),
            Code::Char(' ') => return self.toggle(),
            Code::Char('v') => self.list_all = !self.list_all,
            Code::Char('y') => self.copy = true,
            Code::Char('c') if self.copy => {
                self.copy = false;
                return Step::effect(Effect::Copy(self.command(ctx)));
            }
            _ => self.scroll_key(key),
        }
        Step::default()
    }

    fn running_key(&mut self, key: Key) -> Step {
        match (key.code, &self.run) {
            (Code::Esc, _) => return self.cancel(),
            (Code::Char('p' | ' '), Run::Going) => {
                self.run = Run::Paused;
                return Step::effect(Effect::Steer(self.ticket, Steer::Pause));
            }
            (Code::Char('p' | ' '), Run::Paused) => {
                self.run = Run::Going;
                return Step::effect(Effect::Steer(self.ticket, Steer::Resume));
            }
            (Code::Char('f'), Run::Done(_)) => return self.failed_again(),
            (Code::Enter | Code::Char('q'), Run::Done(_)) => return Step::closed(),
            _ => self.scroll_key(key),
        }
        Step::default()
    }

    /// Opens the dialog anew on the letters that failed: check, preview, R.
    fn failed_again(&mut self) -> Step {
        let failed: Vec<Letter> = self
            .order
            .iter()
            .zip(&self.outcomes)
            .filter(|(_, o)| !matches!(o, Some(ItemOutcome::Done(_) | ItemOutcome::Gone)))
            .filter_map(|(i, _)| self.letters.get(*i).cloned())
            .collect();
        if failed.is_empty() {
            return Step::tell("nothing failed");
        }
        self.shown = failed;
        self.hidden.clear();
        self.include_hidden = false;
        self.run = Run::Not;
        self.outcomes.clear();
        self.scroll = 0;
        self.focus = Focus::Cancel;
        Step { effects: self.recheck(), ..Step::default() }
    }

    fn scroll_key(&mut self, key: Key) {
        self.copy = false;
        match key.code {
            Code::Down | Code::Char('j') => self.scroll = self.scroll.saturating_add(1),
            Code::Up | Code::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            Code::PageDown => self.scroll = self.scroll.saturating_add(6),
            Code::PageUp => self.scroll = self.scroll.saturating_sub(6),
            _ => {}
        }
        self.scroll = self.scroll.min(self.letters.len().saturating_sub(1));
    }

    fn text_key(&mut self, key: Key) -> Step {
        let field = match self.focus {
            Focus::Topic => &mut self.topic,
            Focus::Rate => &mut self.rate,
            Focus::Stop => &mut self.stop_after,
            _ => &mut self.name,
        };
        let before = field.text().to_owned();
        field.key(key);
        let changed = field.text() != before;
        if changed && self.focus == Focus::Topic {
            self.check = Check::Going(None);
            self.ticket += 1;
        }
        Step::default()
    }

    fn move_focus(&mut self, ctx: &Ctx, step: isize) {
        let fields = self.fields(ctx);
        let at = fields.iter().position(|f| *f == self.focus).unwrap_or(0) as isize;
        self.focus = fields[(at + step).rem_euclid(fields.len() as isize) as usize];
    }

    fn toggle(&mut self) -> Step {
        match self.focus {
            Focus::To(i) => return self.choose(i),
            Focus::ReaderUnknown => self.accept_unknown = !self.accept_unknown,
            Focus::KeepId => self.keep_id = !self.keep_id,
            Focus::Order => self.oldest_first = !self.oldest_first,
            Focus::LeaveOut => self.leave_out = !self.leave_out,
            Focus::Hidden => {
                self.include_hidden = !self.include_hidden;
                return Step { effects: self.recheck(), ..Step::default() };
            }
            _ => {}
        }
        Step::default()
    }

    fn choose(&mut self, to: usize) -> Step {
        if self.to == to {
            return Step::default();
        }
        self.to = to;
        if to == 2 {
            self.focus = Focus::Topic;
        }
        Step { effects: self.recheck(), ..Step::default() }
    }

    fn enter(&mut self) -> Step {
        match self.focus {
            Focus::Cancel => self.cancel(),
            Focus::Name => {
                self.focus = Focus::Cancel;
                Step::default()
            }
            Focus::Topic => Step { effects: self.recheck(), ..Step::default() },
            _ => self.toggle(),
        }
    }

    fn numbers(&self) -> Option<(u32, u32)> {
        let rate = self.rate.text().trim().parse().ok().filter(|r| (1..=RATE_MAX).contains(r))?;
        let stop = self.stop_after.text().trim().parse().ok().filter(|s| *s >= 1)?;
        Some((rate, stop))
    }

    fn blocked(&self, ctx: &Ctx) -> Option<String> {
        let Some(plan) = self.ready() else { return Some("the letters are still checked".into()) };
        if self.to == 0
            && let Reader::Never(why) = &plan.reader
        {
            return Some(why.clone());
        }
        if self.asks_reader() && !self.accept_unknown {
            return Some("tick that it is not known whether the group reads it".to_owned());
        }
        if self.numbers().is_none() {
            return Some(format!("rate is 1 to {RATE_MAX}, stop after is at least 1"));
        }
        if self.selection().is_empty() {
            return Some("nothing is left to send".to_owned());
        }
        (self.asks_name(ctx) && self.name.text() != &*self.group)
            .then(|| format!("type {} first", self.group))
    }

    fn run_key(&mut self, ctx: &Ctx) -> Step {
        self.copy = false;
        let verdict = self.gate.run(ctx.now_ms);
        if let Some(why) = self.blocked(ctx) {
            return Step::tell(why);
        }
        if verdict == Verdict::Wait {
            self.wait = true;
            return Step::default();
        }
        self.wait = false;
        let (Some(plan), Some((per_second, stop_after))) = (self.ready().cloned(), self.numbers())
        else {
            return Step::default();
        };
        if ctx.now_ms - plan.checked_ms > PREVIEW_MAX_AGE_MS {
            return Step {
                effects: self.recheck(),
                tell: Some("the check was older than 30 s: look again, then R".to_owned()),
                ..Step::default()
            };
        }
        self.order = self.selection();
        self.outcomes = vec![None; self.order.len()];
        self.run = Run::Going;
        self.scroll = 0;
        let run = ResendRun {
            ask: plan.ask.clone(),
            retry_topic: plan.retry_topic.clone(),
            order: self.order.clone(),
            keep_id: self.keep_id,
            per_second,
            stop_after,
        };
        let note = AuditNote {
            action: "resend",
            targets: self.order.iter().map(|i| self.letters[*i].key()).collect(),
            preview: format!(
                "{} of {} letters to {}",
                self.order.len(),
                self.letters.len(),
                self.whereto()
            ),
            command: self.command(ctx),
        };
        Step::effect(Effect::RunResend(self.ticket, Arc::new(run), note))
    }

    fn whereto(&self) -> String {
        match self.target() {
            ResendTo::Group => format!("group {}", self.group),
            ResendTo::Origin => "their origin topics".to_owned(),
            ResendTo::Topic(topic) => format!("topic {topic}"),
        }
    }

    fn command(&self, ctx: &Ctx) -> String {
        let to = match self.target() {
            ResendTo::Group => "group".to_owned(),
            ResendTo::Origin => "origin".to_owned(),
            ResendTo::Topic(topic) => format!("topic:{}", quoted(&topic)),
        };
        format!(
            "mqdeck --context {} dlq resend --group {} --to {to} --rate {} --ids @marked.txt",
            quoted(&ctx.context),
            quoted(&self.group),
            self.rate.text()
        )
    }

    /// Takes pasted text.
    pub fn paste(&mut self, text: &str, ctx: &Ctx) {
        self.gate.key(ctx.now_ms);
        match self.focus {
            Focus::Topic => {
                self.topic.paste(text);
                self.check = Check::Going(None);
                self.ticket += 1;
            }
            Focus::Rate => self.rate.paste(text),
            Focus::Stop => self.stop_after.paste(text),
            Focus::Name => self.name.paste(text),
            _ => {}
        }
    }

    /// Takes an answer.
    pub fn answer(&mut self, event: Event, ctx: &Ctx) -> Step {
        match event {
            Event::ResendChecked(ticket, result) if ticket == self.ticket => {
                self.checked(result, ctx);
            }
            Event::ResendItem(ticket, index, outcome) if ticket == self.ticket => {
                let unmark = matches!(outcome, ItemOutcome::Done(_))
                    .then(|| self.order.get(index).and_then(|i| self.letters.get(*i)))
                    .flatten()
                    .map(Letter::key);
                if let Some(slot) = self.outcomes.get_mut(index) {
                    *slot = Some(outcome);
                }
                return Step { unmark, ..Step::default() };
            }
            Event::ResendDone(ticket, stopped) if ticket == self.ticket => {
                self.run = Run::Done(self.summary(stopped));
            }
            _ => {}
        }
        Step::default()
    }

    fn checked(&mut self, result: Result<Box<ResendPlan>, Problem>, ctx: &Ctx) {
        match result {
            Err(problem) => {
                self.check = Check::Failed(format!("{} {}", problem.line(), problem.remark));
            }
            Ok(plan) if !plan.complete => self.check = Check::Going(Some(Arc::from(plan))),
            Ok(plan) => {
                let first = matches!(self.check, Check::Going(_));
                if self.to == 0
                    && matches!(plan.reader, Reader::Never(_))
                    && self.focus == Focus::Cancel
                {
                    self.focus = Focus::To(1);
                }
                self.check = Check::Ready(Arc::from(plan));
                if first && self.focus == Focus::Cancel && self.asks_name(ctx) {
                    self.focus = Focus::Name;
                } else if first && self.focus == Focus::Cancel && self.risk(ctx) == Risk::One {
                    self.focus = Focus::Run;
                }
            }
        }
    }

    fn summary(&self, stopped: Option<String>) -> String {
        let (mut sent, mut gone, mut failed, mut unknown, mut not) = (0, 0, 0, 0, 0);
        for outcome in &self.outcomes {
            match outcome {
                Some(ItemOutcome::Done(_)) => sent += 1,
                Some(ItemOutcome::Gone) => gone += 1,
                Some(ItemOutcome::Refused(_)) => failed += 1,
                Some(ItemOutcome::Unknown(_)) => unknown += 1,
                Some(ItemOutcome::NotTried | ItemOutcome::Unchanged) | None => not += 1,
            }
        }
        let selected = self.outcomes.len();
        let left_out = self.letters.len().saturating_sub(selected);
        let mut text = if sent == 1 && selected == 1 {
            "Sent".to_owned()
        } else if sent == selected {
            format!("All {sent} sent")
        } else {
            format!("{sent} of {selected} sent")
        };
        for (n, word) in [
            (failed, "failed"),
            (unknown, "sent but not confirmed"),
            (gone, "gone"),
            (not, "not tried"),
            (left_out, "left out"),
        ] {
            if n > 0 {
                text = format!("{text}, {n} {word}");
            }
        }
        match stopped {
            Some(why) => format!("{text} · stopped: {why}"),
            None => text,
        }
    }
}
