//! Asking before a change: by risk, by context, by who is there (console-ux.md §7.1, §15).

use tui::effect::AuditNote;
use tui::hands::Hands;
use tui::model::confirm::Risk;

use super::session::Session;
use crate::args::Sure;
use crate::output::{self, Code, advised, fault};

/// A change that is about to be made.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// What the audit file calls it.
    pub action: &'static str,
    /// Its risk outside prod.
    pub risk: Risk,
    /// What has to be named where a name is asked for.
    pub name: &'a str,
    /// What it touches.
    pub targets: Vec<String>,
    /// What will happen, one line.
    pub preview: String,
}

impl Change<'_> {
    /// The lines of the audit file.
    pub fn note(&self) -> AuditNote {
        AuditNote {
            action: self.action,
            targets: self.targets.clone(),
            preview: self.preview.clone(),
            command: Session::command_line(),
        }
    }
}

/// Whether a change may be made now; from then on a signal lets the present item end.
///
/// # Errors
/// Refused: read-only, not confirmed, or nobody there to ask.
pub fn confirm(session: &Session, change: &Change, sure: &Sure) -> anyhow::Result<()> {
    if session.read_only {
        return Err(fault(Code::Refused, "this session is read-only"));
    }
    let risk = change.risk.in_context(session.target.prod);
    if risk.asks_name(session.target.prod) {
        named(change, sure)?;
    } else if !sure.yes {
        if !output::on_terminal() {
            return Err(advised(
                Code::Refused,
                format!("not confirmed: {}", change.preview),
                "add --yes",
            ));
        }
        let answer = output::ask(&format!("{} - go on? [y/N] ", change.preview))?;
        if !matches!(answer.as_str(), "y" | "Y" | "yes") {
            return Err(fault(Code::Refused, "nothing was changed"));
        }
    }
    session.begin_change();
    Ok(())
}

/// The name, by flag or typed.
fn named(change: &Change, sure: &Sure) -> anyhow::Result<()> {
    let hint = format!("add --yes --confirm {}", change.name);
    match &sure.confirm {
        Some(name) if name == change.name && (sure.yes || output::on_terminal()) => Ok(()),
        Some(name) if name == change.name => {
            Err(advised(Code::Refused, format!("not confirmed: {}", change.preview), hint))
        }
        Some(name) => Err(advised(
            Code::Refused,
            format!("--confirm {name:?} is not what this changes, {:?}", change.name),
            hint,
        )),
        None if !output::on_terminal() => {
            Err(advised(Code::Refused, format!("not confirmed: {}", change.preview), hint))
        }
        None => {
            let question = format!("{}\ntype {} to go on: ", change.preview, change.name);
            if output::ask(&question)? == change.name {
                Ok(())
            } else {
                Err(fault(Code::Refused, "nothing was changed"))
            }
        }
    }
}

/// One item of a change and how it ended.
pub type Item = (String, Result<String, String>);

/// Makes a change item by item, with an audit line before and after it. Stops at an interrupt.
///
/// # Errors
/// Refused: the audit file cannot be written, so nothing was done.
pub fn run(
    session: &Session,
    hands: &mut Hands,
    change: &Change,
    items: Vec<(String, Work<'_>)>,
) -> anyhow::Result<(Vec<Item>, Code)> {
    let note = change.note();
    hands.audit_start(&note).map_err(|error| {
        fault(
            Code::Refused,
            format!("nothing was changed: the audit file cannot be written: {error}"),
        )
    })?;
    let all = items.len();
    let mut done: Vec<Item> = Vec::new();
    for (name, work) in items {
        if session.is_interrupted() {
            break;
        }
        let outcome = work();
        done.push((name, outcome));
    }
    let well = done.iter().filter(|(_, outcome)| outcome.is_ok()).count();
    if let Err(error) = hands.audit_end(&note, &format!("{well} of {all} done")) {
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

/// One step of a change.
pub type Work<'a> = Box<dyn FnOnce() -> Result<String, String> + 'a>;
