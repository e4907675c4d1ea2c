//! `0` Transactions: half messages that nobody has decided, and those that were given up
//! (console-screens.md §6.10).

use ratatui::layout::Rect;

use super::current;
use super::parts::{explained, nothing, pair, sentence, survey_title};
use crate::app::App;
use crate::data::Fig;
use crate::format;
use crate::model::filter::Filter;
use crate::survey::transactions::Half;
use crate::theme::Role;
use crate::widget::table::{self, Cell, Column, Row, SortKey, View, cell, fig, sort_rows};
use crate::widget::{Canvas, Seg, inside, rows, seg};

/// Columns as in the specification.
pub const COLUMNS: &[Column] = &[
    Column::left("SINCE", 8, 3),
    Column::right("AGE", 7, 1).sort('a'),
    Column::right("CHECKS", 6, 1).sort('k'),
    Column::left("PRODUCER GROUP", 14, 2).sort('g'),
    Column::left("ALIVE", 8, 2),
    Column::left("TOPIC", 8, 6).sort('t'),
    Column::left("KEYS", 8, 3),
    Column::left("WAITS FOR", 18, 1).grow().prose(),
];

fn all(app: &App) -> &[Half] {
    app.surveys.transactions.get().map_or(&[], Vec::as_slice)
}

fn shown(app: &App) -> Vec<&Half> {
    let list = &app.place().lists[0];
    let filter = Filter::new(&list.filter);
    let text = |h: &Half| format!("{} {} {}", h.group, h.topic, h.keys);
    let mut rows: Vec<&Half> = all(app).iter().filter(|h| filter.shows(&text(h))).collect();
    let (letter, descending) = list.sort.unwrap_or(('a', true));
    sort_rows(&mut rows, descending, |h| match letter {
        'g' => SortKey::Text(h.group.clone()),
        't' => SortKey::Text(h.topic.clone()),
        'k' => SortKey::Number(f64::from(h.checks)),
        _ => SortKey::Number((app.now_ms - h.born_ms) as f64),
    });
    // Given-up ones stand below.
    rows.sort_by_key(|h| h.given_up);
    rows
}

/// Keys of the rows.
pub fn keys(app: &App) -> Vec<String> {
    shown(app).iter().map(|h| h.id.clone()).collect()
}

fn alive(half: &Half) -> String {
    if half.given_up {
        return "–".to_owned();
    }
    half.producers.text(|n| format!("{n} online"))
}

/// What a half message waits for.
fn waits_for(half: &Half) -> (Role, &'static str) {
    if half.given_up {
        return (Role::Critical, "given up: nobody asks any more");
    }
    match half.producers {
        Fig::Known(0) => (Role::Warn, "no producer to ask"),
        _ if half.checks == 0 => (Role::TextDim, "first check"),
        _ => (Role::TextDim, "the next check"),
    }
}

fn cells(app: &App, h: &Half) -> Vec<Cell> {
    let (role, waits) = waits_for(h);
    vec![
        cell(app.zone().hms(h.born_ms)),
        cell(format::age((app.now_ms - h.born_ms).max(0))),
        cell(h.checks.to_string()),
        cell(&*h.group),
        fig(&h.producers, alive(h)),
        cell(&*h.topic),
        cell(if h.keys.is_empty() { "–" } else { &h.keys }),
        Cell(role, waits.to_owned()),
    ]
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect) {
    let list = app.place().list();
    let shown = shown(app);
    let part = &app.surveys.transactions;
    let open = all(app).iter().filter(|half| !half.given_up);
    let oldest = open.clone().map(|half| app.now_ms - half.born_ms).max();
    let oldest =
        oldest.map_or_else(String::new, |ms| format!(", oldest {}", format::age(ms.max(0))));
    let lost = all(app).iter().filter(|half| half.given_up).count();
    let base = format!("{} undecided{oldest} · {lost} given up", open.count());
    c.frame(area, "Transactions", &survey_title(app, part, "half messages", &base), true);
    let inner = inside(area);
    let keys: Vec<String> = shown.iter().map(|half| half.id.clone()).collect();
    let view = View { columns: COLUMNS, list, keys: &keys, cursor: list.at(&keys), focus: true };
    table::draw(c, inner, &view, &mut |i| Row::Cells(cells(app, shown[i])));
    if keys.is_empty() {
        let empty = "every transaction is decided";
        let text = nothing(part, all(app).len(), &list.filter, "half messages", empty);
        sentence(c, rows(inner, 2, inner.height.saturating_sub(2)), &text);
    }
}

/// Details of the transaction under the cursor.
pub fn details(app: &App) -> Option<(String, Vec<Vec<Seg>>)> {
    let id = current(app)?;
    let half = all(app).iter().find(|half| half.id == id)?;
    let verb = "mqdeck transactions commit or rollback decides it in its producer's place";
    let lines = vec![
        pair("sent", app.zone().full(half.born_ms)),
        pair("topic", half.topic.clone()),
        pair("keys", half.keys.clone()),
        pair("group", half.group.clone()),
        explained("alive", &half.producers, alive(half)),
        pair("checks", half.checks.to_string()),
        pair("broker", format!("{} offset {}", half.broker, half.queue_offset)),
        vec![seg(Role::TextDim, verb)],
    ];
    Some((half.id.clone(), lines))
}
