//! `mqdeck bench`: loads that drive any cluster over the wire, with results as JSON.
//!
//! The client here is as light as it can be: frames made once, answers looked at for their code only.
//! What it measures is the broker, and how much CPU it spent when its process id is given.

mod load;
mod report;

use crate::args::BenchLoad;
use load::Load;

/// Runs a load to its end; the figures as one line of JSON.
pub fn run(load: &BenchLoad) -> anyhow::Result<String> {
    let BenchLoad::Produce {
        at,
        broker,
        topic,
        connections,
        in_flight,
        size,
        seconds,
        messages,
        pid,
    } = load.clone();
    let load = Load {
        namesrv: at,
        broker,
        topic,
        connections: connections.max(1),
        in_flight: in_flight.max(1),
        size: size.max(1),
        seconds,
        messages,
        pid,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    Ok(runtime.block_on(load::produce(load))?.to_string())
}
