//! `mqdeck keys`: the console's table of keys.

use tui::keymap::{self, Binding};

use super::list as print;
use crate::args::Pick;
use crate::output::{Code, usage};
use crate::settings::Settings;
use tui::sheet::{Cell, Column, Form, Sheet};

const COLUMNS: &[Column<Binding>] = &[
    Column { field: "id", title: "ACTION", cell: |b| Cell::Text(b.id.to_owned()) },
    Column {
        field: "keys",
        title: "KEYS",
        cell: |b| Cell::List(b.keys.iter().map(|key| (*key).to_owned()).collect()),
    },
    Column {
        field: "layer",
        title: "WHERE",
        cell: |b| Cell::Text(format!("{:?}", b.layer).to_lowercase()),
    },
    Column { field: "label", title: "DOES", cell: |b| Cell::Text(b.label.to_owned()) },
    Column { field: "writes", title: "WRITES", cell: |b| Cell::Flag(b.needs_write) },
];

/// Prints the keys in force.
pub fn list(settings: &Settings, form: Form, pick: &Pick) -> anyhow::Result<Code> {
    let table = keymap::remap(settings.keys()).map_err(usage)?;
    print(form, Sheet::new(COLUMNS, &table), pick, true)
}
