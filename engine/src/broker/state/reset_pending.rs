//! Resets that a group's next pull has still to fetch (semantics.md §12).
//!
//! While an entry waits, commits of its queue are ignored: the member that sends them does not know
//! of the reset yet.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::lock;

type Key = (String, String, i32);

/// Pending reset offsets by group, topic and queue.
#[derive(Debug, Default)]
pub struct ResetPending {
    entries: Mutex<HashMap<Key, i64>>,
    count: AtomicUsize,
}

impl ResetPending {
    /// Notes a reset.
    pub fn put(&self, group: &str, topic: &str, queue: i32, offset: i64) {
        let mut entries = lock(&self.entries);
        entries.insert((group.to_owned(), topic.to_owned(), queue), offset);
        self.count.store(entries.len(), Ordering::Release);
    }

    /// The pending offset, which stays.
    pub fn get(&self, group: &str, topic: &str, queue: i32) -> Option<i64> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        lock(&self.entries).get(&(group.to_owned(), topic.to_owned(), queue)).copied()
    }

    /// Forgets what waits on a topic that is gone.
    pub fn remove_topic(&self, topic: &str) {
        self.retain(|key| key.1 != topic);
    }

    /// Forgets what waits for a group that is gone.
    pub fn remove_group(&self, group: &str) {
        self.retain(|key| key.0 != group);
    }

    fn retain(&self, keep: impl Fn(&Key) -> bool) {
        let mut entries = lock(&self.entries);
        entries.retain(|key, _| keep(key));
        self.count.store(entries.len(), Ordering::Release);
    }

    /// The pending offset, which is gone then.
    pub fn take(&self, group: &str, topic: &str, queue: i32) -> Option<i64> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut entries = lock(&self.entries);
        let taken = entries.remove(&(group.to_owned(), topic.to_owned(), queue));
        self.count.store(entries.len(), Ordering::Release);
        taken
    }
}
