//! What the poller knows: the last answers of every broker, meters and series.

use std::collections::{BTreeMap, BTreeSet};

use engine::client::ClientError;
use engine::client::admin::BrokerConfig;
use engine::client::runtime_info::RuntimeInfo;
use engine::protocol::body::connection::ConsumerConnection;
use engine::protocol::body::group_config::SubscriptionGroupConfig;
use engine::protocol::body::ha::HaRuntimeInfo;
use engine::protocol::body::offsets::{ConsumerOffsets, QueueOffsets};
use engine::protocol::body::route::ClusterInfo;
use engine::protocol::body::running_info::ConsumerRunningInfo;
use engine::protocol::body::stats::TopicOffset;
use engine::protocol::body::topic_config::TopicConfig;
use engine::protocol::names;

use super::ask::Answer;
use super::problem;
use crate::data::Problem;
use crate::model::history::{Meter, Series};

/// Groups whose BEHIND is asked in one round.
const SPANS_MAX: usize = 12;
/// Older store times of oldest messages are asked for again.
const FIRSTS_FRESH_MS: i64 = 60_000;
/// Groups that count as loud for the poller, when no list is on screen.
const LOUD_MAX: usize = 20;

/// Queue id → extent, with the time of the answer.
pub type Extents = BTreeMap<i32, TopicOffset>;

/// One broker address.
#[derive(Debug, Default)]
pub struct Broker {
    pub addr: String,
    pub runtime: RuntimeInfo,
    pub config: Option<BrokerConfig>,
    pub config_refused: bool,
    pub ha: Option<HaRuntimeInfo>,
    pub offsets: Option<ConsumerOffsets>,
    pub topics: BTreeMap<String, TopicConfig>,
    pub groups: BTreeMap<String, SubscriptionGroupConfig>,
    pub pop: BTreeSet<String>,
    pub stats: BTreeMap<String, (i64, Extents)>,
    /// Ends of queues by `317`, until `202` was asked.
    pub ends: BTreeMap<(String, i32), i64>,
    pub answered_ms: Option<i64>,
    pub problem: Option<Problem>,
    pub offsets_problem: Option<Problem>,
    pub gone_since_ms: Option<i64>,
    /// Broker's clock minus this machine's.
    pub ahead_ms: i64,
    pub in_meter: Meter,
    pub out_meter: Meter,
    pub log_meter: Meter,
    pub unflushed: Series,
    pub slave_behind: Series,
    pub disk: Series,
}

/// Members of a group by broker name.
#[derive(Debug, Default)]
pub struct Members {
    pub by_broker: BTreeMap<String, Result<Option<ConsumerConnection>, Problem>>,
    pub running: BTreeMap<String, Result<ConsumerRunningInfo, Problem>>,
}

/// What is remembered of a group between rounds.
#[derive(Debug, Default)]
pub struct GroupMemory {
    pub lag: Series,
    pub pulled: Meter,
    pub committed: Meter,
    pub dead: Meter,
    /// Milliseconds that the oldest unread message waits, by topic and broker.
    pub behind: BTreeMap<(String, String), crate::data::Fig<i64>>,
    /// Sent back and delivered in the last minute, by topic and broker.
    pub failing: BTreeMap<(String, String), (i64, i64)>,
    pub state: Option<(String, Option<i64>)>,
}

/// Everything.
#[derive(Debug, Default)]
pub struct Known {
    pub cluster: String,
    pub brokers: BTreeMap<(String, i64), Broker>,
    pub members: BTreeMap<String, Members>,
    pub memory: BTreeMap<String, GroupMemory>,
    pub topic_meters: BTreeMap<(String, String, i32), Meter>,
    /// Deliveries of the open group by topic, broker and queue.
    pub queue_meters: BTreeMap<(String, String, i32), Meter>,
    metered: String,
    /// When it was asked, and the store time of the oldest message, by topic, broker and queue.
    pub firsts: BTreeMap<(String, String, i32), (i64, Option<i64>)>,
    pub in_series: Series,
    pub out_series: Series,
    topic_turn: usize,
    group_turn: usize,
}

impl Known {
    /// Takes the list of brokers in; one that left stays, marked.
    pub fn brokers_are(&mut self, info: &ClusterInfo, now_ms: i64) {
        self.cluster = info.cluster_addr_table.keys().next().cloned().unwrap_or_default();
        let mut listed = BTreeSet::new();
        for (name, data) in &info.broker_addr_table {
            for (id, addr) in &data.broker_addrs {
                let key = (name.clone(), *id);
                let broker = self.brokers.entry(key.clone()).or_default();
                broker.addr.clone_from(addr);
                broker.gone_since_ms = None;
                listed.insert(key);
            }
        }
        for (key, broker) in &mut self.brokers {
            if !listed.contains(key) {
                broker.gone_since_ms.get_or_insert(now_ms);
            }
        }
    }

    /// Brokers to ask: name, id, address.
    pub fn addresses(&self) -> Vec<(String, i64, String)> {
        self.brokers
            .iter()
            .filter(|(_, b)| b.gone_since_ms.is_none())
            .map(|((name, id), b)| (name.clone(), *id, b.addr.clone()))
            .collect()
    }

    /// Masters that answered, and that are known.
    pub fn masters(&self) -> (u16, u16) {
        let all = self.brokers.iter().filter(|((_, id), _)| *id == 0);
        let answered =
            all.clone().filter(|(_, b)| b.problem.is_none() && b.gone_since_ms.is_none());
        (answered.count() as u16, all.count() as u16)
    }

    /// Masters with their names.
    pub fn each_master(&self) -> impl Iterator<Item = (&String, &Broker)> {
        self.brokers.iter().filter(|((_, id), _)| *id == 0).map(|((name, _), b)| (name, b))
    }

    /// Groups of the user, from settings and positions.
    pub fn group_names(&self) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        for (_, broker) in self.each_master() {
            out.extend(broker.groups.keys().cloned());
            if let Some(offsets) = &broker.offsets {
                out.extend(
                    offsets.offset_table.keys().filter_map(|k| Some(split(k)?.1.to_owned())),
                );
            }
        }
        out.retain(|g| {
            !names::is_system_group(g) && !names::PREDEFINED_GROUPS.contains(&g.as_str())
        });
        out
    }

    /// Topics on which a group has a position, its retry topics too.
    pub fn topics_of(&self, group: &str) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        for (_, broker) in self.each_master() {
            let keys = broker.offsets.iter().flat_map(|o| o.offset_table.keys());
            out.extend(
                keys.filter_map(|k| split(k).filter(|(_, g)| *g == group))
                    .map(|(t, _)| t.to_owned()),
            );
        }
        out
    }

    /// Positions of a group on a topic of a broker.
    pub fn positions<'a>(broker: &'a Broker, topic: &str, group: &str) -> Option<&'a QueueOffsets> {
        broker.offsets.as_ref()?.offset_table.get(&format!("{topic}@{group}"))
    }

    /// Pulled offsets, where the broker tells them.
    pub fn pulled<'a>(broker: &'a Broker, topic: &str, group: &str) -> Option<&'a QueueOffsets> {
        let table = broker.offsets.as_ref()?.pull_offset_table.as_ref()?;
        table.get(&format!("{topic}@{group}"))
    }

    /// Every topic of every master.
    pub fn topic_names(&self) -> BTreeSet<String> {
        self.each_master().flat_map(|(_, b)| b.topics.keys().cloned()).collect()
    }

    /// The next topics of the sweep: dead-letter topics always, the others in turn.
    pub fn sweep_topics(&mut self, count: usize) -> Vec<String> {
        let all: Vec<String> = self.topic_names().into_iter().collect();
        let out = turn(&all, &mut self.topic_turn, count);
        out.into_iter().chain([names::SCHEDULE_TOPIC.to_owned()]).collect()
    }

    /// The next groups of the sweep.
    pub fn sweep_groups(&mut self, count: usize) -> Vec<String> {
        let all: Vec<String> = self.group_names().into_iter().collect();
        turn(&all, &mut self.group_turn, count)
    }

    /// Groups with something to look at, when no list is on screen.
    pub fn loud_groups(&self) -> BTreeSet<String> {
        let mut by_lag: Vec<(u64, &String)> = self
            .memory
            .iter()
            .filter_map(|(g, m)| Some((m.lag.last(1).first().copied().flatten()?, g)))
            .filter(|(lag, _)| *lag > 0)
            .collect();
        by_lag.sort_unstable_by(|a, b| b.cmp(a));
        by_lag.into_iter().take(LOUD_MAX).map(|(_, g)| g.clone()).collect()
    }

    /// Topic and group whose BEHIND is wanted.
    pub fn spans_wanted(&self, groups: &BTreeSet<String>) -> Vec<(String, String)> {
        groups
            .iter()
            .flat_map(|g| self.topics_of(g).into_iter().map(move |t| (t, g.clone())))
            .filter(|(t, _)| !t.starts_with(names::RETRY_PREFIX))
            .take(SPANS_MAX)
            .collect()
    }

    /// Members of a group with the broker that each is connected to.
    pub fn members(&self, group: &str) -> Vec<(String, String)> {
        let mut seen = BTreeSet::new();
        let mut out = Vec::new();
        for (broker, found) in self.members.get(group).iter().flat_map(|m| &m.by_broker) {
            let Some(addr) = self.brokers.get(&(broker.clone(), 0)).map(|b| b.addr.clone()) else {
                continue;
            };
            for c in found.iter().flatten().flat_map(|c| &c.connection_set) {
                if seen.insert(c.client_id.clone()) {
                    out.push((addr.clone(), c.client_id.clone()));
                }
            }
        }
        out
    }

    /// Queues of a topic whose oldest message was not asked for lately: address, broker, queue.
    pub fn firsts_wanted(
        &self,
        topic: &str,
        now_ms: i64,
        most: usize,
    ) -> Vec<(String, String, i32)> {
        let fresh = |name: &str, queue: i32| {
            let asked = self.firsts.get(&(topic.to_owned(), name.to_owned(), queue));
            asked.is_some_and(|(at, _)| now_ms - at < FIRSTS_FRESH_MS)
        };
        let mut out = Vec::new();
        for (name, b) in self.each_master() {
            let Some((_, extents)) = b.stats.get(topic) else { continue };
            let old = extents.keys().filter(|q| !fresh(name, **q));
            out.extend(old.map(|q| (b.addr.clone(), name.clone(), *q)));
        }
        out.truncate(most);
        out
    }

    /// Takes readings of what the open group was given, queue by queue.
    pub fn meter_queues(&mut self, group: &str, now_ms: i64) {
        if self.metered != group {
            self.queue_meters.clear();
            group.clone_into(&mut self.metered);
        }
        let mut readings = Vec::new();
        for topic in self.topics_of(group) {
            for (name, b) in self.each_master() {
                for (queue, offset) in Self::pulled(b, &topic, group).into_iter().flatten() {
                    readings.push(((topic.clone(), name.clone(), *queue), (*offset).max(0) as u64));
                }
            }
        }
        for (key, offset) in readings {
            self.queue_meters.entry(key).or_default().push(now_ms, offset);
        }
    }

    /// A member's own view.
    pub fn running(
        &mut self,
        group: &str,
        client: &str,
        answer: Result<ConsumerRunningInfo, ClientError>,
    ) {
        let answer = answer.map_err(|e| problem(&e, 0));
        self.members.entry(group.to_owned()).or_default().running.insert(client.to_owned(), answer);
    }

    /// Unread of each group's own retry topic.
    pub fn retry_unread(&self) -> BTreeMap<String, crate::data::Fig<u64>> {
        self.group_names()
            .into_iter()
            .map(|g| {
                let unread = super::rows::topic_lag(self, &names::retry_topic(&g), &g);
                (g, unread)
            })
            .collect()
    }

    /// Takes one broker's answers in.
    pub fn take(&mut self, a: Answer, now_ms: i64) {
        let meters = &mut self.topic_meters;
        let Some(b) = self.brokers.get_mut(&(a.name.clone(), a.id)) else { return };
        match a.runtime {
            Some(Ok(runtime)) => b.runtime_is(runtime, a.at_ms),
            Some(Err(error)) => b.problem = Some(problem(&error, now_ms)),
            None => {}
        }
        if let Some(ha) = a.ha {
            b.ha = ha.ok();
        }
        if let Some(config) = a.config {
            b.config_refused = config.is_err();
            b.config = config.ok().or(b.config.take());
        }
        if let Some(offsets) = a.offsets {
            b.offsets_problem = offsets.as_ref().err().map(|e| problem(e, now_ms));
            b.offsets = offsets.ok().or(b.offsets.take());
        }
        if let Some(Ok(configs)) = a.topic_configs {
            b.topics = configs.topic_config_table;
        }
        if let Some(Ok(configs)) = a.group_configs {
            b.groups = configs.subscription_group_table;
        }
        if let Some(Ok(modes)) = a.modes {
            b.pop = super::clusters::pop_groups(&modes);
        }
        if let Some(Ok(ends)) = a.ends {
            b.ends = super::clusters::ends(&ends);
        }
        for (topic, stats) in a.stats {
            match stats {
                Ok(Some(table)) => {
                    let extents: Extents =
                        table.offset_table.0.into_iter().map(|(q, e)| (q.queue_id, e)).collect();
                    for (queue, extent) in &extents {
                        let key = (topic.clone(), a.name.clone(), *queue);
                        meters
                            .entry(key)
                            .or_default()
                            .push(now_ms, extent.max_offset.max(0) as u64);
                    }
                    b.stats.insert(topic, (now_ms, extents));
                }
                Ok(None) => {
                    b.stats.remove(&topic);
                }
                Err(_) => {}
            }
        }
        for ((topic, group), counts) in a.failing {
            let memory = self.memory.entry(group).or_default();
            memory.failing.insert((topic, a.name.clone()), counts);
        }
        self.take_groups(&a.name, a.members, a.spans, now_ms);
    }

    fn take_groups(
        &mut self,
        broker: &str,
        members: Vec<(String, Result<Option<ConsumerConnection>, ClientError>)>,
        spans: Vec<(
            (String, String),
            Result<engine::protocol::body::stats::ConsumeTimeSpans, ClientError>,
        )>,
        now_ms: i64,
    ) {
        for (group, found) in members {
            let found = found.map_err(|e| problem(&e, now_ms));
            self.members.entry(group).or_default().by_broker.insert(broker.to_owned(), found);
        }
        let ahead = self.brokers.get(&(broker.to_owned(), 0)).map_or(0, |b| b.ahead_ms);
        for ((topic, group), found) in spans {
            let figure = match found {
                Ok(found) => super::clusters::behind(&found, now_ms + ahead),
                Err(error) => crate::data::Fig::Unknown(error.to_string().into()),
            };
            let memory = self.memory.entry(group).or_default();
            memory.behind.insert((topic, broker.to_owned()), figure);
        }
    }
}

impl Broker {
    fn runtime_is(&mut self, runtime: RuntimeInfo, at_ms: i64) {
        self.problem = None;
        self.answered_ms = Some(at_ms);
        self.ahead_ms = runtime.broker_now_ms().map_or(0, |ms| ms - at_ms);
        // Whole seconds on the broker's side: below 2 s there is no telling them apart.
        if self.ahead_ms.abs() <= 2_000 {
            self.ahead_ms = 0;
        }
        for (meter, key) in [
            (&mut self.in_meter, "msgPutTotalTodayNow"),
            (&mut self.out_meter, "msgGetTotalTodayNow"),
            (&mut self.log_meter, "commitLogMaxOffset"),
        ] {
            if let Some(total) = runtime.int(key).and_then(|v| u64::try_from(v).ok()) {
                meter.push(at_ms, total);
            }
        }
        self.unflushed.push(at_ms, runtime.unflushed_bytes());
        self.disk.push(at_ms, runtime.decimal("commitLogDiskRatio").map(|r| (r * 10_000.0) as u64));
        self.runtime = runtime;
    }
}

/// `topic@group`; positions kept for proxies have a third part and are nobody's.
pub fn split(key: &str) -> Option<(&str, &str)> {
    let (topic, group) = key.split_once('@')?;
    (!group.contains('@')).then_some((topic, group))
}

fn turn(all: &[String], at: &mut usize, count: usize) -> Vec<String> {
    if all.is_empty() {
        return Vec::new();
    }
    let from = *at % all.len();
    *at = from + count;
    all.iter().cycle().skip(from).take(count.min(all.len())).cloned().collect()
}
