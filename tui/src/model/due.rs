//! How soon things are due, in a few steps (console-screens.md §6.9).

/// The steps: name, and the longest wait in it, ms; the last has no end.
pub const STEPS: [(&str, i64); 6] = [
    ("1m", 60_000),
    ("5m", 300_000),
    ("15m", 900_000),
    ("1h", 3_600_000),
    ("24h", 86_400_000),
    ("later", i64::MAX),
];

/// Counts waits by the first step that holds them; what is overdue stands in the first.
pub fn histogram(waits_ms: impl Iterator<Item = i64>) -> [u64; STEPS.len()] {
    let mut counts = [0; STEPS.len()];
    for wait in waits_ms {
        let at = STEPS.iter().position(|(_, end)| wait <= *end).unwrap_or(STEPS.len() - 1);
        counts[at] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::histogram;

    #[test]
    fn each_wait_is_counted_once_in_the_first_step_that_holds_it() {
        let waits = [-5, 60_000, 60_001, 900_000, 3_600_001, 86_400_001, i64::MAX];
        assert_eq!(histogram(waits.into_iter()), [2, 1, 1, 0, 1, 2]);
    }
}
