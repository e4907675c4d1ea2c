//! Figures of a run: rates, latency percentiles, CPU and memory of the broker's process.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Longest latency that is told apart, µs.
const LONGEST_US: u64 = 60_000_000;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time, user and system.
    pub cpu: Duration,
    /// Anonymous resident memory, bytes.
    pub anonymous: u64,
}

impl Usage {
    /// Reads a process's figures from `/proc`; `None` when there is no such process.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks: u64 =
            fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        let per_second = rustix::param::clock_ticks_per_second();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        let kib: u64 = anonymous.trim().trim_end_matches(" kB").trim().parse().ok()?;
        let cpu = Duration::from_nanos(ticks * (1_000_000_000 / per_second.max(1)));
        Some(Self { cpu, anonymous: kib * 1024 })
    }
}

/// How many messages a run moved, in what time and at what price.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Messages.
    pub count: u64,
    /// Time.
    pub took: Duration,
    /// The broker before and after.
    pub usage: Option<(Usage, Usage)>,
}

impl Measured {
    /// As an object; what was not measured is `null`.
    pub fn json(&self) -> Value {
        let cpu_us = self.usage.map(|(before, after)| {
            let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
            cpu * 1e6 / (self.count.max(1) as f64)
        });
        json!({
            "messages": self.count,
            "seconds": self.took.as_secs_f64(),
            "tps": self.count as f64 / self.took.as_secs_f64(),
            "broker_cpu_us_per_message": cpu_us,
            "broker_anonymous_bytes": self.usage.map(|(_, after)| after.anonymous),
        })
    }
}

/// Latencies of all answers.
#[derive(Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        let bounds = Histogram::new_with_bounds(1, LONGEST_US, 3);
        Self(bounds.expect("1 < 60,000,000 and 3 digits are valid bounds"))
    }
}

impl Latencies {
    /// Notes one.
    pub fn add(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    /// Takes over those of another connection.
    pub fn join(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all histograms have the same bounds");
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Adds the percentiles to a run's figures, `null` when nothing waited for answers.
    pub fn put(&self, figures: &mut Value, unknown: bool) {
        let at = |share: f64| {
            (!unknown && self.count() > 0).then(|| self.0.value_at_quantile(share) as f64 / 1_000.0)
        };
        for (name, share) in
            [("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999), ("max_ms", 1.0)]
        {
            figures[name] = json!(at(share));
        }
    }
}
