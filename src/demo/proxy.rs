//! One request of a client, from its connection to its line in the access log.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    access::Served,
    log::{Level, Logs},
    page,
    request::{self, Request},
    upstream::{self, Answer, Failed, Head, Wire, words},
};
use crate::{
    model::{Address, Gateway, NameFault, Role, Route, Server, Site},
    sys::{Dns, Root, Stopwatch},
};

/// How long the client may take for a part of the answer (nginx: `send_timeout`, 60 s; nobody practises that slowly).
const CLIENT: Duration = Duration::from_secs(10);

/// What a worker serves.
#[derive(Debug)]
pub(super) struct Proxy {
    gateway: Gateway,
    logs: Logs,
    dns: Dns,
    /// Counts requests, to take the servers of a pool in turn.
    turn: AtomicUsize,
}

/// What is written about one request.
struct Context<'a> {
    proxy: &'a Proxy,
    number: u64,
    request: &'a Request,
    server: String,
    tried: Vec<(String, u16)>,
}

/// What the client got.
struct Sent {
    status: u16,
    bytes: u64,
}

impl Proxy {
    /// By this configuration.
    pub(super) fn new(gateway: Gateway) -> Self {
        let logs = Logs::of(&gateway);
        Self { gateway, logs, dns: Dns::new(Root::host()), turn: AtomicUsize::new(0) }
    }

    /// Serves one connection: one request, as `keepalive_timeout 0` has it. `number`: nginx's `*5`.
    pub(super) async fn serve(self: Arc<Self>, mut stream: TcpStream, from: SocketAddr, number: u64) {
        let watch = Stopwatch::start();
        let request = match request::read(&mut stream, from.ip()).await {
            Ok(request) => request,
            Err(None) => return,
            Err(Some(status)) => {
                let sent = send_page(&mut stream, status, false).await;
                self.done(None, from, &sent, &[], watch);
                return;
            }
        };
        let local = stream.local_addr().ok();
        let site = self.site(&request, local);
        let server = site.and_then(|site| site.names.first()).cloned().unwrap_or_default();
        let mut context = Context { proxy: &self, number, request: &request, server, tried: Vec::new() };
        let sent = match site.and_then(|site| site.route_for(request.path())) {
            Some(route) => context.pass(route, &mut stream).await,
            None => send_page(&mut stream, 404, request.method == "HEAD").await,
        };
        let tried = context.tried;
        self.done(Some(&request), from, &sent, &tried, watch);
        let _ = stream.shutdown().await;
    }

    fn done(&self, request: Option<&Request>, from: SocketAddr, sent: &Sent, tried: &[(String, u16)], watch: Stopwatch) {
        let served = Served { request, client: from.ip(), status: sent.status, sent: sent.bytes, tried, took_ms: watch.ms() };
        self.logs.access(|name| served.value(name));
    }

    /// The server block: by name among those that listen here, else the first.
    fn site(&self, request: &Request, local: Option<SocketAddr>) -> Option<&Site> {
        let port = local.map(|local| local.port());
        let here = |site: &&Site| site.listens.iter().any(|listen| listen.address.port() == port);
        let host = request.host();
        let sites = || self.gateway.sites.iter().filter(here);
        sites().find(|site| site.names.iter().any(|name| name.eq_ignore_ascii_case(&host))).or_else(|| sites().next())
    }

    /// The servers of a route in the order in which they are to be tried: each primary once, then those kept back.
    fn servers<'a>(&self, route: &'a Route) -> Vec<&'a Server> {
        let mut primaries: Vec<&Server> = route.servers.iter().filter(|server| server.role == Role::Primary).collect();
        if !primaries.is_empty() {
            let first = self.turn.fetch_add(1, Ordering::Relaxed) % primaries.len();
            primaries.rotate_left(first);
        }
        primaries.extend(route.servers.iter().filter(|server| server.role == Role::Backup));
        primaries
    }
}

impl Context<'_> {
    /// Passes the request on, to one server after the other until one answers (`proxy_next_upstream error timeout`).
    async fn pass(&mut self, route: &Route, client: &mut TcpStream) -> Sent {
        let mut status = 502;
        let servers = self.proxy.servers(route);
        if servers.is_empty() {
            let pool = route.pool.as_deref().unwrap_or("");
            let upstream = format!("{}://{pool}{}", route.protocol.scheme(), upstream::target(route, self.request));
            self.error(Level::Error, "no live upstreams while connecting to upstream", Some(&upstream));
        }
        // Only what does no harm when it is done twice goes to a second server (nginx: `non_idempotent` is off).
        let again = matches!(self.request.method.as_str(), "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE");
        let count = if again { servers.len() } else { 1 };
        for server in servers.into_iter().take(count) {
            for address in self.resolve(&server.address).await {
                match upstream::exchange(route, &address, self.request).await {
                    Ok(answer) => return self.forward(route, &address, answer, client).await,
                    Err(failed) => {
                        self.failed(route, &address, &failed);
                        status = failed.status;
                    }
                }
            }
        }
        send_page(client, status, self.request.method == "HEAD").await
    }

    /// Addresses to connect to; a name that has none is said so.
    async fn resolve(&self, address: &Address) -> Vec<Address> {
        let Address::Name(name, port) = address else { return vec![address.clone()] };
        match self.proxy.dns.lookup(name).await {
            Ok(found) => found.into_iter().map(|ip| Address::Tcp((ip, *port).into())).collect(),
            Err(error) => {
                // ngx_resolver_strerror.
                let why = match error.fault {
                    NameFault::NxDomain | NameFault::NoData => "3: Host not found",
                    NameFault::ServFail => "2: Server failure",
                    NameFault::Silent => "110: Operation timed out",
                    NameFault::NoServer => "5: Operation refused",
                };
                self.error(Level::Error, &format!("{name} could not be resolved ({why})"), None);
                Vec::new()
            }
        }
    }

    /// Hands the answer on.
    async fn forward(&mut self, route: &Route, address: &Address, answer: Answer, client: &mut TcpStream) -> Sent {
        let Answer { head, begun, mut wire } = answer;
        let wait = Duration::from_millis(route.read_ms);
        let (status, text, length) = match head {
            Head::None => {
                let text = "upstream sent no valid HTTP/1.0 header while reading response header from upstream";
                self.error(Level::Error, text, Some(&self.upstream(route, address)));
                (200, page::head(200, page::reason(200), ""), None)
            }
            Head::Http { status, reason, headers } => passed_on(status, &reason, &headers),
        };
        self.tried.push((shown(address), status));
        let empty = self.request.method == "HEAD" || matches!(status, 204 | 304);
        let mut sent = Sent { status, bytes: 0 };
        if !write(client, text.as_bytes()).await || empty {
            return sent;
        }
        let mut left = length.unwrap_or(u64::MAX);
        let mut piece = begun;
        loop {
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= piece.len() as u64;
            if !write(client, &piece).await {
                return sent;
            }
            sent.bytes += piece.len() as u64;
            if left == 0 {
                return sent;
            }
            let whole = length.is_none();
            piece = match next(&mut wire, wait).await {
                Ok(piece) if piece.is_empty() && whole => return sent,
                Ok(piece) if piece.is_empty() => {
                    let failed = "upstream prematurely closed connection while reading upstream";
                    self.error(Level::Error, failed, Some(&self.upstream(route, address)));
                    return sent;
                }
                Ok(piece) => piece,
                Err(failed) => {
                    self.error(Level::Error, &failed, Some(&self.upstream(route, address)));
                    return sent;
                }
            };
        }
    }

    fn failed(&mut self, route: &Route, address: &Address, failed: &Failed) {
        self.tried.push((shown(address), failed.status));
        self.error(failed.level, &failed.text, Some(&self.upstream(route, address)));
    }

    /// `http://127.0.0.1:8000/cart`, `http://unix:/run/app.sock:/cart`.
    fn upstream(&self, route: &Route, address: &Address) -> String {
        let colon = if matches!(address, Address::Unix(_)) { ":" } else { "" };
        format!("{}://{address}{colon}{}", route.protocol.scheme(), upstream::target(route, self.request))
    }

    /// A line about this request (`ngx_http_log_error`).
    fn error(&self, level: Level, text: &str, upstream: Option<&str>) {
        let request = self.request;
        let mut line = format!("{text}, client: {}, server: {}, request: \"{}\"", request.client, self.server, request.line);
        if let Some(upstream) = upstream {
            line.push_str(&format!(", upstream: \"{upstream}\""));
        }
        if let Some(host) = request.header("host") {
            line.push_str(&format!(", host: \"{host}\""));
        }
        // nginx writes what the client sent as it came; here it stays on one line.
        let line: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        self.proxy.logs.error(level, Some(self.number), &line);
    }
}

/// An upstream in the access log.
fn shown(address: &Address) -> String {
    address.to_string()
}

/// The header for the client: status, text and the length of the body where it is known.
fn passed_on(status: u16, reason: &str, headers: &[(String, Vec<u8>)]) -> (u16, String, Option<u64>) {
    // What belongs to one connection, and what nginx says itself.
    const OWN: &[&str] = &["connection", "keep-alive", "server", "date", "x-accel-redirect", "x-accel-buffering"];
    let mut more = String::new();
    let mut length = None;
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value);
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        }
        if !OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            more.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    (status, page::head(status, reason, &more), length)
}

/// The next part of the body; empty at its end. The error is nginx's line.
async fn next(wire: &mut Box<dyn Wire>, wait: Duration) -> Result<Vec<u8>, String> {
    let mut part = vec![0; 16 << 10];
    match tokio::time::timeout(wait, wire.read(&mut part)).await {
        Err(_) => Err("upstream timed out (110: Connection timed out) while reading upstream".to_owned()),
        Ok(Err(error)) => Err(format!("recv() failed ({}) while reading upstream", words(&error))),
        Ok(Ok(count)) => {
            part.truncate(count);
            Ok(part)
        }
    }
}

async fn send_page(client: &mut TcpStream, status: u16, head_only: bool) -> Sent {
    let body = page::page(status);
    let more = format!("Content-Type: text/html\r\nContent-Length: {}\r\n", body.len());
    let mut text = page::head(status, page::reason(status), &more);
    if !head_only {
        text.push_str(&body);
    }
    let bytes = if write(client, text.as_bytes()).await && !head_only { body.len() as u64 } else { 0 };
    Sent { status, bytes }
}

/// Whether the client took it.
async fn write(client: &mut TcpStream, bytes: &[u8]) -> bool {
    matches!(tokio::time::timeout(CLIENT, client.write_all(bytes)).await, Ok(Ok(())))
}
