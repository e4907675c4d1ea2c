//! Where on the wheel a timer message waits, when a second is over, and what may be recalled.
//!
//! The files of the wheel are `store::TimerWheel`'s business, the delivery is a task of the broker.
//! Spec: semantics.md §10, store.md §10.

use super::Refusal;
use super::delay::TIMER_PRECISION_MS;
use crate::protocol::recall_handle::RecallHandle;
use crate::protocol::response_code::{
    ILLEGAL_OPERATION, NO_PERMISSION, SERVICE_NOT_AVAILABLE, TOPIC_NOT_EXIST,
};

/// Seconds that half of the wheel spans.
pub const WHEEL_SECONDS: i64 = 7 * 86_400;
/// How far ahead a message may lie on the wheel, ms; one further ahead gets there in stages.
pub const WINDOW_MS: i64 = 172_800_000;
/// A broker that was down for longer than this gives up what was due before, ms.
pub const BEHIND_MS_MAX: i64 = (WHEEL_SECONDS - 60) * TIMER_PRECISION_MS;

/// The whole second that a time lies in, ms.
#[must_use]
pub fn second_of(ms: i64) -> i64 {
    ms - ms.rem_euclid(TIMER_PRECISION_MS)
}

/// A place on the wheel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The second, ms.
    pub due_ms: i64,
    /// It is a stage only: the message then goes back to the timer topic.
    pub roll: bool,
}

/// Where a message with `TIMER_OUT_MS` waits, when it is read at `now_ms` and `next_ms` is the next
/// second to be delivered. One that is late goes there.
#[must_use]
pub fn place(out_ms: i64, now_ms: i64, next_ms: i64) -> Place {
    let write_ms = second_of(now_ms);
    let excess = out_ms.saturating_sub(write_ms.saturating_add(WINDOW_MS));
    if excess >= 0 {
        let stage = if excess < WINDOW_MS / 3 { WINDOW_MS / 2 } else { WINDOW_MS };
        return Place { due_ms: (write_ms + stage).max(next_ms), roll: true };
    }
    Place { due_ms: second_of(out_ms).max(next_ms), roll: false }
}

/// Whether a second of the wheel may be delivered: its messages ask for a time up to its end.
#[must_use]
pub fn is_over(due_ms: i64, now_ms: i64) -> bool {
    due_ms.saturating_add(TIMER_PRECISION_MS) <= now_ms
}

/// The key under which a message is removed from the wheel.
#[must_use]
pub fn delete_key(topic: &str, unique_key: &str) -> String {
    format!("{topic}+{unique_key}")
}

/// What is known of a request to recall.
#[derive(Clone, Copy, Debug)]
pub struct RecallFacts<'a> {
    /// Recalls are allowed (`recallMessageEnable`).
    pub enabled: bool,
    /// Timer messages are.
    pub timer_enabled: bool,
    /// Topic of the request.
    pub topic: &'a str,
    /// It exists.
    pub topic_known: bool,
    /// Handle of the request.
    pub handle: &'a str,
    /// Name of this broker.
    pub broker_name: &'a str,
    /// Now.
    pub now_ms: i64,
    /// Furthest that a timer message may lie ahead.
    pub ahead_ms_max: i64,
}

/// The message that a request recalls, and the time in its handle.
///
/// # Errors
/// Why it is not recalled.
pub fn recall(facts: &RecallFacts<'_>) -> Result<(RecallHandle, i64), Refusal> {
    if !facts.enabled {
        return Err(Refusal::new(NO_PERMISSION, "recall failed, operation is forbidden"));
    }
    if !facts.timer_enabled {
        let remark = "recall failed, timerWheelEnable is false";
        return Err(Refusal::new(SERVICE_NOT_AVAILABLE, remark));
    }
    let illegal = |remark: &'static str| Refusal::new(ILLEGAL_OPERATION, remark);
    if !facts.topic_known {
        let remark = format!("recall failed, the topic[{}] not exist", facts.topic);
        return Err(Refusal::new(TOPIC_NOT_EXIST, remark));
    }
    let handle =
        RecallHandle::decode(facts.handle).ok_or_else(|| illegal("recall handle is invalid"))?;
    if handle.topic != facts.topic {
        return Err(illegal("recall failed, topic not match"));
    }
    if handle.broker_name != facts.broker_name {
        return Err(illegal("recall failed, broker service not available"));
    }
    let deliver_ms: Option<i64> = handle.deliver_ms.parse().ok();
    match deliver_ms {
        Some(at) if at > facts.now_ms && at - facts.now_ms < facts.ahead_ms_max => Ok((handle, at)),
        _ => Err(illegal("recall failed, timestamp invalid")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn a_message_within_the_window_waits_at_its_second() {
        let at = |out| place(NOW + out, NOW + 300, NOW);
        assert_eq!(at(5_000), Place { due_ms: NOW + 5_000, roll: false });
        let last = WINDOW_MS - 1_000;
        assert_eq!(at(last), Place { due_ms: NOW + last, roll: false });
    }

    #[test]
    fn a_late_message_waits_at_the_next_second_to_be_delivered() {
        assert_eq!(place(NOW - 9_000, NOW, NOW), Place { due_ms: NOW, roll: false });
        let behind = NOW - 3_600_000;
        assert_eq!(place(NOW - 9_000, NOW, behind).due_ms, NOW - 9_000);
    }

    #[test]
    fn a_message_beyond_the_window_gets_there_in_stages() {
        // Distances in seconds → stage, as the Apache broker places them.
        for (ahead, stage) in [
            (210_000, 86_400),
            (250_000, 172_800),
            (172_800, 86_400),
            (230_399, 86_400),
            (230_400, 172_800),
        ] {
            let place = place(NOW + ahead * 1_000, NOW, NOW);
            assert_eq!(place, Place { due_ms: NOW + stage * 1_000, roll: true }, "{ahead}");
        }
        assert!(place(i64::MAX, NOW, NOW).roll);
    }

    #[test]
    fn a_second_is_delivered_when_it_is_over() {
        assert!(!is_over(NOW, NOW + 999));
        assert!(is_over(NOW, NOW + 1_000));
        assert_eq!(second_of(NOW + 999), NOW);
    }

    #[test]
    fn each_reason_not_to_recall_has_its_code() {
        let handle = RecallHandle::encode("t", "b", NOW + 1_001, "K");
        let good = RecallFacts {
            enabled: true,
            timer_enabled: true,
            topic: "t",
            topic_known: true,
            handle: &handle,
            broker_name: "b",
            now_ms: NOW,
            ahead_ms_max: 10_000,
        };
        let code = |facts: RecallFacts<'_>| recall(&facts).map_err(|refusal| refusal.code);
        assert_eq!(code(good).unwrap().1, NOW + 1_001);
        assert_eq!(code(RecallFacts { enabled: false, ..good }), Err(16));
        assert_eq!(code(RecallFacts { timer_enabled: false, ..good }), Err(14));
        assert_eq!(code(RecallFacts { topic_known: false, ..good }), Err(17));
        for bad in [
            RecallFacts { handle: "x", ..good },
            RecallFacts { topic: "u", ..good },
            RecallFacts { broker_name: "c", ..good },
            RecallFacts { now_ms: NOW + 1_001, ..good },
            RecallFacts { ahead_ms_max: 1_001, ..good },
        ] {
            assert_eq!(code(bad), Err(604));
        }
    }
}
