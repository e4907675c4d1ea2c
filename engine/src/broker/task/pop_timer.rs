//! Delivers the messages of the POP log from the timer topic when they are due.
//!
//! Only those: other timer messages are not its business. What was delivered is known by time: the
//! revive topic was last written then, so a start delivers what was due from there on.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::broker::Broker;
use crate::broker::put::{Delay, Put};
use crate::decide::pop::REVIVE_QUEUES;
use crate::protocol::names::{self, TIMER_TOPIC};
use crate::protocol::properties::{self, key};
use crate::protocol::record::RecordView;
use crate::store::{Append, LogOffset, QueueOffset, StoreError};

/// Messages that are read together.
const READ_MAX: usize = 512;
/// Messages that are delivered together.
const GROUP_MAX: usize = 256;
/// How much a start goes back, ms: deliveries of that time may not all have been stored.
const BACK_MS: i64 = 3_000;
/// Longest wait for an append's answer.
const APPEND_WAIT: Duration = Duration::from_secs(10);

/// State of the task.
#[derive(Debug, Default)]
pub struct PopTimer {
    next: u64,
    waiting: BinaryHeap<Reverse<(i64, u64)>>,
    delivered_ms: Option<i64>,
}

impl PopTimer {
    /// Delivers what is due; whether something due is left.
    pub fn run(&mut self, broker: &Arc<Broker>, now_ms: i64) -> bool {
        match self.turn(broker, now_ms) {
            Ok(behind) => behind,
            Err(error) => {
                tracing::warn!(%error, "the timer topic cannot be read, trying again");
                true
            }
        }
    }

    fn turn(&mut self, broker: &Arc<Broker>, now_ms: i64) -> Result<bool, StoreError> {
        let topic = names::revive_topic(&broker.config.broker_cluster_name);
        let delivered_ms =
            *self.delivered_ms.get_or_insert_with(|| last_delivery(broker, &topic) - BACK_MS);
        self.read(broker, &topic, delivered_ms)?;
        while self.waiting.peek().is_some_and(|Reverse((due_ms, _))| *due_ms <= now_ms) {
            let mut group = Vec::new();
            while group.len() < GROUP_MAX
                && self.waiting.peek().is_some_and(|Reverse((due_ms, _))| *due_ms <= now_ms)
            {
                group.extend(self.waiting.pop().map(|Reverse(entry)| entry));
            }
            let mut appends = Vec::with_capacity(group.len());
            for (_, at) in &group {
                let record = broker.store.record_at(LogOffset(*at))?;
                appends.extend(record.and_then(|record| copy(broker, &record)));
            }
            if !deliver(broker, appends) {
                self.waiting.extend(group.into_iter().map(Reverse));
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read(&mut self, broker: &Broker, topic: &str, after_ms: i64) -> Result<(), StoreError> {
        self.next = self.next.max(broker.store.min_offset(TIMER_TOPIC, 0).0);
        loop {
            let units = broker.store.units(TIMER_TOPIC, 0, QueueOffset(self.next), READ_MAX)?;
            if units.is_empty() {
                return Ok(());
            }
            for unit in units {
                self.next += 1;
                let Some(record) = broker.store.record_at(unit.log_offset)? else { continue };
                let due = due_ms(&record, topic).filter(|due_ms| *due_ms >= after_ms);
                self.waiting.extend(due.map(|due_ms| Reverse((due_ms, unit.log_offset.0))));
            }
        }
    }
}

fn last_delivery(broker: &Broker, topic: &str) -> i64 {
    let last = |queue_id| {
        let max = broker.store.max_offset(topic, queue_id).0 as i64;
        broker.store_time(topic, queue_id, max - 1)
    };
    (0..REVIVE_QUEUES).filter_map(last).max().unwrap_or(0)
}

fn due_ms(record: &[u8], topic: &str) -> Option<i64> {
    let view = RecordView::parse(record).ok()?;
    view.property(key::REAL_TOPIC).filter(|real| *real == topic)?;
    view.property(key::TIMER_OUT_MS)?.parse().ok()
}

fn copy(broker: &Broker, record: &[u8]) -> Option<Append> {
    let view = RecordView::parse(record).ok()?;
    let topic = view.property(key::REAL_TOPIC)?;
    let queue_id = view.property(key::REAL_QUEUE_ID)?.parse().ok()?;
    let mut put = Put::copy_of(&view, Arc::from(topic), queue_id);
    properties::set(&mut put.properties, key::WAIT, "false");
    broker.append_of(put, Delay::Done).ok()
}

fn deliver(broker: &Broker, mut appends: Vec<Append>) -> bool {
    let count = appends.len();
    let (done, answers) = mpsc::channel();
    for append in &mut appends {
        let done = done.clone();
        append.done = Box::new(move |appended| {
            // The task may have given up waiting: then it delivers again.
            let _ = done.send(appended.is_stored());
        });
    }
    if count > 0 {
        broker.store.submit(appends);
    }
    (0..count).all(|_| answers.recv_timeout(APPEND_WAIT) == Ok(true))
}
