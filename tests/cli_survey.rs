//! Commands over what is asked seldom: clients, timers, undecided transactions, traces.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // all of this is tests, of processes

use engine::client::{
    Ask, Consume, Listener, Message, Producer, ProducerConfig, PushConfig, PushConsumer,
};
use engine::protocol::properties;
use engine::protocol::request::send::SendMessage;
use serde_json::Value;

mod test_support;

use test_support::cluster::Playground;
use test_support::{Ended, run, wait_for, wait_some};

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

#[test]
fn producers_and_consumers_are_listed_once_with_their_brokers() {
    let play = Playground::start();
    play.topic("orders", 1);
    let config = PushConfig::new("billing");
    let consumer =
        PushConsumer::new(&play.cluster, config, Listener::blocking(|_| Consume::Success));
    consumer.subscribe("orders", "*").unwrap();
    play.wait(consumer.start()).unwrap();
    let producer = Producer::start(&play.cluster, ProducerConfig::new("shop")).unwrap();
    play.wait(producer.send(&Message::new("orders", "x"))).unwrap();
    let rows = wait_some("both clients", || {
        let rows = json(&good(&play, &["clients", "--sort", "group", "-o", "json"]));
        (rows.as_array().unwrap().len() == 2).then_some(rows)
    });
    let of = |n: usize, field: &str| rows[n][field].as_str().unwrap().to_owned();
    assert_eq!((of(0, "group"), of(0, "type")), ("billing".to_owned(), "consumer".to_owned()));
    assert_eq!((of(1, "group"), of(1, "type")), ("shop".to_owned(), "producer".to_owned()));
    assert_eq!(rows[0]["id"], play.cluster.client_id());
    assert_eq!(rows[0]["brokers"], json("[\"mqdeck\"]"));
    assert_eq!(rows[0]["heard_why"], "brokers do not tell it of consumers");
    assert!(rows[1]["heard_ms"].is_i64());
    let shown = json(&good(&play, &["groups", "clients", "billing", "-o", "json"]));
    assert_eq!(shown[0]["id"], play.cluster.client_id());
    assert_eq!(shown[0]["subscription"], "orders *");
    play.wait(consumer.close());
    play.wait(producer.close());
}

#[test]
fn timers_are_counted_by_topic_and_listed_until_they_are_due() {
    let play = Playground::start();
    play.topic("orders", 1);
    assert_eq!(good(&play, &["timers", "-o", "json"]), "[]\n");
    good(&play, &["send", "orders", "--body", "x", "--key", "k", "--delay", "2h"]);
    good(&play, &["send", "orders", "--body", "y", "--delay", "1h"]);
    let rows = wait_some("the timers on the wheel", || {
        let rows = json(&good(&play, &["timers", "-o", "json"]));
        (rows[0]["waiting"] == 2).then_some(rows)
    });
    assert_eq!(rows[0]["topic"], "orders");
    let rows = json(&good(&play, &["timers", "--messages", "-o", "json"]));
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!((&rows[1]["keys"], &rows[1]["topic"]), (&"k".into(), &"orders".into()));
    assert!(rows[0]["due_ms"].as_i64() < rows[1]["due_ms"].as_i64(), "soonest first");
    let late = ["timers", "--messages", "--filter", "keys=k", "--fail-if", "topic=orders"];
    assert_eq!(over(&play, &late).code, Some(7));
}

/// Sends a half message as a transactional producer does.
fn half(play: &Playground, id: &str) {
    let mut text = String::new();
    for (name, value) in [("TRAN_MSG", "true"), ("PGROUP", "shop"), ("UNIQ_KEY", id)] {
        properties::push(&mut text, name, value);
    }
    let ask = SendMessage {
        group: "shop",
        topic: "orders",
        default_topic: None,
        default_queues: None,
        queue_id: 0,
        sys_flag: 4,
        born_ms: play.cluster.now_ms(),
        flag: 0,
        properties: Some(&text),
        reconsume_times: None,
        unit_mode: None,
        max_reconsume_times: None,
        batch: None,
        broker_name: None,
    };
    play.wait(play.cluster.ask(&play.broker(), Ask::new(10, ask).body("half"))).unwrap();
}

#[test]
fn a_transaction_is_decided_in_its_producers_place() {
    let play = Playground::start();
    play.topic("orders", 1);
    assert_eq!(good(&play, &["transactions", "-o", "json"]), "[]\n");
    half(&play, "AAAA");
    half(&play, "BBBB");
    let rows = json(&good(&play, &["transactions", "-o", "json"]));
    assert_eq!((&rows[0]["id"], &rows[1]["id"]), (&"AAAA".into(), &"BBBB".into()));
    assert_eq!((&rows[0]["topic"], &rows[0]["group"]), (&"orders".into(), &"shop".into()));
    assert_eq!((&rows[0]["state"], &rows[0]["producers"]), (&"undecided".into(), &0.into()));
    let dry = good(&play, &["transactions", "commit", "AAAA", "--dry-run"]);
    assert!(dry.contains("commit AAAA of shop to orders"), "{dry}");
    assert_eq!(over(&play, &["transactions", "commit", "AAAA"]).code, Some(6));
    assert_eq!(over(&play, &["transactions", "rollback", "BBBB", "--yes"]).code, Some(6));
    assert_eq!(play.total("orders"), 0);
    good(&play, &["transactions", "commit", "AAAA", "--yes"]);
    good(&play, &["transactions", "rollback", "BBBB", "--yes", "--confirm", "shop"]);
    wait_for("the committed message", || play.total("orders") == 1);
    wait_for("an empty list", || good(&play, &["transactions", "-o", "name"]).is_empty());
    assert_eq!(over(&play, &["transactions", "commit", "AAAA", "--yes"]).code, Some(4));
}

#[test]
fn a_trace_tells_what_happened_to_one_message() {
    let play = Playground::start();
    play.topic("orders", 1);
    let join = |fields: &[&str]| fields.join("\u{1}");
    let body = [
        join(&[
            "Pub",
            "1700000000000",
            "r",
            "shop",
            "orders",
            "AAAA",
            "t",
            "k",
            "b:1",
            "2",
            "3",
            "0",
            "o",
            "true",
        ]),
        join(&["SubBefore", "1700000001000", "r", "billing", "REQ1", "AAAA", "0", "k"]),
        join(&["SubAfter", "REQ1", "AAAA", "7", "false", "k", "2", "1700000001007", "billing"]),
    ]
    .join("\u{2}");
    let producer = Producer::start(&play.cluster, ProducerConfig::new("tracer")).unwrap();
    let message = Message::new("RMQ_SYS_TRACE_TOPIC", body).keys(["AAAA", "k"]);
    play.wait(producer.send(&message)).unwrap();
    play.wait(producer.close());
    let rows = wait_some("the trace in the index", || {
        let ended = over(&play, &["trace", "AAAA", "-o", "json"]);
        (ended.code == Some(0)).then(|| json(&ended.out))
    });
    let steps: Vec<&str> =
        rows.as_array().unwrap().iter().map(|row| row["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["sent", "given", "consumed"]);
    assert_eq!((&rows[2]["result"], &rows[2]["cost_ms"]), (&"exception".into(), &7.0.into()));
    assert_eq!(rows[0]["at"], "2023-11-14T22:13:20Z");
    assert_eq!(over(&play, &["trace", "nothing"]).code, Some(4));
    assert_eq!(over(&play, &["trace", "x", "--trace-topic", "none"]).code, Some(4));
}
