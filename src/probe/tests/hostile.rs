//! Peers that mean harm, or are merely broken: every probe of them ends in time, in little memory, with an outcome.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use super::{super::make, lab::*, says};
use crate::model::{Address, Flaw, Garbage, Outcome, Phase, Protocol};

/// Sends the same again and again, after a beginning.
async fn endless(begin: &'static str, again: &'static [u8]) -> std::net::SocketAddr {
    serve(move |mut stream| async move {
        read_some(&mut stream).await;
        let _ = stream.write_all(begin.as_bytes()).await;
        while stream.write_all(again).await.is_ok() {}
    })
    .await
}

#[tokio::test]
async fn what_never_ends_is_cut() {
    let began = Instant::now();
    // Interim responses for ever: after some of them one is taken for the answer.
    let interim = upstream(endless("", b"HTTP/1.1 100 Continue\r\n\r\n").await, Protocol::Http).await;
    assert_eq!(interim.outcome, Outcome::Status(100));
    let chunks =
        upstream(endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n").await, Protocol::Http).await;
    assert_eq!(chunks.outcome, Outcome::Status(200));
    let line = upstream(endless("HTTP/1.1 200 OK\r\nX: ", b"yyyyyyyyyyyyyyyy").await, Protocol::Http).await;
    assert!(matches!(line.outcome, Outcome::HeaderTooBig { bytes: ..200_000, .. }), "{:?}", line.outcome);
    let status = upstream(endless("", b"HTTP/").await, Protocol::Http).await;
    assert!(matches!(status.outcome, Outcome::Invalid(_) | Outcome::HeaderTooBig { .. }), "{:?}", status.outcome);
    let garbage = upstream(endless("", b"\xff\xfe\x00\x1b[2J").await, Protocol::Http).await;
    assert_eq!(garbage.outcome, Outcome::Invalid(Garbage::StatusLine));
    for protocol in [Protocol::Fastcgi, Protocol::Uwsgi, Protocol::Scgi, Protocol::Grpc] {
        let outcome = within(endless("", b"\x01\x07\x00\x01\xff\xff\x00\x00").await, protocol, 500).await.outcome;
        assert_ne!(outcome.serves(), Some(true), "{protocol:?}: {outcome:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn ten_gigabytes_are_not_read() {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };
    /// What may be on its way in the sockets' buffers, besides what is read.
    const TAKEN: u64 = 16 << 20;
    for head in ["HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"] {
        let sent = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&sent);
        let at = serve(move |mut stream| {
            let counted = Arc::clone(&counted);
            async move {
                read_some(&mut stream).await;
                let _ = stream.write_all(head.as_bytes()).await;
                let block = vec![b'x'; 64 << 10];
                while counted.load(Ordering::Relaxed) < 10 << 30 && stream.write_all(&block).await.is_ok() {
                    counted.fetch_add(block.len() as u64, Ordering::Relaxed);
                }
            }
        })
        .await;
        let began = Instant::now();
        let report = upstream(at, Protocol::Http).await;
        assert_eq!(report.outcome, Outcome::Status(200), "{head:?}");
        assert!(began.elapsed() < Duration::from_secs(20), "{head:?}: {:?}", began.elapsed());
        let taken = sent.load(Ordering::Relaxed);
        assert!(taken < TAKEN, "{head:?}: {taken} bytes were taken");
    }
}

#[tokio::test]
async fn a_byte_a_second_does_not_outlive_the_deadline() {
    for text in ["HTTP/1.1 200 OK\r\nX: y", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "\x01\x06\x00\x01", "220 mail"] {
        for protocol in [Protocol::Http, Protocol::Fastcgi, Protocol::Uwsgi, Protocol::Grpc] {
            let at = serve(move |mut stream| async move {
                for byte in text.bytes().chain(std::iter::repeat(b'z')) {
                    if stream.write_all(&[byte]).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
            .await;
            let began = Instant::now();
            let report = within(at, protocol, 200).await;
            assert!(began.elapsed() < Duration::from_secs(20), "{protocol:?} {text:?}: {:?}", began.elapsed());
            assert_ne!(report.outcome, Outcome::Open, "{protocol:?} {text:?}");
        }
    }
}

#[tokio::test]
async fn a_redirect_to_itself_is_one_answer() {
    for probe in ["gateway", "upstream", "client"] {
        let at = answering("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(make(&host(), &job(probe, Address::Tcp(at), Protocol::Http)).await.outcome, Outcome::Status(302), "{probe}");
    }
}

#[tokio::test]
async fn servers_that_answer_in_http_only_to_say_that_they_speak_something_else() {
    let mongodb = "HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: 85\r\n\r\nIt looks like you are trying to access MongoDB over HTTP on the native driver port.\r\n";
    assert_eq!(upstream(answering(mongodb).await, Protocol::Http).await.outcome, says("mongodb"));
}

#[tokio::test]
async fn rules_that_gateways_differ_on_are_flaws_and_no_failures() {
    let flaws = |text: &'static str| async move {
        let report =
            upstream(answering(format!("HTTP/1.1 200 OK\r\n{text}Content-Length: 2\r\n\r\nok")).await, Protocol::Http).await;
        assert_eq!(report.outcome, Outcome::Status(200), "{text:?}");
        report.flaws
    };
    assert_eq!(flaws("X-Fine: a\tb\r\n").await, []);
    assert!(matches!(&flaws("X[y]: z\r\n").await[..], [Flaw::NameOfNoToken(line)] if line.starts_with("X[y]:")));
    assert!(matches!(&flaws("X-Bell: \x07\r\n").await[..], [Flaw::ControlInValue(_)]));
    let many: &'static str = Box::leak("A: b\r\n".repeat(110).into_boxed_str());
    assert!(matches!(flaws(many).await[..], [Flaw::ManyLines(111)]));
    for (text, why) in [("X: a\r\n b\r\n", "a folded line"), ("X: a\rb\r\n", "a carriage return in a value")] {
        let report = upstream(answering(format!("HTTP/1.1 200 OK\r\n{text}\r\n")).await, Protocol::Http).await;
        assert!(
            matches!(&report.outcome, Outcome::Invalid(Garbage::Header(said)) if said.starts_with(why)),
            "{:?}",
            report.outcome
        );
    }
}

#[tokio::test]
async fn a_server_of_another_kind_that_waits_is_found_before_the_deadline() {
    // It waits for the end of a line, as an HTTP server does that gets a packet.
    let at = serve(|mut stream| async move {
        if read_some(&mut stream).await.starts_with(b"GET ") {
            let _ = stream.write_all(GOOD.as_bytes()).await;
        } else {
            hang(stream).await;
        }
    })
    .await;
    let began = Instant::now();
    assert_eq!(within(at, Protocol::Scgi, 20_000).await.outcome, says("http/1"));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // One that only takes its time is waited for.
    let slow = serve(|mut stream| async move {
        read_some(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let _ = stream.write_all(b"Status: 200 OK\r\n\r\n").await;
    })
    .await;
    assert_eq!(within(slow, Protocol::Scgi, 20_000).await.outcome, Outcome::Status(200));
}

#[tokio::test]
async fn a_client_goes_by_way_of_a_proxy() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(4);
    let proxy = serve(move |mut stream| {
        let sender = sender.clone();
        async move {
            let _ = sender.send(read_some(&mut stream).await).await;
            let _ = stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nServer: squid/5.7\r\nContent-Length: 0\r\n\r\n").await;
        }
    })
    .await;
    let mut job = job("via", Address::Name("app.test".to_owned(), 80), Protocol::Http);
    job.via = Some(format!("http://{proxy}"));
    let report = make(&host(), &job).await;
    assert_eq!((&report.outcome, report.emitter.as_deref()), (&Outcome::Status(503), Some("squid")), "{report:?}");
    assert!(receiver.recv().await.expect("a connection").is_empty(), "whether the proxy is there at all is asked first");
    let request = String::from_utf8(receiver.recv().await.expect("a request")).expect("text");
    assert!(request.starts_with("GET http://app.test/ HTTP/1.1\r\n"), "{request}");
    assert!(report.peer.is_none(), "who is behind the proxy is not known");
}

#[tokio::test]
async fn a_request_in_another_shape_keeps_its_mark() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(4);
    let at = serve(move |mut stream| {
        let sender = sender.clone();
        async move {
            let _ = sender.send(read_some(&mut stream).await).await;
            let _ = stream.write_all(GOOD.as_bytes()).await;
        }
    })
    .await;
    let mut job = job("as-browser", Address::Tcp(at), Protocol::Http);
    let headers = [("User-Agent", "Mozilla/5.0"), ("Accept", "text/html"), ("Cache-Control", "no-cache")];
    job.request.as_mut().expect("a request").headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(make(&host(), &job).await.outcome, Outcome::Status(200));
    let request = String::from_utf8(receiver.recv().await.expect("a request")).expect("text");
    assert!(request.contains("User-Agent: Mozilla/5.0 why502/"), "{request}");
    assert!(request.contains("\r\nAccept: text/html\r\n") && request.contains("\r\nCache-Control: no-cache\r\n"), "{request}");
    assert_eq!(request.matches("User-Agent").count() + request.matches("Accept:").count(), 2, "{request}");
    // A line break would begin a header, or a request, of somebody else's choosing.
    job.request.as_mut().expect("a request").headers[2].1 = "x\r\nX-Evil: y".to_owned();
    assert!(matches!(make(&host(), &job).await.outcome, Outcome::Skipped(_)));
}

#[tokio::test]
async fn cut_answers_of_every_length_have_an_outcome() {
    let whole = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for end in 1..whole.len() {
        let outcome = upstream(answering(&whole.as_bytes()[..end]).await, Protocol::Http).await.outcome;
        let cut = matches!(outcome, Outcome::Closed(Phase::Head | Phase::Body) | Outcome::Reset(_));
        assert!(cut || (end < 12 && matches!(outcome, Outcome::Invalid(_))), "{end}: {outcome:?}");
    }
}
