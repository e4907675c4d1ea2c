//! The binary as its users meet it: exit codes, one sentence on stderr, the ready line, signals.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // all of this is tests, of processes

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;
use tempfile::TempDir;

mod test_support;

use test_support::{Ended, Serve, run};

/// Free ports for what is not about ports.
const FREE: [&str; 4] = ["--namesrv-port", "0", "--broker-port", "0"];

fn serve(home: &Path, args: &[&str]) -> Ended {
    run(home, &[&["serve"], args].concat())
}

/// Ended with 2 and one line on stderr that holds all of these; nothing on stdout.
#[track_caller]
fn refused(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.out, "", "{ended:?}");
    assert_eq!(ended.err.trim_end().lines().count(), 1, "{ended:?}");
    for part in parts {
        assert!(ended.err.contains(part), "no {part:?} in {:?}", ended.err);
    }
}

/// Names of all that lies below a directory.
fn below(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        names.push(path.display().to_string());
        if path.is_dir() {
            names.extend(below(&path));
        }
    }
    names
}

#[test]
fn serve_says_one_line_when_ready_and_stops_clean_on_a_signal() {
    let home = TempDir::new().unwrap();
    let data = home.path().join("data/mqdeck");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let serve = Serve::start(home.path(), &[]);
        assert_eq!(serve.ready, format!("ready namesrv={} broker={}", serve.namesrv, serve.broker));
        assert!(data.join("abort").exists(), "the mark of a running broker");
        serve.signal(signal);
        let (status, lines, said) = serve.end();
        assert_eq!((status.code(), lines, said.as_str()), (Some(0), vec![], ""), "{signal:?}");
        assert!(!data.join("abort").exists(), "{signal:?} left the mark of a crash");
    }
    let logs = below(&home.path().join("state/mqdeck/log"));
    assert_eq!(logs.len(), 1, "{logs:?}");
}

#[test]
fn a_port_that_is_taken_is_named_with_what_to_do() {
    let home = TempDir::new().unwrap();
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let ended = serve(home.path(), &["--namesrv-port", &port, "--broker-port", "0"]);
    refused(&ended, &[&format!("127.0.0.1:{port}"), "--namesrv-port"]);
    assert!(!ended.err.contains("mqdeck --namesrv "), "{}", ended.err);
    assert_eq!(below(home.path()), [""; 0], "nothing changed on disk");
}

#[test]
fn a_port_held_by_a_name_server_leads_to_the_console_over_it() {
    let (home, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let holder = Serve::start(home.path(), &[]);
    let port = holder.namesrv.port().to_string();
    let ended = serve(other.path(), &["--namesrv-port", &port, "--broker-port", "0"]);
    let attach = format!("mqdeck --namesrv {}", holder.namesrv);
    refused(&ended, &[&attach]);
    assert!(ended.err.trim_end().ends_with(&attach), "{}", ended.err);
    assert_eq!(below(other.path()), [""; 0], "nothing changed on disk");
}

#[test]
fn a_directory_in_use_is_left_alone() {
    let home = TempDir::new().unwrap();
    let holder = Serve::start(home.path(), &[]);
    let ended = serve(home.path(), &FREE);
    refused(&ended, &["data/mqdeck", "in use", "--data-dir"]);
    holder.signal(Signal::TERM);
    assert_eq!(holder.end().0.code(), Some(0), "the first one runs on undisturbed");
}

#[test]
fn a_directory_of_other_geometry_is_left_alone() {
    let home = TempDir::new().unwrap();
    let first = Serve::start(home.path(), &[]);
    first.signal(Signal::TERM);
    first.end();
    let before = below(home.path());
    let log = home.path().join("data/mqdeck/commitlog");
    fs::create_dir_all(&log).unwrap();
    fs::write(log.join("00000000000000000000"), [0; 4096]).unwrap();
    let ended = serve(home.path(), &FREE);
    refused(&ended, &["data/mqdeck", "--data-dir"]);
    let after = below(home.path());
    assert!(after.len() <= before.len() + 2, "nothing added: {after:?}");
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "x").unwrap();
    let inside = file.join("data");
    refused(
        &serve(home.path(), &[&FREE[..], &["--data-dir", inside.to_str().unwrap()]].concat()),
        &["file/data", "--data-dir"],
    );
    let closed = home.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    let probe = closed.join("probe");
    // Root may write anywhere: then the case says nothing.
    if fs::write(&probe, "").is_err() {
        let ended =
            serve(home.path(), &[&FREE[..], &["--data-dir", closed.to_str().unwrap()]].concat());
        refused(&ended, &["closed", "--data-dir"]);
    }
}

#[test]
fn a_name_server_runs_alone_and_keeps_what_it_is_told() {
    let home = TempDir::new().unwrap();
    for round in 0..2 {
        let names = Serve::start_as(home.path(), &["namesrv", "--namesrv-port", "0"]);
        assert_eq!(names.ready, format!("ready namesrv={}", names.namesrv));
        let of = names.namesrv.to_string();
        let topics = run(home.path(), &["brokers", "--namesrv", &of, "-o", "json"]);
        assert_eq!((topics.code, topics.out.as_str()), (Some(0), "[]\n"), "round {round}");
        names.signal(Signal::TERM);
        let (status, lines, said) = names.end();
        assert_eq!((status.code(), lines, said.as_str()), (Some(0), vec![], ""));
    }
    let names = Serve::start_as(home.path(), &["namesrv", "--namesrv-port", "0"]);
    refused(&run(home.path(), &["namesrv", "--namesrv-port", "0"]), &["in use", "--data-dir"]);
    let port = names.namesrv.port().to_string();
    let taken = run(home.path(), &["namesrv", "--namesrv-port", &port, "--data-dir", "/tmp/x"]);
    refused(&taken, &["--namesrv-port"]);
}

#[test]
fn a_bad_flag_is_usage() {
    let home = TempDir::new().unwrap();
    for args in [
        &["--no-such-flag"][..],
        &["serve", "--broker-port", "70000"],
        &["serve", "--listen", "everywhere"],
        &["--namesrv", "nonsense"],
        &["no-such-command"],
    ] {
        let ended = run(home.path(), args);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{args:?}: {ended:?}");
    }
    refused(&run(home.path(), &["--demo", "serve"]), &["--demo"]);
}

#[test]
fn the_console_needs_a_terminal() {
    let home = TempDir::new().unwrap();
    for args in [&[][..], &["--demo"], &["--namesrv", "127.0.0.1:9876"]] {
        refused(&run(home.path(), args), &["mqdeck serve"]);
    }
    assert_eq!(below(home.path()), [""; 0], "nothing changed on disk");
}

#[test]
fn a_bad_key_is_named_with_file_line_and_the_right_one() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("c.toml");
    fs::write(&file, "theme = \"auto\"\n\n[broker]\nflushDiskTyp = \"SYNC_FLUSH\"\n").unwrap();
    let file = file.to_str().unwrap();
    let sentence =
        format!("{file}:4: unknown key \"flushDiskTyp\"; did you mean \"flushDiskType\"?");
    refused(&serve(home.path(), &["--config", file]), &[&sentence]);
    refused(&run(home.path(), &["config", "check", "--config", file]), &[&sentence]);
    let missing = serve(home.path(), &["--config", "/no/such/file.toml"]);
    refused(&missing, &["/no/such/file.toml"]);
}

#[test]
fn a_value_that_cannot_work_is_named_with_its_place() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("c.toml");
    fs::write(&file, "[broker]\n\ndeleteWhen = \"noon\"\n").unwrap();
    let file = file.to_str().unwrap();
    let sentence = format!("{file}:3: deleteWhen must be hours from 00 to 23");
    refused(&serve(home.path(), &["--config", file]), &[&sentence]);
    refused(&run(home.path(), &["config", "check", "--config", file]), &[&sentence]);
    let low = serve(home.path(), &["--broker-port", "2"]);
    refused(&low, &["--broker-port: listenPort must be 0 or more than 2"]);
}

#[test]
fn a_bad_delay_table_is_usage() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("c.toml");
    fs::write(&file, "[broker]\nmessageDelayLevel = \"1s soon\"\n").unwrap();
    let ended = serve(home.path(), &[&FREE[..], &["--config", file.to_str().unwrap()]].concat());
    refused(&ended, &["messageDelayLevel"]);
}

#[test]
fn a_wildcard_without_advertised_address_is_usage() {
    let home = TempDir::new().unwrap();
    for wildcard in ["0.0.0.0", "::"] {
        let ended = serve(home.path(), &[&FREE[..], &["--listen", wildcard]].concat());
        refused(&ended, &["--advertise HOST", wildcard]);
    }
    let serve = Serve::start(home.path(), &["--listen", "0.0.0.0", "--advertise", "127.0.0.1"]);
    serve.signal(Signal::TERM);
    assert_eq!(serve.end().0.code(), Some(0));
    let logs = home.path().join("state/mqdeck/log");
    let file = fs::read_dir(logs).unwrap().next().unwrap().unwrap().path();
    assert!(fs::read_to_string(file).unwrap().contains("without access control"));
}

#[test]
fn config_show_names_every_value_with_its_origin() {
    let home = TempDir::new().unwrap();
    let ended = run(home.path(), &["config", "show", "--broker-port", "0"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let line = |begin: &str| ended.out.lines().find(|line| line.starts_with(begin)).unwrap();
    assert!(line("theme = ").ends_with("# default"));
    assert!(ended.out.contains("\n[broker]\n"), "{}", ended.out);
    let port = ended.out.lines().find(|line| line.ends_with("# --broker-port")).unwrap();
    assert!(port.starts_with("listenPort = 0 "), "{port}");
}

#[test]
fn every_key_is_documented() {
    let home = TempDir::new().unwrap();
    let shown = run(home.path(), &["config", "show"]).out;
    let documented = include_str!("../docs/configuration.md");
    let mut keys = 0;
    for line in shown.lines().filter(|line| !line.is_empty() && !line.starts_with('[')) {
        let key = line.trim_start_matches("# ").split(' ').next().unwrap();
        assert!(documented.contains(&format!("`{key}`")), "{key} is not in docs/configuration.md");
        keys += 1;
    }
    assert!(keys > 30, "only {keys} keys:\n{shown}");
}
