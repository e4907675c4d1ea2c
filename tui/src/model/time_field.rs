//! What a time field accepts (console-ux.md §5.3): `-2h`, `-1d12h`, `2026-03-14 12:03`, `12:03`,
//! ISO 8601 with offset, `@1773460000000`, `start`, `end`. A local time that happens twice or never
//! is refused with its readings, never guessed.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

use crate::model::clock::{Reading, Zone};

/// A parsed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    At(i64),
    Start,
    End,
}

/// Why a text is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("type a time: -2h, 12:03, start")]
    Empty,
    #[error("not a time: try -2h, 12:03 or start")]
    Unreadable,
    #[error("{0} lies in the future")]
    Future(String),
    #[error("this local time happens twice: {0} or {1}; add the offset")]
    Twice(String, String),
    #[error("this local time never happens: clocks are set forward over it")]
    Never,
}

/// Reads a field.
///
/// # Errors
/// Every text that is not exactly one instant.
pub fn parse(text: &str, now_ms: i64, zone: Zone) -> Result<When, TimeError> {
    let text = text.trim();
    match text {
        "" => return Err(TimeError::Empty),
        "start" => return Ok(When::Start),
        "end" => return Ok(When::End),
        _ => {}
    }
    let ms = if let Some(back) = text.strip_prefix('-') {
        now_ms.saturating_sub(span(back).ok_or(TimeError::Unreadable)?)
    } else if let Some(epoch) = text.strip_prefix('@') {
        epoch.parse().map_err(|_| TimeError::Unreadable)?
    } else if let Ok(t) = DateTime::parse_from_rfc3339(&text.replacen(' ', "T", 1)) {
        t.timestamp_millis()
    } else {
        local(text, now_ms, zone)?
    };
    if ms > now_ms {
        return Err(TimeError::Future(zone.iso(ms)));
    }
    Ok(When::At(ms))
}

fn local(text: &str, now_ms: i64, zone: Zone) -> Result<i64, TimeError> {
    let today = zone.local(now_ms).date();
    let naive = naive_time(text)
        .map(|time| today.and_time(time))
        .or_else(|| naive_date_time(text))
        .ok_or(TimeError::Unreadable)?;
    match zone.read(naive) {
        Reading::Once(ms) => Ok(ms),
        Reading::Twice(a, b) => Err(TimeError::Twice(zone.iso(a), zone.iso(b))),
        Reading::Never => Err(TimeError::Never),
    }
}

fn naive_time(text: &str) -> Option<NaiveTime> {
    ["%H:%M:%S%.f", "%H:%M"].iter().find_map(|f| NaiveTime::parse_from_str(text, f).ok())
}

fn naive_date_time(text: &str) -> Option<NaiveDateTime> {
    let text = text.replacen('T', " ", 1);
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|f| NaiveDateTime::parse_from_str(&text, f).ok())
        .or_else(|| NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
}

/// `1d12h`, `90s`: at least one number with its unit, each unit once at most in falling order is not asked.
pub fn span(text: &str) -> Option<i64> {
    let mut total = 0i64;
    let mut digits = String::new();
    let mut any = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c {
            'm' if chars.peek() == Some(&'s') => {
                chars.next();
                1
            }
            's' => 1_000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => 86_400_000,
            'w' => 604_800_000,
            _ => return None,
        };
        let number: i64 = digits.parse().ok()?;
        total = total.checked_add(number.checked_mul(unit)?)?;
        digits.clear();
        any = true;
    }
    (any && digits.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::utc;
    use proptest::prelude::*;

    const ZONE: Zone = Zone::Fixed(28_800);

    fn now() -> i64 {
        utc("2026-03-14 06:03:27")
    }

    #[test]
    fn every_form_is_read() {
        for (text, expected) in [
            ("-2h", utc("2026-03-14 04:03:27")),
            ("-1d12h", utc("2026-03-12 18:03:27")),
            ("12:03", utc("2026-03-14 04:03:00")),
            ("2026-03-14 12:03", utc("2026-03-14 04:03:00")),
            ("2026-03-14T12:03:27+08:00", utc("2026-03-14 04:03:27")),
            ("2026-03-14T04:03:27Z", utc("2026-03-14 04:03:27")),
            ("@1773460000000", 1_773_460_000_000),
        ] {
            assert_eq!(parse(text, now(), ZONE), Ok(When::At(expected)), "{text}");
        }
        assert_eq!(parse("start", now(), ZONE), Ok(When::Start));
        assert_eq!(parse(" end ", now(), ZONE), Ok(When::End));
    }

    #[test]
    fn nonsense_and_the_future_are_refused() {
        for text in ["2h", "-2", "-h", "-2x", "25:00", "2026-13-01 00:00", "@x", "yesterday"] {
            assert_eq!(parse(text, now(), ZONE), Err(TimeError::Unreadable), "{text}");
        }
        assert_eq!(parse("", now(), ZONE), Err(TimeError::Empty));
        assert!(matches!(parse("23:59", now(), ZONE), Err(TimeError::Future(_))));
    }

    #[test]
    fn a_local_time_that_happens_twice_is_refused_with_both_readings() {
        let zone = Zone::Changes { at_ms: utc("2026-10-25 01:00:00"), before: 7_200, after: 3_600 };
        let now = utc("2026-10-26 00:00:00");
        let error = parse("2026-10-25 02:30", now, zone).unwrap_err();
        assert!(
            error.to_string().contains("02:30:00+02:00 or 2026-10-25T02:30:00+01:00"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = parse(&text, now(), ZONE);
        }

        #[test]
        fn an_instant_written_and_read_is_the_same(ms in 0i64..1_773_460_000_000) {
            let second = ms / 1_000 * 1_000;
            prop_assert_eq!(parse(&ZONE.iso(second), now(), ZONE), Ok(When::At(second)));
        }
    }
}
