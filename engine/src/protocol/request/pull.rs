//! Reading messages (remoting.md §11.2).

/// Bit of a pull's `sysFlag`: `commitOffset` counts.
pub const PULL_COMMIT: i32 = 1;
/// Bit of a pull's `sysFlag`: may be held until something arrives.
pub const PULL_SUSPEND: i32 = 2;
/// Bit of a pull's `sysFlag`: the `subscription` field is authoritative.
pub const PULL_SUBSCRIPTION: i32 = 4;
/// Bit of a pull's `sysFlag`: class filter.
pub const PULL_CLASS_FILTER: i32 = 8;
/// Bit of a pull's `sysFlag`: sent by a lite pull consumer.
pub const PULL_LITE: i32 = 16;

request! {
    /// Reads one queue from an offset.
    pub struct PullMessage<'a> {
        group: &'a str = "consumerGroup",
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        offset: i64 = "queueOffset",
        max_messages: i32 = "maxMsgNums",
        sys_flag: i32 = "sysFlag",
        commit_offset: i64 = "commitOffset",
        suspend_ms: i64 = "suspendTimeoutMillis",
        subscription: Option<&'a str> = "subscription",
        sub_version: i64 = "subVersion",
        expression_type: Option<&'a str> = "expressionType",
        max_bytes: Option<i32> = "maxMsgBytes",
        request_source: Option<i32> = "requestSource",
    }

    /// What comes with every pull answer; clients read it without a null check.
    pub struct PullResponse {
        suggested_broker: i64 = "suggestWhichBrokerId",
        next_offset: i64 = "nextBeginOffset",
        min_offset: i64 = "minOffset",
        max_offset: i64 = "maxOffset",
        topic_sys_flag: Option<i32> = "topicSysFlag",
        group_sys_flag: Option<i32> = "groupSysFlag",
        forbidden_type: Option<i32> = "forbiddenType",
    }

    /// Finds messages by key or unique key.
    pub struct QueryMessage<'a> {
        topic: &'a str = "topic",
        key: &'a str = "key",
        max: i32 = "maxNum",
        begin_ms: i64 = "beginTimestamp",
        end_ms: i64 = "endTimestamp",
        unique: Option<bool> = "_UNIQUE_KEY_QUERY",
        index_type: Option<&'a str> = "indexType",
    }

    /// How far the index reaches.
    pub struct QueryResponse {
        last_update_ms: i64 = "indexLastUpdateTimestamp",
        last_update_offset: i64 = "indexLastUpdatePhyoffset",
    }

    /// Reads the message at a commit-log offset.
    pub struct ViewMessage {
        offset: i64 = "offset",
    }
}
