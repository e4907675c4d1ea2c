//! What was asked seldom and is shown on a screen: clients, timers, transactions; when it is asked again.

use crate::data::{Part, Problem, Ready};
use crate::keymap::Kind;
use crate::survey::clients::Client;
use crate::survey::timers::{Timer, Total};
use crate::survey::transactions::Half;

/// Refresh intervals between two questions (console-screens.md §6, slow).
const SLOW_TIMES: i64 = 15;

/// What can be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Survey {
    /// Who is connected.
    Clients,
    /// What waits for a time of its own.
    Timers,
    /// What is not decided.
    Transactions,
}

impl Survey {
    /// What a screen shows; none for those that the poller feeds.
    pub const fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Clients => Some(Self::Clients),
            Kind::Timers => Some(Self::Timers),
            Kind::Transactions => Some(Self::Transactions),
            _ => None,
        }
    }
}

/// Waiting messages and their totals.
#[derive(Clone, Debug, Default)]
pub struct TimerList {
    /// The newest entries, soonest first.
    pub timers: Vec<Timer>,
    /// By topic.
    pub totals: Vec<Total>,
    /// Older entries were left unread.
    pub more: bool,
}

/// An answer; the last value: whether everybody told everything.
#[derive(Clone, Debug)]
pub enum Surveyed {
    /// Of [`Survey::Clients`].
    Clients(Result<(Vec<Client>, bool), Problem>),
    /// Of [`Survey::Timers`].
    Timers(Result<(TimerList, bool), Problem>),
    /// Of [`Survey::Transactions`].
    Transactions(Result<(Vec<Half>, bool), Problem>),
}

/// The answers so far.
#[derive(Clone, Debug, Default)]
pub struct Surveys {
    /// Who is connected.
    pub clients: Part<Vec<Client>>,
    /// What waits.
    pub timers: Part<TimerList>,
    /// What is not decided.
    pub transactions: Part<Vec<Half>>,
    asked_ms: [Option<i64>; 3],
}

impl Surveys {
    /// What has to be asked now for the screen on top.
    pub fn due(&mut self, kind: Kind, now_ms: i64, interval_ms: i64) -> Option<Survey> {
        let survey = Survey::of(kind)?;
        let asked = &mut self.asked_ms[survey as usize];
        if asked.is_some_and(|at| now_ms - at < SLOW_TIMES * interval_ms) {
            return None;
        }
        *asked = Some(now_ms);
        Some(survey)
    }

    /// Everything is asked again when it is next on screen.
    pub const fn refresh(&mut self) {
        self.asked_ms = [None; 3];
    }

    /// Takes an answer.
    pub fn take(&mut self, answer: Surveyed, now_ms: i64) {
        match answer {
            Surveyed::Clients(result) => put(&mut self.clients, result, now_ms),
            Surveyed::Timers(result) => put(&mut self.timers, result, now_ms),
            Surveyed::Transactions(result) => put(&mut self.transactions, result, now_ms),
        }
    }
}

fn put<T>(part: &mut Part<T>, result: Result<(T, bool), Problem>, now_ms: i64) {
    *part = match result {
        Ok((value, complete)) => Part::Ready(Ready {
            value: value.into(),
            taken_ms: now_ms,
            answered: u16::from(complete),
            asked: 1,
        }),
        Err(problem) => Part::Refused(problem),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_asks_when_it_opens_and_then_seldom() {
        let mut surveys = Surveys::default();
        assert_eq!(surveys.due(Kind::Clients, 0, 2_000), Some(Survey::Clients));
        assert_eq!(surveys.due(Kind::Clients, 29_999, 2_000), None);
        assert_eq!(surveys.due(Kind::Timers, 29_999, 2_000), Some(Survey::Timers));
        assert_eq!(surveys.due(Kind::Clients, 30_000, 2_000), Some(Survey::Clients));
        surveys.refresh();
        assert_eq!(surveys.due(Kind::Clients, 30_001, 2_000), Some(Survey::Clients));
        assert_eq!(surveys.due(Kind::Groups, 0, 2_000), None);
    }
}
