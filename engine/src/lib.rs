//! The engine of mqdeck: name server, broker, store and client of the RocketMQ protocol.
//!
//! `protocol` turns bytes into types and knows nobody. `decide` holds every rule that branches, pure.
//! `store` is one broker's data directory. `broker` and `namesrv` are synchronous: request + state +
//! `now` gives an outcome. `net` carries frames over sockets. `client` is the one way to any cluster,
//! embedded or remote. `engine` starts and stops all of it in order.

pub mod client;
pub mod clock;
pub mod config;
pub mod decide;
pub mod engine;
pub mod net;
pub mod protocol;

#[cfg(feature = "mutants")]
pub mod mutant;
#[cfg(not(feature = "mutants"))]
#[allow(dead_code)]
mod mutant;

/// The deterministic simulator.
#[cfg(feature = "sim")]
pub mod sim;

#[cfg(feature = "sim")]
pub mod broker;
#[cfg(not(feature = "sim"))]
mod broker;

#[cfg(feature = "sim")]
pub mod namesrv;
#[cfg(not(feature = "sim"))]
#[allow(dead_code, unused_imports)]
mod namesrv;

#[cfg(feature = "sim")]
pub mod store;
#[cfg(not(feature = "sim"))]
#[allow(dead_code, unused_imports)] // what the tests see is not all used by the broker
mod store;
