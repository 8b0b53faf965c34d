//! uWSGI: its stats server (`stats = 127.0.0.1:9191` or a socket), which sends its state as JSON to whoever connects
//! (<https://uwsgi-docs.readthedocs.io/en/latest/StatsServer.html>).

use std::path::Path;

use serde::Deserialize;

use super::{super::sources::settings::assignments, Ask};
use crate::{
    model::{Address, Workers},
    sys::AdminQuestion,
};

pub(super) async fn read(ask: &Ask<'_>) -> Vec<Workers> {
    if !ask.service.is("uwsgi") || !ask.may_ask() {
        return Vec::new();
    }
    let Some((at, http)) = ask.off_thread(door).await.flatten() else { return Vec::new() };
    let question =
        if http { AdminQuestion::Page { host: "localhost".to_owned(), path: "/".to_owned() } } else { AdminQuestion::Listen };
    let Ok(answer) = ask.there.rights.ask_gateway(at.bare(), &question).await else { return Vec::new() };
    let told = state(&answer).map(|told| Workers { source: format!("stats server {at}"), ..told });
    let of = |told: Workers| {
        let known = ask.workers("uwsgi");
        Workers { program: known.program, pid: known.pid, serves: known.serves, ..told }
    };
    told.map(of).into_iter().collect()
}

/// Where its stats server is, and whether it speaks HTTP: by its command line, else by the ini that this names.
fn door(settings: &super::super::sources::settings::Settings<'_>) -> Option<(Address, bool)> {
    let option = |names: &[&str]| settings.service.option(names);
    let http_flag = |word: &str| matches!(word, "--stats-http" | "stats-http");
    let http = settings.service.lead.argv.iter().any(|word| http_flag(word));
    if let Some(value) = option(&["--stats", "--stats-server"]) {
        return Some((address(settings, value)?, http));
    }
    let ini = option(&["--ini"]).or_else(|| {
        let named = |word: &&String| Path::new(word.as_str()).extension().is_some_and(|end| end == "ini");
        settings.service.lead.argv.iter().skip(1).find(named).map(String::as_str)
    })?;
    let text = settings.text(&settings.path(ini))?;
    let value = |wanted: &[&str]| assignments(&text).find(|(_, key, _)| wanted.contains(key)).map(|(_, _, value)| value.to_owned());
    let http = value(&["stats-http"]).is_some_and(|value| value == "true" || value == "1");
    Some((address(settings, &value(&["stats", "stats-server"])?)?, http))
}

/// `127.0.0.1:9191`, `:9191`, `/run/stats.sock`. What a variable fills in is not known.
fn address(settings: &super::super::sources::settings::Settings<'_>, value: &str) -> Option<Address> {
    if let Some(port) = value.strip_prefix(':').and_then(|port| port.parse::<u16>().ok()) {
        return Some(Address::Tcp(([127, 0, 0, 1], port).into()));
    }
    match value.parse() {
        Ok(Address::Tcp(at)) if at.ip().is_unspecified() => Some(Address::Tcp(([127, 0, 0, 1], at.port()).into())),
        Ok(at @ Address::Tcp(_)) => Some(at),
        Ok(Address::Name(..) | Address::Unix(_) | Address::Inside(..)) | Err(_) if value.contains(['%', '$', '@', ':']) => None,
        Ok(Address::Name(..) | Address::Unix(_) | Address::Inside(..)) | Err(_) => Some(Address::Unix(settings.path(value))),
    }
}

#[derive(Debug, Deserialize)]
struct State {
    #[serde(default)]
    listen_queue: u64,
    workers: Vec<Worker>,
}

#[derive(Debug, Deserialize)]
struct Worker {
    #[serde(default)]
    status: String,
    #[serde(default)]
    harakiri_count: u64,
    #[serde(default)]
    cores: Vec<Core>,
}

/// A thread of a worker, or a greenlet: each takes a request of its own.
#[derive(Debug, Deserialize)]
struct Core {
    #[serde(default)]
    in_request: u64,
}

/// What it says. `None`: it is something else.
fn state(answer: &[u8]) -> Option<Workers> {
    // With `stats-http` a head stands before it.
    let from = memchr::memchr(b'{', answer)?;
    let state: State = serde_json::from_slice(answer.get(from..)?).ok()?;
    let (mut busy, mut idle) = (0, 0);
    // A worker that is cheap does not run: it is started when it is needed.
    for worker in &state.workers {
        let taken = worker.cores.iter().filter(|core| core.in_request > 0).count() as u64;
        if worker.status == "cheap" {
            idle += 1;
        } else if worker.cores.is_empty() {
            *(if worker.status == "idle" { &mut idle } else { &mut busy }) += 1;
        } else {
            busy += taken;
            idle += worker.cores.len() as u64 - taken;
        }
    }
    Some(Workers {
        busy,
        idle,
        limit: Some(busy + idle),
        limit_name: "processes".to_owned(),
        waiting: Some(state.listen_queue),
        ended_for_time: Some(state.workers.iter().map(|worker| worker.harakiri_count).sum()),
        ..Workers::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_and_their_cores_are_counted() {
        let text = br#"{"version":"2.0.21","listen_queue":4,"load":0,"workers":[
            {"id":1,"status":"busy","harakiri_count":2,"cores":[{"in_request":1},{"in_request":0}]},
            {"id":2,"status":"cheap","cores":[{"in_request":0}]}]}"#;
        let told = state(text).expect("a state");
        assert_eq!((told.busy, told.idle, told.waiting, told.ended_for_time), (1, 2, Some(4), Some(2)));
        let headed = [b"HTTP/1.0 200 OK\r\n\r\n".as_slice(), text].concat();
        assert_eq!(state(&headed), Some(told));
        assert_eq!(state(b"{}"), None);
        assert_eq!(state(b"hello"), None);
    }
}
