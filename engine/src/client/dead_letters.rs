//! Dead letters: finding, reading newest first, and sending copies back.
//!
//! A resend adds a message and takes no letter away. What a copy keeps of its letter is decided by the
//! pure [`copy_properties`]; who would read it by [`Readers::suggest`]. The ledger of what was sent is
//! the caller's. Recipes: admin.md §5 (c), (d).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::cluster::Cluster;
use super::consume::KEPT_FLAGS;
use super::error::ClientError;
use super::figures::{Boundary, Key, QUERY_MAX, QueueAt};
use super::message::MessageExt;
use super::pull_consumer::{PULL_MAX, reading};
use super::read_only::TOOLS_GROUP;
use super::replay::masters;
use super::send::{Parcel, SendResult};
use crate::protocol::body::MessageQueue;
use crate::protocol::body::heartbeat::MessageModel;
use crate::protocol::names;
use crate::protocol::properties::{self, key};

/// Property of a copy: broker name, queue id and offset of its letter, joined by colons.
pub const RESENT_FROM: &str = "MQDECK_RESENT_FROM";
/// Property of a copy: when it was sent, ms since 1970.
pub const RESENT_AT: &str = "MQDECK_RESENT_AT";
/// Property of a copy: how often the message has been sent back, this time included.
pub const RESENT_COUNT: &str = "MQDECK_RESENT_COUNT";

/// Producer group of resends.
const RESEND_GROUP: &str = "MQDECK_RESEND";
/// How long one resend may take.
const RESEND_WAIT: Duration = Duration::from_secs(5);

/// What a copy must not bring along (admin.md §5 d).
const STRIPPED: &[&str] = &[
    key::DELAY,
    key::REAL_TOPIC,
    key::REAL_QUEUE_ID,
    key::TRANSACTION_PREPARED,
    key::PRODUCER_GROUP,
    key::TRANSACTION_ID,
    key::RECONSUME_TIME,
    key::MAX_RECONSUME_TIMES,
    "CONSUME_START_TIME",
    key::POP_CK,
    key::FIRST_POP_TIME,
    key::MIN_OFFSET,
    key::MAX_OFFSET,
    key::WAIT,
];
/// What a copy must not bring along, by how the key starts.
const STRIPPED_PREFIXES: &[&str] = &["TIMER_", "TRANSACTION_"];

/// A group with a dead-letter topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadGroup {
    /// Consumer group.
    pub group: String,
    /// Its queues of dead letters.
    pub queues: Vec<DeadQueue>,
}

impl DeadGroup {
    /// Letters kept; resent and hidden ones included.
    pub fn total(&self) -> i64 {
        self.queues.iter().map(|queue| queue.max - queue.min).sum()
    }

    /// When the newest letter died, ms.
    pub fn newest_ms(&self) -> Option<i64> {
        self.queues.iter().map(|queue| queue.newest_ms).max().filter(|ms| *ms > 0)
    }
}

/// One queue of dead letters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadQueue {
    /// Broker address.
    pub addr: String,
    /// Queue.
    pub queue: MessageQueue,
    /// First letter kept.
    pub min: i64,
    /// Offset of the next letter.
    pub max: i64,
    /// When the newest letter died, ms; 0 in an empty queue.
    pub newest_ms: i64,
}

impl DeadQueue {
    fn at(&self) -> QueueAt<'_> {
        QueueAt { addr: &self.addr, topic: &self.queue.topic, queue_id: self.queue.queue_id }
    }
}

/// A dead letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// The message as it lies in the dead-letter topic.
    pub message: MessageExt,
    /// Consumer group that gave it up.
    pub group: String,
}

impl Letter {
    /// When it died, the broker's clock, ms.
    pub fn died_ms(&self) -> i64 {
        self.message.store_ms
    }

    /// Deliveries that were made.
    pub fn tries(&self) -> i32 {
        self.message.reconsume_times
    }

    /// Topic that it came from; none in a letter written by hand.
    pub fn origin_topic(&self) -> Option<&str> {
        self.message.get(key::RETRY_TOPIC)
    }

    /// Offset id of the first copy.
    pub fn first_copy(&self) -> Option<&str> {
        self.message.get(key::ORIGIN_MESSAGE_ID)
    }

    /// The letter that this one is a copy of, sent back and dead again.
    pub fn resent_from(&self) -> Option<&str> {
        self.message.get(RESENT_FROM)
    }

    /// How often the message was sent back before it died this time.
    pub fn resent_count(&self) -> u32 {
        self.message.get(RESENT_COUNT).and_then(|count| count.parse().ok()).unwrap_or_default()
    }

    /// The letter's name in [`RESENT_FROM`].
    pub fn id(&self) -> String {
        let message = &self.message;
        format!("{}:{}:{}", message.broker_name, message.queue_id, message.queue_offset)
    }
}

/// Groups that have a dead-letter topic, by name.
///
/// # Errors
/// When the topics of the cluster are not known.
pub async fn groups(cluster: &Cluster) -> Result<Vec<String>, ClientError> {
    let topics = cluster.topic_names().await?.topic_list;
    Ok(topics.iter().filter_map(|topic| names::group_of_dlq(topic)).map(str::to_owned).collect())
}

/// Queues of a group's dead letters on all masters; none when nothing ever died.
///
/// # Errors
/// When a broker cannot be asked.
pub async fn of_group(cluster: &Cluster, group: &str) -> Result<DeadGroup, ClientError> {
    let topic = names::dlq_topic(group);
    let mut queues = Vec::new();
    for (broker_name, addr) in masters(cluster).await? {
        let Some(stats) = cluster.topic_stats(&addr, &topic).await? else { continue };
        queues.extend(stats.offset_table.into_iter().map(|(queue, extent)| DeadQueue {
            addr: addr.clone(),
            queue: MessageQueue { broker_name: broker_name.clone(), ..queue },
            min: extent.min_offset,
            max: extent.max_offset,
            newest_ms: extent.last_update_timestamp,
        }));
    }
    Ok(DeadGroup { group: group.to_owned(), queues })
}

/// Letters of a group that died at or after a time, by one search a queue.
///
/// # Errors
/// When a broker cannot be asked.
pub async fn dead_since(cluster: &Cluster, dead: &DeadGroup, ms: i64) -> Result<i64, ClientError> {
    let mut count = 0;
    for queue in dead.queues.iter().filter(|queue| queue.max > queue.min) {
        let lower = cluster.offset_at(queue.at(), ms, Boundary::Lower).await?;
        count += queue.max - lower.clamp(queue.min, queue.max);
    }
    Ok(count)
}

/// Reads the letters of a group newest first.
#[derive(Clone, Debug)]
pub struct Pages {
    group: String,
    cursors: Vec<Cursor>,
}

#[derive(Clone, Debug)]
struct Cursor {
    queue: DeadQueue,
    /// Everything from here on was read.
    before: i64,
    /// Read and not handed out, newest first.
    letters: VecDeque<Letter>,
}

impl Pages {
    /// Starts at the newest letter of every queue.
    pub fn new(dead: DeadGroup) -> Self {
        let cursor =
            |queue: DeadQueue| Cursor { before: queue.max, queue, letters: VecDeque::new() };
        Self { group: dead.group, cursors: dead.queues.into_iter().map(cursor).collect() }
    }

    /// The next letters, older than all before; fewer than asked only at the end.
    ///
    /// # Errors
    /// When a broker cannot be asked; what was read stays and the call can be repeated.
    pub async fn next(
        &mut self,
        cluster: &Cluster,
        count: usize,
    ) -> Result<Vec<Letter>, ClientError> {
        let mut page = Vec::new();
        while page.len() < count {
            for cursor in &mut self.cursors {
                cursor.fill(cluster, &self.group).await?;
            }
            let newest = self
                .cursors
                .iter_mut()
                .filter(|cursor| !cursor.letters.is_empty())
                .max_by_key(|cursor| cursor.letters.front().map(Letter::died_ms));
            match newest.and_then(|cursor| cursor.letters.pop_front()) {
                Some(letter) => page.push(letter),
                None => break,
            }
        }
        Ok(page)
    }
}

impl Cursor {
    /// Reads the next range of offsets when all of the last one is handed out.
    async fn fill(&mut self, cluster: &Cluster, group: &str) -> Result<(), ClientError> {
        while self.letters.is_empty() && self.before > self.queue.min {
            let from = (self.before - i64::from(PULL_MAX)).max(self.queue.min);
            let mut range = Vec::new();
            let mut at = from;
            // A pull gives less than asked when letters are large: go on behind it.
            while at < self.before {
                let most = (self.before - at) as i32;
                let ask = reading(TOOLS_GROUP, &self.queue.queue, at, most);
                let pulled = cluster.pull(&self.queue.addr, &ask).await?;
                let got = pulled.messages(&self.queue.queue.broker_name).into_iter();
                range.extend(got.filter(|message| message.queue_offset < self.before));
                if pulled.next <= at {
                    break;
                }
                at = pulled.next;
            }
            let group = group.to_owned();
            let letter = |message| Letter { message, group: group.clone() };
            self.letters = range.into_iter().rev().map(letter).collect();
            self.before = from;
        }
        Ok(())
    }
}

/// Where a copy goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// A retry topic of the group: only this group gets the copy.
    Retry(String),
    /// The topic that the message came from: every group of it gets the copy.
    Origin(String),
}

impl Target {
    /// Topic of the target.
    pub fn topic(&self) -> &str {
        match self {
            Self::Retry(topic) | Self::Origin(topic) => topic,
        }
    }
}

/// Who of a group is online and what they read, all brokers united.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Readers {
    /// Members by client id, with their languages.
    pub members: BTreeMap<String, String>,
    /// Topics that the group subscribes to, and on how many brokers.
    pub topics: BTreeMap<String, usize>,
    /// The group is broadcasting on some broker.
    pub broadcasting: bool,
    /// The group holds order locks by its configuration.
    pub orderly: bool,
    /// Brokers that could not be asked.
    pub unknown: Vec<String>,
}

/// Which targets are open to a letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Suggestion {
    /// The group reads this retry topic.
    Retry(Target),
    /// The group reads no retry topic; only the origin topic is left.
    OriginOnly,
    /// Nobody is online, or a pop or gRPC client: who would read the retry topic is not known.
    ReaderUnknown(Target),
}

impl Readers {
    /// The target for a letter of the group.
    pub fn suggest(&self, group: &str) -> Suggestion {
        let plain = Target::Retry(names::retry_topic(group));
        if self.broadcasting || self.orderly {
            return Suggestion::OriginOnly;
        }
        if self.topics.contains_key(plain.topic()) {
            return Suggestion::Retry(plain);
        }
        let prefix = plain.topic().to_owned();
        let popped = self.topics.keys().find(|topic| {
            let rest = topic.strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| rest.starts_with(['_', '+']))
        });
        match popped {
            Some(topic) => Suggestion::Retry(Target::Retry(topic.clone())),
            None => Suggestion::ReaderUnknown(plain),
        }
    }
}

/// Asks every master who of a group is online.
///
/// # Errors
/// When the brokers of the cluster are not known.
pub async fn readers(cluster: &Cluster, group: &str) -> Result<Readers, ClientError> {
    let mut readers = Readers::default();
    for (broker_name, addr) in masters(cluster).await? {
        let Ok(found) = cluster.consumer_connections(&addr, group).await else {
            readers.unknown.push(broker_name);
            continue;
        };
        let Some(found) = found else { continue };
        readers.broadcasting |= found.message_model == MessageModel::Broadcasting;
        for topic in found.subscription_table.into_keys() {
            *readers.topics.entry(topic).or_default() += 1;
        }
        let clients = found.connection_set.into_iter();
        readers.members.extend(clients.map(|client| (client.client_id, client.language)));
        if let Ok(configs) = cluster.group_configs(&addr).await {
            let config = configs.subscription_group_table.get(group);
            readers.orderly |= config.is_some_and(|config| config.consume_message_orderly);
        }
    }
    Ok(readers)
}

/// Copies of a letter on a topic, whoever sent them, as far back as the index reaches.
///
/// # Errors
/// When a broker of the topic cannot be asked: then "not sent" cannot be said.
pub async fn copies(
    cluster: &Cluster,
    letter: &Letter,
    topic: &str,
) -> Result<Vec<MessageExt>, ClientError> {
    let unique_id = letter.message.unique_id();
    let id = letter.id();
    let mut copies = Vec::new();
    for addr in masters(cluster).await?.into_values() {
        // A copy with a unique id of its own has the old one among its keys.
        for key in [Key::Unique(&unique_id), Key::Business(&unique_id)] {
            copies.extend(cluster.query_messages(&addr, topic, key, QUERY_MAX).await?);
        }
    }
    let mut seen = BTreeSet::new();
    copies.retain(|copy| copy.get(RESENT_FROM) == Some(&id) && seen.insert(copy.offset_id()));
    Ok(copies)
}

/// Which unique id a copy gets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum CopyId {
    /// The letter's: applications that remember ids may pass the copy over.
    #[default]
    Same,
    /// A new one; the old one is put among the keys.
    New,
}

/// Sends one copy of a letter. The letter stays.
///
/// # Errors
/// As a send; `Refused` with 17 when the target topic does not exist.
pub async fn resend(
    cluster: &Cluster,
    letter: &Letter,
    target: &Target,
    id: CopyId,
) -> Result<SendResult, ClientError> {
    let unique_key = match id {
        CopyId::Same => letter.message.unique_id(),
        CopyId::New => cluster.unique_key(),
    };
    let message = &letter.message;
    let parcel = Parcel {
        group: RESEND_GROUP.to_owned(),
        topic: target.topic().to_owned(),
        properties: copy_properties(letter, target, &unique_key, cluster.now_ms()),
        unique_key,
        body: message.stored_body.clone(),
        sys_flag: message.sys_flag.0 & KEPT_FLAGS,
        flag: message.flag,
        born_ms: message.born_ms,
        reconsume_times: 0,
        max_reconsume_times: None,
        batch: false,
    };
    let publish = cluster.existing_route(target.topic()).await?;
    let queues = &publish.queues;
    let home: Vec<&MessageQueue> =
        queues.iter().filter(|queue| queue.broker_name == message.broker_name).collect();
    let home = if home.is_empty() { queues.iter().collect() } else { home };
    let turn = message.queue_offset.unsigned_abs() as usize % home.len().max(1);
    let queue = home
        .get(turn)
        .ok_or_else(|| ClientError::NoBroker(format!("topic {} for sending", target.topic())))?;
    cluster.deliver(&parcel, &publish, queue, RESEND_WAIT).await
}

/// Properties of a copy: those of the letter without what would send it astray, and where it is from.
pub fn copy_properties(letter: &Letter, target: &Target, unique_key: &str, now_ms: i64) -> String {
    let origin = matches!(target, Target::Origin(_));
    let leaves = |name: &str| {
        let strange = origin && matches!(name, key::RETRY_TOPIC | key::ORIGIN_MESSAGE_ID);
        strange
            || STRIPPED.contains(&name)
            || STRIPPED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut text = String::new();
    for (name, value) in properties::iter(&letter.message.properties) {
        if !leaves(name) {
            properties::push(&mut text, name, value);
        }
    }
    let old = letter.message.unique_id();
    if old != unique_key {
        let mut keys: Vec<&str> = letter.message.keys().collect();
        if !keys.contains(&old.as_str()) {
            keys.push(&old);
        }
        properties::set(&mut text, key::KEYS, &keys.join(" "));
    }
    properties::set(&mut text, key::UNIQ_KEY, unique_key);
    properties::set(&mut text, RESENT_FROM, &letter.id());
    properties::set(&mut text, RESENT_AT, &now_ms.to_string());
    properties::set(&mut text, RESENT_COUNT, &(letter.resent_count() + 1).to_string());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sys_flag::SysFlag;
    use bytes::Bytes;

    fn letter(rows: &[(&str, &str)]) -> Letter {
        let mut text = String::new();
        for (name, value) in rows {
            properties::push(&mut text, name, value);
        }
        let message = MessageExt {
            broker_name: "broker-a".into(),
            topic: "%DLQ%g".into(),
            queue_id: 0,
            queue_offset: 7,
            log_offset: 100,
            flag: 0,
            sys_flag: SysFlag(0),
            born_ms: 1,
            born_host: "10.0.0.1:1".parse().unwrap(),
            store_ms: 2,
            store_host: "10.0.0.2:2".parse().unwrap(),
            reconsume_times: 17,
            properties: text,
            body: Bytes::from_static(b"x"),
            stored_body: Bytes::from_static(b"x"),
            damaged: None,
        };
        Letter { message, group: "g".into() }
    }

    fn retry() -> Target {
        Target::Retry("%RETRY%g".into())
    }

    #[test]
    fn a_copy_loses_what_would_send_it_astray_and_keeps_the_rest() {
        let gone = [
            "DELAY",
            "REAL_TOPIC",
            "REAL_QID",
            "TIMER_OUT_MS",
            "TIMER_DELAY_SEC",
            "TRAN_MSG",
            "PGROUP",
            "__transactionId__",
            "TRANSACTION_CHECK_TIMES",
            "RECONSUME_TIME",
            "MAX_RECONSUME_TIMES",
            "CONSUME_START_TIME",
            "POP_CK",
            "1ST_POP_TIME",
            "MIN_OFFSET",
            "MAX_OFFSET",
            "WAIT",
        ];
        let kept = [
            "UNIQ_KEY",
            "KEYS",
            "TAGS",
            "mine",
            "RETRY_TOPIC",
            "ORIGIN_MESSAGE_ID",
            "__SHARDINGKEY",
        ];
        let rows: Vec<(&str, &str)> = gone.iter().chain(&kept).map(|name| (*name, "v")).collect();
        let text = copy_properties(&letter(&rows), &retry(), "v", 99);
        for name in gone {
            assert_eq!(properties::get(&text, name), None, "{name}");
        }
        for name in kept {
            assert_eq!(properties::get(&text, name), Some("v"), "{name}");
        }
        assert_eq!(properties::get(&text, "MQDECK_RESENT_FROM"), Some("broker-a:0:7"));
        assert_eq!(properties::get(&text, "MQDECK_RESENT_AT"), Some("99"));
        assert_eq!(properties::get(&text, "MQDECK_RESENT_COUNT"), Some("1"));
    }

    #[test]
    fn a_copy_for_the_origin_topic_is_no_retry_any_more() {
        let rows = [("RETRY_TOPIC", "orders"), ("ORIGIN_MESSAGE_ID", "X"), ("UNIQ_KEY", "u")];
        let target = Target::Origin("orders".into());
        let text = copy_properties(&letter(&rows), &target, "u", 0);
        assert_eq!(properties::get(&text, "RETRY_TOPIC"), None);
        assert_eq!(properties::get(&text, "ORIGIN_MESSAGE_ID"), None);
    }

    #[test]
    fn a_copy_with_a_new_id_is_still_found_by_the_old_one() {
        let rows = [("UNIQ_KEY", "old"), ("KEYS", "k1"), ("MQDECK_RESENT_COUNT", "2")];
        let text = copy_properties(&letter(&rows), &retry(), "new", 0);
        assert_eq!(properties::get(&text, "KEYS"), Some("k1 old"));
        assert_eq!(properties::get(&text, "UNIQ_KEY"), Some("new"));
        assert_eq!(properties::get(&text, "MQDECK_RESENT_COUNT"), Some("3"));
    }

    #[test]
    fn a_copy_goes_where_the_group_reads() {
        let reads = |topics: &[&str], broadcasting, orderly| Readers {
            topics: topics.iter().map(|topic| ((*topic).to_owned(), 1)).collect(),
            broadcasting,
            orderly,
            ..Readers::default()
        };
        let unknown = Suggestion::ReaderUnknown(retry());
        assert_eq!(reads(&[], false, false).suggest("g"), unknown);
        assert_eq!(reads(&["orders"], false, false).suggest("g"), unknown);
        assert_eq!(reads(&["%RETRY%g"], false, false).suggest("g"), Suggestion::Retry(retry()));
        let popped = Target::Retry("%RETRY%g_orders".into());
        assert_eq!(
            reads(&["%RETRY%g_orders"], false, false).suggest("g"),
            Suggestion::Retry(popped)
        );
        assert_eq!(reads(&["%RETRY%gg"], false, false).suggest("g"), unknown);
        assert_eq!(reads(&["%RETRY%g"], true, false).suggest("g"), Suggestion::OriginOnly);
        assert_eq!(reads(&["%RETRY%g"], false, true).suggest("g"), Suggestion::OriginOnly);
    }
}
