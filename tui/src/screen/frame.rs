//! The frame around every screen: header, tabs or side list, status, keys (console-ux.md §3).

use ratatui::layout::Rect;

use super::{details, draw as draw_main, finder, help, sort_letters};
use crate::app::overlay::Over;
use crate::app::{App, InputKind, Pending};
use crate::data::{Fig, Link};
use crate::dialog::Dialog;
use crate::format;
use crate::keymap::{self, Kind};
use crate::model::clock::TimeMode;
use crate::theme::Role;
use crate::widget::text::width;
use crate::widget::{Canvas, Hit, Seg, inside, line_width, seg};

/// Smallest size with a picture.
const WIDTH_MIN: u16 = 60;
const HEIGHT_MIN: u16 = 16;
/// From this width on there is a side list.
const SIDE_FROM: u16 = 100;
const SIDE: u16 = 18;
/// From this width on details stand at the right.
const DETAILS_FROM: u16 = 160;
const DETAILS_MAX: u16 = 80;

/// Draws everything.
pub fn draw(app: &App, c: &mut Canvas) {
    let area = c.buf.area;
    c.clear(area);
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        let text = format!(
            "mqdeck needs {WIDTH_MIN}×{HEIGHT_MIN}, this is {}×{}",
            area.width, area.height
        );
        c.put(area.x, area.y, area.width, &text, Role::Text);
        return;
    }
    header(app, c, area);
    let side = area.width >= SIDE_FROM;
    let alerts = alert_line(app);
    if side {
        c.line(area.x, area.y + 1, area.width, &alerts);
    } else {
        tabs(app, c, area);
    }
    let mut main = Rect { y: area.y + 2, height: area.height - 4, ..area };
    if side && !app.zoom {
        side_list(app, c, Rect { width: SIDE, ..main });
        main.x += SIDE;
        main.width -= SIDE;
    }
    c.stale = matches!(app.picture().link, Link::Gone { .. });
    let main = draw_details(app, c, main);
    draw_main(app, c, main);
    c.stale = false;
    resolve(app, c);
    let status = Rect { y: area.bottom() - 2, height: 1, ..area };
    draw_status(app, c, status, if side { &[] } else { &alerts });
    draw_keys(app, c, Rect { y: area.bottom() - 1, height: 1, ..area });
    if app.overlay.is_some() || app.dialog.is_some() {
        c.hits.push((area, Hit::Cover));
    }
    if let Some(overlay) = &app.overlay {
        match overlay.over {
            Over::Help => help::draw(app, c, area, overlay),
            Over::Find => finder::draw(app, c, area, overlay),
        }
    }
    if let Some(input) = app.input.as_ref().filter(|input| input.kind == InputKind::Command) {
        finder::completions(app, c, area, input);
    }
    if let Some(dialog) = &app.dialog {
        dialog.draw(c, area, &app.ctx());
    }
}

/// Rows know their list by its address; from here on by its pane. Other lists cannot be clicked.
fn resolve(app: &App, c: &mut Canvas) {
    let panes = app.place().lists.iter().map(|list| std::ptr::from_ref(list) as usize);
    let panes: Vec<usize> = panes.collect();
    c.hits.retain_mut(|(_, hit)| match hit {
        Hit::Row(list, _) => match panes.iter().position(|pane| pane == list) {
            Some(pane) => {
                *list = pane;
                true
            }
            None => false,
        },
        _ => true,
    });
}

/// Draws the details pane where it is wanted; says what is left for the main area.
fn draw_details(app: &App, c: &mut Canvas, main: Rect) -> Rect {
    let right = c.buf.area.width >= DETAILS_FROM;
    if right == app.details || app.zoom || app.kind() == Kind::Message {
        return main;
    }
    let (rest, pane) = if right {
        let w = (main.width * 34 / 100).min(DETAILS_MAX);
        let rest = Rect { width: main.width - w, ..main };
        (rest, Rect { x: rest.right(), width: w, ..main })
    } else {
        let h = (main.height * 2 / 5).max(5);
        let rest = Rect { height: main.height - h, ..main };
        (rest, Rect { y: rest.bottom(), height: h, ..main })
    };
    let (title, lines) = details(app).unwrap_or_else(|| {
        ("details".to_owned(), vec![vec![seg(Role::TextDim, "nothing under the cursor")]])
    });
    c.frame(pane, &title, &seg(Role::TextDim, "i hides"), false);
    let inner = inside(pane);
    let cells = usize::from(inner.width.saturating_sub(2));
    let mut y = inner.y;
    for line in lines {
        for row in fold(&line, cells) {
            if y < inner.bottom() {
                c.line(inner.x + 1, y, inner.width.saturating_sub(2), &row);
            }
            y += 1;
        }
    }
    rest
}

/// Folds a line of a details pane into as many as it needs.
fn fold(line: &[Seg], cells: usize) -> Vec<Vec<Seg>> {
    if line_width(line) <= cells || line.len() != 2 {
        return vec![line.to_vec()];
    }
    let label = width(&line[0].1);
    let rows = super::parts::wrap(&line[1].1, cells.saturating_sub(label).max(8));
    rows.into_iter()
        .enumerate()
        .map(|(i, text)| {
            let head = if i == 0 { line[0].1.clone() } else { " ".repeat(label) };
            vec![Seg(line[0].0, head), Seg(line[1].0, text)]
        })
        .collect()
}

fn header(app: &App, c: &mut Canvas, area: Rect) {
    let wide = area.width >= SIDE_FROM;
    let base = if app.session.danger_prod { Role::HeaderProd } else { Role::Header };
    let right = header_right(app, wide);
    let right_width = line_width(&right) as u16;
    let left = header_left(app, wide, base);
    let room = area.width.saturating_sub(right_width + 1);
    c.line(area.x, area.y, room, &left);
    c.line(area.right().saturating_sub(right_width), area.y, right_width, &right);
}

fn header_left(app: &App, wide: bool, base: Role) -> Vec<Seg> {
    let picture = app.picture();
    let gap = if wide { "  " } else { " " };
    let shape = if app.session.danger_prod { "◆" } else { "●" };
    let label = if app.session.danger_prod { " PROD" } else { "" };
    let demo = app.session.embedded.as_ref().is_some_and(|e| e.demo);
    let label = if demo { " DEMO" } else { label };
    let mut line = vec![
        seg(Role::TextStrong, format!(" mqdeck{gap}")),
        seg(base, format!("{shape} {}{label}", app.session.context)),
        seg(Role::Header, "  "),
    ];
    if wide {
        line.push(seg(Role::Header, format!(" {}  ", app.session.namesrv)));
    }
    match &picture.link {
        Link::Connecting => line.push(seg(Role::Header, "connecting…")),
        Link::Gone { since_ms, next_try_ms, .. } => {
            let zone = app.zone();
            let left = format::duration((next_try_ms - app.now_ms).max(0));
            let text = if wide {
                format!("✗ no connection since {}, next try in {left}", zone.hms(*since_ms))
            } else {
                format!("✗ no connection since {}, try in {left}", zone.hm(*since_ms))
            };
            line.push(seg(Role::AlertCritical, text));
        }
        Link::Up => line.extend(header_figures(app, wide)),
    }
    line
}

fn header_figures(app: &App, wide: bool) -> Vec<Seg> {
    let Some(cluster) = app.picture().cluster.get() else {
        return vec![seg(Role::Header, "reading the cluster…")];
    };
    let all = cluster.brokers_answered == cluster.brokers_known;
    let brokers = if wide { "brokers " } else { "" };
    let mut line = vec![seg(
        if all { Role::Header } else { Role::AlertWarn },
        format!("{brokers}{}/{}  ", cluster.brokers_answered, cluster.brokers_known),
    )];
    line.push(seg(
        Role::Header,
        format!("lag {}  ", cluster.lag.text(|v| format::count_short(*v))),
    ));
    let grows = cluster.dead_per_min.value().is_some_and(|n| *n > 0);
    let change = if grows {
        format!(" ▲{}", format::fig_count(&cluster.dead_per_min))
    } else {
        String::new()
    };
    line.push(seg(
        if grows { Role::AlertWarn } else { Role::Header },
        format!(
            "dead {} of {}{change}  ",
            cluster.dead_open.text(|v| format::count_short(*v)),
            cluster.dead_total.text(|v| format::count_short(*v))
        ),
    ));
    line.push(disk(app, wide));
    if let Some((name, seconds)) = &cluster.clock_off {
        line.push(seg(Role::AlertWarn, format!("  clock of {name} {seconds:+}s")));
    }
    line
}

/// The fullest disk.
fn disk(app: &App, wide: bool) -> Seg {
    let label = if wide { "disk " } else { "" };
    let brokers = app.picture().brokers.get().map_or(&[][..], Vec::as_slice);
    let worst =
        brokers.iter().filter(|b| b.disk.value().is_some()).max_by_key(|b| b.disk.value().copied());
    let unknown = brokers.iter().any(|b| b.disk.is_unknown());
    match worst {
        None => seg(Role::Header, format!("{label}?")),
        Some(b) => {
            let sign = if unknown { "≥" } else { "" };
            let rising = if b.disk_rising { " ▲" } else { "" };
            seg(Role::Header, format!("{label}{sign}{}%{rising}", b.disk.value().unwrap_or(&0)))
        }
    }
}

fn header_right(app: &App, wide: bool) -> Vec<Seg> {
    let zone = app.zone();
    let mut line = Vec::new();
    if app.read_only.is_some() {
        line.push(seg(Role::Warn, "RO "));
    } else {
        line.push(seg(Role::Header, "RW "));
    }
    let mode = if app.time_mode == TimeMode::Utc {
        " UTC".to_owned()
    } else {
        format!(" {}", zone.sign(app.now_ms))
    };
    let zone_text = if wide || app.time_mode == TimeMode::Utc { mode } else { String::new() };
    line.push(seg(Role::Header, format!("{}{zone_text} ", zone.hm(app.now_ms))));
    match &app.frozen {
        Some((at, _)) => line.push(seg(Role::AlertWarn, format!("frozen {}", zone.hm(*at)))),
        None => line.push(seg(Role::Header, format!("⟳{}", format::duration(app.interval_ms)))),
    }
    line
}

/// Cells of the line that is typed into; its fault stands behind it.
const INPUT_CELLS: u16 = 44;

/// Screens of this console: key, name, place.
const SCREENS: [(char, &str, Kind); 10] = [
    ('1', "Overview", Kind::Overview),
    ('2', "Topics", Kind::Topics),
    ('3', "Groups", Kind::Groups),
    ('4', "Retry", Kind::Ladder),
    ('5', "Dead", Kind::Dead),
    ('7', "Brokers", Kind::Brokers),
    ('8', "Clients", Kind::Clients),
    ('9', "Timers", Kind::Timers),
    ('0', "Transactions", Kind::Transactions),
    ('T', "Trace", Kind::Trace),
];

fn root(app: &App) -> Kind {
    app.stack.first().map_or(Kind::Overview, |p| p.at.kind())
}

fn growing(app: &App) -> bool {
    app.picture()
        .cluster
        .get()
        .and_then(|cl| cl.dead_per_min.value().copied())
        .is_some_and(|n| n > 0)
}

/// Letters of a tab's name where the whole names do not fit; the open one keeps all of its own.
const TAB_SHORT: usize = 4;

/// Tabs of the screens with a digit, and the open one.
fn tabs(app: &App, c: &mut Canvas, area: Rect) {
    let shown: Vec<(char, &str, Kind)> = SCREENS
        .into_iter()
        .filter(|(key, _, kind)| key.is_ascii_digit() || root(app) == *kind)
        .collect();
    let whole: usize = shown.iter().map(|(_, name, _)| width(name) + 3).sum();
    let short = whole > usize::from(area.width);
    let mut x = area.x;
    for (digit, name, kind) in shown {
        let here = root(app) == kind;
        let sign = if here { "▸" } else { " " };
        let mark = if kind == Kind::Dead && growing(app) { "!" } else { "" };
        let name: String =
            if short && !here { name.chars().take(TAB_SHORT).collect() } else { name.to_owned() };
        let text = format!("{sign}{digit}{name}{mark}");
        let role = if here { Role::TabActive } else { Role::Tab };
        x += u16::from(!short);
        let cells = c.put(x, area.y + 1, area.right().saturating_sub(x), &text, role);
        let tab = Rect { x, y: area.y + 1, width: cells, height: 1 };
        c.hits.push((tab, Hit::Keys(digit.to_string())));
        x += cells;
    }
}

fn side_list(app: &App, c: &mut Canvas, area: Rect) {
    for (i, (digit, name, kind)) in SCREENS.into_iter().enumerate() {
        let y = area.y + 1 + i as u16;
        let here = root(app) == kind;
        let sign = if here { "▶" } else { " " };
        let role = if here { Role::TabActive } else { Role::Tab };
        c.put(area.x, y, area.width - 1, &format!("{sign}{digit} {name:<10}"), role);
        let figure = side_figure(app, kind);
        let figure_role =
            if kind == Kind::Dead && growing(app) { Role::Warn } else { Role::TextDim };
        c.put_right(area.x + 8, area.right() - 1, y, &figure, figure_role);
        c.hits.push((Rect { y, height: 1, ..area }, Hit::Keys(digit.to_string())));
        if here {
            c.over(Rect { y, height: 1, width: area.width - 1, ..area }, Role::TabActive);
        }
    }
}

fn side_figure(app: &App, kind: Kind) -> String {
    let Some(cluster) = app.picture().cluster.get() else { return String::new() };
    let short = |f: &Fig<u64>| f.text(|v| format::count_short(*v));
    match kind {
        Kind::Topics => short(&cluster.topics),
        Kind::Groups => short(&cluster.groups),
        Kind::Ladder => short(&cluster.retry),
        Kind::Dead => short(&cluster.dead_open),
        Kind::Brokers => cluster.brokers_known.to_string(),
        _ => String::new(),
    }
}

fn alert_line(app: &App) -> Vec<Seg> {
    let alerts = &app.picture().alerts;
    if alerts.is_empty() {
        return Vec::new();
    }
    let critical = alerts.iter().any(|a| a.critical);
    let role = if critical { Role::AlertCritical } else { Role::AlertWarn };
    let texts: Vec<&str> = alerts.iter().map(|a| a.text.as_str()).collect();
    vec![seg(Role::Header, " "), seg(role, format!("▲ {}", texts.join(" · ")))]
}

fn draw_status(app: &App, c: &mut Canvas, area: Rect, alerts: &[Seg]) {
    if let Some(input) = &app.input {
        let label = match input.kind {
            InputKind::Filter => "/",
            InputKind::ToTime => "go to time",
            InputKind::ToOffset => "go to offset",
            InputKind::Trace => "id or key",
            InputKind::Command => ":",
            InputKind::Export => "export to",
        };
        let used = c.put(area.x + 1, area.y, 20, &format!("{label} "), Role::TextStrong);
        let x = area.x + 1 + used;
        let room = area.right().saturating_sub(x + 1);
        let bad = input.error.as_ref().map(|fault| fault.chars.clone());
        let cells = if bad.is_some() { room / 2 } else { room }.min(INPUT_CELLS);
        input.field.draw_marked(c, (x, area.y), cells, bad);
        if let Some(fault) = &input.error {
            let text = format!("✗ {}", fault.text);
            let from = cells + 2;
            c.put(x + from, area.y, room.saturating_sub(from), &text, Role::Critical);
        }
        return;
    }
    if let Some((text, _)) = &app.toast {
        c.put(area.x + 1, area.y, area.width.saturating_sub(2), text, Role::Info);
        return;
    }
    if !app.place().list().filter.is_empty() {
        let text = format!("{}   Esc clears it", app.place().list().filter_words());
        c.put(area.x + 1, area.y, area.width.saturating_sub(2), &text, Role::Warn);
        return;
    }
    if !alerts.is_empty() {
        c.line(area.x, area.y, area.width, alerts);
        return;
    }
    if let Some(why) = &app.read_only {
        c.put(area.x + 1, area.y, area.width.saturating_sub(2), why, Role::TextDim);
    }
}

/// Keys for the last row: name and label, as the keymap has them.
pub fn shown_keys(app: &App) -> Vec<(String, String)> {
    if let Some(keys) = app.dialog.as_ref().map(Dialog::keys).filter(|k| !k.is_empty()) {
        return keys.iter().map(|(k, l)| ((*k).to_owned(), (*l).to_owned())).collect();
    }
    if app.dialog.is_some() {
        return keymap::footer(&[keymap::Layer::Dialog], true)
            .iter()
            .map(|b| (keymap::shown(b.keys[0]), b.label.to_owned()))
            .collect();
    }
    if app.overlay.is_some() {
        let keys = [("Enter", "run it"), ("↑", "before"), ("↓", "next"), ("Esc", "close")];
        return keys.iter().map(|(k, l)| ((*k).to_owned(), (*l).to_owned())).collect();
    }
    if let Some(input) = &app.input {
        let [enter, esc] = match input.kind {
            InputKind::Filter => ["keep the filter", "drop it"],
            InputKind::ToTime | InputKind::ToOffset => ["go there", "cancel"],
            InputKind::Trace => ["find", "cancel"],
            InputKind::Command => ["run", "cancel"],
            InputKind::Export => ["write it", "cancel"],
        };
        return vec![("Enter".to_owned(), enter.to_owned()), ("Esc".to_owned(), esc.to_owned())];
    }
    let layers = app.layers();
    match app.pending {
        Pending::Prefix(prefix) => keymap::continuations(&layers, prefix, app.can_write())
            .into_iter()
            .map(|(k, l)| (format!("{prefix} {}", keymap::shown(k)), l.to_owned()))
            .collect(),
        Pending::Sort => sort_letters(app)
            .into_iter()
            .map(|(l, title)| (format!("s {l}"), title.to_owned()))
            .collect(),
        Pending::None => keymap::footer(&layers, app.can_write())
            .iter()
            .map(|b| (keymap::shown(b.keys[0]), b.label.to_owned()))
            .collect(),
    }
}

fn draw_keys(app: &App, c: &mut Canvas, area: Rect) {
    let keys = shown_keys(app);
    let help = ("?".to_owned(), "help".to_owned());
    let has_help = app.dialog.is_none() && app.input.is_none() && app.overlay.is_none();
    let end = if has_help {
        let x = area.right().saturating_sub(7);
        c.put(x, area.y, 2, &format!("{} ", help.0), Role::Key);
        c.put(x + 2, area.y, 5, &help.1, Role::KeyLabel);
        x
    } else {
        area.right()
    };
    let mut x = area.x + 1;
    for (key, label) in keys.iter().filter(|k| **k != help) {
        let need = width(key) + 1 + width(label);
        if usize::from(x) + need + 1 > usize::from(end) {
            break;
        }
        let from = x;
        x += c.put(x, area.y, area.width, key, Role::Key);
        x += 1 + c.put(x + 1, area.y, area.width, label, Role::KeyLabel);
        let cells = Rect { x: from, width: x - from, height: 1, ..area };
        c.hits.push((cells, Hit::Keys(keymap::named(key))));
        x += 2;
    }
}
