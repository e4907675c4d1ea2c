//! Bytes as hex: offset, two groups of eight, printable characters.

use std::fmt::Write as _;

use super::{Seg, seg};
use crate::theme::Role;

/// Bytes of one line.
pub const LINE: usize = 16;

/// One line of the hex view; lines are built as they are drawn.
pub fn line(body: &[u8], index: usize) -> Vec<Seg> {
    let from = (index * LINE).min(body.len());
    let bytes = &body[from..(from + LINE).min(body.len())];
    let mut hex = String::with_capacity(LINE * 3 + 2);
    for i in 0..LINE {
        if i == LINE / 2 {
            hex.push(' ');
        }
        match bytes.get(i) {
            Some(b) => {
                let _ = write!(hex, "{b:02x} "); // writing to a String cannot fail
            }
            None => hex.push_str("   "),
        }
    }
    let ascii: String =
        bytes.iter().map(|b| if (0x20..0x7f).contains(b) { char::from(*b) } else { '·' }).collect();
    vec![
        seg(Role::HexOffset, format!("{from:08x}  ")),
        seg(Role::Text, hex),
        seg(Role::HexAscii, format!(" {ascii}")),
    ]
}

/// First bytes in one line: `00 00 00 1c …`.
pub fn short(body: &[u8], bytes: usize) -> String {
    body.iter().take(bytes).map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_offset_bytes_and_characters() {
        let text: String = line(b"0123456789abcdef\x00z", 1).iter().map(|s| s.1.clone()).collect();
        assert!(text.starts_with("00000010  00 7a "), "{text}");
        assert!(text.ends_with(" ·z"), "{text}");
    }
}
