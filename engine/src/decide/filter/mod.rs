//! Which messages a subscription wants.

pub mod tag;
