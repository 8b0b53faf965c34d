//! HTTP/2 peers, real ones and false ones.

use std::time::{Duration, Instant};

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{super::make, lab::*, says};
use crate::model::{Address, Garbage, Outcome, Phase, Protocol, TlsFault};

/// What a server does with a stream.
#[derive(Debug, Clone, Copy)]
enum Act {
    Answer(u16),
    Reset(h2::Reason),
    GoAway(h2::Reason),
    Hang,
    /// A body that never ends.
    Flood,
}

async fn h2(act: Act) -> std::net::SocketAddr {
    serve(move |stream| speak(stream, act)).await
}

async fn speak(stream: TcpStream, act: Act) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut held = Vec::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.method(), "GET", "nothing else is sent");
        match act {
            Act::Answer(status) => {
                let response = http::Response::builder().status(status).header("server", "shopd/1").body(()).expect("a response");
                let mut body = respond.send_response(response, false).expect("sent");
                body.send_data("shop".into(), true).expect("sent");
            }
            Act::Reset(reason) => respond.send_reset(reason),
            Act::GoAway(reason) => connection.abrupt_shutdown(reason),
            Act::Hang => held.push(respond),
            Act::Flood => {
                let response = http::Response::builder().status(500).body(()).expect("a response");
                let mut body = respond.send_response(response, false).expect("sent");
                tokio::spawn(async move {
                    loop {
                        body.reserve_capacity(1 << 14);
                        match std::future::poll_fn(|cx| body.poll_capacity(cx)).await {
                            Some(Ok(_)) if body.send_data(vec![b'x'; 1 << 14].into(), false).is_ok() => {}
                            _ => break,
                        }
                    }
                });
            }
        }
    }
}

#[tokio::test]
async fn http2_is_spoken_with_prior_knowledge() {
    let report = upstream(h2(Act::Answer(200)).await, Protocol::Grpc).await;
    assert_eq!((&report.outcome, report.emitter.as_deref()), (&Outcome::Status(200), Some("shopd")), "{}", report.detail);
    assert!(report.phases.first_byte.is_some() && report.head_bytes.is_some() && report.detail.contains("HTTP/2"));
    assert_eq!(upstream(h2(Act::Answer(502)).await, Protocol::Grpc).await.outcome, Outcome::Status(502));
}

#[tokio::test]
async fn ends_of_streams_and_connections_are_told_by_their_codes() {
    let reset = upstream(h2(Act::Reset(h2::Reason::INTERNAL_ERROR)).await, Protocol::Grpc).await;
    assert_eq!(reset.outcome, Outcome::Reset(Phase::Head));
    assert!(reset.detail.contains("RST_STREAM INTERNAL_ERROR"), "{}", reset.detail);
    let gone = upstream(h2(Act::GoAway(h2::Reason::ENHANCE_YOUR_CALM)).await, Protocol::Grpc).await;
    assert_eq!(gone.outcome, Outcome::Closed(Phase::Head), "{}", gone.detail);
    assert!(gone.detail.contains("GOAWAY ENHANCE_YOUR_CALM"), "{}", gone.detail);
    let older = upstream(h2(Act::Reset(h2::Reason::HTTP_1_1_REQUIRED)).await, Protocol::Grpc).await;
    assert_eq!(older.outcome, says("http/1"));
    let began = Instant::now();
    assert_eq!(within(h2(Act::Hang).await, Protocol::Grpc, 200).await.outcome, Outcome::Timeout(Phase::Head));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_no_http2_is_told_by_what_it_says() {
    let http1 = answering("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(upstream(http1, Protocol::Grpc).await.outcome, says("http/1"));
    assert_eq!(upstream(answering("-ERR unknown command 'PRI'\r\n").await, Protocol::Grpc).await.outcome, says("redis"));
    assert_eq!(upstream(answering(&b"\x15\x03\x03\x00\x02\x02\x46"[..]).await, Protocol::Grpc).await.outcome, says("tls"));
    let garbage = upstream(answering("what is this?\n").await, Protocol::Grpc).await;
    assert!(matches!(&garbage.outcome, Outcome::Invalid(Garbage::Framing(_))), "{garbage:?}");
    // It hangs up on the preface, and answers a request of HTTP/1.
    let closing = serve(|mut stream| async move {
        if read_some(&mut stream).await.starts_with(b"GET ") {
            let _ = stream.write_all(GOOD.as_bytes()).await;
        }
    })
    .await;
    assert_eq!(upstream(closing, Protocol::Grpc).await.outcome, says("http/1"));
}

#[tokio::test]
async fn http2_over_tls_is_agreed_by_alpn() {
    // A server that offers no ALPN speaks HTTP/1 (RFC 9113 section 3.3).
    let report = upstream(tls().await, Protocol::Grpcs).await;
    assert_eq!(report.outcome, says("http/1"), "{}", report.detail);
    let alert = upstream(answering(&b"\x15\x03\x03\x00\x02\x02\x78"[..]).await, Protocol::Grpcs).await;
    assert_eq!(alert.outcome, says("http/1"), "no_application_protocol: {}", alert.detail);
    let plain = upstream(h2(Act::Answer(200)).await, Protocol::Grpcs).await;
    assert_eq!(plain.outcome, Outcome::Tls(TlsFault::NotTls), "{}", plain.detail);
}

#[tokio::test]
async fn plain_http_to_an_http2_server_is_told() {
    let report = upstream(h2(Act::Answer(200)).await, Protocol::Http).await;
    assert_eq!(report.outcome, says("http/2"), "{}", report.detail);
}

#[tokio::test]
async fn hostile_http2_is_bounded() {
    let began = Instant::now();
    let flood = upstream(h2(Act::Flood).await, Protocol::Grpc).await;
    assert_eq!(flood.outcome, Outcome::Status(500), "{}", flood.detail);
    // SETTINGS without end, and frames of a length that is not allowed.
    let settings = serve(|mut stream| async move {
        read_some(&mut stream).await;
        while stream.write_all(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00").await.is_ok() {}
    })
    .await;
    let outcome = within(settings, Protocol::Grpc, 300).await.outcome;
    assert!(!matches!(outcome, Outcome::Status(_)), "{outcome:?}");
    let huge = answering(&b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\xff\xff\xff\x01\x04\x00\x00\x00\x01"[..]).await;
    let outcome = upstream(huge, Protocol::Grpc).await.outcome;
    assert!(matches!(outcome, Outcome::Invalid(_) | Outcome::Closed(_)), "{outcome:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn nothing_unsafe_is_sent() {
    let mut job = job("upstream", Address::Tcp(h2(Act::Answer(200)).await), Protocol::Grpc);
    job.request.as_mut().expect("a request").method = "POST".to_owned();
    assert!(matches!(make(&host(), &job).await.outcome, Outcome::Skipped(_)));
}
