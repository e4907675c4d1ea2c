//! SIGINT, SIGTERM and SIGHUP end the process: the first one in order, the second one at once.
//!
//! A thread of its own waits for them, so that a start or a stop that takes long can be cut short.

use std::io;
use std::thread;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Calls `first` when the first signal comes; at the second one calls `last` and exits with 1.
///
/// # Errors
/// When the handlers or the thread cannot be set up.
pub fn on_signal(
    first: impl FnOnce() + Send + 'static,
    last: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate, mut hangup) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        )
    };
    let wait = move || {
        runtime.block_on(async {
            let mut next = async || {
                tokio::select! {
                    _ = interrupt.recv() => "SIGINT",
                    _ = terminate.recv() => "SIGTERM",
                    _ = hangup.recv() => "SIGHUP",
                }
            };
            tracing::info!("{} received: stopping", next().await);
            first();
            tracing::warn!("{} received again: leaving at once", next().await);
            last();
            std::process::exit(1)
        })
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// From here on SIGTSTP does not stop the process: an engine in it would stand still for its clients.
///
/// # Errors
/// When the handler cannot be set.
pub fn ignore_suspend() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    // The handler stays when its receiver goes.
    signal(SignalKind::from_raw(Signal::TSTP.as_raw())).map(drop)
}
