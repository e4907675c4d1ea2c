//! Moving a group by the broker: 222, 314 (semantics.md §12).

use std::sync::Arc;

use super::heartbeat::no_group;
use super::pull;
use super::{json, reset_push};
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Reply};
use crate::decide::reset;
use crate::protocol::body::offsets::ResetOffsetBody;
use crate::protocol::body::queue::MessageQueue;
use crate::protocol::request::offset::{CloneGroupOffset, ResetOffset};
use crate::protocol::response_code;
use crate::store::Boundary;

/// 222: sets the offsets of one queue or of all, while consumers stay online; or has them do it.
pub fn reset_offsets(broker: &Arc<Broker>, cx: &Cx, header: &ResetOffset<'_>) -> Reply {
    let Some(topic) = broker.topics.get(header.topic) else {
        let remark = format!("Topic {} does not exist", header.topic);
        return Reply::refuse(response_code::TOPIC_NOT_EXIST, remark);
    };
    if !broker.live().use_server_side_reset_offset {
        return reset_push::reset(broker, cx, header, &topic);
    }
    if broker.groups.get(header.group).is_none() {
        let remark = format!("Group {} does not exist", header.group);
        return Reply::refuse(response_code::SUBSCRIPTION_GROUP_NOT_EXIST, remark);
    }
    let queue_id = header.queue_id.unwrap_or(-1);
    let queues = topic.config.read_queue_nums.max(topic.config.write_queue_nums);
    if queue_id >= queues {
        let remark = format!("queue {queue_id} of topic {} does not exist", header.topic);
        return Reply::refuse(response_code::INVALID_PARAMETER, remark);
    }
    let targets = match header.offset {
        Some(offset) if queue_id >= 0 && offset != -1 => {
            match in_range(broker, header.topic, queue_id, offset) {
                Ok(offset) => vec![(queue_id, offset)],
                Err(reply) => return reply,
            }
        }
        _ => {
            let queues = if queue_id >= 0 {
                queue_id..queue_id + 1
            } else {
                0..topic.config.read_queue_nums
            };
            queues.map(|queue| (queue, at_time(broker, header, queue))).collect()
        }
    };
    apply(broker, header, &targets)
}

fn in_range(broker: &Broker, topic: &str, queue: i32, offset: i64) -> Result<i64, Reply> {
    let extent = broker.extent(topic, queue);
    reset::check_offset(offset, extent)
        .map_err(|refusal| Reply::refuse(refusal.code, refusal.remark))
}

fn at_time(broker: &Broker, header: &ResetOffset<'_>, queue: i32) -> i64 {
    if header.timestamp < 0 {
        return broker.store.max_offset(header.topic, queue).0 as i64;
    }
    broker.offset_by_time(header.topic, queue, header.timestamp, Boundary::Lower)
}

fn apply(broker: &Arc<Broker>, header: &ResetOffset<'_>, targets: &[(i32, i64)]) -> Reply {
    let mut body = ResetOffsetBody::default();
    for (queue_id, offset) in targets {
        broker.offsets.commit(header.group, header.topic, *queue_id, *offset);
        broker.resets.put(header.group, header.topic, *queue_id, *offset);
        // A pull that waits is told at once; on other brokers it hears of it with the next message.
        for wait in broker.parked.take_group(header.topic, *queue_id, header.group) {
            pull::wake(broker, &wait, broker.clock.wall_ms());
        }
        let queue = MessageQueue {
            topic: header.topic.to_owned(),
            broker_name: broker.config.broker_name.clone(),
            queue_id: *queue_id,
        };
        body.offset_table.0.insert(queue, *offset);
    }
    tracing::info!(
        group = header.group,
        topic = header.topic,
        queues = targets.len(),
        "offsets reset"
    );
    json(&body)
}

/// 314: copies offsets between groups.
pub fn clone_offsets(broker: &Broker, header: &CloneGroupOffset<'_>) -> Reply {
    for group in [header.source, header.target] {
        if broker.groups.get(group).is_none() {
            return no_group(group);
        }
    }
    let topics = match header.topic {
        Some(topic) if !topic.is_empty() => vec![topic.to_owned()],
        _ => broker.offsets.topics_of(header.source),
    };
    for topic in topics {
        broker.offsets.copy(header.source, header.target, &topic);
    }
    Reply::ok()
}
