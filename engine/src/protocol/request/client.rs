//! Clients and their groups (remoting.md §11.4).

request! {
    /// A request that has no header fields, only a body or nothing.
    pub struct NoFields {
    }

    /// A client leaves its groups.
    pub struct UnregisterClient<'a> {
        client_id: &'a str = "clientID",
        producer_group: Option<&'a str> = "producerGroup",
        consumer_group: Option<&'a str> = "consumerGroup",
    }

    /// A consumer group.
    pub struct ConsumerGroup<'a> {
        group: &'a str = "consumerGroup",
    }

    /// A producer group.
    pub struct ProducerGroup<'a> {
        group: &'a str = "producerGroup",
    }
}
