//! puma: the control server (`activate_control_app`, `--control-url`), where its own settings give the token or ask for none
//! (<https://puma.io/puma/file.stats.html>). Only `/stats` is ever asked for.

use std::path::Path;

use serde::Deserialize;

use super::{super::sources::settings::Settings, Ask};
use crate::{
    model::{Address, Workers},
    sys::AdminQuestion,
};

/// Where its settings lie unless named.
const FILES: &[&str] = &["config/puma.rb", "puma.rb"];

pub(super) async fn read(ask: &Ask<'_>) -> Vec<Workers> {
    if !ask.service.is("puma") || !ask.may_ask() {
        return Vec::new();
    }
    let Some((at, token)) = ask.off_thread(door).await.flatten() else { return Vec::new() };
    let path = token.map_or_else(|| "/stats".to_owned(), |token| format!("/stats?token={token}"));
    let question = AdminQuestion::Page { host: "localhost".to_owned(), path };
    let Ok(answer) = ask.there.rights.ask_gateway(at.bare(), &question).await else { return Vec::new() };
    let known = ask.workers("puma");
    let told = state(&answer).map(|told| Workers {
        source: format!("control server {at}"),
        program: known.program,
        pid: known.pid,
        serves: known.serves,
        ..told
    });
    told.into_iter().collect()
}

/// Where the control server is, and its token. `None`: there is none, or its token is not known.
fn door(settings: &Settings<'_>) -> Option<(Address, Option<String>)> {
    if let Some(url) = settings.service.option(&["--control-url", "--control"]) {
        let token = settings.service.option(&["--control-token"])?;
        return Some((address(url)?, (token != "none").then(|| token.to_owned())));
    }
    let named = settings.service.option(&["-C", "--config"]);
    let files: Vec<&str> = named.map_or_else(|| FILES.to_vec(), |named| vec![named]);
    let text = files.iter().find_map(|file| settings.text(&settings.path(Path::new(file))))?;
    let line = text.lines().map(str::trim).find(|line| line.starts_with("activate_control_app"))?;
    let mut quoted = line.split(['"', '\'']).skip(1).step_by(2);
    let url = quoted.next()?;
    if line.contains("no_token: true") || line.contains(":no_token => true") {
        return Some((address(url)?, None));
    }
    let token = quoted.next().filter(|_| line.contains("auth_token"))?;
    Some((address(url)?, Some(token.to_owned())))
}

/// `tcp://127.0.0.1:9293`, `unix:///run/pumactl.sock`.
fn address(url: &str) -> Option<Address> {
    if let Some(path) = url.strip_prefix("unix://") {
        return path.starts_with('/').then(|| Address::Unix(path.into()));
    }
    match url.strip_prefix("tcp://")?.replace("localhost", "127.0.0.1").parse().ok()? {
        Address::Tcp(at) if at.ip().is_unspecified() => Some(Address::Tcp(([127, 0, 0, 1], at.port()).into())),
        at @ Address::Tcp(_) => Some(at),
        Address::Name(..) | Address::Unix(_) | Address::Inside(..) => None,
    }
}

/// Of one process; in a cluster, of each worker below `last_status`.
#[derive(Debug, Deserialize)]
struct Stats {
    #[serde(default)]
    worker_status: Vec<Worker>,
    #[serde(flatten)]
    own: Option<Threads>,
}

#[derive(Debug, Deserialize)]
struct Worker {
    last_status: Option<Threads>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Threads {
    backlog: u64,
    pool_capacity: u64,
    #[serde(rename = "max_threads")]
    most: u64,
}

/// What it says. `None`: it is something else.
fn state(answer: &[u8]) -> Option<Workers> {
    let at = memchr::memmem::find(answer, b"\r\n\r\n")?;
    let stats: Stats = serde_json::from_slice(answer.get(at + 4..)?).ok()?;
    let all: Vec<Threads> = stats.worker_status.iter().filter_map(|worker| worker.last_status).chain(stats.own).collect();
    let sum = |of: fn(&Threads) -> u64| all.iter().map(of).fold(0, u64::saturating_add);
    let (limit, idle) = (sum(|one| one.most), sum(|one| one.pool_capacity));
    (!all.is_empty()).then(|| Workers {
        busy: limit.saturating_sub(idle),
        idle,
        limit: Some(limit),
        limit_name: "threads".to_owned(),
        waiting: Some(sum(|one| one.backlog)),
        ..Workers::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_one_process_and_of_a_cluster_are_counted() {
        let of = |body: &str| state(format!("HTTP/1.0 200 OK\r\n\r\n{body}").as_bytes());
        let one = of(r#"{"backlog":2,"running":5,"pool_capacity":0,"max_threads":5,"requests_count":9}"#).expect("stats");
        assert_eq!((one.busy, one.idle, one.waiting), (5, 0, Some(2)));
        let cluster = of(r#"{"workers":2,"worker_status":[
            {"pid":1,"last_status":{"backlog":0,"running":5,"pool_capacity":4,"max_threads":5}},
            {"pid":2,"last_status":{}},{"pid":3,"last_status":null}]}"#);
        assert!(cluster.is_none(), "a status without its figures is none");
        let cluster =
            of(r#"{"worker_status":[{"last_status":{"backlog":1,"pool_capacity":4,"max_threads":5}},{"last_status":null}]}"#);
        let cluster = cluster.expect("stats");
        assert_eq!((cluster.busy, cluster.idle, cluster.limit), (1, 4, Some(5)));
        assert!(of("{}").is_none());
        assert_eq!(address("tcp://localhost:9293").map(|at| at.to_string()).as_deref(), Some("127.0.0.1:9293"));
        assert_eq!(address("unix:///run/p.sock").map(|at| at.to_string()).as_deref(), Some("unix:/run/p.sock"));
        assert_eq!(address("auto"), None);
    }
}
