//! `mqdeck bench`: loads that drive any cluster over the wire, with results as JSON.
//!
//! What they measure is the broker, and how much CPU it spent when its process id is given. `recover`
//! and `echo` bring their own server.

mod consume;
mod echo;
mod pingpong;
mod produce;
mod recover;
mod report;
mod target;
mod wire;

use crate::args::bench::{Aim, Bench};
use crate::output;
use target::Target;

/// Runs a load to its end and prints its figures as one line of JSON.
pub fn run(bench: &Bench) -> anyhow::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build()?;
    let figures = match bench.clone() {
        Bench::Produce(load) => runtime.block_on(produce::run(produce::Load {
            target: target(&load.aim),
            connections: load.connections.max(1),
            in_flight: load.in_flight.max(1),
            rate: load.rate.filter(|rate| *rate > 0.0),
            oneway: load.oneway,
            size: load.size.max(1),
            seconds: load.seconds,
            messages: load.messages,
        }))?,
        Bench::Consume(load) => runtime.block_on(consume::run(consume::Load {
            target: target(&load.aim),
            connections: load.connections.max(1),
            batch: load.batch.max(1),
            follow: load.follow,
            seconds: load.seconds,
        }))?,
        Bench::Pingpong(load) => runtime.block_on(pingpong::run(pingpong::Load {
            target: target(&load.aim),
            size: load.size.max(1),
            seconds: load.seconds,
        }))?,
        Bench::Recover(load) => runtime.block_on(recover::run(load))?,
        Bench::Echo { seconds } => return runtime.block_on(echo::run(seconds)),
    };
    output::print(&format!("{figures}\n"))?;
    Ok(())
}

fn target(aim: &Aim) -> Target {
    Target {
        namesrv: aim.at.clone(),
        broker: aim.broker.clone(),
        topic: aim.topic.clone(),
        topics: aim.topics.max(1),
        make: aim.topics > 0,
        queues: aim.queues.max(1),
        pid: aim.pid,
    }
}
