//! What the broker counts of its own work: one call to the statistics an append or a read.

use std::sync::Arc;

use super::Broker;
use super::state::stat_names::{self as name, OfBroker};
use super::state::stats::{Amount, Latency, pair};
use crate::store::{Append, Appended};

const NS_OF_MS: u64 = 1_000_000;

/// An append that counts once it is stored.
#[derive(Debug)]
pub(crate) struct PutCount {
    topic: Arc<str>,
    messages: usize,
    bytes: usize,
    /// Queue of a client's send; what the broker stores itself has no latency of its own.
    queue_id: Option<i32>,
    start_ns: u64,
}

impl PutCount {
    /// Counts an append for a topic, from now on.
    pub fn of(broker: &Broker, append: &Append, topic: &Arc<str>) -> Self {
        Self {
            topic: Arc::clone(topic),
            messages: append.records(),
            bytes: append.bytes(),
            queue_id: None,
            start_ns: broker.clock.monotonic_ns(),
        }
    }

    /// A send to a queue: how long it takes counts too.
    pub fn in_queue(self, queue_id: i32) -> Self {
        Self { queue_id: Some(queue_id), ..self }
    }
}

/// A read that a group asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GetCount<'a> {
    /// The group.
    pub group: &'a str,
    /// Where it read.
    pub topic: &'a str,
    /// What it got.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Whether there was anything.
    pub found: bool,
    /// The queue, and when the read began; `None` when the whole request is timed instead.
    pub timed: Option<(i32, u64)>,
}

/// Whole milliseconds.
fn ms_of(ns: u64) -> i64 {
    (ns / NS_OF_MS) as i64
}

impl Broker {
    /// Nanoseconds since a reading of the monotonic clock.
    fn since(&self, start_ns: u64) -> u64 {
        self.clock.monotonic_ns().saturating_sub(start_ns)
    }

    /// Counts stored messages.
    pub(crate) fn count_put(&self, put: &PutCount, appended: &Appended) {
        let PutCount { ref topic, messages, bytes, queue_id, start_ns } = *put;
        let took_ns = self.since(start_ns);
        if !appended.is_stored() {
            self.traffic.failed();
            return;
        }
        let user = !self.is_system_topic(topic);
        self.traffic.put(messages, bytes, took_ns, user);
        let latency = queue_id.map(|queue_id| Latency { queue_id, ms: ms_of(took_ns) });
        self.stats.put(topic, Amount { messages, bytes }, latency);
        self.count(OfBroker::PutNums, OfBroker::PutNumsOfUsers, messages, user);
    }

    /// Counts messages that a group got.
    pub(crate) fn count_get(&self, get: GetCount<'_>) {
        let GetCount { group, topic, messages, bytes, found, timed } = get;
        let user = !self.is_system_topic(topic);
        self.traffic.get(messages, found, user);
        if messages == 0 {
            return;
        }
        let latency =
            timed.map(|(queue_id, start_ns)| Latency { queue_id, ms: ms_of(self.since(start_ns)) });
        self.stats.get(&pair(topic, group), Amount { messages, bytes }, latency);
        self.count(OfBroker::GetNums, OfBroker::GetNumsOfUsers, messages, user);
    }

    fn count(&self, all: OfBroker, of_users: OfBroker, messages: usize, user: bool) {
        self.stats.of_broker(all, messages as i64);
        if user {
            self.stats.of_broker(of_users, messages as i64);
        }
    }

    /// Counts a pop that was answered with messages: how long it took.
    pub(crate) fn count_pop(&self, topic: &str, group: &str, latency: Latency) {
        self.stats.got(&pair(topic, group), latency);
    }

    /// Counts stored checkpoints of a pop.
    pub(crate) fn count_checkpoints(&self, topic: &str, group: &str, checkpoints: usize) {
        self.stats.add(name::GROUP_CK_NUMS, &pair(topic, group), checkpoints as i64);
        self.stats.of_broker(OfBroker::CkNums, checkpoints as i64);
    }

    /// Counts messages that were acknowledged.
    pub(crate) fn count_acks(&self, topic: &str, group: &str, messages: usize) {
        self.stats.add(name::GROUP_ACK_NUMS, &pair(topic, group), messages as i64);
        self.stats.of_broker(OfBroker::AckNums, messages as i64);
    }

    /// Counts one group of a heartbeat.
    pub(crate) fn count_register(&self, time: OfBroker, start_ns: u64) {
        self.stats.of_broker(time, ms_of(self.since(start_ns)));
    }
}
