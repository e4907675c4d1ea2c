//! `4` Retry ladder (console-screens.md §6.4): what waits in which delay level, and for whom.

use ratatui::layout::Rect;

use super::parts::{explained, nothing, right_title, sentence};
use super::{TALL, WIDE, current};
use crate::app::App;
use crate::data::fig::sum;
use crate::data::ladder::LadderGroup;
use crate::data::{Fig, Ladder, LadderLevel, Limit, Name};
use crate::effect::{Effect, From, QueueRef};
use crate::format;
use crate::place::{At, MessagesAt};
use crate::theme::Role;
use crate::widget::spark::bar;
use crate::widget::table::{self, Cell, Column, List, Row, View, cell, fig};
use crate::widget::{Canvas, Seg, inside, rows, seg};

/// Columns of the levels; the last is named after the chosen group.
pub const LEVELS: &[Column] = &[
    Column::right("LEVEL", 5, 1),
    Column::right("DELAY", 5, 1),
    Column::right("DELAYED", 7, 3),
    Column::left("", 7, 6),
    Column::right("RETRY", 6, 1),
    Column::right("USER", 6, 4),
    Column::right("NEXT DUE", 9, 2),
    Column::right("LAST DUE", 9, 5),
    Column::right("TRY", 4, 6),
    Column::right("", 7, 1),
];

const GROUPS: &[Column] = &[Column::left("GROUP", 8, 1).grow(), Column::right("RETRY", 6, 1)];

/// First entry of the group list.
const ALL: &str = "all groups";
/// First level that a failed message uses.
const FIRST_RETRY_LEVEL: u32 = 3;
/// Later than this is said to be late.
const LATE_MS: i64 = -2_000;
/// Cells of the bar.
const BAR: usize = 7;
/// Width of the left pane.
const LEFT: u16 = 21;

fn ladder(app: &App) -> Option<&Ladder> {
    app.picture().ladder.get()
}

fn waiting(g: &LadderGroup) -> Fig<u64> {
    sum([&g.in_levels, &g.due])
}

/// What waits for all groups, from the same answers as the rows below it; `≥` while a group is silent.
fn everyone(app: &App) -> Fig<u64> {
    let Some(ladder) = ladder(app) else { return Fig::Few };
    let levels = ladder.levels.iter().map(|l| &l.retry);
    let all = sum(levels.chain(ladder.groups.iter().map(|g| &g.due)));
    let some_silent =
        app.picture().cluster.get().is_some_and(|cl| !matches!(cl.retry, Fig::Known(_)));
    match all {
        Fig::Known(n) if some_silent => Fig::AtLeast(n),
        other => other,
    }
}

/// Rows that the filter shows, in order.
pub fn groups(app: &App) -> Vec<&LadderGroup> {
    let all = ladder(app).map_or(&[][..], |l| l.groups.as_slice());
    let mut rows = app.place().lists[0].pick(all);
    rows.sort_by_key(|g| std::cmp::Reverse(waiting(g).value().copied().unwrap_or(0)));
    rows
}

/// Levels where something waits or is not known.
pub fn levels_shown(app: &App) -> Vec<&LadderLevel> {
    let all = ladder(app).map_or(&[][..], |l| l.levels.as_slice());
    let place = app.place();
    let list = if matches!(place.at, At::Ladder) { &place.lists[1] } else { &place.lists[0] };
    list.pick(all.iter().filter(|l| l.delayed.value() != Some(&0)))
}

fn group_keys(app: &App) -> Vec<String> {
    let mut keys = vec![ALL.to_owned()];
    keys.extend(groups(app).iter().map(|g| g.group.to_string()));
    keys
}

/// Keys of the focused list.
pub fn keys(app: &App) -> Vec<String> {
    if app.place().pane == 0 {
        group_keys(app)
    } else {
        levels_shown(app).iter().map(|l| l.level.to_string()).collect()
    }
}

/// The chosen group; none for `all groups`.
pub fn group(app: &App) -> Option<Name> {
    let keys = group_keys(app);
    let at = app.place().lists[0].at(&keys)?;
    (at > 0).then(|| keys[at].as_str().into())
}

/// Enter on a level: its queue, newest first. With several brokers the queues are listed first.
pub fn open_level(app: &mut App) -> Vec<Effect> {
    let Some(level) = current(app).and_then(|k| k.parse::<i32>().ok()) else {
        app.tell("nothing waits in a level");
        return Vec::new();
    };
    let topic: Name = engine::protocol::names::SCHEDULE_TOPIC.into();
    let brokers = app.picture().brokers.get().map_or(&[][..], Vec::as_slice);
    let mut masters = brokers.iter().filter(|b| b.id == 0).map(|b| b.name.clone());
    let (Some(broker), None) = (masters.next(), masters.next()) else {
        app.push(At::Queues(topic));
        return Vec::new();
    };
    let queue = QueueRef { topic, broker, queue: level - 1 };
    let (ticket, from) = (app.ticket(), From::Newest);
    app.push(At::Messages(Box::new(MessagesAt { queue: queue.clone(), from, ticket, page: None })));
    vec![Effect::ReadMessages(ticket, queue, from)]
}

/// `2 112 delayed = 887 retries + 1 225 user delays`.
fn summary(ladder: &Ladder) -> String {
    let delayed = sum(ladder.levels.iter().map(|l| &l.delayed));
    let retry = sum(ladder.levels.iter().map(|l| &l.retry));
    let user = sum(ladder.levels.iter().map(|l| &l.user));
    let scan = match ladder.scan_left {
        Some((left, of)) if left > 0 => format!(" · scan {} of {of} requests", of - left),
        None => " · ^F splits it by group".to_owned(),
        Some(_) => String::new(),
    };
    format!(
        "{} delayed = {} retries + {} user delays{scan}",
        format::fig_count(&delayed),
        format::fig_count(&retry),
        format::fig_count(&user)
    )
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect) {
    let wide = area.width >= WIDE;
    let base = ladder(app).map(summary).unwrap_or_default();
    c.frame(area, "Retry", &right_title(app, &app.picture().ladder, "delay levels", &base), true);
    let inner = inside(area);
    let chosen = group(app);
    let foot = if inner.height >= 14 { 3 } else { 0 };
    let body = rows(inner, 0, inner.height - foot);
    if wide {
        let left = Rect { width: LEFT, ..body };
        let right = Rect { x: body.x + LEFT + 1, width: body.width - LEFT - 1, ..body };
        draw_groups(app, c, left, true);
        let user_from = group_keys(app).len() as u16 + 2;
        draw_users(app, c, rows(left, user_from, left.height.saturating_sub(user_from)));
        draw_levels(app, c, right, chosen.as_ref(), app.place().pane == 1);
        foot_lines(app, c, area, Rect { y: body.bottom(), height: foot, ..inner }, chosen.as_ref());
        c.divider(body.x + LEFT, area.y, body.bottom());
        return;
    }
    let list_height =
        (group_keys(app).len() as u16).clamp(2, if area.height < TALL { 4 } else { 10 });
    let top = rows(body, 0, list_height);
    let half = body.width / 2;
    draw_groups(app, c, Rect { width: half, ..top }, false);
    let (mut users, x) = (Rect { x: body.x + half, width: body.width - half, ..top }, half);
    users.width = users.width.min(body.width - x);
    draw_users(app, c, users);
    let title = format!("levels · {}", chosen.as_deref().unwrap_or(ALL));
    c.separator(area, top.bottom(), &title, &seg(Role::TextDim, "Tab groups/levels"));
    let levels = rows(body, list_height + 1, body.height.saturating_sub(list_height + 1));
    draw_levels(app, c, levels, chosen.as_ref(), app.place().pane == 1);
    foot_lines(app, c, area, Rect { y: body.bottom(), height: foot, ..inner }, chosen.as_ref());
}

fn draw_groups(app: &App, c: &mut Canvas, area: Rect, header: bool) {
    let list = &app.place().lists[0];
    let keys = group_keys(app);
    let all = everyone(app);
    let groups = groups(app);
    let line = |i: usize| match i.checked_sub(1).and_then(|i| groups.get(i)) {
        None => table::named(area.width, ALL, fig(&all, format::fig_count(&all))),
        Some(g) => {
            let waits = waiting(g);
            table::named(area.width, &g.group, fig(&waits, format::fig_count(&waits)))
        }
    };
    let view = View {
        columns: GROUPS,
        list,
        keys: &keys,
        cursor: list.at(&keys),
        focus: app.place().pane == 0,
    };
    if header {
        table::draw(c, area, &view, &mut |i| line(i));
    } else {
        let area = Rect { y: area.y - 1, height: area.height + 1, ..area };
        table::draw_body(c, area, &view, &mut |i| line(i));
    }
}

fn draw_users(app: &App, c: &mut Canvas, area: Rect) {
    let Some(ladder) = ladder(app) else { return };
    if area.height == 0 || area.width < 8 {
        return;
    }
    let total = sum(ladder.levels.iter().map(|l| &l.user));
    let right = area.right().saturating_sub(1);
    c.put(area.x + 1, area.y, area.width.saturating_sub(2), "user delays", Role::TextDim);
    c.put_right(area.x + 12, right, area.y, &format::fig_count(&total), Role::TextDim);
    for (i, (topic, n)) in ladder.user.iter().enumerate().take(usize::from(area.height - 1)) {
        let y = area.y + 1 + i as u16;
        let figure = format::fig_count(n);
        let room = usize::from(area.width).saturating_sub(figure.chars().count() + 3);
        let name = crate::widget::text::cut_middle(topic, room);
        c.put(area.x + 1, y, area.width.saturating_sub(2), &name, Role::Text);
        c.put_right(area.x + 2, right, y, &figure, Role::Text);
    }
}

/// The table of levels; the last column is the chosen group's share.
pub fn draw_levels(app: &App, c: &mut Canvas, area: Rect, group: Option<&Name>, focus: bool) {
    let shown = levels_shown(app);
    let Some(ladder) = ladder(app) else {
        let text = nothing(&app.picture().ladder, 0, &List::default(), "delay levels", "");
        sentence(c, rows(area, 1, area.height.saturating_sub(1)), &text);
        return;
    };
    if shown.is_empty() {
        let user = sum(ladder.levels.iter().map(|l| &l.user));
        let text = format!("nothing waits for a retry (user delays: {})", format::fig_count(&user));
        sentence(c, rows(area, 1, area.height.saturating_sub(1)), &(Role::TextDim, text));
        return;
    }
    let keys: Vec<String> = shown.iter().map(|l| l.level.to_string()).collect();
    let place = app.place();
    let list: &List =
        if matches!(place.at, At::Ladder) { &place.lists[1] } else { &place.lists[0] };
    let columns = if group.is_some() { LEVELS } else { &LEVELS[..LEVELS.len() - 1] };
    let view = View { columns, list, keys: &keys, cursor: list.at(&keys).filter(|_| focus), focus };
    let largest = ladder.levels.iter().filter_map(|l| l.retry.value().copied()).max().unwrap_or(0);
    let table_area = rows(area, 0, area.height.saturating_sub(1));
    table::draw(c, table_area, &view, &mut |i| Row::Cells(cells(shown[i], group, largest)));
    let slots = table::layout(columns, area.width);
    if let (Some(group), Some(slot)) =
        (group, slots.last().filter(|s| s.column + 1 == LEVELS.len()))
    {
        let name = crate::widget::text::cut_middle(group, usize::from(slot.width));
        c.put_right(area.x + slot.x, area.x + slot.x + slot.width, area.y, &name, Role::TextDim);
    }
    let empty = ladder.levels.len() - shown.len();
    let y = area.y + 1 + shown.len() as u16;
    if empty > 0 && y < area.bottom() {
        let word = if empty == 1 { "level" } else { "levels" };
        let text = format!("⋮  {empty} more {word}, nothing waits");
        c.put(area.x + 3, y, area.width.saturating_sub(4), &text, Role::TextDim);
    }
}

fn due(figure: &Fig<i64>) -> String {
    match figure.value() {
        Some(ms) if *ms < LATE_MS => format!("late {}", format::age(-ms)),
        _ => figure.text(|ms| format!("in {}", format::duration(*ms))),
    }
}

fn cells(l: &LadderLevel, group: Option<&Name>, largest: u64) -> Vec<Cell> {
    let retry = l.retry.value().copied().unwrap_or(0);
    let late = l.next_due_ms.value().is_some_and(|ms| *ms < LATE_MS);
    let try_number = l.level.checked_sub(FIRST_RETRY_LEVEL - 1).filter(|n| *n > 0);
    let nothing = Fig::Known(0);
    let here = group.map(|g| l.by_group.get(g).unwrap_or(&nothing));
    vec![
        cell(l.level.to_string()),
        cell(short_delay(l.delay_ms)),
        fig(&l.delayed, format::fig_count(&l.delayed)),
        Cell(Role::Series1, bar(retry, largest, BAR)),
        fig(&l.retry, format::fig_count(&l.retry)),
        fig(&l.user, format::fig_count(&l.user)),
        Cell(if late { Role::Warn } else { table::fig_role(&l.next_due_ms) }, due(&l.next_due_ms)),
        fig(&l.last_due_ms, due(&l.last_due_ms)),
        Cell(Role::TextDim, try_number.map_or("–".to_owned(), format::ordinal)),
        here.map_or_else(|| cell(""), |f| fig(f, format::fig_count(f))),
    ]
}

fn short_delay(ms: i64) -> String {
    if ms < 60_000 || ms % 60_000 != 0 { format!("{}s", ms / 1_000) } else { format::age(ms) }
}

/// How long after its first failure a message that always fails is dead.
fn dead_after(ladder: &Ladder, limit: u32) -> Option<i64> {
    let last = FIRST_RETRY_LEVEL.checked_add(limit)?.checked_sub(1)?;
    let top = ladder.levels.iter().map(|l| l.level).max()?;
    let longest = ladder.levels.iter().find(|l| l.level == top)?.delay_ms;
    let known: i64 = ladder
        .levels
        .iter()
        .filter(|l| (FIRST_RETRY_LEVEL..=last).contains(&l.level))
        .map(|l| l.delay_ms)
        .sum();
    Some(known + longest * i64::from(last.saturating_sub(top)))
}

fn foot_lines(app: &App, c: &mut Canvas, area: Rect, foot: Rect, group: Option<&Name>) {
    if foot.height < 2 {
        return;
    }
    let found = group.and_then(|g| {
        ladder(app).and_then(|l| l.groups.iter().find(|row| row.group == *g).map(|row| (l, row)))
    });
    let Some((ladder, row)) = found else {
        c.separator(area, foot.y, ALL, &seg(Role::TextDim, ""));
        let text = "User delays lie in the same levels; a split is ≥ until its scan is complete.";
        c.put(foot.x + 1, foot.y + 1, foot.width.saturating_sub(2), text, Role::TextDim);
        let text = "POP groups and ordered groups do not pass the levels.";
        c.put(foot.x + 1, foot.y + 2, foot.width.saturating_sub(2), text, Role::TextDim);
        return;
    };
    let waits = waiting(row);
    let right = format!(
        "{} = {} in levels + {} due in %RETRY%{}",
        format::fig_count(&waits),
        format::fig_count(&row.in_levels),
        format::fig_count(&row.due),
        row.group
    );
    c.separator(area, foot.y, &row.group, &seg(Role::TextDim, right));
    for (i, line) in group_lines(ladder, row).iter().enumerate() {
        c.line(foot.x + 1, foot.y + 1 + i as u16, foot.width.saturating_sub(2), line);
    }
}

fn group_lines(ladder: &Ladder, row: &LadderGroup) -> Vec<Vec<Seg>> {
    let next = row.last_try_due_ms.text(|ms| format!(", next in {}", format::duration(*ms)));
    let next = if row.last_try_due_ms.value().is_some() { next } else { String::new() };
    let first = format!(
        "limit {} · on their last try {}{next}",
        row.limit.text(),
        format::fig_count(&row.last_try)
    );
    let limit = match row.limit {
        Limit::Client(n) | Limit::Group(n) => u32::try_from(n).ok(),
        Limit::Unknown => None,
    };
    let second = match limit.and_then(|n| dead_after(ladder, n)) {
        Some(ms) => format!(
            "dead {} after the first failure, unless the client chooses its level",
            format::duration(ms)
        ),
        None => "when they are dead is not known: the limit is not".to_owned(),
    };
    vec![vec![seg(Role::Text, first)], vec![seg(Role::TextDim, second)]]
}

/// Details of the chosen group.
pub fn details(app: &App) -> Option<(String, Vec<Vec<Seg>>)> {
    let group = group(app)?;
    let ladder = ladder(app)?;
    let row = ladder.groups.iter().find(|g| g.group == group)?;
    let mut lines = vec![
        explained("in levels", &row.in_levels, format::fig_count(&row.in_levels)),
        explained("due", &row.due, format::fig_count(&row.due)),
        explained("last try", &row.last_try, format::fig_count(&row.last_try)),
    ];
    lines.extend(group_lines(ladder, row));
    Some((group.to_string(), lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_after_the_sum_of_the_levels_used() {
        let delays =
            [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];
        let levels = delays
            .iter()
            .enumerate()
            .map(|(i, s)| LadderLevel {
                level: i as u32 + 1,
                delay_ms: s * 1_000,
                delayed: Fig::Known(0),
                retry: Fig::Known(0),
                user: Fig::Known(0),
                next_due_ms: Fig::none(""),
                last_due_ms: Fig::none(""),
                by_group: std::collections::BTreeMap::new(),
            })
            .collect();
        let ladder = Ladder { levels, ..Ladder::default() };
        assert_eq!(dead_after(&ladder, 16), Some(17_140_000));
        assert_eq!(dead_after(&ladder, 3), Some(100_000));
        assert_eq!(dead_after(&ladder, 17), Some(24_340_000));
    }
}
