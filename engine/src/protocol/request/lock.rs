//! Queue locks of ordered consumers (remoting.md §11.4): all in the body.

pub use super::client::NoFields;
