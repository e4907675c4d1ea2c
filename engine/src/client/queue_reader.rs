//! The pull loop of one queue that a push consumer owns.
//!
//! Pulls ahead of consumption within the bounds of `process_queue`. A reset starts a new generation of
//! the queue: what belongs to an older one moves no position any more. Rules: remoting.md §9.2,
//! semantics.md §7.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::consume::Work;
use super::error::ClientError;
use super::membership::lacks_subscription;
use super::message::MessageExt;
use super::process_queue::ProcessQueue;
use super::pull::{PullAsk, PullResult, PullStatus};
use super::push_consumer::Shared;
use crate::decide::filter::tag::tag_matches;
use crate::protocol::body::MessageQueue;
use crate::protocol::body::running_info::ProcessQueueInfo;
use crate::protocol::request::pull::{PULL_COMMIT, PULL_SUSPEND};
use crate::protocol::response_code;

/// Most messages of one pull.
const BATCH: i32 = 32;
/// How long the broker may hold a pull.
const HOLD: Duration = Duration::from_secs(15);
/// After a pull that failed.
const PAUSE_FAILED: Duration = Duration::from_secs(1);
/// While the queue's bounds are reached.
const PAUSE_FULL: Duration = Duration::from_millis(50);
/// After a broker's flow control.
const PAUSE_FLOW: Duration = Duration::from_millis(20);
/// After "nothing new" without a wait: a broker that holds no pulls must not be asked in a loop.
const PAUSE_UNHELD: Duration = Duration::from_millis(200);
/// Faster than this, a pull was not held.
const UNHELD_MS: i64 = 20;

/// A queue that this member reads.
#[derive(Debug)]
pub(super) struct Owned {
    queue: MessageQueue,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    process: ProcessQueue,
    turn: Turn,
    pulled_ms: i64,
    consumed_ms: i64,
}

/// What one pull is made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Turn {
    generation: u64,
    next: i64,
    suggested: i64,
    given_up: bool,
}

impl Owned {
    pub(super) fn new(queue: MessageQueue, next: i64) -> Self {
        let turn = Turn { generation: 0, next, suggested: 0, given_up: false };
        let state = State { process: ProcessQueue::default(), turn, pulled_ms: 0, consumed_ms: 0 };
        Self { queue, state: Mutex::new(state), changed: Notify::new() }
    }

    pub(super) fn queue(&self) -> &MessageQueue {
        &self.queue
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on at another offset; what is in memory is forgotten, and the pull under way abandoned.
    pub(super) fn restart(&self, offset: i64) {
        self.renew(offset);
        self.changed.notify_one();
    }

    /// Goes on at another offset from the reader's own next pull on. An abandoned pull may stay parked
    /// at the broker, so none is abandoned without need: it would swallow the answer that tells of a
    /// reset.
    fn renew(&self, offset: i64) {
        let mut state = self.state();
        state.process = ProcessQueue::default();
        state.turn.generation += 1;
        state.turn.next = offset;
    }

    /// Another member reads the queue from now on.
    pub(super) fn give_up(&self) {
        let mut state = self.state();
        state.turn.generation += 1;
        state.turn.given_up = true;
        drop(state);
        self.changed.notify_one();
    }

    /// Whether a message of this generation is still to be consumed.
    pub(super) fn is_current(&self, generation: u64) -> bool {
        self.state().turn.generation == generation
    }

    /// A message was consumed; the offset that may be committed now.
    pub(super) fn done(&self, generation: u64, offset: i64, now_ms: i64) -> Option<i64> {
        let mut state = self.state();
        if state.turn.generation != generation {
            return None;
        }
        state.consumed_ms = now_ms;
        state.process.done(offset)
    }

    /// What 307 says of this queue.
    pub(super) fn info(&self, committed: i64) -> ProcessQueueInfo {
        let state = self.state();
        ProcessQueueInfo {
            cached_msg_count: state.process.len() as i32,
            cached_msg_min_offset: state.process.first().unwrap_or_default(),
            cached_msg_max_offset: state.process.last().unwrap_or_default(),
            cached_msg_size_in_mib: (state.process.bytes() / (1024 * 1024)) as i32,
            commit_offset: committed,
            dropped: state.turn.given_up,
            last_pull_timestamp: state.pulled_ms,
            last_consume_timestamp: state.consumed_ms,
            ..ProcessQueueInfo::default()
        }
    }

    /// Takes a pull's messages in and moves on. None when the queue was reset meanwhile; else the
    /// messages that are new, and whether the queue is empty in memory.
    fn take_in(
        &self,
        turn: Turn,
        pulled: &PullResult,
        messages: Vec<Arc<MessageExt>>,
    ) -> Option<(Vec<Arc<MessageExt>>, bool)> {
        let mut state = self.state();
        if state.turn.generation != turn.generation {
            return None;
        }
        state.turn.next = pulled.next;
        state.turn.suggested = pulled.suggested;
        let mut fresh = messages;
        fresh.retain(|message| state.process.put(message.queue_offset, message.stored_body.len()));
        Some((fresh, state.process.is_empty()))
    }
}

/// Pulls a queue until it is given up or the consumer stops.
pub(super) async fn read(shared: Arc<Shared>, owned: Arc<Owned>) {
    let mut stop = shared.stop.subscribe();
    loop {
        let turn = owned.state().turn;
        if turn.given_up || shared.is_stopped() {
            return;
        }
        let round = async {
            let pause = shared.round(&owned, turn).await;
            sleep(pause).await;
        };
        tokio::select! {
            _ = stop.changed() => return,
            () = owned.changed.notified() => {}
            () = round => {}
        }
    }
}

impl Shared {
    /// One pull and what follows from it; how long to wait before the next.
    async fn round(&self, owned: &Arc<Owned>, turn: Turn) -> Duration {
        if owned.state().process.is_full() {
            return PAUSE_FULL;
        }
        let start_ms = self.cluster.now_ms();
        match self.pull_once(owned, turn).await {
            Ok(pulled) => {
                let now_ms = self.cluster.now_ms();
                owned.state().pulled_ms = now_ms;
                self.absorb(owned, turn, &pulled, now_ms - start_ms).await
            }
            Err(error) if error.is_refused_with(response_code::FLOW_CONTROL) => PAUSE_FLOW,
            Err(error) => {
                if lacks_subscription(&error) {
                    self.heartbeat().await;
                } else if error.is_transport() {
                    self.cluster.doubt_route(&owned.queue.topic);
                    owned.state().turn.suggested = 0;
                }
                tracing::debug!(%error, queue = ?owned.queue, "pull failed");
                PAUSE_FAILED
            }
        }
    }

    async fn pull_once(&self, owned: &Owned, turn: Turn) -> Result<PullResult, ClientError> {
        let queue = &owned.queue;
        let subscription = self.subscriptions().get(&queue.topic).cloned();
        let subscription = subscription
            .ok_or_else(|| ClientError::Invalid(format!("{} is not subscribed", queue.topic)))?;
        let (addr, is_master) = self.reading_addr(queue, turn.suggested).await?;
        let position = self.positions().get(queue).unwrap_or_default();
        // Only a master takes positions, and 0 would store "never consumed" as a position.
        let commits = is_master && !self.is_broadcasting() && position > 0;
        let ask = PullAsk {
            group: &self.config.group,
            queue,
            offset: turn.next,
            max: BATCH,
            flags: PULL_SUSPEND | if commits { PULL_COMMIT } else { 0 },
            commit: if commits { position } else { 0 },
            hold: HOLD,
            expression: None,
            expression_type: &subscription.expression_type,
            version: subscription.sub_version,
        };
        self.cluster.pull(&addr, &ask).await
    }

    async fn absorb(
        &self,
        owned: &Arc<Owned>,
        turn: Turn,
        pulled: &PullResult,
        took_ms: i64,
    ) -> Duration {
        let queue = &owned.queue;
        if pulled.status == PullStatus::Moved {
            if owned.is_current(turn.generation) {
                self.positions().load(queue, pulled.next, false);
                owned.renew(pulled.next);
                self.store_positions().await;
            }
            return Duration::ZERO;
        }
        let found = pulled.status == PullStatus::Found;
        let messages = if found { self.wanted(owned, pulled) } else { Vec::new() };
        let Some((fresh, empty)) = owned.take_in(turn, pulled, messages) else {
            return Duration::ZERO;
        };
        if empty {
            self.positions().advance(queue, pulled.next);
        }
        if found {
            self.stats().pulled(&queue.topic, fresh.len(), took_ms, self.cluster.now_ms());
        }
        for message in fresh {
            let work = Work { owned: Arc::clone(owned), generation: turn.generation, message };
            // Nobody receives any more only when the consumer stops.
            let _ = self.work.send(work);
        }
        let unheld = pulled.status == PullStatus::NoNew && took_ms < UNHELD_MS;
        if unheld { PAUSE_UNHELD } else { Duration::ZERO }
    }

    /// The messages of a pull that the subscription wants: the broker compared hashes only.
    fn wanted(&self, owned: &Owned, pulled: &PullResult) -> Vec<Arc<MessageExt>> {
        let subscription = self.subscriptions().get(&owned.queue.topic).cloned();
        let messages = pulled.messages(&owned.queue.broker_name).into_iter();
        let wants = |message: &MessageExt| {
            let Some(data) = &subscription else { return true };
            !data.is_tag() || tag_matches(data, message.tag())
        };
        messages.filter(wants).map(Arc::new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned() -> Owned {
        let queue = MessageQueue { topic: "t".into(), broker_name: "b".into(), queue_id: 0 };
        Owned::new(queue, 5)
    }

    fn pulled(next: i64) -> PullResult {
        PullResult {
            status: PullStatus::NoNew,
            next,
            min: 0,
            max: next,
            suggested: 0,
            body: bytes::Bytes::new(),
        }
    }

    #[test]
    fn a_pull_from_before_a_reset_moves_nothing() {
        let owned = owned();
        let turn = owned.state().turn;
        owned.restart(2);
        assert!(owned.take_in(turn, &pulled(9), Vec::new()).is_none());
        assert_eq!(owned.state().turn.next, 2);
    }

    #[test]
    fn what_was_pulled_before_a_reset_commits_nothing() {
        let owned = owned();
        owned.state().process.put(5, 1);
        owned.restart(2);
        assert_eq!(owned.done(0, 5, 0), None);
        owned.state().process.put(2, 1);
        assert_eq!(owned.done(1, 2, 0), Some(3));
    }
}
