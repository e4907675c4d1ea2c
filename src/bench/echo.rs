//! `bench echo`: a bare TCP server that answers every send with success and does nothing else.
//!
//! What it costs is what sockets cost: the price that no broker with these frames can go below.

use std::time::Duration;

use anyhow::Context as _;
use bytes::{Buf as _, BytesMut};
use engine::protocol::ext_fields::Fields;
use engine::protocol::frame::Serialization;
use engine::protocol::header::Outgoing;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::wire::OPAQUE_KEY;
use crate::output;

/// Digits of the opaque in the answer; the requests of a load have nine.
const OPAQUE: &str = "100000000";

/// Serves on a free port, which it prints, until the time is up.
pub async fn run(seconds: u64) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    output::print(&format!("ready broker={}\n", listener.local_addr()?))?;
    let mut connections = tokio::task::JoinSet::new();
    let serve = async {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            connections.spawn(connection(stream));
        }
    };
    tokio::time::timeout(Duration::from_secs(seconds), serve).await.unwrap_or(anyhow::Ok(()))
}

async fn connection(mut stream: TcpStream) -> anyhow::Result<()> {
    let (answer, opaque_at) = answer()?;
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    let mut out = Vec::new();
    while stream.read_buf(&mut buffer).await? > 0 {
        out.clear();
        while let Some(len) = buffer.get(..4) {
            let len = u32::from_be_bytes([len[0], len[1], len[2], len[3]]) as usize + 4;
            let Some(frame) = buffer.get(..len) else { break };
            let start = out.len();
            out.extend_from_slice(&answer);
            if let Some(digits) = opaque(frame) {
                out[start + opaque_at..start + opaque_at + OPAQUE.len()].copy_from_slice(digits);
            }
            buffer.advance(len);
        }
        stream.write_all(&out).await?;
    }
    Ok(())
}

/// The nine digits of a frame's opaque.
fn opaque(frame: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(frame, OPAQUE_KEY.as_bytes())? + OPAQUE_KEY.len();
    frame.get(at..at + OPAQUE.len())
}

/// An answer as a broker sends it, and where its opaque is.
fn answer() -> anyhow::Result<(Vec<u8>, usize)> {
    let fields = Fields::new()
        .text("msgId", "7F00000100002A9F0000000000000000")
        .int("queueId", 0)
        .int("queueOffset", 1_000_000)
        .text("transactionId", "")
        .text("MSG_REGION", "DefaultRegion")
        .text("TRACE_ON", "true");
    let mut answer = Outgoing::response(0, OPAQUE.parse()?);
    answer.fields = fields;
    let mut out = BytesMut::new();
    answer.encode(Serialization::Json, &mut out);
    let at = memchr::memmem::find(&out, OPAQUE.as_bytes()).context("the opaque is in it")?;
    Ok((out.to_vec(), at))
}
