//! Small readings of bodies: who pops, where queues end, how old the oldest unread message is.

use std::collections::{BTreeMap, BTreeSet};

use engine::protocol::body::heartbeat::MessageRequestModes;
use engine::protocol::body::stats::{BrokerConsumeStats, ConsumeTimeSpans};

use crate::data::Fig;

/// Groups that pop some topic.
pub fn pop_groups(modes: &MessageRequestModes) -> BTreeSet<String> {
    modes
        .message_request_mode_map
        .values()
        .flat_map(|groups| groups.values())
        .filter(|mode| mode.mode == engine::protocol::body::heartbeat::MessageRequestMode::Pop)
        .map(|mode| mode.consumer_group.clone())
        .collect()
}

/// Ends of queues by topic and queue id. Only the ends: committed figures of 317 mean nothing.
pub fn ends(stats: &BrokerConsumeStats) -> BTreeMap<(String, i32), i64> {
    let all = stats.consume_stats_list.iter().flat_map(BTreeMap::values).flatten();
    all.flat_map(|s| &s.offset_table.0)
        .map(|(queue, w)| ((queue.topic.clone(), queue.queue_id), w.broker_offset))
        .collect()
}

/// Age of the oldest unread message. A delay older than the oldest message kept is "more than that":
/// the broker subtracts −1 when the message is gone (admin.md §4.9).
pub fn behind(spans: &ConsumeTimeSpans, broker_now_ms: i64) -> Fig<i64> {
    let mut worst = Fig::Known(0);
    for span in &spans.consume_time_span_set {
        let kept = broker_now_ms - span.min_time_stamp;
        let delay = span.delay_time;
        let this = if delay > kept + 2_000 && span.min_time_stamp > 0 {
            Fig::AtLeast(kept)
        } else if delay > broker_now_ms / 2 {
            Fig::unknown("the next message is gone")
        } else {
            Fig::Known(delay.max(0))
        };
        let more = |a: &Fig<i64>, b: &Fig<i64>| a.value().copied() > b.value().copied();
        if this.is_unknown() || more(&this, &worst) {
            worst = this;
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::protocol::body::stats::ConsumeTimeSpan;

    fn span(delay: i64, min: i64) -> ConsumeTimeSpan {
        ConsumeTimeSpan { delay_time: delay, min_time_stamp: min, ..ConsumeTimeSpan::default() }
    }

    #[test]
    fn a_message_that_is_gone_is_older_than_what_is_kept() {
        let now = 1_795_555_000_000;
        let spans = |list: Vec<ConsumeTimeSpan>| ConsumeTimeSpans { consume_time_span_set: list };
        assert_eq!(behind(&spans(vec![]), now), Fig::Known(0));
        let both = spans(vec![span(5_000, now - 60_000), span(0, now - 60_000)]);
        assert_eq!(behind(&both, now), Fig::Known(5_000));
        let gone = spans(vec![span(now + 1, now - 60_000)]);
        assert_eq!(behind(&gone, now), Fig::AtLeast(60_000));
    }
}
