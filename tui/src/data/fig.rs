//! A figure with its degree of certainty: what a cell of any table holds.
//!
//! Unknown is never 0 and a sum with an unknown part is never exact (console-ux.md §1, §5.3). Screens
//! turn a figure into text with [`Fig::text`]; rules add figures up with [`sum`].

use std::borrow::Cow;

/// Why a figure is missing, for the details pane.
pub type Reason = Cow<'static, str>;

/// A value together with what is known about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Fig<T> {
    /// Exact at the time of the snapshot.
    Known(T),
    /// A part is unknown or a scan is not done: `≥`.
    AtLeast(T),
    /// A tag filter or an upper bound: `≤`.
    AtMost(T),
    /// Sampled, or rounded by the broker: `≈`.
    About(T),
    /// Mean of a long window of the broker's own statistics: `avg`.
    Mean(T),
    /// Kept from the last answer, so many milliseconds old: `~`.
    Stale(T, i64),
    /// Not enough samples yet: `…`.
    Few,
    /// Nobody could tell: `?`.
    Unknown(Reason),
    /// The figure does not exist for this thing: `–`.
    NotApplicable(Reason),
}

impl<T> Fig<T> {
    /// An unknown figure with a fixed reason.
    pub const fn unknown(reason: &'static str) -> Self {
        Self::Unknown(Cow::Borrowed(reason))
    }

    /// A figure that does not apply, with a fixed reason.
    pub const fn none(reason: &'static str) -> Self {
        Self::NotApplicable(Cow::Borrowed(reason))
    }

    /// The number inside, whatever its certainty.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Known(v)
            | Self::AtLeast(v)
            | Self::AtMost(v)
            | Self::About(v)
            | Self::Mean(v)
            | Self::Stale(v, _) => Some(v),
            Self::Few | Self::Unknown(_) | Self::NotApplicable(_) => None,
        }
    }

    /// The same certainty around another value.
    pub fn map<U>(&self, f: impl FnOnce(&T) -> U) -> Fig<U> {
        match self {
            Self::Known(v) => Fig::Known(f(v)),
            Self::AtLeast(v) => Fig::AtLeast(f(v)),
            Self::AtMost(v) => Fig::AtMost(f(v)),
            Self::About(v) => Fig::About(f(v)),
            Self::Mean(v) => Fig::Mean(f(v)),
            Self::Stale(v, age) => Fig::Stale(f(v), *age),
            Self::Few => Fig::Few,
            Self::Unknown(r) => Fig::Unknown(r.clone()),
            Self::NotApplicable(r) => Fig::NotApplicable(r.clone()),
        }
    }

    /// The figure with its sign, the value written by `f`.
    pub fn text(&self, f: impl FnOnce(&T) -> String) -> String {
        match self {
            Self::Known(v) => f(v),
            Self::AtLeast(v) => format!("≥{}", f(v)),
            Self::AtMost(v) => format!("≤{}", f(v)),
            Self::About(v) => format!("≈{}", f(v)),
            Self::Mean(v) => format!("{} avg", f(v)),
            Self::Stale(v, _) => format!("~{}", f(v)),
            Self::Few => "…".to_owned(),
            Self::Unknown(_) => "?".to_owned(),
            Self::NotApplicable(_) => "–".to_owned(),
        }
    }

    /// Why there is no value.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Unknown(r) | Self::NotApplicable(r) => Some(r),
            Self::Few => Some("needs more samples"),
            _ => None,
        }
    }

    /// True for `?` only.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

/// Adds figures up. What does not apply counts nothing; an unknown part makes the sum `≥`, and a sum
/// of nothing but unknowns is unknown.
pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Fig<u64>>) -> Fig<u64> {
    let (mut total, mut seen, mut missing) = (0u64, false, None);
    let (mut least, mut most, mut about, mut age) = (false, false, false, None::<i64>);
    for part in parts {
        if let Some(value) = part.value() {
            seen = true;
            total = total.saturating_add(*value);
        }
        match part {
            Fig::AtLeast(_) => least = true,
            Fig::AtMost(_) => most = true,
            Fig::About(_) | Fig::Mean(_) => about = true,
            Fig::Stale(_, a) => age = Some(age.unwrap_or(0).max(*a)),
            Fig::Unknown(r) => missing = Some(r.clone()),
            Fig::Few => missing = Some(Cow::Borrowed("needs more samples")),
            Fig::Known(_) | Fig::NotApplicable(_) => {}
        }
    }
    match (missing, age) {
        (Some(reason), _) if !seen => Fig::Unknown(reason),
        (Some(_), _) => Fig::AtLeast(total),
        (None, _) if least => Fig::AtLeast(total),
        (None, Some(age)) => Fig::Stale(total, age),
        (None, None) if about => Fig::About(total),
        (None, None) if most => Fig::AtMost(total),
        _ => Fig::Known(total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_with_an_unknown_part_is_at_least() {
        let parts = [Fig::Known(96_104), Fig::unknown("code 16"), Fig::AtMost(640)];
        assert_eq!(sum(&parts), Fig::AtLeast(96_744));
    }

    #[test]
    fn a_sum_of_unknowns_is_unknown_and_of_nothing_is_zero() {
        assert_eq!(sum(&[Fig::unknown("x")]), Fig::unknown("x"));
        assert_eq!(sum(&[]), Fig::Known(0));
        assert_eq!(sum(&[Fig::none("on clients"), Fig::Known(2)]), Fig::Known(2));
    }

    #[test]
    fn unknown_is_never_written_as_zero() {
        assert_eq!(Fig::<u64>::unknown("silent").text(u64::to_string), "?");
        assert_eq!(Fig::<u64>::none("pop").text(u64::to_string), "–");
        assert_eq!(Fig::<u64>::Few.text(u64::to_string), "…");
    }
}
