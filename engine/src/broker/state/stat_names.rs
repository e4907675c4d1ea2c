//! Names of the statistics that are counted, as request 315 asks for them (semantics.md §21).
//!
//! The reference broker declares more: `DLQ_PUT_NUMS` it never counts, `QUEUE_*` only on its schedule
//! topic, `COMMERCIAL_*` only with hooks that it does not ship. They do not exist here.

/// Messages stored, by topic.
pub const TOPIC_PUT_NUMS: &str = "TOPIC_PUT_NUMS";
/// Bytes of their records, by topic.
pub const TOPIC_PUT_SIZE: &str = "TOPIC_PUT_SIZE";
/// How long sends took, ms, by `queueId@topic`.
pub const TOPIC_PUT_LATENCY: &str = "TOPIC_PUT_LATENCY";
/// Messages that a group got, by `topic@group`.
pub const GROUP_GET_NUMS: &str = "GROUP_GET_NUMS";
/// Bytes of their records, by `topic@group`.
pub const GROUP_GET_SIZE: &str = "GROUP_GET_SIZE";
/// How long reads with a result took, ms, by `queueId@topic@group`; a pop of any queue has queue −1.
pub const GROUP_GET_LATENCY: &str = "GROUP_GET_LATENCY";
/// Popped messages acknowledged, by `topic@group`.
pub const GROUP_ACK_NUMS: &str = "GROUP_ACK_NUMS";
/// Checkpoints of pops, by `topic@group`.
pub const GROUP_CK_NUMS: &str = "GROUP_CK_NUMS";
/// Messages given back, dead letters among them, by `topic@group`.
pub const SNDBCK_PUT_NUMS: &str = "SNDBCK_PUT_NUMS";
/// What happened to connections, by `CONNECT`, `CLOSE`, `IDLE` or `EXCEPTION`.
pub const CHANNEL_ACTIVITY: &str = "CHANNEL_ACTIVITY";

/// Names whose key is anything but the cluster.
#[cfg(test)]
pub const KEYED: [&str; 10] = [
    TOPIC_PUT_NUMS,
    TOPIC_PUT_SIZE,
    TOPIC_PUT_LATENCY,
    GROUP_GET_NUMS,
    GROUP_GET_SIZE,
    GROUP_GET_LATENCY,
    GROUP_ACK_NUMS,
    GROUP_CK_NUMS,
    SNDBCK_PUT_NUMS,
    CHANNEL_ACTIVITY,
];

/// Statistics of the whole broker, whose key is the cluster's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OfBroker {
    /// Messages stored.
    PutNums,
    /// Messages stored in topics of users.
    PutNumsOfUsers,
    /// Messages read.
    GetNums,
    /// Messages read from topics of users.
    GetNumsOfUsers,
    /// Popped messages acknowledged.
    AckNums,
    /// Checkpoints of pops.
    CkNums,
    /// How long a consumer's heartbeat took, ms.
    ConsumerRegisterTime,
    /// How long a producer's heartbeat took, ms.
    ProducerRegisterTime,
}

impl OfBroker {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::PutNums,
        Self::PutNumsOfUsers,
        Self::GetNums,
        Self::GetNumsOfUsers,
        Self::AckNums,
        Self::CkNums,
        Self::ConsumerRegisterTime,
        Self::ProducerRegisterTime,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::PutNums => "BROKER_PUT_NUMS",
            Self::PutNumsOfUsers => "BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC",
            Self::GetNums => "BROKER_GET_NUMS",
            Self::GetNumsOfUsers => "BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC",
            Self::AckNums => "BROKER_ACK_NUMS",
            Self::CkNums => "BROKER_CK_NUMS",
            Self::ConsumerRegisterTime => "CONSUMER_REGISTER_TIME",
            Self::ProducerRegisterTime => "PRODUCER_REGISTER_TIME",
        }
    }

    /// Whether it says how often it was added to. The reference broker adds messages to its totals
    /// without counting the calls, so that their `avgpt` stays 0.
    pub fn counts_calls(self) -> bool {
        matches!(self, Self::ConsumerRegisterTime | Self::ProducerRegisterTime)
    }
}
