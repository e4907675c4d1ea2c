//! A virtual table: columns with widths and drop priorities, a cursor, visible rows only.
//!
//! Columns stand one cell apart, two where a left-aligned one follows a right-aligned one. The first
//! cell is the cursor sign, the last is blank. While the table does not fit, the column with the
//! highest priority number leaves, of equals the rightmost; 1 is never dropped (console-screens.md §6).

use std::cell::Cell as Memo;
use std::collections::BTreeSet;

use ratatui::layout::Rect;

use super::text::{cut_end, cut_middle, pad_left, width};
use super::{Canvas, Hit, Seg};
use crate::data::Fig;
use crate::model::query::{Filter, Subject};
use crate::theme::Role;

/// Side of a column's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub title: &'static str,
    pub width: u16,
    pub align: Align,
    /// 1 is never dropped, 9 goes first.
    pub priority: u8,
    /// Takes spare cells.
    pub grows: bool,
    pub sort: Option<char>,
    /// Prose is cut at its end, names in the middle.
    pub prose: bool,
}

impl Column {
    /// A left-aligned column.
    pub const fn left(title: &'static str, width: u16, priority: u8) -> Self {
        let align = Align::Left;
        Self { title, width, align, priority, grows: false, sort: None, prose: false }
    }

    /// A right-aligned column.
    pub const fn right(title: &'static str, width: u16, priority: u8) -> Self {
        Self { align: Align::Right, ..Self::left(title, width, priority) }
    }

    /// Takes spare cells.
    #[must_use]
    pub const fn grow(self) -> Self {
        Self { grows: true, ..self }
    }

    /// Sorts by this letter.
    #[must_use]
    pub const fn sort(self, letter: char) -> Self {
        Self { sort: Some(letter), ..self }
    }

    /// Cut at its end.
    #[must_use]
    pub const fn prose(self) -> Self {
        Self { prose: true, ..self }
    }
}

/// Where a column stands: index, first cell, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub column: usize,
    pub x: u16,
    pub width: u16,
}

/// Places the columns that fit into `width` cells.
pub fn layout(columns: &[Column], width: u16) -> Vec<Slot> {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    while needed(columns, &shown) > width {
        let worst = shown.iter().map(|i| columns[*i].priority).max().unwrap_or(1);
        if worst <= 1 {
            break;
        }
        let Some(at) = shown.iter().rposition(|i| columns[*i].priority == worst) else { break };
        shown.remove(at);
    }
    let need = needed(columns, &shown);
    let mut spare = width.saturating_sub(need);
    let mut lacking = need.saturating_sub(width);
    let growing = shown.iter().filter(|i| columns[**i].grows).count() as u16;
    let mut left = growing;
    let mut x = 1;
    let mut slots = Vec::with_capacity(shown.len());
    let mut before: Option<Align> = None;
    for i in shown {
        let column = &columns[i];
        if let Some(before) = before {
            x += gap(before, column.align);
        }
        let mut wide = column.width;
        if column.grows && left > 0 {
            let part = spare.div_ceil(left);
            spare -= part;
            left -= 1;
            wide += part;
            // Too narrow even for what must stay: the growing column gives way.
            let give = lacking.min(wide.saturating_sub(1));
            wide -= give;
            lacking -= give;
        }
        slots.push(Slot { column: i, x, width: wide });
        x += wide;
        before = Some(column.align);
    }
    slots
}

const fn gap(before: Align, now: Align) -> u16 {
    match (before, now) {
        (Align::Right, Align::Left) => 2,
        _ => 1,
    }
}

fn needed(columns: &[Column], shown: &[usize]) -> u16 {
    let mut total = 2;
    let mut before: Option<Align> = None;
    for i in shown {
        total += columns[*i].width + before.map_or(0, |b| gap(b, columns[*i].align));
        before = Some(columns[*i].align);
    }
    total
}

/// Text of one cell.
#[derive(Clone, Debug)]
pub struct Cell(pub Role, pub String);

/// A plain cell.
pub fn cell(text: impl Into<String>) -> Cell {
    Cell(Role::Text, text.into())
}

/// A figure's cell: its certainty decides the role.
pub fn fig<T>(figure: &Fig<T>, text: String) -> Cell {
    Cell(fig_role(figure), text)
}

/// The role of a figure.
pub const fn fig_role<T>(figure: &Fig<T>) -> Role {
    match figure {
        Fig::Unknown(_) => Role::Unknown,
        Fig::NotApplicable(_) | Fig::Few => Role::TextDim,
        Fig::Stale(..) => Role::Stale,
        _ => Role::Text,
    }
}

/// A row of a narrow list: a name at the left, a figure at the right, as much of the name as fits.
pub fn named(width: u16, name: &str, figure: Cell) -> Row {
    let room = usize::from(width.saturating_sub(2));
    let figure_width = self::width(&figure.1);
    let name = cut_middle(name, room.saturating_sub(figure_width + 1));
    let gap = room.saturating_sub(self::width(&name) + figure_width);
    Row::Line(vec![Seg(Role::Text, format!("{name}{}", " ".repeat(gap))), Seg(figure.0, figure.1)])
}

/// One row: a cell for each column, or a sentence across.
pub enum Row {
    Cells(Vec<Cell>),
    Line(Vec<Seg>),
}

/// Cursor, scroll position, sort, filter and marks of one list. `top` and `page` are remembered by
/// drawing, so that paging knows the height that was on screen.
#[derive(Clone, Debug, Default)]
pub struct List {
    pub cursor: Option<String>,
    pub index: usize,
    pub top: Memo<usize>,
    pub page: Memo<usize>,
    pub sort: Option<(char, bool)>,
    pub filter: Filter,
    /// Rows for which the filter could not be decided when it was last asked.
    pub undecided: Memo<usize>,
    pub marks: BTreeSet<String>,
}

impl List {
    /// Rows that the filter shows; how many it cannot decide is remembered.
    pub fn pick<'a, T: Subject>(&self, rows: impl IntoIterator<Item = &'a T>) -> Vec<&'a T> {
        let mut undecided = 0;
        let mut out = Vec::new();
        for row in rows {
            match self.filter.shows(row) {
                Some(true) => out.push(row),
                Some(false) => {}
                None => undecided += 1,
            }
        }
        self.undecided.set(undecided);
        out
    }

    /// What titles say of the filter and of what it cannot decide.
    pub fn filter_words(&self) -> String {
        let open = match self.undecided.get() {
            0 => String::new(),
            n => format!(" · {n} undecided"),
        };
        format!("filter {}{open}", self.filter.text())
    }

    /// Row of the cursor among `keys`: that of the same thing, else the nearest to where it was.
    pub fn at(&self, keys: &[String]) -> Option<usize> {
        if keys.is_empty() {
            return None;
        }
        self.cursor
            .as_ref()
            .and_then(|key| match keys.get(self.index) {
                Some(k) if k == key => Some(self.index),
                _ => keys.iter().position(|k| k == key),
            })
            .or(Some(self.index.min(keys.len() - 1)))
    }

    /// Moves the cursor to a row.
    pub fn go(&mut self, keys: &[String], index: usize) {
        if let Some(key) = keys.get(index.min(keys.len().saturating_sub(1))) {
            self.cursor = Some(key.clone());
            self.index = index.min(keys.len() - 1);
        }
    }

    /// First visible row for a height: the cursor is always visible.
    pub fn scroll(&self, cursor: Option<usize>, len: usize, height: usize) -> usize {
        let height = height.max(1);
        let at = cursor.unwrap_or(0);
        let mut top = self.top.get().min(len.saturating_sub(height));
        if at < top {
            top = at;
        } else if at >= top + height {
            top = at + 1 - height;
        }
        self.top.set(top);
        self.page.set(height);
        top
    }
}

/// What a table needs to be drawn.
pub struct View<'a> {
    pub columns: &'a [Column],
    pub list: &'a List,
    pub keys: &'a [String],
    /// Row of the cursor, if it is in this table.
    pub cursor: Option<usize>,
    pub focus: bool,
}

/// Draws header and visible rows; says how many rows are hidden below.
pub fn draw(c: &mut Canvas, area: Rect, view: &View, row: &mut dyn FnMut(usize) -> Row) -> usize {
    if area.height == 0 || area.width < 3 {
        return view.keys.len();
    }
    let slots = layout(view.columns, area.width);
    header(c, area, view, &slots);
    draw_body(c, area, view, row)
}

/// Draws the rows below the header's line, but not the header.
pub fn draw_body(
    c: &mut Canvas,
    area: Rect,
    view: &View,
    row: &mut dyn FnMut(usize) -> Row,
) -> usize {
    let slots = layout(view.columns, area.width);
    let body = super::rows(area, 1, area.height.saturating_sub(1));
    let cursor = view.cursor;
    let top = view.list.scroll(cursor, view.keys.len(), usize::from(body.height));
    for (line, index) in (top..view.keys.len()).take(usize::from(body.height)).enumerate() {
        let y = body.y + line as u16;
        let list = std::ptr::from_ref(view.list) as usize;
        c.hits.push((Rect { y, height: 1, ..body }, Hit::Row(list, index)));
        draw_row(c, Rect { y, height: 1, ..body }, &slots, view.columns, &row(index));
        if cursor == Some(index) {
            let sign = if view.focus { "▶" } else { "▸" };
            c.put(body.x, y, 1, sign, Role::TextStrong);
            if view.focus {
                c.over(Rect { y, height: 1, ..body }, Role::CursorRow);
            }
        }
    }
    view.keys.len().saturating_sub(top + usize::from(body.height))
}

fn header(c: &mut Canvas, area: Rect, view: &View, slots: &[Slot]) {
    for slot in slots {
        let column = &view.columns[slot.column];
        let sorted = view.list.sort.is_some_and(|(letter, _)| Some(letter) == column.sort);
        let role = if sorted { Role::TextStrong } else { Role::TextDim };
        let title = aligned(column.title, column.align, slot.width, true);
        let cells = slot.width.min(room(area, slot.x));
        c.put(area.x + slot.x, area.y, cells, &title, role);
        if let Some(letter) = column.sort.filter(|_| view.focus) {
            let cell = Rect { x: area.x + slot.x, width: cells, height: 1, ..area };
            c.hits.push((cell, Hit::Sort(letter)));
        }
    }
}

fn room(area: Rect, x: u16) -> u16 {
    area.width.saturating_sub(x + 1)
}

fn draw_row(c: &mut Canvas, area: Rect, slots: &[Slot], columns: &[Column], row: &Row) {
    match row {
        Row::Line(line) => c.line(area.x + 1, area.y, area.width.saturating_sub(2), line),
        Row::Cells(cells) => {
            for slot in slots {
                let Some(Cell(role, text)) = cells.get(slot.column) else { continue };
                let column = &columns[slot.column];
                let text = aligned(text, column.align, slot.width, column.prose);
                c.put(area.x + slot.x, area.y, slot.width.min(room(area, slot.x)), &text, *role);
            }
        }
    }
}

fn aligned(text: &str, align: Align, to: u16, prose: bool) -> String {
    let to = usize::from(to);
    let text = if width(text) <= to {
        text.to_owned()
    } else if prose {
        cut_end(text, to)
    } else {
        cut_middle(text, to)
    };
    match align {
        Align::Left => text,
        Align::Right => pad_left(&text, to),
    }
}

/// A value to sort by: unknown ones come last, whichever way.
#[derive(Clone, Debug, PartialEq)]
pub enum SortKey {
    Number(f64),
    Text(String),
    Unknown,
}

impl SortKey {
    /// Of a whole figure.
    pub fn of(figure: &Fig<u64>) -> Self {
        figure.value().map_or(Self::Unknown, |v| Self::Number(*v as f64))
    }

    /// Of a time or age.
    pub fn of_ms(figure: &Fig<i64>) -> Self {
        figure.value().map_or(Self::Unknown, |v| Self::Number(*v as f64))
    }

    /// Of a rate.
    pub fn of_rate(figure: &Fig<f64>) -> Self {
        figure.value().map_or(Self::Unknown, |v| Self::Number(*v))
    }
}

/// Sorts rows by a key; stable, unknown last.
pub fn sort_rows<T>(rows: &mut [T], descending: bool, key: impl Fn(&T) -> SortKey) {
    use std::cmp::Ordering::{Equal, Greater, Less};
    rows.sort_by(|a, b| {
        let order = match (key(a), key(b)) {
            (SortKey::Unknown, SortKey::Unknown) => return Equal,
            (SortKey::Unknown, _) => return Greater,
            (_, SortKey::Unknown) => return Less,
            (SortKey::Number(a), SortKey::Number(b)) => a.total_cmp(&b),
            (SortKey::Text(a), SortKey::Text(b)) => a.cmp(&b),
            _ => Equal,
        };
        if descending { order.reverse() } else { order }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COLUMNS: &[Column] = &[
        Column::left("GROUP", 16, 1).grow(),
        Column::right("LAG", 10, 1),
        Column::left("TREND", 10, 7),
        Column::right("BEHIND", 7, 2),
        Column::right("IN/s", 6, 8),
        Column::left("SINCE", 5, 5),
    ];

    #[test]
    fn the_highest_number_leaves_first_and_the_grower_takes_the_rest() {
        let titles = |w| -> Vec<&str> {
            layout(COLUMNS, w).iter().map(|s| COLUMNS[s.column].title).collect()
        };
        assert_eq!(titles(80), ["GROUP", "LAG", "TREND", "BEHIND", "IN/s", "SINCE"]);
        assert_eq!(titles(56), ["GROUP", "LAG", "TREND", "BEHIND", "SINCE"]);
        assert_eq!(titles(46), ["GROUP", "LAG", "BEHIND", "SINCE"]);
        assert_eq!(titles(10), ["GROUP", "LAG"]);
        assert_eq!(layout(COLUMNS, 80)[0].width, 16 + 80 - 63);
    }

    #[test]
    fn the_cursor_follows_the_thing_not_the_row() {
        let names = |v: &[&str]| -> Vec<String> { v.iter().map(|s| (*s).to_owned()).collect() };
        let mut list = List::default();
        list.go(&names(&["a", "b", "c"]), 1);
        assert_eq!(list.at(&names(&["b", "a", "c"])), Some(0));
        assert_eq!(list.at(&names(&["x", "y"])), Some(1), "gone: stays where it was");
        assert_eq!(list.at(&[]), None);
    }

    #[test]
    fn unknown_sorts_last_both_ways() {
        for descending in [false, true] {
            let mut rows = [Fig::unknown("x"), Fig::Known(1u64), Fig::Known(2)];
            sort_rows(&mut rows, descending, SortKey::of);
            assert!(rows[2].is_unknown());
        }
    }

    proptest! {
        #[test]
        fn columns_never_overlap(width in 1u16..300) {
            let slots = layout(COLUMNS, width);
            for pair in slots.windows(2) {
                prop_assert!(pair[0].x + pair[0].width < pair[1].x);
            }
            prop_assert!(slots.iter().any(|s| s.column == 0) && slots.iter().any(|s| s.column == 1));
        }
    }
}
