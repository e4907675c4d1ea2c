//! Sending: 10, 310, 320 (semantics.md §3).

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::topic_name_remark;
use crate::broker::Broker;
use crate::broker::count::PutCount;
use crate::broker::outcome::{Cx, Outcome, Reply, Then};
use crate::broker::put::{Delay, Put};
use crate::broker::state::topics::Topic;
use crate::decide::Refusal;
use crate::decide::retry::{self, RetrySend};
use crate::decide::send_check::{self, Decision, GateFacts, Queues, RetryFacts, SendFacts};
use crate::protocol::ext_fields::Fields;
use crate::protocol::perm::Perm;
use crate::protocol::properties::{self, key};
use crate::protocol::recall_handle::RecallHandle;
use crate::protocol::request::send::{SendMessage, SendResponse};
use crate::protocol::sys_flag::{SysFlag, Transaction};
use crate::protocol::{batch, ids, java_hash, names, response_code};
use crate::store::{Append, Appended, PutStatus, UnitKind};

/// A send that passed all checks.
pub(super) struct Accepted {
    pub(super) topic: Arc<Topic>,
    pub(super) queue_id: i32,
    /// To be stored as a half message.
    half: bool,
    properties: String,
    pub(super) made: bool,
}

/// 10, 310, 320: checks a message or batch and appends it.
pub fn send(broker: &Arc<Broker>, cx: &Cx, header: &SendMessage<'_>, body: &Bytes) -> Outcome {
    match prepare(broker, cx, header, body) {
        Ok(accepted) if header.batch == Some(true) => {
            send_batch(broker, cx, header, body, &accepted)
        }
        Ok(accepted) => send_one(broker, cx, header, body, accepted),
        Err(reply) => reply.into(),
    }
}

pub(super) fn refuse(refusal: Refusal) -> Reply {
    Reply::refuse(refusal.code, refusal.remark)
}

pub(super) fn illegal(remark: impl Into<Cow<'static, str>>) -> Reply {
    Reply::refuse(response_code::MESSAGE_ILLEGAL, remark)
}

pub(super) fn prepare(
    broker: &Arc<Broker>,
    cx: &Cx,
    header: &SendMessage<'_>,
    body: &Bytes,
) -> Result<Accepted, Reply> {
    let found = broker.topics.get(header.topic);
    check_gate(broker, header, found.as_deref())?;
    let (made, topic) = match found {
        Some(topic) => (false, Some(topic)),
        None => broker.make_topic(header, cx.now_ms),
    };
    let text = header.properties.unwrap_or("");
    let (group_made, decision) = decide(broker, cx, header, topic.as_deref(), text);
    let made = made || group_made;
    match decision {
        Decision::Refuse(refusal) => Err(refuse(refusal)),
        Decision::Accept { queue, half } => {
            check_size(broker, body, text)?;
            let topic = topic.expect("an unknown topic was refused above");
            let mut properties = String::with_capacity(text.len() + 160);
            properties.push_str(text);
            broker.complete_properties(&mut properties, cx.now_ms);
            Ok(Accepted { topic, queue_id: queue, half, properties, made })
        }
        Decision::DeadLetter => {
            check_size(broker, body, text)?;
            let group = names::group_of_retry(header.topic).unwrap_or_default();
            let (dlq_made, topic) = broker.make_dead_letter_topic(group, cx.now_ms);
            let mut properties = text.to_owned();
            broker.complete_properties(&mut properties, cx.now_ms);
            properties::set(&mut properties, key::DELAY, "-1");
            Ok(Accepted { topic, queue_id: 0, half: false, properties, made: made || dlq_made })
        }
    }
}

fn check_gate(
    broker: &Broker,
    header: &SendMessage<'_>,
    found: Option<&Topic>,
) -> Result<(), Reply> {
    let name_error = match found {
        Some(_) => None,
        None => names::check_topic(header.topic)
            .err()
            .map(|error| topic_name_remark(header.topic, error)),
    };
    send_check::gate(&GateFacts {
        topic: header.topic,
        broker_writable: broker.perm().writeable(),
        order_topic: found.is_some_and(|topic| topic.config.order),
        name_error: name_error.as_deref(),
        not_for_clients: names::is_not_for_clients(header.topic),
    })
    .map_err(refuse)
}

fn decide(
    broker: &Broker,
    cx: &Cx,
    header: &SendMessage<'_>,
    topic: Option<&Topic>,
    text: &str,
) -> (bool, Decision) {
    let attempts = header.reconsume_times.unwrap_or(0);
    let mut made = false;
    let retry = names::group_of_retry(header.topic).map(|group| {
        let (group_made, config) = broker.group_or_new(group, cx.now_ms);
        made = group_made;
        let limit = config.as_ref().map_or(0, |config| config.retry_max_times);
        RetryFacts {
            group,
            group_known: config.is_some(),
            send: RetrySend {
                attempts,
                attempts_max: retry::attempts_max(header.max_reconsume_times, cx.version, limit),
                order_locked: broker.locks.any(group, cx.now_ms),
            },
        }
    });
    let compacted = topic.is_some_and(|topic| {
        topic.config.attributes.get("cleanup.policy").is_some_and(|policy| policy == "COMPACTION")
    });
    let decision = send_check::check(&SendFacts {
        topic: header.topic,
        queues: topic.map(|topic| Queues {
            read: topic.config.read_queue_nums,
            write: topic.config.write_queue_nums,
        }),
        queue_id: header.queue_id,
        random: broker.random(),
        retry,
        key_missing: compacted && properties::get(text, key::KEYS).is_none(),
        transaction: properties::get(text, key::TRANSACTION_PREPARED) == Some("true"),
        transactions_refused: broker.live().reject_transaction_message,
        delayed_retry: attempts > 0
            && broker.levels.level_of(properties::get(text, key::DELAY)).is_some(),
        batch: header.batch == Some(true),
    });
    (made, decision)
}

/// What the store would refuse (semantics.md §3), asked before a record is made.
fn check_size(broker: &Broker, body: &Bytes, text: &str) -> Result<(), Reply> {
    if body.is_empty() {
        return Err(illegal("the message body is empty"));
    }
    let limit = broker.live().max_message_size;
    if body.len() > limit as usize {
        return Err(illegal(format!(
            "the message body is {} bytes, the limit is {limit}",
            body.len()
        )));
    }
    if text.len() > properties::LEN_MAX {
        let remark = format!(
            "the properties are {} bytes, the limit is {}",
            text.len(),
            properties::LEN_MAX
        );
        return Err(illegal(remark));
    }
    Ok(())
}

pub(super) fn put<'a>(
    cx: &Cx,
    header: &SendMessage<'_>,
    accepted: &Accepted,
    body: &'a [u8],
) -> Put<'a> {
    Put {
        topic: Arc::clone(&accepted.topic.name),
        queue_id: accepted.queue_id,
        flag: header.flag,
        sys_flag: header.sys_flag,
        born_ms: header.born_ms,
        born_host: cx.answer.peer.remote(),
        reconsume_times: header.reconsume_times.unwrap_or(0),
        prepared_offset: 0,
        body,
        properties: String::new(),
        wait: true,
    }
}

fn send_one(
    broker: &Arc<Broker>,
    cx: &Cx,
    header: &SendMessage<'_>,
    body: &Bytes,
    accepted: Accepted,
) -> Outcome {
    let mut put = put(cx, header, &accepted, body);
    let unique = properties::get(&accepted.properties, key::UNIQ_KEY).map(str::to_owned);
    put.wait = properties::get(&accepted.properties, key::WAIT) != Some("false");
    put.properties = accepted.properties;
    let delay = if accepted.half { make_half(&mut put, unique.as_deref()) } else { Delay::Obey };
    let topic =
        if accepted.half { Arc::clone(&put.topic) } else { Arc::clone(&accepted.topic.name) };
    match broker.timed_append_of(put, delay) {
        Ok((append, out_ms)) => {
            let recall = out_ms.map(|out_ms| {
                let (name, key) = (&broker.config.broker_name, unique.as_deref().unwrap_or(""));
                // Floored to the second again, this time is that of the message.
                RecallHandle::encode(&accepted.topic.name, name, out_ms + 1, key)
            });
            let count = PutCount::of(broker, &append, &topic).in_queue(accepted.queue_id);
            let then = answer(broker, accepted.queue_id, unique, recall, count);
            Outcome::Stored { append, then, persist: accepted.made }
        }
        Err(error) => Reply::refuse(error.code(), error.to_string()).into(),
    }
}

/// Turns a message into a half message; a delay that it asks for counts from its commit on.
fn make_half(put: &mut Put<'_>, unique: Option<&str>) -> Delay {
    properties::set(&mut put.properties, key::TRANSACTION_ID, unique.unwrap_or(""));
    properties::set(&mut put.properties, key::REAL_TOPIC, &put.topic);
    properties::set(&mut put.properties, key::REAL_QUEUE_ID, &put.queue_id.to_string());
    put.topic = Arc::from(names::HALF_TOPIC);
    put.queue_id = 0;
    put.sys_flag = SysFlag(put.sys_flag).with_transaction(Transaction::None).0;
    Delay::Done
}

fn send_batch(
    broker: &Arc<Broker>,
    cx: &Cx,
    header: &SendMessage<'_>,
    body: &Bytes,
    accepted: &Accepted,
) -> Outcome {
    if accepted.half || SysFlag(header.sys_flag).transaction() != Transaction::None {
        return illegal("a batch cannot be part of a transaction").into();
    }
    let elements = match batch::decode(body) {
        Ok(elements) if !elements.is_empty() => elements,
        Ok(_) => return illegal("the batch is empty").into(),
        Err(error) => return illegal(error.to_string()).into(),
    };
    let mut records = Vec::with_capacity(elements.len());
    let mut unique = Vec::with_capacity(elements.len());
    for element in &elements {
        let mut put = put(cx, header, accepted, element.body);
        put.flag = element.flag;
        element.properties.clone_into(&mut put.properties);
        properties::close(&mut put.properties);
        unique.extend(properties::get(element.properties, key::UNIQ_KEY).map(str::to_owned));
        let tags_code = java_hash::tag_code(properties::get(element.properties, key::TAGS));
        match broker.encode(&put) {
            Ok(record) => records.push((record, tags_code)),
            Err(error) => return illegal(error.to_string()).into(),
        }
    }
    let mut records = records.into_iter();
    let (record, tags_code) = records.next().expect("an empty batch was refused above");
    let append = Append {
        topic: Arc::clone(&accepted.topic.name),
        queue_id: accepted.queue_id,
        record,
        tags_code,
        more: records.collect(),
        kind: UnitKind::Message,
        delay_ms: None,
        wait: properties::get(&accepted.properties, key::WAIT) != Some("false"),
        done: Box::new(|_| {}),
    };
    let count = PutCount::of(broker, &append, &accepted.topic.name).in_queue(accepted.queue_id);
    let then = answer(broker, accepted.queue_id, Some(unique.join(",")), None, count);
    Outcome::Stored { append, then, persist: accepted.made }
}

fn answer(
    broker: &Arc<Broker>,
    queue_id: i32,
    unique: Option<String>,
    recall: Option<String>,
    count: PutCount,
) -> Then {
    let broker = Arc::clone(broker);
    Box::new(move |appended| {
        broker.count_put(&count, &appended);
        let (code, remark) = status(appended.status);
        let mut reply = Reply { code, remark, ..Reply::default() };
        if appended.is_stored() {
            reply.fields = fields(&broker, &appended, queue_id, unique);
            if let Some(handle) = recall {
                reply.fields = reply.fields.text("recallHandle", handle);
            }
        }
        reply
    })
}

pub(super) fn fields(
    broker: &Broker,
    appended: &Appended,
    queue_id: i32,
    unique: Option<String>,
) -> Fields {
    let mut fields = Fields::new();
    SendResponse {
        message_id: message_ids(broker, appended),
        queue_id,
        queue_offset: appended.queue_offset.0 as i64,
        transaction_id: unique,
    }
    .encode(&mut fields);
    fields
        .text("MSG_REGION", broker.config.region_id.clone())
        .flag("TRACE_ON", broker.config.trace_on)
}

fn message_ids(broker: &Broker, appended: &Appended) -> String {
    let mut text = String::new();
    for physical in appended.offsets() {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&ids::offset_id(broker.addr, physical.0));
    }
    text
}

/// Store status → response code (semantics.md §3).
pub fn status(status: PutStatus) -> (i32, Option<Cow<'static, str>>) {
    let (code, remark): (i32, &'static str) = match status {
        PutStatus::Ok => return (response_code::SUCCESS, None),
        PutStatus::FlushTimeout => {
            (response_code::FLUSH_DISK_TIMEOUT, "stored, but not flushed within syncFlushTimeout")
        }
        PutStatus::TooLarge => {
            (response_code::MESSAGE_ILLEGAL, "the message is larger than a record may be")
        }
        PutStatus::Busy => (
            response_code::SYSTEM_BUSY,
            "[PC_SYNCHRONIZED]broker busy, start flow control for a while",
        ),
        PutStatus::DiskFull => (
            response_code::SERVICE_NOT_AVAILABLE,
            "service not available now: the disk is full, writes go on when space is free again",
        ),
        PutStatus::Stopped => (
            response_code::SERVICE_NOT_AVAILABLE,
            "service not available now: the log stopped after a failed write, see the broker's log",
        ),
        PutStatus::Failed => (response_code::SYSTEM_ERROR, "the message could not be written"),
    };
    (code, Some(remark.into()))
}

impl Broker {
    /// The rights of the whole broker.
    pub fn perm(&self) -> Perm {
        Perm(self.live().broker_permission as i32)
    }
}
