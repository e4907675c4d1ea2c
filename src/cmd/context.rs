//! `mqdeck contexts`: clusters that the configuration names.

use super::list as print;
use super::session::Target;
use crate::args::{Common, Pick};
use crate::output::Code;
use crate::settings::Settings;
use tui::sheet::{Cell, Column, Form, Sheet};

/// One context.
struct Row {
    target: Target,
    chosen: bool,
}

const COLUMNS: &[Column<Row>] = &[
    Column { field: "name", title: "CONTEXT", cell: |r| Cell::Text(r.target.name.clone()) },
    Column {
        field: "namesrv",
        title: "NAME SERVERS",
        cell: |r| Cell::List(r.target.namesrv.clone()),
    },
    Column { field: "prod", title: "PROD", cell: |r| Cell::Flag(r.target.prod) },
    Column { field: "read_only", title: "READ-ONLY", cell: |r| Cell::Flag(r.target.read_only) },
    Column { field: "chosen", title: "CHOSEN", cell: |r| Cell::Flag(r.chosen) },
];

/// Prints the contexts; one that flags make is among them.
pub fn list(settings: &Settings, common: &Common, form: Form, pick: &Pick) -> anyhow::Result<Code> {
    let chosen = Target::choose(settings, common)?;
    let mut rows: Vec<Row> = Target::all(settings)
        .into_iter()
        .map(|target| Row { chosen: target == chosen, target })
        .collect();
    if !rows.iter().any(|row| row.chosen) {
        rows.push(Row { target: chosen, chosen: true });
    }
    print(form, Sheet::new(COLUMNS, &rows), pick, true)
}
