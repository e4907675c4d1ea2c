//! The real disk: positioned vectored writes, `fdatasync`, directory sync, the directory lock.
//!
//! The only file that touches the file system (architecture.md §7). Nothing here retries a failed
//! sync: the kernel may have dropped the pages.

use std::any::Any;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::UNIX_EPOCH;

use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::{Errno, ReadWriteFlags};

use super::mapped;
use super::storage::{self, Entry, File, Mapping, OpenMode, Space, Storage};

/// Buffers that one vectored write takes at most.
const BUFFERS_MAX: usize = 1024;

/// What `statfs` says of tmpfs.
const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;

/// Directories locked by this process: a record lock does not exclude its own process, and closing
/// any other descriptor of the file would give it up.
static HELD: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

#[derive(Debug)]
struct DiskFile {
    file: fs::File,
    now: OnceLock<Now>,
}

/// How a file is read without waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Now {
    /// The kernel says when it would have to wait.
    Asks,
    /// The file is memory.
    Memory,
    /// Its file system does not tell.
    Never,
}

#[derive(Debug)]
struct DiskLock {
    _file: fs::File,
    path: PathBuf,
}

impl Drop for DiskLock {
    fn drop(&mut self) {
        HELD.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}

impl Storage for Disk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(DiskFile { file: open(path, mode)?, now: OnceLock::new() }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut list = Vec::new();
        for entry in entries {
            let entry = entry?;
            let facts = entry.metadata()?;
            let modified_ms = facts
                .modified()
                .ok()
                .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
                .map_or(0, |age| age.as_millis() as i64);
            list.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_dir: facts.is_dir(),
                len: facts.len(),
                modified_ms,
            });
        }
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    #[allow(clippy::disallowed_methods)] // this file is their one home
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    #[allow(clippy::disallowed_methods)] // this file is their one home
    fn remove(&self, path: &Path) -> io::Result<()> {
        absent_is_done(fs::remove_file(path))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        absent_is_done(fs::remove_dir_all(dir))
    }

    #[allow(clippy::disallowed_methods)] // this file is their one home
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let dir = fs::canonicalize(path.parent().unwrap_or(path))?;
        let path = dir.join(path.file_name().unwrap_or_default());
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if held.contains(&path) {
            return Ok(None);
        }
        let file = open(&path, OpenMode::Create)?;
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::ACCESS) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        rustix::io::pwrite(&file, b"lock", 0)?;
        held.insert(path.clone());
        Ok(Some(Box::new(DiskLock { _file: file, path })))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let facts = rustix::fs::statvfs(path)?;
        let used = facts.f_blocks.saturating_sub(facts.f_bfree).saturating_mul(facts.f_frsize);
        let in_memory = rustix::fs::statfs(path)?.f_type == TMPFS_MAGIC;
        Ok(Space { used, available: facts.f_bavail.saturating_mul(facts.f_frsize), in_memory })
    }
}

fn open(path: &Path, mode: OpenMode) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(mode != OpenMode::Existing).truncate(false);
    if mode == OpenMode::CreatePrivate {
        options.mode(0o600);
    }
    options.open(path)
}

/// Asks the file system once whether it knows reads that do not wait.
fn how_now(file: &fs::File) -> Now {
    let mut byte = [0];
    match rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut byte)], 0, ReadWriteFlags::NOWAIT) {
        Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Now::Asks,
        Err(_) => match rustix::fs::fstatfs(file) {
            Ok(facts) if facts.f_type == TMPFS_MAGIC => Now::Memory,
            _ => Now::Never,
        },
    }
}

fn absent_is_done(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl File for DiskFile {
    fn write_at(&self, buffers: &[IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        for chunk in buffers.chunks(BUFFERS_MAX) {
            let len: usize = chunk.iter().map(|buffer| buffer.len()).sum();
            let mut written = again(|| rustix::io::pwritev(&self.file, chunk, offset))?;
            if written < len {
                let mut rest = chunk.to_vec();
                let mut rest = rest.as_mut_slice();
                IoSlice::advance_slices(&mut rest, written);
                while !rest.is_empty() {
                    let now =
                        again(|| rustix::io::pwritev(&self.file, rest, offset + written as u64))?;
                    if now == 0 {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                    IoSlice::advance_slices(&mut rest, now);
                    written += now;
                }
            }
            offset += len as u64;
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut Vec<u8>, len: usize, offset: u64) -> io::Result<usize> {
        let start = buffer.len();
        buffer.reserve_exact(len);
        while buffer.len() - start < len {
            let at = offset + (buffer.len() - start) as u64;
            let spare = rustix::buffer::spare_capacity(buffer);
            match rustix::io::pread(&self.file, spare, at) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        buffer.truncate(start + len);
        Ok(buffer.len() - start)
    }

    fn read_now(&self, buffer: &mut Vec<u8>, len: usize, offset: u64) -> io::Result<usize> {
        match self.now.get_or_init(|| how_now(&self.file)) {
            Now::Asks => {}
            Now::Memory => return self.read_at(buffer, len, offset),
            Now::Never => return Err(io::ErrorKind::WouldBlock.into()),
        }
        let start = buffer.len();
        if start == 0 && buffer.capacity() < len {
            *buffer = vec![0; len];
        } else {
            buffer.resize(start + len, 0);
        }
        let result = fill_now(&self.file, &mut buffer[start..], offset);
        if result.is_err() {
            buffer.truncate(start);
        }
        result.map(|()| len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, how, offset, len) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => storage::write_zeros(self, offset, len),
            other => Ok(other?),
        }
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, len) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            other => Ok(other?),
        }
    }

    fn map(&self, len: u64) -> io::Result<Box<dyn Mapping>> {
        mapped::map(&self.file, len)
    }
}

/// Fills a buffer from what is in the page cache. Linux 5.9 and 5.10 answer 0 bytes where they would
/// have to wait, so the end of the file counts as that too.
fn fill_now(file: &fs::File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        let mut rest = [IoSliceMut::new(&mut buffer[done..])];
        match rustix::io::preadv2(file, &mut rest, offset + done as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) => return Err(io::ErrorKind::WouldBlock.into()),
            Ok(read) => done += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Repeats a call that a signal interrupted.
fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_once_even_within_a_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Disk.lock(&path).unwrap();
        assert!(first.is_some());
        assert!(Disk.lock(&path).unwrap().is_none());
        drop(first);
        assert!(Disk.lock(&path).unwrap().is_some());
    }

    #[test]
    fn zeroing_keeps_the_length_and_what_is_around() {
        let dir = tempfile::tempdir().unwrap();
        let file = Disk.open(&dir.path().join("f"), OpenMode::Create).unwrap();
        storage::write_all(file.as_ref(), &[7; 10_000], 0).unwrap();
        file.zero(100, 9_800).unwrap();
        let mut back = Vec::new();
        file.read_at(&mut back, 20_000, 0).unwrap();
        assert_eq!(back, [vec![7; 100], vec![0; 9_800], vec![7; 100]].concat());
    }

    #[test]
    fn a_read_without_waiting_gets_all_or_leaves_the_buffer_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = Disk.open(&path, OpenMode::Create).unwrap();
        storage::write_all(file.as_ref(), &vec![7; 100_000], 0).unwrap();
        for evicted in [false, true] {
            if evicted {
                file.sync_data().unwrap();
                let advice = rustix::fs::Advice::DontNeed;
                let file = super::open(&path, OpenMode::Existing).unwrap();
                rustix::fs::fadvise(file, 0, None, advice).unwrap();
            }
            for (offset, at_most) in [(40_000, 50_000), (60_000, 40_000)] {
                let mut back = vec![9];
                let read = file.read_now(&mut back, 50_000, offset).unwrap_or_else(|error| {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    0
                });
                assert!(read == at_most || read == 0);
                assert_eq!(back, [vec![9], vec![7; read]].concat());
            }
        }
    }

    #[test]
    fn many_buffers_are_written_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let file = Disk.open(&dir.path().join("f"), OpenMode::Create).unwrap();
        let bytes: Vec<[u8; 2]> = (0..3000u16).map(u16::to_be_bytes).collect();
        let buffers: Vec<IoSlice> = bytes.iter().map(|b| IoSlice::new(b)).collect();
        file.write_at(&buffers, 10).unwrap();
        let mut back = vec![9];
        assert_eq!(file.read_at(&mut back, 100_000, 10).unwrap(), 6000);
        assert_eq!(back[1..], bytes.concat());
    }
}
