//! Known bugs that the simulator's checker must catch, one at a time (feature `mutants`).
//!
//! Without the feature [`is`] is a constant, and nothing of this is in the program.

/// One bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// A message that was given back is forgotten.
    Lost,
    /// A delayed message is delivered twice.
    Doubled,
    /// A group of sends is stored in the wrong order.
    Reordered,
    /// Under sync flush a send is answered before the flush.
    AcknowledgedEarly,
    /// Under sync flush a message can be read before the flush.
    VisibleEarly,
    /// A file of positions is written before the log that it speaks of is durable.
    PositionsAhead,
}

/// All of them.
pub const ALL: [Mutant; 6] = [
    Mutant::Lost,
    Mutant::Doubled,
    Mutant::Reordered,
    Mutant::AcknowledgedEarly,
    Mutant::VisibleEarly,
    Mutant::PositionsAhead,
];

#[cfg(feature = "mutants")]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Chooses the bug of this thread; none for a program without.
#[cfg(feature = "mutants")]
pub fn choose(mutant: Option<Mutant>) {
    ACTIVE.set(mutant);
}

/// Whether this thread has that bug.
#[cfg(feature = "mutants")]
pub(crate) fn is(mutant: Mutant) -> bool {
    ACTIVE.get() == Some(mutant)
}

/// Whether this thread has that bug: never.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn is(_mutant: Mutant) -> bool {
    false
}
