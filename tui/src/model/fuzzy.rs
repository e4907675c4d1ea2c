//! Fuzzy words: letters in order, each beside the one before or at the beginning of a part of the name.
//!
//! `pset` finds `payments-settle`, `bill` does not find `bounded-import-ledger-log`: what is found must
//! be understood at a glance. Used by filters and the finder (console-ux.md §4.3, §5.2).

/// How well a word fits, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fit {
    /// The whole name.
    Exact,
    /// Its beginning.
    Prefix,
    /// Something inside.
    Part,
    /// Letters in order.
    Fuzzy,
}

/// How a word fits a name, letters of either case; none: not at all. An empty word fits everything.
pub fn rank(word: &str, name: &str) -> Option<Fit> {
    let lower = name.to_lowercase();
    let word = word.to_lowercase();
    if lower == word {
        return Some(Fit::Exact);
    }
    match lower.find(&word) {
        Some(0) => return Some(Fit::Prefix),
        Some(_) => return Some(Fit::Part),
        None => {}
    }
    let name: Vec<char> = name.chars().collect();
    let word: Vec<char> = word.chars().collect();
    in_order(&word, &name).then_some(Fit::Fuzzy)
}

/// Whether a part of the name begins here.
fn begins(name: &[char], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|i| name[i]) else { return true };
    !before.is_alphanumeric()
        || (name[at].is_uppercase() && before.is_lowercase())
        || (name[at].is_numeric() != before.is_numeric())
}

/// Letter by letter: the places where the word's beginning can end. One pass over a set, no recursion.
fn in_order(word: &[char], name: &[char]) -> bool {
    let same = |at: usize, c: char| name[at].to_lowercase().eq(c.to_lowercase());
    let Some((first, rest)) = word.split_first() else { return true };
    let mut ends: Vec<bool> = (0..name.len()).map(|at| same(at, *first)).collect();
    for c in rest {
        let mut next = vec![false; name.len()];
        let mut earlier = false;
        for at in 1..name.len() {
            earlier |= ends[at - 1];
            next[at] = same(at, *c) && (ends[at - 1] || (earlier && begins(name, at)));
        }
        ends = next;
    }
    ends.contains(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_together_or_begin_a_part() {
        for (word, name, fit) in [
            ("", "a", Some(Fit::Prefix)),
            ("billing", "Billing", Some(Fit::Exact)),
            ("BILL", "billing-events", Some(Fit::Prefix)),
            ("settle", "payments-settle", Some(Fit::Part)),
            ("pset", "payments-settle", Some(Fit::Fuzzy)),
            ("pays", "payments-settle", Some(Fit::Fuzzy)),
            ("ol", "orderLine", Some(Fit::Fuzzy)),
            ("q12", "queue-12", Some(Fit::Fuzzy)),
            ("pmts", "payments-settle", None),
            ("bill", "bounded-import-ledger", None),
            ("zzz", "payments", None),
            ("long", "lo", None),
        ] {
            assert_eq!(rank(word, name), fit, "{word} {name}");
        }
    }
}
