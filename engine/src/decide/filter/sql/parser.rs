//! Tokens → tree. Loosest first: OR, AND, equality, comparison, unary, primary.
//!
//! What can never be a condition or never be compared is refused here, so that a consumer hears of it
//! when it starts.

use super::SqlError;
use super::lexer::{self, Keyword, Kind, Sign, Token};

/// Most brackets and unary operators inside each other.
const DEPTH_MAX: usize = 64;
/// Most equalities in a row, `a = b = c`; with [`DEPTH_MAX`] it limits the depth of the tree.
const CHAIN_MAX: usize = 16;

/// A tree of an expression.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Expr {
    Null,
    Bool(bool),
    Int(i32),
    Long(i64),
    Double(f64),
    Text(String),
    Property(String),
    Negate(Box<Expr>),
    Not(Box<Expr>),
    /// A property where a condition stands.
    Condition(String),
    Or(Vec<Expr>),
    And(Vec<Expr>),
    Equal(Box<Expr>, Box<Expr>),
    Order(Order, Box<Expr>, Box<Expr>),
    Between {
        value: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        not: bool,
    },
    In {
        property: String,
        texts: Vec<String>,
        not: bool,
    },
    Search {
        property: String,
        search: Search,
        text: String,
        not: bool,
    },
}

/// A comparison of numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// Where a text is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Search {
    Inside,
    AtStart,
    AtEnd,
}

impl Expr {
    /// Whether it is a condition by itself. `NULL` is one that is never known.
    fn is_condition(&self) -> bool {
        match self {
            Self::Int(_)
            | Self::Long(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Property(_)
            | Self::Negate(_) => false,
            Self::Null
            | Self::Bool(_)
            | Self::Not(_)
            | Self::Condition(_)
            | Self::Or(_)
            | Self::And(_)
            | Self::Equal(..)
            | Self::Order(..)
            | Self::Between { .. }
            | Self::In { .. }
            | Self::Search { .. } => true,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(f64::from(*n)),
            Self::Long(n) => Some(*n as f64),
            Self::Double(n) => Some(*n),
            _ => None,
        }
    }
}

/// Parses and checks a whole expression.
pub(super) fn parse(text: &str) -> Result<Expr, SqlError> {
    let mut parser = Parser { text, tokens: lexer::tokens(text)?, next: 0, depth: 0 };
    let start = parser.at();
    let root = parser.or()?;
    if parser.peek() != &Kind::End {
        return Err(parser.unexpected("an operator or the end"));
    }
    parser.condition(root, start)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    next: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn token(&self) -> &Token<'a> {
        // The last token is the end, which is never passed.
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn peek(&self) -> &Kind<'a> {
        &self.token().kind
    }

    fn at(&self) -> usize {
        self.token().at
    }

    fn sign(&mut self, sign: Sign) -> bool {
        let found = self.peek() == &Kind::Sign(sign);
        self.next += usize::from(found);
        found
    }

    fn keyword(&mut self, keyword: Keyword) -> bool {
        let found = self.peek() == &Kind::Keyword(keyword);
        self.next += usize::from(found);
        found
    }

    fn error(&self, at: usize, problem: impl Into<String>) -> SqlError {
        lexer::error(self.text, at, problem)
    }

    fn unexpected(&self, wanted: &str) -> SqlError {
        let found = match self.peek() {
            Kind::End => "the end".to_owned(),
            Kind::Keyword(keyword) => format!("{keyword:?}").to_uppercase(),
            Kind::Property(name) => (*name).to_owned(),
            Kind::Text(text) => format!("'{text}'"),
            Kind::Integer(text) | Kind::Float(text) => (*text).to_owned(),
            Kind::Sign(sign) => format!("{sign:?}").to_lowercase(),
        };
        self.error(self.at(), format!("{wanted} is expected, not {found}"))
    }

    /// A condition as it is, a property as a condition, nothing else.
    fn condition(&self, expr: Expr, at: usize) -> Result<Expr, SqlError> {
        match expr {
            Expr::Property(name) => Ok(Expr::Condition(name)),
            expr if expr.is_condition() => Ok(expr),
            _ => Err(self.error(at, "this is no condition")),
        }
    }

    fn or(&mut self) -> Result<Expr, SqlError> {
        self.joined(Keyword::Or, Self::and, Expr::Or)
    }

    fn and(&mut self) -> Result<Expr, SqlError> {
        self.joined(Keyword::And, Self::equality, Expr::And)
    }

    fn joined(
        &mut self,
        word: Keyword,
        part: fn(&mut Self) -> Result<Expr, SqlError>,
        join: fn(Vec<Expr>) -> Expr,
    ) -> Result<Expr, SqlError> {
        let start = self.at();
        let first = part(self)?;
        if self.peek() != &Kind::Keyword(word) {
            return Ok(first);
        }
        let mut parts = vec![self.condition(first, start)?];
        while self.keyword(word) {
            let start = self.at();
            let next = part(self)?;
            parts.push(self.condition(next, start)?);
        }
        Ok(join(parts))
    }

    fn equality(&mut self) -> Result<Expr, SqlError> {
        let mut left = self.comparison()?;
        for _ in 0..CHAIN_MAX {
            let at = self.at();
            left = if self.sign(Sign::Equal) {
                let right = self.comparison()?;
                self.equal(left, right, at)?
            } else if self.sign(Sign::NotEqual) {
                let right = self.comparison()?;
                Expr::Not(Box::new(self.equal(left, right, at)?))
            } else if self.keyword(Keyword::Is) {
                let not = self.keyword(Keyword::Not);
                if !self.keyword(Keyword::Null) {
                    return Err(self.unexpected("NULL"));
                }
                let is = Expr::Equal(Box::new(left), Box::new(Expr::Null));
                if not { Expr::Not(Box::new(is)) } else { is }
            } else {
                return Ok(left);
            };
        }
        Err(self.error(self.at(), format!("more than {CHAIN_MAX} comparisons in a row")))
    }

    fn equal(&self, left: Expr, right: Expr, at: usize) -> Result<Expr, SqlError> {
        if left == Expr::Null || right == Expr::Null {
            return Err(self.error(at, "NULL cannot be compared, use IS NULL"));
        }
        let constant = |expr: &Expr| matches!(expr, Expr::Text(_)) || expr.number().is_some();
        if matches!(left, Expr::Bool(_)) && constant(&right) {
            return Err(self.error(at, "TRUE and FALSE cannot be compared with this"));
        }
        Ok(Expr::Equal(Box::new(left), Box::new(right)))
    }

    fn comparison(&mut self) -> Result<Expr, SqlError> {
        let start = self.at();
        let mut left = self.unary()?;
        // Every turn but the first fails: a comparison is a condition, which these operators refuse.
        loop {
            let at = self.at();
            if let Some(order) = self.order() {
                let right_at = self.at();
                let right = self.unary()?;
                self.comparable(&left, start)?;
                self.comparable(&right, right_at)?;
                left = Expr::Order(order, Box::new(left), Box::new(right));
                continue;
            }
            let not = self.keyword(Keyword::Not);
            left = match self.peek() {
                Kind::Keyword(Keyword::Between) => self.between(left, start, not)?,
                Kind::Keyword(Keyword::In) => self.within(left, start, not)?,
                Kind::Keyword(
                    word @ (Keyword::Contains | Keyword::StartsWith | Keyword::EndsWith),
                ) => {
                    let search = match word {
                        Keyword::Contains => Search::Inside,
                        Keyword::StartsWith => Search::AtStart,
                        _ => Search::AtEnd,
                    };
                    self.search(left, start, search, not)?
                }
                _ if not => {
                    return Err(self.error(at, "NOT stands before a condition or an operator"));
                }
                _ => return Ok(left),
            };
        }
    }

    fn order(&mut self) -> Option<Order> {
        let order = match self.peek() {
            Kind::Sign(Sign::Less) => Order::Less,
            Kind::Sign(Sign::LessEqual) => Order::LessEqual,
            Kind::Sign(Sign::Greater) => Order::Greater,
            Kind::Sign(Sign::GreaterEqual) => Order::GreaterEqual,
            _ => return None,
        };
        self.next += 1;
        Some(order)
    }

    /// Only what may be a number is put in order.
    fn comparable(&self, expr: &Expr, at: usize) -> Result<(), SqlError> {
        match expr {
            Expr::Text(_) => Err(self.error(at, "a string has no order")),
            expr if expr.is_condition() => Err(self.error(at, "a condition has no order")),
            _ => Ok(()),
        }
    }

    fn between(&mut self, value: Expr, start: usize, not: bool) -> Result<Expr, SqlError> {
        self.next += 1;
        let low_at = self.at();
        let low = self.unary()?;
        if !self.keyword(Keyword::And) {
            return Err(self.unexpected("AND"));
        }
        let high_at = self.at();
        let high = self.unary()?;
        self.comparable(&value, start)?;
        self.comparable(&low, low_at)?;
        self.comparable(&high, high_at)?;
        if let (Some(from), Some(to), false) = (low.number(), high.number(), not)
            && from > to
        {
            return Err(self.error(low_at, "the lower bound is above the upper one"));
        }
        let (value, low, high) = (Box::new(value), Box::new(low), Box::new(high));
        Ok(Expr::Between { value, low, high, not })
    }

    fn within(&mut self, left: Expr, start: usize, not: bool) -> Result<Expr, SqlError> {
        self.next += 1;
        let property = self.property(left, start)?;
        if !self.sign(Sign::Open) {
            return Err(self.unexpected("("));
        }
        let mut texts = vec![self.text()?];
        while self.sign(Sign::Comma) {
            texts.push(self.text()?);
        }
        if !self.sign(Sign::Close) {
            return Err(self.unexpected(")"));
        }
        texts.sort_unstable();
        Ok(Expr::In { property, texts, not })
    }

    fn search(
        &mut self,
        left: Expr,
        start: usize,
        search: Search,
        not: bool,
    ) -> Result<Expr, SqlError> {
        self.next += 1;
        let property = self.property(left, start)?;
        Ok(Expr::Search { property, search, text: self.text()?, not })
    }

    fn property(&self, expr: Expr, at: usize) -> Result<String, SqlError> {
        match expr {
            Expr::Property(name) => Ok(name),
            _ => Err(self.error(at, "a property is expected here")),
        }
    }

    fn text(&mut self) -> Result<String, SqlError> {
        let Kind::Text(text) = self.peek() else { return Err(self.unexpected("a string")) };
        let text = text.clone();
        self.next += 1;
        Ok(text)
    }

    fn unary(&mut self) -> Result<Expr, SqlError> {
        if self.depth >= DEPTH_MAX {
            return Err(self.error(self.at(), format!("nested more than {DEPTH_MAX} deep")));
        }
        self.depth += 1;
        let expr = self.unary_inside();
        self.depth -= 1;
        expr
    }

    fn unary_inside(&mut self) -> Result<Expr, SqlError> {
        if self.sign(Sign::Plus) {
            return self.unary();
        }
        if self.sign(Sign::Minus) {
            return Ok(Expr::Negate(Box::new(self.unary()?)));
        }
        if self.keyword(Keyword::Not) {
            let at = self.at();
            let inner = self.unary()?;
            return Ok(Expr::Not(Box::new(self.condition(inner, at)?)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Expr, SqlError> {
        let Token { kind, at } = self.token().clone();
        self.next += 1;
        Ok(match kind {
            Kind::Keyword(Keyword::Null) => Expr::Null,
            Kind::Keyword(Keyword::True) => Expr::Bool(true),
            Kind::Keyword(Keyword::False) => Expr::Bool(false),
            Kind::Property(name) => Expr::Property(name.to_owned()),
            Kind::Text(text) => Expr::Text(text),
            Kind::Integer(text) => self.integer(text, at)?,
            Kind::Float(text) => self.float(text, at)?,
            Kind::Sign(Sign::Open) => {
                let inner = self.or()?;
                if !self.sign(Sign::Close) {
                    return Err(self.unexpected(")"));
                }
                inner
            }
            _ => {
                self.next -= 1;
                return Err(self.unexpected("a value"));
            }
        })
    }

    /// The type decides how a property is converted: small numbers are 32 bits wide.
    fn integer(&self, text: &str, at: usize) -> Result<Expr, SqlError> {
        if text.len() > 1 && text.starts_with('0') {
            return Err(self.error(at, "a number does not start with 0"));
        }
        let number: i64 =
            text.parse().map_err(|_| self.error(at, "a whole number of 64 bits is expected"))?;
        Ok(i32::try_from(number).map_or(Expr::Long(number), Expr::Int))
    }

    fn float(&self, text: &str, at: usize) -> Result<Expr, SqlError> {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number > 0.0 => Ok(Expr::Double(number)),
            _ => Err(self.error(at, "the number is too large or too small")),
        }
    }
}
