//! SQL filters of groups, compiled once when a heartbeat brings them (semantics.md §5).
//!
//! A filter outlives its subscribers for a day, and a restart: a consumer that pulls before its next
//! heartbeat finds it. Kept in `consumerFilter.json` (store.md §6.6).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use super::{read, write};
use crate::decide::filter::sql::SqlFilter;
use crate::protocol::body::filter_data::{FilterData, FilterFile};
use crate::protocol::body::heartbeat::{EXPRESSION_SQL, SubscriptionData};

/// How long a filter that nobody subscribes is kept, ms.
const DEAD_MS_MAX: i64 = 24 * 3_600_000;
/// How long the filters of a file count as dead already, ms.
const DEAD_AT_START_MS: i64 = 30_000;
/// Most filters of a broker; more are not kept, and their consumers are told 27.
const FILTERS_MAX: usize = 100_000;

/// A filter that pulls may use.
#[derive(Clone, Debug)]
pub struct Registered {
    /// `subVersion` of its subscription.
    pub version: i64,
    /// The compiled expression.
    pub filter: Arc<SqlFilter>,
}

#[derive(Debug)]
struct Entry {
    data: FilterData,
    filter: Arc<SqlFilter>,
}

/// The filters, by topic and group.
#[derive(Debug, Default)]
pub struct Filters {
    /// Group → topic → filter.
    groups: RwLock<HashMap<String, HashMap<String, Entry>>>,
    changes: AtomicU64,
}

impl Filters {
    /// The filter of a group on a topic.
    pub fn get(&self, group: &str, topic: &str) -> Option<Registered> {
        let groups = read(&self.groups);
        let entry = groups.get(group)?.get(topic)?;
        Some(Registered { version: entry.data.client_version, filter: Arc::clone(&entry.filter) })
    }

    /// Takes the subscriptions of a heartbeat: newer expressions are compiled, those that do not
    /// compile take the older filter away, those that are not named any more are dead.
    pub fn register(&self, group: &str, subscriptions: &[SubscriptionData], now_ms: i64) {
        let sql = |topic: &str| subscriptions.iter().find(|s| s.topic == topic && !s.is_tag());
        if read(&self.groups).get(group).is_none()
            && subscriptions.iter().all(SubscriptionData::is_tag)
        {
            return;
        }
        let mut groups = write(&self.groups);
        let mut changed = false;
        let room = FILTERS_MAX.saturating_sub(groups.values().map(HashMap::len).sum());
        let topics = groups.entry(group.to_owned()).or_default();
        for (topic, entry) in topics.iter_mut() {
            let dead = sql(topic).is_none();
            if dead != entry.data.dead {
                entry.data.dead = dead;
                entry.data.dead_time = if dead { now_ms } else { 0 };
                changed = true;
            }
        }
        for subscription in subscriptions.iter().filter(|s| !s.is_tag()).take(room) {
            changed |= renew(topics, group, subscription, now_ms);
        }
        if topics.is_empty() {
            groups.remove(group);
        }
        if changed {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Marks as dead what `alive` does not know (by group and topic) and forgets what has been dead
    /// for a day.
    pub fn clean(&self, now_ms: i64, alive: impl Fn(&str, &str) -> bool) {
        // Asked outside of the lock: whoever answers may hold one of his own.
        let abandoned: Vec<_> =
            self.living().into_iter().filter(|(group, topic)| !alive(group, topic)).collect();
        let mut changed = !abandoned.is_empty();
        let mut groups = write(&self.groups);
        for (group, topic) in &abandoned {
            if let Some(entry) = groups.get_mut(group).and_then(|topics| topics.get_mut(topic)) {
                entry.data.dead = true;
                entry.data.dead_time = now_ms;
            }
        }
        for topics in groups.values_mut() {
            topics.retain(|_, entry| {
                let keep = !entry.data.dead || now_ms - entry.data.dead_time < DEAD_MS_MAX;
                changed |= !keep;
                keep
            });
        }
        groups.retain(|_, topics| !topics.is_empty());
        if changed {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Group and topic of every filter that is not dead.
    fn living(&self) -> Vec<(String, String)> {
        let groups = read(&self.groups);
        let filters = groups.iter().flat_map(|(group, topics)| {
            let living = topics.iter().filter(|(_, entry)| !entry.data.dead);
            living.map(|(topic, _)| (group.clone(), topic.clone()))
        });
        filters.collect()
    }

    /// A number that grows with every change.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// All filters as they are kept.
    pub fn file(&self) -> FilterFile {
        let mut file = FilterFile::default();
        for (group, topics) in read(&self.groups).iter() {
            for (topic, entry) in topics {
                let of_topic = file.filter_data_by_topic.entry(topic.clone()).or_default();
                of_topic.topic.clone_from(topic);
                of_topic.group_filter_data.insert(group.clone(), entry.data.clone());
            }
        }
        file
    }

    /// Takes what was kept; all of it is dead until a heartbeat names it.
    pub fn restore(&self, file: FilterFile, now_ms: i64) {
        let mut groups = write(&self.groups);
        for (topic, filters) in file.filter_data_by_topic {
            for (group, mut data) in filters.group_filter_data {
                let Ok(filter) = compile(&data.expression, &data.expression_type) else { continue };
                if !data.dead || data.dead_time == 0 {
                    data.dead = true;
                    data.dead_time = now_ms - DEAD_AT_START_MS;
                }
                let entry = Entry { data, filter: Arc::new(filter) };
                groups.entry(group).or_default().insert(topic.clone(), entry);
            }
        }
    }
}

/// Compiles an expression of any type but tags.
///
/// # Errors
/// What is wrong, for a person.
pub fn compile(expression: &str, kind: &str) -> Result<SqlFilter, String> {
    if kind != EXPRESSION_SQL {
        return Err(format!("expression type {kind} is not known here"));
    }
    SqlFilter::compile(expression).map_err(|error| error.to_string())
}

/// Takes one subscription; whether that changed something.
fn renew(
    topics: &mut HashMap<String, Entry>,
    group: &str,
    subscription: &SubscriptionData,
    now_ms: i64,
) -> bool {
    let SubscriptionData { topic, sub_string, expression_type, sub_version, .. } = subscription;
    let mut born_time = now_ms;
    if let Some(entry) = topics.get_mut(topic) {
        if entry.data.client_version >= *sub_version {
            return false;
        }
        if entry.data.expression == *sub_string && entry.data.expression_type == *expression_type {
            entry.data.client_version = *sub_version;
            return true;
        }
        born_time = entry.data.born_time;
    }
    match compile(sub_string, expression_type) {
        Ok(filter) => {
            let data = FilterData {
                born_time,
                client_version: *sub_version,
                consumer_group: group.to_owned(),
                dead: false,
                dead_time: 0,
                expression: sub_string.clone(),
                expression_type: expression_type.clone(),
                topic: topic.clone(),
            };
            topics.insert(topic.clone(), Entry { data, filter: Arc::new(filter) });
            true
        }
        Err(problem) => {
            tracing::warn!(group, topic, problem, "a filter does not compile");
            topics.remove(topic).is_some()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(expression: &str, version: i64) -> SubscriptionData {
        SubscriptionData {
            topic: "t".into(),
            sub_string: expression.into(),
            sub_version: version,
            expression_type: EXPRESSION_SQL.into(),
            ..SubscriptionData::default()
        }
    }

    fn version(filters: &Filters) -> Option<i64> {
        filters.get("g", "t").map(|registered| registered.version)
    }

    #[test]
    fn a_newer_expression_replaces_an_older_one_and_never_the_other_way() {
        let filters = Filters::default();
        filters.register("g", &[subscription("a = 1", 5)], 0);
        filters.register("g", &[subscription("a = 2", 4)], 0);
        let registered = filters.get("g", "t").unwrap();
        assert_eq!(registered.version, 5);
        assert!(registered.filter.matches("a\u{1}1\u{2}"));
        filters.register("g", &[subscription("a = 2", 6)], 0);
        assert!(filters.get("g", "t").unwrap().filter.matches("a\u{1}2\u{2}"));
        assert_eq!(filters.changes(), 2);
    }

    #[test]
    fn an_expression_that_does_not_compile_takes_the_filter_away() {
        let filters = Filters::default();
        filters.register("g", &[subscription("a = 1", 5)], 0);
        filters.register("g", &[subscription("a >", 6)], 0);
        assert_eq!(version(&filters), None);
        let other = SubscriptionData { expression_type: "XPATH".into(), ..subscription("a", 7) };
        filters.register("g", &[other], 0);
        assert_eq!(version(&filters), None);
    }

    #[test]
    fn a_filter_that_nobody_subscribes_is_forgotten_after_a_day() {
        let filters = Filters::default();
        filters.register("g", &[subscription("a = 1", 5)], 0);
        filters.clean(1_000, |_, _| true);
        filters.register("g", &[], 2_000);
        assert_eq!(version(&filters), Some(5));
        filters.clean(DEAD_MS_MAX + 1_999, |_, _| true);
        assert_eq!(version(&filters), Some(5));
        filters.clean(DEAD_MS_MAX + 2_000, |_, _| true);
        assert_eq!(version(&filters), None);
        filters.register("g", &[subscription("a = 1", 5)], 0);
        filters.clean(0, |_, _| false);
        assert!(filters.file().filter_data_by_topic["t"].group_filter_data["g"].dead);
    }

    #[test]
    fn filters_survive_a_restart_until_the_next_heartbeat() {
        let filters = Filters::default();
        filters.register("g", &[subscription("a = 1", 5)], 0);
        let again = Filters::default();
        again.restore(filters.file(), 100_000);
        assert_eq!(version(&again), Some(5));
        let data = &again.file().filter_data_by_topic["t"].group_filter_data["g"];
        assert_eq!((data.dead, data.dead_time), (true, 70_000));
        again.register("g", &[subscription("a = 1", 5)], 100_000);
        assert!(!again.file().filter_data_by_topic["t"].group_filter_data["g"].dead);
    }
}
