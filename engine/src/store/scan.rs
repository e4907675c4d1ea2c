//! Walks the log record by record: for recovery and for the key index.
//!
//! Says what lies at an offset; what to do about it is its callers' business. Spec: store.md §7.5.

use std::io;

use super::commit_log::CommitLog;
use super::storage::Wait;
use crate::protocol::record::{self, MAGIC_BLANK, RecordView, i32_at};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;
/// First three bytes of the magic of every record.
const MAGIC_START: [u8; 3] = [0xDA, 0xA3, 0x20];

/// What lies at an offset.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// A record; the next step is behind it.
    Record(RecordView<'a>),
    /// The marker that ends a file; the next step is there.
    NextFile(u64),
    /// Neither.
    Invalid,
}

/// Reads the log through a buffer.
pub(super) struct Scanner<'a> {
    log: &'a CommitLog,
    buffer: Vec<u8>,
    start: u64,
    /// No chunk reaches beyond it; a single record may.
    until: u64,
}

impl<'a> Scanner<'a> {
    /// A scanner of what lies before `until`; what is asked for behind it is read by itself.
    pub fn new(log: &'a CommitLog, until: u64) -> Self {
        Self { log, buffer: Vec::new(), start: 0, until }
    }

    /// Up to `len` bytes from an offset, fewer at the end of its file.
    fn bytes(&mut self, at: u64, len: usize) -> io::Result<&[u8]> {
        let inside = at.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let held = inside.and_then(|from| self.buffer.get(from..)).is_some_and(|b| b.len() >= len);
        if !held {
            self.buffer.clear();
            self.start = at;
            let left = usize::try_from(self.until.saturating_sub(at)).unwrap_or(usize::MAX);
            self.log.read_into(&mut self.buffer, at, len.max(left.min(CHUNK)), Wait::Yes)?;
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        let bytes = self.buffer.get(from..).unwrap_or_default();
        Ok(bytes.get(..len).unwrap_or(bytes))
    }

    /// What lies at an offset: a record counts only with its own position and, unless its checksum is
    /// trusted, its checksum.
    pub fn step(&mut self, at: u64, checksum: Checksum) -> io::Result<Step<'_>> {
        let head = self.bytes(at, 8)?;
        let (Some(size), Some(magic)) = (i32_at(head, 0), i32_at(head, 4)) else {
            return Ok(Step::Invalid);
        };
        if magic == MAGIC_BLANK {
            return Ok(Step::NextFile(self.log.next_base(at)));
        }
        let left = self.log.next_base(at) - at;
        let Some(size) = usize::try_from(size).ok().filter(|size| *size as u64 <= left) else {
            return Ok(Step::Invalid);
        };
        if size < record::RECORD_MIN {
            return Ok(Step::Invalid);
        }
        Ok(match RecordView::parse(self.bytes(at, size)?) {
            Ok(view)
                if u64::try_from(view.physical_offset()) == Ok(at)
                    && (checksum == Checksum::Trust || view.crc_matches()) =>
            {
                Step::Record(view)
            }
            _ => Step::Invalid,
        })
    }

    /// The first record at or behind an offset, over damage: its magic, position and checksum must be
    /// right. None when there is none up to the end of the files.
    pub fn search(&mut self, mut at: u64) -> io::Result<Option<u64>> {
        let files_end = self.log.files().last().map_or(0, |f| f.base + self.log.file_size);
        while at < files_end {
            let file_end = self.log.next_base(at);
            // A record at `at` has its magic at `at + 4`.
            let bytes = self.bytes(at + 4, CHUNK)?;
            let len = bytes.len() as u64;
            let hits: Vec<u64> =
                memchr::memmem::find_iter(bytes, &MAGIC_START).map(|hit| hit as u64).collect();
            for hit in hits {
                if matches!(self.step(at + hit, Checksum::Verify)?, Step::Record(_)) {
                    return Ok(Some(at + hit));
                }
            }
            // Overlap, so that a magic across two chunks is not missed.
            let next = at + len.saturating_sub(2).max(1);
            at = if len < 3 || next + 4 >= file_end { file_end } else { next };
            if at < files_end && at.is_multiple_of(self.log.file_size) {
                let first = self.step(at, Checksum::Verify)?;
                if matches!(first, Step::Record(_)) {
                    return Ok(Some(at));
                }
            }
        }
        Ok(None)
    }
}

/// Whether a body must have its checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Checksum {
    /// It must.
    Verify,
    /// It was verified before or was written by this process.
    Trust,
}
