//! The question before the console ends (console-ux.md §4.1).

use ratatui::layout::Rect;

use super::{Ctx, Step, buttons, shell};
use crate::effect::{Effect, Exit};
use crate::event::{Code, Key};
use crate::theme::Role;
use crate::widget::{Canvas, inside};

/// A second Ctrl+C within this time quits at once.
const AGAIN_MS: i64 = 2_000;

/// Keys of the question.
pub const KEYS: &[(&str, &str)] =
    &[("q", "quit"), ("Esc", "stay"), ("Tab", "other button"), ("Enter", "press it")];

/// State of the question.
#[derive(Debug)]
pub struct Quit {
    shown_ms: i64,
    embedded: bool,
    leave_focused: bool,
}

impl Quit {
    /// Asks from now on.
    pub const fn new(now_ms: i64, embedded: bool) -> Self {
        Self { shown_ms: now_ms, embedded, leave_focused: false }
    }

    /// Takes a key: `q` or `y` quits, Enter does what has the focus.
    pub fn key(&mut self, key: Key, _ctx: &Ctx) -> Step {
        match key.code {
            Code::Tab | Code::BackTab | Code::Left | Code::Right => {
                self.leave_focused = !self.leave_focused;
                Step::default()
            }
            Code::Char('q' | 'y') => Step::effect(Effect::Exit(Exit::Quit)),
            Code::Enter if self.leave_focused => Step::effect(Effect::Exit(Exit::Quit)),
            Code::Enter | Code::Esc | Code::Char('n') => Step::closed(),
            _ => Step::default(),
        }
    }

    /// A second Ctrl+C: quits when it comes soon, else starts the question again.
    pub fn interrupt(&mut self, ctx: &Ctx) -> Step {
        if ctx.now_ms - self.shown_ms <= AGAIN_MS {
            return Step::effect(Effect::Exit(Exit::Quit));
        }
        self.shown_ms = ctx.now_ms;
        Step::default()
    }

    /// Draws the question.
    pub fn draw(&self, c: &mut Canvas, screen: Rect, ctx: &Ctx) {
        let mut lines = vec!["Quit mqdeck?  q quits, Esc stays"];
        if self.embedded {
            lines.extend(ctx.clients.as_deref());
            lines.push("The broker and name server run in here: quitting, or closing");
            lines.push("this terminal, stops them cleanly.");
        }
        let height = lines.len() as u16 + 4;
        let area = shell(c, screen, "Quit", "Esc stays", (64, height));
        let inner = inside(area);
        for (i, line) in lines.iter().enumerate().take(usize::from(inner.height)) {
            c.put(inner.x + 1, inner.y + i as u16, inner.width.saturating_sub(2), line, Role::Text);
        }
        if inner.height > lines.len() as u16 {
            let y = inner.bottom() - 1;
            let labels = [("Stay", !self.leave_focused, true), ("Quit", self.leave_focused, true)];
            buttons(c, area, y, &labels);
        }
    }
}
