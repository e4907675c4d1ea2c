//! TLS as clients meet it: both kinds of connections, one of them, new certificates while it runs.

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // certificates are real files

mod test_support;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::client::{Ask, ClientError, Cluster, ClusterConfig, TlsClient};
use engine::config::{ClientAuth, ClientFiles, Mode, ServerFiles};
use engine::engine::Engine;
use engine::protocol::code::GET_BROKER_RUNTIME_INFO;
use engine::protocol::ext_fields::Fields;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use test_support::{run, wait_for};

/// Someone who signs certificates, and their files.
struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { dir, issuer: Issuer::new(params, key) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Signs a certificate for these hosts and writes it and its key.
    fn sign(&self, name: &str, hosts: &[&str]) -> (PathBuf, PathBuf) {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let key = KeyPair::generate().unwrap();
        let signed = CertificateParams::new(hosts).unwrap().signed_by(&key, &self.issuer).unwrap();
        let (cert_path, key_path) = (self.path(name), self.path(&format!("{name}.key")));
        fs::write(&cert_path, signed.pem()).unwrap();
        fs::write(&key_path, key.serialize_pem()).unwrap();
        (cert_path, key_path)
    }

    fn server(&self, mode: Mode) -> ServerFiles {
        let (cert, key) = self.sign("server.pem", &["127.0.0.1", "localhost"]);
        ServerFiles { mode, cert, key, client_auth: ClientAuth::None, trust: None }
    }

    fn client(&self, own: Option<(PathBuf, PathBuf)>) -> TlsClient {
        let trust = self.path("ca.pem");
        TlsClient::load(&ClientFiles { trust, own, server_name: None }).unwrap()
    }
}

fn engine(files: ServerFiles) -> (Engine, TempDir) {
    test_support::engine(|config| config.tls = Some(files))
}

/// A question to name server and broker, over new connections.
fn ask(engine: &Engine, runtime: &Runtime, tls: Option<TlsClient>) -> Result<(), ClientError> {
    let namesrv = engine.namesrv_addr().to_string();
    let mut config = ClusterConfig::new(vec![namesrv], runtime.handle().clone());
    config.tls = tls;
    let cluster: Arc<Cluster> = Cluster::connect(config);
    runtime.block_on(async {
        let info = cluster.cluster_info().await?;
        let broker: SocketAddr = engine.broker_addr();
        assert!(!info.broker_addr_table.is_empty());
        let about = Ask::new(GET_BROKER_RUNTIME_INFO, Fields::new());
        cluster.ask(&broker.to_string(), about).await.map(drop)
    })
}

#[test]
fn permissive_serves_both_kinds_of_connections() {
    let authority = Authority::new();
    let (engine, _dir) = engine(authority.server(Mode::Permissive));
    let runtime = Runtime::new().unwrap();
    ask(&engine, &runtime, None).unwrap();
    ask(&engine, &runtime, Some(authority.client(None))).unwrap();
    let stranger = Authority::new();
    assert!(ask(&engine, &runtime, Some(stranger.client(None))).is_err(), "not who it trusts");
    engine.stop().unwrap();
}

#[test]
fn enforcing_closes_plain_connections_and_the_broker_still_registers() {
    let authority = Authority::new();
    let (engine, _dir) = engine(authority.server(Mode::Enforcing));
    let runtime = Runtime::new().unwrap();
    assert!(ask(&engine, &runtime, None).is_err());
    ask(&engine, &runtime, Some(authority.client(None))).unwrap();
    ask(&engine, &runtime, engine.tls()).unwrap();
    engine.stop().unwrap();
}

#[test]
fn clients_show_a_certificate_where_they_have_to() {
    let authority = Authority::new();
    let mut files = authority.server(Mode::Permissive);
    files.client_auth = ClientAuth::Require;
    files.trust = Some(authority.path("ca.pem"));
    let (engine, _dir) = engine(files);
    let runtime = Runtime::new().unwrap();
    assert!(ask(&engine, &runtime, Some(authority.client(None))).is_err());
    let own = authority.sign("client.pem", &["client"]);
    ask(&engine, &runtime, Some(authority.client(Some(own)))).unwrap();
    let stranger = Authority::new().sign("client.pem", &["client"]);
    let kept = authority.client(Some(authority.sign("other.pem", &["other"])));
    drop(stranger);
    ask(&engine, &runtime, Some(kept)).unwrap();
    engine.stop().unwrap();
}

#[test]
fn new_certificates_count_without_a_restart_and_broken_ones_do_not() {
    let authority = Authority::new();
    let (engine, _dir) = engine(authority.server(Mode::Permissive));
    let runtime = Runtime::new().unwrap();
    ask(&engine, &runtime, Some(authority.client(None))).unwrap();

    fs::write(authority.path("server.pem"), "no certificate").unwrap();
    // Somebody else's certificate in the same files: seen when those who trust only the old authority are refused.
    let next = Authority::new();
    ask(&engine, &runtime, Some(authority.client(None))).unwrap();
    let (cert, key) = next.sign("server.pem", &["127.0.0.1"]);
    replace(&key, &authority.path("server.pem.key"));
    replace(&cert, &authority.path("server.pem"));
    wait_for("the new certificate", || ask(&engine, &runtime, Some(next.client(None))).is_ok());
    assert!(ask(&engine, &runtime, Some(authority.client(None))).is_err());
    engine.stop().unwrap();
}

fn replace(from: &Path, to: &Path) {
    let staged = to.with_extension("new");
    fs::copy(from, &staged).unwrap();
    fs::rename(staged, to).unwrap();
}

#[test]
fn what_is_wrong_with_the_files_is_one_sentence_and_exit_2() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("tls.toml");
    let data = home.path().join("queues");
    for (text, says) in [
        ("[tls]\nmode = \"enforcing\"\n", "enforcing needs certPath and keyPath"),
        ("[tls]\ncertPath = \"a.pem\"\n", "keyPath is needed with certPath"),
        ("[tls]\ncertPath = \"a.pem\"\nkeyPath = \"b.pem\"\n", "a.pem"),
        ("[tls]\nmode = \"sometimes\"\n", "mode"),
    ] {
        fs::write(&file, text).unwrap();
        let args =
            ["serve", "--config", file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
        let ended = run(home.path(), &args);
        assert_eq!(ended.code, Some(2), "{text}: {ended:?}");
        assert!(ended.err.contains(says) && ended.err.lines().count() == 1, "{ended:?}");
    }
}
