//! A push consumer as a member of its group: heartbeats, which queues it reads, stored positions.
//!
//! Every member computes its queues alone; `decide::allocate` says how. Timers: remoting.md §7.1, §8.1;
//! rules: semantics.md §7, §15.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::cluster::Ask;
use super::error::ClientError;
use super::figures::{Boundary, QueueAt};
use super::positions;
use super::push_consumer::{ConsumeFrom, Shared};
use super::queue_reader::{self, Owned};
use super::route_cache::{broker, master_of, read_queues};
use crate::decide::allocate::{Dealing, allocate, change};
use crate::protocol::body::MessageQueue;
use crate::protocol::body::heartbeat::{
    CheckClientConfig, ConsumeType, ConsumerData, ConsumerIdList, HeartbeatData,
};
use crate::protocol::body::route::TopicRouteData;
use crate::protocol::ext_fields::Fields;
use crate::protocol::request::client::{ConsumerGroup, UnregisterClient};
use crate::protocol::{code, json_dialect, names, response_code};

/// Between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Between two rebalances that nobody asked for.
const REBALANCE: Duration = Duration::from_secs(20);
/// After a rebalance that failed, doubled each time up to [`REBALANCE_SLOWEST`].
const REBALANCE_AGAIN: Duration = Duration::from_secs(1);
/// Between two rebalances that keep failing.
const REBALANCE_SLOWEST: Duration = Duration::from_secs(16);
/// Rebalances are never closer than this, however often members change.
const REBALANCE_GAP: Duration = Duration::from_millis(200);
/// Between two stores of positions.
const STORE: Duration = Duration::from_secs(5);

/// Sends heartbeats until the consumer stops.
pub(super) async fn keep_registered(shared: Arc<Shared>) {
    let mut stop = shared.stop.subscribe();
    while !shared.is_stopped() {
        tokio::select! {
            _ = stop.changed() => return,
            () = sleep(HEARTBEAT) => shared.heartbeat().await,
        }
    }
}

/// Rebalances at a change, else from time to time, until the consumer stops.
pub(super) async fn keep_balanced(shared: Arc<Shared>) {
    let mut stop = shared.stop.subscribe();
    let mut pause = REBALANCE;
    while !shared.is_stopped() {
        tokio::select! {
            _ = stop.changed() => return,
            () = shared.rebalance.notified() => {}
            () = sleep(pause) => {}
        }
        pause = match shared.rebalance_all().await {
            Ok(()) => REBALANCE,
            Err(_) if pause == REBALANCE => REBALANCE_AGAIN,
            Err(_) => (pause * 2).min(REBALANCE_SLOWEST),
        };
        sleep(REBALANCE_GAP).await;
    }
}

/// Stores positions from time to time until the consumer stops; the last time is `close`'s.
pub(super) async fn keep_positions(shared: Arc<Shared>) {
    let mut stop = shared.stop.subscribe();
    while !shared.is_stopped() {
        tokio::select! {
            _ = stop.changed() => return,
            () = sleep(STORE) => shared.store_positions().await,
        }
    }
}

impl Shared {
    /// Registers this member and its subscriptions at every broker that serves one of its topics; at
    /// every broker while no topic has a route, so that the group is seen.
    pub(super) async fn heartbeat(&self) {
        let topics: Vec<String> = self.subscriptions().keys().cloned().collect();
        let mut addrs = BTreeSet::new();
        for topic in topics {
            if let Ok(route) = self.cluster.route(&topic).await {
                let all = route.broker_datas.iter().flat_map(|data| data.broker_addrs.values());
                addrs.extend(all.cloned());
            }
        }
        if addrs.is_empty()
            && let Ok(info) = self.cluster.cluster_info().await
        {
            let all = info.broker_addr_table.values().flat_map(|data| data.broker_addrs.values());
            addrs.extend(all.cloned());
        }
        let body = json_dialect::to_vec(&self.heartbeat_data());
        for addr in addrs {
            let ask = Ask::new(code::HEART_BEAT, Fields::new()).body(body.clone());
            // A broker that misses one keeps the member for two minutes; the next comes in 30 s.
            if self.cluster.ask(&addr, ask).await.is_ok() {
                self.beaten().insert(addr);
            }
        }
    }

    fn heartbeat_data(&self) -> HeartbeatData {
        let consumer = ConsumerData {
            group_name: self.config.group.clone(),
            consume_type: ConsumeType::Passively,
            message_model: self.config.model,
            consume_from_where: self.config.from.wire(),
            subscription_data_set: self
                .subscriptions()
                .values()
                .map(|data| (**data).clone())
                .collect(),
            unit_mode: false,
        };
        HeartbeatData {
            client_id: self.cluster.client_id().to_owned(),
            consumer_data_set: vec![consumer],
            ..HeartbeatData::default()
        }
    }

    /// Has one broker check every expression that is not a list of tags.
    pub(super) async fn check_expressions(&self) -> Result<(), ClientError> {
        let special: Vec<_> =
            self.subscriptions().values().filter(|data| !data.is_tag()).cloned().collect();
        for data in special {
            let route = self.cluster.route(&data.topic).await?;
            let Some(addr) = route.broker_datas.iter().find_map(|broker| broker.master()) else {
                return Err(ClientError::NoBroker(format!("topic {}", data.topic)));
            };
            let body = CheckClientConfig {
                client_id: self.cluster.client_id().to_owned(),
                group: self.config.group.clone(),
                subscription_data: Some((*data).clone()),
                namespace: None,
            };
            let ask = Ask::new(code::CHECK_CLIENT_CONFIG, Fields::new());
            self.cluster.ask(addr, ask.body(json_dialect::to_vec(&body))).await?;
        }
        Ok(())
    }

    /// Tells every broker that this member leaves.
    pub(super) async fn leave(&self) {
        let beaten = std::mem::take(&mut *self.beaten());
        for addr in beaten {
            let asked = UnregisterClient {
                client_id: self.cluster.client_id(),
                producer_group: None,
                consumer_group: Some(&self.config.group),
            };
            // A broker that does not answer notices the closed connection.
            let _ = self.cluster.ask(&addr, Ask::new(code::UNREGISTER_CLIENT, asked)).await;
        }
    }

    /// Takes and gives up queues; the first failure, after every topic had its turn.
    async fn rebalance_all(self: &Arc<Self>) -> Result<(), ClientError> {
        let topics: Vec<String> = self.subscriptions().keys().cloned().collect();
        let mut failure = Ok(());
        for topic in &topics {
            if let Err(error) = self.rebalance_topic(topic).await {
                failure = failure.and(Err(error));
            }
        }
        let strange: Vec<MessageQueue> =
            self.owned().keys().filter(|queue| !topics.contains(&queue.topic)).cloned().collect();
        for queue in strange {
            self.give_up(&queue).await;
        }
        failure
    }

    async fn rebalance_topic(self: &Arc<Self>, topic: &str) -> Result<(), ClientError> {
        let route = self.cluster.route(topic).await?;
        let all = read_queues(&route, topic);
        let mine = if self.is_broadcasting() {
            all
        } else {
            let me = self.cluster.client_id();
            let members = self.members(&route).await?;
            if !members.iter().any(|member| member == me) {
                self.heartbeat().await;
                return Err(ClientError::Invalid(format!("{me} is not registered yet")));
            }
            allocate(Dealing::Blocks, me, &members, &all)
        };
        let old: BTreeSet<MessageQueue> =
            self.owned().keys().filter(|queue| queue.topic == topic).cloned().collect();
        let change = change(&old, &mine);
        for queue in change.lost {
            self.give_up(&queue).await;
        }
        for queue in change.gained {
            self.take(queue).await?;
        }
        Ok(())
    }

    /// Members of the group, from the first broker of the route that tells.
    async fn members(&self, route: &TopicRouteData) -> Result<Vec<String>, ClientError> {
        let mut failure = ClientError::NoBroker(format!("group {}", self.config.group));
        for data in &route.broker_datas {
            let Some(addr) = data.master().or_else(|| Some(data.broker_addrs.values().next()?))
            else {
                continue;
            };
            let asked = ConsumerGroup { group: &self.config.group };
            match self.cluster.ask(addr, Ask::new(code::GET_CONSUMER_LIST_BY_GROUP, asked)).await {
                Ok(answer) => return Ok(answer.json::<ConsumerIdList>()?.consumer_id_list),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn take(self: &Arc<Self>, queue: MessageQueue) -> Result<(), ClientError> {
        let (offset, stored) = self.start_of(&queue).await?;
        self.positions().load(&queue, offset, stored);
        let owned = Arc::new(Owned::new(queue.clone(), offset));
        self.owned().insert(queue, Arc::clone(&owned));
        self.cluster.handle().spawn(queue_reader::read(Arc::clone(self), owned));
        Ok(())
    }

    /// Where a queue is read first, and whether that is stored already (semantics.md §7).
    async fn start_of(&self, queue: &MessageQueue) -> Result<(i64, bool), ClientError> {
        if self.is_broadcasting() {
            let known = self.positions_file().map(|path| positions::read_file(&path));
            if let Some(offset) = known.and_then(|table| table.get(queue).copied()) {
                return Ok((offset, true));
            }
        }
        let route = self.cluster.route(&queue.topic).await?;
        let addr = master_of(&route, &queue.broker_name)?;
        let at = QueueAt { addr, topic: &queue.topic, queue_id: queue.queue_id };
        if !self.is_broadcasting()
            && let Some(offset) = self.cluster.committed(at, &self.config.group).await?
        {
            return Ok((offset, true));
        }
        let is_retry = queue.topic.starts_with(names::RETRY_PREFIX);
        let offset = match self.config.from {
            ConsumeFrom::Last if is_retry => 0,
            ConsumeFrom::First => 0,
            ConsumeFrom::Last => self.cluster.max_offset(at).await?,
            ConsumeFrom::Time(_) if is_retry => self.cluster.max_offset(at).await?,
            ConsumeFrom::Time(ms) => self.cluster.offset_at(at, ms, Boundary::Lower).await?,
        };
        Ok((offset, false))
    }

    async fn give_up(&self, queue: &MessageQueue) {
        let Some(owned) = self.owned().remove(queue) else { return };
        owned.give_up();
        let position = self.positions().get(queue);
        if let Some(offset) = position
            && !self.is_broadcasting()
        {
            // The next owner starts at the broker's position: what is lost here is delivered again.
            let _ = self.store_remote(queue, offset).await;
        }
        self.positions().forget(queue);
    }

    /// Stores every position that moved.
    pub(super) async fn store_positions(&self) {
        let unstored = self.positions().unstored();
        if unstored.is_empty() {
            return;
        }
        if self.is_broadcasting() {
            self.store_local(unstored).await;
            return;
        }
        for (queue, offset) in unstored {
            // Lost commits are made up for by the next one, and by every pull.
            if self.store_remote(&queue, offset).await.is_ok() {
                self.positions().stored(&queue, offset);
            }
        }
    }

    async fn store_remote(&self, queue: &MessageQueue, offset: i64) -> Result<(), ClientError> {
        let route = self.cluster.route(&queue.topic).await?;
        let addr = master_of(&route, &queue.broker_name)?;
        let at = QueueAt { addr, topic: &queue.topic, queue_id: queue.queue_id };
        self.cluster.commit_oneway(at, &self.config.group, offset).await
    }

    async fn store_local(&self, unstored: Vec<(MessageQueue, i64)>) {
        let Some(path) = self.positions_file() else { return };
        let table = self.positions().all();
        let write = move || positions::write_file(&path, table);
        let written = self.cluster.handle().spawn_blocking(write).await;
        match written {
            Ok(Ok(())) => {
                let mut positions = self.positions();
                for (queue, offset) in unstored {
                    positions.stored(&queue, offset);
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "positions of a broadcasting consumer not stored");
            }
            Err(_) => {}
        }
    }

    fn positions_file(&self) -> Option<PathBuf> {
        let dir = self.config.positions_dir.as_ref()?;
        Some(dir.join(&self.config.group).join("offsets.json"))
    }

    /// Address from which a queue is read: the broker id that was suggested, else the master, else any.
    pub(super) async fn reading_addr(
        &self,
        queue: &MessageQueue,
        suggested: i64,
    ) -> Result<(String, bool), ClientError> {
        let route = self.cluster.route(&queue.topic).await?;
        let missing = || ClientError::NoBroker(format!("broker name {}", queue.broker_name));
        let data = broker(&route, &queue.broker_name).ok_or_else(missing)?;
        let master = data.master();
        let other = data.broker_addrs.get(&suggested).map(String::as_str);
        let addr = other.or(master).or_else(|| Some(data.broker_addrs.values().next()?));
        let addr = addr.ok_or_else(missing)?.to_owned();
        let is_master = master == Some(addr.as_str());
        Ok((addr, is_master))
    }
}

/// Whether a broker refuses a pull because it does not know this member's subscription.
pub(super) fn lacks_subscription(error: &ClientError) -> bool {
    error.is_refused_with(response_code::SUBSCRIPTION_NOT_EXIST)
        || error.is_refused_with(response_code::SUBSCRIPTION_NOT_LATEST)
        || error.is_refused_with(response_code::FILTER_DATA_NOT_EXIST)
        || error.is_refused_with(response_code::FILTER_DATA_NOT_LATEST)
}
