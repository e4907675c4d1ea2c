//! Commands that change something, against an engine of this process: asking first, dry runs with the
//! dialog's figures, what is done and told item by item, exit codes.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // all of this is tests, of processes

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

mod test_support;

use test_support::cluster::Playground;
use test_support::{Ended, mqdeck, run, wait_for};

fn over(play: &Playground, args: &[&str]) -> Ended {
    let namesrv = play.namesrv();
    run(play.home(), &[args, &["--namesrv", &namesrv]].concat())
}

#[track_caller]
fn good(play: &Playground, args: &[&str]) -> String {
    let ended = over(play, args);
    assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
    ended.out
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Lines of the audit file.
fn audit(play: &Playground) -> Vec<Value> {
    let file = play.home().join("state/mqdeck/audit.jsonl");
    std::fs::read_to_string(file).unwrap_or_default().lines().map(json).collect()
}

#[test]
fn topics_and_groups_are_made_changed_and_deleted() {
    let play = Playground::start();
    good(&play, &["topics", "create", "orders", "--queues", "3", "--type", "fifo"]);
    let shown = json(&good(&play, &["topics", "show", "orders", "-o", "json"]));
    assert_eq!((&shown["read_queues"], &shown["type"]), (&3.into(), &"FIFO".into()));
    assert_eq!(over(&play, &["topics", "create", "orders"]).code, Some(1), "it exists");
    good(&play, &["topics", "update", "orders", "--perm", "r", "--yes"]);
    let shown = json(&good(&play, &["topics", "show", "orders", "-o", "json"]));
    assert_eq!((&shown["read_queues"], &shown["type"]), (&3.into(), &"FIFO R".into()));
    good(&play, &["groups", "create", "billing", "--retries", "3"]);
    good(&play, &["groups", "update", "billing", "--consume", "false", "--yes"]);
    let shown = json(&good(&play, &["groups", "show", "billing", "-o", "json"]));
    assert_eq!(shown["limit"], "3 (group; clients may override)");
    good(&play, &["groups", "delete", "billing", "--yes", "--confirm", "billing"]);
    good(&play, &["topics", "delete", "orders", "--yes", "--confirm", "orders"]);
    assert_eq!(good(&play, &["topics", "-o", "name"]), "");
    let actions: Vec<String> =
        audit(&play).iter().map(|line| line["action"].as_str().unwrap().to_owned()).collect();
    let twice = [
        "create topic",
        "change topic",
        "create group",
        "change group",
        "delete group",
        "delete topic",
    ];
    let expected: Vec<&str> = twice.iter().flat_map(|action| [*action, *action]).collect();
    assert_eq!(actions, expected, "one line before and one after each");
}

#[test]
fn nothing_is_changed_without_being_sure() {
    let play = Playground::start();
    play.topic("orders", 1);
    play.send("orders", 2);
    play.commit("billing", "orders", 0, 2);
    play.die("failing", "orders", 2);
    for (args, hint) in [
        (&["topics", "update", "orders", "--queues", "2"][..], "--yes"),
        (&["topics", "delete", "orders"], "--confirm orders"),
        (&["topics", "delete", "orders", "--yes"], "--confirm orders"),
        (&["topics", "delete", "orders", "--yes", "--confirm", "order"], "--confirm orders"),
        (&["topics", "delete", "orders", "--confirm", "orders"], "--yes"),
        (&["groups", "delete", "billing"], "--confirm billing"),
        (&["brokers", "drain", "mqdeck"], "--yes"),
        (&["replay", "--group", "billing", "--to", "start"], "--yes"),
        (&["replay", "--group", "billing", "--to", "end", "--yes"], "--confirm billing"),
        (&["dlq", "resend", "--group", "failing", "--to", "origin"], "--yes"),
        (&["dlq", "purge", "--group", "failing", "--yes"], "--confirm failing"),
    ] {
        let ended = over(&play, args);
        assert_eq!(ended.code, Some(6), "{args:?}: {ended:?}");
        assert!(ended.err.contains(hint), "{args:?}: {ended:?}");
        let ended = over(
            &play,
            &[args, &["--yes", "--read-only"][usize::from(args.contains(&"--yes"))..]].concat(),
        );
        assert_eq!(ended.code, Some(6), "{args:?} read-only: {ended:?}");
        assert!(ended.err.contains("read-only"), "{args:?}: {ended:?}");
    }
    assert_eq!(audit(&play), [Value::Null; 0], "nothing was even begun");
    assert_eq!(play.total("%DLQ%failing"), 2);
}

#[test]
fn a_dry_run_tells_what_the_run_then_does() {
    let play = Playground::start();
    play.topic("orders", 2);
    play.send("orders", 10);
    play.commit("billing", "orders", 0, 5);
    play.commit("billing", "orders", 1, 3);
    let replay = ["replay", "--group", "billing", "--to", "start", "-o", "json"];
    let dry = json(&good(&play, &[&replay[..], &["--dry-run"]].concat()));
    assert_eq!((&dry["again"], &dry["skipped"]), (&8.into(), &0.into()));
    assert_eq!((&dry["lag_now"], &dry["lag_after"]), (&2.into(), &10.into()));
    assert_eq!((&dry["risk"], &dry["dry_run"]), (&2.into(), &true.into()));
    assert_eq!(dry["queues"][0]["result"], Value::Null);
    assert_eq!(audit(&play).len(), 0);
    let done = json(&good(&play, &[&replay[..], &["--yes"]].concat()));
    for field in ["again", "skipped", "lag_now", "lag_after", "filter", "path", "topics", "to"] {
        assert_eq!(dry[field], done[field], "{field}");
    }
    assert_eq!(done["queues"][0]["result"], "✓ at 0");
    let lag = json(&good(&play, &["groups", "lag", "-o", "json"]));
    assert_eq!(lag[0]["lag"], 10);
    let lines = audit(&play);
    assert_eq!((&lines[0]["phase"], &lines[1]["phase"]), (&"started".into(), &"done".into()));
    assert!(lines[0]["command"].as_str().unwrap().starts_with("mqdeck replay --group billing"));
    assert_eq!(lines[1]["outcome"], "2 of 2 queues moved");
}

#[test]
fn one_queue_can_be_moved_to_an_offset() {
    let play = Playground::start();
    play.topic("orders", 2);
    play.send("orders", 10);
    play.commit("billing", "orders", 0, 5);
    play.commit("billing", "orders", 1, 5);
    let queue = ["replay", "--group", "billing", "--topic", "orders", "--queue", "mqdeck:1"];
    let moved = good(&play, &[&queue[..], &["--to", "offset:2", "--yes", "-o", "json"]].concat());
    let moved = json(&moved);
    assert_eq!((&moved["again"], moved["queues"].as_array().unwrap().len()), (&3.into(), 1));
    let rows = json(&good(&play, &["groups", "lag", "billing", "-o", "json"]));
    assert_eq!((&rows[0]["offset"], &rows[1]["offset"]), (&5.into(), &2.into()));
    let skip = [&queue[..], &["--to", "end", "--yes", "--confirm", "billing"]].concat();
    let shown = good(&play, &skip);
    assert!(shown.contains("3 skipped"), "{shown}");
    let missing = over(&play, &["replay", "--group", "nobody", "--to", "start", "--yes"]);
    assert_eq!(missing.code, Some(4), "{missing:?}");
}

#[test]
fn letters_are_listed_sent_back_and_not_twice() {
    let play = Playground::start();
    play.topic("orders", 1);
    play.send("orders", 3);
    play.die("billing", "orders", 3);
    let groups = json(&good(&play, &["dlq", "-o", "json"]));
    assert_eq!((&groups[0]["group"], &groups[0]["open"]), (&"billing".into(), &3.into()));
    assert_eq!(groups[0]["from"], "orders");
    let list = ["dlq", "list", "--group", "billing", "-o", "json"];
    let letters = json(&good(&play, &list));
    let ids: Vec<&str> =
        letters.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["mqdeck:0:2", "mqdeck:0:1", "mqdeck:0:0"], "newest first");
    assert_eq!((&letters[0]["origin"], &letters[0]["keys"]), (&"orders".into(), &"k-2".into()));
    let shown = json(&good(&play, &["dlq", "show", "--group", "billing", ids[0], "-o", "json"]));
    assert_eq!((&shown["body"], &shown["tries"]), (&"{\"n\":2}".into(), &1.into()));

    let two = [
        "dlq", "resend", "--group", "billing", "--to", "origin", "--ids", ids[2], "--ids", ids[1],
        "--rate", "1000", "-o", "json",
    ];
    let dry = json(&good(&play, &[&two[..], &["--dry-run"]].concat()));
    assert_eq!((&dry["chosen"], &dry["selected"]), (&2.into(), &2.into()));
    let before = play.total("orders");
    let done = json(&good(&play, &[&two[..], &["--yes"]].concat()));
    assert_eq!((&done["sent"], &done["chosen"]), (&2.into(), &dry["chosen"]));
    assert_eq!(done["letters"][0]["id"], ids[2], "oldest first");
    assert_eq!(play.total("orders"), before + 2);
    assert_eq!(play.total("%DLQ%billing"), 3, "the letters stay");

    let open = json(&good(&play, &list));
    assert_eq!(open.as_array().unwrap().len(), 1, "what was sent is not open any more");
    let again = over(&play, &[&two[..], &["--yes"]].concat());
    assert_eq!(again.code, Some(4), "nothing is left to send: {again:?}");
    let all = json(&good(&play, &[&list[..], &["--all"]].concat()));
    assert_eq!(all[2]["again"], "sent 1×");
    let gone = over(
        &play,
        &[&two[..3], &["billing", "--to", "origin", "--ids", "mqdeck:0:99", "--yes"]].concat(),
    );
    assert_eq!(gone.code, Some(4), "{gone:?}");
}

#[test]
fn a_retry_topic_that_nobody_lists_needs_a_word() {
    let play = Playground::start();
    play.topic("orders", 1);
    play.send("orders", 1);
    play.die("billing", "orders", 1);
    let resend = ["dlq", "resend", "--group", "billing", "--yes", "-o", "json"];
    let ended = over(&play, &resend);
    assert_eq!(ended.code, Some(6), "{ended:?}");
    assert!(ended.err.contains("--reader-unknown"), "{ended:?}");
    let dry = json(&good(&play, &[&resend[..], &["--dry-run"]].concat()));
    assert_eq!(dry["reader"], "%RETRY%billing: reader unknown, nobody is online");
    let done = json(&good(&play, &[&resend[..], &["--reader-unknown"]].concat()));
    assert_eq!(done["sent"], 1);
    assert_eq!(done["letters"][0]["to"], "%RETRY%billing");
}

#[test]
fn letters_leave_and_come_back_and_can_be_purged() {
    let play = Playground::start();
    play.topic("orders", 1);
    play.send("orders", 3);
    play.die("billing", "orders", 3);
    let file = play.home().join("letters.jsonl");
    let path = file.to_str().unwrap();
    let lines = good(&play, &["dlq", "export", "--group", "billing"]);
    assert_eq!(lines.lines().count(), 3);
    assert_eq!(json(lines.lines().next().unwrap())["body"], "{\"n\":2}");
    good(&play, &["dlq", "export", "--group", "billing", "--file", path]);
    let dry = good(&play, &["dlq", "import", path, "--to", "origin", "--dry-run"]);
    assert_eq!(dry, "dry run: send 3 letters of billing\n");
    let before = play.total("orders");
    good(&play, &["dlq", "import", path, "--to", "origin", "--yes", "--rate", "1000"]);
    assert_eq!(play.total("orders"), before + 3);
    let purge = ["dlq", "purge", "--group", "billing", "--yes", "--confirm", "billing"];
    let dry = good(&play, &[&purge[..], &["--dry-run"]].concat());
    assert!(dry.contains("trim 3 dead letters of billing"), "{dry}");
    good(&play, &purge);
    assert_eq!(play.total("%DLQ%billing"), 0);
    assert_eq!(over(&play, &purge).code, Some(4), "nothing is left");
    assert_eq!(over(&play, &["dlq", "export", "--group", "billing"]).code, Some(4));
    std::fs::write(&file, "{\"group\":1}\n").unwrap();
    let bad = over(&play, &["dlq", "import", path, "--yes"]);
    assert!(bad.code == Some(2) && bad.err.contains("letters.jsonl:1"), "{bad:?}");
}

#[test]
fn a_drained_broker_takes_no_sends_until_it_is_undone() {
    let play = Playground::start();
    play.topic("orders", 1);
    let dry = good(&play, &["brokers", "drain", "mqdeck", "--dry-run"]);
    assert!(dry.contains("brokerPermission of mqdeck: 6 becomes 4"), "{dry}");
    good(&play, &["brokers", "drain", "mqdeck", "--yes"]);
    let refused = over(&play, &["send", "orders", "--body", "x", "--stop-after", "1"]);
    assert!(matches!(refused.code, Some(1 | 4 | 6)), "{refused:?}");
    good(&play, &["brokers", "drain", "mqdeck", "--undo", "--yes"]);
    wait_for("sends", || over(&play, &["send", "orders", "--body", "x"]).code == Some(0));
}

#[test]
fn many_messages_are_sent_from_lines_with_a_count() {
    let play = Playground::start();
    play.topic("orders", 1);
    let file = play.home().join("bodies");
    std::fs::write(&file, "one\ntwo\n").unwrap();
    let send = ["send", "orders", "--lines", "--count", "3", "--file", file.to_str().unwrap()];
    let dry = good(&play, &[&send[..], &["--dry-run"]].concat());
    assert_eq!(dry, "dry run: send 6 messages, 18 bytes of body, to orders\n");
    let rows = good(&play, &[&send[..], &["-o", "jsonl"]].concat());
    assert_eq!(rows.lines().count(), 6);
    assert_eq!(json(rows.lines().last().unwrap())["offset"], 5);
    let nothing = over(&play, &["send", "orders"]);
    assert_eq!(nothing.code, Some(4), "empty input: {nothing:?}");
}

#[test]
fn an_interrupted_change_says_what_was_done() {
    let play = Playground::start();
    play.topic("orders", 1);
    let mut child = mqdeck(play.home())
        .args(["send", "orders", "--body", "x", "--count", "1000", "--rate", "20", "-o", "name"])
        .args(["--namesrv", &play.namesrv()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("some messages", || play.total("orders") >= 3);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    let output = child.wait_with_output().unwrap();
    let rows = String::from_utf8(output.stdout).unwrap();
    assert_eq!(rows.lines().count() as i64, play.total("orders"), "each that was sent is listed");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("of 1000 sent") && told.contains("not tried"), "{told}");
}

#[test]
fn an_edited_copy_is_sent_and_an_unchanged_one_is_not() {
    let play = Playground::start();
    play.topic("orders", 1);
    play.send("orders", 1);
    play.die("billing", "orders", 1);
    let edit = |editor: &str, args: &[&str]| {
        let id = "mqdeck:0:0";
        let output = mqdeck(play.home())
            .args(["dlq", "edit", "--group", "billing", id, "--to", "origin"])
            .args(["--namesrv", &play.namesrv()])
            .args(args)
            .env_remove("VISUAL")
            .env("EDITOR", editor)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let before = play.total("orders");
    let (code, _, told) = edit("true", &["--yes"]);
    assert_eq!((code, told.contains("unchanged")), (Some(0), true), "{told}");
    let (code, _, told) = edit("false", &["--yes"]);
    assert_eq!((code, told.contains("nothing was sent")), (Some(2), true), "{told}");
    let change = "sed -i 's/\"n\":0/\"n\":42/; s/^tag: t/tag: mended/'";
    let (code, out, told) = edit(change, &[]);
    assert_eq!((code, told.contains("--yes")), (Some(6), true), "{told}");
    assert_eq!(
        out,
        "- tag: t\n- keys: k-0\n- \n- {\"n\":0}\n+ tag: mended\n+ keys: k-0\n+ \n+ {\"n\":42}\n"
    );
    assert_eq!(play.total("orders"), before);
    let (code, ..) = edit(change, &["--yes"]);
    assert_eq!(code, Some(0));
    let lines = good(&play, &["tail", "orders", "--from", "start", "--no-follow"]);
    let last = json(lines.lines().last().unwrap());
    assert_eq!((&last["body"], &last["tag"]), (&"{\"n\":42}".into(), &"mended".into()));
    assert_eq!(last["properties"]["MQDECK_RESENT_FROM"], "mqdeck:0:0");
}

#[test]
fn what_is_done_in_part_is_3_with_every_item_told() {
    let play = Playground::start();
    play.topic("orders", 1);
    play.send("orders", 2);
    play.die("billing", "orders", 2);
    let list = play.home().join("ids");
    std::fs::write(&list, "mqdeck:0:0\nmqdeck:0:77\n").unwrap();
    let ids = format!("@{}", list.display());
    let resend = ["dlq", "resend", "--group", "billing", "--to", "origin", "--ids", &ids, "--yes"];
    let ended = over(&play, &[&resend[..], &["-o", "json"]].concat());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("mqdeck:0:77: no such letter"), "{ended:?}");
    assert_eq!(json(&ended.out)["sent"], 1);

    let file = play.home().join("letters.jsonl");
    let mut lines = good(&play, &["dlq", "export", "--group", "billing"]);
    lines = lines.replacen("\"group\":\"billing\"", "\"group\":\"gone\"", 1);
    std::fs::write(&file, lines).unwrap();
    let import = ["dlq", "import", file.to_str().unwrap(), "--yes", "-o", "json"];
    let ended = over(&play, &import);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let rows = json(&ended.out);
    let well: Vec<bool> = rows.as_array().unwrap().iter().map(|r| r["ok"] == true).collect();
    assert_eq!(well, [false, true], "the retry topic of a group that is gone is not there");

    let purge = ["dlq", "purge", "--group", "billing", "--before", "-1h", "--yes", "--confirm"];
    assert_eq!(over(&play, &[&purge[..], &["billing"]].concat()).code, Some(4), "all are younger");
}

#[test]
fn a_replay_is_a_job_and_can_be_taken_back() {
    let play = Playground::start();
    play.topic("orders", 2);
    play.send("orders", 10);
    play.commit("billing", "orders", 0, 5);
    play.commit("billing", "orders", 1, 3);
    assert_eq!(good(&play, &["jobs", "-o", "json"]), "[]\n");
    let replay = ["replay", "--group", "billing", "--to", "start", "--yes", "-o", "json"];
    let done = json(&good(&play, &replay));
    assert_eq!(done["job"], 1);
    let jobs = json(&good(&play, &["jobs", "-o", "json"]));
    assert_eq!((&jobs[0]["action"], &jobs[0]["state"]), (&"replay".into(), &"done".into()));
    assert_eq!((&jobs[0]["over"], &jobs[0]["items"]), (&2.into(), &2.into()));
    let shown = json(&good(&play, &["jobs", "show", "1", "-o", "json"]));
    assert_eq!(shown["item_rows"][0]["stage"], "done");
    // One queue has gone past where it was: going back would deliver nothing that was not had.
    let broker = play.broker();
    let at = engine::client::figures::QueueAt { addr: &broker, topic: "orders", queue_id: 1 };
    play.wait(play.cluster.reset_queue(at, "billing", 4)).unwrap();
    let undo = ["replay", "undo", "1"];
    let dry = good(&play, &[&undo[..], &["--dry-run"]].concat());
    assert!(dry.contains("dry run: undo job 1: 1 of 2 queues of billing go back"), "{dry}");
    assert_eq!(over(&play, &undo).code, Some(6), "not confirmed");
    let rows = json(&good(&play, &[&undo[..], &["--yes", "-o", "json"]].concat()));
    assert_eq!(
        (&rows[0]["name"], &rows[0]["result"]),
        (&"orders:mqdeck:0".into(), &"back at 5".into())
    );
    let lag = json(&good(&play, &["groups", "lag", "billing", "-o", "json"]));
    assert_eq!((&lag[0]["offset"], &lag[1]["offset"]), (&5.into(), &4.into()));
    assert_eq!(over(&play, &[&undo[..], &["--yes"]].concat()).code, Some(4), "nothing is left");
    let jobs = json(&good(&play, &["jobs", "list", "-o", "json"]));
    assert_eq!(jobs[0]["state"], "undone");
    assert_eq!(over(&play, &["replay", "undo", "77", "--yes"]).code, Some(4));
    assert_eq!(over(&play, &["jobs", "show", "77"]).code, Some(4));
}
