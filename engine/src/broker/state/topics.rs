//! The topics of a broker: a snapshot that everyone reads without a lock (semantics.md §2, store.md §6.2).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use super::lock;
use crate::config::BrokerConfig;
use crate::protocol::body::topic_config::{DataVersion, TopicConfig, TopicConfigSerializeWrapper};
use crate::protocol::names;
use crate::protocol::perm::Perm;

/// A topic and its name in the form that the log takes.
#[derive(Clone, PartialEq, Debug)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its settings.
    pub config: TopicConfig,
}

impl Topic {
    /// Whether consumers may read.
    pub fn readable(&self) -> bool {
        Perm(self.config.perm).readable()
    }
}

/// One state of the table.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Changes with every change of the table.
    pub version: DataVersion,
    /// Topics by name.
    pub table: BTreeMap<String, Arc<Topic>>,
}

/// The table of topics.
#[derive(Debug)]
pub struct Topics {
    current: ArcSwap<Snapshot>,
    writer: Mutex<()>,
}

impl Topics {
    /// The built-in topics (message.md §10.2), overridden by what was stored.
    pub fn new(config: &BrokerConfig, stored: TopicConfigSerializeWrapper) -> Self {
        let mut table: BTreeMap<String, Arc<Topic>> = BTreeMap::new();
        let stored_topics = stored.topic_config_table.into_values();
        for topic in built_in(config).into_iter().chain(stored_topics) {
            table.insert(topic.topic_name.clone(), Arc::new(entry(topic)));
        }
        let snapshot = Snapshot { version: stored.data_version, table };
        Self { current: ArcSwap::from_pointee(snapshot), writer: Mutex::new(()) }
    }

    /// The table as it is now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// A topic by name.
    pub fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.current.load().table.get(name).cloned()
    }

    /// Stores a topic; `false` when it is as it was.
    pub fn put(&self, config: TopicConfig, now_ms: i64) -> bool {
        let _writer = lock(&self.writer);
        let current = self.current.load();
        if current.table.get(&config.topic_name).is_some_and(|old| old.config == config) {
            return false;
        }
        let mut next = Snapshot::clone(&current);
        next.version = next.version.next(now_ms);
        next.table.insert(config.topic_name.clone(), Arc::new(entry(config)));
        self.current.store(Arc::new(next));
        true
    }

    /// Stores a topic unless there is one of its name; whether it was made, and the one that counts.
    pub fn put_if_absent(&self, config: TopicConfig, now_ms: i64) -> (bool, Arc<Topic>) {
        if let Some(found) = self.get(&config.topic_name) {
            return (false, found);
        }
        let name = config.topic_name.clone();
        let made = {
            let _writer = lock(&self.writer);
            let current = self.current.load();
            if current.table.contains_key(&name) {
                false
            } else {
                let mut next = Snapshot::clone(&current);
                next.version = next.version.next(now_ms);
                next.table.insert(name.clone(), Arc::new(entry(config.clone())));
                self.current.store(Arc::new(next));
                true
            }
        };
        (made, self.get(&name).unwrap_or_else(|| Arc::new(entry(config))))
    }

    /// Makes a new edition of the table without a change of it.
    pub fn touch(&self, now_ms: i64) {
        let _writer = lock(&self.writer);
        let mut next = Snapshot::clone(&self.current.load());
        next.version = next.version.next(now_ms);
        self.current.store(Arc::new(next));
    }

    /// The template of topics that are made by a send, as a changed configuration wants it.
    pub fn put_template(&self, config: &BrokerConfig, now_ms: i64) {
        if config.auto_create_topic_enable {
            self.put(template(config), now_ms);
        }
    }

    /// Removes a topic; whether there was one.
    pub fn remove(&self, name: &str, now_ms: i64) -> bool {
        let _writer = lock(&self.writer);
        let current = self.current.load();
        if !current.table.contains_key(name) {
            return false;
        }
        let mut next = Snapshot::clone(&current);
        next.version = next.version.next(now_ms);
        next.table.remove(name);
        self.current.store(Arc::new(next));
        true
    }

    /// The table as it is written to `topics.json` and registered.
    pub fn wrapper(&self) -> TopicConfigSerializeWrapper {
        let current = self.current.load();
        let table = current.table.iter().map(|(name, topic)| (name.clone(), topic.config.clone()));
        TopicConfigSerializeWrapper {
            data_version: current.version,
            topic_config_table: table.collect(),
            ..TopicConfigSerializeWrapper::default()
        }
    }
}

fn entry(config: TopicConfig) -> Topic {
    Topic { name: Arc::from(config.topic_name.as_str()), config }
}

/// A topic with equal numbers of queues and default settings.
pub fn plain(name: &str, queues: i32, perm: i32) -> TopicConfig {
    TopicConfig {
        topic_name: name.to_owned(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm,
        ..TopicConfig::default()
    }
}

fn template(config: &BrokerConfig) -> TopicConfig {
    let queues = config.default_topic_queue_nums as i32;
    plain(names::TEMPLATE_TOPIC, queues, Perm::READ_WRITE_INHERIT.0)
}

fn built_in(config: &BrokerConfig) -> Vec<TopicConfig> {
    let read_write = Perm::READ_WRITE.0;
    let inherit = Perm::READ_WRITE_INHERIT.0;
    let levels = config.message_delay_level.split_whitespace().count() as i32;
    let cluster = &config.broker_cluster_name;
    let mut topics = vec![
        plain(names::SELF_TEST_TOPIC, 1, read_write),
        plain(names::BENCHMARK_TOPIC, 1024, read_write),
        plain(cluster, 16, inherit),
        plain(&config.broker_name, 1, inherit),
        plain(names::OFFSET_MOVED_TOPIC, 1, read_write),
        plain(names::SCHEDULE_TOPIC, levels, read_write),
        plain(&names::reply_topic(cluster), 1, read_write),
        plain(&names::revive_topic(cluster), 8, read_write),
        plain(&names::broker_member_topic(&config.broker_name), 1, 1),
        plain(names::HALF_TOPIC, 1, read_write),
        plain(names::OP_HALF_TOPIC, 1, read_write),
    ];
    if config.timer_wheel_enable {
        topics.push(plain(names::TIMER_TOPIC, 1, read_write));
    }
    if config.auto_create_topic_enable {
        topics.push(template(config));
    }
    if config.trace_topic_enable {
        topics.push(plain(names::TRACE_TOPIC, 1, read_write));
    }
    topics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_moves_the_version_and_no_change_does_not() {
        let topics = Topics::new(&BrokerConfig::default(), TopicConfigSerializeWrapper::default());
        let before = topics.snapshot().version;
        assert!(topics.put(plain("t", 4, 6), 5));
        let after = topics.snapshot().version;
        assert_eq!((after.counter, after.timestamp), (before.counter + 1, 5));
        assert!(!topics.put(plain("t", 4, 6), 6));
        assert_eq!(topics.snapshot().version, after);
        let (made, found) = topics.put_if_absent(plain("t", 8, 6), 7);
        assert!(!made && found.config.read_queue_nums == 4);
        assert!(topics.remove("t", 8) && !topics.remove("t", 9));
    }

    #[test]
    fn stored_topics_win_over_built_in_ones() {
        let mut stored = TopicConfigSerializeWrapper::default();
        stored.topic_config_table.insert("TBW102".into(), plain("TBW102", 3, 6));
        let topics = Topics::new(&BrokerConfig::default(), stored);
        assert_eq!(topics.get("TBW102").unwrap().config.read_queue_nums, 3);
        assert_eq!(topics.get("SCHEDULE_TOPIC_XXXX").unwrap().config.read_queue_nums, 18);
    }
}
