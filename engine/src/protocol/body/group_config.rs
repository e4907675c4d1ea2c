//! Configuration of consumer groups: 200, 201, 225, 352, 353.
//!
//! Spec: remoting.md §11.10; admin.md §4.15.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient::{self, wire_enum};
use super::topic_config::DataVersion;

/// One group's configuration, with the defaults of an auto-created group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionGroupConfig {
    #[serde(deserialize_with = "lenient::or_default")]
    pub attributes: BTreeMap<String, String>,
    pub broker_id: i64,
    pub consume_broadcast_enable: bool,
    pub consume_enable: bool,
    pub consume_from_min_enable: bool,
    pub consume_message_orderly: bool,
    pub consume_timeout_minute: i32,
    pub group_name: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub group_retry_policy: GroupRetryPolicy,
    pub group_sys_flag: i32,
    pub notify_consumer_ids_changed_enable: bool,
    pub retry_max_times: i32,
    pub retry_queue_nums: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_data_set: Option<Vec<SimpleSubscription>>,
    pub which_broker_when_consume_slowly: i64,
}

impl Default for SubscriptionGroupConfig {
    fn default() -> Self {
        Self {
            attributes: BTreeMap::new(),
            broker_id: 0,
            consume_broadcast_enable: true,
            consume_enable: true,
            consume_from_min_enable: true,
            consume_message_orderly: false,
            consume_timeout_minute: 15,
            group_name: String::new(),
            group_retry_policy: GroupRetryPolicy::default(),
            group_sys_flag: 0,
            notify_consumer_ids_changed_enable: true,
            retry_max_times: 16,
            retry_queue_nums: 1,
            subscription_data_set: None,
            which_broker_when_consume_slowly: 1,
        }
    }
}

impl SubscriptionGroupConfig {
    /// The configuration of a group nobody configured.
    #[must_use]
    pub fn named(group: &str) -> Self {
        Self { group_name: group.to_owned(), ..Self::default() }
    }
}

wire_enum! {
    /// Which of the two policies counts.
    RetryPolicyType, default Customized {
        Exponential = "EXPONENTIAL",
        Customized = "CUSTOMIZED",
    }
}

/// How long POP retries of a group wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupRetryPolicy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customized_retry_policy: Option<CustomizedRetryPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exponential_retry_policy: Option<ExponentialRetryPolicy>,
    #[serde(rename = "type")]
    pub kind: RetryPolicyType,
}

/// A list of waits in ms, one an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CustomizedRetryPolicy {
    #[serde(deserialize_with = "lenient::numbers")]
    pub next: Vec<i64>,
}

/// Waits that grow by a factor, in ms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ExponentialRetryPolicy {
    pub initial: i64,
    pub max: i64,
    pub multiplier: i64,
}

impl Default for ExponentialRetryPolicy {
    fn default() -> Self {
        Self { initial: 5_000, max: 7_200_000, multiplier: 2 }
    }
}

/// A subscription that the group must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SimpleSubscription {
    #[serde(deserialize_with = "lenient::or_default")]
    pub expression: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub expression_type: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub topic: String,
    #[serde(deserialize_with = "lenient::number")]
    pub version: i64,
}

/// Response body of GET_ALL_SUBSCRIPTIONGROUP_CONFIG (201).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionGroupWrapper {
    #[serde(deserialize_with = "lenient::or_default")]
    pub data_version: DataVersion,
    /// Group → topic → bits that forbid.
    #[serde(deserialize_with = "lenient::or_default")]
    pub forbidden_table: BTreeMap<String, BTreeMap<String, i32>>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub subscription_group_table: BTreeMap<String, SubscriptionGroupConfig>,
}

/// Body of UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST (225).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionGroupList {
    #[serde(deserialize_with = "lenient::or_default")]
    pub group_config_list: Vec<SubscriptionGroupConfig>,
}

/// Response body of UPDATE_AND_GET_GROUP_FORBIDDEN (353).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupForbidden {
    pub group: String,
    pub readable: bool,
    pub topic: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json_dialect::{from_slice, to_vec};

    #[test]
    fn a_group_named_only_has_every_default() {
        let config: SubscriptionGroupConfig = from_slice(br#"{"groupName":"billing"}"#).unwrap();
        assert_eq!(config, SubscriptionGroupConfig::named("billing"));
        assert_eq!((config.retry_max_times, config.retry_queue_nums), (16, 1));
        assert!(config.consume_enable && config.notify_consumer_ids_changed_enable);
    }

    #[test]
    fn sample_of_a_real_broker_writes_back_the_same_bytes() {
        let text = br#"{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"billing","groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}"#;
        let config: SubscriptionGroupConfig = from_slice(text).unwrap();
        assert_eq!(String::from_utf8(to_vec(&config)).unwrap().as_bytes(), text);
    }

    #[test]
    fn retry_policy_reads_with_its_details() {
        let policy: GroupRetryPolicy = from_slice(
            br#"{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":100},"customizedRetryPolicy":{"next":[1,2]}}"#,
        )
        .unwrap();
        assert_eq!(policy.kind, RetryPolicyType::Exponential);
        let exponential = policy.exponential_retry_policy.unwrap();
        assert_eq!((exponential.initial, exponential.max), (100, 7_200_000));
        assert_eq!(policy.customized_retry_policy.unwrap().next, [1, 2]);
    }
}
