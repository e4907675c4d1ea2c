//! `mqdeck trace`: what traces say about one message.

use tui::data::Fig;
use tui::survey::trace::{self, Event};

use super::list as print;
use super::session::Session;
use crate::args::Trace;
use crate::output::{Code, advised, fault};
use tui::sheet::{Cell, Column, Sheet};

const COLUMNS: &[Column<Event>] = &[
    Column { field: "step", title: "STEP", cell: |e| Cell::Text(e.step.word().to_owned()) },
    Column { field: "at_ms", title: "AT", cell: at },
    Column { field: "group", title: "GROUP", cell: |e| Cell::Text(e.group.clone()) },
    Column { field: "client", title: "CLIENT", cell: |e| Cell::Text(e.client.clone()) },
    Column { field: "attempt", title: "ATTEMPT", cell: |e| count(e.attempt, "not told") },
    Column { field: "result", title: "RESULT", cell: |e| Cell::Text(e.result.clone()) },
    Column { field: "cost_ms", title: "COST", cell: cost },
    Column { field: "topic", title: "TOPIC", cell: |e| Cell::Text(e.topic.clone()) },
    Column { field: "request", title: "", cell: |e| Cell::Text(e.request.clone()) },
];

fn at(event: &Event) -> Cell {
    let known = event.at_ms > 0;
    Cell::At(if known {
        Fig::Known(event.at_ms)
    } else {
        Fig::unknown("the record does not say it")
    })
}

fn cost(event: &Event) -> Cell {
    Cell::Millis(event.cost_ms.map_or(Fig::none("not told"), |ms| Fig::Known(ms as f64)))
}

fn count(value: Option<i64>, why: &'static str) -> Cell {
    let value = value.and_then(|n| u64::try_from(n).ok());
    Cell::Count(value.map_or(Fig::none(why), Fig::Known))
}

/// Prints the events of a message.
pub fn run(session: &Session, wanted: &Trace) -> anyhow::Result<Code> {
    let ask = trace::of_message(&session.cluster, &wanted.kept_in, &wanted.id);
    let (events, exists) = session.wait(ask)?;
    if !exists {
        return Err(advised(
            Code::Nothing,
            format!("there is no topic {}", wanted.kept_in),
            "clients trace only when it is switched on in them",
        ));
    }
    if events.is_empty() {
        return Err(fault(Code::Nothing, format!("no trace names {:?}", wanted.id)));
    }
    print(session.form, Sheet::new(COLUMNS, &events), &wanted.pick, true)
}
