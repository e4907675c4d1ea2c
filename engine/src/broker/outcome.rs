//! What a handler decides, as data; the shell carries it out.
//!
//! A handler sees a request and the broker's state and returns an [`Outcome`]. It never touches a
//! socket: answers leave through [`Answer`], everything else through [`Peer`] and [`Shell`].

use std::borrow::Cow;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::protocol::ext_fields::Fields;
use crate::protocol::frame::{Frame, Serialization};
use crate::protocol::header::{Header, Language, Outgoing};
use crate::protocol::response_code;
use crate::store::{Append, Appended, Wait};

/// The number of a connection, as the shell gave it.
pub type PeerId = u64;

/// A connected client, name server or tool, as the broker sees it.
pub trait Peer: Send + Sync + Debug {
    /// Its number, unique in the process.
    fn id(&self) -> PeerId;
    /// Its address.
    fn remote(&self) -> SocketAddr;
    /// Queues a frame; lost when the peer is gone.
    fn send(&self, frame: &Outgoing, kind: Serialization);
    /// Hands an answer to whoever called the peer.
    fn answered(&self, header: &Header<'_>, frame: &Frame);
    /// Sends a request and hands its answer to `done`, or `None` when none came in time.
    fn call(
        self: Arc<Self>,
        request: Outgoing,
        wait_ms: u64,
        done: Box<dyn FnOnce(Option<Relayed>) + Send>,
    );
    /// Ends the connection.
    fn close(&self);
    /// Whether it is gone.
    fn is_closed(&self) -> bool;
}

/// What needs more than the caller's thread.
pub trait Shell: Send + Sync {
    /// Runs a job on the bounded pool. `false` when the pool is full; the job is dropped.
    fn slow(&self, job: Box<dyn FnOnce() + Send>) -> bool;
}

/// What a client answered.
#[derive(Clone, Debug)]
pub struct Relayed {
    /// Response code.
    pub code: i32,
    /// Error text.
    pub remark: Option<String>,
    /// Body.
    pub body: Bytes,
}

/// An answer in the making.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Response code.
    pub code: i32,
    /// Error text.
    pub remark: Option<Cow<'static, str>>,
    /// Header fields.
    pub fields: Fields,
    /// Body.
    pub body: Bytes,
}

impl Reply {
    /// Success without anything.
    pub fn ok() -> Self {
        Self::default()
    }

    /// Success with header fields.
    pub fn fields(fields: impl Into<Fields>) -> Self {
        Self { fields: fields.into(), ..Self::default() }
    }

    /// Success with a body.
    pub fn body(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// Anything but success.
    pub fn refuse(code: i32, remark: impl Into<Cow<'static, str>>) -> Self {
        Self { code, remark: Some(remark.into()), ..Self::default() }
    }

    /// An unexpected error (code 1).
    pub fn error(remark: impl Into<Cow<'static, str>>) -> Self {
        Self::refuse(response_code::SYSTEM_ERROR, remark)
    }

    /// The same answer with these fields.
    #[must_use]
    pub fn with_fields(mut self, fields: impl Into<Fields>) -> Self {
        self.fields = fields.into();
        self
    }
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// A read that would have to wait, asked for where nobody may: the handler answers
/// [`Outcome::Cold`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cold;

impl From<Cold> for Outcome {
    fn from(_: Cold) -> Self {
        Self::Cold
    }
}

/// Makes the answer of a stored message.
pub type Then = Box<dyn FnOnce(Appended) -> Reply + Send>;

/// What becomes of a request.
pub enum Outcome {
    /// Answer now.
    Reply(Reply),
    /// Append, then answer; with `persist` only once the topic table is on the disk too.
    Stored {
        /// What to append; its `done` is set by `serve`.
        append: Append,
        /// Makes the answer.
        then: Then,
        /// Whether the send made its topic.
        persist: bool,
    },
    /// Answer once topic and group tables are on the disk.
    Persisted(Reply),
    /// Ask clients first, all at once.
    Relay {
        /// The clients.
        to: Vec<Arc<dyn Peer>>,
        /// What each is asked.
        request: Outgoing,
        /// How long to wait, ms.
        wait_ms: u64,
        /// Makes the answer of theirs, which come in the order of `to`; none of who kept silent.
        then: Box<dyn FnOnce(Vec<Option<Relayed>>) -> Reply + Send>,
    },
    /// What the answer needs is not in memory, and nothing was changed: the pool runs the handler
    /// again from its first line, and then it may wait.
    Cold,
    /// The handler kept the request; whoever wakes it answers.
    Parked,
    /// No answer at all.
    Nothing,
}

/// Who asked, and how to answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Who asked.
    pub peer: Arc<dyn Peer>,
    /// Correlation id.
    pub opaque: i32,
    /// How the request was written; the answer is written alike.
    pub kind: Serialization,
    /// Nobody waits.
    pub oneway: bool,
}

impl Answer {
    /// Sends the answer unless nobody waits for it.
    pub fn reply(&self, reply: Reply) {
        if self.oneway {
            return;
        }
        let mut frame = Outgoing::response(reply.code, self.opaque);
        frame.remark = reply.remark;
        frame.fields = reply.fields;
        frame.body = reply.body;
        self.peer.send(&frame, self.kind);
    }
}

/// The circumstances of one request.
#[derive(Clone, Debug)]
pub struct Cx {
    /// Who asked, and how to answer.
    pub answer: Answer,
    /// Wire version of the asker.
    pub version: i32,
    /// Language of the asker.
    pub language: Language,
    /// Wall time at which the batch was read, ms.
    pub now_ms: i64,
    /// Whether the handler may wait for the disk: on the pool, not where sockets are served.
    pub wait: Wait,
}
