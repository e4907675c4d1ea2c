//! Cursor, marks and order of the focused list.

use super::App;
use crate::keymap::Action;
use crate::place::At;
use crate::screen;

/// Moves the cursor, or scrolls what has none.
pub(super) fn moved(app: &mut App, action: Action) {
    if let At::Message(_) = app.place().at {
        screen::inspector::scroll(app, action);
        return;
    }
    let keys = screen::keys(app);
    let list = app.place_mut().list_mut();
    let at = list.at(&keys).unwrap_or(0);
    let page = list.page.get().max(1);
    let to = match action {
        Action::Down => at.saturating_add(1),
        Action::Up => at.saturating_sub(1),
        Action::Last => usize::MAX,
        Action::HalfDown => at.saturating_add(page.div_ceil(2)),
        Action::HalfUp => at.saturating_sub(page.div_ceil(2)),
        Action::PageDown => at.saturating_add(page),
        Action::PageUp => at.saturating_sub(page),
        _ => 0,
    };
    list.go(&keys, to);
}

/// Marks and unmarks rows.
pub(super) fn mark(app: &mut App, action: Action) {
    let keys = screen::keys(app);
    let list = app.place_mut().list_mut();
    match action {
        Action::MarkAll => list.marks.extend(keys),
        Action::UnmarkAll => list.marks.clear(),
        Action::Invert => {
            for key in keys {
                if !list.marks.remove(&key) {
                    list.marks.insert(key);
                }
            }
        }
        _ => {
            if let Some(at) = list.at(&keys) {
                if !list.marks.remove(&keys[at]) {
                    list.marks.insert(keys[at].clone());
                }
                list.go(&keys, at + 1);
            }
        }
    }
}

/// Sorts by a column's letter; the same letter again reverses.
pub(super) fn sort_by(app: &mut App, letter: char) {
    if !screen::sort_letters(app).iter().any(|(l, _)| *l == letter) {
        app.tell(format!("no column sorts by {letter}"));
        return;
    }
    let list = app.place_mut().list_mut();
    let descending = match list.sort {
        Some((same, descending)) if same == letter => !descending,
        _ => letter != 'g',
    };
    list.sort = Some((letter, descending));
}

/// Reverses the order.
pub(super) fn reverse(app: &mut App) {
    let first = screen::sort_letters(app).first().map(|(l, _)| *l);
    let list = app.place_mut().list_mut();
    list.sort = match list.sort {
        Some((letter, descending)) => Some((letter, !descending)),
        None => first.map(|letter| (letter, true)),
    };
}
