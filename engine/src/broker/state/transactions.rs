//! Which half messages have ended, which copy of each is the newest, and which ends the op log still
//! lacks (semantics.md §13).
//!
//! Half messages are named by their offset in the half queue. What is lost with the process is asked
//! again: a half message without an entry in the op log is checked once more.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::lock;
use crate::decide::transaction::{Fate, op_body};

/// Ended half messages that are remembered behind the progress of the check.
const ENDED_KEPT: usize = 10_000;
/// Ends that may wait for the op log; beyond it they are forgotten, and checked once more.
const OPS_WAITING_MAX: usize = 1_000_000;

/// What is known of half messages.
#[derive(Debug, Default)]
pub struct Transactions {
    inner: Mutex<Inner>,
    turn: AtomicU32,
}

#[derive(Debug, Default)]
struct Inner {
    /// Committed or rolled back.
    ended: BTreeSet<u64>,
    /// A newer copy took their place.
    passed: BTreeSet<u64>,
    /// Their end is being stored.
    under_way: HashSet<u64>,
    /// Older copy → newest copy.
    newest: HashMap<u64, u64>,
    /// Newest copy → older copies.
    older: HashMap<u64, Vec<u64>>,
    /// Ends that the op log lacks, with the time they came.
    ops: VecDeque<(u64, i64)>,
    /// Bytes that these take.
    op_bytes: usize,
}

impl Inner {
    fn newest(&self, half: u64) -> u64 {
        self.newest.get(&half).copied().unwrap_or(half)
    }

    fn forget_copies(&mut self, newest: u64) -> Vec<u64> {
        let older = self.older.remove(&newest).unwrap_or_default();
        for half in &older {
            self.newest.remove(half);
        }
        older
    }

    fn end(&mut self, half: u64) -> u64 {
        let newest = self.newest(half);
        let older = self.forget_copies(newest);
        self.ended.extend(older);
        self.ended.insert(half);
        self.ended.insert(newest);
        newest
    }
}

impl Transactions {
    /// Reserves the end of a half message; `false` when it ended or is ending, by any of its copies.
    pub fn claim(&self, half: u64) -> bool {
        let mut inner = lock(&self.inner);
        let newest = inner.newest(half);
        if inner.ended.contains(&newest)
            || inner.under_way.contains(&newest)
            || inner.ended.contains(&half)
        {
            return false;
        }
        inner.under_way.insert(half);
        inner.under_way.insert(newest);
        true
    }

    /// The end could not be stored: the half message is open again.
    pub fn release(&self, half: u64) {
        let mut inner = lock(&self.inner);
        let newest = inner.newest(half);
        inner.under_way.remove(&half);
        inner.under_way.remove(&newest);
    }

    /// A claimed half message has ended, and all its copies with it.
    pub fn end(&self, half: u64, now_ms: i64) {
        let mut inner = lock(&self.inner);
        let newest = inner.end(half);
        inner.under_way.remove(&half);
        inner.under_way.remove(&newest);
        if inner.ops.len() < OPS_WAITING_MAX {
            inner.op_bytes += bytes_of(newest);
            inner.ops.push_back((newest, now_ms));
        }
    }

    /// The op log says that these have ended.
    pub fn note_ended(&self, halves: &[u64]) {
        let mut inner = lock(&self.inner);
        for half in halves {
            inner.end(*half);
        }
    }

    /// What is known of the end of a half message. `prepared` is the copy that its producer knows.
    pub fn fate(&self, half: u64, prepared: Option<u64>) -> Fate {
        let inner = lock(&self.inner);
        let is_ended = inner.ended.contains(&half)
            || inner.passed.contains(&half)
            || prepared.is_some_and(|prepared| inner.ended.contains(&prepared));
        if is_ended {
            Fate::Ended
        } else if inner.under_way.contains(&half) {
            Fate::UnderWay
        } else {
            Fate::Open
        }
    }

    /// A newer copy takes the place of an open half message; `false` when it ended meanwhile.
    pub fn moved(&self, old: u64, new: u64) -> bool {
        let mut inner = lock(&self.inner);
        inner.passed.insert(old);
        if inner.ended.contains(&old) {
            inner.ended.insert(new);
            return false;
        }
        if inner.under_way.contains(&old) {
            inner.under_way.insert(new);
        }
        let mut older = inner.older.remove(&old).unwrap_or_default();
        older.push(old);
        for half in &older {
            inner.newest.insert(*half, new);
        }
        inner.older.insert(new, older);
        true
    }

    /// A half message was given up.
    pub fn given_up(&self, half: u64) {
        let mut inner = lock(&self.inner);
        inner.passed.insert(half);
        inner.forget_copies(half);
    }

    /// The first offset from `half` on that is not known to be done; forgets what lies behind it.
    pub fn settle(&self, half: u64) -> u64 {
        let mut inner = lock(&self.inner);
        let mut at = half;
        while inner.ended.contains(&at) || inner.passed.contains(&at) {
            at += 1;
        }
        inner.passed = inner.passed.split_off(&at);
        while inner.ended.len() > ENDED_KEPT && inner.ended.first().is_some_and(|half| *half < at) {
            inner.ended.pop_first();
        }
        at
    }

    /// Body of the next op message and how many ends it holds, when one is due: its bytes are full or
    /// the oldest end has waited long enough.
    pub fn ops_due(&self, bytes_max: usize, wait_ms: i64, now_ms: i64) -> Option<(String, usize)> {
        let inner = lock(&self.inner);
        let waited_ms = now_ms - inner.ops.front()?.1;
        let due = inner.op_bytes >= bytes_max || waited_ms >= wait_ms || waited_ms < 0;
        due.then(|| op_body(inner.ops.iter().map(|(half, _)| *half), bytes_max))
    }

    /// The first `count` ends are in the op log.
    pub fn ops_written(&self, count: usize) {
        let mut inner = lock(&self.inner);
        let count = count.min(inner.ops.len());
        let bytes: usize = inner.ops.drain(..count).map(|(half, _)| bytes_of(half)).sum();
        inner.op_bytes = inner.op_bytes.saturating_sub(bytes);
    }

    /// Whose turn it is among the producers of a group.
    pub fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) as usize
    }
}

fn bytes_of(half: u64) -> usize {
    half.checked_ilog10().unwrap_or(0) as usize + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_message_ends_once_by_whichever_copy() {
        let halves = Transactions::default();
        assert!(halves.moved(1, 5) && halves.moved(5, 9));
        assert_eq!(halves.fate(1, None), Fate::Ended, "its newest copy took its place");
        assert!(halves.claim(1), "its producer may know the first copy only");
        assert_eq!(halves.fate(9, None), Fate::UnderWay);
        assert!(!halves.claim(9) && !halves.claim(5));
        halves.end(1, 0);
        assert_eq!(halves.fate(9, None), Fate::Ended);
        assert!(!halves.claim(9) && !halves.claim(1));
        assert_eq!(halves.ops_due(1, 0, 0), Some(("9,".into(), 1)));
    }

    #[test]
    fn an_end_that_could_not_be_stored_leaves_it_open() {
        let halves = Transactions::default();
        assert!(halves.claim(1));
        halves.release(1);
        assert_eq!(halves.fate(1, None), Fate::Open);
        assert!(halves.claim(1));
    }

    #[test]
    fn an_end_during_the_move_counts_for_the_new_copy() {
        let halves = Transactions::default();
        assert!(halves.claim(1));
        assert!(halves.moved(1, 2));
        assert!(!halves.claim(2));
        halves.end(1, 0);
        assert_eq!(halves.fate(2, None), Fate::Ended);
        assert!(halves.claim(3));
        halves.end(3, 0);
        assert!(!halves.moved(3, 4));
        assert_eq!(halves.fate(4, None), Fate::Ended);
    }

    #[test]
    fn progress_stops_at_the_first_open_one() {
        let halves = Transactions::default();
        halves.note_ended(&[0, 1, 3]);
        assert_eq!(halves.settle(0), 2);
        halves.given_up(2);
        assert_eq!(halves.settle(2), 4);
    }

    #[test]
    fn a_copy_whose_first_one_ended_is_done() {
        let halves = Transactions::default();
        halves.note_ended(&[1]);
        assert_eq!(halves.fate(8, Some(1)), Fate::Ended);
        assert_eq!(halves.fate(8, Some(2)), Fate::Open);
    }

    #[test]
    fn op_messages_are_due_when_full_or_old() {
        let halves = Transactions::default();
        for half in [10, 11, 12] {
            assert!(halves.claim(half));
            halves.end(half, 100);
        }
        assert_eq!(halves.ops_due(4_096, 3_000, 3_099), None);
        assert_eq!(halves.ops_due(4_096, 3_000, 3_100), Some(("10,11,12,".into(), 3)));
        assert_eq!(halves.ops_due(6, 3_000, 101), Some(("10,11,".into(), 2)));
        halves.ops_written(2);
        assert_eq!(halves.ops_due(6, 3_000, 101), None);
        assert_eq!(halves.ops_due(6, 3_000, 99), Some(("12,".into(), 1)), "the clock went back");
    }
}
