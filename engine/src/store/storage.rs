//! The only door to a disk: what the store needs of a file system, as two traits.
//!
//! `disk.rs` is the real one; `test_storage.rs` keeps pending and durable bytes apart, so that a power
//! cut can be tried. Nothing here knows what the files mean (architecture.md §7).

use std::any::Any;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

/// A position in the commit log: the logical byte space of all its files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct LogOffset(pub u64);

/// A position in one queue, counted in messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct QueueOffset(pub u64);

/// Whether a read may wait for the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// It may.
    Yes,
    /// It takes only what is in memory already.
    No,
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenMode {
    /// It must be there.
    Existing,
    /// It is made when it is not there.
    Create,
    /// The same; only its owner may read it.
    CreatePrivate,
}

/// One entry of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Name without its directory.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Bytes of a file.
    pub len: u64,
    /// Time of the last change in milliseconds since 1970.
    pub modified_ms: i64,
}

/// Room of a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Space {
    /// Bytes in use.
    pub used: u64,
    /// Bytes that this user may still use.
    pub available: u64,
    /// Whether files are memory: room is then not taken ahead.
    pub in_memory: bool,
}

impl Space {
    /// Used share of what this user could use, rounded up to whole per cent.
    pub fn used_percent(&self) -> u64 {
        let total = self.used.saturating_add(self.available);
        if total == 0 {
            0
        } else {
            (u128::from(self.used) * 100).div_ceil(u128::from(total)) as u64
        }
    }
}

/// A directory tree.
pub trait Storage: Send + Sync {
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;
    /// Entries of a directory, sorted by name; none when it does not exist.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Makes a directory and those above it.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Renames a file, replacing the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. One that is not there is removed already.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory with all it holds. One that is not there is removed already.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the lock of a data directory until the guard is dropped; none when somebody has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;
    /// Room of the file system that holds a path.
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// An open file.
#[allow(clippy::len_without_is_empty)] // `len` asks the disk: this is no collection
pub trait File: Send + Sync {
    /// Writes all of the buffers, one after the other.
    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()>;
    /// Appends up to `len` bytes to `buffer`; fewer only at the end of the file. Answers how many.
    fn read_at(&self, buffer: &mut Vec<u8>, len: usize, offset: u64) -> io::Result<usize>;
    /// As [`File::read_at`], but without waiting for the disk: [`io::ErrorKind::WouldBlock`], with
    /// `buffer` as it was, when not all of it is in memory or when nobody can tell.
    fn read_now(&self, buffer: &mut Vec<u8>, len: usize, offset: u64) -> io::Result<usize> {
        let _ = (buffer, len, offset);
        Err(io::ErrorKind::WouldBlock.into())
    }
    /// Makes the content durable.
    fn sync_data(&self) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Sets the length; new bytes are zero and take no room.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes a range zero and gives its room back. The length stays.
    fn zero(&self, offset: u64, len: u64) -> io::Result<()>;
    /// Takes room for a range without changing content or length. Does nothing where the file system
    /// cannot.
    fn reserve(&self, offset: u64, len: u64) -> io::Result<()>;
    /// The first `len` bytes as shared memory: a change of it is a change of the file.
    fn map(&self, len: u64) -> io::Result<Box<dyn Mapping>>;
}

/// Memory that is the content of a file.
pub trait Mapping: Send + Sync {
    /// The bytes.
    fn bytes(&self) -> &[u8];
    /// The bytes, to be changed. Only ranges that were reserved may be touched.
    fn bytes_mut(&mut self) -> &mut [u8];
    /// Makes changes durable.
    fn sync(&self) -> io::Result<()>;
}

/// Writes one buffer.
pub(super) fn write_all(file: &dyn File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_at(&[IoSlice::new(bytes)], offset)
}

/// A whole file; none when it does not exist.
pub(super) fn read_whole(storage: &dyn Storage, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match storage.open(path, OpenMode::Existing) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    file.read_at(&mut bytes, len, 0)?;
    Ok(Some(bytes))
}

/// Writes a file anew and makes it durable, its name included.
pub(super) fn write_whole(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = storage.open(path, OpenMode::Create)?;
    file.set_len(0)?;
    write_all(file.as_ref(), bytes, 0)?;
    file.sync_data()?;
    storage.sync_dir(path.parent().unwrap_or(path))
}

/// Writes zeros over a range.
pub(super) fn write_zeros(file: &dyn File, offset: u64, len: u64) -> io::Result<()> {
    static ZEROS: [u8; 65_536] = [0; 65_536];
    let mut done = 0;
    while done < len {
        let now = (len - done).min(ZEROS.len() as u64);
        write_all(file, &ZEROS[..now as usize], offset + done)?;
        done += now;
    }
    Ok(())
}

/// Name of a file that starts at this offset of its space.
pub(super) fn file_name(base: u64) -> String {
    format!("{base:020}")
}

/// Offset at which a file starts, from its name: exactly 20 digits.
pub(super) fn parse_file_name(name: &str) -> Option<u64> {
    if name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit()) {
        name.parse().ok()
    } else {
        None
    }
}
