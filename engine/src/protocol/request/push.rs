//! Requests that a broker relays to a client (remoting.md §11.6).

request! {
    /// Asks a consumer for its state.
    pub struct ConsumerRunningInfo<'a> {
        group: &'a str = "consumerGroup",
        client_id: &'a str = "clientId",
        stacks: Option<bool> = "jstackEnable",
    }

    /// Has one consumer consume one message now.
    pub struct ConsumeDirectly<'a> {
        group: &'a str = "consumerGroup",
        client_id: Option<&'a str> = "clientId",
        message_id: Option<&'a str> = "msgId",
        broker_name: Option<&'a str> = "brokerName",
        topic: Option<&'a str> = "topic",
        topic_sys_flag: Option<i32> = "topicSysFlag",
        group_sys_flag: Option<i32> = "groupSysFlag",
    }

    /// Hands a reply to the client that waits for it.
    pub struct PushReply<'a> {
        group: &'a str = "producerGroup",
        topic: &'a str = "topic",
        default_topic: &'a str = "defaultTopic",
        default_queues: i32 = "defaultTopicQueueNums",
        queue_id: i32 = "queueId",
        sys_flag: i32 = "sysFlag",
        born_ms: i64 = "bornTimestamp",
        flag: i32 = "flag",
        properties: Option<&'a str> = "properties",
        reconsume_times: Option<i32> = "reconsumeTimes",
        unit_mode: Option<bool> = "unitMode",
        born_host: &'a str = "bornHost",
        store_host: &'a str = "storeHost",
        stored_ms: i64 = "storeTimestamp",
    }
}
