//! One message's life as rows: what traces tell, with what was given joined to how it ended.
//!
//! Pure. Which records there are is `survey/trace.rs`; console-screens.md §6.11.

use crate::survey::trace::{Event, Step};

/// One row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// When it began, the client's clock, ms; 0 when no record says it.
    pub at_ms: i64,
    /// `sent`, `delivered` …
    pub step: &'static str,
    /// Group and client, or where the copy lies.
    pub who: String,
    /// How it ended.
    pub result: Ended,
    /// How long it took, ms.
    pub took_ms: Option<i64>,
    /// What else is known.
    pub detail: String,
}

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Well.
    Ok,
    /// Badly.
    Failed,
    /// Nobody has said yet.
    Open,
    /// It is a place, not a deed.
    None,
}

impl Ended {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "FAILED",
            Self::Open => "?",
            Self::None => "–",
        }
    }

    fn of(result: &str) -> Self {
        if result == "ok" { Self::Ok } else { Self::Failed }
    }
}

/// Rows of a message's events, oldest first.
pub fn rows(events: &[Event]) -> Vec<Row> {
    let joins = |event: &&Event, request: &str| {
        event.step == Step::Consumed && !request.is_empty() && event.request == request
    };
    let mut rows = Vec::new();
    for event in events {
        match event.step {
            Step::Given => {
                let end = events.iter().find(|other| joins(other, &event.request));
                rows.push(delivered(event, end));
            }
            // Told with what it ends, where that is known.
            Step::Consumed => {
                let begun =
                    |other: &Event| other.step == Step::Given && other.request == event.request;
                if event.request.is_empty() || !events.iter().any(begun) {
                    rows.push(delivered(event, Some(event)));
                }
            }
            _ => rows.push(other(event)),
        }
    }
    rows.sort_by_key(|row| row.at_ms);
    rows
}

fn delivered(given: &Event, end: Option<&Event>) -> Row {
    let mut detail = Vec::new();
    if let Some(end) = end.filter(|end| end.result != "ok" && end.result != "failed") {
        detail.push(end.result.clone());
    }
    match given.attempt {
        None | Some(0) => {}
        Some(attempt) => detail.push(format!("retry {attempt}")),
    }
    if end.is_none() {
        detail.push("no record of its end".to_owned());
    }
    let group = if given.group.is_empty() { "?" } else { &given.group };
    Row {
        at_ms: given.at_ms,
        step: "delivered",
        who: format!("to {group} @{}", given.client),
        result: end.map_or(Ended::Open, |end| Ended::of(&end.result)),
        took_ms: end.and_then(|end| end.cost_ms),
        detail: detail.join(" · "),
    }
}

fn other(event: &Event) -> Row {
    let by = || format!("by {} @{}", event.group, event.client);
    let row = |step, who, result, detail| Row {
        at_ms: event.at_ms,
        step,
        who,
        result,
        took_ms: event.cost_ms,
        detail,
    };
    match event.step {
        Step::Sent => row("sent", by(), Ended::of(&event.result), event.topic.clone()),
        Step::Decided => row("decided", by(), Ended::None, event.result.clone()),
        Step::Recalled => row("recalled", by(), Ended::of(&event.result), event.topic.clone()),
        Step::Dead => row("dead", event.topic.clone(), Ended::None, String::new()),
        _ => row("in retry", event.topic.clone(), Ended::None, attempts(event)),
    }
}

fn attempts(event: &Event) -> String {
    event.attempt.map_or_else(String::new, |attempt| format!("retry {attempt}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(step: Step, at_ms: i64, request: &str, result: &str) -> Event {
        Event {
            at_ms,
            step,
            group: "billing".to_owned(),
            client: "10.1.4.44".to_owned(),
            result: result.to_owned(),
            cost_ms: (step == Step::Consumed).then_some(12),
            attempt: (step == Step::Given).then_some(1),
            request: request.to_owned(),
            topic: "invoices".to_owned(),
        }
    }

    #[test]
    fn what_was_given_is_one_row_with_how_it_ended() {
        let events = [
            event(Step::Sent, 1, "", "ok"),
            event(Step::Given, 2, "A", ""),
            event(Step::Consumed, 3, "A", "exception"),
            event(Step::Given, 4, "B", ""),
            event(Step::Dead, 9, "", ""),
        ];
        let told: Vec<_> = rows(&events)
            .into_iter()
            .map(|row| (row.at_ms, row.step, row.result.word(), row.took_ms, row.detail))
            .collect();
        assert_eq!(
            told,
            [
                (1, "sent", "ok", None, "invoices".to_owned()),
                (2, "delivered", "FAILED", Some(12), "exception · retry 1".to_owned()),
                (4, "delivered", "?", None, "retry 1 · no record of its end".to_owned()),
                (9, "dead", "–", None, String::new()),
            ]
        );
    }

    #[test]
    fn an_end_without_a_beginning_is_told_by_itself() {
        let told = rows(&[event(Step::Consumed, 3, "A", "ok")]);
        assert_eq!((told.len(), told[0].result), (1, Ended::Ok));
    }
}
