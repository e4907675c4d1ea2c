//! A message queue's name, and maps keyed by it.
//!
//! Java writes such maps with objects as keys; [`QueueMap`] reads that form (after
//! [`to_standard`](crate::protocol::json_dialect::to_standard)) and writes it. Spec: remoting.md §10.

use std::collections::{BTreeMap, btree_map};
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::protocol::json_dialect::{OBJECT_KEY, OBJECT_VALUE};

/// One queue of one topic on one broker. Ordered as Java orders it: topic, broker name, queue id.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(default, rename_all = "camelCase")]
pub struct MessageQueue {
    pub topic: String,
    pub broker_name: String,
    #[serde(deserialize_with = "super::lenient::number")]
    pub queue_id: i32,
}

/// A map keyed by message queue, with objects as keys on the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueMap<V>(pub BTreeMap<MessageQueue, V>);

impl<V> Default for QueueMap<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> FromIterator<(MessageQueue, V)> for QueueMap<V> {
    fn from_iter<I: IntoIterator<Item = (MessageQueue, V)>>(rows: I) -> Self {
        Self(rows.into_iter().collect())
    }
}

impl<V> IntoIterator for QueueMap<V> {
    type Item = (MessageQueue, V);
    type IntoIter = btree_map::IntoIter<MessageQueue, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<V> std::ops::Deref for QueueMap<V> {
    type Target = BTreeMap<MessageQueue, V>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<V> std::ops::DerefMut for QueueMap<V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<V: Serialize> Serialize for QueueMap<V> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        // Key and value are two entries under marker keys that the body formatter replaces.
        let mut map = out.serialize_map(Some(self.0.len() * 2))?;
        for (queue, value) in &self.0 {
            map.serialize_entry(&OBJECT_KEY, queue)?;
            map.serialize_entry(&OBJECT_VALUE, value)?;
        }
        map.end()
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for QueueMap<V> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(QueueMapVisitor(std::marker::PhantomData))
    }
}

struct QueueMapVisitor<V>(std::marker::PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for QueueMapVisitor<V> {
    type Value = QueueMap<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map keyed by message queue")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = input.next_key::<String>()? {
            let queue = serde_json::from_str(&key).map_err(A::Error::custom)?;
            map.insert(queue, input.next_value()?);
        }
        Ok(QueueMap(map))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(QueueMap::default())
    }
}
