//! A reply to a request: 324, 325 hand it to the client that asked, then store it (remoting.md §11.1).

use std::sync::Arc;

use bytes::Bytes;

use super::send;
use crate::broker::count::PutCount;
use crate::broker::outcome::{Cx, Outcome, Relayed, Reply};
use crate::broker::put::Delay;
use crate::broker::{Broker, serve};
use crate::protocol::code;
use crate::protocol::ext_fields::Fields;
use crate::protocol::header::Outgoing;
use crate::protocol::properties::{self, key};
use crate::protocol::request::push::PushReply;
use crate::protocol::request::send::{SendMessage, SendResponse};
use crate::protocol::response_code;
use crate::protocol::sys_flag::{SysFlag, Transaction};
use crate::store::Append;

/// How long the client that asked has to take its reply, ms.
const PUSH_MS: u64 = 10_000;

/// 324, 325: pushes the reply, stores it, and answers whether the push arrived.
pub fn reply(broker: &Arc<Broker>, cx: &Cx, header: &SendMessage<'_>, body: &Bytes) -> Outcome {
    let accepted = match send::prepare(broker, cx, header, body) {
        Ok(accepted) => accepted,
        Err(reply) => return reply.into(),
    };
    let text = header.properties.unwrap_or("");
    let mut put = send::put(cx, header, &accepted, body);
    put.sys_flag = SysFlag(put.sys_flag).with_transaction(Transaction::None).0;
    text.clone_into(&mut put.properties);
    let append = match broker.append_of(put, Delay::Obey) {
        Ok(append) => broker.live().store_reply_message_enable.then_some(append),
        Err(error) => return send::illegal(error.to_string()).into(),
    };
    let conclusion = Conclusion { append, queue_id: accepted.queue_id, made: accepted.made };
    let Some(client) = properties::get(text, key::REPLY_TO_CLIENT) else {
        let remark = format!("reply message properties[{}] is null", key::REPLY_TO_CLIENT);
        return conclusion.outcome(broker, Err(remark));
    };
    let Some(member) = broker.connections.producer_of_client(client) else {
        let remark = format!("push reply message fail, channel of <{client}> not found.");
        return conclusion.outcome(broker, Err(remark));
    };
    let request = push(broker, cx, header, text, body);
    let (broker, cx, client) = (Arc::clone(broker), cx.clone(), client.to_owned());
    member.peer.call(
        request,
        PUSH_MS,
        Box::new(move |relayed| {
            let outcome = conclusion.outcome(&broker, pushed(relayed.as_ref(), &client));
            let mut appends = Vec::new();
            serve::finish(&broker, &cx, outcome, &mut appends);
            if !appends.is_empty() {
                broker.store.submit(appends);
            }
        }),
    );
    Outcome::Parked
}

fn push(broker: &Broker, cx: &Cx, header: &SendMessage<'_>, text: &str, body: &Bytes) -> Outgoing {
    let mut properties = text.to_owned();
    properties::set(&mut properties, key::PUSH_REPLY_TIME, &cx.now_ms.to_string());
    let push = PushReply {
        group: header.group,
        topic: header.topic,
        default_topic: header.default_topic.unwrap_or_default(),
        default_queues: header.default_queues.unwrap_or_default(),
        queue_id: header.queue_id,
        sys_flag: header.sys_flag,
        born_ms: header.born_ms,
        flag: header.flag,
        properties: Some(&properties),
        reconsume_times: header.reconsume_times,
        unit_mode: header.unit_mode,
        born_host: &cx.answer.peer.remote().to_string(),
        store_host: broker.addr_text(),
        stored_ms: cx.now_ms,
    };
    let fields = Fields::from(push);
    Outgoing {
        code: code::PUSH_REPLY_MESSAGE_TO_CLIENT,
        fields,
        body: body.clone(),
        ..Outgoing::default()
    }
}

fn pushed(relayed: Option<&Relayed>, client: &str) -> Result<(), String> {
    match relayed {
        Some(Relayed { code: response_code::SUCCESS, .. }) => Ok(()),
        _ => Err(format!("push reply message to {client} fail.")),
    }
}

/// What is left to do once the push arrived or failed.
struct Conclusion {
    append: Option<Append>,
    queue_id: i32,
    made: bool,
}

impl Conclusion {
    /// The code tells of the push, the header of the stored copy when there is one.
    fn outcome(self, broker: &Arc<Broker>, pushed: Result<(), String>) -> Outcome {
        let Self { append, queue_id, made } = self;
        let mut reply = match pushed {
            Ok(()) => Reply::fields(unstored(broker, queue_id)),
            Err(remark) => Reply::error(remark),
        };
        let Some(append) = append else { return reply.into() };
        let broker = Arc::clone(broker);
        let count = PutCount::of(&broker, &append, &append.topic);
        let then = Box::new(move |appended: crate::store::Appended| {
            broker.count_put(&count, &appended);
            if appended.is_stored() {
                reply.fields = send::fields(&broker, &appended, queue_id, None);
            } else {
                tracing::warn!(status = ?appended.status, "a reply could not be stored");
            }
            reply
        });
        Outcome::Stored { append, then, persist: made }
    }
}

/// Header of a reply that has no stored copy; clients read all of it.
fn unstored(broker: &Broker, queue_id: i32) -> Fields {
    let response =
        SendResponse { message_id: "0".into(), queue_id, queue_offset: 0, transaction_id: None };
    Fields::from(response)
        .text("MSG_REGION", broker.config.region_id.clone())
        .flag("TRACE_ON", broker.config.trace_on)
}
