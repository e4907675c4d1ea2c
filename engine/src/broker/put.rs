//! From a message to an append: delay levels redirect, properties are completed, bytes are encoded.
//!
//! Used by sends, send-backs and the delivery of delayed messages. Spec: message.md §6, semantics.md §9.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Broker;
use crate::decide::Refusal;
use crate::decide::delay::{self, Timer, TimerAsk};
use crate::protocol::java_hash;
use crate::protocol::names;
use crate::protocol::properties::{self, key};
use crate::protocol::record::{RecordBuf, RecordBuilder, RecordError, RecordView};
use crate::protocol::response_code;
use crate::protocol::sys_flag::{SysFlag, Transaction};
use crate::store::{Append, UnitKind};

/// How the names of all timer properties start.
const TIMER_PREFIX: &[u8] = b"TIMER_";

/// A message on its way to the log.
#[derive(Clone, Debug)]
pub struct Put<'a> {
    /// Topic.
    pub topic: Arc<str>,
    /// Queue of the topic.
    pub queue_id: i32,
    /// User flag.
    pub flag: i32,
    /// System flags as received.
    pub sys_flag: i32,
    /// When the producer made it, ms.
    pub born_ms: i64,
    /// Who sent it.
    pub born_host: SocketAddr,
    /// Failed attempts so far.
    pub reconsume_times: i32,
    /// Commit-log offset of the half message that this one commits, else 0.
    pub prepared_offset: i64,
    /// Body as received, perhaps compressed.
    pub body: &'a [u8],
    /// Property string.
    pub properties: String,
    /// Whether the answer waits for flush and slaves.
    pub wait: bool,
}

impl<'a> Put<'a> {
    /// A copy of a stored message for another place.
    pub fn copy_of(record: &RecordView<'a>, topic: Arc<str>, queue_id: i32) -> Self {
        Self {
            topic,
            queue_id,
            flag: record.flag(),
            sys_flag: record.sys_flag().0,
            born_ms: record.born_timestamp(),
            born_host: record.born_host(),
            reconsume_times: record.reconsume_times(),
            prepared_offset: 0,
            body: record.body(),
            properties: record.properties().to_owned(),
            wait: true,
        }
    }
}

/// What the broker does with the delay that a message asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delay {
    /// It is obeyed.
    Obey,
    /// It was obeyed already: the message is being delivered.
    Done,
}

/// Why a message cannot be stored as it is.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Topic, properties or the whole are too large.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Its delay is none that the broker takes.
    #[error("{}", .0.remark)]
    Delay(Refusal),
}

impl PutError {
    /// The response code that says so.
    pub fn code(&self) -> i32 {
        match self {
            Self::Record(_) => response_code::MESSAGE_ILLEGAL,
            Self::Delay(refusal) => refusal.code,
        }
    }
}

/// Where a message waits before it goes to its real place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wait {
    /// Nowhere.
    No,
    /// At a delay level, so many milliseconds.
    Level(u8),
    /// On the timer topic, until this time.
    Until(i64),
}

impl Broker {
    /// Makes the append of a message; its `done` is the caller's to set.
    ///
    /// With [`Delay::Obey`] the properties `DELAY` and `TIMER_DELAY_SEC`, `TIMER_DELAY_MS`,
    /// `TIMER_DELIVER_MS` are obeyed, whoever made the message: this is also how the broker schedules
    /// messages of its own ([`Broker::append_at`]).
    ///
    /// # Errors
    /// [`PutError`] when it is too large or its delay is refused.
    pub fn append_of(&self, put: Put<'_>, delay: Delay) -> Result<Append, PutError> {
        self.timed_append_of(put, delay).map(|(append, _)| append)
    }

    /// Makes the append of a message that goes to its topic at `deliver_ms`, to the second; at once
    /// when that is past. For what the broker schedules itself.
    ///
    /// # Errors
    /// [`PutError`] as [`Broker::append_of`].
    pub fn append_at(&self, mut put: Put<'_>, deliver_ms: i64) -> Result<Append, PutError> {
        properties::set(&mut put.properties, key::TIMER_DELIVER_MS, &deliver_ms.to_string());
        self.append_of(put, Delay::Obey)
    }

    /// [`Broker::append_of`], and until when the message waits on the timer topic (`TIMER_OUT_MS`).
    ///
    /// # Errors
    /// [`PutError`] as [`Broker::append_of`].
    pub fn timed_append_of(
        &self,
        mut put: Put<'_>,
        delay: Delay,
    ) -> Result<(Append, Option<i64>), PutError> {
        let wait = match delay {
            Delay::Obey => self.wait_of(&mut put).map_err(PutError::Delay)?,
            Delay::Done => Wait::No,
        };
        let mut delay_ms = None;
        let mut out_ms = None;
        if wait != Wait::No {
            properties::set(&mut put.properties, key::REAL_TOPIC, &put.topic);
            properties::set(&mut put.properties, key::REAL_QUEUE_ID, &put.queue_id.to_string());
        }
        match wait {
            Wait::No => {}
            Wait::Level(level) => {
                put.topic = Arc::clone(&self.schedule_topic);
                put.queue_id = i32::from(level) - 1;
                delay_ms = Some(self.levels.wait_ms(level));
            }
            Wait::Until(time_ms) => {
                properties::set(&mut put.properties, key::TIMER_OUT_MS, &time_ms.to_string());
                put.topic = Arc::from(names::TIMER_TOPIC);
                put.queue_id = 0;
                out_ms = Some(time_ms);
            }
        }
        let tags_code = java_hash::tag_code(properties::get(&put.properties, key::TAGS));
        let record = self.encode(&put)?;
        let append = Append {
            topic: put.topic,
            queue_id: put.queue_id,
            record,
            tags_code,
            more: Vec::new(),
            kind: unit_kind(put.sys_flag),
            delay_ms,
            wait: put.wait,
            done: Box::new(|_| {}),
        };
        Ok((append, out_ms))
    }

    /// What a message asks for. A delay level drops all timer properties (semantics.md §9); a message
    /// that has been on the wheel (`TIMER_OUT_MS`) never gets there again, whatever it still carries.
    fn wait_of(&self, put: &mut Put<'_>) -> Result<Wait, Refusal> {
        let text = &mut put.properties;
        let timed = memchr::memmem::find(text.as_bytes(), TIMER_PREFIX).is_some();
        if let Some(level) = self.levels.level_of(properties::get(text, key::DELAY)) {
            if timed {
                for name in [key::TIMER_DELAY_SEC, key::TIMER_DELAY_MS, key::TIMER_DELIVER_MS] {
                    properties::remove(text, name);
                }
            }
            return Ok(Wait::Level(level));
        }
        let waited = || properties::get(text, key::TIMER_OUT_MS).is_some();
        if !timed || &*put.topic == names::TIMER_TOPIC || waited() {
            return Ok(Wait::No);
        }
        let ask = TimerAsk {
            delay_sec: properties::get(text, key::TIMER_DELAY_SEC),
            delay_ms: properties::get(text, key::TIMER_DELAY_MS),
            deliver_ms: properties::get(text, key::TIMER_DELIVER_MS),
            recalls: properties::get(text, key::TIMER_DELETE_UNIQUE_KEY).is_some(),
        };
        match delay::timer(ask, self.clock.wall_ms(), self.timer_ahead_ms()) {
            Timer::Refuse(refusal) => Err(refusal),
            Timer::Now | Timer::At { .. } if !self.config.timer_wheel_enable => {
                let remark = "accurate timer message is not enabled, timerWheelEnable is false";
                Err(Refusal::new(response_code::SYSTEM_ERROR, remark))
            }
            Timer::No | Timer::Now => Ok(Wait::No),
            Timer::At { out_ms } => Ok(Wait::Until(out_ms)),
        }
    }

    /// Furthest that a timer message may lie ahead, ms.
    pub(crate) fn timer_ahead_ms(&self) -> i64 {
        i64::try_from(self.live().timer_max_delay_sec).unwrap_or(i64::MAX).saturating_mul(1_000)
    }

    /// Encodes one record of this broker, with its holes open.
    pub fn encode(&self, put: &Put<'_>) -> Result<RecordBuf, RecordError> {
        RecordBuilder {
            topic: &put.topic,
            queue_id: put.queue_id,
            flag: put.flag,
            sys_flag: SysFlag(put.sys_flag),
            born_timestamp: put.born_ms,
            born_host: put.born_host,
            store_host: self.addr,
            reconsume_times: put.reconsume_times,
            prepared_transaction_offset: put.prepared_offset,
            body: put.body,
            properties: &put.properties,
        }
        .encode()
    }

    /// Adds what a broker adds to the properties of every ordinary send (message.md §6).
    pub fn complete_properties(&self, text: &mut String, now_ms: i64) {
        put_unless_equal(text, key::MSG_REGION, &self.config.region_id);
        put_unless_equal(text, key::TRACE_ON, if self.config.trace_on { "true" } else { "false" });
        if properties::get(text, key::POP_CK).is_some() {
            properties::remove(text, key::POP_CK);
        }
        if properties::get(text, key::UNIQ_KEY).is_none() {
            properties::push(text, key::UNIQ_KEY, &self.unique_keys.next(now_ms));
        }
        put_unless_equal(text, key::CLUSTER, &self.config.broker_cluster_name);
        properties::close(text);
    }
}

/// What the log keeps of prepared and rollback records only for itself gets no unit; half messages
/// are stored as ordinary ones of their topic.
fn unit_kind(sys_flag: i32) -> UnitKind {
    match SysFlag(sys_flag).transaction() {
        Transaction::None | Transaction::Commit => UnitKind::Message,
        Transaction::Prepared | Transaction::Rollback => UnitKind::NoUnit,
    }
}

fn put_unless_equal(text: &mut String, key: &str, value: &str) {
    match properties::get(text, key) {
        None => properties::push(text, key, value),
        Some(old) if old == value => {}
        Some(_) => properties::set(text, key, value),
    }
}

/// The topic that a delayed message waits in.
pub fn schedule_topic() -> Arc<str> {
    Arc::from(names::SCHEDULE_TOPIC)
}
