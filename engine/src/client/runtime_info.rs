//! The table of GET_BROKER_RUNTIME_INFO (28), read without falling into its traps (admin.md §4.1).
//!
//! Every figure is text and may be missing: each getter answers `None` for what cannot be read.

use std::collections::{BTreeMap, BTreeSet};

use crate::protocol::body::route::KvTable;

const DAY_MS: i64 = 86_400_000;

/// One broker's runtime table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RuntimeInfo {
    table: BTreeMap<String, String>,
}

/// Delivered and highest offset of one delay level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LevelOffsets {
    /// Next offset to deliver.
    pub delivered: i64,
    /// Next offset to be written.
    pub max: i64,
}

/// The free space that a mqdeck broker insists on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskFree {
    /// Writes are refused below this many bytes; 0 is off.
    pub limit: u64,
    /// Bytes free.
    pub free: u64,
    /// Writes are refused now.
    pub refusing: bool,
}

impl From<KvTable> for RuntimeInfo {
    fn from(body: KvTable) -> Self {
        Self { table: body.table }
    }
}

impl RuntimeInfo {
    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.table.get(key).map(|value| value.trim())
    }

    /// All keys and their texts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.table.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The number of a key.
    pub fn int(&self, key: &str) -> Option<i64> {
        self.text(key)?.parse().ok()
    }

    /// The decimal number of a key.
    pub fn decimal(&self, key: &str) -> Option<f64> {
        self.text(key)?.parse().ok()
    }

    /// The rates of a key over 10, 60 and 600 s; fewer in the first minutes of a broker.
    pub fn rates(&self, key: &str) -> Vec<f64> {
        let words = self.text(key).unwrap_or_default().split_whitespace();
        words.map_while(|word| word.parse().ok()).collect()
    }

    /// The bytes of a human text such as `2.5 KiB`, ± 5 %.
    pub fn bytes(&self, key: &str) -> Option<u64> {
        human_bytes(self.text(key)?)
    }

    /// Bytes in all and free of the commit log's partition, ± 5 %.
    pub fn disk_capacity(&self) -> Option<(u64, u64)> {
        let text = self.text("commitLogDirCapacity")?.trim_end_matches('.');
        let (total, free) = text.split_once(',')?;
        let value = |part: &str| human_bytes(part.split_once(':')?.1.trim());
        Some((value(total)?, value(free)?))
    }

    /// When the broker started, its own clock.
    pub fn boot_ms(&self) -> Option<i64> {
        self.int("bootTimestamp")
    }

    /// The broker's clock at the moment of the answer, whole seconds (admin.md §5).
    pub fn broker_now_ms(&self) -> Option<i64> {
        Some(self.boot_ms()? + run_ms(self.text("runtime")?)?)
    }

    /// Whether the broker's special services run: false on a slave.
    pub fn is_active(&self) -> Option<bool> {
        self.text("brokerActive")?.parse().ok()
    }

    /// Delay levels with a recorded offset. Missing ones are unknown, not empty.
    pub fn levels(&self) -> BTreeMap<u32, LevelOffsets> {
        let level = |(key, value): (&str, &str)| {
            let level = key.strip_prefix("scheduleMessageOffset_")?.parse().ok()?;
            let (delivered, max) = value.trim().split_once(',')?;
            let (delivered, max) = (delivered.trim().parse().ok()?, max.trim().parse().ok()?);
            Some((level, LevelOffsets { delivered, max }))
        };
        self.iter().filter_map(level).collect()
    }

    /// What this broker tells beyond Apache (admin.md §5 n).
    pub fn extensions(&self) -> BTreeSet<&str> {
        let list = self.text("mqdeckExtensions").unwrap_or_default();
        list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
    }

    /// Whether the broker has an extension.
    pub fn has_extension(&self, name: &str) -> bool {
        self.extensions().contains(name)
    }

    /// Bytes written and not flushed: exact with the extension `flush`, else ± 5 %.
    pub fn unflushed_bytes(&self) -> Option<u64> {
        match self.int("bytesNotFlushed") {
            Some(exact) if self.has_extension("flush") => u64::try_from(exact).ok(),
            _ => self.bytes("remainHowManyDataToFlush"),
        }
    }

    /// Free space against the limit, with the extension `diskFree`.
    pub fn disk_free(&self) -> Option<DiskFree> {
        let mut parts = self.text("mqdeckDiskFreeMin")?.split(',').map(str::trim);
        Some(DiskFree {
            limit: parts.next()?.parse().ok()?,
            free: parts.next()?.parse().ok()?,
            refusing: parts.next()? == "1",
        })
    }

    /// Gaps of the commit log, as first and next byte, with the extension `damaged`.
    pub fn damaged_ranges(&self) -> Option<Vec<(u64, u64)>> {
        let text = self.text("mqdeckDamagedRanges")?;
        let range = |part: &str| {
            let (from, end) = part.trim().split_once('-')?;
            Some((from.parse().ok()?, end.parse().ok()?))
        };
        Some(text.split(',').filter_map(range).collect())
    }

    /// Listens beyond loopback without access control, with the extension `noAcl`.
    pub fn lacks_acl(&self) -> Option<bool> {
        self.text("mqdeckNoAcl").map(|flag| flag == "1")
    }
}

/// Milliseconds of a text like `[ 0 days, 0 hours, 1 minutes, 31 seconds ]`.
fn run_ms(text: &str) -> Option<i64> {
    let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
    let mut total = 0_i64;
    for part in inner.split(',') {
        let mut words = part.split_whitespace();
        let count: i64 = words.next()?.parse().ok()?;
        let unit = match words.next()? {
            "days" | "day" => DAY_MS,
            "hours" | "hour" => 3_600_000,
            "minutes" | "minute" => 60_000,
            "seconds" | "second" => 1_000,
            _ => return None,
        };
        total = total.checked_add(count.checked_mul(unit)?)?;
    }
    Some(total)
}

/// Bytes of a text like `512 B` or `2.5 KiB`.
fn human_bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    let power = match unit.trim() {
        "B" => 0,
        "KiB" => 1,
        "MiB" => 2,
        "GiB" => 3,
        "TiB" => 4,
        "PiB" => 5,
        "EiB" => 6,
        _ => return None,
    };
    (number >= 0.0).then(|| (number * 1024_f64.powi(power)) as u64)
}

/// Milliseconds of each level of a table like `1s 5s 10s 30s 1m 2h` (`messageDelayLevel` of 26).
pub fn delay_levels(text: &str) -> Vec<i64> {
    let level = |word: &str| {
        let unit = match word.chars().next_back()? {
            's' => 1_000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => DAY_MS,
            _ => return None,
        };
        word.get(..word.len() - 1)?.parse::<i64>().ok()?.checked_mul(unit)
    };
    text.split_whitespace().map_while(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(rows: &[(&str, &str)]) -> RuntimeInfo {
        let table = rows.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        RuntimeInfo { table }
    }

    #[test]
    fn rates_of_a_young_broker_are_fewer_not_zero() {
        let young = info(&[("putTps", "  "), ("getTotalTps", "44.1 0.0 0.0"), ("x", "1.1  ")]);
        assert!(young.rates("putTps").is_empty());
        assert_eq!(young.rates("getTotalTps"), [44.1, 0.0, 0.0]);
        assert_eq!(young.rates("x"), [1.1]);
        assert!(young.rates("absent").is_empty());
    }

    #[test]
    fn the_broker_clock_is_boot_plus_run_time() {
        let table = info(&[
            ("bootTimestamp", "1795555128410"),
            ("runtime", "[ 1 days, 2 hours, 1 minutes, 31 seconds ]"),
        ]);
        assert_eq!(table.broker_now_ms(), Some(1_795_555_128_410 + 86_400_000 + 7_291_000));
        assert_eq!(info(&[("runtime", "soon")]).broker_now_ms(), None);
    }

    #[test]
    fn sizes_are_parsed_back_from_their_texts() {
        let table = info(&[
            ("remainHowManyDataToFlush", "2.5 KiB"),
            ("small", "512 B"),
            ("commitLogDirCapacity", "Total : 252.0 GiB, Free : 240.0 GiB."),
        ]);
        assert_eq!(table.unflushed_bytes(), Some(2_560));
        assert_eq!(table.bytes("small"), Some(512));
        let gib = 1024_u64.pow(3);
        assert_eq!(table.disk_capacity(), Some((252 * gib, 240 * gib)));
    }

    #[test]
    fn extensions_count_only_when_they_are_listed() {
        let ours = info(&[
            ("mqdeckExtensions", "flush,damaged,diskFree"),
            ("bytesNotFlushed", "17"),
            ("mqdeckDamagedRanges", "10-20,40-90"),
            ("mqdeckDiskFreeMin", "1073741824,5,1"),
        ]);
        assert_eq!(ours.unflushed_bytes(), Some(17));
        assert_eq!(ours.damaged_ranges(), Some(vec![(10, 20), (40, 90)]));
        assert!(ours.disk_free().unwrap().refusing);
        assert!(!ours.has_extension("trim"));
        assert_eq!(info(&[]).damaged_ranges(), None);
    }

    #[test]
    fn levels_are_those_with_an_offset() {
        let table = info(&[("scheduleMessageOffset_3", "2,5"), ("scheduleMessageOffset_x", "1,1")]);
        assert_eq!(table.levels(), BTreeMap::from([(3, LevelOffsets { delivered: 2, max: 5 })]));
        assert_eq!(delay_levels("1s 5s 1m 2h"), [1_000, 5_000, 60_000, 7_200_000]);
    }
}
