//! Where a delayed message waits, and until when.
//!
//! The table of levels (text ↔ milliseconds), levels, and times of any length. Not the delivery: that
//! is a task of the broker. Spec: semantics.md §9, §10.

use std::fmt;

use super::Refusal;
use crate::protocol::response_code::MESSAGE_ILLEGAL;

/// The table of a broker that nobody configured.
pub const DEFAULT_LEVELS: &str = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";
/// Most levels of a table: a level is written in one byte.
pub const LEVELS_MAX: usize = 255;
/// Longest wait of one level: a year, far from overflow.
pub const WAIT_MS_MAX: i64 = 366 * 86_400_000;
/// Furthest a timer message may lie ahead, unless configured.
pub const TIMER_AHEAD_MS_MAX: i64 = 259_200_000;
/// Timer messages are delivered to this precision.
pub const TIMER_PRECISION_MS: i64 = 1_000;

/// Why a table of levels is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelsError {
    /// No level at all.
    #[error("no delay level")]
    Empty,
    /// More than [`LEVELS_MAX`].
    #[error("more than {LEVELS_MAX} delay levels")]
    TooMany,
    /// Not a number with unit s, m, h or d, or longer than [`WAIT_MS_MAX`].
    #[error("delay level {level} is {text:?}, not a number with unit s, m, h or d")]
    Word {
        /// Level, from 1.
        level: usize,
        /// What stands there.
        text: String,
    },
}

/// Waits per level; level 1 is the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    waits_ms: Vec<i64>,
}

impl Default for Levels {
    fn default() -> Self {
        Self::parse(DEFAULT_LEVELS).expect("the default table is well formed")
    }
}

impl Levels {
    /// Reads `1s 5s 10s …`.
    pub fn parse(text: &str) -> Result<Self, LevelsError> {
        let mut waits_ms = Vec::new();
        for (at, word) in text.split_whitespace().enumerate() {
            if at == LEVELS_MAX {
                return Err(LevelsError::TooMany);
            }
            let wait = wait_ms(word)
                .ok_or_else(|| LevelsError::Word { level: at + 1, text: word.to_owned() })?;
            waits_ms.push(wait);
        }
        if waits_ms.is_empty() { Err(LevelsError::Empty) } else { Ok(Self { waits_ms }) }
    }

    /// Highest level.
    #[must_use]
    pub fn level_max(&self) -> u8 {
        u8::try_from(self.waits_ms.len()).expect("bounded by LEVELS_MAX")
    }

    /// Wait of a level in ms; a level above the table waits as the highest, 0 does not wait.
    #[must_use]
    pub fn wait_ms(&self, level: u8) -> i64 {
        match usize::from(level.min(self.level_max())).checked_sub(1) {
            Some(at) => self.waits_ms[at],
            None => 0,
        }
    }

    /// Where a message of this level waits when stored at `now_ms`.
    #[must_use]
    pub fn place(&self, level: u8, now_ms: i64) -> Place {
        let level = level.clamp(1, self.level_max());
        let due_ms = now_ms.saturating_add(self.wait_ms(level));
        Place { level, queue: i32::from(level) - 1, due_ms }
    }

    /// The level that the property `DELAY` asks for: `None` when it asks for no delay.
    #[must_use]
    pub fn level_of(&self, property: Option<&str>) -> Option<u8> {
        let asked: i64 = property?.trim().parse().ok()?;
        (asked > 0).then(|| u8::try_from(asked).unwrap_or(u8::MAX).min(self.level_max()))
    }

    /// When a unit of this level is due. A time further ahead than the level waits comes from a clock
    /// that was set back since, or a longer table: it is due now.
    #[must_use]
    pub fn due_ms(&self, level: u8, stored_due_ms: i64, now_ms: i64) -> i64 {
        let latest = now_ms.saturating_add(self.wait_ms(level));
        if stored_due_ms > latest { now_ms } else { stored_due_ms }
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, wait) in self.waits_ms.iter().enumerate() {
            let unit = UNITS.iter().rev().find(|(_, ms)| wait % ms == 0 && *wait >= *ms);
            let (unit, ms) = unit.unwrap_or(&UNITS[0]);
            write!(f, "{}{}{unit}", if at == 0 { "" } else { " " }, wait / ms)?;
        }
        Ok(())
    }
}

const UNITS: [(char, i64); 4] = [('s', 1_000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000)];

fn wait_ms(word: &str) -> Option<i64> {
    let (at, unit) = word.char_indices().next_back()?;
    let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let count: u32 = word[..at].parse().ok()?;
    i64::from(count).checked_mul(*ms).filter(|wait| *wait <= WAIT_MS_MAX)
}

/// A place in the schedule topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Delay level, from 1.
    pub level: u8,
    /// Queue of the schedule topic.
    pub queue: i32,
    /// Due time in ms, stored as the unit's tag code.
    pub due_ms: i64,
}

/// What a message says about its time, as property texts.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimerAsk<'a> {
    /// `TIMER_DELAY_SEC`, wins over the others.
    pub delay_sec: Option<&'a str>,
    /// `TIMER_DELAY_MS`, wins over the time.
    pub delay_ms: Option<&'a str>,
    /// `TIMER_DELIVER_MS`.
    pub deliver_ms: Option<&'a str>,
    /// `TIMER_DEL_UNIQKEY` is there: this message removes another.
    pub recalls: bool,
}

/// What a timer message becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timer {
    /// It asks for no time.
    No,
    /// Its time has come: an ordinary message.
    Now,
    /// It waits on the timer topic until this time, a whole step of the precision.
    At {
        /// Value of `TIMER_OUT_MS`.
        out_ms: i64,
    },
    /// It is not taken.
    Refuse(Refusal),
}

/// Decides about a message without delay level.
#[must_use]
pub fn timer(ask: TimerAsk<'_>, now_ms: i64, ahead_ms_max: i64) -> Timer {
    let number = |text: &str| text.trim().parse::<i64>().ok();
    let asked = if let Some(text) = ask.delay_sec {
        number(text).map(|sec| now_ms.saturating_add(sec.saturating_mul(1_000)))
    } else if let Some(text) = ask.delay_ms {
        number(text).map(|ms| now_ms.saturating_add(ms))
    } else if let Some(text) = ask.deliver_ms {
        number(text)
    } else {
        return Timer::No;
    };
    let illegal = |remark: &'static str| Timer::Refuse(Refusal::new(MESSAGE_ILLEGAL, remark));
    let Some(deliver_ms) = asked else {
        return illegal("timer message illegal, its time is not a number");
    };
    if deliver_ms.saturating_sub(now_ms) > ahead_ms_max {
        let remark = format!(
            "timer message illegal, the delay time should not be bigger than the max delay \
             {ahead_ms_max}ms"
        );
        return Timer::Refuse(Refusal::new(MESSAGE_ILLEGAL, remark));
    }
    if deliver_ms <= now_ms {
        return if ask.recalls {
            illegal("timer message illegal, the message to recall is due")
        } else {
            Timer::Now
        };
    }
    Timer::At { out_ms: floor(deliver_ms) }
}

/// Rounds down to the precision; an exact step goes one step lower (semantics.md §10).
fn floor(deliver_ms: i64) -> i64 {
    match deliver_ms.rem_euclid(TIMER_PRECISION_MS) {
        0 => deliver_ms - TIMER_PRECISION_MS,
        rest => deliver_ms - rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000_500;

    #[test]
    fn the_default_table_has_eighteen_levels() {
        let levels = Levels::default();
        assert_eq!(levels.level_max(), 18);
        assert_eq!([1, 3, 5, 18].map(|l| levels.wait_ms(l)), [1_000, 10_000, 60_000, 7_200_000]);
        assert_eq!((levels.wait_ms(0), levels.wait_ms(200)), (0, 7_200_000));
    }

    #[test]
    fn a_table_prints_as_it_was_read() {
        for text in [DEFAULT_LEVELS, "1s", "90s 1d 25h", "0s 1s"] {
            assert_eq!(Levels::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn malformed_tables_are_refused_with_the_level() {
        assert_eq!(Levels::parse("  "), Err(LevelsError::Empty));
        assert_eq!(Levels::parse(&"1s ".repeat(256)), Err(LevelsError::TooMany));
        for bad in ["5", "s", "-1s", "1x", "1.5s", "99999999999s", "4000000000d", "1ß"] {
            let error = Levels::parse(&format!("1s {bad}")).unwrap_err();
            assert_eq!(error, LevelsError::Word { level: 2, text: bad.to_owned() });
        }
    }

    #[test]
    fn a_level_waits_in_its_queue_until_its_time() {
        let place = Levels::default().place(3, 500);
        assert_eq!(place, Place { level: 3, queue: 2, due_ms: 10_500 });
        assert_eq!(Levels::default().place(99, 0).queue, 17);
    }

    #[test]
    fn the_delay_property_is_capped_and_nonsense_is_no_delay() {
        let levels = Levels::default();
        for (text, want) in [
            ("3", Some(3)),
            ("19", Some(18)),
            ("999999", Some(18)),
            ("0", None),
            ("-1", None),
            ("x", None),
        ] {
            assert_eq!(levels.level_of(Some(text)), want, "{text}");
        }
        assert_eq!(levels.level_of(None), None);
    }

    #[test]
    fn a_due_time_too_far_ahead_is_now() {
        let levels = Levels::default();
        assert_eq!(levels.due_ms(1, 1_900, 1_000), 1_900);
        assert_eq!(levels.due_ms(1, 2_001, 1_000), 1_000);
        assert_eq!(levels.due_ms(1, 5, 1_000), 5);
    }

    #[test]
    fn timer_texts_are_read_in_their_order_of_precedence() {
        let max = TIMER_AHEAD_MS_MAX;
        let ask = TimerAsk {
            delay_sec: Some("2"),
            delay_ms: Some("9"),
            deliver_ms: Some("9"),
            recalls: false,
        };
        assert_eq!(timer(ask, NOW, max), Timer::At { out_ms: 1_000_002_000 });
        let ask = TimerAsk { delay_ms: Some("2500"), deliver_ms: Some("9"), ..TimerAsk::default() };
        assert_eq!(timer(ask, NOW, max), Timer::At { out_ms: 1_000_002_000 });
        assert_eq!(timer(TimerAsk::default(), NOW, max), Timer::No);
    }

    #[test]
    fn due_times_are_delivered_at_once_and_impossible_ones_refused() {
        let at =
            |text| timer(TimerAsk { deliver_ms: Some(text), ..TimerAsk::default() }, NOW, 10_000);
        assert_eq!(at("1000000500"), Timer::Now);
        assert_eq!(at("1000000501"), Timer::At { out_ms: 1_000_000_000 });
        assert_eq!(at("1000010500"), Timer::At { out_ms: 1_000_010_000 });
        for text in ["1000010501", "9223372036854775807", "soon", ""] {
            assert!(matches!(at(text), Timer::Refuse(Refusal { code: 13, .. })), "{text}");
        }
        let recall = TimerAsk { deliver_ms: Some("1"), recalls: true, ..TimerAsk::default() };
        assert!(matches!(timer(recall, NOW, 10_000), Timer::Refuse(Refusal { code: 13, .. })));
    }
}
