//! The console of mqdeck: state in, frames out.
//!
//! `app` is the whole behaviour without I/O; `screen`, `dialog` and `widget` draw; `data` holds the
//! snapshots that they draw from and `model` the rules on them; `runtime` owns threads and terminal.

// What the poller and the executor will use has no user outside tests before them.
#![allow(dead_code)]

mod app;
mod clipboard;
mod data;
mod dialog;
mod effect;
mod event;
#[cfg(test)]
mod fixtures;
mod format;
mod input;
mod keymap;
mod model;
mod place;
mod runtime;
mod screen;
mod state_dir;
mod terminal;
#[cfg(test)]
mod tests;
mod theme;
mod widget;

pub use effect::Exit;
pub use runtime::{ConsoleError, EmbeddedInfo, Settings, StopHandle, restore_terminal};
