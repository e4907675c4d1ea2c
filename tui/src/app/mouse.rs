//! The mouse: what lies under the pointer, as the last frame drew it, and what a click or the wheel means.
//!
//! A click is never more than the key or the cursor movement that it stands for, so it cannot run a
//! dialog sooner than a key could (console-ux.md §12).

use ratatui::layout::Rect;

use super::{Action, App, list, on_key};
use crate::effect::Effect;
use crate::event::{Code, Key, Pointer};
use crate::keymap::{Kind, parse_key};
use crate::screen;
use crate::widget::Hit;

/// A second click on the same row within this time opens it.
const DOUBLE_MS: i64 = 400;
/// Rows that one step of the wheel moves.
const WHEEL_ROWS: usize = 3;

/// The last click on a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clicked {
    pane: usize,
    key: String,
    at_ms: i64,
}

/// What the last frame drew at a place, the topmost first.
fn under(app: &App, x: u16, y: u16) -> Option<Hit> {
    let inside = |area: &Rect| {
        (area.left()..area.right()).contains(&x) && (area.top()..area.bottom()).contains(&y)
    };
    app.hits.iter().rev().find(|(area, _)| inside(area)).map(|(_, hit)| hit.clone())
}

/// Takes what the mouse did.
pub(super) fn took(app: &mut App, pointer: Pointer, (x, y): (u16, u16)) -> Vec<Effect> {
    match (pointer, under(app, x, y).unwrap_or(Hit::Plain)) {
        (Pointer::Click, Hit::Keys(names)) => press(app, &names),
        (Pointer::Click, Hit::Sort(letter)) => {
            list::sort_by(app, letter);
            Vec::new()
        }
        (Pointer::Click, Hit::Row(pane, index)) => click(app, pane, index),
        (Pointer::Up | Pointer::Down, Hit::Row(pane, _)) => wheel(app, pointer, pane),
        (Pointer::Up | Pointer::Down, Hit::Plain) if app.kind() == Kind::Message => {
            let action = if pointer == Pointer::Up { Action::Up } else { Action::Down };
            (0..WHEEL_ROWS).for_each(|_| list::moved(app, action));
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// Presses keys by name, as if they were typed.
fn press(app: &mut App, names: &str) -> Vec<Effect> {
    let keys: Vec<Key> = names.split(' ').filter_map(parse_key).collect();
    keys.into_iter().flat_map(|key| on_key(app, key)).collect()
}

/// Whether a list of the place can be walked: the second one only where it can have the focus.
const fn walks(kind: Kind, pane: usize) -> bool {
    pane == 0 || matches!(kind, Kind::Dead | Kind::Ladder)
}

fn click(app: &mut App, pane: usize, index: usize) -> Vec<Effect> {
    if !walks(app.kind(), pane) {
        return Vec::new();
    }
    app.place_mut().pane = pane;
    let keys = screen::keys(app);
    app.place_mut().list_mut().go(&keys, index);
    let Some(key) = keys.get(index).cloned() else { return Vec::new() };
    let now = Clicked { pane, key, at_ms: app.now_ms };
    let again = app.clicked.take().is_some_and(|before| {
        (before.pane, &before.key) == (now.pane, &now.key) && now.at_ms - before.at_ms <= DOUBLE_MS
    });
    if again {
        return on_key(app, Key::plain(Code::Enter));
    }
    app.clicked = Some(now);
    Vec::new()
}

fn wheel(app: &mut App, pointer: Pointer, pane: usize) -> Vec<Effect> {
    if !walks(app.kind(), pane) {
        return Vec::new();
    }
    let before = std::mem::replace(&mut app.place_mut().pane, pane);
    let keys = screen::keys(app);
    let list = app.place_mut().list_mut();
    let at = list.at(&keys).unwrap_or(0);
    let to = match pointer {
        Pointer::Up => at.saturating_sub(WHEEL_ROWS),
        _ => at.saturating_add(WHEEL_ROWS),
    };
    list.go(&keys, to.min(keys.len().saturating_sub(1)));
    app.place_mut().pane = before;
    Vec::new()
}
