//! Waiting timers by topic: 61.
//!
//! Spec: admin.md §4.16.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient;
use super::topic_config::DataVersion;

/// Response body of GET_TIMER_METRICS (61).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TimerMetrics {
    #[serde(deserialize_with = "lenient::or_default")]
    pub data_version: DataVersion,
    /// Real topic → how many wait.
    #[serde(deserialize_with = "lenient::or_default")]
    pub timing_count: BTreeMap<String, TimerCount>,
}

/// Timers of one topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TimerCount {
    #[serde(deserialize_with = "lenient::number")]
    pub count: i64,
    #[serde(deserialize_with = "lenient::number")]
    pub time_stamp: i64,
}
