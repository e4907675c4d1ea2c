//! What is asked once and seldom: clients, timers, undecided transactions, traces. Typed rows without
//! a screen; the poller has nothing to do with them.
//!
//! Reading is by plain pulls of the tools' group, with named bounds. Recipes: admin.md §5 i–l.

pub mod clients;
pub mod state;
pub mod timers;
pub mod trace;
pub mod transactions;

use std::time::Duration;

use engine::client::pull::{PullAsk, PullStatus};
use engine::client::read_only::TOOLS_GROUP;
use engine::client::{ClientError, Cluster, MessageExt};
use engine::protocol::body::MessageQueue;
use engine::protocol::body::heartbeat::{EXPRESSION_TAG, SUBSCRIBE_ALL};
use engine::protocol::request::pull::PULL_SUBSCRIPTION;

/// Messages of one pull.
const PULL_MAX: i32 = 32;

/// Masters by broker name.
///
/// # Errors
/// When no name server answers.
pub async fn masters(cluster: &Cluster) -> Result<Vec<(String, String)>, ClientError> {
    let info = cluster.cluster_info().await?;
    let each = info.broker_addr_table.iter();
    Ok(each.filter_map(|(name, data)| Some((name.clone(), data.master()?.to_owned()))).collect())
}

/// One pull of a queue: messages, and the offset behind them.
///
/// # Errors
/// When the broker cannot be asked.
pub async fn pull(
    cluster: &Cluster,
    addr: &str,
    queue: &MessageQueue,
    from: i64,
) -> Result<(Vec<MessageExt>, i64), ClientError> {
    let ask = PullAsk {
        group: TOOLS_GROUP,
        queue,
        offset: from,
        max: PULL_MAX,
        flags: PULL_SUBSCRIPTION,
        commit: 0,
        hold: Duration::ZERO,
        expression: Some(SUBSCRIBE_ALL),
        expression_type: EXPRESSION_TAG,
        version: 0,
    };
    let pulled = cluster.pull(addr, &ask).await?;
    let messages = match pulled.status {
        PullStatus::Found => pulled.messages(&queue.broker_name),
        _ => Vec::new(),
    };
    Ok((messages, pulled.next))
}

/// Messages of a queue from one offset up to another.
///
/// # Errors
/// When the broker cannot be asked.
pub async fn range(
    cluster: &Cluster,
    addr: &str,
    queue: &MessageQueue,
    from: i64,
    to: i64,
) -> Result<Vec<MessageExt>, ClientError> {
    let (mut at, mut out) = (from, Vec::new());
    while at < to {
        let (messages, next) = pull(cluster, addr, queue, at).await?;
        out.extend(messages.into_iter().filter(|message| message.queue_offset < to));
        if next <= at {
            break;
        }
        at = next;
    }
    Ok(out)
}
