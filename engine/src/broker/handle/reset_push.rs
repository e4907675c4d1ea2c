//! Moving a group by its consumers: 222 while `useServerSideResetOffset` is off (semantics.md §12).
//!
//! The broker works out the offsets and pushes them (220); every member stores them itself. Nothing of
//! the broker changes. The answer is the same as that of a reset by the broker.

use std::sync::Arc;

use bytes::Bytes;

use super::json;
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Peer, Reply};
use crate::broker::state::topics::Topic;
use crate::decide::reset;
use crate::protocol::body::offsets::{ResetOffsetBody, ResetOffsetBodyForC};
use crate::protocol::body::queue::MessageQueue;
use crate::protocol::code::RESET_CONSUMER_CLIENT_OFFSET;
use crate::protocol::ext_fields::Fields;
use crate::protocol::frame::Serialization;
use crate::protocol::header::{FLAG_ONEWAY, Language, Outgoing};
use crate::protocol::json_dialect;
use crate::protocol::request::offset::ResetOffset;
use crate::protocol::response_code;
use crate::store::Boundary;

/// Clients below this version do not understand the push.
const PUSH_SINCE: i32 = 28;

/// 222: has the members of a group set their offsets of a topic.
pub fn reset(broker: &Broker, cx: &Cx, header: &ResetOffset<'_>, topic: &Topic) -> Reply {
    let body = match offsets(broker, header, topic) {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let peers = match members(broker, header) {
        Ok(peers) => peers,
        Err(reply) => return reply,
    };
    let mut fields = Fields::new();
    header.encode(&mut fields);
    // Tools say by their own language how the members are to be told.
    let told = if cx.language == Language::CPP {
        json_dialect::to_vec(&ResetOffsetBodyForC::from(&body))
    } else {
        json_dialect::to_vec(&body)
    };
    let push = Outgoing {
        code: RESET_CONSUMER_CLIENT_OFFSET,
        flag: FLAG_ONEWAY,
        fields,
        body: Bytes::from(told),
        ..Outgoing::default()
    };
    for peer in peers {
        peer.send(&push, Serialization::Json);
    }
    let (group, topic) = (header.group, header.topic);
    tracing::info!(group, topic, "offsets pushed to the members");
    json(&body)
}

fn offsets(
    broker: &Broker,
    header: &ResetOffset<'_>,
    topic: &Topic,
) -> Result<ResetOffsetBody, Reply> {
    let mut body = ResetOffsetBody::default();
    for queue_id in 0..topic.config.write_queue_nums {
        let Some(stored) = broker.offsets.committed(header.group, header.topic, queue_id) else {
            let remark = format!("THe consumer group <{}> not exist", header.group);
            return Err(Reply::error(remark));
        };
        let found = if header.timestamp == -1 {
            broker.store.max_offset(header.topic, queue_id).0 as i64
        } else {
            broker.offset_by_time(header.topic, queue_id, header.timestamp, Boundary::Lower)
        };
        let queue = MessageQueue {
            topic: header.topic.to_owned(),
            broker_name: broker.config.broker_name.clone(),
            queue_id,
        };
        let target = reset::pushed(stored, found, header.force == Some(true));
        body.offset_table.0.insert(queue, target);
    }
    Ok(body)
}

fn members(broker: &Broker, header: &ResetOffset<'_>) -> Result<Vec<Arc<dyn Peer>>, Reply> {
    let members = broker.connections.with_group(header.group, |group| {
        group.members.values().map(|m| (m.version, Arc::clone(&m.peer))).collect::<Vec<_>>()
    });
    let members = members.unwrap_or_default();
    if members.is_empty() {
        let remark = format!(
            "Consumer not online, so can not reset offset, Group: {} Topic: {} Timestamp: {}",
            header.group, header.topic, header.timestamp
        );
        return Err(Reply::refuse(response_code::CONSUMER_NOT_ONLINE, remark));
    }
    if members.iter().any(|(version, _)| *version < PUSH_SINCE) {
        return Err(Reply::error("a member of the group is too old to be told offsets"));
    }
    Ok(members.into_iter().map(|(_, peer)| peer).collect())
}
