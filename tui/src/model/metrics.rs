//! The picture in Prometheus' text form: the screens' figures under the names of their columns.
//!
//! What is unknown is absent, never 0. A lower or upper bound is its value (docs/metrics.md says which
//! figures may be one). Spec: console-ux.md §15.

use std::fmt::Write;

use crate::data::{Fig, Link, Loss, Picture};

/// Most lines of one page; what is beyond is left out and told.
pub const LINES_MAX: usize = 100_000;
/// Figures kept from an answer older than this count as unknown.
const STALE_MAX_MS: i64 = 600_000;

/// A page being written.
#[derive(Debug, Default)]
struct Page {
    text: String,
    lines: usize,
    cut: bool,
    /// Samples of the present metric.
    open: Option<(&'static str, &'static str)>,
}

/// A sample's labels.
type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    /// Begins a metric; its heading is written with its first sample.
    fn metric(&mut self, name: &'static str, help: &'static str) -> &mut Self {
        self.open = Some((name, help));
        self
    }

    fn sample(&mut self, labels: Labels<'_>, value: f64) {
        if self.lines >= LINES_MAX {
            self.cut = true;
            return;
        }
        let Some((name, help)) = self.open else { return };
        if !help.is_empty() {
            // Writing to a string does not fail.
            let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
            self.open = Some((name, ""));
        }
        self.text.push_str(name);
        for (n, (label, value)) in labels.iter().enumerate() {
            self.text.push(if n == 0 { '{' } else { ',' });
            let _ = write!(self.text, "{label}=\"{}\"", escaped(value));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
        self.lines += 1;
    }

    fn count(&mut self, labels: Labels<'_>, fig: &Fig<u64>) {
        if let Some(value) = fresh(fig) {
            self.sample(labels, *value as f64);
        }
    }

    fn rate(&mut self, labels: Labels<'_>, fig: &Fig<f64>) {
        if let Some(value) = fresh(fig) {
            self.sample(labels, *value);
        }
    }

    fn seconds(&mut self, labels: Labels<'_>, fig: &Fig<i64>) {
        if let Some(ms) = fresh(fig) {
            self.sample(labels, *ms as f64 / 1_000.0);
        }
    }
}

fn fresh<T>(fig: &Fig<T>) -> Option<&T> {
    match fig {
        Fig::Stale(_, age) if *age > STALE_MAX_MS => None,
        other => other.value(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Writes the page.
pub fn page(picture: &Picture) -> String {
    let mut page = Page::default();
    let up = f64::from(u8::from(picture.link == Link::Up));
    page.metric("mqdeck_up", "Whether a name server answers.").sample(&[], up);
    if up > 0.0 {
        cluster(&mut page, picture);
        topics(&mut page, picture);
        groups(&mut page, picture);
        retry(&mut page, picture);
        dead(&mut page, picture);
        brokers(&mut page, picture);
        broker_losses(&mut page, picture);
    }
    let cut = f64::from(u8::from(page.cut));
    page.lines = 0;
    page.metric("mqdeck_metrics_cut", "Whether the page was too long to be whole.")
        .sample(&[], cut);
    page.text
}

fn cluster(page: &mut Page, picture: &Picture) {
    if let Some(info) = picture.cluster.get() {
        page.metric("mqdeck_brokers_known", "Brokers ever seen.")
            .sample(&[], f64::from(info.brokers_known));
        page.metric("mqdeck_brokers_answered", "Brokers that answer.")
            .sample(&[], f64::from(info.brokers_answered));
        page.metric("mqdeck_in", "Messages stored a second.").rate(&[], &info.in_rate);
        page.metric("mqdeck_out", "Messages delivered a second.").rate(&[], &info.out_rate);
        page.metric("mqdeck_lag", "Lag of all groups.").count(&[], &info.lag);
        page.metric("mqdeck_retry", "Messages that wait for a retry.").count(&[], &info.retry);
        page.metric("mqdeck_dead_open", "Dead letters not sent back.").count(&[], &info.dead_open);
        page.metric("mqdeck_dead_total", "Dead letters kept.").count(&[], &info.dead_total);
    }
    page.metric("mqdeck_alerts", "Alerts that hold.");
    for (level, critical) in [("critical", true), ("warn", false)] {
        let n = picture.alerts.iter().filter(|alert| alert.critical == critical).count();
        page.sample(&[("level", level)], n as f64);
    }
}

fn topics(page: &mut Page, picture: &Picture) {
    let all = || picture.topics.get().into_iter().flatten().filter(|topic| !topic.system);
    page.metric("mqdeck_topic_in", "Messages stored a second.");
    all().for_each(|t| page.rate(&[("topic", &t.name)], &t.in_rate));
    page.metric("mqdeck_topic_messages", "Messages kept.");
    all().for_each(|t| page.count(&[("topic", &t.name)], &t.messages));
    page.metric("mqdeck_topic_groups", "Groups that read it.");
    all().for_each(|t| page.count(&[("topic", &t.name)], &t.groups));
    page.metric("mqdeck_topic_last_seconds", "Age of the newest message.");
    all().for_each(|t| page.seconds(&[("topic", &t.name)], &t.last_age_ms));
}

fn groups(page: &mut Page, picture: &Picture) {
    let lags = || picture.lags.get().into_iter().flatten();
    page.metric("mqdeck_group_lag", "Messages of the topic that the group has not passed.");
    lags().for_each(|l| page.count(&[("group", &l.group), ("topic", &l.topic)], &l.lag));
    page.metric("mqdeck_group_behind_seconds", "Age of the oldest message not passed.");
    lags().for_each(|l| page.seconds(&[("group", &l.group), ("topic", &l.topic)], &l.behind_ms));
    let all = || picture.groups.get().into_iter().flatten();
    page.metric("mqdeck_group_in", "Messages stored a second in its topics.");
    all().for_each(|g| page.rate(&[("group", &g.name)], &g.in_rate));
    page.metric("mqdeck_group_out", "Messages delivered a second.");
    all().for_each(|g| page.rate(&[("group", &g.name)], &g.out_rate));
    page.metric("mqdeck_group_done", "Messages committed a second.");
    all().for_each(|g| page.rate(&[("group", &g.name)], &g.done_rate));
    page.metric("mqdeck_group_retry", "Messages that wait for a retry.");
    all().for_each(|g| page.count(&[("group", &g.name)], &g.retry));
    page.metric("mqdeck_group_dead", "Dead letters not sent back.");
    all().for_each(|g| page.count(&[("group", &g.name)], &g.dead_open));
    page.metric("mqdeck_group_clients", "Connected consumers.");
    all().for_each(|g| page.count(&[("group", &g.name)], &g.clients));
    page.metric("mqdeck_group_bad", "Whether its state is one to look at.");
    for group in all() {
        page.sample(&[("group", &group.name)], f64::from(u8::from(group.state.is_bad())));
    }
}

fn retry(page: &mut Page, picture: &Picture) {
    let levels: Vec<(String, String, &crate::data::LadderLevel)> = picture
        .ladder
        .get()
        .map(|ladder| &ladder.levels)
        .into_iter()
        .flatten()
        .map(|level| (level.level.to_string(), format!("{}", level.delay_ms / 1_000), level))
        .collect();
    page.metric("mqdeck_retry_delayed", "Messages in the delay level, retries and user delays.");
    for (number, delay, level) in &levels {
        page.count(&[("level", number), ("delay_seconds", delay)], &level.delayed);
    }
    page.metric("mqdeck_retry_level", "Retries in the delay level, where they are told apart.");
    for (number, delay, level) in &levels {
        page.count(&[("level", number), ("delay_seconds", delay)], &level.retry);
    }
}

fn dead(page: &mut Page, picture: &Picture) {
    let all = || picture.dead.get().into_iter().flatten();
    page.metric("mqdeck_dlq_open", "Dead letters not sent back.");
    all().for_each(|d| page.count(&[("group", &d.group)], &d.open));
    page.metric("mqdeck_dlq_total", "Dead letters kept.");
    all().for_each(|d| page.count(&[("group", &d.group)], &d.total));
    page.metric("mqdeck_dlq_last_seconds", "Age of the newest dead letter.");
    all().for_each(|d| page.seconds(&[("group", &d.group)], &d.last_age_ms));
}

fn brokers(page: &mut Page, picture: &Picture) {
    let rows = picture.brokers.get().map_or(&[][..], Vec::as_slice);
    let ids: Vec<String> = rows.iter().map(|broker| broker.id.to_string()).collect();
    let all =
        || rows.iter().zip(&ids).map(|(b, id)| (b, [("broker", &*b.name), ("id", id.as_str())]));
    page.metric("mqdeck_broker_answers", "Whether it answers.");
    for (broker, labels) in all() {
        let here = broker.problem.is_none() && broker.gone_since_ms.is_none();
        page.sample(&labels, f64::from(u8::from(here)));
    }
    page.metric("mqdeck_broker_in", "Messages stored a second.");
    all().for_each(|(b, labels)| page.rate(&labels, &b.in_rate));
    page.metric("mqdeck_broker_out", "Messages delivered a second.");
    all().for_each(|(b, labels)| page.rate(&labels, &b.out_rate));
    page.metric("mqdeck_broker_put_p99_seconds", "Time of a store, 99th percentile.");
    all().for_each(|(b, labels)| page.rate(&labels, &b.put_p99.map(|ms| ms / 1_000.0)));
    page.metric("mqdeck_broker_put_p999_seconds", "Time of a store, 99.9th percentile.");
    all().for_each(|(b, labels)| page.rate(&labels, &b.put_p999.map(|ms| ms / 1_000.0)));
    page.metric("mqdeck_broker_unflushed_bytes", "Bytes written, not flushed.");
    all().for_each(|(b, labels)| page.count(&labels, &b.unflushed));
    page.metric("mqdeck_broker_replica_behind_bytes", "Bytes that the slowest slave is behind.");
    all().for_each(|(b, labels)| page.count(&labels, &b.slave_behind));
    page.metric("mqdeck_broker_dispatch_behind_bytes", "Bytes not yet visible to consumers.");
    all().for_each(|(b, labels)| page.count(&labels, &b.dispatch_behind));
    page.metric("mqdeck_broker_send_queue", "Requests that wait to be stored.");
    all().for_each(|(b, labels)| page.count(&labels, &b.send_queue));
    page.metric("mqdeck_broker_disk_percent", "Share of the volume in use.");
    all().for_each(|(b, labels)| page.count(&labels, &b.disk));
    page.metric("mqdeck_broker_disk_used_bytes", "Bytes in use on the volume.");
    all().for_each(|(b, labels)| page.count(&labels, &b.disk_used));
    page.metric("mqdeck_broker_disk_size_bytes", "Size of the volume.");
    all().for_each(|(b, labels)| page.count(&labels, &b.disk_size));
    page.metric("mqdeck_broker_oldest_seconds", "Age of the oldest message kept.");
    all().for_each(|(b, labels)| page.seconds(&labels, &b.oldest_age_ms));
    page.metric("mqdeck_broker_up_seconds", "Time since its start.");
    all().for_each(|(b, labels)| page.seconds(&labels, &b.up_ms));
}

/// Bytes of acknowledged messages at risk; "everything" has a metric of its own, for it is no number.
fn broker_losses(page: &mut Page, picture: &Picture) {
    let rows = picture.brokers.get().map_or(&[][..], Vec::as_slice);
    let bytes = |fig: &Fig<Loss>| match fresh(fig) {
        Some(Loss::Bytes(bytes)) => Some(*bytes as f64),
        _ => None,
    };
    page.metric("mqdeck_broker_power_loss_bytes", "Acknowledged bytes that a power loss may take.");
    for broker in rows {
        if let Some(bytes) = bytes(&broker.power_loss) {
            page.sample(&[("broker", &broker.name), ("id", &broker.id.to_string())], bytes);
        }
    }
    page.metric("mqdeck_broker_disk_loss_bytes", "Acknowledged bytes that are on no slave.");
    for broker in rows {
        if let Some(bytes) = bytes(&broker.disk_loss) {
            page.sample(&[("broker", &broker.name), ("id", &broker.id.to_string())], bytes);
        }
    }
    page.metric("mqdeck_broker_disk_loss_everything", "Whether no slave has anything of it.");
    for broker in rows {
        let Some(loss) = fresh(&broker.disk_loss) else { continue };
        let everything = f64::from(u8::from(matches!(loss, Loss::Everything(_))));
        page.sample(&[("broker", &broker.name), ("id", &broker.id.to_string())], everything);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{GroupLag, Part};

    fn lag(group: &str, lag: Fig<u64>) -> GroupLag {
        GroupLag { group: group.into(), topic: "pay\"ments".into(), lag, behind_ms: Fig::Few }
    }

    #[test]
    fn what_is_unknown_is_absent() {
        let mut picture = Picture { link: Link::Up, ..Picture::default() };
        let lags = vec![
            lag("settle", Fig::Known(96_104)),
            lag("mailer", Fig::AtMost(640)),
            lag("audit", Fig::unknown("no permission (16)")),
            lag("old", Fig::Stale(5, STALE_MAX_MS + 1)),
        ];
        picture.lags = Part::ready(lags, 0, 1);
        let text = page(&picture);
        let of_lag: Vec<&str> =
            text.lines().filter(|line| line.contains("mqdeck_group_lag")).collect();
        assert_eq!(
            of_lag,
            [
                "# HELP mqdeck_group_lag Messages of the topic that the group has not passed.",
                "# TYPE mqdeck_group_lag gauge",
                "mqdeck_group_lag{group=\"settle\",topic=\"pay\\\"ments\"} 96104",
                "mqdeck_group_lag{group=\"mailer\",topic=\"pay\\\"ments\"} 640",
            ]
        );
        assert!(!text.contains("mqdeck_group_behind"), "no heading without a sample: {text}");
    }

    #[test]
    fn a_cluster_that_does_not_answer_is_down_and_nothing_else() {
        let text = page(&Picture::default());
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(samples, ["mqdeck_up 0", "mqdeck_metrics_cut 0"]);
    }
}
