//! A dead letter that leaves the cluster and comes back: what exports, imports and sinks carry.
//!
//! Everything that a copy needs is in it, the body as it was stored; it names its letter, so that a
//! copy sent from it is recognised (console-ux.md §7.3, §7.5).

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use engine::client::MessageExt;
use engine::client::dead_letters::Letter;
use engine::protocol::sys_flag::SysFlag;
use serde::{Deserialize, Serialize};

/// One letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portable {
    /// Consumer group that gave it up.
    pub group: String,
    /// `BROKER:QUEUE:OFFSET` of the letter.
    pub id: String,
    /// Broker name.
    pub broker: String,
    /// Topic that it lies in: the dead-letter topic, or a retry topic for what is not dead yet.
    pub topic: String,
    /// Queue id.
    pub queue: i32,
    /// Offset in the queue.
    pub offset: i64,
    /// Offset in the commit log.
    pub log_offset: i64,
    /// Topic that the message came from, where the letter says it.
    pub origin: Option<String>,
    /// Id that all copies share.
    pub unique_id: String,
    /// Offset id of the first copy, where the letter says it.
    pub first_copy: Option<String>,
    /// Tag.
    pub tag: Option<String>,
    /// Keys, separated by blanks.
    pub keys: String,
    /// Deliveries that were made.
    pub tries: i32,
    /// When it died, the broker's clock, ms.
    pub died_ms: i64,
    /// When it was sent first, the producer's clock, ms.
    pub born_ms: i64,
    /// Who sent it first.
    pub born_host: String,
    /// Who stored it.
    pub store_host: String,
    /// The user's flag.
    pub flag: i32,
    /// System flag: how the body is compressed.
    pub sys_flag: i32,
    /// Property string as on the wire.
    pub properties: String,
    /// The letter that this one is a copy of, sent back and dead again.
    pub resent_from: Option<String>,
    /// How often it was sent back before.
    pub resent_count: u32,
    /// The body as consumers see it, when it is text.
    pub body: Option<String>,
    /// The body as it was stored, base64.
    pub stored_body: String,
}

impl Portable {
    /// Takes a letter along.
    pub fn of(letter: &Letter) -> Self {
        let message = &letter.message;
        Self {
            group: letter.group.clone(),
            id: letter.id(),
            broker: message.broker_name.clone(),
            topic: message.topic.clone(),
            queue: message.queue_id,
            offset: message.queue_offset,
            log_offset: message.log_offset,
            origin: letter.origin_topic().map(str::to_owned),
            unique_id: message.unique_id(),
            first_copy: letter.first_copy().map(str::to_owned),
            tag: message.tag().map(str::to_owned),
            keys: message.keys().collect::<Vec<_>>().join(" "),
            tries: letter.tries(),
            died_ms: letter.died_ms(),
            born_ms: message.born_ms,
            born_host: message.born_host.to_string(),
            store_host: message.store_host.to_string(),
            flag: message.flag,
            sys_flag: message.sys_flag.0,
            properties: message.properties.clone(),
            resent_from: letter.resent_from().map(str::to_owned),
            resent_count: letter.resent_count(),
            body: message.text().map(str::to_owned),
            stored_body: base64(&message.stored_body),
        }
    }

    /// The letter again.
    ///
    /// # Errors
    /// What was written by hand and does not read.
    pub fn letter(&self) -> Result<Letter, String> {
        let stored =
            unbase64(&self.stored_body).ok_or_else(|| format!("{}: body is no base64", self.id))?;
        let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let stored = Bytes::from(stored);
        let message = MessageExt {
            broker_name: self.broker.clone(),
            topic: self.topic.clone(),
            queue_id: self.queue,
            queue_offset: self.offset,
            log_offset: self.log_offset,
            flag: self.flag,
            sys_flag: SysFlag(self.sys_flag),
            born_ms: self.born_ms,
            born_host: self.born_host.parse().unwrap_or(nowhere),
            store_ms: self.died_ms,
            store_host: self.store_host.parse().unwrap_or(nowhere),
            reconsume_times: self.tries,
            properties: self.properties.clone(),
            body: stored.clone(),
            stored_body: stored,
            damaged: None,
        };
        Ok(Letter { message, group: self.group.clone() })
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes in base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let part = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let word = part(0) << 16 | part(1) << 8 | part(2);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = ALPHABET[(word >> shift & 63) as usize];
            text.push(if at <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Base64 as bytes; padding is not asked for.
pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut bits) = (0_u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        let value = ALPHABET.iter().position(|known| *known == digit)?;
        word = word << 6 | value as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
            word &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base64_is_that_of_everybody() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(bytes.as_bytes()), text);
            assert_eq!(unbase64(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(unbase64("a b"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(unbase64(&base64(&bytes)), Some(bytes));
        }
    }
}
