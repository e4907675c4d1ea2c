//! Java's `String.hashCode`, on which tag filters and the key index depend (message.md §1.2, §9).

/// Hash of a text as Java computes it: over UTF-16 code units, in wrapping 32-bit arithmetic.
pub fn string_hash(text: &str) -> i32 {
    extend(0, text)
}

/// Hash of the concatenation of `parts`, without building it.
pub fn parts_hash(parts: &[&str]) -> i32 {
    parts.iter().fold(0, |hash, part| extend(hash, part))
}

/// Tag code of a consume-queue unit: the hash, sign-extended; 0 without a tag.
pub fn tag_code(tag: Option<&str>) -> i64 {
    tag.map_or(0, |tag| i64::from(string_hash(tag)))
}

/// Hash of a key in the index: `topic#key`, never negative.
pub fn index_hash(topic: &str, key: &str) -> i32 {
    // The absolute value of the smallest integer does not exist; Apache takes 0 for it.
    parts_hash(&[topic, "#", key]).checked_abs().unwrap_or(0)
}

/// Hash of a tag in the index: `topic#T#tag`, never negative.
pub fn index_tag_hash(topic: &str, tag: &str) -> i32 {
    parts_hash(&[topic, "#T#", tag]).checked_abs().unwrap_or(0)
}

fn extend(hash: i32, text: &str) -> i32 {
    let add = |hash: i32, unit: i32| hash.wrapping_mul(31).wrapping_add(unit);
    if text.is_ascii() {
        return text.bytes().fold(hash, |hash, byte| add(hash, i32::from(byte)));
    }
    text.encode_utf16().fold(hash, |hash, unit| add(hash, i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_java() {
        assert_eq!(string_hash(""), 0);
        assert_eq!(string_hash("TagA"), 2_598_919);
        assert_eq!(string_hash("hello world"), 1_794_106_052);
        assert_eq!(string_hash("polygenelubricants"), i32::MIN);
        // One character outside the basic plane is two UTF-16 units.
        assert_eq!(string_hash("\u{1F600}"), 0xD83D * 31 + 0xDE00);
    }

    #[test]
    fn index_hash_is_never_negative() {
        assert_eq!(parts_hash(&["poly", "gene", "lubricants"]), i32::MIN);
        assert!(index_hash("T", "some long key that wraps around") >= 0);
        assert_eq!(index_hash("a", "b"), string_hash("a#b"));
        assert_eq!(index_tag_hash("a", "b"), string_hash("a#T#b"));
        assert_eq!(tag_code(None), 0);
    }
}
