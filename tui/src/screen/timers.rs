//! `9` Timers: what waits for a time of its own, on the wheel and in delay levels
//! (console-screens.md §6.9).

use ratatui::layout::Rect;

use super::asked::title;
use super::current;
use super::parts::{nothing, pair, sentence};
use crate::app::App;
use crate::columns::timer_kind;
use crate::data::Fig;
use crate::effect::Effect;
use crate::format;
use crate::model::due::{STEPS, histogram};
use crate::place::{Asked, At};
use crate::survey::timers::{Kind, Timer, Timers};
use crate::theme::Role;
use crate::widget::spark::bar;
use crate::widget::table::{self, Cell, Column, Row, SortKey, View, cell, sort_rows};
use crate::widget::{Canvas, Seg, inside, rows, seg};

/// Columns as in the specification.
pub const COLUMNS: &[Column] = &[
    Column::left("DUE", 19, 2),
    Column::right("IN", 7, 1).sort('i'),
    Column::left("TOPIC", 16, 1).grow().sort('g'),
    Column::left("KEYS", 10, 4),
    Column::right("SIZE", 6, 6).sort('z'),
    Column::left("KIND", 8, 3).sort('k'),
    Column::left("SET BY", 16, 5),
    Column::right("ROLLED", 6, 7),
];
/// Steps of the histogram that have a bar; the others would dwarf them.
const BARS: usize = 4;
/// From this width on there are bars.
const BARS_FROM: u16 = 98;
const BAR_CELLS: usize = 10;

fn key(timer: &Timer) -> String {
    format!("{}\u{1f}{}\u{1f}{}", timer.unique_id, timer.due_ms, timer.topic)
}

/// Rows that the filter shows, in order.
pub fn shown<'a>(app: &App, at: &'a Asked<Timers>) -> Vec<&'a Timer> {
    let Some(all) = at.part.get() else { return Vec::new() };
    let list = &app.place().lists[0];
    let mut out = list.pick(&all.rows);
    if let Some((letter, descending)) = list.sort {
        sort_rows(&mut out, descending, |t| match letter {
            'g' => SortKey::Text(t.topic.clone()),
            'z' => SortKey::Number(t.size as f64),
            'k' => SortKey::Text(timer_kind(t)),
            _ => SortKey::Number(t.due_ms as f64),
        });
    }
    out
}

/// Keys of the rows.
pub fn keys(app: &App, at: &Asked<Timers>) -> Vec<String> {
    shown(app, at).into_iter().map(key).collect()
}

/// Shows the details of the message under the cursor, or hides them.
pub fn open(app: &mut App) -> Vec<Effect> {
    app.details = !app.details;
    Vec::new()
}

fn wait(app: &App, all: &Timers, timer: &Timer) -> i64 {
    timer.due_ms - app.now_ms - all.ahead_ms
}

fn counts(at: &Asked<Timers>) -> String {
    let Some(all) = at.part.get() else { return String::new() };
    let read = if all.more { "not all read" } else { "all read" };
    format!(
        "{} on the wheel, {read} · {} in delay levels",
        format::fig_count(&all.wheel),
        format::fig_count(&all.levels)
    )
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect, at: &Asked<Timers>) {
    c.frame(area, "Timers", &title(app, at, "timers", counts(at)), true);
    let inner = inside(area);
    let found = shown(app, at);
    let Some(all) = at.part.get().filter(|_| !found.is_empty()) else {
        let all = at.part.get().map_or(0, |all| all.rows.len());
        let list = &app.place().lists[0];
        let text = nothing(&at.part, all, list, "timers", "nothing is scheduled");
        return sentence(c, inner, &text);
    };
    c.line(inner.x + 1, inner.y, inner.width.saturating_sub(2), &due_line(app, all, inner.width));
    let keys: Vec<String> = found.iter().map(|timer| key(timer)).collect();
    let list = &app.place().lists[0];
    let view = View { columns: COLUMNS, list, keys: &keys, cursor: list.at(&keys), focus: true };
    let area = rows(inner, 1, inner.height.saturating_sub(1));
    table::draw(c, area, &view, &mut |i| Row::Cells(cells(app, all, found[i])));
}

/// How many of the wheel are due how soon.
fn due_line(app: &App, all: &Timers, width: u16) -> Vec<Seg> {
    let wheel = all.rows.iter().filter(|timer| timer.kind == Kind::Wheel);
    let counts = histogram(wheel.map(|timer| wait(app, all, timer)));
    let max = counts.iter().take(BARS).copied().max().unwrap_or_default();
    let mut line = vec![seg(Role::TextDim, "due in")];
    for (i, ((name, _), count)) in STEPS.iter().zip(counts).enumerate() {
        let count = if all.more { Fig::AtLeast(count) } else { Fig::Known(count) };
        line.push(seg(Role::TextDim, format!("  {name} ")));
        if width >= BARS_FROM && i < BARS {
            let bar = bar(*count.value().unwrap_or(&0), max, BAR_CELLS);
            let gap = if bar.is_empty() { "" } else { " " };
            line.push(seg(Role::Series1, format!("{bar}{gap}")));
        }
        line.push(seg(Role::Text, format!("{}  ", format::fig_count(&count))));
    }
    line
}

fn due(app: &App, ms: i64) -> String {
    let zone = app.zone();
    let today = zone.local(ms).date() == zone.local(app.now_ms).date();
    if today { zone.hms(ms) } else { zone.local(ms).format("%Y-%m-%d %H:%M:%S").to_string() }
}

fn cells(app: &App, all: &Timers, timer: &Timer) -> Vec<Cell> {
    vec![
        cell(due(app, timer.due_ms)),
        cell(format::duration(wait(app, all, timer).max(0))),
        cell(&*timer.topic),
        cell(if timer.keys.is_empty() { "–" } else { &timer.keys }),
        cell(format::bytes_short(timer.size)),
        cell(timer_kind(timer)),
        cell(&*timer.set_by),
        cell(timer.rolled.map_or_else(|| "–".to_owned(), |n| n.to_string())),
    ]
}

/// The message under the cursor.
pub fn details(app: &App, at: &Asked<Timers>) -> Option<(String, Vec<Vec<Seg>>)> {
    let wanted = current(app)?;
    let all = at.part.get()?;
    let timer = all.rows.iter().find(|timer| key(timer) == wanted)?;
    let lines = vec![
        pair("due", app.zone().full(timer.due_ms)),
        pair("in", format::duration(wait(app, all, timer).max(0))),
        pair("topic", &*timer.topic),
        pair("keys", &*timer.keys),
        pair("tag", &*timer.tag),
        pair("size", format::bytes(timer.size)),
        pair("held by", format!("{} of {}", timer_kind(timer), timer.broker)),
        pair("set", app.zone().full(timer.stored_ms)),
        pair("set by", &*timer.set_by),
        pair("id", &*timer.unique_id),
    ];
    Some((timer.unique_id.clone(), lines))
}

/// The message under the cursor, for other screens.
pub fn id(app: &App) -> Option<String> {
    let At::Timers(at) = &app.place().at else { return None };
    let wanted = current(app)?;
    let timer = at.part.get()?.rows.iter().find(|timer| key(timer) == wanted)?;
    Some(timer.unique_id.clone())
}
