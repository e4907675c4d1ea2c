//! A producer ends its transaction: 37. A tool has a half message checked again: 323 (semantics.md §13).

use std::sync::Arc;

use super::send::{refuse, status};
use crate::broker::Broker;
use crate::broker::count::PutCount;
use crate::broker::outcome::{Cx, Outcome, Reply, Then};
use crate::broker::put::{Delay, Put};
use crate::decide::Refusal;
use crate::decide::transaction::{self, EndFacts, Fate, Prepared, Verdict};
use crate::protocol::properties::{self, key};
use crate::protocol::record::RecordView;
use crate::protocol::request::transaction::{EndTransaction, ResumeCheck};
use crate::protocol::sys_flag::Transaction;
use crate::protocol::{ids, names, response_code};
use crate::store::PutStatus;

/// 37: commits or rolls back. "Unknown" is no answer and gets none.
pub fn end(broker: &Arc<Broker>, cx: &Cx, header: &EndTransaction<'_>) -> Outcome {
    if header.verdict == transaction::UNKNOWN {
        return Outcome::Nothing;
    }
    let Some(verdict) = Verdict::from_wire(header.verdict) else {
        return Reply::error("commitOrRollback field wrong").into();
    };
    let record = match broker.record_for(cx, header.log_offset) {
        Ok(record) => record,
        Err(cold) => return cold.into(),
    };
    let view = record.as_deref().and_then(|record| RecordView::parse(record).ok());
    if let Err(refusal) = accept(broker, cx, header, view.as_ref()) {
        return refused(header, refuse(refusal)).into();
    }
    let Some(view) = view else { return Outcome::Nothing };
    let half = header.half_offset.max(0).unsigned_abs();
    if !broker.transactions.claim(half) {
        return refused(header, Reply::error("the transaction has ended already")).into();
    }
    match verdict {
        Verdict::Rollback => {
            broker.transactions.end(half, cx.now_ms);
            Reply::ok().into()
        }
        Verdict::Commit => commit(broker, header, &view, half),
    }
}

fn accept(
    broker: &Broker,
    cx: &Cx,
    header: &EndTransaction<'_>,
    view: Option<&RecordView<'_>>,
) -> Result<(), Refusal> {
    let prepared = view.map(|view| Prepared {
        half: view.topic() == names::HALF_TOPIC,
        group: view.property(key::PRODUCER_GROUP),
        queue_offset: view.queue_offset(),
        log_offset: view.physical_offset(),
        born_ms: view.born_timestamp(),
        immunity: view.property(key::CHECK_IMMUNITY_TIME),
    });
    let end = EndFacts {
        group: header.group,
        queue_offset: header.half_offset,
        log_offset: header.log_offset,
        from_check: header.from_check == Some(true),
    };
    let timeout_ms = broker.live().transaction_time_out as i64;
    transaction::accept_end(&end, prepared.as_ref(), timeout_ms, cx.now_ms)
}

/// Clients never see the answer, so the log has it.
fn refused(header: &EndTransaction<'_>, reply: Reply) -> Reply {
    let remark = reply.remark.as_deref().unwrap_or_default();
    let (group, half) = (header.group, header.half_offset);
    tracing::debug!(group, half, code = reply.code, remark, "end of a transaction refused");
    reply
}

/// Where a half message goes when it is committed.
pub fn real_place(text: &str) -> Option<(&str, i32)> {
    let topic = properties::get(text, key::REAL_TOPIC)?;
    let queue_id = properties::get(text, key::REAL_QUEUE_ID)?.trim().parse().ok()?;
    Some((topic, queue_id))
}

fn commit(
    broker: &Arc<Broker>,
    header: &EndTransaction<'_>,
    view: &RecordView<'_>,
    half: u64,
) -> Outcome {
    let append = real_place(view.properties()).and_then(|(topic, queue_id)| {
        let mut put = Put::copy_of(view, Arc::from(topic), queue_id);
        put.sys_flag = view.sys_flag().with_transaction(Transaction::Commit).0;
        put.prepared_offset = header.log_offset;
        put.wait = false;
        let topic = Arc::clone(&put.topic);
        broker.append_of(put, Delay::Obey).ok().map(|append| (topic, append))
    });
    let Some((topic, append)) = append else {
        broker.transactions.release(half);
        let remark = "the half message does not say where it goes";
        return Reply::refuse(response_code::MESSAGE_ILLEGAL, remark).into();
    };
    let broker = Arc::clone(broker);
    let count = PutCount::of(&broker, &append, &topic);
    let then: Then = Box::new(move |appended| {
        broker.count_put(&count, &appended);
        if appended.is_stored() {
            broker.transactions.end(half, broker.clock.wall_ms());
        } else {
            broker.transactions.release(half);
        }
        stored(appended.status)
    });
    Outcome::Stored { append, then, persist: false }
}

/// The answer to a commit: late flushes are no failure, and there is no flow control.
fn stored(put: PutStatus) -> Reply {
    match put {
        PutStatus::Ok | PutStatus::FlushTimeout => Reply::ok(),
        other => {
            let (code, remark) = status(other);
            let known = [response_code::MESSAGE_ILLEGAL, response_code::SERVICE_NOT_AVAILABLE]
                .contains(&code);
            let code = if known { code } else { response_code::SYSTEM_ERROR };
            Reply { code, remark, ..Reply::default() }
        }
    }
}

/// 323: puts a half message, or one that was given up, to the tail of the half queue as never checked.
pub fn resume_check(broker: &Arc<Broker>, header: &ResumeCheck<'_>) -> Outcome {
    let Some((_, offset)) = ids::parse_offset_id(header.message_id) else {
        return Reply::error(format!("{} is no offset id", header.message_id)).into();
    };
    let record = i64::try_from(offset).ok().and_then(|offset| broker.record_at(offset));
    let Some(view) = record.as_deref().and_then(|record| RecordView::parse(record).ok()) else {
        return Reply::error(format!("there is no message at {offset}")).into();
    };
    let is_half = view.topic() == names::HALF_TOPIC;
    let known = is_half || view.topic() == names::TRANS_CHECK_MAX_TOPIC;
    if !known || real_place(view.properties()).is_none() {
        return Reply::error("the message is no half message").into();
    }
    let old = is_half.then(|| view.queue_offset().max(0).unsigned_abs());
    let done = broker.offsets.committed(names::TRANS_GROUP, names::HALF_TOPIC, 0).unwrap_or(0);
    let is_open = |old: u64| {
        old >= done.max(0).unsigned_abs() && broker.transactions.fate(old, None) == Fate::Open
    };
    if old.is_some_and(|old| !is_open(old)) {
        return Reply::error("the transaction has ended, or a newer half message is checked")
            .into();
    }
    let mut put = Put::copy_of(&view, Arc::from(names::HALF_TOPIC), 0);
    properties::set(&mut put.properties, key::TRANSACTION_CHECK_TIMES, "0");
    put.wait = false;
    let append = match broker.append_of(put, Delay::Done) {
        Ok(append) => append,
        Err(error) => return Reply::error(error.to_string()).into(),
    };
    let broker = Arc::clone(broker);
    let then: Then = Box::new(move |appended| {
        if !appended.is_stored() {
            return Reply::error("Put message back to RMQ_SYS_TRANS_HALF_TOPIC failed.");
        }
        if let Some(old) = old {
            broker.transactions.moved(old, appended.queue_offset.0);
        }
        Reply::ok()
    });
    Outcome::Stored { append, then, persist: false }
}
