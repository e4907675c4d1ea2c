//! Which queues a member of a consumer group reads.
//!
//! Every member computes it alone from the same sorted lists, so it must agree with Java's result to the
//! queue: mixed groups would read a queue twice or never otherwise. Used by our consumers and by the
//! broker for QUERY_ASSIGNMENT (400). Spec: semantics.md §7.

use std::collections::BTreeSet;

use crate::protocol::body::MessageQueue;

/// How queues are dealt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dealing {
    /// A block of neighbouring queues for each member; the first ones get one more. Java's default.
    #[default]
    Blocks,
    /// One queue after the other, round and round.
    Circle,
}

impl Dealing {
    /// The strategy of this name on the wire.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "AVG" => Some(Self::Blocks),
            "AVG_BY_CIRCLE" => Some(Self::Circle),
            _ => None,
        }
    }

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocks => "AVG",
            Self::Circle => "AVG_BY_CIRCLE",
        }
    }
}

/// The queues of `client`. Order and repetitions in the arguments do not matter; a client that the
/// broker does not list yet gets none.
#[must_use]
pub fn allocate(
    dealing: Dealing,
    client: &str,
    clients: &[String],
    queues: &[MessageQueue],
) -> Vec<MessageQueue> {
    let clients: BTreeSet<&str> = clients.iter().map(String::as_str).collect();
    let queues: Vec<&MessageQueue> = queues.iter().collect::<BTreeSet<_>>().into_iter().collect();
    let Some(at) = clients.iter().position(|other| *other == client) else {
        return Vec::new();
    };
    let (each, more) = (queues.len() / clients.len(), queues.len() % clients.len());
    let mine: Vec<&MessageQueue> = match dealing {
        Dealing::Blocks => {
            let start = at * each + at.min(more);
            let len = each + usize::from(at < more);
            queues.into_iter().skip(start).take(len).collect()
        }
        Dealing::Circle => queues.into_iter().skip(at).step_by(clients.len()).collect(),
    };
    mine.into_iter().cloned().collect()
}

/// What changes for a member whose queues were `old` and now are `new`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// To be read from now on.
    pub gained: Vec<MessageQueue>,
    /// To be given up: commit the position, release the order lock.
    pub lost: Vec<MessageQueue>,
}

/// Compares two allocations.
#[must_use]
pub fn change(old: &BTreeSet<MessageQueue>, new: &[MessageQueue]) -> Change {
    let new: BTreeSet<MessageQueue> = new.iter().cloned().collect();
    Change {
        gained: new.difference(old).cloned().collect(),
        lost: old.difference(&new).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queues(count: i32) -> Vec<MessageQueue> {
        let queue =
            |queue_id| MessageQueue { topic: "t".into(), broker_name: "b".into(), queue_id };
        (0..count).map(queue).collect()
    }

    fn clients(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("c{n:02}")).collect()
    }

    fn ids(dealing: Dealing, client: &str, members: usize, count: i32) -> Vec<i32> {
        let mine = allocate(dealing, client, &clients(members), &queues(count));
        mine.into_iter().map(|queue| queue.queue_id).collect()
    }

    #[test]
    fn blocks_are_those_of_java() {
        let cases: [(usize, i32, &[&[i32]]); 5] = [
            (3, 8, &[&[0, 1, 2], &[3, 4, 5], &[6, 7]]),
            (2, 4, &[&[0, 1], &[2, 3]]),
            (3, 4, &[&[0, 1], &[2], &[3]]),
            (4, 2, &[&[0], &[1], &[], &[]]),
            (1, 0, &[&[]]),
        ];
        for (members, count, want) in cases {
            for (at, want) in want.iter().enumerate() {
                let mine = ids(Dealing::Blocks, &format!("c{at:02}"), members, count);
                assert_eq!(mine, *want, "member {at} of {members}, {count} queues");
            }
        }
    }

    #[test]
    fn a_circle_deals_one_by_one() {
        assert_eq!(ids(Dealing::Circle, "c00", 3, 8), [0, 3, 6]);
        assert_eq!(ids(Dealing::Circle, "c02", 3, 8), [2, 5]);
        assert_eq!(Dealing::from_name("AVG_BY_CIRCLE"), Some(Dealing::Circle));
        assert_eq!(Dealing::from_name(Dealing::Blocks.as_str()), Some(Dealing::Blocks));
    }

    #[test]
    fn an_unlisted_client_gets_nothing() {
        assert!(ids(Dealing::Blocks, "stranger", 3, 8).is_empty());
        assert!(allocate(Dealing::Blocks, "c", &[], &queues(3)).is_empty());
    }

    #[test]
    fn a_change_names_what_came_and_what_went() {
        let all = queues(3);
        let old = BTreeSet::from([all[0].clone(), all[1].clone()]);
        let change = change(&old, &all[1..]);
        assert_eq!((change.gained, change.lost), (vec![all[2].clone()], vec![all[0].clone()]));
    }

    proptest! {
        #[test]
        fn every_queue_has_exactly_one_reader(members in 1_usize..12, count in 0_i32..40) {
            let (members, mut queues) = (clients(members), queues(count));
            for dealing in [Dealing::Blocks, Dealing::Circle] {
                let given: Vec<_> =
                    members.iter().map(|c| allocate(dealing, c, &members, &queues)).collect();
                let sizes = given.iter().map(Vec::len);
                prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
                let mut all: Vec<_> = given.into_iter().flatten().collect();
                all.sort();
                prop_assert_eq!(&all, &queues);
            }
            queues.reverse();
            let first = allocate(Dealing::Blocks, "c00", &members, &queues);
            prop_assert!(first.is_sorted());
        }
    }
}
