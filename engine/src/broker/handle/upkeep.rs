//! What tools order and finds nothing to do here, or what does not exist: 306, 316, 513, 908, 5001
//! (admin.md §2, §4.16).

use super::super::serve::unsupported;
use crate::broker::outcome::Reply;
use crate::protocol::code;
use crate::protocol::request::broker::SwitchTimerEngine;

/// 306, 316: queue files go with the log files that they point into, and queues with their topic.
/// 908: the flush offset of a master is never set from outside.
pub fn nothing_to_do() -> Reply {
    Reply::ok()
}

/// 513: queues that move between brokers.
pub fn static_topic() -> Reply {
    Reply::error("static topics are not supported".to_owned())
}

/// 5001: there is the wheel in files (`F`), and no other.
pub fn switch_timer_engine(header: &SwitchTimerEngine<'_>) -> Reply {
    if header.engine != "F" {
        return unsupported(code::SWITCH_TIMER_ENGINE);
    }
    Reply { remark: Some("switch timer engine success".into()), ..Reply::ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::response_code;

    #[test]
    fn only_the_timer_wheel_in_files_can_be_chosen() {
        let chosen = |engine| switch_timer_engine(&SwitchTimerEngine { engine });
        assert_eq!(chosen("F").code, response_code::SUCCESS);
        assert_eq!(chosen("F").remark.as_deref(), Some("switch timer engine success"));
        for other in ["R", "f", ""] {
            let reply = chosen(other);
            assert_eq!(reply.code, response_code::REQUEST_CODE_NOT_SUPPORTED);
            assert_eq!(reply.remark.as_deref(), Some(" request type 5001 not supported"));
        }
    }

    #[test]
    fn static_topics_are_refused_and_say_so() {
        let reply = static_topic();
        assert_eq!(reply.code, response_code::SYSTEM_ERROR);
        assert_eq!(reply.remark.as_deref(), Some("static topics are not supported"));
    }
}
