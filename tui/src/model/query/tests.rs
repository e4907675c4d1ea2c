//! Tests of conditions: grammar, kinds of values, three-valued logic.

use proptest::prelude::*;

use super::*;
use crate::model::clock::{Zone, utc};

struct Row;

impl Subject for Row {
    fn names(&self) -> Vec<String> {
        vec!["payments-settle".into()]
    }

    fn text(&self) -> String {
        "{\"order\":77120}".into()
    }

    fn value(&self, field: &str) -> Value {
        match field {
            "name" => Value::Text("payments-settle".into()),
            "lag" => Value::Number(96_104.0),
            "retry" => Value::AtLeast(37.0),
            "mail" => Value::AtMost(640.0),
            "behind" => Value::Span(Box::new(Value::Number(400_000.0))),
            "born" => Value::Time(Box::new(Value::Number(utc("2026-03-14 03:00:00") as f64))),
            "dead" => Value::Unknown,
            "prod" => Value::Flag(true),
            "key" => Value::Texts(vec!["ord-1".into(), "ord-77".into()]),
            ".amount" => Value::Text("12.50".into()),
            _ => Value::None,
        }
    }
}

fn query(text: &str) -> Result<Query, QueryError> {
    Query::parse(text, utc("2026-03-14 06:03:27"), Zone::Fixed(28_800))
}

#[test]
fn every_form_of_the_grammar_is_decided() {
    for (text, holds) in [
        ("", Some(true)),
        ("pay", Some(true)),
        ("PAY settle", Some(true)),
        ("pay !settle", Some(false)),
        ("bill|settle", Some(true)),
        ("name~PAY", Some(true)),
        ("name=pay-*", Some(false)),
        ("name=pay*", Some(true)),
        ("name!=pay*", Some(false)),
        ("lag>1000", Some(true)),
        ("lag>96k lag<=97k", Some(true)),
        ("lag>1M", Some(false)),
        ("lag>=96104 lag=96104", Some(true)),
        ("behind>5m", Some(true)),
        ("behind>10m|behind<1h", Some(true)),
        ("born<-2h", Some(true)),
        ("born>-2h", Some(false)),
        ("born<12:03", Some(true)),
        ("key=ord-77*", Some(true)),
        ("key!=ord-1", Some(false)),
        (".amount>10", Some(true)),
        (".amount>12.6", Some(false)),
        ("prod=yes", Some(true)),
        ("!(bill|other) lag>1", Some(true)),
        ("/order\":\\d+/", Some(true)),
        ("/^x/", Some(false)),
        ("body~\"a b\"", Some(false)),
        ("nothing>1", Some(false)),
        ("nothing!=1", Some(true)),
        ("\"payments settle\"", Some(false)),
    ] {
        assert_eq!(query(text).unwrap().holds(&Row), holds, "{text}");
    }
}

#[test]
fn what_is_unknown_decides_nothing_by_itself() {
    for (text, holds) in [
        ("dead>0", None),
        ("!dead>0", None),
        ("dead>0 lag>1", None),
        ("dead>0 lag<1", Some(false)),
        ("dead>0 | lag>1", Some(true)),
        ("dead>0 | lag<1", None),
        // At least 37.
        ("retry>36", Some(true)),
        ("retry>37", None),
        ("retry<37", Some(false)),
        ("retry<100", None),
        ("retry=36", Some(false)),
        ("retry=40", None),
        // At most 640.
        ("mail>640", Some(false)),
        ("mail>639", None),
        ("mail<641", Some(true)),
        ("mail!=641", Some(true)),
    ] {
        assert_eq!(query(text).unwrap().holds(&Row), holds, "{text}");
    }
}

#[test]
fn what_does_not_read_is_refused_with_its_place() {
    for (text, at, reason) in [
        ("(a", 3, "a ( is not closed"),
        ("a)", 2, "')' closes nothing"),
        ("a !", 4, "nothing behind !"),
        ("lag>", 5, "a value is missing behind lag"),
        (">5", 1, "a field is missing before the operator"),
        ("\"abc", 1, "a \" is not closed"),
        ("x /abc", 3, "a / is not closed"),
        ("/(/", 1, "unclosed group"),
    ] {
        let error = query(text).unwrap_err();
        assert_eq!((error.at, error.reason.as_str()), (at, reason), "{text}");
    }
    assert!(query(&"(".repeat(100)).unwrap_err().reason.contains("nested"));
    assert!(query(&"!".repeat(5_000)).unwrap_err().reason.contains("longer"));
}

#[test]
fn comparisons_are_listed_for_a_check_of_their_fields() {
    let parsed = query("a (lag>1 | !dead=0) .x=1").unwrap();
    let fields: Vec<&str> = parsed.comparisons().iter().map(|c| c.field.as_str()).collect();
    assert_eq!(fields, ["lag", "dead", ".x"]);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}") {
        if let Ok(parsed) = query(&text) {
            let _ = parsed.holds(&Row);
        }
    }

    #[test]
    fn not_turns_what_is_decided_and_leaves_what_is_open(text in "(lag|dead|retry|mail)[<>=][0-9]{1,3}") {
        let held = query(&text).unwrap().holds(&Row);
        let not = query(&format!("!({text})")).unwrap().holds(&Row);
        prop_assert_eq!(not, held.map(|held| !held));
    }
}
