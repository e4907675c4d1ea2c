//! Dead letters (console-screens.md §6.5).

use std::sync::Arc;

use super::topics::Message;
use super::{Fig, Name, Problem};
use crate::model::trend::Trend;

/// Dead letters of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadGroup {
    pub group: Name,
    pub open: Fig<u64>,
    pub trend: Trend,
    pub total: Fig<u64>,
    pub new_1h: Fig<u64>,
    pub oldest_age_ms: Fig<i64>,
    pub last_age_ms: Fig<i64>,
    /// Origin topics of the newest letters.
    pub from: Fig<String>,
    /// More a minute.
    pub per_min: Fig<u64>,
    pub problem: Option<Problem>,
}

/// What is known about copies of a letter.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Again {
    /// Copies sent from this letter, by the ledger of this machine.
    pub sent: u32,
    /// The letter is itself a copy that died again.
    pub died: u32,
    /// One line of history.
    pub history: String,
}

impl Again {
    /// The cell: `sent 1×`, `died 1×` or `–`.
    pub fn text(&self) -> String {
        match (self.sent, self.died) {
            (0, 0) => "–".to_owned(),
            (0, died) => format!("died {died}×"),
            (sent, _) => format!("sent {sent}×"),
        }
    }
}

/// One dead letter.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    pub message: Arc<Message>,
    pub origin: Name,
    /// Deliveries made.
    pub tries: u32,
    pub again: Again,
    /// What the client needs to send a copy.
    pub source: Option<Arc<engine::client::dead_letters::Letter>>,
}

impl Letter {
    /// Identity across pages and groups: dead-letter topic, broker, queue and offset.
    pub fn key(&self) -> String {
        format!("{}:{}", self.message.topic, self.message.key())
    }
}

/// Letters of one group, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Letters {
    pub newest: Vec<Letter>,
    pub open: Option<u64>,
    pub total: Option<u64>,
    /// How many of the total have been read.
    pub read: u64,
}
