//! Where the console is: a stack of places, each with its own cursor, filter, order and scroll.

use std::cell::Cell;
use std::sync::Arc;

use crate::data::{Message, MessagePage, Name, Problem, Where};
use crate::effect::{From, QueueRef};
use crate::event::Ticket;
use crate::keymap::Kind;
use crate::survey::trace::Life;
use crate::widget::table::List;

/// Lists of a place: the main one and the second pane.
pub const PANES: usize = 2;

/// A queue's messages on screen.
#[derive(Clone, Debug)]
pub struct MessagesAt {
    pub queue: QueueRef,
    pub from: From,
    pub ticket: Ticket,
    /// `None` while the page is read.
    pub page: Option<Result<Arc<MessagePage>, Problem>>,
}

/// How a body is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyView {
    /// JSON if it is, else text if it is, else hex.
    Auto,
    Json,
    Text,
    Hex,
}

/// A message opened.
#[derive(Clone, Debug)]
pub struct MessageAt {
    /// The list it was opened from.
    pub list: Arc<[Arc<Message>]>,
    pub index: usize,
    pub view: BodyView,
    pub scroll: usize,
    /// Rows that the last drawing had for scrolling, and lines that there were.
    pub page: Cell<usize>,
    pub lines: Cell<usize>,
    pub ticket: Ticket,
    pub found: Option<Result<Vec<Where>, Problem>>,
    /// What traces tell of it, once they were asked.
    pub life: Option<Result<Box<Life>, Problem>>,
}

/// The life of a message.
#[derive(Clone, Debug)]
pub struct TraceAt {
    /// Its id or a key; empty before anything was asked.
    pub what: Arc<str>,
    pub ticket: Ticket,
    pub found: Option<Result<Box<Life>, Problem>>,
}

impl TraceAt {
    /// Nothing was asked yet.
    pub fn unasked() -> Self {
        Self { what: "".into(), ticket: 0, found: None }
    }
}

impl MessageAt {
    /// The message itself.
    pub fn message(&self) -> &Arc<Message> {
        &self.list[self.index.min(self.list.len() - 1)]
    }
}

/// What a place shows.
#[derive(Clone, Debug)]
pub enum At {
    Overview,
    Topics,
    Queues(Name),
    Messages(Box<MessagesAt>),
    Message(Box<MessageAt>),
    Groups,
    Group(Name),
    Ladder,
    Dead,
    Brokers,
    Trace(Box<TraceAt>),
    Clients,
    Timers,
    Transactions,
}

impl At {
    /// Its row in the keymap.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Overview => Kind::Overview,
            Self::Topics => Kind::Topics,
            Self::Queues(_) => Kind::Queues,
            Self::Messages(_) => Kind::Messages,
            Self::Message(_) => Kind::Message,
            Self::Groups => Kind::Groups,
            Self::Group(_) => Kind::Group,
            Self::Ladder => Kind::Ladder,
            Self::Dead => Kind::Dead,
            Self::Brokers => Kind::Brokers,
            Self::Trace(_) => Kind::Trace,
            Self::Clients => Kind::Clients,
            Self::Timers => Kind::Timers,
            Self::Transactions => Kind::Transactions,
        }
    }
}

/// A place with what the user did there.
#[derive(Clone, Debug)]
pub struct Place {
    pub at: At,
    pub pane: usize,
    pub lists: [List; PANES],
    pub tab: usize,
    /// System topics, letters already resent.
    pub show_all: bool,
}

impl Place {
    /// A place nobody has been at.
    pub fn new(at: At) -> Self {
        Self { at, pane: 0, lists: [List::default(), List::default()], tab: 0, show_all: false }
    }

    /// The list with the focus.
    pub fn list(&self) -> &List {
        &self.lists[self.pane]
    }

    /// The list with the focus, to change it.
    pub const fn list_mut(&mut self) -> &mut List {
        &mut self.lists[self.pane]
    }
}
