//! Producers and a consumer group as state machines: a wake-up or an answer in, frames out.
//!
//! They do what the stock clients do: resend what was not answered or refused, give back what failed,
//! commit behind the oldest message that is not done.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::checker::{Checker, GROUP, Place, RETRIES, TOPIC, body_of, name_of};
use super::rng::Rng;
use crate::protocol::body::heartbeat::{ConsumerData, HeartbeatData, SubscriptionData};
use crate::protocol::ext_fields::Fields;
use crate::protocol::frame::Frame;
use crate::protocol::header::{Header, Outgoing};
use crate::protocol::properties::{self, key};
use crate::protocol::request::offset::{OffsetResponse, QueryConsumerOffset, UpdateConsumerOffset};
use crate::protocol::request::pull::{PULL_SUBSCRIPTION, PULL_SUSPEND, PullMessage, PullResponse};
use crate::protocol::request::send::{SendBack, SendMessageV2, SendResponse};
use crate::protocol::{code, ids, json_dialect, names, record, response_code};

/// Queues of the topic.
pub const QUEUES: i32 = 4;
/// Messages that a producer has under way.
const UNDER_WAY_MAX: usize = 8;
/// A producer sends an unanswered message again after this, ms.
const SEND_WAIT_MS: u64 = 10_000;
/// Attempts of a message.
const ATTEMPTS_MAX: u32 = 4;
/// No request stays unanswered longer than this on a connection that lives, ms.
pub const ANSWER_MS: u64 = 40_000;
/// Messages of one queue that the consumer holds.
const HELD_MAX: usize = 32;
/// How long a pull may be held, ms.
const HOLD_MS: i64 = 15_000;
const COMMIT_EVERY_MS: u64 = 1_000;
const HEARTBEAT_EVERY_MS: u64 = 10_000;

/// What a request was for.
#[derive(Clone, Debug)]
enum Asked {
    Send { message: usize },
    Pull { place: Place },
    Back { place: Place, held: Held },
    Commit { place: Place, offset: i64 },
    Position { place: Place },
    Heartbeat,
}

/// A message that failed and is not given back yet.
#[derive(Clone, Debug)]
struct Held {
    message: usize,
    attempts: i32,
    offset: i64,
    physical: i64,
}

/// Requests under way on the present connection.
#[derive(Debug, Default)]
struct Calls {
    next: i32,
    asked: BTreeMap<i32, (u64, Asked)>,
}

impl Calls {
    fn ask(
        &mut self,
        code: i32,
        fields: Fields,
        body: Bytes,
        asked: Asked,
        now_ms: u64,
    ) -> Outgoing {
        self.next += 1;
        self.asked.insert(self.next, (now_ms, asked));
        Outgoing::request(code, self.next, fields, body)
    }

    fn overdue(&self, now_ms: u64) -> Option<String> {
        let late = self.asked.values().find(|(at, _)| now_ms > at + ANSWER_MS)?;
        Some(format!("no answer for {} ms to {:?}", now_ms - late.0, late.1))
    }
}

/// A producer.
#[derive(Debug)]
pub struct Producer {
    number: usize,
    left: u32,
    again: Vec<(u64, usize)>,
    calls: Calls,
    /// Messages that must be taken in the end.
    probes: bool,
}

impl Producer {
    /// A producer with this number that has so many messages to send.
    pub fn new(number: usize, messages: u32) -> Self {
        Self { number, left: messages, again: Vec::new(), calls: Calls::default(), probes: false }
    }

    /// Whether it has nothing more to do.
    pub fn is_done(&self) -> bool {
        self.left == 0 && self.again.is_empty() && self.calls.asked.is_empty()
    }

    /// Whether every message was sent at least once.
    pub fn has_sent_all(&self) -> bool {
        self.left == 0
    }

    /// The message that a request of this producer is about.
    pub fn message_of(&self, opaque: i32) -> Option<usize> {
        match self.calls.asked.get(&opaque) {
            Some((_, Asked::Send { message })) => Some(*message),
            _ => None,
        }
    }

    /// Everything is healed: from now on each message must be taken, and some more are sent.
    pub fn probe(&mut self) {
        self.probes = true;
        self.left += QUEUES as u32;
    }

    /// Its next frames.
    pub fn wake(&mut self, now_ms: u64, rng: &mut Rng, checker: &mut Checker) -> Vec<Outgoing> {
        let mut frames = Vec::new();
        let late: Vec<i32> = self
            .calls
            .asked
            .iter()
            .filter(|(_, (at, _))| now_ms > at + SEND_WAIT_MS)
            .map(|(opaque, _)| *opaque)
            .collect();
        for opaque in late {
            if let Some((_, Asked::Send { message })) = self.calls.asked.remove(&opaque) {
                self.again.push((now_ms, message));
            }
        }
        let (due, later) = self.again.drain(..).partition(|(at, _)| *at <= now_ms);
        self.again = later;
        for (_, message) in due {
            if self.probes || checker.attempts(message) < ATTEMPTS_MAX {
                frames.push(self.send(message, now_ms, checker));
            }
        }
        // Several at once to one queue, as a producer that does not wait for answers.
        let burst = if rng.percent(40) { rng.within(2, 4) } else { 1 };
        let queue = rng.within(0, QUEUES as u64 - 1) as i32;
        for _ in 0..burst {
            if self.left == 0 || self.calls.asked.len() >= UNDER_WAY_MAX {
                break;
            }
            self.left -= 1;
            let level = if rng.percent(10) { rng.within(1, 2) as u8 } else { 0 };
            let message = checker.new_message(self.number, queue, level, now_ms);
            frames.push(self.send(message, now_ms, checker));
        }
        frames
    }

    fn send(&mut self, message: usize, now_ms: u64, checker: &mut Checker) -> Outgoing {
        checker.sending(message);
        let sent = &checker.sent[message];
        let (queue, level) = (sent.queue, sent.level);
        let mut text = String::new();
        properties::push(&mut text, key::UNIQ_KEY, &name_of(message));
        properties::push(&mut text, key::KEYS, &name_of(message));
        if level > 0 {
            properties::push(&mut text, key::DELAY, &level.to_string());
        }
        let header = SendMessageV2 {
            group: "sender",
            topic: TOPIC,
            default_topic: Some(names::TEMPLATE_TOPIC),
            default_queues: Some(QUEUES),
            queue_id: queue,
            sys_flag: 0,
            born_ms: now_ms as i64,
            flag: 0,
            properties: Some(&text),
            reconsume_times: Some(0),
            unit_mode: Some(false),
            max_reconsume_times: None,
            batch: Some(false),
            broker_name: None,
        };
        let body = Bytes::from(body_of(message));
        let asked = Asked::Send { message };
        self.calls.ask(code::SEND_MESSAGE_V2, header.into(), body, asked, now_ms)
    }

    /// An answer came.
    pub fn answered(&mut self, header: &Header<'_>, now_ms: u64, checker: &mut Checker) {
        // A frame that was doubled is answered twice.
        let asked = self.calls.asked.remove(&header.opaque);
        let Some((_, Asked::Send { message })) = asked else { return };
        let stored =
            matches!(header.code, response_code::SUCCESS | response_code::FLUSH_DISK_TIMEOUT);
        let place = SendResponse::decode(&header.ext).ok().and_then(|answer| {
            Some((answer.queue_offset, ids::parse_offset_id(&answer.message_id)?.1))
        });
        match place.filter(|_| stored) {
            Some(place) => checker.acked(message, header.code, place, now_ms),
            None => self.again.push((now_ms + 500, message)),
        }
    }

    /// Its connection is gone.
    pub fn cut(&mut self, now_ms: u64) {
        for (_, (_, asked)) in std::mem::take(&mut self.calls.asked) {
            if let Asked::Send { message } = asked {
                self.again.push((now_ms + 50, message));
            }
        }
    }
}

#[derive(Debug, Default)]
struct Progress {
    /// Where to pull next; none until the broker said where the group is.
    next: Option<i64>,
    asking: bool,
    /// Offsets that are not done.
    open: BTreeSet<i64>,
    committed: i64,
}

impl Progress {
    fn done_to(&self) -> Option<i64> {
        self.open.first().copied().or(self.next)
    }
}

/// The only member of the group: it has all queues and the retry topic.
#[derive(Debug)]
pub struct Consumer {
    queues: BTreeMap<Place, Progress>,
    again: Vec<(u64, Place, Held)>,
    calls: Calls,
    heartbeat_ms: Option<u64>,
    commit_ms: u64,
}

/// Whether a delivery fails: some messages always, some the first times.
fn fails(message: usize, attempts: i32) -> bool {
    match message.wrapping_mul(2_654_435_761) >> 7 & 31 {
        0 => true,
        1..=3 => attempts < 1,
        4 => attempts < 2,
        5 => attempts < RETRIES,
        _ => false,
    }
}

impl Default for Consumer {
    fn default() -> Self {
        let own = (0..QUEUES).map(|queue| (TOPIC.to_owned(), queue));
        let places = own.chain([(names::retry_topic(GROUP), 0)]);
        Self {
            queues: places.map(|place| (place, Progress::default())).collect(),
            again: Vec::new(),
            calls: Calls::default(),
            heartbeat_ms: None,
            commit_ms: 0,
        }
    }
}

impl Consumer {
    /// Its queues.
    pub fn places(&self) -> impl Iterator<Item = (&Place, Option<i64>, bool)> {
        self.queues.iter().map(|(place, progress)| (place, progress.next, progress.open.is_empty()))
    }

    /// A request that should have been answered by now.
    pub fn overdue(&self, now_ms: u64) -> Option<String> {
        self.calls.overdue(now_ms)
    }

    /// Its next frames.
    pub fn wake(&mut self, now_ms: u64, checker: &mut Checker) -> Vec<Outgoing> {
        let mut frames = Vec::new();
        if self.heartbeat_ms.is_none_or(|at| now_ms >= at + HEARTBEAT_EVERY_MS) {
            self.heartbeat_ms = Some(now_ms);
            let body = Bytes::from(json_dialect::to_vec(&heartbeat()));
            let fields = Fields::new();
            frames.push(self.calls.ask(code::HEART_BEAT, fields, body, Asked::Heartbeat, now_ms));
        }
        let (due, later) = self.again.drain(..).partition(|(at, _, _)| *at <= now_ms);
        self.again = later;
        for (_, place, held) in due {
            frames.push(self.give_back(place, held, now_ms, checker));
        }
        let commit = now_ms >= self.commit_ms + COMMIT_EVERY_MS;
        if commit {
            self.commit_ms = now_ms;
        }
        for (place, progress) in &mut self.queues {
            frames.extend(ask_for(place, progress, &mut self.calls, now_ms));
            let done_to = progress.done_to().filter(|to| commit && *to > progress.committed);
            if let Some(offset) = done_to {
                progress.committed = offset;
                let (topic, queue_id) = (place.0.as_str(), place.1);
                let header = UpdateConsumerOffset { group: GROUP, topic, queue_id, offset };
                let asked = Asked::Commit { place: place.clone(), offset };
                let (code, body) = (code::UPDATE_CONSUMER_OFFSET, Bytes::new());
                frames.push(self.calls.ask(code, header.into(), body, asked, now_ms));
            }
        }
        frames
    }

    fn give_back(
        &mut self,
        place: Place,
        held: Held,
        now_ms: u64,
        checker: &mut Checker,
    ) -> Outgoing {
        checker.giving_back(held.message, held.attempts, now_ms);
        let header = SendBack {
            offset: held.physical,
            group: GROUP,
            delay_level: 0,
            origin_message_id: None,
            origin_topic: Some(TOPIC),
            unit_mode: Some(false),
            max_reconsume_times: Some(RETRIES),
        };
        let asked = Asked::Back { place, held };
        let code = code::CONSUMER_SEND_MSG_BACK;
        self.calls.ask(code, header.into(), Bytes::new(), asked, now_ms)
    }

    /// An answer came; `max` tells where a queue ends now.
    pub fn answered(
        &mut self,
        frame: &Frame,
        header: &Header<'_>,
        now_ms: u64,
        checker: &mut Checker,
        max: impl Fn(&Place) -> i64,
    ) -> Result<(), String> {
        let Some((_, asked)) = self.calls.asked.remove(&header.opaque) else { return Ok(()) };
        let ok = header.code == response_code::SUCCESS;
        match asked {
            Asked::Pull { place } => self.pulled(&place, frame, header, now_ms, checker)?,
            Asked::Back { place, held } if ok => self.done(&place, held.offset),
            Asked::Back { place, held } => self.again.push((now_ms + 1_000, place, held)),
            Asked::Commit { place, offset } if ok => checker.committed(&place, offset),
            Asked::Position { place } => {
                let known = OffsetResponse::decode(&header.ext).ok().filter(|_| ok);
                if let Some(answer) = &known {
                    checker.position(&place, answer.offset, max(&place))?;
                }
                let none = header.code == response_code::QUERY_NOT_FOUND;
                if let Some(progress) = self.queues.get_mut(&place) {
                    progress.asking = false;
                    progress.next = known.map(|answer| answer.offset).or(none.then_some(0));
                    progress.committed = progress.next.unwrap_or(0);
                }
            }
            Asked::Commit { .. } | Asked::Heartbeat | Asked::Send { .. } => {}
        }
        Ok(())
    }

    fn pulled(
        &mut self,
        place: &Place,
        frame: &Frame,
        header: &Header<'_>,
        now_ms: u64,
        checker: &mut Checker,
    ) -> Result<(), String> {
        let Some(progress) = self.queues.get_mut(place) else { return Ok(()) };
        progress.asking = false;
        let Ok(answer) = PullResponse::decode(&header.ext) else { return Ok(()) };
        let from = progress.next.unwrap_or(0);
        match header.code {
            response_code::SUCCESS => {
                let mut expected = from;
                for view in record::iter(&frame.body) {
                    let offset = view.queue_offset();
                    if offset != expected {
                        return Err(format!("{place:?}: {offset} came where {expected} was next"));
                    }
                    expected += 1;
                    let message = checker.delivered(place, &view, now_ms)?;
                    let attempts = view.reconsume_times();
                    if fails(message, attempts) {
                        let physical = view.physical_offset();
                        let held = Held { message, attempts, offset, physical };
                        progress.open.insert(offset);
                        self.again.push((now_ms, place.clone(), held));
                    } else {
                        checker.consumed(message);
                    }
                }
                if answer.next_offset != expected {
                    let next = answer.next_offset;
                    return Err(format!("{place:?}: go on at {next}, the last was {expected} - 1"));
                }
                progress.next = Some(expected);
            }
            response_code::PULL_OFFSET_MOVED if answer.next_offset != from => {
                return Err(format!("{place:?}: moved from {from} to {}", answer.next_offset));
            }
            _ => {}
        }
        Ok(())
    }

    fn done(&mut self, place: &Place, offset: i64) {
        if let Some(progress) = self.queues.get_mut(place) {
            progress.open.remove(&offset);
        }
    }

    /// Its connection is gone: what was under way is asked again.
    pub fn cut(&mut self, now_ms: u64) {
        self.heartbeat_ms = None;
        for (_, (_, asked)) in std::mem::take(&mut self.calls.asked) {
            match asked {
                Asked::Pull { place } | Asked::Position { place } => {
                    if let Some(progress) = self.queues.get_mut(&place) {
                        progress.asking = false;
                    }
                }
                Asked::Back { place, held } => self.again.push((now_ms + 1_000, place, held)),
                Asked::Commit { place, .. } => {
                    if let Some(progress) = self.queues.get_mut(&place) {
                        progress.committed = 0;
                    }
                }
                Asked::Send { .. } | Asked::Heartbeat => {}
            }
        }
    }

    /// The broker was restarted: what it was told may have been forgotten with it.
    pub fn commit_again(&mut self) {
        for progress in self.queues.values_mut() {
            progress.committed = 0;
        }
    }
}

/// The pull of a queue, or the question where to begin; none when one of them is under way.
fn ask_for(
    place: &Place,
    progress: &mut Progress,
    calls: &mut Calls,
    now_ms: u64,
) -> Option<Outgoing> {
    if progress.asking || progress.open.len() >= HELD_MAX {
        return None;
    }
    progress.asking = true;
    let (topic, queue_id) = (place.0.as_str(), place.1);
    let Some(offset) = progress.next else {
        let header = QueryConsumerOffset { group: GROUP, topic, queue_id, zero_if_not_found: None };
        let asked = Asked::Position { place: place.clone() };
        let (code, body) = (code::QUERY_CONSUMER_OFFSET, Bytes::new());
        return Some(calls.ask(code, header.into(), body, asked, now_ms));
    };
    let header = PullMessage {
        group: GROUP,
        topic,
        queue_id,
        offset,
        max_messages: 16,
        sys_flag: PULL_SUSPEND | PULL_SUBSCRIPTION,
        commit_offset: 0,
        suspend_ms: HOLD_MS,
        subscription: Some("*"),
        sub_version: 1,
        expression_type: Some("TAG"),
        max_bytes: None,
        request_source: None,
    };
    let asked = Asked::Pull { place: place.clone() };
    Some(calls.ask(code::PULL_MESSAGE, header.into(), Bytes::new(), asked, now_ms))
}

fn heartbeat() -> HeartbeatData {
    let all = |topic: &str| SubscriptionData {
        topic: topic.to_owned(),
        sub_string: "*".to_owned(),
        sub_version: 1,
        ..SubscriptionData::default()
    };
    let group = ConsumerData {
        group_name: GROUP.to_owned(),
        subscription_data_set: vec![all(TOPIC), all(&names::retry_topic(GROUP))],
        ..ConsumerData::default()
    };
    HeartbeatData {
        client_id: "member".to_owned(),
        consumer_data_set: vec![group],
        ..HeartbeatData::default()
    }
}
