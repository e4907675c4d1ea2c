//! Every rule that branches, as pure functions shared by broker and client.
//!
//! No state, no clock, no I/O: facts in, a decision out; the caller carries it out. Each file is one
//! rule of semantics.md and its table of cases.

pub mod access;
pub mod allocate;
pub mod config_change;
pub mod delay;
pub mod expiry;
pub mod filter;
pub mod flow;
pub mod lag;
pub mod permission;
pub mod pop;
pub mod pop_order;
pub mod pull_status;
pub mod reset;
pub mod retry;
pub mod route;
pub mod send_check;
pub mod timer;
pub mod transaction;

use std::borrow::Cow;

/// A request that is not served: response code and text for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One of `protocol::response_code`.
    pub code: i32,
    /// Why.
    pub remark: Cow<'static, str>,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: i32, remark: impl Into<Cow<'static, str>>) -> Self {
        Self { code, remark: remark.into() }
    }
}
