//! The console of mqdeck: state in, frames out.
//!
//! `app` is the whole behaviour without I/O; `screen`, `dialog` and `widget` draw; `data` holds the
//! snapshots that they draw from and `model` the rules on them; `runtime` owns threads and terminal.

mod answer;
mod app;
mod clipboard;
pub mod columns;
// Fields are named like the columns of the screens, which are their documentation.
#[allow(missing_docs)]
pub mod data;
mod dialog;
#[allow(missing_docs)] // as above
pub mod effect;
mod event;
mod executor;
mod export;
#[cfg(test)]
mod fixtures;
pub mod hands;
mod input;
#[allow(missing_docs)] // as above
pub mod journal;
#[allow(missing_docs)] // as above
pub mod keymap;
#[allow(missing_docs)] // as above
pub mod ledger;
pub mod messages;
#[allow(missing_docs)] // as above
pub mod model;
mod place;
mod poll;
pub mod portable;
mod runtime;
mod screen;
pub mod sheet;
#[cfg(feature = "sink")]
pub mod sink;
#[allow(missing_docs)] // as above
pub mod state_dir;
pub mod survey;
mod terminal;
#[cfg(test)]
mod tests;
#[allow(missing_docs)] // as above
pub mod theme;
mod widget;

use model::format;

pub use effect::Exit;
pub use executor::host;
pub use poll::once::{Need, Only, letters, look};
pub use poll::problem;
pub use poll::watcher::Watcher;
pub use runtime::{ConsoleError, EmbeddedInfo, Settings, StopHandle, restore_terminal, run};
