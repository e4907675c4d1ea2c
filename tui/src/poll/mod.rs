//! The poller: asks the cluster on a schedule and publishes snapshots.
//!
//! What is visible is asked every interval, the rest in one bounded sweep; what changes seldom every
//! 15 intervals. Brokers are asked side by side, each one request after the other, so that a frozen
//! one delays nobody. First picture: one 43 and one 317 a broker. Recipes: admin.md §5 a–c, f–h.

mod ask;
mod clusters;
mod dead;
mod known;
mod ladder;
pub mod once;
mod rows;
pub mod watcher;

use std::collections::BTreeSet;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::client::{ClientError, Cluster};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use crate::data::{Link, Name, Problem, Snapshot};
use crate::effect::Watch;
use crate::event::Event;
use crate::ledger::Ledger;
pub use rows::client_row;

use ask::{Answer, Question};
use known::Known;

/// Every so many rounds what changes seldom is asked.
const SLOW_EVERY: u64 = 15;
/// Every so many rounds the tables of topics and groups are asked while they are small: a new topic or
/// the first dead letter of a group shows soon.
const TABLES_EVERY: u64 = 2;
/// Rounds between looks at the delay levels while only their sums are on screen.
const LADDER_EVERY: u64 = 3;
/// Topics up to which the tables count as small.
const TABLES_SMALL: usize = 300;
/// Every so many rounds the share of failing deliveries is asked.
const FAILING_EVERY: u64 = 3;
/// Topics that one broker is asked for in a round beyond the visible ones.
const SWEEP_TOPICS: usize = 40;
/// Queues whose oldest message is asked for in a round.
const FIRSTS_MAX: usize = 32;
/// Groups whose members a broker is asked for in a round.
const SWEEP_GROUPS: usize = 10;
/// Longest pause between tries while nothing answers.
const BACK_OFF_MAX_MS: i64 = 30_000;

/// What the console tells the poller.
#[derive(Debug)]
pub enum Order {
    Watch(Watch),
    Interval(i64),
    Refresh,
    Scan,
}

/// Runs until the console is gone.
pub async fn run(
    cluster: Arc<Cluster>,
    out: Sender<Event>,
    mut orders: UnboundedReceiver<Order>,
    ledger: Arc<Mutex<Ledger>>,
) {
    let mut poller = Poller {
        cluster,
        out,
        ledger,
        known: Known::default(),
        watch: Watch::Overview,
        interval_ms: 2_000,
        round: 0,
        failures: 0,
        gone_since_ms: None,
        dead: dead::Dead::default(),
        ladder: ladder::Ladders::default(),
    };
    loop {
        let pause = if poller.round().await { poller.interval_ms } else { poller.back_off() };
        if !poller.wait(pause, &mut orders).await {
            return;
        }
    }
}

struct Poller {
    cluster: Arc<Cluster>,
    out: Sender<Event>,
    ledger: Arc<Mutex<Ledger>>,
    known: Known,
    watch: Watch,
    interval_ms: i64,
    round: u64,
    failures: u32,
    gone_since_ms: Option<i64>,
    dead: dead::Dead,
    ladder: ladder::Ladders,
}

impl Poller {
    /// Waits for the next round, or until something has to be fetched at once. False: the end.
    async fn wait(&mut self, ms: i64, orders: &mut UnboundedReceiver<Order>) -> bool {
        let until = tokio::time::Instant::now() + Duration::from_millis(ms.max(0) as u64);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return true,
                order = orders.recv() => match order {
                    None => return false,
                    Some(Order::Watch(watch)) => {
                        let same = std::mem::discriminant(&watch) == std::mem::discriminant(&self.watch);
                        let named = matches!(watch, Watch::Topic(_) | Watch::Group(_) | Watch::Dead(_));
                        let changed = watch != self.watch;
                        self.watch = watch;
                        if changed && (!same || named) {
                            return true;
                        }
                    }
                    Some(Order::Interval(ms)) => self.interval_ms = ms,
                    Some(Order::Refresh) => return true,
                    Some(Order::Scan) => {
                        self.ladder.scan();
                        return true;
                    }
                },
            }
        }
    }

    /// 1, 2, 4 … 30 s.
    fn back_off(&self) -> i64 {
        (1_000_i64 << self.failures.saturating_sub(1).min(5)).min(BACK_OFF_MAX_MS)
    }

    fn tell(&self, snapshot: Snapshot) {
        let _ = self.out.send(Event::Snapshot(Box::new(snapshot))); // the console is gone: so are we
    }

    /// One round. False when no name server answered.
    async fn round(&mut self) -> bool {
        let info = match self.cluster.cluster_info().await {
            Ok(info) => info,
            Err(error) => {
                self.gone(&error);
                return false;
            }
        };
        self.failures = 0;
        self.gone_since_ms = None;
        self.tell(Snapshot::Link(Link::Up));
        let now = self.cluster.now_ms();
        self.known.brokers_are(&info, now);
        let slow = self.round.is_multiple_of(SLOW_EVERY);
        let mut asking = JoinSet::new();
        for question in self.questions(slow) {
            let cluster = Arc::clone(&self.cluster);
            asking.spawn(async move { ask::broker(&cluster, question).await });
        }
        while let Some(answer) = asking.join_next().await {
            // A task that panicked has no answer: its broker keeps the last one.
            if let Ok(answer) = answer {
                self.take(answer);
            }
        }
        self.round += 1;
        self.publish();
        self.details(slow).await;
        true
    }

    fn gone(&mut self, error: &ClientError) {
        let now = self.cluster.now_ms();
        self.failures += 1;
        let since_ms = *self.gone_since_ms.get_or_insert(now);
        let next_try_ms = now + self.back_off();
        self.tell(Snapshot::Link(Link::Gone { since_ms, next_try_ms, error: error.to_string() }));
    }

    /// What each broker is asked this round.
    fn questions(&mut self, slow: bool) -> Vec<Question> {
        let topics = self.topics();
        let groups = self.groups();
        let spans = self.known.spans_wanted(&self.visible_groups());
        let first = self.round == 0;
        let watched = match &self.watch {
            Watch::Ladder | Watch::Group(_) => true,
            Watch::Overview | Watch::Groups(_) => self.round.is_multiple_of(LADDER_EVERY),
            _ => false,
        };
        let small = self.known.topic_names().len() <= TABLES_SMALL;
        let tables = slow || (small && self.round.is_multiple_of(TABLES_EVERY));
        self.known
            .addresses()
            .into_iter()
            .map(|(name, id, addr)| Question {
                name,
                id,
                addr,
                slow,
                tables,
                first,
                topics: topics.clone(),
                groups: groups.clone(),
                spans: spans.clone(),
                failing: self.round.is_multiple_of(FAILING_EVERY),
                ladder: slow || watched,
            })
            .collect()
    }

    fn visible_groups(&self) -> BTreeSet<String> {
        match &self.watch {
            Watch::Groups(names) => names.iter().map(ToString::to_string).collect(),
            Watch::Group(name) => [name.to_string()].into(),
            _ => self.known.loud_groups(),
        }
    }

    /// Visible topics, then the next ones of the sweep.
    fn topics(&mut self) -> Vec<String> {
        let mut topics: BTreeSet<String> = BTreeSet::new();
        if let Watch::Topic(topic) = &self.watch {
            topics.insert(topic.to_string());
        }
        for group in self.visible_groups() {
            topics.extend(self.known.topics_of(&group));
        }
        topics.extend(self.known.sweep_topics(SWEEP_TOPICS));
        topics.into_iter().collect()
    }

    fn groups(&mut self) -> Vec<String> {
        let mut groups = self.visible_groups();
        groups.extend(self.known.sweep_groups(SWEEP_GROUPS));
        groups.into_iter().collect()
    }

    fn take(&mut self, answer: Answer) {
        let now = self.cluster.now_ms();
        if let Some(Ok(ladder)) = &answer.ladder {
            self.ladder.take(&answer.name, &answer.addr, ladder);
        }
        self.known.take(answer, now);
    }

    /// Everything that the round gave, as snapshots.
    fn publish(&mut self) {
        let now = self.cluster.now_ms();
        let resent = self.ledger.lock().map(|l| l.open_counts()).unwrap_or_default();
        let waiting = self.ladder.by_group();
        let picture =
            rows::picture(&mut self.known, &resent, &waiting, self.ladder.user_delays(), now);
        self.tell(Snapshot::Topics(picture.topics));
        self.tell(Snapshot::Groups(picture.groups));
        self.tell(Snapshot::Lags(picture.lags));
        self.tell(Snapshot::Brokers(picture.brokers));
        self.tell(Snapshot::Dead(self.dead.decorate(picture.dead)));
        self.tell(Snapshot::Cluster(picture.cluster));
        self.tell(Snapshot::Alerts(picture.alerts));
        let masters = self.known.masters();
        let dues = self.known.retry_unread();
        let part = self.ladder.part(&self.known, &dues, now, masters);
        self.tell(Snapshot::Ladder(part));
    }

    /// What only the open place needs.
    async fn details(&mut self, slow: bool) {
        let now = self.cluster.now_ms();
        match self.watch.clone() {
            Watch::Topic(topic) => {
                self.firsts(&topic).await;
                let detail = rows::topic_detail(&self.known, &topic, now);
                self.tell(Snapshot::Topic(topic, detail));
            }
            Watch::Group(group) => {
                self.members(&group).await;
                self.known.meter_queues(&group, now);
                let detail = rows::group_detail(&self.known, &group, now);
                self.tell(Snapshot::Group(group.clone(), detail));
                self.letters(group).await;
            }
            Watch::Dead(group) => {
                self.dead.ages(&self.cluster, &self.known, slow).await;
                if let Some(group) = group {
                    self.letters(group).await;
                }
            }
            _ if slow => self.dead.ages(&self.cluster, &self.known, slow).await,
            _ => {}
        }
        if self.ladder.step(&self.cluster).await {
            let dues = self.known.retry_unread();
            let part =
                self.ladder.part(&self.known, &dues, self.cluster.now_ms(), self.known.masters());
            self.tell(Snapshot::Ladder(part));
        }
    }

    /// Asks how old the oldest message of each queue of the open topic is.
    async fn firsts(&mut self, topic: &str) {
        let now = self.cluster.now_ms();
        for (addr, broker, queue) in self.known.firsts_wanted(topic, now, FIRSTS_MAX) {
            let at = engine::client::figures::QueueAt { addr: &addr, topic, queue_id: queue };
            if let Ok(first) = self.cluster.earliest_ms(at).await {
                self.known.firsts.insert((topic.to_owned(), broker, queue), (now, first));
            }
        }
    }

    async fn members(&mut self, group: &Name) {
        for (addr, client) in self.known.members(group) {
            let member = engine::client::admin::Member { group, client_id: &client };
            let stacks = engine::client::admin::Stacks::Omit;
            let answer = self.cluster.running_info(&addr, &member, stacks).await;
            self.known.running(group, &client, answer);
        }
    }

    async fn letters(&mut self, group: Name) {
        let ledger = Arc::clone(&self.ledger);
        if let Some(part) = self.dead.letters(&self.cluster, &self.known, &group, &ledger).await {
            self.tell(Snapshot::Letters(group, part));
        }
    }
}

/// A client's error as a cell, a code and a sentence.
pub fn problem(error: &ClientError, now_ms: i64) -> Problem {
    let (text, code) = match error {
        ClientError::Refused { code: 16, .. } => ("no permission", Some(16)),
        ClientError::Refused { code: code @ 17, .. } => ("no such topic", Some(*code)),
        ClientError::Refused { code: code @ 3, .. } => ("not supported", Some(*code)),
        ClientError::Refused { code, .. } => ("refused", Some(*code)),
        ClientError::Unreachable { .. } => ("unreachable", None),
        ClientError::Lost { .. } => ("connection lost", None),
        ClientError::TimeOut { .. } => ("no answer", None),
        ClientError::ReadOnly { .. } => ("read-only", None),
        ClientError::Malformed { .. } => ("unreadable answer", None),
        ClientError::NoNameServer | ClientError::NoBroker(_) | ClientError::Invalid(_) => {
            ("not possible", None)
        }
    };
    Problem { text: text.to_owned(), code, remark: error.to_string(), at_ms: now_ms }
}
