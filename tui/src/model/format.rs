//! Numbers, bytes, durations and signs for people (console-ux.md §5.3). Pure; times are in `model::clock`.

use crate::data::fig::Fig;

/// Largest count written out in full: nine digits.
const FULL_COUNT_MAX: u64 = 999_999_999;
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// `96 104`, and `1.2G` from ten digits on.
pub fn count(value: u64) -> String {
    if value > FULL_COUNT_MAX { scaled(value as f64) } else { grouped(value) }
}

fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

/// `128.4k`, for places where a whole number does not fit.
pub fn count_short(value: u64) -> String {
    if value < 10_000 { grouped(value) } else { scaled(value as f64) }
}

fn scaled(value: f64) -> String {
    for (limit, sign) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if value >= limit {
            return format!("{:.1}{sign}", value / limit);
        }
    }
    format!("{value:.0}")
}

/// A count in at most `width` cells: in full while it fits.
pub fn count_in(value: u64, width: usize) -> String {
    let full = count(value);
    if full.chars().count() <= width { full } else { scaled(value as f64) }
}

/// Events per second: whole from 10 on, one digit below, `0` only when nothing moved.
pub fn rate(value: f64) -> String {
    if value > 0.0 && value < 0.05 {
        "<0.1".to_owned()
    } else if value < 9.95 && (value - value.round()).abs() >= 0.05 {
        format!("{value:.1}")
    } else {
        count(value.round().max(0.0) as u64)
    }
}

/// `412 B`, `9.1 kB`, `13.1 kB`, `128 kB`: powers of 1000.
pub fn bytes(value: u64) -> String {
    let mut scaled = value as f64;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if unit == "B" && value < 1_000 {
            return format!("{value} B");
        }
        if unit != "B" && (scaled < 999.5 || unit == "TB") {
            return if scaled < 99.95 {
                format!("{scaled:.1} {unit}")
            } else {
                format!("{scaled:.0} {unit}")
            };
        }
        scaled /= 1_000.0;
    }
    String::new()
}

/// Bytes in six cells: `9.1 kB`, `64 kB`, `412 B`.
pub fn bytes_short(value: u64) -> String {
    let long = bytes(value);
    if long.len() <= 6 {
        return long;
    }
    let (number, unit) = long.split_once(' ').unwrap_or((&long, ""));
    format!("{:.0} {unit}", number.parse::<f64>().unwrap_or(0.0))
}

/// Megabytes per second with two digits, as in the column MB/s.
pub fn megabytes(value: f64) -> String {
    format!("{:.2}", value / 1e6)
}

/// At most two units: `25s`, `6m 40s`, `3h 02m`, `3d 0h`.
pub fn duration(ms: i64) -> String {
    let ms = ms.max(0);
    if ms < MINUTE {
        format!("{}s", ms / SECOND)
    } else if ms < HOUR {
        match (ms / MINUTE, ms % MINUTE / SECOND) {
            (m, 0) => format!("{m}m"),
            (m, s) => format!("{m}m {s:02}s"),
        }
    } else if ms < DAY {
        match (ms / HOUR, ms % HOUR / MINUTE) {
            (h, 0) => format!("{h}h"),
            (h, m) => format!("{h}h {m:02}m"),
        }
    } else {
        format!("{}d {}h", ms / DAY, ms % DAY / HOUR)
    }
}

/// One unit: `6s`, `41m`, `8h`, `2d`.
pub fn age(ms: i64) -> String {
    let ms = ms.max(0);
    match ms {
        _ if ms < MINUTE => format!("{}s", ms / SECOND),
        _ if ms < HOUR => format!("{}m", ms / MINUTE),
        _ if ms < DAY => format!("{}h", ms / HOUR),
        _ => format!("{}d", ms / DAY),
    }
}

/// Age in the form of OLDEST: minutes alone, days with hours.
pub fn age_coarse(ms: i64) -> String {
    if ms < HOUR { age(ms) } else { duration(ms) }
}

/// `0s ago`, or the sign of the figure.
pub fn ago(fig: &Fig<i64>) -> String {
    fig.text(|ms| format!("{} ago", age(*ms)))
}

/// A count with its sign.
pub fn fig_count(fig: &Fig<u64>) -> String {
    fig.text(|v| count(*v))
}

/// A rate with its sign.
pub fn fig_rate(fig: &Fig<f64>) -> String {
    fig.text(|v| rate(*v))
}

/// An age as in BEHIND: what is older than kept reads `> 3d 0h`.
pub fn fig_behind(fig: &Fig<i64>) -> String {
    match fig {
        Fig::AtLeast(ms) => format!("> {}", duration(*ms)),
        other => other.text(|ms| duration(*ms)),
    }
}

/// Bytes with their sign.
pub fn fig_bytes(fig: &Fig<u64>) -> String {
    fig.text(|v| bytes(*v))
}

/// `1st`, `2nd`, `14th`.
pub fn ordinal(n: u32) -> String {
    let suffix = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{suffix}")
}

/// `1 queue`, `2 queues`.
pub fn plural(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {one}s", count(n)) }
}

/// Wire version of `4.2.0`; from there on every minor version has ten patches with a snapshot each.
const V4_2_0: i32 = 253;
/// Minor versions of 4.x from 4.2 on; then come those of 5.x.
const MINORS_OF_4: i32 = 8;

/// Name of a release by its wire version: `5.3.2`; older and stranger ones by their number.
pub fn release(version: i32) -> String {
    let at = version - V4_2_0;
    if !(0..600 - V4_2_0).contains(&at) {
        return format!("v{version}");
    }
    let (minor, patch) = (at / 20, at % 20 / 2);
    let snapshot = if at % 2 == 1 { "-s" } else { "" };
    if minor < MINORS_OF_4 {
        format!("4.{}.{patch}{snapshot}", minor + 2)
    } else {
        format!("5.{}.{patch}{snapshot}", minor - MINORS_OF_4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_versions_have_their_release_names() {
        let named =
            [(253, "4.2.0"), (317, "4.5.2"), (399, "4.9.3"), (411, "4.9.9"), (413, "5.0.0")];
        for (version, name) in
            named.into_iter().chain([(441, "5.1.4"), (477, "5.3.2"), (513, "5.5.0")])
        {
            assert_eq!(release(version), name);
        }
        assert_eq!((release(512), release(62)), ("5.4.9-s".to_owned(), "v62".to_owned()));
    }

    #[test]
    fn counts_are_grouped_up_to_nine_digits() {
        for (value, text) in
            [(0, "0"), (999, "999"), (8_412, "8 412"), (999_999_999, "999 999 999")]
        {
            assert_eq!(count(value), text);
        }
        assert_eq!(count(12_400_000_000), "12.4G");
        assert_eq!(count_short(128_400), "128.4k");
        assert_eq!(count_in(31_004_118, 6), "31.0M");
    }

    #[test]
    fn bytes_are_powers_of_a_thousand() {
        for (value, text) in [
            (0, "0 B"),
            (412, "412 B"),
            (9_100, "9.1 kB"),
            (13_100, "13.1 kB"),
            (999_999, "1.0 MB"),
            (11_200_000, "11.2 MB"),
            (128_000, "128 kB"),
        ] {
            assert_eq!(bytes(value), text, "{value}");
        }
        assert_eq!(bytes_short(64_000), "64 kB");
        assert_eq!(bytes_short(1_049), "1.0 kB");
    }

    #[test]
    fn durations_have_two_units_and_seconds_only_below_an_hour() {
        for (s, text) in [
            (25, "25s"),
            (400, "6m 40s"),
            (362, "6m 02s"),
            (10_920, "3h 02m"),
            (259_200, "3d 0h"),
            (300, "5m"),
        ] {
            assert_eq!(duration(s * 1_000), text);
        }
        assert_eq!(duration(-5), "0s");
    }

    #[test]
    fn a_rate_that_moves_is_never_zero() {
        assert_eq!(rate(0.0), "0");
        assert_eq!(rate(0.01), "<0.1");
        assert_eq!(rate(2.5), "2.5");
        assert_eq!(rate(1_310.4), "1 310");
    }
}
