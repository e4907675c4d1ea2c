//! `mqdeck dlq sink`, and `dlq resend --from-db`: letters into a database or files, and rows back.

use std::time::Duration;

use tui::model::clock::Zone;
use tui::model::confirm::Risk;
use tui::model::time_field::{self, When};
use tui::sink::{Begin, Database, Marked, Place, Sink, SinkError, Standing, Wanted};

use super::carry::{self, Sending};
use super::resend::target;
use crate::args::{Resend, Sink as Args};
use crate::cmd::session::Session;
use crate::cmd::sure::{self, Change};
use crate::cmd::topic::{dry, print_items};
use crate::output::{self, Code, fault, usage};
use tui::data::Fig;
use tui::sheet::{Cell, Column, Sheet};

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest pause after failures of the cluster.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// What a row says while its copy is under way: after a crash nobody knows whether it was sent.
const BEGUN: &str = "begun, end unknown";

const COLUMNS: &[Column<Standing>] = &[
    Column { field: "group", title: "GROUP", cell: |s| Cell::Text(s.key.group.clone()) },
    Column { field: "topic", title: "TOPIC", cell: |s| Cell::Text(s.key.topic.clone()) },
    Column { field: "broker", title: "BROKER", cell: |s| Cell::Text(s.key.broker.clone()) },
    Column { field: "queue", title: "Q", cell: |s| Cell::Number(s.key.queue.into()) },
    Column { field: "next", title: "NEXT", cell: |s| Cell::Number(s.next) },
    Column { field: "lag", title: "LAG", cell: |s| Cell::Count(Fig::Known(s.lag.unsigned_abs())) },
    Column { field: "rows", title: "ROWS", cell: |s| Cell::Count(Fig::Known(s.rows)) },
    Column { field: "missed", title: "MISSED", cell: |s| Cell::Number(s.missed) },
];

fn of_sink(error: SinkError) -> anyhow::Error {
    match error {
        SinkError::Cluster(error) => error.into(),
        SinkError::InUse { .. } | SinkError::Strange { .. } | SinkError::Io { .. } => {
            usage(error.to_string())
        }
        SinkError::Sqlite { .. } => fault(Code::Failed, error.to_string()),
    }
}

/// Writes letters until a signal comes, or all are written.
pub fn run(session: &Session, args: &Args) -> anyhow::Result<Code> {
    let Some(place) = Place::parse(&args.to) else {
        return Err(usage(format!("--to {}: write sqlite:FILE or jsonl:DIR", args.to)));
    };
    let begin = match time_field::parse(&args.from, session.cluster.now_ms(), Zone::Machine) {
        Ok(When::Start) => Begin::First,
        Ok(When::End) => Begin::End,
        Ok(When::At(ms)) => Begin::Time(ms),
        Err(error) => return Err(usage(format!("--from {}: {error}", args.from))),
    };
    let keep = tui::sink::open(&place).map_err(of_sink)?;
    let wanted = Wanted { groups: args.group.clone(), past: args.past, begin };
    let mut sink = Sink::new(keep, wanted);
    session.begin_change(); // a signal lets the present commit end
    let mut standing = Vec::new();
    let mut pause = PAUSE;
    let stop = || session.is_interrupted();
    let code = loop {
        match session.wait(sink.round(&session.cluster, &stop)) {
            Ok(found) => {
                pause = PAUSE;
                let moved = found != standing;
                standing = found;
                let behind = standing.iter().any(|one| one.lag > 0);
                if session.is_interrupted() {
                    break Code::Interrupted;
                }
                if behind && moved {
                    continue;
                }
                if args.once {
                    break if behind { Code::Partly } else { Code::Done };
                }
            }
            Err(SinkError::Cluster(error)) if !args.once && error.is_transport() => {
                output::tell(&format!("mqdeck: {error}; next try in {} s", pause.as_secs()));
                pause = (pause * 2).min(PAUSE_MAX);
            }
            Err(error) => return Err(of_sink(error)),
        }
        if !session.pause(pause) {
            break Code::Interrupted;
        }
    };
    output::print(&Sheet::new(COLUMNS, &standing).text(session.form))?;
    for one in standing.iter().filter(|one| one.missed > 0) {
        let key = &one.key;
        output::tell(&format!(
            "mqdeck: {} letters of {} on {} expired before they were read",
            one.missed, key.topic, key.broker
        ));
    }
    Ok(code)
}

/// Sends copies of rows back and marks them.
pub fn put_back(session: &Session, resend: &Resend) -> anyhow::Result<Code> {
    let Some(file) = &resend.from_db else { return Err(usage("--from-db is needed")) };
    let to = target(&resend.to)?;
    let condition = resend.rows.as_deref().unwrap_or("1");
    let found = Database::open_read(file)
        .and_then(|db| db.select(condition))
        .map_err(|error| usage(format!("--from-db {}: {error}", file.display())))?;
    let of_group = |row: &Marked| resend.group.as_ref().is_none_or(|g| *g == row.letter.group);
    let found: Vec<Marked> = found.into_iter().filter(of_group).collect();
    let selected = found.len();
    let chosen: Vec<Marked> =
        found.into_iter().filter(|row| resend.again || row.before.is_none()).collect();
    if chosen.is_empty() {
        return Err(fault(
            Code::Nothing,
            match selected {
                0 => "no row is selected".to_owned(),
                n => format!("all {n} rows were put back before; --again sends them once more"),
            },
        ));
    }
    let mut plan = Vec::new();
    for row in &chosen {
        let letter = row.letter.letter().map_err(usage)?;
        let target = carry::target_of(&letter, &to)?;
        plan.push((letter, target));
    }
    let group = chosen[0].letter.group.clone();
    let change = Change {
        action: "resend rows",
        risk: if chosen.len() == 1 { Risk::One } else { Risk::Two },
        name: &group,
        targets: chosen.iter().map(|row| row.letter.id.clone()).collect(),
        preview: format!(
            "put {} of {selected} rows of {} back to {}",
            chosen.len(),
            file.display(),
            resend.to
        ),
    };
    if resend.sure.dry_run {
        return dry(session.form, &change);
    }
    sure::confirm(session, &change, &resend.sure)?;
    let db = Database::open(file).map_err(of_sink)?;
    let sending = Sending { rate: resend.rate, stop_after: resend.stop_after };
    let mut unmarked = 0;
    let mut told = |at: usize, stage: carry::Stage<'_>| {
        let row = &chosen[at];
        let now = session.cluster.now_ms();
        let result = match stage {
            carry::Stage::Begin => db.mark(row.row, now, &resend.to, BEGUN),
            carry::Stage::Sent(place) => {
                db.mark(row.row, now, &resend.to, &format!("sent, {place}"))
            }
            carry::Stage::Refused => db.unmark(row.row),
            carry::Stage::Unknown(why) => {
                db.mark(row.row, now, &resend.to, &format!("{BEGUN}: {why}"))
            }
        };
        if let Err(error) = result {
            unmarked += 1;
            output::tell(&format!("mqdeck: {}: {error}", row.letter.id));
            return false;
        }
        true
    };
    let (done, code) = carry::send(session, &change, plan, sending, &mut told)?;
    let code = if unmarked > 0 && code == Code::Done { Code::Partly } else { code };
    print_items(session.form, &done, code)
}
