//! ★ `Cluster`: the handle through which everybody asks a cluster, embedded or remote.
//!
//! Keeps one connection an address and chooses name servers; knows requests only by code. What they
//! mean is in `admin`, `producer`, `push_consumer` and their like. Rules: remoting.md §4–§8, admin.md §1.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::error::ClientError;
use super::inbound::{Inbound, PushHandler};
use super::link::{Age, Link};
use super::read_only::{self, Access};
use super::route_cache::RouteCache;
use crate::clock::{Clock, SystemClock};
use crate::net::{CallError, Connection, Service, tls};
use crate::protocol::ext_fields::{ExtFields, FieldError, Fields};
use crate::protocol::frame::Serialization;
use crate::protocol::header::{FLAG_ONEWAY, Language, Outgoing};
use crate::protocol::ids::UniqueKeys;
use crate::protocol::signature::Credentials;
use crate::protocol::{json_dialect, response_code};

/// How long a call waits unless it says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// How to reach a cluster.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Name servers as `host:port`.
    pub namesrv: Vec<String>,
    /// Advertised address (or host alone) → what to dial instead.
    pub address_map: BTreeMap<String, String>,
    /// Refuse what writes before it is sent.
    pub read_only: bool,
    /// Who signs the requests; none: they are not signed.
    pub credentials: Option<Credentials>,
    /// TLS towards every server; none: plain.
    pub tls: Option<tls::Client>,
    /// How long a call waits unless it says otherwise.
    pub timeout: Duration,
    /// Part of the client id after the `@`.
    pub name: String,
    /// The runtime of sockets, timers and listeners.
    pub handle: Handle,
}

impl ClusterConfig {
    /// A writing session with default time-outs.
    pub fn new(namesrv: Vec<String>, handle: Handle) -> Self {
        Self {
            namesrv,
            address_map: BTreeMap::new(),
            read_only: false,
            credentials: None,
            tls: None,
            timeout: DEFAULT_TIMEOUT,
            name: "mqdeck".to_owned(),
            handle,
        }
    }
}

/// One request, apart from whom it goes to.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Request code.
    pub code: i32,
    /// Header fields.
    pub fields: Fields,
    /// Body; empty for none.
    pub body: Bytes,
    /// How long to wait; none: as the cluster is configured.
    pub wait: Option<Duration>,
}

impl Ask {
    /// A request without body.
    pub fn new(code: i32, fields: impl Into<Fields>) -> Self {
        Self { code, fields: fields.into(), body: Bytes::new(), wait: None }
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with a time-out of its own.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }
}

/// One answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// Who answered.
    pub addr: String,
    /// What was asked.
    pub request: i32,
    /// Response code.
    pub code: i32,
    /// Its text.
    pub remark: String,
    /// Header fields.
    pub ext: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
    /// Wire version of the peer.
    pub version: i32,
    /// Language of the peer.
    pub language: Language,
}

impl Response {
    /// The answer itself when its code is success.
    pub fn success(self) -> Result<Self, ClientError> {
        if self.code == response_code::SUCCESS { Ok(self) } else { Err(self.refusal()) }
    }

    /// The answer as a refusal.
    pub fn refusal(&self) -> ClientError {
        ClientError::Refused {
            addr: self.addr.clone(),
            code: self.code,
            remark: self.remark.clone(),
        }
    }

    /// The error of an answer that does not read.
    pub fn malformed(&self, what: impl Into<String>) -> ClientError {
        ClientError::Malformed { addr: self.addr.clone(), code: self.request, what: what.into() }
    }

    /// The value of a header field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.ext.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Reads the header fields as a type of `protocol::request`.
    pub fn header<T>(
        &self,
        read: impl FnOnce(&ExtFields<'_>) -> Result<T, FieldError>,
    ) -> Result<T, ClientError> {
        let mut ext = ExtFields::default();
        for (key, value) in &self.ext {
            if !ext.push(key.as_str().into(), value.as_str().into()) {
                break;
            }
        }
        read(&ext).map_err(|error| self.malformed(error.to_string()))
    }

    /// Reads the body in either JSON dialect.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        json_dialect::from_slice(&self.body).map_err(|error| self.malformed(error.to_string()))
    }
}

static NEXT_CLIENT: AtomicU32 = AtomicU32::new(0);

/// A cluster, by its name servers. Cheap to share; closes its connections with its last owner.
pub struct Cluster {
    config: ClusterConfig,
    client_id: String,
    clock: SystemClock,
    unique_keys: UniqueKeys,
    links: Mutex<HashMap<String, Arc<Link>>>,
    namesrv_at: AtomicUsize,
    requests: AtomicU64,
    handlers: Mutex<HashMap<String, Weak<dyn PushHandler>>>,
    service: Arc<dyn Service>,
    pub(super) routes: RouteCache,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("namesrv", &self.config.namesrv)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    /// The handle of a cluster. Never waits: connections are made when something is asked.
    pub fn connect(config: ClusterConfig) -> Arc<Self> {
        let clock = SystemClock::new();
        let number = NEXT_CLIENT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let ip = local_ip(&config.namesrv);
        let seed = (clock.wall_ms() as u32).rotate_left(8) ^ number;
        let local_ahead_s = chrono::Local::now().offset().local_minus_utc();
        Arc::new_cyclic(|me| Self {
            client_id: format!("{ip}@{}#{process}#{number}", config.name),
            unique_keys: UniqueKeys::new(ip, process, seed, local_ahead_s),
            config,
            clock,
            links: Mutex::default(),
            namesrv_at: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            handlers: Mutex::default(),
            service: Arc::new(Inbound::new(Weak::clone(me))),
            routes: RouteCache::default(),
        })
    }

    /// The id under which this client registers.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The configuration.
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// The runtime of all that this client does by itself.
    pub fn handle(&self) -> &Handle {
        &self.config.handle
    }

    /// Wall time of this machine, ms.
    pub fn now_ms(&self) -> i64 {
        self.clock.wall_ms()
    }

    /// A new unique key.
    pub fn unique_key(&self) -> String {
        self.unique_keys.next(self.now_ms())
    }

    /// Requests sent so far, for budgets.
    pub fn requests_sent(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Wire version of the peer at this address, once it answered something.
    pub fn version_of(&self, addr: &str) -> Option<i32> {
        lock(&self.links).get(addr).and_then(|link| link.version())
    }

    /// Asks and waits for the answer, whatever its code.
    ///
    /// # Errors
    /// Every [`ClientError`] but `Refused`.
    pub async fn call(&self, addr: &str, ask: Ask) -> Result<Response, ClientError> {
        let access = self.permit(&ask)?;
        let wait = ask.wait.unwrap_or(self.config.timeout);
        let deadline = Instant::now() + wait;
        let mut tries = 0;
        loop {
            tries += 1;
            let (link, conn, age) = self.reach(addr, &ask, deadline, wait).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            let fields = self.signed(ask.fields.clone(), &ask.body);
            let request = Outgoing::request(ask.code, 0, fields, ask.body.clone());
            self.requests.fetch_add(1, Ordering::Relaxed);
            match conn.call(request, left).await {
                Ok(frame) => return received(&link, addr, ask.code, &frame),
                // The peer may have closed an idle connection a moment ago; a question can be repeated.
                Err(CallError::Closed(_))
                    if age == Age::Reused && access == Access::Reads && tries == 1 => {}
                Err(CallError::Closed(_)) => {
                    return Err(ClientError::Lost { addr: addr.to_owned() });
                }
                Err(CallError::TimeOut { .. }) => {
                    link.silent();
                    return Err(time_out(addr, ask.code, wait));
                }
                Err(error @ CallError::Full(_)) => {
                    return Err(unreachable(addr, error.to_string(), None));
                }
            }
        }
    }

    /// The fields of a request with who sends it and the signature.
    fn signed(&self, mut fields: Fields, body: &[u8]) -> Fields {
        if let Some(credentials) = &self.config.credentials {
            credentials.sign(&mut fields, body);
        }
        fields
    }

    /// Asks and waits for success.
    ///
    /// # Errors
    /// Every [`ClientError`]; an answer with another code is `Refused`.
    pub async fn ask(&self, addr: &str, ask: Ask) -> Result<Response, ClientError> {
        self.call(addr, ask).await?.success()
    }

    /// Sends a request that nobody answers. Lost without a word when the connection breaks.
    ///
    /// # Errors
    /// When nothing could be sent.
    pub async fn tell(&self, addr: &str, ask: Ask) -> Result<(), ClientError> {
        self.permit(&ask)?;
        let wait = ask.wait.unwrap_or(self.config.timeout);
        let (_, conn, _) = self.reach(addr, &ask, Instant::now() + wait, wait).await?;
        let fields = self.signed(ask.fields, &ask.body);
        let mut request = Outgoing::request(ask.code, conn.next_opaque(), fields, ask.body);
        request.flag = FLAG_ONEWAY;
        self.requests.fetch_add(1, Ordering::Relaxed);
        conn.send(&request, Serialization::Json);
        Ok(())
    }

    /// Asks a name server: the one that answered last, on failure of the way there the next.
    ///
    /// # Errors
    /// The error of the last one tried, when none could be reached; else as [`Self::call`].
    pub async fn call_namesrv(&self, ask: Ask) -> Result<Response, ClientError> {
        let count = self.config.namesrv.len();
        let start = self.namesrv_at.load(Ordering::Relaxed);
        let mut failure = ClientError::NoNameServer;
        for step in 0..count {
            let at = (start + step) % count;
            match self.call(&self.config.namesrv[at], ask.clone()).await {
                Err(error) if error.is_transport() => failure = error,
                answer => {
                    self.namesrv_at.store(at, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(failure)
    }

    /// Asks a name server and waits for success.
    ///
    /// # Errors
    /// As [`Self::call_namesrv`], and `Refused`.
    pub async fn ask_namesrv(&self, ask: Ask) -> Result<Response, ClientError> {
        self.call_namesrv(ask).await?.success()
    }

    /// Asks every name server, for what must reach all of them; one result each.
    pub async fn ask_every_namesrv(
        &self,
        ask: &Ask,
    ) -> Vec<(String, Result<Response, ClientError>)> {
        let mut results = Vec::new();
        for addr in &self.config.namesrv {
            results.push((addr.clone(), self.ask(addr, ask.clone()).await));
        }
        results
    }

    /// Closes all connections. Later calls make new ones.
    pub fn close(&self) {
        for link in lock(&self.links).values() {
            link.close();
        }
    }

    /// Whom a broker's requests about a group go to. False when the group has a handler already.
    pub(super) fn register(&self, group: &str, handler: Weak<dyn PushHandler>) -> bool {
        let mut handlers = lock(&self.handlers);
        if handlers.get(group).is_some_and(|known| known.strong_count() > 0) {
            return false;
        }
        handlers.insert(group.to_owned(), handler);
        true
    }

    pub(super) fn deregister(&self, group: &str) {
        lock(&self.handlers).remove(group);
    }

    pub(super) fn handler(&self, group: &str) -> Option<Arc<dyn PushHandler>> {
        lock(&self.handlers).get(group).and_then(Weak::upgrade)
    }

    fn permit(&self, ask: &Ask) -> Result<Access, ClientError> {
        let access = read_only::classify(ask.code, &ask.fields, &self.client_id);
        if self.config.read_only && access == Access::Writes {
            return Err(ClientError::ReadOnly { code: ask.code });
        }
        Ok(access)
    }

    fn link(&self, addr: &str) -> Arc<Link> {
        let mut links = lock(&self.links);
        if let Some(link) = links.get(addr) {
            return Arc::clone(link);
        }
        let link = Arc::new(Link::new(mapped(&self.config.address_map, addr)));
        links.insert(addr.to_owned(), Arc::clone(&link));
        link
    }

    async fn reach(
        &self,
        addr: &str,
        ask: &Ask,
        deadline: Instant,
        wait: Duration,
    ) -> Result<(Arc<Link>, Arc<Connection>, Age), ClientError> {
        let link = self.link(addr);
        let made = link.get(self.handle(), Arc::clone(&self.service), self.config.tls.as_ref());
        match tokio::time::timeout_at(deadline, made).await {
            Ok(Ok((conn, age))) => Ok((link, conn, age)),
            Ok(Err(reason)) => Err(unreachable(addr, reason, self.hint(addr))),
            Err(_) => Err(time_out(addr, ask.code, wait)),
        }
    }

    /// What may help when an address that a broker advertises does not work from here.
    fn hint(&self, addr: &str) -> Option<String> {
        if self.config.address_map.contains_key(addr) {
            return None;
        }
        hint(addr, &self.config.namesrv)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.close();
    }
}

fn received(
    link: &Link,
    addr: &str,
    request: i32,
    frame: &crate::protocol::frame::Frame,
) -> Result<Response, ClientError> {
    let header = frame.decode().map_err(|error| ClientError::Malformed {
        addr: addr.to_owned(),
        code: request,
        what: error.to_string(),
    })?;
    link.heard(header.version);
    Ok(Response {
        addr: addr.to_owned(),
        request,
        code: header.code,
        remark: header.remark.as_deref().unwrap_or_default().to_owned(),
        ext: header.ext.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        body: frame.body.clone(),
        version: header.version,
        language: header.language,
    })
}

fn time_out(addr: &str, code: i32, wait: Duration) -> ClientError {
    ClientError::TimeOut { addr: addr.to_owned(), code, ms: wait.as_millis() as u64 }
}

fn unreachable(addr: &str, reason: String, hint: Option<String>) -> ClientError {
    ClientError::Unreachable { addr: addr.to_owned(), reason, hint }
}

/// What to dial for an address: its own entry, else its host's entry with the same port.
fn mapped(map: &BTreeMap<String, String>, addr: &str) -> String {
    if let Some(target) = map.get(addr) {
        return target.clone();
    }
    match addr.rsplit_once(':').and_then(|(host, port)| Some((map.get(host)?, port))) {
        Some((host, port)) => format!("{host}:{port}"),
        None => addr.to_owned(),
    }
}

/// A broker on the host of a name server is just down; elsewhere its address may be the fault.
fn hint(addr: &str, namesrv: &[String]) -> Option<String> {
    let host = |addr: &str| addr.rsplit_once(':').map_or(addr, |(host, _)| host).to_owned();
    if namesrv.iter().any(|known| host(known) == host(addr)) {
        return None;
    }
    let remote = namesrv.iter().all(|known| !is_loopback(known));
    Some(if remote && is_loopback(addr) {
        format!("the broker advertises {addr}, which is this machine; map it to a reachable one")
    } else {
        format!("the broker advertises {addr}; if it is reached elsewhere, map that address")
    })
}

fn is_loopback(addr: &str) -> bool {
    match addr.parse::<SocketAddr>() {
        Ok(addr) => addr.ip().is_loopback(),
        Err(_) => addr.starts_with("localhost:"),
    }
}

/// The address from which this machine would speak to the first name server; nothing is sent.
fn local_ip(namesrv: &[String]) -> IpAddr {
    let route = || {
        let target: SocketAddr = namesrv.first()?.parse().ok()?;
        let any: IpAddr = if target.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            std::net::Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(target).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    route().unwrap_or(Ipv4Addr::LOCALHOST.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_mapped_whole_or_by_its_host() {
        let map = BTreeMap::from([
            ("10.0.0.1:10911".to_owned(), "localhost:1".to_owned()),
            ("10.0.0.2".to_owned(), "gate".to_owned()),
        ]);
        assert_eq!(mapped(&map, "10.0.0.1:10911"), "localhost:1");
        assert_eq!(mapped(&map, "10.0.0.1:10909"), "10.0.0.1:10909");
        assert_eq!(mapped(&map, "10.0.0.2:10911"), "gate:10911");
    }

    #[test]
    fn only_an_address_that_may_be_the_fault_gets_a_hint() {
        let far = ["10.0.0.9:9876".to_owned()];
        let near = ["127.0.0.1:9876".to_owned()];
        assert_eq!(hint("10.0.0.9:10911", &far), None);
        assert_eq!(hint("127.0.0.1:10911", &near), None);
        assert!(hint("127.0.0.1:10911", &far).is_some_and(|text| text.contains("this machine")));
        assert!(hint("172.17.0.2:10911", &near).is_some_and(|text| text.contains("elsewhere")));
    }

    #[tokio::test]
    async fn a_read_only_session_sends_nothing_that_writes() {
        let mut config = ClusterConfig::new(vec!["127.0.0.1:1".into()], Handle::current());
        config.read_only = true;
        let cluster = Cluster::connect(config);
        let refused = cluster.call("127.0.0.1:1", Ask::new(15, Fields::new())).await.unwrap_err();
        assert_eq!(refused, ClientError::ReadOnly { code: 15 });
        assert_eq!(cluster.requests_sent(), 0);
    }

    #[tokio::test]
    async fn a_dead_name_server_is_named_and_a_missing_one_too() {
        // The listener reserves the port and is gone before it is dialled.
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = ClusterConfig::new(vec![gone.to_string()], Handle::current());
        let error = Cluster::connect(config).call_namesrv(Ask::new(106, Fields::new())).await;
        assert!(matches!(error, Err(ClientError::Unreachable { hint: None, .. })), "{error:?}");
        let none = Cluster::connect(ClusterConfig::new(Vec::new(), Handle::current()));
        let error = none.call_namesrv(Ask::new(106, Fields::new())).await.unwrap_err();
        assert_eq!(error, ClientError::NoNameServer);
    }
}
