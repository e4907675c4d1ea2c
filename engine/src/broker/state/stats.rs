//! Counters of the broker and their windows (semantics.md §21, admin.md §4.9).
//!
//! Every counter grows for ever. [`Stats::sample`] notes the values every ten seconds; a window is the
//! difference of two samples. A statistic begins with its first message: before that it does not exist.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use super::{lock, read, write};
use crate::protocol::body::stats::{BrokerStats, BrokerStatsItem};

/// Pause between samples, ms.
pub const SAMPLE_MS: i64 = 10_000;
/// The minute window: a sample each time.
const MINUTE: Window = Window { every: 1, keep: 7 };
/// The hour window: a sample in ten minutes.
const HOUR: Window = Window { every: 60, keep: 7 };
/// The day window: a sample an hour.
const DAY: Window = Window { every: 360, keep: 25 };

/// How a window is sampled.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Samples of the shortest window to one of this.
    every: u32,
    /// Most samples, with the one that the difference is taken from.
    keep: usize,
}

/// A counter: a sum and how often it was added to.
#[derive(Debug, Default)]
pub struct Counter {
    sum: AtomicI64,
    times: AtomicI64,
}

impl Counter {
    /// Counts once.
    pub fn add(&self, value: i64) {
        self.sum.fetch_add(value, Ordering::Relaxed);
        self.times.fetch_add(1, Ordering::Relaxed);
    }

    /// The sum so far.
    pub fn sum(&self) -> i64 {
        self.sum.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    at_ms: i64,
    sum: i64,
    times: i64,
}

#[derive(Debug, Default)]
struct Windows {
    minute: VecDeque<Sample>,
    hour: VecDeque<Sample>,
    day: VecDeque<Sample>,
}

#[derive(Debug, Default)]
struct Item {
    counter: Arc<Counter>,
    windows: Mutex<Windows>,
}

/// The counters of one name, by key.
type Named = (&'static str, HashMap<String, Arc<Item>>);

/// Counters by name and key.
#[derive(Debug, Default)]
pub struct Stats {
    items: RwLock<Vec<Named>>,
    samples: Mutex<u64>,
}

impl Stats {
    /// Counts `value` under a name and key.
    pub fn add(&self, name: &'static str, key: &str, value: i64) {
        if let Some(item) = find(&read(&self.items), name, key) {
            item.counter.add(value);
            return;
        }
        let mut items = write(&self.items);
        let at = items.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            items.push((name, HashMap::new()));
            items.len() - 1
        });
        items[at].1.entry(key.to_owned()).or_default().counter.add(value);
    }

    /// Sum of a counter since the start; `None` before its first count.
    #[cfg(test)]
    pub fn sum(&self, name: &str, key: &str) -> Option<i64> {
        find(&read(&self.items), name, key).map(|item| item.counter.sum())
    }

    /// Notes the values of all counters; to be called every [`SAMPLE_MS`].
    pub fn sample(&self, now_ms: i64) {
        let number = {
            let mut samples = lock(&self.samples);
            *samples += 1;
            *samples
        };
        for item in read(&self.items).iter().flat_map(|(_, keys)| keys.values()) {
            let mut windows = lock(&item.windows);
            let sample = item.sample(now_ms);
            let Windows { minute, hour, day } = &mut *windows;
            for (samples, window) in [(minute, MINUTE), (hour, HOUR), (day, DAY)] {
                if number % u64::from(window.every) == 0 {
                    push(samples, sample, window);
                }
            }
        }
    }

    /// The windows of a counter; `None` before its first count.
    pub fn view(&self, name: &str, key: &str) -> Option<BrokerStats> {
        let item = find(&read(&self.items), name, key).cloned()?;
        let windows = lock(&item.windows);
        Some(BrokerStats {
            minute: window(&windows.minute),
            hour: window(&windows.hour),
            day: window(&windows.day),
        })
    }

    /// Rate of the minute window, per second; 0 before there is one.
    pub fn tps(&self, name: &str, key: &str) -> f64 {
        self.view(name, key).map_or(0.0, |view| view.minute.tps)
    }

    /// Forgets the counters whose key is or mentions a topic or group that is gone.
    pub fn remove(&self, gone: &str) {
        for (_, keys) in write(&self.items).iter_mut() {
            keys.retain(|key, _| !key.split('@').any(|part| part == gone));
        }
    }
}

/// There are about a dozen names: a walk over them is cheaper than a second hash.
fn find<'a>(items: &'a [Named], name: &str, key: &str) -> Option<&'a Arc<Item>> {
    items.iter().find(|(known, _)| *known == name).and_then(|(_, keys)| keys.get(key))
}

impl Item {
    fn sample(&self, at_ms: i64) -> Sample {
        let times = self.counter.times.load(Ordering::Relaxed);
        Sample { at_ms, sum: self.counter.sum(), times }
    }
}

/// The first sample of a young counter counts from zero and from one pause earlier: what came before
/// it belongs to the window.
fn push(samples: &mut VecDeque<Sample>, sample: Sample, window: Window) {
    if samples.is_empty() {
        let at_ms = sample.at_ms - SAMPLE_MS * i64::from(window.every);
        samples.push_back(Sample { at_ms, sum: 0, times: 0 });
    }
    samples.push_back(sample);
    while samples.len() > window.keep {
        samples.pop_front();
    }
}

fn window(samples: &VecDeque<Sample>) -> BrokerStatsItem {
    let (Some(base), Some(last)) = (samples.front(), samples.back()) else {
        return BrokerStatsItem::default();
    };
    let seconds = (last.at_ms - base.at_ms).max(1) as f64 / 1000.0;
    let sum = last.sum - base.sum;
    let times = last.times - base.times;
    BrokerStatsItem {
        sum,
        tps: sum as f64 / seconds,
        avgpt: if times > 0 { sum as f64 / times as f64 } else { 0.0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_the_difference_of_two_samples() {
        let stats = Stats::default();
        assert!(stats.view("TOPIC_PUT_NUMS", "t").is_none());
        stats.add("TOPIC_PUT_NUMS", "t", 20);
        stats.sample(10_000);
        assert_eq!(stats.view("TOPIC_PUT_NUMS", "t").unwrap().minute.sum, 20);
        stats.add("TOPIC_PUT_NUMS", "t", 10);
        stats.sample(20_000);
        let minute = stats.view("TOPIC_PUT_NUMS", "t").unwrap().minute;
        assert_eq!((minute.sum, minute.avgpt), (30, 15.0));
        assert!((minute.tps - 1.5).abs() < 1e-9);
        for tick in 3..20 {
            stats.sample(tick * 10_000);
        }
        assert_eq!(stats.view("TOPIC_PUT_NUMS", "t").unwrap().minute.sum, 0);
        assert_eq!(stats.sum("TOPIC_PUT_NUMS", "t"), Some(30));
    }

    #[test]
    fn the_first_sample_of_a_window_is_spread_over_its_own_pause() {
        let stats = Stats::default();
        stats.add("BROKER_PUT_NUMS", "c", 7_200);
        let tps = |tick: i64| {
            let view = stats.view("BROKER_PUT_NUMS", "c").unwrap();
            assert_eq!((view.hour.sum, view.day.sum), (7_200, if tick < 360 { 0 } else { 7_200 }));
            (view.hour.tps, view.day.tps)
        };
        for tick in 1..=359 {
            stats.sample(tick * 10_000);
            match tick {
                60 => assert_eq!(tps(tick), (12.0, 0.0)),
                120 => assert_eq!(tps(tick), (6.0, 0.0)),
                _ => {}
            }
        }
        stats.sample(3_600_000);
        assert_eq!(tps(360), (2.0, 2.0));
    }

    #[test]
    fn a_deleted_topic_takes_its_counters_along() {
        let stats = Stats::default();
        stats.add("GROUP_GET_NUMS", "t@g", 1);
        stats.add("GROUP_GET_NUMS", "tt@g", 1);
        stats.remove("t");
        assert!(stats.sum("GROUP_GET_NUMS", "t@g").is_none());
        assert!(stats.sum("GROUP_GET_NUMS", "tt@g").is_some());
    }
}
