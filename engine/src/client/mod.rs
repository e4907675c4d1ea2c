//! The one way to any cluster, embedded or remote: the console, the commands and the bench are its users.
//!
//! [`cluster::Cluster`] is the handle; [`admin`] and [`figures`] ask typed questions through it,
//! [`producer`], [`push_consumer`] and [`pull_consumer`] move messages. Uses
//! `net`, `protocol` and `decide`, never `broker`, `store` or `namesrv` (architecture.md §3).

pub mod admin;
pub mod cluster;
mod consume;
mod consume_stats;
pub mod dead_letters;
pub mod error;
mod fault_avoidance;
pub mod figures;
mod inbound;
mod link;
pub mod listener;
mod membership;
pub mod message;
mod positions;
mod process_queue;
pub mod producer;
pub mod pull;
pub mod pull_consumer;
pub mod push_consumer;
mod queue_reader;
pub mod read_only;
pub mod replay;
pub mod retry_ladder;
pub mod route_cache;
pub mod runtime_info;
pub mod send;

pub use cluster::{Ask, Cluster, ClusterConfig, Response};
pub use error::ClientError;
pub use listener::{Consume, Listener};
pub use message::{Message, MessageExt};
pub use producer::{Producer, ProducerConfig};
pub use pull_consumer::{PullConsumer, Seek};
pub use push_consumer::{ConsumeFrom, PushConfig, PushConsumer};
pub use send::{SendResult, SendStatus};

pub use crate::net::tls::Client as TlsClient;
pub use crate::net::tls_error::TlsError;
pub use crate::protocol::signature::Credentials;
