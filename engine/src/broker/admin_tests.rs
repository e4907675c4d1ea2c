//! What tools are told about queues and groups, against a store on a real directory.

use std::sync::Arc;

use super::handle::{group, offset, query, relay, request_mode, reset, send_back, topic};
use super::outcome::{Outcome, Relayed};
use super::put::{Delay, Put};
use super::state::connections::Member;
use super::test_support::Client;
use super::transaction_tests::Running;
use crate::protocol::body::group_config::SubscriptionGroupConfig;
use crate::protocol::body::heartbeat::{ConsumerData, SubscriptionData};
use crate::protocol::body::offsets::{ConsumeQueueBody, ConsumerStatusBody};
use crate::protocol::body::queue::QueueMap;
use crate::protocol::json_dialect;
use crate::protocol::request::group::DeleteGroup;
use crate::protocol::request::offset::{
    ConsumerStatus, QueryConsumerOffset, ResetOffset, UpdateConsumerOffset,
};
use crate::protocol::request::send::SendBack;
use crate::protocol::request::stats::QueryConsumeQueue;
use crate::protocol::request::topic::TopicOf;
use crate::protocol::response_code;

const NOW_MS: i64 = 1_700_000_000_000;

fn units(running: &Running, group: Option<&str>) -> ConsumeQueueBody {
    let header = QueryConsumeQueue { topic: "t", queue_id: 3, index: 0, count: 8, group };
    let reply = query::consume_queue(&running.broker, &header);
    assert_eq!(reply.code, response_code::SUCCESS, "{:?}", reply.remark);
    json_dialect::from_slice(&reply.body).unwrap()
}

#[test]
fn units_come_with_the_subscription_of_the_group_that_was_named() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    running.commit_one();
    let without = units(&running, None);
    assert_eq!((without.queue_data.len(), without.filter_data), (1, None));
    assert_eq!(units(&running, Some("")).filter_data, None);

    let away = units(&running, Some("g"));
    assert_eq!(away.filter_data.as_deref(), Some("g@t is not online!"));
    assert!(away.subscription_data.is_none());

    let subscription = SubscriptionData { topic: "t".into(), ..SubscriptionData::default() };
    let data = ConsumerData {
        group_name: "g".into(),
        subscription_data_set: vec![subscription],
        ..ConsumerData::default()
    };
    let member = Member { client_id: "c".into(), ..running.member() };
    running.broker.connections.consumer(member, &data, None, false);
    let online = units(&running, Some("g"));
    assert_eq!(online.filter_data.as_deref(), Some("null"));
    assert_eq!(online.subscription_data.unwrap().topic, "t");
}

#[test]
fn a_group_without_an_offset_starts_at_0_only_where_there_is_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    let header = |zero_if_not_found| QueryConsumerOffset {
        group: "g",
        topic: "t",
        queue_id: 3,
        zero_if_not_found,
    };
    let broker = Arc::clone(&running.broker);
    let code = |header| match offset::query(&broker, &running.cx(), &header) {
        Outcome::Reply(reply) => reply.code,
        _ => panic!("no plain answer"),
    };
    assert_eq!(code(header(None)), response_code::QUERY_NOT_FOUND);
    running.commit_one();
    assert_eq!(code(header(None)), response_code::SUCCESS);
    assert_eq!(code(header(Some(false))), response_code::QUERY_NOT_FOUND);
}

fn code_of(outcome: Outcome) -> i32 {
    match outcome {
        Outcome::Reply(reply) | Outcome::Persisted(reply) => reply.code,
        _ => panic!("no plain answer"),
    }
}

fn group_of(name: &str, retry_queue_nums: i32) -> Vec<u8> {
    let config =
        SubscriptionGroupConfig { retry_queue_nums, ..SubscriptionGroupConfig::named(name) };
    json_dialect::to_vec(&config)
}

#[test]
fn a_group_gets_no_more_retry_queues_than_a_topic_may_have() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    let update =
        |queues| code_of(group::update(&running.broker, &running.cx(), &group_of("big", queues)));
    assert_eq!(update(i32::MAX), response_code::INVALID_PARAMETER);
    assert!(running.broker.groups.get("big").is_none());
    assert_eq!(update(16), response_code::SUCCESS);
}

#[test]
fn an_offset_is_committed_only_for_what_can_be_a_queue() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    code_of(group::update(&running.broker, &running.cx(), &group_of("g", 1)));
    let commit = |queue_id, offset| {
        let header = UpdateConsumerOffset { group: "g", topic: "t", queue_id, offset };
        offset::update(&running.broker, &header).code
    };
    for (queue, offset) in
        [(-1, 0), (i32::MIN, 0), (i32::MAX, 0), (16_384, 0), (0, -1), (0, i64::MIN)]
    {
        assert_eq!(commit(queue, offset), response_code::INVALID_PARAMETER, "{queue} {offset}");
    }
    assert_eq!(commit(0, i64::MAX), response_code::SUCCESS);
    assert_eq!(running.broker.offsets.committed_of("g", "t").len(), 1);
}

fn reset_of(queue_id: i32) -> ResetOffset<'static> {
    let (topic, group) = ("t", "g");
    ResetOffset { topic, group, timestamp: -1, force: None, queue_id: Some(queue_id), offset: None }
}

#[test]
fn a_reset_of_a_queue_that_is_not_there_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    code_of(group::update(&running.broker, &running.cx(), &group_of("g", 1)));
    for queue in [4, i32::MAX] {
        let reply = reset::reset_offsets(&running.broker, &running.cx(), &reset_of(queue));
        assert_eq!(reply.code, response_code::INVALID_PARAMETER);
    }
    assert_eq!(
        reset::reset_offsets(&running.broker, &running.cx(), &reset_of(3)).code,
        response_code::SUCCESS
    );
}

#[test]
fn a_topic_or_group_that_comes_back_knows_nothing_of_its_namesake() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    let broker = &running.broker;
    code_of(group::update(broker, &running.cx(), &group_of("g", 1)));
    reset::reset_offsets(broker, &running.cx(), &reset_of(3));
    broker.trim.set("t", 0, 7);
    code_of(topic::delete(broker, &running.cx(), &TopicOf { topic: "t" }));
    assert_eq!(broker.resets.get("g", "t", 3), None);
    assert_eq!(broker.min_offset("t", 0), 0);
    assert!(broker.trim.was_used(), "the file has to be written once more");

    broker.resets.put("g", "t", 1, 5);
    let delete = DeleteGroup { group: "g", clean_offset: Some(true) };
    code_of(group::delete(broker, &running.cx(), &delete));
    assert_eq!(broker.resets.get("g", "t", 1), None);
}

#[test]
fn a_trimmed_head_counts_only_inside_of_its_queue() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    let trim = &running.broker.trim;
    trim.set("t", 0, 7);
    trim.set("t", 1, 2);
    trim.drop_beyond(|_, queue| if queue == 0 { 6 } else { 2 });
    assert_eq!((trim.get("t", 0), trim.get("t", 1)), (None, Some(2)));
}

#[test]
fn a_message_given_back_as_often_as_a_number_can_say_is_a_dead_letter() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    let (broker, cx) = (&running.broker, running.cx());
    let put = Put {
        topic: "t".into(),
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_ms: NOW_MS,
        born_host: cx.answer.peer.remote(),
        reconsume_times: i32::MAX,
        prepared_offset: 0,
        body: b"body",
        properties: String::new(),
        wait: false,
    };
    let stored = broker.store.append_now(broker.append_of(put, Delay::Obey).unwrap());
    let header = SendBack {
        offset: stored.physical.0 as i64,
        group: "g",
        delay_level: 0,
        origin_message_id: None,
        origin_topic: None,
        unit_mode: None,
        max_reconsume_times: None,
    };
    let Outcome::Stored { append, .. } = send_back::send_back(broker, &cx, &header) else {
        panic!("not given back");
    };
    assert_eq!(&*append.topic, "%DLQ%g");
}

#[test]
fn every_member_is_asked_how_far_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    let answer = |code, offset: i64| {
        let body = format!(
            r#"{{"messageQueueTable":{{{{"brokerName":"b","queueId":0,"topic":"t"}}:{offset}}}}}"#
        );
        Some(Relayed { code, remark: None, body: body.into() })
    };
    let says = [
        ("a", answer(0, 7)),
        ("b", answer(0, 8)),
        ("refuses", answer(1, 9)),
        ("silent", None),
        ("unreadable", Some(Relayed { code: 0, remark: None, body: "?".into() })),
    ];
    for (number, (id, says)) in (100..).zip(says) {
        let peer = Arc::new(Client { number, says, ..Client::default() });
        let member = Member { client_id: id.into(), peer, ..running.member() };
        let data = ConsumerData { group_name: "g".into(), ..ConsumerData::default() };
        running.broker.connections.consumer(member, &data, None, false);
    }
    let table = |client| {
        let header = ConsumerStatus { topic: "t", group: "g", client };
        let answer = running.answer(relay::consumer_status(&running.broker, &header)).unwrap();
        assert_eq!(answer.code, response_code::SUCCESS);
        let body: ConsumerStatusBody = json_dialect::from_slice(&answer.body).unwrap();
        let offsets = |queues: QueueMap<i64>| queues.0.into_values().collect::<Vec<i64>>();
        body.consumer_table
            .into_iter()
            .map(|(id, queues)| (id, offsets(queues)))
            .collect::<Vec<_>>()
    };
    let of = |id: &str, offset| (id.to_owned(), vec![offset]);
    assert_eq!(table(None), [of("a", 7), of("b", 8)]);
    assert_eq!(table(Some("")), [of("a", 7), of("b", 8)]);
    assert_eq!(table(Some("b")), [of("b", 8)]);
    assert_eq!(table(Some("silent")), []);
    let gone = ConsumerStatus { topic: "t", group: "g", client: Some("gone") };
    let refusal = relay::consumer_status(&running.broker, &gone);
    assert_eq!(code_of(refusal), response_code::CONSUMER_NOT_ONLINE);
}

#[test]
fn a_mode_is_set_for_a_topic_that_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), NOW_MS);
    let set = |topic: &str| {
        let body = format!(r#"{{"topic":"{topic}","consumerGroup":"g","mode":"POP"}}"#);
        request_mode::set(&running.broker, &running.cx(), body.as_bytes())
    };
    assert_eq!(code_of(set("nowhere")), response_code::TOPIC_NOT_EXIST);
    assert_eq!(code_of(set("%RETRY%g")), response_code::NO_PERMISSION);
    assert!(running.broker.request_modes.all().message_request_mode_map.is_empty());
    assert!(matches!(set("t"), Outcome::Parked));
    assert!(running.broker.request_modes.get("t", "g").is_some());
}
