//! JSON bodies as lines with roles: the text as it was sent, only indented, by a tokenizer of our own.
//!
//! Order of keys and spelling of numbers stay as they are: a viewer must not rewrite what it shows.

use serde::de::IgnoredAny;

use super::text::printable;
use super::{Seg, seg};
use crate::theme::Role;

/// Most lines of one body; the rest is said, not drawn.
const LINES_MAX: usize = 200_000;

/// Pretty lines of a JSON text; `None` when it is no JSON object or array.
pub fn lines(body: &[u8]) -> Option<Vec<Vec<Seg>>> {
    let text = std::str::from_utf8(body).ok()?.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Some(indent(text))
}

/// Indents a text that is known to be valid JSON.
fn indent(text: &str) -> Vec<Vec<Seg>> {
    let mut out: Vec<Vec<Seg>> = Vec::new();
    let mut line: Vec<Seg> = Vec::new();
    let mut depth = 0usize;
    let mut rest = text;
    while let Some(token) = next_token(rest) {
        rest = rest[token.len()..].trim_start();
        if out.len() >= LINES_MAX {
            out.push(vec![seg(Role::TextDim, "… more lines: view as text")]);
            return out;
        }
        match token {
            "{" | "[" => {
                line.push(seg(Role::Text, token));
                if rest.starts_with(['}', ']']) {
                    line.push(seg(Role::Text, &rest[..1]));
                    rest = rest[1..].trim_start();
                } else {
                    depth += 1;
                    out.push(std::mem::replace(&mut line, start(depth)));
                }
            }
            "}" | "]" => {
                depth = depth.saturating_sub(1);
                out.push(std::mem::replace(&mut line, start(depth)));
                line.push(seg(Role::Text, token));
            }
            "," => {
                line.push(seg(Role::Text, ","));
                out.push(std::mem::replace(&mut line, start(depth)));
            }
            ":" => line.push(seg(Role::Text, ": ")),
            leaf => {
                let role = if rest.starts_with(':') { Role::JsonKey } else { role(leaf) };
                line.push(seg(role, printable(leaf)));
            }
        }
    }
    out.push(line);
    out
}

fn start(depth: usize) -> Vec<Seg> {
    if depth == 0 { Vec::new() } else { vec![seg(Role::Text, "  ".repeat(depth.min(40)))] }
}

/// The next token: a sign, a string with its quotes, or a word.
fn next_token(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    let len = match first {
        '{' | '}' | '[' | ']' | ',' | ':' => 1,
        '"' => {
            let mut escaped = false;
            text.char_indices()
                .skip(1)
                .find(|(_, c)| {
                    let end = *c == '"' && !escaped;
                    escaped = *c == '\\' && !escaped;
                    end
                })
                .map_or(text.len(), |(i, _)| i + 1)
        }
        _ => text
            .find(|c: char| c.is_whitespace() || "{}[],:\"".contains(c))
            .filter(|n| *n > 0)
            .unwrap_or(text.len()),
    };
    Some(&text[..len])
}

fn role(leaf: &str) -> Role {
    match leaf.as_bytes().first() {
        Some(b'"') => Role::JsonString,
        Some(b'-' | b'0'..=b'9') => Role::JsonNumber,
        _ => Role::JsonLiteral,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(body: &str) -> Option<String> {
        let lines = lines(body.as_bytes())?;
        let flat = |l: &Vec<Seg>| l.iter().map(|s| s.1.as_str()).collect::<String>();
        Some(lines.iter().map(flat).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn order_and_spelling_stay_as_sent() {
        assert_eq!(
            text(r#"{"b":1.50,"a":["x\"y",null],"c":{} }"#).unwrap(),
            "{\n  \"b\": 1.50,\n  \"a\": [\n    \"x\\\"y\",\n    null\n  ],\n  \"c\": {}\n}"
        );
    }

    #[test]
    fn what_is_not_an_object_or_array_is_not_json_here() {
        assert!(text("42").is_none());
        assert!(text("{\"a\":").is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = lines(&body);
        }
    }
}
