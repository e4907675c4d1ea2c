//! Which log files go: a pure plan by age and room, and its execution.
//!
//! Queue and index files follow the log. Unexpired data is deleted only by Apache's ratios, which
//! are off unless configured. Spec: store.md §9, architecture.md §7, §10.

use super::error::StoreError;
use super::store::{DiskRatios, Store};

/// A log file as retention sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    pub base: u64,
    /// Time of its last record, as far as known: not earlier than that.
    pub newest_ms: i64,
}

/// What decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rules {
    pub now_ms: i64,
    pub reserved_ms: i64,
    /// Whether it is an hour of deletion, or somebody asked for it.
    pub hour: bool,
    pub used_percent: u64,
    pub ratios: Option<DiskRatios>,
    pub files_max: usize,
}

/// Bases of the files that go, from the oldest on. The last file never does.
pub(super) fn plan(files: &[Candidate], rules: Rules) -> usize {
    let over = |limit: fn(&DiskRatios) -> u64| {
        rules.ratios.as_ref().is_some_and(|ratios| rules.used_percent > limit(ratios))
    };
    let forced = over(|ratios| ratios.clean_forcibly);
    if !forced && !rules.hour && !over(|ratios| ratios.max_used) {
        return 0;
    }
    let expired = |file: &&Candidate| rules.now_ms - file.newest_ms >= rules.reserved_ms;
    let candidates = files.len().saturating_sub(1).min(rules.files_max);
    files[..candidates].iter().take_while(|file| forced || expired(file)).count()
}

/// Whether writes are refused: Apache's ratio when configured, else free bytes. Between the two
/// bounds the answer stays as it is.
pub(super) fn refuses(
    refusing: bool,
    free: u64,
    free_min: u64,
    used_percent: u64,
    ratios: Option<DiskRatios>,
) -> bool {
    /// Room above the bound at which writes are allowed again.
    const FREE_AGAIN: u64 = 256 << 20;
    if let Some(ratios) = ratios {
        if used_percent > ratios.warning {
            return true;
        }
        return refusing && used_percent > ratios.clean_forcibly;
    }
    free < free_min || refusing && free < free_min.saturating_add(FREE_AGAIN)
}

impl Store {
    /// Deletes expired log files now, whatever the hour, and what belongs to them; how many.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn delete_expired(&self) -> Result<usize, StoreError> {
        let _alone = self.upkeep.lock();
        self.retain(true)
    }

    /// Lets go of the files of consume queues that tell of nothing but deleted messages.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn clean_queues(&self) -> Result<(), StoreError> {
        let _alone = self.upkeep.lock();
        let keep = self.log.positions().min.0;
        for queue in self.queues.all() {
            let dir = queue.dir(&self.queues.io);
            queue.expire(&self.queues.io, keep).map_err(StoreError::io(dir))?;
        }
        Ok(())
    }

    /// One pass. The caller holds the upkeep lock.
    pub(super) fn retain(&self, asked: bool) -> Result<usize, StoreError> {
        let now_ms = self.clock.wall_ms();
        let files = self.candidates()?;
        let habits = self.habits();
        let rules = Rules {
            now_ms,
            reserved_ms: habits.file_reserved_ms,
            hour: asked || habits.delete_hours.contains(&local_hour(now_ms)),
            used_percent: self.upkeep.space().used_percent(),
            ratios: habits.disk_ratios,
            files_max: self.config.delete_files_max,
        };
        let count = plan(&files, rules);
        if count == 0 {
            return Ok(0);
        }
        let Some(keep) = files.get(count).map(|file| file.base) else { return Ok(0) };
        tracing::info!(files = count, log_min = keep, "deleting expired log files");
        self.log.remove_below(keep).map_err(StoreError::io(&self.log.dir))?;
        for queue in self.queues.all() {
            let dir = queue.dir(&self.queues.io);
            queue.expire(&self.queues.io, keep).map_err(StoreError::io(dir))?;
        }
        if let Some(index) = &self.index {
            index.expire(keep)?;
        }
        Ok(count)
    }

    /// A file's last record is not older than the first one of the next file, which is one read away.
    fn candidates(&self) -> Result<Vec<Candidate>, StoreError> {
        let files = self.log.files();
        let visible = self.log.visible();
        let mut candidates = Vec::with_capacity(files.len());
        for (index, file) in files.iter().enumerate() {
            let newest = match files.get(index + 1) {
                Some(next) => self.log.store_time(next.base, visible),
                None => Ok(None),
            };
            let newest = newest.map_err(StoreError::io(&file.path))?;
            // Without a record behind it, it is the newest file, or its successor is damaged: the
            // time of its own first record does, made later by nothing we know.
            let newest_ms = newest.unwrap_or(i64::MAX / 2);
            candidates.push(Candidate { base: file.base, newest_ms });
        }
        Ok(candidates)
    }
}

fn local_hour(now_ms: i64) -> u32 {
    use chrono::{Local, TimeZone, Timelike};
    Local.timestamp_millis_opt(now_ms).single().map_or(0, |time| time.hour())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATIOS: DiskRatios = DiskRatios { max_used: 75, clean_forcibly: 85, warning: 90 };

    #[test]
    fn expired_files_go_in_their_hour_and_never_the_last() {
        let file = |base, newest_ms| Candidate { base, newest_ms };
        let files = [file(0, 0), file(100, 50), file(200, 90), file(300, 95)];
        let rules = Rules {
            now_ms: 100,
            reserved_ms: 40,
            hour: true,
            used_percent: 0,
            ratios: None,
            files_max: 10,
        };
        let table = [
            ("by age", rules, 2),
            ("outside of the hour", Rules { hour: false, ..rules }, 0),
            ("at most so many", Rules { files_max: 1, ..rules }, 1),
            ("all but the last", Rules { now_ms: 1000, ..rules }, 3),
            ("full disk, no ratios", Rules { hour: false, used_percent: 99, ..rules }, 0),
            (
                "over the first ratio: expired only",
                Rules { hour: false, used_percent: 76, ratios: Some(RATIOS), ..rules },
                2,
            ),
            (
                "over the second ratio: everything",
                Rules { hour: false, used_percent: 86, ratios: Some(RATIOS), ..rules },
                3,
            ),
        ];
        for (case, rules, expected) in table {
            assert_eq!(plan(&files, rules), expected, "{case}");
        }
    }

    #[test]
    fn refusing_has_hysteresis() {
        let mib = 1u64 << 20;
        assert!(refuses(false, 1023 * mib, 1024 * mib, 0, None));
        assert!(!refuses(false, 1100 * mib, 1024 * mib, 0, None));
        assert!(refuses(true, 1100 * mib, 1024 * mib, 0, None));
        assert!(!refuses(true, 1280 * mib, 1024 * mib, 0, None));
        assert!(refuses(false, 0, 0, 91, Some(RATIOS)));
        assert!(!refuses(false, 0, 0, 88, Some(RATIOS)));
        assert!(refuses(true, 0, 0, 88, Some(RATIOS)));
        assert!(!refuses(true, 0, 0, 85, Some(RATIOS)));
    }
}
