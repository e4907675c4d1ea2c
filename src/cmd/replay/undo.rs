//! `mqdeck replay undo`: old offsets back, queue by queue, where that delivers nothing again that the
//! group has had (console-ux.md §7.2).

use engine::client::replay::{self, Outcome, QueuePlan, Undo};
use engine::protocol::body::MessageQueue;
use tui::data::Fig;
use tui::journal::{Job, Stage};
use tui::model::confirm::Risk;

use crate::args::Sure;
use crate::cmd::session::Session;
use crate::cmd::sure::{self, Change, Work};
use crate::cmd::topic::{dry, print_items};
use crate::output::{self, Code, fault};
use tui::sheet::{Cell, Column, Form, Sheet};

/// One queue, and what an undo would do to it now.
struct Row {
    plan: QueuePlan,
    now: Option<i64>,
    undo: Undo,
}

const COLUMNS: &[Column<Row>] = &[
    Column { field: "topic", title: "TOPIC", cell: |r| Cell::Text(r.plan.queue.topic.clone()) },
    Column {
        field: "broker",
        title: "BROKER",
        cell: |r| Cell::Text(r.plan.queue.broker_name.clone()),
    },
    Column { field: "queue", title: "Q", cell: |r| Cell::Number(r.plan.queue.queue_id.into()) },
    Column { field: "moved_to", title: "MOVED TO", cell: |r| Cell::Number(r.plan.row.target) },
    Column { field: "now", title: "NOW AT", cell: |r| offset(r.now) },
    Column { field: "back_to", title: "BACK TO", cell: |r| offset(r.plan.row.now) },
    Column {
        field: "undo",
        title: "UNDO",
        cell: |r| {
            Cell::Text(
                match r.undo {
                    Undo::Back(_) => "back",
                    Undo::Passed => "nothing to undo: passed",
                    Undo::Moved => "nothing to undo: moved by somebody else",
                }
                .to_owned(),
            )
        },
    },
];

fn offset(at: Option<i64>) -> Cell {
    let at = at.and_then(|at| u64::try_from(at).ok());
    Cell::Count(at.map_or(Fig::unknown("nothing stored"), Fig::Known))
}

/// Takes a replay back.
pub fn run(session: &Session, number: u64, sure: &Sure) -> anyhow::Result<Code> {
    let mut hands = session.hands()?;
    let journal = hands.journal()?;
    let Some(job) = journal.read(number)?.filter(|job| job.plan.action == "replay") else {
        return Err(fault(Code::Nothing, format!("there is no replay {number}")));
    };
    if job.plan.context != session.target.name {
        let of = &job.plan.context;
        return Err(fault(Code::Refused, format!("job {number} was of {of}, not of this cluster")));
    }
    let rows = session.wait(rows(session, &job))?;
    let group = job.plan.group.as_str();
    let back = rows.iter().filter(|row| matches!(row.undo, Undo::Back(_))).count();
    let change = Change {
        action: "undo replay",
        risk: Risk::Two,
        name: group,
        targets: rows.iter().map(|row| name(&row.plan)).collect(),
        preview: format!("undo job {number}: {back} of {} queues of {group} go back", rows.len()),
    };
    if back == 0 {
        output::print(&Sheet::new(COLUMNS, &rows).text(session.form))?;
        return Err(fault(Code::Nothing, format!("nothing to undo in job {number}")));
    }
    if sure.dry_run {
        if session.form != Form::Table {
            output::print(&Sheet::new(COLUMNS, &rows).text(session.form))?;
            return Ok(Code::Done);
        }
        output::print(&Sheet::new(COLUMNS, &rows).text(Form::Table))?;
        return dry(session.form, &change);
    }
    sure::confirm(session, &change, sure)?;
    let items = rows.iter().filter(|row| matches!(row.undo, Undo::Back(_))).map(|row| {
        let work: Work<'_> = Box::new(move || {
            match session.wait(replay::undo(&session.cluster, group, &row.plan)) {
                Outcome::Moved(at) => Ok(format!("back at {at}")),
                Outcome::Nothing(_) => Ok("nothing to undo any more".to_owned()),
                Outcome::Different { wanted, found } => {
                    Err(format!("wanted {wanted}, the broker says {found:?}"))
                }
                Outcome::Failed(error) => Err(error.to_string()),
            }
        });
        (name(&row.plan), work)
    });
    let (done, code) = sure::run(session, &mut hands, &change, items.collect())?;
    if code == Code::Done {
        journal.undone(number, session.cluster.now_ms())?;
    }
    print_items(session.form, &done, code)
}

fn name(plan: &QueuePlan) -> String {
    let queue = &plan.queue;
    format!("{}:{}:{}", queue.topic, queue.broker_name, queue.queue_id)
}

/// The queues that the job moved, or may have moved.
async fn rows(session: &Session, job: &Job) -> Result<Vec<Row>, engine::client::ClientError> {
    let cluster = &session.cluster;
    let info = cluster.cluster_info().await?;
    let mut rows = Vec::new();
    for (item, (stage, _)) in job.plan.items.iter().zip(&job.steps) {
        let Some(moved) = &item.moved else { continue };
        let Some(from) = moved.from.filter(|from| *from != moved.to) else { continue };
        if !matches!(stage, Stage::Done | Stage::Unknown | Stage::Begun) {
            continue;
        }
        let data = info.broker_addr_table.get(&moved.broker);
        let Some(addr) = data.and_then(|data| data.master()) else {
            let what = format!("broker {}", moved.broker);
            return Err(engine::client::ClientError::NoBroker(what));
        };
        let queue = MessageQueue {
            topic: moved.topic.clone(),
            broker_name: moved.broker.clone(),
            queue_id: moved.queue,
        };
        let way = replay::way(cluster, addr, &job.plan.group).await?;
        let plan = QueuePlan::moved(addr.to_owned(), queue, from, moved.to, way);
        let (now, undo) = replay::undo_now(cluster, &job.plan.group, &plan).await?;
        rows.push(Row { plan, now, undo });
    }
    Ok(rows)
}
