//! The line of text that is being typed: a filter, or what a place asks for.
//!
//! A filter applies while it is typed; one that does not read is named, and the last that did stays in
//! force (console-ux.md §5.2).

use std::ops::Range;

use super::App;
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
}

/// Opens the line with the filter in force.
pub(super) fn open_filter(app: &mut App) {
    let field = Field::with(app.place().list().filter.text());
    app.input = Some(Input { kind: InputKind::Filter, field, error: None });
}

/// Opens the line for something else than a filter.
pub fn ask(app: &mut App, kind: InputKind) {
    app.input = Some(Input { kind, field: Field::default(), error: None });
}

/// Takes a key of the line.
pub(super) fn key(app: &mut App, key: Key) -> Vec<Effect> {
    let Some(input) = &mut app.input else { return Vec::new() };
    match key.code {
        Code::Esc => {
            if input.kind == InputKind::Filter {
                app.place_mut().list_mut().filter.clear();
            }
            app.input = None;
        }
        Code::Enter => return enter(app),
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

fn enter(app: &mut App) -> Vec<Effect> {
    let Some(input) = app.input.take() else { return Vec::new() };
    let done = match input.kind {
        // What does not read stays in the line, with its reason.
        InputKind::Filter if input.error.is_some() => {
            app.input = Some(input);
            return Vec::new();
        }
        InputKind::Filter => return Vec::new(),
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
