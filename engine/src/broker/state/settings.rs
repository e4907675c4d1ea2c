//! The configuration in force: what the broker started with and what was changed since.
//!
//! Everyone reads a snapshot without a lock. A change is on the disk before it counts, in a file that
//! holds nothing but what was changed over the wire. Spec: admin.md §4.12, architecture.md §10.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};

use super::lock;
pub use crate::config::CHANGED_BROKER_FILE as FILE;
use crate::config::{BrokerConfig, FlushDiskType};
use crate::decide::Refusal;
use crate::decide::config_change::{self, Change, Rules, Values};
use crate::protocol::body::topic_config::DataVersion;
use crate::protocol::response_code::{INVALID_PARAMETER, SYSTEM_ERROR};
use crate::store::{DiskRatios, FlushMode, Habits, StoreError};

/// First line of the file.
const HEADING: &str =
    "# Changed over the wire. Counts more than configuration file and environment.\n";

/// Longest time in hours, and pause in ms, that is taken; beyond it is a slip of the hand.
const HOURS_MAX: u64 = 24 * 366 * 100;
const PAUSE_MS_MAX: u64 = 24 * 3_600_000;
/// What a record is larger than its body, at most, with the end of its file.
const RECORD_ROOM: u64 = 1 << 17;
/// Furthest that timer messages may be allowed to lie ahead, seconds.
const TIMER_SEC_MAX: u64 = 366 * 86_400;

/// Keys that count at once.
pub const RUN_TIME: &[(&str, Values)] = &[
    ("autoCreateSubscriptionGroup", Values::Any),
    ("autoCreateTopicEnable", Values::Any),
    ("brokerPermission", Values::Rights),
    ("defaultQueryMaxNum", Values::Between(1, 64)),
    ("defaultTopicQueueNums", Values::Between(1, 16_384)),
    ("deleteWhen", Values::Hours),
    ("diskFreeMin", Values::Any),
    ("diskMaxUsedSpaceRatio", Values::Between(10, 95)),
    ("diskSpaceCleanForciblyRatio", Values::Between(10, 99)),
    ("diskSpaceWarningLevelRatio", Values::Between(10, 99)),
    ("enablePropertyFilter", Values::Any),
    ("enableRetryTopicV2", Values::Any),
    ("fileReservedTime", Values::Between(1, HOURS_MAX)),
    ("flushIntervalCommitLog", Values::Between(1, PAUSE_MS_MAX)),
    ("longPollingEnable", Values::Any),
    ("maxMessageSize", Values::Any),
    ("notifyConsumerIdsChangedEnable", Values::Any),
    ("recallMessageEnable", Values::Any),
    ("rejectTransactionMessage", Values::Any),
    ("retrieveMessageFromPopRetryTopicV1", Values::Any),
    ("storeReplyMessageEnable", Values::Any),
    ("syncFlushTimeout", Values::Between(1, PAUSE_MS_MAX)),
    ("timerMaxDelaySec", Values::Between(1, TIMER_SEC_MAX)),
    ("transactionCheckInterval", Values::Between(1, PAUSE_MS_MAX)),
    ("transactionCheckMax", Values::Between(1, 10_000)),
    ("transactionOpBatchInterval", Values::Between(1, PAUSE_MS_MAX)),
    ("transactionOpMsgMaxSize", Values::Between(64, 1 << 20)),
    ("transactionTimeOut", Values::Between(1, PAUSE_MS_MAX)),
    ("useServerSideResetOffset", Values::Any),
];
/// Apache's names of roles, identities and sizes that this broker does not have as keys.
const REFUSED: &[&str] = &[
    "brokerId",
    "brokerIP1",
    "brokerIP2",
    "brokerRole",
    "mappedFileSizeTimerLog",
    "mapperFileSizeBatchConsumeQueue",
    "storeType",
    "timerPrecisionMs",
    "timerRollWindowSlot",
    "timerWheelEnable",
    "transientStorePoolEnable",
    "transientStorePoolSize",
];
const BLACK_LIST: &[&str] = &["brokerConfigPath", "configBlackList", "rocketmqHome"];

#[derive(Debug, Default)]
struct Kept {
    entries: BTreeMap<String, String>,
    version: DataVersion,
}

/// The configuration in force.
#[derive(Debug)]
pub struct Settings {
    current: ArcSwap<BrokerConfig>,
    kept: Mutex<Kept>,
}

/// What a request changed.
#[derive(Debug)]
pub struct Changed {
    /// Before.
    pub old: Arc<BrokerConfig>,
    /// After.
    pub new: Arc<BrokerConfig>,
    /// What the answer says.
    pub remark: Option<String>,
}

impl Settings {
    /// The configuration of the start.
    pub fn new(config: BrokerConfig) -> Self {
        Self { current: ArcSwap::from_pointee(config), kept: Mutex::default() }
    }

    /// Puts what the file of changes says on top. A line that does not count any more is told in the
    /// log and left out.
    pub fn restore(&self, file: &[u8]) {
        let mut kept = lock(&self.kept);
        let mut current = BrokerConfig::clone(&self.current.load());
        for line in file.split(|byte| *byte == b'\n') {
            match config_change::plan(&current, &BTreeMap::new(), line, &rules(&current)) {
                Ok(change) => {
                    if let Some(remark) = change.remark() {
                        tracing::warn!(file = FILE, remark, "a changed setting is left out");
                    }
                    kept.entries.extend(change.taken);
                    current = change.config;
                }
                Err(refusal) => {
                    tracing::warn!(file = FILE, remark = %refusal.remark, "a changed setting is left out");
                }
            }
        }
        self.current.store(Arc::new(current));
    }

    /// The configuration in force now.
    pub fn load(&self) -> Guard<Arc<BrokerConfig>> {
        self.current.load()
    }

    /// Changes with every change.
    pub fn version(&self) -> DataVersion {
        lock(&self.kept).version
    }

    /// Makes a change: decides it, has it written, lets it count. `shown` is what request 26 answers.
    ///
    /// # Errors
    /// Code and remark of the refusal; nothing has changed then.
    pub fn change(
        &self,
        body: &[u8],
        shown: &BTreeMap<String, String>,
        now_ms: i64,
        write: impl FnOnce(&[u8]) -> Result<(), StoreError>,
    ) -> Result<Changed, Refusal> {
        let mut kept = lock(&self.kept);
        let old = self.current.load_full();
        let change = config_change::plan(&*old, shown, body, &rules(&old))?;
        fits(&change)?;
        let remark = change.remark();
        if change.taken.is_empty() {
            return Ok(Changed { new: Arc::clone(&old), old, remark });
        }
        let mut entries = kept.entries.clone();
        entries.extend(change.taken);
        let file = format!("{HEADING}{}", config_change::lines(&entries));
        write(file.as_bytes())
            .map_err(|error| Refusal::new(SYSTEM_ERROR, format!("nothing was changed: {error}")))?;
        let new = Arc::new(change.config);
        self.current.store(Arc::clone(&new));
        *kept = Kept { entries, version: kept.version.next(now_ms) };
        Ok(Changed { old, new, remark })
    }
}

fn rules(config: &BrokerConfig) -> Rules<'_> {
    Rules {
        run_time: RUN_TIME,
        refused: REFUSED,
        black_list: BLACK_LIST,
        black_list_more: &config.config_black_list,
    }
}

/// What only the whole configuration tells: every value works, and a log file holds a largest record.
fn fits(change: &Change<BrokerConfig>) -> Result<(), Refusal> {
    let config = &change.config;
    let refuse = |remark: String| Err(Refusal::new(INVALID_PARAMETER, remark));
    if let Some((key, must)) = config.fault()
        && let Some(text) = change.taken.get(key)
    {
        return refuse(format!("{key}={text}: {must}"));
    }
    let limit = config.mapped_file_size_commit_log.saturating_sub(RECORD_ROOM);
    if change.taken.contains_key("maxMessageSize") && u64::from(config.max_message_size) > limit {
        return refuse(format!(
            "maxMessageSize={}: log files of {} bytes cannot hold such a message",
            config.max_message_size, config.mapped_file_size_commit_log
        ));
    }
    Ok(())
}

/// What the store has to know of a configuration and may be told while it is open.
pub fn habits(config: &BrokerConfig) -> Habits {
    const HOUR_MS: i64 = 3_600_000;
    let hours = config.delete_when.split(';').filter_map(|hour| hour.trim().parse().ok());
    Habits {
        max_message_size: config.max_message_size,
        flush_interval_ms: config.flush_interval_commit_log,
        sync_flush_timeout_ms: config.sync_flush_timeout,
        file_reserved_ms: i64::try_from(config.file_reserved_time)
            .unwrap_or(i64::MAX)
            .saturating_mul(HOUR_MS),
        delete_hours: hours.collect(),
        disk_free_min: config.disk_free_min,
        disk_ratios: disk_ratios(config),
    }
}

/// When an append counts as done.
pub fn flush_mode(config: &BrokerConfig) -> FlushMode {
    match config.flush_disk_type {
        FlushDiskType::AsyncFlush => FlushMode::Async,
        FlushDiskType::SyncFlush => FlushMode::Sync,
    }
}

/// Apache's ratios hold once one of them is configured; the others are its defaults then.
fn disk_ratios(config: &BrokerConfig) -> Option<DiskRatios> {
    let (max, force, warn) = (
        config.disk_max_used_space_ratio,
        config.disk_space_clean_forcibly_ratio,
        config.disk_space_warning_level_ratio,
    );
    (max.is_some() || force.is_some() || warn.is_some()).then(|| DiskRatios {
        max_used: u64::from(max.unwrap_or(75)),
        clean_forcibly: u64::from(force.unwrap_or(85)),
        warning: u64::from(warn.unwrap_or(90)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(settings: &Settings, body: &str) -> Result<(Changed, String), Refusal> {
        let mut file = Vec::new();
        let shown = config_change::entries(&**settings.load());
        let changed = settings.change(body.as_bytes(), &shown, 5, |bytes| {
            file.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok((changed, String::from_utf8(file).unwrap()))
    }

    #[test]
    fn every_run_time_key_is_a_key_and_takes_its_own_default() {
        let defaults = serde_json::to_value(BrokerConfig::default()).unwrap();
        let shown = config_change::entries(&BrokerConfig::default());
        for (key, _) in RUN_TIME {
            assert!(defaults.get(key).is_some(), "{key}");
            let Some(value) = shown.get(*key) else { continue };
            let body = format!("{key}={value}");
            let config = BrokerConfig::default();
            config_change::plan(&config, &BTreeMap::new(), body.as_bytes(), &rules(&config))
                .unwrap_or_else(|refusal| panic!("{body}: {}", refusal.remark));
        }
    }

    #[test]
    fn what_was_changed_is_kept_and_counts_at_the_next_start() {
        let settings = Settings::new(BrokerConfig::default());
        change(&settings, "fileReservedTime=73").unwrap();
        let (changed, file) = change(&settings, "brokerPermission=4\nnoSuch=1").unwrap();
        assert_eq!((changed.old.broker_permission, changed.new.broker_permission), (6, 4));
        assert!(changed.remark.unwrap().contains("noSuch"));
        assert_eq!(file, format!("{HEADING}brokerPermission=4\nfileReservedTime=73\n"));
        assert_eq!(settings.version().counter, 2);
        let again = Settings::new(BrokerConfig::default());
        again.restore(file.as_bytes());
        assert_eq!(again.load().file_reserved_time, 73);
        assert_eq!(change(&again, "deleteWhen=05").unwrap().1.lines().count(), 4);
    }

    #[test]
    fn a_change_that_cannot_be_written_does_not_count() {
        let settings = Settings::new(BrokerConfig::default());
        let refusal = settings
            .change(b"fileReservedTime=73", &BTreeMap::new(), 5, |_| {
                Err(StoreError::Locked { root: "/full".into() })
            })
            .unwrap_err();
        assert_eq!((refusal.code, settings.load().file_reserved_time), (1, 72));
    }

    #[test]
    fn a_message_larger_than_a_log_file_is_refused() {
        let settings = Settings::new(BrokerConfig::default());
        assert!(
            change(&settings, "maxMessageSize=1073741824").unwrap_err().remark.contains("hold")
        );
        assert!(change(&settings, "maxMessageSize=8388608").is_ok());
    }

    #[test]
    fn lines_of_the_file_that_mean_nothing_are_left_out() {
        let file = b"# x\nlistenPort=1\nbrokerPermission=9\nold=1\ndeleteWhen=7\n\xff\n";
        let settings = Settings::new(BrokerConfig::default());
        settings.restore(file);
        assert_eq!(settings.load().delete_when, "7");
        assert_eq!(lock(&settings.kept).entries.len(), 1);
    }
}
