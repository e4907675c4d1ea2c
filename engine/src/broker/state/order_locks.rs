//! Locks of ordered consumers on queues (semantics.md §14).

use std::collections::HashMap;
use std::sync::Mutex;

use super::lock;
use crate::decide::expiry::{self, Lock};

/// A queue of a topic on this broker.
pub type QueueKey = (String, i32);

impl Held {
    fn as_lock(&self) -> Lock<'_> {
        Lock { holder: &self.client_id, last_ms: self.since_ms }
    }
}

#[derive(Debug)]
struct Held {
    client_id: String,
    since_ms: i64,
}

/// Who holds which queue, by group.
#[derive(Debug, Default)]
pub struct OrderLocks {
    groups: Mutex<HashMap<String, HashMap<QueueKey, Held>>>,
}

impl OrderLocks {
    /// Locks what is free, expired or held by this client already; returns those.
    pub fn lock(
        &self,
        group: &str,
        client_id: &str,
        queues: Vec<QueueKey>,
        now_ms: i64,
    ) -> Vec<QueueKey> {
        let mut groups = lock(&self.groups);
        let held = groups.entry(group.to_owned()).or_default();
        let mut got = Vec::with_capacity(queues.len());
        for queue in queues {
            let taken = held.get(&queue).map(Held::as_lock);
            if expiry::may_lock(taken, client_id, now_ms) {
                held.insert(
                    queue.clone(),
                    Held { client_id: client_id.to_owned(), since_ms: now_ms },
                );
                got.push(queue);
            }
        }
        got
    }

    /// Releases what this client holds.
    pub fn unlock(&self, group: &str, client_id: &str, queues: &[QueueKey]) {
        let mut groups = lock(&self.groups);
        let Some(held) = groups.get_mut(group) else { return };
        for queue in queues {
            if held.get(queue).is_some_and(|h| expiry::may_unlock(h.as_lock(), client_id)) {
                held.remove(queue);
            }
        }
        if held.is_empty() {
            groups.remove(group);
        }
    }

    /// Forgets locks that have expired, and groups without any.
    pub fn expire(&self, now_ms: i64) {
        lock(&self.groups).retain(|_, held| {
            held.retain(|_, h| expiry::locked(h.as_lock(), now_ms));
            !held.is_empty()
        });
    }

    /// Whether the group holds any lock that has not expired: then its retries cannot wait.
    pub fn any(&self, group: &str, now_ms: i64) -> bool {
        let groups = lock(&self.groups);
        groups
            .get(group)
            .is_some_and(|held| held.values().any(|h| expiry::locked(h.as_lock(), now_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_exclusive_until_it_expires_or_is_released() {
        let locks = OrderLocks::default();
        let queue = ("t".to_owned(), 0);
        assert_eq!(locks.lock("g", "a", vec![queue.clone()], 0), vec![queue.clone()]);
        assert!(locks.lock("g", "b", vec![queue.clone()], 60_000).is_empty());
        assert_eq!(locks.lock("g", "b", vec![queue.clone()], 60_001), vec![queue.clone()]);
        locks.unlock("g", "a", std::slice::from_ref(&queue));
        assert!(locks.any("g", 60_001));
        locks.unlock("g", "b", std::slice::from_ref(&queue));
        assert!(!locks.any("g", 60_001));
    }

    #[test]
    fn what_has_expired_is_forgotten() {
        let locks = OrderLocks::default();
        locks.lock("g", "a", vec![("t".to_owned(), 0)], 0);
        locks.lock("h", "a", vec![("t".to_owned(), 0), ("t".to_owned(), 1)], 10);
        locks.lock("empty", "a", Vec::new(), 10);
        locks.expire(60_005);
        assert_eq!(lock(&locks.groups).keys().collect::<Vec<_>>(), ["h"]);
        locks.expire(60_011);
        assert!(lock(&locks.groups).is_empty());
    }
}
