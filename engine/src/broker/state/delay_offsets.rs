//! How far each delay level has been delivered (semantics.md §9).

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::lock;

/// Level → next offset in its queue of the schedule topic.
#[derive(Debug, Default)]
pub struct DelayOffsets {
    levels: Mutex<BTreeMap<i32, i64>>,
}

impl DelayOffsets {
    /// Next offset of a level; 0 when nothing is recorded.
    pub fn get(&self, level: i32) -> i64 {
        lock(&self.levels).get(&level).copied().unwrap_or(0)
    }

    /// Records progress.
    pub fn set(&self, level: i32, offset: i64) {
        lock(&self.levels).insert(level, offset);
    }

    /// Levels with a recorded offset.
    pub fn all(&self) -> BTreeMap<i32, i64> {
        lock(&self.levels).clone()
    }
}
