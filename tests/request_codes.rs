//! Every request code that is served, with a frame as a client writes it and the answer it gets.
//!
//! One engine answers all rows in their order, so that later ones see what earlier ones made. The rows
//! are held to the table in `protocol/code.rs`: a code without a row fails. Spec: remoting.md §11,
//! admin.md §4 and §6.

#![allow(clippy::unwrap_used)]

mod test_support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::{Bytes, BytesMut};
use engine::protocol::code::{self, Lane};
use engine::protocol::ext_fields::Fields;
use engine::protocol::frame::{self, Frame, Serialization};
use engine::protocol::header::Outgoing;

/// Who is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum To {
    Broker,
    Names,
}
use To::{Broker, Names};

/// One request and its answer.
struct Row {
    code: i32,
    to: To,
    fields: &'static [(&'static str, &'static str)],
    body: &'static [u8],
    /// Response code.
    want: i32,
    /// Parts of remark, header fields (`key=value`) or body.
    says: &'static [&'static str],
}

const fn row(
    code: i32,
    to: To,
    fields: &'static [(&'static str, &'static str)],
    body: &'static [u8],
    want: i32,
    says: &'static [&'static str],
) -> Row {
    Row { code, to, fields, body, want, says }
}

const SEND: &[(&str, &str)] = &[
    ("producerGroup", "p"),
    ("topic", "t"),
    ("defaultTopic", "TBW102"),
    ("defaultTopicQueueNums", "4"),
    ("queueId", "0"),
    ("sysFlag", "0"),
    ("bornTimestamp", "1795555190497"),
    ("flag", "0"),
    ("properties", "KEYS\u{1}k1\u{2}TAGS\u{1}a\u{2}"),
    ("reconsumeTimes", "0"),
    ("unitMode", "false"),
    ("batch", "false"),
];
const SEND_V2: &[(&str, &str)] = &[
    ("a", "p"),
    ("b", "t"),
    ("c", "TBW102"),
    ("d", "4"),
    ("e", "0"),
    ("f", "0"),
    ("g", "1795555190497"),
    ("h", "0"),
    ("i", "TAGS\u{1}b\u{2}n\u{1}5\u{2}"),
    ("j", "0"),
    ("k", "false"),
    ("m", "false"),
];
const SEND_BATCH: &[(&str, &str)] = &[
    ("a", "p"),
    ("b", "t"),
    ("c", "TBW102"),
    ("d", "4"),
    ("e", "1"),
    ("f", "0"),
    ("g", "1795555190497"),
    ("h", "0"),
    ("i", ""),
    ("j", "0"),
    ("k", "false"),
    ("m", "true"),
];
/// Size, magic, CRC, flag, body, properties of one message.
const BATCH: &[u8] = b"\0\0\0\x17\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01x\0\0";
const PULL: &[(&str, &str)] = &[
    ("consumerGroup", "g"),
    ("topic", "t"),
    ("queueId", "0"),
    ("queueOffset", "0"),
    ("maxMsgNums", "32"),
    ("sysFlag", "4"),
    ("commitOffset", "0"),
    ("suspendTimeoutMillis", "0"),
    ("subscription", "n > 4"),
    ("expressionType", "SQL92"),
    ("subVersion", "0"),
];
const QUEUE: &[(&str, &str)] = &[("topic", "t"), ("queueId", "0")];
const OFFSET_OF: &[(&str, &str)] = &[("consumerGroup", "g"), ("topic", "t"), ("queueId", "0")];
const COMMIT: &[(&str, &str)] =
    &[("consumerGroup", "g"), ("topic", "t"), ("queueId", "0"), ("commitOffset", "1")];
const RESET: &[(&str, &str)] =
    &[("topic", "t"), ("group", "g"), ("timestamp", "0"), ("isForce", "true")];
const NEW_TOPIC: &[(&str, &str)] = &[
    ("topic", "t"),
    ("defaultTopic", "TBW102"),
    ("readQueueNums", "2"),
    ("writeQueueNums", "2"),
    ("perm", "6"),
    ("topicFilterType", "SINGLE_TAG"),
    ("topicSysFlag", "0"),
    ("order", "false"),
];
const OTHER: &[(&str, &str)] = &[
    ("brokerName", "other"),
    ("brokerAddr", "10.0.0.1:10911"),
    ("clusterName", "c"),
    ("haServerAddr", "10.0.0.1:10912"),
    ("brokerId", "0"),
];
const OTHER_TOPICS: &[u8] = br#"{"topicConfigSerializeWrapper":{"dataVersion":{"counter":1,"timestamp":5},"topicConfigTable":{"x":{"topicName":"x","readQueueNums":4,"writeQueueNums":4,"perm":6},"y":{"topicName":"y","readQueueNums":4,"writeQueueNums":4,"perm":6}}},"filterServerList":[]}"#;
const HEARTBEAT: &[u8] = br#"{"clientID":"c1","producerDataSet":[{"groupName":"p"}],"consumerDataSet":[{"groupName":"g","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":[{"topic":"t","subString":"n > 4","expressionType":"SQL92","subVersion":5}],"unitMode":false}]}"#;
const LOCK: &[u8] = br#"{"consumerGroup":"g","clientId":"c1","mqSet":[{"topic":"t","brokerName":"mqdeck","queueId":0}]}"#;
const NONE: &[(&str, &str)] = &[];
const POP: &[(&str, &str)] = &[
    ("consumerGroup", "pops"),
    ("topic", "t"),
    ("queueId", "0"),
    ("maxMsgNums", "32"),
    ("invisibleTime", "60000"),
    ("pollTime", "0"),
    ("initMode", "0"),
    ("expType", "SQL92"),
    ("exp", "n > 4"),
];
const PEEK: &[(&str, &str)] =
    &[("consumerGroup", "peeks"), ("topic", "t"), ("queueId", "0"), ("maxMsgNums", "32")];
const NOTIFY: &[(&str, &str)] =
    &[("consumerGroup", "peeks"), ("topic", "t"), ("queueId", "0"), ("pollTime", "0")];
const POLLING: &[(&str, &str)] = &[("consumerGroup", "pops"), ("topic", "t"), ("queueId", "0")];
/// The handle names offset 0 of queue 0, popped long ago.
const ACK: &[(&str, &str)] = &[
    ("consumerGroup", "pops"),
    ("topic", "t"),
    ("queueId", "0"),
    ("extraInfo", "0 1795555190497 60000 0 0 mqdeck 0 0"),
    ("offset", "0"),
];
/// Code of a recall whose handle cannot be read.
const ILLEGAL_OPERATION: i32 = engine::protocol::response_code::ILLEGAL_OPERATION;

/// What the broker is asked.
const USER: &[(&str, &str)] = &[("username", "u")];
const SUBJECT: &[(&str, &str)] = &[("subject", "User:u")];
const ACCESS_IS_OFF: &[&str] = &["access control is off"];

const TO_BROKER: &[Row] = &[
    // What later rows need.
    row(code::UPDATE_AND_CREATE_TOPIC, Broker, NEW_TOPIC, b"", 0, &[]),
    row(
        code::UPDATE_AND_CREATE_TOPIC_LIST,
        Broker,
        NONE,
        br#"{"topicConfigList":[{"topicName":"u","readQueueNums":1,"writeQueueNums":1,"perm":6}]}"#,
        0,
        &[],
    ),
    row(
        code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
        Broker,
        NONE,
        br#"{"groupName":"g","groupRetryPolicy":{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":100,"max":1000,"multiplier":2}}}"#,
        0,
        &[],
    ),
    row(
        code::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
        Broker,
        NONE,
        br#"{"groupConfigList":[{"groupName":"h","retryMaxTimes":3}]}"#,
        0,
        &[],
    ),
    row(code::SEND_MESSAGE, Broker, SEND, b"one", 0, &["queueOffset=0", "msgId="]),
    row(code::SEND_MESSAGE_V2, Broker, SEND_V2, b"two", 0, &["queueOffset=1", "queueId=0"]),
    row(code::SEND_BATCH_MESSAGE, Broker, SEND_BATCH, BATCH, 0, &["queueId=1", "queueOffset=0"]),
    row(
        code::CONSUMER_SEND_MSG_BACK,
        Broker,
        &[("offset", "0"), ("group", "g"), ("delayLevel", "3"), ("originTopic", "t")],
        b"",
        0,
        &[],
    ),
    // Reading.
    row(code::PULL_MESSAGE, Broker, PULL, b"", 0, &["nextBeginOffset=2", "two"]),
    row(code::LITE_PULL_MESSAGE, Broker, PULL, b"", 0, &["nextBeginOffset=2", "two"]),
    row(
        code::QUERY_MESSAGE,
        Broker,
        &[
            ("topic", "t"),
            ("key", "k1"),
            ("maxNum", "32"),
            ("beginTimestamp", "0"),
            ("endTimestamp", "9223372036854775807"),
        ],
        b"",
        0,
        &["one"],
    ),
    row(code::VIEW_MESSAGE_BY_ID, Broker, &[("offset", "0")], b"", 0, &["one"]),
    // Offsets.
    row(code::UPDATE_CONSUMER_OFFSET, Broker, COMMIT, b"", 0, &[]),
    row(code::QUERY_CONSUMER_OFFSET, Broker, OFFSET_OF, b"", 0, &["offset=1"]),
    row(
        code::SEARCH_OFFSET_BY_TIMESTAMP,
        Broker,
        &[("topic", "t"), ("queueId", "0"), ("timestamp", "0")],
        b"",
        0,
        &["offset=0"],
    ),
    row(code::GET_MAX_OFFSET, Broker, QUEUE, b"", 0, &["offset=2"]),
    row(code::GET_MIN_OFFSET, Broker, QUEUE, b"", 0, &["offset=0"]),
    row(code::GET_EARLIEST_MSG_STORETIME, Broker, QUEUE, b"", 0, &["timestamp="]),
    row(
        code::CLONE_GROUP_OFFSET,
        Broker,
        &[("srcGroup", "g"), ("destGroup", "h"), ("topic", "t")],
        b"",
        0,
        &[],
    ),
    row(code::GET_ALL_CONSUMER_OFFSET, Broker, NONE, b"", 0, &["t@g", "t@h"]),
    row(code::GET_ALL_DELAY_OFFSET, Broker, NONE, b"", 0, &["offsetTable"]),
    row(
        code::QUERY_CORRECTION_OFFSET,
        Broker,
        &[("filterGroups", ""), ("compareGroup", "h"), ("topic", "t")],
        b"",
        0,
        &[r#"{"correctionOffsets":{"0":1}}"#],
    ),
    row(code::INVOKE_BROKER_TO_RESET_OFFSET, Broker, RESET, b"", 0, &["offsetTable"]),
    row(
        code::INVOKE_BROKER_TO_GET_CONSUMER_STATUS,
        Broker,
        &[("topic", "t"), ("group", "h"), ("clientAddr", "")],
        b"",
        206,
        &["h", "online"],
    ),
    // Clients.
    row(code::HEART_BEAT, Broker, NONE, HEARTBEAT, 0, &["IS_SUPPORT_HEART_BEAT_V2=true"]),
    row(code::GET_CONSUMER_LIST_BY_GROUP, Broker, &[("consumerGroup", "g")], b"", 0, &["c1"]),
    row(
        code::CHECK_CLIENT_CONFIG,
        Broker,
        NONE,
        br#"{"clientId":"c1","group":"g","subscriptionData":{"topic":"t","subString":"a >","expressionType":"SQL92"}}"#,
        23,
        &["column 4"],
    ),
    row(
        code::QUERY_ASSIGNMENT,
        Broker,
        NONE,
        br#"{"topic":"t","consumerGroup":"g","clientId":"c1","strategyName":"AVG","messageModel":"CLUSTERING"}"#,
        0,
        &["messageQueueAssignments"],
    ),
    row(code::LOCK_BATCH_MQ, Broker, NONE, LOCK, 0, &["lockOKMQSet", "mqdeck"]),
    row(code::UNLOCK_BATCH_MQ, Broker, NONE, LOCK, 0, &[]),
    row(code::GET_CONSUMER_CONNECTION_LIST, Broker, &[("consumerGroup", "g")], b"", 0, &["n > 4"]),
    row(code::GET_PRODUCER_CONNECTION_LIST, Broker, &[("producerGroup", "p")], b"", 0, &["c1"]),
    row(code::GET_ALL_PRODUCER_INFO, Broker, NONE, b"", 0, &["c1"]),
    row(
        code::GET_CONSUMER_RUNNING_INFO,
        Broker,
        &[("consumerGroup", "g"), ("clientId", "nobody")],
        b"",
        1,
        &["The Consumer <g> <nobody> not online"],
    ),
    row(
        code::CONSUME_MESSAGE_DIRECTLY,
        Broker,
        &[("consumerGroup", "g"), ("clientId", "nobody"), ("msgId", "00")],
        b"",
        1,
        &["no offset id"],
    ),
    // Topics and groups.
    row(code::GET_ALL_TOPIC_CONFIG, Broker, NONE, b"", 0, &["totalTopicNum=", "TBW102"]),
    row(code::GET_TOPIC_CONFIG, Broker, &[("topic", "t")], b"", 0, &[r#""readQueueNums":2"#]),
    row(code::GET_TOPIC_STATS_INFO, Broker, &[("topic", "t")], b"", 0, &["maxOffset"]),
    row(code::QUERY_TOPIC_CONSUME_BY_WHO, Broker, &[("topic", "t")], b"", 0, &["g"]),
    row(code::GET_SYSTEM_TOPIC_LIST_FROM_BROKER, Broker, NONE, b"", 0, &["TBW102"]),
    row(code::QUERY_TOPICS_BY_CONSUMER, Broker, &[("group", "g")], b"", 0, &[r#"["t"]"#]),
    row(code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, Broker, NONE, b"", 0, &["totalGroupNum=", "h"]),
    row(
        code::GET_SUBSCRIPTIONGROUP_CONFIG,
        Broker,
        &[("group", "g")],
        b"",
        0,
        &["EXPONENTIAL", r#""initial":100"#],
    ),
    row(
        code::QUERY_SUBSCRIPTION_BY_CONSUMER,
        Broker,
        &[("group", "g"), ("topic", "t")],
        b"",
        0,
        &["SQL92"],
    ),
    row(
        code::UPDATE_AND_GET_GROUP_FORBIDDEN,
        Broker,
        &[("group", "g"), ("topic", "t"), ("readable", "false")],
        b"",
        0,
        &[r#"{"group":"g","readable":false,"topic":"t"}"#],
    ),
    // Figures.
    row(code::GET_CONSUME_STATS, Broker, &[("consumerGroup", "g")], b"", 0, &["consumerOffset"]),
    row(code::GET_BROKER_CONSUME_STATS, Broker, &[("isOrder", "false")], b"", 0, &["totalDiff"]),
    row(
        code::QUERY_CONSUME_TIME_SPAN,
        Broker,
        &[("topic", "t"), ("group", "g")],
        b"",
        0,
        &["consumeTimeSpanSet"],
    ),
    row(
        code::VIEW_BROKER_STATS_DATA,
        Broker,
        &[("statsName", "NO_SUCH"), ("statsKey", "t")],
        b"",
        1,
        &["NO_SUCH"],
    ),
    row(
        code::QUERY_CONSUME_QUEUE,
        Broker,
        &[("topic", "t"), ("queueId", "0"), ("index", "0"), ("count", "2"), ("consumerGroup", "g")],
        b"",
        0,
        &["queueData"],
    ),
    row(code::GET_BROKER_RUNTIME_INFO, Broker, NONE, b"", 0, &["brokerVersionDesc"]),
    row(code::GET_BROKER_HA_STATUS, Broker, NONE, b"", 0, &[r#""master":true"#]),
    // The broker itself.
    row(
        code::UPDATE_BROKER_CONFIG,
        Broker,
        NONE,
        b"fileReservedTime=73\nnoSuchKey=1",
        0,
        &["noSuchKey"],
    ),
    row(code::GET_BROKER_CONFIG, Broker, NONE, b"", 0, &["fileReservedTime=73", "version={"]),
    row(code::DELETE_EXPIRED_COMMITLOG, Broker, NONE, b"", 0, &[]),
    row(code::CLEAN_EXPIRED_CONSUMEQUEUE, Broker, NONE, b"", 0, &[]),
    row(code::CLEAN_UNUSED_TOPIC, Broker, NONE, b"", 0, &[]),
    row(
        code::TRIM_DEAD_LETTERS,
        Broker,
        &[("topic", "t"), ("queueId", "0"), ("offset", "1")],
        b"",
        29,
        &[],
    ),
    row(code::GET_TIMER_CHECK_POINT, Broker, NONE, b"", 0, &["\0\0\0\0\0\0\0\0"]),
    row(code::GET_TIMER_METRICS, Broker, NONE, b"", 0, &["timingCount"]),
    row(
        code::EXCHANGE_BROKER_HA_INFO,
        Broker,
        NONE,
        b"",
        0,
        &["masterAddress=127.0.0.1:", "masterFlushOffset="],
    ),
    row(code::RESET_MASTER_FLUSH_OFFSET, Broker, &[("masterFlushOffset", "0")], b"", 0, &[]),
    row(
        code::UPDATE_AND_CREATE_STATIC_TOPIC,
        Broker,
        NEW_TOPIC,
        b"{}",
        1,
        &["static topics are not supported"],
    ),
    row(
        code::GET_BROKER_EPOCH_CACHE,
        Broker,
        NONE,
        b"",
        1,
        &["this request only for controllerMode "],
    ),
    row(
        code::SWITCH_TIMER_ENGINE,
        Broker,
        &[("E_T", "F")],
        b"",
        0,
        &["switch timer engine success"],
    ),
    // Transactions and replies.
    row(
        code::END_TRANSACTION,
        Broker,
        &[
            ("producerGroup", "p"),
            ("tranStateTableOffset", "0"),
            ("commitLogOffset", "0"),
            ("commitOrRollback", "8"),
            ("msgId", "00"),
        ],
        b"",
        1,
        &[],
    ),
    row(code::RESUME_CHECK_HALF_MESSAGE, Broker, &[("msgId", "no id")], b"", 1, &[]),
    row(code::SEND_REPLY_MESSAGE, Broker, SEND, b"reply", 1, &[]),
    row(code::SEND_REPLY_MESSAGE_V2, Broker, SEND_V2, b"reply", 1, &[]),
    // Timers.
    row(
        code::RECALL_MESSAGE,
        Broker,
        &[("producerGroup", "p"), ("topic", "t"), ("recallHandle", "no handle")],
        b"",
        ILLEGAL_OPERATION,
        &[],
    ),
    // POP.
    row(
        code::SET_MESSAGE_REQUEST_MODE,
        Broker,
        NONE,
        br#"{"topic":"t","consumerGroup":"g","mode":"POP","popShareQueueNum":3}"#,
        0,
        &[],
    ),
    row(
        code::GET_ALL_MESSAGE_REQUEST_MODE,
        Broker,
        NONE,
        b"",
        0,
        &[r#""t":{"g":{"#, r#""popShareQueueNum":3"#],
    ),
    row(code::POP_MESSAGE, Broker, POP, b"", 0, &["restNum=", "startOffsetInfo=", "two"]),
    row(code::PEEK_MESSAGE, Broker, PEEK, b"", 0, &["one"]),
    row(code::NOTIFICATION, Broker, NOTIFY, b"", 0, &["hasMsg=true"]),
    row(code::POLLING_INFO, Broker, POLLING, b"", 0, &["pollingNum=0"]),
    row(code::ACK_MESSAGE, Broker, ACK, b"", 0, &[]),
    row(code::CHANGE_MESSAGE_INVISIBLETIME, Broker, ACK, b"", 1, &["invisibleTime"]),
    row(
        code::BATCH_ACK_MESSAGE,
        Broker,
        NONE,
        br#"{"brokerName":"mqdeck","acks":[]}"#,
        208,
        &[],
    ),
    // What it asks its clients and does not answer itself.
    row(code::CHECK_TRANSACTION_STATE, Broker, NONE, b"", 3, &[" request type 39 not supported"]),
    row(code::NOTIFY_CONSUMER_IDS_CHANGED, Broker, NONE, b"", 3, &[]),
    row(code::RESET_CONSUMER_CLIENT_OFFSET, Broker, NONE, b"", 3, &[]),
    row(code::GET_CONSUMER_STATUS_FROM_CLIENT, Broker, NONE, b"", 3, &[]),
    row(code::PUSH_REPLY_MESSAGE_TO_CLIENT, Broker, NONE, b"", 3, &[]),
    // The end of what was made.
    row(
        code::UNREGISTER_CLIENT,
        Broker,
        &[("clientID", "c1"), ("producerGroup", "p"), ("consumerGroup", "g")],
        b"",
        0,
        &[],
    ),
    row(code::DELETE_SUBSCRIPTIONGROUP, Broker, &[("groupName", "h")], b"", 0, &[]),
    row(code::DELETE_TOPIC_IN_BROKER, Broker, &[("topic", "u")], b"", 0, &[]),
    // Users and rules: there are none while access control is off.
    row(code::AUTH_CREATE_USER, Broker, USER, br#"{"password":"p"}"#, 1, ACCESS_IS_OFF),
    row(code::AUTH_UPDATE_USER, Broker, USER, br#"{"password":"p"}"#, 1, ACCESS_IS_OFF),
    row(code::AUTH_DELETE_USER, Broker, USER, b"", 1, ACCESS_IS_OFF),
    row(code::AUTH_GET_USER, Broker, USER, b"", 1, ACCESS_IS_OFF),
    row(code::AUTH_LIST_USER, Broker, NONE, b"", 1, ACCESS_IS_OFF),
    row(code::AUTH_CREATE_ACL, Broker, SUBJECT, br#"{"policies":[]}"#, 1, ACCESS_IS_OFF),
    row(code::AUTH_UPDATE_ACL, Broker, SUBJECT, br#"{"policies":[]}"#, 1, ACCESS_IS_OFF),
    row(code::AUTH_DELETE_ACL, Broker, SUBJECT, b"", 1, ACCESS_IS_OFF),
    row(code::AUTH_GET_ACL, Broker, SUBJECT, b"", 1, ACCESS_IS_OFF),
    row(code::AUTH_LIST_ACL, Broker, NONE, b"", 1, ACCESS_IS_OFF),
];

/// What the name server is asked.
const TO_NAMES: &[Row] = &[
    row(code::REGISTER_BROKER, Names, OTHER, OTHER_TOPICS, 0, &[]),
    row(code::QUERY_DATA_VERSION, Names, OTHER, br#"{"counter":9}"#, 0, &["changed=true"]),
    row(code::BROKER_HEARTBEAT, Names, OTHER, b"", 0, &[]),
    row(code::GET_ROUTEINFO_BY_TOPIC, Names, &[("topic", "x")], b"", 0, &["10.0.0.1:10911"]),
    row(code::GET_BROKER_CLUSTER_INFO, Names, NONE, b"", 0, &["other", "mqdeck"]),
    row(
        code::GET_BROKER_MEMBER_GROUP,
        Names,
        &[("clusterName", "c"), ("brokerName", "other")],
        b"",
        0,
        &["10.0.0.1:10911"],
    ),
    row(code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, Names, NONE, b"", 0, &["x", "y"]),
    row(code::GET_TOPICS_BY_CLUSTER, Names, &[("cluster", "c")], b"", 0, &["x"]),
    row(code::GET_SYSTEM_TOPIC_LIST_FROM_NS, Names, NONE, b"", 0, &["other", "c"]),
    row(
        code::PUT_KV_CONFIG,
        Names,
        &[("namespace", "n"), ("key", "k"), ("value", "v")],
        b"",
        0,
        &[],
    ),
    row(code::GET_KV_CONFIG, Names, &[("namespace", "n"), ("key", "k")], b"", 0, &["value=v"]),
    row(code::GET_KVLIST_BY_NAMESPACE, Names, &[("namespace", "n")], b"", 0, &[r#""k":"v""#]),
    row(code::DELETE_KV_CONFIG, Names, &[("namespace", "n"), ("key", "k")], b"", 0, &[]),
    row(
        code::WIPE_WRITE_PERM_OF_BROKER,
        Names,
        &[("brokerName", "other")],
        b"",
        0,
        &["wipeTopicCount="],
    ),
    row(
        code::ADD_WRITE_PERM_OF_BROKER,
        Names,
        &[("brokerName", "other")],
        b"",
        0,
        &["addTopicCount="],
    ),
    row(
        code::REGISTER_TOPIC_IN_NAMESRV,
        Names,
        &[("topic", "z")],
        br#"{"queueDatas":[{"brokerName":"other","perm":6,"readQueueNums":1,"writeQueueNums":1}]}"#,
        0,
        &[],
    ),
    row(code::DELETE_TOPIC_IN_NAMESRV, Names, &[("topic", "x")], b"", 0, &[]),
    row(
        code::UPDATE_NAMESRV_CONFIG,
        Names,
        NONE,
        b"orderMessageEnable=true\nnoSuchKey=1",
        0,
        &["noSuchKey"],
    ),
    row(code::GET_NAMESRV_CONFIG, Names, NONE, b"", 0, &["orderMessageEnable=true", "listenPort="]),
    row(code::UNREGISTER_BROKER, Names, OTHER, b"", 0, &[]),
];

/// A bare socket.
struct Wire {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Wire {
    fn to(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(test_support::PATIENCE)).unwrap();
        Self { stream, buffer: BytesMut::new() }
    }

    /// The response code, and everything else of the answer as text.
    fn ask(&mut self, row: &Row) -> (i32, String) {
        let fields =
            row.fields.iter().fold(Fields::new(), |all, (key, value)| all.text(key, *value));
        let request = Outgoing::request(row.code, 7, fields, Bytes::from_static(row.body));
        let mut out = BytesMut::new();
        request.encode(Serialization::Json, &mut out);
        self.stream.write_all(&out).unwrap();
        loop {
            let frame = self.frame();
            let header = frame.decode().unwrap();
            // The broker may tell its clients something meanwhile.
            if !header.is_response() {
                continue;
            }
            let mut text = header.remark.clone().unwrap_or_default().into_owned();
            for (key, value) in header.ext.iter() {
                text.push_str(&["\n", key, "=", value].concat());
            }
            text.push('\n');
            text.push_str(&String::from_utf8_lossy(&frame.body));
            return (header.code, text);
        }
    }

    fn frame(&mut self) -> Frame {
        loop {
            if let Some(frame) = frame::split(&mut self.buffer).unwrap() {
                return frame;
            }
            let mut piece = [0; 16 * 1024];
            let n = self.stream.read(&mut piece).unwrap();
            assert!(n > 0, "the connection was closed");
            self.buffer.extend_from_slice(&piece[..n]);
        }
    }
}

fn fits(row: &Row, (code, text): &(i32, String)) -> bool {
    *code == row.want && row.says.iter().all(|part| text.contains(part))
}

#[test]
fn every_request_code_is_answered_as_the_table_says() {
    let (engine, _dir) = test_support::engine(|_| {});
    let (mut broker, mut names) = (Wire::to(engine.broker_addr()), Wire::to(engine.namesrv_addr()));
    let mut wrong = Vec::new();
    for row in TO_BROKER.iter().chain(TO_NAMES) {
        let wire = if row.to == Broker { &mut broker } else { &mut names };
        let mut got = wire.ask(row);
        if row.code == code::QUERY_MESSAGE {
            // Keys are indexed behind the answer to the send.
            test_support::wait_for("the index", || {
                got = wire.ask(row);
                got.0 != 22
            });
        }
        if !fits(row, &got) {
            let name = code::name(row.code).unwrap();
            wrong.push(format!(
                "{} {name}: want {} {:?}, got {got:?}",
                row.code, row.want, row.says
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    engine.stop().unwrap();
}

#[test]
fn the_rows_are_the_codes_of_the_table_and_ask_who_serves_them() {
    let rows = || TO_BROKER.iter().chain(TO_NAMES);
    let served: BTreeSet<i32> = code::ROWS.iter().map(|row| row.code).collect();
    let tested: BTreeSet<i32> = rows().map(|row| row.code).collect();
    let missing: Vec<_> =
        served.difference(&tested).map(|code| (code, code::name(*code))).collect();
    assert!(missing.is_empty(), "codes without a row: {missing:?}");
    assert_eq!(rows().count(), served.len(), "a code has two rows");
    for row in rows() {
        let lane = code::lane(row.code).unwrap();
        assert_eq!(lane == Lane::Names, row.to == Names, "{}", row.code);
        assert_eq!(lane == Lane::Push, row.want == 3, "{}", row.code);
    }
}

#[test]
fn a_code_that_nobody_serves_is_refused_by_both() {
    let (engine, _dir) = test_support::engine(|_| {});
    for (addr, to) in [(engine.broker_addr(), Broker), (engine.namesrv_addr(), Names)] {
        for code in [29_999, 1_001, 2_001, 902] {
            let (got, text) = Wire::to(addr).ask(&row(code, to, NONE, b"", 3, &[]));
            assert_eq!(got, 3);
            assert!(text.contains(&format!(" request type {code} not supported")), "{text}");
        }
    }
    engine.stop().unwrap();
}
