//! `bench produce`: a closed loop of sends on N connections with D in flight on each.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::{Bytes, BytesMut};
use engine::client::{Cluster, ClusterConfig};
use engine::protocol::code::SEND_MESSAGE_V2;
use engine::protocol::ext_fields::Fields;
use engine::protocol::frame::{self, Serialization};
use engine::protocol::header::Outgoing;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::report::{Latencies, Usage};

/// Longest wait for an answer before a run fails.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// What a run does.
#[derive(Clone, Debug)]
pub struct Load {
    /// Name servers, `;` between them.
    pub namesrv: String,
    /// The broker's address; asked of the name servers when absent.
    pub broker: Option<String>,
    /// Topic; made by the first send.
    pub topic: String,
    /// Connections.
    pub connections: usize,
    /// Sends under way on each.
    pub in_flight: usize,
    /// Body, bytes.
    pub size: usize,
    /// How long.
    pub seconds: u64,
    /// Messages in all; ends the run before its time.
    pub messages: Option<u64>,
    /// The broker's process, for CPU and memory.
    pub pid: Option<u32>,
}

/// Runs the load; its figures as JSON.
pub async fn produce(load: Load) -> anyhow::Result<serde_json::Value> {
    let addr = master(&load).await?;
    warm_up(&load, addr).await?;
    let before = load.pid.and_then(Usage::of);
    let stop = Arc::new(AtomicBool::new(false));
    let each = load.messages.map(|all| all.div_ceil(load.connections as u64));
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..load.connections {
        tasks.spawn(connection(load.clone(), addr, number, each, Arc::clone(&stop)));
    }
    let timer = async {
        tokio::time::sleep(Duration::from_secs(load.seconds)).await;
        stop.store(true, Ordering::Relaxed);
    };
    let mut all = Latencies::default();
    let work = async {
        while let Some(done) = tasks.join_next().await {
            all.join(done??);
        }
        anyhow::Ok(())
    };
    tokio::select! {
        result = work => result?,
        () = async { timer.await; std::future::pending::<()>().await } => {}
    }
    let took = start.elapsed();
    let after = load.pid.and_then(Usage::of);
    Ok(figures(&load, &mut all, took, before.zip(after)))
}

fn figures(
    load: &Load,
    all: &mut Latencies,
    took: Duration,
    usage: Option<(Usage, Usage)>,
) -> serde_json::Value {
    let count = all.count();
    let cpu_us = usage.map(|(before, after)| {
        after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / (count.max(1) as f64)
    });
    serde_json::json!({
        "connections": load.connections,
        "in_flight": load.in_flight,
        "body_bytes": load.size,
        "messages": count,
        "seconds": took.as_secs_f64(),
        "tps": count as f64 / took.as_secs_f64(),
        "p50_ms": all.percentile(0.5),
        "p99_ms": all.percentile(0.99),
        "p999_ms": all.percentile(0.999),
        "broker_cpu_us_per_message": cpu_us,
        "broker_anonymous_bytes": usage.map(|(_, after)| after.anonymous),
    })
}

async fn master(load: &Load) -> anyhow::Result<SocketAddr> {
    if let Some(broker) = &load.broker {
        let found = tokio::net::lookup_host(broker).await?.next();
        return found.with_context(|| format!("{broker} has no address"));
    }
    let names = load.namesrv.split(';').map(str::to_owned).collect();
    let cluster = Cluster::connect(ClusterConfig::new(names, tokio::runtime::Handle::current()));
    let info = cluster.cluster_info().await.context("cannot ask the name server")?;
    let master =
        info.broker_addr_table.values().find_map(|broker| broker.master().map(str::to_owned));
    cluster.close();
    let master = master.context("no master broker is registered")?;
    tokio::net::lookup_host(&master)
        .await?
        .next()
        .with_context(|| format!("{master} has no address"))
}

/// Makes the topic and the broker's caches.
async fn warm_up(load: &Load, addr: SocketAddr) -> anyhow::Result<()> {
    let once = Load { in_flight: 1, ..load.clone() };
    connection(once, addr, 0, Some(16), Arc::default()).await.map(drop)
}

/// One connection's sends and answers.
async fn connection(
    load: Load,
    addr: SocketAddr,
    number: usize,
    limit: Option<u64>,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Latencies> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let mut frames = Frames::new(&load, number);
    let mut latencies = Latencies::default();
    let mut under_way: VecDeque<Instant> = VecDeque::with_capacity(load.in_flight);
    let mut answers = BytesMut::with_capacity(64 * 1024);
    let mut sent = 0;
    loop {
        let mut out = BytesMut::new();
        while under_way.len() < load.in_flight
            && limit.is_none_or(|limit| sent < limit)
            && !stop.load(Ordering::Relaxed)
        {
            frames.next(&mut out);
            under_way.push_back(Instant::now());
            sent += 1;
        }
        if !out.is_empty() {
            stream.write_all(&out).await?;
        }
        if under_way.is_empty() {
            return Ok(latencies);
        }
        let read = tokio::time::timeout(ANSWER_WAIT, stream.read_buf(&mut answers)).await;
        if read.context("no answer in time")?? == 0 {
            bail!("the broker closed the connection");
        }
        while let Some(answer) = frame::split(&mut answers)? {
            let header = answer.decode()?;
            if header.code != 0 {
                bail!("refused with {}: {}", header.code, header.remark.unwrap_or_default());
            }
            if let Some(start) = under_way.pop_front() {
                latencies.add(start.elapsed());
            }
        }
    }
}

/// Frames of one connection: a unique key, a tag and a key on each message, as real ones have.
struct Frames {
    topic: String,
    queue: usize,
    body: Bytes,
    number: usize,
    count: u32,
}

impl Frames {
    fn new(load: &Load, number: usize) -> Self {
        let body = Bytes::from(vec![b'x'; load.size]);
        Self { topic: load.topic.clone(), queue: number, body, number, count: 0 }
    }

    fn next(&mut self, out: &mut BytesMut) {
        self.count += 1;
        let (number, count) = (self.number, self.count);
        let properties = format!(
            "UNIQ_KEY\u{1}7F00000100{number:06X}00000000{count:08X}\u{2}TAGS\u{1}bench\u{2}KEYS\u{1}k{number}-{count}\u{2}WAIT\u{1}true\u{2}"
        );
        let fields = Fields::new()
            .text("a", "bench")
            .text("b", self.topic.clone())
            .text("c", "TBW102")
            .int("d", 4)
            .int("e", (self.queue % 4) as i64)
            .int("f", 0)
            .int("g", 1_700_000_000_000)
            .int("h", 0)
            .text("i", properties)
            .int("j", 0)
            .flag("k", false)
            .flag("m", false);
        let request = Outgoing::request(SEND_MESSAGE_V2, count as i32, fields, self.body.clone());
        request.encode(Serialization::Json, out);
    }
}
