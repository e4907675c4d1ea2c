//! Changes of the topic and group tables that wait for the disk (architecture.md §7, topics and groups).
//!
//! All changes that have gathered when the writer comes are one write; then all are answered.

use std::sync::Mutex;

use super::lock;

type Waiter = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Pending {
    topics: bool,
    groups: bool,
    waiters: Vec<Waiter>,
}

/// What has to be written, and who waits for it.
#[derive(Default)]
pub struct Persist {
    pending: Mutex<Pending>,
    wake: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl std::fmt::Debug for Persist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Persist")
            .field("waiters", &lock(&self.pending).waiters.len())
            .finish_non_exhaustive()
    }
}

/// What one turn of the writer has to do.
pub struct Turn {
    /// The topic table changed.
    pub topics: bool,
    /// The group table changed.
    pub groups: bool,
    waiters: Vec<Waiter>,
}

impl Turn {
    /// Whether there is nothing to write and nobody to answer.
    pub fn is_empty(&self) -> bool {
        !self.topics && !self.groups && self.waiters.is_empty()
    }

    /// Everything is on the disk: answers all who waited.
    pub fn done(self) {
        for waiter in self.waiters {
            waiter();
        }
    }
}

impl Persist {
    /// Sets who is told that there is something to write.
    pub fn on_change(&self, wake: impl Fn() + Send + 'static) {
        *lock(&self.wake) = Some(Box::new(wake));
    }

    /// The topic table changed.
    pub fn topics_changed(&self) {
        lock(&self.pending).topics = true;
        self.wake();
    }

    /// The group table changed.
    pub fn groups_changed(&self) {
        lock(&self.pending).groups = true;
        self.wake();
    }

    /// Runs `waiter` once everything changed so far is on the disk.
    pub fn wait(&self, waiter: Waiter) {
        lock(&self.pending).waiters.push(waiter);
        self.wake();
    }

    /// Takes what has gathered.
    pub fn take(&self) -> Turn {
        let pending = std::mem::take(&mut *lock(&self.pending));
        Turn { topics: pending.topics, groups: pending.groups, waiters: pending.waiters }
    }

    /// Puts back a turn whose write failed: it is tried again, and nobody is answered before.
    pub fn failed(&self, turn: Turn) {
        let mut pending = lock(&self.pending);
        pending.topics |= turn.topics;
        pending.groups |= turn.groups;
        pending.waiters.splice(0..0, turn.waiters);
    }

    fn wake(&self) {
        if let Some(wake) = &*lock(&self.wake) {
            wake();
        }
    }
}
