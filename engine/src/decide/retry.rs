//! How long a failed message waits, and when it stops being tried.
//!
//! Pure: used by the broker when a consumer sends a message back, by the send path for clients that
//! send the retry themselves, and by the console to preview the ladder. Spec: semantics.md §3 row 10,
//! §8.

/// First level used when neither client nor group asks for one: the first retry comes after 10 s.
const FIRST_LEVEL: u8 = 3;
/// Clients below this version do not name a limit that counts.
const LIMIT_IN_REQUEST_SINCE: i32 = 121;

/// What happens to a message whose consumption just failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Wait at this delay level, then go to the group's retry topic.
    Level(u8),
    /// No more attempts: the group's dead-letter topic.
    DeadLetter,
}

/// The facts of one failure.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// Attempts made before this one failed; 0 on the first delivery.
    pub attempts: u32,
    /// Attempts allowed: the request's limit if it named one, else the group's.
    pub attempts_max: u32,
    /// What the consumer asked for: negative = give up now, 0 = broker decides.
    pub level_asked: i32,
    /// Highest level of this broker's delay table.
    pub level_max: u8,
}

/// Decides a send-back. The message stored next carries `attempts + 1`.
#[must_use]
pub fn next(failure: Failure) -> Next {
    let Failure { attempts, attempts_max, level_asked, level_max } = failure;
    if level_asked < 0 || attempts >= attempts_max {
        return Next::DeadLetter;
    }
    let level = match level_asked {
        0 => u32::from(FIRST_LEVEL).saturating_add(attempts),
        asked => asked.unsigned_abs(),
    };
    // A level above the table is not an error: it waits at the longest one.
    Next::Level(u8::try_from(level).unwrap_or(level_max).min(level_max))
}

/// The facts of a retry that the client sends itself, as an ordinary message to the retry topic.
#[derive(Clone, Copy, Debug)]
pub struct RetrySend {
    /// Attempts in the message; the client has already counted the failed one.
    pub attempts: i32,
    /// Attempts allowed, from [`attempts_max`].
    pub attempts_max: i32,
    /// The group holds an order lock that has not expired.
    pub order_locked: bool,
}

/// Whether such a send goes to the dead-letter topic instead.
#[must_use]
pub fn is_dead(send: RetrySend) -> bool {
    // The client has already added one to the attempt it sends here, so this path compares with `>`
    // where send-back compares with `>=` (semantics.md §8). Both end after the same number of attempts.
    send.attempts > send.attempts_max || send.order_locked
}

/// The limit that counts: what the request names, if its sender is new enough, else the group's.
#[must_use]
pub fn attempts_max(named: Option<i32>, version: i32, of_group: i32) -> i32 {
    named.filter(|_| version >= LIMIT_IN_REQUEST_SINCE).unwrap_or(of_group)
}

/// Every step of a message that fails each time, the dead letter last.
pub fn ladder(attempts_max: u32, level_max: u8) -> impl Iterator<Item = Next> {
    (0..=attempts_max)
        .map(move |attempts| next(Failure { attempts, attempts_max, level_asked: 0, level_max }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letter_after_exactly_max_attempts() {
        let failed =
            |attempts| next(Failure { attempts, attempts_max: 16, level_asked: 0, level_max: 18 });
        assert_eq!(failed(0), Next::Level(3));
        assert_eq!(failed(15), Next::Level(18));
        assert_eq!(failed(16), Next::DeadLetter);
    }

    #[test]
    fn the_consumer_may_name_a_level_or_give_up() {
        let asked = |level_asked| {
            next(Failure { attempts: 2, attempts_max: 16, level_asked, level_max: 18 })
        };
        assert_eq!(asked(1), Next::Level(1));
        assert_eq!(asked(400), Next::Level(18));
        assert_eq!(asked(-1), Next::DeadLetter);
    }

    #[test]
    fn a_retry_sent_by_the_client_dies_after_as_many_attempts_as_a_send_back() {
        let send = |attempts, order_locked| {
            is_dead(RetrySend { attempts, attempts_max: 16, order_locked })
        };
        assert!(!send(16, false));
        assert!(send(17, false));
        assert!(send(1, true));
    }

    #[test]
    fn the_limit_of_old_clients_does_not_count() {
        assert_eq!(attempts_max(Some(3), 121, 16), 3);
        assert_eq!(attempts_max(Some(3), 120, 16), 16);
        assert_eq!(attempts_max(None, 513, 16), 16);
    }

    #[test]
    fn the_ladder_climbs_one_level_an_attempt_and_ends_dead() {
        let steps: Vec<_> = ladder(16, 18).collect();
        assert_eq!(steps.len(), 17);
        assert_eq!(
            (steps[0], steps[15], steps[16]),
            (Next::Level(3), Next::Level(18), Next::DeadLetter)
        );
        assert_eq!(ladder(0, 18).collect::<Vec<_>>(), [Next::DeadLetter]);
    }
}
