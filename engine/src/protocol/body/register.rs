//! Body of REGISTER_BROKER (103), plain JSON or compressed.
//!
//! What the name server makes of it is `namesrv`. The compressed form is zlib over length-prefixed
//! pieces; it may come from anybody, so what it inflates to is bounded. Spec: remoting.md §11.9.

use std::collections::BTreeMap;
use std::io::Read;

use serde::{Deserialize, Serialize};

use super::lenient;
use super::topic_config::{DataVersion, TopicConfig, TopicConfigSerializeWrapper, TopicFilterType};
use crate::protocol::json_dialect::{self, JsonError};

/// Most bytes that a compressed body may inflate to: about 500,000 topics.
pub const INFLATED_MAX: u64 = 64 * 1024 * 1024;
/// First broker version whose body has this JSON form; older ones send a bare topic table.
const BODY_SINCE: i32 = 37;

/// Why a registration's body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RegisterBodyError {
    /// The body is not what the sender computed the check sum over.
    #[error("crc32 not match")]
    Crc,
    /// The JSON form, or a JSON piece of the compressed one.
    #[error("register body: {0}")]
    Json(#[from] JsonError),
    /// The compressed form ends early or lies about a length.
    #[error("register body: {0}")]
    Malformed(&'static str),
}

/// What a broker tells a name server about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RegisterBrokerBody {
    #[serde(deserialize_with = "lenient::or_default")]
    pub filter_server_list: Vec<String>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub topic_config_serialize_wrapper: TopicConfigSerializeWrapper,
}

/// How a body came, from the request's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyForm {
    /// `compressed` of the header.
    pub compressed: bool,
    /// `bodyCrc32` of the header; 0 is unchecked.
    pub crc: i32,
    /// Wire version of the sender.
    pub version: i32,
}

impl RegisterBrokerBody {
    /// Reads a body of either form. An absent body is an empty table.
    pub fn decode(body: &[u8], form: BodyForm) -> Result<Self, RegisterBodyError> {
        if form.crc != 0 && form.crc != crc(body) {
            return Err(RegisterBodyError::Crc);
        }
        if body.is_empty() {
            return Ok(Self::default());
        }
        if form.version < BODY_SINCE {
            let topic_config_serialize_wrapper = json_dialect::from_slice(body)?;
            return Ok(Self { topic_config_serialize_wrapper, ..Self::default() });
        }
        if form.compressed { Self::inflate(body) } else { Ok(json_dialect::from_slice(body)?) }
    }

    /// Writes the plain form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        json_dialect::to_vec(self)
    }

    fn inflate(body: &[u8]) -> Result<Self, RegisterBodyError> {
        let mut text = Vec::new();
        flate2::read::ZlibDecoder::new(body)
            .take(INFLATED_MAX + 1)
            .read_to_end(&mut text)
            .map_err(|_| RegisterBodyError::Malformed("not zlib"))?;
        if text.len() as u64 > INFLATED_MAX {
            return Err(RegisterBodyError::Malformed("inflates beyond the limit"));
        }
        let mut rest = text.as_slice();
        let data_version: DataVersion = json_dialect::from_slice(piece(&mut rest)?)?;
        let mut topic_config_table = BTreeMap::new();
        for _ in 0..count(&mut rest)? {
            let config = topic_line(piece(&mut rest)?)?;
            topic_config_table.insert(config.topic_name.clone(), config);
        }
        let filter_server_list = json_dialect::from_slice(piece(&mut rest)?)?;
        // What follows maps static topics, which have no part here.
        let topic_config_serialize_wrapper = TopicConfigSerializeWrapper {
            data_version,
            topic_config_table,
            ..TopicConfigSerializeWrapper::default()
        };
        Ok(Self { filter_server_list, topic_config_serialize_wrapper })
    }
}

/// Check sum of a body as the header carries it: never negative.
#[must_use]
pub fn crc(body: &[u8]) -> i32 {
    (crc32fast::hash(body) & 0x7FFF_FFFF) as i32
}

fn count(rest: &mut &[u8]) -> Result<usize, RegisterBodyError> {
    let (head, tail) =
        rest.split_first_chunk().ok_or(RegisterBodyError::Malformed("ends inside a length"))?;
    *rest = tail;
    usize::try_from(i32::from_be_bytes(*head))
        .map_err(|_| RegisterBodyError::Malformed("negative length"))
}

fn piece<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], RegisterBodyError> {
    let len = count(rest)?;
    let (head, tail) =
        rest.split_at_checked(len).ok_or(RegisterBodyError::Malformed("length beyond the end"))?;
    *rest = tail;
    Ok(head)
}

/// `name read write perm filterType attributesJSON`, separated by one blank.
fn topic_line(line: &[u8]) -> Result<TopicConfig, RegisterBodyError> {
    const BAD: RegisterBodyError = RegisterBodyError::Malformed("topic line");
    let line = std::str::from_utf8(line).map_err(|_| BAD)?;
    let mut words = line.splitn(6, ' ');
    let mut word = || words.next().ok_or(BAD);
    let name = word()?.to_owned();
    let mut number = || word()?.parse::<i32>().map_err(|_| BAD);
    let (read_queue_nums, write_queue_nums, perm) = (number()?, number()?, number()?);
    let topic_filter_type = TopicFilterType::from_name(word()?);
    let attributes = match word() {
        Ok(text) if !text.is_empty() => json_dialect::from_slice(text.as_bytes())?,
        _ => BTreeMap::new(),
    };
    Ok(TopicConfig {
        topic_name: name,
        read_queue_nums,
        write_queue_nums,
        perm,
        topic_filter_type,
        attributes,
        ..TopicConfig::default()
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn compressed(topics: &[&str]) -> Vec<u8> {
        let mut text = Vec::new();
        let mut piece = |bytes: &[u8]| {
            text.extend_from_slice(&i32::try_from(bytes.len()).unwrap().to_be_bytes());
            text.extend_from_slice(bytes);
        };
        piece(br#"{"counter":3,"stateVersion":1,"timestamp":9}"#);
        text.extend_from_slice(&i32::try_from(topics.len()).unwrap().to_be_bytes());
        for topic in topics {
            text.extend_from_slice(&i32::try_from(topic.len()).unwrap().to_be_bytes());
            text.extend_from_slice(topic.as_bytes());
        }
        text.extend_from_slice(&2_i32.to_be_bytes());
        text.extend_from_slice(b"[]");
        text.extend_from_slice(&0_i32.to_be_bytes());
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(&text).unwrap();
        out.finish().unwrap()
    }

    fn form(body: &[u8]) -> BodyForm {
        BodyForm { compressed: true, crc: crc(body), version: 513 }
    }

    #[test]
    fn compressed_body_reads() {
        let body = compressed(&[
            "orders 4 8 6 SINGLE_TAG {\"message.type\":\"FIFO\"}",
            "t 1 1 2 MULTI_TAG",
        ]);
        let read = RegisterBrokerBody::decode(&body, form(&body)).unwrap();
        let table = &read.topic_config_serialize_wrapper.topic_config_table;
        assert_eq!(read.topic_config_serialize_wrapper.data_version.state_version, 1);
        assert_eq!((table["orders"].read_queue_nums, table["orders"].write_queue_nums), (4, 8));
        assert_eq!(table["orders"].attributes["message.type"], "FIFO");
        assert_eq!((table["t"].perm, table["t"].topic_filter_type), (2, TopicFilterType::MultiTag));
    }

    #[test]
    fn a_wrong_check_sum_is_refused_and_zero_is_unchecked() {
        let body =
            br#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"t":{"topicName":"t"}}}}"#;
        let form = |crc| BodyForm { compressed: false, crc, version: 513 };
        assert!(matches!(RegisterBrokerBody::decode(body, form(1)), Err(RegisterBodyError::Crc)));
        assert!(RegisterBrokerBody::decode(body, form(0)).is_ok());
        assert!(RegisterBrokerBody::decode(body, form(crc(body))).is_ok());
    }

    #[test]
    fn plain_form_survives_a_round_trip_and_old_brokers_send_the_bare_table() {
        let mut body = RegisterBrokerBody::default();
        let table = &mut body.topic_config_serialize_wrapper.topic_config_table;
        table.insert("t".into(), TopicConfig { topic_name: "t".into(), ..TopicConfig::default() });
        let form = |version| BodyForm { compressed: false, crc: 0, version };
        assert_eq!(RegisterBrokerBody::decode(&body.encode(), form(513)).unwrap(), body);
        let bare = json_dialect::to_vec(&body.topic_config_serialize_wrapper);
        assert_eq!(RegisterBrokerBody::decode(&bare, form(36)).unwrap(), body);
    }

    #[test]
    fn cut_compressed_bodies_are_errors() {
        let body = compressed(&["orders 4 8 6 SINGLE_TAG {}"]);
        for len in 1..body.len() {
            let cut = &body[..len];
            assert!(RegisterBrokerBody::decode(cut, form(cut)).is_err(), "{len} bytes");
        }
    }
}
