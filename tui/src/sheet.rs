//! A table of rows, written in every form from one description of its columns, and asked conditions.
//!
//! Commands, the console's filters and its export share the descriptions (`columns.rs`).
//! A figure that nobody could tell is `null` with its reason beside it, never 0; times are epoch
//! milliseconds and ISO. Fields are listed in docs/commands.md and only ever added. Spec:
//! console-ux.md §5.3, §15.

use std::cmp::Ordering;
use std::fmt::Write;

use serde_json::{Map, Value, json};
use unicode_width::UnicodeWidthStr;

use crate::data::Fig;
use crate::model::clock::Zone;
use crate::model::format;
use crate::model::query::{self, Comparison, Op, Query, QueryError};

/// Form of a table's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Form {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON array, or one object for one thing.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated, with a line of field names.
    Csv,
    /// The name of each row alone.
    Name,
}

impl Form {
    /// Every form with its name and what it is for.
    pub const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Table, "table", "columns for people"),
        (Self::Json, "json", "one JSON array, or one object for one thing"),
        (Self::Jsonl, "jsonl", "one JSON object a line"),
        (Self::Csv, "csv", "comma-separated, with a line of field names"),
        (Self::Name, "name", "the name of each row alone"),
    ];

    /// The form of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known, _)| *known == name).map(|(form, ..)| form)
    }
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A name or words.
    Text(String),
    /// Words that may be unknown.
    Words(Fig<String>),
    /// A number of things.
    Count(Fig<u64>),
    /// A signed number, such as an offset.
    Number(i64),
    /// Per second.
    Rate(Fig<f64>),
    /// Milliseconds with a fraction.
    Millis(Fig<f64>),
    /// Bytes.
    Bytes(Fig<u64>),
    /// Percent.
    Percent(Fig<u64>),
    /// A duration in milliseconds.
    Span(Fig<i64>),
    /// An instant, ms since 1970.
    At(Fig<i64>),
    /// Yes or no.
    Flag(bool),
    /// Several words.
    List(Vec<String>),
    /// Something nested, in JSON only.
    Nested(Value),
}

/// One column of a table over `T`.
#[derive(Debug)]
pub struct Column<T> {
    /// Name in CSV. Times end in `_ms`; JSON, filters and `--sort` know them without it too.
    pub field: &'static str,
    /// Heading of the table; empty: not in the table.
    pub title: &'static str,
    /// The cell.
    pub cell: fn(&T) -> Cell,
}

/// A table ready to be written.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// Field and heading of each column; the first column is the name.
    pub columns: Vec<(&'static str, &'static str)>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
}

impl Sheet {
    /// Fills a table.
    pub fn new<'a, T: 'a>(columns: &[Column<T>], rows: impl IntoIterator<Item = &'a T>) -> Self {
        let cells = |row: &T| columns.iter().map(|column| (column.cell)(row)).collect();
        Self {
            columns: columns.iter().map(|column| (column.field, column.title)).collect(),
            rows: rows.into_iter().map(cells).collect(),
        }
    }

    /// Names of all fields, for a sentence.
    pub fn fields(&self) -> String {
        let fields: Vec<&str> = self.columns.iter().map(|(field, _)| base(field)).collect();
        fields.join(", ")
    }

    /// Position of a field.
    pub fn column(&self, field: &str) -> Option<usize> {
        self.columns.iter().position(|(known, _)| is_called(known, field))
    }

    /// Sorts by a field: names upwards, figures downwards, unknown ones last; `-` reverses.
    ///
    /// # Errors
    /// No such field; the sentence lists them.
    pub fn sort(&mut self, by: &str) -> Result<(), String> {
        let (reversed, field) = by.strip_prefix('-').map_or((false, by), |field| (true, field));
        let Some(at) = self.column(field) else {
            return Err(format!("no field {field:?} to sort by; there are {}", self.fields()));
        };
        self.rows
            .sort_by(|a, b| order(&a[at], &b[at], reversed).then_with(|| name(a).cmp(&name(b))));
        Ok(())
    }

    /// The whole text in a form.
    pub fn text(&self, form: Form) -> String {
        match form {
            Form::Table => self.table(),
            Form::Json => {
                let rows: Vec<Value> = self.rows.iter().map(|row| self.object(row)).collect();
                pretty(&Value::Array(rows))
            }
            Form::Jsonl => {
                let lines = self.rows.iter().map(|row| self.object(row).to_string() + "\n");
                lines.collect()
            }
            Form::Csv => self.csv(),
            Form::Name => self.rows.iter().map(|row| name(row) + "\n").collect(),
        }
    }

    /// One thing instead of a list: an object in JSON, lines of heading and value for people.
    pub fn one(&self, form: Form) -> String {
        let Some(row) = self.rows.first() else { return String::new() };
        match form {
            Form::Json => pretty(&self.object(row)),
            Form::Table => {
                let width =
                    self.columns.iter().map(|(field, _)| base(field).len()).max().unwrap_or(0);
                let mut text = String::new();
                for ((field, _), cell) in self.columns.iter().zip(row) {
                    if !matches!(cell, Cell::Nested(_)) {
                        // Writing to a string does not fail.
                        let _ = writeln!(text, "{:<width$}  {}", base(field), shown(cell));
                    }
                }
                text
            }
            other => self.text(other),
        }
    }

    /// A row as a JSON object.
    pub fn object(&self, row: &[Cell]) -> Value {
        let mut object = Map::new();
        for ((field, _), cell) in self.columns.iter().zip(row) {
            put(&mut object, field, cell);
        }
        Value::Object(object)
    }

    fn table(&self) -> String {
        let shown_columns: Vec<usize> =
            (0..self.columns.len()).filter(|at| !self.columns[*at].1.is_empty()).collect();
        let cells: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| shown_columns.iter().map(|at| shown(&row[*at])).collect())
            .collect();
        let right: Vec<bool> = shown_columns
            .iter()
            .map(|at| self.rows.first().is_some_and(|row| is_figure(&row[*at])))
            .collect();
        let titles: Vec<String> =
            shown_columns.iter().map(|at| self.columns[*at].1.to_owned()).collect();
        let width = |n: usize| {
            let each = cells.iter().map(|row| row[n].width());
            each.chain([titles[n].width()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..titles.len()).map(width).collect();
        let mut text = String::new();
        for row in std::iter::once(&titles).chain(&cells) {
            let mut line = String::new();
            for (n, cell) in row.iter().enumerate() {
                let gap = " ".repeat(widths[n] - cell.width());
                let (before, after) =
                    if right[n] { (gap.as_str(), "") } else { ("", gap.as_str()) };
                line.extend([if n == 0 { "" } else { "  " }, before, cell, after]);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn csv(&self) -> String {
        let fields: Vec<usize> = (0..self.columns.len())
            .filter(|at| !self.rows.iter().any(|row| matches!(row[*at], Cell::Nested(_))))
            .collect();
        let mut head: Vec<String> = Vec::new();
        for at in &fields {
            head.push(self.columns[*at].0.to_owned());
        }
        head.push("notes".to_owned());
        let mut text = csv_line(&head);
        for row in &self.rows {
            let mut notes: Vec<String> = Vec::new();
            let mut line: Vec<String> = Vec::new();
            for at in &fields {
                line.push(plain(&row[*at]));
                if let Some(note) = note(&row[*at]) {
                    notes.push(format!("{}: {note}", base(self.columns[*at].0)));
                }
            }
            line.push(notes.join("; "));
            text.push_str(&csv_line(&line));
        }
        text
    }
}

/// A JSON value for people and machines, with a line end.
pub fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// An instant as both forms that JSON carries.
pub fn iso(ms: i64) -> String {
    Zone::Fixed(0).iso(ms).replace("+00:00", "Z")
}

fn name(row: &[Cell]) -> String {
    row.first().map(shown).unwrap_or_default()
}

const fn is_figure(cell: &Cell) -> bool {
    !matches!(
        cell,
        Cell::Text(_)
            | Cell::Words(_)
            | Cell::Flag(_)
            | Cell::List(_)
            | Cell::Nested(_)
            | Cell::At(_)
    )
}

/// Whether a field is meant by a name, which may leave its unit out.
pub fn is_called(field: &str, name: &str) -> bool {
    field == name || base(field) == name
}

/// A field without its unit.
fn base(field: &str) -> &str {
    field.strip_suffix("_ms").unwrap_or(field)
}

/// A cell for people.
pub fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Words(fig) => fig.text(Clone::clone),
        Cell::Count(fig) => fig.text(ToString::to_string),
        Cell::Number(number) => number.to_string(),
        Cell::Rate(fig) => fig.text(|rate| format::rate(*rate)),
        Cell::Millis(fig) => fig.text(|ms| format!("{ms:.1}ms")),
        Cell::Bytes(fig) => fig.text(|bytes| format::bytes(*bytes)),
        Cell::Percent(fig) => fig.text(|percent| format!("{percent}%")),
        Cell::Span(fig) => fig.text(|ms| {
            if *ms < 0 { format!("-{}", format::duration(-ms)) } else { format::duration(*ms) }
        }),
        Cell::At(fig) => fig.text(|ms| Zone::Machine.iso(*ms)),
        Cell::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Cell::List(list) => list.join(", "),
        Cell::Nested(value) => value.to_string(),
    }
}

/// A cell for machines; empty for what is not known.
fn plain(cell: &Cell) -> String {
    match json_of(cell) {
        Value::Null => String::new(),
        Value::String(text) => text,
        Value::Array(list) => {
            let words =
                list.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
            words.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

fn json_of(cell: &Cell) -> Value {
    fn value<T: Clone + Into<Value>>(fig: &Fig<T>) -> Value {
        fig.value().map_or(Value::Null, |value| value.clone().into())
    }
    match cell {
        Cell::Text(text) => text.clone().into(),
        Cell::Words(fig) => value(fig),
        Cell::Count(fig) | Cell::Bytes(fig) | Cell::Percent(fig) => value(fig),
        Cell::Number(number) => (*number).into(),
        Cell::Rate(fig) | Cell::Millis(fig) => {
            value(&fig.map(|rate| (rate * 1_000.0).round() / 1_000.0))
        }
        Cell::Span(fig) | Cell::At(fig) => value(fig),
        Cell::Flag(flag) => (*flag).into(),
        Cell::List(list) => list.clone().into(),
        Cell::Nested(nested) => nested.clone(),
    }
}

/// How sure a figure is: a word for what is not exact, the reason for what is missing.
fn certainty(cell: &Cell) -> Option<(bool, String)> {
    fn of<T>(fig: &Fig<T>) -> Option<(bool, String)> {
        match fig {
            Fig::Known(_) => None,
            Fig::AtLeast(_) => Some((true, "at least".to_owned())),
            Fig::AtMost(_) => Some((true, "at most".to_owned())),
            Fig::About(_) => Some((true, "about".to_owned())),
            Fig::Mean(_) => Some((true, "mean".to_owned())),
            Fig::Stale(_, age) => Some((true, format!("{} old", format::duration(*age)))),
            other => other.reason().map(|reason| (false, reason.to_owned())),
        }
    }
    match cell {
        Cell::Words(fig) => of(fig),
        Cell::Count(fig) | Cell::Bytes(fig) | Cell::Percent(fig) => of(fig),
        Cell::Rate(fig) | Cell::Millis(fig) => of(fig),
        Cell::Span(fig) | Cell::At(fig) => of(fig),
        _ => None,
    }
}

fn note(cell: &Cell) -> Option<String> {
    certainty(cell).map(|(_, text)| text)
}

fn put(object: &mut Map<String, Value>, field: &str, cell: &Cell) {
    let base = base(field);
    if let Cell::At(fig) = cell {
        object.insert(base.to_owned(), json!(fig.value().map(|ms| iso(*ms))));
    }
    object.insert(field.to_owned(), json_of(cell));
    match certainty(cell) {
        Some((true, word)) => {
            object.insert(format!("{base}_is"), word.into());
        }
        Some((false, reason)) => {
            object.insert(format!("{base}_why"), reason.into());
        }
        None => {}
    }
}

/// Figures downwards, words upwards; what is not known last, whichever way.
fn order(a: &Cell, b: &Cell, reversed: bool) -> Ordering {
    let turn = |order: Ordering| if reversed { order.reverse() } else { order };
    match (number(a), number(b)) {
        (Some(a), Some(b)) => turn(b.total_cmp(&a)),
        (Some(_), None) if is_number(b) => Ordering::Less,
        (None, Some(_)) if is_number(a) => Ordering::Greater,
        _ => turn(shown(a).cmp(&shown(b))),
    }
}

const fn is_number(cell: &Cell) -> bool {
    is_figure(cell) || matches!(cell, Cell::At(_))
}

/// The number in a cell, whatever its certainty.
pub fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Count(fig) | Cell::Bytes(fig) | Cell::Percent(fig) => fig.value().map(|n| *n as f64),
        Cell::Number(number) => Some(*number as f64),
        Cell::Rate(fig) | Cell::Millis(fig) => fig.value().copied(),
        Cell::Span(fig) | Cell::At(fig) => fig.value().map(|n| *n as f64),
        _ => None,
    }
}

/// One line of CSV; quoted only where it must be.
pub fn csv_line(cells: &[String]) -> String {
    let mut line = String::new();
    for (n, cell) in cells.iter().enumerate() {
        if n > 0 {
            line.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            line.extend(["\"", &cell.replace('"', "\"\""), "\""]);
        } else {
            line.push_str(cell);
        }
    }
    line.push('\n');
    line
}

/// A cell as conditions see it; `state` names without the figure behind them.
pub fn value(field: &str, cell: &Cell) -> query::Value {
    use query::Value as V;
    match cell {
        // "failing 23 %": the figure behind the state is not part of its name.
        Cell::Text(text) if field == "state" => {
            let word = text.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default();
            V::Texts(vec![text.clone(), word.trim().to_owned()])
        }
        Cell::Text(text) => V::Text(text.clone()),
        Cell::Words(fig) => match fig.value() {
            Some(text) => V::Text(text.clone()),
            None if fig.is_unknown() => V::Unknown,
            None => V::None,
        },
        Cell::Count(fig) | Cell::Bytes(fig) | Cell::Percent(fig) => V::of(fig, |n| n as f64),
        Cell::Number(number) => V::Number(*number as f64),
        Cell::Rate(fig) | Cell::Millis(fig) => V::of(fig, |n| n),
        Cell::Span(fig) => within(V::of(fig, |ms| ms as f64), V::Span),
        Cell::At(fig) => within(V::of(fig, |ms| ms as f64), V::Time),
        Cell::Flag(flag) => V::Flag(*flag),
        Cell::List(list) => V::Texts(list.clone()),
        Cell::Nested(value) => V::Text(value.to_string()),
    }
}

/// A duration or an instant, unless there is none.
fn within(value: query::Value, wrap: fn(Box<query::Value>) -> query::Value) -> query::Value {
    match value {
        query::Value::Unknown | query::Value::None => value,
        figure => wrap(Box::new(figure)),
    }
}

/// Why a comparison can never be decided for a kind of cell.
fn fault(comparison: &Comparison, cell: &Cell) -> Option<String> {
    let Comparison { field, op, value, .. } = comparison;
    let needs = match cell {
        Cell::Span(_) if value.span.is_none() => "a duration such as 5m",
        Cell::At(_) if value.time.is_none() => "a time such as -2h or 12:03",
        Cell::Count(_)
        | Cell::Bytes(_)
        | Cell::Percent(_)
        | Cell::Number(_)
        | Cell::Rate(_)
        | Cell::Millis(_)
            if value.number.is_none() =>
        {
            "a number such as 10, 1k or 64kB"
        }
        Cell::Flag(_) if !matches!(value.text.as_str(), "yes" | "no" | "true" | "false") => {
            "yes or no"
        }
        _ => return None,
    };
    (*op != Op::Contains).then(|| format!("{field} is compared with {needs}, not {:?}", value.text))
}

/// Checks a condition against the fields that rows have, and against one row's kinds of cells.
///
/// # Errors
/// A field that there is not, or a value of a kind that it can never be compared with.
pub fn check(
    query: &Query,
    fields: &[&'static str],
    first: Option<&[Cell]>,
) -> Result<(), QueryError> {
    for comparison in query.comparisons() {
        let wanted = comparison.field.as_str();
        let at = fields.iter().position(|known| is_called(known, wanted));
        let Some(at) = at else {
            let all: Vec<&str> = fields.iter().map(|field| base(field)).collect();
            let reason = format!("no field {wanted:?}; there are {}", all.join(", "));
            return Err(comparison.wrong(reason));
        };
        if let Some(why) = first.and_then(|cells| fault(comparison, &cells[at])) {
            return Err(comparison.wrong(why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row(&'static str, Fig<u64>, Fig<i64>);

    const COLUMNS: &[Column<Row>] = &[
        Column { field: "name", title: "GROUP", cell: |r| Cell::Text(r.0.to_owned()) },
        Column { field: "lag", title: "LAG", cell: |r| Cell::Count(r.1.clone()) },
        Column { field: "died_ms", title: "", cell: |r| Cell::At(r.2.clone()) },
    ];

    fn sheet() -> Sheet {
        Sheet::new(
            COLUMNS,
            &[
                Row("a,b", Fig::AtMost(640), Fig::Known(1_773_460_000_000)),
                Row("audit", Fig::unknown("no permission (16)"), Fig::none("never")),
                Row("pay", Fig::Known(96_104), Fig::Known(0)),
            ],
        )
    }

    #[test]
    fn unknown_is_null_with_its_reason_in_every_form() {
        let sheet = sheet();
        assert_eq!(
            sheet.text(Form::Table),
            "GROUP    LAG\na,b     ≤640\naudit      ?\npay    96104\n"
        );
        assert_eq!(sheet.text(Form::Name), "a,b\naudit\npay\n");
        assert_eq!(
            sheet.text(Form::Csv),
            "name,lag,died_ms,notes\n\"a,b\",640,1773460000000,lag: at most\n\
             audit,,,lag: no permission (16); died: never\npay,96104,0,\n"
        );
        assert_eq!(
            sheet.text(Form::Jsonl).lines().next().unwrap(),
            r#"{"died":"2026-03-14T03:46:40Z","died_ms":1773460000000,"lag":640,"lag_is":"at most","name":"a,b"}"#
        );
        let json: Value = serde_json::from_str(&sheet.text(Form::Json)).unwrap();
        assert_eq!(json[1]["lag"], Value::Null);
        assert_eq!(json[1]["lag_why"], "no permission (16)");
    }

    #[test]
    fn figures_sort_downwards_and_unknown_ones_stay_last() {
        let mut sheet = sheet();
        sheet.sort("lag").unwrap();
        assert_eq!(sheet.text(Form::Name), "pay\na,b\naudit\n");
        sheet.sort("-lag").unwrap();
        assert_eq!(sheet.text(Form::Name), "a,b\npay\naudit\n");
        sheet.sort("name").unwrap();
        assert_eq!(sheet.text(Form::Name), "a,b\naudit\npay\n");
        assert!(sheet.sort("nothing").unwrap_err().contains("name, lag, died"));
    }
}
