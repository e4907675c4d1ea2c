//! Dead-letter queues whose head was trimmed (architecture.md §7). The log itself is untouched.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::lock;

/// Topic → queue → first offset to be read.
pub type Minima = BTreeMap<String, BTreeMap<i32, i64>>;

/// Minima that were set by hand.
#[derive(Debug, Default)]
pub struct Trim {
    minima: Mutex<Minima>,
    count: AtomicUsize,
}

impl Trim {
    /// Sets a minimum.
    pub fn set(&self, topic: &str, queue: i32, offset: i64) {
        let mut minima = lock(&self.minima);
        minima.entry(topic.to_owned()).or_default().insert(queue, offset);
        self.count.store(minima.len(), Ordering::Release);
    }

    /// The minimum of a queue, if it was ever trimmed.
    pub fn get(&self, topic: &str, queue: i32) -> Option<i64> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        lock(&self.minima).get(topic).and_then(|queues| queues.get(&queue)).copied()
    }

    /// All minima.
    pub fn all(&self) -> Minima {
        lock(&self.minima).clone()
    }
}
