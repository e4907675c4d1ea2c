//! What one-shot commands and failures say: the only file here that writes to stdout or stderr.
//!
//! A reader that went away (`mqdeck topics | head -1`) is not a failure. Forms of tables are in
//! `tui::sheet`; exit codes: console-ux.md §15.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use engine::client::ClientError;
use serde_json::json;
use tui::data::Problem;
use tui::sheet::Form;

/// How a command ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Code {
    /// Done; an empty list of a thing that exists is also this.
    Done = 0,
    /// Failed, and the user cannot help it.
    Failed = 1,
    /// Usage, configuration or environment.
    Usage = 2,
    /// Some items failed; they are listed.
    Partly = 3,
    /// A named thing does not exist, or a change has nothing to work on.
    Nothing = 4,
    /// The cluster does not answer.
    Unreachable = 5,
    /// Read-only, not permitted, or not confirmed.
    Refused = 6,
    /// A row for which `--fail-if` holds.
    Holds = 7,
    /// No such row, but some for which it cannot be decided.
    Undecided = 8,
    /// Interrupted; what was done is listed.
    Interrupted = 130,
}

impl Code {
    /// One word for scripts.
    const fn kind(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Partly => "partly",
            Self::Nothing => "nothing",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Holds => "holds",
            Self::Undecided => "undecided",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// A failure with its exit code.
#[derive(Debug)]
pub struct Fault {
    /// Exit code.
    pub code: Code,
    /// One sentence.
    pub sentence: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for Fault {}

/// An error with its exit code.
pub fn fault(code: Code, sentence: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Fault { code, sentence: sentence.into(), hint: None })
}

/// An error with what to do about it.
pub fn advised(code: Code, sentence: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Fault { code, sentence: sentence.into(), hint: Some(hint.into()) })
}

/// The error of something that the user can put right.
pub fn usage(sentence: impl Into<String>) -> anyhow::Error {
    fault(Code::Usage, sentence)
}

/// The error of an answer that a plan could not do without.
pub fn problem(problem: &Problem) -> anyhow::Error {
    let code = match (problem.code, problem.text.as_str()) {
        (Some(16), _) | (None, "read-only") => Code::Refused,
        (Some(17 | 26), _) => Code::Nothing,
        (None, "unreachable" | "connection lost" | "no answer") => Code::Unreachable,
        _ => Code::Failed,
    };
    fault(code, problem.remark.clone())
}

static FORM: OnceLock<Form> = OnceLock::new();

/// Remembers in which form failures are told.
pub fn errors_as(form: Form) {
    // Set once, by main.
    let _ = FORM.set(form);
}

/// Writes to stdout at once. False: its reader has gone, nothing more need be written.
///
/// # Errors
/// When stdout cannot be written, unless its reader has gone.
pub fn print(text: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true),
    }
}

/// Says something on stderr that is no result: a question, progress, what was left out.
pub fn tell(text: &str) {
    // Nobody is left to hear of it when stderr is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether a person is there to answer.
pub fn on_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether stdout is a terminal.
pub fn to_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Asks a person and waits for a line.
///
/// # Errors
/// The terminal is gone.
pub fn ask(question: &str) -> io::Result<String> {
    let mut err = io::stderr().lock();
    err.write_all(question.as_bytes())?;
    err.flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Exit code of an error.
pub fn code(error: &anyhow::Error) -> Code {
    if let Some(fault) = error.downcast_ref::<Fault>() {
        return fault.code;
    }
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::ReadOnly { .. } | ClientError::Refused { code: 16, .. }) => Code::Refused,
        Some(ClientError::Refused { code: 17 | 26, .. } | ClientError::NoBroker(_)) => {
            Code::Nothing
        }
        Some(ClientError::NoNameServer | ClientError::Invalid(_)) => Code::Usage,
        Some(error) if error.is_transport() => Code::Unreachable,
        _ => Code::Failed,
    }
}

/// Says in one sentence on stderr why the program ends; gives the exit code.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    let code = code(error);
    tell(&format!("mqdeck: {error:#}"));
    if FORM.get().is_some_and(|form| matches!(form, Form::Json | Form::Jsonl)) {
        let (message, hint) = match error.downcast_ref::<Fault>() {
            Some(fault) => (fault.sentence.clone(), fault.hint.clone()),
            None => (format!("{error:#}"), None),
        };
        let object = json!({"error": {
            "kind": code.kind(), "code": code as u8, "message": message, "hint": hint,
        }});
        // The sentence is out already.
        let _ = print(&format!("{object}\n"));
    }
    code.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_that_scripts_know() {
        let all = [
            (Code::Done, 0),
            (Code::Failed, 1),
            (Code::Usage, 2),
            (Code::Partly, 3),
            (Code::Nothing, 4),
            (Code::Unreachable, 5),
            (Code::Refused, 6),
            (Code::Holds, 7),
            (Code::Undecided, 8),
            (Code::Interrupted, 130),
        ];
        for (code, number) in all {
            assert_eq!(code as u8, number, "{code:?}");
        }
    }

    #[test]
    fn answers_of_a_cluster_have_their_codes() {
        let of = |error: ClientError| code(&error.into());
        let refused =
            |code| ClientError::Refused { addr: "b:1".into(), code, remark: String::new() };
        assert_eq!(of(refused(16)), Code::Refused);
        assert_eq!(of(refused(17)), Code::Nothing);
        assert_eq!(of(refused(1)), Code::Failed);
        assert_eq!(of(ClientError::ReadOnly { code: 17 }), Code::Refused);
        assert_eq!(of(ClientError::Lost { addr: "b:1".into() }), Code::Unreachable);
        assert_eq!(code(&anyhow::anyhow!("x")), Code::Failed);
    }
}
