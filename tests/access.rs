//! Access control as clients meet it: who does not sign, or has no right, is refused with 16.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // real processes and real files

mod test_support;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use engine::client::{
    Ask, ClientError, Cluster, ClusterConfig, Credentials, Message, Producer, ProducerConfig,
    Response,
};
use engine::engine::Engine;
use engine::protocol::code;
use engine::protocol::ext_fields::Fields;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use test_support::Serve;

const ROOT: (&str, &str) = ("root", "root-secret");
const USER: (&str, &str) = ("ana", "ana-secret");

/// An engine with access control, and a runtime for its clients.
struct Guarded {
    engine: Engine,
    runtime: Runtime,
    _dir: TempDir,
}

impl Guarded {
    fn start() -> Self {
        let (engine, dir) = test_support::engine(|config| {
            config.broker.authentication_enabled = true;
            config.broker.authorization_enabled = true;
            config.broker.init_authentication_user =
                r#"{"username":"root","password":"root-secret"}"#.into();
        });
        Self { engine, runtime: Runtime::new().unwrap(), _dir: dir }
    }

    fn client(&self, user: Option<(&str, &str)>) -> Client<'_> {
        client(&self.runtime, self.engine.namesrv_addr(), self.engine.broker_addr(), user)
    }
}

fn client<'a>(
    runtime: &'a Runtime,
    namesrv: SocketAddr,
    broker: SocketAddr,
    user: Option<(&str, &str)>,
) -> Client<'a> {
    let mut config = ClusterConfig::new(vec![namesrv.to_string()], runtime.handle().clone());
    config.credentials = user.map(|(name, secret)| Credentials {
        access_key: name.to_owned(),
        secret_key: secret.to_owned(),
        security_token: None,
    });
    Client { cluster: Cluster::connect(config), broker: broker.to_string(), runtime }
}

struct Client<'a> {
    cluster: Arc<Cluster>,
    broker: String,
    runtime: &'a Runtime,
}

impl Client<'_> {
    fn ask(&self, code: i32, fields: Fields, body: &str) -> Result<Response, ClientError> {
        let ask = Ask::new(code, fields).body(body.to_owned());
        self.runtime.block_on(self.cluster.ask(&self.broker, ask))
    }

    fn create_user(&self, (name, secret): (&str, &str)) {
        let fields = Fields::new().text("username", name.to_owned());
        let body = format!(r#"{{"password":"{secret}","userType":"Normal"}}"#);
        self.ask(code::AUTH_CREATE_USER, fields, &body).unwrap();
    }

    fn rule(&self, user: &str, resource: &str, actions: &str, decision: &str) {
        let fields = Fields::new().text("subject", format!("User:{user}"));
        let body = format!(
            r#"{{"policies":[{{"entries":[{{"resource":"{resource}","actions":[{actions}],"decision":"{decision}"}}]}}]}}"#
        );
        self.ask(code::AUTH_CREATE_ACL, fields, &body).unwrap();
    }

    fn create_topic(&self, topic: &str) -> Result<Response, ClientError> {
        let fields = Fields::new()
            .text("topic", topic.to_owned())
            .text("defaultTopic", "TBW102")
            .int("readQueueNums", 1)
            .int("writeQueueNums", 1)
            .int("perm", 6)
            .text("topicFilterType", "SINGLE_TAG")
            .int("topicSysFlag", 0)
            .flag("order", false);
        self.ask(code::UPDATE_AND_CREATE_TOPIC, fields, "")
    }

    fn send(&self, topic: &str) -> Result<(), ClientError> {
        let mut config = ProducerConfig::new("p");
        config.retries = 0;
        let producer = Producer::start(&self.cluster, config)?;
        self.runtime.block_on(producer.send(&Message::new(topic, "x"))).map(drop)
    }

    fn max_offset(&self, topic: &str) -> Result<Response, ClientError> {
        let fields = Fields::new().text("topic", topic.to_owned()).int("queueId", 0);
        self.ask(code::GET_MAX_OFFSET, fields, "")
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, ClientError>, says: &str) {
    match result {
        Err(ClientError::Refused { code: 16, remark, .. }) => {
            assert!(remark.contains(says), "{remark:?} does not say {says:?}");
        }
        other => panic!("not refused with 16: {other:?}"),
    }
}

#[test]
fn who_does_not_sign_or_signs_wrong_is_refused() {
    let guarded = Guarded::start();
    guarded.client(Some(ROOT)).create_topic("t").unwrap();
    refused(guarded.client(None).send("t"), "username cannot be null");
    refused(guarded.client(Some(("nobody", "x"))).send("t"), "User:nobody is not found");
    refused(guarded.client(Some(("root", "x"))).send("t"), "check signature failed");
    guarded.client(Some(ROOT)).send("t").unwrap();
    guarded.engine.stop().unwrap();
}

#[test]
fn a_broker_with_credentials_of_its_own_registers_and_knows_their_user() {
    let (engine, _dir) = test_support::engine(|config| {
        config.broker.authentication_enabled = true;
        config.broker.authorization_enabled = true;
        config.broker.inner_client_authentication_credentials =
            r#"{"accessKey":"inner","secretKey":"inner-secret"}"#.into();
    });
    let runtime = Runtime::new().unwrap();
    let (names, broker) = (engine.namesrv_addr(), engine.broker_addr());
    let inner = client(&runtime, names, broker, Some(("inner", "inner-secret")));
    inner.create_topic("t").unwrap();
    inner.send("t").unwrap();
    refused(client(&runtime, names, broker, None).send("t"), "username cannot be null");
    engine.stop().unwrap();
}

#[test]
fn a_user_may_do_what_its_rules_allow_and_nothing_else() {
    let guarded = Guarded::start();
    let (root, ana) = (guarded.client(Some(ROOT)), guarded.client(Some(USER)));
    root.create_topic("pay-1").unwrap();
    root.create_topic("pay-secret").unwrap();
    root.create_user(USER);
    refused(ana.send("pay-1"), "User:ana has no permission to access Topic:pay-1 from 127.0.0.1");
    root.rule("ana", "Topic:pay-*", r#""Pub""#, "Allow");
    root.rule("ana", "Topic:pay-secret", r#""All""#, "Deny");
    ana.send("pay-1").unwrap();
    refused(ana.send("pay-secret"), "the decision is deny");
    refused(ana.max_offset("pay-1"), "no matched policies");
    refused(ana.create_topic("other"), "Topic:other");
    refused(ana.ask(code::UPDATE_BROKER_CONFIG, Fields::new(), "a=b"), "Cluster:DefaultCluster");
    refused(ana.ask(code::AUTH_LIST_USER, Fields::new(), ""), "Cluster:DefaultCluster");
    guarded.engine.stop().unwrap();
}

#[test]
fn a_send_to_a_retry_topic_needs_the_group_whose_topic_it_is() {
    let guarded = Guarded::start();
    let (root, ana) = (guarded.client(Some(ROOT)), guarded.client(Some(USER)));
    root.create_user(USER);
    root.rule("ana", "Group:mine", r#""Sub""#, "Allow");
    let send = |producer: &'static str, topic: &'static str| {
        let mut fields = Fields::new().text("a", producer).text("b", topic).text("c", "TBW102");
        for (field, value) in [("d", 4), ("e", 0), ("f", 0), ("g", 0), ("h", 0), ("j", 0), ("l", 0)]
        {
            fields = fields.int(field, value);
        }
        let fields = fields.text("i", "").flag("k", false).flag("m", false);
        ana.ask(code::SEND_MESSAGE_V2, fields, "x")
    };
    send("CLIENT_INNER_PRODUCER", "%RETRY%mine").unwrap();
    refused(send("mine", "%RETRY%other"), "Group:other");
    guarded.engine.stop().unwrap();
}

#[test]
fn a_message_named_by_its_place_needs_the_right_to_its_topic() {
    let guarded = Guarded::start();
    let (root, ana) = (guarded.client(Some(ROOT)), guarded.client(Some(USER)));
    root.create_topic("secret").unwrap();
    root.send("secret").unwrap();
    root.create_user(USER);
    root.rule("ana", "Topic:mine", r#""All""#, "Allow");
    root.rule("ana", "Group:mine", r#""All""#, "Allow");
    let place = || Fields::new().int("offset", 0);
    let view = |fields| ana.ask(code::VIEW_MESSAGE_BY_ID, fields, "");
    let give_back = || {
        let fields = place().text("group", "mine").int("delayLevel", 0).text("originTopic", "mine");
        ana.ask(code::CONSUMER_SEND_MSG_BACK, fields, "")
    };
    let consume = || {
        let id = engine::protocol::ids::offset_id(guarded.engine.broker_addr(), 0);
        let fields = Fields::new().text("consumerGroup", "mine").text("clientId", "c");
        ana.ask(code::CONSUME_MESSAGE_DIRECTLY, fields.text("msgId", id), "")
    };
    refused(view(place()), "Topic:secret");
    refused(view(place().text("topic", "mine")), "Topic:secret");
    refused(give_back(), "Topic:secret");
    refused(consume(), "Topic:secret");
    root.rule("ana", "Topic:secret", r#""Get""#, "Allow");
    view(place()).unwrap();
    refused(give_back(), "Topic:secret");
    root.rule("ana", "Topic:secret", r#""Sub""#, "Allow");
    give_back().unwrap();
    refused(view(place()), "Topic:secret");
    guarded.engine.stop().unwrap();
}

#[test]
fn a_disabled_user_is_refused_and_a_deleted_one_is_unknown() {
    let guarded = Guarded::start();
    let (root, ana) = (guarded.client(Some(ROOT)), guarded.client(Some(USER)));
    root.create_topic("t").unwrap();
    root.create_user(USER);
    root.rule("ana", "*", r#""All""#, "Allow");
    ana.send("t").unwrap();
    let name = || Fields::new().text("username", "ana");
    root.ask(code::AUTH_UPDATE_USER, name(), r#"{"userStatus":"disable"}"#).unwrap();
    refused(ana.send("t"), "User:ana is disabled");
    root.ask(code::AUTH_UPDATE_USER, name(), r#"{"userStatus":"enable"}"#).unwrap();
    ana.send("t").unwrap();
    root.ask(code::AUTH_DELETE_USER, name(), "").unwrap();
    refused(ana.send("t"), "User:ana is not found");
    guarded.engine.stop().unwrap();
}

#[test]
fn only_super_users_see_passwords_and_make_super_users() {
    let guarded = Guarded::start();
    let (root, ana) = (guarded.client(Some(ROOT)), guarded.client(Some(USER)));
    root.create_user(USER);
    root.rule("ana", "Cluster:*", r#""All""#, "Allow");
    let list = |client: &Client<'_>| {
        let answer = client.ask(code::AUTH_LIST_USER, Fields::new(), "").unwrap();
        String::from_utf8(answer.body.to_vec()).unwrap()
    };
    assert!(list(&root).contains("ana-secret"));
    assert!(list(&ana).contains("\"root\"") && !list(&ana).contains("secret"));
    let name = Fields::new().text("username", "eve");
    let made = ana.ask(code::AUTH_CREATE_USER, name, r#"{"password":"p","userType":"Super"}"#);
    assert!(matches!(made, Err(ClientError::Refused { code: 1, .. })), "{made:?}");
    let super_user = || Fields::new().text("username", "root");
    refused(ana.ask(code::AUTH_DELETE_USER, super_user(), ""), "by super user");
    let password = ana.ask(code::AUTH_UPDATE_USER, super_user(), r#"{"password":"p"}"#);
    refused(password, "by super user");
    let nobody = Fields::new().text("username", " ");
    refused(root.ask(code::AUTH_DELETE_USER, nobody, ""), "username can not be blank");
    guarded.engine.stop().unwrap();
}

#[test]
fn an_answered_change_of_users_survives_a_kill_and_only_the_owner_can_read_it() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("access.toml");
    std::fs::write(
        &file,
        "[broker]\nauthenticationEnabled = true\nauthorizationEnabled = true\n\
         initAuthenticationUser = '{\"username\":\"root\",\"password\":\"root-secret\"}'\n",
    )
    .unwrap();
    let data = home.path().join("queues");
    let args = ["--config", file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    let runtime = Runtime::new().unwrap();
    let serve = Serve::start(home.path(), &args);
    let root = client(&runtime, serve.namesrv, serve.broker, Some(ROOT));
    root.create_topic("t").unwrap();
    root.create_user(USER);
    root.rule("ana", "Topic:t", r#""Pub""#, "Allow");
    serve.signal(Signal::KILL);
    serve.end();
    let mode =
        std::fs::metadata(data.join("config/mqdeckAccess.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let serve = Serve::start(home.path(), &args);
    let ana = client(&runtime, serve.namesrv, serve.broker, Some(USER));
    ana.send("t").unwrap();
    refused(ana.create_topic("u"), "Topic:u");
    let shown = test_support::run(home.path(), &["config", "show", "--config", args[1]]);
    assert!(shown.out.contains("initAuthenticationUser = \"•••\""), "{}", shown.out);
    assert!(!shown.out.contains("root-secret"));
}
