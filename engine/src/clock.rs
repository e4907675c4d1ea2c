//! The only door to the time of day.
//!
//! Everything below the shell takes `now` as an argument or asks a [`Clock`], so that tests and the
//! simulator run in virtual time.

/// Wall time in milliseconds since 1970 and a monotonic reading in nanoseconds.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01 UTC. May go back when somebody sets the clock.
    fn wall_ms(&self) -> i64;
    /// Nanoseconds since an arbitrary start. Never goes back.
    fn monotonic_ns(&self) -> u64;
}

/// The clock of the machine.
#[derive(Debug)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic reading starts at zero now.
    #[allow(clippy::disallowed_methods)] // this file is the one home of the clock
    pub fn new() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // this file is the one home of the clock
    fn wall_ms(&self) -> i64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_millis() as i64)
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until it is moved: for tests and the simulator.
#[derive(Debug, Default)]
pub struct ManualClock {
    ms: std::sync::atomic::AtomicI64,
}

impl ManualClock {
    /// A clock that reads `ms` since 1970.
    pub fn at(ms: i64) -> Self {
        Self { ms: std::sync::atomic::AtomicI64::new(ms) }
    }

    /// Sets the wall time.
    pub fn set(&self, ms: i64) {
        self.ms.store(ms, std::sync::atomic::Ordering::SeqCst);
    }

    /// Moves the wall time forward.
    pub fn advance(&self, ms: i64) {
        self.ms.fetch_add(ms, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall_ms(&self) -> i64 {
        self.ms.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.wall_ms()).unwrap_or(0).saturating_mul(1_000_000)
    }
}
