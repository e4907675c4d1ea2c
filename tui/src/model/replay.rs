//! Sums and estimates of a replay preview (console-ux.md §7.2). The plan itself comes from the client.

use crate::data::Fig;
use crate::data::fig::sum;
use crate::data::plan::{ReplayPlan, ReplayTo};
use crate::model::confirm::Risk;
use crate::model::format;

/// Totals of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    pub again: Fig<u64>,
    pub skipped: Fig<u64>,
    pub lag_now: Fig<u64>,
    pub lag_after: Fig<u64>,
}

/// Adds the queues of a plan up.
pub fn totals(plan: &ReplayPlan) -> Totals {
    Totals {
        again: sum(plan.rows.iter().map(|r| &r.again)),
        skipped: sum(plan.rows.iter().map(|r| &r.skipped)),
        lag_now: sum(plan.rows.iter().map(|r| &r.lag_now)),
        lag_after: sum(plan.rows.iter().map(|r| &r.lag_after)),
    }
}

/// Skipping messages is risk 3, repeating them risk 2.
pub fn risk(to: &ReplayTo, plan: Option<&ReplayPlan>) -> Risk {
    let skips = plan.is_some_and(|p| p.rows.iter().any(|r| r.skipped.value() > Some(&0)));
    if *to == ReplayTo::End || skips { Risk::Three } else { Risk::Two }
}

/// `about 2h 01m`, for the repeated part alone.
pub fn repeat_time(again: &Fig<u64>, out: &Fig<f64>) -> String {
    match (again.value(), out.value()) {
        (Some(n), Some(out)) if *out > 0.0 => {
            let ms = (*n as f64 / out * 1_000.0) as i64;
            format!("about {}", format::duration(ms))
        }
        _ => "duration unknown".to_owned(),
    }
}

/// `never at 118/s out, 420/s in`, or how long until nothing is behind.
pub fn catch_up(after: &Fig<u64>, out: &Fig<f64>, r#in: &Fig<f64>) -> String {
    let (Some(after), Some(out), Some(incoming)) = (after.value(), out.value(), r#in.value())
    else {
        return "duration unknown".to_owned();
    };
    let rates = format!("{}/s out, {}/s in", format::rate(*out), format::rate(*incoming));
    if *after == 0 {
        "nothing to catch up".to_owned()
    } else if out <= incoming {
        format!("never at {rates}")
    } else {
        let ms = (*after as f64 / (out - incoming) * 1_000.0) as i64;
        format!("about {} at {rates}", format::duration(ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_slower_than_its_topic_never_catches_up() {
        let (out, incoming) = (Fig::Known(118.0), Fig::Known(420.0));
        assert_eq!(catch_up(&Fig::Known(955_937), &out, &incoming), "never at 118/s out, 420/s in");
        assert_eq!(repeat_time(&Fig::Known(859_833), &out), "about 2h 01m");
    }

    #[test]
    fn without_a_rate_the_duration_is_unknown() {
        assert_eq!(repeat_time(&Fig::Known(5), &Fig::unknown("no samples")), "duration unknown");
        assert_eq!(catch_up(&Fig::Known(5), &Fig::Few, &Fig::Known(1.0)), "duration unknown");
    }
}
