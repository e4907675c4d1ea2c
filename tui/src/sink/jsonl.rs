//! The sink's files: one a queue, one letter a line. The last whole line is the position, so that rows
//! and position cannot part; a line that a crash tore is cut off at the next start.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::{Keep, Position, QueueKey, SinkError};
use crate::portable::Portable;

/// Longest line looked for at the end of a file: a body of 64 MiB in base64 and as text.
const LINE_MAX: u64 = 256 * 1024 * 1024;
/// Bytes read at a time while the last line is looked for.
const STEP: u64 = 64 * 1024;

/// The first line of a file: what it is of and where it began.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Head {
    sink: Of,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Of {
    cluster: String,
    group: String,
    topic: String,
    broker: String,
    queue: i32,
    begins_at: i64,
}

/// What of a line tells the position.
#[derive(Clone, Debug, Deserialize)]
struct Tail {
    offset: i64,
    died_ms: i64,
}

/// An open directory.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
    open: BTreeMap<QueueKey, (File, Position)>,
    _lock: File,
}

impl Files {
    /// Takes a directory, made when it is absent.
    ///
    /// # Errors
    /// It cannot be used, or another sink has it.
    pub fn open(dir: &Path) -> Result<Self, SinkError> {
        let lock = dir.join("lock");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(&lock);
        let file = made.and_then(|()| open()).map_err(io_at(dir))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { dir: dir.to_owned(), open: BTreeMap::new(), _lock: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(SinkError::InUse { path: dir.to_owned() }),
            Err(error) => Err(io_at(dir)(error.into())),
        }
    }

    fn path(&self, key: &QueueKey) -> PathBuf {
        // Topics and brokers may hold characters that no file name should.
        let plain = |text: &str| -> String {
            let keep =
                |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
            text.chars().map(keep).collect()
        };
        let topic = key.topic.replace("%DLQ%", "dead-").replace("%RETRY%", "retry-");
        let name = [&key.cluster, &topic, &key.broker].map(|text| plain(text)).join("@");
        self.dir.join(format!("{name}@{}.jsonl", key.queue))
    }
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> SinkError {
    let path = path.to_owned();
    move |source| SinkError::Io { path, source }
}

impl Keep for Files {
    fn position(&mut self, key: &QueueKey) -> Result<Option<Position>, SinkError> {
        if let Some((_, position)) = self.open.get(key) {
            return Ok(Some(*position));
        }
        let path = self.path(key);
        let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_at(&path)(error)),
        };
        let Some(position) = recover(&mut file, &path, key)? else { return Ok(None) };
        self.open.insert(key.clone(), (file, position));
        Ok(Some(position))
    }

    fn commit(
        &mut self,
        key: &QueueKey,
        from: Option<Position>,
        rows: &[Portable],
        to: Position,
    ) -> Result<bool, SinkError> {
        let path = self.path(key);
        if from.is_none() {
            let file = begin(&path, key, to.next).map_err(io_at(&path))?;
            self.open.insert(key.clone(), (file, to));
        }
        let Some((file, position)) = self.open.get_mut(key) else { return Ok(false) };
        let mut text = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut text, row).map_err(|e| io_at(&path)(e.into()))?;
            text.push(b'\n');
        }
        if !text.is_empty() {
            let end = file.seek(SeekFrom::End(0)).map_err(io_at(&path))?;
            let written = file.write_all(&text).and_then(|()| file.sync_data());
            if let Err(error) = written {
                // What is not whole must not stay: the last line is the position.
                file.set_len(end).map_err(io_at(&path))?;
                return Err(io_at(&path)(error));
            }
        }
        *position = to;
        Ok(true)
    }
}

/// Makes a file with its first line; a file without one whole line is no file yet.
fn begin(path: &Path, key: &QueueKey, begins_at: i64) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    let of = Of {
        cluster: key.cluster.clone(),
        group: key.group.clone(),
        topic: key.topic.clone(),
        broker: key.broker.clone(),
        queue: key.queue,
        begins_at,
    };
    let line = serde_json::to_string(&Head { sink: of })? + "\n";
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    if let Some(dir) = path.parent() {
        OpenOptions::new().read(true).open(dir)?.sync_all()?;
    }
    Ok(file)
}

/// Cuts a torn line off and reads the position; none when not even the first line is whole.
fn recover(file: &mut File, path: &Path, key: &QueueKey) -> Result<Option<Position>, SinkError> {
    let strange =
        |problem: &str| SinkError::Strange { path: path.to_owned(), problem: problem.to_owned() };
    let len = file.metadata().map_err(io_at(path))?.len();
    let Some(end) = last_newline(file, len).map_err(io_at(path))? else { return Ok(None) };
    let whole = end + 1;
    if whole < len {
        file.set_len(whole).map_err(io_at(path))?;
    }
    let start = last_newline(file, end).map_err(io_at(path))?.map_or(0, |at| at + 1);
    if end - start > LINE_MAX {
        return Err(strange("its last line is too long"));
    }
    let mut line = vec![0; (end - start) as usize];
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.read_exact(&mut line))
        .map_err(io_at(path))?;
    if start == 0 {
        let head: Head =
            serde_json::from_slice(&line).map_err(|_| strange("its first line is no sink's"))?;
        if head.sink.topic != key.topic || head.sink.queue != key.queue {
            return Err(strange("it belongs to another queue"));
        }
        return Ok(Some(Position { next: head.sink.begins_at, before_ms: None }));
    }
    let tail: Tail =
        serde_json::from_slice(&line).map_err(|_| strange("its last line is no letter"))?;
    Ok(Some(Position { next: tail.offset + 1, before_ms: Some(tail.died_ms) }))
}

/// Position of the last line end before `end`.
fn last_newline(file: &mut File, end: u64) -> io::Result<Option<u64>> {
    let mut at = end;
    while at > 0 {
        let from = at.saturating_sub(STEP);
        let mut piece = vec![0; (at - from) as usize];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut piece)?;
        if let Some(found) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(Some(from + found as u64));
        }
        at = from;
    }
    Ok(None)
}
