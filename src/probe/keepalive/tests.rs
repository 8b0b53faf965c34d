use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::probe::tests::lab;

/// Answers each request with these bytes, and closes after so many milliseconds without one; `None`: never.
async fn closing(bytes: &'static str, after_ms: Option<u64>) -> Address {
    let at = lab::serve(move |mut stream| async move {
        loop {
            let idle = Duration::from_millis(after_ms.unwrap_or(60_000));
            let Ok(request) = tokio::time::timeout(idle, lab::read_some(&mut stream)).await else { return };
            if request.is_empty() || stream.write_all(bytes.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await;
    Address::Tcp(at)
}

async fn look(address: Address, total_ms: u64) -> (Outcome, Option<KeepaliveView>) {
    let mut job = lab::job("keepalive", address, Protocol::Http);
    job.total_ms = total_ms;
    let report = crate::probe::make(&lab::host(), &job).await;
    let view = match report.view {
        Some(View::Keepalive(view)) => Some(*view),
        _ => None,
    };
    (report.outcome, view)
}

#[tokio::test]
async fn the_time_until_an_idle_connection_is_closed_is_measured() {
    let (outcome, view) = look(closing(lab::GOOD, Some(120)).await, 3_000).await;
    let view = view.expect("measured");
    assert_eq!((outcome, view.kept, view.reset), (Outcome::Status(200), true, false));
    let closed = view.closed_ms.expect("it closed");
    assert!((100..1_000).contains(&closed), "{closed} ms");
    assert_eq!(view.announced_ms, None);
}

#[tokio::test]
async fn a_connection_that_stays_open_is_told_as_such_and_not_waited_for() {
    let promised = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let (_, view) = look(closing(promised, None).await, 1_000).await;
    let view = view.expect("measured");
    assert_eq!((view.kept, view.closed_ms, view.announced_ms), (true, None, Some(5_000)));
    // It says how long it waited: what the request left of the second, and not what was announced.
    assert!((1..5_000).contains(&view.waited_ms), "{view:?}");
}

#[tokio::test]
async fn an_answer_that_ends_the_connection_is_no_short_keepalive() {
    for answer in ["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\n\r\nuntil the end"] {
        let (outcome, view) = look(closing(answer, Some(50)).await, 1_000).await;
        assert_eq!(
            (outcome, view.map(|view| (view.kept, view.closed_ms))),
            (Outcome::Status(200), Some((false, None))),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn what_breaks_is_an_outcome_without_a_measurement() {
    let gone = lab::serve(|stream| async move { drop(stream) }).await;
    let (outcome, view) = look(Address::Tcp(gone), 1_000).await;
    assert!(matches!(outcome, Outcome::Closed(_) | Outcome::Reset(_)) && view.is_none(), "{outcome:?}");
    let huge = Box::leak(format!("HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n{}", "x".repeat(100_000)).into_boxed_str());
    let (outcome, view) = look(closing(huge, None).await, 1_000).await;
    assert!(matches!(outcome, Outcome::Skipped(_)) && view.is_none(), "{outcome:?}");
}
