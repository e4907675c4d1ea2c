//! Pure rules on figures: no terminal, no I/O, no clock. Commands use them too.

pub mod at_risk;
pub mod clock;
pub mod confirm;
pub mod contrast;
pub mod due;
pub mod format;
pub mod fuzzy;
pub mod group_state;
pub mod history;
pub mod letter_edit;
pub mod life;
pub mod metrics;
pub mod near;
pub mod query;
pub mod query_message;
pub mod replay;
pub mod resend;
pub mod stacks;
pub mod time_field;
pub mod trend;
pub mod version;
