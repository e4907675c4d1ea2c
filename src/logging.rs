//! Log lines go to a file a day in the state directory, never to the terminal.
//!
//! Lines are held in memory until [`Log::open`]: a start that fails before anything runs leaves nothing
//! on the disk. The level comes from `MQDECK_LOG`: `warn`, `debug`, or per module such as
//! `info,engine::store=debug`.

use std::io::{self, Write};
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::output::usage;

/// Days that log files are kept.
const DAYS_MAX: usize = 7;
/// Bytes held before there is a file; later lines are dropped until then.
const HELD_MAX: usize = 256 * 1024;
/// Variable with the level.
const LEVEL: &str = "MQDECK_LOG";

/// Where lines go.
#[derive(Debug)]
enum Sink {
    Held(Vec<u8>),
    File(NonBlocking),
}

/// The log of this process; lines are written out when it is dropped.
#[derive(Debug)]
pub struct Log {
    sink: Arc<Mutex<Sink>>,
    writer: Option<WorkerGuard>,
}

#[derive(Clone, Debug)]
struct Handle(Arc<Mutex<Sink>>);

fn lock(sink: &Mutex<Sink>) -> MutexGuard<'_, Sink> {
    sink.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Write for Handle {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut *lock(&self.0) {
            Sink::Held(lines) if lines.len() + line.len() <= HELD_MAX => lines.extend(line),
            Sink::Held(_) => {}
            Sink::File(file) => file.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts to collect log lines.
///
/// # Errors
/// Usage, when `MQDECK_LOG` does not read.
pub fn start() -> anyhow::Result<Log> {
    let level = std::env::var(LEVEL).unwrap_or_else(|_| "info".to_owned());
    let targets: Targets = level
        .parse()
        .map_err(|error| usage(format!("{LEVEL}={level:?} is no log level: {error}")))?;
    let sink = Arc::new(Mutex::new(Sink::Held(Vec::new())));
    let handle = Handle(Arc::clone(&sink));
    let lines = fmt::layer().with_ansi(false).with_writer(move || handle.clone());
    // A subscriber is set once a process; here is the only place.
    tracing_subscriber::registry().with(lines.with_filter(targets)).try_init().ok();
    log_panics();
    Ok(Log { sink, writer: None })
}

/// Panics of every thread go to the log as well, before whatever hook was there.
fn log_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        tracing::error!("{info}");
        before(info);
    }));
}

impl Log {
    /// Opens the file of today in this directory; what was held goes there first.
    ///
    /// # Errors
    /// Usage, when the directory or the file cannot be made.
    pub fn open(&mut self, dir: &Path) -> anyhow::Result<()> {
        let cannot = |reason: &dyn std::fmt::Display| {
            usage(format!(
                "log directory {} cannot be used: {reason}; \
                 another state directory can be chosen with XDG_STATE_HOME",
                dir.display()
            ))
        };
        // The appender would make it too, but says on stderr that it was not there.
        std::fs::create_dir_all(dir).map_err(|error| cannot(&error))?;
        let file = RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix("mqdeck")
            .filename_suffix("log")
            .max_log_files(DAYS_MAX)
            .build(dir)
            .map_err(|error| cannot(&error))?;
        let (mut file, guard) = tracing_appender::non_blocking(file);
        let mut sink = lock(&self.sink);
        if let Sink::Held(lines) = &*sink {
            file.write_all(lines)?;
        }
        *sink = Sink::File(file);
        self.writer = Some(guard);
        Ok(())
    }
}

/// Directory of log files.
///
/// # Errors
/// When the platform names no home directory.
pub fn dir() -> anyhow::Result<PathBuf> {
    Ok(crate::settings::state_dir()?.join("log"))
}
