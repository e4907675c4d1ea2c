//! Sending and sending back (remoting.md §11.1).

request! {
    /// A message of a producer, with the long field names.
    pub struct SendMessage<'a> {
        group: &'a str = "producerGroup",
        topic: &'a str = "topic",
        default_topic: Option<&'a str> = "defaultTopic",
        default_queues: Option<i32> = "defaultTopicQueueNums",
        queue_id: i32 = "queueId",
        sys_flag: i32 = "sysFlag",
        born_ms: i64 = "bornTimestamp",
        flag: i32 = "flag",
        properties: Option<&'a str> = "properties",
        reconsume_times: Option<i32> = "reconsumeTimes",
        unit_mode: Option<bool> = "unitMode",
        max_reconsume_times: Option<i32> = "maxReconsumeTimes",
        batch: Option<bool> = "batch",
        broker_name: Option<&'a str> = "bname",
    }

    /// The same with one-letter names: what most clients send.
    pub struct SendMessageV2<'a> {
        group: &'a str = "a",
        topic: &'a str = "b",
        default_topic: Option<&'a str> = "c",
        default_queues: Option<i32> = "d",
        queue_id: i32 = "e",
        sys_flag: i32 = "f",
        born_ms: i64 = "g",
        flag: i32 = "h",
        properties: Option<&'a str> = "i",
        reconsume_times: Option<i32> = "j",
        unit_mode: Option<bool> = "k",
        max_reconsume_times: Option<i32> = "l",
        batch: Option<bool> = "m",
        broker_name: Option<&'a str> = "n",
    }

    /// The answer to an accepted send; clients read all of it without a null check.
    pub struct SendResponse {
        message_id: String = "msgId",
        queue_id: i32 = "queueId",
        queue_offset: i64 = "queueOffset",
        transaction_id: Option<String> = "transactionId",
    }

    /// A producer takes a timer message back.
    pub struct RecallMessage<'a> {
        group: Option<&'a str> = "producerGroup",
        topic: &'a str = "topic",
        handle: &'a str = "recallHandle",
        broker_name: Option<&'a str> = "bname",
    }

    /// The answer to a recall.
    pub struct RecallResponse {
        unique_key: String = "msgId",
    }

    /// A consumer gives a message back to be tried later.
    pub struct SendBack<'a> {
        offset: i64 = "offset",
        group: &'a str = "group",
        delay_level: i32 = "delayLevel",
        origin_message_id: Option<&'a str> = "originMsgId",
        origin_topic: Option<&'a str> = "originTopic",
        unit_mode: Option<bool> = "unitMode",
        max_reconsume_times: Option<i32> = "maxReconsumeTimes",
    }
}

impl<'a> From<SendMessageV2<'a>> for SendMessage<'a> {
    fn from(v2: SendMessageV2<'a>) -> Self {
        Self {
            group: v2.group,
            topic: v2.topic,
            default_topic: v2.default_topic,
            default_queues: v2.default_queues,
            queue_id: v2.queue_id,
            sys_flag: v2.sys_flag,
            born_ms: v2.born_ms,
            flag: v2.flag,
            properties: v2.properties,
            reconsume_times: v2.reconsume_times,
            unit_mode: v2.unit_mode,
            max_reconsume_times: v2.max_reconsume_times,
            batch: v2.batch,
            broker_name: v2.broker_name,
        }
    }
}
