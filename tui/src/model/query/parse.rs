//! Text to condition: words, operators, parentheses, quotes.

use regex::RegexBuilder;

use super::{Comparison, Expr, Op, Operand};
use crate::model::clock::Zone;
use crate::model::time_field::{self, When};

/// Longest condition.
const LEN_MAX: usize = 4_096;
/// Deepest nesting of parentheses and `!`.
const DEPTH_MAX: usize = 64;
/// Bytes that a compiled `/regex/` may take.
const REGEX_MAX: usize = 1 << 20;

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at {at}: {reason}")]
pub struct QueryError {
    /// Character at which it goes wrong, from 1.
    pub at: usize,
    /// Characters before the end of what is wrong.
    pub end: usize,
    /// What is wrong.
    pub reason: String,
}

struct Parser<'a> {
    chars: Vec<char>,
    at: usize,
    now_ms: i64,
    zone: Zone,
    text: &'a str,
}

/// Reads a whole condition.
pub fn parse(text: &str, now_ms: i64, zone: Zone) -> Result<Expr, QueryError> {
    let chars: Vec<char> = text.chars().collect();
    let mut parser = Parser { chars, at: 0, now_ms, zone, text };
    if parser.text.len() > LEN_MAX {
        return Err(parser.error(format!("longer than {LEN_MAX} bytes")));
    }
    let expr = parser.any(0)?;
    match parser.peek() {
        None => Ok(expr),
        Some(c) => Err(parser.error(format!("{c:?} closes nothing"))),
    }
}

impl Parser<'_> {
    fn error(&self, reason: impl Into<String>) -> QueryError {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|c| c.is_whitespace()).unwrap_or(rest.len());
        QueryError { at: self.at + 1, end: self.at + len.max(1), reason: reason.into() }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Parts joined by `|`; blanks around it may be left out.
    fn any(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let mut parts = vec![self.all(depth)?];
        while self.peek() == Some('|') {
            self.at += 1;
            parts.push(self.all(depth)?);
        }
        Ok(match parts.len() {
            1 => parts.swap_remove(0),
            _ => Expr::Any(parts),
        })
    }

    fn all(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let mut parts = Vec::new();
        loop {
            self.blanks();
            match self.peek() {
                None | Some('|' | ')') => return Ok(Expr::All(parts)),
                Some(_) => parts.push(self.one(depth)?),
            }
        }
    }

    fn one(&mut self, depth: usize) -> Result<Expr, QueryError> {
        if depth >= DEPTH_MAX {
            return Err(self.error(format!("nested more than {DEPTH_MAX} deep")));
        }
        match self.peek() {
            Some('!') => {
                self.at += 1;
                self.blanks();
                if matches!(self.peek(), None | Some('|' | ')')) {
                    return Err(self.error("nothing behind !"));
                }
                Ok(Expr::Not(Box::new(self.one(depth + 1)?)))
            }
            Some('(') => {
                self.at += 1;
                let inner = self.any(depth + 1)?;
                if self.peek() != Some(')') {
                    return Err(self.error("a ( is not closed"));
                }
                self.at += 1;
                Ok(inner)
            }
            Some('/') => self.regex(),
            Some('"') => Ok(Expr::Word(self.quoted()?.to_lowercase())),
            _ => self.term(),
        }
    }

    fn regex(&mut self) -> Result<Expr, QueryError> {
        let start = self.at;
        self.at += 1;
        let mut pattern = String::new();
        loop {
            match self.peek() {
                None => {
                    self.at = start;
                    return Err(self.error("a / is not closed"));
                }
                Some('/') => break,
                Some('\\') if self.chars.get(self.at + 1) == Some(&'/') => {
                    pattern.push('/');
                    self.at += 1;
                }
                Some(c) => pattern.push(c),
            }
            self.at += 1;
        }
        self.at += 1;
        let end = self.at;
        let compiled = RegexBuilder::new(&pattern).size_limit(REGEX_MAX).build();
        compiled.map(Expr::Matches).map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let reason = last.trim_start_matches("error: ").to_owned();
            QueryError { at: start + 1, end, reason }
        })
    }

    fn quoted(&mut self) -> Result<String, QueryError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => {
                    self.at = start;
                    return Err(self.error("a \" is not closed"));
                }
                Some('"') => break,
                Some('\\') => {
                    self.at += 1;
                    text.extend(self.peek());
                }
                Some(c) => text.push(c),
            }
            self.at += 1;
        }
        self.at += 1;
        Ok(text)
    }

    /// A word, or a field with operator and value.
    fn term(&mut self) -> Result<Expr, QueryError> {
        let start = self.at;
        let ends = |c: char| c.is_whitespace() || "|()=<>~".contains(c);
        while let Some(c) = self.peek()
            && !ends(c)
            && !(c == '!' && self.chars.get(self.at + 1) == Some(&'='))
        {
            self.at += 1;
        }
        let word: String = self.chars[start..self.at].iter().collect();
        let Some(op) = self.op() else {
            return Ok(Expr::Word(word.to_lowercase()));
        };
        if word.is_empty() {
            self.at = start;
            return Err(self.error("a field is missing before the operator"));
        }
        let at = self.at;
        let value = if self.peek() == Some('"') { self.quoted()? } else { self.bare() };
        if value.is_empty() && self.at == at {
            return Err(self.error(format!("a value is missing behind {word}")));
        }
        let field = if word.starts_with('.') { word } else { word.to_lowercase() };
        let value = operand(&value, self.now_ms, self.zone);
        Ok(Expr::Compare(Comparison { field, op, value, place: start..self.at }))
    }

    fn op(&mut self) -> Option<Op> {
        let two = self.chars.get(self.at + 1) == Some(&'=');
        let (op, len) = match (self.peek()?, two) {
            ('!', true) => (Op::NotEqual, 2),
            ('<', true) => (Op::LessOrEqual, 2),
            ('>', true) => (Op::MoreOrEqual, 2),
            ('<', false) => (Op::Less, 1),
            ('>', false) => (Op::More, 1),
            ('=', _) => (Op::Equal, 1),
            ('~', _) => (Op::Contains, 1),
            _ => return None,
        };
        self.at += len;
        Some(op)
    }

    /// A value without quotes: up to a blank, a bar or a closing parenthesis.
    fn bare(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|c| !c.is_whitespace() && c != '|' && c != ')') {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }
}

fn operand(text: &str, now_ms: i64, zone: Zone) -> Operand {
    let time = match time_field::parse(text, now_ms, zone) {
        Ok(When::At(ms)) => Some(ms),
        _ => None,
    };
    Operand { text: text.to_owned(), number: number(text), span: time_field::span(text), time }
}

/// `1000`, `1k`, `2.5M`, `64kB`, `1GB`, `80%`.
pub fn number(text: &str) -> Option<f64> {
    let units: [(&str, f64); 8] = [
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("B", 1.0),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("%", 1.0),
    ];
    let unit = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (digits, factor) = unit.unwrap_or((text, 1.0));
    let first = digits.chars().next()?;
    if !first.is_ascii_digit() && !"+-.".contains(first) {
        return None; // "inf", "nan"
    }
    digits.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n * factor)
}
