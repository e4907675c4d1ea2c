//! The key→value entries of a header: read by [`ExtFields`], written from [`Fields`] (remoting.md §5).
//!
//! Values may arrive as JSON strings, numbers or booleans (the C++ client); they are always written as
//! strings. A getter's error says which field was missing or malformed.

use std::borrow::Cow;

/// Most entries of one header; clients send about 20.
pub const EXT_FIELDS_MAX: usize = 128;

/// Entries of a header as read; later duplicates win.
#[derive(Clone, Debug, Default)]
pub struct ExtFields<'a> {
    entries: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// A header field that a request needs and does not have, or that does not parse.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FieldError {
    /// A required field is absent.
    #[error("the custom field <{0}> is null")]
    Missing(&'static str),
    /// The text is not what the field holds.
    #[error("the custom field <{name}> has the value \"{value}\", which is no {kind}")]
    Malformed {
        /// Field name on the wire.
        name: &'static str,
        /// Text as received, cut to 64 characters.
        value: String,
        /// What was expected.
        kind: &'static str,
    },
}

impl<'a> ExtFields<'a> {
    /// Adds an entry; `false` when there are too many.
    #[must_use]
    pub fn push(&mut self, key: Cow<'a, str>, value: Cow<'a, str>) -> bool {
        if self.entries.is_empty() {
            self.entries.reserve(20);
        }
        self.entries.push((key, value));
        self.entries.len() <= EXT_FIELDS_MAX
    }

    /// The value of `key`, if present.
    pub fn get(&self, key: &str) -> Option<&str> {
        // PERF: most names are one letter; the first byte spares the call that compares the rest.
        let same =
            |name: &str| name.len() == key.len() && name.bytes().next() == key.bytes().next();
        let mut entries = self.entries.iter().rev();
        entries.find(|(name, _)| same(name) && name == key).map(|(_, value)| value.as_ref())
    }

    /// The typed value of `name`.
    pub fn typed<'s, T: Slot<'s>>(&'s self, name: &'static str) -> Result<T, FieldError> {
        T::from_slot(name, self.get(name))
    }

    /// All entries in the order received.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A type that a header field can have, as required or optional field.
pub trait Slot<'a>: Sized {
    /// Reads the text of field `name`.
    fn from_slot(name: &'static str, text: Option<&'a str>) -> Result<Self, FieldError>;
    /// Adds the field unless it is absent.
    fn to_slot(&self, name: &'static str, fields: &mut Fields);
}

macro_rules! slot {
    ($type:ty, $kind:literal, $life:lifetime, |$text:ident| $parse:expr, |$value:ident| $write:expr) => {
        impl<$life> Slot<$life> for $type {
            fn from_slot(name: &'static str, text: Option<&$life str>) -> Result<Self, FieldError> {
                let $text = text.ok_or(FieldError::Missing(name))?;
                ($parse).ok_or_else(|| malformed(name, $text, $kind))
            }

            fn to_slot(&self, name: &'static str, fields: &mut Fields) {
                let $value = self;
                fields.push(name, $write);
            }
        }

        impl<$life> Slot<$life> for Option<$type> {
            fn from_slot(name: &'static str, text: Option<&$life str>) -> Result<Self, FieldError> {
                match text {
                    None | Some("null") => Ok(None),
                    some => <$type>::from_slot(name, some).map(Some),
                }
            }

            fn to_slot(&self, name: &'static str, fields: &mut Fields) {
                if let Some(value) = self {
                    value.to_slot(name, fields);
                }
            }
        }
    };
}

slot!(&'a str, "text", 'a, |text| Some(text), |value| Value::Text(Cow::Owned((*value).to_owned())));
slot!(String, "text", 'a, |text| Some(text.to_owned()), |value| Value::Text(Cow::Owned(value.clone())));
slot!(i32, "32-bit integer", 'a, |text| integer(text).and_then(|n| i32::try_from(n).ok()), |value| Value::Int(i64::from(*value)));
slot!(i64, "64-bit integer", 'a, |text| integer(text), |value| Value::Int(*value));
slot!(bool, "boolean", 'a, |text| Some(text.eq_ignore_ascii_case("true")), |value| Value::Bool(*value));

/// Integers as every client writes them; C++ sends JSON numbers, possibly with blanks around.
fn integer(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

fn malformed(name: &'static str, value: &str, kind: &'static str) -> FieldError {
    FieldError::Malformed { name, value: value.chars().take(64).collect(), kind }
}

/// The value of a field to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A number, written in decimal.
    Int(i64),
    /// `true` or `false`.
    Bool(bool),
    /// Any text.
    Text(Cow<'static, str>),
}

/// Fields to be written, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fields {
    entries: Vec<(Cow<'static, str>, Value)>,
}

impl Fields {
    /// No fields.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds one field.
    pub fn push(&mut self, key: impl Into<Cow<'static, str>>, value: Value) {
        self.entries.push((key.into(), value));
    }

    /// Adds a number and returns the fields.
    #[must_use]
    pub fn int(mut self, key: &'static str, value: i64) -> Self {
        self.push(key, Value::Int(value));
        self
    }

    /// Adds a text and returns the fields.
    #[must_use]
    pub fn text(mut self, key: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.push(key, Value::Text(value.into()));
        self
    }

    /// Adds a boolean and returns the fields.
    #[must_use]
    pub fn flag(mut self, key: &'static str, value: bool) -> Self {
        self.push(key, Value::Bool(value));
        self
    }

    /// The entries in the order of writing.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_ref(), value))
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_field_is_named_and_an_optional_one_is_none() {
        let mut ext = ExtFields::default();
        assert!(ext.push("queueId".into(), " 7 ".into()));
        assert!(ext.push("broken".into(), "x1".into()));
        assert_eq!(ext.typed::<i32>("queueId"), Ok(7));
        assert_eq!(ext.typed::<i32>("topic"), Err(FieldError::Missing("topic")));
        assert_eq!(ext.typed::<Option<i64>>("topic"), Ok(None));
        assert!(matches!(ext.typed::<Option<i64>>("broken"), Err(FieldError::Malformed { .. })));
        assert_eq!(ext.typed::<bool>("broken"), Ok(false));
    }

    #[test]
    fn later_duplicates_win_and_the_number_of_entries_is_bounded() {
        let mut ext = ExtFields::default();
        for n in 0..EXT_FIELDS_MAX {
            assert!(ext.push("k".into(), n.to_string().into()));
        }
        assert_eq!(ext.get("k"), Some("127"));
        assert!(!ext.push("k".into(), "x".into()));
    }
}
