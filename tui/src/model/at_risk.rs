//! What acknowledged data a broker may lose now (console-ux.md §2.1, AT RISK).
//!
//! A part that nobody answered is unknown, never 0: a person decides on this figure whether a
//! machine may be switched off.

use crate::data::{Fig, Loss};

/// Facts of one master.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `None` when the configuration was not readable.
    pub sync_flush: Option<bool>,
    pub unflushed: Fig<u64>,
    /// The unflushed figure is exact (mqdeck), not Apache's text rounded to 5 %.
    pub unflushed_exact: bool,
    pub transient_pool: Option<u64>,
    /// Every acknowledged write waits for a slave.
    pub waits_for_slave: Option<bool>,
    /// Slaves registered or connected; `None` when not known.
    pub slaves: Option<u32>,
    /// Log end minus the best acknowledgement, where a slave has reported.
    pub best_slave_behind: Option<u64>,
    /// Store time of the oldest message.
    pub since_ms: Option<i64>,
}

/// Loss by power failure.
pub fn power(facts: &Facts) -> Fig<Loss> {
    match facts.sync_flush {
        None => Fig::unknown("flush mode not readable"),
        Some(true) => Fig::Known(Loss::Bytes(0)),
        Some(false) => match facts.unflushed.value() {
            None => Fig::unknown("unflushed bytes not told"),
            Some(bytes) if facts.unflushed_exact => Fig::Known(Loss::Bytes(*bytes)),
            Some(bytes) => Fig::AtMost(Loss::Bytes(bytes.saturating_add(bytes / 20))),
        },
    }
}

/// Loss when the disk of this machine is gone.
pub fn disk(facts: &Facts) -> Fig<Loss> {
    match (facts.waits_for_slave, facts.slaves, facts.best_slave_behind) {
        (Some(true), _, Some(_)) => Fig::Known(Loss::Bytes(0)),
        (_, _, Some(behind)) => Fig::Known(Loss::Bytes(behind)),
        (_, Some(0), None) => Fig::Known(Loss::Everything(facts.since_ms)),
        (_, Some(_), None) => Fig::unknown("no slave has acknowledged yet"),
        (_, None, None) => Fig::unknown("replication state not told"),
    }
}

/// Loss when the process is killed.
pub fn kill(facts: &Facts) -> Fig<Loss> {
    Fig::Known(Loss::Bytes(facts.transient_pool.unwrap_or(0)))
}

/// Orders losses for "worst of the cluster".
pub fn weight(loss: &Fig<Loss>) -> Option<u64> {
    loss.value().map(|l| match l {
        Loss::Bytes(bytes) => *bytes,
        Loss::Everything(_) => u64::MAX,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            sync_flush: Some(false),
            unflushed: Fig::About(1_000_000),
            unflushed_exact: false,
            transient_pool: None,
            waits_for_slave: Some(false),
            slaves: Some(1),
            best_slave_behind: Some(1_100),
            since_ms: None,
        }
    }

    #[test]
    fn async_flush_is_an_upper_bound_rounded_up_by_five_percent() {
        assert_eq!(power(&facts()), Fig::AtMost(Loss::Bytes(1_050_000)));
    }

    #[test]
    fn sync_flush_loses_nothing_and_an_unreadable_mode_is_unknown() {
        assert_eq!(power(&Facts { sync_flush: Some(true), ..facts() }), Fig::Known(Loss::Bytes(0)));
        assert!(power(&Facts { sync_flush: None, ..facts() }).is_unknown());
    }

    #[test]
    fn without_slave_everything_is_at_risk_and_without_acknowledgement_it_is_unknown() {
        let none = Facts { slaves: Some(0), best_slave_behind: None, ..facts() };
        assert_eq!(disk(&none), Fig::Known(Loss::Everything(None)));
        assert!(disk(&Facts { best_slave_behind: None, ..facts() }).is_unknown());
        assert!(disk(&Facts { slaves: None, best_slave_behind: None, ..facts() }).is_unknown());
    }
}
