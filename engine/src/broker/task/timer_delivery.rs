//! Follows the timer topic, keeps the wheel, and delivers second by second (semantics.md §10).
//!
//! A message of the topic goes to the wheel before the next one is read, and a second is over only
//! once its copies can be read; `timercheck` is behind both. So a kill delivers twice what was under
//! way, and never not at all. What is due already goes to the next second to be delivered: it takes
//! the same way, and cannot be overtaken by the position.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::housekeeping::due;
use crate::broker::Broker;
use crate::broker::put::{Delay, Put, PutError};
use crate::broker::state::timers::Figures;
use crate::decide::timer::{self, BEHIND_MS_MAX, second_of};
use crate::protocol::body::stats::{TimerMetric, TimerMetrics};
use crate::protocol::properties::{self, key};
use crate::protocol::record::RecordView;
use crate::protocol::{java_hash, json_dialect, names};
use crate::store::{
    Append, LogOffset, PutStatus, QueueOffset, StoreError, TimerStart, TimerUnit, TimerWheel,
};

/// File of the counts by topic.
const METRICS_FILE: &str = "timermetrics";
/// Messages of the timer topic that are read at once.
const FOLLOW_GROUP: usize = 512;
/// Such groups in one turn.
const FOLLOW_GROUPS_MAX: usize = 16;
/// Copies under way.
const GROUP_MAX: usize = 256;
/// Bytes of copies under way; the first one is taken even if it is larger.
const GROUP_BYTES_MAX: u64 = 4 << 20;
/// Groups delivered in one turn.
const GROUPS_MAX: usize = 16;
/// Pause after a failure, ms.
const RETRY_MS: i64 = 1_000;
/// Longest wait for an append's answer.
const APPEND_WAIT: Duration = Duration::from_secs(10);
/// Pause between two looks at whether there is something to write, ms.
const SAVE_EVERY_MS: i64 = 1_000;
/// Pause between two looks for expired log files, ms.
const EXPIRE_EVERY_MS: i64 = 30_000;
/// How far a clock may be set back without second thoughts, ms.
const CLOCK_BACK_MS: i64 = 5_000;
/// Seconds over which rates are taken.
const RATE_SAMPLES: usize = 10;

/// The task.
#[derive(Default)]
pub struct TimerDelivery {
    open: Option<Progress>,
    not_before_ms: i64,
}

/// The wheel and how far it is.
struct Progress {
    wheel: TimerWheel,
    start: TimerStart,
    /// End of the topic at the start: nothing is delivered before a recall in it may be known.
    catch_up: u64,
    current: Option<Second>,
    changed: bool,
    save_ms: i64,
    expire_ms: i64,
    metrics_ms: i64,
    metrics_counter: i64,
    enqueued: u64,
    dequeued: u64,
    samples: VecDeque<(i64, u64, u64)>,
}

/// A second that is being delivered.
struct Second {
    due_ms: i64,
    /// Newest unit that is in `waiting` or was.
    last: u64,
    /// Keys of the messages that are removed.
    removed: BTreeSet<String>,
    waiting: VecDeque<u64>,
}

/// When the task has something to do next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    At(i64),
    /// Nobody waits.
    Nothing,
    /// Copies could not be stored.
    Failed,
}

/// How one copy ended.
enum Copied {
    Stored,
    /// It cannot be stored, today or tomorrow.
    Never,
    Failed,
}

impl TimerDelivery {
    /// Does what is due; when the next message is, ms (`None`: nothing waits).
    pub fn run(&mut self, broker: &Arc<Broker>) -> Option<i64> {
        let now_ms = broker.clock.wall_ms();
        if !broker.config.timer_wheel_enable {
            return None;
        }
        if now_ms < self.not_before_ms && self.not_before_ms - now_ms <= RETRY_MS {
            return Some(self.not_before_ms);
        }
        match self.turn(broker, now_ms) {
            Ok(Next::At(next_ms)) => Some(next_ms),
            Ok(Next::Nothing) => None,
            Ok(Next::Failed) => Some(self.pause(now_ms)),
            Err(error) => {
                tracing::warn!(%error, "timer messages cannot be worked on, trying again");
                Some(self.pause(now_ms))
            }
        }
    }

    /// Stops as cleanly as it can: what it knows is written with the store's last positions.
    pub fn close(&mut self, broker: &Broker) {
        let Some(open) = &mut self.open else { return };
        let now_ms = broker.clock.wall_ms();
        let saved = open.save(broker, now_ms);
        if let Err(error) = saved {
            tracing::warn!(%error, "the timer wheel cannot be written; the next start repairs it");
        }
        open.save_metrics(broker);
    }

    fn pause(&mut self, now_ms: i64) -> i64 {
        self.not_before_ms = now_ms + RETRY_MS;
        self.not_before_ms
    }

    fn turn(&mut self, broker: &Arc<Broker>, now_ms: i64) -> Result<Next, StoreError> {
        let open = match &mut self.open {
            Some(open) => open,
            closed => closed.insert(Progress::open(broker, now_ms)?),
        };
        let unread = open.follow(broker, now_ms)?;
        let next = if open.start.check.queue_offset >= open.catch_up {
            open.deliver(broker)?
        } else {
            Next::At(now_ms)
        };
        if due(&mut open.save_ms, now_ms, SAVE_EVERY_MS) {
            open.chores(broker, now_ms)?;
        }
        open.tell(broker);
        Ok(if unread && next != Next::Failed { Next::At(now_ms) } else { next })
    }
}

impl Progress {
    fn open(broker: &Broker, now_ms: i64) -> Result<Self, StoreError> {
        let newest_ms = second_of(now_ms);
        let topic = names::TIMER_TOPIC;
        let (mut wheel, start) =
            broker.store.open_timers(topic, newest_ms - BEHIND_MS_MAX, newest_ms)?;
        let stored = broker.store.read_json_with(METRICS_FILE, |text| {
            Some(json_dialect::from_slice::<TimerMetrics>(text).unwrap_or_default())
        })?;
        let mut metrics = stored.unwrap_or_default();
        if metrics.timing_count.values().map(|metric| metric.count).sum::<i64>() != wheel.count() {
            recount(broker, &mut metrics, &wheel.count_by_topic()?, now_ms);
        }
        broker.timers.set_metrics(metrics);
        let metrics_counter = broker.timers.metrics().data_version.counter;
        let (read_ms, offset) = (start.check.read_ms, start.check.queue_offset);
        tracing::info!(waiting = wheel.count(), read_ms, offset, "timer wheel open");
        Ok(Self {
            wheel,
            start,
            catch_up: broker.store.max_offset(topic, 0).0,
            current: None,
            changed: false,
            save_ms: 0,
            expire_ms: 0,
            metrics_ms: 0,
            metrics_counter,
            enqueued: 0,
            dequeued: 0,
            samples: VecDeque::new(),
        })
    }

    /// Puts messages of the timer topic on the wheel; whether there may be more.
    fn follow(&mut self, broker: &Broker, now_ms: i64) -> Result<bool, StoreError> {
        for _ in 0..FOLLOW_GROUPS_MAX {
            let min = broker.store.min_offset(names::TIMER_TOPIC, 0).0;
            let from = self.start.check.queue_offset.max(min);
            let found =
                broker.store.units(names::TIMER_TOPIC, 0, QueueOffset(from), FOLLOW_GROUP)?;
            if found.is_empty() {
                return Ok(false);
            }
            let mut units = Vec::with_capacity(found.len());
            let mut topics: BTreeMap<String, i64> = BTreeMap::new();
            for (offset, found) in (from..).zip(&found) {
                if found.is_blank() {
                    continue;
                }
                let Some(record) = broker.store.record_at(found.log_offset)? else { continue };
                let Ok(view) = RecordView::parse(&record) else { continue };
                if let Some(unit) = self.unit_of(&view, offset, found.log_offset, now_ms) {
                    *topics.entry(real_topic(&view)).or_default() += weight(&unit);
                    units.push(unit);
                }
            }
            self.wheel.add(&units)?;
            self.start.check.queue_offset = from + found.len() as u64;
            self.changed = true;
            self.enqueued += units.len() as u64;
            broker.timers.count(&topics, false, now_ms);
        }
        Ok(true)
    }

    /// Where a message of the timer topic goes on the wheel; nowhere when it is none, or was delivered
    /// before the file of positions was lost.
    fn unit_of(
        &self,
        view: &RecordView<'_>,
        offset: u64,
        log_offset: LogOffset,
        now_ms: i64,
    ) -> Option<TimerUnit> {
        let out_ms: i64 = view.property(key::TIMER_OUT_MS)?.trim().parse().ok()?;
        let topic = view.property(key::REAL_TOPIC)?;
        let read_ms = self.start.check.read_ms;
        if offset < self.start.seen && out_ms < read_ms {
            return None;
        }
        let place = timer::place(out_ms, now_ms, read_ms);
        Some(TimerUnit {
            roll: place.roll,
            delete: view.property(key::TIMER_DELETE_UNIQUE_KEY).is_some(),
            written_ms: second_of(now_ms),
            due_ms: place.due_ms,
            log_offset,
            size: view.size() as u32,
            topic_hash: java_hash::string_hash(topic),
        })
    }

    /// Delivers seconds that are over, and answers when the next one is.
    fn deliver(&mut self, broker: &Arc<Broker>) -> Result<Next, StoreError> {
        for _ in 0..GROUPS_MAX {
            let now_ms = broker.clock.wall_ms();
            if self.current.is_none() {
                match self.wheel.next_due(self.start.check.read_ms) {
                    Some(due_ms) if timer::is_over(due_ms, now_ms) => self.begin(broker, due_ms)?,
                    next => {
                        self.idle(now_ms);
                        return Ok(next.map_or(Next::Nothing, |at| Next::At(at + 1_000)));
                    }
                }
            }
            if !self.group(broker)? {
                return Ok(Next::Failed);
            }
        }
        Ok(Next::At(broker.clock.wall_ms()))
    }

    /// Nothing is due: the next second to be delivered is the one that is going on.
    fn idle(&mut self, now_ms: i64) {
        let (read_ms, second) = (&mut self.start.check.read_ms, second_of(now_ms));
        if *read_ms > second + CLOCK_BACK_MS {
            tracing::warn!(back_ms = *read_ms - second, "the clock was set back: timers follow it");
            self.wheel.reopen(second, *read_ms);
            *read_ms = second;
            self.changed = true;
        }
        *read_ms = second.max(*read_ms);
    }

    fn begin(&mut self, broker: &Broker, due_ms: i64) -> Result<(), StoreError> {
        self.start.check.read_ms = due_ms;
        let mut second =
            Second { due_ms, last: 0, removed: BTreeSet::new(), waiting: VecDeque::new() };
        self.collect(broker, &mut second, None)?;
        self.current = Some(second);
        Ok(())
    }

    /// Adds what has come behind `after`. Removals count for all that was not delivered yet.
    fn collect(
        &mut self,
        broker: &Broker,
        second: &mut Second,
        after: Option<u64>,
    ) -> Result<(), StoreError> {
        let positions = self.wheel.chain(second.due_ms, after)?;
        let mut topics: BTreeMap<String, i64> = BTreeMap::new();
        let mut waiting = VecDeque::with_capacity(positions.len());
        for position in &positions {
            let Some(unit) = self.wheel.unit(*position)? else { continue };
            if !unit.delete || unit.roll {
                waiting.push_back(*position);
                continue;
            }
            let Some(record) = broker.store.record_at(unit.log_offset)? else { continue };
            let Ok(view) = RecordView::parse(&record) else { continue };
            let key = view.property(key::TIMER_DELETE_UNIQUE_KEY);
            second.removed.extend(key.map(str::to_owned));
            *topics.entry(real_topic(&view)).or_default() -= weight(&unit);
        }
        second.waiting.append(&mut waiting);
        second.last = self.wheel.last_of(second.due_ms).unwrap_or(second.last);
        broker.timers.count(&topics, false, broker.clock.wall_ms());
        Ok(())
    }

    /// Delivers the next messages of the second, and ends it behind the last one. `false` when some
    /// could not be stored; they stay.
    fn group(&mut self, broker: &Arc<Broker>) -> Result<bool, StoreError> {
        let Some(mut second) = self.current.take() else { return Ok(true) };
        let result = self.group_of(broker, &mut second);
        let due_ms = second.due_ms;
        if second.waiting.is_empty() && matches!(result, Ok(true)) {
            if self.wheel.last_of(due_ms).is_some_and(|last| last > second.last) {
                let last = second.last;
                let collected = self.collect(broker, &mut second, Some(last));
                self.current = Some(second);
                return collected.map(|()| true);
            }
            self.wheel.delivered(due_ms);
            self.start.check.read_ms = due_ms + 1_000;
            self.changed = true;
            broker.timers.count(&BTreeMap::new(), self.wheel.is_empty(), broker.clock.wall_ms());
        } else {
            self.current = Some(second);
        }
        result
    }

    fn group_of(&mut self, broker: &Broker, second: &mut Second) -> Result<bool, StoreError> {
        let now_ms = broker.clock.wall_ms();
        let mut topics: BTreeMap<String, i64> = BTreeMap::new();
        let (mut taken, mut bytes) = (0, 0);
        let mut group: Vec<(u64, String, i64)> = Vec::new();
        let mut appends = Vec::new();
        for position in second.waiting.iter().take(GROUP_MAX) {
            let unit = self.wheel.unit(*position)?;
            bytes += unit.map_or(0, |unit| u64::from(unit.size));
            if taken > 0 && bytes > GROUP_BYTES_MAX {
                break;
            }
            taken += 1;
            let Some(unit) = unit else { continue };
            // Expired or damaged: there is nothing left to deliver.
            let Some(record) = broker.store.record_at(unit.log_offset)? else { continue };
            let Some(view) = timed(&record) else { continue };
            let topic = real_topic(&view);
            match copy(broker, &unit, &view, &second.removed, now_ms) {
                Some(append) => {
                    group.push((*position, topic, weight(&unit)));
                    appends.push(append);
                }
                None => *topics.entry(topic).or_default() -= weight(&unit),
            }
        }
        second.waiting.drain(..taken);
        let mut failed = VecDeque::new();
        for ((position, topic, weight), copied) in group.into_iter().zip(store(broker, appends)) {
            match copied {
                Copied::Failed => failed.push_back(position),
                Copied::Stored | Copied::Never => {
                    *topics.entry(topic).or_default() -= weight;
                    self.dequeued += 1;
                }
            }
        }
        broker.timers.count(&topics, false, now_ms);
        let whole = failed.is_empty();
        if !whole {
            let (count, due_ms) = (failed.len(), second.due_ms);
            tracing::warn!(count, due_ms, "timer messages could not be stored, trying again");
            failed.append(&mut second.waiting);
            second.waiting = failed;
        }
        Ok(whole)
    }

    /// What is done once a second: rates, files of positions, expired files.
    fn chores(&mut self, broker: &Broker, now_ms: i64) -> Result<(), StoreError> {
        self.samples.push_back((now_ms, self.enqueued, self.dequeued));
        while self.samples.len() > RATE_SAMPLES + 1 {
            self.samples.pop_front();
        }
        if self.changed {
            self.save(broker, now_ms)?;
        }
        let every = broker.config.flush_delay_offset_interval as i64;
        if due(&mut self.metrics_ms, now_ms, every) {
            self.save_metrics(broker);
        }
        if due(&mut self.expire_ms, now_ms, EXPIRE_EVERY_MS) {
            self.wheel.expire(broker.store.positions().min)?;
        }
        Ok(())
    }

    /// Makes wheel and log durable, then hands the positions over, which wait for the commit log.
    fn save(&mut self, broker: &Broker, now_ms: i64) -> Result<(), StoreError> {
        if !self.changed {
            return Ok(());
        }
        let check = &mut self.start.check;
        check.log_flushed = self.wheel.sync()?;
        check.master_offset = check.queue_offset;
        check.version = check.version.next(now_ms);
        broker.store.write_timer_check(check);
        self.changed = false;
        Ok(())
    }

    fn save_metrics(&mut self, broker: &Broker) {
        let metrics = broker.timers.metrics();
        if metrics.data_version.counter != self.metrics_counter {
            self.metrics_counter = metrics.data_version.counter;
            broker.store.write_positions(METRICS_FILE, json_dialect::to_vec(&metrics));
        }
    }

    fn tell(&self, broker: &Broker) {
        let rate = |count: fn(&(i64, u64, u64)) -> u64| {
            let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
                return 0.0;
            };
            let took_ms = (last.0 - first.0).max(1);
            count(last).saturating_sub(count(first)) as f64 * 1_000.0 / took_ms as f64
        };
        broker.timers.set_figures(Figures {
            check: self.start.check,
            waiting: self.wheel.count(),
            enqueue_tps: rate(|sample| sample.1),
            dequeue_tps: rate(|sample| sample.2),
        });
    }
}

/// Counts by topic after a kill, when those that were written are not those of the wheel.
fn recount(broker: &Broker, metrics: &mut TimerMetrics, counts: &BTreeMap<i32, i64>, now_ms: i64) {
    let topics = broker.topics.snapshot();
    let known = metrics.timing_count.keys().chain(topics.table.keys()).cloned();
    for topic in known.collect::<BTreeSet<String>>() {
        let count = counts.get(&java_hash::string_hash(&topic)).copied().unwrap_or(0);
        let old = metrics.timing_count.get(&topic).map_or(0, |metric| metric.count);
        if old != count {
            metrics.timing_count.insert(topic, TimerMetric { count, time_stamp: now_ms });
        }
    }
    metrics.data_version = metrics.data_version.next(now_ms);
}

/// What a unit adds to the count of its topic.
fn weight(unit: &TimerUnit) -> i64 {
    if unit.delete { -1 } else { 1 }
}

fn real_topic(view: &RecordView<'_>) -> String {
    view.property(key::REAL_TOPIC).unwrap_or_default().to_owned()
}

/// The record, when it is one of the timer topic.
fn timed(record: &[u8]) -> Option<RecordView<'_>> {
    RecordView::parse(record).ok().filter(|view| view.topic() == names::TIMER_TOPIC)
}

/// The copy that is delivered, or put back for the next stage; none when the message was removed.
fn copy(
    broker: &Broker,
    unit: &TimerUnit,
    view: &RecordView<'_>,
    removed: &BTreeSet<String>,
    now_ms: i64,
) -> Option<Append> {
    let topic = view.property(key::REAL_TOPIC)?;
    if topic == names::HALF_TOPIC {
        tracing::error!(topic, "a timed half message was dropped");
        return None;
    }
    if !unit.roll && is_removed(removed, topic, view.property(key::UNIQ_KEY)) {
        tracing::debug!(topic, "a timer message was recalled");
        return None;
    }
    let mut put = if unit.roll {
        Put::copy_of(view, Arc::from(names::TIMER_TOPIC), 0)
    } else {
        let queue = view.property(key::REAL_QUEUE_ID)?.trim().parse().ok()?;
        Put::copy_of(view, Arc::from(topic), queue)
    };
    let mut plain = put.clone();
    properties::set(&mut put.properties, key::TIMER_ENQUEUE_MS, &unit.written_ms.to_string());
    properties::set(&mut put.properties, key::TIMER_DEQUEUE_MS, &now_ms.to_string());
    if unit.roll {
        let rolls: u32 =
            view.property(key::TIMER_ROLL_TIMES).and_then(|text| text.parse().ok()).unwrap_or(0);
        let rolls = rolls.saturating_add(1).to_string();
        properties::set(&mut put.properties, key::TIMER_ROLL_TIMES, &rolls);
    }
    properties::set(&mut put.properties, key::WAIT, "false");
    match broker.append_of(put, Delay::Done) {
        Ok(append) => Some(append),
        // No room for what the wheel adds: the message itself fitted once.
        Err(PutError::Record(_)) => {
            properties::close(&mut plain.properties);
            broker.append_of(plain, Delay::Done).ok()
        }
        Err(PutError::Delay(_)) => None,
    }
}

fn is_removed(removed: &BTreeSet<String>, topic: &str, unique_key: Option<&str>) -> bool {
    let Some(unique_key) = unique_key.filter(|_| !removed.is_empty()) else { return false };
    // Brokers before 5.3.2 wrote the unique key alone.
    removed.contains(unique_key) || removed.contains(&timer::delete_key(topic, unique_key))
}

/// Appends all and waits until they can be read.
fn store(broker: &Broker, mut appends: Vec<Append>) -> Vec<Copied> {
    let count = appends.len();
    let (done, answers) = mpsc::channel();
    for (at, append) in appends.iter_mut().enumerate() {
        let done = done.clone();
        append.done = Box::new(move |appended| {
            let copied = match appended.status {
                PutStatus::TooLarge => Copied::Never,
                _ if appended.is_stored() => Copied::Stored,
                _ => Copied::Failed,
            };
            // The task may have given up waiting: then it delivers again.
            let _ = done.send((at, copied));
        });
    }
    drop(done);
    let mut results: Vec<Copied> = (0..count).map(|_| Copied::Failed).collect();
    if count > 0 {
        broker.store.submit(appends);
    }
    for _ in 0..count {
        let Ok((at, copied)) = answers.recv_timeout(APPEND_WAIT) else { break };
        if matches!(copied, Copied::Never) {
            tracing::error!("a timer message is too large to be delivered and was dropped");
        }
        results[at] = copied;
    }
    results
}
