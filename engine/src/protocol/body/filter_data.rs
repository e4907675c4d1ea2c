//! SQL filters of consumer groups as `consumerFilter.json` keeps them.
//!
//! The Bloom positions of the reference are left out: it drops such a file and waits for the next
//! heartbeats. Spec: store.md §6.6.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient;

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FilterFile {
    /// Topic → its filters.
    #[serde(deserialize_with = "lenient::or_default")]
    pub filter_data_by_topic: BTreeMap<String, FiltersOfTopic>,
}

/// The filters of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FiltersOfTopic {
    /// Group → its filter.
    #[serde(deserialize_with = "lenient::or_default")]
    pub group_filter_data: BTreeMap<String, FilterData>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub topic: String,
}

/// The filter of a group on a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FilterData {
    /// When the group first registered it, ms.
    #[serde(deserialize_with = "lenient::number")]
    pub born_time: i64,
    /// `subVersion` of the subscription.
    #[serde(deserialize_with = "lenient::number")]
    pub client_version: i64,
    #[serde(deserialize_with = "lenient::or_default")]
    pub consumer_group: String,
    /// Whether nobody subscribes it any more.
    #[serde(deserialize_with = "lenient::or_default")]
    pub dead: bool,
    /// Since when, ms; 0 while somebody does.
    #[serde(deserialize_with = "lenient::number")]
    pub dead_time: i64,
    #[serde(deserialize_with = "lenient::or_default")]
    pub expression: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub expression_type: String,
    #[serde(deserialize_with = "lenient::or_default")]
    pub topic: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json_dialect::{from_slice, to_vec};

    #[test]
    fn a_file_of_the_reference_reads() {
        let text = br#"{"filterDataByTopic":{"T":{"groupFilterData":{"G":{"bloomFilterData":{"bitNum":112,"bitPos":[1,64,96]},"bornTime":5,"clientVersion":6,"consumerGroup":"G","dead":false,"deadTime":0,"expression":"n > 2","expressionType":"SQL92","topic":"T"}},"topic":"T"}}}"#;
        let file: FilterFile = from_slice(text).unwrap();
        let filter = &file.filter_data_by_topic["T"].group_filter_data["G"];
        assert_eq!((filter.client_version, filter.expression.as_str()), (6, "n > 2"));
        assert_eq!(from_slice::<FilterFile>(&to_vec(&file)).unwrap(), file);
    }
}
