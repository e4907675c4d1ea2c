//! Requests to a name server: decode, ask the table, answer.
//!
//! Spec: remoting.md §11.8, §11.9; the dialect of each body: remoting.md §10.

use bytes::Bytes;
use serde::Serialize;

use super::routes::Registration;
use super::{NameServer, ORDER_TOPIC_NAMESPACE};
use crate::decide::Refusal;
use crate::protocol::body::register::{BodyForm, RegisterBrokerBody};
use crate::protocol::body::route::{BrokerMemberGroupBody, TopicRouteData};
use crate::protocol::body::topic_config::DataVersion;
use crate::protocol::code::Request;
use crate::protocol::ext_fields::Fields;
use crate::protocol::header::Outgoing;
use crate::protocol::json_dialect;
use crate::protocol::request::register::{
    DataVersionResponse, RegisterBroker, RegisterResponse, UnregisterBroker,
};
use crate::protocol::request::route::{KvResponse, RouteOf};
use crate::protocol::response_code::{REQUEST_CODE_NOT_SUPPORTED, SYSTEM_ERROR, TOPIC_NOT_EXIST};

/// From this version on clients read a route in standard JSON.
const STANDARD_JSON_SINCE: i32 = 401;

/// A request as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Number of the connection.
    pub conn: u64,
    /// Wire version of the sender.
    pub version: i32,
    /// Correlation id, for the answer.
    pub opaque: i32,
    /// The decoded header.
    pub request: &'a Request<'a>,
    /// The body.
    pub body: &'a [u8],
}

/// What is to be done with a request that was handled.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The response.
    pub reply: Outgoing,
    /// The settings changed: keep [`NameServer::kv_json`] before the response leaves.
    pub persist: bool,
    /// The configuration changed: keep this before the response leaves.
    pub settings_file: Option<Vec<u8>>,
}

/// A successful answer without its frame.
#[derive(Default)]
struct Done {
    fields: Fields,
    body: Bytes,
    persist: bool,
    settings_file: Option<Vec<u8>>,
    remark: Option<String>,
}

impl NameServer {
    /// Handles one request.
    pub fn handle(&self, call: Call<'_>, now_ms: i64) -> Answer {
        let mut reply = Outgoing::response(0, call.opaque);
        match self.serve(call, now_ms) {
            Ok(done) => {
                reply.fields = done.fields;
                reply.body = done.body;
                reply.remark = done.remark.map(Into::into);
                Answer { reply, persist: done.persist, settings_file: done.settings_file }
            }
            Err(refusal) => {
                reply.code = refusal.code;
                reply.remark = Some(refusal.remark);
                Answer { reply, ..Answer::default() }
            }
        }
    }

    fn serve(&self, call: Call<'_>, now_ms: i64) -> Result<Done, Refusal> {
        match call.request {
            Request::Route(request) => self.route(request, call.version, now_ms),
            Request::ClusterInfo(_) => {
                Ok(body(json_dialect::to_vec_bare_ids(&self.routes().cluster_info())))
            }
            Request::AllTopics(_) => Ok(json(&self.routes().topic_list())),
            Request::TopicsOfCluster(of) => Ok(json(&self.routes().topics_of_cluster(of.cluster))),
            Request::NamesrvSystemTopics(_) => Ok(json(&self.routes().system_topics())),
            Request::MemberGroup(of) => {
                let group = self.routes().member_group(of.cluster_name, of.broker_name);
                Ok(json(&BrokerMemberGroupBody { broker_member_group: Some(group) }))
            }
            Request::RegisterBroker(broker) => self.register(broker, call, now_ms),
            Request::UnregisterBroker(of) => {
                self.routes_mut().unregister(of.cluster_name, of.broker_addr, of.broker_name);
                Ok(Done::default())
            }
            Request::QueryDataVersion(of) => self.query_version(of, call.body, now_ms),
            Request::BrokerHeartbeat(of) => {
                self.routes_mut().heartbeat(of.cluster_name, of.broker_addr, now_ms);
                Ok(Done::default())
            }
            _ => self.serve_changes(call),
        }
    }

    /// What tools change by hand.
    fn serve_changes(&self, call: Call<'_>) -> Result<Done, Refusal> {
        match call.request {
            Request::PutKv(kv) => {
                self.kv_mut().put(kv.namespace, kv.key, kv.value)?;
                Ok(Done { persist: true, ..Done::default() })
            }
            Request::GetKv(kv) => {
                let value = Some(self.kv().get(kv.namespace, kv.key)?.to_owned());
                Ok(Done { fields: KvResponse { value }.into(), ..Done::default() })
            }
            Request::DeleteKv(kv) => {
                let persist = self.kv_mut().delete(kv.namespace, kv.key);
                Ok(Done { persist, ..Done::default() })
            }
            Request::KvList(of) => Ok(json(&self.kv().list(of.namespace)?)),
            Request::WipeWritePerm(of) => {
                Ok(count("wipeTopicCount", self.routes_mut().wipe_write(of.broker_name)))
            }
            Request::AddWritePerm(of) => {
                Ok(count("addTopicCount", self.routes_mut().add_write(of.broker_name)))
            }
            Request::DeleteRoute(of) => {
                self.routes_mut().delete_topic(of.topic, of.cluster);
                Ok(Done::default())
            }
            Request::NamesrvConfig(_) => Ok(body(self.config_lines().into_bytes())),
            Request::UpdateNamesrvConfig(_) => {
                let changed = self.change_config(call.body)?;
                Ok(Done { settings_file: changed.file, remark: changed.remark, ..Done::default() })
            }
            Request::RegisterTopic(of) => {
                let route: TopicRouteData = read(call.body)?;
                let done = self.routes_mut().register_topic(of.topic, route.queue_datas);
                done.map(|()| Done::default()).map_err(|error| failed(&error))
            }
            _ => Err(Refusal::new(REQUEST_CODE_NOT_SUPPORTED, "not a request to a name server")),
        }
    }

    fn route(&self, of: &RouteOf<'_>, version: i32, now_ms: i64) -> Result<Done, Refusal> {
        if now_ms < self.ready_ms {
            return Err(Refusal::new(SYSTEM_ERROR, "name server not ready"));
        }
        let Some(mut route) = self.routes().route(of.topic, self.settings()) else {
            let remark = format!("No topic route info in name server for the topic: {}", of.topic);
            return Err(Refusal::new(TOPIC_NOT_EXIST, remark));
        };
        if self.settings().order_topics {
            let config = self.kv().get(ORDER_TOPIC_NAMESPACE, of.topic).map(str::to_owned);
            route.order_topic_conf = config.ok();
        }
        let standard = version >= STANDARD_JSON_SINCE || of.standard_json == Some(true);
        Ok(body(if standard {
            json_dialect::to_vec(&route)
        } else {
            json_dialect::to_vec_bare_ids(&route)
        }))
    }

    fn register(
        &self,
        broker: &RegisterBroker<'_>,
        call: Call<'_>,
        now_ms: i64,
    ) -> Result<Done, Refusal> {
        let form = BodyForm {
            compressed: broker.compressed == Some(true),
            crc: broker.body_crc.unwrap_or(0),
            version: call.version,
        };
        // The body is read before the table is locked: it may hold many topics.
        let sent = RegisterBrokerBody::decode(call.body, form).map_err(|error| failed(&error))?;
        let registration = Registration {
            cluster: broker.cluster_name,
            broker_name: broker.broker_name,
            broker_id: broker.broker_id,
            addr: broker.broker_addr,
            ha_addr: broker.ha_addr.unwrap_or_default(),
            timeout_ms: broker.heartbeat_timeout_ms,
            acting_master: broker.acting_master,
            conn: call.conn,
            topics: &sent.topic_config_serialize_wrapper,
        };
        let told = self
            .routes_mut()
            .register(&registration, self.settings(), now_ms)
            .map_err(|error| failed(&error))?;
        let order_topics = self.kv().list(ORDER_TOPIC_NAMESPACE).ok();
        Ok(Done {
            fields: RegisterResponse { ha_addr: told.ha_addr, master_addr: told.master_addr }
                .into(),
            body: order_topics.map(|table| json_dialect::to_vec(&table)).unwrap_or_default().into(),
            ..Done::default()
        })
    }

    fn query_version(
        &self,
        of: &UnregisterBroker<'_>,
        sent: &[u8],
        now_ms: i64,
    ) -> Result<Done, Refusal> {
        let asked: DataVersion = read(sent)?;
        let mut routes = self.routes_mut();
        let (stored, changed) =
            routes.query_version(of.cluster_name, of.broker_addr, asked, now_ms);
        Ok(Done {
            fields: DataVersionResponse { changed }.into(),
            body: stored.map(|version| json_dialect::to_vec(&version)).unwrap_or_default().into(),
            ..Done::default()
        })
    }
}

fn json<T: Serialize>(value: &T) -> Done {
    body(json_dialect::to_vec(value))
}

fn body(bytes: Vec<u8>) -> Done {
    Done { body: bytes.into(), ..Done::default() }
}

fn count(name: &'static str, rows: usize) -> Done {
    Done { fields: Fields::new().int(name, rows as i64), ..Done::default() }
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    json_dialect::from_slice(bytes).map_err(|error| failed(&error))
}

fn failed(error: &dyn std::error::Error) -> Refusal {
    Refusal::new(SYSTEM_ERROR, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::namesrv::Settings;
    use crate::protocol::body::topic_config::TopicConfig;
    use crate::protocol::code;
    use crate::protocol::ext_fields::{ExtFields, Value};

    struct Peer {
        names: NameServer,
        version: i32,
        now_ms: i64,
    }

    impl Peer {
        fn new(settings: Settings) -> Self {
            Self { names: NameServer::new(settings, 0), version: 513, now_ms: 0 }
        }

        fn ask(&self, code: i32, fields: &[(&str, &str)], body: &[u8]) -> Answer {
            let mut ext = ExtFields::default();
            for (key, value) in fields {
                assert!(ext.push(Cow::Borrowed(key), Cow::Borrowed(value)));
            }
            let request = Request::decode(code, &ext).unwrap().unwrap();
            let call = Call { conn: 1, version: self.version, opaque: 9, request: &request, body };
            self.names.handle(call, self.now_ms)
        }

        fn register(&self, topics: &[&str]) -> Answer {
            let mut sent = RegisterBrokerBody::default();
            for topic in topics {
                let config = TopicConfig { topic_name: (*topic).into(), ..TopicConfig::default() };
                let wrapper = &mut sent.topic_config_serialize_wrapper;
                wrapper.topic_config_table.insert((*topic).into(), config);
            }
            self.ask(code::REGISTER_BROKER, BROKER, &sent.encode())
        }
    }

    const BROKER: &[(&str, &str)] = &[
        ("brokerName", "b"),
        ("brokerAddr", "10.0.0.1:10911"),
        ("clusterName", "c"),
        ("haServerAddr", "10.0.0.1:10912"),
        ("brokerId", "0"),
    ];

    fn text(answer: &Answer) -> &str {
        std::str::from_utf8(&answer.reply.body).unwrap()
    }

    #[test]
    fn a_route_is_bare_for_old_clients_and_standard_for_new_ones() {
        let mut peer = Peer::new(Settings::default());
        assert_eq!(peer.register(&["t", "u"]).reply.code, 0);
        let ask = |peer: &Peer, extra: &[(&str, &str)]| {
            let fields = [&[("topic", "t")], extra].concat();
            text(&peer.ask(code::GET_ROUTEINFO_BY_TOPIC, &fields, b"")).to_owned()
        };
        assert!(ask(&peer, &[]).contains(r#"{"0":"10.0.0.1:10911"}"#));
        peer.version = 317;
        assert!(ask(&peer, &[]).contains(r#"{0:"10.0.0.1:10911"}"#));
        let standard = ask(&peer, &[("acceptStandardJsonOnly", "true")]);
        assert!(standard.contains(r#"{"0":"10.0.0.1:10911"}"#));
        assert!(text(&peer.ask(code::GET_BROKER_CLUSTER_INFO, &[], b"")).contains("{0:"));
    }

    #[test]
    fn unknown_topics_are_17_and_an_early_name_server_is_not_ready() {
        let mut peer = Peer::new(Settings { wait_ms: 45_000, ..Settings::default() });
        let ask =
            |peer: &Peer| peer.ask(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], b"").reply;
        let early = ask(&peer);
        assert_eq!((early.code, early.remark.as_deref()), (1, Some("name server not ready")));
        peer.now_ms = 45_000;
        assert_eq!(ask(&peer).code, 17);
        assert_eq!(ask(&peer).opaque, 9);
    }

    #[test]
    fn settings_ask_to_be_kept_and_order_topics_reach_brokers() {
        let peer = Peer::new(Settings { order_topics: true, ..Settings::default() });
        let key = [("namespace", "ORDER_TOPIC_CONFIG"), ("key", "t")];
        let put = peer.ask(code::PUT_KV_CONFIG, &[&key[..], &[("value", "b:4")]].concat(), b"");
        assert!(put.persist);
        assert_eq!(peer.names.kv_json(), br#"{"configTable":{"ORDER_TOPIC_CONFIG":{"t":"b:4"}}}"#);
        let got = peer.ask(code::GET_KV_CONFIG, &key, b"").reply;
        let value = Value::Text(Cow::Borrowed("b:4"));
        assert_eq!(got.fields.iter().collect::<Vec<_>>(), [("value", &value)]);
        assert_eq!(text(&peer.register(&["t", "u"])), r#"{"table":{"t":"b:4"}}"#);
        let route = peer.ask(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], b"");
        assert!(text(&route).contains(r#""orderTopicConf":"b:4""#));
        assert!(peer.ask(code::DELETE_KV_CONFIG, &key, b"").persist);
        assert!(!peer.ask(code::DELETE_KV_CONFIG, &key, b"").persist);
        assert_eq!(peer.ask(code::GET_KV_CONFIG, &key, b"").reply.code, 22);
    }

    #[test]
    fn registrations_are_refused_with_their_reason() {
        let peer = Peer::new(Settings::default());
        let one = peer.register(&["t"]).reply;
        assert_eq!((one.code, one.remark.as_deref()), (1, Some("register broker failed")));
        let fields = [BROKER, &[("bodyCrc32", "5")]].concat();
        let bad = peer.ask(code::REGISTER_BROKER, &fields, b"{}").reply;
        assert_eq!((bad.code, bad.remark.as_deref()), (1, Some("crc32 not match")));
        assert_eq!(peer.ask(code::REGISTER_BROKER, BROKER, b"{").reply.code, 1);
    }

    #[test]
    fn a_broker_lives_by_its_questions_and_leaves_with_its_connection() {
        let mut peer = Peer::new(Settings::default());
        let ask = |peer: &Peer| peer.ask(code::QUERY_DATA_VERSION, BROKER, b"{}").reply;
        let changed = |reply: &Outgoing, want| {
            let entries: Vec<_> = reply.fields.iter().map(|(k, v)| (k, v.clone())).collect();
            assert_eq!(entries, [("changed", Value::Bool(want))]);
        };
        changed(&ask(&peer), true);
        peer.register(&["t", "u"]);
        peer.now_ms = 100_000;
        changed(&ask(&peer), false);
        assert!(peer.names.expire(220_000).is_empty());
        peer.now_ms = 200_000;
        assert_eq!(peer.ask(code::BROKER_HEARTBEAT, BROKER, b"").reply.code, 0);
        assert!(peer.names.expire(320_000).is_empty());
        assert_eq!(peer.names.connection_closed(1), ["10.0.0.1:10911"]);
        assert_eq!(
            text(&peer.ask(code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, &[], b"")),
            r#"{"topicList":[]}"#
        );
    }

    #[test]
    fn tools_count_delete_and_list() {
        let peer = Peer::new(Settings::default());
        peer.register(&["t", "u"]);
        let wiped = peer.ask(code::WIPE_WRITE_PERM_OF_BROKER, &[("brokerName", "b")], b"").reply;
        let entries: Vec<_> = wiped.fields.iter().map(|(k, v)| (k, v.clone())).collect();
        assert_eq!(entries, [("wipeTopicCount", Value::Int(2))]);
        assert_eq!(peer.ask(code::DELETE_TOPIC_IN_NAMESRV, &[("topic", "t")], b"").reply.code, 0);
        let listed = peer.ask(code::GET_TOPICS_BY_CLUSTER, &[("cluster", "c")], b"");
        assert_eq!(text(&listed), r#"{"topicList":["u"]}"#);
        let system = peer.ask(code::GET_SYSTEM_TOPIC_LIST_FROM_NS, &[], b"");
        assert_eq!(text(&system), r#"{"brokerAddr":"10.0.0.1:10911","topicList":["b","c"]}"#);
        let of = [("clusterName", "c"), ("brokerName", "b")];
        let group = peer.ask(code::GET_BROKER_MEMBER_GROUP, &of, b"");
        assert!(text(&group).starts_with(r#"{"brokerMemberGroup":{"brokerAddrs":{"0":"#));
        assert_eq!(peer.ask(code::UNREGISTER_BROKER, BROKER, b"").reply.code, 0);
        assert_eq!(peer.ask(code::HEART_BEAT, &[], b"").reply.code, 3);
    }
}
