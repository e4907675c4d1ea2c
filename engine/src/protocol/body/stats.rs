//! Figures of topics, groups and the broker: 202, 208, 317, 303, 315, 61.
//!
//! How the console derives lag from them is `decide::lag`. Spec: admin.md §4.3, §4.4, §4.9, §4.16.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient;
use super::queue::{MessageQueue, QueueMap};
use super::topic_config::DataVersion;

/// Response body of GET_TOPIC_STATS_INFO (202).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicStatsTable {
    #[serde(deserialize_with = "lenient::or_default")]
    pub offset_table: QueueMap<TopicOffset>,
    pub topic_put_tps: f64,
}

/// Extent of one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicOffset {
    /// Store time of the newest message; 0 when empty, −1 when it is gone.
    pub last_update_timestamp: i64,
    pub max_offset: i64,
    pub min_offset: i64,
}

/// Response body of GET_CONSUME_STATS (208).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeStats {
    pub consume_tps: f64,
    #[serde(deserialize_with = "lenient::or_default")]
    pub offset_table: QueueMap<OffsetWrapper>,
}

/// One group's position on one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OffsetWrapper {
    pub broker_offset: i64,
    /// 0 also when nothing is committed.
    pub consumer_offset: i64,
    /// Only from brokers with the extension `inFlight` (admin.md §5 n).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<i64>,
    pub last_timestamp: i64,
    pub pull_offset: i64,
}

/// Response body of GET_BROKER_CONSUME_STATS (317).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerConsumeStats {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_addr: Option<String>,
    /// One map a group, with one entry: the group's figures, one a topic.
    #[serde(deserialize_with = "lenient::or_default")]
    pub consume_stats_list: Vec<BTreeMap<String, Vec<ConsumeStats>>>,
    pub total_diff: i64,
    pub total_inflight_diff: i64,
}

/// Response body of QUERY_CONSUME_TIME_SPAN (303).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeTimeSpans {
    #[serde(deserialize_with = "lenient::or_default")]
    pub consume_time_span_set: Vec<ConsumeTimeSpan>,
}

/// Times of one queue's first, last and last consumed message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeTimeSpan {
    pub consume_time_stamp: i64,
    /// Age of the first message not consumed; 0 when all are. About now when that message is gone.
    pub delay_time: i64,
    pub max_time_stamp: i64,
    pub message_queue: MessageQueue,
    pub min_time_stamp: i64,
}

/// Response body of VIEW_BROKER_STATS_DATA (315).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrokerStats {
    #[serde(rename = "statsDay", deserialize_with = "lenient::or_default")]
    pub day: BrokerStatsItem,
    #[serde(rename = "statsHour", deserialize_with = "lenient::or_default")]
    pub hour: BrokerStatsItem,
    #[serde(rename = "statsMinute", deserialize_with = "lenient::or_default")]
    pub minute: BrokerStatsItem,
}

/// One window of one statistic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerStatsItem {
    /// Sum per sample.
    pub avgpt: f64,
    pub sum: i64,
    pub tps: f64,
}

/// Response body of GET_TIMER_METRICS (61): waiting timers per real topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TimerMetrics {
    #[serde(deserialize_with = "lenient::or_default")]
    pub data_version: DataVersion,
    #[serde(deserialize_with = "lenient::or_default")]
    pub timing_count: BTreeMap<String, TimerMetric>,
}

/// Waiting timers of one topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TimerMetric {
    #[serde(deserialize_with = "lenient::number")]
    pub count: i64,
    #[serde(deserialize_with = "lenient::number")]
    pub time_stamp: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json_dialect::{from_slice, to_vec};

    fn queue(topic: &str, queue_id: i32) -> MessageQueue {
        MessageQueue { topic: topic.into(), broker_name: "broker-a".into(), queue_id }
    }

    #[test]
    fn topic_stats_sample_reads() {
        let text = br#"{"offsetTable":{{"brokerName":"broker-a","queueId":2,"topic":"SCHEDULE_TOPIC_XXXX"}:{"lastUpdateTimestamp":1795555192410,"maxOffset":2,"minOffset":0}},"topicPutTps":0.0}"#;
        let stats: TopicStatsTable = from_slice(text).unwrap();
        assert_eq!(stats.offset_table[&queue("SCHEDULE_TOPIC_XXXX", 2)].max_offset, 2);
        assert_eq!(from_slice::<TopicStatsTable>(&to_vec(&stats)).unwrap(), stats);
    }

    #[test]
    fn consume_stats_sample_reads_and_in_flight_is_optional() {
        let text = br#"{"consumeTps":0.03333333333333333,"offsetTable":{
 {"brokerName":"broker-a","queueId":1,"topic":"orders"}:{"brokerOffset":12,"consumerOffset":10,"lastTimestamp":1795555190357,"pullOffset":11},
 {"brokerName":"broker-a","queueId":0,"topic":"%RETRY%billing"}:{"brokerOffset":6,"consumerOffset":6,"inFlight":3,"lastTimestamp":1795555322277,"pullOffset":6}}}"#;
        let stats: ConsumeStats = from_slice(text).unwrap();
        let orders = stats.offset_table[&queue("orders", 1)];
        assert_eq!(
            (orders.broker_offset, orders.consumer_offset, orders.in_flight),
            (12, 10, None)
        );
        assert_eq!(stats.offset_table[&queue("%RETRY%billing", 0)].in_flight, Some(3));
        let written = String::from_utf8(to_vec(&stats)).unwrap();
        assert_eq!(written.matches("inFlight").count(), 1);
        assert_eq!(from_slice::<ConsumeStats>(written.as_bytes()).unwrap(), stats);
    }

    #[test]
    fn a_body_without_table_is_an_empty_table() {
        assert_eq!(
            from_slice::<ConsumeStats>(br#"{"consumeTps":0.0}"#).unwrap(),
            ConsumeStats::default()
        );
        let body = br#"{"offsetTable":null}"#;
        assert_eq!(from_slice::<ConsumeStats>(body).unwrap(), ConsumeStats::default());
    }

    #[test]
    fn broker_consume_stats_sample_reads() {
        let text = br#"{"brokerAddr":"10.0.0.1:10911","consumeStatsList":[{"billing":[{"consumeTps":0.0,"offsetTable":{{"brokerName":"broker-a","queueId":1,"topic":"orders"}:{"brokerOffset":12}}}]},{"popgrp":[]}],"totalDiff":3,"totalInflightDiff":-61}"#;
        let stats: BrokerConsumeStats = from_slice(text).unwrap();
        assert_eq!(stats.consume_stats_list[0]["billing"][0].offset_table.len(), 1);
        assert_eq!(stats.total_inflight_diff, -61);
        assert_eq!(from_slice::<BrokerConsumeStats>(&to_vec(&stats)).unwrap(), stats);
    }

    #[test]
    fn time_span_and_window_samples_read() {
        let spans: ConsumeTimeSpans = from_slice(br#"{"consumeTimeSpanSet":[{"consumeTimeStamp":1795555190204,"consumeTimeStampStr":"2026-11-24#21:19:50:204","delayTime":612584,"maxTimeStamp":1,"messageQueue":{"brokerName":"b","queueId":3,"topic":"t"},"minTimeStamp":2}]}"#).unwrap();
        assert_eq!(spans.consume_time_span_set[0].delay_time, 612_584);
        let stats: BrokerStats = from_slice(br#"{"statsDay":{"avgpt":0.0,"sum":0,"tps":0.0},"statsMinute":{"avgpt":1.0,"sum":20,"tps":0.3333333333333333}}"#).unwrap();
        assert_eq!(stats.minute.sum, 20);
        let timers: TimerMetrics = from_slice(
            br#"{"dataVersion":{},"timingCount":{"pay":{"count":1,"timeStamp":1795555190497}}}"#,
        )
        .unwrap();
        assert_eq!(timers.timing_count["pay"].count, 1);
    }
}
