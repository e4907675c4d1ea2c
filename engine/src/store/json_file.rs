//! Files of `config/`: replaced as a whole, durable, with the previous content in a `.bak`.
//!
//! What they say is their owners' business. A reader of a torn or missing file takes the `.bak`, as
//! Apache does. Spec: store.md §6.1.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::StoreError;
use super::storage::{self, OpenMode, Storage};

/// Files that only their owner may read.
const SECRET_FILES: [&str; 1] = ["mqdeckAccess.json"];

/// The files of a directory without a store: what a name server by itself keeps.
pub struct ConfigDir {
    storage: Arc<dyn Storage>,
    root: PathBuf,
    one: Mutex<()>,
    _lock: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for ConfigDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigDir").field("root", &self.root).finish_non_exhaustive()
    }
}

impl ConfigDir {
    /// Takes a data directory, made when it is absent.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when somebody has it; else what the system said.
    pub fn open(storage: Arc<dyn Storage>, root: PathBuf) -> Result<Self, StoreError> {
        storage.create_dir(&root).map_err(StoreError::io(&root))?;
        let path = root.join("lock");
        let lock = storage.lock(&path).map_err(StoreError::io(&path))?;
        let lock = lock.ok_or_else(|| StoreError::Locked { root: root.clone() })?;
        Ok(Self { storage, root, one: Mutex::default(), _lock: lock })
    }

    /// Replaces a file of `config/` as a whole.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn write_json(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        write(self.storage.as_ref(), &self.path(name), bytes)
    }

    /// Reads a file of `config/`, or its `.bak`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_json(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        read(self.storage.as_ref(), &self.path(name), |bytes| Some(bytes.to_vec()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join("config").join(name)
    }
}

/// Replaces a file. At every moment either it or its `.bak` is whole.
pub(super) fn write(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let dir = path.parent().unwrap_or(path);
    let (new, bak) = (with_suffix(path, ".tmp"), with_suffix(path, ".bak"));
    let replace = || {
        storage.create_dir(dir)?;
        if path.file_name().is_some_and(|name| SECRET_FILES.iter().any(|secret| name == *secret)) {
            // Made before it holds anything.
            storage.open(&new, OpenMode::CreatePrivate)?;
        }
        storage::write_whole(storage, &new, bytes)?;
        match storage.rename(path, &bak) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        storage.rename(&new, path)?;
        storage.sync_dir(dir)
    };
    replace().map_err(StoreError::io(path))
}

/// Reads a file, or its `.bak` when it is absent, empty or does not parse; none when there is
/// neither.
///
/// # Errors
/// [`StoreError::Corrupt`] when the `.bak` would be needed and does not parse: to start without it
/// would lose what it says.
pub(super) fn read<T>(
    storage: &dyn Storage,
    path: &Path,
    parse: impl Fn(&[u8]) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let load = |path: &Path| storage::read_whole(storage, path).map_err(StoreError::io(path));
    let own = load(path)?.filter(|bytes| !bytes.is_empty());
    if let Some(value) = own.as_deref().and_then(&parse) {
        return Ok(Some(value));
    }
    let bak = with_suffix(path, ".bak");
    match load(&bak)?.filter(|bytes| !bytes.is_empty()) {
        None if own.is_none() => Ok(None),
        // Apache would delete the file and start empty; its content may still be worth something.
        None => Err(corrupt(path)),
        Some(bytes) => parse(&bytes).map(Some).ok_or_else(|| corrupt(&bak)),
    }
}

fn corrupt(path: &Path) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), problem: "it does not parse".to_owned() }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::Disk;

    fn number(bytes: &[u8]) -> Option<u32> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }

    #[test]
    fn the_previous_content_is_used_when_the_file_is_absent_empty_or_torn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config/x.json");
        assert_eq!(read(&Disk, &path, number).unwrap(), None);
        write(&Disk, &path, b"1").unwrap();
        write(&Disk, &path, b"2").unwrap();
        assert_eq!(read(&Disk, &path, number).unwrap(), Some(2));
        for torn in [&b""[..], b"{"] {
            storage::write_whole(&Disk, &path, torn).unwrap();
            assert_eq!(read(&Disk, &path, number).unwrap(), Some(1));
        }
        Disk.remove(&path).unwrap();
        assert_eq!(read(&Disk, &path, number).unwrap(), Some(1));
        storage::write_whole(&Disk, &with_suffix(&path, ".bak"), b"{").unwrap();
        assert!(matches!(read(&Disk, &path, number), Err(StoreError::Corrupt { .. })));
    }
}
