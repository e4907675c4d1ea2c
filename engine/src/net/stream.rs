//! The bytes of a connection: plain TCP, or TLS over it.
//!
//! Plain comes first everywhere: it reads once and writes once for a batch, as if there were no TLS.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::net::TcpStream;

/// A connected socket that can carry frames.
#[derive(Debug)]
pub enum Stream {
    /// As the peer sent it.
    Plain(TcpStream),
    /// Encrypted, and certain of the peer as far as it was asked to be.
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::TlsStream<TcpStream>>),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Plain(stream)
    }
}

impl Stream {
    /// Reads into the room that `buffer` has; 0 bytes at the end of the stream.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        use std::future::Future as _;
        match self {
            Self::Plain(stream) => pin!(stream.read_buf(buffer)).poll(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => pin!(stream.read_buf(buffer)).poll(cx),
        }
    }

    /// Writes some of the slices; pending when the socket takes nothing now.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => match stream.try_write_vectored(slices) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    match stream.poll_write_ready(cx) {
                        // Ready in this very moment: the caller comes again.
                        Poll::Ready(Ok(())) => Poll::Ready(Ok(0)),
                        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                        Poll::Pending => Poll::Pending,
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => Poll::Ready(Ok(0)),
                written => Poll::Ready(written),
            },
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(cx, slices),
        }
    }

    /// Hands on what was written and is kept back; plain sockets keep nothing.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }
}
