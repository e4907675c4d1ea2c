//! Moving the time at which a popped message comes back: 200053 (semantics.md §16).

use std::sync::Arc;

use super::ack;
use crate::broker::Broker;
use crate::broker::outcome::{Answer, Cx, Outcome, Reply};
use crate::broker::revive_log;
use crate::broker::state::pop_state::Place;
use crate::decide::pop::{Handle, ORDERED_QUEUE};
use crate::protocol::body::pop::Checkpoint;
use crate::protocol::request::pop::{ChangeInvisible, ChangeInvisibleResponse};
use crate::protocol::response_code::NO_MESSAGE;
use crate::store::Append;

/// 200053: a new checkpoint for the one message, then the old one is acknowledged.
pub fn change(broker: &Arc<Broker>, cx: &Cx, header: &ChangeInvisible<'_>) -> Outcome {
    let ChangeInvisible { group, topic, queue_id, offset, .. } = *header;
    if let Err(reply) = ack::check_queue(broker, topic, queue_id) {
        return reply.into();
    }
    let extent = broker.extent(topic, queue_id);
    if offset < extent.min || offset >= extent.max {
        return Reply::refuse(NO_MESSAGE, format!("no message at offset {offset}")).into();
    }
    let handle = match ack::parse(header.handle) {
        Ok(handle) => handle,
        Err(reply) => return reply.into(),
    };
    let place = Place::new(topic, group, queue_id);
    if handle.is_ordered() {
        return ordered(broker, cx, header, &handle, &place).into();
    }
    match checkpoint(broker, cx, header, &handle) {
        Some(append) => {
            submit(broker, cx, header, append, &handle, place);
            Outcome::Parked
        }
        None => Reply::error("the checkpoint cannot be written").into(),
    }
}

fn ordered(
    broker: &Broker,
    cx: &Cx,
    header: &ChangeInvisible<'_>,
    handle: &Handle<'_>,
    place: &Place,
) -> Reply {
    let until_ms = cx.now_ms.saturating_add(header.invisible_ms);
    let committed = broker.offsets.committed(&place.group, &place.topic, place.queue_id);
    if committed.is_none_or(|committed| header.offset >= committed) {
        broker.pop.change_ordered(place, header.offset, handle.pop_ms, until_ms);
    }
    Reply::fields(ChangeInvisibleResponse {
        pop_ms: handle.pop_ms,
        invisible_ms: until_ms - handle.pop_ms,
        revive_queue: ORDERED_QUEUE,
    })
}

/// The time of the new round: never that of the old one, from which it could not be told.
fn new_pop_ms(cx: &Cx, handle: &Handle<'_>) -> i64 {
    cx.now_ms.max(handle.pop_ms.saturating_add(1))
}

fn checkpoint(
    broker: &Broker,
    cx: &Cx,
    header: &ChangeInvisible<'_>,
    handle: &Handle<'_>,
) -> Option<Append> {
    let point = Checkpoint {
        broker_name: handle.broker.to_owned(),
        group: header.group.to_owned(),
        distances: vec![0],
        invisible_ms: header.invisible_ms,
        count: 1,
        pop_ms: new_pop_ms(cx, handle),
        queue_id: header.queue_id,
        revive_offset: -1,
        start_offset: header.offset,
        suspend: header.suspend == Some(true),
        topic: header.topic.to_owned(),
        ..Checkpoint::default()
    };
    revive_log::checkpoint(broker, &point, handle.revive_queue, cx.now_ms).ok()
}

/// Acknowledges the old round only once the new one is stored: a kill in between delivers twice.
fn submit(
    broker: &Arc<Broker>,
    cx: &Cx,
    header: &ChangeInvisible<'_>,
    mut append: Append,
    handle: &Handle<'_>,
    place: Place,
) {
    let (own, answer, now_ms) = (Arc::clone(broker), cx.answer.clone(), cx.now_ms);
    let (offset, text) = (header.offset, handle.to_string());
    let pop_ms = new_pop_ms(cx, handle);
    let fields = ChangeInvisibleResponse {
        pop_ms,
        invisible_ms: header.invisible_ms,
        revive_queue: handle.revive_queue,
    };
    append.done = Box::new(move |appended| {
        if !appended.is_stored() {
            answer.reply(Reply::error("the checkpoint could not be stored"));
            return;
        }
        let until_ms = pop_ms.saturating_add(fields.invisible_ms);
        own.pop.handed_out(&place, offset, pop_ms, until_ms, &[offset]);
        own.count_checkpoints(&place.topic, &place.group, 1);
        let old =
            Handle::parse(&text).and_then(|old| ack::entry(&own, &place, offset, &old, now_ms));
        acknowledge(&own, answer, old, fields);
    });
    broker.store.submit(vec![append]);
}

fn acknowledge(
    broker: &Broker,
    answer: Answer,
    old: Option<Append>,
    fields: ChangeInvisibleResponse,
) {
    match old {
        Some(mut append) => {
            append.done = Box::new(move |_| answer.reply(Reply::fields(fields)));
            broker.store.submit(vec![append]);
        }
        None => answer.reply(Reply::fields(fields)),
    }
}
