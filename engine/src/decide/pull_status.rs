//! Whether a pull is served, and what its answer says.
//!
//! [`check`] is the table of refusals, [`place`] what an offset outside a queue means, [`Answer`] what
//! a read came to. Spec: semantics.md §6.

use super::Refusal;
use super::send_check::topic_missing;
use crate::protocol::response_code::{
    FILTER_DATA_NOT_EXIST, FILTER_DATA_NOT_LATEST, INVALID_PARAMETER, NO_PERMISSION,
    PULL_NOT_FOUND, PULL_OFFSET_MOVED, PULL_RETRY_IMMEDIATELY, SUBSCRIPTION_GROUP_NOT_EXIST,
    SUBSCRIPTION_NOT_EXIST, SUBSCRIPTION_NOT_LATEST, SUBSCRIPTION_PARSE_FAILED, SUCCESS,
    SYSTEM_ERROR,
};

/// Who forbade a pull, as the header field `forbiddenType` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForbiddenBy {
    /// The broker's read permission.
    Broker = 1,
    /// The group's switch.
    Group = 2,
    /// The topic's read permission.
    Topic = 3,
    /// Broadcasting is off for the group.
    Broadcasting = 4,
    /// The group is forbidden on this topic.
    Subscription = 5,
}

/// A pull that is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRefusal {
    /// Code and text.
    pub refusal: Refusal,
    /// Set with code 16, except for lite pulls.
    pub forbidden: Option<ForbiddenBy>,
}

/// What is known about a pull.
#[derive(Clone, Copy, Debug)]
pub struct PullFacts<'a> {
    /// Group of the request.
    pub group_name: &'a str,
    /// Topic of the request.
    pub topic_name: &'a str,
    /// The broker's read permission is on.
    pub broker_readable: bool,
    /// A lite pull, and these are off.
    pub lite_refused: bool,
    /// The group's switches; `None` when unknown and not creatable.
    pub group: Option<GroupFacts>,
    /// The topic; `None` when unknown.
    pub topic: Option<TopicFacts>,
    /// Queue of the request.
    pub queue_id: i32,
    /// Where the expression comes from.
    pub subscription: Subscription,
    /// `subVersion` of the request.
    pub version_asked: i64,
    /// SQL expressions are on.
    pub sql_enabled: bool,
}

/// Switches of a group.
#[derive(Clone, Copy, Debug)]
pub struct GroupFacts {
    /// Consuming is on.
    pub consume: bool,
    /// Consuming by broadcasting is on.
    pub broadcast: bool,
    /// An administrator forbade the group this topic.
    pub forbidden: bool,
}

/// A topic, as far as pulls go.
#[derive(Clone, Copy, Debug)]
pub struct TopicFacts {
    /// Its read permission is on.
    pub readable: bool,
    /// Queues that are read.
    pub read_queues: i32,
}

/// Where the expression of a pull comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// From the request (pull flag 4).
    InRequest {
        /// It was understood.
        parsed: bool,
        /// It is a tag expression.
        tag: bool,
    },
    /// The group has no live registration.
    GroupOffline,
    /// The group is registered.
    Registered {
        /// Its members broadcast.
        broadcasting: bool,
        /// Its subscription of this topic.
        of_topic: Option<OfTopic>,
    },
}

/// The registered subscription of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfTopic {
    /// A tag expression of this version.
    Tag {
        /// `subVersion` registered.
        version: i64,
    },
    /// Another expression of this version, and the version of its compiled filter.
    Sql {
        /// `subVersion` registered.
        version: i64,
        /// Version of the compiled filter, if there is one.
        filter: Option<i64>,
    },
}

/// Rows 1–14 in their order. A pending reset (row 15) comes after.
pub fn check(facts: &PullFacts<'_>) -> Result<(), PullRefusal> {
    let (group_name, topic_name) = (facts.group_name, facts.topic_name);
    if !facts.broker_readable {
        return Err(forbid(ForbiddenBy::Broker, "this broker takes no pulls".to_owned()));
    }
    if facts.lite_refused {
        return Err(refuse(NO_PERMISSION, "this broker takes no lite pulls"));
    }
    let Some(group) = facts.group else {
        let remark = format!("subscription group [{group_name}] does not exist");
        return Err(refuse(SUBSCRIPTION_GROUP_NOT_EXIST, remark));
    };
    if !group.consume {
        let remark = format!("subscription group {group_name} is switched off");
        return Err(forbid(ForbiddenBy::Group, remark));
    }
    let Some(topic) = facts.topic else {
        return Err(PullRefusal { refusal: topic_missing(topic_name), forbidden: None });
    };
    if !topic.readable {
        return Err(forbid(ForbiddenBy::Topic, format!("topic {topic_name} is not readable")));
    }
    if !(0..topic.read_queues).contains(&facts.queue_id) {
        let (asked, end) = (facts.queue_id, topic.read_queues);
        let remark = format!("queueId[{asked}] is illegal, topic {topic_name} has {end} queues");
        return Err(refuse(INVALID_PARAMETER, remark));
    }
    check_subscription(facts, group)
}

/// Rows 8–14.
fn check_subscription(facts: &PullFacts<'_>, group: GroupFacts) -> Result<(), PullRefusal> {
    let (group_name, topic_name) = (facts.group_name, facts.topic_name);
    let sql = match facts.subscription {
        Subscription::InRequest { parsed: false, .. } => {
            return Err(refuse(SUBSCRIPTION_PARSE_FAILED, "the subscription does not parse"));
        }
        Subscription::InRequest { tag, .. } => !tag,
        Subscription::GroupOffline => {
            let remark = format!("group {group_name} has no registered consumer");
            return Err(refuse(SUBSCRIPTION_NOT_EXIST, remark));
        }
        Subscription::Registered { broadcasting, of_topic } => {
            if broadcasting && !group.broadcast {
                let remark = format!("group {group_name} must not consume by broadcasting");
                return Err(forbid(ForbiddenBy::Broadcasting, remark));
            }
            if group.forbidden {
                let remark = format!("group {group_name} is forbidden to read {topic_name}");
                return Err(forbid(ForbiddenBy::Subscription, remark));
            }
            let Some(of_topic) = of_topic else {
                let remark = format!("group {group_name} does not subscribe {topic_name}");
                return Err(refuse(SUBSCRIPTION_NOT_EXIST, remark));
            };
            check_version(of_topic, facts.version_asked)?
        }
    };
    if sql && !facts.sql_enabled {
        let remark = "The broker does not support consumer to filter message by SQL92";
        return Err(refuse(SYSTEM_ERROR, remark));
    }
    Ok(())
}

/// Rows 12 and 13; true for an SQL subscription.
fn check_version(of_topic: OfTopic, asked: i64) -> Result<bool, PullRefusal> {
    let (OfTopic::Tag { version } | OfTopic::Sql { version, .. }) = of_topic;
    if version < asked {
        return Err(refuse(SUBSCRIPTION_NOT_LATEST, "the registered subscription is older"));
    }
    match of_topic {
        OfTopic::Tag { .. } => Ok(false),
        OfTopic::Sql { filter: None, .. } => {
            Err(refuse(FILTER_DATA_NOT_EXIST, "no filter is registered for this subscription"))
        }
        OfTopic::Sql { filter: Some(filter), .. } if filter < asked => {
            Err(refuse(FILTER_DATA_NOT_LATEST, "the registered filter is older"))
        }
        OfTopic::Sql { .. } => Ok(true),
    }
}

fn refuse(code: i32, remark: impl Into<std::borrow::Cow<'static, str>>) -> PullRefusal {
    PullRefusal { refusal: Refusal::new(code, remark), forbidden: None }
}

fn forbid(by: ForbiddenBy, remark: String) -> PullRefusal {
    PullRefusal { refusal: Refusal::new(NO_PERMISSION, remark), forbidden: Some(by) }
}

/// How a read ended; its text is the remark of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Messages follow.
    Found,
    /// There were messages, none matched.
    NoMatchedMessage,
    /// The data was deleted meanwhile.
    MessageWasRemoving,
    /// The queue does not exist.
    NoMatchedLogicQueue,
    /// Nothing was ever written to the queue.
    NoMessageInQueue,
    /// The offset is the next to be written.
    OffsetOverflowOne,
    /// A gap of the consume queue.
    OffsetFoundNull,
    /// The offset is beyond the end.
    OffsetOverflowBadly,
    /// The offset was deleted.
    OffsetTooSmall,
    /// An administrator reset the group.
    OffsetReset,
}

impl Status {
    /// The remark of the response.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Self::MessageWasRemoving => "MESSAGE_WAS_REMOVING",
            Self::NoMatchedLogicQueue => "NO_MATCHED_LOGIC_QUEUE",
            Self::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
            Self::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Self::OffsetFoundNull => "OFFSET_FOUND_NULL",
            Self::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Self::OffsetTooSmall => "OFFSET_TOO_SMALL",
            Self::OffsetReset => "OFFSET_RESET",
        }
    }
}

/// What a pull is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How the read ended.
    pub status: Status,
    /// Response code.
    pub code: i32,
    /// `nextBeginOffset`.
    pub next: i64,
}

impl Answer {
    /// The answer to a pull that asked for `asked` and ended with `status`, going on at `next`.
    #[must_use]
    pub fn new(status: Status, asked: i64, next: i64) -> Self {
        let code = match status {
            Status::Found => SUCCESS,
            Status::NoMatchedMessage | Status::MessageWasRemoving => PULL_RETRY_IMMEDIATELY,
            Status::OffsetOverflowOne | Status::OffsetFoundNull => PULL_NOT_FOUND,
            Status::NoMatchedLogicQueue | Status::NoMessageInQueue if asked == 0 => PULL_NOT_FOUND,
            _ => PULL_OFFSET_MOVED,
        };
        Self { status, code, next }
    }

    /// A slave does not correct offsets: its consumers shall return to the master.
    #[must_use]
    pub fn on_slave(self) -> Self {
        if self.code == PULL_OFFSET_MOVED {
            return Self { code: PULL_RETRY_IMMEDIATELY, ..self };
        }
        self
    }

    /// Nothing new: such a pull may be parked.
    #[must_use]
    pub fn may_park(self) -> bool {
        self.code == PULL_NOT_FOUND
    }
}

/// First and next offset of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First offset kept.
    pub min: i64,
    /// Next offset to be written.
    pub max: i64,
}

/// What an asked offset means for a queue: `None` when there is something to read.
#[must_use]
pub fn place(asked: i64, queue: Option<Extent>) -> Option<Answer> {
    let (status, next) = match queue {
        None => (Status::NoMatchedLogicQueue, 0),
        Some(Extent { max: 0, .. }) => (Status::NoMessageInQueue, 0),
        Some(Extent { min, .. }) if asked < min => (Status::OffsetTooSmall, min),
        Some(Extent { max, .. }) if asked == max => (Status::OffsetOverflowOne, asked),
        Some(Extent { max, .. }) if asked > max => (Status::OffsetOverflowBadly, max),
        Some(_) => return None,
    };
    Some(Answer::new(status, asked, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine() -> PullFacts<'static> {
        PullFacts {
            group_name: "g",
            topic_name: "t",
            broker_readable: true,
            lite_refused: false,
            group: Some(GroupFacts { consume: true, broadcast: true, forbidden: false }),
            topic: Some(TopicFacts { readable: true, read_queues: 4 }),
            queue_id: 3,
            subscription: registered(Some(OfTopic::Tag { version: 5 })),
            version_asked: 5,
            sql_enabled: true,
        }
    }

    fn registered(of_topic: Option<OfTopic>) -> Subscription {
        Subscription::Registered { broadcasting: false, of_topic }
    }

    fn code(facts: &PullFacts<'_>) -> (i32, Option<ForbiddenBy>) {
        check(facts).map_or_else(|r| (r.refusal.code, r.forbidden), |()| (0, None))
    }

    #[test]
    fn pulls_are_refused_in_the_order_of_the_table() {
        let off = Some(GroupFacts { consume: false, broadcast: false, forbidden: true });
        let on = Some(GroupFacts { consume: true, broadcast: false, forbidden: true });
        let worst = PullFacts {
            broker_readable: false,
            lite_refused: true,
            group: None,
            topic: None,
            queue_id: -1,
            subscription: Subscription::GroupOffline,
            ..fine()
        };
        let readable = PullFacts { broker_readable: true, ..worst };
        let lite = PullFacts { lite_refused: false, ..readable };
        let closed = Some(TopicFacts { readable: false, read_queues: 4 });
        let rows = [
            ("broker", worst, 16, Some(ForbiddenBy::Broker)),
            ("lite", readable, 16, None),
            ("group", lite, 26, None),
            ("group off", PullFacts { group: off, ..lite }, 16, Some(ForbiddenBy::Group)),
            ("topic", PullFacts { group: on, ..lite }, 17, None),
            (
                "topic closed",
                PullFacts { group: on, topic: closed, ..lite },
                16,
                Some(ForbiddenBy::Topic),
            ),
            ("queue", PullFacts { group: on, topic: fine().topic, ..lite }, 29, None),
            ("queue end", PullFacts { queue_id: 4, ..fine() }, 29, None),
            (
                "offline",
                PullFacts { group: on, topic: fine().topic, queue_id: 0, ..lite },
                24,
                None,
            ),
        ];
        for (what, facts, want, by) in rows {
            assert_eq!(code(&facts), (want, by), "{what}");
        }
        assert_eq!(code(&fine()), (0, None));
    }

    #[test]
    fn registered_subscriptions_are_refused_in_the_order_of_the_table() {
        let group = Some(GroupFacts { consume: true, broadcast: false, forbidden: true });
        let broadcasting = Subscription::Registered { broadcasting: true, of_topic: None };
        let facts = |subscription| PullFacts { subscription, ..fine() };
        let sql = |version, filter| facts(registered(Some(OfTopic::Sql { version, filter })));
        let rows = [
            (PullFacts { group, ..facts(broadcasting) }, 16, Some(ForbiddenBy::Broadcasting)),
            (PullFacts { group, ..facts(registered(None)) }, 16, Some(ForbiddenBy::Subscription)),
            (facts(registered(None)), 24, None),
            (facts(registered(Some(OfTopic::Tag { version: 4 }))), 25, None),
            (sql(4, None), 25, None),
            (sql(5, None), 27, None),
            (sql(5, Some(4)), 28, None),
            (PullFacts { sql_enabled: false, ..sql(5, Some(5)) }, 1, None),
            (sql(5, Some(5)), 0, None),
        ];
        for (facts, want, by) in rows {
            assert_eq!(code(&facts), (want, by), "{:?}", facts.subscription);
        }
    }

    #[test]
    fn an_expression_in_the_request_needs_no_registration() {
        let facts = |parsed, tag, sql_enabled| PullFacts {
            subscription: Subscription::InRequest { parsed, tag },
            group: Some(GroupFacts { consume: true, broadcast: false, forbidden: true }),
            sql_enabled,
            ..fine()
        };
        assert_eq!(code(&facts(true, true, false)), (0, None));
        assert_eq!(code(&facts(false, true, true)), (23, None));
        assert_eq!(code(&facts(true, false, false)), (1, None));
    }

    #[test]
    fn every_offset_outside_a_queue_has_its_answer() {
        let queue = Some(Extent { min: 10, max: 20 });
        let empty = Some(Extent { min: 0, max: 0 });
        let drained = Some(Extent { min: 20, max: 20 });
        let rows = [
            (10, queue, None),
            (19, queue, None),
            (20, queue, Some((Status::OffsetOverflowOne, 19, 20))),
            (21, queue, Some((Status::OffsetOverflowBadly, 21, 20))),
            (9, queue, Some((Status::OffsetTooSmall, 21, 10))),
            (-1, queue, Some((Status::OffsetTooSmall, 21, 10))),
            (0, empty, Some((Status::NoMessageInQueue, 19, 0))),
            (5, empty, Some((Status::NoMessageInQueue, 21, 0))),
            (0, None, Some((Status::NoMatchedLogicQueue, 19, 0))),
            (5, None, Some((Status::NoMatchedLogicQueue, 21, 0))),
            (20, drained, Some((Status::OffsetOverflowOne, 19, 20))),
            (0, drained, Some((Status::OffsetTooSmall, 21, 20))),
        ];
        for (asked, queue, want) in rows {
            let got = place(asked, queue).map(|a| (a.status, a.code, a.next));
            assert_eq!(got, want, "{asked} in {queue:?}");
        }
    }

    #[test]
    fn reads_end_with_the_codes_of_the_table() {
        let code = |status| Answer::new(status, 7, 8).code;
        assert_eq!(code(Status::Found), 0);
        assert_eq!(code(Status::NoMatchedMessage), 20);
        assert_eq!(code(Status::MessageWasRemoving), 20);
        assert_eq!(code(Status::OffsetFoundNull), 19);
        assert_eq!(code(Status::OffsetReset), 21);
        assert!(Answer::new(Status::OffsetOverflowOne, 7, 7).may_park());
        assert!(!Answer::new(Status::NoMatchedMessage, 7, 8).may_park());
    }

    #[test]
    fn a_slave_sends_its_consumers_back_instead_of_moving_them() {
        let moved = Answer::new(Status::OffsetTooSmall, 1, 5);
        assert_eq!((moved.code, moved.on_slave().code), (21, 20));
        let found = Answer::new(Status::Found, 1, 5);
        assert_eq!(found.on_slave(), found);
    }
}
