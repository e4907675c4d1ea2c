//! `bench pingpong`: one message at a time, from its send to its arrival at a waiting consumer.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use bytes::{Bytes, BytesMut};
use engine::protocol::code::PULL_MESSAGE;
use engine::protocol::frame::Serialization;
use engine::protocol::header::Outgoing;
use engine::protocol::request::pull::PullResponse;
use serde_json::json;
use tokio::time::Instant;

use super::consume::{self, pull};
use super::report::{Latencies, Measured, Usage};
use super::target::Target;
use super::wire::{SendShape, SendTemplate, Wire, accepted};

/// What a run does.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where.
    pub target: Target,
    /// Body, bytes.
    pub size: usize,
    /// How long.
    pub seconds: u64,
}

/// Runs the load; its figures as JSON.
pub async fn run(load: Load) -> anyhow::Result<serde_json::Value> {
    let addr = load.target.ready().await?;
    let mut pair = Pair::connect(&load, addr).await?;
    for _ in 0..100 {
        pair.round().await?;
    }
    let (mut sent, mut arrived) = (Latencies::default(), Latencies::default());
    let before = load.target.pid.and_then(Usage::of);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(load.seconds) {
        let (acknowledged, there) = pair.round().await?;
        sent.add(acknowledged);
        arrived.add(there);
    }
    let after = load.target.pid.and_then(Usage::of);
    let measured =
        Measured { count: arrived.count(), took: start.elapsed(), usage: before.zip(after) };
    let mut figures = measured.json();
    arrived.put(&mut figures, false);
    let mut acknowledged = json!({});
    sent.put(&mut acknowledged, false);
    figures["acknowledged"] = acknowledged;
    figures["body_bytes"] = json!(load.size);
    Ok(figures)
}

/// A producer and a consumer of one queue.
struct Pair {
    follow: consume::Load,
    topic: String,
    template: SendTemplate,
    producer: Wire,
    consumer: Wire,
    count: u32,
    offset: i64,
}

impl Pair {
    async fn connect(load: &Load, addr: SocketAddr) -> anyhow::Result<Self> {
        let topic = load.target.topic(0);
        let shape = SendShape { size: load.size, oneway: false, connection: 0 };
        let mut consumer = Wire::connect(addr).await?;
        let offset = consume::end(&mut consumer, &topic, 0).await?;
        let follow = consume::Load {
            target: load.target.clone(),
            connections: 1,
            batch: 1,
            follow: true,
            seconds: load.seconds,
        };
        Ok(Self {
            follow,
            template: SendTemplate::new(&shape, &topic, 0),
            topic,
            producer: Wire::connect(addr).await?,
            consumer,
            count: 0,
            offset,
        })
    }

    /// One message there: the time until it was acknowledged, and until it arrived.
    async fn round(&mut self) -> anyhow::Result<(Duration, Duration)> {
        let fields = pull(&self.follow, &self.topic, 0, self.offset);
        let mut ask = BytesMut::new();
        Outgoing::request(PULL_MESSAGE, 0, fields, Bytes::new())
            .encode(Serialization::Json, &mut ask);
        self.consumer.send(&ask).await?;
        let mut out = Vec::new();
        self.template.write(self.count, &mut out);
        self.count += 1;
        let start = Instant::now();
        self.producer.send(&out).await?;
        let (acknowledged, there) =
            tokio::try_join!(answered(&mut self.producer), arrived(&mut self.consumer))?;
        self.offset = there.1;
        Ok((acknowledged - start, there.0 - start))
    }
}

async fn answered(producer: &mut Wire) -> anyhow::Result<Instant> {
    loop {
        producer.fill().await?;
        if let Some(answer) = producer.next()? {
            accepted(&answer)?;
            return Ok(Instant::now());
        }
    }
}

async fn arrived(consumer: &mut Wire) -> anyhow::Result<(Instant, i64)> {
    loop {
        consumer.fill().await?;
        if let Some(answer) = consumer.next()? {
            let header = answer.decode()?;
            if header.code != 0 {
                bail!("the pull was answered with {}", header.code);
            }
            return Ok((Instant::now(), PullResponse::decode(&header.ext)?.next_offset));
        }
    }
}
