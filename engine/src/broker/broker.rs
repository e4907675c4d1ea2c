//! The broker's state and what several handlers need of it.
//!
//! No socket, no thread: `engine.rs` gives it a store and a clock and drives its tasks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::outcome::{Cold, Cx, Shell};
use super::put::schedule_topic;
use super::state::access::Access;
use super::state::connections::Connections;
use super::state::delay_offsets::DelayOffsets;
use super::state::filters::Filters;
use super::state::groups::Groups;
use super::state::offsets::Offsets;
use super::state::order_locks::OrderLocks;
use super::state::parked::Parked;
use super::state::persist::Persist;
use super::state::pop_state::PopState;
use super::state::request_modes::RequestModes;
use super::state::reset_pending::ResetPending;
use super::state::settings::{self, Settings};
use super::state::stats::Stats;
use super::state::timers::Timers;
use super::state::topics::{Topic, Topics};
use super::state::traffic::Traffic;
use super::state::transactions::Transactions;
use super::state::trim::Trim;
use crate::clock::Clock;
use crate::config::{self, BrokerConfig};
use crate::decide::delay::Levels;
use crate::decide::pop::RetryTopics;
use crate::decide::pull_status::Extent;
use crate::decide::route::{self, Template, Unknown};
use crate::decide::{Refusal, config_change};
use crate::protocol::body::group_config::SubscriptionGroupConfig;
use crate::protocol::body::topic_config::TopicConfig;
use crate::protocol::ids::UniqueKeys;
use crate::protocol::names;
use crate::protocol::perm::Perm;
use crate::protocol::request::send::SendMessage;
use crate::store::{Boundary, QueueOffset, Store, StoreError, Wait};

/// Everything that a broker is made of.
pub struct Parts {
    /// Its settings, without those that were changed over the wire.
    pub config: BrokerConfig,
    /// Its data directory.
    pub store: Arc<Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Its address in routes and stored messages.
    pub addr: SocketAddr,
    /// Whether it listens on loopback only.
    pub is_local: bool,
    /// Its delay table.
    pub levels: Levels,
    /// Bytes behind the log's end that count as in memory (the 40 % rule).
    pub memory_window: u64,
    /// Maker of unique keys for messages that have none.
    pub unique_keys: UniqueKeys,
    /// Topics, with those that were stored.
    pub topics: Topics,
    /// Groups, with those that were stored.
    pub groups: Groups,
}

/// One broker.
pub struct Broker {
    /// What counts from the start on; what may change is in [`Broker::live`].
    pub(crate) config: BrokerConfig,
    pub(crate) settings: Settings,
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) addr: SocketAddr,
    pub(crate) addr_is_local: bool,
    pub(crate) levels: Levels,
    pub(crate) boot_ms: i64,
    pub(crate) schedule_topic: Arc<str>,
    pub(crate) unique_keys: UniqueKeys,
    pub(crate) access: Access,
    pub(crate) topics: Topics,
    pub(crate) groups: Groups,
    pub(crate) filters: Filters,
    pub(crate) offsets: Offsets,
    pub(crate) delay_offsets: DelayOffsets,
    pub(crate) connections: Connections,
    pub(crate) locks: OrderLocks,
    pub(crate) parked: Parked,
    pub(crate) resets: ResetPending,
    pub(crate) persist: Persist,
    pub(crate) stats: Stats,
    pub(crate) traffic: Traffic,
    pub(crate) trim: Trim,
    pub(crate) pop: PopState,
    pub(crate) request_modes: RequestModes,
    pub(crate) transactions: Transactions,
    pub(crate) timers: Timers,
    addr_text: String,
    reply_topic: String,
    memory_window: u64,
    counter: AtomicU32,
    shell: OnceLock<Arc<dyn Shell>>,
    topics_changed: std::sync::Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker with nobody connected yet.
    pub fn new(parts: Parts) -> Self {
        let reply_topic = names::reply_topic(&parts.config.broker_cluster_name);
        Self {
            boot_ms: parts.clock.wall_ms(),
            settings: Settings::new(parts.config.clone()),
            access: Access::new(&parts.config),
            stats: Stats::new(&parts.config.broker_cluster_name),
            config: parts.config,
            store: parts.store,
            clock: parts.clock,
            addr: parts.addr,
            addr_is_local: parts.is_local,
            levels: parts.levels,
            schedule_topic: schedule_topic(),
            unique_keys: parts.unique_keys,
            topics: parts.topics,
            groups: parts.groups,
            filters: Filters::default(),
            offsets: Offsets::default(),
            delay_offsets: DelayOffsets::default(),
            connections: Connections::default(),
            locks: OrderLocks::default(),
            parked: Parked::default(),
            resets: ResetPending::default(),
            persist: Persist::default(),
            traffic: Traffic::default(),
            trim: Trim::default(),
            pop: PopState::default(),
            request_modes: RequestModes::default(),
            transactions: Transactions::default(),
            timers: Timers::default(),
            addr_text: parts.addr.to_string(),
            reply_topic,
            memory_window: parts.memory_window,
            counter: AtomicU32::new(0),
            shell: OnceLock::new(),
            topics_changed: std::sync::Mutex::new(None),
        }
    }

    /// Sets whose pool runs what has to wait and came by no connection. Only the first one counts.
    pub fn set_shell(&self, shell: Arc<dyn Shell>) {
        let _ = self.shell.set(shell);
    }

    /// Runs a job on the pool, here when there is none. `false` when the pool is full.
    pub(crate) fn on_pool(&self, job: Box<dyn FnOnce() + Send>) -> bool {
        if let Some(shell) = self.shell.get() {
            return shell.slow(job);
        }
        job();
        true
    }

    /// Sets who registers at the name servers when the topic table changed.
    pub fn on_topics_changed(&self, wake: impl Fn() + Send + 'static) {
        *super::state::lock(&self.topics_changed) = Some(Box::new(wake));
    }

    /// The topic table changed: it has to be written and registered.
    pub(crate) fn topics_changed(&self) {
        self.persist.topics_changed();
        if let Some(wake) = &*super::state::lock(&self.topics_changed) {
            wake();
        }
    }

    /// Topics that are ordered from now on; those that are not here are passed over.
    pub(crate) fn make_ordered<'a>(&self, topics: impl Iterator<Item = &'a str>) {
        let now_ms = self.clock.wall_ms();
        let mut changed = false;
        for topic in topics.filter_map(|name| self.topics.get(name)) {
            if !topic.config.order {
                tracing::info!(topic = &*topic.name, "ordered, as the name server lists it");
                let config = TopicConfig { order: true, ..topic.config.clone() };
                changed |= self.topics.put(config, now_ms);
            }
        }
        if changed {
            self.topics_changed();
        }
    }

    /// Its address as text.
    pub fn addr_text(&self) -> &str {
        &self.addr_text
    }

    /// Where slaves would find it, as text: one port above its own.
    pub fn ha_addr_text(&self) -> String {
        SocketAddr::new(self.addr.ip(), self.addr.port().saturating_add(1)).to_string()
    }

    /// Clients that are in a group now.
    pub fn client_count(&self) -> usize {
        self.connections.client_count()
    }

    /// A number to spread load with; not random, and not meant to be.
    pub(crate) fn random(&self) -> u32 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether the name belongs to the broker itself (message.md §10.2).
    pub fn is_system_topic(&self, name: &str) -> bool {
        names::is_system_topic(name)
            || name == self.config.broker_cluster_name
            || name == self.config.broker_name
            || name == self.reply_topic
    }

    /// A group, made now if it may be; whether it was made.
    pub(crate) fn group_or_new(
        &self,
        name: &str,
        now_ms: i64,
    ) -> (bool, Option<Arc<SubscriptionGroupConfig>>) {
        if let Some(group) = self.groups.get(name) {
            return (false, Some(group));
        }
        if !self.live().auto_create_subscription_group || names::check_group(name).is_err() {
            return (false, None);
        }
        self.groups.put(SubscriptionGroupConfig::named(name), now_ms);
        self.persist.groups_changed();
        (true, self.groups.get(name))
    }

    /// The retry topic of a group; whether it was made.
    pub(crate) fn make_retry_topic(&self, group: &SubscriptionGroupConfig, now_ms: i64) -> bool {
        let name = names::retry_topic(&group.group_name);
        if self.topics.get(&name).is_some() {
            return false;
        }
        let (made, _) =
            self.topics.put_if_absent(route::derived(&name, group.retry_queue_nums), now_ms);
        if made {
            self.topics_changed();
        }
        made
    }

    /// The dead-letter topic of a group; whether it was made.
    pub(crate) fn make_dead_letter_topic(&self, group: &str, now_ms: i64) -> (bool, Arc<Topic>) {
        let (made, topic) =
            self.topics.put_if_absent(route::derived(&names::dlq_topic(group), 1), now_ms);
        if made {
            self.topics_changed();
            tracing::info!(group, "first dead letter");
        }
        (made, topic)
    }

    /// Makes the topic of a send, if its template allows it (semantics.md §2).
    pub(crate) fn make_topic(
        &self,
        header: &SendMessage<'_>,
        now_ms: i64,
    ) -> (bool, Option<Arc<Topic>>) {
        let template =
            header.default_topic.and_then(|name| self.topics.get(name)).map(|topic| Template {
                is_default: &*topic.name == names::TEMPLATE_TOPIC,
                perm: Perm(topic.config.perm),
                write_queues: topic.config.write_queue_nums,
                filter: topic.config.topic_filter_type,
            });
        let config = route::create(&Unknown {
            topic: header.topic,
            retry: names::group_of_retry(header.topic).is_some(),
            template,
            auto_create: self.live().auto_create_topic_enable,
            queues_asked: header.default_queues.unwrap_or(route::TEMPLATE_QUEUES),
            unit: header.unit_mode == Some(true),
        });
        let Some(config) = config else { return (false, None) };
        let (made, topic) = self.topics.put_if_absent(config, now_ms);
        if made {
            self.topics_changed();
            tracing::info!(
                topic = header.topic,
                queues = topic.config.write_queue_nums,
                "topic made by a send"
            );
        }
        (made, Some(topic))
    }

    /// First offset that can be read: kept by the log and not trimmed.
    pub fn min_offset(&self, topic: &str, queue_id: i32) -> i64 {
        let kept = self.store.min_offset(topic, queue_id).0 as i64;
        self.trim.get(topic, queue_id).map_or(kept, |trimmed| trimmed.max(kept))
    }

    /// First and next offset of a queue.
    pub(crate) fn extent(&self, topic: &str, queue_id: i32) -> Extent {
        let max = self.store.max_offset(topic, queue_id).0 as i64;
        let min = self.min_offset(topic, queue_id);
        Extent { min, max }
    }

    /// Whether a message is there and likely in the page cache: a guess by its distance from the log's
    /// end. Looking its unit up may have to wait for the disk.
    pub(crate) fn in_memory(
        &self,
        wait: Wait,
        topic: &str,
        queue_id: i32,
        offset: u64,
    ) -> Result<bool, Cold> {
        let end = self.store.positions().visible.0;
        let unit = self.store.reads(wait).unit(topic, queue_id, QueueOffset(offset));
        let unit = told_unless_cold(unit)?.flatten();
        Ok(unit.is_some_and(|unit| end.saturating_sub(unit.log_offset.0) <= self.memory_window))
    }
}

/// The configuration: what is in force, what is shown of it, how it changes (admin.md §4.12).
impl Broker {
    /// The settings in force now.
    pub fn live(&self) -> arc_swap::Guard<Arc<BrokerConfig>> {
        self.settings.load()
    }

    /// Retry topics of popped messages that are in use.
    pub(crate) fn retry_topics(&self) -> RetryTopics {
        let live = self.live();
        RetryTopics {
            second: live.enable_retry_topic_v2,
            first_too: live.retrieve_message_from_pop_retry_topic_v1,
        }
    }

    /// Every key that is honoured, with its value.
    pub(crate) fn config_entries(&self) -> BTreeMap<String, String> {
        let mut entries = config_change::entries(&**self.live());
        for secret in config::SECRET_KEYS {
            entries.remove(secret);
        }
        for (key, value) in [
            ("brokerId", "0".to_owned()),
            ("brokerRole", "ASYNC_MASTER".to_owned()),
            ("brokerIP1", self.addr.ip().to_string()),
            ("inSyncReplicas", "1".to_owned()),
            ("storePathRootDir", self.store.config().root.display().to_string()),
        ] {
            entries.entry(key.to_owned()).or_insert(value);
        }
        entries.insert("listenPort".to_owned(), self.addr.port().to_string());
        entries
    }

    /// Makes a change of the configuration count, once it is on the disk; gives the remark.
    pub(crate) fn change_config(
        &self,
        body: &[u8],
        now_ms: i64,
    ) -> Result<Option<String>, Refusal> {
        let shown = self.config_entries();
        let write = |file: &[u8]| self.store.write_json(settings::FILE, file);
        let changed = self.settings.change(body, &shown, now_ms, write)?;
        let (old, new) = (&changed.old, &changed.new);
        self.store.set_habits(settings::habits(new));
        let template = |config: &BrokerConfig| {
            (config.auto_create_topic_enable, config.default_topic_queue_nums)
        };
        let retemplate = template(old) != template(new);
        if retemplate {
            self.topics.put_template(new, now_ms);
        }
        let permission = old.broker_permission != new.broker_permission;
        if permission {
            // Name servers learn of rights with the topics, and only of a new edition of them.
            self.topics.touch(now_ms);
        }
        if retemplate || permission {
            self.topics_changed();
        }
        if !Arc::ptr_eq(old, new) {
            tracing::info!(counter = self.settings.version().counter, "configuration changed");
        }
        Ok(changed.remark)
    }
}

/// What the store answers, with a failed read told in the log and taken as "nothing there".
impl Broker {
    /// When the message at `offset` was stored, ms.
    pub(crate) fn store_time(&self, topic: &str, queue_id: i32, offset: i64) -> Option<i64> {
        let at = QueueOffset(u64::try_from(offset).ok()?);
        told(self.store.store_time(topic, queue_id, at)).flatten()
    }

    /// The record at a commit-log offset, for a request that may have to be run again on the pool.
    pub(crate) fn record_for(&self, cx: &Cx, offset: i64) -> Result<Option<bytes::Bytes>, Cold> {
        let Ok(at) = u64::try_from(offset) else { return Ok(None) };
        let record = self.store.reads(cx.wait).record_at(crate::store::LogOffset(at));
        Ok(told_unless_cold(record)?.flatten())
    }

    /// The record at a commit-log offset.
    pub(crate) fn record_at(&self, offset: i64) -> Option<bytes::Bytes> {
        let at = crate::store::LogOffset(u64::try_from(offset).ok()?);
        told(self.store.record_at(at)).flatten()
    }

    /// Offset of a moment in a queue.
    pub(crate) fn offset_by_time(
        &self,
        topic: &str,
        queue_id: i32,
        time_ms: i64,
        boundary: Boundary,
    ) -> i64 {
        told(self.store.offset_by_time(topic, queue_id, time_ms, boundary))
            .map_or(0, |offset| offset.0 as i64)
    }
}

/// The value, or `None` after a log line.
fn told<T>(result: Result<T, StoreError>) -> Option<T> {
    result.inspect_err(|error| tracing::warn!(%error, "cannot read from the store")).ok()
}

fn told_unless_cold<T>(result: Result<T, StoreError>) -> Result<Option<T>, Cold> {
    match result {
        Err(StoreError::Cold) => Err(Cold),
        other => Ok(told(other)),
    }
}
