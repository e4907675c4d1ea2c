//! `8` Clients: who is connected, and one client's own view (console-screens.md §6.8).

use std::collections::BTreeSet;
use std::sync::Arc;

use ratatui::layout::Rect;

use super::asked::title;
use super::current;
use super::parts::{nothing, pair, sentence};
use crate::app::App;
use crate::data::{ClientRow, Fig, Name, Part};
use crate::effect::Effect;
use crate::format;
use crate::model::version::release;
use crate::place::{At, ClientsAt};
use crate::survey::Survey;
use crate::survey::clients::{Client, Clients, Running};
use crate::theme::Role;
use crate::widget::table::{self, Cell, Column, List, Row, SortKey, View, cell, fig, sort_rows};
use crate::widget::{Canvas, Seg, inside, rows, seg};

/// Columns as in the specification.
pub const COLUMNS: &[Column] = &[
    Column::left("CLIENT ID", 18, 1).grow().sort('i'),
    Column::left("ADDRESS", 17, 6),
    Column::left("LANG", 4, 7),
    Column::left("VERSION", 7, 2).sort('v'),
    Column::left("ROLE", 8, 4).sort('r'),
    Column::left("GROUP", 16, 1).sort('g'),
    Column::right("QUEUES", 6, 5).sort('q'),
    Column::right("HEARD", 9, 8).sort('h'),
];
/// Lines of one client's own view below the list.
const PANEL: u16 = 8;

fn key(client: &Client) -> String {
    format!("{}\u{1f}{}\u{1f}{}", client.group, client.id, role(client))
}

const fn role(client: &Client) -> &'static str {
    if client.producer { "producer" } else { "consumer" }
}

/// What a member of the open group tells of itself.
fn told<'a>(at: &ClientsAt, all: &'a Clients, client: &Client) -> Option<&'a ClientRow> {
    let here = at.group.as_deref() == Some(&*client.group) && !client.producer;
    all.told.get(&client.id).filter(|_| here)
}

fn queues(at: &ClientsAt, all: &Clients, client: &Client) -> Fig<u64> {
    if client.producer {
        return Fig::none("a producer has no queues");
    }
    told(at, all, client)
        .map_or(Fig::unknown("told only of the group it was opened from"), |row| row.queues.clone())
}

fn heard(at: &ClientsAt, all: &Clients, client: &Client) -> Fig<i64> {
    match told(at, all, client) {
        Some(row) => row.last_pull_ms.clone(),
        None => client.heard_ms.clone(),
    }
}

/// Rows that the filter shows, in order.
pub fn shown<'a>(app: &App, at: &'a ClientsAt) -> Vec<&'a Client> {
    let Some(all) = at.all.part.get() else { return Vec::new() };
    let list = &app.place().lists[0];
    let mut out = list.pick(&all.rows);
    let other = |c: &Client| at.group.as_deref() != Some(&*c.group);
    out.sort_by(|a, b| {
        (other(a), a.producer, &a.group, &a.id).cmp(&(other(b), b.producer, &b.group, &b.id))
    });
    if let Some((letter, descending)) = list.sort {
        sort_rows(&mut out, descending, |c| match letter {
            'v' => SortKey::Number(f64::from(c.version)),
            'r' => SortKey::Text(role(c).to_owned()),
            'g' => SortKey::Text(c.group.clone()),
            'q' => SortKey::of(&queues(at, all, c)),
            'h' => SortKey::of_ms(&heard(at, all, c)),
            _ => SortKey::Text(c.id.clone()),
        });
    }
    out
}

/// Keys of the rows.
pub fn keys(app: &App, at: &ClientsAt) -> Vec<String> {
    shown(app, at).into_iter().map(key).collect()
}

fn find<'a>(at: &'a ClientsAt, wanted: &str) -> Option<&'a Client> {
    at.all.part.get()?.rows.iter().find(|client| key(client) == wanted)
}

/// The group of the client under the cursor.
pub fn group(app: &App, at: &ClientsAt) -> Option<Name> {
    let client = find(at, &current(app)?)?;
    (!client.producer).then(|| Name::from(client.group.as_str()))
}

/// Asks the client under the cursor about itself; stacks too, so only on request.
pub fn open(app: &mut App) -> Vec<Effect> {
    let At::Clients(at) = &app.place().at else { return Vec::new() };
    let Some(client) = current(app).and_then(|key| find(at, &key)).cloned() else {
        app.tell("no client under the cursor");
        return Vec::new();
    };
    if client.producer {
        app.tell("producers tell nothing of themselves: only consumers answer 307");
        return Vec::new();
    }
    let (ticket, now) = (app.ticket(), app.now_ms);
    if let At::Clients(at) = &mut app.place_mut().at {
        at.open = Some(key(&client));
        at.running.ticket = ticket;
        at.running.at_ms = Some(now);
        at.running.waiting = true;
        at.running.part = Part::Unasked;
    }
    vec![Effect::Survey(ticket, Survey::Running(Arc::new(client)))]
}

fn counts(at: &ClientsAt) -> String {
    let Some(all) = at.all.part.get() else { return String::new() };
    let of = |producer: bool| -> usize {
        let each = all.rows.iter().filter(|c| c.producer == producer);
        each.map(|c| c.id.as_str()).collect::<BTreeSet<_>>().len()
    };
    let (consumers, producers) = (of(false), of(true));
    let least = if all.complete { "" } else { "≥" };
    let from = at.group.as_ref().map(|g| format!(" · opened from {g}")).unwrap_or_default();
    format!(
        "{least}{} · {consumers} consumers · {producers} producers{from}",
        format::count((consumers + producers) as u64)
    )
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect, at: &ClientsAt) {
    c.frame(area, "Clients", &title(app, &at.all, "clients", counts(at)), true);
    let inner = inside(area);
    let panel = if at.open.is_some() { PANEL.min(inner.height / 2) } else { 0 };
    let list = rows(inner, 0, inner.height - panel);
    draw_list(app, c, list, at);
    if let Some(client) = at.open.as_ref().and_then(|key| find(at, key))
        && panel > 1
    {
        let right = seg(Role::TextDim, age(app, at));
        c.separator(area, list.bottom(), &client.id, &right);
        draw_running(app, c, rows(inner, inner.height - panel + 1, panel - 1), at);
    }
}

fn age(app: &App, at: &ClientsAt) -> String {
    match &at.running.part {
        Part::Ready(ready) => {
            let ago = format::duration((app.now_ms - ready.taken_ms).max(0));
            format!("running info 307, {ago} ago")
        }
        _ => "running info 307".to_owned(),
    }
}

fn draw_list(app: &App, c: &mut Canvas, area: Rect, at: &ClientsAt) {
    let found = shown(app, at);
    if found.is_empty() {
        let all = at.all.part.get().map_or(0, |all| all.rows.len());
        let empty = "no client is connected; see \"connect a client\" in the README";
        let list = &app.place().lists[0];
        return sentence(c, area, &nothing(&at.all.part, all, list, "clients", empty));
    }
    let Some(all) = at.all.part.get() else { return };
    let keys: Vec<String> = found.iter().map(|client| key(client)).collect();
    let list = &app.place().lists[0];
    let view = View { columns: COLUMNS, list, keys: &keys, cursor: list.at(&keys), focus: true };
    table::draw(c, area, &view, &mut |i| Row::Cells(cells(at, all, found[i])));
}

fn cells(at: &ClientsAt, all: &Clients, client: &Client) -> Vec<Cell> {
    let (queues, heard) = (queues(at, all, client), heard(at, all, client));
    let ago = if client.producer {
        heard.text(|ms| format!("{} ago", format::age(*ms)))
    } else {
        heard.text(|ms| format!("pull {}", format::age(*ms)))
    };
    vec![
        cell(&*client.id),
        cell(&*client.address),
        cell(&*client.language),
        cell(release(client.version)),
        cell(role(client)),
        cell(&*client.group),
        fig(&queues, format::fig_count(&queues)),
        fig(&heard, ago),
    ]
}

fn draw_running(app: &App, c: &mut Canvas, area: Rect, at: &ClientsAt) {
    let Some(running) = at.running.part.get() else {
        return sentence(
            c,
            area,
            &nothing(&at.running.part, 0, &List::default(), "the client", ""),
        );
    };
    let lines = about(app, running);
    for (i, line) in lines.iter().enumerate().take(usize::from(area.height)) {
        c.line(area.x + 1, area.y + i as u16, area.width.saturating_sub(2), line);
    }
}

/// One client's own view in lines; stacks at the end.
fn about(app: &App, running: &Running) -> Vec<Vec<Seg>> {
    let row = &running.row;
    let wants: Vec<String> =
        running.subscriptions.iter().map(|(t, e)| format!("{t} {e}")).collect();
    let mean = row.mean_ms.text(|ms| format!("{:.1} s", ms / 1_000.0));
    let limit = running.limit.map_or_else(
        || "limit ?".to_owned(),
        |n| format!("limit {} (client)", if n < 0 { 16 } else { n }),
    );
    let since = running
        .since_ms
        .map(|ms| format!("   consumer since {}", app.zone().date_hm(ms)))
        .unwrap_or_default();
    let queues: Vec<String> =
        running.queues.iter().map(|(topic, broker, q)| format!("{topic} {broker} q{q}")).collect();
    let mut lines = vec![
        vec![seg(
            Role::Text,
            format!(
                "threads {}   ok {}/s   failed {}/s   avg {mean}   cached {}",
                row.threads.text(Clone::clone),
                format::fig_rate(&row.ok_rate),
                format::fig_rate(&row.failed_rate),
                format::fig_count(&row.cached)
            ),
        )],
        vec![seg(Role::Text, format!("subscribes {}", wants.join(", ")))],
        vec![seg(Role::Text, format!("{limit}{since}"))],
        vec![seg(Role::Text, format!("{} queues: {}", queues.len(), queues.join(", ")))],
    ];
    if running.stacks.is_empty() {
        lines.push(vec![seg(Role::TextDim, "no stacks: this client does not tell them")]);
    }
    for stack in &running.stacks {
        let threads = format::plural(stack.threads.len() as u64, "thread");
        let role = if stack.consumes() { Role::Text } else { Role::TextDim };
        lines.push(vec![seg(role, format!("{threads} {} in {}", stack.state, stack.place()))]);
    }
    lines
}

/// The row under the cursor with all that is known of it.
pub fn details(app: &App, at: &ClientsAt) -> Option<(String, Vec<Vec<Seg>>)> {
    let wanted = current(app)?;
    let client = find(at, &wanted)?;
    let mut lines = vec![
        pair("address", &*client.address),
        pair("language", &*client.language),
        pair("version", format!("{} ({})", release(client.version), client.version)),
        pair("role", role(client)),
        pair("group", &*client.group),
        pair("brokers", client.brokers.join(", ")),
    ];
    if let Some(reason) = client.heard_ms.reason() {
        lines.push(pair("heard", reason));
    }
    if at.open.as_ref() == Some(&wanted)
        && let Some(running) = at.running.part.get()
    {
        lines.push(Vec::new());
        lines.extend(about(app, running));
        for stack in &running.stacks {
            lines.push(Vec::new());
            lines.push(vec![seg(Role::TextStrong, stack.threads.join(" "))]);
            lines.extend(stack.frames.iter().map(|f| vec![seg(Role::TextDim, f.as_str())]));
        }
    }
    Some((client.id.clone(), lines))
}
