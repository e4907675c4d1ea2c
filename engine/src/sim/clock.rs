//! Virtual time: a monotonic reading that only the world moves, and a wall clock that may jump.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::Clock;

/// Wall time at the start of a run: 2026-01-01 00:00 UTC.
const START_MS: i64 = 1_767_225_600_000;

/// The clock of a run.
#[derive(Debug, Default)]
pub struct VirtualClock {
    now_ms: AtomicI64,
    ahead_ms: AtomicI64,
}

impl VirtualClock {
    /// Moves time to this many milliseconds after the start.
    pub fn set(&self, now_ms: u64) {
        self.now_ms.store(now_ms as i64, Ordering::Relaxed);
    }

    /// Somebody sets the wall clock forward or back.
    pub fn jump(&self, ms: i64) {
        self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn wall_ms(&self) -> i64 {
        START_MS + self.now_ms.load(Ordering::Relaxed) + self.ahead_ms.load(Ordering::Relaxed)
    }

    fn monotonic_ns(&self) -> u64 {
        // Never zero: the store takes that for "not yet".
        (self.now_ms.load(Ordering::Relaxed).unsigned_abs() + 1) * 1_000_000
    }
}
