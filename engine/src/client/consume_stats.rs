//! What a consumer counts about itself, for GET_CONSUMER_RUNNING_INFO (307).
//!
//! Pure: time is an argument. Rates of the last minute, failures of the last hour (admin.md §4.6).

use std::collections::BTreeMap;

use crate::protocol::body::running_info::ConsumeStatus;

const MINUTE_MS: i64 = 60_000;

/// Sums over a sliding window of `SLOTS` slots.
#[derive(Clone, Debug)]
struct Window<const SLOTS: usize> {
    slot_ms: i64,
    slots: [(i64, u64, u64); SLOTS],
}

impl<const SLOTS: usize> Window<SLOTS> {
    fn new(slot_ms: i64) -> Self {
        Self { slot_ms, slots: [(i64::MIN, 0, 0); SLOTS] }
    }

    fn add(&mut self, now_ms: i64, count: u64, value: u64) {
        let number = now_ms.div_euclid(self.slot_ms);
        let at = number.rem_euclid(SLOTS as i64) as usize;
        let slot = &mut self.slots[at];
        if slot.0 != number {
            *slot = (number, 0, 0);
        }
        slot.1 += count;
        slot.2 += value;
    }

    /// Count and sum of values within the window.
    fn sums(&self, now_ms: i64) -> (u64, u64) {
        let oldest = now_ms.div_euclid(self.slot_ms) - SLOTS as i64 + 1;
        let live = self.slots.iter().filter(|slot| slot.0 >= oldest);
        live.fold((0, 0), |(count, value), slot| (count + slot.1, value + slot.2))
    }
}

/// Counters of one topic.
#[derive(Clone, Debug)]
struct Topic {
    pulled: Window<6>,
    pulls: Window<6>,
    ok: Window<6>,
    failed: Window<6>,
    failed_hour: Window<60>,
}

impl Topic {
    fn new() -> Self {
        let short = || Window::new(MINUTE_MS / 6);
        Self {
            pulled: short(),
            pulls: short(),
            ok: short(),
            failed: short(),
            failed_hour: Window::new(MINUTE_MS),
        }
    }
}

/// Counters by topic.
#[derive(Clone, Debug, Default)]
pub(super) struct ConsumeStats {
    topics: BTreeMap<String, Topic>,
}

impl ConsumeStats {
    fn topic(&mut self, topic: &str) -> &mut Topic {
        self.topics.entry(topic.to_owned()).or_insert_with(Topic::new)
    }

    /// A pull gave messages.
    pub(super) fn pulled(&mut self, topic: &str, messages: usize, took_ms: i64, now_ms: i64) {
        let topic = self.topic(topic);
        topic.pulled.add(now_ms, messages as u64, 0);
        topic.pulls.add(now_ms, 1, took_ms.max(0) as u64);
    }

    /// A message was consumed, well or not.
    pub(super) fn consumed(&mut self, topic: &str, ok: bool, took_ms: i64, now_ms: i64) {
        let topic = self.topic(topic);
        let took_ms = took_ms.max(0) as u64;
        if ok {
            topic.ok.add(now_ms, 1, took_ms);
        } else {
            topic.failed.add(now_ms, 1, took_ms);
            topic.failed_hour.add(now_ms, 1, 0);
        }
    }

    /// What 307 says of each topic.
    pub(super) fn table(&self, now_ms: i64) -> BTreeMap<String, ConsumeStatus> {
        let row = |topic: &Topic| {
            let (ok, ok_ms) = topic.ok.sums(now_ms);
            let (failed, failed_ms) = topic.failed.sums(now_ms);
            let (pulls, pulls_ms) = topic.pulls.sums(now_ms);
            ConsumeStatus {
                consume_failed_msgs: topic.failed_hour.sums(now_ms).0 as i64,
                consume_failed_tps: failed as f64 / 60.0,
                consume_ok_tps: ok as f64 / 60.0,
                consume_rt: mean(ok_ms + failed_ms, ok + failed),
                pull_rt: mean(pulls_ms, pulls),
                pull_tps: topic.pulled.sums(now_ms).0 as f64 / 60.0,
            }
        };
        self.topics.iter().map(|(name, topic)| (name.clone(), row(topic))).collect()
    }
}

fn mean(sum: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / count as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_minute_and_failures_of_the_last_hour() {
        let mut stats = ConsumeStats::default();
        stats.pulled("t", 60, 30, 1_000);
        stats.consumed("t", true, 10, 1_000);
        stats.consumed("t", false, 20, 1_000);
        let row = stats.table(2_000)["t"];
        assert!((row.pull_tps - 1.0).abs() < 1e-9 && (row.consume_rt - 15.0).abs() < 1e-9);
        assert_eq!(row.consume_failed_msgs, 1);
        let later = stats.table(120_000)["t"];
        assert!(later.pull_tps.abs() < 1e-9 && later.consume_ok_tps.abs() < 1e-9);
        assert_eq!(later.consume_failed_msgs, 1);
        assert_eq!(stats.table(7_200_000)["t"].consume_failed_msgs, 0);
    }
}
