//! ★ One batch of frames: decode → lane → handler → answers. The only place that turns an error into
//! a response code (architecture.md §10).
//!
//! Consecutive sends of a batch are appended together. Slow requests leave as jobs that own a copy of
//! their frame; a full pool answers 2 (remoting.md §8.3).

use std::sync::{Arc, Mutex};

use super::Broker;
use super::handle;
use super::outcome::{Answer, Cx, Outcome, Peer, Relayed, Reply, Shell};
use super::state::lock;
use crate::protocol::code::{self, Lane, Request};
use crate::protocol::frame::Frame;
use crate::protocol::header::{Header, Outgoing};
use crate::protocol::response_code;
use crate::store::{Append, Wait};

/// Which port a connection came in by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Port {
    /// The broker's own port.
    Main,
    /// The fast port: everything but reading messages (remoting.md §7).
    Fast,
}

/// Handles the frames of one read.
pub fn batch(
    broker: &Arc<Broker>,
    shell: &Arc<dyn Shell>,
    peer: &Arc<dyn Peer>,
    port: Port,
    frames: &[Frame],
) {
    let now_ms = broker.clock.wall_ms();
    let mut appends = Vec::new();
    for frame in frames {
        match frame.decode() {
            Ok(header) if header.is_response() => peer.answered(&header, frame),
            Ok(header) => {
                let cx = context(peer, frame, &header, now_ms);
                one(broker, shell, port, frame, &header, &cx, &mut appends);
            }
            Err(error) => {
                tracing::warn!(remote = %peer.remote(), %error, "connection closed: unreadable header");
                peer.close();
                break;
            }
        }
    }
    if !appends.is_empty() {
        broker.store.submit(appends);
    }
}

fn context(peer: &Arc<dyn Peer>, frame: &Frame, header: &Header<'_>, now_ms: i64) -> Cx {
    let answer = Answer {
        peer: Arc::clone(peer),
        opaque: header.opaque,
        kind: frame.serialization,
        oneway: header.is_oneway(),
    };
    Cx { answer, version: header.version, language: header.language, now_ms, wait: Wait::No }
}

fn one(
    broker: &Arc<Broker>,
    shell: &Arc<dyn Shell>,
    port: Port,
    frame: &Frame,
    header: &Header<'_>,
    cx: &Cx,
    appends: &mut Vec<Append>,
) {
    if broker.access.is_on()
        && let Err(remark) = broker.access.check(header, &frame.body, cx.answer.peer.remote().ip())
    {
        cx.answer.reply(Reply::refuse(response_code::NO_PERMISSION, remark));
        return;
    }
    let lane =
        code::lane(header.code).filter(|_| port == Port::Main || !reads_messages(header.code));
    match lane {
        Some(Lane::Hot) => match run(broker, frame, header, cx) {
            Outcome::Cold => slow(broker, shell, frame, cx),
            outcome => finish(broker, cx, outcome, appends),
        },
        Some(Lane::Slow) => slow(broker, shell, frame, cx),
        Some(Lane::Names | Lane::Push) | None => cx.answer.reply(unsupported(header.code)),
    }
}

fn reads_messages(code: i32) -> bool {
    matches!(code, code::PULL_MESSAGE | code::LITE_PULL_MESSAGE)
}

/// What answers a code that is not in the table.
pub fn unsupported(code: i32) -> Reply {
    let remark = format!(" request type {code} not supported");
    Reply::refuse(response_code::REQUEST_CODE_NOT_SUPPORTED, remark)
}

fn run(broker: &Arc<Broker>, frame: &Frame, header: &Header<'_>, cx: &Cx) -> Outcome {
    match Request::decode(header.code, &header.ext) {
        Some(Ok(request)) => handle::dispatch(broker, cx, request, frame),
        Some(Err(error)) => Reply::error(error.to_string()).into(),
        None => unsupported(header.code).into(),
    }
}

fn slow(broker: &Arc<Broker>, shell: &Arc<dyn Shell>, frame: &Frame, cx: &Cx) {
    let job = {
        let (broker, frame) = (Arc::clone(broker), frame.clone());
        let cx = Cx { wait: Wait::Yes, ..cx.clone() };
        move || {
            let _answers = OnPanic(cx.answer.clone());
            let Ok(header) = frame.decode() else { return };
            let mut appends = Vec::new();
            let outcome = run(&broker, &frame, &header, &cx);
            finish(&broker, &cx, outcome, &mut appends);
            if !appends.is_empty() {
                broker.store.submit(appends);
            }
        }
    };
    if !shell.slow(Box::new(job)) {
        cx.answer.reply(overloaded());
    }
}

/// Answers a request whose handler panicked: whoever asked shall not wait for ever.
struct OnPanic(Answer);

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.reply(Reply::error("the request could not be handled, see the broker's log"));
        }
    }
}

/// The answer when the pool is full.
pub fn overloaded() -> Reply {
    let remark = "[OVERLOAD]system busy, start flow control for a while";
    Reply::refuse(response_code::SYSTEM_BUSY, remark)
}

/// Carries out what a handler decided.
pub fn finish(broker: &Arc<Broker>, cx: &Cx, outcome: Outcome, appends: &mut Vec<Append>) {
    let answer = cx.answer.clone();
    match outcome {
        Outcome::Reply(reply) => answer.reply(reply),
        Outcome::Stored { mut append, then, persist } => {
            let broker = Arc::clone(broker);
            append.done = Box::new(move |appended| {
                let reply = then(appended);
                if persist {
                    broker.persist.wait(Box::new(move || answer.reply(reply)));
                } else {
                    answer.reply(reply);
                }
            });
            appends.push(append);
        }
        Outcome::Persisted(reply) => broker.persist.wait(Box::new(move || answer.reply(reply))),
        Outcome::Relay { to, request, wait_ms, then } => {
            relay(to, &request, wait_ms, Box::new(move |relayed| answer.reply(then(relayed))));
        }
        // Whoever may wait is never told to: this keeps a mistake from leaving a client without answer.
        Outcome::Cold => answer.reply(Reply::error("the message could not be read")),
        Outcome::Parked | Outcome::Nothing => {}
    }
}

/// Calls all, and hands on what they answered once the last has answered or is late.
fn relay(
    to: Vec<Arc<dyn Peer>>,
    request: &Outgoing,
    wait_ms: u64,
    done: Box<dyn FnOnce(Vec<Option<Relayed>>) + Send>,
) {
    if to.is_empty() {
        done(Vec::new());
        return;
    }
    let waiting = Arc::new(Mutex::new((vec![None; to.len()], to.len(), Some(done))));
    for (at, peer) in to.into_iter().enumerate() {
        let waiting = Arc::clone(&waiting);
        let one = move |relayed| {
            let whole = {
                let mut waiting = lock(&waiting);
                let (answers, left, done) = &mut *waiting;
                answers[at] = relayed;
                *left -= 1;
                if *left > 0 {
                    None
                } else {
                    done.take().map(|done| (std::mem::take(answers), done))
                }
            };
            if let Some((answers, done)) = whole {
                done(answers);
            }
        };
        peer.call(request.clone(), wait_ms, Box::new(one));
    }
}
