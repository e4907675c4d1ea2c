//! `8` Clients: who is connected, in which group (console-screens.md §6.8).

use ratatui::layout::Rect;

use super::current;
use super::parts::{explained, nothing, pair, sentence};
use crate::app::App;
use crate::data::{Fig, Name};
use crate::format;
use crate::model::filter::Filter;
use crate::survey::clients::Client;
use crate::theme::Role;
use crate::widget::table::{self, Cell, Column, Row, SortKey, View, cell, fig, sort_rows};
use crate::widget::{Canvas, Seg, inside, rows, seg};

/// Columns as in the specification.
pub const COLUMNS: &[Column] = &[
    Column::left("CLIENT ID", 18, 1).grow().sort('c'),
    Column::left("ADDRESS", 17, 6).sort('a'),
    Column::left("LANG", 4, 7),
    Column::left("VERSION", 7, 2),
    Column::left("ROLE", 8, 4).sort('r'),
    Column::left("GROUP", 16, 1).sort('g'),
    Column::right("QUEUES", 6, 5),
    Column::right("HEARD", 9, 8),
];

fn all(app: &App) -> &[Client] {
    app.surveys.clients.get().map_or(&[], Vec::as_slice)
}

const fn role(client: &Client) -> &'static str {
    if client.producer { "producer" } else { "consumer" }
}

fn key(client: &Client) -> String {
    format!("{} {} {}", client.id, role(client), client.group)
}

fn shown(app: &App) -> Vec<&Client> {
    let list = &app.place().lists[0];
    let filter = Filter::new(&list.filter);
    let mut rows: Vec<&Client> = all(app).iter().filter(|c| filter.shows(&key(c))).collect();
    let (letter, descending) = list.sort.unwrap_or(('g', false));
    sort_rows(&mut rows, descending, |c| {
        SortKey::Text(match letter {
            'a' => c.address.clone(),
            'c' => c.id.clone(),
            'r' => format!("{} {}", role(c), c.group),
            _ => format!("{} {}", c.group, c.id),
        })
    });
    rows
}

/// Keys of the rows.
pub fn keys(app: &App) -> Vec<String> {
    shown(app).into_iter().map(key).collect()
}

fn under_cursor(app: &App) -> Option<&Client> {
    let wanted = current(app)?;
    all(app).iter().find(|client| key(client) == wanted)
}

/// The group of the client under the cursor.
pub fn group(app: &App) -> Option<Name> {
    under_cursor(app).filter(|client| !client.producer).map(|client| client.group.as_str().into())
}

/// Id of the client under the cursor.
pub fn id(app: &App) -> Option<String> {
    under_cursor(app).map(|client| client.id.clone())
}

fn queues(client: &Client) -> Fig<u64> {
    if client.producer {
        Fig::none("producers have no queues")
    } else {
        Fig::unknown("asked where its group is open")
    }
}

fn cells(c: &Client) -> Vec<Cell> {
    let heard = c.heard_ms.text(|ms| format!("{} ago", format::age(*ms)));
    vec![
        cell(&*c.id),
        Cell(Role::TextDim, c.address.clone()),
        Cell(Role::TextDim, c.language.clone()),
        Cell(Role::TextDim, format::release(c.version)),
        cell(role(c)),
        cell(&*c.group),
        fig(&queues(c), format::fig_count(&queues(c))),
        fig(&c.heard_ms, heard),
    ]
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect) {
    let list = app.place().list();
    let shown = shown(app);
    let part = &app.surveys.clients;
    let producers = all(app).iter().filter(|client| client.producer).count();
    let consumers = all(app).len() - producers;
    let base = format!(
        "{} · {}",
        format::plural(consumers as u64, "consumer"),
        format::plural(producers as u64, "producer")
    );
    let title = super::parts::survey_title(app, part, "clients", &base);
    c.frame(area, "Clients", &title, true);
    let inner = inside(area);
    let keys: Vec<String> = shown.iter().map(|client| key(client)).collect();
    let view = View { columns: COLUMNS, list, keys: &keys, cursor: list.at(&keys), focus: true };
    table::draw(c, inner, &view, &mut |i| Row::Cells(cells(shown[i])));
    if keys.is_empty() {
        let empty = "nobody is connected; see \"connect a client\" in the README";
        let text = nothing(part, all(app).len(), &list.filter, "clients", empty);
        sentence(c, rows(inner, 2, inner.height.saturating_sub(2)), &text);
    }
}

/// Details of the client under the cursor.
pub fn details(app: &App) -> Option<(String, Vec<Vec<Seg>>)> {
    let client = under_cursor(app)?;
    let heard = client.heard_ms.text(|ms| format!("{} ago", format::age(*ms)));
    let version = format!(
        "{} {} (wire {})",
        client.language,
        format::release(client.version),
        client.version
    );
    let lines = vec![
        pair("address", client.address.clone()),
        pair("client", version),
        pair("role", format!("{} of {}", role(client), client.group)),
        pair("brokers", client.brokers.join(", ")),
        explained("queues", &queues(client), format::fig_count(&queues(client))),
        explained("heard", &client.heard_ms, heard),
        vec![seg(
            Role::TextDim,
            "o g opens its group: threads, queues and last pull of each member",
        )],
    ];
    Some((client.id.clone(), lines))
}
