//! Dead letters: ages and origins of all groups now and then, the letters of one group while watched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use engine::client::dead_letters::{self, DeadGroup as Queues, Letter as Source, Pages};
use engine::client::{ClientError, Cluster, MessageExt};
use engine::protocol::names;

use super::known::Known;
use super::problem;
use crate::data::dead::{Again, DeadGroup, Letter, Letters};
use crate::data::{Fig, Name, Part, Problem, Ready};
use crate::ledger::{Ledger, letter_name};
use crate::messages::message;
use crate::model::clock::Zone;

/// Letters read of one group; older ones are counted, not listed.
const LETTERS_MAX: usize = 500;
/// Letters whose origin topics are named.
const ORIGINS_OF: usize = 32;
/// Groups whose ages are asked in one round.
const GROUPS_EACH: usize = 8;
/// Older ages are asked again.
const AGES_FRESH_MS: i64 = 30_000;
const HOUR_MS: i64 = 3_600_000;

#[derive(Clone, Debug)]
struct Ages {
    asked_ms: i64,
    new_1h: Fig<u64>,
    oldest_ms: Option<i64>,
    from: Fig<String>,
    problem: Option<Problem>,
}

/// First and next offset of each queue: while they are the same, nobody died and nothing went.
type Extents = Vec<(i64, i64)>;

/// What is remembered between rounds.
#[derive(Debug, Default)]
pub struct Dead {
    ages: BTreeMap<String, Ages>,
    read: BTreeMap<String, (Extents, Vec<Source>)>,
}

impl Dead {
    /// Adds ages and origins to the rows.
    pub fn decorate(&self, rows: Part<Vec<DeadGroup>>) -> Part<Vec<DeadGroup>> {
        let Part::Ready(ready) = rows else { return rows };
        let now_ms = ready.taken_ms;
        let mut value = ready.value.as_ref().clone();
        for row in &mut value {
            if let Some(ages) = self.ages.get(&*row.group) {
                row.new_1h = ages.new_1h.clone();
                row.oldest_age_ms = ages
                    .oldest_ms
                    .map_or(Fig::unknown("not told"), |ms| Fig::Known((now_ms - ms).max(0)));
                row.from = ages.from.clone();
                row.problem = ages.problem.clone();
            }
        }
        Part::Ready(Ready { value: Arc::new(value), ..ready })
    }

    /// Asks ages of the groups whose ages are old.
    pub async fn ages(&mut self, cluster: &Cluster, known: &Known, slow: bool) {
        let now_ms = cluster.now_ms();
        let groups: BTreeSet<String> = known
            .topic_names()
            .iter()
            .filter_map(|t| names::group_of_dlq(t).map(str::to_owned))
            .collect();
        let fresh = |a: &Ages| now_ms - a.asked_ms < AGES_FRESH_MS && !slow;
        let old: Vec<String> = groups
            .into_iter()
            .filter(|g| !self.ages.get(g).is_some_and(fresh))
            .take(GROUPS_EACH)
            .collect();
        for group in old {
            let ages = match ask_ages(cluster, &group, now_ms).await {
                Ok(ages) => ages,
                Err(error) => Ages {
                    asked_ms: now_ms,
                    new_1h: Fig::Unknown(error.to_string().into()),
                    oldest_ms: None,
                    from: Fig::Unknown(error.to_string().into()),
                    problem: Some(problem(&error, now_ms)),
                },
            };
            self.ages.insert(group, ages);
        }
    }

    /// Asks ages of every group, once.
    pub async fn all_ages(&mut self, cluster: &Cluster, known: &Known) {
        loop {
            let before = self.ages.len();
            self.ages(cluster, known, false).await;
            if self.ages.len() == before {
                return;
            }
        }
    }

    /// Letters of one group, newest first; read again when some died or went.
    pub async fn letters(
        &mut self,
        cluster: &Cluster,
        known: &Known,
        group: &Name,
        ledger: &Arc<Mutex<Ledger>>,
    ) -> Option<Part<Letters>> {
        let now_ms = cluster.now_ms();
        let queues = match dead_letters::of_group(cluster, group).await {
            Ok(queues) => queues,
            Err(error) => return Some(Part::Refused(problem(&error, now_ms))),
        };
        let total = queues.total().max(0) as u64;
        let extents: Extents = queues.queues.iter().map(|q| (q.min, q.max)).collect();
        let same = self.read.get(&**group).is_some_and(|(e, _)| *e == extents);
        if !same {
            match Pages::new(queues).next(cluster, LETTERS_MAX).await {
                Ok(letters) => {
                    self.read.insert(group.to_string(), (extents, letters));
                }
                Err(error) => return Some(Part::Refused(problem(&error, now_ms))),
            }
        }
        let (_, sources) = self.read.get(&**group)?;
        let ledger = ledger.lock().ok()?;
        let newest: Vec<Letter> = sources.iter().map(|s| letter(s, &ledger)).collect();
        let sent = newest.iter().filter(|l| l.again.sent > 0).count() as u64;
        let read = newest.len() as u64;
        let value =
            Letters { newest, open: Some(total.saturating_sub(sent)), total: Some(total), read };
        let (answered, asked) = known.masters();
        Some(Part::Ready(Ready { value: Arc::new(value), taken_ms: now_ms, answered, asked }))
    }
}

async fn ask_ages(cluster: &Cluster, group: &str, now_ms: i64) -> Result<Ages, ClientError> {
    let queues: Queues = dead_letters::of_group(cluster, group).await?;
    let new_1h = dead_letters::dead_since(cluster, &queues, now_ms - HOUR_MS).await?;
    let mut oldest_ms: Option<i64> = None;
    for q in queues.queues.iter().filter(|q| q.max > q.min) {
        let at = engine::client::figures::QueueAt {
            addr: &q.addr,
            topic: &q.queue.topic,
            queue_id: q.queue.queue_id,
        };
        let earliest = cluster.earliest_ms(at).await?;
        oldest_ms = oldest_ms.min(earliest).or(earliest).or(oldest_ms);
    }
    let newest = Pages::new(queues).next(cluster, ORIGINS_OF).await?;
    let origins: BTreeSet<&str> = newest.iter().filter_map(Source::origin_topic).collect();
    let from = origins.into_iter().collect::<Vec<_>>().join(", ");
    let from =
        if from.is_empty() { Fig::unknown("the letters do not say") } else { Fig::Known(from) };
    let new_1h = Fig::Known(new_1h.max(0) as u64);
    Ok(Ages { asked_ms: now_ms, new_1h, oldest_ms, from, problem: None })
}

/// A letter as the console lists it.
pub fn letter(source: &Source, ledger: &Ledger) -> Letter {
    let m: &MessageExt = &source.message;
    let name = letter_name(&m.topic, &m.broker_name, m.queue_id, m.queue_offset);
    let lines = ledger.of(&name);
    let died = match source.resent_from() {
        Some(_) => source.resent_count().max(1),
        None => 0,
    };
    let mut history: Vec<String> = Vec::new();
    if let Some(from) = source.resent_from() {
        history.push(format!("a copy of {from} that died again"));
    }
    for line in lines {
        let at = Zone::Machine.date_hm(line.at_ms);
        history.push(format!("resent {at} by {} to {}: {}", line.user, line.to, line.result));
    }
    Letter {
        origin: source.origin_topic().unwrap_or("?").into(),
        tries: source.tries().max(0) as u32,
        again: Again { sent: lines.len() as u32, died, history: history.join(" · ") },
        message: Arc::new(message(m)),
        source: Some(Arc::new(source.clone())),
    }
}
