//! The figures behind the mock-ups (console-screens.md §6.0) as snapshots, for tests of screens.
//!
//! One moment: Sat 2026-03-14 14:03:27 +08:00, context `prod-eu`.

pub mod surveys;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::{App, Session};
use crate::data::cluster::{BrokerRow, ClusterInfo, Loss};
use crate::data::dead::{Again, DeadGroup, Letter, Letters};
use crate::data::groups::{ClientRow, Flag, GroupDetail, GroupKind, GroupQueue, GroupRow, Limit};
use crate::data::ladder::{Ladder, LadderGroup, LadderLevel};
use crate::data::plan::{
    Reader, ReplayAsk, ReplayPath, ReplayPlan, ReplayRow, ResendAsk, ResendPlan, ResendTo, Twice,
};
use crate::data::topics::{
    GroupOnTopic, Message, MessagePage, QueueRow, TopicDetail, TopicRow, Where,
};
use crate::data::{Alert, Fig, Link, Name, Part, Picture, Problem};
use crate::model::clock::{Zone, utc};
use crate::model::group_state::GroupState;
use crate::model::trend::Trend;
use crate::survey::trace::{Event as TraceEvent, Life, Step};
use Fig::Known;

/// +08:00.
pub const ZONE: Zone = Zone::Fixed(8 * 3_600);

/// 14:03:27.
pub fn now() -> i64 {
    utc("2026-03-14 06:03:27")
}

/// Today at a local time.
pub fn at(text: &str) -> i64 {
    utc(&format!("2026-03-14 {text}")) - 8 * 3_600_000
}

fn name(text: &str) -> Name {
    Arc::from(text)
}

/// A console that has seen nothing.
pub fn bare_app(size: (u16, u16)) -> App {
    let session = Session {
        context: "prod-eu".to_owned(),
        namesrv: "10.0.0.5:9876 +1".to_owned(),
        danger_prod: true,
        embedded: None,
        zone: ZONE,
        commands: true,
    };
    App::new(session, size, now())
}

/// A console with the whole picture.
pub fn app(size: (u16, u16)) -> App {
    let mut app = bare_app(size);
    app.live = picture();
    app.last_change = Some("13:58 ana: resend 12 → group billing, 12 sent (job 41)".to_owned());
    app
}

/// Reads a braille line back into heights.
fn heights(line: &str) -> Vec<Option<u64>> {
    let count = |bits: u32| match bits {
        0 => None,
        _ => Some(u64::from(bits.count_ones())),
    };
    line.chars()
        .flat_map(|c| {
            let bits = u32::from(c).saturating_sub(0x2800);
            [count(bits & 0x47), count(bits & 0xb8)]
        })
        .collect()
}

/// Code 16.
pub fn denied() -> Problem {
    Problem {
        text: "no permission".to_owned(),
        code: Some(16),
        remark: "this user may not read the group; ask for DESCRIBE on it".to_owned(),
        at_ms: at("14:03:26"),
    }
}

fn group(text: &str, topics: &[&str]) -> GroupRow {
    GroupRow {
        name: name(text),
        kind: GroupKind::Push,
        ordered: false,
        broadcasting: false,
        topics: topics.iter().map(|t| name(t)).collect(),
        lag: Known(0),
        trend: Trend::Level,
        spark: vec![Some(2); 20],
        behind_ms: Known(0),
        in_rate: Known(0.0),
        out_rate: Known(0.0),
        done_rate: Known(0.0),
        retry: Known(0),
        dead_open: Known(0),
        clients: Known(2),
        state: GroupState::Ok,
        since_ms: Fig::none("always"),
        flag: Flag::None,
        limit: Limit::Group(16),
        problem: None,
        findings: Vec::new(),
    }
}

fn quiet(text: &str, topic: &str, rate: f64) -> GroupRow {
    GroupRow {
        in_rate: Known(rate),
        out_rate: Known(rate),
        done_rate: Known(rate),
        ..group(text, &[topic])
    }
}

fn loud_groups() -> Vec<GroupRow> {
    let payments = GroupRow {
        lag: Known(96_104),
        trend: Trend::Rising,
        spark: heights("⣀⣀⣀⣀⣠⣤⣶⣾⣿⣿"),
        behind_ms: Known(400_000),
        in_rate: Known(420.0),
        out_rate: Known(118.0),
        done_rate: Known(117.0),
        retry: Known(37),
        dead_open: Known(211),
        clients: Known(4),
        state: GroupState::FallingBehind,
        since_ms: Known(at("13:56:47")),
        flag: Flag::Alert,
        limit: Limit::Client(3),
        findings: vec![
            "2 of 16 queues carry 96 057 of 96 104: slow clients or hot keys".to_owned(),
            "oldest unread 13:56:47 in broker-b q0".to_owned(),
        ],
        ..group("payments-settle", &["payments"])
    };
    let billing = GroupRow {
        lag: Known(2_211),
        trend: Trend::Rising,
        spark: heights("⣀⣀⣀⣀⣀⣀⣀⣤⣶⣿"),
        behind_ms: Known(25_000),
        in_rate: Known(88.0),
        out_rate: Known(61.0),
        done_rate: Known(60.0),
        retry: Known(902),
        dead_open: Known(82),
        state: GroupState::Failing(23),
        since_ms: Known(at("13:59:10")),
        flag: Flag::Alert,
        findings: vec!["23 % of deliveries were sent back in the last minute".to_owned()],
        ..group("billing", &["invoices", "refunds"])
    };
    let unknown = || Fig::unknown("code 16: no permission");
    let audit = GroupRow {
        lag: unknown(),
        trend: Trend::None,
        spark: Vec::new(),
        behind_ms: Fig::unknown("code 16"),
        in_rate: Fig::unknown("code 16"),
        out_rate: Fig::unknown("code 16"),
        done_rate: Fig::unknown("code 16"),
        retry: unknown(),
        dead_open: unknown(),
        clients: unknown(),
        state: GroupState::NoPermission,
        kind: GroupKind::Unknown,
        limit: Limit::Unknown,
        problem: Some(denied()),
        ..group("audit-sink", &["audit"])
    };
    vec![payments, billing, audit, search()]
}

fn search() -> GroupRow {
    GroupRow {
        kind: GroupKind::Pop,
        lag: Known(28_900),
        trend: Trend::Falling,
        spark: heights("⣀⣀⣀⣿⣿⣿⣷⣶⣶⣤"),
        behind_ms: Known(32_000),
        in_rate: Known(900.0),
        out_rate: Known(1_310.0),
        done_rate: Fig::none("pop: offsets move when handed out"),
        retry: Fig::unknown("pop: invisible messages are not told"),
        dead_open: Fig::none("this client type drops after its limit"),
        clients: Known(12),
        state: GroupState::CatchingUp(Some(70_000)),
        since_ms: Known(at("13:58:00")),
        ..group("search-indexer", &["catalog"])
    }
}

fn groups() -> Vec<GroupRow> {
    let mut rows = loud_groups();
    rows.push(GroupRow {
        lag: Fig::AtMost(640),
        behind_ms: Known(7_000),
        in_rate: Known(88.0),
        out_rate: Known(51.0),
        done_rate: Known(51.0),
        retry: Known(4),
        dead_open: Known(2),
        ..group("mailer", &["invoices"])
    });
    rows.push(GroupRow {
        lag: Known(545),
        behind_ms: Known(10_920_000),
        clients: Known(0),
        state: GroupState::NoClient,
        since_ms: Known(at("11:01:00")),
        ..group("report-nightly", &["reports"])
    });
    rows.push(GroupRow {
        lag: Fig::none("offsets on clients"),
        trend: Trend::None,
        behind_ms: Fig::none("offsets on clients"),
        retry: Fig::none("offsets on clients"),
        dead_open: Fig::none("offsets on clients"),
        broadcasting: true,
        clients: Known(6),
        state: GroupState::OnClients,
        ..quiet("notify", "notices", 33.0)
    });
    rows.push(quiet("ledger-copy", "invoices", 88.0));
    rows.push(quiet("pay-mirror", "payments", 420.0));
    rows.push(quiet("reminders", "reminders", 1.0));
    rows.push(GroupRow {
        trend: Trend::Few,
        spark: Vec::new(),
        out_rate: Fig::Mean(3.0),
        dead_open: Known(1),
        clients: Known(1),
        since_ms: Fig::Few,
        ..quiet("sms-out", "sms", 3.0)
    });
    for i in 0..30 {
        rows.push(quiet(&format!("service-{i:02}"), "events", f64::from(i)));
    }
    rows
}

fn topic(
    text: &str,
    queues: u32,
    rate: f64,
    mb: f64,
    messages: u64,
    lag: Fig<u64>,
    groups: u64,
) -> TopicRow {
    TopicRow {
        name: name(text),
        kind: "",
        only: "",
        read_queues: queues,
        write_queues: queues,
        in_rate: Known(rate),
        in_bytes: Known(mb * 1e6),
        messages: Known(messages),
        lag,
        groups: Known(groups),
        last_age_ms: Known(0),
        system: false,
        problem: None,
    }
}

fn topics() -> Vec<TopicRow> {
    let mut rows = vec![
        topic("payments", 16, 420.0, 0.19, 9_120_441, Known(96_104), 2),
        topic("catalog", 8, 900.0, 1.35, 31_004_118, Known(28_900), 1),
        topic("invoices", 8, 88.0, 0.09, 1_004_210, Known(2_851), 3),
        topic("audit", 4, 36.0, 0.02, 2_400_118, Fig::unknown("code 16"), 1),
    ];
    rows.push(TopicRow {
        kind: "FIFO",
        ..topic("orders-fifo", 4, 12.0, 0.01, 88_120, Known(0), 1)
    });
    rows.push(TopicRow {
        only: "R",
        write_queues: 0,
        last_age_ms: Fig::none("never"),
        ..topic("legacy-import", 4, 0.0, 0.0, 0, Fig::none("no group"), 0)
    });
    rows.push(TopicRow {
        system: true,
        ..topic("SCHEDULE_TOPIC_XXXX", 18, 20.0, 0.01, 2_112, Fig::none("system"), 0)
    });
    rows
}

fn queue(broker: &str, queue: i32, min: u64, max: u64, rate: f64) -> QueueRow {
    QueueRow {
        broker: name(broker),
        queue,
        perm: "RW",
        min: Known(min),
        max: Known(max),
        in_rate: Known(rate),
        first_age_ms: Known(259_200_000),
        last_age_ms: Known(0),
    }
}

fn payments() -> TopicDetail {
    let mut queues = vec![
        queue("broker-a", 0, 1_204_001, 1_774_019, 145.0),
        queue("broker-a", 1, 1_203_877, 1_773_902, 8.0),
        queue("broker-b", 0, 1_180_330, 1_750_341, 165.0),
        queue("broker-b", 3, 1_180_010, 1_750_023, 8.0),
    ];
    for q in 2..8 {
        queues.push(queue("broker-a", q, 1_203_900, 1_773_940, 8.0));
        if q != 3 {
            queues.push(queue("broker-b", q, 1_180_100, 1_750_130, 8.0));
        }
    }
    queues.push(queue("broker-b", 1, 1_180_080, 1_750_102, 8.0));
    let on = |group: &str, lag: u64, clients: u64| GroupOnTopic {
        group: name(group),
        lag: Known(lag),
        clients: Known(clients),
        tags: "all tags".to_owned(),
    };
    TopicDetail { queues, groups: vec![on("payments-settle", 96_104, 4), on("pay-mirror", 0, 3)] }
}

fn group_queue(
    broker: &str,
    q: i32,
    offset: u64,
    max: u64,
    behind: i64,
    out: f64,
    client: &str,
) -> GroupQueue {
    GroupQueue {
        topic: name("payments"),
        broker: name(broker),
        queue: q,
        offset: Known(offset),
        max: Known(max),
        lag: Known(max - offset),
        behind_ms: Known(behind),
        out_rate: Known(out),
        in_flight: Known(7),
        client: Known(client.to_owned()),
    }
}

fn client(id: &str) -> ClientRow {
    ClientRow {
        id: name(id),
        address: "10.1.4.31:51022".to_owned(),
        language: "JAVA".to_owned(),
        version: "5.3.2".to_owned(),
        queues: Known(8),
        threads: Known("20/20".to_owned()),
        ok_rate: Known(29.0),
        failed_rate: Known(0.4),
        mean_ms: Known(168.0),
        cached: Known(1_024),
        last_pull_ms: Known(200),
        subscription: "payments *".to_owned(),
        problem: None,
    }
}

fn payments_settle() -> GroupDetail {
    let (a, b) = ("10.1.4.31@211", "10.1.4.32@198");
    let mut queues = vec![
        group_queue("broker-a", 0, 1_731_002, 1_774_019, 362_000, 4.0, a),
        group_queue("broker-a", 1, 1_773_880, 1_773_902, 3_000, 8.0, a),
        group_queue("broker-b", 0, 1_697_301, 1_750_341, 400_000, 4.0, b),
        group_queue("broker-b", 3, 1_749_998, 1_750_023, 3_000, 8.0, b),
    ];
    queues.push(GroupQueue {
        topic: name("%RETRY%payments-settle"),
        ..group_queue("broker-a", 0, 3_305, 3_306, 0, 0.0, a)
    });
    GroupDetail { queues, clients: vec![client(a), client(b), client("10.1.4.33@12")] }
}

fn level(
    level: u32,
    delay_s: i64,
    retry: u64,
    user: u64,
    due: (i64, i64),
    billing: u64,
) -> LadderLevel {
    let mut by_group = BTreeMap::new();
    by_group.insert(name("billing"), Known(billing));
    let delayed = retry + user;
    let time = |s: i64| if delayed == 0 { Fig::none("nothing waits") } else { Known(s * 1_000) };
    LadderLevel {
        level,
        delay_ms: delay_s * 1_000,
        delayed: Known(delayed),
        retry: Known(retry),
        user: Known(user),
        next_due_ms: time(due.0),
        last_due_ms: time(due.1),
        by_group,
    }
}

/// Level, retries, users' delays, next and last due in seconds, share of billing.
type Waiting = (u32, u64, u64, (i64, i64), u64);

fn ladder() -> Ladder {
    let delays =
        [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200];
    let waiting: [Waiting; 8] = [
        (3, 46, 0, (0, 9), 34),
        (4, 112, 0, (0, 29), 104),
        (5, 224, 21, (0, 59), 208),
        (6, 413, 0, (0, 119), 413),
        (7, 73, 0, (41, 162), 70),
        (8, 1, 0, (130, 130), 0),
        (16, 0, 1_204, (1, 1_740), 0),
        (18, 18, 0, (3, 408), 18),
    ];
    let levels = (1..=18)
        .zip(delays)
        .map(|(n, delay)| match waiting.iter().find(|w| w.0 == n) {
            Some((_, retry, user, due, billing)) => level(n, delay, *retry, *user, *due, *billing),
            None => level(n, delay, 0, 0, (0, 0), 0),
        })
        .collect();
    let waits = |group: &str, levels: u64, due: u64, limit: Limit, last: u64| LadderGroup {
        group: name(group),
        in_levels: Known(levels),
        due: Known(due),
        limit,
        last_try: Known(last),
        last_try_due_ms: if last > 0 { Known(3_000) } else { Fig::none("none") },
    };
    Ladder {
        levels,
        groups: vec![
            waits("billing", 847, 55, Limit::Group(16), 18),
            waits("payments-settle", 36, 1, Limit::Client(3), 0),
            waits("mailer", 4, 0, Limit::Group(16), 0),
        ],
        user: vec![(name("order-timeout"), Known(1_204)), (name("invoices"), Known(21))],
        scan_left: Some((0, 66)),
    }
}

fn dead_group(
    text: &str,
    figures: (u64, u64, u64, u64),
    ages: (i64, i64),
    from: &str,
) -> DeadGroup {
    let (open, total, new, per_min) = figures;
    DeadGroup {
        group: name(text),
        open: Known(open),
        trend: if per_min > 0 { Trend::Rising } else { Trend::Level },
        total: Known(total),
        new_1h: Known(new),
        oldest_age_ms: Known(ages.0 * 1_000),
        last_age_ms: Known(ages.1 * 1_000),
        from: Known(from.to_owned()),
        per_min: Known(per_min),
        problem: None,
    }
}

fn dead() -> Vec<DeadGroup> {
    let (h, d) = (3_600, 86_400);
    vec![
        dead_group("billing", (82, 97, 94, 7), (41 * 60, 6), "invoices, refunds"),
        dead_group("payments-settle", (211, 211, 140, 2), (2 * d + 3 * h, 12), "payments, refunds"),
        dead_group("mailer", (2, 2, 0, 0), (3 * d + h, 8 * h), "invoices"),
        dead_group("sms-out", (1, 1, 0, 0), (2 * d + 6 * h, 2 * d), "sms"),
        dead_group("old-report", (1, 1, 0, 0), (9 * d + 2 * h, 9 * d), "reports"),
    ]
}

/// A message.
pub fn message(topic: &str, offset: u64, stored_ms: i64, keys: &str, body: &[u8]) -> Message {
    Message {
        topic: name(topic),
        broker: name("broker-a"),
        queue: 0,
        offset,
        stored_ms,
        born_ms: stored_ms - 3,
        born_host: "10.1.4.20:51022".to_owned(),
        store_host: "10.0.0.5:10911".to_owned(),
        stored_size: body.len() as u64 + 300,
        tag: "settle".to_owned(),
        keys: keys.to_owned(),
        unique_id: format!("AC1A0B2F00002A9F{offset:016X}"),
        offset_id: format!("0A00000500002A9F{:016X}", offset * 412),
        tries: 0,
        flag: 0,
        sys_flag: 0,
        properties: vec![
            ("KEYS".to_owned(), keys.to_owned()),
            ("TAGS".to_owned(), "settle".to_owned()),
            ("tenant".to_owned(), "c-9".to_owned()),
            ("WAIT".to_owned(), "true".to_owned()),
        ],
        body: Arc::from(body),
        compressed: None,
    }
}

/// A page of payments, broker-a q0.
pub fn page() -> MessagePage {
    let order = br#"{"order":77120,"amount":"12.50","currency":"EUR","items":[{"sku":"a-1","n":2}],"customer":{"id":"c-9","mail":null}}"#;
    let messages = (0..32u64)
        .map(|i| {
            let stored = at("14:03:26") + 911 - i as i64 * 42;
            let body: &[u8] = match i % 4 {
                3 => b"\x00\x00\x00\x1c\x0a\x09payment\x1b[2J",
                2 => b"plain text, two lines\nsecond",
                _ => order,
            };
            let mut m =
                message("payments", 1_774_018 - i, stored, &format!("ord-{}", 77_120 - i), body);
            if i == 1 {
                m.compressed = Some(("zstd", 120));
            }
            m
        })
        .collect();
    MessagePage { messages, min: 1_204_001, max: 1_774_019, missing: None }
}

/// Where a message stands.
pub fn wheres() -> Vec<Where> {
    vec![
        Where {
            group: name("payments-settle"),
            text: "not yet: 43 016 before it, oldest 6m 02s".to_owned(),
        },
        Where {
            group: name("pay-mirror"),
            text: "passed · not in its retry topic, not in its dead letters".to_owned(),
        },
    ]
}

/// The life of inv-2201: sent, tried, dead.
pub fn life() -> Life {
    let event = |step, time: &str, group: &str, client: &str| TraceEvent {
        at_ms: at(time),
        step,
        group: group.to_owned(),
        client: client.to_owned(),
        result: String::new(),
        cost_ms: None,
        attempt: None,
        request: String::new(),
        topic: "invoices".to_owned(),
    };
    let mut events = vec![TraceEvent {
        result: "ok".to_owned(),
        cost_ms: Some(3),
        ..event(Step::Sent, "09:17:40", "erp-out", "10.1.4.22")
    }];
    let tries = [("09:17:40", "exception"), ("09:17:50", "exception"), ("09:18:20", "timeout")];
    for (attempt, (time, cause)) in tries.into_iter().enumerate() {
        let request = format!("R{attempt}");
        let attempt = Some(attempt as i64);
        let given = event(Step::Given, time, "billing", "10.1.4.44@77");
        events.push(TraceEvent { attempt, request: request.clone(), ..given.clone() });
        events.push(TraceEvent {
            step: Step::Consumed,
            result: cause.to_owned(),
            cost_ms: Some(12),
            request,
            ..given
        });
    }
    events.push(TraceEvent {
        topic: "%DLQ%billing".to_owned(),
        ..event(Step::Dead, "14:03:21", "billing", "")
    });
    Life { events, exists: true, matches: Vec::new() }
}

/// Dead letters of billing, newest first.
pub fn letters() -> Letters {
    let rows: [(&str, u64, &str); 10] = [
        ("14:03:21", 61, "inv-2201"),
        ("14:03:19", 60, "inv-2199"),
        ("14:02:21", 59, "inv-2190"),
        ("14:02:20", 58, "inv-2188"),
        ("14:01:07", 57, "inv-2173"),
        ("14:00:58", 56, "inv-2171"),
        ("14:00:51", 55, "inv-2170"),
        ("14:00:44", 54, "inv-2169"),
        ("14:00:31", 53, "inv-2164"),
        ("13:59:40", 52, "inv-2150"),
    ];
    let mut letters: Vec<Letter> = rows
        .iter()
        .map(|(time, offset, key)| {
            let body = format!("{{\"invoice\":{},\"due\":\"2026-04-01\"}}", &key[4..]);
            let mut m = message("%DLQ%billing", *offset, at(time), key, body.as_bytes());
            m.tag = "create".to_owned();
            m.tries = 17;
            m.stored_size = if *key == "inv-2188" { 64_000 } else { 1_049 };
            Letter {
                message: Arc::new(m),
                origin: name("invoices"),
                tries: 17,
                again: Again::default(),
                source: None,
            }
        })
        .collect();
    letters[2].again = Again {
        sent: 0,
        died: 1,
        history: "died 04:05:59 · resent 09:16:41 by ana to the group (job 38) · died again"
            .to_owned(),
    };
    letters[9].again = Again {
        sent: 1,
        died: 0,
        history: "resent 13:58:02 by ana to the group (job 41)".to_owned(),
    };
    Letters { newest: letters, open: Some(82), total: Some(97), read: 97 }
}

fn broker_a() -> BrokerRow {
    BrokerRow {
        name: name("broker-a"),
        id: 0,
        address: "10.0.0.5:10911".to_owned(),
        role: "async".to_owned(),
        flush: Known("async".to_owned()),
        unflushed: Fig::About(1_200_000),
        replicas: Known("1/1 1.1 kB".to_owned()),
        power_loss: Fig::AtMost(Loss::Bytes(1_200_000)),
        disk_loss: Known(Loss::Bytes(1_100)),
        kill_loss: Known(Loss::Bytes(0)),
        in_rate: Known(5_101.0),
        out_rate: Known(5_090.0),
        put_p99: Known(3.1),
        put_p999: Known(9.0),
        disk: Known(71),
        disk_rising: true,
        disk_used: Known(1_420_000_000_000),
        disk_size: Known(2_000_000_000_000),
        disk_marks: Some([75, 85, 90]),
        disk_growth: Known(8_600_000_000),
        oldest_age_ms: Known(259_200_000),
        version: "Apache 5.3.2".to_owned(),
        up_ms: Known(1_051_200_000),
        slave_behind: Known(1_100),
        dispatch_behind: Known(0),
        send_queue: Known(0),
        send_wait_ms: Known(0),
        page_lock_ms: Known(0),
        failed_per_min: Known(0),
        unflushed_spark: heights("⣀⣀⣠⣀⣀⣤⣀⣀⣀⣠⣶⣀⣀⣀⣀")
            .into_iter()
            .map(|h| h.map(|v| v * 1_025_000))
            .collect(),
        slave_spark: heights("⣀⣀⣀⣀⣠⣶⣿⣶⣠⣀⣀⣀⣀⣀⣀")
            .into_iter()
            .map(|h| h.map(|v| v * 22_000_000))
            .collect(),
        problem: None,
        gone_since_ms: None,
    }
}

fn brokers() -> Vec<BrokerRow> {
    let slave = BrokerRow {
        id: 1,
        role: "slave".to_owned(),
        unflushed: Known(0),
        replicas: Known("1.1 kB".to_owned()),
        in_rate: Fig::none("slave"),
        out_rate: Known(0.0),
        put_p99: Fig::none("slave"),
        put_p999: Fig::none("slave"),
        disk: Known(70),
        disk_rising: false,
        ..broker_a()
    };
    let b = BrokerRow {
        name: name("broker-b"),
        address: "10.0.0.6:10911".to_owned(),
        flush: Known("sync".to_owned()),
        unflushed: Known(0),
        replicas: Known("none".to_owned()),
        power_loss: Known(Loss::Bytes(0)),
        disk_loss: Known(Loss::Everything(Some(utc("2026-03-11 05:58:00")))),
        in_rate: Known(3_311.0),
        out_rate: Known(3_287.0),
        put_p99: Known(8.0),
        put_p999: Known(14.0),
        disk: Known(64),
        disk_rising: false,
        version: "mqdeck 1".to_owned(),
        up_ms: Known(14_400_000),
        slave_behind: Fig::none("no slave"),
        ..broker_a()
    };
    vec![broker_a(), slave, b]
}

fn cluster() -> ClusterInfo {
    let rises = heights("⣀⣠⣤⣶⣿⣿⣷⣶⣤⣄⣀⣀⣠⣤⣶⣾⣿⣷");
    ClusterInfo {
        name: "DefaultCluster".to_owned(),
        masters: 2,
        slaves: 1,
        brokers_answered: 3,
        brokers_known: 3,
        topics: Known(182),
        groups: Known(41),
        clients: Known(96),
        lag: Fig::AtLeast(128_400),
        retry: Fig::AtLeast(943),
        user_delays: Known(1_225),
        dead_open: Known(297),
        dead_total: Known(312),
        dead_per_min: Known(9),
        in_rate: Known(8_412.0),
        in_bytes: Known(11_200_000.0),
        out_rate: Known(8_377.0),
        in_spark: rises.clone(),
        out_spark: rises,
        failed_per_min: Known(0),
        clock_off: None,
    }
}

/// The whole picture, all answered, just taken.
pub fn picture() -> Picture {
    let mut picture = Picture {
        link: Link::Up,
        cluster: Part::ready(cluster(), now(), 2),
        topics: Part::ready(topics(), now(), 2),
        groups: Part::ready(groups(), now(), 2),
        ladder: Part::ready(ladder(), now(), 2),
        dead: Part::ready(dead(), now(), 2),
        brokers: Part::ready(brokers(), now(), 2),
        alerts: vec![Alert {
            critical: false,
            text: "dead letters grow: billing +7/min, payments-settle +2/min".to_owned(),
            subject: None,
        }],
        ..Picture::default()
    };
    picture.topic.insert(name("payments"), Part::ready(payments(), now(), 2));
    picture.group.insert(name("payments-settle"), Part::ready(payments_settle(), now(), 2));
    picture.letters.insert(name("billing"), Part::ready(letters(), now(), 2));
    picture
}

/// The replay of payments-settle by two hours.
pub fn replay_plan(ask: &ReplayAsk) -> ReplayPlan {
    let rows: [(&str, i32, u64, u64, u64); 6] = [
        ("broker-a", 0, 1_731_002, 1_678_930, 43_017),
        ("broker-a", 1, 1_773_880, 1_719_871, 22),
        ("broker-b", 0, 1_697_301, 1_645_810, 53_040),
        ("broker-b", 1, 1_750_102, 1_696_001, 0),
        ("broker-b", 2, 1_750_467, 1_696_407, 0),
        ("broker-b", 3, 1_749_998, 1_696_018, 25),
    ];
    let mut all: Vec<ReplayRow> = rows
        .iter()
        .map(|(broker, q, from, to, lag)| ReplayRow {
            topic: name("payments"),
            broker: name(broker),
            queue: *q,
            now: Known(*from),
            target: Known(*to),
            again: Known(from - to),
            skipped: Known(0),
            lag_now: Known(*lag),
            lag_after: Known(lag + from - to),
            note: "first 12:03:27".to_owned(),
            source: None,
        })
        .collect();
    for q in 2..8 {
        for broker in ["broker-a", "broker-b"] {
            if broker == "broker-a" || q > 3 {
                let base = ReplayRow { queue: q, broker: name(broker), ..all[1].clone() };
                all.push(ReplayRow { now: Known(1_773_940), target: Known(1_719_940), ..base });
            }
        }
    }
    ReplayPlan {
        ask: ReplayAsk { topics: vec![name("payments")], ..ask.clone() },
        topics: vec![(name("payments"), 16), (name("%RETRY%payments-settle"), 1)],
        known: all.len() as u32,
        of: all.len() as u32,
        rows: all,
        computed_ms: now() + 1_000,
        path: ReplayPath::ServerSide,
        in_rate: Known(420.0),
        out_rate: Known(118.0),
        filter: "the group takes all tags".to_owned(),
        silent: Vec::new(),
    }
}

/// The check of a resend.
pub fn resend_plan(ask: &ResendAsk) -> ResendPlan {
    let twice = ask
        .letters
        .iter()
        .map(|l| {
            if l.again.died > 0 {
                Twice::DiedAgain("job 38, by ana, died again".to_owned())
            } else {
                Twice::No
            }
        })
        .collect();
    ResendPlan {
        ask: ResendAsk { to: ResendTo::Group, ..ask.clone() },
        retry_topic: "%RETRY%billing".to_owned(),
        reader: Reader::Listed { members: 2, of: 2 },
        origins: vec![(
            name("invoices"),
            ask.letters.len() as u32,
            vec![name("billing"), name("ledger-copy"), name("mailer")],
        )],
        twice,
        checked: ask.letters.len() as u32,
        checked_ms: now() + 1_000,
        complete: true,
    }
}
