//! Replay of a group: what moving it to a time would mean, and moving it, queue by queue.
//!
//! The plan asks and changes nothing; `decide::reset` says what a move means. What could not be asked
//! is listed, never guessed. Undo is the same with the old offsets. Recipe: admin.md §5 (e).

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::Cluster;
use super::error::ClientError;
use super::figures::{Boundary, QueueAt};
use super::message::MessageExt;
use super::pull::PullStatus;
use super::pull_consumer::reading;
use super::read_only::TOOLS_GROUP;
use crate::decide::pull_status::Extent;
pub use crate::decide::reset::Undo;
use crate::decide::reset::{self, Ask, Row, Total};
use crate::protocol::body::MessageQueue;
use crate::protocol::body::offsets::ConsumerOffsets;
use crate::protocol::names;

/// Where a group shall go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The first message stored at or after this time, ms.
    Time(i64),
    /// This offset, of a single queue.
    Offset(i64),
    /// The first message kept.
    First,
    /// The end: what waits is skipped.
    End,
}

/// How a broker lets one queue of a group be moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// By 222 for queue and offset, members online or not.
    Server,
    /// By a commit, because the broker resets only whole topics and no member is online.
    Commit,
    /// Not at all while members are online: they would overwrite it.
    MembersOnline,
}

/// One queue of a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueuePlan {
    /// Broker address.
    pub addr: String,
    /// Queue.
    pub queue: MessageQueue,
    /// What is kept of it.
    pub min: i64,
    /// Next offset to be written.
    pub max: i64,
    /// What the move means.
    pub row: Row,
    /// How it is done.
    pub way: Way,
}

impl QueuePlan {
    /// A queue that was moved before, for its undo.
    pub fn moved(addr: String, queue: MessageQueue, from: i64, to: i64, way: Way) -> Self {
        let row = Row { now: Some(from), target: to, again: None, skipped: None, note: None };
        Self { addr, queue, min: 0, max: i64::MAX, row, way }
    }

    fn at(&self) -> QueueAt<'_> {
        QueueAt { addr: &self.addr, topic: &self.queue.topic, queue_id: self.queue.queue_id }
    }
}

/// Something that the plan could not find out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unknown {
    /// Broker name.
    pub broker_name: String,
    /// Topic, when it concerns one.
    pub topic: Option<String>,
    /// Why.
    pub error: ClientError,
}

/// What moving a group would mean.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Consumer group.
    pub group: String,
    /// Where it shall go.
    pub target: Target,
    /// Its queues, in order of topic, broker name and queue id.
    pub queues: Vec<QueuePlan>,
    /// What could not be asked: sums are at least what they say.
    pub unknown: Vec<Unknown>,
}

impl Plan {
    /// Sums over all queues.
    pub fn total(&self) -> Total {
        let rows: Vec<Row> = self.queues.iter().map(|queue| queue.row).collect();
        reset::total(&rows)
    }

    /// Whether the sums are all there is.
    pub fn is_complete(&self) -> bool {
        self.unknown.is_empty() && self.total().unknown == 0
    }
}

/// How moving one queue ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The broker now gives this offset to the group.
    Moved(i64),
    /// It was accepted, but the broker gives another offset: somebody else moved the group.
    Different {
        /// What was wanted.
        wanted: i64,
        /// What the broker says.
        found: Option<i64>,
    },
    /// An undo had nothing to put back here.
    Nothing(Undo),
    /// Refused or not reached.
    Failed(ClientError),
}

/// Topics on which a group has a position on any master, without its retry topics.
pub async fn topics_of(cluster: &Cluster, group: &str) -> Result<BTreeSet<String>, ClientError> {
    let mut topics = BTreeSet::new();
    for (_, addr) in masters(cluster).await? {
        let offsets = cluster.all_offsets(&addr).await?;
        let of_group = offsets.offset_table.keys().filter_map(|key| topic_of(key, group));
        topics.extend(of_group.map(str::to_owned));
    }
    topics.retain(|topic| !topic.starts_with(names::RETRY_PREFIX));
    Ok(topics)
}

/// Plans the move of a group on these topics.
///
/// # Errors
/// When not even the brokers of the cluster are known. Everything else is in [`Plan::unknown`].
pub async fn plan(
    cluster: &Cluster,
    group: &str,
    topics: &[String],
    target: Target,
) -> Result<Plan, ClientError> {
    let masters = masters(cluster).await?;
    let online = members_online(cluster, group, &masters).await;
    let mut plan =
        Plan { group: group.to_owned(), target, queues: Vec::new(), unknown: Vec::new() };
    for (broker_name, addr) in masters {
        let facts = facts_of(cluster, &addr, online).await;
        let broker = Broker { name: broker_name, addr, facts };
        for topic in topics {
            if let Err(error) = plan_topic(cluster, &broker, topic, &mut plan).await {
                let (broker_name, topic) = (broker.name.clone(), Some(topic.clone()));
                plan.unknown.push(Unknown { broker_name, topic, error });
            }
        }
    }
    plan.queues.sort_by(|a, b| a.queue.cmp(&b.queue));
    Ok(plan)
}

/// Moves one queue and reads back what the broker made of it.
pub async fn run(cluster: &Cluster, group: &str, queue: &QueuePlan) -> Outcome {
    move_to(cluster, group, queue, queue.row.target).await
}

/// Puts one queue's old offset back, where that delivers nothing again.
pub async fn undo(cluster: &Cluster, group: &str, queue: &QueuePlan) -> Outcome {
    let Some(old) = queue.row.now else { return Outcome::Nothing(Undo::Moved) };
    let now = match cluster.committed(queue.at(), group).await {
        Ok(Some(now)) => now,
        Ok(None) => return Outcome::Nothing(Undo::Moved),
        Err(error) => return Outcome::Failed(error),
    };
    match reset::undo(queue.row.target, now, old) {
        Undo::Back(offset) => move_to(cluster, group, queue, offset).await,
        nothing => Outcome::Nothing(nothing),
    }
}

/// What an undo of one queue would do now, and where the group is.
///
/// # Errors
/// When the broker cannot be asked.
pub async fn undo_now(
    cluster: &Cluster,
    group: &str,
    queue: &QueuePlan,
) -> Result<(Option<i64>, Undo), ClientError> {
    let now = cluster.committed(queue.at(), group).await?;
    let undo = match (now, queue.row.now) {
        (Some(now), Some(old)) => reset::undo(queue.row.target, now, old),
        _ => Undo::Moved,
    };
    Ok((now, undo))
}

/// How a broker lets queues of a group be moved now.
///
/// # Errors
/// When a broker cannot be asked.
pub async fn way(cluster: &Cluster, addr: &str, group: &str) -> Result<Way, ClientError> {
    let online = members_online(cluster, group, &masters(cluster).await?).await;
    Ok(facts_of(cluster, addr, online).await?.way)
}

/// The first message that the group would get after the move; none at the end of the queue.
pub async fn first_message(
    cluster: &Cluster,
    queue: &QueuePlan,
) -> Result<Option<MessageExt>, ClientError> {
    let ask = reading(TOOLS_GROUP, &queue.queue, queue.row.target, 1);
    let pulled = cluster.pull(&queue.addr, &ask).await?;
    let mut messages = match pulled.status {
        PullStatus::Found => pulled.messages(&queue.queue.broker_name),
        _ => Vec::new(),
    };
    Ok(if messages.is_empty() { None } else { Some(messages.swap_remove(0)) })
}

async fn move_to(cluster: &Cluster, group: &str, queue: &QueuePlan, to: i64) -> Outcome {
    let done = match queue.way {
        Way::Server => cluster.reset_queue(queue.at(), group, to).await.map(drop),
        Way::Commit => commit_offline(cluster, group, queue, to).await,
        Way::MembersOnline => Err(ClientError::Invalid(format!(
            "{} moves single queues of a group only while no member is online",
            queue.queue.broker_name
        ))),
    };
    if let Err(error) = done {
        return Outcome::Failed(error);
    }
    match cluster.committed(queue.at(), group).await {
        Ok(Some(found)) if found == to => Outcome::Moved(to),
        Ok(found) => Outcome::Different { wanted: to, found },
        Err(error) => Outcome::Failed(error),
    }
}

/// A live member would overwrite a commit within seconds, so nobody may be online before and after.
async fn commit_offline(
    cluster: &Cluster,
    group: &str,
    queue: &QueuePlan,
    to: i64,
) -> Result<(), ClientError> {
    let online = || ClientError::Invalid(format!("members of {group} are online"));
    let masters = masters(cluster).await?;
    if members_online(cluster, group, &masters).await {
        return Err(online());
    }
    cluster.commit(queue.at(), group, to).await?;
    if members_online(cluster, group, &masters).await { Err(online()) } else { Ok(()) }
}

struct Broker {
    name: String,
    addr: String,
    facts: Result<Facts, ClientError>,
}

/// What is asked once a broker.
struct Facts {
    way: Way,
    committed: Result<ConsumerOffsets, ClientError>,
}

async fn facts_of(cluster: &Cluster, addr: &str, online: bool) -> Result<Facts, ClientError> {
    let config = cluster.broker_config(addr).await?;
    let way = match config.flag("useServerSideResetOffset") {
        Some(true) => Way::Server,
        _ if online => Way::MembersOnline,
        _ => Way::Commit,
    };
    Ok(Facts { way, committed: cluster.all_offsets(addr).await })
}

async fn plan_topic(
    cluster: &Cluster,
    broker: &Broker,
    topic: &str,
    plan: &mut Plan,
) -> Result<(), ClientError> {
    let facts = broker.facts.as_ref().map_err(Clone::clone)?;
    // A broker without the topic has nothing to move.
    let Some(stats) = cluster.topic_stats(&broker.addr, topic).await? else { return Ok(()) };
    let group = plan.group.clone();
    for (queue, extent) in stats.offset_table {
        let at = QueueAt { addr: &broker.addr, topic, queue_id: queue.queue_id };
        let committed = committed(cluster, facts, at, &group).await?;
        let extent = Extent { min: extent.min_offset, max: extent.max_offset };
        let row = reset::plan(ask(cluster, at, plan.target).await?, extent, committed);
        plan.queues.push(QueuePlan {
            addr: broker.addr.clone(),
            queue: MessageQueue { broker_name: broker.name.clone(), ..queue },
            min: extent.min,
            max: extent.max,
            row,
            way: facts.way,
        });
    }
    Ok(())
}

/// The stored position. Without the table of all positions a 0 may also mean "none" (admin.md §5 a).
async fn committed(
    cluster: &Cluster,
    facts: &Facts,
    at: QueueAt<'_>,
    group: &str,
) -> Result<Option<i64>, ClientError> {
    match &facts.committed {
        Ok(table) => {
            let queues = table.offset_table.get(&format!("{}@{group}", at.topic));
            Ok(queues.and_then(|queues| queues.get(&at.queue_id).copied()))
        }
        Err(_) => Ok(cluster.committed(at, group).await?.filter(|offset| *offset != 0)),
    }
}

async fn ask(cluster: &Cluster, at: QueueAt<'_>, target: Target) -> Result<Ask, ClientError> {
    Ok(match target {
        Target::Offset(offset) => Ask::Offset(offset),
        Target::First => Ask::First,
        Target::End => Ask::End,
        Target::Time(at_ms) => Ask::Time {
            at_ms,
            found: cluster.offset_at(at, at_ms, Boundary::Lower).await?,
            first_kept_ms: cluster.earliest_ms(at).await?,
        },
    })
}

/// Masters by broker name.
pub(super) async fn masters(cluster: &Cluster) -> Result<BTreeMap<String, String>, ClientError> {
    let info = cluster.cluster_info().await?;
    let master = |(name, data): (&String, &crate::protocol::body::route::BrokerData)| {
        Some((name.clone(), data.master()?.to_owned()))
    };
    Ok(info.broker_addr_table.iter().filter_map(master).collect())
}

/// Whether any broker has a member, or could not be asked.
async fn members_online(
    cluster: &Cluster,
    group: &str,
    masters: &BTreeMap<String, String>,
) -> bool {
    for addr in masters.values() {
        match cluster.consumer_connections(addr, group).await {
            Ok(None) => {}
            Ok(Some(body)) if body.connection_set.is_empty() => {}
            Ok(Some(_)) | Err(_) => return true,
        }
    }
    false
}

/// Topic of a key `topic@group` of this group.
fn topic_of<'a>(key: &'a str, group: &str) -> Option<&'a str> {
    key.split_once('@').filter(|(_, of)| *of == group).map(|(topic, _)| topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_belong_to_the_group_after_the_sign() {
        assert_eq!(topic_of("orders@billing", "billing"), Some("orders"));
        assert_eq!(topic_of("orders@billing2", "billing"), None);
        assert_eq!(topic_of("orders@billing@broadcast", "billing"), None);
        assert_eq!(topic_of("%RETRY%billing@billing", "billing"), Some("%RETRY%billing"));
    }

    #[test]
    fn a_plan_with_something_unknown_is_not_complete() {
        let row = Row { now: Some(5), target: 2, again: Some(3), skipped: Some(0), note: None };
        let queue = QueuePlan {
            addr: "b:1".into(),
            queue: MessageQueue::default(),
            min: 0,
            max: 9,
            row,
            way: Way::Server,
        };
        let mut plan = Plan {
            group: "g".into(),
            target: Target::First,
            queues: vec![queue.clone(), queue],
            unknown: Vec::new(),
        };
        assert_eq!((plan.total().again, plan.is_complete()), (6, true));
        plan.queues[0].row.again = None;
        assert!(!plan.is_complete());
        assert_eq!((plan.total().again, plan.total().unknown), (3, 1));
    }
}
