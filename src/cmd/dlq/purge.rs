//! `mqdeck dlq purge`: letters go for good, as far as the broker can (console-ux.md §7.4).

use engine::client::dead_letters::{self, DeadQueue};
use engine::client::figures::{Boundary, QueueAt};
use engine::protocol::names;
use tui::model::clock::Zone;
use tui::model::confirm::Risk;
use tui::model::time_field::{self, When};

use crate::args::Purge;
use crate::cmd::session::Session;
use crate::cmd::sure::{self, Change, Work};
use crate::cmd::topic::{dry, finish};
use crate::output::{Code, advised, fault, usage};

/// Extension by which a broker trims queues of dead letters.
const TRIM: &str = "trim";

/// One queue and its first letter that stays.
struct Cut {
    queue: DeadQueue,
    keep_from: i64,
}

/// Purges.
pub fn run(session: &Session, purge: &Purge) -> anyhow::Result<Code> {
    let group = purge.group.as_str();
    let dead = session.wait(dead_letters::of_group(&session.cluster, group))?;
    let before = before(session, purge)?;
    let mut cuts = Vec::new();
    let mut rigid = Vec::new();
    for queue in dead.queues {
        let runtime = session.wait(session.cluster.runtime(&queue.addr))?;
        if !runtime.has_extension(TRIM) {
            rigid.push(queue.queue.broker_name.clone());
        }
        let keep_from = match before {
            None => queue.max,
            Some(ms) => {
                let (topic, queue_id) = (&queue.queue.topic, queue.queue.queue_id);
                let at = QueueAt { addr: &queue.addr, topic, queue_id };
                let lower = session.wait(session.cluster.offset_at(at, ms, Boundary::Lower))?;
                lower.clamp(queue.min, queue.max)
            }
        };
        cuts.push(Cut { queue, keep_from });
    }
    cuts.retain(|cut| cut.keep_from > cut.queue.min);
    let gone: i64 = cuts.iter().map(|cut| cut.keep_from - cut.queue.min).sum();
    if gone == 0 {
        super::exists(session, group)?;
        return Err(fault(Code::Nothing, format!("{group} has no dead letter to purge")));
    }
    if let Some(broker) = rigid.first()
        && !purge.whole_topic
    {
        let hint = if before.is_some() {
            "without --before, --whole-topic deletes the topic of all its letters"
        } else {
            "--whole-topic deletes the topic of all its letters"
        };
        return Err(advised(Code::Refused, format!("{broker} cannot trim a queue"), hint));
    }
    let how = if rigid.is_empty() { "trim" } else { "delete the topic of" };
    let change = Change {
        action: "purge dead letters",
        risk: Risk::Three,
        name: group,
        targets: cuts
            .iter()
            .map(|cut| format!("{}:{}", cut.queue.queue.broker_name, cut.queue.queue.queue_id))
            .collect(),
        preview: format!("{how} {gone} dead letters of {group}; `dlq export` keeps them"),
    };
    if purge.sure.dry_run {
        return dry(session.form, &change);
    }
    sure::confirm(session, &change, &purge.sure)?;
    let items = if rigid.is_empty() { trims(session, cuts) } else { deletes(session, group)? };
    finish(session, &change, items)
}

fn before(session: &Session, purge: &Purge) -> anyhow::Result<Option<i64>> {
    let Some(text) = &purge.before else { return Ok(None) };
    match time_field::parse(text, session.cluster.now_ms(), Zone::Machine) {
        Ok(When::At(ms)) => Ok(Some(ms)),
        Ok(When::End) => Ok(None),
        Ok(When::Start) => Err(usage("--before start: nothing died before the first letter")),
        Err(error) => Err(usage(format!("--before {text}: {error}"))),
    }
}

fn trims(session: &Session, cuts: Vec<Cut>) -> Vec<(String, Work<'_>)> {
    let each = cuts.into_iter().map(|Cut { queue, keep_from }| {
        let name = format!("{}:{}", queue.queue.broker_name, queue.queue.queue_id);
        let work: Work<'_> = Box::new(move || {
            let (topic, queue_id) = (&queue.queue.topic, queue.queue.queue_id);
            let at = QueueAt { addr: &queue.addr, topic, queue_id };
            let done = session.wait(session.cluster.trim_dead_letters(at, keep_from));
            match done {
                Ok(min) => Ok(format!("{} gone, first kept is {min}", min - queue.min)),
                Err(error) => Err(error.to_string()),
            }
        });
        (name, work)
    });
    each.collect()
}

fn deletes<'a>(session: &'a Session, group: &'a str) -> anyhow::Result<Vec<(String, Work<'a>)>> {
    let mut items: Vec<(String, Work<'a>)> = Vec::new();
    for (name, addr) in session.masters(&[])? {
        let work = move || {
            let topic = names::dlq_topic(group);
            match session.wait(session.cluster.delete_topic(&addr, &topic)) {
                Ok(()) => Ok("deleted".to_owned()),
                Err(error) if error.is_refused_with(17) => Ok("was not there".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        };
        items.push((name, Box::new(work)));
    }
    let route = move || {
        let done = session.wait(session.cluster.delete_route(&names::dlq_topic(group), None));
        done.map(|()| "route deleted".to_owned()).map_err(|error| error.to_string())
    };
    items.push(("name servers".to_owned(), Box::new(route)));
    Ok(items)
}
