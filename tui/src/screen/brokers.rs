//! `7` Brokers (console-screens.md §6.7): may one of them lose data now?

use ratatui::layout::Rect;

use super::parts::{explained, nothing, pair, right_title, sentence};
use super::{WIDE, current};
use crate::app::App;
use crate::data::{BrokerRow, Fig, Loss};
use crate::format;
use crate::theme::Role;
use crate::widget::spark::{gauge, spark};
use crate::widget::table::{self, Cell, Column, Row, SortKey, View, cell, fig, sort_rows};
use crate::widget::{Canvas, Seg, inside, rows, seg};

/// Columns as in the specification.
pub const COLUMNS: &[Column] = &[
    Column::left("BROKER", 13, 1).grow().sort('g'),
    Column::left("ROLE", 8, 2),
    Column::left("VERSION", 8, 8),
    Column::left("FLUSH", 5, 1),
    Column::right("UNFLUSHED", 9, 4).sort('f'),
    Column::left("REPLICAS", 10, 2),
    Column::left("AT RISK pwr/disk", 18, 1),
    Column::right("IN/s", 6, 5).sort('i'),
    Column::right("OUT/s", 6, 6).sort('o'),
    Column::right("p99 PUT", 7, 3).sort('p'),
    Column::right("BUSY", 5, 9),
    Column::right("DISK  ", 6, 1).sort('d'),
    Column::right("UP", 7, 7).sort('u'),
];

/// Cells of the disk gauge.
const GAUGE: usize = 24;

/// `3.1 ms`.
pub fn ms(value: f64) -> String {
    if value < 9.95 { format!("{value:.1} ms") } else { format!("{value:.0} ms") }
}

/// A loss in words.
pub fn loss(figure: &Fig<Loss>) -> String {
    figure.text(|l| match l {
        Loss::Bytes(0) => "0".to_owned(),
        Loss::Bytes(bytes) => format::bytes(*bytes),
        Loss::Everything(_) => "everything".to_owned(),
    })
}

fn loss_role(figure: &Fig<Loss>) -> Role {
    match figure.value() {
        None => table::fig_role(figure),
        Some(Loss::Bytes(0)) => Role::Ok,
        Some(Loss::Bytes(_)) => Role::Warn,
        Some(Loss::Everything(_)) => Role::Critical,
    }
}

fn all(app: &App) -> &[BrokerRow] {
    app.picture().brokers.get().map_or(&[], Vec::as_slice)
}

/// Masters in order, each with its slaves below.
pub fn shown(app: &App) -> Vec<&BrokerRow> {
    let list = &app.place().lists[0];
    let mut masters: Vec<&BrokerRow> = all(app).iter().filter(|b| b.id == 0).collect();
    masters.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some((letter, descending)) = list.sort {
        sort_rows(&mut masters, descending, |b| match letter {
            'f' => SortKey::of(&b.unflushed),
            'i' => SortKey::of_rate(&b.in_rate),
            'o' => SortKey::of_rate(&b.out_rate),
            'p' => SortKey::of_rate(&b.put_p99),
            'd' => SortKey::of(&b.disk),
            'u' => SortKey::of_ms(&b.up_ms),
            _ => SortKey::Text(b.name.to_string()),
        });
    }
    let mut out = Vec::new();
    for master in masters {
        out.push(master);
        out.extend(all(app).iter().filter(|b| b.id != 0 && b.name == master.name));
    }
    // Slaves whose master is gone still stand somewhere.
    out.extend(
        all(app)
            .iter()
            .filter(|b| b.id != 0 && !all(app).iter().any(|m| m.id == 0 && m.name == b.name)),
    );
    list.pick(out)
}

fn key(b: &BrokerRow) -> String {
    if b.id == 0 { b.name.to_string() } else { format!("{} {}", b.name, b.id) }
}

/// Keys of the rows.
pub fn keys(app: &App) -> Vec<String> {
    shown(app).iter().map(|b| key(b)).collect()
}

fn name(b: &BrokerRow) -> String {
    if b.id == 0 {
        b.name.to_string()
    } else {
        format!("└ {}-s{}", b.name, if b.id == 1 { String::new() } else { b.id.to_string() })
    }
}

fn cells(app: &App, b: &BrokerRow) -> Vec<Cell> {
    if let Some(since) = b.gone_since_ms {
        let text = format!("{}  gone since {}", name(b), app.zone().hm_or_date(since, app.now_ms));
        return vec![Cell(Role::Stale, text)];
    }
    let label = match &b.problem {
        Some(problem) => Cell(Role::Unknown, format!("{}  {}", name(b), problem.line())),
        None => cell(name(b)),
    };
    let risk = if b.id == 0 {
        let worse =
            if loss_role(&b.disk_loss) == Role::Critical { &b.disk_loss } else { &b.power_loss };
        Cell(loss_role(worse), format!("{}/{}", loss(&b.power_loss), loss(&b.disk_loss)))
    } else {
        Cell(Role::TextDim, "–".to_owned())
    };
    let rising = if b.disk_rising { "▲" } else { " " };
    vec![
        label,
        cell(b.role.clone()),
        Cell(Role::TextDim, b.version.clone()),
        fig(&b.flush, b.flush.text(Clone::clone)),
        fig(&b.unflushed, format::fig_bytes(&b.unflushed)),
        fig(&b.replicas, b.replicas.text(Clone::clone)),
        risk,
        fig(&b.in_rate, format::fig_rate(&b.in_rate)),
        fig(&b.out_rate, format::fig_rate(&b.out_rate)),
        fig(&b.put_p99, b.put_p99.text(|v| ms(*v))),
        fig(&b.page_lock_ms, format::fig_count(&b.page_lock_ms)),
        fig(&b.disk, format!("{} {rising}", b.disk.text(|p| format!("{p}%")))),
        fig(&b.up_ms, b.up_ms.text(|v| format::duration(*v))),
    ]
}

/// Draws the screen.
pub fn draw(app: &App, c: &mut Canvas, area: Rect) {
    let list = &app.place().lists[0];
    let rows_shown = shown(app);
    let known = all(app).len();
    let silent =
        all(app).iter().filter(|b| b.problem.is_some() || b.gone_since_ms.is_some()).count();
    let base = format!("{} of {known} answered", known - silent);
    c.frame(area, "Brokers", &right_title(app, &app.picture().brokers, "brokers", &base), true);
    let inner = inside(area);
    let keys: Vec<String> = rows_shown.iter().map(|b| key(b)).collect();
    let cursor = list.at(&keys);
    let chosen = cursor.map(|i| rows_shown[i]);
    let panels = panels(app, chosen, inner.width);
    let table_rows = (keys.len() as u16 + 1).max(3);
    let mut height = inner.height;
    let mut kept = Vec::new();
    for panel in panels {
        let need = panel.2.len() as u16 + 1;
        if height >= need + table_rows.min(inner.height / 2) {
            height -= need;
            kept.push(panel);
        }
    }
    let table_area = rows(inner, 0, height.min(table_rows.max(height)));
    let view = View { columns: COLUMNS, list, keys: &keys, cursor, focus: true };
    let table_area = rows(table_area, 0, table_rows.min(table_area.height));
    table::draw(c, table_area, &view, &mut |i| Row::Cells(cells(app, rows_shown[i])));
    if keys.is_empty() {
        let text =
            nothing(&app.picture().brokers, known, list, "brokers", "no broker is registered");
        sentence(c, rows(inner, 2, inner.height.saturating_sub(2)), &text);
    }
    let mut y = table_area.bottom();
    for (title, right, lines) in kept {
        c.separator(area, y, &title, &seg(Role::TextDim, right));
        for (i, line) in lines.iter().enumerate() {
            c.line(inner.x + 1, y + 1 + i as u16, inner.width.saturating_sub(2), line);
        }
        y += lines.len() as u16 + 1;
    }
}

type Panel = (String, String, Vec<Vec<Seg>>);

/// Panels below the table: the chosen broker first, then the other masters.
fn panels(app: &App, chosen: Option<&BrokerRow>, width: u16) -> Vec<Panel> {
    let Some(chosen) = chosen else { return Vec::new() };
    let master = all(app).iter().find(|b| b.id == 0 && b.name == chosen.name).unwrap_or(chosen);
    let mut panels = vec![risk_panel(app, master)];
    let others = all(app).iter().filter(|b| b.id == 0 && b.name != chosen.name);
    panels.extend(others.map(|b| risk_panel(app, b)));
    panels.push(disk_panel(master));
    if width >= WIDE - 2 {
        panels.push(history_panel(master));
    }
    panels
}

fn risk_panel(app: &App, b: &BrokerRow) -> Panel {
    let title = format!("{}: may it lose data now?", b.name);
    let up = b.up_ms.value().map_or(String::new(), |up| format!(" · up {}", format::duration(*up)));
    let right = format!("{}{up}", b.version);
    if let Some(problem) = &b.problem {
        let text = format!("✗ {}: {}", problem.line(), problem.remark);
        return (title, right, vec![vec![seg(Role::Critical, text)]]);
    }
    let line = |label: &str, figure: &Fig<Loss>, why: String| {
        let text = match figure.reason() {
            Some(reason) => format!("? {reason}"),
            None => format!("{}{why}", loss(figure)),
        };
        vec![seg(Role::TextDim, format!("{label:<19}")), seg(loss_role(figure), text)]
    };
    let flush = b.flush.text(Clone::clone);
    let acknowledged = match b.power_loss.value() {
        Some(Loss::Bytes(0)) => format!(" ({flush} flush)"),
        _ => format!(" of acknowledged messages ({flush} flush)"),
    };
    let disk_why = match b.disk_loss.value() {
        Some(Loss::Everything(Some(since))) => {
            format!(" since {} (no slave)", app.zone().date_hm(*since))
        }
        Some(Loss::Everything(None)) => " (no slave)".to_owned(),
        Some(Loss::Bytes(0)) => " (acknowledged writes wait for a slave)".to_owned(),
        _ => " not on any slave".to_owned(),
    };
    let lines = vec![
        line("power loss here:", &b.power_loss, acknowledged),
        line("disk loss here:", &b.disk_loss, disk_why),
        line("process kill here:", &b.kill_loss, String::new()),
    ];
    (title, right, lines)
}

fn disk_panel(b: &BrokerRow) -> Panel {
    let title = format!("{}: disk, flush, replication", b.name);
    let marks = b.disk_marks.map_or(String::new(), |[clean, force, stop]| {
        format!(" clean {clean} · force {force} · stop {stop}")
    });
    let percent = b.disk.value().copied().unwrap_or(0);
    let bar = gauge(percent, b.disk_marks.as_ref().map_or(&[][..], |m| &m[..]), GAUGE);
    let used = format!(
        "{} of {} {} ",
        format::fig_bytes(&b.disk_used),
        format::fig_bytes(&b.disk_size),
        b.disk.text(|p| format!("{p}%"))
    );
    let lines = vec![
        vec![seg(Role::Text, used), seg(Role::Gauge, bar), seg(Role::TextDim, marks)],
        vec![seg(Role::Text, growth(b))],
        vec![seg(
            Role::Text,
            format!(
                "send queue {} wait {} ms · page-cache lock {} ms · put failed {}/min · dispatch {}",
                format::fig_count(&b.send_queue),
                format::fig_count(&b.send_wait_ms),
                format::fig_count(&b.page_lock_ms),
                format::fig_count(&b.failed_per_min),
                format::fig_bytes(&b.dispatch_behind)
            ),
        )],
        vec![seg(
            Role::Text,
            format!(
                "in {}/s · out {}/s · put p99 {}, p99.9 {}",
                format::fig_rate(&b.in_rate),
                format::fig_rate(&b.out_rate),
                b.put_p99.text(|v| ms(*v)),
                b.put_p999.text(|v| ms(*v))
            ),
        )],
    ];
    (title, String::new(), lines)
}

fn growth(b: &BrokerRow) -> String {
    let oldest = b.oldest_age_ms.text(|ms| format::duration(*ms));
    let rate = b.disk_growth.text(|g| {
        let sign = if *g < 0 { "-" } else { "+" };
        format!("{sign}{}/h", format::bytes(g.unsigned_abs()))
    });
    let clean = match (
        b.disk_marks,
        b.disk.value(),
        b.disk_size.value(),
        b.disk_used.value(),
        b.disk_growth.value(),
    ) {
        (Some([mark, ..]), Some(percent), Some(size), Some(used), Some(growth))
            if *growth > 0 && *percent < mark =>
        {
            let limit = *size as f64 * mark as f64 / 100.0;
            let hours = (limit - *used as f64) / *growth as f64;
            format!(
                " → clean-up at {mark} % in about {}",
                format::duration((hours * 3_600_000.0) as i64)
            )
        }
        _ => String::new(),
    };
    format!("growth {rate}{clean} · oldest message {oldest}")
}

fn history_panel(b: &BrokerRow) -> Panel {
    let max = |s: &[Option<u64>]| {
        s.iter().flatten().max().map_or_else(|| "?".to_owned(), |m| format::bytes(*m))
    };
    let line = vec![
        seg(Role::TextDim, "unflushed "),
        seg(Role::Series1, spark(&b.unflushed_spark, 15)),
        seg(Role::Text, format!(" max {}   ", max(&b.unflushed_spark))),
        seg(Role::TextDim, "slave behind "),
        seg(Role::Series2, spark(&b.slave_spark, 15)),
        seg(Role::Text, format!(" max {}", max(&b.slave_spark))),
    ];
    (format!("{}: flush and replication, 15 min", b.name), String::new(), vec![line])
}

/// Details of the broker under the cursor.
pub fn details(app: &App) -> Option<(String, Vec<Vec<Seg>>)> {
    let wanted = current(app)?;
    let b = all(app).iter().find(|b| key(b) == wanted)?;
    let mut lines = vec![
        pair("address", b.address.clone()),
        pair("version", b.version.clone()),
        explained("power loss", &b.power_loss, loss(&b.power_loss)),
        explained("disk loss", &b.disk_loss, loss(&b.disk_loss)),
        explained("unflushed", &b.unflushed, format::fig_bytes(&b.unflushed)),
        explained("slave", &b.slave_behind, format::fig_bytes(&b.slave_behind)),
        explained("disk", &b.disk, b.disk.text(|p| format!("{p}%"))),
        explained("up", &b.up_ms, b.up_ms.text(|v| format::duration(*v))),
        pair("", "sends with WAIT=false never wait for flush or slaves"),
    ];
    if let Some(problem) = &b.problem {
        lines.push(vec![seg(Role::TextDim, "error      "), seg(Role::Critical, problem.line())]);
        lines.push(pair("", problem.remark.clone()));
    }
    Some((name(b), lines))
}
