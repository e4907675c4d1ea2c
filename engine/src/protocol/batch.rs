//! Body of a batch send: elements one after the other (message.md §3).
//!
//! The broker turns each element into a record of its own; nothing of the batch stays on disk.

use super::properties;
use super::record::{body_crc, i32_at};

/// Bytes of an element without body and properties.
const ELEMENT_MIN: usize = 22;

/// One message of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Element<'a> {
    /// The user's flag.
    pub flag: i32,
    /// Body.
    pub body: &'a [u8],
    /// Property string.
    pub properties: &'a str,
}

/// Why a body is not a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("element at byte {at} of the batch is malformed")]
pub struct BatchError {
    /// Where the element starts.
    pub at: usize,
}

/// The elements of a batch body.
///
/// # Errors
/// [`BatchError`] at the first element that is cut off or whose lengths do not add up.
pub fn decode(body: &[u8]) -> Result<Vec<Element<'_>>, BatchError> {
    let mut elements = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let rest = body.get(at..).unwrap_or_default();
        let (element, len) = element(rest).ok_or(BatchError { at })?;
        elements.push(element);
        at += len;
    }
    Ok(elements)
}

fn element(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let len = usize::try_from(i32_at(bytes, 0)?).ok()?;
    let bytes = bytes.get(..len)?;
    let flag = i32_at(bytes, 12)?;
    let body_len = usize::try_from(i32_at(bytes, 16)?).ok()?;
    let (body, rest) = bytes.get(20..)?.split_at_checked(body_len)?;
    let (properties_len, properties) = rest.split_first_chunk::<2>()?;
    let properties_len = usize::try_from(i16::from_be_bytes(*properties_len)).ok()?;
    let properties = std::str::from_utf8(properties.get(..properties_len)?).ok()?;
    (len == ELEMENT_MIN + body.len() + properties_len)
        .then_some((Element { flag, body, properties }, len))
}

/// Appends an element to a batch body. False, and nothing is written, when its properties are longer
/// than their length field can say.
pub fn encode(out: &mut Vec<u8>, element: Element<'_>) -> bool {
    let Element { flag, body, properties: text } = element;
    let len = ELEMENT_MIN + body.len() + text.len();
    let Ok(len) = i32::try_from(len) else { return false };
    if text.len() > properties::LEN_MAX {
        return false;
    }
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&0i32.to_be_bytes());
    out.extend_from_slice(&body_crc(body).to_be_bytes());
    out.extend_from_slice(&flag.to_be_bytes());
    out.extend_from_slice(&(body.len() as i32).to_be_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_encoded_is_read(
            items in proptest::collection::vec(
                (any::<i32>(), proptest::collection::vec(any::<u8>(), 0..40), "[a-z\u{1}\u{2}]{0,20}"), 0..8),
        ) {
            let elements: Vec<Element> = items.iter()
                .map(|(flag, body, text)| Element { flag: *flag, body, properties: text }).collect();
            let mut body = Vec::new();
            for element in &elements {
                prop_assert!(encode(&mut body, *element));
            }
            prop_assert_eq!(decode(&body).unwrap(), elements);
        }

        #[test]
        fn hostile_bytes_never_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..80),
            fit in any::<bool>(),
        ) {
            if fit && bytes.len() >= 22 {
                let len = bytes.len() as i32;
                bytes[..4].copy_from_slice(&len.to_be_bytes());
            }
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn a_cut_element_is_an_error_at_its_start() {
        let mut body = Vec::new();
        assert!(encode(&mut body, Element { flag: 0, body: b"a", properties: "" }));
        let first = body.len();
        assert!(encode(&mut body, Element { flag: 0, body: b"b", properties: "" }));
        body.pop();
        assert_eq!(decode(&body), Err(BatchError { at: first }));
    }
}
