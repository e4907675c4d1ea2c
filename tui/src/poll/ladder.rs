//! The delay levels of all masters as one ladder, and the scan that splits them by group.

use std::collections::BTreeMap;

use engine::client::Cluster;
use engine::client::retry_ladder::{self, Level, Owner, Scan};

use super::known::Known;
use super::rows::InLevels;
use crate::data::fig::sum;
use crate::data::ladder::{Ladder, LadderGroup, LadderLevel};
use crate::data::{Fig, Limit, Name, Part, Ready};

/// Requests of the scan in one round: below 200 a second.
const STEPS: usize = 80;

/// Levels and scans by broker name.
#[derive(Debug, Default)]
pub struct Ladders {
    brokers: BTreeMap<String, (String, retry_ladder::Ladder)>,
    scans: BTreeMap<String, Scan>,
    /// Somebody asked for the split.
    asked: bool,
    /// Requests that the scan needed when it was asked for.
    total: u32,
}

impl Ladders {
    /// Takes a broker's levels in.
    pub fn take(&mut self, name: &str, addr: &str, ladder: &retry_ladder::Ladder) {
        self.brokers.insert(name.to_owned(), (addr.to_owned(), ladder.clone()));
        if self.asked {
            let scan = self.scans.entry(name.to_owned()).or_insert_with(|| Scan::new(addr, name));
            scan.refresh(ladder);
        }
    }

    /// Asks for the split.
    pub fn scan(&mut self) {
        self.asked = true;
        for (name, (addr, ladder)) in &self.brokers {
            let scan = self.scans.entry(name.clone()).or_insert_with(|| Scan::new(addr, name));
            scan.refresh(ladder);
        }
        self.total = self.left();
    }

    fn left(&self) -> u32 {
        self.scans.values().map(|s| s.requests_left().max(0) as u32).sum()
    }

    /// Makes the next requests of the scan. True when something was read.
    pub async fn step(&mut self, cluster: &Cluster) -> bool {
        let mut read = false;
        for _ in 0..STEPS {
            let Some(scan) = self.scans.values_mut().find(|s| s.requests_left() > 0) else { break };
            if scan.step(cluster).await.is_err() {
                break;
            }
            read = true;
        }
        read
    }

    fn waiting(&self) -> u64 {
        self.each_level().map(|(_, l)| l.waiting() as u64).sum()
    }

    fn each_level(&self) -> impl Iterator<Item = (&String, &Level)> {
        self.brokers
            .iter()
            .flat_map(|(name, (_, ladder))| ladder.levels.iter().map(move |l| (name, l)))
    }

    fn complete(&self) -> bool {
        self.asked && !self.scans.is_empty() && self.left() == 0
    }

    /// Retries in the levels by group, once that is known.
    pub fn by_group(&self) -> InLevels {
        if self.brokers.is_empty() {
            return None;
        }
        if self.waiting() == 0 {
            return Some(BTreeMap::new());
        }
        if !self.complete() {
            return None;
        }
        let mut out: BTreeMap<String, Vec<Fig<u64>>> = BTreeMap::new();
        for (name, level) in self.each_level() {
            for (owner, figure) in self.split(name, level.number) {
                if let Owner::Group(group) = owner {
                    out.entry(group).or_default().push(figure);
                }
            }
        }
        Some(out.into_iter().map(|(g, parts)| (g, sum(&parts))).collect())
    }

    /// Users' delayed messages.
    pub fn user_delays(&self) -> Fig<u64> {
        if self.waiting() == 0 && !self.brokers.is_empty() {
            return Fig::Known(0);
        }
        if !self.complete() {
            return Fig::unknown("the delay levels are not split by group");
        }
        let parts: Vec<Fig<u64>> = self
            .each_level()
            .flat_map(|(name, l)| self.split(name, l.number))
            .filter(|(owner, _)| matches!(owner, Owner::User(_)))
            .map(|(_, f)| f)
            .collect();
        sum(&parts)
    }

    fn split(&self, broker: &str, level: u32) -> Vec<(Owner, Fig<u64>)> {
        let Some(scan) = self.scans.get(broker) else { return Vec::new() };
        let split = scan.split(level);
        let figure = |n: i64| {
            let n = n.max(0) as u64;
            match (split.complete, split.sampled) {
                (_, true) => Fig::About(n),
                (true, false) => Fig::Known(n),
                (false, false) => Fig::AtLeast(n),
            }
        };
        split.by_owner.iter().map(|(o, n)| (o.clone(), figure(*n))).collect()
    }

    /// The ladder as a snapshot.
    pub fn part(
        &self,
        known: &Known,
        dues: &BTreeMap<String, Fig<u64>>,
        now_ms: i64,
        (answered, asked): (u16, u16),
    ) -> Part<Ladder> {
        if self.brokers.is_empty() {
            return Part::Reading { done: 0, of: None, so_far: None };
        }
        let levels = self.levels(known, now_ms);
        let mut user: BTreeMap<String, Vec<Fig<u64>>> = BTreeMap::new();
        for (name, level) in self.each_level() {
            for (owner, figure) in self.split(name, level.number) {
                if let Owner::User(topic) = owner {
                    user.entry(topic).or_default().push(figure);
                }
            }
        }
        let mut user: Vec<(Name, Fig<u64>)> =
            user.into_iter().map(|(t, parts)| (t.as_str().into(), sum(&parts))).collect();
        user.sort_by_key(|(_, f)| std::cmp::Reverse(f.value().copied()));
        let groups = self.groups(known, &levels, dues, now_ms);
        let scan_left = match (self.asked, self.waiting()) {
            (_, 0) => Some((0, 0)),
            (false, _) => None,
            (true, _) => Some((self.left(), self.total.max(self.left()))),
        };
        let value = std::sync::Arc::new(Ladder { levels, groups, user, scan_left });
        Part::Ready(Ready { value, taken_ms: now_ms, answered, asked })
    }

    fn levels(&self, known: &Known, now_ms: i64) -> Vec<LadderLevel> {
        let mut out: BTreeMap<u32, LadderLevel> = BTreeMap::new();
        for (name, level) in self.each_level() {
            let ahead = known.brokers.get(&(name.clone(), 0)).map_or(0, |b| b.ahead_ms);
            let due = |ms: Option<i64>| ms.map(|ms| ms - now_ms - ahead);
            let delayed = level.waiting() as u64;
            let delayed = if level.exact { Fig::Known(delayed) } else { Fig::AtLeast(delayed) };
            let row = out.entry(level.number).or_insert_with(|| LadderLevel {
                level: level.number,
                delay_ms: level.delay_ms,
                delayed: Fig::Known(0),
                retry: Fig::Known(0),
                user: Fig::Known(0),
                next_due_ms: Fig::none("nothing waits"),
                last_due_ms: Fig::none("nothing waits"),
                by_group: BTreeMap::new(),
            });
            row.delayed = sum([&row.delayed, &delayed]);
            row.next_due_ms = earlier(&row.next_due_ms, due(level.next_due_ms), i64::min);
            row.last_due_ms = earlier(&row.last_due_ms, due(level.last_due_ms), i64::max);
            self.divide(row, name, level);
        }
        out.into_values().collect()
    }

    /// Adds one broker's retries and user delays of a level.
    fn divide(&self, row: &mut LadderLevel, broker: &str, level: &Level) {
        if level.waiting() == 0 {
            return;
        }
        let split = self.split(broker, level.number);
        if split.is_empty() {
            let unknown = Fig::unknown("not split yet: Ctrl+F");
            row.retry = sum([&row.retry, &unknown]);
            row.user = sum([&row.user, &unknown]);
            if row.delayed == Fig::Known(level.waiting() as u64) {
                row.retry = unknown.clone();
                row.user = unknown;
            }
            return;
        }
        for (owner, figure) in split {
            match owner {
                Owner::Group(group) => {
                    row.retry = sum([&row.retry, &figure]);
                    let here = row.by_group.entry(group.as_str().into()).or_insert(Fig::Known(0));
                    *here = sum([&*here, &figure]);
                }
                Owner::User(_) => row.user = sum([&row.user, &figure]),
            }
        }
    }

    fn groups(
        &self,
        known: &Known,
        levels: &[LadderLevel],
        dues: &BTreeMap<String, Fig<u64>>,
        now_ms: i64,
    ) -> Vec<LadderGroup> {
        let mut names: Vec<Name> = levels.iter().flat_map(|l| l.by_group.keys().cloned()).collect();
        let due = |f: &Fig<u64>| f.value().is_some_and(|n| *n > 0);
        names.extend(dues.iter().filter(|(_, f)| due(f)).map(|(g, _)| Name::from(g.as_str())));
        names.sort();
        names.dedup();
        names.into_iter().map(|group| self.group(known, levels, dues, &group, now_ms)).collect()
    }

    fn group(
        &self,
        known: &Known,
        levels: &[LadderLevel],
        dues: &BTreeMap<String, Fig<u64>>,
        group: &Name,
        now_ms: i64,
    ) -> LadderGroup {
        let parts: Vec<&Fig<u64>> = levels.iter().filter_map(|l| l.by_group.get(group)).collect();
        let in_levels = match (self.waiting(), self.complete()) {
            (0, _) | (_, true) => sum(parts),
            _ => Fig::AtLeast(sum(parts).value().copied().unwrap_or(0)),
        };
        let limit = super::rows::limit(known, group);
        let number = match limit {
            Limit::Client(n) | Limit::Group(n) => Some(n),
            Limit::Unknown => None,
        };
        let (last_try, next) = self.last_tries(known, group, number, now_ms);
        LadderGroup {
            group: group.clone(),
            in_levels,
            due: dues.get(&**group).cloned().unwrap_or(Fig::Known(0)),
            limit,
            last_try,
            last_try_due_ms: next,
        }
    }

    /// Entries whose next failure is their last, and when the first of them is due.
    fn last_tries(
        &self,
        known: &Known,
        group: &str,
        limit: Option<i32>,
        now_ms: i64,
    ) -> (Fig<u64>, Fig<i64>) {
        let Some(limit) = limit else {
            return (Fig::unknown("the limit is not known"), Fig::none("the limit is not known"));
        };
        let (mut count, mut next) = (0u64, None::<i64>);
        for (name, scan) in &self.scans {
            let ahead = known.brokers.get(&(name.clone(), 0)).map_or(0, |b| b.ahead_ms);
            let numbers = self.brokers.get(name).map(|b| b.1.levels.iter().map(|l| l.number));
            for entry in numbers.into_iter().flatten().flat_map(|n| scan.entries(n)) {
                if entry.tries >= limit && entry.owner == Owner::Group(group.to_owned()) {
                    count += 1;
                    let due = entry.due_ms - now_ms - ahead;
                    next = Some(next.map_or(due, |n| n.min(due)));
                }
            }
        }
        let next = next.map_or(Fig::none("none"), Fig::Known);
        let count = match (self.waiting(), self.complete()) {
            (0, _) | (_, true) => Fig::Known(count),
            _ => Fig::AtLeast(count),
        };
        (count, next)
    }
}

fn earlier(before: &Fig<i64>, ms: Option<i64>, pick: fn(i64, i64) -> i64) -> Fig<i64> {
    match (before.value(), ms) {
        (Some(a), Some(b)) => Fig::Known(pick(*a, b)),
        (None, Some(b)) => Fig::Known(b),
        (_, None) => before.clone(),
    }
}
