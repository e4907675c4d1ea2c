//! The order of everything: an event list in virtual time, drawn from the seed.

mod trouble;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::checker::{Checker, End, Law, Place};
use super::clients::{Consumer, Producer};
use super::clock::VirtualClock;
use super::network::{Line, decoded, encoded};
use super::node::{self, Node, ROOT, Turn};
use super::plan::Plan;
use super::rng::Rng;
use super::{Report, Violation};
use crate::broker::outcome::{Peer, PeerId};
use crate::clock::Clock;
use crate::config::EngineConfig;
use crate::protocol::frame::{Frame, Serialization};
use crate::protocol::header::{Header, Outgoing};
use crate::protocol::request::send::SendResponse;
use crate::protocol::{ids, names, record, response_code};
use crate::store::test_storage::{Crash, Faults, TestStorage};

use trouble::Trouble;

/// Producers of a run.
const PRODUCERS: usize = 2;
/// The consumer's number among the clients.
const CONSUMER: usize = PRODUCERS;
const CLIENTS: usize = PRODUCERS + 1;
/// Within this time everything that goes wrong begins, ms.
const TROUBLE_MS: u64 = 12_000;
/// Within this time after the last trouble everything must be delivered, ms of virtual time.
const DRAIN_MS: u64 = 180_000;
/// Pause between looks whether a run is over, ms.
const LOOK_MS: u64 = 500;

enum Event {
    /// What a client sent reaches the broker.
    Arrive(PeerId),
    /// A frame reaches a client.
    Deliver(PeerId, Bytes),
    /// A client does what it has to do.
    Wake(usize),
    /// A thread of the broker gets a turn.
    Turn(u32, Turn),
    /// The slow pool runs a job.
    Job(u32, Box<dyn FnOnce() + Send>),
    /// The broker starts.
    Start(End),
    /// A client connects.
    Connect(usize),
    Trouble(Trouble),
    Look,
}

/// The world of one run.
pub struct World {
    plan: Plan,
    rng: Rng,
    clock: Arc<VirtualClock>,
    config: EngineConfig,
    now_ms: u64,
    number: u64,
    events: BTreeMap<(u64, u64), Event>,
    disk: TestStorage,
    node: Option<Node>,
    life: u32,
    lines: BTreeMap<PeerId, (usize, Arc<Line>)>,
    inboxes: BTreeMap<PeerId, Vec<Bytes>>,
    connections: [Option<PeerId>; CLIENTS],
    last_peer: PeerId,
    producers: Vec<Producer>,
    consumer: Consumer,
    checker: Checker,
    faults: Faults,
    slow_until_ms: u64,
    flush_planned: bool,
    disk_had_turn: bool,
    healed_ms: Option<u64>,
    files: BTreeMap<PathBuf, Vec<u8>>,
    report: Report,
}

impl World {
    /// A world that stands still.
    pub fn new(plan: Plan) -> Self {
        let share = plan.messages / PRODUCERS as u32;
        Self {
            rng: Rng::new(plan.seed ^ 0x5EED),
            clock: Arc::new(VirtualClock::default()),
            config: node::config(plan.sync_flush),
            now_ms: 0,
            number: 0,
            events: BTreeMap::new(),
            disk: TestStorage::new(),
            node: None,
            life: 0,
            lines: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            connections: [None; CLIENTS],
            last_peer: 0,
            producers: (0..PRODUCERS).map(|number| Producer::new(number, share)).collect(),
            consumer: Consumer::default(),
            checker: Checker::new(plan.clone()),
            faults: Faults::default(),
            slow_until_ms: 0,
            flush_planned: false,
            disk_had_turn: false,
            healed_ms: None,
            files: BTreeMap::new(),
            report: Report::default(),
            plan,
        }
    }

    /// Runs to the end.
    pub fn run(mut self) -> Result<Report, Violation> {
        let result = self.run_events().and_then(|()| self.end());
        match result {
            Ok(()) => {
                (self.report.acknowledged, self.report.lost, self.report.deliveries) =
                    self.checker.counts();
                self.report.dead = self.checker.dead;
                Ok(self.report)
            }
            Err(what) => {
                Err(Violation { seed: self.plan.seed, at_ms: self.now_ms, what, plan: self.plan })
            }
        }
    }

    fn run_events(&mut self) -> Law {
        self.begin();
        while let Some(((at_ms, _), event)) = self.events.pop_first() {
            self.now_ms = at_ms;
            self.clock.set(at_ms);
            self.report.events += 1;
            self.fold(at_ms);
            let over = matches!(event, Event::Look) && self.is_over()?;
            if over {
                return Ok(());
            }
            let flushed = self.flushed();
            self.happen(event)?;
            self.settle(flushed)?;
        }
        Err("nothing happens any more".to_owned())
    }

    fn begin(&mut self) {
        self.plan_at(0, Event::Start(End::Stop));
        for client in 0..CLIENTS {
            self.plan_at(10 + client as u64, Event::Connect(client));
        }
        let plan = self.plan.clone();
        let all = [
            (plan.kills, Trouble::Kill),
            (plan.power_cuts, Trouble::PowerCut),
            (plan.stops, Trouble::Stop),
            (plan.sync_failures, Trouble::SyncFails),
            (plan.full_disks, Trouble::DiskFull),
            (plan.slow_disks, Trouble::SlowDisk),
            (plan.cold_reads, Trouble::Cold),
            (plan.cuts, Trouble::Cut),
            (plan.consumer_deaths, Trouble::Death),
            (plan.clock_jumps, Trouble::Jump),
        ];
        for (times, trouble) in all {
            for _ in 0..times {
                let at_ms = self.rng.within(200, TROUBLE_MS);
                self.plan_at(at_ms, Event::Trouble(trouble));
            }
        }
        self.plan_at(TROUBLE_MS, Event::Look);
    }

    fn plan_at(&mut self, in_ms: u64, event: Event) {
        self.number += 1;
        self.events.insert((self.now_ms + in_ms, self.number), event);
    }

    fn soon(&mut self, from_ms: u64, to_ms: u64, event: Event) {
        let in_ms = self.rng.within(from_ms, to_ms);
        self.plan_at(in_ms, event);
    }

    fn fold(&mut self, number: u64) {
        self.report.digest =
            (self.report.digest ^ number).wrapping_mul(0x0100_0000_01B3).rotate_left(17);
    }

    fn flushed(&self) -> u64 {
        self.node.as_ref().map_or(0, |node| node.store.positions().flushed.0)
    }

    fn happen(&mut self, event: Event) -> Law {
        match event {
            Event::Start(end) => self.start(end),
            Event::Connect(client) => {
                self.connect(client);
                Ok(())
            }
            Event::Wake(client) => self.wake(client),
            Event::Arrive(peer) => {
                self.arrive(peer);
                Ok(())
            }
            Event::Deliver(peer, bytes) => self.deliver(peer, &bytes),
            Event::Turn(life, turn) if life == self.life => {
                self.turn(turn);
                Ok(())
            }
            Event::Job(life, job) if life == self.life => {
                job();
                Ok(())
            }
            Event::Turn(..) | Event::Job(..) => Ok(()),
            Event::Trouble(trouble) => self.trouble(trouble),
            Event::Look => {
                self.plan_at(LOOK_MS, Event::Look);
                Ok(())
            }
        }
    }
}

/// The broker.
impl World {
    fn start(&mut self, end: End) -> Law {
        if self.node.is_some() {
            return Ok(());
        }
        let clock: Arc<dyn Clock> = Arc::<VirtualClock>::clone(&self.clock);
        let node = match Node::start(&self.disk, &self.config, &clock) {
            Ok(node) => node,
            // The disk is full: whoever runs it tries again later.
            Err(_) if self.has_faults() => {
                self.soon(300, 800, Event::Start(end));
                return Ok(());
            }
            Err(error) => return Err(format!("no start after {end:?}: {error}")),
        };
        self.checker.started(&node.store, end)?;
        self.node = Some(node);
        self.files.clear();
        self.flush_planned = false;
        self.consumer.commit_again();
        for turn in [Turn::Flush, Turn::Disk, Turn::Index, Turn::Tasks] {
            self.soon(1, 100, Event::Turn(self.life, turn));
        }
        Ok(())
    }

    fn turn(&mut self, turn: Turn) {
        let Some(node) = &mut self.node else { return };
        node.turn(turn);
        let slow = self.now_ms < self.slow_until_ms;
        let (from, to) = match turn {
            Turn::Commit | Turn::Tables => return,
            Turn::Flush if slow => (1_000, 7_000),
            Turn::Flush if self.plan.sync_flush => (80, 120),
            Turn::Flush => (400, 600),
            Turn::Disk => (200, 300),
            Turn::Index => (300, 700),
            Turn::Tasks => (50, 110),
        };
        if turn == Turn::Flush {
            self.flush_planned = false;
        }
        self.soon(from, to, Event::Turn(self.life, turn));
        self.disk_had_turn = turn == Turn::Disk;
    }

    /// Files of positions that the disk got are compared with the log.
    fn files_of_positions(&mut self) -> Law {
        for (name, committed) in [("consumerOffset.json", true), ("delayOffset.json", false)] {
            let path = Path::new(ROOT).join("config").join(name);
            let Some(bytes) = self.disk.durable(&path) else { continue };
            if self.files.get(&path) == Some(&bytes) {
                continue;
            }
            let offsets =
                if committed { node::committed_in(&bytes) } else { node::delivered_in(&bytes) };
            let Some(node) = &self.node else { continue };
            self.checker.file_of_positions(&node.store, offsets.into_iter(), committed)?;
            self.files.insert(path, bytes);
        }
        Ok(())
    }

    /// The process is gone, and with it every connection.
    fn crash(&mut self, image: TestStorage, end: End) {
        self.report.crashes += 1;
        self.checker.crashes += 1;
        self.end_of_life();
        self.disk = image;
        if matches!(end, End::Power(_)) && !self.plan.sync_flush {
            // What it had read may be gone: as after every start, it asks where its group is.
            self.consumer = Consumer::default();
        }
        self.faults = Faults::default();
        self.soon(20, 1_500, Event::Start(end));
    }

    fn end_of_life(&mut self) {
        self.life += 1;
        self.node = None;
        let peers: Vec<PeerId> = self.lines.keys().copied().collect();
        for peer in peers {
            self.hang_up(peer);
        }
    }

    fn stop(&mut self) -> Law {
        if self.disk.is_armed() {
            // Something worse comes first.
            return Ok(());
        }
        let Some(node) = self.node.take() else { return Ok(()) };
        let flushed = node.store.positions().flushed.0;
        let stopped = node.stop();
        self.end_of_life();
        self.report.stops += 1;
        let end = match stopped {
            Ok(()) => End::Stop,
            Err(_) if self.has_faults() => {
                // It could not write everything: the next start recovers as after a kill.
                self.checker.crashes += 1;
                self.disk = self.disk.kill();
                End::Kill
            }
            Err(error) => return Err(format!("no clean stop: {error}; flushed {flushed}")),
        };
        self.faults = Faults::default();
        self.disk.set_faults(Faults::default());
        self.soon(20, 500, Event::Start(end));
        Ok(())
    }

    fn has_faults(&self) -> bool {
        self.faults.sync.is_some() || self.faults.write.is_some() || self.faults.free.is_some()
    }

    /// What an event left behind: frames, work, a crash in the middle of it, broken invariants.
    fn settle(&mut self, flushed_before: u64) -> Law {
        if let Some((image, crash)) = self.disk.image() {
            let end = end_by(crash, flushed_before);
            self.crash(image, end);
            return Ok(());
        }
        let Some(node) = &self.node else { return Ok(()) };
        let positions = node.store.positions();
        self.checker.invariants(positions)?;
        // Only what no crash in the middle of the turn has undone counts.
        if std::mem::take(&mut self.disk_had_turn) {
            self.files_of_positions()?;
        }
        let Some(node) = &self.node else { return Ok(()) };
        let left = node.wire.take();
        let life = self.life;
        if left.commit {
            self.soon(0, 3, Event::Turn(life, Turn::Commit));
            if self.plan.sync_flush && !self.flush_planned {
                self.flush_planned = true;
                let slow = self.now_ms < self.slow_until_ms;
                let (from, to) = if slow { (1_000, 7_000) } else { (3, 9) };
                self.soon(from, to, Event::Turn(life, Turn::Flush));
            }
        }
        if left.tables {
            self.soon(1, 30, Event::Turn(life, Turn::Tables));
        }
        for job in left.jobs {
            self.soon(1, 40, Event::Job(life, job));
        }
        for (peer, bytes) in left.frames {
            self.check_answer(&bytes, positions.flushed.0)?;
            self.fold(u64::from(crc32fast::hash(&bytes)));
            self.soon(1, 8, Event::Deliver(peer, bytes));
        }
        Ok(())
    }

    /// What leaves the broker must be true when it leaves.
    fn check_answer(&self, bytes: &Bytes, flushed: u64) -> Law {
        let Some(frame) = decoded(bytes) else { return Err("a frame is malformed".to_owned()) };
        let Ok(header) = frame.decode() else { return Err("a header is malformed".to_owned()) };
        if header.is_response()
            && let Ok(answer) = SendResponse::decode(&header.ext)
            && let Some((_, physical)) = ids::parse_offset_id(&answer.message_id)
        {
            self.checker.answering(header.code, physical, flushed)?;
        }
        if header.is_response() && header.code == response_code::SUCCESS {
            for view in record::iter(&frame.body) {
                self.checker.handing_out(&view, flushed)?;
            }
        }
        Ok(())
    }
}

/// The network.
impl World {
    fn connect(&mut self, client: usize) {
        if self.connections[client].is_some() {
            return;
        }
        let Some(node) = &self.node else {
            self.soon(30, 120, Event::Connect(client));
            return;
        };
        self.last_peer += 1;
        let peer = self.last_peer;
        self.lines.insert(peer, (client, Arc::new(Line::new(peer, &node.wire))));
        self.connections[client] = Some(peer);
        self.plan_at(0, Event::Wake(client));
    }

    /// Ends a connection; both sides notice. What was under way is lost.
    fn hang_up(&mut self, peer: PeerId) {
        let Some((client, line)) = self.lines.remove(&peer) else { return };
        self.inboxes.remove(&peer);
        match &self.node {
            Some(node) => node.gone(&line),
            None => line.close(),
        }
        self.connections[client] = None;
        match self.producers.get_mut(client) {
            Some(producer) => producer.cut(self.now_ms),
            None => self.consumer.cut(self.now_ms),
        }
        self.soon(20, 300, Event::Connect(client));
    }

    fn post(&mut self, client: usize, frames: Vec<Outgoing>) {
        let Some(peer) = self.connections[client] else { return };
        for frame in frames {
            let bytes = encoded(&frame, Serialization::Json);
            let inbox = self.inboxes.entry(peer).or_default();
            inbox.push(bytes.clone());
            if self.plan.unruly_frames && client != CONSUMER {
                // A library that sends again by itself, and threads that share a connection.
                if self.rng.percent(5) {
                    inbox.push(bytes);
                    let producer = self.producers.get(client);
                    let message = producer.and_then(|own| own.message_of(frame.opaque));
                    if let Some(message) = message {
                        self.checker.sending(message);
                    }
                }
                if inbox.len() > 1 && self.rng.percent(20) {
                    let last = inbox.len() - 1;
                    inbox.swap(last, last - 1);
                }
            }
        }
        if self.inboxes.contains_key(&peer) {
            self.soon(1, 8, Event::Arrive(peer));
        }
    }

    fn arrive(&mut self, peer: PeerId) {
        let frames = self.inboxes.remove(&peer).unwrap_or_default();
        let (Some(node), Some((_, line))) = (&self.node, self.lines.get(&peer)) else { return };
        let frames: Vec<Frame> = frames.iter().filter_map(decoded).collect();
        if !frames.is_empty() {
            node.receive(line, &frames);
        }
        if line.is_closed() {
            self.hang_up(peer);
        }
    }

    fn deliver(&mut self, peer: PeerId, bytes: &Bytes) -> Law {
        let Some((client, _)) = self.lines.get(&peer) else { return Ok(()) };
        let client = *client;
        let Some(frame) = decoded(bytes) else { return Ok(()) };
        let Ok(header) = frame.decode() else { return Ok(()) };
        if !header.is_response() {
            return Ok(());
        }
        self.client_answered(client, &frame, &header)
    }

    fn client_answered(&mut self, client: usize, frame: &Frame, header: &Header<'_>) -> Law {
        let (now_ms, node) = (self.now_ms, &self.node);
        if let Some(producer) = self.producers.get_mut(client) {
            producer.answered(header, now_ms, &mut self.checker);
            return Ok(());
        }
        let max = |place: &Place| {
            let end = node.as_ref().map(|node| node.store.max_offset(&place.0, place.1).0);
            end.map_or(i64::MAX, |end| end as i64)
        };
        self.consumer.answered(frame, header, now_ms, &mut self.checker, max)
    }

    fn wake(&mut self, client: usize) -> Law {
        if self.connections[client].is_none() {
            return Ok(());
        }
        let frames = match self.producers.get_mut(client) {
            Some(producer) => producer.wake(self.now_ms, &mut self.rng, &mut self.checker),
            None => self.consumer.wake(self.now_ms, &mut self.checker),
        };
        self.post(client, frames);
        if client == CONSUMER {
            if let Some(late) = self.consumer.overdue(self.now_ms) {
                return Err(late);
            }
            self.soon(20, 80, Event::Wake(client));
        } else {
            self.soon(20, 150, Event::Wake(client));
        }
        Ok(())
    }
}

/// The end of a run.
impl World {
    /// Heals everything once the troubles are over; whether everything is delivered then.
    fn is_over(&mut self) -> Result<bool, String> {
        let troubles =
            self.events.values().any(|event| matches!(event, Event::Trouble(_) | Event::Start(_)));
        if troubles || self.node.is_none() || self.disk.is_armed() {
            return Ok(false);
        }
        let Some(healed_ms) = self.healed_ms else {
            if self.producers.iter().all(Producer::has_sent_all) {
                self.heal();
            }
            return Ok(false);
        };
        if self.producers.iter().all(Producer::is_done) && self.is_drained() {
            return Ok(true);
        }
        if self.now_ms > healed_ms + DRAIN_MS {
            return Err(format!(
                "not everything is delivered {DRAIN_MS} ms after the last trouble"
            ));
        }
        Ok(false)
    }

    fn heal(&mut self) {
        self.healed_ms = Some(self.now_ms);
        self.faults = Faults::default();
        self.disk.set_faults(Faults::default());
        self.slow_until_ms = 0;
        for producer in &mut self.producers {
            producer.probe();
        }
    }

    fn is_drained(&self) -> bool {
        let Some(node) = &self.node else { return false };
        let waiting = node.store.queues(names::SCHEDULE_TOPIC).into_iter().any(|queue| {
            let end = node.store.max_offset(names::SCHEDULE_TOPIC, queue).0 as i64;
            node.broker.delay_offsets.get(queue + 1) < end
        });
        let read = self.consumer.places().all(|(place, next, done)| {
            done && next == Some(node.store.max_offset(&place.0, place.1).0 as i64)
        });
        !waiting && read
    }

    fn end(&mut self) -> Law {
        let Some(node) = self.node.take() else { return Err("no broker at the end".to_owned()) };
        self.checker.finished(&node.store)?;
        node.stop().map_err(|error| format!("no clean stop at the end: {error}"))?;
        // What a clean stop leaves is complete: the next start sees the same.
        self.start(End::Stop)?;
        let node = self.node.as_ref().ok_or("no start after the last stop")?;
        self.checker.finished(&node.store)
    }
}

fn end_by(crash: Crash, flushed: u64) -> End {
    match crash {
        Crash::Kill => End::Kill,
        Crash::Power(_) => End::Power(flushed),
    }
}
