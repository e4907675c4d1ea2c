//! Time zones and times as text. The zone is a value, so that tests need no machine's setting.

#[cfg(test)]
use chrono::TimeZone;
use chrono::{DateTime, FixedOffset, Local, NaiveDateTime, Offset, Utc};

/// How times are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TimeMode {
    /// Ages where a column has one, local times elsewhere.
    #[default]
    Relative,
    Local,
    Utc,
}

impl TimeMode {
    /// By its word in configuration and commands.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "relative" => Some(Self::Relative),
            "local" => Some(Self::Local),
            "utc" => Some(Self::Utc),
            _ => None,
        }
    }

    /// The one after it, in a circle.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Relative => Self::Local,
            Self::Local => Self::Utc,
            Self::Utc => Self::Relative,
        }
    }
}

/// The zone of local times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// The machine's.
    Machine,
    /// Seconds east of UTC.
    Fixed(i32),
    /// One change at an instant: times that happen twice or never.
    #[cfg(test)]
    Changes { at_ms: i64, before: i32, after: i32 },
}

/// What a local time means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Once(i64),
    /// The clock was set back: both readings.
    Twice(i64, i64),
    /// The clock was set forward over it.
    Never,
}

impl Zone {
    /// Seconds east of UTC at an instant.
    pub fn offset(self, ms: i64) -> i32 {
        match self {
            Self::Machine => DateTime::<Utc>::from_timestamp_millis(ms)
                .map_or(0, |t| t.with_timezone(&Local).offset().fix().local_minus_utc()),
            Self::Fixed(seconds) => seconds,
            #[cfg(test)]
            Self::Changes { at_ms, before, after } => {
                if ms < at_ms {
                    before
                } else {
                    after
                }
            }
        }
    }

    /// Every instant at which clocks of this zone show `local`: those whose own offset leads back to it.
    pub fn read(self, local: NaiveDateTime) -> Reading {
        let as_utc = local.and_utc().timestamp_millis();
        let day = 26 * 3_600_000;
        let mut found: Vec<i64> = [as_utc - day, as_utc + day]
            .into_iter()
            .map(|near| as_utc - i64::from(self.offset(near)) * 1_000)
            .filter(|ms| as_utc - i64::from(self.offset(*ms)) * 1_000 == *ms)
            .collect();
        found.dedup();
        match found[..] {
            [] => Reading::Never,
            [one] => Reading::Once(one),
            [a, b, ..] => Reading::Twice(a.min(b), a.max(b)),
        }
    }

    fn at(self, ms: i64) -> DateTime<FixedOffset> {
        let zone = FixedOffset::east_opt(self.offset(ms)).unwrap_or_else(|| Utc.fix());
        DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or_default().with_timezone(&zone)
    }

    /// Local date and time without zone.
    pub fn local(self, ms: i64) -> NaiveDateTime {
        self.at(ms).naive_local()
    }

    /// `14:03`.
    pub fn hm(self, ms: i64) -> String {
        self.at(ms).format("%H:%M").to_string()
    }

    /// `14:03:27`.
    pub fn hms(self, ms: i64) -> String {
        self.at(ms).format("%H:%M:%S").to_string()
    }

    /// `14:03:26.911`.
    pub fn hms_milli(self, ms: i64) -> String {
        self.at(ms).format("%H:%M:%S%.3f").to_string()
    }

    /// `+08:00`.
    pub fn sign(self, ms: i64) -> String {
        self.at(ms).format("%:z").to_string()
    }

    /// `2026-03-14 14:03`.
    pub fn date_hm(self, ms: i64) -> String {
        self.at(ms).format("%Y-%m-%d %H:%M").to_string()
    }

    /// `2026-03-14 14:03:26.911 +08:00`.
    pub fn full(self, ms: i64) -> String {
        self.at(ms).format("%Y-%m-%d %H:%M:%S%.3f %:z").to_string()
    }

    /// `Sat 2026-03-14 12:03:27 +08:00`.
    pub fn weekday(self, ms: i64) -> String {
        self.at(ms).format("%a %Y-%m-%d %H:%M:%S %:z").to_string()
    }

    /// `2026-03-14T12:03:27+08:00`.
    pub fn iso(self, ms: i64) -> String {
        self.at(ms).format("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// Time of day today, else the date: five to ten cells.
    pub fn hm_or_date(self, ms: i64, now_ms: i64) -> String {
        if self.local(ms).date() == self.local(now_ms).date() {
            self.hm(ms)
        } else {
            self.at(ms).format("%m-%d").to_string()
        }
    }
}

/// Epoch milliseconds of a UTC time, for tests and fixtures.
#[cfg(test)]
pub fn utc(text: &str) -> i64 {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S")
        .map(|t| Utc.from_utc_datetime(&t).timestamp_millis())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_happens_twice_has_both_readings_and_one_that_never_happens_none() {
        let at = utc("2026-10-25 01:00:00");
        let autumn = Zone::Changes { at_ms: at, before: 7_200, after: 3_600 };
        let two = NaiveDateTime::parse_from_str("2026-10-25 02:30", "%Y-%m-%d %H:%M").unwrap();
        assert_eq!(
            autumn.read(two),
            Reading::Twice(utc("2026-10-25 00:30:00"), utc("2026-10-25 01:30:00"))
        );
        let spring =
            Zone::Changes { at_ms: utc("2026-03-29 01:00:00"), before: 3_600, after: 7_200 };
        let never = NaiveDateTime::parse_from_str("2026-03-29 02:30", "%Y-%m-%d %H:%M").unwrap();
        assert_eq!(spring.read(never), Reading::Never);
    }

    #[test]
    fn times_carry_their_zone() {
        let ms = utc("2026-03-14 06:03:26") + 911;
        assert_eq!(Zone::Fixed(28_800).full(ms), "2026-03-14 14:03:26.911 +08:00");
        assert_eq!(Zone::Fixed(0).hm(ms), "06:03");
    }
}
