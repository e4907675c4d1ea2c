//! Questions that a client answers: 307, 309, 223 (remoting.md §11.6).

use bytes::Bytes;

use crate::broker::Broker;
use crate::broker::outcome::{Cx, Outcome, Relayed, Reply};
use crate::protocol::body::offsets::ConsumerStatusBody;
use crate::protocol::code;
use crate::protocol::ext_fields::Fields;
use crate::protocol::header::Outgoing;
use crate::protocol::ids;
use crate::protocol::json_dialect;
use crate::protocol::request::offset::ConsumerStatus;
use crate::protocol::request::push::{ConsumeDirectly, ConsumerRunningInfo};
use crate::protocol::response_code;

/// How long a client has to answer, ms.
const RELAY_MS: u64 = 10_000;
/// How long a client has to answer for its offsets, ms.
const STATUS_MS: u64 = 5_000;
/// Clients below this version do not know these requests (remoting.md §6).
const VERSION_MIN: i32 = 62;

/// 307: what a consumer tells of itself.
pub fn running_info(broker: &Broker, _cx: &Cx, header: &ConsumerRunningInfo<'_>) -> Outcome {
    let mut fields = Fields::new();
    header.encode(&mut fields);
    ask(
        broker,
        (header.group, header.client_id),
        code::GET_CONSUMER_RUNNING_INFO,
        fields,
        Bytes::new(),
    )
}

/// 309: has one consumer consume one message now.
pub fn consume_directly(broker: &Broker, header: &ConsumeDirectly<'_>) -> Outcome {
    let Some(client_id) = header.client_id.filter(|id| !id.is_empty()) else {
        return Reply::error("the client id is missing").into();
    };
    let position = header.message_id.and_then(ids::parse_offset_id);
    let Some((_, offset)) = position else {
        return Reply::error("the message id is no offset id").into();
    };
    let Some(record) = broker.record_at(offset as i64) else {
        return Reply::error(format!("can not find message by the offset, {offset}")).into();
    };
    let relayed = ConsumeDirectly {
        broker_name: Some(&broker.config.broker_name),
        topic_sys_flag: Some(0),
        group_sys_flag: Some(0),
        ..header.clone()
    };
    let mut fields = Fields::new();
    relayed.encode(&mut fields);
    ask(broker, (header.group, client_id), code::CONSUME_MESSAGE_DIRECTLY, fields, record)
}

fn ask(
    broker: &Broker,
    (group, client): (&str, &str),
    code: i32,
    fields: Fields,
    body: Bytes,
) -> Outcome {
    let Some(member) = broker.connections.member(group, client) else {
        return Reply::error(format!("The Consumer <{group}> <{client}> not online")).into();
    };
    if member.version < VERSION_MIN {
        let remark = format!(
            "The Consumer <{client}> Version {} too low to finish, please upgrade it",
            member.version
        );
        return Reply::error(remark).into();
    }
    let request = Outgoing { code, fields, body, ..Outgoing::default() };
    let late = format!("consumer <{group}> <{client}> Timeout");
    Outcome::Relay {
        to: vec![member.peer],
        request,
        wait_ms: RELAY_MS,
        then: Box::new(move |relayed| pass_on(relayed.into_iter().flatten().next(), late)),
    }
}

fn pass_on(relayed: Option<Relayed>, late: String) -> Reply {
    match relayed {
        Some(Relayed { code, remark, body }) => {
            Reply { code, remark: remark.map(Into::into), body, ..Reply::default() }
        }
        None => Reply::refuse(response_code::CONSUME_MSG_TIMEOUT, late),
    }
}

/// 223: how far the members say they are: the one asked for, or all. Who does not answer is left out.
pub fn consumer_status(broker: &Broker, header: &ConsumerStatus<'_>) -> Outcome {
    let refuse = |remark| Reply::refuse(response_code::CONSUMER_NOT_ONLINE, remark).into();
    let mut members = broker.connections.members(header.group);
    if members.is_empty() {
        return refuse(format!("no consumer of group {} is online", header.group));
    }
    if let Some(client) = header.client.filter(|client| !client.is_empty()) {
        members.retain(|member| member.client_id == client);
        if members.is_empty() {
            return refuse(format!("client {client} is not online"));
        }
    }
    if let Some(old) = members.iter().find(|member| member.version < VERSION_MIN) {
        let remark = format!("the client {} is too old to tell its offsets", old.client_id);
        return Reply::error(remark).into();
    }
    let mut fields = Fields::new();
    ConsumerStatus { client: None, ..header.clone() }.encode(&mut fields);
    let request =
        Outgoing { code: code::GET_CONSUMER_STATUS_FROM_CLIENT, fields, ..Outgoing::default() };
    let (ids, to) = members.into_iter().map(|member| (member.client_id, member.peer)).unzip();
    let then = Box::new(move |relayed| status_reply(ids, relayed));
    Outcome::Relay { to, request, wait_ms: STATUS_MS, then }
}

fn status_reply(ids: Vec<String>, relayed: Vec<Option<Relayed>>) -> Reply {
    let mut body = ConsumerStatusBody::default();
    for (client, relayed) in ids.into_iter().zip(relayed) {
        let answer = relayed.filter(|relayed| relayed.code == response_code::SUCCESS);
        match answer.map(|answer| json_dialect::from_slice::<ConsumerStatusBody>(&answer.body)) {
            Some(Ok(answer)) => {
                body.consumer_table.insert(client, answer.message_queue_table);
            }
            Some(Err(error)) => tracing::warn!(client, %error, "cannot read offsets of a client"),
            None => tracing::warn!(client, "a client does not tell its offsets"),
        }
    }
    super::json(&body)
}
