//! A console without terminal: keys in, frames out, effects answered from fixtures.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use crate::app::{App, update};
use crate::effect::Effect;
use crate::event::{Event, Key};
use crate::fixtures;
use crate::keymap::parse_key;
use crate::screen::frame;
use crate::theme::Theme;
use crate::widget::{Canvas, Hit};

/// A console with a clock and a list of what it asked for.
pub struct Deck {
    pub app: App,
    pub now: i64,
    /// Time that each key takes.
    pub step_ms: i64,
    pub effects: Vec<Effect>,
    /// Whether requests are answered.
    pub answers: bool,
}

impl Deck {
    /// With the whole picture.
    pub fn new(size: (u16, u16)) -> Self {
        Self::of(fixtures::app(size))
    }

    /// Around a console.
    pub fn of(app: App) -> Self {
        Self { app, now: fixtures::now(), step_ms: 400, effects: Vec::new(), answers: true }
    }

    /// Presses keys by name, blank-separated; a name in quotes is typed letter by letter.
    pub fn press(&mut self, keys: &str) -> &mut Self {
        for word in keys.split(' ').filter(|w| !w.is_empty()) {
            match word.strip_prefix('\'') {
                Some(text) => {
                    for c in text.chars() {
                        self.key(Key::char(c));
                    }
                }
                None => self.key(parse_key(word).expect("a key of the test")),
            }
        }
        self
    }

    fn key(&mut self, key: Key) {
        self.now += self.step_ms;
        self.send(Event::Key(key, self.now));
    }

    /// One event, its effects answered.
    pub fn send(&mut self, event: Event) {
        let effects = update(&mut self.app, event);
        for effect in effects {
            let answer = if self.answers { answer(&effect) } else { None };
            self.effects.push(effect);
            if let Some(event) = answer {
                self.send(event);
            }
        }
        // Drawing remembers heights, as on a terminal.
        self.app.hits = drawn(&self.app).1;
    }

    /// The frame.
    pub fn text(&self) -> String {
        text(&self.app)
    }

    /// Effects that write.
    pub fn writes(&self) -> usize {
        self.effects.iter().filter(|e| e.writes()).count()
    }
}

fn answer(effect: &Effect) -> Option<Event> {
    Some(match effect {
        Effect::ReadMessages(ticket, ..) => Event::Messages(*ticket, Ok(fixtures::page())),
        Effect::FindWhere(ticket, _) => Event::Where(*ticket, Ok(fixtures::wheres())),
        Effect::FindTrace(ticket, _) => Event::Traced(*ticket, Ok(Box::new(fixtures::life()))),
        Effect::Survey(ticket, what) => Event::Surveyed(*ticket, Ok(fixtures::surveyed(what))),
        Effect::PlanReplay(ticket, ask) => {
            Event::ReplayPlanned(*ticket, Ok(Box::new(fixtures::replay_plan(ask))))
        }
        Effect::CheckResend(ticket, ask) => {
            Event::ResendChecked(*ticket, Ok(Box::new(fixtures::resend_plan(ask))))
        }
        _ => return None,
    })
}

/// Draws a console into a buffer whose colours are roles.
pub fn buffer(app: &App) -> Buffer {
    drawn(app).0
}

/// The same, with what can be clicked where.
fn drawn(app: &App) -> (Buffer, Vec<(Rect, Hit)>) {
    let (w, h) = app.size;
    let mut buf = Buffer::empty(Rect::new(0, 0, w, h));
    let theme = Theme::of_roles();
    let mut canvas = Canvas { buf: &mut buf, theme: &theme, stale: false, hits: Vec::new() };
    frame::draw(app, &mut canvas);
    let hits = std::mem::take(&mut canvas.hits);
    (buf, hits)
}

/// The text of a frame.
pub fn text(app: &App) -> String {
    lines(&buffer(app)).join("\n")
}

/// The lines of a buffer, without blanks at their end.
pub fn lines(buf: &Buffer) -> Vec<String> {
    let row = |y: u16| {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buf.area.width {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buf[(x, y)].symbol();
            skip = crate::widget::text::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        line.trim_end().to_owned()
    };
    (0..buf.area.height).map(row).collect()
}

/// The roles of a frame, one letter a cell: the letter is that of the role's place in the list.
pub fn roles(app: &App) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let buf = buffer(app);
    let mut out = String::new();
    for y in 0..buf.area.height {
        for x in 0..buf.area.width {
            out.push(match buf[(x, y)].fg {
                Color::Indexed(i) => char::from(LETTERS[usize::from(i) % LETTERS.len()]),
                _ => '.',
            });
        }
        out.push('\n');
    }
    out
}

/// What a key costs: update and drawing of the next frame. A measurement, not a proof:
/// `cargo test --release -p mqdeck-tui cost_of -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::disallowed_methods)] // measures real time
fn cost_of_a_key_and_its_frame() {
    for size in [(80, 24), (120, 40), (200, 60)] {
        let mut deck = Deck::new(size);
        let mut took: Vec<u128> = Vec::new();
        for n in 0..2_000 {
            let start = std::time::Instant::now();
            deck.press(["3", "j", "j", "k", "1", "5", "4", "7"][n % 8]);
            let drawn = buffer(&deck.app);
            took.push(start.elapsed().as_micros());
            assert!(drawn.area.width > 0);
        }
        took.sort_unstable();
        println!("{size:?}: p50 {} µs, p99 {} µs", took[1_000], took[1_980]);
    }
}
