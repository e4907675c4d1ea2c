//! `mqdeck clients`: connected producers and consumers.

use tui::survey::clients::{self, Client};

use super::list as print;
use super::session::Session;
use crate::args::Pick;
use crate::output::{self, Code};
use crate::sheet::{Cell, Column, Sheet};

const COLUMNS: &[Column<Client>] = &[
    Column { field: "id", title: "CLIENT", cell: |c| Cell::Text(c.id.clone()) },
    Column { field: "type", title: "TYPE", cell: |c| Cell::Text(kind(c).to_owned()) },
    Column { field: "group", title: "GROUP", cell: |c| Cell::Text(c.group.clone()) },
    Column { field: "address", title: "ADDRESS", cell: |c| Cell::Text(c.address.clone()) },
    Column { field: "language", title: "LANG", cell: |c| Cell::Text(c.language.clone()) },
    Column { field: "version", title: "VERSION", cell: |c| Cell::Number(c.version.into()) },
    Column { field: "brokers", title: "BROKERS", cell: |c| Cell::List(c.brokers.clone()) },
    Column { field: "heard_ms", title: "HEARD", cell: |c| Cell::Span(c.heard_ms.clone()) },
];

const fn kind(client: &Client) -> &'static str {
    if client.producer { "producer" } else { "consumer" }
}

/// Prints all clients.
pub fn list(session: &Session, pick: &Pick) -> anyhow::Result<Code> {
    let (found, complete) = session.wait(clients::list(&session.cluster))?;
    if !complete {
        output::tell("mqdeck: not all brokers told all their clients");
    }
    print(session.form, Sheet::new(COLUMNS, &found), pick, complete)
}
