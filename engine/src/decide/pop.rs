//! POP: handles, header texts, and when an unacknowledged message goes back (semantics.md §16).
//!
//! [`Open`] merges the log of checkpoints and acknowledgements of one revive queue and says which
//! checkpoint is over. Blocks of ordered queues are in `pop_order`. Who reads, writes and revives is
//! the broker's business.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::protocol::body::pop::{AckEntry, BatchAck, Checkpoint};
use crate::protocol::names;

/// Revive queues of a broker.
pub const REVIVE_QUEUES: i32 = 8;
/// Revive queue in the handles of ordered pops, which have no checkpoint.
pub const ORDERED_QUEUE: i32 = 999;
/// Most messages of one pop: a checkpoint has as many bits.
pub const MESSAGES_MAX: i32 = 32;
/// How much earlier than its acknowledgements a checkpoint reaches the revive queue, ms.
pub const ACK_AHEAD_MS: i64 = 1_000;
/// A checkpoint is over once the log is read this far past its time, ms.
const OVER_MS: i64 = ACK_AHEAD_MS + 1_000;
/// With nothing new for this long the log counts as read up to now, ms.
const IDLE_MS: i64 = 3_000;
/// Pops that arrive this much after their time are not served, ms.
const LATE_MS: i64 = 500;
/// Waits before a message that could not be put back is tried again, s.
const AGAIN_S: [i64; 17] =
    [10, 20, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200];
/// Bits of one batch acknowledgement that are read.
const BITS_MAX: usize = 1 << 16;

/// Whether the asker of a pop has given up already.
#[must_use]
pub fn is_late(born_ms: i64, poll_ms: i64, now_ms: i64) -> bool {
    now_ms.saturating_sub(born_ms).saturating_sub(poll_ms) > LATE_MS
}

/// Where the messages of a pop come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The topic itself.
    Normal,
    /// A retry topic whose name is joined by an underscore.
    RetryV1,
    /// A retry topic whose name is joined by a plus sign.
    RetryV2,
}

impl Origin {
    /// The origin that a topic's name tells.
    #[must_use]
    pub fn of(topic: &str) -> Self {
        match topic.strip_prefix(names::RETRY_PREFIX) {
            None => Self::Normal,
            Some(rest) if rest.contains('+') => Self::RetryV2,
            Some(_) => Self::RetryV1,
        }
    }

    /// The flag of handles and header texts.
    #[must_use]
    pub fn flag(self) -> char {
        match self {
            Self::Normal => '0',
            Self::RetryV1 => '1',
            Self::RetryV2 => '2',
        }
    }

    /// The origin of a flag.
    #[must_use]
    pub fn from_flag(text: &str) -> Self {
        match text {
            "1" => Self::RetryV1,
            "2" => Self::RetryV2,
            _ => Self::Normal,
        }
    }

    /// The topic that holds the messages.
    #[must_use]
    pub fn topic(self, topic: &str, group: &str) -> String {
        match self {
            Self::Normal => topic.to_owned(),
            Self::RetryV1 => names::pop_retry_topic_v1(topic, group),
            Self::RetryV2 => names::pop_retry_topic_v2(topic, group),
        }
    }
}

/// What is configured of the retry topics of popped messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryTopics {
    /// Those of the second form are in use (`enableRetryTopicV2`).
    pub second: bool,
    /// Those of the first form are still read then (`retrieveMessageFromPopRetryTopicV1`).
    pub first_too: bool,
}

impl RetryTopics {
    /// Both forms, whichever are in use.
    pub const BOTH: Self = Self { second: true, first_too: true };

    /// Where messages that come back go.
    #[must_use]
    pub fn written(self) -> Origin {
        if self.second { Origin::RetryV2 } else { Origin::RetryV1 }
    }

    /// Where pops look for them.
    #[must_use]
    pub fn read(self) -> &'static [Origin] {
        match self {
            Self { second: false, .. } => &[Origin::RetryV1],
            Self { first_too: true, .. } => &[Origin::RetryV2, Origin::RetryV1],
            Self { first_too: false, .. } => &[Origin::RetryV2],
        }
    }

    /// Names of the topics, other than the topic itself, in which a pop looks for what came back.
    #[must_use]
    pub fn names(self, topic: &str, group: &str) -> Vec<String> {
        let names = self.read().iter().map(|origin| origin.topic(topic, group));
        names.filter(|name| name != topic).collect()
    }
}

/// The topic whose pop retry topic this is; the name itself when it is none of this group.
#[must_use]
pub fn normal_topic<'a>(topic: &'a str, group: &str) -> &'a str {
    let rest = topic.strip_prefix(names::RETRY_PREFIX).and_then(|rest| rest.strip_prefix(group));
    rest.and_then(|rest| rest.strip_prefix(['_', '+'])).unwrap_or(topic)
}

/// A message's handle, the text of property `POP_CK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle<'a> {
    /// First offset of the pop in this queue.
    pub start: i64,
    /// When it was popped, ms.
    pub pop_ms: i64,
    /// For how long, ms.
    pub invisible_ms: i64,
    /// Queue of the POP log, or [`ORDERED_QUEUE`].
    pub revive_queue: i32,
    /// Where the message came from.
    pub origin: Origin,
    /// Broker that handed it out.
    pub broker: &'a str,
    /// Queue of the message.
    pub queue_id: i32,
    /// Offset of the message; −1 when the handle does not say.
    pub offset: i64,
}

impl<'a> Handle<'a> {
    /// Reads a handle; none when it is not one.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.split(' ');
        let start = fields.next()?.parse().ok()?;
        let pop_ms = fields.next()?.parse().ok()?;
        let invisible_ms = fields.next()?.parse().ok()?;
        let revive_queue = fields.next()?.parse().ok()?;
        let origin = Origin::from_flag(fields.next()?);
        let broker = fields.next()?;
        let queue_id = fields.next()?.parse().ok()?;
        let offset = fields.next().map_or(Some(-1), |text| text.parse().ok())?;
        Some(Self { start, pop_ms, invisible_ms, revive_queue, origin, broker, queue_id, offset })
    }

    /// Whether it is of an ordered pop.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        self.revive_queue == ORDERED_QUEUE
    }

    /// Whether its revive queue exists.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.is_ordered() || (0..REVIVE_QUEUES).contains(&self.revive_queue)
    }
}

impl fmt::Display for Handle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, pop_ms, invisible_ms, revive_queue, origin, broker, queue_id, offset } =
            self;
        let flag = origin.flag();
        write!(
            f,
            "{start} {pop_ms} {invisible_ms} {revive_queue} {flag} {broker} {queue_id} {offset}"
        )
    }
}

/// Adds an entry to one of the header texts of a pop.
pub fn push_entry(text: &mut String, entry: fmt::Arguments<'_>) {
    if !text.is_empty() {
        text.push(';');
    }
    text.push_str(&entry.to_string());
}

/// Offsets that a batch acknowledges, not below the start.
#[must_use]
pub fn batch_offsets(ack: &BatchAck) -> Vec<i64> {
    let bytes = base64(&ack.bit_set).unwrap_or_default();
    let bits =
        (0..bytes.len() * 8).take(BITS_MAX).filter(|bit| bytes[bit / 8] >> (bit % 8) & 1 == 1);
    bits.filter_map(|bit| ack.start_offset.checked_add(bit as i64)).collect()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut have) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    Some(out)
}

/// When the messages of a checkpoint come back, ms.
#[must_use]
pub fn revive_ms(point: &Checkpoint) -> i64 {
    point.pop_ms.saturating_add(point.invisible_ms)
}

/// The offsets of a checkpoint, with their bits.
fn offsets(point: &Checkpoint) -> impl Iterator<Item = (u32, i64)> + '_ {
    let count = point.count.clamp(0, MESSAGES_MAX).unsigned_abs();
    (0..count).filter_map(|bit| {
        let distance = if point.distances.is_empty() {
            i64::from(bit)
        } else {
            i64::from(*point.distances.get(bit as usize)?)
        };
        Some((bit, point.start_offset.checked_add(distance)?))
    })
}

/// Offsets of a checkpoint that nobody acknowledged.
#[must_use]
pub fn unacked(point: &Checkpoint) -> Vec<i64> {
    offsets(point)
        .filter(|(bit, _)| point.acked >> bit & 1 == 0)
        .map(|(_, offset)| offset)
        .collect()
}

/// The checkpoint of one message that could not be put back now.
#[must_use]
pub fn put_again(point: &Checkpoint, offset: i64, now_ms: i64) -> Checkpoint {
    let times: usize = point.put_again.parse().unwrap_or(0);
    let wait_ms = AGAIN_S[times.min(AGAIN_S.len() - 1)] * 1_000;
    let more_ms = if revive_ms(point) <= now_ms { wait_ms } else { 0 };
    // Counted from its own pop, so that a broker that stood still for long does not try at once.
    let waited_ms = now_ms.saturating_sub(point.pop_ms).max(point.invisible_ms);
    Checkpoint {
        acked: 0,
        count: 1,
        distances: vec![0],
        start_offset: offset,
        invisible_ms: waited_ms.saturating_add(more_ms),
        put_again: (times + 1).to_string(),
        ..point.clone()
    }
}

/// What a message of the POP log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Messages were handed out.
    Popped(Checkpoint),
    /// Messages were acknowledged.
    Acked(AckEntry),
}

type Key = (String, String, i32, i64, i64);

/// Checkpoints of one revive queue that are not over yet.
#[derive(Debug, Default)]
pub struct Open {
    points: BTreeMap<i64, Checkpoint>,
    keys: HashMap<Key, i64>,
    /// The log is read up to this time, ms; 0 before the first message.
    read_ms: i64,
}

impl Open {
    /// Takes the message at `at`, which was due at `due_ms`. An acknowledgement without its
    /// checkpoint says nothing, and a checkpoint that came twice counts once.
    pub fn take(&mut self, at: i64, due_ms: i64, entry: Entry) {
        self.read_ms = self.read_ms.max(due_ms);
        match entry {
            Entry::Popped(point) => {
                let key = key(
                    &point.topic,
                    &point.group,
                    point.queue_id,
                    point.start_offset,
                    point.pop_ms,
                );
                if let std::collections::hash_map::Entry::Vacant(free) = self.keys.entry(key) {
                    free.insert(at);
                    self.points.insert(at, point);
                }
            }
            Entry::Acked(ack) => self.ack(&ack),
        }
    }

    fn ack(&mut self, ack: &AckEntry) {
        let key = key(&ack.topic, &ack.group, ack.queue_id, ack.start_offset, ack.pop_ms);
        let Some(point) = self.keys.get(&key).and_then(|at| self.points.get_mut(at)) else {
            return;
        };
        let acked = |offset: &i64| ack.offset == *offset || ack.offsets.contains(offset);
        let bits = offsets(point).filter(|(_, offset)| acked(offset)).map(|(bit, _)| 1 << bit);
        point.acked |= bits.fold(0_i32, |all, bit: i32| all | bit);
    }

    /// There is nothing more to read, and nothing is on its way that is due: after a while that means
    /// that no acknowledgement is missing.
    pub fn idle(&mut self, now_ms: i64) {
        if self.read_ms != 0 && now_ms - self.read_ms > IDLE_MS {
            self.read_ms = now_ms;
        }
    }

    /// The first checkpoint, if it is over; it stays until [`done`](Self::done).
    #[must_use]
    pub fn over(&self) -> Option<(i64, &Checkpoint)> {
        let (at, point) = self.points.first_key_value()?;
        (self.read_ms.saturating_sub(revive_ms(point)) > OVER_MS).then_some((*at, point))
    }

    /// Forgets the first checkpoint.
    pub fn done(&mut self) {
        if let Some((_, point)) = self.points.pop_first() {
            self.keys.remove(&key(
                &point.topic,
                &point.group,
                point.queue_id,
                point.start_offset,
                point.pop_ms,
            ));
        }
    }

    /// Checkpoints that are not over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether all are over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }
}

fn key(topic: &str, group: &str, queue_id: i32, start: i64, pop_ms: i64) -> Key {
    (topic.to_owned(), group.to_owned(), queue_id, start, pop_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_000_000;

    fn point(start: i64, count: i32, invisible_ms: i64) -> Checkpoint {
        Checkpoint {
            count,
            distances: (0..count).map(|n| n * 2).collect(),
            group: "g".into(),
            topic: "t".into(),
            start_offset: start,
            pop_ms: T,
            invisible_ms,
            ..Checkpoint::default()
        }
    }

    fn ack(start: i64, offset: i64, offsets: &[i64]) -> Entry {
        Entry::Acked(AckEntry {
            offset,
            offsets: offsets.to_vec(),
            group: "g".into(),
            topic: "t".into(),
            start_offset: start,
            pop_ms: T,
            ..AckEntry::default()
        })
    }

    #[test]
    fn what_is_acknowledged_does_not_come_back() {
        // Checkpoint of offsets 5, 7, 9; acknowledged; what comes back.
        let cases: [(&[Entry], &[i64]); 6] = [
            (&[], &[5, 7, 9]),
            (&[ack(5, 7, &[])], &[5, 9]),
            (&[ack(5, 7, &[]), ack(5, 7, &[])], &[5, 9]),
            (&[ack(5, -1, &[5, 9])], &[7]),
            (&[ack(5, -1, &[5, 7, 9])], &[]),
            (&[ack(5, 6, &[]), ack(6, 7, &[])], &[5, 7, 9]),
        ];
        for (acks, back) in cases {
            let mut open = Open::default();
            open.take(3, T + 9_000, Entry::Popped(point(5, 3, 10_000)));
            for (n, entry) in acks.iter().enumerate() {
                open.take(4 + n as i64, T + 10_000, entry.clone());
            }
            assert!(open.over().is_none(), "acknowledgements may still come");
            open.take(9, T + 12_001, ack(0, 0, &[]));
            let (at, over) = open.over().unwrap();
            assert_eq!((at, unacked(over)), (3, back.to_vec()), "{acks:?}");
            open.done();
            assert!(open.is_empty() && open.over().is_none());
        }
    }

    #[test]
    fn a_log_at_rest_ends_checkpoints_too_but_not_at_once() {
        let mut open = Open::default();
        open.idle(T);
        open.take(0, T + 9_000, Entry::Popped(point(0, 1, 10_000)));
        open.idle(T + 12_000);
        assert!(open.over().is_none());
        open.idle(T + 12_001);
        assert!(open.over().is_some());
    }

    #[test]
    fn checkpoints_end_in_the_order_of_the_log() {
        let mut open = Open::default();
        open.take(0, T, Entry::Popped(point(0, 1, 60_000)));
        open.take(1, T, Entry::Popped(point(1, 1, 1_000)));
        open.take(2, T, Entry::Popped(point(1, 1, 1_000)));
        assert_eq!(open.len(), 2, "the same checkpoint twice counts once");
        open.idle(T + 30_000);
        assert!(open.over().is_none(), "the second waits for the first");
        open.idle(T + 90_000);
        assert_eq!(open.over().map(|(at, _)| at), Some(0));
    }

    #[test]
    fn old_checkpoints_count_up_from_their_start() {
        let old = Checkpoint { distances: Vec::new(), ..point(4, 3, 0) };
        assert_eq!(unacked(&old), [4, 5, 6]);
        let hostile = Checkpoint { count: 900, start_offset: i64::MAX, ..old };
        assert_eq!(unacked(&hostile), [i64::MAX]);
    }

    #[test]
    fn a_message_that_cannot_be_put_back_waits_longer_each_time() {
        let first = put_again(&point(4, 3, 1_000), 8, T + 3_000);
        assert_eq!((first.start_offset, first.count, first.put_again.as_str()), (8, 1, "1"));
        assert_eq!(revive_ms(&first), T + 13_000);
        let second = put_again(&first, 8, T + 15_000);
        assert_eq!((revive_ms(&second), second.put_again.as_str()), (T + 35_000, "2"));
        let late = Checkpoint { put_again: "99".into(), ..first };
        assert_eq!(revive_ms(&put_again(&late, 8, T + 15_000)), T + 7_215_000);
    }

    #[test]
    fn handles_are_read_as_written() {
        let text = "0 1795555190000 60000 3 0 broker-a 2 17";
        let handle = Handle::parse(text).unwrap();
        assert_eq!((handle.revive_queue, handle.queue_id, handle.offset), (3, 2, 17));
        assert_eq!(handle.to_string(), text);
        assert_eq!(
            Handle::parse("0 1 2 999 1 b 0").map(|h| (h.is_ordered(), h.offset)),
            Some((true, -1))
        );
        for text in ["", "1 2 3", "a b c d e f g h", "1 2 3 4 0 b"] {
            assert_eq!(Handle::parse(text), None, "{text}");
        }
        assert!(!Handle::parse("0 1 2 8 0 b 0 1").unwrap().is_valid());
    }

    #[test]
    fn bits_of_a_batch_are_offsets_from_its_start() {
        let ack =
            |bits: &str| BatchAck { start_offset: 4, bit_set: bits.into(), ..BatchAck::default() };
        assert_eq!(batch_offsets(&ack("BQ==")), [4, 6]);
        assert_eq!(batch_offsets(&ack("AAE=")), [12]);
        assert!(batch_offsets(&ack("")).is_empty() && batch_offsets(&ack("!")).is_empty());
    }

    #[test]
    fn retry_topics_and_their_topics_tell_each_other() {
        for (topic, origin) in [
            ("t", Origin::Normal),
            ("%RETRY%g_t", Origin::RetryV1),
            ("%RETRY%g+t", Origin::RetryV2),
        ] {
            assert_eq!(Origin::of(topic), origin);
            assert_eq!(Origin::from_flag(&origin.flag().to_string()), origin);
            assert_eq!(origin.topic("t", "g"), topic);
            assert_eq!(normal_topic(topic, "g"), "t");
        }
        assert_eq!(normal_topic("%RETRY%g", "g"), "%RETRY%g");
    }

    #[test]
    fn retry_topics_of_the_first_form_are_left_only_on_demand() {
        let of = |second, first_too| {
            let topics = RetryTopics { second, first_too };
            (topics.written(), topics.names("t", "g"))
        };
        let (v1, v2) = (String::from("%RETRY%g_t"), String::from("%RETRY%g+t"));
        assert_eq!(of(false, true), (Origin::RetryV1, vec![v1.clone()]));
        assert_eq!(of(false, false), (Origin::RetryV1, vec![v1.clone()]));
        assert_eq!(of(true, true), (Origin::RetryV2, vec![v2.clone(), v1]));
        assert_eq!(of(true, false), (Origin::RetryV2, vec![v2]));
        let of_its_own = RetryTopics::BOTH.names("%RETRY%g", "g");
        assert!(of_its_own.is_empty(), "a retry topic has none of its own");
    }

    #[test]
    fn a_late_pop_is_late_after_its_wait() {
        assert!(!is_late(T, 1_000, T + 1_500));
        assert!(is_late(T, 1_000, T + 1_501));
        assert!(is_late(i64::MIN, 0, T));
    }
}
