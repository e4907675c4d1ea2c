//! Telling that a pop would find something: 200054 (semantics.md §16).

use std::sync::Arc;

use super::pop::{check, check_readable};
use super::pop_read;
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Outcome, Reply};
use crate::broker::state::pop_parked::{ANY_QUEUE, PopAsk};
use crate::decide::filter::Filter;
use crate::decide::filter::tag::TagFilter;
use crate::decide::pop;
use crate::protocol::request::pop::{Notification, NotificationResponse};
use crate::protocol::response_code::POLLING_TIMEOUT;

/// Longest wait that is granted, ms.
const POLL_MS_MAX: i64 = 10 * 60_000;

/// 200054: whether there is something, told when there is.
pub fn notification(broker: &Arc<Broker>, cx: &Cx, header: &Notification<'_>) -> Outcome {
    let born_ms = header.born_ms.filter(|born| *born != 0).unwrap_or(cx.now_ms);
    if pop::is_late(born_ms, header.poll_ms, cx.now_ms) {
        return Reply::refuse(POLLING_TIMEOUT, "the notification came after its time").into();
    }
    let checked = check_readable(broker)
        .and_then(|()| check(broker, header.topic, header.group, header.queue_id, cx.now_ms));
    if let Err(reply) = checked {
        return reply.into();
    }
    let ask = PopAsk {
        answer: cx.answer.clone(),
        topic: header.topic.to_owned(),
        group: header.group.to_owned(),
        queue_id: header.queue_id.max(ANY_QUEUE),
        messages_max: 0,
        invisible_ms: 0,
        may_wait: header.poll_ms > 0,
        deadline_ms: born_ms.saturating_add(header.poll_ms.min(POLL_MS_MAX)),
        from_end: false,
        order: header.order == Some(true),
        attempt_id: header.attempt_id.filter(|id| !id.is_empty()).map(str::to_owned),
        filter: Filter::Tag(TagFilter::All),
    };
    run(broker, ask, false);
    Outcome::Parked
}

/// Looks, and answers or waits.
pub fn run(broker: &Arc<Broker>, ask: PopAsk, last: bool) {
    let now_ms = broker.clock.wall_ms();
    let has_message = pop_read::has_message(broker, &ask, now_ms);
    let over = last || !ask.may_wait || ask.deadline_ms <= now_ms;
    if has_message || over {
        reply(&ask, has_message, false);
        return;
    }
    let probe = ask.clone();
    if let Err(ask) = broker.pop.notifications.park(ask) {
        reply(&ask, false, true);
        return;
    }
    // A message may have arrived since the look.
    if pop_read::has_message(broker, &probe, now_ms) {
        for ask in broker.pop.notifications.one(&probe.topic, &probe.group, probe.queue_id) {
            reply(&ask, true, false);
        }
    }
}

fn reply(ask: &PopAsk, has_message: bool, polling_full: bool) {
    ask.answer.reply(Reply::fields(NotificationResponse { has_message, polling_full }));
}
