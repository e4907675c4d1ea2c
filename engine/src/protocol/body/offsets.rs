//! Stored positions and what a reset says: 43, 45, 308, 222/220, 221/223, and units of a queue (321).
//!
//! Spec: admin.md §4.8, §4.10; remoting.md §11.6.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::heartbeat::SubscriptionData;
use super::lenient;
use super::queue::{MessageQueue, QueueMap};
use super::topic_config::DataVersion;

/// Queue id → offset.
pub type QueueOffsets = BTreeMap<i32, i64>;

/// Response body of GET_ALL_CONSUMER_OFFSET (43); keys are `topic@group`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerOffsets {
    #[serde(deserialize_with = "lenient::or_default")]
    pub data_version: DataVersion,
    /// 5.x only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_topic_map: Option<BTreeMap<String, BTreeSet<String>>>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub offset_table: BTreeMap<String, QueueOffsets>,
    /// 5.x only: last pulled, in memory of the broker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_offset_table: Option<BTreeMap<String, QueueOffsets>>,
}

/// Response body of GET_ALL_DELAY_OFFSET (45): level → next offset to deliver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DelayOffsets {
    #[serde(deserialize_with = "lenient::or_default")]
    pub data_version: DataVersion,
    #[serde(deserialize_with = "lenient::or_default")]
    pub offset_table: BTreeMap<i32, i64>,
}

/// Response body of QUERY_CORRECTION_OFFSET (308).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CorrectionOffsets {
    #[serde(deserialize_with = "lenient::or_default")]
    pub correction_offsets: QueueOffsets,
}

/// Response body of 222 and body of the push 220.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResetOffsetBody {
    #[serde(deserialize_with = "lenient::or_default")]
    pub offset_table: QueueMap<i64>,
}

/// The list form of [`ResetOffsetBody`] for C++ clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResetOffsetBodyForC {
    #[serde(deserialize_with = "lenient::or_default")]
    pub offset_table: Vec<QueueOffsetRow>,
}

/// One row of [`ResetOffsetBodyForC`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueOffsetRow {
    pub broker_name: String,
    pub offset: i64,
    pub queue_id: i32,
    pub topic: String,
}

impl From<&ResetOffsetBody> for ResetOffsetBodyForC {
    fn from(body: &ResetOffsetBody) -> Self {
        let row = |(queue, offset): (&MessageQueue, &i64)| QueueOffsetRow {
            broker_name: queue.broker_name.clone(),
            offset: *offset,
            queue_id: queue.queue_id,
            topic: queue.topic.clone(),
        };
        Self { offset_table: body.offset_table.iter().map(row).collect() }
    }
}

/// A client's answer to 221 (`message_queue_table`) and the broker's to 223 (`consumer_table`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerStatusBody {
    /// Client id → its positions.
    #[serde(deserialize_with = "lenient::or_default")]
    pub consumer_table: BTreeMap<String, QueueMap<i64>>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub message_queue_table: QueueMap<i64>,
}

/// Response body of QUERY_CONSUME_QUEUE (321).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeQueueBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_data: Option<String>,
    pub max_queue_index: i64,
    pub min_queue_index: i64,
    #[serde(deserialize_with = "lenient::or_default")]
    pub queue_data: Vec<ConsumeQueueUnit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_data: Option<SubscriptionData>,
}

/// One unit of a consume queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeQueueUnit {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_map: Option<String>,
    pub eval: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extend_data_json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<String>,
    pub physic_offset: i64,
    pub physic_size: i32,
    /// The due time in ms on the schedule topic, else the tag's hash.
    pub tags_code: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json_dialect::{from_slice, to_vec};

    #[test]
    fn all_offsets_of_a_real_broker_read_with_and_without_the_5x_members() {
        let text = br#"{"dataVersion":{"counter":1},"groupTopicMap":{"billing":["orders","%RETRY%billing"]},"offsetTable":{"orders@billing":{0:13,1:12},"%RETRY%billing@billing":{0:6}},"pullOffsetTable":{"orders@TOOLS_CONSUMER":{0:10}}}"#;
        let body: ConsumerOffsets = from_slice(text).unwrap();
        assert_eq!(body.offset_table["orders@billing"], QueueOffsets::from([(0, 13), (1, 12)]));
        assert_eq!(body.pull_offset_table.as_ref().unwrap()["orders@TOOLS_CONSUMER"][&0], 10);
        assert_eq!(from_slice::<ConsumerOffsets>(&to_vec(&body)).unwrap(), body);
        let old: ConsumerOffsets = from_slice(br#"{"offsetTable":{"t@g":{0:1}}}"#).unwrap();
        assert_eq!(old.group_topic_map, None);
    }

    #[test]
    fn delay_and_correction_samples_read() {
        let delay: DelayOffsets =
            from_slice(br#"{"dataVersion":{},"offsetTable":{3:2,4:2,9:0}}"#).unwrap();
        assert_eq!(delay.offset_table[&9], 0);
        let correction: CorrectionOffsets =
            from_slice(br#"{"correctionOffsets":{0:3,1:10}}"#).unwrap();
        assert_eq!(correction.correction_offsets[&1], 10);
    }

    #[test]
    fn reset_body_has_object_keys_for_java_and_rows_for_cpp() {
        let text =
            br#"{"offsetTable":{{"topic":"orders","brokerName":"broker-a","queueId":1}:10}}"#;
        let body: ResetOffsetBody = from_slice(text).unwrap();
        assert_eq!(to_vec(&body), text);
        assert_eq!(
            to_vec(&ResetOffsetBodyForC::from(&body)),
            br#"{"offsetTable":[{"brokerName":"broker-a","offset":10,"queueId":1,"topic":"orders"}]}"#
        );
    }

    #[test]
    fn consumer_status_nests_object_keys() {
        let text = br#"{"consumerTable":{"10.1.4.31@c1":{{"brokerName":"broker-a","queueId":1,"topic":"orders"}:12}},"messageQueueTable":{}}"#;
        let body: ConsumerStatusBody = from_slice(text).unwrap();
        assert_eq!(body.consumer_table["10.1.4.31@c1"].values().next(), Some(&12));
        assert_eq!(from_slice::<ConsumerStatusBody>(&to_vec(&body)).unwrap(), body);
    }

    #[test]
    fn consume_queue_sample_reads() {
        let text = br#"{"filterData":"null","maxQueueIndex":11,"minQueueIndex":0,"queueData":[{"eval":false,"physicOffset":0,"physicSize":264,"tagsCode":-1352294148}]}"#;
        let body: ConsumeQueueBody = from_slice(text).unwrap();
        assert_eq!((body.max_queue_index, body.queue_data[0].tags_code), (11, -1_352_294_148));
    }
}
