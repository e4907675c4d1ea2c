//! The finder, and the completions of the `:` line.

use ratatui::layout::Rect;

use crate::app::overlay::{Overlay, found};
use crate::app::{App, Input, command};
use crate::theme::Role;
use crate::widget::text::{cut_middle, pad, width};
use crate::widget::{Canvas, inside, seg};

/// Widest finder.
const WIDTH_MAX: u16 = 90;
/// Lines of the finder.
const LINES_MAX: u16 = 16;
/// Completions that are shown at a time.
const COMPLETIONS: usize = 8;
/// Cells of a completion's line.
const COMPLETION_CELLS: u16 = 70;
/// Cells of what Enter does.
const DOES_CELLS: usize = 15;

/// Draws the finder.
pub fn draw(app: &App, c: &mut Canvas, screen: Rect, overlay: &Overlay) {
    let all = found(app, overlay.field.text());
    let width_cells = WIDTH_MAX.min(screen.width.saturating_sub(2));
    let height = (LINES_MAX + 2).min(screen.height.saturating_sub(4));
    let area = Rect {
        x: screen.x + (screen.width - width_cells) / 2,
        y: screen.y + (screen.height - height) / 3,
        width: width_cells,
        height,
    };
    c.clear(area);
    let typed = format!("> {}▏", overlay.field.text());
    c.frame(area, "Find", &seg(Role::Input, typed), true);
    let inner = inside(area);
    if all.is_empty() {
        c.put(inner.x + 1, inner.y, inner.width, "nothing here is called so", Role::TextDim);
        return;
    }
    let page = usize::from(inner.height).max(1);
    let top = (overlay.index + 1).saturating_sub(page);
    overlay.top.set(top);
    let room = usize::from(inner.width.saturating_sub(2));
    let name_cells = (room.saturating_sub(8 + DOES_CELLS + 2)) / 2;
    let figure_cells = room.saturating_sub(8 + name_cells + 1 + DOES_CELLS + 1);
    for (i, entry) in all.iter().enumerate().skip(top).take(page) {
        let y = inner.y + (i - top) as u16;
        let off = entry.off.is_some();
        let role = if off { Role::KeyDisabled } else { Role::Text };
        let figures = if off { "read-only" } else { &entry.figures };
        let line = [
            seg(Role::TextDim, pad(entry.kind, 8)),
            seg(role, pad(&cut_middle(&entry.name, name_cells), name_cells + 1)),
            seg(Role::TextDim, pad(&cut_middle(figures, figure_cells), figure_cells + 1)),
            seg(Role::KeyLabel, entry.does.clone()),
        ];
        c.line(inner.x + 1, y, inner.width.saturating_sub(2), &line);
        if i == overlay.index {
            c.put(inner.x, y, 1, "▶", Role::TextStrong);
            c.over(Rect { y, height: 1, ..inner }, Role::CursorRow);
        }
    }
}

/// Draws what the `:` line can become, above it.
pub fn completions(app: &App, c: &mut Canvas, screen: Rect, input: &Input) {
    let all = command::candidates(app, input.field.text());
    if all.is_empty() || screen.height < 8 {
        return;
    }
    let chosen = input.chosen.unwrap_or(0);
    let top = (chosen + 1).saturating_sub(COMPLETIONS);
    let shown = all.len().min(COMPLETIONS) as u16;
    let cells = COMPLETION_CELLS.min(screen.width.saturating_sub(2));
    let area = Rect {
        x: screen.x + 1,
        y: screen.bottom().saturating_sub(4 + shown),
        width: cells,
        height: shown + 2,
    };
    c.clear(area);
    let more = all.len().saturating_sub(usize::from(shown));
    let right =
        if more > 0 { format!("{more} more · Tab completes") } else { "Tab completes".to_owned() };
    c.frame(area, "", &seg(Role::TextDim, right), true);
    let inner = inside(area);
    for (i, (line, does)) in all.iter().enumerate().skip(top).take(usize::from(shown)) {
        let y = inner.y + (i - top) as u16;
        let room = usize::from(inner.width).saturating_sub(width(does) + 4);
        c.put(inner.x + 1, y, inner.width.saturating_sub(2), &cut_middle(line, room), Role::Text);
        c.put_right(inner.x + 1, inner.right().saturating_sub(1), y, does, Role::TextDim);
        if input.chosen == Some(i) {
            c.put(inner.x, y, 1, "▶", Role::TextStrong);
            c.over(Rect { y, height: 1, ..inner }, Role::CursorRow);
        }
    }
}
