//! What a change would do, and what it did: replay and resend (console-ux.md §7.2, §7.3).

use std::sync::Arc;

use engine::client::replay::QueuePlan;

use super::{Fig, Letter, Name};

/// Where a replay goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayTo {
    Time(i64),
    /// Of a single queue.
    Offset(i64),
    Start,
    End,
}

/// What the dialog asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayAsk {
    pub group: Name,
    /// Ticked topics; empty before the first plan means all that the group has stored offsets for.
    pub topics: Vec<Name>,
    pub to: ReplayTo,
    /// Only these queues (topic, broker, queue); empty = all.
    pub queues: Vec<(Name, Name, i32)>,
    /// Brokers that may stay out.
    pub leave_out: Vec<Name>,
}

/// One queue of a replay plan.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayRow {
    pub topic: Name,
    pub broker: Name,
    pub queue: i32,
    pub now: Fig<u64>,
    pub target: Fig<u64>,
    pub again: Fig<u64>,
    pub skipped: Fig<u64>,
    pub lag_now: Fig<u64>,
    pub lag_after: Fig<u64>,
    pub note: String,
    /// What the client needs to carry it out.
    pub source: Option<Arc<QueuePlan>>,
}

/// The way offsets are moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayPath {
    /// Server-side reset: consumers stay online.
    ServerSide,
    /// Offsets are written while nobody is connected.
    Offline,
    /// Cannot run, and why.
    Blocked(String),
}

/// A computed replay.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayPlan {
    pub ask: ReplayAsk,
    /// Topics that the group has stored offsets for, with their queues; retry topics last.
    pub topics: Vec<(Name, u32)>,
    pub rows: Vec<ReplayRow>,
    pub computed_ms: i64,
    pub path: ReplayPath,
    pub in_rate: Fig<f64>,
    pub out_rate: Fig<f64>,
    pub filter: String,
    pub known: u32,
    pub of: u32,
    /// Brokers that do not answer.
    pub silent: Vec<Name>,
}

/// How one item of a change went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemOutcome {
    Done(String),
    Unchanged,
    /// The broker refused: code and remark.
    Refused(String),
    /// Sent, not confirmed.
    Unknown(String),
    /// The letter is no longer there.
    Gone,
    /// Not attempted.
    NotTried,
}

impl ItemOutcome {
    /// The cell of the result list.
    pub fn text(&self) -> String {
        match self {
            Self::Done(text) => format!("✓ {text}"),
            Self::Unchanged => "= unchanged".to_owned(),
            Self::Refused(text) => format!("✗ {text}"),
            Self::Unknown(text) => format!("? {text}"),
            Self::Gone => "– gone".to_owned(),
            Self::NotTried => "not tried".to_owned(),
        }
    }
}

/// Target of a resend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResendTo {
    Group,
    Origin,
    Topic(String),
}

/// What the dialog asks to check.
#[derive(Clone, Debug, PartialEq)]
pub struct ResendAsk {
    pub group: Name,
    pub letters: Arc<[Letter]>,
    pub to: ResendTo,
}

/// Whether the group would read what is sent to its retry topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// So many of so many online members list it.
    Listed { members: u32, of: u32 },
    /// Nobody is online, or the client type does not tell.
    Unknown(String),
    /// It would not be read.
    Never(String),
}

/// A letter already sent or not checkable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Twice {
    No,
    /// Sent back before: who and when, in one line.
    Sent(String),
    /// A copy that died again.
    DiedAgain(String),
    /// Still on its way from another machine.
    OnItsWay,
    NotChecked,
}

/// A checked resend.
#[derive(Clone, Debug, PartialEq)]
pub struct ResendPlan {
    pub ask: ResendAsk,
    pub retry_topic: String,
    pub reader: Reader,
    /// Origin topics with the number of letters and the groups that read them.
    pub origins: Vec<(Name, u32, Vec<Name>)>,
    /// One for each letter of the request.
    pub twice: Vec<Twice>,
    pub checked: u32,
    pub checked_ms: i64,
    pub complete: bool,
}

/// What is finally run.
#[derive(Clone, Debug, PartialEq)]
pub struct ResendRun {
    pub ask: ResendAsk,
    pub retry_topic: String,
    /// Indices into the letters, in the order of sending.
    pub order: Vec<usize>,
    pub keep_id: bool,
    pub per_second: u32,
    pub stop_after: u32,
}
