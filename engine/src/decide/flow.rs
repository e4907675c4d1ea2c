//! The bounds of everything that grows, and the answer when one is reached.
//!
//! Spec: architecture.md §6 (back-pressure), semantics.md §16, §17. Configurable bounds take their
//! defaults from here.

use super::Refusal;
use crate::protocol::response_code::{POLLING_FULL, SERVICE_NOT_AVAILABLE, SYSTEM_BUSY};

const MIB: usize = 1024 * 1024;

/// Answers of one connection that may be pending before it is read no further.
pub const PENDING_ANSWERS_MAX: usize = 4_096;
/// Bytes of such answers.
pub const PENDING_BYTES_MAX: usize = 8 * MIB;
/// A connection must have sent its first frame within this time.
pub const FIRST_FRAME_MS: i64 = 10_000;
/// Records that may wait to be appended.
pub const APPEND_RECORDS_MAX: usize = 10_000;
/// Bytes of such records.
pub const APPEND_BYTES_MAX: usize = 64 * MIB;
/// Records and bytes of one append.
pub const APPEND_GROUP_RECORDS_MAX: usize = 512;
/// Bytes of one append.
pub const APPEND_GROUP_BYTES_MAX: usize = 4 * MIB;
/// A batch of this size appends itself instead of waking the committer.
pub const APPEND_DIRECT_RECORDS: usize = 8;
/// The log counts as busy when one append holds it longer.
pub const LOG_HELD_MS_MAX: i64 = 1_000;
/// Slow requests served at a time.
pub const SLOW_RUNNING_MAX: usize = 8;
/// Slow requests that may wait.
pub const SLOW_WAITING_MAX: usize = 1_024;
/// Polls parked on one queue.
pub const PARKED_PER_KEY_MAX: usize = 1_024;
/// Polls parked in all.
pub const PARKED_MAX: usize = 100_000;
/// Polls woken by one turn.
pub const WAKES_PER_TURN: usize = 64;
/// Bytes of consume queue tails not yet written.
pub const TAIL_BYTES_MAX: usize = 64 * MIB;

/// Whether a connection goes on being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Read on.
    On,
    /// Wait until answers have left.
    Paused,
}

/// Decides from the answers that wait.
#[must_use]
pub fn reading(pending_answers: usize, pending_bytes: usize) -> Reading {
    let full = pending_answers >= PENDING_ANSWERS_MAX || pending_bytes >= PENDING_BYTES_MAX;
    if full { Reading::Paused } else { Reading::On }
}

/// How loaded the log is.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogLoad {
    /// Records that wait.
    pub records: usize,
    /// Their bytes.
    pub bytes: usize,
    /// How long the append in progress has held the log; 0 when idle.
    pub held_ms: i64,
    /// Bytes of consume queue tails not yet written.
    pub tail_bytes: usize,
}

/// Whether the log takes more records.
pub fn append(load: LogLoad) -> Result<(), Refusal> {
    if load.tail_bytes >= TAIL_BYTES_MAX {
        return Err(Refusal::new(SERVICE_NOT_AVAILABLE, "consume queues cannot be written"));
    }
    if load.held_ms > LOG_HELD_MS_MAX {
        let remark = "[PC_SYNCHRONIZED]broker busy, start flow control for a while";
        return Err(Refusal::new(SYSTEM_BUSY, remark));
    }
    if load.records >= APPEND_RECORDS_MAX || load.bytes >= APPEND_BYTES_MAX {
        return Err(overloaded());
    }
    Ok(())
}

/// Whether another slow request may wait.
pub fn slow(waiting: usize) -> Result<(), Refusal> {
    if waiting >= SLOW_WAITING_MAX { Err(overloaded()) } else { Ok(()) }
}

/// Which kind of poll wants to be parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// A pull: told to wait a second, where "nothing new" would bring it back at once.
    Pull,
    /// A pop or notification.
    Pop,
}

/// Whether a poll may be parked.
pub fn park(poll: Poll, on_key: usize, in_all: usize) -> Result<(), Refusal> {
    if on_key < PARKED_PER_KEY_MAX && in_all < PARKED_MAX {
        return Ok(());
    }
    Err(match poll {
        Poll::Pull => overloaded(),
        Poll::Pop => Refusal::new(POLLING_FULL, "too many polls wait"),
    })
}

fn overloaded() -> Refusal {
    Refusal::new(SYSTEM_BUSY, "[OVERLOAD]system busy, start flow control for a while")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_stops_at_either_bound() {
        assert_eq!(reading(4_095, 0), Reading::On);
        assert_eq!(reading(4_096, 0), Reading::Paused);
        assert_eq!(reading(1, 8 * 1024 * 1024), Reading::Paused);
    }

    #[test]
    fn a_full_log_is_busy_and_unwritable_queues_are_unavailable() {
        let code = |load| append(load).map_or_else(|refusal| refusal.code, |()| 0);
        assert_eq!(code(LogLoad::default()), 0);
        assert_eq!(code(LogLoad { records: 10_000, ..LogLoad::default() }), 2);
        assert_eq!(code(LogLoad { bytes: 64 << 20, ..LogLoad::default() }), 2);
        assert_eq!(code(LogLoad { held_ms: 1_000, ..LogLoad::default() }), 0);
        assert_eq!(code(LogLoad { held_ms: 1_001, ..LogLoad::default() }), 2);
        assert_eq!(
            code(LogLoad { tail_bytes: 64 << 20, held_ms: 5_000, ..LogLoad::default() }),
            14
        );
    }

    #[test]
    fn polls_are_bounded_per_queue_and_in_all() {
        let code =
            |poll, key, all| park(poll, key, all).map_or_else(|refusal| refusal.code, |()| 0);
        assert_eq!(code(Poll::Pull, 1_023, 99_999), 0);
        assert_eq!(code(Poll::Pull, 1_024, 2_000), 2);
        assert_eq!(code(Poll::Pop, 0, 100_000), 209);
        assert_eq!(slow(1_024).unwrap_err().code, 2);
    }
}
