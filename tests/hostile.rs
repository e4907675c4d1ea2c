//! Bytes that no client should send: the proper answer where the protocol has one, otherwise that
//! connection alone is closed, and nobody else notices.

#![allow(clippy::unwrap_used)]

mod test_support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use engine::protocol::code;
use engine::protocol::ext_fields::Fields;
use engine::protocol::frame::{self, Frame, Serialization};
use engine::protocol::header::{FLAG_ONEWAY, Outgoing};

/// A bare socket that speaks frames.
struct Wire {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Wire {
    fn to(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(test_support::PATIENCE)).unwrap();
        Self { stream, buffer: BytesMut::new() }
    }

    fn write(&mut self, bytes: &[u8]) {
        // A server that has closed already resets the connection: what counts is what follows.
        let _ = self.stream.write_all(bytes);
    }

    fn send(&mut self, request: &Outgoing) {
        let mut out = BytesMut::new();
        request.encode(Serialization::Json, &mut out);
        self.write(&out);
    }

    /// The next answer; `None` when the server closed the connection.
    fn answer(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = frame::split(&mut self.buffer).unwrap() {
                return Some(frame);
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece) {
                Ok(0) => return None,
                Ok(n) => self.buffer.extend_from_slice(&piece[..n]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no answer and no end: {error}"),
            }
        }
    }

    /// Code and remark of the next answer.
    fn told(&mut self) -> (i32, String) {
        let frame = self.answer().expect("an answer");
        let header = frame.decode().unwrap();
        (header.code, header.remark.unwrap_or_default().into_owned())
    }
}

fn request(code: i32, fields: Fields) -> Outgoing {
    Outgoing::request(code, 7, fields, Bytes::new())
}

/// Somebody else, who must never notice anything.
fn witness(addr: SocketAddr) -> Wire {
    let mut wire = Wire::to(addr);
    still_served(&mut wire);
    wire
}

fn still_served(wire: &mut Wire) {
    let fields = Fields::new().text("topic", "TBW102").int("queueId", 0);
    wire.send(&request(code::GET_MAX_OFFSET, fields));
    assert_eq!(wire.told().0, 0);
}

#[test]
fn what_cannot_be_a_frame_closes_its_own_connection_and_no_other() {
    let (engine, _dir) = test_support::engine(|_| {});
    let header = |text: &[u8]| {
        let mut bytes = ((4 + text.len()) as u32).to_be_bytes().to_vec();
        bytes.extend((text.len() as u32).to_be_bytes());
        bytes.extend(text);
        bytes
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a frame larger than 16 MiB", vec![0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1]),
        ("a negative length", vec![0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1]),
        ("a length below its own prefix", vec![0, 0, 0, 1, 0, 0, 0, 0]),
        ("a header longer than its frame", vec![0, 0, 0, 8, 0, 0, 0, 99, 0, 0, 0, 0]),
        ("an unknown serialization", vec![0, 0, 0, 4, 9, 0, 0, 0]),
        ("a header that is no JSON", header(b"{\"code\":")),
        ("a header that is no object", header(b"[1,2,3]")),
        ("text of another protocol", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
    ];
    for addr in [engine.broker_addr(), engine.namesrv_addr()] {
        for (what, bytes) in &cases {
            let mut wire = Wire::to(addr);
            wire.write(bytes);
            assert!(wire.answer().is_none(), "{what} was answered by {addr}");
        }
    }
    let mut other = witness(engine.broker_addr());
    still_served(&mut other);
    engine.stop().unwrap();
}

#[test]
fn errors_that_the_protocol_has_an_answer_for_keep_the_connection() {
    let (engine, _dir) = test_support::engine(|_| {});
    let mut wire = Wire::to(engine.broker_addr());
    wire.send(&request(29_999, Fields::new()));
    assert_eq!(wire.told(), (3, " request type 29999 not supported".into()));
    wire.send(&request(code::GET_MAX_OFFSET, Fields::new().text("topic", "t")));
    let (code, remark) = wire.told();
    assert!(code == 1 && remark.contains("queueId"), "{code} {remark}");
    let fields = Fields::new().text("topic", "t").text("queueId", "many");
    wire.send(&request(code::GET_MAX_OFFSET, fields));
    assert!(wire.told().1.contains("many"));
    let mut heartbeat = request(code::HEART_BEAT, Fields::new());
    heartbeat.body = Bytes::from_static(b"{\"clientID\":");
    wire.send(&heartbeat);
    assert_eq!(wire.told().0, 1, "a body that is no JSON");
    still_served(&mut wire);
    engine.stop().unwrap();
}

#[test]
fn a_oneway_request_is_never_answered_not_even_with_an_error() {
    let (engine, _dir) = test_support::engine(|_| {});
    let mut wire = Wire::to(engine.broker_addr());
    let mut silent = request(29_999, Fields::new());
    silent.flag = FLAG_ONEWAY;
    wire.send(&silent);
    let mut loud = request(29_998, Fields::new());
    loud.opaque = 8;
    wire.send(&loud);
    assert_eq!(wire.answer().unwrap().decode().unwrap().opaque, 8);
    engine.stop().unwrap();
}

#[test]
fn a_client_that_leaves_in_mid_frame_is_forgotten() {
    let (engine, _dir) = test_support::engine(|_| {});
    let mut bytes = BytesMut::new();
    request(code::GET_MAX_OFFSET, Fields::new().text("topic", "t").int("queueId", 0))
        .encode(Serialization::Json, &mut bytes);
    for cut in (1..bytes.len()).step_by(7) {
        let mut wire = Wire::to(engine.broker_addr());
        wire.write(&bytes[..cut]);
        drop(wire);
    }
    let mut other = witness(engine.broker_addr());
    still_served(&mut other);
    engine.stop().unwrap();
}

#[test]
fn random_bytes_behind_a_valid_prefix_never_stop_the_engine() {
    let (engine, _dir) = test_support::engine(|_| {});
    let mut other = witness(engine.broker_addr());
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..400 {
        let len = (random() % 120) as usize;
        let noise: Vec<u8> = (0..len).map(|_| random() as u8).collect();
        let header_len = if len == 0 { 0 } else { random() as usize % (len + 1) };
        let kind = (random() % 2) as u32;
        let mut bytes = ((4 + len) as u32).to_be_bytes().to_vec();
        bytes.extend((kind << 24 | header_len as u32).to_be_bytes());
        bytes.extend(&noise);
        let addr = if round % 2 == 0 { engine.broker_addr() } else { engine.namesrv_addr() };
        let mut wire = Wire::to(addr);
        wire.write(&bytes);
        if round % 50 == 0 {
            still_served(&mut other);
        }
    }
    still_served(&mut other);
    engine.stop().unwrap();
}

/// Header fields of all requests, more or less.
const NAMES: &[&str] = &[
    "topic",
    "b",
    "consumerGroup",
    "producerGroup",
    "group",
    "a",
    "queueId",
    "e",
    "queueOffset",
    "offset",
    "maxMsgNums",
    "sysFlag",
    "f",
    "commitOffset",
    "suspendTimeoutMillis",
    "subVersion",
    "bornTimestamp",
    "g",
    "flag",
    "h",
    "timestamp",
    "key",
    "maxNum",
    "beginTimestamp",
    "endTimestamp",
    "index",
    "count",
    "delayLevel",
    "readQueueNums",
    "writeQueueNums",
    "perm",
    "topicFilterType",
    "order",
    "statsName",
    "statsKey",
    "srcGroup",
    "destGroup",
    "groupName",
    "clientId",
    "clientID",
    "msgId",
    "namespace",
    "value",
    "brokerName",
    "brokerAddr",
    "clusterName",
    "brokerId",
    "cluster",
    "topicSeq",
    "maxTopicNum",
    "groupSeq",
    "maxGroupNum",
];

/// Every request of the table with every header field missing, empty, negative and huge.
#[test]
fn every_request_survives_absurd_fields() {
    let (engine, _dir) = test_support::engine(|_| {});
    let values =
        ["", "0", "-1", "9223372036854775807", "-9223372036854775808", "%RETRY%", "%DLQ%g", "x"];
    let rows: Vec<_> = code::ROWS.iter().filter(|row| row.lane != code::Lane::Push).collect();
    for row in rows {
        let addr = if row.lane == code::Lane::Names {
            engine.namesrv_addr()
        } else {
            engine.broker_addr()
        };
        let mut wire = Wire::to(addr);
        for value in values {
            let fields = NAMES.iter().fold(Fields::new(), |fields, name| fields.text(name, value));
            wire.send(&request(row.code, fields));
            wire.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            assert!(wire.answer().is_some(), "{} closed the connection for {value:?}", row.name);
        }
    }
    let mut other = witness(engine.broker_addr());
    still_served(&mut other);
    engine.stop().unwrap();
}
