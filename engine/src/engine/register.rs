//! The broker at its name servers: every ten seconds a question whether anything is new, in full only
//! after a change (architecture.md §10, remoting.md §11.9).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify, watch};

use crate::broker::Broker;
use crate::decide::permission;
use crate::namesrv::ORDER_TOPIC_NAMESPACE;
use crate::net::{Connection, Limits, Service, connection, tls};
use crate::protocol::body::register::{RegisterBrokerBody, crc};
use crate::protocol::body::route::KvTable;
use crate::protocol::body::topic_config::TopicConfigSerializeWrapper;
use crate::protocol::code::{
    GET_KVLIST_BY_NAMESPACE, QUERY_DATA_VERSION, REGISTER_BROKER, UNREGISTER_BROKER,
};
use crate::protocol::ext_fields::Fields;
use crate::protocol::frame::Frame;
use crate::protocol::header::{Language, Outgoing};
use crate::protocol::json_dialect;
use crate::protocol::perm::Perm;
use crate::protocol::request::register::{DataVersionResponse, RegisterBroker, UnregisterBroker};
use crate::protocol::request::route::NamespaceOf;
use crate::protocol::signature::Credentials;

/// Pause between questions.
const EVERY: Duration = Duration::from_secs(10);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// How long a name server may take.
const CALL_WAIT: Duration = Duration::from_secs(5);
/// How long a stop waits for its name servers.
const UNREGISTER_WAIT: Duration = Duration::from_millis(50);

/// Keeps one broker registered.
pub struct Registrar {
    broker: Arc<Broker>,
    names: Vec<NameServerLink>,
    tls: Option<tls::Client>,
    credentials: Option<Credentials>,
    change: Notify,
    registered: watch::Sender<bool>,
}

struct NameServerLink {
    addr: SocketAddr,
    conn: Mutex<Option<Arc<Connection>>>,
}

/// A name server asks a broker nothing.
struct Silent;

impl Service for Silent {
    fn batch(&self, conn: &Arc<Connection>, frames: &[Frame]) {
        for frame in frames {
            match frame.decode() {
                Ok(header) if header.is_response() => conn.answered(&header, frame),
                Ok(_) => {}
                Err(_) => conn.close(),
            }
        }
    }

    fn closed(&self, _: &Arc<Connection>) {}
}

impl Registrar {
    /// A broker and the name servers that shall know it.
    pub fn new(broker: Arc<Broker>, names: Vec<SocketAddr>, tls: Option<tls::Client>) -> Arc<Self> {
        let names = names.into_iter().map(|addr| NameServerLink { addr, conn: Mutex::new(None) });
        let names = names.collect();
        let (registered, _) = watch::channel(false);
        let change = Notify::new();
        let credentials = broker.config.inner_credentials().map(|(access_key, secret_key)| {
            Credentials { access_key, secret_key, security_token: None }
        });
        Arc::new(Self { broker, names, tls, credentials, change, registered })
    }

    /// The topic table changed: register now.
    pub fn changed(&self) {
        self.change.notify_one();
    }

    /// Waits until every name server knows the broker.
    pub async fn registered(&self) {
        // The sender lives as long as this registrar.
        let _ = self.registered.subscribe().wait_for(|registered| *registered).await;
    }

    /// Leaves every name server, without waiting long.
    pub async fn unregister(&self) {
        for link in &self.names {
            let conn = link.conn.lock().await.clone();
            if let Some(conn) = conn {
                let fields = Fields::from(self.identity());
                let request = self.request(UNREGISTER_BROKER, fields, Bytes::new());
                if conn.call(request, UNREGISTER_WAIT).await.is_err() {
                    tracing::debug!(namesrv = %link.addr, "left without an answer");
                }
                conn.close();
            }
        }
    }

    fn request(&self, code: i32, fields: Fields, body: Bytes) -> Outgoing {
        signed(self.credentials.as_ref(), code, fields, body)
    }

    fn identity(&self) -> UnregisterBroker<'_> {
        UnregisterBroker {
            broker_name: &self.broker.config.broker_name,
            broker_addr: self.broker.addr_text(),
            cluster_name: &self.broker.config.broker_cluster_name,
            broker_id: 0,
        }
    }

    async fn round(&self, handle: &Handle) -> bool {
        let mut all = true;
        for link in &self.names {
            if let Err(problem) = self.tell(handle, link).await {
                tracing::warn!(namesrv = %link.addr, problem, "cannot register");
                *link.conn.lock().await = None;
                all = false;
            }
        }
        if all {
            self.registered.send_replace(true);
        }
        all
    }

    async fn tell(&self, handle: &Handle, link: &NameServerLink) -> Result<(), String> {
        let conn = connect(handle, link, self.tls.as_ref()).await?;
        let wrapper = self.broker.topics.wrapper();
        let body = Bytes::from(json_dialect::to_vec(&wrapper.data_version));
        let question = self.request(QUERY_DATA_VERSION, Fields::from(self.identity()), body);
        let answer = call(&conn, question).await?;
        let header = answer.decode().map_err(|error| error.to_string())?;
        let changed = header.code != 0
            || DataVersionResponse::decode(&header.ext).map_or(true, |response| response.changed);
        if changed {
            self.register(&conn, wrapper).await?;
        }
        self.adopt_order(&conn).await
    }

    /// Topics that the name server lists as ordered become ordered here (semantics.md §14).
    async fn adopt_order(&self, conn: &Connection) -> Result<(), String> {
        let of = NamespaceOf { namespace: ORDER_TOPIC_NAMESPACE };
        let question = self.request(GET_KVLIST_BY_NAMESPACE, of.into(), Bytes::new());
        let answer = call(conn, question).await?;
        // Without such a list there is nothing to adopt.
        if answer.decode().is_ok_and(|header| header.code == 0)
            && let Ok(list) = json_dialect::from_slice::<KvTable>(&answer.body)
        {
            self.broker.make_ordered(list.table.keys().map(String::as_str));
        }
        Ok(())
    }

    async fn register(
        &self,
        conn: &Connection,
        wrapper: TopicConfigSerializeWrapper,
    ) -> Result<(), String> {
        let body = RegisterBrokerBody {
            topic_config_serialize_wrapper: self.narrowed(wrapper),
            ..RegisterBrokerBody::default()
        };
        let body = body.encode();
        let ha = self.broker.ha_addr_text();
        let identity = self.identity();
        let header = RegisterBroker {
            broker_name: identity.broker_name,
            broker_addr: identity.broker_addr,
            cluster_name: identity.cluster_name,
            ha_addr: Some(&ha),
            broker_id: 0,
            heartbeat_timeout_ms: None,
            acting_master: Some(false),
            compressed: Some(false),
            body_crc: Some(crc(&body)),
        };
        let request = self.request(REGISTER_BROKER, Fields::from(header), Bytes::from(body));
        let answer = call(conn, request).await?;
        let header = answer.decode().map_err(|error| error.to_string())?;
        match header.code {
            0 => Ok(()),
            code => Err(format!("refused with {code}: {}", header.remark.unwrap_or_default())),
        }
    }

    /// The broker's own rights narrow those of its topics.
    fn narrowed(&self, mut wrapper: TopicConfigSerializeWrapper) -> TopicConfigSerializeWrapper {
        for topic in wrapper.topic_config_table.values_mut() {
            topic.perm = permission::registered(Perm(topic.perm), self.broker.perm()).0;
        }
        wrapper
    }
}

/// A request, signed when there is something to sign it with.
fn signed(
    credentials: Option<&Credentials>,
    code: i32,
    mut fields: Fields,
    body: Bytes,
) -> Outgoing {
    if let Some(credentials) = credentials {
        credentials.sign(&mut fields, &body);
    }
    Outgoing::request(code, 0, fields, body)
}

async fn connect(
    handle: &Handle,
    link: &NameServerLink,
    tls: Option<&tls::Client>,
) -> Result<Arc<Connection>, String> {
    let mut held = link.conn.lock().await;
    if let Some(conn) = held.as_ref().filter(|conn| !conn.is_closed()) {
        return Ok(Arc::clone(conn));
    }
    let stream = tokio::time::timeout(CALL_WAIT, TcpStream::connect(link.addr)).await;
    let stream = stream
        .map_err(|_| "no connection in time".to_owned())?
        .map_err(|error| error.to_string())?;
    let conn = Connection::new(&stream).map_err(|error| error.to_string())?;
    let stream = match tls {
        None => stream.into(),
        Some(tls) => tokio::time::timeout(CALL_WAIT, tls.connect(&link.addr.to_string(), stream))
            .await
            .map_err(|_| "no TLS in time".to_owned())?
            .map_err(|error| format!("TLS: {error}"))?,
    };
    handle.spawn(connection::run(stream, Arc::clone(&conn), Arc::new(Silent), Limits::CLIENT));
    *held = Some(Arc::clone(&conn));
    Ok(conn)
}

async fn call(conn: &Connection, mut request: Outgoing) -> Result<Frame, String> {
    request.language = Language::JAVA;
    conn.call(request, CALL_WAIT).await.map_err(|error| error.to_string())
}

/// Registers now, after every change, and every ten seconds.
pub async fn run(registrar: Arc<Registrar>, handle: Handle, mut stop: watch::Receiver<bool>) {
    loop {
        let pause = if registrar.round(&handle).await { EVERY } else { RETRY };
        tokio::select! {
            () = registrar.change.notified() => {}
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::signature::{ACCESS_KEY, SIGNATURE};

    #[test]
    fn a_broker_signs_what_it_asks_when_it_has_credentials() {
        let inner = Credentials {
            access_key: "inner".into(),
            secret_key: "s".into(),
            security_token: None,
        };
        let names = |credentials: Option<&Credentials>| {
            let fields = Fields::new().text("brokerName", "b");
            let request = signed(credentials, REGISTER_BROKER, fields, Bytes::from_static(b"body"));
            request.fields.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(None), ["brokerName"]);
        assert_eq!(names(Some(&inner)), ["brokerName", ACCESS_KEY, SIGNATURE]);
    }
}
