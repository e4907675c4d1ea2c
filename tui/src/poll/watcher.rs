//! The poller without a screen: keeps the newest picture for whoever asks, such as a metrics page.

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};

use engine::client::Cluster;
use tokio::sync::mpsc::UnboundedSender;

use super::Order;
use crate::data::Picture;
use crate::effect::Watch;
use crate::event::Event;
use crate::ledger::Ledger;

/// A poller and its newest picture. The poller ends with it.
#[derive(Debug)]
pub struct Watcher {
    /// Keeps the poller alive.
    _orders: UnboundedSender<Order>,
    kept: Mutex<(Receiver<Event>, Picture)>,
}

impl Watcher {
    /// Starts on the cluster's own runtime.
    pub fn start(cluster: &Arc<Cluster>, ledger: Arc<Mutex<Ledger>>, interval_ms: i64) -> Self {
        let (sender, events) = mpsc::channel();
        let (orders, inbox) = tokio::sync::mpsc::unbounded_channel();
        for order in [Order::Interval(interval_ms), Order::Watch(Watch::Overview)] {
            let _ = orders.send(order); // the receiver is in this function
        }
        cluster.handle().spawn(super::run(Arc::clone(cluster), sender, inbox, ledger));
        Self { _orders: orders, kept: Mutex::new((events, Picture::default())) }
    }

    /// Works on the newest picture.
    pub fn with<T>(&self, work: impl FnOnce(&Picture) -> T) -> T {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (events, picture) = &mut *kept;
        while let Ok(event) = events.try_recv() {
            if let Event::Snapshot(part) = event {
                picture.take(*part);
            }
        }
        work(picture)
    }
}
