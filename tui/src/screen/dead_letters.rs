//! `5` Dead letters (console-screens.md §6.5): groups, their letters, marks, resend.

use std::sync::Arc;

use ratatui::layout::Rect;

use super::parts::{nothing, pair, right_title, sentence};
use super::{WIDE, current, inspector};
use crate::app::App;
use crate::data::fig::sum;
use crate::data::{DeadGroup, Letter, Letters, Message, Name, Part};
use crate::dialog::Dialog;
use crate::effect::Effect;
use crate::format;
use crate::model::trend::Trend;
use crate::theme::Role;
use crate::widget::table::{self, Cell, Column, List, Row, SortKey, View, cell, fig, sort_rows};
use crate::widget::{Canvas, Seg, inside, rows, seg};

/// Columns of the group list.
pub const GROUPS: &[Column] = &[
    Column::left("GROUP", 16, 1).grow().sort('g'),
    Column::right("OPEN  ", 7, 1).sort('o'),
    Column::right("OF", 5, 3),
    Column::right("NEW 1h", 6, 2).sort('n'),
    Column::right("OLDEST", 7, 5),
    Column::right("LAST", 8, 4).sort('l'),
    Column::left("FROM TOPIC", 18, 6).prose(),
];

/// The group list beside the letters.
const GROUPS_NARROW: &[Column] =
    &[Column::left("GROUP", 8, 1).grow(), Column::right("OPEN ", 6, 1)];

/// Columns of the letters.
pub const LETTERS: &[Column] = &[
    Column::left("  DIED", 10, 1).sort('d'),
    Column::right("TRIES", 5, 4).sort('t'),
    Column::left("ORIGIN", 16, 3).sort('o'),
    Column::left("KEYS", 10, 2).grow(),
    Column::right("SIZE", 6, 6),
    Column::left("AGAIN", 8, 2).sort('a'),
];

/// Cells of the left pane.
const LEFT: u16 = 21;
/// Most letters that one resend takes.
const RESEND_MAX: usize = 10_000;

fn all_groups(app: &App) -> &[DeadGroup] {
    app.picture().dead.get().map_or(&[], Vec::as_slice)
}

/// Groups that the filter shows, in order.
pub fn groups(app: &App) -> Vec<&DeadGroup> {
    let list = &app.place().lists[0];
    let mut out = list.pick(all_groups(app));
    match list.sort {
        None => out.sort_by_key(|g| std::cmp::Reverse(g.per_min.value().copied().unwrap_or(0))),
        Some((letter, descending)) => sort_rows(&mut out, descending, |g| match letter {
            'o' => SortKey::of(&g.open),
            'n' => SortKey::of(&g.new_1h),
            'l' => SortKey::of_ms(&g.last_age_ms),
            _ => SortKey::Text(g.group.to_string()),
        }),
    }
    out
}

/// The group under the cursor of the group list.
pub fn group(app: &App) -> Option<Name> {
    let groups = groups(app);
    let keys: Vec<String> = groups.iter().map(|g| g.group.to_string()).collect();
    app.place().lists[0].at(&keys).map(|i| groups[i].group.clone())
}

fn part<'a>(app: &'a App, group: &Name) -> &'a Part<Letters> {
    app.picture().letters.get(group).unwrap_or(&Part::Unasked)
}

/// Letters of a group that are shown under a list's filter and order.
pub fn letters_of<'a>(app: &'a App, group: &Name, list: &List) -> Vec<&'a Letter> {
    let all = part(app, group).get().map_or(&[][..], |l| l.newest.as_slice());
    let wanted = all.iter().filter(|l| app.place().show_all || l.again.sent == 0);
    let mut out = list.pick(wanted);
    if let Some((letter, descending)) = list.sort {
        sort_rows(&mut out, descending, |l| match letter {
            't' => SortKey::Number(l.tries.into()),
            'o' => SortKey::Text(l.origin.to_string()),
            'a' => SortKey::Text(l.again.text()),
            _ => SortKey::Number(l.message.stored_ms as f64),
        });
    }
    out
}

/// Letters of the chosen group that the filter shows, in order.
pub fn letters(app: &App) -> Vec<&Letter> {
    group(app).map(|g| letters_of(app, &g, &app.place().lists[1])).unwrap_or_default()
}

/// Keys of the focused list.
pub fn keys(app: &App) -> Vec<String> {
    if app.place().pane == 0 {
        groups(app).iter().map(|g| g.group.to_string()).collect()
    } else {
        letters(app).iter().map(|l| l.key()).collect()
    }
}

/// A letter by its key.
pub fn find<'a>(app: &'a App, key: &str) -> Option<&'a Letter> {
    let group = group(app)?;
    part(app, &group).get()?.newest.iter().find(|l| l.key() == key)
}

/// Enter: from the group to its letters, from a letter to the message.
pub fn open(app: &mut App) -> Vec<Effect> {
    if app.place().pane == 0 {
        if group(app).is_some() {
            app.place_mut().pane = 1;
        } else {
            app.tell("no dead letters to open");
        }
        return Vec::new();
    }
    let wanted = current(app);
    let list: Vec<Arc<Message>> = letters(app).iter().map(|l| Arc::clone(&l.message)).collect();
    let Some(index) = letters(app).iter().position(|l| Some(l.key()) == wanted) else {
        app.tell("no letter to open");
        return Vec::new();
    };
    inspector::open(app, list.into(), index)
}

/// `r`: the marked letters, else the one under the cursor; on a group all of its open ones.
pub fn resend(app: &mut App) -> Vec<Effect> {
    let Some(group) = group(app) else {
        app.tell("no dead letters to resend");
        return Vec::new();
    };
    let (shown, hidden) = chosen(app, &group);
    if shown.is_empty() && hidden.is_empty() {
        app.tell(format!("the letters of {group} are not read yet"));
        return Vec::new();
    }
    if shown.len() + hidden.len() > RESEND_MAX {
        app.tell(format!("at most {} letters at a time", format::count(RESEND_MAX as u64)));
        return Vec::new();
    }
    let ticket = app.ticket();
    let (dialog, effects) = Dialog::resend(group, shown, hidden, ticket, &app.ctx());
    app.dialog = Some(dialog);
    effects
}

fn chosen(app: &App, group: &Name) -> (Vec<Letter>, Vec<Letter>) {
    let list = &app.place().lists[1];
    let visible = letters(app);
    if app.place().pane == 0 {
        return (visible.into_iter().filter(|l| l.again.sent == 0).cloned().collect(), Vec::new());
    }
    let marked = |l: &&Letter| list.marks.contains(&l.key());
    let shown: Vec<Letter> = visible.iter().copied().filter(marked).cloned().collect();
    let all = part(app, group).get().map_or(&[][..], |l| l.newest.as_slice());
    let hidden: Vec<Letter> = all
        .iter()
        .filter(|l| marked(l) && !shown.iter().any(|s| s.key() == l.key()))
        .cloned()
        .collect();
    if shown.is_empty() && hidden.is_empty() {
        let key = current(app);
        let one = visible.into_iter().filter(|l| Some(l.key()) == key).cloned().collect();
        return (one, Vec::new());
    }
    (shown, hidden)
}

/// `open 297 of 312 ▲9/min`.
pub fn summary(app: &App) -> String {
    let Some(cl) = app.picture().cluster.get() else { return String::new() };
    let grows = cl.dead_per_min.value().is_some_and(|n| *n > 0);
    let rate = if grows {
        format!(" ▲{}/min", format::fig_count(&cl.dead_per_min))
    } else {
        String::new()
    };
    format!(
        "open {} of {}{rate}",
        format::fig_count(&cl.dead_open),
        format::fig_count(&cl.dead_total)
    )
}

fn open_cell(g: &DeadGroup) -> Cell {
    let sign = if g.trend == Trend::Rising { "▲" } else { " " };
    let role = match (table::fig_role(&g.open), g.trend) {
        (Role::Text, Trend::Rising) => Role::Warn,
        (other, _) => other,
    };
    Cell(role, format!("{} {sign}", format::fig_count(&g.open)))
}

fn group_cells(g: &DeadGroup) -> Vec<Cell> {
    let name = match &g.problem {
        Some(problem) => Cell(Role::Unknown, format!("{}  {}", g.group, problem.line())),
        None => cell(&*g.group),
    };
    let new = |n: &u64| if *n > 0 { format!("+{}", format::count(*n)) } else { "0".to_owned() };
    vec![
        name,
        open_cell(g),
        fig(&g.total, format::fig_count(&g.total)),
        fig(&g.new_1h, g.new_1h.text(new)),
        fig(&g.oldest_age_ms, g.oldest_age_ms.text(|ms| format::age_coarse(*ms))),
        fig(&g.last_age_ms, format::ago(&g.last_age_ms)),
        fig(&g.from, g.from.text(Clone::clone)),
    ]
}

fn died(app: &App, m: &Message) -> String {
    let zone = app.zone();
    if zone.local(m.stored_ms).date() == zone.local(app.now_ms).date() {
        zone.hms(m.stored_ms)
    } else {
        zone.local(m.stored_ms).format("%b %d").to_string()
    }
}

fn letter_cells(app: &App, l: &Letter, marked: bool) -> Vec<Cell> {
    let sign = if marked { "■" } else { "□" };
    let role = if marked { Role::Marked } else { Role::Text };
    let keys = name(l);
    let again = if l.again.died > 0 || l.again.sent > 0 { Role::Warn } else { Role::TextDim };
    vec![
        Cell(role, format!("{sign} {}", died(app, &l.message))),
        cell(l.tries.to_string()),
        cell(&*l.origin),
        cell(keys),
        cell(format::bytes_short(l.message.stored_size)),
        Cell(again, l.again.text()),
    ]
}

/// Keys of the message, else its id.
pub fn name(l: &Letter) -> String {
    let m = &l.message;
    let text = if m.keys.is_empty() { &m.unique_id } else { &m.keys };
    crate::widget::text::printable(text)
}

/// Draws a table of letters.
pub fn draw_letters(
    app: &App,
    c: &mut Canvas,
    area: Rect,
    letters: &[&Letter],
    list: &List,
    group: &Name,
    focus: bool,
) {
    let keys: Vec<String> = letters.iter().map(|l| l.key()).collect();
    let cursor = list.at(&keys).filter(|_| focus);
    let view = View { columns: LETTERS, list, keys: &keys, cursor, focus };
    table::draw(c, area, &view, &mut |i| {
        Row::Cells(letter_cells(app, letters[i], list.marks.contains(&keys[i])))
    });
    if keys.is_empty() {
        let total = part(app, group).get().map_or(0, |l| l.newest.len());
        let empty = if total > 0 {
            "all letters here were resent: . shows them"
        } else {
            "no dead letters. A message comes here after its limit (16 unless client or group say \
             otherwise) or when a consumer gives up"
        };
        let text = nothing(part(app, group), total, list, "letters", empty);
        sentence(c, rows(area, 2, area.height.saturating_sub(2)), &text);
    }
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect) {
    let wide = area.width >= WIDE;
    let pane = app.place().pane;
    let chosen = group(app);
    let right = match (&chosen, pane, wide) {
        (Some(g), 1, _) | (Some(g), _, true) => {
            right_title(app, part(app, g), "letters", &letters_title(app, g))
        }
        _ => {
            let base = format!(
                "{} · {}",
                summary(app),
                format::plural(all_groups(app).len() as u64, "group")
            );
            right_title(app, &app.picture().dead, "dead letters", &base)
        }
    };
    let title = match (&chosen, pane, wide) {
        (Some(g), 1, false) => format!("Dead letters › {g}"),
        _ => "Dead letters".to_owned(),
    };
    c.frame(area, &title, &right, true);
    let inner = inside(area);
    let Some(chosen) = chosen else {
        empty(app, c, inner);
        return;
    };
    match (wide, pane) {
        (true, _) => draw_wide(app, c, area, &chosen),
        (false, 1) => draw_pane(app, c, area, inner, &chosen),
        (false, _) => draw_narrow(app, c, area, inner, &chosen),
    }
}

fn empty(app: &App, c: &mut Canvas, inner: Rect) {
    let empty = "no dead letters. A message comes here after its limit (16 unless client or group \
                 say otherwise) or when a consumer gives up";
    let list = &app.place().lists[0];
    let text = nothing(&app.picture().dead, all_groups(app).len(), list, "groups", empty);
    sentence(c, rows(inner, 1, inner.height.saturating_sub(1)), &text);
}

fn letters_title(app: &App, group: &Name) -> String {
    let Some(g) = all_groups(app).iter().find(|g| g.group == *group) else { return String::new() };
    let shown = letters(app).len();
    let marks = app.place().lists[1].marks.len();
    let marked = if marks > 0 { format!(" · {marks} marked") } else { String::new() };
    format!(
        "{shown} shown · {} open · {} in all{marked}",
        format::fig_count(&g.open),
        format::fig_count(&g.total)
    )
}

fn draw_groups(app: &App, c: &mut Canvas, area: Rect, columns: &[Column], narrow: bool) {
    let list = &app.place().lists[0];
    let groups = groups(app);
    let keys: Vec<String> = groups.iter().map(|g| g.group.to_string()).collect();
    let focus = app.place().pane == 0;
    let view = View { columns, list, keys: &keys, cursor: list.at(&keys), focus };
    table::draw(c, area, &view, &mut |i| {
        if narrow {
            table::named(area.width, &groups[i].group, open_cell(groups[i]))
        } else {
            Row::Cells(group_cells(groups[i]))
        }
    });
}

fn draw_narrow(app: &App, c: &mut Canvas, area: Rect, inner: Rect, chosen: &Name) {
    let count = groups(app).len() as u16;
    let height = (count + 1).min(inner.height / 2);
    draw_groups(app, c, rows(inner, 0, height), GROUPS, false);
    let letters = letters(app);
    let title = format!("{chosen}: newest {} letters", letters.len());
    c.separator(
        area,
        inner.y + height,
        &title,
        &seg(Role::TextDim, "Enter marks and resends them here"),
    );
    let rest = rows(inner, height + 1, inner.height.saturating_sub(height + 1));
    draw_letters(app, c, rest, &letters, &app.place().lists[1], chosen, false);
}

fn draw_pane(app: &App, c: &mut Canvas, area: Rect, inner: Rect, chosen: &Name) {
    let panel = if inner.height >= 14 { 6 } else { 0 };
    let table_area = rows(inner, 0, inner.height - panel);
    draw_letters(app, c, table_area, &letters(app), &app.place().lists[1], chosen, true);
    if panel > 0 {
        draw_about(app, c, area, Rect { y: table_area.bottom(), height: panel, ..inner });
    }
}

fn draw_wide(app: &App, c: &mut Canvas, area: Rect, chosen: &Name) {
    let inner = inside(area);
    let panel = if inner.height >= 14 { 6 } else { 0 };
    let body = rows(inner, 0, inner.height - panel);
    draw_groups(app, c, Rect { width: LEFT, ..body }, GROUPS_NARROW, true);
    let right = Rect { x: body.x + LEFT + 1, width: body.width - LEFT - 1, ..body };
    let focus = app.place().pane == 1;
    draw_letters(app, c, right, &letters(app), &app.place().lists[1], chosen, focus);
    if panel > 0 {
        draw_about(app, c, area, Rect { y: body.bottom(), height: panel, ..inner });
    }
    let bottom = if panel > 0 { body.bottom() } else { area.bottom() - 1 };
    c.divider(body.x + LEFT, area.y, bottom);
}

fn cursor_letter(app: &App) -> Option<&Letter> {
    let letters = letters(app);
    let keys: Vec<String> = letters.iter().map(|l| l.key()).collect();
    app.place().lists[1].at(&keys).map(|i| letters[i])
}

fn draw_about(app: &App, c: &mut Canvas, area: Rect, panel: Rect) {
    let Some(l) = cursor_letter(app) else {
        c.separator(area, panel.y, "", &seg(Role::TextDim, ""));
        return;
    };
    let m = &l.message;
    let right = format!("{} q{} offset {}", m.broker, m.queue, format::count(m.offset));
    c.separator(area, panel.y, &name(l), &seg(Role::TextDim, right));
    for (i, line) in about(app, l).iter().take(usize::from(panel.height - 1)).enumerate() {
        c.line(panel.x + 1, panel.y + 1 + i as u16, panel.width.saturating_sub(2), line);
    }
}

/// Everything about a letter.
pub fn about(app: &App, l: &Letter) -> Vec<Vec<Seg>> {
    let m = &l.message;
    let zone = app.zone();
    let tag = if m.tag.is_empty() { String::new() } else { format!(" (tag {})", m.tag) };
    let again = if l.again.history.is_empty() {
        "not resent from here".to_owned()
    } else {
        l.again.history.clone()
    };
    let took = format::duration(m.stored_ms - m.born_ms);
    vec![
        pair(
            "origin",
            format!(
                "{}{tag} · died {} after {} deliveries",
                l.origin,
                zone.hms(m.stored_ms),
                l.tries
            ),
        ),
        pair(
            "born",
            format!("{} on {} · {took} before it died", zone.full(m.born_ms), m.born_host),
        ),
        pair("id", format!("{} · offset id {}", m.unique_id, m.offset_id)),
        pair("again", again),
        pair("body", super::messages::preview(m)),
    ]
}

/// Details of the row under the cursor.
pub fn details(app: &App) -> Option<(String, Vec<Vec<Seg>>)> {
    if app.place().pane == 1 {
        return cursor_letter(app).map(|l| (name(l), about(app, l)));
    }
    let chosen = group(app)?;
    let g = all_groups(app).iter().find(|g| g.group == chosen)?;
    let mut lines = vec![
        pair("open", format!("{} of {}", format::fig_count(&g.open), format::fig_count(&g.total))),
        pair("new 1h", format::fig_count(&g.new_1h)),
        pair("from", g.from.text(Clone::clone)),
    ];
    if let Some(problem) = &g.problem {
        lines.push(pair("error", format!("{}: {}", problem.line(), problem.remark)));
    }
    let open = sum(all_groups(app).iter().map(|g| &g.open));
    lines.push(pair("all groups", format!("{} open", format::fig_count(&open))));
    Some((g.group.to_string(), lines))
}
