//! `mqdeck tail`: messages as they are stored. Plain pulls of the tools' group: never a commit, never a
//! membership.

use std::time::Duration;

use engine::client::{PullConsumer, Seek};
use engine::protocol::body::MessageQueue;
use tui::data::Message;
use tui::messages::message;
use tui::model::clock::Zone;
use tui::model::format;
use tui::model::time_field::{self, When};

use super::message::glance;
use super::select::{self, Messages};
use super::session::Session;
use crate::args::Tail;
use crate::output::{self, Code, fault, usage};
use tui::columns::MESSAGES;
use tui::sheet::{Form, Sheet};

/// Between two rounds over all queues when none had anything.
const IDLE: Duration = Duration::from_millis(200);
/// Most queues that are read.
const QUEUES_MAX: usize = 4_096;

/// Where printing stands.
struct Printer {
    form: Form,
    filter: Messages,
    left: Option<u64>,
    rate: Option<u32>,
    begin_ms: i64,
    printed: u64,
    undecided: u64,
    headed: bool,
}

/// Whether reading goes on.
#[derive(PartialEq, Eq)]
enum Next {
    On,
    End,
}

/// Prints messages until the count is reached, the reader goes or a signal comes.
pub fn run(session: &Session, tail: &Tail, asked: Option<Form>) -> anyhow::Result<Code> {
    let form = asked.unwrap_or(if output::to_terminal() { Form::Table } else { Form::Jsonl });
    let from = from(session, tail)?;
    let filter = select::messages(tail.filter.as_deref())?;
    let reader = PullConsumer::tools(&session.cluster);
    let mut queues: Vec<MessageQueue> = Vec::new();
    for topic in &tail.topics {
        let found = session.wait(reader.queues(topic));
        queues.extend(found.map_err(|error| {
            if error.is_refused_with(17) {
                fault(Code::Nothing, format!("there is no topic {topic:?}"))
            } else {
                error.into()
            }
        })?);
    }
    queues.truncate(QUEUES_MAX);
    for queue in &queues {
        session.wait(reader.seek(queue, from))?;
    }
    let mut printer = Printer {
        form,
        filter,
        left: tail.count,
        rate: tail.rate,
        begin_ms: session.cluster.now_ms(),
        printed: 0,
        undecided: 0,
        headed: false,
    };
    session.begin_change(); // a signal ends the round, then the command
    let code = loop {
        if printer.left == Some(0) {
            break Code::Done;
        }
        let mut round: Vec<Message> = Vec::new();
        for queue in &queues {
            let found = session.wait(reader.poll(queue, Duration::ZERO))?;
            round.extend(found.iter().map(message));
        }
        if session.is_interrupted() {
            break Code::Interrupted;
        }
        let idle = round.is_empty();
        round.sort_by_key(|message| (message.stored_ms, message.key()));
        if printer.print(session, round)? == Next::End || (idle && tail.no_follow) {
            break if session.is_interrupted() { Code::Interrupted } else { Code::Done };
        }
        if idle && !session.pause(IDLE) {
            break Code::Interrupted;
        }
    };
    if printer.undecided > 0 {
        output::tell(&format!(
            "mqdeck: for {} messages the filter cannot be decided",
            printer.undecided
        ));
    }
    Ok(code)
}

fn from(session: &Session, tail: &Tail) -> anyhow::Result<Seek> {
    let Some(text) = &tail.from else { return Ok(Seek::End) };
    match time_field::parse(text, session.cluster.now_ms(), Zone::Machine) {
        Ok(When::At(ms)) => Ok(Seek::Time(ms)),
        Ok(When::Start) => Ok(Seek::Begin),
        Ok(When::End) => Ok(Seek::End),
        Err(error) => Err(usage(format!("--from {text}: {error}"))),
    }
}

impl Printer {
    fn print(&mut self, session: &Session, round: Vec<Message>) -> anyhow::Result<Next> {
        for message in round {
            if self.left == Some(0) {
                return Ok(Next::End);
            }
            match self.filter.holds(&message) {
                Some(true) => {}
                Some(false) => continue,
                None => {
                    self.undecided += 1;
                    continue;
                }
            }
            if let Some(rate) = self.rate {
                let due = self.begin_ms + (self.printed * 1_000 / u64::from(rate)) as i64;
                let wait = due - session.cluster.now_ms();
                if wait > 0 && !session.pause(Duration::from_millis(wait as u64)) {
                    return Ok(Next::End);
                }
            }
            if !output::print(&self.text(&message))? {
                return Ok(Next::End);
            }
            self.printed += 1;
            self.left = self.left.map(|left| left - 1);
        }
        Ok(Next::On)
    }

    fn text(&mut self, message: &Message) -> String {
        if self.form == Form::Table {
            let size = format::bytes(message.body.len() as u64);
            let tag = if message.tag.is_empty() { "–" } else { &message.tag };
            return format!(
                "{}  {}  {}:{}:{}  {size}  {tag}  {}  {}\n",
                Zone::Machine.hms_milli(message.stored_ms),
                message.topic,
                message.broker,
                message.queue,
                message.offset,
                message.keys,
                glance(&message.body)
            );
        }
        // A stream has no end: JSON comes line by line as well, CSV with one heading.
        let form = if self.form == Form::Json { Form::Jsonl } else { self.form };
        let text = Sheet::new(MESSAGES, [message]).text(form);
        let headed = std::mem::replace(&mut self.headed, true);
        match text.split_once('\n') {
            Some((_, rest)) if form == Form::Csv && headed => rest.to_owned(),
            _ => text,
        }
    }
}
