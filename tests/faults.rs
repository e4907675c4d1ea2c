//! Real processes that end badly: what was acknowledged is there afterwards.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // real processes and real files

mod test_support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::client::{Cluster, ClusterConfig, Message, Producer, ProducerConfig};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use test_support::Serve;

fn start(home: &Path, more: &[&str]) -> Serve {
    let data = home.join("queues");
    let mut args = vec!["--data-dir", data.to_str().unwrap()];
    args.extend(more);
    Serve::start(home, &args)
}

fn cluster(runtime: &Runtime, namesrv: SocketAddr) -> Arc<Cluster> {
    Cluster::connect(ClusterConfig::new(vec![namesrv.to_string()], runtime.handle().clone()))
}

/// What a producer was told: queue and offset → body.
type Acknowledged = BTreeMap<(i32, i64), String>;

/// Sends until told to stop or the broker is gone.
async fn send_until(producer: &Producer, topic: &str, stop: &AtomicBool) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    for number in 0.. {
        let body = format!("message {number}");
        match producer.send(&Message::new(topic, body.clone())).await {
            Ok(sent) => acknowledged.insert((sent.queue.queue_id, sent.queue_offset), body),
            Err(_) => return acknowledged,
        };
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    acknowledged
}

/// Everything that a topic holds now, by queue and offset.
async fn stored(cluster: &Arc<Cluster>, topic: &str) -> Acknowledged {
    let consumer = engine::client::PullConsumer::tools(cluster);
    let mut found = Acknowledged::new();
    for queue in consumer.queues(topic).await.unwrap() {
        let mut next = 0;
        loop {
            let pulled = consumer.pull(&queue, next, 32, Duration::ZERO).await.unwrap();
            let messages = pulled.messages(&queue.broker_name);
            if messages.is_empty() {
                break;
            }
            for message in &messages {
                let at = (queue.queue_id, message.queue_offset);
                found.insert(at, message.text().unwrap_or_default().to_owned());
            }
            next = pulled.next;
        }
    }
    found
}

fn killed_while_sending(more: &[&str]) {
    let home = TempDir::new().unwrap();
    let runtime = Runtime::new().unwrap();
    let serve = start(home.path(), more);
    let topic = "made-by-its-first-send";
    let stop = AtomicBool::new(false);
    let acknowledged = runtime.block_on(async {
        let cluster = cluster(&runtime, serve.namesrv);
        let config =
            ProducerConfig { timeout: Duration::from_millis(500), ..ProducerConfig::new("p") };
        let producer = Producer::start(&cluster, config).unwrap();
        let killer = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            serve.signal(Signal::KILL);
            stop.store(true, Ordering::Relaxed);
        };
        let (acknowledged, ()) = tokio::join!(send_until(&producer, topic, &stop), killer);
        acknowledged
    });
    assert!(acknowledged.len() > 20, "only {} sends before the kill", acknowledged.len());
    drop(serve);

    let serve = start(home.path(), more);
    let found = runtime.block_on(async { stored(&cluster(&runtime, serve.namesrv), topic).await });
    for (at, body) in &acknowledged {
        assert_eq!(found.get(at), Some(body), "acknowledged at queue and offset {at:?}");
    }
    assert!(found.len() <= acknowledged.len() + 1, "at most the send under way is there besides");
    serve.signal(Signal::TERM);
    assert!(serve.end().0.success());
}

#[test]
fn an_acknowledged_message_and_its_topic_survive_kill_9() {
    killed_while_sending(&[]);
}

#[test]
fn they_survive_it_under_sync_flush_too() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("sync.toml");
    std::fs::write(&file, "[broker]\nflushDiskType = \"SYNC_FLUSH\"\n").unwrap();
    killed_while_sending(&["--config", file.to_str().unwrap()]);
}
