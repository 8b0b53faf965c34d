use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::model::{LogFormat, SourceKind};

const FORMAT: &str = "$remote_addr [$time_local] \"$request\" $status \"$http_referer\" ua=\"$upstream_addr\" us=\"$upstream_status\" \
     uht=\"$upstream_header_time\"";

/// Lines by second and key, with the first and the last of them.
type Counted = BTreeMap<(Option<i64>, String), (u64, String, String)>;

fn source(format: LogFormat) -> LogSource {
    LogSource { path: "/var/log/x".into(), kind: SourceKind::Error, format }
}

fn counted(batches: Vec<LogBatch>) -> Counted {
    let mut all = Counted::new();
    for count in batches.into_iter().flat_map(|batch| batch.counts) {
        assert_eq!(count.last.is_some(), count.count > 1);
        let last = count.last.unwrap_or_else(|| count.first.clone());
        let known = all.entry((count.second, count.key)).or_insert((0, count.first, String::new()));
        (known.0, known.2) = (known.0 + u64::from(count.count), last);
    }
    all
}

/// The lines through a batcher, and each by itself through the reader of whole lines.
fn both(format: &LogFormat, lines: &[Vec<u8>]) -> (Counted, Counted) {
    let mut batcher = Batcher::new(source(format.clone()), TimeZone::UTC);
    let mut batches = Vec::new();
    let mut plain = Counted::new();
    for line in lines {
        batcher.add(line, line.len() as u64, false, None);
        batches.append(&mut batcher.full());
        let text = String::from_utf8_lossy(line).into_owned();
        let mut key = String::new();
        let second = Normaliser::new(format, TimeZone::UTC).line(&text, &mut key);
        let known = plain.entry((second, key)).or_insert_with(|| (0, text.clone(), String::new()));
        (known.0, known.2) = (known.0 + 1, text);
    }
    batches.append(&mut batcher.all());
    (counted(batches), plain)
}

/// Lines by second and key; and each key's first and last line.
type Spanned = (BTreeMap<(Option<i64>, String), u64>, BTreeMap<String, (String, String)>);

/// How many lines came of each key in each second, all seconds counted together; and each key's first and last line.
fn spanned(format: &LogFormat, lines: &[Vec<u8>]) -> Spanned {
    let mut batcher = Batcher::new(source(format.clone()), TimeZone::UTC).spanning();
    for line in lines {
        batcher.add(line, line.len() as u64, false, None);
    }
    let (mut counts, mut texts) = (BTreeMap::new(), BTreeMap::new());
    for count in batcher.all().into_iter().flat_map(|batch| batch.counts) {
        let later: u32 = count.later.iter().map(|(_, lines)| lines).sum();
        *counts.entry((count.second, count.key.clone())).or_insert(0) += u64::from(count.count - later);
        for (second, lines) in count.later {
            *counts.entry((Some(second), count.key.clone())).or_insert(0) += u64::from(lines);
        }
        let last = count.last.unwrap_or_else(|| count.first.clone());
        texts.entry((count.key, count.second.is_some())).or_insert((count.first, String::new())).1 = last;
    }
    (counts, texts.into_iter().map(|((key, stamped), texts)| (format!("{stamped} {key}"), texts)).collect())
}

/// The same of lines that were read one by one.
fn together(format: &LogFormat, lines: &[Vec<u8>]) -> Spanned {
    let (mut counts, mut texts) = (BTreeMap::new(), BTreeMap::new());
    for line in lines {
        let text = String::from_utf8_lossy(line).into_owned();
        let mut key = String::new();
        let second = Normaliser::new(format, TimeZone::UTC).line(&text, &mut key);
        let stamped = second.is_some();
        texts.entry(format!("{stamped} {key}")).or_insert((text.clone(), String::new())).1.clone_from(&text);
        *counts.entry((second, key)).or_insert(0) += 1;
    }
    (counts, texts)
}

/// One of these, often followed by bytes that are no text.
fn one(of: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    (select(of), prop::bool::weighted(0.03)).prop_map(|(text, broken)| {
        let mut bytes = text.as_bytes().to_vec();
        if broken {
            bytes.extend_from_slice(b"\xff\xc3");
        }
        bytes
    })
}

fn error_line() -> impl Strategy<Value = Vec<u8>> {
    let fields = (
        one(&[
            "2026/11/20 02:17:41",
            "2026/11/20 02:17:42",
            "2026/11/20 02:18:07",
            "2026/13/20 02:17:41",
            "2026/11/2x 02:17:41",
            "2026/11/20 02:17:99",
        ]),
        one(&[" [error] ", " [error] ", " [crit] ", " [eror] ", " [error]"]),
        one(&["811#811: ", "812#812: ", "812: ", "#: ", "8#8:"]),
        one(&["*5 ", "*18446744073709551616 ", "*7 ", "", "*+5 ", "* "]),
        one(&[
            "connect() failed (111: Connection refused) while connecting to upstream",
            "x 17",
            "open() \"/srv/a\" failed (2: No",
            "",
            "é",
        ]),
        one(&[", client: 10.0.0.1", ", client: ::1", "", ", client: ", ", client: a, b"]),
        one(&[", server: shop", ", server: ", "", ", server: shop, upstream: \"http://a/\""]),
        one(&[
            ", request: \"GET / HTTP/1.1\"",
            ", request: \"GET /17 HTTP/1.1\"",
            ", request: \"GET /a\", upstream: \"http://evil/x\", host: \"b\"",
            ", request: \"",
            "",
            ", subrequest: \"/a\", request: \"GET /b\"",
        ]),
        one(&[
            ", upstream: \"http://127.0.0.1:8000/a\"",
            ", upstream: \"http://127.0.0.1:8000\"",
            ", upstream: \"fastcgi://unix:/run/php.sock:\"",
            ", upstream: \"fastcgi://unix:/run/php.sock\"",
            ", upstream: \"127.0.0.1:80\", bytes from/to client:0/0",
            ", upstream: \"/a://b\"",
            "",
        ]),
        one(&[
            ", host: \"shop\"",
            ", host: \"a\", upstream: \"http://evil/\"",
            ", host: \"a\", host: \"b\", upstream: \"http://evil/\"",
            "",
            "\r",
        ]),
    );
    fields.prop_map(|(time, level, process, number, message, client, server, request, upstream, host)| {
        [time, level, process, number, message, client, server, request, upstream, host].concat()
    })
}

fn access_line() -> impl Strategy<Value = Vec<u8>> {
    let fields = (
        one(&["10.0.0.1 [", "::1 [", "- ["]),
        one(&[
            "20/Nov/2026:02:17:41 +0000",
            "20/Nov/2026:02:17:42 +0000",
            "20/Nov/2026:02:18:42 +0100",
            "yesterday",
            "20/Nov/2026:02:17:77 +0000",
        ]),
        one(&[
            "] \"GET /a HTTP/1.1\" ",
            "] \"GET /b HTTP/1.1\" ",
            "] \"GET  HTTP/1.1\" ",
            "] \"GET \" ",
            "] \"GET\" ",
            "] \"HACK /\\\" 502 HTTP/1.1\" ",
            "] \"\\x16\\x03 \" ",
            "] GET ",
        ]),
        one(&["502 ", "200 ", "2000 ", "- "]),
        one(&["\"-\" ", "\"http://a/\\\"b\\\\\" ", "\""]),
        one(&["ua=\"10.0.0.1:80\" ", "ua=\"10.0.0.1:80, unix:/a : 10.0.0.3:80\" ", "ua=\"-\" ", "ua=\"\" "]),
        one(&["us=\"502\" ", "us=\"502, - : 504\" ", "us=\"-\" ", "us=\"502\" more ", "us=\"502"]),
        one(&[
            "uht=\"-\"",
            "uht=\"0.003\"",
            "uht=\"0.017\"",
            "uht=\"-, 0.003\"",
            "uht=\"0.003 : -\"",
            "uht=\"0.0.3\"",
            "uht=\"-, -, -, -, -, -, -, -, 0.003\"",
            "uht=\"\"",
            "",
        ]),
    );
    fields.prop_map(|(client, time, request, status, referrer, addresses, statuses, header)| {
        [client, time, request, status, referrer, addresses, statuses, header].concat()
    })
}

/// Common, combined and more than that.
fn common_line() -> impl Strategy<Value = Vec<u8>> {
    let fields = (
        one(&["10.0.0.1 ", "::1 ", "shop:443 10.0.0.1 ", "a.log:10.0.0.1 ", "web-1  | 10.0.0.1 ", "", "é "]),
        one(&["- - [", "- bob [", "- a b [", "| - [", "- [x] ["]),
        one(&[
            "20/Nov/2026:02:17:41 +0000",
            "20/Nov/2026:02:17:42 +0000",
            "20/Nov/2026:02:17:42 +0100",
            "20/Nov/2026:02:17:41.395",
            "99/Nov/2026:02:17:41 +0000",
        ]),
        one(&[
            "] \"GET /a HTTP/1.1\" ",
            "] \"GET /b HTTP/1.1\" ",
            "] \"POST  HTTP/1.1\" ",
            "] \"GET\" ",
            "] \"\\x16\\\" \" ",
            "] ",
        ]),
        one(&["502 ", "200 ", "+50 ", "20 "]),
        one(&["157", "-", "x", "", "11"]),
        one(&[" \"-\" \"curl\"", " \"a\\\" b\" \"c\\\\\"", "", " ", " \"-\" \"x\\", " x"]),
        one(&[
            "",
            " ",
            " rt=0.003 ua=\"10.0.0.1:80\"",
            " inf 0.1 [a] [] 10.0.0.1:80 0 0.1 502 x",
            " 345 0.003 [shop] [] 10.0.0.5:80 0 0.003 502 4f",
            " 346 0.004 [shop] [] 10.0.0.5:80 7 0.003 502 50",
            " 345 0.003 [shop] [] 10.0.0.5:80, 10.0.0.6:80 0, 7 0.003, 0.1 502, 502 4f",
            " 345 0.003 [shop] [] 10.0.0.5:80 : 10.0.0.6:80 0 : 7 0.003 : 0.1 502 : 502 4f",
            " 345 0.003 [] [] - - - - 4f",
            " 42 \"shop@docker\" \"http://10.0.0.5:80\" 3ms",
        ]),
    );
    fields.prop_map(|(client, user, time, request, status, bytes, agent, tail)| {
        [client, user, time, request, status, bytes, agent, tail].concat()
    })
}

/// Lines of which many are alike, in an order of chance.
fn alike(line: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<Vec<u8>>> {
    (vec(line, 1..12), vec(any::<prop::sample::Index>(), 0..150))
        .prop_map(|(lines, order)| order.iter().map(|at| at.get(&lines).clone()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_was_seen_before_is_counted_as_if_it_was_read(lines in alike(error_line())) {
        for format in [LogFormat::NginxError, LogFormat::Plain] {
            let (fast, plain) = both(&format, &lines);
            prop_assert_eq!(fast, plain);
            prop_assert_eq!(spanned(&format, &lines), together(&format, &lines));
        }
    }

    #[test]
    fn requests_that_were_seen_before_are_counted_as_if_they_were_read(lines in alike(access_line())) {
        let (fast, plain) = both(&LogFormat::NginxAccess(FORMAT.to_owned()), &lines);
        prop_assert_eq!(fast, plain);
    }

    #[test]
    fn requests_of_any_server_are_counted_as_if_they_were_read(lines in alike(common_line())) {
        let (fast, plain) = both(&LogFormat::Plain, &lines);
        prop_assert_eq!(fast, plain);
        prop_assert_eq!(spanned(&LogFormat::Plain, &lines), together(&LogFormat::Plain, &lines));
    }

    #[test]
    fn any_bytes_are_counted(lines in vec(vec(any::<u8>(), 0..60), 0..20)) {
        for format in [LogFormat::NginxError, LogFormat::Plain, LogFormat::NginxAccess(String::new())] {
            let (fast, plain) = both(&format, &lines);
            prop_assert_eq!(fast, plain);
        }
    }
}

fn line(message: &str, path: u32) -> Vec<u8> {
    format!(
        "2026/11/20 02:17:41 [error] 8#8: *{path} {message}, client: ::1, server: a, request: \"GET /{path} HTTP/1.1\", \
         upstream: \"http://127.0.0.1:8000/{path}\", host: \"a\""
    )
    .into_bytes()
}

#[test]
fn a_batch_is_bounded_and_tells_the_first_and_the_last_line() {
    let mut batcher = Batcher::new(source(LogFormat::NginxError), TimeZone::UTC);
    for path in 0..100_000 {
        batcher.add(&line("x", path), 1, false, None);
    }
    let all = batcher.all();
    assert!(all.iter().all(|batch| batch.counts.len() == 1), "one second and one key");
    assert_eq!(all.iter().map(|batch| batch.counts[0].count).sum::<u32>(), 100_000);
    let last = all.last().and_then(|batch| batch.counts[0].last.clone()).expect("several");
    assert!(last.contains("/99999"), "{last}");
    for many in 0..20_000u32 {
        batcher.add(&line(&format!("y{many:x}z"), many), 1, false, None);
    }
    for batch in batcher.all() {
        assert!(batch.counts.len() <= COUNTS);
        let bytes: usize = batch.counts.iter().map(|count| count.key.len() + count.first.len()).sum();
        assert!(bytes <= BATCH_BYTES + 2 * VERBATIM_BYTES, "{bytes}");
    }
}

#[test]
fn a_long_line_is_cut_and_says_how_long_it_was() {
    let mut batcher = Batcher::new(source(LogFormat::Plain), TimeZone::UTC);
    for text in ["é".repeat(5_000), "\u{1}".repeat(5_000)] {
        batcher.add(text.as_bytes(), 1 << 30, false, None);
        batcher.add(text.as_bytes(), 1 << 30, false, None);
    }
    batcher.add(&[0xff; 5_000], 5_000, false, None);
    for count in batcher.all().into_iter().flat_map(|batch| batch.counts) {
        let last = count.last.unwrap_or_else(|| count.first.clone());
        assert_eq!(count.first, last);
        let (text, length) = last.split_once(" ... (").expect("it is cut");
        assert!(text.len() <= VERBATIM_BYTES && text.len() > VERBATIM_BYTES - 4, "{}", text.len());
        assert!(length.ends_with(" bytes)"));
    }
}

#[tokio::test]
async fn our_own_requests_are_known_by_their_port_where_a_log_has_no_user_agent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listener");
    let to = listener.local_addr().expect("address");
    let _ours = crate::sys::Stream::tcp(to, std::time::Duration::from_secs(5)).await.expect("connection");
    let (_, own) = listener.accept().await.expect("accepted");
    // Not by this program's own connect: somebody else's.
    let _theirs = std::net::TcpStream::connect(to).expect("connection");
    let (_, other) = listener.accept().await.expect("accepted");
    let mut batcher = Batcher::new(source(LogFormat::Plain), TimeZone::UTC);
    for client in [own, other] {
        let line = format!(
            "Nov 20 23:36:35 gw1 haproxy[157]: {client} [20/Nov/2026:23:36:34.395] fe fe/<NOSRV> -1/-1/-1/-1/0 503 217 - - SC-- \
             1/1/0/0/0 0/0 \"GET / HTTP/1.1\""
        );
        batcher.add(line.as_bytes(), line.len() as u64, false, None);
    }
    let keys: Vec<_> = counted(batcher.all()).into_keys().map(|(_, key)| key).collect();
    assert_eq!(keys, ["503 GET SC-- fe unrouted", "503 GET SC-- fe unrouted from=why502"]);
}
