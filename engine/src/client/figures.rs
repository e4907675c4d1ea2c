//! Typed questions about figures, offsets and single messages, and the requests that move offsets.
//!
//! Lag and its like are derived from these by `decide` and the console (admin.md §5 a); here is one
//! request a method. What is unknown stays `None`, never 0. Rules: admin.md §4.3–§4.10.

use std::time::Duration;

use super::cluster::{Ask, Cluster};
use super::error::ClientError;
use super::message::MessageExt;
use crate::protocol::body::QueueMap;
use crate::protocol::body::offsets::{
    ConsumeQueueBody, ConsumerOffsets, ConsumerStatusBody, DelayOffsets, ResetOffsetBody,
};
use crate::protocol::body::stats::{
    BrokerConsumeStats, BrokerStats, ConsumeStats, ConsumeTimeSpans, TopicStatsTable,
};
use crate::protocol::ext_fields::Fields;
use crate::protocol::request::broker::{TrimDeadLetters, TrimResponse};
use crate::protocol::request::offset::{
    ConsumerStatus, OffsetResponse, QueryConsumerOffset, QueueOf, ResetOffset, SearchOffset,
    TimestampResponse, UpdateConsumerOffset,
};
use crate::protocol::request::pull::{QueryMessage, ViewMessage};
use crate::protocol::request::stats;
use crate::protocol::request::topic::TopicOf;
use crate::protocol::{code, record, response_code};

/// How long figures of whole groups may take.
const STATS_WAIT: Duration = Duration::from_secs(15);
/// Most messages that a query by key may give.
pub const QUERY_MAX: i32 = 64;
/// Most units that one look into a consume queue may give (admin.md §4.10).
pub const UNITS_MAX: i32 = 1_000;

/// One queue at one broker address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueAt<'a> {
    /// Broker address.
    pub addr: &'a str,
    /// Topic.
    pub topic: &'a str,
    /// Queue id.
    pub queue_id: i32,
}

impl<'a> QueueAt<'a> {
    fn of(&self) -> QueueOf<'a> {
        QueueOf { topic: self.topic, queue_id: self.queue_id }
    }
}

/// Which message a search by time gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Boundary {
    /// The first at or after the time.
    Lower,
    /// The last at or before it.
    Upper,
}

/// A key to look messages up by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key<'a> {
    /// The unique key, which all copies of a message share.
    Unique(&'a str),
    /// A word of the message's keys.
    Business(&'a str),
}

impl Cluster {
    // --- Figures.

    /// Queues of a topic on one broker (202); none when the broker does not have the topic.
    pub async fn topic_stats(
        &self,
        addr: &str,
        topic: &str,
    ) -> Result<Option<TopicStatsTable>, ClientError> {
        let answer =
            self.call(addr, Ask::new(code::GET_TOPIC_STATS_INFO, TopicOf { topic })).await?;
        match answer.code {
            response_code::TOPIC_NOT_EXIST => Ok(None),
            _ => answer.success()?.json().map(Some),
        }
    }

    /// Positions of a group on one broker (208), of one topic or of all.
    pub async fn consume_stats(
        &self,
        addr: &str,
        group: &str,
        topic: Option<&str>,
    ) -> Result<ConsumeStats, ClientError> {
        let asked = stats::ConsumeStats { group, topic, topics: None };
        self.ask(addr, Ask::new(code::GET_CONSUME_STATS, asked).wait(STATS_WAIT)).await?.json()
    }

    /// Positions of all groups of a broker (317). Its in-flight total means nothing (admin.md §4.4).
    pub async fn broker_consume_stats(
        &self,
        addr: &str,
    ) -> Result<BrokerConsumeStats, ClientError> {
        let asked = stats::BrokerConsumeStats { order: Some(false) };
        self.ask(addr, Ask::new(code::GET_BROKER_CONSUME_STATS, asked).wait(STATS_WAIT))
            .await?
            .json()
    }

    /// Times that a group's positions span (303).
    pub async fn consume_time_spans(
        &self,
        addr: &str,
        topic: &str,
        group: &str,
    ) -> Result<ConsumeTimeSpans, ClientError> {
        let asked = stats::ConsumeTimeSpan { topic, group };
        self.ask(addr, Ask::new(code::QUERY_CONSUME_TIME_SPAN, asked).wait(STATS_WAIT))
            .await?
            .json()
    }

    /// One statistic of a broker (315); none when nothing was counted since its start.
    pub async fn broker_stats(
        &self,
        addr: &str,
        name: &str,
        key: &str,
    ) -> Result<Option<BrokerStats>, ClientError> {
        let asked = stats::BrokerStats { name, key };
        let answer = self.call(addr, Ask::new(code::VIEW_BROKER_STATS_DATA, asked)).await?;
        match answer.code {
            response_code::SYSTEM_ERROR => Ok(None),
            _ => answer.success()?.json().map(Some),
        }
    }

    /// Units of a consume queue from an index on (321); none for an unknown queue or beyond its end.
    pub async fn consume_queue(
        &self,
        queue: QueueAt<'_>,
        index: i64,
        count: i32,
    ) -> Result<Option<ConsumeQueueBody>, ClientError> {
        let asked = stats::QueryConsumeQueue {
            topic: queue.topic,
            queue_id: queue.queue_id,
            index,
            count: count.min(UNITS_MAX),
            group: None,
        };
        let answer = self.call(queue.addr, Ask::new(code::QUERY_CONSUME_QUEUE, asked)).await?;
        match answer.code {
            response_code::SYSTEM_ERROR => Ok(None),
            _ if answer.code == response_code::SUCCESS && answer.body.is_empty() => Ok(None),
            _ => answer.success()?.json().map(Some),
        }
    }

    /// All stored positions of a broker (43).
    pub async fn all_offsets(&self, addr: &str) -> Result<ConsumerOffsets, ClientError> {
        self.ask_table(addr, code::GET_ALL_CONSUMER_OFFSET, Fields::new()).await
    }

    /// Delivered offset of each delay level (45).
    pub async fn delay_offsets(&self, addr: &str) -> Result<DelayOffsets, ClientError> {
        self.ask_json(addr, code::GET_ALL_DELAY_OFFSET, Fields::new()).await
    }

    // --- Offsets of queues.

    /// Next offset to be written (30).
    pub async fn max_offset(&self, queue: QueueAt<'_>) -> Result<i64, ClientError> {
        self.ask_offset(queue.addr, Ask::new(code::GET_MAX_OFFSET, queue.of())).await
    }

    /// First offset kept (31).
    pub async fn min_offset(&self, queue: QueueAt<'_>) -> Result<i64, ClientError> {
        self.ask_offset(queue.addr, Ask::new(code::GET_MIN_OFFSET, queue.of())).await
    }

    /// The offset of a moment by store time (29).
    pub async fn offset_at(
        &self,
        queue: QueueAt<'_>,
        timestamp: i64,
        boundary: Boundary,
    ) -> Result<i64, ClientError> {
        let boundary = match boundary {
            Boundary::Lower => "LOWER",
            Boundary::Upper => "UPPER",
        };
        let asked = SearchOffset {
            topic: queue.topic,
            queue_id: queue.queue_id,
            timestamp,
            boundary: Some(boundary),
        };
        self.ask_offset(queue.addr, Ask::new(code::SEARCH_OFFSET_BY_TIMESTAMP, asked)).await
    }

    /// Store time of the first message kept (32); none in an empty queue.
    pub async fn earliest_ms(&self, queue: QueueAt<'_>) -> Result<Option<i64>, ClientError> {
        let ask = Ask::new(code::GET_EARLIEST_MSG_STORETIME, queue.of());
        let answer = self.ask(queue.addr, ask).await?;
        let time = answer.header(TimestampResponse::decode)?.timestamp;
        Ok((time >= 0).then_some(time))
    }

    // --- Positions of groups.

    /// Committed offset (14); none when nothing is stored.
    pub async fn committed(
        &self,
        queue: QueueAt<'_>,
        group: &str,
    ) -> Result<Option<i64>, ClientError> {
        let asked = QueryConsumerOffset {
            group,
            topic: queue.topic,
            queue_id: queue.queue_id,
            zero_if_not_found: Some(false),
        };
        let answer = self.call(queue.addr, Ask::new(code::QUERY_CONSUMER_OFFSET, asked)).await?;
        match answer.code {
            response_code::QUERY_NOT_FOUND => Ok(None),
            _ => Ok(Some(answer.success()?.header(OffsetResponse::decode)?.offset)),
        }
    }

    /// Commits an offset and waits for the answer (15). A live member overwrites it within seconds.
    pub async fn commit(
        &self,
        queue: QueueAt<'_>,
        group: &str,
        offset: i64,
    ) -> Result<(), ClientError> {
        let ask = Ask::new(code::UPDATE_CONSUMER_OFFSET, commit_of(queue, group, offset));
        self.ask(queue.addr, ask).await.map(drop)
    }

    /// Commits an offset without waiting, as consumers do.
    pub async fn commit_oneway(
        &self,
        queue: QueueAt<'_>,
        group: &str,
        offset: i64,
    ) -> Result<(), ClientError> {
        let ask = Ask::new(code::UPDATE_CONSUMER_OFFSET, commit_of(queue, group, offset));
        self.tell(queue.addr, ask).await
    }

    /// Moves a group to an offset of one queue while its members stay online (222).
    pub async fn reset_queue(
        &self,
        queue: QueueAt<'_>,
        group: &str,
        offset: i64,
    ) -> Result<QueueMap<i64>, ClientError> {
        let asked = ResetOffset {
            topic: queue.topic,
            group,
            timestamp: -1,
            force: Some(true),
            queue_id: Some(queue.queue_id),
            offset: Some(offset),
        };
        self.reset(queue.addr, asked).await
    }

    /// Moves a group to a time on all queues of a topic (222): all that old brokers can.
    pub async fn reset_topic(
        &self,
        addr: &str,
        topic: &str,
        group: &str,
        timestamp: i64,
    ) -> Result<QueueMap<i64>, ClientError> {
        let force = Some(true);
        let asked =
            ResetOffset { topic, group, timestamp, force, queue_id: Some(-1), offset: Some(-1) };
        self.reset(addr, asked).await
    }

    async fn reset(
        &self,
        addr: &str,
        asked: ResetOffset<'_>,
    ) -> Result<QueueMap<i64>, ClientError> {
        let ask = Ask::new(code::INVOKE_BROKER_TO_RESET_OFFSET, asked).wait(STATS_WAIT);
        let answer = self.ask(addr, ask).await?;
        if answer.body.is_empty() {
            return Ok(QueueMap::default());
        }
        Ok(answer.json::<ResetOffsetBody>()?.offset_table)
    }

    /// Positions in the memory of a group's members (223), relayed.
    pub async fn member_positions(
        &self,
        addr: &str,
        topic: &str,
        group: &str,
    ) -> Result<ConsumerStatusBody, ClientError> {
        let asked = ConsumerStatus { topic, group, client: None };
        let ask = Ask::new(code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS, asked).wait(STATS_WAIT);
        self.ask(addr, ask).await?.json()
    }

    /// Forgets dead letters below an offset (30001, extension `trim`); the new minimum.
    pub async fn trim_dead_letters(
        &self,
        queue: QueueAt<'_>,
        first_kept: i64,
    ) -> Result<i64, ClientError> {
        let asked =
            TrimDeadLetters { topic: queue.topic, queue_id: queue.queue_id, offset: first_kept };
        let answer = self.ask(queue.addr, Ask::new(code::TRIM_DEAD_LETTERS, asked)).await?;
        Ok(answer.header(TrimResponse::decode)?.min_offset)
    }

    // --- Messages.

    /// Messages of one topic by key (12), oldest first. The broker matches hashes only, so what merely
    /// collides is left out here.
    pub async fn query_messages(
        &self,
        addr: &str,
        topic: &str,
        key: Key<'_>,
        max: i32,
    ) -> Result<Vec<MessageExt>, ClientError> {
        let (text, unique) = match key {
            Key::Unique(text) => (text, Some(true)),
            Key::Business(text) => (text, None),
        };
        let asked = QueryMessage {
            topic,
            key: text,
            max: max.min(QUERY_MAX),
            begin_ms: 0,
            end_ms: i64::MAX,
            unique,
            index_type: None,
        };
        let answer = self.call(addr, Ask::new(code::QUERY_MESSAGE, asked).wait(STATS_WAIT)).await?;
        if answer.code == response_code::QUERY_NOT_FOUND {
            return Ok(Vec::new());
        }
        let matches = |message: &MessageExt| match key {
            Key::Unique(text) => message.unique_id() == text,
            Key::Business(text) => message.keys().any(|word| word == text),
        };
        let body = answer.success()?.body;
        let found = record::iter(&body).map(|view| MessageExt::decode(&view, ""));
        Ok(found.filter(|message| message.topic == topic && matches(message)).collect())
    }

    /// The message at a commit-log offset (33); none when it is gone. Only offsets that the broker
    /// gave are safe (admin.md §4.10).
    pub async fn view_message(
        &self,
        addr: &str,
        offset: i64,
    ) -> Result<Option<MessageExt>, ClientError> {
        let answer =
            self.call(addr, Ask::new(code::VIEW_MESSAGE_BY_ID, ViewMessage { offset })).await?;
        if answer.code == response_code::SYSTEM_ERROR {
            return Ok(None);
        }
        let answer = answer.success()?;
        let view = record::RecordView::parse(&answer.body)
            .map_err(|error| answer.malformed(error.to_string()))?;
        Ok((view.physical_offset() == offset).then(|| MessageExt::decode(&view, "")))
    }

    async fn ask_offset(&self, addr: &str, ask: Ask) -> Result<i64, ClientError> {
        Ok(self.ask(addr, ask).await?.header(OffsetResponse::decode)?.offset)
    }
}

fn commit_of<'a>(queue: QueueAt<'a>, group: &'a str, offset: i64) -> UpdateConsumerOffset<'a> {
    UpdateConsumerOffset { group, topic: queue.topic, queue_id: queue.queue_id, offset }
}
