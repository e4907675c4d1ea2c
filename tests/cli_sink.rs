//! The dead-letter sink as a process: whatever moment it is killed at, no letter is missing and none is
//! there twice; rows go back and are marked.

#![cfg(feature = "sink")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // all of this is tests, of processes

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

mod test_support;

use test_support::cluster::Playground;
use test_support::{Ended, mqdeck, run};

/// Letters of the kill test.
const LETTERS: usize = 4_000;
/// Kills at least.
const KILLS: usize = 12;

fn over(play: &Playground, args: &[&str]) -> Ended {
    let namesrv = play.namesrv();
    run(play.home(), &[args, &["--namesrv", &namesrv]].concat())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A dead-letter topic with letters in it, made by hand: death itself is not tested here.
fn letters(play: &Playground, group: &str, count: usize) {
    let topic = format!("%DLQ%{group}");
    play.topic(&topic, 2);
    play.send(&topic, count);
}

/// How often each letter is there, by id.
fn exported(play: &Playground, to: &str, dir: &Path) -> BTreeMap<String, usize> {
    let lines: Vec<String> = if to.starts_with("jsonl:") {
        std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ext| ext == "jsonl"))
            .flat_map(|path| {
                let text = std::fs::read_to_string(path).unwrap();
                text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
            })
            .collect()
    } else {
        let args = ["dlq", "resend", "--from-db", dir.to_str().unwrap()];
        let dry =
            over(play, &[&args[..], &["--to", "topic:x", "--dry-run", "-o", "json"]].concat());
        let targets = json(&dry.out)["targets"].clone();
        let ids = targets.as_array().unwrap().iter();
        ids.map(|id| format!("{{\"id\":{id}}}")).collect()
    };
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(json(&line)["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

fn killed_at_random(to: impl Fn(&Path) -> (String, PathBuf)) {
    let play = Playground::start();
    letters(&play, "billing", LETTERS);
    let (to, place) = to(play.home());
    let sink = ["dlq", "sink", "--group", "billing", "--to", &to];
    // A pseudo-random walk over moments: from before the first commit to behind the last.
    let mut seed: u64 = 0x2545_F491_4F6C_DD1D;
    for kill in 0..KILLS {
        let mut child = mqdeck(play.home())
            .args(sink)
            .args(["--namesrv", &play.namesrv()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(Duration::from_millis(5 + seed % 60));
        child.kill().unwrap();
        child.wait().unwrap();
        if kill == KILLS / 2 {
            play.send("%DLQ%billing", 100);
        }
    }
    let ended = over(&play, &[&sink[..], &["--once", "-o", "json"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let standing = json(&ended.out);
    assert!(standing.as_array().unwrap().iter().all(|queue| queue["lag"] == 0), "{standing}");
    let counts = exported(&play, &to, &place);
    let twice: Vec<&String> = counts.iter().filter(|(_, n)| **n > 1).map(|(id, _)| id).collect();
    assert_eq!(twice, Vec::<&String>::new(), "letters that are there twice");
    assert_eq!(counts.len(), LETTERS + 100, "letters that are there");
}

#[test]
fn a_database_loses_and_doubles_nothing_across_kills() {
    killed_at_random(|home| {
        let file = home.join("letters.db");
        (format!("sqlite:{}", file.display()), file)
    });
}

#[test]
fn files_lose_and_double_nothing_across_kills() {
    killed_at_random(|home| {
        let dir = home.join("letters");
        (format!("jsonl:{}", dir.display()), dir)
    });
}

#[test]
fn rows_go_back_are_marked_and_reported_one_by_one() {
    let play = Playground::start();
    play.topic("orders", 1);
    play.send("orders", 4);
    play.die("billing", "orders", 4);
    let file = play.home().join("letters.db");
    let path = file.to_str().unwrap();
    let to = format!("sqlite:{path}");
    let sink = over(&play, &["dlq", "sink", "--group", "billing", "--to", &to, "--once"]);
    assert_eq!(sink.code, Some(0), "{sink:?}");
    let back = [
        "dlq",
        "resend",
        "--from-db",
        path,
        "--where",
        "keys IN ('k-1', 'k-3')",
        "--to",
        "origin",
        "--rate",
        "1000",
    ];
    let dry = over(&play, &[&back[..], &["--dry-run"]].concat());
    assert!(dry.out.contains("put 2 of 2 rows"), "{dry:?}");
    assert_eq!(over(&play, &back).code, Some(6), "not confirmed");
    let before = play.total("orders");
    let done = over(&play, &[&back[..], &["--yes", "-o", "json"]].concat());
    assert_eq!(done.code, Some(0), "{done:?}");
    let rows = json(&done.out);
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert!(rows[0]["result"].as_str().unwrap().starts_with("orders mqdeck:0:"), "{rows}");
    assert_eq!(play.total("orders"), before + 2);
    let again = over(&play, &[&back[..], &["--yes"]].concat());
    assert_eq!(again.code, Some(4), "they are marked: {again:?}");
    let open = ["dlq", "resend", "--from-db", path, "--to", "origin", "--dry-run"];
    let open = over(&play, &open);
    assert!(open.out.contains("put 2 of 4 rows"), "{open:?}");
    let listed = over(&play, &["dlq", "list", "--group", "billing", "-o", "name"]);
    assert_eq!(listed.out.lines().count(), 2, "the ledger knows them too: {listed:?}");
    for (bad, what) in [("nonsense here", "SQL"), ("1=0", "no row")] {
        let ended = over(&play, &["dlq", "resend", "--from-db", path, "--where", bad, "--yes"]);
        assert!(matches!(ended.code, Some(2 | 4)), "{what}: {ended:?}");
    }
}

#[test]
fn messages_past_so_many_deliveries_are_written_before_they_are_dead() {
    let play = Playground::start();
    play.topic("orders", 1);
    let retry = "%RETRY%billing";
    play.topic(retry, 1);
    play.send(retry, 3); // none of them was delivered before
    letters(&play, "billing", 1);
    let dir = play.home().join("letters");
    let to = format!("jsonl:{}", dir.display());
    let sink = ["dlq", "sink", "--group", "billing", "--to", &to, "--past", "2", "--once", "-o"];
    let ended = over(&play, &[&sink[..], &["json"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let rows = json(&ended.out);
    let of = |topic: &str| -> u64 {
        let each = rows.as_array().unwrap().iter().filter(|row| row["topic"] == topic);
        each.map(|row| row["rows"].as_u64().unwrap()).sum()
    };
    assert_eq!((of("%DLQ%billing"), of(retry)), (1, 0), "{rows}");
}
