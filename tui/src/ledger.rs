//! Which letters were sent back from this machine: the ledger file as a table in memory.

use std::collections::BTreeMap;

use crate::state_dir::{LedgerLine, StateDir};

/// The table. A letter is named `dead-letter topic@broker:queue:offset`.
#[derive(Debug, Default)]
pub struct Ledger {
    lines: BTreeMap<String, Vec<LedgerLine>>,
}

impl Ledger {
    /// Reads the file; one that cannot be read counts as empty.
    pub fn read(state: &StateDir) -> Self {
        let mut ledger = Self::default();
        for line in state.ledger().unwrap_or_default() {
            ledger.add(line);
        }
        ledger
    }

    /// Takes one line in.
    pub fn add(&mut self, line: LedgerLine) {
        self.lines.entry(line.letter.clone()).or_default().push(line);
    }

    /// What was done with a letter, oldest first.
    pub fn of(&self, letter: &str) -> &[LedgerLine] {
        self.lines.get(letter).map_or(&[], Vec::as_slice)
    }

    /// Letters sent back, by dead-letter topic and broker: queue id and offset of each.
    pub fn open_counts(&self) -> Resent {
        let mut out = Resent::default();
        for letter in self.lines.keys() {
            if let Some((topic, broker, queue, offset)) = parts(letter) {
                out.entry((topic, broker, queue)).or_default().push(offset);
            }
        }
        out
    }
}

/// Offsets of resent letters by dead-letter topic, broker and queue.
pub type Resent = BTreeMap<(String, String, i32), Vec<i64>>;

fn parts(letter: &str) -> Option<(String, String, i32, i64)> {
    let (topic, rest) = letter.split_once('@')?;
    let mut words = rest.rsplitn(3, ':');
    let offset = words.next()?.parse().ok()?;
    let queue = words.next()?.parse().ok()?;
    Some((topic.to_owned(), words.next()?.to_owned(), queue, offset))
}

/// A letter's name in the ledger.
pub fn letter_name(topic: &str, broker: &str, queue: i32, offset: i64) -> String {
    format!("{topic}@{broker}:{queue}:{offset}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_even_with_colons_in_the_broker() {
        let name = letter_name("%DLQ%billing", "a:b", 3, 77);
        assert_eq!(parts(&name), Some(("%DLQ%billing".to_owned(), "a:b".to_owned(), 3, 77)));
        assert_eq!(parts("nonsense"), None);
    }
}
