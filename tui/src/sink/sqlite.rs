//! The sink's database: rows and positions in one transaction, rows read back and marked.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, TransactionBehavior, params};

use super::{Keep, Position, QueueKey, SinkError};
use crate::portable::{Portable, base64, unbase64};

/// Edition of the schema, in `user_version`.
const EDITION: i64 = 1;
/// How long a commit waits for another process.
const BUSY: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS letters (
  cluster      TEXT NOT NULL,
  \"group\"      TEXT NOT NULL,
  topic        TEXT NOT NULL,
  broker       TEXT NOT NULL,
  queue        INTEGER NOT NULL,
  offset       INTEGER NOT NULL,
  died_ms      INTEGER NOT NULL,
  dead         INTEGER NOT NULL,
  log_offset   INTEGER NOT NULL,
  origin       TEXT,
  unique_id    TEXT NOT NULL,
  first_copy   TEXT,
  tag          TEXT,
  keys         TEXT NOT NULL,
  tries        INTEGER NOT NULL,
  born_ms      INTEGER NOT NULL,
  born_host    TEXT NOT NULL,
  store_host   TEXT NOT NULL,
  flag         INTEGER NOT NULL,
  sys_flag     INTEGER NOT NULL,
  properties   TEXT NOT NULL,
  resent_from  TEXT,
  resent_count INTEGER NOT NULL,
  body         TEXT,
  stored_body  BLOB NOT NULL,
  resent_ms     INTEGER,
  resent_to     TEXT,
  resent_result TEXT,
  PRIMARY KEY (cluster, topic, broker, queue, offset, died_ms)
);
CREATE INDEX IF NOT EXISTS letters_unique_id ON letters (unique_id);
CREATE INDEX IF NOT EXISTS letters_died ON letters (\"group\", died_ms);
CREATE TABLE IF NOT EXISTS positions (
  cluster   TEXT NOT NULL,
  \"group\"   TEXT NOT NULL,
  topic     TEXT NOT NULL,
  broker    TEXT NOT NULL,
  queue     INTEGER NOT NULL,
  next      INTEGER NOT NULL,
  before_ms INTEGER,
  PRIMARY KEY (cluster, topic, broker, queue)
);
";

/// Columns of a letter, in the order of [`read`].
const COLUMNS: &str = "rowid, \"group\", topic, broker, queue, offset, died_ms, log_offset, origin, \
    unique_id, first_copy, tag, keys, tries, born_ms, born_host, store_host, flag, sys_flag, \
    properties, resent_from, resent_count, body, stored_body, resent_ms, resent_result";

/// An open database.
#[derive(Debug)]
pub struct Database {
    file: PathBuf,
    db: Connection,
}

/// A row of the database, and whether it was put back before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Marked {
    /// Its row id.
    pub row: i64,
    /// The letter.
    pub letter: Portable,
    /// What became of an earlier copy; none when there was none.
    pub before: Option<String>,
}

impl Database {
    /// Opens a file, made with its tables when it is absent. Readable by its owner only.
    ///
    /// # Errors
    /// It cannot be opened, or is no database of a sink.
    pub fn open(file: &Path) -> Result<Self, SinkError> {
        let make = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(file)
            .map_err(|source| SinkError::Io { path: file.to_owned(), source });
        drop(make?);
        let database = Self::connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let edition: i64 = database.run(|db| {
            db.pragma_update(None, "journal_mode", "WAL")?;
            // A commit is on the disk when it is told: the position must not get ahead of the rows.
            db.pragma_update(None, "synchronous", "FULL")?;
            db.query_row("PRAGMA user_version", [], |row| row.get(0))
        })?;
        if edition > EDITION {
            let problem = format!("edition {edition} of the tables is newer than this program");
            return Err(SinkError::Strange { path: file.to_owned(), problem });
        }
        database.run(|db| {
            db.execute_batch(SCHEMA)?;
            db.pragma_update(None, "user_version", EDITION)
        })?;
        Ok(database)
    }

    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn open_read(file: &Path) -> Result<Self, SinkError> {
        Self::connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    fn connect(file: &Path, flags: OpenFlags) -> Result<Self, SinkError> {
        let db = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .and_then(|db| db.busy_timeout(BUSY).map(|()| db))
            .map_err(|source| SinkError::Sqlite { path: file.to_owned(), source })?;
        Ok(Self { file: file.to_owned(), db })
    }

    fn run<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SinkError> {
        work(&self.db).map_err(|source| SinkError::Sqlite { path: self.file.clone(), source })
    }

    /// Rows for which a condition in SQL holds, oldest first. Open with [`Self::open_read`]: then the
    /// condition can change nothing.
    ///
    /// # Errors
    /// The condition is no SQL, or the file cannot be read.
    pub fn select(&self, condition: &str) -> Result<Vec<Marked>, SinkError> {
        self.run(|db| {
            let sql = format!(
                "SELECT {COLUMNS} FROM letters WHERE ({condition}\n) ORDER BY died_ms, topic, \
                 broker, queue, offset"
            );
            let mut query = db.prepare(&sql)?;
            query.query_map([], read)?.collect()
        })
    }

    /// Writes what became of a row's copy.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn mark(&self, row: i64, at_ms: i64, to: &str, result: &str) -> Result<(), SinkError> {
        let sql = "UPDATE letters SET resent_ms = ?2, resent_to = ?3, resent_result = ?4 \
                   WHERE rowid = ?1";
        self.run(|db| db.execute(sql, params![row, at_ms, to, result])).map(drop)
    }

    /// Takes the mark of a row away: its copy was refused, nothing was stored.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn unmark(&self, row: i64) -> Result<(), SinkError> {
        let sql = "UPDATE letters SET resent_ms = NULL, resent_to = NULL, resent_result = NULL \
                   WHERE rowid = ?1";
        self.run(|db| db.execute(sql, params![row])).map(drop)
    }
}

impl Keep for Database {
    fn position(&mut self, key: &QueueKey) -> Result<Option<Position>, SinkError> {
        self.run(|db| position(db, key))
    }

    fn commit(
        &mut self,
        key: &QueueKey,
        from: Option<Position>,
        rows: &[Portable],
        to: Position,
    ) -> Result<bool, SinkError> {
        let file = self.file.clone();
        let failed = |source| SinkError::Sqlite { path: file, source };
        let mut run = || {
            let change = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if position(&change, key)? != from {
                return Ok(false);
            }
            for row in rows {
                insert(&change, key, row)?;
            }
            change.execute(
                "INSERT OR REPLACE INTO positions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    key.cluster,
                    key.group,
                    key.topic,
                    key.broker,
                    key.queue,
                    to.next,
                    to.before_ms
                ],
            )?;
            change.commit()?;
            Ok(true)
        };
        run().map_err(failed)
    }
}

fn position(db: &Connection, key: &QueueKey) -> rusqlite::Result<Option<Position>> {
    db.query_row(
        "SELECT next, before_ms FROM positions \
         WHERE cluster = ?1 AND topic = ?2 AND broker = ?3 AND queue = ?4",
        params![key.cluster, key.topic, key.broker, key.queue],
        |row| Ok(Position { next: row.get(0)?, before_ms: row.get(1)? }),
    )
    .optional()
}

fn insert(db: &Connection, key: &QueueKey, row: &Portable) -> rusqlite::Result<()> {
    let dead = key.topic.starts_with(engine::protocol::names::DLQ_PREFIX);
    let body = unbase64(&row.stored_body).unwrap_or_default();
    db.execute(
        "INSERT INTO letters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, \
         ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, NULL, NULL, NULL)",
        params![
            key.cluster,
            row.group,
            row.topic,
            row.broker,
            row.queue,
            row.offset,
            row.died_ms,
            dead,
            row.log_offset,
            row.origin,
            row.unique_id,
            row.first_copy,
            row.tag,
            row.keys,
            row.tries,
            row.born_ms,
            row.born_host,
            row.store_host,
            row.flag,
            row.sys_flag,
            row.properties,
            row.resent_from,
            row.resent_count,
            row.body,
            body
        ],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Marked> {
    let (broker, queue, offset): (String, i32, i64) = (row.get(3)?, row.get(4)?, row.get(5)?);
    let resent_ms: Option<i64> = row.get(24)?;
    let result: Option<String> = row.get(25)?;
    let stored: Vec<u8> = row.get(23)?;
    Ok(Marked {
        row: row.get(0)?,
        letter: Portable {
            group: row.get(1)?,
            topic: row.get(2)?,
            id: format!("{broker}:{queue}:{offset}"),
            broker,
            queue,
            offset,
            died_ms: row.get(6)?,
            log_offset: row.get(7)?,
            origin: row.get(8)?,
            unique_id: row.get(9)?,
            first_copy: row.get(10)?,
            tag: row.get(11)?,
            keys: row.get(12)?,
            tries: row.get(13)?,
            born_ms: row.get(14)?,
            born_host: row.get(15)?,
            store_host: row.get(16)?,
            flag: row.get(17)?,
            sys_flag: row.get(18)?,
            properties: row.get(19)?,
            resent_from: row.get(20)?,
            resent_count: row.get(21)?,
            body: row.get(22)?,
            stored_body: base64(&stored),
        },
        before: resent_ms.map(|_| result.unwrap_or_else(|| "begun, end unknown".to_owned())),
    })
}
