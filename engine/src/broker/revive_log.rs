//! The POP log: checkpoints and acknowledgements as messages that reach the revive topic at their time
//! (semantics.md §16).

use std::sync::Arc;

use super::Broker;
use super::put::{Put, PutError};
use crate::decide::pop::{self, Entry};
use crate::protocol::body::pop::{AckEntry, Checkpoint};
use crate::protocol::properties::{self, key};
use crate::protocol::record::RecordView;
use crate::protocol::{json_dialect, names};
use crate::store::Append;

/// Tag of checkpoints.
const CHECKPOINT: &str = "ck";
/// Tag of single acknowledgements.
const ACK: &str = "ack";
/// Tag of acknowledgements of several messages.
const BATCH_ACK: &str = "bAck";

/// The append of a checkpoint; it arrives a little before the messages come back.
///
/// # Errors
/// When names are too long for a record, or the time is further away than timers go.
pub fn checkpoint(
    broker: &Broker,
    point: &Checkpoint,
    revive_queue: i32,
    now_ms: i64,
) -> Result<Append, PutError> {
    let Checkpoint { topic, queue_id, start_offset, group, pop_ms, broker_name, .. } = point;
    let unique =
        format!("{topic}@{queue_id}@{start_offset}@{group}@{pop_ms}@{broker_name}@{CHECKPOINT}");
    let at_ms = pop::revive_ms(point).saturating_sub(pop::ACK_AHEAD_MS);
    entry(broker, CHECKPOINT, &unique, &json_dialect::to_vec(point), revive_queue, at_ms, now_ms)
}

/// The append of an acknowledgement of messages that come back at `revive_ms`.
///
/// # Errors
/// When names are too long for a record, or the time is further away than timers go.
pub fn ack(
    broker: &Broker,
    ack: &AckEntry,
    revive_queue: i32,
    revive_ms: i64,
    now_ms: i64,
) -> Result<Append, PutError> {
    let AckEntry { topic, queue_id, offset, offsets, group, pop_ms, broker_name, .. } = ack;
    let (tag, unique) = if offsets.is_empty() {
        (ACK, format!("{topic}@{queue_id}@{offset}@{group}@{pop_ms}@{broker_name}@{ACK}"))
    } else {
        (BATCH_ACK, format!("{topic}@{queue_id}@{offsets:?}@{group}@{pop_ms}@{BATCH_ACK}"))
    };
    entry(broker, tag, &unique, &json_dialect::to_vec(ack), revive_queue, revive_ms, now_ms)
}

fn entry(
    broker: &Broker,
    tag: &str,
    unique: &str,
    body: &[u8],
    queue_id: i32,
    at_ms: i64,
    now_ms: i64,
) -> Result<Append, PutError> {
    let mut text = String::new();
    properties::push(&mut text, key::TAGS, tag);
    properties::push(&mut text, key::UNIQ_KEY, unique);
    let put = Put {
        topic: Arc::from(names::revive_topic(&broker.config.broker_cluster_name)),
        queue_id,
        flag: 0,
        sys_flag: 0,
        born_ms: now_ms,
        born_host: broker.addr,
        reconsume_times: 0,
        prepared_offset: 0,
        body,
        properties: text,
        wait: true,
    };
    broker.append_at(put, at_ms)
}

/// Reads a message of the POP log: when it was due, and what it says. None when it says nothing that
/// can be understood.
pub fn read(record: &[u8]) -> Option<(i64, Entry)> {
    let view = RecordView::parse(record).ok()?;
    let due = view.property(key::TIMER_DELIVER_MS).and_then(|text| text.parse().ok());
    let due_ms = due.unwrap_or_else(|| view.store_timestamp());
    let entry = match view.property(key::TAGS)? {
        CHECKPOINT => Entry::Popped(json_dialect::from_slice(view.body()).ok()?),
        ACK | BATCH_ACK => Entry::Acked(json_dialect::from_slice(view.body()).ok()?),
        _ => return None,
    };
    Some((due_ms, entry))
}
