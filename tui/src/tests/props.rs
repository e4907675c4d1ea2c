//! Any sequence of events leaves a drawable state, at any size.

use proptest::prelude::*;

use super::render::{Deck, text};
use crate::event::{Code, Event, Key};

fn key() -> impl Strategy<Value = Key> {
    let codes = prop_oneof![
        "[a-zA-Z0-9 /?.@#{}+*-]".prop_map(|s| Code::Char(s.chars().next().unwrap_or('x'))),
        "[rjk5317]".prop_map(|s| Code::Char(s.chars().next().unwrap_or('x'))),
        Just(Code::Enter),
        Just(Code::Enter),
        Just(Code::Esc),
        Just(Code::Tab),
        Just(Code::BackTab),
        Just(Code::Down),
        Just(Code::PageDown),
        Just(Code::End),
        Just(Code::Backspace),
        (1u8..12).prop_map(Code::F),
    ];
    (codes, prop::bool::weighted(0.05)).prop_map(|(code, ctrl)| Key { code, ctrl })
}

#[derive(Clone, Debug)]
enum Step {
    Key(Key, i64),
    Size(u16, u16),
    Paste(String),
    Tick(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (key(), 0i64..1_000).prop_map(|(k, ms)| Step::Key(k, ms)),
        1 => (1u16..220, 1u16..70).prop_map(|(w, h)| Step::Size(w, h)),
        1 => "\\PC{0,12}".prop_map(Step::Paste),
        1 => (0i64..100_000).prop_map(Step::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_events_leave_a_drawable_state(
        size in (1u16..220, 1u16..70),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut deck = Deck::new(size);
        deck.app.session.danger_prod = false;
        for step in steps {
            match step {
                Step::Key(key, ms) => {
                    deck.now += ms;
                    let now = deck.now;
                    deck.send(Event::Key(key, now));
                }
                Step::Size(w, h) => deck.send(Event::Resize(w, h)),
                Step::Paste(text) => {
                    let now = deck.now;
                    deck.send(Event::Paste(text, now));
                }
                Step::Tick(ms) => {
                    deck.now += ms;
                    let now = deck.now;
                    deck.send(Event::Tick(now));
                }
            }
        }
        let _ = text(&deck.app);
    }

    #[test]
    fn every_place_is_drawable_at_every_size(w in 1u16..240, h in 1u16..80, place in 0usize..14) {
        let mut deck = Deck::new((120, 40));
        deck.press(super::snapshots::PLACES[place].1);
        deck.send(Event::Resize(w, h));
        let _ = text(&deck.app);
    }
}
