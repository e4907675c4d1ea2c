//! Reads pages of a queue and finds out where a message stands. Plain pulls of a tool's group: never a
//! commit, never a membership (console-screens.md §6.2).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use engine::client::figures::{Boundary, Key, QueueAt};
use engine::client::pull::PullAsk;
use engine::client::read_only::TOOLS_GROUP;
use engine::client::{ClientError, Cluster, MessageExt};
use engine::protocol::body::MessageQueue;
use engine::protocol::body::heartbeat::{EXPRESSION_TAG, SUBSCRIBE_ALL};
use engine::protocol::request::pull::PULL_SUBSCRIPTION;
use engine::protocol::{names, properties};

use crate::data::{Message, MessagePage, Where};
use crate::effect::{From, QueueRef};
use crate::format;

/// Messages of one page.
const PAGE: i64 = 64;
/// Messages of one pull.
const PULL_MAX: i32 = 32;
/// Pulls of one page: large messages come few at a time.
const PULLS_MAX: usize = 64;
/// Copies looked at.
const COPIES_MAX: i32 = 16;

/// A message as the console shows it.
pub fn message(m: &MessageExt) -> Message {
    let compressed = (m.body != m.stored_body).then(|| {
        let name = match m.sys_flag.compression_type() {
            1 => "lz4",
            2 => "zstd",
            _ => "zlib",
        };
        (name, m.stored_body.len() as u64)
    });
    let own: Vec<(String, String)> =
        properties::iter(&m.properties).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    Message {
        topic: m.topic.as_str().into(),
        broker: m.broker_name.as_str().into(),
        queue: m.queue_id,
        offset: m.queue_offset.max(0) as u64,
        stored_ms: m.store_ms,
        born_ms: m.born_ms,
        born_host: m.born_host.to_string(),
        store_host: m.store_host.to_string(),
        stored_size: (m.stored_body.len() + m.properties.len()) as u64,
        tag: m.tag().unwrap_or_default().to_owned(),
        keys: m.keys().collect::<Vec<_>>().join(" "),
        unique_id: m.unique_id(),
        offset_id: m.offset_id(),
        tries: m.reconsume_times.max(0) as u32,
        flag: m.flag,
        sys_flag: m.sys_flag.0,
        properties: own,
        body: Arc::from(&m.body[..]),
        compressed,
    }
}

async fn master(cluster: &Cluster, broker: &str) -> Result<String, ClientError> {
    let info = cluster.cluster_info().await?;
    let data = info.broker_addr_table.get(broker);
    data.and_then(|d| d.master().map(str::to_owned))
        .ok_or_else(|| ClientError::NoBroker(format!("broker name {broker}")))
}

/// Reads one page, newest first.
///
/// # Errors
/// When the broker cannot be asked.
pub async fn page(
    cluster: &Cluster,
    queue: &QueueRef,
    from: From,
) -> Result<MessagePage, ClientError> {
    let addr = master(cluster, &queue.broker).await?;
    let at = QueueAt { addr: &addr, topic: &queue.topic, queue_id: queue.queue };
    let (min, max) = (cluster.min_offset(at).await?, cluster.max_offset(at).await?);
    let (start, end) = match from {
        From::Newest => (max - PAGE, max),
        From::Oldest => (min, min + PAGE),
        From::Before(offset) => (offset as i64 - PAGE, offset as i64),
        From::Offset(offset) => (offset as i64, offset as i64 + PAGE),
        From::Time(ms) => {
            let first = cluster.offset_at(at, ms, Boundary::Lower).await?;
            (first, first + PAGE)
        }
    };
    let (start, end) = (start.clamp(min, max), end.clamp(min, max));
    let mut messages = Vec::new();
    let mut next = start;
    let wire = MessageQueue {
        topic: queue.topic.to_string(),
        broker_name: queue.broker.to_string(),
        queue_id: queue.queue,
    };
    for _ in 0..PULLS_MAX {
        if next >= end {
            break;
        }
        let pulled = cluster.pull(&addr, &ask(&wire, next, (end - next) as i32)).await?;
        let got = pulled.messages(&queue.broker);
        messages.extend(got.iter().filter(|m| m.queue_offset < end).map(message));
        if pulled.next <= next {
            break;
        }
        next = pulled.next;
    }
    messages.sort_by_key(|m| std::cmp::Reverse(m.offset));
    let missing = (end - start) - messages.len() as i64;
    Ok(MessagePage {
        messages,
        min: min.max(0) as u64,
        max: max.max(0) as u64,
        missing: (missing > 0).then(|| format!("{missing} offsets of this page hold no message")),
    })
}

fn ask(queue: &MessageQueue, offset: i64, most: i32) -> PullAsk<'_> {
    PullAsk {
        group: TOOLS_GROUP,
        queue,
        offset,
        max: most.clamp(1, PULL_MAX),
        flags: PULL_SUBSCRIPTION,
        commit: 0,
        hold: Duration::ZERO,
        expression: Some(SUBSCRIBE_ALL),
        expression_type: EXPRESSION_TAG,
        version: 0,
    }
}

/// Where a message stands for every group with a position on its queue.
///
/// # Errors
/// When the broker cannot be asked.
pub async fn wheres(cluster: &Cluster, m: &Message) -> Result<Vec<Where>, ClientError> {
    let addr = master(cluster, &m.broker).await?;
    let offsets = cluster.all_offsets(&addr).await?;
    let mut out = Vec::new();
    for (key, positions) in &offsets.offset_table {
        let Some((topic, group)) = key.split_once('@') else { continue };
        if topic != &*m.topic || group.contains('@') {
            continue;
        }
        let text = match positions.get(&m.queue).copied() {
            None => "unknown: nothing stored for this queue".to_owned(),
            Some(at) if at < 0 => "unknown: the position is negative".to_owned(),
            Some(at) if at as u64 <= m.offset => {
                format!("not yet: {} before it", format::count(m.offset - at as u64))
            }
            Some(_) => passed(cluster, &addr, group, m).await,
        };
        out.push(Where { group: group.into(), text });
    }
    Ok(out)
}

/// Past a message: filtered, retrying, dead, or no trace of it.
async fn passed(cluster: &Cluster, addr: &str, group: &str, m: &Message) -> String {
    if let Ok(Some(members)) = cluster.consumer_connections(addr, group).await
        && let Some(subscription) = members.subscription_table.get(&*m.topic)
    {
        let tags: BTreeSet<&str> = subscription.tags_set.iter().map(String::as_str).collect();
        if !tags.is_empty() && !tags.contains(m.tag.as_str()) {
            return "filtered by tag".to_owned();
        }
    }
    let copies = |topic: String| async move {
        cluster.query_messages(addr, &topic, Key::Unique(&m.unique_id), COPIES_MAX).await
    };
    let dead = copies(names::dlq_topic(group)).await;
    let retry = copies(names::retry_topic(group)).await;
    match (dead, retry) {
        (Ok(dead), _) if !dead.is_empty() => "passed · dead".to_owned(),
        (_, Ok(retry)) if !retry.is_empty() => {
            let tries = retry.iter().map(|c| c.reconsume_times).max().unwrap_or(0);
            format!("passed · retrying ({tries} tries)")
        }
        (Ok(_), Ok(_)) => "passed · not in its retry topic, not in its dead letters".to_owned(),
        _ => "passed · retry and dead letters could not be asked".to_owned(),
    }
}
