//! What nginx says of itself by `stub_status`: how many clients it has, of how many connections it may have
//! (<https://nginx.org/en/docs/http/ngx_http_stub_status_module.html>).

use std::net::Ipv6Addr;

use super::{
    listen,
    scope::Scope,
    tree::{Directive, Problems},
};
use crate::{
    model::{Address, BlindSpot, Gateway, LiveLimit, LiveState},
    sys::{AdminQuestion, Root, Sys},
};

/// Key of [`Gateway::commands`] under which the way to ask stands: address, Host, path, and the limit of connections.
pub const PAGE: &str = "live-page";
/// `worker_connections` and `worker_processes` where none is set (ngx_core_module).
const CONNECTIONS: u64 = 512;
const PROCESSES: u64 = 1;

/// The way to ask, for [`Gateway::commands`]: the first location with `stub_status` that is reached without TLS on this host.
pub fn way(root: &Root, tree: &[Directive]) -> Option<(String, Vec<String>)> {
    let http = tree.iter().filter(|one| one.name == "http").flat_map(Directive::children);
    let mut servers = http.filter(|one| one.name == "server");
    let (at, host, path) = servers.find_map(page)?;
    let main = Scope::new(tree);
    let events = tree.iter().rfind(|one| one.name == "events").map(|events| Scope::new(events.children()));
    let connections = events.as_ref().and_then(|events| events.value("worker_connections")?.parse().ok()).unwrap_or(CONNECTIONS);
    let processes = match main.value("worker_processes") {
        None => PROCESSES,
        Some("auto") => online(&root.text("/sys/devices/system/cpu/online").ok()?)?,
        Some(number) => number.parse().ok()?,
    };
    let limit = connections.saturating_mul(processes);
    Some((PAGE.to_owned(), vec![at.to_string(), host, path, limit.to_string()]))
}

/// Processors of a list as the kernel writes it: `0-3,6`.
fn online(list: &str) -> Option<u64> {
    let count = |range: &str| -> Option<u64> {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
        to.checked_sub(from)?.checked_add(1)
    };
    list.trim().split(',').map(count).sum()
}

/// Where a server's page is: address, Host, path.
fn page(server: &Directive) -> Option<(Address, String, String)> {
    let status = |one: &&Directive| {
        let plain = match &*one.args {
            [path] => path.starts_with('/'),
            [operator, _] => matches!(operator.as_str(), "=" | "^~"),
            _ => false,
        };
        one.name == "location" && plain && one.children().iter().any(|inner| inner.name == "stub_status")
    };
    let path = server.children().iter().find(status)?.args.last()?.to_string();
    let listens = listen::listens(server.children(), &server.place(), Some(80), &mut Problems::default());
    let at =
        listens.into_iter().filter(|listen| !listen.tls && !listen.proxy_protocol).find_map(|listen| match listen.address {
            Address::Tcp(at) if at.ip().is_unspecified() && at.is_ipv4() => Some(Address::Tcp(([127, 0, 0, 1], at.port()).into())),
            Address::Tcp(at) if at.ip().is_unspecified() => Some(Address::Tcp((Ipv6Addr::LOCALHOST, at.port()).into())),
            at @ (Address::Tcp(_) | Address::Unix(_)) => Some(at),
            Address::Name(..) | Address::Inside(..) => None,
        })?;
    let named = server.children().iter().find(|one| one.name == "server_name").and_then(|one| one.arg(0));
    let plain = |name: &&str| !name.is_empty() && !name.starts_with(['~', '_', '.', '*', '$']);
    Some((at, named.filter(plain).unwrap_or("localhost").to_owned(), path))
}

/// Asks it. No page, or one that is not for this host, is no loss to be told.
pub async fn live(sys: &Sys, gateway: &Gateway) -> Result<Option<LiveState>, BlindSpot> {
    if !sys.root.is_running() || !sys.probing {
        return Ok(None);
    }
    let Some([at, host, path, limit]) = gateway.commands.get(PAGE).map(Vec::as_slice) else { return Ok(None) };
    let (Ok(to), Ok(limit)) = (at.parse::<Address>(), limit.parse::<u64>()) else { return Ok(None) };
    let question = AdminQuestion::Page { host: host.clone(), path: path.clone() };
    match sys.rights.ask_gateway(&to, &question).await {
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer);
            let body = text.split_once("\r\n\r\n").filter(|(head, _)| head.split(' ').nth(1) == Some("200")).map(|(_, body)| body);
            let source = if matches!(to, Address::Unix(_)) { format!("{at} {path}") } else { format!("http://{at}{path}") };
            Ok(body.and_then(|body| Some((active(body)?, under_way(body)))).map(|(used, requests)| {
                let limits = vec![LiveLimit { name: "worker_connections".to_owned(), used, limit }];
                LiveState { requests, ..LiveState::new(gateway, source, Vec::new(), limits) }
            }))
        }
        Err(refusal) => Err(BlindSpot {
            source: String::new(),
            reason: format!("http://{at}{path}: {refusal}"),
            remedy: "where all of its connections are in use it answers nothing: see worker_connections in the error log"
                .to_owned(),
        }),
    }
}

/// `Active connections: 291`, of clients, one of which is ours. `None`: it is another page.
fn active(body: &str) -> Option<u64> {
    let number = body.lines().find_map(|line| line.strip_prefix("Active connections:"))?;
    Some(number.trim().parse::<u64>().ok()?.saturating_sub(1))
}

/// `Reading: 6 Writing: 179 Waiting: 106`: connections whose request is read or answered, one of which is ours.
fn under_way(body: &str) -> Option<u64> {
    let line = body.lines().find(|line| line.starts_with("Reading:"))?;
    let mut words = line.split_ascii_whitespace();
    let mut after = |name: &str| words.find(|word| *word == name).and_then(|_| words.next())?.parse::<u64>().ok();
    Some((after("Reading:")?.saturating_add(after("Writing:")?)).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_read_and_processors_are_counted() {
        let page = "Active connections: 12 \nserver accepts handled requests\n 20 20 31 \nReading: 0 Writing: 1 Waiting: 11 \n";
        assert_eq!(active(page), Some(11));
        let busy = "Active connections: 291 \n\nReading: 6 Writing: 179 Waiting: 106 \n";
        assert_eq!((under_way(page), under_way(busy), under_way("Reading: x")), (Some(0), Some(184), None));
        assert_eq!(active("<html>It works!</html>"), None);
        assert_eq!((online("0-3,6\n"), online("0"), online("x"), online("3-1")), (Some(5), Some(1), None, None));
    }
}
