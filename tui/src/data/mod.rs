//! Immutable snapshots that screens draw from.
//!
//! The poller swaps each [`Part`] whole; screens only read. Fields are named like the columns of
//! console-screens.md §6; every one that a broker may fail to tell is a [`Fig`]. Times are epoch
//! milliseconds by the broker's clock, ages and durations milliseconds, rates events per second.

pub mod cluster;
pub mod dead;
pub mod fig;
pub mod groups;
pub mod ladder;
pub mod plan;
pub mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use cluster::{BrokerRow, ClusterInfo, Loss};
pub use dead::{DeadGroup, Letter, Letters};
pub use fig::Fig;
pub use groups::{ClientRow, Flag, GroupDetail, GroupKind, GroupLag, GroupQueue, GroupRow, Limit};
pub use ladder::{Ladder, LadderLevel};
pub use topics::{Message, MessagePage, QueueRow, TopicDetail, TopicRow, Where};

/// A name shared between snapshots.
pub type Name = Arc<str>;

/// What a broker or the client said instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One short fragment for a cell: `no permission`.
    pub text: String,
    /// The broker's response code.
    pub code: Option<i32>,
    /// The broker's remark in full, or what to try.
    pub remark: String,
    /// When it was said.
    pub at_ms: i64,
}

impl Problem {
    /// `no permission (16)`.
    pub fn line(&self) -> String {
        match self.code {
            Some(code) => format!("{} ({code})", self.text),
            None => self.text.clone(),
        }
    }
}

/// One part of the picture with its source and age.
#[derive(Clone, Debug, Default)]
pub enum Part<T> {
    /// Nobody has asked yet.
    #[default]
    Unasked,
    /// The first answer is on its way: so many of so many have come.
    Reading { done: u32, of: Option<u32>, so_far: Option<Arc<T>> },
    /// An answer.
    Ready(Ready<T>),
    /// Not permitted or not supported here.
    Refused(Problem),
}

/// An answer: when, and from how many of those asked.
#[derive(Debug)]
pub struct Ready<T> {
    pub value: Arc<T>,
    pub taken_ms: i64,
    pub answered: u16,
    pub asked: u16,
}

impl<T> Clone for Ready<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), ..*self }
    }
}

impl<T> Part<T> {
    /// An answer of all that were asked.
    #[cfg(test)]
    pub fn ready(value: T, taken_ms: i64, masters: u16) -> Self {
        Self::Ready(Ready { value: Arc::new(value), taken_ms, answered: masters, asked: masters })
    }

    /// What there is to draw, complete or not.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Ready(ready) => Some(&ready.value),
            Self::Reading { so_far, .. } => so_far.as_deref(),
            Self::Unasked | Self::Refused(_) => None,
        }
    }
}

/// How the connection stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// No answer yet from any name server.
    #[default]
    Connecting,
    /// Connected.
    Up,
    /// Nothing answers.
    Gone { since_ms: i64, next_try_ms: i64, error: String },
}

/// A built-in alert, as text for header 2 and the flag of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub critical: bool,
    pub text: String,
    /// The group or broker that it is about.
    pub subject: Option<Name>,
}

/// The whole picture.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    pub link: Link,
    pub cluster: Part<ClusterInfo>,
    pub topics: Part<Vec<TopicRow>>,
    pub topic: BTreeMap<Name, Part<TopicDetail>>,
    pub groups: Part<Vec<GroupRow>>,
    pub group: BTreeMap<Name, Part<GroupDetail>>,
    pub lags: Part<Vec<GroupLag>>,
    pub ladder: Part<Ladder>,
    pub dead: Part<Vec<DeadGroup>>,
    pub letters: BTreeMap<Name, Part<Letters>>,
    pub brokers: Part<Vec<BrokerRow>>,
    pub alerts: Vec<Alert>,
}

/// One part of the picture on its way from the poller.
#[derive(Clone, Debug)]
pub enum Snapshot {
    Link(Link),
    Cluster(Part<ClusterInfo>),
    Topics(Part<Vec<TopicRow>>),
    Topic(Name, Part<TopicDetail>),
    Groups(Part<Vec<GroupRow>>),
    Group(Name, Part<GroupDetail>),
    Lags(Part<Vec<GroupLag>>),
    Ladder(Part<Ladder>),
    Dead(Part<Vec<DeadGroup>>),
    Letters(Name, Part<Letters>),
    Brokers(Part<Vec<BrokerRow>>),
    Alerts(Vec<Alert>),
}

/// Details of topics, groups and letters kept at a time; the picture forgets the rest.
const DETAILS_KEPT: usize = 32;

impl Picture {
    /// Swaps one part.
    pub fn take(&mut self, snapshot: Snapshot) {
        match snapshot {
            Snapshot::Link(v) => self.link = v,
            Snapshot::Cluster(v) => self.cluster = v,
            Snapshot::Topics(v) => self.topics = v,
            Snapshot::Topic(name, v) => keep(&mut self.topic, name, v),
            Snapshot::Groups(v) => self.groups = v,
            Snapshot::Group(name, v) => keep(&mut self.group, name, v),
            Snapshot::Lags(v) => self.lags = v,
            Snapshot::Ladder(v) => self.ladder = v,
            Snapshot::Dead(v) => self.dead = v,
            Snapshot::Letters(name, v) => keep(&mut self.letters, name, v),
            Snapshot::Brokers(v) => self.brokers = v,
            Snapshot::Alerts(v) => self.alerts = v,
        }
    }
}

fn keep<T>(map: &mut BTreeMap<Name, T>, name: Name, value: T) {
    if map.len() >= DETAILS_KEPT && !map.contains_key(&name) {
        map.pop_first();
    }
    map.insert(name, value);
}
