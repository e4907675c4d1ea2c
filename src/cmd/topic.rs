//! `mqdeck topics …`

use std::collections::BTreeMap;

use engine::protocol::body::topic_config::TopicConfig;
use engine::protocol::names;
use engine::protocol::perm::Perm;
use serde_json::json;
use tui::columns::{QUEUES, READERS, TOPICS};
use tui::model::confirm::Risk;
use tui::{Need, Only};

use super::session::{Session, is_complete, rows};
use super::sure::{self, Change, Work};
use super::{list, one};
use crate::args::{MessageKind, Permission, TopicSettings, Topics, TopicsAction, TopicsList};
use crate::output::{self, Code, fault, usage};
use tui::sheet::{Cell, Column, Form, Sheet};

/// Queues of a new topic.
const NEW_QUEUES: i32 = 8;

/// Runs a command on topics.
pub fn run(session: &Session, topics: &Topics) -> anyhow::Result<Code> {
    match &topics.action {
        None => all(session, &topics.list),
        Some(TopicsAction::List(wanted)) => all(session, wanted),
        Some(TopicsAction::Show { topic, rates }) => show(session, topic, *rates),
        Some(TopicsAction::Create(settings)) => change(session, settings, Way::Create),
        Some(TopicsAction::Update(settings)) => change(session, settings, Way::Update),
        Some(TopicsAction::Delete { topic, sure }) => delete(session, topic, sure),
    }
}

fn all(session: &Session, wanted: &TopicsList) -> anyhow::Result<Code> {
    let need = Need { extents: true, rates: wanted.pick.rates, ..Need::default() };
    let picture = session.look(need, None)?;
    let topics = rows(&picture.topics)?.iter().filter(|topic| wanted.system || !topic.system);
    let sheet = Sheet::new(TOPICS, topics);
    list(session.form, sheet, &wanted.pick, is_complete(&picture.topics))
}

fn show(session: &Session, topic: &str, rates: bool) -> anyhow::Result<Code> {
    let need = Need { extents: true, members: true, rates, ..Need::default() };
    let picture = session.look(need, Some(&Only::Topic(topic.to_owned())))?;
    let row = rows(&picture.topics)?.iter().find(|row| *row.name == *topic);
    let Some(row) = row else { return Err(none(topic)) };
    let detail = picture.topic.values().next().and_then(|part| part.get()).cloned();
    let detail = detail.unwrap_or_default();
    let mut sheet = Sheet::new(TOPICS, [row]);
    let queues = Sheet::new(QUEUES, &detail.queues);
    let readers = Sheet::new(READERS, &detail.groups);
    if session.form == Form::Table {
        let text = [sheet.one(Form::Table), queues.text(Form::Table), readers.text(Form::Table)];
        output::print(&text.join("\n"))?;
        return Ok(Code::Done);
    }
    nest(&mut sheet, "queue_rows", &queues);
    nest(&mut sheet, "group_rows", &readers);
    one(session.form, &sheet)
}

/// Puts the rows of one table into a field of another's only row.
pub fn nest(sheet: &mut Sheet, field: &'static str, inner: &Sheet) {
    let rows = inner.rows.iter().map(|row| inner.object(row)).collect();
    sheet.columns.push((field, ""));
    if let Some(row) = sheet.rows.first_mut() {
        row.push(Cell::Nested(serde_json::Value::Array(rows)));
    }
}

fn none(topic: &str) -> anyhow::Error {
    fault(Code::Nothing, format!("there is no topic {topic:?}"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Create,
    Update,
}

fn change(session: &Session, settings: &TopicSettings, way: Way) -> anyhow::Result<Code> {
    let topic = settings.topic.as_str();
    names::check_topic(topic).map_err(|error| usage(format!("topic {topic:?}: {error}")))?;
    let masters = session.masters(&settings.broker)?;
    let mut found: BTreeMap<String, TopicConfig> = BTreeMap::new();
    for (name, addr) in &masters {
        if let Some(config) = session.wait(session.cluster.topic_config(addr, topic))? {
            found.insert(name.clone(), config);
        }
    }
    let chosen: Vec<(String, String)> = match way {
        Way::Create if !found.is_empty() => {
            return Err(fault(Code::Failed, format!("topic {topic:?} exists already")));
        }
        Way::Create => masters,
        Way::Update if found.is_empty() => return Err(none(topic)),
        Way::Update => masters.into_iter().filter(|(name, _)| found.contains_key(name)).collect(),
    };
    let fresh = TopicConfig {
        topic_name: topic.to_owned(),
        read_queue_nums: NEW_QUEUES,
        write_queue_nums: NEW_QUEUES,
        ..TopicConfig::default()
    };
    let configs: Vec<(String, String, TopicConfig)> = chosen
        .into_iter()
        .map(|(name, addr)| {
            let old = found.get(&name).cloned().unwrap_or_else(|| fresh.clone());
            (name, addr, with(old, settings))
        })
        .collect();
    let change = Change {
        action: if way == Way::Create { "create topic" } else { "change topic" },
        risk: if way == Way::Create { Risk::One } else { Risk::Two },
        name: topic,
        targets: configs.iter().map(|(name, ..)| format!("{topic} on {name}")).collect(),
        preview: preview(topic, &configs, way),
    };
    if settings.sure.dry_run {
        return dry(session.form, &change);
    }
    if way == Way::Create && !session.target.prod {
        // Class 1: to say the command is to confirm it.
        let sure = crate::args::Sure { yes: true, ..settings.sure.clone() };
        sure::confirm(session, &change, &sure)?;
    } else {
        sure::confirm(session, &change, &settings.sure)?;
    }
    let work = |addr: String, config: TopicConfig| -> Work<'_> {
        Box::new(move || {
            let done = session.wait(session.cluster.update_topic(&addr, &config));
            done.map(|()| "done".to_owned()).map_err(|error| error.to_string())
        })
    };
    let items = configs.into_iter().map(|(name, addr, config)| (name, work(addr, config)));
    finish(session, &change, items.collect())
}

fn with(mut config: TopicConfig, settings: &TopicSettings) -> TopicConfig {
    if let Some(queues) = settings.queues {
        (config.read_queue_nums, config.write_queue_nums) = (queues, queues);
    }
    if let Some(permission) = settings.perm {
        config.perm = match permission {
            Permission::Rw => Perm::READ_WRITE.0,
            Permission::R => Perm::READ.0,
            Permission::W => Perm::WRITE.0,
        };
    }
    if let Some(kind) = settings.kind {
        let word = match kind {
            MessageKind::Normal => "NORMAL",
            MessageKind::Fifo => "FIFO",
            MessageKind::Delay => "DELAY",
            MessageKind::Transaction => "TRANSACTION",
            MessageKind::Mixed => "MIXED",
        };
        config.attributes.insert("message.type".to_owned(), word.to_owned());
    }
    config
}

fn preview(topic: &str, configs: &[(String, String, TopicConfig)], way: Way) -> String {
    let verb = if way == Way::Create { "create" } else { "change" };
    let each = configs.iter().map(|(name, _, config)| {
        let (read, write) = (config.read_queue_nums, config.write_queue_nums);
        format!("{name}: {read}/{write} queues, permission {}", config.perm)
    });
    format!("{verb} topic {topic} on {}", each.collect::<Vec<_>>().join("; "))
}

/// Prints what a change would do.
pub fn dry(form: Form, change: &Change) -> anyhow::Result<Code> {
    let text = match form {
        Form::Table | Form::Name | Form::Csv => format!("dry run: {}\n", change.preview),
        Form::Json | Form::Jsonl => {
            format!(
                "{}\n",
                json!({"dry_run": true, "action": change.action, "targets": change.targets,
                    "preview": change.preview, "risk": change.risk.number()})
            )
        }
    };
    output::print(&text)?;
    Ok(Code::Done)
}

/// Makes a change and prints how each item ended.
pub fn finish(
    session: &Session,
    change: &Change,
    items: Vec<(String, Work<'_>)>,
) -> anyhow::Result<Code> {
    let mut hands = session.hands()?;
    let (done, code) = sure::run(session, &mut hands, change, items)?;
    print_items(session.form, &done, code)
}

const ITEMS: &[Column<sure::Item>] = &[
    Column { field: "name", title: "ITEM", cell: |i| Cell::Text(i.0.clone()) },
    Column { field: "ok", title: "OK", cell: |i| Cell::Flag(i.1.is_ok()) },
    Column {
        field: "result",
        title: "RESULT",
        cell: |i| Cell::Text(i.1.clone().unwrap_or_else(|error| error)),
    },
];

/// Prints how each item of a change ended.
pub fn print_items(form: Form, done: &[sure::Item], code: Code) -> anyhow::Result<Code> {
    output::print(&Sheet::new(ITEMS, done).text(form))?;
    for (name, outcome) in done {
        if let Err(why) = outcome {
            output::tell(&format!("mqdeck: {name}: {why}"));
        }
    }
    Ok(code)
}

fn delete(session: &Session, topic: &str, sure: &crate::args::Sure) -> anyhow::Result<Code> {
    let need = Need { extents: true, members: true, ..Need::default() };
    let picture = session.look(need, Some(&Only::Topic(topic.to_owned())))?;
    let row = rows(&picture.topics)?.iter().find(|row| *row.name == *topic);
    let Some(row) = row else { return Err(none(topic)) };
    let readers = row.groups.text(ToString::to_string);
    let kept = row.messages.text(ToString::to_string);
    let masters = session.masters(&[])?;
    let change = Change {
        action: "delete topic",
        risk: Risk::Three,
        name: topic,
        targets: vec![topic.to_owned()],
        preview: format!(
            "delete topic {topic}: {kept} messages, {} queues, read by {readers} groups",
            row.read_queues
        ),
    };
    if sure.dry_run {
        return dry(session.form, &change);
    }
    sure::confirm(session, &change, sure)?;
    let mut items: Vec<(String, Work<'_>)> = Vec::new();
    for (name, addr) in masters {
        let work = move || match session.wait(session.cluster.delete_topic(&addr, topic)) {
            Ok(()) => Ok("deleted".to_owned()),
            Err(error) if error.is_refused_with(17) => Ok("was not there".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        items.push((name, Box::new(work)));
    }
    let route = move || {
        let done = session.wait(session.cluster.delete_route(topic, None));
        done.map(|()| "route deleted".to_owned()).map_err(|error| error.to_string())
    };
    items.push(("name servers".to_owned(), Box::new(route)));
    finish(session, &change, items)
}
