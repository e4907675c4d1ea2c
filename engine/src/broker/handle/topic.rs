//! Topics: 17, 18, 21, 351, 215, 202, 300, 305, 343, 30001 (admin.md §4.3, §4.14).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{body_of, json, topic_name_remark};
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Outcome, Reply};
use crate::broker::state::stat_names;
use crate::broker::state::topics::Topic;
use crate::decide::pop::RetryTopics;
use crate::protocol::body::connection::GroupList;
use crate::protocol::body::queue::{MessageQueue, QueueMap};
use crate::protocol::body::route::TopicList;
use crate::protocol::body::stats::{TopicOffset, TopicStatsTable};
use crate::protocol::body::topic_config::{
    TopicConfig, TopicConfigList, TopicConfigSerializeWrapper, TopicFilterType,
};
use crate::protocol::names;
use crate::protocol::request::broker::{TrimDeadLetters, TrimResponse};
use crate::protocol::request::group::GroupOf;
use crate::protocol::request::topic::{AllTopicConfig, TopicOf, TotalTopics, UpdateTopic};
use crate::protocol::response_code;

/// Most queues of a topic (ours: the reference broker has no limit).
pub(super) const QUEUES_MAX: i32 = 16_384;
/// Attributes of a topic that may be given.
const ATTRIBUTES: [&str; 4] = ["queue.type", "cleanup.policy", "message.type", "reserve.time"];
/// Attributes that never change once the topic exists.
const FIXED_ATTRIBUTES: [&str; 2] = ["queue.type", "cleanup.policy"];

/// 17: creates or changes a topic.
pub fn update(broker: &Broker, cx: &Cx, header: &UpdateTopic<'_>) -> Outcome {
    let filter = match header.filter_type {
        "MULTI_TAG" => TopicFilterType::MultiTag,
        _ => TopicFilterType::SingleTag,
    };
    let old = broker.topics.get(header.topic);
    let attributes = match attributes(old.as_deref(), header.attributes.unwrap_or("")) {
        Ok(attributes) => attributes,
        Err(reply) => return reply.into(),
    };
    let config = TopicConfig {
        topic_name: header.topic.to_owned(),
        read_queue_nums: header.read_queues,
        write_queue_nums: header.write_queues,
        perm: header.perm,
        topic_filter_type: filter,
        topic_sys_flag: header.sys_flag.unwrap_or(0),
        order: header.order,
        attributes,
    };
    match store(broker, cx, config) {
        Ok(true) => Outcome::Persisted(Reply::ok()),
        Ok(false) => Reply::ok().into(),
        Err(reply) => reply.into(),
    }
}

/// 18: creates or changes several topics; the first refusal ends it.
pub fn update_list(broker: &Broker, cx: &Cx, body: &[u8]) -> Outcome {
    let list: TopicConfigList = match body_of(body) {
        Ok(list) => list,
        Err(reply) => return reply.into(),
    };
    let checked = list.topic_config_list.iter().try_for_each(|config| check(broker, config));
    if let Err(reply) = checked {
        return reply.into();
    }
    for config in list.topic_config_list {
        if let Err(reply) = store(broker, cx, config) {
            return reply.into();
        }
    }
    Outcome::Persisted(Reply::ok())
}

fn store(broker: &Broker, cx: &Cx, config: TopicConfig) -> Result<bool, Reply> {
    check(broker, &config)?;
    let changed = broker.topics.put(config, cx.now_ms);
    if changed {
        broker.topics_changed();
    }
    Ok(changed)
}

fn check(broker: &Broker, config: &TopicConfig) -> Result<(), Reply> {
    let refuse = |remark: String| Err(Reply::refuse(response_code::INVALID_PARAMETER, remark));
    if let Err(error) = names::check_topic(&config.topic_name) {
        return refuse(topic_name_remark(&config.topic_name, error));
    }
    if broker.is_system_topic(&config.topic_name) {
        return refuse(format!("The topic[{}] is conflict with system topic.", config.topic_name));
    }
    let queues_fit = |queues: i32| (0..=QUEUES_MAX).contains(&queues);
    if !queues_fit(config.read_queue_nums)
        || !queues_fit(config.write_queue_nums)
        || config.read_queue_nums.max(config.write_queue_nums) == 0
    {
        return refuse(format!("queue numbers must lie between 1 and {QUEUES_MAX}"));
    }
    if !(0..=7).contains(&config.perm) {
        return refuse(format!("perm {} is none of 0 to 7", config.perm));
    }
    if config.attributes.get("message.type").is_some_and(|kind| kind == "MIXED") {
        return refuse("MIXED message type is not supported.".into());
    }
    Ok(())
}

/// Applies `+k=v,-k` to the attributes of a topic, or of a new one.
fn attributes(
    old: Option<&Topic>,
    change: &str,
) -> Result<std::collections::BTreeMap<String, String>, Reply> {
    let mut attributes = old.map(|topic| topic.config.attributes.clone()).unwrap_or_default();
    for part in change.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = match part.strip_prefix('+') {
            Some(pair) => match pair.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => return Err(Reply::error(format!("kv string format wrong: {part}"))),
            },
            None => (part.strip_prefix('-').unwrap_or(part), None),
        };
        if !ATTRIBUTES.contains(&name) {
            return Err(Reply::error(format!("unsupported key: {name}")));
        }
        if old.is_some() && FIXED_ATTRIBUTES.contains(&name) {
            return Err(Reply::error(format!(
                "attempt to update an unchangeable attribute. key: {name}"
            )));
        }
        match value {
            Some(value) => {
                attributes.insert(name.to_owned(), value.to_owned());
            }
            None if old.is_none() => {
                let remark =
                    format!("only add attribute is supported while creating topic. key: {name}");
                return Err(Reply::error(remark));
            }
            None => {
                attributes.remove(name);
            }
        }
    }
    Ok(attributes)
}

/// 21: the topic table, whole or a page of it.
pub fn all(broker: &Broker, header: &AllTopicConfig) -> Reply {
    let mut wrapper = broker.topics.wrapper();
    let total = wrapper.topic_config_table.len() as i32;
    if let (Some(from), Some(max)) = (header.seq, header.max) {
        let page = wrapper.topic_config_table.into_iter();
        wrapper.topic_config_table =
            page.skip(from.max(0) as usize).take(max.max(0) as usize).collect();
    }
    json::<TopicConfigSerializeWrapper>(&wrapper).with_fields(TotalTopics { total })
}

/// 351: one topic's settings.
pub fn config(broker: &Broker, header: &TopicOf<'_>) -> Reply {
    if let Some(topic) = broker.topics.get(header.topic) {
        return json(&topic.config);
    }
    let remark = format!("No topic in this broker. topic: {}", header.topic);
    Reply::refuse(response_code::TOPIC_NOT_EXIST, remark)
}

/// 215: removes a topic with its queues and offsets, and the retry topics of those who pop it.
pub fn delete(broker: &Broker, cx: &Cx, header: &TopicOf<'_>) -> Outcome {
    // A retry topic may be there under a name that nobody could give it.
    if let Err(error) = names::check_topic(header.topic)
        && broker.topics.get(header.topic).is_none()
    {
        let remark = topic_name_remark(header.topic, error);
        return Reply::refuse(response_code::INVALID_PARAMETER, remark).into();
    }
    if broker.is_system_topic(header.topic) {
        let remark = format!("The topic[{}] is conflict with system topic.", header.topic);
        return Reply::refuse(response_code::INVALID_PARAMETER, remark).into();
    }
    let retries = pop_retries(broker, header.topic);
    if !remove(broker, header.topic, cx.now_ms) {
        return Reply::ok().into();
    }
    for retry in retries {
        remove(broker, &retry, cx.now_ms);
    }
    broker.topics_changed();
    Outcome::Persisted(Reply::ok())
}

/// Retry topics of the groups that pop a topic. One that is that of a group as a whole is not meant:
/// `%RETRY%a_b` belongs to a group `a_b`, if there is one, before it belongs to group `a` on topic `b`.
fn pop_retries(broker: &Broker, topic: &str) -> Vec<String> {
    let groups = broker.offsets.groups_of(topic).into_iter();
    let is_of_whole_group = |name: &str| {
        let group = names::group_of_retry(name).filter(|group| names::retry_topic(group) == name);
        group.is_some_and(|group| broker.groups.get(group).is_some())
    };
    let names = groups.flat_map(|group| RetryTopics::BOTH.names(topic, &group));
    names.filter(|name| !is_of_whole_group(name)).collect()
}

/// Removes one topic and what is known of it; `false` when there is none.
fn remove(broker: &Broker, topic: &str, now_ms: i64) -> bool {
    if !broker.topics.remove(topic, now_ms) {
        return false;
    }
    broker.offsets.remove_topic(topic);
    broker.resets.remove_topic(topic);
    broker.trim.remove_topic(topic);
    broker.pop.remove_topic(topic);
    broker.timers.remove_topic(topic, now_ms);
    broker.stats.remove(topic);
    if let Err(error) = broker.store.delete_topic(topic) {
        tracing::warn!(topic, %error, "queues of a deleted topic stay behind");
    }
    tracing::info!(topic, "topic deleted");
    true
}

/// 202: what a topic holds, by queue.
pub fn stats(broker: &Broker, header: &TopicOf<'_>) -> Reply {
    let Some(topic) = broker.topics.get(header.topic) else {
        let remark = format!("topic[{}] not exist", header.topic);
        return Reply::refuse(response_code::TOPIC_NOT_EXIST, remark);
    };
    let queues = topic.config.read_queue_nums.max(topic.config.write_queue_nums);
    let mut table = QueueMap::default();
    for queue_id in 0..queues {
        let max = broker.store.max_offset(header.topic, queue_id).0;
        let last = broker.store_time(header.topic, queue_id, max as i64 - 1);
        let row = TopicOffset {
            min_offset: broker.min_offset(header.topic, queue_id).max(0),
            max_offset: max as i64,
            last_update_timestamp: if max == 0 { 0 } else { last.unwrap_or(-1) },
        };
        table.0.insert(broker.queue(header.topic, queue_id), row);
    }
    let topic_put_tps = broker.stats.tps(stat_names::TOPIC_PUT_NUMS, header.topic);
    json(&TopicStatsTable { offset_table: table, topic_put_tps })
}

/// 300: groups that read a topic or did.
pub fn consumers(broker: &Broker, header: &TopicOf<'_>) -> Reply {
    let mut groups: BTreeSet<String> =
        broker.connections.groups_of(header.topic).into_iter().collect();
    groups.extend(broker.offsets.groups_of(header.topic));
    json(&GroupList { group_list: groups.into_iter().collect() })
}

/// 305: topics that are the broker's own.
pub fn system(broker: &Broker) -> Reply {
    let snapshot = broker.topics.snapshot();
    let topic_list =
        snapshot.table.keys().filter(|name| broker.is_system_topic(name)).cloned().collect();
    json(&TopicList { topic_list, broker_addr: None })
}

/// 343: topics on which a group has an offset.
pub fn of_group(broker: &Broker, header: &GroupOf<'_>) -> Reply {
    let topic_list = broker.offsets.topics_of(header.group).into_iter().collect();
    json(&TopicList { topic_list, broker_addr: Some(broker.addr.to_string()) })
}

/// 30001: forgets the dead letters below an offset (admin.md §5 n).
pub fn trim(broker: &Arc<Broker>, header: &TrimDeadLetters<'_>) -> Reply {
    let TrimDeadLetters { topic, queue_id, offset } = *header;
    if names::group_of_dlq(topic).is_none() {
        let remark = format!("{topic} is no dead-letter topic");
        return Reply::refuse(response_code::INVALID_PARAMETER, remark);
    }
    if broker.topics.get(topic).is_none() {
        return Reply::refuse(response_code::TOPIC_NOT_EXIST, format!("topic[{topic}] not exist"));
    }
    let min = broker.min_offset(topic, queue_id);
    let max = broker.store.max_offset(topic, queue_id).0 as i64;
    if offset < min || offset > max {
        return Reply::error(format!("offset {offset} is not between {min} and {max}"));
    }
    broker.trim.set(topic, queue_id, offset);
    tracing::info!(topic, queue_id, offset, "dead letters trimmed");
    Reply::fields(TrimResponse { min_offset: offset })
}

impl Broker {
    /// The full name of one of this broker's queues.
    pub fn queue(&self, topic: &str, queue_id: i32) -> MessageQueue {
        MessageQueue {
            topic: topic.to_owned(),
            broker_name: self.config.broker_name.clone(),
            queue_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_added_removed_and_checked() {
        let new = |change: &str| attributes(None, change);
        assert_eq!(new("+message.type=FIFO").unwrap().get("message.type").unwrap(), "FIFO");
        assert_eq!(new("+foo=1").unwrap_err().remark.unwrap(), "unsupported key: foo");
        assert!(
            new("-message.type").unwrap_err().remark.unwrap().starts_with("only add attribute")
        );
        let old = Topic {
            name: "t".into(),
            config: TopicConfig {
                attributes: new("+message.type=FIFO").unwrap(),
                ..TopicConfig::default()
            },
        };
        assert!(attributes(Some(&old), "-message.type").unwrap().is_empty());
        assert!(attributes(Some(&old), "+cleanup.policy=DELETE").is_err());
        assert_eq!(attributes(Some(&old), "").unwrap().len(), 1);
    }
}
