//! Peers that speak what the gateway does, and those that speak something else.

use super::*;

#[tokio::test]
async fn answers_that_are_no_http_say_what_they_are() {
    for (bytes, outcome) in [
        (&b"hello world, this is no HTTP\n"[..], Outcome::Invalid(Garbage::StatusLine)),
        (b"SSH-2.0-OpenSSH_9.2\r\n", says("ssh")),
        (b"-ERR unknown command\r\n", says("redis")),
        (b"\x15\x03\x03\x00\x02\x02\x46", says("tls")),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", says("http/2")),
        (b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port", says("tls")),
        (b"HTTP/1.1 two hundred\r\n\r\n", Outcome::Invalid(Garbage::StatusLine)),
    ] {
        let report = upstream(answering(bytes).await, Protocol::Http).await;
        assert_eq!(report.outcome, outcome, "{}", bytes.escape_ascii());
    }
    let report = upstream(answering("HTTP/1.1 200 OK\r\nbroken line\r\n\r\n").await, Protocol::Http).await;
    assert!(matches!(&report.outcome, Outcome::Invalid(Garbage::Header(why)) if why.contains("broken line")), "{report:?}");
}

#[tokio::test]
async fn tls_where_it_is_and_where_it_is_not() {
    let good = upstream(tls().await, Protocol::Https).await;
    assert_eq!(good.outcome, Outcome::Status(200), "{}", good.detail);
    assert!(
        good.phases.tls.is_some() && good.detail.contains("TLS 1.3") && good.detail.contains("1 certificates"),
        "{}",
        good.detail
    );

    let plain_to_tls = upstream(tls().await, Protocol::Http).await;
    assert_eq!(plain_to_tls.outcome, says("tls"), "{}", plain_to_tls.detail);

    let not_tls = Outcome::Tls(TlsFault::NotTls);
    let answers = answering("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(upstream(answers, Protocol::Https).await.outcome, not_tls);
    let closes = serve(|mut stream| async move {
        // As many an application server: no request line, no answer.
        let request = read_some(&mut stream).await;
        if request.starts_with(b"GET ") {
            let _ = stream.write_all(GOOD.as_bytes()).await;
        }
    })
    .await;
    let report = upstream(closes, Protocol::Https).await;
    assert_eq!(report.outcome, not_tls);
    assert!(report.detail.contains("it answered http/1"), "{}", report.detail);

    let alert = answering(&b"\x15\x03\x03\x00\x02\x02\x28"[..]).await;
    assert_eq!(upstream(alert, Protocol::Https).await.outcome, Outcome::Tls(TlsFault::Alert("handshake_failure".to_owned())));
    let gone = serve(|mut stream| async move {
        read_some(&mut stream).await;
    })
    .await;
    assert_eq!(upstream(gone, Protocol::Https).await.outcome, Outcome::Closed(Phase::Tls));
}

#[tokio::test]
async fn fastcgi_is_spoken_and_recognised() {
    let good =
        upstream(fastcgi("Status: 404 Not Found\r\nX-Powered-By: PHP/8.2\r\n\r\nFile not found.").await, Protocol::Fastcgi).await;
    assert_eq!(good.outcome, Outcome::Status(404), "{}", good.detail);
    assert_eq!(good.emitter.as_deref(), Some("php"));
    assert!(good.detail.contains("PHP message: watch out"), "{}", good.detail);
    let plain = upstream(fastcgi("Content-type: text/html\r\n\r\nhi").await, Protocol::Fastcgi).await;
    assert_eq!(plain.outcome, Outcome::Status(200));

    let http_to_fastcgi = upstream(fastcgi("").await, Protocol::Http).await;
    assert_eq!(http_to_fastcgi.outcome, says("fastcgi"), "{}", http_to_fastcgi.detail);
    let fastcgi_to_http = upstream(answering("HTTP/1.1 400 Bad Request\r\n\r\n").await, Protocol::Fastcgi).await;
    assert_eq!(fastcgi_to_http.outcome, says("http/1"));
    assert_eq!(
        upstream(fastcgi("").await, Protocol::Fastcgi).await.outcome,
        Outcome::Closed(Phase::Head),
        "an end without a header"
    );

    let mut job = job("upstream", Address::Tcp(fastcgi(format!("X: {}\r\n\r\n", "x".repeat(5000))).await), Protocol::Fastcgi);
    job.header_limit = Some(4096);
    let outcome = make(&host(), &job).await.outcome;
    assert!(matches!(outcome, Outcome::HeaderTooBig { bytes: 5000..5100, limit: 4096 }), "{outcome:?}");
}

#[tokio::test]
async fn uwsgi_is_spoken_and_recognised() {
    let behave = |mut stream: tokio::net::TcpStream| async move {
        let request = read_some(&mut stream).await;
        match request.first() {
            Some(0) => drop(stream.write_all(GOOD.as_bytes()).await),
            // uwsgi takes `GET ` for a length and waits for the rest.
            _ => hang(stream).await,
        }
    };
    assert_eq!(upstream(serve(behave).await, Protocol::Uwsgi).await.outcome, Outcome::Status(200));
    assert_eq!(within(serve(behave).await, Protocol::Http, 200).await.outcome, says("uwsgi"));
    let http = answering("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(upstream(http, Protocol::Uwsgi).await.outcome, says("http/1"));
    let scgi = answering("Status: 503 Busy\r\n\r\n").await;
    assert_eq!(upstream(scgi, Protocol::Scgi).await.outcome, Outcome::Status(503));
}

#[tokio::test]
async fn a_peer_that_waits_for_the_proxy_protocol_is_recognised() {
    let at = serve(|mut stream| async move {
        if read_some(&mut stream).await.starts_with(b"PROXY ") {
            let _ = stream.write_all(GOOD.as_bytes()).await;
        }
    })
    .await;
    assert_eq!(upstream(at, Protocol::Http).await.outcome, says("proxy-protocol"));
    let crashing = serve(|mut stream| async move {
        // An HTTP server whose application dies with the request: all else is a bad request.
        if !read_some(&mut stream).await.starts_with(b"GET ") {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    })
    .await;
    assert_eq!(upstream(crashing, Protocol::Http).await.outcome, Outcome::Closed(Phase::Head));
}

#[tokio::test]
async fn second_looks_are_not_made_at_every_repetition() {
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&count);
    let at = serve(move |mut stream| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            read_some(&mut stream).await;
        }
    })
    .await;
    for _ in 0..5 {
        assert_eq!(upstream(at, Protocol::Http).await.outcome, Outcome::Closed(Phase::Head));
    }
    assert_eq!(count.load(std::sync::atomic::Ordering::SeqCst), 5 + 7, "five requests, and one look at each of seven protocols");
}

/// A server of plain HTTP that works on one connection at a time, and waits for the end of a request line.
async fn one_at_a_time() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let at = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut line = Vec::new();
            while !line.windows(2).any(|two| two == b"\r\n") {
                let more = read_some(&mut stream).await;
                if more.is_empty() {
                    break;
                }
                line.extend(more);
            }
            let answer = if line.starts_with(b"GET ") { GOOD } else { "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" };
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    at
}

#[tokio::test]
async fn who_waits_for_the_end_of_a_line_is_told_by_ending_it() {
    let at = one_at_a_time().await;
    let report = within(at, Protocol::Https, 1_500).await;
    assert_eq!(report.outcome, Outcome::Tls(TlsFault::NotTls), "{report:?}");
    assert_eq!(within(at, Protocol::Http, 1_500).await.outcome, Outcome::Status(200), "and it is free again");
    // Another's handshake has the only worker: nothing is told of whom nobody heard.
    let other = tokio::net::TcpStream::connect(at).await.expect("connect");
    other.try_write(b"\x16\x03\x01").expect("the begin of a handshake");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(within(at, Protocol::Https, 1_200).await.outcome, Outcome::Timeout(Phase::Tls));
    assert_eq!(within(serve(hang).await, Protocol::Https, 1_200).await.outcome, Outcome::Timeout(Phase::Tls));
}
