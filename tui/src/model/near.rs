//! What a typing error away was meant, for messages about unknown names.

/// The candidate that is near enough to have been meant, if there is one.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(steps, _)| *steps <= (word.len() / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// `; did you mean "theme"?`, or nothing.
pub fn did_you_mean(like: Option<&str>) -> String {
    like.map(|like| format!("; did you mean {like:?}?")).unwrap_or_default()
}

/// Levenshtein's distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typing_error_away_was_meant() {
        let known = || ["theme", "interval", "time"].into_iter();
        assert_eq!(nearest("them", known()), Some("theme"));
        assert_eq!(nearest("INTERVALL", known()), Some("interval"));
        assert_eq!(nearest("listen", known()), None);
    }
}
