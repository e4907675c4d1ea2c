//! Consuming what was pulled, and giving back what failed.
//!
//! A failed message goes back to the broker that stored it; if that fails, this client sends the retry
//! itself; if that fails too, it tries the listener again after a pause. Rules: semantics.md §8.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::cluster::{Ask, Cluster};
use super::error::ClientError;
use super::listener::{Consume, Listener};
use super::message::MessageExt;
use super::push_consumer::Shared;
use super::queue_reader::Owned;
use super::route_cache::master_of;
use super::send::Parcel;
use crate::protocol::body::running_info::{ConsumeMessageDirectlyResult, ConsumeResult};
use crate::protocol::properties::{self, key};
use crate::protocol::record::RecordView;
use crate::protocol::request::send::SendBack;
use crate::protocol::{code, json_dialect, names};

/// Producer group of retries that a client sends itself; the name is the protocol's.
const INNER_GROUP: &str = "CLIENT_INNER_PRODUCER";
/// Delay level of the first retry that a client sends itself.
const FIRST_LEVEL: i32 = 3;
/// Before the listener sees a message again that could not be given back.
const PAUSE_KEPT: Duration = Duration::from_secs(5);
/// How long giving back may take.
const BACK_WAIT: Duration = Duration::from_secs(5);

/// One message to be consumed.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) owned: Arc<Owned>,
    pub(super) generation: u64,
    pub(super) message: Arc<MessageExt>,
}

/// Hands messages to the listener, so many at a time, until the consumer stops.
pub(super) async fn dispatch(shared: Arc<Shared>, mut work: mpsc::UnboundedReceiver<Work>) {
    let mut stop = shared.stop.subscribe();
    while !shared.is_stopped() {
        let next = async {
            let permit = Arc::clone(&shared.permits).acquire_owned().await.ok()?;
            Some((work.recv().await?, permit))
        };
        let next = tokio::select! {
            _ = stop.changed() => return,
            next = next => next,
        };
        let Some((work, permit)) = next else { return };
        let shared = Arc::clone(&shared);
        shared.cluster.handle().clone().spawn(async move {
            let _permit = permit;
            shared.consume(work).await;
        });
    }
}

impl Shared {
    async fn consume(self: &Arc<Self>, work: Work) {
        if !work.owned.is_current(work.generation) {
            return;
        }
        let start_ms = self.cluster.now_ms();
        let outcome = run(&self.listener, &self.cluster, &work.message).await;
        let now_ms = self.cluster.now_ms();
        let ok = outcome == Consume::Success;
        self.stats().consumed(&work.message.topic, ok, now_ms - start_ms, now_ms);
        let level = match outcome {
            Consume::Success => return self.finish(&work),
            // Every member has its own copy of a broadcast: nobody else is waiting for this one.
            _ if self.is_broadcasting() => return self.finish(&work),
            Consume::Later => 0,
            Consume::LaterAt(level) => level,
        };
        if !work.owned.is_current(work.generation) {
            return;
        }
        match self.give_back(&work.message, level).await {
            Ok(()) => self.finish(&work),
            Err(error) => {
                tracing::warn!(%error, id = work.message.unique_id(), "failed message kept");
                let shared = Arc::clone(self);
                self.cluster.handle().spawn(async move {
                    sleep(PAUSE_KEPT).await;
                    // Nobody receives any more only when the consumer stops.
                    let _ = shared.work.send(work);
                });
            }
        }
    }

    fn finish(&self, work: &Work) {
        let now_ms = self.cluster.now_ms();
        if let Some(offset) = work.owned.done(work.generation, work.message.queue_offset, now_ms) {
            self.positions().advance(work.owned.queue(), offset);
        }
    }

    async fn give_back(&self, message: &MessageExt, level: i32) -> Result<(), ClientError> {
        match self.send_back(message, level).await {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "send-back refused, sending the retry instead");
                self.send_retry(message, level).await
            }
        }
    }

    async fn send_back(&self, message: &MessageExt, level: i32) -> Result<(), ClientError> {
        let route = self.cluster.route(&message.topic).await;
        let addr = match route.as_deref().map(|route| master_of(route, &message.broker_name)) {
            Ok(Ok(addr)) => addr.to_owned(),
            _ => message.store_host.to_string(),
        };
        let offset_id = message.offset_id();
        let asked = SendBack {
            offset: message.log_offset,
            group: &self.config.group,
            delay_level: level,
            origin_message_id: Some(&offset_id),
            origin_topic: Some(message.topic()),
            unit_mode: Some(false),
            max_reconsume_times: self.config.max_reconsume_times,
        };
        let ask = Ask::new(code::CONSUMER_SEND_MSG_BACK, asked).wait(BACK_WAIT);
        self.cluster.ask(&addr, ask).await.map(drop)
    }

    /// Sends the retry as a message of its own; any broker takes it.
    async fn send_retry(&self, message: &MessageExt, level: i32) -> Result<(), ClientError> {
        let parcel = retry_of(message, &self.config.group, level, self.config.max_reconsume_times);
        let publish = self.cluster.publish_route(&parcel.topic).await?;
        let queues = &publish.queues;
        let queue = queues
            .get(message.queue_offset.unsigned_abs() as usize % queues.len().max(1))
            .ok_or_else(|| ClientError::NoBroker(format!("topic {}", parcel.topic)))?;
        self.cluster.deliver(&parcel, &publish, queue, BACK_WAIT).await.map(drop)
    }
}

/// The retry that a client sends itself when send-back fails (semantics.md §8). The count of attempts
/// travels in the header, one higher than the message has it.
fn retry_of(message: &MessageExt, group: &str, level: i32, limit: Option<i32>) -> Parcel {
    let mut text = message.properties.clone();
    for gone in [key::TRANSACTION_PREPARED, key::RECONSUME_TIME, key::MAX_RECONSUME_TIMES] {
        properties::remove(&mut text, gone);
    }
    let origin_id = message.get(key::ORIGIN_MESSAGE_ID).map(str::to_owned);
    properties::set(&mut text, key::RETRY_TOPIC, message.topic());
    properties::set(
        &mut text,
        key::ORIGIN_MESSAGE_ID,
        &origin_id.unwrap_or_else(|| message.offset_id()),
    );
    let level = if level > 0 { level } else { FIRST_LEVEL.saturating_add(message.reconsume_times) };
    properties::set(&mut text, key::DELAY, &level.to_string());
    Parcel {
        group: INNER_GROUP.to_owned(),
        topic: names::retry_topic(group),
        unique_key: message.unique_id(),
        properties: text,
        body: message.stored_body.clone(),
        sys_flag: message.sys_flag.0 & KEPT_FLAGS,
        flag: message.flag,
        born_ms: message.born_ms,
        reconsume_times: message.reconsume_times.saturating_add(1),
        max_reconsume_times: limit,
        batch: false,
    }
}

/// System flags that a copy of a message keeps: those of the body's compression.
pub(super) const KEPT_FLAGS: i32 = crate::protocol::sys_flag::SysFlag::COMPRESSED
    | crate::protocol::sys_flag::SysFlag::COMPRESSION;

/// Runs the listener on a task of its own, so that its panic ends nothing else.
async fn run(listener: &Listener, cluster: &Cluster, message: &Arc<MessageExt>) -> Consume {
    let outcome = listener.consume(Arc::clone(message));
    cluster.handle().spawn(outcome).await.unwrap_or(Consume::Later)
}

/// Consumes one record because somebody asked for it (309): no position moves, nothing goes back.
pub(super) async fn directly(
    listener: Listener,
    cluster: Arc<Cluster>,
    group: String,
    record: Bytes,
) -> Bytes {
    let start_ms = cluster.now_ms();
    let mut result = ConsumeMessageDirectlyResult { auto_commit: true, ..Default::default() };
    match RecordView::parse(&record) {
        Ok(view) => {
            let message = Arc::new(MessageExt::decode(&view, ""));
            result.consume_result = match run(&listener, &cluster, &message).await {
                Consume::Success => ConsumeResult::Success,
                Consume::Later | Consume::LaterAt(_) => ConsumeResult::Later,
            };
        }
        Err(error) => {
            result.consume_result = ConsumeResult::ThrowException;
            result.remark = Some(format!("message for {group} cannot be read: {error}"));
        }
    }
    result.spent_time_mills = cluster.now_ms() - start_ms;
    json_dialect::to_vec(&result).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sys_flag::SysFlag;

    #[test]
    fn a_retry_sent_by_the_client_counts_the_attempt_and_keeps_its_origin() {
        let message = MessageExt {
            broker_name: "b".into(),
            topic: "%RETRY%g".into(),
            queue_id: 0,
            queue_offset: 4,
            log_offset: 100,
            flag: 7,
            sys_flag: SysFlag(0x301 | SysFlag::COMMIT | SysFlag::BORN_IPV6),
            born_ms: 1,
            born_host: "10.0.0.1:1".parse().unwrap(),
            store_ms: 2,
            store_host: "10.0.0.2:2".parse().unwrap(),
            reconsume_times: 2,
            properties:
                "RETRY_TOPIC\u{1}orders\u{2}ORIGIN_MESSAGE_ID\u{1}FIRST\u{2}TRAN_MSG\u{1}true\u{2}\
                         KEYS\u{1}k\u{2}UNIQ_KEY\u{1}u\u{2}"
                    .into(),
            body: Bytes::from_static(b"inflated"),
            stored_body: Bytes::from_static(b"stored"),
            damaged: None,
        };
        let last = MessageExt { reconsume_times: i32::MAX, ..message.clone() };
        assert_eq!(retry_of(&last, "g", 0, None).reconsume_times, i32::MAX);
        let retry = retry_of(&message, "g", 0, Some(3));
        let get = |key| properties::get(&retry.properties, key);
        assert_eq!((retry.topic.as_str(), retry.group.as_str()), ("%RETRY%g", INNER_GROUP));
        assert_eq!((retry.reconsume_times, retry.max_reconsume_times), (3, Some(3)));
        assert_eq!(get("RETRY_TOPIC"), Some("orders"));
        assert_eq!(get("ORIGIN_MESSAGE_ID"), Some("FIRST"));
        assert_eq!(get("DELAY"), Some("5"));
        assert_eq!((get("TRAN_MSG"), get("KEYS"), get("UNIQ_KEY")), (None, Some("k"), Some("u")));
        assert_eq!((retry.sys_flag, &retry.body[..]), (0x301, &b"stored"[..]));
    }
}
