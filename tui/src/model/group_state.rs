//! The word in column STATE: the first that holds (console-screens.md §6.3).

use crate::data::Fig;
use crate::model::trend::Trend;

/// Milliseconds without movement before a group is called stuck.
pub const STUCK_AFTER_MS: i64 = 60_000;

/// State of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupState {
    NoPermission,
    OnClients,
    NoClient,
    Stuck,
    HeadBlocked,
    /// Percent of deliveries sent back.
    Failing(u8),
    FallingBehind,
    /// Until nothing is left, where it can be told.
    CatchingUp(Option<i64>),
    Ok,
    Unknown(String),
}

impl GroupState {
    /// The words on screen.
    pub fn text(&self) -> String {
        match self {
            Self::NoPermission => "no permission".to_owned(),
            Self::OnClients => "on clients".to_owned(),
            Self::NoClient => "no client".to_owned(),
            Self::Stuck => "stuck".to_owned(),
            Self::HeadBlocked => "head blocked".to_owned(),
            Self::Failing(percent) => format!("failing {percent} %"),
            Self::FallingBehind => "falling behind".to_owned(),
            Self::CatchingUp(Some(ms)) => format!("catching up {}", crate::model::format::age(*ms)),
            Self::CatchingUp(None) => "catching up".to_owned(),
            Self::Ok => "ok".to_owned(),
            Self::Unknown(why) => format!("? {why}"),
        }
    }

    /// True for states that want a look.
    pub const fn is_bad(&self) -> bool {
        matches!(
            self,
            Self::Stuck
                | Self::HeadBlocked
                | Self::Failing(_)
                | Self::FallingBehind
                | Self::NoClient
        )
    }
}

/// Facts of one group.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub code: Option<i32>,
    pub broadcasting: bool,
    pub clients: &'a Fig<u64>,
    pub lag: &'a Fig<u64>,
    pub trend: Trend,
    /// Since when nothing was delivered; `None` when something is or it is not known.
    pub nothing_delivered_ms: Option<i64>,
    pub nothing_committed_ms: Option<i64>,
    /// Percent sent back in the last minute.
    pub failing: Option<u8>,
    pub in_rate: &'a Fig<f64>,
    pub out_rate: &'a Fig<f64>,
}

/// Failing share that gets its own state.
const FAILING_MIN_PERCENT: u8 = 1;

/// Decides the state.
pub fn decide(f: &Facts) -> GroupState {
    let lag = f.lag.value().copied();
    let still = |since: Option<i64>| since.is_some_and(|ms| ms >= STUCK_AFTER_MS);
    if f.code == Some(16) {
        GroupState::NoPermission
    } else if f.broadcasting {
        GroupState::OnClients
    } else if f.clients.value() == Some(&0) {
        GroupState::NoClient
    } else if lag.is_none() {
        GroupState::Unknown(f.lag.reason().unwrap_or("lag").to_owned())
    } else if lag > Some(0) && still(f.nothing_delivered_ms) && still(f.nothing_committed_ms) {
        GroupState::Stuck
    } else if lag > Some(0) && still(f.nothing_committed_ms) && f.nothing_delivered_ms.is_none() {
        GroupState::HeadBlocked
    } else if let Some(percent) = f.failing.filter(|p| *p >= FAILING_MIN_PERCENT) {
        GroupState::Failing(percent)
    } else {
        match f.trend {
            Trend::Rising => GroupState::FallingBehind,
            Trend::Falling if lag > Some(0) => GroupState::CatchingUp(eta(f)),
            _ => GroupState::Ok,
        }
    }
}

/// Milliseconds until the lag is gone at the present rates.
fn eta(f: &Facts) -> Option<i64> {
    let surplus = f.out_rate.value()? - f.in_rate.value()?;
    let lag = *f.lag.value()? as f64;
    (surplus > 0.0).then(|| (lag / surplus * 1_000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Facts<'static> {
        Facts {
            code: None,
            broadcasting: false,
            clients: &Fig::Known(2),
            lag: &Fig::Known(100),
            trend: Trend::Level,
            nothing_delivered_ms: None,
            nothing_committed_ms: None,
            failing: None,
            in_rate: &Fig::Known(10.0),
            out_rate: &Fig::Known(20.0),
        }
    }

    #[test]
    fn the_first_state_that_holds_wins() {
        let cases: [(Facts, GroupState); 9] = [
            (Facts { code: Some(16), broadcasting: true, ..base() }, GroupState::NoPermission),
            (
                Facts { broadcasting: true, clients: &Fig::Known(0), ..base() },
                GroupState::OnClients,
            ),
            (Facts { clients: &Fig::Known(0), failing: Some(9), ..base() }, GroupState::NoClient),
            (
                Facts {
                    nothing_delivered_ms: Some(60_000),
                    nothing_committed_ms: Some(60_000),
                    ..base()
                },
                GroupState::Stuck,
            ),
            (Facts { nothing_committed_ms: Some(61_000), ..base() }, GroupState::HeadBlocked),
            (Facts { failing: Some(23), trend: Trend::Rising, ..base() }, GroupState::Failing(23)),
            (Facts { trend: Trend::Rising, ..base() }, GroupState::FallingBehind),
            (Facts { trend: Trend::Falling, ..base() }, GroupState::CatchingUp(Some(10_000))),
            (base(), GroupState::Ok),
        ];
        for (facts, expected) in cases {
            assert_eq!(decide(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn an_unknown_lag_is_never_ok() {
        let facts = Facts { lag: &Fig::Unknown("silent".into()), ..base() };
        assert_eq!(decide(&facts), GroupState::Unknown("silent".to_owned()));
    }
}
