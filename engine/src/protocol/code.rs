//! ★ The table of request codes: code → name → header type → lane. Start reading here.
//!
//! A row is a promise: the broker, the name server or a client of ours answers it. The macro makes
//! [`Request`], which the handlers match exhaustively, and [`ROWS`], which tests go through. What each
//! request means is in remoting.md §11 and admin.md §4; response codes are in `response_code`.

use super::request::{
    auth, broker, client, group, lock, offset, pop, pull, push, register, route, send, stats,
    topic, transaction,
};

/// Where a request is handled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    /// By the worker that read it from the socket.
    Hot,
    /// On the bounded pool: it may read a lot.
    Slow,
    /// By the name server.
    Names,
    /// Sent by a broker to its clients; a server does not answer it.
    Push,
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// Request code.
    pub code: i32,
    /// Its name in the protocol.
    pub name: &'static str,
    /// Where it is handled.
    pub lane: Lane,
}

requests! {
    10  SEND_MESSAGE = SendMessage(send::SendMessage of), Hot;
    310 SEND_MESSAGE_V2 = SendMessageV2(send::SendMessageV2 of), Hot;
    320 SEND_BATCH_MESSAGE = SendBatch(send::SendMessageV2 of), Hot;
    36  CONSUMER_SEND_MSG_BACK = SendBack(send::SendBack of), Hot;
    11  PULL_MESSAGE = Pull(pull::PullMessage of), Hot;
    361 LITE_PULL_MESSAGE = LitePull(pull::PullMessage of), Hot;
    12  QUERY_MESSAGE = QueryMessage(pull::QueryMessage of), Slow;
    33  VIEW_MESSAGE_BY_ID = ViewMessage(pull::ViewMessage), Slow;

    14  QUERY_CONSUMER_OFFSET = QueryConsumerOffset(offset::QueryConsumerOffset of), Hot;
    15  UPDATE_CONSUMER_OFFSET = UpdateConsumerOffset(offset::UpdateConsumerOffset of), Hot;
    29  SEARCH_OFFSET_BY_TIMESTAMP = SearchOffset(offset::SearchOffset of), Slow;
    30  GET_MAX_OFFSET = MaxOffset(offset::QueueOf of), Hot;
    31  GET_MIN_OFFSET = MinOffset(offset::QueueOf of), Hot;
    32  GET_EARLIEST_MSG_STORETIME = EarliestStoreTime(offset::QueueOf of), Slow;
    222 INVOKE_BROKER_TO_RESET_OFFSET = ResetOffset(offset::ResetOffset of), Slow;
    223 INVOKE_BROKER_TO_GET_CONSUMER_STATUS = ConsumerStatus(offset::ConsumerStatus of), Slow;
    314 CLONE_GROUP_OFFSET = CloneGroupOffset(offset::CloneGroupOffset of), Slow;
    43  GET_ALL_CONSUMER_OFFSET = AllConsumerOffsets(client::NoFields), Slow;
    45  GET_ALL_DELAY_OFFSET = AllDelayOffsets(client::NoFields), Slow;

    34  HEART_BEAT = Heartbeat(client::NoFields), Hot;
    35  UNREGISTER_CLIENT = UnregisterClient(client::UnregisterClient of), Hot;
    38  GET_CONSUMER_LIST_BY_GROUP = ConsumerList(client::ConsumerGroup of), Hot;
    46  CHECK_CLIENT_CONFIG = CheckClientConfig(client::NoFields), Hot;
    400 QUERY_ASSIGNMENT = QueryAssignment(client::NoFields), Hot;
    41  LOCK_BATCH_MQ = LockBatch(lock::NoFields), Hot;
    42  UNLOCK_BATCH_MQ = UnlockBatch(lock::NoFields), Hot;

    17  UPDATE_AND_CREATE_TOPIC = UpdateTopic(topic::UpdateTopic of), Slow;
    18  UPDATE_AND_CREATE_TOPIC_LIST = UpdateTopicList(client::NoFields), Slow;
    21  GET_ALL_TOPIC_CONFIG = AllTopicConfig(topic::AllTopicConfig), Slow;
    215 DELETE_TOPIC_IN_BROKER = DeleteTopic(topic::TopicOf of), Slow;
    351 GET_TOPIC_CONFIG = TopicConfig(topic::TopicOf of), Hot;
    202 GET_TOPIC_STATS_INFO = TopicStats(topic::TopicOf of), Slow;
    300 QUERY_TOPIC_CONSUME_BY_WHO = TopicConsumers(topic::TopicOf of), Slow;
    305 GET_SYSTEM_TOPIC_LIST_FROM_BROKER = SystemTopics(client::NoFields), Slow;
    343 QUERY_TOPICS_BY_CONSUMER = TopicsOfGroup(group::GroupOf of), Slow;

    200 UPDATE_AND_CREATE_SUBSCRIPTIONGROUP = UpdateGroup(client::NoFields), Slow;
    225 UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST = UpdateGroupList(client::NoFields), Slow;
    201 GET_ALL_SUBSCRIPTIONGROUP_CONFIG = AllGroupConfig(group::AllGroupConfig), Slow;
    207 DELETE_SUBSCRIPTIONGROUP = DeleteGroup(group::DeleteGroup of), Slow;
    352 GET_SUBSCRIPTIONGROUP_CONFIG = GroupConfig(group::GroupOf of), Hot;
    345 QUERY_SUBSCRIPTION_BY_CONSUMER = SubscriptionOf(group::SubscriptionOf of), Slow;

    203 GET_CONSUMER_CONNECTION_LIST = ConsumerConnections(client::ConsumerGroup of), Slow;
    204 GET_PRODUCER_CONNECTION_LIST = ProducerConnections(client::ProducerGroup of), Slow;
    328 GET_ALL_PRODUCER_INFO = AllProducers(client::NoFields), Slow;
    208 GET_CONSUME_STATS = ConsumeStats(stats::ConsumeStats of), Slow;
    317 GET_BROKER_CONSUME_STATS = BrokerConsumeStats(stats::BrokerConsumeStats), Slow;
    303 QUERY_CONSUME_TIME_SPAN = ConsumeTimeSpan(stats::ConsumeTimeSpan of), Slow;
    315 VIEW_BROKER_STATS_DATA = BrokerStats(stats::BrokerStats of), Slow;
    321 QUERY_CONSUME_QUEUE = QueryConsumeQueue(stats::QueryConsumeQueue of), Slow;
    28  GET_BROKER_RUNTIME_INFO = RuntimeInfo(client::NoFields), Slow;
    26  GET_BROKER_CONFIG = BrokerConfig(client::NoFields), Slow;
    907 GET_BROKER_HA_STATUS = HaStatus(client::NoFields), Slow;
    329 DELETE_EXPIRED_COMMITLOG = DeleteExpired(client::NoFields), Slow;
    30001 TRIM_DEAD_LETTERS = TrimDeadLetters(broker::TrimDeadLetters of), Slow;

    306 CLEAN_EXPIRED_CONSUMEQUEUE = CleanQueues(client::NoFields), Slow;
    316 CLEAN_UNUSED_TOPIC = CleanTopics(client::NoFields), Slow;
    308 QUERY_CORRECTION_OFFSET = CorrectionOffset(offset::CorrectionOffset of), Slow;
    353 UPDATE_AND_GET_GROUP_FORBIDDEN = GroupForbidden(group::GroupForbiddenOf of), Slow;
    60  GET_TIMER_CHECK_POINT = TimerCheckPoint(client::NoFields), Slow;
    61  GET_TIMER_METRICS = TimerMetrics(client::NoFields), Slow;
    906 EXCHANGE_BROKER_HA_INFO = ExchangeHa(broker::ExchangeHa of), Slow;
    908 RESET_MASTER_FLUSH_OFFSET = ResetFlushOffset(broker::ResetFlushOffset), Slow;
    513 UPDATE_AND_CREATE_STATIC_TOPIC = StaticTopic(client::NoFields), Slow;
    1007 GET_BROKER_EPOCH_CACHE = BrokerEpoch(client::NoFields), Slow;
    5001 SWITCH_TIMER_ENGINE = SwitchTimer(broker::SwitchTimerEngine of), Slow;
    25  UPDATE_BROKER_CONFIG = UpdateBrokerConfig(client::NoFields), Slow;
    318 UPDATE_NAMESRV_CONFIG = UpdateNamesrvConfig(client::NoFields), Names;
    319 GET_NAMESRV_CONFIG = NamesrvConfig(client::NoFields), Names;

    370 RECALL_MESSAGE = RecallMessage(send::RecallMessage of), Hot;

    37  END_TRANSACTION = EndTransaction(transaction::EndTransaction of), Hot;
    39  CHECK_TRANSACTION_STATE = CheckTransaction(transaction::CheckTransaction of), Push;
    323 RESUME_CHECK_HALF_MESSAGE = ResumeCheck(transaction::ResumeCheck of), Slow;
    324 SEND_REPLY_MESSAGE = SendReply(send::SendMessage of), Hot;
    325 SEND_REPLY_MESSAGE_V2 = SendReplyV2(send::SendMessageV2 of), Hot;
    326 PUSH_REPLY_MESSAGE_TO_CLIENT = PushReply(push::PushReply of), Push;

    200_050 POP_MESSAGE = Pop(pop::PopMessage of), Hot;
    200_051 ACK_MESSAGE = Ack(pop::AckMessage of), Hot;
    200_151 BATCH_ACK_MESSAGE = BatchAck(client::NoFields), Hot;
    200_052 PEEK_MESSAGE = Peek(pop::PeekMessage of), Slow;
    200_053 CHANGE_MESSAGE_INVISIBLETIME = ChangeInvisible(pop::ChangeInvisible of), Hot;
    200_054 NOTIFICATION = Notification(pop::Notification of), Hot;
    200_055 POLLING_INFO = PollingInfo(pop::PollingInfo of), Hot;
    401 SET_MESSAGE_REQUEST_MODE = SetRequestMode(client::NoFields), Slow;
    402 GET_ALL_MESSAGE_REQUEST_MODE = AllRequestModes(client::NoFields), Slow;

    307 GET_CONSUMER_RUNNING_INFO = ConsumerRunningInfo(push::ConsumerRunningInfo of), Hot;
    309 CONSUME_MESSAGE_DIRECTLY = ConsumeDirectly(push::ConsumeDirectly of), Slow;
    40  NOTIFY_CONSUMER_IDS_CHANGED = NotifyIdsChanged(client::ConsumerGroup of), Push;
    220 RESET_CONSUMER_CLIENT_OFFSET = ResetClientOffset(offset::ResetOffset of), Push;
    221 GET_CONSUMER_STATUS_FROM_CLIENT = StatusFromClient(offset::ConsumerStatus of), Push;

    3001 AUTH_CREATE_USER = CreateUser(auth::UserOf of), Slow;
    3002 AUTH_UPDATE_USER = UpdateUser(auth::UserOf of), Slow;
    3003 AUTH_DELETE_USER = DeleteUser(auth::UserOf of), Slow;
    3004 AUTH_GET_USER = GetUser(auth::UserOf of), Slow;
    3005 AUTH_LIST_USER = ListUsers(auth::UsersLike of), Slow;
    3006 AUTH_CREATE_ACL = CreateAcl(auth::AclOf of), Slow;
    3007 AUTH_UPDATE_ACL = UpdateAcl(auth::AclOf of), Slow;
    3008 AUTH_DELETE_ACL = DeleteAcl(auth::DeleteAcl of), Slow;
    3009 AUTH_GET_ACL = GetAcl(auth::AclOf of), Slow;
    3010 AUTH_LIST_ACL = ListAcls(auth::AclsLike of), Slow;

    105 GET_ROUTEINFO_BY_TOPIC = Route(route::RouteOf of), Names;
    106 GET_BROKER_CLUSTER_INFO = ClusterInfo(client::NoFields), Names;
    206 GET_ALL_TOPIC_LIST_FROM_NAMESERVER = AllTopics(client::NoFields), Names;
    224 GET_TOPICS_BY_CLUSTER = TopicsOfCluster(route::ClusterOf of), Names;
    304 GET_SYSTEM_TOPIC_LIST_FROM_NS = NamesrvSystemTopics(client::NoFields), Names;
    100 PUT_KV_CONFIG = PutKv(route::PutKv of), Names;
    101 GET_KV_CONFIG = GetKv(route::KvKey of), Names;
    102 DELETE_KV_CONFIG = DeleteKv(route::KvKey of), Names;
    219 GET_KVLIST_BY_NAMESPACE = KvList(route::NamespaceOf of), Names;
    205 WIPE_WRITE_PERM_OF_BROKER = WipeWritePerm(route::BrokerOf of), Names;
    327 ADD_WRITE_PERM_OF_BROKER = AddWritePerm(route::BrokerOf of), Names;
    216 DELETE_TOPIC_IN_NAMESRV = DeleteRoute(route::DeleteRoute of), Names;
    217 REGISTER_TOPIC_IN_NAMESRV = RegisterTopic(route::TopicOf of), Names;
    901 GET_BROKER_MEMBER_GROUP = MemberGroup(route::MemberGroup of), Names;
    103 REGISTER_BROKER = RegisterBroker(register::RegisterBroker of), Names;
    104 UNREGISTER_BROKER = UnregisterBroker(register::UnregisterBroker of), Names;
    322 QUERY_DATA_VERSION = QueryDataVersion(register::UnregisterBroker of), Names;
    904 BROKER_HEARTBEAT = BrokerHeartbeat(register::BrokerHeartbeat of), Names;
}

/// The name of a code, for logs and refusals.
pub fn name(code: i32) -> Option<&'static str> {
    ROWS.iter().find(|row| row.code == code).map(|row| row.name)
}

/// The lane of a code; `None` when the table does not have it.
pub fn lane(code: i32) -> Option<Lane> {
    match code {
        SEND_MESSAGE_V2 | SEND_MESSAGE | PULL_MESSAGE | SEND_BATCH_MESSAGE => Some(Lane::Hot),
        _ => ROWS.iter().find(|row| row.code == code).map(|row| row.lane),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ext_fields::ExtFields;

    #[test]
    fn every_code_and_name_stands_in_the_table_once() {
        for (at, row) in ROWS.iter().enumerate() {
            assert!(
                ROWS[..at].iter().all(|other| other.code != row.code && other.name != row.name),
                "{row:?}"
            );
            assert_eq!(name(row.code), Some(row.name));
            assert_eq!(lane(row.code), Some(row.lane));
        }
    }

    #[test]
    fn an_unknown_code_is_no_request() {
        assert!(Request::decode(29_999, &ExtFields::default()).is_none());
        assert!(matches!(Request::decode(10, &ExtFields::default()), Some(Err(_))));
    }
}
