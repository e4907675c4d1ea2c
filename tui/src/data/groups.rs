//! Consumer groups and one group in detail (console-screens.md §6.3).

use super::{Fig, Name, Problem};
use crate::model::group_state::GroupState;
use crate::model::trend::Trend;

/// How a group's clients read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    Push,
    Pull,
    Pop,
    Unknown,
}

impl GroupKind {
    /// The word on screen.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Pop => "pop",
            Self::Unknown => "?",
        }
    }
}

/// The last column: whether something stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    None,
    Alert,
}

impl Flag {
    /// The sign in the table.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Alert => "!",
        }
    }
}

/// The retry limit and who said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Client(i32),
    Group(i32),
    Unknown,
}

impl Limit {
    /// `3 (client)` or `16 (group; clients may override)`.
    pub fn text(self) -> String {
        match self {
            Self::Client(n) => format!("{n} (client)"),
            Self::Group(n) => format!("{n} (group; clients may override)"),
            Self::Unknown => "?".to_owned(),
        }
    }

    /// `3 (client)` or `16 (group)`.
    pub fn short(self) -> String {
        match self {
            Self::Group(n) => format!("{n} (group)"),
            other => other.text(),
        }
    }
}

/// One line of Groups.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRow {
    pub name: Name,
    pub kind: GroupKind,
    pub ordered: bool,
    pub broadcasting: bool,
    pub topics: Vec<Name>,
    pub lag: Fig<u64>,
    pub trend: Trend,
    pub spark: Vec<Option<u64>>,
    pub behind_ms: Fig<i64>,
    pub in_rate: Fig<f64>,
    pub out_rate: Fig<f64>,
    pub done_rate: Fig<f64>,
    pub retry: Fig<u64>,
    pub dead_open: Fig<u64>,
    pub clients: Fig<u64>,
    pub state: GroupState,
    pub since_ms: Fig<i64>,
    pub flag: Flag,
    pub limit: Limit,
    pub problem: Option<Problem>,
    /// What stands out, one sentence each, worst first.
    pub findings: Vec<String>,
}

/// How far a group is behind on one topic; what commands and metrics name it by.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupLag {
    pub group: Name,
    pub topic: Name,
    pub lag: Fig<u64>,
    pub behind_ms: Fig<i64>,
}

/// One queue of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupQueue {
    pub topic: Name,
    pub broker: Name,
    pub queue: i32,
    pub offset: Fig<u64>,
    pub max: Fig<u64>,
    pub lag: Fig<u64>,
    pub behind_ms: Fig<i64>,
    pub out_rate: Fig<f64>,
    pub in_flight: Fig<u64>,
    pub client: Fig<String>,
}

/// One connected consumer.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientRow {
    pub id: Name,
    pub address: String,
    pub language: String,
    pub version: String,
    pub queues: Fig<u64>,
    pub threads: Fig<String>,
    pub ok_rate: Fig<f64>,
    pub failed_rate: Fig<f64>,
    pub mean_ms: Fig<f64>,
    pub cached: Fig<u64>,
    pub last_pull_ms: Fig<i64>,
    pub subscription: String,
    pub problem: Option<Problem>,
}

/// A group opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupDetail {
    pub queues: Vec<GroupQueue>,
    pub clients: Vec<ClientRow>,
}
