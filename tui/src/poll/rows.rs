//! From answers to rows: pure but for what is remembered between rounds (series, meters, states).

use std::collections::{BTreeMap, BTreeSet};

use engine::protocol::body::heartbeat::MessageModel;
use engine::protocol::names;

use super::known::{Broker, Known, Members};
use crate::data::cluster::ClusterInfo;
use crate::data::dead::DeadGroup;
use crate::data::fig::sum;
use crate::data::groups::{
    ClientRow, Flag, GroupDetail, GroupKind, GroupLag, GroupQueue, GroupRow, Limit,
};
use crate::data::topics::{GroupOnTopic, QueueRow, TopicDetail, TopicRow};
use crate::data::{Alert, BrokerRow, Fig, Name, Part, Problem, Ready};
use crate::ledger::Resent;
use crate::model::group_state::{self, GroupState};
use crate::model::trend::{Trend, trend};

mod broker;
mod group;

pub use group::{client_row, limit, topic_lag};

/// Window and least distance of readings for rates of what moves with every message.
const RATE_MS: (i64, i64) = (12_000, 1_500);
/// The same for committed offsets, which move in steps of 5 s.
const COMMIT_MS: (i64, i64) = (60_000, 28_000);
/// Older answers are shown as stale.
const STALE_MS: i64 = 60_000;
/// Java clients say −1 and mean this.
const LIMIT_DEFAULT: i32 = 16;

/// What one round publishes.
pub struct Rows {
    pub cluster: Part<ClusterInfo>,
    pub topics: Part<Vec<TopicRow>>,
    pub groups: Part<Vec<GroupRow>>,
    pub lags: Part<Vec<GroupLag>>,
    pub brokers: Part<Vec<BrokerRow>>,
    pub dead: Part<Vec<DeadGroup>>,
    pub alerts: Vec<Alert>,
}

/// Retries in the delay levels by group: nothing for a group that was not seen in a complete split.
pub type InLevels = Option<BTreeMap<String, Fig<u64>>>;

fn part<T>(value: T, now_ms: i64, (answered, asked): (u16, u16)) -> Part<T> {
    Part::Ready(Ready { value: std::sync::Arc::new(value), taken_ms: now_ms, answered, asked })
}

/// Builds everything.
pub fn picture(
    known: &mut Known,
    resent: &Resent,
    levels: &InLevels,
    user: Fig<u64>,
    now_ms: i64,
) -> Rows {
    let masters = known.masters();
    let rates = topic_rates(known);
    let dead = dead(known, resent, now_ms);
    let groups = group::all(known, &dead, levels, &rates, now_ms);
    let lags = group::lags(known, &groups);
    let topics = topics(known, &groups, &rates, now_ms);
    let brokers: Vec<BrokerRow> = broker::all(known, now_ms);
    let cluster = cluster(known, &groups, &topics, &brokers, &dead, user, now_ms);
    let alerts = alerts(known, &brokers, &dead, now_ms);
    Rows {
        cluster: part(cluster, now_ms, masters),
        topics: part(topics, now_ms, masters),
        groups: part(groups, now_ms, masters),
        lags: part(lags, now_ms, masters),
        brokers: part(brokers, now_ms, masters),
        dead: part(dead, now_ms, masters),
        alerts,
    }
}

/// Messages per second by topic: known once some queue was read twice.
fn topic_rates(known: &Known) -> BTreeMap<String, f64> {
    let mut out: BTreeMap<String, f64> = BTreeMap::new();
    for ((topic, _, _), meter) in &known.topic_meters {
        // A topic of the sweep is read seldom: its rate is the mean since then.
        if let Some(rate) = meter.rate(70_000, RATE_MS.1) {
            *out.entry(topic.clone()).or_default() += rate;
        }
    }
    out
}

fn rate(rates: &BTreeMap<String, f64>, topic: &str) -> Fig<f64> {
    rates.get(topic).map_or(Fig::Few, |r| Fig::Known(*r))
}

fn add_rates<'a>(parts: impl Iterator<Item = &'a Fig<f64>>) -> Fig<f64> {
    let (mut total, mut seen, mut missing) = (0.0, false, false);
    for part in parts {
        match part.value() {
            Some(v) => {
                total += v;
                seen = true;
            }
            None => missing = true,
        }
    }
    match (seen, missing) {
        (false, true) => Fig::Few,
        (true, true) => Fig::AtLeast(total),
        _ => Fig::Known(total),
    }
}

fn stale<T>(value: T, taken_ms: i64, now_ms: i64) -> Fig<T> {
    let age = now_ms - taken_ms;
    if age > STALE_MS { Fig::Stale(value, age) } else { Fig::Known(value) }
}

fn is_system(topic: &str) -> bool {
    names::is_system_topic(topic)
        || topic.starts_with(names::RETRY_PREFIX)
        || topic.starts_with(names::DLQ_PREFIX)
        || topic.starts_with(names::SYSTEM_PREFIX)
}

fn kind(attribute: Option<&String>) -> &'static str {
    match attribute.map(String::as_str) {
        Some("FIFO") => "FIFO",
        Some("DELAY") => "DELAY",
        Some("TRANSACTION") => "TRANS",
        Some("MIXED") => "MIXED",
        _ => "",
    }
}

fn topics(
    known: &Known,
    groups: &[GroupRow],
    rates: &BTreeMap<String, f64>,
    now_ms: i64,
) -> Vec<TopicRow> {
    let brokers: BTreeSet<String> = known.each_master().map(|(name, _)| name.clone()).collect();
    known
        .topic_names()
        .into_iter()
        // Every broker has topics named after itself and its cluster.
        .filter(|t| !brokers.contains(t) && *t != known.cluster)
        .map(|topic| topic_row(known, &topic, groups, rates, now_ms))
        .collect()
}

fn topic_row(
    known: &Known,
    topic: &str,
    groups: &[GroupRow],
    rates: &BTreeMap<String, f64>,
    now_ms: i64,
) -> TopicRow {
    let (mut read, mut write, mut perm, mut kind_of) = (0, 0, 0, "");
    let mut counts = Vec::new();
    let mut last: Option<i64> = None;
    for (_, b) in known.each_master() {
        let Some(config) = b.topics.get(topic) else { continue };
        perm |= config.perm;
        read += config.read_queue_nums.max(0) as u32;
        write += config.write_queue_nums.max(0) as u32;
        kind_of = kind(config.attributes.get("message.type"));
        match b.stats.get(topic) {
            None => counts.push(Fig::Few),
            Some((at, extents)) => {
                let n = extents.values().map(|e| (e.max_offset - e.min_offset).max(0) as u64).sum();
                counts.push(stale(n, *at, now_ms));
                let newest = extents.values().map(|e| e.last_update_timestamp).max();
                let newest = newest.filter(|ms| *ms > 0).map(|ms| now_ms + b.ahead_ms - ms);
                last = last.min(newest).or(newest).or(last);
            }
        }
    }
    let readers: Vec<&GroupRow> =
        groups.iter().filter(|g| g.topics.contains(&Name::from(topic))).collect();
    let system = is_system(topic) || topic == names::reply_topic(&known.cluster);
    let few = counts.contains(&Fig::Few);
    TopicRow {
        name: topic.into(),
        kind: kind_of,
        only: match (perm & 4 != 0, perm & 2 != 0) {
            (true, false) => "R",
            (false, true) => "W",
            _ => "",
        },
        read_queues: read,
        write_queues: write,
        in_rate: rate(rates, topic),
        in_bytes: Fig::unknown("bytes are not asked for"),
        messages: if few { Fig::Few } else { sum(&counts) },
        lag: topic_lags(known, topic, &readers),
        groups: Fig::Known(readers.len() as u64),
        last_age_ms: match last {
            Some(ms) => Fig::Known(ms.max(0)),
            None if few => Fig::Few,
            None => Fig::none("never written, or all is deleted"),
        },
        system,
        problem: None,
    }
}

fn topic_lags(known: &Known, topic: &str, readers: &[&GroupRow]) -> Fig<u64> {
    let lags: Vec<Fig<u64>> = readers
        .iter()
        .filter(|g| !g.broadcasting)
        .map(|g| topic_lag(known, topic, &g.name))
        .collect();
    if lags.is_empty() { Fig::none("no group reads it") } else { sum(&lags) }
}

fn dead(known: &mut Known, resent: &Resent, now_ms: i64) -> Vec<DeadGroup> {
    let groups: BTreeSet<String> = known
        .topic_names()
        .iter()
        .filter_map(|t| names::group_of_dlq(t).map(str::to_owned))
        .collect();
    let mut out = Vec::new();
    for group in groups {
        let topic = names::dlq_topic(&group);
        let (mut total, mut again, mut ends, mut last, mut missing) =
            (0u64, 0u64, 0u64, None, false);
        for (name, b) in known.each_master() {
            if !b.topics.contains_key(&topic) {
                continue;
            }
            let Some((_, extents)) = b.stats.get(&topic) else {
                missing = true;
                continue;
            };
            for (queue, e) in extents {
                total += (e.max_offset - e.min_offset).max(0) as u64;
                ends += e.max_offset.max(0) as u64;
                let kept = |o: &&i64| **o >= e.min_offset && **o < e.max_offset;
                let sent = resent.get(&(topic.clone(), name.clone(), *queue));
                again += sent.map_or(0, |list| {
                    list.iter().filter(kept).collect::<BTreeSet<_>>().len() as u64
                });
                let newest = Some(e.last_update_timestamp).filter(|ms| *ms > 0);
                last = last.max(newest.map(|ms| ms - b.ahead_ms));
            }
        }
        let memory = known.memory.entry(group.clone()).or_default();
        if !missing {
            memory.dead.push(now_ms, ends);
        }
        let per_min = memory.dead.per_minute();
        let figure = |n: u64| if missing { Fig::AtLeast(n) } else { Fig::Known(n) };
        if total > 0 || missing {
            out.push(DeadGroup {
                group: group.into(),
                open: figure(total - again.min(total)),
                trend: if per_min.is_some_and(|n| n > 0) { Trend::Rising } else { Trend::Level },
                total: figure(total),
                new_1h: Fig::Few,
                oldest_age_ms: Fig::Few,
                last_age_ms: last
                    .map_or(Fig::unknown("not told"), |ms| Fig::Known((now_ms - ms).max(0))),
                from: Fig::Few,
                per_min: per_min.map_or(Fig::Few, Fig::Known),
                problem: None,
            });
        }
    }
    out
}

fn cluster(
    known: &mut Known,
    groups: &[GroupRow],
    topics: &[TopicRow],
    brokers: &[BrokerRow],
    dead: &[DeadGroup],
    user: Fig<u64>,
    now_ms: i64,
) -> ClusterInfo {
    let masters = brokers.iter().filter(|b| b.id == 0);
    let in_rate = add_rates(masters.clone().map(|b| &b.in_rate));
    let out_rate = add_rates(masters.clone().map(|b| &b.out_rate));
    known.in_series.push(now_ms, in_rate.value().map(|r| *r as u64));
    known.out_series.push(now_ms, out_rate.value().map(|r| *r as u64));
    let clients: BTreeSet<&str> = known
        .members
        .values()
        .flat_map(|m| m.by_broker.values())
        .flatten()
        .flatten()
        .flat_map(|c| c.connection_set.iter().map(|c| c.client_id.as_str()))
        .collect();
    let off =
        known.each_master().filter(|(_, b)| b.ahead_ms != 0).max_by_key(|(_, b)| b.ahead_ms.abs());
    let written: Vec<Fig<f64>> = known
        .each_master()
        .map(|(_, b)| b.log_meter.rate(RATE_MS.0, RATE_MS.1).map_or(Fig::Few, Fig::Known))
        .collect();
    let here = |b: &&BrokerRow| b.problem.is_none() && b.gone_since_ms.is_none();
    ClusterInfo {
        name: known.cluster.clone(),
        masters: masters.clone().count() as u32,
        slaves: brokers.iter().filter(|b| b.id != 0).count() as u32,
        brokers_answered: brokers.iter().filter(here).count() as u32,
        brokers_known: brokers.len() as u32,
        topics: Fig::Known(topics.iter().filter(|t| !t.system).count() as u64),
        groups: Fig::Known(groups.len() as u64),
        clients: Fig::AtLeast(clients.len() as u64),
        lag: sum(groups.iter().map(|g| &g.lag)),
        retry: sum(groups.iter().map(|g| &g.retry)),
        user_delays: user,
        dead_open: sum(dead.iter().map(|d| &d.open)),
        dead_total: sum(dead.iter().map(|d| &d.total)),
        dead_per_min: if dead.is_empty() {
            Fig::Known(0)
        } else {
            sum(dead.iter().map(|d| &d.per_min))
        },
        in_bytes: add_rates(written.iter()),
        in_rate,
        out_rate,
        in_spark: known.in_series.cells(36),
        out_spark: known.out_series.cells(36),
        failed_per_min: Fig::unknown("the broker does not tell"),
        clock_off: off.map(|(name, b)| (name.as_str().into(), b.ahead_ms / 1_000)),
    }
}

/// The built-in alerts (console-ux.md §10).
fn alerts(known: &Known, brokers: &[BrokerRow], dead: &[DeadGroup], now_ms: i64) -> Vec<Alert> {
    const SILENT_MS: i64 = 10_000;
    let mut out = Vec::new();
    let mut add = |critical: bool, text: String, subject: &Name| {
        out.push(Alert { critical, text, subject: Some(subject.clone()) });
    };
    for ((name, id), b) in &known.brokers {
        let subject: Name = name.as_str().into();
        let silent = b.answered_ms.map_or(0, |at| now_ms - at);
        if let Some(since) = b.gone_since_ms {
            let age = crate::format::age(now_ms - since);
            add(true, format!("{name} ({id}) gone for {age}"), &subject);
        } else if b.problem.is_some() && silent >= SILENT_MS {
            add(true, format!("{name} ({id}) silent for {}", crate::format::age(silent)), &subject);
        }
        if b.runtime.damaged_ranges().is_some_and(|r| !r.is_empty()) {
            let n = b.runtime.damaged_ranges().map_or(0, |r| r.len());
            add(true, format!("{name}: {n} damaged ranges in the log"), &subject);
        }
        if let Some(disk) =
            b.runtime.disk_free().filter(|d| d.limit > 0 && (d.refusing || d.free < d.limit))
        {
            let free = crate::format::bytes(disk.free);
            add(true, format!("{name}: disk full, {free} free, writes refused"), &subject);
        }
        if b.runtime.lacks_acl() == Some(true) {
            add(false, format!("{name} listens beyond loopback without access control"), &subject);
        }
    }
    for b in brokers {
        if let (Some([clean, ..]), Some(used)) = (b.disk_marks, b.disk.value())
            && *used >= clean
        {
            add(true, format!("{} disk {used}% over clean-up mark {clean}%", b.name), &b.name);
        }
    }
    let growing: Vec<&DeadGroup> =
        dead.iter().filter(|d| d.per_min.value().is_some_and(|n| *n > 0)).collect();
    if let Some(first) = growing.first() {
        let texts: Vec<String> = growing
            .iter()
            .take(3)
            .map(|d| format!("{} +{}/min", d.group, crate::format::fig_count(&d.per_min)))
            .collect();
        add(false, format!("dead letters grow: {}", texts.join(", ")), &first.group);
    }
    out.sort_by_key(|a| !a.critical);
    out
}

fn first_age(known: &Known, b: &Broker, queue: &(String, String, i32), now_ms: i64) -> Fig<i64> {
    match known.firsts.get(queue) {
        None => Fig::Few,
        Some((_, None)) => Fig::none("empty"),
        Some((_, Some(ms))) => Fig::Known((now_ms + b.ahead_ms - ms).max(0)),
    }
}

/// A topic opened.
pub fn topic_detail(known: &Known, topic: &Name, now_ms: i64) -> Part<TopicDetail> {
    let mut detail = TopicDetail::default();
    for (name, b) in known.each_master() {
        let Some((at, extents)) = b.stats.get(&**topic) else { continue };
        for (queue, e) in extents {
            let meter = known.topic_meters.get(&(topic.to_string(), name.clone(), *queue));
            let newest = Some(e.last_update_timestamp).filter(|ms| *ms > 0);
            let perm = b.topics.get(&**topic).map_or(6, |c| c.perm);
            detail.queues.push(QueueRow {
                broker: name.as_str().into(),
                queue: *queue,
                perm: match perm & 6 {
                    6 => "RW",
                    4 => "R",
                    2 => "W",
                    _ => "–",
                },
                min: stale(e.min_offset.max(0) as u64, *at, now_ms),
                max: stale(e.max_offset.max(0) as u64, *at, now_ms),
                in_rate: meter
                    .and_then(|m| m.rate(RATE_MS.0, RATE_MS.1))
                    .map_or(Fig::Few, Fig::Known),
                first_age_ms: first_age(
                    known,
                    b,
                    &(topic.to_string(), name.clone(), *queue),
                    now_ms,
                ),
                last_age_ms: newest
                    .map_or(Fig::none("empty"), |ms| Fig::Known((now_ms + b.ahead_ms - ms).max(0))),
            });
        }
    }
    for group in known.group_names() {
        if known.topics_of(&group).contains(&**topic) {
            let members = known.members.get(&group);
            let tags = group::tags(members, topic);
            let lag = match topic_lag(known, topic, &group) {
                Fig::Known(lag) if lag > 0 && tags.starts_with("tags ") => Fig::AtMost(lag),
                other => other,
            };
            detail.groups.push(GroupOnTopic {
                lag,
                clients: group::clients(members),
                tags,
                group: group.into(),
            });
        }
    }
    if detail.queues.is_empty() && known.each_master().any(|(_, b)| b.topics.contains_key(&**topic))
    {
        return Part::Reading { done: 0, of: None, so_far: None };
    }
    part(detail, now_ms, known.masters())
}

/// A group opened.
pub fn group_detail(known: &Known, group: &Name, now_ms: i64) -> Part<GroupDetail> {
    let detail = GroupDetail {
        queues: group::queues(known, group, now_ms),
        clients: group::client_rows(known, group, now_ms),
    };
    part(detail, now_ms, known.masters())
}
