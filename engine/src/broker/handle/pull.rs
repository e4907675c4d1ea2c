//! Pulling with long polls: 11, 361 (semantics.md §6).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::broker::Broker;
use crate::broker::count::GetCount;
use crate::broker::outcome::{self, Cx, Outcome, Reply};
use crate::broker::state::connections::ConsumerGroup;
use crate::broker::state::filters;
use crate::broker::state::parked::Wait;
use crate::decide::filter::Filter;
use crate::decide::filter::tag::TagFilter;
use crate::decide::pull_status::{
    self, Answer, GroupFacts, OfTopic, PullFacts, Status, Subscription, TopicFacts,
};
use crate::protocol::body::heartbeat::{EXPRESSION_TAG, MessageModel, SUBSCRIBE_ALL};
use crate::protocol::code::{LITE_PULL_MESSAGE, PULL_MESSAGE};
use crate::protocol::ext_fields::Fields;
use crate::protocol::frame::Frame;
use crate::protocol::record::RecordView;
use crate::protocol::request::pull::{
    PULL_COMMIT, PULL_SUBSCRIPTION, PULL_SUSPEND, PullMessage, PullResponse,
};
use crate::protocol::response_code;
use crate::store::{
    self, Arrival, Match, QueueOffset, Read, ReadLimit, ReadStatus, StoreError, Unit,
};

/// Most messages of one answer.
const MESSAGES_MAX: i32 = 32;
/// Most bytes of one answer, the first message apart.
const BYTES_MAX: usize = 256 * 1024;
/// Most units that a filter looks at for one answer.
const SCAN_MAX: usize = 800;
/// How long a pull waits when long polling is off, ms.
const SHORT_POLL_MS: i64 = 1_000;
/// Longest wait that is granted, ms.
const SUSPEND_MS_MAX: i64 = 10 * 60_000;

/// Whether a pull may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pass {
    /// It came from the client just now.
    First,
    /// It waited and is answered whatever there is.
    Woken,
}

/// 11, 361: messages from an offset on, or a wait.
pub fn pull(broker: &Arc<Broker>, cx: &Cx, header: &PullMessage<'_>, frame: &Frame) -> Outcome {
    match serve(broker, cx, header, Pass::First) {
        Served::Reply(reply) => reply.into(),
        Served::Cold => Outcome::Cold,
        Served::Nothing { reply, filter } => {
            let may_wait = header.sys_flag & PULL_SUSPEND != 0;
            if may_wait { park(broker, cx, header, frame, reply, filter) } else { reply.into() }
        }
    }
}

/// Runs a pull again that waited, and answers it; on the pool when it needs the disk.
pub fn wake(broker: &Arc<Broker>, wait: &Wait, now_ms: i64) {
    if wait.answer.peer.is_closed() || again(broker, &wait.frame, &wait.answer, now_ms, false) {
        return;
    }
    let (own, frame, answer) = (Arc::clone(broker), wait.frame.clone(), wait.answer.clone());
    let job = move || {
        again(&own, &frame, &answer, now_ms, true);
    };
    if !broker.on_pool(Box::new(job)) {
        wait.answer.reply(crate::broker::serve::overloaded());
    }
}

/// Whether the pull is done with: `false` when it has to run where it may wait.
fn again(
    broker: &Arc<Broker>,
    frame: &Frame,
    answer: &outcome::Answer,
    now_ms: i64,
    may_wait: bool,
) -> bool {
    let Ok(head) = frame.decode() else { return true };
    debug_assert!(matches!(head.code, PULL_MESSAGE | LITE_PULL_MESSAGE));
    let Ok(header) = PullMessage::decode(&head.ext) else { return true };
    let wait = if may_wait { store::Wait::Yes } else { store::Wait::No };
    let (version, language) = (head.version, head.language);
    let cx = Cx { answer: answer.clone(), version, language, now_ms, wait };
    match serve(broker, &cx, &header, Pass::Woken) {
        Served::Reply(reply) | Served::Nothing { reply, .. } => answer.reply(reply),
        Served::Cold => return false,
    }
    true
}

fn park(
    broker: &Arc<Broker>,
    cx: &Cx,
    header: &PullMessage<'_>,
    frame: &Frame,
    reply: Reply,
    filter: Filter,
) -> Outcome {
    let suspend_ms =
        if broker.live().long_polling_enable { header.suspend_ms } else { SHORT_POLL_MS };
    let wait = Wait {
        frame: Frame {
            serialization: frame.serialization,
            header: Bytes::copy_from_slice(&frame.header),
            body: Bytes::new(),
        },
        answer: cx.answer.clone(),
        group: header.group.to_owned(),
        deadline_ms: cx.now_ms + suspend_ms.clamp(0, SUSPEND_MS_MAX),
        offset: header.offset,
        filter,
    };
    if !broker.parked.park(header.topic, header.queue_id, wait) {
        drop(reply);
        let remark = "[OVERLOAD]system busy, start flow control for a while: too many pulls wait";
        return Reply::refuse(response_code::SYSTEM_BUSY, remark).into();
    }
    // A message or a reset may have come between the look and the parking: nobody would wake this
    // pull then.
    let PullMessage { group, topic, queue_id, .. } = *header;
    let max = broker.store.max_offset(topic, queue_id).0 as i64;
    if max > header.offset || broker.resets.get(group, topic, queue_id).is_some() {
        for wait in broker.parked.take_queue(header.topic, header.queue_id) {
            wake(broker, &wait, cx.now_ms);
        }
    }
    Outcome::Parked
}

enum Served {
    Reply(Reply),
    /// It has to wait for the disk.
    Cold,
    /// Nothing new, and what would be.
    Nothing {
        reply: Reply,
        filter: Filter,
    },
}

fn serve(broker: &Arc<Broker>, cx: &Cx, header: &PullMessage<'_>, pass: Pass) -> Served {
    let filter = match check(broker, cx, header) {
        Ok(filter) => filter,
        Err(reply) => return Served::Reply(reply),
    };
    let PullMessage { group, topic, queue_id, .. } = *header;
    if let Some(offset) = broker.resets.take(group, topic, queue_id) {
        let answer = Answer::new(Status::OffsetReset, header.offset, offset);
        return Served::Reply(reply(broker, header, answer, Bytes::new()));
    }
    let commits = header.sys_flag & PULL_COMMIT != 0 && header.commit_offset >= 0;
    // Not when it runs again: by then the client may have committed more.
    if commits && pass == Pass::First && cx.wait == store::Wait::No {
        broker.offsets.commit(group, topic, queue_id, header.commit_offset);
    }
    let start_ns = broker.clock.monotonic_ns();
    let Some((answer, read)) = look(broker, cx.wait, header, &filter) else { return Served::Cold };
    broker.offsets.note_pull(group, topic, queue_id, answer.next);
    let messages = read.as_ref().map_or(0, |read| read.records.len());
    let body = read.map(|read| join(read.pieces, read.bytes)).unwrap_or_default();
    let (bytes, found) = (body.len(), answer.status == Status::Found);
    let timed = Some((queue_id, start_ns));
    broker.count_get(GetCount { group, topic, messages, bytes, found, timed });
    let reply = reply(broker, header, answer, body);
    if answer.may_park() {
        return Served::Nothing { reply, filter };
    }
    Served::Reply(reply)
}

/// Rows 1–14; the filter that the messages must pass.
fn check(broker: &Broker, cx: &Cx, header: &PullMessage<'_>) -> Result<Filter, Reply> {
    let in_request = header.sys_flag & PULL_SUBSCRIPTION != 0;
    let (made, group) = broker.group_or_new(header.group, cx.now_ms);
    if made {
        tracing::info!(group = header.group, "group made by a pull");
    }
    let topic = broker.topics.get(header.topic);
    let (subscription, filter) = if in_request {
        from_request(header)
    } else {
        broker
            .connections
            .with_group(header.group, |members| registered(broker, members, header))
            .unwrap_or((Subscription::GroupOffline, None))
    };
    pull_status::check(&PullFacts {
        group_name: header.group,
        topic_name: header.topic,
        broker_readable: broker.perm().readable(),
        lite_refused: false,
        group: group.map(|group| GroupFacts {
            consume: group.consume_enable,
            broadcast: group.consume_broadcast_enable,
            forbidden: broker.groups.is_forbidden(header.group, header.topic),
        }),
        topic: topic.map(|topic| TopicFacts {
            readable: topic.readable(),
            read_queues: topic.config.read_queue_nums,
        }),
        queue_id: header.queue_id,
        subscription,
        version_asked: header.sub_version,
        sql_enabled: broker.live().enable_property_filter,
    })
    .map_err(|refusal| {
        let mut fields = Fields::new();
        if let Some(by) = refusal.forbidden {
            fields = fields.int("forbiddenType", by as i64);
        }
        Reply::refuse(refusal.refusal.code, refusal.refusal.remark).with_fields(fields)
    })?;
    Ok(filter.unwrap_or(Filter::Tag(TagFilter::All)))
}

fn from_request(header: &PullMessage<'_>) -> (Subscription, Option<Filter>) {
    let text = header.subscription.unwrap_or(SUBSCRIBE_ALL);
    let kind = header.expression_type.filter(|kind| !kind.is_empty() && *kind != EXPRESSION_TAG);
    let filter = match kind {
        None => TagFilter::parse(text).ok().map(Filter::Tag),
        Some(kind) => filters::compile(text, kind).ok().map(|sql| Filter::Sql(Arc::new(sql))),
    };
    (Subscription::InRequest { parsed: filter.is_some(), tag: kind.is_none() }, filter)
}

fn registered(
    broker: &Broker,
    members: &ConsumerGroup,
    header: &PullMessage<'_>,
) -> (Subscription, Option<Filter>) {
    let broadcasting = members.model == MessageModel::Broadcasting;
    let Some(subscription) = members.subscriptions.get(header.topic) else {
        return (Subscription::Registered { broadcasting, of_topic: None }, None);
    };
    let version = subscription.sub_version;
    let (of_topic, filter) = if subscription.is_tag() {
        (OfTopic::Tag { version }, Some(Filter::Tag(TagFilter::of(subscription))))
    } else {
        let found = broker.filters.get(header.group, header.topic);
        let of_topic = OfTopic::Sql { version, filter: found.as_ref().map(|found| found.version) };
        (of_topic, found.map(|found| Filter::Sql(found.filter)))
    };
    (Subscription::Registered { broadcasting, of_topic: Some(of_topic) }, filter)
}

/// Places the offset in the queue and reads; `None` when the read has to wait and may not.
fn look(
    broker: &Broker,
    wait: store::Wait,
    header: &PullMessage<'_>,
    filter: &Filter,
) -> Option<(Answer, Option<Read>)> {
    let extent = broker.extent(header.topic, header.queue_id);
    if let Some(answer) = pull_status::place(header.offset, Some(extent)) {
        return Some((answer, None));
    }
    let limit = ReadLimit {
        messages: header.max_messages.clamp(1, MESSAGES_MAX) as usize,
        bytes: BYTES_MAX,
        scan_units: SCAN_MAX,
    };
    let from = QueueOffset(header.offset.max(0).unsigned_abs());
    let mut by_unit = |unit: &Unit| match filter {
        Filter::Tag(tags) if tags.matches(unit.tags_code) => Match::Take,
        Filter::Tag(_) => Match::Skip,
        Filter::Sql(_) => Match::NeedRecord,
    };
    let mut by_record = |record: &RecordView<'_>| match filter {
        Filter::Tag(_) => true,
        Filter::Sql(sql) => sql.matches(record.properties()),
    };
    let reads = broker.store.reads(wait);
    let (topic, queue) = (header.topic, header.queue_id);
    match reads.read(topic, queue, from, limit, &mut by_unit, &mut by_record) {
        Ok(read) => {
            let next = read.next_offset.0 as i64;
            Some((Answer::new(status(read.status), header.offset, next), Some(read)))
        }
        Err(StoreError::Cold) => None,
        Err(error) => {
            tracing::warn!(topic = header.topic, queue = header.queue_id, %error, "cannot read");
            Some((Answer::new(Status::OffsetFoundNull, header.offset, header.offset), None))
        }
    }
}

fn status(status: ReadStatus) -> Status {
    match status {
        ReadStatus::Found => Status::Found,
        ReadStatus::NoMatched => Status::NoMatchedMessage,
        ReadStatus::Removed => Status::MessageWasRemoving,
        ReadStatus::NoQueue => Status::NoMatchedLogicQueue,
        ReadStatus::Empty => Status::NoMessageInQueue,
        ReadStatus::AtEnd => Status::OffsetOverflowOne,
        ReadStatus::Hole => Status::OffsetFoundNull,
        ReadStatus::BeyondEnd => Status::OffsetOverflowBadly,
        ReadStatus::BelowMin => Status::OffsetTooSmall,
    }
}

/// All records in one piece; nothing is copied when they were read as one.
fn join(pieces: Vec<Bytes>, bytes: usize) -> Bytes {
    if let [only] = &pieces[..] {
        return only.clone();
    }
    let mut body = BytesMut::with_capacity(bytes);
    for piece in pieces {
        body.extend_from_slice(&piece);
    }
    body.freeze()
}

fn reply(broker: &Broker, header: &PullMessage<'_>, answer: Answer, body: Bytes) -> Reply {
    let extent = broker.extent(header.topic, header.queue_id);
    let fields = PullResponse {
        suggested_broker: 0,
        next_offset: answer.next,
        min_offset: extent.min,
        max_offset: extent.max,
        topic_sys_flag: None,
        group_sys_flag: None,
        forbidden_type: None,
    };
    Reply {
        code: answer.code,
        remark: Some(answer.status.as_str().into()),
        fields: fields.into(),
        body,
    }
}

/// Answers the waits that these messages wake; runs where the messages became visible.
pub fn arrived(broker: &Arc<Broker>, arrivals: &[Arrival]) {
    if broker.parked.is_empty() {
        return;
    }
    let now_ms = broker.clock.wall_ms();
    for arrival in arrivals {
        let (topic, queue) = (&*arrival.topic, arrival.queue_id);
        let next = arrival.next.0 as i64;
        // A record is read once for all who filter by properties, and only if there are any.
        let record = broker
            .parked
            .needs_record(topic, queue)
            .then(|| broker.record_at(arrival.log_offset.0 as i64))
            .flatten();
        let properties = record.as_ref().and_then(|record| RecordView::parse(record).ok());
        let properties = properties.as_ref().map(RecordView::properties);
        let wants = |filter: &Filter| match filter {
            Filter::Tag(tags) => tags.matches(arrival.tags_code),
            Filter::Sql(sql) => properties.is_none_or(|properties| sql.matches(properties)),
        };
        for wait in broker.parked.arrived(topic, queue, next, wants) {
            wake(broker, &wait, now_ms);
        }
    }
}
