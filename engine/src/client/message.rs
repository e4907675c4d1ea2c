//! Messages as users make and receive them: [`Message`] to send, [`MessageExt`] received.
//!
//! The bytes are `protocol::record`'s business; here are compression, the names of properties and the
//! topic that a retried message shows. Spec: message.md §2, §5, §6, §8.

use std::io::{Read, Write};
use std::net::SocketAddr;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ClientError;
use crate::protocol::body::MessageQueue;
use crate::protocol::properties::{self, key};
use crate::protocol::record::RecordView;
use crate::protocol::sys_flag::SysFlag;
use crate::protocol::{ids, names};

/// Most bytes to which a body may inflate.
pub const INFLATED_MAX: u64 = 64 * 1024 * 1024;

/// A message to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Topic.
    pub topic: String,
    /// Body.
    pub body: Bytes,
    /// The user's flag.
    pub flag: i32,
    properties: String,
    fault: Option<String>,
}

impl Message {
    /// A message without tag, keys or properties.
    pub fn new(topic: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            body: body.into(),
            flag: 0,
            properties: String::new(),
            fault: None,
        }
    }

    /// A message whose body is JSON.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn json(
        topic: impl Into<String>,
        value: &impl Serialize,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self::new(topic, serde_json::to_vec(value)?))
    }

    /// Sets the tag by which consumers filter.
    #[must_use]
    pub fn tag(self, tag: &str) -> Self {
        self.property(key::TAGS, tag)
    }

    /// Sets the keys by which the message is found again; none of them may hold a blank.
    #[must_use]
    pub fn keys<'a>(self, keys: impl IntoIterator<Item = &'a str>) -> Self {
        let joined = keys.into_iter().collect::<Vec<_>>().join(" ");
        self.property(key::KEYS, &joined)
    }

    /// Delivers the message after this delay level of the broker, 1 being the shortest.
    #[must_use]
    pub fn delay_level(self, level: u32) -> Self {
        self.property(key::DELAY, &level.to_string())
    }

    /// Delivers the message this long after it was stored; brokers since 5.0.
    #[must_use]
    pub fn delay_ms(self, ms: i64) -> Self {
        self.property(key::TIMER_DELAY_MS, &ms.to_string())
    }

    /// Delivers the message at this time, ms since 1970; brokers since 5.0.
    #[must_use]
    pub fn deliver_at(self, ms: i64) -> Self {
        self.property(key::TIMER_DELIVER_MS, &ms.to_string())
    }

    /// Sets a property. A key or value that the wire cannot carry makes the send fail.
    #[must_use]
    pub fn property(mut self, key: &str, value: &str) -> Self {
        if properties::valid_key(key) && properties::valid_value(value) {
            properties::set(&mut self.properties, key, value);
        } else {
            self.fault = Some(format!("property {key:?} has a key or value that cannot be stored"));
        }
        self
    }

    /// The value of a property.
    pub fn get(&self, key: &str) -> Option<&str> {
        properties::get(&self.properties, key)
    }

    /// The property string with a unique key: the one set before, or the given one.
    pub(super) fn properties_with(&self, unique_key: &str) -> String {
        let mut text = self.properties.clone();
        if properties::get(&text, key::UNIQ_KEY).is_none() {
            properties::push(&mut text, key::UNIQ_KEY, unique_key);
        }
        text
    }

    /// Checks what the broker would refuse anyway.
    pub(super) fn check(&self) -> Result<(), ClientError> {
        let invalid = |what: String| Err(ClientError::Invalid(what));
        if let Some(fault) = &self.fault {
            return invalid(fault.clone());
        }
        if let Err(error) = names::check_topic(&self.topic) {
            return invalid(format!("topic {:?}: {error}", self.topic));
        }
        if self.body.is_empty() {
            return invalid("the body is empty".to_owned());
        }
        Ok(())
    }
}

/// A message received, with what the broker knows of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageExt {
    /// Broker name of the queue; empty where the answer did not say it.
    pub broker_name: String,
    /// Topic under which it is stored; see [`Self::topic`].
    pub topic: String,
    /// Queue id.
    pub queue_id: i32,
    /// Offset in the queue.
    pub queue_offset: i64,
    /// Offset in the commit log.
    pub log_offset: i64,
    /// The user's flag.
    pub flag: i32,
    /// System flag.
    pub sys_flag: SysFlag,
    /// When it was sent first, the producer's clock.
    pub born_ms: i64,
    /// Who sent it first.
    pub born_host: SocketAddr,
    /// When this copy was stored, the broker's clock.
    pub store_ms: i64,
    /// Who stored it.
    pub store_host: SocketAddr,
    /// Deliveries that failed before this one.
    pub reconsume_times: i32,
    /// Property string.
    pub properties: String,
    /// Body, inflated.
    pub body: Bytes,
    /// Body as stored.
    pub stored_body: Bytes,
    /// Why the body could not be inflated; it is then as stored.
    pub damaged: Option<String>,
}

impl MessageExt {
    /// Takes a message out of the bytes of a response.
    pub fn decode(view: &RecordView<'_>, broker_name: &str) -> Self {
        let stored_body = Bytes::copy_from_slice(view.body());
        let (body, damaged) = match inflate(&stored_body, view.sys_flag()) {
            Ok(body) => (body, None),
            Err(error) => (stored_body.clone(), Some(error)),
        };
        Self {
            broker_name: broker_name.to_owned(),
            topic: view.topic().to_owned(),
            queue_id: view.queue_id(),
            queue_offset: view.queue_offset(),
            log_offset: view.physical_offset(),
            flag: view.flag(),
            sys_flag: view.sys_flag(),
            born_ms: view.born_timestamp(),
            born_host: view.born_host(),
            store_ms: view.store_timestamp(),
            store_host: view.store_host(),
            reconsume_times: view.reconsume_times(),
            properties: view.properties().to_owned(),
            body,
            stored_body,
            damaged,
        }
    }

    /// The topic that users know: of a retry the one it came from.
    pub fn topic(&self) -> &str {
        if !self.topic.starts_with(names::RETRY_PREFIX) {
            return &self.topic;
        }
        self.get(key::RETRY_TOPIC).unwrap_or(&self.topic)
    }

    /// The value of a property.
    pub fn get(&self, key: &str) -> Option<&str> {
        properties::get(&self.properties, key)
    }

    /// The tag.
    pub fn tag(&self) -> Option<&str> {
        self.get(key::TAGS)
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.get(key::KEYS).unwrap_or_default().split_whitespace()
    }

    /// The id that all copies share; of a message without one its offset id.
    pub fn unique_id(&self) -> String {
        self.get(key::UNIQ_KEY).map_or_else(|| self.offset_id(), str::to_owned)
    }

    /// The id of this copy: broker address and commit-log offset.
    pub fn offset_id(&self) -> String {
        ids::offset_id(self.store_host, self.log_offset.max(0) as u64)
    }

    /// The queue it is stored in.
    pub fn queue(&self) -> MessageQueue {
        MessageQueue {
            topic: self.topic.clone(),
            broker_name: self.broker_name.clone(),
            queue_id: self.queue_id,
        }
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// When the body is no JSON of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The body as text, when it is.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }
}

/// Compresses a body as Java does: a zlib stream, which every client reads.
pub(super) fn deflate(body: &[u8], level: u32) -> std::io::Result<Bytes> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(level));
    out.write_all(body)?;
    Ok(out.finish()?.into())
}

/// The body as its sender had it (message.md §2).
fn inflate(body: &Bytes, flag: SysFlag) -> Result<Bytes, String> {
    if !flag.has(SysFlag::COMPRESSED) || body.is_empty() {
        return Ok(body.clone());
    }
    let input: &[u8] = body;
    let reader: Box<dyn Read> = match flag.compression_type() {
        0 | 3 => Box::new(flate2::read::ZlibDecoder::new(input)),
        1 => Box::new(lz4_flex::frame::FrameDecoder::new(input)),
        2 => Box::new(zstd::stream::read::Decoder::new(input).map_err(|error| error.to_string())?),
        other => return Err(format!("unknown compression type {other}")),
    };
    let mut out = Vec::new();
    reader.take(INFLATED_MAX + 1).read_to_end(&mut out).map_err(|error| error.to_string())?;
    if out.len() as u64 > INFLATED_MAX {
        return Err(format!("the body inflates to more than {INFLATED_MAX} bytes"));
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::RecordBuilder;

    fn received(topic: &str, properties: &str, flag: i32, body: &[u8]) -> MessageExt {
        let record = RecordBuilder {
            topic,
            queue_id: 1,
            flag: 0,
            sys_flag: SysFlag(flag),
            born_timestamp: 5,
            born_host: "10.0.0.1:4000".parse().unwrap(),
            store_host: "10.0.0.2:10911".parse().unwrap(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body,
            properties,
        };
        let mut record = record.encode().unwrap();
        record.fill(7, 9, 6);
        MessageExt::decode(&record.view().unwrap(), "b")
    }

    #[test]
    fn a_body_comes_back_from_every_compression() {
        let text = b"the same text ".repeat(100);
        let zlib = deflate(&text, 5).unwrap();
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(&text).unwrap();
        let lz4 = lz4.finish().unwrap();
        let zstd = zstd::stream::encode_all(&text[..], 3).unwrap();
        for (flag, stored) in
            [(0x001, &zlib[..]), (0x301, &zlib[..]), (0x101, &lz4[..]), (0x201, &zstd[..])]
        {
            let message = received("t", "", flag, stored);
            assert_eq!((message.damaged, &message.body[..]), (None, &text[..]), "{flag:#x}");
            assert_eq!(message.stored_body, stored);
        }
    }

    #[test]
    fn a_body_that_does_not_inflate_is_shown_as_stored_and_says_so() {
        let message = received("t", "", 0x001, b"no zlib");
        assert_eq!(&message.body[..], b"no zlib");
        assert!(message.damaged.is_some());
    }

    #[test]
    fn a_retry_shows_the_topic_it_came_from() {
        let from = "RETRY_TOPIC\u{1}orders\u{2}";
        assert_eq!(received("%RETRY%g", from, 0, b"x").topic(), "orders");
        assert_eq!(received("%RETRY%g", "", 0, b"x").topic(), "%RETRY%g");
        assert_eq!(received("%DLQ%g", from, 0, b"x").topic(), "%DLQ%g");
    }

    #[test]
    fn a_message_without_unique_key_is_known_by_its_offset_id() {
        let message = received("t", "", 0, b"x");
        assert_eq!(message.unique_id(), "0A00000200002A9F0000000000000009");
        assert_eq!(received("t", "UNIQ_KEY\u{1}k\u{2}", 0, b"x").unique_id(), "k");
    }

    #[test]
    fn json_goes_in_and_comes_out() {
        let sent = Message::json("t", &vec![1, 2]).unwrap().tag("a").keys(["k1", "k2"]);
        assert_eq!(sent.get("KEYS"), Some("k1 k2"));
        let message = received("t", &sent.properties_with("u"), 0, &sent.body);
        assert_eq!(message.json::<Vec<i32>>().unwrap(), [1, 2]);
        assert_eq!(message.keys().collect::<Vec<_>>(), ["k1", "k2"]);
        assert_eq!((message.tag(), message.unique_id().as_str()), (Some("a"), "u"));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_before() {
        assert!(Message::new("t", "x").check().is_ok());
        assert!(Message::new("t", "").check().is_err());
        assert!(Message::new("a b", "x").check().is_err());
        assert!(Message::new("t", "x").property("a\u{1}b", "c").check().is_err());
    }
}
