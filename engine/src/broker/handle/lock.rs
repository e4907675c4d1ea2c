//! Queue locks of ordered consumers: 41, 42 (semantics.md §14).

use super::{body_of, json};
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Reply};
use crate::broker::state::order_locks::QueueKey;
use crate::protocol::body::heartbeat::{LockBatch, LockedQueues};
use crate::protocol::body::queue::MessageQueue;

/// 41: locks queues; answers those that the client holds now.
pub fn lock(broker: &Broker, cx: &Cx, body: &[u8]) -> Reply {
    let request: LockBatch = match body_of(body) {
        Ok(request) => request,
        Err(reply) => return reply,
    };
    let queues = keys(&request);
    let got = broker.locks.lock(&request.consumer_group, &request.client_id, queues, cx.now_ms);
    let locked = got.into_iter().map(|(topic, queue_id)| MessageQueue {
        topic,
        broker_name: broker.config.broker_name.clone(),
        queue_id,
    });
    json(&LockedQueues { locked: locked.collect() })
}

/// 42: releases what the client holds.
pub fn unlock(broker: &Broker, body: &[u8]) -> Reply {
    let request: LockBatch = match body_of(body) {
        Ok(request) => request,
        Err(reply) => return reply,
    };
    broker.locks.unlock(&request.consumer_group, &request.client_id, &keys(&request));
    Reply::ok()
}

fn keys(request: &LockBatch) -> Vec<QueueKey> {
    request.mq_set.iter().map(|queue| (queue.topic.clone(), queue.queue_id)).collect()
}
