//! The property string of a message: `key 0x01 value 0x02`, repeated (message.md §5).
//!
//! Works on the text itself, without a map: a send touches a handful of keys. Keys are those of
//! message.md §6, as constants.

/// Between a key and its value.
pub const KEY_END: char = '\u{1}';
/// After a value.
pub const VALUE_END: char = '\u{2}';
/// Longest property string in bytes of UTF-8: its length is a signed 16-bit integer.
pub const LEN_MAX: usize = 32_767;

/// Reserved property keys.
pub mod key {
    macro_rules! keys {
        ($($name:ident = $text:literal),* $(,)?) => {
            $(#[doc = concat!("`", $text, "` (message.md §6).")]
            pub const $name: &str = $text;)*
        };
    }
    keys! {
        KEYS = "KEYS", TAGS = "TAGS", WAIT = "WAIT", DELAY = "DELAY", RETRY_TOPIC = "RETRY_TOPIC",
        REAL_TOPIC = "REAL_TOPIC", REAL_QUEUE_ID = "REAL_QID", TRANSACTION_PREPARED = "TRAN_MSG",
        PRODUCER_GROUP = "PGROUP", MIN_OFFSET = "MIN_OFFSET", MAX_OFFSET = "MAX_OFFSET",
        ORIGIN_MESSAGE_ID = "ORIGIN_MESSAGE_ID", RECONSUME_TIME = "RECONSUME_TIME",
        MSG_REGION = "MSG_REGION", TRACE_ON = "TRACE_ON", UNIQ_KEY = "UNIQ_KEY",
        MAX_RECONSUME_TIMES = "MAX_RECONSUME_TIMES", INNER_NUM = "INNER_NUM",
        INNER_BASE = "INNER_BASE", DUP_INFO = "DUP_INFO",
        CHECK_IMMUNITY_TIME = "CHECK_IMMUNITY_TIME_IN_SECONDS",
        PREPARED_QUEUE_OFFSET = "TRAN_PREPARED_QUEUE_OFFSET", TRANSACTION_ID = "__transactionId__",
        TRANSACTION_CHECK_TIMES = "TRANSACTION_CHECK_TIMES", INSTANCE_ID = "INSTANCE_ID",
        CORRELATION_ID = "CORRELATION_ID", REPLY_TO_CLIENT = "REPLY_TO_CLIENT", TTL = "TTL",
        PUSH_REPLY_TIME = "PUSH_REPLY_TIME", CLUSTER = "CLUSTER", MSG_TYPE = "MSG_TYPE",
        POP_CK = "POP_CK", FIRST_POP_TIME = "1ST_POP_TIME", SHARDING_KEY = "__SHARDINGKEY",
        TIMER_DELAY_SEC = "TIMER_DELAY_SEC", TIMER_DELAY_MS = "TIMER_DELAY_MS",
        TIMER_DELIVER_MS = "TIMER_DELIVER_MS", TIMER_OUT_MS = "TIMER_OUT_MS",
        TIMER_ENQUEUE_MS = "TIMER_ENQUEUE_MS", TIMER_DEQUEUE_MS = "TIMER_DEQUEUE_MS",
        TIMER_ROLL_TIMES = "TIMER_ROLL_TIMES", TIMER_DELETE_UNIQUE_KEY = "TIMER_DEL_UNIQKEY",
        CRC32 = "__CRC32#",
    }
}

/// Properties whose key starts so are local to a client and never stored.
pub const TRANSIENT_PREFIX: &str = "__RMQ.TRANSIENT.";

/// The pairs of a property string, in order. Malformed entries are left out: without separator, with
/// an empty key or an empty value. A value may contain the key separator.
pub fn iter(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(VALUE_END).filter_map(pair)
}

/// The value of a key. Of several entries the last one counts.
pub fn get<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    // PERF: a send asks for about a dozen keys; bytes and SIMD search instead of chars and splits took
    // a fifth off the broker's CPU per message (docs/performance.md). Both separators are ASCII.
    let (bytes, key) = (text.as_bytes(), key.as_bytes());
    let mut end = bytes.len();
    loop {
        let start = memchr::memrchr(VALUE_END as u8, &bytes[..end]).map_or(0, |at| at + 1);
        let entry = &bytes[start..end];
        let value_at = start + key.len() + 1;
        if entry.get(key.len()) == Some(&(KEY_END as u8))
            && value_at < end
            && entry.starts_with(key)
        {
            return text.get(value_at..end);
        }
        end = start.checked_sub(1)?;
    }
}

/// Appends a pair without looking for an older one, closing an entry that lacks its end before.
/// An empty value is left out, as readers would drop it.
pub fn push(text: &mut String, key: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    close(text);
    text.reserve(key.len() + value.len() + 2);
    text.push_str(key);
    text.push(KEY_END);
    text.push_str(value);
    text.push(VALUE_END);
}

/// Sets a pair, replacing every older entry of the key.
pub fn set(text: &mut String, key: &str, value: &str) {
    remove(text, key);
    push(text, key, value);
}

/// Removes every entry of a key; true when there was one.
pub fn remove(text: &mut String, key: &str) -> bool {
    let has = text.split(VALUE_END).filter_map(pair).any(|(name, _)| name == key);
    if has {
        let mut kept = String::with_capacity(text.len());
        for (name, value) in iter(text).filter(|(name, _)| *name != key) {
            push(&mut kept, name, value);
        }
        *text = kept;
    }
    has
}

/// Ends the last entry: other clients leave the final separator out.
pub fn close(text: &mut String) {
    if !text.is_empty() && !text.ends_with(VALUE_END) {
        text.push(VALUE_END);
    }
}

/// Whether a key can be stored: not empty and free of both separators.
pub fn valid_key(key: &str) -> bool {
    !key.is_empty() && !key.contains([KEY_END, VALUE_END])
}

/// Whether a value can be stored: not empty and free of the entry separator.
pub fn valid_value(value: &str) -> bool {
    !value.is_empty() && !value.contains(VALUE_END)
}

fn pair(entry: &str) -> Option<(&str, &str)> {
    entry.split_once(KEY_END).filter(|(key, value)| !key.is_empty() && !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_missing_final_separator_is_tolerated_and_repaired() {
        let mut text = "A\u{1}1\u{2}B\u{1}2".to_owned();
        assert_eq!(get(&text, "B"), Some("2"));
        push(&mut text, "C", "3");
        assert_eq!(text, "A\u{1}1\u{2}B\u{1}2\u{2}C\u{1}3\u{2}");
    }

    #[test]
    fn malformed_entries_are_dropped_and_later_duplicates_win() {
        let text = "A\u{1}\u{2}\u{1}x\u{2}junk\u{2}B\u{1}1\u{2}B\u{1}2\u{1}3\u{2}\u{2}";
        assert_eq!(iter(text).collect::<Vec<_>>(), [("B", "1"), ("B", "2\u{1}3")]);
        assert_eq!(get(text, "B"), Some("2\u{1}3"));
        assert_eq!(get(text, "A"), None);
    }

    #[test]
    fn a_key_that_ends_like_another_is_not_the_other() {
        let text = "MYTAGS\u{1}x\u{2}TAGSY\u{1}y\u{2}";
        assert_eq!(get(text, "TAGS"), None);
    }

    proptest! {
        #[test]
        fn set_and_remove_agree_with_a_map(
            start in proptest::collection::vec(("[A-C]", "[a-z]{1,4}"), 0..6),
            ops in proptest::collection::vec(("[A-C]", proptest::option::of("[a-z]{1,4}")), 0..12),
        ) {
            let mut text = String::new();
            let mut map = BTreeMap::new();
            for (key, value) in start {
                push(&mut text, &key, &value);
                map.insert(key, value);
            }
            for (key, value) in ops {
                match value {
                    Some(value) => { set(&mut text, &key, &value); map.insert(key, value); }
                    None => { prop_assert_eq!(remove(&mut text, &key), map.remove(&key).is_some()); }
                }
                for key in ["A", "B", "C"] {
                    prop_assert_eq!(get(&text, key), map.get(key).map(String::as_str));
                }
            }
        }

        #[test]
        fn any_text_can_be_read_and_changed(mut text in "[\u{1}\u{2}a-b]{0,40}") {
            let _ = iter(&text).count();
            set(&mut text, "k", "v");
            prop_assert_eq!(get(&text, "k"), Some("v"));
        }
    }
}
