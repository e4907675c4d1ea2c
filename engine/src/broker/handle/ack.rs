//! Acknowledging popped messages: 200051, 200151 (semantics.md §16).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::pop::wake;
use super::{body_of, pop_read};
use crate::broker::Broker;
use crate::broker::outcome::{Answer, Cx, Outcome, Reply};
use crate::broker::revive_log;
use crate::broker::state::pop_state::Place;
use crate::decide::pop::{self, Handle, Origin};
use crate::decide::pop_order::Acked;
use crate::protocol::body::pop::{AckEntry, BatchAck, BatchAckBody};
use crate::protocol::request::pop::AckMessage;
use crate::protocol::response_code::{MESSAGE_ILLEGAL, NO_MESSAGE, TOPIC_NOT_EXIST};
use crate::store::Append;

/// 200051: one message is done.
pub fn ack(broker: &Arc<Broker>, cx: &Cx, header: &AckMessage<'_>) -> Outcome {
    let AckMessage { group, topic, queue_id, offset, .. } = *header;
    if let Err(reply) = check_queue(broker, topic, queue_id) {
        return reply.into();
    }
    let extent = broker.extent(topic, queue_id);
    if offset < extent.min || offset > extent.max {
        let remark = format!(
            "offset is illegal, key:{topic}@{queue_id}, commit:{offset}, store:{}~{}",
            extent.min, extent.max
        );
        return Reply::refuse(NO_MESSAGE, remark).into();
    }
    let handle = match parse(header.handle) {
        Ok(handle) => handle,
        Err(reply) => return reply.into(),
    };
    let place = Place::new(topic, group, queue_id);
    if handle.is_ordered() {
        return ordered(broker, &place, offset, handle.pop_ms).into();
    }
    match entry(broker, &place, offset, &handle, cx.now_ms) {
        // What the log does not take comes back: harmless, and the asker could do nothing about it.
        None => Reply::ok().into(),
        Some(append) => Outcome::Stored { append, then: Box::new(|_| Reply::ok()), persist: false },
    }
}

/// Checks the queue of an acknowledgement or a change.
pub fn check_queue(broker: &Broker, topic: &str, queue_id: i32) -> Result<(), Reply> {
    if broker.topics.get(topic).is_none() {
        let remark = format!("topic[{topic}] not exist, apply first please!");
        return Err(Reply::refuse(TOPIC_NOT_EXIST, remark));
    }
    let queues = pop_read::read_queues(broker, topic);
    if !(0..queues).contains(&queue_id) {
        let remark = format!(
            "queueId[{queue_id}] is illegal, topic:[{topic}] topicConfig.readQueueNums:[{queues}]"
        );
        return Err(Reply::refuse(MESSAGE_ILLEGAL, remark));
    }
    Ok(())
}

/// Reads the handle of a request.
pub fn parse(text: &str) -> Result<Handle<'_>, Reply> {
    let handle = Handle::parse(text).filter(Handle::is_valid);
    handle.ok_or_else(|| Reply::error(format!("extraInfo is no handle of a pop: {text}")))
}

/// The append that acknowledges one message.
pub fn entry(
    broker: &Broker,
    place: &Place,
    offset: i64,
    handle: &Handle<'_>,
    now_ms: i64,
) -> Option<Append> {
    broker.pop.acked(place, handle.start, handle.pop_ms, &[offset]);
    broker.count_acks(&place.topic, &place.group, 1);
    let ack = AckEntry {
        offset,
        broker_name: handle.broker.to_owned(),
        group: place.group.clone(),
        pop_ms: handle.pop_ms,
        queue_id: place.queue_id,
        start_offset: handle.start,
        topic: place.topic.clone(),
        ..AckEntry::default()
    };
    let revive_ms = handle.pop_ms.saturating_add(handle.invisible_ms);
    told(revive_log::ack(broker, &ack, handle.revive_queue, revive_ms, now_ms))
}

fn told<E: std::fmt::Display>(append: Result<Append, E>) -> Option<Append> {
    append.inspect_err(|error| tracing::warn!(%error, "an acknowledgement cannot be written")).ok()
}

/// Moves an ordered queue on, and wakes who waits for it.
fn ordered(broker: &Arc<Broker>, place: &Place, offset: i64, pop_ms: i64) -> Reply {
    let Place { topic, group, queue_id } = place;
    if broker.offsets.committed(group, topic, *queue_id).is_some_and(|committed| offset < committed)
    {
        return Reply::ok();
    }
    let next = match broker.pop.ack_ordered(place, offset, pop_ms) {
        Some(Acked::Unknown) => {
            let remark =
                format!("offset is illegal, key:{topic}@{group}@{queue_id}, commit:{offset}");
            return Reply::refuse(MESSAGE_ILLEGAL, remark);
        }
        Some(Acked::OtherRound) => return Reply::ok(),
        Some(Acked::Next(next)) => next,
        None => offset + 1,
    };
    if broker.resets.get(group, topic, *queue_id).is_none() {
        broker.offsets.commit(group, topic, *queue_id, next);
    }
    if broker.pop.blocked_until(place, None, broker.clock.wall_ms()).is_none() {
        wake(broker, topic, group, *queue_id);
    }
    Reply::ok()
}

/// 200151: several messages are done.
pub fn batch(broker: &Arc<Broker>, cx: &Cx, body: &[u8]) -> Outcome {
    if body.is_empty() {
        return Reply::refuse(NO_MESSAGE, "no acknowledgement").into();
    }
    let body: BatchAckBody = match body_of(body) {
        Ok(body) => body,
        Err(reply) => return reply.into(),
    };
    if body.acks.is_empty() {
        return Reply::refuse(NO_MESSAGE, "no acknowledgement").into();
    }
    let mut appends = Vec::new();
    let mut reply = Reply::ok();
    for ack in &body.acks {
        match one_of_batch(broker, cx, &body.broker_name, ack) {
            Ok(append) => appends.extend(append),
            Err(refusal) => reply = refusal,
        }
    }
    if appends.is_empty() {
        return reply.into();
    }
    submit(broker, &cx.answer, appends, &reply);
    Outcome::Parked
}

fn one_of_batch(
    broker: &Arc<Broker>,
    cx: &Cx,
    broker_name: &str,
    ack: &BatchAck,
) -> Result<Option<Append>, Reply> {
    let topic = Origin::from_flag(&ack.retry).topic(&ack.topic, &ack.consumer_group);
    let extent = broker.extent(&topic, ack.queue_id);
    let mut offsets = pop::batch_offsets(ack);
    offsets.retain(|offset| (extent.min..=extent.max).contains(offset));
    let place = Place::new(&topic, &ack.consumer_group, ack.queue_id);
    if ack.revive_queue_id == pop::ORDERED_QUEUE {
        let mut last = Reply::ok();
        for offset in offsets {
            let reply = ordered(broker, &place, offset, ack.pop_time);
            if reply.code != 0 {
                last = reply;
            }
        }
        return if last.code == 0 { Ok(None) } else { Err(last) };
    }
    if offsets.is_empty() || !(0..pop::REVIVE_QUEUES).contains(&ack.revive_queue_id) {
        return Ok(None);
    }
    broker.pop.acked(&place, ack.start_offset, ack.pop_time, &offsets);
    broker.count_acks(&place.topic, &place.group, offsets.len());
    let entry = AckEntry {
        offset: -1,
        offsets,
        broker_name: broker_name.to_owned(),
        group: place.group,
        pop_ms: ack.pop_time,
        queue_id: ack.queue_id,
        start_offset: ack.start_offset,
        topic,
    };
    let revive_ms = ack.pop_time.saturating_add(ack.invisible_time);
    Ok(told(revive_log::ack(broker, &entry, ack.revive_queue_id, revive_ms, cx.now_ms)))
}

/// Stores all and answers once the last is stored or refused.
fn submit(broker: &Broker, answer: &Answer, mut appends: Vec<Append>, reply: &Reply) {
    let left = Arc::new(AtomicUsize::new(appends.len()));
    for append in &mut appends {
        let (left, answer, reply) = (Arc::clone(&left), answer.clone(), reply.clone());
        append.done = Box::new(move |_| {
            if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                answer.reply(reply);
            }
        });
    }
    broker.store.submit(appends);
}
