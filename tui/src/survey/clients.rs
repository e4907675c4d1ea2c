//! Who is connected: members of groups by 203, producers by 328, each broker asked, united by client
//! id and group (admin.md §5 l).

use std::collections::{BTreeMap, BTreeSet};

use engine::client::admin::{Member, Stacks};
use engine::client::{ClientError, Cluster};
use engine::protocol::body::running_info::ConsumerRunningInfo;

use crate::data::{ClientRow, Fig};
use crate::model::stacks::{self, Stack};
use crate::poll::{client_row, problem};

/// Members of one group that are asked about themselves.
const ASKED_MAX: usize = 64;

/// One client in one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// Client id.
    pub id: String,
    /// Whether it produces; else it consumes.
    pub producer: bool,
    /// Its group.
    pub group: String,
    /// Its address as a broker sees it.
    pub address: String,
    /// Its language.
    pub language: String,
    /// Number of its wire version.
    pub version: i32,
    /// Brokers that it is connected to.
    pub brokers: Vec<String>,
    /// Since it was last heard.
    pub heard_ms: Fig<i64>,
}

/// Asks every master. The second value: whether all of them told everything.
///
/// # Errors
/// When no name server answers.
pub async fn list(cluster: &Cluster) -> Result<(Vec<Client>, bool), ClientError> {
    let mut found: BTreeMap<(String, bool, String), Client> = BTreeMap::new();
    let mut complete = true;
    for (broker, addr) in super::masters(cluster).await? {
        complete &= consumers(cluster, &broker, &addr, &mut found).await;
        complete &= producers(cluster, &broker, &addr, &mut found).await;
    }
    Ok((found.into_values().collect(), complete))
}

type Found = BTreeMap<(String, bool, String), Client>;

async fn consumers(cluster: &Cluster, broker: &str, addr: &str, found: &mut Found) -> bool {
    let (configs, offsets) = (cluster.group_configs(addr).await, cluster.all_offsets(addr).await);
    let mut complete = configs.is_ok();
    let mut groups: BTreeSet<String> = BTreeSet::new();
    groups.extend(configs.into_iter().flat_map(|c| c.subscription_group_table.into_keys()));
    let keys = offsets.into_iter().flat_map(|o| o.offset_table.into_keys());
    groups.extend(keys.filter_map(|key| Some(key.split_once('@')?.1.to_owned())));
    groups.retain(|group| !group.contains('@'));
    for group in groups {
        let Ok(members) = cluster.consumer_connections(addr, &group).await else {
            complete = false;
            continue;
        };
        for one in members.into_iter().flat_map(|members| members.connection_set) {
            let key = (group.clone(), false, one.client_id.clone());
            let client = found.entry(key).or_insert_with(|| Client {
                id: one.client_id,
                producer: false,
                group: group.clone(),
                address: one.client_addr,
                language: one.language,
                version: one.version,
                brokers: Vec::new(),
                heard_ms: Fig::unknown("brokers do not tell it of consumers"),
            });
            client.brokers.push(broker.to_owned());
        }
    }
    complete
}

async fn producers(cluster: &Cluster, broker: &str, addr: &str, found: &mut Found) -> bool {
    let Ok(table) = cluster.producers(addr).await else { return false };
    let now = cluster.now_ms();
    for (group, producers) in table.data {
        for one in producers {
            let key = (group.clone(), true, one.client_id.clone());
            let heard = (now - one.last_update_timestamp).max(0);
            let client = found.entry(key).or_insert_with(|| Client {
                id: one.client_id,
                producer: true,
                group: group.clone(),
                address: one.remote_ip.trim_start_matches('/').to_owned(),
                language: one.language,
                version: one.version,
                brokers: Vec::new(),
                heard_ms: Fig::Known(heard),
            });
            client.brokers.push(broker.to_owned());
            if let Fig::Known(known) = &mut client.heard_ms {
                *known = heard.min(*known);
            }
        }
    }
    true
}

/// Everybody who is connected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clients {
    /// Each client in each of its groups.
    pub rows: Vec<Client>,
    /// Whether all brokers told everything.
    pub complete: bool,
    /// What members of the open group tell of themselves, by client id.
    pub told: BTreeMap<String, ClientRow>,
}

/// A client's own view of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// Figures of its row.
    pub row: ClientRow,
    /// Its subscriptions: topic and expression.
    pub subscriptions: Vec<(String, String)>,
    /// Its queues: topic, broker, number.
    pub queues: Vec<(String, String, i32)>,
    /// Tries that it allows.
    pub limit: Option<i32>,
    /// Since when it consumes, its clock, ms.
    pub since_ms: Option<i64>,
    /// Threads that stand at the same place, most first.
    pub stacks: Vec<Stack>,
}

/// Everybody, and what the members of one group tell of themselves (307).
///
/// # Errors
/// When no name server answers.
pub async fn all(cluster: &Cluster, group: Option<&str>) -> Result<Clients, ClientError> {
    let (rows, complete) = list(cluster).await?;
    let mut told = BTreeMap::new();
    if let Some(group) = group {
        let masters: BTreeMap<String, String> =
            super::masters(cluster).await?.into_iter().collect();
        let members = rows.iter().filter(|c| !c.producer && c.group == group).take(ASKED_MAX);
        for member in members {
            let Some(addr) = member.brokers.iter().find_map(|name| masters.get(name)) else {
                continue;
            };
            let asked = Member { group, client_id: &member.id };
            let answer = cluster.running_info(addr, &asked, Stacks::Omit).await;
            let answer = answer.map_err(|error| problem(&error, cluster.now_ms()));
            told.insert(member.id.clone(), client_row(Some(&answer), cluster.now_ms()));
        }
    }
    Ok(Clients { rows, complete, told })
}

/// One consumer's own view with its stacks (307). Taking stacks pauses its threads for a moment.
///
/// # Errors
/// When its broker or the client does not answer.
pub async fn running(cluster: &Cluster, client: &Client) -> Result<Running, ClientError> {
    let masters = super::masters(cluster).await?;
    let addr = masters.iter().find(|(name, _)| client.brokers.contains(name));
    let Some((_, addr)) = addr else {
        return Err(ClientError::NoBroker(client.brokers.join(", ")));
    };
    let member = Member { group: &client.group, client_id: &client.id };
    let info = cluster.running_info(addr, &member, Stacks::Include).await?;
    Ok(view(info, cluster.now_ms()))
}

fn view(info: ConsumerRunningInfo, now_ms: i64) -> Running {
    let number = |key: &str| info.properties.get(key).and_then(|text| text.parse::<i64>().ok());
    let owned = info.mq_table.0.iter().filter(|(_, queue)| !queue.dropped);
    let wanted = info.subscription_set.iter();
    Running {
        subscriptions: wanted.map(|s| (s.topic.clone(), s.sub_string.clone())).collect(),
        queues: owned.map(|(q, _)| (q.topic.clone(), q.broker_name.clone(), q.queue_id)).collect(),
        limit: number("maxReconsumeTimes").and_then(|n| i32::try_from(n).ok()),
        since_ms: number("PROP_CONSUMER_START_TIMESTAMP").filter(|ms| *ms > 0),
        stacks: stacks::grouped(info.jstack.as_deref().unwrap_or_default()),
        row: client_row(Some(&Ok(info)), now_ms),
    }
}
