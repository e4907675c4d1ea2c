//! One record to what is derived from it: the unit of its queue and its keys in the index.
//!
//! Used by recovery and by the index thread; the append path makes the same units from what its
//! caller knows already. Spec: store.md §3.1, §4.

use super::queue_io::Unit;
use super::storage::LogOffset;
use crate::protocol::java_hash;
use crate::protocol::names;
use crate::protocol::properties::{self, key};
use crate::protocol::record::RecordView;
use crate::protocol::sys_flag::Transaction;

/// The unit of a record and its place; none for half messages that wait for their end and for
/// rolled-back ones.
pub(super) fn unit(view: &RecordView<'_>, delay_levels_ms: &[i64]) -> Option<(u64, Unit)> {
    match view.sys_flag().transaction() {
        Transaction::None | Transaction::Commit => {}
        Transaction::Prepared | Transaction::Rollback => return None,
    }
    let unit = Unit {
        log_offset: LogOffset(u64::try_from(view.physical_offset()).ok()?),
        size: u32::try_from(view.size()).ok()?,
        tags_code: tags_code(view, delay_levels_ms),
    };
    Some((u64::try_from(view.queue_offset()).ok()?, unit))
}

fn tags_code(view: &RecordView<'_>, delay_levels_ms: &[i64]) -> i64 {
    let text = view.properties();
    if view.topic() == names::SCHEDULE_TOPIC {
        let level = properties::get(text, key::DELAY).and_then(|level| level.parse::<usize>().ok());
        let level = level.filter(|level| *level > 0).map(|l| l.min(delay_levels_ms.len()));
        if let Some(delay) = level.and_then(|level| delay_levels_ms.get(level.checked_sub(1)?)) {
            return view.store_timestamp().saturating_add(*delay);
        }
    }
    java_hash::tag_code(properties::get(text, key::TAGS))
}

/// Hashes under which a record is found, in the order of Apache: unique key, keys, tag.
pub(super) fn key_hashes(view: &RecordView<'_>, hashes: &mut Vec<i32>) {
    if view.sys_flag().transaction() == Transaction::Rollback {
        return;
    }
    let (topic, text) = (view.topic(), view.properties());
    let (mut unique, mut keys, mut tag) = (None, None, None);
    for (name, value) in properties::iter(text) {
        match name {
            key::UNIQ_KEY => unique = Some(value),
            key::KEYS => keys = Some(value),
            key::TAGS => tag = Some(value),
            _ => {}
        }
    }
    hashes.extend(unique.map(|unique| java_hash::index_hash(topic, unique)));
    let words = keys.unwrap_or_default().split(' ').filter(|word| !word.is_empty());
    hashes.extend(words.map(|word| java_hash::index_hash(topic, word)));
    hashes.extend(tag.map(|tag| java_hash::index_tag_hash(topic, tag)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::record::{RecordBuf, RecordBuilder};
    use crate::protocol::sys_flag::SysFlag;

    fn record(topic: &str, flag: i32, properties: &str) -> RecordBuf {
        let host = "127.0.0.1:1".parse().unwrap();
        let mut record = RecordBuilder {
            topic,
            queue_id: 0,
            flag: 0,
            sys_flag: SysFlag(flag),
            born_timestamp: 0,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"x",
            properties,
        }
        .encode()
        .unwrap();
        record.fill(7, 1000, 50);
        record
    }

    #[test]
    fn tags_code_is_the_tag_hash_or_the_due_time_of_a_delay_level() {
        let code = |topic, text| {
            unit(&record(topic, 0, text).view().unwrap(), &[1000, 5000]).unwrap().1.tags_code
        };
        assert_eq!(code("T", "TAGS\u{1}TagA\u{2}"), 2_598_919);
        assert_eq!(code("SCHEDULE_TOPIC_XXXX", "DELAY\u{1}1\u{2}TAGS\u{1}TagA\u{2}"), 1050);
        assert_eq!(code("SCHEDULE_TOPIC_XXXX", "DELAY\u{1}99\u{2}"), 5050);
        assert_eq!(code("T", "DELAY\u{1}1\u{2}"), 0);
    }

    #[test]
    fn half_and_rolled_back_records_have_no_unit() {
        for (flag, has) in [(0, true), (4, false), (8, true), (12, false)] {
            let record = record("T", flag, "");
            assert_eq!(unit(&record.view().unwrap(), &[]).is_some(), has, "flag {flag}");
        }
    }

    #[test]
    fn unique_key_words_and_tag_are_indexed_in_this_order() {
        let record = record("T", 0, "TAGS\u{1}t\u{2}KEYS\u{1}a  b\u{2}UNIQ_KEY\u{1}u\u{2}");
        let mut hashes = Vec::new();
        key_hashes(&record.view().unwrap(), &mut hashes);
        let expected = ["T#u", "T#a", "T#b", "T#T#t"].map(java_hash::string_hash);
        assert_eq!(hashes, expected.map(i32::abs));
    }
}
