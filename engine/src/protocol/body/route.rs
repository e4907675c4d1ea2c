//! Where topics and brokers are: bodies of the name server (105, 106, 206, 224, 304, 219, 901).
//!
//! 105 is written with bare broker ids for clients below version 401, 106 always; the name server
//! chooses the writer. Spec: remoting.md §10, §11.8; admin.md §4.2.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::lenient;

/// Broker id of a master.
pub const MASTER_ID: i64 = 0;

/// Response body of GET_ROUTEINFO_BY_TOPIC (105).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicRouteData {
    #[serde(deserialize_with = "lenient::or_default")]
    pub broker_datas: Vec<BrokerData>,
    /// Left over from filter servers; empty, but old clients expect it.
    #[serde(deserialize_with = "lenient::or_default")]
    pub filter_server_table: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_topic_conf: Option<String>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub queue_datas: Vec<QueueData>,
}

/// A topic's queues on one broker name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueData {
    pub broker_name: String,
    pub perm: i32,
    pub read_queue_nums: i32,
    pub topic_sys_flag: i32,
    pub write_queue_nums: i32,
}

/// The addresses of one broker name; id 0 is the master.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerData {
    #[serde(deserialize_with = "lenient::or_default")]
    pub broker_addrs: BTreeMap<i64, String>,
    pub broker_name: String,
    pub cluster: String,
    pub enable_acting_master: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_name: Option<String>,
}

impl BrokerData {
    /// The master's address, if a master is registered.
    #[must_use]
    pub fn master(&self) -> Option<&str> {
        self.broker_addrs.get(&MASTER_ID).map(String::as_str)
    }
}

/// Response body of GET_BROKER_CLUSTER_INFO (106).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterInfo {
    #[serde(deserialize_with = "lenient::or_default")]
    pub broker_addr_table: BTreeMap<String, BrokerData>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub cluster_addr_table: BTreeMap<String, BTreeSet<String>>,
}

/// Response body of GET_BROKER_MEMBER_GROUP (901).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerMemberGroupBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_member_group: Option<BrokerMemberGroup>,
}

/// Who shares a broker name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerMemberGroup {
    #[serde(deserialize_with = "lenient::or_default")]
    pub broker_addrs: BTreeMap<i64, String>,
    pub broker_name: String,
    pub cluster: String,
}

/// Response body of 206, 224, 304, 305, 311–313, 343.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicList {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_addr: Option<String>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub topic_list: BTreeSet<String>,
}

/// A table of texts: 28, 219, and the answer to a registration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KvTable {
    #[serde(deserialize_with = "lenient::or_default")]
    pub table: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json_dialect::{from_slice, to_vec, to_vec_bare_ids};

    #[test]
    fn cluster_info_of_a_real_name_server_reads_and_writes_back_the_same_bytes() {
        let text = br#"{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"10.0.0.1:10911",1:"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"C","enableActingMaster":false}},"clusterAddrTable":{"C":["broker-a"]}}"#;
        let info: ClusterInfo = from_slice(text).unwrap();
        assert_eq!(info.broker_addr_table["broker-a"].master(), Some("10.0.0.1:10911"));
        assert_eq!(String::from_utf8(to_vec_bare_ids(&info)).unwrap().as_bytes(), text);
    }

    #[test]
    fn route_reads_quoted_and_bare_ids_alike() {
        let quoted = br#"{"brokerDatas":[{"brokerAddrs":{"0":"a","1":"b"},"brokerName":"n","cluster":"C"}],"filterServerTable":{},"queueDatas":[{"brokerName":"n","perm":6,"readQueueNums":2,"topicSysFlag":0,"writeQueueNums":2}]}"#;
        let route: TopicRouteData = from_slice(quoted).unwrap();
        let bare = to_vec_bare_ids(&route);
        assert!(bare.windows(4).any(|w| w == b"{0:\""));
        assert_eq!(from_slice::<TopicRouteData>(&bare).unwrap(), route);
        assert_eq!(from_slice::<TopicRouteData>(&to_vec(&route)).unwrap(), route);
    }

    #[test]
    fn member_group_sample_reads() {
        let text = br#"{"brokerMemberGroup":{"brokerAddrs":{0:"x",1:"y"},"brokerName":"broker-a","cluster":"C"}}"#;
        let body: BrokerMemberGroupBody = from_slice(text).unwrap();
        assert_eq!(body.broker_member_group.unwrap().broker_addrs[&1], "y");
    }
}
