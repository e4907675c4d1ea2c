//! Topics › one topic: its queues and the groups on it (console-screens.md §6.2).

use ratatui::layout::Rect;

use super::current;
use super::parts::{explained, nothing, right_title, sentence};
use super::topics::last;
use crate::app::App;
use crate::data::fig::sum;
use crate::data::{Fig, Name, Part, QueueRow, TopicDetail};
use crate::effect::{Effect, From, QueueRef};
use crate::format;
use crate::place::{At, MessagesAt};
use crate::theme::Role;
use crate::widget::table::{self, Cell, Column, Row, SortKey, View, cell, fig, sort_rows};
use crate::widget::{Canvas, Seg, inside, plain, rows, seg};

/// Columns as in the specification.
pub const COLUMNS: &[Column] = &[
    Column::left("BROKER", 10, 1).grow().sort('g'),
    Column::right("Q", 3, 1),
    Column::left("PERM", 4, 6),
    Column::right("MIN OFFSET", 11, 5),
    Column::right("MAX OFFSET", 11, 2).sort('x'),
    Column::right("MESSAGES", 11, 3).sort('m'),
    Column::right("IN/s", 6, 2).sort('i'),
    Column::right("FIRST MSG", 10, 7),
    Column::right("LAST MSG", 10, 4).sort('a'),
];

/// Key of the sum's line.
const SUM: &str = "Σ";
/// Share of the traffic on few queues that is worth saying.
const UNEVEN_PERCENT: f64 = 50.0;

fn part<'a>(app: &'a App, topic: &Name) -> &'a Part<TopicDetail> {
    app.picture().topic.get(topic).unwrap_or(&Part::Unasked)
}

fn messages(q: &QueueRow) -> Fig<u64> {
    match (q.max.value(), q.min.value()) {
        (Some(max), Some(min)) => q.max.map(|_| max.saturating_sub(*min)),
        _ => Fig::unknown("offsets not told"),
    }
}

/// Rows that the filter shows, in order.
pub fn shown<'a>(app: &'a App, topic: &Name) -> Vec<&'a QueueRow> {
    let list = &app.place().lists[0];
    let queues = part(app, topic).get().map_or(&[][..], |d| d.queues.as_slice());
    let mut rows = list.pick(queues);
    rows.sort_by(|a, b| a.broker.cmp(&b.broker).then(a.queue.cmp(&b.queue)));
    if let Some((letter, descending)) = list.sort {
        sort_rows(&mut rows, descending, |q| match letter {
            'x' => SortKey::of(&q.max),
            'm' => SortKey::of(&messages(q)),
            'i' => SortKey::of_rate(&q.in_rate),
            'a' => SortKey::of_ms(&q.last_age_ms),
            _ => SortKey::Text(q.broker.to_string()),
        });
    }
    rows
}

fn key(q: &QueueRow) -> String {
    format!("{}:{}", q.broker, q.queue)
}

/// Keys of the rows.
pub fn keys(app: &App, topic: &Name) -> Vec<String> {
    shown(app, topic).iter().map(|q| key(q)).collect()
}

/// Opens the messages of the queue under the cursor, newest first.
pub fn open(app: &mut App) -> Vec<Effect> {
    let At::Queues(topic) = app.place().at.clone() else { return Vec::new() };
    let Some((broker, queue)) = current(app)
        .and_then(|k| k.rsplit_once(':').map(|(b, q)| (Name::from(b), q.parse().unwrap_or(0))))
    else {
        app.tell("no queue to open");
        return Vec::new();
    };
    let queue = QueueRef { topic, broker, queue };
    let ticket = app.ticket();
    app.push(At::Messages(Box::new(MessagesAt {
        queue: queue.clone(),
        from: From::Newest,
        ticket,
        page: None,
    })));
    vec![Effect::ReadMessages(ticket, queue, From::Newest)]
}

fn cells(q: &QueueRow) -> Vec<Cell> {
    let messages = messages(q);
    vec![
        cell(&*q.broker),
        cell(q.queue.to_string()),
        Cell(Role::TextDim, q.perm.to_owned()),
        fig(&q.min, format::fig_count(&q.min)),
        fig(&q.max, format::fig_count(&q.max)),
        fig(&messages, format::fig_count(&messages)),
        fig(&q.in_rate, format::fig_rate(&q.in_rate)),
        fig(&q.first_age_ms, q.first_age_ms.text(|ms| format!("{} ago", format::age_coarse(*ms)))),
        fig(&q.last_age_ms, last(&q.last_age_ms)),
    ]
}

fn sum_cells(rows: &[&QueueRow]) -> Vec<Cell> {
    let counts: Vec<Fig<u64>> = rows.iter().map(|q| messages(q)).collect();
    let total = sum(&counts);
    let rate = rate_sum(rows);
    let strong = |text: String| Cell(Role::TextStrong, text);
    vec![
        strong(format!("{SUM} {}", rows.len())),
        cell(""),
        cell(""),
        cell(""),
        cell(""),
        strong(format::fig_count(&total)),
        strong(format::fig_rate(&rate)),
        cell(""),
        cell(""),
    ]
}

fn rate_sum(rows: &[&QueueRow]) -> Fig<f64> {
    let total: f64 = rows.iter().filter_map(|q| q.in_rate.value()).sum();
    if rows.iter().any(|q| q.in_rate.is_unknown()) {
        Fig::AtLeast(total)
    } else {
        Fig::Known(total)
    }
}

/// `IN/s: 2 queues carry 74 %`, when few carry most.
fn uneven(rows: &[&QueueRow]) -> Option<String> {
    let total = *rate_sum(rows).value()?;
    if rows.len() < 4 || total <= 0.0 {
        return None;
    }
    let mut rates: Vec<f64> = rows.iter().filter_map(|q| q.in_rate.value().copied()).collect();
    rates.sort_by(|a, b| b.total_cmp(a));
    let few = rows.len() / 8;
    let few = few.max(1);
    let share = rates.iter().take(few).sum::<f64>() * 100.0 / total;
    (share >= UNEVEN_PERCENT).then(|| {
        let verb = if few == 1 { "carries" } else { "carry" };
        format!("IN/s: {} {verb} {share:.0} %", format::plural(few as u64, "queue"))
    })
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect, topic: &Name) {
    let list = &app.place().lists[0];
    let part = part(app, topic);
    let rows_shown = shown(app, topic);
    let mut brokers: Vec<&Name> = rows_shown.iter().map(|q| &q.broker).collect();
    brokers.dedup();
    let mut base = format!(
        "{} on {}",
        format::plural(rows_shown.len() as u64, "queue"),
        format::plural(brokers.len() as u64, "broker")
    );
    if let Some(text) = uneven(&rows_shown) {
        base = format!("{base} · {text}");
    }
    c.frame(area, &format!("Topics › {topic}"), &right_title(app, part, "queues", &base), true);
    let inner = inside(area);
    let groups = group_lines(part, inner.width);
    let panel = (groups.len() as u16 + 1).min(inner.height / 3);
    let table_area = rows(inner, 0, inner.height - panel);
    let keys: Vec<String> = rows_shown.iter().map(|q| key(q)).collect();
    let mut all_keys = keys.clone();
    if !keys.is_empty() {
        all_keys.push(SUM.to_owned());
    }
    let view =
        View { columns: COLUMNS, list, keys: &all_keys, cursor: list.at(&keys), focus: true };
    table::draw(c, table_area, &view, &mut |i| {
        Row::Cells(rows_shown.get(i).map_or_else(|| sum_cells(&rows_shown), |q| cells(q)))
    });
    if keys.is_empty() {
        let text = nothing(part, 1, list, "queues", "this topic has no queue on any broker");
        sentence(c, rows(table_area, 2, table_area.height.saturating_sub(2)), &text);
    }
    if panel > 1 {
        let y = table_area.bottom();
        c.separator(area, y, "groups on this topic", &seg(Role::TextDim, ""));
        for (i, line) in groups.iter().take(usize::from(panel - 1)).enumerate() {
            c.line(inner.x + 1, y + 1 + i as u16, inner.width.saturating_sub(2), line);
        }
    }
}

fn group_lines(part: &Part<TopicDetail>, width: u16) -> Vec<Vec<Seg>> {
    let Some(detail) = part.get() else { return Vec::new() };
    if detail.groups.is_empty() {
        return vec![vec![seg(Role::TextDim, "no group has committed an offset on this topic")]];
    }
    let each: Vec<String> = detail
        .groups
        .iter()
        .map(|g| {
            format!(
                "{}  lag {}  {} {}  {}",
                g.group,
                format::fig_count(&g.lag),
                format::fig_count(&g.clients),
                if g.clients == Fig::Known(1) { "client" } else { "clients" },
                g.tags
            )
        })
        .collect();
    let half = usize::from(width) / 2 - 2;
    let fits = each.iter().all(|t| crate::widget::text::width(t) + 2 <= half);
    if fits {
        each.chunks(2)
            .map(|pair| {
                plain(pair.iter().map(|t| crate::widget::text::pad(t, half)).collect::<String>())
            })
            .collect()
    } else {
        each.into_iter().map(plain).collect()
    }
}

/// Details of the queue under the cursor.
pub fn details(app: &App, topic: &Name) -> Option<(String, Vec<Vec<Seg>>)> {
    let wanted = current(app)?;
    let rows = shown(app, topic);
    let q = rows.iter().find(|q| key(q) == wanted)?;
    Some((
        format!("{topic} · {} q{}", q.broker, q.queue),
        vec![
            explained("min", &q.min, format::fig_count(&q.min)),
            explained("max", &q.max, format::fig_count(&q.max)),
            explained("in/s", &q.in_rate, format::fig_rate(&q.in_rate)),
            explained("first", &q.first_age_ms, q.first_age_ms.text(|ms| format::duration(*ms))),
            explained("last", &q.last_age_ms, last(&q.last_age_ms)),
        ],
    ))
}
