//! Rules of a user: which entry decides, and what it says (semantics.md §20.2).

use std::net::IpAddr;

use super::{Action, Kind};

/// How a rule names what it is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// Exactly this name.
    Literal(String),
    /// Every name that begins so.
    Prefix(String),
    /// Every name.
    Any,
}

/// What a rule is about: `Topic:orders`, `Group:pay-*`, `Cluster:*`, `*`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resource {
    /// Its kind.
    pub kind: Kind,
    /// Its names.
    pub pattern: Pattern,
}

impl Resource {
    /// Reads a resource; none when the kind is unknown.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self { kind: Kind::Any, pattern: Pattern::Any });
        }
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        let pattern = match name.split_once('*') {
            Some(("", "")) => Pattern::Any,
            Some((start, _)) if name.ends_with('*') => Pattern::Prefix(start.to_owned()),
            _ => Pattern::Literal(name.to_owned()),
        };
        Some(Self { kind: Kind::from_name(kind)?, pattern })
    }

    /// As it is written in rules.
    pub fn text(&self) -> String {
        let kind = self.kind.name();
        match &self.pattern {
            _ if self.kind == Kind::Any => "*".to_owned(),
            Pattern::Literal(name) => format!("{kind}:{name}"),
            Pattern::Prefix(start) => format!("{kind}:{start}*"),
            Pattern::Any => format!("{kind}:*"),
        }
    }

    fn covers(&self, kind: Kind, name: &str) -> bool {
        self.kind == Kind::Any
            || self.kind == kind
                && match &self.pattern {
                    Pattern::Literal(literal) => literal == name,
                    Pattern::Prefix(start) => name.starts_with(start),
                    Pattern::Any => true,
                }
    }

    /// How specific it is: the larger, the sooner it decides.
    fn rank(&self) -> (u8, usize) {
        match &self.pattern {
            _ if self.kind == Kind::Any => (0, 0),
            Pattern::Any => (1, 0),
            Pattern::Prefix(start) => (2, start.len()),
            Pattern::Literal(_) => (3, 0),
        }
    }
}

/// Addresses that a rule is for: one, or a network such as `10.0.0.0/8`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source {
    ip: IpAddr,
    bits: u8,
}

impl Source {
    /// Reads an address or a network.
    pub fn parse(text: &str) -> Option<Self> {
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let ip: IpAddr = ip.parse().ok()?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (bits <= most).then_some(Self { ip, bits })
    }

    /// As it is written in rules.
    fn text(&self) -> String {
        let most = if self.ip.is_ipv4() { 32 } else { 128 };
        if self.bits == most { self.ip.to_string() } else { format!("{}/{}", self.ip, self.bits) }
    }

    /// Whether an address is in it.
    pub fn contains(&self, other: IpAddr) -> bool {
        let (ip, bits) = (self.ip.to_canonical(), u32::from(self.bits));
        match (ip, other.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32_u32.saturating_sub(bits);
                u64::from(own.to_bits() ^ other.to_bits()) >> shift == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(128 - bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

/// What a rule says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No.
    Deny,
}

impl Decision {
    /// Its name in rules.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }

    /// The decision of this name, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Allow, Self::Deny].into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }
}

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What it is about.
    pub resource: Resource,
    /// What is done.
    pub actions: Vec<Action>,
    /// From where; empty for everywhere.
    pub sources: Vec<Source>,
    /// Whether it may be.
    pub decision: Decision,
}

/// Rules of one user.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Policies {
    /// Asked first.
    pub custom: Vec<Entry>,
    /// Asked when no custom rule is about the request.
    pub default: Vec<Entry>,
}

/// One right that a request needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Need {
    /// Kind of the resource.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Any of these is enough.
    pub actions: &'static [Action],
}

/// What the rules say to a need.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may be.
    Allowed,
    /// A rule forbids it.
    Denied,
    /// No rule is about it, which forbids it too.
    NoRule,
}

/// Decides one need: the most specific rule of the first policy that has one about it. Of rules that
/// are equally specific one that allows counts first, as in the reference implementation.
pub fn decide(policies: &Policies, need: &Need, from: IpAddr) -> Verdict {
    let about = |entry: &&Entry| {
        let acts = |action: &Action| entry.actions.contains(action);
        entry.resource.covers(need.kind, &need.name)
            && (acts(&Action::All) || need.actions.iter().any(acts))
            && (entry.sources.is_empty() || entry.sources.iter().any(|s| s.contains(from)))
    };
    let first = |entries: &[Entry]| {
        let rank = |entry: &&Entry| (entry.resource.rank(), entry.decision == Decision::Allow);
        entries.iter().filter(about).max_by_key(rank).map(|entry| entry.decision)
    };
    match first(&policies.custom).or_else(|| first(&policies.default)) {
        Some(Decision::Allow) => Verdict::Allowed,
        Some(Decision::Deny) => Verdict::Denied,
        None => Verdict::NoRule,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(resource: &str, actions: &[Action], sources: &[&str], decision: Decision) -> Entry {
        Entry {
            resource: Resource::parse(resource).unwrap(),
            actions: actions.to_vec(),
            sources: sources.iter().map(|text| Source::parse(text).unwrap()).collect(),
            decision,
        }
    }

    fn publish(topic: &str) -> Need {
        Need { kind: Kind::Topic, name: topic.to_owned(), actions: &[Action::Pub] }
    }

    const HERE: &str = "10.1.2.3";

    fn ask(custom: Vec<Entry>, default: Vec<Entry>, topic: &str) -> Verdict {
        decide(&Policies { custom, default }, &publish(topic), HERE.parse().unwrap())
    }

    #[test]
    fn the_most_specific_rule_decides() {
        use Decision::{Allow, Deny};
        let all = [Action::All];
        let rules = || {
            vec![
                entry("*", &all, &[], Allow),
                entry("Topic:*", &all, &[], Deny),
                entry("Topic:pay-*", &all, &[], Allow),
                entry("Topic:pay-secret-*", &all, &[], Deny),
                entry("Topic:pay-secret-x", &all, &[], Allow),
            ]
        };
        for (topic, verdict) in [
            ("other", Verdict::Denied),
            ("pay-1", Verdict::Allowed),
            ("pay-secret-1", Verdict::Denied),
            ("pay-secret-x", Verdict::Allowed),
        ] {
            assert_eq!(ask(rules(), vec![], topic), verdict, "{topic}");
        }
        let group = Need { kind: Kind::Group, name: "g".into(), actions: &[Action::Sub] };
        let policies = Policies { custom: rules(), default: vec![] };
        assert_eq!(decide(&policies, &group, HERE.parse().unwrap()), Verdict::Allowed);
    }

    #[test]
    fn of_equal_rules_the_one_that_allows_counts() {
        let deny = entry("Topic:t", &[Action::Pub], &[], Decision::Deny);
        let allow = entry("Topic:t", &[Action::Pub], &[], Decision::Allow);
        assert_eq!(ask(vec![deny.clone(), allow.clone()], vec![], "t"), Verdict::Allowed);
        assert_eq!(ask(vec![allow, deny], vec![], "t"), Verdict::Allowed);
    }

    #[test]
    fn default_rules_are_asked_only_when_no_custom_rule_is_about_it() {
        let deny = entry("Topic:*", &[Action::Pub], &[], Decision::Deny);
        let allow = entry("Topic:t", &[Action::Pub], &[], Decision::Allow);
        assert_eq!(ask(vec![deny], vec![allow.clone()], "t"), Verdict::Denied);
        assert_eq!(ask(vec![], vec![allow], "t"), Verdict::Allowed);
        assert_eq!(ask(vec![], vec![], "t"), Verdict::NoRule);
    }

    #[test]
    fn a_rule_counts_for_its_actions_and_sources_only() {
        let rule = |actions: &[Action], sources: &[&str]| {
            ask(vec![entry("Topic:t", actions, sources, Decision::Allow)], vec![], "t")
        };
        assert_eq!(rule(&[Action::Sub], &[]), Verdict::NoRule);
        assert_eq!(rule(&[Action::All], &[]), Verdict::Allowed);
        assert_eq!(rule(&[Action::Pub], &["10.1.2.3"]), Verdict::Allowed);
        assert_eq!(rule(&[Action::Pub], &["10.1.2.4"]), Verdict::NoRule);
        assert_eq!(rule(&[Action::Pub], &["192.168.0.0/16", "10.0.0.0/8"]), Verdict::Allowed);
        assert_eq!(rule(&[Action::Pub], &["0.0.0.0/0"]), Verdict::Allowed);
        assert_eq!(rule(&[Action::Pub], &["::/0"]), Verdict::NoRule);
    }

    #[test]
    fn networks_contain_what_begins_like_them() {
        let contains =
            |network: &str, ip: &str| Source::parse(network).unwrap().contains(ip.parse().unwrap());
        assert!(contains("fd00::/8", "fd12::1") && !contains("fd00::/8", "fe80::1"));
        assert!(contains("::1", "::1") && !contains("::1", "::2"));
        assert!(contains("10.0.0.0/31", "10.0.0.1") && !contains("10.0.0.0/31", "10.0.0.2"));
        assert!(contains("10.0.0.1", "::ffff:10.0.0.1"));
        for bad in ["", "10.0.0", " 10.0.0.1", "10.0.0.0/ 8", "10.0.0.0/33", "::/129", "10.0.0.0/x"]
        {
            assert_eq!(Source::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_resource_reads_back_as_it_was_written() {
        for text in ["*", "Topic:t", "Topic:t-*", "Group:*", "Cluster:c"] {
            assert_eq!(Resource::parse(text).unwrap().text(), text);
        }
        assert_eq!(Resource::parse("topic:t").unwrap().text(), "Topic:t");
        assert_eq!(Resource::parse("Queue:t"), None);
        assert_eq!(Resource::parse(""), None);
    }
}
