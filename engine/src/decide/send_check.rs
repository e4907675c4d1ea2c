//! Whether a send is taken, and into which queue.
//!
//! Two steps, because a topic may be created between them: [`gate`] is rows 3–5 of the table, [`check`]
//! rows 6–13. What the store refuses comes after, and rows 1 and 2 with it: a log that is held up
//! refuses the append, and nothing makes this broker wait after its start. Spec: semantics.md §3.

use super::Refusal;
use super::retry::{self, RetrySend};
use crate::protocol::response_code::{
    INVALID_PARAMETER, MESSAGE_ILLEGAL, NO_PERMISSION, SUBSCRIPTION_GROUP_NOT_EXIST,
    TOPIC_NOT_EXIST,
};

/// Longest topic of a batch, in bytes.
const BATCH_TOPIC_LEN_MAX: usize = 127;

/// What can be said about a send before its topic is looked up.
#[derive(Clone, Copy, Debug)]
pub struct GateFacts<'a> {
    /// Topic of the request.
    pub topic: &'a str,
    /// The broker's write permission is on.
    pub broker_writable: bool,
    /// The topic exists and is an order topic.
    pub order_topic: bool,
    /// What is wrong with the topic's name.
    pub name_error: Option<&'a str>,
    /// A system topic that clients may not send to.
    pub not_for_clients: bool,
}

/// Rows 3–5. Passing means that the topic may be looked up, or created.
pub fn gate(facts: &GateFacts<'_>) -> Result<(), Refusal> {
    let topic = facts.topic;
    // Only order topics look at the broker's permission; other clients obey the route (semantics.md §2).
    if !facts.broker_writable && facts.order_topic {
        let remark = format!("this broker takes no sends for order topic {topic}");
        return Err(Refusal::new(NO_PERMISSION, remark));
    }
    if let Some(error) = facts.name_error {
        return Err(Refusal::new(INVALID_PARAMETER, error.to_owned()));
    }
    if facts.not_for_clients {
        let remark = format!("Sending message to topic[{topic}] is forbidden.");
        return Err(Refusal::new(NO_PERMISSION, remark));
    }
    Ok(())
}

/// A send whose topic was looked up.
#[derive(Clone, Copy, Debug)]
pub struct SendFacts<'a> {
    /// Topic of the request.
    pub topic: &'a str,
    /// Its queues; `None` when it does not exist and could not be created.
    pub queues: Option<Queues>,
    /// Queue asked for; negative lets the broker choose.
    pub queue_id: i32,
    /// Any number, used when the broker chooses.
    pub random: u32,
    /// Set for `%RETRY%` topics.
    pub retry: Option<RetryFacts<'a>>,
    /// The topic keeps only the newest message of a key, and this one has no key.
    pub key_missing: bool,
    /// The message asks to be a half message (`TRAN_MSG`).
    pub transaction: bool,
    /// The broker refuses half messages.
    pub transactions_refused: bool,
    /// Attempts in the header, and whether the message waits at a delay level: such a copy of a
    /// transaction is an ordinary message.
    pub delayed_retry: bool,
    /// The body is a batch.
    pub batch: bool,
}

/// Queue counts of a topic.
#[derive(Clone, Copy, Debug)]
pub struct Queues {
    /// Queues that are read.
    pub read: i32,
    /// Queues that are written.
    pub write: i32,
}

/// A send to the retry topic of a group.
#[derive(Clone, Copy, Debug)]
pub struct RetryFacts<'a> {
    /// The group.
    pub group: &'a str,
    /// Its configuration exists, or was created.
    pub group_known: bool,
    /// How often it was tried.
    pub send: RetrySend,
}

/// What becomes of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Stored in this queue.
    Accept {
        /// Queue id.
        queue: i32,
        /// As a half message.
        half: bool,
    },
    /// Stored in the group's dead-letter topic, queue 0, with `DELAY` = −1.
    DeadLetter,
    /// Not taken.
    Refuse(Refusal),
}

/// Rows 6–13.
#[must_use]
pub fn check(facts: &SendFacts<'_>) -> Decision {
    match try_check(facts) {
        Ok(decision) => decision,
        Err(refusal) => Decision::Refuse(refusal),
    }
}

fn try_check(facts: &SendFacts<'_>) -> Result<Decision, Refusal> {
    let topic = facts.topic;
    let queues = facts.queues.ok_or_else(|| topic_missing(topic))?;
    let queue = queue(facts, queues)?;
    // Batches are never retries: row 13 stands before rows 9 to 12 for them.
    if facts.batch && (topic.len() > BATCH_TOPIC_LEN_MAX || facts.retry.is_some()) {
        let remark = format!("a batch cannot go to topic {topic}");
        return Err(Refusal::new(MESSAGE_ILLEGAL, remark));
    }
    if let Some(retry) = facts.retry {
        if !retry.group_known {
            let remark = format!("subscription group not exist, {}", retry.group);
            return Err(Refusal::new(SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        }
        if retry::is_dead(retry.send) {
            return Ok(Decision::DeadLetter);
        }
    }
    if facts.key_missing {
        let remark = format!("topic {topic} is compacted, a message needs a key");
        return Err(Refusal::new(MESSAGE_ILLEGAL, remark));
    }
    let half = facts.transaction && !facts.delayed_retry;
    if half && facts.transactions_refused {
        return Err(Refusal::new(NO_PERMISSION, "this broker takes no transaction messages"));
    }
    Ok(Decision::Accept { queue, half })
}

/// The refusal of a topic that does not exist.
#[must_use]
pub fn topic_missing(topic: &str) -> Refusal {
    Refusal::new(TOPIC_NOT_EXIST, format!("topic[{topic}] not exist, apply first please!"))
}

fn queue(facts: &SendFacts<'_>, queues: Queues) -> Result<i32, Refusal> {
    let asked = facts.queue_id;
    let end = queues.read.max(queues.write);
    if asked >= end {
        let topic = facts.topic;
        let remark = format!("request queueId[{asked}] is illegal, topic {topic} has {end} queues");
        return Err(Refusal::new(INVALID_PARAMETER, remark));
    }
    if asked >= 0 {
        return Ok(asked);
    }
    let write = u32::try_from(queues.write).unwrap_or(0).max(1);
    Ok((facts.random % write) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> GateFacts<'static> {
        GateFacts {
            topic: "t",
            broker_writable: true,
            order_topic: false,
            name_error: None,
            not_for_clients: false,
        }
    }

    fn send() -> SendFacts<'static> {
        SendFacts {
            topic: "t",
            queues: Some(Queues { read: 4, write: 2 }),
            queue_id: 1,
            random: 7,
            retry: None,
            key_missing: false,
            transaction: false,
            transactions_refused: false,
            delayed_retry: false,
            batch: false,
        }
    }

    fn code(facts: &SendFacts<'_>) -> i32 {
        match check(facts) {
            Decision::Refuse(refusal) => refusal.code,
            other => panic!("accepted: {other:?}"),
        }
    }

    #[test]
    fn the_gate_refuses_in_the_order_of_the_table() {
        assert_eq!(gate(&open()), Ok(()));
        let worst = GateFacts {
            broker_writable: false,
            order_topic: true,
            name_error: Some("blank"),
            not_for_clients: true,
            topic: "t",
        };
        let rows = [
            (16, worst),
            (29, GateFacts { order_topic: false, ..worst }),
            (16, GateFacts { not_for_clients: true, ..open() }),
        ];
        for (code, facts) in rows {
            assert_eq!(gate(&facts).unwrap_err().code, code, "{facts:?}");
        }
    }

    #[test]
    fn an_unwritable_broker_still_takes_sends_to_ordinary_topics() {
        assert_eq!(gate(&GateFacts { broker_writable: false, ..open() }), Ok(()));
    }

    #[test]
    fn a_queue_beyond_both_counts_is_illegal_and_a_negative_one_is_chosen() {
        let at = |queue_id| check(&SendFacts { queue_id, ..send() });
        assert_eq!(at(3), Decision::Accept { queue: 3, half: false });
        assert_eq!(at(-1), Decision::Accept { queue: 1, half: false });
        assert_eq!(code(&SendFacts { queue_id: 4, ..send() }), 29);
        let none = Some(Queues { read: 1, write: 0 });
        let chosen = check(&SendFacts { queues: none, queue_id: -1, ..send() });
        assert_eq!(chosen, Decision::Accept { queue: 0, half: false });
    }

    #[test]
    fn an_unknown_topic_is_refused_first() {
        assert_eq!(code(&SendFacts { queues: None, queue_id: 99, ..send() }), 17);
    }

    #[test]
    fn retries_beyond_the_limit_or_under_an_order_lock_are_dead_letters() {
        let retry = |attempts, order_locked| SendFacts {
            topic: "%RETRY%g",
            retry: Some(RetryFacts {
                group: "g",
                group_known: true,
                send: RetrySend { attempts, attempts_max: 16, order_locked },
            }),
            ..send()
        };
        assert_eq!(check(&retry(16, false)), Decision::Accept { queue: 1, half: false });
        assert_eq!(check(&retry(17, false)), Decision::DeadLetter);
        assert_eq!(check(&retry(1, true)), Decision::DeadLetter);
        let mut unknown = retry(17, true);
        unknown.retry.as_mut().unwrap().group_known = false;
        assert_eq!(code(&unknown), 26);
        assert_eq!(code(&SendFacts { batch: true, ..retry(0, false) }), 13);
    }

    #[test]
    fn half_messages_are_marked_unless_they_are_delayed_retries() {
        let half = SendFacts { transaction: true, ..send() };
        assert_eq!(check(&half), Decision::Accept { queue: 1, half: true });
        assert_eq!(code(&SendFacts { transactions_refused: true, ..half }), 16);
        let retry = SendFacts { delayed_retry: true, transactions_refused: true, ..half };
        assert_eq!(check(&retry), Decision::Accept { queue: 1, half: false });
        assert_eq!(code(&SendFacts { key_missing: true, ..send() }), 13);
    }
}
