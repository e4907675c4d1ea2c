//! The broker: synchronous, without sockets. Request + state + `now` gives an outcome.
//!
//! [`serve`] takes the frames of one read; the families of requests are in `handle`, what is
//! remembered in `state`, what the broker does by itself in `task`.

#[cfg(test)]
mod admin_tests;
#[allow(clippy::module_inception)]
pub mod broker;
#[cfg(test)]
mod cold_tests;
mod count;
pub mod handle;
pub mod outcome;
#[cfg(test)]
mod pop_tests;
pub mod put;
pub mod revive_log;
pub mod serve;
pub mod state;
#[cfg(test)]
mod stats_tests;
pub mod task;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod timer_tests;
#[cfg(test)]
mod transaction_tests;

pub use broker::Broker;
