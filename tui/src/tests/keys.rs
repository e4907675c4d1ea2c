//! Key sequences: where they lead, what they ask for, and what they never do.

use super::render::Deck;
use super::snapshots::PLACES;
use crate::data::plan::ItemOutcome;
use crate::dialog::Dialog;
use crate::effect::{Effect, Exit};
use crate::event::{Code, Event, Key, Pointer};
use crate::keymap::{Kind, TABLE, parse_key};
use crate::survey::Survey;

fn calm(size: (u16, u16)) -> Deck {
    let mut deck = Deck::new(size);
    deck.app.session.danger_prod = false;
    deck
}

#[test]
fn esc_returns_and_q_closes_every_place() {
    for key in ["esc", "q"] {
        for (name, keys) in PLACES {
            let mut deck = Deck::new((80, 24));
            deck.press(keys);
            let depth = deck.app.stack.len();
            if depth > 1 {
                deck.press(key);
                assert_eq!(deck.app.stack.len(), depth - 1, "{name} {key}");
            }
        }
    }
}

#[test]
fn q_at_the_root_asks_and_esc_never_quits() {
    let mut deck = Deck::new((80, 24));
    deck.press("esc esc esc");
    assert!(deck.app.dialog.is_none());
    deck.press("q");
    assert!(matches!(deck.app.dialog, Some(Dialog::Quit(_))));
    deck.press("esc q q");
    assert!(deck.effects.contains(&Effect::Exit(Exit::Quit)));
}

#[test]
fn a_second_ctrl_c_within_two_seconds_quits() {
    let mut deck = Deck::new((80, 24));
    deck.step_ms = 1_500;
    deck.press("3 enter ctrl+c ctrl+c");
    assert!(deck.effects.contains(&Effect::Exit(Exit::Quit)));
    let mut deck = Deck::new((80, 24));
    deck.step_ms = 2_500;
    deck.press("ctrl+c ctrl+c");
    assert!(!deck.effects.contains(&Effect::Exit(Exit::Quit)));
}

#[test]
fn no_single_key_writes() {
    let all: Vec<Key> = TABLE
        .iter()
        .flat_map(|b| b.keys)
        .filter_map(|k| parse_key(k.split(' ').next().unwrap_or(k)))
        .chain("abcdefghijklmnopqrstuvwxyzRX".chars().map(Key::char))
        .chain([Key::plain(Code::Enter)])
        .collect();
    for (name, keys) in PLACES {
        for key in &all {
            let mut deck = calm((80, 24));
            deck.press(keys);
            let now = deck.now + 1_000;
            deck.send(Event::Key(*key, now));
            assert_eq!(deck.writes(), 0, "{name} {key:?}");
        }
    }
}

#[test]
fn replay_by_two_hours_takes_seven_keys() {
    let mut deck = calm((80, 24));
    deck.press("3 r '-2h enter R");
    assert_eq!(deck.writes(), 1, "{}", deck.text());
}

#[test]
fn an_early_run_key_is_swallowed_and_says_wait() {
    let mut deck = calm((80, 24));
    deck.press("3 r '-2h enter");
    deck.step_ms = 100;
    deck.press("R R");
    assert_eq!(deck.writes(), 0);
    assert!(deck.text().contains("wait"));
    deck.step_ms = 400;
    deck.press("R");
    assert_eq!(deck.writes(), 1);
}

#[test]
fn an_incomplete_preview_never_runs() {
    let mut deck = calm((80, 24));
    deck.answers = false;
    deck.press("3 r '-2h enter R R R");
    assert_eq!(deck.writes(), 0);
    deck.press("esc 5 enter r R R");
    assert_eq!(deck.writes(), 0);
}

#[test]
fn in_prod_the_name_is_typed_before_a_change() {
    let mut deck = Deck::new((80, 24));
    deck.press("3 r '-2h enter tab R");
    assert_eq!(deck.writes(), 0);
    let mut deck = Deck::new((80, 24));
    deck.press("3 r '-2h enter 'payments-settle enter R");
    assert_eq!(deck.writes(), 1, "{}", deck.text());
}

#[test]
fn a_changed_field_empties_the_preview() {
    let mut deck = calm((80, 24));
    deck.press("3 r '-2h enter");
    assert!(deck.text().contains("of 16 queues known"));
    deck.press("tab tab space R");
    assert_eq!(deck.writes(), 0);
}

#[test]
fn a_time_that_is_none_is_refused_in_the_dialog() {
    let mut deck = calm((80, 24));
    deck.press("3 r 'soon enter");
    assert!(deck.text().contains("not a time"), "{}", deck.text());
    assert!(!deck.effects.iter().any(|e| matches!(e, Effect::PlanReplay(..))));
}

#[test]
fn resend_leaves_out_what_died_again_and_reports_each_letter() {
    let mut deck = calm((80, 24));
    deck.press("5 enter * r R");
    let Some(Effect::RunResend(ticket, run, note)) =
        deck.effects.iter().find(|e| e.writes()).cloned()
    else {
        panic!("{}", deck.text())
    };
    assert_eq!(run.order.len(), 8, "9 shown, 1 died again");
    assert_eq!(note.targets.len(), 8);
    let stored = |i: usize| run.ask.letters[run.order[i]].message.stored_ms;
    assert!(stored(0) < stored(7), "oldest first");
    for i in 0..7 {
        deck.send(Event::ResendItem(ticket, i, ItemOutcome::Done("broker-a q0 at 77".to_owned())));
    }
    deck.send(Event::ResendItem(ticket, 7, ItemOutcome::Refused("14: disk full".to_owned())));
    deck.send(Event::ResendDone(ticket, None));
    let text = deck.text();
    assert!(text.contains("7 of 8 sent, 1 failed, 1 left out"), "{text}");
    assert!(!text.contains("All "), "{text}");
    deck.press("f R");
    assert_eq!(deck.writes(), 2, "failed ones again, after a new check\n{}", deck.text());
}

#[test]
fn a_letter_that_was_sent_is_not_marked_any_more() {
    let mut deck = calm((80, 24));
    deck.press("5 enter space j r R");
    let Some(Effect::RunResend(ticket, run, _)) = deck.effects.iter().find(|e| e.writes()).cloned()
    else {
        panic!("{}", deck.text())
    };
    assert_eq!((run.order.len(), deck.app.place().lists[1].marks.len()), (1, 1));
    deck.send(Event::ResendItem(ticket, 0, ItemOutcome::Done("broker-a q0 at 77".to_owned())));
    deck.send(Event::ResendDone(ticket, None));
    assert!(deck.app.place().lists[1].marks.is_empty());
    let text = deck.text();
    assert!(text.contains("Esc close") && !text.contains("f retries"), "{text}");
}

#[test]
fn a_computed_time_stays_what_it_was() {
    let mut deck = calm((80, 24));
    deck.press("3 r '-2h enter");
    let before = deck.text();
    let meaning = before.lines().find(|l| l.contains("Go to")).map(str::to_owned);
    let later = deck.now + 20_000;
    deck.send(Event::Tick(later));
    assert_eq!(deck.text().lines().find(|l| l.contains("Go to")).map(str::to_owned), meaning);
}

#[test]
fn the_first_run_card_goes_with_esc_or_the_first_message() {
    let mut app = crate::fixtures::app((80, 24));
    app.session.embedded = Some(crate::app::Embedded {
        listen: "127.0.0.1:9876".to_owned(),
        data_dir: "/home/ana/.local/share/mqdeck".to_owned(),
        demo: false,
    });
    let crate::data::Part::Ready(ready) = &app.live.cluster else { panic!("the fixture is full") };
    let (mut cluster, now) = (ready.value.as_ref().clone(), ready.taken_ms);
    let touched = cluster.clone();
    cluster.topics = crate::data::Fig::Known(0);
    app.live.groups = crate::data::Part::ready(Vec::new(), now, 2);
    app.live.cluster = crate::data::Part::ready(cluster, now, 2);
    let mut deck = Deck::of(app);
    insta::assert_snapshot!("first_run_80x24", deck.text());
    deck.press("esc");
    assert!(!deck.text().contains("setNamesrvAddr"));
    deck.app.card = true;
    assert!(deck.text().contains("setNamesrvAddr"));
    deck.app.live.cluster = crate::data::Part::ready(touched, now, 2);
    assert!(!deck.text().contains("setNamesrvAddr"));
}

#[test]
fn enter_on_a_delay_level_opens_its_queues() {
    for keys in ["4 enter enter", "3 enter } } enter"] {
        let mut deck = Deck::new((80, 24));
        deck.press(keys);
        assert_eq!(deck.app.kind(), Kind::Queues, "{keys}");
        assert!(deck.text().contains("Topics › SCHEDULE_TOPIC_XXXX"), "{}", deck.text());
    }
}

#[test]
fn older_than_beyond_the_end_is_the_newest_page() {
    let mut deck = Deck::new((80, 24));
    deck.press("2 enter enter");
    let crate::place::At::Messages(at) = &mut deck.app.place_mut().at else { panic!() };
    let Some(Ok(page)) = &at.page else { panic!("the deck answers") };
    let mut empty = page.as_ref().clone();
    empty.messages.clear();
    at.page = Some(Ok(std::sync::Arc::new(empty)));
    deck.press("[");
    let newest = |e: &Effect| matches!(e, Effect::ReadMessages(_, _, crate::effect::From::Newest));
    assert!(deck.effects.last().is_some_and(newest), "{}", deck.text());
}

#[test]
fn a_page_that_could_not_be_read_is_asked_for_again() {
    let mut deck = Deck::new((80, 24));
    deck.press("2 enter enter [");
    let wanted = deck.effects.last().cloned();
    let crate::place::At::Messages(at) = &mut deck.app.place_mut().at else { panic!() };
    at.page = Some(Err(crate::fixtures::denied()));
    deck.press("[");
    let (Some(Effect::ReadMessages(_, _, before)), Some(Effect::ReadMessages(_, _, again))) =
        (wanted, deck.effects.last().cloned())
    else {
        panic!("{}", deck.text())
    };
    assert_eq!(before, again);
}

#[test]
fn a_long_text_body_is_folded_not_cut() {
    let mut deck = Deck::new((80, 24));
    deck.press("2 enter enter enter v");
    let text = deck.text();
    assert!(text.contains("as text"), "{text}");
    assert!(text.contains("\"mail\":null"), "{text}");
}

#[test]
fn a_late_answer_of_an_older_question_is_not_taken() {
    let mut deck = calm((80, 24));
    deck.answers = false;
    deck.press("3 r '-2h enter");
    let Some(Effect::PlanReplay(ticket, ask)) = deck.effects.last().cloned() else { panic!() };
    deck.press("backtab backtab tab tab");
    deck.press("esc 3 r '-1h enter");
    let plan = crate::fixtures::replay_plan(&ask);
    deck.send(Event::ReplayPlanned(ticket, Ok(Box::new(plan))));
    assert!(deck.text().contains("computing…"));
}

#[test]
fn read_only_hides_and_refuses_what_writes() {
    let mut deck = calm((80, 24));
    deck.app.read_only = Some("read-only: started so".to_owned());
    deck.press("3");
    assert!(!deck.text().contains("r replay"));
    deck.press("r");
    assert!(deck.app.dialog.is_none());
    assert!(deck.text().contains("read-only"));
}

#[test]
fn the_session_is_read_only_once_it_cannot_audit() {
    let mut deck = calm((80, 24));
    deck.send(Event::CannotAudit("no space left in /state".to_owned()));
    deck.press("3 r");
    assert!(deck.app.dialog.is_none());
}

#[test]
fn a_filter_applies_while_typed_and_esc_clears_it() {
    let mut deck = Deck::new((80, 24));
    deck.press("3 / 'bill");
    assert!(deck.text().contains("1 of 41 · filter bill"), "{}", deck.text());
    assert!(deck.text().contains("Enter keep the filter  Esc drop it"), "{}", deck.text());
    deck.press("enter 3");
    assert_eq!(deck.app.kind(), Kind::Groups);
    deck.press("esc");
    assert!(deck.app.place().list().filter.is_empty());
    deck.press("/ 'zzz enter");
    assert!(deck.text().contains("filter /zzz hides 41 groups: Esc clears it"), "{}", deck.text());
}

#[test]
fn what_a_filter_cannot_decide_is_counted_and_left_out() {
    let mut deck = Deck::new((120, 40));
    deck.press("3 / 'lag>1k enter");
    let text = deck.text();
    assert!(text.contains("· filter lag>1k · 1 undecided ·"), "{text}");
    assert!(!text.contains("audit-sink"), "its lag is unknown\n{text}");
    deck.press("esc / '!lag>1k enter");
    assert!(deck.text().contains("1 undecided"), "not does not decide what is unknown");
}

#[test]
fn a_filter_that_does_not_read_is_named_and_the_last_one_stays() {
    let mut deck = Deck::new((120, 40));
    for (typed, last, why) in [
        ("lga>1k", "bill lga ", "✗ no field \"lga\"; there are name, type, lag"),
        ("lag>many", "bill lag ", "✗ lag is compared with a number"),
        ("(lag>1k", "bill  · ! by", "✗ a ( is not closed"),
    ] {
        deck.press("3 / 'bill");
        deck.press(&format!("space '{typed}"));
        let text = deck.text();
        assert!(text.contains(why), "{text}");
        assert!(text.contains(&format!("filter {last}")), "{text}");
        deck.press("enter");
        assert!(deck.app.input.is_some(), "{typed} is not kept");
        deck.press("esc");
    }
}

#[test]
fn a_filter_with_a_relative_time_moves_with_the_clock() {
    let mut deck = Deck::new((80, 24));
    deck.press("5 enter");
    let all = crate::screen::current(&deck.app).is_some();
    assert!(all, "{}", deck.text());
    deck.press("/ 'died>-3d enter");
    let before = crate::screen::keys(&deck.app).len();
    assert!(before > 0, "{}", deck.text());
    deck.now += 400 * 24 * 3_600_000;
    let now = deck.now;
    deck.send(Event::Tick(now));
    assert_eq!(crate::screen::keys(&deck.app).len(), 0);
}

#[test]
fn screens_keep_their_cursor_and_the_overview_leads_home() {
    let mut deck = Deck::new((80, 24));
    deck.press("3 j 2 3 enter");
    assert!(deck.text().contains("Groups › billing"), "{}", deck.text());
    let mut deck = Deck::new((80, 24));
    deck.press("enter");
    assert!(deck.text().contains("Groups › payments-settle"));
    let mut deck = Deck::new((80, 24));
    deck.press("j o d");
    assert_eq!(deck.app.kind(), Kind::Dead);
    assert!(deck.text().contains("▶billing"));
}

#[test]
fn freezing_keeps_the_picture_and_says_so() {
    let mut deck = Deck::new((80, 24));
    deck.press("p");
    deck.app.live.groups = crate::data::Part::Unasked;
    assert!(deck.text().contains("frozen 14:03"));
    assert!(deck.text().contains("payments-settle"));
    deck.press("p");
    assert!(!deck.text().contains("frozen"));
}

#[test]
fn paste_is_text_in_a_field_and_nothing_elsewhere() {
    let mut deck = calm((80, 24));
    let now = deck.now;
    deck.send(Event::Paste("qRr\n5".to_owned(), now));
    assert!(deck.app.dialog.is_none());
    assert_eq!(deck.app.kind(), Kind::Overview);
    deck.press("3 r");
    deck.send(Event::Paste("-2h\n".to_owned(), now));
    deck.press("enter");
    assert!(deck.text().contains("of 16 queues known"), "{}", deck.text());
}

#[test]
fn clients_of_a_group_ask_its_members_and_enter_asks_one_of_them() {
    let mut deck = calm((120, 40));
    deck.press("3 o c");
    let group = Survey::Clients(Some("payments-settle".into()));
    assert!(deck.effects.iter().any(|e| matches!(e, Effect::Survey(_, what) if *what == group)));
    assert!(deck.text().contains("pull 0s"), "{}", deck.text());
    deck.press("enter");
    let text = deck.text();
    assert!(text.contains("limit 3 (client)") && text.contains("16 threads"), "{text}");
}

#[test]
fn a_screen_that_asks_for_itself_asks_again_only_while_it_is_seen() {
    let surveys =
        |deck: &Deck| deck.effects.iter().filter(|e| matches!(e, Effect::Survey(..))).count();
    let mut deck = calm((80, 24));
    deck.press("9");
    assert_eq!(surveys(&deck), 1);
    for _ in 0..2 {
        deck.now += 29_000;
        let now = deck.now;
        deck.send(Event::Tick(now));
    }
    assert_eq!(surveys(&deck), 2, "every 15 intervals of 2 s");
    deck.press("1");
    deck.now += 60_000;
    let now = deck.now;
    deck.send(Event::Tick(now));
    assert_eq!(surveys(&deck), 2);
    deck.press("9 p");
    deck.now += 60_000;
    let now = deck.now;
    deck.send(Event::Tick(now));
    assert_eq!(surveys(&deck), 3, "back on screen once, then frozen");
}

#[test]
fn a_transaction_is_rolled_back_only_with_its_group_typed() {
    let mut deck = calm((80, 24));
    deck.press("0 x tab R");
    assert_eq!(deck.writes(), 0, "{}", deck.text());
    deck.press("esc x 'ledger-api-old enter R");
    assert_eq!(deck.writes(), 1, "{}", deck.text());
    let Some(Effect::Decide(ticket, half, _, note)) = deck.effects.last().cloned() else {
        panic!("{:?}", deck.effects.last())
    };
    assert_eq!((&*half.keys, note.action), ("tx-5510", "roll back half"));
    deck.send(Event::Decided(ticket, ItemOutcome::Done("rolled back".to_owned())));
    assert!(deck.text().contains("✓ rolled back"), "{}", deck.text());
    assert!(matches!(deck.effects.last(), Some(Effect::Survey(..))), "the list is read again");
}

#[test]
fn a_commit_asks_the_name_in_prod_and_a_given_up_one_is_not_decided() {
    let mut deck = calm((80, 24));
    deck.press("0 r R");
    assert_eq!(deck.writes(), 1, "{}", deck.text());
    let mut deck = Deck::new((80, 24));
    deck.press("0 r tab R");
    assert_eq!(deck.writes(), 0);
    let mut deck = calm((80, 24));
    deck.press("0 G r R");
    assert_eq!(deck.writes(), 0);
    assert!(deck.text().contains("given it up"), "{}", deck.text());
}

#[test]
fn a_command_line_completes_runs_and_names_what_is_wrong() {
    let mut deck = calm((80, 24));
    deck.press(": 'top tab enter");
    assert_eq!(deck.app.kind(), Kind::Topics, "{}", deck.text());
    deck.press(": 'group space 'bill tab enter");
    assert!(deck.text().contains("Groups › billing"), "{}", deck.text());
    for (line, why) in [
        ("nonsense", "there is no command \"nonsense\""),
        ("group", "group needs something behind it"),
        ("resend", "resend does not work here"),
    ] {
        deck.press(&format!(": '{line} enter"));
        assert!(deck.text().contains(why), "{}", deck.text());
        deck.press("esc");
    }
    deck.press(": 'group space 'nobody enter");
    assert!(deck.text().contains("there is no group \"nobody\""), "{}", deck.text());
    deck.press("esc : 'quit enter");
    assert!(matches!(deck.app.dialog, Some(Dialog::Quit(_))), "{}", deck.text());
    deck.press("esc : 'set space 'time space 'utc enter");
    assert!(deck.text().contains("UTC"), "{}", deck.text());
}

#[test]
fn a_replay_command_opens_its_preview_and_runs_nothing() {
    let mut deck = calm((80, 24));
    deck.press(": 'replay space 'billing space '-2h enter");
    assert!(deck.text().contains("of 16 queues known"), "{}", deck.text());
    assert_eq!(deck.writes(), 0);
}

#[test]
fn only_what_a_command_made_read_only_is_lifted_by_one() {
    let mut deck = calm((80, 24));
    deck.press(": 'ro enter 3 r");
    assert!(deck.app.dialog.is_none());
    deck.press(": 'rw enter r");
    assert!(deck.app.dialog.is_some());
    let mut deck = calm((80, 24));
    deck.app.read_only = Some("read-only: started so".to_owned());
    deck.press(": 'rw enter");
    assert!(deck.text().contains("✗ read-only: started so"), "{}", deck.text());
    assert!(deck.app.read_only.is_some());
}

#[test]
fn the_finder_ranks_exact_before_prefix_before_the_rest() {
    let deck = calm((80, 24));
    let names = |typed: &str| -> Vec<String> {
        let found = crate::app::overlay::found(&deck.app, typed);
        found.into_iter().map(|e| format!("{} {}", e.kind, e.name)).collect()
    };
    assert_eq!(names("billing")[..2], ["group billing", "dead billing"]);
    assert_eq!(names("pset")[0], "group payments-settle");
    assert_eq!(names("Top")[0], "screen Topics");
    assert!(names("replay").iter().any(|name| name == "action replay replay"));
    assert!(names("no such thing").is_empty());
}

#[test]
fn the_finder_opens_what_is_chosen_and_remembers_it() {
    let mut deck = calm((80, 24));
    deck.press("ctrl+k 'bill enter");
    assert!(deck.text().contains("Groups › billing"), "{}", deck.text());
    deck.press("ctrl+p");
    assert!(deck.text().contains("command group billing"), "the last one first\n{}", deck.text());
    deck.press("esc");
    assert!(deck.text().contains("Groups › billing"));
}

#[test]
fn the_finder_lists_what_writes_in_read_only_mode_but_does_not_run_it() {
    let mut deck = calm((80, 24));
    deck.app.read_only = Some("read-only: started so".to_owned());
    deck.press("3 ctrl+p 'replay");
    assert!(deck.text().contains("read-only"), "{}", deck.text());
    deck.press("enter");
    assert!(deck.app.dialog.is_none());
    assert!(deck.text().contains("started so"));
}

#[test]
fn help_lists_exactly_the_keymap_of_the_place_and_runs_a_line() {
    for (name, keys) in PLACES {
        let mut deck = calm((80, 24));
        deck.press(keys);
        let mut listed: Vec<&str> =
            crate::app::overlay::helped(&deck.app, "").iter().map(|(_, b)| b.id).collect();
        let layers = deck.app.layers();
        let mut wanted: Vec<&str> = layers
            .iter()
            .flat_map(|layer| TABLE.iter().filter(move |b| b.layer == *layer))
            .map(|b| b.id)
            .collect();
        listed.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(listed, wanted, "{name}");
    }
    let mut deck = calm((80, 24));
    deck.press("3 ? 'replay");
    assert!(deck.text().contains("Help · replay"), "{}", deck.text());
    deck.press("enter");
    assert!(matches!(deck.app.dialog, Some(Dialog::Replay(_))), "{}", deck.text());
}

#[test]
fn a_theme_shows_itself_while_it_is_chosen_and_esc_brings_the_old_one_back() {
    let mut deck = calm((80, 24));
    deck.press(": 'theme space down");
    assert_eq!(deck.effects.last(), Some(&Effect::Theme("dark".to_owned())));
    deck.press("esc");
    assert_eq!(deck.effects.last(), Some(&Effect::Theme("terminal".to_owned())));
    deck.press(": 'theme space down down enter");
    assert_eq!(deck.app.theme, "light");
}

#[test]
fn the_background_chooses_a_theme_unless_one_was_asked_for() {
    let mut deck = calm((80, 24));
    deck.app.theme_auto = true;
    deck.send(Event::Background(250, 250, 240));
    assert!(deck.effects.contains(&Effect::Theme("light".to_owned())));
    deck.send(Event::Background(20, 20, 30));
    assert_eq!(deck.app.theme, "dark");
    deck.press(": 'theme space 'mono enter");
    deck.send(Event::Background(250, 250, 240));
    assert_eq!(deck.app.theme, "mono");
}

/// The first cell of a text on screen.
fn find_on_screen(deck: &Deck, text: &str) -> (u16, u16) {
    let frame = deck.text();
    let found = frame.lines().enumerate().find_map(|(y, line)| {
        line.find(text).map(|at| (crate::widget::text::width(&line[..at]) as u16, y as u16))
    });
    found.unwrap_or_else(|| panic!("{text:?} is not in\n{frame}"))
}

fn point(deck: &mut Deck, pointer: Pointer, at: (u16, u16), after_ms: i64) {
    deck.now += after_ms;
    let now = deck.now;
    deck.send(Event::Tick(now));
    deck.send(Event::Mouse(pointer, at, now));
}

#[test]
fn a_click_selects_a_second_one_soon_opens_and_a_title_sorts() {
    let mut deck = calm((80, 24));
    deck.press("3");
    let at = find_on_screen(&deck, "billing");
    point(&mut deck, Pointer::Click, at, 1_000);
    assert!(deck.text().contains("▶billing"), "{}", deck.text());
    point(&mut deck, Pointer::Click, at, 1_000);
    assert_eq!(deck.app.kind(), Kind::Groups, "too late for a double click");
    point(&mut deck, Pointer::Click, at, 100);
    assert!(deck.text().contains("Groups › billing"), "{}", deck.text());
    deck.press("3");
    let title = find_on_screen(&deck, "DEAD");
    point(&mut deck, Pointer::Click, title, 1_000);
    assert!(deck.text().contains("sorted by DEAD ▼"), "{}", deck.text());
}

#[test]
fn tabs_footer_keys_and_buttons_are_clicked_as_the_keys_they_name() {
    for size in [(80, 24), (120, 40)] {
        let mut deck = calm(size);
        let name = if size.0 < 100 { "2Topi" } else { "2 Topics" };
        let tab = find_on_screen(&deck, name);
        point(&mut deck, Pointer::Click, tab, 1_000);
        assert_eq!(deck.app.kind(), Kind::Topics, "{size:?}");
        deck.press("3");
        let key = find_on_screen(&deck, "r replay");
        point(&mut deck, Pointer::Click, key, 1_000);
        assert!(matches!(deck.app.dialog, Some(Dialog::Replay(_))), "{}", deck.text());
        let row = find_on_screen(&deck, "Enter computes");
        point(&mut deck, Pointer::Click, row, 1_000);
        assert!(deck.app.dialog.is_some(), "what lies below a dialog is covered");
        deck.press("'-2h enter");
        let run = find_on_screen(&deck, "R Replay");
        point(&mut deck, Pointer::Click, run, 100);
        assert_eq!(deck.writes(), 0, "no sooner than a key\n{}", deck.text());
        point(&mut deck, Pointer::Click, run, 1_000);
        assert_eq!(deck.writes(), 1, "{}", deck.text());
    }
}

#[test]
fn the_wheel_moves_what_lies_under_the_pointer() {
    let mut deck = calm((120, 40));
    deck.press("5 enter");
    let (x, y) = find_on_screen(&deck, "GROUP");
    let groups = (x, y + 1);
    let before = deck.app.place().lists[0].cursor.clone();
    point(&mut deck, Pointer::Down, groups, 100);
    assert_ne!(deck.app.place().lists[0].cursor, before);
    assert_eq!(deck.app.place().pane, 1, "the focus stays");
    deck.press("m");
    assert_eq!(deck.effects.last(), Some(&Effect::Mouse(false)));
    let mut deck = calm((60, 16));
    deck.press("2 enter enter enter");
    let before = deck.text();
    point(&mut deck, Pointer::Down, (10, 9), 100);
    let crate::place::At::Message(at) = &deck.app.place().at else { panic!("{before}") };
    assert!(at.scroll > 0, "{}", deck.text());
    assert!(at.lines.get() > at.page.get(), "the body is longer than the screen");
}

/// The text that was copied last.
fn copied(deck: &Deck) -> &str {
    let last = deck.effects.iter().rev().find_map(|effect| match effect {
        Effect::Copy(text) => Some(text.as_str()),
        _ => None,
    });
    last.unwrap_or_default()
}

#[test]
fn a_row_is_copied_as_json_with_what_is_not_known_and_why() {
    let mut deck = calm((80, 24));
    deck.press("3 / 'lag!=1 enter y r");
    let row: serde_json::Value = serde_json::from_str(copied(&deck)).unwrap();
    assert_eq!(
        (row["name"].as_str(), row["lag"].as_u64()),
        (Some("payments-settle"), Some(96_104))
    );
    deck.press("esc / 'audit enter y r");
    let row: serde_json::Value = serde_json::from_str(copied(&deck)).unwrap();
    assert!(row["lag"].is_null() && row["lag_why"].is_string(), "{row}");
    deck.press("esc 1 j y r");
    assert!(copied(&deck).contains("\"name\":\"billing\""), "{}", copied(&deck));
}

#[test]
fn every_place_is_repeated_by_one_command_line() {
    for (name, keys) in PLACES {
        let mut deck = calm((80, 24));
        deck.press(keys);
        deck.press("y c");
        assert!(copied(&deck).starts_with("mqdeck --namesrv "), "{name}: {}", copied(&deck));
    }
    let mut deck = calm((80, 24));
    deck.press("3 / 'lag>1k enter y c");
    assert!(copied(&deck).ends_with(" groups list --filter 'lag>1k'"), "{}", copied(&deck));
}

#[test]
fn what_is_shown_is_exported_in_the_form_of_the_file_s_name() {
    let mut deck = calm((80, 24));
    deck.press("3 e");
    assert!(deck.text().contains("export to [ mqdeck-groups-20260314"), "{}", deck.text());
    for (file, begins) in [
        ("a.csv", "name,type,lag"),
        ("a.jsonl", "{\"behind"),
        ("a.json", "[\n"),
        ("a.txt", "GROUP"),
    ] {
        deck.press(&format!("esc / 'bill enter e ctrl+u '{file} enter"));
        let Some(Effect::Export(path, text, rows)) = deck.effects.last() else {
            panic!("{}", deck.text())
        };
        assert_eq!((path.to_str(), *rows), (Some(file), 1));
        assert!(text.starts_with(begins) && text.contains("billing"), "{text}");
    }
    deck.press("e ctrl+u 'a.xml enter");
    assert!(deck.text().contains("a name ends in .jsonl"), "{}", deck.text());
}
