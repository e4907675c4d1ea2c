//! A one-line text field: typed text, cursor, paste taken literally.

use std::ops::Range;

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use tui_input::{Input, InputRequest};

use super::Canvas;
use super::text::width;
use crate::event::{Code, Key};
use crate::theme::Role;

/// Longest text of a field.
const LEN_MAX: usize = 512;

/// The field's text and cursor.
#[derive(Clone, Debug, Default)]
pub struct Field {
    input: Input,
}

impl Field {
    /// A field with text in it, the cursor behind it.
    pub fn with(text: &str) -> Self {
        Self { input: Input::new(text.to_owned()) }
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// Whether nothing was typed.
    pub fn is_empty(&self) -> bool {
        self.text().is_empty()
    }

    /// Takes a key; says whether it was one of a text field.
    pub fn key(&mut self, key: Key) -> bool {
        let request = match (key.code, key.ctrl) {
            (Code::Char(c), false) if self.text().len() < LEN_MAX => InputRequest::InsertChar(c),
            (Code::Backspace, _) => InputRequest::DeletePrevChar,
            (Code::Delete, _) => InputRequest::DeleteNextChar,
            (Code::Left, _) => InputRequest::GoToPrevChar,
            (Code::Right, _) => InputRequest::GoToNextChar,
            (Code::Home, _) | (Code::Char('a'), true) => InputRequest::GoToStart,
            (Code::End, _) | (Code::Char('e'), true) => InputRequest::GoToEnd,
            (Code::Char('w'), true) => InputRequest::DeletePrevWord,
            (Code::Char('u'), true) => InputRequest::DeleteLine,
            _ => return false,
        };
        self.input.handle(request);
        true
    }

    /// Inserts pasted text, without line ends.
    pub fn paste(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_control()) {
            if self.text().len() >= LEN_MAX {
                return;
            }
            self.input.handle(InputRequest::InsertChar(c));
        }
    }

    /// Draws `[ text▏ ]` in `cells` cells; the bar is there while the field has the focus.
    pub fn draw(&self, c: &mut Canvas, (x, y): (u16, u16), cells: u16, focus: bool, hint: &str) {
        let room = cells.saturating_sub(4);
        c.put(x, y, 1, "[", Role::Text);
        c.put(x + cells.saturating_sub(1), y, 1, "]", Role::Text);
        let scroll = self.input.visual_scroll(usize::from(room.saturating_sub(1)));
        let shown: String = skip_cells(self.text(), scroll);
        if self.text().is_empty() && !hint.is_empty() {
            let lead = u16::from(focus);
            c.put(x + 2 + lead, y, room.saturating_sub(lead), hint, Role::Placeholder);
        } else {
            c.put(x + 2, y, room, &super::text::printable(&shown), Role::Input);
        }
        if focus {
            let at = self.input.visual_cursor().saturating_sub(scroll) as u16;
            c.put(x + 2 + at.min(room), y, 1, "▏", Role::TextStrong);
        }
    }
}

impl Field {
    /// Draws the field with the focus, the characters that are wrong underlined.
    pub fn draw_marked(
        &self,
        c: &mut Canvas,
        (x, y): (u16, u16),
        cells: u16,
        wrong: Option<Range<usize>>,
    ) {
        self.draw(c, (x, y), cells, true, "");
        let Some(wrong) = wrong else { return };
        let room = cells.saturating_sub(4);
        let scroll = self.input.visual_scroll(usize::from(room.saturating_sub(1)));
        let before = |chars: usize| -> u16 {
            let cells: usize =
                self.text().chars().take(chars).map(|ch| width(ch.encode_utf8(&mut [0; 4]))).sum();
            (cells.saturating_sub(scroll) as u16).min(room)
        };
        let (from, to) = (before(wrong.start), before(wrong.end));
        let area = Rect { x: x + 2 + from, y, width: to.saturating_sub(from), height: 1 };
        let style = Style::new().add_modifier(Modifier::UNDERLINED);
        c.over(area, Role::Critical);
        c.buf.set_style(area.intersection(c.buf.area), style);
    }
}

fn skip_cells(text: &str, cells: usize) -> String {
    let mut skipped = 0;
    text.chars()
        .skip_while(|ch| {
            let skip = skipped < cells;
            skipped += width(ch.encode_utf8(&mut [0; 4]));
            skip
        })
        .collect()
}
