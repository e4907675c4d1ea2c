//! `mqdeck dlq resend`: the dialog's check, then copy by copy (console-ux.md §7.3).

use serde_json::json;
use tui::data::dead::Letter;
use tui::data::plan::{ItemOutcome, Reader, ResendAsk, ResendPlan, ResendRun, ResendTo, Twice};
use tui::hands::Ended;
use tui::model::confirm::Risk;
use tui::model::resend::order;

use super::{Selected, id};
use crate::args::{Letters, Resend};
use crate::cmd::session::Session;
use crate::cmd::sure::{self, Change};
use crate::output::{self, Code, advised, fault, usage};
use tui::sheet::{self, Cell, Column, Form, Sheet};

/// A letter, what was found out about it, and how its copy ended.
struct Row {
    id: String,
    keys: String,
    to: String,
    before: String,
    sent: bool,
    outcome: Option<ItemOutcome>,
}

const COLUMNS: &[Column<Row>] = &[
    Column { field: "id", title: "ID", cell: |r| Cell::Text(r.id.clone()) },
    Column { field: "keys", title: "KEYS", cell: |r| Cell::Text(r.keys.clone()) },
    Column { field: "to", title: "TO", cell: |r| Cell::Text(r.to.clone()) },
    Column { field: "before", title: "BEFORE", cell: |r| Cell::Text(r.before.clone()) },
    Column { field: "chosen", title: "CHOSEN", cell: |r| Cell::Flag(r.sent) },
    Column {
        field: "result",
        title: "RESULT",
        cell: |r| {
            Cell::Text(match (&r.outcome, r.sent) {
                (Some(outcome), _) => outcome.text(),
                (None, true) => String::new(),
                (None, false) => "left out".to_owned(),
            })
        },
    },
];

/// Sends copies of letters back.
pub fn run(session: &Session, resend: &Resend) -> anyhow::Result<Code> {
    let Some(group) = &resend.group else { return Err(usage("--group is needed")) };
    let to = target(&resend.to)?;
    let mut hands = session.hands()?;
    let wanted = Letters {
        group: group.clone(),
        filter: resend.filter.clone(),
        ids: resend.ids.clone(),
        limit: resend.limit,
    };
    let Selected { letters, gone } = super::select(session, &wanted)?;
    let ask = ResendAsk { group: group.as_str().into(), letters: letters.into(), to };
    let plan = hands.check_resend(ask).map_err(|why| output::problem(&why))?;
    let order = order(&plan.ask.letters, &plan.twice, !resend.again, !resend.newest_first);
    possible(&plan, resend, &order)?;
    let change = change(&plan, group, &order);
    if resend.sure.dry_run {
        report(session.form, &plan, &order, None, change.risk.number())?;
        return Ok(Code::Done);
    }
    sure::confirm(session, &change, &resend.sure)?;
    let run = ResendRun {
        ask: plan.ask.clone(),
        retry_topic: plan.retry_topic.clone(),
        order: order.clone(),
        keep_id: !resend.new_ids,
        per_second: resend.rate,
        stop_after: resend.stop_after,
    };
    let ended = hands.run_resend(run, change.note());
    report(session.form, &plan, &order, Some(&ended), change.risk.number())?;
    if let Some(why) = &ended.stopped {
        output::tell(&format!("mqdeck: stopped: {why}"));
    }
    Ok(verdict(session, &ended, gone.len()))
}

/// What `--to` names.
pub fn target(text: &str) -> anyhow::Result<ResendTo> {
    match text.split_once(':') {
        None if text == "group" => Ok(ResendTo::Group),
        None if text == "origin" => Ok(ResendTo::Origin),
        Some(("topic", topic)) if !topic.is_empty() => Ok(ResendTo::Topic(topic.to_owned())),
        _ => Err(usage(format!("--to {text}: write group, origin or topic:NAME"))),
    }
}

fn possible(plan: &ResendPlan, resend: &Resend, order: &[usize]) -> anyhow::Result<()> {
    match (&plan.ask.to, &plan.reader) {
        (ResendTo::Group, Reader::Never(why)) => {
            return Err(advised(Code::Refused, why.clone(), "--to origin reaches every group"));
        }
        (ResendTo::Group, Reader::Unknown(why))
            if !resend.reader_unknown && !resend.sure.dry_run =>
        {
            return Err(advised(
                Code::Refused,
                format!(
                    "it is not known whether {} reads {}: {why}",
                    plan.ask.group, plan.retry_topic
                ),
                "--reader-unknown goes on all the same",
            ));
        }
        _ => {}
    }
    if order.is_empty() {
        let n = plan.ask.letters.len();
        return Err(advised(
            Code::Nothing,
            format!("nothing is left to send: all {n} letters were sent back before"),
            "--again sends them once more",
        ));
    }
    Ok(())
}

fn change<'a>(plan: &ResendPlan, group: &'a str, order: &[usize]) -> Change<'a> {
    let letters = &plan.ask.letters;
    let to = match &plan.ask.to {
        ResendTo::Group => format!("group {group}"),
        ResendTo::Origin => "their origin topics".to_owned(),
        ResendTo::Topic(topic) => format!("topic {topic}"),
    };
    Change {
        action: "resend",
        risk: if letters.len() == 1 { Risk::One } else { Risk::Two },
        name: group,
        targets: order.iter().map(|at| letters[*at].key()).collect(),
        preview: format!("resend {} of {} letters to {to}", order.len(), letters.len()),
    }
}

fn to_of(plan: &ResendPlan, letter: &Letter) -> String {
    match &plan.ask.to {
        ResendTo::Group => plan.retry_topic.clone(),
        ResendTo::Origin => letter.origin.to_string(),
        ResendTo::Topic(topic) => topic.clone(),
    }
}

fn before(twice: &Twice) -> String {
    match twice {
        Twice::No => "–".to_owned(),
        Twice::Sent(history) => format!("sent: {history}"),
        Twice::DiedAgain(text) => text.clone(),
        Twice::OnItsWay => "on its way from another machine".to_owned(),
        Twice::NotChecked => "not checked".to_owned(),
    }
}

fn report(
    form: Form,
    plan: &ResendPlan,
    order: &[usize],
    ended: Option<&Ended>,
    risk: u8,
) -> anyhow::Result<()> {
    let row = |at: usize| {
        let letter = &plan.ask.letters[at];
        let place = order.iter().position(|chosen| *chosen == at);
        Row {
            id: id(letter),
            keys: letter.message.keys.clone(),
            to: to_of(plan, letter),
            before: plan.twice.get(at).map(before).unwrap_or_default(),
            sent: place.is_some(),
            outcome: place.and_then(|place| ended?.items.get(place).cloned()),
        }
    };
    let left = (0..plan.ask.letters.len()).filter(|at| !order.contains(at));
    let rows: Vec<Row> = order.iter().copied().chain(left).map(row).collect();
    let table = Sheet::new(COLUMNS, &rows);
    if form != Form::Json {
        output::print(&table.text(form))?;
        if form == Form::Table && ended.is_none() {
            output::print(&format!("{}\n", reader(plan)))?;
        }
        return Ok(());
    }
    let count = |is: fn(&ItemOutcome) -> bool| {
        ended.map(|ended| ended.items.iter().filter(|item| is(item)).count())
    };
    let letters = &plan.ask.letters;
    output::print(&sheet::pretty(&json!({
        "group": *plan.ask.group,
        "selected": letters.len(),
        "chosen": order.len(),
        "left_out": letters.len() - order.len(),
        "bytes": letters.iter().map(|letter| letter.message.body.len()).sum::<usize>(),
        "reader": reader(plan),
        "risk": risk,
        "dry_run": ended.is_none(),
        "sent": count(|item| matches!(item, ItemOutcome::Done(_))),
        "gone": count(|item| matches!(item, ItemOutcome::Gone)),
        "failed": count(|item| matches!(item, ItemOutcome::Refused(_))),
        "unknown": count(|item| matches!(item, ItemOutcome::Unknown(_))),
        "stopped": ended.and_then(|ended| ended.stopped.clone()),
        "letters": table.rows.iter().map(|row| table.object(row)).collect::<Vec<_>>(),
    })))?;
    Ok(())
}

/// Who reads the copies, in one line.
fn reader(plan: &ResendPlan) -> String {
    match (&plan.ask.to, &plan.reader) {
        (ResendTo::Group, Reader::Listed { members, of }) => {
            format!("{}: {members} of {of} members list it", plan.retry_topic)
        }
        (ResendTo::Group, Reader::Unknown(why)) => {
            format!("{}: reader unknown, {why}", plan.retry_topic)
        }
        (ResendTo::Group, Reader::Never(why)) => format!("{}: {why}", plan.retry_topic),
        (ResendTo::Topic(topic), _) => format!("{topic}: every group that reads it"),
        (ResendTo::Origin, _) => {
            let each = plan.origins.iter().map(|(topic, letters, groups)| {
                let groups: Vec<&str> = groups.iter().map(AsRef::as_ref).collect();
                format!("{topic} {letters}, read by {}", groups.join(", "))
            });
            each.collect::<Vec<_>>().join("; ")
        }
    }
}

fn verdict(session: &Session, ended: &Ended, gone: usize) -> Code {
    let sent = ended.items.iter().filter(|item| matches!(item, ItemOutcome::Done(_))).count();
    let unknown = ended.items.iter().any(|item| matches!(item, ItemOutcome::Unknown(_)));
    if session.is_interrupted() && sent < ended.items.len() {
        Code::Interrupted
    } else if sent == ended.items.len() && gone == 0 {
        Code::Done
    } else if sent == 0 && !unknown {
        Code::Failed
    } else {
        Code::Partly
    }
}

/// The refusal of a target that was not found.
pub fn no_origin(id: &str) -> anyhow::Error {
    fault(Code::Nothing, format!("{id} does not say which topic it came from"))
}
