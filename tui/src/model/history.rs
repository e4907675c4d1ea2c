//! Short series of figures: steps of 10 s for 15 min (console-ux.md §9).
//!
//! A pause or an unknown figure is a gap. A counter that went backwards makes a gap, not a spike.

use std::collections::VecDeque;

/// Length of one step.
pub const STEP_MS: i64 = 10_000;
/// Steps kept: 15 minutes.
pub const STEPS: usize = 90;

/// One series.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Number of the newest step since 1970.
    newest: i64,
    steps: VecDeque<Option<u64>>,
}

impl Series {
    /// Records a value; within one step the last one counts, a missing value keeps what is there.
    pub fn push(&mut self, now_ms: i64, value: Option<u64>) {
        let step = now_ms.div_euclid(STEP_MS);
        if self.steps.is_empty() {
            self.newest = step - 1;
        }
        if step <= self.newest {
            if let (Some(last), Some(value)) = (self.steps.back_mut(), value) {
                *last = Some(value);
            }
            return;
        }
        let gap = (step - self.newest - 1).min(STEPS as i64);
        self.steps.extend((0..gap).map(|_| None));
        self.steps.push_back(value);
        self.newest = step;
        while self.steps.len() > STEPS {
            self.steps.pop_front();
        }
    }

    /// The newest `n` steps, oldest first.
    pub fn last(&self, n: usize) -> Vec<Option<u64>> {
        let skip = self.steps.len().saturating_sub(n);
        self.steps.iter().skip(skip).copied().collect()
    }

    /// All steps squeezed into `cells` cells: the maximum of each, a gap where nothing is known.
    pub fn cells(&self, cells: usize) -> Vec<Option<u64>> {
        squeeze(&self.last(STEPS), cells)
    }
}

/// Squeezes a series into so many cells.
pub fn squeeze(steps: &[Option<u64>], cells: usize) -> Vec<Option<u64>> {
    if steps.len() <= cells || cells == 0 {
        return steps.to_vec();
    }
    (0..cells)
        .map(|i| {
            let from = i * steps.len() / cells;
            let to = ((i + 1) * steps.len() / cells).max(from + 1);
            steps[from..to].iter().flatten().max().copied()
        })
        .collect()
}

/// Two readings of a counter: the change per second, nothing when it went backwards or no time passed.
pub fn per_second(before: (i64, u64), now: (i64, u64)) -> Option<f64> {
    let ms = now.0 - before.0;
    let change = now.1.checked_sub(before.1)?;
    (ms > 0).then(|| change as f64 * 1_000.0 / ms as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_gap() {
        let mut series = Series::default();
        series.push(0, Some(5));
        series.push(30_000, Some(7));
        assert_eq!(series.last(9), [Some(5), None, None, Some(7)]);
    }

    #[test]
    fn the_last_value_of_a_step_counts_and_old_steps_go() {
        let mut series = Series::default();
        for i in 0..200 {
            series.push(i * 10_000, Some(1));
            series.push(i * 10_000 + 5_000, Some(i as u64));
        }
        assert_eq!(series.last(500).len(), STEPS);
        assert_eq!(series.last(1), [Some(199)]);
    }

    #[test]
    fn a_counter_that_went_backwards_has_no_rate() {
        assert_eq!(per_second((0, 100), (1_000, 90)), None);
        assert_eq!(per_second((0, 100), (0, 110)), None);
        assert_eq!(per_second((0, 100), (2_000, 300)), Some(100.0));
    }
}
