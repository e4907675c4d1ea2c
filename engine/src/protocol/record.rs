//! One stored message: the layout shared by the commit log and every response body that carries
//! messages (message.md §1).
//!
//! [`RecordView`] reads bytes from anywhere and never panics; [`RecordBuilder`] writes a record with
//! three holes that the append fills under its lock. What the fields mean is decided elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::properties;
use super::sys_flag::SysFlag;

/// Magic of ordinary records.
pub const MAGIC_V1: i32 = -626_843_481;
/// Magic of records whose topic length takes two bytes.
pub const MAGIC_V2: i32 = -626_843_477;
/// Magic of the marker that ends a log file.
pub const MAGIC_BLANK: i32 = -875_286_124;
/// Bytes of the end marker: its size and its magic.
pub const BLANK_LEN: usize = 8;
/// Longest topic of a V1 record in bytes.
pub const TOPIC_V1_MAX: usize = 127;
/// Longest topic of any record in bytes.
pub const TOPIC_MAX: usize = 255;
/// Smallest record: no body, no topic, no properties.
pub const RECORD_MIN: usize = 91;
/// First bytes of a record that hold every field up to the store timestamp, with any addresses.
pub const HEAD_MAX: usize = 76;

const AT_MAGIC: usize = 4;
const AT_CRC: usize = 8;
const AT_QUEUE_ID: usize = 12;
const AT_FLAG: usize = 16;
const AT_QUEUE_OFFSET: usize = 20;
const AT_PHYSICAL: usize = 28;
const AT_SYS_FLAG: usize = 36;
const AT_BORN_TIME: usize = 40;
const AT_BORN_HOST: usize = 48;

/// Why bytes are not a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordError {
    /// Fewer bytes than the record says it has.
    #[error("record of {size} bytes is cut off after {have}")]
    Short {
        /// Size the record claims.
        size: usize,
        /// Bytes there are.
        have: usize,
    },
    /// The first field is not a possible size.
    #[error("{0} is not the size of a record")]
    Size(i32),
    /// The second field is not the magic of a record.
    #[error("{0:#010x} is not the magic of a record")]
    Magic(i32),
    /// The lengths inside do not add up to the size.
    #[error("lengths inside the record do not add up to its size of {0}")]
    Lengths(usize),
    /// The topic is not UTF-8.
    #[error("the topic is not valid UTF-8")]
    Topic,
    /// A part to be encoded is longer than its length field can say.
    #[error("{part} of {len} bytes is larger than the limit of {limit}")]
    TooLong {
        /// Which part.
        part: &'static str,
        /// Its bytes.
        len: usize,
        /// Its limit.
        limit: usize,
    },
}

/// Checksum of a body as records carry it.
pub fn body_crc(body: &[u8]) -> i32 {
    (crc32fast::hash(body) & 0x7FFF_FFFF) as i32
}

/// A 32-bit field, or none when the bytes end before it.
pub fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A 64-bit field, or none when the bytes end before it.
pub fn i64_at(bytes: &[u8], at: usize) -> Option<i64> {
    Some(i64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn i16_at(bytes: &[u8], at: usize) -> Option<i16> {
    Some(i16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Store timestamp of a record of which at least [`HEAD_MAX`] bytes (or all) are there.
pub fn store_timestamp(head: &[u8]) -> Option<i64> {
    let flag = SysFlag(i32_at(head, AT_SYS_FLAG)?);
    i64_at(head, AT_BORN_HOST + flag.born_host_len())
}

/// Whether the first bytes look like the record at this place: size, magic and own position.
/// This is the check of every read; checksums are for recovery.
pub fn head_matches(head: &[u8], size: usize, physical: u64) -> bool {
    i32_at(head, 0) == i32::try_from(size).ok()
        && matches!(i32_at(head, AT_MAGIC), Some(MAGIC_V1 | MAGIC_V2))
        && i64_at(head, AT_PHYSICAL) == i64::try_from(physical).ok()
}

/// A record, read in place.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    bytes: &'a [u8],
    sys_flag: SysFlag,
    /// Start of the store timestamp; the fields before it have fixed places.
    at_store_time: usize,
    body: &'a [u8],
    topic: &'a str,
    properties: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// Reads the record at the start of `bytes`; what follows it is ignored.
    ///
    /// # Errors
    /// When the bytes are not one whole record. The checksum is not verified here.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let have = bytes.len();
        let short = |size| RecordError::Short { size, have };
        let size = i32_at(bytes, 0).ok_or(short(RECORD_MIN))?;
        let len = usize::try_from(size).map_err(|_| RecordError::Size(size))?;
        if len < RECORD_MIN {
            return Err(RecordError::Size(size));
        }
        let magic = i32_at(bytes, AT_MAGIC).ok_or(short(len))?;
        if magic != MAGIC_V1 && magic != MAGIC_V2 {
            return Err(RecordError::Magic(magic));
        }
        let bytes = bytes.get(..len).ok_or(short(len))?;
        Self::fields(bytes, magic).ok_or(RecordError::Lengths(len))?
    }

    /// `None` when the lengths do not add up.
    fn fields(bytes: &'a [u8], magic: i32) -> Option<Result<Self, RecordError>> {
        let sys_flag = SysFlag(i32_at(bytes, AT_SYS_FLAG)?);
        let at_store_time = AT_BORN_HOST + sys_flag.born_host_len();
        let at_body_len = at_store_time + 8 + sys_flag.store_host_len() + 12;
        let body_len = usize::try_from(i32_at(bytes, at_body_len)?).ok()?;
        let rest = bytes.get(at_body_len + 4..)?;
        let (body, rest) = rest.split_at_checked(body_len)?;
        let (topic_len, rest) = if magic == MAGIC_V1 {
            let (first, rest) = rest.split_first()?;
            (usize::try_from(first.cast_signed()).ok()?, rest)
        } else {
            (usize::try_from(i16_at(rest, 0)?).ok()?, rest.get(2..)?)
        };
        let (topic, rest) = rest.split_at_checked(topic_len)?;
        let properties_len = usize::try_from(i16_at(rest, 0)?).ok()?;
        let properties = rest.get(2..)?;
        if properties.len() != properties_len {
            return None;
        }
        let Ok(topic) = std::str::from_utf8(topic) else {
            return Some(Err(RecordError::Topic));
        };
        Some(Ok(Self { bytes, sys_flag, at_store_time, body, topic, properties }))
    }

    fn i32(&self, at: usize) -> i32 {
        i32_at(self.bytes, at).unwrap_or_default()
    }

    fn i64(&self, at: usize) -> i64 {
        i64_at(self.bytes, at).unwrap_or_default()
    }

    /// The whole record.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
    /// Bytes of the whole record.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
    /// Whether the topic length takes two bytes.
    pub fn is_v2(&self) -> bool {
        self.i32(AT_MAGIC) == MAGIC_V2
    }
    /// Stored checksum of the body.
    pub fn body_crc(&self) -> i32 {
        self.i32(AT_CRC)
    }
    /// Queue of the topic.
    pub fn queue_id(&self) -> i32 {
        self.i32(AT_QUEUE_ID)
    }
    /// The user's flag.
    pub fn flag(&self) -> i32 {
        self.i32(AT_FLAG)
    }
    /// Offset inside the queue; 0 for prepared and rollback records.
    pub fn queue_offset(&self) -> i64 {
        self.i64(AT_QUEUE_OFFSET)
    }
    /// Commit-log offset of the first byte.
    pub fn physical_offset(&self) -> i64 {
        self.i64(AT_PHYSICAL)
    }
    /// System flag.
    pub fn sys_flag(&self) -> SysFlag {
        self.sys_flag
    }
    /// Milliseconds, the producer's clock.
    pub fn born_timestamp(&self) -> i64 {
        self.i64(AT_BORN_TIME)
    }
    /// Address of the producer.
    pub fn born_host(&self) -> SocketAddr {
        self.host(AT_BORN_HOST, self.sys_flag.has(SysFlag::BORN_IPV6))
    }
    /// Milliseconds, the broker's clock.
    pub fn store_timestamp(&self) -> i64 {
        self.i64(self.at_store_time)
    }
    /// Address of the broker.
    pub fn store_host(&self) -> SocketAddr {
        self.host(self.at_store_time + 8, self.sys_flag.has(SysFlag::STORE_IPV6))
    }
    /// Attempts made before.
    pub fn reconsume_times(&self) -> i32 {
        self.i32(self.at_store_time + 8 + self.sys_flag.store_host_len())
    }
    /// Commit-log offset of the half message this one ends, else 0.
    pub fn prepared_transaction_offset(&self) -> i64 {
        self.i64(self.at_store_time + 12 + self.sys_flag.store_host_len())
    }
    /// Body as it was received, possibly compressed.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }
    /// Topic.
    pub fn topic(&self) -> &'a str {
        self.topic
    }
    /// Properties as bytes.
    pub fn properties_bytes(&self) -> &'a [u8] {
        self.properties
    }
    /// Properties as text; what follows a byte that is not UTF-8 is left out.
    pub fn properties(&self) -> &'a str {
        match std::str::from_utf8(self.properties) {
            Ok(text) => text,
            Err(error) => self
                .properties
                .get(..error.valid_up_to())
                .and_then(|valid| std::str::from_utf8(valid).ok())
                .unwrap_or_default(),
        }
    }
    /// Value of one property.
    pub fn property(&self, key: &str) -> Option<&'a str> {
        properties::get(self.properties(), key)
    }
    /// Whether the body has the checksum that the record carries. An empty body has none.
    pub fn crc_matches(&self) -> bool {
        self.body.is_empty() || body_crc(self.body) == self.body_crc()
    }

    fn host(&self, at: usize, ipv6: bool) -> SocketAddr {
        let field = self.bytes.get(at..).unwrap_or_default();
        let (ip, port_at): (IpAddr, usize) = if ipv6 {
            (Ipv6Addr::from(field.first_chunk::<16>().copied().unwrap_or_default()).into(), 16)
        } else {
            (Ipv4Addr::from(field.first_chunk::<4>().copied().unwrap_or_default()).into(), 4)
        };
        SocketAddr::new(ip, i32_at(field, port_at).unwrap_or_default() as u16)
    }
}

/// What a new record says, but for the three holes.
#[derive(Clone, Copy, Debug)]
pub struct RecordBuilder<'a> {
    /// Topic, at most [`TOPIC_MAX`] bytes.
    pub topic: &'a str,
    /// Queue of the topic.
    pub queue_id: i32,
    /// The user's flag.
    pub flag: i32,
    /// System flag; the address bits are set from the addresses.
    pub sys_flag: SysFlag,
    /// Milliseconds, the producer's clock.
    pub born_timestamp: i64,
    /// Address of the producer.
    pub born_host: SocketAddr,
    /// Address of the broker.
    pub store_host: SocketAddr,
    /// Attempts made before.
    pub reconsume_times: i32,
    /// Commit-log offset of the half message this one ends, else 0.
    pub prepared_transaction_offset: i64,
    /// Body as received.
    pub body: &'a [u8],
    /// Property string.
    pub properties: &'a str,
}

impl RecordBuilder<'_> {
    /// Writes the record with zeros in the holes. V2 only when the topic needs it.
    ///
    /// # Errors
    /// [`RecordError::TooLong`] when topic, properties or body exceed their length fields.
    pub fn encode(&self) -> Result<RecordBuf, RecordError> {
        limit("topic", self.topic.len(), TOPIC_MAX)?;
        limit("properties", self.properties.len(), properties::LEN_MAX)?;
        limit("body", self.body.len(), i32::MAX as usize / 2)?;
        let flag = self
            .sys_flag
            .with(SysFlag::BORN_IPV6, self.born_host.is_ipv6())
            .with(SysFlag::STORE_IPV6, self.store_host.is_ipv6());
        let v2 = self.topic.len() > TOPIC_V1_MAX;
        let size = 75
            + flag.born_host_len()
            + flag.store_host_len()
            + usize::from(v2)
            + self.body.len()
            + self.topic.len()
            + self.properties.len();
        let mut out = Vec::with_capacity(size);
        out.extend_from_slice(&(size as i32).to_be_bytes());
        out.extend_from_slice(&if v2 { MAGIC_V2 } else { MAGIC_V1 }.to_be_bytes());
        out.extend_from_slice(&body_crc(self.body).to_be_bytes());
        out.extend_from_slice(&self.queue_id.to_be_bytes());
        out.extend_from_slice(&self.flag.to_be_bytes());
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(&flag.0.to_be_bytes());
        out.extend_from_slice(&self.born_timestamp.to_be_bytes());
        put_host(&mut out, self.born_host);
        out.extend_from_slice(&[0; 8]);
        put_host(&mut out, self.store_host);
        out.extend_from_slice(&self.reconsume_times.to_be_bytes());
        out.extend_from_slice(&self.prepared_transaction_offset.to_be_bytes());
        out.extend_from_slice(&(self.body.len() as i32).to_be_bytes());
        out.extend_from_slice(self.body);
        if v2 {
            out.extend_from_slice(&(self.topic.len() as u16).to_be_bytes());
        } else {
            out.push(self.topic.len() as u8);
        }
        out.extend_from_slice(self.topic.as_bytes());
        out.extend_from_slice(&(self.properties.len() as u16).to_be_bytes());
        out.extend_from_slice(self.properties.as_bytes());
        debug_assert_eq!(out.len(), size, "every field was counted");
        Ok(RecordBuf { bytes: out, at_store_time: AT_BORN_HOST + flag.born_host_len() })
    }
}

fn limit(part: &'static str, len: usize, limit: usize) -> Result<(), RecordError> {
    if len > limit { Err(RecordError::TooLong { part, len, limit }) } else { Ok(()) }
}

fn put_host(out: &mut Vec<u8>, host: SocketAddr) {
    match host.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&i32::from(host.port()).to_be_bytes());
}

/// An encoded record whose three holes are still to be filled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordBuf {
    bytes: Vec<u8>,
    at_store_time: usize,
}

impl RecordBuf {
    /// Takes the bytes of exactly one record, for example to store a copy of it.
    ///
    /// # Errors
    /// When they are not one.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, RecordError> {
        let view = RecordView::parse(&bytes)?;
        if view.size() != bytes.len() {
            return Err(RecordError::Lengths(bytes.len()));
        }
        let at_store_time = view.at_store_time;
        Ok(Self { bytes, at_store_time })
    }

    /// Fills the holes.
    pub fn fill(&mut self, queue_offset: u64, physical: u64, store_timestamp: i64) {
        self.put(AT_QUEUE_OFFSET, queue_offset.to_be_bytes());
        self.put(AT_PHYSICAL, physical.to_be_bytes());
        self.put(self.at_store_time, store_timestamp.to_be_bytes());
    }

    fn put(&mut self, at: usize, field: [u8; 8]) {
        if let Some(hole) = self.bytes.get_mut(at..at + 8) {
            hole.copy_from_slice(&field);
        }
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// Bytes of the record.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
    /// Never true: a record has at least its fixed fields.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
    /// Reads it back.
    ///
    /// # Errors
    /// Never for a record that [`RecordBuilder::encode`] made.
    pub fn view(&self) -> Result<RecordView<'_>, RecordError> {
        RecordView::parse(&self.bytes)
    }
}

/// The records of a response body, one after the other, up to the first that does not decode.
pub fn iter(mut body: &[u8]) -> impl Iterator<Item = RecordView<'_>> {
    std::iter::from_fn(move || {
        let view = RecordView::parse(body).ok()?;
        body = body.get(view.size()..).unwrap_or_default();
        Some(view)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn builder<'a>(topic: &'a str, body: &'a [u8], properties: &'a str) -> RecordBuilder<'a> {
        RecordBuilder {
            topic,
            queue_id: 3,
            flag: 7,
            sys_flag: SysFlag(1),
            born_timestamp: 1_700_000_000_000,
            born_host: "10.1.2.3:4567".parse().unwrap(),
            store_host: "127.0.0.1:10911".parse().unwrap(),
            reconsume_times: 2,
            prepared_transaction_offset: 99,
            body,
            properties,
        }
    }

    #[test]
    fn fixed_overhead_is_91_bytes_and_92_for_long_topics() {
        assert_eq!(builder("T", b"", "").encode().unwrap().len(), 91 + 1);
        let long = "t".repeat(128);
        let record = builder(&long, b"", "").encode().unwrap();
        assert_eq!(record.len(), 92 + 128);
        assert!(record.view().unwrap().is_v2());
        assert!(!builder(&long[..127], b"", "").encode().unwrap().view().unwrap().is_v2());
    }

    #[test]
    fn checksum_has_31_bits() {
        assert_eq!(body_crc(b"123456789"), 0xCBF4_3926_u32 as i32 & 0x7FFF_FFFF);
    }

    #[test]
    fn a_flipped_body_byte_is_found() {
        let record = builder("T", b"hello", "").encode().unwrap();
        let mut bytes = record.as_bytes().to_vec();
        assert!(RecordView::parse(&bytes).unwrap().crc_matches());
        bytes[89] ^= 1;
        assert!(!RecordView::parse(&bytes).unwrap().crc_matches());
    }

    #[test]
    fn a_record_cut_anywhere_is_refused() {
        let record = builder("T", b"hello", "A\u{1}b\u{2}").encode().unwrap();
        for len in 0..record.len() {
            assert!(RecordView::parse(&record.as_bytes()[..len]).is_err(), "cut at {len}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read(
            topic in "[a-zA-Z%_-]{1,255}",
            body in proptest::collection::vec(any::<u8>(), 0..300),
            properties in "[ -~\u{1}\u{2}é]{0,200}",
            ipv6 in any::<(bool, bool)>(),
            holes in any::<(u64, u64, i64)>(),
        ) {
            let v6: SocketAddr = "[2001:db8::1]:65535".parse().unwrap();
            let mut source = builder(&topic, &body, &properties);
            if ipv6.0 { source.born_host = v6; }
            if ipv6.1 { source.store_host = v6; }
            let mut record = source.encode().unwrap();
            record.fill(holes.0, holes.1, holes.2);
            let view = record.view().unwrap();
            prop_assert_eq!(view.topic(), &topic);
            prop_assert_eq!(view.body(), &body[..]);
            prop_assert_eq!(view.properties(), &properties);
            prop_assert_eq!(view.born_host(), source.born_host);
            prop_assert_eq!(view.store_host(), source.store_host);
            prop_assert_eq!((view.queue_id(), view.flag(), view.reconsume_times()), (3, 7, 2));
            prop_assert_eq!(view.prepared_transaction_offset(), 99);
            prop_assert_eq!(view.queue_offset(), holes.0 as i64);
            prop_assert_eq!(view.physical_offset(), holes.1 as i64);
            prop_assert_eq!(view.store_timestamp(), holes.2);
            prop_assert_eq!(store_timestamp(record.as_bytes()), Some(holes.2));
            prop_assert!(view.crc_matches());
            prop_assert!(head_matches(record.as_bytes(), record.len(), holes.1)
                || i64::try_from(holes.1).is_err());
            prop_assert_eq!(RecordBuf::from_bytes(record.as_bytes().to_vec()).unwrap(), record);
        }

        #[test]
        fn hostile_bytes_never_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            magic in any::<bool>(),
        ) {
            if magic && bytes.len() > 8 {
                let len = bytes.len() as i32;
                bytes[..4].copy_from_slice(&len.to_be_bytes());
                bytes[4..8].copy_from_slice(&MAGIC_V1.to_be_bytes());
            }
            for view in iter(&bytes) {
                let _ = (view.born_host(), view.store_host(), view.property("A"), view.crc_matches());
            }
            let _ = store_timestamp(&bytes);
        }

        #[test]
        fn a_damaged_record_never_panics(at in 0usize..100, byte in any::<u8>()) {
            let record = builder("T", b"hello", "A\u{1}b\u{2}").encode().unwrap();
            let mut bytes = record.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(view) = RecordView::parse(&bytes) {
                let _ = (view.born_host(), view.properties(), view.reconsume_times());
            }
        }
    }
}
