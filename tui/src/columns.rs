//! What rows are made of, field by field: commands print these columns, filters name them, the console
//! exports them. Fields are listed in docs/commands.md and only ever added (console-ux.md §15, §17).

use serde_json::{Map, Value, json};

use crate::data::ladder::{LadderGroup, LadderLevel};
use crate::data::topics::GroupOnTopic;
use crate::data::{
    BrokerRow, ClientRow, DeadGroup, Fig, GroupLag, GroupQueue, GroupRow, Letter, Loss, Message,
    Problem, QueueRow, TopicRow,
};
use crate::model::life::Row as Lived;
use crate::model::query::{self, Query, QueryError, Subject};
use crate::model::trend::Trend;
use crate::portable::base64;
use crate::sheet::{self, Cell, Column, Sheet, shown, value};
use crate::survey::clients::Client;
use crate::survey::timers::{Kind as TimerKind, Timer};
use crate::survey::transactions::Half;

/// Consumer groups.
pub const GROUPS: &[Column<GroupRow>] = &[
    Column { field: "name", title: "GROUP", cell: |g| Cell::Text(g.name.to_string()) },
    Column { field: "type", title: "TYPE", cell: |g| Cell::Text(group_kind(g)) },
    Column { field: "lag", title: "LAG", cell: |g| Cell::Count(g.lag.clone()) },
    Column { field: "trend", title: "", cell: |g| Cell::Text(trend(g.trend).to_owned()) },
    Column { field: "behind_ms", title: "BEHIND", cell: |g| Cell::Span(g.behind_ms.clone()) },
    Column { field: "in", title: "IN/s", cell: |g| Cell::Rate(g.in_rate.clone()) },
    Column { field: "out", title: "OUT/s", cell: |g| Cell::Rate(g.out_rate.clone()) },
    Column { field: "done", title: "", cell: |g| Cell::Rate(g.done_rate.clone()) },
    Column { field: "retry", title: "RETRY", cell: |g| Cell::Count(g.retry.clone()) },
    Column { field: "dead", title: "DEAD", cell: |g| Cell::Count(g.dead_open.clone()) },
    Column { field: "clients", title: "CLI", cell: |g| Cell::Count(g.clients.clone()) },
    Column { field: "state", title: "STATE", cell: |g| Cell::Text(g.state.text()) },
    Column { field: "limit", title: "", cell: |g| Cell::Text(g.limit.text()) },
    Column { field: "ordered", title: "", cell: |g| Cell::Flag(g.ordered) },
    Column { field: "broadcasting", title: "", cell: |g| Cell::Flag(g.broadcasting) },
    Column {
        field: "topics",
        title: "",
        cell: |g| Cell::List(g.topics.iter().map(ToString::to_string).collect()),
    },
    Column { field: "findings", title: "", cell: |g| Cell::List(g.findings.clone()) },
];

fn group_kind(group: &GroupRow) -> String {
    let signs = [(group.ordered, " O"), (group.broadcasting, " B")];
    let signs = signs.iter().filter(|(holds, _)| *holds).map(|(_, sign)| *sign);
    std::iter::once(group.kind.word()).chain(signs).collect()
}

/// The word by which filters name a trend.
const fn trend(trend: Trend) -> &'static str {
    match trend {
        Trend::Rising => "up",
        Trend::Falling => "down",
        Trend::Level => "level",
        Trend::Few => "few samples",
        Trend::None => "none",
    }
}

/// A group on each of its topics.
pub const LAGS: &[Column<GroupLag>] = &[
    Column { field: "group", title: "GROUP", cell: |l| Cell::Text(l.group.to_string()) },
    Column { field: "topic", title: "TOPIC", cell: |l| Cell::Text(l.topic.to_string()) },
    Column { field: "lag", title: "LAG", cell: |l| Cell::Count(l.lag.clone()) },
    Column { field: "behind_ms", title: "BEHIND", cell: |l| Cell::Span(l.behind_ms.clone()) },
];

/// Queues of one group.
pub const GROUP_QUEUES: &[Column<GroupQueue>] = &[
    Column { field: "topic", title: "TOPIC", cell: |q| Cell::Text(q.topic.to_string()) },
    Column { field: "broker", title: "BROKER", cell: |q| Cell::Text(q.broker.to_string()) },
    Column { field: "queue", title: "Q", cell: |q| Cell::Number(q.queue.into()) },
    Column { field: "offset", title: "OFFSET", cell: |q| Cell::Count(q.offset.clone()) },
    Column { field: "max", title: "MAX", cell: |q| Cell::Count(q.max.clone()) },
    Column { field: "lag", title: "LAG", cell: |q| Cell::Count(q.lag.clone()) },
    Column { field: "behind_ms", title: "BEHIND", cell: |q| Cell::Span(q.behind_ms.clone()) },
    Column { field: "out", title: "OUT/s", cell: |q| Cell::Rate(q.out_rate.clone()) },
    Column { field: "in_flight", title: "IN FL.", cell: |q| Cell::Count(q.in_flight.clone()) },
    Column { field: "client", title: "CLIENT", cell: |q| Cell::Words(q.client.clone()) },
];

/// Clients of one group.
pub const GROUP_CLIENTS: &[Column<ClientRow>] = &[
    Column { field: "id", title: "CLIENT", cell: |c| Cell::Text(c.id.to_string()) },
    Column { field: "address", title: "ADDRESS", cell: |c| Cell::Text(c.address.clone()) },
    Column { field: "language", title: "LANG", cell: |c| Cell::Text(c.language.clone()) },
    Column { field: "version", title: "VERSION", cell: |c| Cell::Text(c.version.clone()) },
    Column { field: "queues", title: "QUEUES", cell: |c| Cell::Count(c.queues.clone()) },
    Column { field: "ok", title: "OK/s", cell: |c| Cell::Rate(c.ok_rate.clone()) },
    Column { field: "failed", title: "FAILED/s", cell: |c| Cell::Rate(c.failed_rate.clone()) },
    Column { field: "mean_ms", title: "MEAN", cell: |c| Cell::Millis(c.mean_ms.clone()) },
    Column { field: "cached", title: "CACHED", cell: |c| Cell::Count(c.cached.clone()) },
    Column {
        field: "last_pull_ms",
        title: "LAST PULL",
        cell: |c| Cell::Span(c.last_pull_ms.clone()),
    },
    Column { field: "threads", title: "", cell: |c| Cell::Words(c.threads.clone()) },
    Column { field: "subscription", title: "TAKES", cell: |c| Cell::Text(c.subscription.clone()) },
];

/// Topics.
pub const TOPICS: &[Column<TopicRow>] = &[
    Column { field: "name", title: "TOPIC", cell: |t| Cell::Text(t.name.to_string()) },
    Column { field: "type", title: "TYPE", cell: |t| Cell::Text(topic_kind(t)) },
    Column {
        field: "read_queues",
        title: "READ",
        cell: |t| Cell::Count(Fig::Known(t.read_queues.into())),
    },
    Column {
        field: "write_queues",
        title: "WRITE",
        cell: |t| Cell::Count(Fig::Known(t.write_queues.into())),
    },
    Column { field: "in", title: "IN/s", cell: |t| Cell::Rate(t.in_rate.clone()) },
    Column { field: "messages", title: "MESSAGES", cell: |t| Cell::Count(t.messages.clone()) },
    Column { field: "lag", title: "LAG", cell: |t| Cell::Count(t.lag.clone()) },
    Column { field: "groups", title: "GROUPS", cell: |t| Cell::Count(t.groups.clone()) },
    Column { field: "last_ms", title: "LAST MSG", cell: |t| Cell::Span(t.last_age_ms.clone()) },
    Column { field: "system", title: "", cell: |t| Cell::Flag(t.system) },
];

fn topic_kind(topic: &TopicRow) -> String {
    let words = [topic.kind, topic.only].into_iter().filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Queues of one topic.
pub const QUEUES: &[Column<QueueRow>] = &[
    Column { field: "broker", title: "BROKER", cell: |q| Cell::Text(q.broker.to_string()) },
    Column { field: "queue", title: "Q", cell: |q| Cell::Number(q.queue.into()) },
    Column { field: "perm", title: "PERM", cell: |q| Cell::Text(q.perm.to_owned()) },
    Column { field: "min", title: "MIN", cell: |q| Cell::Count(q.min.clone()) },
    Column { field: "max", title: "MAX", cell: |q| Cell::Count(q.max.clone()) },
    Column { field: "in", title: "IN/s", cell: |q| Cell::Rate(q.in_rate.clone()) },
    Column { field: "first_ms", title: "FIRST MSG", cell: |q| Cell::Span(q.first_age_ms.clone()) },
    Column { field: "last_ms", title: "LAST MSG", cell: |q| Cell::Span(q.last_age_ms.clone()) },
];

/// Groups on one topic.
pub const READERS: &[Column<GroupOnTopic>] = &[
    Column { field: "group", title: "GROUP", cell: |g| Cell::Text(g.group.to_string()) },
    Column { field: "lag", title: "LAG", cell: |g| Cell::Count(g.lag.clone()) },
    Column { field: "clients", title: "CLI", cell: |g| Cell::Count(g.clients.clone()) },
    Column { field: "tags", title: "TAKES", cell: |g| Cell::Text(g.tags.clone()) },
];

/// Brokers.
pub const BROKERS: &[Column<BrokerRow>] = &[
    Column { field: "name", title: "BROKER", cell: |b| Cell::Text(b.name.to_string()) },
    Column { field: "id", title: "ID", cell: |b| Cell::Number(b.id) },
    Column { field: "address", title: "ADDRESS", cell: |b| Cell::Text(b.address.clone()) },
    Column { field: "role", title: "ROLE", cell: |b| Cell::Text(b.role.clone()) },
    Column { field: "flush", title: "FLUSH", cell: |b| Cell::Words(b.flush.clone()) },
    Column { field: "unflushed", title: "UNFLUSHED", cell: |b| Cell::Bytes(b.unflushed.clone()) },
    Column { field: "replicas", title: "REPLICAS", cell: |b| Cell::Words(b.replicas.clone()) },
    Column { field: "power_loss", title: "", cell: |b| Cell::Words(loss(&b.power_loss)) },
    Column { field: "disk_loss", title: "", cell: |b| Cell::Words(loss(&b.disk_loss)) },
    Column { field: "kill_loss", title: "", cell: |b| Cell::Words(loss(&b.kill_loss)) },
    Column { field: "in", title: "IN/s", cell: |b| Cell::Rate(b.in_rate.clone()) },
    Column { field: "out", title: "OUT/s", cell: |b| Cell::Rate(b.out_rate.clone()) },
    Column { field: "put_p99_ms", title: "PUT p99", cell: |b| Cell::Millis(b.put_p99.clone()) },
    Column { field: "put_p999_ms", title: "", cell: |b| Cell::Millis(b.put_p999.clone()) },
    Column { field: "disk", title: "DISK", cell: |b| Cell::Percent(b.disk.clone()) },
    Column { field: "disk_used", title: "", cell: |b| Cell::Bytes(b.disk_used.clone()) },
    Column { field: "disk_size", title: "", cell: |b| Cell::Bytes(b.disk_size.clone()) },
    Column { field: "oldest_ms", title: "OLDEST", cell: |b| Cell::Span(b.oldest_age_ms.clone()) },
    Column { field: "replica_behind", title: "", cell: |b| Cell::Bytes(b.slave_behind.clone()) },
    Column {
        field: "dispatch_behind",
        title: "",
        cell: |b| Cell::Bytes(b.dispatch_behind.clone()),
    },
    Column { field: "send_queue", title: "", cell: |b| Cell::Count(b.send_queue.clone()) },
    Column { field: "version", title: "VERSION", cell: |b| Cell::Text(b.version.clone()) },
    Column { field: "up_ms", title: "UP", cell: |b| Cell::Span(b.up_ms.clone()) },
    Column { field: "problem", title: "PROBLEM", cell: |b| Cell::Text(problem(b)) },
];

fn problem(broker: &BrokerRow) -> String {
    broker.problem.as_ref().map(Problem::line).unwrap_or_default()
}

/// Bytes as digits, or `everything`.
fn loss(loss: &Fig<Loss>) -> Fig<String> {
    loss.map(|loss| match loss {
        Loss::Bytes(bytes) => bytes.to_string(),
        Loss::Everything(_) => "everything".to_owned(),
    })
}

/// Groups with dead letters.
pub const DEAD_GROUPS: &[Column<DeadGroup>] = &[
    Column { field: "group", title: "GROUP", cell: |d| Cell::Text(d.group.to_string()) },
    Column { field: "open", title: "OPEN", cell: |d| Cell::Count(d.open.clone()) },
    Column { field: "total", title: "OF", cell: |d| Cell::Count(d.total.clone()) },
    Column { field: "new_1h", title: "NEW 1h", cell: |d| Cell::Count(d.new_1h.clone()) },
    Column { field: "oldest_ms", title: "OLDEST", cell: |d| Cell::Span(d.oldest_age_ms.clone()) },
    Column { field: "last_ms", title: "LAST", cell: |d| Cell::Span(d.last_age_ms.clone()) },
    Column { field: "from", title: "FROM TOPIC", cell: |d| Cell::Words(d.from.clone()) },
];

/// Dead letters.
pub const LETTERS: &[Column<Letter>] = &[
    Column { field: "id", title: "ID", cell: |l| Cell::Text(letter_id(l)) },
    Column { field: "died_ms", title: "DIED", cell: |l| Cell::At(Fig::Known(l.message.stored_ms)) },
    Column { field: "tries", title: "TRIES", cell: |l| Cell::Count(Fig::Known(l.tries.into())) },
    Column { field: "origin", title: "ORIGIN", cell: |l| Cell::Text(l.origin.to_string()) },
    Column { field: "keys", title: "KEYS", cell: |l| Cell::Text(l.message.keys.clone()) },
    Column { field: "tag", title: "TAG", cell: |l| Cell::Text(l.message.tag.clone()) },
    Column { field: "size", title: "SIZE", cell: |l| Cell::Bytes(Fig::Known(size(&l.message))) },
    Column { field: "again", title: "AGAIN", cell: |l| Cell::Text(l.again.text()) },
    Column { field: "unique_id", title: "", cell: |l| Cell::Text(l.message.unique_id.clone()) },
    Column { field: "born_ms", title: "", cell: |l| Cell::At(Fig::Known(l.message.born_ms)) },
    Column { field: "sent_again", title: "", cell: |l| Cell::Number(l.again.sent.into()) },
    Column { field: "died_again", title: "", cell: |l| Cell::Number(l.again.died.into()) },
    Column { field: "history", title: "", cell: |l| Cell::Text(l.again.history.clone()) },
];

/// `BROKER:QUEUE:OFFSET`, by which commands name a letter.
pub fn letter_id(letter: &Letter) -> String {
    let message = &letter.message;
    format!("{}:{}:{}", message.broker, message.queue, message.offset)
}

fn size(message: &Message) -> u64 {
    message.body.len() as u64
}

/// Messages.
pub const MESSAGES: &[Column<Message>] = &[
    Column { field: "unique_id", title: "ID", cell: |m| Cell::Text(m.unique_id.clone()) },
    Column { field: "topic", title: "TOPIC", cell: |m| Cell::Text(m.topic.to_string()) },
    Column { field: "broker", title: "BROKER", cell: |m| Cell::Text(m.broker.to_string()) },
    Column { field: "queue", title: "Q", cell: |m| Cell::Number(m.queue.into()) },
    Column { field: "offset", title: "OFFSET", cell: |m| Cell::Count(Fig::Known(m.offset)) },
    Column { field: "stored_ms", title: "STORED", cell: |m| Cell::At(Fig::Known(m.stored_ms)) },
    Column { field: "born_ms", title: "", cell: |m| Cell::At(Fig::Known(m.born_ms)) },
    Column { field: "born_host", title: "", cell: |m| Cell::Text(m.born_host.clone()) },
    Column { field: "store_host", title: "", cell: |m| Cell::Text(m.store_host.clone()) },
    Column { field: "size", title: "SIZE", cell: |m| Cell::Bytes(Fig::Known(m.body.len() as u64)) },
    Column { field: "tag", title: "TAG", cell: |m| Cell::Text(m.tag.clone()) },
    Column { field: "keys", title: "KEYS", cell: |m| Cell::Text(m.keys.clone()) },
    Column { field: "tries", title: "TRIES", cell: |m| Cell::Count(Fig::Known(m.tries.into())) },
    Column { field: "flag", title: "", cell: |m| Cell::Number(m.flag.into()) },
    Column { field: "sys_flag", title: "", cell: |m| Cell::Number(m.sys_flag.into()) },
    Column { field: "offset_id", title: "", cell: |m| Cell::Text(m.offset_id.clone()) },
    Column { field: "properties", title: "", cell: |m| Cell::Nested(properties(m)) },
    Column { field: "body", title: "", cell: body },
    Column { field: "body_base64", title: "", cell: |m| Cell::Nested(binary(m)) },
];

/// Properties as an object.
pub fn properties(message: &Message) -> Value {
    let pairs = message.properties.iter().map(|(key, value)| (key.clone(), json!(value)));
    Value::Object(pairs.collect::<Map<String, Value>>())
}

/// The body as text, when it is text.
fn body(message: &Message) -> Cell {
    match std::str::from_utf8(&message.body) {
        Ok(text) => Cell::Words(Fig::Known(text.to_owned())),
        Err(_) => Cell::Words(Fig::none("not text: see body_base64")),
    }
}

/// The body in base64, when it is no text.
fn binary(message: &Message) -> Value {
    match std::str::from_utf8(&message.body) {
        Ok(_) => Value::Null,
        Err(_) => base64(&message.body).into(),
    }
}

/// Connected producers and consumers.
pub const CLIENTS: &[Column<Client>] = &[
    Column { field: "id", title: "CLIENT", cell: |c| Cell::Text(c.id.clone()) },
    Column { field: "type", title: "TYPE", cell: |c| Cell::Text(client_kind(c).to_owned()) },
    Column { field: "group", title: "GROUP", cell: |c| Cell::Text(c.group.clone()) },
    Column { field: "address", title: "ADDRESS", cell: |c| Cell::Text(c.address.clone()) },
    Column { field: "language", title: "LANG", cell: |c| Cell::Text(c.language.clone()) },
    Column { field: "version", title: "VERSION", cell: |c| Cell::Number(c.version.into()) },
    Column { field: "brokers", title: "BROKERS", cell: |c| Cell::List(c.brokers.clone()) },
    Column { field: "heard_ms", title: "HEARD", cell: |c| Cell::Span(c.heard_ms.clone()) },
];

const fn client_kind(client: &Client) -> &'static str {
    if client.producer { "producer" } else { "consumer" }
}

/// Messages that wait for a time of their own.
pub const TIMERS: &[Column<Timer>] = &[
    Column { field: "unique_id", title: "ID", cell: |t| Cell::Text(t.unique_id.clone()) },
    Column { field: "due_ms", title: "DUE", cell: |t| Cell::At(Fig::Known(t.due_ms)) },
    Column { field: "topic", title: "TOPIC", cell: |t| Cell::Text(t.topic.clone()) },
    Column { field: "keys", title: "KEYS", cell: |t| Cell::Text(t.keys.clone()) },
    Column { field: "tag", title: "TAG", cell: |t| Cell::Text(t.tag.clone()) },
    Column { field: "broker", title: "BROKER", cell: |t| Cell::Text(t.broker.clone()) },
    Column { field: "stored_ms", title: "SET", cell: |t| Cell::At(Fig::Known(t.stored_ms)) },
    Column { field: "size", title: "", cell: |t| Cell::Bytes(Fig::Known(t.size)) },
    Column { field: "kind", title: "", cell: |t| Cell::Text(timer_kind(t)) },
    Column { field: "set_by", title: "", cell: |t| Cell::Text(t.set_by.clone()) },
];

/// `timer`, or the delay level that holds it.
pub fn timer_kind(timer: &Timer) -> String {
    match timer.kind {
        TimerKind::Wheel => "timer".to_owned(),
        TimerKind::Level(level) => format!("level {level}"),
    }
}

/// Half messages.
pub const HALVES: &[Column<Half>] = &[
    Column { field: "id", title: "ID", cell: |h| Cell::Text(h.id.clone()) },
    Column { field: "topic", title: "TOPIC", cell: |h| Cell::Text(h.topic.clone()) },
    Column { field: "group", title: "GROUP", cell: |h| Cell::Text(h.group.clone()) },
    Column { field: "keys", title: "KEYS", cell: |h| Cell::Text(h.keys.clone()) },
    Column { field: "born_ms", title: "BORN", cell: |h| Cell::At(Fig::Known(h.born_ms)) },
    Column { field: "checks", title: "CHECKS", cell: |h| Cell::Number(h.checks.into()) },
    Column { field: "producers", title: "PRODUCERS", cell: |h| Cell::Count(h.producers.clone()) },
    Column { field: "state", title: "STATE", cell: |h| Cell::Text(half_state(h).to_owned()) },
    Column { field: "broker", title: "BROKER", cell: |h| Cell::Text(h.broker.clone()) },
];

const fn half_state(half: &Half) -> &'static str {
    if half.given_up { "given up" } else { "undecided" }
}

/// Delay levels.
pub const LEVELS: &[Column<LadderLevel>] = &[
    Column { field: "level", title: "LEVEL", cell: |l| Cell::Number(l.level.into()) },
    Column { field: "delay_ms", title: "DELAY", cell: |l| Cell::Span(Fig::Known(l.delay_ms)) },
    Column { field: "delayed", title: "DELAYED", cell: |l| Cell::Count(l.delayed.clone()) },
    Column { field: "retry", title: "RETRY", cell: |l| Cell::Count(l.retry.clone()) },
    Column { field: "user", title: "USER", cell: |l| Cell::Count(l.user.clone()) },
    Column { field: "next_due_ms", title: "NEXT DUE", cell: |l| Cell::Span(l.next_due_ms.clone()) },
    Column { field: "last_due_ms", title: "LAST DUE", cell: |l| Cell::Span(l.last_due_ms.clone()) },
];

/// Groups that wait for retries.
pub const WAITING: &[Column<LadderGroup>] = &[
    Column { field: "group", title: "GROUP", cell: |g| Cell::Text(g.group.to_string()) },
    Column { field: "in_levels", title: "IN LEVELS", cell: |g| Cell::Count(g.in_levels.clone()) },
    Column { field: "due", title: "DUE", cell: |g| Cell::Count(g.due.clone()) },
    Column { field: "last_try", title: "LAST TRY", cell: |g| Cell::Count(g.last_try.clone()) },
    Column { field: "limit", title: "LIMIT", cell: |g| Cell::Text(g.limit.text()) },
];

/// Steps of a message's life.
pub const LIVED: &[Column<Lived>] = &[
    Column { field: "step", title: "STEP", cell: |r| Cell::Text(r.step.to_owned()) },
    Column { field: "at_ms", title: "TIME", cell: lived_at },
    Column { field: "who", title: "WHO", cell: |r| Cell::Text(r.who.clone()) },
    Column { field: "result", title: "RESULT", cell: |r| Cell::Text(r.result.word().to_owned()) },
    Column { field: "took_ms", title: "TOOK", cell: lived_took },
    Column { field: "detail", title: "DETAIL", cell: |r| Cell::Text(r.detail.clone()) },
];

fn lived_at(row: &Lived) -> Cell {
    Cell::At(if row.at_ms > 0 { Fig::Known(row.at_ms) } else { Fig::unknown("no record says it") })
}

fn lived_took(row: &Lived) -> Cell {
    Cell::Millis(row.took_ms.map_or(Fig::none("not told"), |ms| Fig::Known(ms as f64)))
}

/// A row with columns: conditions can be asked of it, and it can be written in every form.
pub trait Listed: Sized + 'static {
    /// Its columns.
    const COLUMNS: &'static [Column<Self>];
    /// Fields that plain words and `/regex/` are looked for in.
    const NAMES: &'static [&'static str];
}

/// One cell of a row by its field.
fn cell_of<T: Listed>(row: &T, field: &str) -> Option<Cell> {
    let column = T::COLUMNS.iter().find(|column| crate::sheet::is_called(column.field, field))?;
    Some((column.cell)(row))
}

macro_rules! listed {
    ($($row:ty: $columns:ident [$($name:literal),+];)*) => {$(
        impl Listed for $row {
            const COLUMNS: &'static [Column<Self>] = $columns;
            const NAMES: &'static [&'static str] = &[$($name),+];
        }

        impl Subject for $row {
            fn names(&self) -> Vec<String> {
                let cells = <$row as Listed>::NAMES.iter().filter_map(|name| cell_of(self, name));
                cells.map(|cell| shown(&cell)).collect()
            }

            fn text(&self) -> String {
                self.names().join(" ")
            }

            fn value(&self, field: &str) -> query::Value {
                cell_of(self, field).map_or(query::Value::None, |cell| value(field, &cell))
            }
        }
    )*};
}

listed! {
    GroupRow: GROUPS ["name"];
    GroupQueue: GROUP_QUEUES ["topic", "broker"];
    ClientRow: GROUP_CLIENTS ["id"];
    TopicRow: TOPICS ["name"];
    QueueRow: QUEUES ["broker"];
    BrokerRow: BROKERS ["name"];
    DeadGroup: DEAD_GROUPS ["group"];
    Client: CLIENTS ["id", "address", "group", "type"];
    Timer: TIMERS ["topic", "keys", "kind", "set_by"];
    Half: HALVES ["group", "topic", "keys"];
    LadderLevel: LEVELS ["level"];
    LadderGroup: WAITING ["group"];
    Lived: LIVED ["step", "who", "detail"];
}

impl Listed for Message {
    const COLUMNS: &'static [Column<Self>] = MESSAGES;
    const NAMES: &'static [&'static str] = &["keys", "tag", "unique_id"];
}

impl Listed for Letter {
    const COLUMNS: &'static [Column<Self>] = LETTERS;
    const NAMES: &'static [&'static str] = &["keys", "tag", "origin", "unique_id"];
}

/// Rows as a sheet.
pub fn sheet<T: Listed>(rows: Vec<&T>) -> Sheet {
    Sheet::new(T::COLUMNS, rows)
}

/// Checks a condition over rows of a kind; the kinds of values are those of one row, if there is any.
///
/// # Errors
/// A field that there is not, or a value that it can never be compared with.
pub fn check<T: Listed>(query: &Query, first: Option<&T>) -> Result<(), QueryError> {
    let fields: Vec<&'static str> = T::COLUMNS.iter().map(|column| column.field).collect();
    let cells: Option<Vec<Cell>> =
        first.map(|row| T::COLUMNS.iter().map(|column| (column.cell)(row)).collect());
    sheet::check(query, &fields, cells.as_deref())
}
