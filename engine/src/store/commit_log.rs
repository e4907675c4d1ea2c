//! The commit log: files and bytes by offset, and the positions of the log.
//!
//! Knows file ends and their marker, not what records mean. Appending is `append.rs`, flushing
//! `flush.rs`, finding the end after a crash `recovery.rs`. Spec: store.md §1.1, §2.2.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;

use super::error::StoreError;
use super::storage::{self, File, LogOffset, OpenMode, Storage, Wait};
use crate::mutant::{self, Mutant};
use crate::protocol::record::{self, BLANK_LEN, MAGIC_BLANK};

/// When an append counts as done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FlushMode {
    /// When it is written: survives a kill, not a power cut of the last half second.
    #[default]
    Async,
    /// When it is on the disk.
    Sync,
}

/// The positions of a log (architecture.md §12).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Positions {
    /// First byte still there.
    pub min: LogOffset,
    /// End of what was written.
    pub written: LogOffset,
    /// End of what is on the disk.
    pub flushed: LogOffset,
    /// End of what readers may see.
    pub visible: LogOffset,
}

/// One file of the log. Opened when it is first needed.
pub(super) struct LogFile {
    pub base: u64,
    pub path: PathBuf,
    file: OnceLock<Arc<dyn File>>,
}

impl LogFile {
    pub fn open(&self, storage: &dyn Storage) -> io::Result<&Arc<dyn File>> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = storage.open(&self.path, OpenMode::Existing)?;
        Ok(self.file.get_or_init(|| file))
    }

    /// Reads; who may not wait does not get a file opened either.
    fn read(
        &self,
        storage: &dyn Storage,
        (buffer, len, offset): (&mut Vec<u8>, usize, u64),
        wait: Wait,
    ) -> io::Result<usize> {
        match (wait, self.file.get()) {
            (Wait::Yes, _) => self.open(storage)?.read_at(buffer, len, offset),
            (Wait::No, Some(file)) => file.read_now(buffer, len, offset),
            (Wait::No, None) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// Files of the log and its positions.
pub(super) struct CommitLog {
    pub dir: PathBuf,
    pub file_size: u64,
    pub mode: FlushMode,
    storage: Arc<dyn Storage>,
    files: ArcSwap<Vec<Arc<LogFile>>>,
    /// The next file, made ahead of its need. Not part of the log yet.
    spare: Mutex<Option<Arc<LogFile>>>,
    written: AtomicU64,
    flushed: AtomicU64,
}

impl CommitLog {
    /// The log in a directory whose files passed [`check_files`]. Positions are recovery's to set.
    pub fn new(
        storage: Arc<dyn Storage>,
        root: &Path,
        file_size: u64,
        mode: FlushMode,
        bases: &[u64],
    ) -> Self {
        let dir = root.join("commitlog");
        let files = bases.iter().map(|base| Arc::new(unopened(&dir, *base))).collect();
        Self {
            dir,
            file_size,
            mode,
            storage,
            files: ArcSwap::from_pointee(files),
            spare: Mutex::new(None),
            written: AtomicU64::new(0),
            flushed: AtomicU64::new(0),
        }
    }

    pub fn storage(&self) -> &dyn Storage {
        self.storage.as_ref()
    }

    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    /// End of what anybody but the append and the flush may read (architecture.md §5.6).
    pub fn visible(&self) -> u64 {
        match self.mode {
            FlushMode::Async => self.written(),
            FlushMode::Sync if mutant::is(Mutant::VisibleEarly) => self.written(),
            FlushMode::Sync => self.flushed(),
        }
    }

    pub fn set_written(&self, end: u64) {
        self.written.store(end, Ordering::Release);
    }

    pub fn set_flushed(&self, end: u64) {
        self.flushed.store(end, Ordering::Release);
    }

    pub fn min(&self) -> u64 {
        self.files.load().first().map_or(0, |file| file.base)
    }

    pub fn positions(&self) -> Positions {
        // Read in this order, so that no position is ahead of one that bounds it.
        let flushed = self.flushed();
        let written = self.written();
        let visible = if self.mode == FlushMode::Sync { flushed } else { written };
        Positions {
            min: LogOffset(self.min()),
            written: LogOffset(written),
            flushed: LogOffset(flushed),
            visible: LogOffset(visible),
        }
    }

    pub fn files(&self) -> Arc<Vec<Arc<LogFile>>> {
        self.files.load_full()
    }

    /// The file that holds an offset.
    pub fn file_of(&self, offset: u64) -> Option<Arc<LogFile>> {
        let files = self.files.load();
        let after = files.partition_point(|file| file.base <= offset);
        let file = files.get(after.checked_sub(1)?)?;
        (offset - file.base < self.file_size).then(|| Arc::clone(file))
    }

    /// Start of the file after the one that holds an offset.
    pub fn next_base(&self, offset: u64) -> u64 {
        (offset / self.file_size + 1) * self.file_size
    }

    /// Appends up to `len` bytes from an offset to `buffer`, never beyond the end of its file.
    pub fn read_into(
        &self,
        buffer: &mut Vec<u8>,
        offset: u64,
        len: usize,
        wait: Wait,
    ) -> io::Result<usize> {
        let Some(file) = self.file_of(offset) else { return Ok(0) };
        let left = file.base + self.file_size - offset;
        let len = usize::try_from(left).map_or(len, |left| len.min(left));
        file.read(self.storage(), (buffer, len, offset - file.base), wait)
    }

    /// The record at an offset below `end`, when there is one: its first bytes must say so.
    fn record(&self, offset: u64, size: usize, end: u64, wait: Wait) -> io::Result<Option<Bytes>> {
        if size < record::RECORD_MIN || offset.saturating_add(size as u64) > end {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.read_into(&mut bytes, offset, size, wait)?;
        let whole = bytes.len() == size && record::head_matches(&bytes, size, offset);
        Ok(whole.then(|| Bytes::from(bytes)))
    }

    /// The record that starts at an offset, whatever its size.
    pub fn record_at(&self, offset: u64, end: u64, wait: Wait) -> io::Result<Option<Bytes>> {
        let mut head = Vec::new();
        self.read_into(&mut head, offset, 4, wait)?;
        match record::i32_at(&head, 0).and_then(|size| usize::try_from(size).ok()) {
            Some(size) => self.record(offset, size, end, wait),
            None => Ok(None),
        }
    }

    /// Store time of the record at an offset.
    pub fn store_time(&self, offset: u64, end: u64) -> io::Result<Option<i64>> {
        if offset >= end {
            return Ok(None);
        }
        let mut head = Vec::new();
        self.read_into(&mut head, offset, record::HEAD_MAX, Wait::Yes)?;
        let size = record::i32_at(&head, 0).and_then(|size| usize::try_from(size).ok());
        let is_record = size.is_some_and(|size| record::head_matches(&head, size, offset));
        Ok(if is_record { record::store_timestamp(&head) } else { None })
    }

    /// Makes the file that starts at `base`, or takes the one made ahead, and adds it to the log.
    pub fn add_file(&self, base: u64) -> io::Result<Arc<LogFile>> {
        if let Some(last) = self.files.load().last().filter(|file| file.base == base) {
            // A roll that failed half-way has added it already.
            return Ok(Arc::clone(last));
        }
        // Held until the file is in the list: what is made ahead at this moment would else be kept as
        // a spare of the same name, and removed by the next clean stop.
        let mut spare = self.lock_spare();
        let file = match spare.take_if(|spare| spare.base == base) {
            Some(file) => file,
            None => self.make_file(base)?,
        };
        let mut files = self.files().as_ref().clone();
        files.push(Arc::clone(&file));
        self.files.store(Arc::new(files));
        Ok(file)
    }

    /// Makes the file after the last one, so that a roll does not wait for it.
    pub fn prepare_next(&self) -> io::Result<()> {
        let Some(last) = self.files.load().last().map(|file| file.base) else { return Ok(()) };
        let base = last + self.file_size;
        if self.lock_spare().as_ref().is_some_and(|spare| spare.base >= base) {
            return Ok(());
        }
        let file = self.make_file(base)?;
        let mut spare = self.lock_spare();
        // A roll may have come first and made the same file: then it is part of the log.
        if self.files.load().last().is_some_and(|newest| newest.base == last) {
            *spare = Some(file);
        }
        Ok(())
    }

    /// Removes the file made ahead: a clean stop leaves none.
    pub fn drop_spare(&self) -> io::Result<()> {
        let newest = self.files.load().last().map(|file| file.base);
        match self.lock_spare().take() {
            // Never one that holds records.
            Some(file) if newest.is_none_or(|newest| newest < file.base) => {
                self.storage.remove(&file.path)
            }
            _ => Ok(()),
        }
    }

    fn make_file(&self, base: u64) -> io::Result<Arc<LogFile>> {
        let file = unopened(&self.dir, base);
        let opened = self.storage.open(&file.path, OpenMode::Create)?;
        opened.set_len(self.file_size)?;
        // Its length must be durable with its name, or the next start would refuse it.
        opened.sync_data()?;
        self.storage.sync_dir(&self.dir)?;
        let _ = file.file.set(opened); // just made: nobody else has it
        Ok(Arc::new(file))
    }

    fn lock_spare(&self) -> std::sync::MutexGuard<'_, Option<Arc<LogFile>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the marker that ends the file at an offset.
    pub fn write_blank(&self, file: &LogFile, offset: u64) -> io::Result<()> {
        let remaining = file.base + self.file_size - offset;
        let mut marker = [0; BLANK_LEN];
        marker[..4].copy_from_slice(&(remaining as i32).to_be_bytes());
        marker[4..].copy_from_slice(&MAGIC_BLANK.to_be_bytes());
        storage::write_all(file.open(self.storage())?.as_ref(), &marker, offset - file.base)
    }

    /// Makes everything from one offset to another durable.
    pub fn sync(&self, from: u64, to: u64) -> io::Result<()> {
        for file in self.files().iter() {
            if file.base < to && file.base + self.file_size > from {
                file.open(self.storage())?.sync_data()?;
            }
        }
        Ok(())
    }

    /// Ends the log at an offset: files above go, bytes behind it become zero, so that nothing stale
    /// can be taken for a record later.
    pub fn cut(&self, end: u64) -> io::Result<()> {
        let (kept, gone): (Vec<_>, Vec<_>) =
            self.files().iter().cloned().partition(|file| file.base < end || file.base == 0);
        for file in &gone {
            self.storage.remove(&file.path)?;
        }
        if let Some(file) = kept.last().filter(|file| end - file.base < self.file_size) {
            // Never through a shorter length: a crash in between would leave a file of the wrong one.
            let opened = file.open(self.storage())?;
            opened.zero(end - file.base, file.base + self.file_size - end)?;
            opened.sync_data()?;
        }
        if !gone.is_empty() {
            self.storage.sync_dir(&self.dir)?;
        }
        self.files.store(Arc::new(kept));
        Ok(())
    }

    /// Removes files from the head, up to this base. Open readers keep theirs.
    pub fn remove_below(&self, base: u64) -> io::Result<()> {
        let (gone, kept): (Vec<_>, Vec<_>) =
            self.files().iter().cloned().partition(|file| file.base < base);
        // Readers stop finding them first; a file that cannot be removed is found by the next start.
        self.files.store(Arc::new(kept));
        for file in gone {
            self.storage.remove(&file.path)?;
        }
        self.storage.sync_dir(&self.dir)
    }
}

fn unopened(dir: &Path, base: u64) -> LogFile {
    LogFile { base, path: dir.join(storage::file_name(base)), file: OnceLock::new() }
}

/// Checks names and lengths of the files in a fixed-size file queue and answers where they start.
/// Empty files are the remains of a creation (store.md §1.1): they and what follows do not count.
pub(super) fn check_files(
    storage: &dyn Storage,
    dir: &Path,
    file_size: u64,
) -> Result<Vec<u64>, StoreError> {
    let mut entries = storage.list(dir).map_err(StoreError::io(dir))?;
    entries.retain(|entry| !entry.is_dir);
    let whole = entries.iter().position(|entry| entry.len == 0);
    entries.truncate(whole.unwrap_or(entries.len()));
    let mut bases = Vec::with_capacity(entries.len());
    for entry in entries {
        let path = dir.join(&entry.name);
        let Some(base) = storage::parse_file_name(&entry.name) else {
            return Err(StoreError::geometry(path, "not a file of 20 digits; move it elsewhere"));
        };
        if entry.len != file_size {
            let problem = format!("{} bytes instead of the configured {file_size}", entry.len);
            return Err(StoreError::geometry(path, problem));
        }
        if !base.is_multiple_of(file_size) {
            let problem = format!("does not start at a multiple of the file size {file_size}");
            return Err(StoreError::geometry(path, problem));
        }
        bases.push(base);
    }
    if let Some(gap) = bases.windows(2).find(|pair| pair[1] - pair[0] != file_size) {
        let problem = format!("a file is missing behind {}", storage::file_name(gap[0]));
        return Err(StoreError::geometry(dir, problem));
    }
    Ok(bases)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::test_storage::TestStorage;

    #[test]
    fn a_file_made_ahead_that_became_part_of_the_log_survives_a_clean_stop() {
        let storage: Arc<dyn Storage> = Arc::new(TestStorage::new());
        let log = CommitLog::new(storage, Path::new("/data"), 1_000, FlushMode::Async, &[0]);
        log.storage().create_dir(&log.dir).unwrap();
        log.prepare_next().unwrap();
        let ahead = log.lock_spare().clone().unwrap();
        let used = log.add_file(1_000).unwrap();
        assert!(Arc::ptr_eq(&ahead, &used) && log.lock_spare().is_none());

        *log.lock_spare() = Some(ahead);
        log.drop_spare().unwrap();
        assert!(log.storage().open(&used.path, OpenMode::Existing).is_ok());

        log.prepare_next().unwrap();
        let ahead = log.lock_spare().clone().unwrap();
        log.drop_spare().unwrap();
        assert!(log.storage().open(&ahead.path, OpenMode::Existing).is_err());
    }
}
