//! Puts delayed messages back to their real topic when they are due (semantics.md §9).
//!
//! A level's offset moves only once its copies can be read (`visible`), so a kill in between delivers
//! twice and never not at all.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::broker::Broker;
use crate::broker::put::{Delay, Put};
use crate::mutant::{self, Mutant};
use crate::protocol::names;
use crate::protocol::properties::{self, key};
use crate::protocol::record::RecordView;
use crate::store::{Append, QueueOffset};

/// Copies that one level may have under way.
const GROUP_MAX: usize = 64;
/// Groups that one level delivers before the others get their turn.
const GROUPS_PER_TURN: usize = 16;
/// Pause of a level after a failed append, ms.
const RETRY_MS: i64 = 10_000;
/// Longest wait for an append's answer.
const APPEND_WAIT: Duration = Duration::from_secs(10);

/// State of the task.
#[derive(Debug, Default)]
pub struct DelayDelivery {
    not_before_ms: Vec<i64>,
}

impl DelayDelivery {
    /// Delivers what is due; when the next message is, ms (`None`: nothing waits).
    pub fn run(&mut self, broker: &Arc<Broker>) -> Option<i64> {
        let levels = broker.levels.level_max();
        self.not_before_ms.resize(usize::from(levels) + 1, 0);
        (1..=levels).filter_map(|level| self.run_level(broker, level)).min()
    }

    fn run_level(&mut self, broker: &Arc<Broker>, level: u8) -> Option<i64> {
        let not_before = self.not_before_ms[usize::from(level)];
        if broker.clock.wall_ms() < not_before {
            return Some(not_before);
        }
        for _ in 0..GROUPS_PER_TURN {
            match group(broker, level) {
                Group::Nothing => return None,
                Group::Due(at_ms) => return Some(at_ms),
                Group::Delivered => {}
                Group::Failed => {
                    let again = broker.clock.wall_ms() + RETRY_MS;
                    self.not_before_ms[usize::from(level)] = again;
                    return Some(again);
                }
            }
        }
        Some(broker.clock.wall_ms())
    }
}

enum Group {
    Nothing,
    Due(i64),
    Delivered,
    Failed,
}

/// Delivers the messages of one level that are due now, at most [`GROUP_MAX`].
fn group(broker: &Arc<Broker>, level: u8) -> Group {
    let queue = i32::from(level) - 1;
    let start = start_of(broker, level);
    let now_ms = broker.clock.wall_ms();
    let units = broker.store.units(names::SCHEDULE_TOPIC, queue, QueueOffset(start), GROUP_MAX);
    let units = match units {
        Ok(units) => units,
        Err(error) => {
            tracing::warn!(level, %error, "cannot read a delay level, trying again");
            return Group::Failed;
        }
    };
    let Some(first) = units.first() else { return Group::Nothing };
    let due = |tags_code: i64| broker.levels.due_ms(level, tags_code, now_ms);
    if due(first.tags_code) > now_ms {
        return Group::Due(due(first.tags_code));
    }
    let due_units: Vec<_> =
        units.into_iter().take_while(|unit| due(unit.tags_code) <= now_ms).collect();
    let count = due_units.len() as u64;
    let mut appends = Vec::with_capacity(due_units.len());
    for unit in due_units {
        match broker.store.record_at(unit.log_offset) {
            Ok(Some(record)) => {
                appends.extend(copy(broker, &record));
                if mutant::is(Mutant::Doubled) {
                    appends.extend(copy(broker, &record));
                }
            }
            // Expired or damaged: there is nothing left to deliver.
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(level, %error, "cannot read a delayed message, trying again");
                return Group::Failed;
            }
        }
    }
    if !deliver(broker, appends) {
        tracing::warn!(level, "delayed messages could not be stored, trying again");
        return Group::Failed;
    }
    broker.delay_offsets.set(i32::from(level), (start + count) as i64);
    Group::Delivered
}

/// The level's offset, corrected to what is kept.
fn start_of(broker: &Broker, level: u8) -> u64 {
    let queue = i32::from(level) - 1;
    let min = broker.store.min_offset(names::SCHEDULE_TOPIC, queue).0;
    let recorded = broker.delay_offsets.get(i32::from(level)).max(0).unsigned_abs();
    recorded.max(min)
}

fn copy(broker: &Broker, record: &[u8]) -> Option<Append> {
    let view = RecordView::parse(record).ok()?;
    let topic = properties::get(view.properties(), key::REAL_TOPIC)?;
    if topic == names::HALF_TOPIC {
        tracing::error!(topic, "a delayed half message was dropped");
        return None;
    }
    let queue = properties::get(view.properties(), key::REAL_QUEUE_ID)?.parse().ok()?;
    let mut put = Put::copy_of(&view, Arc::from(topic), queue);
    properties::set(&mut put.properties, key::WAIT, "false");
    broker.append_of(put, Delay::Done).ok()
}

/// Appends all and waits until they can be read; `false` when one could not be stored.
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
    drop(done);
    if count > 0 {
        broker.store.submit(appends);
    }
    (0..count).all(|_| answers.recv_timeout(APPEND_WAIT) == Ok(true))
}
