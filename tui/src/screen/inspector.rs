//! One message: Body, Properties, Where, Trace (console-screens.md §6.2).

use std::cell::Cell;
use std::sync::Arc;

use ratatui::layout::Rect;

use crate::app::App;
use crate::data::{Message, Problem, Where};
use crate::effect::Effect;
use crate::event::Ticket;
use crate::format;
use crate::keymap::Action;
use crate::place::{At, BodyView, MessageAt};
use crate::theme::Role;
use crate::widget::text::{printable, width};
use crate::widget::{Canvas, Seg, hex, inside, json, rows, seg};

/// The tabs.
const TABS: [&str; 4] = ["Body", "Properties", "Where", "Trace"];
/// The tab of traces, which are asked for when it is opened.
const TRACE: usize = 3;
/// Largest body drawn without asking; more is shown as its first part.
const BODY_MAX: usize = 1 << 20;
/// Cells of the facts beside the body.
const FACTS: u16 = 50;

/// Reserved property names with a short meaning.
const RESERVED: &[(&str, &str)] = &[
    ("KEYS", "keys that the index finds"),
    ("TAGS", "tag that consumers filter by"),
    ("UNIQ_KEY", "id given by the producer"),
    ("WAIT", "the sender waited for flush and slaves"),
    ("DELAY", "delay level"),
    ("RETRY_TOPIC", "topic that it failed on first"),
    ("REAL_TOPIC", "topic after the delay"),
    ("REAL_QID", "queue after the delay"),
    ("ORIGIN_MESSAGE_ID", "offset id of the first copy"),
    ("RECONSUME_TIME", "tries, written by the consumer"),
    ("MAX_RECONSUME_TIMES", "retry limit of the client"),
    ("DLQ_ORIGIN_TOPIC", "topic that it died on"),
    ("DLQ_ORIGIN_MESSAGE_ID", "id that it died with"),
    ("MIN_OFFSET", "min of its queue when pulled"),
    ("MAX_OFFSET", "max of its queue when pulled"),
    ("TRAN_MSG", "half message of a transaction"),
    ("PGROUP", "producer group"),
    ("CLUSTER", "cluster that stored it"),
    ("MSG_REGION", "region for traces"),
    ("TRACE_ON", "traces are written"),
    ("POP_CK", "receipt of a pop"),
    ("1ST_POP_TIME", "first pop"),
    ("CONSUME_START_TIME", "start of the last try"),
    ("__SHARDINGKEY", "key that chose the queue"),
    ("MQDECK_RESENT_FROM", "dead letter that this is a copy of"),
    ("MQDECK_RESENT_AT", "when the copy was sent"),
    ("MQDECK_RESENT_COUNT", "how often it was sent back"),
];

/// Opens a message of a list.
pub fn open(app: &mut App, list: Arc<[Arc<Message>]>, index: usize) -> Vec<Effect> {
    let ticket = app.ticket();
    let message = Arc::clone(&list[index]);
    app.push(At::Message(Box::new(MessageAt {
        list,
        index,
        view: BodyView::Auto,
        scroll: 0,
        page: Cell::new(1),
        lines: Cell::new(0),
        ticket,
        found: None,
        life: None,
    })));
    vec![Effect::FindWhere(ticket, message)]
}

/// Takes the answer where the message stands.
pub fn took(app: &mut App, ticket: Ticket, result: Result<Vec<Where>, Problem>) {
    if let At::Message(at) = &mut app.place_mut().at
        && at.ticket == ticket
    {
        at.found = Some(result);
    }
}

/// Keys of this place.
pub fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match action {
        Action::TabNext => return turn(app, 1),
        Action::TabPrev => return turn(app, TABS.len() - 1),
        Action::NextView => view(app),
        Action::Older => return step(app, 1),
        Action::Newer => return step(app, -1),
        _ => {}
    }
    Vec::new()
}

fn turn(app: &mut App, by: usize) -> Vec<Effect> {
    let place = app.place_mut();
    place.tab = (place.tab + by) % TABS.len();
    if let At::Message(at) = &mut place.at {
        at.scroll = 0;
    }
    trace(app)
}

/// Asks for the traces when their tab is on top and they were not asked for.
fn trace(app: &App) -> Vec<Effect> {
    match &app.place().at {
        At::Message(at) if app.place().tab == TRACE && at.life.is_none() => {
            vec![Effect::FindTrace(at.ticket, at.message().unique_id.as_str().into())]
        }
        _ => Vec::new(),
    }
}

fn view(app: &mut App) {
    let place = app.place_mut();
    place.tab = 0;
    if let At::Message(at) = &mut place.at {
        at.scroll = 0;
        at.view = match shown_view(at) {
            BodyView::Json => BodyView::Text,
            BodyView::Text => BodyView::Hex,
            BodyView::Hex | BodyView::Auto => {
                if json::lines(&at.message().body).is_some() {
                    BodyView::Json
                } else {
                    BodyView::Text
                }
            }
        };
    }
}

/// Lists are newest first, so the previous message in time is the next row.
fn step(app: &mut App, by: isize) -> Vec<Effect> {
    let ticket = app.ticket();
    let At::Message(at) = &mut app.place_mut().at else { return Vec::new() };
    let to = at.index.saturating_add_signed(by);
    if to == at.index || to >= at.list.len() {
        let which = if by > 0 { "last" } else { "first" };
        app.tell(format!("this is the {which} message of the page"));
        return Vec::new();
    }
    at.index = to;
    at.scroll = 0;
    at.found = None;
    at.life = None;
    at.ticket = ticket;
    let place = Effect::FindWhere(ticket, Arc::clone(at.message()));
    std::iter::once(place).chain(trace(app)).collect()
}

/// Scrolls the body or the properties.
pub fn scroll(app: &mut App, action: Action) {
    let At::Message(at) = &mut app.place_mut().at else { return };
    let page = at.page.get().max(1);
    let last = at.lines.get().saturating_sub(page);
    let to = match action {
        Action::Down => at.scroll + 1,
        Action::Up => at.scroll.saturating_sub(1),
        Action::Last => last,
        Action::HalfDown => at.scroll + page.div_ceil(2),
        Action::HalfUp => at.scroll.saturating_sub(page.div_ceil(2)),
        Action::PageDown => at.scroll + page,
        Action::PageUp => at.scroll.saturating_sub(page),
        _ => 0,
    };
    at.scroll = to.min(last);
}

fn shown_view(at: &MessageAt) -> BodyView {
    let body = &at.message().body;
    match at.view {
        BodyView::Auto if json::lines(body).is_some() => BodyView::Json,
        BodyView::Auto if std::str::from_utf8(body).is_ok() => BodyView::Text,
        BodyView::Auto => BodyView::Hex,
        other => other,
    }
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect, at: &MessageAt) {
    let m = at.message();
    let title = format!("Message {}", m.unique_id);
    let right =
        format!("{} · {} q{} · offset {}", m.topic, m.broker, m.queue, format::count(m.offset));
    c.frame(area, &title, &seg(Role::TextDim, right), true);
    let inner = inside(area);
    let tab = app.place().tab.min(TABS.len() - 1);
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
    let hint = "{ } other tab · v json text hex";
    c.put_right(inner.x + 30, inner.right().saturating_sub(1), inner.y, hint, Role::TextDim);
    let body = rows(inner, 2, inner.height.saturating_sub(2));
    match tab {
        0 => draw_body(app, c, area, body, at),
        1 => draw_properties(c, area, body, at),
        TRACE => {
            c.separator(area, body.y - 1, "what its clients wrote of it", &seg(Role::TextDim, ""));
            super::trace::draw_life(app, c, body, app.place().list(), at.life.as_ref());
        }
        _ => draw_where(app, c, area, body, at),
    }
}

fn draw_body(app: &App, c: &mut Canvas, area: Rect, body: Rect, at: &MessageAt) {
    let m = at.message();
    let view = shown_view(at);
    c.separator(area, body.y - 1, &body_title(m, view), &seg(Role::TextDim, ""));
    let beside = body.width >= FACTS + 46;
    let facts = facts(app, m);
    let (text, pane) = if beside {
        let text = Rect { width: body.width - FACTS, ..body };
        (text, Rect { x: text.right(), width: FACTS, ..body })
    } else {
        let height = (facts.len() as u16 + 1).min(body.height / 2);
        let text = rows(body, 0, body.height - height);
        c.separator(area, text.bottom(), "message", &seg(Role::TextDim, ""));
        (text, rows(body, text.height + 1, height.saturating_sub(1)))
    };
    draw_text(c, text, at, view);
    for (i, line) in facts.iter().take(usize::from(pane.height)).enumerate() {
        c.line(pane.x + 1, pane.y + i as u16, pane.width.saturating_sub(2), line);
    }
}

fn body_title(m: &Message, view: BodyView) -> String {
    let kind = match view {
        BodyView::Json => "utf-8 · json valid",
        BodyView::Text => "as text",
        BodyView::Hex | BodyView::Auto => "as hex",
    };
    let packed = match m.compressed {
        Some((name, stored)) => format!("{name} from {}", format::bytes(stored)),
        None => "not compressed".to_owned(),
    };
    format!("body {} · {kind} · {packed}", format::bytes(m.body.len() as u64))
}

fn draw_text(c: &mut Canvas, area: Rect, at: &MessageAt, view: BodyView) {
    let body = &at.message().body;
    let part = &body[..body.len().min(BODY_MAX)];
    let json_lines = if view == BodyView::Json { json::lines(body) } else { None };
    let text = String::from_utf8_lossy(part);
    let room = area.width.saturating_sub(2);
    let text_lines = if json_lines.is_none() && view != BodyView::Hex {
        folded(&text, usize::from(room.saturating_sub(5)))
    } else {
        Vec::new()
    };
    let total = match (&json_lines, view) {
        (Some(lines), _) => lines.len(),
        (None, BodyView::Hex) => body.len().div_ceil(hex::LINE),
        _ => text_lines.len(),
    };
    at.page.set(usize::from(area.height));
    at.lines.set(total);
    let top = at.scroll.min(total.saturating_sub(usize::from(area.height)));
    for (i, index) in (top..total).take(usize::from(area.height)).enumerate() {
        let y = area.y + i as u16;
        if view == BodyView::Hex {
            c.line(area.x + 1, y, room, &hex::line(body, index));
            continue;
        }
        let number = if let Some(lines) = &json_lines {
            c.line(area.x + 6, y, room.saturating_sub(5), &lines[index]);
            Some(index + 1)
        } else {
            let (number, line) = &text_lines[index];
            c.put(area.x + 6, y, room.saturating_sub(5), line, Role::Text);
            *number
        };
        let number = number.map_or_else(String::new, |n| n.to_string());
        c.put_right(area.x, area.x + 5, y, &number, Role::TextDim);
    }
    if total == 0 {
        c.put(area.x + 1, area.y, room, "the body is empty", Role::TextDim);
    }
}

/// Lines of a text, long ones on several rows; only the first row has the number.
fn folded(text: &str, cells: usize) -> Vec<(Option<usize>, String)> {
    let mut rows = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let mut number = Some(i + 1);
        let mut row = String::new();
        let mut used = 0;
        for c in printable(line).chars() {
            let w = width(c.encode_utf8(&mut [0; 4]));
            if used + w > cells && !row.is_empty() {
                rows.push((number.take(), std::mem::take(&mut row)));
                used = 0;
            }
            row.push(c);
            used += w;
        }
        rows.push((number, row));
    }
    rows
}

fn facts(app: &App, m: &Message) -> Vec<Vec<Seg>> {
    let zone = app.zone();
    let pair =
        |a: &str, b: String| vec![seg(Role::TextDim, format!("{a:<10}")), seg(Role::Text, b)];
    let dash = |t: &str| if t.is_empty() { "–".to_owned() } else { printable(t) };
    vec![
        pair("stored", zone.full(m.stored_ms)),
        pair("born", format!("{} by {}", zone.hms_milli(m.born_ms), m.born_host)),
        pair("topic", format!("{} · {} q{}", m.topic, m.broker, m.queue)),
        pair("tag", dash(&m.tag)),
        pair("keys", dash(&m.keys)),
        pair("tries", format!("{}    flag  {}", m.tries, m.flag)),
        pair("id", m.unique_id.clone()),
        pair("offset id", m.offset_id.clone()),
    ]
}

fn meaning(name: &str) -> &'static str {
    RESERVED.iter().find(|(n, _)| *n == name).map_or("", |(_, text)| text)
}

fn draw_properties(c: &mut Canvas, area: Rect, body: Rect, at: &MessageAt) {
    let m = at.message();
    let mut sorted: Vec<&(String, String)> = m.properties.iter().collect();
    // The user's own first.
    sorted.sort_by_key(|(name, _)| !meaning(name).is_empty());
    let own = sorted.iter().filter(|(name, _)| meaning(name).is_empty()).count();
    let title = format!("{} properties · {own} of the user", sorted.len());
    c.separator(area, body.y - 1, &title, &seg(Role::TextDim, ""));
    at.page.set(usize::from(body.height));
    at.lines.set(sorted.len());
    let top = at.scroll.min(sorted.len().saturating_sub(usize::from(body.height)));
    for (i, (name, value)) in sorted.iter().skip(top).take(usize::from(body.height)).enumerate() {
        let y = body.y + i as u16;
        let about = meaning(name);
        let role = if about.is_empty() { Role::JsonKey } else { Role::TextDim };
        c.put(body.x + 1, y, 24, &printable(name), role);
        let x = body.x + 26;
        let room = body.right().saturating_sub(x + 1);
        let line = [seg(Role::Text, printable(value)), seg(Role::TextDim, format!("   {about}"))];
        c.line(x, y, room, &line);
    }
    if sorted.is_empty() {
        c.put(body.x + 1, body.y, body.width.saturating_sub(2), "no properties", Role::TextDim);
    }
}

fn draw_where(app: &App, c: &mut Canvas, area: Rect, body: Rect, at: &MessageAt) {
    let m = at.message();
    c.separator(area, body.y - 1, "where it is and who has passed it", &seg(Role::TextDim, ""));
    let mut lines: Vec<Vec<Seg>> = facts(app, m);
    let pair =
        |a: &str, b: String| vec![seg(Role::TextDim, format!("{a:<10}")), seg(Role::Text, b)];
    lines.push(pair("stored on", m.store_host.clone()));
    lines.push(pair("sys flag", m.sys_flag.to_string()));
    lines.push(Vec::new());
    match &at.found {
        None => lines.push(vec![seg(Role::TextDim, "asking the groups on this topic…")]),
        Some(Err(p)) => {
            lines.push(vec![seg(Role::Critical, format!("✗ {}: {}", p.line(), p.remark))]);
        }
        Some(Ok(found)) if found.is_empty() => {
            lines.push(vec![seg(Role::TextDim, "no group has a stored offset on this topic")]);
        }
        Some(Ok(found)) => {
            for w in found {
                lines.push(vec![
                    seg(Role::TextStrong, format!("{:<24} ", w.group)),
                    seg(Role::Text, w.text.clone()),
                ]);
            }
        }
    }
    at.page.set(usize::from(body.height));
    at.lines.set(lines.len());
    let top = at.scroll.min(lines.len().saturating_sub(usize::from(body.height)));
    for (i, line) in lines.iter().skip(top).take(usize::from(body.height)).enumerate() {
        c.line(body.x + 1, body.y + i as u16, body.width.saturating_sub(2), line);
    }
}
