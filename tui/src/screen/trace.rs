//! `T` Trace: one message's life, by id or by key (console-screens.md §6.11).

use std::sync::Arc;

use ratatui::layout::Rect;

use super::current;
use super::parts::{pair, sentence};
use crate::app::{App, InputKind, ask};
use crate::columns;
use crate::data::Problem;
use crate::effect::Effect;
use crate::event::Ticket;
use crate::format;
use crate::keymap::Action;
use crate::model::life::{self, Ended, Row as Lived};
use crate::place::{At, TraceAt};
use crate::sheet::Sheet;
use crate::survey::trace::Life;
use crate::theme::Role;
use crate::widget::table::{self, Cell, Column, List, Row, View, cell};
use crate::widget::{Canvas, Seg, inside, rows, seg};

/// Columns as in the specification.
pub const COLUMNS: &[Column] = &[
    Column::left("TIME", 12, 1),
    Column::left("STEP", 9, 1),
    Column::left("WHO", 25, 2),
    Column::left("RESULT", 6, 1),
    Column::right("TOOK", 6, 4),
    Column::left("DETAIL", 12, 3).grow().prose(),
];
/// Messages that have the same key.
const MATCHES: &[Column] =
    &[Column::left("SENT", 12, 1), Column::left("TOPIC", 20, 2), Column::left("ID", 32, 1).grow()];

/// Opens the life of a message; without one asks which.
pub fn open(app: &mut App, what: Option<&str>) -> Vec<Effect> {
    let Some(what) = what else {
        ask(app, InputKind::Trace);
        return Vec::new();
    };
    let ticket = app.ticket();
    let what: Arc<str> = what.into();
    let place = Box::new(TraceAt { what: Arc::clone(&what), ticket, found: None });
    match &mut app.place_mut().at {
        At::Trace(at) => *at = place,
        _ => app.push(At::Trace(place)),
    }
    vec![Effect::FindTrace(ticket, what)]
}

/// Takes the answer.
pub fn took(app: &mut App, ticket: Ticket, result: Result<Box<Life>, Problem>) {
    match &mut app.place_mut().at {
        At::Trace(at) if at.ticket == ticket => at.found = Some(result),
        At::Message(at) if at.ticket == ticket => at.life = Some(result),
        _ => {}
    }
}

/// Keys of this place.
pub fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match action {
        Action::Another => ask(app, InputKind::Trace),
        Action::Open => {
            let At::Trace(at) = &app.place().at else { return Vec::new() };
            if at.what.is_empty() {
                ask(app, InputKind::Trace);
            } else if matches(at).is_some()
                && let Some(id) = current(app)
            {
                return open(app, Some(&id));
            } else {
                app.details = !app.details;
            }
        }
        _ => {}
    }
    Vec::new()
}

/// What was typed: an id or a key.
pub fn typed(app: &mut App, text: &str) -> Result<Vec<Effect>, String> {
    match text.trim() {
        "" => Err("an id or a key of a message".to_owned()),
        text => Ok(open(app, Some(text))),
    }
}

/// Several messages with the key that was asked for.
fn matches(at: &TraceAt) -> Option<&Life> {
    at.found
        .as_ref()?
        .as_deref()
        .ok()
        .filter(|life| life.events.is_empty() && !life.matches.is_empty())
}

/// Keys of the rows.
pub fn keys(at: &TraceAt, list: &List) -> Vec<String> {
    if let Some(life) = matches(at) {
        return life.matches.iter().map(|m| m.id.clone()).collect();
    }
    shown(at.found.as_ref(), list).into_iter().map(|(i, _)| i.to_string()).collect()
}

/// Rows that the filter shows, each with its place among all.
fn shown(found: Option<&Result<Box<Life>, Problem>>, list: &List) -> Vec<(usize, Lived)> {
    let life = found.and_then(|found| found.as_ref().ok());
    let lived = life.map(|life| life::rows(&life.events)).unwrap_or_default();
    let (mut undecided, mut out) = (0, Vec::new());
    for (at, row) in lived.into_iter().enumerate() {
        match list.filter.shows(&row) {
            Some(true) => out.push((at, row)),
            Some(false) => {}
            None => undecided += 1,
        }
    }
    list.undecided.set(undecided);
    out
}

/// The rows that are shown.
pub fn sheet(app: &App, at: &TraceAt) -> Sheet {
    let rows = shown(at.found.as_ref(), &app.place().lists[0]);
    columns::sheet(rows.iter().map(|(_, row)| row).collect())
}

/// Why there is nothing to show, when that is so.
fn nothing(found: Option<&Result<Box<Life>, Problem>>) -> Option<(Role, String)> {
    Some(match found {
        None => (Role::TextDim, "reading the traces…".to_owned()),
        Some(Err(problem)) => {
            (Role::Critical, format!("✗ {}: {}", problem.line(), problem.remark))
        }
        Some(Ok(life)) if !life.exists => (
            Role::TextDim,
            "no trace: producers must enable it (enableTrace), topic RMQ_SYS_TRACE_TOPIC is missing"
                .to_owned(),
        ),
        Some(Ok(life)) if life.events.is_empty() && life.matches.is_empty() => (
            Role::TextDim,
            "no trace names this id or key: its clients do not write traces, or the records are older \
             than what the broker keeps"
                .to_owned(),
        ),
        Some(Ok(_)) => return None,
    })
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect, at: &TraceAt) {
    let title = if at.what.is_empty() { "Trace".to_owned() } else { format!("Trace {}", at.what) };
    c.frame(area, &title, &seg(Role::TextDim, "RMQ_SYS_TRACE_TOPIC"), true);
    let inner = inside(area);
    if at.what.is_empty() {
        let text = "the life of one message, by its id or a key: Enter asks which".to_owned();
        return sentence(c, inner, &(Role::TextDim, text));
    }
    if let Some(life) = matches(at) {
        let list = app.place().list();
        let keys = keys(at, list);
        let view =
            View { columns: MATCHES, list, keys: &keys, cursor: list.at(&keys), focus: true };
        let zone = app.zone();
        table::draw(c, inner, &view, &mut |i| {
            let m = &life.matches[i];
            Row::Cells(vec![cell(zone.hms_milli(m.at_ms)), cell(&*m.topic), cell(&*m.id)])
        });
        return;
    }
    draw_life(app, c, inner, app.place().list(), at.found.as_ref());
}

/// Draws the rows of a life, or why there are none.
pub fn draw_life(
    app: &App,
    c: &mut Canvas,
    area: Rect,
    list: &List,
    found: Option<&Result<Box<Life>, Problem>>,
) {
    if let Some(text) = nothing(found) {
        return sentence(c, rows(area, 1, area.height.saturating_sub(1)), &text);
    }
    let lived = shown(found, list);
    let keys: Vec<String> = lived.iter().map(|(i, _)| i.to_string()).collect();
    let view = View { columns: COLUMNS, list, keys: &keys, cursor: list.at(&keys), focus: true };
    table::draw(c, area, &view, &mut |i| Row::Cells(cells(app, &lived[i].1)));
}

/// The row under the cursor with all of its text.
pub fn details(app: &App, at: &TraceAt) -> Option<(String, Vec<Vec<Seg>>)> {
    let row = current(app)?.parse::<usize>().ok()?;
    let life = at.found.as_ref()?.as_deref().ok()?;
    let row = life::rows(&life.events).into_iter().nth(row)?;
    let when =
        if row.at_ms > 0 { app.zone().full(row.at_ms) } else { "no record says it".to_owned() };
    let took = row.took_ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms"));
    let lines = vec![
        pair("time", when),
        pair("who", row.who),
        pair("result", row.result.word()),
        pair("took", took),
        pair("detail", row.detail),
    ];
    Some((row.step.to_owned(), lines))
}

fn cells(app: &App, row: &Lived) -> Vec<Cell> {
    let role = match row.result {
        Ended::Ok => Role::Ok,
        Ended::Failed => Role::Critical,
        Ended::Open => Role::Unknown,
        Ended::None => Role::TextDim,
    };
    let time = if row.at_ms > 0 { app.zone().hms_milli(row.at_ms) } else { "?".to_owned() };
    vec![
        cell(time),
        cell(row.step),
        cell(&*row.who),
        Cell(role, row.result.word().to_owned()),
        cell(row.took_ms.map_or_else(
            || "–".to_owned(),
            |ms| format!("{} ms", format::count(ms.unsigned_abs())),
        )),
        cell(&*row.detail),
    ]
}
