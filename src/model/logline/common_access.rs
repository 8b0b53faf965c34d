//! The common and the combined log format, of whatever server: `10.0.0.9 - - [20/Nov/2026:23:36:34 +0000] "GET / HTTP/1.1" 502
//! 157 "-" "curl/7.88.1"` (NCSA httpd; Apache, nginx, Caddy's transform, lighttpd, Varnish, gunicorn), also with the virtual host
//! before it.
//!
//! Two gateways put what they know of the upstream behind it: ingress-nginx (`log-format-upstream`,
//! internal/ingress/controller/config/config.go) and Traefik (pkg/middlewares/accesslog/logger_formatters.go). Requests are told
//! in the form of [`super::access_key`].

use super::{
    AccessLine, Carried, Dialect, Entry, TimeShape,
    access_key::{attempts, by, request_form},
    go_error::authority,
    labelled, nginx_access, request_line,
};

/// Words before the time, at most: virtual host, client, ident, user.
const WORDS: usize = 4;

/// Reads a line of an access log.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = carried.text;
    let (before, rest) = text.split_once(" [")?;
    let count = before.split(' ').count();
    let (time, rest) = TimeShape::Clf.leading(rest)?;
    let (request, rest) = quoted(rest.strip_prefix("] \"")?)?;
    let rest = rest.strip_prefix(' ')?;
    let (status, rest) = rest.strip_prefix("status=").unwrap_or(rest).split_at_checked(3)?;
    let status: u16 = status.parse().ok()?;
    let behind = rest;
    // Bytes, or `-`; then the line ends, or the referrer follows.
    let (bytes, rest) = rest.strip_prefix(' ')?.split_once(' ').unwrap_or((rest.get(1..)?, ""));
    let common = (WORDS - 1..=WORDS).contains(&count) && (bytes == "-" || bytes.bytes().all(|byte| byte.is_ascii_digit()));
    let mut words = before.split(' ');
    let server = if count == WORDS { words.next() } else { None };
    let line = request_line(request);
    let entry = Entry {
        dialect: Dialect::CommonAccess,
        time: Some(time),
        status: Some(status),
        client: words.next().map(Into::into),
        server: server.map(|server| server.split(':').next().unwrap_or(server).into()),
        request: line.is_some().then(|| request.into()),
        ..Entry::default()
    };
    let method = line.map(|(method, _)| method);
    if !common {
        return if count <= WORDS { labelled::read(behind, status, method, &entry) } else { None };
    }
    let tail = rest.strip_prefix('"').and_then(quoted).and_then(|(_, rest)| rest.strip_prefix(" \"")).and_then(quoted);
    let tail = tail.map(|(_, tail)| tail.trim_end()).filter(|tail| !tail.is_empty());
    let of_gateway = tail.and_then(|tail| {
        let known = ingress(tail, status, method, &entry).or_else(|| traefik(tail, status, bytes, method, &entry));
        known.or_else(|| labelled::read(tail, status, method, &entry))
    });
    Some(of_gateway.unwrap_or_else(|| Entry { message: request_form(Some(status), method).into(), ..entry }))
}

/// A value up to its closing quote, and what stands behind that. Apache escapes a quote by a backslash, nginx writes `\x22`.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let end = nginx_access::find_end(text, "\"")?;
    Some((&text[..end], &text[end + 1..]))
}

/// ` 345 0.003 [shop-web-80] [] 10.0.0.5:8080 0 0.003 502 4f1c...`: the last word may be of the client's choosing.
fn ingress<'a>(tail: &'a str, status: u16, method: Option<&str>, entry: &Entry<'a>) -> Option<Entry<'a>> {
    let mut words = tail.strip_prefix(' ')?.split(' ').peekable();
    let number = |word: &str| word.parse::<f64>().is_ok();
    (number(words.next()?) && number(words.next()?)).then_some(())?;
    let pool = words.next()?.strip_prefix('[')?.strip_suffix(']')?;
    words.next().filter(|word| word.starts_with('[') && word.ends_with(']'))?;
    // Lists of attempts: `a, b : c`, each as long as the others.
    let mut list = || {
        let mut items = Vec::new();
        loop {
            let word = words.next()?;
            items.push(word.trim_end_matches(','));
            if words.peek() == Some(&":") {
                words.next();
            } else if !word.ends_with(',') {
                return Some(items);
            }
        }
    };
    let (addresses, lengths, _times, statuses) = (list()?, list()?, list()?, list()?);
    let known =
        |items: Vec<&'a str>| -> Vec<&'a str> { items.into_iter().filter(|item| *item != "-").take(super::ATTEMPTS).collect() };
    let line = AccessLine {
        upstream_addrs: known(addresses),
        upstream_statuses: known(statuses).into_iter().map(|status| status.parse().ok()).collect(),
        ..AccessLine::default()
    };
    let mut form = request_form(Some(status), method);
    if !pool.is_empty() && pool != "-" {
        form.push_str(" pool=");
        form.push_str(pool);
    }
    attempts(&line, &mut form);
    // Bytes of a body came from the upstream, which nginx's own error page is not. No bytes tell nothing.
    let answered =
        line.upstream_statuses.last() == Some(&Some(status)) && lengths.last().is_some_and(|length| !matches!(*length, "0" | "-"));
    form.push_str(by(Some(status), answered.then_some(true)));
    let upstream = line.upstream_addrs.last().map(|address| (*address).into());
    Some(Entry { dialect: Dialect::NginxAccess, message: form.into(), upstream, ..entry.clone() })
}

/// ` 42 "shop@docker" "http://10.0.0.5:80" 3ms`.
fn traefik<'a>(tail: &'a str, status: u16, bytes: &str, method: Option<&str>, entry: &Entry<'a>) -> Option<Entry<'a>> {
    let (count, rest) = tail.strip_prefix(' ')?.split_once(" \"")?;
    let (_router, rest) = quoted(rest)?;
    let (service, rest) = quoted(rest.strip_prefix(" \"")?)?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let duration = rest.strip_prefix(' ')?.strip_suffix("ms")?;
    if !(digits(count) || count == "-") || !digits(duration) {
        return None;
    }
    let upstream = Some(service).filter(|service| *service != "-").and_then(authority);
    let sent = bytes.parse().ok();
    Some(traefik_request(entry.clone(), status, method, upstream, sent))
}

/// The form of a request that Traefik served: `502 GET traefik up=10.0.0.5:80 by=upstream`. Traefik's own answer is the bare
/// text of the status (pkg/proxy/httputil/proxy.go), so an answer of another length is the upstream's; one of that length may
/// be of either.
pub(super) fn traefik_request<'a>(
    entry: Entry<'a>,
    status: u16,
    method: Option<&str>,
    upstream: Option<std::borrow::Cow<'a, str>>,
    sent: Option<u64>,
) -> Entry<'a> {
    const OWN: &[(u16, &str)] = &[
        (500, "Internal Server Error"),
        (502, "Bad Gateway"),
        (503, "no available server\n"),
        (503, "Service Unavailable"),
        (504, "Gateway Timeout"),
    ];
    let mut form = request_form(Some(status), method);
    form.push_str(" traefik");
    if let Some(upstream) = &upstream {
        form.push_str(" up=");
        form.push_str(upstream);
    }
    let own = OWN.iter().any(|(of, text)| *of == status && sent == Some(text.len() as u64));
    let from_upstream = upstream.is_some() && sent.is_some_and(|sent| sent > 0) && !own;
    form.push_str(by(Some(status), from_upstream.then_some(true)));
    Entry { dialect: Dialect::Traefik, status: Some(status), message: form.into(), upstream, level: None, ..entry }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::logline;

    const INGRESS: &str = r#"10.244.0.1 - - [20/Nov/2026:23:36:34 +0000] "GET /cart HTTP/1.1" 502 150 "-" "curl/7.88.1" 345 0.003 [shop-web-80] [] 10.244.0.5:8080, 10.244.0.6:8080 0, 0 0.000, 0.003 502, 502 4f1c8d"#;
    const TRAEFIK: &str = r#"10.0.0.9 - - [20/Nov/2026:23:36:34 +0000] "GET / HTTP/1.1" 502 11 "-" "curl/7.88.1" 42 "shop@docker" "http://10.0.0.5:80" 3ms"#;

    fn form(line: &str) -> (Dialect, String) {
        let entry = logline::read(line);
        (entry.dialect, entry.message.into_owned())
    }

    #[test]
    fn common_and_combined() {
        for line in [
            r#"10.0.0.9 - - [20/Nov/2026:23:36:34 +0000] "GET /a HTTP/1.1" 502 157"#,
            r#"10.0.0.9 - bob [20/Nov/2026:23:36:34 +0000] "GET /a HTTP/1.1" 502 - "-" "curl/7.88.1""#,
            r#"shop.test:443 10.0.0.9 - - [20/Nov/2026:23:36:34 +0000] "GET /a\"b HTTP/1.1" 502 157 "-" "a \"quoted\" agent""#,
            r#"10.0.0.9 - - [20/Nov/2026:23:36:34 +0000] "GET /a HTTP/1.1" 502 157 "-" "curl" 0.003 more of a format of one's own"#,
        ] {
            assert_eq!(form(line), (Dialect::CommonAccess, "502 GET".to_owned()), "{line}");
        }
        let entry = logline::read(r#"shop.test:443 10.0.0.9 - - [20/Nov/2026:23:36:34 +0000] "GET /a HTTP/1.1" 502 157"#);
        assert_eq!((entry.server.as_deref(), entry.client.as_deref()), (Some("shop.test"), Some("10.0.0.9")));
        assert_eq!((entry.status, entry.request.as_deref()), (Some(502), Some("GET /a HTTP/1.1")));
        assert_eq!(form(r#"1.2.3.4 - - [20/Nov/2026:23:36:34 +0000] "\x16\x03\x01" 400 157 "-" "-""#).1, "400 -");
        for other in [
            r#"[20/Nov/2026:23:36:34 +0000] "GET / HTTP/1.1" 502 157"#,
            r#"10.0.0.9 - - [20/Nov/2026:23:36:34 +0000] "GET / HTTP/1.1" x 157"#,
            "10.0.0.9 - - [20/Nov/2026:23:36:34.395] web web/app 0/0/-1/-1/0 503 222 - - SC--",
        ] {
            assert_ne!(form(other).0, Dialect::CommonAccess, "{other}");
        }
    }

    #[test]
    fn ingress_nginx_tells_the_attempts() {
        let up = "up=10.244.0.5:8080,10.244.0.6:8080 ups=502,502";
        assert_eq!(form(INGRESS), (Dialect::NginxAccess, format!("502 GET pool=shop-web-80 {up}")));
        assert_eq!(logline::read(INGRESS).upstream.as_deref(), Some("10.244.0.6:8080"));
        assert_eq!(form(&INGRESS.replace("0, 0 0.000", "0, 12 0.000")).1, format!("502 GET pool=shop-web-80 {up} by=upstream"));
        let none =
            INGRESS.replace("10.244.0.5:8080, 10.244.0.6:8080 0, 0 0.000, 0.003 502, 502", "- - - -").replace("\" 502", "\" 503");
        assert_eq!(form(&none).1, "503 GET pool=shop-web-80");
        // The agent is the client's.
        let forged = INGRESS.replace("curl/7.88.1", "x\\x22 1 0.1 [a-b-80] [] 6.6.6.6:1 9 0.1 200 x");
        assert_eq!(form(&forged).1, format!("502 GET pool=shop-web-80 {up}"));
    }

    #[test]
    fn traefik_tells_the_service() {
        assert_eq!(form(TRAEFIK), (Dialect::Traefik, "502 GET traefik up=10.0.0.5:80".to_owned()));
        assert_eq!(form(&TRAEFIK.replace("502 11", "502 157")).1, "502 GET traefik up=10.0.0.5:80 by=upstream");
        assert_eq!(form(&TRAEFIK.replace("502 11", "200 11")).1, "200 GET traefik up=10.0.0.5:80");
        assert_eq!(form(&TRAEFIK.replace("http://10.0.0.5:80", "-")).1, "502 GET traefik");
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(cut in 0usize..300, noise in "[\\[\\]\" :0-9,a-]{0,30}") {
            for line in [INGRESS, TRAEFIK] {
                let text: String = line.chars().take(cut).chain(noise.chars()).collect();
                let _ = logline::read(&text);
            }
        }
    }
}
