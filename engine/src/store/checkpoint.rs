//! What is known to be durable: the checkpoint, which Apache reads too, and the second line of the
//! abort marker, which only we read.
//!
//! Both may lag behind the disk and never run ahead of it. Spec: store.md §5, architecture.md §7.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::storage::{self, File, OpenMode, Storage};
use crate::protocol::record::i64_at;

/// Bytes of the checkpoint file.
const CHECKPOINT_LEN: usize = 4096;
pub(super) const CHECKPOINT_FILE: &str = "checkpoint";
pub(super) const ABORT_FILE: &str = "abort";

/// The fields of the checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Checkpoint {
    /// Store time of the newest durable record.
    pub log_time: i64,
    /// Store time of the newest record whose unit, and those before it, are durable.
    pub queue_time: i64,
    /// End time of the last full index file.
    pub index_time: i64,
    /// Kept as it was read.
    pub master_flushed: i64,
    /// Start of the last valid record that recovery found.
    pub confirm: i64,
    /// Start of the record of `queue_time`.
    pub queue_offset: i64,
}

impl Checkpoint {
    /// The checkpoint of a directory; all zero when there is none.
    pub fn read(storage: &dyn Storage, root: &Path) -> io::Result<Self> {
        let bytes = storage::read_whole(storage, &root.join(CHECKPOINT_FILE))?.unwrap_or_default();
        let field = |at| i64_at(&bytes, at).unwrap_or(0);
        Ok(Self {
            log_time: field(0),
            queue_time: field(8),
            index_time: field(16),
            master_flushed: field(24),
            confirm: field(32),
            queue_offset: field(40),
        })
    }

    fn encode(self) -> Vec<u8> {
        let fields = [
            self.log_time,
            self.queue_time,
            self.index_time,
            self.master_flushed,
            self.confirm,
            self.queue_offset,
        ];
        let mut bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_be_bytes()).collect();
        bytes.resize(CHECKPOINT_LEN, 0);
        bytes
    }

    /// Writes it in place, durable.
    pub fn write(self, storage: &dyn Storage, root: &Path) -> io::Result<()> {
        let file = storage.open(&root.join(CHECKPOINT_FILE), OpenMode::Create)?;
        storage::write_all(file.as_ref(), &self.encode(), 0)?;
        file.sync_data()
    }
}

/// The mark of a directory in use. It stays when the stop was not clean.
pub(super) struct AbortMark {
    file: Arc<dyn File>,
    process_line: String,
    noted: u64,
}

impl AbortMark {
    /// Makes the mark, or writes it anew, with the offset up to which the log is durable.
    pub fn write(storage: &dyn Storage, root: &Path, durable: u64) -> io::Result<Self> {
        let process_line = format!("{}\n", std::process::id());
        let path = root.join(ABORT_FILE);
        let text = format!("{process_line}{}", durable_line(durable));
        // Over the old content, never through an empty file: its durable offset would be lost.
        let file = storage.open(&path, OpenMode::Create)?;
        storage::write_all(file.as_ref(), text.as_bytes(), 0)?;
        file.set_len(text.len() as u64)?;
        file.sync_data()?;
        storage.sync_dir(root)?;
        Ok(Self { file, process_line, noted: durable })
    }

    /// Notes that the log is durable up to here. In place, within one sector.
    pub fn note(&mut self, durable: u64) -> io::Result<()> {
        if durable != self.noted {
            let at = self.process_line.len() as u64;
            storage::write_all(self.file.as_ref(), durable_line(durable).as_bytes(), at)?;
            self.file.sync_data()?;
            self.noted = durable;
        }
        Ok(())
    }

    /// What an earlier process left.
    pub fn read(storage: &dyn Storage, root: &Path) -> io::Result<LastStop> {
        let bytes = storage::read_whole(storage, &root.join(ABORT_FILE))?;
        Ok(bytes.map_or(LastStop::Clean, |bytes| LastStop::Unclean {
            durable: parse_durable(&String::from_utf8_lossy(&bytes)),
        }))
    }
}

/// How the last process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LastStop {
    /// It took its mark away.
    Clean,
    /// It did not.
    Unclean {
        /// Offset up to which it knew the log to be durable, when its note is whole.
        durable: Option<u64>,
    },
}

fn durable_line(durable: u64) -> String {
    let digits = format!("{durable:020}");
    let crc = crc32fast::hash(digits.as_bytes());
    format!("{digits} {crc:08x}\n")
}

fn parse_durable(text: &str) -> Option<u64> {
    let (digits, crc) = text.lines().nth(1)?.split_once(' ')?;
    let right = u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(digits.as_bytes());
    digits.parse().ok().filter(|_| right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::Disk;

    #[test]
    fn checkpoint_has_its_fields_where_apache_looks_for_them() {
        let dir = tempfile::tempdir().unwrap();
        let point = Checkpoint {
            log_time: 1,
            queue_time: 2,
            index_time: 3,
            master_flushed: 4,
            confirm: 5,
            queue_offset: 6,
        };
        point.write(&Disk, dir.path()).unwrap();
        let bytes = storage::read_whole(&Disk, &dir.path().join("checkpoint")).unwrap().unwrap();
        assert_eq!(bytes.len(), 4096);
        assert_eq!((bytes[7], bytes[15], bytes[23], bytes[39], bytes[47]), (1, 2, 3, 5, 6));
        assert_eq!(Checkpoint::read(&Disk, dir.path()).unwrap(), point);
    }

    #[test]
    fn the_durable_offset_is_believed_only_whole() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(AbortMark::read(&Disk, dir.path()).unwrap(), LastStop::Clean);
        let mut mark = AbortMark::write(&Disk, dir.path(), 5).unwrap();
        mark.note(1 << 40).unwrap();
        let unclean = LastStop::Unclean { durable: Some(1 << 40) };
        assert_eq!(AbortMark::read(&Disk, dir.path()).unwrap(), unclean);
        let line = durable_line(77);
        assert_eq!(parse_durable(&format!("1\n{line}")), Some(77));
        assert_eq!(parse_durable(&format!("1\n{}", line.replace('7', "8"))), None);
        // Apache writes only the process id.
        assert_eq!(parse_durable("4711"), None);
    }
}
