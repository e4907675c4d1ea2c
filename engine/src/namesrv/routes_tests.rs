//! Laws of the route table.

use super::*;

fn table(version: i64, topics: &[&str]) -> TopicConfigSerializeWrapper {
    let config = |name: &&str| {
        let topic_name = (*name).to_owned();
        (topic_name.clone(), TopicConfig { topic_name, perm: 6, ..TopicConfig::default() })
    };
    TopicConfigSerializeWrapper {
        data_version: DataVersion { counter: version, ..DataVersion::default() },
        topic_config_table: topics.iter().map(config).collect(),
        ..TopicConfigSerializeWrapper::default()
    }
}

fn broker<'a>(id: i64, addr: &'a str, topics: &'a TopicConfigSerializeWrapper) -> Registration<'a> {
    Registration {
        cluster: "c",
        broker_name: "b",
        broker_id: id,
        addr,
        ha_addr: "ha",
        timeout_ms: None,
        acting_master: None,
        conn: 1,
        topics,
    }
}

fn register(routes: &mut Routes, broker: &Registration<'_>) -> Registered {
    routes.register(broker, Settings::default(), 0).unwrap()
}

fn route(routes: &Routes, topic: &str) -> Option<TopicRouteData> {
    routes.route(topic, Settings::default())
}

fn perm(routes: &Routes, topic: &str) -> i32 {
    route(routes, topic).unwrap().queue_datas[0].perm
}

#[test]
fn a_registered_topic_has_a_route_and_an_unknown_one_has_none() {
    let mut routes = Routes::default();
    register(&mut routes, &broker(0, "m", &table(1, &["t", "u"])));
    let found = route(&routes, "t").unwrap();
    assert_eq!(found.broker_datas[0].master(), Some("m"));
    assert_eq!(found.queue_datas[0].read_queue_nums, 16);
    assert_eq!(route(&routes, "x"), None);
    assert_eq!(routes.topic_list().topic_list.len(), 2);
    let system = routes.system_topics();
    assert_eq!(system.topic_list, BTreeSet::from(["b".to_owned(), "c".to_owned()]));
    assert_eq!(system.broker_addr.as_deref(), Some("m"));
}

#[test]
fn an_increment_may_follow_but_not_come_first() {
    let mut routes = Routes::default();
    let one = table(1, &["t"]);
    let refused = routes.register(&broker(0, "m", &one), Settings::default(), 0);
    assert_eq!(refused, Err(RegistrationError::IncrementFirst));
    assert_eq!(routes.cluster_info(), ClusterInfo::default());
    register(&mut routes, &broker(0, "m", &table(1, &["t", "u"])));
    register(&mut routes, &broker(0, "m", &table(2, &["v"])));
    for topic in ["t", "u", "v"] {
        assert!(route(&routes, topic).is_some(), "{topic}");
    }
}

#[test]
fn topics_are_replaced_only_by_another_edition() {
    let mut routes = Routes::default();
    let mut topics = table(1, &["t", "u"]);
    register(&mut routes, &broker(0, "m", &topics));
    topics.topic_config_table.get_mut("t").unwrap().perm = 4;
    register(&mut routes, &broker(0, "m", &topics));
    assert_eq!(perm(&routes, "t"), 6);
    topics.data_version.counter = 2;
    register(&mut routes, &broker(0, "m", &topics));
    assert_eq!(perm(&routes, "t"), 4);
}

#[test]
fn missing_topics_stay_unless_configured() {
    let mut routes = Routes::default();
    register(&mut routes, &broker(0, "m", &table(1, &["t", "u", "v"])));
    register(&mut routes, &broker(0, "m", &table(2, &["t", "u"])));
    assert!(route(&routes, "v").is_some());
    let drop = Settings { drop_missing_topics: true, ..Settings::default() };
    routes.register(&broker(0, "m", &table(3, &["t", "u"])), drop, 0).unwrap();
    assert!(route(&routes, "v").is_none() && route(&routes, "t").is_some());
}

#[test]
fn a_slave_adds_its_address_only_and_learns_its_master() {
    let mut routes = Routes::default();
    register(&mut routes, &broker(0, "m", &table(1, &["t", "u"])));
    let told = register(&mut routes, &broker(1, "s", &table(9, &["t", "x"])));
    assert_eq!(told.master_addr.as_deref(), Some("m"));
    assert_eq!(told.ha_addr.as_deref(), Some("ha"));
    assert!(route(&routes, "x").is_none());
    assert_eq!(route(&routes, "t").unwrap().broker_datas[0].broker_addrs.len(), 2);
}

#[test]
fn an_address_has_one_id_and_a_slave_can_become_master() {
    let mut routes = Routes::default();
    register(&mut routes, &broker(1, "s", &table(1, &["t", "u"])));
    register(&mut routes, &broker(0, "s", &table(1, &["t", "u"])));
    let group = routes.member_group("c", "b");
    assert_eq!(group.broker_addrs, BTreeMap::from([(0, "s".to_owned())]));
    assert!(route(&routes, "t").is_some());
    assert!(routes.member_group("other", "b").broker_addrs.is_empty());
}

#[test]
fn an_older_term_does_not_take_an_id_over() {
    let mut routes = Routes::default();
    let mut new = table(1, &["t", "u"]);
    new.data_version.state_version = 2;
    register(&mut routes, &broker(0, "new", &new));
    register(&mut routes, &broker(0, "old", &table(5, &["t", "u"])));
    assert_eq!(route(&routes, "t").unwrap().broker_datas[0].master(), Some("new"));
}

#[test]
fn the_last_address_takes_the_topics_along() {
    let mut routes = Routes::default();
    register(&mut routes, &broker(0, "m", &table(1, &["t", "u"])));
    register(&mut routes, &broker(1, "s", &table(1, &[])));
    routes.unregister("c", "m", "b");
    assert!(route(&routes, "t").is_some());
    routes.unregister("c", "s", "b");
    assert_eq!(route(&routes, "t"), None);
    assert_eq!(routes.cluster_info(), ClusterInfo::default());
}

#[test]
fn closed_connections_and_silence_drop_brokers() {
    let mut routes = Routes::default();
    let topics = table(1, &["t", "u"]);
    let at = |conn, now| {
        let mut routes = Routes::default();
        routes
            .register(&Registration { conn, ..broker(0, "m", &topics) }, Settings::default(), now)
            .unwrap();
        routes
    };
    assert_eq!(at(7, 0).drop_connection(8), Vec::<String>::new());
    assert_eq!(at(7, 0).drop_connection(7), ["m"]);
    assert!(!at(7, 0).any_expired(120_000) && at(7, 0).any_expired(120_001));
    let own = Registration { timeout_ms: Some(10_000), ..broker(0, "m", &topics) };
    routes.register(&own, Settings::default(), 0).unwrap();
    routes.heartbeat("c", "m", 5_000);
    assert!(routes.drop_expired(15_000).is_empty());
    assert_eq!(routes.drop_expired(15_001), ["m"]);
    assert_eq!(route(&routes, "t"), None);
}

#[test]
fn an_equal_edition_is_a_sign_of_life_and_another_is_not() {
    let mut routes = Routes::default();
    let topics = table(3, &["t", "u"]);
    let mut ask = |version: &TopicConfigSerializeWrapper, now| {
        routes.query_version("c", "m", version.data_version, now)
    };
    assert_eq!(ask(&topics, 1), (None, true));
    register(&mut routes, &broker(0, "m", &topics));
    let mut ask = |counter, now| {
        routes.query_version("c", "m", DataVersion { counter, ..DataVersion::default() }, now)
    };
    assert_eq!(ask(3, 100_000), (Some(topics.data_version), false));
    assert_eq!(ask(4, 200_000), (Some(topics.data_version), true));
    assert!(!routes.any_expired(220_000) && routes.any_expired(220_001));
}

#[test]
fn write_permission_can_be_wiped_and_given_back() {
    let mut routes = Routes::default();
    register(&mut routes, &broker(0, "m", &table(1, &["t", "u"])));
    assert_eq!((routes.wipe_write("b"), perm(&routes, "t")), (2, 4));
    assert_eq!((routes.add_write("b"), perm(&routes, "t")), (2, 6));
    assert_eq!(routes.wipe_write("unknown"), 0);
}

#[test]
fn a_topic_can_be_deleted_of_one_cluster_and_registered_by_hand() {
    let mut routes = Routes::default();
    let topics = table(1, &["t", "u"]);
    register(&mut routes, &broker(0, "m", &topics));
    register(
        &mut routes,
        &Registration { cluster: "d", broker_name: "e", ..broker(0, "n", &topics) },
    );
    assert_eq!(routes.topics_of_cluster("d").topic_list.len(), 2);
    routes.delete_topic("t", Some("c"));
    assert_eq!(route(&routes, "t").unwrap().broker_datas[0].broker_name, "e");
    routes.delete_topic("t", None);
    assert_eq!(route(&routes, "t"), None);
    let queue = |name: &str| QueueData { broker_name: name.into(), ..QueueData::default() };
    routes.register_topic("t", vec![queue("e"), queue("nobody")]).unwrap();
    assert_eq!(route(&routes, "t").unwrap().queue_datas, [queue("e")]);
}

#[test]
fn a_slave_acts_as_master_read_only_where_all_agree() {
    let mut routes = Routes::default();
    let topics = table(1, &["t", "u"]);
    let on = Settings { acting_master: true, ..Settings::default() };
    let acting = |id, addr| Registration { acting_master: Some(true), ..broker(id, addr, &topics) };
    register(&mut routes, &acting(0, "m"));
    register(&mut routes, &acting(1, "s"));
    assert_eq!(perm(&routes, "t"), 6);
    routes.unregister("c", "m", "b");
    assert_eq!(perm(&routes, "t"), 4);
    assert_eq!(routes.route("t", on).unwrap().broker_datas[0].master(), Some("s"));
    assert_eq!(route(&routes, "t").unwrap().broker_datas[0].master(), None);
}
