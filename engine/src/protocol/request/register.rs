//! A broker at its name servers (remoting.md §11.9).

request! {
    /// A broker's address and, in the body, its topics.
    pub struct RegisterBroker<'a> {
        broker_name: &'a str = "brokerName",
        broker_addr: &'a str = "brokerAddr",
        cluster_name: &'a str = "clusterName",
        ha_addr: Option<&'a str> = "haServerAddr",
        broker_id: i64 = "brokerId",
        heartbeat_timeout_ms: Option<i64> = "heartbeatTimeoutMillis",
        acting_master: Option<bool> = "enableActingMaster",
        compressed: Option<bool> = "compressed",
        body_crc: Option<i32> = "bodyCrc32",
    }

    /// What a slave learns from its registration.
    pub struct RegisterResponse {
        ha_addr: Option<String> = "haServerAddr",
        master_addr: Option<String> = "masterAddr",
    }

    /// A broker, by all of its names.
    pub struct UnregisterBroker<'a> {
        broker_name: &'a str = "brokerName",
        broker_addr: &'a str = "brokerAddr",
        cluster_name: &'a str = "clusterName",
        broker_id: i64 = "brokerId",
    }

    /// Whether a full registration is due.
    pub struct DataVersionResponse {
        changed: bool = "changed",
    }

    /// A sign of life.
    pub struct BrokerHeartbeat<'a> {
        cluster_name: &'a str = "clusterName",
        broker_addr: &'a str = "brokerAddr",
        broker_name: &'a str = "brokerName",
        broker_id: Option<i64> = "brokerId",
    }
}
