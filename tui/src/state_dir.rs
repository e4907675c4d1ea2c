//! The state directory: audit lines and the resend ledger, shared by all mqdeck processes of a user.
//!
//! Every append takes the lock file, writes one whole line and syncs it. Files are 0600, the directory
//! is 0700 (console-ux.md §8). What cannot be written makes the session read-only; the caller decides.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::journal::Journal;

const LOCK: &str = "lock";
const AUDIT: &str = "audit.jsonl";
const LEDGER: &str = "resent.jsonl";
/// Longest ledger read at start; older lines count as not known here.
const LEDGER_LINES_MAX: usize = 200_000;

/// Where the files are.
#[derive(Clone, Debug)]
pub struct StateDir {
    root: PathBuf,
}

/// One line of the audit file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    pub at_ms: i64,
    /// Same number before and after.
    pub id: String,
    /// `started` or `done`.
    pub phase: String,
    pub user: String,
    pub host: String,
    pub context: String,
    pub action: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub preview: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
}

/// One line of the resend ledger: which letter was sent back when, by whom, whereto.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    pub at_ms: i64,
    /// Cluster, broker, queue and offset of the dead letter.
    pub letter: String,
    pub user: String,
    pub to: String,
    pub result: String,
}

impl StateDir {
    /// Opens the directory, made if it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(root: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        Ok(Self { root: root.to_owned() })
    }

    /// The jobs.
    ///
    /// # Errors
    /// Their directory cannot be made.
    pub fn journal(&self) -> io::Result<Journal> {
        Journal::open(&self.root)
    }

    /// Appends one audit line and syncs it.
    ///
    /// # Errors
    /// Nothing was written, or it is not known to be on disk.
    pub fn audit(&self, line: &AuditLine) -> io::Result<()> {
        self.append(AUDIT, line)
    }

    /// Appends one line to the resend ledger and syncs it.
    ///
    /// # Errors
    /// Nothing was written, or it is not known to be on disk.
    pub fn resent(&self, line: &LedgerLine) -> io::Result<()> {
        self.append(LEDGER, line)
    }

    /// The ledger as far as it is readable; a torn last line is left out.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn ledger(&self) -> io::Result<Vec<LedgerLine>> {
        self.lines(LEDGER)
    }

    /// The newest finished change of the audit file.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn last_change(&self) -> io::Result<Option<AuditLine>> {
        let lines: Vec<AuditLine> = self.lines(AUDIT)?;
        Ok(lines.into_iter().rev().find(|l| l.phase == "done"))
    }

    fn lines<T: for<'a> Deserialize<'a>>(&self, file: &str) -> io::Result<Vec<T>> {
        let file = match OpenOptions::new().read(true).open(self.root.join(file)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut out = Vec::new();
        for line in BufReader::new(file).lines() {
            if let Ok(line) = serde_json::from_str(&line?) {
                out.push(line);
            }
            if out.len() >= LEDGER_LINES_MAX {
                break;
            }
        }
        Ok(out)
    }

    fn append(&self, file: &str, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let lock = self.file(LOCK)?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let mut file = self.file(file)?;
        file.write_all(&text)?;
        file.sync_data()
        // The lock goes with its file.
    }

    fn file(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).mode(0o600).open(self.root.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn line(i: usize) -> LedgerLine {
        LedgerLine {
            at_ms: i as i64,
            letter: format!("c:broker-a:0:{i}"),
            user: "ana".to_owned(),
            to: "group billing".to_owned(),
            result: "sent".to_owned(),
        }
    }

    #[test]
    fn what_was_appended_is_read_back_and_files_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(&dir.path().join("state")).unwrap();
        assert_eq!(state.ledger().unwrap(), []);
        state.resent(&line(1)).unwrap();
        state.resent(&line(2)).unwrap();
        assert_eq!(state.ledger().unwrap(), [line(1), line(2)]);
        let mode =
            |p: &str| std::fs::metadata(dir.path().join(p)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("state"), 0o700);
        assert_eq!(mode("state/resent.jsonl"), 0o600);
    }

    #[test]
    fn appends_of_several_threads_are_whole_lines() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        std::thread::scope(|scope| {
            for t in 0..4 {
                let state = &state;
                scope.spawn(move || (0..10).for_each(|i| state.resent(&line(t * 10 + i)).unwrap()));
            }
        });
        assert_eq!(state.ledger().unwrap().len(), 40);
    }

    #[test]
    fn a_torn_line_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        state.resent(&line(1)).unwrap();
        let mut file = state.file(LEDGER).unwrap();
        file.write_all(b"{\"at_ms\":5,\"let").unwrap();
        assert_eq!(state.ledger().unwrap(), [line(1)]);
    }
}
