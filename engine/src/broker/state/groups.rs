//! The subscription groups of a broker (semantics.md §2, store.md §6.3).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use super::lock;
use crate::protocol::body::group_config::{SubscriptionGroupConfig, SubscriptionGroupWrapper};
use crate::protocol::body::topic_config::DataVersion;
use crate::protocol::names;

/// One state of the table.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Changes with every change of the table.
    pub version: DataVersion,
    /// Groups by name.
    pub table: BTreeMap<String, Arc<SubscriptionGroupConfig>>,
    /// Group → topic → forbidden bits.
    pub forbidden: BTreeMap<String, BTreeMap<String, i32>>,
}

/// The table of groups.
#[derive(Debug)]
pub struct Groups {
    current: ArcSwap<Snapshot>,
    writer: Mutex<()>,
}

impl Groups {
    /// The predefined groups, overridden by what was stored.
    pub fn new(stored: SubscriptionGroupWrapper) -> Self {
        let mut table: BTreeMap<String, Arc<SubscriptionGroupConfig>> = BTreeMap::new();
        for name in names::PREDEFINED_GROUPS {
            table.insert(name.to_owned(), Arc::new(SubscriptionGroupConfig::named(name)));
        }
        for (name, config) in stored.subscription_group_table {
            table.insert(name, Arc::new(config));
        }
        let snapshot =
            Snapshot { version: stored.data_version, table, forbidden: stored.forbidden_table };
        Self { current: ArcSwap::from_pointee(snapshot), writer: Mutex::new(()) }
    }

    /// The table as it is now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// A group by name.
    pub fn get(&self, name: &str) -> Option<Arc<SubscriptionGroupConfig>> {
        self.current.load().table.get(name).cloned()
    }

    /// Stores a group; `false` when it is as it was.
    pub fn put(&self, config: SubscriptionGroupConfig, now_ms: i64) -> bool {
        self.change(now_ms, |next| {
            let same = next.table.get(&config.group_name).is_some_and(|old| **old == config);
            if !same {
                next.table.insert(config.group_name.clone(), Arc::new(config));
            }
            !same
        })
    }

    /// Removes a group; whether there was one.
    pub fn remove(&self, name: &str, now_ms: i64) -> bool {
        self.change(now_ms, |next| {
            next.forbidden.remove(name);
            next.table.remove(name).is_some()
        })
    }

    /// Forbids a group to read a topic, or allows it again; `false` when it is as it was.
    pub fn forbid(&self, group: &str, topic: &str, forbidden: bool, now_ms: i64) -> bool {
        self.change(now_ms, |next| {
            let topics = next.forbidden.entry(group.to_owned()).or_default();
            let old = topics.get(topic).copied().unwrap_or(0);
            let bits = if forbidden { old | 1 } else { old & !1 };
            if bits == 0 {
                topics.remove(topic);
            } else {
                topics.insert(topic.to_owned(), bits);
            }
            if next.forbidden.get(group).is_some_and(BTreeMap::is_empty) {
                next.forbidden.remove(group);
            }
            bits != old
        })
    }

    fn change(&self, now_ms: i64, apply: impl FnOnce(&mut Snapshot) -> bool) -> bool {
        let _writer = lock(&self.writer);
        let mut next = Snapshot::clone(&self.current.load());
        if !apply(&mut next) {
            return false;
        }
        next.version = next.version.next(now_ms);
        self.current.store(Arc::new(next));
        true
    }

    /// Whether the group may not read the topic.
    pub fn is_forbidden(&self, group: &str, topic: &str) -> bool {
        let current = self.current.load();
        let bits = current.forbidden.get(group).and_then(|topics| topics.get(topic));
        bits.is_some_and(|bits| bits & 1 != 0)
    }

    /// The table as it is written to `subscriptionGroup.json`.
    pub fn wrapper(&self) -> SubscriptionGroupWrapper {
        let current = self.current.load();
        let table = current.table.iter().map(|(name, group)| (name.clone(), (**group).clone()));
        SubscriptionGroupWrapper {
            data_version: current.version,
            forbidden_table: current.forbidden.clone(),
            subscription_group_table: table.collect(),
        }
    }
}
