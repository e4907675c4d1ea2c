//! Puts popped messages that nobody acknowledged back, into the group's retry topic (semantics.md §16).
//!
//! A checkpoint counts as done only once its copies can be read, so a kill in between delivers twice
//! and never not at all. The committed offsets of `CID_RMQ_SYS_REVIVE_GROUP` name the last checkpoint
//! that is done.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::housekeeping::due;
use crate::broker::Broker;
use crate::broker::put::{Delay, Put};
use crate::broker::revive_log;
use crate::decide::pop::{self, Open, REVIVE_QUEUES};
use crate::decide::route;
use crate::protocol::body::pop::Checkpoint;
use crate::protocol::names::{self, REVIVE_GROUP};
use crate::protocol::properties::{self, key};
use crate::protocol::record::RecordView;
use crate::store::{Append, QueueOffset, StoreError};

/// Pause between two turns, ms.
const EVERY_MS: i64 = 1_000;
/// Messages of one revive queue that are read together.
const READ_MAX: usize = 256;
/// Such reads of one turn.
const READS_PER_TURN: usize = 16;
/// Checkpoints of one revive queue that may be open before no more is read.
const OPEN_MAX: usize = 65_536;
/// Checkpoints of one revive queue that one turn ends.
const DONE_PER_TURN: usize = 1_024;
/// Pause between looks at what is out, ms.
const TIDY_EVERY_MS: i64 = 60_000;
/// How far deliveries of timer messages may be behind the clock to count as in time, ms.
const TIMERS_LATE_MS: i64 = 2_000;
/// Longest wait for an append's answer.
const APPEND_WAIT: Duration = Duration::from_secs(10);
/// Property of a revived message: who popped it.
const ORIGIN_GROUP: &str = "ORIGIN_GROUP";

/// State of the task.
#[derive(Debug, Default)]
pub struct PopRevive {
    queues: Vec<Queue>,
    next_ms: i64,
    tidy_ms: i64,
}

#[derive(Debug, Default)]
struct Queue {
    open: Open,
    next: Option<i64>,
}

impl PopRevive {
    /// Reads the POP log and puts back what is over.
    pub fn run(&mut self, broker: &Arc<Broker>, now_ms: i64) {
        if due(&mut self.tidy_ms, now_ms, TIDY_EVERY_MS) {
            broker.pop.tidy(now_ms);
        }
        if !due(&mut self.next_ms, now_ms, EVERY_MS) {
            return;
        }
        let behind = timers_behind(broker, now_ms);
        let topic = names::revive_topic(&broker.config.broker_cluster_name);
        self.queues.resize_with(REVIVE_QUEUES.unsigned_abs() as usize, Queue::default);
        for (queue_id, queue) in (0..).zip(&mut self.queues) {
            if let Err(error) = queue.turn(broker, &topic, queue_id, now_ms, behind) {
                tracing::warn!(queue_id, %error, "the POP log cannot be read, trying again");
            }
        }
    }
}

/// Whether messages that are due may not have reached the log yet.
fn timers_behind(broker: &Broker, now_ms: i64) -> bool {
    let unread = broker.store.max_offset(names::TIMER_TOPIC, 0).0;
    broker.timers.figures().is_none_or(|figures| {
        figures.check.queue_offset < unread || now_ms - figures.check.read_ms > TIMERS_LATE_MS
    })
}

impl Queue {
    fn turn(
        &mut self,
        broker: &Arc<Broker>,
        topic: &str,
        queue_id: i32,
        now_ms: i64,
        behind: bool,
    ) -> Result<(), StoreError> {
        if self.read(broker, topic, queue_id)? && !behind {
            self.open.idle(now_ms);
        }
        for _ in 0..DONE_PER_TURN {
            let Some((at, point)) = self.open.over() else { break };
            if !end(broker, point, queue_id, now_ms) {
                tracing::warn!(
                    queue_id,
                    "unacknowledged messages could not be stored, trying again"
                );
                break;
            }
            self.open.done();
            broker.offsets.commit(REVIVE_GROUP, topic, queue_id, at);
        }
        Ok(())
    }

    /// Reads on; whether it came to the end.
    fn read(&mut self, broker: &Broker, topic: &str, queue_id: i32) -> Result<bool, StoreError> {
        let min = broker.store.min_offset(topic, queue_id).0 as i64;
        let committed = broker.offsets.committed(REVIVE_GROUP, topic, queue_id);
        let mut next = self.next.unwrap_or_else(|| committed.map_or(0, |last| last + 1)).max(min);
        let mut at_end = false;
        for _ in 0..READS_PER_TURN {
            if self.open.len() >= OPEN_MAX {
                break;
            }
            let from = QueueOffset(next.unsigned_abs());
            let units = broker.store.units(topic, queue_id, from, READ_MAX)?;
            if units.is_empty() {
                at_end = true;
                break;
            }
            for unit in units {
                if let Some(record) = broker.store.record_at(unit.log_offset)?
                    && let Some((due_ms, entry)) = revive_log::read(&record)
                {
                    self.open.take(next, due_ms, entry);
                }
                next += 1;
            }
        }
        self.next = Some(next);
        Ok(at_end)
    }
}

/// Puts back what was not acknowledged; `false` when neither that nor a later try could be stored.
fn end(broker: &Arc<Broker>, point: &Checkpoint, queue_id: i32, now_ms: i64) -> bool {
    let normal = pop::normal_topic(&point.topic, &point.group);
    if broker.topics.get(normal).is_none() || broker.groups.get(&point.group).is_none() {
        return true;
    }
    let (mut offsets, mut appends) = (Vec::new(), Vec::new());
    for offset in pop::unacked(point) {
        // What the log does not hold any more cannot come back.
        if let Some(append) = copy(broker, point, offset, now_ms) {
            offsets.push(offset);
            appends.push(append);
        }
    }
    let stored = store(broker, appends);
    let failed: Vec<i64> =
        offsets.iter().zip(&stored).filter(|(_, ok)| !**ok).map(|(offset, _)| *offset).collect();
    if failed.is_empty() {
        return true;
    }
    let again = failed.iter().filter_map(|offset| {
        let point = pop::put_again(point, *offset, now_ms);
        revive_log::checkpoint(broker, &point, queue_id, now_ms).ok()
    });
    store(broker, again.collect()).iter().all(|ok| *ok)
}

fn copy(broker: &Arc<Broker>, point: &Checkpoint, offset: i64, now_ms: i64) -> Option<Append> {
    let at = QueueOffset(u64::try_from(offset).ok()?);
    let unit = broker.store.unit(&point.topic, point.queue_id, at).ok().flatten()?;
    let record = broker.store.record_at(unit.log_offset).ok().flatten()?;
    let view = RecordView::parse(&record).ok()?;
    let topic = retry_topic(broker, point, now_ms);
    let mut put = Put::copy_of(&view, topic, 0);
    put.born_host = broker.addr;
    put.reconsume_times = view.reconsume_times() + i32::from(!point.suspend);
    put.properties = properties_of(&view, point);
    let made = broker.append_of(put, Delay::Done);
    made.inspect_err(|error| tracing::error!(%error, "an unacknowledged message is lost")).ok()
}

fn properties_of(view: &RecordView<'_>, point: &Checkpoint) -> String {
    let mut text = view.properties().to_owned();
    if view.reconsume_times() == 0 || view.property(key::FIRST_POP_TIME).is_none() {
        properties::set(&mut text, key::FIRST_POP_TIME, &point.pop_ms.to_string());
    }
    properties::set(&mut text, ORIGIN_GROUP, &point.group);
    text
}

/// The topic that the messages come back in, made when it is the first time.
fn retry_topic(broker: &Broker, point: &Checkpoint, now_ms: i64) -> Arc<str> {
    let name = if names::group_of_retry(&point.topic).is_some() {
        point.topic.clone()
    } else {
        broker.retry_topics().written().topic(&point.topic, &point.group)
    };
    let (made, topic) = broker.topics.put_if_absent(route::derived(&name, 1), now_ms);
    if made {
        broker.topics_changed();
        broker.offsets.commit(&point.group, &name, 0, 0);
    }
    Arc::clone(&topic.name)
}

/// Appends all and waits until they can be read; which of them are stored.
fn store(broker: &Broker, mut appends: Vec<Append>) -> Vec<bool> {
    let mut answers = Vec::with_capacity(appends.len());
    for append in &mut appends {
        let (done, answer) = mpsc::channel();
        append.done = Box::new(move |appended| {
            // The task may have given up waiting: then it delivers again.
            let _ = done.send(appended.is_stored());
        });
        answers.push(answer);
    }
    if !appends.is_empty() {
        broker.store.submit(appends);
    }
    answers.iter().map(|answer| answer.recv_timeout(APPEND_WAIT) == Ok(true)).collect()
}
