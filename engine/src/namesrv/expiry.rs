//! Who is alive: last sign of life, connection and edition of every registered broker.
//!
//! When that is too long ago is `decide::expiry`. Spec: semantics.md §1.

use std::collections::BTreeMap;

use crate::decide::expiry;
use crate::protocol::body::topic_config::DataVersion;

/// A registered broker process, by cluster and address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Cluster it named.
    pub cluster: String,
    /// Address it named.
    pub addr: String,
}

/// What is known of its life.
#[derive(Clone, Debug)]
pub struct Live {
    /// Broker name it registered under.
    pub broker_name: String,
    /// Last sign of life.
    pub last_ms: i64,
    /// Its own time-out, if it named one.
    pub timeout_ms: Option<i64>,
    /// Connection it registered over.
    pub conn: u64,
    /// Edition of its topic table.
    pub data_version: DataVersion,
    /// Its replication address.
    pub ha_addr: String,
}

/// All that registered.
#[derive(Debug, Default)]
pub struct LiveTable {
    brokers: BTreeMap<Address, Live>,
}

impl LiveTable {
    /// The broker at an address.
    pub fn get(&self, at: &Address) -> Option<&Live> {
        self.brokers.get(at)
    }

    /// Notes a registration.
    pub fn put(&mut self, at: Address, live: Live) {
        self.brokers.insert(at, live);
    }

    /// Forgets a broker.
    pub fn remove(&mut self, at: &Address) -> Option<Live> {
        self.brokers.remove(at)
    }

    /// Notes a sign of life.
    pub fn touch(&mut self, at: &Address, now_ms: i64) {
        if let Some(live) = self.brokers.get_mut(at) {
            live.last_ms = now_ms;
        }
    }

    /// Those that are too long silent.
    pub fn expired(&self, now_ms: i64) -> impl Iterator<Item = &Address> {
        self.matching(move |live| expiry::broker(live.last_ms, live.timeout_ms, now_ms))
    }

    /// Those that registered over a connection.
    pub fn of_connection(&self, conn: u64) -> impl Iterator<Item = &Address> {
        self.matching(move |live| live.conn == conn)
    }

    fn matching(&self, wanted: impl Fn(&Live) -> bool) -> impl Iterator<Item = &Address> {
        self.brokers.iter().filter(move |(_, live)| wanted(live)).map(|(at, _)| at)
    }
}
