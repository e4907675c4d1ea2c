//! `1` Overview (console-screens.md §6.1): what needs a look, on one screen.

use ratatui::layout::Rect;

use super::parts::{nothing, right_title, sentence};
use super::{TALL, WIDE, brokers, current, dead_letters, groups};
use crate::app::App;
use crate::data::{BrokerRow, Fig, Flag, GroupRow, Loss, Name, Part};
use crate::effect::Effect;
use crate::format;
use crate::keymap::Kind;
use crate::model::at_risk;
use crate::place::At;
use crate::theme::Role;
use crate::widget::spark::spark;
use crate::widget::table::{self, Cell, Column, Row, View, cell, fig};
use crate::widget::{Canvas, Seg, inside, rows, seg};

/// Columns of the group table.
pub const COLUMNS: &[Column] = &[
    Column::left("GROUP", 16, 1).grow().sort('g'),
    Column::right("LAG  ", 10, 1).sort('l'),
    Column::left("TREND 15m", 10, 7),
    Column::right("BEHIND", 7, 2).sort('b'),
    Column::right("IN/s", 6, 8),
    Column::right("OUT/s", 6, 5).sort('o'),
    Column::right("RETRY", 6, 4).sort('r'),
    Column::right("DEAD", 5, 3).sort('d'),
    Column::right("CLI", 4, 6).sort('c'),
    Column::left("SINCE", 5, 5).sort('n'),
    Column::left("!", 1, 1),
];

/// Groups before the line of unknown ones.
const UNKNOWN_AFTER: usize = 2;
/// Rows that the group table keeps before panels are left out.
const TABLE_MIN: u16 = 5;

/// One line that the cursor can be on.
enum Item<'a> {
    Group(&'a GroupRow),
    Unknown(Vec<&'a GroupRow>),
    More(usize),
}

impl Item<'_> {
    fn key(&self) -> String {
        match self {
            Item::Group(row) => format!("g:{}", row.name),
            Item::Unknown(_) => "unknown".to_owned(),
            Item::More(_) => "more".to_owned(),
        }
    }
}

fn items(app: &App) -> Vec<Item<'_>> {
    let all = app.picture().groups.get().map_or(&[][..], Vec::as_slice);
    let filter = &app.place().lists[0].filter;
    let shown = groups::shown(app, all);
    let mut items = Vec::new();
    let mut unknown = Vec::new();
    let mut rest = 0;
    for row in shown {
        let quiet = row.lag.value().is_none_or(|l| *l == 0) && row.flag == Flag::None;
        match &row.lag {
            Fig::Unknown(_) if row.flag == Flag::None => unknown.push(row),
            _ if quiet && filter.is_empty() => rest += 1,
            _ => items.push(Item::Group(row)),
        }
    }
    if !unknown.is_empty() {
        items.insert(UNKNOWN_AFTER.min(items.len()), Item::Unknown(unknown));
    }
    if rest > 0 {
        items.push(Item::More(rest));
    }
    items
}

/// Keys of all lines: groups, then the panels below.
pub fn keys(app: &App) -> Vec<String> {
    let mut keys: Vec<String> = items(app).iter().map(Item::key).collect();
    keys.extend(["dead".to_owned(), "retry".to_owned()]);
    let brokers = app.picture().brokers.get().map_or(&[][..], Vec::as_slice);
    keys.extend(brokers.iter().filter(|b| b.id == 0).map(|b| format!("b:{}", b.name)));
    keys
}

/// The group under the cursor.
pub fn subject(app: &App) -> Option<Name> {
    current(app)?.strip_prefix("g:").map(Name::from)
}

/// Goes to the home of the line.
pub fn open(app: &mut App) -> Vec<Effect> {
    let Some(key) = current(app) else { return Vec::new() };
    match key.as_str() {
        "unknown" | "more" => app.go(Kind::Groups),
        "dead" => app.go(Kind::Dead),
        "retry" => app.go(Kind::Ladder),
        key => match key.split_once(':') {
            Some(("g", name)) => app.push(At::Group(name.into())),
            Some((_, name)) => app.go_to(Kind::Brokers, name),
            None => {}
        },
    }
    Vec::new()
}

/// A panel below the group table.
struct Panel {
    title: &'static str,
    right: Seg,
    lines: Vec<(Option<String>, Vec<Seg>)>,
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect) {
    let wide = area.width >= WIDE && area.height >= TALL;
    c.frame(
        area,
        "Overview",
        &right_title(app, &app.picture().cluster, "the cluster", &answered(app)),
        true,
    );
    let inner = inside(area);
    let top = top_lines(app, wide);
    for (i, line) in top.iter().enumerate() {
        let y = inner.y + i as u16;
        if y < inner.bottom() {
            c.line(inner.x + 1, y, inner.width.saturating_sub(2), line);
        }
    }
    let from = top.len() as u16 + 1;
    let mut panels = panels(app, wide);
    let need = |panels: &[Panel]| panels.iter().map(|p| p.lines.len() as u16 + 1).sum::<u16>();
    while !panels.is_empty() && inner.height < from + TABLE_MIN + need(&panels) {
        panels.pop();
    }
    let table = rows(inner, from, inner.height.saturating_sub(from + need(&panels)));
    draw_groups(app, c, area, table);
    let key = current(app);
    let mut y = table.bottom();
    for panel in panels {
        c.separator(area, y, panel.title, &panel.right);
        y += 1;
        for (line_key, line) in &panel.lines {
            c.line(inner.x + 1, y, inner.width.saturating_sub(2), line);
            if line_key.is_some() && *line_key == key {
                c.put(inner.x, y, 1, "▶", Role::TextStrong);
                c.over(Rect { y, height: 1, ..inner }, Role::CursorRow);
            }
            y += 1;
        }
    }
}

fn answered(app: &App) -> String {
    app.picture().cluster.get().map_or_else(String::new, |cl| {
        format!("{} of {} masters answered", masters_answered(app, cl.masters), cl.masters)
    })
}

fn masters_answered(app: &App, masters: u32) -> u32 {
    app.picture().brokers.get().map_or(masters, |rows| {
        rows.iter()
            .filter(|b| b.id == 0 && b.problem.is_none() && b.gone_since_ms.is_none())
            .count() as u32
    })
}

fn draw_groups(app: &App, c: &mut Canvas, area: Rect, table_area: Rect) {
    let list = &app.place().lists[0];
    let items = items(app);
    let keys: Vec<String> = items.iter().map(Item::key).collect();
    let all = self::keys(app);
    let cursor = list.at(&all).filter(|i| *i < keys.len());
    let order = match list.sort {
        None => "! by BEHIND, then LAG".to_owned(),
        Some((letter, down)) => {
            let title =
                COLUMNS.iter().find(|c| c.sort == Some(letter)).map_or("?", |c| c.title.trim());
            format!("by {title} {}", if down { "▼" } else { "▲" })
        }
    };
    let right = right_title(app, &app.picture().groups, "groups", &order);
    c.separator(area, table_area.y.saturating_sub(1), "Groups: what needs a look", &right);
    let view = View { columns: COLUMNS, list, keys: &keys, cursor, focus: true };
    table::draw(c, table_area, &view, &mut |i| row(app, &items[i]));
    if items.is_empty() && shows_card(app) {
        draw_card(app, c, rows(table_area, 0, table_area.height));
        return;
    }
    if items.is_empty() {
        let total = app.picture().groups.get().map_or(0, Vec::len);
        let text = nothing(&app.picture().groups, total, list, "groups", &card(app));
        sentence(c, rows(table_area, 1, table_area.height.saturating_sub(1)), &text);
    }
}

/// Whether the first-run card is wanted: an engine of its own, and nothing sent so far.
pub fn shows_card(app: &App) -> bool {
    let topics = app.picture().cluster.get().and_then(|c| c.topics.value().copied());
    app.card && topics == Some(0) && app.session.embedded.as_ref().is_some_and(|e| !e.demo)
}

/// The first-run card: where everything is, and how a client connects. It stands in place of the empty
/// table until the first message.
fn draw_card(app: &App, c: &mut Canvas, area: Rect) {
    let Some(e) = &app.session.embedded else { return };
    c.clear(area);
    let room = usize::from(area.width.saturating_sub(13));
    let data = crate::widget::text::cut_middle(&e.data_dir, room);
    let at = &e.listen;
    let rows = [
        ("Listens", format!("name server on {at}, the broker beside it"), Role::Text),
        ("Data in", data, Role::Text),
        ("Java", format!("producer.setNamesrvAddr(\"{at}\");"), Role::JsonString),
        ("Go", format!("producer.WithNameServer([]string{{\"{at}\"}})"), Role::JsonString),
        ("Python", format!("producer.set_name_server_address('{at}')"), Role::JsonString),
        (
            "Next",
            "send to any topic; mqdeck --demo shows life; ? lists the keys".to_owned(),
            Role::Text,
        ),
        ("", "Esc closes this, and so does the first message.".to_owned(), Role::TextDim),
    ];
    for (i, (label, text, role)) in rows.iter().enumerate().take(usize::from(area.height)) {
        let y = area.y + i as u16;
        c.put(area.x + 1, y, 9, label, Role::TextDim);
        c.put(area.x + 10, y, area.width.saturating_sub(11), text, *role);
    }
}

/// What to do with an empty cluster.
fn card(app: &App) -> String {
    match &app.session.embedded {
        Some(e) => format!(
            "An empty cluster is fine: no consumer group has connected yet. The name server \
             listens on {}, data lie in {}; mqdeck --demo shows life.",
            e.listen, e.data_dir
        ),
        None => "An empty cluster is fine: no consumer group has connected yet.".to_owned(),
    }
}

fn row(app: &App, item: &Item) -> Row {
    match item {
        Item::Group(row) => Row::Cells(cells(app, row)),
        Item::Unknown(rows) => {
            let names: Vec<String> = rows
                .iter()
                .map(|r| match &r.problem {
                    Some(problem) => format!("{}, {}", r.name, problem.line()),
                    None => format!("{}, {}", r.name, r.lag.reason().unwrap_or("?")),
                })
                .collect();
            let count = format::plural(rows.len() as u64, "group");
            Row::Line(vec![seg(Role::Unknown, format!("{count} unknown: {}", names.join(" · ")))])
        }
        Item::More(n) => {
            Row::Line(vec![seg(Role::TextDim, format!("{n} more: lag 0, or offsets on clients"))])
        }
    }
}

fn cells(app: &App, row: &GroupRow) -> Vec<Cell> {
    let rate = |f: &Fig<f64>| fig(f, format::fig_rate(f));
    let flag = if row.flag == Flag::Alert { Role::AlertWarn } else { Role::TextDim };
    vec![
        cell(&*row.name),
        groups::lag_cell(row),
        groups::trend_cell(row),
        fig(&row.behind_ms, format::fig_behind(&row.behind_ms)),
        rate(&row.in_rate),
        rate(&row.out_rate),
        fig(&row.retry, row.retry.text(|v| format::count_in(*v, 5))),
        groups::dead_cell(row),
        fig(&row.clients, format::fig_count(&row.clients)),
        groups::since_cell(app, row),
        Cell(flag, row.flag.sign().to_owned()),
    ]
}

fn label(wide: bool, text: &str) -> Seg {
    seg(Role::TextDim, if wide { format!("{text:<9}") } else { format!("{text} ") })
}

fn top_lines(app: &App, wide: bool) -> Vec<Vec<Seg>> {
    let Some(cl) = app.picture().cluster.get() else {
        return vec![vec![seg(Role::TextDim, "reading the cluster…")]];
    };
    let (rate_in, rate_out) = (format::fig_rate(&cl.in_rate), format::fig_rate(&cl.out_rate));
    let bytes = cl.in_bytes.text(|b| format!("{}/s", format::bytes(b.max(0.0) as u64)));
    let failed = format!("failed {}/min", format::fig_count(&cl.failed_per_min));
    if !wide {
        return vec![
            vec![
                label(false, "IN"),
                seg(Role::RateIn, format!("{rate_in}/s")),
                seg(Role::Text, format!(" {bytes}  ")),
                label(false, "OUT"),
                seg(Role::RateOut, format!("{rate_out}/s")),
                seg(Role::Text, format!("  put p99 {}  {failed}", worst_put(app, |b| &b.put_p99))),
            ],
            at_risk_line(app, false),
        ];
    }
    let slaves = format::plural(cl.slaves.into(), "slave");
    let cluster = format!(
        "{} · {} + {slaves} · {} topics · {} groups · {} clients",
        cl.name,
        format::plural(cl.masters.into(), "master"),
        format::fig_count(&cl.topics),
        format::fig_count(&cl.groups),
        format::fig_count(&cl.clients)
    );
    vec![
        vec![label(true, "CLUSTER"), seg(Role::Text, cluster)],
        vec![
            label(true, "IN"),
            seg(Role::RateIn, format!("{rate_in} msg/s ")),
            seg(Role::Series1, spark(&cl.in_spark, 18)),
            seg(Role::Text, format!("    {bytes}    ")),
            seg(Role::TextDim, "OUT  "),
            seg(Role::RateOut, format!("{rate_out} msg/s ")),
            seg(Role::Series2, spark(&cl.out_spark, 18)),
        ],
        vec![
            label(true, "PUT"),
            seg(
                Role::Text,
                format!(
                    "p99 {} · p99.9 {} · {failed}",
                    worst_put(app, |b| &b.put_p99),
                    worst_put(app, |b| &b.put_p999)
                ),
            ),
        ],
        at_risk_line(app, true),
    ]
}

fn masters(app: &App) -> impl Iterator<Item = &BrokerRow> {
    app.picture().brokers.get().map_or(&[][..], Vec::as_slice).iter().filter(|b| b.id == 0)
}

/// The slowest broker, named; `≥` while one is silent about it.
fn worst_put(app: &App, of: impl Fn(&BrokerRow) -> &Fig<f64>) -> String {
    let unknown = masters(app).any(|b| of(b).is_unknown());
    let worst = masters(app)
        .filter_map(|b| of(b).value().map(|v| (*v, &b.name)))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match worst {
        None if unknown || masters(app).next().is_none() => "?".to_owned(),
        None => "–".to_owned(),
        Some((ms, name)) => {
            format!("{}{} ({name})", if unknown { "≥" } else { "" }, brokers::ms(ms))
        }
    }
}

/// Losses of all masters, worst first; the narrow form names the worst only.
fn losses(app: &App, wide: bool, of: fn(&BrokerRow) -> &Fig<Loss>) -> Vec<Seg> {
    let mut rows: Vec<(Option<u64>, &BrokerRow)> =
        masters(app).map(|b| (at_risk::weight(of(b)), b)).collect();
    // Unknown is the worst: nobody may read it as safe.
    rows.sort_by(|a, b| {
        let rank = |w: Option<u64>| w.map_or(u128::MAX, u128::from);
        rank(b.0).cmp(&rank(a.0)).then_with(|| a.1.name.cmp(&b.1.name))
    });
    let risky: Vec<&(Option<u64>, &BrokerRow)> = rows.iter().filter(|r| r.0 != Some(0)).collect();
    let Some((worst, _)) = risky.first() else {
        let none = rows.is_empty();
        return vec![if none { seg(Role::Unknown, "?") } else { seg(Role::Ok, "0") }];
    };
    let role = match worst {
        None => Role::Unknown,
        Some(u64::MAX) => Role::Critical,
        Some(_) => Role::Warn,
    };
    let shown = if wide { risky.len() } else { 1 };
    let texts: Vec<String> =
        risky.iter().take(shown).map(|(w, b)| one_loss(*w, b, of(b), wide)).collect();
    vec![seg(role, texts.join(", "))]
}

fn one_loss(weight: Option<u64>, b: &BrokerRow, figure: &Fig<Loss>, wide: bool) -> String {
    let text = brokers::loss(figure);
    match weight {
        Some(u64::MAX) if wide => format!("{text} on {}", b.name),
        Some(u64::MAX) => format!("{text} on {} (no slave)", b.name),
        _ if wide => format!("{text} on {}", b.name),
        _ => format!("{text} ({})", b.name),
    }
}

fn at_risk_line(app: &App, wide: bool) -> Vec<Seg> {
    let word = if wide { " loss " } else { " " };
    let mut line = vec![label(wide, "AT RISK"), seg(Role::TextDim, format!("power{word}"))];
    line.extend(losses(app, wide, |b| &b.power_loss));
    line.push(seg(Role::TextDim, format!(" · disk{word}")));
    line.extend(losses(app, wide, |b| &b.disk_loss));
    line
}

fn panels(app: &App, wide: bool) -> Vec<Panel> {
    let none = || seg(Role::TextDim, "");
    let mut panels = Vec::new();
    if wide {
        let right = seg(Role::TextDim, dead_letters::summary(app));
        panels.push(Panel { title: "Dead letters", right, lines: dead_lines(app) });
        let lines = vec![(Some("retry".to_owned()), retry_line(app))];
        panels.push(Panel { title: "Retry", right: none(), lines });
    } else {
        let lines = vec![
            (Some("dead".to_owned()), dead_line(app)),
            (Some("retry".to_owned()), retry_line(app)),
        ];
        panels.push(Panel { title: "Dead letters and retry", right: none(), lines });
    }
    let mut lines: Vec<(Option<String>, Vec<Seg>)> =
        masters(app).map(|b| (Some(format!("b:{}", b.name)), broker_line(b))).collect();
    if lines.is_empty() {
        lines.push((None, vec![seg(Role::TextDim, "reading brokers…")]));
    }
    if let Some(change) = &app.last_change {
        lines.push((
            None,
            vec![seg(Role::TextDim, "last change "), seg(Role::Text, change.clone())],
        ));
    }
    panels.push(Panel { title: "Brokers", right: none(), lines });
    panels
}

/// The few groups with most dead letters, in one line.
fn dead_line(app: &App) -> Vec<Seg> {
    const NAMED: usize = 2;
    let rows = app.picture().dead.get().map_or(&[][..], Vec::as_slice);
    let mut sorted: Vec<_> = rows.iter().collect();
    sorted.sort_by_key(|r| std::cmp::Reverse(r.per_min.value().copied().unwrap_or(0)));
    let mut parts: Vec<String> = sorted
        .iter()
        .take(NAMED)
        .map(|r| format!("{} {}", r.group, format::fig_count(&r.open)))
        .collect();
    if sorted.len() > NAMED {
        let rest = crate::data::fig::sum(sorted.iter().skip(NAMED).map(|r| &r.open));
        parts.push(format!("{} more {}", sorted.len() - NAMED, format::fig_count(&rest)));
    }
    let tail = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(" · ")) };
    vec![
        seg(Role::TextDim, "dead "),
        seg(Role::Text, format!("{}{tail}", dead_letters::summary(app))),
    ]
}

/// The dead-letter table of the wide form as lines.
fn dead_lines(app: &App) -> Vec<(Option<String>, Vec<Seg>)> {
    const ROWS: usize = 4;
    let rows = app.picture().dead.get().map_or(&[][..], Vec::as_slice);
    let key = || Some("dead".to_owned());
    if rows.is_empty() {
        let text = match &app.picture().dead {
            Part::Ready(_) => "no dead letters",
            Part::Refused(_) => "dead letters cannot be read",
            _ => "reading dead letters…",
        };
        return vec![(key(), vec![seg(Role::TextDim, text)])];
    }
    let mut lines = vec![(
        None,
        vec![seg(
            Role::TextDim,
            "GROUP                     OPEN     OF  NEW 1h   OLDEST     LAST  FROM TOPIC",
        )],
    )];
    for (i, row) in rows.iter().take(ROWS).enumerate() {
        let text = format!(
            "{:<22} {:>7} {:>6} {:>7} {:>8} {:>8}  {}",
            crate::widget::text::cut_middle(&row.group, 22),
            format::fig_count(&row.open),
            format::fig_count(&row.total),
            row.new_1h.text(|n| format!("+{}", format::count(*n))),
            row.oldest_age_ms.text(|ms| format::age_coarse(*ms)),
            format::ago(&row.last_age_ms),
            row.from.text(Clone::clone)
        );
        lines.push((key().filter(|_| i == 0), vec![seg(Role::Text, text)]));
    }
    if rows.len() > ROWS {
        let text = format!("{} more", rows.len() - ROWS);
        lines.push((None, vec![seg(Role::TextDim, text)]));
    }
    lines
}

/// What waits in the delay levels while nobody asked whose it is.
fn not_split(app: &App) -> Option<String> {
    let ladder = app.picture().ladder.get().filter(|l| l.scan_left.is_none())?;
    let delayed = crate::data::fig::sum(ladder.levels.iter().map(|l| &l.delayed));
    (delayed.value() != Some(&0)).then(|| format::fig_count(&delayed))
}

fn retry_line(app: &App) -> Vec<Seg> {
    const NAMED: usize = 4;
    let Some(cl) = app.picture().cluster.get() else {
        return vec![seg(Role::TextDim, "retry …")];
    };
    let groups = app.picture().groups.get().map_or(&[][..], Vec::as_slice);
    let mut waiting: Vec<&GroupRow> =
        groups.iter().filter(|g| g.retry.value().is_some_and(|n| *n > 0)).collect();
    waiting.sort_by_key(|g| std::cmp::Reverse(g.retry.value().copied()));
    let mut parts: Vec<String> = waiting
        .iter()
        .take(NAMED)
        .map(|g| format!("{} {}", g.name, format::fig_count(&g.retry)))
        .collect();
    parts.push(match not_split(app) {
        Some(delayed) => format!("{delayed} delayed in all, not split yet (4, then ^F)"),
        None => format!("user delays {}", format::fig_count(&cl.user_delays)),
    });
    vec![
        seg(Role::TextDim, "retry "),
        seg(Role::Text, format!("{}: {}", format::fig_count(&cl.retry), parts.join(" · "))),
    ]
}

fn broker_line(b: &BrokerRow) -> Vec<Seg> {
    if let Some(problem) = &b.problem {
        return vec![
            seg(Role::Text, format!("{} ", b.name)),
            seg(Role::Critical, format!("✗ {}", problem.line())),
        ];
    }
    let slave = match b.slave_behind.value() {
        Some(_) => format!("slave behind {}", format::fig_bytes(&b.slave_behind)),
        None if b.slave_behind.is_unknown() => "slave ?".to_owned(),
        None => "no slave".to_owned(),
    };
    let rising = if b.disk_rising { " ▲" } else { "" };
    vec![seg(
        Role::Text,
        format!(
            "{} {:<6} flush {:<5} {:<8} {slave:<20}  disk {}{rising}",
            b.name,
            b.role,
            b.flush.text(Clone::clone),
            format::fig_bytes(&b.unflushed),
            b.disk.text(|p| format!("{p}%"))
        ),
    )]
}
