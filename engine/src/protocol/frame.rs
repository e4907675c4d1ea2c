//! Frames on a connection: length prefix, serialization kind, header, body (remoting.md §1).
//!
//! Splits complete frames off the read buffer and refuses what cannot be a frame before its bytes are
//! buffered. What stands in the header is the business of `header_json` and `header_binary`.

use bytes::{Buf, Bytes, BytesMut};

use super::header::{Header, HeaderError};
use super::{header_binary, header_json};

/// Most bytes of one frame with its length word (remoting.md §1).
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes before the header: the length word and the word of kind and header length.
const PREFIX: usize = 8;

/// How a header is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Serialization {
    /// Kind 0: a JSON object.
    Json,
    /// Kind 1: the compact "ROCKETMQ" layout.
    Binary,
}

/// One frame as received; header and body share the bytes of the read buffer.
#[derive(Clone, Debug)]
pub struct Frame {
    /// How the header is written.
    pub serialization: Serialization,
    /// The encoded header.
    pub header: Bytes,
    /// The body; empty when the frame has none.
    pub body: Bytes,
}

impl Frame {
    /// Reads the header, borrowing from this frame.
    pub fn decode(&self) -> Result<Header<'_>, HeaderError> {
        match self.serialization {
            Serialization::Json => header_json::decode(&self.header),
            Serialization::Binary => header_binary::decode(&self.header),
        }
    }
}

/// Why a connection has to be closed: what follows on it cannot be read any more.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`FRAME_BYTES_MAX`], or a negative length.
    #[error("frame of {len} bytes is larger than the limit of {FRAME_BYTES_MAX}")]
    TooLarge {
        /// Announced length.
        len: u64,
    },
    /// Too short to hold its own prefix, or a header longer than the frame.
    #[error("header of {header} bytes does not fit a frame of {len}")]
    Header {
        /// Announced header length.
        header: usize,
        /// Announced length.
        len: usize,
    },
    /// Neither JSON nor binary.
    #[error("unknown serialization kind {0}")]
    Kind(u8),
}

/// Takes the next complete frame out of `buffer`; `None` when more bytes are needed.
///
/// # Errors
/// [`FrameError`] when the bytes cannot be a frame; the connection must be closed.
pub fn split(buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let Some(len) = announced(buffer)? else { return Ok(None) };
    let word = peek_u32(buffer, 4);
    let header_len = (word & 0x00FF_FFFF) as usize;
    let serialization = match (word >> 24) as u8 {
        0 => Serialization::Json,
        1 => Serialization::Binary,
        kind => return Err(FrameError::Kind(kind)),
    };
    if header_len + 4 > len {
        return Err(FrameError::Header { header: header_len, len });
    }
    if buffer.len() < len + 4 {
        return Ok(None);
    }
    let mut frame = buffer.split_to(len + 4).freeze();
    frame.advance(PREFIX);
    let header = frame.split_to(header_len);
    Ok(Some(Frame { serialization, header, body: frame }))
}

/// Bytes that the frame at the head of `buffer` still lacks; 0 when unknown or complete.
pub fn missing(buffer: &BytesMut) -> usize {
    match announced(buffer) {
        Ok(Some(len)) => (len + 4).saturating_sub(buffer.len()),
        _ => 0,
    }
}

/// The announced length once its prefix is there and plausible.
fn announced(buffer: &BytesMut) -> Result<Option<usize>, FrameError> {
    if buffer.len() < 4 {
        return Ok(None);
    }
    let len = peek_u32(buffer, 0) as usize;
    if len + 4 > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge { len: len as u64 });
    }
    if len < 4 {
        return Err(FrameError::Header { header: 0, len });
    }
    Ok((buffer.len() >= PREFIX).then_some(len))
}

fn peek_u32(buffer: &BytesMut, at: usize) -> u32 {
    buffer
        .get(at..at + 4)
        .map_or(0, |word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut;

    fn raw(kind: u8, header: &[u8], body: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        out.put_u32((4 + header.len() + body.len()) as u32);
        out.put_u32(u32::from(kind) << 24 | header.len() as u32);
        out.put_slice(header);
        out.put_slice(body);
        out
    }

    #[test]
    fn a_frame_comes_out_whole_however_it_arrives() {
        let whole = raw(0, b"{}", b"body");
        let mut buffer = BytesMut::new();
        for (at, byte) in whole.iter().enumerate() {
            assert!(split(&mut buffer).unwrap().is_none(), "complete after {at} bytes");
            buffer.put_u8(*byte);
        }
        let frame = split(&mut buffer).unwrap().unwrap();
        assert_eq!((&frame.header[..], &frame.body[..]), (&b"{}"[..], &b"body"[..]));
        assert!(buffer.is_empty());
    }

    #[test]
    fn what_cannot_be_a_frame_is_refused_before_it_is_buffered() {
        let mut large = BytesMut::from(&[0x7F, 0xFF, 0xFF, 0xFF][..]);
        assert!(matches!(split(&mut large), Err(FrameError::TooLarge { .. })));
        let mut short = BytesMut::from(&[0, 0, 0, 3, 0, 0, 0, 0][..]);
        assert!(matches!(split(&mut short), Err(FrameError::Header { .. })));
        assert_eq!(split(&mut raw(9, b"", b"")).unwrap_err(), FrameError::Kind(9));
        let mut header = BytesMut::from(&[0, 0, 0, 5, 0, 0, 0, 9][..]);
        assert!(matches!(split(&mut header), Err(FrameError::Header { .. })));
    }
}
