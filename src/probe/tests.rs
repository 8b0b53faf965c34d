//! What each kind of peer comes out as, over real sockets.

mod hostile;
mod http2;
pub(super) mod lab;
mod patience;
mod protocols;

use std::{
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use tokio::io::AsyncWriteExt as _;

use self::lab::*;
use super::{ALL, by_id, make};
use crate::{
    model::{Address, Garbage, Identity, NameFault, Outcome, Phase, Protocol, TlsFault},
    sys::{Root, Sys},
};

fn says(name: &str) -> Outcome {
    Outcome::Speaks(name.to_owned())
}

#[test]
fn every_probe_is_found_by_its_id_and_emits_known_words() {
    for probe in ALL {
        assert_eq!(by_id(probe.id()).expect("listed").title(), probe.title());
        assert!(probe.emits().iter().all(|word| Outcome::NAMES.contains(word)), "{}", probe.id());
        assert!(probe.emits().contains(&"skipped"), "{}: with probing off it is skipped", probe.id());
    }
    assert_eq!(ALL.iter().map(|probe| probe.id()).collect::<std::collections::BTreeSet<_>>().len(), ALL.len(), "ids are unique");
}

#[tokio::test]
async fn a_good_answer_has_its_phases_and_its_author() {
    let report = upstream(answering(GOOD).await, Protocol::Http).await;
    assert_eq!(report.outcome, Outcome::Status(200));
    assert_eq!(report.emitter.as_deref(), Some("nginx"));
    assert_eq!(report.head_bytes, Some(60));
    let phases = report.phases;
    assert!(phases.connect.is_some() && phases.first_byte.is_some() && phases.tls.is_none() && phases.resolve.is_none());
    assert!(phases.total >= phases.connect.unwrap_or(0.0) + phases.first_byte.unwrap_or(0.0));
}

#[tokio::test]
async fn the_request_says_who_asks_and_for_what() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let at = serve(move |mut stream| {
        let sender = sender.clone();
        async move {
            let _ = sender.send(read_some(&mut stream).await).await;
        }
    })
    .await;
    upstream(at, Protocol::Http).await;
    let text = String::from_utf8(receiver.recv().await.expect("a request")).expect("text");
    assert!(text.starts_with("GET / HTTP/1.1\r\nHost: app.test\r\nUser-Agent: why502/"), "{text}");
    assert!(text.contains("(+probe)\r\n") && text.ends_with("Connection: close\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn refused_closed_reset_and_silent_are_told_apart() {
    let dead: SocketAddr = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        listener.local_addr().expect("address")
    };
    assert_eq!(upstream(dead, Protocol::Http).await.outcome, Outcome::Refused);

    let closing = serve(|mut stream| async move {
        read_some(&mut stream).await;
    })
    .await;
    let report = upstream(closing, Protocol::Http).await;
    assert_eq!(report.outcome, Outcome::Closed(Phase::Head));
    assert!(
        report.detail.contains("no answer to tls, fastcgi, http/2, uwsgi, scgi, proxy-protocol, postgresql either"),
        "{}",
        report.detail
    );

    let resetting = serve(|mut stream| async move {
        read_some(&mut stream).await;
        stream.set_zero_linger().expect("linger");
    })
    .await;
    assert_eq!(upstream(resetting, Protocol::Http).await.outcome, Outcome::Reset(Phase::Head));

    let silent = serve(hang).await;
    let began = Instant::now();
    assert_eq!(within(silent, Protocol::Http, 200).await.outcome, Outcome::Timeout(Phase::Head));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(within(silent, Protocol::Https, 200).await.outcome, Outcome::Timeout(Phase::Tls));
}

#[tokio::test]
async fn bodies_that_end_early_are_truncated() {
    let head = "HTTP/1.1 200 OK\r\n";
    for (rest, outcome) in [
        ("Content-Length: 100\r\n\r\nhalf", Outcome::Closed(Phase::Body)),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhel", Outcome::Closed(Phase::Body)),
        ("Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", Outcome::Invalid(Garbage::Chunk)),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Outcome::Status(200)),
        ("\r\nuntil the end", Outcome::Status(200)),
        ("Content-Type: text/event-stream\r\nContent-Length: 9\r\n\r\n", Outcome::Status(200)),
    ] {
        let report = upstream(answering(format!("{head}{rest}")).await, Protocol::Http).await;
        assert_eq!(report.outcome, outcome, "{rest:?}");
    }
    let interim = upstream(answering(format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{GOOD}")).await, Protocol::Http).await;
    assert_eq!(interim.outcome, Outcome::Status(200));
}

#[tokio::test]
async fn a_header_is_measured_against_the_gateways_buffer() {
    let head = format!("HTTP/1.1 200 OK\r\nSet-Cookie: {}\r\n\r\n", "x".repeat(5000));
    let mut job = job("upstream", Address::Tcp(answering(head.clone()).await), Protocol::Http);
    job.header_limit = Some(4096);
    let limit = 4096;
    let bytes = u32::try_from(head.len()).expect("small");
    assert_eq!(make(&host(), &job).await.outcome, Outcome::HeaderTooBig { bytes, limit });
    job.header_limit = Some(bytes);
    assert_eq!(make(&host(), &job).await.outcome, Outcome::Status(200));
}

#[tokio::test]
async fn endless_peers_are_bounded() {
    let endless_header = serve(|mut stream| async move {
        read_some(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"X-More: of this\r\n").await.is_ok() {}
    })
    .await;
    let began = Instant::now();
    let report = upstream(endless_header, Protocol::Http).await;
    assert!(matches!(report.outcome, Outcome::HeaderTooBig { bytes: 65_536..100_000, limit: 65_536 }), "{:?}", report.outcome);

    let endless_body = serve(|mut stream| async move {
        read_some(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n").await;
        let page = vec![b'x'; 1 << 16];
        while stream.write_all(&page).await.is_ok() {}
    })
    .await;
    assert_eq!(upstream(endless_body, Protocol::Http).await.outcome, Outcome::Status(200));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());

    let slow = serve(|mut stream| async move {
        for byte in GOOD.bytes() {
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(within(slow, Protocol::Http, 300).await.outcome, Outcome::Timeout(Phase::Head));
}

#[tokio::test]
async fn unix_sockets_fail_as_the_gateway_would_see_it() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("app.sock");
    let ask = || async { make(&host(), &job("upstream", Address::Unix(path.clone()), Protocol::Http)).await.outcome };
    assert_eq!(ask().await, Outcome::NotFound);
    drop(tokio::net::UnixListener::bind(&path).expect("bind"));
    assert_eq!(ask().await, Outcome::Refused, "a socket file whose listener is gone");
    std::fs::remove_file(&path).expect("remove");
    let _full = full_unix(&path).await;
    assert_eq!(ask().await, Outcome::QueueFull);
    let long = dir.path().join("x".repeat(200));
    let outcome = make(&host(), &job("upstream", Address::Unix(long), Protocol::Http)).await.outcome;
    assert_eq!(outcome.name(), "os-error");
}

#[tokio::test]
async fn an_abstract_socket_is_reached() {
    let name = format!("why502-test-{}", std::process::id());
    let address = <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&name).expect("name");
    let listener = std::os::unix::net::UnixListener::bind_addr(&address).expect("bind");
    let mut job = job("upstream", Address::Unix(format!("@{name}").into()), Protocol::Stream);
    job.request = None;
    assert_eq!(make(&host(), &job).await.outcome, Outcome::Open);
    drop(listener);
    // As HAProxy binds `abns@`: 108 bytes with the first.
    let padded = format!("{name}{}", "\0".repeat(107 - name.len()));
    let address = <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(padded).expect("name");
    let listener = std::os::unix::net::UnixListener::bind_addr(&address).expect("bind");
    assert_eq!(make(&host(), &job).await.outcome, Outcome::Open);
    drop(listener);
    assert_eq!(make(&host(), &job).await.outcome, Outcome::Refused);
}

#[tokio::test]
async fn without_a_request_the_connection_is_all() {
    let at = serve(hang).await;
    for protocol in [Protocol::Http, Protocol::Stream, Protocol::Grpc, Protocol::Fastcgi] {
        let mut job = job("upstream", Address::Tcp(at), protocol);
        job.request = None;
        assert_eq!(make(&host(), &job).await.outcome, Outcome::Open, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_name_is_tried_by_all_its_addresses() {
    let dir = tempfile::tempdir().expect("directory");
    std::fs::create_dir(dir.path().join("etc")).expect("etc");
    std::fs::write(dir.path().join("etc/hosts"), "127.0.0.9 app\n127.0.0.1 app\n").expect("hosts");
    let root = Root::below(dir.path());
    let mut sys = Sys::new(root, true);
    sys.probing = true;
    let at = answering(GOOD).await;
    let report = make(&sys, &job("upstream", Address::Name("app".to_owned(), at.port()), Protocol::Http)).await;
    assert_eq!(report.outcome, Outcome::Status(200));
    assert!(report.detail.contains("127.0.0.9") && report.detail.contains("REFUSED"), "{}", report.detail);
    let name = make(&sys, &job("name", Address::Name("app".to_owned(), 80), Protocol::Http)).await;
    assert_eq!((name.outcome, name.detail.as_str()), (Outcome::Open, "127.0.0.9, 127.0.0.1 from /etc/hosts:1"));
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("bind");
    std::fs::write(dir.path().join("etc/resolv.conf"), "nameserver 127.0.0.1\n").expect("resolv.conf");
    sys.dns = crate::sys::Dns::at_port(sys.root.clone(), silent.local_addr().expect("address").port());
    for probe in ["name", "upstream", "client"] {
        let mut job = job(probe, Address::Name("app.test".to_owned(), 80), Protocol::Http);
        job.total_ms = 100;
        assert_eq!(
            make(&sys, &job).await.outcome,
            Outcome::Name(NameFault::Silent),
            "{probe}: silence of DNS is none of the upstream"
        );
    }
    std::fs::remove_file(dir.path().join("etc/resolv.conf")).expect("resolv.conf");
    for probe in ["name", "upstream", "client"] {
        let gone = make(&sys, &job(probe, Address::Name("gone.test".to_owned(), 80), Protocol::Http)).await;
        assert_eq!(gone.outcome, Outcome::Name(NameFault::NoServer), "{probe}");
    }
}

#[tokio::test]
async fn a_client_sees_what_it_sees() {
    let ask = |at, protocol| async move { make(&host(), &job("client", Address::Tcp(at), protocol)).await };
    let good = ask(answering(GOOD).await, Protocol::Http).await;
    assert_eq!((good.outcome, good.emitter.as_deref()), (Outcome::Status(200), Some("nginx")), "{}", good.detail);
    let moved =
        ask(answering("HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n").await, Protocol::Http)
            .await;
    assert_eq!(moved.outcome, Outcome::Status(302), "a redirect is an answer");
    let closed = ask(answering("").await, Protocol::Http).await;
    assert_eq!(closed.outcome, Outcome::Closed(Phase::Head), "{}", closed.detail);
    let short = ask(answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx").await, Protocol::Http).await;
    assert_eq!(short.outcome, Outcome::Closed(Phase::Body), "{}", short.detail);
    let garbage = ask(answering("what?\r\n\r\n").await, Protocol::Http).await;
    assert_eq!(garbage.outcome, Outcome::Invalid(Garbage::StatusLine), "{}", garbage.detail);
    let plain = ask(answering(GOOD).await, Protocol::Https).await;
    assert!(
        // Where the host has no CA certificates, no client can be made.
        matches!(plain.outcome, Outcome::Tls(TlsFault::NotTls) | Outcome::Skipped(_)),
        "{plain:?}"
    );
    let unknown_ca = ask(tls().await, Protocol::Https).await;
    assert!(
        matches!(&unknown_ca.outcome, Outcome::Tls(TlsFault::Other(why)) if why.contains("certificate"))
            || matches!(unknown_ca.outcome, Outcome::Skipped(_)),
        "{unknown_ca:?}"
    );
    let dead = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        listener.local_addr().expect("address")
    };
    assert_eq!(ask(dead, Protocol::Http).await.outcome, Outcome::Refused);
}

#[tokio::test]
async fn what_is_off_is_not_tried() {
    let mut sys = host();
    sys.probing = false;
    let at = answering(GOOD).await;
    assert!(matches!(make(&sys, &job("upstream", Address::Tcp(at), Protocol::Http)).await.outcome, Outcome::Skipped(_)));
    assert!(matches!(make(&sys, &job("no such", Address::Tcp(at), Protocol::Http)).await.outcome, Outcome::Skipped(_)));
    let path = make(&sys, &job("socket-path", Address::Unix("/nowhere/app.sock".into()), Protocol::Http)).await;
    assert_eq!((path.outcome, path.detail.as_str()), (Outcome::NotFound, "/nowhere does not exist"));
}

#[tokio::test]
async fn a_report_says_as_whom_it_was_made() {
    let dir = tempfile::tempdir().expect("directory");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("mode");
    let (uid, gid, groups) = crate::sys::ourselves();
    let mut job = job("upstream", Address::Tcp(answering(GOOD).await), Protocol::Http);
    assert!(!make(&host(), &job).await.as_gateway, "no gateway's user is known");
    job.identity = Some(Identity { name: "us".to_owned(), uid, gid, groups });
    assert!(make(&host(), &job).await.as_gateway);
    job.identity = Some(Identity { name: "other".to_owned(), uid: uid + 1, gid, groups: Vec::new() });
    let report = make(&host(), &job).await;
    assert!(!report.as_gateway && report.outcome == Outcome::Status(200), "over TCP we ask as ourselves, and say so");
}
