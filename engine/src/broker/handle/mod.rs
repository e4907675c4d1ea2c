//! Requests by family. Every row of the table in `protocol/code.rs` that a broker serves has its arm here.

pub mod ack;
pub mod admin;
pub mod auth;
mod bytes_text;
pub mod group;
pub mod heartbeat;
pub mod invisible;
pub mod lock;
pub mod notification;
pub mod offset;
pub mod peek;
mod placed;
pub mod pop;
mod pop_read;
pub mod pull;
pub mod query;
pub mod recall;
pub mod relay;
pub mod reply;
pub mod request_mode;
pub mod reset;
pub mod reset_push;
pub mod send;
pub mod send_back;
pub mod stats;
pub mod timer;
pub mod topic;
pub mod transaction;
pub mod upkeep;

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Broker;
use super::outcome::{Cx, Outcome, Reply};
use super::serve::unsupported;
use crate::protocol::code::Request;
use crate::protocol::frame::Frame;
use crate::protocol::json_dialect;
use crate::protocol::names::NameError;
use crate::protocol::request::send::SendMessage;
use crate::protocol::response_code;

/// Runs one request.
pub fn dispatch(broker: &Arc<Broker>, cx: &Cx, request: Request<'_>, frame: &Frame) -> Outcome {
    let body = &frame.body;
    if let Some(refused) = placed::refused(broker, cx, &request, frame) {
        return refused;
    }
    match request {
        Request::SendMessage(header) => send::send(broker, cx, &header, body),
        Request::SendMessageV2(header) | Request::SendBatch(header) => {
            send::send(broker, cx, &SendMessage::from(header), body)
        }
        Request::SendBack(header) => send_back::send_back(broker, cx, &header),
        Request::Pull(header) | Request::LitePull(header) => pull::pull(broker, cx, &header, frame),
        Request::QueryMessage(header) => query::by_key(broker, &header).into(),
        Request::ViewMessage(header) => query::by_offset(broker, &header).into(),
        Request::QueryConsumeQueue(header) => query::consume_queue(broker, &header).into(),

        Request::QueryConsumerOffset(header) => offset::query(broker, cx, &header),
        Request::UpdateConsumerOffset(header) => offset::update(broker, &header).into(),
        Request::SearchOffset(header) => offset::search(broker, &header).into(),
        Request::MaxOffset(header) => offset::max(broker, &header).into(),
        Request::MinOffset(header) => offset::min(broker, &header).into(),
        Request::EarliestStoreTime(header) => offset::earliest(broker, &header).into(),
        Request::AllConsumerOffsets(_) => offset::all(broker).into(),
        Request::AllDelayOffsets(_) => offset::all_delay(broker).into(),
        Request::ResetOffset(header) => reset::reset_offsets(broker, cx, &header).into(),
        Request::CloneGroupOffset(header) => reset::clone_offsets(broker, &header).into(),

        Request::Heartbeat(_) => heartbeat::heartbeat(broker, cx, body),
        Request::UnregisterClient(header) => heartbeat::unregister(broker, cx, &header).into(),
        Request::ConsumerList(header) => heartbeat::consumer_list(broker, &header).into(),
        Request::CheckClientConfig(_) => heartbeat::check_config(broker, body).into(),
        Request::QueryAssignment(_) => heartbeat::query_assignment(broker, body).into(),
        Request::LockBatch(_) => lock::lock(broker, cx, body).into(),
        Request::UnlockBatch(_) => lock::unlock(broker, body).into(),

        Request::Pop(header) => pop::pop(broker, cx, &header),
        Request::Ack(header) => ack::ack(broker, cx, &header),
        Request::BatchAck(_) => ack::batch(broker, cx, body),
        Request::Peek(header) => peek::peek(broker, cx, &header).into(),
        Request::ChangeInvisible(header) => invisible::change(broker, cx, &header),
        Request::Notification(header) => notification::notification(broker, cx, &header),
        Request::PollingInfo(header) => pop::polling_info(broker, cx, &header).into(),
        Request::SetRequestMode(_) => request_mode::set(broker, cx, body),
        Request::AllRequestModes(_) => request_mode::all(broker).into(),

        Request::ConsumerRunningInfo(header) => relay::running_info(broker, cx, &header),
        Request::ConsumeDirectly(header) => relay::consume_directly(broker, &header),
        Request::ConsumerStatus(header) => relay::consumer_status(broker, &header),

        Request::RecallMessage(header) => recall::recall(broker, cx, &header),

        Request::EndTransaction(header) => transaction::end(broker, cx, &header),
        Request::ResumeCheck(header) => transaction::resume_check(broker, &header),
        Request::SendReply(header) => reply::reply(broker, cx, &header, body),
        Request::SendReplyV2(header) => reply::reply(broker, cx, &SendMessage::from(header), body),

        other => administer(broker, cx, other, frame),
    }
}

/// The requests of tools and of the console.
fn administer(broker: &Arc<Broker>, cx: &Cx, request: Request<'_>, frame: &Frame) -> Outcome {
    let body = &frame.body;
    match request {
        Request::UpdateTopic(header) => topic::update(broker, cx, &header),
        Request::UpdateTopicList(_) => topic::update_list(broker, cx, body),
        Request::AllTopicConfig(header) => topic::all(broker, &header).into(),
        Request::DeleteTopic(header) => topic::delete(broker, cx, &header),
        Request::TopicConfig(header) => topic::config(broker, &header).into(),
        Request::TopicStats(header) => topic::stats(broker, &header).into(),
        Request::TopicConsumers(header) => topic::consumers(broker, &header).into(),
        Request::SystemTopics(_) => topic::system(broker).into(),
        Request::TopicsOfGroup(header) => topic::of_group(broker, &header).into(),
        Request::TrimDeadLetters(header) => topic::trim(broker, &header).into(),

        Request::UpdateGroup(_) => group::update(broker, cx, body),
        Request::UpdateGroupList(_) => group::update_list(broker, cx, body),
        Request::AllGroupConfig(header) => group::all(broker, &header).into(),
        Request::DeleteGroup(header) => group::delete(broker, cx, &header),
        Request::GroupConfig(header) => group::config(broker, &header).into(),
        Request::SubscriptionOf(header) => group::subscription(broker, &header).into(),
        Request::ConsumerConnections(header) => group::consumers(broker, &header).into(),
        Request::ProducerConnections(header) => group::producers(broker, &header).into(),
        Request::AllProducers(_) => group::all_producers(broker).into(),

        Request::ConsumeStats(header) => stats::consume(broker, &header).into(),
        Request::BrokerConsumeStats(header) => stats::broker_consume(broker, &header).into(),
        Request::ConsumeTimeSpan(header) => stats::time_span(broker, cx, &header).into(),
        Request::BrokerStats(header) => stats::view(broker, &header).into(),
        Request::RuntimeInfo(_) => admin::runtime_info(broker, cx).into(),
        Request::BrokerConfig(_) => admin::config(broker).into(),
        Request::HaStatus(_) => admin::ha_status(broker).into(),
        Request::DeleteExpired(_) => admin::delete_expired(broker).into(),

        Request::CleanQueues(_) => upkeep::clean_queues(broker).into(),
        Request::CleanTopics(_) => upkeep::clean_topics(broker).into(),
        Request::CorrectionOffset(header) => upkeep::correction_offset(broker, &header).into(),
        Request::GroupForbidden(header) => upkeep::forbidden(broker, cx, &header),
        Request::TimerCheckPoint(_) => timer::check_point(broker).into(),
        Request::TimerMetrics(_) => timer::metrics(broker).into(),
        Request::ExchangeHa(header) => upkeep::exchange_ha(broker, &header).into(),
        // The mark of a controller's election, which never takes place here.
        Request::ResetFlushOffset(_) => Reply::ok().into(),
        Request::StaticTopic(_) => upkeep::static_topic().into(),
        Request::BrokerEpoch(_) => upkeep::broker_epoch().into(),
        Request::SwitchTimer(header) => upkeep::switch_timer(&header).into(),
        Request::UpdateBrokerConfig(_) => admin::update_config(broker, cx, body).into(),

        other => access(broker, cx, other, frame),
    }
}

/// The requests that are about users and rules.
fn access(broker: &Arc<Broker>, cx: &Cx, request: Request<'_>, frame: &Frame) -> Outcome {
    let body = &frame.body;
    let asker = || frame.decode().map(|header| auth::Asker::of(&header)).unwrap_or_default();
    match request {
        Request::CreateUser(header) => auth::create_user(broker, cx, &asker(), &header, body),
        Request::UpdateUser(header) => auth::update_user(broker, cx, &asker(), &header, body),
        Request::DeleteUser(header) => auth::delete_user(broker, cx, &asker(), &header),
        Request::GetUser(header) => auth::get_user(broker, &asker(), &header),
        Request::ListUsers(header) => auth::list_users(broker, &asker(), &header),
        Request::CreateAcl(header) | Request::UpdateAcl(header) => {
            auth::put_acl(broker, cx, &header, body)
        }
        Request::DeleteAcl(header) => auth::delete_acl(broker, cx, &header),
        Request::GetAcl(header) => auth::get_acl(broker, &header),
        Request::ListAcls(header) => auth::list_acls(broker, &header),
        // Names and pushes never come here: their lanes are refused before.
        _ => unsupported(frame.decode().map_or(0, |header| header.code)).into(),
    }
}

/// Reads a JSON body; the refusal says what was wrong with it.
fn body_of<T: DeserializeOwned>(body: &[u8]) -> Result<T, Reply> {
    json_dialect::from_slice(body).map_err(|error| {
        Reply::refuse(response_code::SYSTEM_ERROR, format!("bad request body: {error}"))
    })
}

/// What clients and tools are told of a bad topic name (admin.md §4.14).
fn topic_name_remark(topic: &str, error: NameError) -> String {
    match error {
        NameError::Blank => "The specified topic is blank.".into(),
        NameError::Character => format!(
            "The specified topic: {topic}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
        ),
        NameError::TooLong { limit, .. } => {
            format!("The specified topic: {topic}, is longer than topic max length: {limit}")
        }
    }
}

/// The same of a group.
fn group_name_remark(group: &str, error: NameError) -> String {
    match error {
        NameError::Blank => "The specified group is blank.".into(),
        NameError::Character => format!(
            "The specified group: {group}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
        ),
        NameError::TooLong { limit, .. } => {
            format!("The specified group: {group}, is longer than group max length: {limit}")
        }
    }
}

/// A JSON body as answer.
fn json<T: Serialize>(value: &T) -> Reply {
    Reply::body(json_dialect::to_vec(value))
}
