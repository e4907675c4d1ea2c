//! What one-shot commands and failures say: the only file here that writes to stdout or stderr.
//!
//! A reader that went away (`mqdeck config show | head -1`) is not a failure. Exit codes:
//! console-ux.md §15.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Exit code of a failure that the user cannot help.
const FAILED: u8 = 1;
/// Exit code of usage, configuration and environment.
const USAGE: u8 = 2;

/// A failure before anything ran that whoever started the program can put right.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The error of something that the user can put right.
pub fn usage(sentence: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(sentence.into()))
}

/// Writes to stdout at once.
///
/// # Errors
/// When stdout cannot be written, unless its reader has gone.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Says in one sentence on stderr why the program ends; gives the exit code.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    // Nobody is left to hear of it when stderr is gone as well.
    let _ = writeln!(io::stderr().lock(), "mqdeck: {error:#}");
    ExitCode::from(if error.is::<Usage>() { USAGE } else { FAILED })
}
