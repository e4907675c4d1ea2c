//! Taking messages for a while: 200050, 200055 (semantics.md §16).
//!
//! The answer waits until the checkpoints are stored: from then on a kill cannot lose what was handed
//! out. Then the group's offset moves and the queues are free again.

use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};

use super::heartbeat::no_group;
use super::notification;
use super::pop_read::{self, Round, Taken};
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Outcome, Reply};
use crate::broker::revive_log;
use crate::broker::serve::overloaded;
use crate::broker::state::pop_parked::{ANY_QUEUE, PopAsk};
use crate::broker::state::stats::Latency;
use crate::broker::state::{filters, lock};
use crate::decide::filter::Filter;
use crate::decide::filter::tag::TagFilter;
use crate::decide::pop::{self, ORDERED_QUEUE, Origin, push_entry};
use crate::protocol::body::heartbeat::{EXPRESSION_TAG, SUBSCRIBE_ALL};
use crate::protocol::body::pop::Checkpoint;
use crate::protocol::request::pop::{PollingInfo, PollingInfoResponse, PopMessage, PopResponse};
use crate::protocol::response_code::{
    INVALID_PARAMETER, NO_PERMISSION, POLLING_FULL, POLLING_TIMEOUT, SUBSCRIPTION_PARSE_FAILED,
    TOPIC_NOT_EXIST,
};
use crate::store::{Append, Arrival, Wait};

/// Longest wait that is granted, ms.
const POLL_MS_MAX: i64 = 10 * 60_000;
/// Looks that a pop takes before it waits although something seems to be there.
const LOOKS_MAX: u8 = 3;
/// `initMode` of groups that start at the end.
const INIT_AT_END: i32 = 1;

/// 200050: messages, or a wait for them.
pub fn pop(broker: &Arc<Broker>, cx: &Cx, header: &PopMessage<'_>) -> Outcome {
    match ask(broker, cx, header) {
        Ok(ask) => {
            run(broker, ask, Look::First);
            Outcome::Parked
        }
        Err(reply) => reply.into(),
    }
}

fn ask(broker: &Broker, cx: &Cx, header: &PopMessage<'_>) -> Result<PopAsk, Reply> {
    let born_ms = header.born_ms.filter(|born| *born != 0).unwrap_or(cx.now_ms);
    if pop::is_late(born_ms, header.poll_ms, cx.now_ms) {
        return Err(Reply::refuse(POLLING_TIMEOUT, "the pop came after its time"));
    }
    check_readable(broker)?;
    if header.max_messages > pop::MESSAGES_MAX {
        return Err(Reply::refuse(INVALID_PARAMETER, "a pop takes at most 32 messages"));
    }
    if !broker.config.timer_wheel_enable {
        return Err(Reply::error("pop is off, as timerWheelEnable is false"));
    }
    check(broker, header.topic, header.group, header.queue_id, cx.now_ms)?;
    Ok(PopAsk {
        answer: cx.answer.clone(),
        topic: header.topic.to_owned(),
        group: header.group.to_owned(),
        queue_id: header.queue_id.max(ANY_QUEUE),
        messages_max: header.max_messages.max(1).unsigned_abs() as usize,
        invisible_ms: header.invisible_ms,
        may_wait: header.poll_ms > 0,
        deadline_ms: born_ms.saturating_add(header.poll_ms.min(POLL_MS_MAX)),
        from_end: header.init_mode == INIT_AT_END,
        order: header.order == Some(true),
        attempt_id: header.attempt_id.filter(|id| !id.is_empty()).map(str::to_owned),
        filter: filter(broker, header)?,
    })
}

fn filter(broker: &Broker, header: &PopMessage<'_>) -> Result<Filter, Reply> {
    let text = header.expression.unwrap_or(SUBSCRIBE_ALL);
    let kind = header.expression_type.filter(|kind| !kind.is_empty() && *kind != EXPRESSION_TAG);
    let parsed = match kind {
        None => TagFilter::parse(text).map(Filter::Tag).map_err(|error| error.to_string()),
        Some(_) if !broker.live().enable_property_filter => {
            let remark = "The broker does not support consumer to filter message by SQL92";
            return Err(Reply::error(remark));
        }
        Some(kind) => filters::compile(text, kind).map(|sql| Filter::Sql(Arc::new(sql))),
    };
    parsed.map_err(|error| Reply::refuse(SUBSCRIPTION_PARSE_FAILED, error))
}

/// Refuses when the broker must not be read.
pub fn check_readable(broker: &Broker) -> Result<(), Reply> {
    let refusal = || {
        let remark = format!("the broker [{}] pop message is forbidden", broker.addr.ip());
        Reply::refuse(NO_PERMISSION, remark)
    };
    broker.perm().readable().then_some(()).ok_or_else(refusal)
}

/// Checks topic, queue and group.
pub fn check(
    broker: &Broker,
    topic: &str,
    group: &str,
    queue_id: i32,
    now_ms: i64,
) -> Result<(), Reply> {
    let Some(found) = broker.topics.get(topic) else {
        let remark = format!("topic[{topic}] not exist, apply first please!");
        return Err(Reply::refuse(TOPIC_NOT_EXIST, remark));
    };
    if !found.readable() {
        return Err(Reply::refuse(NO_PERMISSION, format!("topic {topic} is not readable")));
    }
    if queue_id >= found.config.read_queue_nums {
        let remark = format!(
            "queueId[{queue_id}] is illegal, topic:[{topic}] topicConfig.readQueueNums:[{}]",
            found.config.read_queue_nums
        );
        return Err(Reply::refuse(INVALID_PARAMETER, remark));
    }
    let (_, group_config) = broker.group_or_new(group, now_ms);
    let Some(config) = group_config else { return Err(no_group(group)) };
    if !config.consume_enable {
        return Err(Reply::refuse(
            NO_PERMISSION,
            format!("subscription group no permission, {group}"),
        ));
    }
    Ok(())
}

/// How often a pop looked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Look {
    First,
    Again(u8),
    /// Its time is over: it does not wait any more.
    Last,
}

/// Serves a pop; on the pool when it has to wait for the disk.
fn run(broker: &Arc<Broker>, ask: PopAsk, look: Look) {
    let Some(ask) = serve(broker, ask, look, Wait::No) else { return };
    let (own, answer) = (Arc::clone(broker), ask.answer.clone());
    let job = move || {
        serve(&own, ask, look, Wait::Yes);
    };
    if !broker.on_pool(Box::new(job)) {
        answer.reply(overloaded());
    }
}

/// Serves a pop, or gives it back because it has to wait for the disk.
fn serve(broker: &Arc<Broker>, ask: PopAsk, look: Look, wait: Wait) -> Option<PopAsk> {
    if ask.answer.peer.is_closed() {
        return None;
    }
    let round = pop_read::round(broker, &ask, broker.clock.wall_ms(), wait);
    if round.taken.is_empty() {
        if round.cold {
            return Some(ask);
        }
        nothing(broker, ask, look);
        return None;
    }
    let Round { pop_ms, revive_queue, taken, rest, order_counts, .. } = round;
    if ask.order {
        reply_found(&ask, pop_ms, revive_queue, rest, &taken, Some(order_counts));
        count(broker, &ask, pop_ms);
        return None;
    }
    let left = taken.len();
    let stored = vec![false; left];
    store(broker, Storing { ask: Some(ask), pop_ms, revive_queue, rest, taken, stored, left });
    None
}

fn nothing(broker: &Arc<Broker>, ask: PopAsk, look: Look) {
    let now_ms = broker.clock.wall_ms();
    if !ask.may_wait || look == Look::Last || ask.deadline_ms <= now_ms {
        reply_nothing(&ask, POLLING_TIMEOUT, now_ms);
        return;
    }
    // A message may have arrived, or a queue become free, since the look: nobody would wake this pop.
    let looks = match look {
        Look::Again(looks) => looks,
        _ => 1,
    };
    let probe = ask.clone();
    if let Err(ask) = broker.pop.pops.park(ask) {
        reply_nothing(&ask, POLLING_FULL, now_ms);
        return;
    }
    if looks < LOOKS_MAX && pop_read::has_message(broker, &probe, now_ms) {
        for ask in broker.pop.pops.one(&probe.topic, &probe.group, probe.queue_id) {
            run(broker, ask, Look::Again(looks + 1));
        }
    }
}

/// A pop whose checkpoints are being stored.
struct Storing {
    /// Taken by whoever answers.
    ask: Option<PopAsk>,
    pop_ms: i64,
    revive_queue: i32,
    rest: i64,
    taken: Vec<Taken>,
    stored: Vec<bool>,
    left: usize,
}

fn store(broker: &Arc<Broker>, storing: Storing) {
    let appends: Vec<Option<Append>> =
        storing.taken.iter().map(|taken| checkpoint(broker, &storing, taken)).collect();
    let shared = Arc::new(Mutex::new(storing));
    let mut submitted = Vec::with_capacity(appends.len());
    for (at, append) in appends.into_iter().enumerate() {
        let Some(mut append) = append else {
            stored(broker, &shared, at, false);
            continue;
        };
        let (broker, shared) = (Arc::clone(broker), Arc::clone(&shared));
        append.done = Box::new(move |appended| stored(&broker, &shared, at, appended.is_stored()));
        submitted.push(append);
    }
    broker.store.submit(submitted);
}

fn checkpoint(broker: &Broker, storing: &Storing, taken: &Taken) -> Option<Append> {
    let invisible_ms = storing.ask.as_ref().map_or(0, |ask| ask.invisible_ms);
    let point = Checkpoint {
        acked: 0,
        broker_name: broker.config.broker_name.clone(),
        group: taken.place.group.clone(),
        distances: taken.offsets.iter().map(|offset| (offset - taken.start) as i32).collect(),
        invisible_ms,
        count: taken.offsets.len() as i32,
        pop_ms: storing.pop_ms,
        queue_id: taken.place.queue_id,
        revive_offset: -1,
        start_offset: taken.start,
        topic: taken.place.topic.clone(),
        ..Checkpoint::default()
    };
    let append = revive_log::checkpoint(broker, &point, storing.revive_queue, storing.pop_ms);
    append.inspect_err(|error| tracing::error!(%error, "a checkpoint cannot be written")).ok()
}

fn stored(broker: &Arc<Broker>, storing: &Mutex<Storing>, at: usize, is_stored: bool) {
    let (ask, done) = {
        let mut storing = lock(storing);
        storing.stored[at] = is_stored;
        storing.left -= 1;
        if storing.left > 0 {
            return;
        }
        let Some(ask) = storing.ask.take() else { return };
        let (pop_ms, revive_queue, rest) = (storing.pop_ms, storing.revive_queue, storing.rest);
        let taken = std::mem::take(&mut storing.taken);
        let stored = std::mem::take(&mut storing.stored);
        (ask, Storing { ask: None, pop_ms, revive_queue, rest, taken, stored, left: 0 })
    };
    finish(broker, &ask, done);
}

/// Moves the group, frees the queues and answers with what has a checkpoint.
fn finish(broker: &Arc<Broker>, ask: &PopAsk, done: Storing) {
    let Storing { pop_ms, revive_queue, mut rest, taken, stored, .. } = done;
    let mut kept = Vec::with_capacity(taken.len());
    for (taken, is_stored) in taken.into_iter().zip(stored) {
        let place = &taken.place;
        if is_stored {
            broker.offsets.commit(&place.group, &place.topic, place.queue_id, taken.next);
            let until_ms = pop_ms.saturating_add(ask.invisible_ms);
            broker.pop.handed_out(place, taken.start, pop_ms, until_ms, &taken.offsets);
        }
        broker.pop.end(place);
        if is_stored {
            kept.push(taken);
        } else {
            rest += taken.records.len() as i64;
        }
    }
    if kept.is_empty() {
        ask.answer.reply(Reply::error("the checkpoint of the pop could not be stored"));
        return;
    }
    reply_found(ask, pop_ms, revive_queue, rest, &kept, None);
    broker.count_checkpoints(&ask.topic, &ask.group, kept.len());
    count(broker, ask, pop_ms);
    for Taken { place, next, .. } in &kept {
        if broker.store.max_offset(&place.topic, place.queue_id).0 as i64 > *next {
            wake(broker, &ask.topic, &ask.group, place.queue_id);
        }
    }
}

/// Counts a pop that was answered.
fn count(broker: &Broker, ask: &PopAsk, pop_ms: i64) {
    let ms = (broker.clock.wall_ms() - pop_ms).max(0);
    broker.count_pop(&ask.topic, &ask.group, Latency { queue_id: ask.queue_id, ms });
}

fn reply_found(
    ask: &PopAsk,
    pop_ms: i64,
    revive_queue: i32,
    rest: i64,
    taken: &[Taken],
    order_counts: Option<String>,
) {
    let (mut start_offsets, mut message_offsets) = (String::new(), String::new());
    let mut body = BytesMut::new();
    for Taken { place, start, offsets, records, .. } in taken {
        let (flag, queue_id) = (Origin::of(&place.topic).flag(), place.queue_id);
        push_entry(&mut start_offsets, format_args!("{flag} {queue_id} {start}"));
        let list: Vec<String> = offsets.iter().map(i64::to_string).collect();
        push_entry(&mut message_offsets, format_args!("{flag} {queue_id} {}", list.join(",")));
        for record in records {
            body.extend_from_slice(record);
        }
    }
    let fields = PopResponse {
        pop_ms,
        invisible_ms: ask.invisible_ms,
        revive_queue,
        rest,
        start_offsets: Some(start_offsets),
        message_offsets: Some(message_offsets),
        order_counts,
    };
    let reply = Reply::fields(fields);
    ask.answer.reply(Reply { remark: Some("FOUND".into()), body: body.freeze(), ..reply });
}

fn reply_nothing(ask: &PopAsk, code: i32, now_ms: i64) {
    let fields = PopResponse {
        pop_ms: now_ms,
        invisible_ms: ask.invisible_ms,
        revive_queue: if ask.order { ORDERED_QUEUE } else { 0 },
        rest: 0,
        start_offsets: Some(String::new()),
        message_offsets: Some(String::new()),
        order_counts: ask.order.then(String::new),
    };
    let reply = Reply::fields(fields);
    let remark = Some("NO_MESSAGE_IN_QUEUE".into());
    ask.answer.reply(Reply { code, remark, body: Bytes::new(), ..reply });
}

/// Runs pops and notifications that wait for this queue of the group.
pub fn wake(broker: &Arc<Broker>, topic: &str, group: &str, queue_id: i32) {
    for ask in broker.pop.pops.one(topic, group, queue_id) {
        run(broker, ask, Look::First);
    }
    for ask in broker.pop.notifications.one(topic, group, queue_id) {
        notification::run(broker, ask, false);
    }
}

/// Runs the pops and notifications that these messages wake.
pub fn arrived(broker: &Arc<Broker>, arrivals: &[Arrival]) {
    if broker.pop.pops.is_empty() && broker.pop.notifications.is_empty() {
        return;
    }
    for Arrival { topic, queue_id, tags_code, .. } in arrivals {
        for ask in broker.pop.pops.arrived(topic, *queue_id, *tags_code) {
            run(broker, ask, Look::First);
        }
        for ask in broker.pop.notifications.arrived(topic, *queue_id, *tags_code) {
            notification::run(broker, ask, false);
        }
    }
}

/// Answers pops whose time is over, and runs those whose ordered queue has become free.
pub fn tick(broker: &Arc<Broker>, now_ms: i64) {
    for place in broker.pop.ended(now_ms) {
        wake(broker, &place.topic, &place.group, place.queue_id);
    }
    for ask in broker.pop.pops.expired(now_ms) {
        run(broker, ask, Look::Last);
    }
    for ask in broker.pop.notifications.expired(now_ms) {
        notification::run(broker, ask, true);
    }
}

/// 200055: how many pops wait.
pub fn polling_info(broker: &Broker, cx: &Cx, header: &PollingInfo<'_>) -> Reply {
    let PollingInfo { group, topic, queue_id } = *header;
    let checked =
        check_readable(broker).and_then(|()| check(broker, topic, group, queue_id, cx.now_ms));
    if let Err(reply) = checked {
        return reply;
    }
    let waiting = broker.pop.pops.count(topic, group, queue_id) as i32;
    Reply::fields(PollingInfoResponse { waiting })
}
