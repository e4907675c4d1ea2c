//! Which brokers a producer leaves alone for a while because they were slow or failed.
//!
//! Pure; off unless the producer asks for it. The table of times is the one of Java's clients, so that
//! mixed producers of one topic behave alike (remoting.md §9.1).

use std::collections::HashMap;

/// A send that took this long, ms → the broker is left alone this long, ms; slowest first.
const AVOID: [(i64, i64); 5] =
    [(15_000, 30_000), (5_000, 10_000), (3_000, 6_000), (1_800, 5_000), (550, 2_000)];
/// What a failed send counts as, ms.
const FAILED_AS_MS: i64 = 10_000;
/// Most broker names that are remembered.
const BROKERS_MAX: usize = 10_000;

/// How a send ended, as far as avoidance cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// Answered after this long, ms.
    Within(i64),
    /// No usable answer.
    Failed,
}

/// Broker names and until when they are avoided.
#[derive(Clone, Debug, Default)]
pub struct FaultTable {
    until: HashMap<String, i64>,
}

impl FaultTable {
    /// Notes how a send to a broker name ended.
    pub fn note(&mut self, broker: &str, sent: Sent, now_ms: i64) {
        let latency = match sent {
            Sent::Within(ms) => ms,
            Sent::Failed => FAILED_AS_MS,
        };
        let avoid = AVOID.iter().find(|(from, _)| latency >= *from).map_or(0, |(_, avoid)| *avoid);
        if avoid == 0 {
            self.until.remove(broker);
        } else if self.until.len() < BROKERS_MAX || self.until.contains_key(broker) {
            self.until.insert(broker.to_owned(), now_ms + avoid);
        }
    }

    /// Whether a broker name may be chosen.
    pub fn is_available(&self, broker: &str, now_ms: i64) -> bool {
        self.until.get(broker).is_none_or(|until| now_ms >= *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_or_failed_broker_is_left_alone_and_comes_back() {
        let avoided = |sent| {
            let mut table = FaultTable::default();
            table.note("b", sent, 1_000);
            (0..40_000).find(|ms| table.is_available("b", 1_000 + ms))
        };
        assert_eq!(avoided(Sent::Within(100)), Some(0));
        assert_eq!(avoided(Sent::Within(550)), Some(2_000));
        assert_eq!(avoided(Sent::Within(3_500)), Some(6_000));
        assert_eq!(avoided(Sent::Failed), Some(10_000));
        assert_eq!(avoided(Sent::Within(20_000)), Some(30_000));
    }

    #[test]
    fn a_good_send_ends_the_avoidance_at_once() {
        let mut table = FaultTable::default();
        table.note("b", Sent::Failed, 0);
        table.note("b", Sent::Within(5), 1);
        assert!(table.is_available("b", 1));
    }
}
