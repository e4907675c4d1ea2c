//! Reads the queues of one pop: which, from where, and what is taken (semantics.md §16, Reading).

use bytes::Bytes;

use crate::broker::Broker;
use crate::broker::count::GetCount;
use crate::broker::outcome::Cold;
use crate::broker::state::pop_parked::{ANY_QUEUE, PopAsk};
use crate::broker::state::pop_state::Place;
use crate::decide::filter::Filter;
use crate::decide::pop::{Handle, ORDERED_QUEUE, Origin};
use crate::decide::pop_order;
use crate::protocol::names;
use crate::protocol::properties::{self, key};
use crate::protocol::record::{RecordBuilder, RecordView};
use crate::store::{Match, QueueOffset, Read, ReadLimit, ReadStatus, StoreError, Unit, Wait};

/// Most bytes of one queue, the first message apart.
const BYTES_MAX: usize = 256 * 1024;
/// Most units that a filter looks at in one read.
const SCAN_MAX: usize = 800;
/// Reads of one queue in a pop: a filter may refuse all of one.
const READS_MAX: usize = 16;
/// One pop of so many reads the retry topic first.
const RETRY_FIRST_EVERY: u32 = 5;

/// Messages taken from one queue.
#[derive(Debug)]
pub struct Taken {
    /// The queue.
    pub place: Place,
    /// First offset of the checkpoint.
    pub start: i64,
    /// Where the group goes on.
    pub next: i64,
    /// Offsets of the messages.
    pub offsets: Vec<i64>,
    /// The messages as they are answered.
    pub records: Vec<Bytes>,
}

/// What one pop found.
#[derive(Debug)]
pub struct Round<'a> {
    broker: &'a Broker,
    ask: &'a PopAsk,
    /// Its time, ms.
    pub pop_ms: i64,
    /// Queue of its checkpoints.
    pub revive_queue: i32,
    /// By queue. The queues stay busy unless the pop is ordered.
    pub taken: Vec<Taken>,
    /// Messages left in the queues that were looked at.
    pub rest: i64,
    /// Tries of ordered messages.
    pub order_counts: String,
    /// It would have had to wait for the disk, and ended there.
    pub cold: bool,
    wait: Wait,
    messages: usize,
}

/// Reads what a pop gets.
pub fn round<'a>(broker: &'a Broker, ask: &'a PopAsk, pop_ms: i64, wait: Wait) -> Round<'a> {
    let revive_queue = if ask.order { ORDERED_QUEUE } else { broker.pop.next_revive_queue() };
    let mut round = Round {
        broker,
        ask,
        pop_ms,
        revive_queue,
        taken: Vec::new(),
        rest: 0,
        order_counts: String::new(),
        cold: false,
        wait,
        messages: 0,
    };
    let random = broker.random();
    let retry_first = random.is_multiple_of(RETRY_FIRST_EVERY);
    if retry_first {
        round.retries(random);
    }
    if ask.queue_id == ANY_QUEUE {
        round.topic(&ask.topic, false, random / RETRY_FIRST_EVERY);
    } else {
        round.queue(&ask.topic, ask.queue_id, false);
    }
    if !retry_first && round.messages < ask.messages_max {
        round.retries(random);
    }
    round
}

/// The queues of a topic that are read.
pub fn read_queues(broker: &Broker, topic: &str) -> i32 {
    broker.topics.get(topic).map_or(0, |topic| topic.config.read_queue_nums)
}

/// Where the group is in a queue; of one that has no offset yet, where it will about begin.
pub fn position(broker: &Broker, place: &Place, from_end: bool) -> i64 {
    let Place { topic, group, queue_id } = place;
    broker.offsets.committed(group, topic, *queue_id).unwrap_or_else(|| {
        let extent = broker.extent(topic, *queue_id);
        if from_end { (extent.max - 1).max(extent.min) } else { extent.min }
    })
}

fn initial(broker: &Broker, wait: Wait, place: &Place, from_end: bool) -> Result<i64, Cold> {
    let Place { topic, queue_id, .. } = place;
    let extent = broker.extent(topic, *queue_id);
    if !from_end || names::group_of_retry(topic).is_some() {
        return Ok(extent.min);
    }
    if extent.min <= 0 && broker.in_memory(wait, topic, *queue_id, 0)? {
        return Ok(0);
    }
    Ok((extent.max - 1).max(0))
}

impl Round<'_> {
    /// Reads the retry topics up to one that has something, each first in turn: some clients cannot tell
    /// the two forms apart within one answer.
    fn retries(&mut self, random: u32) {
        if self.ask.order {
            return;
        }
        let mut names = self.broker.retry_topics().names(&self.ask.topic, &self.ask.group);
        if random % 2 == 1 {
            names.reverse();
        }
        let before = self.taken.len();
        for name in &names {
            if self.taken.len() == before {
                self.topic(name, true, random);
            }
        }
    }

    fn topic(&mut self, topic: &str, retry: bool, random: u32) {
        let queues = read_queues(self.broker, topic);
        for n in 0..queues {
            let first = random % queues.unsigned_abs();
            self.queue(topic, (n + first as i32) % queues, retry);
        }
    }

    fn queue(&mut self, topic: &str, queue_id: i32, retry: bool) {
        if self.cold {
            return;
        }
        let place = Place::new(topic, &self.ask.group, queue_id);
        let max = self.broker.store.max_offset(topic, queue_id).0 as i64;
        if self.messages >= self.ask.messages_max || !self.broker.pop.begin(&place) {
            if !self.ask.order {
                self.rest += (max - position(self.broker, &place, self.ask.from_end)).max(0);
            }
            return;
        }
        let taken = match self.start(&place) {
            Ok(start) if !self.is_blocked(&place) => self.read(place.clone(), start, retry),
            Ok(_) => None,
            Err(Cold) => {
                self.cold = true;
                None
            }
        };
        match taken {
            Some(taken) => self.keep(taken),
            None => self.broker.pop.end(&place),
        }
    }

    fn is_blocked(&self, place: &Place) -> bool {
        let attempt_id = self.ask.attempt_id.as_deref();
        self.ask.order && self.broker.pop.blocked_until(place, attempt_id, self.pop_ms).is_some()
    }

    /// The group's offset, set by a pending reset or for the first time.
    fn start(&self, place: &Place) -> Result<i64, Cold> {
        let Place { topic, group, queue_id } = place;
        if let Some(reset) = self.broker.resets.take(group, topic, *queue_id) {
            self.broker.pop.unblock(place);
            self.broker.offsets.commit(group, topic, *queue_id, reset);
            return Ok(reset);
        }
        if let Some(committed) = self.broker.offsets.committed(group, topic, *queue_id) {
            return Ok(committed);
        }
        let first = initial(self.broker, self.wait, place, self.ask.from_end)?;
        self.broker.offsets.commit(group, topic, *queue_id, first);
        Ok(first)
    }

    /// Reads until something is found or nothing is left; moves the group over what is not for it.
    fn read(&mut self, place: Place, mut start: i64, retry: bool) -> Option<Taken> {
        for _ in 0..READS_MAX {
            let read = self.read_once(&place, start)?;
            let next = read.next_offset.0 as i64;
            let max = read.max_offset.0 as i64;
            if !read.records.is_empty() {
                self.rest += (max - next).max(0);
                return self.taken(place, start, next, &read.records, retry);
            }
            let moves =
                next != start && !matches!(read.status, ReadStatus::Empty | ReadStatus::AtEnd);
            if moves {
                self.broker.offsets.commit(&place.group, &place.topic, place.queue_id, next);
                start = next;
            }
            if !moves || start >= max {
                return None;
            }
        }
        None
    }

    fn read_once(&mut self, place: &Place, start: i64) -> Option<Read> {
        let limit = ReadLimit {
            messages: self.ask.messages_max - self.messages,
            bytes: BYTES_MAX,
            scan_units: SCAN_MAX,
        };
        let from = QueueOffset(start.max(0).unsigned_abs());
        let mut by_unit = |unit: &Unit| match &self.ask.filter {
            Filter::Tag(tags) if tags.matches(unit.tags_code) => Match::Take,
            Filter::Tag(_) => Match::Skip,
            Filter::Sql(_) => Match::NeedRecord,
        };
        let mut by_record = |record: &RecordView<'_>| match &self.ask.filter {
            Filter::Tag(_) => true,
            Filter::Sql(sql) => sql.matches(record.properties()),
        };
        let store = self.broker.store.reads(self.wait);
        let read =
            store.read(&place.topic, place.queue_id, from, limit, &mut by_unit, &mut by_record);
        match read {
            Ok(read) => Some(read),
            Err(StoreError::Cold) => {
                self.cold = true;
                None
            }
            Err(error) => {
                tracing::warn!(topic = place.topic, %error, "cannot read for a pop");
                None
            }
        }
    }

    fn taken(
        &self,
        place: Place,
        start: i64,
        next: i64,
        records: &[Bytes],
        retry: bool,
    ) -> Option<Taken> {
        let mut taken = Taken {
            place,
            start,
            next,
            offsets: Vec::new(),
            records: Vec::with_capacity(records.len()),
        };
        for record in records {
            let Ok(view) = RecordView::parse(record) else { continue };
            taken.offsets.push(view.queue_offset());
            taken.records.push(if retry { self.recode(&view, start)? } else { record.clone() });
        }
        (!taken.offsets.is_empty()).then_some(taken)
    }

    /// A message of a retry topic, as one of the topic itself that carries its handle.
    fn recode(&self, view: &RecordView<'_>, start: i64) -> Option<Bytes> {
        let handle = Handle {
            start,
            pop_ms: self.pop_ms,
            invisible_ms: self.ask.invisible_ms,
            revive_queue: self.revive_queue,
            origin: Origin::of(view.topic()),
            broker: &self.broker.config.broker_name,
            queue_id: view.queue_id(),
            offset: view.queue_offset(),
        };
        let mut text = view.properties().to_owned();
        properties::set(&mut text, key::POP_CK, &handle.to_string());
        let built = RecordBuilder {
            topic: &self.ask.topic,
            queue_id: view.queue_id(),
            flag: view.flag(),
            sys_flag: view.sys_flag(),
            born_timestamp: view.born_timestamp(),
            born_host: view.born_host(),
            store_host: view.store_host(),
            reconsume_times: view.reconsume_times(),
            prepared_transaction_offset: view.prepared_transaction_offset(),
            body: view.body(),
            properties: &text,
        };
        let mut record = built.encode().ok()?;
        record.fill(
            view.queue_offset().unsigned_abs(),
            view.physical_offset().unsigned_abs(),
            view.store_timestamp(),
        );
        Some(Bytes::copy_from_slice(record.as_bytes()))
    }

    fn keep(&mut self, taken: Taken) {
        let bytes = taken.records.iter().map(Bytes::len).sum();
        let Place { topic, group, queue_id } = &taken.place;
        let messages = taken.records.len();
        // The pop as a whole is timed, when it is answered.
        let timed = None;
        self.broker.count_get(GetCount { group, topic, messages, bytes, found: true, timed });
        if self.ask.order {
            let block = self.broker.pop.block(
                &taken.place,
                self.ask.attempt_id.as_deref(),
                self.pop_ms,
                self.ask.invisible_ms,
                &taken.offsets,
            );
            pop_order::push_counts(&mut self.order_counts, Origin::of(topic), *queue_id, &block);
            // An acknowledgement may have moved the group since the read; it is not moved back.
            if self
                .broker
                .offsets
                .committed(group, topic, *queue_id)
                .is_none_or(|at| at < taken.start)
            {
                self.broker.offsets.commit(group, topic, *queue_id, taken.start);
            }
            self.broker.pop.end(&taken.place);
        }
        self.messages += taken.records.len();
        self.taken.push(taken);
    }
}

/// Whether a pop would find something now.
pub fn has_message(broker: &Broker, ask: &PopAsk, now_ms: i64) -> bool {
    let group = &ask.group;
    let in_queue = |topic: &str, queue_id: i32| {
        let place = Place::new(topic, group, queue_id);
        let blocked = ask.order
            && broker.pop.blocked_until(&place, ask.attempt_id.as_deref(), now_ms).is_some();
        let max = broker.store.max_offset(topic, queue_id).0 as i64;
        !blocked && !broker.pop.is_busy(&place) && max > position(broker, &place, ask.from_end)
    };
    let in_topic =
        |topic: &str| (0..read_queues(broker, topic)).any(|queue| in_queue(topic, queue));
    let found = if ask.queue_id == ANY_QUEUE {
        in_topic(&ask.topic)
    } else {
        in_queue(&ask.topic, ask.queue_id)
    };
    let in_retries =
        || broker.retry_topics().names(&ask.topic, group).iter().any(|name| in_topic(name));
    found || (!ask.order && in_retries())
}
