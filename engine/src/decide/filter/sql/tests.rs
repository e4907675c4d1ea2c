//! What the reference broker (5.5.0) answered to these expressions, and hostile text.

use proptest::prelude::*;

use super::*;

/// Name → properties of the messages of the table.
const MESSAGES: [(&str, &[(&str, &str)]); 13] = [
    ("big", &[("n", "3000000000")]),
    ("five", &[("n", "5")]),
    ("dbl", &[("n", "5.5")]),
    ("word", &[("n", "word")]),
    ("none", &[]),
    ("flag", &[("flag", "TRUE")]),
    ("ab", &[("a", "1"), ("b", "1")]),
    ("a", &[("a", "1")]),
    ("b", &[("b", "1")]),
    ("sp", &[("n", " 5 ")]),
    ("nan", &[("n", "NaN")]),
    ("s", &[("s", "hello")]),
    ("dsuf", &[("n", "7d")]),
];
const ALL: &str = "big five dbl word none flag ab a b sp nan s dsuf";

/// Expression → the messages that it matches.
const MATCHES: &[(&str, &str)] = &[
    ("n > 5", ""),
    ("n > 2147483648", "big"),
    ("n > 5.0", "big dbl nan dsuf"),
    ("n = 5", "five"),
    ("n = 5.0", "five sp"),
    ("n <> 5", ""),
    ("a = b", "big five dbl word none flag ab sp nan s dsuf"),
    ("a <> b", "a"),
    ("flag = TRUE", "flag"),
    ("TRUE = flag", ""),
    ("flag", ""),
    ("NOT flag", "flag"),
    ("flag <> FALSE", "flag"),
    ("a IS NULL", "big five dbl word none flag b sp nan s dsuf"),
    ("a IS NOT NULL", "ab a"),
    ("n IN ('5','word')", "five word"),
    ("n NOT IN ('5')", "big dbl word sp nan dsuf"),
    ("s CONTAINS 'ell'", "s"),
    ("s NOT CONTAINS 'ell'", ""),
    ("s STARTSWITH 'he'", "s"),
    ("s ENDSWITH 'lo'", "s"),
    ("s CONTAINS ''", ""),
    ("s STARTSWITH ''", ""),
    ("n BETWEEN 1 AND 10", "five"),
    ("n NOT BETWEEN 1 AND 10", ""),
    ("n BETWEEN -1 AND -5", ""),
    ("5 = TRUE", ""),
    ("TRUE", ALL),
    ("NULL", ""),
    ("NOT NULL", ""),
    ("1 = 1", ALL),
    ("a > b", ""),
    ("s > s", ""),
    ("n = -5", ""),
    ("-n < 5", ""),
    ("+n > 4.0", "big five dbl sp nan dsuf"),
    ("n > 0", "five"),
    ("n > 5L", ""),
    ("n >= 5 -- c", "five"),
    ("n >= 5 /* c */", "five"),
    ("n = 1.e1", ""),
    ("a AND b", ""),
    ("(a)=b", "big five dbl word none flag ab sp nan s dsuf"),
    ("n > 2 AND n < 9", "five"),
    ("flag = 'TRUE'", "flag"),
    ("n = '5'", "five"),
    ("n <> 'x'", "big five dbl word sp nan dsuf"),
    ("s is null", "big five dbl word none flag ab a b sp nan dsuf"),
    ("not (n > 3)", ""),
    ("n > 3 OR 1 = 1", "five none flag ab a b s"),
    ("a = 1 = TRUE", "ab a"),
    ("n = 5 IS NULL", "none flag ab a b s"),
    ("n > 9223372036854775807", ""),
    ("a = 'it''s'", ""),
    ("n > + 4", "five"),
    ("NOT NOT a = 1", ""),
    ("NOT a = 1", ""),
    ("n in ('5' , 'word')", "five word"),
    ("TRUE AND NOT FALSE", ALL),
    ("a IS NOT NULL AND NULL", ""),
    ("NULL OR a = 1", "ab a"),
    ("5 IS NULL", ""),
    ("NULL IS NULL", ALL),
    ("now > 5", ""),
    ("NOW > 5", ""),
    ("n > (4)", "five"),
    ("(n) > 4", "five"),
    ("(n) IN ('5')", "five"),
    ("a = TRUE = TRUE", ""),
    ("n > -1", "five"),
    ("n BETWEEN 1 AND 9.5", "five"),
    ("n = 5.5", "dbl"),
    ("n = 5.", "five sp"),
    ("n = .5e1", "five sp"),
    ("n < 2147483647", "five"),
    ("n < 2147483648", "five"),
    ("s NOT CONTAINS ''", ""),
    ("s NOT CONTAINS 'x'", "s"),
    ("s NOT STARTSWITH 'x'", "s"),
    ("NOT (s CONTAINS 'x')", ALL),
    ("NOT (s CONTAINS '')", ALL),
    ("s NOT ENDSWITH ''", ""),
    ("n > 5l", ""),
    ("n > 4 -- x\n AND a = 1", ""),
    ("n = '5' AND x", ""),
    ("(TRUE)", ALL),
    ("-5 IS NOT NULL", ALL),
    ("- - 5 > 4", ALL),
    ("1 = TRUE", ""),
    ("'a' = 'a'", ALL),
    ("'a' = 1", ""),
    ("1 = 'a'", ""),
    ("1.0 = 1", ALL),
    ("n>4", "five"),
    ("n>4AND a=1", ""),
    ("n > 4. AND n < 6", "five"),
    ("$a = 1", ""),
    ("TAGS IS NULL", ALL),
    ("n>=5.0e0", "big five dbl sp nan dsuf"),
    ("n = '5' = TRUE", "five"),
    ("NOT (a = 1) = FALSE", "ab a"),
    ("a IS NULL IS NULL", ""),
    ("n BETWEEN 1 AND 10 AND a IS NULL", "five"),
    ("n BETWEEN 5 AND 5", "five"),
    ("n = ''", ""),
];

fn text(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (key, value) in pairs {
        properties::push(&mut text, key, value);
    }
    text
}

fn matching(expression: &str) -> Result<String, SqlError> {
    let filter = SqlFilter::compile(expression)?;
    let found = MESSAGES.iter().filter(|(_, pairs)| filter.matches(&text(pairs)));
    Ok(found.map(|(name, _)| *name).collect::<Vec<_>>().join(" "))
}

#[test]
#[allow(clippy::too_many_lines)] // one table
fn expressions_match_what_they_match_on_the_reference_broker() {
    for (expression, want) in MATCHES {
        assert_eq!(matching(expression).as_deref(), Ok(*want), "{expression:?}");
    }
}

#[test]
fn expressions_that_can_never_work_do_not_compile() {
    let rows = [
        "n BETWEEN 10 AND 1",
        "a = NULL",
        "TRUE = 5",
        "5",
        "'x'",
        "n > 'a'",
        "'a' CONTAINS 'a'",
        "n IN ()",
        "n > 05",
        "n > 0.0",
        "NOT 5",
        "n > 5 > 4",
        "between = 1",
        "a=1;",
        "n > 9223372036854775808",
        "n > 1e400",
        "n >5 AND",
        "",
        "n CONTAINS b",
        "n == 5",
        "n != 5",
        "TRUE > 1",
        "n BETWEEN '1' AND '9'",
        "n > 0 5 abc",
        "a = 1 b",
        "(a = 1",
        "a = 1)",
        "a NOT 5",
        "n > 4 /* x",
        "n IN ('5',)",
        "n IN (5)",
        "n IS NOT 5",
        "a.b = 1",
        "a-b = 1",
        "n > 0x10",
        "n > 1e-400",
        "n = 00",
        "n IN ('5') OR",
        "a = 1 OR OR b = 1",
        "CONTAINS = 1",
        "n BETWEEN NULL AND 5",
        "a >",
        "a BETWEEN 1",
        "a = 'open",
        "AND",
        "a = 1 /",
    ];
    for expression in rows {
        assert!(SqlFilter::compile(expression).is_err(), "{expression:?}");
    }
}

#[test]
fn an_error_says_where_it_is() {
    let error = |text| SqlFilter::compile(text).unwrap_err().to_string();
    assert_eq!(error("a >"), "SQL expression, column 4: a value is expected, not the end");
    assert_eq!(error("ä = 1"), "SQL expression, column 1: 'ä' means nothing here");
    assert_eq!(
        error("a = 'ä' b"),
        "SQL expression, column 9: an operator or the end is expected, not b"
    );
}

#[test]
fn nesting_chains_and_length_have_limits() {
    let nested = |n: usize| format!("{}a{} = 1", "(".repeat(n), ")".repeat(n));
    assert!(SqlFilter::compile(&nested(60)).is_ok());
    assert!(SqlFilter::compile(&nested(100_000 / 2)).is_err());
    assert!(SqlFilter::compile(&"NOT ".repeat(10_000)).is_err());
    assert!(SqlFilter::compile(&format!("a{}", " = 1".repeat(1_000))).is_err());
    let many = vec!["a = 1"; 5_000].join(" OR ");
    assert!(SqlFilter::compile(&many).unwrap().matches(&text(&[("a", "1")])));
    assert!(SqlFilter::compile(&"a".repeat(EXPRESSION_MAX + 1)).is_err());
    let deep = (0..50).fold("a".to_owned(), |inner, _| format!("-({inner}) = 1 = 2 = 3"));
    let _ = SqlFilter::compile(&deep).map(|filter| filter.matches(""));
}

proptest! {
    #[test]
    fn any_text_compiles_or_is_refused(text in ".{0,80}", properties in ".{0,80}") {
        if let Ok(filter) = SqlFilter::compile(&text) {
            // Only that it returns counts.
            let _ = filter.matches(&properties);
        }
    }

    #[test]
    fn any_row_of_tokens_compiles_or_is_refused(
        words in proptest::collection::vec(
            prop::sample::select(vec![
                "a", "b", "n", "1", "5L", "2.5", "'x'", "''", "TRUE", "NULL", "NOT", "AND", "OR",
                "BETWEEN", "IN", "IS", "CONTAINS", "ENDSWITH", "(", ")", ",", "=", "<>", "<", ">=",
                "+", "-", "--", "/*", "*/", "9223372036854775807",
            ]),
            0..24,
        ),
    ) {
        if let Ok(filter) = SqlFilter::compile(&words.join(" ")) {
            for (_, pairs) in MESSAGES {
                // Only that it returns counts.
                let _ = filter.matches(&text(pairs));
            }
        }
    }
}
