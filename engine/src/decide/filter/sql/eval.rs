//! Value of an expression for one message, in three-valued logic.
//!
//! All properties are text; beside a number or a truth value they are read as one, in the way Java
//! reads it. What cannot be read is an error, and the message does not match.

use std::cmp::Ordering;

use super::parser::{Expr, Order, Search};

/// A value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i32),
    Long(i64),
    Double(f64),
    Text(&'a str),
}

/// The message has no value for the expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unreadable;

/// Value of a property by its name.
pub(super) type Get<'a> = dyn Fn(&str) -> Option<&'a str> + 'a;

type Result<T> = std::result::Result<T, Unreadable>;

/// Computes an expression.
pub(super) fn eval<'a>(expr: &'a Expr, get: &Get<'a>) -> Result<Value<'a>> {
    Ok(match expr {
        Expr::Null => Value::Null,
        Expr::Bool(value) => Value::Bool(*value),
        Expr::Int(number) => Value::Int(*number),
        Expr::Long(number) => Value::Long(*number),
        Expr::Double(number) => Value::Double(*number),
        Expr::Text(text) => Value::Text(text),
        Expr::Property(name) => get(name).map_or(Value::Null, Value::Text),
        // A text is no truth value, whatever it says: only a comparison with TRUE reads it.
        Expr::Condition(name) => get(name).map_or(Value::Null, |_| Value::Bool(false)),
        Expr::Negate(inner) => negated(eval(inner, get)?),
        Expr::Not(inner) => not(eval(inner, get)?),
        Expr::Or(parts) => joined(parts, get, true)?,
        Expr::And(parts) => joined(parts, get, false)?,
        Expr::Equal(left, right) => equal(eval(left, get)?, eval(right, get)?)?,
        Expr::Order(order, left, right) => {
            let left = eval(left, get)?;
            ordered(*order, left, right, get)?
        }
        Expr::Between { value, low, high, not } => {
            between(eval(value, get)?, [low, high], *not, get)?
        }
        Expr::In { property, texts, not } => get(property).map_or(Value::Null, |value| {
            Value::Bool(texts.binary_search_by(|text| text.as_str().cmp(value)).is_ok() != *not)
        }),
        Expr::Search { property, search, text, not } => {
            Value::Bool(get(property).is_some_and(|value| found(value, *search, text, *not)))
        }
    })
}

/// Neither found nor not found where there is nothing to look in or for.
fn found(value: &str, search: Search, text: &str, not: bool) -> bool {
    let found = match search {
        Search::Inside => value.contains(text),
        Search::AtStart => value.starts_with(text),
        Search::AtEnd => value.ends_with(text),
    };
    !text.is_empty() && found != not
}

fn negated(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Int(number) => Value::Int(number.wrapping_neg()),
        Value::Long(number) => Value::Long(number.wrapping_neg()),
        Value::Double(number) => Value::Double(-number),
        _ => Value::Null,
    }
}

fn not(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Bool(value) => Value::Bool(!value),
        _ => Value::Null,
    }
}

/// OR and AND: `decisive` is the value that needs no further look.
fn joined<'a>(parts: &'a [Expr], get: &Get<'a>, decisive: bool) -> Result<Value<'a>> {
    let mut known = true;
    for part in parts {
        match eval(part, get)? {
            Value::Bool(value) if value == decisive => return Ok(Value::Bool(decisive)),
            Value::Bool(_) => {}
            _ => known = false,
        }
    }
    Ok(if known { Value::Bool(!decisive) } else { Value::Null })
}

/// Missing on both sides is equal; missing on the right is not; missing on the left is not known. So
/// the reference does it, and `IS NULL` rests on it.
fn equal<'a>(left: Value<'a>, right: Value<'a>) -> Result<Value<'a>> {
    Ok(match (left, right) {
        (Value::Null, Value::Null) => Value::Bool(true),
        (Value::Null, _) => Value::Null,
        (_, Value::Null) => Value::Bool(false),
        (left, right) => Value::Bool(compare(left, right)? == Ordering::Equal),
    })
}

fn ordered<'a>(order: Order, left: Value<'a>, right: &'a Expr, get: &Get<'a>) -> Result<Value<'a>> {
    if left == Value::Null {
        return Ok(Value::Null);
    }
    let ordering = match (left, eval(right, get)?) {
        (_, Value::Null) => return Ok(Value::Null),
        (Value::Text(left), Value::Text(right)) => double(left)?.total_cmp(&double(right)?),
        (left, right) => compare(left, right)?,
    };
    Ok(Value::Bool(match order {
        Order::Less => ordering.is_lt(),
        Order::LessEqual => ordering.is_le(),
        Order::Greater => ordering.is_gt(),
        Order::GreaterEqual => ordering.is_ge(),
    }))
}

fn between<'a>(
    value: Value<'a>,
    [low, high]: [&'a Expr; 2],
    not: bool,
    get: &Get<'a>,
) -> Result<Value<'a>> {
    let orders =
        if not { [Order::Less, Order::Greater] } else { [Order::GreaterEqual, Order::LessEqual] };
    let first = ordered(orders[0], value, low, get)?;
    if first == Value::Bool(not) {
        return Ok(first);
    }
    let second = ordered(orders[1], value, high, get)?;
    Ok(if second == Value::Bool(not) || first != Value::Null { second } else { first })
}

/// Compares two values that are there; the text of a pair is read as the other's type.
fn compare(left: Value<'_>, right: Value<'_>) -> Result<Ordering> {
    Ok(match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.cmp(&right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Text(left), Value::Bool(right)) => left.eq_ignore_ascii_case("true").cmp(&right),
        // The reference fails here, so that `TRUE = flag` never matches.
        (Value::Bool(_), Value::Text(_)) => return Err(Unreadable),
        (Value::Text(left), right) => number(left, right)?.cmp(&Number::of(right)?),
        (left, Value::Text(right)) => Number::of(left)?.cmp(&number(right, left)?),
        // Values of other kinds are never equal.
        (Value::Bool(_), _) | (_, Value::Bool(_)) => Ordering::Less,
        (left, right) => Number::of(left)?.cmp(&Number::of(right)?),
    })
}

/// A number, whole if both sides of a comparison are.
#[derive(Clone, Copy, Debug)]
enum Number {
    Whole(i64),
    Double(f64),
}

impl Number {
    fn of(value: Value<'_>) -> Result<Self> {
        match value {
            Value::Int(number) => Ok(Self::Whole(i64::from(number))),
            Value::Long(number) => Ok(Self::Whole(number)),
            Value::Double(number) => Ok(Self::Double(number)),
            _ => Err(Unreadable),
        }
    }

    fn double(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Double(number) => number,
        }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => left.cmp(right),
            (left, right) => left.double().total_cmp(&right.double()),
        }
    }
}

/// Reads a text as the type of a number.
fn number(text: &str, like: Value<'_>) -> Result<Number> {
    match like {
        Value::Int(_) => {
            text.parse::<i32>().map(|n| Number::Whole(i64::from(n))).map_err(|_| Unreadable)
        }
        Value::Long(_) => text.parse().map(Number::Whole).map_err(|_| Unreadable),
        _ => double(text).map(Number::Double),
    }
}

/// Reads a text as Java reads a double: blanks around it and one letter behind it are allowed.
fn double(text: &str) -> Result<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned {
        "NaN" => return Ok(f64::NAN),
        "Infinity" if text.starts_with('-') => return Ok(f64::NEG_INFINITY),
        "Infinity" => return Ok(f64::INFINITY),
        _ => {}
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(Unreadable);
    }
    text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text).parse().map_err(|_| Unreadable)
}
