//! Who may do what: rules, and what a request needs (semantics.md §20.2).
//!
//! Pure: users and rules are kept in `broker/state/access.rs`, signatures checked in `protocol/signature.rs`.

pub mod needs;
pub mod rules;

/// What a right is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Every resource of every kind; in rules only.
    Any,
    /// A cluster.
    Cluster,
    /// A topic.
    Topic,
    /// A consumer group.
    Group,
}

impl Kind {
    /// Its name in rules and refusals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "Any",
            Self::Cluster => "Cluster",
            Self::Topic => "Topic",
            Self::Group => "Group",
        }
    }

    /// The kind of this name, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        let known = [Self::Any, Self::Cluster, Self::Topic, Self::Group];
        known.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

/// What is done with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// All of them; in rules only.
    All,
    /// Send.
    Pub,
    /// Receive.
    Sub,
    /// Make.
    Create,
    /// Change.
    Update,
    /// Remove.
    Delete,
    /// Look at one.
    Get,
    /// Look at all.
    List,
}

impl Action {
    const KNOWN: [Self; 8] = [
        Self::All,
        Self::Pub,
        Self::Sub,
        Self::Create,
        Self::Update,
        Self::Delete,
        Self::Get,
        Self::List,
    ];

    /// Its name in rules.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Pub => "Pub",
            Self::Sub => "Sub",
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Delete => "Delete",
            Self::Get => "Get",
            Self::List => "List",
        }
    }

    /// The action of this name, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::KNOWN.into_iter().find(|action| action.name().eq_ignore_ascii_case(name))
    }
}
