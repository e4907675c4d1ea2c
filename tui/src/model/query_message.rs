//! Fields of messages and dead letters, as conditions name them (console-ux.md §5.2).

use serde_json::Value as Json;

use super::query::{Comparison, Op, Query, QueryError, Subject, Value};
use crate::data::{Letter, Message};

/// Fields of messages; `.path` and `prop.NAME` beside them.
pub const MESSAGE: &[&str] = &[
    "id",
    "unique_id",
    "offset_id",
    "topic",
    "broker",
    "queue",
    "offset",
    "stored",
    "born",
    "born_host",
    "store_host",
    "size",
    "tag",
    "key",
    "keys",
    "tries",
    "flag",
    "body",
];
/// Fields that dead letters have beside those.
pub const LETTER: &[&str] = &["died", "origin", "again", "sent_again", "died_again"];

/// What a condition is asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Messages,
    Letters,
}

fn is_field(field: &str, of: Of) -> bool {
    field.starts_with('.')
        || field.starts_with("prop.")
        || MESSAGE.contains(&field)
        || (of == Of::Letters && LETTER.contains(&field))
}

/// Checks the fields of a condition, and that times are compared with times.
///
/// # Errors
/// A field that there is not, or a value that is no time.
pub fn check(query: &Query, of: Of) -> Result<(), QueryError> {
    for comparison in query.comparisons() {
        let Comparison { field, value, op, .. } = comparison;
        if !is_field(field, of) {
            let mut fields = MESSAGE.join(", ");
            if of == Of::Letters {
                fields = format!("{fields}, {}", LETTER.join(", "));
            }
            let reason = format!("no field {field:?}; there are {fields}, .path and prop.NAME");
            return Err(comparison.wrong(reason));
        }
        let is_time = matches!(field.as_str(), "stored" | "born" | "died");
        if is_time && value.time.is_none() && *op != Op::Contains {
            let text = &value.text;
            let reason = format!("{field} is compared with a time such as -2h, not {text:?}");
            return Err(comparison.wrong(reason));
        }
    }
    Ok(())
}

fn number(value: impl Into<f64>) -> Value {
    Value::Number(value.into())
}

fn time(ms: i64) -> Value {
    Value::Time(Box::new(Value::Number(ms as f64)))
}

impl Subject for Message {
    fn names(&self) -> Vec<String> {
        vec![self.keys.clone(), self.tag.clone(), self.unique_id.clone()]
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn value(&self, field: &str) -> Value {
        match field {
            "id" => Value::Texts(vec![
                self.unique_id.clone(),
                self.offset_id.clone(),
                format!("{}:{}:{}", self.broker, self.queue, self.offset),
            ]),
            "unique_id" => Value::Text(self.unique_id.clone()),
            "offset_id" => Value::Text(self.offset_id.clone()),
            "topic" => Value::Text(self.topic.to_string()),
            "broker" => Value::Text(self.broker.to_string()),
            "queue" => number(self.queue),
            "offset" => number(self.offset as f64),
            "stored" => time(self.stored_ms),
            "born" => time(self.born_ms),
            "born_host" => Value::Text(self.born_host.clone()),
            "store_host" => Value::Text(self.store_host.clone()),
            "size" => number(self.body.len() as f64),
            "tag" => Value::Text(self.tag.clone()),
            "key" | "keys" => {
                Value::Texts(self.keys.split_whitespace().map(str::to_owned).collect())
            }
            "tries" => number(self.tries),
            "flag" => number(self.flag),
            "body" => Value::Text(self.text()),
            other => match (other.strip_prefix("prop."), other.strip_prefix('.')) {
                (Some(name), _) => property(self, name),
                (None, Some(path)) => json(&self.body, path),
                (None, None) => Value::None,
            },
        }
    }
}

impl Subject for Letter {
    fn names(&self) -> Vec<String> {
        let mut names = self.message.names();
        names.push(self.origin.to_string());
        names
    }

    fn text(&self) -> String {
        self.message.text()
    }

    fn value(&self, field: &str) -> Value {
        match field {
            "died" => time(self.message.stored_ms),
            "origin" => Value::Text(self.origin.to_string()),
            "tries" => number(self.tries),
            "again" => Value::Text(self.again.text()),
            "sent_again" => number(self.again.sent),
            "died_again" => number(self.again.died),
            other => self.message.value(other),
        }
    }
}

/// A property by its name, letters of either case.
fn property(message: &Message, name: &str) -> Value {
    let found = message.properties.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map_or(Value::None, |(_, value)| Value::Text(value.clone()))
}

/// What stands at a path of a JSON body; nothing where the body is none or has no such path.
fn json(body: &[u8], path: &str) -> Value {
    let Ok(root) = serde_json::from_slice::<Json>(body) else { return Value::None };
    let mut at = &root;
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let next = match at {
            Json::Object(object) => object.get(step),
            Json::Array(list) => step.parse::<usize>().ok().and_then(|n| list.get(n)),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return Value::None,
        }
    }
    match at {
        Json::Null => Value::None,
        Json::Bool(flag) => Value::Flag(*flag),
        Json::Number(n) => n.as_f64().map_or(Value::None, Value::Number),
        Json::String(text) => Value::Text(text.clone()),
        other => Value::Text(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_into_objects_and_lists() {
        let body = br#"{"amount":"12.50","lines":[{"sku":"a"},{"sku":"b","n":2}],"paid":true}"#;
        assert_eq!(json(body, "amount"), Value::Text("12.50".into()));
        assert_eq!(json(body, "lines.1.sku"), Value::Text("b".into()));
        assert_eq!(json(body, "lines.1.n"), Value::Number(2.0));
        assert_eq!(json(body, "paid"), Value::Flag(true));
        assert_eq!(json(body, "lines.7.sku"), Value::None);
        assert_eq!(json(b"no json", "amount"), Value::None);
    }
}
