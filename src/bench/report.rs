//! Figures of a run: rates, latency percentiles, CPU and memory of the broker's process.

use std::time::Duration;

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

/// Latencies of all answers, µs.
#[derive(Debug, Default)]
pub struct Latencies(Vec<u32>);

impl Latencies {
    /// Notes one.
    pub fn add(&mut self, took: Duration) {
        self.0.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    /// Takes over those of another connection.
    pub fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The value below which this share lies, ms; 0 without any.
    pub fn percentile(&mut self, share: f64) -> f64 {
        if self.0.is_empty() {
            return 0.0;
        }
        let at = ((self.0.len() - 1) as f64 * share) as usize;
        let (_, value, _) = self.0.select_nth_unstable(at);
        f64::from(*value) / 1_000.0
    }
}
