//! `mqdeck timers`: messages that wait for a time of their own.

use tui::columns::TIMERS;
use tui::survey::timers::{self, ENTRIES_MAX, Total};

use super::list as print;
use super::session::Session;
use crate::args::Timers;
use crate::output::{self, Code};
use tui::sheet::{Cell, Column, Sheet};

const TOTALS: &[Column<Total>] = &[
    Column { field: "topic", title: "TOPIC", cell: |t| Cell::Text(t.topic.clone()) },
    Column { field: "waiting", title: "WAITING", cell: |t| Cell::Count(t.waiting.clone()) },
];

/// Prints totals by topic, or messages one by one.
pub fn run(session: &Session, wanted: &Timers) -> anyhow::Result<Code> {
    if !wanted.messages {
        let (totals, complete) = session.wait(timers::totals(&session.cluster))?;
        return print(session.form, Sheet::new(TOTALS, &totals), &wanted.pick, complete);
    }
    let (found, more) = session.wait(timers::list(&session.cluster))?;
    if more {
        output::tell(&format!("mqdeck: the newest {ENTRIES_MAX} entries of each broker were read"));
    }
    print(session.form, Sheet::new(TIMERS, &found), &wanted.pick, !more)
}
