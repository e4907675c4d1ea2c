//! The retry ladder: what waits in which delay level (console-screens.md §6.4).

use std::collections::BTreeMap;

use super::{Fig, Limit, Name};

/// One delay level.
#[derive(Clone, Debug, PartialEq)]
pub struct LadderLevel {
    pub level: u32,
    pub delay_ms: i64,
    pub delayed: Fig<u64>,
    pub retry: Fig<u64>,
    pub user: Fig<u64>,
    /// From now; negative is late.
    pub next_due_ms: Fig<i64>,
    pub last_due_ms: Fig<i64>,
    /// Retries of each group that waits here.
    pub by_group: BTreeMap<Name, Fig<u64>>,
}

/// A group that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct LadderGroup {
    pub group: Name,
    pub in_levels: Fig<u64>,
    /// Unread in the retry topic that it reads.
    pub due: Fig<u64>,
    pub limit: Limit,
    pub last_try: Fig<u64>,
    pub last_try_due_ms: Fig<i64>,
}

/// The ladder of the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ladder {
    pub levels: Vec<LadderLevel>,
    pub groups: Vec<LadderGroup>,
    /// Users' delayed messages by topic.
    pub user: Vec<(Name, Fig<u64>)>,
    /// Requests of the split still to make; `None` when nobody has asked for a scan, 0 when done.
    pub scan_left: Option<(u32, u32)>,
}
