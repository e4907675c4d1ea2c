//! `mqdeck jobs …`: changes of more than one step, by every mqdeck process of this machine.

use tui::data::Fig;
use tui::journal::Job;

use super::session::Session;
use super::topic::nest;
use super::{list as print, one};
use crate::args::{Jobs, JobsAction, Pick};
use crate::output::{self, Code, fault};
use tui::sheet::{Cell, Column, Form, Sheet};

/// A job as seen from this machine.
struct Row {
    job: Job,
    state: String,
}

const COLUMNS: &[Column<Row>] = &[
    Column { field: "job", title: "JOB", cell: |r| Cell::Number(r.job.plan.job as i64) },
    Column { field: "action", title: "ACTION", cell: |r| Cell::Text(r.job.plan.action.clone()) },
    Column { field: "group", title: "GROUP", cell: |r| Cell::Text(r.job.plan.group.clone()) },
    Column { field: "state", title: "STATE", cell: |r| Cell::Text(r.state.clone()) },
    Column { field: "over", title: "OVER", cell: |r| count(r.job.over()) },
    Column { field: "items", title: "OF", cell: |r| count(r.job.steps.len()) },
    Column { field: "outcome", title: "OUTCOME", cell: |r| Cell::Text(r.job.outcome.clone()) },
    Column {
        field: "started_ms",
        title: "STARTED",
        cell: |r| Cell::At(Fig::Known(r.job.plan.at_ms)),
    },
    Column {
        field: "ended_ms",
        title: "",
        cell: |r| Cell::At(r.job.ended_ms.map_or(Fig::none("it has not ended"), Fig::Known)),
    },
    Column { field: "user", title: "USER", cell: |r| Cell::Text(r.job.plan.user.clone()) },
    Column { field: "host", title: "", cell: |r| Cell::Text(r.job.plan.host.clone()) },
    Column { field: "context", title: "CONTEXT", cell: |r| Cell::Text(r.job.plan.context.clone()) },
    Column { field: "preview", title: "", cell: |r| Cell::Text(r.job.plan.preview.clone()) },
    Column { field: "command", title: "", cell: |r| Cell::Text(r.job.plan.command.clone()) },
];

/// One step of a job.
struct Step {
    name: String,
    stage: &'static str,
    text: String,
}

const STEPS: &[Column<Step>] = &[
    Column { field: "name", title: "ITEM", cell: |s| Cell::Text(s.name.clone()) },
    Column { field: "stage", title: "STAGE", cell: |s| Cell::Text(s.stage.to_owned()) },
    Column { field: "result", title: "RESULT", cell: |s| Cell::Text(s.text.clone()) },
];

fn count(n: usize) -> Cell {
    Cell::Count(Fig::Known(n as u64))
}

/// Lists jobs or shows one.
pub fn run(session: &Session, jobs: &Jobs) -> anyhow::Result<Code> {
    match &jobs.action {
        None => list(session, &jobs.pick),
        Some(JobsAction::List(pick)) => list(session, pick),
        Some(JobsAction::Show { job }) => show(session, *job),
    }
}

fn list(session: &Session, pick: &Pick) -> anyhow::Result<Code> {
    let (journal, host) = session.journal()?;
    let row = |job: Job| Row { state: job.state(&host), job };
    let rows: Vec<Row> = journal.all()?.into_iter().rev().map(row).collect();
    print(session.form, Sheet::new(COLUMNS, &rows), pick, true)
}

fn show(session: &Session, number: u64) -> anyhow::Result<Code> {
    let (journal, host) = session.journal()?;
    let Some(job) = journal.read(number)? else {
        return Err(fault(Code::Nothing, format!("there is no job {number}")));
    };
    let steps: Vec<Step> = job
        .plan
        .items
        .iter()
        .zip(&job.steps)
        .map(|(item, (stage, text))| Step {
            name: item.name.clone(),
            stage: stage.word(),
            text: text.clone(),
        })
        .collect();
    let row = Row { state: job.state(&host), job };
    let mut sheet = Sheet::new(COLUMNS, [&row]);
    let steps = Sheet::new(STEPS, &steps);
    if session.form == Form::Table {
        output::print(&[sheet.one(Form::Table), steps.text(Form::Table)].join("\n"))?;
        return Ok(Code::Done);
    }
    nest(&mut sheet, "item_rows", &steps);
    one(session.form, &sheet)
}
