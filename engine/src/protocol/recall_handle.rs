//! The handle that a producer recalls a timer message with: four words in base64 (message.md §8).

/// What a handle names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecallHandle {
    /// Topic that the message was sent to.
    pub topic: String,
    /// Broker that keeps it.
    pub broker_name: String,
    /// When it is due, ms since 1970, as the text that the handle holds.
    pub deliver_ms: String,
    /// Its unique key.
    pub unique_key: String,
}

/// The one version of handles.
const VERSION: &str = "v1";
/// Longest handle that is read: names and a key are far shorter.
const HANDLE_LEN_MAX: usize = 4_096;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl RecallHandle {
    /// Makes the handle of a message.
    pub fn encode(topic: &str, broker_name: &str, deliver_ms: i64, unique_key: &str) -> String {
        base64(format!("{VERSION} {topic} {broker_name} {deliver_ms} {unique_key}").as_bytes())
    }

    /// Reads a handle; none when it is not one.
    pub fn decode(handle: &str) -> Option<Self> {
        let text = String::from_utf8(from_base64(handle)?).ok()?;
        let mut words = text.split(' ').map(str::to_owned);
        words.next().filter(|version| version == VERSION)?;
        let [topic, broker_name, deliver_ms, unique_key] =
            [words.next()?, words.next()?, words.next()?, words.next()?];
        let handle = Self { topic, broker_name, deliver_ms, unique_key };
        words.next().is_none().then_some(handle)
    }
}

/// Base64 in the alphabet of addresses, padded.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            if i <= chunk.len() {
                text.push(char::from(ALPHABET[(bits >> (18 - 6 * i) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// Reads base64 with or without padding; none for any other character or an impossible length.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    if text.len() > HANDLE_LEN_MAX {
        return None;
    }
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.chunks(4) {
        let mut bits = 0u32;
        for digit in chunk {
            let value = ALPHABET.iter().position(|known| known == digit)?;
            bits = bits << 6 | value as u32;
        }
        bits <<= 6 * (4 - chunk.len());
        let whole = match chunk.len() {
            1 => return None,
            len => len - 1,
        };
        bytes.extend_from_slice(&bits.to_be_bytes()[1..=whole]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_handle_is_the_text_that_java_makes() {
        let handle = RecallHandle::encode("pay", "b-0", 1_700_000_000_001, "7F0000010001");
        assert_eq!(handle, "djEgcGF5IGItMCAxNzAwMDAwMDAwMDAxIDdGMDAwMDAxMDAwMQ==");
        let read = RecallHandle::decode(&handle).unwrap();
        assert_eq!((read.topic.as_str(), read.broker_name.as_str()), ("pay", "b-0"));
        assert_eq!(read.deliver_ms, "1700000000001");
        assert_eq!(read.unique_key, "7F0000010001");
    }

    #[test]
    fn other_texts_are_no_handles() {
        for bad in ["", "A", "djE", "d+Eg", "äöü", &base64(b"v2 a b 1 c"), &base64(b"v1 a b 1")]
        {
            assert_eq!(RecallHandle::decode(bad), None, "{bad}");
        }
        assert_eq!(RecallHandle::decode(&base64(b"v1 a b 1 c d")), None);
        assert_eq!(RecallHandle::decode(&"A".repeat(HANDLE_LEN_MAX + 4)), None);
    }

    proptest! {
        #[test]
        fn base64_reads_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(from_base64(&base64(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_may_be_read(text in ".{0,60}") {
            let _ = RecallHandle::decode(&text);
        }
    }
}
