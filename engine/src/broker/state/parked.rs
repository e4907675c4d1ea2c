//! Long polls: pulls that found nothing and wait for a message or their deadline (semantics.md §6).
//!
//! A wait keeps its own copy of the frame, never a piece of the read buffer. The count is an atomic, so
//! that an append into a queue nobody waits for costs one load.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::lock;
use crate::broker::outcome::{Answer, PeerId};
use crate::decide::filter::Filter;
use crate::decide::flow::{self, Poll};
use crate::protocol::frame::Frame;

/// A pull that waits.
#[derive(Debug)]
pub struct Wait {
    /// The request, to be run again.
    pub frame: Frame,
    /// Whom to answer.
    pub answer: Answer,
    /// The group that pulls.
    pub group: String,
    /// Answered then at the latest, ms.
    pub deadline_ms: i64,
    /// Next queue offset that it waits for.
    pub offset: i64,
    /// What it wants.
    pub filter: Filter,
}

#[derive(Debug, Default)]
struct Table {
    queues: HashMap<String, HashMap<i32, Vec<Wait>>>,
}

/// All waits.
#[derive(Debug, Default)]
pub struct Parked {
    table: Mutex<Table>,
    count: AtomicUsize,
}

impl Parked {
    /// Parks a wait; `false` when there is no room for it.
    pub fn park(&self, topic: &str, queue: i32, wait: Wait) -> bool {
        let mut table = lock(&self.table);
        let waits = table.queues.entry(topic.to_owned()).or_default().entry(queue).or_default();
        if flow::park(Poll::Pull, waits.len(), self.count.load(Ordering::Relaxed)).is_err() {
            return false;
        }
        waits.push(wait);
        self.count.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// Whether nobody waits at all.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Takes the waits that a message wakes: it lies before `next_offset`, and `wants` says whether
    /// a filter takes it.
    pub fn arrived(
        &self,
        topic: &str,
        queue: i32,
        next_offset: i64,
        wants: impl Fn(&Filter) -> bool,
    ) -> Vec<Wait> {
        if self.is_empty() {
            return Vec::new();
        }
        self.take_where(topic, queue, |wait| next_offset > wait.offset && wants(&wait.filter))
    }

    /// Whether someone waits on a queue who has to see a message to know whether he wants it.
    pub fn needs_record(&self, topic: &str, queue: i32) -> bool {
        let table = lock(&self.table);
        let waits = table.queues.get(topic).and_then(|queues| queues.get(&queue));
        waits.is_some_and(|waits| waits.iter().any(|wait| matches!(wait.filter, Filter::Sql(_))))
    }

    /// Takes every wait on a queue.
    pub fn take_queue(&self, topic: &str, queue: i32) -> Vec<Wait> {
        self.take_where(topic, queue, |_| true)
    }

    /// Takes the waits of a group on a queue: it was moved, and shall hear of it now.
    pub fn take_group(&self, topic: &str, queue: i32, group: &str) -> Vec<Wait> {
        self.take_where(topic, queue, |wait| wait.group == group)
    }

    fn take_where(&self, topic: &str, queue: i32, wakes: impl Fn(&Wait) -> bool) -> Vec<Wait> {
        let mut table = lock(&self.table);
        let Some(queues) = table.queues.get_mut(topic) else { return Vec::new() };
        let Some(waits) = queues.get_mut(&queue) else { return Vec::new() };
        let (woken, rest): (Vec<_>, Vec<_>) = waits.drain(..).partition(wakes);
        if rest.is_empty() {
            queues.remove(&queue);
            if queues.is_empty() {
                table.queues.remove(topic);
            }
        } else {
            *waits = rest;
        }
        self.count.fetch_sub(woken.len(), Ordering::AcqRel);
        woken
    }

    /// Takes the waits whose time is over.
    pub fn expired(&self, now_ms: i64) -> Vec<Wait> {
        self.drain_where(|wait| wait.deadline_ms <= now_ms)
    }

    /// Drops the waits of a connection that is gone.
    pub fn peer_gone(&self, peer: PeerId) {
        if !self.is_empty() {
            self.drain_where(|wait| wait.answer.peer.id() == peer);
        }
    }

    /// Drops the waits of a member that has left its group: a reset must not be told to it any more.
    pub fn member_gone(&self, peer: PeerId, group: &str) {
        self.drain_where(|wait| wait.answer.peer.id() == peer && wait.group == group);
    }

    fn drain_where(&self, gone: impl Fn(&Wait) -> bool) -> Vec<Wait> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut table = lock(&self.table);
        let mut taken = Vec::new();
        for queues in table.queues.values_mut() {
            for waits in queues.values_mut() {
                let mut at = 0;
                while at < waits.len() {
                    if gone(&waits[at]) {
                        taken.push(waits.swap_remove(at));
                    } else {
                        at += 1;
                    }
                }
            }
            queues.retain(|_, waits| !waits.is_empty());
        }
        table.queues.retain(|_, queues| !queues.is_empty());
        self.count.fetch_sub(taken.len(), Ordering::AcqRel);
        taken
    }
}
