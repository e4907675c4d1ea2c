//! What tools are told about queues and groups, against a store on a real directory.

use std::sync::Arc;

use super::handle::{offset, query};
use super::outcome::Outcome;
use super::state::connections::Member;
use super::transaction_tests::Running;
use crate::protocol::body::heartbeat::{ConsumerData, SubscriptionData};
use crate::protocol::body::offsets::ConsumeQueueBody;
use crate::protocol::json_dialect;
use crate::protocol::request::offset::QueryConsumerOffset;
use crate::protocol::request::stats::QueryConsumeQueue;
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
