//! Committed and last pulled offsets of groups (semantics.md §11).
//!
//! Cells are atomics: a pull or commit takes a read lock only. What is not there is "none", never 0.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use super::{read, write};

/// No offset.
const NONE: i64 = -1;

#[derive(Debug)]
struct Cell {
    committed: AtomicI64,
    pulled: AtomicI64,
}

impl Default for Cell {
    fn default() -> Self {
        Self { committed: AtomicI64::new(NONE), pulled: AtomicI64::new(NONE) }
    }
}

type Cells = RwLock<BTreeMap<i32, Cell>>;

/// Offsets by group and topic.
#[derive(Debug, Default)]
pub struct Offsets {
    groups: RwLock<HashMap<String, BTreeMap<String, Arc<Cells>>>>,
    changes: AtomicU64,
}

impl Offsets {
    fn cells(&self, group: &str, topic: &str) -> Option<Arc<Cells>> {
        read(&self.groups).get(group).and_then(|topics| topics.get(topic)).cloned()
    }

    fn cells_or_new(&self, group: &str, topic: &str) -> Arc<Cells> {
        if let Some(cells) = self.cells(group, topic) {
            return cells;
        }
        let mut groups = write(&self.groups);
        let topics = groups.entry(group.to_owned()).or_default();
        Arc::clone(topics.entry(topic.to_owned()).or_default())
    }

    fn with_cell(&self, group: &str, topic: &str, queue: i32, change: impl Fn(&Cell)) {
        let cells = self.cells_or_new(group, topic);
        if let Some(cell) = read(&cells).get(&queue) {
            change(cell);
            return;
        }
        change(write(&cells).entry(queue).or_default());
    }

    /// Next message that the group has not committed; `None` when it never did.
    pub fn committed(&self, group: &str, topic: &str, queue: i32) -> Option<i64> {
        let cells = self.cells(group, topic)?;
        let value = read(&cells).get(&queue)?.committed.load(Ordering::Relaxed);
        (value != NONE).then_some(value)
    }

    /// Next message after the last pull; at least the committed offset.
    pub fn pulled(&self, group: &str, topic: &str, queue: i32) -> Option<i64> {
        let cells = self.cells(group, topic)?;
        let cells = read(&cells);
        let cell = cells.get(&queue)?;
        let value = cell.pulled.load(Ordering::Relaxed).max(cell.committed.load(Ordering::Relaxed));
        (value != NONE).then_some(value)
    }

    /// Stores a committed offset, whatever it was before.
    pub fn commit(&self, group: &str, topic: &str, queue: i32, offset: i64) {
        self.with_cell(group, topic, queue, |cell| cell.committed.store(offset, Ordering::Relaxed));
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Remembers how far the group has pulled.
    pub fn note_pull(&self, group: &str, topic: &str, queue: i32, offset: i64) {
        self.with_cell(group, topic, queue, |cell| cell.pulled.store(offset, Ordering::Relaxed));
    }

    /// Topics on which the group has committed something.
    pub fn topics_of(&self, group: &str) -> Vec<String> {
        let groups = read(&self.groups);
        let Some(topics) = groups.get(group) else { return Vec::new() };
        topics
            .iter()
            .filter(|(_, cells)| has_commit(cells))
            .map(|(topic, _)| topic.clone())
            .collect()
    }

    /// Groups that have committed something on the topic.
    pub fn groups_of(&self, topic: &str) -> Vec<String> {
        let groups = read(&self.groups);
        let on_topic =
            groups.iter().filter(|(_, topics)| topics.get(topic).is_some_and(|c| has_commit(c)));
        on_topic.map(|(group, _)| group.clone()).collect()
    }

    /// Forgets a group.
    pub fn remove_group(&self, group: &str) {
        write(&self.groups).remove(group);
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Forgets a topic in every group.
    pub fn remove_topic(&self, topic: &str) {
        for topics in write(&self.groups).values_mut() {
            topics.remove(topic);
        }
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Copies the committed offsets of a topic from one group to another.
    pub fn copy(&self, source: &str, target: &str, topic: &str) {
        for (queue, offset) in self.committed_of(source, topic) {
            self.commit(target, topic, queue, offset);
        }
    }

    /// Committed offsets of a group on a topic, by queue.
    pub fn committed_of(&self, group: &str, topic: &str) -> BTreeMap<i32, i64> {
        self.cells(group, topic)
            .map_or_else(BTreeMap::new, |cells| values(&cells, |cell| &cell.committed))
    }

    /// All committed and all pulled offsets, as topic, group, queue → offset.
    pub fn all(&self) -> Vec<GroupOffsets> {
        let groups = read(&self.groups);
        let mut all = Vec::new();
        for (group, topics) in groups.iter() {
            for (topic, cells) in topics {
                all.push(GroupOffsets {
                    group: group.clone(),
                    topic: topic.clone(),
                    committed: values(cells, |cell| &cell.committed),
                    pulled: values(cells, |cell| &cell.pulled),
                });
            }
        }
        all.sort_by(|a, b| (&a.topic, &a.group).cmp(&(&b.topic, &b.group)));
        all
    }

    /// A number that grows with every change of a committed offset.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Lowers offsets that lie beyond their queue's end; how many.
    pub fn clamp(&self, max: impl Fn(&str, i32) -> i64) -> usize {
        let mut clamped = 0;
        for offsets in self.all() {
            for (queue, offset) in &offsets.committed {
                let end = max(&offsets.topic, *queue);
                if *offset > end {
                    self.commit(&offsets.group, &offsets.topic, *queue, end);
                    clamped += 1;
                }
            }
        }
        clamped
    }
}

/// Offsets of one group on one topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupOffsets {
    /// Group name.
    pub group: String,
    /// Topic name.
    pub topic: String,
    /// Queue → committed offset.
    pub committed: BTreeMap<i32, i64>,
    /// Queue → offset after the last pull.
    pub pulled: BTreeMap<i32, i64>,
}

fn has_commit(cells: &Cells) -> bool {
    read(cells).values().any(|cell| cell.committed.load(Ordering::Relaxed) != NONE)
}

fn values(cells: &Cells, which: impl Fn(&Cell) -> &AtomicI64) -> BTreeMap<i32, i64> {
    let cells = read(cells);
    let values = cells.iter().map(|(queue, cell)| (*queue, which(cell).load(Ordering::Relaxed)));
    values.filter(|(_, offset)| *offset != NONE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_committed_is_none_and_not_zero() {
        let offsets = Offsets::default();
        offsets.note_pull("g", "t", 0, 7);
        assert_eq!(offsets.committed("g", "t", 0), None);
        assert_eq!(offsets.pulled("g", "t", 0), Some(7));
        assert!(offsets.topics_of("g").is_empty());
        offsets.commit("g", "t", 0, 0);
        assert_eq!(offsets.committed("g", "t", 0), Some(0));
        assert_eq!(offsets.topics_of("g"), ["t"]);
        assert_eq!(offsets.groups_of("t"), ["g"]);
    }

    #[test]
    fn offsets_beyond_the_end_are_clamped_and_others_stay() {
        let offsets = Offsets::default();
        offsets.commit("g", "t", 0, 12);
        offsets.commit("g", "t", 1, 3);
        assert_eq!(offsets.clamp(|_, _| 10), 1);
        assert_eq!(offsets.committed_of("g", "t"), BTreeMap::from([(0, 10), (1, 3)]));
    }
}
