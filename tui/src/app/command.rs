//! `:` commands: one table of names, what they are followed by, and what they do.
//!
//! The finder and the help run the same lines; an action of the keymap is a command under its id
//! (console-ux.md §4.1).

use super::{Action, App, act};
use crate::data::Name;
use crate::dialog::Dialog;
use crate::effect::Effect;
use crate::event::{Code, Key};
use crate::keymap::{self, Binding, Kind};
use crate::model::clock::TimeMode;
use crate::model::fuzzy;
use crate::place::At;
use crate::{screen, theme};

/// Completions that are looked at.
const CANDIDATES_MAX: usize = 200;
/// Why the session is read-only after `:ro`; only this is lifted by `:rw`.
const BY_COMMAND: &str = "read-only: by :ro, :rw lifts it";

/// What follows a command's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    None,
    Topic,
    Group,
    /// A group, then a time.
    GroupAndTime,
    Broker,
    /// An id or key of a message.
    Message,
    Theme,
    /// A setting and its value.
    Setting,
}

/// One command.
#[derive(Debug)]
pub struct Command {
    pub name: &'static str,
    pub argument: Argument,
    pub does: &'static str,
}

const fn c(name: &'static str, argument: Argument, does: &'static str) -> Command {
    Command { name, argument, does }
}

/// Commands with an argument, and those that no key has. Screens and actions are in the keymap.
pub const COMMANDS: &[Command] = &[
    c("topic", Argument::Topic, "queues of a topic"),
    c("group", Argument::Group, "a group in detail"),
    c("dead", Argument::Group, "dead letters of a group"),
    c("retry", Argument::Group, "what a group waits for"),
    c("broker", Argument::Broker, "a broker"),
    c("trace", Argument::Message, "the life of a message"),
    c("replay", Argument::GroupAndTime, "move a group back"),
    c("set", Argument::Setting, "time relative|local|utc, interval 1s…60s"),
    c("theme", Argument::Theme, "another theme"),
    c("ro", Argument::None, "refuse changes"),
    c("rw", Argument::None, "allow changes again"),
    c("quit", Argument::None, "end mqdeck, asks first"),
];

/// Settings that `:set` knows, with their values.
const SETTINGS: &[(&str, &[&str])] = &[
    ("time", &["relative", "local", "utc"]),
    ("interval", &["1s", "2s", "5s", "10s", "30s", "60s"]),
];

/// The command that opens a screen: the end of its action's id.
pub(super) fn screen_of(id: &str) -> Option<&str> {
    id.strip_prefix("go.")
}

/// Keys of this place whose action makes sense as a line.
pub(super) fn bindings(app: &App) -> impl Iterator<Item = &'static Binding> {
    app.layers().into_iter().flat_map(keymap::of_layer).filter(|b| b.action.is_command())
}

/// Names that can follow a command, as far as they are known.
fn arguments(app: &App, argument: Argument) -> Vec<String> {
    let picture = app.picture();
    match argument {
        Argument::Topic => {
            let all = picture.topics.get().map_or(&[][..], Vec::as_slice);
            all.iter().map(|topic| topic.name.to_string()).collect()
        }
        Argument::Group | Argument::GroupAndTime => {
            screen::group_names(app).iter().map(ToString::to_string).collect()
        }
        Argument::Broker => {
            let all = picture.brokers.get().map_or(&[][..], Vec::as_slice);
            all.iter().filter(|b| b.id == 0).map(|b| b.name.to_string()).collect()
        }
        Argument::Theme => theme::shipped_names().map(str::to_owned).collect(),
        Argument::Setting => {
            let each = SETTINGS
                .iter()
                .flat_map(|(key, values)| values.iter().map(move |value| format!("{key} {value}")));
            each.collect()
        }
        Argument::None | Argument::Message => Vec::new(),
    }
}

/// Whole lines that what was typed can become, best first, each with what it does.
pub fn candidates(app: &App, typed: &str) -> Vec<(String, &'static str)> {
    let typed = typed.trim_start();
    let mut found: Vec<(fuzzy::Fit, String, &'static str)> = Vec::new();
    if let Some((name, rest)) = typed.split_once(' ') {
        for command in COMMANDS.iter().filter(|command| command.name == name) {
            for argument in arguments(app, command.argument) {
                if let Some(fit) = fuzzy::rank(rest.trim(), &argument) {
                    found.push((fit, format!("{name} {argument}"), command.does));
                }
            }
        }
    } else {
        let ids = bindings(app).map(|b| (screen_of(b.id).unwrap_or(b.id), b.label));
        let names = COMMANDS.iter().map(|command| (command.name, command.does));
        for (name, does) in ids.chain(names) {
            if let Some(fit) = fuzzy::rank(typed, name)
                && !found.iter().any(|(_, known, _)| known == name)
            {
                found.push((fit, name.to_owned(), does));
            }
        }
    }
    found.sort_by_key(|(fit, ..)| *fit);
    found.truncate(CANDIDATES_MAX);
    found.into_iter().map(|(_, line, does)| (line, does)).collect()
}

/// Runs a line.
///
/// # Errors
/// What is wrong with it, in a few words.
pub fn run(app: &mut App, line: &str) -> Result<Vec<Effect>, String> {
    let line = line.trim();
    let (name, rest) = line.split_once(' ').map_or((line, ""), |(name, rest)| (name, rest.trim()));
    if rest.is_empty() && !matches!(name, "theme" | "set") {
        return bare(app, name);
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return Err(format!("there is no command {name:?}"));
    };
    match command.argument {
        Argument::None => Err(format!("{name} stands alone")),
        Argument::Topic => {
            let topic = known(app, command.argument, rest, "topic")?;
            app.go(Kind::Topics);
            app.push(At::Queues(topic));
            Ok(Vec::new())
        }
        Argument::Group => {
            let group = known(app, command.argument, rest, "group")?;
            match name {
                "dead" => app.go_to(Kind::Dead, &group),
                "retry" => app.go_to(Kind::Ladder, &group),
                _ => {
                    app.go(Kind::Groups);
                    app.push(At::Group(group));
                }
            }
            Ok(Vec::new())
        }
        Argument::GroupAndTime => {
            let (group, time) = rest.split_once(' ').unwrap_or((rest, ""));
            replay(app, group, time.trim())
        }
        Argument::Broker => {
            let broker = known(app, command.argument, rest, "broker")?;
            app.go_to(Kind::Brokers, &broker);
            Ok(Vec::new())
        }
        Argument::Message => {
            app.go(Kind::Trace);
            Ok(screen::trace::open(app, Some(rest)))
        }
        Argument::Theme => set_theme(app, rest),
        Argument::Setting => set(app, rest),
    }
}

/// A command without an argument: a screen, an action of this place, or one of the table.
fn bare(app: &mut App, name: &str) -> Result<Vec<Effect>, String> {
    match name {
        "" => return Ok(Vec::new()),
        "quit" => {
            app.dialog = Some(Dialog::quit(&app.ctx(), app.session.embedded.is_some()));
            return Ok(Vec::new());
        }
        "ro" => {
            app.read_only.get_or_insert_with(|| BY_COMMAND.to_owned());
            return Ok(Vec::new());
        }
        "rw" => {
            return match app.read_only.as_deref() {
                None => Ok(Vec::new()),
                Some(BY_COMMAND) => {
                    app.read_only = None;
                    Ok(Vec::new())
                }
                Some(why) => Err(why.to_owned()),
            };
        }
        _ => {}
    }
    let found = bindings(app).find(|b| b.id == name || screen_of(b.id) == Some(name));
    match found {
        Some(b) => Ok(act(app, b.action, b.needs_write)),
        None if COMMANDS.iter().any(|command| command.name == name) => {
            Err(format!("{name} needs something behind it"))
        }
        None if keymap::id_exists(name) => Err(format!("{name} does not work here")),
        None => Err(format!("there is no command {name:?}")),
    }
}

/// A name of the picture; while there is no picture, whatever was typed.
fn known(app: &App, argument: Argument, name: &str, noun: &str) -> Result<Name, String> {
    let all = arguments(app, argument);
    if all.is_empty() || all.iter().any(|known| known == name) {
        return Ok(name.into());
    }
    Err(format!("there is no {noun} {name:?}"))
}

fn replay(app: &mut App, group: &str, time: &str) -> Result<Vec<Effect>, String> {
    let group = known(app, Argument::Group, group, "group")?;
    if let Some(why) = &app.read_only {
        return Err(why.clone());
    }
    if let Some(why) = screen::groups::find(app, &group).and_then(screen::groups::no_replay) {
        return Err(why);
    }
    let topics = screen::groups::find(app, &group).map(|g| g.topics.clone()).unwrap_or_default();
    let (ticket, ctx) = (app.ticket(), app.ctx());
    let mut dialog = Dialog::replay(group, topics, ticket, &ctx);
    let mut effects = Vec::new();
    if !time.is_empty() {
        dialog.paste(time, &ctx);
        effects = dialog.key(Key::plain(Code::Enter), &ctx).effects;
    }
    app.dialog = Some(dialog);
    Ok(effects)
}

fn set(app: &mut App, rest: &str) -> Result<Vec<Effect>, String> {
    let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
    match (key, value.trim()) {
        ("time", word) => {
            let mode = TimeMode::named(word);
            app.time_mode = mode.ok_or("time is relative, local or utc")?;
            Ok(Vec::new())
        }
        ("interval", word) => {
            let seconds = word.strip_suffix('s').and_then(|n| n.parse::<i64>().ok());
            let ms = seconds.map(|s| s.saturating_mul(1_000));
            let ms = ms.filter(|ms| super::INTERVALS_MS.contains(ms));
            app.interval_ms = ms.ok_or("interval is 1s, 2s, 5s, 10s, 30s or 60s")?;
            Ok(vec![Effect::Interval(app.interval_ms)])
        }
        _ => Err("set knows time and interval".to_owned()),
    }
}

/// A shipped theme or one of the user's own; whoever puts it on says what is wrong with it.
fn set_theme(app: &mut App, name: &str) -> Result<Vec<Effect>, String> {
    if name.is_empty() {
        let all: Vec<&str> = theme::shipped_names().collect();
        return Err(format!("themes are {}, and your own", all.join(", ")));
    }
    name.clone_into(&mut app.theme);
    app.theme_auto = false;
    Ok(vec![Effect::Theme(name.to_owned())])
}

impl Action {
    /// Whether it makes sense as a line: everything but moving about.
    pub const fn is_command(self) -> bool {
        !matches!(
            self,
            Self::Down
                | Self::Up
                | Self::First
                | Self::Last
                | Self::HalfDown
                | Self::HalfUp
                | Self::PageDown
                | Self::PageUp
                | Self::Command
                | Self::Back
                | Self::Quit
        )
    }
}
