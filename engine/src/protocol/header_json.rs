//! The JSON header (remoting.md §2): a single-pass scanner over borrowed bytes, and the writer.
//!
//! Reads the flat object that clients send. Unknown members are skipped whatever they hold; values of
//! `extFields` may be strings, numbers, booleans or null. Text is copied only when it has escapes.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use super::ext_fields::{ExtFields, Value};
use super::header::{Header, HeaderError, Language, Outgoing, VERSION};

/// Deepest nesting of a member that we skip.
const DEPTH_MAX: usize = 32;

/// Reads a header.
///
/// # Errors
/// [`HeaderError`] when the text is not a JSON object of the expected members.
pub fn decode(text: &[u8]) -> Result<Header<'_>, HeaderError> {
    let text = std::str::from_utf8(text).map_err(|_| HeaderError::Utf8)?;
    let mut scan = Scan { text, bytes: text.as_bytes(), at: 0 };
    let mut header = Header { language: Language::OTHER, ..Header::default() };
    scan.object(|scan, key| {
        match key.as_ref() {
            "code" => header.code = scan.int()?,
            "version" => header.version = scan.int()?,
            "opaque" => header.opaque = scan.int()?,
            "flag" => header.flag = scan.int()?,
            "language" => {
                header.language =
                    scan.scalar()?.map_or(Language::OTHER, |name| Language::from_name(&name));
            }
            "remark" => header.remark = scan.scalar()?,
            "extFields" => header.ext = scan.ext_fields()?,
            _ => scan.skip(0)?,
        }
        Ok(())
    })?;
    Ok(header)
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn error<T>(&self) -> Result<T, HeaderError> {
        Err(HeaderError::Json(self.at))
    }

    fn peek(&mut self) -> u8 {
        while let Some(byte) = self.bytes.get(self.at) {
            if !byte.is_ascii_whitespace() {
                return *byte;
            }
            self.at += 1;
        }
        0
    }

    fn expect(&mut self, byte: u8) -> Result<(), HeaderError> {
        if self.peek() != byte {
            return self.error();
        }
        self.at += 1;
        Ok(())
    }

    /// Runs `member` with the key of each member, positioned at its value.
    fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), HeaderError>,
    ) -> Result<(), HeaderError> {
        self.expect(b'{')?;
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != b'"' {
                return self.error();
            }
            let key = self.string()?;
            self.expect(b':')?;
            member(self, key)?;
            match self.peek() {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.error(),
            }
        }
    }

    fn ext_fields(&mut self) -> Result<ExtFields<'a>, HeaderError> {
        let mut ext = ExtFields::default();
        if self.peek() != b'{' {
            self.scalar()?;
            return Ok(ext);
        }
        self.object(|scan, key| {
            if let Some(value) = scan.scalar()?
                && !ext.push(key, value)
            {
                return Err(HeaderError::TooMany);
            }
            Ok(())
        })?;
        Ok(ext)
    }

    /// A string, number or boolean as text; `None` for null.
    fn scalar(&mut self) -> Result<Option<Cow<'a, str>>, HeaderError> {
        match self.peek() {
            b'"' => self.string().map(Some),
            b'{' | b'[' | 0 => self.error(),
            _ => {
                let start = self.at;
                while let Some(byte) = self.bytes.get(self.at) {
                    if matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace() {
                        break;
                    }
                    self.at += 1;
                }
                let word = self.text.get(start..self.at).ok_or(HeaderError::Json(start))?;
                Ok((word != "null").then_some(Cow::Borrowed(word)))
            }
        }
    }

    /// An integer; null counts as 0, as for Java's parser.
    fn int(&mut self) -> Result<i32, HeaderError> {
        let at = self.at;
        match self.scalar()? {
            None => Ok(0),
            Some(text) => text.parse().map_err(|_| HeaderError::Json(at)),
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, HeaderError> {
        self.at += 1;
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', rest) {
            Some(end) if rest[end] == b'"' => {
                self.at = start + end + 1;
                Ok(Cow::Borrowed(
                    self.text.get(start..start + end).ok_or(HeaderError::Json(start))?,
                ))
            }
            Some(_) => self.escaped_string().map(Cow::Owned),
            None => self.error(),
        }
    }

    fn escaped_string(&mut self) -> Result<String, HeaderError> {
        let mut out = String::with_capacity(64);
        loop {
            let start = self.at;
            let rest = self.bytes.get(start..).unwrap_or_default();
            let Some(end) = memchr::memchr2(b'"', b'\\', rest) else { return self.error() };
            out.push_str(self.text.get(start..start + end).ok_or(HeaderError::Json(start))?);
            self.at = start + end + 1;
            if rest[end] == b'"' {
                return Ok(out);
            }
            let Some(escape) = self.bytes.get(self.at) else { return self.error() };
            self.at += 1;
            out.push(match escape {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => self.unicode()?,
                b'x' => self.hex(2).and_then(char::from_u32).ok_or(HeaderError::Json(self.at))?,
                b'"' | b'\\' | b'/' | b'\'' => char::from(*escape),
                b'0'..=b'7' => char::from(escape - b'0'),
                b'v' => '\u{b}',
                _ => return self.error(),
            });
        }
    }

    fn unicode(&mut self) -> Result<char, HeaderError> {
        let high = self.hex(4).ok_or(HeaderError::Json(self.at))?;
        if !(0xD800..0xDC00).contains(&high) {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        self.at += 2;
        let low = self.hex(4).ok_or(HeaderError::Json(self.at))?;
        let joined = 0x10000 + ((high - 0xD800) << 10) + (low.wrapping_sub(0xDC00) & 0x3FF);
        Ok(char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let text = self.text.get(self.at..self.at + digits)?;
        self.at += digits;
        u32::from_str_radix(text, 16).ok()
    }

    fn skip(&mut self, depth: usize) -> Result<(), HeaderError> {
        if depth > DEPTH_MAX {
            return self.error();
        }
        match self.peek() {
            b'{' => self.object(|scan, _| scan.skip(depth + 1)),
            b'[' => self.array(depth),
            _ => self.scalar().map(|_| ()),
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), HeaderError> {
        self.at += 1;
        if self.peek() == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip(depth + 1)?;
            match self.peek() {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.error(),
            }
        }
    }
}

/// Appends the header of `frame`.
pub fn encode(frame: &Outgoing, out: &mut BytesMut) {
    out.put_slice(b"{\"code\":");
    put_int(out, i64::from(frame.code));
    if !frame.fields.is_empty() {
        out.put_slice(b",\"extFields\":{");
        for (at, (key, value)) in frame.fields.iter().enumerate() {
            if at > 0 {
                out.put_u8(b',');
            }
            put_text(out, key);
            out.put_u8(b':');
            put_value(out, value);
        }
        out.put_u8(b'}');
    }
    out.put_slice(b",\"flag\":");
    put_int(out, i64::from(frame.flag));
    out.put_slice(b",\"language\":\"");
    out.put_slice(frame.language.name().as_bytes());
    out.put_slice(b"\",\"opaque\":");
    put_int(out, i64::from(frame.opaque));
    if let Some(remark) = &frame.remark {
        out.put_slice(b",\"remark\":");
        put_text(out, remark);
    }
    out.put_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    put_int(out, i64::from(VERSION));
    out.put_u8(b'}');
}

fn put_value(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Int(number) => {
            out.put_u8(b'"');
            put_int(out, *number);
            out.put_u8(b'"');
        }
        Value::Bool(true) => out.put_slice(b"\"true\""),
        Value::Bool(false) => out.put_slice(b"\"false\""),
        Value::Text(text) => put_text(out, text),
    }
}

/// Appends a decimal number without allocating.
pub(crate) fn put_int(out: &mut BytesMut, value: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.put_u8(b'-');
    }
    out.put_slice(&digits[at..]);
}

fn put_text(out: &mut BytesMut, text: &str) {
    out.put_u8(b'"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.put_slice(&text.as_bytes()[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.put_slice(b"\\\""),
            b'\\' => out.put_slice(b"\\\\"),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.put_slice(b"\\u00");
                out.put_u8(HEX[usize::from(byte >> 4)]);
                out.put_u8(HEX[usize::from(byte & 15)]);
            }
        }
    }
    out.put_slice(&text.as_bytes()[plain..]);
    out.put_u8(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ext_fields::Fields;
    use proptest::prelude::*;

    #[test]
    fn values_may_be_strings_numbers_booleans_or_null() {
        let text = br#"{"code":310,"extFields":{"e":3,"m":true,"a":"g","n":null,"i":"k\u0001v\u0002"},
            "flag":2,"language":"CPP","opaque":-7,"version":333,"later":[{"x":[1,"]"]}],"remark":null}"#;
        let header = decode(text).unwrap();
        assert_eq!((header.code, header.flag, header.opaque, header.version), (310, 2, -7, 333));
        assert_eq!(header.language, Language::CPP);
        assert!(header.is_oneway() && !header.is_response());
        assert_eq!(header.ext.get("e"), Some("3"));
        assert_eq!(header.ext.get("m"), Some("true"));
        assert_eq!(header.ext.get("n"), None);
        assert_eq!(header.ext.get("i"), Some("k\u{1}v\u{2}"));
        assert!(header.remark.is_none());
    }

    #[test]
    fn a_header_without_custom_fields_has_none() {
        assert!(decode(br#"{"code":34,"opaque":1}"#).unwrap().ext.is_empty());
        assert!(decode(br#"{"code":34,"extFields":null}"#).unwrap().ext.is_empty());
        assert!(decode(b"{}").is_ok());
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for text in
            ["", "[]", "{", "{\"code\":}", "{\"code\":1", "{\"code\":\"x\"}", "{\"a\":\"\\u12\"}"]
        {
            assert!(decode(text.as_bytes()).is_err(), "{text}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(99), "]".repeat(99));
        assert!(decode(deep.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(code in any::<i32>(), opaque in any::<i32>(), flag in any::<i32>(),
            remark in proptest::option::of(".*"), fields in proptest::collection::vec((".{1,9}", ".*"), 0..9)) {
            let mut sent = Outgoing { code, opaque, flag, remark: remark.clone().map(Into::into), ..Outgoing::default() };
            for (key, value) in &fields {
                sent.fields.push(key.clone(), Value::Text(value.clone().into()));
            }
            let mut out = BytesMut::new();
            encode(&sent, &mut out);
            let read = decode(&out).unwrap();
            prop_assert_eq!((read.code, read.opaque, read.flag), (code, opaque, flag));
            prop_assert_eq!(read.remark.as_deref(), remark.as_deref());
            prop_assert_eq!(read.version, 513);
            let pairs: Vec<_> = read.ext.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(pairs, fields);
        }

        #[test]
        fn hostile_bytes_never_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&text);
        }

        #[test]
        fn hostile_json_never_panics(text in "[{}\\[\\]\":,a-c0-9\\\\un ]{0,60}") {
            let _ = decode(text.as_bytes());
        }
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, -1, i64::MAX, i64::MIN] {
            let mut out = BytesMut::new();
            put_int(&mut out, number);
            assert_eq!(std::str::from_utf8(&out).unwrap(), number.to_string());
        }
        assert!(Fields::new().is_empty());
    }
}
