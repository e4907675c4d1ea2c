//! Finding messages: 12 by key, 33 by position, 321 units of a queue (admin.md §4.10).

use bytes::BytesMut;

use super::json;
use crate::broker::Broker;
use crate::broker::outcome::Reply;
use crate::protocol::body::heartbeat::SubscriptionData;
use crate::protocol::body::offsets::{ConsumeQueueBody, ConsumeQueueUnit};
use crate::protocol::properties::{self, key};
use crate::protocol::record::RecordView;
use crate::protocol::request::pull::{QueryMessage, QueryResponse, ViewMessage};
use crate::protocol::request::stats::QueryConsumeQueue;
use crate::protocol::response_code;
use crate::store::QueueOffset;

/// Most messages of one answer (`maxMsgsNumBatch`).
const MESSAGES_MAX: usize = 64;
/// Most bytes of one answer; a frame holds 16 MiB.
const BYTES_MAX: usize = 12 * 1024 * 1024;
/// Most units of one answer.
const UNITS_MAX: i32 = 10_000;

/// 12: messages with a key or unique key.
pub fn by_key(broker: &Broker, header: &QueryMessage<'_>) -> Reply {
    let unique = header.unique == Some(true);
    let max = if unique {
        (broker.live().default_query_max_num as usize).min(MESSAGES_MAX)
    } else {
        (header.max.max(0) as usize).min(MESSAGES_MAX)
    };
    let key = match header.index_type {
        Some("T") => format!("T#{}", header.key),
        _ => header.key.to_owned(),
    };
    let hits = broker.store.query_key(header.topic, &key, max, header.begin_ms, header.end_ms);
    let hits = match hits {
        Ok(hits) => hits,
        Err(error) => return Reply::error(error.to_string()),
    };
    let mut offsets = hits.offsets;
    offsets.sort_unstable();
    let mut body = BytesMut::new();
    for offset in offsets {
        let Some(record) = broker.record_at(offset.0 as i64) else { continue };
        if body.len() + record.len() > BYTES_MAX {
            break;
        }
        if RecordView::parse(&record).is_ok_and(|view| carries(&view, header, unique)) {
            body.extend_from_slice(&record);
        }
    }
    let fields = QueryResponse {
        last_update_ms: hits.last_update_ms,
        last_update_offset: hits.last_update_offset.0 as i64,
    };
    if body.is_empty() {
        let remark = "can not find message, maybe time range not correct";
        return Reply::refuse(response_code::QUERY_NOT_FOUND, remark).with_fields(fields);
    }
    Reply::body(body.freeze()).with_fields(fields)
}

/// Hashes collide: what does not carry the key is left out here already.
fn carries(view: &RecordView<'_>, header: &QueryMessage<'_>, unique: bool) -> bool {
    if view.topic() != header.topic {
        return false;
    }
    let text = view.properties();
    let is_unique = || properties::get(text, key::UNIQ_KEY) == Some(header.key);
    let is_key = || {
        properties::get(text, key::KEYS)
            .is_some_and(|keys| keys.split(' ').any(|word| word == header.key))
    };
    match header.index_type {
        Some("T") => properties::get(text, key::TAGS) == Some(header.key),
        _ if unique => is_unique(),
        _ => is_key() || is_unique(),
    }
}

/// 33: the message at a commit-log offset.
pub fn by_offset(broker: &Broker, header: &ViewMessage) -> Reply {
    match broker.record_at(header.offset) {
        Some(record) => Reply::body(record),
        None => Reply::error(format!("can not find message by the offset, {}", header.offset)),
    }
}

/// 321: units of a consume queue.
pub fn consume_queue(broker: &Broker, header: &QueryConsumeQueue<'_>) -> Reply {
    let QueryConsumeQueue { topic, queue_id, index, count, group } = *header;
    if !broker.store.queues(topic).contains(&queue_id) {
        return Reply::error(format!("{queue_id}@{topic} is not exist!"));
    }
    let max = broker.store.max_offset(topic, queue_id).0 as i64;
    if index >= max {
        return Reply {
            remark: Some(format!("Index {index} of consumequeue not found, max is {max}").into()),
            ..Reply::ok()
        };
    }
    let from = QueueOffset(index.max(0) as u64);
    let count = count.clamp(0, UNITS_MAX) as usize;
    let units = match broker.store.units(topic, queue_id, from, count) {
        Ok(units) => units,
        Err(error) => return Reply::error(error.to_string()),
    };
    let (filter_data, subscription_data) = subscription(broker, topic, group);
    let body = ConsumeQueueBody {
        filter_data,
        max_queue_index: max,
        min_queue_index: broker.min_offset(topic, queue_id),
        queue_data: units
            .into_iter()
            .map(|unit| ConsumeQueueUnit {
                physic_offset: unit.log_offset.0 as i64,
                physic_size: unit.size as i32,
                tags_code: unit.tags_code,
                ..ConsumeQueueUnit::default()
            })
            .collect(),
        subscription_data,
    };
    json(&body)
}

/// What the group that was named reads of the topic, and a word about its compiled filter.
fn subscription(
    broker: &Broker,
    topic: &str,
    group: Option<&str>,
) -> (Option<String>, Option<SubscriptionData>) {
    let Some(group) = group.filter(|group| !group.trim().is_empty()) else { return (None, None) };
    let found = broker.connections.with_group(group, |g| g.subscriptions.get(topic).cloned());
    match found.flatten() {
        Some(subscription) => (Some("null".to_owned()), Some((*subscription).clone())),
        None => (Some(format!("{group}@{topic} is not online!")), None),
    }
}
