//! What is counted, and under which key, against a store on a real directory (semantics.md §21).

use bytes::Bytes;

use super::count::GetCount;
use super::handle::{heartbeat, send, send_back};
use super::transaction_tests::{Running, message};
use crate::protocol::request::send::{SendBack, SendMessage};
use crate::protocol::{batch, response_code};
use crate::store::QueueOffset;

const NOW_MS: i64 = 1_700_000_000_000;

/// Sends a message of five bytes to queue 2 of a topic.
fn send_to(running: &Running, topic: &str) {
    let header = message(topic, "", 2, 0, NOW_MS);
    let outcome =
        send::send(&running.broker, &running.cx(), &header, &Bytes::from_static(b"fives"));
    assert_eq!(running.answer(outcome).unwrap().code, response_code::SUCCESS);
}

/// Where the last record of a queue lies in the log.
fn place(running: &Running, topic: &str, queue_id: i32) -> (i64, u32) {
    let store = &running.broker.store;
    let last = QueueOffset(store.max_offset(topic, queue_id).0 - 1);
    let unit = store.unit(topic, queue_id, last).unwrap().unwrap();
    (unit.log_offset.0 as i64, unit.size)
}

fn sum(running: &Running, name: &str, key: &str) -> Option<i64> {
    running.broker.stats.sum(name, key)
}

#[test]
fn the_size_of_what_was_put_is_that_of_its_records() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    send_to(&running, "t");
    let (_, size) = place(&running, "t", 2);
    assert!(size > 100, "more than the body: {size}");
    assert_eq!(sum(&running, "TOPIC_PUT_SIZE", "t"), Some(i64::from(size)));

    let header = SendMessage { batch: Some(true), ..message("t", "", 1, 0, NOW_MS) };
    let mut body = Vec::new();
    for text in ["one", "three"] {
        let element = batch::Element { flag: 0, body: text.as_bytes(), properties: "" };
        assert!(batch::encode(&mut body, element));
    }
    let body = Bytes::from(body);
    let outcome = send::send(&running.broker, &running.cx(), &header, &body);
    assert_eq!(running.answer(outcome).unwrap().code, response_code::SUCCESS);
    let sizes = [0, 1].map(|at| {
        let unit = running.broker.store.unit("t", 1, QueueOffset(at)).unwrap().unwrap();
        i64::from(unit.size)
    });
    let all = i64::from(size) + sizes[0] + sizes[1];
    assert_eq!(sum(&running, "TOPIC_PUT_SIZE", "t"), Some(all));

    // A committed half message counts once more, as the record that it becomes.
    running.commit_one();
    let (_, committed) = place(&running, "t", 3);
    assert_eq!(sum(&running, "TOPIC_PUT_SIZE", "t"), Some(all + i64::from(committed)));
}

#[test]
fn what_a_group_gave_back_counts_with_its_dead_letters() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    send_to(&running, "t");
    let give_back = |(offset, _): (i64, u32), delay_level| {
        let header = SendBack {
            offset,
            group: "g",
            delay_level,
            origin_message_id: None,
            origin_topic: None,
            unit_mode: None,
            max_reconsume_times: None,
        };
        let outcome = send_back::send_back(&running.broker, &running.cx(), &header);
        // The first one waits for the topics that it made to be written: nobody does that here.
        let refused = running.answer(outcome).filter(|frame| frame.code != response_code::SUCCESS);
        assert!(refused.is_none(), "{refused:?}");
    };
    for delay_level in [-1, 0, -1, -1] {
        give_back(place(&running, "t", 2), delay_level);
    }
    assert_eq!(sum(&running, "SNDBCK_PUT_NUMS", "t@g"), Some(4));
    // A copy that failed again still counts for the topic that it came from.
    give_back(place(&running, "%DLQ%g", 0), -1);
    assert_eq!(sum(&running, "SNDBCK_PUT_NUMS", "t@g"), Some(5));
    // Nor is there a second key for the same.
    assert_eq!(sum(&running, "DLQ_PUT_NUMS", "t@g"), None);
}

#[test]
fn a_send_counts_for_its_topic_its_queue_and_the_broker() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    send_to(&running, "t");
    // A half message is one of a system topic; its commit is one of the user's, in no queue's time.
    running.commit_one();
    for (name, key, want) in [
        ("TOPIC_PUT_NUMS", "t", Some(2)),
        ("TOPIC_PUT_LATENCY", "2@t", Some(0)),
        ("TOPIC_PUT_LATENCY", "3@t", None),
        ("TOPIC_PUT_LATENCY", "3@RMQ_SYS_TRANS_HALF_TOPIC", Some(0)),
        ("BROKER_PUT_NUMS", "DefaultCluster", Some(3)),
        ("BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC", "DefaultCluster", Some(2)),
        ("BROKER_PUT_NUMS", "other", None),
    ] {
        assert_eq!(sum(&running, name, key), want, "{name} {key}");
    }
}

#[test]
fn a_read_counts_for_its_group_its_queue_and_the_broker() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    for messages in [0, 3] {
        let timed = Some((2, running.broker.clock.monotonic_ns()));
        let (group, topic, bytes, found) = ("g", "t", 9, messages > 0);
        running.broker.count_get(GetCount { group, topic, messages, bytes, found, timed });
    }
    for (name, key, want) in [
        ("GROUP_GET_NUMS", "t@g", 3),
        ("GROUP_GET_SIZE", "t@g", 9),
        ("GROUP_GET_LATENCY", "2@t@g", 0),
        ("BROKER_GET_NUMS", "DefaultCluster", 3),
        ("BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC", "DefaultCluster", 3),
    ] {
        assert_eq!(sum(&running, name, key), Some(want), "{name} {key}");
    }
}

#[test]
fn a_heartbeat_counts_once_for_each_of_its_groups() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    let body = br#"{"clientID":"c","producerDataSet":[{"groupName":"p"}],"consumerDataSet":[{"groupName":"g"}]}"#;
    heartbeat::heartbeat(&running.broker, &running.cx(), body);
    for name in ["PRODUCER_REGISTER_TIME", "CONSUMER_REGISTER_TIME"] {
        assert_eq!(sum(&running, name, "DefaultCluster"), Some(0), "{name}");
    }
}
