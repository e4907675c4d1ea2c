//! When a run key counts (console-ux.md §7.1).
//!
//! A terminal cannot tell a repeated key from a new one, hence time: the dialog must have been
//! visible for 300 ms, no key may have arrived in the last 300 ms, and the preview must be complete.

/// Quiet time before and after.
pub const QUIET_MS: i64 = 300;
/// A preview older than this is computed again before it runs.
pub const PREVIEW_MAX_AGE_MS: i64 = 30_000;

/// How much a change may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    One,
    Two,
    Three,
}

impl Risk {
    /// The number in the title.
    pub const fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
        }
    }

    /// `danger = "prod"` raises 1 to 2.
    #[must_use]
    pub const fn in_context(self, prod: bool) -> Self {
        match self {
            Self::One if prod => Self::Two,
            other => other,
        }
    }

    /// Whether the name must be typed.
    pub const fn asks_name(self, prod: bool) -> bool {
        match self {
            Self::One => false,
            Self::Two => prod,
            Self::Three => true,
        }
    }
}

/// When the dialog was shown and the last key came.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    shown_ms: i64,
    last_key_ms: Option<i64>,
}

/// What happens to a run key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Run,
    /// Too early: swallowed.
    Wait,
}

impl Gate {
    /// A dialog that appears now.
    pub const fn shown(now_ms: i64) -> Self {
        Self { shown_ms: now_ms, last_key_ms: None }
    }

    /// Any key that reached the dialog and was not a run key.
    pub const fn key(&mut self, now_ms: i64) {
        self.last_key_ms = Some(now_ms);
    }

    /// A run key. One that comes too early starts the quiet time again.
    pub fn run(&mut self, now_ms: i64) -> Verdict {
        let quiet = self.last_key_ms.is_none_or(|last| now_ms - last >= QUIET_MS);
        let visible = now_ms - self.shown_ms >= QUIET_MS;
        self.last_key_ms = Some(now_ms);
        if quiet && visible { Verdict::Run } else { Verdict::Wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_key_needs_a_visible_dialog_and_quiet() {
        let mut gate = Gate::shown(1_000);
        assert_eq!(gate.run(1_299), Verdict::Wait);
        assert_eq!(gate.run(1_598), Verdict::Wait, "the early key started the quiet time again");
        assert_eq!(gate.run(1_898), Verdict::Run);
    }

    #[test]
    fn a_key_just_before_delays_the_run() {
        let mut gate = Gate::shown(0);
        gate.key(1_000);
        assert_eq!(gate.run(1_100), Verdict::Wait);
        assert_eq!(gate.run(1_400), Verdict::Run);
    }

    #[test]
    fn prod_raises_one_to_two_and_asks_the_name_from_two() {
        assert_eq!(Risk::One.in_context(true), Risk::Two);
        assert!(Risk::Two.asks_name(true) && !Risk::Two.asks_name(false));
        assert!(Risk::Three.asks_name(false));
    }
}
