//! `Producer`: sends messages, chooses queues, tries again elsewhere, keeps the group registered.
//!
//! All attempts of one send share one time-out; a second attempt avoids the broker that just failed.
//! Transactions and request/reply are not here. Rules: remoting.md §8.1, §9.1, message.md §2, §3.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::cluster::{Ask, Cluster};
use super::error::ClientError;
use super::fault_avoidance::{FaultTable, Sent};
use super::message::{self, Message};
use super::route_cache::{PublishRoute, master_of};
use super::send::{self, Parcel, SendResult};
use crate::protocol::batch::{self, Element};
use crate::protocol::body::MessageQueue;
use crate::protocol::body::heartbeat::{HeartbeatData, ProducerData};
use crate::protocol::ext_fields::Fields;
use crate::protocol::properties::key;
use crate::protocol::request::client::UnregisterClient;
use crate::protocol::sys_flag::SysFlag;
use crate::protocol::{code, json_dialect, names};

/// Between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Most sends with a callback that are under way.
const CALLBACKS_MAX: usize = 10_000;

/// How a producer behaves.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// Producer group.
    pub group: String,
    /// Time for all attempts of one send.
    pub timeout: Duration,
    /// Attempts after the first.
    pub retries: u32,
    /// Bodies from this size on are compressed.
    pub compress_from: usize,
    /// Level of compression, 1 to 9.
    pub compress_level: u32,
    /// Largest body.
    pub body_max: usize,
    /// Leave slow and failing brokers alone for a while.
    pub fault_avoidance: bool,
}

impl ProducerConfig {
    /// The defaults of Java's clients.
    pub fn new(group: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            timeout: Duration::from_secs(3),
            retries: 2,
            compress_from: 4_096,
            compress_level: 5,
            body_max: 4 * 1024 * 1024,
            fault_avoidance: false,
        }
    }
}

/// A producer of one group. Its heartbeats end when it is dropped; [`Self::close`] unregisters it too.
#[derive(Debug)]
pub struct Producer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    cluster: Arc<Cluster>,
    config: ProducerConfig,
    next: AtomicUsize,
    faults: Mutex<FaultTable>,
    /// Masters that had a heartbeat of this group.
    greeted: Mutex<BTreeSet<String>>,
    callbacks: Arc<Semaphore>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Producer {
    /// A producer of a group; it registers at each broker before it first sends there.
    ///
    /// # Errors
    /// `Invalid` for a group name that no broker takes.
    pub fn start(cluster: &Arc<Cluster>, config: ProducerConfig) -> Result<Self, ClientError> {
        if let Err(error) = names::check_group(&config.group) {
            return Err(ClientError::Invalid(format!("group {:?}: {error}", config.group)));
        }
        let shared = Arc::new(Shared {
            cluster: Arc::clone(cluster),
            config,
            next: AtomicUsize::new(0),
            faults: Mutex::default(),
            greeted: Mutex::default(),
            callbacks: Arc::new(Semaphore::new(CALLBACKS_MAX)),
        });
        cluster.handle().spawn(keep_registered(Arc::downgrade(&shared)));
        Ok(Self { shared })
    }

    /// Queues to which a topic can be sent.
    ///
    /// # Errors
    /// As [`Cluster::publish_route`].
    pub async fn queues(&self, topic: &str) -> Result<Vec<MessageQueue>, ClientError> {
        let publish = self.shared.cluster.publish_route(topic).await?;
        Ok(publish.queues.to_vec())
    }

    /// Sends a message to any queue of its topic.
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn send(&self, message: &Message) -> Result<SendResult, ClientError> {
        let parcel = self.shared.parcel(message)?;
        self.shared.send(&parcel).await
    }

    /// Sends a message to one queue, once.
    ///
    /// # Errors
    /// Of the attempt.
    pub async fn send_to(
        &self,
        message: &Message,
        queue: &MessageQueue,
    ) -> Result<SendResult, ClientError> {
        let parcel = self.shared.parcel(message)?;
        let publish = self.shared.cluster.publish_route(&parcel.topic).await?;
        self.shared.attempt(&parcel, &publish, queue, self.shared.config.timeout).await
    }

    /// Sends several messages of one topic in one request; they become neighbours in one queue.
    ///
    /// # Errors
    /// `Invalid` for an empty batch, several topics or a delay; else as [`Self::send`].
    pub async fn send_batch(&self, messages: &[Message]) -> Result<SendResult, ClientError> {
        let parcel = self.shared.batch(messages)?;
        self.shared.send(&parcel).await
    }

    /// Sends a message and tells a function what became of it, on the client's runtime.
    pub fn send_then(
        &self,
        message: Message,
        done: impl FnOnce(Result<SendResult, ClientError>) + Send + 'static,
    ) {
        let shared = Arc::clone(&self.shared);
        let Ok(permit) = Arc::clone(&shared.callbacks).try_acquire_owned() else {
            let busy = format!("{CALLBACKS_MAX} sends are under way already");
            return done(Err(ClientError::Invalid(busy)));
        };
        self.shared.cluster.handle().spawn(async move {
            let _permit = permit;
            done(match shared.parcel(&message) {
                Ok(parcel) => shared.send(&parcel).await,
                Err(error) => Err(error),
            });
        });
    }

    /// Sends a message without waiting for an answer: it may be lost without a word.
    ///
    /// # Errors
    /// When it could not even be sent.
    pub async fn send_oneway(&self, message: &Message) -> Result<(), ClientError> {
        let parcel = self.shared.parcel(message)?;
        let publish = self.shared.cluster.publish_route(&parcel.topic).await?;
        let queue = self.shared.choose(&publish, &parcel.topic, None)?;
        let addr = master_of(&publish.route, &queue.broker_name)?;
        self.shared.greet(addr).await;
        self.shared.cluster.tell(addr, parcel.ask(&queue, self.shared.config.timeout)).await
    }

    /// Unregisters the group and ends.
    pub async fn close(self) {
        let greeted = std::mem::take(&mut *lock(&self.shared.greeted));
        for addr in greeted {
            let asked = UnregisterClient {
                client_id: self.shared.cluster.client_id(),
                producer_group: Some(&self.shared.config.group),
                consumer_group: None,
            };
            // A broker that does not answer notices the closed connection.
            let _ = self.shared.cluster.ask(&addr, Ask::new(code::UNREGISTER_CLIENT, asked)).await;
        }
    }
}

impl Shared {
    fn parcel(&self, message: &Message) -> Result<Parcel, ClientError> {
        message.check()?;
        self.fits(message.body.len())?;
        let unique_key = match message.get(key::UNIQ_KEY) {
            Some(key) => key.to_owned(),
            None => self.cluster.unique_key(),
        };
        let compress = message.body.len() >= self.config.compress_from;
        let compressed = if compress {
            message::deflate(&message.body, self.config.compress_level).ok()
        } else {
            None
        };
        let sys_flag = if compressed.is_some() { SysFlag::COMPRESSED } else { 0 };
        Ok(Parcel {
            group: self.config.group.clone(),
            topic: message.topic.clone(),
            properties: message.properties_with(&unique_key),
            unique_key,
            body: compressed.unwrap_or_else(|| message.body.clone()),
            sys_flag,
            flag: message.flag,
            born_ms: self.cluster.now_ms(),
            reconsume_times: 0,
            max_reconsume_times: None,
            batch: false,
        })
    }

    fn batch(&self, messages: &[Message]) -> Result<Parcel, ClientError> {
        let invalid = |what: &str| ClientError::Invalid(what.to_owned());
        let first = messages.first().ok_or_else(|| invalid("the batch is empty"))?;
        let mut body = Vec::new();
        let mut unique_keys = Vec::with_capacity(messages.len());
        for message in messages {
            message.check()?;
            if message.topic != first.topic {
                return Err(invalid("a batch has messages of one topic only"));
            }
            if message.get(key::DELAY).is_some() || message.topic.starts_with(names::RETRY_PREFIX) {
                return Err(invalid("a batch takes neither delays nor retry topics"));
            }
            let unique_key = self.cluster.unique_key();
            let properties = message.properties_with(&unique_key);
            let element =
                Element { flag: message.flag, body: &message.body, properties: &properties };
            if !batch::encode(&mut body, element) {
                return Err(invalid("properties are longer than a message can hold"));
            }
            unique_keys.push(unique_key);
        }
        self.fits(body.len())?;
        Ok(Parcel {
            group: self.config.group.clone(),
            topic: first.topic.clone(),
            unique_key: unique_keys.join(","),
            properties: String::new(),
            body: body.into(),
            sys_flag: 0,
            flag: 0,
            born_ms: self.cluster.now_ms(),
            reconsume_times: 0,
            max_reconsume_times: None,
            batch: true,
        })
    }

    fn fits(&self, len: usize) -> Result<(), ClientError> {
        let limit = self.config.body_max;
        if len > limit {
            let what = format!("body of {len} bytes is larger than the limit of {limit}");
            return Err(ClientError::Invalid(what));
        }
        Ok(())
    }

    async fn send(&self, parcel: &Parcel) -> Result<SendResult, ClientError> {
        let deadline = Instant::now() + self.config.timeout;
        let mut failed: Option<(String, ClientError)> = None;
        for _ in 0..=self.config.retries {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let found = timeout_at(deadline, self.cluster.publish_route(&parcel.topic)).await;
            let publish = match (found, &failed) {
                (Ok(Ok(publish)), _) => publish,
                (Ok(Err(error)), None) => return Err(error),
                (_, Some(_)) => break,
                (Err(_), None) => return Err(self.out_of_time()),
            };
            let avoid = failed.as_ref().map(|(broker, _)| broker.as_str());
            let queue = self.choose(&publish, &parcel.topic, avoid)?;
            let left = deadline.saturating_duration_since(Instant::now());
            match self.attempt(parcel, &publish, &queue, left).await {
                Err(error) if send::may_try_elsewhere(&error) => {
                    self.cluster.doubt_route(&parcel.topic);
                    failed = Some((queue.broker_name, error));
                }
                ended => return ended,
            }
        }
        Err(failed.map_or_else(|| self.out_of_time(), |(_, error)| error))
    }

    fn out_of_time(&self) -> ClientError {
        ClientError::TimeOut {
            addr: "the name servers".to_owned(),
            code: code::GET_ROUTEINFO_BY_TOPIC,
            ms: self.config.timeout.as_millis() as u64,
        }
    }

    async fn attempt(
        &self,
        parcel: &Parcel,
        publish: &PublishRoute,
        queue: &MessageQueue,
        left: Duration,
    ) -> Result<SendResult, ClientError> {
        let deadline = Instant::now() + left;
        let addr = master_of(&publish.route, &queue.broker_name)?;
        // A greeting that takes longer is given up: it is repeated in 30 s, the send has its time-out.
        let _ = timeout_at(deadline, self.greet(addr)).await;
        let start = Instant::now();
        let left = deadline.saturating_duration_since(start);
        let ended = self.cluster.deliver(parcel, publish, queue, left).await;
        if self.config.fault_avoidance {
            let sent = match &ended {
                Ok(_) => Sent::Within(start.elapsed().as_millis() as i64),
                Err(_) => Sent::Failed,
            };
            lock(&self.faults).note(&queue.broker_name, sent, self.cluster.now_ms());
        }
        ended
    }

    /// The next queue in turn, of another broker than the one that failed when there is one.
    fn choose(
        &self,
        publish: &PublishRoute,
        topic: &str,
        avoid: Option<&str>,
    ) -> Result<MessageQueue, ClientError> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let now_ms = self.cluster.now_ms();
        let faults = self.config.fault_avoidance.then(|| lock(&self.faults));
        let available = |queue: &MessageQueue| {
            faults.as_ref().is_none_or(|table| table.is_available(&queue.broker_name, now_ms))
        };
        pick(&publish.queues, turn, avoid, available)
            .cloned()
            .ok_or_else(|| ClientError::NoBroker(format!("topic {topic} for sending")))
    }

    /// Registers the group at a master before the first send there.
    async fn greet(&self, addr: &str) {
        let known = lock(&self.greeted).contains(addr);
        if !known && lock(&self.greeted).insert(addr.to_owned()) {
            self.heartbeat(addr).await;
        }
    }

    async fn heartbeat(&self, addr: &str) {
        let data = HeartbeatData {
            client_id: self.cluster.client_id().to_owned(),
            producer_data_set: vec![ProducerData { group_name: self.config.group.clone() }],
            ..HeartbeatData::default()
        };
        let ask = Ask::new(code::HEART_BEAT, Fields::new()).body(json_dialect::to_vec(&data));
        // A missed heartbeat is repeated in 30 s; a broker forgets a client after 120.
        let _ = self.cluster.ask(addr, ask).await;
    }
}

/// The queue whose turn it is among the available ones of other brokers; with none, among others; with
/// none, among all.
fn pick<'a>(
    queues: &'a [MessageQueue],
    turn: usize,
    avoid: Option<&str>,
    available: impl Fn(&MessageQueue) -> bool,
) -> Option<&'a MessageQueue> {
    let rounds = (0..queues.len()).map(|step| &queues[(turn.wrapping_add(step)) % queues.len()]);
    let other = |queue: &&MessageQueue| avoid != Some(queue.broker_name.as_str());
    rounds
        .clone()
        .find(|queue| other(queue) && available(queue))
        .or_else(|| rounds.clone().find(other))
        .or_else(|| rounds.clone().next())
}

async fn keep_registered(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let Some(shared) = shared.upgrade() else { return };
        let greeted: Vec<String> = lock(&shared.greeted).iter().cloned().collect();
        for addr in greeted {
            shared.heartbeat(&addr).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(broker: &str, queue_id: i32) -> MessageQueue {
        MessageQueue { topic: "t".into(), broker_name: broker.into(), queue_id }
    }

    #[test]
    fn queues_take_turns_and_a_failed_broker_is_passed_over() {
        let queues = [queue("a", 0), queue("a", 1), queue("b", 0)];
        let all = |_: &MessageQueue| true;
        assert_eq!(pick(&queues, 0, None, all), Some(&queues[0]));
        assert_eq!(pick(&queues, 4, None, all), Some(&queues[1]));
        assert_eq!(pick(&queues, 0, Some("a"), all), Some(&queues[2]));
        assert_eq!(pick(&queues[..2], 0, Some("a"), all), Some(&queues[0]));
        assert_eq!(pick(&queues, 0, None, |queue| queue.broker_name == "b"), Some(&queues[2]));
        assert_eq!(pick(&queues, 1, None, |_| false), Some(&queues[1]));
        assert_eq!(pick(&[], 0, None, all), None);
    }
}
