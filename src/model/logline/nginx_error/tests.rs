use proptest::prelude::*;

use super::*;

const REFUSED: &str = "2026/11/20 23:36:34 [error] 174#174: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 127.0.0.1, server: lab.test, request: \"GET /refused?a=b HTTP/1.1\", upstream: \"http://127.0.0.1:9099/refused?a=b\", host: \"127.0.0.1:8081\", referrer: \"https://x/\"";

#[test]
fn a_refused_connection() {
    let line = NginxErrorLine::parse(REFUSED).expect("an nginx line");
    assert_eq!((line.time, line.level, line.pid, line.connection), ("2026/11/20 23:36:34", "error", Some(174), Some(1)));
    assert_eq!(line.message, "connect() failed (111: Connection refused) while connecting to upstream");
    assert_eq!((line.client, line.server), (Some("127.0.0.1"), Some("lab.test")));
    assert_eq!(line.method_and_target(), Some(("GET", "/refused?a=b")));
    assert_eq!(line.upstream_base(), Some("http://127.0.0.1:9099"));
    assert_eq!(line.upstream_address(), Some("127.0.0.1:9099"));
    assert_eq!((line.host, line.referrer), (Some("127.0.0.1:8081"), Some("https://x/")));
}

#[test]
fn upstreams_of_every_kind() {
    let of = |upstream: &str| {
        let line = format!(
            "2026/11/20 23:36:44 [crit] 1#1: *2 m, client: ::1, server: , request: \"GET / HTTP/1.1\", upstream: \"{upstream}\", host: \"h\""
        );
        let line = NginxErrorLine::parse(&line).expect("an nginx line");
        assert_eq!(line.server, Some(""));
        (line.upstream_base().expect("base").to_owned(), line.upstream_address().expect("address").to_owned())
    };
    let pair = |base: &str, address: &str| (base.to_owned(), address.to_owned());
    assert_eq!(of("http://unix:/tmp/no perm.sock:/eacces"), pair("http://unix:/tmp/no perm.sock:", "unix:/tmp/no perm.sock"));
    assert_eq!(of("fastcgi://unix:/run/php.sock:"), pair("fastcgi://unix:/run/php.sock:", "unix:/run/php.sock"));
    assert_eq!(of("grpc://127.0.0.1:9001"), pair("grpc://127.0.0.1:9001", "127.0.0.1:9001"));
    assert_eq!(of("http://dead2/nolive"), pair("http://dead2", "dead2"));
    assert_eq!(of("http://[::1]:80/x"), pair("http://[::1]:80", "[::1]:80"));
    assert_eq!(of("10.0.0.1:3306"), pair("10.0.0.1:3306", "10.0.0.1:3306"));
}

#[test]
fn lines_without_fields_and_lines_that_are_not_nginxs() {
    let line = NginxErrorLine::parse("2026/11/20 23:38:43 [alert] 135#135: 6 worker_connections are not enough").expect("line");
    assert_eq!((line.message, line.client, line.connection), ("6 worker_connections are not enough", None, None));
    for other in [
        "",
        "Host: 127.0.0.1:8096",
        "2026/11/20 23:38:43",
        "2026/11/20 23:38:43 [x] 1#1: y",
        "\u{fffd}026/11/20 23:38:43 [error] 1#1: y",
    ] {
        assert_eq!(NginxErrorLine::parse(other), None, "{other:?}");
    }
}

#[test]
fn a_client_cannot_forge_the_upstream() {
    let forged = REFUSED.replace("https://x/", "x\", upstream: \"http://6.6.6.6/");
    assert_eq!(NginxErrorLine::parse(&forged).expect("line").upstream_address(), Some("127.0.0.1:9099"));
    let quote = REFUSED.replace("/refused?a=b HTTP", "/re\"fused HTTP");
    assert_eq!(NginxErrorLine::parse(&quote).expect("line").method_and_target(), Some(("GET", "/re\"fused")));
}

#[test]
fn what_is_left_of_a_line_is_known_by_its_words() {
    let whole = NginxErrorLine::parse(REFUSED).expect("an nginx line");
    let behind = |words: &str| REFUSED.split_once(words).expect("words").1;
    for rest in [behind("36:34 "), behind("[error] "), behind("174#174: "), behind("*1 ")] {
        let line = NginxErrorLine::unstamped(rest).expect(rest);
        assert_eq!(NginxErrorLine { time: whole.time, pid: whole.pid, connection: whole.connection, ..line }, whole, "{rest}");
    }
    let level = |text| NginxErrorLine::unstamped(text).map(|line| line.level);
    for (text, expected) in [
        ("connect() to unix:/run/app.sock failed (2: No such file or directory) while connecting to upstream", "crit"),
        ("upstream prematurely closed connection while reading response header from upstream", "error"),
        ("upstream timed out (110: Connection timed out)", "error"),
        ("host not found in upstream \"app\" in /etc/nginx/conf.d/shop.conf:12", "emerg"),
        ("bind() to 0.0.0.0:80 failed (98: Address already in use)", "emerg"),
        ("app.internal could not be resolved (3: Host not found)", "error"),
        ("512 worker_connections are not enough", "alert"),
        ("[warn] 12#12: *7 an upstream response is buffered to a temporary file /x", "warn"),
    ] {
        assert_eq!(level(text), Some(expected), "{text}");
    }
    for other in [
        "",
        "[error] connection refused",
        "connection refused while connecting to the database",
        "fetch() failed: connection refused",
        "[pool www] child 12 exited",
        "the upstream timed out (110: Connection timed out)",
    ] {
        assert_eq!(level(other), None, "{other:?}");
    }
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(cut in 0usize..400, noise in "\\PC{0,30}", at in 0usize..400) {
        let mut text: Vec<char> = REFUSED.chars().take(cut).collect();
        text.splice(at.min(text.len())..at.min(text.len()), noise.chars());
        let text: String = text.into_iter().collect();
        let unstamped = NginxErrorLine::unstamped(text.get(TIME_BYTES..).unwrap_or(&text));
        for line in NginxErrorLine::parse(&text).into_iter().chain(unstamped) {
            let _ = (line.upstream_base(), line.upstream_address(), line.method_and_target());
        }
    }
}

#[test]
fn what_lua_says_is_known_without_its_head() {
    let said = "[lua] balancer.lua:250: execute(): DNS resolution failed: dns server error: 3 name error.";
    let line = format!("{said}, client: 10.0.0.9, server: kong, request: \"GET / HTTP/1.1\", host: \"api\"");
    for line in [line.clone(), format!("*12 {line}"), format!("[error] {line}")] {
        let read = NginxErrorLine::unstamped(&line).expect("nginx's");
        assert_eq!((read.level, read.message, read.host), ("error", said, Some("api")), "{line}");
    }
    for other in ["[lua] is a language", "[lua] x.lua: y", "[info] balancer.lua:250: x", "[kong] is down"] {
        assert_eq!(NginxErrorLine::unstamped(other), None, "{other}");
    }
}

#[test]
fn what_fails_in_a_mirror_is_no_failure_of_the_request() {
    let line = |subrequest: &str| {
        let line = format!(
            "2026/11/23 07:00:00 [error] 811#811: *5 connect() failed (111: Connection refused) while connecting to upstream, client: \
             203.0.113.9, server: shop, request: \"GET /cart HTTP/1.1\", subrequest: \"{subrequest}\", upstream: \
             \"http://10.0.0.7:8443/cart\", host: \"shop\""
        );
        let entry = crate::model::logline::read(&line);
        (entry.level, entry.upstream.map(std::borrow::Cow::into_owned))
    };
    assert_eq!(line("/mirror"), (Some(Level::Notice), None));
    assert_eq!(line("/_mirror/cart"), (Some(Level::Notice), None));
    // The answer of this one decides what the client gets (ngx_http_auth_request_module).
    assert_eq!(line("/auth"), (Some(Level::Error), Some("10.0.0.7:8443".to_owned())));
}

#[test]
fn a_line_without_its_beginning_is_known_by_its_end() {
    const END: &str = " while reading response header from upstream, client: 10.0.0.2, server: shop, request: \"GET /cart HTTP/1.1\", upstream: \"http://10.0.0.9:8080/ca";
    let cut = format!("imed out (110: Connection timed out){END}");
    let entry = crate::model::logline::read(&cut);
    assert_eq!(entry.message, "[error] upstream timed out (110: Connection timed out) while reading response header from upstream");
    assert_eq!((entry.dialect, entry.upstream.as_deref()), (Dialect::NginxError, Some("10.0.0.9:8080")));
    for unknown in
        [format!("out){END}"), format!("it hangs{END}"), END.to_owned(), "ection refused) while connecting to upstream".to_owned()]
    {
        assert_eq!(crate::model::logline::read(&unknown).dialect, Dialect::Plain, "{unknown}");
    }
}
