//! Which groups pop which topics: 401, 402, `messageRequestMode.json` (remoting.md §11.4, store.md §6.6).

use std::sync::Mutex;

use super::lock;
use crate::protocol::body::heartbeat::{MessageRequestModes, SetMessageRequestMode};

/// Modes by topic and group; what is not there is pulled.
#[derive(Debug, Default)]
pub struct RequestModes {
    modes: Mutex<MessageRequestModes>,
}

impl RequestModes {
    /// Takes what was stored.
    pub fn load(&self, stored: MessageRequestModes) {
        *lock(&self.modes) = stored;
    }

    /// Sets the mode of a group on a topic. `write` queues the whole table for the disk, one caller
    /// after the other, so that what is written last is what was set last.
    pub fn set(&self, mode: SetMessageRequestMode, write: impl FnOnce(&MessageRequestModes)) {
        let mut modes = lock(&self.modes);
        let topic = modes.message_request_mode_map.entry(mode.topic.clone()).or_default();
        topic.insert(mode.consumer_group.clone(), mode);
        write(&modes);
    }

    /// The mode of a group on a topic.
    pub fn get(&self, topic: &str, group: &str) -> Option<SetMessageRequestMode> {
        lock(&self.modes).message_request_mode_map.get(topic)?.get(group).cloned()
    }

    /// All of them, as they are answered and stored.
    pub fn all(&self) -> MessageRequestModes {
        lock(&self.modes).clone()
    }
}
