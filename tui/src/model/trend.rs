//! ▲ ▼ =: whether a series rises or falls beyond its noise (console-ux.md §2.1).
//!
//! Regression over 5 minutes; the change counts when it is larger than 5 % of the mean, 10 messages
//! and three times the median absolute residual. Below six samples there is no verdict.

/// Samples needed for a verdict.
const SAMPLES_MIN: usize = 6;
/// Messages that are always noise.
const CHANGE_MIN: f64 = 10.0;

/// The sign behind a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Trend {
    Rising,
    Falling,
    Level,
    /// Too few samples.
    #[default]
    Few,
    /// There is no series.
    None,
}

impl Trend {
    /// One cell.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Rising => "▲",
            Self::Falling => "▼",
            Self::Level => "=",
            Self::Few => "…",
            Self::None => " ",
        }
    }
}

/// Judges equally spaced samples, gaps left out.
pub fn trend(samples: &[Option<u64>]) -> Trend {
    let points: Vec<(f64, f64)> =
        samples.iter().enumerate().filter_map(|(i, v)| v.map(|v| (i as f64, v as f64))).collect();
    if points.len() < SAMPLES_MIN {
        return Trend::Few;
    }
    let n = points.len() as f64;
    let mean_x = points.iter().map(|p| p.0).sum::<f64>() / n;
    let mean_y = points.iter().map(|p| p.1).sum::<f64>() / n;
    let var = points.iter().map(|p| (p.0 - mean_x).powi(2)).sum::<f64>();
    let cov = points.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum::<f64>();
    let slope = cov / var;
    let mut residuals: Vec<f64> =
        points.iter().map(|p| (p.1 - mean_y - slope * (p.0 - mean_x)).abs()).collect();
    residuals.sort_by(f64::total_cmp);
    let median = residuals[residuals.len() / 2];
    let span = points[points.len() - 1].0 - points[0].0;
    let change = slope * span;
    let noise = (mean_y * 0.05).max(CHANGE_MIN).max(3.0 * median);
    match change {
        c if c > noise => Trend::Rising,
        c if c < -noise => Trend::Falling,
        _ => Trend::Level,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_samples_are_needed() {
        assert_eq!(trend(&[Some(1), Some(100), Some(1_000), None, Some(5)]), Trend::Few);
    }

    #[test]
    fn growth_beyond_noise_rises_and_shrinking_falls() {
        let up: Vec<_> = (0..10).map(|i| Some(1_000 + i * 100)).collect();
        let down: Vec<_> = (0..10).map(|i| Some(2_000 - i * 100)).collect();
        assert_eq!(trend(&up), Trend::Rising);
        assert_eq!(trend(&down), Trend::Falling);
    }

    #[test]
    fn ten_messages_and_zigzag_are_noise() {
        let small: Vec<_> = (0..10).map(Some).collect();
        let zigzag: Vec<_> = (0..20).map(|i| Some(if i % 2 == 0 { 900 } else { 1_100 })).collect();
        assert_eq!(trend(&small), Trend::Level);
        assert_eq!(trend(&zigzag), Trend::Level);
    }
}
