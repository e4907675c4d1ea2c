//! One-line charts of braille: two samples a cell, four heights, gaps for unknown; bars of eighths.

use crate::model::history::squeeze;

const LEFT: [u32; 5] = [0, 0x40, 0x44, 0x46, 0x47];
const RIGHT: [u32; 5] = [0, 0x80, 0xa0, 0xb0, 0xb8];

/// Draws a series into so many cells, from 0 to its maximum. A level series stands at half height.
pub fn spark(series: &[Option<u64>], cells: usize) -> String {
    let series = squeeze(series, cells * 2);
    let max = series.iter().flatten().max().copied().unwrap_or(0);
    let level_line = series.iter().flatten().all(|v| *v == max);
    let scale = if level_line { max.saturating_mul(2) } else { max };
    let height = |value: Option<u64>| match value {
        None => 0,
        Some(_) if scale == 0 => 2,
        Some(v) => (v as f64 * 4.0 / scale as f64).ceil().clamp(1.0, 4.0) as usize,
    };
    let missing = (cells * 2).saturating_sub(series.len());
    let all: Vec<usize> =
        std::iter::repeat_n(0, missing).chain(series.into_iter().map(height)).collect();
    all.chunks(2)
        .map(|pair| {
            let bits = LEFT[pair[0]] | RIGHT[pair.get(1).copied().unwrap_or(0)];
            if bits == 0 { ' ' } else { char::from_u32(0x2800 + bits).unwrap_or(' ') }
        })
        .collect()
}

const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A horizontal bar in eighths of a cell; anything above 0 is visible.
pub fn bar(value: u64, max: u64, cells: usize) -> String {
    if value == 0 || max == 0 {
        return String::new();
    }
    let eighths = (value as f64 * cells as f64 * 8.0 / max as f64) as usize;
    let eighths = eighths.clamp(1, cells * 8);
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// A gauge of percent with marks at watermarks.
pub fn gauge(percent: u64, marks: &[u64], cells: usize) -> String {
    let at = |p: u64| (p.min(100) as usize * cells / 100).min(cells.saturating_sub(1));
    let full = percent.min(100) as usize * cells / 100;
    (0..cells)
        .map(|i| match i {
            _ if marks.iter().any(|m| at(*m) == i) && i >= full => '│',
            _ if i < full => '█',
            _ => '░',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_follow_the_maximum_and_gaps_stay_empty() {
        assert_eq!(spark(&[Some(1), Some(2), Some(3), Some(4), None, None], 3), "⣠⣾ ");
        assert_eq!(spark(&[Some(7); 20], 10), "⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤");
        assert_eq!(spark(&[], 3), "   ");
    }

    #[test]
    fn bars_scale_to_the_largest() {
        assert_eq!(bar(413, 413, 7), "███████");
        assert_eq!(bar(1, 413, 7), "▏");
        assert_eq!(bar(0, 413, 7), "");
    }
}
