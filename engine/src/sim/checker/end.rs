//! The laws about a whole run, when everything is healed and drained.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, GROUP, Law, RETRIES, TOPIC, broken, message_in, name_of};
use crate::protocol::names;
use crate::protocol::record::RecordView;
use crate::store::{QueueOffset, Store};

/// A record of a queue at the end of a run.
struct Kept {
    message: usize,
    attempts: i32,
    offset: i64,
}

/// The end of a run, when everything is healed and drained.
impl Checker {
    /// Every law about the whole.
    pub fn finished(&mut self, store: &Store) -> Law {
        let mut firsts: BTreeMap<usize, i64> = BTreeMap::new();
        let mut times: BTreeMap<usize, u32> = BTreeMap::new();
        for queue in store.queues(TOPIC) {
            for kept in all(store, TOPIC, queue)? {
                if self.sent[kept.message].queue != queue {
                    return broken(format!("{} is in queue {queue}", name_of(kept.message)));
                }
                firsts.entry(kept.message).or_insert(kept.offset);
                *times.entry(kept.message).or_default() += 1;
            }
            self.order(queue, &firsts)?;
        }
        self.once_each(&times)?;
        self.nothing_missing(&times, &firsts)?;
        self.backs.values_mut().for_each(|back| back.copies = 0);
        let retry = names::retry_topic(GROUP);
        for queue in store.queues(&retry) {
            for kept in all(store, &retry, queue)? {
                self.backs.entry((kept.message, kept.attempts - 1)).or_default().copies += 1;
            }
        }
        self.retries_once_each()?;
        let dead = names::dlq_topic(GROUP);
        let mut letters = Vec::new();
        for queue in store.queues(&dead) {
            letters.extend(all(store, &dead, queue)?);
        }
        self.dead_letters(&letters)?;
        self.at_least_once(&times, &letters)
    }

    /// A message that was acknowledged before another was first sent is before it in their queue.
    fn order(&self, queue: i32, firsts: &BTreeMap<usize, i64>) -> Law {
        let mut line: Vec<(i64, usize)> = firsts
            .iter()
            .filter(|(message, _)| {
                let sent = &self.sent[**message];
                sent.queue == queue && sent.level == 0
            })
            .map(|(message, offset)| (*offset, *message))
            .collect();
        line.sort_unstable();
        self.sending_order(&line)?;
        // From the end: who comes later must not have been acknowledged before this one was sent.
        let mut earliest: Option<(u64, usize)> = None;
        for (_, message) in line.iter().rev() {
            let sent = &self.sent[*message];
            if let Some((acked_ms, later)) = earliest
                && acked_ms < sent.first_ms
            {
                let (later, name) = (name_of(later), name_of(*message));
                return broken(format!("{later} was acknowledged before {name} and is behind it"));
            }
            let acked = sent.acks.iter().filter(|ack| !ack.lost).map(|ack| ack.at_ms).min();
            if let Some(acked_ms) = acked
                && earliest.is_none_or(|(before, _)| acked_ms < before)
            {
                earliest = Some((acked_ms, *message));
            }
        }
        Ok(())
    }

    /// What one producer sent once, over one connection, is in the order of sending.
    fn sending_order(&self, line: &[(i64, usize)]) -> Law {
        if self.plan.unruly_frames {
            return Ok(());
        }
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for (_, message) in line {
            let sent = &self.sent[*message];
            if sent.attempts > 1 {
                continue;
            }
            if let Some(before) = last.insert(sent.producer, *message)
                && before > *message
            {
                let (name, before) = (name_of(*message), name_of(before));
                return broken(format!("{name} was sent before {before} and is behind it"));
            }
        }
        Ok(())
    }

    /// No message is there more often than it was sent; a delayed one may come again after a crash.
    fn once_each(&self, times: &BTreeMap<usize, u32>) -> Law {
        for (message, count) in times {
            let sent = &self.sent[*message];
            let again = if sent.level > 0 { self.crashes } else { 0 };
            if *count > sent.attempts * (1 + again) {
                return broken(format!(
                    "{} was sent {} times and is there {count} times",
                    name_of(*message),
                    sent.attempts
                ));
            }
        }
        Ok(())
    }

    /// What was acknowledged is in its queue, at the offset that was told.
    fn nothing_missing(&self, times: &BTreeMap<usize, u32>, firsts: &BTreeMap<usize, i64>) -> Law {
        for (message, sent) in self.sent.iter().enumerate() {
            let Some(first) = firsts.get(&message) else {
                if sent.is_kept() {
                    return broken(format!("{} was acknowledged and is missing", name_of(message)));
                }
                continue;
            };
            let told = sent.acks.iter().filter(|ack| !ack.lost).map(|ack| ack.queue_offset).min();
            let alone = sent.level == 0 && times.get(&message) == Some(&1);
            if alone && told.is_some_and(|told| told != *first) {
                return broken(format!(
                    "{} is at {first}, its sender was told {told:?}",
                    name_of(message)
                ));
            }
        }
        Ok(())
    }

    /// No failure leads to more retries than it was told, but for what a crash delivers again.
    fn retries_once_each(&self) -> Law {
        for ((message, attempts), back) in &self.backs {
            let dies = *attempts >= RETRIES;
            if !dies && back.copies > back.sent * (1 + self.crashes) {
                return broken(format!(
                    "failure {attempts} of {} was told {} times and retried {} times",
                    name_of(*message),
                    back.sent,
                    back.copies
                ));
            }
        }
        Ok(())
    }

    /// A letter dies after exactly the retries that were allowed, each once when nothing went wrong.
    fn dead_letters(&mut self, letters: &[Kept]) -> Law {
        self.dead = letters.len();
        let mut count: BTreeMap<usize, u32> = BTreeMap::new();
        for letter in letters {
            let name = name_of(letter.message);
            if letter.attempts != RETRIES + 1 {
                return broken(format!("{name} died after {} attempts", letter.attempts));
            }
            if !self.backs.contains_key(&(letter.message, RETRIES)) {
                return broken(format!("{name} died without its last failure"));
            }
            *count.entry(letter.message).or_default() += 1;
        }
        if !self.is_calm() {
            return Ok(());
        }
        for (message, letters) in count {
            let tries: Vec<u32> = (0..=RETRIES)
                .map(|attempts| self.deliveries.get(&(message, attempts)).copied().unwrap_or(0))
                .collect();
            if letters != 1 || tries.iter().any(|count| *count != 1) {
                let name = name_of(message);
                return broken(format!("{name} died {letters} times, tries by number: {tries:?}"));
            }
        }
        Ok(())
    }

    /// Every message of the topic was consumed, or is a dead letter.
    fn at_least_once(&self, times: &BTreeMap<usize, u32>, letters: &[Kept]) -> Law {
        let dead: BTreeSet<usize> = letters.iter().map(|letter| letter.message).collect();
        for message in times.keys() {
            if !self.consumed.contains(message) && !dead.contains(message) {
                return broken(format!(
                    "{} was neither consumed nor is it a dead letter",
                    name_of(*message)
                ));
            }
        }
        Ok(())
    }

    /// Acknowledged messages, lost ones, deliveries.
    pub fn counts(&self) -> (usize, usize, usize) {
        let acked = self.sent.iter().filter(|sent| !sent.acks.is_empty()).count();
        let lost = self.sent.iter().filter(|sent| !sent.acks.is_empty() && !sent.is_kept()).count();
        (acked, lost, self.deliveries.values().map(|count| *count as usize).sum())
    }
}

/// Every record of a queue: readable, at its own offset, without a hole.
fn all(store: &Store, topic: &str, queue: i32) -> Result<Vec<Kept>, String> {
    let (min, max) = (store.min_offset(topic, queue).0, store.max_offset(topic, queue).0);
    let mut kept = Vec::new();
    for offset in min..max {
        let units = store.units(topic, queue, QueueOffset(offset), 1);
        let unit = units.ok().and_then(|units| units.first().copied());
        let Some(unit) = unit else { return broken(format!("{topic} {queue} ends at {offset}")) };
        let record = store.record_at(unit.log_offset).ok().flatten();
        let Some(record) = record else {
            return broken(format!("{topic} {queue} offset {offset} cannot be read"));
        };
        let view = RecordView::parse(&record).map_err(|error| error.to_string())?;
        if (view.topic(), view.queue_id(), view.queue_offset()) != (topic, queue, offset as i64) {
            return broken(format!("{topic} {queue} offset {offset} is another record"));
        }
        let message = message_in(&view)?;
        kept.push(Kept { message, attempts: view.reconsume_times(), offset: offset as i64 });
    }
    Ok(kept)
}
