//! A producer takes a timer message back: 370 (semantics.md §10).
//!
//! The recall is a timer message itself, for the same second: when both come up, neither is delivered.

use std::sync::Arc;

use super::send::{refuse, status};
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Outcome, Reply, Then};
use crate::broker::put::Put;
use crate::decide::timer::{self, RecallFacts};
use crate::protocol::ext_fields::Fields;
use crate::protocol::properties::{self, key};
use crate::protocol::request::send::{RecallMessage, RecallResponse};
use crate::protocol::response_code;

/// Tag of a recall.
const TAG: &str = "_RECALL_TAG_";
/// Body of a recall: one must not be empty.
const BODY: &[u8] = b"0";

/// 370: has a message removed from the wheel before it is due.
pub fn recall(broker: &Arc<Broker>, cx: &Cx, header: &RecallMessage<'_>) -> Outcome {
    let topic = broker.topics.get(header.topic);
    let decided = timer::recall(&RecallFacts {
        enabled: broker.live().recall_message_enable,
        timer_enabled: broker.config.timer_wheel_enable,
        topic: header.topic,
        topic_known: topic.is_some(),
        handle: header.handle,
        broker_name: &broker.config.broker_name,
        now_ms: cx.now_ms,
        ahead_ms_max: broker.timer_ahead_ms(),
    });
    let (handle, deliver_ms) = match decided {
        Ok(decided) => decided,
        Err(refusal) => return refuse(refusal).into(),
    };
    let mut text = String::new();
    properties::push(&mut text, key::TAGS, TAG);
    properties::push(&mut text, key::UNIQ_KEY, &handle.unique_key);
    let victim = timer::delete_key(&handle.topic, &handle.unique_key);
    properties::push(&mut text, key::TIMER_DELETE_UNIQUE_KEY, &victim);
    if let Some(group) = header.group {
        properties::push(&mut text, key::PRODUCER_GROUP, group);
    }
    broker.complete_properties(&mut text, cx.now_ms);
    let put = Put {
        topic: Arc::from(handle.topic.as_str()),
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_ms: cx.now_ms,
        born_host: cx.answer.peer.remote(),
        reconsume_times: 0,
        prepared_offset: 0,
        body: BODY,
        properties: text,
        wait: true,
    };
    match broker.append_at(put, deliver_ms) {
        Ok(append) => {
            let then: Then = Box::new(move |appended| {
                let (code, remark) = status(appended.status);
                if appended.is_stored() {
                    let answer = RecallResponse { unique_key: handle.unique_key };
                    return Reply::fields(Fields::from(answer));
                }
                Reply { code, remark, ..Reply::default() }
            });
            Outcome::Stored { append, then, persist: false }
        }
        // The time passed meanwhile, or the key is too long to be one of ours.
        Err(error) => Reply::refuse(response_code::ILLEGAL_OPERATION, error.to_string()).into(),
    }
}
