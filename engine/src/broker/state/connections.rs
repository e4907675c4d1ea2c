//! Who is connected: members of consumer and producer groups with their subscriptions (semantics.md §15, §18).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, RwLock};

use super::{read, write};
use crate::broker::outcome::{Peer, PeerId};
use crate::decide::expiry;
use crate::protocol::body::heartbeat::{
    ConsumeFromWhere, ConsumeType, ConsumerData, MessageModel, SubscriptionData,
};
use crate::protocol::header::Language;

/// One connected member of a group.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its id, unique among clients.
    pub client_id: String,
    /// Its connection.
    pub peer: Arc<dyn Peer>,
    /// Its language.
    pub language: Language,
    /// Its wire version.
    pub version: i32,
    /// Last heartbeat, ms.
    pub last_ms: i64,
}

/// A consumer group with members.
#[derive(Clone, Debug)]
pub struct ConsumerGroup {
    /// Push, pull or pop; the last heartbeat's word.
    pub consume_type: ConsumeType,
    /// Clustering or broadcasting; the last heartbeat's word.
    pub model: MessageModel,
    /// Where a new queue starts; the last heartbeat's word.
    pub from_where: ConsumeFromWhere,
    /// Topic → subscription; the newest version of each.
    pub subscriptions: BTreeMap<String, Arc<SubscriptionData>>,
    /// Members by connection.
    pub members: HashMap<PeerId, Member>,
    /// Fingerprint of the last heartbeat that carried subscriptions.
    pub fingerprint: i32,
}

/// What a heartbeat changed in one group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// A member came.
    pub joined: bool,
    /// A subscription came, changed or went.
    pub subscriptions: bool,
}

#[derive(Debug, Default)]
struct Tables {
    consumers: BTreeMap<String, ConsumerGroup>,
    producers: BTreeMap<String, HashMap<PeerId, Member>>,
}

/// Members of all groups.
#[derive(Debug, Default)]
pub struct Connections {
    tables: RwLock<Tables>,
}

impl Connections {
    /// Takes a consumer's heartbeat. With `without_sub` its subscriptions stay as they are.
    pub fn consumer(
        &self,
        member: Member,
        data: &ConsumerData,
        v2: Option<i32>,
        without_sub: bool,
    ) -> Change {
        let mut tables = write(&self.tables);
        let group =
            tables.consumers.entry(data.group_name.clone()).or_insert_with(|| ConsumerGroup {
                consume_type: data.consume_type,
                model: data.message_model,
                from_where: data.consume_from_where,
                subscriptions: BTreeMap::new(),
                members: HashMap::new(),
                fingerprint: 0,
            });
        let mut change = Change::default();
        if !without_sub {
            group.consume_type = data.consume_type;
            group.model = data.message_model;
            group.from_where = data.consume_from_where;
            change.subscriptions = update_subscriptions(group, data);
            group.fingerprint = v2.unwrap_or(0);
        }
        let id = member.peer.id();
        let same = group.members.get(&id).is_some_and(|old| old.client_id == member.client_id);
        change.joined = !same;
        group.members.insert(id, member);
        change
    }

    /// Takes a producer's heartbeat.
    pub fn producer(&self, member: Member, group: &str) {
        let mut tables = write(&self.tables);
        tables.producers.entry(group.to_owned()).or_default().insert(member.peer.id(), member);
    }

    /// The fingerprint that the group's last full heartbeat had.
    pub fn fingerprint(&self, group: &str) -> Option<i32> {
        read(&self.tables).consumers.get(group).map(|group| group.fingerprint)
    }

    /// A consumer leaves; whether it was a member.
    pub fn leave_consumer(&self, group: &str, peer: PeerId) -> bool {
        let mut tables = write(&self.tables);
        let Some(found) = tables.consumers.get_mut(group) else { return false };
        let left = found.members.remove(&peer).is_some();
        if found.members.is_empty() {
            tables.consumers.remove(group);
        }
        left
    }

    /// A producer leaves.
    pub fn leave_producer(&self, group: &str, peer: PeerId) {
        let mut tables = write(&self.tables);
        if let Some(members) = tables.producers.get_mut(group) {
            members.remove(&peer);
            if members.is_empty() {
                tables.producers.remove(group);
            }
        }
    }

    /// A connection is gone: all its members leave; the consumer groups that lost one.
    pub fn peer_gone(&self, peer: PeerId) -> Vec<String> {
        self.drop_members(|member| member.peer.id() == peer).0
    }

    /// Drops members that were silent for too long; the consumer groups that lost one, and their peers.
    pub fn expire(&self, now_ms: i64) -> (Vec<String>, Vec<Arc<dyn Peer>>) {
        self.drop_members(|member| expiry::client(member.last_ms, now_ms))
    }

    fn drop_members(&self, gone: impl Fn(&Member) -> bool) -> (Vec<String>, Vec<Arc<dyn Peer>>) {
        let mut tables = write(&self.tables);
        let mut groups = Vec::new();
        let mut peers = Vec::new();
        for (name, group) in &mut tables.consumers {
            let before = group.members.len();
            group.members.retain(|_, member| keep(member, &gone, &mut peers));
            if group.members.len() < before {
                groups.push(name.clone());
            }
        }
        tables.consumers.retain(|_, group| !group.members.is_empty());
        for members in tables.producers.values_mut() {
            members.retain(|_, member| keep(member, &gone, &mut peers));
        }
        tables.producers.retain(|_, members| !members.is_empty());
        (groups, peers)
    }

    /// A group's state, copied.
    pub fn group(&self, name: &str) -> Option<ConsumerGroup> {
        read(&self.tables).consumers.get(name).cloned()
    }

    /// Reads one group without copying it.
    pub fn with_group<T>(&self, name: &str, look: impl FnOnce(&ConsumerGroup) -> T) -> Option<T> {
        read(&self.tables).consumers.get(name).map(look)
    }

    /// Number of connections with a group.
    pub fn client_count(&self) -> usize {
        let tables = read(&self.tables);
        let consumers = tables.consumers.values().flat_map(|group| group.members.keys());
        let producers = tables.producers.values().flat_map(HashMap::keys);
        consumers.chain(producers).collect::<HashSet<_>>().len()
    }

    /// Groups whose members subscribe the topic.
    pub fn groups_of(&self, topic: &str) -> Vec<String> {
        let tables = read(&self.tables);
        let subscribed =
            tables.consumers.iter().filter(|(_, g)| g.subscriptions.contains_key(topic));
        subscribed.map(|(name, _)| name.clone()).collect()
    }

    /// Sorted client ids of a group.
    pub fn client_ids(&self, group: &str) -> Vec<String> {
        let mut ids: Vec<String> = self
            .with_group(group, |g| g.members.values().map(|m| m.client_id.clone()).collect())
            .unwrap_or_default();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Members of a group, by client id.
    pub fn members(&self, group: &str) -> Vec<Member> {
        let mut members: Vec<Member> =
            self.with_group(group, |g| g.members.values().cloned().collect()).unwrap_or_default();
        members.sort_by(|a, b| a.client_id.cmp(&b.client_id));
        members
    }

    /// Connections of a group's members.
    pub fn peers(&self, group: &str) -> Vec<Arc<dyn Peer>> {
        self.with_group(group, |g| g.members.values().map(|m| Arc::clone(&m.peer)).collect())
            .unwrap_or_default()
    }

    /// The member with this client id.
    pub fn member(&self, group: &str, client_id: &str) -> Option<Member> {
        self.with_group(group, |g| g.members.values().find(|m| m.client_id == client_id).cloned())
            .flatten()
    }

    /// Members of a producer group.
    pub fn producers(&self, group: &str) -> Vec<Member> {
        let tables = read(&self.tables);
        tables
            .producers
            .get(group)
            .map(|members| members.values().cloned().collect())
            .unwrap_or_default()
    }

    /// The connection of a producer, by its client id.
    pub fn producer_of_client(&self, client_id: &str) -> Option<Member> {
        let tables = read(&self.tables);
        let mut members = tables.producers.values().flat_map(HashMap::values);
        members.find(|member| member.client_id == client_id && !member.peer.is_closed()).cloned()
    }

    /// All producer groups.
    pub fn all_producers(&self) -> BTreeMap<String, Vec<Member>> {
        let tables = read(&self.tables);
        let groups = tables.producers.iter();
        groups.map(|(name, members)| (name.clone(), members.values().cloned().collect())).collect()
    }
}

fn keep(member: &Member, gone: &impl Fn(&Member) -> bool, peers: &mut Vec<Arc<dyn Peer>>) -> bool {
    if gone(member) {
        peers.push(Arc::clone(&member.peer));
        return false;
    }
    true
}

/// Per topic the newest version wins; topics that the heartbeat does not name are dropped.
fn update_subscriptions(group: &mut ConsumerGroup, data: &ConsumerData) -> bool {
    let mut changed = false;
    for new in &data.subscription_data_set {
        match group.subscriptions.get(&new.topic) {
            Some(old) if old.sub_version >= new.sub_version => {}
            old => {
                // A version that moved alone is no news to the other members.
                changed |= old.is_none_or(|old| old.sub_string != new.sub_string);
                group.subscriptions.insert(new.topic.clone(), Arc::new(new.clone()));
            }
        }
    }
    let before = group.subscriptions.len();
    group
        .subscriptions
        .retain(|topic, _| data.subscription_data_set.iter().any(|s| s.topic == *topic));
    changed || group.subscriptions.len() < before
}
