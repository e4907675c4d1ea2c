//! What brokers ask of this client: answers go to their callers, requests to the group's handler.
//!
//! The requests are those of remoting.md §11.6; whoever consumes as a group implements
//! [`PushHandler`]. Transactions and replies are not served: answered with code 3.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::cluster::Cluster;
use crate::net::{Connection, Service};
use crate::protocol::body::offsets::{ResetOffsetBody, ResetOffsetBodyForC};
use crate::protocol::body::{MessageQueue, QueueMap};
use crate::protocol::code::Request;
use crate::protocol::frame::{Frame, Serialization};
use crate::protocol::header::{Header, Language, Outgoing};
use crate::protocol::{json_dialect, response_code};

/// A body that takes its time.
pub(super) type Later = Pin<Box<dyn Future<Output = Bytes> + Send>>;

/// Who answers for a consumer group.
pub(super) trait PushHandler: Send + Sync {
    /// The members of the group changed (40).
    fn ids_changed(&self);
    /// These queues go on at these offsets (220).
    fn reset(&self, offsets: QueueMap<i64>);
    /// Own positions on a topic, as the body of 221.
    fn status(&self, topic: &str) -> Bytes;
    /// Own state, as the body of 307.
    fn running_info(&self) -> Bytes;
    /// Consumes one stored message now; the body of 309.
    fn consume_directly(&self, record: Bytes) -> Later;
}

/// Service of all connections of a cluster.
pub(super) struct Inbound {
    cluster: Weak<Cluster>,
}

impl Inbound {
    pub(super) fn new(cluster: Weak<Cluster>) -> Self {
        Self { cluster }
    }
}

impl Service for Inbound {
    fn batch(&self, conn: &Arc<Connection>, frames: &[Frame]) {
        for frame in frames {
            let Ok(header) = frame.decode() else {
                conn.close();
                return;
            };
            if header.is_response() {
                conn.answered(&header, frame);
            } else if let Some(cluster) = self.cluster.upgrade() {
                request(&cluster, conn, &header, frame);
            }
        }
    }

    fn closed(&self, _: &Arc<Connection>) {}
}

/// Where an answer goes.
struct Asker {
    conn: Arc<Connection>,
    opaque: i32,
    kind: Serialization,
    oneway: bool,
}

impl Asker {
    fn answer(&self, code: i32, remark: Option<String>, body: Bytes) {
        if self.oneway {
            return;
        }
        let mut response = Outgoing::response(code, self.opaque);
        response.language = Language::RUST;
        response.remark = remark.map(Into::into);
        response.body = body;
        self.conn.send(&response, self.kind);
    }

    fn body(&self, body: Bytes) {
        self.answer(response_code::SUCCESS, None, body);
    }

    fn no_group(&self, group: &str) {
        let remark = format!("consumer group {group} is not in this client");
        self.answer(response_code::SYSTEM_ERROR, Some(remark), Bytes::new());
    }
}

fn request(cluster: &Arc<Cluster>, conn: &Arc<Connection>, header: &Header<'_>, frame: &Frame) {
    let asker = Asker {
        conn: Arc::clone(conn),
        opaque: header.opaque,
        kind: frame.serialization,
        oneway: header.is_oneway(),
    };
    let with = |group: &str, act: &dyn Fn(&dyn PushHandler)| match cluster.handler(group) {
        Some(handler) => act(handler.as_ref()),
        None => asker.no_group(group),
    };
    match Request::decode(header.code, &header.ext) {
        Some(Ok(Request::NotifyIdsChanged(asked))) => {
            with(asked.group, &|handler| handler.ids_changed());
        }
        Some(Ok(Request::ResetClientOffset(asked))) => {
            with(asked.group, &|handler| handler.reset(reset_table(&frame.body)));
        }
        Some(Ok(Request::StatusFromClient(asked))) => {
            with(asked.group, &|handler| asker.body(handler.status(asked.topic)));
        }
        Some(Ok(Request::ConsumerRunningInfo(asked))) => {
            with(asked.group, &|handler| asker.body(handler.running_info()));
        }
        Some(Ok(Request::ConsumeDirectly(asked))) => match cluster.handler(asked.group) {
            Some(handler) => {
                let consumed = handler.consume_directly(frame.body.clone());
                cluster.handle().spawn(async move { asker.body(consumed.await) });
            }
            None => asker.no_group(asked.group),
        },
        Some(Err(error)) => {
            asker.answer(response_code::SYSTEM_ERROR, Some(error.to_string()), Bytes::new());
        }
        _ => {
            let remark = format!(" request type {} not supported", header.code);
            asker.answer(response_code::REQUEST_CODE_NOT_SUPPORTED, Some(remark), Bytes::new());
        }
    }
}

/// The offsets of a reset, in the form for Java or in the one for C++ (remoting.md §11.6).
fn reset_table(body: &[u8]) -> QueueMap<i64> {
    if let Ok(body) = json_dialect::from_slice::<ResetOffsetBody>(body) {
        return body.offset_table;
    }
    let rows = json_dialect::from_slice::<ResetOffsetBodyForC>(body).unwrap_or_default();
    rows.offset_table
        .into_iter()
        .map(|row| {
            let queue = MessageQueue {
                topic: row.topic,
                broker_name: row.broker_name,
                queue_id: row.queue_id,
            };
            (queue, row.offset)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_reads_in_both_forms() {
        let queue = MessageQueue { topic: "t".into(), broker_name: "b".into(), queue_id: 1 };
        let java = br#"{"offsetTable":{{"brokerName":"b","queueId":1,"topic":"t"}:10}}"#;
        assert_eq!(reset_table(java).get(&queue), Some(&10));
        let cpp = br#"{"offsetTable":[{"brokerName":"b","queueId":1,"topic":"t","offset":10}]}"#;
        assert_eq!(reset_table(cpp).get(&queue), Some(&10));
        assert!(reset_table(b"nonsense").is_empty());
    }
}
