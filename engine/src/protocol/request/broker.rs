//! The broker itself (remoting.md §11.10, admin.md §5 n).

request! {
    /// Addresses and progress of a master, told or asked.
    pub struct ExchangeHa<'a> {
        ha_addr: Option<&'a str> = "masterHaAddress",
        flush_offset: Option<i64> = "masterFlushOffset",
        addr: Option<&'a str> = "masterAddress",
    }

    /// How far a master's log counts as flushed.
    pub struct ResetFlushOffset {
        offset: Option<i64> = "masterFlushOffset",
    }

    /// Which timer engine to use: `F` or `R`.
    pub struct SwitchTimerEngine<'a> {
        engine: Option<&'a str> = "E_T",
    }

    /// Forgets the dead letters below an offset; mqdeck's own request.
    pub struct TrimDeadLetters<'a> {
        topic: &'a str = "topic",
        queue_id: i32 = "queueId",
        offset: i64 = "offset",
    }

    /// The new minimum of a trimmed queue.
    pub struct TrimResponse {
        min_offset: i64 = "minOffset",
    }
}
