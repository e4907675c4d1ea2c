//! Signs for terminals whose glyphs of ambiguous width are two cells wide, and for fonts without them:
//! every sign that the console draws by itself has one of a single ASCII cell (console-ux.md §12).

use ratatui::buffer::Buffer;

/// First and last braille pattern; the first has no dot.
const BRAILLE: std::ops::RangeInclusive<char> = '\u{2800}'..='\u{28ff}';
/// Signs of growing weight for charts.
const WEIGHTS: [char; 5] = [' ', '.', ':', '+', '#'];

/// The ASCII sign in place of another, if it has one. Letters of names have none and stay.
fn plain(sign: char) -> Option<char> {
    if BRAILLE.contains(&sign) {
        let dots = (sign as u32 - *BRAILLE.start() as u32).count_ones() as usize;
        return Some(WEIGHTS[dots.div_ceil(2).min(WEIGHTS.len() - 1)]);
    }
    Some(match sign {
        '─' | '–' | '□' | '░' => '-',
        '│' | '▏' | '▎' | '▍' | '┃' => '|',
        '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' | '✓' => '+',
        '▲' | '↑' => '^',
        '▼' | '↓' => 'v',
        '▶' | '▸' | '→' | '›' | '≥' => '>',
        '≤' | '←' | '◀' => '<',
        // `~` is taken: it marks what is kept from an older answer.
        '≈' => 'c',
        '●' | '•' => '*',
        '◆' | '■' | '█' | '▉' | '▊' | '▋' | '▇' | '▆' => '#',
        '▌' | '▅' | '▄' | '▃' => '=',
        '▂' | '▁' => '_',
        '✗' | '×' => 'x',
        '⚠' => '!',
        '⟳' => '@',
        '…' | '·' => '.',
        '⋮' => ':',
        'Σ' => 'S',
        '\u{2009}' | '\u{202f}' | '\u{a0}' => ' ',
        _ => return None,
    })
}

/// Replaces every sign of a frame that is not sure to be one cell wide.
pub fn flatten(buf: &mut Buffer) {
    for cell in &mut buf.content {
        let mut chars = cell.symbol().chars();
        if let (Some(sign), None) = (chars.next(), chars.next())
            && !sign.is_ascii()
            && let Some(plain) = plain(sign)
        {
            cell.set_char(plain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::render::{Deck, buffer, lines};
    use crate::tests::snapshots::PLACES;

    #[test]
    fn no_screen_needs_more_than_ascii_for_its_signs() {
        for (name, keys) in PLACES {
            for size in [(80, 24), (200, 60)] {
                let mut deck = Deck::new(size);
                deck.press(keys);
                let mut buf = buffer(&deck.app);
                flatten(&mut buf);
                for line in lines(&buf) {
                    let strange = line.chars().find(|c| !c.is_ascii() && !c.is_alphanumeric());
                    assert_eq!(strange, None, "{name} {size:?}: {line}");
                }
            }
        }
    }
}
