//! What a change of the configuration over the wire does: taken, ignored or refused, key by key.
//!
//! Pure: a configuration, the lines of a request and the rules of its keys give the next configuration
//! or a refusal; nothing is half taken. Who keeps the result and acts on it is the caller. Spec:
//! admin.md §4.12, architecture.md §10.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Refusal;
use crate::protocol::response_code::{INVALID_PARAMETER, NO_PERMISSION, SYSTEM_ERROR};

/// Most bytes of one request.
const BODY_MAX: usize = 1 << 20;
/// Most ignored keys that a remark names.
const NAMED_MAX: usize = 16;

/// What may be set at run time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Values {
    /// Whatever the type of the key holds.
    Any,
    /// A number between both, included.
    Between(u64, u64),
    /// Rights of a broker: 4 read, 2 write, or both, or none.
    Rights,
    /// Hours of the day, `;` between them.
    Hours,
}

/// The keys of a configuration.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Keys that count at once, and what they take.
    pub run_time: &'a [(&'a str, Values)],
    /// Keys of Apache that are not ours but would name a path, a port or a role.
    pub refused: &'a [&'a str],
    /// Keys that end a request with 16.
    pub black_list: &'a [&'a str],
    /// Further such keys, `;` between them.
    pub black_list_more: &'a str,
}

/// A change that may be made.
#[derive(Clone, PartialEq, Debug)]
pub struct Change<T> {
    /// The configuration after it.
    pub config: T,
    /// Keys that were named and taken, with their text.
    pub taken: BTreeMap<String, String>,
    /// Keys that nothing knows.
    pub ignored: Vec<String>,
}

impl<T> Change<T> {
    /// What the answer says; nothing when every key was taken.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        let (named, more) = self.ignored.split_at(self.ignored.len().min(NAMED_MAX));
        if named.is_empty() {
            return None;
        }
        let more =
            if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        Some(format!("ignored, not known here: {}{more}", named.join(", ")))
    }
}

/// The text of every key of a configuration; keys without a value are left out.
#[must_use]
pub fn entries<T: Serialize>(config: &T) -> BTreeMap<String, String> {
    let Ok(Value::Object(keys)) = serde_json::to_value(config) else { return BTreeMap::new() };
    let text = |value| match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    keys.into_iter().filter_map(|(key, value)| Some((key, text(value)?))).collect()
}

/// `key=value` lines, as they are sent and kept.
#[must_use]
pub fn lines(entries: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (key, value) in entries {
        text.extend([key.as_str(), "=", value.as_str(), "\n"]);
    }
    text
}

/// Decides a change. `shown` is what a reader of the configuration sees: a line that repeats it
/// changes nothing and is never refused, so that tools may send back what they read.
pub fn plan<T: Serialize + DeserializeOwned>(
    config: &T,
    shown: &BTreeMap<String, String>,
    body: &[u8],
    rules: &Rules<'_>,
) -> Result<Change<T>, Refusal> {
    let pairs = parse(body)?;
    if let Some((key, _)) = pairs.iter().find(|(key, _)| is_black(key, rules)) {
        let remark = format!("Can not update config in black list. key: {key}");
        return Err(Refusal::new(NO_PERMISSION, remark));
    }
    let mut tree = serde_json::to_value(config)
        .map_err(|error| Refusal::new(SYSTEM_ERROR, error.to_string()))?;
    let mut change = Change { taken: BTreeMap::new(), ignored: Vec::new(), config: () };
    for (key, text) in pairs {
        if shown.get(key).is_some_and(|now| now == text) {
            continue;
        }
        let known = tree.get(key).is_some() || shown.contains_key(key);
        match rules.run_time.iter().find(|(name, _)| *name == key) {
            Some((_, values)) if tree.get(key).is_some() => {
                let value = checked(key, text, *values)?;
                tree = with::<T>(tree, key, value).map_err(|problem| bad(key, text, &problem))?;
                change.taken.insert(key.to_owned(), text.to_owned());
            }
            _ if known || is_refused(key, rules) => {
                let remark = format!("{key} can only be set before the start");
                return Err(Refusal::new(INVALID_PARAMETER, remark));
            }
            _ => change.ignored.push(key.to_owned()),
        }
    }
    let config = serde_json::from_value(tree)
        .map_err(|error| Refusal::new(SYSTEM_ERROR, error.to_string()))?;
    Ok(Change { config, taken: change.taken, ignored: change.ignored })
}

/// The pairs of a body; of a key that comes twice the last counts.
fn parse(body: &[u8]) -> Result<BTreeMap<&str, &str>, Refusal> {
    let bad =
        |problem: &str| Refusal::new(INVALID_PARAMETER, format!("bad request body: {problem}"));
    if body.len() > BODY_MAX {
        return Err(bad(&format!("more than {BODY_MAX} bytes")));
    }
    let text = std::str::from_utf8(body).map_err(|_| bad("not UTF-8"))?;
    let mut pairs = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        pairs.insert(key.trim(), value.trim());
    }
    Ok(pairs)
}

fn is_black(key: &str, rules: &Rules<'_>) -> bool {
    rules.black_list.contains(&key)
        || rules.black_list_more.split(';').any(|black| black.trim() == key)
}

/// Keys that this configuration does not have, but that a tool must not believe to be set.
fn is_refused(key: &str, rules: &Rules<'_>) -> bool {
    rules.refused.contains(&key)
        || key.starts_with("storePath")
        || ["Path", "Paths", "Port", "Addr", "Address", "Dir"].iter().any(|end| key.ends_with(end))
}

/// The value of a text, as a key of these values takes it.
fn checked(key: &str, text: &str, values: Values) -> Result<Value, Refusal> {
    let number = text.parse::<u64>();
    match values {
        Values::Any => {}
        Values::Between(min, max) => {
            if !number.is_ok_and(|number| (min..=max).contains(&number)) {
                return Err(bad(key, text, &format!("a number from {min} to {max} is needed")));
            }
        }
        Values::Rights => {
            if !["0", "2", "4", "6"].contains(&text) {
                return Err(bad(key, text, "0, 2 (write), 4 (read) or 6 is needed"));
            }
        }
        Values::Hours => {
            let hour = |part: &str| part.trim().parse::<u8>().is_ok_and(|hour| hour < 24);
            if !text.split(';').all(hour) {
                return Err(bad(key, text, "hours from 0 to 23 with ; between them are needed"));
            }
        }
    }
    Ok(match text.to_ascii_lowercase().as_str() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => text.parse::<u64>().map_or_else(|_| Value::String(text.to_owned()), Value::from),
    })
}

/// The tree with a value in place, as number or truth value if the key is one, else as text.
fn with<T: DeserializeOwned>(mut tree: Value, key: &str, value: Value) -> Result<Value, String> {
    let text = match &value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    tree[key] = value;
    let Err(first) = serde_json::from_value::<T>(tree.clone()) else { return Ok(tree) };
    tree[key] = Value::String(text);
    match serde_json::from_value::<T>(tree.clone()) {
        Ok(_) => Ok(tree),
        Err(_) => Err(first.to_string()),
    }
}

fn bad(key: &str, text: &str, problem: &str) -> Refusal {
    Refusal::new(INVALID_PARAMETER, format!("{key}={text}: {problem}"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        hours: String,
        kept_hours: u64,
        ratio: Option<u8>,
        perm: u32,
        auto: bool,
        listen_port: u16,
    }

    const RULES: Rules<'static> = Rules {
        run_time: &[
            ("hours", Values::Hours),
            ("keptHours", Values::Between(1, 100)),
            ("ratio", Values::Between(10, 95)),
            ("perm", Values::Rights),
            ("auto", Values::Any),
            ("notOurs", Values::Any),
        ],
        refused: &["brokerRole"],
        black_list: &["rocketmqHome"],
        black_list_more: "x;secret",
    };

    fn config() -> Config {
        Config {
            hours: "04".into(),
            kept_hours: 72,
            ratio: None,
            perm: 6,
            auto: true,
            listen_port: 9,
        }
    }

    fn ask(body: &str) -> Result<Change<Config>, Refusal> {
        plan(&config(), &entries(&config()), body.as_bytes(), &RULES)
    }

    #[test]
    fn known_keys_are_taken_whatever_their_type() {
        let change =
            ask("# by hand\nhours=04;16\nkeptHours = 73\r\nratio=80\nperm=4\nauto=FALSE\n")
                .unwrap();
        let want = Config {
            hours: "04;16".into(),
            kept_hours: 73,
            ratio: Some(80),
            perm: 4,
            auto: false,
            ..config()
        };
        assert_eq!(change.config, want);
        assert_eq!(change.taken.len(), 5);
        assert_eq!(change.remark(), None);
        assert_eq!(ask("hours=5").unwrap().config.hours, "5");
    }

    #[test]
    fn unknown_keys_are_named_and_change_nothing() {
        let change = ask("noSuchKey=1\nnotOurs=2\nkeptHours=70").unwrap();
        assert_eq!(change.remark().unwrap(), "ignored, not known here: noSuchKey, notOurs");
        assert_eq!(change.config.kept_hours, 70);
        let many: Vec<String> = (0..20).map(|n| format!("k{n}=1")).collect();
        let many = many.join("\n");
        assert!(ask(&many).unwrap().remark().unwrap().ends_with(" and 4 more"));
    }

    #[test]
    fn bad_values_and_keys_of_the_start_are_refused_by_name() {
        for body in [
            "keptHours=abc",
            "keptHours=0",
            "keptHours=",
            "ratio=300",
            "perm=8",
            "perm=1",
            "hours=24",
            "hours=",
            "auto=maybe",
            "listenPort=10",
            "storePathCommitLog=/tmp",
            "haListenPort=1",
            "brokerRole=SLAVE",
        ] {
            let refusal = ask(&format!("keptHours=70\n{body}")).unwrap_err();
            let key = body.split('=').next().unwrap();
            assert_eq!(refusal.code, 29, "{body}");
            assert!(refusal.remark.contains(key), "{body}: {}", refusal.remark);
        }
    }

    #[test]
    fn what_was_read_may_be_sent_back() {
        let change = ask(&lines(&entries(&config()))).unwrap();
        assert_eq!((change.config, change.taken.len()), (config(), 0));
    }

    #[test]
    fn one_black_key_refuses_the_whole_request() {
        for body in ["keptHours=70\nrocketmqHome=/", "secret=1", "x=1\nkeptHours=abc"] {
            assert_eq!(ask(body).unwrap_err().code, 16, "{body}");
        }
    }

    #[test]
    fn hostile_bodies_are_refused() {
        assert_eq!(plan(&config(), &entries(&config()), b"\xff", &RULES).unwrap_err().code, 29);
        let large = vec![b'a'; BODY_MAX + 1];
        assert_eq!(plan(&config(), &entries(&config()), &large, &RULES).unwrap_err().code, 29);
        assert_eq!(ask("=\n=1\n==").unwrap().taken.len(), 0);
    }
}
