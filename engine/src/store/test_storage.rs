//! A storage in memory that keeps pending and durable bytes apart, for tests and the simulator.
//!
//! What was not synced can be lost page by page, and torn inside a page, as a power cut would; errors
//! can be ordered. A killed process loses nothing: its writes are in the page cache. Pages whose sync
//! failed stay readable and are not written by the next one, as Linux has it.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::storage::{Entry, File, Mapping, OpenMode, Space, Storage};

const PAGE: usize = 4096;
/// What a disk writes whole: a page that was under way when the power failed is torn between these.
const SECTOR: usize = 512;

/// A tree of files in memory. Clones are the same tree.
#[derive(Clone, Default)]
pub struct TestStorage {
    tree: Arc<Mutex<Tree>>,
}

#[derive(Default)]
struct Tree {
    files: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    /// Names that are durable; contents are kept in the files.
    durable_names: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    dirs: BTreeSet<PathBuf>,
    locked: BTreeSet<PathBuf>,
    faults: Faults,
    fuse: Option<Fuse>,
    image: Option<(TestStorage, Crash)>,
}

/// How a process ends without warning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crash {
    /// It is killed: what it wrote stays in the page cache.
    Kill,
    /// The machine loses power; the number chooses what had reached the disk.
    Power(u64),
}

/// A crash that comes after some more changes.
#[derive(Clone, Copy, Debug)]
struct Fuse {
    left: u32,
    crash: Crash,
}

/// What goes wrong, until it is set back.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Syncs of files below this path fail.
    pub sync: Option<PathBuf>,
    /// Writes to files below this path stop half-way, for lack of room.
    pub write: Option<PathBuf>,
    /// Free bytes that are reported; plenty when none.
    pub free: Option<u64>,
    /// Nothing of the files below this path is in memory: reads that do not wait get nothing.
    pub cold: Option<PathBuf>,
}

#[derive(Clone, Default)]
struct Content {
    pending: Sparse,
    durable: Sparse,
    /// Pages that the next sync writes.
    dirty: BTreeSet<u64>,
    /// Pages whose sync failed: nothing writes them unless they are changed again.
    failed: BTreeSet<u64>,
    modified_ms: i64,
}

impl Content {
    fn write(&mut self, bytes: &[u8], offset: u64) {
        self.pending.write(bytes, offset);
        self.touch(offset, bytes.len() as u64);
    }

    fn touch(&mut self, offset: u64, len: u64) {
        if len > 0 {
            let (first, last) = (offset / PAGE as u64, (offset + len - 1) / PAGE as u64);
            for page in first..=last {
                self.dirty.insert(page);
                self.failed.remove(&page);
            }
        }
    }

    fn sync(&mut self) {
        for page in std::mem::take(&mut self.dirty) {
            match self.pending.pages.get(&page) {
                Some(bytes) => drop(self.durable.pages.insert(page, bytes.clone())),
                None => drop(self.durable.pages.remove(&page)),
            }
        }
        self.durable.set_len(self.pending.len);
    }

    fn fail_sync(&mut self) {
        let dirty = std::mem::take(&mut self.dirty);
        self.failed.extend(dirty);
    }
}

/// Bytes of a file; pages that were never written take no room.
#[derive(Clone, Default)]
struct Sparse {
    len: u64,
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl Sparse {
    fn write(&mut self, bytes: &[u8], offset: u64) {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let (page, inside) = (at / PAGE as u64, (at % PAGE as u64) as usize);
            let now = (PAGE - inside).min(bytes.len() - done);
            let page = self.pages.entry(page).or_insert_with(|| vec![0; PAGE].into());
            page[inside..inside + now].copy_from_slice(&bytes[done..done + now]);
            done += now;
        }
        self.len = self.len.max(offset + bytes.len() as u64);
    }

    fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let end = self.len.min(offset.saturating_add(len as u64));
        let mut bytes = vec![0; end.saturating_sub(offset) as usize];
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let inside = (at % PAGE as u64) as usize;
            let now = (PAGE - inside).min(bytes.len() - done);
            if let Some(page) = self.pages.get(&(at / PAGE as u64)) {
                bytes[done..done + now].copy_from_slice(&page[inside..inside + now]);
            }
            done += now;
        }
        bytes
    }

    fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.pages.retain(|page, _| page * (PAGE as u64) < len);
            let inside = (len % PAGE as u64) as usize;
            if let Some(page) = self.pages.get_mut(&(len / PAGE as u64)) {
                page[inside..].fill(0);
            }
        }
        self.len = len;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TestStorage {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        lock(&self.tree).faults = faults;
    }

    /// Lets the process crash after so many more changes of the tree: writes, lengths, names, syncs.
    /// What it does afterwards is not in [`Self::image`].
    pub fn arm(&self, changes: u32, crash: Crash) {
        lock(&self.tree).fuse = Some(Fuse { left: changes, crash });
    }

    /// Whether an ordered crash has not come yet.
    pub fn is_armed(&self) -> bool {
        lock(&self.tree).fuse.is_some()
    }

    /// The tree as the ordered crash left it, and how that came; none before.
    pub fn image(&self) -> Option<(Self, Crash)> {
        lock(&self.tree).image.take()
    }

    /// The tree as a crash now would leave it.
    #[must_use]
    pub fn crashed(&self, crash: Crash) -> Self {
        crashed(&lock(&self.tree), crash)
    }

    /// What a power cut is sure to leave of a file; none when not even its name is.
    pub fn durable(&self, path: &Path) -> Option<Vec<u8>> {
        let content = lock(&self.tree).durable_names.get(path).cloned()?;
        let content = lock(&content);
        Some(content.durable.read(0, content.durable.len as usize))
    }

    /// The tree as a power cut leaves it: for every page that was not synced, `keep` says whether it
    /// had reached the disk. Names that were not synced may be lost likewise.
    #[must_use]
    pub fn power_cut(&self, keep: impl FnMut() -> bool) -> Self {
        power_cut(&lock(&self.tree), keep)
    }

    /// The tree as a kill leaves it: with everything that was written.
    #[must_use]
    pub fn kill(&self) -> Self {
        kill(&lock(&self.tree))
    }

    /// Paths of all files, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        lock(&self.tree).files.keys().cloned().collect()
    }

    fn content(&self, path: &Path) -> io::Result<Arc<Mutex<Content>>> {
        let found = lock(&self.tree).files.get(path).cloned();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Counts a change that is about to happen; the crash comes before it.
fn burn(tree: &Mutex<Tree>) {
    let mut tree = lock(tree);
    let Some(fuse) = &mut tree.fuse else { return };
    if fuse.left > 0 {
        fuse.left -= 1;
        return;
    }
    let crash = fuse.crash;
    tree.fuse = None;
    tree.image = Some((crashed(&tree, crash), crash));
}

fn crashed(tree: &Tree, crash: Crash) -> TestStorage {
    match crash {
        Crash::Kill => kill(tree),
        Crash::Power(seed) => {
            let mut state = seed | 1;
            power_cut(tree, move || {
                // xorshift64: any sequence will do.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state & 3 != 0
            })
        }
    }
}

fn power_cut(tree: &Tree, mut keep: impl FnMut() -> bool) -> TestStorage {
    let mut files = BTreeMap::new();
    for (path, content) in &tree.durable_names {
        files.insert(path.clone(), Arc::clone(content));
    }
    for (path, content) in &tree.files {
        if !tree.durable_names.contains_key(path) && keep() {
            files.insert(path.clone(), Arc::clone(content));
        }
    }
    let files: BTreeMap<_, _> = files
        .into_iter()
        .map(|(path, content)| (path, Arc::new(Mutex::new(cut(&lock(&content), &mut keep)))))
        .collect();
    let durable_names = files.clone();
    tree_of(files, durable_names, tree)
}

fn kill(tree: &Tree) -> TestStorage {
    let files: BTreeMap<_, _> = tree
        .files
        .iter()
        .map(|(path, content)| (path.clone(), Arc::new(Mutex::new(lock(content).clone()))))
        .collect();
    // A name that is durable but was renamed or removed since keeps its old file on the disk.
    let durable_names = tree
        .durable_names
        .iter()
        .map(|(path, content)| {
            let same = tree.files.iter().find(|(_, file)| Arc::ptr_eq(file, content));
            let copy = same.and_then(|(name, _)| files.get(name)).cloned();
            (path.clone(), copy.unwrap_or_else(|| Arc::new(Mutex::new(lock(content).clone()))))
        })
        .collect();
    tree_of(files, durable_names, tree)
}

type Files = BTreeMap<PathBuf, Arc<Mutex<Content>>>;

fn tree_of(files: Files, durable_names: Files, from: &Tree) -> TestStorage {
    let dirs = from.dirs.clone();
    let tree = Tree { files, durable_names, dirs, ..Tree::default() };
    TestStorage { tree: Arc::new(Mutex::new(tree)) }
}

fn cut(content: &Content, keep: &mut impl FnMut() -> bool) -> Content {
    let mut left = content.durable.clone();
    let len = if keep() { content.pending.len } else { content.durable.len };
    for number in content.dirty.union(&content.failed) {
        let Some(page) = content.pending.pages.get(number) else {
            if keep() {
                left.pages.remove(number);
            }
            continue;
        };
        let old = left.pages.get(number).cloned().unwrap_or_else(|| vec![0; PAGE].into());
        if *page == old {
            continue;
        }
        // Nothing of it, all of it, or some of its sectors.
        match (keep(), keep()) {
            (false, _) => {}
            (true, true) => drop(left.pages.insert(*number, page.clone())),
            (true, false) => {
                let mut torn = old;
                for (new, torn) in page.chunks(SECTOR).zip(torn.chunks_mut(SECTOR)) {
                    if keep() {
                        torn.copy_from_slice(new);
                    }
                }
                left.pages.insert(*number, torn);
            }
        }
    }
    left.len = u64::MAX;
    left.set_len(len);
    Content {
        pending: left.clone(),
        durable: left,
        modified_ms: content.modified_ms,
        ..Content::default()
    }
}

impl Storage for TestStorage {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        if mode != OpenMode::Existing {
            let mut tree = lock(&self.tree);
            if !tree.dirs.contains(path.parent().unwrap_or(path)) {
                return Err(io::ErrorKind::NotFound.into());
            }
            tree.files.entry(path.to_owned()).or_default();
        }
        let content = self.content(path)?;
        Ok(Arc::new(TestFile { path: path.to_owned(), content, tree: Arc::clone(&self.tree) }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let tree = lock(&self.tree);
        let name = |path: &Path| {
            path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        };
        let mut entries: Vec<Entry> = tree
            .files
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir))
            .map(|(path, content)| {
                let content = lock(content);
                let (len, modified_ms) = (content.pending.len, content.modified_ms);
                Entry { name: name(path), is_dir: false, len, modified_ms }
            })
            .collect();
        let dirs = tree.dirs.iter().filter(|path| path.parent() == Some(dir));
        entries.extend(dirs.map(|path| Entry {
            name: name(path),
            is_dir: true,
            len: 0,
            modified_ms: 0,
        }));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut tree = lock(&self.tree);
        for path in dir.ancestors() {
            tree.dirs.insert(path.to_owned());
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        burn(&self.tree);
        let mut tree = lock(&self.tree);
        let content = tree.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        tree.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        burn(&self.tree);
        lock(&self.tree).files.remove(path);
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut tree = lock(&self.tree);
        tree.files.retain(|path, _| !path.starts_with(dir));
        tree.durable_names.retain(|path, _| !path.starts_with(dir));
        tree.dirs.retain(|path| !path.starts_with(dir));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        burn(&self.tree);
        let mut tree = lock(&self.tree);
        let tree = &mut *tree;
        tree.durable_names.retain(|path, _| path.parent() != Some(dir));
        let here = tree.files.iter().filter(|(path, _)| path.parent() == Some(dir));
        tree.durable_names.extend(here.map(|(path, content)| (path.clone(), content.clone())));
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        if !lock(&self.tree).locked.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Box::new(TestLock { path: path.to_owned(), tree: Arc::clone(&self.tree) })))
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let free = lock(&self.tree).faults.free.unwrap_or(1 << 40);
        Ok(Space { used: 0, available: free, in_memory: false })
    }
}

struct TestLock {
    path: PathBuf,
    tree: Arc<Mutex<Tree>>,
}

impl Drop for TestLock {
    fn drop(&mut self) {
        lock(&self.tree).locked.remove(&self.path);
    }
}

struct TestFile {
    path: PathBuf,
    content: Arc<Mutex<Content>>,
    tree: Arc<Mutex<Tree>>,
}

impl TestFile {
    fn fails(&self, which: impl Fn(&Faults) -> &Option<PathBuf>) -> bool {
        let tree = lock(&self.tree);
        which(&tree.faults).as_ref().is_some_and(|path| self.path.starts_with(path))
    }
}

impl File for TestFile {
    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        burn(&self.tree);
        let bytes = buffers.iter().map(|buffer| &**buffer).collect::<Vec<_>>().concat();
        let fails = self.fails(|faults| &faults.write);
        let mut content = lock(&self.content);
        content.modified_ms += 1;
        if fails {
            content.write(&bytes[..bytes.len() / 2], offset);
            return Err(io::ErrorKind::StorageFull.into());
        }
        content.write(&bytes, offset);
        Ok(())
    }

    fn read_at(&self, buffer: &mut Vec<u8>, len: usize, offset: u64) -> io::Result<usize> {
        let bytes = lock(&self.content).pending.read(offset, len);
        buffer.extend_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn read_now(&self, buffer: &mut Vec<u8>, len: usize, offset: u64) -> io::Result<usize> {
        if self.fails(|faults| &faults.cold) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.read_at(buffer, len, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        burn(&self.tree);
        let fails = self.fails(|faults| &faults.sync);
        let mut content = lock(&self.content);
        if fails {
            content.fail_sync();
            return Err(io::Error::other("ordered failure"));
        }
        content.sync();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.content).pending.len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        burn(&self.tree);
        let mut content = lock(&self.content);
        let old = content.pending.len;
        content.pending.set_len(len);
        content.touch(len.min(old), old.saturating_sub(len));
        Ok(())
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        burn(&self.tree);
        let mut content = lock(&self.content);
        let end = content.pending.len.min(offset + len);
        content.touch(offset, end.saturating_sub(offset));
        let mut at = offset;
        while at < end {
            let now = (end - at).min(PAGE as u64 - at % PAGE as u64);
            if let Some(page) = content.pending.pages.get_mut(&(at / PAGE as u64)) {
                let inside = (at % PAGE as u64) as usize;
                page[inside..inside + now as usize].fill(0);
            }
            at += now;
        }
        Ok(())
    }

    fn reserve(&self, _offset: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn map(&self, len: u64) -> io::Result<Box<dyn Mapping>> {
        let bytes = lock(&self.content).pending.read(0, len as usize);
        Ok(Box::new(TestMapping { bytes, content: Arc::clone(&self.content) }))
    }
}

/// A copy that is written back when it is synced or dropped.
struct TestMapping {
    bytes: Vec<u8>,
    content: Arc<Mutex<Content>>,
}

impl Mapping for TestMapping {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn sync(&self) -> io::Result<()> {
        let mut content = lock(&self.content);
        content.write(&self.bytes, 0);
        content.sync();
        Ok(())
    }
}

impl Drop for TestMapping {
    fn drop(&mut self) {
        lock(&self.content).write(&self.bytes, 0);
    }
}
