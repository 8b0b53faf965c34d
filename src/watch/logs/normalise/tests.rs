use proptest::prelude::*;

use super::*;

fn error_key(line: &str) -> String {
    let mut key = String::new();
    Normaliser::new(&LogFormat::NginxError, TimeZone::UTC).line(line, &mut key);
    key
}

/// A line as nginx writes it, of this message.
fn of(message: &str) -> String {
    error_key(&format!(
        "2026/11/20 23:36:34 [error] 174#174: *7 {message}, client: 10.1.2.3, server: lab.test, request: \"GET /a?b HTTP/1.1\", \
         upstream: \"http://127.0.0.1:9099/a?b\", host: \"127.0.0.1:8081\""
    ))
}

#[test]
fn requests_of_one_trouble_are_one_group() {
    let line = |pid: u32, client: &str, path: &str| {
        error_key(&format!(
            "2026/11/20 23:36:34 [error] {pid}#{pid}: *{pid} connect() failed (111: Connection refused) while connecting to upstream, \
             client: {client}, server: lab.test, request: \"GET {path} HTTP/1.1\", upstream: \"http://127.0.0.1:9099{path}\", host: \"h{pid}\""
        ))
    };
    let key = line(1, "10.0.0.1", "/a");
    assert_eq!(
        key,
        "[error] connect() failed (111: Connection refused) while connecting to upstream, server: lab.test, upstream: \"http://127.0.0.1:9099\""
    );
    assert_eq!(line(2, "::1", "/b/17?x=y"), key);
}

#[test]
fn what_tells_troubles_apart_stays() {
    let tail = ", server: lab.test, upstream: \"http://127.0.0.1:9099\"";
    for (message, key) in [
        ("recv() failed (104: Connection reset by peer) while reading response header from upstream", None),
        ("upstream sent no valid HTTP/1.0 header while reading response header from upstream", None),
        ("connect() to unix:/run/php/php8.2-fpm.sock failed (2: No such file or directory) while connecting to upstream", None),
        (
            "SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number) while SSL handshaking to upstream",
            None,
        ),
        ("upstream SSL certificate verify error: (10:certificate has expired) while SSL handshaking to upstream", None),
        ("app1.internal could not be resolved (3: Host not found)", None),
        ("limiting requests, excess: 10.123 by zone \"one\"", Some("limiting requests, excess: #.# by zone \"one\"")),
        (
            "open() \"/usr/share/nginx/html/favicon.ico\" failed (2: No such file or directory)",
            Some("open() \"<path>\" failed (2: No such file or directory)"),
        ),
        (
            "open() \"/var/lib/nginx/proxy/1/00/0000000001\" failed (13: Permission denied) while reading upstream",
            Some("open() \"/var/lib/nginx/proxy/#/#/#\" failed (13: Permission denied) while reading upstream"),
        ),
        ("client sent invalid method while reading client request line", None),
        ("client sent invalid header line: \"\\x16X-17: y\"", Some("client sent invalid header line: \"<text>\"")),
    ] {
        assert_eq!(of(message), format!("[error] {}{tail}", key.unwrap_or(message)));
    }
    let key = |message: &str| error_key(&format!("2026/11/20 23:36:34 [alert] 1#1: {message}"));
    assert_eq!(key("worker process 4711 exited on signal 9"), "[alert] worker process # exited on signal 9");
    assert_eq!(
        key("worker process 12 exited with code 2 and cannot be respawned"),
        "[alert] worker process # exited with code 2 and cannot be respawned"
    );
    assert_eq!(
        key("bind() to 0.0.0.0:80 failed (98: Address already in use)"),
        "[alert] bind() to 0.0.0.0:80 failed (98: Address already in use)"
    );
    assert_eq!(key("1024 worker_connections are not enough"), "[alert] # worker_connections are not enough");
    assert_eq!(
        error_key("2026/11/20 23:36:38 [info] 174#174: *33 client 127.0.0.1 closed keepalive connection"),
        "[info] client #.#.#.# closed keepalive connection"
    );
    assert_eq!(error_key("PHP Fatal error in /srv/app/x.php:17 id 0xdeadbeef"), "PHP Fatal error in /srv/app/x.php:# id #");
}

#[test]
fn access_lines_are_grouped_by_status_method_and_attempts() {
    let format = "$remote_addr [$time_local] \"$request\" $status ua=$upstream_addr us=$upstream_status";
    let mut normaliser = Normaliser::new(&LogFormat::NginxAccess(format.to_owned()), TimeZone::UTC);
    let mut key = |line: &str| {
        let mut key = String::new();
        let second = normaliser.line(line, &mut key);
        (key, second)
    };
    let at = Some(1_795_217_794);
    let time = "[20/Nov/2026:23:36:34 +0000]";
    assert_eq!(
        key(&format!("1.1.1.1 {time} \"GET /a HTTP/1.1\" 502 ua=127.0.0.1:8000 us=502")),
        ("502 GET up=127.0.0.1:8000 ups=502".into(), at)
    );
    assert_eq!(
        key(&format!("1.1.1.1 {time} \"POST /b HTTP/1.1\" 504 ua=10.0.0.1:80, unix:/a : 10.0.0.3:80 us=502, - : 504")),
        ("504 POST up=10.0.0.1:80,unix:/a,10.0.0.3:80 ups=502,-,504".into(), at)
    );
    assert_eq!(key(&format!("1.1.1.1 {time} \"HACK /b HTTP/1.1\" 405 ua=- us=-")), ("405 -".into(), at));
    assert_eq!(key(&format!("1.1.1.1 {time} \"\\x16\\x03\" 009 ua=- us=-")), ("009 -".into(), at));
    assert_eq!(key("1.1.1.1 [yesterday] \"GET / HTTP/1.1\" 200 ua=- us=-"), ("200 GET".into(), None));
    assert_eq!(key("garbage"), (UNFORMATTED.into(), None));
}

#[test]
fn local_time_is_that_of_the_zone_also_when_it_occurs_twice() {
    let berlin = TimeZone::get("Europe/Berlin").expect("zone database");
    let mut normaliser = Normaliser::new(&LogFormat::NginxError, berlin);
    let mut second = |text: &str| normaliser.line(&format!("{text} [error] 1#1: x"), &mut String::new());
    assert_eq!(second("2026/07/01 12:00:00"), Some(1_782_900_000));
    assert_eq!(second("2026/12/01 12:00:00"), Some(1_796_122_800));
    // 2026-10-25 02:30 occurs at 00:30 and at 01:30 UTC.
    assert_eq!(second("2026/10/25 02:30:00"), Some(1_792_891_800));
    normaliser.at(1_792_890_000);
    let mut second = |text: &str| normaliser.line(&format!("{text} [error] 1#1: x"), &mut String::new());
    assert_eq!(second("2026/10/25 02:29:59"), Some(1_792_888_199));
    assert_eq!(second("2026/13/45 99:00:00"), None);
}

#[test]
fn a_key_is_bounded() {
    for line in [
        "x".repeat(1 << 20),
        "1 ".repeat(1 << 19),
        "\u{fffd}".repeat(1 << 16),
        format!("2026/11/20 23:36:34 [error] 1#1: {}", "\u{e9}7".repeat(1 << 16)),
    ] {
        assert!(error_key(&line).len() <= KEY_BYTES);
    }
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(message in "[\"(): a-zé0-9_/.,*#]{0,80}") {
        let key = of(&message);
        prop_assert!(key.len() <= KEY_BYTES);
        let _ = error_key(&message);
    }
}

#[test]
fn different_meanings_are_different_groups() {
    let catalog = crate::catalog::with_samples();
    let mut normaliser = Normaliser::new(&LogFormat::Plain, TimeZone::UTC);
    let mut known = std::collections::BTreeMap::new();
    let mut wrong = Vec::new();
    for signature in catalog.signatures.all() {
        for line in &signature.samples {
            let mut key = String::new();
            normaliser.line(line, &mut key);
            // Who answered 502 is the same meaning, whoever writes the line.
            let before = known.insert((logline::read(line).dialect, key.clone()), &signature.id);
            wrong.extend(
                before.filter(|before| **before != signature.id).map(|before| format!("{before}, {}: {key}", signature.id)),
            );
        }
    }
    assert!(wrong.is_empty(), "these are one group each:\n{}", wrong.join("\n"));
}

#[test]
fn numbers_that_say_what_happened_make_groups_of_their_own() {
    const CHECK: &str = "Nov 20 23:36:31 haproxy[157]: Server b/s1 is DOWN, reason: Layer4 timeout, check duration: 502ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.";
    const APACHE: &str = "[Fri Nov 20 23:36:34.397346 2026] [proxy:error] [pid 178:tid 212] (111)Connection refused: AH00957: http: attempt to connect to 127.0.0.1:9099 (127.0.0.1:9099) failed";
    const CUT: &str = "2026-11-20 23:38:43: (gw_backend.c.2389) response not received, request sent: 216 on socket: tcp:127.0.0.1:9014 for /a?, closing connection";
    let key = |line: &str| {
        let mut key = String::new();
        Normaliser::new(&LogFormat::Plain, TimeZone::UTC).line(line, &mut key);
        key
    };
    for (line, from, to) in [
        (CHECK, "Layer4", "Layer7"),
        (CHECK, "0 active and 0 backup", "1 active and 0 backup"),
        (APACHE, "(111)", "(113)"),
        (APACHE, "9099", "9098"),
        (CUT, "sent: 216", "sent: 0"),
        ("--  BerespStatus   502", "502", "503"),
        ("X-Squid-Error: ERR_CONNECT_FAIL 111", "111", "110"),
    ] {
        assert_ne!(key(line), key(&line.replace(from, to)), "{from} and {to}");
    }
    for (line, from, to) in [
        (CHECK, "502ms", "17ms"),
        (CHECK, "1 sessions", "9 sessions"),
        (APACHE, "pid 178:tid 212", "pid 9:tid 9"),
        (CUT, "sent: 216", "sent: 1024"),
        (CUT, "/a?", "/b?c on /d"),
    ] {
        assert_eq!(key(line), key(&line.replace(from, to)), "{from} and {to}");
    }
}
