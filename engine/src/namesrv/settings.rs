//! What may be set of a name server, and how it changes while it runs: 318, 319.
//!
//! Whoever drives the name server keeps what was changed in a file. Spec: admin.md §4.12.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::NameServer;
use crate::config::NamesrvConfig;
use crate::decide::Refusal;
use crate::decide::config_change::{self, Rules, Values};

/// Keys that count at once.
const RUN_TIME: &[(&str, Values)] = &[
    ("deleteTopicWithBrokerRegistration", Values::Any),
    ("orderMessageEnable", Values::Any),
    ("supportActingMaster", Values::Any),
];
const BLACK_LIST: &[&str] = &["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"];

/// What may be set of a name server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Routes carry the queue counts of order topics (`orderMessageEnable`).
    pub order_topics: bool,
    /// A group without master shows its lowest slave as one (`supportActingMaster`).
    pub acting_master: bool,
    /// A topic missing in a full registration is dropped (`deleteTopicWithBrokerRegistration`).
    pub drop_missing_topics: bool,
    /// How long routes are refused after the start (`needWaitForService`); 0 serves at once.
    pub wait_ms: i64,
}

/// The configuration by its keys, and what was changed over the wire.
#[derive(Debug, Default)]
pub(super) struct Configured {
    config: NamesrvConfig,
    kept: BTreeMap<String, String>,
}

/// A change that counts.
#[derive(Debug)]
pub(super) struct Changed {
    /// What is to be kept; nothing when nothing changed.
    pub file: Option<Vec<u8>>,
    /// What the answer says.
    pub remark: Option<String>,
}

impl NameServer {
    /// Takes a configuration, with what the file of changes says on top of it.
    pub fn configure(&self, config: NamesrvConfig, file: &[u8]) {
        let mut configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner);
        configured.config = config;
        for line in file.split(|byte| *byte == b'\n') {
            let now = &configured.config;
            match config_change::plan(now, &BTreeMap::new(), line, &rules(now)) {
                Ok(change) => {
                    configured.kept.extend(change.taken);
                    configured.config = change.config;
                }
                Err(refusal) => {
                    tracing::warn!(remark = %refusal.remark, "a changed setting is left out");
                }
            }
        }
        self.obey(&configured.config);
    }

    /// 319: every key with its value.
    pub(super) fn config_lines(&self) -> String {
        let configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner);
        config_change::lines(&config_change::entries(&configured.config))
    }

    /// 318: changes what may change at run time.
    pub(super) fn change_config(&self, body: &[u8]) -> Result<Changed, Refusal> {
        let mut configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner);
        let now = &configured.config;
        let change = config_change::plan(now, &config_change::entries(now), body, &rules(now))?;
        let remark = change.remark();
        if change.taken.is_empty() {
            return Ok(Changed { file: None, remark });
        }
        configured.kept.extend(change.taken);
        configured.config = change.config;
        self.obey(&configured.config);
        let file = Some(config_change::lines(&configured.kept).into_bytes());
        Ok(Changed { file, remark })
    }

    fn obey(&self, config: &NamesrvConfig) {
        self.settings.store(Arc::new(Settings {
            order_topics: config.order_message_enable,
            acting_master: config.support_acting_master,
            drop_missing_topics: config.delete_topic_with_broker_registration,
            wait_ms: self.settings().wait_ms,
        }));
    }
}

fn rules(config: &NamesrvConfig) -> Rules<'_> {
    Rules {
        run_time: RUN_TIME,
        refused: &[],
        black_list: BLACK_LIST,
        black_list_more: &config.config_black_list,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_at_once_and_is_there_after_a_restart() {
        let names = NameServer::new(Settings::default(), 0);
        names.configure(NamesrvConfig { listen_port: 7, ..NamesrvConfig::default() }, b"");
        assert!(names.config_lines().contains("listenPort=7\n"));
        let changed = names.change_config(b"orderMessageEnable=true\nnoSuch=1").unwrap();
        assert!(names.settings().order_topics);
        assert!(changed.remark.unwrap().contains("noSuch"));
        let file = changed.file.unwrap();
        assert_eq!(file, b"orderMessageEnable=true\n");
        let again = NameServer::new(Settings::default(), 0);
        again.configure(NamesrvConfig::default(), &file);
        assert!(again.settings().order_topics);
    }

    #[test]
    fn ports_and_paths_are_refused() {
        let names = NameServer::new(Settings::default(), 0);
        for (body, code) in
            [("listenPort=1", 29), ("kvConfigPath=/", 16), ("orderMessageEnable=x", 29)]
        {
            assert_eq!(names.change_config(body.as_bytes()).unwrap_err().code, code, "{body}");
        }
    }
}
