//! Samples of statistics, long polls whose time is over, members that fell silent.

use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::handle::{heartbeat, pop, pull};
use crate::broker::state::stats::SAMPLE_MS;
use crate::decide::expiry::CLIENT_SCAN_MS;

/// Pause between samples of the traffic, ms.
const TRAFFIC_EVERY_MS: i64 = 1_000;

/// When each chore is due next, ms.
#[derive(Debug, Default)]
pub struct Housekeeping {
    expire: i64,
    sample: i64,
    traffic: i64,
}

impl Housekeeping {
    /// Does what is due. `day` is the number of the local day.
    pub fn run(&mut self, broker: &Arc<Broker>, now_ms: i64, day: i64) {
        for wait in broker.parked.expired(now_ms) {
            pull::wake(broker, &wait, now_ms);
        }
        pop::tick(broker, now_ms);
        if due(&mut self.traffic, now_ms, TRAFFIC_EVERY_MS) {
            broker.traffic.sample(now_ms, day);
        }
        if due(&mut self.sample, now_ms, SAMPLE_MS) {
            broker.stats.sample(now_ms);
        }
        if due(&mut self.expire, now_ms, CLIENT_SCAN_MS) {
            heartbeat::expire(broker, now_ms);
        }
    }
}

/// Whether a chore is due; sets when it is next. A clock set back makes it due at once.
pub fn due(next_ms: &mut i64, now_ms: i64, every_ms: i64) -> bool {
    if now_ms < *next_ms && *next_ms - now_ms <= every_ms {
        return false;
    }
    *next_ms = now_ms + every_ms;
    true
}
