//! Tests of both places of the sink: rows and position stay together.

use super::*;

fn key() -> QueueKey {
    QueueKey {
        cluster: "c".into(),
        group: "billing".into(),
        topic: "%DLQ%billing".into(),
        broker: "broker-a".into(),
        queue: 0,
    }
}

fn letter(offset: i64) -> Portable {
    Portable {
        group: "billing".into(),
        id: format!("broker-a:0:{offset}"),
        broker: "broker-a".into(),
        topic: "%DLQ%billing".into(),
        queue: 0,
        offset,
        log_offset: offset * 100,
        origin: Some("invoices".into()),
        unique_id: format!("U{offset}"),
        first_copy: None,
        tag: Some("create".into()),
        keys: "inv-1 inv-2".into(),
        tries: 17,
        died_ms: 1_000 + offset,
        born_ms: 1,
        born_host: "10.0.0.1:1".into(),
        store_host: "10.0.0.2:2".into(),
        flag: 7,
        sys_flag: 0,
        properties: "KEYS\u{1}inv-1 inv-2\u{2}".into(),
        resent_from: None,
        resent_count: 0,
        body: Some("{}".into()),
        stored_body: crate::portable::base64(b"{}"),
    }
}

fn at(next: i64) -> Position {
    Position { next, before_ms: Some(999 + next) }
}

fn places() -> (tempfile::TempDir, [Place; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let places = [Place::Sqlite(dir.path().join("sink.db")), Place::Jsonl(dir.path().join("sink"))];
    (dir, places)
}

#[test]
fn rows_and_position_survive_a_restart_together() {
    let (_dir, places) = places();
    for place in &places {
        let mut keep = open(place).unwrap();
        assert_eq!(keep.position(&key()).unwrap(), None, "{place:?}");
        let begin = Position { next: 3, before_ms: None };
        assert!(keep.commit(&key(), None, &[], begin).unwrap());
        drop(keep);
        let mut keep = open(place).unwrap();
        assert_eq!(keep.position(&key()).unwrap(), Some(begin), "{place:?}");
        assert!(keep.commit(&key(), Some(begin), &[letter(3), letter(4)], at(5)).unwrap());
        drop(keep);
        let mut keep = open(place).unwrap();
        assert_eq!(keep.position(&key()).unwrap(), Some(at(5)), "{place:?}");
    }
}

#[test]
fn a_place_tells_only_what_is_a_place() {
    assert_eq!(Place::parse("sqlite:a/b.db"), Some(Place::Sqlite("a/b.db".into())));
    assert_eq!(Place::parse("jsonl:dir"), Some(Place::Jsonl("dir".into())));
    for bad in ["", "sqlite", "sqlite:", "csv:x", "a.db"] {
        assert_eq!(Place::parse(bad), None, "{bad}");
    }
}

#[test]
fn two_sinks_never_write_the_same_letter() {
    let (_dir, [sqlite, jsonl]) = places();
    let (mut one, mut other) = (open(&sqlite).unwrap(), open(&sqlite).unwrap());
    assert!(one.commit(&key(), None, &[letter(0)], at(1)).unwrap());
    assert!(!other.commit(&key(), None, &[letter(0)], at(1)).unwrap(), "it was moved meanwhile");
    assert!(other.commit(&key(), Some(at(1)), &[letter(1)], at(2)).unwrap());
    let _one = open(&jsonl).unwrap();
    assert!(matches!(open(&jsonl), Err(SinkError::InUse { .. })));
}

#[test]
fn what_a_crash_tore_off_is_cut_and_read_again() {
    let (_dir, [_, jsonl]) = places();
    let mut keep = open(&jsonl).unwrap();
    keep.commit(&key(), None, &[], Position { next: 0, before_ms: None }).unwrap();
    let begun = keep_position(&mut *keep);
    keep.commit(&key(), begun, &[letter(0), letter(1)], at(2)).unwrap();
    drop(keep);
    let Place::Jsonl(dir) = &jsonl else { unreachable!() };
    let file = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some()).unwrap();
    let whole = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<usize> = whole.match_indices('\n').map(|(at, _)| at).collect();
    for cut in (lines[0] + 1..whole.len()).step_by(7) {
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(cut as u64).unwrap();
        let mut keep = open(&jsonl).unwrap();
        let next = keep_position(&mut *keep).unwrap().next;
        let kept = i64::from(cut > lines[1]);
        assert_eq!(next, kept, "cut at {cut}");
        drop(keep);
        std::io::Write::write_all(
            &mut std::fs::OpenOptions::new().write(true).truncate(true).open(&file).unwrap(),
            whole.as_bytes(),
        )
        .unwrap();
    }
}

fn keep_position(keep: &mut dyn Keep) -> Option<Position> {
    keep.position(&key()).unwrap()
}

#[test]
fn rows_are_selected_by_sql_and_marked() {
    let (_dir, [sqlite, _]) = places();
    let Place::Sqlite(file) = &sqlite else { unreachable!() };
    let mut keep = open(&sqlite).unwrap();
    keep.commit(&key(), None, &[letter(0), letter(1), letter(2)], at(3)).unwrap();
    let read = Database::open_read(file).unwrap();
    let rows = read.select("offset >= 1 AND keys LIKE '%inv-2%'").unwrap();
    assert_eq!(rows.iter().map(|row| row.letter.offset).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(rows[0].letter, letter(1), "every field is as it was");
    assert_eq!(rows[0].before, None);
    Database::open(file).unwrap().mark(rows[0].row, 5, "orders", "sent").unwrap();
    let rows = read.select("resent_ms IS NOT NULL").unwrap();
    assert_eq!((rows.len(), rows[0].before.as_deref()), (1, Some("sent")));
    assert!(
        read.select("1); DELETE FROM letters; --").is_err() || read.select("1").unwrap().len() == 3
    );
    assert!(read.select("no such column").is_err());
    assert_eq!(read.select("1").unwrap().len(), 3, "a condition changes nothing");
}
