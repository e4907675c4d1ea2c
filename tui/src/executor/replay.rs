//! Replay: plan, run queue by queue, read back (admin.md §5 e).

use std::sync::Arc;

use engine::client::replay::{self, Outcome, QueuePlan, Target, Way};
use engine::protocol::names;

use super::Executor;
use crate::data::plan::{ItemOutcome, ReplayAsk, ReplayPath, ReplayPlan, ReplayRow, ReplayTo};
use crate::data::{Fig, Name};
use crate::effect::{AuditNote, Steer};
use crate::event::{Event, Ticket};
use crate::journal::{Item, Moved};
use crate::model::clock::Zone;

/// Plans and answers.
pub async fn plan(me: &Executor, ticket: Ticket, ask: ReplayAsk) {
    let result = planned(me, ask).await;
    me.tell(Event::ReplayPlanned(ticket, me.answer(result).map(Box::new)));
}

async fn planned(
    me: &Executor,
    mut ask: ReplayAsk,
) -> Result<ReplayPlan, engine::client::ClientError> {
    let cluster = &me.cluster;
    let known = replay::topics_of(cluster, &ask.group).await?;
    if ask.topics.is_empty() {
        ask.topics = known.iter().map(|t| t.as_str().into()).collect();
    }
    let target = match ask.to {
        ReplayTo::Time(ms) => Target::Time(ms),
        ReplayTo::Offset(offset) => Target::Offset(offset),
        ReplayTo::Start => Target::First,
        ReplayTo::End => Target::End,
    };
    let topics: Vec<String> = ask.topics.iter().map(ToString::to_string).collect();
    let mut found = replay::plan(cluster, &ask.group, &topics, target).await?;
    found.queues.retain(|queue| is_asked(&ask, queue));
    let mut rows = Vec::new();
    for queue in &found.queues {
        rows.push(row(me, queue).await);
    }
    let silent: Vec<Name> = {
        let mut names: Vec<Name> =
            found.unknown.iter().map(|u| u.broker_name.as_str().into()).collect();
        names.dedup();
        names
    };
    let retry = names::retry_topic(&ask.group);
    let queues_of =
        |topic: &str| found.queues.iter().filter(|q| q.queue.topic == topic).count() as u32;
    let mut offered: Vec<(Name, u32)> =
        known.iter().map(|t| (t.as_str().into(), queues_of(t))).collect();
    offered.push((retry.as_str().into(), queues_of(&retry).max(1)));
    let known_rows = rows.iter().filter(|r| r.again.value().is_some()).count() as u32;
    Ok(ReplayPlan {
        path: path(&found.queues),
        known: known_rows,
        of: rows.len() as u32 + silent.len() as u32,
        topics: offered,
        rows,
        computed_ms: cluster.now_ms(),
        in_rate: Fig::Few,
        out_rate: Fig::Few,
        filter: filter(me, &ask).await,
        silent,
        ask,
    })
}

/// Whether a queue is among those named, when some are.
fn is_asked(ask: &ReplayAsk, plan: &QueuePlan) -> bool {
    let queue = &plan.queue;
    ask.queues.is_empty()
        || ask.queues.iter().any(|(topic, broker, number)| {
            **topic == *queue.topic && **broker == *queue.broker_name && *number == queue.queue_id
        })
}

fn path(queues: &[QueuePlan]) -> ReplayPath {
    if let Some(q) = queues.iter().find(|q| q.way == Way::MembersOnline) {
        return ReplayPath::Blocked(format!(
            "{} moves single queues only while no member is online",
            q.queue.broker_name
        ));
    }
    if queues.is_empty() {
        return ReplayPath::Blocked("no queue of these topics was found".to_owned());
    }
    if queues.iter().any(|q| q.way == Way::Commit) {
        ReplayPath::Offline
    } else {
        ReplayPath::ServerSide
    }
}

/// What the members take of the topics.
async fn filter(me: &Executor, ask: &ReplayAsk) -> String {
    let Ok(info) = me.cluster.cluster_info().await else { return "filter unknown".to_owned() };
    for data in info.broker_addr_table.values() {
        let Some(addr) = data.master() else { continue };
        let Ok(Some(members)) = me.cluster.consumer_connections(addr, &ask.group).await else {
            continue;
        };
        for topic in &ask.topics {
            if let Some(s) = members.subscription_table.get(&**topic)
                && s.sub_string != "*"
                && !s.sub_string.is_empty()
            {
                return format!("at most: the group takes {}", s.sub_string);
            }
        }
        return "the group takes all tags".to_owned();
    }
    "nobody is online: filter unknown".to_owned()
}

async fn row(me: &Executor, queue: &QueuePlan) -> ReplayRow {
    let count = |v: Option<i64>, why: &'static str| {
        v.and_then(|v| u64::try_from(v).ok()).map_or(Fig::unknown(why), Fig::Known)
    };
    let r = &queue.row;
    let lag = |from: Option<i64>| from.map(|at| (queue.max - at).max(0));
    let never = "nothing stored for this queue";
    ReplayRow {
        topic: queue.queue.topic.as_str().into(),
        broker: queue.queue.broker_name.as_str().into(),
        queue: queue.queue.queue_id,
        now: count(r.now, never),
        target: count(Some(r.target), "the target is not known"),
        again: count(r.again, never),
        skipped: count(r.skipped, never),
        lag_now: count(lag(r.now), never),
        lag_after: count(lag(Some(r.target)), "the target is not known"),
        note: note(me, queue).await,
        source: Some(Arc::new(queue.clone())),
    }
}

async fn note(me: &Executor, queue: &QueuePlan) -> String {
    let r = &queue.row;
    match r.now {
        None => return "never committed here".to_owned(),
        Some(now) if now == r.target => return "already there".to_owned(),
        Some(now) if now > queue.max => return "position beyond the end".to_owned(),
        Some(_) => {}
    }
    if r.target >= queue.max {
        return "the end: nothing again".to_owned();
    }
    match replay::first_message(&me.cluster, queue).await {
        Ok(Some(m)) if r.target == queue.min => {
            format!("first kept {}", Zone::Machine.hms(m.store_ms))
        }
        Ok(Some(m)) => format!("first {}", Zone::Machine.hms(m.store_ms)),
        Ok(None) => "first message ?".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Moves the queues one after the other. The first outcome that is not known stops the rest.
pub async fn run(me: &Executor, ticket: Ticket, plan: &ReplayPlan, note: &AuditNote) {
    if !me.audit_start(ticket, note) {
        me.tell(Event::ReplayDone(
            ticket,
            Some("not started: the audit file cannot be written".to_owned()),
        ));
        return;
    }
    let Some(mut job) = me.begin_job(note, &plan.ask.group, items(plan)) else {
        me.audit_end(ticket, note, "not started: the job cannot be journaled");
        let why = "not started: the job cannot be journaled".to_owned();
        me.tell(Event::ReplayDone(ticket, Some(why)));
        return;
    };
    let mut stopped = None;
    let mut moved = 0;
    for (index, row) in plan.rows.iter().enumerate() {
        if me.steer(ticket) == Some(Steer::Stop) {
            stopped = Some("by you".to_owned());
        }
        let outcome = match (&stopped, &row.source) {
            (Some(_), _) | (_, None) => ItemOutcome::NotTried,
            (None, Some(source)) if source.row.now == Some(source.row.target) => {
                ItemOutcome::Unchanged
            }
            (None, Some(source)) => {
                me.step(&mut job, index, None);
                outcome(replay::run(&me.cluster, &plan.ask.group, source).await)
            }
        };
        match &outcome {
            ItemOutcome::Done(_) => moved += 1,
            ItemOutcome::Unknown(why) => stopped = Some(why.clone()),
            _ => {}
        }
        me.step(&mut job, index, Some(&outcome));
        me.tell(Event::ReplayItem(ticket, index, outcome));
    }
    me.end_job(&mut job, &format!("{moved} of {} queues moved", plan.rows.len()));
    me.audit_end(ticket, note, &format!("{moved} of {} queues moved", plan.rows.len()));
    me.tell(Event::ReplayDone(ticket, stopped));
}

/// The queues as steps of a job.
fn items(plan: &ReplayPlan) -> Vec<Item> {
    let item = |row: &ReplayRow| Item {
        name: format!("{}:{}:{}", row.topic, row.broker, row.queue),
        moved: row.source.as_ref().map(|source| Moved {
            topic: row.topic.to_string(),
            broker: row.broker.to_string(),
            queue: row.queue,
            from: source.row.now,
            to: source.row.target,
        }),
    };
    plan.rows.iter().map(item).collect()
}

fn outcome(outcome: Outcome) -> ItemOutcome {
    match outcome {
        Outcome::Moved(at) => {
            ItemOutcome::Done(format!("at {}", crate::format::count(at.max(0) as u64)))
        }
        Outcome::Different { wanted, found } => ItemOutcome::Unknown(match found {
            Some(found) => format!("wanted {wanted}, the broker says {found}"),
            None => format!("wanted {wanted}, the broker says nothing"),
        }),
        Outcome::Nothing(_) => ItemOutcome::Unchanged,
        Outcome::Failed(error) if error.is_transport() => ItemOutcome::Unknown(error.to_string()),
        Outcome::Failed(error) => ItemOutcome::Refused(error.to_string()),
    }
}
