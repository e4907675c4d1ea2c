//! Sections `[tls]` and `[client]`: certificates and modes, under the names of Apache's `tls.properties` (semantics.md §22).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What becomes of connections with and without TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// There is no TLS, whatever else is configured.
    Disabled,
    /// Both are served, once there is a certificate.
    #[default]
    Permissive,
    /// Those without are closed.
    Enforcing,
}

/// Section `[tls]`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TlsConfig {
    /// What becomes of connections with and without TLS.
    pub mode: TlsMode,
    /// Certificate and those that signed it, PEM; unset: no TLS.
    pub cert_path: Option<PathBuf>,
    /// Its key, PEM, without a password.
    pub key_path: Option<PathBuf>,
    /// Whether clients have to show a certificate.
    pub auth_client: ClientAuth,
    /// Certificates that sign those of clients, PEM.
    pub trust_cert_path: Option<PathBuf>,
}

impl TlsConfig {
    /// The files of a server; none without TLS.
    ///
    /// # Errors
    /// The key that is missing, with why.
    pub fn server(&self) -> Result<Option<ServerFiles>, (&'static str, &'static str)> {
        let mode = match self.mode {
            TlsMode::Disabled => return Ok(None),
            TlsMode::Permissive => Mode::Permissive,
            TlsMode::Enforcing => Mode::Enforcing,
        };
        let (cert, key) = match (&self.cert_path, &self.key_path) {
            (Some(cert), Some(key)) => (cert.clone(), key.clone()),
            (None, None) if mode == Mode::Permissive => return Ok(None),
            (None, None) => return Err(("mode", "enforcing needs certPath and keyPath")),
            (None, _) => return Err(("certPath", "is needed with keyPath")),
            (_, None) => return Err(("keyPath", "is needed with certPath")),
        };
        if self.auth_client != ClientAuth::None && self.trust_cert_path.is_none() {
            return Err((
                "trustCertPath",
                "is needed with authClient: who signs the clients' certificates",
            ));
        }
        let trust = self.trust_cert_path.clone();
        Ok(Some(ServerFiles { mode, cert, key, client_auth: self.auth_client, trust }))
    }
}

/// Section `[client]`: TLS of the console towards a cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClientConfig {
    /// Certificates that sign those of the servers, PEM; unset: no TLS.
    pub trust_cert_path: Option<PathBuf>,
    /// The client's own certificate, PEM, for servers that ask for one.
    pub cert_path: Option<PathBuf>,
    /// Its key, PEM, without a password.
    pub key_path: Option<PathBuf>,
    /// Name that every server's certificate has to hold, instead of the host that is dialled.
    pub server_name: Option<String>,
}

impl ClientConfig {
    /// The files of a client; none without TLS.
    ///
    /// # Errors
    /// The key that is missing, with why.
    pub fn files(&self) -> Result<Option<ClientFiles>, (&'static str, &'static str)> {
        let own = match (&self.cert_path, &self.key_path) {
            (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
            (None, None) => None,
            (None, _) => return Err(("certPath", "is needed with keyPath")),
            (_, None) => return Err(("keyPath", "is needed with certPath")),
        };
        let Some(trust) = self.trust_cert_path.clone() else {
            return match own {
                None => Ok(None),
                Some(_) => Err(("trustCertPath", "is needed with certPath")),
            };
        };
        Ok(Some(ClientFiles { trust, own, server_name: self.server_name.clone() }))
    }
}

/// What becomes of connections without TLS where there is a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// They are served as well.
    Permissive,
    /// They are closed.
    Enforcing,
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They are asked; one that is shown has to be good.
    Optional,
    /// They have to.
    Require,
}

/// Files of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerFiles {
    /// What becomes of plain connections.
    pub mode: Mode,
    /// Certificate and those that signed it, PEM.
    pub cert: PathBuf,
    /// Its key, PEM, without a password.
    pub key: PathBuf,
    /// Whether clients show a certificate.
    pub client_auth: ClientAuth,
    /// Certificates that sign those of clients, PEM.
    pub trust: Option<PathBuf>,
}

impl ServerFiles {
    /// All of them, to see whether one has changed.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.cert), Some(&self.key), self.trust.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }
}

/// Files of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientFiles {
    /// Certificates that sign those of servers, PEM.
    pub trust: PathBuf,
    /// The client's own certificate and key, for servers that ask for one.
    pub own: Option<(PathBuf, PathBuf)>,
    /// Name that every server has to prove, instead of the host that is dialled.
    pub server_name: Option<String>,
}
