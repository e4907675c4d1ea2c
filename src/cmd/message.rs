//! `mqdeck message …`, and how a message is written in every form.

use engine::client::figures::{Key, QUERY_MAX};
use engine::client::{Cluster, MessageExt};
use engine::protocol::ids;
use serde_json::json;
use tui::columns::MESSAGES;
use tui::data::Message;
use tui::messages::{message, wheres};

use super::session::Session;
use super::{list, one};
use crate::args::MessageAction;
use crate::output::{Code, fault};
use tui::sheet::{Cell, Sheet};

/// Characters of a body that a table shows.
const BODY_SHOWN: usize = 60;

/// The beginning of a body on one line.
pub fn glance(body: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(body) {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let line: String = text.chars().take(BODY_SHOWN).map(plain).collect();
        return if text.chars().count() > BODY_SHOWN { line + "…" } else { line };
    }
    let bytes = body.iter().take(BODY_SHOWN / 3).map(|byte| format!("{byte:02x}"));
    bytes.collect::<Vec<_>>().join(" ")
}

/// Runs a command on messages.
pub fn run(session: &Session, action: &MessageAction) -> anyhow::Result<Code> {
    match action {
        MessageAction::Get { id, topic, r#where } => {
            let found = session.wait(find(&session.cluster, id, topic.as_deref()))?;
            let Some(found) = found else {
                return Err(fault(Code::Nothing, format!("there is no message {id:?}")));
            };
            let mut sheet = Sheet::new(MESSAGES, [&found]);
            if *r#where {
                let stands = session.wait(wheres(&session.cluster, &found))?;
                let stands = stands.iter().map(|w| json!({"group": *w.group, "stands": w.text}));
                sheet.columns.push(("where", ""));
                sheet.rows[0].push(Cell::Nested(stands.collect()));
            }
            one(session.form, &sheet)
        }
        MessageAction::Query { topic, key, pick } => {
            let mut found: Vec<Message> = Vec::new();
            for (name, addr) in session.masters(&[])? {
                for key in [Key::Business(key), Key::Unique(key)] {
                    let ask = session.cluster.query_messages(&addr, topic, key, QUERY_MAX);
                    found.extend(named(session.wait(ask)?, &name));
                }
            }
            found.sort_by_key(|message| (message.stored_ms, message.key()));
            found.dedup_by_key(|message| message.key());
            if found.is_empty() && session.wait(session.cluster.route(topic)).is_err() {
                return Err(fault(Code::Nothing, format!("there is no topic {topic:?}")));
            }
            list(session.form, Sheet::new(MESSAGES, &found), pick, true)
        }
    }
}

/// Answers to a query do not name their broker.
fn named(found: Vec<MessageExt>, broker: &str) -> impl Iterator<Item = Message> {
    found.into_iter().map(move |one| {
        let mut one = message(&one);
        one.broker = broker.into();
        one
    })
}

/// By offset id at the broker that it names; else by unique id in one topic or in all.
async fn find(
    cluster: &Cluster,
    id: &str,
    topic: Option<&str>,
) -> Result<Option<Message>, engine::client::ClientError> {
    let info = cluster.cluster_info().await?;
    let masters: Vec<(String, String)> = info
        .broker_addr_table
        .iter()
        .filter_map(|(name, data)| Some((name.clone(), data.master()?.to_owned())))
        .collect();
    if let Some((host, offset)) = ids::parse_offset_id(id) {
        // The broker may be known by another address than the one that it stamps.
        let here = masters.iter().filter(|(_, addr)| addr.parse() == Ok(host));
        let others = masters.iter().filter(|(_, addr)| addr.parse() != Ok(host));
        for (name, addr) in here.chain(others) {
            let found = cluster.view_message(addr, offset as i64).await;
            if let Ok(Some(found)) = found
                && found.offset_id().eq_ignore_ascii_case(id)
            {
                return Ok(named(vec![found], name).next());
            }
        }
    }
    let topics = match topic {
        Some(topic) => vec![topic.to_owned()],
        None => cluster.topic_names().await?.topic_list.into_iter().collect(),
    };
    for topic in topics {
        for (name, addr) in &masters {
            let found = cluster.query_messages(addr, &topic, Key::Unique(id), QUERY_MAX).await;
            match found {
                Ok(found) if found.is_empty() => {}
                // The first copy is the message itself; later ones are its retries.
                Ok(found) => return Ok(named(found, name).next()),
                Err(error) if error.is_transport() => return Err(error),
                Err(_) => {}
            }
        }
    }
    Ok(None)
}
