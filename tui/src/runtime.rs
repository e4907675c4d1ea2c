//! The loop: drain events, update, draw what changed, hand effects on (architecture.md §6).
//!
//! Owns the input thread and the presenter. A frame after a key is drawn at once, frames for data at
//! most 30 a second, none when nothing changed.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossterm::queue;
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use engine::client::Cluster;
use engine::clock::{Clock, SystemClock};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::app::{App, Embedded, Session, update};
use crate::clipboard;
use crate::effect::{Effect, Exit};
use crate::event::Event;
use crate::executor::{Executor, Who, last_change};
use crate::input;
use crate::ledger::Ledger;
use crate::model::clock::{TimeMode, Zone};
use crate::poll;
use crate::screen::frame;
use crate::state_dir::StateDir;
use crate::terminal::{self, Guard};
use crate::theme::{Depth, Theme};
use crate::widget::{Canvas, Hit, ascii};

/// Shortest time between two frames for data.
const FRAME_MS: i64 = 33;
/// Time between ticks: relative times change once a second.
const TICK_MS: i64 = 1_000;
/// Events taken before a frame, so that a flood cannot keep the picture from being drawn.
const EVENTS_PER_FRAME: usize = 512;

/// The engine that runs in this process.
#[derive(Clone, Debug)]
pub struct EmbeddedInfo {
    /// Where clients connect.
    pub listen: String,
    /// Where data lie.
    pub data_dir: String,
    /// Started by `--demo`.
    pub demo: bool,
}

/// What the console is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Engine in this process, if there is one.
    pub embedded: Option<EmbeddedInfo>,
    /// Nothing may be changed.
    pub read_only: bool,
    /// Name of a theme; none = the terminal's own colours.
    pub theme: Option<String>,
    /// Where the user's own themes are, `NAME.toml` each.
    pub theme_dir: Option<PathBuf>,
    /// Refresh interval, milliseconds.
    pub interval_ms: i64,
    /// Audit and ledger.
    pub state_dir: PathBuf,
    /// Show times in UTC from the start.
    pub utc: bool,
    /// Signs of one ASCII cell only.
    pub ascii: bool,
    /// The mouse is taken from the terminal at first.
    pub mouse: bool,
    /// Name of the context.
    pub context: String,
    /// Name servers as shown in the header.
    pub namesrv: String,
    /// `danger = "prod"`: names are typed before a change.
    pub danger_prod: bool,
    /// The one-shot commands of dialogs exist in this binary.
    pub commands: bool,
    /// How the process asks the console to end.
    pub stop: StopHandle,
}

/// Ends the console from outside: kept by whoever waits for signals.
#[derive(Clone, Debug, Default)]
pub struct StopHandle {
    inner: Arc<StopInner>,
}

#[derive(Debug, Default)]
struct StopInner {
    asked: AtomicBool,
    to: Mutex<Option<Sender<Event>>>,
}

impl StopHandle {
    /// A handle for `Settings`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the console to leave without a question. Works before and after it runs.
    pub fn stop(&self) {
        self.inner.asked.store(true, Ordering::SeqCst);
        if let Ok(guard) = self.inner.to.lock()
            && let Some(sender) = guard.as_ref()
        {
            let _ = sender.send(Event::Stop); // nobody listens any more: it has ended already
        }
    }

    fn attach(&self, sender: Sender<Event>) {
        if let Ok(mut guard) = self.inner.to.lock() {
            *guard = Some(sender);
        }
        if self.inner.asked.load(Ordering::SeqCst) {
            self.stop();
        }
    }
}

/// Why the console cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// There is no terminal.
    #[error("this is not a terminal: use a one-shot command or `mqdeck serve`")]
    NotATerminal,
    /// The terminal failed.
    #[error("terminal: {0}")]
    Terminal(#[from] io::Error),
}

/// Restores the terminal, from whatever thread; idempotent.
pub fn restore_terminal() {
    terminal::restore();
}

/// Where effects go and events come from while the console runs.
pub struct Wires {
    /// Cloned by whoever answers.
    pub sender: Sender<Event>,
    events: Receiver<Event>,
}

impl Wires {
    /// A fresh pair.
    pub fn new() -> Self {
        let (sender, events) = mpsc::channel();
        Self { sender, events }
    }
}

/// Runs the console over a cluster, on the calling thread, until the user or `Settings::stop` ends it.
///
/// Poller and effects run on the cluster's own runtime.
///
/// # Errors
/// No terminal, or it failed. A state directory that cannot be used makes the session read-only.
pub fn run(cluster: &Arc<Cluster>, settings: &Settings) -> Result<Exit, ConsoleError> {
    let wires = Wires::new();
    let (state, told) = match StateDir::open(&settings.state_dir) {
        Ok(state) => (Some(state), None),
        Err(why) => (None, Some(format!("{}: {why}", settings.state_dir.display()))),
    };
    let ledger = state.as_ref().map(Ledger::read).unwrap_or_default();
    let (orders, inbox) = tokio::sync::mpsc::unbounded_channel();
    let executor = Executor {
        cluster: Arc::clone(cluster),
        handle: cluster.handle().clone(),
        out: wires.sender.clone(),
        orders,
        ledger: Arc::new(Mutex::new(ledger)),
        who: Who::of_process(&settings.context),
        steers: Arc::default(),
        state,
    };
    if let Some(why) = told {
        let _ = wires.sender.send(Event::CannotAudit(why)); // the receiver lives in `wires`
    }
    let last = executor.state.as_ref().and_then(|s| s.last_change().ok().flatten());
    if let Some(line) = last {
        let _ = wires.sender.send(Event::LastChange(last_change(&line))); // as above
    }
    let poller = executor.handle.spawn(poll::run(
        Arc::clone(cluster),
        wires.sender.clone(),
        inbox,
        Arc::clone(&executor.ledger),
    ));
    let exit = drive(settings, &wires, &mut |effect| executor.run(effect));
    poller.abort();
    exit
}

/// Runs the console on this thread until it ends. `execute` takes what the console itself cannot do
/// and must not wait.
///
/// # Errors
/// No terminal, or it failed.
pub fn drive(
    settings: &Settings,
    wires: &Wires,
    execute: &mut dyn FnMut(Effect),
) -> Result<Exit, ConsoleError> {
    if !terminal::is_terminal() {
        return Err(ConsoleError::NotATerminal);
    }
    let clock: Arc<SystemClock> = Arc::new(SystemClock::new());
    let guard = Guard::enter()?;
    terminal::mouse(settings.mouse)?;
    settings.stop.attach(wires.sender.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let reader = spawn_input(&wires.sender, &clock, &stop)?;
    let size = crossterm::terminal::size()?;
    let wardrobe = Wardrobe::new(settings);
    let (theme, told) = wardrobe.theme(settings.theme.as_deref());
    let mut app = app(settings, size, clock.wall_ms());
    if let Some(text) = told {
        app.tell(text);
    }
    let mut presenter = Presenter::new(io::stdout(), size, theme);
    presenter.ascii = settings.ascii;
    let mut run = Loop { app, presenter, wardrobe, clock: &*clock, execute };
    let exit = run.run(&wires.events);
    stop.store(true, Ordering::Relaxed);
    drop(guard);
    let _ = reader.join(); // a reader that panicked has nothing left to say
    exit
}

fn spawn_input(
    sender: &Sender<Event>,
    clock: &Arc<SystemClock>,
    stop: &Arc<AtomicBool>,
) -> io::Result<std::thread::JoinHandle<()>> {
    let (sender, clock, stop) = (sender.clone(), Arc::clone(clock), Arc::clone(stop));
    std::thread::Builder::new().name("input".to_owned()).spawn(move || {
        if input::read(&sender, &*clock, &stop).is_err() {
            let _ = sender.send(Event::Stop); // the terminal is gone, and so may be the loop
        }
    })
}

fn app(settings: &Settings, size: (u16, u16), now_ms: i64) -> App {
    let embedded = settings.embedded.clone().map(|e| Embedded {
        listen: e.listen,
        data_dir: e.data_dir,
        demo: e.demo,
    });
    let session = Session {
        context: settings.context.clone(),
        namesrv: settings.namesrv.clone(),
        danger_prod: settings.danger_prod,
        embedded,
        zone: Zone::Machine,
        commands: settings.commands,
    };
    let mut app = App::new(session, size, now_ms);
    app.interval_ms = settings.interval_ms.max(500);
    app.mouse = settings.mouse;
    app.theme_auto = settings.theme.is_none();
    app.theme = settings.theme.clone().unwrap_or(app.theme);
    if settings.utc {
        app.time_mode = TimeMode::Utc;
    }
    if settings.read_only {
        app.read_only = Some("read-only: started so".to_owned());
    }
    app
}

/// The looks that this terminal can have.
struct Wardrobe {
    /// Where the user's own themes are, `NAME.toml` each.
    dir: Option<PathBuf>,
    /// `NO_COLOR`, or a terminal that knows none.
    no_color: bool,
    depth: Depth,
}

impl Wardrobe {
    fn new(settings: &Settings) -> Self {
        let set = |name: &str| std::env::var(name).unwrap_or_default();
        let no_color = !set("NO_COLOR").is_empty() || set("TERM") == "dumb";
        let depth = match (set("COLORTERM").as_str(), set("TERM").contains("256")) {
            ("truecolor" | "24bit", _) => Depth::True,
            (_, true) => Depth::Ansi256,
            _ => Depth::Ansi16,
        };
        Self { dir: settings.theme_dir.clone(), no_color, depth }
    }

    /// The theme of a name; what is to be told when it cannot be used.
    fn theme(&self, name: Option<&str>) -> (Theme, Option<String>) {
        let file = name.and_then(|name| self.own(name));
        let (theme, told) = Theme::choose(name, file.as_deref(), self.no_color);
        if let Some(told) = &told {
            tracing::warn!("{told}");
        }
        (theme.reduced(self.depth), told)
    }

    /// The text of the user's own theme of a name.
    fn own(&self, name: &str) -> Option<String> {
        let path = self.dir.as_ref()?.join(format!("{name}.toml"));
        io::read_to_string(std::fs::OpenOptions::new().read(true).open(path).ok()?).ok()
    }
}

/// Everything one run needs.
struct Loop<'a, W: Write> {
    app: App,
    presenter: Presenter<W>,
    wardrobe: Wardrobe,
    clock: &'a dyn Clock,
    execute: &'a mut dyn FnMut(Effect),
}

impl<W: Write> Loop<'_, W> {
    fn run(&mut self, events: &Receiver<Event>) -> Result<Exit, ConsoleError> {
        let now = self.clock.wall_ms();
        if let Some(exit) = self.take(Event::Tick(now))? {
            return Ok(exit);
        }
        self.app.hits = self.presenter.draw(&self.app)?;
        self.presenter.ask_background()?;
        let (mut drawn, mut ticked) = (now, now);
        let mut dirty = false;
        loop {
            let now = self.clock.wall_ms();
            let due = if dirty { drawn + FRAME_MS } else { ticked + TICK_MS };
            // A clock that was set back must not make the loop sleep for hours.
            let wait = (due - now).clamp(0, TICK_MS);
            let mut at_once = false;
            match events.recv_timeout(Duration::from_millis(wait as u64)) {
                Ok(event) => {
                    let mut next = Some(event);
                    for _ in 0..EVENTS_PER_FRAME {
                        let Some(event) = next else { break };
                        at_once |= matches!(
                            event,
                            Event::Key(..)
                                | Event::Mouse(..)
                                | Event::Paste(..)
                                | Event::Resize(..)
                                | Event::Background(..)
                        );
                        if let Some(exit) = self.take(event)? {
                            return Ok(exit);
                        }
                        next = events.try_recv().ok();
                    }
                    dirty = true;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Exit::Stopped),
            }
            let now = self.clock.wall_ms();
            if now - ticked >= TICK_MS || now < ticked {
                ticked = now;
                dirty = true;
                if let Some(exit) = self.take(Event::Tick(now))? {
                    return Ok(exit);
                }
            }
            if dirty && (at_once || now - drawn >= FRAME_MS || now < drawn) {
                self.app.hits = self.presenter.draw(&self.app)?;
                drawn = now;
                dirty = false;
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<Option<Exit>, ConsoleError> {
        if let Event::Resize(w, h) = event {
            self.presenter.resize((w, h))?;
        }
        for effect in update(&mut self.app, event) {
            match effect {
                Effect::Exit(exit) => return Ok(Some(exit)),
                Effect::Redraw => self.presenter.repaint()?,
                Effect::Suspend => self.suspend()?,
                Effect::Copy(text) => {
                    let told = clipboard::copy(&text, &mut self.presenter.backend);
                    self.app.tell(told);
                }
                Effect::Mouse(on) => terminal::mouse(on)?,
                Effect::Theme(name) => self.dress(&name)?,
                other => (self.execute)(other),
            }
        }
        Ok(None)
    }

    /// Puts another theme on; one that cannot be used is told and changes nothing.
    fn dress(&mut self, name: &str) -> Result<(), ConsoleError> {
        let (theme, told) = self.wardrobe.theme(Some(name));
        if let Some(told) = told {
            self.app.tell(told);
            return Ok(());
        }
        self.presenter.theme = theme;
        self.presenter.repaint()?;
        Ok(())
    }

    fn suspend(&mut self) -> Result<(), ConsoleError> {
        terminal::restore();
        let me = rustix::process::getpid();
        if rustix::process::kill_process(me, rustix::process::Signal::TSTP).is_err() {
            self.app.tell("this process cannot be suspended");
        }
        terminal::set()?;
        terminal::mouse(self.app.mouse)?;
        let size = crossterm::terminal::size()?;
        self.app.size = size;
        self.presenter.resize(size)?;
        Ok(())
    }
}

/// Writes what changed since the last frame, as one synchronized update.
struct Presenter<W: Write> {
    backend: CrosstermBackend<W>,
    theme: Theme,
    ascii: bool,
    shown: Buffer,
    next: Buffer,
}

impl<W: Write> Presenter<W> {
    fn new(out: W, (w, h): (u16, u16), theme: Theme) -> Self {
        let area = Rect::new(0, 0, w, h);
        let backend = CrosstermBackend::new(out);
        Self { backend, theme, ascii: false, shown: Buffer::empty(area), next: Buffer::empty(area) }
    }

    fn resize(&mut self, (w, h): (u16, u16)) -> io::Result<()> {
        let area = Rect::new(0, 0, w, h);
        self.shown = Buffer::empty(area);
        self.next = Buffer::empty(area);
        queue!(self.backend, Clear(ClearType::All))
    }

    /// Asks for the background, with a question behind it that every terminal answers; nobody waits.
    fn ask_background(&mut self) -> io::Result<()> {
        let term = std::env::var("TERM").unwrap_or_default();
        if matches!(term.as_str(), "" | "dumb" | "linux") {
            return Ok(());
        }
        self.backend.write_all(b"\x1b]11;?\x07\x1b[c")?;
        Write::flush(&mut self.backend)
    }

    fn repaint(&mut self) -> io::Result<()> {
        let area = self.shown.area;
        self.resize((area.width, area.height))
    }

    /// Says what can be clicked where.
    fn draw(&mut self, app: &App) -> io::Result<Vec<(Rect, Hit)>> {
        self.next.reset();
        let mut canvas =
            Canvas { buf: &mut self.next, theme: &self.theme, stale: false, hits: Vec::new() };
        frame::draw(app, &mut canvas);
        let hits = std::mem::take(&mut canvas.hits);
        if self.ascii {
            ascii::flatten(&mut self.next);
        }
        if self.next == self.shown {
            return Ok(hits);
        }
        queue!(self.backend, BeginSynchronizedUpdate)?;
        let changes = self.shown.diff(&self.next);
        self.backend.draw(changes.into_iter())?;
        queue!(self.backend, EndSynchronizedUpdate)?;
        Write::flush(&mut self.backend)?;
        std::mem::swap(&mut self.shown, &mut self.next);
        Ok(hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn a_frame_without_change_writes_nothing() {
        let mut out = Vec::new();
        let app = fixtures::app((80, 24));
        let theme = Theme::shipped("mono").unwrap();
        let mut presenter = Presenter::new(&mut out, (80, 24), theme);
        presenter.draw(&app).unwrap();
        presenter.draw(&app).unwrap();
        drop(presenter);
        let first = out.len();
        let theme = Theme::shipped("mono").unwrap();
        let mut again = Vec::new();
        Presenter::new(&mut again, (80, 24), theme).draw(&app).unwrap();
        assert_eq!(first, again.len());
        assert!(first > 1_000);
    }

    #[test]
    fn a_stop_asked_before_the_start_is_not_lost() {
        let handle = StopHandle::new();
        handle.stop();
        let wires = Wires::new();
        handle.attach(wires.sender.clone());
        assert!(matches!(wires.events.try_recv(), Ok(Event::Stop)));
    }
}
