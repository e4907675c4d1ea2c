//! The arrows between modules, the limits on files and the homes of what is dangerous.
//!
//! Reads every path of every source file, `use` or not, and fails with the line and the row of the
//! table that it breaks (architecture.md §3). Tests inside the sources are not held to it.

#![allow(clippy::unwrap_used)] // all of this is tests

use std::fs;
use std::path::{Path, PathBuf};

/// What a module may use of its crates, and what it may never use.
struct Row {
    module: &'static str,
    may_use: &'static [&'static str],
    never: &'static [&'static str],
}

/// Usable by all but `protocol` and `decide`.
const COMMON: [&str; 4] = ["clock", "completion", "config", "metrics"];
const ENGINE: &str = "engine/src";
const TUI: &str = "tui/src";

/// Files, threads, sockets, locks and the clock.
const WORLD: &[&str] = &[
    "tokio",
    "std::fs",
    "std::thread",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::time::SystemTime",
    "std::time::Instant",
    "memmap2",
    "rustix",
];
/// What a synchronous module with state keeps away from.
const ASYNC: &[&str] =
    &["tokio", "std::fs", "std::net::TcpStream", "std::net::TcpListener", "memmap2", "rustix"];

const ENGINE_ROWS: &[Row] = &[
    Row { module: "protocol", may_use: &[], never: WORLD },
    Row { module: "decide", may_use: &["protocol"], never: WORLD },
    Row { module: "store", may_use: &["protocol", "decide"], never: &["tokio"] },
    Row { module: "replication", may_use: &["protocol", "decide", "store"], never: ASYNC },
    Row {
        module: "broker",
        may_use: &["protocol", "decide", "store", "replication"],
        never: ASYNC,
    },
    Row { module: "namesrv", may_use: &["protocol", "decide"], never: ASYNC },
    // It hands frames on and knows no request.
    Row { module: "net", may_use: &["protocol"], never: &["protocol::request", "protocol::body"] },
    Row { module: "client", may_use: &["net", "protocol", "decide"], never: &["memmap2"] },
];

const TUI_ROWS: &[Row] = &[Row {
    module: "model",
    may_use: &["data"],
    never: &["ratatui", "crossterm", "tokio", "std::fs", "std::net", "std::thread"],
}];

/// What the console may use of the engine.
const TUI_OF_ENGINE: [&str; 3] = ["client", "protocol", "clock"];

/// Paths that belong to few files of the engine, each with its reason.
const HOMES: &[(&str, &[(&str, &str)])] = &[
    (
        "std::fs",
        &[
            ("engine/src/store/disk.rs", "the door to the disk"),
            ("engine/src/store/mapped.rs", "takes the open file that it maps"),
            (
                "engine/src/client/positions.rs",
                "where a broadcasting consumer is, on its own machine",
            ),
            ("engine/src/engine/mod.rs", "asks the kernel for limits of this process"),
            ("engine/src/engine/tls_reload.rs", "looks whether certificates were replaced"),
        ],
    ),
    ("memmap2", &[("engine/src/store/mapped.rs", "the only mappings")]),
];

/// Files that may hold `unsafe`.
const UNSAFE: [&str; 1] = ["engine/src/store/mapped.rs"];

/// Most lines of a file without its tests.
const LINES_MAX: usize = 600;
/// Files that may be longer, and why.
const LONGER: &[(&str, &str)] = &[
    (
        "engine/src/store/append.rs",
        "assigning offsets, writing and undoing are one critical section",
    ),
    ("engine/src/store/consume_queue.rs", "a queue's tail and its files are one sequence of units"),
];

/// One path in a source file.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    line: usize,
    path: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    Word(String),
    /// `::`
    Colons,
    Sign(char),
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&root().join(dir), &mut files);
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            (name, text)
        })
        .collect()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
}

/// True for a file that is compiled for tests only: tests of the file beside it, or what they share.
fn is_tests(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    ["tests.rs", "fixtures.rs", "test_storage.rs"].contains(&file)
        || file.ends_with("_tests.rs")
        || name.contains("/tests/")
}

/// The file without the tests at its end.
fn without_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod ").map_or(text, |at| &text[..=at])
}

/// Replaces comments, strings and character literals by blanks; keeps the lines.
fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest, text[..at].chars().last()) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = hashes + 2;
            rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len())
        } else if rest.starts_with('"') {
            quoted(rest, b'"')
        } else if rest.starts_with('\'') {
            character(rest)
        } else {
            let one = rest.chars().next().unwrap();
            out.push(one);
            at += one.len_utf8();
            continue;
        };
        out.extend(rest[..len].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        at += len;
    }
    out
}

fn raw_string(rest: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') && before != Some('b') {
        return None;
    }
    let tail = rest.strip_prefix('r')?;
    let hashes = tail.bytes().take_while(|b| *b == b'#').count();
    tail[hashes..].starts_with('"').then_some(hashes)
}

fn quoted(rest: &str, quote: u8) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// Length of a character literal; 1 for the quote of a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest[1..].chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => quoted(rest, b'\''),
        (Some(one), Some('\'')) => 2 + one.len_utf8(),
        _ => 1,
    }
}

fn tokens(code: &str) -> Vec<(usize, Token)> {
    let mut found = Vec::new();
    let mut chars = code.char_indices().peekable();
    let mut line = 1;
    while let Some((at, c)) = chars.next() {
        if c == '\n' {
            line += 1;
        } else if c.is_alphanumeric() || c == '_' {
            let mut end = at + c.len_utf8();
            while let Some((next, c)) = chars.peek().copied()
                && (c.is_alphanumeric() || c == '_')
            {
                end = next + c.len_utf8();
                chars.next();
            }
            found.push((line, Token::Word(code[at..end].to_owned())));
        } else if c == ':' && chars.peek().is_some_and(|(_, next)| *next == ':') {
            chars.next();
            found.push((line, Token::Colons));
        } else if !c.is_whitespace() {
            found.push((line, Token::Sign(c)));
        }
    }
    found
}

/// Every path of at least two segments; groups of `use` are taken apart.
fn paths(text: &str) -> Vec<Found> {
    let tokens = tokens(&code_only(text));
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = matches!(tokens[at].1, Token::Word(_))
            && (at == 0 || tokens[at - 1].1 != Token::Colons);
        at = if starts { path(&tokens, at, "", &mut found) } else { at + 1 };
    }
    found.retain(|one| one.path.contains("::"));
    found
}

fn path(tokens: &[(usize, Token)], mut at: usize, before: &str, found: &mut Vec<Found>) -> usize {
    let mut whole = before.to_owned();
    let mut line = tokens[at].0;
    loop {
        match tokens.get(at) {
            Some((here, Token::Word(word))) => {
                whole = if whole.is_empty() { word.clone() } else { format!("{whole}::{word}") };
                line = *here;
                at += 1;
            }
            Some((_, Token::Sign('{'))) if !whole.is_empty() => {
                at += 1;
                while at < tokens.len() && tokens[at].1 != Token::Sign('}') {
                    at = match tokens[at].1 {
                        Token::Word(_) => path(tokens, at, &whole, found),
                        _ => at + 1,
                    };
                }
                return at + 1;
            }
            _ => break,
        }
        match tokens.get(at) {
            Some((_, Token::Colons)) => at += 1,
            _ => break,
        }
    }
    found.push(Found { line, path: whole });
    at
}

/// Modules of a file below `src`: `store/disk.rs` → store, disk.
fn modules(name: &str, src: &str) -> Vec<String> {
    let inner = name.strip_prefix(src).unwrap().trim_start_matches('/').trim_end_matches(".rs");
    let mut parts: Vec<String> = inner.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

/// The path as seen from the root of its crate, if it leads into the crate.
fn from_crate_root(path: &str, modules: &[String]) -> Option<Vec<String>> {
    let segments: Vec<&str> = path.split("::").collect();
    let ups = segments.iter().take_while(|one| **one == "super").count();
    let own = |s: &&str| (*s).to_owned();
    if segments[0] == "crate" {
        return Some(segments[1..].iter().map(own).collect());
    }
    if ups == 0 || ups > modules.len() {
        return None;
    }
    let base = modules[..modules.len() - ups].iter().cloned();
    Some(base.chain(segments[ups..].iter().map(own)).collect())
}

fn begins(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// What is wrong with the paths of one file, given the rows of its crate.
fn breaches(name: &str, text: &str, src: &str, rows: &[Row], commons: &[&str]) -> Vec<String> {
    let modules = modules(name, src);
    let Some(row) = modules.first().and_then(|own| rows.iter().find(|row| row.module == own))
    else {
        return Vec::new();
    };
    let pure = ["protocol", "decide"].contains(&row.module);
    let mut wrong = Vec::new();
    for Found { line, path } in paths(without_tests(text)) {
        let inner = from_crate_root(&path, &modules);
        let target = inner.as_ref().and_then(|inner| inner.first());
        if let Some(target) = target {
            let known = rows.iter().any(|row| row.module == target)
                || commons.contains(&target.as_str())
                || target == "engine";
            let allowed = target == row.module
                || row.may_use.contains(&target.as_str())
                || (!pure && commons.contains(&target.as_str()));
            if known && !allowed {
                wrong.push(format!(
                    "{name}:{line}: `{path}`: {} may use {:?}, not {target}",
                    row.module, row.may_use
                ));
            }
        }
        let full = inner.map_or(path, |inner| inner.join("::"));
        for never in row.never.iter().filter(|never| begins(&full, never)) {
            wrong.push(format!("{name}:{line}: `{full}`: {} may never use {never}", row.module));
        }
    }
    wrong
}

fn fail_with(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn modules_of_the_engine_use_only_what_stands_left_of_them() {
    let files = sources(ENGINE);
    let wrong = files
        .iter()
        .filter(|(name, _)| !is_tests(name))
        .flat_map(|(name, text)| breaches(name, text, ENGINE, ENGINE_ROWS, &COMMON));
    fail_with(&wrong.collect::<Vec<_>>());
}

#[test]
fn the_model_of_the_console_draws_nothing_and_does_no_io() {
    let mut wrong = Vec::new();
    for (name, text) in sources(TUI).iter().filter(|(name, _)| !is_tests(name)) {
        wrong.extend(breaches(name, text, TUI, TUI_ROWS, &[]));
    }
    fail_with(&wrong);
}

#[test]
fn the_console_knows_a_cluster_only_by_the_client() {
    let mut wrong = Vec::new();
    for (name, text) in sources(TUI).iter().filter(|(name, _)| !is_tests(name)) {
        for Found { line, path } in paths(without_tests(text)) {
            let mut segments = path.split("::");
            if segments.next() == Some("engine")
                && let Some(module) = segments.next()
                && !TUI_OF_ENGINE.contains(&module)
            {
                wrong.push(format!("{name}:{line}: `{path}`: tui may use {TUI_OF_ENGINE:?}"));
            }
        }
    }
    fail_with(&wrong);
}

#[test]
fn files_and_mappings_have_one_home_in_the_engine() {
    let mut wrong = Vec::new();
    for (name, text) in sources(ENGINE).iter().filter(|(name, _)| !is_tests(name)) {
        for Found { line, path } in paths(without_tests(text)) {
            for (what, homes) in HOMES {
                if begins(&path, what) && !homes.iter().any(|(home, _)| home == name) {
                    wrong.push(format!("{name}:{line}: `{path}`: {what} belongs to {homes:?}"));
                }
            }
        }
    }
    fail_with(&wrong);
}

#[test]
fn unsafe_code_has_one_home() {
    let mut wrong = Vec::new();
    for (name, text) in [ENGINE, TUI, "src"].iter().flat_map(|dir| sources(dir)) {
        for (line, token) in tokens(&code_only(&text)) {
            if token == Token::Word("unsafe".to_owned()) && !UNSAFE.contains(&name.as_str()) {
                wrong.push(format!("{name}:{line}: unsafe belongs to {UNSAFE:?}"));
            }
        }
    }
    fail_with(&wrong);
}

#[test]
fn a_file_fits_a_subject() {
    let mut wrong = Vec::new();
    for (name, text) in [ENGINE, TUI, "src"].iter().flat_map(|dir| sources(dir)) {
        let lines = without_tests(&text).lines().count();
        let excused = LONGER.iter().any(|(file, _)| *file == name) || is_tests(&name);
        if lines > LINES_MAX && !excused {
            wrong.push(format!("{name}: {lines} lines without its tests, at most {LINES_MAX}"));
        }
    }
    fail_with(&wrong);
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut wrong = Vec::new();
    for (name, text) in [ENGINE, TUI, "src", "tests"].iter().flat_map(|dir| sources(dir)) {
        if !text.starts_with("//! ") {
            wrong.push(format!("{name}: does not open with `//!`"));
        }
    }
    fail_with(&wrong);
}

#[test]
fn paths_are_found_in_groups_and_in_code_but_not_in_text() {
    let text = "//! crate::a::b\nuse crate::{store::{self, disk::Disk}, net};\n\
                fn f<'a>(c: &'a str) { super::x::y(\"crate::no::no\", ':', r#\"std::fs\"#); std::fs::read(c) }\n";
    let found: Vec<_> = paths(text).into_iter().map(|one| (one.line, one.path)).collect();
    let expected = [
        (2, "crate::store::self"),
        (2, "crate::store::disk::Disk"),
        (2, "crate::net"),
        (3, "super::x::y"),
        (3, "std::fs::read"),
    ];
    let expected: Vec<_> =
        expected.iter().map(|(line, path)| (*line, (*path).to_owned())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_breach_is_told_with_its_line_and_row() {
    let told = |name: &str, text: &str| breaches(name, text, ENGINE, ENGINE_ROWS, &COMMON);
    let wrong = told("engine/src/store/append.rs", "\nuse crate::broker::Broker;\n");
    assert_eq!(
        wrong,
        ["engine/src/store/append.rs:2: `crate::broker::Broker`: store may use \
          [\"protocol\", \"decide\"], not broker"]
    );
    assert!(told("engine/src/broker/handle/send.rs", "use super::super::state::X;\n").is_empty());
    assert_eq!(told("engine/src/decide/retry.rs", "use super::super::store::X;\n").len(), 1);
    assert_eq!(told("engine/src/decide/retry.rs", "use crate::clock::Clock;\n").len(), 1);
    assert_eq!(told("engine/src/broker/broker.rs", "use tokio::spawn;\n").len(), 1);
    let tests = "use crate::protocol;\n\n#[cfg(test)]\nmod tests { use tokio::spawn; }\n";
    assert!(told("engine/src/decide/retry.rs", tests).is_empty());
}

/// `fileReservedTime` → `file_reserved_time`.
fn field(key: &str) -> String {
    let mut name = String::new();
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// What may change at run time is read from the settings in force, never from those of the start.
#[test]
fn settings_that_may_change_are_read_where_they_change() {
    let table = fs::read_to_string(root().join("engine/src/broker/state/settings.rs")).unwrap();
    let table = table.split_once("RUN_TIME").unwrap().1.split_once("];").unwrap().0;
    let keys: Vec<String> =
        table.split("(\"").skip(1).map(|row| field(row.split_once('"').unwrap().0)).collect();
    assert!(keys.len() > 10, "{keys:?}");
    let mut wrong = Vec::new();
    for (name, text) in sources("engine/src/broker") {
        for (at, line) in without_tests(&text).lines().enumerate() {
            for key in &keys {
                let stale = [format!("broker.config.{key}"), format!("self.config.{key}")];
                if stale.iter().any(|stale| line.contains(stale.as_str())) {
                    wrong.push(format!("{name}:{}: use live() for {key}", at + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
