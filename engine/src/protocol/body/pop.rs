//! Body of BATCH_ACK_MESSAGE (200151), and what POP writes to its log.
//!
//! Members of the request have one-letter names; the long ones are read too. Spec: remoting.md §11.7,
//! semantics.md §16.

use std::collections::BTreeMap;

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

/// One round of messages that were handed out, as the POP log keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Checkpoint {
    /// Bit i: message i is acknowledged.
    #[serde(rename = "bm", deserialize_with = "lenient::number")]
    pub acked: i32,
    #[serde(rename = "bn", deserialize_with = "lenient::or_default")]
    pub broker_name: String,
    #[serde(rename = "c", deserialize_with = "lenient::or_default")]
    pub group: String,
    /// Offsets minus the start; empty in old versions, which count up from it.
    #[serde(rename = "d", deserialize_with = "lenient::or_default")]
    pub distances: Vec<i32>,
    #[serde(rename = "it", deserialize_with = "lenient::number")]
    pub invisible_ms: i64,
    #[serde(rename = "n", deserialize_with = "lenient::number")]
    pub count: i32,
    #[serde(rename = "pt", deserialize_with = "lenient::number")]
    pub pop_ms: i64,
    #[serde(rename = "q", deserialize_with = "lenient::number")]
    pub queue_id: i32,
    #[serde(rename = "ro", deserialize_with = "lenient::number")]
    pub revive_offset: i64,
    /// How often it was stored again, as text.
    #[serde(
        rename = "rp",
        skip_serializing_if = "String::is_empty",
        deserialize_with = "lenient::or_default"
    )]
    pub put_again: String,
    #[serde(rename = "so", deserialize_with = "lenient::number")]
    pub start_offset: i64,
    /// Coming back does not count as a failure.
    #[serde(rename = "sp")]
    pub suspend: bool,
    #[serde(rename = "t", deserialize_with = "lenient::or_default")]
    pub topic: String,
}

/// Acknowledgements of one checkpoint, as the POP log keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AckEntry {
    /// The message; −1 when there is a list.
    #[serde(rename = "ao", deserialize_with = "lenient::number")]
    pub offset: i64,
    /// The messages of a batch.
    #[serde(
        rename = "aol",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "lenient::or_default"
    )]
    pub offsets: Vec<i64>,
    #[serde(rename = "bn", deserialize_with = "lenient::or_default")]
    pub broker_name: String,
    #[serde(rename = "c", deserialize_with = "lenient::or_default")]
    pub group: String,
    #[serde(rename = "pt", deserialize_with = "lenient::number")]
    pub pop_ms: i64,
    #[serde(rename = "q", deserialize_with = "lenient::number")]
    pub queue_id: i32,
    #[serde(rename = "so", deserialize_with = "lenient::number")]
    pub start_offset: i64,
    #[serde(rename = "t", deserialize_with = "lenient::or_default")]
    pub topic: String,
}

/// Order blocks by `topic@group` and queue (`consumerOrderInfo.json`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderTable {
    pub table: BTreeMap<String, BTreeMap<i32, OrderBlock>>,
}

/// The one batch that is handed out of an ordered queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderBlock {
    /// Attempt that may have the same batch again.
    #[serde(rename = "a", skip_serializing_if = "Option::is_none")]
    pub attempt_id: Option<String>,
    /// Bit i: message i is acknowledged.
    #[serde(rename = "cm", deserialize_with = "lenient::number")]
    pub acked: i64,
    #[serde(rename = "i", deserialize_with = "lenient::number")]
    pub invisible_ms: i64,
    #[serde(rename = "l", deserialize_with = "lenient::number")]
    pub last_ms: i64,
    /// First offset, then distances from it.
    #[serde(rename = "o", deserialize_with = "lenient::or_default")]
    pub distances: Vec<i64>,
    /// Offset → how often it was consumed before.
    #[serde(rename = "oc", deserialize_with = "lenient::or_default")]
    pub counts: BTreeMap<i64, i32>,
    /// Offset → when it is visible again, where that was changed.
    #[serde(rename = "ot", deserialize_with = "lenient::or_default")]
    pub visible_ms: BTreeMap<i64, i64>,
    #[serde(rename = "popTime", deserialize_with = "lenient::number")]
    pub pop_ms: i64,
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
