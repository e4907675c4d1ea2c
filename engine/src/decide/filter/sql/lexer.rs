//! Tokens of an SQL expression. Keywords are case-insensitive, property names are not.

use super::SqlError;

/// A token and where it starts.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Token<'a> {
    pub kind: Kind<'a>,
    /// Byte offset.
    pub at: usize,
}

/// What a token is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Kind<'a> {
    Keyword(Keyword),
    Property(&'a str),
    Text(String),
    Integer(&'a str),
    Float(&'a str),
    Sign(Sign),
    End,
}

/// Reserved words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Keyword {
    Not,
    And,
    Or,
    Between,
    In,
    Is,
    Null,
    True,
    False,
    Contains,
    StartsWith,
    EndsWith,
}

/// Operators and brackets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sign {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Plus,
    Minus,
    Open,
    Close,
    Comma,
}

const KEYWORDS: [(&str, Keyword); 12] = [
    ("NOT", Keyword::Not),
    ("AND", Keyword::And),
    ("OR", Keyword::Or),
    ("BETWEEN", Keyword::Between),
    ("IN", Keyword::In),
    ("IS", Keyword::Is),
    ("NULL", Keyword::Null),
    ("TRUE", Keyword::True),
    ("FALSE", Keyword::False),
    ("CONTAINS", Keyword::Contains),
    ("STARTSWITH", Keyword::StartsWith),
    ("ENDSWITH", Keyword::EndsWith),
];

/// Longer signs first.
const SIGNS: [(&str, Sign); 11] = [
    ("<>", Sign::NotEqual),
    ("<=", Sign::LessEqual),
    (">=", Sign::GreaterEqual),
    ("<", Sign::Less),
    (">", Sign::Greater),
    ("=", Sign::Equal),
    ("+", Sign::Plus),
    ("-", Sign::Minus),
    ("(", Sign::Open),
    (")", Sign::Close),
    (",", Sign::Comma),
];

/// An error at a byte offset.
pub(super) fn error(text: &str, at: usize, problem: impl Into<String>) -> SqlError {
    let column = text.get(..at).map_or(0, |before| before.chars().count()) + 1;
    SqlError { column, problem: problem.into() }
}

/// Reads all tokens; the last one is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, SqlError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at = skip_blank(text, at)?;
        let rest = &text[at..];
        let Some(first) = rest.chars().next() else { break };
        let (kind, len) = match first {
            '\'' => string(text, at)?,
            '0'..='9' => number(rest),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest),
            'A'..='Z' | 'a'..='z' | '_' | '$' => word(rest),
            _ => match SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
                Some((sign, kind)) => (Kind::Sign(*kind), sign.len()),
                None => return Err(error(text, at, format!("{first:?} means nothing here"))),
            },
        };
        tokens.push(Token { kind, at });
        at += len;
    }
    tokens.push(Token { kind: Kind::End, at: text.len() });
    Ok(tokens)
}

/// Behind blanks and comments.
fn skip_blank(text: &str, mut at: usize) -> Result<usize, SqlError> {
    loop {
        let rest = &text[at..];
        if rest.starts_with([' ', '\t', '\n', '\r', '\x0c']) {
            at += 1;
        } else if rest.starts_with("--") {
            at += rest.find(['\n', '\r']).unwrap_or(rest.len());
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let end =
                comment.find("*/").ok_or_else(|| error(text, at, "the comment has no end"))?;
            at += end + 4;
        } else {
            return Ok(at);
        }
    }
}

/// A string in single quotes; two of them stand for one.
fn string(text: &str, at: usize) -> Result<(Kind<'_>, usize), SqlError> {
    let mut value = String::new();
    let mut rest = &text[at + 1..];
    while let Some(quote) = rest.find('\'') {
        value.push_str(&rest[..quote]);
        rest = &rest[quote + 1..];
        match rest.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Ok((Kind::Text(value), text.len() - at - rest.len())),
        }
    }
    Err(error(text, at, "the string has no end"))
}

fn number(rest: &str) -> (Kind<'_>, usize) {
    let digits = |from: usize| {
        let tail = rest.get(from..).unwrap_or_default();
        tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len())
    };
    let whole = digits(0);
    let mut end = whole;
    if rest[end..].starts_with('.') {
        end += 1 + digits(end + 1);
    }
    if rest[end..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    if end > whole {
        return (Kind::Float(&rest[..end]), end);
    }
    let suffix = usize::from(rest[end..].starts_with(['l', 'L']));
    (Kind::Integer(&rest[..whole]), whole + suffix)
}

fn word(rest: &str) -> (Kind<'_>, usize) {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let len = rest.find(|c: char| !inside(c)).unwrap_or(rest.len());
    let word = &rest[..len];
    let keyword = KEYWORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    (keyword.map_or(Kind::Property(word), |(_, keyword)| Kind::Keyword(*keyword)), len)
}
