//! `mqdeck clients`: connected producers and consumers.

use tui::columns::CLIENTS;
use tui::survey::clients::{self};

use super::list as print;
use super::session::Session;
use crate::args::Pick;
use crate::output::{self, Code};
use tui::sheet::Sheet;

/// Prints all clients.
pub fn list(session: &Session, pick: &Pick) -> anyhow::Result<Code> {
    let (found, complete) = session.wait(clients::list(&session.cluster))?;
    if !complete {
        output::tell("mqdeck: not all brokers told all their clients");
    }
    print(session.form, Sheet::new(CLIENTS, &found), pick, complete)
}
