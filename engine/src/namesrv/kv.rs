//! The table of settings: namespace → key → value (requests 100, 101, 102, 219).
//!
//! The only thing of a name server that outlives it. Spec: remoting.md §11.8, admin.md §4.16.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decide::Refusal;
use crate::protocol::body::route::KvTable;
use crate::protocol::json_dialect::{self, JsonError};
use crate::protocol::response_code::{QUERY_NOT_FOUND, SYSTEM_ERROR};

/// Namespace of order topics: topic → `broker:queues;…`. Brokers get it with each registration.
pub const ORDER_TOPIC_NAMESPACE: &str = "ORDER_TOPIC_CONFIG";
/// Most keys of all namespaces together.
pub const KEYS_MAX: usize = 100_000;
/// Longest value in bytes.
pub const VALUE_LEN_MAX: usize = 64 * 1024;
/// Longest key together with its namespace.
pub const KEY_LEN_MAX: usize = 4 * 1024;

/// The table; its members are those of `kvConfig.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Kv {
    config_table: BTreeMap<String, BTreeMap<String, String>>,
}

impl Kv {
    /// Reads `kvConfig.json`.
    pub fn from_json(json: &[u8]) -> Result<Self, JsonError> {
        json_dialect::from_slice(json)
    }

    /// Writes `kvConfig.json`.
    pub fn to_json(&self) -> Vec<u8> {
        json_dialect::to_vec(self)
    }

    /// Sets a value.
    pub fn put(&mut self, namespace: &str, key: &str, value: &str) -> Result<(), Refusal> {
        // A namespace stays when its last key goes, so it counts as well.
        let held: usize = self.config_table.values().map(|table| table.len() + 1).sum();
        let full = held >= KEYS_MAX;
        if full && self.get(namespace, key).is_err() {
            let remark = format!("the table is full: {KEYS_MAX} keys");
            return Err(Refusal::new(SYSTEM_ERROR, remark));
        }
        if namespace.len() + key.len() > KEY_LEN_MAX {
            let remark = format!("a key and its namespace have at most {KEY_LEN_MAX} bytes");
            return Err(Refusal::new(SYSTEM_ERROR, remark));
        }
        if value.len() > VALUE_LEN_MAX {
            let remark = format!("a value has at most {VALUE_LEN_MAX} bytes");
            return Err(Refusal::new(SYSTEM_ERROR, remark));
        }
        let table = self.config_table.entry(namespace.to_owned()).or_default();
        table.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// The value of a key.
    pub fn get(&self, namespace: &str, key: &str) -> Result<&str, Refusal> {
        let found = self.config_table.get(namespace).and_then(|table| table.get(key));
        found.map(String::as_str).ok_or_else(|| {
            let remark = format!("No config item, Namespace: {namespace} Key: {key}");
            Refusal::new(QUERY_NOT_FOUND, remark)
        })
    }

    /// Removes a key; its namespace stays known. True when there was one.
    pub fn delete(&mut self, namespace: &str, key: &str) -> bool {
        self.config_table.get_mut(namespace).is_some_and(|table| table.remove(key).is_some())
    }

    /// All keys of a known namespace.
    pub fn list(&self, namespace: &str) -> Result<KvTable, Refusal> {
        let table = self.config_table.get(namespace).ok_or_else(|| {
            let remark = format!("No config item, Namespace: {namespace}");
            Refusal::new(QUERY_NOT_FOUND, remark)
        })?;
        Ok(KvTable { table: table.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_until_deleted_and_their_namespace_stays_known() {
        let mut kv = Kv::default();
        assert_eq!(kv.get(ORDER_TOPIC_NAMESPACE, "t").unwrap_err().code, 22);
        assert_eq!(kv.list(ORDER_TOPIC_NAMESPACE).unwrap_err().code, 22);
        kv.put(ORDER_TOPIC_NAMESPACE, "t", "broker-a:4").unwrap();
        assert_eq!(kv.get(ORDER_TOPIC_NAMESPACE, "t"), Ok("broker-a:4"));
        assert!(kv.delete(ORDER_TOPIC_NAMESPACE, "t") && !kv.delete(ORDER_TOPIC_NAMESPACE, "t"));
        assert!(kv.list(ORDER_TOPIC_NAMESPACE).unwrap().table.is_empty());
    }

    #[test]
    fn the_file_is_the_one_of_apache() {
        let json = br#"{"configTable":{"ORDER_TOPIC_CONFIG":{"t":"b:4"}}}"#;
        let kv = Kv::from_json(json).unwrap();
        assert_eq!(kv.get("ORDER_TOPIC_CONFIG", "t"), Ok("b:4"));
        assert_eq!(kv.to_json(), json);
    }

    #[test]
    fn values_are_bounded() {
        let long = "x".repeat(VALUE_LEN_MAX + 1);
        assert_eq!(Kv::default().put("n", "k", &long).unwrap_err().code, 1);
    }

    #[test]
    fn keys_are_bounded() {
        let mut kv = Kv::default();
        let long = "k".repeat(KEY_LEN_MAX);
        assert_eq!(kv.put("n", &long, "v").unwrap_err().code, SYSTEM_ERROR);
        assert_eq!(kv.put("", &long, "v"), Ok(()));
    }
}
