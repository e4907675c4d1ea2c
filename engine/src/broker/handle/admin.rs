//! The broker about itself: 28, 25, 26, 907, 329 (remoting.md §11.11; admin.md §4.1, §4.11, §4.12, §5 n).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::bytes_text;
use super::json;
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Reply};
use crate::decide::config_change;
use crate::protocol::body::ha::{HaClientRuntimeInfo, HaRuntimeInfo};
use crate::protocol::body::route::KvTable;
use crate::protocol::ext_fields::Fields;
use crate::protocol::{json_dialect, names};

/// What the console may rely on beyond Apache's broker (admin.md §5 n).
const EXTENSIONS: &str = "flush,damaged,diskFree,noAcl,inFlight,trim";

/// 28: everything that is a number or a state.
pub fn runtime_info(broker: &Broker, cx: &Cx) -> Reply {
    let mut table = BTreeMap::new();
    let mut put = |key: &str, value: String| {
        table.insert(key.to_owned(), value);
    };
    about_broker(broker, cx.now_ms, &mut put);
    about_store(broker, &mut put);
    about_traffic(broker, &mut put);
    about_queues(&mut put);
    super::timer::about(broker, cx.now_ms, &mut put);
    about_extensions(broker, &mut put);
    json(&KvTable { table })
}

type Put<'a> = &'a mut dyn FnMut(&str, String);

fn about_broker(broker: &Broker, now_ms: i64, put: Put<'_>) {
    let up = (now_ms - broker.boot_ms).max(0) / 1000;
    let runtime = format!(
        "[ {} days, {} hours, {} minutes, {} seconds ]",
        up / 86_400,
        up / 3_600 % 24,
        up / 60 % 60,
        up % 60
    );
    put("brokerVersionDesc", "V5_5_0".into());
    put("brokerActive", "true".into());
    put("bootTimestamp", broker.boot_ms.to_string());
    put("runtime", runtime);
    put("startAcceptSendRequestTimeStamp", "0".into());
    // Every level, also one that has delivered nothing yet: then its whole queue waits.
    for level in 1..=i32::from(broker.levels.level_max()) {
        let delivered = broker.delay_offsets.get(level);
        let max = broker.store.max_offset(names::SCHEDULE_TOPIC, level - 1).0;
        put(&format!("scheduleMessageOffset_{level}"), format!("{delivered},{max}"));
    }
}

fn about_store(broker: &Broker, put: Put<'_>) {
    let positions = broker.store.positions();
    let stats = broker.store.stats();
    let unflushed = positions.written.0.saturating_sub(positions.flushed.0);
    let ratio = format!("{:.2}", stats.disk_used_percent as f64 / 100.0);
    put("commitLogMinOffset", positions.min.0.to_string());
    put("commitLogMaxOffset", positions.written.0.to_string());
    put("dispatchBehindBytes", positions.written.0.saturating_sub(positions.visible.0).to_string());
    put("remainHowManyDataToFlush", bytes_text::iec(unflushed));
    put("remainTransientStoreBufferNumbs", i32::MAX.to_string());
    put("pageCacheLockTimeMills", stats.writing_ms.to_string());
    let earliest = broker.store.earliest_time().ok().flatten().unwrap_or(-1);
    put("earliestMessageTimeStamp", earliest.to_string());
    let total = bytes_text::iec(stats.disk_total);
    let free = bytes_text::iec(stats.disk_free);
    put("commitLogDirCapacity", format!("Total : {total}, Free : {free}."));
    put("commitLogDiskRatio", ratio.clone());
    put(&format!("commitLogDiskRatio_{}", stats.log_dir.display()), ratio.clone());
    put("consumeQueueDiskRatio", ratio);
}

fn about_traffic(broker: &Broker, put: Put<'_>) {
    let traffic = broker.traffic.view();
    put("putTps", traffic.put_tps);
    put("getFoundTps", traffic.found_tps);
    put("getMissTps", traffic.miss_tps);
    put("getTotalTps", traffic.total_tps);
    put("getTransferredTps", traffic.transferred_tps);
    put("putMessageTimesTotal", traffic.appends.to_string());
    put("putMessageFailedTimes", traffic.failed.to_string());
    put("putMessageSizeTotal", traffic.bytes.to_string());
    let average = traffic.bytes as f64 / traffic.appends.max(1) as f64;
    put("putMessageAverageSize", format!("{average:.1}"));
    put("putMessageEntireTimeMax", traffic.put_ms_max.to_string());
    put("getMessageEntireTimeMax", traffic.get_ms_max.to_string());
    put("putMessageDistributeTime", traffic.put_distribution);
    put("putLatency99", traffic.put_p99);
    put("putLatency999", traffic.put_p999);
    put("dispatchMaxBuffer", "0".into());
    put("msgPutTotalTodayNow", traffic.user_put.to_string());
    put("msgPutTotalTodayMorning", traffic.put_morning.to_string());
    put("msgPutTotalYesterdayMorning", traffic.put_yesterday.to_string());
    put("msgGetTotalTodayNow", traffic.user_get.to_string());
    put("msgGetTotalTodayMorning", traffic.get_morning.to_string());
    put("msgGetTotalYesterdayMorning", traffic.get_yesterday.to_string());
}

/// Requests run where they are read: there are no queues to fill, and so they are empty.
fn about_queues(put: Put<'_>) {
    for (name, capacity) in [
        ("send", 10_000),
        ("pull", 100_000),
        ("litePull", 100_000),
        ("query", 20_000),
        ("ack", 100_000),
    ] {
        put(&format!("{name}ThreadPoolQueueSize"), "0".into());
        put(&format!("{name}ThreadPoolQueueCapacity"), capacity.to_string());
        put(&format!("{name}ThreadPoolQueueHeadWaitTimeMills"), "0".into());
    }
    put("EndTransactionQueueSize", "0".into());
    put("EndTransactionThreadPoolQueueCapacity", "100000".into());
}

fn about_extensions(broker: &Broker, put: Put<'_>) {
    let positions = broker.store.positions();
    let stats = broker.store.stats();
    put("mqdeckExtensions", EXTENSIONS.into());
    put("commitLogFlushedOffset", positions.flushed.0.to_string());
    put("bytesNotFlushed", positions.written.0.saturating_sub(positions.flushed.0).to_string());
    let mut damaged = String::new();
    for (from, end) in stats.damaged.iter().rev().take(32).rev() {
        let comma = if damaged.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(damaged, "{comma}{from}-{end}");
    }
    put("mqdeckDamagedRanges", damaged);
    let refusing = i32::from(stats.refusing);
    put(
        "mqdeckDiskFreeMin",
        format!("{},{},{refusing}", broker.live().disk_free_min, stats.disk_free),
    );
    put(
        "mqdeckNoAcl",
        i32::from(!broker.addr_is_local && !broker.access.authenticates()).to_string(),
    );
}

/// 26: every key that is honoured, as `key=value` lines.
pub fn config(broker: &Broker) -> Reply {
    let version = json_dialect::to_vec(&broker.settings.version());
    let version = String::from_utf8(version).unwrap_or_default();
    let lines = config_change::lines(&broker.config_entries());
    Reply::body(lines.into_bytes()).with_fields(Fields::new().text("version", version))
}

/// 25: changes what may change while the broker runs. The answer comes once it is on the disk.
pub fn update_config(broker: &Broker, cx: &Cx, body: &[u8]) -> Reply {
    match broker.change_config(body, cx.now_ms) {
        Ok(remark) => Reply { remark: remark.map(Into::into), ..Reply::ok() },
        Err(refusal) => Reply::refuse(refusal.code, refusal.remark),
    }
}

/// 907: replication. A broker without slaves says so.
pub fn ha_status(broker: &Broker) -> Reply {
    json(&HaRuntimeInfo {
        ha_client_runtime_info: HaClientRuntimeInfo::default(),
        ha_connection_info: Vec::new(),
        in_sync_slave_nums: 0,
        master: true,
        master_commit_log_max_offset: broker.store.positions().written.0 as i64,
    })
}

/// 329: expired files go now, whatever the hour.
pub fn delete_expired(broker: &Broker) -> Reply {
    match broker.store.delete_expired() {
        Ok(files) => tracing::info!(files, "expired log files deleted on request"),
        Err(error) => tracing::warn!(%error, "expired log files cannot be deleted"),
    }
    Reply::ok()
}
