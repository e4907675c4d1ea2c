//! POP consumption (remoting.md §11.7).

request! {
    /// Takes messages for a while.
    pub struct PopMessage<'a> {
        group: &'a str = "consumerGroup",
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        max_messages: i32 = "maxMsgNums",
        invisible_ms: i64 = "invisibleTime",
        poll_ms: i64 = "pollTime",
        born_ms: Option<i64> = "bornTime",
        init_mode: i32 = "initMode",
        expression_type: Option<&'a str> = "expType",
        expression: Option<&'a str> = "exp",
        order: Option<bool> = "order",
        attempt_id: Option<&'a str> = "attemptId",
    }

    /// What was taken; also with the codes 209 and 210. A peek has no offsets.
    pub struct PopResponse {
        pop_ms: i64 = "popTime",
        invisible_ms: i64 = "invisibleTime",
        revive_queue: i32 = "reviveQid",
        rest: i64 = "restNum",
        start_offsets: Option<String> = "startOffsetInfo",
        message_offsets: Option<String> = "msgOffsetInfo",
        order_counts: Option<String> = "orderCountInfo",
    }

    /// Acknowledges one message.
    pub struct AckMessage<'a> {
        group: &'a str = "consumerGroup",
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        handle: &'a str = "extraInfo",
        offset: i64 = "offset",
    }

    /// Moves the time at which a message comes back.
    pub struct ChangeInvisible<'a> {
        group: &'a str = "consumerGroup",
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        handle: &'a str = "extraInfo",
        offset: i64 = "offset",
        invisible_ms: i64 = "invisibleTime",
        suspend: Option<bool> = "suspend",
    }

    /// From these the asker makes the new handle.
    pub struct ChangeInvisibleResponse {
        pop_ms: i64 = "popTime",
        invisible_ms: i64 = "invisibleTime",
        revive_queue: i32 = "reviveQid",
    }

    /// Asks to be told when a pop would find something.
    pub struct Notification<'a> {
        group: &'a str = "consumerGroup",
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        poll_ms: i64 = "pollTime",
        born_ms: Option<i64> = "bornTime",
        order: Option<bool> = "order",
        attempt_id: Option<&'a str> = "attemptId",
    }

    /// Whether there is something, and whether the asker could not be made to wait.
    pub struct NotificationResponse {
        has_message: bool = "hasMsg",
        polling_full: bool = "pollingFull",
    }

    /// Asks how many pops wait.
    pub struct PollingInfo<'a> {
        group: &'a str = "consumerGroup",
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
    }

    /// How many pops wait.
    pub struct PollingInfoResponse {
        waiting: i32 = "pollingNum",
    }

    /// Looks at the next messages without taking them.
    pub struct PeekMessage<'a> {
        group: &'a str = "consumerGroup",
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        max_messages: i32 = "maxMsgNums",
    }
}
