//! `mqdeck groups …`

use std::collections::BTreeMap;

use engine::client::admin::GroupOffsets;
use engine::protocol::body::group_config::SubscriptionGroupConfig;
use engine::protocol::names;
use tui::columns::{GROUP_CLIENTS, GROUP_QUEUES, GROUPS, LAGS};
use tui::data::Fig;
use tui::model::confirm::Risk;
use tui::{Need, Only};

use super::session::{Session, is_complete, rows};
use super::sure::{self, Change, Work};
use super::topic::{dry, finish, nest};
use super::{list, one};
use crate::args::{GroupSettings, Groups, GroupsAction, Pick, Sure};
use crate::output::{self, Code, fault, usage};
use tui::sheet::{Cell, Column, Form, Sheet};

/// One finding about a group.
struct Finding {
    group: String,
    state: String,
    text: String,
}

const FINDINGS: &[Column<Finding>] = &[
    Column { field: "group", title: "GROUP", cell: |f| Cell::Text(f.group.clone()) },
    Column { field: "state", title: "STATE", cell: |f| Cell::Text(f.state.clone()) },
    Column { field: "finding", title: "FINDING", cell: |f| Cell::Text(f.text.clone()) },
];

/// Runs a command on groups.
pub fn run(session: &Session, groups: &Groups) -> anyhow::Result<Code> {
    match &groups.action {
        None => all(session, &groups.pick),
        Some(GroupsAction::List(pick)) => all(session, pick),
        Some(GroupsAction::Show { group, rates }) => show(session, group, *rates),
        Some(GroupsAction::Lag { group: None, pick }) => lags(session, pick),
        Some(GroupsAction::Lag { group: Some(group), pick }) => queues(session, group, pick),
        Some(GroupsAction::Clients { group, pick }) => clients(session, group, pick),
        Some(GroupsAction::Doctor { group, pick }) => doctor(session, group.as_deref(), pick),
        Some(GroupsAction::Create(settings)) => change(session, settings, Way::Create),
        Some(GroupsAction::Update(settings)) => change(session, settings, Way::Update),
        Some(GroupsAction::Delete { group, keep_offsets, sure }) => {
            let offsets = if *keep_offsets { GroupOffsets::Keep } else { GroupOffsets::Remove };
            delete(session, group, offsets, sure)
        }
    }
}

const fn everything(rates: bool) -> Need {
    Need {
        extents: true,
        members: true,
        running: false,
        spans: true,
        ladder: true,
        split: false,
        ages: false,
        rates,
    }
}

fn all(session: &Session, pick: &Pick) -> anyhow::Result<Code> {
    let picture = session.look(everything(pick.rates), None)?;
    let sheet = Sheet::new(GROUPS, rows(&picture.groups)?);
    list(session.form, sheet, pick, is_complete(&picture.groups))
}

fn lags(session: &Session, pick: &Pick) -> anyhow::Result<Code> {
    let need = Need { extents: true, members: true, spans: true, ..Need::default() };
    let picture = session.look(need, None)?;
    let sheet = Sheet::new(LAGS, rows(&picture.lags)?);
    list(session.form, sheet, pick, is_complete(&picture.lags))
}

fn only(group: &str) -> Only {
    Only::Group(group.to_owned())
}

fn none(group: &str) -> anyhow::Error {
    fault(Code::Nothing, format!("there is no group {group:?}"))
}

fn queues(session: &Session, group: &str, pick: &Pick) -> anyhow::Result<Code> {
    let need = Need { running: true, ..everything(pick.rates) };
    let picture = session.look(need, Some(&only(group)))?;
    if !rows(&picture.groups)?.iter().any(|row| *row.name == *group) {
        return Err(none(group));
    }
    let detail = picture.group.values().next().and_then(|part| part.get()).cloned();
    let sheet = Sheet::new(GROUP_QUEUES, &detail.unwrap_or_default().queues);
    list(session.form, sheet, pick, is_complete(&picture.groups))
}

fn clients(session: &Session, group: &str, pick: &Pick) -> anyhow::Result<Code> {
    let need = Need { members: true, running: true, ..Need::default() };
    let picture = session.look(need, Some(&only(group)))?;
    if !rows(&picture.groups)?.iter().any(|row| *row.name == *group) {
        return Err(none(group));
    }
    let detail = picture.group.values().next().and_then(|part| part.get()).cloned();
    let sheet = Sheet::new(GROUP_CLIENTS, &detail.unwrap_or_default().clients);
    list(session.form, sheet, pick, is_complete(&picture.groups))
}

fn show(session: &Session, group: &str, rates: bool) -> anyhow::Result<Code> {
    let need = Need { running: true, ..everything(rates) };
    let picture = session.look(need, Some(&only(group)))?;
    let row = rows(&picture.groups)?.iter().find(|row| *row.name == *group);
    let Some(row) = row else { return Err(none(group)) };
    let detail = picture.group.values().next().and_then(|part| part.get()).cloned();
    let detail = detail.unwrap_or_default();
    let mut sheet = Sheet::new(GROUPS, [row]);
    let (queues, clients) =
        (Sheet::new(GROUP_QUEUES, &detail.queues), Sheet::new(GROUP_CLIENTS, &detail.clients));
    if session.form == Form::Table {
        let text = [sheet.one(Form::Table), queues.text(Form::Table), clients.text(Form::Table)];
        output::print(&text.join("\n"))?;
        return Ok(Code::Done);
    }
    nest(&mut sheet, "queue_rows", &queues);
    nest(&mut sheet, "client_rows", &clients);
    one(session.form, &sheet)
}

fn doctor(session: &Session, group: Option<&str>, pick: &Pick) -> anyhow::Result<Code> {
    let need = Need { running: true, ..everything(pick.rates) };
    let picture = session.look(need, group.map(only).as_ref())?;
    let groups = rows(&picture.groups)?;
    if let Some(group) = group
        && !groups.iter().any(|row| *row.name == *group)
    {
        return Err(none(group));
    }
    let mut found = Vec::new();
    for row in groups.iter().filter(|row| group.is_none_or(|group| *row.name == *group)) {
        let problem = row.problem.iter().map(tui::data::Problem::line);
        for text in problem.chain(row.findings.iter().cloned()) {
            found.push(Finding { group: row.name.to_string(), state: row.state.text(), text });
        }
    }
    list(session.form, Sheet::new(FINDINGS, &found), pick, is_complete(&picture.groups))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Create,
    Update,
}

fn change(session: &Session, settings: &GroupSettings, way: Way) -> anyhow::Result<Code> {
    let group = settings.group.as_str();
    names::check_group(group).map_err(|error| usage(format!("group {group:?}: {error}")))?;
    let masters = session.masters(&settings.broker)?;
    let mut found: BTreeMap<String, SubscriptionGroupConfig> = BTreeMap::new();
    for (name, addr) in &masters {
        let all = session.wait(session.cluster.group_configs(addr))?;
        if let Some(config) = all.subscription_group_table.get(group) {
            found.insert(name.clone(), config.clone());
        }
    }
    let chosen: Vec<(String, String)> = match way {
        Way::Create if !found.is_empty() => {
            return Err(fault(Code::Failed, format!("group {group:?} exists already")));
        }
        Way::Create => masters,
        Way::Update if found.is_empty() => return Err(none(group)),
        Way::Update => masters.into_iter().filter(|(name, _)| found.contains_key(name)).collect(),
    };
    let configs: Vec<(String, String, SubscriptionGroupConfig)> = chosen
        .into_iter()
        .map(|(name, addr)| {
            let old = found.get(&name).cloned();
            let old = old.unwrap_or_else(|| SubscriptionGroupConfig::named(group));
            (name, addr, with(old, settings))
        })
        .collect();
    let each = configs.iter().map(|(name, _, config)| {
        format!("{name}: {} retries, consume {}", config.retry_max_times, config.consume_enable)
    });
    let verb = if way == Way::Create { "create" } else { "change" };
    let change = Change {
        action: if way == Way::Create { "create group" } else { "change group" },
        risk: if way == Way::Create { Risk::One } else { Risk::Two },
        name: group,
        targets: configs.iter().map(|(name, ..)| format!("{group} on {name}")).collect(),
        preview: format!("{verb} group {group} on {}", each.collect::<Vec<_>>().join("; ")),
    };
    if settings.sure.dry_run {
        return dry(session.form, &change);
    }
    let mut sure = settings.sure.clone();
    // Class 1: to say the command is to confirm it.
    sure.yes |= way == Way::Create && !session.target.prod;
    sure::confirm(session, &change, &sure)?;
    let work = |addr: String, config: SubscriptionGroupConfig| -> Work<'_> {
        Box::new(move || {
            let done = session.wait(session.cluster.update_group(&addr, &config));
            done.map(|()| "done".to_owned()).map_err(|error| error.to_string())
        })
    };
    let items = configs.into_iter().map(|(name, addr, config)| (name, work(addr, config)));
    finish(session, &change, items.collect())
}

fn with(mut config: SubscriptionGroupConfig, settings: &GroupSettings) -> SubscriptionGroupConfig {
    if let Some(retries) = settings.retries {
        config.retry_max_times = retries;
    }
    if let Some(consume) = settings.consume {
        config.consume_enable = consume;
    }
    if let Some(broadcast) = settings.broadcast {
        config.consume_broadcast_enable = broadcast;
    }
    if let Some(ordered) = settings.ordered {
        config.consume_message_orderly = ordered;
    }
    config
}

fn delete(
    session: &Session,
    group: &str,
    offsets: GroupOffsets,
    sure: &Sure,
) -> anyhow::Result<Code> {
    let picture = session.look(everything(false), Some(&only(group)))?;
    let row = rows(&picture.groups)?.iter().find(|row| *row.name == *group);
    let Some(row) = row else { return Err(none(group)) };
    let count = |fig: &Fig<u64>| fig.text(ToString::to_string);
    let change = Change {
        action: "delete group",
        risk: Risk::Three,
        name: group,
        targets: vec![group.to_owned()],
        preview: format!(
            "delete group {group} {} its offsets: {} clients, lag {}, {} dead letters stay",
            if offsets == GroupOffsets::Keep { "without" } else { "with" },
            count(&row.clients),
            count(&row.lag),
            count(&row.dead_open)
        ),
    };
    if sure.dry_run {
        return dry(session.form, &change);
    }
    sure::confirm(session, &change, sure)?;
    let mut items: Vec<(String, Work<'_>)> = Vec::new();
    for (name, addr) in session.masters(&[])? {
        let work = move || {
            let done = session.wait(session.cluster.delete_group(&addr, group, offsets));
            done.map(|()| "deleted".to_owned()).map_err(|error| error.to_string())
        };
        items.push((name, Box::new(work)));
    }
    finish(session, &change, items)
}
