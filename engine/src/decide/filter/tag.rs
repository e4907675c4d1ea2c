//! Tag expressions: text → set of tags and codes; matching by code and by tag.
//!
//! The broker compares hashes and lets collisions pass; the client compares tags. Spec: semantics.md §4.

use crate::protocol::body::heartbeat::{EXPRESSION_TAG, SUBSCRIBE_ALL, SubscriptionData};
use crate::protocol::java_hash::string_hash;

/// Most tags of one expression that are read; more is a mistake or an attack.
pub const TAGS_MAX: usize = 10_000;

/// Why an expression is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Separators only.
    #[error("the tag expression names no tag")]
    Empty,
    /// More than [`TAGS_MAX`] tags.
    #[error("the tag expression names more than {TAGS_MAX} tags")]
    TooMany,
}

/// What a tag expression selects, ready to match units of a consume queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagFilter {
    /// Every message.
    All,
    /// Messages whose tag has one of these codes, in order.
    Codes(Vec<i32>),
}

impl TagFilter {
    /// The filter of a registered subscription. Class filters are the client's business.
    #[must_use]
    pub fn of(subscription: &SubscriptionData) -> Self {
        let all = subscription.class_filter_mode || is_all(&subscription.sub_string);
        if all { Self::All } else { Self::from_codes(subscription.code_set.clone()) }
    }

    /// The filter of an expression that came with the request.
    pub fn parse(expression: &str) -> Result<Self, TagError> {
        Ok(match tags(expression)? {
            None => Self::All,
            Some(tags) => Self::from_codes(tags.into_iter().map(string_hash).collect()),
        })
    }

    fn from_codes(mut codes: Vec<i32>) -> Self {
        codes.sort_unstable();
        codes.dedup();
        Self::Codes(codes)
    }

    /// Whether a unit with this tag code may match. Hash collisions pass.
    #[must_use]
    pub fn matches(&self, unit_code: i64) -> bool {
        match self {
            Self::All => true,
            // The code is a sign-extended hash; only its low 32 bits are compared.
            Self::Codes(codes) => codes.binary_search(&(unit_code as i32)).is_ok(),
        }
    }
}

/// The subscription that a client registers for an expression.
pub fn subscription(
    topic: &str,
    expression: &str,
    version: i64,
) -> Result<SubscriptionData, TagError> {
    let mut tags_set: Vec<String> =
        tags(expression)?.unwrap_or_default().into_iter().map(str::to_owned).collect();
    tags_set.sort();
    tags_set.dedup();
    let sub_string = if tags_set.is_empty() { SUBSCRIBE_ALL } else { expression };
    Ok(SubscriptionData {
        class_filter_mode: false,
        topic: topic.to_owned(),
        sub_string: sub_string.to_owned(),
        code_set: tags_set.iter().map(|tag| string_hash(tag)).collect(),
        tags_set,
        sub_version: version,
        expression_type: EXPRESSION_TAG.to_owned(),
    })
}

/// The client's exact check, after the broker's by code. A message without tag passes only `*`.
#[must_use]
pub fn tag_matches(subscription: &SubscriptionData, tag: Option<&str>) -> bool {
    if subscription.tags_set.is_empty() || subscription.class_filter_mode {
        return true;
    }
    tag.is_some_and(|tag| subscription.tags_set.iter().any(|wanted| wanted == tag))
}

fn is_all(expression: &str) -> bool {
    let expression = expression.trim();
    expression.is_empty() || expression == SUBSCRIBE_ALL
}

/// The tags of an expression; `None` for everything.
fn tags(expression: &str) -> Result<Option<Vec<&str>>, TagError> {
    if is_all(expression) {
        return Ok(None);
    }
    let tags: Vec<&str> = expression
        .split("||")
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
        .take(TAGS_MAX + 1)
        .collect();
    match tags.len() {
        0 => Err(TagError::Empty),
        len if len > TAGS_MAX => Err(TagError::TooMany),
        _ => Ok(Some(tags)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_blank_and_nothing_match_everything() {
        for expression in ["*", "", "  ", " * "] {
            assert_eq!(TagFilter::parse(expression), Ok(TagFilter::All), "{expression:?}");
        }
        assert!(TagFilter::All.matches(0));
    }

    #[test]
    fn tags_are_trimmed_and_empty_parts_ignored() {
        let filter = TagFilter::parse(" create || update||||").unwrap();
        assert_eq!(filter, TagFilter::Codes(vec![-1_352_294_148, -838_846_263]));
        assert!(filter.matches(-1_352_294_148) && filter.matches(i64::from(-838_846_263_i32)));
        assert!(!filter.matches(0));
        assert_eq!(TagFilter::parse("||"), Err(TagError::Empty));
    }

    #[test]
    fn colliding_hashes_pass_the_broker_and_stop_at_the_client() {
        // "Aa" and "BB" have the same Java hash.
        let wanted = subscription("t", "Aa", 1).unwrap();
        assert!(TagFilter::of(&wanted).matches(2_112));
        assert!(tag_matches(&wanted, Some("Aa")));
        assert!(!tag_matches(&wanted, Some("BB")));
        assert!(!tag_matches(&wanted, None));
    }

    #[test]
    fn a_client_registers_sets_and_a_star_has_none() {
        let all = subscription("t", "*", 9).unwrap();
        assert_eq!((all.sub_string.as_str(), all.tags_set.len(), all.sub_version), ("*", 0, 9));
        assert!(tag_matches(&all, None));
        let two = subscription("t", "b || a || b", 9).unwrap();
        assert_eq!((two.tags_set, two.code_set), (vec!["a".into(), "b".into()], vec![97, 98]));
    }

    #[test]
    fn class_filters_match_all_on_the_broker() {
        let mut class = subscription("t", "a", 1).unwrap();
        class.class_filter_mode = true;
        assert_eq!(TagFilter::of(&class), TagFilter::All);
        assert!(tag_matches(&class, Some("z")));
    }
}
