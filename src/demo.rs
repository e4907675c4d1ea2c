//! `mqdeck --demo`: a small shop on a temporary data directory, so that every screen has something to show.
//!
//! | who | does |
//! |---|---|
//! | producer `demo-shop` | orders with changing load, a third of them to be paid, and reminders that wait |
//! | group `demo-ok` | two clients, consumes all of it |
//! | group `demo-failing` | consumes payments, fails at 40 % of them, allows 3 retries |
//! | group `demo-paused` | consumed once and is gone: its lag grows |
//!
//! Everything is an ordinary client of the embedded engine. Spec: console-ux.md §14.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::client::{
    ClientError, Cluster, ClusterConfig, Consume, ConsumeFrom, Listener, Message, MessageExt,
    Producer, ProducerConfig, PushConfig, PushConsumer,
};
use engine::config::EngineConfig;
use engine::protocol::body::group_config::SubscriptionGroupConfig;
use engine::protocol::body::topic_config::TopicConfig;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Delay levels that a person can watch.
const LEVELS: &str = "1s 2s 3s 4s 5s 6s 7s 8s 9s 10s 15s 20s 25s 30s 35s 40s 50s 60s";
/// Number of them.
const LEVEL_MAX: u64 = 18;
const ORDERS: &str = "demo-orders";
const REMINDERS: &str = "demo-reminders";
/// Tags of orders, by turns.
const TAGS: [&str; 3] = ["created", "paid", "shipped"];
/// The tag that `demo-failing` consumes.
const PAID: &str = "paid";
/// Retries before a payment is dead.
const RETRIES: i32 = 3;
/// Payments that fail, per cent.
const FAILING: u64 = 40;
/// Messages that `demo-paused` consumes before it stops.
const PAUSED_AFTER: u64 = 20;
/// Between two portions of messages.
const PORTION: Duration = Duration::from_millis(250);
/// Portions of one wave of load.
const WAVE: u64 = 240;
/// Fewest and most orders of a portion: 20 to 60 a second.
const PORTION_ORDERS: (u64, u64) = (5, 15);
/// Portions between two reminders.
const REMINDER_EVERY: u64 = 8;
/// How long a payment that is going to time out takes.
const TIME_OUT: Duration = Duration::from_millis(400);
/// Pause after an error that will pass.
const AGAIN: Duration = Duration::from_secs(1);

/// A data directory that goes with the demo.
#[derive(Debug)]
pub struct TemporaryDir(PathBuf);

impl TemporaryDir {
    /// Makes one that nobody else may read.
    ///
    /// # Errors
    /// When the temporary directory cannot be written.
    pub fn new() -> io::Result<Self> {
        let process = std::process::id();
        for attempt in 0_u32.. {
            let path = std::env::temp_dir().join(format!("mqdeck-demo-{process}-{attempt}"));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Where the engine keeps its data.
    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Where the console keeps what it remembers.
    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }
}

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, dir = %self.0.display(), "the demo's data are left behind");
        }
    }
}

/// Makes an engine's configuration that of the demo: short delays, small files.
pub fn configure(config: &mut EngineConfig, dir: &TemporaryDir) {
    config.data_dir = dir.data();
    LEVELS.clone_into(&mut config.broker.message_delay_level);
    config.broker.mapped_file_size_commit_log = 64 << 20;
    config.broker.max_hash_slot_num = 100_000;
    config.broker.max_index_num = 400_000;
    config.broker.disk_free_min = 256 << 20;
    // Its clients are of this process and know no passwords.
    config.broker.authentication_enabled = false;
    config.broker.authorization_enabled = false;
    config.tls = None;
}

/// The running demo. Its clients stop when it is dropped.
#[derive(Debug)]
pub struct Demo {
    task: JoinHandle<()>,
}

impl Demo {
    /// Starts all clients on a runtime.
    pub fn start(handle: &Handle, namesrv: String, broker: String) -> Self {
        let shop = Shop { handle: handle.clone(), namesrv, broker };
        Self { task: handle.spawn(shop.run()) }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shop {
    handle: Handle,
    namesrv: String,
    broker: String,
}

impl Shop {
    async fn run(self) {
        while let Err(error) = self.prepare().await {
            tracing::warn!(%error, "the demo's topics and groups cannot be made yet");
            tokio::time::sleep(AGAIN).await;
        }
        let members = tokio::join!(
            self.join("demo-ok", "*", Listener::future(consume_well)),
            self.join("demo-ok", "*", Listener::future(consume_well)),
            self.join("demo-failing", PAID, Listener::future(consume_badly)),
        );
        // What consumes lives as long as this function; the load goes on until the task is aborted.
        tokio::join!(self.load(), self.consume_once());
        drop(members);
    }

    /// A client of its own, with a name that the screens show.
    fn client(&self, name: &str) -> Arc<Cluster> {
        let mut config = ClusterConfig::new(vec![self.namesrv.clone()], self.handle.clone());
        name.clone_into(&mut config.name);
        Cluster::connect(config)
    }

    async fn prepare(&self) -> Result<(), ClientError> {
        let admin = self.client("demo");
        for topic_name in [ORDERS, REMINDERS] {
            let topic = TopicConfig {
                topic_name: topic_name.to_owned(),
                read_queue_nums: 4,
                write_queue_nums: 4,
                ..TopicConfig::default()
            };
            admin.update_topic(&self.broker, &topic).await?;
        }
        for group in ["demo-ok", "demo-failing", "demo-paused"] {
            let mut config = SubscriptionGroupConfig::named(group);
            if group == "demo-failing" {
                config.retry_max_times = RETRIES;
            }
            admin.update_group(&self.broker, &config).await?;
        }
        Ok(())
    }

    /// A member of a group; nothing when it cannot join, which the log then says.
    async fn join(&self, group: &str, tags: &str, listener: Listener) -> Option<PushConsumer> {
        let config = PushConfig { from: ConsumeFrom::First, ..PushConfig::new(group) };
        let member = PushConsumer::new(&self.client(group), config, listener);
        let subscribed = member.subscribe(ORDERS, tags).and_then(|()| match tags {
            PAID => Ok(()),
            _ => member.subscribe(REMINDERS, "*"),
        });
        let started = match subscribed {
            Ok(()) => member.start().await,
            Err(error) => Err(error),
        };
        match started {
            Ok(()) => Some(member),
            Err(error) => {
                tracing::warn!(%error, group, "a consumer of the demo cannot start");
                None
            }
        }
    }

    /// A group that consumed once, so that it has positions, and then left.
    async fn consume_once(&self) {
        let consumed = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&consumed);
        let listener = Listener::future(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            async { Consume::Success }
        });
        let Some(member) = self.join("demo-paused", "*", listener).await else { return };
        while consumed.load(Ordering::Relaxed) < PAUSED_AFTER {
            tokio::time::sleep(PORTION).await;
        }
        member.close().await;
    }

    /// Sends orders in waves, and now and then a reminder that waits at one of the delay levels.
    async fn load(&self) {
        let shop = self.client("demo-shop");
        let producer = match Producer::start(&shop, ProducerConfig::new("demo-shop")) {
            Ok(producer) => producer,
            Err(error) => {
                tracing::warn!(%error, "the demo's producer cannot start");
                return;
            }
        };
        let mut number = 0;
        let mut tick = tokio::time::interval(PORTION);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for portion in 0.. {
            tick.tick().await;
            for _ in 0..orders_of(portion) {
                number += 1;
                send(&producer, order(number)).await;
            }
            if portion % REMINDER_EVERY == 0 {
                send(&producer, reminder(number, shop.now_ms())).await;
            }
        }
    }
}

/// Orders of a portion: a wave between the two limits.
fn orders_of(portion: u64) -> u64 {
    let (low, high) = PORTION_ORDERS;
    let half = WAVE / 2;
    let at = portion % WAVE;
    let height = if at < half { at } else { WAVE - at };
    low + (high - low) * height / half
}

async fn send(producer: &Producer, message: Result<Message, serde_json::Error>) {
    let Ok(message) = message else { return };
    if let Err(error) = producer.send(&message).await {
        tracing::warn!(%error, "the demo cannot send");
        tokio::time::sleep(AGAIN).await;
    }
}

fn order(number: u64) -> Result<Message, serde_json::Error> {
    let dice = scattered(number);
    let items = 1 + dice % 3;
    let body = json!({
        "order": number,
        "customer": format!("c-{}", dice % 997),
        "status": TAGS[(number % 3) as usize],
        "currency": "EUR",
        "total": (500 + dice % 20_000) as f64 / 100.0,
        "items": (0..items)
            .map(|at| json!({ "sku": format!("sku-{:04}", (dice >> at) % 1_500), "quantity": 1 + at }))
            .collect::<Vec<_>>(),
    });
    let key = format!("order-{number}");
    let message = Message::json(ORDERS, &body)?.tag(TAGS[(number % 3) as usize]);
    Ok(message
        .keys([key.as_str()])
        .property("shop", if dice.is_multiple_of(2) { "web" } else { "app" }))
}

fn reminder(number: u64, now_ms: i64) -> Result<Message, serde_json::Error> {
    let level = 1 + scattered(number) % LEVEL_MAX;
    let body = json!({ "reminder": number, "asked": now_ms, "level": level });
    let key = format!("reminder-{number}");
    Ok(Message::json(REMINDERS, &body)?.keys([key.as_str()]).delay_level(level as u32))
}

async fn consume_well(_: Arc<MessageExt>) -> Consume {
    Consume::Success
}

/// Fails at a fixed share of messages; whether one fails is drawn again for every attempt. Half of the
/// failures come at once, as from an exception, the others after a while, as from a time-out.
async fn consume_badly(message: Arc<MessageExt>) -> Consume {
    let attempt = message.reconsume_times.max(0) as u64;
    let dice = scattered(message.born_ms as u64 ^ (message.body.len() as u64) << 48)
        .wrapping_add(scattered(hash(&message.unique_id()) ^ attempt));
    if dice % 100 >= FAILING {
        return Consume::Success;
    }
    if dice & (1 << 40) != 0 {
        tokio::time::sleep(TIME_OUT).await;
    }
    Consume::Later
}

fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A number that looks random and is the same every time (SplitMix64).
fn scattered(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use engine::config::{BrokerConfig, NamesrvConfig};
    use engine::engine::Engine;

    use super::*;

    #[test]
    fn the_load_stays_between_its_limits() {
        let per_second: Vec<u64> = (0..WAVE).map(|portion| orders_of(portion) * 4).collect();
        assert_eq!((per_second.iter().min(), per_second.iter().max()), (Some(&20), Some(&60)));
    }

    #[test]
    fn a_temporary_directory_goes_with_its_owner() {
        let (one, other) = (TemporaryDir::new().unwrap(), TemporaryDir::new().unwrap());
        assert_ne!(one.0, other.0);
        // Its name may be taken again at once by another test: what was in it is what has to go.
        let mark = one.data().join("mark");
        fs::create_dir_all(&mark).unwrap();
        drop(one);
        assert!(!mark.exists());
    }

    #[test]
    fn dead_letters_and_lag_show_up_within_a_minute() {
        let dir = TemporaryDir::new().unwrap();
        let mut config = EngineConfig {
            data_dir: PathBuf::new(),
            listen: Ipv4Addr::LOCALHOST.into(),
            advertise: Ipv4Addr::LOCALHOST.into(),
            broker: BrokerConfig { listen_port: 0, ..BrokerConfig::default() },
            namesrv: NamesrvConfig { listen_port: 0, ..NamesrvConfig::default() },
            tls: None,
            net_threads: Some(1),
        };
        configure(&mut config, &dir);
        config.broker.disk_free_min = 0;
        let engine = Engine::start(config).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (namesrv, broker) =
            (engine.namesrv_addr().to_string(), engine.broker_addr().to_string());
        let demo = Demo::start(runtime.handle(), namesrv.clone(), broker.clone());
        let cluster = Cluster::connect(ClusterConfig::new(vec![namesrv], runtime.handle().clone()));
        let deadline = Duration::from_secs(60);
        let seen = async {
            loop {
                let dead = cluster.topic_stats(&broker, "%DLQ%demo-failing").await;
                let queues = dead.ok().flatten().map(|stats| stats.offset_table);
                if queues.is_some_and(|table| table.values().any(|queue| queue.max_offset > 0)) {
                    return;
                }
                tokio::time::sleep(PORTION).await;
            }
        };
        runtime.block_on(async { tokio::time::timeout(deadline, seen).await }).unwrap();
        let clients = |group: &str| {
            let asked = cluster.consumer_connections(&broker, group);
            runtime.block_on(asked).ok().flatten().map_or(0, |found| found.connection_set.len())
        };
        assert_eq!(
            (clients("demo-ok"), clients("demo-failing"), clients("demo-paused")),
            (2, 1, 0)
        );
        drop(demo);
        engine.stop().unwrap();
    }
}
