//! What a Caddy that runs says of itself by its admin API: which upstreams have failed, and where the configuration that it
//! runs connects, which its files may not say any more. Where the API is off, the configuration that it saved when it loaded it.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{super::off_thread, environment::Environment, json, proxy::Upstream, value::Value};
use crate::{
    model::{Address, BlindSpot, Gateway, Health, LiveServer, LiveState, Role, RunState},
    sys::{AdminQuestion, Sys},
};

/// Name of the command in [`Gateway::commands`] that asks the admin API by hand: its last word is the URL.
pub const COMMAND: &str = "running configuration";
/// Servers that are kept.
const SERVERS: usize = 1_000;

/// The URL by which a person asks; `None`: what listens there is no address.
pub fn url(listen: &str) -> Option<String> {
    let (at, host) = door(listen)?;
    match at {
        Address::Unix(_) | Address::Inside(..) => None,
        Address::Tcp(_) | Address::Name(..) => Some(format!("http://{host}/config/")),
    }
}

/// Where the API is asked, and with which Host header: it refuses others (admin.go, checkHost).
fn door(listen: &str) -> Option<(Address, String)> {
    let addresses = match Upstream::parse(listen, &Environment::default()) {
        Upstream::Fixed(addresses, _) => addresses,
        Upstream::Dynamic(_) | Upstream::Bad(_) => return None,
    };
    let listen = listen.trim_start_matches("tcp/");
    match addresses.into_iter().next()? {
        Address::Name(name, port) if name == "localhost" => Some((local(port), listen.to_owned())),
        Address::Tcp(at) if at.ip().is_unspecified() => Some((local(at.port()), format!("localhost:{}", at.port()))),
        at @ Address::Tcp(_) if listen.starts_with(':') => at.port().map(|port| (local(port), format!("localhost:{port}"))),
        at @ Address::Tcp(_) => Some((at, listen.to_owned())),
        // A unix socket's API wants an empty or any Host.
        at @ Address::Unix(_) => Some((at, "localhost".to_owned())),
        Address::Name(..) | Address::Inside(..) => None,
    }
}

fn local(port: u16) -> Address {
    Address::Tcp(SocketAddr::from(([127, 0, 0, 1], port)))
}

/// Asks.
pub async fn live(sys: &Sys, gateway: &Gateway) -> Result<Option<LiveState>, BlindSpot> {
    let RunState::Running { pid, .. } = gateway.state else { return Ok(None) };
    let listen = gateway.commands.get(COMMAND).and_then(|words| words.last()).cloned();
    let listen = listen.as_deref().and_then(|url| url.strip_prefix("http://")?.strip_suffix("/config/"));
    let empty = LiveState::new(gateway, String::new(), Vec::new(), Vec::new());
    if let Some((at, host)) = listen.and_then(door) {
        // Another Caddy may listen there, when this one's API is elsewhere.
        let page = async |path: &str| {
            let question = AdminQuestion::Page { host: host.clone(), path: path.to_owned() };
            let answer = sys.rights.ask_gateway(&at, &question).await.ok()?;
            body(&answer)
        };
        if let Some(config) = page("/config/").await {
            let root = sys.root.clone();
            let config = off_thread(move || connects(&config, &Environment::of_process(&root, pid))).await.flatten();
            let upstreams = page("/reverse_proxy/upstreams").await.unwrap_or_default();
            let servers = Value::parse(&upstreams).map(|value| servers(&value, gateway)).unwrap_or_default();
            return Ok(Some(LiveState {
                source: format!("http://{host}/config/"),
                connects: config,
                requests: Some(servers.iter().map(|server| server.busy).sum()),
                servers,
                ..empty
            }));
        }
    }
    // The admin API is off, or elsewhere.
    let root = sys.root.clone();
    let since = match gateway.state {
        RunState::Running { since, .. } => since,
        RunState::Stopped { .. } => None,
    };
    let read = off_thread(move || {
        let environment = Environment::of_process(&root, pid);
        let path = super::instance::autosave(&environment)?;
        let modified = root.stat(&path).ok()?.modified;
        // What was saved before it started is what another one ran.
        since.is_none_or(|since| modified >= since).then_some(())?;
        let (bytes, _) = root.read_at_most(&path, super::JSON_BYTES).ok()?;
        Some((path, connects(&String::from_utf8_lossy(&bytes), &environment)?))
    });
    Ok(read.await.flatten().map(|(path, connects): (PathBuf, BTreeSet<Address>)| LiveState {
        source: path.display().to_string(),
        connects: Some(connects),
        ..empty
    }))
}

/// The body of an answer of 200.
pub(in crate::gateway) fn body(answer: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(answer, b"\r\n\r\n")?;
    let status = answer.get(..12)?;
    (status.ends_with(b"200")).then(|| String::from_utf8_lossy(&answer[at + 4..]).into_owned())
}

/// All addresses that a configuration sends requests to. `None`: some are decided by the request.
pub(in crate::gateway) fn connects(config: &str, environment: &Environment) -> Option<BTreeSet<Address>> {
    let value = Value::parse(config).ok()?;
    let meaning = json::read(&value, Path::new("/config/"), environment);
    let routes = || meaning.sites.iter().flat_map(|site| &site.routes);
    if meaning.full || routes().any(|route| route.dynamic.is_some()) {
        return None;
    }
    Some(routes().flat_map(|route| &route.servers).map(|server| server.address.clone()).collect())
}

/// `[{"address": "127.0.0.1:9014", "num_requests": 0, "fails": 0}]`: what active checks found is not told.
fn servers(value: &Value, gateway: &Gateway) -> Vec<LiveServer> {
    let one = |item: &Value| {
        let text = item.at("address").text()?;
        let Upstream::Fixed(addresses, _) = Upstream::parse(text, &Environment::default()) else { return None };
        let address = addresses.into_iter().next()?;
        let number = |name: &str| item.at(name).number().filter(|number| (0.0..1e15).contains(number)).unwrap_or_default();
        let route = gateway.routes().map(|(_, route)| route).find(|route| route.servers.iter().any(|one| one.address == address));
        let setting = |name: &str| route.and_then(|route| route.settings.get(name)).map(|setting| setting.value.clone());
        // Failed requests count only where the configuration says for how long, and one is enough (healthchecks.go).
        let most: f64 = setting("max_fails").and_then(|most| most.parse().ok()).unwrap_or(1.0);
        let counted = setting("fail_duration").is_some_and(|time| time != "0" && time != "0s");
        let down = counted && number("fails") >= most;
        Some(LiveServer {
            pool: String::new(),
            name: text.to_owned(),
            address: Some(address),
            host: None,
            role: Role::Primary,
            health: if down { Health::Down } else { Health::Unchecked },
            check: None,
            for_s: None,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was looked at before")]
            busy: number("num_requests") as u64,
            limit: None,
            queued: 0,
        })
    };
    value.items().iter().filter_map(one).take(SERVERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_asked_where_it_listens() {
        let of = |text: &str| door(text).map(|(at, host)| format!("{at} {host}"));
        assert_eq!(of("localhost:2019").as_deref(), Some("127.0.0.1:2019 localhost:2019"));
        assert_eq!(of(":2020").as_deref(), Some("127.0.0.1:2020 localhost:2020"));
        assert_eq!(of("0.0.0.0:2019").as_deref(), Some("127.0.0.1:2019 localhost:2019"));
        assert_eq!(of("10.0.0.1:2019").as_deref(), Some("10.0.0.1:2019 10.0.0.1:2019"));
        assert_eq!(of("unix//run/caddy.sock").as_deref(), Some("unix:/run/caddy.sock localhost"));
        assert_eq!(of("{env.X}"), None);
    }

    #[test]
    fn answers_are_read_with_care() {
        assert_eq!(body(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n[]").as_deref(), Some("[]"));
        for bad in [b"HTTP/1.0 403 Forbidden\r\n\r\n{}".as_slice(), b"", b"\r\n\r\n", b"x"] {
            assert_eq!(body(bad), None);
        }
        let config = r#"{"apps":{"http":{"servers":{"s":{"listen":[":80"],"routes":[{"handle":[{"handler":"reverse_proxy","upstreams":[{"dial":"127.0.0.1:9000"}]}]}]}}}}}"#;
        assert_eq!(connects(config, &Environment::default()), Some(BTreeSet::from(["127.0.0.1:9000".parse().expect("address")])));
        assert_eq!(connects("{}", &Environment::default()), Some(BTreeSet::new()));
        assert_eq!(connects("no", &Environment::default()), None);
    }
}
