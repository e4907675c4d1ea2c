//! Looking at the next messages without taking them: 200052 (remoting.md §11.7).

use bytes::{Bytes, BytesMut};

use super::pop::{check, check_readable};
use super::pop_read::{position, read_queues};
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Reply};
use crate::broker::state::pop_parked::ANY_QUEUE;
use crate::broker::state::pop_state::Place;
use crate::decide::pop::MESSAGES_MAX;
use crate::protocol::request::pop::{PeekMessage, PopResponse};
use crate::protocol::response_code::{PULL_NOT_FOUND, SUCCESS};
use crate::store::{Match, QueueOffset, ReadLimit};

/// Most bytes of one queue, the first message apart.
const BYTES_MAX: usize = 256 * 1024;

/// 200052: what a pop would get.
pub fn peek(broker: &Broker, cx: &Cx, header: &PeekMessage<'_>) -> Reply {
    let PeekMessage { group, topic, queue_id, .. } = *header;
    let checked =
        check_readable(broker).and_then(|()| check(broker, topic, group, queue_id, cx.now_ms));
    if let Err(reply) = checked {
        return reply;
    }
    let max = header.max_messages.clamp(1, MESSAGES_MAX).unsigned_abs() as usize;
    let mut seen = Seen { broker, group, max, rest: 0, records: Vec::new() };
    let all =
        if queue_id <= ANY_QUEUE { 0..read_queues(broker, topic) } else { queue_id..queue_id + 1 };
    all.for_each(|queue| seen.queue(topic, queue));
    for retry in broker.retry_topics().names(topic, group) {
        (0..read_queues(broker, &retry)).for_each(|queue| seen.queue(&retry, queue));
    }
    let Seen { rest, records, .. } = seen;
    let (code, remark) = if records.is_empty() {
        (PULL_NOT_FOUND, "NO_MESSAGE_IN_QUEUE")
    } else {
        (SUCCESS, "FOUND")
    };
    let mut body = BytesMut::new();
    for record in &records {
        body.extend_from_slice(record);
    }
    let fields = PopResponse {
        pop_ms: 0,
        invisible_ms: 0,
        revive_queue: 0,
        rest,
        start_offsets: None,
        message_offsets: None,
        order_counts: None,
    };
    Reply { code, remark: Some(remark.into()), fields: fields.into(), body: body.freeze() }
}

struct Seen<'a> {
    broker: &'a Broker,
    group: &'a str,
    max: usize,
    rest: i64,
    records: Vec<Bytes>,
}

impl Seen<'_> {
    fn queue(&mut self, topic: &str, queue_id: i32) {
        let extent = self.broker.extent(topic, queue_id);
        let place = Place::new(topic, self.group, queue_id);
        let at = position(self.broker, &place, false).clamp(extent.min, extent.max);
        self.rest += extent.max - at;
        if self.records.len() >= self.max {
            return;
        }
        let messages = self.max - self.records.len();
        let limit = ReadLimit { messages, bytes: BYTES_MAX, scan_units: messages };
        let from = QueueOffset(at.unsigned_abs());
        let read =
            self.broker
                .store
                .read(topic, queue_id, from, limit, &mut |_| Match::Take, &mut |_| true);
        match read {
            Ok(read) => self.records.extend(read.records),
            Err(error) => tracing::warn!(topic, %error, "cannot read for a peek"),
        }
    }
}
