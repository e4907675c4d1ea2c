//! Transactions that are not decided: half messages between the broker's position and the end, less
//! those that an op message names; given-up ones too. And deciding one in its producer's place
//! (admin.md §5 j).

use std::collections::{BTreeMap, BTreeSet};

use engine::client::figures::QueueAt;
use engine::client::{Ask, ClientError, Cluster, MessageExt};
use engine::protocol::body::MessageQueue;
use engine::protocol::code;
use engine::protocol::names;
use engine::protocol::properties::key;
use engine::protocol::request::transaction::EndTransaction;

use crate::data::Fig;

/// Messages of one queue that are read.
pub const READ_MAX: i64 = 20_000;
/// `commitOrRollback` of a commit, and of a rollback.
const VERDICTS: (i32, i32) = (8, 12);

/// One transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Half {
    /// Unique id.
    pub id: String,
    /// Topic that the message goes to.
    pub topic: String,
    /// Producer group.
    pub group: String,
    /// Keys.
    pub keys: String,
    /// When it was sent, the producer's clock, ms.
    pub born_ms: i64,
    /// Checks that were made.
    pub checks: u32,
    /// The broker asks no more.
    pub given_up: bool,
    /// Producers of the group that are online, and so can be asked.
    pub producers: Fig<u64>,
    /// Broker name.
    pub broker: String,
    /// Address of the broker.
    pub addr: String,
    /// Offset of the newest half copy in its queue.
    pub queue_offset: i64,
    /// Offset of it in the commit log.
    pub log_offset: i64,
}

/// All transactions that wait for somebody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transactions {
    /// Oldest first.
    pub halves: Vec<Half>,
    /// Whether everything was read.
    pub complete: bool,
    /// How each broker checks, by its name; not of those that do not tell their settings.
    pub rules: BTreeMap<String, Rules>,
}

/// How a broker checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Time between two checks, ms.
    pub interval_ms: i64,
    /// Checks until it gives up.
    pub checks_max: u32,
}

/// All of them with the rules of their brokers (26).
///
/// # Errors
/// When a broker cannot be asked.
pub async fn all(cluster: &Cluster) -> Result<Transactions, ClientError> {
    let (halves, complete) = list(cluster).await?;
    let mut rules = BTreeMap::new();
    for (broker, addr) in super::masters(cluster).await? {
        // A broker that keeps its settings to itself leaves a question mark in NEXT.
        let Ok(config) = cluster.broker_config(&addr).await else { continue };
        let checks = config.int("transactionCheckMax").and_then(|n| u32::try_from(n).ok());
        let interval = config.int("transactionCheckInterval");
        if let (Some(interval_ms), Some(checks_max)) = (interval, checks) {
            rules.insert(broker, Rules { interval_ms, checks_max });
        }
    }
    Ok(Transactions { halves, complete, rules })
}

/// What becomes of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The message is delivered.
    Commit,
    /// It never is.
    Rollback,
}

/// All of them, oldest first; the second value: whether everything was read.
///
/// # Errors
/// When a broker cannot be asked.
pub async fn list(cluster: &Cluster) -> Result<(Vec<Half>, bool), ClientError> {
    let (mut out, mut complete) = (Vec::new(), true);
    let mut online: BTreeMap<(String, String), Fig<u64>> = BTreeMap::new();
    for (broker, addr) in super::masters(cluster).await? {
        let (halves, whole) = of_broker(cluster, &broker, &addr).await?;
        complete &= whole;
        for (message, given_up) in halves {
            let group = message.get(key::PRODUCER_GROUP).unwrap_or_default().to_owned();
            let asked = (addr.clone(), group.clone());
            if !online.contains_key(&asked) {
                let producers = cluster.producer_connections(&addr, &group).await;
                let figure = match producers {
                    Ok(found) => Fig::Known(found.connection_set.len() as u64),
                    Err(error) => Fig::Unknown(error.to_string().into()),
                };
                online.insert(asked.clone(), figure);
            }
            let checks = message.get(key::TRANSACTION_CHECK_TIMES);
            out.push(Half {
                id: message.unique_id(),
                topic: message.get(key::REAL_TOPIC).unwrap_or_default().to_owned(),
                group,
                keys: message.keys().collect::<Vec<_>>().join(" "),
                born_ms: message.born_ms,
                checks: checks.and_then(|n| n.parse().ok()).unwrap_or_default(),
                given_up,
                producers: online[&asked].clone(),
                broker: broker.clone(),
                addr: addr.clone(),
                queue_offset: message.queue_offset,
                log_offset: message.log_offset,
            });
        }
    }
    out.sort_by(|a, b| (a.born_ms, &a.id).cmp(&(b.born_ms, &b.id)));
    Ok((out, complete))
}

/// Half messages of one broker with whether they were given up.
async fn of_broker(
    cluster: &Cluster,
    broker: &str,
    addr: &str,
) -> Result<(Vec<(MessageExt, bool)>, bool), ClientError> {
    let (halves, whole) = unread(cluster, broker, addr, names::HALF_TOPIC).await?;
    let (ops, ops_whole) = unread(cluster, broker, addr, names::OP_HALF_TOPIC).await?;
    let decided: BTreeSet<i64> = ops
        .iter()
        .flat_map(|op| op.text().unwrap_or_default().split(','))
        .filter_map(|offset| offset.trim().parse().ok())
        .collect();
    // Each check enters the open ones anew: only the last copy counts, and a decision on any copy.
    let mut newest: BTreeMap<String, MessageExt> = BTreeMap::new();
    let mut ended: BTreeSet<String> = BTreeSet::new();
    for half in halves {
        let id = half.unique_id();
        if decided.contains(&half.queue_offset) {
            ended.insert(id.clone());
        }
        newest.insert(id, half);
    }
    newest.retain(|id, half| !ended.contains(id) && !decided.contains(&half.queue_offset));
    let mut out: Vec<(MessageExt, bool)> = newest.into_values().map(|half| (half, false)).collect();
    let (lost, lost_whole) = unread(cluster, broker, addr, names::TRANS_CHECK_MAX_TOPIC).await?;
    out.extend(lost.into_iter().map(|half| (half, true)));
    Ok((out, whole && ops_whole && lost_whole))
}

/// Messages that the broker's own group has not passed, all queues; false: not all were read.
async fn unread(
    cluster: &Cluster,
    broker: &str,
    addr: &str,
    topic: &str,
) -> Result<(Vec<MessageExt>, bool), ClientError> {
    let (mut out, mut whole) = (Vec::new(), true);
    let Some(stats) = cluster.topic_stats(addr, topic).await? else { return Ok((out, whole)) };
    for (queue, extent) in stats.offset_table {
        let at = QueueAt { addr, topic, queue_id: queue.queue_id };
        let passed = cluster.committed(at, names::TRANS_GROUP).await?.unwrap_or(extent.min_offset);
        let from = passed.max(extent.min_offset);
        let to = extent.max_offset.min(from + READ_MAX);
        whole &= to == extent.max_offset;
        let queue = MessageQueue { broker_name: broker.to_owned(), ..queue };
        out.extend(super::range(cluster, addr, &queue, from, to).await?);
    }
    Ok((out, whole))
}

/// Decides in the producer's place (37).
///
/// # Errors
/// Refused with 1 when a check has entered the message anew meanwhile: list again, once.
pub async fn decide(cluster: &Cluster, half: &Half, verdict: Verdict) -> Result<(), ClientError> {
    let ask = EndTransaction {
        topic: Some(&half.topic),
        group: &half.group,
        half_offset: half.queue_offset,
        log_offset: half.log_offset,
        verdict: if verdict == Verdict::Commit { VERDICTS.0 } else { VERDICTS.1 },
        from_check: Some(true),
        message_id: &half.id,
        transaction_id: Some(&half.id),
    };
    cluster.ask(&half.addr, Ask::new(code::END_TRANSACTION, ask)).await.map(drop)
}
