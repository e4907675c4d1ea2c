//! The route table: brokers by name and id, topics by broker name.
//!
//! Pure: no lock, no clock. Registrations come full or incremental and look alike: topics that are
//! missing stay. Spec: semantics.md §1, remoting.md §11.8, §11.9.

use std::collections::{BTreeMap, BTreeSet};

use super::Settings;
use super::expiry::{Address, Live, LiveTable};
use crate::decide::permission;
use crate::protocol::body::route::{
    BrokerData, BrokerMemberGroup, ClusterInfo, MASTER_ID, QueueData, TopicList, TopicRouteData,
};
use crate::protocol::body::topic_config::{DataVersion, TopicConfig, TopicConfigSerializeWrapper};
use crate::protocol::perm::Perm;

/// Most broker names.
pub const BROKERS_MAX: usize = 10_000;
/// Most brokers that share a name.
pub const MEMBERS_MAX: usize = 64;
/// Most topics.
pub const TOPICS_MAX: usize = 1_000_000;

/// A broker that registers.
#[derive(Clone, Copy, Debug)]
pub struct Registration<'a> {
    /// Cluster name.
    pub cluster: &'a str,
    /// Broker name, shared by a master and its slaves.
    pub broker_name: &'a str,
    /// Id within the name; 0 is the master.
    pub broker_id: i64,
    /// Address that clients use.
    pub addr: &'a str,
    /// Address that slaves replicate from.
    pub ha_addr: &'a str,
    /// Its own time-out, if it names one.
    pub timeout_ms: Option<i64>,
    /// Whether it may act as master; `None` from brokers too old to say.
    pub acting_master: Option<bool>,
    /// Connection it came over.
    pub conn: u64,
    /// Its topics.
    pub topics: &'a TopicConfigSerializeWrapper,
}

/// What a registration is told: addresses of the master, for slaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// Where to replicate from.
    pub ha_addr: Option<String>,
    /// The master's address.
    pub master_addr: Option<String>,
}

/// Why a registration is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// One topic from an unknown broker is an increment to something that is not there.
    #[error("register broker failed")]
    IncrementFirst,
    /// One of the table's bounds.
    #[error("register broker failed, the table is full: {0}")]
    Full(&'static str),
}

/// Everything a name server knows of brokers and topics.
#[derive(Debug, Default)]
pub struct Routes {
    brokers: BTreeMap<String, BrokerData>,
    clusters: BTreeMap<String, BTreeSet<String>>,
    topics: BTreeMap<String, BTreeMap<String, QueueData>>,
    live: LiveTable,
}

impl Routes {
    /// Takes a registration in (103).
    pub fn register(
        &mut self,
        broker: &Registration<'_>,
        settings: Settings,
        now_ms: i64,
    ) -> Result<Registered, RegistrationError> {
        self.check_bounds(broker)?;
        let at = address(broker.cluster, broker.addr);
        let known = self.brokers.get(broker.broker_name);
        let holder = known.and_then(|data| data.broker_addrs.get(&broker.broker_id));
        let stored = holder
            .filter(|addr| *addr != broker.addr)
            .and_then(|addr| self.live.get(&address(broker.cluster, addr)));
        if stored.is_some_and(|live| {
            live.data_version.state_version > broker.topics.data_version.state_version
        }) {
            // A process of an older term wants an id that has moved on: told nothing, not listed.
            self.live.remove(&at);
            return Ok(Registered::default());
        }
        if holder.is_none() && broker.topics.topic_config_table.len() == 1 {
            return Err(RegistrationError::IncrementFirst);
        }
        let first = holder.is_none();
        self.join(broker);
        let version = broker.topics.data_version;
        let changed = first || self.live.get(&at).is_none_or(|live| live.data_version != version);
        self.take_topics(broker, changed, settings);
        let live = Live {
            broker_name: broker.broker_name.to_owned(),
            last_ms: now_ms,
            timeout_ms: broker.timeout_ms,
            conn: broker.conn,
            data_version: version,
            ha_addr: broker.ha_addr.to_owned(),
        };
        self.live.put(at, live);
        Ok(self.master_for(broker))
    }

    fn check_bounds(&self, broker: &Registration<'_>) -> Result<(), RegistrationError> {
        match self.brokers.get(broker.broker_name) {
            None if self.brokers.len() >= BROKERS_MAX => {
                return Err(RegistrationError::Full("broker names"));
            }
            Some(data)
                if data.broker_addrs.len() >= MEMBERS_MAX
                    && !data.broker_addrs.contains_key(&broker.broker_id) =>
            {
                return Err(RegistrationError::Full("brokers of one name"));
            }
            _ => {}
        }
        let names = broker.topics.topic_config_table.keys();
        let new = names.filter(|name| !self.topics.contains_key(*name)).count();
        if self.topics.len() + new > TOPICS_MAX {
            return Err(RegistrationError::Full("topics"));
        }
        Ok(())
    }

    /// Enters the address under its name and id, and under no other id.
    fn join(&mut self, broker: &Registration<'_>) {
        let names = self.clusters.entry(broker.cluster.to_owned()).or_default();
        names.insert(broker.broker_name.to_owned());
        let data =
            self.brokers.entry(broker.broker_name.to_owned()).or_insert_with(|| BrokerData {
                cluster: broker.cluster.to_owned(),
                broker_name: broker.broker_name.to_owned(),
                ..BrokerData::default()
            });
        data.enable_acting_master = broker.acting_master == Some(true);
        data.broker_addrs.retain(|id, addr| addr != broker.addr || *id == broker.broker_id);
        data.broker_addrs.insert(broker.broker_id, broker.addr.to_owned());
    }

    /// Takes the topics of a master, or of the slave that acts as one.
    fn take_topics(&mut self, broker: &Registration<'_>, changed: bool, settings: Settings) {
        let name = broker.broker_name;
        let lowest = self.brokers.get(name).and_then(|data| data.broker_addrs.keys().next());
        let master = broker.broker_id == MASTER_ID;
        let acting =
            broker.acting_master == Some(true) && !master && lowest == Some(&broker.broker_id);
        if !master && !acting {
            return;
        }
        let table = &broker.topics.topic_config_table;
        // One topic is an increment: what it lacks is not gone.
        if settings.drop_missing_topics && changed && table.len() > 1 {
            self.drop_queues(|topic, broker| broker == name && !table.contains_key(topic));
        }
        for (topic, config) in table {
            let brokers = self.topics.entry(topic.clone()).or_default();
            if changed || !brokers.contains_key(name) {
                brokers.insert(name.to_owned(), queue_data(name, config, acting));
            }
        }
    }

    fn master_for(&self, broker: &Registration<'_>) -> Registered {
        if broker.broker_id == MASTER_ID {
            return Registered::default();
        }
        let Some(addr) = self.brokers.get(broker.broker_name).and_then(BrokerData::master) else {
            return Registered::default();
        };
        match self.live.get(&address(broker.cluster, addr)) {
            None => Registered::default(),
            Some(live) => Registered {
                ha_addr: Some(live.ha_addr.clone()),
                master_addr: Some(addr.to_owned()),
            },
        }
    }

    /// Removes a broker (104).
    pub fn unregister(&mut self, cluster: &str, addr: &str, broker_name: &str) {
        self.live.remove(&address(cluster, addr));
        let Some(data) = self.brokers.get_mut(broker_name) else { return };
        data.broker_addrs.retain(|_, other| other != addr);
        if data.broker_addrs.is_empty() {
            self.brokers.remove(broker_name);
            for names in self.clusters.values_mut() {
                names.remove(broker_name);
            }
            self.clusters.retain(|_, names| !names.is_empty());
            self.drop_queues(|_, broker| broker == broker_name);
        } else if data.enable_acting_master && data.master().is_none() {
            self.change_perm(broker_name, permission::without_write);
        }
    }

    /// Removes all brokers of a connection; says their addresses.
    pub fn drop_connection(&mut self, conn: u64) -> Vec<String> {
        let gone = self.live.of_connection(conn).cloned().collect();
        self.drop_all(gone)
    }

    /// Whether any broker is too long silent.
    pub fn any_expired(&self, now_ms: i64) -> bool {
        self.live.expired(now_ms).next().is_some()
    }

    /// Removes all brokers that are too long silent; says their addresses.
    pub fn drop_expired(&mut self, now_ms: i64) -> Vec<String> {
        let gone = self.live.expired(now_ms).cloned().collect();
        self.drop_all(gone)
    }

    fn drop_all(&mut self, gone: Vec<Address>) -> Vec<String> {
        let mut addrs = Vec::with_capacity(gone.len());
        for at in gone {
            if let Some(live) = self.live.remove(&at) {
                self.unregister(&at.cluster, &at.addr, &live.broker_name);
            }
            addrs.push(at.addr);
        }
        addrs
    }

    /// A sign of life (904).
    pub fn heartbeat(&mut self, cluster: &str, addr: &str, now_ms: i64) {
        self.live.touch(&address(cluster, addr), now_ms);
    }

    /// The stored edition of a broker's topics, and whether `asked` differs from it (322). Equal ones
    /// are a sign of life; a different one is followed by a registration.
    pub fn query_version(
        &mut self,
        cluster: &str,
        addr: &str,
        asked: DataVersion,
        now_ms: i64,
    ) -> (Option<DataVersion>, bool) {
        let at = address(cluster, addr);
        let stored = self.live.get(&at).map(|live| live.data_version);
        let changed = stored != Some(asked);
        if !changed {
            self.live.touch(&at, now_ms);
        }
        (stored, changed)
    }

    /// The route of a topic (105).
    pub fn route(&self, topic: &str, settings: Settings) -> Option<TopicRouteData> {
        let queues = self.topics.get(topic)?;
        let broker_datas: Vec<BrokerData> = queues
            .iter()
            .filter_map(|(name, queue)| Some((self.brokers.get(name)?, queue)))
            .map(|(data, queue)| presented(data, queue, settings))
            .collect();
        if broker_datas.is_empty() {
            return None;
        }
        let queue_datas = queues.values().cloned().collect();
        Some(TopicRouteData { broker_datas, queue_datas, ..TopicRouteData::default() })
    }

    /// All brokers and clusters (106).
    pub fn cluster_info(&self) -> ClusterInfo {
        ClusterInfo {
            broker_addr_table: self.brokers.clone(),
            cluster_addr_table: self.clusters.clone(),
        }
    }

    /// All topics (206).
    pub fn topic_list(&self) -> TopicList {
        TopicList { topic_list: self.topics.keys().cloned().collect(), broker_addr: None }
    }

    /// Topics that have queues on a broker of a cluster (224).
    pub fn topics_of_cluster(&self, cluster: &str) -> TopicList {
        let of = |name: &String| self.clusters.get(cluster).is_some_and(|c| c.contains(name));
        let topics = self.topics.iter().filter(|(_, queues)| queues.keys().any(of));
        TopicList {
            topic_list: topics.map(|(topic, _)| topic.clone()).collect(),
            broker_addr: None,
        }
    }

    /// Names that are topics of the brokers' own: clusters and brokers (304).
    pub fn system_topics(&self) -> TopicList {
        let names = self.clusters.keys().chain(self.brokers.keys());
        let addr = self.brokers.values().find_map(|data| data.broker_addrs.values().next());
        TopicList { topic_list: names.cloned().collect(), broker_addr: addr.cloned() }
    }

    /// Who shares a broker name (901).
    pub fn member_group(&self, cluster: &str, broker_name: &str) -> BrokerMemberGroup {
        let data = self.brokers.get(broker_name).filter(|data| data.cluster == cluster);
        BrokerMemberGroup {
            cluster: cluster.to_owned(),
            broker_name: broker_name.to_owned(),
            broker_addrs: data.map(|data| data.broker_addrs.clone()).unwrap_or_default(),
        }
    }

    /// Takes the write permission of every topic of a broker (205); says how many.
    pub fn wipe_write(&mut self, broker_name: &str) -> usize {
        self.change_perm(broker_name, permission::without_write)
    }

    /// Gives it back (327); says how many.
    pub fn add_write(&mut self, broker_name: &str) -> usize {
        self.change_perm(broker_name, |_| permission::with_write())
    }

    fn change_perm(&mut self, broker_name: &str, change: impl Fn(Perm) -> Perm) -> usize {
        let rows = self.topics.values_mut().filter_map(|brokers| brokers.get_mut(broker_name));
        rows.map(|queue| queue.perm = change(Perm(queue.perm)).0).count()
    }

    /// Forgets a topic, of one cluster or of all (216). A broker that has it brings it back.
    pub fn delete_topic(&mut self, topic: &str, cluster: Option<&str>) {
        let Some(cluster) = cluster else {
            self.topics.remove(topic);
            return;
        };
        let names = self.clusters.get(cluster).cloned().unwrap_or_default();
        self.drop_queues(|other, broker| other == topic && names.contains(broker));
    }

    /// Adds queues of a topic on brokers that are known (217).
    pub fn register_topic(
        &mut self,
        topic: &str,
        queues: Vec<QueueData>,
    ) -> Result<(), RegistrationError> {
        if !self.topics.contains_key(topic) && self.topics.len() >= TOPICS_MAX {
            return Err(RegistrationError::Full("topics"));
        }
        for queue in queues {
            if self.brokers.contains_key(&queue.broker_name) {
                let brokers = self.topics.entry(topic.to_owned()).or_default();
                brokers.insert(queue.broker_name.clone(), queue);
            }
        }
        Ok(())
    }

    /// Drops the queue data that `gone` says, and topics that have none left.
    fn drop_queues(&mut self, gone: impl Fn(&str, &str) -> bool) {
        self.topics.retain(|topic, brokers| {
            brokers.retain(|broker, _| !gone(topic, broker));
            !brokers.is_empty()
        });
    }
}

fn address(cluster: &str, addr: &str) -> Address {
    Address { cluster: cluster.to_owned(), addr: addr.to_owned() }
}

fn queue_data(broker_name: &str, config: &TopicConfig, acting: bool) -> QueueData {
    let perm = Perm(config.perm);
    QueueData {
        broker_name: broker_name.to_owned(),
        perm: if acting { permission::without_write(perm) } else { perm }.0,
        read_queue_nums: config.read_queue_nums,
        topic_sys_flag: config.topic_sys_flag,
        write_queue_nums: config.write_queue_nums,
    }
}

/// A group without master shows its lowest member as one, when it may and takes no sends.
fn presented(data: &BrokerData, queue: &QueueData, settings: Settings) -> BrokerData {
    let mut data = data.clone();
    let acts = settings.acting_master && data.enable_acting_master && data.master().is_none();
    if acts
        && !Perm(queue.perm).writeable()
        && let Some((_, addr)) = data.broker_addrs.pop_first()
    {
        data.broker_addrs.insert(MASTER_ID, addr);
    }
    data
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
