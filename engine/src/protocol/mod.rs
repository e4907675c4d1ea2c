//! Bytes and types of the RocketMQ protocol. Pure: no async, no files, no locks, no clock.

// Stored messages, names and ids.
pub mod batch;
pub mod ids;
pub mod java_hash;
pub mod names;
pub mod perm;
pub mod properties;
pub mod record;
pub mod sys_flag;
