//! Widths and cuts of text in terminal cells.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Cells that a text takes.
pub fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// Cuts at the end: the last cell becomes `…`.
pub fn cut_end(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    if max == 0 {
        return String::new();
    }
    let mut out = head(text, max - 1);
    out.push('…');
    out
}

/// Cuts in the middle, so that both ends stay.
pub fn cut_middle(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    if max < 5 {
        return cut_end(text, max);
    }
    let front = (max - 1).div_ceil(2);
    let mut out = head(text, front);
    out.push('…');
    out.push_str(&tail(text, max - 1 - width(&head(text, front))));
    out
}

fn head(text: &str, max: usize) -> String {
    let mut used = 0;
    text.graphemes(true)
        .take_while(|g| {
            used += width(g);
            used <= max
        })
        .collect()
}

fn tail(text: &str, max: usize) -> String {
    let mut used = 0;
    let mut parts: Vec<&str> = text
        .graphemes(true)
        .rev()
        .take_while(|g| {
            used += width(g);
            used <= max
        })
        .collect();
    parts.reverse();
    parts.concat()
}

/// Pads to a width at the right.
pub fn pad(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

/// Pads to a width at the left.
pub fn pad_left(text: &str, to: usize) -> String {
    format!("{}{text}", " ".repeat(to.saturating_sub(width(text))))
}

/// Control characters as symbols, so that a body can never steer the terminal.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('·'),
            '\u{7f}' => '␡',
            '\u{80}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => '·',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_name_keeps_both_ends() {
        assert_eq!(cut_middle("payments-settlement-eu-west", 16), "payments…eu-west");
        assert_eq!(cut_end("payments-settle", 8), "payment…");
        assert_eq!(cut_middle("short", 16), "short");
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n\u{9b}c\u{202e}"), "a␛[2Jb␊·c·");
    }

    proptest! {
        #[test]
        fn a_cut_fits(text in "\\PC{0,60}", max in 0usize..40) {
            prop_assert!(width(&cut_end(&text, max)) <= max);
            prop_assert!(width(&cut_middle(&text, max)) <= max);
        }
    }
}
