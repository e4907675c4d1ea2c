//! Offsets of queues and groups: 14, 15, 29–32, 43, 45 (semantics.md §11, §12).

use std::collections::{BTreeMap, BTreeSet};

use super::heartbeat::no_group;
use super::json;
use super::topic::QUEUES_MAX;
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Outcome, Reply};
use crate::protocol::body::offsets::{ConsumerOffsets, DelayOffsets};
use crate::protocol::body::topic_config::DataVersion;
use crate::protocol::request::offset::{
    OffsetResponse, QueryConsumerOffset, QueueOf, SearchOffset, TimestampResponse,
    UpdateConsumerOffset,
};
use crate::protocol::response_code;
use crate::store::Boundary;

fn offset(value: i64) -> Reply {
    Reply::fields(OffsetResponse { offset: value })
}

/// 30: the offset that the next message will get.
pub fn max(broker: &Broker, header: &QueueOf<'_>) -> Reply {
    offset(broker.store.max_offset(header.topic, header.queue_id).0 as i64)
}

/// 31: the oldest message kept.
pub fn min(broker: &Broker, header: &QueueOf<'_>) -> Reply {
    offset(broker.min_offset(header.topic, header.queue_id))
}

/// 29: the offset of a moment.
pub fn search(broker: &Broker, header: &SearchOffset<'_>) -> Reply {
    let upper = header.boundary.is_some_and(|boundary| boundary.eq_ignore_ascii_case("upper"));
    let boundary = if upper { Boundary::Upper } else { Boundary::Lower };
    offset(broker.offset_by_time(header.topic, header.queue_id, header.timestamp, boundary))
}

/// 32: when the oldest message of a queue was stored; −1 for none.
pub fn earliest(broker: &Broker, header: &QueueOf<'_>) -> Reply {
    let min = broker.min_offset(header.topic, header.queue_id);
    let timestamp = broker.store_time(header.topic, header.queue_id, min).unwrap_or(-1);
    Reply::fields(TimestampResponse { timestamp })
}

/// 14: how far a group is on a queue.
pub fn query(broker: &Broker, cx: &Cx, header: &QueryConsumerOffset<'_>) -> Outcome {
    let QueryConsumerOffset { group, topic, queue_id, zero_if_not_found } = *header;
    if let Some(pending) = broker.resets.get(group, topic, queue_id) {
        return offset(pending).into();
    }
    if let Some(committed) = broker.offsets.committed(group, topic, queue_id) {
        return offset(committed).into();
    }
    let not_found = || {
        let remark = "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first";
        Reply::refuse(response_code::QUERY_NOT_FOUND, remark)
    };
    if zero_if_not_found == Some(false) {
        return not_found().into();
    }
    // A new group on a young topic starts at its first message, not at its end (semantics.md §11).
    let min = broker.min_offset(topic, queue_id);
    if min > 0 {
        return not_found().into();
    }
    match broker.in_memory(cx.wait, topic, queue_id, 0) {
        Ok(true) => offset(0).into(),
        Ok(false) => not_found().into(),
        Err(cold) => cold.into(),
    }
}

/// 15: a group commits an offset, or a tool sets it.
pub fn update(broker: &Broker, header: &UpdateConsumerOffset<'_>) -> Reply {
    let UpdateConsumerOffset { group, topic, queue_id, offset } = *header;
    if broker.groups.get(group).is_none() {
        return no_group(group);
    }
    if broker.topics.get(topic).is_none() {
        return Reply::refuse(response_code::TOPIC_NOT_EXIST, format!("Topic {topic} not exist!"));
    }
    if !(0..QUEUES_MAX).contains(&queue_id) || offset < 0 {
        let remark = format!("offset {offset} of queue {queue_id} cannot be one");
        return Reply::refuse(response_code::INVALID_PARAMETER, remark);
    }
    if broker.resets.get(group, topic, queue_id).is_some() {
        return Reply { remark: Some("Offset has been previously reset".into()), ..Reply::ok() };
    }
    broker.offsets.commit(group, topic, queue_id, offset);
    Reply::ok()
}

/// 43: everything known of offsets, in the form of `consumerOffset.json`.
pub fn all(broker: &Broker) -> Reply {
    json(&body(broker))
}

/// All committed and pulled offsets as they go to the file, slaves and tools.
pub fn body(broker: &Broker) -> ConsumerOffsets {
    let mut offset_table = BTreeMap::new();
    let mut pulled = BTreeMap::new();
    let mut topics: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in broker.offsets.all() {
        let key = format!("{}@{}", row.topic, row.group);
        if !row.committed.is_empty() {
            topics.entry(row.group.clone()).or_default().insert(row.topic.clone());
            offset_table.insert(key.clone(), row.committed);
        }
        if !row.pulled.is_empty() {
            pulled.insert(key, row.pulled);
        }
    }
    ConsumerOffsets {
        data_version: DataVersion {
            counter: broker.offsets.changes() as i64,
            timestamp: broker.boot_ms,
            ..DataVersion::default()
        },
        group_topic_map: Some(topics),
        offset_table,
        pull_offset_table: Some(pulled),
    }
}

/// 45: how far every delay level is.
pub fn all_delay(broker: &Broker) -> Reply {
    json(&delay_body(broker))
}

/// Delay offsets as they go to the file and to tools.
pub fn delay_body(broker: &Broker) -> DelayOffsets {
    DelayOffsets {
        data_version: DataVersion { timestamp: broker.boot_ms, ..DataVersion::default() },
        offset_table: broker.delay_offsets.all(),
    }
}
