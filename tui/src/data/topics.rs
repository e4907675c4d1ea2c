//! Topics, queues and messages (console-screens.md §6.2).

use std::sync::Arc;

use super::{Fig, Name, Problem};

/// One line of Topics.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicRow {
    pub name: Name,
    /// `FIFO`, `DELAY`, … or nothing; what is permitted alone stands behind it: `R` or `W`.
    pub kind: &'static str,
    pub only: &'static str,
    pub read_queues: u32,
    pub write_queues: u32,
    pub in_rate: Fig<f64>,
    pub in_bytes: Fig<f64>,
    pub messages: Fig<u64>,
    pub lag: Fig<u64>,
    pub groups: Fig<u64>,
    pub last_age_ms: Fig<i64>,
    pub system: bool,
    pub problem: Option<Problem>,
}

/// One queue of a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueRow {
    pub broker: Name,
    pub queue: i32,
    pub perm: &'static str,
    pub min: Fig<u64>,
    pub max: Fig<u64>,
    pub in_rate: Fig<f64>,
    pub first_age_ms: Fig<i64>,
    pub last_age_ms: Fig<i64>,
}

/// A group's standing on the open topic.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupOnTopic {
    pub group: Name,
    pub lag: Fig<u64>,
    pub clients: Fig<u64>,
    pub tags: String,
}

/// A topic opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicDetail {
    pub queues: Vec<QueueRow>,
    pub groups: Vec<GroupOnTopic>,
}

/// One stored message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub topic: Name,
    pub broker: Name,
    pub queue: i32,
    pub offset: u64,
    pub stored_ms: i64,
    pub born_ms: i64,
    pub born_host: String,
    pub store_host: String,
    /// Bytes of the whole record.
    pub stored_size: u64,
    pub tag: String,
    pub keys: String,
    pub unique_id: String,
    pub offset_id: String,
    /// Deliveries made before.
    pub tries: u32,
    pub flag: i32,
    pub sys_flag: i32,
    pub properties: Vec<(String, String)>,
    /// The body as the consumer sees it.
    pub body: Arc<[u8]>,
    /// `zstd`, `lz4`, `zlib` when the stored body was compressed, with the stored size.
    pub compressed: Option<(&'static str, u64)>,
}

impl Message {
    /// Identity within a list.
    pub fn key(&self) -> String {
        format!("{}:{}:{:020}", self.broker, self.queue, self.offset)
    }
}

/// A page of one queue, newest or oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessagePage {
    pub messages: Vec<Message>,
    pub min: u64,
    pub max: u64,
    /// Entries that could not be read, with the reason.
    pub missing: Option<String>,
}

/// Where a message stands for one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Where {
    pub group: Name,
    pub text: String,
}
