//! `mqdeck doctor`: terminal, colours, directories, reachability, permissions and clocks.

use engine::client::ClientError;
use tui::Need;
use tui::data::Problem;

use super::session::{Session, Target};
use crate::args::Common;
use crate::output::{self, Code};
use crate::settings::{self, Settings};
use tui::sheet::{Cell, Column, Form, Sheet};

/// Seconds that a broker's clock may be off.
const CLOCK_S: i64 = 2;

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Well,
    Look,
    Bad,
}

/// One check.
struct Check {
    what: String,
    verdict: Verdict,
    text: String,
}

const COLUMNS: &[Column<Check>] = &[
    Column { field: "check", title: "CHECK", cell: |c| Cell::Text(c.what.clone()) },
    Column {
        field: "verdict",
        title: "",
        cell: |c| {
            Cell::Text(
                match c.verdict {
                    Verdict::Well => "ok",
                    Verdict::Look => "look",
                    Verdict::Bad => "bad",
                }
                .to_owned(),
            )
        },
    },
    Column { field: "text", title: "FOUND", cell: |c| Cell::Text(c.text.clone()) },
];

/// Checks everything; ends with 1 when something is bad, with 5 when the cluster does not answer.
pub fn run(settings: &Settings, common: &Common, form: Form) -> anyhow::Result<Code> {
    let mut checks = Vec::new();
    let mut add = |what: &str, verdict: Verdict, text: String| {
        checks.push(Check { what: what.to_owned(), verdict, text });
    };
    terminal(&mut add);
    directories(&mut add);
    let answered = cluster(settings, common, &mut add)?;
    let mut sheet = Sheet::new(COLUMNS, &checks);
    if let Some(column) = sheet.columns.get_mut(1) {
        column.1 = "VERDICT";
    }
    output::print(&sheet.text(form))?;
    if !answered {
        output::tell("mqdeck: the cluster does not answer");
        return Ok(Code::Unreachable);
    }
    match checks.iter().filter(|check| check.verdict == Verdict::Bad).count() {
        0 => Ok(Code::Done),
        n => {
            output::tell(&format!("mqdeck: {n} checks ended badly"));
            Ok(Code::Failed)
        }
    }
}

fn terminal(add: &mut impl FnMut(&str, Verdict, String)) {
    let set = |name: &str| std::env::var(name).unwrap_or_default();
    let term = set("TERM");
    if output::to_terminal() {
        add("terminal", Verdict::Well, format!("TERM={term}"));
    } else {
        let text = "stdout is no terminal: the console needs one, commands do not";
        add("terminal", Verdict::Look, text.to_owned());
    }
    let colours = match (set("NO_COLOR").as_str(), set("COLORTERM").as_str()) {
        (some, _) if !some.is_empty() => "none, NO_COLOR is set",
        (_, "truecolor" | "24bit") => "16.7 million",
        _ if term == "dumb" => "none",
        _ if term.contains("256") => "256",
        _ => "16",
    };
    add("colours", Verdict::Well, colours.to_owned());
    let utf8 = ["LC_ALL", "LC_CTYPE", "LANG"].iter().map(|name| set(name)).find(|v| !v.is_empty());
    match utf8 {
        Some(locale) if locale.to_lowercase().replace('-', "").contains("utf8") => {
            add("locale", Verdict::Well, locale);
        }
        other => {
            let text = format!("{other:?} is not UTF-8: boxes and charts may be garbled");
            add("locale", Verdict::Look, text);
        }
    }
}

fn directories(add: &mut impl FnMut(&str, Verdict, String)) {
    match settings::state_dir() {
        Err(error) => add("state", Verdict::Bad, format!("{error:#}")),
        Ok(dir) => match tui::state_dir::StateDir::open(&dir) {
            Ok(_) => add("state", Verdict::Well, dir.display().to_string()),
            Err(error) => {
                let text = format!("{}: {error}; nothing can be changed", dir.display());
                add("state", Verdict::Bad, text);
            }
        },
    }
}

/// Asks the cluster. False: nobody answers.
fn cluster(
    settings: &Settings,
    common: &Common,
    add: &mut impl FnMut(&str, Verdict, String),
) -> anyhow::Result<bool> {
    let target = Target::choose(settings, common)?;
    for addr in &target.namesrv {
        let one = Target { namesrv: vec![addr.clone()], ..target.clone() };
        let session = Session::open_on(settings, common, one)?;
        let what = format!("name server {addr}");
        match session.wait(session.cluster.cluster_info()) {
            Ok(info) => {
                let brokers = info.broker_addr_table.len();
                add(&what, Verdict::Well, format!("knows {brokers} brokers"));
            }
            Err(error) => add(&what, Verdict::Bad, error.to_string()),
        }
    }
    let session = Session::open_on(settings, common, target)?;
    let Ok(picture) = session.look(Need { members: true, ..Need::default() }, None) else {
        return Ok(false);
    };
    for broker in picture.brokers.get().into_iter().flatten() {
        let what = format!("broker {} ({})", broker.name, broker.id);
        match &broker.problem {
            None => add(&what, Verdict::Well, format!("{} {}", broker.address, broker.version)),
            Some(problem) => add(&what, Verdict::Bad, problem.remark.clone()),
        }
        if broker.id == 0 && broker.problem.is_none() {
            permissions(&session, &broker.name, &broker.address, add);
        }
    }
    if let Some(info) = picture.cluster.get() {
        match &info.clock_off {
            Some((broker, seconds)) if seconds.abs() >= CLOCK_S => {
                add("clocks", Verdict::Look, format!("clock of {broker} {seconds:+}s"));
            }
            _ => add("clocks", Verdict::Well, "within 2 s of this machine".to_owned()),
        }
    }
    for alert in &picture.alerts {
        let verdict = if alert.critical { Verdict::Bad } else { Verdict::Look };
        add("alert", verdict, alert.text.clone());
    }
    Ok(true)
}

/// Whether this user may ask what the figures are made of.
fn permissions(
    session: &Session,
    broker: &str,
    addr: &str,
    add: &mut impl FnMut(&str, Verdict, String),
) {
    let cluster = &session.cluster;
    let asked: [(&str, Result<(), ClientError>); 4] = [
        ("settings (26)", session.wait(cluster.broker_config(addr)).map(drop)),
        ("offsets (43)", session.wait(cluster.all_offsets(addr)).map(drop)),
        ("groups (201)", session.wait(cluster.group_configs(addr)).map(drop)),
        ("replication (907)", session.wait(cluster.ha_status(addr)).map(drop)),
    ];
    for (name, answer) in asked {
        let what = format!("{broker}: {name}");
        match answer {
            Ok(()) => add(&what, Verdict::Well, "answered".to_owned()),
            Err(error) => {
                let Problem { text, code, .. } = tui::problem(&error, 0);
                let code = code.map_or_else(String::new, |code| format!(" ({code})"));
                add(&what, Verdict::Look, format!("{text}{code}"));
            }
        }
    }
}
