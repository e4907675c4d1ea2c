//! What waits at each delay level of a broker, whose it is, and when it is due.
//!
//! Levels are exact and cost few requests; whose retries they are needs a scan, made step by step with
//! the caller's budget and kept: later scans read only what is new. Recipe: admin.md §5 (b).

use std::collections::{BTreeMap, VecDeque};

use super::cluster::Cluster;
use super::error::ClientError;
use super::figures::QueueAt;
use super::pull_consumer::{PULL_MAX, reading};
use super::read_only::TOOLS_GROUP;
use crate::protocol::body::MessageQueue;
use crate::protocol::names;
use crate::protocol::properties::key;
use crate::protocol::record::{self, RecordView};

/// Above this many entries a level is sampled, not read.
pub const SAMPLE_FROM: i64 = 20_000;
/// Samples of such a level: the error of a share stays within 5 points.
pub const SAMPLES: i64 = 400;

/// One delay level of one broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Level {
    /// Number of the level, from 1.
    pub number: u32,
    /// Its delay, ms.
    pub delay_ms: i64,
    /// Next offset to deliver.
    pub delivered: i64,
    /// Whether the broker told that offset. If not it is the first one kept: figures are at least.
    pub exact: bool,
    /// Next offset to be written.
    pub max: i64,
    /// When the first entry is due, the broker's clock, ms.
    pub next_due_ms: Option<i64>,
    /// When the last entry is due.
    pub last_due_ms: Option<i64>,
}

impl Level {
    /// Entries that wait, retries and users' delays.
    pub fn waiting(&self) -> i64 {
        (self.max - self.delivered).max(0)
    }
}

/// The levels of a broker at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ladder {
    /// Levels in their order.
    pub levels: Vec<Level>,
    /// When the broker started, its clock, ms.
    pub boot_ms: Option<i64>,
}

/// Asks a master for its levels.
///
/// # Errors
/// When the broker cannot be asked.
pub async fn levels(cluster: &Cluster, addr: &str) -> Result<Ladder, ClientError> {
    let delays = cluster.broker_config(addr).await?.delay_levels();
    let runtime = cluster.runtime(addr).await?;
    let told = runtime.levels();
    let stats = cluster.topic_stats(addr, names::SCHEDULE_TOPIC).await?.unwrap_or_default();
    let mut ladder = Ladder { levels: Vec::new(), boot_ms: runtime.boot_ms() };
    for (delay_ms, number) in delays.into_iter().zip(1_u32..) {
        let extent = stats
            .offset_table
            .iter()
            .find(|(queue, _)| queue.queue_id == queue_of(number))
            .map(|(_, extent)| (extent.min_offset, extent.max_offset));
        let (min, end) = extent.unwrap_or_default();
        let (delivered, max, exact) = match told.get(&number) {
            Some(offsets) => (offsets.delivered, offsets.max.max(end), true),
            None => (min, end, end == 0),
        };
        let level =
            Level { number, delay_ms, delivered, exact, max, next_due_ms: None, last_due_ms: None };
        ladder.levels.push(due(cluster, addr, level).await?);
    }
    Ok(ladder)
}

/// Adds the due times of a level that is in use.
async fn due(cluster: &Cluster, addr: &str, mut level: Level) -> Result<Level, ClientError> {
    if level.waiting() > 0 {
        level.next_due_ms = due_at(cluster, addr, level.number, level.delivered).await?;
        level.last_due_ms = match level.waiting() {
            1 => level.next_due_ms,
            _ => due_at(cluster, addr, level.number, level.max - 1).await?,
        };
    }
    Ok(level)
}

/// When an entry of a level is due, the broker's clock, ms; none when it is not there.
///
/// # Errors
/// When the broker cannot be asked.
pub async fn due_at(
    cluster: &Cluster,
    addr: &str,
    level: u32,
    offset: i64,
) -> Result<Option<i64>, ClientError> {
    let queue = QueueAt { addr, topic: names::SCHEDULE_TOPIC, queue_id: queue_of(level) };
    let body = cluster.consume_queue(queue, offset, 1).await?;
    // The unit's tag code of this topic is the due time (admin.md §4.10).
    Ok(body.and_then(|body| body.queue_data.first().map(|unit| unit.tags_code)))
}

/// How many entries of a level are due before a time, by binary search over its due times.
///
/// # Errors
/// When the broker cannot be asked.
pub async fn due_before(
    cluster: &Cluster,
    addr: &str,
    level: &Level,
    ms: i64,
) -> Result<i64, ClientError> {
    let (mut low, mut high) = (level.delivered, level.max);
    while low < high {
        let middle = low + (high - low) / 2;
        match due_at(cluster, addr, level.number, middle).await? {
            Some(due) if due < ms => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok((low - level.delivered).max(0))
}

/// One entry of a level.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// Offset in the level's queue.
    pub offset: i64,
    /// When it is due, the broker's clock, ms.
    pub due_ms: i64,
    /// Whose it is.
    pub owner: Owner,
    /// Topic that it came from or goes to.
    pub topic: String,
    /// Deliveries made.
    pub tries: i32,
    /// Its keys.
    pub keys: String,
    /// Unique id.
    pub unique_id: String,
}

/// Whose entry it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner {
    /// A retry of this group.
    Group(String),
    /// A delay that a user asked for, to this topic.
    User(String),
}

fn waiting(view: &RecordView<'_>, delay_ms: i64) -> Waiting {
    let real = view.property(key::REAL_TOPIC).unwrap_or_default();
    let (owner, topic) = match names::group_of_retry(real) {
        Some(group) => {
            let origin = view.property(key::RETRY_TOPIC).unwrap_or(real);
            (Owner::Group(group.to_owned()), origin)
        }
        None => (Owner::User(real.to_owned()), real),
    };
    Waiting {
        offset: view.queue_offset(),
        due_ms: view.store_timestamp() + delay_ms,
        owner,
        topic: topic.to_owned(),
        tries: view.reconsume_times(),
        keys: view.property(key::KEYS).unwrap_or_default().to_owned(),
        unique_id: view.property(key::UNIQ_KEY).unwrap_or_default().to_owned(),
    }
}

/// How a level splits among groups and users.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Split {
    /// Entries by owner: counted, or scaled up from samples.
    pub by_owner: BTreeMap<Owner, i64>,
    /// Everything that waits was read; else the counts are at least.
    pub complete: bool,
    /// The counts are estimates from samples.
    pub sampled: bool,
}

/// What was read of a broker's levels. Keep it: only what is new is read again.
#[derive(Clone, Debug)]
pub struct Scan {
    addr: String,
    broker_name: String,
    boot_ms: Option<i64>,
    levels: BTreeMap<u32, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    level: Level,
    /// Everything from `delivered` up to here was read.
    read_to: i64,
    entries: VecDeque<Waiting>,
    sampling: Option<Sampling>,
}

/// A level too long to read: evenly spaced entries of it.
#[derive(Clone, Copy, Debug)]
struct Sampling {
    from: i64,
    max: i64,
    taken: i64,
}

impl Sampling {
    /// Whether the samples still stand for the level: at most a tenth of it has changed.
    fn describes(self, level: Level) -> bool {
        let changed = (level.delivered - self.from).abs() + (level.max - self.max).abs();
        level.waiting() > SAMPLE_FROM && changed * 10 <= self.max - self.from
    }

    fn offset(self) -> i64 {
        self.from + (self.max - self.from) * self.taken / SAMPLES
    }
}

impl Scan {
    /// A scan of a master that has read nothing.
    pub fn new(addr: &str, broker_name: &str) -> Self {
        Self {
            addr: addr.to_owned(),
            broker_name: broker_name.to_owned(),
            boot_ms: None,
            levels: BTreeMap::new(),
        }
    }

    /// Takes new figures of the levels in: forgets what was delivered, and all of a level whose
    /// offsets went back.
    pub fn refresh(&mut self, ladder: &Ladder) {
        let restarted = self.boot_ms != ladder.boot_ms;
        self.boot_ms = ladder.boot_ms;
        for level in &ladder.levels {
            let known = self.levels.entry(level.number).or_insert_with(|| Known::new(*level));
            known.refresh(*level, restarted);
        }
        let numbers: Vec<u32> = ladder.levels.iter().map(|level| level.number).collect();
        self.levels.retain(|number, _| numbers.contains(number));
    }

    /// Requests that are still needed, at least.
    pub fn requests_left(&self) -> i64 {
        self.levels.values().map(Known::requests_left).sum()
    }

    /// Makes one request, if one is needed; false when everything was read.
    ///
    /// # Errors
    /// When the broker cannot be asked; the step can be repeated.
    pub async fn step(&mut self, cluster: &Cluster) -> Result<bool, ClientError> {
        let Some(known) = self.levels.values_mut().find(|known| known.requests_left() > 0) else {
            return Ok(false);
        };
        let queue = MessageQueue {
            topic: names::SCHEDULE_TOPIC.to_owned(),
            broker_name: self.broker_name.clone(),
            queue_id: queue_of(known.level.number),
        };
        let (offset, most) = known.wants();
        let ask = reading(TOOLS_GROUP, &queue, offset, most);
        let pulled = cluster.pull(&self.addr, &ask).await?;
        let delay_ms = known.level.delay_ms;
        let entries: Vec<Waiting> =
            record::iter(&pulled.body).map(|view| waiting(&view, delay_ms)).collect();
        known.take_in(entries, pulled.next);
        Ok(self.requests_left() > 0)
    }

    /// Entries of a level that were read, by due time.
    pub fn entries(&self, level: u32) -> impl Iterator<Item = &Waiting> {
        self.levels.get(&level).into_iter().flat_map(|known| known.entries.iter())
    }

    /// How a level splits, as far as it was read.
    pub fn split(&self, level: u32) -> Split {
        self.levels.get(&level).map(Known::split).unwrap_or_default()
    }
}

impl Known {
    fn new(level: Level) -> Self {
        Self { level, read_to: level.delivered, entries: VecDeque::new(), sampling: None }
    }

    fn refresh(&mut self, level: Level, restarted: bool) {
        let went_back = restarted && level.delivered < self.level.delivered;
        if level.max < self.read_to || went_back {
            *self = Self::new(level);
        }
        self.level = level;
        if let Some(sampling) = self.sampling {
            if !sampling.describes(level) {
                *self = Self::new(level);
            }
        } else {
            while self.entries.front().is_some_and(|entry| entry.offset < level.delivered) {
                self.entries.pop_front();
            }
            self.read_to = self.read_to.max(level.delivered);
        }
        if self.sampling.is_none() && level.max - self.read_to > SAMPLE_FROM {
            *self = Self::new(level);
            let (from, max) = (level.delivered, level.max);
            self.sampling = Some(Sampling { from, max, taken: 0 });
        }
    }

    fn requests_left(&self) -> i64 {
        if let Some(sampling) = self.sampling {
            return SAMPLES - sampling.taken;
        }
        let left = (self.level.max - self.read_to).max(0).unsigned_abs();
        left.div_ceil(PULL_MAX.unsigned_abs().into()) as i64
    }

    fn wants(&self) -> (i64, i32) {
        match self.sampling {
            Some(sampling) => (sampling.offset(), 1),
            None => (self.read_to, PULL_MAX),
        }
    }

    fn take_in(&mut self, entries: Vec<Waiting>, next: i64) {
        if let Some(sampling) = &mut self.sampling {
            sampling.taken += 1;
            self.entries.extend(entries);
            return;
        }
        let from = self.read_to;
        self.entries.extend(entries.into_iter().filter(|entry| entry.offset >= from));
        // A queue that gives nothing and does not move is read to its end, or a step would never end.
        self.read_to = if next > from { next } else { self.level.max };
    }

    fn split(&self) -> Split {
        let mut by_owner: BTreeMap<Owner, i64> = BTreeMap::new();
        for entry in &self.entries {
            *by_owner.entry(entry.owner.clone()).or_default() += 1;
        }
        let Some(sampling) = self.sampling else {
            let complete = self.read_to >= self.level.max && self.level.exact;
            return Split { by_owner, complete, sampled: false };
        };
        let samples = (self.entries.len() as i64).max(1);
        for count in by_owner.values_mut() {
            *count = *count * self.level.waiting() / samples;
        }
        Split { by_owner, complete: sampling.taken >= SAMPLES, sampled: true }
    }
}

/// Queue of a level: they are counted from 1, queues from 0.
fn queue_of(level: u32) -> i32 {
    level as i32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(delivered: i64, max: i64) -> Level {
        Level {
            number: 3,
            delay_ms: 10_000,
            delivered,
            exact: true,
            max,
            next_due_ms: None,
            last_due_ms: None,
        }
    }

    fn ladder(delivered: i64, max: i64, boot: i64) -> Ladder {
        Ladder { levels: vec![level(delivered, max)], boot_ms: Some(boot) }
    }

    fn entries(range: std::ops::Range<i64>, owner: &Owner) -> Vec<Waiting> {
        let entry = |offset| Waiting {
            offset,
            due_ms: 0,
            owner: owner.clone(),
            topic: String::new(),
            tries: 1,
            keys: String::new(),
            unique_id: String::new(),
        };
        range.map(entry).collect()
    }

    #[test]
    fn a_second_scan_reads_only_what_is_new_and_drops_what_was_delivered() {
        let mut scan = Scan::new("b:1", "b");
        scan.refresh(&ladder(0, 40, 1));
        assert_eq!(scan.requests_left(), 2);
        let owner = Owner::Group("g".into());
        let known = scan.levels.get_mut(&3).unwrap();
        known.take_in(entries(0..32, &owner), 32);
        known.take_in(entries(32..40, &owner), 40);
        assert_eq!(scan.requests_left(), 0);
        assert!(scan.split(3).complete);
        scan.refresh(&ladder(10, 45, 1));
        assert_eq!((scan.requests_left(), scan.levels[&3].wants()), (1, (40, 32)));
        assert_eq!(scan.split(3).by_owner[&owner], 30);
        assert!(!scan.split(3).complete);
    }

    #[test]
    fn a_log_that_shrank_or_went_back_is_read_anew() {
        let owner = Owner::User("t".into());
        let filled = || {
            let mut scan = Scan::new("b:1", "b");
            scan.refresh(&ladder(5, 9, 1));
            scan.levels.get_mut(&3).unwrap().take_in(entries(5..9, &owner), 9);
            scan
        };
        let mut shrunk = filled();
        shrunk.refresh(&ladder(5, 7, 1));
        assert_eq!(shrunk.entries(3).count(), 0);
        let mut back = filled();
        back.refresh(&ladder(2, 9, 2));
        assert_eq!(back.levels[&3].wants().0, 2);
    }

    #[test]
    fn a_long_level_is_sampled_evenly_and_scaled_up() {
        let mut scan = Scan::new("b:1", "b");
        scan.refresh(&ladder(0, 40_000, 1));
        assert_eq!(scan.requests_left(), SAMPLES);
        let known = scan.levels.get_mut(&3).unwrap();
        let (group, user) = (Owner::Group("g".into()), Owner::User("t".into()));
        for sample in 0..SAMPLES {
            let (offset, most) = known.wants();
            assert_eq!((offset, most), (sample * 100, 1));
            let owner = if sample % 4 == 0 { &group } else { &user };
            known.take_in(entries(offset..offset + 1, owner), offset + 1);
        }
        let split = scan.split(3);
        assert!(split.sampled && split.complete);
        assert_eq!((split.by_owner[&group], split.by_owner[&user]), (10_000, 30_000));
        assert_eq!(scan.requests_left(), 0);
    }

    #[test]
    fn samples_stand_until_a_tenth_of_the_level_has_changed() {
        let mut scan = Scan::new("b:1", "b");
        scan.refresh(&ladder(0, 40_000, 1));
        scan.levels.get_mut(&3).unwrap().take_in(entries(0..1, &Owner::User("t".into())), 1);
        scan.refresh(&ladder(2_000, 42_000, 1));
        assert_eq!(scan.requests_left(), SAMPLES - 1);
        scan.refresh(&ladder(2_001, 42_000, 1));
        assert_eq!(scan.requests_left(), SAMPLES);
        scan.refresh(&ladder(41_999, 42_000, 1));
        assert_eq!(scan.requests_left(), 1);
    }

    #[test]
    fn a_level_without_known_offset_is_never_complete() {
        let mut ladder = ladder(0, 1, 1);
        ladder.levels[0].exact = false;
        let mut scan = Scan::new("b:1", "b");
        scan.refresh(&ladder);
        let owner = Owner::User("t".into());
        scan.levels.get_mut(&3).unwrap().take_in(entries(0..1, &owner), 1);
        assert!(!scan.split(3).complete);
    }
}
