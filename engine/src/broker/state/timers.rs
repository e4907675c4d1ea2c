//! What others may know of the timer messages: how far they are, how many wait for which topic.
//!
//! Wheel and progress belong to the task that delivers; it leaves its figures here. Spec: admin.md
//! §4.16, §5 (k).

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::lock;
use crate::protocol::body::stats::{TimerMetric, TimerMetrics};
use crate::store::TimerCheck;

/// How far the timer messages are.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Figures {
    /// Where reading and delivering go on.
    pub check: TimerCheck,
    /// Messages on the wheel.
    pub waiting: i64,
    /// Messages put on the wheel, a second.
    pub enqueue_tps: f64,
    /// Messages taken from it, a second.
    pub dequeue_tps: f64,
}

/// Figures of the timer messages.
#[derive(Debug, Default)]
pub struct Timers {
    figures: Mutex<Option<Figures>>,
    metrics: Mutex<TimerMetrics>,
}

impl Timers {
    /// How far they are; none before the files of the wheel are open.
    pub fn figures(&self) -> Option<Figures> {
        *lock(&self.figures)
    }

    pub(crate) fn set_figures(&self, figures: Figures) {
        *lock(&self.figures) = Some(figures);
    }

    /// Messages that wait, by real topic, less those that are to be removed. While a removal is ahead
    /// of its message by a stage this may be below zero.
    pub fn metrics(&self) -> TimerMetrics {
        lock(&self.metrics).clone()
    }

    pub(crate) fn set_metrics(&self, metrics: TimerMetrics) {
        *lock(&self.metrics) = metrics;
    }

    /// Forgets a topic that is gone. Messages that still wait for it count below zero as they leave.
    pub fn remove_topic(&self, topic: &str, now_ms: i64) {
        let mut metrics = lock(&self.metrics);
        if metrics.timing_count.remove(topic).is_some() {
            metrics.data_version = metrics.data_version.next(now_ms);
        }
    }

    /// Messages of these topics came and went. With an empty wheel every topic has none.
    pub(crate) fn count(&self, changes: &BTreeMap<String, i64>, empty: bool, now_ms: i64) {
        let mut metrics = lock(&self.metrics);
        for (topic, change) in changes.iter().filter(|(_, change)| **change != 0) {
            let old = metrics.timing_count.get(topic).map_or(0, |metric| metric.count);
            let metric = TimerMetric { count: old + change, time_stamp: now_ms };
            metrics.timing_count.insert(topic.clone(), metric);
        }
        if empty {
            for metric in metrics.timing_count.values_mut().filter(|metric| metric.count != 0) {
                *metric = TimerMetric { count: 0, time_stamp: now_ms };
            }
        }
        metrics.data_version = metrics.data_version.next(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_stay_and_have_none_when_nothing_waits() {
        let timers = Timers::default();
        let change = |by| BTreeMap::from([("t".to_owned(), by)]);
        timers.count(&change(2), false, 5);
        assert_eq!(timers.metrics().timing_count["t"].count, 2);
        timers.count(&change(-3), false, 6);
        assert_eq!(timers.metrics().timing_count["t"].count, -1);
        timers.count(&change(4), false, 7);
        timers.count(&BTreeMap::new(), true, 8);
        let metric = timers.metrics().timing_count["t"];
        assert_eq!((metric.count, metric.time_stamp), (0, 8));
        timers.remove_topic("t", 9);
        assert!(timers.metrics().timing_count.is_empty());
    }
}
