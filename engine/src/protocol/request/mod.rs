//! Headers of requests and responses, by family (remoting.md §11). Each is declared once.

pub mod auth;
pub mod broker;
pub mod client;
pub mod group;
pub mod lock;
pub mod offset;
pub mod pop;
pub mod pull;
pub mod push;
pub mod register;
pub mod route;
pub mod send;
pub mod stats;
pub mod topic;
pub mod transaction;
