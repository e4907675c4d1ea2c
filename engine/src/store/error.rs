//! What can go wrong with a data directory, told apart as its callers need it.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another broker works on the directory.
    #[error("{} is in use by another broker", root.display())]
    Locked {
        /// The data directory.
        root: PathBuf,
    },
    /// Files that do not fit the configured sizes or names. Nothing was changed.
    #[error("{}: {problem}", path.display())]
    Geometry {
        /// The file or directory.
        path: PathBuf,
        /// What does not fit, as a sentence fragment.
        problem: String,
    },
    /// A file whose content cannot be used, and without which a start would lose something.
    #[error("{} is damaged: {problem}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong, as a sentence fragment.
        problem: String,
    },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// Only for whoever does not wait: what was asked for is not in memory.
    #[error("not in memory: the read would have to wait for the disk")]
    Cold,
    /// The log stopped after a failed sync: only a restart helps.
    #[error("the log stopped after a failed sync at {at}: {kind}")]
    Stopped {
        /// Log offset up to which everything is durable.
        at: u64,
        /// The kernel's reason.
        kind: io::ErrorKind,
    },
}

impl StoreError {
    pub(super) fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::WouldBlock => Self::Cold,
            _ => Self::Io { path: path.as_ref().to_owned(), source },
        }
    }

    pub(super) fn geometry(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Geometry { path: path.as_ref().to_owned(), problem: problem.into() }
    }
}
