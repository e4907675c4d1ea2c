//! Ends of transactions and questions about them (remoting.md §11.5).

request! {
    /// A producer commits or rolls back.
    pub struct EndTransaction<'a> {
        topic: Option<&'a str> = "topic",
        group: &'a str = "producerGroup",
        half_offset: i64 = "tranStateTableOffset",
        log_offset: i64 = "commitLogOffset",
        verdict: i32 = "commitOrRollback",
        from_check: Option<bool> = "fromTransactionCheck",
        message_id: &'a str = "msgId",
        transaction_id: Option<&'a str> = "transactionId",
    }

    /// A broker asks what became of a transaction.
    pub struct CheckTransaction<'a> {
        topic: Option<&'a str> = "topic",
        half_offset: i64 = "tranStateTableOffset",
        log_offset: i64 = "commitLogOffset",
        message_id: Option<&'a str> = "msgId",
        transaction_id: Option<&'a str> = "transactionId",
        offset_message_id: Option<&'a str> = "offsetMsgId",
        broker_name: Option<&'a str> = "bname",
    }

    /// A tool has a half message checked again.
    pub struct ResumeCheck<'a> {
        message_id: &'a str = "msgId",
        topic: Option<&'a str> = "topic",
    }
}
