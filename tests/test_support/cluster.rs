//! An engine of this process for tests of commands, and a client to fill it.

use std::path::Path;
use std::sync::Arc;

use engine::client::figures::QueueAt;
use engine::client::{
    Cluster, ClusterConfig, Consume, ConsumeFrom, Listener, Message, Producer, ProducerConfig,
    PushConfig, PushConsumer,
};
use engine::engine::Engine;
use engine::protocol::body::topic_config::TopicConfig;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{engine, wait_for};

/// A cluster to play with. Everything goes when it is dropped.
pub struct Playground {
    runtime: Runtime,
    /// The client that fills it.
    pub cluster: Arc<Cluster>,
    inside: Option<(Engine, TempDir)>,
    home: TempDir,
}

impl Playground {
    /// Starts with short delay levels.
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// Starts with a changed configuration; with `MQDECK_TEST_NAMESRV=host:port` over a running
    /// cluster instead, for single tests whose topics are not there yet.
    pub fn with(change: impl FnOnce(&mut engine::config::EngineConfig)) -> Self {
        let outside = std::env::var("MQDECK_TEST_NAMESRV").ok();
        let inside = outside.is_none().then(|| engine(change));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let own = inside.as_ref().map(|(engine, _)| engine.namesrv_addr().to_string());
        let namesrv = own.or(outside).into_iter().collect();
        let cluster = Cluster::connect(ClusterConfig::new(namesrv, runtime.handle().clone()));
        let home = TempDir::new().unwrap();
        Self { runtime, cluster, inside, home }
    }

    /// Address of the name server.
    pub fn namesrv(&self) -> String {
        self.cluster.config().namesrv[0].clone()
    }

    /// Home of the commands.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Waits for an answer.
    pub fn wait<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// Address of the broker.
    pub fn broker(&self) -> String {
        let info = self.wait(self.cluster.cluster_info()).unwrap();
        info.broker_addr_table.values().find_map(|data| data.master()).unwrap().to_owned()
    }

    /// Makes a topic and waits for its route.
    pub fn topic(&self, name: &str, queues: i32) {
        let config = TopicConfig {
            topic_name: name.to_owned(),
            read_queue_nums: queues,
            write_queue_nums: queues,
            ..TopicConfig::default()
        };
        self.wait(self.cluster.update_topic(&self.broker(), &config)).unwrap();
        wait_for("the route", || self.wait(self.cluster.fresh_route(name)).is_ok());
    }

    /// Sends so many messages, keys `k-0`, `k-1` …, one queue after the other.
    pub fn send(&self, topic: &str, count: usize) {
        let producer = Producer::start(&self.cluster, ProducerConfig::new("filler")).unwrap();
        let queues = self.wait(producer.queues(topic)).unwrap();
        for n in 0..count {
            let body = format!("{{\"n\":{n}}}");
            let message = Message::new(topic, body).keys([format!("k-{n}").as_str()]).tag("t");
            self.wait(producer.send_to(&message, &queues[n % queues.len()])).unwrap();
        }
        self.wait(producer.close());
    }

    /// Stores a position of a group; the broker makes the group.
    pub fn commit(&self, group: &str, topic: &str, queue_id: i32, offset: i64) {
        let broker = self.broker();
        let config = engine::protocol::body::group_config::SubscriptionGroupConfig::named(group);
        self.wait(self.cluster.update_group(&broker, &config)).unwrap();
        let at = QueueAt { addr: &broker, topic, queue_id };
        self.wait(self.cluster.commit(at, group, offset)).unwrap();
    }

    /// Has a group give up every message of a topic until so many letters lie in its dead letters.
    pub fn die(&self, group: &str, topic: &str, letters: usize) {
        let config = PushConfig {
            max_reconsume_times: Some(0),
            concurrency: 1, // so that letters lie in the order of their messages
            from: ConsumeFrom::First,
            ..PushConfig::new(group)
        };
        let listener = Listener::blocking(|_| Consume::LaterAt(-1));
        let consumer = PushConsumer::new(&self.cluster, config, listener);
        consumer.subscribe(topic, "*").unwrap();
        self.wait(consumer.start()).unwrap();
        let dlq = format!("%DLQ%{group}");
        wait_for("dead letters", || self.total(&dlq) >= letters as i64);
        self.wait(consumer.close());
    }

    /// Messages in a topic.
    pub fn total(&self, topic: &str) -> i64 {
        let stats = self.wait(self.cluster.topic_stats(&self.broker(), topic)).unwrap();
        let extents = stats.map(|stats| stats.offset_table.0).unwrap_or_default();
        extents.values().map(|extent| extent.max_offset - extent.min_offset).sum()
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        self.cluster.close();
        if let Some((engine, _)) = self.inside.take() {
            // A test that failed has said so already.
            let _ = engine.stop();
        }
    }
}
