//! What a consumer says about itself when asked: 307 and 309.
//!
//! Every member is optional: Go and C++ fill fewer. Spec: admin.md §4.6, §4.7; remoting.md §11.6.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::heartbeat::SubscriptionData;
use super::lenient::{self, wire_enum};
use super::queue::QueueMap;

/// Body of a client's answer to GET_CONSUMER_RUNNING_INFO (307).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerRunningInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jstack: Option<String>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub mq_pop_table: QueueMap<PopProcessQueueInfo>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub mq_table: QueueMap<ProcessQueueInfo>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub properties: BTreeMap<String, String>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub status_table: BTreeMap<String, ConsumeStatus>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub subscription_set: Vec<SubscriptionData>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub user_consumer_info: BTreeMap<String, String>,
}

/// A queue in the memory of its consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProcessQueueInfo {
    pub cached_msg_count: i32,
    pub cached_msg_max_offset: i64,
    pub cached_msg_min_offset: i64,
    #[serde(rename = "cachedMsgSizeInMiB")]
    pub cached_msg_size_in_mib: i32,
    /// The client's own position, up to 5 s ahead of the broker's.
    pub commit_offset: i64,
    /// The client no longer owns the queue. The wire spells it with one p.
    #[serde(rename = "droped")]
    pub dropped: bool,
    pub last_consume_timestamp: i64,
    pub last_lock_timestamp: i64,
    pub last_pull_timestamp: i64,
    pub locked: bool,
    pub transaction_msg_count: i32,
    pub transaction_msg_max_offset: i64,
    pub transaction_msg_min_offset: i64,
    pub try_unlock_times: i64,
}

/// A popped queue in the memory of its consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PopProcessQueueInfo {
    #[serde(rename = "droped")]
    pub dropped: bool,
    pub last_pop_timestamp: i64,
    pub wait_ack_count: i32,
}

/// Rates of one topic, of the last minute; failures of the last hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsumeStatus {
    #[serde(rename = "consumeFailedMsgs")]
    pub consume_failed_msgs: i64,
    #[serde(rename = "consumeFailedTPS")]
    pub consume_failed_tps: f64,
    #[serde(rename = "consumeOKTPS")]
    pub consume_ok_tps: f64,
    #[serde(rename = "consumeRT")]
    pub consume_rt: f64,
    #[serde(rename = "pullRT")]
    pub pull_rt: f64,
    #[serde(rename = "pullTPS")]
    pub pull_tps: f64,
}

wire_enum! {
    /// How the listener of the client ended.
    ConsumeResult, default ReturnNull {
        Success = "CR_SUCCESS",
        Later = "CR_LATER",
        Rollback = "CR_ROLLBACK",
        Commit = "CR_COMMIT",
        ThrowException = "CR_THROW_EXCEPTION",
        ReturnNull = "CR_RETURN_NULL",
    }
}

/// Body of a client's answer to CONSUME_MESSAGE_DIRECTLY (309).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeMessageDirectlyResult {
    pub auto_commit: bool,
    pub consume_result: ConsumeResult,
    pub order: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    pub spent_time_mills: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json_dialect::{from_slice, to_vec};

    #[test]
    fn running_info_sample_reads() {
        let text = br#"{"mqPopTable":{},"mqTable":{{"brokerName":"broker-a","queueId":0,"topic":"orders"}:{"cachedMsgCount":0,"cachedMsgMaxOffset":0,"cachedMsgSizeInMiB":2,"commitOffset":10,"droped":true,"lastConsumeTimestamp":1795555192369,"locked":true,"tryUnlockTimes":0}},
"properties":{"PROP_CONSUMEORDERLY":"false","maxReconsumeTimes":"3"},
"statusTable":{"orders":{"consumeFailedMsgs":5,"consumeFailedTPS":0.05,"consumeOKTPS":0.166,"consumeRT":0.077,"pullRT":28.5,"pullTPS":0.2168}},"subscriptionSet":[],"userConsumerInfo":{}}"#;
        let info: ConsumerRunningInfo = from_slice(text).unwrap();
        let queue = info.mq_table.values().next().unwrap();
        assert!(queue.dropped && queue.locked);
        assert_eq!((queue.commit_offset, queue.cached_msg_size_in_mib), (10, 2));
        assert_eq!(info.status_table["orders"].consume_failed_msgs, 5);
        assert!((info.status_table["orders"].pull_rt - 28.5).abs() < f64::EPSILON);
        assert_eq!(from_slice::<ConsumerRunningInfo>(&to_vec(&info)).unwrap(), info);
    }

    #[test]
    fn direct_consumption_sample_writes_back_the_same_bytes() {
        let text =
            br#"{"autoCommit":true,"consumeResult":"CR_LATER","order":false,"spentTimeMills":1}"#;
        let result: ConsumeMessageDirectlyResult = from_slice(text).unwrap();
        assert_eq!(result.consume_result, ConsumeResult::Later);
        assert_eq!(to_vec(&result), text);
    }
}
