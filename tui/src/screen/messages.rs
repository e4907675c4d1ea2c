//! Topics › topic › queue: stored messages, newest first (console-screens.md §6.2).

use std::sync::Arc;

use ratatui::layout::Rect;

use super::parts::{explained, pair, sentence};
use super::{current, inspector};
use crate::app::{App, InputKind, ask};
use crate::data::{Fig, Message, MessagePage, Problem};
use crate::effect::{Effect, From};
use crate::event::Ticket;
use crate::format;
use crate::keymap::Action;
use crate::model::time_field::{self, When};
use crate::place::{At, MessagesAt};
use crate::theme::Role;
use crate::widget::table::{self, Cell, Column, Row, View, cell};
use crate::widget::text::printable;
use crate::widget::{Canvas, Seg, hex, inside, rows, seg};

/// Columns as in the specification.
pub const COLUMNS: &[Column] = &[
    Column::left("STORED", 12, 1),
    Column::right("OFFSET", 10, 3),
    Column::right("SIZE", 7, 5),
    Column::left("TAG", 7, 4),
    Column::left("KEYS", 14, 2),
    Column::left("BODY", 16, 1).grow().prose(),
];
/// From this width on there is more.
const WIDE_FROM: u16 = 140;
const WIDE_COLUMNS: &[Column] = &[
    Column::left("STORED", 12, 1),
    Column::left("BORN", 12, 7),
    Column::left("BORN HOST", 21, 8),
    Column::right("OFFSET", 10, 3),
    Column::right("SIZE", 7, 5),
    Column::right("TRIES", 5, 6),
    Column::left("TAG", 7, 4),
    Column::left("KEYS", 14, 2),
    Column::left("BODY", 16, 1).grow().prose(),
];
/// Bytes of a body that its preview looks at.
const PREVIEW_BYTES: usize = 400;

/// Rows that the filter shows, in order.
pub fn shown<'a>(app: &App, at: &'a MessagesAt) -> Vec<&'a Message> {
    match &at.page {
        Some(Ok(page)) => app.place().lists[0].pick(&page.messages),
        _ => Vec::new(),
    }
}

/// Keys of the rows.
pub fn keys(app: &App, at: &MessagesAt) -> Vec<String> {
    shown(app, at).iter().map(|m| m.key()).collect()
}

/// A message of the page by its key.
pub fn find<'a>(at: &'a MessagesAt, key: &str) -> Option<&'a Message> {
    match &at.page {
        Some(Ok(page)) => page.messages.iter().find(|m| m.key() == key),
        _ => None,
    }
}

/// Takes a page that was asked for.
pub fn took(app: &mut App, ticket: Ticket, result: Result<MessagePage, Problem>) {
    for place in &mut app.stack {
        if let At::Messages(at) = &mut place.at
            && at.ticket == ticket
        {
            at.page = Some(result.map(Arc::new));
            return;
        }
    }
}

/// Keys of this place.
pub fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match action {
        Action::Open => open(app),
        Action::Older => turn(app, Turn::Older),
        Action::Newer => turn(app, Turn::Newer),
        Action::ToTime => {
            ask(app, InputKind::ToTime);
            Vec::new()
        }
        Action::ToOffset => {
            ask(app, InputKind::ToOffset);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn open(app: &mut App) -> Vec<Effect> {
    let wanted = current(app);
    let At::Messages(at) = &app.place().at else { return Vec::new() };
    let list: Vec<Arc<Message>> = shown(app, at).into_iter().cloned().map(Arc::new).collect();
    let index = list.iter().position(|m| Some(m.key()) == wanted);
    let Some(index) = index else {
        app.tell("no message to open");
        return Vec::new();
    };
    inspector::open(app, list.into(), index)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Older,
    Newer,
}

fn turn(app: &mut App, way: Turn) -> Vec<Effect> {
    let At::Messages(at) = &app.place().at else { return Vec::new() };
    let page = match &at.page {
        None => {
            app.tell("this page is still read");
            return Vec::new();
        }
        // What could not be read is asked for again.
        Some(Err(_)) => {
            let again = at.from;
            return read(app, again);
        }
        Some(Ok(page)) => page,
    };
    let offsets = page.messages.iter().map(|m| m.offset);
    let from = match way {
        Turn::Older => match offsets.min() {
            Some(first) if first > page.min => From::Before(first),
            // Asked for beyond the end: everything kept is older.
            None if page.max > page.min => From::Newest,
            _ => {
                app.tell(format!("this is the oldest page: min {}", format::count(page.min)));
                return Vec::new();
            }
        },
        Turn::Newer => match offsets.max() {
            Some(last) if last + 1 < page.max => From::Offset(last + 1),
            _ => From::Newest,
        },
    };
    read(app, from)
}

fn read(app: &mut App, from: From) -> Vec<Effect> {
    let ticket = app.ticket();
    let place = app.place_mut();
    place.lists[0].cursor = None;
    place.lists[0].index = 0;
    let At::Messages(at) = &mut place.at else { return Vec::new() };
    at.from = from;
    at.ticket = ticket;
    at.page = None;
    vec![Effect::ReadMessages(ticket, at.queue.clone(), from)]
}

/// Goes to a time or an offset that was typed.
///
/// # Errors
/// What is wrong with the text.
pub fn jump(app: &mut App, kind: InputKind, text: &str) -> Result<Vec<Effect>, String> {
    let from = match kind {
        InputKind::ToOffset => {
            let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            From::Offset(digits.parse().map_err(|_| "an offset is a whole number".to_owned())?)
        }
        _ => match time_field::parse(text, app.now_ms, app.session.zone) {
            Ok(When::At(ms)) => From::Time(ms),
            Ok(When::Start) => From::Oldest,
            Ok(When::End) => From::Newest,
            Err(error) => return Err(error.to_string()),
        },
    };
    Ok(read(app, from))
}

/// The body in one line.
pub fn preview(message: &Message) -> String {
    let head = &message.body[..message.body.len().min(PREVIEW_BYTES)];
    let packed = message.compressed.map_or(String::new(), |(name, _)| format!("{name}→ "));
    let text = match std::str::from_utf8(head) {
        Ok(text) => Some(text),
        Err(e) if e.valid_up_to() + 4 > head.len() && e.valid_up_to() > 0 => {
            std::str::from_utf8(&head[..e.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    let readable = |t: &&str| !t.chars().any(|c| c.is_control() && !c.is_whitespace());
    match text.filter(readable) {
        Some(text) => {
            let joined: Vec<&str> = text.split_whitespace().collect();
            format!("{packed}{}", printable(&joined.join(" ")))
        }
        None => format!("{packed}{}", hex::short(&message.body, 24)),
    }
}

fn cells(app: &App, m: &Message, wide: bool) -> Vec<Cell> {
    let zone = app.zone();
    let dash = |t: &str| if t.is_empty() { "–".to_owned() } else { printable(t) };
    let mut cells = vec![cell(zone.hms_milli(m.stored_ms))];
    if wide {
        cells.push(Cell(Role::TextDim, zone.hms_milli(m.born_ms)));
        cells.push(Cell(Role::TextDim, m.born_host.clone()));
    }
    cells.push(cell(format::count(m.offset)));
    cells.push(cell(format::bytes(m.stored_size)));
    if wide {
        cells.push(cell(m.tries.to_string()));
    }
    cells.extend([cell(dash(&m.tag)), cell(dash(&m.keys)), Cell(Role::TextDim, preview(m))]);
    cells
}

fn start_word(from: From, app: &App) -> String {
    match from {
        From::Newest => "newest first".to_owned(),
        From::Oldest => "from the oldest".to_owned(),
        From::Before(offset) => format!("before {}", format::count(offset)),
        From::Offset(offset) => format!("from offset {}", format::count(offset)),
        From::Time(ms) => format!("from {}", app.zone().date_hm(ms)),
    }
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect, at: &MessagesAt) {
    let list = &app.place().lists[0];
    let rows_shown = shown(app, at);
    let q = &at.queue;
    let mut right = format!("{} · {}", start_word(at.from, app), app.zone().sign(app.now_ms));
    if !list.filter.is_empty() {
        right = format!("{right} · {} in this page", list.filter_words());
    }
    let title = format!("Topics › {} › {} q{}", q.topic, q.broker, q.queue);
    c.frame(area, &title, &seg(Role::TextDim, right), true);
    let inner = inside(area);
    let table_area = rows(inner, 0, inner.height.saturating_sub(2));
    let wide = inner.width >= WIDE_FROM;
    let columns = if wide { WIDE_COLUMNS } else { COLUMNS };
    let keys: Vec<String> = rows_shown.iter().map(|m| m.key()).collect();
    let view = View { columns, list, keys: &keys, cursor: list.at(&keys), focus: true };
    table::draw(c, table_area, &view, &mut |i| Row::Cells(cells(app, rows_shown[i], wide)));
    if keys.is_empty() {
        let note = note(at, list.filter.text());
        sentence(c, rows(table_area, 2, table_area.height.saturating_sub(2)), &note);
    }
    let y = table_area.bottom();
    c.separator(area, y, "", &seg(Role::TextDim, ""));
    c.put(inner.x + 1, y + 1, inner.width.saturating_sub(2), &foot(at), Role::TextDim);
}

fn foot(at: &MessagesAt) -> String {
    match &at.page {
        None => "reading…".to_owned(),
        Some(Err(_)) => String::new(),
        Some(Ok(page)) => {
            let missing = page.missing.as_ref().map_or(String::new(), |m| format!(" · {m}"));
            format!(
                "{} of {} kept · min {} · max {}{missing}",
                page.messages.len(),
                format::count(page.max.saturating_sub(page.min)),
                format::count(page.min),
                format::count(page.max)
            )
        }
    }
}

fn note(at: &MessagesAt, filter: &str) -> (Role, String) {
    match &at.page {
        None => (Role::TextDim, "reading messages…".to_owned()),
        Some(Err(problem)) => (Role::Critical, format!("✗ {}: {}", problem.line(), problem.remark)),
        Some(Ok(page)) if !page.messages.is_empty() => (
            Role::Warn,
            format!("filter /{filter} hides {} messages: Esc clears it", page.messages.len()),
        ),
        Some(Ok(page)) if page.min == page.max => (
            Role::TextDim,
            format!("queue {} is empty (min = max = {})", at.queue.queue, format::count(page.max)),
        ),
        Some(Ok(_)) => (Role::TextDim, "no message here: [ shows older ones".to_owned()),
    }
}

/// Details of the message under the cursor.
pub fn details(app: &App, at: &MessagesAt) -> Option<(String, Vec<Vec<Seg>>)> {
    let key = current(app)?;
    let m = find(at, &key)?;
    let zone = app.zone();
    let known: Fig<i64> = Fig::Known(m.stored_ms);
    Some((
        m.unique_id.clone(),
        vec![
            explained("stored", &known, zone.full(m.stored_ms)),
            pair("born", format!("{} by {}", zone.full(m.born_ms), m.born_host)),
            pair("tag", m.tag.clone()),
            pair("keys", m.keys.clone()),
            pair("size", format::bytes(m.stored_size)),
            pair("body", preview(m)),
        ],
    ))
}
