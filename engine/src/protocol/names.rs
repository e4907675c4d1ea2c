//! Names of topics and groups: what is allowed, what is reserved, what is derived
//! (message.md §10).

/// Prefix of a group's retry topic.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// Prefix of a group's dead-letter topic.
pub const DLQ_PREFIX: &str = "%DLQ%";
/// Prefix of light queues.
pub const LMQ_PREFIX: &str = "%LMQ%";
/// Prefix of topics that belong to the system.
pub const SYSTEM_PREFIX: &str = "rmq_sys_";
/// Prefix of groups that belong to the system.
pub const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";

/// Template of auto-created topics.
pub const TEMPLATE_TOPIC: &str = "TBW102";
/// Messages that wait for a delay level.
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// Half messages.
pub const HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// Marks of half messages that ended.
pub const OP_HALF_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// Half messages that were given up.
pub const TRANS_CHECK_MAX_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// Messages that wait for an arbitrary time.
pub const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";
/// Trace records of clients.
pub const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
/// The broker's test of itself.
pub const SELF_TEST_TOPIC: &str = "SELF_TEST_TOPIC";
/// Topic of Apache's benchmark.
pub const BENCHMARK_TOPIC: &str = "BenchmarkTest";
/// Notices of moved offsets.
pub const OFFSET_MOVED_TOPIC: &str = "OFFSET_MOVED_EVENT";
/// Reserved name.
pub const CHECKPOINT_TOPIC: &str = "CHECKPOINT_TOPIC";

/// Group whose offsets are the progress of transactions.
pub const TRANS_GROUP: &str = "CID_RMQ_SYS_TRANS";
/// Group whose offsets are the progress of POP revival.
pub const REVIVE_GROUP: &str = "CID_RMQ_SYS_REVIVE_GROUP";

/// Longest topic in bytes.
pub const TOPIC_LEN_MAX: usize = 127;
/// Longest retry or dead-letter topic in bytes.
pub const DERIVED_TOPIC_LEN_MAX: usize = 255;
/// Longest group in bytes.
pub const GROUP_LEN_MAX: usize = 120;

const SYSTEM_TOPICS: [&str; 11] = [
    TEMPLATE_TOPIC,
    SCHEDULE_TOPIC,
    BENCHMARK_TOPIC,
    HALF_TOPIC,
    TRACE_TOPIC,
    OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_TOPIC,
    CHECKPOINT_TOPIC,
    TIMER_TOPIC,
];

/// Topics to which no client may send.
pub const NOT_FOR_CLIENTS: [&str; 6] = [
    SCHEDULE_TOPIC,
    HALF_TOPIC,
    OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_TOPIC,
];

/// Consumer groups that exist from the start and never expire.
pub const PREDEFINED_GROUPS: [&str; 8] = [
    "TOOLS_CONSUMER",
    "FILTERSRV_CONSUMER",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PULL",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    TRANS_GROUP,
];

/// Why a name cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// No characters, or only blanks.
    #[error("the name is blank")]
    Blank,
    /// A character outside `%|_-0-9A-Za-z`.
    #[error("the name contains a character other than %, |, _, -, digits and ASCII letters")]
    Character,
    /// Longer than allowed.
    #[error("the name has {len} bytes, more than {limit}")]
    TooLong {
        /// Its bytes.
        len: usize,
        /// The limit.
        limit: usize,
    },
}

/// Checks the name of a topic.
///
/// # Errors
/// The first rule it breaks.
pub fn check_topic(topic: &str) -> Result<(), NameError> {
    let derived = topic.starts_with(RETRY_PREFIX) || topic.starts_with(DLQ_PREFIX);
    check(topic, if derived { DERIVED_TOPIC_LEN_MAX } else { TOPIC_LEN_MAX })
}

/// Checks the name of a group.
///
/// # Errors
/// The first rule it breaks.
pub fn check_group(group: &str) -> Result<(), NameError> {
    check(group, GROUP_LEN_MAX)
}

fn check(name: &str, limit: usize) -> Result<(), NameError> {
    if name.trim().is_empty() {
        return Err(NameError::Blank);
    }
    if !has_legal_characters(name) {
        return Err(NameError::Character);
    }
    if name.len() > limit {
        return Err(NameError::TooLong { len: name.len(), limit });
    }
    Ok(())
}

/// Whether a name has only characters that topics and groups may have.
fn has_legal_characters(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'|' | b'_' | b'-'))
}

/// Whether a name can be the directory of a topic's queues: of legal characters, and of the plus sign
/// that joins a pop retry topic and that nobody can give a topic of their own.
pub fn is_directory_name(topic: &str) -> bool {
    (1..=DERIVED_TOPIC_LEN_MAX).contains(&topic.len()) && topic.split('+').all(has_legal_characters)
}

/// Whether a topic belongs to the system. Names made from cluster and broker are the broker's to know.
pub fn is_system_topic(topic: &str) -> bool {
    topic.starts_with(SYSTEM_PREFIX) || SYSTEM_TOPICS.contains(&topic)
}

/// Whether clients are forbidden to send to a topic.
pub fn is_not_for_clients(topic: &str) -> bool {
    NOT_FOR_CLIENTS.contains(&topic)
}

/// Whether a group belongs to the system.
pub fn is_system_group(group: &str) -> bool {
    group.starts_with(SYSTEM_GROUP_PREFIX)
}

/// Retry topic of a group.
pub fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

/// Dead-letter topic of a group.
pub fn dlq_topic(group: &str) -> String {
    format!("{DLQ_PREFIX}{group}")
}

/// Retry topic of popped messages, joined by an underscore (the default) as it cannot be split again.
pub fn pop_retry_topic_v1(topic: &str, group: &str) -> String {
    if is_retry_of(topic, group) {
        return topic.to_owned();
    }
    format!("{RETRY_PREFIX}{group}_{topic}")
}

/// Retry topic of popped messages, joined by a plus sign.
pub fn pop_retry_topic_v2(topic: &str, group: &str) -> String {
    if is_retry_of(topic, group) {
        return topic.to_owned();
    }
    format!("{RETRY_PREFIX}{group}+{topic}")
}

fn is_retry_of(topic: &str, group: &str) -> bool {
    topic.strip_prefix(RETRY_PREFIX).is_some_and(|rest| rest.starts_with(group))
}

/// Group of a retry topic.
pub fn group_of_retry(topic: &str) -> Option<&str> {
    let rest = topic.strip_prefix(RETRY_PREFIX)?;
    match rest.split_once('+') {
        Some((group, origin)) if !origin.contains('+') => Some(group),
        _ => Some(rest),
    }
}

/// Group of a dead-letter topic.
pub fn group_of_dlq(topic: &str) -> Option<&str> {
    topic.strip_prefix(DLQ_PREFIX)
}

/// Topic to which replies of a cluster go.
pub fn reply_topic(cluster: &str) -> String {
    format!("{cluster}_REPLY_TOPIC")
}

/// Log of POP checkpoints and acknowledgements of a cluster.
pub fn revive_topic(cluster: &str) -> String {
    format!("{SYSTEM_PREFIX}REVIVE_LOG_{cluster}")
}

/// Topic of a broker's members.
pub fn broker_member_topic(broker: &str) -> String {
    format!("{SYSTEM_PREFIX}SYNC_BROKER_MEMBER_{broker}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_in_order() {
        assert_eq!(check_topic(" "), Err(NameError::Blank));
        assert_eq!(check_topic("a b"), Err(NameError::Character));
        assert_eq!(check_topic("a/b"), Err(NameError::Character));
        assert_eq!(check_topic("../x"), Err(NameError::Character));
        assert_eq!(check_topic("a|b-c_D%9"), Ok(()));
        let long = "a".repeat(128);
        assert_eq!(check_topic(&long), Err(NameError::TooLong { len: 128, limit: 127 }));
        assert_eq!(check_topic(&format!("%RETRY%{long}")), Ok(()));
        assert_eq!(check_group(&long), Err(NameError::TooLong { len: 128, limit: 120 }));
    }

    #[test]
    fn directories_are_named_like_topics_and_joined_retry_topics() {
        for name in ["t", "%RETRY%g+t", "a|b-c_D%9"] {
            assert!(is_directory_name(name), "{name}");
        }
        for name in ["", "..", "a/b", "../x", "%RETRY%g+../t", "a b", &"a".repeat(256)] {
            assert!(!is_directory_name(name), "{name}");
        }
        assert_eq!(check_topic("%RETRY%g+t"), Err(NameError::Character));
    }

    #[test]
    fn retry_topics_give_their_group_back() {
        assert_eq!(group_of_retry("%RETRY%g"), Some("g"));
        assert_eq!(group_of_retry("%RETRY%g+t"), Some("g"));
        assert_eq!(group_of_retry("%RETRY%g_t"), Some("g_t"));
        assert_eq!(group_of_retry("t"), None);
        assert_eq!(pop_retry_topic_v1("t", "g"), "%RETRY%g_t");
        assert_eq!(pop_retry_topic_v2("%RETRY%g", "g"), "%RETRY%g");
    }

    #[test]
    fn system_topics_are_known() {
        assert!(is_system_topic("rmq_sys_anything"));
        assert!(is_system_topic("TBW102") && !is_not_for_clients("TBW102"));
        assert!(is_not_for_clients("SCHEDULE_TOPIC_XXXX"));
        assert!(!is_system_topic("T"));
    }
}
