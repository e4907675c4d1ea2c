//! A message as a text that an editor opens, and back: header lines, a blank line, the body.
//!
//! Only what a person may change is in it; what the broker and the client keep for themselves stays
//! with the message. Pure: files and editors are the caller's (console-ux.md §7.3).

use engine::client::MessageExt;
use engine::protocol::properties::{self, key};
use engine::protocol::sys_flag::SysFlag;

/// What the first lines say to whoever edits.
const HELP: &str =
    "# Save to go on, leave as it is to cancel. Lines with # above the blank line are not sent.\n";
/// Properties that are not a person's, and not shown.
const OWN: &[&str] = &[
    key::TAGS,
    key::KEYS,
    key::WAIT,
    key::DELAY,
    key::RETRY_TOPIC,
    key::REAL_TOPIC,
    key::REAL_QUEUE_ID,
    key::TRANSACTION_PREPARED,
    key::PRODUCER_GROUP,
    key::MIN_OFFSET,
    key::MAX_OFFSET,
    key::ORIGIN_MESSAGE_ID,
    key::RECONSUME_TIME,
    key::MAX_RECONSUME_TIMES,
    key::MSG_REGION,
    key::TRACE_ON,
    key::UNIQ_KEY,
    key::CLUSTER,
    key::MSG_TYPE,
    key::POP_CK,
    key::FIRST_POP_TIME,
    key::TRANSACTION_ID,
    key::CRC32,
    "CONSUME_START_TIME",
];
/// The same by how the name begins.
const OWN_PREFIXES: &[&str] = &["TIMER_", "TRANSACTION_", "TRAN_", "MQDECK_"];

fn is_own(name: &str) -> bool {
    OWN.contains(&name) || OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// What can be changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// Topic that the copy goes to.
    pub topic: String,
    /// Tag; empty for none.
    pub tag: String,
    /// Keys, separated by blanks.
    pub keys: String,
    /// The user's properties, in order.
    pub properties: Vec<(String, String)>,
    /// The body, inflated.
    pub body: Vec<u8>,
}

impl Draft {
    /// A draft of a message for a topic.
    pub fn of(message: &MessageExt, topic: &str) -> Self {
        let pairs = properties::iter(&message.properties).filter(|(name, _)| !is_own(name));
        Self {
            topic: topic.to_owned(),
            tag: message.tag().unwrap_or_default().to_owned(),
            keys: message.keys().collect::<Vec<_>>().join(" "),
            properties: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: message.body.to_vec(),
        }
    }

    /// Whether the body can be edited in place; else it is a file of its own.
    pub fn is_text(&self) -> bool {
        std::str::from_utf8(&self.body).is_ok_and(|text| !text.contains('\0'))
    }

    /// The text to edit. `file`: where a body is that is no text.
    pub fn text(&self, file: Option<&str>) -> String {
        let mut text = HELP.to_owned();
        let mut line = |name: &str, value: &str| {
            text.extend([name, ": ", &written(value), "\n"]);
        };
        line("topic", &self.topic);
        line("tag", &self.tag);
        line("keys", &self.keys);
        for (name, value) in &self.properties {
            line(&format!("prop.{name}"), value);
        }
        match file {
            Some(file) => text.extend(["body-file: ", file, "\n"]),
            None => text.extend(["\n", &String::from_utf8_lossy(&self.body)]),
        }
        text
    }

    /// Reads an edited text. A body that is a file keeps the bytes given.
    ///
    /// # Errors
    /// The line that does not read, and why.
    pub fn read(text: &str, file_body: Option<Vec<u8>>) -> Result<Self, String> {
        let (head, body) = match text.split_once("\n\n") {
            Some((head, body)) => (head, body),
            None => (text, ""),
        };
        let mut draft = Self {
            topic: String::new(),
            tag: String::new(),
            keys: String::new(),
            properties: Vec::new(),
            body: file_body.unwrap_or_else(|| body.as_bytes().to_vec()),
        };
        for (number, line) in head.lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let bad = |why: &str| format!("line {}: {why}", number + 1);
            let Some((name, value)) = line.split_once(':') else {
                return Err(bad("write NAME: VALUE"));
            };
            let value = read_value(value.trim()).ok_or_else(|| bad("the quotes do not close"))?;
            match name.trim() {
                "topic" => draft.topic = value,
                "tag" => draft.tag = value,
                "keys" => draft.keys = value,
                "body-file" => {}
                other => match other.strip_prefix("prop.") {
                    Some(name) if !properties::valid_key(name) || is_own(name) => {
                        return Err(bad("this property cannot be set"));
                    }
                    Some(_) if !properties::valid_value(&value) => {
                        return Err(bad("this value cannot be stored"));
                    }
                    Some(name) => draft.properties.push((name.to_owned(), value)),
                    None => return Err(bad("there are topic, tag, keys and prop.NAME")),
                },
            }
        }
        Ok(draft)
    }

    /// Puts the draft into a message. A changed body is stored as it is, without compression.
    pub fn apply(&self, message: &mut MessageExt) {
        let old: Vec<String> = properties::iter(&message.properties)
            .map(|(name, _)| name.to_owned())
            .filter(|name| !is_own(name) || name == key::TAGS || name == key::KEYS)
            .collect();
        for name in old {
            properties::remove(&mut message.properties, &name);
        }
        let own = [(key::TAGS, &self.tag), (key::KEYS, &self.keys)];
        for (name, value) in own.into_iter().filter(|(_, value)| !value.is_empty()) {
            properties::set(&mut message.properties, name, value);
        }
        for (name, value) in &self.properties {
            properties::set(&mut message.properties, name, value);
        }
        if message.body[..] != self.body[..] {
            message.body = self.body.clone().into();
            message.stored_body = message.body.clone();
            message.sys_flag =
                SysFlag(message.sys_flag.0 & !(SysFlag::COMPRESSED | SysFlag::COMPRESSION));
        }
    }
}

/// A value on one line: quoted as JSON where it would not come back as it is.
fn written(value: &str) -> String {
    let plain =
        value.trim() == value && !value.starts_with('"') && !value.contains(char::is_control);
    if plain { value.to_owned() } else { serde_json::Value::from(value).to_string() }
}

fn read_value(text: &str) -> Option<String> {
    if text.starts_with('"') { serde_json::from_str(text).ok() } else { Some(text.to_owned()) }
}

/// What changed, line by line: lines that went with `-`, lines that came with `+`.
pub fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let head = old.iter().zip(&new).take_while(same).count();
    let most = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(most).take_while(same).count();
    let gone = old[head..old.len() - tail].iter().map(|line| format!("- {line}"));
    let come = new[head..new.len() - tail].iter().map(|line| format!("+ {line}"));
    gone.chain(come).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draft(value: &str, body: &str) -> Draft {
        Draft {
            topic: "%RETRY%billing".into(),
            tag: "create".into(),
            keys: "inv-1 inv-2".into(),
            properties: vec![("trace".into(), value.into())],
            body: body.into(),
        }
    }

    #[test]
    fn a_text_is_what_a_person_expects() {
        let text = draft("4bf9", "{\n  \"n\": 1\n}\n").text(None);
        assert_eq!(
            text,
            format!(
                "{HELP}topic: %RETRY%billing\ntag: create\nkeys: inv-1 inv-2\nprop.trace: 4bf9\n\n\
                 {{\n  \"n\": 1\n}}\n"
            )
        );
        assert_eq!(Draft::read(&text, None), Ok(draft("4bf9", "{\n  \"n\": 1\n}\n")));
    }

    #[test]
    fn what_does_not_read_is_named_with_its_line() {
        for (text, why) in [
            ("topic: a\nnonsense\n\n", "line 2: write NAME: VALUE"),
            ("colour: red\n\n", "line 1: there are topic, tag, keys and prop.NAME"),
            ("prop.UNIQ_KEY: 1\n\n", "line 1: this property cannot be set"),
            ("prop.a: \"b\n\n", "line 1: the quotes do not close"),
        ] {
            assert_eq!(Draft::read(text, None), Err(why.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn a_difference_has_only_what_changed() {
        assert_eq!(difference("a\nb\nc", "a\nx\nc"), ["- b", "+ x"]);
        assert_eq!(difference("a\na", "a"), ["- a"]);
        assert_eq!(difference("a", "a"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in "[^\u{1}\u{2}]{1,20}", body in "[^\0]{0,60}") {
            let one = draft(&value, &body);
            prop_assert_eq!(Draft::read(&one.text(None), None), Ok(one));
        }
    }
}
