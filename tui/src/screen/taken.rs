//! What is on screen, taken along: exported, copied, or repeated as a command (console-ux.md §4.1).

use super::{
    brokers, clients, current, dead_letters, group, groups, ladder, messages, overview, queues,
    timers, topics, trace, transactions,
};
use crate::app::App;
use crate::columns::{self, properties};
use crate::data::Message;
use crate::dialog::quoted;
use crate::effect::Effect;
use crate::keymap::{Action, Kind};
use crate::place::At;
use crate::sheet::{Form, Sheet};

/// The rows of the focused list that are shown, in their order.
pub fn sheet(app: &App) -> Sheet {
    match &app.place().at {
        At::Overview | At::Groups => columns::sheet(groups::shown(app, groups::all(app))),
        At::Topics => columns::sheet(topics::shown(app)),
        At::Queues(topic) => columns::sheet(queues::shown(app, topic)),
        At::Messages(at) => columns::sheet(messages::shown(app, at)),
        At::Message(at) => columns::sheet(vec![&**at.message()]),
        At::Group(name) => group::sheet(app, name),
        At::Ladder if app.place().pane == 0 => columns::sheet(ladder::groups(app)),
        At::Ladder => columns::sheet(ladder::levels_shown(app)),
        At::Dead if app.place().pane == 0 => columns::sheet(dead_letters::groups(app)),
        At::Dead => columns::sheet(dead_letters::letters(app)),
        At::Brokers => columns::sheet(brokers::shown(app)),
        At::Trace(at) => trace::sheet(app, at),
        At::Clients(at) => columns::sheet(clients::shown(app, at)),
        At::Timers(at) => columns::sheet(timers::shown(app, at)),
        At::Transactions(at) => {
            let (open, given_up) = transactions::shown(app, at);
            columns::sheet(open.into_iter().chain(given_up).collect())
        }
    }
}

/// The file that an export goes to unless another is typed.
pub fn file_name(app: &App) -> String {
    let what = format!("{:?}", app.kind()).to_lowercase();
    let when = app.zone().iso(app.now_ms);
    let digits: String = when.chars().take(19).filter(char::is_ascii_digit).collect();
    format!("mqdeck-{what}-{digits}.jsonl")
}

/// The form of a file, by the end of its name.
///
/// # Errors
/// No form has this end.
fn form_of(file: &str) -> Result<Form, String> {
    match file.rsplit_once('.').map(|(_, end)| end) {
        Some("txt") => Ok(Form::Table),
        Some(end @ ("json" | "jsonl" | "csv")) => Ok(Form::named(end).unwrap_or_default()),
        _ => Err("a name ends in .jsonl, .json, .csv or .txt (a table)".to_owned()),
    }
}

/// Writes what is shown to a file of this name; its end chooses the form.
///
/// # Errors
/// There is nothing to write, or no such form.
pub fn export(app: &App, file: &str) -> Result<Vec<Effect>, String> {
    let form = form_of(file.trim())?;
    let sheet = sheet(app);
    if sheet.rows.is_empty() {
        return Err("nothing is shown that could be exported".to_owned());
    }
    Ok(vec![Effect::Export(file.trim().into(), sheet.text(form), sheet.rows.len())])
}

/// The message under the cursor, or the open one.
fn message(app: &App) -> Option<&Message> {
    match &app.place().at {
        At::Message(at) => Some(at.message()),
        At::Messages(at) => current(app).and_then(|key| messages::find(at, &key)),
        At::Dead if app.place().pane == 1 => {
            current(app).and_then(|key| dead_letters::find(app, &key)).map(|l| &*l.message)
        }
        _ => None,
    }
}

/// The row under the cursor as a JSON object.
fn row(app: &App) -> Option<String> {
    let sheet = sheet(app);
    let at = match &app.place().at {
        At::Message(_) => Some(0),
        At::Overview => {
            let name = overview::subject(app)?;
            groups::shown(app, groups::all(app)).iter().position(|row| row.name == name)
        }
        At::Ladder if app.place().pane == 0 => {
            app.place().list().at(&super::keys(app)).and_then(|at| at.checked_sub(1))
        }
        _ => app.place().list().at(&super::keys(app)),
    };
    sheet.rows.get(at?).map(|row| sheet.object(row).to_string())
}

/// The one-shot command that says what this screen says.
fn command(app: &App) -> String {
    let name = super::subject(app).map(|group| quoted(&group));
    let list = match (&app.place().at, name) {
        (At::Group(group), _) => format!("groups show {}", quoted(group)),
        (At::Overview | At::Groups, _) => "groups list".to_owned(),
        (At::Topics, _) => "topics list".to_owned(),
        (At::Queues(topic), _) => format!("topics show {}", quoted(topic)),
        (At::Messages(at), _) => {
            format!("tail {} --from start --no-follow", quoted(&at.queue.topic))
        }
        (At::Message(at), _) => format!("message get {}", quoted(&at.message().unique_id)),
        (At::Ladder, None) => "retry".to_owned(),
        (At::Ladder, Some(group)) => format!("retry --group {group}"),
        (At::Dead, Some(group)) if app.place().pane == 1 => format!("dlq list --group {group}"),
        (At::Dead, _) => "dlq list".to_owned(),
        (At::Brokers, _) => "brokers list".to_owned(),
        (At::Trace(at), _) => format!("trace {}", quoted(&at.what)),
        (At::Clients(_), _) => "clients".to_owned(),
        (At::Timers(_), _) => "timers --messages".to_owned(),
        (At::Transactions(_), _) => "transactions list".to_owned(),
    };
    let filter = app.place().list().filter.text();
    let filter = match app.kind() {
        _ if filter.is_empty() => String::new(),
        Kind::Message | Kind::Queues | Kind::Group => String::new(),
        _ => format!(" --filter {}", quoted(filter)),
    };
    format!("mqdeck --namesrv {} {list}{filter}", quoted(&app.session.namesrv))
}

/// Copies a part of what is on screen.
pub fn copy(app: &mut App, action: Action) -> Vec<Effect> {
    let text = match action {
        Action::CopyRow => row(app),
        Action::CopyCommand => Some(command(app)),
        Action::CopyBody => message(app).map(|m| match std::str::from_utf8(&m.body) {
            Ok(text) => text.to_owned(),
            Err(_) => crate::widget::hex::short(&m.body, m.body.len()),
        }),
        _ => message(app).map(|m| properties(m).to_string()),
    };
    let Some(text) = text else {
        app.tell("nothing of that kind is under the cursor");
        return Vec::new();
    };
    vec![Effect::Copy(text)]
}
