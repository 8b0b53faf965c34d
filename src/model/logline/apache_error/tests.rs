use proptest::prelude::*;

use super::super::{Dialect, Level, read};

#[test]
fn lines_of_2_2_and_lines_without_their_time_say_the_same() {
    for (line, message) in [
        (
            "[Tue Mar 02 10:11:12 2010] [error] (111)Connection refused: proxy: HTTP: attempt to connect to 127.0.0.1:8080 (*) failed",
            "(111)Connection refused: AH00957: HTTP: attempt to connect to 127.0.0.1:8080 (*) failed",
        ),
        (
            "[proxy:error] [pid 1234:tid 5678] (111)Connection refused: AH00957: HTTP: attempt to connect to [::1]:80 (app) failed",
            "(111)Connection refused: AH00957: HTTP: attempt to connect to [::1]:80 (app) failed",
        ),
        (
            "[error] server reached MaxClients setting, consider raising the MaxClients setting",
            "AH00484: server reached MaxClients setting, consider raising the MaxClients setting",
        ),
    ] {
        let entry = crate::model::logline::read(line);
        assert_eq!((entry.dialect, &*entry.message), (Dialect::ApacheError, message), "{line}");
    }
    for other in ["[app:error] x", "[error] x", "proxy: hello", "[http:error] x"] {
        assert_ne!(crate::model::logline::read(other).dialect, Dialect::ApacheError, "{other}");
    }
}

#[test]
fn every_form_of_a_line_is_read() {
    for (line, level, message, upstream, client) in [
        (
            "[Fri Nov 20 23:36:34.397346 2026] [proxy:error] [pid 178:tid 212] (111)Connection refused: AH00957: http: attempt to connect to 127.0.0.1:9099 (127.0.0.1:9099) failed",
            Level::Error,
            "(111)Connection refused: AH00957: http: attempt to connect to 127.0.0.1:9099 (127.0.0.1:9099) failed",
            Some("127.0.0.1:9099"),
            None,
        ),
        (
            "[Fri Nov 20 23:36:34.413716 2026] [proxy_http:error] [pid 175:tid 179] (20014)Internal error (specific information not available): [client 127.0.0.1:54824] AH01102: error reading status line from remote server 127.0.0.1:9001",
            Level::Error,
            "(20014)Internal error (specific information not available): AH01102: error reading status line from remote server 127.0.0.1:9001",
            Some("127.0.0.1:9001"),
            Some("127.0.0.1:54824"),
        ),
        (
            "[Fri Nov 20 23:36:44.889886 2026] [proxy:error] [pid 175:tid 181] (EAI 3)Temporary failure in name resolution: [client 127.0.0.1:60668] AH00898: DNS lookup failure for: nosuch.invalid returned by /dns, referer: http://x/",
            Level::Error,
            "(EAI 3)Temporary failure in name resolution: AH00898: DNS lookup failure for: nosuch.invalid",
            Some("nosuch.invalid"),
            Some("127.0.0.1:60668"),
        ),
        (
            "[Fri Nov 20 23:36:44.896544 2026] [proxy:error] [pid 175:tid 183] (2)No such file or directory: AH02454: http: attempt to connect to Unix domain socket /tmp/lab502/none.sock (x1:80) failed",
            Level::Error,
            "(2)No such file or directory: AH02454: http: attempt to connect to Unix domain socket /tmp/lab502/none.sock (x1:80) failed",
            Some("unix:/tmp/lab502/none.sock"),
            None,
        ),
        (
            "[Fri Nov 20 23:36:53.131581 2026] [ssl:info] [pid 177:tid 243] [remote 127.0.0.1:9006] AH02411: SSL Proxy: Peer certificate does not match for hostname 127.0.0.1",
            Level::Info,
            "AH02411: SSL Proxy: Peer certificate does not match for hostname 127.0.0.1",
            Some("127.0.0.1:9006"),
            None,
        ),
        (
            "[Fri Nov 20 23:36:53.084662 2026] [proxy:warn] [pid 177:tid 240] [client 127.0.0.1:35446] AH01144: No protocol handler was valid for the URL /nosuchscheme (scheme 'gopher'). If you are using a DSO version of mod_proxy, make sure the proxy submodules are included in the configuration using LoadModule.",
            Level::Warning,
            "AH01144: No protocol handler was valid for the URL <path> (scheme 'gopher'). If you are using a DSO version of mod_proxy, make sure the proxy submodules are included in the configuration using LoadModule.",
            None,
            Some("127.0.0.1:35446"),
        ),
        (
            "[Fri Nov 20 23:45:09.768467 2026] [proxy_balancer:error] [pid 173:tid 193] [client 127.0.0.1:55996] AH01174: balancer://fs: Forcing worker (http://127.0.0.1:9012) into error state due to status code 502 matching 'failonstatus' balancer parameter",
            Level::Error,
            "AH01174: balancer://fs: Forcing worker (http://127.0.0.1:9012) into error state due to status code 502 matching 'failonstatus' balancer parameter",
            Some("127.0.0.1:9012"),
            Some("127.0.0.1:55996"),
        ),
        (
            "[Fri Nov 20 23:36:34 2026] [error] [client 10.0.0.1] File does not exist: /var/www/favicon.ico",
            Level::Error,
            "File does not exist: <path>",
            None,
            Some("10.0.0.1"),
        ),
        (
            "[Fri Nov 20 23:36:34.397346 2026] [proxy:debug] [pid 178:tid 212] proxy_util.c(3122): (113)No route to host: AH00957: http: attempt to connect to [::1]:80 (app:80) failed",
            Level::Debug,
            "(113)No route to host: AH00957: http: attempt to connect to [::1]:80 (app:80) failed",
            Some("[::1]:80"),
            None,
        ),
        (
            "[Fri Nov 20 23:36:34.397346 2026] [ssl:info] [pid 178:tid 212] [client 203.0.113.7:4711] AH02008: SSL library error 1 in handshake (server lab.test:443)",
            Level::Info,
            "client: AH02008: SSL library error 1 in handshake",
            None,
            Some("203.0.113.7:4711"),
        ),
    ] {
        let entry = read(line);
        assert_eq!((entry.dialect, entry.level), (Dialect::ApacheError, Some(level)), "{line}");
        assert_eq!((&*entry.message, entry.upstream.as_deref(), entry.client.as_deref()), (message, upstream, client), "{line}");
        assert!(entry.time.is_some());
    }
    let early =
        read("Nov 20 23:36:34 gw1 apachectl[811]: AH00526: Syntax error on line 3 of /etc/apache2/sites-enabled/shop.conf:");
    assert_eq!((early.dialect, early.pid), (Dialect::ApacheError, Some(811)));
    assert_eq!(early.message, "AH00526: Syntax error on line 3 of /etc/apache2/sites-enabled/shop.conf:");
    assert_eq!(
        read("(98)Address already in use: AH00072: make_sock: could not bind to address [::]:80").dialect,
        Dialect::ApacheError
    );
}

#[test]
fn a_client_cannot_forge_the_message() {
    let line = "[Fri Nov 20 23:36:34.413744 2026] [proxy:error] [pid 175:tid 179] [client 127.0.0.1:54824] AH00898: Error reading from remote server returned by /AH00957: attempt to connect to 6.6.6.6:80 (";
    let entry = read(line);
    assert_eq!((&*entry.message, entry.upstream), ("AH00898: Error reading from remote server", None));
    for other in ["[Fri Nov 20 23:36:34 2026] hello", "[error] x", "AH1: x", "(12)x: y", "[Fri Nov 20 23:36:34 2026] [a b:error] x"]
    {
        assert_ne!(read(other).dialect, Dialect::ApacheError, "{other}");
    }
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(text in "(\\[Fri Nov 20 23:36:34 2026\\] |\\[proxy:error\\] |\\[pid 1\\] |\\[client |\\] |\\(111\\)é|AH0095|AH00957: |: |attempt to connect to |\\(|/|, referer: |[a-zé]){0,14}") {
        let _ = read(&text);
    }
}
