//! What Apache says of itself by mod_status, in the form for programs (`?auto`): how many of its workers are busy, and, with
//! `ProxyStatus On`, which members of its balancers it holds for down. Without that, by the balancer-manager.

use std::collections::HashMap;

use super::{balancer, files, scope::Scope, tree::Directive};
use crate::{
    model::{Address, BlindSpot, Gateway, Health, LiveLimit, LiveServer, LiveState, Role, Site},
    sys::{AdminQuestion, Sys},
};

/// Key of [`Gateway::commands`] under which the way to ask stands: address, Host, path, and the limit of workers.
pub const PAGE: &str = "live-page";
/// The same of the balancer-manager, without a limit.
const MANAGER: &str = "live-balancers";
/// `MaxRequestWorkers` where none is set, of the event and worker MPMs, and of prefork (server/mpm).
const THREADS: u64 = 400;
const PROCESSES: u64 = 256;
/// Bytes of a text of Apache's that are kept.
pub(super) const WORDS: usize = 200;

/// The ways to ask, for [`Gateway::commands`]: the pages of `SetHandler server-status` and `balancer-manager`.
pub fn ways(tree: &[Directive], sites: &[Site], prefork: bool) -> Vec<(String, Vec<String>)> {
    let mut ways = Vec::new();
    if let Some((at, host, path)) = page(tree, sites, "server-status") {
        let limit = Scope::default().within(tree);
        let limit = limit.value("maxrequestworkers").or_else(|| limit.value("maxclients")).and_then(|value| value.parse().ok());
        let limit = limit.unwrap_or(if prefork { PROCESSES } else { THREADS });
        ways.push((PAGE.to_owned(), vec![at.to_string(), host, format!("{path}?auto"), limit.to_string()]));
    }
    if let Some((at, host, path)) = page(tree, sites, "balancer-manager") {
        ways.push((MANAGER.to_owned(), vec![at.to_string(), host, path]));
    }
    ways
}

/// Where the page of a handler is, by a site that does not proxy its path away: of the server itself, or of a virtual host.
fn page(tree: &[Directive], sites: &[Site], handler: &str) -> Option<(Address, String, String)> {
    let handles = |one: &&Directive| {
        one.name == "location" && one.children().iter().any(|inner| inner.name == "sethandler" && inner.first() == handler)
    };
    let hosts = tree.iter().filter(|one| one.name == "virtualhost");
    let (_, path, _) = files::location(tree.iter().chain(hosts.flat_map(Directive::children)).find(handles)?);
    let usable = |site: &&Site| {
        let proxied = site.route_for(&path).is_some_and(|route| !route.servers.is_empty() || route.dynamic.is_some());
        !proxied && entrance(site).is_some()
    };
    let site = sites.iter().find(usable)?;
    Some((entrance(site)?, site.host().unwrap_or("localhost").to_owned(), path))
}

/// Where a site is asked without TLS: any address means loopback here.
fn entrance(site: &Site) -> Option<Address> {
    let listen = site.listens.iter().find(|listen| !listen.tls && !listen.proxy_protocol)?;
    match &listen.address {
        Address::Tcp(at) if at.ip().is_unspecified() && at.is_ipv4() => Some(Address::Tcp(([127, 0, 0, 1], at.port()).into())),
        Address::Tcp(at) if at.ip().is_unspecified() => Some(Address::Tcp((std::net::Ipv6Addr::LOCALHOST, at.port()).into())),
        Address::Tcp(at) => Some(Address::Tcp(*at)),
        Address::Name(..) | Address::Unix(_) | Address::Inside(..) => None,
    }
}

/// Asks. No page, or one that is not for this host, is no loss to be told.
pub async fn live(sys: &Sys, gateway: &Gateway) -> Result<Option<LiveState>, BlindSpot> {
    if !sys.root.is_running() || !sys.probing {
        return Ok(None);
    }
    let (status, members) = (ask(sys, gateway, PAGE).await?, gateway.commands.contains_key(MANAGER));
    let limit = gateway.commands.get(PAGE).and_then(|way| way.get(3)?.parse::<u64>().ok());
    let status = status.and_then(|(source, body)| Some((source, read(&body, limit?)?)));
    // Members stand on the first page only with `ProxyStatus On`.
    let told = status.as_ref().is_some_and(|(_, (servers, _))| !servers.is_empty());
    let members = if members && !told { ask(sys, gateway, MANAGER).await? } else { None };
    let members = members.and_then(|(source, body)| Some((source, balancer::read(&body)?)));
    Ok(match (status, members) {
        (None, None) => None,
        (None, Some((source, servers))) => Some(of(gateway, source, servers, Vec::new())),
        (Some((_, (_, limits))), Some((source, servers))) | (Some((source, (servers, limits))), None) => {
            Some(of(gateway, source, servers, limits))
        }
    })
}

/// A page by the way that is known under this key: where it came from, and its body. `None`: there is none for this host.
async fn ask(sys: &Sys, gateway: &Gateway, key: &str) -> Result<Option<(String, String)>, BlindSpot> {
    let Some([at, host, path, ..]) = gateway.commands.get(key).map(Vec::as_slice) else { return Ok(None) };
    let Ok(to) = at.parse::<Address>() else { return Ok(None) };
    let question = AdminQuestion::Page { host: host.clone(), path: path.clone() };
    match sys.rights.ask_gateway(&to, &question).await {
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer);
            let body = text.split_once("\r\n\r\n").filter(|(head, _)| head.split(' ').nth(1) == Some("200")).map(|(_, body)| body);
            Ok(body.map(|body| (format!("http://{at}{path}"), body.to_owned())))
        }
        Err(refusal) => Err(BlindSpot {
            source: String::new(),
            reason: format!("http://{at}{path}: {refusal}"),
            remedy: "where all of its workers are busy it answers nothing: see MaxRequestWorkers in the error log".to_owned(),
        }),
    }
}

fn of(gateway: &Gateway, source: String, servers: Vec<LiveServer>, limits: Vec<LiveLimit>) -> LiveState {
    let requests = limits.first().map(|limit| limit.used);
    LiveState { requests, ..LiveState::new(gateway, source, servers, limits) }
}

/// A member of which nothing is known yet.
pub(super) fn member(pool: String, name: String) -> LiveServer {
    LiveServer {
        pool,
        name,
        address: None,
        host: None,
        role: Role::Primary,
        health: Health::Unchecked,
        check: None,
        for_s: None,
        busy: 0,
        limit: None,
        queued: 0,
    }
}

/// What the page says. `None`: it is another page.
pub(in crate::gateway) fn read(body: &str, limit: u64) -> Option<(Vec<LiveServer>, Vec<LiveLimit>)> {
    let mut limits = Vec::new();
    let mut pools: HashMap<&str, String> = HashMap::new();
    let mut servers: Vec<(String, LiveServer)> = Vec::new();
    for (key, value) in body.lines().filter_map(|line| line.split_once(": ")) {
        let value = value.trim();
        if key == "BusyWorkers" {
            // One of them serves this very question.
            let used = value.parse::<u64>().ok()?.saturating_sub(1);
            limits.push(LiveLimit { name: "MaxRequestWorkers".to_owned(), used, limit });
        }
        let Some(rest) = key.strip_prefix("ProxyBalancer[") else { continue };
        let Some((number, what)) = rest.split_once(']') else { continue };
        if what == "Name" {
            pools.insert(number, value.trim_start_matches("balancer://").to_ascii_lowercase());
            continue;
        }
        let Some((at, what)) = what.strip_prefix("Worker[").and_then(|rest| rest.split_once(']')) else { continue };
        let id = format!("{number}/{at}");
        if what == "Name" {
            let pool = pools.get(number).cloned().unwrap_or_default();
            let name = value.trim_end_matches('/').chars().take(WORDS).collect();
            servers.push((id, member(pool, name)));
            continue;
        }
        let Some((_, server)) = servers.iter_mut().rfind(|(known, _)| *known == id) else { continue };
        match what {
            "Status" => (server.health, server.role) = status(value),
            "Busy" => server.busy = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    (!limits.is_empty()).then(|| (servers.into_iter().map(|(_, server)| server).collect(), limits))
}

/// `Init Ok`, `Init Err`, `Init Dis`, `Init HcFl`, `Init Stby Ok`: the flags of `ap_proxy_parse_wstatus` (proxy_util.c).
pub(super) fn status(words: &str) -> (Health, Role) {
    let has = |flag: &str| words.split(' ').any(|word| word == flag);
    let role = if has("Stby") || has("Spar") { Role::Backup } else { Role::Primary };
    let health = if has("Dis") || has("Stop") {
        Health::Disabled
    } else if has("Drn") {
        Health::Draining
    } else if has("Err") || has("HcFl") {
        Health::Down
    } else {
        Health::Unchecked
    };
    (health, role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_for_programs_is_read() {
        let page = "localhost\nServerVersion: Apache/2.4.62\nBusyWorkers: 5\nIdleWorkers: 0\nScoreboard: WWWWW..\n\
                    ProxyBalancer[0]Name: balancer://Shop\nProxyBalancer[0]Worker[0]Name: http://127.0.0.1:8001\n\
                    ProxyBalancer[0]Worker[0]Status: Init Ok \nProxyBalancer[0]Worker[0]Busy: 3\n\
                    ProxyBalancer[0]Worker[1]Name: http://127.0.0.1:8002\nProxyBalancer[0]Worker[1]Status: Init HcFl \n\
                    ProxyBalancer[0]Worker[2]Name: http://127.0.0.1:8003\nProxyBalancer[0]Worker[2]Status: Init Dis Stby \n";
        let (servers, limits) = read(page, 4).expect("a page");
        assert_eq!((limits[0].used, limits[0].limit), (4, 4));
        let shown: Vec<_> = servers.iter().map(|one| (one.pool.as_str(), one.name.as_str(), one.health, one.busy)).collect();
        assert_eq!(
            shown,
            [
                ("shop", "http://127.0.0.1:8001", Health::Unchecked, 3),
                ("shop", "http://127.0.0.1:8002", Health::Down, 0),
                ("shop", "http://127.0.0.1:8003", Health::Disabled, 0),
            ]
        );
        assert!(read("<html>It works!</html>", 4).is_none());
    }
}
