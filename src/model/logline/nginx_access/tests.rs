use proptest::prelude::*;

use super::*;

#[test]
fn combined() {
    let format = AccessFormat::compile("");
    let line = format
        .parse(r#"10.0.0.9 - - [20/Nov/2026:23:36:34 +0100] "GET /refused?q=1 HTTP/1.1" 502 157 "-" "curl/7.88.1""#)
        .expect("combined");
    assert_eq!((line.status, line.method, line.path(), line.client), (Some(502), Some("GET"), Some("/refused"), Some("10.0.0.9")));
    assert_eq!(line.time.and_then(AccessTime::second), Some(1_795_214_194));
    assert_eq!((line.host, line.upstream_addrs.len(), line.request_time), (None, 0, None));
    let noise = format.parse(r#"1.2.3.4 - - [20/Nov/2026:23:36:34 +0000] "\x16\x03\x01" 400 157 "-" "-""#).expect("combined");
    assert_eq!((noise.status, noise.method, noise.target), (Some(400), None, None));
    for other in ["", "hello", "10.0.0.9 - - [20/Nov", "10.0.0.9 - - [x] \"GET / HTTP/1.1\" 502 157 \"-\" \"a"] {
        assert_eq!(format.parse(other), None, "{other:?}");
    }
}

#[test]
fn every_attempt_is_told() {
    let format = AccessFormat::compile(
        "$host $request_method $uri $status $request_time ua=$upstream_addr us=$upstream_status uct=$upstream_connect_time urt=$upstream_response_time",
    );
    let line = format
        .parse("shop.test POST /pay 502 1.203 ua=10.0.0.1:80, unix:/run/b.sock, [::1]:80 : 10.0.0.3:80 us=502, 504, - : 502 uct=-, 0.001, - : 0.000 urt=0.000, 1.200, - : 0.003")
        .expect("line");
    assert_eq!(line.upstream_addrs, ["10.0.0.1:80", "unix:/run/b.sock", "[::1]:80", "10.0.0.3:80"]);
    assert_eq!(line.upstream_statuses, [Some(502), Some(504), None, Some(502)]);
    assert_eq!(line.upstream_connect_times, [None, Some(0.001), None, Some(0.0)]);
    assert_eq!(line.upstream_response_times, [Some(0.0), Some(1.2), None, Some(0.003)]);
    assert_eq!(
        (line.host, line.method, line.path(), line.request_time),
        (Some("shop.test"), Some("POST"), Some("/pay"), Some(1.203))
    );
    let local = format.parse("- GET / 200 0.000 ua=- us=- uct=- urt=-").expect("line");
    assert_eq!((local.host, local.upstream_addrs.len(), local.upstream_statuses.len()), (None, 0, 0));
}

#[test]
fn json_and_neighbouring_variables() {
    let format = AccessFormat::compile(
        r#"escape=json {"t":"$time_iso8601","ua":"$http_user_agent","s":$status,"u":"${scheme}://$host$request_uri"}"#,
    );
    let line = format
        .parse(r#"{"t":"2026-11-20T23:36:34+00:00","ua":"a\",\"s\":200,\"","s":504,"u":"https://shop.test/a?b"}"#)
        .expect("line");
    assert_eq!((line.status, line.host, line.path()), (Some(504), Some("shop.test"), Some("/a")));
    assert_eq!(line.time.and_then(AccessTime::second), Some(1_795_217_794));
    let line = AccessFormat::compile("$msec $status").parse("1795217794.123 502").expect("line");
    assert_eq!(line.time.map(|time| (time.text(), time.second())), Some(("1795217794", Some(1_795_217_794))));
}

#[test]
fn what_is_no_time_gives_none() {
    for text in [
        "",
        "20/Nov/2026:23:36:34",
        "20/Foo/2026:23:36:34 +0000",
        "99/Nov/2026:23:36:34 +0000",
        "20/Nov/2026:23:36:34 *0000",
        "20/Nov/2026:2\u{e9}:36:34 +000",
    ] {
        assert_eq!(AccessTime::Local(text).second(), None, "{text:?}");
    }
    assert_eq!(AccessTime::Iso("yesterday").second(), None);
    assert_eq!(AccessTime::Msec("99999999999999999").second(), None);
}

proptest! {
    #[test]
    fn no_format_and_no_line_make_it_panic(format in "\\PC{0,60}", line in "\\PC{0,200}") {
        let _ = AccessFormat::compile(&format).parse(&line);
    }

    #[test]
    fn what_was_formatted_is_read_back(status in 100u16..600, path in "/[a-z0-9/]{0,20}", agent in "[ -!#-\\[\\]-~]{0,20}") {
        let line = format!("1.1.1.1 - - [20/Nov/2026:23:36:34 +0000] \"GET {path} HTTP/1.1\" {status} 5 \"-\" \"{agent}\"");
        let format = AccessFormat::compile(COMBINED);
        let read = format.parse(&line).expect("combined");
        prop_assert_eq!((read.status, read.path()), (Some(status), Some(path.as_str())));
    }
}
