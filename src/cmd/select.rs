//! Which rows a command shows, and what `--fail-if` finds: conditions over the cells of a sheet, in
//! three-valued logic (console-ux.md §5.2).

use engine::clock::{Clock, SystemClock};
use tui::data::Letter;
use tui::model::clock::Zone;
use tui::model::query::{Query, Subject, Value};
use tui::model::query_message::{self, Of};

use crate::args::Pick;
use crate::output::{self, Code, usage};
use tui::sheet::{Cell, Sheet, check, shown, value};

/// A row that conditions are asked of.
struct Row<'a> {
    sheet: &'a Sheet,
    cells: &'a [Cell],
}

impl Row<'_> {
    fn cell(&self, field: &str) -> Option<&Cell> {
        self.cells.get(self.sheet.column(field)?)
    }
}

impl Subject for Row<'_> {
    fn names(&self) -> Vec<String> {
        self.cells.first().map(shown).into_iter().collect()
    }

    fn text(&self) -> String {
        self.names().concat()
    }

    fn value(&self, field: &str) -> Value {
        self.cell(field).map_or(Value::None, |cell| value(field, cell))
    }
}

fn now_ms() -> i64 {
    SystemClock::new().wall_ms()
}

fn parse(flag: &str, text: &str) -> anyhow::Result<Query> {
    Query::parse(text, now_ms(), Zone::Machine)
        .map_err(|error| usage(format!("{flag} {text:?}: {error}")))
}

/// Reads a condition over the columns of a sheet.
fn over(sheet: &Sheet, flag: &str, text: &str) -> anyhow::Result<Query> {
    let query = parse(flag, text)?;
    let fields: Vec<&'static str> = sheet.columns.iter().map(|(field, _)| *field).collect();
    let first = sheet.rows.first().map(Vec::as_slice);
    check(&query, &fields, first).map_err(|error| usage(format!("{flag} {text:?}: {error}")))?;
    Ok(query)
}

/// Filters and sorts; the verdict is over the rows that are left. `complete`: all brokers answered.
///
/// # Errors
/// Usage: a condition that does not read, a field that does not exist.
pub fn apply(sheet: &mut Sheet, pick: &Pick, complete: bool) -> anyhow::Result<Code> {
    if let Some(by) = &pick.sort {
        sheet.sort(by).map_err(usage)?;
    }
    // Rows that may belong here: what `--fail-if` says of them is not known either.
    let mut undecided: Vec<Vec<Cell>> = Vec::new();
    if let Some(text) = &pick.filter {
        let query = over(sheet, "--filter", text)?;
        let head = Sheet { columns: sheet.columns.clone(), rows: Vec::new() };
        let before = sheet.rows.len();
        let mut kept = Vec::new();
        for cells in std::mem::take(&mut sheet.rows) {
            match query.holds(&Row { sheet: &head, cells: &cells }) {
                Some(true) => kept.push(cells),
                Some(false) => {}
                None => undecided.push(cells),
            }
        }
        sheet.rows = kept;
        if !undecided.is_empty() {
            output::tell(&format!(
                "mqdeck: {} of {before} rows are left out, for the filter cannot be decided",
                undecided.len()
            ));
        }
    }
    let Some(text) = &pick.fail_if else { return Ok(Code::Done) };
    let query = over(sheet, "--fail-if", text)?;
    let mut open = !complete;
    for cells in &sheet.rows {
        match query.holds(&Row { sheet, cells }) {
            Some(true) => return Ok(Code::Holds),
            Some(false) => {}
            None => open = true,
        }
    }
    let mut left = undecided.iter();
    open |= left.any(|cells| query.holds(&Row { sheet, cells }) != Some(false));
    Ok(if open { Code::Undecided } else { Code::Done })
}

/// A filter on messages or dead letters; none lets all through.
#[derive(Debug)]
pub struct Messages(Option<Query>);

/// Reads a filter on messages.
///
/// # Errors
/// Usage: it does not read, or names a field that messages do not have.
pub fn messages(text: Option<&str>) -> anyhow::Result<Messages> {
    stored(text, Of::Messages)
}

/// Reads a filter on dead letters.
///
/// # Errors
/// As [`messages`].
pub fn letters(text: Option<&str>) -> anyhow::Result<Messages> {
    stored(text, Of::Letters)
}

fn stored(text: Option<&str>, of: Of) -> anyhow::Result<Messages> {
    let Some(text) = text else { return Ok(Messages(None)) };
    let query = parse("--filter", text)?;
    query_message::check(&query, of)
        .map_err(|error| usage(format!("--filter {text:?}: {error}")))?;
    Ok(Messages(Some(query)))
}

impl Messages {
    /// Whether it holds; none: it cannot be decided.
    pub fn holds(&self, subject: &dyn Subject) -> Option<bool> {
        self.0.as_ref().map_or(Some(true), |query| query.holds(subject))
    }

    /// The letters for which it holds; how many cannot be decided is told.
    pub fn only(&self, letters: Vec<Letter>) -> Vec<Letter> {
        let mut undecided = 0;
        let held = letters.into_iter().filter(|letter| {
            let held = self.holds(letter);
            undecided += usize::from(held.is_none());
            held == Some(true)
        });
        let held = held.collect();
        if undecided > 0 {
            output::tell(&format!("mqdeck: for {undecided} letters the filter cannot be decided"));
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tui::data::Fig;
    use tui::sheet::Column;

    struct Group(&'static str, Fig<u64>, Fig<i64>, &'static str);

    const COLUMNS: &[Column<Group>] = &[
        Column { field: "name", title: "GROUP", cell: |g| Cell::Text(g.0.to_owned()) },
        Column { field: "lag", title: "LAG", cell: |g| Cell::Count(g.1.clone()) },
        Column { field: "behind_ms", title: "BEHIND", cell: |g| Cell::Span(g.2.clone()) },
        Column { field: "state", title: "STATE", cell: |g| Cell::Text(g.3.to_owned()) },
    ];

    fn verdict(fail_if: &str, complete: bool) -> Code {
        of(fail_if, None, complete)
    }

    fn of(fail_if: &str, filter: Option<&str>, complete: bool) -> Code {
        let mut sheet = Sheet::new(
            COLUMNS,
            &[
                Group("billing", Fig::Known(2_211), Fig::Known(25_000), "failing 23 %"),
                Group("audit", Fig::unknown("code 16"), Fig::unknown("code 16"), "no permission"),
            ],
        );
        let (fail_if, filter) = (Some(fail_if.to_owned()), filter.map(str::to_owned));
        let pick = Pick { filter, fail_if, ..Pick::default() };
        apply(&mut sheet, &pick, complete).unwrap()
    }

    #[test]
    fn a_row_that_holds_is_7_and_one_that_nobody_can_decide_is_8() {
        assert_eq!(verdict("lag>1000", true), Code::Holds);
        assert_eq!(verdict("lag>10k", true), Code::Undecided);
        assert_eq!(verdict("lag>10k name=billing", true), Code::Done);
        assert_eq!(verdict("lag>10k name=billing", false), Code::Undecided, "a broker is silent");
        assert_eq!(of("behind>20s", Some("lag>1M"), true), Code::Undecided, "audit may belong");
        assert_eq!(of("name=x", Some("lag>1M"), true), Code::Done);
        assert_eq!(verdict("behind>20s", true), Code::Holds);
        assert_eq!(verdict("state=failing", true), Code::Holds);
        assert_eq!(verdict("state=\"no permission\"", true), Code::Holds);
    }

    #[test]
    fn what_can_never_be_decided_is_usage() {
        let sheet = Sheet::new(COLUMNS, &[Group("a", Fig::Known(1), Fig::Known(1), "ok")]);
        for (text, why) in [
            ("lag>many", "a number"),
            ("behind>10", "a duration"),
            ("nothing>1", "there are name, lag, behind, state"),
            ("lag>", "a value is missing"),
        ] {
            let error = over(&sheet, "--filter", text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
