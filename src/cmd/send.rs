//! `mqdeck send`: messages from arguments, files and pipes.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use engine::client::{Message, Producer, ProducerConfig, SendResult, SendStatus};
use engine::protocol::names;
use tui::data::Fig;
use tui::model::confirm::Risk;
use tui::model::time_field::span;

use super::session::Session;
use super::sure::{self, Change};
use super::topic::dry;
use crate::args;
use crate::output::{self, Code, fault, usage};
use tui::sheet::{Cell, Column, Form, Sheet};

/// Group in whose name messages are sent.
const PRODUCER: &str = "MQDECK_SEND";
/// Most bytes that are read as bodies.
const INPUT_MAX: u64 = 256 * 1024 * 1024;
/// Results that are kept for a table; of more only the sum is told.
const RESULTS_MAX: usize = 10_000;

/// How one send ended.
struct Row {
    number: u64,
    result: Result<SendResult, String>,
}

const COLUMNS: &[Column<Row>] = &[
    Column { field: "number", title: "NO", cell: |r| Cell::Number(r.number as i64) },
    Column { field: "id", title: "ID", cell: |r| text(r, |s| s.message_id.clone()) },
    Column { field: "broker", title: "BROKER", cell: |r| text(r, |s| s.queue.broker_name.clone()) },
    Column { field: "queue", title: "Q", cell: |r| count(r, |s| i64::from(s.queue.queue_id)) },
    Column { field: "offset", title: "OFFSET", cell: |r| count(r, |s| s.queue_offset) },
    Column { field: "offset_id", title: "", cell: |r| text(r, |s| s.offset_id.clone()) },
    Column {
        field: "status",
        title: "STATUS",
        cell: |r| {
            Cell::Text(match &r.result {
                Ok(sent) => status(sent.status).to_owned(),
                Err(why) => format!("failed: {why}"),
            })
        },
    },
];

fn text(row: &Row, get: fn(&SendResult) -> String) -> Cell {
    Cell::Words(row.result.as_ref().map_or(Fig::none("not sent"), |sent| Fig::Known(get(sent))))
}

fn count(row: &Row, get: fn(&SendResult) -> i64) -> Cell {
    let known = |sent: &SendResult| u64::try_from(get(sent)).ok().map(Fig::Known);
    let none = || Fig::none("not told");
    Cell::Count(row.result.as_ref().ok().and_then(known).unwrap_or_else(none))
}

const fn status(status: SendStatus) -> &'static str {
    match status {
        SendStatus::Ok => "stored",
        SendStatus::FlushDiskTimeout => "stored, not synced in time",
        SendStatus::FlushSlaveTimeout => "stored, no slave answered in time",
        SendStatus::SlaveNotAvailable => "stored, no slave in sync",
    }
}

/// Sends.
pub fn run(session: &Session, send: &args::Send) -> anyhow::Result<Code> {
    names::check_topic(&send.topic)
        .map_err(|error| usage(format!("topic {:?}: {error}", send.topic)))?;
    let messages = bodies(send)?
        .into_iter()
        .map(|body| message(send, body))
        .collect::<anyhow::Result<Vec<_>>>()?;
    if messages.is_empty() {
        return Err(fault(Code::Nothing, "there is nothing to send"));
    }
    let all = messages.len() as u64 * send.count;
    let bytes: u64 = messages.iter().map(|m| m.body.len() as u64).sum::<u64>() * send.count;
    let change = Change {
        action: "send",
        risk: if all == 1 { Risk::One } else { Risk::Two },
        name: &send.topic,
        targets: vec![send.topic.clone()],
        preview: format!("send {all} messages, {bytes} bytes of body, to {}", send.topic),
    };
    if send.sure.dry_run {
        return dry(session.form, &change);
    }
    let mut sure = send.sure.clone();
    // One message is class 1: to say the command is to confirm it. So is a rate or count by hand.
    sure.yes |= !session.target.prod;
    sure::confirm(session, &change, &sure)?;
    let mut hands = session.hands()?;
    let note = change.note();
    hands.audit_start(&note).map_err(|error| fault(Code::Refused, error.to_string()))?;
    let ended = deliver(session, send, &messages, all)?;
    let outcome = format!("{} of {all} sent", ended.sent);
    if let Err(error) = hands.audit_end(&note, &outcome) {
        output::tell(&format!("mqdeck: the audit file cannot be written: {error}"));
    }
    report(session.form, &ended, all)?;
    Ok(match ended.sent {
        sent if sent == all => Code::Done,
        _ if session.is_interrupted() => Code::Interrupted,
        0 => ended.failure,
        _ => Code::Partly,
    })
}

/// How all sends ended.
struct Ended {
    rows: Vec<Row>,
    sent: u64,
    failed: u64,
    failure: Code,
    stopped: Option<String>,
}

fn deliver(
    session: &Session,
    send: &args::Send,
    messages: &[Message],
    all: u64,
) -> anyhow::Result<Ended> {
    let producer = Producer::start(&session.cluster, ProducerConfig::new(PRODUCER))?;
    let begin = session.cluster.now_ms();
    let mut ended =
        Ended { rows: Vec::new(), sent: 0, failed: 0, failure: Code::Failed, stopped: None };
    let mut in_a_row = 0;
    for number in 0..all {
        if let Some(rate) = send.rate {
            let due = begin + (number * 1_000 / u64::from(rate)) as i64;
            let wait = due - session.cluster.now_ms();
            if wait > 0 {
                session.pause(Duration::from_millis(wait as u64));
            }
        }
        if session.is_interrupted() {
            ended.stopped = Some("by you".to_owned());
            break;
        }
        let message = &messages[(number % messages.len() as u64) as usize];
        let result = session.wait(producer.send(message));
        match &result {
            Ok(_) => (ended.sent, in_a_row) = (ended.sent + 1, 0),
            Err(error) => {
                (ended.failed, in_a_row) = (ended.failed + 1, in_a_row + 1);
                ended.failure = output::code(&anyhow::Error::new(error.clone()));
            }
        }
        if ended.rows.len() < RESULTS_MAX {
            let result = result.map_err(|error| error.to_string());
            ended.rows.push(Row { number: number + 1, result });
        }
        if in_a_row >= send.stop_after {
            ended.stopped = Some(format!("{in_a_row} failures in a row"));
            break;
        }
    }
    session.wait(producer.close());
    Ok(ended)
}

fn report(form: Form, ended: &Ended, all: u64) -> anyhow::Result<()> {
    output::print(&Sheet::new(COLUMNS, &ended.rows).text(form))?;
    let not = all - ended.sent - ended.failed;
    if ended.sent < all || all > 1 {
        let mut text = format!(
            "mqdeck: {} of {all} sent, {} failed, {not} not tried",
            ended.sent, ended.failed
        );
        if let Some(why) = &ended.stopped {
            text = format!("{text}; stopped: {why}");
        }
        output::tell(&text);
    }
    let failures = ended.rows.iter().filter_map(|row| row.result.as_ref().err());
    if let Some(first) = failures.into_iter().next() {
        output::tell(&format!("mqdeck: the first failure: {first}"));
    }
    Ok(())
}

fn bodies(send: &args::Send) -> anyhow::Result<Vec<Vec<u8>>> {
    let input = match (&send.body, &send.file) {
        (Some(body), _) => body.clone().into_bytes(),
        (None, Some(file)) if file != Path::new("-") => read(file)?,
        _ => {
            let mut input = Vec::new();
            std::io::stdin().take(INPUT_MAX).read_to_end(&mut input)?;
            input
        }
    };
    if !send.lines {
        return Ok(if input.is_empty() { Vec::new() } else { vec![input] });
    }
    let lines = input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(<[u8]>::to_vec).collect())
}

/// A whole file, of bounded size.
pub fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot = |error: std::io::Error| usage(format!("{}: {error}", file.display()));
    let mut text = Vec::new();
    let open = std::fs::OpenOptions::new().read(true).open(file).map_err(cannot)?;
    open.take(INPUT_MAX).read_to_end(&mut text).map_err(cannot)?;
    Ok(text)
}

fn message(send: &args::Send, body: Vec<u8>) -> anyhow::Result<Message> {
    let mut message = Message::new(&send.topic, body);
    if let Some(tag) = &send.tag {
        message = message.tag(tag);
    }
    if !send.key.is_empty() {
        message = message.keys(send.key.iter().map(String::as_str));
    }
    for pair in &send.prop {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(usage(format!("--prop {pair}: write NAME=VALUE")));
        };
        message = message.property(name, value);
    }
    let Some(delay) = &send.delay else { return Ok(message) };
    let bad = || usage(format!("--delay {delay}: write a time such as 10s, or level:3"));
    match delay.strip_prefix("level:") {
        Some(level) => Ok(message.delay_level(level.parse().map_err(|_| bad())?)),
        None => Ok(message.delay_ms(span(delay).ok_or_else(bad)?)),
    }
}
