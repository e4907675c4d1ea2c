//! A broker, its disk, its clients and the time between them in one thread, under a seed
//! (architecture.md §9).
//!
//! Real: `Broker`, `Store`, the tasks, every frame. Simulated: the disk (`store::test_storage`), the
//! network (`network`), the clients (`clients`), the clock and the order in which threads get their
//! turn (`world`). What clients saw and what the disk kept is compared with the promises in `checker`.
//! The same seed gives the same run: [`Report::digest`].

mod checker;
mod clients;
mod clock;
mod network;
mod node;
mod plan;
mod rng;
mod world;

pub use plan::Plan;

/// What a run showed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Number of every event, in order: equal for equal seeds.
    pub digest: u64,
    /// Events that were run.
    pub events: u64,
    /// Messages that were acknowledged.
    pub acknowledged: usize,
    /// Acknowledged messages that a power cut took, as asynchronous flush allows.
    pub lost: usize,
    /// Deliveries to the group.
    pub deliveries: usize,
    /// Dead letters.
    pub dead: usize,
    /// Times the broker ended without warning.
    pub crashes: usize,
    /// Clean stops.
    pub stops: usize,
}

/// A promise that was broken, with the seed that breaks it again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("seed {seed}, {at_ms} ms: {what}\nplan: {plan:?}")]
pub struct Violation {
    /// The seed.
    pub seed: u64,
    /// Virtual time since the start of the run, ms.
    pub at_ms: u64,
    /// Which promise, and how.
    pub what: String,
    /// What the seed had planned.
    pub plan: Plan,
}

/// Runs one plan to its end.
///
/// # Errors
/// The first promise that was broken.
pub fn run(plan: &Plan) -> Result<Report, Violation> {
    world::World::new(plan.clone()).run()
}
