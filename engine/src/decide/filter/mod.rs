//! Which messages a subscription wants.

pub mod sql;
pub mod tag;

use std::sync::Arc;

use sql::SqlFilter;
use tag::TagFilter;

/// What a pull wants of a queue.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// By tag: the unit of the consume queue tells.
    Tag(TagFilter),
    /// By properties: the record tells.
    Sql(Arc<SqlFilter>),
}
