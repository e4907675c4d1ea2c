//! What can be wrong with the files of TLS.

use std::path::{Path, PathBuf};

/// Why TLS cannot be used as it is configured.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read or used.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file without what it is for.
    #[error("{}: there is no {what} in it", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// A name that no certificate can have.
    #[error("{0:?} is no name that a certificate can have")]
    Name(String),
    /// The library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
    /// A build without it.
    #[error("this build has no TLS: build with feature `tls`, or leave the certificate out")]
    NotBuilt,
}

impl TlsError {
    /// A file with what is wrong about it.
    pub fn unusable(path: &Path, problem: &dyn std::fmt::Display) -> Self {
        Self::File { path: path.to_owned(), problem: problem.to_string() }
    }
}
