//! Screens: what is drawn where, and what keys do in a place.
//!
//! This file dispatches by place; each screen has its own file with its columns table, row keys, pure
//! actions and pure drawing. No screen talks to a client (architecture.md §13).

pub mod asked;
pub mod brokers;
pub mod clients;
pub mod dead_letters;
pub mod finder;
pub mod frame;
pub mod group;
pub mod groups;
pub mod help;
pub mod inspector;
pub mod ladder;
pub mod messages;
pub mod overview;
pub mod parts;
pub mod queues;
pub mod taken;
pub mod timers;
pub mod topics;
pub mod trace;
pub mod transactions;

use ratatui::layout::Rect;

use crate::app::{App, InputKind, line_with};
use crate::data::{Name, Part};
use crate::dialog::Dialog;
use crate::effect::{Effect, Watch};
use crate::keymap::{Action, Kind};
use crate::model::life::Row as Lived;
use crate::model::query::{Query, QueryError};
use crate::model::query_message::{Of, check as of_messages};
use crate::place::{At, ClientsAt};
use crate::survey::transactions::Verdict;
use crate::widget::table::Column;
use crate::widget::{Canvas, Seg};

/// From this width of the main area on, screens use their wide form.
pub const WIDE: u16 = 100;
/// From this height of the main area on, panels are whole.
pub const TALL: u16 = 26;

/// Keys of the rows of the focused list, in the order on screen.
pub fn keys(app: &App) -> Vec<String> {
    match &app.place().at {
        At::Overview => overview::keys(app),
        At::Topics => topics::keys(app),
        At::Queues(topic) => queues::keys(app, topic),
        At::Messages(at) => messages::keys(app, at),
        At::Message(_) => Vec::new(),
        At::Groups => groups::keys(app),
        At::Group(group) => group::keys(app, group),
        At::Ladder => ladder::keys(app),
        At::Dead => dead_letters::keys(app),
        At::Brokers => brokers::keys(app),
        At::Trace(at) => trace::keys(at, &app.place().lists[0]),
        At::Clients(at) => clients::keys(app, at),
        At::Timers(at) => timers::keys(app, at),
        At::Transactions(at) => transactions::keys(app, at),
    }
}

/// Key of the row under the cursor.
pub fn current(app: &App) -> Option<String> {
    let keys = keys(app);
    app.place().list().at(&keys).map(|i| keys[i].clone())
}

/// Draws the main area of the place on top.
pub fn draw(app: &App, c: &mut Canvas, area: Rect) {
    match &app.place().at {
        At::Overview => overview::draw(app, c, area),
        At::Topics => topics::draw(app, c, area),
        At::Queues(topic) => queues::draw(app, c, area, topic),
        At::Messages(at) => messages::draw(app, c, area, at),
        At::Message(at) => inspector::draw(app, c, area, at),
        At::Groups => groups::draw(app, c, area),
        At::Group(group) => group::draw(app, c, area, group),
        At::Ladder => ladder::draw(app, c, area),
        At::Dead => dead_letters::draw(app, c, area),
        At::Brokers => brokers::draw(app, c, area),
        At::Trace(at) => trace::draw(app, c, area, at),
        At::Clients(at) => clients::draw(app, c, area, at),
        At::Timers(at) => timers::draw(app, c, area, at),
        At::Transactions(at) => transactions::draw(app, c, area, at),
    }
}

/// Carries out an action of the place.
pub fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match (app.kind(), action) {
        (_, Action::PaneNext | Action::PanePrev) => {
            let place = app.place_mut();
            place.pane = (place.pane + 1) % crate::place::PANES;
            Vec::new()
        }
        (_, Action::ShowAll) => {
            let place = app.place_mut();
            place.show_all = !place.show_all;
            Vec::new()
        }
        (Kind::Group, Action::TabNext | Action::TabPrev) => {
            group::turn(app, action);
            Vec::new()
        }
        (_, Action::Replay) => replay(app),
        (_, Action::OpenDead) => open_group_at(app, Kind::Dead),
        (_, Action::OpenRetry) => open_group_at(app, Kind::Ladder),
        (_, Action::OpenGroup) => {
            match subject(app) {
                Some(group) => app.push(At::Group(group)),
                None => app.tell("no group under the cursor"),
            }
            Vec::new()
        }
        (_, Action::OpenTrace) => open_trace(app),
        (_, Action::CopyId) => copy_id(app),
        (_, Action::CopyRow | Action::CopyCommand | Action::CopyBody | Action::CopyProperties) => {
            taken::copy(app, action)
        }
        (_, Action::Export) => {
            line_with(app, InputKind::Export, &taken::file_name(app));
            Vec::new()
        }
        (Kind::Trace, _) => trace::act(app, action),
        (_, Action::Scan) => {
            app.tell("splitting the delay levels by group…");
            vec![Effect::ScanLadder]
        }
        (_, Action::OpenClients) => {
            let group = subject(app);
            app.push(At::Clients(Box::new(ClientsAt::of(group))));
            Vec::new()
        }
        (Kind::Clients, Action::Open) => clients::open(app),
        (Kind::Timers, Action::Open) => timers::open(app),
        (Kind::Transactions, Action::Commit) => transactions::decide(app, Verdict::Commit),
        (Kind::Transactions, Action::RollBack) => transactions::decide(app, Verdict::Rollback),
        (Kind::Overview, Action::Open) => overview::open(app),
        (Kind::Topics, Action::Open) => topics::open(app),
        (Kind::Queues, Action::Open) => queues::open(app),
        (Kind::Messages, _) => messages::act(app, action),
        (Kind::Message, _) => inspector::act(app, action),
        (Kind::Groups, Action::Open) => groups::open(app),
        (Kind::Group, Action::Open) => group::open(app),
        (Kind::Ladder, Action::Open) => {
            if app.place().pane == 1 {
                return ladder::open_level(app);
            }
            app.place_mut().pane = 1;
            Vec::new()
        }
        (Kind::Dead, Action::Open) => dead_letters::open(app),
        (Kind::Dead, Action::Resend) => dead_letters::resend(app),
        _ => Vec::new(),
    }
}

fn replay(app: &mut App) -> Vec<Effect> {
    let Some(group) = subject(app) else {
        app.tell("no group under the cursor");
        return Vec::new();
    };
    if let Some(why) = groups::find(app, &group).and_then(groups::no_replay) {
        app.tell(why);
        return Vec::new();
    }
    let topics = groups::find(app, &group).map(|g| g.topics.clone()).unwrap_or_default();
    let ticket = app.ticket();
    app.dialog = Some(Dialog::replay(group, topics, ticket, &app.ctx()));
    Vec::new()
}

fn open_group_at(app: &mut App, kind: Kind) -> Vec<Effect> {
    match subject(app) {
        Some(group) => app.go_to(kind, &group),
        None => app.go(kind),
    }
    Vec::new()
}

/// The life of the message under the cursor.
fn open_trace(app: &mut App) -> Vec<Effect> {
    let id = match &app.place().at {
        At::Message(at) => Some(at.message().unique_id.clone()),
        At::Messages(at) => current(app)
            .and_then(|key| messages::find(at, &key).map(|message| message.unique_id.clone())),
        At::Dead if app.place().pane == 1 => current(app)
            .and_then(|key| dead_letters::find(app, &key).map(|l| l.message.unique_id.clone())),
        _ => None,
    };
    if let Some(id) = id.or_else(|| timers::id(app)) {
        return trace::open(app, Some(&id));
    }
    app.tell("no message under the cursor");
    Vec::new()
}

fn copy_id(app: &mut App) -> Vec<Effect> {
    let Some(key) = current(app) else {
        app.tell("nothing to copy here");
        return Vec::new();
    };
    let text = match &app.place().at {
        At::Messages(at) => messages::find(at, &key).map(|m| m.unique_id.clone()),
        At::Dead if app.place().pane == 1 => {
            dead_letters::find(app, &key).map(|l| l.message.unique_id.clone())
        }
        At::Overview => subject(app).map(|g| g.to_string()),
        At::Timers(_) => timers::id(app),
        At::Clients(_) | At::Transactions(_) => details(app).map(|(name, _)| name),
        _ => None,
    };
    vec![Effect::Copy(text.unwrap_or(key))]
}

/// The group that an action here is about.
pub fn subject(app: &App) -> Option<Name> {
    match &app.place().at {
        At::Group(group) => Some(group.clone()),
        At::Overview => overview::subject(app),
        At::Groups => current(app).map(Name::from),
        At::Ladder => ladder::group(app),
        At::Dead => dead_letters::group(app),
        At::Clients(at) => clients::group(app, at),
        _ => None,
    }
}

/// Names of all groups in the picture.
pub fn group_names(app: &App) -> Vec<Name> {
    app.picture()
        .groups
        .get()
        .map(|g| g.iter().map(|r| r.name.clone()).collect())
        .unwrap_or_default()
}

/// `3 clients are connected.`, when some are.
pub fn clients(app: &App) -> Option<String> {
    let clients = &app.live.cluster.get()?.clients;
    let n = clients.value().copied().filter(|n| *n > 0)?;
    let (noun, verb) = if n == 1 { ("client", "is") } else { ("clients", "are") };
    Some(format!("{} {noun} {verb} connected.", crate::format::fig_count(clients)))
}

/// What has to be fresh.
pub fn watch(app: &App) -> Watch {
    match &app.place().at {
        At::Overview => Watch::Overview,
        At::Topics => Watch::Topics,
        At::Queues(topic) => Watch::Topic(topic.clone()),
        At::Messages(_)
        | At::Message(_)
        | At::Trace(_)
        | At::Clients(_)
        | At::Timers(_)
        | At::Transactions(_) => Watch::Still,
        At::Groups => Watch::Groups(groups::on_screen(app)),
        At::Group(group) => Watch::Group(group.clone()),
        At::Ladder => Watch::Ladder,
        At::Dead => Watch::Dead(dead_letters::group(app)),
        At::Brokers => Watch::Brokers,
    }
}

/// Columns of the focused list that sort, with their letters.
pub fn sort_letters(app: &App) -> Vec<(char, &'static str)> {
    let columns: &[Column] = match (&app.place().at, app.place().pane) {
        (At::Overview, _) => overview::COLUMNS,
        (At::Topics, _) => topics::COLUMNS,
        (At::Queues(_), _) => queues::COLUMNS,
        (At::Groups, _) => groups::COLUMNS,
        (At::Group(_), _) => group::columns(app),
        (At::Dead, 0) => dead_letters::GROUPS,
        (At::Dead, _) => dead_letters::LETTERS,
        (At::Brokers, _) => brokers::COLUMNS,
        (At::Clients(_), _) => clients::COLUMNS,
        (At::Timers(_), _) => timers::COLUMNS,
        _ => &[],
    };
    columns.iter().filter_map(|c| c.sort.map(|l| (l, c.title.trim()))).collect()
}

/// Checks a filter against the fields of the focused list.
///
/// # Errors
/// What can never be decided here.
pub fn check(app: &App, query: &Query) -> Result<(), QueryError> {
    use crate::columns::check as over;
    let place = app.place();
    let picture = app.picture();
    match (&place.at, place.pane) {
        (At::Overview | At::Groups, _) => {
            over(query, picture.groups.get().and_then(|all| all.first()))
        }
        (At::Topics, _) => over(query, picture.topics.get().and_then(|all| all.first())),
        (At::Queues(topic), _) => {
            let part = picture.topic.get(topic).and_then(Part::get);
            over(query, part.and_then(|detail| detail.queues.first()))
        }
        (At::Group(group), _) => group::check(app, group, query),
        (At::Ladder, 0) => over(query, picture.ladder.get().and_then(|all| all.groups.first())),
        (At::Ladder, _) => over(query, picture.ladder.get().and_then(|all| all.levels.first())),
        (At::Dead, 0) => over(query, picture.dead.get().and_then(|all| all.first())),
        (At::Dead, _) => of_messages(query, Of::Letters),
        (At::Brokers, _) => over(query, picture.brokers.get().and_then(|all| all.first())),
        (At::Clients(at), _) => over(query, at.all.part.get().and_then(|all| all.rows.first())),
        (At::Timers(at), _) => over(query, at.part.get().and_then(|all| all.rows.first())),
        (At::Transactions(at), _) => over(query, at.part.get().and_then(|all| all.halves.first())),
        (At::Trace(_), _) => over::<Lived>(query, None),
        (At::Messages(_) | At::Message(_), _) => of_messages(query, Of::Messages),
    }
}

/// Title and lines of the details pane: the row under the cursor with its reasons in full.
pub fn details(app: &App) -> Option<(String, Vec<Vec<Seg>>)> {
    match &app.place().at {
        At::Overview => {
            let group = overview::subject(app)?;
            groups::find(app, &group).map(|row| (row.name.to_string(), groups::about(app, row)))
        }
        At::Groups => {
            let key = current(app)?;
            groups::find(app, &key).map(|row| (row.name.to_string(), groups::about(app, row)))
        }
        At::Topics => topics::details(app),
        At::Queues(topic) => queues::details(app, topic),
        At::Messages(at) => messages::details(app, at),
        At::Group(group) => group::details(app, group),
        At::Ladder => ladder::details(app),
        At::Dead => dead_letters::details(app),
        At::Brokers => brokers::details(app),
        At::Trace(at) => trace::details(app, at),
        At::Clients(at) => clients::details(app, at),
        At::Timers(at) => timers::details(app, at),
        At::Transactions(at) => transactions::details(app, at),
        At::Message(_) => None,
    }
}
