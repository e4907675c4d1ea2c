//! Which groups pop: 401, 402, and the assignment of such a group (remoting.md §11.4, semantics.md §16).

use super::{body_of, json};
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Outcome, Reply};
use crate::decide::allocate::{self, Dealing};
use crate::protocol::body::MessageQueue;
use crate::protocol::body::heartbeat::SetMessageRequestMode;
use crate::protocol::json_dialect;
use crate::protocol::names;
use crate::protocol::response_code::{NO_PERMISSION, TOPIC_NOT_EXIST};
use crate::store::StoreError;

/// File of the modes.
pub const FILE: &str = "messageRequestMode.json";

/// 401: a group pops or pulls a topic from now on.
pub fn set(broker: &Broker, cx: &Cx, body: &[u8]) -> Outcome {
    let mode: SetMessageRequestMode = match body_of(body) {
        Ok(mode) => mode,
        Err(reply) => return reply.into(),
    };
    if mode.topic.starts_with(names::RETRY_PREFIX) {
        return Reply::refuse(NO_PERMISSION, "retry topic is not allowed to set mode").into();
    }
    if broker.topics.get(&mode.topic).is_none() {
        return Reply::refuse(TOPIC_NOT_EXIST, format!("topic[{}] not exist", mode.topic)).into();
    }
    tracing::info!(topic = mode.topic, group = mode.consumer_group, mode = ?mode.mode, "mode set");
    let answer = cx.answer.clone();
    broker.request_modes.set(mode, |all| {
        let done = Box::new(move |written: Result<(), StoreError>| {
            answer.reply(match written {
                Ok(()) => Reply::ok(),
                Err(error) => {
                    Reply::error(format!("the mode is set but cannot be written: {error}"))
                }
            });
        });
        broker.store.submit_json(FILE, json_dialect::to_vec(all), done);
    });
    Outcome::Parked
}

/// 402: all modes.
pub fn all(broker: &Broker) -> Reply {
    json(&broker.request_modes.all())
}

/// The queues of a member that pops; −1 stands for any.
pub fn allocate(
    dealing: Dealing,
    client: &str,
    clients: &[String],
    queues: &[MessageQueue],
    share: i32,
) -> Vec<MessageQueue> {
    let members = i32::try_from(clients.len()).unwrap_or(i32::MAX);
    if share <= 0 || share >= members - 1 {
        let any = queues.first().map(|queue| MessageQueue { queue_id: -1, ..queue.clone() });
        return any.into_iter().collect();
    }
    let Some(at) = clients.iter().position(|other| other == client) else { return Vec::new() };
    if clients.len() > queues.len() {
        return queues.get(at % queues.len().max(1)).cloned().into_iter().collect();
    }
    let sharing = (0..=share.unsigned_abs() as usize).map(|n| &clients[(at + n) % clients.len()]);
    sharing.flat_map(|member| allocate::allocate(dealing, member, clients, queues)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_share_queues_or_pop_them_all() {
        let queues: Vec<MessageQueue> = (0..4)
            .map(|queue_id| MessageQueue { topic: "t".into(), broker_name: "b".into(), queue_id })
            .collect();
        let clients: Vec<String> = (0..4).map(|n| format!("c{n}")).collect();
        let ids = |client: &str, members: usize, share| -> Vec<i32> {
            allocate(Dealing::Blocks, client, &clients[..members], &queues, share)
                .into_iter()
                .map(|queue| queue.queue_id)
                .collect()
        };
        assert_eq!(ids("c0", 1, 8), [-1]);
        assert_eq!(ids("c0", 4, 0), [-1]);
        assert_eq!(ids("c0", 4, 3), [-1]);
        assert_eq!(ids("c3", 4, 1), [3, 0]);
        assert_eq!(ids("x", 4, 1), Vec::<i32>::new());
        let few = &queues[..2];
        let more = allocate(Dealing::Blocks, "c3", &clients, few, 1);
        assert_eq!(more, [queues[1].clone()]);
    }
}
