//! Messages that wait for a time of their own: totals by topic, and the newest ones one by one
//! (admin.md §5 k).

use std::collections::{BTreeMap, BTreeSet};

use engine::client::figures::QueueAt;
use engine::client::{ClientError, Cluster};
use engine::protocol::body::MessageQueue;
use engine::protocol::names;
use engine::protocol::properties::key;

use crate::data::Fig;
use crate::data::fig::sum;

/// Entries of a broker that are read for the list.
pub const ENTRIES_MAX: i64 = 10_000;
/// Bookkeeping of POP, which is nobody's message.
const REVIVE_PREFIX: &str = "rmq_sys_REVIVE_LOG";

/// What waits for one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Total {
    /// Topic that the messages will go to.
    pub topic: String,
    /// How many wait.
    pub waiting: Fig<u64>,
}

/// One waiting message.
#[derive(Clone, Debug, PartialEq)]
pub struct Timer {
    /// When it is due, the broker's clock, ms.
    pub due_ms: i64,
    /// Topic that it will go to.
    pub topic: String,
    /// Unique id.
    pub unique_id: String,
    /// Keys.
    pub keys: String,
    /// Tag.
    pub tag: String,
    /// Broker.
    pub broker: String,
    /// When it was set, ms.
    pub stored_ms: i64,
    /// Host that set it.
    pub set_by: String,
    /// Body, bytes.
    pub size: u64,
    /// How often it was moved on because it lay further ahead than the wheel.
    pub rolled: u32,
}

/// Totals by topic; the second value: whether all masters told theirs.
///
/// # Errors
/// When no name server answers.
pub async fn totals(cluster: &Cluster) -> Result<(Vec<Total>, bool), ClientError> {
    let mut by_topic: BTreeMap<String, Vec<Fig<u64>>> = BTreeMap::new();
    let mut silent = None;
    for (_, addr) in super::masters(cluster).await? {
        match cluster.timer_metrics(&addr).await {
            Ok(metrics) => {
                let each = metrics.timing_count.into_iter();
                for (topic, metric) in each.filter(|(t, _)| !t.starts_with(REVIVE_PREFIX)) {
                    let count = metric.count.max(0).unsigned_abs();
                    by_topic.entry(topic).or_default().push(Fig::Known(count));
                }
            }
            Err(error) => silent = Some(error.to_string()),
        }
    }
    let mut out = Vec::new();
    for (topic, mut parts) in by_topic {
        parts.extend(silent.clone().map(|why| Fig::Unknown(why.into())));
        let waiting = sum(&parts);
        // An entry stays when its last message has gone.
        if waiting.value().is_none_or(|n| *n > 0) {
            out.push(Total { topic, waiting });
        }
    }
    Ok((out, silent.is_none()))
}

/// Waiting messages among the newest entries, soonest first; the second value: whether older entries
/// were left unread.
///
/// # Errors
/// When a broker cannot be asked.
pub async fn list(cluster: &Cluster) -> Result<(Vec<Timer>, bool), ClientError> {
    let (mut out, mut more) = (Vec::new(), false);
    for (broker, addr) in super::masters(cluster).await? {
        let at = QueueAt { addr: &addr, topic: names::TIMER_TOPIC, queue_id: 0 };
        let (min, max) = match (cluster.min_offset(at).await, cluster.max_offset(at).await) {
            (Ok(min), Ok(max)) => (min, max),
            (Err(error), _) | (_, Err(error)) if error.is_transport() => return Err(error),
            _ => continue, // a broker without timers
        };
        let from = min.max(max - ENTRIES_MAX);
        more |= from > min;
        let queue = MessageQueue {
            topic: names::TIMER_TOPIC.to_owned(),
            broker_name: broker.clone(),
            queue_id: 0,
        };
        let runtime = cluster.runtime(&addr).await?;
        let now = runtime.broker_now_ms().unwrap_or_else(|| cluster.now_ms());
        let entries = super::range(cluster, &addr, &queue, from, max).await?;
        let removed: BTreeSet<&str> =
            entries.iter().filter_map(|m| m.get(key::TIMER_DELETE_UNIQUE_KEY)).collect();
        for m in entries.iter().filter(|m| m.get(key::TIMER_DELETE_UNIQUE_KEY).is_none()) {
            let due = m.get(key::TIMER_OUT_MS).and_then(|ms| ms.parse::<i64>().ok());
            let (Some(due_ms), Some(topic)) =
                (due.filter(|due| *due > now), m.get(key::REAL_TOPIC))
            else {
                continue;
            };
            let unique_id = m.unique_id();
            // Recalls name topic and key; those of brokers before 5.3.2 the key alone.
            let victim = format!("{topic}+{unique_id}");
            let recalled =
                removed.contains(unique_id.as_str()) || removed.contains(victim.as_str());
            if recalled || topic.starts_with(REVIVE_PREFIX) {
                continue;
            }
            out.push(Timer {
                due_ms,
                topic: topic.to_owned(),
                unique_id,
                keys: m.keys().collect::<Vec<_>>().join(" "),
                tag: m.tag().unwrap_or_default().to_owned(),
                broker: broker.clone(),
                stored_ms: m.store_ms,
                set_by: m.born_host.ip().to_string(),
                size: m.body.len() as u64,
                rolled: m
                    .get(key::TIMER_ROLL_TIMES)
                    .and_then(|times| times.parse().ok())
                    .unwrap_or_default(),
            });
        }
    }
    out.sort_by(|a, b| (a.due_ms, &a.unique_id).cmp(&(b.due_ms, &b.unique_id)));
    // A timer that was set for longer than the wheel turns is entered again on its way.
    out.dedup_by(|a, b| a.unique_id == b.unique_id);
    Ok((out, more))
}
