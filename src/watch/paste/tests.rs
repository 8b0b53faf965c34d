//! Tests of the reader of pastes.

use proptest::{collection::vec, prelude::*};

use super::*;

/// Lines of programs whose format is only told by what stands behind the first column that a terminal cuts at.
const BEHIND: [&str; 2] = [
    "Nov 21 05:44:16 lb1 haproxy[6162]: 203.0.113.9:54493 [21/Nov/2026:05:44:15.030] www shop/<NOSRV> 0/1002/-1/-1/1002 503 217 - - sQ-- 12/12/11/0/0 0/1 \"GET /sale/8 HTTP/1.1\"",
    r#"{"level":"error","ts":1795239860.2716236,"logger":"http.log.error","msg":"dial tcp 127.0.0.1:5000: connect: connection refused","request":{"remote_ip":"203.0.113.9","method":"GET","host":"shop.example.com","uri":"/"},"duration":0.001,"status":502,"err_id":"7sxiqb7aa","err_trace":"reverseproxy.statusError (reverseproxy.go:1272)"}"#,
];

fn keys(text: &str) -> Vec<(String, u32)> {
    let batches = read(text, &TimeZone::UTC, 2_000_000_000);
    batches.into_iter().flat_map(|batch| batch.counts).map(|count| (count.key, count.count)).collect()
}

#[test]
fn a_cut_that_hides_the_format_is_mended_too() {
    for line in BEHIND {
        let whole = keys(&format!("{line}\n{line}\n{line}\n"));
        assert_eq!(whole[0].1, 3, "equal lines are not taken for cut ones: {whole:?}");
        for width in [80, 100] {
            let chars: Vec<char> = line.chars().collect();
            let wrapped: Vec<String> = chars.chunks(width).map(|part| part.iter().collect()).collect();
            let wrapped = wrapped.join("\n");
            assert_eq!(keys(&format!("{wrapped}\n{wrapped}\n{wrapped}\n")), whole, "cut at {width}");
        }
    }
}

#[test]
fn what_begins_with_its_level_or_as_another_file_goes_on_with_no_line() {
    let crashed =
        "WARNING: [pool www] child 2663814 exited on signal 11 (SIGSEGV - core dumped) after 1109.895754 seconds from start";
    for next in ["NOTICE: [pool www] child 2690905 started", "==> /var/log/nginx/error.log <=="] {
        let batches = read(&format!("{crashed}\n{next}\n"), &TimeZone::UTC, 2_000_000_000);
        let firsts: Vec<String> = batches.into_iter().flat_map(|batch| batch.counts).map(|count| count.first).collect();
        assert!(firsts.iter().any(|first| first == crashed), "{firsts:?}");
    }
}

#[test]
fn a_quotation_is_read_without_its_marks() {
    let words: Vec<&str> = LINE.split(' ').collect();
    let filled = words.chunks(9).fold(String::new(), |filled, words| filled + "> " + &words.join(" ") + "\n");
    assert_eq!(errors(&filled)[0].0, errors(LINE)[0].0, "{filled}");
}

const LINE: &str = "2026/11/20 02:17:41 [error] 811#811: *5 connect() failed (111: Connection refused) while connecting to upstream, \
                    client: 203.0.113.9, server: shop, request: \"GET /cart HTTP/1.1\", upstream: \"http://127.0.0.1:8000/cart\", host: \"shop\"";

fn errors(text: &str) -> Vec<(String, u32, String)> {
    let batches = read(text, &TimeZone::UTC, 2_000_000_000);
    let of = batches.into_iter().filter(|batch| batch.kind == SourceKind::Error).flat_map(|batch| batch.counts);
    of.map(|count| (count.key, count.count, count.first)).collect()
}

#[test]
fn a_line_is_found_behind_what_stands_before_it() {
    let plain = errors(LINE);
    assert_eq!(plain.len(), 1);
    for before in [
        "web-1  | ",
        "/var/log/nginx/error.log:",
        "/var/log/nginx/error.log-12:",
        "Nov 20 02:17:41 gw1 nginx: ",
        "[pod/gw-7c9/nginx] ",
        "2026-11-20T02:17:41.123Z ",
        "  ",
        "> ",
    ] {
        let found = errors(&format!("{before}{LINE}"));
        assert_eq!((&found[0].0, found[0].1, found.len()), (&plain[0].0, 1, 1), "{before}");
    }
}

#[test]
fn equal_lines_count_together_and_others_stay_apart() {
    let text = format!("$ tail error.log\n{LINE}\n{LINE}\nsome other words\n");
    assert_eq!(errors(&text)[0].1, 2);
    let all = read(&text, &TimeZone::UTC, 2_000_000_000);
    assert_eq!(all.iter().filter(|batch| batch.kind == SourceKind::App).map(|batch| batch.counts.len()).sum::<usize>(), 2);
}

#[test]
fn the_journal_is_read_in_its_own_formats() {
    let message = LINE;
    let export = [
        &b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1763605061000000\n_PID=1\nSYSLOG_IDENTIFIER=nginx\nMESSAGE\n"[..],
        &(message.len() as u64).to_le_bytes(),
        message.as_bytes(),
        b"\n\n__CURSOR=s=2\n_PID=1\nSYSLOG_IDENTIFIER=nginx\nMESSAGE=",
        message.as_bytes(),
        b"\n",
    ];
    let mut paste = Paste::new(TimeZone::UTC, 2_000_000_000);
    export.concat().chunks(100).for_each(|piece| paste.push(piece));
    let counts: Vec<_> = paste.finish().into_iter().flat_map(|batch| batch.counts).collect();
    assert_eq!(counts.iter().map(|count| count.count).sum::<u32>(), 2, "{counts:?}");
    assert!(counts.iter().all(|count| count.key.contains("connect() failed")), "{counts:?}");
    let quoted = serde_json::to_string(message).expect("text");
    let json = format!("{{\"__REALTIME_TIMESTAMP\":\"1763605061000000\",\"SYSLOG_IDENTIFIER\":\"nginx\",\"MESSAGE\":{quoted}}}\n");
    assert_eq!(errors(&json)[0].0, errors(LINE)[0].0);
}

#[test]
fn wrapped_lines_are_put_together() {
    let plain = errors(LINE);
    for width in [72, 80, 100, 120] {
        let chars: Vec<char> = LINE.chars().collect();
        let wrapped: Vec<String> = chars.chunks(width).map(|part| part.iter().collect()).collect();
        assert_eq!(errors(&wrapped.join("\n"))[0].0, plain[0].0, "cut at {width}");
        let (mut lines, mut line) = (Vec::new(), String::new());
        for word in LINE.split(' ') {
            if line.len() + word.len() >= width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
        assert_eq!(errors(&lines.join("\n"))[0].0, plain[0].0, "filled at {width}");
    }
}

proptest! {
    #[test]
    fn it_makes_no_difference_in_which_pieces_it_comes(
        order in vec(any::<prop::sample::Index>(), 0..40),
        sizes in vec(1usize..200, 1..40),
    ) {
        const ACCESS: &str = "10.0.0.9 - - [20/Nov/2026:02:17:41 +0000] \"GET / HTTP/1.1\" 502 157 \"-\" \"curl/7.88.1\"";
        let later = LINE.replace(":41", ":42").replace("/cart", "/other");
        let (first, second) = LINE.split_at(100);
        let (part, _) = ACCESS.split_at(60);
        let prompt = format!("root@gw1:~# {LINE}");
        let lines = [LINE, &later, first, second, ACCESS, part, &prompt, "", "  at x.js:17", "2026/11/20 02:17:41 [", "a word"];
        let text: String = order.iter().flat_map(|at| [*at.get(&lines), "\n"]).collect();
        let pieces = |sizes: &mut dyn Iterator<Item = usize>| {
            let mut paste = Paste::new(TimeZone::UTC, 2_000_000_000);
            // As if it was long past the beginning.
            paste.head = None;
            let mut rest = text.as_bytes();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(sizes.next().unwrap_or(rest.len()).min(rest.len()));
                paste.push(piece);
                rest = after;
            }
            paste.finish()
        };
        let whole = pieces(&mut std::iter::empty());
        prop_assert_eq!(&pieces(&mut sizes.iter().copied().cycle()), &whole);
        prop_assert_eq!(pieces(&mut std::iter::repeat(1)), whole);
    }
}

#[test]
fn a_trace_is_one_entry_among_lines_of_others() {
    let trace = include_str!("../../../tests/entries/gunicorn-boot.log");
    let php = include_str!("../../../tests/entries/nginx-php.log");
    let text = format!("$ tail error.log\n{php}$ journalctl -u app\n{trace}{LINE}\n");
    let counts: Vec<_> = read(&text, &TimeZone::UTC, 2_000_000_000).into_iter().flat_map(|batch| batch.counts).collect();
    let of = |start: &str| counts.iter().filter(|count| count.key.starts_with(start)).map(|count| count.count).sum::<u32>();
    assert_eq!(of("[error] ModuleNotFoundError: No module named 'psycopg#x' (Exception in worker process)"), 1, "{counts:#?}");
    assert_eq!(of("[error] FastCGI sent in stderr: \"PHP message: PHP Fatal error:  Uncaught PDOException"), 1, "{counts:#?}");
    assert_eq!(of("[error] connect() failed"), 1, "{counts:#?}");
    assert!(!counts.iter().any(|count| count.first.starts_with(['#', ' '])), "a frame stands alone: {counts:#?}");
}

#[test]
fn colours_are_no_part_of_a_line() {
    const LINE: &str = "2026/11/20 02:17:41 [crit] 811#811: *5 pwrite() \"/x\" failed (28: No space left on device)";
    for (begin, end) in [
        ("\u{1b}[0;1;31m\u{1b}[0;1;39m", "\u{1b}[0m"),
        ("^[[0;1;31m", "^[[0m"),
        ("#033[31m", "#033[0m"),
        ("\\u001b[31m", "\\u001b[39m"),
        ("[31m", "[0m"),
        ("", "\u{1b}[K"),
    ] {
        let line = format!("Nov 20 02:17:41 web1 nginx[811]: {begin}{LINE}{end}");
        assert_eq!(wrap::uncoloured(line.as_bytes()), format!("Nov 20 02:17:41 web1 nginx[811]: {LINE}").as_bytes(), "{line}");
    }
    for other in ["a[12] = b[0]; m", "[mpm_event:notice] [pid 1:tid 2] x", "^[a-z]+m \u{1b}(B #033", "\\x1b[", "[", "é^[é"] {
        assert_eq!(wrap::uncoloured(other.as_bytes()), other.as_bytes(), "{other}");
    }
}

#[test]
fn another_word_below_a_value_is_another_word() {
    for (line, next, joined) in [
        ("reaped #<Process::Status: pid 4711 SIGKILL (signal 9)> worker=1", "the page shows 502", "worker=1 the page shows 502"),
        ("the page shows 502", "Whoops", "502 Whoops"),
        ("host: \"web12", "a.example\"", "web12a.example\""),
    ] {
        let mut line = line.to_owned();
        wrap::join(&mut line, next);
        assert!(line.ends_with(joined), "{line}");
    }
}

#[test]
fn quotes_of_a_chat_are_those_of_the_program() {
    const SMART: &str = "upstream: \u{201c}fastcgi://unix:/run/php/php8.1-fpm.sock:\u{201d}, host: \u{201c}shop\u{201d}";
    assert_eq!(
        wrap::plain_quotes(SMART.as_bytes()),
        b"upstream: \"fastcgi://unix:/run/php/php8.1-fpm.sock:\", host: \"shop\"".as_slice()
    );
    // A client's words between the program's own quotes.
    let sent = "request: \"GET /\u{201d}, upstream: \u{201c}x HTTP/1.1\"";
    assert_eq!(wrap::plain_quotes(sent.as_bytes()), sent.as_bytes());
}

#[test]
fn complete_lines_of_one_length_are_no_cut_line() {
    let line = |second: u32| {
        format!("2026-03-05 10:12:{second} UTC [63{second}] FATAL:  sorry, too many clients already, and some more words here")
    };
    let text = format!("{}\n{}\n{}\n", line(31), line(32), line(33));
    let lines: u32 =
        read(&text, &TimeZone::UTC, 1_795_141_061).iter().flat_map(|batch| &batch.counts).map(|count| count.count).sum();
    assert_eq!(lines, 3);
}

#[test]
fn lines_whose_ends_became_blanks_are_told_apart() {
    let nginx = |second: u32, path: &str| {
        format!(
            "2026/11/23 07:00:{second:02} [error] 811#811: *5 connect() failed (111: Connection refused) while connecting to upstream, \
             client: 203.0.113.9, server: shop, request: \"GET {path} HTTP/1.1\", upstream: \"http://127.0.0.1:8000{path}\", host: \"shop\""
        )
    };
    let syslog = |host: &str, said: &str| format!("Nov 23 07:00:00 {host} systemd[1]: {said}");
    for (lines, expected) in [
        (vec![nginx(0, "/a"), nginx(1, "/b"), nginx(2, "/c")], 3),
        (vec![syslog("gw1", "app.service: Failed with result 'oom-kill'."), syslog("gw1", "Stopped app.")], 2),
        // Of another writer, and what only looks like one.
        (vec![syslog("gw1", "told by"), syslog("gw2", "Stopped app.")], 1),
        (vec![nginx(0, "/2026/11/23 07:00:01 [error] of mine")], 1),
    ] {
        let parted = wrap::parted(&lines.join(" ")).map_or(1, |text| text.lines().count());
        assert_eq!(parted, expected, "{lines:?}");
        let counted = read(&lines.join(" "), &TimeZone::UTC, 1_795_500_000);
        assert_eq!(
            counted.iter().flat_map(|batch| &batch.counts).map(|count| count.count).sum::<u32>() as usize,
            expected,
            "{lines:?}"
        );
    }
    // Where there are ends, what stands in a line is the client's.
    let hostile = format!("{} {}\n{}\n", nginx(0, "/a"), nginx(1, "/b"), nginx(2, "/c"));
    assert_eq!(wrap::parted(&hostile), None);
}
