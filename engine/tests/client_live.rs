//! The client against a real cluster: runs only with `MQDECK_TEST_NAMESRV=host:port`.
//!
//! Works on Apache and on mqdeck alike; every test uses names of its own, so that they may run on a
//! cluster that is in use. Without the variable each test says that it skipped.

use std::sync::Arc;

use engine::client::{Cluster, ClusterConfig};
use tokio::runtime::Handle;

/// The cluster under test, or none when nobody named one.
fn cluster() -> Option<Arc<Cluster>> {
    let Ok(namesrv) = std::env::var("MQDECK_TEST_NAMESRV") else {
        println!("skipped: MQDECK_TEST_NAMESRV is not set");
        return None;
    };
    let list = namesrv.split(';').map(str::to_owned).collect();
    Some(Cluster::connect(ClusterConfig::new(list, Handle::current())))
}

/// Address of the first master.
async fn master(cluster: &Cluster) -> String {
    let info = cluster.cluster_info().await.unwrap();
    info.broker_addr_table.values().find_map(|broker| broker.master()).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_broker_question_of_the_console_is_answered() {
    let Some(cluster) = cluster() else { return };
    let addr = master(&cluster).await;
    let probe = cluster.probe(&addr).await.unwrap();
    assert!(probe.runtime.broker_now_ms().unwrap() > 1_600_000_000_000);
    assert!(!probe.config.unwrap().delay_levels().is_empty());
    assert!(probe.all_offsets);
    assert!(cluster.topic_configs(&addr).await.unwrap().topic_config_table.contains_key("TBW102"));
    let groups = cluster.group_configs(&addr).await.unwrap();
    assert!(groups.subscription_group_table.contains_key("TOOLS_CONSUMER"));
    assert!(cluster.topic_stats(&addr, "no-such-topic").await.unwrap().is_none());
    assert!(cluster.consumer_connections(&addr, "no-such-group").await.unwrap().is_none());
    cluster.producers(&addr).await.unwrap();
    cluster.delay_offsets(&addr).await.unwrap();
    cluster.broker_consume_stats(&addr).await.unwrap();
    cluster.topic_names().await.unwrap();
}
