//! The dead-letter sink: every new dead letter, and every message past N retries, into SQLite or JSON
//! Lines files for another program or a person (console-ux.md §7.5; docs/sink.md is its schema).
//!
//! Rows and the position behind them are one commit, so a kill loses nothing and doubles nothing. It
//! reads with plain pulls of the tools' group: never a commit, never a membership.

mod jsonl;
mod sqlite;

use std::collections::BTreeMap;
use std::path::PathBuf;

use engine::client::dead_letters::Letter;
use engine::client::figures::{Boundary, QueueAt};
use engine::client::{ClientError, Cluster, MessageExt};
use engine::protocol::body::MessageQueue;
use engine::protocol::names;

use crate::portable::Portable;
use crate::survey;

pub use sqlite::{Database, Marked};

/// Pulls of one queue before the next one has its turn.
const PULLS_EACH: usize = 64;

/// Where rows go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A database file.
    Sqlite(PathBuf),
    /// A directory of files, one a queue.
    Jsonl(PathBuf),
}

impl Place {
    /// Reads `sqlite:FILE` or `jsonl:DIR`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            (_, "") => None,
            ("sqlite", path) => Some(Self::Sqlite(path.into())),
            ("jsonl", path) => Some(Self::Jsonl(path.into())),
            _ => None,
        }
    }
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The database refused.
    #[error("{path}: {source}", path = path.display())]
    Sqlite {
        /// Its file.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// A file or directory.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process writes to the same place.
    #[error("{} is in use by another sink", path.display())]
    InUse {
        /// The place.
        path: PathBuf,
    },
    /// A file that this program did not write.
    #[error("{path}: {problem}", path = path.display())]
    Strange {
        /// The file.
        path: PathBuf,
        /// What is strange about it.
        problem: String,
    },
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClientError),
}

/// A queue that is read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct QueueKey {
    /// Name of the cluster.
    pub cluster: String,
    /// Consumer group.
    pub group: String,
    /// Topic: the dead-letter topic or the retry topic of the group.
    pub topic: String,
    /// Broker name.
    pub broker: String,
    /// Queue id.
    pub queue: i32,
}

/// How far a queue was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// Next offset to read.
    pub next: i64,
    /// Store time of the message before it, by which a queue that was made anew is recognised.
    pub before_ms: Option<i64>,
}

/// Where rows and positions are kept, together.
pub trait Keep {
    /// The position of a queue; none before its first commit.
    fn position(&mut self, key: &QueueKey) -> Result<Option<Position>, SinkError>;

    /// Writes rows and the position behind them, or neither. False: somebody else has moved the
    /// position meanwhile, nothing was written.
    fn commit(
        &mut self,
        key: &QueueKey,
        from: Option<Position>,
        rows: &[Portable],
        to: Position,
    ) -> Result<bool, SinkError>;
}

/// Opens a place, made when it is absent.
///
/// # Errors
/// It cannot be used, or somebody else uses it.
pub fn open(place: &Place) -> Result<Box<dyn Keep>, SinkError> {
    Ok(match place {
        Place::Sqlite(file) => Box::new(Database::open(file)?),
        Place::Jsonl(dir) => Box::new(jsonl::Files::open(dir)?),
    })
}

/// Where a queue begins that was never read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// At the first message kept.
    First,
    /// With what comes from now on.
    End,
    /// At a time, ms.
    Time(i64),
}

/// What is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Consumer groups.
    pub groups: Vec<String>,
    /// Messages on their way to retry number N + 1 as well.
    pub past: Option<i32>,
    /// Where a queue begins that was never read.
    pub begin: Begin,
}

/// How a queue stands after a round.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The queue.
    pub key: QueueKey,
    /// Next offset to read.
    pub next: i64,
    /// What is behind it.
    pub lag: i64,
    /// Rows written by this sink so far.
    pub rows: u64,
    /// Messages that expired before they were read.
    pub missed: i64,
}

/// A running sink.
pub struct Sink {
    keep: Box<dyn Keep>,
    wanted: Wanted,
    cluster_name: String,
    /// Queues whose position was compared with what the broker has.
    checked: BTreeMap<QueueKey, Standing>,
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

/// One queue at its broker.
struct Source {
    addr: String,
    key: QueueKey,
    min: i64,
    max: i64,
}

impl Sink {
    /// A sink into an open place.
    pub fn new(keep: Box<dyn Keep>, wanted: Wanted) -> Self {
        Self { keep, wanted, cluster_name: String::new(), checked: BTreeMap::new() }
    }

    /// Reads what is there and writes it. A signal may stop it between two commits.
    ///
    /// # Errors
    /// The place cannot be written, or a broker cannot be asked: what was committed stays.
    pub async fn round(
        &mut self,
        cluster: &Cluster,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Standing>, SinkError> {
        let info = cluster.cluster_info().await?;
        self.cluster_name = info.cluster_addr_table.keys().next().cloned().unwrap_or_default();
        let masters: Vec<(String, String)> = info
            .broker_addr_table
            .iter()
            .filter_map(|(name, data)| Some((name.clone(), data.master()?.to_owned())))
            .collect();
        let mut out = Vec::new();
        for (broker, addr) in &masters {
            for source in self.sources(cluster, broker, addr).await? {
                if stop() {
                    return Ok(out);
                }
                self.queue(cluster, &source, stop).await?;
                out.extend(self.checked.get(&source.key).cloned());
            }
        }
        Ok(out)
    }

    /// Queues of the groups' topics on one broker.
    async fn sources(
        &self,
        cluster: &Cluster,
        broker: &str,
        addr: &str,
    ) -> Result<Vec<Source>, SinkError> {
        let mut out = Vec::new();
        for group in &self.wanted.groups {
            let mut topics = vec![names::dlq_topic(group)];
            if self.wanted.past.is_some() {
                topics.push(names::retry_topic(group));
            }
            for topic in topics {
                // A topic that is not there has no message yet.
                let Some(stats) = cluster.topic_stats(addr, &topic).await? else { continue };
                for (queue, extent) in stats.offset_table {
                    let key = QueueKey {
                        cluster: self.cluster_name.clone(),
                        group: group.clone(),
                        topic: topic.clone(),
                        broker: broker.to_owned(),
                        queue: queue.queue_id,
                    };
                    let (min, max) = (extent.min_offset, extent.max_offset);
                    out.push(Source { addr: addr.to_owned(), key, min, max });
                }
            }
        }
        Ok(out)
    }

    async fn queue(
        &mut self,
        cluster: &Cluster,
        source: &Source,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), SinkError> {
        let mut kept = self.keep.position(&source.key)?;
        let mut at = self.start(cluster, source, kept).await?;
        if kept.is_none() {
            // So that a queue which begins at its end begins there after a restart too.
            self.keep.commit(&source.key, None, &[], at)?;
            kept = self.keep.position(&source.key)?;
            at = kept.unwrap_or(at);
        }
        let missed = (source.min - at.next).max(0);
        for _ in 0..PULLS_EACH {
            if at.next >= source.max || stop() {
                break;
            }
            let (messages, next) = pull(cluster, source, at.next).await?;
            if next <= at.next {
                break;
            }
            let rows: Vec<Portable> = messages
                .iter()
                .filter(|m| self.takes(&source.key, m))
                .map(|m| row(&source.key, m))
                .collect();
            let last = messages.last().map(|message| message.store_ms);
            let to = Position { next, before_ms: last.or(at.before_ms) };
            if !self.keep.commit(&source.key, kept, &rows, to)? {
                return Ok(()); // somebody else reads the same queue into the same place
            }
            (kept, at) = (Some(to), to);
            self.standing(&source.key).rows += rows.len() as u64;
        }
        let standing = self.standing(&source.key);
        standing.missed += missed;
        standing.next = at.next;
        standing.lag = (source.max - at.next).max(0);
        Ok(())
    }

    fn standing(&mut self, key: &QueueKey) -> &mut Standing {
        self.checked.entry(key.clone()).or_insert_with(|| Standing {
            key: key.clone(),
            next: 0,
            lag: 0,
            rows: 0,
            missed: 0,
        })
    }

    /// Where reading goes on. A queue that was deleted and made anew begins at its first message.
    async fn start(
        &self,
        cluster: &Cluster,
        source: &Source,
        kept: Option<Position>,
    ) -> Result<Position, SinkError> {
        let afresh = Position { next: source.min, before_ms: None };
        let Some(kept) = kept else {
            let next = match self.wanted.begin {
                Begin::First => source.min,
                Begin::End => source.max,
                Begin::Time(ms) => {
                    let (topic, queue_id) = (source.key.topic.as_str(), source.key.queue);
                    let at = QueueAt { addr: &source.addr, topic, queue_id };
                    let found = cluster.offset_at(at, ms, Boundary::Lower).await?;
                    found.clamp(source.min, source.max)
                }
            };
            return Ok(Position { next, ..afresh });
        };
        if kept.next > source.max {
            return Ok(afresh);
        }
        let known = self.checked.contains_key(&source.key);
        if let (Some(before_ms), false) = (kept.before_ms, known)
            && kept.next > source.min
        {
            let (found, _) = pull(cluster, source, kept.next - 1).await?;
            let other = found.first().is_some_and(|message| {
                message.queue_offset == kept.next - 1 && message.store_ms != before_ms
            });
            if other {
                return Ok(afresh);
            }
        }
        Ok(kept)
    }

    /// Every dead letter; of the retry topic what crosses the line.
    fn takes(&self, key: &QueueKey, message: &MessageExt) -> bool {
        key.topic.starts_with(names::DLQ_PREFIX)
            || self.wanted.past.is_some_and(|past| message.reconsume_times == past + 1)
    }
}

fn row(key: &QueueKey, message: &MessageExt) -> Portable {
    Portable::of(&Letter { message: message.clone(), group: key.group.clone() })
}

async fn pull(
    cluster: &Cluster,
    source: &Source,
    from: i64,
) -> Result<(Vec<MessageExt>, i64), ClientError> {
    let queue = MessageQueue {
        topic: source.key.topic.clone(),
        broker_name: source.key.broker.clone(),
        queue_id: source.key.queue,
    };
    survey::pull(cluster, &source.addr, &queue, from).await
}

#[cfg(test)]
mod tests;
