//! The JSON of request and response bodies as Java's fastjson reads and writes it.
//!
//! Reading: integer keys without quotes (`{0:"a"}`) and objects as keys (`{{"topic":"t"}:1}`) become
//! standard JSON, an object key as a string that holds the object's text. Standard JSON passes
//! through unchanged. Writing: one formatter that renders `QueueMap` with object keys, and integer
//! keys quoted or, where old Go clients want it, bare. Not a header format: headers are scanned by
//! hand elsewhere. Spec: remoting.md §10, admin.md §1.1.

use std::borrow::Cow;
use std::io::{self, Write};

use memchr::memchr2;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

/// Deepest nesting that is read. Real bodies stay below ten.
pub const DEPTH_MAX: usize = 64;

/// Key under which `QueueMap` hands the formatter the object that is the next key. No body has keys
/// of this integer type, so nothing a client sends can be taken for it.
pub(crate) const OBJECT_KEY: i128 = -1;
/// Key under which `QueueMap` hands the formatter the value that belongs to the last object key.
pub(crate) const OBJECT_VALUE: i128 = -2;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("json nests deeper than {DEPTH_MAX} at byte {at}")]
    TooDeep {
        /// Position in the text.
        at: usize,
    },
    /// An object key inside an object key: nobody writes that, and quoting it would grow without bound.
    #[error("json object used as a key inside another key at byte {at}")]
    KeyInKey {
        /// Position in the text.
        at: usize,
    },
    /// The text is not JSON of either dialect, or not of the expected shape.
    #[error("{0}")]
    Shape(#[from] serde_json::Error),
}

/// Reads a body in either dialect.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    Ok(serde_json::from_slice(&to_standard(text)?)?)
}

/// Writes a body with object keys for message queues and quoted integer keys.
#[must_use]
pub fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    write(value, IdKeys::Quoted)
}

/// Writes a body as [`to_vec`] does, but integer keys are bare (106, and 105 below version 401).
#[must_use]
pub fn to_vec_bare_ids<T: Serialize>(value: &T) -> Vec<u8> {
    write(value, IdKeys::Bare)
}

fn write<T: Serialize>(value: &T, ids: IdKeys) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut serializer = Serializer::with_formatter(&mut out, BodyFormatter::new(ids));
    value.serialize(&mut serializer).expect("a Vec takes all, keys are strings or integers");
    out
}

/// Rewrites fastjson text to standard JSON in one pass; borrows when there is nothing to rewrite.
/// It finds keys, it does not validate: the parser behind it does.
pub fn to_standard(text: &[u8]) -> Result<Cow<'_, [u8]>, JsonError> {
    let mut scan = Scan::new(text);
    scan.run()?;
    Ok(match scan.out {
        Some(out) => Cow::Owned(out),
        None => Cow::Borrowed(text),
    })
}

/// State of one pass over a text.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    /// Rewritten text, from the first difference on.
    out: Option<Vec<u8>>,
    /// Open brackets: true for an object.
    open: Vec<bool>,
    /// The next token of the innermost object is a key.
    at_key: bool,
    /// Depth outside the object key being written as a string, if one is.
    key_depth: Option<usize>,
}

impl<'a> Scan<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, out: None, open: Vec::new(), at_key: false, key_depth: None }
    }

    fn run(&mut self) -> Result<(), JsonError> {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.space(),
                b'"' => self.string(),
                b'{' => self.open_object()?,
                b'[' => self.open(false)?,
                b'}' | b']' => self.close(),
                b',' => {
                    self.copy(1);
                    self.at_key = self.open.last() == Some(&true);
                }
                b':' => {
                    self.copy(1);
                    self.at_key = false;
                }
                _ => self.bare(),
            }
        }
        Ok(())
    }

    /// White space outside strings; inside an object key it would end up in a string, so it goes.
    fn space(&mut self) {
        if self.key_depth.is_some() {
            self.at += 1;
        } else {
            self.copy(1);
        }
    }

    fn string(&mut self) {
        let mut end = self.at + 1;
        while let Some(found) = self.text.get(end..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
            end += found;
            if self.text[end] == b'"' {
                break;
            }
            end += 2;
        }
        let end = end.saturating_add(1).min(self.text.len());
        self.copy(end - self.at);
        self.at_key = false;
    }

    fn open_object(&mut self) -> Result<(), JsonError> {
        if self.at_key {
            if self.key_depth.is_some() {
                return Err(JsonError::KeyInKey { at: self.at });
            }
            self.insert_quote();
            self.key_depth = Some(self.open.len());
        }
        self.open(true)
    }

    fn open(&mut self, object: bool) -> Result<(), JsonError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(JsonError::TooDeep { at: self.at });
        }
        self.copy(1);
        self.open.push(object);
        self.at_key = object;
        Ok(())
    }

    fn close(&mut self) {
        self.copy(1);
        self.open.pop();
        self.at_key = false;
        if self.key_depth == Some(self.open.len()) {
            self.key_depth = None;
            self.insert_quote();
        }
    }

    /// A number, a literal, or a key without quotes.
    fn bare(&mut self) {
        let ends = |b: &u8| b" \t\r\n\"{}[],:".contains(b);
        let rest = &self.text[self.at..];
        let len = rest.iter().position(ends).unwrap_or(rest.len());
        if self.at_key {
            self.insert_quote();
            self.copy(len);
            self.insert_quote();
            self.at_key = false;
        } else {
            self.copy(len);
        }
    }

    /// Takes `len` bytes of the text over, escaped when they become part of a string.
    fn copy(&mut self, len: usize) {
        let piece = &self.text[self.at..self.at + len];
        self.at += len;
        let Some(out) = &mut self.out else { return };
        if self.key_depth.is_none() {
            out.extend_from_slice(piece);
            return;
        }
        for &byte in piece {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
    }

    /// Adds a quotation mark that the text does not have; inside a key it is an escaped one.
    fn insert_quote(&mut self) {
        let (text, at) = (self.text, self.at);
        let escaped = self.key_depth.is_some();
        let out = self.out.get_or_insert_with(|| {
            let mut out = Vec::with_capacity(text.len() + text.len() / 4 + 16);
            out.extend_from_slice(&text[..at]);
            out
        });
        out.extend_from_slice(if escaped { b"\\\"" } else { b"\"" });
    }
}

/// How integer keys are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IdKeys {
    Quoted,
    Bare,
}

/// Compact JSON whose comma and quotes of a key wait until the key's type is known.
struct BodyFormatter {
    ids: IdKeys,
    /// Inside a key, before its first byte: whether the key is the object's first.
    pending: Option<bool>,
    in_key: bool,
    quoted: bool,
    colon: bool,
}

impl BodyFormatter {
    fn new(ids: IdKeys) -> Self {
        Self { ids, pending: None, in_key: false, quoted: false, colon: true }
    }

    fn comma<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        match self.pending.take() {
            Some(false) => writer.write_all(b","),
            _ => Ok(()),
        }
    }

    /// Comma and opening quote of a string key, once.
    fn open_key<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.in_key && self.pending.is_some() {
            self.comma(writer)?;
            self.quoted = true;
            writer.write_all(b"\"")?;
        }
        Ok(())
    }

    fn integer<W: ?Sized + Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        if self.in_key {
            match self.ids {
                IdKeys::Quoted => self.open_key(writer)?,
                IdKeys::Bare => self.comma(writer)?,
            }
        }
        CompactFormatter.write_i64(writer, value)
    }
}

impl Formatter for BodyFormatter {
    fn begin_object_key<W: ?Sized + Write>(&mut self, _: &mut W, first: bool) -> io::Result<()> {
        self.pending = Some(first);
        self.in_key = true;
        self.quoted = false;
        self.colon = true;
        Ok(())
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.in_key = false;
        Ok(())
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.colon { writer.write_all(b":") } else { Ok(()) }
    }

    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.in_key { Ok(()) } else { writer.write_all(b"\"") }
    }

    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        // An empty string key has had no fragment that opened it; a bare or object key has no quotes.
        self.open_key(writer)?;
        if self.quoted || !self.in_key { writer.write_all(b"\"") } else { Ok(()) }
    }

    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        self.open_key(writer)?;
        writer.write_all(fragment.as_bytes())
    }

    fn write_char_escape<W>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        self.open_key(writer)?;
        CompactFormatter.write_char_escape(writer, escape)
    }

    fn write_i32<W: ?Sized + Write>(&mut self, writer: &mut W, value: i32) -> io::Result<()> {
        self.integer(writer, i64::from(value))
    }

    fn write_i64<W: ?Sized + Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        self.integer(writer, value)
    }

    fn write_i128<W: ?Sized + Write>(&mut self, writer: &mut W, value: i128) -> io::Result<()> {
        self.colon = false;
        if value == OBJECT_KEY {
            return self.comma(writer);
        }
        self.pending = None;
        writer.write_all(b":")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::protocol::body::queue::{MessageQueue, QueueMap};

    fn standard(text: &str) -> String {
        String::from_utf8(to_standard(text.as_bytes()).unwrap().into_owned()).unwrap()
    }

    #[test]
    fn standard_json_is_borrowed_unchanged() {
        for text in ["{}", "[]", r#"{"a":[1,{"b":"x{y"}], "c" : null}"#, r#""\"{""#, "12", ""] {
            assert!(matches!(to_standard(text.as_bytes()).unwrap(), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn bare_and_object_keys_become_strings() {
        for (text, want) in [
            (r#"{0:"a",1:"b"}"#, r#"{"0":"a","1":"b"}"#),
            (r#"{"t":{-1:2}}"#, r#"{"t":{"-1":2}}"#),
            (r#"{{"q":0}:1}"#, r#"{"{\"q\":0}":1}"#),
            (
                r#"{{"n":"a\"b", q : 1}:{0:{{"x":[1,2]}:3}}}"#,
                r#"{"{\"n\":\"a\\\"b\",\"q\":1}":{"0":{"{\"x\":[1,2]}":3}}}"#,
            ),
            (r"[{true:1},{}]", r#"[{"true":1},{}]"#),
        ] {
            assert_eq!(standard(text), want, "{text}");
            serde_json::from_str::<serde_json::Value>(&standard(text)).unwrap();
        }
    }

    #[test]
    fn deep_and_doubled_keys_are_refused() {
        let deep = "[".repeat(DEPTH_MAX + 1);
        assert!(matches!(to_standard(deep.as_bytes()), Err(JsonError::TooDeep { at: DEPTH_MAX })));
        assert!(matches!(to_standard(b"{{{1:2}:3}:4}"), Err(JsonError::KeyInKey { at: 2 })));
    }

    #[test]
    fn queue_maps_are_written_with_object_keys_and_read_back() {
        let queue = |id| MessageQueue {
            topic: "t\"".to_owned(),
            broker_name: "b".to_owned(),
            queue_id: id,
        };
        let map: QueueMap<i64> = [(queue(0), 5), (queue(1), 6)].into_iter().collect();
        let text = String::from_utf8(to_vec(&BTreeMap::from([("offsetTable", &map)]))).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"offsetTable":{{"topic":"t\"","brokerName":"b","queueId":0}:5,"#,
                r#"{"topic":"t\"","brokerName":"b","queueId":1}:6}}"#
            )
        );
        let back: BTreeMap<String, QueueMap<i64>> = from_slice(text.as_bytes()).unwrap();
        assert_eq!(back["offsetTable"], map);
        assert_eq!(to_vec(&QueueMap::<i64>::default()), b"{}");
    }

    #[test]
    fn integer_keys_are_quoted_or_bare_and_string_keys_always_quoted() {
        let ids = BTreeMap::from([(0_i64, "a"), (1, "b")]);
        assert_eq!(to_vec(&ids), br#"{"0":"a","1":"b"}"#);
        assert_eq!(to_vec_bare_ids(&ids), br#"{0:"a",1:"b"}"#);
        let names = BTreeMap::from([("", 1_i32), ("\"", 2), ("a\n", 3)]);
        assert_eq!(to_vec_bare_ids(&names), br#"{"":1,"\"":2,"a\n":3}"#);
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in r#"[{}\[\]:,"\\ 0-9a-z]{0,80}"#) {
            if let Ok(text) = to_standard(text.as_bytes()) {
                let _ = serde_json::from_slice::<serde_json::Value>(&text);
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = to_standard(&bytes);
        }

        #[test]
        fn string_keys_survive(key in ".{0,20}", value in ".{0,20}") {
            let map = BTreeMap::from([(key, value)]);
            prop_assert_eq!(from_slice::<BTreeMap<String, String>>(&to_vec(&map)).unwrap(), map);
        }
    }
}
