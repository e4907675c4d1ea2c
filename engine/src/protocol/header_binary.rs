//! The binary "ROCKETMQ" header (remoting.md §3): fixed fields, remark, entries with length prefixes.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use super::ext_fields::{ExtFields, Value};
use super::header::{Header, HeaderError, Language, Outgoing, VERSION};
use super::header_json::put_int;

/// Reads a header.
///
/// # Errors
/// [`HeaderError`] when a length exceeds the bytes there, or text is not UTF-8.
pub fn decode(bytes: &[u8]) -> Result<Header<'_>, HeaderError> {
    let mut read = Read { bytes, at: 0 };
    let code = i32::from(read.u16()? as i16);
    let language = Language(read.u8()?);
    let version = i32::from(read.u16()? as i16);
    let opaque = read.u32()? as i32;
    let flag = read.u32()? as i32;
    let remark_len = read.u32()? as usize;
    let remark = if remark_len == 0 { None } else { Some(Cow::Borrowed(read.text(remark_len)?)) };
    let ext_len = read.u32()? as usize;
    let ext = read.entries(ext_len)?;
    Ok(Header { code, language, version, opaque, flag, remark, ext })
}

struct Read<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Read<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], HeaderError> {
        let end = self.at.checked_add(len).ok_or(HeaderError::Short(self.at))?;
        let slice = self.bytes.get(self.at..end).ok_or(HeaderError::Short(self.at))?;
        self.at = end;
        Ok(slice)
    }

    fn u8(&mut self) -> Result<u8, HeaderError> {
        self.take(1).map(|b| b[0])
    }

    fn u16(&mut self) -> Result<u16, HeaderError> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn u32(&mut self) -> Result<u32, HeaderError> {
        self.take(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn text(&mut self, len: usize) -> Result<&'a str, HeaderError> {
        std::str::from_utf8(self.take(len)?).map_err(|_| HeaderError::Utf8)
    }

    fn entries(&mut self, len: usize) -> Result<ExtFields<'a>, HeaderError> {
        let mut ext = ExtFields::default();
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(HeaderError::Short(self.at))?;
        while self.at < end {
            let key_len = usize::from(self.u16()?);
            let key = self.text(key_len)?;
            let value_len = self.u32()? as usize;
            let value = self.text(value_len)?;
            if key_len > 0 && value_len > 0 && !ext.push(key.into(), value.into()) {
                return Err(HeaderError::TooMany);
            }
        }
        Ok(ext)
    }
}

/// Appends the header of `frame`.
pub fn encode(frame: &Outgoing, out: &mut BytesMut) {
    out.put_i16(frame.code as i16);
    out.put_u8(frame.language.0);
    out.put_i16(VERSION as i16);
    out.put_i32(frame.opaque);
    out.put_i32(frame.flag);
    let remark = frame.remark.as_deref().unwrap_or("");
    out.put_u32(remark.len() as u32);
    out.put_slice(remark.as_bytes());
    let length_at = out.len();
    out.put_u32(0);
    for (key, value) in frame.fields.iter() {
        out.put_u16(key.len() as u16);
        out.put_slice(key.as_bytes());
        put_value(out, value);
    }
    let len = (out.len() - length_at - 4) as u32;
    out[length_at..length_at + 4].copy_from_slice(&len.to_be_bytes());
}

fn put_value(out: &mut BytesMut, value: &Value) {
    let at = out.len();
    out.put_u32(0);
    match value {
        Value::Int(number) => put_int(out, *number),
        Value::Bool(flag) => out.put_slice(if *flag { b"true" } else { b"false" }),
        Value::Text(text) => out.put_slice(text.as_bytes()),
    }
    let len = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(code in any::<i16>(), opaque in any::<i32>(), flag in any::<i32>(),
            remark in ".{1,20}", fields in proptest::collection::vec((".{1,9}", ".{1,20}"), 0..9)) {
            let mut sent = Outgoing { code: i32::from(code), opaque, flag, remark: Some(remark.clone().into()), ..Outgoing::default() };
            for (key, value) in &fields {
                sent.fields.push(key.clone(), Value::Text(value.clone().into()));
            }
            let mut out = BytesMut::new();
            encode(&sent, &mut out);
            let read = decode(&out).unwrap();
            prop_assert_eq!((read.code, read.opaque, read.flag), (i32::from(code), opaque, flag));
            prop_assert_eq!(read.remark.as_deref(), Some(remark.as_str()));
            let pairs: Vec<_> = read.ext.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(pairs, fields);
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn a_length_beyond_the_bytes_is_an_error() {
        let mut out = BytesMut::new();
        encode(&Outgoing::response(0, 1), &mut out);
        assert!(decode(&out).is_ok());
        for cut in 0..out.len() {
            assert!(decode(&out[..cut]).is_err(), "cut at {cut}");
        }
        out[17..21].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(matches!(decode(&out), Err(HeaderError::Short(_))));
    }
}
