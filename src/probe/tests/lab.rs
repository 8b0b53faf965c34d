//! Peers for tests: real sockets on loopback, each behaving badly in one way.

use std::{future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixListener},
};

use crate::{
    model::{Address, HttpRequest, ProbeJob, ProbeReport, Protocol, Subject},
    sys::{Root, Sys},
};

/// A plain good answer.
pub(in crate::probe) const GOOD: &str = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Length: 2\r\n\r\nok";

/// A server on loopback that does this with every connection.
pub(in crate::probe) async fn serve<F, R>(behave: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let at = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(behave(stream));
        }
    });
    at
}

/// A server that reads a request and answers with these bytes, then closes.
pub(in crate::probe) async fn answering(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes: Arc<[u8]> = bytes.into().into();
    serve(move |mut stream| {
        let bytes = Arc::clone(&bytes);
        async move {
            read_some(&mut stream).await;
            // A client that has seen enough may have gone.
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            drain(&mut stream).await;
        }
    })
    .await
}

/// Reads once, whatever comes.
pub(in crate::probe) async fn read_some(stream: &mut TcpStream) -> Vec<u8> {
    let mut buf = vec![0; 8192];
    let len = stream.read(&mut buf).await.unwrap_or(0);
    buf.truncate(len);
    buf
}

/// Reads to the end: closing with unread data would reset.
pub(in crate::probe) async fn drain(stream: &mut TcpStream) {
    let mut buf = [0; 1024];
    while matches!(stream.read(&mut buf).await, Ok(1..)) {}
}

/// Says nothing for longer than any test.
pub(in crate::probe) async fn hang(stream: TcpStream) {
    let _keep = stream;
    tokio::time::sleep(Duration::from_mins(1)).await;
}

/// A TLS server with a certificate of its own that answers every request well.
pub(in crate::probe) async fn tls() -> SocketAddr {
    let signed = rcgen::generate_simple_self_signed(vec!["app.test".to_owned()]).expect("certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).expect("key");
    let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .expect("configuration");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut buf = [0; 8192];
            let _ = stream.read(&mut buf).await;
            let _ = stream.write_all(GOOD.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

/// A FastCGI responder: answers a request with this header and body, and GET_VALUES with nothing known; closes on all else.
pub(in crate::probe) async fn fastcgi(stdout: impl Into<Vec<u8>>) -> SocketAddr {
    let stdout: Arc<[u8]> = stdout.into().into();
    serve(move |mut stream| {
        let stdout = Arc::clone(&stdout);
        async move {
            let request = read_some(&mut stream).await;
            let mut answer = match request[..] {
                [1, 9, ..] => record(10, 0, b""),
                [1, 1, ..] => [record(7, 1, b"PHP message: watch out\n"), record(6, 1, &stdout), record(6, 1, b"")].concat(),
                _ => return,
            };
            if request[1] == 1 {
                answer.extend(record(3, 1, &[0; 8]));
            }
            let _ = stream.write_all(&answer).await;
        }
    })
    .await
}

/// A FastCGI record, with padding as php-fpm sends it.
pub(in crate::probe) fn record(kind: u8, id: u8, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).expect("small").to_be_bytes();
    let padding = (8 - content.len() % 8) % 8;
    let mut out = vec![1, kind, 0, id, len[0], len[1], u8::try_from(padding).expect("small"), 0];
    out.extend_from_slice(content);
    out.resize(out.len() + padding, 0);
    out
}

/// A unix listener whose queue takes one connection, already full: the connections are kept open by what is returned.
pub(in crate::probe) async fn full_unix(path: &Path) -> (UnixListener, Vec<tokio::net::UnixStream>) {
    let socket = tokio::net::UnixSocket::new_stream().expect("socket");
    socket.bind(path).expect("bind");
    let listener = socket.listen(1).expect("listen");
    let mut waiting = Vec::new();
    while let Ok(stream) = tokio::net::UnixStream::connect(path).await {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue must be full at some point");
    }
    (listener, waiting)
}

/// A job with short deadlines.
pub(in crate::probe) fn job(probe: &str, address: Address, protocol: Protocol) -> ProbeJob {
    let request = HttpRequest {
        method: "GET".to_owned(),
        path: "/".to_owned(),
        query: None,
        host: "app.test".to_owned(),
        headers: Vec::new(),
        params: Vec::new(),
    };
    let subject = Subject(address.to_string());
    ProbeJob { request: Some(request), ..ProbeJob::new(probe, subject, address, protocol, (1000, 2000)) }
}

/// The real host.
pub(in crate::probe) fn host() -> Sys {
    Sys::new(Root::host(), true)
}

/// Makes the upstream probe over this protocol.
pub(in crate::probe) async fn upstream(at: SocketAddr, protocol: Protocol) -> ProbeReport {
    crate::probe::make(&host(), &job("upstream", Address::Tcp(at), protocol)).await
}

/// [`upstream`] with a deadline of its own.
pub(in crate::probe) async fn within(at: SocketAddr, protocol: Protocol, ms: u64) -> ProbeReport {
    let mut job = job("upstream", Address::Tcp(at), protocol);
    job.total_ms = ms;
    crate::probe::make(&host(), &job).await
}
