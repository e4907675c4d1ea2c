//! One connection of a load: frames made beforehand and patched, answers looked at for little.
//!
//! The client shares two cores with the broker that it measures, so it does as little as it can: a
//! request is a copied template with its numbers overwritten, an answer is a header scan.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::{Bytes, BytesMut};
use engine::protocol::code::SEND_MESSAGE_V2;
use engine::protocol::ext_fields::Fields;
use engine::protocol::frame::{self, Frame, Serialization};
use engine::protocol::header::{FLAG_ONEWAY, Outgoing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest wait for an answer before a run fails.
pub const ANSWER_WAIT: Duration = Duration::from_secs(15);
/// Opaques begin here, so that every number has the same nine digits: up to 899,999,999 messages a connection.
const OPAQUE_BASE: u32 = 100_000_000;
/// What stands before the opaque in a header.
pub const OPAQUE_KEY: &str = "\"opaque\":";
/// Digits that stand for the number of a message in a template, hexadecimal.
const COUNT_MARK: &str = "FEDCBA98";

/// A connection to the broker.
pub struct Wire {
    stream: TcpStream,
    answers: BytesMut,
}

impl Wire {
    /// Connects.
    pub async fn connect(addr: SocketAddr) -> anyhow::Result<Self> {
        let stream =
            TcpStream::connect(addr).await.with_context(|| format!("cannot reach {addr}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answers: BytesMut::with_capacity(64 * 1024) })
    }

    /// Sends what was put together.
    pub async fn send(&mut self, out: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(out).await.context("the broker closed the connection")
    }

    /// Waits for bytes; the answers complete by then are taken with [`Self::next`].
    pub async fn fill(&mut self) -> anyhow::Result<()> {
        let read = self.stream.read_buf(&mut self.answers);
        let read = tokio::time::timeout(ANSWER_WAIT, read).await;
        if read.context("no answer in time")?? == 0 {
            bail!("the broker closed the connection");
        }
        Ok(())
    }

    /// The next complete answer.
    pub fn next(&mut self) -> anyhow::Result<Option<Frame>> {
        Ok(frame::split(&mut self.answers)?)
    }
}

/// Fails for an answer that is not success; the number of the message that it answers.
pub fn accepted(answer: &Frame) -> anyhow::Result<u32> {
    let header = answer.decode()?;
    if header.code != 0 {
        bail!("refused with {}: {}", header.code, header.remark.unwrap_or_default());
    }
    Ok((header.opaque as u32).wrapping_sub(OPAQUE_BASE))
}

/// What a stream of sends looks like.
#[derive(Clone, Debug)]
pub struct SendShape {
    /// Body, bytes.
    pub size: usize,
    /// Nobody waits for an answer.
    pub oneway: bool,
    /// Number of the connection: part of the unique keys.
    pub connection: usize,
}

/// A send request to one queue, to be copied with new numbers. Each message has a unique key, a tag and a key.
pub struct SendTemplate {
    bytes: Vec<u8>,
    opaque: usize,
    counts: Vec<usize>,
}

impl SendTemplate {
    /// Encodes it once.
    pub fn new(shape: &SendShape, topic: &str, queue: usize) -> Self {
        let number = shape.connection;
        let properties = format!(
            "UNIQ_KEY\u{1}7F00000100{number:06X}00000000{COUNT_MARK}\u{2}TAGS\u{1}bench\u{2}KEYS\u{1}k{number}-{COUNT_MARK}\u{2}WAIT\u{1}true\u{2}"
        );
        let fields = Fields::new()
            .text("a", "bench")
            .text("b", topic.to_owned())
            .text("c", "TBW102")
            .int("d", 4)
            .int("e", queue as i64)
            .int("f", 0)
            .int("g", 1_700_000_000_000)
            .int("h", 0)
            .text("i", properties)
            .int("j", 0)
            .flag("k", false)
            .flag("m", false);
        let body = Bytes::from(vec![b'x'; shape.size]);
        let mut request = Outgoing::request(SEND_MESSAGE_V2, OPAQUE_BASE as i32, fields, body);
        request.flag = if shape.oneway { FLAG_ONEWAY } else { 0 };
        let mut out = BytesMut::new();
        request.encode(Serialization::Json, &mut out);
        let bytes = out.to_vec();
        let head = bytes.len() - shape.size;
        let find = |mark: &str| {
            let windows = bytes[..head].windows(mark.len());
            windows.enumerate().filter(|(_, at)| *at == mark.as_bytes()).map(|(at, _)| at).collect()
        };
        let counts: Vec<usize> = find(COUNT_MARK);
        let opaque: Vec<usize> = find(&format!("{OPAQUE_KEY}{OPAQUE_BASE}"));
        Self { opaque: opaque[0] + OPAQUE_KEY.len(), counts, bytes }
    }

    /// Appends message `count` to `out`.
    pub fn write(&self, count: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let frame = &mut out[start..];
        decimal(&mut frame[self.opaque..self.opaque + 9], OPAQUE_BASE + count);
        for at in &self.counts {
            hexadecimal(&mut frame[*at..*at + COUNT_MARK.len()], count);
        }
    }
}

fn decimal(digits: &mut [u8], mut number: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn hexadecimal(digits: &mut [u8], mut number: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEF"[(number % 16) as usize];
        number /= 16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patched_template_is_the_request_with_these_numbers() {
        let shape = SendShape { size: 5, oneway: false, connection: 3 };
        let template = SendTemplate::new(&shape, "t", 2);
        let mut out = Vec::new();
        template.write(7, &mut out);
        template.write(0xAB, &mut out);
        let mut buffer = BytesMut::from(&out[..]);
        for (opaque, hex) in [(OPAQUE_BASE + 7, "00000007"), (OPAQUE_BASE + 0xAB, "000000AB")] {
            let frame = frame::split(&mut buffer).unwrap().unwrap();
            let header = frame.decode().unwrap();
            assert_eq!(header.opaque, opaque as i32);
            let properties = header.ext.get("i").unwrap();
            assert!(
                properties.contains(&format!("UNIQ_KEY\u{1}7F0000010000000300000000{hex}\u{2}"))
            );
            assert!(properties.contains(&format!("KEYS\u{1}k3-{hex}\u{2}")));
            assert_eq!(&frame.body[..], b"xxxxx");
        }
        assert!(buffer.is_empty());
    }
}
