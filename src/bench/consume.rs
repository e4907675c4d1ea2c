//! `bench consume`: pulls all queues of a topic, one request under way for each queue.
//!
//! Without `--follow` the stored messages are read over and over until the time is up; with it only what
//! arrives from now on, by long polling. Nothing is committed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::{Bytes, BytesMut};
use engine::protocol::code::{GET_MAX_OFFSET, PULL_MESSAGE};
use engine::protocol::ext_fields::Fields;
use engine::protocol::frame::{Frame, Serialization};
use engine::protocol::header::Outgoing;
use engine::protocol::record;
use engine::protocol::request::offset::QueueOf;
use engine::protocol::request::pull::{PULL_SUBSCRIPTION, PULL_SUSPEND, PullMessage, PullResponse};
use serde_json::json;
use tokio::time::Instant;

use super::report::{Measured, Usage};
use super::target::Target;
use super::wire::Wire;

/// How long a pull may be held.
const SUSPEND_MS: i64 = 5_000;
/// Answer codes of a pull: found, nothing new, nothing matched, offset moved.
const FOUND: i32 = 0;
const NOT_FOUND: i32 = 19;
const RETRY_AT: i32 = 20;
const MOVED: i32 = 21;

/// What a run does.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where from.
    pub target: Target,
    /// Connections; queues are dealt out among them.
    pub connections: usize,
    /// Messages a request.
    pub batch: usize,
    /// Only what arrives from now on.
    pub follow: bool,
    /// How long.
    pub seconds: u64,
}

/// Runs the load; its figures as JSON.
pub async fn run(load: Load) -> anyhow::Result<serde_json::Value> {
    let addr = load.target.ready().await?;
    let before = load.target.pid.and_then(Usage::of);
    let start = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..load.connections.min(load.target.queues) {
        tasks.spawn(connection(load.clone(), addr, number, Arc::clone(&stop)));
    }
    let timer = async {
        tokio::time::sleep(Duration::from_secs(load.seconds)).await;
        stop.store(true, Ordering::Relaxed);
        std::future::pending::<()>().await;
    };
    let (mut count, mut requests) = (0, 0);
    let work = async {
        while let Some(done) = tasks.join_next().await {
            let (messages, asked) = done??;
            count += messages;
            requests += asked;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        result = work => result?,
        () = timer => {}
    }
    let after = load.target.pid.and_then(Usage::of);
    let measured = Measured { count, took: start.elapsed(), usage: before.zip(after) };
    let mut figures = measured.json();
    figures["requests"] = json!(requests);
    figures["queues"] = json!(load.target.queues);
    Ok(figures)
}

/// One connection: messages read and requests made.
async fn connection(
    load: Load,
    addr: SocketAddr,
    number: usize,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<(u64, u64)> {
    let mut wire = Wire::connect(addr).await?;
    let topic = load.target.topic(0);
    let queues: Vec<usize> = (number..load.target.queues).step_by(load.connections).collect();
    let mut offsets = vec![0_i64; queues.len()];
    if load.follow {
        for (queue, offset) in queues.iter().zip(&mut offsets) {
            *offset = end(&mut wire, &topic, *queue).await?;
        }
    }
    let mut out = BytesMut::new();
    let ask = |out: &mut BytesMut, at: usize, offset: i64| {
        let pull = pull(&load, &topic, queues[at], offset);
        Outgoing::request(PULL_MESSAGE, at as i32, pull, Bytes::new())
            .encode(Serialization::Json, out);
    };
    for (at, offset) in offsets.iter().enumerate() {
        ask(&mut out, at, *offset);
    }
    let (mut messages, mut requests) = (0, queues.len() as u64);
    while !stop.load(Ordering::Relaxed) {
        wire.send(&out).await?;
        out.clear();
        wire.fill().await?;
        while let Some(answer) = wire.next()? {
            let got = take(&answer)?;
            messages += got.messages;
            let at = got.queue;
            let Some(offset) = offsets.get_mut(at) else { bail!("an answer nobody asked for") };
            let ended = got.messages == 0 && *offset > 0 && !load.follow;
            *offset = if ended { 0 } else { got.next };
            ask(&mut out, at, *offset);
            requests += 1;
        }
    }
    Ok((messages, requests))
}

/// Header of a pull of one queue.
pub fn pull(load: &Load, topic: &str, queue: usize, offset: i64) -> Fields {
    let suspend = if load.follow { PULL_SUSPEND } else { 0 };
    Fields::from(PullMessage {
        group: "bench-consume",
        topic,
        queue_id: queue as i32,
        offset,
        max_messages: i32::try_from(load.batch).unwrap_or(i32::MAX),
        sys_flag: PULL_SUBSCRIPTION | suspend,
        commit_offset: 0,
        suspend_ms: SUSPEND_MS,
        subscription: Some("*"),
        sub_version: 0,
        expression_type: Some("TAG"),
        max_bytes: None,
        request_source: None,
    })
}

/// What an answer brought.
struct Got {
    queue: usize,
    next: i64,
    messages: u64,
}

fn take(answer: &Frame) -> anyhow::Result<Got> {
    let header = answer.decode()?;
    let next = match header.code {
        FOUND | NOT_FOUND | RETRY_AT | MOVED => PullResponse::decode(&header.ext)?.next_offset,
        code => bail!("refused with {code}: {}", header.remark.unwrap_or_default()),
    };
    Ok(Got { queue: header.opaque as usize, next, messages: count(&answer.body) })
}

/// Records in a body, by their sizes alone.
fn count(body: &[u8]) -> u64 {
    let (mut at, mut found) = (0, 0);
    while let Some(size) = record::i32_at(body, at).filter(|size| *size > 0) {
        at += size as usize;
        found += 1;
    }
    found
}

/// The offset behind a queue's last message.
pub async fn end(wire: &mut Wire, topic: &str, queue: usize) -> anyhow::Result<i64> {
    let fields = Fields::from(QueueOf { topic, queue_id: queue as i32 });
    let mut out = BytesMut::new();
    Outgoing::request(GET_MAX_OFFSET, 0, fields, Bytes::new())
        .encode(Serialization::Json, &mut out);
    wire.send(&out).await?;
    loop {
        wire.fill().await?;
        if let Some(answer) = wire.next()? {
            super::wire::accepted(&answer)?;
            let header = answer.decode()?;
            return header
                .ext
                .get("offset")
                .and_then(|o| o.parse().ok())
                .context("no offset in it");
        }
    }
}
