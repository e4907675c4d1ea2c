//! Everything that the console can ask for. Whoever runs it answers with events.

use std::path::PathBuf;
use std::sync::Arc;

use crate::data::Name;
use crate::data::plan::{ReplayAsk, ReplayPlan, ResendAsk, ResendRun};
use crate::event::Ticket;
use crate::survey::Survey;
use crate::survey::transactions::{Half, Verdict};

/// What is on screen and so has to be fresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    Overview,
    Topics,
    Topic(Name),
    /// The groups on screen, by name.
    Groups(Vec<Name>),
    Group(Name),
    Ladder,
    /// The dead-letter list and the letters of the group under the cursor.
    Dead(Option<Name>),
    Brokers,
    /// Nothing that changes.
    Still,
}

/// Where a page of messages starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Newest,
    Oldest,
    /// The page that ends before this offset.
    Before(u64),
    Offset(u64),
    Time(i64),
}

/// A queue to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRef {
    pub topic: Name,
    pub broker: Name,
    pub queue: i32,
}

/// How a running change is steered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    Pause,
    Resume,
    Stop,
}

/// What an audit line says about a change before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditNote {
    pub action: &'static str,
    pub targets: Vec<String>,
    pub preview: String,
    pub command: String,
}

/// How the console ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The user quit.
    Quit,
    /// The process asked for it.
    Stopped,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Watch(Watch),
    Interval(i64),
    Refresh,
    ReadMessages(Ticket, QueueRef, From),
    FindWhere(Ticket, Arc<crate::data::Message>),
    FindTrace(Ticket, Arc<str>),
    Survey(Ticket, Survey),
    ScanLadder,
    PlanReplay(Ticket, ReplayAsk),
    RunReplay(Ticket, Arc<ReplayPlan>, AuditNote),
    CheckResend(Ticket, ResendAsk),
    RunResend(Ticket, Arc<ResendRun>, AuditNote),
    Decide(Ticket, Box<Half>, Verdict, AuditNote),
    Steer(Ticket, Steer),
    Copy(String),
    /// A file, its text, and how many rows that are.
    Export(PathBuf, String, usize),
    /// Another theme, by name.
    Theme(String),
    /// Whether the console takes the mouse.
    Mouse(bool),
    Redraw,
    Suspend,
    Exit(Exit),
}

impl Effect {
    /// True for what changes something in the cluster.
    pub const fn writes(&self) -> bool {
        matches!(self, Self::RunReplay(..) | Self::RunResend(..) | Self::Decide(..))
    }
}
