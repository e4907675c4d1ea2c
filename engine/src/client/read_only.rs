//! Which requests only read: the list of admin.md §5 (m), by code and by fields.
//!
//! A session that is read-only refuses everything else in the client, before a byte is sent. What is
//! not listed writes; a request that looks like a question may create a group.

use crate::protocol::code;
use crate::protocol::ext_fields::{Fields, Value};
use crate::protocol::request::pull::PULL_COMMIT;

/// Group under which tools read without creating anything.
pub const TOOLS_GROUP: &str = "TOOLS_CONSUMER";

/// Codes of other brokers that our own table does not promise to answer.
pub mod foreign {
    /// Changes settings of a broker.
    pub const UPDATE_BROKER_CONFIG: i32 = 25;
    /// Position of the timer, binary.
    pub const GET_TIMER_CHECK_POINT: i32 = 60;
    /// Waiting timers per topic.
    pub const GET_TIMER_METRICS: i32 = 61;
    /// Settings of a name server.
    pub const GET_NAMESRV_CONFIG: i32 = 319;
    /// Forbids a topic to a group, or says whether it is.
    pub const UPDATE_AND_GET_GROUP_FORBIDDEN: i32 = 353;
    /// Which groups pop.
    pub const GET_ALL_MESSAGE_REQUEST_MODE: i32 = 402;
    /// Addresses of replication.
    pub const EXCHANGE_BROKER_HA_INFO: i32 = 906;
}

/// What a request does to the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Changes nothing that anybody else could notice.
    Reads,
    /// Changes something, or may.
    Writes,
}

/// Codes that read whatever their fields say.
const READS: &[i32] = &[
    // Name server.
    code::GET_KV_CONFIG,
    code::GET_ROUTEINFO_BY_TOPIC,
    code::GET_BROKER_CLUSTER_INFO,
    code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER,
    code::GET_KVLIST_BY_NAMESPACE,
    code::GET_SYSTEM_TOPIC_LIST_FROM_NS,
    foreign::GET_NAMESRV_CONFIG,
    code::GET_BROKER_MEMBER_GROUP,
    // Broker.
    code::QUERY_MESSAGE,
    code::QUERY_CONSUMER_OFFSET,
    code::GET_ALL_TOPIC_CONFIG,
    code::GET_BROKER_CONFIG,
    code::GET_BROKER_RUNTIME_INFO,
    code::SEARCH_OFFSET_BY_TIMESTAMP,
    code::GET_MAX_OFFSET,
    code::GET_MIN_OFFSET,
    code::GET_EARLIEST_MSG_STORETIME,
    code::VIEW_MESSAGE_BY_ID,
    code::GET_ALL_CONSUMER_OFFSET,
    code::GET_ALL_DELAY_OFFSET,
    foreign::GET_TIMER_CHECK_POINT,
    foreign::GET_TIMER_METRICS,
    code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
    code::GET_TOPIC_STATS_INFO,
    code::GET_CONSUMER_CONNECTION_LIST,
    code::GET_PRODUCER_CONNECTION_LIST,
    code::GET_CONSUME_STATS,
    code::QUERY_TOPIC_CONSUME_BY_WHO,
    code::QUERY_CONSUME_TIME_SPAN,
    code::GET_SYSTEM_TOPIC_LIST_FROM_BROKER,
    code::VIEW_BROKER_STATS_DATA,
    code::GET_BROKER_CONSUME_STATS,
    code::QUERY_CONSUME_QUEUE,
    code::GET_ALL_PRODUCER_INFO,
    code::QUERY_TOPICS_BY_CONSUMER,
    code::QUERY_SUBSCRIPTION_BY_CONSUMER,
    code::GET_TOPIC_CONFIG,
    foreign::GET_ALL_MESSAGE_REQUEST_MODE,
    foreign::EXCHANGE_BROKER_HA_INFO,
    code::GET_BROKER_HA_STATUS,
    code::AUTH_GET_USER,
    code::AUTH_LIST_USER,
    code::AUTH_GET_ACL,
    code::AUTH_LIST_ACL,
    // Relayed to a client.
    code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS,
    code::GET_CONSUMER_RUNNING_INFO,
];

/// Decides by code and fields; `own_client` is the id under which this session may be unregistered.
pub fn classify(code: i32, fields: &Fields, own_client: &str) -> Access {
    let reads = match code {
        code::PULL_MESSAGE => pull_reads(fields),
        foreign::UPDATE_AND_GET_GROUP_FORBIDDEN => text(fields, "readable").is_none(),
        code::UNREGISTER_CLIENT => text(fields, "clientID").as_deref() == Some(own_client),
        other => READS.contains(&other),
    };
    if reads { Access::Reads } else { Access::Writes }
}

/// A pull reads without the commit flag and as the tools' group: any other name may be created.
fn pull_reads(fields: &Fields) -> bool {
    let commits = match text(fields, "sysFlag").map(|flag| flag.parse::<i32>()) {
        Some(Ok(flag)) => flag & PULL_COMMIT != 0,
        _ => true,
    };
    !commits && text(fields, "consumerGroup").as_deref() == Some(TOOLS_GROUP)
}

fn text(fields: &Fields, name: &str) -> Option<String> {
    fields.iter().find(|(key, _)| *key == name).map(|(_, value)| match value {
        Value::Int(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Text(text) => text.clone().into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::code::ROWS;

    /// Every request of our table that is not on the reading list, written out.
    const WRITES: &[i32] = &[
        10, 310, 320, 36, 361, 15, 222, 314, 34, 38, 46, 400, 41, 42, 17, 18, 215, 200, 225, 207,
        352, 329, 30001, 309, 40, 220, 221, 224, 100, 102, 205, 327, 216, 217, 103, 104, 322, 904,
        // Transactions and replies.
        37, 39, 323, 324, 325, 326, // Timer messages.
        370, // Chores, settings, and what is refused.
        306, 316, 308, 908, 513, 1007, 5001, 25, 318,
        // POP: hands messages out, or creates a group by asking.
        // Users and rules.
        3001, 3002, 3003, 3006, 3007, 3008, 401, 200_050, 200_051, 200_151, 200_052, 200_053,
        200_054, 200_055,
    ];

    #[test]
    fn every_code_of_the_table_reads_or_writes() {
        for row in ROWS {
            let by_fields = matches!(row.code, 11 | 35 | 353);
            let reads = READS.contains(&row.code);
            let writes = WRITES.contains(&row.code);
            assert_eq!(
                1,
                [by_fields, reads, writes].iter().filter(|known| **known).count(),
                "{row:?} must be classified once"
            );
            if !by_fields {
                let access = classify(row.code, &Fields::new(), "me");
                assert_eq!(access == Access::Reads, reads, "{row:?}");
            }
        }
    }

    #[test]
    fn the_reading_list_is_that_of_the_specification() {
        let mut listed = vec![
            101, 105, 106, 206, 219, 304, 319, 901, 12, 14, 21, 26, 28, 29, 30, 31, 32, 33, 43, 45,
            60, 61, 201, 202, 203, 204, 208, 300, 303, 305, 315, 317, 321, 328, 343, 345, 351, 402,
            906, 907, 3004, 3005, 3009, 3010, 223, 307,
        ];
        let mut ours = READS.to_vec();
        listed.sort_unstable();
        ours.sort_unstable();
        assert_eq!(ours, listed);
    }

    #[test]
    fn a_pull_reads_only_as_the_tools_group_without_commit() {
        let pull = |group: &'static str, flag| {
            classify(11, &Fields::new().text("consumerGroup", group).int("sysFlag", flag), "me")
        };
        assert_eq!(pull("TOOLS_CONSUMER", 4), Access::Reads);
        assert_eq!(pull("TOOLS_CONSUMER", 5), Access::Writes);
        assert_eq!(pull("billing", 4), Access::Writes);
        assert_eq!(classify(11, &Fields::new(), "me"), Access::Writes);
    }

    #[test]
    fn what_depends_on_fields_is_decided_by_them() {
        let own = Fields::new().text("clientID", "me");
        assert_eq!(classify(35, &own, "me"), Access::Reads);
        assert_eq!(classify(35, &own, "other"), Access::Writes);
        assert_eq!(classify(353, &Fields::new(), "me"), Access::Reads);
        assert_eq!(classify(353, &Fields::new().flag("readable", true), "me"), Access::Writes);
        assert_eq!(classify(25, &Fields::new(), "me"), Access::Writes);
    }
}
