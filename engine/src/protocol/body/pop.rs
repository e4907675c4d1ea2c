//! Body of BATCH_ACK_MESSAGE (200151).
//!
//! Members have one-letter names; the long ones are read too. Spec: remoting.md §11.7.

use serde::{Deserialize, Serialize};

use super::lenient;

/// Acknowledgements for one broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BatchAckBody {
    #[serde(deserialize_with = "lenient::or_default")]
    pub acks: Vec<BatchAck>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub broker_name: String,
}

/// Acknowledgements within one checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchAck {
    #[serde(rename = "c", alias = "consumerGroup", deserialize_with = "lenient::or_default")]
    pub consumer_group: String,
    #[serde(rename = "t", alias = "topic", deserialize_with = "lenient::or_default")]
    pub topic: String,
    /// `0` normal, `1` and `2` the two forms of retry topics.
    #[serde(rename = "r", alias = "retry", deserialize_with = "lenient::or_default")]
    pub retry: String,
    #[serde(rename = "so", alias = "startOffset", deserialize_with = "lenient::number")]
    pub start_offset: i64,
    #[serde(rename = "q", alias = "queueId", deserialize_with = "lenient::number")]
    pub queue_id: i32,
    #[serde(rename = "rq", alias = "reviveQueueId", deserialize_with = "lenient::number")]
    pub revive_queue_id: i32,
    #[serde(rename = "pt", alias = "popTime", deserialize_with = "lenient::number")]
    pub pop_time: i64,
    #[serde(rename = "it", alias = "invisibleTime", deserialize_with = "lenient::number")]
    pub invisible_time: i64,
    /// Base64 of a little-endian bit set: bit i acknowledges `start_offset + i`.
    #[serde(rename = "b", alias = "bitSet", deserialize_with = "lenient::or_default")]
    pub bit_set: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json_dialect::from_slice;

    #[test]
    fn short_and_long_names_read_alike() {
        let short: BatchAckBody = from_slice(br#"{"brokerName":"b","acks":[{"c":"g","t":"t","r":"1","so":4,"q":2,"rq":3,"pt":5,"it":6,"b":"BQ=="}]}"#).unwrap();
        let long: BatchAckBody = from_slice(br#"{"brokerName":"b","acks":[{"consumerGroup":"g","topic":"t","retry":"1","startOffset":4,"queueId":2,"reviveQueueId":3,"popTime":5,"invisibleTime":6,"bitSet":"BQ=="}]}"#).unwrap();
        assert_eq!(short, long);
        assert_eq!(short.acks[0].bit_set, "BQ==");
    }
}
