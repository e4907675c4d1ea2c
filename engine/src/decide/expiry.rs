//! When a client, a lock or a broker counts as dead.
//!
//! Spec: semantics.md §1, §14, §18. Times are wall milliseconds; a clock set back makes nothing
//! expire early, because only time that has passed counts.

/// A client without heartbeat for longer is gone.
pub const CLIENT_MS: i64 = 120_000;
/// How often clients are looked at.
pub const CLIENT_SCAN_MS: i64 = 10_000;
/// An order lock without renewal for longer is free.
pub const LOCK_MS: i64 = 60_000;
/// A broker without sign of life for longer is gone, unless it named its own time.
pub const BROKER_MS: i64 = 120_000;
/// How often brokers are looked at.
pub const BROKER_SCAN_MS: i64 = 5_000;
/// A connection without traffic in both directions for longer is closed.
pub const IDLE_MS: i64 = 120_000;
/// An SQL filter that nobody subscribes any more is forgotten after this time.
pub const DEAD_FILTER_MS: i64 = 86_400_000;

/// Whether a client is gone.
#[must_use]
pub fn client(last_ms: i64, now_ms: i64) -> bool {
    now_ms.saturating_sub(last_ms) > CLIENT_MS
}

/// Whether a broker is gone. `timeout_ms` is what its registration named.
#[must_use]
pub fn broker(last_ms: i64, timeout_ms: Option<i64>, now_ms: i64) -> bool {
    let timeout_ms = timeout_ms.filter(|timeout| *timeout > 0).unwrap_or(BROKER_MS);
    now_ms.saturating_sub(last_ms) > timeout_ms
}

/// An order lock as it stands.
#[derive(Clone, Copy, Debug)]
pub struct Lock<'a> {
    /// Client id of the holder.
    pub holder: &'a str,
    /// Last time it was taken or renewed.
    pub last_ms: i64,
}

/// Whether a lock is held at all.
#[must_use]
pub fn locked(lock: Lock<'_>, now_ms: i64) -> bool {
    now_ms.saturating_sub(lock.last_ms) <= LOCK_MS
}

/// Whether `client` gets the lock: it is free, has expired, or is its own.
#[must_use]
pub fn may_lock(lock: Option<Lock<'_>>, client: &str, now_ms: i64) -> bool {
    lock.is_none_or(|lock| lock.holder == client || !locked(lock, now_ms))
}

/// Whether `client` may release the lock: only its holder, expired or not.
#[must_use]
pub fn may_unlock(lock: Lock<'_>, client: &str) -> bool {
    lock.holder == client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_and_brokers_live_for_two_minutes() {
        assert!(!client(0, 120_000) && client(0, 120_001));
        assert!(!broker(0, None, 120_000) && broker(0, None, 120_001));
        assert!(broker(0, Some(10_000), 10_001) && !broker(0, Some(10_000), 10_000));
        assert!(!broker(0, Some(0), 10_001));
    }

    #[test]
    fn a_clock_set_back_expires_nothing() {
        assert!(!client(500_000, 1_000) && !broker(500_000, None, 1_000));
    }

    #[test]
    fn a_lock_belongs_to_its_holder_for_a_minute() {
        let lock = Lock { holder: "a", last_ms: 0 };
        assert!(may_lock(None, "b", 0));
        assert!(may_lock(Some(lock), "a", 60_000));
        assert!(!may_lock(Some(lock), "b", 60_000));
        assert!(may_lock(Some(lock), "b", 60_001));
        assert!(may_unlock(lock, "a") && !may_unlock(lock, "b"));
    }
}
