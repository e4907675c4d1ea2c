//! `mqdeck dlq edit`: a copy of one letter through the user's editor, shown as a difference, sent.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use engine::client::dead_letters::{Letter as Source, Target};
use engine::protocol::names;
use tui::model::confirm::Risk;
use tui::model::letter_edit::{Draft, difference};

use super::carry::{self, Sending};
use super::resend::target;
use crate::args::Sure;
use crate::cmd::session::Session;
use crate::cmd::sure::{self, Change};
use crate::cmd::topic::{dry, print_items};
use crate::output::{self, Code, fault, usage};

/// Files of one edit; gone when it is dropped.
struct Desk {
    dir: PathBuf,
}

impl Desk {
    fn new(session: &Session) -> anyhow::Result<Self> {
        let dir =
            std::env::temp_dir().join(format!("mqdeck-edit-{}", session.cluster.unique_key()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .map_err(|error| usage(format!("{}: {error}", dir.display())))?;
        Ok(Self { dir })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
        let path = self.dir.join(name);
        let open = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
        open.and_then(|mut file| file.write_all(bytes))
            .map_err(|error| usage(format!("{}: {error}", path.display())))?;
        Ok(path)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // What cannot be removed is readable by its owner only.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Edits and sends.
pub fn run(
    session: &Session,
    group: &str,
    id: &str,
    to: &str,
    sure: &Sure,
) -> anyhow::Result<Code> {
    let read = super::read(session, group, usize::MAX)?;
    let letter = read.iter().find(|letter| super::is_named(letter, id));
    let Some(source) = letter.and_then(|letter| letter.source.as_deref()) else {
        return Err(fault(Code::Nothing, format!("{group} has no dead letter {id:?}")));
    };
    let whereto = carry::target_of(source, &target(to)?)?;
    let before = Draft::of(&source.message, whereto.topic());
    let (after, changed) = edited(session, &before)?;
    if changed.is_empty() {
        output::tell("mqdeck: unchanged, so nothing was sent");
        return Ok(Code::Done);
    }
    names::check_topic(&after.topic)
        .map_err(|error| usage(format!("topic {:?}: {error}", after.topic)))?;
    let whereto = match &whereto {
        same if same.topic() == after.topic => whereto,
        _ => Target::Origin(after.topic.clone()),
    };
    let mut copy = Source::clone(source);
    after.apply(&mut copy.message);
    let change = Change {
        action: "resend edited",
        risk: Risk::One,
        name: group,
        targets: vec![source.id()],
        preview: format!("send an edited copy of {} to {}", source.id(), whereto.topic()),
    };
    output::print(&(changed.join("\n") + "\n"))?;
    if sure.dry_run {
        return dry(session.form, &change);
    }
    sure::confirm(session, &change, sure)?;
    let plan = vec![(copy, whereto)];
    let sending = Sending { rate: 1_000, stop_after: 1 };
    let (done, code) = carry::send(session, &change, plan, sending, &mut |_, _| true)?;
    print_items(session.form, &done, code)
}

/// The draft after the editor, and what changed in it.
fn edited(session: &Session, before: &Draft) -> anyhow::Result<(Draft, Vec<String>)> {
    let desk = Desk::new(session)?;
    let body = if before.is_text() { None } else { Some(desk.write("body", &before.body)?) };
    let text = before.text(body.as_deref().and_then(Path::to_str));
    let file = desk.write("message.txt", text.as_bytes())?;
    editor(&file)?;
    let read = |path: &Path| super::super::send::read(path);
    let new = String::from_utf8(read(&file)?).map_err(|_| usage("the edited text is not UTF-8"))?;
    let new_body = body.as_deref().map(read).transpose()?;
    let mut changed = difference(&text, &new);
    if new_body.as_deref().is_some_and(|bytes| *bytes != before.body[..]) {
        changed.push("± the body, which is no text".to_owned());
    }
    let after = Draft::read(&new, new_body).map_err(usage)?;
    Ok((after, changed))
}

/// Runs the user's editor on a file and waits for its end.
fn editor(file: &Path) -> anyhow::Result<()> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    // The variable may hold arguments, so the shell takes it apart.
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("mqdeck")
        .arg(file)
        .status()
        .map_err(|error| usage(format!("the editor {editor:?} cannot be run: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(usage(format!("the editor {editor:?} ended with {status}; nothing was sent")))
    }
}
