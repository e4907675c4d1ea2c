//! Rows of groups: lag, rates, members, state.

#[allow(clippy::wildcard_imports)] // one module in three files
use super::*;

/// Share of the lag on few queues that is worth saying, percent.
const HOT_PERCENT: u64 = 80;
/// Lag below which nothing stands out.
const LAG_QUIET: u64 = 100;

/// Lag of one queue: `None` when position or end is missing, or the position lies beyond the end.
fn queue_lag(b: &Broker, topic: &str, queue: i32, committed: Option<i64>) -> Option<u64> {
    let max = end(b, topic, queue)?;
    match committed {
        Some(at) if at >= 0 && at <= max => u64::try_from(max - at).ok(),
        // Nothing was ever stored here: there is nothing to be behind of.
        None if max == 0 => Some(0),
        _ => None,
    }
}

fn end(b: &Broker, topic: &str, queue: i32) -> Option<i64> {
    let known = b.stats.get(topic).and_then(|(_, e)| e.get(&queue)).map(|e| e.max_offset);
    known.or_else(|| b.ends.get(&(topic.to_owned(), queue)).copied())
}

fn queue_ids(b: &Broker, topic: &str) -> Vec<i32> {
    match (b.stats.get(topic), b.topics.get(topic)) {
        (Some((_, extents)), _) => extents.keys().copied().collect(),
        (None, Some(config)) => (0..config.read_queue_nums.max(0)).collect(),
        (None, None) => Vec::new(),
    }
}

/// Lag of a group on one topic over all masters.
pub fn topic_lag(known: &Known, topic: &str, group: &str) -> Fig<u64> {
    let mut parts: Vec<Fig<u64>> = Vec::new();
    for (_, b) in known.each_master() {
        let Some(positions) = Known::positions(b, topic, group) else { continue };
        if let Some(problem) = b.problem.as_ref().or(b.offsets_problem.as_ref()) {
            parts.push(Fig::Unknown(problem.line().into()));
        }
        for queue in queue_ids(b, topic) {
            parts.push(match queue_lag(b, topic, queue, positions.get(&queue).copied()) {
                Some(lag) => Fig::Known(lag),
                None => Fig::unknown("a queue without a usable position or end"),
            });
        }
    }
    sum(&parts)
}

/// Distinct clients, unknown while a broker refused to tell.
pub fn clients(members: Option<&Members>) -> Fig<u64> {
    let Some(members) = members else { return Fig::Few };
    let refused = members.by_broker.values().find_map(|m| m.as_ref().err());
    let ids: BTreeSet<&str> = members
        .by_broker
        .values()
        .flatten()
        .flatten()
        .flat_map(|c| c.connection_set.iter().map(|c| c.client_id.as_str()))
        .collect();
    match refused {
        Some(problem) if ids.is_empty() => Fig::Unknown(problem.line().into()),
        Some(_) => Fig::AtLeast(ids.len() as u64),
        None => Fig::Known(ids.len() as u64),
    }
}

/// What the members of a group want of a topic.
pub fn tags(members: Option<&Members>, topic: &str) -> String {
    let expressions: BTreeSet<&str> = members
        .iter()
        .flat_map(|m| m.by_broker.values())
        .flatten()
        .flatten()
        .filter_map(|c| c.subscription_table.get(topic).map(|s| s.sub_string.as_str()))
        .collect();
    match expressions.iter().next() {
        None => "subscription ?".to_owned(),
        Some(_) if expressions.len() > 1 => "subscriptions differ".to_owned(),
        Some(all) if *all == "*" || all.is_empty() => "all tags".to_owned(),
        Some(some) => format!("tags {some}"),
    }
}

fn filters(members: Option<&Members>, topics: &[Name]) -> bool {
    topics.iter().any(|t| tags(members, t).starts_with("tags"))
}

/// All groups of the user.
pub fn all(
    known: &mut Known,
    dead: &[DeadGroup],
    levels: &InLevels,
    rates: &BTreeMap<String, f64>,
    now_ms: i64,
) -> Vec<GroupRow> {
    let names = known.group_names();
    names.into_iter().map(|name| row(known, &name, dead, levels, rates, now_ms)).collect()
}

fn row(
    known: &mut Known,
    group: &str,
    dead: &[DeadGroup],
    levels: &InLevels,
    rates: &BTreeMap<String, f64>,
    now_ms: i64,
) -> GroupRow {
    let mut row = from_answers(known, group, dead, levels, rates);
    let (pulled, committed) = positions(known, group, &row.topics);
    let memory = known.memory.entry(group.to_owned()).or_default();
    memory.lag.push(now_ms, row.lag.value().copied());
    if let Some(pulled) = pulled {
        memory.pulled.push(now_ms, pulled);
    }
    memory.committed.push(now_ms, committed);
    row.done_rate = memory.committed.rate(COMMIT_MS.0, COMMIT_MS.1).map_or(Fig::Few, Fig::Known);
    row.out_rate = match (pulled, memory.pulled.rate(RATE_MS.0, RATE_MS.1)) {
        (_, Some(rate)) => Fig::Known(rate),
        (Some(_), None) => Fig::Few,
        (None, None) => row.done_rate.clone(),
    };
    row.spark = memory.lag.cells(20);
    row.trend = if row.lag.value().is_some() { trend(&memory.lag.last(30)) } else { Trend::None };
    row.state = group_state::decide(&group_state::Facts {
        code: row.problem.as_ref().and_then(|p| p.code),
        broadcasting: row.broadcasting,
        clients: &row.clients,
        lag: &row.lag,
        trend: row.trend,
        nothing_delivered_ms: memory.pulled.still_ms(),
        nothing_committed_ms: memory.committed.still_ms(),
        failing: failing(memory, row.ordered || row.kind == GroupKind::Pop),
        in_rate: &row.in_rate,
        out_rate: &row.out_rate,
    });
    row.since_ms = since(&mut memory.state, &row.state, now_ms);
    if row.state.is_bad() && row.lag.value().is_some_and(|l| *l > 0) {
        row.flag = Flag::Alert;
    }
    row
}

/// What the last answers say, without anything that needs memory.
fn from_answers(
    known: &Known,
    group: &str,
    dead: &[DeadGroup],
    levels: &InLevels,
    rates: &BTreeMap<String, f64>,
) -> GroupRow {
    let topics: Vec<Name> = known
        .topics_of(group)
        .into_iter()
        .filter(|t| !is_system(t))
        .map(|t| t.as_str().into())
        .collect();
    let members = known.members.get(group);
    let found = || members.iter().flat_map(|m| m.by_broker.values());
    let broadcasting =
        found().flatten().flatten().any(|c| c.message_model == MessageModel::Broadcasting);
    let problem: Option<Problem> = found().find_map(|f| f.as_ref().err()).cloned();
    let denied = problem.as_ref().is_some_and(|p| p.code == Some(16));
    let pop = known.each_master().any(|(_, b)| b.pop.contains(group));
    let config = |b: &Broker| b.groups.get(group).is_some_and(|g| g.consume_message_orderly);
    let lag = lag(known, group, &topics, broadcasting, denied);
    let rates: Vec<Fig<f64>> = topics.iter().map(|t| rate(rates, t)).collect();
    let none =
        if pop { Fig::none("this client type drops after its limit") } else { Fig::Known(0) };
    GroupRow {
        name: group.into(),
        kind: if pop { GroupKind::Pop } else { kind_of(members) },
        ordered: known.each_master().any(|(_, b)| config(b)),
        broadcasting,
        trend: Trend::Few,
        spark: Vec::new(),
        behind_ms: behind(known, group, &lag),
        in_rate: add_rates(rates.iter()),
        out_rate: Fig::Few,
        done_rate: Fig::Few,
        retry: retry(known, group, levels),
        dead_open: dead.iter().find(|d| *d.group == *group).map_or(none, |d| d.open.clone()),
        clients: clients(members),
        state: GroupState::Ok,
        since_ms: Fig::Few,
        flag: Flag::None,
        limit: limit(known, group),
        findings: findings(known, group, &topics, &lag),
        problem,
        topics,
        lag,
    }
}

fn kind_of(members: Option<&Members>) -> GroupKind {
    use engine::protocol::body::heartbeat::ConsumeType;
    let found = members.iter().flat_map(|m| m.by_broker.values()).flatten().flatten().next();
    match found.map(|c| c.consume_type) {
        Some(ConsumeType::Passively) => GroupKind::Push,
        Some(ConsumeType::Actively) => GroupKind::Pull,
        _ => GroupKind::Unknown,
    }
}

/// Sums of pulled and committed offsets over the user's topics.
fn positions(known: &Known, group: &str, topics: &[Name]) -> (Option<u64>, u64) {
    let add = |q: &BTreeMap<i32, i64>| q.values().map(|v| (*v).max(0) as u64).sum::<u64>();
    let (mut pulled, mut committed) = (None, 0);
    for (_, b) in known.each_master() {
        for topic in topics {
            if let Some(q) = Known::pulled(b, topic, group) {
                pulled = Some(pulled.unwrap_or(0) + add(q));
            }
            committed += Known::positions(b, topic, group).map_or(0, add);
        }
    }
    (pulled, committed)
}

fn lag(known: &Known, group: &str, topics: &[Name], broadcasting: bool, denied: bool) -> Fig<u64> {
    if denied {
        return Fig::unknown("no permission (16)");
    }
    if broadcasting {
        return Fig::none("offsets on clients");
    }
    if topics.is_empty() {
        let silent = known
            .each_master()
            .find_map(|(_, b)| b.offsets_problem.as_ref().or(b.problem.as_ref()));
        return match silent {
            Some(problem) => Fig::Unknown(problem.line().into()),
            None => Fig::none("never committed an offset"),
        };
    }
    let total = sum(&topics.iter().map(|t| topic_lag(known, t, group)).collect::<Vec<_>>());
    match total {
        Fig::Known(n) if filters(known.members.get(group), topics) => Fig::AtMost(n),
        other => other,
    }
}

fn behind(known: &Known, group: &str, lag: &Fig<u64>) -> Fig<i64> {
    match lag {
        Fig::Known(0) | Fig::AtMost(0) => return Fig::Known(0),
        Fig::Unknown(r) => return Fig::Unknown(r.clone()),
        Fig::NotApplicable(r) => return Fig::NotApplicable(r.clone()),
        _ => {}
    }
    let figures = known.memory.get(group).map(|m| &m.behind);
    let worst = figures
        .into_iter()
        .flat_map(BTreeMap::values)
        .max_by_key(|f| f.value().copied().unwrap_or(i64::MAX));
    worst.cloned().unwrap_or(Fig::Few)
}

fn retry(known: &Known, group: &str, levels: &InLevels) -> Fig<u64> {
    let unread = topic_lag(known, &names::retry_topic(group), group);
    let waiting = match levels {
        None => Fig::unknown("the delay levels are not split by group"),
        Some(all) => all.get(group).cloned().unwrap_or(Fig::Known(0)),
    };
    sum([&unread, &waiting])
}

/// The retry limit: what a member says, else what the group is set to.
pub fn limit(known: &Known, group: &str) -> Limit {
    let told = known.members.get(group).and_then(|m| {
        m.running
            .values()
            .flatten()
            .find_map(|r| r.properties.get("maxReconsumeTimes")?.parse::<i32>().ok())
    });
    if let Some(n) = told {
        return Limit::Client(if n < 0 { LIMIT_DEFAULT } else { n });
    }
    let config = known.each_master().find_map(|(_, b)| b.groups.get(group));
    config.map_or(Limit::Unknown, |c| Limit::Group(c.retry_max_times))
}

/// When the present state began; not known when it was there at the start.
fn since(memory: &mut Option<(String, Option<i64>)>, state: &GroupState, now_ms: i64) -> Fig<i64> {
    // Percentages and times change, the state does not.
    let word = state.text().split([' ', '?']).next().unwrap_or_default().to_owned();
    match memory {
        Some((before, _)) if *before == word => {}
        Some(_) => *memory = Some((word, Some(now_ms))),
        None => *memory = Some((word, None)),
    }
    match (state, memory.as_ref().and_then(|(_, at)| *at)) {
        (GroupState::Ok | GroupState::OnClients, _) => Fig::none("nothing to see"),
        (_, Some(at)) => Fig::Known(at),
        (_, None) => Fig::unknown("since before this console started"),
    }
}

/// Percent of deliveries sent back in the last minute; ordered and pop groups send nothing back.
fn failing(memory: &crate::poll::known::GroupMemory, never: bool) -> Option<u8> {
    let back: i64 = memory.failing.values().map(|c| c.0).sum();
    let got: i64 = memory.failing.values().map(|c| c.1).sum();
    if never || got <= 0 {
        return None;
    }
    Some((back.clamp(0, got) * 100 / got) as u8)
}

/// What stands out, worst first.
fn findings(known: &Known, group: &str, topics: &[Name], lag: &Fig<u64>) -> Vec<String> {
    let mut out = Vec::new();
    let total = lag.value().copied().unwrap_or(0);
    let mut lags: Vec<(u64, String)> = Vec::new();
    for (name, b) in known.each_master() {
        for topic in topics {
            let Some(positions) = Known::positions(b, topic, group) else { continue };
            for queue in queue_ids(b, topic) {
                if let Some(lag) = queue_lag(b, topic, queue, positions.get(&queue).copied()) {
                    lags.push((lag, format!("{topic} {name} q{queue}")));
                }
            }
        }
    }
    lags.sort_unstable_by(|a, b| b.cmp(a));
    let few: u64 = lags.iter().take(2).map(|l| l.0).sum();
    if total >= LAG_QUIET && lags.len() >= 4 && few * 100 >= total * HOT_PERCENT {
        out.push(format!(
            "2 of {} queues carry {} of {} ({}, {}): slow clients or hot keys",
            lags.len(),
            crate::format::count(few),
            crate::format::count(total),
            lags[0].1,
            lags[1].1
        ));
    }
    if lags.is_empty() && total == 0 && topics.is_empty() {
        out.push("this group has never committed an offset".to_owned());
    }
    for topic in topics {
        if tags(known.members.get(group), topic) == "subscriptions differ" {
            out.push(format!(
                "members subscribe differently to {topic}: messages are lost to some"
            ));
        }
    }
    out
}

/// Lag by group and topic, of the groups that read in step with their offsets.
pub fn lags(known: &Known, groups: &[GroupRow]) -> Vec<GroupLag> {
    let mut out = Vec::new();
    for group in groups.iter().filter(|group| !group.broadcasting) {
        let members = known.members.get(&*group.name);
        for topic in &group.topics {
            let lag = match (&group.problem, topic_lag(known, topic, &group.name)) {
                (Some(problem), _) if problem.code == Some(16) => {
                    Fig::Unknown(problem.line().into())
                }
                (_, Fig::Known(lag)) if filters(members, std::slice::from_ref(topic)) => {
                    Fig::AtMost(lag)
                }
                (_, other) => other,
            };
            let behind = match lag {
                Fig::Known(0) | Fig::AtMost(0) => Fig::Known(0),
                _ => topic_behind(known, topic, &group.name),
            };
            let (group, topic) = (group.name.clone(), topic.clone());
            out.push(GroupLag { group, topic, lag, behind_ms: behind });
        }
    }
    out
}

/// Age of the oldest unread message of a topic over all brokers.
fn topic_behind(known: &Known, topic: &str, group: &str) -> Fig<i64> {
    let figures = known.memory.get(group).into_iter().flat_map(|m| &m.behind);
    let worst = figures
        .filter(|((of, _), _)| of == topic)
        .map(|(_, figure)| figure)
        .max_by_key(|figure| figure.value().copied().unwrap_or(i64::MAX));
    worst.cloned().unwrap_or(Fig::Few)
}

/// Queues of a group, retry topics as rows of their own.
pub fn queues(known: &Known, group: &str, _now_ms: i64) -> Vec<GroupQueue> {
    let mut out = Vec::new();
    let owners = owners(known.members.get(group));
    for (name, b) in known.each_master() {
        for topic in known.topics_of(group) {
            let Some(positions) = Known::positions(b, &topic, group) else { continue };
            let pulled = Known::pulled(b, &topic, group);
            for queue in queue_ids(b, &topic) {
                let committed = positions.get(&queue).copied();
                let lag = queue_lag(b, &topic, queue, committed);
                let max = end(b, &topic, queue);
                let memory = known.memory.get(group);
                let behind = memory.and_then(|m| m.behind.get(&(topic.clone(), name.clone())));
                let flight = pulled.and_then(|p| p.get(&queue)).zip(committed);
                out.push(GroupQueue {
                    offset: figure(committed, "nothing stored for this queue"),
                    max: figure(max, "not read yet"),
                    lag: lag.map_or(
                        Fig::unknown("position or end missing, or beyond the end"),
                        Fig::Known,
                    ),
                    behind_ms: match lag {
                        Some(0) => Fig::Known(0),
                        _ => behind.map_or(Fig::Few, most),
                    },
                    out_rate: known
                        .queue_meters
                        .get(&(topic.clone(), name.clone(), queue))
                        .and_then(|m| m.rate(RATE_MS.0, RATE_MS.1))
                        .map_or(Fig::Few, Fig::Known),
                    in_flight: flight.map_or(Fig::unknown("the broker does not tell"), |(p, c)| {
                        Fig::Known((p - c).max(0) as u64)
                    }),
                    client: owners.get(&(topic.clone(), name.clone(), queue)).map_or_else(
                        || no_owner(known.members.get(group)),
                        |c| Fig::Known(c.clone()),
                    ),
                    topic: topic.as_str().into(),
                    broker: name.as_str().into(),
                    queue,
                });
            }
        }
    }
    out
}

/// Nobody connected owns nothing; a member that keeps silent may own it.
fn no_owner(members: Option<&Members>) -> Fig<String> {
    match clients(members) {
        Fig::Known(0) => Fig::none("no client is connected"),
        _ => Fig::unknown("no member says that it owns it"),
    }
}

/// The figure of a whole topic is an upper bound for one of its queues.
fn most(figure: &Fig<i64>) -> Fig<i64> {
    match figure {
        Fig::Known(ms) => Fig::AtMost(*ms),
        other => other.clone(),
    }
}

fn figure(value: Option<i64>, why: &'static str) -> Fig<u64> {
    value.and_then(|v| u64::try_from(v).ok()).map_or(Fig::unknown(why), Fig::Known)
}

fn owners(members: Option<&Members>) -> BTreeMap<(String, String, i32), String> {
    let mut out = BTreeMap::new();
    for (client, running) in members.iter().flat_map(|m| &m.running) {
        for (queue, info) in running.iter().flat_map(|r| &r.mq_table.0) {
            if !info.dropped {
                let key = (queue.topic.clone(), queue.broker_name.clone(), queue.queue_id);
                out.insert(key, client.clone());
            }
        }
    }
    out
}

/// Members of a group.
pub fn client_rows(known: &Known, group: &str, now_ms: i64) -> Vec<ClientRow> {
    let Some(members) = known.members.get(group) else { return Vec::new() };
    let mut out: BTreeMap<String, ClientRow> = BTreeMap::new();
    for found in members.by_broker.values().flatten().flatten() {
        for c in &found.connection_set {
            let running = members.running.get(&c.client_id);
            let subscription: Vec<String> = found
                .subscription_table
                .iter()
                .filter(|(t, _)| !t.starts_with(names::RETRY_PREFIX))
                .map(|(t, s)| format!("{t} {}", s.sub_string))
                .collect();
            out.entry(c.client_id.clone()).or_insert_with(|| ClientRow {
                id: c.client_id.as_str().into(),
                address: c.client_addr.clone(),
                language: c.language.clone(),
                version: c.version.to_string(),
                subscription: subscription.join(", "),
                ..client_row(running, now_ms)
            });
        }
    }
    out.into_values().collect()
}

/// What a client tells of itself, as a row without its name.
pub fn client_row(
    running: Option<&Result<engine::protocol::body::running_info::ConsumerRunningInfo, Problem>>,
    now_ms: i64,
) -> ClientRow {
    let info = running.and_then(|r| r.as_ref().ok());
    let count = |f: Option<u64>| f.map_or(Fig::unknown("the client does not tell"), Fig::Known);
    let tps = |f: fn(&engine::protocol::body::running_info::ConsumeStatus) -> f64| {
        info.map_or(Fig::unknown("the client does not tell"), |i| {
            Fig::Known(i.status_table.values().map(f).sum())
        })
    };
    let owned = info.map(|i| i.mq_table.0.values().filter(|q| !q.dropped));
    let cached = owned.clone().map(|q| q.map(|q| q.cached_msg_count.max(0) as u64).sum());
    let last =
        owned.clone().and_then(|q| q.map(|q| q.last_pull_timestamp).max()).filter(|ms| *ms > 0);
    let slow =
        info.and_then(|i| i.status_table.values().map(|s| s.consume_rt).max_by(f64::total_cmp));
    ClientRow {
        id: "".into(),
        address: String::new(),
        language: String::new(),
        version: String::new(),
        queues: count(owned.map(|q| q.count() as u64)),
        threads: info
            .and_then(|i| i.properties.get("PROP_THREADPOOL_CORE_SIZE"))
            .map_or(Fig::unknown("the client does not tell"), |n| Fig::Known(n.clone())),
        ok_rate: tps(|s| s.consume_ok_tps),
        failed_rate: tps(|s| s.consume_failed_tps),
        mean_ms: slow.map_or(Fig::unknown("the client does not tell"), Fig::Known),
        cached: count(cached),
        last_pull_ms: last.map_or(Fig::unknown("the client does not tell"), |ms| {
            Fig::Known((now_ms - ms).max(0))
        }),
        subscription: String::new(),
        problem: running.and_then(|r| r.as_ref().err()).cloned(),
    }
}
