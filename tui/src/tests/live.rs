//! The poller against a real cluster: runs only with `MQDECK_TEST_NAMESRV=host:port`.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use engine::client::{Cluster, ClusterConfig};

use super::render::text;
use crate::app::{App, update};
use crate::effect::Effect;
use crate::event::Event;
use crate::fixtures;
use crate::keymap::{Kind, parse_key};
use crate::ledger::Ledger;
use crate::poll::{self, Order};

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
