//! Rows of brokers: flush, replication, disk, and what may be lost.

#[allow(clippy::wildcard_imports)] // one module in three files
use super::*;
use crate::data::Loss;
use crate::model::at_risk;
use crate::model::history::Series;

/// All brokers ever seen.
pub fn all(known: &mut Known, now_ms: i64) -> Vec<BrokerRow> {
    let slaves: BTreeMap<String, u32> = known.brokers.keys().filter(|(_, id)| *id != 0).fold(
        BTreeMap::new(),
        |mut out, (name, _)| {
            *out.entry(name.clone()).or_default() += 1;
            out
        },
    );
    let mut rows = Vec::new();
    for ((name, id), b) in &mut known.brokers {
        let behind = slave_behind(b);
        b.slave_behind.push(now_ms, behind);
        rows.push(row(name, *id, b, slaves.get(name).copied().unwrap_or(0), now_ms));
    }
    rows
}

/// Bytes by which the best slave that has reported lies behind.
fn slave_behind(b: &Broker) -> Option<u64> {
    let ha = b.ha.as_ref()?;
    let acks = ha.ha_connection_info.iter().map(|c| c.slave_ack_offset).filter(|a| *a >= 0);
    acks.max().map(|ack| (ha.master_commit_log_max_offset - ack).max(0) as u64)
}

fn config<'a>(b: &'a Broker, key: &str) -> Option<&'a str> {
    b.config.as_ref()?.text(key)
}

fn facts(b: &Broker, registered: u32) -> at_risk::Facts {
    let behind = slave_behind(b);
    let in_sync = b.config.as_ref().and_then(|c| c.int("inSyncReplicas")).unwrap_or(1);
    let connected = b.ha.as_ref().map(|ha| ha.ha_connection_info.len() as u32);
    at_risk::Facts {
        sync_flush: config(b, "flushDiskType").map(|t| t == "SYNC_FLUSH"),
        unflushed: b.runtime.unflushed_bytes().map_or(Fig::unknown("not told"), Fig::Known),
        unflushed_exact: b.runtime.has_extension("flush"),
        transient_pool: b.runtime.bytes("remainHowManyDataToCommit"),
        waits_for_slave: config(b, "brokerRole").map(|r| r == "SYNC_MASTER" && in_sync >= 2),
        slaves: connected.map(|n| n.max(registered)),
        best_slave_behind: behind,
        since_ms: b.runtime.int("earliestMessageTimeStamp").filter(|ms| *ms > 0),
    }
}

fn role(b: &Broker, id: i64) -> String {
    if id != 0 {
        return "slave".to_owned();
    }
    let wanted = b.config.as_ref().and_then(|c| c.int("inSyncReplicas")).unwrap_or(1);
    match config(b, "brokerRole") {
        None => "?".to_owned(),
        Some("SYNC_MASTER") if wanted >= 2 => {
            let acked = b.ha.as_ref().map_or(0, |ha| {
                ha.ha_connection_info
                    .iter()
                    .filter(|c| c.in_sync && c.slave_ack_offset >= 0)
                    .count()
            });
            format!("sync {}/{wanted}", acked + 1)
        }
        Some(_) => "async".to_owned(),
    }
}

fn replicas(b: &Broker, id: i64, registered: u32) -> Fig<String> {
    let Some(ha) = &b.ha else { return Fig::unknown("replication is not told") };
    if id != 0 {
        return Fig::Known("–".to_owned());
    }
    let all = (ha.ha_connection_info.len() as u32).max(registered);
    let acked = ha.ha_connection_info.iter().filter(|c| c.slave_ack_offset >= 0).count();
    match slave_behind(b) {
        _ if all == 0 => Fig::Known("none".to_owned()),
        Some(bytes) => Fig::Known(format!("{acked}/{all} {}", crate::format::bytes_short(bytes))),
        None => Fig::Known("no ack".to_owned()),
    }
}

fn meter(m: &crate::model::history::Meter, runtime: &[f64]) -> Fig<f64> {
    match (m.rate(RATE_MS.0, RATE_MS.1), runtime.first()) {
        (Some(rate), _) => Fig::Known(rate),
        (None, Some(mean)) => Fig::Mean(*mean),
        (None, None) => Fig::Few,
    }
}

fn number(b: &Broker, key: &str) -> Fig<u64> {
    b.runtime
        .int(key)
        .and_then(|v| u64::try_from(v).ok())
        .map_or(Fig::unknown("the broker does not tell"), Fig::Known)
}

fn decimal(b: &Broker, key: &str) -> Fig<f64> {
    b.runtime.decimal(key).map_or(Fig::unknown("the broker does not tell"), Fig::Known)
}

/// Apache writes `85` or `0.85` for the same mark.
fn percent(ratio: f64) -> u64 {
    (if ratio > 1.0 { ratio } else { ratio * 100.0 }).round() as u64
}

fn marks(b: &Broker) -> Option<[u64; 3]> {
    let config = b.config.as_ref()?;
    let clean = config.int("diskMaxUsedSpaceRatio").and_then(|v| u64::try_from(v).ok())?;
    let mark = |key: &str, default: u64| {
        config.text(key).and_then(|t| t.parse::<f64>().ok()).map_or(default, percent)
    };
    // A broker of ours without ratios has its limit in bytes instead.
    if clean == 0 || b.runtime.disk_free().is_some_and(|d| d.limit > 0) {
        return None;
    }
    Some([clean, mark("diskSpaceCleanForciblyRatio", 85), mark("diskSpaceWarningLevelRatio", 90)])
}

/// Bytes an hour by which the disk fills, from at least two minutes.
fn growth(series: &Series, size: Option<u64>) -> Fig<i64> {
    let steps: Vec<(i64, u64)> =
        series.last(90).iter().enumerate().filter_map(|(i, v)| v.map(|v| (i as i64, v))).collect();
    match (steps.first(), steps.last(), size) {
        (Some(a), Some(b), Some(size)) if b.0 - a.0 >= 12 => {
            let share = (b.1 as f64 - a.1 as f64) / 10_000.0;
            Fig::About((share * size as f64 * 360.0 / (b.0 - a.0) as f64) as i64)
        }
        _ => Fig::Few,
    }
}

fn row(name: &str, id: i64, b: &Broker, registered: u32, now_ms: i64) -> BrokerRow {
    let facts = facts(b, registered);
    let master = id == 0;
    let lost = |figure: Fig<Loss>| if master { figure } else { Fig::none("slave") };
    let capacity = b.runtime.disk_capacity();
    let share = b.runtime.decimal("commitLogDiskRatio").filter(|r| *r >= 0.0);
    let none = || Fig::none("slave");
    let untouched = b.runtime.int("putMessageTimesTotal") == Some(0);
    let put = |key: &str| match (master, untouched) {
        (false, _) => none(),
        (true, true) => Fig::none("nothing was stored yet"),
        (true, false) => decimal(b, key),
    };
    BrokerRow {
        name: name.into(),
        id,
        address: b.addr.clone(),
        role: role(b, id),
        flush: match (facts.sync_flush, b.config_refused) {
            (Some(true), _) => Fig::Known("sync".to_owned()),
            (Some(false), _) => Fig::Known("async".to_owned()),
            (None, true) => Fig::unknown("settings cannot be read"),
            (None, false) => Fig::Few,
        },
        unflushed: match (facts.unflushed.clone(), facts.unflushed_exact) {
            (Fig::Known(v), false) => Fig::About(v),
            (other, _) => other,
        },
        replicas: replicas(b, id, registered),
        power_loss: lost(at_risk::power(&facts)),
        disk_loss: lost(at_risk::disk(&facts)),
        kill_loss: lost(at_risk::kill(&facts)),
        in_rate: if master { meter(&b.in_meter, &b.runtime.rates("putTps")) } else { none() },
        out_rate: meter(&b.out_meter, &b.runtime.rates("getTransferredTps")),
        put_p99: put("putLatency99"),
        put_p999: put("putLatency999"),
        disk: share.map_or(Fig::unknown("the broker does not tell"), |r| {
            Fig::Known((r * 100.0).round() as u64)
        }),
        disk_rising: trend(&b.disk.last(30)) == Trend::Rising,
        disk_used: capacity
            .map_or(Fig::unknown("not told"), |(all, free)| Fig::About(all.saturating_sub(free))),
        disk_size: capacity.map_or(Fig::unknown("not told"), |(all, _)| Fig::About(all)),
        disk_marks: marks(b),
        disk_growth: growth(&b.disk, capacity.map(|c| c.0)),
        oldest_age_ms: facts
            .since_ms
            .map_or(Fig::none("empty"), |ms| Fig::Known((now_ms + b.ahead_ms - ms).max(0))),
        version: version(b),
        up_ms: b
            .runtime
            .boot_ms()
            .map_or(Fig::Few, |ms| Fig::Known((now_ms + b.ahead_ms - ms).max(0))),
        slave_behind: match (facts.best_slave_behind, facts.slaves) {
            (Some(bytes), _) => Fig::Known(bytes),
            (None, Some(0)) => Fig::none("no slave"),
            (None, _) => Fig::unknown("no slave has reported"),
        },
        dispatch_behind: number(b, "dispatchBehindBytes"),
        send_queue: number(b, "sendThreadPoolQueueSize"),
        send_wait_ms: number(b, "sendThreadPoolQueueHeadWaitTimeMills"),
        page_lock_ms: number(b, "pageCacheLockTimeMills"),
        failed_per_min: Fig::unknown("the broker does not tell"),
        unflushed_spark: b.unflushed.cells(30),
        slave_spark: b.slave_behind.cells(30),
        problem: b.problem.clone(),
        gone_since_ms: b.gone_since_ms,
    }
}

/// Ours are known by what they tell beyond Apache, never by their name.
fn version(b: &Broker) -> String {
    let text =
        b.runtime.text("brokerVersionDesc").unwrap_or("?").replacen('V', "", 1).replace('_', ".");
    if b.runtime.extensions().is_empty() {
        format!("Apache {text}")
    } else {
        format!("mqdeck {text}")
    }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn a_ratio_and_a_percentage_are_the_same_mark() {
        assert_eq!((percent(0.85), percent(85.0), percent(1.0)), (85, 85, 100));
    }
}
