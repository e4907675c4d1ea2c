//! What POP remembers: queues that are being popped, what is handed out, blocks of ordered queues.
//!
//! A popped queue is marked busy until its checkpoint is stored, so that no lock is held while the
//! store is called, and the group's offset moves in order (semantics.md §16).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::lock;
use super::pop_parked::PopParked;
use crate::decide::pop::REVIVE_QUEUES;
use crate::decide::pop_order::{self, Acked};
use crate::protocol::body::pop::{OrderBlock, OrderTable};

/// A queue of a topic, as one group sees it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// Topic.
    pub topic: String,
    /// Group.
    pub group: String,
    /// Queue.
    pub queue_id: i32,
}

impl Place {
    /// A place.
    pub fn new(topic: &str, group: &str, queue_id: i32) -> Self {
        Self { topic: topic.to_owned(), group: group.to_owned(), queue_id }
    }
}

/// Messages that one pop handed out of one queue.
#[derive(Debug)]
struct Out {
    until_ms: i64,
    offsets: Vec<i64>,
}

#[derive(Debug, Default)]
struct Queue {
    busy: bool,
    /// By start offset and pop time.
    out: HashMap<(i64, i64), Out>,
}

/// State of POP.
#[derive(Debug, Default)]
pub struct PopState {
    /// Pops that wait.
    pub pops: PopParked,
    /// Notifications that wait.
    pub notifications: PopParked,
    queues: Mutex<HashMap<Place, Queue>>,
    orders: Mutex<Orders>,
    order_changes: AtomicU64,
    counter: AtomicU32,
}

#[derive(Debug, Default)]
struct Orders {
    blocks: BTreeMap<Place, OrderBlock>,
    /// When a block ends by itself.
    ends: BTreeSet<(i64, Place)>,
}

impl PopState {
    /// Marks a queue busy; `false` when it is already.
    pub fn begin(&self, place: &Place) -> bool {
        let mut queues = lock(&self.queues);
        let queue = queues.entry(place.clone()).or_default();
        !std::mem::replace(&mut queue.busy, true)
    }

    /// Ends what [`begin`](Self::begin) began.
    pub fn end(&self, place: &Place) {
        let mut queues = lock(&self.queues);
        if let Some(queue) = queues.get_mut(place) {
            queue.busy = false;
        }
    }

    /// Whether the queue is being popped now.
    pub fn is_busy(&self, place: &Place) -> bool {
        lock(&self.queues).get(place).is_some_and(|queue| queue.busy)
    }

    /// The revive queue of the next checkpoint.
    pub fn next_revive_queue(&self) -> i32 {
        (self.counter.fetch_add(1, Ordering::Relaxed) % REVIVE_QUEUES.unsigned_abs()) as i32
    }

    /// Notes messages that were handed out; what is over is forgotten.
    pub fn handed_out(
        &self,
        place: &Place,
        start: i64,
        pop_ms: i64,
        until_ms: i64,
        offsets: &[i64],
    ) {
        let mut queues = lock(&self.queues);
        let queue = queues.entry(place.clone()).or_default();
        queue.out.retain(|_, out| out.until_ms > pop_ms);
        queue.out.insert((start, pop_ms), Out { until_ms, offsets: offsets.to_vec() });
    }

    /// Forgets messages that were acknowledged, or handed out anew.
    pub fn acked(&self, place: &Place, start: i64, pop_ms: i64, offsets: &[i64]) {
        let mut queues = lock(&self.queues);
        let Some(queue) = queues.get_mut(place) else { return };
        if let Some(out) = queue.out.get_mut(&(start, pop_ms)) {
            out.offsets.retain(|offset| !offsets.contains(offset));
            if out.offsets.is_empty() {
                queue.out.remove(&(start, pop_ms));
            }
        }
    }

    /// Messages that are handed out and not acknowledged; none when the group does not pop the queue.
    pub fn in_flight(&self, place: &Place, now_ms: i64) -> Option<i64> {
        if let Some(queue) = lock(&self.queues).get(place) {
            let live = queue.out.values().filter(|out| out.until_ms > now_ms);
            return Some(live.map(|out| out.offsets.len() as i64).sum());
        }
        None
    }

    /// Forgets a topic that is gone: should it come again, nothing of it is out and no queue blocked.
    pub fn remove_topic(&self, topic: &str) {
        lock(&self.queues).retain(|place, queue| {
            if place.topic == topic {
                queue.out.clear();
            }
            queue.busy || place.topic != topic
        });
        let mut orders = lock(&self.orders);
        let before = orders.blocks.len();
        orders.blocks.retain(|place, _| place.topic != topic);
        orders.ends.retain(|(_, place)| place.topic != topic);
        if orders.blocks.len() != before {
            self.order_changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets queues of which nothing is out.
    pub fn tidy(&self, now_ms: i64) {
        lock(&self.queues).retain(|_, queue| {
            queue.out.retain(|_, out| out.until_ms > now_ms);
            queue.busy || !queue.out.is_empty()
        });
    }
}

/// Blocks of ordered queues.
impl PopState {
    /// Until when the queue is blocked for the attempt, ms.
    pub fn blocked_until(
        &self,
        place: &Place,
        attempt_id: Option<&str>,
        now_ms: i64,
    ) -> Option<i64> {
        let orders = lock(&self.orders);
        pop_order::blocked_until(orders.blocks.get(place)?, attempt_id, now_ms)
    }

    /// Blocks a queue by a new batch; the block as it is now.
    pub fn block(
        &self,
        place: &Place,
        attempt_id: Option<&str>,
        pop_ms: i64,
        invisible_ms: i64,
        offsets: &[i64],
    ) -> OrderBlock {
        let mut orders = lock(&self.orders);
        let before = orders.blocks.get(place);
        let block = pop_order::handed_out(before, attempt_id, pop_ms, invisible_ms, offsets);
        orders.blocks.insert(place.clone(), block.clone());
        orders.ends.insert((pop_ms.saturating_add(invisible_ms), place.clone()));
        self.order_changes.fetch_add(1, Ordering::Relaxed);
        block
    }

    /// Takes an acknowledgement; none when the queue has no block.
    pub fn ack_ordered(&self, place: &Place, offset: i64, pop_ms: i64) -> Option<Acked> {
        self.order_changes.fetch_add(1, Ordering::Relaxed);
        lock(&self.orders).blocks.get_mut(place).map(|block| pop_order::ack(block, offset, pop_ms))
    }

    /// Moves the time at which one message is visible again.
    pub fn change_ordered(&self, place: &Place, offset: i64, pop_ms: i64, until_ms: i64) {
        let mut orders = lock(&self.orders);
        let Some(block) = orders.blocks.get_mut(place) else { return };
        if pop_order::change(block, offset, pop_ms, until_ms) {
            orders.ends.insert((until_ms, place.clone()));
            self.order_changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Drops the block of a queue.
    pub fn unblock(&self, place: &Place) {
        if lock(&self.orders).blocks.remove(place).is_some() {
            self.order_changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Queues whose block has ended by itself since the last call.
    pub fn ended(&self, now_ms: i64) -> Vec<Place> {
        let mut orders = lock(&self.orders);
        let mut places = Vec::new();
        while orders.ends.first().is_some_and(|(at_ms, _)| *at_ms <= now_ms) {
            places.extend(orders.ends.pop_first().map(|(_, place)| place));
        }
        places
    }

    /// A number that grows with every change of a block.
    pub fn order_changes(&self) -> u64 {
        self.order_changes.load(Ordering::Relaxed)
    }

    /// The blocks that are in use, as they are stored.
    pub fn order_table(&self, now_ms: i64) -> OrderTable {
        let mut orders = lock(&self.orders);
        orders.blocks.retain(|_, block| now_ms - block.last_ms <= pop_order::UNUSED_MS);
        let mut stored = OrderTable::default();
        for (place, block) in &orders.blocks {
            let key = format!("{}@{}", place.topic, place.group);
            stored.table.entry(key).or_default().insert(place.queue_id, block.clone());
        }
        stored
    }

    /// Takes the blocks that were stored.
    pub fn load_orders(&self, stored: OrderTable) {
        let mut orders = lock(&self.orders);
        for (key, queues) in stored.table {
            let Some((topic, group)) = key.rsplit_once('@') else { continue };
            for (queue_id, block) in queues {
                let place = Place::new(topic, group, queue_id);
                let ends = block.visible_ms.values().copied();
                let last = ends.chain([block.pop_ms.saturating_add(block.invisible_ms)]).max();
                orders.ends.extend(last.map(|at_ms| (at_ms, place.clone())));
                orders.blocks.insert(place, block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_flight_is_what_is_out_and_neither_acknowledged_nor_over() {
        let state = PopState::default();
        let place = Place::new("t", "g", 0);
        assert_eq!(state.in_flight(&place, 0), None);
        state.handed_out(&place, 4, 100, 200, &[4, 5, 6]);
        state.handed_out(&place, 7, 150, 250, &[7]);
        state.acked(&place, 4, 100, &[5]);
        state.acked(&place, 4, 99, &[4]);
        assert_eq!(state.in_flight(&place, 199), Some(3));
        assert_eq!(state.in_flight(&place, 200), Some(1));
        state.tidy(250);
        assert_eq!(state.in_flight(&place, 250), None);
    }

    #[test]
    fn a_queue_is_popped_by_one_at_a_time() {
        let state = PopState::default();
        let place = Place::new("t", "g", 0);
        assert!(state.begin(&place) && !state.begin(&place));
        state.end(&place);
        assert!(state.begin(&place));
    }

    #[test]
    fn blocks_survive_a_restart_and_end_once() {
        let state = PopState::default();
        let place = Place::new("%RETRY%x", "g", 2);
        state.block(&place, None, 1_000, 500, &[3]);
        let stored = serde_json::to_string(&state.order_table(1_000)).unwrap();
        let again = PopState::default();
        again.load_orders(serde_json::from_str(&stored).unwrap());
        assert_eq!(again.blocked_until(&place, None, 1_400), Some(1_500));
        assert!(again.ended(1_499).is_empty());
        assert_eq!(again.ended(1_500), [place]);
        assert!(again.ended(9_999).is_empty());
        assert!(state.order_table(1_001 + pop_order::UNUSED_MS).table.is_empty());
    }
}
