//! Stands in for `tls.rs` in a build without feature `tls`: whoever configures a certificate is told.

#![allow(clippy::unused_async)] // the same shape as where there is TLS

use std::convert::Infallible;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::stream::Stream;
use super::tls_error::TlsError;
use crate::config::{ClientFiles, ServerFiles};

/// A server with TLS, which this build does not have.
#[derive(Debug)]
pub struct Server(Infallible);

impl Server {
    /// Always refuses.
    ///
    /// # Errors
    /// [`TlsError::NotBuilt`].
    pub fn load(_: ServerFiles) -> Result<Arc<Self>, TlsError> {
        Err(TlsError::NotBuilt)
    }

    /// There is none.
    pub fn files(&self) -> &ServerFiles {
        match self.0 {}
    }

    /// There is none.
    pub fn reload(&self) -> Result<(), TlsError> {
        match self.0 {}
    }

    /// There is none.
    pub async fn accept(&self, _: TcpStream) -> std::io::Result<Stream> {
        match self.0 {}
    }

    /// There is none.
    pub fn to_itself(self: &Arc<Self>) -> Result<Client, TlsError> {
        match self.0 {}
    }
}

/// A client with TLS, which this build does not have.
#[derive(Clone, Debug)]
pub struct Client(Infallible);

impl Client {
    /// Always refuses.
    ///
    /// # Errors
    /// [`TlsError::NotBuilt`].
    pub fn load(_: &ClientFiles) -> Result<Self, TlsError> {
        Err(TlsError::NotBuilt)
    }

    /// There is none.
    pub async fn connect(&self, _: &str, _: TcpStream) -> std::io::Result<Stream> {
        match self.0 {}
    }
}
