use proptest::prelude::*;

use super::*;

fn binary(name: &str, value: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b"\n", &(value.len() as u64).to_le_bytes(), value, b"\n"].concat()
}

/// Two entries: one of a worker with a message of two lines, and one of systemd about the same unit.
fn sample() -> Vec<u8> {
    [
        &b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1763605061123456\n__MONOTONIC_TIMESTAMP=987\n_PID=811\nPRIORITY=3\n"[..],
        b"SYSLOG_IDENTIFIER=gunicorn\n_COMM=python3\n_SYSTEMD_UNIT=app.service\n",
        &binary("MESSAGE", b"Traceback\n  x = \xff=1"),
        b"\n__REALTIME_TIMESTAMP=1763605062000000\n_PID=1\nSYSLOG_IDENTIFIER=systemd\n_SYSTEMD_UNIT=init.scope\n",
        b"MESSAGE=app.service: Main process exited, code=killed, status=9/KILL\nUNIT=app.service\n\n",
    ]
    .concat()
}

fn read(bytes: &[u8], piece: usize) -> (Vec<JournalEntry>, u64) {
    let (mut export, mut entries) = (JournalExport::default(), Vec::new());
    for piece in bytes.chunks(piece) {
        export.push(piece, |entry| entries.push(entry));
    }
    (entries, export.lost())
}

#[test]
fn entries_come_out_whole_however_they_are_cut() {
    let (whole, lost) = read(&sample(), 10_000);
    assert_eq!((whole.len(), lost), (2, 0));
    assert_eq!(whole[0].line(), b"2025-11-20T02:17:41.123456Z gunicorn[811]: Traceback\n  x = \xff=1");
    assert_eq!((whole[0].realtime_us, whole[0].priority), (Some(1_763_605_061_123_456), Some(3)));
    assert_eq!(whole[0].unit.as_deref(), Some("app.service"));
    assert_eq!(whole[1].unit.as_deref(), Some("app.service"), "what systemd says about it belongs to it");
    assert_eq!(
        whole[1].line(),
        b"2025-11-20T02:17:42.000000Z systemd[1]: app.service: Main process exited, code=killed, status=9/KILL"
    );
    for piece in [1, 2, 3, 7, 64] {
        assert_eq!(read(&sample(), piece).0, whole, "in pieces of {piece}");
    }
}

#[test]
fn nonsense_costs_one_entry_and_no_memory() {
    let claim = [&b"MESSAGE\n"[..], &u64::MAX.to_le_bytes(), b"xyz\nA=1\n\n", &sample()].concat();
    let (entries, lost) = read(&claim, 5);
    assert_eq!((entries.len(), lost), (2, 1));
    let huge = [&b"MESSAGE="[..], &vec![b'x'; 4 << 20], b"\n_PID=7\n\n", &binary("MESSAGE", &vec![b'y'; 1 << 20]), b"\n"].concat();
    let mut export = JournalExport::default();
    let mut entries = Vec::new();
    for piece in huge.chunks(4096) {
        export.push(piece, |entry| entries.push(entry));
        assert!(export.buffer.capacity() <= 4 * VALUE_BYTES);
    }
    assert_eq!(entries.iter().map(|entry| entry.length).collect::<Vec<_>>(), [4 << 20, 1 << 20]);
    assert!(entries.iter().all(|entry| entry.message.len() <= VALUE_BYTES + NAME_BYTES));
    assert_eq!(entries[0].pid, Some(7));
}

#[test]
fn json_says_the_same() {
    let line = r#"{"_PID":"811","SYSLOG_IDENTIFIER":"gunicorn","_COMM":"python3","__REALTIME_TIMESTAMP":"1763605061123456","_SYSTEMD_UNIT":"init.scope","UNIT":"app.service","PRIORITY":"3","MESSAGE":[84,255,10]}"#;
    let entry = journal_json(line).expect("an entry");
    assert_eq!(entry.line(), b"2025-11-20T02:17:41.123456Z gunicorn[811]: T\xff\n");
    assert_eq!((entry.unit.as_deref(), entry.realtime_us), (Some("app.service"), Some(1_763_605_061_123_456)));
    for other in ["", "{}", r#"{"msg":"x"}"#, "[1]", r#"{"__REALTIME_TIMESTAMP":"#] {
        assert_eq!(journal_json(other), None, "{other}");
    }
}

#[test]
fn an_identifier_cannot_pretend_to_be_more() {
    let entry =
        JournalEntry { identifier: Some("a: b[1]".into()), pid: Some(2), message: b"m".to_vec(), ..JournalEntry::default() };
    assert_eq!(entry.line(), b"a__b_1_[2]: m");
}

proptest! {
    #[test]
    fn anything_is_survived_and_cuts_change_nothing(bytes in proptest::collection::vec(proptest::sample::select(b"A=\n\x00\x01\xffMESSAGE".to_vec()), 0..400), piece in 1usize..40) {
        prop_assert_eq!(read(&bytes, piece), read(&bytes, 1000));
    }
}

#[test]
fn its_line_is_read_as_one_that_syslog_carried() {
    let (entries, _) = read(&sample(), 100);
    let line = String::from_utf8(entries[1].line()).expect("text");
    let entry = super::super::read(&line);
    assert_eq!((entry.program, entry.pid), (Some("systemd"), Some(1)));
    assert!(entry.message.starts_with("app.service: Main process exited") && entry.time.is_some());
}
