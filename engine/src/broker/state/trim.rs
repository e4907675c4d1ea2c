//! Dead-letter queues whose head was trimmed (architecture.md §7). The log itself is untouched.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::lock;

/// Topic → queue → first offset to be read.
pub type Minima = BTreeMap<String, BTreeMap<i32, i64>>;

/// Minima that were set by hand.
#[derive(Debug, Default)]
pub struct Trim {
    minima: Mutex<Minima>,
    count: AtomicUsize,
    used: AtomicBool,
}

impl Trim {
    /// Sets a minimum.
    pub fn set(&self, topic: &str, queue: i32, offset: i64) {
        let mut minima = lock(&self.minima);
        minima.entry(topic.to_owned()).or_default().insert(queue, offset);
        self.count.store(minima.len(), Ordering::Release);
        self.used.store(true, Ordering::Release);
    }

    /// Forgets a topic: one of the same name begins at 0 again.
    pub fn remove_topic(&self, topic: &str) {
        let mut minima = lock(&self.minima);
        minima.remove(topic);
        self.count.store(minima.len(), Ordering::Release);
    }

    /// Forgets minima beyond the end of their queue, which was made anew then.
    pub fn drop_beyond(&self, end: impl Fn(&str, i32) -> i64) {
        let mut minima = lock(&self.minima);
        for (topic, queues) in minima.iter_mut() {
            queues.retain(|queue, offset| *offset <= end(topic, *queue));
        }
        minima.retain(|_, queues| !queues.is_empty());
        self.count.store(minima.len(), Ordering::Release);
    }

    /// Whether there ever was one: then there may be a file.
    pub fn was_used(&self) -> bool {
        self.used.load(Ordering::Acquire)
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
