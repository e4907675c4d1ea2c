//! What goes through the broker as a whole: rates over 10, 60 and 600 s, latency, totals (admin.md §4.1).

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::lock;

/// Samples kept: one a second for ten minutes, and the one before.
const SAMPLES_MAX: usize = 601;
/// Upper bounds of the latency buckets, µs: 16 steps a power of two would be 6 %; powers of two do.
const BUCKETS: usize = 32;
/// Buckets of `putMessageDistributeTime`, ms: label and upper bound.
const DISTRIBUTION: [(&str, u64); 13] = [
    ("<=0ms", 1),
    ("0~10ms", 10),
    ("10~50ms", 50),
    ("50~100ms", 100),
    ("100~200ms", 200),
    ("200~500ms", 500),
    ("500ms~1s", 1_000),
    ("1~2s", 2_000),
    ("2~3s", 3_000),
    ("3~4s", 4_000),
    ("4~5s", 5_000),
    ("5~10s", 10_000),
    ("10s~", u64::MAX),
];

#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    at_ms: i64,
    put: u64,
    found: u64,
    miss: u64,
    transferred: u64,
}

#[derive(Debug, Default)]
struct Days {
    day: i64,
    put_morning: u64,
    put_yesterday: u64,
    get_morning: u64,
    get_yesterday: u64,
}

/// Counters of the whole broker.
#[derive(Debug, Default)]
pub struct Traffic {
    appends: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
    user_put: AtomicU64,
    user_get: AtomicU64,
    found: AtomicU64,
    miss: AtomicU64,
    transferred: AtomicU64,
    put_us_max: AtomicU64,
    latency: [AtomicU64; BUCKETS],
    samples: Mutex<VecDeque<Sample>>,
    days: Mutex<Days>,
}

/// The figures as request 28 gives them.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Appends a second over 10, 60, 600 s.
    pub put_tps: String,
    /// Reads with result.
    pub found_tps: String,
    /// Reads without.
    pub miss_tps: String,
    /// Both.
    pub total_tps: String,
    /// Messages read.
    pub transferred_tps: String,
    /// Appends since the start.
    pub appends: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Refused or failed ones.
    pub failed: u64,
    /// Longest append, ms.
    pub put_ms_max: u64,
    /// Longest read, ms; reads are not timed one by one.
    pub get_ms_max: u64,
    /// Histogram of append times.
    pub put_distribution: String,
    /// 99th percentile of the append time, ms.
    pub put_p99: String,
    /// 99.9th percentile.
    pub put_p999: String,
    /// User messages stored since the start.
    pub user_put: u64,
    /// User messages read since the start.
    pub user_get: u64,
    /// The same at the last midnight.
    pub put_morning: u64,
    /// And the one before.
    pub put_yesterday: u64,
    /// Messages read until the last midnight.
    pub get_morning: u64,
    /// And the one before.
    pub get_yesterday: u64,
}

impl Traffic {
    /// Messages were stored by one append.
    pub fn put(&self, messages: usize, bytes: usize, took_ns: u64, user: bool) {
        let messages = messages as u64;
        self.appends.fetch_add(messages, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if user {
            self.user_put.fetch_add(messages, Ordering::Relaxed);
        }
        let us = took_ns / 1_000;
        let bucket = (u64::BITS - us.leading_zeros()) as usize;
        self.latency[bucket.min(BUCKETS - 1)].fetch_add(messages, Ordering::Relaxed);
        if us > self.put_us_max.load(Ordering::Relaxed) {
            self.put_us_max.fetch_max(us, Ordering::Relaxed);
        }
    }

    /// An append was refused or failed.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// A read happened.
    pub fn get(&self, messages: usize, found: bool, user: bool) {
        let counter = if found { &self.found } else { &self.miss };
        counter.fetch_add(1, Ordering::Relaxed);
        self.transferred.fetch_add(messages as u64, Ordering::Relaxed);
        if user {
            self.user_get.fetch_add(messages as u64, Ordering::Relaxed);
        }
    }

    /// Notes the counters; to be called every second. `day` is the number of the local day.
    pub fn sample(&self, now_ms: i64, day: i64) {
        let sample = self.now(now_ms);
        let mut samples = lock(&self.samples);
        samples.push_back(sample);
        if samples.len() > SAMPLES_MAX {
            samples.pop_front();
        }
        drop(samples);
        let mut days = lock(&self.days);
        if days.day != 0 && days.day != day {
            days.put_yesterday = days.put_morning;
            days.get_yesterday = days.get_morning;
            days.put_morning = self.user_put.load(Ordering::Relaxed);
            days.get_morning = self.user_get.load(Ordering::Relaxed);
        }
        days.day = day;
    }

    fn now(&self, at_ms: i64) -> Sample {
        Sample {
            at_ms,
            put: self.appends.load(Ordering::Relaxed),
            found: self.found.load(Ordering::Relaxed),
            miss: self.miss.load(Ordering::Relaxed),
            transferred: self.transferred.load(Ordering::Relaxed),
        }
    }

    /// All figures.
    pub fn view(&self) -> View {
        let samples = lock(&self.samples);
        let rates = |which: fn(&Sample) -> u64| rates(&samples, which);
        let days = lock(&self.days);
        View {
            put_tps: rates(|s| s.put),
            found_tps: rates(|s| s.found),
            miss_tps: rates(|s| s.miss),
            total_tps: rates(|s| s.found + s.miss),
            transferred_tps: rates(|s| s.transferred),
            appends: self.appends.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            put_ms_max: self.put_us_max.load(Ordering::Relaxed) / 1_000,
            get_ms_max: 0,
            put_distribution: self.distribution(),
            put_p99: self.percentile(0.99),
            put_p999: self.percentile(0.999),
            user_put: self.user_put.load(Ordering::Relaxed),
            user_get: self.user_get.load(Ordering::Relaxed),
            put_morning: days.put_morning,
            put_yesterday: days.put_yesterday,
            get_morning: days.get_morning,
            get_yesterday: days.get_yesterday,
        }
    }

    /// Upper bound of the bucket that holds this share of all appends, ms.
    fn percentile(&self, share: f64) -> String {
        let counts: Vec<u64> =
            self.latency.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let wanted = (total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in counts.iter().enumerate() {
            seen += count;
            if total > 0 && seen >= wanted {
                return format!("{:.2}", (1_u64 << bucket) as f64 / 1_000.0);
            }
        }
        "0.00".into()
    }

    fn distribution(&self) -> String {
        let mut text = String::new();
        let mut below = 0;
        for (label, bound_ms) in DISTRIBUTION {
            let up_to: u64 = self
                .latency
                .iter()
                .enumerate()
                .filter(|(bucket, _)| bound_ms == u64::MAX || (1_u64 << bucket) <= bound_ms * 1_000)
                .map(|(_, count)| count.load(Ordering::Relaxed))
                .sum();
            // Writing to a string cannot fail.
            let _ = write!(text, "[{label}]:{} ", up_to - below);
            below = up_to;
        }
        text
    }
}

/// Rates over the last 10, 60 and 600 s, as far back as there are samples; none at all at the start.
fn rates(samples: &VecDeque<Sample>, which: impl Fn(&Sample) -> u64) -> String {
    let Some(last) = samples.back() else { return String::new() };
    let mut words: Vec<String> = Vec::with_capacity(3);
    for seconds in [10, 60, 600] {
        let Some(at) = samples.len().checked_sub(seconds + 1) else { break };
        let first = &samples[at];
        let span = (last.at_ms - first.at_ms).max(1) as f64 / 1_000.0;
        words.push(format!("{:.3}", (which(last) - which(first)) as f64 / span));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_appear_when_their_window_is_full() {
        let traffic = Traffic::default();
        assert_eq!(traffic.view().put_tps, "");
        for second in 0..=60 {
            traffic.put(5, 100, 2_000_000, true);
            traffic.sample(second * 1_000, 1);
        }
        assert_eq!(traffic.view().put_tps, "5.000 5.000");
        assert_eq!(traffic.view().put_p99, "2.05");
        assert!(traffic.view().put_distribution.starts_with("[<=0ms]:0 [0~10ms]:305 [10~50ms]:0 "));
    }

    #[test]
    fn midnight_moves_the_mornings() {
        let traffic = Traffic::default();
        traffic.sample(0, 1);
        traffic.put(7, 1, 1, true);
        traffic.sample(1, 2);
        traffic.put(2, 1, 1, true);
        traffic.sample(2, 3);
        let view = traffic.view();
        assert_eq!((view.put_morning, view.put_yesterday, view.user_put), (9, 7, 9));
    }
}
