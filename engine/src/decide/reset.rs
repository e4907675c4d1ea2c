//! Where a group's position goes when it is reset, queue by queue, and what that means.
//!
//! The console previews with it, the broker resets with it, so that both agree. Spec: semantics.md §12,
//! admin.md §5 e.

use std::collections::BTreeMap;

use super::Refusal;
use super::pull_status::Extent;
use crate::protocol::response_code::SYSTEM_ERROR;

/// Where a reset shall go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To the first message stored at a time or later.
    Time {
        /// The time in ms.
        at_ms: i64,
        /// What a LOWER search by this time found.
        found: i64,
        /// Store time of the first message kept, if known.
        first_kept_ms: Option<i64>,
    },
    /// To this offset.
    Offset(i64),
    /// To the first message kept.
    First,
    /// To the end: nothing is delivered again, what waits is skipped.
    End,
}

/// Anything a person should know about a queue of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Messages before the target were wanted too, but are deleted.
    OlderDeleted,
    /// Nothing was stored at that time or later, or the offset lies beyond: the target is the end.
    AfterEnd,
    /// The group has no position here yet: nothing can be said of again and skipped.
    NeverCommitted,
    /// The position lies beyond the end: the log was lost or reset.
    CommittedBeyondEnd,
}

/// One queue of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Committed now, if known.
    pub now: Option<i64>,
    /// Where it goes, within the queue.
    pub target: i64,
    /// Messages that will be delivered again; `None` when unknown.
    pub again: Option<i64>,
    /// Messages that will be passed over; `None` when unknown.
    pub skipped: Option<i64>,
    /// What else is to be said.
    pub note: Option<Note>,
}

/// Plans one queue.
#[must_use]
pub fn plan(ask: Ask, queue: Extent, committed: Option<i64>) -> Row {
    let Extent { min, max } = queue;
    let wanted = match ask {
        Ask::Time { found, .. } => found,
        Ask::Offset(offset) => offset,
        Ask::First => min,
        Ask::End => max,
    };
    let target = wanted.clamp(min, max.max(min));
    let known = committed.filter(|now| (0..=max).contains(now));
    // What was deleted before it was read cannot come again nor be skipped.
    let from = known.map(|now| now.max(min));
    Row {
        now: committed,
        target,
        again: from.map(|from| (from - target).max(0)),
        skipped: from.map(|from| (target - from).max(0)),
        note: note(ask, queue, committed),
    }
}

fn note(ask: Ask, queue: Extent, committed: Option<i64>) -> Option<Note> {
    let Extent { min, max } = queue;
    match committed {
        None => return Some(Note::NeverCommitted),
        Some(now) if now > max => return Some(Note::CommittedBeyondEnd),
        Some(_) => {}
    }
    match ask {
        Ask::Time { at_ms, first_kept_ms: Some(first), .. } if min > 0 && at_ms < first => {
            Some(Note::OlderDeleted)
        }
        Ask::Time { found, .. } if found >= max => Some(Note::AfterEnd),
        Ask::Offset(offset) if offset < min => Some(Note::OlderDeleted),
        Ask::Offset(offset) if offset > max => Some(Note::AfterEnd),
        _ => None,
    }
}

/// Sums of a plan; unknown queues are counted apart, so that a sum can say "at least".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Messages that will be delivered again.
    pub again: i64,
    /// Messages that will be passed over.
    pub skipped: i64,
    /// Queues about which nothing can be said.
    pub unknown: usize,
}

/// Adds a plan up.
#[must_use]
pub fn total(rows: &[Row]) -> Total {
    rows.iter().fold(Total::default(), |sum, row| match (row.again, row.skipped) {
        (Some(again), Some(skipped)) => Total {
            again: sum.again.saturating_add(again),
            skipped: sum.skipped.saturating_add(skipped),
            ..sum
        },
        _ => Total { unknown: sum.unknown + 1, ..sum },
    })
}

/// The broker's check of a request that names queue and offset.
pub fn check_offset(offset: i64, queue: Extent) -> Result<i64, Refusal> {
    let Extent { min, max } = queue;
    if offset < min || offset > max.saturating_add(1) {
        let remark = format!("Target offset {offset} not in consume queue range [{min}-{max}]");
        return Err(Refusal::new(SYSTEM_ERROR, remark));
    }
    // One past the end is allowed by the protocol, but a position never lies beyond the end here.
    Ok(offset.min(max))
}

/// What undoing a reset of one queue would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// Put the old offset back: the group goes on where it was before the reset.
    Back(i64),
    /// The group has passed its old position, or the reset was a skip: going back would replay.
    Passed,
    /// Somebody else moved it since.
    Moved,
}

/// Decides an undo: only while target ≤ committed < old, so that it never delivers anything again.
#[must_use]
pub fn undo(target: i64, committed: i64, old: i64) -> Undo {
    if committed < target {
        Undo::Moved
    } else if committed < old {
        Undo::Back(old)
    } else {
        Undo::Passed
    }
}

/// Where a queue goes that members reset themselves: forward only if that is forced.
#[must_use]
pub fn pushed(stored: i64, found: i64, force: bool) -> i64 {
    let found = found.max(0);
    if force { found } else { found.min(stored) }
}

/// Where a group is ahead of the others: the least offset of `others` by queue, the largest number
/// where `compared` lies before it. Offsets below the first message (`first`) are too old to count.
#[must_use]
pub fn corrections(
    others: &[BTreeMap<i32, i64>],
    compared: &BTreeMap<i32, i64>,
    first: impl Fn(i32) -> i64,
) -> BTreeMap<i32, i64> {
    let mut least = BTreeMap::new();
    for (queue, offset) in others.iter().flatten() {
        if *offset >= first(*queue) {
            least
                .entry(*queue)
                .and_modify(|known: &mut i64| *known = (*known).min(*offset))
                .or_insert(*offset);
        }
    }
    for (queue, offset) in compared {
        if let Some(known) = least.get_mut(queue)
            && *known > *offset
        {
            *known = i64::MAX;
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: Extent = Extent { min: 10, max: 100 };

    fn by_time(at_ms: i64, found: i64) -> Ask {
        Ask::Time { at_ms, found, first_kept_ms: Some(1_000) }
    }

    #[test]
    fn a_plan_tells_again_and_skipped() {
        let row = plan(by_time(2_000, 40), QUEUE, Some(70));
        assert_eq!((row.target, row.again, row.skipped, row.note), (40, Some(30), Some(0), None));
        let row = plan(Ask::End, QUEUE, Some(70));
        assert_eq!((row.target, row.again, row.skipped, row.note), (100, Some(0), Some(30), None));
        let row = plan(Ask::First, QUEUE, Some(70));
        assert_eq!((row.target, row.again), (10, Some(60)));
    }

    #[test]
    fn targets_stay_inside_the_queue_and_say_why() {
        let rows = [
            (by_time(500, 10), 10, Some(Note::OlderDeleted)),
            (by_time(9_000, 100), 100, Some(Note::AfterEnd)),
            (Ask::Offset(3), 10, Some(Note::OlderDeleted)),
            (Ask::Offset(101), 100, Some(Note::AfterEnd)),
            (Ask::Offset(100), 100, None),
        ];
        for (ask, target, note) in rows {
            let row = plan(ask, QUEUE, Some(50));
            assert_eq!((row.target, row.note), (target, note), "{ask:?}");
        }
    }

    #[test]
    fn deleted_messages_are_neither_again_nor_skipped() {
        let row = plan(Ask::End, QUEUE, Some(0));
        assert_eq!((row.again, row.skipped), (Some(0), Some(90)));
    }

    #[test]
    fn unknown_positions_make_unknown_rows_and_counted_sums() {
        let never = plan(Ask::First, QUEUE, None);
        assert_eq!((never.again, never.note), (None, Some(Note::NeverCommitted)));
        let beyond = plan(Ask::First, QUEUE, Some(101));
        assert_eq!((beyond.again, beyond.note), (None, Some(Note::CommittedBeyondEnd)));
        let sum = total(&[never, beyond, plan(Ask::First, QUEUE, Some(30))]);
        assert_eq!(sum, Total { again: 20, skipped: 0, unknown: 2 });
    }

    #[test]
    fn the_broker_refuses_offsets_outside_its_queue() {
        let refusal = check_offset(99, Extent { min: 0, max: 14 }).unwrap_err();
        assert_eq!(refusal.code, 1);
        assert_eq!(refusal.remark, "Target offset 99 not in consume queue range [0-14]");
        assert_eq!(check_offset(14, Extent { min: 0, max: 14 }), Ok(14));
        assert_eq!(check_offset(15, Extent { min: 0, max: 14 }), Ok(14));
        assert!(check_offset(-1, Extent { min: 0, max: 14 }).is_err());
    }

    #[test]
    fn an_undo_never_replays_and_never_fights_somebody_else() {
        assert_eq!(undo(40, 40, 70), Undo::Back(70));
        assert_eq!(undo(40, 69, 70), Undo::Back(70));
        assert_eq!(undo(40, 70, 70), Undo::Passed);
        assert_eq!(undo(40, 39, 70), Undo::Moved);
        assert_eq!(undo(100, 100, 70), Undo::Passed);
        assert_eq!(undo(100, 110, 70), Undo::Passed);
    }

    #[test]
    fn corrections_are_the_least_of_the_others_unless_they_are_ahead() {
        let of = |pairs: &[(i32, i64)]| pairs.iter().copied().collect::<BTreeMap<_, _>>();
        let others = [of(&[(0, 7), (1, 9), (2, 1)]), of(&[(0, 5), (3, 4)])];
        let got = corrections(&others, &of(&[(0, 5), (1, 8), (9, 1)]), |_| 2);
        assert_eq!(got, of(&[(0, 5), (1, i64::MAX), (3, 4)]));
    }

    #[test]
    fn a_pushed_reset_goes_forward_only_if_forced() {
        assert_eq!((pushed(5, 9, true), pushed(5, 9, false)), (9, 5));
        assert_eq!((pushed(5, 2, true), pushed(5, 2, false)), (2, 2));
        assert_eq!(pushed(5, -1, true), 0);
    }
}
