use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::{
    model::{LogSource, SourceKind, logline::Dialect},
    watch::logs::{
        batch::{Batcher, VERBATIM_BYTES},
        lines::{Lines, Sink as _},
    },
};

/// A name, the log, and its entries of several lines: how many lines, and what they say.
type Real = (&'static str, &'static str, &'static [(usize, &'static str)]);

/// What real programs wrote, to their own log or to stderr.
const REAL: &[Real] = &[
    (
        "gunicorn 27, a module missing",
        include_str!("../../../../tests/entries/gunicorn-boot.log"),
        &[(33, "ModuleNotFoundError: No module named 'psycopg2x' (Exception in worker process)")],
    ),
    (
        "gunicorn 20, requests that fail",
        include_str!("../../../../tests/entries/gunicorn-requests.log"),
        &[
            (17, "RuntimeError: no x for (Error handling request)"),
            (19, "ConnectionRefusedError: [Errno 111] Connection refused (Socket error processing request.)"),
            (11, "MemoryError (Error handling request)"),
        ],
    ),
    (
        "Flask",
        include_str!("../../../../tests/entries/flask.log"),
        &[
            (18, "ZeroDivisionError: division by zero (Exception on)"),
            (22, "ConnectionRefusedError: [Errno 111] Connection refused (Exception on)"),
        ],
    ),
    (
        "uwsgi",
        include_str!("../../../../tests/entries/uwsgi.log"),
        &[
            (11, "RuntimeError: no x for"),
            (9, "ConnectionRefusedError: [Errno 111] Connection refused"),
            (24, "!!! uWSGI process 177 got Segmentation Fault !!!"),
        ],
    ),
    (
        "Rust 1.95, one that cannot listen and one without a database",
        include_str!("../../../../tests/entries/rust.log"),
        &[
            (14, "thread 'worker-1' (27234) panicked at main.rs:2:41: index out of bounds: the len is 3 but the index is 99"),
            (
                16,
                "thread 'main' (27233) panicked at main.rs:9:11: called `Result::unwrap()` on an `Err` value: Os { code: 98, kind: AddrInUse, message: \"Address already in use\" }",
            ),
            (14, "thread 'worker-1' (27235) panicked at main.rs:2:41: index out of bounds: the len is 3 but the index is 100"),
            (
                16,
                "thread 'main' (27230) panicked at main.rs:8:130: called `Result::unwrap()` on an `Err` value: Custom { kind: Other, error: \"pool timed out while waiting for an open connection\" }",
            ),
        ],
    ),
    (
        "Node.js",
        include_str!("../../../../tests/entries/node.log"),
        &[
            (24, "Uncaught Error: listen EADDRINUSE: address already in use :::3000"),
            (7, "Uncaught TypeError: Cannot read properties of null (reading 'x')"),
            (9, "Uncaught Error: db gone"),
            (10, "Uncaught UnhandledPromiseRejection: This error originated either by throwing inside of an async function"),
            (16, "Uncaught Error: connect ECONNREFUSED 127.0.0.1:5432"),
            (22, "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"),
            (20, "Uncaught Error: Cannot find module 'expres'"),
            (12, "Uncaught SyntaxError: Unexpected token ';'"),
            (11, "Uncaught Error: getaddrinfo EAI_AGAIN db.internal"),
            (15, "Uncaught Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'nopkg' imported from /srv/app/esm.mjs"),
        ],
    ),
    (
        "Java",
        include_str!("../../../../tests/entries/java.log"),
        &[
            (11, "java.net.BindException: Address already in use (uncaught)"),
            (14, "java.net.ConnectException: Connection refused (uncaught)"),
            (16, "java.net.ConnectException: Connection refused (Servlet.service() for servlet [x] threw exception)"),
            (7, "java.lang.ClassNotFoundException: org.postgresql.Driver (uncaught)"),
            (3, "java.lang.NullPointerException: Cannot invoke \"Object.toString()\""),
            (2, "java.lang.OutOfMemoryError: Metaspace (uncaught)"),
            (2, "java.lang.OutOfMemoryError: Java heap space (uncaught)"),
            (18, "# A fatal error has been detected by the Java Runtime Environment: SIGSEGV (0xb)"),
        ],
    ),
    (
        "Tomcat",
        include_str!("../../../../tests/entries/tomcat.log"),
        &[
            (13, "Error parsing HTTP request header: TLS"),
            (29, "java.net.BindException: Address already in use (Failed to initialize component [Connector[\"http-nio-8180\"]])"),
        ],
    ),
    (
        "Go",
        include_str!("../../../../tests/entries/go.log"),
        &[(4, "panic: assignment to entry in nil map"), (4, "panic: cannot open db"), (18, "http: panic serving 127.0.0.1:46210")],
    ),
    ("puma", include_str!("../../../../tests/entries/puma.log"), &[(13, "Errno::EADDRINUSE: Address already in use")]),
    (
        "nginx in front of php-fpm",
        include_str!("../../../../tests/entries/nginx-php.log"),
        &[
            (
                5,
                "[error] FastCGI sent in stderr: \"PHP message: PHP Fatal error:  Uncaught Error: Call to undefined function undefined_fn()",
            ),
            (
                9,
                "[error] FastCGI sent in stderr: \"PHP message: PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000] [2002] Connection refused",
            ),
            (
                5,
                "[error] FastCGI sent in stderr: \"PHP message: a\nb; PHP message: PHP Fatal error:  Uncaught Error: Call to undefined",
            ),
        ],
    ),
    (
        "PHP's error log",
        include_str!("../../../../tests/entries/php.log"),
        &[
            (5, "PHP Fatal error:  Uncaught Error: Call to undefined function undefined_fn()"),
            (9, "PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000] [2002] Connection refused"),
            (4, "PHP Fatal error:  Uncaught Error: Call to undefined function mysqli_connect()"),
        ],
    ),
    (
        "php-fpm",
        include_str!("../../../../tests/entries/php-fpm.log"),
        &[
            (5, "PHP Fatal error:  Uncaught Error: Call to undefined function undefined_fn()"),
            (9, "PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000] [2002] Connection refused"),
            (4, "PHP Fatal error:  Uncaught Error: Call to undefined function mysqli_connect()"),
        ],
    ),
];

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty())
}

/// The entries of a text: how many lines each has, all of them, and what is kept.
fn entries<'a>(of: impl Iterator<Item = &'a str>) -> Vec<(usize, String, String)> {
    let mut joiner = Joiner::any();
    let mut found = Vec::new();
    let mut whole: Vec<&str> = Vec::new();
    let kept = |joined: Joined| String::from_utf8(joined.text).expect("text");
    for line in of {
        let (before, step) = joiner.step(line.as_bytes(), line.len() as u64, false, None);
        if let Some(before) = before {
            assert_eq!(before.length, whole.iter().map(|line| line.len() as u64).sum::<u64>());
            found.push((whole.len(), whole.join("\n"), kept(before)));
        }
        if step != Step::Joined {
            whole.clear();
        }
        if step == Step::Alone {
            found.push((1, line.to_owned(), line.to_owned()));
        } else {
            whole.push(line);
        }
    }
    found.extend(joiner.release().map(|last| (whole.len(), whole.join("\n"), kept(last))));
    found
}

#[test]
fn what_real_programs_wrote_over_several_lines_is_one_entry() {
    for (name, text, expected) in REAL {
        let entries = entries(lines(text));
        assert_eq!(entries.iter().map(|(count, ..)| count).sum::<usize>(), lines(text).count(), "{name}: a line was lost");
        let several: Vec<_> = entries.iter().filter(|(count, ..)| *count > 1).collect();
        let said: Vec<_> = several.iter().map(|(count, _, kept)| (*count, logline::read(kept).message.into_owned())).collect();
        assert_eq!(said.len(), expected.len(), "{name}: {said:#?}");
        for ((count, message), (lines, start)) in said.iter().zip(*expected) {
            assert!(count == lines && message.starts_with(start), "{name}: {count} lines, {message}, not {lines}, {start}");
        }
        for (_, whole, kept) in several {
            // A line end or bracket that was left out may be missed, not a word of what it says.
            assert_eq!(logline::read(whole).message, logline::read(kept).message, "{name}: other when condensed");
            assert_eq!(logline::read(whole).upstream, logline::read(kept).upstream, "{name}");
            assert!(kept.len() <= VERBATIM_BYTES, "{name}: {} bytes", kept.len());
        }
    }
}

#[test]
fn an_entry_stays_together_whoever_carried_its_lines() {
    for (name, text, expected) in
        REAL.iter().filter(|(name, ..)| ["gunicorn 27, a module missing", "Node.js", "Java"].contains(name))
    {
        for before in [
            "web-1  | ",
            "Nov 20 02:17:41 gw1 app[811]: ",
            "2026-11-20T02:17:41.5+00:00 gw1 app[811]: ",
            "[pod/web-7c9/app] ",
            "2026-11-20T02:17:41.123456789Z stderr F ",
        ] {
            let carried: Vec<String> = lines(text).map(|line| format!("{before}{line}")).collect();
            let entries = entries(carried.iter().map(String::as_str));
            let said = entries
                .iter()
                .filter(|(count, ..)| *count > 1)
                .map(|(count, _, kept)| (*count, logline::read(kept).message.into_owned()));
            for ((count, message), (lines, start)) in said.zip(*expected) {
                assert!(count == *lines && message.starts_with(start), "{name} behind {before:?}: {count} lines, {message}");
            }
        }
    }
}

#[test]
fn the_kernels_report_on_memory_does_not_hide_whom_it_killed() {
    // Composed after mm/oom_kill.c and lib/show_mem.c.
    let report = [
        "nginx invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        "CPU: 1 PID: 811 Comm: nginx Not tainted 6.1.0-18-amd64 #1  Debian 6.1.76-1",
        "Call Trace:",
        " <TASK>",
        " dump_stack_lvl+0x44/0x5c",
        "Mem-Info:",
        "active_anon:17 inactive_anon:123456 isolated_anon:0",
        "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
        "[    811]    33   811   123456    99999   900000        0             0 gunicorn",
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task=gunicorn,pid=811,uid=33",
        "Out of memory: Killed process 811 (gunicorn) total-vm:493824kB, anon-rss:399996kB, file-rss:0kB, shmem-rss:0kB, UID:33 pgtables:900kB oom_score_adj:0",
        "nf_conntrack: nf_conntrack: table full, dropping packet",
    ];
    for before in ["[12345.678901] ", "Nov 20 02:17:41 gw1 kernel: [12345.678901] ", "Nov 20 02:17:41 gw1 kernel: "] {
        let lines: Vec<String> = report.iter().map(|line| format!("{before}{line}")).collect();
        let entries = entries(lines.iter().map(String::as_str));
        let counts: Vec<usize> = entries.iter().map(|(count, ..)| *count).collect();
        assert_eq!(counts, [9, 1, 1, 1], "{before}: {entries:#?}");
        assert_eq!(logline::read(&entries[2].2).dialect, Dialect::Kernel);
    }
}

#[test]
fn lines_of_two_containers_are_not_mixed() {
    let trace = [
        "Traceback (most recent call last):",
        "  File \"/srv/app.py\", line 1, in <module>",
        "ModuleNotFoundError: No module named 'x'",
    ];
    let one: Vec<String> = trace.iter().map(|line| format!("web-1  | {line}")).collect();
    let mixed = [one[0].as_str(), "db-1   | LOG:  checkpoint complete", one[1].as_str()];
    assert_eq!(entries(mixed.into_iter()).len(), 3);
    assert_eq!(entries(one.iter().map(String::as_str)).len(), 1);
}

#[test]
fn an_endless_entry_is_bounded_and_what_it_leaves_out_is_counted() {
    let mut joiner = Joiner::any();
    let first = b"Exception in thread \"main\" java.lang.StackOverflowError";
    joiner.step(first, first.len() as u64, false, None);
    let frame = format!("\tat org.shop.Cart.add(Cart.java:12){}", "x".repeat(200));
    for _ in 0..100_000 {
        assert_eq!(joiner.step(frame.as_bytes(), frame.len() as u64, false, None), (None, Step::Joined));
    }
    assert!(joiner.text.capacity() <= 2 * ENTRY_BYTES, "{}", joiner.text.capacity());
    let entry = joiner.release().expect("an entry");
    assert_eq!(entry.length, first.len() as u64 + 100_000 * frame.len() as u64);
    let text = String::from_utf8(entry.text).expect("text");
    assert!(text.len() <= VERBATIM_BYTES);
    let left: usize =
        text.lines().filter_map(|line| line.strip_prefix("  ... ")?.strip_suffix(" lines")?.parse::<usize>().ok()).sum();
    let kept = text.lines().filter(|line| !line.starts_with("  ... ")).count();
    assert_eq!(left + kept, 100_001, "{text}");
    assert_eq!(logline::read(&text).message, "java.lang.StackOverflowError (uncaught)");
}

#[test]
fn it_is_told_when_the_source_falls_quiet() {
    let mut joiner = Joiner::any();
    let add = |joiner: &mut Joiner, line: &str| joiner.step(line.as_bytes(), line.len() as u64, false, None);
    add(&mut joiner, "[2026-11-20 23:37:22 +0000] [161] [CRITICAL] WORKER TIMEOUT (pid:263)");
    assert_eq!(joiner.looked(), None, "more of it may come at once");
    assert!(joiner.looked().is_some());
    // A trace without its end waits a little longer.
    add(&mut joiner, "Traceback (most recent call last):");
    assert_eq!((joiner.looked(), joiner.looked()), (None, None));
    add(&mut joiner, "  File \"/srv/app.py\", line 1, in <module>");
    assert_eq!((joiner.looked(), joiner.looked()), (None, None));
    assert_eq!(joiner.looked().map(|entry| entry.text.len()), Some(76));
}

#[test]
fn lines_of_a_gateway_cost_nothing_and_wait_for_nothing() {
    let error = "2026/11/20 02:17:41 [error] 811#811: *5 connect() failed (111: Connection refused) while connecting to upstream, client: 203.0.113.9, server: shop, request: \"GET /cart HTTP/1.1\", upstream: \"http://127.0.0.1:8000/cart\", host: \"shop\"";
    let notice = "2026/11/20 02:17:41 [notice] 811#811: reconfiguring";
    for format in [LogFormat::NginxError, LogFormat::Plain] {
        let mut joiner = Joiner::new(&format);
        for line in [error, notice] {
            assert_eq!(joiner.step(line.as_bytes(), line.len() as u64, false, None), (None, Step::Alone));
        }
        assert!(!joiner.is_open() && joiner.text.capacity() == 0);
    }
    let mut joiner = Joiner::new(&LogFormat::NginxAccess("$status".into()));
    assert_eq!(joiner.step(b"  at", 4, false, None), (None, Step::Alone));
}

/// The batches of a log.
fn batched(format: LogFormat, text: &str) -> Vec<(String, u32)> {
    let source = LogSource { path: "/log".into(), kind: SourceKind::Error, format };
    let mut batcher = Batcher::new(source, TimeZone::UTC);
    Lines::default().push(text.as_bytes(), |_| false, &mut batcher);
    batcher.dropped(0);
    batcher.release();
    batcher.all().into_iter().flat_map(|batch| batch.counts).map(|count| (count.key, count.count)).collect()
}

#[test]
fn equal_entries_are_one_group_with_the_upstream_that_its_last_line_names() {
    let (_, text, _) = REAL.iter().find(|(name, ..)| name.starts_with("nginx")).expect("listed");
    let twice = format!("{text}{text}");
    let groups = batched(LogFormat::NginxError, &twice);
    let of = |start: &str| {
        groups.iter().filter(|(key, _)| key.starts_with(start)).map(|(key, count)| (key.as_str(), *count)).collect::<Vec<_>>()
    };
    let fatal = of("[error] FastCGI sent in stderr: \"PHP message: PHP Fatal error:  Uncaught PDOException");
    let [(key, _)] = fatal.as_slice() else { panic!("{groups:#?}") };
    assert!(key.ends_with("server: shop.test, upstream: \"fastcgi://127.0.0.1:9000\""), "{key}");
    assert_eq!(groups.iter().map(|(_, count)| count).sum::<u32>(), 2 * 13, "{groups:#?}");
    assert_eq!(groups, batched(LogFormat::Plain, &twice), "the same in a log of any format");
}

proptest! {
    #[test]
    fn no_line_is_lost_and_none_makes_it_panic(picked in proptest::collection::vec((0..REAL.len(), 0usize..80, proptest::sample::select(vec!["", "web-1  | ", "\t", "é"])), 0..120)) {
        let all: Vec<Vec<&str>> = REAL.iter().map(|(_, text, _)| lines(text).collect()).collect();
        let text: Vec<String> = picked.into_iter().map(|(file, line, before)| format!("{before}{}", all[file][line % all[file].len()])).collect();
        let entries = entries(text.iter().map(String::as_str));
        prop_assert_eq!(entries.iter().map(|(count, ..)| count).sum::<usize>(), text.len());
        for (_, whole, kept) in &entries {
            prop_assert!(kept.len() <= whole.len().max(VERBATIM_BYTES));
            let _ = (logline::read(kept).dialect == Dialect::Plain, logline::read(whole).dialect);
        }
    }
}
