//! Who is connected: members of groups by 203, producers by 328, each broker asked, united by client
//! id and group (admin.md §5 l).

use std::collections::{BTreeMap, BTreeSet};

use engine::client::{ClientError, Cluster};

use crate::data::Fig;

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
