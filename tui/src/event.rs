//! Everything that can happen to the console. Time comes in with events, never from a clock.

use crate::data::plan::{ItemOutcome, ReplayPlan, ResendPlan};
use crate::data::{MessagePage, Problem, Snapshot, Where};
use crate::survey::Surveyed;
use crate::survey::trace::Life;

/// A key without the terminal's library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    Char(char),
    F(u8),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
}

/// A key press. Alt is delivered as Esc, then the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub code: Code,
    pub ctrl: bool,
}

impl Key {
    /// A key without Ctrl.
    pub const fn plain(code: Code) -> Self {
        Self { code, ctrl: false }
    }

    /// A printable key.
    pub const fn char(c: char) -> Self {
        Self::plain(Code::Char(c))
    }

    /// Ctrl and a letter.
    pub const fn ctrl(c: char) -> Self {
        Self { code: Code::Char(c), ctrl: true }
    }
}

/// What a mouse can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// The left button went down.
    Click,
    /// The wheel, upwards.
    Up,
    /// The wheel, downwards.
    Down,
}

/// Number of a request, so that a late answer to an older one is not taken.
pub type Ticket = u64;

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    Key(Key, i64),
    Paste(String, i64),
    Resize(u16, u16),
    Focus(bool),
    /// What the mouse did, and where: column and row.
    Mouse(Pointer, (u16, u16), i64),
    /// The terminal told its background: red, green, blue.
    Background(u8, u8, u8),
    Tick(i64),
    Snapshot(Box<Snapshot>),
    Messages(Ticket, Result<MessagePage, Problem>),
    Where(Ticket, Result<Vec<Where>, Problem>),
    Traced(Ticket, Result<Box<Life>, Problem>),
    Surveyed(Ticket, Result<Surveyed, Problem>),
    ReplayPlanned(Ticket, Result<Box<ReplayPlan>, Problem>),
    ReplayItem(Ticket, usize, ItemOutcome),
    /// A running replay ended; the text says why it stopped early.
    ReplayDone(Ticket, Option<String>),
    ResendChecked(Ticket, Result<Box<ResendPlan>, Problem>),
    ResendItem(Ticket, usize, ItemOutcome),
    ResendDone(Ticket, Option<String>),
    /// How the decision of a transaction ended.
    Decided(Ticket, ItemOutcome),
    /// Something for the status row.
    Told(String),
    /// Line for "last change".
    LastChange(String),
    /// Audit or ledger cannot be written: the session is read-only from here on.
    CannotAudit(String),
    /// The process wants to end: leave without asking.
    Stop,
}
