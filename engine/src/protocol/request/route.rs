//! What clients and tools ask a name server (remoting.md §11.8).

request! {
    /// The route of a topic.
    pub struct RouteOf<'a> {
        topic: &'a str = "topic",
        standard_json: Option<bool> = "acceptStandardJsonOnly",
    }

    /// A topic.
    pub struct TopicOf<'a> {
        topic: &'a str = "topic",
    }

    /// A topic whose route goes, of one cluster or of all.
    pub struct DeleteRoute<'a> {
        topic: &'a str = "topic",
        cluster: Option<&'a str> = "clusterName",
    }

    /// A cluster.
    pub struct ClusterOf<'a> {
        cluster: &'a str = "cluster",
    }

    /// A broker name.
    pub struct BrokerOf<'a> {
        broker_name: &'a str = "brokerName",
    }

    /// A broker name within its cluster.
    pub struct MemberGroup<'a> {
        cluster_name: &'a str = "clusterName",
        broker_name: &'a str = "brokerName",
    }

    /// Sets a value.
    pub struct PutKv<'a> {
        namespace: &'a str = "namespace",
        key: &'a str = "key",
        value: &'a str = "value",
    }

    /// A key of a namespace.
    pub struct KvKey<'a> {
        namespace: &'a str = "namespace",
        key: &'a str = "key",
    }

    /// A value as answer.
    pub struct KvResponse {
        value: Option<String> = "value",
    }

    /// A namespace.
    pub struct NamespaceOf<'a> {
        namespace: &'a str = "namespace",
    }
}
