//! `PushConsumer`: messages of a group's queues come to a listener, failed ones come again.
//!
//! Here are its configuration, its beginning and end, and its answers to brokers. Membership and queues
//! are in `membership`, pulling in `queue_reader`, consuming and sending back in `consume`. Ordered
//! consumption and POP are not here. Rules: semantics.md §7, §8, §15.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use super::cluster::Cluster;
use super::consume::{self, Work};
use super::consume_stats::ConsumeStats;
use super::error::ClientError;
use super::inbound::{Later, PushHandler};
use super::listener::Listener;
use super::membership;
use super::positions::Positions;
use super::queue_reader::Owned;
use crate::decide::filter::tag;
use crate::protocol::body::heartbeat::{
    ConsumeFromWhere, EXPRESSION_SQL, MessageModel, SUBSCRIBE_ALL, SubscriptionData,
};
use crate::protocol::body::offsets::ConsumerStatusBody;
use crate::protocol::body::running_info::ConsumerRunningInfo;
use crate::protocol::body::{MessageQueue, QueueMap};
use crate::protocol::{code, json_dialect, names};

/// Messages consumed at the same time unless the configuration says otherwise.
const CONCURRENCY: usize = 20;
/// How long a close waits for listeners that run.
const CLOSE_WAIT: Duration = Duration::from_secs(3);

/// Where a group without a stored position starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConsumeFrom {
    /// At the end: what is stored already is not delivered.
    Last,
    /// At the first message kept.
    First,
    /// At the first message stored at or after this time, ms.
    Time(i64),
}

impl ConsumeFrom {
    pub(super) fn wire(self) -> ConsumeFromWhere {
        match self {
            Self::Last => ConsumeFromWhere::LastOffset,
            Self::First => ConsumeFromWhere::FirstOffset,
            Self::Time(_) => ConsumeFromWhere::Timestamp,
        }
    }
}

/// How a push consumer behaves.
#[derive(Clone, Debug)]
pub struct PushConfig {
    /// Consumer group.
    pub group: String,
    /// Whether members share the queues or each reads all of them.
    pub model: MessageModel,
    /// Where the group starts.
    pub from: ConsumeFrom,
    /// Messages consumed at the same time.
    pub concurrency: usize,
    /// Retries before a message is dead; none: as the group is configured at the broker.
    pub max_reconsume_times: Option<i32>,
    /// Where a broadcasting consumer keeps its positions; none: only in memory.
    pub positions_dir: Option<PathBuf>,
    /// How long a close waits for listeners that run.
    pub close_wait: Duration,
}

impl PushConfig {
    /// A clustering consumer that starts at the end.
    pub fn new(group: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            model: MessageModel::Clustering,
            from: ConsumeFrom::Last,
            concurrency: CONCURRENCY,
            max_reconsume_times: None,
            positions_dir: None,
            close_wait: CLOSE_WAIT,
        }
    }
}

/// A member of a consumer group. It stops when dropped; [`Self::close`] leaves the group properly.
#[derive(Debug)]
pub struct PushConsumer {
    shared: Arc<Shared>,
    work: Mutex<Option<mpsc::UnboundedReceiver<Work>>>,
}

/// What the tasks of a consumer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) cluster: Arc<Cluster>,
    pub(super) config: PushConfig,
    pub(super) listener: Listener,
    pub(super) started_ms: i64,
    pub(super) stop: watch::Sender<bool>,
    /// Asks for a rebalance now.
    pub(super) rebalance: Notify,
    /// Bounded by the flow control of every queue.
    pub(super) work: mpsc::UnboundedSender<Work>,
    pub(super) permits: Arc<Semaphore>,
    subscriptions: Mutex<BTreeMap<String, Arc<SubscriptionData>>>,
    owned: Mutex<BTreeMap<MessageQueue, Arc<Owned>>>,
    positions: Mutex<Positions>,
    stats: Mutex<ConsumeStats>,
    /// Brokers that had a heartbeat of this member.
    beaten: Mutex<BTreeSet<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn subscriptions(&self) -> MutexGuard<'_, BTreeMap<String, Arc<SubscriptionData>>> {
        lock(&self.subscriptions)
    }
    pub(super) fn owned(&self) -> MutexGuard<'_, BTreeMap<MessageQueue, Arc<Owned>>> {
        lock(&self.owned)
    }
    pub(super) fn positions(&self) -> MutexGuard<'_, Positions> {
        lock(&self.positions)
    }
    pub(super) fn stats(&self) -> MutexGuard<'_, ConsumeStats> {
        lock(&self.stats)
    }
    pub(super) fn beaten(&self) -> MutexGuard<'_, BTreeSet<String>> {
        lock(&self.beaten)
    }
    pub(super) fn is_broadcasting(&self) -> bool {
        self.config.model == MessageModel::Broadcasting
    }
    pub(super) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }
}

impl PushConsumer {
    /// A consumer that has not started.
    pub fn new(cluster: &Arc<Cluster>, config: PushConfig, listener: Listener) -> Self {
        let (work, received) = mpsc::unbounded_channel();
        let shared = Shared {
            cluster: Arc::clone(cluster),
            permits: Arc::new(Semaphore::new(config.concurrency.max(1))),
            config,
            listener,
            started_ms: cluster.now_ms(),
            stop: watch::Sender::new(false),
            rebalance: Notify::new(),
            work,
            subscriptions: Mutex::default(),
            owned: Mutex::default(),
            positions: Mutex::default(),
            stats: Mutex::default(),
            beaten: Mutex::default(),
        };
        Self { shared: Arc::new(shared), work: Mutex::new(Some(received)) }
    }

    /// Subscribes to a topic by a tag expression: `*`, `a`, `a || b`.
    ///
    /// # Errors
    /// `Invalid` for an expression without a tag or a name that no broker takes.
    pub fn subscribe(&self, topic: &str, tags: &str) -> Result<(), ClientError> {
        let data = tag::subscription(topic, tags, self.shared.cluster.now_ms())
            .map_err(|error| ClientError::Invalid(error.to_string()))?;
        self.add(data)
    }

    /// Subscribes to a topic by an SQL expression over properties.
    ///
    /// # Errors
    /// `Invalid` for a name that no broker takes; the expression is checked at the start.
    pub fn subscribe_sql(&self, topic: &str, expression: &str) -> Result<(), ClientError> {
        self.add(SubscriptionData {
            topic: topic.to_owned(),
            sub_string: expression.to_owned(),
            sub_version: self.shared.cluster.now_ms(),
            expression_type: EXPRESSION_SQL.to_owned(),
            ..SubscriptionData::default()
        })
    }

    fn add(&self, data: SubscriptionData) -> Result<(), ClientError> {
        if let Err(error) = names::check_topic(&data.topic) {
            return Err(ClientError::Invalid(format!("topic {:?}: {error}", data.topic)));
        }
        self.shared.subscriptions().insert(data.topic.clone(), Arc::new(data));
        self.shared.rebalance.notify_one();
        Ok(())
    }

    /// Joins the group and begins to consume.
    ///
    /// # Errors
    /// `Invalid` for a bad group name, a group that this client has already, or a second start;
    /// `ReadOnly`; `Refused` for an SQL expression that the broker does not take.
    pub async fn start(&self) -> Result<(), ClientError> {
        let shared = &self.shared;
        let group = &shared.config.group;
        if let Err(error) = names::check_group(group) {
            return Err(ClientError::Invalid(format!("group {group:?}: {error}")));
        }
        if shared.cluster.config().read_only {
            return Err(ClientError::ReadOnly { code: code::HEART_BEAT });
        }
        let Some(work) = lock(&self.work).take() else {
            return Err(ClientError::Invalid(format!("consumer of {group} was started already")));
        };
        if !shared.is_broadcasting() {
            self.subscribe(&names::retry_topic(group), SUBSCRIBE_ALL)?;
        }
        let handler: Weak<Shared> = Arc::downgrade(shared);
        if !shared.cluster.register(group, handler) {
            return Err(ClientError::Invalid(format!("this client consumes as {group} already")));
        }
        if let Err(error) = shared.check_expressions().await {
            shared.cluster.deregister(group);
            return Err(error);
        }
        shared.heartbeat().await;
        let handle = shared.cluster.handle();
        handle.spawn(consume::dispatch(Arc::clone(shared), work));
        handle.spawn(membership::keep_registered(Arc::clone(shared)));
        handle.spawn(membership::keep_balanced(Arc::clone(shared)));
        handle.spawn(membership::keep_positions(Arc::clone(shared)));
        shared.rebalance.notify_one();
        Ok(())
    }

    /// Queues that this member reads now.
    pub fn queues(&self) -> Vec<MessageQueue> {
        self.shared.owned().keys().cloned().collect()
    }

    /// What this member tells about itself when asked.
    pub fn running_info(&self) -> ConsumerRunningInfo {
        self.shared.info()
    }

    /// Stops pulling, waits for listeners that run, stores the positions and leaves the group.
    pub async fn close(self) {
        let shared = &self.shared;
        shared.stop.send_replace(true);
        let all = shared.config.concurrency.max(1) as u32;
        // A listener that takes longer is left alone: its message will be delivered again.
        let _ =
            tokio::time::timeout(shared.config.close_wait, shared.permits.acquire_many(all)).await;
        shared.store_positions().await;
        shared.leave().await;
        shared.cluster.deregister(&shared.config.group);
    }
}

impl Drop for PushConsumer {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
    }
}

impl Shared {
    fn info(&self) -> ConsumerRunningInfo {
        let config = &self.config;
        let limit = config.max_reconsume_times.unwrap_or(-1);
        let properties = [
            ("PROP_NAMESERVER_ADDR", self.cluster.config().namesrv.join(";")),
            ("PROP_CONSUME_TYPE", "CONSUME_PASSIVELY".to_owned()),
            ("PROP_CONSUMEORDERLY", "false".to_owned()),
            ("PROP_CLIENT_VERSION", concat!("mqdeck ", env!("CARGO_PKG_VERSION")).to_owned()),
            ("PROP_THREADPOOL_CORE_SIZE", config.concurrency.to_string()),
            ("PROP_CONSUMER_START_TIMESTAMP", self.started_ms.to_string()),
            ("messageModel", config.model.as_str().to_owned()),
            ("consumeFromWhere", config.from.wire().as_str().to_owned()),
            ("maxReconsumeTimes", limit.to_string()),
        ];
        let positions = self.positions().all();
        let table = |(queue, owned): (&MessageQueue, &Arc<Owned>)| {
            (queue.clone(), owned.info(positions.get(queue).copied().unwrap_or_default()))
        };
        ConsumerRunningInfo {
            mq_table: self.owned().iter().map(table).collect(),
            properties: properties.map(|(key, value)| (key.to_owned(), value)).into(),
            status_table: self.stats().table(self.cluster.now_ms()),
            subscription_set: self.subscriptions().values().map(|data| (**data).clone()).collect(),
            ..ConsumerRunningInfo::default()
        }
    }
}

impl PushHandler for Shared {
    fn ids_changed(&self) {
        self.rebalance.notify_one();
    }

    fn reset(&self, offsets: QueueMap<i64>) {
        for (queue, offset) in offsets {
            let owned = self.owned().get(&queue).cloned();
            if let Some(owned) = owned {
                self.positions().load(&queue, offset, false);
                owned.restart(offset);
            }
        }
    }

    fn status(&self, topic: &str) -> Bytes {
        let all = self.positions().all();
        let of_topic = all.into_iter().filter(|(queue, _)| queue.topic == topic);
        let body = ConsumerStatusBody {
            message_queue_table: of_topic.collect(),
            ..ConsumerStatusBody::default()
        };
        json_dialect::to_vec(&body).into()
    }

    fn running_info(&self) -> Bytes {
        json_dialect::to_vec(&self.info()).into()
    }

    fn consume_directly(&self, record: Bytes) -> Later {
        Box::pin(consume::directly(
            self.listener.clone(),
            Arc::clone(&self.cluster),
            self.config.group.clone(),
            record,
        ))
    }
}
