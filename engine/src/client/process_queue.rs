//! What a push consumer has pulled of one queue and not yet consumed.
//!
//! Pure. Gives the offset that may be committed: everything below it is consumed. Bounds: semantics.md
//! §7.

use std::collections::BTreeMap;

/// Most messages of a queue in memory.
const MESSAGES_MAX: usize = 1_000;
/// Most bytes of a queue in memory.
const BYTES_MAX: usize = 100 * 1024 * 1024;
/// Widest span of offsets between the first and the last message in memory.
const SPAN_MAX: i64 = 2_000;

/// Messages in memory, by offset, with their sizes.
#[derive(Clone, Debug, Default)]
pub(super) struct ProcessQueue {
    sizes: BTreeMap<i64, usize>,
    bytes: usize,
    /// Behind the last message ever put.
    end: i64,
}

impl ProcessQueue {
    /// Takes a pulled message in; false when it is here already.
    pub(super) fn put(&mut self, offset: i64, size: usize) -> bool {
        if self.sizes.insert(offset, size).is_some() {
            return false;
        }
        self.bytes += size;
        self.end = self.end.max(offset + 1);
        true
    }

    /// Takes a consumed message out; the offset that may be committed now.
    pub(super) fn done(&mut self, offset: i64) -> Option<i64> {
        let size = self.sizes.remove(&offset)?;
        self.bytes -= size;
        Some(self.first().unwrap_or(self.end))
    }

    /// Whether the next pull has to wait.
    pub(super) fn is_full(&self) -> bool {
        self.sizes.len() > MESSAGES_MAX || self.bytes > BYTES_MAX || self.span() > SPAN_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.sizes.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Offset of the first message in memory.
    pub(super) fn first(&self) -> Option<i64> {
        self.sizes.first_key_value().map(|(offset, _)| *offset)
    }

    /// Offset of the last message in memory.
    pub(super) fn last(&self) -> Option<i64> {
        self.sizes.last_key_value().map(|(offset, _)| *offset)
    }

    fn span(&self) -> i64 {
        self.last().zip(self.first()).map_or(0, |(last, first)| last - first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_committed_past_the_first_message_in_process() {
        let mut queue = ProcessQueue::default();
        for offset in [10, 11, 12] {
            assert!(queue.put(offset, 5));
        }
        assert_eq!(queue.done(12), Some(10));
        assert_eq!(queue.done(10), Some(11));
        assert_eq!(queue.done(11), Some(13));
        assert_eq!(queue.done(11), None);
        assert!(queue.is_empty());
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn a_message_pulled_twice_is_in_process_once() {
        let mut queue = ProcessQueue::default();
        assert!(queue.put(1, 5));
        assert!(!queue.put(1, 5));
        assert_eq!((queue.len(), queue.bytes()), (1, 5));
    }

    #[test]
    fn each_bound_makes_a_queue_full() {
        let filled = |offsets: &[i64], size| {
            let mut queue = ProcessQueue::default();
            for offset in offsets {
                queue.put(*offset, size);
            }
            queue.is_full()
        };
        assert!(!filled(&(0..1_000).collect::<Vec<_>>(), 1));
        assert!(filled(&(0..1_001).collect::<Vec<_>>(), 1));
        assert!(!filled(&[0, 2_000], 1));
        assert!(filled(&[0, 2_001], 1));
        assert!(filled(&[0], 100 * 1024 * 1024 + 1));
    }
}
