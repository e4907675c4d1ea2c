//! Writable mappings of the index files: the only file with `unsafe`.
//!
//! What makes it sound, and who sees to it: the data directory is locked, so nobody else shortens a
//! file; `index.rs` sets a file's length before it maps it and never shortens it while mapped; it
//! touches a page for writing only after `File::reserve` gave it room, so a full disk is an error of
//! `reserve` and not a signal. A deleted file's mapping lives until it is dropped (architecture.md §7).

#![allow(unsafe_code)]

use std::fs;
use std::io;

use super::storage::Mapping;

#[derive(Debug)]
struct DiskMapping {
    map: memmap2::MmapMut,
}

/// Maps the first `len` bytes of a file.
pub(super) fn map(file: &fs::File, len: u64) -> io::Result<Box<dyn Mapping>> {
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
    if file.metadata()?.len() < len as u64 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // SAFETY: the file is at least this long, checked above, and stays so while the directory is
    // locked (see the head of this file); the bytes are plain data, valid in every state.
    let map = unsafe { memmap2::MmapOptions::new().len(len).map_mut(file)? };
    // Lookups jump about: reading ahead would fill the page cache with what nobody asked for.
    map.advise(memmap2::Advice::Random)?;
    Ok(Box::new(DiskMapping { map }))
}

impl Mapping for DiskMapping {
    fn bytes(&self) -> &[u8] {
        &self.map
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.map
    }

    fn sync(&self) -> io::Result<()> {
        self.map.flush()
    }
}
