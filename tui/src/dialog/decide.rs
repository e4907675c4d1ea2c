//! Deciding a transaction in its producer's place: commit (risk 2) or roll back (risk 3)
//! (console-screens.md §6.10).
//!
//! The broker is read again before the decision, so what was drawn may be old: a transaction that its
//! producer decided meanwhile is left alone and reported as gone.

use ratatui::layout::Rect;

use super::{Ctx, Step, buttons, quoted, shell};
use crate::data::plan::ItemOutcome;
use crate::effect::{AuditNote, Effect};
use crate::event::{Code, Event, Key, Ticket};
use crate::model::confirm::{Gate, Risk, Verdict as Press};
use crate::survey::transactions::{Half, Verdict};
use crate::theme::Role;
use crate::widget::input::Field;
use crate::widget::{Canvas, inside};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Focus {
    Name,
    Cancel,
    Run,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Asking,
    Going,
    Done(ItemOutcome),
}

/// State of the dialog.
#[derive(Debug)]
pub struct Decide {
    half: Half,
    verdict: Verdict,
    ticket: Ticket,
    gate: Gate,
    focus: Focus,
    name: Field,
    state: State,
}

impl Decide {
    /// About one transaction.
    pub fn new(half: Half, verdict: Verdict, ticket: Ticket, ctx: &Ctx) -> Self {
        let mut this = Self {
            half,
            verdict,
            ticket,
            gate: Gate::shown(ctx.now_ms),
            focus: Focus::Cancel,
            name: Field::default(),
            state: State::Asking,
        };
        if this.asks_name(ctx) {
            this.focus = Focus::Name;
        }
        this
    }

    const fn risk(&self) -> Risk {
        match self.verdict {
            Verdict::Commit => Risk::Two,
            Verdict::Rollback => Risk::Three,
        }
    }

    const fn asks_name(&self, ctx: &Ctx) -> bool {
        self.risk().asks_name(ctx.prod)
    }

    const fn verb(&self) -> &'static str {
        match self.verdict {
            Verdict::Commit => "Commit",
            Verdict::Rollback => "Roll back",
        }
    }

    /// Keys for the last row.
    pub const fn keys(&self) -> &'static [(&'static str, &'static str)] {
        match self.state {
            State::Asking => {
                &[("R", "run"), ("Tab", "next field"), ("Enter", "go on"), ("Esc", "cancel")]
            }
            State::Going => &[],
            State::Done(_) => &[("Esc", "close")],
        }
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key, ctx: &Ctx) -> Step {
        match self.state {
            State::Asking => {}
            State::Going => return Step::tell("the broker is asked: wait for its answer"),
            State::Done(_) => {
                let close = matches!(key.code, Code::Esc | Code::Enter | Code::Char('q'));
                return if close { Step::closed() } else { Step::default() };
            }
        }
        match (key.code, self.focus) {
            (Code::Esc, _) | (Code::Enter, Focus::Cancel) => return Step::closed(),
            (Code::Char('R'), Focus::Cancel | Focus::Run) | (Code::Enter, Focus::Run) => {
                return self.run(ctx);
            }
            (Code::Enter, Focus::Name) => self.focus = Focus::Cancel,
            (Code::Tab | Code::BackTab, _) => self.next(key.code == Code::BackTab, ctx),
            (_, Focus::Name) => {
                self.name.key(key);
            }
            _ => {}
        }
        self.gate.key(ctx.now_ms);
        Step::default()
    }

    fn next(&mut self, back: bool, ctx: &Ctx) {
        let first = if self.asks_name(ctx) { Focus::Name } else { Focus::Cancel };
        self.focus = match (self.focus, back) {
            (Focus::Name, false) | (Focus::Run, true) => Focus::Cancel,
            (Focus::Run, false) => first,
            (Focus::Cancel, true) if first == Focus::Name => Focus::Name,
            (Focus::Name, true) | (Focus::Cancel, _) => Focus::Run,
        };
    }

    fn run(&mut self, ctx: &Ctx) -> Step {
        if self.asks_name(ctx) && self.name.text() != self.half.group {
            self.gate.key(ctx.now_ms);
            return Step::tell(format!("type {} first", self.half.group));
        }
        if self.gate.run(ctx.now_ms) == Press::Wait {
            return Step::tell("too fast: wait a moment, then press again");
        }
        self.state = State::Going;
        let note = self.note();
        Step::effect(Effect::Decide(self.ticket, Box::new(self.half.clone()), self.verdict, note))
    }

    fn note(&self) -> AuditNote {
        let half = &self.half;
        let (action, command) = match self.verdict {
            Verdict::Commit => ("commit half", "commit"),
            Verdict::Rollback => ("roll back half", "rollback"),
        };
        AuditNote {
            action,
            targets: vec![half.id.clone()],
            preview: format!("{} of {} to {}", half.id, half.group, half.topic),
            command: format!("mqdeck transactions {command} {}", quoted(&half.id)),
        }
    }

    /// Takes pasted text.
    pub fn paste(&mut self, text: &str, ctx: &Ctx) {
        if self.focus == Focus::Name && self.state == State::Asking {
            self.name.paste(text);
        }
        self.gate.key(ctx.now_ms);
    }

    /// Takes the outcome.
    pub fn answer(&mut self, event: Event) -> Step {
        if let Event::Decided(ticket, outcome) = event
            && ticket == self.ticket
        {
            self.state = State::Done(outcome);
        }
        Step::default()
    }

    fn lines(&self, ctx: &Ctx) -> Vec<(Role, String)> {
        let half = &self.half;
        let online = half.producers.text(|n| format!("{n} online"));
        let keys = if half.keys.is_empty() { "–" } else { &half.keys };
        let effect = match self.verdict {
            Verdict::Commit => format!("{} gets the message now, and all its readers", half.topic),
            Verdict::Rollback => format!("{} never gets the message: it is lost", half.topic),
        };
        let mut lines = vec![
            (Role::Text, format!("{} · keys {keys}", half.id)),
            (Role::Text, format!("sent {} by {}", ctx.zone.full(half.born_ms), half.group)),
            (Role::Text, format!("checked {} times · its producers: {online}", half.checks)),
            (Role::TextStrong, effect),
            (Role::Warn, "this overrules the producer, whatever it would answer".to_owned()),
        ];
        if ctx.commands {
            lines.push((Role::TextDim, self.note().command));
        }
        lines
    }

    /// Draws the dialog.
    pub fn draw(&self, c: &mut Canvas, screen: Rect, ctx: &Ctx) {
        let title = format!("{} one transaction · risk {}", self.verb(), self.risk().number());
        let esc = if self.state == State::Asking { "Esc cancel" } else { "Esc close" };
        let lines = self.lines(ctx);
        let area = shell(c, screen, &title, esc, (78, lines.len() as u16 + 5));
        let inner = inside(area);
        let (x, w) = (inner.x + 1, inner.width.saturating_sub(2));
        for (i, (role, text)) in lines.iter().enumerate().take(usize::from(inner.height)) {
            c.put(x, inner.y + i as u16, w, text, *role);
        }
        let y = inner.y + lines.len() as u16 + 1;
        if y >= inner.bottom() {
            return;
        }
        match &self.state {
            State::Asking if self.asks_name(ctx) => {
                let used = c.put(x, y, w, &format!("type {} ", self.half.group), Role::TextDim);
                let room = w.saturating_sub(used).min(40);
                self.name.draw(c, (x + used, y), room, self.focus == Focus::Name, "");
            }
            State::Asking => {}
            State::Going => {
                c.put(x, y, w, "asking the broker…", Role::TextDim);
            }
            State::Done(outcome) => {
                c.put(x, y, w, &outcome.text(), super::replay::outcome_role(outcome));
            }
        }
        if self.state == State::Asking && y + 1 < inner.bottom() {
            let typed = !self.asks_name(ctx) || self.name.text() == self.half.group;
            let labels = [
                ("Cancel", self.focus == Focus::Cancel, true),
                (self.verb(), self.focus == Focus::Run, typed),
            ];
            buttons(c, area, inner.bottom() - 1, &labels);
        }
    }
}
