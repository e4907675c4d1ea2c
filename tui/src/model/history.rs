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

/// Readings of a counter over the last minutes, for rates over any window.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    readings: VecDeque<(i64, u64)>,
    /// Since when the value has not changed.
    still_since: i64,
}

/// How far back a meter remembers.
const METER_MS: i64 = 70_000;

impl Meter {
    /// Takes a reading. A counter that went backwards starts anew.
    pub fn push(&mut self, now_ms: i64, value: u64) {
        match self.readings.back() {
            Some((_, last)) if value < *last => {
                self.readings.clear();
                self.still_since = now_ms;
            }
            Some((_, last)) if value == *last => {}
            _ => self.still_since = now_ms,
        }
        if self.readings.back().is_some_and(|(at, _)| *at >= now_ms) {
            return;
        }
        self.readings.push_back((now_ms, value));
        while self.readings.front().is_some_and(|(at, _)| now_ms - at > METER_MS) {
            self.readings.pop_front();
        }
    }

    /// Change per second over at most `window_ms`, from two readings at least `least_ms` apart.
    pub fn rate(&self, window_ms: i64, least_ms: i64) -> Option<f64> {
        let now = *self.readings.back()?;
        let before = *self.readings.iter().find(|(at, _)| now.0 - at <= window_ms)?;
        if now.0 - before.0 < least_ms { None } else { per_second(before, now) }
    }

    /// Change over the last minute, once a minute is known.
    pub fn per_minute(&self) -> Option<u64> {
        let now = *self.readings.back()?;
        let before = self.readings.iter().rev().find(|(at, _)| now.0 - at >= 60_000)?;
        Some(now.1 - before.1)
    }

    /// For how long the counter has stood still, once it was read twice.
    pub fn still_ms(&self) -> Option<i64> {
        let (at, _) = *self.readings.back()?;
        (self.readings.len() > 1 && at > self.still_since).then_some(at - self.still_since)
    }
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
    fn a_meter_measures_over_its_window_and_starts_anew_when_it_goes_back() {
        let mut meter = Meter::default();
        for i in 0..40 {
            meter.push(i * 2_000, i as u64 * 20);
        }
        assert_eq!(meter.rate(10_000, 1_000), Some(10.0));
        assert_eq!(meter.per_minute(), Some(600));
        meter.push(80_000, 5);
        assert_eq!(meter.rate(10_000, 1_000), None);
        meter.push(82_000, 5);
        meter.push(84_000, 5);
        assert_eq!(meter.still_ms(), Some(4_000));
    }

    #[test]
    fn a_counter_that_went_backwards_has_no_rate() {
        assert_eq!(per_second((0, 100), (1_000, 90)), None);
        assert_eq!(per_second((0, 100), (0, 110)), None);
        assert_eq!(per_second((0, 100), (2_000, 300)), Some(100.0));
    }
}
