//! How far a group is behind, from offsets.
//!
//! Nothing is invented: what offsets cannot tell is `None`, and sums say of how many queues. Spec:
//! admin.md §5 a, b.

/// Offsets of one queue and a group on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// First offset kept.
    pub min: i64,
    /// Next offset to be written.
    pub max: i64,
    /// Next offset to be consumed; `None` when nothing is stored.
    pub committed: Option<i64>,
    /// Next offset to be pulled, as the broker remembers it.
    pub pulled: Option<i64>,
}

/// What the offsets of one queue tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLag {
    /// Entries not passed yet, deleted ones included; `None` without a position, or with one beyond the end.
    pub lag: Option<i64>,
    /// Of these, what is still there to be read.
    pub unread: Option<i64>,
    /// Of these, what was deleted before it was read.
    pub lost: Option<i64>,
    /// Handed out and not yet committed; `None` when the broker does not remember a pull.
    pub in_flight: Option<i64>,
    /// Still there and not handed out.
    pub ready: Option<i64>,
}

/// Derives the figures of one queue.
#[must_use]
pub fn queue(offsets: Offsets) -> QueueLag {
    let Offsets { min, max, committed, pulled } = offsets;
    let Some(committed) = committed.filter(|committed| (0..=max).contains(committed)) else {
        return QueueLag::default();
    };
    let unread = max - committed.max(min).min(max);
    let in_flight = pulled.map(|pulled| (pulled.min(max) - committed).max(0));
    QueueLag {
        lag: Some(max - committed),
        unread: Some(unread),
        lost: Some((min - committed).max(0)),
        in_flight,
        ready: Some((unread - in_flight.unwrap_or(0)).max(0)),
    }
}

/// A sum over queues, with the number of queues that could not be added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Sum over the known queues.
    pub known: i64,
    /// Queues without a value: the sum is "at least" when there are any.
    pub unknown: usize,
}

impl Sum {
    /// The exact value, if every queue is known.
    #[must_use]
    pub fn exact(self) -> Option<i64> {
        (self.unknown == 0).then_some(self.known)
    }
}

impl FromIterator<Option<i64>> for Sum {
    fn from_iter<I: IntoIterator<Item = Option<i64>>>(values: I) -> Self {
        values.into_iter().fold(Self::default(), |sum, value| match value {
            Some(value) => Self { known: sum.known.saturating_add(value), ..sum },
            None => Self { unknown: sum.unknown + 1, ..sum },
        })
    }
}

/// Messages that wait at one delay level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// So many.
    Exactly(i64),
    /// At most so many: the broker did not say what it has delivered, so the whole queue counts.
    AtMost(i64),
}

/// Reads the two numbers of `scheduleMessageOffset_<level>`: delivered and end.
#[must_use]
pub fn parse_level(text: &str) -> Option<(i64, i64)> {
    let (delivered, max) = text.split_once(',')?;
    Some((delivered.trim().parse().ok()?, max.trim().parse().ok()?))
}

/// How many wait at a level of which `min..max` is stored.
#[must_use]
pub fn waiting(delivered: Option<i64>, min: i64, max: i64) -> Waiting {
    match delivered {
        Some(delivered) => Waiting::Exactly((max - delivered.max(min)).max(0)),
        None => Waiting::AtMost((max - min).max(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(min: i64, max: i64, committed: Option<i64>, pulled: Option<i64>) -> QueueLag {
        queue(Offsets { min, max, committed, pulled })
    }

    #[test]
    fn lag_is_split_into_what_is_out_and_what_is_ready() {
        let lag = of(0, 100, Some(60), Some(75));
        assert_eq!(lag.lag, Some(40));
        assert_eq!((lag.in_flight, lag.ready, lag.lost), (Some(15), Some(25), Some(0)));
    }

    #[test]
    fn deleted_unread_messages_are_lost_not_unread() {
        let lag = of(80, 100, Some(60), None);
        assert_eq!((lag.lag, lag.unread, lag.lost), (Some(40), Some(20), Some(20)));
        assert_eq!((lag.in_flight, lag.ready), (None, Some(20)));
    }

    #[test]
    fn no_position_and_a_position_beyond_the_end_are_unknown_not_zero() {
        assert_eq!(of(0, 100, None, Some(5)), QueueLag::default());
        assert_eq!(of(0, 100, Some(101), None), QueueLag::default());
        assert_eq!(of(0, 100, Some(-1), None), QueueLag::default());
        assert_eq!(of(0, 100, Some(100), None).lag, Some(0));
    }

    #[test]
    fn a_pull_behind_the_commit_is_nothing_in_flight() {
        assert_eq!(of(0, 100, Some(60), Some(50)).in_flight, Some(0));
        assert_eq!(of(0, 100, Some(60), Some(900)).in_flight, Some(40));
    }

    #[test]
    fn sums_count_what_they_could_not_add() {
        let sum: Sum = [Some(3), None, Some(4)].into_iter().collect();
        assert_eq!((sum, sum.exact()), (Sum { known: 7, unknown: 1 }, None));
        assert_eq!([Some(3)].into_iter().collect::<Sum>().exact(), Some(3));
    }

    #[test]
    fn a_level_without_a_delivered_offset_is_bounded_only() {
        assert_eq!(parse_level("2,5"), Some((2, 5)));
        assert_eq!(parse_level("2"), None);
        assert_eq!(waiting(Some(2), 0, 5), Waiting::Exactly(3));
        assert_eq!(waiting(Some(2), 4, 5), Waiting::Exactly(1));
        assert_eq!(waiting(None, 1, 5), Waiting::AtMost(4));
    }
}
