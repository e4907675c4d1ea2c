//! Every queue there is: (topic, queue id) to queue, and the list of those with work for the `disk`
//! thread.
//!
//! Looking one up takes the read side of one of a few locks. Nothing here reads records.
//! Spec: store.md §3, architecture.md §6 (order of locks).

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::commit_log::check_files;
use super::consume_queue::Queue;
use super::error::StoreError;
use super::queue_io::{QueueIo, Unit};
use crate::protocol::names;

const SHARDS: usize = 16;

type Shard = HashMap<Arc<str>, BTreeMap<i32, Arc<Queue>>>;

/// The queues of a store.
pub(super) struct QueueTable {
    pub io: QueueIo,
    shards: [RwLock<Shard>; SHARDS],
    hasher: RandomState,
    /// Queues with units that are not durable.
    busy: Mutex<Vec<Arc<Queue>>>,
}

impl QueueTable {
    pub fn new(io: QueueIo) -> Self {
        Self {
            io,
            shards: std::array::from_fn(|_| RwLock::default()),
            hasher: RandomState::new(),
            busy: Mutex::default(),
        }
    }

    fn shard(&self, topic: &str) -> &RwLock<Shard> {
        &self.shards[self.hasher.hash_one(topic) as usize % SHARDS]
    }

    fn read(&self, topic: &str) -> RwLockReadGuard<'_, Shard> {
        self.shard(topic).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, topic: &str) -> RwLockWriteGuard<'_, Shard> {
        self.shard(topic).write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, topic: &str, id: i32) -> Option<Arc<Queue>> {
        self.read(topic).get(topic)?.get(&id).cloned()
    }

    /// The queue, made when there is none; its first unit will have the queue offset `start`. None
    /// for a name that cannot be a directory.
    pub fn get_or_make(&self, topic: &str, id: i32, start: u64) -> Option<Arc<Queue>> {
        if let Some(queue) = self.get(topic, id) {
            return Some(queue);
        }
        if id < 0 || !names::is_directory_name(topic) {
            return None;
        }
        let mut shard = self.write(topic);
        let key = shard.get_key_value(topic).map_or_else(|| Arc::from(topic), |(k, _)| k.clone());
        let queues = shard.entry(Arc::clone(&key)).or_default();
        let made = || Arc::new(Queue::new(key, id, start));
        Some(Arc::clone(queues.entry(id).or_insert_with(made)))
    }

    pub fn insert(&self, queue: Queue) {
        let queue = Arc::new(queue);
        let mut shard = self.write(&queue.topic);
        shard.entry(Arc::clone(&queue.topic)).or_default().insert(queue.id, queue);
    }

    /// Adds a unit to a queue and notes that the queue has work.
    pub fn push(&self, queue: &Arc<Queue>, unit: Unit, now_ns: u64) {
        if queue.push(&self.io, unit, now_ns) {
            self.busy.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(queue));
        }
    }

    /// Takes the queues with work; what still has some goes back through [`Self::put_busy`].
    pub fn take_busy(&self) -> Vec<Arc<Queue>> {
        let mut busy =
            std::mem::take(&mut *self.busy.lock().unwrap_or_else(PoisonError::into_inner));
        // A queue can be noted again while the `disk` thread has it in hand.
        busy.sort_unstable_by_key(|queue| queue.uid);
        busy.dedup_by_key(|queue| queue.uid);
        busy
    }

    /// Puts queues back of which `undurable` was some when it was last looked at.
    pub fn put_busy(&self, mut queues: Vec<Arc<Queue>>) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).append(&mut queues);
    }

    pub fn ids(&self, topic: &str) -> Vec<i32> {
        self.read(topic).get(topic).map_or_else(Vec::new, |q| q.keys().copied().collect())
    }

    /// Names of the topics that have a queue, in order.
    pub fn topics(&self) -> Vec<Arc<str>> {
        let mut topics = Vec::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            topics.extend(shard.keys().cloned());
        }
        topics.sort_unstable();
        topics
    }

    /// Every queue, ordered by topic and id.
    pub fn all(&self) -> Vec<Arc<Queue>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.values().flat_map(BTreeMap::values).cloned());
        }
        all.sort_unstable_by(|a, b| (&a.topic, a.id).cmp(&(&b.topic, b.id)));
        all
    }

    pub fn remove_topic(&self, topic: &str) -> Vec<Arc<Queue>> {
        let queues = self.write(topic).remove(topic).unwrap_or_default();
        let queues: Vec<_> = queues.into_values().collect();
        for queue in &queues {
            queue.mark_deleted(&self.io);
            self.io.forget(queue);
        }
        queues
    }

    /// Directories of queues, with topic and id; names that are no number are passed over.
    fn directories(&self) -> Result<Vec<(Arc<str>, i32)>, StoreError> {
        let list = |dir: &std::path::Path| self.io.storage.list(dir).map_err(StoreError::io(dir));
        let mut found = Vec::new();
        for topic in list(&self.io.dir)?.into_iter().filter(|entry| entry.is_dir) {
            let name: Arc<str> = Arc::from(topic.name.as_str());
            for queue in list(&self.io.dir.join(&topic.name))?.into_iter().filter(|e| e.is_dir) {
                if let Ok(id) = queue.name.parse() {
                    found.push((Arc::clone(&name), id));
                }
            }
        }
        Ok(found)
    }

    /// Checks names and lengths of every queue file. Changes nothing.
    pub fn check(&self) -> Result<(), StoreError> {
        for (topic, id) in self.directories()? {
            let dir = Queue::new(topic, id, 0).dir(&self.io);
            check_files(self.io.storage.as_ref(), &dir, self.io.file_size)?;
        }
        Ok(())
    }

    /// Reads every queue from its files. Units of records that start at or before `trusted` are
    /// known to be durable.
    pub fn load(&self, trusted: u64) -> Result<(), StoreError> {
        let mut unsure = Vec::new();
        for (topic, id) in self.directories()? {
            if let Some(queue) = Queue::load(&self.io, topic, id, trusted)? {
                let queue = Arc::new(queue);
                if queue.work().undurable.is_some() {
                    unsure.push(Arc::clone(&queue));
                }
                let mut shard = self.write(&queue.topic);
                shard.entry(Arc::clone(&queue.topic)).or_default().insert(queue.id, queue);
            }
        }
        self.put_busy(unsure);
        Ok(())
    }
}
