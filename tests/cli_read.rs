//! Commands that look, against an engine of this process: every output form, filters, exit codes.
//!
//! What changes between runs (addresses, times, ids) is replaced before a golden text is compared.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // all of this is tests, of processes

use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

mod test_support;

use test_support::cluster::Playground;
use test_support::{Ended, mqdeck, run};

/// Runs a command over a playground.
fn over(play: &Playground, args: &[&str]) -> Ended {
    let namesrv = play.namesrv();
    run(play.home(), &[args, &["--namesrv", &namesrv]].concat())
}

/// The same, which must end with 0.
#[track_caller]
fn good(play: &Playground, args: &[&str]) -> String {
    let ended = over(play, args);
    assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
    ended.out
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn topics_come_in_every_form() {
    let play = Playground::start();
    play.topic("orders", 2);
    play.topic("empty", 1);
    play.send("orders", 5);
    let table = good(&play, &["topics"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "TOPIC   TYPE  READ  WRITE  IN/s  MESSAGES  LAG  GROUPS  LAST MSG");
    assert!(
        lines[1].starts_with("empty            1      1     …         0    –       0"),
        "{table}"
    );
    assert!(
        lines[2].starts_with("orders           2      2     …         5    –       0"),
        "{table}"
    );
    assert_eq!(good(&play, &["topics", "list", "-o", "name"]), "empty\norders\n");
    let rows = json(&good(&play, &["topics", "-o", "json"]));
    assert_eq!(rows[1]["name"], "orders");
    assert_eq!(rows[1]["messages"], 5);
    assert_eq!(rows[0]["lag"], Value::Null);
    assert_eq!(rows[0]["lag_why"], "no group reads it");
    assert_eq!(rows[0]["in_why"], "needs more samples");
    let lines = good(&play, &["topics", "-o", "jsonl"]);
    assert_eq!(
        lines.lines().map(|line| json(line)["name"].clone()).collect::<Vec<_>>(),
        ["empty", "orders"]
    );
    let csv = good(&play, &["topics", "-o", "csv"]);
    assert_eq!(
        csv.lines().next().unwrap(),
        "name,type,read_queues,write_queues,in,messages,lag,groups,last_ms,system,notes"
    );
    assert!(csv.lines().nth(2).unwrap().starts_with("orders,,2,2,,5,,0,"), "{csv}");
}

#[test]
fn one_thing_is_an_object_and_a_missing_one_is_4() {
    let play = Playground::start();
    play.topic("orders", 2);
    play.send("orders", 3);
    let shown = json(&good(&play, &["topics", "show", "orders", "-o", "json"]));
    assert_eq!(shown["messages"], 3);
    assert_eq!(shown["queue_rows"].as_array().unwrap().len(), 2);
    let text = good(&play, &["topics", "show", "orders"]);
    assert!(text.contains("messages      3\n"), "{text}");
    for args in [
        &["topics", "show", "nothing"][..],
        &["groups", "show", "nothing"],
        &["groups", "lag", "nothing"],
        &["groups", "clients", "nothing"],
        &["groups", "doctor", "nothing"],
        &["brokers", "show", "nothing"],
        &["brokers", "config", "nothing"],
        &["retry", "--group", "nothing"],
        &["dlq", "list", "--group", "nothing"],
        &["message", "get", "nothing"],
        &["message", "query", "--topic", "nothing", "--key", "k"],
        &["tail", "nothing", "--no-follow"],
        &["topics", "delete", "nothing", "--yes", "--confirm", "nothing"],
        &["topics", "update", "nothing", "--yes"],
        &["groups", "delete", "nothing", "--yes", "--confirm", "nothing"],
    ] {
        let ended = over(&play, args);
        assert_eq!((ended.code, ended.out.as_str()), (Some(4), ""), "{args:?}: {ended:?}");
        assert_eq!(ended.err.lines().count(), 1, "{args:?}: {ended:?}");
    }
}

#[test]
fn groups_tell_lag_by_group_topic_and_queue() {
    let play = Playground::start();
    play.topic("orders", 2);
    play.send("orders", 6);
    play.commit("billing", "orders", 0, 1);
    play.commit("billing", "orders", 1, 3);
    let rows = json(&good(&play, &["groups", "-o", "json"]));
    assert_eq!(rows[0]["name"], "billing");
    assert_eq!(rows[0]["lag"], 2);
    assert_eq!(rows[0]["clients"], 0);
    assert_eq!(rows[0]["state"], "no client");
    let rows = json(&good(&play, &["groups", "lag", "-o", "json"]));
    assert_eq!((&rows[0]["group"], &rows[0]["topic"]), (&"billing".into(), &"orders".into()));
    assert_eq!(rows[0]["lag"], 2);
    assert!(rows[0]["behind_ms"].is_i64(), "{rows}");
    let rows = json(&good(&play, &["groups", "lag", "billing", "-o", "json"]));
    let lags: Vec<&Value> = rows.as_array().unwrap().iter().map(|row| &row["lag"]).collect();
    assert_eq!(lags, [2, 0]);
    assert_eq!(rows[0]["client_why"], "no client is connected");
    assert_eq!(good(&play, &["groups", "clients", "billing", "-o", "jsonl"]), "");
}

#[test]
fn a_cluster_that_does_not_answer_is_5_and_told_in_json_too() {
    let home = TempDir::new().unwrap();
    for args in [
        &["topics"][..],
        &["groups", "lag"],
        &["brokers"],
        &["retry"],
        &["dlq"],
        &["tail", "orders"],
        &["message", "get", "x"],
        &["replay", "--group", "g", "--to", "-2h", "--yes"],
    ] {
        let ended = run(home.path(), &[args, &["--namesrv", "127.0.0.1:1", "-o", "json"]].concat());
        assert_eq!(ended.code, Some(5), "{args:?}: {ended:?}");
        let last = ended.out.lines().last().unwrap();
        let error = &json(last)["error"];
        assert_eq!(
            (&error["kind"], &error["code"]),
            (&"unreachable".into(), &5.into()),
            "{args:?}"
        );
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert!(ended.err.starts_with("mqdeck: "), "{ended:?}");
    }
}

#[test]
fn a_send_that_reaches_nobody_is_5_with_its_account() {
    let home = TempDir::new().unwrap();
    let send = ["send", "orders", "--body", "x", "--namesrv", "127.0.0.1:1", "-o", "json"];
    let ended = run(home.path(), &send);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(json(&ended.out)[0]["status"].as_str().unwrap().starts_with("failed: "));
}

#[test]
fn doctor_lists_what_does_not_answer() {
    let home = TempDir::new().unwrap();
    let ended = run(home.path(), &["doctor", "--namesrv", "127.0.0.1:1", "-o", "json"]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    let rows = json(&ended.out);
    let name_server =
        rows.as_array().unwrap().iter().find(|row| row["check"] == "name server 127.0.0.1:1");
    assert_eq!(name_server.unwrap()["verdict"], "bad");
}

#[test]
fn usage_is_2() {
    let play = Playground::start();
    play.topic("orders", 1);
    for args in [
        &["topics", "--sort", "nothing"][..],
        &["topics", "create", "bad name"],
        &["tail", "orders", "--from", "yesterday"],
        &["replay", "--group", "g", "--to", "soon"],
        &["replay", "--group", "g", "--to", "offset:7"],
        &["send", "orders", "--body", "x", "--delay", "soon"],
        &["send", "orders", "--body", "x", "--prop", "novalue"],
        &["topics", "--timeout", "0s"],
        &["contexts", "--context", "nothing"],
    ] {
        let args: Vec<&str> = args.to_vec();
        let ended =
            if args.contains(&"--context") { run(play.home(), &args) } else { over(&play, &args) };
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{args:?}: {ended:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let play = Playground::start();
    play.topic("orders", 1);
    play.send("orders", 300);
    for args in [&["tail", "orders", "--from", "start"][..], &["topics", "--system"]] {
        let mut child = mqdeck(play.home())
            .args(args)
            .args(["--namesrv", &play.namesrv(), "-o", "jsonl"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 1];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap(); // and it is closed
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8(ended.stderr).unwrap(), "", "{args:?}");
    }
}

#[test]
fn messages_are_found_and_tailed_as_they_were_sent() {
    let play = Playground::start();
    play.topic("orders", 1);
    let sent = good(
        &play,
        &[
            "send",
            "orders",
            "--body",
            "{\"n\":1}",
            "--tag",
            "paid",
            "--key",
            "o-1",
            "--prop",
            "trace=4bf9",
            "-o",
            "json",
        ],
    );
    let id = json(&sent)[0]["id"].as_str().unwrap().to_owned();
    let offset_id = json(&sent)[0]["offset_id"].as_str().unwrap().to_owned();
    for id in [&id, &offset_id] {
        let found = json(&good(&play, &["message", "get", id, "-o", "json", "--where"]));
        assert_eq!(found["body"], "{\"n\":1}");
        assert_eq!((&found["tag"], &found["keys"]), (&"paid".into(), &"o-1".into()));
        assert_eq!(found["properties"]["trace"], "4bf9");
        assert_eq!((&found["broker"], &found["offset"]), (&"mqdeck".into(), &0.into()));
        assert!(found["stored_ms"].is_i64() && found["stored"].as_str().unwrap().ends_with('Z'));
        assert_eq!(found["where"], json("[]"));
    }
    let rows = json(&good(
        &play,
        &["message", "query", "--topic", "orders", "--key", "o-1", "-o", "json"],
    ));
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["unique_id"], id);
    let lines = good(&play, &["tail", "orders", "--from", "start", "--no-follow"]);
    assert_eq!(json(lines.lines().next().unwrap())["unique_id"], id, "JSONL when piped");
    play.send("orders", 9);
    let lines = good(&play, &["tail", "orders", "--from", "start", "-n", "3", "-o", "csv"]);
    assert_eq!(lines.lines().count(), 4, "one heading and three rows: {lines}");
}

#[test]
fn what_needs_no_cluster_works_without_one() {
    let home = TempDir::new().unwrap();
    let out = |args: &[&str]| {
        let ended = run(home.path(), args);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{args:?}");
        ended.out
    };
    assert!(out(&["completions", "bash"]).contains("COMPLETE=\"bash\""));
    assert!(out(&["completions", "zsh"]).starts_with("#compdef mqdeck"));
    assert!(out(&["man"]).contains(".TH mqdeck 1"));
    let dir = home.path().join("man");
    let pages = out(&["man", dir.to_str().unwrap()]);
    assert!(pages.lines().any(|page| page == "mqdeck-dlq-resend.1"), "{pages}");
    assert!(dir.join("mqdeck-groups-lag.1").exists());
    assert!(out(&["keys"]).starts_with("ACTION"));
    let themes = out(&["themes", "-o", "name"]);
    assert!(themes.lines().any(|name| name == "cb-safe"), "{themes}");
    out(&["themes", "check"]);
    let contexts = json(&out(&["contexts", "-o", "json"]));
    assert_eq!((&contexts[0]["name"], &contexts[0]["chosen"]), (&"local".into(), &true.into()));
}

#[test]
fn a_faulty_theme_is_named_with_its_line() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("config/mqdeck/themes");
    std::fs::create_dir_all(&dir).unwrap();
    let file: &Path = &dir.join("dusk.toml");
    std::fs::write(file, "base = \"dark\"\n[roles]\ncurser_row = \"#ffffff\"\n").unwrap();
    let ended = run(home.path(), &["themes", "check"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.out.contains("dusk.toml:3"), "{}", ended.out);
}

#[test]
fn retry_tells_levels_and_splits_them_when_asked() {
    let play = Playground::start();
    play.topic("orders", 1);
    good(&play, &["send", "orders", "--body", "later", "--delay", "level:5"]);
    let rows = json(&good(&play, &["retry", "-o", "json"]));
    let five = rows.as_array().unwrap().iter().find(|row| row["level"] == 5).unwrap().clone();
    assert_eq!((&five["delay_ms"], &five["delayed"]), (&60_000.into(), &1.into()));
    assert_eq!(five["user"], Value::Null, "not read yet");
    assert!(!five["user_why"].as_str().unwrap().is_empty());
    let rows = json(&good(&play, &["retry", "show", "--split", "-o", "json"]));
    let five = rows.as_array().unwrap().iter().find(|row| row["level"] == 5).unwrap();
    assert_eq!((&five["user"], &five["retry"]), (&1.into(), &0.into()));
}

#[test]
fn brokers_say_what_they_are() {
    let play = Playground::start();
    let rows = json(&good(&play, &["brokers", "-o", "json"]));
    assert_eq!((&rows[0]["name"], &rows[0]["id"]), (&"mqdeck".into(), &0.into()));
    assert_eq!((&rows[0]["role"], &rows[0]["flush"]), (&"async".into(), &"async".into()));
    assert_eq!(rows[0]["disk_loss"], "everything");
    let shown = json(&good(&play, &["brokers", "show", "mqdeck", "-o", "json"]));
    assert_eq!(shown["name"], "mqdeck");
    let config = good(&play, &["brokers", "config", "mqdeck"]);
    assert!(config.lines().any(|line| line.starts_with("brokerPermission ")), "{config}");
    let doctor = good(&play, &["doctor"]);
    assert!(doctor.contains("mqdeck: offsets (43)"), "{doctor}");
}

#[test]
fn every_field_is_documented() {
    let play = Playground::start();
    play.topic("orders", 1);
    play.send("orders", 1);
    play.commit("billing", "orders", 0, 0);
    play.die("failing", "orders", 1);
    let documented = include_str!("../docs/commands.md");
    let mut fields = 0;
    for args in [
        &["topics"][..],
        &["groups"],
        &["groups", "lag"],
        &["groups", "lag", "billing"],
        &["retry"],
        &["brokers"],
        &["brokers", "config", "mqdeck"],
        &["dlq"],
        &["dlq", "list", "--group", "failing"],
        &["tail", "orders", "--from", "start", "--no-follow"],
        &["clients"],
        &["timers"],
        &["timers", "--messages"],
        &["transactions"],
        &["jobs"],
        &["contexts"],
        &["keys"],
        &["themes"],
        &["doctor"],
        &["send", "orders", "--body", "x"],
    ] {
        let csv = good(&play, &[args, &["-o", "csv"]].concat());
        let head = csv.lines().next().unwrap();
        for field in head.split(',').filter(|field| *field != "notes") {
            let instant = field.strip_suffix("_ms").unwrap_or(field);
            let named = |name: &str| documented.contains(&format!("`{name}`"));
            assert!(named(field) || named(instant), "{args:?}: {field} is not in docs/commands.md");
            fields += 1;
        }
    }
    assert!(fields > 80, "only {fields} fields");
}

#[test]
fn conditions_select_rows_and_decide_the_exit_code() {
    let play = Playground::start();
    play.topic("orders", 2);
    play.topic("invoices", 1);
    play.send("orders", 10);
    play.commit("billing", "orders", 0, 1);
    play.commit("billing", "orders", 1, 5);
    play.commit("mailer", "invoices", 0, 0);
    for (args, names) in [
        (&["topics", "--filter", "messages>5"][..], "orders\n"),
        (&["topics", "--filter", "messages>5 | name=inv*"], "invoices\norders\n"),
        (&["topics", "--filter", "!orders"], "invoices\n"),
        (&["groups", "--filter", "lag>0"], "billing\n"),
        (
            &["groups", "--filter", "clients=0 state=\"no client\"", "--sort", "-name"],
            "mailer\nbilling\n",
        ),
        (&["groups", "--sort", "lag"], "billing\nmailer\n"),
    ] {
        assert_eq!(good(&play, &[args, &["-o", "name"]].concat()), names, "{args:?}");
    }
    for (args, code) in [
        (&["groups", "lag", "--fail-if", "lag>3"][..], 7),
        (&["groups", "lag", "--fail-if", "lag>4"], 0),
        (&["groups", "lag", "--filter", "group=mailer", "--fail-if", "lag>3"], 0),
        (&["groups", "--fail-if", "in>1000"], 8),
        (&["groups", "--fail-if", "in>1000 lag>99"], 0),
        (&["topics", "--fail-if", "lag>many"], 2),
        (&["topics", "--fail-if", "no_field>1"], 2),
        (&["topics", "--filter", "(lag>1"], 2),
    ] {
        let ended = over(&play, args);
        assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
    }
    let rated = json(&good(&play, &["topics", "--rates", "--filter", "in=0", "-o", "json"]));
    assert_eq!(rated.as_array().unwrap().len(), 2, "two looks make rates known: {rated}");
    let lines = |filter: &str| {
        let tail = ["tail", "orders", "--from", "start", "--no-follow", "--filter", filter];
        good(&play, &[&tail[..], &["-o", "name"]].concat()).lines().count()
    };
    assert_eq!(lines(".n>=7"), 3);
    assert_eq!(lines("key=k-3 | key=k-4"), 2);
    assert_eq!(lines("born<-1h"), 0);
    assert_eq!(lines("/\"n\":[12]\\}/ size<1kB"), 2);
}

#[test]
fn names_are_completed_from_the_cluster_and_then_from_what_was_seen() {
    let play = Playground::start();
    play.topic("orders", 1);
    play.topic("order-events", 1);
    play.topic("invoices", 1);
    play.commit("billing", "orders", 0, 0);
    let complete = |words: &[&str], namesrv: &str| {
        let at = format!("--namesrv={namesrv}");
        let line = [&["mqdeck", &at], words].concat();
        let output = mqdeck(play.home())
            .arg("--")
            .args(&line)
            .env("COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", (line.len() - 1).to_string())
            .env("_CLAP_COMPLETE_COMP_TYPE", "9")
            .env("_CLAP_COMPLETE_SPACE", "true")
            .env("_CLAP_IFS", "\n")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let mut names: Vec<String> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    let at = play.namesrv();
    assert_eq!(complete(&["topics", "show", "ord"], &at), ["order-events", "orders"]);
    assert_eq!(complete(&["replay", "--group", "bil"], &at), ["billing"]);
    assert_eq!(complete(&["brokers", "show", "mq"], &at), ["mqdeck"]);
    assert_eq!(complete(&["topics", "sho"], &at), ["show"]);
    // Nobody answers there, but what was seen there last is known by the same name.
    let seen = play.home().join("state/mqdeck/seen");
    let old = std::fs::read_dir(&seen).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(old, seen.join("127.0.0.1_1")).unwrap();
    assert_eq!(complete(&["topics", "show", "ord"], "127.0.0.1:1"), ["order-events", "orders"]);
}
