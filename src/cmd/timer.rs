//! `mqdeck timers`: messages that wait for a time of their own.

use tui::data::Fig;
use tui::survey::timers::{self, ENTRIES_MAX, Timer, Total};

use super::list as print;
use super::session::Session;
use crate::args::Timers;
use crate::output::{self, Code};
use crate::sheet::{Cell, Column, Sheet};

const TOTALS: &[Column<Total>] = &[
    Column { field: "topic", title: "TOPIC", cell: |t| Cell::Text(t.topic.clone()) },
    Column { field: "waiting", title: "WAITING", cell: |t| Cell::Count(t.waiting.clone()) },
];

const MESSAGES: &[Column<Timer>] = &[
    Column { field: "unique_id", title: "ID", cell: |t| Cell::Text(t.unique_id.clone()) },
    Column { field: "due_ms", title: "DUE", cell: |t| Cell::At(Fig::Known(t.due_ms)) },
    Column { field: "topic", title: "TOPIC", cell: |t| Cell::Text(t.topic.clone()) },
    Column { field: "keys", title: "KEYS", cell: |t| Cell::Text(t.keys.clone()) },
    Column { field: "tag", title: "TAG", cell: |t| Cell::Text(t.tag.clone()) },
    Column { field: "broker", title: "BROKER", cell: |t| Cell::Text(t.broker.clone()) },
    Column { field: "stored_ms", title: "SET", cell: |t| Cell::At(Fig::Known(t.stored_ms)) },
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
    print(session.form, Sheet::new(MESSAGES, &found), &wanted.pick, !more)
}
