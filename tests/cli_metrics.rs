//! `--metrics-listen`: what a scraper reads is what commands say, under documented names.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // all of this is tests, of processes

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use tempfile::TempDir;

mod test_support;

use test_support::{Serve, run, wait_some};

fn request(addr: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn scrape(addr: &str) -> String {
    let answer = request(addr, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    body.to_owned()
}

/// Names of all metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(word).filter(|word| word.starts_with("mqdeck_")).collect()
}

#[test]
fn a_serving_engine_is_scraped() {
    let home = TempDir::new().unwrap();
    let serve = Serve::start(home.path(), &["--metrics-listen", "127.0.0.1:0"]);
    let addr = serve.ready.split(' ').find_map(|part| part.strip_prefix("metrics=")).unwrap();
    let namesrv = serve.namesrv.to_string();
    let over = |args: &[&str]| {
        let ended = run(home.path(), &[args, &["--namesrv", &namesrv]].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
    };
    over(&["topics", "create", "orders", "--queues", "1"]);
    over(&["send", "orders", "--body", "x", "--count", "7"]);
    let sample = "mqdeck_topic_messages{topic=\"orders\"} 7";
    let page = wait_some("the sample", || {
        let page = scrape(addr);
        page.lines().any(|line| line == sample).then_some(page)
    });
    assert!(page.contains("\nmqdeck_up 1\n"), "{page}");
    assert!(page.contains("mqdeck_broker_answers{broker=\"mqdeck\",id=\"0\"} 1\n"), "{page}");
    let documented = include_str!("../docs/metrics.md");
    for name in names(&page) {
        assert!(documented.contains(&format!("`{name}`")), "{name} is not in docs/metrics.md");
    }
    for (head, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
        ("nonsense\r\n\r\n", "400"),
    ] {
        let answer = request(addr, head);
        assert_eq!(answer.split(' ').nth(1), Some(status), "{head:?}: {answer}");
    }
    serve.signal(Signal::TERM);
    assert_eq!(serve.end().0.code(), Some(0));
}

#[test]
fn the_dashboard_asks_only_for_what_there_is() {
    let documented = include_str!("../docs/metrics.md");
    let dashboard = include_str!("../docs/grafana-dashboard.json");
    serde_json::from_str::<serde_json::Value>(dashboard).unwrap();
    let rendered = include_str!("../tui/src/model/metrics.rs");
    let asked = names(dashboard);
    assert!(asked.len() > 10, "{asked:?}");
    for name in asked {
        assert!(documented.contains(&format!("`{name}`")), "{name} is not documented");
    }
    for name in names(documented) {
        assert!(rendered.contains(&format!("\"{name}\"")), "{name} is documented, not written");
    }
}

#[test]
fn an_address_that_is_taken_is_usage() {
    let home = TempDir::new().unwrap();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = holder.local_addr().unwrap().to_string();
    let free = ["--namesrv-port", "0", "--broker-port", "0", "--metrics-listen"];
    let ended = run(home.path(), &[&["serve"], &free[..], &[&addr]].concat());
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.err.contains(&addr), "{ended:?}");
    let ended = run(home.path(), &["topics", "--metrics-listen", "127.0.0.1:0"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}
