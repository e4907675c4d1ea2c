//! How replication stands: 907.
//!
//! A master fills the first half, a slave the second; both are always written, because the tools
//! dereference both. Spec: admin.md §4.11.

use serde::{Deserialize, Serialize};

use super::lenient;

/// Response body of GET_BROKER_HA_STATUS (907).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HaRuntimeInfo {
    #[serde(deserialize_with = "lenient::or_default")]
    pub ha_client_runtime_info: HaClientRuntimeInfo,
    #[serde(deserialize_with = "lenient::or_default")]
    pub ha_connection_info: Vec<HaConnectionRuntimeInfo>,
    pub in_sync_slave_nums: i32,
    pub master: bool,
    pub master_commit_log_max_offset: i64,
}

/// The master's view of one slave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HaConnectionRuntimeInfo {
    /// The slave's address with its ephemeral port.
    #[serde(deserialize_with = "lenient::or_default")]
    pub addr: String,
    /// Bytes of the log not acknowledged.
    pub diff: i64,
    pub in_sync: bool,
    pub slave_ack_offset: i64,
    pub transfer_from_where: i64,
    pub transferred_byte_in_second: i64,
}

/// The slave's view of its master.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HaClientRuntimeInfo {
    #[serde(rename = "isActivated", skip_serializing_if = "Option::is_none")]
    pub activated: Option<bool>,
    pub last_read_timestamp: i64,
    pub last_write_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_addr: Option<String>,
    pub master_flush_offset: i64,
    pub max_offset: i64,
    pub transferred_byte_in_second: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json_dialect::{from_slice, to_vec};

    #[test]
    fn master_and_slave_samples_read() {
        let master: HaRuntimeInfo = from_slice(br#"{"haClientRuntimeInfo":{"maxOffset":0},"haConnectionInfo":[{"addr":"10.0.0.2:34954","diff":0,"inSync":true,"slaveAckOffset":339871,"transferFromWhere":339871,"transferredByteInSecond":12}],"inSyncSlaveNums":1,"master":true,"masterCommitLogMaxOffset":339871}"#).unwrap();
        assert_eq!(master.ha_connection_info[0].slave_ack_offset, 339_871);
        let slave: HaRuntimeInfo = from_slice(br#"{"haClientRuntimeInfo":{"lastReadTimestamp":1795555826234,"masterAddr":"10.0.0.1:10912","maxOffset":339871},"haConnectionInfo":[],"master":false}"#).unwrap();
        assert_eq!(slave.ha_client_runtime_info.master_addr.as_deref(), Some("10.0.0.1:10912"));
        assert_eq!(from_slice::<HaRuntimeInfo>(&to_vec(&slave)).unwrap(), slave);
    }
}
