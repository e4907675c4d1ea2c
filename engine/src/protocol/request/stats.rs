//! Figures (remoting.md §11.10, admin.md §4).

request! {
    /// How far a group is.
    pub struct ConsumeStats<'a> {
        group: &'a str = "consumerGroup",
        topic: Option<&'a str> = "topic",
        topics: Option<&'a str> = "topicList",
    }

    /// How far every group is.
    pub struct BrokerConsumeStats {
        order: Option<bool> = "isOrder",
    }

    /// The times that a group's position spans.
    pub struct ConsumeTimeSpan<'a> {
        topic: &'a str = "topic",
        group: &'a str = "group",
    }

    /// A statistic of the broker.
    pub struct BrokerStats<'a> {
        name: &'a str = "statsName",
        key: &'a str = "statsKey",
    }

    /// Units of a consume queue.
    pub struct QueryConsumeQueue<'a> {
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        index: i64 = "index",
        count: i32 = "count",
        group: Option<&'a str> = "consumerGroup",
    }
}
