//! Rights to a message that a request names by its place in the log: 33, 36, 309 (semantics.md §20.2).
//!
//! What such a request says of the topic, if anything, does not have to be true: the message itself says it. So these
//! rights are checked here, once it is read, and those to what the header names before, in `broker/serve.rs`.

use crate::broker::Broker;
use crate::broker::outcome::{Cx, Outcome, Reply};
use crate::decide::access::Action;
use crate::decide::access::needs;
use crate::protocol::code::Request;
use crate::protocol::frame::Frame;
use crate::protocol::ids;
use crate::protocol::record::RecordView;
use crate::protocol::response_code::NO_PERMISSION;

/// The refusal of a request for a message to whose topic the asker has no right; none for all others.
pub fn refused(broker: &Broker, cx: &Cx, request: &Request<'_>, frame: &Frame) -> Option<Outcome> {
    if !broker.access.authorizes() {
        return None;
    }
    let (offset, actions): (i64, &'static [Action]) = match request {
        Request::ViewMessage(header) => (header.offset, &[Action::Get]),
        Request::SendBack(header) => (header.offset, &[Action::Sub]),
        Request::ConsumeDirectly(header) => {
            let (_, offset) = header.message_id.and_then(ids::parse_offset_id)?;
            (i64::try_from(offset).ok()?, &[Action::Sub])
        }
        _ => return None,
    };
    // What is not there, or cannot be read, is no secret: the handler says so.
    let record = match broker.record_for(cx, offset) {
        Ok(record) => record?,
        Err(cold) => return Some(cold.into()),
    };
    let view = RecordView::parse(&record).ok()?;
    let header = frame.decode().ok()?;
    let need = needs::of_message(view.topic(), actions);
    let from = cx.answer.peer.remote().ip();
    let remark = broker.access.check_message(&header, &need, from).err()?;
    Some(Reply::refuse(NO_PERMISSION, remark).into())
}
