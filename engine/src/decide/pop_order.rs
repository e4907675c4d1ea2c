//! POP in order: one batch per queue is out at a time, and when the next one may go (semantics.md §16).

use crate::decide::pop::{Origin, push_entry};
use crate::protocol::body::pop::OrderBlock;

/// Blocks that nobody used for this long are dropped, ms.
pub const UNUSED_MS: i64 = 24 * 3_600_000;
/// Bits of a block.
const BITS: usize = 64;

/// What an acknowledgement of an ordered message means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acked {
    /// The message is not in the batch: 13.
    Unknown,
    /// It belongs to another round: nothing happens.
    OtherRound,
    /// The group's next offset.
    Next(i64),
}

/// The block of a batch that is handed out now, after the one before on the same queue.
#[must_use]
pub fn handed_out(
    before: Option<&OrderBlock>,
    attempt_id: Option<&str>,
    pop_ms: i64,
    invisible_ms: i64,
    offsets: &[i64],
) -> OrderBlock {
    let first = offsets.first().copied().unwrap_or_default();
    let distances =
        offsets.iter().enumerate().map(|(n, offset)| if n == 0 { first } else { offset - first });
    let mut block = OrderBlock {
        attempt_id: attempt_id.map(str::to_owned),
        invisible_ms,
        last_ms: pop_ms,
        distances: distances.collect(),
        pop_ms,
        ..OrderBlock::default()
    };
    if let Some(before) = before {
        block.counts = counts(before, &block, offsets);
    }
    block
}

/// Each message that was in the batch before was tried once more, unless the same attempt asks again.
fn counts(
    before: &OrderBlock,
    block: &OrderBlock,
    offsets: &[i64],
) -> std::collections::BTreeMap<i64, i32> {
    if before.attempt_id.is_some() && before.attempt_id == block.attempt_id {
        return before.counts.clone();
    }
    let was_out: Vec<i64> = self::offsets(before).collect();
    let again = offsets.iter().filter(|offset| was_out.contains(offset));
    again.map(|offset| (*offset, before.counts.get(offset).unwrap_or(&0) + 1)).collect()
}

fn offsets(block: &OrderBlock) -> impl Iterator<Item = i64> + '_ {
    let first = block.distances.first().copied().unwrap_or_default();
    let rest = block.distances.iter().skip(1).map(move |distance| first + distance);
    block.distances.first().copied().into_iter().chain(rest).take(BITS)
}

fn is_acked(block: &OrderBlock, at: usize) -> bool {
    block.acked >> at & 1 == 1
}

fn visible_ms(block: &OrderBlock, offset: i64) -> i64 {
    let unchanged = block.pop_ms.saturating_add(block.invisible_ms);
    block.visible_ms.get(&offset).copied().unwrap_or(unchanged)
}

/// Until when the queue is blocked, ms; none when it is free for this attempt.
#[must_use]
pub fn blocked_until(block: &OrderBlock, attempt_id: Option<&str>, now_ms: i64) -> Option<i64> {
    if block.attempt_id.is_some() && block.attempt_id.as_deref() == attempt_id {
        return None;
    }
    let open = offsets(block).enumerate().filter(|(at, _)| !is_acked(block, *at));
    open.map(|(_, offset)| visible_ms(block, offset)).filter(|until| now_ms < *until).max()
}

/// Takes an acknowledgement.
pub fn ack(block: &mut OrderBlock, offset: i64, pop_ms: i64) -> Acked {
    if block.distances.is_empty() {
        return Acked::Unknown;
    }
    if block.pop_ms != pop_ms {
        return Acked::OtherRound;
    }
    let Some(at) = offsets(block).position(|known| known == offset) else { return Acked::Unknown };
    block.acked |= 1 << at;
    let last = offsets(block).last().unwrap_or(offset);
    let open = offsets(block).enumerate().find(|(at, _)| !is_acked(block, *at));
    Acked::Next(open.map_or(last + 1, |(_, offset)| offset))
}

/// Moves the time at which one message is visible again; `false` when it is of another round.
pub fn change(block: &mut OrderBlock, offset: i64, pop_ms: i64, until_ms: i64) -> bool {
    let known = block.pop_ms == pop_ms && offsets(block).any(|known| known == offset);
    if known {
        block.visible_ms.insert(offset, until_ms);
    }
    known
}

/// Adds how often the messages of a batch were consumed before.
pub fn push_counts(text: &mut String, origin: Origin, queue_id: i32, block: &OrderBlock) {
    let flag = origin.flag();
    for (offset, times) in &block.counts {
        push_entry(text, format_args!("{flag} qo{queue_id}%{offset} {times}"));
    }
    let all = block.counts.len() == block.distances.len();
    let least = block.counts.values().min().filter(|_| all).unwrap_or(&0);
    push_entry(text, format_args!("{flag} {queue_id} {least}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_000_000;

    fn out(before: Option<&OrderBlock>, attempt: Option<&str>, offsets: &[i64]) -> OrderBlock {
        handed_out(before, attempt, T, 10_000, offsets)
    }

    #[test]
    fn a_queue_is_blocked_until_acknowledged_or_over() {
        let mut block = out(None, Some("a"), &[4, 6, 7]);
        assert_eq!(block.distances, [4, 2, 3]);
        assert_eq!(blocked_until(&block, None, T), Some(T + 10_000));
        assert_eq!(blocked_until(&block, Some("b"), T), Some(T + 10_000));
        assert_eq!(blocked_until(&block, Some("a"), T), None, "the same attempt gets it again");
        assert_eq!(blocked_until(&block, None, T + 10_000), None);
        // The offset moves over what is acknowledged without a gap.
        for (offset, pop_ms, acked) in [
            (6, T, Acked::Next(4)),
            (5, T, Acked::Unknown),
            (4, T + 1, Acked::OtherRound),
            (4, T, Acked::Next(7)),
            (4, T, Acked::Next(7)),
            (7, T, Acked::Next(8)),
        ] {
            assert_eq!(ack(&mut block, offset, pop_ms), acked, "{offset} {pop_ms}");
        }
        assert_eq!(blocked_until(&block, None, T), None);
        assert_eq!(ack(&mut OrderBlock::default(), 1, T), Acked::Unknown);
    }

    #[test]
    fn a_changed_time_moves_the_block() {
        let mut block = out(None, None, &[4]);
        assert!(!change(&mut block, 4, T + 1, T + 20_000) && !change(&mut block, 5, T, 0));
        assert!(change(&mut block, 4, T, T + 20_000));
        assert_eq!(blocked_until(&block, None, T + 15_000), Some(T + 20_000));
    }

    #[test]
    fn tries_are_counted_from_round_to_round() {
        let first = out(None, Some("a"), &[4, 5]);
        let mut text = String::new();
        push_counts(&mut text, Origin::Normal, 3, &first);
        assert_eq!(text, "0 3 0");
        let second = out(Some(&first), Some("b"), &[4, 5]);
        let third = out(Some(&second), None, &[5, 6]);
        let mut text = String::new();
        push_counts(&mut text, Origin::Normal, 3, &second);
        push_counts(&mut text, Origin::Normal, 3, &third);
        assert_eq!(text, "0 qo3%4 1;0 qo3%5 1;0 3 1;0 qo3%5 2;0 3 0");
        let same = out(Some(&second), Some("b"), &[4, 5]);
        assert_eq!(same.counts, second.counts);
    }
}
