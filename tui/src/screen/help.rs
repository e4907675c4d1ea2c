//! The help overlay: the keymap of this place, generated; typing searches, Enter runs.

use ratatui::layout::Rect;

use crate::app::App;
use crate::app::overlay::{Overlay, helped};
use crate::keymap::{self, Binding, Layer};
use crate::theme::Role;
use crate::widget::text::pad;
use crate::widget::{Canvas, Seg, inside, seg};

/// Widest help.
const WIDTH_MAX: u16 = 102;
/// From this width on there are two columns of keys.
const TWO_FROM: u16 = 98;

/// Heading of a layer.
const fn title(layer: Layer) -> &'static str {
    match layer {
        Layer::Place(_) => "HERE",
        Layer::Move => "MOVE",
        Layer::List => "LIST",
        Layer::Order => "ORDER",
        Layer::Marks => "MARKS",
        Layer::Global => "EVERYWHERE",
        Layer::Dialog => "DIALOG",
    }
}

/// Lines with the place of the chosen one among them.
fn lines(app: &App, overlay: &Overlay) -> (Vec<Vec<Seg>>, usize) {
    let (mut lines, mut at, mut before) = (Vec::new(), 0, None);
    for (i, (layer, binding)) in helped(app, overlay.field.text()).into_iter().enumerate() {
        if before != Some(layer) {
            lines.push(vec![seg(Role::Title, title(layer))]);
            before = Some(layer);
        }
        if i == overlay.index {
            at = lines.len();
        }
        lines.push(line(app, binding));
    }
    if lines.is_empty() {
        let text = format!("no key here does {:?}", overlay.field.text());
        lines.push(vec![seg(Role::TextDim, text)]);
    }
    (lines, at)
}

fn line(app: &App, binding: &Binding) -> Vec<Seg> {
    let off = binding.needs_write && !app.can_write();
    let (key, text) =
        if off { (Role::KeyDisabled, Role::KeyDisabled) } else { (Role::Key, Role::Text) };
    let mut line = vec![
        seg(key, pad(&format!(" {}", keymap::keys_of(binding)), 13)),
        seg(text, pad(binding.label, 24)),
    ];
    if off {
        line.push(seg(Role::Warn, "read-only"));
    } else {
        line.push(seg(Role::TextDim, binding.id));
    }
    line
}

/// Draws the overlay.
pub fn draw(app: &App, c: &mut Canvas, screen: Rect, overlay: &Overlay) {
    let (lines, at) = lines(app, overlay);
    let width = WIDTH_MAX.min(screen.width.saturating_sub(2));
    let columns = if width >= TWO_FROM { 2 } else { 1 };
    // A search must not make the box jump, so its height is that of the screen.
    let height = screen.height.saturating_sub(4);
    let area = Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    };
    c.clear(area);
    let typed = overlay.field.text();
    let left = if typed.is_empty() { "Help".to_owned() } else { format!("Help · {typed}▏") };
    c.frame(area, &left, &seg(Role::TextDim, "type to search · Enter runs it"), true);
    let inner = inside(area);
    let page = usize::from(inner.height).max(1);
    let shown = page * columns;
    // Whole columns scroll, as the pages of a book.
    let top = if at < shown { 0 } else { (at - shown + 1).div_ceil(page) * page };
    overlay.top.set(top);
    let cells = (inner.width.saturating_sub(1)) / columns as u16;
    for (i, line) in lines.iter().enumerate().skip(top).take(shown) {
        let (column, row) = ((i - top) / page, (i - top) % page);
        let (x, y) = (inner.x + 1 + column as u16 * cells, inner.y + row as u16);
        c.line(x, y, cells.saturating_sub(1), line);
        if i == at && line.len() > 1 {
            c.put(x, y, 1, "▶", Role::TextStrong);
            c.over(Rect { x, y, width: cells.saturating_sub(1), height: 1 }, Role::CursorRow);
        }
    }
}
