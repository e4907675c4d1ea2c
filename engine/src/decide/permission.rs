//! What permissions of brokers make of those of their topics, and how the name server changes them.
//!
//! The bits themselves are `protocol::perm`; rights of users are access control. Spec: semantics.md §1.

use crate::protocol::perm::Perm;

/// What a broker registers for a topic: its own permission narrows the topic's unless it is full.
#[must_use]
pub fn registered(topic: Perm, broker: Perm) -> Perm {
    let full = broker.readable() && broker.writeable();
    if full { topic } else { Perm(topic.0 & broker.0) }
}

/// What a topic keeps when writing is wiped in the route.
#[must_use]
pub fn without_write(perm: Perm) -> Perm {
    perm.without(Perm::WRITE)
}

/// What a topic gets when writing is given back in the route: exactly read and write, whatever it had.
#[must_use]
pub fn with_write() -> Perm {
    Perm::READ_WRITE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drained_broker_registers_its_topics_read_only() {
        let registered = |topic, broker| registered(Perm(topic), Perm(broker));
        assert_eq!(registered(7, 6), Perm(7));
        assert_eq!(registered(6, 4), Perm(4));
        assert_eq!(registered(6, 2), Perm(2));
    }

    #[test]
    fn wiping_takes_the_write_bit_only_and_giving_back_sets_six() {
        assert_eq!([6, 7, 4].map(|perm| without_write(Perm(perm)).0), [4, 5, 4]);
        assert_eq!(with_write(), Perm(6));
    }
}
