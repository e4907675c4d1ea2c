//! Resend: who reads the copies, what was sent before, then copy by copy (admin.md §5 d).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::client::dead_letters::{self, CopyId, Suggestion, Target};
use engine::client::{ClientError, SendStatus};

use super::Executor;
use crate::data::plan::{ItemOutcome, Reader, ResendAsk, ResendPlan, ResendRun, ResendTo, Twice};
use crate::data::{Letter, Name};
use crate::effect::{AuditNote, Steer};
use crate::event::{Event, Ticket};
use crate::journal::Item;
use crate::ledger::letter_name;
use crate::model::clock::Zone;
use crate::state_dir::LedgerLine;

/// Letters between two reports of the check.
const REPORT_EVERY: usize = 10;
/// Pause after each look-up: at most 200 requests a second.
const LOOKUP_PAUSE: Duration = Duration::from_millis(10);
/// How often a paused run looks whether it goes on.
const PAUSED: Duration = Duration::from_millis(200);

/// Checks and answers, with progress on the way.
pub async fn check(me: &Executor, ticket: Ticket, ask: ResendAsk) {
    let result = checked(me, ticket, ask).await;
    me.tell(Event::ResendChecked(ticket, me.answer(result).map(Box::new)));
}

async fn checked(me: &Executor, ticket: Ticket, ask: ResendAsk) -> Result<ResendPlan, ClientError> {
    let readers = dead_letters::readers(&me.cluster, &ask.group).await?;
    let (target, reader) = match readers.suggest(&ask.group) {
        Suggestion::Retry(target) => {
            let of = readers.members.len() as u32;
            (target, Reader::Listed { members: of, of })
        }
        Suggestion::OriginOnly => {
            let why = if readers.broadcasting { "broadcasting" } else { "order locks held" };
            let target = Target::Retry(engine::protocol::names::retry_topic(&ask.group));
            (target, Reader::Never(format!("not read by this group: {why}")))
        }
        Suggestion::ReaderUnknown(target) => {
            let why = if readers.members.is_empty() {
                "nobody is online"
            } else {
                "this client type does not tell"
            };
            (target, Reader::Unknown(why.to_owned()))
        }
    };
    let mut plan = ResendPlan {
        retry_topic: target.topic().to_owned(),
        reader,
        origins: origins(me, &ask.letters).await?,
        twice: vec![Twice::NotChecked; ask.letters.len()],
        checked: 0,
        checked_ms: me.cluster.now_ms(),
        complete: false,
        ask,
    };
    for i in 0..plan.ask.letters.len() {
        let letter = plan.ask.letters[i].clone();
        plan.twice[i] = twice(me, &letter, &topic_of(&plan, &letter)).await;
        plan.checked = i as u32 + 1;
        if i % REPORT_EVERY == REPORT_EVERY - 1 {
            me.tell(Event::ResendChecked(ticket, Ok(Box::new(plan.clone()))));
        }
    }
    plan.checked_ms = me.cluster.now_ms();
    plan.complete = true;
    Ok(plan)
}

fn topic_of(plan: &ResendPlan, letter: &Letter) -> String {
    match &plan.ask.to {
        ResendTo::Group => plan.retry_topic.clone(),
        ResendTo::Origin => letter.origin.to_string(),
        ResendTo::Topic(topic) => topic.clone(),
    }
}

/// Origin topics with the groups that read them.
async fn origins(
    me: &Executor,
    letters: &[Letter],
) -> Result<Vec<(Name, u32, Vec<Name>)>, ClientError> {
    let mut counts: BTreeMap<&Name, u32> = BTreeMap::new();
    for letter in letters {
        *counts.entry(&letter.origin).or_default() += 1;
    }
    let info = me.cluster.cluster_info().await?;
    let mut out = Vec::new();
    for (topic, count) in counts {
        let mut groups: BTreeSet<String> = BTreeSet::new();
        for data in info.broker_addr_table.values() {
            if let Some(addr) = data.master()
                && let Ok(found) = me.cluster.groups_of_topic(addr, topic).await
            {
                groups.extend(found);
            }
        }
        out.push((topic.clone(), count, groups.iter().map(|g| g.as_str().into()).collect()));
    }
    Ok(out)
}

/// Whether a letter was sent before: by this machine, or by a look at the target.
async fn twice(me: &Executor, letter: &Letter, topic: &str) -> Twice {
    if letter.again.sent > 0 {
        return Twice::Sent(letter.again.history.clone());
    }
    if letter.again.died > 0 {
        return Twice::DiedAgain("a copy that died again".to_owned());
    }
    let Some(source) = &letter.source else { return Twice::NotChecked };
    tokio::time::sleep(LOOKUP_PAUSE).await;
    match dead_letters::copies(&me.cluster, source, topic).await {
        Ok(copies) if copies.is_empty() => Twice::No,
        Ok(_) => Twice::OnItsWay,
        Err(ClientError::Refused { code: 17, .. }) => Twice::No,
        Err(_) => Twice::NotChecked,
    }
}

/// Sends the copies in order.
pub async fn run(me: &Executor, ticket: Ticket, run: &ResendRun, note: &AuditNote) {
    if !me.audit_start(ticket, note) {
        let why = "not started: the audit file cannot be written".to_owned();
        me.tell(Event::ResendDone(ticket, Some(why)));
        return;
    }
    let names = run.order.iter().filter_map(|at| run.ask.letters.get(*at)).map(Letter::key);
    let items = names.map(|name| Item { name, moved: None }).collect();
    let Some(mut job) = me.begin_job(note, &run.ask.group, items) else {
        me.audit_end(ticket, note, "not started: the job cannot be journaled");
        let why = "not started: the job cannot be journaled".to_owned();
        me.tell(Event::ResendDone(ticket, Some(why)));
        return;
    };
    let pause = Duration::from_micros(1_000_000 / u64::from(run.per_second.max(1)));
    let kept = kept(me, run).await;
    let (mut sent, mut in_a_row, mut stopped) = (0, 0, None);
    for (index, letter) in run.order.iter().enumerate() {
        if stopped.is_none() {
            stopped = wait(me, ticket).await;
        }
        let outcome = match (&stopped, run.ask.letters.get(*letter)) {
            (Some(_), _) | (_, None) => ItemOutcome::NotTried,
            (None, Some(letter)) if !is_kept(&kept, letter) => ItemOutcome::Gone,
            (None, Some(letter)) => {
                tokio::time::sleep(pause).await;
                me.step(&mut job, index, None);
                send(me, run, letter).await
            }
        };
        match &outcome {
            ItemOutcome::Done(_) => (sent, in_a_row) = (sent + 1, 0),
            ItemOutcome::Refused(_) | ItemOutcome::Unknown(_) => in_a_row += 1,
            _ => {}
        }
        if in_a_row >= run.stop_after && stopped.is_none() {
            stopped = Some(format!("{in_a_row} failures in a row"));
        }
        me.step(&mut job, index, Some(&outcome));
        me.tell(Event::ResendItem(ticket, index, outcome));
    }
    me.end_job(&mut job, &format!("{sent} of {} sent", run.order.len()));
    me.audit_end(ticket, note, &format!("{sent} of {} sent", run.order.len()));
    me.tell(Event::ResendDone(ticket, stopped));
    me.order(crate::poll::Order::Refresh);
}

/// Waits while paused; says why to stop.
async fn wait(me: &Executor, ticket: Ticket) -> Option<String> {
    loop {
        match me.steer(ticket) {
            Some(Steer::Stop) => return Some("by you".to_owned()),
            Some(Steer::Pause) => tokio::time::sleep(PAUSED).await,
            Some(Steer::Resume) | None => return None,
        }
    }
}

/// First offset kept of each queue of dead letters; nothing when that cannot be asked.
async fn kept(me: &Executor, run: &ResendRun) -> BTreeMap<(String, i32), i64> {
    let dead = dead_letters::of_group(&me.cluster, &run.ask.group).await;
    let queues = dead.map(|d| d.queues).unwrap_or_default();
    queues.into_iter().map(|q| ((q.queue.broker_name, q.queue.queue_id), q.min)).collect()
}

fn is_kept(kept: &BTreeMap<(String, i32), i64>, letter: &Letter) -> bool {
    let m = &letter.message;
    kept.get(&(m.broker.to_string(), m.queue)).is_none_or(|min| m.offset as i64 >= *min)
}

async fn send(me: &Executor, run: &ResendRun, letter: &Letter) -> ItemOutcome {
    let Some(source) = &letter.source else { return ItemOutcome::NotTried };
    let target = match &run.ask.to {
        ResendTo::Group => Target::Retry(run.retry_topic.clone()),
        ResendTo::Origin => Target::Origin(letter.origin.to_string()),
        ResendTo::Topic(topic) => Target::Origin(topic.clone()),
    };
    let id = if run.keep_id { CopyId::Same } else { CopyId::New };
    let outcome = match dead_letters::resend(&me.cluster, source, &target, id).await {
        Ok(result) => {
            let at = crate::format::count(result.queue_offset.max(0) as u64);
            let place = format!("{} q{} at {at}", result.queue.broker_name, result.queue.queue_id);
            ItemOutcome::Done(match result.status {
                SendStatus::Ok => place,
                SendStatus::FlushDiskTimeout => format!("{place}, not synced in time"),
                SendStatus::FlushSlaveTimeout => format!("{place}, no slave answered in time"),
                SendStatus::SlaveNotAvailable => format!("{place}, no slave in sync"),
            })
        }
        Err(error) if error.is_transport() => ItemOutcome::Unknown(error.to_string()),
        Err(error) => ItemOutcome::Refused(error.to_string()),
    };
    let result = match &outcome {
        ItemOutcome::Done(place) => format!("sent, {place}"),
        ItemOutcome::Unknown(why) => format!("not confirmed: {why}"),
        _ => return outcome,
    };
    let m = &letter.message;
    me.remember(LedgerLine {
        at_ms: me.cluster.now_ms(),
        letter: letter_name(&m.topic, &m.broker, m.queue, m.offset as i64),
        user: me.who.user.clone(),
        to: target.topic().to_owned(),
        result,
    });
    outcome
}

/// A line of the audit file for "last change", as of an earlier run.
pub fn last_change(line: &crate::state_dir::AuditLine) -> String {
    let at = Zone::Machine.date_hm(line.at_ms);
    format!("{at} {}: {}, {}", line.user, line.action, line.outcome)
}
