//! Chores and states that tools ask for: 306, 316, 308, 353, 906, 908, and the refusals 513, 1007,
//! 5001 (admin.md §2, §4.15, §4.16).

use std::collections::BTreeMap;

use super::heartbeat::no_group;
use super::json;
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Outcome, Reply};
use crate::decide::reset;
use crate::protocol::body::group_config::GroupForbidden;
use crate::protocol::body::offsets::CorrectionOffsets;
use crate::protocol::ext_fields::Fields;
use crate::protocol::request::broker::{ExchangeHa, SwitchTimerEngine};
use crate::protocol::request::group::GroupForbiddenOf;
use crate::protocol::request::offset::CorrectionOffset;
use crate::protocol::response_code;

/// 306: what lies below the log's first message leaves the consume queues.
pub fn clean_queues(broker: &Broker) -> Reply {
    match broker.store.clean_queues() {
        Ok(()) => tracing::info!("consume queues cleaned on request"),
        Err(error) => tracing::warn!(%error, "consume queues cannot be cleaned"),
    }
    Reply::ok()
}

/// 316: consume queues of topics that are gone are removed.
pub fn clean_topics(broker: &Broker) -> Reply {
    for topic in broker.store.topics_with_queues() {
        if broker.topics.get(&topic).is_some() || broker.is_system_topic(&topic) {
            continue;
        }
        match broker.store.delete_topic(&topic) {
            Ok(()) => tracing::info!(%topic, "queues of a topic that is gone removed"),
            Err(error) => tracing::warn!(%topic, %error, "queues of a topic stay behind"),
        }
    }
    Reply::ok()
}

/// 308: the least offset of all other groups, where it tells that the compared group is ahead.
pub fn correction_offset(broker: &Broker, header: &CorrectionOffset<'_>) -> Reply {
    let left_out: Vec<&str> = header.filter_groups.unwrap_or("").split(',').collect();
    let groups = broker.offsets.groups_of(header.topic).into_iter();
    let others: Vec<BTreeMap<i32, i64>> = groups
        .filter(|group| !left_out.contains(&group.as_str()))
        .map(|group| broker.offsets.committed_of(&group, header.topic))
        .collect();
    let compared = broker.offsets.committed_of(header.compare_group, header.topic);
    let least = |queue| broker.min_offset(header.topic, queue);
    let mut body = CorrectionOffsets::default();
    body.correction_offsets.extend(reset::corrections(&others, &compared, least));
    json(&body)
}

/// 353: whether a group may read a topic; with `readable` it is set.
pub fn forbidden(broker: &Broker, cx: &Cx, header: &GroupForbiddenOf<'_>) -> Outcome {
    if let Some(readable) = header.readable {
        // The reference also takes groups that it does not know; their number would have no limit.
        if broker.groups.get(header.group).is_none() {
            return no_group(header.group).into();
        }
        if broker.groups.forbid(header.group, header.topic, !readable, cx.now_ms) {
            broker.persist.groups_changed();
        }
    }
    let reply = json(&GroupForbidden {
        group: header.group.to_owned(),
        readable: !broker.groups.is_forbidden(header.group, header.topic),
        topic: header.topic.to_owned(),
    });
    if header.readable.is_some() { Outcome::Persisted(reply) } else { reply.into() }
}

/// 906: who is master and how far. A broker that is asked without an address tells its own; it
/// follows nobody, so an address that it is told changes nothing.
pub fn exchange_ha(broker: &Broker, header: &ExchangeHa<'_>) -> Reply {
    if header.ha_addr.is_some_and(|addr| !addr.is_empty()) {
        return Reply::ok();
    }
    let flushed = broker.store.positions().flushed.0 as i64;
    let fields = Fields::new()
        .text("masterAddress", broker.addr_text().to_owned())
        .text("masterHaAddress", broker.ha_addr_text())
        .int("masterFlushOffset", flushed);
    Reply::fields(fields)
}

/// 513: a topic over several brokers.
pub fn static_topic() -> Reply {
    Reply::error("static topics are not supported")
}

/// 1007: epochs exist under a controller only.
pub fn broker_epoch() -> Reply {
    Reply::error("this request only for controllerMode ")
}

/// 5001: there is one timer engine, the wheel in files.
pub fn switch_timer(header: &SwitchTimerEngine<'_>) -> Reply {
    if header.engine == Some("F") {
        return Reply { remark: Some("switch timer engine success".into()), ..Reply::ok() };
    }
    let remark = "only timer engine F, the wheel in files, is there";
    Reply::refuse(response_code::INVALID_PARAMETER, remark)
}
