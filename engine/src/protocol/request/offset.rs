//! Offsets of queues and groups, resets (remoting.md §11.3, §11.6).

request! {
    /// Offsets of a group beside those of the others.
    pub struct CorrectionOffset<'a> {
        filter_groups: Option<&'a str> = "filterGroups",
        compare_group: &'a str = "compareGroup",
        topic: &'a str = "topic",
    }

    /// A queue of a topic.
    pub struct QueueOf<'a> {
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
    }

    /// An offset as answer.
    pub struct OffsetResponse {
        offset: i64 = "offset",
    }

    /// A time as answer, ms.
    pub struct TimestampResponse {
        timestamp: i64 = "timestamp",
    }

    /// The offset of a moment.
    pub struct SearchOffset<'a> {
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        timestamp: i64 = "timestamp",
        boundary: Option<&'a str> = "boundaryType",
    }

    /// The committed offset of a group.
    pub struct QueryConsumerOffset<'a> {
        group: &'a str = "consumerGroup",
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        zero_if_not_found: Option<bool> = "setZeroIfNotFound",
    }

    /// Commits an offset.
    pub struct UpdateConsumerOffset<'a> {
        group: &'a str = "consumerGroup",
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        offset: i64 = "commitOffset",
    }

    /// Moves a group to a time or an offset.
    pub struct ResetOffset<'a> {
        topic: &'a str = "topic",
        group: &'a str = "group",
        timestamp: i64 = "timestamp",
        force: Option<bool> = "isForce",
        queue_id: Option<i32> = "queueId",
        offset: Option<i64> = "offset",
    }

    /// Asks online clients how far they are.
    pub struct ConsumerStatus<'a> {
        topic: &'a str = "topic",
        group: &'a str = "group",
        client: Option<&'a str> = "clientAddr",
    }

    /// Copies the offsets of one group to another.
    pub struct CloneGroupOffset<'a> {
        source: &'a str = "srcGroup",
        target: &'a str = "destGroup",
        topic: Option<&'a str> = "topic",
        offline: Option<bool> = "offline",
    }
}
