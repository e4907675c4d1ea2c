//! JSON bodies of requests and responses, one subject a file.
//!
//! Every type reads what any client or cluster writes (members may be missing, null, in another type)
//! and writes what Java's, Go's and C++'s readers take. Read and write them through
//! [`json_dialect`](super::json_dialect) only. Spec: remoting.md §8.1, §10, §11; admin.md §4.
#![allow(missing_docs, reason = "members carry the wire's names; the spec explains them")]

pub mod auth;
pub mod connection;
pub mod filter_data;
pub mod group_config;
pub mod ha;
pub mod heartbeat;
pub mod lenient;
pub mod offsets;
pub mod pop;
pub mod queue;
pub mod register;
pub mod route;
pub mod running_info;
pub mod stats;
pub mod topic_config;

pub use queue::{MessageQueue, QueueMap};
