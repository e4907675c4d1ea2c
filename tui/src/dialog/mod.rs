//! Dialogs: they take every key while they are open, and nothing runs without a complete preview.
//!
//! Each dialog decides in `key` and `answer` (pure) and draws itself. Spec: console-ux.md §7.

pub mod decide;
pub mod quit;
pub mod replay;
pub mod resend;

use ratatui::layout::Rect;

use crate::data::{Letter, Name};
use crate::effect::Effect;
use crate::event::{Event, Key, Ticket};
use crate::model::clock::Zone;
use crate::theme::Role;
use crate::widget::{Canvas, Hit, seg};

/// Widest dialog.
const WIDTH_MAX: u16 = 116;
/// From this width on a dialog uses its wide form.
const WIDE: u16 = 110;
/// Requests that one dialog may number.
const TICKETS_EACH: Ticket = 1_000;

/// What a dialog may know of the console.
#[derive(Clone, Debug)]
pub struct Ctx {
    pub now_ms: i64,
    pub zone: Zone,
    pub prod: bool,
    pub context: String,
    pub commands: bool,
    /// Connected clients in words, when some are.
    pub clients: Option<String>,
    pub groups: Vec<Name>,
}

/// What a dialog wants done.
#[derive(Debug, Default)]
pub struct Step {
    pub effects: Vec<Effect>,
    pub close: bool,
    pub tell: Option<String>,
    /// Key of a letter whose mark has done its work.
    pub unmark: Option<String>,
}

impl Step {
    /// Closes the dialog.
    pub fn closed() -> Self {
        Self { close: true, ..Self::default() }
    }

    /// One effect.
    pub fn effect(effect: Effect) -> Self {
        Self { effects: vec![effect], ..Self::default() }
    }

    /// Only words.
    pub fn tell(text: impl Into<String>) -> Self {
        Self { tell: Some(text.into()), ..Self::default() }
    }
}

/// The dialogs of this console.
#[derive(Debug)]
pub enum Dialog {
    Quit(quit::Quit),
    Replay(Box<replay::Replay>),
    Resend(Box<resend::Resend>),
    Decide(Box<decide::Decide>),
}

impl Dialog {
    /// Asks whether to quit.
    pub fn quit(ctx: &Ctx, embedded: bool) -> Self {
        Self::Quit(quit::Quit::new(ctx.now_ms, embedded))
    }

    /// Moves a group's offsets.
    pub fn replay(group: Name, topics: Vec<Name>, ticket: Ticket, ctx: &Ctx) -> Self {
        let base = ticket * TICKETS_EACH;
        Self::Replay(Box::new(replay::Replay::new(group, topics, base, ctx.now_ms)))
    }

    /// Sends copies of dead letters; the check starts at once.
    pub fn resend(
        group: Name,
        shown: Vec<Letter>,
        hidden: Vec<Letter>,
        ticket: Ticket,
        ctx: &Ctx,
    ) -> (Self, Vec<Effect>) {
        let (dialog, effects) =
            resend::Resend::new(group, shown, hidden, ticket * TICKETS_EACH, ctx.now_ms);
        (Self::Resend(Box::new(dialog)), effects)
    }

    /// Keys for the last row, where they differ from those of a form.
    pub fn keys(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Quit(_) => quit::KEYS,
            Self::Replay(d) => d.keys(),
            Self::Resend(d) => d.keys(),
            Self::Decide(d) => d.keys(),
        }
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key, ctx: &Ctx) -> Step {
        match self {
            Self::Quit(d) => d.key(key, ctx),
            Self::Replay(d) => d.key(key, ctx),
            Self::Resend(d) => d.key(key, ctx),
            Self::Decide(d) => d.key(key, ctx),
        }
    }

    /// Ctrl+C: closes, or in the question to quit, quits.
    pub fn interrupt(&mut self, ctx: &Ctx) -> Step {
        match self {
            Self::Quit(d) => d.interrupt(ctx),
            Self::Replay(d) => d.cancel(),
            Self::Resend(d) => d.cancel(),
            Self::Decide(_) => Step::closed(),
        }
    }

    /// Takes pasted text: into a field or nowhere.
    pub fn paste(&mut self, text: &str, ctx: &Ctx) {
        match self {
            Self::Quit(_) => {}
            Self::Replay(d) => d.paste(text, ctx),
            Self::Resend(d) => d.paste(text, ctx),
            Self::Decide(d) => d.paste(text, ctx),
        }
    }

    /// Takes an answer that may be for it.
    pub fn answer(&mut self, event: Event, ctx: &Ctx) -> Step {
        match self {
            Self::Quit(_) => Step::default(),
            Self::Replay(d) => d.answer(event, ctx),
            Self::Resend(d) => d.answer(event, ctx),
            Self::Decide(d) => d.answer(event),
        }
    }

    /// Draws the dialog over the screen.
    pub fn draw(&self, c: &mut Canvas, screen: Rect, ctx: &Ctx) {
        match self {
            Self::Quit(d) => d.draw(c, screen, ctx),
            Self::Replay(d) => d.draw(c, screen, ctx),
            Self::Resend(d) => d.draw(c, screen, ctx),
            Self::Decide(d) => d.draw(c, screen, ctx),
        }
    }
}

/// An empty box in the middle of the screen; `esc` says what Esc does.
pub fn shell(
    c: &mut Canvas,
    screen: Rect,
    title: &str,
    esc: &str,
    (width, height): (u16, u16),
) -> Rect {
    let width = width.min(WIDTH_MAX).min(screen.width.saturating_sub(2)).max(1);
    let height = height.min(screen.height.saturating_sub(2)).max(1);
    let area = Rect {
        x: screen.x + (screen.width.saturating_sub(width)) / 2,
        y: screen.y + (screen.height.saturating_sub(height)) / 2,
        width,
        height,
    }
    .intersection(screen);
    c.clear(area);
    c.frame(area, title, &seg(Role::TextDim, esc), true);
    area
}

/// Buttons at the right end of a row; the focused one is selected.
pub fn buttons(c: &mut Canvas, area: Rect, y: u16, labels: &[(&str, bool, bool)]) {
    let total: usize = labels.iter().map(|(l, ..)| l.chars().count() + 4).sum::<usize>()
        + labels.len().saturating_sub(1) * 2;
    let mut x = area.right().saturating_sub(total as u16 + 2).max(area.x + 1);
    for (label, focus, enabled) in labels {
        let role = match (focus, enabled) {
            (true, _) => Role::Selection,
            (false, true) => Role::TextStrong,
            (false, false) => Role::KeyDisabled,
        };
        let sign = if *focus { ["▸", "◂"] } else { [" ", " "] };
        let text = format!("[{}{label}{}]", sign[0], sign[1]);
        let cells = c.put(x, y, area.right().saturating_sub(x + 1), &text, role);
        if *enabled && let Some(key) = key_of(label) {
            c.hits.push((Rect { x, y, width: cells, height: 1 }, Hit::Keys(key.to_owned())));
        }
        x += cells + 2;
    }
}

/// The key of a button, by its label.
fn key_of(label: &str) -> Option<&'static str> {
    match label.split(' ').next()? {
        "R" => Some("R"),
        "Esc" | "Cancel" | "Stay" => Some("esc"),
        "Quit" => Some("q"),
        _ => None,
    }
}

/// `[x]` or `[ ]`.
pub const fn tick(on: bool) -> &'static str {
    if on { "[x]" } else { "[ ]" }
}

/// `(•)` or `( )`.
pub const fn radio(on: bool) -> &'static str {
    if on { "(•)" } else { "( )" }
}

/// Role of a field that may have the focus.
pub const fn focus_role(focus: bool) -> Role {
    if focus { Role::Selection } else { Role::Text }
}

/// A name as one word of a shell.
pub fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/%@+=".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

/// Completes a typed name when exactly one known name begins so.
pub fn complete(typed: &str, known: &[Name]) -> Option<String> {
    if typed.chars().count() < 2 {
        return None;
    }
    let mut fits = known.iter().filter(|n| n.starts_with(typed));
    match (fits.next(), fits.next()) {
        (Some(only), None) => Some(only.to_string()),
        _ => None,
    }
}
