//! `mqdeck retry`: what waits in the delay levels.

use tui::Need;
use tui::data::{Fig, LadderLevel};

use super::list;
use super::session::{Session, is_complete, rows};
use crate::args::Retry;
use crate::output::{Code, fault};
use tui::sheet::{Cell, Column, Sheet};

/// A level, and the part of it that a group waits for.
struct Row {
    level: LadderLevel,
    group: Option<Fig<u64>>,
}

const COLUMNS: &[Column<Row>] = &[
    Column { field: "level", title: "LEVEL", cell: |r| Cell::Number(r.level.level.into()) },
    Column {
        field: "delay_ms",
        title: "DELAY",
        cell: |r| Cell::Span(Fig::Known(r.level.delay_ms)),
    },
    Column { field: "delayed", title: "DELAYED", cell: |r| Cell::Count(r.level.delayed.clone()) },
    Column { field: "retry", title: "RETRY", cell: |r| Cell::Count(r.level.retry.clone()) },
    Column { field: "user", title: "USER", cell: |r| Cell::Count(r.level.user.clone()) },
    Column {
        field: "next_due_ms",
        title: "NEXT DUE",
        cell: |r| Cell::Span(r.level.next_due_ms.clone()),
    },
    Column {
        field: "last_due_ms",
        title: "LAST DUE",
        cell: |r| Cell::Span(r.level.last_due_ms.clone()),
    },
    Column {
        field: "group",
        title: "",
        cell: |r| Cell::Count(r.group.clone().unwrap_or(Fig::none("no group was asked for"))),
    },
];

/// Prints the levels.
pub fn run(session: &Session, retry: &Retry) -> anyhow::Result<Code> {
    let split = retry.split || retry.group.is_some();
    let picture = session.look(Need { ladder: true, split, ..Need::default() }, None)?;
    if let Some(group) = &retry.group
        && !rows(&picture.groups)?.iter().any(|row| *row.name == **group)
    {
        return Err(fault(Code::Nothing, format!("there is no group {group:?}")));
    }
    let ladder = picture.ladder.get().cloned().unwrap_or_default();
    let of_group = |level: &LadderLevel| {
        let group = retry.group.as_ref()?;
        Some(level.by_group.get(group.as_str()).cloned().unwrap_or(Fig::Known(0)))
    };
    let levels: Vec<Row> =
        ladder.levels.into_iter().map(|level| Row { group: of_group(&level), level }).collect();
    let mut sheet = Sheet::new(COLUMNS, &levels);
    if retry.group.is_some()
        && let Some(column) = sheet.columns.last_mut()
    {
        column.1 = "GROUP";
    }
    list(session.form, sheet, &retry.pick, is_complete(&picture.brokers))
}
