//! Where a load goes: the broker, its topics, and the process whose cost is measured.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use engine::client::{Cluster, ClusterConfig};
use engine::protocol::body::topic_config::TopicConfig;

/// What every load over the wire is told.
#[derive(Clone, Debug)]
pub struct Target {
    /// Name servers, `;` between them.
    pub namesrv: String,
    /// The broker's address; asked of the name servers when absent.
    pub broker: Option<String>,
    /// Topic, or the beginning of the names of several.
    pub topic: String,
    /// Topics, at least one.
    pub topics: usize,
    /// Whether they are made beforehand.
    pub make: bool,
    /// Queues of each.
    pub queues: usize,
    /// The broker's process, for CPU and memory.
    pub pid: Option<u32>,
}

impl Target {
    /// Name of topic `number`.
    pub fn topic(&self, number: usize) -> String {
        if self.topics == 1 { self.topic.clone() } else { format!("{}-{number}", self.topic) }
    }

    /// Finds the broker and makes the topics that are not there.
    pub async fn ready(&self) -> anyhow::Result<SocketAddr> {
        let names = self.namesrv.split(';').map(str::to_owned).collect();
        let cluster =
            Cluster::connect(ClusterConfig::new(names, tokio::runtime::Handle::current()));
        let addr = match &self.broker {
            Some(broker) => broker.clone(),
            None => master(&cluster).await?,
        };
        for number in 0..if self.make { self.topics } else { 0 } {
            let queues = i32::try_from(self.queues).unwrap_or(i32::MAX);
            let config = TopicConfig {
                topic_name: self.topic(number),
                read_queue_nums: queues,
                write_queue_nums: queues,
                ..TopicConfig::default()
            };
            let made = cluster.update_topic(&addr, &config).await;
            made.with_context(|| format!("cannot make topic {}", config.topic_name))?;
        }
        cluster.close();
        let found = tokio::net::lookup_host(&addr).await?.next();
        found.with_context(|| format!("{addr} has no address"))
    }
}

async fn master(cluster: &Arc<Cluster>) -> anyhow::Result<String> {
    let info = cluster.cluster_info().await.context("cannot ask the name server")?;
    let master = info.broker_addr_table.values().find_map(|b| b.master().map(str::to_owned));
    master.context("no master broker is registered")
}
