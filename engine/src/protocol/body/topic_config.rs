//! Configuration of topics: 17, 18, 21, 351, and what brokers register.
//!
//! Static-topic mappings are read past: this engine has none. Spec: remoting.md §11.9, §11.10;
//! admin.md §4.14.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient::{self, wire_enum};

wire_enum! {
    /// How many tags a message may carry. Has no effect on matching.
    TopicFilterType, default SingleTag {
        SingleTag = "SINGLE_TAG",
        MultiTag = "MULTI_TAG",
    }
}

/// One topic's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicConfig {
    /// Without the `+` that a request to change attributes carries.
    #[serde(deserialize_with = "lenient::or_default")]
    pub attributes: BTreeMap<String, String>,
    pub order: bool,
    pub perm: i32,
    pub read_queue_nums: i32,
    pub topic_filter_type: TopicFilterType,
    pub topic_name: String,
    pub topic_sys_flag: i32,
    pub write_queue_nums: i32,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            attributes: BTreeMap::new(),
            order: false,
            perm: 6,
            read_queue_nums: 16,
            topic_filter_type: TopicFilterType::SingleTag,
            topic_name: String::new(),
            topic_sys_flag: 0,
            write_queue_nums: 16,
        }
    }
}

/// Which edition of a table this is; it changes with every change of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DataVersion {
    #[serde(deserialize_with = "lenient::number")]
    pub counter: i64,
    #[serde(deserialize_with = "lenient::number")]
    pub state_version: i64,
    /// Milliseconds since 1970.
    #[serde(deserialize_with = "lenient::number")]
    pub timestamp: i64,
}

impl DataVersion {
    /// The edition after this one.
    #[must_use]
    pub fn next(self, now_ms: i64) -> Self {
        Self { counter: self.counter.saturating_add(1), timestamp: now_ms, ..self }
    }
}

/// Response body of GET_ALL_TOPIC_CONFIG (21), and what a broker registers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicConfigSerializeWrapper {
    #[serde(deserialize_with = "lenient::or_default")]
    pub data_version: DataVersion,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping_data_version: Option<DataVersion>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub topic_config_table: BTreeMap<String, TopicConfig>,
}

/// Body of UPDATE_AND_CREATE_TOPIC_LIST (18).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicConfigList {
    #[serde(deserialize_with = "lenient::or_default")]
    pub topic_config_list: Vec<TopicConfig>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json_dialect::{from_slice, to_vec};

    #[test]
    fn topic_config_sample_writes_back_the_same_bytes() {
        let text = br#"{"attributes":{"cleanup.policy":"COMPACTION","message.type":"DELAY"},"order":false,"perm":6,"readQueueNums":1,"topicFilterType":"SINGLE_TAG","topicName":"att","topicSysFlag":0,"writeQueueNums":1}"#;
        let config: TopicConfig = from_slice(text).unwrap();
        assert_eq!(config.attributes["message.type"], "DELAY");
        assert_eq!(String::from_utf8(to_vec(&config)).unwrap().as_bytes(), text);
    }

    #[test]
    fn whole_table_reads_past_mappings_of_static_topics() {
        let text = br#"{"dataVersion":{"counter":4,"stateVersion":0,"timestamp":9},
            "mappingDataVersion":{"counter":1,"stateVersion":0,"timestamp":1},
            "topicConfigTable":{"t":{"topicName":"t"}},"topicQueueMappingDetailMap":
            {"s":{"currIdMap":{0:0,1:1}}},"topicQueueMappingInfoMap":{}}"#;
        let wrapper: TopicConfigSerializeWrapper = from_slice(text).unwrap();
        assert_eq!(wrapper.data_version.counter, 4);
        assert_eq!(wrapper.topic_config_table["t"].perm, 6);
    }
}
