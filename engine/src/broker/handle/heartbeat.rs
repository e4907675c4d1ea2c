//! Clients come, stay and go: 34, 35, 38, 46, 400 (semantics.md §15, §18; remoting.md §11.4).

use std::sync::Arc;

use super::{body_of, json, request_mode};
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Outcome, Reply};
use crate::broker::state::connections::Member;
use crate::broker::state::filters;
use crate::broker::state::stat_names::OfBroker;
use crate::decide::allocate::{self, Dealing};
use crate::protocol::body::MessageQueue;
use crate::protocol::body::heartbeat::{
    Assignment, Assignments, CheckClientConfig, ConsumerData, ConsumerIdList, HeartbeatData,
    MessageModel, MessageRequestMode, QueryAssignment,
};
use crate::protocol::code;
use crate::protocol::ext_fields::Fields;
use crate::protocol::frame::Serialization;
use crate::protocol::header::{FLAG_ONEWAY, Outgoing};
use crate::protocol::request::client::{ConsumerGroup, UnregisterClient};
use crate::protocol::response_code;

/// Groups of one heartbeat: each new one is a new edition of the group table.
const GROUPS_MAX: usize = 1_000;

/// 34: registers a client in its groups; makes groups and their retry topics.
pub fn heartbeat(broker: &Arc<Broker>, cx: &Cx, body: &[u8]) -> Outcome {
    let data: HeartbeatData = match body_of(body) {
        Ok(data) => data,
        Err(reply) => return reply.into(),
    };
    if data.consumer_data_set.len() + data.producer_data_set.len() > GROUPS_MAX {
        return Reply::error(format!("a heartbeat names {GROUPS_MAX} groups at most")).into();
    }
    let member = Member {
        client_id: data.client_id.clone(),
        peer: Arc::clone(&cx.answer.peer),
        language: cx.language,
        version: cx.version,
        last_ms: cx.now_ms,
    };
    for producer in &data.producer_data_set {
        let start_ns = broker.clock.monotonic_ns();
        broker.connections.producer(member.clone(), &producer.group_name);
        broker.count_register(OfBroker::ProducerRegisterTime, start_ns);
    }
    let mut made = false;
    let mut sub_changed = false;
    for consumer in &data.consumer_data_set {
        made |= make_group(broker, cx, consumer);
        let start_ns = broker.clock.monotonic_ns();
        let v2 = (data.heartbeat_fingerprint != 0).then_some(data.heartbeat_fingerprint);
        let known = broker.connections.fingerprint(&consumer.group_name);
        sub_changed |= v2.is_some() && known != v2;
        if !data.without_sub {
            let subscriptions = &consumer.subscription_data_set;
            broker.filters.register(&consumer.group_name, subscriptions, cx.now_ms);
        }
        let change = broker.connections.consumer(member.clone(), consumer, v2, data.without_sub);
        if change.joined || change.subscriptions {
            notify(broker, &consumer.group_name);
        }
        broker.count_register(OfBroker::ConsumerRegisterTime, start_ns);
    }
    let fields =
        Fields::new().flag("IS_SUPPORT_HEART_BEAT_V2", true).flag("IS_SUB_CHANGE", sub_changed);
    let reply = Reply::fields(fields);
    if made { Outcome::Persisted(reply) } else { reply.into() }
}

fn make_group(broker: &Broker, cx: &Cx, consumer: &ConsumerData) -> bool {
    let (group_made, group) = broker.group_or_new(&consumer.group_name, cx.now_ms);
    // Broadcasting groups get one too: tools find the brokers of a group by the route of its retry topic.
    let topic_made = group.is_some_and(|group| broker.make_retry_topic(&group, cx.now_ms));
    group_made || topic_made
}

/// Tells the members of a group that its membership changed.
pub fn notify(broker: &Broker, group: &str) {
    let allowed = broker.live().notify_consumer_ids_changed_enable
        && broker.groups.get(group).is_none_or(|g| g.notify_consumer_ids_changed_enable);
    if !allowed {
        return;
    }
    for peer in broker.connections.peers(group) {
        let mut fields = Fields::new();
        ConsumerGroup { group }.encode(&mut fields);
        let mut frame = Outgoing::response(code::NOTIFY_CONSUMER_IDS_CHANGED, 0);
        frame.flag = FLAG_ONEWAY;
        frame.fields = fields;
        peer.send(&frame, Serialization::Json);
    }
}

/// 35: a client leaves a group.
pub fn unregister(broker: &Broker, cx: &Cx, header: &UnregisterClient<'_>) -> Reply {
    let peer = cx.answer.peer.id();
    if let Some(group) = header.producer_group {
        broker.connections.leave_producer(group, peer);
    }
    if let Some(group) = header.consumer_group {
        broker.parked.member_gone(peer, group);
    }
    if let Some(group) = header.consumer_group
        && broker.connections.leave_consumer(group, peer)
    {
        notify(broker, group);
    }
    Reply::ok()
}

/// 38: sorted client ids of a group.
pub fn consumer_list(broker: &Broker, header: &ConsumerGroup<'_>) -> Reply {
    let ids = broker.connections.client_ids(header.group);
    if ids.is_empty() {
        return Reply::error(format!("no consumer for this group, {}", header.group));
    }
    json(&ConsumerIdList { consumer_id_list: ids })
}

/// 46: whether this broker can filter as the consumer wants it.
pub fn check_config(broker: &Broker, body: &[u8]) -> Reply {
    if body.is_empty() {
        return Reply::ok();
    }
    let config: CheckClientConfig = match body_of(body) {
        Ok(config) => config,
        Err(reply) => return reply,
    };
    let Some(subscription) = config.subscription_data.filter(|s| !s.is_tag()) else {
        return Reply::ok();
    };
    let kind = &subscription.expression_type;
    if !broker.live().enable_property_filter {
        let remark = format!("The broker does not support consumer to filter message by {kind}");
        return Reply::error(remark);
    }
    match filters::compile(&subscription.sub_string, kind) {
        Ok(_) => Reply::ok(),
        Err(problem) => Reply::refuse(response_code::SUBSCRIPTION_PARSE_FAILED, problem),
    }
}

/// 400: the queues that a member gets, decided here instead of by the client.
pub fn query_assignment(broker: &Broker, body: &[u8]) -> Reply {
    let query: QueryAssignment = match body_of(body) {
        Ok(query) => query,
        Err(reply) => return reply,
    };
    let Some(topic) = broker.topics.get(&query.topic) else {
        return json(&Assignments { message_queue_assignments: Some(Vec::new()) });
    };
    let queues: Vec<MessageQueue> = (0..topic.config.read_queue_nums)
        .map(|queue_id| MessageQueue {
            topic: query.topic.clone(),
            broker_name: broker.config.broker_name.clone(),
            queue_id,
        })
        .collect();
    let mode = broker
        .request_modes
        .get(&query.topic, &query.consumer_group)
        .filter(|set| set.mode == MessageRequestMode::Pop);
    let mine = if query.message_model == MessageModel::Broadcasting {
        queues
    } else {
        let ids = broker.connections.client_ids(&query.consumer_group);
        if !ids.contains(&query.client_id) {
            return json(&Assignments { message_queue_assignments: None });
        }
        let dealing = Dealing::from_name(&query.strategy_name).unwrap_or_default();
        match &mode {
            Some(set) => {
                let share = set.pop_share_queue_num;
                request_mode::allocate(dealing, &query.client_id, &ids, &queues, share)
            }
            None => allocate::allocate(dealing, &query.client_id, &ids, &queues),
        }
    };
    let assigned = mine.into_iter().map(|message_queue| Assignment {
        message_queue,
        mode: mode.as_ref().map_or(MessageRequestMode::Pull, |set| set.mode),
        attachments: None,
    });
    json(&Assignments { message_queue_assignments: Some(assigned.collect()) })
}

/// What a closed connection leaves behind: its members are gone, the others hear of it.
pub fn peer_gone(broker: &Broker, peer: u64) {
    broker.parked.peer_gone(peer);
    broker.pop.pops.peer_gone(peer);
    broker.pop.notifications.peer_gone(peer);
    for group in broker.connections.peer_gone(peer) {
        notify(broker, &group);
    }
}

/// Drops members that were silent for two minutes, and closes their connections.
pub fn expire(broker: &Broker, now_ms: i64) {
    let (groups, peers) = broker.connections.expire(now_ms);
    for peer in peers {
        peer.close();
    }
    for group in groups {
        notify(broker, &group);
    }
    broker.locks.expire(now_ms);
    broker.filters.clean(now_ms, |group, topic| {
        let subscribed = broker.connections.with_group(group, |members| {
            members.subscriptions.get(topic).is_some_and(|subscription| !subscription.is_tag())
        });
        subscribed == Some(true)
    });
}

/// A group that may not be made: 26.
pub fn no_group(group: &str) -> Reply {
    let remark = format!("subscription group [{group}] does not exist, {}", "apply first please!");
    Reply::refuse(response_code::SUBSCRIPTION_GROUP_NOT_EXIST, remark)
}
