//! `mqdeck dlq try`: one client consumes letters now, and says how it went. Nothing is stored or moved.

use engine::client::admin::Member;
use engine::protocol::body::running_info::ConsumeResult;
use tui::model::confirm::Risk;

use super::{Selected, id};
use crate::args::{Letters, Sure};
use crate::cmd::session::Session;
use crate::cmd::sure::{self, Change, Work};
use crate::cmd::topic::{dry, finish};
use crate::output::{Code, fault};

/// Most letters that are tried in one go: it runs somebody's code.
const TRIES_MAX: usize = 100;

/// Tries letters on a client.
pub fn run(
    session: &Session,
    wanted: &Letters,
    client: Option<&str>,
    sure: &Sure,
) -> anyhow::Result<Code> {
    let Selected { letters, .. } = super::select(session, wanted)?;
    if letters.len() > TRIES_MAX {
        let n = letters.len();
        return Err(fault(Code::Refused, format!("{n} letters are selected, {TRIES_MAX} at most")));
    }
    let group = wanted.group.as_str();
    let (addr, client) = member(session, group, client)?;
    let change = Change {
        action: "try",
        risk: if letters.len() == 1 { Risk::One } else { Risk::Two },
        name: group,
        targets: letters.iter().map(tui::data::Letter::key).collect(),
        preview: format!("have {client} consume {} letters of {group} now", letters.len()),
    };
    if sure.dry_run {
        return dry(session.form, &change);
    }
    sure::confirm(session, &change, sure)?;
    let client = client.as_str();
    let addr = addr.as_str();
    let items = letters.iter().map(|letter| {
        let work: Work<'_> = Box::new(move || {
            let member = Member { group, client_id: client };
            let ask = session.cluster.consume_directly(
                addr,
                &member,
                &letter.message.topic,
                &letter.message.offset_id,
            );
            let told = session.wait(ask).map_err(|error| error.to_string())?;
            let took = told.spent_time_mills;
            match told.consume_result {
                ConsumeResult::Success | ConsumeResult::Commit => {
                    Ok(format!("consumed, {took} ms"))
                }
                other => Err(format!("{other:?}, {took} ms: {}", told.remark.unwrap_or_default())),
            }
        });
        (id(letter), work)
    });
    finish(session, &change, items.collect())
}

/// The member, and a broker that it is connected to.
fn member(
    session: &Session,
    group: &str,
    wanted: Option<&str>,
) -> anyhow::Result<(String, String)> {
    for (_, addr) in session.masters(&[])? {
        let found = session.wait(session.cluster.consumer_connections(&addr, group))?;
        for client in found.into_iter().flat_map(|found| found.connection_set) {
            if wanted.is_none_or(|wanted| wanted == client.client_id) {
                return Ok((addr, client.client_id));
            }
        }
    }
    Err(fault(
        Code::Nothing,
        match wanted {
            Some(wanted) => format!("{group} has no member {wanted:?} online"),
            None => format!("no member of {group} is online"),
        },
    ))
}
