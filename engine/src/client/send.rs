//! One send to one queue: what producers, retries and resends share.
//!
//! Chooses nothing and repeats nothing; see `producer` for that. Headers and answers: remoting.md
//! §11.1, §9.1.

use std::time::Duration;

use bytes::Bytes;

use super::cluster::{Ask, Cluster, Response};
use super::error::ClientError;
use super::route_cache::{PublishRoute, master_of};
use crate::protocol::body::MessageQueue;
use crate::protocol::request::send::{SendMessageV2, SendResponse};
use crate::protocol::{code, names, response_code};

/// Queues of a topic that the broker creates by itself.
pub const CREATED_QUEUES: i32 = 4;

/// What became of an accepted message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendStatus {
    /// Stored as the broker is configured to.
    Ok,
    /// Stored, but not synced to disk in time.
    FlushDiskTimeout,
    /// Stored, but the slave did not acknowledge in time.
    FlushSlaveTimeout,
    /// Stored, but no slave is in sync.
    SlaveNotAvailable,
}

/// Where an accepted message is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SendResult {
    /// What became of it.
    pub status: SendStatus,
    /// Unique key; of a batch those of its messages, joined by commas.
    pub message_id: String,
    /// Offset id; of a batch several, joined by commas.
    pub offset_id: String,
    /// Queue.
    pub queue: MessageQueue,
    /// Offset in the queue; of a batch the first.
    pub queue_offset: i64,
}

/// A message ready for the wire.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    pub(super) group: String,
    pub(super) topic: String,
    pub(super) unique_key: String,
    pub(super) properties: String,
    pub(super) body: Bytes,
    pub(super) sys_flag: i32,
    pub(super) flag: i32,
    pub(super) born_ms: i64,
    pub(super) reconsume_times: i32,
    pub(super) max_reconsume_times: Option<i32>,
    pub(super) batch: bool,
}

impl Parcel {
    /// The request that puts this parcel into a queue.
    pub(super) fn ask(&self, queue: &MessageQueue, wait: Duration) -> Ask {
        let header = SendMessageV2 {
            group: &self.group,
            topic: &self.topic,
            default_topic: Some(names::TEMPLATE_TOPIC),
            default_queues: Some(CREATED_QUEUES),
            queue_id: queue.queue_id,
            sys_flag: self.sys_flag,
            born_ms: self.born_ms,
            flag: self.flag,
            properties: Some(&self.properties),
            reconsume_times: Some(self.reconsume_times),
            unit_mode: Some(false),
            max_reconsume_times: self.max_reconsume_times,
            batch: Some(self.batch),
            broker_name: Some(&queue.broker_name),
        };
        let code = if self.batch { code::SEND_BATCH_MESSAGE } else { code::SEND_MESSAGE_V2 };
        Ask::new(code, header).body(self.body.clone()).wait(wait)
    }

    /// Reads the answer to a send.
    pub(super) fn accepted(
        &self,
        queue: &MessageQueue,
        answer: &Response,
    ) -> Result<SendResult, ClientError> {
        let status = match answer.code {
            response_code::SUCCESS => SendStatus::Ok,
            response_code::FLUSH_DISK_TIMEOUT => SendStatus::FlushDiskTimeout,
            response_code::FLUSH_SLAVE_TIMEOUT => SendStatus::FlushSlaveTimeout,
            response_code::SLAVE_NOT_AVAILABLE => SendStatus::SlaveNotAvailable,
            _ => return Err(answer.refusal()),
        };
        let header = answer.header(SendResponse::decode)?;
        let queue = MessageQueue { queue_id: header.queue_id, ..queue.clone() };
        Ok(SendResult {
            status,
            message_id: self.unique_key.clone(),
            offset_id: header.message_id,
            queue,
            queue_offset: header.queue_offset,
        })
    }
}

impl Cluster {
    /// Sends a parcel to one queue of a route, once.
    pub(super) async fn deliver(
        &self,
        parcel: &Parcel,
        publish: &PublishRoute,
        queue: &MessageQueue,
        wait: Duration,
    ) -> Result<SendResult, ClientError> {
        let addr = master_of(&publish.route, &queue.broker_name)?;
        let answer = self.call(addr, parcel.ask(queue, wait)).await?;
        parcel.accepted(queue, &answer)
    }
}

/// Whether another broker may take what this one did not.
pub(super) fn may_try_elsewhere(error: &ClientError) -> bool {
    match error {
        ClientError::Refused { code, .. } => matches!(
            *code,
            response_code::SYSTEM_ERROR
                | response_code::SYSTEM_BUSY
                | response_code::SERVICE_NOT_AVAILABLE
                | response_code::NO_PERMISSION
                | response_code::TOPIC_NOT_EXIST
                | response_code::GO_AWAY
        ),
        other => other.is_transport(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_another_broker_may_accept_is_tried_again() {
        let refused =
            |code| ClientError::Refused { addr: String::new(), code, remark: String::new() };
        for code in [1, 2, 14, 16, 17, 1500] {
            assert!(may_try_elsewhere(&refused(code)), "{code}");
        }
        for code in [13, 26, 29, 3] {
            assert!(!may_try_elsewhere(&refused(code)), "{code}");
        }
        assert!(may_try_elsewhere(&ClientError::Lost { addr: String::new() }));
        assert!(!may_try_elsewhere(&ClientError::ReadOnly { code: 310 }));
    }
}
