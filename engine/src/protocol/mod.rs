//! Bytes and types of the RocketMQ protocol. Pure: no async, no files, no locks, no clock.
