//! `mqdeck dlq export` and `import`: letters as JSON Lines, and copies made from them.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use engine::client::dead_letters::{self, CopyId, Letter as Source, Target};
use engine::protocol::names;
use tui::data::plan::ResendTo;
use tui::hands::Hands;
use tui::model::confirm::Risk;
use tui::portable::Portable;

use super::Selected;
use crate::args::{Import, Letters};
use crate::cmd::session::Session;
use crate::cmd::sure::{self, Change, Item};
use crate::cmd::topic::{dry, print_items};
use crate::output::{self, Code, fault, usage};

/// Longest line of an export: a body of 64 MiB in base64 and its properties.
const LINE_MAX: u64 = 96 * 1024 * 1024;
/// Most letters of one import.
const LETTERS_MAX: usize = 100_000;

/// Writes letters whole.
pub fn export(session: &Session, wanted: &Letters, file: Option<&Path>) -> anyhow::Result<Code> {
    let Selected { letters, gone } = super::select(session, wanted)?;
    let lines = letters.iter().filter_map(|letter| letter.source.as_deref()).map(|source| {
        let line = serde_json::to_string(&Portable::of(source));
        line.map(|line| line + "\n")
    });
    let lines = lines.collect::<Result<Vec<String>, _>>()?;
    match file {
        None => {
            for line in &lines {
                if !output::print(line)? {
                    break;
                }
            }
        }
        Some(path) => {
            let cannot = |error: std::io::Error| usage(format!("{}: {error}", path.display()));
            let mut file = std::fs::OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(path)
                .map_err(cannot)?;
            for line in &lines {
                file.write_all(line.as_bytes()).map_err(cannot)?;
            }
            file.sync_all().map_err(cannot)?;
            output::tell(&format!("mqdeck: {} letters in {}", lines.len(), path.display()));
        }
    }
    Ok(if gone.is_empty() { Code::Done } else { Code::Partly })
}

/// Sends copies of exported letters.
pub fn import(session: &Session, import: &Import) -> anyhow::Result<Code> {
    let to = super::resend::target(&import.to)?;
    let letters = read(&import.file)?;
    if letters.is_empty() {
        return Err(fault(Code::Nothing, format!("{} holds no letter", import.file.display())));
    }
    let mut plan = Vec::new();
    for letter in letters {
        let target = target_of(&letter, &to)?;
        plan.push((letter, target));
    }
    let groups: std::collections::BTreeSet<String> =
        plan.iter().map(|(letter, _)| letter.group.clone()).collect();
    let name = groups.iter().next().cloned().unwrap_or_default();
    let change = Change {
        action: "import",
        risk: Risk::Two,
        name: &name,
        targets: plan.iter().map(|(letter, _)| letter.id()).collect(),
        preview: format!("send {} letters of {}", plan.len(), join(&groups)),
    };
    if import.sure.dry_run {
        return dry(session.form, &change);
    }
    sure::confirm(session, &change, &import.sure)?;
    let sending = Sending { rate: import.rate, stop_after: import.stop_after };
    let (done, code) = send(session, &change, plan, sending, &mut |_, _| true)?;
    print_items(session.form, &done, code)
}

fn join(words: &std::collections::BTreeSet<String>) -> String {
    words.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// How fast, and when to give up.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    /// Messages a second.
    pub rate: u32,
    /// Failures in a row.
    pub stop_after: u32,
}

/// Where a copy of a letter goes.
///
/// # Errors
/// Nothing: the letter does not say where it came from.
pub fn target_of(letter: &Source, to: &ResendTo) -> anyhow::Result<Target> {
    match to {
        ResendTo::Group => Ok(Target::Retry(names::retry_topic(&letter.group))),
        ResendTo::Topic(topic) => Ok(Target::Origin(topic.clone())),
        ResendTo::Origin => match letter.origin_topic() {
            Some(topic) => Ok(Target::Origin(topic.to_owned())),
            None => Err(super::resend::no_origin(&letter.id())),
        },
    }
}

/// How far one copy is, for whoever keeps marks.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "sink"), allow(dead_code))] // only the sink reads what is in them
pub enum Stage<'a> {
    /// It is about to be sent.
    Begin,
    /// It is stored here.
    Sent(&'a str),
    /// It was refused: nothing is stored.
    Refused,
    /// Nobody knows, and why.
    Unknown(&'a str),
}

/// Sends copies one after the other, with audit and ledger. `mark` hears of each stage; when it cannot
/// keep a mark before a copy is sent, the copy is not sent.
///
/// # Errors
/// Refused: the audit file cannot be written.
pub fn send(
    session: &Session,
    change: &Change,
    plan: Vec<(Source, Target)>,
    sending: Sending,
    mark: &mut dyn FnMut(usize, Stage<'_>) -> bool,
) -> anyhow::Result<(Vec<Item>, Code)> {
    let mut hands = session.hands()?;
    let note = change.note();
    hands.audit_start(&note).map_err(|error| fault(Code::Refused, error.to_string()))?;
    let pause = Duration::from_micros(1_000_000 / u64::from(sending.rate.max(1)));
    let all = plan.len();
    let (mut done, mut in_a_row): (Vec<Item>, u32) = (Vec::new(), 0);
    for (at, (letter, target)) in plan.into_iter().enumerate() {
        if !session.pause(pause) || in_a_row >= sending.stop_after {
            break;
        }
        let outcome = if mark(at, Stage::Begin) {
            one(session, &hands, &letter, &target, &mut |stage| mark(at, stage))
        } else {
            Err("not sent: it cannot be marked".to_owned())
        };
        in_a_row = if outcome.is_ok() { 0 } else { in_a_row + 1 };
        done.push((letter.id(), outcome));
    }
    let well = done.iter().filter(|(_, outcome)| outcome.is_ok()).count();
    if let Err(error) = hands.audit_end(&note, &format!("{well} of {all} sent")) {
        output::tell(&format!("mqdeck: the audit file cannot be written: {error}"));
    }
    let code = match (session.is_interrupted() && done.len() < all, well) {
        (true, _) => Code::Interrupted,
        (false, well) if well == all => Code::Done,
        (false, 0) => Code::Failed,
        _ => Code::Partly,
    };
    Ok((done, code))
}

/// Sends one copy and remembers it.
fn one(
    session: &Session,
    hands: &Hands,
    letter: &Source,
    target: &Target,
    mark: &mut dyn FnMut(Stage<'_>) -> bool,
) -> Result<String, String> {
    let send = dead_letters::resend(&session.cluster, letter, target, CopyId::Same);
    let sent = match session.wait(send) {
        Ok(sent) => sent,
        Err(error) => {
            let why = error.to_string();
            mark(if error.is_transport() { Stage::Unknown(&why) } else { Stage::Refused });
            return Err(why);
        }
    };
    let queue = &sent.queue;
    let place = format!("{}:{}:{}", queue.broker_name, queue.queue_id, sent.queue_offset);
    let kept = mark(Stage::Sent(&place));
    let message = &letter.message;
    let name = tui::ledger::letter_name(
        &message.topic,
        &message.broker_name,
        message.queue_id,
        message.queue_offset,
    );
    let mut text = format!("{} {place}", target.topic());
    if let Err(error) = hands.resent(&name, target.topic(), &format!("sent, {place}")) {
        text = format!("{text}, not in the ledger: {error}");
    }
    if !kept {
        text = format!("{text}, not marked");
    }
    Ok(text)
}

fn read(path: &Path) -> anyhow::Result<Vec<Source>> {
    let shown = path.display();
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let file = std::fs::OpenOptions::new().read(true).open(path);
        Box::new(file.map_err(|error| usage(format!("{shown}: {error}")))?)
    };
    let mut input = BufReader::new(input);
    let mut letters = Vec::new();
    for number in 1.. {
        let mut line = Vec::new();
        let mut limited = input.by_ref().take(LINE_MAX);
        if limited.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        if letters.len() >= LETTERS_MAX {
            return Err(usage(format!("{shown} holds more than {LETTERS_MAX} letters")));
        }
        let one: Portable = serde_json::from_slice(&line)
            .map_err(|error| usage(format!("{shown}:{number}: {error}")))?;
        letters.push(one.letter().map_err(|error| usage(format!("{shown}:{number}: {error}")))?);
    }
    Ok(letters)
}
