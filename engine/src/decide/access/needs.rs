//! What a request needs: for each code the rights without which it is refused (semantics.md §20.2).
//!
//! Where the reference broker has no entry for a request that changes something, this one asks for the right that
//! its kind of change needs (docs/security.md); requests that only read stay open to every user there.

use std::borrow::Cow;

use super::rules::Need;
use super::{Action, Kind};
use crate::protocol::body::group_config::{SubscriptionGroupConfig, SubscriptionGroupList};
use crate::protocol::body::heartbeat::{
    HeartbeatData, LockBatch, QueryAssignment, SetMessageRequestMode,
};
use crate::protocol::body::pop::BatchAckBody;
use crate::protocol::body::topic_config::TopicConfigList;
use crate::protocol::ext_fields::ExtFields;
use crate::protocol::{code, json_dialect, names};

use Action::{Create, Delete, Get, Pub, Sub, Update};
use Kind::{Group, Topic};

/// Separator of the topics in field `topicList`.
const TOPIC_LIST_SEPARATOR: char = ';';
/// Separator of the groups in field `filterGroups`.
const GROUPS_SEPARATOR: char = ',';

/// Fields of a header that name what the request is about.
type Named = &'static [(Kind, &'static str)];

/// How the needs of a code are found.
enum Rule {
    /// Every user may.
    Everyone,
    /// Rights on the cluster.
    Cluster(&'static [Action]),
    /// Rights on what the fields name; absent fields name nothing.
    Fields(&'static [Action], Named),
    /// A send: the field of its topic.
    Send(&'static str),
    /// What the body names.
    Body,
}

const GROUP: Named = &[(Group, "consumerGroup")];
const GROUP_AND_TOPIC: Named = &[(Group, "consumerGroup"), (Topic, "topic")];
const OF_GROUP: Named = &[(Group, "group")];
const GROUP_OF_TOPIC: Named = &[(Group, "group"), (Topic, "topic")];
const TOPIC_AND_GROUP: Named = &[(Topic, "topic"), (Group, "consumerGroup")];
const TOPIC_OF_GROUP: Named = &[(Topic, "topic"), (Group, "group")];
const TOPIC: Named = &[(Topic, "topic")];

/// The rule of a code; none for codes that a broker does not serve.
fn rule(code: i32) -> Option<Rule> {
    use Rule::{Body, Everyone, Fields, Send};
    Some(match code {
        code::SEND_MESSAGE => Send("topic"),
        code::SEND_MESSAGE_V2 | code::SEND_BATCH_MESSAGE => Send("b"),
        code::RECALL_MESSAGE | code::END_TRANSACTION => Fields(&[Pub], TOPIC),
        code::RESUME_CHECK_HALF_MESSAGE => Fields(&[Update], TOPIC),
        code::PULL_MESSAGE | code::LITE_PULL_MESSAGE | code::PEEK_MESSAGE => {
            Fields(&[Sub], TOPIC_AND_GROUP)
        }
        code::POP_MESSAGE
        | code::ACK_MESSAGE
        | code::CHANGE_MESSAGE_INVISIBLETIME
        | code::NOTIFICATION
        | code::CONSUME_MESSAGE_DIRECTLY => Fields(&[Sub], GROUP_AND_TOPIC),
        code::POLLING_INFO => Fields(&[Get], GROUP_AND_TOPIC),
        code::QUERY_CONSUMER_OFFSET => Fields(&[Sub, Get], TOPIC_AND_GROUP),
        code::UPDATE_CONSUMER_OFFSET => Fields(&[Sub, Update], TOPIC_AND_GROUP),
        code::QUERY_MESSAGE => Fields(&[Sub, Get], TOPIC),
        code::CONSUMER_SEND_MSG_BACK => Fields(&[Sub], OF_GROUP),
        code::UNREGISTER_CLIENT => Fields(&[Sub], GROUP),
        code::GET_CONSUMER_LIST_BY_GROUP => Fields(&[Sub, Get], GROUP),
        code::HEART_BEAT
        | code::LOCK_BATCH_MQ
        | code::UNLOCK_BATCH_MQ
        | code::QUERY_ASSIGNMENT
        | code::BATCH_ACK_MESSAGE
        | code::SET_MESSAGE_REQUEST_MODE
        | code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP
        | code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST
        | code::UPDATE_AND_CREATE_TOPIC_LIST => Body,
        // A reply goes to the client that asked, not to a topic.
        code::SEND_REPLY_MESSAGE | code::SEND_REPLY_MESSAGE_V2 | code::CHECK_CLIENT_CONFIG => {
            Everyone
        }
        other => return administer(other),
    })
}

/// The rules of tools and of the console.
fn administer(code: i32) -> Option<Rule> {
    use Rule::{Cluster, Everyone, Fields};
    Some(match code {
        code::UPDATE_AND_CREATE_TOPIC => Fields(&[Create], TOPIC),
        code::DELETE_TOPIC_IN_BROKER | code::TRIM_DEAD_LETTERS => Fields(&[Delete], TOPIC),
        code::DELETE_SUBSCRIPTIONGROUP => Fields(&[Delete], &[(Group, "groupName")]),
        code::SEARCH_OFFSET_BY_TIMESTAMP
        | code::GET_MAX_OFFSET
        | code::GET_MIN_OFFSET
        | code::GET_EARLIEST_MSG_STORETIME
        | code::VIEW_MESSAGE_BY_ID
        | code::GET_TOPIC_CONFIG
        | code::GET_TOPIC_STATS_INFO
        | code::QUERY_TOPIC_CONSUME_BY_WHO => Fields(&[Get], TOPIC),
        code::INVOKE_BROKER_TO_RESET_OFFSET | code::UPDATE_AND_GET_GROUP_FORBIDDEN => {
            Fields(&[Update], GROUP_OF_TOPIC)
        }
        code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS | code::QUERY_CONSUME_TIME_SPAN => {
            Fields(&[Get], TOPIC_OF_GROUP)
        }
        code::QUERY_SUBSCRIPTION_BY_CONSUMER => Fields(&[Get], GROUP_OF_TOPIC),
        code::CLONE_GROUP_OFFSET => Fields(&[Update], &[(Group, "destGroup"), (Topic, "topic")]),
        code::GET_CONSUMER_CONNECTION_LIST | code::GET_CONSUMER_RUNNING_INFO => {
            Fields(&[Get], GROUP)
        }
        code::GET_CONSUME_STATS => {
            Fields(&[Get], &[(Group, "consumerGroup"), (Topic, "topic"), (Topic, "topicList")])
        }
        code::QUERY_CONSUME_QUEUE => Fields(&[Get], TOPIC_AND_GROUP),
        code::QUERY_TOPICS_BY_CONSUMER | code::GET_SUBSCRIPTIONGROUP_CONFIG => {
            Fields(&[Get], OF_GROUP)
        }
        code::QUERY_CORRECTION_OFFSET => {
            Fields(&[Get], &[(Group, "filterGroups"), (Group, "compareGroup"), (Topic, "topic")])
        }
        code::GET_PRODUCER_CONNECTION_LIST
        | code::GET_ALL_PRODUCER_INFO
        | code::VIEW_BROKER_STATS_DATA
        | code::GET_BROKER_CONSUME_STATS
        | code::AUTH_GET_USER
        | code::AUTH_LIST_USER
        | code::AUTH_GET_ACL
        | code::AUTH_LIST_ACL => Cluster(&[Get]),
        code::UPDATE_BROKER_CONFIG
        | code::DELETE_EXPIRED_COMMITLOG
        | code::CLEAN_EXPIRED_CONSUMEQUEUE
        | code::CLEAN_UNUSED_TOPIC
        | code::EXCHANGE_BROKER_HA_INFO
        | code::RESET_MASTER_FLUSH_OFFSET
        | code::UPDATE_AND_CREATE_STATIC_TOPIC
        | code::SWITCH_TIMER_ENGINE
        | code::AUTH_CREATE_USER
        | code::AUTH_UPDATE_USER
        | code::AUTH_DELETE_USER
        | code::AUTH_CREATE_ACL
        | code::AUTH_UPDATE_ACL
        | code::AUTH_DELETE_ACL => Cluster(&[Update]),
        code::GET_ALL_TOPIC_CONFIG
        | code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG
        | code::GET_SYSTEM_TOPIC_LIST_FROM_BROKER
        | code::GET_ALL_CONSUMER_OFFSET
        | code::GET_ALL_DELAY_OFFSET
        | code::GET_ALL_MESSAGE_REQUEST_MODE
        | code::GET_BROKER_RUNTIME_INFO
        | code::GET_BROKER_CONFIG
        | code::GET_BROKER_HA_STATUS
        | code::GET_BROKER_EPOCH_CACHE
        | code::GET_TIMER_CHECK_POINT
        | code::GET_TIMER_METRICS => Everyone,
        _ => return None,
    })
}

/// The rights that a request needs, all of them; none for codes that nobody serves, which are refused anyhow.
///
/// # Errors
/// When the body, which names what it is about, cannot be read.
pub fn of(
    code: i32,
    ext: &ExtFields<'_>,
    body: &[u8],
    cluster: &str,
) -> Result<Vec<Need>, Unreadable> {
    Ok(match rule(code) {
        None | Some(Rule::Everyone) => Vec::new(),
        Some(Rule::Cluster(actions)) => {
            vec![Need { kind: Kind::Cluster, name: cluster.to_owned(), actions }]
        }
        Some(Rule::Fields(actions, fields)) => {
            fields.iter().flat_map(|field| named(ext, *field, actions)).collect()
        }
        Some(Rule::Send(field)) => vec![send(ext.get(field).unwrap_or_default())],
        Some(Rule::Body) => of_body(code, body)?,
    })
}

/// The right to a message, which is one to its topic.
pub fn of_message(topic: &str, actions: &'static [Action]) -> Need {
    need(Topic, topic, actions)
}

/// A body that does not say what the request is about.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("parse authorization context error.")]
pub struct Unreadable;

/// The need of one thing; a retry topic stands for its group.
fn need(kind: Kind, name: &str, actions: &'static [Action]) -> Need {
    let group = match kind {
        Kind::Topic => names::group_of_retry(name),
        _ => None,
    };
    match (kind, group) {
        (_, Some(group)) => Need { kind: Kind::Group, name: group.to_owned(), actions },
        (Kind::Group, None) => {
            let name = names::group_of_retry(name).unwrap_or(name).to_owned();
            Need { kind, name, actions }
        }
        (kind, None) => Need { kind, name: name.to_owned(), actions },
    }
}

fn named(
    ext: &ExtFields<'_>,
    (kind, field): (Kind, &'static str),
    actions: &'static [Action],
) -> Vec<Need> {
    let value = ext.get(field).unwrap_or_default();
    let names: Cow<'_, [&str]> = match field {
        "topicList" => value.split(TOPIC_LIST_SEPARATOR).collect::<Vec<_>>().into(),
        "filterGroups" => value.split(GROUPS_SEPARATOR).collect::<Vec<_>>().into(),
        _ => vec![value].into(),
    };
    names.iter().filter(|name| !name.is_empty()).map(|name| need(kind, name, actions)).collect()
}

/// A send to a retry topic is a consumer's: it needs what consuming needs, of the group whose topic it is. The
/// producer group says nothing: anybody can name any, and a consumer that cannot give a message back sends
/// it under the name of its client.
fn send(topic: &str) -> Need {
    let is_retry = names::group_of_retry(topic).is_some();
    need(Topic, topic, if is_retry { &[Sub] } else { &[Pub] })
}

fn of_body(code: i32, body: &[u8]) -> Result<Vec<Need>, Unreadable> {
    Ok(match code {
        code::HEART_BEAT => {
            let data: HeartbeatData = read(body)?;
            let consumers = data.consumer_data_set.iter();
            consumers
                .flat_map(|consumer| {
                    let topics = consumer.subscription_data_set.iter().map(|sub| &*sub.topic);
                    consuming(&consumer.group_name, topics)
                })
                .collect()
        }
        code::LOCK_BATCH_MQ | code::UNLOCK_BATCH_MQ => {
            let lock: LockBatch = read(body)?;
            consuming(&lock.consumer_group, lock.mq_set.iter().map(|queue| &*queue.topic))
        }
        code::QUERY_ASSIGNMENT => {
            let query: QueryAssignment = read(body)?;
            consuming(&query.consumer_group, [&*query.topic])
        }
        code::BATCH_ACK_MESSAGE => {
            let batch: BatchAckBody = read(body)?;
            let acks = batch.acks.iter();
            acks.flat_map(|ack| consuming(&ack.consumer_group, [&*ack.topic])).collect()
        }
        code::SET_MESSAGE_REQUEST_MODE => {
            let mode: SetMessageRequestMode = read(body)?;
            vec![need(Group, &mode.consumer_group, &[Update])]
        }
        code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => {
            let group: SubscriptionGroupConfig = read(body)?;
            vec![need(Group, &group.group_name, &[Create])]
        }
        code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST => {
            let list: SubscriptionGroupList = read(body)?;
            let groups = list.group_config_list.iter();
            groups.map(|group| need(Group, &group.group_name, &[Create])).collect()
        }
        _ => {
            let list: TopicConfigList = read(body)?;
            let topics = list.topic_config_list.iter();
            topics.map(|topic| need(Topic, &topic.topic_name, &[Create])).collect()
        }
    })
}

/// Rights of a consumer: its group, and each topic but retry topics, which are the group's own.
fn consuming<'a>(group: &str, topics: impl IntoIterator<Item = &'a str>) -> Vec<Need> {
    let own = need(Group, group, &[Sub]);
    let topics = topics.into_iter().filter(|topic| names::group_of_retry(topic).is_none());
    std::iter::once(own).chain(topics.map(|topic| need(Topic, topic, &[Sub]))).collect()
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    json_dialect::from_slice(body).map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::code::Lane;

    fn needs(code: i32, fields: &[(&'static str, &'static str)], body: &[u8]) -> Vec<String> {
        let mut ext = ExtFields::default();
        for (key, value) in fields {
            assert!(ext.push((*key).into(), (*value).into()));
        }
        let needs = of(code, &ext, body, "c").unwrap();
        let text = |need: &Need| {
            let actions: Vec<_> = need.actions.iter().map(|action| action.name()).collect();
            format!("{}:{} {}", need.kind.name(), need.name, actions.join("|"))
        };
        needs.iter().map(text).collect()
    }

    #[test]
    fn every_code_that_a_broker_serves_has_a_rule_and_no_other() {
        for row in code::ROWS {
            let served = matches!(row.lane, Lane::Hot | Lane::Slow);
            assert_eq!(rule(row.code).is_some(), served, "{} {}", row.code, row.name);
        }
    }

    #[test]
    fn sends_need_the_topic_and_those_to_a_retry_topic_the_group() {
        assert_eq!(needs(310, &[("a", "p"), ("b", "t")], b""), ["Topic:t Pub"]);
        for producer in ["g", "other", "CLIENT_INNER_PRODUCER"] {
            let fields = [("a", producer), ("b", "%RETRY%g")];
            assert_eq!(needs(310, &fields, b""), ["Group:g Sub"], "{producer}");
            assert_eq!(needs(320, &fields, b""), ["Group:g Sub"], "{producer}");
            let fields = [("group", producer), ("topic", "%RETRY%g")];
            assert_eq!(needs(10, &fields, b""), ["Group:g Sub"], "{producer}");
        }
        assert_eq!(needs(310, &[("a", "p")], b""), ["Topic: Pub"], "no topic is a topic of nobody");
        assert_eq!(needs(37, &[], b""), [""; 0]);
        assert_eq!(needs(37, &[("topic", "t")], b""), ["Topic:t Pub"]);
    }

    #[test]
    fn reading_needs_group_and_topic() {
        let both = [("consumerGroup", "g"), ("topic", "t")];
        for code in [200_050, 200_051] {
            assert_eq!(needs(code, &both, b""), ["Group:g Sub", "Topic:t Sub"], "{code}");
        }
        for code in [11, 361, 200_052] {
            assert_eq!(needs(code, &both, b""), ["Topic:t Sub", "Group:g Sub"], "{code}");
        }
        let retry = [("consumerGroup", "g"), ("topic", "%RETRY%g")];
        assert_eq!(needs(15, &retry, b""), ["Group:g Sub|Update", "Group:g Sub|Update"]);
    }

    #[test]
    fn bodies_name_what_they_are_about() {
        let beat = br#"{"clientID":"c","producerDataSet":[{"groupName":"p"}],"consumerDataSet":[
            {"groupName":"g","subscriptionDataSet":[{"topic":"t"},{"topic":"%RETRY%g"}]}]}"#;
        assert_eq!(needs(34, &[], beat), ["Group:g Sub", "Topic:t Sub"]);
        assert_eq!(needs(200, &[], br#"{"groupName":"g"}"#), ["Group:g Create"]);
        let mut ext = ExtFields::default();
        assert!(ext.push("a".into(), "b".into()));
        assert_eq!(of(34, &ext, b"{", "c"), Err(Unreadable));
    }

    #[test]
    fn administration_needs_rights_on_the_cluster_or_the_thing() {
        assert_eq!(needs(25, &[], b"k=v"), ["Cluster:c Update"]);
        assert_eq!(needs(3001, &[], b"{}"), ["Cluster:c Update"]);
        assert_eq!(needs(17, &[("topic", "t")], b""), ["Topic:t Create"]);
        let stats = [("consumerGroup", "g"), ("topicList", "a;b")];
        assert_eq!(needs(208, &stats, b""), ["Group:g Get", "Topic:a Get", "Topic:b Get"]);
        assert_eq!(needs(28, &[], b""), [""; 0]);
    }
}
