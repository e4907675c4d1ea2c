//! What clients say about themselves, and who owns which queue: codes 34, 38, 41, 42, 46, 400–402.
//!
//! Not the registry of clients: that is the broker's state. Spec: remoting.md §8.1, §11.4.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient::{self, wire_enum};
use super::queue::MessageQueue;

/// Expression type of tag subscriptions.
pub const EXPRESSION_TAG: &str = "TAG";
/// Expression type of SQL subscriptions.
pub const EXPRESSION_SQL: &str = "SQL92";
/// Expression that matches every message.
pub const SUBSCRIBE_ALL: &str = "*";

wire_enum! {
    /// How a group gets its messages.
    ConsumeType, default Passively {
        Actively = "CONSUME_ACTIVELY",
        Passively = "CONSUME_PASSIVELY",
        Pop = "CONSUME_POP",
    }
}

wire_enum! {
    /// Whether members share the queues or each read all of them.
    MessageModel, default Clustering {
        Broadcasting = "BROADCASTING",
        Clustering = "CLUSTERING",
    }
}

wire_enum! {
    /// Where a group without stored offset starts. Go's `UNKNOWN` counts as the default.
    ConsumeFromWhere, default LastOffset {
        LastOffset = "CONSUME_FROM_LAST_OFFSET",
        LastOffsetAndMinWhenBootFirst = "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
        MinOffset = "CONSUME_FROM_MIN_OFFSET",
        MaxOffset = "CONSUME_FROM_MAX_OFFSET",
        FirstOffset = "CONSUME_FROM_FIRST_OFFSET",
        Timestamp = "CONSUME_FROM_TIMESTAMP",
    }
}

wire_enum! {
    /// How the broker hands a topic to a group.
    MessageRequestMode, default Pull {
        Pull = "PULL",
        Pop = "POP",
    }
}

/// Body of HEART_BEAT (34).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HeartbeatData {
    #[serde(rename = "clientID", deserialize_with = "lenient::or_default")]
    pub client_id: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub producer_data_set: Vec<ProducerData>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub consumer_data_set: Vec<ConsumerData>,
    /// 0: the old form, always with subscriptions.
    #[serde(deserialize_with = "lenient::number")]
    pub heartbeat_fingerprint: i32,
    /// Subscriptions are left out because the broker knows them by the fingerprint.
    #[serde(deserialize_with = "lenient::or_default")]
    pub without_sub: bool,
}

/// A producer group of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProducerData {
    #[serde(deserialize_with = "lenient::or_default")]
    pub group_name: String,
}

/// A consumer group of a client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerData {
    #[serde(deserialize_with = "lenient::or_default")]
    pub group_name: String,
    pub consume_type: ConsumeType,
    pub message_model: MessageModel,
    pub consume_from_where: ConsumeFromWhere,
    #[serde(deserialize_with = "lenient::or_default")]
    pub subscription_data_set: Vec<SubscriptionData>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub unit_mode: bool,
}

/// What a group wants of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionData {
    #[serde(deserialize_with = "lenient::or_default")]
    pub class_filter_mode: bool,
    #[serde(deserialize_with = "lenient::or_default")]
    pub topic: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub sub_string: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub tags_set: Vec<String>,
    /// Java's hash of each tag.
    #[serde(deserialize_with = "lenient::numbers")]
    pub code_set: Vec<i32>,
    /// Milliseconds (Java, C++) or nanoseconds (Go) of the subscription; newer wins.
    #[serde(deserialize_with = "lenient::number")]
    pub sub_version: i64,
    #[serde(deserialize_with = "lenient::or_default")]
    pub expression_type: String,
}

impl Default for SubscriptionData {
    fn default() -> Self {
        Self {
            class_filter_mode: false,
            topic: String::new(),
            sub_string: String::new(),
            tags_set: Vec::new(),
            code_set: Vec::new(),
            sub_version: 0,
            expression_type: EXPRESSION_TAG.to_owned(),
        }
    }
}

impl SubscriptionData {
    /// True for tag expressions; Go sends an empty type for them.
    #[must_use]
    pub fn is_tag(&self) -> bool {
        self.expression_type.is_empty() || self.expression_type == EXPRESSION_TAG
    }
}

/// Response body of GET_CONSUMER_LIST_BY_GROUP (38).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerIdList {
    #[serde(deserialize_with = "lenient::or_default")]
    pub consumer_id_list: Vec<String>,
}

/// Body of LOCK_BATCH_MQ (41) and UNLOCK_BATCH_MQ (42).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LockBatch {
    #[serde(deserialize_with = "lenient::or_default")]
    pub consumer_group: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub client_id: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub only_this_broker: bool,
    #[serde(deserialize_with = "lenient::or_default")]
    pub mq_set: Vec<MessageQueue>,
}

/// Response body of LOCK_BATCH_MQ (41): the queues that the client now holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockedQueues {
    #[serde(rename = "lockOKMQSet", deserialize_with = "lenient::or_default")]
    pub locked: Vec<MessageQueue>,
}

/// Body of CHECK_CLIENT_CONFIG (46).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CheckClientConfig {
    #[serde(deserialize_with = "lenient::or_default")]
    pub client_id: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_data: Option<SubscriptionData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Body of QUERY_ASSIGNMENT (400).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueryAssignment {
    #[serde(deserialize_with = "lenient::or_default")]
    pub topic: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub consumer_group: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub client_id: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub strategy_name: String,
    pub message_model: MessageModel,
}

/// Response body of QUERY_ASSIGNMENT (400). `None` means "no answer": the client asks again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Assignments {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_queue_assignments: Option<Vec<Assignment>>,
}

/// One queue given to a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Assignment {
    pub message_queue: MessageQueue,
    pub mode: MessageRequestMode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments: Option<BTreeMap<String, String>>,
}

/// Body of SET_MESSAGE_REQUEST_MODE (401).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SetMessageRequestMode {
    #[serde(deserialize_with = "lenient::or_default")]
    pub topic: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub consumer_group: String,
    pub mode: MessageRequestMode,
    #[serde(deserialize_with = "lenient::number")]
    pub pop_share_queue_num: i32,
}

/// Response body of GET_ALL_MESSAGE_REQUEST_MODE (402): topic → group → mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MessageRequestModes {
    #[serde(deserialize_with = "lenient::or_default")]
    pub message_request_mode_map: BTreeMap<String, BTreeMap<String, SetMessageRequestMode>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json_dialect::{from_slice, to_vec};

    #[test]
    fn cpp_heartbeat_has_ordinals_and_text_versions() {
        let text = br#"{"clientID":"c","consumerDataSet":[{"groupName":"g","consumeType":1,
            "messageModel":0,"consumeFromWhere":4,"subscriptionDataSet":[
            {"topic":"t","subString":"*","subVersion":"1795555191589"}]}]}"#;
        let data: HeartbeatData = from_slice(text).unwrap();
        let group = &data.consumer_data_set[0];
        assert_eq!(group.consume_type, ConsumeType::Passively);
        assert_eq!(group.message_model, MessageModel::Broadcasting);
        assert_eq!(group.consume_from_where, ConsumeFromWhere::FirstOffset);
        assert_eq!(group.subscription_data_set[0].sub_version, 1_795_555_191_589);
        assert!(group.subscription_data_set[0].is_tag());
        assert!(data.producer_data_set.is_empty());
    }

    #[test]
    fn go_heartbeat_has_text_codes_and_unknown_start() {
        let text = br#"{"clientID":"c","producerDataSet":null,"consumerDataSet":[{"groupName":"g",
            "consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"UNKNOWN",
            "subscriptionDataSet":[{"classFilterMode":false,"topic":"t","subString":"a||b",
            "tagsSet":["a","b"],"codeSet":["97","98"],"subVersion":1795555191589000000,
            "expressionType":""}],"unitMode":false}]}"#;
        let data: HeartbeatData = from_slice(text).unwrap();
        let subscription = &data.consumer_data_set[0].subscription_data_set[0];
        assert_eq!(subscription.code_set, [97, 98]);
        assert!(subscription.is_tag());
        assert_eq!(data.consumer_data_set[0].consume_from_where, ConsumeFromWhere::LastOffset);
    }

    #[test]
    fn java_heartbeat_survives_a_round_trip() {
        let text = br#"{"clientID":"c","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET",
            "consumeType":"CONSUME_POP","groupName":"g","messageModel":"CLUSTERING","subscriptionDataSet":
            [{"classFilterMode":false,"codeSet":[-1352294148],"expressionType":"TAG","subString":"create",
            "subVersion":5,"tagsSet":["create"],"topic":"t"}],"unitMode":true}],"heartbeatFingerprint":7,
            "producerDataSet":[{"groupName":"p"}],"withoutSub":false,"later":{"unknown":1}}"#;
        let data: HeartbeatData = from_slice(text).unwrap();
        assert_eq!(data.heartbeat_fingerprint, 7);
        assert_eq!(data.consumer_data_set[0].consume_type, ConsumeType::Pop);
        let again: HeartbeatData = from_slice(&to_vec(&data)).unwrap();
        assert_eq!(again, data);
    }

    #[test]
    fn lock_and_assignment_bodies_use_the_wire_names() {
        let locked = LockedQueues { locked: vec![MessageQueue::default()] };
        assert_eq!(
            to_vec(&locked),
            br#"{"lockOKMQSet":[{"topic":"","brokerName":"","queueId":0}]}"#
        );
        assert_eq!(to_vec(&Assignments::default()), b"{}");
        let modes: MessageRequestModes = from_slice(
            br#"{"messageRequestModeMap":{"pops":{"popgrp":{"consumerGroup":"popgrp","mode":"POP",
            "popShareQueueNum":4,"topic":"pops"}}}}"#,
        )
        .unwrap();
        assert_eq!(modes.message_request_mode_map["pops"]["popgrp"].mode, MessageRequestMode::Pop);
    }
}
