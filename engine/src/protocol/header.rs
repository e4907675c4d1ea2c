//! The header of a frame, whichever way it is written: read as [`Header`], sent as [`Outgoing`].
//!
//! Remoting.md §2–§6. Reading borrows from the frame; writing appends a whole frame to a buffer.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use super::ext_fields::{ExtFields, Fields};
use super::frame::Serialization;
use super::{header_binary, header_json};

/// Version that we present in every frame: V5_5_0 (remoting.md §6).
pub const VERSION: i32 = 513;

/// Bit of `flag`: this frame is a response.
pub const FLAG_RESPONSE: i32 = 1;
/// Bit of `flag`: nobody waits for an answer.
pub const FLAG_ONEWAY: i32 = 2;

/// Language of a peer, by its wire code (remoting.md §6); unknown names become `OTHER`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Language(pub u8);

/// Names in the order of their codes.
const LANGUAGES: [&str; 14] = [
    "JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO", "PHP",
    "OMS", "RUST", "NODE_JS",
];

impl Language {
    /// What our server answers with: every client knows it.
    pub const JAVA: Self = Self(0);
    /// The C++ client, which Python wraps.
    pub const CPP: Self = Self(1);
    /// A name that is not in the table.
    pub const OTHER: Self = Self(7);
    /// What our client presents.
    pub const RUST: Self = Self(12);

    /// The language with this name.
    pub fn from_name(name: &str) -> Self {
        LANGUAGES.iter().position(|known| *known == name).map_or(Self::OTHER, |at| Self(at as u8))
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        LANGUAGES.get(usize::from(self.0)).copied().unwrap_or("OTHER")
    }
}

/// A header as read.
#[derive(Clone, Debug, Default)]
pub struct Header<'a> {
    /// Request code, or response code when [`Self::is_response`].
    pub code: i32,
    /// Language of the sender.
    pub language: Language,
    /// Wire version of the sender.
    pub version: i32,
    /// Correlation id, echoed by the response.
    pub opaque: i32,
    /// Bit field of `FLAG_*`.
    pub flag: i32,
    /// Error text of responses.
    pub remark: Option<Cow<'a, str>>,
    /// Custom header fields and free entries.
    pub ext: ExtFields<'a>,
}

impl Header<'_> {
    /// Whether this frame answers a request.
    pub fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// Whether the sender wants no answer.
    pub fn is_oneway(&self) -> bool {
        self.flag & FLAG_ONEWAY != 0
    }
}

/// Why a header cannot be read; the connection is closed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeaderError {
    /// The JSON text ends or goes wrong at this byte.
    #[error("header is not the JSON expected at byte {0}")]
    Json(usize),
    /// A length inside a binary header exceeds what is there.
    #[error("binary header is cut short at byte {0}")]
    Short(usize),
    /// Text that is not UTF-8.
    #[error("header text is not UTF-8")]
    Utf8,
    /// More entries than [`super::ext_fields::EXT_FIELDS_MAX`].
    #[error("more than {} header fields", super::ext_fields::EXT_FIELDS_MAX)]
    TooMany,
}

/// A frame to be sent: a request or a response.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// Request or response code.
    pub code: i32,
    /// Our language.
    pub language: Language,
    /// Correlation id.
    pub opaque: i32,
    /// Bit field of `FLAG_*`.
    pub flag: i32,
    /// Error text.
    pub remark: Option<Cow<'static, str>>,
    /// Header fields.
    pub fields: Fields,
    /// Body; empty for none.
    pub body: Bytes,
}

impl Outgoing {
    /// A request of our client.
    pub fn request(code: i32, opaque: i32, fields: Fields, body: Bytes) -> Self {
        Self { code, language: Language::RUST, opaque, fields, body, ..Self::default() }
    }

    /// A response of our server.
    pub fn response(code: i32, opaque: i32) -> Self {
        Self { code, opaque, flag: FLAG_RESPONSE, ..Self::default() }
    }

    /// Appends length, header and body to `out`.
    pub fn encode(&self, kind: Serialization, out: &mut BytesMut) {
        self.encode_head(kind, out);
        out.put_slice(&self.body);
    }

    /// Appends length and header only; the caller sends `body` behind it.
    pub fn encode_head(&self, kind: Serialization, out: &mut BytesMut) {
        let start = out.len();
        out.put_u64(0);
        match kind {
            Serialization::Json => header_json::encode(self, out),
            Serialization::Binary => header_binary::encode(self, out),
        }
        let header_len = out.len() - start - 8;
        let total = (4 + header_len + self.body.len()) as u32;
        let kind_bits = if kind == Serialization::Json { 0 } else { 1 << 24 };
        let word = (header_len as u32 & 0x00FF_FFFF) | kind_bits;
        out[start..start + 4].copy_from_slice(&total.to_be_bytes());
        out[start + 4..start + 8].copy_from_slice(&word.to_be_bytes());
    }
}
