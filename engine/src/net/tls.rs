//! TLS on listeners and towards servers: certificates, modes, and what the first byte says (semantics.md §22).
//!
//! Nothing is trusted that was not configured: no certificate is made up, no peer is taken on faith. Built with
//! feature `tls`; `no_tls.rs` stands in for it otherwise.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::stream::Stream;
use super::tls_error::TlsError;
use crate::config::{ClientAuth, ClientFiles, Mode, ServerFiles};

/// First byte of a TLS handshake record; no length of a frame begins with it.
const HANDSHAKE: u8 = 0x16;

/// What a listener does with TLS. Its certificates can be exchanged while it runs.
pub struct Server {
    files: ServerFiles,
    current: ArcSwap<Loaded>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    chain: Vec<CertificateDer<'static>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Server {
    /// Reads certificates and key.
    ///
    /// # Errors
    /// A file that cannot be read, or does not hold what it should.
    pub fn load(files: ServerFiles) -> Result<Arc<Self>, TlsError> {
        let current = ArcSwap::from_pointee(read(&files)?);
        Ok(Arc::new(Self { files, current }))
    }

    /// The files that it was read from.
    pub fn files(&self) -> &ServerFiles {
        &self.files
    }

    /// Reads the files again; connections that are open go on as they are.
    ///
    /// # Errors
    /// What is wrong with the new files; the old certificates stay in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(read(&self.files)?));
        Ok(())
    }

    /// Looks at the first byte of a connection and makes it what its peer wants it to be.
    ///
    /// # Errors
    /// A plain peer where TLS is enforced, or a handshake that fails.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<Stream> {
        let mut first = [0];
        let there = stream.peek(&mut first).await?;
        if there == 1 && first[0] == HANDSHAKE {
            let config = Arc::clone(&self.current.load().config);
            let stream = TlsAcceptor::from(config).accept(stream).await?;
            return Ok(Stream::Tls(Box::new(stream.into())));
        }
        match self.files.mode {
            Mode::Enforcing => {
                Err(std::io::Error::other("a plain connection where TLS is enforced"))
            }
            Mode::Permissive => Ok(Stream::Plain(stream)),
        }
    }

    /// A client that trusts exactly this server and shows its certificate: how a process reaches itself.
    ///
    /// # Errors
    /// When the key cannot be read again.
    pub fn to_itself(self: &Arc<Self>) -> Result<Client, TlsError> {
        let provider = provider();
        let pin = Pinned { server: Arc::clone(self), provider: Arc::clone(&provider) };
        let builder = versions(ClientConfig::builder_with_provider(provider))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pin));
        let chain = self.current.load().chain.clone();
        let config = builder
            .with_client_auth_cert(chain, key(&self.files.key)?)
            .map_err(|error| TlsError::unusable(&self.files.key, &error))?;
        Ok(Client { connector: TlsConnector::from(Arc::new(config)), name: None })
    }
}

/// What a client does with TLS.
#[derive(Clone)]
pub struct Client {
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Client {
    /// Reads what is trusted and, when there is one, the client's own certificate.
    ///
    /// # Errors
    /// A file that cannot be read, or does not hold what it should; a name that is none.
    pub fn load(files: &ClientFiles) -> Result<Self, TlsError> {
        let roots = roots(&files.trust)?;
        let builder = versions(ClientConfig::builder_with_provider(provider()))?;
        let builder = builder.with_root_certificates(roots);
        let config = match &files.own {
            None => builder.with_no_client_auth(),
            Some((cert, key_file)) => builder
                .with_client_auth_cert(chain(cert)?, key(key_file)?)
                .map_err(|error| TlsError::unusable(key_file, &error))?,
        };
        let name = files.server_name.as_ref().map(|name| {
            ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name.clone()))
        });
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name: name.transpose()? })
    }

    /// Makes a connection to `addr`, `host:port`, one with TLS.
    ///
    /// # Errors
    /// When the handshake fails: usually the peer is not who it should be.
    pub async fn connect(&self, addr: &str, stream: TcpStream) -> std::io::Result<Stream> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => server_name(addr, &stream)?,
        };
        let stream = self.connector.connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }
}

/// The name that a peer has to prove: its host as it was dialled, else its address.
fn server_name(addr: &str, stream: &TcpStream) -> std::io::Result<ServerName<'static>> {
    let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(name) = ServerName::try_from(host.to_owned()) {
        return Ok(name);
    }
    let ip: IpAddr = stream.peer_addr()?.ip();
    Ok(ServerName::from(ip))
}

/// Trusts the certificate that a server of this process shows now, and no other.
#[derive(Debug)]
struct Pinned {
    server: Arc<Server>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.server.current.load().chain.first() == Some(shown) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("not the certificate of this process".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn versions<S: rustls::ConfigSide>(
    builder: rustls::ConfigBuilder<S, rustls::WantsVersions>,
) -> Result<rustls::ConfigBuilder<S, rustls::WantsVerifier>, TlsError> {
    builder
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.to_string()))
}

fn read(files: &ServerFiles) -> Result<Loaded, TlsError> {
    let builder = versions(ServerConfig::builder_with_provider(provider()))?;
    let builder = match (files.client_auth, &files.trust) {
        (ClientAuth::None, _) | (_, None) => builder.with_no_client_auth(),
        (wanted, Some(trust)) => {
            let roots = Arc::new(roots(trust)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            let verifier = match wanted {
                ClientAuth::Optional => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            let verifier = verifier.build();
            builder.with_client_cert_verifier(
                verifier.map_err(|error| TlsError::unusable(trust, &error))?,
            )
        }
    };
    let chain = chain(&files.cert)?;
    let config = builder
        .with_single_cert(chain.clone(), key(&files.key)?)
        .map_err(|error| TlsError::unusable(&files.key, &error))?;
    Ok(Loaded { config: Arc::new(config), chain })
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = read.map_err(|error| TlsError::unusable(path, &error))?;
    if chain.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned(), what: "certificate" });
    }
    Ok(chain)
}

fn key(path: &PathBuf) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::unusable(path, &error))
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(path)? {
        roots.add(certificate).map_err(|error| TlsError::unusable(path, &error))?;
    }
    Ok(roots)
}
