//! One complete picture for a command: everything that it needs is asked once, nothing in turns.
//!
//! The rows are the console's own; what takes two looks (rates) is asked for twice, on request only.
//! Recipes: admin.md §5 a–c, f–h.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::client::admin::{Member, Stacks};
use engine::client::dead_letters::{self, Pages};
use engine::client::figures::QueueAt;
use engine::client::{ClientError, Cluster};
use engine::protocol::names;
use tokio::task::JoinSet;

use super::ask::{self, Question};
use super::dead::{self, Dead};
use super::known::Known;
use super::ladder::Ladders;
use super::rows;
use crate::data::{Letter, Name, Picture, Snapshot};
use crate::ledger::Ledger;

/// Between two looks at what moves.
const SECOND_LOOK: Duration = Duration::from_secs(2);
/// Members asked for their own view in one look.
const MEMBERS_MAX: usize = 200;
/// Queues whose oldest message is asked for.
const FIRSTS_MAX: usize = 4_096;
/// Steps of a scan; each makes up to 80 requests.
const STEPS_MAX: usize = 500;

/// What a command needs beyond the tables of topics, groups and brokers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Need {
    /// Extents of topics: messages kept, dead letters.
    pub extents: bool,
    /// Who is online.
    pub members: bool,
    /// What the members say of themselves.
    pub running: bool,
    /// How far behind, and which share fails.
    pub spans: bool,
    /// What waits in the delay levels.
    pub ladder: bool,
    /// Whose it is: a scan.
    pub split: bool,
    /// Ages and origins of dead letters.
    pub ages: bool,
    /// Rates: a second look two seconds later.
    pub rates: bool,
}

/// One thing instead of all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Only {
    /// A topic, with its queues.
    Topic(String),
    /// A group, with its queues and members.
    Group(String),
}

/// Looks once.
///
/// # Errors
/// When no name server answers. What a broker does not tell is unknown in the picture.
pub async fn look(
    cluster: &Arc<Cluster>,
    ledger: &Mutex<Ledger>,
    need: Need,
    only: Option<&Only>,
) -> Result<Picture, ClientError> {
    let info = cluster.cluster_info().await?;
    let mut eye = Eye { known: Known::default(), ladders: Ladders::default() };
    eye.known.brokers_are(&info, cluster.now_ms());
    eye.round(cluster, &Wanted { tables: true, ladder: need.ladder, ..Wanted::default() }).await;
    let wanted = eye.wanted(need, only);
    eye.round(cluster, &wanted).await;
    if need.spans {
        let spans = eye.behind(&wanted.groups);
        eye.round(cluster, &Wanted { spans, ..Wanted::default() }).await;
    }
    if need.running {
        eye.members(cluster, &wanted.groups).await;
    }
    if need.split {
        eye.ladders.scan();
        for _ in 0..STEPS_MAX {
            if !eye.ladders.step(cluster).await {
                break;
            }
        }
    }
    if need.rates {
        if let Some(Only::Group(group)) = only {
            eye.known.meter_queues(group, cluster.now_ms());
        }
        // The first reading of the meters is taken while rows are made.
        drop(eye.rows(cluster, ledger));
        tokio::time::sleep(SECOND_LOOK).await;
        eye.round(cluster, &wanted).await;
        if let Some(Only::Group(group)) = only {
            eye.known.meter_queues(group, cluster.now_ms());
        }
    }
    eye.picture(cluster, ledger, need, only).await
}

/// Letters of a group, newest first, as the console lists them; at most so many.
///
/// # Errors
/// When a broker cannot be asked.
pub async fn letters(
    cluster: &Cluster,
    ledger: &Mutex<Ledger>,
    group: &str,
    most: usize,
) -> Result<(Vec<Letter>, i64), ClientError> {
    let queues = dead_letters::of_group(cluster, group).await?;
    let total = queues.total();
    let read = Pages::new(queues).next(cluster, most).await?;
    let ledger = ledger.lock().map_err(|_| ClientError::Invalid("the ledger is gone".into()))?;
    Ok((read.iter().map(|source| dead::letter(source, &ledger)).collect(), total))
}

#[derive(Default)]
struct Wanted {
    tables: bool,
    ladder: bool,
    topics: Vec<String>,
    groups: Vec<String>,
    spans: Vec<(String, String)>,
}

struct Eye {
    known: Known,
    ladders: Ladders,
}

impl Eye {
    /// Asks every broker, side by side.
    async fn round(&mut self, cluster: &Arc<Cluster>, wanted: &Wanted) {
        let mut asking = JoinSet::new();
        for (name, id, addr) in self.known.addresses() {
            let question = Question {
                name,
                id,
                addr,
                slow: wanted.tables,
                tables: wanted.tables,
                first: wanted.tables,
                topics: wanted.topics.clone(),
                groups: wanted.groups.clone(),
                spans: wanted.spans.clone(),
                failing: !wanted.spans.is_empty(),
                ladder: wanted.ladder,
            };
            let cluster = Arc::clone(cluster);
            asking.spawn(async move { ask::broker(&cluster, question).await });
        }
        while let Some(answer) = asking.join_next().await {
            // A task that panicked has no answer: its broker counts as silent.
            let Ok(answer) = answer else { continue };
            if let Some(Ok(ladder)) = &answer.ladder {
                self.ladders.take(&answer.name, &answer.addr, ladder);
            }
            self.known.take(answer, cluster.now_ms());
        }
    }

    fn wanted(&self, need: Need, only: Option<&Only>) -> Wanted {
        let groups: Vec<String> = match only {
            Some(Only::Group(group)) => vec![group.clone()],
            Some(Only::Topic(topic)) => {
                let all = self.known.group_names().into_iter();
                all.filter(|group| self.known.topics_of(group).contains(topic)).collect()
            }
            None => self.known.group_names().into_iter().collect(),
        };
        let topics: BTreeSet<String> = match only {
            Some(Only::Topic(topic)) => [topic.clone()].into(),
            Some(Only::Group(group)) => {
                let mut topics = self.known.topics_of(group);
                topics.extend([names::dlq_topic(group), names::retry_topic(group)]);
                topics
            }
            None => self.known.topic_names(),
        };
        Wanted {
            topics: if need.extents { topics.into_iter().collect() } else { Vec::new() },
            groups: if need.members || need.running { groups } else { Vec::new() },
            ..Wanted::default()
        }
    }

    /// Topic and group of everything that is read, retry topics apart.
    fn behind(&self, groups: &[String]) -> Vec<(String, String)> {
        let each = |group: &String| {
            let topics = self.known.topics_of(group).into_iter();
            let own = group.clone();
            topics
                .filter(|topic| !topic.starts_with(names::RETRY_PREFIX))
                .map(move |topic| (topic, own.clone()))
        };
        groups.iter().flat_map(each).collect()
    }

    async fn members(&mut self, cluster: &Cluster, groups: &[String]) {
        let mut left = MEMBERS_MAX;
        for group in groups {
            for (addr, client) in self.known.members(group) {
                if left == 0 {
                    return;
                }
                left -= 1;
                let member = Member { group, client_id: &client };
                let answer = cluster.running_info(&addr, &member, Stacks::Omit).await;
                self.known.running(group, &client, answer);
            }
        }
    }

    fn rows(&mut self, cluster: &Cluster, ledger: &Mutex<Ledger>) -> rows::Rows {
        let resent = ledger.lock().map(|ledger| ledger.open_counts()).unwrap_or_default();
        let waiting = self.ladders.by_group();
        let user = self.ladders.user_delays();
        rows::picture(&mut self.known, &resent, &waiting, user, cluster.now_ms())
    }

    async fn picture(
        mut self,
        cluster: &Arc<Cluster>,
        ledger: &Mutex<Ledger>,
        need: Need,
        only: Option<&Only>,
    ) -> Result<Picture, ClientError> {
        let now = cluster.now_ms();
        let rows = self.rows(cluster, ledger);
        let mut dead = Dead::default();
        if need.ages {
            dead.all_ages(cluster, &self.known).await;
        }
        let dues = self.known.retry_unread();
        let ladder = self.ladders.part(&self.known, &dues, now, self.known.masters());
        let mut picture = Picture::default();
        for part in [
            Snapshot::Topics(rows.topics),
            Snapshot::Groups(rows.groups),
            Snapshot::Lags(rows.lags),
            Snapshot::Brokers(rows.brokers),
            Snapshot::Dead(dead.decorate(rows.dead)),
            Snapshot::Cluster(rows.cluster),
            Snapshot::Alerts(rows.alerts),
            Snapshot::Ladder(ladder),
        ] {
            picture.take(part);
        }
        match only {
            Some(Only::Topic(topic)) => {
                let name: Name = topic.as_str().into();
                self.firsts(cluster, topic).await;
                let detail = rows::topic_detail(&self.known, &name, cluster.now_ms());
                picture.take(Snapshot::Topic(name, detail));
            }
            Some(Only::Group(group)) => {
                let name: Name = group.as_str().into();
                let detail = rows::group_detail(&self.known, &name, cluster.now_ms());
                picture.take(Snapshot::Group(name, detail));
            }
            None => {}
        }
        Ok(picture)
    }

    async fn firsts(&mut self, cluster: &Cluster, topic: &str) {
        let now = cluster.now_ms();
        for (addr, broker, queue) in self.known.firsts_wanted(topic, now, FIRSTS_MAX) {
            let at = QueueAt { addr: &addr, topic, queue_id: queue };
            if let Ok(first) = cluster.earliest_ms(at).await {
                self.known.firsts.insert((topic.to_owned(), broker, queue), (now, first));
            }
        }
    }
}
