//! What traces say about one message: sent, given to which consumers, with what result
//! (admin.md §5 i, semantics.md §19).

use engine::client::figures::{Key, QUERY_MAX};
use engine::client::{ClientError, Cluster, MessageExt};
use engine::protocol::names;

/// Between records, and between fields.
const RECORD: char = '\u{2}';
const FIELD: char = '\u{1}';

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A producer sent it.
    Sent,
    /// A consumer got it.
    Given,
    /// A consumer was done with it.
    Consumed,
    /// A transaction ended.
    Decided,
    /// A producer recalled it.
    Recalled,
    /// A copy of it lies in a retry topic.
    Retry,
    /// A copy of it lies in the dead letters.
    Dead,
}

impl Step {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Given => "given",
            Self::Consumed => "consumed",
            Self::Decided => "decided",
            Self::Recalled => "recalled",
            Self::Retry => "in retry",
            Self::Dead => "dead",
        }
    }
}

/// One event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When, the client's clock, ms; 0 where the record does not say it.
    pub at_ms: i64,
    /// What.
    pub step: Step,
    /// Group of the client.
    pub group: String,
    /// Where the record came from: the client's address.
    pub client: String,
    /// `ok`, `failed`, `exception`, `timeout` …; empty where there is none.
    pub result: String,
    /// How long it took, ms.
    pub cost_ms: Option<i64>,
    /// Deliveries before this one.
    pub attempt: Option<i64>,
    /// Joins what was given with how it ended.
    pub request: String,
    /// Topic, where the record says it.
    pub topic: String,
}

/// What was found for an id or a key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Life {
    /// Events of the one message that it is, oldest first.
    pub events: Vec<Event>,
    /// Whether the topic of traces exists.
    pub exists: bool,
    /// Several messages that have the key.
    pub matches: Vec<Match>,
}

/// A message with the key that was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Match {
    /// When it was sent, ms.
    pub at_ms: i64,
    /// Its topic.
    pub topic: String,
    /// Its id.
    pub id: String,
}

/// The life of a message by its id; else by its key, when only one message has it.
///
/// # Errors
/// When a broker cannot be asked.
pub async fn look(cluster: &Cluster, trace_topic: &str, what: &str) -> Result<Life, ClientError> {
    let (events, exists) = of_message(cluster, trace_topic, what).await?;
    if !events.is_empty() || !exists {
        return Ok(Life { events, exists, matches: Vec::new() });
    }
    let matches = with_key(cluster, trace_topic, what).await?;
    let [only] = &matches[..] else { return Ok(Life { events, exists, matches }) };
    let (events, exists) = of_message(cluster, trace_topic, &only.id).await?;
    Ok(Life { events, exists, matches: Vec::new() })
}

/// Messages whose producers wrote that they have this key, oldest first.
async fn with_key(
    cluster: &Cluster,
    trace_topic: &str,
    key: &str,
) -> Result<Vec<Match>, ClientError> {
    let mut found = Vec::new();
    for (_, addr) in super::masters(cluster).await? {
        let traces =
            cluster.query_messages(&addr, trace_topic, Key::Business(key), QUERY_MAX).await?;
        for message in &traces {
            found.extend(sent_with_key(&String::from_utf8_lossy(&message.body), key));
        }
    }
    found.sort_by(|a, b| (a.at_ms, &a.id).cmp(&(b.at_ms, &b.id)));
    found.dedup();
    Ok(found)
}

fn sent_with_key(body: &str, key: &str) -> Vec<Match> {
    let of = |record: &str| {
        let fields: Vec<&str> = record.split(FIELD).collect();
        let is_it = fields.first() == Some(&"Pub")
            && fields.get(7).is_some_and(|keys| keys.split(' ').any(|one| one == key));
        is_it.then(|| Match {
            at_ms: fields[1].parse().unwrap_or_default(),
            topic: fields[4].to_owned(),
            id: fields[5].to_owned(),
        })
    };
    body.split(RECORD).filter_map(of).collect()
}

/// Events of a message, oldest first; and whether the topic of traces exists.
///
/// # Errors
/// When a broker cannot be asked.
pub async fn of_message(
    cluster: &Cluster,
    trace_topic: &str,
    id: &str,
) -> Result<(Vec<Event>, bool), ClientError> {
    let masters = super::masters(cluster).await?;
    let (mut events, mut exists) = (Vec::new(), false);
    for (_, addr) in &masters {
        if cluster.topic_stats(addr, trace_topic).await?.is_none() {
            continue;
        }
        exists = true;
        let found = cluster.query_messages(addr, trace_topic, Key::Business(id), QUERY_MAX).await?;
        for message in &found {
            let client = message.born_host.to_string();
            events.extend(decode(&String::from_utf8_lossy(&message.body), id, &client));
        }
    }
    let mut groups: Vec<String> = events
        .iter()
        .filter(|event| matches!(event.step, Step::Given | Step::Consumed))
        .map(|event| event.group.clone())
        .filter(|group| !group.is_empty())
        .collect();
    groups.sort();
    groups.dedup();
    for (_, addr) in &masters {
        for group in &groups {
            for (topic, step) in
                [(names::retry_topic(group), Step::Retry), (names::dlq_topic(group), Step::Dead)]
            {
                let copies = cluster.query_messages(addr, &topic, Key::Unique(id), QUERY_MAX).await;
                events.extend(copies.into_iter().flatten().map(|m| copy(&m, group, step)));
            }
        }
    }
    events.sort_by(|a, b| {
        (a.at_ms, a.step as u8, &a.request).cmp(&(b.at_ms, b.step as u8, &b.request))
    });
    events.dedup();
    Ok((events, exists))
}

fn copy(message: &MessageExt, group: &str, step: Step) -> Event {
    Event {
        at_ms: message.store_ms,
        step,
        group: group.to_owned(),
        client: String::new(),
        result: String::new(),
        cost_ms: None,
        attempt: Some(message.reconsume_times.into()),
        request: String::new(),
        topic: message.topic.clone(),
    }
}

/// Records of one trace message that are about an id. What does not read is left out.
pub fn decode(body: &str, id: &str, client: &str) -> Vec<Event> {
    body.split(RECORD).filter_map(|record| one(record, id, client)).collect()
}

fn one(record: &str, id: &str, client: &str) -> Option<Event> {
    let fields: Vec<&str> = record.split(FIELD).collect();
    let field = |at: usize| fields.get(at).map(|text| (*text).to_owned()).unwrap_or_default();
    let number = |at: usize| field(at).parse::<i64>().ok();
    let truth = |at: usize| if field(at) == "true" { "ok".to_owned() } else { "failed".to_owned() };
    let mut event = Event {
        at_ms: number(1).unwrap_or_default(),
        step: Step::Sent,
        group: field(3),
        client: client.to_owned(),
        result: String::new(),
        cost_ms: None,
        attempt: None,
        request: String::new(),
        topic: String::new(),
    };
    let of = match field(0).as_str() {
        "Pub" => {
            event.topic = field(4);
            event.cost_ms = number(10);
            event.result = truth(13);
            5
        }
        "SubBefore" => {
            event.step = Step::Given;
            event.request = field(4);
            event.attempt = number(6);
            5
        }
        "SubAfter" => {
            event.step = Step::Consumed;
            event.request = field(1);
            event.cost_ms = number(3);
            event.at_ms = number(7).unwrap_or_default();
            event.group = field(8);
            event.result = reason(&field(4), &field(6));
            2
        }
        "EndTransaction" => {
            event.step = Step::Decided;
            event.topic = field(4);
            event.result = field(11).to_lowercase();
            5
        }
        "Recall" => {
            event.step = Step::Recalled;
            event.topic = field(4);
            event.result = truth(6);
            5
        }
        _ => return None,
    };
    (field(of) == id).then_some(event)
}

/// How consuming ended: the context code where there is one, else success or not.
fn reason(success: &str, context: &str) -> String {
    match (success, context) {
        (_, "1") => "timeout",
        (_, "2") => "exception",
        (_, "3") => "returned nothing",
        ("true", _) => "ok",
        _ => "failed",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_to_the_messages_that_were_sent_with_it() {
        let join = |fields: &[&str]| fields.join("\u{1}");
        let body = [
            join(&["Pub", "100", "r", "shop", "orders", "ID1", "t", "k a", "b:1", "12"]),
            join(&["Pub", "101", "r", "shop", "orders", "ID2", "t", "kk", "b:1", "12"]),
            join(&["SubBefore", "110", "r", "billing", "REQ", "ID1", "2", "k"]),
        ]
        .join("\u{2}");
        let found = sent_with_key(&body, "k");
        assert_eq!(found.iter().map(|m| &*m.id).collect::<Vec<_>>(), ["ID1"]);
    }

    #[test]
    fn records_of_a_batch_are_told_apart_by_id() {
        let join = |fields: &[&str]| fields.join("\u{1}");
        let body = [
            join(&[
                "Pub", "100", "r", "shop", "orders", "ID1", "t", "k", "b:1", "12", "3", "0", "off",
                "true",
            ]),
            join(&[
                "Pub", "101", "r", "shop", "orders", "ID2", "", "", "b:1", "1", "1", "0", "o",
                "true",
            ]),
            join(&["SubBefore", "110", "r", "billing", "REQ", "ID1", "2", "k"]),
            join(&["SubAfter", "REQ", "ID1", "7", "false", "k", "2", "117", "billing"]),
            "nonsense".to_owned(),
        ]
        .join("\u{2}");
        let events = decode(&body, "ID1", "10.0.0.1:5");
        let told: Vec<(i64, &str, &str, &str)> = events
            .iter()
            .map(|e| (e.at_ms, e.step.word(), e.group.as_str(), e.result.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (100, "sent", "shop", "ok"),
                (110, "given", "billing", ""),
                (117, "consumed", "billing", "exception"),
            ]
        );
        assert_eq!((events[1].attempt, events[2].cost_ms), (Some(2), Some(7)));
    }
}
