//! Questions that a client answers: 307, 309, 223 (remoting.md §11.6).

use bytes::Bytes;

use crate::broker::Broker;
use crate::broker::outcome::{Cx, Outcome, Relayed, Reply};
use crate::protocol::code;
use crate::protocol::ext_fields::Fields;
use crate::protocol::header::Outgoing;
use crate::protocol::ids;
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
        to: member.peer,
        request,
        wait_ms: RELAY_MS,
        then: Box::new(move |relayed| pass_on(relayed, late)),
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

/// 223: how far a member says it is. Answers for the member asked for, or the first one.
pub fn consumer_status(broker: &Broker, header: &ConsumerStatus<'_>) -> Outcome {
    let asked = header.client.filter(|client| !client.is_empty());
    let ids = broker.connections.client_ids(header.group);
    let Some(client) = asked.map(str::to_owned).or_else(|| ids.first().cloned()) else {
        let remark = format!("no consumer of group {} is online", header.group);
        return Reply::refuse(response_code::CONSUMER_NOT_ONLINE, remark).into();
    };
    let Some(member) = broker.connections.member(header.group, &client) else {
        return Reply::refuse(
            response_code::CONSUMER_NOT_ONLINE,
            format!("client {client} is not online"),
        )
        .into();
    };
    let mut fields = Fields::new();
    ConsumerStatus { client: None, ..header.clone() }.encode(&mut fields);
    let request =
        Outgoing { code: code::GET_CONSUMER_STATUS_FROM_CLIENT, fields, ..Outgoing::default() };
    Outcome::Relay {
        to: member.peer,
        request,
        wait_ms: STATUS_MS,
        then: Box::new(move |relayed| status_reply(relayed, &client)),
    }
}

fn status_reply(relayed: Option<Relayed>, client: &str) -> Reply {
    use crate::protocol::body::offsets::ConsumerStatusBody;
    use crate::protocol::json_dialect;
    let Some(relayed) = relayed else {
        return Reply::refuse(
            response_code::CONSUME_MSG_TIMEOUT,
            format!("client {client} did not answer"),
        );
    };
    let Ok(answer) = json_dialect::from_slice::<ConsumerStatusBody>(&relayed.body) else {
        return Reply::error(format!("client {client} answered something unreadable"));
    };
    let mut body = ConsumerStatusBody::default();
    body.consumer_table.insert(client.to_owned(), answer.message_queue_table);
    super::json(&body)
}
