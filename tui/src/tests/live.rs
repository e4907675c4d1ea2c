//! The poller against a real cluster: runs only with `MQDECK_TEST_NAMESRV=host:port`.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use engine::client::{Cluster, ClusterConfig};

use super::render::text;
use crate::app::{App, update};
use crate::effect::Effect;
use crate::event::Event;
use crate::executor::{Executor, Who};
use crate::fixtures;
use crate::keymap::{Kind, parse_key};
use crate::ledger::Ledger;
use crate::poll::{self, Order};
use crate::state_dir::StateDir;

/// Rounds that the picture gets to become complete.
const ROUNDS: usize = 6;

#[test]
fn the_picture_of_a_real_cluster_is_drawn() {
    let Ok(namesrv) = std::env::var("MQDECK_TEST_NAMESRV") else {
        println!("skipped: MQDECK_TEST_NAMESRV is not set");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let cluster = Cluster::connect(ClusterConfig::new(vec![namesrv], runtime.handle().clone()));
    let (out, events) = mpsc::channel();
    let (orders, inbox) = tokio::sync::mpsc::unbounded_channel();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    runtime.spawn(poll::run(Arc::clone(&cluster), out, inbox, ledger));
    let mut app: App = fixtures::bare_app((120, 40));
    orders.send(Order::Interval(300)).expect("the poller listens");
    for key in ["1", "2", "3", "4", "5", "7", "3", "enter"] {
        let now = cluster.now_ms();
        let key = parse_key(key).expect("a key");
        for effect in update(&mut app, Event::Key(key, now)) {
            if let Effect::Watch(watch) = effect {
                orders.send(Order::Watch(watch)).expect("the poller listens");
            }
        }
        let mut brokers = 0;
        while brokers < ROUNDS {
            let event = events.recv_timeout(Duration::from_secs(20)).expect("a snapshot");
            if matches!(&event, Event::Snapshot(s) if matches!(**s, crate::data::Snapshot::Ladder(_)))
            {
                brokers += 1;
            }
            update(&mut app, event);
        }
        update(&mut app, Event::Tick(cluster.now_ms()));
        println!("{}\n", text(&app));
    }
    assert!(app.picture().brokers.get().is_some_and(|b| !b.is_empty()));
    assert!(app.kind() == Kind::Group || app.kind() == Kind::Groups);
}

/// A console over a real cluster: keys in, effects carried out, answers taken.
struct Live {
    app: App,
    events: mpsc::Receiver<Event>,
    executor: Executor,
    ahead_ms: i64,
}

impl Live {
    fn take(&mut self, event: Event) {
        for effect in update(&mut self.app, event) {
            self.executor.run(effect);
        }
        let _ = text(&self.app);
    }

    fn press(&mut self, keys: &str) {
        for name in keys.split(' ') {
            self.ahead_ms += 400;
            let now = self.executor.cluster.now_ms() + self.ahead_ms;
            match name.strip_prefix('\'') {
                Some(typed) => {
                    for c in typed.chars() {
                        self.take(Event::Key(crate::event::Key::char(c), now));
                    }
                }
                None => self.take(Event::Key(parse_key(name).expect("a key"), now)),
            }
        }
    }

    /// Takes events until the screen says something.
    fn until(&mut self, said: &str) {
        for _ in 0..300 {
            if text(&self.app).contains(said) {
                return;
            }
            if let Ok(event) = self.events.recv_timeout(Duration::from_millis(50)) {
                self.take(event);
            }
        }
        panic!("never said {said:?}:\n{}", text(&self.app));
    }
}

/// Needs a cluster with dead letters of a group that nobody reads, and leave to write to it.
#[test]
fn a_dead_letter_is_resent_and_a_group_replayed_through_the_dialogs() {
    let (Ok(namesrv), Ok(_)) =
        (std::env::var("MQDECK_TEST_NAMESRV"), std::env::var("MQDECK_TEST_WRITES"))
    else {
        println!("skipped: MQDECK_TEST_NAMESRV and MQDECK_TEST_WRITES are not set");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let cluster = Cluster::connect(ClusterConfig::new(vec![namesrv], runtime.handle().clone()));
    let (out, events) = mpsc::channel();
    let (orders, inbox) = tokio::sync::mpsc::unbounded_channel();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let dir = tempfile::tempdir().expect("a directory");
    runtime.spawn(poll::run(Arc::clone(&cluster), out.clone(), inbox, Arc::clone(&ledger)));
    let who = Who { user: "test".into(), host: "here".into(), context: "live".into() };
    let state = StateDir::open(dir.path()).expect("a state directory");
    let executor = Executor {
        cluster,
        handle: runtime.handle().clone(),
        out,
        orders,
        state: Some(state.clone()),
        ledger,
        who,
        steers: Arc::default(),
    };
    let mut app = fixtures::bare_app((120, 40));
    app.session.danger_prod = false;
    let mut live = Live { app, events, executor, ahead_ms: 0 };
    live.press("5");
    live.until("□");
    live.press("enter G r");
    live.until("reader unknown");
    live.until("of 1 letters");
    live.press("tab tab tab tab space R");
    live.until("what happened");
    let shown = text(&live.app);
    println!("{shown}");
    assert!(shown.contains("All 1 sent"), "{shown}");
    live.press("esc");
    assert_eq!(state.ledger().expect("readable").len(), 1);
    live.press(".");
    live.until("sent 1×");
    live.press("esc 3");
    live.until("no client");
    live.press("r 'start enter");
    live.until("queues known");
    println!("{}", text(&live.app));
    live.press("R");
    live.until("what happened");
    println!("{}", text(&live.app));
    assert!(text(&live.app).contains("queues moved"));
    assert!(state.last_change().expect("readable").is_some_and(|l| l.action == "replay"));
}

/// Draws on this very terminal for a moment: run it under a pseudo-terminal.
#[test]
fn the_terminal_is_as_before_after_a_stop() {
    let (Ok(namesrv), Ok(_)) =
        (std::env::var("MQDECK_TEST_NAMESRV"), std::env::var("MQDECK_TEST_TTY"))
    else {
        println!("skipped: MQDECK_TEST_NAMESRV and MQDECK_TEST_TTY are not set");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let cluster =
        Cluster::connect(ClusterConfig::new(vec![namesrv.clone()], runtime.handle().clone()));
    let stop = crate::StopHandle::new();
    let settings = crate::Settings {
        embedded: None,
        read_only: false,
        theme: Some("dark".to_owned()),
        theme_dir: None,
        interval_ms: 500,
        state_dir: dir.path().to_owned(),
        ascii: false,
        mouse: false,
        utc: false,
        context: "live".to_owned(),
        namesrv,
        danger_prod: false,
        commands: false,
        stop: stop.clone(),
    };
    runtime.spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        stop.stop();
    });
    assert_eq!(crate::run(&cluster, &settings).expect("a terminal"), crate::Exit::Stopped);
    assert!(!crossterm::terminal::is_raw_mode_enabled().expect("a terminal"));
}
