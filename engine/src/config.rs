//! Typed configuration of the engine: sections, defaults, each key under its Apache name.
//!
//! Only what is honoured stands here; an unknown key is an error of whoever reads the file
//! (architecture.md §10). Defaults are Apache's unless the table there says otherwise.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// When an acknowledged message is on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FlushDiskType {
    /// Flushed in the background, at most half a second later.
    #[default]
    AsyncFlush,
    /// Flushed before the answer.
    SyncFlush,
}

impl FlushDiskType {
    /// Its name in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AsyncFlush => "ASYNC_FLUSH",
            Self::SyncFlush => "SYNC_FLUSH",
        }
    }
}

/// The delay levels that Apache has by default (semantics.md §9).
pub const STOCK_DELAY_LEVELS: &str = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";

/// Section `[broker]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BrokerConfig {
    /// Cluster that the broker belongs to.
    pub broker_cluster_name: String,
    /// Name of the broker, shared by a master and its slaves.
    pub broker_name: String,
    /// Port of the broker; its fast port is two below.
    pub listen_port: u16,
    /// Whether unknown topics are made on the first send (from `TBW102`).
    pub auto_create_topic_enable: bool,
    /// Whether unknown groups are made when they first show up.
    pub auto_create_subscription_group: bool,
    /// Queues of a topic that was made on the first send, at most.
    pub default_topic_queue_nums: u32,
    /// Rights of the whole broker: 4 read, 2 write.
    pub broker_permission: u32,
    /// Largest body, bytes.
    pub max_message_size: u32,
    /// Flush before the answer or behind it.
    pub flush_disk_type: FlushDiskType,
    /// Pause between background flushes, ms.
    pub flush_interval_commit_log: u64,
    /// Longest wait of a send for its flush, ms.
    pub sync_flush_timeout: u64,
    /// The delay table: blank-separated durations such as `10s` or `2h`.
    pub message_delay_level: String,
    /// Size of a commit-log file, bytes.
    pub mapped_file_size_commit_log: u64,
    /// Size of a consume-queue file, bytes.
    pub mapped_file_size_consume_queue: u64,
    /// Slots of an index file.
    pub max_hash_slot_num: u32,
    /// Entries of an index file.
    pub max_index_num: u32,
    /// Whether messages are indexed by key.
    pub message_index_enable: bool,
    /// Hours that commit-log files are kept.
    pub file_reserved_time: u64,
    /// Hours of the day at which expired files are deleted, `;` between them.
    pub delete_when: String,
    /// Used share of the disk, per cent, from which expired files go at any hour; unset: never.
    pub disk_max_used_space_ratio: Option<u8>,
    /// Used share from which files go whatever their age; unset: never.
    pub disk_space_clean_forcibly_ratio: Option<u8>,
    /// Used share from which writes are refused; unset: `diskFreeMin` alone decides.
    pub disk_space_warning_level_ratio: Option<u8>,
    /// Free bytes below which writes are refused (ours).
    pub disk_free_min: u64,
    /// Whether resets are done by the broker, with consumers online.
    pub use_server_side_reset_offset: bool,
    /// Whether pulls wait for messages.
    pub long_polling_enable: bool,
    /// How often committed offsets are written, ms.
    pub flush_consumer_offset_interval: u64,
    /// How often delay offsets are written, ms.
    pub flush_delay_offset_interval: u64,
    /// Whether group members hear of each other's coming and going.
    pub notify_consumer_ids_changed_enable: bool,
    /// Region in every message's properties.
    pub region_id: String,
    /// Whether the trace topic exists.
    pub trace_topic_enable: bool,
    /// Whether clients may trace messages of this broker.
    pub trace_on: bool,
    /// Age of a half message before its producer is asked about it, ms.
    pub transaction_time_out: u64,
    /// Checks after which a half message is given up.
    pub transaction_check_max: u32,
    /// Pause between rounds of checks, ms.
    pub transaction_check_interval: u64,
    /// Largest body of an op message, bytes.
    pub transaction_op_msg_max_size: u32,
    /// Longest wait of an end for its op message, ms.
    pub transaction_op_batch_interval: u64,
    /// Whether half messages are refused.
    pub reject_transaction_message: bool,
    /// Whether replies are stored beside being handed to who waits for them.
    pub store_reply_message_enable: bool,
    /// Whether messages may wait for any moment; off, they and POP are refused.
    pub timer_wheel_enable: bool,
    /// Furthest that a timer message may lie ahead, seconds.
    pub timer_max_delay_sec: u64,
    /// Whether producers may take a timer message back.
    pub recall_message_enable: bool,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            broker_cluster_name: "DefaultCluster".into(),
            broker_name: "mqdeck".into(),
            listen_port: 10_911,
            auto_create_topic_enable: true,
            auto_create_subscription_group: true,
            default_topic_queue_nums: 8,
            broker_permission: 6,
            max_message_size: 4 * 1024 * 1024,
            flush_disk_type: FlushDiskType::AsyncFlush,
            flush_interval_commit_log: 500,
            sync_flush_timeout: 5_000,
            message_delay_level: STOCK_DELAY_LEVELS.into(),
            mapped_file_size_commit_log: 1 << 30,
            mapped_file_size_consume_queue: 6_000_000,
            max_hash_slot_num: 5_000_000,
            max_index_num: 20_000_000,
            message_index_enable: true,
            file_reserved_time: 72,
            delete_when: "04".into(),
            disk_max_used_space_ratio: None,
            disk_space_clean_forcibly_ratio: None,
            disk_space_warning_level_ratio: None,
            disk_free_min: 1 << 30,
            use_server_side_reset_offset: true,
            long_polling_enable: true,
            flush_consumer_offset_interval: 5_000,
            flush_delay_offset_interval: 10_000,
            notify_consumer_ids_changed_enable: true,
            region_id: "DefaultRegion".into(),
            trace_topic_enable: true,
            trace_on: true,
            transaction_time_out: 6_000,
            transaction_check_max: 15,
            transaction_check_interval: 30_000,
            transaction_op_msg_max_size: 4_096,
            transaction_op_batch_interval: 3_000,
            reject_transaction_message: false,
            store_reply_message_enable: true,
            timer_wheel_enable: true,
            timer_max_delay_sec: 259_200,
            recall_message_enable: true,
        }
    }
}

/// Section `[namesrv]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NamesrvConfig {
    /// Port of the name server.
    pub listen_port: u16,
    /// Whether the configuration of ordered topics is part of routes.
    pub order_message_enable: bool,
}

impl Default for NamesrvConfig {
    fn default() -> Self {
        Self { listen_port: 9_876, order_message_enable: false }
    }
}

/// Everything that an engine needs to start.
#[derive(Clone, PartialEq, Debug)]
pub struct EngineConfig {
    /// Data directory; made when absent.
    pub data_dir: PathBuf,
    /// Address that all ports are bound to.
    pub listen: IpAddr,
    /// Address in routes and stored messages.
    pub advertise: IpAddr,
    /// Section `[broker]`.
    pub broker: BrokerConfig,
    /// Section `[namesrv]`.
    pub namesrv: NamesrvConfig,
    /// Network workers; unset: half of the cores, at least one.
    pub net_threads: Option<usize>,
}
