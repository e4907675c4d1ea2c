//! ★ The whole behaviour: plain data and `update(&mut App, Event) -> Vec<Effect>`.
//!
//! No I/O and no clock in here: time comes with events, wishes leave as effects. Drawing is in
//! `screen`, dialogs decide in `dialog`. Spec: console-ux.md §4, §5, §17.

pub mod command;
mod line;
mod list;
mod mouse;
pub mod overlay;

use std::collections::HashMap;

use ratatui::layout::Rect;

use crate::answer::is_light;
use crate::data::Picture;
use crate::dialog::{Ctx, Dialog, Step};
use crate::effect::{Effect, Exit, Watch};
use crate::event::{Code, Event, Key, Ticket};
use crate::keymap::{self, Action, Found, Kind, Layer};
use crate::model::clock::{TimeMode, Zone};
use crate::place::{Asked, At, ClientsAt, Place, TraceAt};
use crate::screen;
use crate::widget::Hit;

pub use line::{Input, InputKind, ask, line_with};
use overlay::Over;

/// Refresh intervals that `+` and `-` step through.
const INTERVALS_MS: [i64; 6] = [1_000, 2_000, 5_000, 10_000, 30_000, 60_000];
/// How many intervals pass between fetches while the terminal has no focus.
const UNFOCUSED_TIMES: i64 = 5;
/// How long a message stays in the status row.
const TOAST_MS: i64 = 8_000;

/// What the console runs beside.
#[derive(Clone, Debug)]
pub struct Embedded {
    pub listen: String,
    pub data_dir: String,
    pub demo: bool,
}

/// What does not change while the console runs.
#[derive(Clone, Debug)]
pub struct Session {
    pub context: String,
    pub namesrv: String,
    pub danger_prod: bool,
    pub embedded: Option<Embedded>,
    pub zone: Zone,
    /// The one-shot commands exist in this binary, so dialogs may show the equivalent one.
    pub commands: bool,
}

/// Keys that wait for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    None,
    Prefix(char),
    Sort,
}

/// All state of the console.
#[derive(Debug)]
pub struct App {
    pub session: Session,
    pub size: (u16, u16),
    pub now_ms: i64,
    pub time_mode: TimeMode,
    pub interval_ms: i64,
    pub live: Picture,
    pub frozen: Option<(i64, Box<Picture>)>,
    pub stack: Vec<Place>,
    /// Screens that were left, with their cursors.
    pub left: HashMap<Kind, Place>,
    pub dialog: Option<Dialog>,
    pub input: Option<Input>,
    pub pending: Pending,
    /// Finder or help.
    pub overlay: Option<overlay::Overlay>,
    /// Lines run from `:` and the finder, newest first.
    pub recent: Vec<String>,
    /// Name of the theme in use.
    pub theme: String,
    /// No theme was asked for: the terminal's background decides.
    pub theme_auto: bool,
    pub zoom: bool,
    pub details: bool,
    pub toast: Option<(String, i64)>,
    pub last_change: Option<String>,
    /// Why nothing may be changed, if so.
    pub read_only: Option<String>,
    /// The first-run card was not closed.
    pub card: bool,
    /// The mouse is taken from the terminal.
    pub mouse: bool,
    /// What the last frame drew where.
    pub hits: Vec<(Rect, Hit)>,
    clicked: Option<mouse::Clicked>,
    tickets: Ticket,
    watched: Option<Watch>,
}

impl App {
    /// A console that has seen nothing yet.
    pub fn new(session: Session, size: (u16, u16), now_ms: i64) -> Self {
        Self {
            session,
            size,
            now_ms,
            time_mode: TimeMode::Relative,
            interval_ms: 2_000,
            live: Picture::default(),
            frozen: None,
            stack: vec![Place::new(At::Overview)],
            left: HashMap::new(),
            dialog: None,
            input: None,
            pending: Pending::None,
            overlay: None,
            recent: Vec::new(),
            theme: "terminal".to_owned(),
            theme_auto: false,
            zoom: false,
            details: false,
            toast: None,
            last_change: None,
            read_only: None,
            card: true,
            mouse: true,
            hits: Vec::new(),
            clicked: None,
            tickets: 0,
            watched: None,
        }
    }

    /// What is drawn: the live picture, or the frozen one.
    pub fn picture(&self) -> &Picture {
        self.frozen.as_ref().map_or(&self.live, |(_, picture)| picture)
    }

    /// The place on top.
    pub fn place(&self) -> &Place {
        self.stack.last().expect("the stack is never empty: the last place is never popped")
    }

    /// The place on top, to change it.
    pub fn place_mut(&mut self) -> &mut Place {
        self.stack.last_mut().expect("the stack is never empty: the last place is never popped")
    }

    /// Its row in the keymap.
    pub fn kind(&self) -> Kind {
        self.place().at.kind()
    }

    /// The zone that times are shown in.
    pub fn zone(&self) -> Zone {
        if self.time_mode == TimeMode::Utc { Zone::Fixed(0) } else { self.session.zone }
    }

    /// Layers that a key goes through here.
    pub fn layers(&self) -> Vec<Layer> {
        let sorts = !screen::sort_letters(self).is_empty();
        keymap::layers(self.kind(), self.place().pane, sorts)
    }

    /// Number for a new request.
    pub const fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    /// Says something in the status row.
    pub fn tell(&mut self, text: impl Into<String>) {
        self.toast = Some((text.into(), self.now_ms));
    }

    /// Opens a place above the present one.
    pub fn push(&mut self, at: At) {
        self.stack.push(Place::new(at));
    }

    /// Goes to a screen; it is as it was left.
    pub fn go(&mut self, kind: Kind) {
        self.toast = None;
        let root = self.stack.drain(..).next();
        if let Some(root) = root {
            self.left.insert(root.at.kind(), root);
        }
        let place = self.left.remove(&kind).unwrap_or_else(|| {
            Place::new(match kind {
                Kind::Topics => At::Topics,
                Kind::Groups => At::Groups,
                Kind::Ladder => At::Ladder,
                Kind::Dead => At::Dead,
                Kind::Brokers => At::Brokers,
                Kind::Trace => At::Trace(Box::new(TraceAt::unasked())),
                Kind::Clients => At::Clients(Box::new(ClientsAt::of(None))),
                Kind::Timers => At::Timers(Box::new(Asked::never())),
                Kind::Transactions => At::Transactions(Box::new(Asked::never())),
                _ => At::Overview,
            })
        });
        self.stack.push(place);
    }

    /// Goes to a screen with the cursor on a thing.
    pub fn go_to(&mut self, kind: Kind, key: &str) {
        self.go(kind);
        let place = self.place_mut();
        place.pane = 0;
        place.lists[0].filter.clear();
        place.lists[0].cursor = Some(key.to_owned());
    }

    /// What dialogs may know.
    pub fn ctx(&self) -> Ctx {
        Ctx {
            now_ms: self.now_ms,
            zone: self.session.zone,
            prod: self.session.danger_prod,
            context: self.session.context.clone(),
            commands: self.session.commands,
            clients: screen::clients(self),
            groups: screen::group_names(self),
        }
    }

    /// Whether writing actions are offered.
    pub const fn can_write(&self) -> bool {
        self.read_only.is_none()
    }
}

/// Takes one event; says what is to be done.
pub fn update(app: &mut App, event: Event) -> Vec<Effect> {
    let mut effects = match event {
        Event::Key(key, now) => {
            app.now_ms = app.now_ms.max(now);
            on_key(app, key)
        }
        Event::Paste(text, now) => {
            app.now_ms = app.now_ms.max(now);
            paste(app, &text);
            Vec::new()
        }
        Event::Mouse(pointer, at, now) => {
            app.now_ms = app.now_ms.max(now);
            mouse::took(app, pointer, at)
        }
        Event::Resize(width, height) => {
            app.size = (width, height);
            Vec::new()
        }
        Event::Tick(now) => {
            app.now_ms = app.now_ms.max(now);
            if app.toast.as_ref().is_some_and(|(_, at)| app.now_ms - at > TOAST_MS) {
                app.toast = None;
            }
            line::refresh(app);
            Vec::new()
        }
        // Out of sight, the picture is asked for less often.
        Event::Focus(here) => {
            let slower = if here { 1 } else { UNFOCUSED_TIMES };
            vec![Effect::Interval(app.interval_ms * slower)]
        }
        Event::Background(r, g, b) => background(app, (r, g, b)),
        Event::Stop => vec![Effect::Exit(Exit::Stopped)],
        other => on_answer(app, other),
    };
    effects.extend(screen::asked::due(app));
    let watch = screen::watch(app);
    if app.watched.as_ref() != Some(&watch) {
        app.watched = Some(watch.clone());
        effects.push(Effect::Watch(watch));
    }
    effects
}

/// The theme that suits the background, unless one was chosen.
fn background(app: &mut App, color: (u8, u8, u8)) -> Vec<Effect> {
    if !app.theme_auto {
        return Vec::new();
    }
    let name = if is_light(color) { "light" } else { "dark" };
    name.clone_into(&mut app.theme);
    vec![Effect::Theme(app.theme.clone())]
}

fn on_answer(app: &mut App, event: Event) -> Vec<Effect> {
    match event {
        Event::Snapshot(snapshot) => app.live.take(*snapshot),
        Event::Messages(ticket, result) => screen::messages::took(app, ticket, result),
        Event::Where(ticket, result) => screen::inspector::took(app, ticket, result),
        Event::Traced(ticket, result) => screen::trace::took(app, ticket, result),
        Event::Surveyed(ticket, result) => screen::asked::took(app, ticket, result),
        Event::Told(text) => app.tell(text),
        Event::LastChange(text) => app.last_change = Some(text),
        Event::CannotAudit(why) => {
            app.read_only = Some(format!("read-only: {why}"));
            app.tell(format!("nothing can be changed any more: {why}"));
        }
        mut other => {
            let ctx = app.ctx();
            if matches!(other, Event::Decided(..)) {
                screen::asked::again(app);
            }
            if let Event::ReplayPlanned(_, Ok(plan)) = &mut other
                && let Some(row) = screen::groups::find(app, &plan.ask.group)
            {
                plan.in_rate = row.in_rate.clone();
                plan.out_rate = row.out_rate.clone();
            }
            if let Some(dialog) = &mut app.dialog {
                let step = dialog.answer(other, &ctx);
                return apply(app, step);
            }
        }
    }
    Vec::new()
}

fn paste(app: &mut App, text: &str) {
    let ctx = app.ctx();
    if let Some(dialog) = &mut app.dialog {
        dialog.paste(text, &ctx);
    } else if let Some(input) = &mut app.input {
        input.field.paste(text);
        line::typed(app);
    } else if let Some(overlay) = &mut app.overlay {
        overlay.field.paste(text);
        overlay.index = 0;
    }
}

fn on_key(app: &mut App, key: Key) -> Vec<Effect> {
    if key == Key::ctrl('c') {
        return ctrl_c(app);
    }
    if app.dialog.is_some() {
        let ctx = app.ctx();
        let step = app.dialog.as_mut().map(|d| d.key(key, &ctx)).unwrap_or_default();
        return apply(app, step);
    }
    if app.input.is_some() {
        return line::key(app, key);
    }
    if app.overlay.is_some() {
        return overlay::key(app, key);
    }
    match app.pending {
        Pending::Sort => {
            app.pending = Pending::None;
            if let Code::Char(letter) = key.code {
                list::sort_by(app, letter);
            }
            Vec::new()
        }
        Pending::Prefix(prefix) => {
            app.pending = Pending::None;
            match keymap::find(&app.layers(), Some(prefix), key) {
                Found::Action(action, writes) => act(app, action, writes),
                _ => Vec::new(),
            }
        }
        Pending::None => match keymap::find(&app.layers(), None, key) {
            Found::Action(action, writes) => act(app, action, writes),
            Found::Prefix(prefix) => {
                app.pending = Pending::Prefix(prefix);
                Vec::new()
            }
            Found::Nothing => Vec::new(),
        },
    }
}

fn ctrl_c(app: &mut App) -> Vec<Effect> {
    if app.input.take().is_some() || app.overlay.take().is_some() {
        return Vec::new();
    }
    match app.dialog.take() {
        None => {
            app.dialog = Some(Dialog::quit(&app.ctx(), app.session.embedded.is_some()));
            Vec::new()
        }
        Some(mut dialog) => {
            let step = dialog.interrupt(&app.ctx());
            app.dialog = Some(dialog);
            apply(app, step)
        }
    }
}

/// Carries out what a dialog decided.
pub fn apply(app: &mut App, step: Step) -> Vec<Effect> {
    if let Some(text) = step.tell {
        app.tell(text);
    }
    if let Some(key) = step.unmark {
        for list in &mut app.place_mut().lists {
            list.marks.remove(&key);
        }
    }
    if step.close {
        app.dialog = None;
    }
    let mut effects = step.effects;
    if app.read_only.is_some() {
        effects.retain(|e| !e.writes());
    }
    effects
}

/// Carries out an action of the keymap.
fn act(app: &mut App, action: Action, writes: bool) -> Vec<Effect> {
    if writes && let Some(why) = app.read_only.clone() {
        app.tell(why);
        return Vec::new();
    }
    match action {
        Action::GoOverview => app.go(Kind::Overview),
        Action::GoTopics => app.go(Kind::Topics),
        Action::GoGroups => app.go(Kind::Groups),
        Action::GoLadder => app.go(Kind::Ladder),
        Action::GoDead => app.go(Kind::Dead),
        Action::GoBrokers => app.go(Kind::Brokers),
        Action::GoTrace => return go_trace(app),
        Action::GoClients => app.go(Kind::Clients),
        Action::GoTimers => app.go(Kind::Timers),
        Action::GoTransactions => app.go(Kind::Transactions),
        Action::Help => overlay::open(app, Over::Help),
        Action::Find => overlay::open(app, Over::Find),
        Action::Command => ask(app, InputKind::Command),
        Action::Back => back(app),
        Action::Close => return close(app),
        Action::Freeze => freeze(app),
        Action::Zoom => app.zoom = !app.zoom,
        Action::Details => app.details = !app.details,
        Action::TimeCycle => app.time_mode = app.time_mode.next(),
        Action::Mouse => {
            app.mouse = !app.mouse;
            let whose = if app.mouse { "the console" } else { "the terminal, to select text" };
            app.tell(format!("the mouse belongs to {whose}"));
            return vec![Effect::Mouse(app.mouse)];
        }
        Action::Filter => line::open_filter(app),
        Action::Sort => app.pending = Pending::Sort,
        Action::Reverse => list::reverse(app),
        Action::Faster => return interval(app, -1),
        Action::Slower => return interval(app, 1),
        Action::Refresh => {
            screen::asked::again(app);
            return vec![Effect::Refresh];
        }
        Action::Redraw => return vec![Effect::Redraw],
        Action::Suspend => return suspend(app),
        Action::Quit => return ctrl_c(app),
        Action::Down
        | Action::Up
        | Action::First
        | Action::Last
        | Action::HalfDown
        | Action::HalfUp
        | Action::PageDown
        | Action::PageUp => list::moved(app, action),
        Action::Mark | Action::MarkAll | Action::UnmarkAll | Action::Invert => {
            list::mark(app, action);
        }
        other => return screen::act(app, other),
    }
    Vec::new()
}

/// Opens the screen; what is asked for is typed at once.
fn go_trace(app: &mut App) -> Vec<Effect> {
    app.go(Kind::Trace);
    match &app.place().at {
        At::Trace(at) if at.what.is_empty() => screen::trace::open(app, None),
        _ => Vec::new(),
    }
}

fn back(app: &mut App) {
    if !app.place().list().filter.is_empty() {
        app.place_mut().list_mut().filter.clear();
    } else if app.place().pane > 0 {
        app.place_mut().pane = 0;
    } else if app.stack.len() > 1 {
        app.stack.pop();
    } else if app.kind() == Kind::Overview && screen::overview::shows_card(app) {
        app.card = false;
    }
}

fn close(app: &mut App) -> Vec<Effect> {
    if app.place().pane > 0 {
        app.place_mut().pane = 0;
    } else if app.stack.len() > 1 {
        app.stack.pop();
    } else {
        app.dialog = Some(Dialog::quit(&app.ctx(), app.session.embedded.is_some()));
    }
    Vec::new()
}

fn freeze(app: &mut App) {
    app.frozen = match app.frozen.take() {
        Some(_) => None,
        None => Some((app.now_ms, Box::new(app.live.clone()))),
    };
}

fn interval(app: &mut App, step: isize) -> Vec<Effect> {
    let at = INTERVALS_MS.iter().position(|ms| *ms >= app.interval_ms).unwrap_or(1);
    let at = at.saturating_add_signed(step).min(INTERVALS_MS.len() - 1);
    app.interval_ms = INTERVALS_MS[at];
    vec![Effect::Interval(app.interval_ms)]
}

fn suspend(app: &mut App) -> Vec<Effect> {
    if app.session.embedded.is_some() {
        app.tell("the broker runs in here: use mqdeck serve and attach to suspend");
        return Vec::new();
    }
    vec![Effect::Suspend]
}
