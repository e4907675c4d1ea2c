//! The console of mqdeck: state in, frames out.
//!
//! `app` is the whole behaviour without I/O; `screen`, `dialog` and `widget` draw; `data` holds the
//! snapshots that they draw from and `model` the rules on them; `runtime` owns threads and terminal.

mod app;
mod clipboard;
mod data;
mod dialog;
mod effect;
mod event;
mod executor;
#[cfg(test)]
mod fixtures;
mod input;
mod keymap;
mod ledger;
mod messages;
mod model;
mod place;
mod poll;
mod runtime;
mod screen;
mod state_dir;
mod terminal;
#[cfg(test)]
mod tests;
mod theme;
mod widget;

use model::format;

pub use effect::Exit;
pub use runtime::{ConsoleError, EmbeddedInfo, Settings, StopHandle, restore_terminal, run};
