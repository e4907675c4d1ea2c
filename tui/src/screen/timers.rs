//! `9` Timers: messages that wait for a time of their own (console-screens.md §6.9).

use ratatui::layout::Rect;

use super::current;
use super::parts::{nothing, pair, sentence, survey_title};
use crate::app::App;
use crate::data::fig::sum;
use crate::format;
use crate::model::filter::Filter;
use crate::survey::state::TimerList;
use crate::survey::timers::Timer;
use crate::theme::Role;
use crate::widget::table::{self, Cell, Column, Row, SortKey, View, cell, sort_rows};
use crate::widget::{Canvas, Seg, inside, rows, seg};

/// Columns as in the specification.
pub const COLUMNS: &[Column] = &[
    Column::left("DUE", 19, 2).sort('d'),
    Column::right("IN", 7, 1),
    Column::left("TOPIC", 16, 1).grow().sort('t'),
    Column::left("KEYS", 10, 4),
    Column::right("SIZE", 6, 6).sort('z'),
    Column::left("KIND", 8, 3),
    Column::left("SET BY", 16, 5),
    Column::right("ROLLED", 6, 7),
];
/// Ends of the spans of the histogram, ms from now.
const SPANS: [(i64, &str); 5] =
    [(60_000, "1m"), (300_000, "5m"), (900_000, "15m"), (3_600_000, "1h"), (86_400_000, "24h")];

fn all(app: &App) -> &[Timer] {
    app.surveys.timers.get().map_or(&[], |list| list.timers.as_slice())
}

fn shown(app: &App) -> Vec<&Timer> {
    let list = &app.place().lists[0];
    let filter = Filter::new(&list.filter);
    let text = |t: &Timer| format!("{} {} {}", t.topic, t.keys, t.tag);
    let mut rows: Vec<&Timer> = all(app).iter().filter(|t| filter.shows(&text(t))).collect();
    let (letter, descending) = list.sort.unwrap_or(('d', false));
    sort_rows(&mut rows, descending, |t| match letter {
        't' => SortKey::Text(t.topic.clone()),
        'z' => SortKey::Number(t.size as f64),
        _ => SortKey::Number(t.due_ms as f64),
    });
    rows
}

/// Keys of the rows.
pub fn keys(app: &App) -> Vec<String> {
    shown(app).iter().map(|t| t.unique_id.clone()).collect()
}

fn cells(app: &App, t: &Timer) -> Vec<Cell> {
    let left = t.due_ms - app.now_ms;
    let left = if left > 0 { format::duration(left) } else { "due".to_owned() };
    let keys = if t.keys.is_empty() { "–" } else { &t.keys };
    vec![
        cell(due(app, t.due_ms)),
        cell(left),
        cell(&*t.topic),
        cell(keys),
        Cell(Role::TextDim, format::bytes(t.size)),
        cell("timer"),
        Cell(Role::TextDim, t.set_by.clone()),
        Cell(Role::TextDim, t.rolled.to_string()),
    ]
}

/// The time of today, with the date on other days.
fn due(app: &App, ms: i64) -> String {
    let zone = app.zone();
    let today = zone.local(app.now_ms).date() == zone.local(ms).date();
    if today { zone.hms(ms) } else { zone.local(ms).format("%Y-%m-%d %H:%M:%S").to_string() }
}

/// How many are due within each span; at least so many, when older entries were not read.
fn histogram(app: &App, list: &TimerList) -> String {
    let mut counts = [0_usize; SPANS.len() + 1];
    for timer in &list.timers {
        let left = timer.due_ms - app.now_ms;
        let span = SPANS.iter().position(|(end, _)| left <= *end).unwrap_or(SPANS.len());
        counts[span] += 1;
    }
    let sign = if list.more { "≥" } else { "" };
    let names = SPANS.iter().map(|(_, name)| *name).chain(["later"]);
    let parts: Vec<String> = names
        .zip(counts)
        .map(|(name, n)| format!("{name} {sign}{}", format::count(n as u64)))
        .collect();
    format!("due in  {}", parts.join("   "))
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect) {
    let list = app.place().list();
    let shown = shown(app);
    let part = &app.surveys.timers;
    let base = part.get().map_or_else(String::new, |list| {
        let totals: Vec<_> = list.totals.iter().map(|total| total.waiting.clone()).collect();
        let read = if list.more { "the newest read" } else { "all read" };
        format!("{} on the wheel, {read}", format::fig_count(&sum(&totals)))
    });
    c.frame(area, "Timers", &survey_title(app, part, "timers", &base), true);
    let inner = inside(area);
    let mut below = inner;
    if let Some(list) = part.get().filter(|list| !list.timers.is_empty()) {
        c.put(
            inner.x + 1,
            inner.y,
            inner.width.saturating_sub(2),
            &histogram(app, list),
            Role::TextDim,
        );
        below = rows(inner, 1, inner.height.saturating_sub(1));
    }
    let keys: Vec<String> = shown.iter().map(|t| t.unique_id.clone()).collect();
    let view = View { columns: COLUMNS, list, keys: &keys, cursor: list.at(&keys), focus: true };
    table::draw(c, below, &view, &mut |i| Row::Cells(cells(app, shown[i])));
    if keys.is_empty() {
        let empty = "nothing is scheduled for a time of its own; delay levels are on Retry, 4";
        let text = nothing(part, all(app).len(), &list.filter, "timers", empty);
        sentence(c, rows(below, 2, below.height.saturating_sub(2)), &text);
    }
}

/// Details of the timer under the cursor.
pub fn details(app: &App) -> Option<(String, Vec<Vec<Seg>>)> {
    let id = current(app)?;
    let timer = all(app).iter().find(|timer| timer.unique_id == id)?;
    let zone = app.zone();
    let tag = if timer.tag.is_empty() { "–".to_owned() } else { timer.tag.clone() };
    let lines = vec![
        pair("due", zone.full(timer.due_ms)),
        pair("topic", timer.topic.clone()),
        pair("keys", timer.keys.clone()),
        pair("tag", tag),
        pair("set", format!("{} by {}", zone.full(timer.stored_ms), timer.set_by)),
        pair("broker", timer.broker.clone()),
        vec![seg(Role::TextDim, "o T shows its life")],
    ];
    Some((timer.unique_id.clone(), lines))
}
