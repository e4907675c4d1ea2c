//! Typed questions about a cluster and its configuration: names, brokers, topics, groups, clients.
//!
//! Each method is one request to one address unless it says otherwise; who to ask, and how answers of
//! several brokers are united, is the caller's business. Figures and offsets are in `figures`. Rules:
//! admin.md §1, §4.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::cluster::{Ask, Cluster};
use super::error::ClientError;
use super::read_only::foreign;
use super::runtime_info::{self, RuntimeInfo};
use crate::protocol::body::connection::GroupList;
use crate::protocol::body::connection::{ConsumerConnection, ProducerConnection, ProducerTable};
use crate::protocol::body::group_config::{SubscriptionGroupConfig, SubscriptionGroupWrapper};
use crate::protocol::body::ha::HaRuntimeInfo;
use crate::protocol::body::heartbeat::MessageRequestModes;
use crate::protocol::body::route::{
    BrokerMemberGroup, BrokerMemberGroupBody, ClusterInfo, KvTable, TopicList,
};
use crate::protocol::body::running_info::{ConsumeMessageDirectlyResult, ConsumerRunningInfo};
use crate::protocol::body::stats::TimerMetrics;
use crate::protocol::body::topic_config::{TopicConfig, TopicConfigSerializeWrapper};
use crate::protocol::ext_fields::Fields;
use crate::protocol::request::client::{ConsumerGroup, ProducerGroup};
use crate::protocol::request::group::DeleteGroup;
use crate::protocol::request::push;
use crate::protocol::request::route::{DeleteRoute, MemberGroup};
use crate::protocol::request::topic::{TopicOf, UpdateTopic};
use crate::protocol::{code, json_dialect, names, response_code};

/// How long a whole table may take.
const TABLE_WAIT: Duration = Duration::from_secs(15);
/// How long a request that a broker relays to a client may take: the broker's own 10 s and more.
const RELAY_WAIT: Duration = Duration::from_secs(12);

/// A broker's settings as `key=value`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BrokerConfig(pub BTreeMap<String, String>);

impl BrokerConfig {
    /// Reads the lines of 26 or 319.
    pub fn parse(text: &str) -> Self {
        let pair = |line: &str| {
            let (key, value) = line.split_once('=')?;
            Some((key.trim().to_owned(), value.trim().to_owned()))
        };
        Self(text.lines().filter_map(pair).collect())
    }

    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The number of a key.
    pub fn int(&self, key: &str) -> Option<i64> {
        self.text(key)?.parse().ok()
    }

    /// The switch of a key.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.text(key)?.parse().ok()
    }

    /// The delay of each level, ms; empty when the table is unknown.
    pub fn delay_levels(&self) -> Vec<i64> {
        runtime_info::delay_levels(self.text("messageDelayLevel").unwrap_or_default())
    }
}

/// What one broker is and can (admin.md §5, start-up probe). `None` in a part: it could not be asked.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Capabilities {
    /// Answer to 28; without it the broker counts as down.
    pub runtime: RuntimeInfo,
    /// Answer to 26.
    pub config: Option<BrokerConfig>,
    /// Answer to 907.
    pub ha: Option<HaRuntimeInfo>,
    /// 61 is served.
    pub timer_metrics: bool,
    /// 43 is served.
    pub all_offsets: bool,
}

impl Cluster {
    // --- Name server.

    /// Brokers by name, names by cluster (106).
    pub async fn cluster_info(&self) -> Result<ClusterInfo, ClientError> {
        self.ask_namesrv(Ask::new(code::GET_BROKER_CLUSTER_INFO, Fields::new())).await?.json()
    }

    /// All topics that have a route (206).
    pub async fn topic_names(&self) -> Result<TopicList, ClientError> {
        let ask =
            Ask::new(code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, Fields::new()).wait(TABLE_WAIT);
        self.ask_namesrv(ask).await?.json()
    }

    /// Who shares a broker name (901); none for a name without a broker.
    pub async fn member_group(
        &self,
        cluster_name: &str,
        broker_name: &str,
    ) -> Result<Option<BrokerMemberGroup>, ClientError> {
        let asked = MemberGroup { cluster_name, broker_name };
        let answer = self.ask_namesrv(Ask::new(code::GET_BROKER_MEMBER_GROUP, asked)).await?;
        Ok(answer.json::<BrokerMemberGroupBody>()?.broker_member_group)
    }

    /// Removes a topic's route from every name server (216); the first failure, when there is one.
    pub async fn delete_route(
        &self,
        topic: &str,
        cluster: Option<&str>,
    ) -> Result<(), ClientError> {
        let ask = Ask::new(code::DELETE_TOPIC_IN_NAMESRV, DeleteRoute { topic, cluster });
        let results = self.ask_every_namesrv(&ask).await;
        self.doubt_route(topic);
        results.into_iter().try_for_each(|(_, result)| result.map(drop))
    }

    // --- Brokers.

    /// Runtime table (28).
    pub async fn runtime(&self, addr: &str) -> Result<RuntimeInfo, ClientError> {
        let table: KvTable =
            self.ask_json(addr, code::GET_BROKER_RUNTIME_INFO, Fields::new()).await?;
        Ok(table.into())
    }

    /// Settings (26).
    pub async fn broker_config(&self, addr: &str) -> Result<BrokerConfig, ClientError> {
        let answer = self.ask(addr, Ask::new(code::GET_BROKER_CONFIG, Fields::new())).await?;
        Ok(BrokerConfig::parse(&String::from_utf8_lossy(&answer.body)))
    }

    /// Changes settings (25). A success says nothing: read them back (admin.md §4.12).
    pub async fn update_broker_config(
        &self,
        addr: &str,
        settings: &BTreeMap<String, String>,
    ) -> Result<(), ClientError> {
        let mut lines = String::new();
        for (key, value) in settings {
            lines.extend([key, "=", value, "\n"]);
        }
        let ask = Ask::new(foreign::UPDATE_BROKER_CONFIG, Fields::new()).body(lines);
        self.ask(addr, ask).await.map(drop)
    }

    /// Replication (907).
    pub async fn ha_status(&self, addr: &str) -> Result<HaRuntimeInfo, ClientError> {
        self.ask_json(addr, code::GET_BROKER_HA_STATUS, Fields::new()).await
    }

    /// Waiting timers per topic (61).
    pub async fn timer_metrics(&self, addr: &str) -> Result<TimerMetrics, ClientError> {
        self.ask_json(addr, foreign::GET_TIMER_METRICS, Fields::new()).await
    }

    /// What a broker is and can. Fails only when the broker does not answer 28.
    pub async fn probe(&self, addr: &str) -> Result<Capabilities, ClientError> {
        Ok(Capabilities {
            runtime: self.runtime(addr).await?,
            config: self.broker_config(addr).await.ok(),
            ha: self.ha_status(addr).await.ok(),
            timer_metrics: self.timer_metrics(addr).await.is_ok(),
            all_offsets: self.all_offsets(addr).await.is_ok(),
        })
    }

    // --- Topics.

    /// All topics of a broker (21).
    pub async fn topic_configs(
        &self,
        addr: &str,
    ) -> Result<TopicConfigSerializeWrapper, ClientError> {
        self.ask_table(addr, code::GET_ALL_TOPIC_CONFIG, Fields::new()).await
    }

    /// One topic of a broker (351); none when the broker does not have it.
    pub async fn topic_config(
        &self,
        addr: &str,
        topic: &str,
    ) -> Result<Option<TopicConfig>, ClientError> {
        let answer = self.call(addr, Ask::new(code::GET_TOPIC_CONFIG, TopicOf { topic })).await?;
        match answer.code {
            response_code::TOPIC_NOT_EXIST => Ok(None),
            _ => answer.success()?.json().map(Some),
        }
    }

    /// Topics that belong to a broker itself (305).
    pub async fn system_topics(&self, addr: &str) -> Result<TopicList, ClientError> {
        self.ask_json(addr, code::GET_SYSTEM_TOPIC_LIST_FROM_BROKER, Fields::new()).await
    }

    /// Creates or changes a topic on one master (17). Attributes are those to add or change.
    pub async fn update_topic(&self, addr: &str, config: &TopicConfig) -> Result<(), ClientError> {
        let signed: Vec<String> = config
            .attributes
            .iter()
            .map(|(key, value)| format!("{}={value}", signed(key)))
            .collect();
        let attributes = signed.join(",");
        let asked = UpdateTopic {
            topic: &config.topic_name,
            default_topic: Some(names::TEMPLATE_TOPIC),
            read_queues: config.read_queue_nums,
            write_queues: config.write_queue_nums,
            perm: config.perm,
            filter_type: config.topic_filter_type.as_str(),
            sys_flag: Some(config.topic_sys_flag),
            order: config.order,
            attributes: (!attributes.is_empty()).then_some(attributes.as_str()),
        };
        let ask = Ask::new(code::UPDATE_AND_CREATE_TOPIC, asked);
        self.doubt_route(&config.topic_name);
        self.ask(addr, ask).await.map(drop)
    }

    /// Removes a topic from one master (215); its route stays until [`Self::delete_route`].
    pub async fn delete_topic(&self, addr: &str, topic: &str) -> Result<(), ClientError> {
        self.ask(addr, Ask::new(code::DELETE_TOPIC_IN_BROKER, TopicOf { topic })).await.map(drop)
    }

    /// Groups that read a topic or have offsets on it (300).
    pub async fn groups_of_topic(
        &self,
        addr: &str,
        topic: &str,
    ) -> Result<Vec<String>, ClientError> {
        let code = code::QUERY_TOPIC_CONSUME_BY_WHO;
        Ok(self.ask_json::<GroupList>(addr, code, TopicOf { topic }).await?.group_list)
    }

    // --- Groups and clients.

    /// All groups of a broker (201).
    pub async fn group_configs(&self, addr: &str) -> Result<SubscriptionGroupWrapper, ClientError> {
        self.ask_table(addr, code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, Fields::new()).await
    }

    /// Creates or changes a group on one master (200).
    pub async fn update_group(
        &self,
        addr: &str,
        config: &SubscriptionGroupConfig,
    ) -> Result<(), ClientError> {
        // A group is read without the signs that its attributes are written with (admin.md §4.15).
        let mut config = config.clone();
        config.attributes =
            config.attributes.into_iter().map(|(key, value)| (signed(&key), value)).collect();
        let ask = Ask::new(code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, Fields::new());
        self.ask(addr, ask.body(json_dialect::to_vec(&config))).await.map(drop)
    }

    /// Removes a group from one master (207).
    pub async fn delete_group(
        &self,
        addr: &str,
        group: &str,
        offsets: GroupOffsets,
    ) -> Result<(), ClientError> {
        let asked = DeleteGroup { group, clean_offset: Some(offsets == GroupOffsets::Remove) };
        self.ask(addr, Ask::new(code::DELETE_SUBSCRIPTIONGROUP, asked)).await.map(drop)
    }

    /// Members of a group on one broker (203); none when nobody is online there.
    pub async fn consumer_connections(
        &self,
        addr: &str,
        group: &str,
    ) -> Result<Option<ConsumerConnection>, ClientError> {
        let ask = Ask::new(code::GET_CONSUMER_CONNECTION_LIST, ConsumerGroup { group });
        let answer = self.call(addr, ask).await?;
        match answer.code {
            response_code::CONSUMER_NOT_ONLINE => Ok(None),
            _ => answer.success()?.json().map(Some),
        }
    }

    /// Producers of a group on one broker (204); empty when nobody is online there.
    pub async fn producer_connections(
        &self,
        addr: &str,
        group: &str,
    ) -> Result<ProducerConnection, ClientError> {
        let ask = Ask::new(code::GET_PRODUCER_CONNECTION_LIST, ProducerGroup { group });
        let answer = self.call(addr, ask).await?;
        match answer.code {
            response_code::SYSTEM_ERROR => Ok(ProducerConnection::default()),
            _ => answer.success()?.json(),
        }
    }

    /// All producers of a broker (328).
    pub async fn producers(&self, addr: &str) -> Result<ProducerTable, ClientError> {
        self.ask_table(addr, code::GET_ALL_PRODUCER_INFO, Fields::new()).await
    }

    /// Which groups pop which topics (402); empty when none does.
    pub async fn request_modes(&self, addr: &str) -> Result<MessageRequestModes, ClientError> {
        let answer =
            self.call(addr, Ask::new(foreign::GET_ALL_MESSAGE_REQUEST_MODE, Fields::new())).await?;
        match answer.code {
            response_code::SYSTEM_ERROR => Ok(MessageRequestModes::default()),
            _ => answer.success()?.json(),
        }
    }

    /// One member's own view (307), relayed by the broker that it is connected to.
    pub async fn running_info(
        &self,
        addr: &str,
        member: &Member<'_>,
        stacks: Stacks,
    ) -> Result<ConsumerRunningInfo, ClientError> {
        let asked = push::ConsumerRunningInfo {
            group: member.group,
            client_id: member.client_id,
            stacks: Some(stacks == Stacks::Include),
        };
        let ask = Ask::new(code::GET_CONSUMER_RUNNING_INFO, asked).wait(RELAY_WAIT);
        self.ask(addr, ask).await?.json()
    }

    /// Has one member consume one message now (309); nothing is stored or moved (admin.md §4.7).
    pub async fn consume_directly(
        &self,
        addr: &str,
        member: &Member<'_>,
        topic: &str,
        offset_id: &str,
    ) -> Result<ConsumeMessageDirectlyResult, ClientError> {
        let asked = push::ConsumeDirectly {
            group: member.group,
            client_id: Some(member.client_id),
            message_id: Some(offset_id),
            broker_name: None,
            topic: Some(topic),
            topic_sys_flag: None,
            group_sys_flag: None,
        };
        let ask = Ask::new(code::CONSUME_MESSAGE_DIRECTLY, asked).wait(RELAY_WAIT);
        self.ask(addr, ask).await?.json()
    }

    // --- Shared.

    pub(super) async fn ask_json<T: DeserializeOwned>(
        &self,
        addr: &str,
        code: i32,
        fields: impl Into<Fields>,
    ) -> Result<T, ClientError> {
        self.ask(addr, Ask::new(code, fields)).await?.json()
    }

    /// Asks for what grows with the cluster.
    pub(super) async fn ask_table<T: DeserializeOwned>(
        &self,
        addr: &str,
        code: i32,
        fields: impl Into<Fields>,
    ) -> Result<T, ClientError> {
        self.ask(addr, Ask::new(code, fields).wait(TABLE_WAIT)).await?.json()
    }
}

/// One member of a consumer group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member<'a> {
    /// Its group.
    pub group: &'a str,
    /// Its client id.
    pub client_id: &'a str,
}

/// Whether a member's answer carries its thread stacks; taking them pauses the member for a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stacks {
    /// With stacks.
    Include,
    /// Without.
    Omit,
}

/// What becomes of a removed group's offsets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupOffsets {
    /// They stay: a group of the same name goes on where this one was.
    Keep,
    /// They go.
    Remove,
}

/// An attribute key as requests want it.
fn signed(key: &str) -> String {
    if key.starts_with(['+', '-']) { key.to_owned() } else { format!("+{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_from_lines_and_values_may_hold_equal_signs() {
        let config = BrokerConfig::parse("a=1\nmessageDelayLevel=1s 5s\nurl=x=y\n\nbroken\nb=true");
        assert_eq!(config.int("a"), Some(1));
        assert_eq!(config.text("url"), Some("x=y"));
        assert_eq!(config.flag("b"), Some(true));
        assert_eq!(config.delay_levels(), [1_000, 5_000]);
        assert_eq!(config.0.len(), 4);
    }

    #[test]
    fn attribute_keys_get_a_sign_once() {
        assert_eq!(signed("message.type"), "+message.type");
        assert_eq!(signed("-message.type"), "-message.type");
    }
}
