//! What becomes of a half message: asked about, kept, given up; and whether its end is accepted.
//!
//! The walk over the half queue, the op log and the questions to producers are the broker's. Spec:
//! semantics.md §13.

use super::Refusal;
use crate::protocol::response_code::{ILLEGAL_OPERATION, SYSTEM_ERROR};

/// `commitOrRollback` of a producer that does not know yet.
pub const UNKNOWN: i32 = 0;

/// What the request 37 decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The message becomes visible.
    Commit,
    /// It never does.
    Rollback,
}

impl Verdict {
    /// The verdict of `commitOrRollback`; `None` for "unknown" and anything else.
    #[must_use]
    pub fn from_wire(value: i32) -> Option<Self> {
        match value {
            8 => Some(Self::Commit),
            12 => Some(Self::Rollback),
            _ => None,
        }
    }
}

/// What is known of the end of a half message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Nobody has ended it.
    Open,
    /// Its end is being stored.
    UnderWay,
    /// It ended, or a newer copy took its place.
    Ended,
}

/// A half message as the check finds it.
#[derive(Clone, Copy, Debug)]
pub struct Half<'a> {
    /// What is known of its end.
    pub fate: Fate,
    /// When the producer made it, ms.
    pub born_ms: i64,
    /// When this copy was stored, ms.
    pub stored_ms: i64,
    /// Property `CHECK_IMMUNITY_TIME_IN_SECONDS`.
    pub immunity: Option<&'a str>,
    /// Property `TRANSACTION_CHECK_TIMES`.
    pub checks: Option<&'a str>,
}

/// The limits of checks.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Age below which nobody is asked, ms (`transactionTimeOut`).
    pub timeout_ms: i64,
    /// Checks after which it is given up (`transactionCheckMax`).
    pub checks_max: u32,
    /// Age at which it is given up whatever its checks, ms (`fileReservedTime`).
    pub reserved_ms: i64,
}

/// What the check does with a half message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing is left to do.
    Done,
    /// It is too young; those behind it are younger still.
    NotYet,
    /// It asked for more time than others: a copy goes to the tail, and those behind it get their turn.
    Defer,
    /// Its producer is asked for the `times`th time.
    Check {
        /// Checks with this one.
        times: u32,
    },
    /// It moves to the topic of those that nobody could decide.
    GiveUp,
}

/// The step for one half message in the round of checks that started at `round_ms`.
#[must_use]
pub fn step(half: &Half<'_>, limits: &Limits, now_ms: i64, round_ms: i64) -> Step {
    match half.fate {
        Fate::Ended => return Step::Done,
        Fate::UnderWay => return Step::NotYet,
        Fate::Open => {}
    }
    // A copy of this round waits for its answer until the next one, the last copy too.
    if half.stored_ms >= round_ms {
        return Step::NotYet;
    }
    let checks = half.checks.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let age_ms = now_ms - half.born_ms;
    if checks >= limits.checks_max || age_ms > limits.reserved_ms {
        return Step::GiveUp;
    }
    let immune_ms = half.immunity.map(|text| immunity_ms(text, limits.timeout_ms));
    // A negative age comes from a producer's clock that is ahead: waiting for it could take forever.
    if (0..immune_ms.unwrap_or(limits.timeout_ms)).contains(&age_ms) {
        let longer = immune_ms.is_some_and(|ms| ms > limits.timeout_ms);
        return if longer && age_ms >= limits.timeout_ms { Step::Defer } else { Step::NotYet };
    }
    Step::Check { times: checks + 1 }
}

/// How long a half message is left alone: what it asks for, but at least what all get.
fn immunity_ms(text: &str, timeout_ms: i64) -> i64 {
    let asked = text.trim().parse::<i64>().unwrap_or(0).saturating_mul(1_000);
    asked.max(timeout_ms)
}

/// The half message that an end names, as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'a> {
    /// Whether it lies in the half topic.
    pub half: bool,
    /// Property `PGROUP`.
    pub group: Option<&'a str>,
    /// Its offset in the half queue.
    pub queue_offset: i64,
    /// Its offset in the log.
    pub log_offset: i64,
    /// When the producer made it, ms.
    pub born_ms: i64,
    /// Property `CHECK_IMMUNITY_TIME_IN_SECONDS`.
    pub immunity: Option<&'a str>,
}

/// What the end says of it.
#[derive(Clone, Copy, Debug)]
pub struct EndFacts<'a> {
    /// Group of the producer.
    pub group: &'a str,
    /// Offset in the half queue.
    pub queue_offset: i64,
    /// Offset in the log.
    pub log_offset: i64,
    /// Whether it answers a check.
    pub from_check: bool,
}

/// Whether an end fits the half message that it names.
///
/// # Errors
/// 604 when the time that the message asked for is over and this is no answer to a check; 1 when
/// they do not fit.
pub fn accept_end(
    end: &EndFacts<'_>,
    prepared: Option<&Prepared<'_>>,
    timeout_ms: i64,
    now_ms: i64,
) -> Result<(), Refusal> {
    let wrong = |remark: &'static str| Err(Refusal::new(SYSTEM_ERROR, remark));
    let Some(prepared) = prepared.filter(|prepared| prepared.half) else {
        return wrong("Find prepared transaction message failed");
    };
    let late = prepared
        .immunity
        .is_some_and(|text| now_ms - prepared.born_ms > immunity_ms(text, timeout_ms));
    if late && !end.from_check {
        let remark = "the time that the message asked for is over, only a check ends it now";
        return Err(Refusal::new(ILLEGAL_OPERATION, remark));
    }
    if prepared.group != Some(end.group) {
        return wrong("The producer group wrong");
    }
    if prepared.queue_offset != end.queue_offset {
        return wrong("The transaction state table offset wrong");
    }
    if prepared.log_offset != end.log_offset {
        return wrong("The commit log offset wrong");
    }
    Ok(())
}

/// The body of an op message: half-queue offsets, each followed by a comma.
pub fn op_body(halves: impl Iterator<Item = u64>, bytes_max: usize) -> (String, usize) {
    let mut body = String::new();
    let mut count = 0;
    for half in halves {
        let entry = format!("{half},");
        if count > 0 && body.len() + entry.len() > bytes_max {
            break;
        }
        body.push_str(&entry);
        count += 1;
    }
    (body, count)
}

/// The half-queue offsets of an op message; older brokers wrote a single one without comma.
pub fn op_halves(body: &[u8]) -> impl Iterator<Item = u64> {
    body.split(|byte| *byte == b',')
        .filter_map(|entry| std::str::from_utf8(entry).ok()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { timeout_ms: 6_000, checks_max: 15, reserved_ms: 72 * 3_600_000 };

    fn half() -> Half<'static> {
        Half { fate: Fate::Open, born_ms: 0, stored_ms: 0, immunity: None, checks: None }
    }

    #[test]
    fn the_age_decides_when_a_producer_is_asked() {
        let at = |now_ms| step(&half(), &LIMITS, now_ms, 1);
        assert_eq!(at(5_999), Step::NotYet);
        assert_eq!(at(6_000), Step::Check { times: 1 });
        assert_eq!(at(72 * 3_600_000), Step::Check { times: 1 });
        assert_eq!(at(72 * 3_600_000 + 1), Step::GiveUp);
        assert_eq!(at(-1), Step::Check { times: 1 }, "a clock ahead must not block the queue");
    }

    #[test]
    fn what_ended_is_done_and_what_is_ending_is_left_alone() {
        let with = |fate| step(&Half { fate, checks: Some("99"), ..half() }, &LIMITS, 1 << 40, 1);
        assert_eq!(with(Fate::Ended), Step::Done);
        assert_eq!(with(Fate::UnderWay), Step::NotYet);
        assert_eq!(with(Fate::Open), Step::GiveUp);
    }

    #[test]
    fn checks_are_counted_up_to_the_limit_and_the_last_one_has_a_round_to_be_answered() {
        let with = |checks, stored_ms| {
            step(&Half { stored_ms, checks, ..half() }, &LIMITS, 100_000, 90_000)
        };
        assert_eq!(with(Some("1"), 0), Step::Check { times: 2 });
        assert_eq!(with(Some("14"), 0), Step::Check { times: 15 });
        assert_eq!(with(Some("15"), 0), Step::GiveUp);
        assert_eq!(with(Some("15"), 90_000), Step::NotYet);
        assert_eq!(with(Some("x"), 0), Step::Check { times: 1 });
    }

    #[test]
    fn a_message_that_asked_for_more_time_lets_others_pass() {
        let with = |immunity, now_ms| {
            step(&Half { immunity: Some(immunity), ..half() }, &LIMITS, now_ms, 1)
        };
        assert_eq!(with("60", 5_999), Step::NotYet);
        assert_eq!(with("60", 6_000), Step::Defer);
        assert_eq!(with("60", 59_999), Step::Defer);
        assert_eq!(with("60", 60_000), Step::Check { times: 1 });
        assert_eq!(with("1", 5_999), Step::NotYet, "never less than all others get");
        assert_eq!(with("1", 6_000), Step::Check { times: 1 });
        assert_eq!(with("9223372036854775807", 60_000), Step::Defer);
    }

    #[test]
    fn an_end_has_to_fit_its_half_message() {
        let end = EndFacts { group: "g", queue_offset: 3, log_offset: 900, from_check: false };
        let prepared = Prepared {
            half: true,
            group: Some("g"),
            queue_offset: 3,
            log_offset: 900,
            born_ms: 0,
            immunity: None,
        };
        let code = |end: &EndFacts<'_>, prepared: Option<&Prepared<'_>>| {
            accept_end(end, prepared, 6_000, 20_000).err().map_or(0, |refusal| refusal.code)
        };
        assert_eq!(code(&end, Some(&prepared)), 0);
        assert_eq!(code(&end, None), 1);
        assert_eq!(code(&end, Some(&Prepared { half: false, ..prepared })), 1);
        assert_eq!(code(&end, Some(&Prepared { group: None, ..prepared })), 1);
        assert_eq!(code(&EndFacts { group: "other", ..end }, Some(&prepared)), 1);
        assert_eq!(code(&EndFacts { queue_offset: 4, ..end }, Some(&prepared)), 1);
        assert_eq!(code(&EndFacts { log_offset: 901, ..end }, Some(&prepared)), 1);
        let immune = Prepared { immunity: Some("10"), ..prepared };
        assert_eq!(code(&end, Some(&immune)), 604);
        assert_eq!(code(&EndFacts { from_check: true, ..end }, Some(&immune)), 0);
        assert_eq!(code(&end, Some(&Prepared { immunity: Some("30"), ..prepared })), 0);
    }

    #[test]
    fn op_messages_hold_what_fits_and_are_read_back() {
        assert_eq!(op_body([7, 8].into_iter(), 4_096), ("7,8,".into(), 2));
        assert_eq!(op_body([100, 200, 300].into_iter(), 8), ("100,200,".into(), 2));
        assert_eq!(op_body([123_456].into_iter(), 2), ("123456,".into(), 1), "never none");
        assert_eq!(op_halves(b"7,8,").collect::<Vec<_>>(), [7, 8]);
        assert_eq!(op_halves(b"12").collect::<Vec<_>>(), [12]);
        assert_eq!(op_halves(b",x,\xFF,5,").collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn unknown_is_no_verdict() {
        assert_eq!(Verdict::from_wire(8), Some(Verdict::Commit));
        assert_eq!(Verdict::from_wire(12), Some(Verdict::Rollback));
        assert_eq!(Verdict::from_wire(UNKNOWN), None);
        assert_eq!(Verdict::from_wire(4), None);
    }
}
