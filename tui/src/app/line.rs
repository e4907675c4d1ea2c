//! The line of text that is being typed: a filter, or what a place asks for.
//!
//! A filter applies while it is typed; one that does not read is named, and the last that did stays in
//! force (console-ux.md §5.2).

use std::ops::Range;

use super::overlay::remember;
use super::{App, command};
use crate::effect::Effect;
use crate::event::{Code, Key};
use crate::model::query::{Filter, Query, QueryError};
use crate::screen;
use crate::widget::input::Field;

/// The line.
#[derive(Clone, Debug)]
pub struct Input {
    pub kind: InputKind,
    pub field: Field,
    pub error: Option<Fault>,
    /// The completion that is chosen, of a command.
    pub chosen: Option<usize>,
}

/// What is wrong with the text, and which characters of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub text: String,
    pub chars: Range<usize>,
}

impl From<QueryError> for Fault {
    fn from(error: QueryError) -> Self {
        Self { chars: error.at.saturating_sub(1)..error.end, text: error.reason }
    }
}

/// What the line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    Filter,
    ToTime,
    ToOffset,
    /// Id or key of a message.
    Trace,
    /// `:`
    Command,
    /// A file to write what is shown to.
    Export,
}

/// Opens the line with the filter in force.
pub(super) fn open_filter(app: &mut App) {
    let text = app.place().list().filter.text().to_owned();
    line_with(app, InputKind::Filter, &text);
}

/// Opens the line for something else than a filter.
pub fn ask(app: &mut App, kind: InputKind) {
    line_with(app, kind, "");
}

/// Opens the line with a text in it.
pub fn line_with(app: &mut App, kind: InputKind, text: &str) {
    app.input = Some(Input { kind, field: Field::with(text), error: None, chosen: None });
}

/// Takes a key of the line.
pub(super) fn key(app: &mut App, key: Key) -> Vec<Effect> {
    let Some(input) = &mut app.input else { return Vec::new() };
    match key.code {
        Code::Esc => {
            let kind = input.kind;
            app.input = None;
            match kind {
                InputKind::Filter => app.place_mut().list_mut().filter.clear(),
                InputKind::Command => return vec![Effect::Theme(app.theme.clone())],
                _ => {}
            }
        }
        Code::Enter => return enter(app),
        Code::Tab | Code::BackTab | Code::Up | Code::Down if input.kind == InputKind::Command => {
            return complete(app, key.code);
        }
        _ => {
            if input.field.key(key) {
                typed(app);
            }
        }
    }
    Vec::new()
}

/// Applies what was typed so far, when it is a filter.
pub(super) fn typed(app: &mut App) {
    let Some(mut input) = app.input.take() else { return };
    input.error = None;
    input.chosen = None;
    if input.kind == InputKind::Filter {
        match compile(app, input.field.text()) {
            Ok(filter) => app.place_mut().list_mut().filter = filter,
            Err(error) => input.error = Some(error.into()),
        }
    }
    app.input = Some(input);
}

/// Reads a filter for the focused list.
fn compile(app: &App, text: &str) -> Result<Filter, QueryError> {
    let query = Query::parse(text, app.now_ms, app.session.zone)?;
    screen::check(app, &query)?;
    Ok(Filter::new(text, query))
}

/// Reads the filter in force again: its relative times have moved.
pub(super) fn refresh(app: &mut App) {
    let text = app.place().list().filter.text().to_owned();
    // The fields of a list can change with a tab; then the filter stays as it is.
    if !text.is_empty()
        && let Ok(filter) = compile(app, &text)
    {
        app.place_mut().list_mut().filter = filter;
    }
}

/// Tab takes the completion that is chosen, else the first; arrows choose another.
fn complete(app: &mut App, code: Code) -> Vec<Effect> {
    let Some(mut input) = app.input.take() else { return Vec::new() };
    let found = command::candidates(app, input.field.text());
    let last = found.len().checked_sub(1);
    let mut effects = Vec::new();
    match (code, input.chosen, last) {
        (_, _, None) => {}
        (Code::Tab, chosen, Some(last)) => {
            let (line, _) = &found[chosen.unwrap_or(0).min(last)];
            let follows = command::COMMANDS
                .iter()
                .any(|c| c.name == line && c.argument != command::Argument::None);
            input.field = Field::with(&if follows { format!("{line} ") } else { line.clone() });
            input.chosen = None;
        }
        (Code::Down, None, _) => input.chosen = Some(0),
        (Code::Down, Some(at), Some(last)) => input.chosen = Some((at + 1).min(last)),
        (_, chosen, _) => input.chosen = chosen.and_then(|at| at.checked_sub(1)),
    }
    // A theme shows itself while it is chosen; Esc brings the present one back.
    if let Some(at) = input.chosen
        && let Some(name) = found.get(at).and_then(|(line, _)| line.strip_prefix("theme "))
    {
        effects.push(Effect::Theme(name.to_owned()));
    }
    input.error = None;
    app.input = Some(input);
    effects
}

fn enter(app: &mut App) -> Vec<Effect> {
    let Some(input) = app.input.take() else { return Vec::new() };
    let done = match input.kind {
        // What does not read stays in the line, with its reason.
        InputKind::Filter if input.error.is_some() => {
            app.input = Some(input);
            return Vec::new();
        }
        InputKind::Filter => return Vec::new(),
        InputKind::Command => {
            let chosen = input
                .chosen
                .and_then(|at| command::candidates(app, input.field.text()).into_iter().nth(at));
            let line = chosen.map_or_else(|| input.field.text().to_owned(), |(line, _)| line);
            let done = command::run(app, &line);
            if done.is_ok() {
                remember(app, &line);
            }
            done
        }
        InputKind::Export => screen::taken::export(app, input.field.text()),
        InputKind::Trace => screen::trace::typed(app, input.field.text()),
        kind => screen::messages::jump(app, kind, input.field.text()),
    };
    match done {
        Ok(effects) => effects,
        Err(text) => {
            let chars = 0..input.field.text().chars().count();
            app.input = Some(Input { error: Some(Fault { text, chars }), ..input });
            Vec::new()
        }
    }
}
