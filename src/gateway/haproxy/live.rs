//! What HAProxy says of itself by its stats socket (management.txt section 9.3), by its master's, or by its statistics page.

use std::collections::HashMap;

use super::{instance::Instance, load::Loaded, proxy::Proxy, server::address};
use crate::{
    model::{Address, BlindSpot, Gateway, Health, LiveCheck, LiveLimit, LiveServer, LiveState, Role},
    sys::{AdminQuestion, Refusal, Sys},
};

/// Limits that are kept.
const LIMITS: usize = 64;
/// Bytes of a text of HAProxy's that are kept.
const WORDS: usize = 200;
/// Bits of `srv_admin_state` (include/haproxy/server-t.h): without an address.
const RMAINT: u32 = 0x20;

/// Keys of [`Gateway::commands`] under which the ways to ask stand: the socket, the master's, the page with its Host.
pub const SOCKET: &str = "live-socket";
pub const MASTER: &str = "live-master";
pub const PAGE: &str = "live-page";

/// The ways to ask, for [`Gateway::commands`].
pub fn ways(loaded: &Loaded, instance: &Instance) -> Vec<(String, Vec<String>)> {
    let mut out = Vec::new();
    let sockets = loaded.global().filter(|line| line.is(&["stats", "socket"])).map(|line| line.word(2));
    let usable = sockets.filter(|text| address_of(text).is_some());
    if let Some(socket) = usable.last() {
        out.push((SOCKET.to_owned(), vec![socket.to_owned()]));
    }
    if let Some(socket) = instance.master_socket.as_ref().filter(|_| instance.mastered) {
        out.push((MASTER.to_owned(), vec![socket.display().to_string()]));
    }
    // A page without a password, where somebody comes in without TLS.
    for section in loaded.sections.iter().filter(|section| matches!(section.kind.as_str(), "frontend" | "listen")) {
        let proxy = Proxy::of(loaded, section);
        let uri = proxy.last(&["stats", "uri"]).map(|line| line.word(2).to_owned());
        let on = uri.is_some() || proxy.last(&["stats", "enable"]).is_some();
        let open = proxy.last(&["stats", "auth"]).is_none();
        let bind = proxy.own("bind").find(|line| !line.words().any(|word| word == "ssl" || word == "accept-proxy"));
        if let Some(bind) = bind.filter(|_| on && open)
            && let Some(port) = bind.word(1).rsplit(':').next().and_then(|port| port.parse::<u16>().ok())
        {
            let host = bind.word(1).rsplit_once(':').map_or("", |(host, _)| host);
            let at = if matches!(host, "" | "*" | "0.0.0.0") { format!("127.0.0.1:{port}") } else { bind.word(1).to_owned() };
            let uri = uri.unwrap_or_else(|| "/haproxy?stats".to_owned());
            out.push((PAGE.to_owned(), vec![at, format!("{uri};csv")]));
            break;
        }
    }
    out
}

fn address_of(text: &str) -> Option<Address> {
    let text = text.split(',').next()?;
    match address(text, None, None).ok()?? {
        Address::Name(..) => None,
        other => Some(other),
    }
}

/// Asks it.
pub async fn live(sys: &Sys, gateway: &Gateway) -> Result<Option<LiveState>, BlindSpot> {
    if !sys.root.is_running() {
        return Ok(None);
    }
    let way = |key: &str| gateway.commands.get(key).and_then(|words| Some((words, address_of(words.first()?)?)));
    let spot =
        |source: &str, reason: String, remedy: &str| BlindSpot { source: source.to_owned(), reason, remedy: remedy.to_owned() };
    let mut failed = None;
    for (key, master) in [(SOCKET, false), (MASTER, true)] {
        let Some((words, at)) = way(key) else { continue };
        match sys.rights.ask_gateway(&at, &AdminQuestion::HaproxyState { master }).await {
            Ok(answer) => {
                if let Some(state) = read(&String::from_utf8_lossy(&answer)) {
                    return Ok(Some(of(gateway, words[0].clone(), state)));
                }
                failed.get_or_insert_with(|| spot(&words[0], "its answer makes no sense".to_owned(), "ask it by hand: show stat"));
            }
            Err(refusal) => {
                let denied =
                    matches!(&refusal, Refusal::Os { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied);
                let remedy = if denied {
                    "run as root, or as a member of the socket's group (stats socket ... mode 660 group NAME)"
                } else {
                    "look whether the socket is still there: a reload may have taken it away"
                };
                failed.get_or_insert_with(|| spot(&words[0], refusal.to_string(), remedy));
            }
        }
    }
    if let Some((words, at)) = way(PAGE).filter(|_| sys.probing) {
        let question = AdminQuestion::Page { host: words[0].clone(), path: words[1].clone() };
        if let Ok(answer) = sys.rights.ask_gateway(&at, &question).await {
            let text = String::from_utf8_lossy(&answer);
            let body = text.split_once("\r\n\r\n").filter(|(head, _)| head.split(' ').nth(1) == Some("200")).map(|(_, body)| body);
            if let Some(state) = body.and_then(read) {
                return Ok(Some(of(gateway, format!("http://{}{}", words[0], words[1]), state)));
            }
        }
    }
    Err(failed.unwrap_or_else(|| {
        let remedy = "add \"stats socket /run/haproxy/admin.sock mode 660 level user\" to global, and reload";
        spot("", "it has no stats socket".to_owned(), remedy)
    }))
}

fn of(gateway: &Gateway, source: String, (servers, limits): (Vec<LiveServer>, Vec<LiveLimit>)) -> LiveState {
    let mut servers = servers;
    let backup = |server: &LiveServer| {
        let pool = gateway.pools.iter().find(|pool| pool.name == server.pool)?;
        pool.servers.iter().find(|known| known.name.as_deref() == Some(&server.name)).map(|known| known.address.clone())
    };
    for server in &mut servers {
        // Of a unix socket HAProxy tells no path.
        if server.address.is_none()
            && let Some(address @ Address::Unix(_)) = backup(server)
        {
            server.address = Some(address);
        }
    }
    // Of all frontends, the stats socket's own session left out.
    let requests = limits.first().filter(|limit| limit.name == "maxconn").map(|limit| limit.used.saturating_sub(1));
    LiveState { requests, ..LiveState::new(gateway, source, servers, limits) }
}

/// Where a server is, the name that it comes from, and bits of its administrative state.
type Known = (Option<Address>, Option<String>, u32);

/// What the answers say, in whatever order they come. `None`: there is no table of statistics in them.
pub(in crate::gateway) fn read(text: &str) -> Option<(Vec<LiveServer>, Vec<LiveLimit>)> {
    let mut info: HashMap<&str, &str> = HashMap::new();
    let mut addresses: HashMap<(&str, &str), Known> = HashMap::new();
    let mut columns: Option<HashMap<&str, usize>> = None;
    let mut states: Option<HashMap<&str, usize>> = None;
    let (mut servers, mut limits) = (Vec::new(), Vec::new());
    let mut queued: HashMap<String, u64> = HashMap::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# pxname,") {
            let names = std::iter::once("pxname").chain(head.split(','));
            (columns, states) = (Some(names.enumerate().map(|(at, name)| (name, at)).collect()), None);
        } else if let Some(head) = line.strip_prefix("# be_id ") {
            let names = std::iter::once("be_id").chain(head.split(' '));
            states = Some(names.enumerate().map(|(at, name)| (name, at)).collect());
        } else if let Some(states) = states.as_ref().filter(|_| line.contains(' ')) {
            let cells: Vec<&str> = line.split(' ').collect();
            let cell = |name: &str| states.get(name).and_then(|at| cells.get(*at).copied()).filter(|text| *text != "-");
            let (Some(pool), Some(name)) = (cell("be_name"), cell("srv_name")) else { continue };
            let port = cell("srv_port").and_then(|port| port.parse::<u16>().ok()).filter(|port| *port > 0);
            let ip = cell("srv_addr").and_then(|ip| ip.parse::<std::net::IpAddr>().ok());
            let address = ip.zip(port).map(|(ip, port)| Address::Tcp((ip, port).into()));
            let admin = cell("srv_admin_state").and_then(|bits| bits.parse().ok()).unwrap_or(0);
            addresses.insert((pool, name), (address, cell("srv_fqdn").map(str::to_owned), admin));
        } else if let Some(columns) = columns.as_ref().filter(|_| line.contains(',')) {
            let cells = cells(line);
            let cell =
                |name: &str| columns.get(name).and_then(|at| cells.get(*at)).map(String::as_str).filter(|text| !text.is_empty());
            match cell("type") {
                Some("2") => servers.extend(server(&cell)),
                Some("0") if limits.len() < LIMITS => limits.extend(limit(&cell)),
                Some("1") => {
                    let waiting = cell("qcur").and_then(|text| text.parse().ok()).filter(|waiting| *waiting > 0);
                    queued.extend(cell("pxname").map(str::to_owned).zip(waiting));
                }
                Some(_) | None => {}
            }
        } else if let Some((key, value)) = line.split_once(": ") {
            info.insert(key, value);
        }
    }
    columns?;
    for server in &mut servers {
        // Who waits for any server of a backend waits in the backend's own queue (queue.c, pendconn_add): while they are full, for each of them.
        if server.limit.is_some_and(|limit| limit > 0 && server.busy >= limit) {
            server.queued += queued.get(&server.pool).copied().unwrap_or_default();
        }
        let known: Option<&Known> = addresses.get(&(server.pool.as_str(), server.name.as_str()));
        if let Some((address, host, admin)) = known {
            server.address = address.clone();
            server.host.clone_from(host);
            if admin & RMAINT != 0 {
                server.health = Health::Unresolved;
            }
        }
    }
    let number = |key: &str| info.get(key).and_then(|value| value.parse::<u64>().ok());
    if let (Some(used), Some(limit)) = (number("CurrConns"), number("Maxconn")) {
        limits.insert(0, LiveLimit { name: "maxconn".to_owned(), used, limit });
    }
    Some((servers, limits))
}

fn server<'a>(cell: &impl Fn(&str) -> Option<&'a str>) -> Option<LiveServer> {
    let number = |name: &str| cell(name).and_then(|text| text.parse::<u64>().ok());
    let kept = |text: &str| text[..text.floor_char_boundary(WORDS)].to_owned();
    // `* L7OK`: another check is under way.
    let result = cell("check_status").map(|text| text.trim_start_matches("* ")).filter(|text| !matches!(*text, "UNK" | "INI"));
    let state = health(cell("status")?);
    // The state stays UP at a weight of 0, by which a server gets no new requests (management.txt, "set weight"); nor does `lastchg` tell
    // since when it has that weight.
    let weightless = state.serves() && number("weight") == Some(0);
    Some(LiveServer {
        pool: kept(cell("pxname")?),
        name: kept(cell("svname")?),
        address: None,
        host: None,
        role: if number("bck") == Some(1) { Role::Backup } else { Role::Primary },
        health: if weightless { Health::Draining } else { state },
        check: result.map(|result| LiveCheck {
            result: kept(result),
            status: number("check_code").and_then(|code| u16::try_from(code).ok()).filter(|code| (100..=599).contains(code)),
            detail: cell("last_chk").or_else(|| cell("check_desc")).map(kept).unwrap_or_default(),
        }),
        for_s: number("lastchg").filter(|_| !weightless),
        busy: number("scur").unwrap_or(0),
        limit: number("slim"),
        queued: number("qcur").unwrap_or(0),
    })
}

/// `UP`, `UP 1/3`, `DOWN`, `DOWN (agent)`, `NOLB`, `MAINT`, `MAINT (via b/s)`, `MAINT (resolution)`, `DRAIN`, `no check`.
fn health(status: &str) -> Health {
    match status.split(' ').next().unwrap_or_default() {
        "UP" => Health::Up,
        "no" => Health::Unchecked,
        "MAINT" if status.contains("resolution") => Health::Unresolved,
        "MAINT" => Health::Disabled,
        "DRAIN" | "NOLB" => Health::Draining,
        _ => Health::Down,
    }
}

fn limit<'a>(cell: &impl Fn(&str) -> Option<&'a str>) -> Option<LiveLimit> {
    let number = |name: &str| cell(name).and_then(|text| text.parse::<u64>().ok());
    let name = cell("pxname")?;
    let name = format!("maxconn of frontend {}", &name[..name.floor_char_boundary(WORDS)]);
    Some(LiveLimit { name, used: number("scur")?, limit: number("slim").filter(|limit| *limit > 0)? })
}

/// Cells of a line of CSV; one with commas stands in quotes.
fn cells(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut chars = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => {
                if let Some(last) = out.last_mut() {
                    last.push('"');
                }
            }
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(String::new()),
            c => {
                if let Some(last) = out.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
