//! Which letters a resend sends, and in what order; dialog and command share it (console-ux.md §7.3).

use crate::data::Letter;
use crate::data::plan::Twice;

/// Whether a letter was sent back before, as far as anybody can tell.
pub const fn was_sent(twice: &Twice) -> bool {
    matches!(twice, Twice::Sent(_) | Twice::DiedAgain(_) | Twice::OnItsWay)
}

/// Indices of the letters to send, in order. Of letters that died in the same millisecond the lower
/// offset goes first.
pub fn order(
    letters: &[Letter],
    twice: &[Twice],
    leave_out_sent: bool,
    oldest_first: bool,
) -> Vec<usize> {
    let sent = |at: &usize| twice.get(*at).is_some_and(was_sent);
    let mut chosen: Vec<usize> =
        (0..letters.len()).filter(|at| !(leave_out_sent && sent(at))).collect();
    if oldest_first {
        chosen.sort_by_key(|at| (letters[*at].message.stored_ms, letters[*at].message.key()));
    }
    chosen
}
