//! Pops and notifications that found nothing and wait for a message or their deadline (semantics.md §16).
//!
//! A wait lies under topic, group and queue (−1 for any). Arrivals in the group's retry topic wake it too.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::lock;
use crate::broker::outcome::{Answer, PeerId};
use crate::decide::filter::Filter;
use crate::decide::pop::RetryTopics;

/// Waits over all queues.
pub const WAITS_MAX: usize = 100_000;
/// Waits on one queue of a group, and on any queue of it.
pub const WAITS_PER_KEY_MAX: usize = 1_024;
/// Queue of a wait for any queue.
pub const ANY_QUEUE: i32 = -1;

/// What a pop or a notification asks for; kept while it waits.
#[derive(Clone, Debug)]
pub struct PopAsk {
    /// Whom to answer.
    pub answer: Answer,
    /// Topic.
    pub topic: String,
    /// Group.
    pub group: String,
    /// Queue, or [`ANY_QUEUE`].
    pub queue_id: i32,
    /// Most messages.
    pub messages_max: usize,
    /// For how long messages are handed out, ms.
    pub invisible_ms: i64,
    /// Whether it may wait.
    pub may_wait: bool,
    /// Answered then at the latest, ms.
    pub deadline_ms: i64,
    /// A group without offset starts at the end.
    pub from_end: bool,
    /// One batch of a queue at a time.
    pub order: bool,
    /// Whose batch is handed out again.
    pub attempt_id: Option<String>,
    /// Messages it wants.
    pub filter: Filter,
}

#[derive(Debug, Default)]
struct Group {
    queues: BTreeMap<i32, VecDeque<PopAsk>>,
}

#[derive(Debug, Default)]
struct Table {
    /// Topic → group → waits.
    topics: HashMap<String, HashMap<String, Group>>,
    /// Retry topic → topic and group.
    retries: HashMap<String, (String, String)>,
}

/// All waits of one kind.
#[derive(Debug, Default)]
pub struct PopParked {
    table: Mutex<Table>,
    count: AtomicUsize,
}

impl PopParked {
    /// Parks a wait, or gives it back when there is no room.
    ///
    /// # Errors
    /// The wait.
    pub fn park(&self, ask: PopAsk) -> Result<(), Box<PopAsk>> {
        let mut table = lock(&self.table);
        if self.count.load(Ordering::Relaxed) >= WAITS_MAX {
            return Err(Box::new(ask));
        }
        let Table { topics, retries } = &mut *table;
        let groups = topics.entry(ask.topic.clone()).or_default();
        let group = groups.entry(ask.group.clone()).or_insert_with(|| {
            // Both forms: which is in use may change while it waits.
            for retry in RetryTopics::BOTH.names(&ask.topic, &ask.group) {
                retries.insert(retry, (ask.topic.clone(), ask.group.clone()));
            }
            Group::default()
        });
        let waits = group.queues.entry(ask.queue_id).or_default();
        if waits.len() >= WAITS_PER_KEY_MAX {
            return Err(Box::new(ask));
        }
        waits.push_back(ask);
        self.count.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Whether nobody waits at all.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Waits under one key.
    pub fn count(&self, topic: &str, group: &str, queue_id: i32) -> usize {
        let table = lock(&self.table);
        let group = table.topics.get(topic).and_then(|groups| groups.get(group));
        group.and_then(|group| group.queues.get(&queue_id)).map_or(0, VecDeque::len)
    }

    /// Takes the waits that a message in this queue wakes: of each group one for any queue and one
    /// for this one.
    pub fn arrived(&self, topic: &str, queue_id: i32, tags_code: i64) -> Vec<PopAsk> {
        if self.is_empty() {
            return Vec::new();
        }
        // What an expression over properties thinks of a message is seen when it is read.
        let wants = |ask: &PopAsk| match &ask.filter {
            Filter::Tag(tags) => tags.matches(tags_code),
            Filter::Sql(_) => true,
        };
        let mut table = lock(&self.table);
        let mut woken = Vec::new();
        let names: HashSet<String> =
            table.topics.get(topic).map_or_else(HashSet::new, |g| g.keys().cloned().collect());
        for group in names {
            self.take(&mut table, topic, &group, &[ANY_QUEUE, queue_id], wants, &mut woken);
        }
        // Whoever pops any queue of the topic reads its retry topic too.
        if let Some((topic, group)) = table.retries.get(topic).cloned() {
            let all: Vec<i32> = table
                .topics
                .get(&topic)
                .and_then(|groups| groups.get(&group))
                .map_or_else(Vec::new, |group| group.queues.keys().copied().collect());
            for queue_id in all {
                let before = woken.len();
                self.take(&mut table, &topic, &group, &[queue_id], wants, &mut woken);
                if woken.len() > before {
                    break;
                }
            }
        }
        woken
    }

    /// Takes one wait for any queue of the group and one for this queue.
    pub fn one(&self, topic: &str, group: &str, queue_id: i32) -> Vec<PopAsk> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut woken = Vec::new();
        let mut table = lock(&self.table);
        self.take(&mut table, topic, group, &[ANY_QUEUE, queue_id], |_| true, &mut woken);
        woken
    }

    fn take(
        &self,
        table: &mut Table,
        topic: &str,
        group: &str,
        queues: &[i32],
        wants: impl Fn(&PopAsk) -> bool,
        woken: &mut Vec<PopAsk>,
    ) {
        let Some(found) = table.topics.get_mut(topic).and_then(|groups| groups.get_mut(group))
        else {
            return;
        };
        for queue_id in queues {
            let Some(waits) = found.queues.get_mut(queue_id) else { continue };
            if let Some(ask) = waits.iter().position(&wants).and_then(|at| waits.remove(at)) {
                self.count.fetch_sub(1, Ordering::AcqRel);
                woken.push(ask);
            }
            if waits.is_empty() {
                found.queues.remove(queue_id);
            }
        }
        if found.queues.is_empty() {
            table.forget(topic, group);
        }
    }

    /// Takes the waits whose time is over.
    pub fn expired(&self, now_ms: i64) -> Vec<PopAsk> {
        self.drain_where(|ask| ask.deadline_ms <= now_ms)
    }

    /// Drops the waits of a connection that is gone.
    pub fn peer_gone(&self, peer: PeerId) {
        drop(self.drain_where(|ask| ask.answer.peer.id() == peer));
    }

    fn drain_where(&self, gone: impl Fn(&PopAsk) -> bool) -> Vec<PopAsk> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut table = lock(&self.table);
        let mut taken = Vec::new();
        let mut empty = Vec::new();
        for (topic, groups) in &mut table.topics {
            for (name, group) in groups {
                for waits in group.queues.values_mut() {
                    let (out, rest): (Vec<_>, Vec<_>) = waits.drain(..).partition(&gone);
                    taken.extend(out);
                    waits.extend(rest);
                }
                group.queues.retain(|_, waits| !waits.is_empty());
                if group.queues.is_empty() {
                    empty.push((topic.clone(), name.clone()));
                }
            }
        }
        for (topic, group) in empty {
            table.forget(&topic, &group);
        }
        self.count.fetch_sub(taken.len(), Ordering::AcqRel);
        taken
    }
}

impl Table {
    fn forget(&mut self, topic: &str, group: &str) {
        if let Some(groups) = self.topics.get_mut(topic) {
            groups.remove(group);
            if groups.is_empty() {
                self.topics.remove(topic);
            }
        }
        for retry in RetryTopics::BOTH.names(topic, group) {
            self.retries.remove(&retry);
        }
    }
}
