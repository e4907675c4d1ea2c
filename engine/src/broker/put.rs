//! From a message to an append: delay levels redirect, properties are completed, bytes are encoded.
//!
//! Used by sends, send-backs and the delivery of delayed messages. Spec: message.md §6, semantics.md §9.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Broker;
use crate::protocol::java_hash;
use crate::protocol::names;
use crate::protocol::properties::{self, key};
use crate::protocol::record::{RecordBuf, RecordBuilder, RecordError, RecordView};
use crate::protocol::sys_flag::{SysFlag, Transaction};
use crate::store::{Append, UnitKind};

/// A message on its way to the log.
#[derive(Clone, Debug)]
pub struct Put<'a> {
    /// Topic.
    pub topic: Arc<str>,
    /// Queue of the topic.
    pub queue_id: i32,
    /// User flag.
    pub flag: i32,
    /// System flags as received.
    pub sys_flag: i32,
    /// When the producer made it, ms.
    pub born_ms: i64,
    /// Who sent it.
    pub born_host: SocketAddr,
    /// Failed attempts so far.
    pub reconsume_times: i32,
    /// Commit-log offset of the half message that this one commits, else 0.
    pub prepared_offset: i64,
    /// Body as received, perhaps compressed.
    pub body: &'a [u8],
    /// Property string.
    pub properties: String,
    /// Whether the answer waits for flush and slaves.
    pub wait: bool,
}

impl<'a> Put<'a> {
    /// A copy of a stored message for another place.
    pub fn copy_of(record: &RecordView<'a>, topic: Arc<str>, queue_id: i32) -> Self {
        Self {
            topic,
            queue_id,
            flag: record.flag(),
            sys_flag: record.sys_flag().0,
            born_ms: record.born_timestamp(),
            born_host: record.born_host(),
            reconsume_times: record.reconsume_times(),
            prepared_offset: 0,
            body: record.body(),
            properties: record.properties().to_owned(),
            wait: true,
        }
    }
}

/// What the broker does with the delay that a message asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delay {
    /// It is obeyed.
    Obey,
    /// It was obeyed already: the message is being delivered.
    Done,
}

impl Broker {
    /// Makes the append of a message; its `done` is the caller's to set.
    ///
    /// # Errors
    /// [`RecordError`] when topic, properties or the whole are too large.
    pub fn append_of(&self, mut put: Put<'_>, delay: Delay) -> Result<Append, RecordError> {
        let level = match delay {
            Delay::Obey => self.levels.level_of(properties::get(&put.properties, key::DELAY)),
            Delay::Done => None,
        };
        let mut delay_ms = None;
        if let Some(level) = level {
            properties::set(&mut put.properties, key::REAL_TOPIC, &put.topic);
            properties::set(&mut put.properties, key::REAL_QUEUE_ID, &put.queue_id.to_string());
            put.topic = Arc::clone(&self.schedule_topic);
            put.queue_id = i32::from(level) - 1;
            delay_ms = Some(self.levels.wait_ms(level));
        }
        let tags_code = java_hash::tag_code(properties::get(&put.properties, key::TAGS));
        let record = self.encode(&put)?;
        Ok(Append {
            topic: put.topic,
            queue_id: put.queue_id,
            record,
            tags_code,
            more: Vec::new(),
            kind: unit_kind(put.sys_flag),
            delay_ms,
            wait: put.wait,
            done: Box::new(|_| {}),
        })
    }

    /// Encodes one record of this broker, with its holes open.
    pub fn encode(&self, put: &Put<'_>) -> Result<RecordBuf, RecordError> {
        RecordBuilder {
            topic: &put.topic,
            queue_id: put.queue_id,
            flag: put.flag,
            sys_flag: SysFlag(put.sys_flag),
            born_timestamp: put.born_ms,
            born_host: put.born_host,
            store_host: self.addr,
            reconsume_times: put.reconsume_times,
            prepared_transaction_offset: put.prepared_offset,
            body: put.body,
            properties: &put.properties,
        }
        .encode()
    }

    /// Adds what a broker adds to the properties of every ordinary send (message.md §6).
    pub fn complete_properties(&self, text: &mut String, now_ms: i64) {
        put_unless_equal(text, key::MSG_REGION, &self.config.region_id);
        put_unless_equal(text, key::TRACE_ON, if self.config.trace_on { "true" } else { "false" });
        if properties::get(text, key::POP_CK).is_some() {
            properties::remove(text, key::POP_CK);
        }
        if properties::get(text, key::UNIQ_KEY).is_none() {
            properties::push(text, key::UNIQ_KEY, &self.unique_keys.next(now_ms));
        }
        put_unless_equal(text, key::CLUSTER, &self.config.broker_cluster_name);
        properties::close(text);
    }
}

/// What the log keeps of prepared and rollback records only for itself gets no unit; half messages
/// are stored as ordinary ones of their topic.
fn unit_kind(sys_flag: i32) -> UnitKind {
    match SysFlag(sys_flag).transaction() {
        Transaction::None | Transaction::Commit => UnitKind::Message,
        Transaction::Prepared | Transaction::Rollback => UnitKind::NoUnit,
    }
}

fn put_unless_equal(text: &mut String, key: &str, value: &str) {
    match properties::get(text, key) {
        None => properties::push(text, key, value),
        Some(old) if old == value => {}
        Some(_) => properties::set(text, key, value),
    }
}

/// The topic that a delayed message waits in.
pub fn schedule_topic() -> Arc<str> {
    Arc::from(names::SCHEDULE_TOPIC)
}
