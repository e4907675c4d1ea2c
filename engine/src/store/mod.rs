//! One data directory: log, consume queues, index, positions. The only door is `Store`.
