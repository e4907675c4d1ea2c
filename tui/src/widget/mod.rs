//! Drawing primitives: a canvas that clips, text with roles, frames with titles.
//!
//! Nothing here knows a screen. Every coordinate is checked, so that any size is drawable.

pub mod ascii;
pub mod hex;
pub mod input;
pub mod json;
pub mod spark;
pub mod table;
pub mod text;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::theme::{Role, Theme};
use text::{cut_end, width};

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seg(pub Role, pub String);

/// Shorthand for a piece of a line.
pub fn seg(role: Role, text: impl Into<String>) -> Seg {
    Seg(role, text.into())
}

/// A line of plain text.
pub fn plain(text: impl Into<String>) -> Vec<Seg> {
    vec![Seg(Role::Text, text.into())]
}

/// Cells of a line.
pub fn line_width(line: &[Seg]) -> usize {
    line.iter().map(|s| width(&s.1)).sum()
}

/// What a click on a part of the frame means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hit {
    /// Keys by name, blank-separated.
    Keys(String),
    /// Sorts by a column's letter.
    Sort(char),
    /// A row of a pane's list. While a table is drawn, the first number is the list's address.
    Row(usize, usize),
    /// Text that means nothing by itself.
    Plain,
    /// Nothing, and nothing of what lies below.
    Cover,
}

/// A buffer, a theme, and whether everything drawn is old.
pub struct Canvas<'a> {
    pub buf: &'a mut Buffer,
    pub theme: &'a Theme,
    /// Draws ordinary text in the role of stale figures.
    pub stale: bool,
    /// Parts that can be clicked, in the order they were drawn.
    pub hits: Vec<(Rect, Hit)>,
}

impl Canvas<'_> {
    fn role(&self, role: Role) -> Role {
        match role {
            Role::Text | Role::TextStrong | Role::LagLow | Role::LagMid | Role::LagHigh
                if self.stale =>
            {
                Role::Stale
            }
            other => other,
        }
    }

    /// Writes text into at most `max` cells, cut at the end; says how many cells it took.
    pub fn put(&mut self, x: u16, y: u16, max: u16, text: &str, role: Role) -> u16 {
        let area = self.buf.area;
        if y < area.top() || y >= area.bottom() || x < area.left() || x >= area.right() {
            return 0;
        }
        let max = max.min(area.right() - x);
        let text = cut_end(text, usize::from(max));
        let style = self.theme.style(self.role(role));
        let (end, _) = self.buf.set_stringn(x, y, text, usize::from(max), style);
        end - x
    }

    /// Writes a line, cut at the end.
    pub fn line(&mut self, x: u16, y: u16, max: u16, line: &[Seg]) {
        let mut at = x;
        let end = x.saturating_add(max);
        let total = line_width(line);
        for (i, Seg(role, text)) in line.iter().enumerate() {
            let room = end.saturating_sub(at);
            if room == 0 {
                return;
            }
            let last = i + 1 == line.len();
            // A line that is cut shows so even when the cut falls between two pieces.
            let cut = total > usize::from(max) && !last && width(text) >= usize::from(room);
            let text = if cut { format!("{text}…") } else { text.clone() };
            at += self.put(at, y, room, &text, *role);
        }
    }

    /// Writes text that ends before `right`.
    pub fn put_right(&mut self, left: u16, right: u16, y: u16, text: &str, role: Role) {
        let room = right.saturating_sub(left);
        let text = cut_end(text, usize::from(room));
        let x = right.saturating_sub(width(&text) as u16).max(left);
        self.put(x, y, room, &text, role);
    }

    /// Lays a role over cells that are already drawn.
    pub fn over(&mut self, area: Rect, role: Role) {
        let style = self.theme.style(role);
        self.buf.set_style(area.intersection(self.buf.area), style);
    }

    /// Empties an area.
    pub fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buf.area);
        let style = self.theme.style(Role::Background);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                self.buf[(x, y)].reset();
                self.buf[(x, y)].set_style(style);
            }
        }
    }

    /// One cell of a border.
    fn cell(&mut self, x: u16, y: u16, sign: &str, role: Role) {
        self.put(x, y, 1, sign, role);
    }

    /// A box with a title left and right in its upper border.
    pub fn frame(&mut self, area: Rect, left: &str, right: &Seg, focus: bool) {
        if area.width < 2 || area.height < 2 {
            return;
        }
        let role = if focus { Role::BorderFocus } else { Role::Border };
        self.rule(area, area.top(), ["┌", "┐"], left, right, role);
        for y in area.top() + 1..area.bottom() - 1 {
            self.cell(area.left(), y, "│", role);
            self.cell(area.right() - 1, y, "│", role);
        }
        let (x0, x1, y) = (area.left(), area.right() - 1, area.bottom() - 1);
        self.cell(x0, y, "└", role);
        for x in x0 + 1..x1 {
            self.cell(x, y, "─", role);
        }
        self.cell(x1, y, "┘", role);
    }

    /// A line across a box, with titles.
    pub fn separator(&mut self, area: Rect, y: u16, left: &str, right: &Seg) {
        if y > area.top() && y + 1 < area.bottom() && area.width >= 2 {
            self.rule(area, y, ["├", "┤"], left, right, Role::Border);
        }
    }

    fn rule(&mut self, area: Rect, y: u16, ends: [&str; 2], left: &str, right: &Seg, role: Role) {
        let (x0, x1) = (area.left(), area.right() - 1);
        for x in x0 + 1..x1 {
            self.cell(x, y, "─", role);
        }
        self.cell(x0, y, ends[0], role);
        self.cell(x1, y, ends[1], role);
        let room = usize::from(area.width).saturating_sub(6);
        let left = cut_end(left, room);
        let mut used = 0;
        if !left.is_empty() {
            used = self.put(x0 + 1, y, area.width - 2, &format!(" {left} "), Role::Title);
        }
        let room = (area.width - 2).saturating_sub(used + 2);
        if !right.1.is_empty() && room >= 5 {
            let text = format!(" {} ", cut_end(&right.1, usize::from(room) - 2));
            let x = x1.saturating_sub(width(&text) as u16);
            self.put(x, y, room, &text, right.0);
        }
    }

    /// A vertical line inside a box, joined to the borders at `top` and `bottom`.
    pub fn divider(&mut self, x: u16, top: u16, bottom: u16) {
        for y in top + 1..bottom {
            self.cell(x, y, "│", Role::Border);
        }
        self.join(x, top, "┬");
        self.join(x, bottom, "┴");
    }

    /// Joins a vertical line to a border unless a title stands there.
    fn join(&mut self, x: u16, y: u16, sign: &str) {
        let area = self.buf.area;
        if x < area.right() && y < area.bottom() && self.buf[(x, y)].symbol() == "─" {
            self.cell(x, y, sign, Role::Border);
        }
    }
}

/// The rows between a box's upper and lower border, without its side borders.
pub fn inside(area: Rect) -> Rect {
    Rect {
        x: area.x.saturating_add(1),
        y: area.y.saturating_add(1),
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(2),
    }
}

/// `height` rows of an area from row `from` on, as far as they exist.
pub fn rows(area: Rect, from: u16, height: u16) -> Rect {
    let from = from.min(area.height);
    Rect { y: area.y + from, height: height.min(area.height - from), ..area }
}
