//! What was promised, compared with what clients saw and what the disk kept.
//!
//! Every law is one function or one named sentence in it; the world calls them where they can be seen
//! to hold. A broken one ends the run.

mod end;

use std::collections::{BTreeMap, BTreeSet};

use super::plan::Plan;
use crate::protocol::properties::key;
use crate::protocol::record::RecordView;
use crate::protocol::response_code;
use crate::store::{LogOffset, Positions, QueueOffset, Store};

/// A queue of a topic.
pub type Place = (String, i32);
/// Whether a promise holds, or how it was broken.
pub type Law = Result<(), String>;

/// Topic of the producers.
pub const TOPIC: &str = "orders";
/// Group of the consumer.
pub const GROUP: &str = "billing";
/// Retries that the consumer asks for.
pub const RETRIES: i32 = 3;
/// Waits before the retries, ms: levels 3, 4 and 5 of `node::LEVELS`.
const RETRY_MS: [u64; 3] = [1_000, 2_000, 3_000];
/// How late a retry may come when nothing is wrong, ms.
const LATE_MS: u64 = 2_000;

/// How the process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// With everything written.
    Stop,
    /// Killed.
    Kill,
    /// Without power; the log was durable up to this offset.
    Power(u64),
}

/// An answer that says "stored".
#[derive(Clone, Copy, Debug)]
struct Ack {
    queue_offset: i64,
    physical: u64,
    at_ms: u64,
    /// Whether the answer also says "durable", as far as the flush mode promises it.
    durable: bool,
    lost: bool,
}

/// One message of a producer.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Number of its producer.
    producer: usize,
    /// Queue that it was sent to.
    pub queue: i32,
    /// Delay level; 0 for none.
    pub level: u8,
    first_ms: u64,
    attempts: u32,
    acks: Vec<Ack>,
}

impl Sent {
    /// Whether it was acknowledged and no power cut took it.
    fn is_kept(&self) -> bool {
        self.acks.iter().any(|ack| !ack.lost)
    }
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    message: usize,
    attempts: i32,
    physical: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Back {
    sent: u32,
    first_ms: u64,
    copies: u32,
}

/// Everything that was seen.
pub struct Checker {
    plan: Plan,
    /// Messages of the producers, by number.
    pub sent: Vec<Sent>,
    seen: BTreeMap<Place, BTreeMap<i64, Seen>>,
    backs: BTreeMap<(usize, i32), Back>,
    deliveries: BTreeMap<(usize, i32), u32>,
    consumed: BTreeSet<usize>,
    /// Lowest offset that a group may still be at.
    floors: BTreeMap<Place, i64>,
    durable_floors: BTreeMap<Place, i64>,
    positions: Option<Positions>,
    /// Unannounced ends so far.
    pub crashes: u32,
    /// Dead letters at the end.
    pub dead: usize,
}

/// The name of a message, which is also its key.
pub fn name_of(message: usize) -> String {
    format!("m{message}")
}

/// The body of a message.
pub fn body_of(message: usize) -> Vec<u8> {
    let filler = (message * 37) % 700;
    let mut body = format!("{} of {filler}:", name_of(message)).into_bytes();
    body.extend((0..filler).map(|at| b'a' + ((at + message) % 26) as u8));
    body
}

fn broken<T>(what: impl Into<String>) -> Result<T, String> {
    Err(what.into())
}

/// The message in a record, with its content checked.
fn message_in(view: &RecordView<'_>) -> Result<usize, String> {
    let text = view.property(key::KEYS).unwrap_or_default();
    let Some(message) = text.strip_prefix('m').and_then(|digits| digits.parse().ok()) else {
        return broken(format!("a record without a known key: {text:?}"));
    };
    if view.body() != body_of(message) {
        return broken(format!("the body of {text} is not the one that was sent"));
    }
    Ok(message)
}

/// What clients see.
impl Checker {
    /// Nothing was seen yet.
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            sent: Vec::new(),
            seen: BTreeMap::new(),
            backs: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            consumed: BTreeSet::new(),
            floors: BTreeMap::new(),
            durable_floors: BTreeMap::new(),
            positions: None,
            crashes: 0,
            dead: 0,
        }
    }

    /// A new message; its number.
    pub fn new_message(&mut self, producer: usize, queue: i32, level: u8, now_ms: u64) -> usize {
        let acks = Vec::new();
        self.sent.push(Sent { producer, queue, level, first_ms: now_ms, attempts: 0, acks });
        self.sent.len() - 1
    }

    /// How often a message was sent.
    pub fn attempts(&self, message: usize) -> u32 {
        self.sent[message].attempts
    }

    /// A message leaves a producer, or a network doubles its frame: it may be there once more.
    pub fn sending(&mut self, message: usize) {
        self.sent[message].attempts += 1;
    }

    /// A send was answered with "stored". Under sync flush it must be durable by then.
    pub fn acked(
        &mut self,
        message: usize,
        code: i32,
        (queue_offset, physical): (i64, u64),
        now_ms: u64,
    ) {
        let durable = code == response_code::SUCCESS;
        let ack = Ack { queue_offset, physical, at_ms: now_ms, durable, lost: false };
        self.sent[message].acks.push(ack);
    }

    /// An answer leaves the broker: what it says must be true now.
    pub fn answering(&self, code: i32, physical: u64, flushed: u64) -> Law {
        if self.plan.sync_flush && code == response_code::SUCCESS && physical >= flushed {
            return broken(format!(
                "a send was answered before it was durable: {physical}, flushed up to {flushed}"
            ));
        }
        Ok(())
    }

    /// A message leaves the broker for a reader: under sync flush it must be durable by then.
    pub fn handing_out(&self, view: &RecordView<'_>, flushed: u64) -> Law {
        let end = view.physical_offset().unsigned_abs() + view.size() as u64;
        if self.plan.sync_flush && end > flushed {
            return broken(format!("a message was visible early: {end}, flushed {flushed}"));
        }
        Ok(())
    }

    /// A message reached the group. Answers its number.
    pub fn delivered(
        &mut self,
        place: &Place,
        view: &RecordView<'_>,
        now_ms: u64,
    ) -> Result<usize, String> {
        let message = message_in(view)?;
        let attempts = view.reconsume_times();
        let physical = view.physical_offset().unsigned_abs();
        let seen = Seen { message, attempts, physical };
        let before = self.seen.entry(place.clone()).or_default().insert(view.queue_offset(), seen);
        if let Some(before) = before
            && (before.message, before.attempts) != (message, attempts)
        {
            return broken(format!(
                "{place:?} offset {} was {} and is {}",
                view.queue_offset(),
                name_of(before.message),
                name_of(message)
            ));
        }
        if before.is_none() {
            *self.deliveries.entry((message, attempts)).or_default() += 1;
        }
        if attempts > 0 {
            self.retried(message, attempts, now_ms)?;
        }
        Ok(message)
    }

    /// A retry comes after its failure and not before its time.
    fn retried(&self, message: usize, attempts: i32, now_ms: u64) -> Law {
        let name = name_of(message);
        if attempts > RETRIES {
            return broken(format!("{name} was tried {attempts} times again, {RETRIES} allowed"));
        }
        let Some(back) = self.backs.get(&(message, attempts - 1)) else {
            return broken(format!("retry {attempts} of {name} without a failure before it"));
        };
        let wait = RETRY_MS[(attempts - 1) as usize];
        // A clock that was set moves due times with it.
        if self.plan.clock_jumps == 0 && now_ms < back.first_ms + wait {
            let after = now_ms - back.first_ms;
            return broken(format!("retry {attempts} of {name} came after {after} ms"));
        }
        let late = now_ms.saturating_sub(back.first_ms + wait);
        if self.is_calm() && late > LATE_MS {
            return broken(format!("retry {attempts} of {name} came {late} ms late"));
        }
        Ok(())
    }

    fn is_calm(&self) -> bool {
        !self.plan.leaves_doubt() && self.plan.clock_jumps == 0
    }

    /// The consumer gives a message back.
    pub fn giving_back(&mut self, message: usize, attempts: i32, now_ms: u64) {
        let back = self.backs.entry((message, attempts)).or_default();
        if back.sent == 0 {
            back.first_ms = now_ms;
        }
        back.sent += 1;
    }

    /// The consumer is done with a message.
    pub fn consumed(&mut self, message: usize) {
        self.consumed.insert(message);
    }

    /// A commit was acknowledged.
    pub fn committed(&mut self, place: &Place, offset: i64) {
        let floor = self.floors.entry(place.clone()).or_default();
        *floor = offset.max(*floor);
    }

    /// A member asks where its group is: never behind what it was told, nor beyond the queue.
    pub fn position(&self, place: &Place, offset: i64, max: i64) -> Law {
        let floor = self.floors.get(place).copied().unwrap_or(0);
        if offset < floor {
            return broken(format!("the offset of {place:?} went back from {floor} to {offset}"));
        }
        if offset > max {
            return broken(format!("the offset of {place:?} is {offset}, the queue ends at {max}"));
        }
        Ok(())
    }
}

/// What the broker and its disk show.
impl Checker {
    /// Order of the positions, and that none goes back.
    pub fn invariants(&mut self, now: Positions) -> Law {
        let (written, flushed, visible) = (now.written.0, now.flushed.0, now.visible.0);
        if flushed > written || visible > written {
            return broken(format!("{now:?}: more than was written"));
        }
        if self.plan.sync_flush && visible > flushed {
            return broken(format!("{now:?}: visible before it is durable"));
        }
        let back = self.positions.replace(now).is_some_and(|before| {
            written < before.written.0 || flushed < before.flushed.0 || visible < before.visible.0
        });
        if back { broken(format!("{now:?}: a position went back")) } else { Ok(()) }
    }

    /// A durable file of positions is never ahead of the durable log.
    pub fn file_of_positions(
        &mut self,
        store: &Store,
        offsets: impl Iterator<Item = (Place, i64)>,
        committed: bool,
    ) -> Law {
        let flushed = store.positions().flushed.0;
        for ((topic, queue), offset) in offsets {
            if offset > 0 {
                let from = QueueOffset(offset as u64 - 1);
                let unit = store.units(&topic, queue, from, 1).ok();
                let unit = unit.as_ref().and_then(|units| units.first());
                if unit.is_none_or(|unit| unit.log_offset.0 >= flushed) {
                    return broken(format!(
                        "a file says {offset} for {topic} {queue}: ahead of the durable log"
                    ));
                }
            }
            if committed {
                self.durable_floors.insert((topic, queue), offset);
            }
        }
        Ok(())
    }

    /// After a start: everything that was acknowledged or seen is there, but for what `end` may take.
    pub fn started(&mut self, store: &Store, end: End) -> Law {
        self.positions = None;
        // What the process knew beyond its files is gone; a clean stop writes everything.
        if end != End::Stop {
            self.floors.clone_from(&self.durable_floors);
        }
        self.check_acks(store, end)?;
        self.check_seen(store, end)?;
        for (place, floor) in &mut self.floors {
            *floor = (*floor).min(store.max_offset(&place.0, place.1).0 as i64);
        }
        Ok(())
    }

    fn check_acks(&mut self, store: &Store, end: End) -> Law {
        let sync = self.plan.sync_flush;
        for (message, sent) in self.sent.iter_mut().enumerate() {
            for ack in sent.acks.iter_mut().filter(|ack| !ack.lost) {
                if is_at(store, ack.physical, message) {
                    continue;
                }
                let may_go = match end {
                    End::Power(flushed) => ack.physical >= flushed && !(sync && ack.durable),
                    End::Stop | End::Kill => false,
                };
                if !may_go {
                    return broken(format!(
                        "{} was acknowledged at {} and is gone after {end:?}",
                        name_of(message),
                        ack.physical
                    ));
                }
                ack.lost = true;
            }
        }
        Ok(())
    }

    fn check_seen(&mut self, store: &Store, end: End) -> Law {
        for (place, offsets) in &mut self.seen {
            let mut gone = Vec::new();
            for (offset, seen) in &*offsets {
                if seen_at(store, place, *offset, *seen) {
                    continue;
                }
                let may_go = match end {
                    End::Power(flushed) => !self.plan.sync_flush && seen.physical >= flushed,
                    End::Stop | End::Kill => false,
                };
                if !may_go {
                    return broken(format!(
                        "{} was delivered from {place:?} offset {offset} and taken back by {end:?}",
                        name_of(seen.message)
                    ));
                }
                gone.push(*offset);
            }
            for offset in gone {
                offsets.remove(&offset);
            }
        }
        Ok(())
    }
}

fn is_at(store: &Store, physical: u64, message: usize) -> bool {
    let record = store.record_at(LogOffset(physical)).ok().flatten();
    record.is_some_and(|record| {
        RecordView::parse(&record).is_ok_and(|view| message_in(&view) == Ok(message))
    })
}

fn seen_at(store: &Store, place: &Place, offset: i64, seen: Seen) -> bool {
    let units = store.units(&place.0, place.1, QueueOffset(offset.unsigned_abs()), 1);
    units.is_ok_and(|units| {
        units.first().is_some_and(|unit| unit.log_offset.0 == seen.physical)
            && is_at(store, seen.physical, seen.message)
    })
}
