//! Tests of the whole console without a terminal: layout, states, key sequences, snapshots.

mod keys;
mod layout;
mod live;
mod props;
pub mod render;
pub mod snapshots;
