//! What can go wrong when a cluster is asked, told apart as far as callers decide differently.
//!
//! A broker's own refusal is [`ClientError::Refused`]; everything else happened on the way. Response
//! codes: remoting.md §9.

use std::fmt;

use crate::protocol::response_code;

/// Why a request has no useful answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection could be made: nothing was sent.
    #[error("{addr} cannot be reached: {reason}{}", Hint(hint.as_deref()))]
    Unreachable {
        /// Address as the name server or the user gave it.
        addr: String,
        /// What the attempt ended with.
        reason: String,
        /// What may help, when the address itself looks wrong for this machine.
        hint: Option<String>,
    },
    /// The connection broke while the answer was awaited: the request may have been carried out.
    #[error("connection to {addr} was lost before the answer came")]
    Lost {
        /// The peer.
        addr: String,
    },
    /// No answer in time: the request may have been carried out.
    #[error("no answer from {addr} to request {code} within {ms} ms")]
    TimeOut {
        /// The peer.
        addr: String,
        /// Request code.
        code: i32,
        /// How long was waited.
        ms: u64,
    },
    /// The peer answered with a code other than success.
    #[error("{addr} answered {}: {remark}", Code(*code))]
    Refused {
        /// The peer.
        addr: String,
        /// Response code.
        code: i32,
        /// Its text.
        remark: String,
    },
    /// This session only reads and the request would write (admin.md §5 m). Nothing was sent.
    #[error("request {code} writes, and this session only reads")]
    ReadOnly {
        /// Request code.
        code: i32,
    },
    /// The answer is not what its code promises.
    #[error("answer of {addr} to request {code} cannot be read: {what}")]
    Malformed {
        /// The peer.
        addr: String,
        /// Request code.
        code: i32,
        /// What is wrong with it.
        what: String,
    },
    /// No name server was given.
    #[error("no name server is configured")]
    NoNameServer,
    /// A topic has no queue, or a broker name no address, that this request could use.
    #[error("no broker serves {0}")]
    NoBroker(String),
    /// The request was never sent because of what the caller asked for.
    #[error("{0}")]
    Invalid(String),
}

impl ClientError {
    /// Whether the peer answered with this response code.
    pub fn is_refused_with(&self, wanted: i32) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted)
    }

    /// Whether the fault lies on the way to the peer, not in the request.
    pub fn is_transport(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Lost { .. } | Self::TimeOut { .. })
    }

    /// Whether the peer does not serve the request code.
    pub fn is_unsupported(&self) -> bool {
        self.is_refused_with(response_code::REQUEST_CODE_NOT_SUPPORTED)
    }
}

/// Writes a hint behind an error, if there is one.
struct Hint<'a>(Option<&'a str>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// Writes a response code with its name.
struct Code(i32);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match response_code::name(self.0) {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "code {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_one_sentence_with_its_facts() {
        let refused = ClientError::Refused {
            addr: "b:1".into(),
            code: 17,
            remark: "topic[x] not exist".into(),
        };
        assert_eq!(refused.to_string(), "b:1 answered TOPIC_NOT_EXIST (17): topic[x] not exist");
        let lost = ClientError::Unreachable {
            addr: "10.0.0.1:10911".into(),
            reason: "refused".into(),
            hint: Some("map it".into()),
        };
        assert_eq!(lost.to_string(), "10.0.0.1:10911 cannot be reached: refused (map it)");
    }
}
