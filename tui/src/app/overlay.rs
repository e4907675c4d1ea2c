//! Finder and help: what was typed, the line that is chosen, and what Enter runs.
//!
//! Both list lines of `:` commands; the finder over names of the picture and everything that can be
//! done, the help over the keys of this place (console-ux.md §4.3).

use std::cell::Cell;

use super::{App, command};
use crate::data::Fig;
use crate::effect::Effect;
use crate::event::{Code, Key};
use crate::format;
use crate::keymap::{self, Binding, Layer};
use crate::model::fuzzy::{self, Fit};
use crate::widget::input::Field;

/// Lines that the finder keeps.
const FOUND_MAX: usize = 100;
/// Commands that are remembered.
const RECENT_MAX: usize = 20;

/// What lies over the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    Find,
    Help,
}

/// A list that typing narrows.
#[derive(Clone, Debug)]
pub struct Overlay {
    pub over: Over,
    pub field: Field,
    pub index: usize,
    /// First line that the last drawing showed.
    pub top: Cell<usize>,
}

/// One line of the finder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: &'static str,
    pub name: String,
    pub figures: String,
    /// What Enter does.
    pub does: String,
    /// The line that it runs.
    pub command: String,
    /// Why it cannot, if so.
    pub off: Option<String>,
}

/// Opens the finder or the help.
pub fn open(app: &mut App, over: Over) {
    app.overlay = Some(Overlay { over, field: Field::default(), index: 0, top: Cell::new(0) });
}

/// Remembers a line that was run, newest first.
pub fn remember(app: &mut App, line: &str) {
    let line = line.trim().to_owned();
    if line.is_empty() {
        return;
    }
    app.recent.retain(|known| *known != line);
    app.recent.insert(0, line);
    app.recent.truncate(RECENT_MAX);
}

/// Bindings that the help lists for what was typed, with their layer.
pub fn helped(app: &App, typed: &str) -> Vec<(Layer, &'static Binding)> {
    let mut out = Vec::new();
    for layer in app.layers() {
        let mut bindings: Vec<&'static Binding> = keymap::of_layer(layer).collect();
        // What the footer names comes first.
        bindings.sort_by_key(|b| if b.footer == 0 { u8::MAX } else { b.footer });
        for binding in bindings {
            let text = format!("{} {} {}", binding.label, binding.id, keymap::keys_of(binding));
            if typed.split_whitespace().all(|word| fuzzy::rank(word, &text).is_some()) {
                out.push((layer, binding));
            }
        }
    }
    out
}

/// Lines of the finder for what was typed, best first.
pub fn found(app: &App, typed: &str) -> Vec<Entry> {
    let word = typed.trim();
    let mut out: Vec<((Fit, usize), Entry)> = Vec::new();
    for entry in entries(app) {
        let Some(fit) = fuzzy::rank(word, &entry.name) else { continue };
        let used = app.recent.iter().position(|line| *line == entry.command);
        out.push(((fit, used.unwrap_or(RECENT_MAX)), entry));
    }
    out.sort_by_key(|(rank, _)| *rank);
    out.truncate(FOUND_MAX);
    out.into_iter().map(|(_, entry)| entry).collect()
}

fn entry(kind: &'static str, name: &str, figures: String, does: &str, command: String) -> Entry {
    Entry { kind, name: name.to_owned(), figures, does: does.to_owned(), command, off: None }
}

/// Everything that can be found: recent lines, names of the picture, then screens and actions.
fn entries(app: &App) -> Vec<Entry> {
    let mut out: Vec<Entry> = Vec::new();
    for line in &app.recent {
        out.push(entry("command", line, "recent".to_owned(), "run again", line.clone()));
    }
    let picture = app.picture();
    for g in picture.groups.get().into_iter().flatten() {
        let figures =
            format!("lag {} · dead {}", format::fig_count(&g.lag), format::fig_count(&g.dead_open));
        out.push(entry("group", &g.name, figures, "go to group", format!("group {}", g.name)));
    }
    for d in picture.dead.get().into_iter().flatten().filter(|d| d.open != Fig::Known(0)) {
        let figures = format!("{} open dead letters", format::fig_count(&d.open));
        out.push(entry("dead", &d.group, figures, "open", format!("dead {}", d.group)));
    }
    for t in picture.topics.get().into_iter().flatten() {
        let figures = format!("in {}/s", format::fig_rate(&t.in_rate));
        out.push(entry("topic", &t.name, figures, "go to topic", format!("topic {}", t.name)));
    }
    for b in picture.brokers.get().into_iter().flatten().filter(|b| b.id == 0) {
        let figures = format!("{} · {}", b.role, b.address);
        out.push(entry("broker", &b.name, figures, "go to broker", format!("broker {}", b.name)));
    }
    out.extend(clients(app));
    out.extend(command::bindings(app).map(|b| action(app, b)));
    out
}

/// Clients are known while their screen was open; they are found by their group.
fn clients(app: &App) -> Vec<Entry> {
    let places = app.stack.iter().chain(app.left.values());
    let known = places.filter_map(|place| match &place.at {
        crate::place::At::Clients(at) => at.all.part.get(),
        _ => None,
    });
    let rows = known.flat_map(|all| &all.rows).filter(|client| !client.producer);
    rows.map(|c| {
        let figures = format!("{} · {}", c.group, c.address);
        entry("client", &c.id, figures, "go to its group", format!("group {}", c.group))
    })
    .collect()
}

fn action(app: &App, b: &Binding) -> Entry {
    let keys = keymap::keys_of(b);
    let (kind, command) = match command::screen_of(b.id) {
        Some(screen) => ("screen", screen),
        None => ("action", b.id),
    };
    let off = b.needs_write.then(|| app.read_only.clone()).flatten();
    let does = if b.needs_write { "needs write" } else { "do it" };
    let does = if kind == "screen" { "open" } else { does };
    let name = if kind == "screen" { b.label.to_owned() } else { format!("{} {}", b.label, b.id) };
    Entry { off, ..entry(kind, &name, keys, does, command.to_owned()) }
}

/// Takes a key of the overlay.
pub(super) fn key(app: &mut App, key: Key) -> Vec<Effect> {
    let Some(overlay) = &mut app.overlay else { return Vec::new() };
    match (key.code, key.ctrl) {
        (Code::Esc, _) => app.overlay = None,
        (Code::Down | Code::Tab, _) | (Code::Char('n'), true) => overlay.index += 1,
        (Code::Up | Code::BackTab, _) | (Code::Char('p'), true) => {
            overlay.index = overlay.index.saturating_sub(1);
        }
        (Code::PageDown, _) => overlay.index += 10,
        (Code::PageUp, _) => overlay.index = overlay.index.saturating_sub(10),
        (Code::F(1), _) if overlay.over == Over::Help => app.overlay = None,
        // Nothing typed yet: the key that opened the help closes it.
        (Code::Char('?'), false) if overlay.over == Over::Help && overlay.field.is_empty() => {
            app.overlay = None;
        }
        (Code::Enter, _) => return enter(app),
        _ => {
            if overlay.field.key(key) {
                overlay.index = 0;
            }
        }
    }
    settle(app);
    Vec::new()
}

/// Keeps the chosen line among those that there are.
fn settle(app: &mut App) {
    let Some(overlay) = &app.overlay else { return };
    let len = match overlay.over {
        Over::Find => found(app, overlay.field.text()).len(),
        Over::Help => helped(app, overlay.field.text()).len(),
    };
    if let Some(overlay) = &mut app.overlay {
        overlay.index = overlay.index.min(len.saturating_sub(1));
    }
}

fn enter(app: &mut App) -> Vec<Effect> {
    let Some(overlay) = app.overlay.take() else { return Vec::new() };
    let typed = overlay.field.text();
    if overlay.over == Over::Help {
        let chosen = helped(app, typed).get(overlay.index).map(|(_, binding)| *binding);
        return chosen.map_or_else(Vec::new, |b| super::act(app, b.action, b.needs_write));
    }
    let Some(entry) = found(app, typed).into_iter().nth(overlay.index) else { return Vec::new() };
    if let Some(why) = entry.off {
        app.tell(why);
        return Vec::new();
    }
    match command::run(app, &entry.command) {
        Ok(effects) => {
            remember(app, &entry.command);
            effects
        }
        Err(why) => {
            app.tell(why);
            Vec::new()
        }
    }
}
