//! What gateways on netty say of a request that failed (Spring Cloud Gateway, reactor-netty), by the exceptions of the client's side,
//! which name the upstream where anything does:
//!
//! - `io.netty.channel.AbstractChannel$AnnotatedConnectException: Connection refused: shop/10.0.0.5:8080` (with the words of the native
//!   transport: `finishConnect(..) failed: Connection refused: ...`): `[netty] refused`;
//! - `[id: 0xa7c1cd87, L:/10.0.0.1:52844 ! R:shop/10.0.0.5:8080] The connection observed an error` with the exception below it.
//!
//! A port of a database or a cache is an application's dependency, and none of this.

use std::borrow::Cow;

use super::go_proxy::is_dependency;

/// What the exceptions say, in order, and the word for it. All of the words must stand in one line.
const FAILURES: &[(&[&str], &str)] = &[
    (&["onnection prematurely closed DURING response"], "answer cut"),
    (&["onnection prematurely closed BEFORE response"], "closed"),
    (&["onnection has been closed BEFORE response"], "closed"),
    (&["AnnotatedConnectException: ", "onnection refused"], "refused"),
    (&["AnnotatedConnectException: ", "timed out"], "no connection in time"),
    (&["Annotated", "Exception: ", "No route to host"], "unreachable"),
    (&["Annotated", "Exception: ", "unreachable"], "unreachable"),
    (&["Annotated", "Exception: ", "No such file or directory"], "no socket"),
    (&["io.netty.channel.ConnectTimeoutException: connection timed out"], "no connection in time"),
    (&["NotSslRecordException: not an SSL/TLS record"], "not TLS"),
    (&["UnknownHostException: Failed to resolve '"], "unresolved"),
    (&["io.netty.handler.timeout.ReadTimeoutException"], "no answer in time"),
    // org.springframework.cloud.gateway.filter.NettyRoutingFilter.
    (&["Response took longer than timeout: "], "no answer in time"),
    // org.springframework.cloud.gateway.filter.ReactiveLoadBalancerClientFilter.
    (&["Unable to find instance for "], "no instance"),
];
/// Loggers of the client's side, under which a reset is the upstream's.
const CLIENT: [&str; 2] = ["netty.http.client.HttpClient", "n.http.client.HttpClient"];

/// The message and the upstream of an entry.
pub(super) fn failed(text: &str) -> Option<(String, Option<Cow<'_, str>>)> {
    let said = |words: &[&str]| text.lines().find(|line| words.iter().all(|word| line.contains(word)));
    let (line, word) = FAILURES.iter().find_map(|(words, word)| Some((said(words)?, *word))).or_else(|| {
        let of_client = CLIENT.iter().any(|logger| text.contains(logger));
        Some((said(&["Connection reset by peer"]).filter(|_| of_client)?, "reset"))
    })?;
    let upstream = match word {
        "unresolved" => line.split("Failed to resolve '").nth(1).and_then(|rest| rest.split('\'').next()),
        "no instance" => line.split("Unable to find instance for ").nth(1).and_then(|rest| rest.split(['"', ' ']).next()),
        _ => None,
    };
    let upstream = upstream.map(Cow::Borrowed).or_else(|| annotated(line)).or_else(|| text.lines().find_map(channel));
    (!upstream.as_deref().is_some_and(is_dependency)).then(|| (format!("[netty] {word}"), upstream))
}

/// The other end in `[id: 0xa7c1cd87, L:/10.0.0.1:52844 ! R:shop/10.0.0.5:8080]` (io.netty.channel.AbstractChannel, `toString`).
pub(super) fn channel(line: &str) -> Option<Cow<'_, str>> {
    let (_, rest) = line.split_once(", L:")?;
    let (local, _) = rest.split_once(']').filter(|(local, _)| local.contains(" R:"))?;
    address(local.split_once(" R:")?.1)
}

/// The address at the end of `Connection refused: shop/10.0.0.5:8080`.
fn annotated(line: &str) -> Option<Cow<'_, str>> {
    let last = line.trim_end().rsplit(": ").next()?;
    address(last.strip_suffix(" (uncaught)").unwrap_or(last))
}

/// An address as Java shows it (java.net.InetSocketAddress, `toString`): `shop/10.0.0.5:8080`, `/10.0.0.5:8080`,
/// `shop/<unresolved>:8080`, `/[0:0:0:0:0:0:0:1]:8080` and before Java 14 without brackets; a unix socket by its path.
fn address(text: &str) -> Option<Cow<'_, str>> {
    let (host, numbers) = text.rsplit_once('/').unwrap_or(("", text));
    let (ip, port) = numbers.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let fits = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if ip == "<unresolved>" {
        return fits(host).then(|| format!("{host}:{port}").into());
    }
    match ip.trim_start_matches('[').trim_end_matches(']').parse::<std::net::Ipv6Addr>() {
        Ok(ip) => Some(format!("[{ip}]:{port}").into()),
        Err(_) => fits(ip).then(|| numbers.into()),
    }
}

#[cfg(test)]
mod tests {
    use crate::model::logline::{Dialect, read};

    #[test]
    fn failures_of_the_client_side_name_the_upstream() {
        for (line, message, upstream) in [
            (
                "2026-11-20 23:36:34.123  WARN 811 --- [ctor-http-nio-2] r.netty.http.client.HttpClientConnect    : [id: 0xa7c1cd87, L:0.0.0.0/0.0.0.0:52844 ! R:/10.0.0.5:9010] The connection observed an error\n\nreactor.netty.http.client.PrematureCloseException: Connection prematurely closed BEFORE response",
                "closed",
                Some("10.0.0.5:9010"),
            ),
            ("reactor.netty.http.client.PrematureCloseException: Connection prematurely closed BEFORE response", "closed", None),
            (
                "io.netty.channel.AbstractChannel$AnnotatedConnectException: finishConnect(..) failed: Connection refused: shop/10.0.0.5:8080\nCaused by: java.net.ConnectException: finishConnect(..) failed: Connection refused\n\tat io.netty.channel.unix.Errors.newConnectException0(Errors.java:155)",
                "refused",
                Some("10.0.0.5:8080"),
            ),
            (
                "io.netty.channel.AbstractChannel$AnnotatedConnectException: Connection refused: localhost/[0:0:0:0:0:0:0:1]:8080",
                "refused",
                Some("[::1]:8080"),
            ),
            (
                "io.netty.channel.ConnectTimeoutException: connection timed out after 30000 ms: /10.0.0.5:8080",
                "no connection in time",
                Some("10.0.0.5:8080"),
            ),
            (
                "io.netty.channel.ConnectTimeoutException: connection timed out: shop/<unresolved>:8080",
                "no connection in time",
                Some("shop:8080"),
            ),
            ("io.netty.handler.ssl.NotSslRecordException: not an SSL/TLS record: 485454502f312e31", "not TLS", None),
            ("java.net.UnknownHostException: Failed to resolve 'shop-api' [A(1), AAAA(28)]", "unresolved", Some("shop-api")),
        ] {
            let entry = read(line);
            let message = format!("[netty] {message}");
            assert_eq!((entry.dialect, &*entry.message, entry.upstream.as_deref()), (Dialect::Java, &*message, upstream), "{line}");
        }
    }

    #[test]
    fn a_cache_or_a_client_is_none_of_it() {
        for other in [
            "io.netty.channel.AbstractChannel$AnnotatedConnectException: Connection refused: localhost/127.0.0.1:6379",
            "io.netty.channel.unix.Errors$NativeIoException: readAddress(..) failed: Connection reset by peer",
            "java.io.IOException: Connection reset by peer",
        ] {
            assert!(!read(other).message.starts_with("[netty]"), "{other}");
        }
    }
}
