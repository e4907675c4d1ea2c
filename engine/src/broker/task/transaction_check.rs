//! Asks producers what became of their half messages, and writes ends to the op log (semantics.md §13).
//!
//! A round walks the half queue from where all before is done; the committed offsets of
//! `CID_RMQ_SYS_TRANS` say where that is. It moves on only once the copies of open half messages are
//! stored, so a kill in between asks twice and never not at all.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;

use super::housekeeping::due;
use crate::broker::Broker;
use crate::broker::handle::transaction::real_place;
use crate::broker::put::{Delay, Put};
use crate::broker::state::connections::Member;
use crate::broker::state::topics;
use crate::decide::transaction::{self, Fate, Half, Limits, Step};
use crate::protocol::code;
use crate::protocol::ext_fields::Fields;
use crate::protocol::frame::Serialization;
use crate::protocol::header::{FLAG_ONEWAY, Outgoing};
use crate::protocol::names::{HALF_TOPIC, OP_HALF_TOPIC, TRANS_CHECK_MAX_TOPIC, TRANS_GROUP};
use crate::protocol::properties::{self, key};
use crate::protocol::record::RecordView;
use crate::protocol::request::transaction::CheckTransaction;
use crate::protocol::{ids, perm};
use crate::store::{Append, Appended, QueueOffset, StoreError};

/// Tag of op messages that mark ended half messages.
const OP_TAG: &str = "d";
/// Half messages that are looked at, and stored again, together.
const GROUP_HALVES: usize = 64;
/// Groups of one turn; the round goes on with the next turn of the tasks.
const TURN_GROUPS: usize = 16;
/// Op messages that are read at once.
const READ_OPS: usize = 32;
/// Op messages that one turn reads.
const TURN_OPS: usize = 1_024;
/// Producers that are tried for one check.
const PRODUCERS_TRIED: usize = 3;
/// Longest wait for an append's answer.
const APPEND_WAIT: Duration = Duration::from_secs(10);
/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// State of the task.
#[derive(Debug, Default)]
pub struct TransactionCheck {
    ops: OpLog,
    /// When the running round started, ms.
    round_ms: Option<i64>,
    /// When the next round starts, ms; unset before the first turn.
    next_ms: Option<i64>,
}

impl TransactionCheck {
    /// Writes op messages that are due and goes on with the round of checks.
    pub fn run(&mut self, broker: &Arc<Broker>, now_ms: i64) {
        write_ops(broker, now_ms, broker.live().transaction_op_batch_interval as i64);
        let every_ms = broker.live().transaction_check_interval as i64;
        // Producers need a while to come back after a start: the first round waits like all others.
        let next_ms = self.next_ms.get_or_insert(now_ms + every_ms);
        if self.round_ms.is_none() && due(next_ms, now_ms, every_ms) {
            self.round_ms = Some(now_ms);
        }
        if let Err(error) = self.turn(broker, now_ms) {
            tracing::warn!(%error, "half messages cannot be read, trying again");
            self.round_ms = None;
        }
    }

    fn turn(&mut self, broker: &Arc<Broker>, now_ms: i64) -> Result<(), StoreError> {
        let caught_up = self.ops.read(broker)?;
        let mut at = broker.transactions.settle(progress(broker, HALF_TOPIC));
        if let (Some(round_ms), true) = (self.round_ms, caught_up) {
            for _ in 0..TURN_GROUPS {
                let walk = walk(broker, at, round_ms, now_ms)?;
                at = broker.transactions.settle(walk.at);
                if walk.over {
                    self.round_ms = None;
                    break;
                }
            }
        }
        set_progress(broker, HALF_TOPIC, at);
        self.ops.settle(broker, at);
        Ok(())
    }
}

/// Writes all ends that the op log lacks, before the store takes no appends any more.
pub fn close(broker: &Arc<Broker>) {
    write_ops(broker, broker.clock.wall_ms(), 0);
}

fn write_ops(broker: &Arc<Broker>, now_ms: i64, wait_ms: i64) {
    let bytes_max = broker.live().transaction_op_msg_max_size as usize;
    while let Some((body, count)) = broker.transactions.ops_due(bytes_max, wait_ms, now_ms) {
        let mut text = String::new();
        properties::push(&mut text, key::TAGS, OP_TAG);
        properties::push(&mut text, key::UNIQ_KEY, &broker.unique_keys.next(now_ms));
        let put = Put {
            topic: Arc::from(OP_HALF_TOPIC),
            queue_id: 0,
            flag: 0,
            sys_flag: 0,
            born_ms: now_ms,
            born_host: broker.addr,
            reconsume_times: 0,
            prepared_offset: 0,
            body: body.as_bytes(),
            properties: text,
            wait: false,
        };
        let stored = broker
            .append_of(put, Delay::Done)
            .is_ok_and(|append| store(broker, vec![append]).iter().all(Option::is_some));
        if !stored {
            tracing::warn!(count, "ends of transactions could not be written, trying again");
            return;
        }
        broker.transactions.ops_written(count);
    }
}

/// Where a queue of transactions is read on, corrected to what is kept.
fn progress(broker: &Broker, topic: &str) -> u64 {
    let committed = broker.offsets.committed(TRANS_GROUP, topic, 0).unwrap_or(0);
    committed.max(0).unsigned_abs().max(broker.store.min_offset(topic, 0).0)
}

fn set_progress(broker: &Broker, topic: &str, at: u64) {
    let at = at as i64;
    if at > 0 && broker.offsets.committed(TRANS_GROUP, topic, 0) != Some(at) {
        broker.offsets.commit(TRANS_GROUP, topic, 0, at);
    }
}

/// The op log, read once from the committed offset on.
#[derive(Debug, Default)]
struct OpLog {
    next: Option<u64>,
    /// Op messages that were read and still matter: offset, highest half message that they name.
    open: VecDeque<(u64, u64)>,
}

impl OpLog {
    /// Reads on; whether the end was reached.
    fn read(&mut self, broker: &Broker) -> Result<bool, StoreError> {
        let mut at = self.next.unwrap_or_else(|| progress(broker, OP_HALF_TOPIC));
        for _ in 0..TURN_OPS / READ_OPS {
            at = at.max(broker.store.min_offset(OP_HALF_TOPIC, 0).0);
            let units = broker.store.units(OP_HALF_TOPIC, 0, QueueOffset(at), READ_OPS)?;
            if units.is_empty() {
                self.next = Some(at);
                return Ok(true);
            }
            for unit in units {
                let record =
                    if unit.is_blank() { None } else { broker.store.record_at(unit.log_offset)? };
                let halves = record.map(|record| halves_of(&record)).unwrap_or_default();
                broker.transactions.note_ended(&halves);
                self.open.push_back((at, halves.into_iter().max().unwrap_or(0)));
                at += 1;
            }
            self.next = Some(at);
        }
        Ok(false)
    }

    /// Commits how far op messages are of no use any more: all before `half` is done.
    fn settle(&mut self, broker: &Broker, half: u64) {
        while self.open.front().is_some_and(|(_, last)| *last < half) {
            self.open.pop_front();
        }
        let at = self.open.front().map(|(op, _)| *op).or(self.next);
        set_progress(broker, OP_HALF_TOPIC, at.unwrap_or(0));
    }
}

fn halves_of(record: &[u8]) -> Vec<u64> {
    match RecordView::parse(record) {
        Ok(view) if view.property(key::TAGS) == Some(OP_TAG) => {
            transaction::op_halves(view.body()).collect()
        }
        _ => Vec::new(),
    }
}

/// How far a turn came.
struct Walk {
    at: u64,
    over: bool,
}

/// A half message that something is done with.
struct Act {
    at: u64,
    record: Bytes,
    step: Step,
}

fn walk(broker: &Arc<Broker>, from: u64, round_ms: i64, now_ms: i64) -> Result<Walk, StoreError> {
    let from = from.max(broker.store.min_offset(HALF_TOPIC, 0).0);
    let units = broker.store.units(HALF_TOPIC, 0, QueueOffset(from), GROUP_HALVES)?;
    let mut walk = Walk { at: from, over: units.len() < GROUP_HALVES };
    let mut acts = Vec::new();
    for unit in units {
        let is_done = unit.is_blank() || broker.transactions.fate(walk.at, None) == Fate::Ended;
        let record = if is_done { None } else { broker.store.record_at(unit.log_offset)? };
        let step = record
            .as_deref()
            .map_or(Step::Done, |record| step_of(broker, walk.at, record, round_ms, now_ms));
        match (step, record) {
            (Step::NotYet, _) => {
                walk.over = true;
                break;
            }
            (Step::Done, _) | (_, None) => {}
            (step, Some(record)) => acts.push(Act { at: walk.at, record, step }),
        }
        walk.at += 1;
    }
    if let Some(failed) = carry_out(broker, acts) {
        tracing::warn!("half messages could not be stored again, trying again");
        walk = Walk { at: failed, over: true };
    }
    Ok(walk)
}

fn step_of(broker: &Broker, at: u64, record: &[u8], round_ms: i64, now_ms: i64) -> Step {
    let Ok(view) = RecordView::parse(record) else { return Step::Done };
    if real_place(view.properties()).is_none() {
        tracing::warn!(at, "a half message without its real topic is left out");
        return Step::Done;
    }
    let prepared = view.property(key::PREPARED_QUEUE_OFFSET).and_then(|text| text.parse().ok());
    let half = Half {
        fate: broker.transactions.fate(at, prepared),
        born_ms: view.born_timestamp(),
        stored_ms: view.store_timestamp(),
        immunity: view.property(key::CHECK_IMMUNITY_TIME),
        checks: view.property(key::TRANSACTION_CHECK_TIMES),
    };
    let limits = Limits {
        timeout_ms: broker.live().transaction_time_out as i64,
        checks_max: broker.live().transaction_check_max,
        reserved_ms: (broker.live().file_reserved_time as i64).saturating_mul(HOUR_MS),
    };
    transaction::step(&half, &limits, now_ms, round_ms)
}

/// Stores what the steps ask for; the first half message for which that failed.
fn carry_out(broker: &Arc<Broker>, mut acts: Vec<Act>) -> Option<u64> {
    let mut appends = Vec::with_capacity(acts.len());
    acts.retain_mut(|act| {
        if append(broker, act, &mut appends) {
            return true;
        }
        // Its properties have no room for a count of checks.
        act.step = Step::GiveUp;
        append(broker, act, &mut appends)
    });
    let mut failed = None;
    for (act, stored) in acts.into_iter().zip(store(broker, appends)) {
        match stored {
            Some(appended) => conclude(broker, &act, &appended),
            None => failed = failed.or(Some(act.at)),
        }
    }
    failed
}

fn append(broker: &Arc<Broker>, act: &Act, appends: &mut Vec<Append>) -> bool {
    let Ok(view) = RecordView::parse(&act.record) else { return false };
    let topic = if act.step == Step::GiveUp { given_up_topic(broker) } else { HALF_TOPIC.into() };
    let mut put = Put::copy_of(&view, topic, 0);
    match act.step {
        Step::Check { times } => {
            properties::set(&mut put.properties, key::TRANSACTION_CHECK_TIMES, &times.to_string());
        }
        Step::Defer if view.property(key::PREPARED_QUEUE_OFFSET).is_none() => {
            let first = act.at.to_string();
            properties::set(&mut put.properties, key::PREPARED_QUEUE_OFFSET, &first);
        }
        _ => {}
    }
    let append = broker.append_of(put, Delay::Done).ok();
    let made = append.is_some();
    appends.extend(append);
    made
}

fn given_up_topic(broker: &Broker) -> Arc<str> {
    let config = topics::plain(TRANS_CHECK_MAX_TOPIC, 1, perm::Perm::READ_WRITE.0);
    let (made, topic) = broker.topics.put_if_absent(config, broker.clock.wall_ms());
    if made {
        broker.topics_changed();
    }
    Arc::clone(&topic.name)
}

fn conclude(broker: &Arc<Broker>, act: &Act, appended: &Appended) {
    let Ok(view) = RecordView::parse(&act.record) else { return };
    let group = view.property(key::PRODUCER_GROUP).unwrap_or_default();
    if act.step == Step::GiveUp {
        broker.transactions.given_up(act.at);
        let unique = view.property(key::UNIQ_KEY).unwrap_or_default();
        tracing::warn!(group, unique, "half message given up, nobody decided it");
        return;
    }
    let is_open = broker.transactions.moved(act.at, appended.queue_offset.0);
    let asks = matches!(act.step, Step::Check { .. });
    if is_open && asks && broker.transactions.fate(appended.queue_offset.0, None) == Fate::Open {
        check(broker, &view, act, group, appended);
    }
}

/// Asks one producer of the group; without one the check is lost until the next round.
fn check(broker: &Arc<Broker>, view: &RecordView<'_>, act: &Act, group: &str, appended: &Appended) {
    let Some(producer) = producer(broker, group) else {
        tracing::debug!(group, half = appended.queue_offset.0, "no producer online to be asked");
        return;
    };
    let Some((topic, queue_id)) = real_place(view.properties()) else { return };
    let mut put = Put::copy_of(view, Arc::from(topic), queue_id);
    if let Step::Check { times } = act.step {
        properties::set(&mut put.properties, key::TRANSACTION_CHECK_TIMES, &times.to_string());
    }
    let Ok(mut record) = broker.encode(&put) else { return };
    let (half, physical) = (appended.queue_offset.0, appended.physical.0);
    record.fill(half, physical, appended.store_timestamp);
    let unique = view.property(key::UNIQ_KEY);
    let fields = Fields::from(CheckTransaction {
        topic: Some(topic),
        half_offset: half as i64,
        log_offset: physical as i64,
        message_id: unique,
        transaction_id: unique,
        offset_message_id: Some(&ids::offset_id(broker.addr, physical)),
        broker_name: Some(&broker.config.broker_name),
    });
    let request = Outgoing {
        code: code::CHECK_TRANSACTION_STATE,
        flag: FLAG_ONEWAY,
        fields,
        body: Bytes::copy_from_slice(record.as_bytes()),
        ..Outgoing::default()
    };
    producer.peer.send(&request, Serialization::Json);
}

/// The next producer of a group that is connected.
fn producer(broker: &Broker, group: &str) -> Option<Member> {
    let mut members = broker.connections.producers(group);
    members.sort_by_key(|member| member.peer.id());
    let count = members.len();
    let tries = PRODUCERS_TRIED.min(count);
    let mut turns = (0..tries).map(|_| broker.transactions.turn() % count);
    let at = turns.find(|at| !members[*at].peer.is_closed())?;
    Some(members.swap_remove(at))
}

/// Appends all and waits until they can be read; `None` for each that was not stored.
fn store(broker: &Broker, mut appends: Vec<Append>) -> Vec<Option<Appended>> {
    let count = appends.len();
    let (done, answers) = mpsc::channel();
    for (at, append) in appends.iter_mut().enumerate() {
        let done = done.clone();
        append.done = Box::new(move |appended| {
            // The task may have given up waiting: then it tries again.
            let _ = done.send((at, appended));
        });
    }
    drop(done);
    if count > 0 {
        broker.store.submit(appends);
    }
    let mut stored = vec![None; count];
    for _ in 0..count {
        let Ok((at, appended)) = answers.recv_timeout(APPEND_WAIT) else { break };
        stored[at] = appended.is_stored().then_some(appended);
    }
    stored
}
