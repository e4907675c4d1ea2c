//! Answers of the terminal among the keys: the background that OSC 11 tells, late or in pieces.
//!
//! crossterm hands such an answer on as Alt+`]`, `1`, `1`, `;` … up to BEL or Alt+`\`; a line that
//! delivers Esc by itself breaks it further. No answer ever becomes a key (console-ux.md §12). Pure:
//! time is an argument.

use crate::event::{Code, Key};

/// How long after the question an Esc may be the beginning of its answer.
const AWAITED_MS: i64 = 10_000;
/// How long keys are held that may be the beginning of an answer.
const HELD_MS: i64 = 60;
/// How long the rest of an answer may take, and how long it may be.
const REST_MS: i64 = 2_000;
const LEN_MAX: usize = 64;
/// How an answer begins, behind Esc.
const HEAD: [char; 4] = [']', '1', '1', ';'];

/// A key with when it came.
type Pressed = (Key, i64);

/// What came of a key, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    Key(Key, i64),
    /// Red, green and blue of the background.
    Background(u8, u8, u8),
}

/// Takes answers out of the keys.
#[derive(Clone, Debug)]
pub struct Answers {
    asked_ms: i64,
    held: Vec<Pressed>,
    /// The text of an answer that has begun, and when its last piece came.
    rest: Option<(String, i64)>,
    /// An Esc within an answer: what follows may end it.
    escaped: bool,
}

impl Answers {
    /// From when the question was asked.
    pub const fn new(asked_ms: i64) -> Self {
        Self { asked_ms, held: Vec::new(), rest: None, escaped: false }
    }

    /// Whether something waits for time to pass.
    pub const fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes a key; Alt comes as Esc, then the key.
    pub fn key(&mut self, key: Key, now_ms: i64) -> Vec<Came> {
        let mut out = self.passed(now_ms);
        if self.rest.is_some() {
            out.extend(self.piece(key, now_ms));
            return out;
        }
        self.held.push((key, now_ms));
        if let Some(fits) = self.fits() {
            if fits {
                self.held.clear();
                self.rest = Some((String::new(), now_ms));
            }
            return out;
        }
        // The last key may itself begin an answer.
        let last = self.held.pop();
        out.extend(self.release());
        if let Some(last) = last {
            self.held.push(last);
            if self.fits().is_none() {
                out.extend(self.release());
            }
        }
        out
    }

    /// Lets go what has been held for too long.
    pub fn passed(&mut self, now_ms: i64) -> Vec<Came> {
        if self.rest.as_ref().is_some_and(|(_, at)| now_ms - at > REST_MS) {
            self.rest = None;
        }
        if self.held.last().is_some_and(|(_, at)| now_ms - at > HELD_MS) {
            return self.release();
        }
        Vec::new()
    }

    fn release(&mut self) -> Vec<Came> {
        self.held.drain(..).map(|(key, at)| Came::Key(key, at)).collect()
    }

    /// Whether what is held is the beginning of an answer: all of it, a part of it, or none.
    fn fits(&self) -> Option<bool> {
        let esc = self.held.first().is_some_and(|(key, _)| *key == Key::plain(Code::Esc));
        let awaited = self.held.first().is_some_and(|(_, at)| at - self.asked_ms <= AWAITED_MS);
        if esc && self.held.len() == 1 && !awaited {
            return None;
        }
        let keys = &self.held[usize::from(esc)..];
        let same = keys.iter().zip(HEAD).all(|((key, _), head)| *key == Key::char(head));
        (same && keys.len() <= HEAD.len()).then_some(keys.len() == HEAD.len())
    }

    /// One more piece of an answer that has begun.
    fn piece(&mut self, key: Key, now_ms: i64) -> Option<Came> {
        let (text, at) = self.rest.as_mut()?;
        *at = now_ms;
        let ends = key == Key::ctrl('g') || (self.escaped && key == Key::char('\\'));
        self.escaped = key == Key::plain(Code::Esc);
        match key.code {
            Code::Char(c) if !ends && !key.ctrl && text.len() < LEN_MAX => text.push(c),
            _ => {}
        }
        if !ends {
            return None;
        }
        let (text, _) = self.rest.take()?;
        self.escaped = false;
        let (r, g, b) = color(&text)?;
        Some(Came::Background(r, g, b))
    }
}

/// `rgb:RRRR/GGGG/BBBB`, each of one to four hex digits.
fn color(text: &str) -> Option<(u8, u8, u8)> {
    let rest = text.strip_prefix("rgb:").or_else(|| text.strip_prefix("rgba:"))?;
    let mut parts = rest.split('/').map(|part| {
        let max = (1u32 << (4 * u32::try_from(part.len()).ok()?)).checked_sub(1)?;
        let value = u32::from_str_radix(part, 16).ok().filter(|_| (1..=4).contains(&part.len()))?;
        u8::try_from(value * 255 / max).ok()
    });
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// Whether dark text is readable on this background.
pub fn is_light((r, g, b): (u8, u8, u8)) -> bool {
    crate::model::contrast::luminance((r, g, b)) > 0.18
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Keys of an answer, as crossterm hands them on.
    fn answer(bel: bool) -> Vec<Key> {
        let mut keys = vec![Key::plain(Code::Esc)];
        keys.extend("]11;rgb:1e1e/2020/FfFf".chars().map(Key::char));
        if bel {
            keys.push(Key::ctrl('g'));
        } else {
            keys.extend([Key::plain(Code::Esc), Key::char('\\')]);
        }
        keys
    }

    fn feed(answers: &mut Answers, keys: &[Key], at: i64, step: i64) -> Vec<Came> {
        let mut out = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            out.extend(answers.key(*key, at + step * i as i64));
        }
        out.extend(answers.passed(at + step * keys.len() as i64 + HELD_MS + 1));
        out
    }

    #[test]
    fn an_answer_is_a_background_and_no_key() {
        for bel in [true, false] {
            let came = feed(&mut Answers::new(0), &answer(bel), 5, 1);
            assert_eq!(came, [Came::Background(0x1e, 0x20, 0xff)]);
        }
    }

    #[test]
    fn a_late_answer_is_known_by_its_beginning() {
        let came = feed(&mut Answers::new(0), &answer(true)[1..], 90_000, 1);
        assert_eq!(came, [Came::Background(0x1e, 0x20, 0xff)]);
    }

    #[test]
    fn what_only_begins_like_one_is_keys_again() {
        let keys = [Key::char(']'), Key::char('1'), Key::char('x')];
        let came = feed(&mut Answers::new(0), &keys, 90_000, 1);
        assert_eq!(
            came,
            keys.iter()
                .enumerate()
                .map(|(i, k)| Came::Key(*k, 90_000 + i as i64))
                .collect::<Vec<_>>()
        );
        let esc = Key::plain(Code::Esc);
        assert_eq!(feed(&mut Answers::new(0), &[esc], 10, 1), [Came::Key(esc, 10)]);
        let mut later = Answers::new(0);
        assert_eq!(later.key(esc, 90_000), [Came::Key(esc, 90_000)], "not held");
    }

    #[test]
    fn an_answer_that_never_ends_does_not_swallow_keys_for_ever() {
        let mut answers = Answers::new(0);
        assert_eq!(feed(&mut answers, &answer(true)[..8], 5, 1), []);
        let j = Key::char('j');
        let at = 5 + 8 + REST_MS + 1;
        assert_eq!(answers.key(j, at), [Came::Key(j, at)]);
    }

    proptest! {
        #[test]
        fn no_answer_becomes_a_key_however_it_is_split(
            at in 0i64..9_000, bel: bool, gaps in prop::collection::vec(0i64..HELD_MS, 26),
        ) {
            let mut answers = Answers::new(0);
            let (mut now, mut came) = (at, Vec::new());
            for (key, gap) in answer(bel).into_iter().zip(gaps) {
                now += gap;
                came.extend(answers.key(key, now));
            }
            prop_assert_eq!(came, [Came::Background(0x1e, 0x20, 0xff)]);
        }

        #[test]
        fn other_keys_come_out_as_they_went_in(text in "[a-z0-9;\\[x]{0,20}") {
            let keys: Vec<Key> = text.chars().map(Key::char).collect();
            let came = feed(&mut Answers::new(0), &keys, 0, 5);
            let back: Vec<Key> = came.iter().filter_map(|c| match c {
                Came::Key(key, _) => Some(*key),
                Came::Background(..) => None,
            }).collect();
            prop_assert_eq!(back, keys);
        }
    }
}
