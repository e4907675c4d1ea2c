//! One pull from one queue: what the push consumer, the pull consumer and the scans share.
//!
//! Spec: remoting.md §11.2, §9.2.

use std::time::Duration;

use bytes::Bytes;

use super::cluster::{Ask, Cluster};
use super::error::ClientError;
use super::message::MessageExt;
use crate::protocol::body::MessageQueue;
use crate::protocol::request::pull::{PullMessage, PullResponse};
use crate::protocol::{code, record, response_code};

/// Longer than the broker holds a pull, so that its answer is not missed.
const HOLD_MARGIN: Duration = Duration::from_secs(15);

/// One pull.
#[derive(Clone, Copy, Debug)]
pub struct PullAsk<'a> {
    /// Group as which is read.
    pub group: &'a str,
    /// Queue.
    pub queue: &'a MessageQueue,
    /// First offset wanted.
    pub offset: i64,
    /// Most messages wanted.
    pub max: i32,
    /// Bits of `request::pull::PULL_*`.
    pub flags: i32,
    /// Offset to commit, with the flag for it.
    pub commit: i64,
    /// How long the broker may hold the pull, with the flag for it.
    pub hold: Duration,
    /// What of the queue is wanted, with the flag for it.
    pub expression: Option<&'a str>,
    /// `TAG` or `SQL92`.
    pub expression_type: &'a str,
    /// Version of the registered subscription.
    pub version: i64,
}

/// How a pull ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PullStatus {
    /// Messages came.
    Found,
    /// Nothing beyond the offset.
    NoNew,
    /// Nothing matched; go on at the next offset.
    NoMatch,
    /// The offset is outside the queue, or the group was reset.
    Moved,
}

/// What a pull gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PullResult {
    /// How it ended.
    pub status: PullStatus,
    /// Where to go on.
    pub next: i64,
    /// First offset kept.
    pub min: i64,
    /// Next offset to be written.
    pub max: i64,
    /// Broker id to pull from next.
    pub suggested: i64,
    /// Stored messages, one behind the other.
    pub body: Bytes,
}

impl PullResult {
    /// The messages, inflated.
    pub fn messages(&self, broker_name: &str) -> Vec<MessageExt> {
        record::iter(&self.body).map(|view| MessageExt::decode(&view, broker_name)).collect()
    }
}

impl Cluster {
    /// Pulls once from the broker at an address.
    ///
    /// # Errors
    /// Transport errors, and `Refused` for every code but the four a pull may end with.
    pub async fn pull(&self, addr: &str, pull: &PullAsk<'_>) -> Result<PullResult, ClientError> {
        let header = PullMessage {
            group: pull.group,
            topic: &pull.queue.topic,
            queue_id: pull.queue.queue_id,
            offset: pull.offset,
            max_messages: pull.max,
            sys_flag: pull.flags,
            commit_offset: pull.commit,
            suspend_ms: pull.hold.as_millis() as i64,
            subscription: pull.expression,
            sub_version: pull.version,
            expression_type: Some(pull.expression_type),
            max_bytes: None,
            request_source: None,
        };
        let ask = Ask::new(code::PULL_MESSAGE, header).wait(pull.hold + HOLD_MARGIN);
        let answer = self.call(addr, ask).await?;
        let status = match answer.code {
            response_code::SUCCESS => PullStatus::Found,
            response_code::PULL_NOT_FOUND => PullStatus::NoNew,
            response_code::PULL_RETRY_IMMEDIATELY => PullStatus::NoMatch,
            response_code::PULL_OFFSET_MOVED => PullStatus::Moved,
            _ => return Err(answer.refusal()),
        };
        let header = answer.header(PullResponse::decode)?;
        Ok(PullResult {
            status,
            next: header.next_offset,
            min: header.min_offset,
            max: header.max_offset,
            suggested: header.suggested_broker,
            body: answer.body,
        })
    }
}
