//! Counters of the broker and their windows (semantics.md §21, admin.md §4.9).
//!
//! Every counter grows for ever. [`Stats::sample`] notes the values every ten seconds; a window is the
//! difference of two samples. A statistic begins with its first count: before that it does not exist.
//!
//! All counters of an append, or of a read, are found together, under one lock and by one key; those of
//! the whole broker need neither.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, RwLock};

use super::stat_names::{self as name, OfBroker};
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

/// A counter: a sum, how often it was added to, and what was noted of both.
#[derive(Debug, Default)]
struct Item {
    sum: AtomicI64,
    times: AtomicI64,
    windows: Mutex<Windows>,
}

/// What was stored or read at once.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// Messages.
    pub messages: usize,
    /// Bytes of their records.
    pub bytes: usize,
}

/// How long it took.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// In which queue.
    pub queue_id: i32,
    /// Time, ms.
    pub ms: i64,
}

/// The counters of a topic that is written, or of a group that reads one.
#[derive(Debug, Default)]
struct Flow {
    nums: Item,
    size: Item,
    /// By queue.
    latency: HashMap<i32, Item>,
}

/// The counters of one name, by key.
type Named = (&'static str, HashMap<String, Item>);

#[derive(Debug, Default)]
struct Tables {
    /// By topic.
    puts: HashMap<String, Flow>,
    /// By `topic@group`.
    gets: HashMap<String, Flow>,
    others: Vec<Named>,
}

/// Counters by name and key.
#[derive(Debug)]
pub struct Stats {
    cluster: String,
    of_broker: [Item; OfBroker::ALL.len()],
    tables: RwLock<Tables>,
    samples: Mutex<u64>,
}

/// The key of what is counted for a topic and group.
pub fn pair(topic: &str, group: &str) -> String {
    format!("{topic}@{group}")
}

impl Stats {
    /// Counters of a broker of this cluster.
    pub fn new(cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            of_broker: Default::default(),
            tables: RwLock::default(),
            samples: Mutex::default(),
        }
    }

    /// Counts what was stored in a topic, and how long the client waited for it.
    pub fn put(&self, topic: &str, amount: Amount, latency: Option<Latency>) {
        if read(&self.tables).puts.get(topic).is_some_and(|flow| flow.add(amount, latency)) {
            return;
        }
        write(&self.tables).puts.entry(topic.to_owned()).or_default().begin(Some(amount), latency);
    }

    /// Counts what a `topic@group` got.
    pub fn get(&self, key: &str, amount: Amount, latency: Option<Latency>) {
        if read(&self.tables).gets.get(key).is_some_and(|flow| flow.add(amount, latency)) {
            return;
        }
        write(&self.tables).gets.entry(key.to_owned()).or_default().begin(Some(amount), latency);
    }

    /// Counts how long a `topic@group` waited for what was counted already.
    pub fn got(&self, key: &str, latency: Latency) {
        let Latency { queue_id, ms } = latency;
        if let Some(item) =
            read(&self.tables).gets.get(key).and_then(|flow| flow.latency.get(&queue_id))
        {
            item.add(ms);
            return;
        }
        write(&self.tables).gets.entry(key.to_owned()).or_default().begin(None, Some(latency));
    }

    /// Counts `value` for the whole broker.
    pub fn of_broker(&self, stat: OfBroker, value: i64) {
        self.of_broker[stat as usize].add(value);
    }

    /// Counts `value` under one of the other names and a key.
    pub fn add(&self, name: &'static str, key: &str, value: i64) {
        if let Some(item) = find(&read(&self.tables).others, name, key) {
            item.add(value);
            return;
        }
        let others = &mut write(&self.tables).others;
        let at = others.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            others.push((name, HashMap::new()));
            others.len() - 1
        });
        others[at].1.entry(key.to_owned()).or_default().add(value);
    }

    /// Sum of a counter since the start; `None` before its first count.
    #[cfg(test)]
    pub fn sum(&self, name: &str, key: &str) -> Option<i64> {
        self.look(name, key, |item| item.sum.load(Ordering::Relaxed))
    }

    /// Notes the values of all counters; to be called every [`SAMPLE_MS`].
    pub fn sample(&self, now_ms: i64) {
        let number = {
            let mut samples = lock(&self.samples);
            *samples += 1;
            *samples
        };
        let tables = read(&self.tables);
        let flows = tables.puts.values().chain(tables.gets.values()).flat_map(Flow::items);
        let others = tables.others.iter().flat_map(|(_, keys)| keys.values());
        for item in self.of_broker.iter().chain(flows).chain(others) {
            item.note(now_ms, number);
        }
    }

    /// The windows of a counter; `None` before its first count.
    pub fn view(&self, name: &str, key: &str) -> Option<BrokerStats> {
        let mut view = self.look(name, key, Item::view)?;
        if of_broker(name).is_some_and(|stat| !stat.counts_calls()) {
            for window in [&mut view.minute, &mut view.hour, &mut view.day] {
                window.avgpt = 0.0;
            }
        }
        Some(view)
    }

    fn look<T>(&self, name: &str, key: &str, look: impl FnOnce(&Item) -> T) -> Option<T> {
        if let Some(stat) = of_broker(name) {
            let item = &self.of_broker[stat as usize];
            return (key == self.cluster && item.began()).then(|| look(item));
        }
        let tables = read(&self.tables);
        let (puts, gets) = (&tables.puts, &tables.gets);
        let item = match name {
            name::TOPIC_PUT_NUMS => puts.get(key).map(|flow| &flow.nums),
            name::TOPIC_PUT_SIZE => puts.get(key).map(|flow| &flow.size),
            name::TOPIC_PUT_LATENCY => latency(puts, key),
            name::GROUP_GET_NUMS => gets.get(key).map(|flow| &flow.nums),
            name::GROUP_GET_SIZE => gets.get(key).map(|flow| &flow.size),
            name::GROUP_GET_LATENCY => latency(gets, key),
            other => find(&tables.others, other, key),
        };
        item.filter(|item| item.began()).map(look)
    }

    /// Rate of the minute window, per second; 0 before there is one.
    pub fn tps(&self, name: &str, key: &str) -> f64 {
        self.view(name, key).map_or(0.0, |view| view.minute.tps)
    }

    /// Forgets the counters whose key is or mentions a topic or group that is gone.
    pub fn remove(&self, gone: &str) {
        let stays = |key: &str| !key.split('@').any(|part| part == gone);
        let mut tables = write(&self.tables);
        tables.puts.remove(gone);
        tables.gets.retain(|key, _| stays(key));
        for (_, keys) in &mut tables.others {
            keys.retain(|key, _| stays(key));
        }
    }
}

fn of_broker(name: &str) -> Option<OfBroker> {
    OfBroker::ALL.into_iter().find(|stat| stat.name() == name)
}

/// There are four other names: a walk over them is cheaper than a second hash.
fn find<'a>(items: &'a [Named], name: &str, key: &str) -> Option<&'a Item> {
    items.iter().find(|(known, _)| *known == name).and_then(|(_, keys)| keys.get(key))
}

/// The counter of `queueId@key`.
fn latency<'a>(flows: &'a HashMap<String, Flow>, key: &str) -> Option<&'a Item> {
    let (queue_id, key) = key.split_once('@')?;
    flows.get(key)?.latency.get(&queue_id.parse().ok()?)
}

impl Flow {
    /// Counts where everything to count in exists; `false`, and nothing counted, where not.
    fn add(&self, amount: Amount, latency: Option<Latency>) -> bool {
        if let Some(Latency { queue_id, ms }) = latency {
            let Some(item) = self.latency.get(&queue_id) else { return false };
            item.add(ms);
        }
        self.nums.add(amount.messages as i64);
        self.size.add(amount.bytes as i64);
        true
    }

    /// Counts, and makes what is missing.
    fn begin(&mut self, amount: Option<Amount>, latency: Option<Latency>) {
        if let Some(Latency { queue_id, ms }) = latency {
            self.latency.entry(queue_id).or_default().add(ms);
        }
        if let Some(amount) = amount {
            self.add(amount, None);
        }
    }

    fn items(&self) -> impl Iterator<Item = &Item> {
        [&self.nums, &self.size].into_iter().chain(self.latency.values())
    }
}

impl Item {
    fn add(&self, value: i64) {
        self.sum.fetch_add(value, Ordering::Relaxed);
        self.times.fetch_add(1, Ordering::Relaxed);
    }

    fn began(&self) -> bool {
        self.times.load(Ordering::Relaxed) > 0
    }

    fn note(&self, at_ms: i64, number: u64) {
        if !self.began() {
            return;
        }
        let (sum, times) = (self.sum.load(Ordering::Relaxed), self.times.load(Ordering::Relaxed));
        let Windows { minute, hour, day } = &mut *lock(&self.windows);
        for (samples, window) in [(minute, MINUTE), (hour, HOUR), (day, DAY)] {
            if number.is_multiple_of(u64::from(window.every)) {
                push(samples, Sample { at_ms, sum, times }, window);
            }
        }
    }

    fn view(&self) -> BrokerStats {
        let windows = lock(&self.windows);
        BrokerStats {
            minute: window(&windows.minute),
            hour: window(&windows.hour),
            day: window(&windows.day),
        }
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

    fn put(stats: &Stats, messages: usize) {
        stats.put("t", Amount { messages, bytes: 0 }, None);
    }

    #[test]
    fn a_window_is_the_difference_of_two_samples() {
        let stats = Stats::new("c");
        assert!(stats.view("TOPIC_PUT_NUMS", "t").is_none());
        put(&stats, 20);
        stats.sample(10_000);
        assert_eq!(stats.view("TOPIC_PUT_NUMS", "t").unwrap().minute.sum, 20);
        put(&stats, 10);
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
        let stats = Stats::new("c");
        stats.of_broker(OfBroker::PutNums, 7_200);
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
    fn every_name_exists_from_its_first_count_on_and_under_its_own_key() {
        let stats = Stats::new("c");
        let keys = ["t", "t", "2@t", "t@g", "t@g", "-1@t@g", "t@g", "t@g", "t@g", "CONNECT"];
        let keyed = || name::KEYED.into_iter().zip(keys);
        let of_broker = || OfBroker::ALL.map(|stat| (stat.name(), "c"));
        for (name, key) in keyed().chain(of_broker()) {
            assert!(stats.view(name, key).is_none(), "{name} {key}");
        }
        let amount = Amount { messages: 3, bytes: 3 };
        stats.put("t", amount, Some(Latency { queue_id: 2, ms: 3 }));
        stats.get("t@g", amount, None);
        stats.got("t@g", Latency { queue_id: -1, ms: 3 });
        for (name, key) in keyed().skip(6) {
            stats.add(name, key, 3);
        }
        for stat in OfBroker::ALL {
            stats.of_broker(stat, 3);
        }
        stats.sample(10_000);
        for (name, key) in keyed().chain(of_broker()) {
            let totals = name.starts_with("BROKER_");
            let minute = stats.view(name, key).unwrap().minute;
            assert_eq!((minute.sum, minute.avgpt), (3, if totals { 0.0 } else { 3.0 }), "{name}");
            assert!(stats.view(name, "x@y@z").is_none(), "{name}");
        }
    }

    #[test]
    fn a_read_that_was_only_timed_begins_no_other_counter() {
        let stats = Stats::new("c");
        stats.got("t@g", Latency { queue_id: 0, ms: 1 });
        assert!(stats.view("GROUP_GET_NUMS", "t@g").is_none());
        stats.sample(10_000);
        stats.get("t@g", Amount { messages: 6, bytes: 6 }, None);
        stats.sample(20_000);
        let tps = stats.tps("GROUP_GET_NUMS", "t@g");
        assert!((tps - 0.6).abs() < 1e-9, "it is ten seconds old, not twenty: {tps}");
    }

    #[test]
    fn a_deleted_topic_takes_its_counters_along() {
        let stats = Stats::new("c");
        let amount = Amount { messages: 1, bytes: 1 };
        for topic in ["t", "tt"] {
            stats.put(topic, amount, Some(Latency { queue_id: 0, ms: 1 }));
            stats.get(&pair(topic, "g"), amount, Some(Latency { queue_id: 0, ms: 1 }));
            stats.add("GROUP_ACK_NUMS", &pair(topic, "g"), 1);
        }
        stats.remove("t");
        let left = |name: &str, keys: [&str; 2]| keys.map(|key| stats.sum(name, key));
        for (name, keys) in [
            ("TOPIC_PUT_LATENCY", ["0@t", "0@tt"]),
            ("GROUP_GET_NUMS", ["t@g", "tt@g"]),
            ("GROUP_GET_LATENCY", ["0@t@g", "0@tt@g"]),
            ("GROUP_ACK_NUMS", ["t@g", "tt@g"]),
        ] {
            assert_eq!(left(name, keys), [None, Some(1)], "{name}");
        }
    }
}
