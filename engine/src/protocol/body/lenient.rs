//! Readers for members that clients write in more than one JSON type.
//!
//! Go writes tag codes as strings, C++ writes enums as ordinals and versions as strings, and `null`
//! stands for absent everywhere. Spec: remoting.md §8.1.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Reads a value or `null`, which counts as absent.
pub fn or_default<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

/// Reads an integer written as number, as decimal string, or as `null` (zero).
pub fn number<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64> + FromStr + Default,
{
    Number::deserialize(input).map(|number| number.0)
}

/// Reads a list of integers of either form; `null` is an empty list.
pub fn numbers<'de, D, T>(input: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64> + FromStr + Default,
{
    let list: Option<Vec<Number<T>>> = Option::deserialize(input)?;
    Ok(list.unwrap_or_default().into_iter().map(|number| number.0).collect())
}

struct Number<T>(T);

impl<'de, T: TryFrom<i64> + FromStr + Default> Deserialize<'de> for Number<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(NumberVisitor(PhantomData)).map(Number)
    }
}

struct NumberVisitor<T>(PhantomData<T>);

impl<T: TryFrom<i64> + FromStr + Default> Visitor<'_> for NumberVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer, as number or text")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        T::try_from(value).map_err(|_| E::custom(format_args!("{value} is out of range")))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        i64::try_from(value)
            .map_err(|_| E::custom(format_args!("{value} is out of range")))
            .and_then(|value| self.visit_i64(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        self.visit_i64(value as i64)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T, E> {
        match value.trim() {
            "" => Ok(T::default()),
            text => text.parse().map_err(|_| E::custom(format_args!("{text:?} is no integer"))),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::default())
    }
}

/// Declares an enum that is written by name and read by name, by ordinal, or as its default when
/// the value is unknown or `null`.
macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident, default $default:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name { $($variant),+ }

        impl $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The variant of this name, or the default.
            #[must_use]
            pub fn from_name(name: &str) -> Self {
                Self::ALL.iter().copied().find(|v| v.as_str() == name).unwrap_or_default()
            }
        }

        impl Default for $name {
            fn default() -> Self { Self::$default }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                let value = serde_json::Value::deserialize(input)?;
                Ok(match &value {
                    serde_json::Value::String(name) => Self::from_name(name),
                    serde_json::Value::Number(n) => n
                        .as_u64()
                        .and_then(|n| Self::ALL.get(usize::try_from(n).ok()?).copied())
                        .unwrap_or_default(),
                    _ => Self::default(),
                })
            }
        }
    };
}
pub(crate) use wire_enum;
