//! Cluster totals and brokers: Overview and screen 7 (console-screens.md §6.1, §6.7).

use super::{Fig, Name, Problem};

/// Totals of the header and of the Overview.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterInfo {
    pub name: String,
    pub masters: u32,
    pub slaves: u32,
    pub brokers_answered: u32,
    pub brokers_known: u32,
    pub topics: Fig<u64>,
    pub groups: Fig<u64>,
    pub clients: Fig<u64>,
    pub lag: Fig<u64>,
    pub retry: Fig<u64>,
    pub user_delays: Fig<u64>,
    pub dead_open: Fig<u64>,
    pub dead_total: Fig<u64>,
    /// Open dead letters more than a minute ago.
    pub dead_per_min: Fig<u64>,
    pub in_rate: Fig<f64>,
    pub in_bytes: Fig<f64>,
    pub out_rate: Fig<f64>,
    pub in_spark: Vec<Option<u64>>,
    pub out_spark: Vec<Option<u64>>,
    pub failed_per_min: Fig<u64>,
    /// Seconds that the fastest and the slowest clock of the cluster lie apart from here, worst first.
    pub clock_off: Option<(Name, i64)>,
}

/// How much acknowledged data would be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    Bytes(u64),
    /// Since when this broker stores messages that nobody else has, if known.
    Everything(Option<i64>),
}

/// One broker, master or slave.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerRow {
    pub name: Name,
    /// 0 = master.
    pub id: i64,
    pub address: String,
    /// `async`, `sync n/m`, `slave`.
    pub role: String,
    /// `async` or `sync`.
    pub flush: Fig<String>,
    pub unflushed: Fig<u64>,
    /// `1/1 1.1 kB`, `none`, `no ack`.
    pub replicas: Fig<String>,
    pub power_loss: Fig<Loss>,
    pub disk_loss: Fig<Loss>,
    pub kill_loss: Fig<Loss>,
    pub in_rate: Fig<f64>,
    pub out_rate: Fig<f64>,
    /// Milliseconds.
    pub put_p99: Fig<f64>,
    pub put_p999: Fig<f64>,
    /// Share of the commit-log volume in use, percent.
    pub disk: Fig<u64>,
    pub disk_rising: bool,
    pub disk_used: Fig<u64>,
    pub disk_size: Fig<u64>,
    /// Watermarks clean, force and stop in percent, where the broker has them.
    pub disk_marks: Option<[u64; 3]>,
    /// Bytes an hour by which the disk fills.
    pub disk_growth: Fig<i64>,
    pub oldest_age_ms: Fig<i64>,
    pub version: String,
    pub up_ms: Fig<i64>,
    pub slave_behind: Fig<u64>,
    pub dispatch_behind: Fig<u64>,
    pub send_queue: Fig<u64>,
    pub send_wait_ms: Fig<u64>,
    pub page_lock_ms: Fig<u64>,
    pub failed_per_min: Fig<u64>,
    pub unflushed_spark: Vec<Option<u64>>,
    pub slave_spark: Vec<Option<u64>>,
    pub problem: Option<Problem>,
    /// Since when it is gone from every list.
    pub gone_since_ms: Option<i64>,
}
