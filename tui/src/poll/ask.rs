//! One round of questions to one broker, one after the other.
//!
//! After the first failure of the way there the rest is left out: a frozen broker costs one time-out.

use engine::client::admin::BrokerConfig;
use engine::client::retry_ladder::{self, Ladder};
use engine::client::runtime_info::RuntimeInfo;
use engine::client::{ClientError, Cluster};
use engine::protocol::body::connection::ConsumerConnection;
use engine::protocol::body::group_config::SubscriptionGroupWrapper;
use engine::protocol::body::ha::HaRuntimeInfo;
use engine::protocol::body::heartbeat::MessageRequestModes;
use engine::protocol::body::offsets::ConsumerOffsets;
use engine::protocol::body::stats::{BrokerConsumeStats, ConsumeTimeSpans, TopicStatsTable};
use engine::protocol::body::topic_config::TopicConfigSerializeWrapper;
use engine::protocol::names;

/// What a broker is asked.
#[derive(Clone, Debug)]
pub struct Question {
    pub name: String,
    /// 0 = master; slaves are asked only for 28 and 907.
    pub id: i64,
    pub addr: String,
    pub slow: bool,
    /// Ask for the tables of topics and groups.
    pub tables: bool,
    pub first: bool,
    pub topics: Vec<String>,
    pub groups: Vec<String>,
    pub spans: Vec<(String, String)>,
    /// Ask how many deliveries were sent back.
    pub failing: bool,
    pub ladder: bool,
}

type Asked<T> = Option<Result<T, ClientError>>;

/// What came back; `None` was not asked.
#[derive(Debug, Default)]
pub struct Answer {
    pub name: String,
    pub id: i64,
    pub addr: String,
    /// When 28 was answered, this machine's clock.
    pub at_ms: i64,
    pub runtime: Asked<RuntimeInfo>,
    pub config: Asked<BrokerConfig>,
    pub ha: Asked<HaRuntimeInfo>,
    pub offsets: Asked<ConsumerOffsets>,
    pub topic_configs: Asked<TopicConfigSerializeWrapper>,
    pub group_configs: Asked<SubscriptionGroupWrapper>,
    pub modes: Asked<MessageRequestModes>,
    pub ends: Asked<BrokerConsumeStats>,
    pub stats: Vec<(String, Result<Option<TopicStatsTable>, ClientError>)>,
    pub members: Vec<(String, Result<Option<ConsumerConnection>, ClientError>)>,
    pub spans: Vec<((String, String), Result<ConsumeTimeSpans, ClientError>)>,
    /// Topic and group: sent back and delivered in the last minute, retries included.
    pub failing: Vec<((String, String), (i64, i64))>,
    pub ladder: Asked<Ladder>,
}

/// Asks everything of one round.
pub async fn broker(cluster: &Cluster, question: Question) -> Answer {
    let mut answer = Answer {
        name: question.name.clone(),
        id: question.id,
        addr: question.addr.clone(),
        ..Answer::default()
    };
    // A failure of the way there ends the round; what is missing stays `None`.
    let _ = fill(cluster, &question, &mut answer).await;
    answer
}

/// Stops at the first error of the way there.
fn pass<T>(result: Result<T, ClientError>) -> Result<Result<T, ClientError>, ()> {
    match &result {
        Err(error) if error.is_transport() => Err(()),
        _ => Ok(result),
    }
}

async fn fill(cluster: &Cluster, q: &Question, a: &mut Answer) -> Result<(), ()> {
    let runtime = cluster.runtime(&q.addr).await;
    a.at_ms = cluster.now_ms();
    let down = runtime.as_ref().is_err_and(ClientError::is_transport);
    a.runtime = Some(runtime);
    if down {
        return Err(());
    }
    a.ha = Some(pass(cluster.ha_status(&q.addr).await)?);
    if q.slow {
        a.config = Some(pass(cluster.broker_config(&q.addr).await)?);
    }
    if q.id != 0 {
        return Ok(());
    }
    a.offsets = Some(pass(cluster.all_offsets(&q.addr).await)?);
    if q.tables {
        a.topic_configs = Some(pass(cluster.topic_configs(&q.addr).await)?);
        a.group_configs = Some(pass(cluster.group_configs(&q.addr).await)?);
        a.modes = Some(pass(cluster.request_modes(&q.addr).await)?);
    }
    if q.first {
        a.ends = Some(pass(cluster.broker_consume_stats(&q.addr).await)?);
    }
    for topic in &q.topics {
        let stats = pass(cluster.topic_stats(&q.addr, topic).await)?;
        a.stats.push((topic.clone(), stats));
    }
    for group in &q.groups {
        let members = pass(cluster.consumer_connections(&q.addr, group).await)?;
        a.members.push((group.clone(), members));
    }
    for (topic, group) in &q.spans {
        let spans = pass(cluster.consume_time_spans(&q.addr, topic, group).await)?;
        a.spans.push(((topic.clone(), group.clone()), spans));
    }
    if q.failing {
        for (topic, group) in &q.spans {
            let counts = failing(cluster, &q.addr, topic, group).await?;
            a.failing.push(((topic.clone(), group.clone()), counts));
        }
    }
    if q.ladder {
        a.ladder = Some(pass(retry_ladder::levels(cluster, &q.addr).await)?);
    }
    Ok(())
}

/// Sent back and delivered in the last minute (315).
async fn failing(
    cluster: &Cluster,
    addr: &str,
    topic: &str,
    group: &str,
) -> Result<(i64, i64), ()> {
    let minute = |name: &'static str, key: String| async move {
        let stats = pass(cluster.broker_stats(addr, name, &key).await)?;
        Ok::<i64, ()>(stats.ok().flatten().map_or(0, |s| s.minute.sum))
    };
    let key = format!("{topic}@{group}");
    let retry = format!("{}@{group}", names::retry_topic(group));
    let back = minute("SNDBCK_PUT_NUMS", key.clone()).await?;
    let got = minute("GROUP_GET_NUMS", key).await? + minute("GROUP_GET_NUMS", retry).await?;
    Ok((back, got))
}
