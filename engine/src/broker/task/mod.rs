//! What a broker does by itself: bounded work per call, driven by the `tasks` thread.

pub mod delay_delivery;
pub mod housekeeping;
pub mod persist;
pub mod pop_revive;
pub mod timer_delivery;
pub mod transaction_check;
