//! Screens that ask for themselves: when they open, then every slow interval while they are seen.
//!
//! Clients, Timers and Transactions. What is not on screen is not asked; a frozen console asks nothing
//! anew. One request is on its way at a time (console-screens.md §6).

use std::sync::Arc;

use super::parts::right_title;
use crate::app::App;
use crate::data::{Part, Problem, Ready};
use crate::effect::Effect;
use crate::event::Ticket;
use crate::format;
use crate::place::{Asked, At};
use crate::survey::{Survey, Surveyed};
use crate::theme::Role;
use crate::widget::{Seg, seg};

/// Intervals between two looks.
const SLOW_TIMES: i64 = 15;

/// What has to be asked now.
pub fn due(app: &mut App) -> Vec<Effect> {
    let (now, slow) = (app.now_ms, app.interval_ms * SLOW_TIMES);
    let frozen = app.frozen.is_some();
    let ticket = app.ticket();
    let what = match &mut app.place_mut().at {
        At::Clients(at) => {
            let group = at.group.clone();
            start(&mut at.all, ticket, now, slow, frozen).then_some(Survey::Clients(group))
        }
        At::Timers(at) => start(at, ticket, now, slow, frozen).then_some(Survey::Timers),
        At::Transactions(at) => {
            start(at, ticket, now, slow, frozen).then_some(Survey::Transactions)
        }
        _ => None,
    };
    what.map(|what| Effect::Survey(ticket, what)).into_iter().collect()
}

fn start<T>(asked: &mut Asked<T>, ticket: Ticket, now: i64, slow: i64, frozen: bool) -> bool {
    let old = asked.at_ms.is_none_or(|at| !frozen && now - at >= slow);
    if asked.waiting || !old {
        return false;
    }
    asked.ticket = ticket;
    asked.at_ms = Some(now);
    asked.waiting = true;
    true
}

/// Makes the place ask at once.
pub fn again(app: &mut App) {
    match &mut app.place_mut().at {
        At::Clients(at) => at.all.at_ms = None,
        At::Timers(at) => at.at_ms = None,
        At::Transactions(at) => at.at_ms = None,
        _ => {}
    }
}

/// Takes an answer. It may be for a place that was left meanwhile.
pub fn took(app: &mut App, ticket: Ticket, result: Result<Surveyed, Problem>) {
    let now = app.now_ms;
    let mut kept = false;
    let places = app.stack.iter_mut().chain(app.left.values_mut());
    for place in places {
        let of = |asked: Ticket| asked == ticket;
        match (&mut place.at, &result) {
            (At::Clients(at), Ok(Surveyed::Clients(found))) if of(at.all.ticket) => {
                take(&mut at.all, Ok(found), now);
            }
            (At::Clients(at), Ok(Surveyed::Running(found))) if of(at.running.ticket) => {
                take(&mut at.running, Ok(found), now);
            }
            (At::Timers(at), Ok(Surveyed::Timers(found))) if of(at.ticket) => {
                take(at, Ok(found), now);
            }
            (At::Transactions(at), Ok(Surveyed::Transactions(found))) if of(at.ticket) => {
                take(at, Ok(found), now);
            }
            (At::Clients(at), Err(problem)) if of(at.all.ticket) => {
                kept |= take(&mut at.all, Err(problem), now);
            }
            (At::Clients(at), Err(problem)) if of(at.running.ticket) => {
                kept |= take(&mut at.running, Err(problem), now);
            }
            (At::Timers(at), Err(problem)) if of(at.ticket) => {
                kept |= take(at, Err(problem), now);
            }
            (At::Transactions(at), Err(problem)) if of(at.ticket) => {
                kept |= take(at, Err(problem), now);
            }
            _ => {}
        }
    }
    if let Err(problem) = result
        && kept
    {
        app.tell(format!("kept the older picture: {}", problem.remark));
    }
}

/// An answer replaces the one before; a problem does so only when there is none. True: the older
/// picture stays in spite of it.
fn take<T>(asked: &mut Asked<T>, found: Result<&Arc<T>, &Problem>, now: i64) -> bool {
    asked.waiting = false;
    match found {
        Ok(value) => {
            let value = Arc::clone(value);
            asked.part = Part::Ready(Ready { value, taken_ms: now, answered: 1, asked: 1 });
        }
        Err(problem) if asked.part.get().is_none() => asked.part = Part::Refused(problem.clone()),
        Err(_) => return true,
    }
    false
}

/// The right title: what the screen says of its rows, and their age once the next look is late.
pub fn title<T>(app: &App, asked: &Asked<T>, noun: &str, base: String) -> Seg {
    let Part::Ready(ready) = &asked.part else { return right_title(app, &asked.part, noun, "") };
    let (age, slow) = (app.now_ms - ready.taken_ms, app.interval_ms * SLOW_TIMES);
    if app.frozen.is_some() || age < 2 * slow {
        return seg(Role::TextDim, base);
    }
    seg(Role::Warn, format!("{base} · age {}", format::duration(age)))
}
