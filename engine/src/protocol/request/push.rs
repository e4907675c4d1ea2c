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
}
