//! A consumer gives a message back: 36 (semantics.md §8).

use std::sync::Arc;

use super::heartbeat::no_group;
use super::send::status;
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Outcome, Reply};
use crate::broker::put::{Delay, Put};
use crate::broker::state::stat_names;
use crate::broker::state::stats::pair;
use crate::decide::retry::{self, Failure, Next};
use crate::mutant::{self, Mutant};
use crate::protocol::body::group_config::SubscriptionGroupConfig;
use crate::protocol::properties::{self, key};
use crate::protocol::record::RecordView;
use crate::protocol::request::send::SendBack;
use crate::protocol::{ids, names, response_code};

/// 36: stores a copy that comes back later, or a dead letter.
pub fn send_back(broker: &Arc<Broker>, cx: &Cx, header: &SendBack<'_>) -> Outcome {
    // Read before anything is made: on the pool it begins anew.
    let record = match broker.record_for(cx, header.offset) {
        Ok(record) => record,
        Err(cold) => return cold.into(),
    };
    let (group_made, group) = broker.group_or_new(header.group, cx.now_ms);
    let Some(group) = group else { return no_group(header.group).into() };
    if !broker.perm().writeable() {
        let remark = format!("the broker [{}] sending message is forbidden", broker.addr.ip());
        return Reply::refuse(response_code::NO_PERMISSION, remark).into();
    }
    if group.retry_queue_nums <= 0 {
        return Reply::ok().into();
    }
    let topic_made = broker.make_retry_topic(&group, cx.now_ms);
    let Some(record) = record else {
        return Reply::error(format!("look message by offset failed, {}", header.offset)).into();
    };
    let Ok(view) = RecordView::parse(&record) else {
        return Reply::error(format!("the message at {} is damaged", header.offset)).into();
    };
    store(broker, cx, header, &group, &view, group_made || topic_made)
}

fn store(
    broker: &Arc<Broker>,
    cx: &Cx,
    header: &SendBack<'_>,
    group: &SubscriptionGroupConfig,
    view: &RecordView<'_>,
    mut made: bool,
) -> Outcome {
    let limit = retry::attempts_max(header.max_reconsume_times, cx.version, group.retry_max_times);
    let next = retry::next(Failure {
        attempts: view.reconsume_times().max(0).unsigned_abs(),
        attempts_max: limit.max(0).unsigned_abs(),
        level_asked: header.delay_level,
        level_max: broker.levels.level_max(),
    });
    if mutant::is(Mutant::Lost) {
        return Reply::ok().into();
    }
    let (topic, queue_id, level) = match next {
        Next::DeadLetter => {
            let (dlq_made, topic) = broker.make_dead_letter_topic(header.group, cx.now_ms);
            made |= dlq_made;
            (Arc::clone(&topic.name), 0, 0)
        }
        Next::Level(level) => {
            let queue = broker.random() % group.retry_queue_nums.unsigned_abs();
            (Arc::from(names::retry_topic(header.group)), queue as i32, level)
        }
    };
    let mut put = Put::copy_of(view, topic, queue_id);
    put.reconsume_times = view.reconsume_times().saturating_add(1);
    put.properties = properties_of(broker, view, level);
    // The copy itself waits for the flush as any message: the consumer forgets it after this answer.
    put.wait = true;
    match broker.append_of(put, Delay::Obey) {
        Ok(append) => {
            let (broker, key) = (Arc::clone(broker), pair(origin(view), header.group));
            let then = Box::new(move |appended: crate::store::Appended| {
                // Dead letters too: whoever compares with what was delivered asks how much failed.
                if appended.is_stored() {
                    broker.stats.add(stat_names::SNDBCK_PUT_NUMS, &key, 1);
                }
                let (code, remark) = status(appended.status);
                // A late flush is stored all the same: a second copy would be worse than a late one.
                let code = if appended.is_stored() { response_code::SUCCESS } else { code };
                Reply { code, remark, ..Reply::default() }
            });
            Outcome::Stored { append, then, persist: made }
        }
        Err(error) => Reply::refuse(response_code::MESSAGE_ILLEGAL, error.to_string()).into(),
    }
}

fn origin<'a>(view: &'a RecordView<'_>) -> &'a str {
    properties::get(view.properties(), key::RETRY_TOPIC).unwrap_or_else(|| view.topic())
}

fn properties_of(broker: &Broker, view: &RecordView<'_>, level: u8) -> String {
    let mut text = view.properties().to_owned();
    if properties::get(&text, key::RETRY_TOPIC).is_none() {
        properties::push(&mut text, key::RETRY_TOPIC, view.topic());
    }
    if properties::get(&text, key::ORIGIN_MESSAGE_ID).is_none() {
        let id = ids::offset_id(broker.addr, view.physical_offset().max(0).unsigned_abs());
        properties::push(&mut text, key::ORIGIN_MESSAGE_ID, &id);
    }
    properties::set(&mut text, key::WAIT, "false");
    properties::set(&mut text, key::DELAY, &level.to_string());
    text
}
