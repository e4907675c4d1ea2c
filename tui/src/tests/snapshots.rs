//! Frames as they are meant to be: every place full at three sizes, its other states at 80×24.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::render::{Deck, roles, text};
use crate::app::App;
use crate::data::{Fig, Link, Part, Picture, Problem, Ready};
use crate::effect::Effect;
use crate::event::Event;
use crate::fixtures;
use crate::survey::clients::Clients;
use crate::survey::timers::Timers;
use crate::survey::trace::{Life, Match};
use crate::survey::transactions::Transactions;
use crate::survey::{Survey, Surveyed};

/// Places with the keys that lead there from the Overview.
pub const PLACES: [(&str, &str); 20] = [
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
    ("trace", "T 'inv-2201 enter"),
    ("clients", "3 o c"),
    ("clients_running", "3 o c enter"),
    ("timers", "9"),
    ("transactions", "0"),
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
        deck.press("0 x");
        insta::assert_snapshot!(format!("decide_{w}x{h}"), deck.text());
        let mut deck = Deck::new((w, h));
        deck.press("q");
        insta::assert_snapshot!(format!("quit_{w}x{h}"), deck.text());
        let mut deck = Deck::new((w, h));
        deck.press("5 ?");
        insta::assert_snapshot!(format!("help_dead_{w}x{h}"), deck.text());
        let mut deck = Deck::new((w, h));
        deck.press("ctrl+p 'bill");
        insta::assert_snapshot!(format!("finder_{w}x{h}"), deck.text());
        let mut deck = Deck::new((w, h));
        deck.press(": 'r");
        insta::assert_snapshot!(format!("command_{w}x{h}"), deck.text());
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
            Effect::FindTrace(ticket, _) => Some(*ticket),
            _ => None,
        });
        deck.send(Event::Traced(ticket.unwrap(), Ok(Box::new(life))));
        insta::assert_snapshot!(format!("trace_{name}_80x24"), deck.text());
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

/// What a screen that asks for itself gets in a state: nothing, a problem, or an answer.
type Reply = Option<Result<Surveyed, Problem>>;

#[test]
fn every_place_that_asks_for_itself_in_every_other_state() {
    let empty = |what: &Survey| match what {
        Survey::Timers => Surveyed::Timers(Arc::new(Timers {
            rows: Vec::new(),
            more: false,
            wheel: Fig::Known(0),
            levels: Fig::Known(0),
            ahead_ms: 0,
        })),
        Survey::Transactions => Surveyed::Transactions(Arc::new(Transactions {
            complete: true,
            ..Transactions::default()
        })),
        _ => Surveyed::Clients(Arc::new(Clients { complete: true, ..Clients::default() })),
    };
    let partial = |what: &Survey| match fixtures::surveyed(what) {
        Surveyed::Timers(t) => Surveyed::Timers(Arc::new(Timers {
            more: true,
            wheel: Fig::AtLeast(884),
            ..t.as_ref().clone()
        })),
        Surveyed::Transactions(t) => Surveyed::Transactions(Arc::new(Transactions {
            complete: false,
            rules: BTreeMap::new(),
            ..t.as_ref().clone()
        })),
        Surveyed::Clients(c) => {
            Surveyed::Clients(Arc::new(Clients { complete: false, ..c.as_ref().clone() }))
        }
        other @ Surveyed::Running(_) => other,
    };
    for key in ["8", "9", "0"] {
        for state in ["never", "refused", "empty", "partial", "gone"] {
            let mut deck = Deck::new((80, 24));
            deck.answers = false;
            deck.press(key);
            let asked = deck.effects.iter().find_map(|effect| match effect {
                Effect::Survey(ticket, what) => Some((*ticket, what.clone())),
                _ => None,
            });
            let (ticket, what) = asked.expect("the screen asks when it opens");
            let reply: Reply = match state {
                "refused" => Some(Err(fixtures::denied())),
                "empty" => Some(Ok(empty(&what))),
                "partial" => Some(Ok(partial(&what))),
                "gone" => Some(Ok(fixtures::surveyed(&what))),
                _ => None,
            };
            if let Some(reply) = reply {
                deck.send(Event::Surveyed(ticket, reply));
            }
            if state == "gone" {
                gone(&mut deck.app.live);
            }
            insta::assert_snapshot!(format!("state_{state}_{key}"), deck.text());
        }
    }
}
