//! When an answer is no longer waited for before the deadline, and when it is.

use std::{sync::Arc, time::Duration};

use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use super::{super::make, super::patience::until_cut, lab::*};
use crate::model::{Address, Outcome, Phase, ProbeJob, ProbeReport, Protocol, Siblings};

/// Longer than any of these tests may take: what ends before was not waited for to its end.
const LONG_MS: u64 = 60_000;

/// A server that takes requests and never answers.
async fn silent() -> std::net::SocketAddr {
    serve(|mut stream| async move { drain(&mut stream).await }).await
}

fn waiting(probe: &str, at: std::net::SocketAddr, total_ms: u64, waited_ms: Option<u64>) -> ProbeJob {
    let siblings = waited_ms.map(|waited_ms| Box::new(Siblings { at: vec![at], waited_ms }));
    ProbeJob { total_ms, siblings, ..job(probe, Address::Tcp(at), Protocol::Http) }
}

#[tokio::test]
async fn who_hangs_as_long_as_others_is_not_waited_for() {
    let at = silent().await;
    let mut other = tokio::net::TcpStream::connect(at).await.expect("connect");
    other.write_all(b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("write");
    for probe in ["upstream", "gateway", "client"] {
        let report = make(&host(), &waiting(probe, at, LONG_MS, Some(0))).await;
        assert_eq!(report.outcome, Outcome::Timeout(Phase::Head), "{probe}");
        assert!(report.detail.contains("without a byte of an answer"), "{probe}: {:?}", report.detail);
        assert!((1_000.0..LONG_MS as f64 / 2.0).contains(&report.phases.total), "{probe}: {:?}", report.phases);
    }
    // Nobody has waited for so long.
    let report = make(&host(), &waiting("upstream", at, 1_600, Some(LONG_MS))).await;
    assert!(report.outcome == Outcome::Timeout(Phase::Head) && report.phases.total >= 1_600.0, "{report:?}");
    assert!(!report.detail.contains("without a byte"), "{:?}", report.detail);
}

/// A server whose pages take so many milliseconds, with somebody who waits there on purpose (long polling).
async fn polled(page_ms: u64) -> (std::net::SocketAddr, tokio::net::TcpStream) {
    let at = serve(move |mut stream| async move {
        let asked = read_some(&mut stream).await;
        let wait = if asked.starts_with(b"GET /other") { LONG_MS } else { page_ms };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let mut other = tokio::net::TcpStream::connect(at).await.expect("connect");
    other.write_all(b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("write");
    (at, other)
}

#[tokio::test]
async fn an_answer_that_comes_counts_whatever_others_wait_for() {
    let (at, _other) = polled(700).await;
    let report = make(&host(), &waiting("upstream", at, LONG_MS, Some(0))).await;
    assert_eq!(report.outcome, Outcome::Status(200));
}

/// A log may be read while the probe is under way: what users are told counts for more than that others wait. The page takes longer than
/// any answer is waited for where others hang.
#[tokio::test]
async fn where_users_are_served_those_who_wait_tell_nothing() {
    let (at, _other) = polled(2_500).await;
    let (job, sys) = (waiting("upstream", at, LONG_MS, Some(0)), host());
    let report = until_cut(CancellationToken::new(), Arc::new(true.into()), &job, make(&sys, &job)).await;
    assert_eq!(report.outcome, Outcome::Status(200));
}

/// Makes a probe that is cut short at once.
async fn cut(job: &ProbeJob) -> ProbeReport {
    let end = CancellationToken::new();
    end.cancel();
    until_cut(end, Arc::default(), job, make(&host(), job)).await
}

#[tokio::test]
async fn what_is_cut_short_tells_where_it_stood() {
    let at = silent().await;
    for probe in ["upstream", "client"] {
        let report = cut(&waiting(probe, at, LONG_MS, None)).await;
        assert!(matches!(report.outcome, Outcome::Timeout(Phase::Head | Phase::Connect)), "{probe}: {report:?}");
        assert!(report.job.probe == probe && report.phases.total < LONG_MS as f64 / 2.0, "{probe}: {report:?}");
    }
    // Who never takes the connection: TEST-NET-1 (RFC 5737) leads nowhere, or the host says so at once.
    let job = ProbeJob { connect_ms: LONG_MS, ..waiting("upstream", ([192, 0, 2, 1], 80).into(), LONG_MS, None) };
    let report = cut(&job).await;
    assert!(matches!(report.outcome, Outcome::Timeout(Phase::Connect) | Outcome::Unreachable), "{report:?}");
}
