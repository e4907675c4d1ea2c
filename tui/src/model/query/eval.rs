//! Whether a condition holds, in three values.

use crate::model::fuzzy;

use super::{Comparison, Expr, Op, Operand, Subject, Value};

/// Evaluates one node.
pub fn holds(expr: &Expr, subject: &dyn Subject) -> Option<bool> {
    match expr {
        Expr::All(list) => fold(list, subject, true),
        Expr::Any(list) => fold(list, subject, false),
        Expr::Not(one) => holds(one, subject).map(|held| !held),
        Expr::Word(word) => {
            Some(subject.names().iter().any(|name| fuzzy::rank(word, name).is_some()))
        }
        Expr::Matches(regex) => Some(regex.is_match(&subject.text())),
        Expr::Compare(comparison) => compare(comparison, &subject.value(&comparison.field)),
    }
}

/// And (`neutral` true) or or (false): one that is not neutral decides, an unknown one leaves it open.
fn fold(list: &[Expr], subject: &dyn Subject, neutral: bool) -> Option<bool> {
    let mut open = false;
    for one in list {
        match holds(one, subject) {
            Some(held) if held != neutral => return Some(held),
            Some(_) => {}
            None => open = true,
        }
    }
    if open { None } else { Some(neutral) }
}

fn compare(comparison: &Comparison, value: &Value) -> Option<bool> {
    let Comparison { op, value: operand, .. } = comparison;
    match value {
        Value::Unknown => None,
        // What there is not is nothing in particular: only "is not" holds of it.
        Value::None => Some(*op == Op::NotEqual),
        Value::Text(text) => Some(text_holds(*op, text, operand)),
        Value::Texts(list) if *op == Op::NotEqual => {
            Some(list.iter().all(|text| text_holds(Op::NotEqual, text, operand)))
        }
        Value::Texts(list) => Some(list.iter().any(|text| text_holds(*op, text, operand))),
        Value::Flag(flag) => {
            let wanted = match operand.text.as_str() {
                "yes" | "true" | "1" => true,
                "no" | "false" | "0" => false,
                _ => return Some(*op == Op::NotEqual),
            };
            match op {
                Op::Equal => Some(*flag == wanted),
                Op::NotEqual => Some(*flag != wanted),
                _ => Some(false),
            }
        }
        Value::Number(_) | Value::AtLeast(_) | Value::AtMost(_) => {
            figure(*op, value, operand.number, &operand.text)
        }
        Value::Span(inner) => {
            let ms = operand.span.map(|ms| ms as f64);
            figure(*op, inner, ms, &operand.text)
        }
        Value::Time(inner) => {
            let ms = operand.time.map(|ms| ms as f64);
            figure(*op, inner, ms, &operand.text)
        }
    }
}

/// A figure or its bound against a number. What the bound leaves open is unknown.
fn figure(op: Op, value: &Value, wanted: Option<f64>, text: &str) -> Option<bool> {
    let (least, most) = match value {
        Value::Number(n) => (*n, *n),
        Value::AtLeast(n) => (*n, f64::INFINITY),
        Value::AtMost(n) => (f64::NEG_INFINITY, *n),
        Value::None => return Some(op == Op::NotEqual),
        _ => return None,
    };
    if op == Op::Contains {
        return Some(value_text(value).contains(text));
    }
    let Some(wanted) = wanted else { return Some(op == Op::NotEqual) };
    let decided = |surely: bool, never: bool| match (surely, never) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    match op {
        Op::More => decided(least > wanted, most <= wanted),
        Op::MoreOrEqual => decided(least >= wanted, most < wanted),
        Op::Less => decided(most < wanted, least >= wanted),
        Op::LessOrEqual => decided(most <= wanted, least > wanted),
        Op::Equal => equal(least, most, wanted),
        Op::NotEqual => equal(least, most, wanted).map(|held| !held),
        Op::Contains => None,
    }
}

/// Figures come out of arithmetic, so equality is within a rounding error.
fn equal(least: f64, most: f64, wanted: f64) -> Option<bool> {
    let near = |a: f64| (a - wanted).abs() <= f64::EPSILON * wanted.abs().max(1.0);
    if least.is_finite() && most.is_finite() {
        return Some(near(least));
    }
    if wanted < least || wanted > most { Some(false) } else { None }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Number(n) | Value::AtLeast(n) | Value::AtMost(n) => n.to_string(),
        _ => String::new(),
    }
}

fn text_holds(op: Op, text: &str, operand: &Operand) -> bool {
    let wanted = operand.text.as_str();
    match op {
        Op::Equal => glob(wanted, text),
        Op::NotEqual => !glob(wanted, text),
        Op::Contains => text.to_lowercase().contains(&wanted.to_lowercase()),
        // Numbers in JSON and properties are often strings.
        _ => match (super::parse::number(text), operand.number) {
            (Some(a), Some(b)) => figure(op, &Value::Number(a), Some(b), wanted) == Some(true),
            _ => match op {
                Op::Less => text < wanted,
                Op::LessOrEqual => text <= wanted,
                Op::More => text > wanted,
                _ => text >= wanted,
            },
        },
    }
}

/// `*` stands for any characters; everything else for itself.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let Some(tail) = parts.pop() else { return true };
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.len() >= tail.len() && text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, holds) in [
            ("pay-*", "pay-mirror", true),
            ("pay-*", "payments", false),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "abcb", false),
            ("a*a", "a", false),
            ("*x*", "axb", true),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            assert_eq!(glob(pattern, text), holds, "{pattern} {text}");
        }
    }
}
