//! `3` Groups (console-screens.md §6.3): who is behind, and in which state.

use ratatui::layout::Rect;

use super::parts::{explained, nothing, pair, right_title, sentence};
use super::{TALL, current};
use crate::app::App;
use crate::data::{Fig, Flag, GroupKind, GroupRow, Name};
use crate::effect::Effect;
use crate::format;
use crate::model::group_state::GroupState;
use crate::model::trend::Trend;
use crate::place::At;
use crate::theme::Role;
use crate::widget::spark::spark;
use crate::widget::table::{self, Cell, Column, Row, SortKey, View, cell, fig, sort_rows};
use crate::widget::{Canvas, Seg, inside, rows, seg};

/// Columns as in the specification.
pub const COLUMNS: &[Column] = &[
    Column::left("GROUP", 19, 1).grow().sort('g'),
    Column::left("TYPE", 6, 8).sort('y'),
    Column::right("LAG  ", 10, 1).sort('l'),
    Column::left("TREND 15m", 10, 7),
    Column::right("BEHIND", 7, 2).sort('b'),
    Column::right("IN/s", 6, 8),
    Column::right("OUT/s", 6, 5).sort('o'),
    Column::right("DONE/s", 6, 9),
    Column::right("RETRY", 6, 6).sort('r'),
    Column::right("DEAD", 5, 3).sort('d'),
    Column::right("CLI", 4, 7).sort('c'),
    Column::left("STATE", 15, 2).sort('s').prose(),
    Column::left("SINCE", 5, 4).sort('n'),
];

/// Rows kept visible around the cursor when the poller is told what is on screen.
const WATCHED_MAX: usize = 60;

/// `!` rows by BEHIND, then unknown ones, then by LAG, names last.
pub fn default_order(rows: &mut [&GroupRow]) {
    rows.sort_by(|a, b| {
        let rank = |r: &GroupRow| match (r.flag, &r.lag) {
            (Flag::Alert, _) => 0,
            (_, Fig::Unknown(_)) => 1,
            _ => 2,
        };
        let behind = |r: &GroupRow| r.behind_ms.value().copied().unwrap_or(-1);
        let lag = |r: &GroupRow| r.lag.value().map_or(-1, |v| i128::from(*v));
        rank(a)
            .cmp(&rank(b))
            .then_with(|| match rank(a) {
                0 => behind(b).cmp(&behind(a)),
                _ => lag(b).cmp(&lag(a)),
            })
            .then_with(|| a.name.cmp(&b.name))
    });
}

fn sort_key(row: &GroupRow, letter: char) -> SortKey {
    match letter {
        'y' => SortKey::Text(row.kind.word().to_owned()),
        'l' => SortKey::of(&row.lag),
        'b' => SortKey::of_ms(&row.behind_ms),
        'o' => SortKey::of_rate(&row.out_rate),
        'r' => SortKey::of(&row.retry),
        'd' => SortKey::of(&row.dead_open),
        'c' => SortKey::of(&row.clients),
        's' => SortKey::Text(row.state.text()),
        'n' => SortKey::of_ms(&row.since_ms),
        _ => SortKey::Text(row.name.to_string()),
    }
}

/// Rows that the filter shows, in order.
pub fn shown<'a>(app: &App, all: &'a [GroupRow]) -> Vec<&'a GroupRow> {
    let list = &app.place().lists[0];
    let mut rows = list.pick(all);
    default_order(&mut rows);
    if let Some((letter, descending)) = list.sort {
        sort_rows(&mut rows, descending, |r| sort_key(r, letter));
    }
    rows
}

/// All rows of the picture.
pub fn all(app: &App) -> &[GroupRow] {
    app.picture().groups.get().map_or(&[], Vec::as_slice)
}

/// Keys of the rows.
pub fn keys(app: &App) -> Vec<String> {
    shown(app, all(app)).iter().map(|r| r.name.to_string()).collect()
}

/// A group by name.
pub fn find<'a>(app: &'a App, name: &str) -> Option<&'a GroupRow> {
    all(app).iter().find(|r| &*r.name == name)
}

/// The rows that a person can see now.
pub fn on_screen(app: &App) -> Vec<Name> {
    let rows = shown(app, all(app));
    let list = &app.place().lists[0];
    let page = list.page.get().clamp(1, WATCHED_MAX);
    rows.iter().skip(list.top.get()).take(page).map(|r| r.name.clone()).collect()
}

/// Why this group has nothing to replay, if so.
pub fn no_replay(row: &GroupRow) -> Option<String> {
    match row.state {
        GroupState::NoPermission => Some(format!("{}: no permission (16)", row.name)),
        GroupState::OnClients => {
            Some(format!("{}: broadcasting, offsets are on the clients", row.name))
        }
        _ => None,
    }
}

/// Opens the group under the cursor.
pub fn open(app: &mut App) -> Vec<Effect> {
    match current(app) {
        Some(name) => app.push(At::Group(name.into())),
        None => app.tell("no group to open"),
    }
    Vec::new()
}

/// LAG with its trend sign.
pub fn lag_cell(row: &GroupRow) -> Cell {
    let sign = match (&row.lag, row.trend) {
        (Fig::Unknown(_) | Fig::NotApplicable(_), _) => " ",
        (_, trend) => trend.sign(),
    };
    let role = match (table::fig_role(&row.lag), row.trend) {
        (Role::Text, Trend::Rising) if row.flag == Flag::Alert => Role::LagHigh,
        (Role::Text, Trend::Rising) => Role::LagMid,
        (other, _) => other,
    };
    Cell(role, format!("{} {sign}", row.lag.text(|v| format::count_in(*v, 7))))
}

/// The trend as a chart, or why there is none.
pub fn trend_cell(row: &GroupRow) -> Cell {
    match (&row.lag, row.trend) {
        (Fig::Unknown(_), _) => Cell(Role::Unknown, "?".to_owned()),
        (Fig::NotApplicable(_), _) => Cell(Role::TextDim, "on clients".to_owned()),
        (_, Trend::Few) => Cell(Role::TextDim, "…".to_owned()),
        _ => Cell(Role::Series1, spark(&row.spark, 10)),
    }
}

/// DEAD, loud when there is something.
pub fn dead_cell(row: &GroupRow) -> Cell {
    let mut cell = fig(&row.dead_open, row.dead_open.text(|v| format::count_in(*v, 5)));
    if row.dead_open.value().is_some_and(|n| *n > 0) {
        cell.0 = Role::Warn;
    }
    cell
}

/// SINCE as a time of day.
pub fn since_cell(app: &App, row: &GroupRow) -> Cell {
    let zone = app.zone();
    fig(&row.since_ms, row.since_ms.text(|ms| zone.hm_or_date(*ms, app.now_ms)))
}

fn kind_cell(row: &GroupRow) -> Cell {
    let extra = match (row.ordered, row.broadcasting) {
        (true, _) => " O",
        (_, true) => " B",
        _ => "",
    };
    let role = if row.kind == GroupKind::Unknown { Role::Unknown } else { Role::TextDim };
    Cell(role, format!("{}{extra}", row.kind.word()))
}

fn state_cell(row: &GroupRow) -> Cell {
    let role = match row.state {
        GroupState::Stuck | GroupState::HeadBlocked | GroupState::Failing(_) => Role::Critical,
        GroupState::FallingBehind => Role::Warn,
        GroupState::Unknown(_) | GroupState::NoPermission => Role::Unknown,
        GroupState::CatchingUp(_) | GroupState::Ok => Role::Ok,
        GroupState::OnClients | GroupState::NoClient => Role::TextDim,
    };
    Cell(role, row.state.text())
}

fn cells(app: &App, row: &GroupRow) -> Vec<Cell> {
    let rate = |f: &Fig<f64>| fig(f, format::fig_rate(f));
    vec![
        cell(&*row.name),
        kind_cell(row),
        lag_cell(row),
        trend_cell(row),
        fig(&row.behind_ms, format::fig_behind(&row.behind_ms)),
        rate(&row.in_rate),
        rate(&row.out_rate),
        rate(&row.done_rate),
        fig(&row.retry, row.retry.text(|v| format::count_in(*v, 5))),
        dead_cell(row),
        fig(&row.clients, format::fig_count(&row.clients)),
        state_cell(row),
        since_cell(app, row),
    ]
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect) {
    let part = &app.picture().groups;
    let all = all(app);
    let rows_shown = shown(app, all);
    let list = &app.place().lists[0];
    let order = list.sort.map_or_else(
        || "! by BEHIND, then LAG".to_owned(),
        |(letter, down)| {
            let title =
                COLUMNS.iter().find(|c| c.sort == Some(letter)).map_or("?", |c| c.title.trim());
            format!("sorted by {title} {}", if down { "▼" } else { "▲" })
        },
    );
    let base = if list.filter.is_empty() {
        format!("{} · {order}", all.len())
    } else {
        format!("{} of {} · {} · {order}", rows_shown.len(), all.len(), list.filter_words())
    };
    c.frame(area, "Groups", &right_title(app, part, "groups", &base), true);
    let inner = inside(area);
    let keys: Vec<String> = rows_shown.iter().map(|r| r.name.to_string()).collect();
    let cursor = list.at(&keys);
    let about = cursor.map(|i| rows_shown[i]).filter(|_| inner.height >= 12);
    let panel = if about.is_none() {
        0
    } else if area.height < TALL {
        4
    } else {
        6
    };
    let table_area = rows(inner, 0, inner.height - panel);
    let view = View { columns: COLUMNS, list, keys: &keys, cursor, focus: true };
    let hidden = table::draw(c, table_area, &view, &mut |i| Row::Cells(cells(app, rows_shown[i])));
    if keys.is_empty() {
        let empty = "no group has connected yet: start a consumer against this name server, or mqdeck --demo";
        let text = nothing(part, all.len(), list, "groups", empty);
        sentence(c, rows(inner, 2, inner.height.saturating_sub(2)), &text);
    }
    if let Some(row) = about {
        let y = table_area.bottom();
        let more = if hidden > 0 { format!("{hidden} more ↓") } else { String::new() };
        c.separator(area, y, &headline(row), &seg(Role::TextDim, more));
        for (i, line) in lines(app, row).iter().take(usize::from(panel - 1)).enumerate() {
            c.line(inner.x + 1, y + 1 + i as u16, inner.width.saturating_sub(2), line);
        }
    }
}

/// `payments-settle · push · 4 clients · limit 3 (client)`.
pub fn headline(row: &GroupRow) -> String {
    let clients = match row.clients.value() {
        Some(n) => format::plural(*n, "client"),
        None => "clients ?".to_owned(),
    };
    format!("{} · {} · {clients} · limit {}", row.name, row.kind.word(), row.limit.short())
}

/// The lines below the table: figures first, then what stands out.
fn lines(app: &App, row: &GroupRow) -> Vec<Vec<Seg>> {
    let mut out = Vec::new();
    if let Some(problem) = &row.problem {
        out.push(vec![seg(Role::Critical, format!("✗ {}: {}", problem.line(), problem.remark))]);
        out.push(vec![seg(Role::TextDim, format!("said at {}", app.zone().hms(problem.at_ms)))]);
        return out;
    }
    out.push(vec![seg(
        Role::Text,
        format!(
            "out {}/s · done {}/s · retry {} · topics {}",
            format::fig_rate(&row.out_rate),
            format::fig_rate(&row.done_rate),
            format::fig_count(&row.retry),
            row.topics.join(", ")
        ),
    )]);
    out.extend(row.findings.iter().map(|f| vec![seg(Role::Text, f.clone())]));
    if let Some(reason) = row.lag.reason() {
        out.push(vec![seg(
            Role::Unknown,
            format!("lag {}: {reason}", format::fig_count(&row.lag)),
        )]);
    }
    out
}

/// Everything about a group, with the reasons of what is missing.
pub fn about(app: &App, row: &GroupRow) -> Vec<Vec<Seg>> {
    let mut out = vec![pair("type", headline(row)), pair("topics", row.topics.join(", "))];
    if let Some(problem) = &row.problem {
        out.push(vec![seg(Role::TextDim, "error      "), seg(Role::Critical, problem.line())]);
        out.push(pair("", problem.remark.clone()));
    }
    out.push(pair("state", row.state.text()));
    let label = if row.kind == GroupKind::Pop { "not handed" } else { "lag" };
    out.push(explained(label, &row.lag, format::fig_count(&row.lag)));
    out.push(explained("behind", &row.behind_ms, format::fig_behind(&row.behind_ms)));
    out.push(explained("in/s", &row.in_rate, format::fig_rate(&row.in_rate)));
    out.push(explained("out/s", &row.out_rate, format::fig_rate(&row.out_rate)));
    out.push(explained("done/s", &row.done_rate, format::fig_rate(&row.done_rate)));
    out.push(explained("retry", &row.retry, format::fig_count(&row.retry)));
    out.push(explained("dead", &row.dead_open, format::fig_count(&row.dead_open)));
    out.push(explained("clients", &row.clients, format::fig_count(&row.clients)));
    let zone = app.zone();
    out.push(explained("since", &row.since_ms, row.since_ms.text(|ms| zone.full(*ms))));
    out.push(pair("limit", row.limit.text()));
    out.extend(row.findings.iter().map(|f| pair("", f.clone())));
    out
}
