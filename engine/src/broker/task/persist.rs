//! Writes what a broker remembers: tables when they change, positions now and then (store.md §6).
//!
//! Positions may lag behind the log, never run ahead of it: the store writes them only once the log
//! is flushed up to where it ended at the snapshot (architecture.md §7).

use std::sync::Arc;

use super::housekeeping::due;
use crate::broker::Broker;
use crate::broker::handle::{offset, request_mode};
use crate::broker::state::{access, settings};
use crate::protocol::body::group_config::SubscriptionGroupWrapper;
use crate::protocol::body::offsets::{ConsumerOffsets, DelayOffsets};
use crate::protocol::body::topic_config::TopicConfigSerializeWrapper;
use crate::protocol::json_dialect;
use crate::store::{Store, StoreError};

/// File of the topic table.
const TOPICS: &str = "topics.json";
/// File of the group table.
const GROUPS: &str = "subscriptionGroup.json";
/// File of committed offsets.
const OFFSETS: &str = "consumerOffset.json";
/// File of delay offsets.
const DELAY: &str = "delayOffset.json";
/// File of the blocks of ordered queues.
const ORDERS: &str = "consumerOrderInfo.json";
/// File of SQL filters.
const FILTERS: &str = "consumerFilter.json";
/// Pause between looks at the filters, ms.
const FILTERS_EVERY_MS: i64 = 10_000;
/// File of trimmed minima.
const TRIM: &str = "mqdeckTrim.json";

/// Writes the tables that changed and answers who waited; on an error everything stays pending.
pub fn tables(broker: &Broker) -> Result<(), StoreError> {
    let turn = broker.persist.take();
    if turn.is_empty() {
        return Ok(());
    }
    let written = write_tables(broker, turn.topics, turn.groups);
    match written {
        Ok(()) => turn.done(),
        Err(_) => broker.persist.failed(turn),
    }
    written
}

fn write_tables(broker: &Broker, topics: bool, groups: bool) -> Result<(), StoreError> {
    if topics {
        broker.store.write_json(TOPICS, &json_dialect::to_vec(&broker.topics.wrapper()))?;
    }
    if groups {
        broker.store.write_json(GROUPS, &json_dialect::to_vec(&broker.groups.wrapper()))?;
    }
    Ok(())
}

/// When positions are written next.
#[derive(Debug, Default)]
pub struct Positions {
    offsets_ms: i64,
    delay_ms: i64,
    filters_ms: i64,
    filter_changes: u64,
    changes: u64,
    order_changes: u64,
    levels: std::collections::BTreeMap<i32, i64>,
    trimmed: crate::broker::state::trim::Minima,
}

impl Positions {
    /// Writes what is due and has changed.
    pub fn run(&mut self, broker: &Arc<Broker>, now_ms: i64) {
        let every = broker.config.flush_consumer_offset_interval as i64;
        if due(&mut self.offsets_ms, now_ms, every) {
            self.offsets(broker);
            self.orders(broker, now_ms);
        }
        let filters = broker.filters.changes();
        if filters != self.filter_changes && due(&mut self.filters_ms, now_ms, FILTERS_EVERY_MS) {
            self.filter_changes = filters;
            broker.store.write_positions(FILTERS, json_dialect::to_vec(&broker.filters.file()));
        }
        let every = broker.config.flush_delay_offset_interval as i64;
        if due(&mut self.delay_ms, now_ms, every) {
            self.delay(broker);
        }
    }

    fn offsets(&mut self, broker: &Arc<Broker>) {
        if broker.offsets.changes() != self.changes {
            self.changes = broker.offsets.changes();
            broker.store.write_positions(OFFSETS, json_dialect::to_vec(&offset::body(broker)));
        }
    }

    fn orders(&mut self, broker: &Arc<Broker>, now_ms: i64) {
        if broker.pop.order_changes() != self.order_changes {
            self.order_changes = broker.pop.order_changes();
            let table = json_dialect::to_vec(&broker.pop.order_table(now_ms));
            broker.store.write_positions(ORDERS, table);
        }
    }

    fn delay(&mut self, broker: &Arc<Broker>) {
        let levels = broker.delay_offsets.all();
        if levels != self.levels {
            broker.store.write_positions(DELAY, json_dialect::to_vec(&offset::delay_body(broker)));
            self.levels = levels;
        }
        let trimmed = broker.trim.all();
        if trimmed != self.trimmed {
            broker.store.write_positions(TRIM, json_dialect::to_vec(&trimmed));
            self.trimmed = trimmed;
        }
    }
}

/// Hands all positions and tables to the store, as the last thing before it closes.
pub fn all(broker: &Arc<Broker>) -> Result<(), StoreError> {
    write_tables(broker, true, true)?;
    broker.store.write_positions(OFFSETS, json_dialect::to_vec(&offset::body(broker)));
    broker.store.write_positions(DELAY, json_dialect::to_vec(&offset::delay_body(broker)));
    if broker.pop.order_changes() > 0 {
        let table = broker.pop.order_table(broker.clock.wall_ms());
        broker.store.write_positions(ORDERS, json_dialect::to_vec(&table));
    }
    if broker.filters.changes() > 0 {
        broker.store.write_positions(FILTERS, json_dialect::to_vec(&broker.filters.file()));
    }
    if broker.trim.was_used() {
        broker.store.write_positions(TRIM, json_dialect::to_vec(&broker.trim.all()));
    }
    Ok(())
}

/// The tables as they were stored; absent ones are empty.
pub fn load_tables(
    store: &Store,
) -> Result<(TopicConfigSerializeWrapper, SubscriptionGroupWrapper), StoreError> {
    Ok((load(store, TOPICS)?, load(store, GROUPS)?))
}

/// Lets count what was changed of the configuration before this start.
pub fn load_settings(broker: &Broker) -> Result<(), StoreError> {
    if let Some(file) = broker.store.read_json(settings::FILE)? {
        broker.settings.restore(&file);
        broker.store.set_habits(settings::habits(&broker.live()));
    }
    Ok(())
}

/// Reads the positions into the broker; after an abnormal stop none lies beyond its queue's end.
pub fn load_positions(broker: &Broker) -> Result<(), StoreError> {
    let offsets: ConsumerOffsets = load(&broker.store, OFFSETS)?;
    for (key, queues) in offsets.offset_table {
        let Some((topic, group)) = key.rsplit_once('@') else { continue };
        for (queue, offset) in queues {
            broker.offsets.commit(group, topic, queue, offset);
        }
    }
    let delay: DelayOffsets = load(&broker.store, DELAY)?;
    for (level, offset) in delay.offset_table {
        broker.delay_offsets.set(level, offset);
    }
    let users = load(&broker.store, access::FILE)?;
    broker.access.restore(users, &broker.config);
    broker.filters.restore(load(&broker.store, FILTERS)?, broker.clock.wall_ms());
    let trimmed: crate::broker::state::trim::Minima = load(&broker.store, TRIM)?;
    for (topic, queues) in trimmed {
        for (queue, offset) in queues {
            broker.trim.set(&topic, queue, offset);
        }
    }
    broker.pop.load_orders(load(&broker.store, ORDERS)?);
    broker.request_modes.load(load(&broker.store, request_mode::FILE)?);
    clamp(broker);
    Ok(())
}

fn clamp(broker: &Broker) {
    let end = |topic: &str, queue: i32| broker.store.max_offset(topic, queue).0 as i64;
    let clamped = broker.offsets.clamp(end);
    if clamped > 0 {
        tracing::warn!(
            clamped,
            "committed offsets lay beyond the log's end and were lowered to it"
        );
    }
    broker.trim.drop_beyond(end);
    for (level, offset) in broker.delay_offsets.all() {
        let max = end(crate::protocol::names::SCHEDULE_TOPIC, level - 1);
        if offset > max {
            broker.delay_offsets.set(level, max);
        }
    }
}

fn load<T: serde::de::DeserializeOwned + Default>(
    store: &Store,
    name: &str,
) -> Result<T, StoreError> {
    let parsed = store.read_json_with(name, |text| json_dialect::from_slice::<T>(text).ok())?;
    Ok(parsed.unwrap_or_default())
}
