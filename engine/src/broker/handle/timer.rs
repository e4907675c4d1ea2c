//! Timer messages: 370 is in `recall.rs`; here 60, 61 and the keys of 28 (admin.md §4.16, §5 k).

use super::json;
use crate::broker::Broker;
use crate::broker::outcome::Reply;
use crate::decide::timer::second_of;
use crate::protocol::names;

/// 60: how far reading and delivering are, as seven numbers.
pub fn check_point(broker: &Broker) -> Reply {
    match broker.timers.figures() {
        Some(figures) => Reply::body(figures.check.fields().to_vec()),
        None => Reply::error("The checkpoint is null"),
    }
}

/// 61: messages that wait, by real topic.
pub fn metrics(broker: &Broker) -> Reply {
    if !broker.config.timer_wheel_enable {
        return Reply::error("The timer message store is null");
    }
    let mut metrics = broker.timers.metrics();
    for metric in metrics.timing_count.values_mut() {
        metric.count = metric.count.max(0);
    }
    json(&metrics)
}

/// The timer keys of request 28: all zero with the wheel off.
pub fn about(broker: &Broker, now_ms: i64, put: &mut dyn FnMut(&str, String)) {
    let figures = broker.timers.figures();
    let behind =
        figures.map_or(0, |figures| (second_of(now_ms) - figures.check.read_ms).max(0) / 1_000);
    let unread = figures.map_or(0, |figures| {
        let max = broker.store.max_offset(names::TIMER_TOPIC, 0).0;
        max.saturating_sub(figures.check.queue_offset)
    });
    let figures = figures.unwrap_or_default();
    put("timerReadBehind", behind.to_string());
    put("timerOffsetBehind", unread.to_string());
    put("timerCongestNum", figures.waiting.to_string());
    put("timerEnqueueTps", format!("{:.1}", figures.enqueue_tps));
    put("timerDequeueTps", format!("{:.1}", figures.dequeue_tps));
}
