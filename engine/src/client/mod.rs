//! The one way to any cluster, embedded or remote: the console, the commands and the bench are its users.
//!
//! [`cluster::Cluster`] is the handle; [`admin`] and [`figures`] ask typed questions through it. Uses
//! `net`, `protocol` and `decide`, never `broker`, `store` or `namesrv` (architecture.md §3).

pub mod admin;
pub mod cluster;
pub mod error;
pub mod figures;
mod inbound;
mod link;
pub mod message;
pub mod read_only;
pub mod route_cache;
pub mod runtime_info;

pub use cluster::{Ask, Cluster, ClusterConfig, Response};
pub use error::ClientError;
pub use message::{Message, MessageExt};
