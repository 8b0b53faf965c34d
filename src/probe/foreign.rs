//! What peers' answers are read by, as functions of bytes: for `tests/fuzz`, by way of [`crate::shell::foreign`].

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::{Builder, Runtime},
};

use super::{
    ajp, fastcgi,
    http1::{self, Answer, Style},
    reach::{iptables, nft, rules::Packet, walk},
    sniff, tls,
    wire::Conn,
    x509::{Cert, crl::Crl, verify::Judge},
};
use crate::{
    model::{Outcome, TrustSettings, Verifier},
    sys::Stopwatch,
};

/// Nobody waits here: the peer has said all, and closed.
const DEADLINE: Duration = Duration::from_mins(1);
/// 2026-11-20, in seconds since the Unix epoch: a run gives the same on every day.
const NOW: i64 = 1_795_132_800;

/// A peer that sends these bytes, so many at a time, and closes.
struct Peer {
    bytes: Vec<u8>,
    at: usize,
    at_once: usize,
}

impl AsyncRead for Peer {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let end = self.bytes.len().min(self.at.saturating_add(self.at_once.min(buf.remaining())));
        buf.put_slice(&self.bytes[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime of one thread");
}

/// Reads an answer twice, in one piece and byte by byte: what it says must not depend on how the network cut it. What an unknown
/// protocol is taken for may (more of it tells more), and so may how much of a header that is too big was read.
fn answered(bytes: &[u8], read: &impl AsyncFn(&mut Conn) -> Answer) {
    let by = |at_once: usize| {
        RUNTIME.with(|runtime| {
            runtime.block_on(async {
                let peer = Peer { bytes: bytes.to_vec(), at: 0, at_once };
                read(&mut Conn::new(peer, Stopwatch::start(), DEADLINE)).await
            })
        })
    };
    let (whole, pieces) = (by(usize::MAX), by(1));
    let open = |answer: &Answer| matches!(answer.outcome, Some(Outcome::Speaks(_) | Outcome::HeaderTooBig { .. }));
    if !open(&whole) && !open(&pieces) {
        assert_eq!(whole.outcome, pieces.outcome, "it depends on how the answer came");
    }
    let head = whole.head_bytes.unwrap_or(0) as usize;
    assert!(head <= bytes.len() || open(&whole), "a header of {head} bytes");
}

/// An answer of HTTP/1.1.
pub fn http(bytes: &[u8]) {
    answered(bytes, &async |conn| http1::receive(conn, Style::Http, false, None).await);
    answered(bytes, &async |conn| http1::receive(conn, Style::Http, true, Some(512)).await);
}

/// An answer of uwsgi or SCGI: a header as CGI has it.
pub fn uwsgi(bytes: &[u8]) {
    answered(bytes, &async |conn| http1::receive(conn, Style::Cgi, false, Some(4096)).await);
}

/// An answer of FastCGI.
pub fn fastcgi(bytes: &[u8]) {
    answered(bytes, &async |conn| fastcgi::receive(conn, Some(4096)).await);
}

/// An answer of AJP, and what any first bytes are taken for.
pub fn ajp(bytes: &[u8]) {
    answered(bytes, &async |conn| ajp::receive(conn).await);
    assert!(sniff::quote(bytes).is_ascii(), "quoted bytes are for a person");
    let _ = (sniff::speaks(bytes), sniff::called_by_http(bytes), sniff::wanted_tls(400, bytes));
}

/// What comes first after a TLS client's hello.
pub fn hello(bytes: &[u8]) {
    let _ = tls::hello::read(bytes);
}

/// A certificate, or two, one behind the other as in a chain, and a revocation list.
pub fn certificate(bytes: &[u8]) {
    let certs: Vec<Cert> =
        (0..bytes.len()).filter(|at| bytes[*at] == 0x30).take(3).filter_map(|at| Cert::read(&bytes[at..])).collect();
    let lists: Vec<Crl> = Crl::read(bytes).into_iter().collect();
    for cert in &certs {
        let view = cert.view();
        let text = serde_json::to_string(&view).expect("a view can be written");
        assert_eq!(serde_json::from_str(&text).ok().as_ref(), Some(&view), "what was written is read back");
        let _ = (cert.weak_key(), cert.weak_signature());
    }
    let settings =
        TrustSettings { verify: true, dates: true, name: Some("app.example.com".to_owned()), ..TrustSettings::default() };
    for verifier in [Verifier::Openssl, Verifier::Apache, Verifier::Go] {
        let settings = TrustSettings { verifier, ..settings.clone() };
        let anchors: Vec<&Cert> = certs.last().into_iter().collect();
        let _ = Judge { settings: &settings, anchors: &anchors, lists: Some(&lists), now: NOW }.judge(&certs);
        let _ = Judge { settings: &settings, anchors: &[], lists: None, now: NOW }.judge(&certs);
    }
}

/// What iptables-save or nft list, followed for a packet.
pub fn filter_rules(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let to = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 21));
    let packet = Packet { destination: Some(to), destination_port: Some(8000), user: Some(33), ..Packet::default() };
    for rules in [Some(iptables::read("iptables", &text, false)), nft::read(&text)].into_iter().flatten() {
        let _ = walk::hits(&rules, &packet, &["output", "postrouting", "input"]);
    }
}
