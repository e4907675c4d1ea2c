//! Positions of a consumer in memory, and the file in which a broadcasting one keeps them.
//!
//! Pure but for the two functions that read and write that file: the only file of the client
//! (semantics.md §15).

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::protocol::body::MessageQueue;
use crate::protocol::body::offsets::ResetOffsetBody;
use crate::protocol::json_dialect;

/// Offset of each queue, and what of it is stored already.
#[derive(Clone, Debug, Default)]
pub(super) struct Positions {
    table: BTreeMap<MessageQueue, Position>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Position {
    offset: i64,
    stored: Option<i64>,
}

impl Positions {
    /// A position as the broker or the file has it.
    pub(super) fn load(&mut self, queue: &MessageQueue, offset: i64, stored: bool) {
        let stored = stored.then_some(offset);
        self.table.insert(queue.clone(), Position { offset, stored });
    }

    /// Moves a position on; never back.
    pub(super) fn advance(&mut self, queue: &MessageQueue, offset: i64) {
        if let Some(position) = self.table.get_mut(queue) {
            position.offset = position.offset.max(offset);
        }
    }

    pub(super) fn get(&self, queue: &MessageQueue) -> Option<i64> {
        self.table.get(queue).map(|position| position.offset)
    }

    pub(super) fn forget(&mut self, queue: &MessageQueue) {
        self.table.remove(queue);
    }

    /// What differs from what is stored.
    pub(super) fn unstored(&self) -> Vec<(MessageQueue, i64)> {
        let changed = |(queue, position): (&MessageQueue, &Position)| {
            (position.stored != Some(position.offset)).then(|| (queue.clone(), position.offset))
        };
        self.table.iter().filter_map(changed).collect()
    }

    pub(super) fn stored(&mut self, queue: &MessageQueue, offset: i64) {
        if let Some(position) = self.table.get_mut(queue) {
            position.stored = Some(offset);
        }
    }

    pub(super) fn all(&self) -> BTreeMap<MessageQueue, i64> {
        self.table.iter().map(|(queue, position)| (queue.clone(), position.offset)).collect()
    }
}

/// Reads the positions of a broadcasting consumer; none from a missing or unreadable file.
#[allow(clippy::disallowed_methods)] // the one file of the client, see above
pub(super) fn read_file(path: &Path) -> BTreeMap<MessageQueue, i64> {
    let text = std::fs::read(path).unwrap_or_default();
    json_dialect::from_slice::<ResetOffsetBody>(&text).unwrap_or_default().offset_table.0
}

/// Replaces that file as a whole.
#[allow(clippy::disallowed_methods)] // the one file of the client, see above
pub(super) fn write_file(path: &Path, table: BTreeMap<MessageQueue, i64>) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let body = ResetOffsetBody { offset_table: table.into_iter().collect() };
    let fresh = path.with_extension("tmp");
    std::fs::write(&fresh, json_dialect::to_vec(&body))?;
    std::fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(queue_id: i32) -> MessageQueue {
        MessageQueue { topic: "t".into(), broker_name: "b".into(), queue_id }
    }

    #[test]
    fn a_position_never_goes_back_and_is_stored_once() {
        let mut positions = Positions::default();
        positions.load(&queue(0), 5, true);
        assert!(positions.unstored().is_empty());
        positions.advance(&queue(0), 9);
        positions.advance(&queue(0), 7);
        assert_eq!(positions.unstored(), [(queue(0), 9)]);
        positions.stored(&queue(0), 9);
        assert!(positions.unstored().is_empty());
    }

    #[test]
    fn a_queue_given_up_has_no_position_to_move() {
        let mut positions = Positions::default();
        positions.load(&queue(0), 5, false);
        positions.forget(&queue(0));
        positions.advance(&queue(0), 9);
        assert_eq!(positions.get(&queue(0)), None);
    }

    #[test]
    fn positions_survive_in_their_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("g").join("offsets.json");
        assert!(read_file(&path).is_empty());
        let table = BTreeMap::from([(queue(0), 3), (queue(1), 8)]);
        write_file(&path, table.clone()).unwrap();
        assert_eq!(read_file(&path), table);
    }
}
