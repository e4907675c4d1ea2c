//! A whole broker under seeds: every run keeps every promise, and the checker catches broken ones.
//!
//! `SEED=n cargo test --test simulation` runs one seed again; `SEEDS=n` runs so many.

#![allow(clippy::unwrap_used)] // all of this is tests

use std::sync::atomic::{AtomicU64, Ordering};

use engine::mutant::{self, Mutant};
use engine::sim::{self, Plan, Report, Violation};

/// Seeds of a test run.
const SEEDS: u64 = 2_000;
/// Seeds within which every known bug must show.
const MUTANT_SEEDS: u64 = 60;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Runs seeds on all cores, from `first` on; the first violation ends it.
fn run(
    first: u64,
    count: u64,
    plan: impl Fn(u64) -> Plan + Sync,
) -> Result<Vec<Report>, Violation> {
    let next = AtomicU64::new(first);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let one = || {
        let mut reports = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return Ok(reports);
            }
            match sim::run(&plan(seed)) {
                Ok(report) => reports.push(report),
                Err(violation) => {
                    next.store(u64::MAX / 2, Ordering::Relaxed);
                    return Err(violation);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(one)).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().unwrap()?);
        }
        Ok(all)
    })
}

#[test]
fn promises_hold_under_every_seed() {
    let seeds = number("SEED").map(|seed| (seed, 1));
    let (first, count) = seeds.unwrap_or((1, number("SEEDS").unwrap_or(SEEDS)));
    let reports = run(first, count, Plan::from_seed).unwrap_or_else(|violation| {
        panic!("{violation}\nagain: SEED={} cargo test --test simulation", violation.seed)
    });
    let sum = |of: fn(&Report) -> usize| reports.iter().map(of).sum::<usize>();
    println!(
        "{} seeds: {} acknowledged, {} lost as allowed, {} deliveries, {} dead letters, {} crashes, {} stops",
        reports.len(),
        sum(|report| report.acknowledged),
        sum(|report| report.lost),
        sum(|report| report.deliveries),
        sum(|report| report.dead),
        sum(|report| report.crashes),
        sum(|report| report.stops)
    );
    assert_eq!(reports.len() as u64, count);
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in 1..=8 {
        let plan = Plan::from_seed(seed);
        assert_eq!(sim::run(&plan), sim::run(&plan), "seed {seed}");
    }
}

/// The seed that catches a bug, and what the checker says.
fn caught(bug: Mutant) -> Option<Violation> {
    mutant::choose(Some(bug));
    let found = (1..=MUTANT_SEEDS).find_map(|seed| sim::run(&Plan::from_seed(seed)).err());
    mutant::choose(None);
    found
}

#[test]
fn the_checker_catches_every_known_bug() {
    for bug in mutant::ALL {
        let violation = caught(bug).unwrap_or_else(|| panic!("{bug:?} was not caught"));
        println!("{bug:?}: seed {}: {}", violation.seed, violation.what);
        let says = match bug {
            Mutant::Lost => "neither consumed",
            Mutant::Doubled => "times",
            Mutant::Reordered => "behind it",
            Mutant::AcknowledgedEarly => "before it was durable",
            Mutant::VisibleEarly => "visible early",
            Mutant::PositionsAhead => "ahead of the durable log",
        };
        assert!(violation.what.contains(says), "{bug:?} was caught by chance: {violation}");
    }
}
