//! Bytes and types of the RocketMQ protocol. Pure: no async, no files, no locks, no clock.

pub mod body;
pub mod json_dialect;
pub mod response_code;
