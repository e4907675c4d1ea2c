//! The input thread's work: the only reader of the terminal. Turns its events into ours.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use crossterm::event::{
    self as term, KeyCode, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
};
use engine::clock::Clock;

use crate::answer::{Answers, Came};
use crate::event::{Code, Event, Key, Pointer};

/// How long one wait for input lasts, so that the thread notices the end.
const WAIT: Duration = Duration::from_millis(200);
/// The same while keys are held that may be the terminal's answer.
const SHORT: Duration = Duration::from_millis(30);

/// Reads until `stop` or until nobody listens.
///
/// # Errors
/// The terminal cannot be read any more.
pub fn read(out: &Sender<Event>, clock: &dyn Clock, stop: &AtomicBool) -> io::Result<()> {
    let mut answers = Answers::new(clock.wall_ms());
    while !stop.load(Ordering::Relaxed) {
        let wait = if answers.is_holding() { SHORT } else { WAIT };
        let events = if term::poll(wait)? {
            sorted(translate(&term::read()?, clock.wall_ms()), &mut answers)
        } else {
            answers.passed(clock.wall_ms()).into_iter().map(event).collect()
        };
        for event in events {
            if out.send(event).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Takes the terminal's answers out of the keys.
fn sorted(events: Vec<Event>, answers: &mut Answers) -> Vec<Event> {
    let mut out = Vec::new();
    for one in events {
        match one {
            Event::Key(key, now) => out.extend(answers.key(key, now).into_iter().map(event)),
            other => out.push(other),
        }
    }
    out
}

const fn event(came: Came) -> Event {
    match came {
        Came::Key(key, at) => Event::Key(key, at),
        Came::Background(r, g, b) => Event::Background(r, g, b),
    }
}

fn translate(event: &term::Event, now_ms: i64) -> Vec<Event> {
    match event {
        term::Event::Key(key) if key.kind != KeyEventKind::Release => {
            keys(*key).into_iter().map(|k| Event::Key(k, now_ms)).collect()
        }
        term::Event::Paste(text) => vec![Event::Paste(text.clone(), now_ms)],
        term::Event::Resize(w, h) => vec![Event::Resize(*w, *h)],
        term::Event::Mouse(mouse) if !mouse.modifiers.contains(KeyModifiers::SHIFT) => {
            let pointer = match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => Pointer::Click,
                MouseEventKind::ScrollUp => Pointer::Up,
                MouseEventKind::ScrollDown => Pointer::Down,
                _ => return Vec::new(),
            };
            vec![Event::Mouse(pointer, (mouse.column, mouse.row), now_ms)]
        }
        term::Event::FocusGained => vec![Event::Focus(true)],
        term::Event::FocusLost => vec![Event::Focus(false)],
        _ => Vec::new(),
    }
}

/// Alt and a key is Esc, then the key: some lines deliver both bytes together.
fn keys(key: term::KeyEvent) -> Vec<Key> {
    let Some(code) = code(key.code) else { return Vec::new() };
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    let code = match (code, ctrl) {
        (Code::Char(c), true) => Code::Char(c.to_ascii_lowercase()),
        (Code::Tab, _) if key.modifiers.contains(KeyModifiers::SHIFT) => Code::BackTab,
        (other, _) => other,
    };
    let pressed = Key { code, ctrl };
    if key.modifiers.contains(KeyModifiers::ALT) {
        vec![Key::plain(Code::Esc), pressed]
    } else {
        vec![pressed]
    }
}

const fn code(code: KeyCode) -> Option<Code> {
    Some(match code {
        KeyCode::Char(c) => Code::Char(c),
        KeyCode::F(n) => Code::F(n),
        KeyCode::Enter => Code::Enter,
        KeyCode::Esc => Code::Esc,
        KeyCode::Tab => Code::Tab,
        KeyCode::BackTab => Code::BackTab,
        KeyCode::Backspace => Code::Backspace,
        KeyCode::Delete => Code::Delete,
        KeyCode::Up => Code::Up,
        KeyCode::Down => Code::Down,
        KeyCode::Left => Code::Left,
        KeyCode::Right => Code::Right,
        KeyCode::Home => Code::Home,
        KeyCode::End => Code::End,
        KeyCode::PageUp => Code::PageUp,
        KeyCode::PageDown => Code::PageDown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(code: KeyCode, modifiers: KeyModifiers) -> Vec<Key> {
        keys(term::KeyEvent::new(code, modifiers))
    }

    #[test]
    fn alt_is_esc_then_the_key() {
        assert_eq!(
            press(KeyCode::Char('x'), KeyModifiers::ALT),
            [Key::plain(Code::Esc), Key::char('x')]
        );
        assert_eq!(press(KeyCode::Char('C'), KeyModifiers::CONTROL), [Key::ctrl('c')]);
        assert_eq!(press(KeyCode::Char('G'), KeyModifiers::SHIFT), [Key::char('G')]);
    }
}
