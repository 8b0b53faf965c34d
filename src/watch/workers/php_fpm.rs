//! php-fpm: the status page of each pool (`pm.status_path`, on `pm.status_listen` or its own socket; fpm_status.c), else what its
//! children wait for: a free one sits in accept(2) (`fcgi_accept_request`).

use serde::Deserialize;

use super::{
    super::sources::settings::php_fpm::{Section, dialled, pools},
    Ask,
};
use crate::{
    model::{Address, ProcessInfo, Subject, Workers},
    sys::{AdminQuestion, Wait},
};

/// Pools of one master that are looked at, at most.
const POOLS: usize = 32;

pub(super) async fn read(ask: &Ask<'_>) -> Vec<Workers> {
    if !ask.service.is("php-fpm") {
        return Vec::new();
    }
    let pools = ask.off_thread(pools).await.unwrap_or_default();
    let of = pools.iter().take(POOLS).map(|section| pool(ask, section));
    futures_util::future::join_all(of).await.into_iter().flatten().collect()
}

async fn pool(ask: &Ask<'_>, section: &Section) -> Option<Workers> {
    let setting = |name: &str| section.settings.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let listen = section.listen.as_deref()?;
    let title = format!("php-fpm: pool {}", section.name);
    let of_pool = |child: &&&ProcessInfo| child.argv.first().is_some_and(|first| first.trim_end() == title);
    let children: Vec<&ProcessInfo> = ask.children.iter().filter(of_pool).copied().collect();
    let serves = |subject: &&Subject| subject.0.parse().is_ok_and(|address| dialled(listen, &[address]));
    let known = Workers {
        pool: section.name.clone(),
        serves: ask.service.serves.iter().filter(serves).cloned().collect(),
        limit: setting("pm.max_children").and_then(|limit| limit.parse().ok()),
        limit_name: "pm.max_children".to_owned(),
        ..ask.workers("php-fpm")
    };
    let processes = ask.idle_and_busy(&children, Wait::Accept).await;
    let apart = setting("pm.status_listen");
    // Its own socket is answered by a free child only: where there is none, the question would wait among the rest.
    let free = processes.is_none_or(|(idle, _)| idle > 0);
    if let Some(path) = setting("pm.status_path").filter(|_| ask.may_ask() && (apart.is_some() || free)) {
        let at = address(&apart.unwrap_or(listen).replace("$pool", &section.name));
        let question = AdminQuestion::FastCgiPage { path: path.to_owned(), query: "json&full".to_owned() };
        if let Some(at) = at
            && let Ok(answer) = ask.there.rights.ask_gateway(at.bare(), &question).await
            && let Some(told) = page(&answer, apart.is_none())
        {
            let (pool, serves, limit, limit_name) = (known.pool, known.serves, known.limit, known.limit_name);
            let source = format!("status page {path} of {at}");
            let (program, pid) = (known.program, known.pid);
            return Some(Workers { program, pool, pid, serves, source, limit, limit_name, ..told });
        }
    }
    let (idle, busy) = processes?;
    Some(Workers { source: "what its children wait for".to_owned(), idle, busy, ..known })
}

/// `9000`, `127.0.0.1:9000`, `/run/php/www.sock`, in the words of `listen`.
fn address(listen: &str) -> Option<Address> {
    let listen = listen.trim().trim_matches(['"', '\'']);
    if listen.starts_with('/') {
        return Some(Address::Unix(listen.into()));
    }
    match listen.parse::<u16>() {
        Ok(port) => Some(Address::Tcp(([127, 0, 0, 1], port).into())),
        Err(_) => match listen.parse().ok()? {
            Address::Tcp(at) if at.ip().is_unspecified() => Some(Address::Tcp(([127, 0, 0, 1], at.port()).into())),
            at => Some(at),
        },
    }
}

/// The page for programs (`?json&full`).
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(rename = "listen queue")]
    listen_queue: u64,
    #[serde(rename = "idle processes")]
    idle: u64,
    #[serde(rename = "active processes")]
    active: u64,
    #[serde(rename = "max children reached", default)]
    reached: Option<u64>,
    #[serde(rename = "slow requests", default)]
    slow: Option<u64>,
    #[serde(default)]
    processes: Vec<Process>,
}

#[derive(Debug, Deserialize)]
struct Process {
    #[serde(default)]
    state: String,
    /// Microseconds.
    #[serde(rename = "request duration", default)]
    duration: u64,
}

/// What the page says. `own`: a child of this pool answered, which is free otherwise. `None`: it is another page.
fn page(answer: &[u8], own: bool) -> Option<Workers> {
    let at = memchr::memmem::find(answer, b"\r\n\r\n")?;
    let page: Page = serde_json::from_slice(answer.get(at + 4..)?).ok()?;
    let running = page.processes.iter().filter(|process| process.state == "Running").map(|process| process.duration / 1_000);
    let mut running: Vec<u64> = running.collect();
    running.sort_unstable();
    let us = u64::from(own && page.active > 0);
    Some(Workers {
        busy: page.active - us,
        idle: page.idle + us,
        waiting: Some(page.listen_queue),
        limit_reached: page.reached,
        slow: page.slow,
        // The youngest is the one that answers us.
        youngest_ms: running.get(usize::from(own)).copied(),
        ..Workers::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_read_without_the_child_that_serves_it() {
        let answer = b"Content-type: application/json\r\n\r\n{\"pool\":\"www\",\"listen queue\":3,\"idle processes\":0,\
            \"active processes\":2,\"max children reached\":1,\"slow requests\":4,\"processes\":[\
            {\"state\":\"Running\",\"request duration\":900},{\"state\":\"Running\",\"request duration\":65000000}]}";
        let told = page(answer, true).expect("a page");
        assert_eq!((told.busy, told.idle, told.waiting, told.youngest_ms), (1, 1, Some(3), Some(65_000)));
        let told = page(answer, false).expect("a page");
        assert_eq!((told.busy, told.idle, told.limit_reached, told.slow), (2, 0, Some(1), Some(4)));
        for other in [b"".as_slice(), b"Status: 404\r\n\r\nFile not found.\n", b"x\r\n\r\n{}"] {
            assert!(page(other, true).is_none());
        }
        assert_eq!(address("9000").map(|at| at.to_string()).as_deref(), Some("127.0.0.1:9000"));
        assert_eq!(address("0.0.0.0:9000").map(|at| at.to_string()).as_deref(), Some("127.0.0.1:9000"));
        assert_eq!(address("/run/a.sock").map(|at| at.to_string()).as_deref(), Some("unix:/run/a.sock"));
    }
}
