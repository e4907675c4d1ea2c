//! The grammar of conditions: `/`, `--filter`, `--fail-if` (console-ux.md §5.2).
//!
//! Blanks combine with and, `|` or, `!` not, parentheses group; `name=pay-*`, `lag>1k`, `behind>5m`,
//! `died>-1h`, `body~"a b"`, `.amount>10`, `prop.trace~4bf9`, `/regex/`, plain words, which match fuzzily. Logic has three
//! values: a comparison with an unknown figure is unknown. Any text is read or refused with a reason.

mod eval;
mod parse;

use std::ops::Range;

use regex::Regex;

use crate::data::Fig;

pub use parse::QueryError;

/// A condition.
#[derive(Clone, Debug)]
pub struct Query {
    root: Expr,
}

/// One node. Chains are lists, so that a long condition is not a deep one.
#[derive(Clone, Debug)]
enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    /// A plain word: fuzzily, on the name.
    Word(String),
    /// On the body of a message, else on the name.
    Matches(Regex),
    Compare(Comparison),
}

/// A field against a value.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Name of the field; `.path` for JSON, `prop.NAME` for a property.
    pub field: String,
    /// How.
    pub op: Op,
    /// With what.
    pub value: Operand,
    /// Characters of the text that it is written in.
    pub place: Range<usize>,
}

impl Comparison {
    /// The error of a comparison that reads well but can never be decided.
    pub fn wrong(&self, reason: String) -> QueryError {
        QueryError { at: self.place.start + 1, end: self.place.end, reason }
    }
}

/// Operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    Equal,
    NotEqual,
    Contains,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

/// The right side, in every reading that it has: which one counts depends on the field.
#[derive(Clone, PartialEq, Debug)]
pub struct Operand {
    pub text: String,
    /// With `k`, `M`, `kB`, `MB`, `GB`.
    pub number: Option<f64>,
    /// `5m`, in ms.
    pub span: Option<i64>,
    /// `-2h`, `12:03`, ISO, in ms since 1970.
    pub time: Option<i64>,
}

/// The left side.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Text(String),
    /// Holds when it holds for one of them.
    Texts(Vec<String>),
    Number(f64),
    /// The true figure is this or more.
    AtLeast(f64),
    /// The true figure is this or less.
    AtMost(f64),
    /// The same three of durations, ms.
    Span(Box<Value>),
    /// The same three of instants, ms.
    Time(Box<Value>),
    Flag(bool),
    /// Nobody could tell.
    Unknown,
    /// There is no such figure here.
    None,
}

impl Value {
    /// A figure as a value.
    pub fn of<T: Copy>(fig: &Fig<T>, number: impl Fn(T) -> f64) -> Self {
        match fig {
            Fig::AtLeast(v) => Self::AtLeast(number(*v)),
            Fig::AtMost(v) => Self::AtMost(number(*v)),
            Fig::NotApplicable(_) => Self::None,
            Fig::Unknown(_) | Fig::Few => Self::Unknown,
            Fig::Known(v) | Fig::About(v) | Fig::Mean(v) | Fig::Stale(v, _) => {
                Self::Number(number(*v))
            }
        }
    }
}

/// What was typed last that reads: it stays in force while something else is typed that does not.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    text: String,
    query: Option<Query>,
}

impl Filter {
    /// From a condition and its text; a blank text shows all.
    pub fn new(text: &str, query: Query) -> Self {
        let query = (!text.trim().is_empty()).then_some(query);
        Self { text: text.to_owned(), query }
    }

    /// Whether nothing is hidden.
    pub const fn is_empty(&self) -> bool {
        self.query.is_none()
    }

    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Shows all again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether a row is shown; none: it cannot be decided.
    pub fn shows(&self, subject: &dyn Subject) -> Option<bool> {
        self.query.as_ref().map_or(Some(true), |query| query.holds(subject))
    }
}

/// Something that conditions are asked of.
pub trait Subject {
    /// What plain words are looked for in.
    fn names(&self) -> Vec<String>;
    /// What `/regex/` is looked for in.
    fn text(&self) -> String;
    /// The value of a field; a field that there is not is [`Value::None`].
    fn value(&self, field: &str) -> Value;
}

impl Query {
    /// Reads a condition; times are relative to `now_ms`. An empty one holds for all.
    ///
    /// # Errors
    /// What does not read, with its place.
    pub fn parse(
        text: &str,
        now_ms: i64,
        zone: crate::model::clock::Zone,
    ) -> Result<Self, QueryError> {
        parse::parse(text, now_ms, zone).map(|root| Self { root })
    }

    /// Whether it holds; none: it cannot be decided.
    pub fn holds(&self, subject: &dyn Subject) -> Option<bool> {
        eval::holds(&self.root, subject)
    }

    /// All comparisons in it, to check fields and kinds before rows are asked for.
    pub fn comparisons(&self) -> Vec<&Comparison> {
        let mut out = Vec::new();
        collect(&self.root, &mut out);
        out
    }
}

fn collect<'a>(expr: &'a Expr, out: &mut Vec<&'a Comparison>) {
    match expr {
        Expr::All(list) | Expr::Any(list) => list.iter().for_each(|one| collect(one, out)),
        Expr::Not(one) => collect(one, out),
        Expr::Compare(comparison) => out.push(comparison),
        Expr::Word(_) | Expr::Matches(_) => {}
    }
}

#[cfg(test)]
mod tests;
