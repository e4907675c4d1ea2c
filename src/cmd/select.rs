//! Which rows a command shows, and what `--fail-if` finds: the console's filters over the cells of a
//! sheet (console-ux.md §5.2).

use tui::data::{Letter, Message};
use tui::model::filter::Filter;

use crate::args::Pick;
use crate::output::{Code, usage};
use crate::sheet::{Sheet, shown};

/// Filters and sorts; the verdict is over the rows that are left. `complete`: all brokers answered.
///
/// # Errors
/// Usage: a field to sort by that does not exist.
pub fn apply(sheet: &mut Sheet, pick: &Pick, complete: bool) -> anyhow::Result<Code> {
    if let Some(by) = &pick.sort {
        sheet.sort(by).map_err(usage)?;
    }
    if let Some(text) = &pick.filter {
        let filter = Filter::new(text);
        sheet.rows.retain(|row| row.first().is_some_and(|name| filter.shows(&shown(name))));
    }
    let Some(text) = &pick.fail_if else { return Ok(Code::Done) };
    let filter = Filter::new(text);
    let holds = |row: &Vec<_>| row.first().is_some_and(|name| filter.shows(&shown(name)));
    Ok(match (sheet.rows.iter().any(holds), complete) {
        (true, _) => Code::Holds,
        (false, true) => Code::Done,
        (false, false) => Code::Undecided,
    })
}

/// A filter on messages.
#[derive(Debug)]
pub struct Messages(Option<Filter>);

/// Reads a filter on messages; none lets all through.
///
/// # Errors
/// Usage: it cannot be read.
#[allow(clippy::unnecessary_wraps)] // the grammar of fields refuses some texts
pub fn messages(text: Option<&str>) -> anyhow::Result<Messages> {
    Ok(Messages(text.map(Filter::new)))
}

impl Messages {
    #[allow(clippy::unnecessary_wraps)] // as above
    /// Whether it holds for a message; none: it cannot be decided.
    pub fn holds(&self, message: &Message, _now_ms: i64) -> Option<bool> {
        Some(self.0.as_ref().is_none_or(|filter| filter.shows(&message.keys)))
    }

    /// The same for a dead letter.
    pub fn takes(&self, letter: &Letter, now_ms: i64) -> Option<bool> {
        self.holds(&letter.message, now_ms)
    }
}
