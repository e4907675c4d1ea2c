//! `0` Transactions: half messages that nobody has decided, and those the broker gave up
//! (console-screens.md §6.10).

use ratatui::layout::Rect;

use super::asked::title;
use super::current;
use super::parts::{nothing, pair, sentence};
use crate::app::App;
use crate::data::Fig;
use crate::dialog::Dialog;
use crate::dialog::decide::Decide;
use crate::effect::Effect;
use crate::format;
use crate::place::{Asked, At};
use crate::survey::transactions::{Half, Transactions, Verdict};
use crate::theme::Role;
use crate::widget::table::{self, Cell, Column, Row, View, cell, fig};
use crate::widget::{Canvas, Seg, inside, rows, seg};

/// Columns as in the specification.
pub const COLUMNS: &[Column] = &[
    Column::left("SINCE", 8, 3),
    Column::right("AGE", 7, 1),
    Column::right("CHECKS", 6, 1),
    Column::right("NEXT", 6, 5),
    Column::left("PRODUCER GROUP", 14, 2),
    Column::left("ALIVE", 8, 2),
    Column::left("TOPIC", 8, 6),
    Column::left("KEYS", 8, 3),
    Column::left("WAITS FOR", 18, 1).grow().prose(),
];
/// Most lines that the given-up ones take of the screen: one in so many.
const LOWER_PART: u16 = 3;

fn key(half: &Half) -> String {
    format!("{}\u{1f}{}\u{1f}{}", half.given_up, half.id, half.addr)
}

/// Undecided ones, then given-up ones.
pub fn shown<'a>(app: &App, at: &'a Asked<Transactions>) -> (Vec<&'a Half>, Vec<&'a Half>) {
    let all = at.part.get().map_or(&[][..], |all| all.halves.as_slice());
    app.place().lists[0].pick(all).into_iter().partition(|half| !half.given_up)
}

/// Keys of the rows.
pub fn keys(app: &App, at: &Asked<Transactions>) -> Vec<String> {
    let (open, given_up) = shown(app, at);
    open.into_iter().chain(given_up).map(key).collect()
}

fn counts(app: &App, at: &Asked<Transactions>) -> String {
    let Some(all) = at.part.get() else { return String::new() };
    let open = all.halves.iter().filter(|half| !half.given_up);
    let oldest = open.clone().map(|half| half.born_ms).min();
    let oldest = oldest
        .map(|ms| format!(", oldest {}", format::duration((app.now_ms - ms).max(0))))
        .unwrap_or_default();
    let least = if all.complete { "" } else { "≥" };
    let open = open.count();
    let given_up = all.halves.len() - open;
    format!("{least}{open} undecided{oldest} · {least}{given_up} given up")
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect, at: &Asked<Transactions>) {
    c.frame(area, "Transactions", &title(app, at, "transactions", counts(app, at)), true);
    let inner = inside(area);
    let (open, given_up) = shown(app, at);
    let Some(all) = at.part.get().filter(|_| open.len() + given_up.len() > 0) else {
        let all = at.part.get().map_or(0, |all| all.halves.len());
        let list = &app.place().lists[0];
        let empty = "every transaction is decided";
        return sentence(c, inner, &nothing(&at.part, all, list, "transactions", empty));
    };
    let keys = keys(app, at);
    let list = &app.place().lists[0];
    let cursor = list.at(&keys);
    let below = if given_up.is_empty() {
        0
    } else {
        (given_up.len() as u16 + 1).min(inner.height / LOWER_PART)
    };
    let upper = rows(inner, 0, inner.height - below);
    let (first, second) = keys.split_at(open.len());
    let at_first = cursor.filter(|i| *i < open.len());
    let view = View { columns: COLUMNS, list, keys: first, cursor: at_first, focus: true };
    table::draw(c, upper, &view, &mut |i| Row::Cells(cells(app, all, open[i])));
    if below > 0 {
        let words = "given up: copies in TRANS_CHECK_MAX_TIME_TOPIC";
        c.separator(area, upper.bottom(), words, &seg(Role::TextDim, ""));
        let at_second = cursor.and_then(|i| i.checked_sub(open.len()));
        let list = &app.place().lists[1];
        let view = View { columns: COLUMNS, list, keys: second, cursor: at_second, focus: true };
        let area = rows(inner, inner.height - below, below);
        table::draw_body(c, area, &view, &mut |i| Row::Cells(cells(app, all, given_up[i])));
    }
}

/// Asks before the one under the cursor is decided.
pub fn decide(app: &mut App, verdict: Verdict) -> Vec<Effect> {
    let At::Transactions(at) = &app.place().at else { return Vec::new() };
    let half = current(app)
        .and_then(|wanted| at.part.get()?.halves.iter().find(|half| key(half) == wanted).cloned());
    match half {
        None => app.tell("no transaction under the cursor"),
        Some(half) if half.given_up => {
            app.tell("the broker has given it up: only undecided ones can be decided");
        }
        Some(half) => {
            let ticket = app.ticket();
            let dialog = Decide::new(half, verdict, ticket, &app.ctx());
            app.dialog = Some(Dialog::Decide(Box::new(dialog)));
        }
    }
    Vec::new()
}

/// What it takes until this is decided.
fn waits_for(half: &Half) -> &'static str {
    if half.given_up {
        "a decision by hand"
    } else if half.producers == Fig::Known(0) {
        "no producer to ask"
    } else if half.checks == 0 {
        "first check"
    } else {
        "the next check"
    }
}

fn cells(app: &App, all: &Transactions, half: &Half) -> Vec<Cell> {
    let rules = all.rules.get(&half.broker);
    let most = rules.map_or_else(|| "?".to_owned(), |rules| rules.checks_max.to_string());
    let next = match rules {
        _ if half.given_up => cell("–"),
        Some(rules) => cell(format!("≤ {}", format::duration(rules.interval_ms))),
        None => Cell(Role::Unknown, "?".to_owned()),
    };
    let checks = if half.given_up { most.clone() } else { half.checks.to_string() };
    vec![
        cell(app.zone().hms(half.born_ms)),
        cell(format::duration((app.now_ms - half.born_ms).max(0))),
        cell(format!("{checks}/{most}")),
        next,
        cell(&*half.group),
        if half.given_up {
            cell("–")
        } else {
            fig(&half.producers, half.producers.text(|n| format!("{n} online")))
        },
        cell(&*half.topic),
        cell(if half.keys.is_empty() { "–" } else { &half.keys }),
        cell(waits_for(half)),
    ]
}

/// The transaction under the cursor.
pub fn details(app: &App, at: &Asked<Transactions>) -> Option<(String, Vec<Vec<Seg>>)> {
    let wanted = current(app)?;
    let half = at.part.get()?.halves.iter().find(|half| key(half) == wanted)?;
    let lines = vec![
        pair("since", app.zone().full(half.born_ms)),
        pair("group", &*half.group),
        pair("topic", &*half.topic),
        pair("keys", &*half.keys),
        pair("checks", half.checks.to_string()),
        pair("producers", half.producers.text(|n| format!("{n} online"))),
        pair("broker", &*half.broker),
        pair(
            "copy",
            format!("queue offset {} · log offset {}", half.queue_offset, half.log_offset),
        ),
        pair("waits for", waits_for(half)),
    ];
    Some((half.id.clone(), lines))
}
