//! A little traffic, so that the logs live.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::MissedTickBehavior,
};

use crate::sys::Stream;

/// From one request to the next: 2 a second.
const PERIOD: Duration = Duration::from_millis(500);
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests under way at once: an application that hangs must not pile them up.
const AT_ONCE: usize = 8;
/// Bytes of an answer that are read.
const ANSWER_BYTES: u64 = 64 << 10;
/// What visitors look at.
const PATHS: &[&str] = &["/", "/cart", "/", "/item/42", "/search?q=tea"];

/// Sends requests for ever.
pub(super) async fn run(gateway: SocketAddr) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut running = JoinSet::new();
    for path in PATHS.iter().cycle() {
        ticks.tick().await;
        while running.try_join_next().is_some() {}
        if running.len() < AT_ONCE {
            running.spawn(tokio::time::timeout(PATIENCE, visit(gateway, path)));
        }
    }
}

async fn visit(gateway: SocketAddr, path: &str) {
    // Whatever comes of it: the logs tell.
    let Ok(mut stream) = Stream::tcp(gateway, PATIENCE).await else { return };
    let agent = concat!("why502-demo-traffic/", env!("CARGO_PKG_VERSION"));
    let request = format!("GET {path} HTTP/1.1\r\nHost: shop.demo\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n");
    if stream.write_all(request.as_bytes()).await.is_ok() {
        let mut answer = Vec::new();
        let _ = stream.take(ANSWER_BYTES).read_to_end(&mut answer).await;
    }
}
