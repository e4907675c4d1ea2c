//! `mqdeck brokers …`

use std::collections::BTreeMap;

use engine::protocol::perm::Perm;
use tui::Need;
use tui::columns::BROKERS;
use tui::model::confirm::Risk;

use super::session::{Session, is_complete, rows};
use super::sure::{self, Change, Work};
use super::topic::{dry, finish};
use super::{list, one};
use crate::args::{Brokers, BrokersAction, Pick, Sure};
use crate::output::{Code, fault};
use tui::sheet::{Cell, Column, Sheet};

/// Setting by which a broker takes sends or not.
const PERMISSION: &str = "brokerPermission";

/// One setting.
struct Setting {
    key: String,
    value: String,
}

const SETTINGS: &[Column<Setting>] = &[
    Column { field: "key", title: "KEY", cell: |s| Cell::Text(s.key.clone()) },
    Column { field: "value", title: "VALUE", cell: |s| Cell::Text(s.value.clone()) },
];

/// Runs a command on brokers.
pub fn run(session: &Session, brokers: &Brokers) -> anyhow::Result<Code> {
    match &brokers.action {
        None => all(session, &brokers.pick),
        Some(BrokersAction::List(pick)) => all(session, pick),
        Some(BrokersAction::Show { broker }) => show(session, broker),
        Some(BrokersAction::Config { broker, pick }) => config(session, broker, pick),
        Some(BrokersAction::Drain { broker, undo, sure }) => drain(session, broker, *undo, sure),
    }
}

fn all(session: &Session, pick: &Pick) -> anyhow::Result<Code> {
    let picture = session.look(Need { rates: pick.rates, ..Need::default() }, None)?;
    let sheet = Sheet::new(BROKERS, rows(&picture.brokers)?);
    list(session.form, sheet, pick, is_complete(&picture.brokers))
}

fn show(session: &Session, broker: &str) -> anyhow::Result<Code> {
    let picture = session.look(Need::default(), None)?;
    let found = rows(&picture.brokers)?.iter().filter(|row| *row.name == *broker);
    let sheet = Sheet::new(BROKERS, found);
    if sheet.rows.is_empty() {
        return Err(fault(Code::Nothing, format!("there is no broker {broker:?}")));
    }
    if sheet.rows.len() == 1 {
        return one(session.form, &sheet);
    }
    list(session.form, sheet, &Pick::default(), is_complete(&picture.brokers))
}

fn config(session: &Session, broker: &str, pick: &Pick) -> anyhow::Result<Code> {
    let masters = session.masters(&[broker.to_owned()])?;
    let mut settings = Vec::new();
    for (_, addr) in masters {
        let found = session.wait(session.cluster.broker_config(&addr))?;
        settings.extend(found.0.into_iter().map(|(key, value)| Setting { key, value }));
    }
    list(session.form, Sheet::new(SETTINGS, &settings), pick, true)
}

fn drain(session: &Session, broker: &str, undo: bool, sure: &Sure) -> anyhow::Result<Code> {
    let masters = session.masters(&[broker.to_owned()])?;
    let Some((_, addr)) = masters.into_iter().next() else {
        return Err(fault(Code::Nothing, format!("{broker} has no master")));
    };
    let before = session.wait(session.cluster.broker_config(&addr))?;
    let now = before.int(PERMISSION).unwrap_or_else(|| Perm::READ_WRITE.0.into());
    let wanted = if undo { Perm::READ_WRITE } else { Perm::READ };
    let change = Change {
        action: if undo { "undrain broker" } else { "drain broker" },
        risk: Risk::Two,
        name: broker,
        targets: vec![broker.to_owned()],
        preview: format!(
            "{PERMISSION} of {broker}: {now} becomes {}, {}",
            wanted.0,
            if undo { "it takes sends again" } else { "reads go on, sends go elsewhere" }
        ),
    };
    if sure.dry_run {
        return dry(session.form, &change);
    }
    sure::confirm(session, &change, sure)?;
    let work: Work<'_> = Box::new(move || {
        let settings = BTreeMap::from([(PERMISSION.to_owned(), wanted.0.to_string())]);
        let changed = session.wait(async {
            session.cluster.update_broker_config(&addr, &settings).await?;
            // A success says nothing: what counts is what the broker says afterwards.
            session.cluster.broker_config(&addr).await
        });
        match changed.map_err(|error| error.to_string())?.int(PERMISSION) {
            Some(found) if found == i64::from(wanted.0) => Ok(format!("{PERMISSION}={found}")),
            found => Err(format!("the broker still says {found:?}")),
        }
    });
    finish(session, &change, vec![(broker.to_owned(), work)])
}
