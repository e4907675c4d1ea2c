//! `2` Topics (console-screens.md §6.2).

use ratatui::layout::Rect;

use super::current;
use super::parts::{explained, nothing, pair, right_title, sentence};
use crate::app::App;
use crate::data::{Fig, TopicRow};
use crate::effect::Effect;
use crate::format;
use crate::place::At;
use crate::theme::Role;
use crate::widget::table::{self, Cell, Column, Row, SortKey, View, cell, fig, sort_rows};
use crate::widget::{Canvas, Seg, inside, rows, seg};

/// Columns as in the specification.
pub const COLUMNS: &[Column] = &[
    Column::left("TOPIC", 20, 1).grow().sort('g'),
    Column::left("TYPE", 5, 7),
    Column::right("QUEUES r/w", 11, 8),
    Column::right("IN/s", 6, 2).sort('i'),
    Column::right("MB/s", 6, 6),
    Column::right("MESSAGES", 11, 3).sort('m'),
    Column::right("LAG Σ", 9, 1).sort('l'),
    Column::right("GROUPS", 6, 5),
    Column::right("LAST MSG", 10, 4).sort('a'),
];

fn all(app: &App) -> &[TopicRow] {
    app.picture().topics.get().map_or(&[], Vec::as_slice)
}

/// Rows that the filter shows, in order.
pub fn shown(app: &App) -> Vec<&TopicRow> {
    let place = app.place();
    let list = &place.lists[0];
    let mut rows = list.pick(all(app).iter().filter(|t| place.show_all || !t.system));
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let (letter, descending) = list.sort.unwrap_or(('l', true));
    sort_rows(&mut rows, descending, |t| match letter {
        'l' => SortKey::of(&t.lag),
        'm' => SortKey::of(&t.messages),
        'i' => SortKey::of_rate(&t.in_rate),
        'a' => SortKey::of_ms(&t.last_age_ms),
        _ => SortKey::Text(t.name.to_string()),
    });
    rows
}

/// Keys of the rows.
pub fn keys(app: &App) -> Vec<String> {
    shown(app).iter().map(|t| t.name.to_string()).collect()
}

/// Opens the topic under the cursor.
pub fn open(app: &mut App) -> Vec<Effect> {
    match current(app) {
        Some(name) => app.push(At::Queues(name.into())),
        None => app.tell("no topic to open"),
    }
    Vec::new()
}

fn cells(t: &TopicRow) -> Vec<Cell> {
    let kind = match (t.kind, t.only) {
        ("", "") => "–".to_owned(),
        ("", only) => format!("–  {only}"),
        (kind, only) => format!("{kind} {only}").trim_end().to_owned(),
    };
    let name = match &t.problem {
        Some(problem) => Cell(Role::Unknown, format!("{}  {}", t.name, problem.line())),
        None => cell(&*t.name),
    };
    vec![
        name,
        Cell(Role::TextDim, kind),
        cell(format!("{}/{}", t.read_queues, t.write_queues)),
        fig(&t.in_rate, format::fig_rate(&t.in_rate)),
        fig(&t.in_bytes, t.in_bytes.text(|b| format::megabytes(*b))),
        fig(&t.messages, format::fig_count(&t.messages)),
        fig(&t.lag, t.lag.text(|v| format::count_in(*v, 8))),
        fig(&t.groups, format::fig_count(&t.groups)),
        fig(&t.last_age_ms, last(&t.last_age_ms)),
    ]
}

/// LAST MSG: an age, or `never`.
pub fn last(age: &Fig<i64>) -> String {
    match age {
        Fig::NotApplicable(_) => "never".to_owned(),
        other => format::ago(other),
    }
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect) {
    let place = app.place();
    let list = &place.lists[0];
    let rows_shown = shown(app);
    let hidden_system = all(app).iter().filter(|t| t.system).count();
    let (letter, down) = list.sort.unwrap_or(('l', true));
    let title = COLUMNS.iter().find(|c| c.sort == Some(letter)).map_or("?", |c| c.title);
    let system = match (place.show_all, hidden_system) {
        (_, 0) => String::new(),
        (true, n) => format!(" · {n} system shown (.)"),
        (false, _) => " · system hidden (.)".to_owned(),
    };
    let users = all(app).len() - hidden_system;
    let base = format!("{users}{system} · sorted by {title} {}", if down { "▼" } else { "▲" });
    c.frame(area, "Topics", &right_title(app, &app.picture().topics, "topics", &base), true);
    let inner = inside(area);
    let keys: Vec<String> = rows_shown.iter().map(|t| t.name.to_string()).collect();
    let view = View { columns: COLUMNS, list, keys: &keys, cursor: list.at(&keys), focus: true };
    table::draw(c, inner, &view, &mut |i| Row::Cells(cells(rows_shown[i])));
    if keys.is_empty() {
        let empty = "no topics yet: just send where the broker creates topics on first send, \
                     or start mqdeck --demo";
        let text = nothing(&app.picture().topics, users, list, "topics", empty);
        sentence(c, rows(inner, 2, inner.height.saturating_sub(2)), &text);
    }
}

/// Details of the topic under the cursor.
pub fn details(app: &App) -> Option<(String, Vec<Vec<Seg>>)> {
    let key = current(app)?;
    let t = all(app).iter().find(|t| *t.name == *key)?;
    let mut out = vec![
        pair("queues", format!("{} to read, {} to write", t.read_queues, t.write_queues)),
        explained("in/s", &t.in_rate, format::fig_rate(&t.in_rate)),
        explained("messages", &t.messages, format::fig_count(&t.messages)),
        explained("lag", &t.lag, format::fig_count(&t.lag)),
        explained("groups", &t.groups, format::fig_count(&t.groups)),
        explained("last", &t.last_age_ms, last(&t.last_age_ms)),
    ];
    if let Some(problem) = &t.problem {
        out.push(vec![seg(Role::TextDim, "error      "), seg(Role::Critical, problem.line())]);
        out.push(pair("", problem.remark.clone()));
    }
    Some((t.name.to_string(), out))
}
