//! What a broker learns from its name server when it registers.

#![allow(clippy::unwrap_used)]

mod test_support;

use engine::client::{Ask, Cluster, ClusterConfig};
use engine::protocol::body::topic_config::TopicConfig;
use engine::protocol::code::PUT_KV_CONFIG;
use engine::protocol::ext_fields::Fields;
use tokio::runtime::Runtime;

#[test]
fn topics_that_the_name_server_lists_as_ordered_become_ordered() {
    let (engine, _dir) = test_support::engine(|_| {});
    let runtime = Runtime::new().unwrap();
    let names = vec![engine.namesrv_addr().to_string()];
    let cluster = Cluster::connect(ClusterConfig::new(names, runtime.handle().clone()));
    let broker = engine.broker_addr().to_string();
    let topic = |name: &str| TopicConfig { topic_name: name.to_owned(), ..TopicConfig::default() };
    runtime.block_on(cluster.update_topic(&broker, &topic("listed"))).unwrap();
    let fields = Fields::new()
        .text("namespace", "ORDER_TOPIC_CONFIG")
        .text("key", "listed")
        .text("value", "mqdeck:4");
    runtime.block_on(cluster.ask_namesrv(Ask::new(PUT_KV_CONFIG, fields))).unwrap();
    // A change makes the broker register at once.
    runtime.block_on(cluster.update_topic(&broker, &topic("other"))).unwrap();
    let ordered = |name| {
        let config = runtime.block_on(cluster.topic_config(&broker, name)).unwrap();
        config.unwrap().order
    };
    test_support::wait_for("the topic to be ordered", || ordered("listed"));
    assert!(!ordered("other"));
    engine.stop().unwrap();
}
