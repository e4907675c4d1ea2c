//! Who is connected and who reads what: 203, 204, 328, 300, 345.
//!
//! Spec: admin.md §4.5, §4.16; remoting.md §11.10.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::heartbeat::{ConsumeFromWhere, ConsumeType, MessageModel, SubscriptionData};
use super::lenient;

/// One client's connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Connection {
    #[serde(deserialize_with = "lenient::or_default")]
    pub client_addr: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub client_id: String,
    /// Name of the client's language; any text.
    #[serde(deserialize_with = "lenient::or_default")]
    pub language: String,
    pub version: i32,
}

/// Response body of GET_CONSUMER_CONNECTION_LIST (203).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerConnection {
    #[serde(deserialize_with = "lenient::or_default")]
    pub connection_set: Vec<Connection>,
    pub consume_from_where: ConsumeFromWhere,
    pub consume_type: ConsumeType,
    pub message_model: MessageModel,
    #[serde(deserialize_with = "lenient::or_default")]
    pub subscription_table: BTreeMap<String, SubscriptionData>,
}

/// Response body of GET_PRODUCER_CONNECTION_LIST (204).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProducerConnection {
    #[serde(deserialize_with = "lenient::or_default")]
    pub connection_set: Vec<Connection>,
}

/// Response body of GET_ALL_PRODUCER_INFO (328): group → producers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProducerTable {
    #[serde(deserialize_with = "lenient::or_default")]
    pub data: BTreeMap<String, Vec<ProducerInfo>>,
}

/// One producer of 328.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProducerInfo {
    #[serde(deserialize_with = "lenient::or_default")]
    pub client_id: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub language: String,
    pub last_update_timestamp: i64,
    /// `host:port` behind a slash, as Java prints addresses.
    #[serde(rename = "remoteIP", deserialize_with = "lenient::or_default")]
    pub remote_ip: String,
    pub version: i32,
}

/// Response body of QUERY_TOPIC_CONSUME_BY_WHO (300).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupList {
    #[serde(deserialize_with = "lenient::or_default")]
    pub group_list: Vec<String>,
}

/// Response body of QUERY_SUBSCRIPTION_BY_CONSUMER (345).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueriedSubscription {
    #[serde(deserialize_with = "lenient::or_default")]
    pub group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_data: Option<SubscriptionData>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub topic: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json_dialect::{from_slice, to_vec};

    #[test]
    fn consumer_connection_sample_reads() {
        let text = br#"{"connectionSet":[{"clientAddr":"10.1.4.31:51400","clientId":"10.1.4.31@c1","language":"JAVA","version":513}],"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionTable":{"orders":{"classFilterMode":false,"codeSet":[-1352294148,-838846263],"expressionType":"TAG","subString":"create||update","subVersion":1795555191589,"tagsSet":["create","update"],"topic":"orders"}}}"#;
        let body: ConsumerConnection = from_slice(text).unwrap();
        assert_eq!(body.connection_set[0].client_id, "10.1.4.31@c1");
        assert_eq!(body.consume_from_where, ConsumeFromWhere::FirstOffset);
        assert_eq!(body.subscription_table["orders"].code_set, [-1_352_294_148, -838_846_263]);
        assert_eq!(from_slice::<ConsumerConnection>(&to_vec(&body)).unwrap(), body);
    }

    #[test]
    fn producer_table_sample_reads() {
        let text = br#"{"data":{"shop-producer":[{"clientId":"x@p1","language":"JAVA","lastUpdateTimestamp":1795555218499,"remoteIP":"/10.1.4.31:51370","version":513}]}}"#;
        let table: ProducerTable = from_slice(text).unwrap();
        assert_eq!(table.data["shop-producer"][0].remote_ip, "/10.1.4.31:51370");
        assert_eq!(String::from_utf8(to_vec(&table)).unwrap().as_bytes(), text);
    }
}
