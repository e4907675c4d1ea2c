//! `bench recover`: how long an engine takes to start, stop and recover, on a data directory of its own.
//!
//! Starts this program's `serve` as a child: on an empty directory, after a clean stop, after SIGKILL, and
//! after SIGKILL with everything derived from the log removed, so that the whole log has to be scanned.
//! A start is over with the first send that is accepted.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::Instant;

use super::produce;
use super::report::Usage;
use super::target::Target;
use super::wire::{SendShape, SendTemplate, Wire, accepted};
use crate::args::bench::Recover;

/// Longest start before the run fails.
const START_MAX: Duration = Duration::from_secs(120);
/// Longest time for the sends that fill the directory.
const FILL_SECONDS: u64 = 600;
/// Bytes in a gigabyte.
const GB: f64 = 1e9;

/// Runs all of it; the figures as JSON.
pub async fn run(load: Recover) -> anyhow::Result<Value> {
    let made = load.dir.is_none().then(temporary).transpose()?;
    let dir = made.clone().or(load.dir.clone()).context("a directory was made or given")?;
    let result = measure(&load, &dir).await;
    if made.is_some() {
        std::fs::remove_dir_all(&dir)
            .with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    result
}

fn temporary() -> anyhow::Result<PathBuf> {
    let dir = std::env::temp_dir().join(format!("mqdeck-recover.{}", std::process::id()));
    std::fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

async fn measure(load: &Recover, dir: &Path) -> anyhow::Result<Value> {
    let data = dir.join("data");
    let mut empty = Vec::new();
    for turn in 0..load.times.max(1) {
        let (server, took) = Server::start(&dir.join(format!("empty-{turn}")), load).await?;
        empty.push(took);
        server.stop().await?;
    }
    let (server, _) = Server::start(&data, load).await?;
    let idle = server.usage()?.anonymous;
    let filled = fill(load, &server).await?;
    let full = server.usage()?.anonymous;
    let mut stops = vec![server.stop().await?];
    let mut clean = Vec::new();
    let mut restarted = 0;
    for _ in 0..load.times.max(1) {
        let (server, took) = Server::start(&data, load).await?;
        clean.push(took);
        restarted = server.usage()?.anonymous;
        stops.push(server.stop().await?);
    }
    let killed = start_after_kill(load, &data, Keep::All).await?;
    let scanned = start_after_kill(load, &data, Keep::Log).await?;
    let gigabytes = log_bytes(&data)? as f64 / GB;
    let base = median(&mut empty);
    Ok(json!({
        "messages": load.messages,
        "topics": load.topics,
        "queues": load.queues,
        "log_gb": gigabytes,
        "fill": filled,
        "start_empty_ms": base,
        "start_after_clean_stop_ms": median(&mut clean),
        "clean_stop_ms": stops[0],
        "clean_stop_again_ms": median(&mut stops[1..]),
        "start_after_kill_ms": killed,
        "start_after_kill_whole_scan_ms": scanned,
        "whole_scan_gb_per_second": gigabytes / ((scanned - base).max(0.001) / 1_000.0),
        "anonymous_bytes_idle": idle,
        "anonymous_bytes_filled": full,
        "anonymous_bytes_after_clean_start": restarted,
    }))
}

/// What stays in a killed engine's directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    All,
    /// Only the log and the configuration.
    Log,
}

async fn start_after_kill(load: &Recover, data: &Path, keep: Keep) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..load.times.max(1) {
        let (server, _) = Server::start(data, load).await?;
        server.kill().await?;
        if keep == Keep::Log {
            for derived in ["consumequeue", "index"] {
                // Absent is what is wanted.
                let _ = std::fs::remove_dir_all(data.join(derived));
            }
            for derived in ["checkpoint", "abort"] {
                let path = data.join(derived);
                if path.exists() {
                    std::fs::OpenOptions::new().write(true).truncate(true).open(path)?;
                }
            }
        }
        let (server, took) = Server::start(data, load).await?;
        times.push(took);
        server.stop().await?;
    }
    Ok(median(&mut times))
}

async fn fill(load: &Recover, server: &Server) -> anyhow::Result<Value> {
    let target = Target { topic: "bench".to_owned(), topics: load.topics, ..server.target(load) };
    let in_flight = if load.topics > 1 { 64 } else { 128 };
    produce::run(produce::Load {
        target,
        connections: 8,
        in_flight,
        rate: None,
        oneway: false,
        size: load.size,
        seconds: FILL_SECONDS,
        messages: Some(load.messages),
    })
    .await
}

/// A `serve` of this program.
struct Server {
    child: Child,
    namesrv: String,
    broker: SocketAddr,
    /// Kept open: a closed pipe would end it.
    _out: BufReader<ChildStdout>,
}

impl Server {
    /// Starts one; ms from the start of the process to the first accepted send.
    async fn start(data: &Path, load: &Recover) -> anyhow::Result<(Self, f64)> {
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--namesrv-port", "0", "--broker-port", "0", "--data-dir"])
            .arg(data)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut out = BufReader::new(child.stdout.take().context("stdout is piped")?);
        let mut line = String::new();
        tokio::time::timeout(START_MAX, out.read_line(&mut line))
            .await
            .context("no ready line")??;
        let part = |name: &str| {
            line.split_whitespace().find_map(|word| word.strip_prefix(name)).map(str::to_owned)
        };
        let (Some(namesrv), Some(broker)) = (part("namesrv="), part("broker=")) else {
            bail!("not a ready line: {line:?}");
        };
        let server = Self { child, namesrv, broker: broker.parse()?, _out: out };
        server.first_send(load).await?;
        Ok((server, ms(started.elapsed())))
    }

    async fn first_send(&self, load: &Recover) -> anyhow::Result<()> {
        let shape = SendShape { size: load.size, oneway: false, connection: 0 };
        let mut out = Vec::new();
        SendTemplate::new(&shape, "first", 0).write(0, &mut out);
        let mut wire = Wire::connect(self.broker).await?;
        wire.send(&out).await?;
        loop {
            wire.fill().await?;
            if let Some(answer) = wire.next()? {
                return accepted(&answer).map(drop);
            }
        }
    }

    fn target(&self, load: &Recover) -> Target {
        Target {
            namesrv: self.namesrv.clone(),
            broker: Some(self.broker.to_string()),
            topic: "first".to_owned(),
            topics: 1,
            make: true,
            queues: load.queues,
            pid: self.child.id(),
        }
    }

    fn usage(&self) -> anyhow::Result<Usage> {
        self.child.id().and_then(Usage::of).context("the engine has ended")
    }

    /// Ends it in order; ms until the process is gone.
    async fn stop(self) -> anyhow::Result<f64> {
        self.signal(Signal::TERM).await
    }

    async fn kill(self) -> anyhow::Result<()> {
        self.signal(Signal::KILL).await.map(drop)
    }

    async fn signal(mut self, signal: Signal) -> anyhow::Result<f64> {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid as i32));
        let start = Instant::now();
        kill_process(pid.context("the engine has ended")?, signal)?;
        self.child.wait().await?;
        Ok(ms(start.elapsed()))
    }
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Bytes of the log up to its end: whole files but for the last, which is sparse.
fn log_bytes(data: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for file in std::fs::read_dir(data.join("commitlog"))? {
        bytes += file?.metadata()?.blocks() * 512;
    }
    Ok(bytes)
}
