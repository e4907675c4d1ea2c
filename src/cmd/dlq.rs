//! `mqdeck dlq …`: dead letters of groups, letter by letter, and what can be done with them.

mod attempt;
mod carry;
mod edit;
mod purge;
mod resend;
#[cfg(feature = "sink")]
mod sink;

use std::sync::Mutex;

use tui::Need;
use tui::columns::{DEAD_GROUPS, LETTERS, MESSAGES, letter_id as id};
use tui::data::dead::Letter;

use super::session::{Session, is_complete, rows};
use super::{list as print, one, select};
use crate::args::{Dlq, DlqAction, DlqList, Letters, Pick};
use crate::output::{self, Code, fault, usage};
use tui::sheet::Sheet;

/// Runs a command on dead letters.
pub fn run(session: &Session, dlq: &Dlq) -> anyhow::Result<Code> {
    match &dlq.action {
        None => groups(session, &dlq.pick),
        Some(DlqAction::List(wanted)) if wanted.group.is_none() => groups(session, &wanted.pick),
        Some(DlqAction::List(wanted)) => letters(session, wanted),
        Some(DlqAction::Show { group, id }) => show(session, group, id),
        #[cfg(feature = "sink")]
        Some(DlqAction::Resend(resend)) if resend.from_db.is_some() => {
            sink::put_back(session, resend)
        }
        Some(DlqAction::Resend(resend)) => resend::run(session, resend),
        Some(DlqAction::Edit { group, id, to, sure }) => edit::run(session, group, id, to, sure),
        Some(DlqAction::Export { letters, file }) => {
            carry::export(session, letters, file.as_deref())
        }
        Some(DlqAction::Import(import)) => carry::import(session, import),
        Some(DlqAction::Try { letters, client, sure }) => {
            attempt::run(session, letters, client.as_deref(), sure)
        }
        Some(DlqAction::Purge(purge)) => purge::run(session, purge),
        #[cfg(feature = "sink")]
        Some(DlqAction::Sink(wanted)) => sink::run(session, wanted),
    }
}

fn groups(session: &Session, pick: &Pick) -> anyhow::Result<Code> {
    let need = Need { extents: true, ages: true, ..Need::default() };
    let picture = session.look(need, None)?;
    let sheet = Sheet::new(DEAD_GROUPS, rows(&picture.dead)?);
    print(session.form, sheet, pick, is_complete(&picture.dead))
}

fn letters(session: &Session, wanted: &DlqList) -> anyhow::Result<Code> {
    let group = wanted.group.as_deref().unwrap_or_default();
    let filter = select::letters(wanted.pick.filter.as_deref())?;
    let read = read(session, group, wanted.limit)?;
    let shown = read.into_iter().filter(|letter| wanted.all || letter.again.sent == 0);
    let shown = filter.only(shown.collect());
    let pick = Pick { filter: None, ..wanted.pick.clone() };
    print(session.form, Sheet::new(LETTERS, &shown), &pick, true)
}

fn show(session: &Session, group: &str, wanted: &str) -> anyhow::Result<Code> {
    let read = read(session, group, usize::MAX)?;
    let Some(letter) = read.iter().find(|letter| is_named(letter, wanted)) else {
        return Err(fault(Code::Nothing, format!("{group} has no dead letter {wanted:?}")));
    };
    let mut sheet = Sheet::new(LETTERS, [letter]);
    let message = Sheet::new(MESSAGES, [&*letter.message]);
    for (column, cell) in message.columns.iter().zip(&message.rows[0]) {
        if sheet.column(column.0).is_none() {
            sheet.columns.push(*column);
            sheet.rows[0].push(cell.clone());
        }
    }
    one(session.form, &sheet)
}

fn is_named(letter: &Letter, wanted: &str) -> bool {
    id(letter) == wanted || letter.message.unique_id == wanted
}

/// Letters of a group, newest first; those of a group without any are none.
///
/// # Errors
/// Nothing: there is no such group. Others when a broker cannot be asked.
pub fn read(session: &Session, group: &str, most: usize) -> anyhow::Result<Vec<Letter>> {
    let ledger = Mutex::new(session.ledger());
    let ask = tui::letters(&session.cluster, &ledger, group, most);
    let (letters, total) = session.wait(ask)?;
    if letters.is_empty() {
        exists(session, group)?;
    }
    if total > letters.len() as i64 {
        output::tell(&format!("mqdeck: the newest {} of {total} letters were read", letters.len()));
    }
    Ok(letters)
}

fn exists(session: &Session, group: &str) -> anyhow::Result<()> {
    let picture = session.look(Need::default(), None)?;
    if rows(&picture.groups)?.iter().any(|row| *row.name == *group) {
        return Ok(());
    }
    Err(fault(Code::Nothing, format!("there is no group {group:?}")))
}

/// What a selection gave: letters, and ids that no letter has.
pub struct Selected {
    /// The letters, newest first.
    pub letters: Vec<Letter>,
    /// Ids that no letter has any more.
    pub gone: Vec<String>,
}

/// The letters that a command names.
///
/// # Errors
/// Nothing: no letter is selected. Usage: a filter or a file that cannot be read.
pub fn select(session: &Session, wanted: &Letters) -> anyhow::Result<Selected> {
    let filter = select::letters(wanted.filter.as_deref())?;
    let ids = ids(&wanted.ids)?;
    let mut read = read(session, &wanted.group, wanted.limit)?;
    read.retain(|letter| ids.is_empty() || ids.iter().any(|wanted| is_named(letter, wanted)));
    let letters = filter.only(read);
    let named = |wanted: &String| letters.iter().any(|letter| is_named(letter, wanted));
    let gone: Vec<String> = ids.into_iter().filter(|wanted| !named(wanted)).collect();
    for id in &gone {
        output::tell(&format!("mqdeck: {id}: no such letter"));
    }
    if letters.is_empty() {
        return Err(fault(
            Code::Nothing,
            format!("no dead letter of {} is selected", wanted.group),
        ));
    }
    Ok(Selected { letters, gone })
}

/// Ids from arguments and files.
fn ids(words: &[String]) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    for word in words {
        match word.strip_prefix('@') {
            None => ids.push(word.clone()),
            Some(file) => {
                let bytes = if file == "-" {
                    let mut text = Vec::new();
                    std::io::Read::read_to_end(&mut std::io::stdin(), &mut text)?;
                    text
                } else {
                    super::send::read(std::path::Path::new(file))?
                };
                let text = String::from_utf8(bytes)
                    .map_err(|_| usage(format!("{file} is not a list of ids")))?;
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                ids.extend(lines.map(str::to_owned));
            }
        }
    }
    if !words.is_empty() && ids.is_empty() {
        return Err(fault(Code::Nothing, "the list of ids is empty"));
    }
    Ok(ids)
}
