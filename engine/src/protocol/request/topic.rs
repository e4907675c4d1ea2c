//! Topics (remoting.md §11.10).

pub use super::route::TopicOf;

request! {
    /// Creates or changes a topic.
    pub struct UpdateTopic<'a> {
        topic: &'a str = "topic",
        default_topic: Option<&'a str> = "defaultTopic",
        read_queues: i32 = "readQueueNums",
        write_queues: i32 = "writeQueueNums",
        perm: i32 = "perm",
        filter_type: &'a str = "topicFilterType",
        sys_flag: Option<i32> = "topicSysFlag",
        order: bool = "order",
        attributes: Option<&'a str> = "attributes",
    }

    /// Lists topics, whole or in pages.
    pub struct AllTopicConfig {
        seq: Option<i32> = "topicSeq",
        max: Option<i32> = "maxTopicNum",
    }

    /// How many topics there are in all.
    pub struct TotalTopics {
        total: i32 = "totalTopicNum",
    }
}
