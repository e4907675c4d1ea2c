//! Subscription groups and who is in them: 200, 225, 201, 207, 352, 345, 203, 204, 328 (admin.md §4.5, §4.15).

use std::collections::BTreeMap;

use super::heartbeat::no_group;
use super::topic::QUEUES_MAX;
use super::{body_of, group_name_remark, json};
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Outcome, Reply};
use crate::broker::state::connections::Member;
use crate::protocol::body::connection::{
    Connection, ConsumerConnection, ProducerConnection, ProducerInfo, ProducerTable,
    QueriedSubscription,
};
use crate::protocol::body::group_config::{SubscriptionGroupConfig, SubscriptionGroupList};
use crate::protocol::names;
use crate::protocol::request::client::{ConsumerGroup, ProducerGroup};
use crate::protocol::request::group::{
    AllGroupConfig, DeleteGroup, GroupOf, SubscriptionOf, TotalGroups,
};
use crate::protocol::response_code;

/// 200: creates or changes a group.
pub fn update(broker: &Broker, cx: &Cx, body: &[u8]) -> Outcome {
    let config: SubscriptionGroupConfig = match body_of(body) {
        Ok(config) => config,
        Err(reply) => return reply.into(),
    };
    match store(broker, cx, config) {
        Ok(()) => Outcome::Persisted(Reply::ok()),
        Err(reply) => reply.into(),
    }
}

/// 225: creates or changes several groups; the first refusal ends it.
pub fn update_list(broker: &Broker, cx: &Cx, body: &[u8]) -> Outcome {
    let list: SubscriptionGroupList = match body_of(body) {
        Ok(list) => list,
        Err(reply) => return reply.into(),
    };
    for config in list.group_config_list {
        if let Err(reply) = store(broker, cx, config) {
            return reply.into();
        }
    }
    Outcome::Persisted(Reply::ok())
}

fn store(broker: &Broker, cx: &Cx, mut config: SubscriptionGroupConfig) -> Result<(), Reply> {
    if let Err(error) = names::check_group(&config.group_name) {
        let remark = group_name_remark(&config.group_name, error);
        return Err(Reply::refuse(response_code::INVALID_PARAMETER, remark));
    }
    // Each of them is a queue of the retry topic, and answers list them one by one.
    if config.retry_queue_nums > QUEUES_MAX {
        let remark = format!("retryQueueNums must be at most {QUEUES_MAX}");
        return Err(Reply::refuse(response_code::INVALID_PARAMETER, remark));
    }
    let old = broker.groups.get(&config.group_name);
    config.attributes = attributes(old.as_deref().map(|old| &old.attributes), config.attributes);
    if broker.groups.put(config, cx.now_ms) {
        broker.persist.groups_changed();
    }
    Ok(())
}

/// Attribute keys come with a sign, or as they were read: both are taken (admin.md §4.15).
fn attributes(
    old: Option<&BTreeMap<String, String>>,
    change: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut attributes = old.cloned().unwrap_or_default();
    for (key, value) in change {
        match key.strip_prefix('-') {
            Some(removed) => {
                attributes.remove(removed);
            }
            None => {
                attributes.insert(key.strip_prefix('+').unwrap_or(&key).to_owned(), value);
            }
        }
    }
    attributes
}

/// 201: the group table, whole or a page of it.
pub fn all(broker: &Broker, header: &AllGroupConfig) -> Reply {
    let mut wrapper = broker.groups.wrapper();
    let total = wrapper.subscription_group_table.len() as i32;
    if let (Some(from), Some(max)) = (header.seq, header.max) {
        let page = wrapper.subscription_group_table.into_iter();
        wrapper.subscription_group_table =
            page.skip(from.max(0) as usize).take(max.max(0) as usize).collect();
    }
    json(&wrapper).with_fields(TotalGroups { total })
}

/// 207: removes a group, with or without its offsets. System groups stay.
pub fn delete(broker: &Broker, cx: &Cx, header: &DeleteGroup<'_>) -> Outcome {
    if names::is_system_group(header.group) {
        let remark = format!("{} is a system group", header.group);
        return Reply::refuse(response_code::INVALID_PARAMETER, remark).into();
    }
    if header.clean_offset == Some(true) {
        broker.offsets.remove_group(header.group);
        broker.resets.remove_group(header.group);
    }
    if broker.groups.remove(header.group, cx.now_ms) {
        broker.persist.groups_changed();
        broker.stats.remove(header.group);
        tracing::info!(group = header.group, "group deleted");
    }
    Outcome::Persisted(Reply::ok())
}

/// 352: one group's settings; never creates it.
pub fn config(broker: &Broker, header: &GroupOf<'_>) -> Reply {
    broker.groups.get(header.group).map_or_else(|| no_group(header.group), |group| json(&*group))
}

/// 345: what a group subscribes on a topic.
pub fn subscription(broker: &Broker, header: &SubscriptionOf<'_>) -> Reply {
    let topic = header.topic.unwrap_or("");
    let found =
        broker.connections.with_group(header.group, |g| g.subscriptions.get(topic).cloned());
    json(&QueriedSubscription {
        group: header.group.to_owned(),
        topic: topic.to_owned(),
        subscription_data: found.flatten().map(|subscription| (*subscription).clone()),
    })
}

/// 203: members of a consumer group.
pub fn consumers(broker: &Broker, header: &ConsumerGroup<'_>) -> Reply {
    let Some(group) = broker.connections.group(header.group) else {
        let remark = format!("the consumer group[{}] not online", header.group);
        return Reply::refuse(response_code::CONSUMER_NOT_ONLINE, remark);
    };
    let subscriptions = group.subscriptions.iter();
    json(&ConsumerConnection {
        connection_set: group.members.values().map(connection).collect(),
        consume_from_where: group.from_where,
        consume_type: group.consume_type,
        message_model: group.model,
        subscription_table: subscriptions
            .map(|(topic, sub)| (topic.clone(), (**sub).clone()))
            .collect(),
    })
}

/// 204: members of a producer group.
pub fn producers(broker: &Broker, header: &ProducerGroup<'_>) -> Reply {
    let members = broker.connections.producers(header.group);
    if members.is_empty() {
        return Reply::error(format!("the producer group[{}] not exist", header.group));
    }
    json(&ProducerConnection { connection_set: members.iter().map(connection).collect() })
}

/// 328: members of all producer groups.
pub fn all_producers(broker: &Broker) -> Reply {
    let groups = broker.connections.all_producers().into_iter();
    let data = groups.map(|(group, members)| {
        let infos = members.iter().map(|member| ProducerInfo {
            client_id: member.client_id.clone(),
            language: member.language.name().to_owned(),
            last_update_timestamp: member.last_ms,
            remote_ip: format!("/{}", member.peer.remote()),
            version: member.version,
        });
        (group, infos.collect())
    });
    json(&ProducerTable { data: data.collect() })
}

fn connection(member: &Member) -> Connection {
    Connection {
        client_addr: member.peer.remote().to_string(),
        client_id: member.client_id.clone(),
        language: member.language.name().to_owned(),
        version: member.version,
    }
}
