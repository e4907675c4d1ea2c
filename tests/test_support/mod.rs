//! What tests of more than one module share: the binary as a process, an engine in this process, both
//! on free ports and in a temporary directory, and waiting for a condition instead of sleeping.

#![allow(dead_code, clippy::unwrap_used)] // every test file uses its own part; it is all tests

pub mod cluster;

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use engine::config::{BrokerConfig, EngineConfig, NamesrvConfig};
use engine::engine::Engine;
use tempfile::TempDir;

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until a condition holds.
#[allow(clippy::disallowed_methods)] // tests of processes run in real time
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        thread::sleep(LOOK);
    }
}

/// Waits until something is there.
pub fn wait_some<T>(what: &str, mut get: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    wait_for(what, || {
        found = get();
        found.is_some()
    });
    found.expect("waited until it was there")
}

/// The binary with a home of its own, so that nothing of the user's is read or written.
pub fn mqdeck(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqdeck"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MQDECK_") {
            command.env_remove(name);
        }
    }
    command
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_STATE_HOME", home.join("state"))
        .stdin(Stdio::null());
    command
}

/// What a run of the binary ended with.
#[derive(Debug)]
pub struct Ended {
    /// Exit code.
    pub code: Option<i32>,
    /// All of stdout.
    pub out: String,
    /// All of stderr.
    pub err: String,
}

/// Runs the binary to its end.
pub fn run(home: &Path, args: &[&str]) -> Ended {
    let output = mqdeck(home).args(args).output().unwrap();
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running `mqdeck serve`. Killed when dropped.
#[derive(Debug)]
pub struct Serve {
    child: Child,
    stderr: Option<ChildStderr>,
    lines: mpsc::Receiver<String>,
    /// Address of the name server.
    pub namesrv: SocketAddr,
    /// Address of the broker.
    pub broker: SocketAddr,
    /// The ready line.
    pub ready: String,
}

impl Serve {
    /// Starts it on free ports and waits for its ready line.
    pub fn start(home: &Path, args: &[&str]) -> Self {
        let free = ["serve", "--namesrv-port", "0", "--broker-port", "0"];
        Self::start_as(home, &[&free, args].concat())
    }

    /// Starts what these arguments say and waits for its ready line.
    pub fn start_as(home: &Path, args: &[&str]) -> Self {
        let mut child =
            mqdeck(home).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take();
        let (line, lines) = mpsc::channel();
        let read = move || out.lines().map_while(Result::ok).try_for_each(|one| line.send(one));
        thread::Builder::new().spawn(read).unwrap();
        let Ok(ready) = lines.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            let mut said = String::new();
            let _ = stderr.as_mut().map(|err| err.read_to_string(&mut said));
            panic!("no ready line; stderr: {said}");
        };
        let address = |name: &str| {
            let part = ready.split(' ').find_map(|part| part.strip_prefix(name));
            part.map(|part| part.parse().unwrap())
        };
        let namesrv = address("namesrv=").unwrap_or_else(|| panic!("no address in {ready:?}"));
        let broker = address("broker=").unwrap_or(namesrv);
        Self { child, stderr, lines, namesrv, broker, ready }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end; gives the status, further lines of stdout, and stderr.
    pub fn end(mut self) -> (ExitStatus, Vec<String>, String) {
        let status = wait_some("the end of the process", || self.child.try_wait().unwrap());
        let mut said = String::new();
        let _ = self.stderr.take().map(|mut err| err.read_to_string(&mut said));
        (status, self.lines.iter().collect(), said)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration for tests: free ports, small files.
pub fn config(dir: &Path) -> EngineConfig {
    EngineConfig {
        data_dir: dir.to_owned(),
        listen: Ipv4Addr::LOCALHOST.into(),
        advertise: Ipv4Addr::LOCALHOST.into(),
        broker: BrokerConfig {
            listen_port: 0,
            mapped_file_size_commit_log: 16 << 20,
            max_hash_slot_num: 1_000,
            max_index_num: 4_000,
            disk_free_min: 0,
            ..BrokerConfig::default()
        },
        namesrv: NamesrvConfig { listen_port: 0, ..NamesrvConfig::default() },
        tls: None,
        net_threads: Some(1),
    }
}

/// An engine of this process on free ports. The directory goes with it.
pub fn engine(change: impl FnOnce(&mut EngineConfig)) -> (Engine, TempDir) {
    let dir = TempDir::new().unwrap();
    let mut config = config(dir.path());
    change(&mut config);
    (Engine::start(config).unwrap(), dir)
}
