//! `mqdeck transactions …`: half messages that are not decided.

use tui::columns::HALVES;
use tui::model::confirm::Risk;
use tui::survey::transactions::{self, Half, Verdict};

use super::list as print;
use super::session::Session;
use super::sure::{self, Change, Work};
use super::topic::{dry, finish};
use crate::args::{Pick, Sure, Transactions, TransactionsAction};
use crate::output::{self, Code, fault};
use tui::sheet::Sheet;

/// Runs a command on transactions.
pub fn run(session: &Session, wanted: &Transactions) -> anyhow::Result<Code> {
    match &wanted.action {
        None => list(session, &wanted.pick),
        Some(TransactionsAction::List(pick)) => list(session, pick),
        Some(TransactionsAction::Commit { id, sure }) => decide(session, id, Verdict::Commit, sure),
        Some(TransactionsAction::Rollback { id, sure }) => {
            decide(session, id, Verdict::Rollback, sure)
        }
    }
}

fn list(session: &Session, pick: &Pick) -> anyhow::Result<Code> {
    let (found, complete) = session.wait(transactions::list(&session.cluster))?;
    if !complete {
        output::tell("mqdeck: there are more half messages than were read");
    }
    print(session.form, Sheet::new(HALVES, &found), pick, complete)
}

fn find(session: &Session, id: &str) -> anyhow::Result<Half> {
    let (found, _) = session.wait(transactions::list(&session.cluster))?;
    let half = found.into_iter().find(|half| half.id == id);
    half.ok_or_else(|| fault(Code::Nothing, format!("there is no undecided transaction {id:?}")))
}

fn decide(session: &Session, id: &str, verdict: Verdict, sure: &Sure) -> anyhow::Result<Code> {
    let half = find(session, id)?;
    if half.given_up {
        let why = "the broker has given it up: its copy can only be sent, not decided";
        return Err(fault(Code::Refused, why));
    }
    let (verb, risk) = match verdict {
        Verdict::Commit => ("commit", Risk::Two),
        Verdict::Rollback => ("roll back", Risk::Three),
    };
    let online = half.producers.text(ToString::to_string);
    let change = Change {
        action: if verdict == Verdict::Commit { "commit half" } else { "roll back half" },
        risk,
        name: &half.group,
        targets: vec![half.id.clone()],
        preview: format!(
            "{verb} {} of {} to {}, in place of its producer ({online} online)",
            half.id, half.group, half.topic
        ),
    };
    if sure.dry_run {
        return dry(session.form, &change);
    }
    sure::confirm(session, &change, sure)?;
    let first = half.clone();
    let work: Work<'_> = Box::new(move || {
        let told = session.wait(transactions::decide(&session.cluster, &first, verdict));
        match told {
            Err(error) if error.is_refused_with(1) => {
                // A check may have entered it anew meanwhile: look once more, then it is an answer.
                let again = find(session, &first.id).map_err(|error| error.to_string())?;
                let told = session.wait(transactions::decide(&session.cluster, &again, verdict));
                told.map(|()| "decided".to_owned()).map_err(|error| error.to_string())
            }
            told => told.map(|()| "decided".to_owned()).map_err(|error| error.to_string()),
        }
    });
    finish(session, &change, vec![(half.id.clone(), work)])
}
