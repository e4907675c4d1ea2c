//! Which topic and group come into being by use.
//!
//! Spec: semantics.md §2.

use crate::protocol::body::topic_config::{TopicConfig, TopicFilterType};
use crate::protocol::perm::Perm;

/// Queues that a producer uses per broker for a topic it only knows by the template.
pub const TEMPLATE_QUEUES: i32 = 4;
/// Queues of a topic of letters or of a POP retry topic.
const SINGLE_QUEUE: i32 = 1;
/// Bit of a topic's flags: the producer is unitised.
const SYS_FLAG_UNIT: i32 = 1;

/// The topic that a send names as template.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// It is the broker's own template, which obeys `autoCreateTopicEnable`.
    pub is_default: bool,
    /// Permission.
    pub perm: Perm,
    /// Queues that are written.
    pub write_queues: i32,
    /// How many tags a message may carry.
    pub filter: TopicFilterType,
}

/// A send to an unknown topic.
#[derive(Clone, Copy, Debug)]
pub struct Unknown<'a> {
    /// Name, already validated.
    pub topic: &'a str,
    /// It is a group's retry topic.
    pub retry: bool,
    /// The template of the request, if this broker has it.
    pub template: Option<Template>,
    /// Topics may be created by use.
    pub auto_create: bool,
    /// `defaultTopicQueueNums` of the request.
    pub queues_asked: i32,
    /// `unitMode` of the request.
    pub unit: bool,
}

/// The topic that such a send creates, if it does.
#[must_use]
pub fn create(unknown: &Unknown<'_>) -> Option<TopicConfig> {
    let sys_flag = if unknown.unit { SYS_FLAG_UNIT } else { 0 };
    let inherited = unknown.template.filter(|template| {
        template.perm.inherited() && (unknown.auto_create || !template.is_default)
    });
    if let Some(template) = inherited {
        let queues = unknown.queues_asked.min(template.write_queues).max(0);
        return Some(TopicConfig {
            perm: template.perm.without(Perm::INHERIT).0,
            topic_filter_type: template.filter,
            topic_sys_flag: sys_flag,
            ..derived(unknown.topic, queues)
        });
    }
    unknown
        .retry
        .then(|| TopicConfig { topic_sys_flag: sys_flag, ..derived(unknown.topic, SINGLE_QUEUE) })
}

/// A topic that the engine makes for itself: a retry topic with the group's queue count, or a
/// dead-letter topic with one.
#[must_use]
pub fn derived(topic: &str, queues: i32) -> TopicConfig {
    TopicConfig {
        topic_name: topic.to_owned(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm: Perm::READ_WRITE.0,
        ..TopicConfig::default()
    }
}

/// Queues that a producer may write on a broker, when all it has is the template's route.
#[must_use]
pub fn producer_queues(default_queues: i32, read_queues: i32) -> i32 {
    default_queues.min(read_queues).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown() -> Unknown<'static> {
        Unknown {
            topic: "orders",
            retry: false,
            template: Some(Template {
                is_default: true,
                perm: Perm(7),
                write_queues: 8,
                filter: TopicFilterType::SingleTag,
            }),
            auto_create: true,
            queues_asked: 4,
            unit: false,
        }
    }

    #[test]
    fn the_template_gives_queues_and_permission_but_not_inheritance() {
        let topic = create(&unknown()).unwrap();
        assert_eq!((topic.read_queue_nums, topic.write_queue_nums, topic.perm), (4, 4, 6));
        let many = create(&Unknown { queues_asked: 99, ..unknown() }).unwrap();
        assert_eq!(many.write_queue_nums, 8);
        let negative = create(&Unknown { queues_asked: -3, unit: true, ..unknown() }).unwrap();
        assert_eq!((negative.write_queue_nums, negative.topic_sys_flag), (0, 1));
    }

    #[test]
    fn without_auto_creation_only_other_templates_count() {
        let off = Unknown { auto_create: false, ..unknown() };
        assert_eq!(create(&off), None);
        let other = Template { is_default: false, ..unknown().template.unwrap() };
        assert!(create(&Unknown { template: Some(other), ..off }).is_some());
        let closed = Template { perm: Perm(6), ..other };
        assert_eq!(create(&Unknown { template: Some(closed), ..off }), None);
    }

    #[test]
    fn retry_topics_come_into_being_without_a_template() {
        let retry = Unknown { topic: "%RETRY%g", retry: true, template: None, ..unknown() };
        let topic = create(&retry).unwrap();
        assert_eq!(
            (topic.topic_name.as_str(), topic.write_queue_nums, topic.perm),
            ("%RETRY%g", 1, 6)
        );
        assert_eq!(create(&Unknown { retry: false, ..retry }), None);
    }

    #[test]
    fn a_producer_takes_at_most_its_default_count() {
        assert_eq!((producer_queues(TEMPLATE_QUEUES, 8), producer_queues(4, 2)), (4, 2));
    }
}
