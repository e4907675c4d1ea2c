//! Frames as they are meant to be: every place full at three sizes, its other states at 80×24.

use std::sync::Arc;

use super::render::{Deck, roles, text};
use crate::app::App;
use crate::data::{Link, Part, Picture, Problem, Ready};
use crate::fixtures;
use crate::survey::state::{Survey, Surveyed, TimerList};
use crate::survey::trace::{Life, Match};

/// Places with the keys that lead there from the Overview.
pub const PLACES: [(&str, &str); 19] = [
    ("overview", ""),
    ("topics", "2"),
    ("queues", "2 enter"),
    ("messages", "2 enter enter"),
    ("message_body", "2 enter enter enter"),
    ("message_properties", "2 enter enter enter }"),
    ("message_where", "2 enter enter enter } }"),
    ("message_trace", "2 enter enter enter } } }"),
    ("groups", "3"),
    ("group_queues", "3 enter"),
    ("group_clients", "3 enter }"),
    ("group_retry", "3 enter } }"),
    ("ladder", "4 j"),
    ("dead", "5"),
    ("brokers", "7"),
    ("clients", "8"),
    ("timers", "9"),
    ("transactions", "0"),
    ("trace", "T 'inv-2201 enter"),
];

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

#[test]
fn every_place_full() {
    for (name, keys) in PLACES {
        for (w, h) in SIZES {
            let mut deck = Deck::new((w, h));
            deck.press(keys);
            insta::assert_snapshot!(format!("{name}_{w}x{h}"), deck.text());
        }
    }
}

#[test]
fn letters_with_marks() {
    for (w, h) in [(80, 24), (120, 40)] {
        let mut deck = Deck::new((w, h));
        deck.press("5 enter space space j space");
        insta::assert_snapshot!(format!("dead_marks_{w}x{h}"), deck.text());
    }
}

#[test]
fn dialogs() {
    for (w, h) in [(80, 24), (120, 40)] {
        let mut deck = Deck::new((w, h));
        deck.press("3 r");
        insta::assert_snapshot!(format!("replay_empty_{w}x{h}"), deck.text());
        deck.press("'-2h enter");
        insta::assert_snapshot!(format!("replay_preview_{w}x{h}"), deck.text());
        let mut deck = Deck::new((w, h));
        deck.press("5 enter * r");
        insta::assert_snapshot!(format!("resend_preview_{w}x{h}"), deck.text());
        let mut deck = Deck::new((w, h));
        deck.press("q");
        insta::assert_snapshot!(format!("quit_{w}x{h}"), deck.text());
        let mut deck = Deck::new((w, h));
        deck.press("5 ?");
        insta::assert_snapshot!(format!("help_dead_{w}x{h}"), deck.text());
    }
}

#[test]
fn roles_of_the_groups_screen() {
    let mut deck = Deck::new((80, 24));
    deck.press("3");
    insta::assert_snapshot!("groups_roles_80x24", roles(&deck.app));
}

#[test]
fn a_trace_that_is_not_there_says_why() {
    let lives: [(&str, Life); 3] = [
        ("off", Life::default()),
        ("none", Life { exists: true, ..Life::default() }),
        (
            "several",
            Life {
                exists: true,
                matches: (1..4)
                    .map(|n| Match {
                        at_ms: fixtures::at("09:17:40") + n,
                        topic: "invoices".to_owned(),
                        id: format!("C0A80001000018B4AAC2140E0000{n:04X}"),
                    })
                    .collect(),
                ..Life::default()
            },
        ),
    ];
    for (name, life) in lives {
        let mut deck = Deck::new((80, 24));
        deck.answers = false;
        deck.press("T 'inv-2201 enter");
        let ticket = deck.effects.iter().find_map(|effect| match effect {
            crate::effect::Effect::FindTrace(ticket, _) => Some(*ticket),
            _ => None,
        });
        deck.send(crate::event::Event::Traced(ticket.unwrap(), Ok(Box::new(life))));
        insta::assert_snapshot!(format!("trace_{name}_80x24"), deck.text());
    }
}

#[test]
fn surveys_in_their_other_states() {
    for (key, survey) in
        [("8", Survey::Clients), ("9", Survey::Timers), ("0", Survey::Transactions)]
    {
        let empty = match survey {
            Survey::Clients => Surveyed::Clients(Ok((Vec::new(), true))),
            Survey::Timers => Surveyed::Timers(Ok((TimerList::default(), false))),
            Survey::Transactions => Surveyed::Transactions(Ok((Vec::new(), true))),
        };
        let refused = match survey {
            Survey::Clients => Surveyed::Clients(Err(fixtures::denied())),
            Survey::Timers => Surveyed::Timers(Err(fixtures::denied())),
            Survey::Transactions => Surveyed::Transactions(Err(fixtures::denied())),
        };
        for (state, answer) in [("never", None), ("empty", Some(empty)), ("refused", Some(refused))]
        {
            let mut deck = Deck::new((80, 24));
            deck.answers = false;
            deck.press(key);
            if let Some(answer) = answer {
                deck.send(crate::event::Event::Surveyed(Box::new(answer)));
            }
            insta::assert_snapshot!(format!("state_{state}_{key}"), deck.text());
        }
    }
}

/// Changes a picture into one of the states of console-ux.md §5.1.
fn never(picture: &mut Picture) {
    *picture = Picture::default();
}

fn gone(picture: &mut Picture) {
    picture.link = Link::Gone {
        since_ms: fixtures::at("14:02:11"),
        next_try_ms: fixtures::now() + 4_000,
        error: "connection refused".to_owned(),
    };
}

fn empty(picture: &mut Picture) {
    let now = fixtures::now();
    picture.topics = Part::ready(Vec::new(), now, 2);
    picture.groups = Part::ready(Vec::new(), now, 2);
    picture.dead = Part::ready(Vec::new(), now, 2);
    picture.brokers = Part::ready(Vec::new(), now, 2);
    picture.ladder = Part::ready(crate::data::Ladder::default(), now, 2);
    picture.alerts.clear();
}

fn refused(picture: &mut Picture) {
    let problem: fn() -> Problem = fixtures::denied;
    picture.topics = Part::Refused(problem());
    picture.groups = Part::Refused(problem());
    picture.dead = Part::Refused(problem());
    picture.brokers = Part::Refused(problem());
    picture.ladder = Part::Refused(problem());
}

fn aged<T>(part: &Part<T>, age_ms: i64, answered: u16) -> Part<T> {
    match part {
        Part::Ready(r) => Part::Ready(Ready {
            value: Arc::clone(&r.value),
            taken_ms: r.taken_ms - age_ms,
            answered,
            asked: 2,
        }),
        _ => Part::Unasked,
    }
}

fn partial(picture: &mut Picture) {
    picture.cluster = aged(&picture.cluster, 12_000, 1);
    picture.topics = aged(&picture.topics, 12_000, 1);
    picture.groups = aged(&picture.groups, 12_000, 1);
    picture.dead = aged(&picture.dead, 12_000, 1);
    picture.brokers = aged(&picture.brokers, 12_000, 1);
    picture.ladder = aged(&picture.ladder, 12_000, 1);
}

type State = (&'static str, fn(&mut Picture));

#[test]
fn every_place_in_every_other_state() {
    let states: [State; 5] = [
        ("never", never),
        ("gone", gone),
        ("empty", empty),
        ("refused", refused),
        ("partial", partial),
    ];
    for (state, change) in states {
        for key in ["1", "2", "3", "4", "5", "7"] {
            let mut app: App = fixtures::app((80, 24));
            change(&mut app.live);
            let mut deck = Deck::of(app);
            deck.press(key);
            insta::assert_snapshot!(format!("state_{state}_{key}"), text(&deck.app));
        }
    }
}
