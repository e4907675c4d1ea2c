//! The words typed after `/`: which names a list shows (console-ux.md §5.2, names only so far).
//!
//! Blanks combine with and, `!` negates, `|` within a word means or. A word matches when it is part
//! of the name, letters of either case.

/// A compiled filter; empty shows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<(bool, Vec<String>)>,
}

impl Filter {
    /// Compiles what was typed. Every text is a filter.
    pub fn new(text: &str) -> Self {
        let terms = text
            .split_whitespace()
            .filter_map(|word| {
                let (wanted, word) = match word.strip_prefix('!') {
                    Some(rest) => (false, rest),
                    None => (true, word),
                };
                let any: Vec<String> =
                    word.split('|').filter(|w| !w.is_empty()).map(str::to_lowercase).collect();
                (!any.is_empty()).then_some((wanted, any))
            })
            .collect();
        Self { terms }
    }

    /// Whether nothing is hidden.
    pub const fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a name is shown.
    pub fn shows(&self, name: &str) -> bool {
        if self.terms.is_empty() {
            return true;
        }
        let name = name.to_lowercase();
        self.terms.iter().all(|(wanted, any)| any.iter().any(|w| name.contains(w)) == *wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_and_bars_are_or_and_marks_negate() {
        for (filter, shown) in [
            ("", true),
            ("pay", true),
            ("PAY set", true),
            ("pay !settle", false),
            ("bill|settle", true),
            ("!bill", true),
            ("|", true),
            ("!", true),
            ("x", false),
        ] {
            assert_eq!(Filter::new(filter).shows("payments-settle"), shown, "{filter}");
        }
    }
}
