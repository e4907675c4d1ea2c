//! `mqdeck replay …`: the dialog's plan, run queue by queue (console-ux.md §7.2).

mod undo;

use std::fmt::Write;

use engine::protocol::names;
use serde_json::{Value, json};
use tui::data::plan::{ItemOutcome, ReplayAsk, ReplayPath, ReplayPlan, ReplayRow, ReplayTo};
use tui::data::{Fig, Name};
use tui::hands::Ended;
use tui::model::clock::Zone;
use tui::model::format;
use tui::model::replay::{Totals, repeat_time, risk, totals};
use tui::model::time_field::{self, When};

use super::session::Session;
use super::sure::{self, Change};
use crate::args::{Replay, ReplayAction};
use crate::output::{self, Code, advised, fault, usage};
use tui::sheet::{self, Cell, Column, Form, Sheet};

/// A queue and how moving it ended.
struct Row {
    plan: ReplayRow,
    outcome: Option<ItemOutcome>,
}

const COLUMNS: &[Column<Row>] = &[
    Column { field: "topic", title: "TOPIC", cell: |r| Cell::Text(r.plan.topic.to_string()) },
    Column { field: "broker", title: "BROKER", cell: |r| Cell::Text(r.plan.broker.to_string()) },
    Column { field: "queue", title: "Q", cell: |r| Cell::Number(r.plan.queue.into()) },
    Column { field: "now", title: "NOW AT", cell: |r| Cell::Count(r.plan.now.clone()) },
    Column { field: "target", title: "WILL BE AT", cell: |r| Cell::Count(r.plan.target.clone()) },
    Column { field: "again", title: "AGAIN", cell: |r| Cell::Count(r.plan.again.clone()) },
    Column { field: "skipped", title: "SKIPPED", cell: |r| Cell::Count(r.plan.skipped.clone()) },
    Column { field: "lag_now", title: "LAG NOW", cell: |r| Cell::Count(r.plan.lag_now.clone()) },
    Column {
        field: "lag_after",
        title: "LAG AFTER",
        cell: |r| Cell::Count(r.plan.lag_after.clone()),
    },
    Column { field: "note", title: "NOTE", cell: |r| Cell::Text(r.plan.note.clone()) },
    Column {
        field: "result",
        title: "",
        cell: |r| match &r.outcome {
            Some(outcome) => Cell::Words(Fig::Known(outcome.text())),
            None => Cell::Words(Fig::none("nothing was run")),
        },
    },
];

/// Plans a replay, and runs it when it is confirmed.
pub fn run(session: &Session, replay: &Replay) -> anyhow::Result<Code> {
    if let Some(ReplayAction::Undo { job, sure }) = &replay.action {
        return undo::run(session, *job, sure);
    }
    let (Some(group), Some(to)) = (replay.group.as_deref(), replay.to.as_deref()) else {
        return Err(usage("--group and --to are needed"));
    };
    let mut hands = session.hands()?;
    let ask = ask(session, replay, group, to)?;
    let plan = hands.plan_replay(ask).map_err(|why| output::problem(&why))?;
    possible(replay, group, &plan)?;
    let sums = totals(&plan);
    let risk = risk(&plan.ask.to, Some(&plan));
    let change = Change {
        action: "replay",
        risk,
        name: group,
        targets: plan
            .rows
            .iter()
            .map(|r| format!("{}:{}:{}", r.topic, r.broker, r.queue))
            .collect(),
        preview: format!("replay {group}: {}", sentence(&sums, &plan)),
    };
    if replay.sure.dry_run {
        print(session.form, &plan, &sums, None, risk.number())?;
        return Ok(Code::Done);
    }
    if session.form == Form::Table && !replay.sure.yes {
        print(session.form, &plan, &sums, None, risk.number())?;
    }
    sure::confirm(session, &change, &replay.sure)?;
    let ended = hands.run_replay(plan.clone(), change.note());
    print(session.form, &plan, &sums, Some(&ended), risk.number())?;
    if let Some(job) = ended.job {
        output::tell(&format!("mqdeck: job {job}; `mqdeck replay undo {job}` takes it back"));
    }
    Ok(verdict(session, &ended))
}

fn ask(session: &Session, replay: &Replay, group: &str, to: &str) -> anyhow::Result<ReplayAsk> {
    let now = session.cluster.now_ms();
    let to = match to.strip_prefix("offset:") {
        Some(offset) => {
            let offset = offset.parse::<u32>().ok().map(i64::from).or_else(|| offset.parse().ok());
            let Some(offset) = offset.filter(|offset| *offset >= 0) else {
                return Err(usage(format!("--to {to}: no offset in it")));
            };
            if replay.queue.len() != 1 || replay.topic.len() != 1 {
                return Err(usage("--to offset:N moves one queue: name --topic and --queue"));
            }
            ReplayTo::Offset(offset)
        }
        None => match time_field::parse(to, now, Zone::Machine) {
            Ok(When::At(ms)) => ReplayTo::Time(ms),
            Ok(When::Start) => ReplayTo::Start,
            Ok(When::End) => ReplayTo::End,
            Err(error) => return Err(usage(format!("--to {to}: {error}"))),
        },
    };
    let topics: Vec<Name> = replay.topic.iter().map(|topic| topic.as_str().into()).collect();
    Ok(ReplayAsk {
        group: group.into(),
        queues: queues(session, replay, group, &topics)?,
        topics,
        to,
        leave_out: replay.leave_out.iter().map(|broker| broker.as_str().into()).collect(),
    })
}

/// The queues named, on each of the topics.
fn queues(
    session: &Session,
    replay: &Replay,
    group: &str,
    topics: &[Name],
) -> anyhow::Result<Vec<(Name, Name, i32)>> {
    if replay.queue.is_empty() {
        return Ok(Vec::new());
    }
    let topics: Vec<Name> = if topics.is_empty() {
        let all = session.wait(engine::client::replay::topics_of(&session.cluster, group))?;
        all.iter().map(|topic| topic.as_str().into()).collect()
    } else {
        topics.to_vec()
    };
    let mut queues = Vec::new();
    for text in &replay.queue {
        let parts = text.rsplit_once(':');
        let Some((broker, number)) = parts.and_then(|(b, q)| Some((b, q.parse::<i32>().ok()?)))
        else {
            return Err(usage(format!("--queue {text}: write BROKER:NUMBER")));
        };
        queues.extend(topics.iter().map(|topic| (topic.clone(), broker.into(), number)));
    }
    Ok(queues)
}

/// What stands against running it.
fn possible(replay: &Replay, group: &str, plan: &ReplayPlan) -> anyhow::Result<()> {
    let left_out = |broker: &Name| replay.leave_out.iter().any(|left| **left == **broker);
    if let Some(silent) = plan.silent.iter().find(|broker| !left_out(broker)) {
        return Err(advised(
            Code::Unreachable,
            format!("{silent} does not answer, so its queues are not known"),
            format!("--leave-out {silent} goes on without it"),
        ));
    }
    if plan.rows.is_empty() {
        let what = if replay.topic.is_empty() { "has no offsets" } else { "has no such queue" };
        return Err(fault(Code::Nothing, format!("group {group:?} {what}")));
    }
    match &plan.path {
        ReplayPath::Blocked(why) => Err(fault(Code::Refused, why.clone())),
        ReplayPath::ServerSide | ReplayPath::Offline => Ok(()),
    }
}

fn sentence(sums: &Totals, plan: &ReplayPlan) -> String {
    let count = |fig: &Fig<u64>| fig.text(|n| format::count(*n));
    format!(
        "{} messages again ({}), {} skipped, lag {} becomes {}",
        count(&sums.again),
        plan.filter,
        count(&sums.skipped),
        count(&sums.lag_now),
        count(&sums.lag_after)
    )
}

fn verdict(session: &Session, ended: &Ended) -> Code {
    let well = |item: &ItemOutcome| matches!(item, ItemOutcome::Done(_) | ItemOutcome::Unchanged);
    let done = ended.items.iter().filter(|item| well(item)).count();
    if session.is_interrupted() && done < ended.items.len() {
        Code::Interrupted
    } else if done == ended.items.len() {
        Code::Done
    } else if done == 0 && !ended.items.iter().any(|i| matches!(i, ItemOutcome::Unknown(_))) {
        Code::Failed
    } else {
        Code::Partly
    }
}

fn print(
    form: Form,
    plan: &ReplayPlan,
    sums: &Totals,
    ended: Option<&Ended>,
    risk: u8,
) -> anyhow::Result<()> {
    let rows: Vec<Row> = plan
        .rows
        .iter()
        .enumerate()
        .map(|(at, row)| Row {
            plan: row.clone(),
            outcome: ended.and_then(|ended| ended.items.get(at).cloned()),
        })
        .collect();
    let mut table = Sheet::new(COLUMNS, &rows);
    if ended.is_some()
        && let Some(column) = table.columns.last_mut()
    {
        column.1 = "RESULT";
    }
    let text = match form {
        Form::Table => {
            let repeat = repeat_time(&sums.again, &plan.out_rate);
            let mut text = table.text(Form::Table);
            let sums = sentence(sums, plan);
            // Writing to a string does not fail.
            let _ = writeln!(text, "{sums}\nthe repeated part alone: {repeat}");
            if let Some(why) = ended.and_then(|ended| ended.stopped.as_ref()) {
                let _ = writeln!(text, "stopped: {why}");
            }
            text
        }
        Form::Json => sheet::pretty(&whole(plan, sums, ended, risk, &table)),
        Form::Jsonl | Form::Csv => table.text(form),
        Form::Name => {
            let name = |r: &Row| format!("{}:{}:{}", r.plan.topic, r.plan.broker, r.plan.queue);
            rows.iter().map(name).collect::<Vec<_>>().join("\n") + "\n"
        }
    };
    output::print(&text)?;
    Ok(())
}

fn whole(
    plan: &ReplayPlan,
    sums: &Totals,
    ended: Option<&Ended>,
    risk: u8,
    table: &Sheet,
) -> Value {
    let to = match &plan.ask.to {
        ReplayTo::Time(ms) => json!({"time": sheet::iso(*ms), "time_ms": ms}),
        ReplayTo::Offset(offset) => json!({"offset": offset}),
        ReplayTo::Start => json!("start"),
        ReplayTo::End => json!("end"),
    };
    let path = match &plan.path {
        ReplayPath::ServerSide => "server-side",
        ReplayPath::Offline => "offline",
        ReplayPath::Blocked(_) => "blocked",
    };
    let sums = Sheet {
        columns: vec![("again", ""), ("skipped", ""), ("lag_now", ""), ("lag_after", "")],
        rows: vec![vec![
            Cell::Count(sums.again.clone()),
            Cell::Count(sums.skipped.clone()),
            Cell::Count(sums.lag_now.clone()),
            Cell::Count(sums.lag_after.clone()),
        ]],
    };
    let mut object = sums.object(&sums.rows[0]);
    object["group"] = json!(*plan.ask.group);
    object["retry_topic"] = json!(names::retry_topic(&plan.ask.group));
    object["topics"] = plan.ask.topics.iter().map(|topic| json!(**topic)).collect();
    object["to"] = to;
    object["path"] = json!(path);
    object["filter"] = json!(plan.filter);
    object["risk"] = json!(risk);
    object["dry_run"] = json!(ended.is_none());
    object["queues"] = table.rows.iter().map(|row| table.object(row)).collect();
    object["left_out"] = plan.silent.iter().map(|broker| json!(**broker)).collect();
    if let Some(ended) = ended {
        object["stopped"] = json!(ended.stopped);
        object["job"] = json!(ended.job);
    }
    object
}
