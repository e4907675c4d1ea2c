//! A transaction decided in its producer's place: read again, decide, audit (admin.md §5 j).

use super::Executor;
use crate::data::plan::ItemOutcome;
use crate::effect::AuditNote;
use crate::event::{Event, Ticket};
use crate::survey::transactions::{self, Half, Verdict};

/// Answer of a broker whose check has entered the message anew meanwhile.
const ENTERED_ANEW: i32 = 1;
/// Times that it is read and decided.
const TRIES: u32 = 2;

/// Decides it; the outcome comes as an event.
pub async fn run(me: &Executor, ticket: Ticket, half: &Half, verdict: Verdict, note: &AuditNote) {
    if !me.audit_start(ticket, note) {
        let why = "not started: the audit file cannot be written".to_owned();
        me.tell(Event::Decided(ticket, ItemOutcome::Refused(why)));
        return;
    }
    let outcome = decided(me, half, verdict).await;
    me.audit_end(ticket, note, &outcome.text());
    me.tell(Event::Decided(ticket, outcome));
}

async fn decided(me: &Executor, half: &Half, verdict: Verdict) -> ItemOutcome {
    let mut told = String::new();
    for _ in 0..TRIES {
        let now = match transactions::list(&me.cluster).await {
            Ok((halves, _)) => halves,
            Err(error) => return ItemOutcome::Refused(format!("nothing was sent: {error}")),
        };
        let same = |h: &&Half| h.id == half.id && h.broker == half.broker && !h.given_up;
        let Some(newest) = now.iter().find(same) else { return ItemOutcome::Gone };
        match transactions::decide(&me.cluster, newest, verdict).await {
            Ok(()) if verdict == Verdict::Commit => {
                return ItemOutcome::Done("committed".to_owned());
            }
            Ok(()) => return ItemOutcome::Done("rolled back".to_owned()),
            Err(error) if error.is_refused_with(ENTERED_ANEW) => told = error.to_string(),
            Err(error) if error.is_transport() => return ItemOutcome::Unknown(error.to_string()),
            Err(error) => return ItemOutcome::Refused(error.to_string()),
        }
    }
    ItemOutcome::Refused(told)
}
