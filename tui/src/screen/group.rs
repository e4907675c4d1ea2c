//! Groups › one group: tabs Queues, Clients, Retry, Dead (console-screens.md §6.3).

use std::sync::Arc;

use ratatui::layout::Rect;

use super::parts::{explained, nothing, pair, right_title, sentence};
use super::{current, dead_letters, groups, inspector, ladder};
use crate::app::App;
use crate::columns;
use crate::data::{ClientRow, Fig, GroupDetail, GroupQueue, Letter, Message, Name, Part};
use crate::effect::{Effect, From, QueueRef};
use crate::format;
use crate::keymap::Action;
use crate::model::query::{Query, QueryError};
use crate::model::query_message;
use crate::place::{At, MessagesAt};
use crate::sheet::Sheet;
use crate::theme::Role;
use crate::widget::table::{self, Cell, Column, Row, SortKey, View, cell, fig, sort_rows};
use crate::widget::{Canvas, Seg, inside, rows, seg};

/// The tabs.
const TABS: [&str; 4] = ["Queues", "Clients", "Retry", "Dead"];
const QUEUES: usize = 0;
const CLIENTS: usize = 1;
const RETRY: usize = 2;
const DEAD: usize = 3;

/// Columns of the tab Queues.
const QUEUE_COLUMNS: &[Column] = &[
    Column::left("TOPIC", 12, 3).grow().sort('t'),
    Column::left("BROKER", 9, 1),
    Column::right("Q", 2, 1),
    Column::right("OFFSET", 10, 5),
    Column::right("MAX", 10, 6),
    Column::right("LAG", 8, 1).sort('l'),
    Column::right("BEHIND", 7, 2).sort('b'),
    Column::right("OUT/s", 5, 4).sort('o'),
    Column::right("IN FL.", 6, 7),
    Column::left("CLIENT", 14, 2),
];

/// Columns of the tab Clients.
const CLIENT_COLUMNS: &[Column] = &[
    Column::left("CLIENT", 18, 1).grow().sort('g'),
    Column::left("LANG", 5, 6),
    Column::left("VERSION", 8, 5),
    Column::right("QUEUES", 6, 2).sort('q'),
    Column::right("THREADS", 9, 4),
    Column::right("OK/s", 6, 3).sort('o'),
    Column::right("FAILED/s", 8, 2).sort('f'),
    Column::right("MEAN", 7, 4),
    Column::right("CACHED", 7, 6),
    Column::right("LAST PULL", 9, 3),
];

/// Columns of the open tab.
pub fn columns(app: &App) -> &'static [Column] {
    match app.place().tab {
        QUEUES => QUEUE_COLUMNS,
        CLIENTS => CLIENT_COLUMNS,
        RETRY => ladder::LEVELS,
        _ => dead_letters::LETTERS,
    }
}

fn part<'a>(app: &'a App, group: &Name) -> &'a Part<GroupDetail> {
    app.picture().group.get(group).unwrap_or(&Part::Unasked)
}

fn queues<'a>(app: &'a App, group: &Name) -> Vec<&'a GroupQueue> {
    let list = &app.place().lists[0];
    let all = part(app, group).get().map_or(&[][..], |d| d.queues.as_slice());
    let mut out = list.pick(all);
    out.sort_by(|a, b| {
        let retry = |q: &GroupQueue| q.topic.starts_with("%RETRY%");
        (retry(a), &a.topic, &a.broker, a.queue).cmp(&(retry(b), &b.topic, &b.broker, b.queue))
    });
    if let Some((letter, descending)) = list.sort {
        sort_rows(&mut out, descending, |q| match letter {
            'l' => SortKey::of(&q.lag),
            'b' => SortKey::of_ms(&q.behind_ms),
            'o' => SortKey::of_rate(&q.out_rate),
            _ => SortKey::Text(q.topic.to_string()),
        });
    }
    out
}

fn clients<'a>(app: &'a App, group: &Name) -> Vec<&'a ClientRow> {
    let list = &app.place().lists[0];
    let all = part(app, group).get().map_or(&[][..], |d| d.clients.as_slice());
    let mut out = list.pick(all);
    out.sort_by(|a, b| a.id.cmp(&b.id));
    if let Some((letter, descending)) = list.sort {
        sort_rows(&mut out, descending, |c| match letter {
            'q' => SortKey::of(&c.queues),
            'o' => SortKey::of_rate(&c.ok_rate),
            'f' => SortKey::of_rate(&c.failed_rate),
            _ => SortKey::Text(c.id.to_string()),
        });
    }
    out
}

fn letters<'a>(app: &'a App, group: &Name) -> Vec<&'a Letter> {
    dead_letters::letters_of(app, group, &app.place().lists[0])
}

fn queue_key(q: &GroupQueue) -> String {
    format!("{}\u{1f}{}\u{1f}{}", q.topic, q.broker, q.queue)
}

/// Keys of the rows of the open tab.
pub fn keys(app: &App, group: &Name) -> Vec<String> {
    match app.place().tab {
        QUEUES => queues(app, group).iter().map(|q| queue_key(q)).collect(),
        CLIENTS => clients(app, group).iter().map(|c| c.id.to_string()).collect(),
        RETRY => ladder::levels_shown(app).iter().map(|l| l.level.to_string()).collect(),
        _ => letters(app, group).iter().map(|l| l.key()).collect(),
    }
}

/// The rows of the open tab.
pub fn sheet(app: &App, group: &Name) -> Sheet {
    match app.place().tab {
        QUEUES => columns::sheet(queues(app, group)),
        CLIENTS => columns::sheet(clients(app, group)),
        RETRY => columns::sheet(ladder::levels_shown(app)),
        _ => columns::sheet(letters(app, group)),
    }
}

/// Checks a filter against the fields of the open tab.
///
/// # Errors
/// What can never be decided here.
pub fn check(app: &App, group: &Name, query: &Query) -> Result<(), QueryError> {
    let detail = part(app, group).get();
    match app.place().tab {
        QUEUES => columns::check(query, detail.and_then(|d| d.queues.first())),
        CLIENTS => columns::check(query, detail.and_then(|d| d.clients.first())),
        RETRY => columns::check(query, ladder::levels_shown(app).first().copied()),
        _ => query_message::check(query, query_message::Of::Letters),
    }
}

/// Next or previous tab.
pub fn turn(app: &mut App, action: Action) {
    let place = app.place_mut();
    let by = if action == Action::TabNext { 1 } else { TABS.len() - 1 };
    place.tab = (place.tab + by) % TABS.len();
    place.lists[0] = table::List::default();
}

/// Enter: the messages at a queue's offset, or the letter.
pub fn open(app: &mut App) -> Vec<Effect> {
    let At::Group(group) = app.place().at.clone() else { return Vec::new() };
    let Some(wanted) = current(app) else {
        app.tell("nothing to open");
        return Vec::new();
    };
    match app.place().tab {
        QUEUES => {
            let found = queues(app, &group).into_iter().find(|q| queue_key(q) == wanted).cloned();
            found.map_or_else(Vec::new, |q| open_queue(app, &q))
        }
        DEAD => {
            let list: Vec<Arc<Message>> =
                letters(app, &group).iter().map(|l| Arc::clone(&l.message)).collect();
            let index = letters(app, &group).iter().position(|l| l.key() == wanted);
            index.map_or_else(Vec::new, |i| inspector::open(app, list.into(), i))
        }
        RETRY => ladder::open_level(app),
        _ => {
            app.details = !app.details;
            Vec::new()
        }
    }
}

fn open_queue(app: &mut App, q: &GroupQueue) -> Vec<Effect> {
    let queue = QueueRef { topic: q.topic.clone(), broker: q.broker.clone(), queue: q.queue };
    let from = q.offset.value().map_or(From::Oldest, |o| From::Offset(*o));
    let ticket = app.ticket();
    app.push(At::Messages(Box::new(MessagesAt { queue: queue.clone(), from, ticket, page: None })));
    vec![Effect::ReadMessages(ticket, queue, from)]
}

fn queue_cells(q: &GroupQueue) -> Vec<Cell> {
    let topic = if q.topic.starts_with("%RETRY%") { "%RETRY%" } else { &q.topic };
    vec![
        cell(topic),
        cell(&*q.broker),
        cell(q.queue.to_string()),
        fig(&q.offset, format::fig_count(&q.offset)),
        fig(&q.max, format::fig_count(&q.max)),
        fig(&q.lag, q.lag.text(|v| format::count_in(*v, 8))),
        fig(&q.behind_ms, format::fig_behind(&q.behind_ms)),
        fig(&q.out_rate, format::fig_rate(&q.out_rate)),
        fig(&q.in_flight, q.in_flight.text(|v| format::count_in(*v, 6))),
        fig(&q.client, q.client.text(Clone::clone)),
    ]
}

fn client_cells(r: &ClientRow) -> Vec<Cell> {
    let id = match &r.problem {
        Some(problem) => Cell(Role::Unknown, format!("{}  {}", r.id, problem.line())),
        None => cell(&*r.id),
    };
    let failed = if r.failed_rate.value().is_some_and(|f| *f > 0.0) {
        Role::Warn
    } else {
        table::fig_role(&r.failed_rate)
    };
    vec![
        id,
        Cell(Role::TextDim, r.language.clone()),
        Cell(Role::TextDim, r.version.clone()),
        fig(&r.queues, format::fig_count(&r.queues)),
        fig(&r.threads, r.threads.text(Clone::clone)),
        fig(&r.ok_rate, format::fig_rate(&r.ok_rate)),
        Cell(failed, format::fig_rate(&r.failed_rate)),
        fig(&r.mean_ms, r.mean_ms.text(|v| super::brokers::ms(*v))),
        fig(&r.cached, format::fig_count(&r.cached)),
        fig(&r.last_pull_ms, format::ago(&r.last_pull_ms)),
    ]
}

fn summary(app: &App, group: &Name) -> String {
    groups::find(app, group).map_or_else(String::new, |row| {
        format!(
            "lag {} {} · retry {} · dead {} · {} clients · limit {}",
            format::fig_count(&row.lag),
            row.trend.sign(),
            format::fig_count(&row.retry),
            format::fig_count(&row.dead_open),
            format::fig_count(&row.clients),
            row.limit.short()
        )
    })
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect, group: &Name) {
    let tab = app.place().tab;
    let right = right_title(app, part(app, group), "queues", &summary(app, group));
    c.frame(area, &format!("Groups › {group}"), &right, true);
    let inner = inside(area);
    draw_tabs(c, inner, tab);
    let findings = findings(app, group);
    let panel = if findings.is_empty() || inner.height < 12 {
        0
    } else {
        (findings.len() as u16 + 1).min(inner.height / 3)
    };
    let table_area = rows(inner, 1, inner.height.saturating_sub(1 + panel));
    match tab {
        RETRY => ladder::draw_levels(app, c, table_area, Some(group), true),
        DEAD => draw_dead(app, c, table_area, group),
        _ => draw_rows(app, c, table_area, group),
    }
    if panel > 0 {
        c.separator(area, table_area.bottom(), "what stands out", &seg(Role::TextDim, ""));
        for (i, line) in findings.iter().take(usize::from(panel - 1)).enumerate() {
            let y = table_area.bottom() + 1 + i as u16;
            c.line(inner.x + 1, y, inner.width.saturating_sub(2), line);
        }
    }
}

fn draw_tabs(c: &mut Canvas, inner: Rect, tab: usize) {
    let mut line = Vec::new();
    for (i, name) in TABS.iter().enumerate() {
        let (role, text) = if i == tab {
            (Role::TabActive, format!("[{name}]"))
        } else {
            (Role::Tab, format!(" {name} "))
        };
        line.push(seg(role, text));
        line.push(seg(Role::Text, " "));
    }
    c.line(inner.x + 1, inner.y, inner.width.saturating_sub(2), &line);
    let right = inner.right().saturating_sub(1);
    c.put_right(inner.x + 40, right, inner.y, "{ } other tab", Role::TextDim);
}

fn draw_rows(app: &App, c: &mut Canvas, area: Rect, group: &Name) {
    let list = &app.place().lists[0];
    let keys = keys(app, group);
    let columns = self::columns(app);
    let view = View { columns, list, keys: &keys, cursor: list.at(&keys), focus: true };
    let tab = app.place().tab;
    let (queues, clients) = (queues(app, group), clients(app, group));
    table::draw(c, area, &view, &mut |i| {
        Row::Cells(if tab == QUEUES { queue_cells(queues[i]) } else { client_cells(clients[i]) })
    });
    if keys.is_empty() {
        let (noun, empty) = if tab == QUEUES {
            ("queues", "this group has never committed an offset")
        } else {
            ("clients", "no client is connected: offsets stay, lag grows until one comes")
        };
        let text = match groups::find(app, group).and_then(|r| r.problem.as_ref()) {
            Some(problem) => (Role::Critical, format!("✗ {}: {}", problem.line(), problem.remark)),
            None => nothing(part(app, group), 1, list, noun, empty),
        };
        sentence(c, rows(area, 2, area.height.saturating_sub(2)), &text);
    }
}

fn draw_dead(app: &App, c: &mut Canvas, area: Rect, group: &Name) {
    let list = &app.place().lists[0];
    let letters = letters(app, group);
    dead_letters::draw_letters(app, c, area, &letters, list, group, true);
}

fn findings(app: &App, group: &Name) -> Vec<Vec<Seg>> {
    let Some(row) = groups::find(app, group) else { return Vec::new() };
    let mut lines: Vec<Vec<Seg>> =
        row.findings.iter().map(|f| vec![seg(Role::Text, f.clone())]).collect();
    if let Some(problem) = &row.problem {
        let text = format!("✗ {}: {}", problem.line(), problem.remark);
        lines.insert(0, vec![seg(Role::Critical, text)]);
    }
    lines
}

/// Details of the row under the cursor.
pub fn details(app: &App, group: &Name) -> Option<(String, Vec<Vec<Seg>>)> {
    let wanted = current(app)?;
    match app.place().tab {
        QUEUES => {
            let all = queues(app, group);
            let q = all.iter().find(|q| queue_key(q) == wanted)?;
            Some((format!("{} {} q{}", q.topic, q.broker, q.queue), queue_details(q)))
        }
        CLIENTS => {
            let all = clients(app, group);
            let r = all.iter().find(|r| *r.id == *wanted)?;
            Some((r.id.to_string(), client_details(r)))
        }
        DEAD => {
            let all = letters(app, group);
            let l = all.iter().find(|l| l.key() == wanted)?;
            Some((dead_letters::name(l), dead_letters::about(app, l)))
        }
        _ => groups::find(app, group).map(|row| (row.name.to_string(), groups::about(app, row))),
    }
}

fn queue_details(q: &GroupQueue) -> Vec<Vec<Seg>> {
    let known = |label: &str, f: &Fig<u64>| explained(label, f, format::fig_count(f));
    vec![
        known("offset", &q.offset),
        known("max", &q.max),
        known("lag", &q.lag),
        explained("behind", &q.behind_ms, format::fig_behind(&q.behind_ms)),
        explained("out/s", &q.out_rate, format::fig_rate(&q.out_rate)),
        known("in flight", &q.in_flight),
        explained("client", &q.client, q.client.text(Clone::clone)),
    ]
}

fn client_details(r: &ClientRow) -> Vec<Vec<Seg>> {
    let mut out = vec![
        pair("address", r.address.clone()),
        pair("client", format!("{} {}", r.language, r.version)),
        pair("subscribes", r.subscription.clone()),
        explained("queues", &r.queues, format::fig_count(&r.queues)),
        explained("threads", &r.threads, r.threads.text(Clone::clone)),
        explained("ok/s", &r.ok_rate, format::fig_rate(&r.ok_rate)),
        explained("failed/s", &r.failed_rate, format::fig_rate(&r.failed_rate)),
        explained("last pull", &r.last_pull_ms, format::ago(&r.last_pull_ms)),
    ];
    if let Some(problem) = &r.problem {
        out.push(vec![seg(Role::TextDim, "error      "), seg(Role::Critical, problem.line())]);
        out.push(pair("", problem.remark.clone()));
    }
    out
}
