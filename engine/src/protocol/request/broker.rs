//! The broker itself (remoting.md §11.10, admin.md §5 n).

request! {
    /// Forgets the dead letters below an offset; mqdeck's own request.
    pub struct TrimDeadLetters<'a> {
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        offset: i64 = "offset",
    }

    /// Chooses how timer messages are kept.
    pub struct SwitchTimerEngine<'a> {
        engine: &'a str = "E_T",
    }

    /// The new minimum of a trimmed queue.
    pub struct TrimResponse {
        min_offset: i64 = "minOffset",
    }
}
