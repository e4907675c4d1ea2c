//! The help overlay: the keymap of this place, generated.

use ratatui::layout::Rect;

use crate::app::App;
use crate::keymap::{self, Binding, Layer};
use crate::theme::Role;
use crate::widget::text::pad;
use crate::widget::{Canvas, Seg, inside, seg};

/// All lines of the help of this place.
pub fn lines(app: &App) -> Vec<Vec<Seg>> {
    let mut lines = Vec::new();
    for layer in app.layers() {
        let title = match layer {
            Layer::Place(_) => "HERE",
            Layer::Move => "MOVE",
            Layer::List => "LIST",
            Layer::Order => "ORDER",
            Layer::Marks => "MARKS",
            Layer::Global => "EVERYWHERE",
            Layer::Dialog => "DIALOG",
        };
        lines.push(vec![seg(Role::Title, title)]);
        for binding in keymap::TABLE.iter().filter(|b| b.layer == layer) {
            lines.push(line(app, binding));
        }
    }
    lines
}

fn line(app: &App, binding: &Binding) -> Vec<Seg> {
    let keys: Vec<String> = binding.keys.iter().map(|k| keymap::shown(k)).collect();
    let off = binding.needs_write && !app.can_write();
    let mut line = vec![
        seg(
            if off { Role::KeyDisabled } else { Role::Key },
            pad(&format!("  {}", keys.join(" ")), 16),
        ),
        seg(if off { Role::KeyDisabled } else { Role::Text }, pad(binding.label, 24)),
        seg(Role::TextDim, binding.id),
    ];
    if off {
        line.push(seg(Role::Warn, "  read-only"));
    }
    line
}

/// Draws the overlay.
pub fn draw(app: &App, c: &mut Canvas, screen: Rect, scroll: usize) {
    let lines = lines(app);
    let width = 74.min(screen.width.saturating_sub(2));
    let height = (lines.len() as u16 + 2).min(screen.height.saturating_sub(2));
    let area = Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    };
    c.clear(area);
    c.frame(area, "Help", &seg(Role::TextDim, "j k scroll · Esc closes"), true);
    let inner = inside(area);
    let top = scroll.min(lines.len().saturating_sub(usize::from(inner.height)));
    for (i, line) in lines.iter().skip(top).take(usize::from(inner.height)).enumerate() {
        c.line(inner.x + 1, inner.y + i as u16, inner.width.saturating_sub(2), line);
    }
}
