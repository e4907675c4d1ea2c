//! At every size: straight borders, titles over their columns, priority 1 never missing, keys that work.

use super::render::{Deck, buffer, lines};
use super::snapshots::PLACES;
use crate::keymap::parse_key;
use crate::screen;
use crate::screen::frame::shown_keys;

const SIZES: [(u16, u16); 7] =
    [(60, 16), (72, 20), (80, 24), (100, 30), (120, 40), (160, 50), (200, 60)];

/// Column of the right border of the first box of the frame.
fn border_of(frame: &[String], corner: char) -> Option<(usize, usize)> {
    frame.iter().enumerate().find_map(|(y, l)| l.chars().position(|c| c == corner).map(|x| (x, y)))
}

#[test]
fn borders_are_straight_and_nothing_stands_outside() {
    for (name, keys) in PLACES {
        for size in SIZES {
            let mut deck = Deck::new(size);
            deck.press(keys);
            let frame = lines(&buffer(&deck.app));
            let (left, top) = border_of(&frame, '┌').expect("a box");
            let bottom =
                frame.iter().position(|l| l.chars().nth(left) == Some('└')).expect("its end");
            for (y, line) in frame.iter().enumerate().take(bottom + 1).skip(top) {
                let cells: Vec<char> = line.chars().collect();
                let at = |x: usize| cells.get(x).copied().unwrap_or(' ');
                assert!("│├┌└".contains(at(left)), "{name} {size:?} row {y}: {line}");
                let last = cells.len() - 1;
                assert!("│┤┐┘".contains(at(last)), "{name} {size:?} row {y}: {line}");
                assert_eq!(cells.len(), usize::from(size.0), "{name} {size:?} row {y}: {line}");
            }
        }
    }
}

#[test]
fn columns_of_priority_one_are_never_missing() {
    let tables = [
        ("", screen::overview::COLUMNS),
        ("2", screen::topics::COLUMNS),
        ("2 enter", screen::queues::COLUMNS),
        ("2 enter enter", screen::messages::COLUMNS),
        ("3", screen::groups::COLUMNS),
        ("4", screen::ladder::LEVELS),
        ("5 enter", screen::dead_letters::LETTERS),
        ("7", screen::brokers::COLUMNS),
        ("8", screen::clients::COLUMNS),
        ("9", screen::timers::COLUMNS),
        ("0", screen::transactions::COLUMNS),
    ];
    for (keys, columns) in tables {
        for size in SIZES {
            let mut deck = Deck::new(size);
            deck.press(keys);
            let text = deck.text();
            for column in columns.iter().filter(|c| c.priority == 1 && !c.title.is_empty()) {
                assert!(
                    text.contains(column.title.trim()),
                    "{keys} {size:?} {}\n{text}",
                    column.title
                );
            }
        }
    }
}

#[test]
fn every_key_of_a_footer_has_an_effect() {
    for (name, keys) in PLACES {
        let mut deck = Deck::new((200, 60));
        deck.press(keys);
        for (key, label) in shown_keys(&deck.app) {
            let mut deck = Deck::new((200, 60));
            deck.press(keys);
            let before = (deck.text(), deck.effects.len(), format!("{:?}", deck.app.pending));
            for part in key.split(' ') {
                let name = match part.strip_prefix('^') {
                    Some(letter) => format!("ctrl+{}", letter.to_lowercase()),
                    None if part.chars().count() > 1 => part.to_lowercase(),
                    None => part.to_owned(),
                };
                deck.press(&parse_key(&name).map(|_| name.clone()).expect("a key of the footer"));
            }
            let after = (deck.text(), deck.effects.len(), format!("{:?}", deck.app.pending));
            assert_ne!(before, after, "{name}: {key} {label}");
        }
    }
}

#[test]
fn tiny_terminals_say_what_is_needed() {
    let deck = Deck::new((52, 14));
    assert_eq!(deck.text().trim_end(), "mqdeck needs 60×16, this is 52×14");
}
