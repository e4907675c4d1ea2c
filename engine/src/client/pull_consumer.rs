//! `PullConsumer`: reads queues at offsets that the caller chooses.
//!
//! Registers nothing and is told nothing: the console reads with it as the tools' group, which no
//! broker creates, without committing (admin.md §5 m).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cluster::Cluster;
use super::error::ClientError;
use super::figures::{Boundary, QueueAt};
use super::message::MessageExt;
use super::pull::{PullAsk, PullResult, PullStatus};
use super::read_only::TOOLS_GROUP;
use super::route_cache::{broker, read_queues};
use crate::protocol::body::MessageQueue;
use crate::protocol::body::heartbeat::{EXPRESSION_TAG, SUBSCRIBE_ALL};
use crate::protocol::request::pull::{PULL_SUBSCRIPTION, PULL_SUSPEND};

/// Most messages of one pull; brokers give no more.
pub const PULL_MAX: i32 = 32;

/// A place in a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seek {
    /// This offset.
    Offset(i64),
    /// The first message kept.
    Begin,
    /// The next message to be written.
    End,
    /// The first message stored at or after this time, ms.
    Time(i64),
    /// The committed offset of the group; the begin when there is none.
    Committed,
}

/// A reader of queues with a position in each.
#[derive(Debug)]
pub struct PullConsumer {
    cluster: Arc<Cluster>,
    group: String,
    positions: Mutex<BTreeMap<MessageQueue, i64>>,
}

impl PullConsumer {
    /// A reader in the name of a group. Brokers may create the group.
    pub fn new(cluster: &Arc<Cluster>, group: impl Into<String>) -> Self {
        Self { cluster: Arc::clone(cluster), group: group.into(), positions: Mutex::default() }
    }

    /// A reader in the name of the tools' group, which leaves no trace.
    pub fn tools(cluster: &Arc<Cluster>) -> Self {
        Self::new(cluster, TOOLS_GROUP)
    }

    /// Queues of a topic.
    ///
    /// # Errors
    /// As [`Cluster::route`].
    pub async fn queues(&self, topic: &str) -> Result<Vec<MessageQueue>, ClientError> {
        Ok(read_queues(&*self.cluster.route(topic).await?, topic))
    }

    /// Moves the position of a queue; the new offset.
    ///
    /// # Errors
    /// Of the question that the place needs.
    pub async fn seek(&self, queue: &MessageQueue, to: Seek) -> Result<i64, ClientError> {
        let addr = self.addr_of(queue).await?;
        let at = QueueAt { addr: &addr, topic: &queue.topic, queue_id: queue.queue_id };
        let offset = match to {
            Seek::Offset(offset) => offset,
            Seek::Begin => self.cluster.min_offset(at).await?,
            Seek::End => self.cluster.max_offset(at).await?,
            Seek::Time(ms) => self.cluster.offset_at(at, ms, Boundary::Lower).await?,
            Seek::Committed => match self.cluster.committed(at, &self.group).await? {
                Some(offset) => offset,
                None => self.cluster.min_offset(at).await?,
            },
        };
        self.positions().insert(queue.clone(), offset);
        Ok(offset)
    }

    /// Position of a queue: the offset that the next poll reads first.
    pub fn position(&self, queue: &MessageQueue) -> Option<i64> {
        self.positions().get(queue).copied()
    }

    /// Reads on at the position of a queue, waiting at most `hold` for something new. A queue without
    /// position starts at its begin.
    ///
    /// # Errors
    /// As [`Self::pull`].
    pub async fn poll(
        &self,
        queue: &MessageQueue,
        hold: Duration,
    ) -> Result<Vec<MessageExt>, ClientError> {
        let offset = match self.position(queue) {
            Some(offset) => offset,
            None => self.seek(queue, Seek::Begin).await?,
        };
        let result = self.pull(queue, offset, PULL_MAX, hold).await?;
        self.positions().insert(queue.clone(), result.next);
        Ok(match result.status {
            PullStatus::Found => result.messages(&queue.broker_name),
            _ => Vec::new(),
        })
    }

    /// Reads once at an offset; the position stays.
    ///
    /// # Errors
    /// As [`Cluster::pull`].
    pub async fn pull(
        &self,
        queue: &MessageQueue,
        offset: i64,
        max: i32,
        hold: Duration,
    ) -> Result<PullResult, ClientError> {
        let addr = self.addr_of(queue).await?;
        let mut ask = reading(&self.group, queue, offset, max);
        if !hold.is_zero() {
            ask.flags |= PULL_SUSPEND;
            ask.hold = hold;
        }
        self.cluster.pull(&addr, &ask).await
    }

    /// Commits an offset for the group.
    ///
    /// # Errors
    /// As [`Cluster::commit`].
    pub async fn commit(&self, queue: &MessageQueue, offset: i64) -> Result<(), ClientError> {
        let addr = self.addr_of(queue).await?;
        let at = QueueAt { addr: &addr, topic: &queue.topic, queue_id: queue.queue_id };
        self.cluster.commit(at, &self.group, offset).await
    }

    /// The master of a queue, else any broker of its name.
    async fn addr_of(&self, queue: &MessageQueue) -> Result<String, ClientError> {
        let route = self.cluster.route(&queue.topic).await?;
        let data = broker(&route, &queue.broker_name);
        data.and_then(|data| data.master().or_else(|| Some(data.broker_addrs.values().next()?)))
            .map(str::to_owned)
            .ok_or_else(|| ClientError::NoBroker(format!("broker name {}", queue.broker_name)))
    }

    fn positions(&self) -> MutexGuard<'_, BTreeMap<MessageQueue, i64>> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pull that takes everything, holds nothing and commits nothing.
pub(super) fn reading<'a>(
    group: &'a str,
    queue: &'a MessageQueue,
    offset: i64,
    max: i32,
) -> PullAsk<'a> {
    PullAsk {
        group,
        queue,
        offset,
        max: max.min(PULL_MAX),
        flags: PULL_SUBSCRIPTION,
        commit: 0,
        hold: Duration::ZERO,
        expression: Some(SUBSCRIBE_ALL),
        expression_type: EXPRESSION_TAG,
        version: 0,
    }
}
