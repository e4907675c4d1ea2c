//! Typed configuration of the engine: sections, defaults, each key under its Apache name.
//!
//! Only what is honoured stands here; an unknown key is an error of whoever reads the file
//! (architecture.md §10). Defaults are Apache's unless the table there says otherwise.

mod tls;

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use tls::{ClientAuth, ClientConfig, ClientFiles, Mode, ServerFiles, TlsConfig, TlsMode};

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

/// File in `config/` of the data directory: keys of the broker that were changed over the wire. Counts
/// more than configuration file and environment, less than flags, which are of other keys.
pub const CHANGED_BROKER_FILE: &str = "mqdeck.properties";
/// The same of the name server.
pub const CHANGED_NAMESRV_FILE: &str = "mqdeckNamesrv.properties";

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
    /// Whether resets are done by the broker; else by the consumers, which have to be online.
    pub use_server_side_reset_offset: bool,
    /// Whether pulls wait for messages.
    pub long_polling_enable: bool,
    /// Whether subscriptions may be SQL expressions.
    pub enable_property_filter: bool,
    /// Messages that a query by unique key looks at.
    pub default_query_max_num: u32,
    /// Further keys that request 25 may not name, `;` between them.
    pub config_black_list: String,
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
    /// Whether popped messages that come back go to retry topics of the second form
    /// (`%RETRY%group+topic`), and pops read those.
    pub enable_retry_topic_v2: bool,
    /// Whether pops read retry topics of the first form (`%RETRY%group_topic`) beside those of the second.
    pub retrieve_message_from_pop_retry_topic_v1: bool,
    /// Whether producers may take a timer message back.
    pub recall_message_enable: bool,
    /// Whether every request has to be signed by a known user.
    pub authentication_enabled: bool,
    /// Whether every request needs a rule that allows it; super users need none.
    pub authorization_enabled: bool,
    /// First super user, as JSON: `{"username":"…","password":"…"}`. Made when there is no such user.
    pub init_authentication_user: String,
    /// Super user as which the broker signs its own requests, as JSON: `{"accessKey":"…","secretKey":"…"}`.
    pub inner_client_authentication_credentials: String,
    /// Request codes that need no signature, `,` between them.
    pub authentication_whitelist: String,
    /// Request codes that need no rule, `,` between them.
    pub authorization_whitelist: String,
}

/// Keys of `[broker]` whose values are never shown.
pub const SECRET_KEYS: [&str; 2] =
    ["initAuthenticationUser", "innerClientAuthenticationCredentials"];

/// How users stand in the configuration.
#[derive(Deserialize)]
struct FirstUser {
    #[serde(alias = "accessKey")]
    username: String,
    #[serde(alias = "secretKey")]
    password: String,
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
            enable_property_filter: true,
            default_query_max_num: 32,
            config_black_list: "configBlackList;brokerConfigPath".into(),
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
            enable_retry_topic_v2: false,
            retrieve_message_from_pop_retry_topic_v1: true,
            recall_message_enable: true,
            authentication_enabled: false,
            authorization_enabled: false,
            init_authentication_user: String::new(),
            inner_client_authentication_credentials: String::new(),
            authentication_whitelist: String::new(),
            authorization_whitelist: String::new(),
        }
    }
}

impl BrokerConfig {
    /// Name and password of the first super user, when one is configured.
    pub fn first_user(&self) -> Option<(String, String)> {
        user_of(&self.init_authentication_user)
    }

    /// Name and password of who signs the broker's own requests, when anybody does.
    pub fn inner_credentials(&self) -> Option<(String, String)> {
        user_of(&self.inner_client_authentication_credentials)
    }

    /// The first key whose value cannot work, with what it has to be.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        const POSITIVE: &str = "must be 1 or more";
        const NAME: &str = "must be letters, digits or one of _ - . % |, 127 at most";
        let checks = [
            ("brokerClusterName", is_name(&self.broker_cluster_name), NAME),
            ("brokerName", is_name(&self.broker_name), NAME),
            (
                "listenPort",
                self.listen_port == 0 || self.listen_port > FAST_PORT_BELOW,
                "must be 0 or more than 2: the fast port is two below",
            ),
            ("defaultTopicQueueNums", self.default_topic_queue_nums > 0, POSITIVE),
            (
                "brokerPermission",
                self.broker_permission & !0b110 == 0,
                "must be 0, 2 (write), 4 (read) or 6 (both)",
            ),
            (
                "maxMessageSize",
                (1..=BODY_BYTES_MAX).contains(&self.max_message_size),
                "must be between 1 and 16711680 bytes: a frame holds no more",
            ),
            ("flushIntervalCommitLog", self.flush_interval_commit_log > 0, POSITIVE),
            ("syncFlushTimeout", self.sync_flush_timeout > 0, POSITIVE),
            (
                "mappedFileSizeCommitLog",
                self.mapped_file_size_commit_log <= FILE_BYTES_MAX,
                "must be less than 2 GiB, as Apache's broker wants it",
            ),
            (
                "mappedFileSizeConsumeQueue",
                (20..=FILE_BYTES_MAX).contains(&self.mapped_file_size_consume_queue),
                "must be between 20 bytes and 2 GiB",
            ),
            ("maxHashSlotNum", self.max_hash_slot_num > 0, POSITIVE),
            ("maxIndexNum", self.max_index_num > 1, "must be 2 or more"),
            ("fileReservedTime", self.file_reserved_time > 0, POSITIVE),
            (
                "deleteWhen",
                are_hours(&self.delete_when),
                "must be hours from 00 to 23, ; between them",
            ),
            ("diskMaxUsedSpaceRatio", is_share(self.disk_max_used_space_ratio), SHARE),
            ("diskSpaceCleanForciblyRatio", is_share(self.disk_space_clean_forcibly_ratio), SHARE),
            ("diskSpaceWarningLevelRatio", is_share(self.disk_space_warning_level_ratio), SHARE),
            ("flushConsumerOffsetInterval", self.flush_consumer_offset_interval > 0, POSITIVE),
            ("flushDelayOffsetInterval", self.flush_delay_offset_interval > 0, POSITIVE),
            (
                "initAuthenticationUser",
                self.init_authentication_user.is_empty() || self.first_user().is_some(),
                "must be JSON such as {\"username\":\"admin\",\"password\":\"…\"}",
            ),
            (
                "innerClientAuthenticationCredentials",
                self.inner_client_authentication_credentials.is_empty()
                    || self.inner_credentials().is_some(),
                "must be JSON such as {\"accessKey\":\"admin\",\"secretKey\":\"…\"}",
            ),
            ("authenticationWhitelist", are_codes(&self.authentication_whitelist), CODES),
            ("authorizationWhitelist", are_codes(&self.authorization_whitelist), CODES),
            (
                "regionId",
                !self.region_id.contains(char::is_control),
                "must not hold control characters",
            ),
        ];
        checks.into_iter().find(|(_, good, _)| !good).map(|(key, _, must)| (key, must))
    }
}

/// What a list of request codes has to be.
const CODES: &str = "must be request codes, comma between them";

fn are_codes(text: &str) -> bool {
    text.is_empty() || text.split(',').all(|code| code.trim().parse::<i32>().is_ok())
}

/// A user of the configuration; none when it is not one with name and password.
fn user_of(text: &str) -> Option<(String, String)> {
    let FirstUser { username, password } = serde_json::from_str(text).ok()?;
    let whole = !username.trim().is_empty() && !password.trim().is_empty();
    whole.then_some((username, password))
}

/// What a used share of a disk has to be.
const SHARE: &str = "must be per cent, from 1 to 100";
/// How far the fast port lies below the broker's.
const FAST_PORT_BELOW: u16 = 2;
/// Largest body that fits into a frame beside its header.
const BODY_BYTES_MAX: u32 = 16 * 1024 * 1024 - 64 * 1024;
/// Largest file: Apache keeps sizes of files in 31 bits.
const FILE_BYTES_MAX: u64 = (1 << 31) - 1;
/// Longest name of a broker or cluster.
const NAME_LEN_MAX: usize = 127;

fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "_-.%|".contains(c);
    (1..=NAME_LEN_MAX).contains(&text.len()) && text.chars().all(good)
}

fn are_hours(text: &str) -> bool {
    text.split(';').all(|hour| hour.trim().parse::<u8>().is_ok_and(|hour| hour < 24))
}

fn is_share(percent: Option<u8>) -> bool {
    percent.is_none_or(|percent| (1..=100).contains(&percent))
}

/// Section `[namesrv]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NamesrvConfig {
    /// Port of the name server.
    pub listen_port: u16,
    /// Whether the configuration of ordered topics is part of routes.
    pub order_message_enable: bool,
    /// Whether a group without master shows its lowest slave as one.
    pub support_acting_master: bool,
    /// Whether a topic that a broker's full registration lacks is dropped.
    pub delete_topic_with_broker_registration: bool,
    /// Further keys that request 318 may not name, `;` between them.
    pub config_black_list: String,
}

impl Default for NamesrvConfig {
    fn default() -> Self {
        Self {
            listen_port: 9_876,
            order_message_enable: false,
            support_acting_master: false,
            delete_topic_with_broker_registration: false,
            config_black_list: "configBlackList;configStorePath;kvConfigPath".into(),
        }
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
    /// TLS of all ports; none: they are plain.
    pub tls: Option<ServerFiles>,
    /// Network workers; unset: half of the cores, at least one.
    pub net_threads: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key that a change makes faulty.
    fn fault(change: impl FnOnce(&mut BrokerConfig)) -> Option<&'static str> {
        let mut config = BrokerConfig::default();
        change(&mut config);
        config.fault().map(|(key, _)| key)
    }

    #[test]
    fn defaults_work_and_values_that_cannot_are_named() {
        assert_eq!(fault(|_| ()), None);
        assert_eq!(fault(|c| c.listen_port = 0), None);
        assert_eq!(fault(|c| c.delete_when = "04; 16".into()), None);
        assert_eq!(fault(|c| c.listen_port = 2), Some("listenPort"));
        assert_eq!(fault(|c| c.broker_name = "a/b".into()), Some("brokerName"));
        assert_eq!(fault(|c| c.broker_cluster_name.clear()), Some("brokerClusterName"));
        assert_eq!(fault(|c| c.broker_permission = 7), Some("brokerPermission"));
        assert_eq!(fault(|c| c.max_message_size = 16 << 20), Some("maxMessageSize"));
        assert_eq!(fault(|c| c.delete_when = "24".into()), Some("deleteWhen"));
        assert_eq!(fault(|c| c.delete_when.clear()), Some("deleteWhen"));
        assert_eq!(
            fault(|c| c.disk_max_used_space_ratio = Some(101)),
            Some("diskMaxUsedSpaceRatio")
        );
        assert_eq!(
            fault(|c| c.mapped_file_size_consume_queue = 0),
            Some("mappedFileSizeConsumeQueue")
        );
    }
}
