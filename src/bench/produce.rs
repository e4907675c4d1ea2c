//! `bench produce`: sends on N connections, as fast as answers come or at a rate that does not wait for them.
//!
//! Closed loop: D requests under way on each connection; 1 is a synchronous client, more an asynchronous
//! one. Open loop (`--rate`): every message has its time. Its latency counts from that time when the
//! connection was held up, so that a stall of the broker is seen by all who would have sent meanwhile
//! (no coordinated omission); a send that is late only because timers are coarse counts from the send.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::bail;
use serde_json::json;
use tokio::time::Instant;

use super::report::{Latencies, Measured, Usage};
use super::target::Target;
use super::wire::{SendShape, SendTemplate, Wire, accepted};

/// Lateness that a timer may have.
const TIMER_ERROR: Duration = Duration::from_millis(2);
/// Requests under way on a connection of an open loop; those beyond wait, and their waiting counts.
const OPEN_IN_FLIGHT_MAX: usize = 4_096;
/// Most bytes put together for one write.
const WRITE_MAX: usize = 256 * 1024;

/// What a run does.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where to.
    pub target: Target,
    /// Connections.
    pub connections: usize,
    /// Sends under way on each, in a closed loop.
    pub in_flight: usize,
    /// Messages a second in all: an open loop.
    pub rate: Option<f64>,
    /// Nobody waits for answers.
    pub oneway: bool,
    /// Body, bytes.
    pub size: usize,
    /// How long.
    pub seconds: u64,
    /// Messages in all; ends the run before its time.
    pub messages: Option<u64>,
}

/// Runs the load; its figures as JSON.
pub async fn run(load: Load) -> anyhow::Result<serde_json::Value> {
    let addr = load.target.ready().await?;
    let warm = Load { in_flight: 1, rate: None, oneway: false, ..load.clone() };
    connection(warm, addr, 0, Some(16), Arc::default()).await?;
    let before = load.target.pid.and_then(Usage::of);
    let start = Instant::now();
    let all = drive(&load, addr).await?;
    let took = start.elapsed();
    let after = load.target.pid.and_then(Usage::of);
    let measured = Measured { count: all.count(), took, usage: before.zip(after) };
    let mut figures = measured.json();
    all.put(&mut figures, load.oneway);
    figures["connections"] = json!(load.connections);
    figures["in_flight"] = json!(load.rate.is_none().then_some(load.in_flight));
    figures["rate"] = json!(load.rate);
    figures["body_bytes"] = json!(load.size);
    Ok(figures)
}

/// All connections until the time is over or the messages are sent.
pub async fn drive(load: &Load, addr: SocketAddr) -> anyhow::Result<Latencies> {
    let stop = Arc::new(AtomicBool::new(false));
    let each = load.messages.map(|all| all.div_ceil(load.connections as u64));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..load.connections {
        tasks.spawn(connection(load.clone(), addr, number, each, Arc::clone(&stop)));
    }
    let mut all = Latencies::default();
    let work = async {
        while let Some(done) = tasks.join_next().await {
            all.join(&done??);
        }
        anyhow::Ok(())
    };
    let timer = async {
        tokio::time::sleep(Duration::from_secs(load.seconds)).await;
        stop.store(true, Ordering::Relaxed);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = work => result?,
        () = timer => {}
    }
    Ok(all)
}

/// One connection's sends and answers.
async fn connection(
    load: Load,
    addr: SocketAddr,
    number: usize,
    limit: Option<u64>,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Latencies> {
    let mut sender = Sender::new(&load, number, limit, stop);
    let mut wire = Wire::connect(addr).await?;
    if load.oneway {
        while sender.more() {
            sender.fill(WRITE_MAX / load.size.max(1) + 1);
            wire.send(&sender.out).await?;
            sender.forget();
        }
        // One that is answered: all before it have arrived.
        sender.last(&load, &mut wire).await?;
        return Ok(sender.latencies);
    }
    match load.rate {
        None => closed(&mut sender, &mut wire, load.in_flight).await?,
        Some(rate) => {
            let gap = Duration::from_secs_f64(load.connections as f64 / rate);
            open(&mut sender, &mut wire, gap, number as f64 / load.connections as f64).await?;
        }
    }
    Ok(sender.latencies)
}

async fn closed(sender: &mut Sender, wire: &mut Wire, in_flight: usize) -> anyhow::Result<()> {
    loop {
        sender.fill(in_flight - sender.open);
        if !sender.out.is_empty() {
            wire.send(&sender.out).await?;
        }
        if sender.open == 0 {
            return Ok(());
        }
        wire.fill().await?;
        sender.take(wire)?;
    }
}

/// Sends at fixed times; `phase` (0–1 of a gap) keeps connections from sending all at once.
async fn open(
    sender: &mut Sender,
    wire: &mut Wire,
    gap: Duration,
    phase: f64,
) -> anyhow::Result<()> {
    let mut due = Instant::now() + gap.mul_f64(phase);
    loop {
        let now = Instant::now();
        sender.out.clear();
        while due <= now && sender.more() && sender.open < OPEN_IN_FLIGHT_MAX {
            sender.add(if now - due > TIMER_ERROR { due } else { now });
            due += gap;
        }
        if !sender.out.is_empty() {
            wire.send(&sender.out).await?;
        }
        if sender.open == 0 && !sender.more() {
            return Ok(());
        }
        let full = sender.open >= OPEN_IN_FLIGHT_MAX || !sender.more();
        tokio::select! {
            () = tokio::time::sleep_until(due), if !full => {}
            filled = wire.fill(), if sender.open > 0 => {
                filled?;
                sender.take(wire)?;
            }
        }
    }
}

/// What a connection has sent and is waiting for.
struct Sender {
    templates: Vec<SendTemplate>,
    limit: Option<u64>,
    stop: Arc<AtomicBool>,
    sent: u64,
    out: Vec<u8>,
    /// Starts of the sends from number `answered` on; those answered early are `None`.
    under_way: VecDeque<Option<Instant>>,
    /// Sends whose answer has come, in order.
    answered: u64,
    /// Sends without answer.
    open: usize,
    latencies: Latencies,
}

impl Sender {
    fn new(load: &Load, number: usize, limit: Option<u64>, stop: Arc<AtomicBool>) -> Self {
        let shape = SendShape { size: load.size, oneway: load.oneway, connection: number };
        let target = &load.target;
        let topics = (number..target.topics).step_by(load.connections);
        let queue = |turn: usize| (number + turn) % target.queues;
        let mut templates: Vec<SendTemplate> = topics
            .enumerate()
            .map(|(turn, topic)| SendTemplate::new(&shape, &target.topic(topic), queue(turn)))
            .collect();
        if templates.is_empty() {
            let topic = target.topic(number % target.topics);
            templates.push(SendTemplate::new(&shape, &topic, queue(0)));
        }
        Self {
            templates,
            limit,
            stop,
            sent: 0,
            out: Vec::new(),
            under_way: VecDeque::new(),
            answered: 0,
            open: 0,
            latencies: Latencies::default(),
        }
    }

    fn more(&self) -> bool {
        self.limit.is_none_or(|limit| self.sent < limit) && !self.stop.load(Ordering::Relaxed)
    }

    /// Puts up to so many sends together.
    fn fill(&mut self, room: usize) {
        self.out.clear();
        let now = Instant::now();
        for _ in 0..room {
            if !self.more() {
                break;
            }
            self.add(now);
        }
    }

    fn add(&mut self, start: Instant) {
        let template = &self.templates[self.sent as usize % self.templates.len()];
        template.write(self.sent as u32, &mut self.out);
        self.under_way.push_back(Some(start));
        self.sent += 1;
        self.open += 1;
    }

    /// Takes the answers that are there, in whatever order they come.
    fn take(&mut self, wire: &mut Wire) -> anyhow::Result<()> {
        let now = Instant::now();
        while let Some(answer) = wire.next()? {
            let count = accepted(&answer)?;
            let at = count.wrapping_sub(self.answered as u32) as usize;
            match self.under_way.get_mut(at).and_then(Option::take) {
                Some(start) => self.latencies.add(now - start),
                None => bail!("an answer nobody asked for"),
            }
            self.open -= 1;
            while let Some(None) = self.under_way.front() {
                self.under_way.pop_front();
                self.answered += 1;
            }
        }
        Ok(())
    }

    /// Nobody will answer what was sent.
    fn forget(&mut self) {
        let now = Instant::now();
        for start in self.under_way.drain(..).flatten() {
            self.latencies.add(now - start);
        }
        self.open = 0;
    }

    async fn last(&mut self, load: &Load, wire: &mut Wire) -> anyhow::Result<()> {
        let shape = SendShape { size: load.size, oneway: false, connection: 0 };
        self.out.clear();
        SendTemplate::new(&shape, &load.target.topic(0), 0).write(0, &mut self.out);
        wire.send(&self.out).await?;
        loop {
            wire.fill().await?;
            if let Some(answer) = wire.next()? {
                return accepted(&answer).map(drop);
            }
        }
    }
}
