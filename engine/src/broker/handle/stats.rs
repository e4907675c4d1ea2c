//! Figures of groups: 208, 317, 303, 315 (admin.md §4.4, §4.9).

use std::collections::{BTreeMap, BTreeSet};

use super::json;
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Reply};
use crate::broker::state::pop_state::Place;
use crate::broker::state::stat_names;
use crate::broker::state::stats::pair;
use crate::protocol::body::queue::QueueMap;
use crate::protocol::body::stats::{
    BrokerConsumeStats, ConsumeStats, ConsumeTimeSpan, ConsumeTimeSpans, OffsetWrapper,
};
use crate::protocol::request::stats as request;
use crate::protocol::response_code;

/// 208: how far a group is, on the topics asked for or on all of its own.
pub fn consume(broker: &Broker, header: &request::ConsumeStats<'_>) -> Reply {
    let group = header.group;
    let mut stats = ConsumeStats::default();
    for topic in topics(broker, header) {
        add_topic(broker, group, &topic, &mut stats);
    }
    json(&stats)
}

fn topics(broker: &Broker, header: &request::ConsumeStats<'_>) -> Vec<String> {
    if let Some(list) = header.topics.filter(|list| !list.is_empty()) {
        // Each once, however often it is named.
        let named: BTreeSet<&str> = list.split(';').collect();
        return named.into_iter().map(str::to_owned).collect();
    }
    if let Some(topic) = header.topic.filter(|topic| !topic.is_empty()) {
        return vec![topic.to_owned()];
    }
    let mut topics = broker.offsets.topics_of(header.group);
    // Once anybody is online, topics that the group does not read any more are left out.
    broker.connections.with_group(header.group, |group| {
        if !group.subscriptions.is_empty() {
            topics.retain(|topic| group.subscriptions.contains_key(topic));
        }
    });
    topics
}

fn add_topic(broker: &Broker, group: &str, topic: &str, stats: &mut ConsumeStats) {
    let Some(config) = broker.topics.get(topic) else { return };
    for queue_id in 0..config.config.read_queue_nums {
        let row = row(broker, group, topic, queue_id);
        stats.offset_table.0.insert(broker.queue(topic, queue_id), row);
    }
    stats.consume_tps += broker.stats.tps(stat_names::GROUP_GET_NUMS, &pair(topic, group));
}

fn row(broker: &Broker, group: &str, topic: &str, queue_id: i32) -> OffsetWrapper {
    let committed = broker.offsets.committed(group, topic, queue_id);
    let consumer_offset = committed.unwrap_or(0);
    let pull_offset =
        broker.offsets.pulled(group, topic, queue_id).unwrap_or(0).max(consumer_offset);
    let place = Place::new(topic, group, queue_id);
    let popped = broker.pop.in_flight(&place, broker.clock.wall_ms());
    let last_timestamp = broker.store_time(topic, queue_id, consumer_offset - 1);
    OffsetWrapper {
        broker_offset: broker.store.max_offset(topic, queue_id).0 as i64,
        consumer_offset,
        in_flight: Some(popped.unwrap_or((pull_offset - consumer_offset).max(0))),
        last_timestamp: last_timestamp.unwrap_or(0),
        pull_offset,
    }
}

/// 317: how far every group is, in one answer.
pub fn broker_consume(broker: &Broker, header: &request::BrokerConsumeStats) -> Reply {
    let ordered_only = header.order == Some(true);
    let mut body =
        BrokerConsumeStats { broker_addr: Some(broker.addr.to_string()), ..Default::default() };
    for group in broker.groups.snapshot().table.keys() {
        let mut list = Vec::new();
        for topic in broker.offsets.topics_of(group) {
            let Some(config) = broker.topics.get(&topic) else { continue };
            if ordered_only && !config.config.order {
                continue;
            }
            let stats = of_topic(broker, group, &topic, config.config.write_queue_nums);
            for row in stats.offset_table.0.values() {
                body.total_diff += (row.broker_offset - row.consumer_offset).max(0);
                body.total_inflight_diff += (row.pull_offset - row.consumer_offset).max(0);
            }
            list.push(stats);
        }
        body.consume_stats_list.push(BTreeMap::from([(group.clone(), list)]));
    }
    json(&body)
}

fn of_topic(broker: &Broker, group: &str, topic: &str, queues: i32) -> ConsumeStats {
    let rows =
        (0..queues).map(|queue| (broker.queue(topic, queue), row(broker, group, topic, queue)));
    let consume_tps = broker.stats.tps(stat_names::GROUP_GET_NUMS, &pair(topic, group));
    ConsumeStats { offset_table: rows.collect::<QueueMap<_>>(), consume_tps }
}

/// 303: the times that a group's position spans, by queue.
pub fn time_span(broker: &Broker, cx: &Cx, header: &request::ConsumeTimeSpan<'_>) -> Reply {
    let Some(topic) = broker.topics.get(header.topic) else {
        let remark = format!("topic[{}] not exist", header.topic);
        return Reply::refuse(response_code::TOPIC_NOT_EXIST, remark);
    };
    let spans = (0..topic.config.write_queue_nums)
        .map(|queue_id| span(broker, cx.now_ms, header.group, header.topic, queue_id));
    json(&ConsumeTimeSpans { consume_time_span_set: spans.collect() })
}

fn span(broker: &Broker, now_ms: i64, group: &str, topic: &str, queue_id: i32) -> ConsumeTimeSpan {
    let time_at = |offset: i64| broker.store_time(topic, queue_id, offset);
    let min = broker.min_offset(topic, queue_id);
    let max = broker.store.max_offset(topic, queue_id).0 as i64;
    let committed = broker.offsets.committed(group, topic, queue_id).unwrap_or(0);
    let first_unread = committed.max(min);
    let min_time = time_at(min).unwrap_or(-1);
    let delay_time = if first_unread >= max {
        0
    } else {
        // A message that is gone counts as old as the first one kept.
        time_at(first_unread).map_or(0, |stored| (now_ms - stored).max(0))
    };
    ConsumeTimeSpan {
        consume_time_stamp: time_at(committed - 1).unwrap_or(min_time),
        delay_time,
        max_time_stamp: time_at(max - 1).unwrap_or(-1),
        message_queue: broker.queue(topic, queue_id),
        min_time_stamp: min_time,
    }
}

/// 315: the windows of one statistic.
pub fn view(broker: &Broker, header: &request::BrokerStats<'_>) -> Reply {
    match broker.stats.view(header.name, header.key) {
        Some(view) => json(&view),
        None => Reply::error(format!("The stats <{}> <{}> not exist", header.name, header.key)),
    }
}
