//! The response codes of the protocol, by name.
//!
//! Plain `i32` values, because a peer may answer with any number. Spec: remoting.md §9.

/// Done.
pub const SUCCESS: i32 = 0;
/// Any unexpected error; the remark says which.
pub const SYSTEM_ERROR: i32 = 1;
/// Flow control: try again later.
pub const SYSTEM_BUSY: i32 = 2;
/// The peer does not serve this request code.
pub const REQUEST_CODE_NOT_SUPPORTED: i32 = 3;
/// Stored, but not synced to disk in time.
pub const FLUSH_DISK_TIMEOUT: i32 = 10;
/// Stored without a slave in sync; also "this broker is a slave".
pub const SLAVE_NOT_AVAILABLE: i32 = 11;
/// Stored, but the slave did not acknowledge in time.
pub const FLUSH_SLAVE_TIMEOUT: i32 = 12;
/// Size, form, timer or acknowledgement of a message is unacceptable.
pub const MESSAGE_ILLEGAL: i32 = 13;
/// The store takes no writes: stopped, full, or a slave's.
pub const SERVICE_NOT_AVAILABLE: i32 = 14;
/// The peer's version is too old for this request.
pub const VERSION_NOT_SUPPORTED: i32 = 15;
/// Refused by permission of broker, topic or group, or by access control.
pub const NO_PERMISSION: i32 = 16;
/// Unknown topic.
pub const TOPIC_NOT_EXIST: i32 = 17;
/// The topic exists already.
pub const TOPIC_EXIST_ALREADY: i32 = 18;
/// Pull: nothing new.
pub const PULL_NOT_FOUND: i32 = 19;
/// Pull: something was there, nothing matched.
pub const PULL_RETRY_IMMEDIATELY: i32 = 20;
/// Pull: the offset is outside the queue, or was reset.
pub const PULL_OFFSET_MOVED: i32 = 21;
/// Query: nothing found.
pub const QUERY_NOT_FOUND: i32 = 22;
/// The subscription expression does not parse.
pub const SUBSCRIPTION_PARSE_FAILED: i32 = 23;
/// The group has no live registration of this topic.
pub const SUBSCRIPTION_NOT_EXIST: i32 = 24;
/// The broker's subscription is older than the request's.
pub const SUBSCRIPTION_NOT_LATEST: i32 = 25;
/// Unknown consumer group.
pub const SUBSCRIPTION_GROUP_NOT_EXIST: i32 = 26;
/// No SQL filter is registered.
pub const FILTER_DATA_NOT_EXIST: i32 = 27;
/// The registered SQL filter is older than the request's.
pub const FILTER_DATA_NOT_LATEST: i32 = 28;
/// A parameter is missing or out of range.
pub const INVALID_PARAMETER: i32 = 29;
/// No consumer of the group is connected.
pub const CONSUMER_NOT_ONLINE: i32 = 206;
/// A call relayed to a client timed out.
pub const CONSUME_MSG_TIMEOUT: i32 = 207;
/// The offset is outside the queue (acknowledge, change of invisible time).
pub const NO_MESSAGE: i32 = 208;
/// Too many parked pops.
pub const POLLING_FULL: i32 = 209;
/// A pop found nothing in its time.
pub const POLLING_TIMEOUT: i32 = 210;
/// No such broker.
pub const BROKER_NOT_EXIST: i32 = 211;
/// The group consumes by broadcasting.
pub const BROADCAST_CONSUMPTION: i32 = 213;
/// Flow control of a single queue or group.
pub const FLOW_CONTROL: i32 = 215;
/// Refused recall, or too late a commit of a half message.
pub const ILLEGAL_OPERATION: i32 = 604;
/// The server is shutting down: connect elsewhere and send again.
pub const GO_AWAY: i32 = 1500;

/// The field's name of a code, or `None` for one that no release uses.
#[must_use]
pub fn name(code: i32) -> Option<&'static str> {
    Some(match code {
        SUCCESS => "SUCCESS",
        SYSTEM_ERROR => "SYSTEM_ERROR",
        SYSTEM_BUSY => "SYSTEM_BUSY",
        REQUEST_CODE_NOT_SUPPORTED => "REQUEST_CODE_NOT_SUPPORTED",
        FLUSH_DISK_TIMEOUT => "FLUSH_DISK_TIMEOUT",
        SLAVE_NOT_AVAILABLE => "SLAVE_NOT_AVAILABLE",
        FLUSH_SLAVE_TIMEOUT => "FLUSH_SLAVE_TIMEOUT",
        MESSAGE_ILLEGAL => "MESSAGE_ILLEGAL",
        SERVICE_NOT_AVAILABLE => "SERVICE_NOT_AVAILABLE",
        VERSION_NOT_SUPPORTED => "VERSION_NOT_SUPPORTED",
        NO_PERMISSION => "NO_PERMISSION",
        TOPIC_NOT_EXIST => "TOPIC_NOT_EXIST",
        TOPIC_EXIST_ALREADY => "TOPIC_EXIST_ALREADY",
        PULL_NOT_FOUND => "PULL_NOT_FOUND",
        PULL_RETRY_IMMEDIATELY => "PULL_RETRY_IMMEDIATELY",
        PULL_OFFSET_MOVED => "PULL_OFFSET_MOVED",
        QUERY_NOT_FOUND => "QUERY_NOT_FOUND",
        SUBSCRIPTION_PARSE_FAILED => "SUBSCRIPTION_PARSE_FAILED",
        SUBSCRIPTION_NOT_EXIST => "SUBSCRIPTION_NOT_EXIST",
        SUBSCRIPTION_NOT_LATEST => "SUBSCRIPTION_NOT_LATEST",
        SUBSCRIPTION_GROUP_NOT_EXIST => "SUBSCRIPTION_GROUP_NOT_EXIST",
        FILTER_DATA_NOT_EXIST => "FILTER_DATA_NOT_EXIST",
        FILTER_DATA_NOT_LATEST => "FILTER_DATA_NOT_LATEST",
        INVALID_PARAMETER => "INVALID_PARAMETER",
        CONSUMER_NOT_ONLINE => "CONSUMER_NOT_ONLINE",
        CONSUME_MSG_TIMEOUT => "CONSUME_MSG_TIMEOUT",
        NO_MESSAGE => "NO_MESSAGE",
        POLLING_FULL => "POLLING_FULL",
        POLLING_TIMEOUT => "POLLING_TIMEOUT",
        BROKER_NOT_EXIST => "BROKER_NOT_EXIST",
        BROADCAST_CONSUMPTION => "BROADCAST_CONSUMPTION",
        FLOW_CONTROL => "FLOW_CONTROL",
        ILLEGAL_OPERATION => "ILLEGAL_OPERATION",
        GO_AWAY => "GO_AWAY",
        _ => return None,
    })
}
