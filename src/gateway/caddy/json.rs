//! Caddy's JSON configuration: what a file, the autosaved one and the admin API's `/config/` hold. A Caddyfile means the same
//! once it is adapted.

use std::path::Path;

use super::{
    environment::Environment,
    matcher::Matcher,
    proxy::{HostHeader, Proxy, Trust},
    site::{self, Options},
    units,
    value::{Kind, Value},
    walk::{Found, answered, rewritten, stripped},
};
use crate::model::{Address, Listen, Place, Protocol, Resolution, Server, Site};

/// Routes within routes that are followed.
const DEPTH: usize = 32;
/// Ports of one range that are kept.
const RANGE: u16 = 16;
/// Routes of one server that are kept.
const ROUTES: usize = 20_000;

/// What a configuration says.
#[derive(Debug, Default)]
pub struct Meaning {
    /// Its sites.
    pub sites: Vec<Site>,
    /// What Caddy would refuse.
    pub problems: Vec<(Place, String)>,
    /// Whether routes were left out.
    pub full: bool,
}

/// What holds at one place.
#[derive(Debug, Clone)]
struct Here {
    matcher: Matcher,
    rewrite: Option<(String, String)>,
    root: Option<String>,
    depth: usize,
}

struct Reader<'a> {
    file: &'a Path,
    environment: &'a Environment,
    found: Vec<Found>,
    out: Meaning,
}

/// Reads the configuration of a file.
pub fn read(value: &Value, file: &Path, environment: &Environment) -> Meaning {
    let mut reader = Reader { file, environment, found: Vec::new(), out: Meaning::default() };
    let http = value.at("apps").at("http");
    let port = |name: &str, default: u16| http.at(name).number().and_then(to_port).unwrap_or(default);
    let (plain, tls) = (port("http_port", 80), port("https_port", 443));
    for (_, server) in http.at("servers").members() {
        reader.server(server, plain, tls);
    }
    reader.out
}

/// What the configuration says of the admin API and of itself.
pub fn options(value: &Value) -> Options {
    let mut options = Options::of(&[]);
    let admin = value.at("admin");
    if admin.at("disabled").is_true() {
        options.admin = None;
    } else if let Some(listen) = admin.at("listen").text() {
        options.admin = Some(listen.to_owned());
    }
    let persist = admin.at("config").at("persist");
    options.persists = !matches!(&persist.kind, Kind::Word(word) if word == "false");
    options
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was looked at before")]
fn to_port(number: f64) -> Option<u16> {
    if (1.0..=65_535.0).contains(&number) { Some(number as u16) } else { None }
}

impl Reader<'_> {
    fn place(&self, value: &Value) -> Place {
        Place { file: self.file.to_owned().into(), line: value.line.max(1) }
    }

    fn server(&mut self, server: &Value, plain: u16, https: u16) {
        let at = self.place(server);
        let automatic = server.at("automatic_https");
        let skipped = automatic.at("skip").texts();
        let sets = server.at("routes").items().iter().flat_map(|route| route.at("match").items());
        let has_host = sets.flat_map(|set| set.at("host").texts()).any(|host| !skipped.contains(&host));
        let policies = server.at("tls_connection_policies");
        let proxy_protocol =
            server.at("listener_wrappers").items().iter().any(|wrapper| wrapper.at("wrapper").text() == Some("proxy_protocol"));
        let mut listens = Vec::new();
        for text in server.at("listen").texts() {
            let Some(addresses) = self.environment.expand(&text).map(|text| addresses(&text)) else { continue };
            listens.extend(addresses.into_iter().map(|address| {
                let port = address.port();
                let tls = port != Some(plain)
                    && (policies.is_there() || !automatic.at("disable").is_true() && (has_host || port == Some(https)));
                Listen { address, tls, proxy_protocol, default: true, at: at.clone() }
            }));
        }
        let here = Here { matcher: Matcher::any(), rewrite: None, root: None, depth: 0 };
        self.found.clear();
        self.routes(server.at("routes"), &here);
        let found = std::mem::take(&mut self.found);
        self.out.sites.extend(site::by_host(&found, Vec::new(), &listens, &at));
    }

    fn routes(&mut self, routes: &Value, here: &Here) {
        let mut here = here.clone();
        for route in routes.items() {
            let own = matcher(route.at("match"));
            let matcher = here.matcher.and(&own, here.rewrite.as_ref());
            let mut inner = Here { matcher, ..here.clone() };
            for handler in route.at("handle").items() {
                self.handler(handler, &mut inner);
            }
            // A route that takes all requests changes them for those behind it.
            if own.text == "*" {
                here.rewrite = inner.rewrite;
                here.root = inner.root;
            }
        }
    }

    fn handler(&mut self, handler: &Value, here: &mut Here) {
        if here.depth >= DEPTH {
            return;
        }
        match handler.at("handler").text().unwrap_or_default() {
            "subroute" => {
                let inner = Here { depth: here.depth + 1, ..here.clone() };
                self.routes(handler.at("routes"), &inner);
            }
            "vars" => here.root = handler.at("root").text().and_then(|root| self.environment.expand(root)).or(here.root.take()),
            "rewrite" => rewrite(handler, here),
            "reverse_proxy" => self.proxy(handler, here),
            name @ ("static_response" | "error" | "file_server" | "metrics" | "acme_server") => {
                let passes_on = handler.at("pass_thru").is_true();
                let words = format!("{name} {}", handler.at("status_code").shown());
                if self.found.len() < ROUTES && !passes_on {
                    self.found.extend(answered(words.trim_end(), &here.matcher, self.place(handler)));
                }
            }
            _ => {}
        }
    }

    fn proxy(&mut self, handler: &Value, here: &Here) {
        if self.found.len() >= ROUTES {
            self.out.full = true;
            return;
        }
        let mut proxy = Proxy::new(self.place(handler));
        proxy.root.clone_from(&here.root);
        let transport = handler.at("transport");
        if transport.at("protocol").text() == Some("fastcgi") {
            proxy.protocol = Protocol::Fastcgi;
        }
        for upstream in handler.at("upstreams").items() {
            let dial = upstream.at("dial");
            let at = self.place(dial);
            if let Some(Err(problem)) = dial.text().map(|text| proxy.add(text, &at, self.environment)) {
                self.out.problems.push((at, problem));
            }
            if let Some(most) = upstream.at("max_requests").number() {
                proxy.set("max_requests", &most.to_string(), &self.place(upstream));
            }
        }
        self.dynamic(handler.at("dynamic_upstreams"), &mut proxy);
        self.transport(transport, &mut proxy);
        self.settings(handler, &mut proxy);
        let mut inner = here.clone();
        rewrite(handler.at("rewrite"), &mut inner);
        let hosts = here.matcher.hosts.clone();
        self.found.push(Found { route: proxy.route(&here.matcher, inner.rewrite), hosts });
    }

    fn dynamic(&self, source: &Value, proxy: &mut Proxy) {
        if !source.is_there() {
            return;
        }
        proxy.set("dynamic", &source.shown(), &self.place(source));
        let port = source.at("port").text().unwrap_or("80");
        let address = source.at("name").text().and_then(|name| format!("{name}:{port}").parse::<Address>().ok());
        match address.filter(|_| source.at("source").text() == Some("a")) {
            Some(address) => {
                proxy.servers.push(Server { names: Resolution::AtEachUse, ..Server::new(address, self.place(source)) });
            }
            None => proxy.dynamic = Some(format!("dynamic {}", source.shown())),
        }
    }

    fn transport(&self, transport: &Value, proxy: &mut Proxy) {
        for (name, value) in transport.members() {
            let at = self.place(value);
            match name.as_str() {
                "protocol" | "env" => continue,
                "keepalive" => {
                    // As a Caddyfile has it: `keepalive off`, `keepalive 30s`.
                    let off = matches!(&value.at("enabled").kind, Kind::Word(word) if word == "false");
                    let idle = duration(value.at("idle_timeout")).map(|ms| format!("{ms}ms"));
                    if let Some(text) = if off { Some("off".to_owned()) } else { idle } {
                        proxy.set(name, &text, &at);
                    }
                    continue;
                }
                "dial_timeout" => proxy.connect_ms = duration(value).unwrap_or(proxy.connect_ms),
                "response_header_timeout" | "read_timeout" => proxy.limit_read(duration(value)),
                "max_response_header_size" => proxy.header_limit = value.number().and_then(|size| units::bytes(&size.to_string())),
                "root" => proxy.root = value.text().map(str::to_owned),
                "versions" if value.texts().iter().any(|version| version == "h2c") => proxy.protocol = Protocol::Grpc,
                "tls" => {
                    proxy.tls();
                    for (name, value) in value.members() {
                        proxy.set(&tls_name(name), &value.shown(), &self.place(value));
                    }
                    proxy.sni = value.at("server_name").text().filter(|name| !name.contains('{')).map(str::to_owned);
                    proxy.trust = trust(value);
                }
                _ => {}
            }
            proxy.set(name, &shown(name, value), &at);
        }
    }

    fn settings(&self, handler: &Value, proxy: &mut Proxy) {
        let balancing = handler.at("load_balancing");
        let policy = balancing.at("selection_policy").at("policy");
        proxy.first = policy.text() == Some("first");
        let (checks, passive) = (handler.at("health_checks").at("active"), handler.at("health_checks").at("passive"));
        let groups = [("lb_", balancing), ("health_", checks), ("", passive)];
        for (prefix, group) in groups {
            // Headers may hold secrets.
            for (name, value) in group.members().iter().filter(|(name, _)| name != "headers") {
                let (name, value) = match name.as_str() {
                    "selection_policy" => ("policy", policy),
                    // The body that a check sends is one of its answer in a Caddyfile.
                    "body" if prefix == "health_" => ("request_body", value),
                    name => (name, value),
                };
                proxy.set(&format!("{prefix}{name}"), &shown(name, value), &self.place(value));
            }
        }
        for (name, values) in checks.at("headers").members() {
            let value = values.items().first().and_then(Value::text).unwrap_or_default();
            proxy.check_header(name, value, &self.place(values));
        }
        let set = handler.at("headers").at("request").at("set");
        if let Some((_, host)) = set.members().iter().find(|(name, _)| name.eq_ignore_ascii_case("Host")) {
            let text = host.items().first().and_then(Value::text).unwrap_or_default();
            proxy.host = HostHeader::parse(text);
            proxy.set("header_up Host", text, &self.place(host));
        }
    }
}

/// What TLS is made with.
fn trust(tls: &Value) -> Trust {
    let path = |text: &str| Path::new("/").join(text);
    let ca = tls.at("ca");
    let files = [tls.at("root_ca_pem_files").texts(), ca.at("pem_files").texts()].concat();
    let text = |name: &str| tls.at(name).text().map(path);
    let unknown = |name: &str| tls.at(name).is_there().then(|| name.to_owned());
    let foreign = ca.at("provider").text().filter(|provider| *provider != "file").map(|provider| format!("ca {provider}"));
    Trust {
        insecure: tls.at("insecure_skip_verify").is_true(),
        unclear: (files.len() > 1)
            .then(|| "several files with anchors".to_owned())
            .or(foreign)
            .or_else(|| unknown("root_ca_pool"))
            .or_else(|| unknown("client_certificate_automate")),
        ca_file: files.first().map(|file| path(file)),
        client: text("client_certificate_file").zip(text("client_certificate_key_file")),
    }
}

/// The names that a Caddyfile has for the members of `tls`.
fn tls_name(name: &str) -> String {
    match name {
        "insecure_skip_verify" => "tls_insecure_skip_verify".to_owned(),
        "root_ca_pem_files" | "root_ca_pool" => "tls_trusted_ca_certs".to_owned(),
        "ca" => "tls_trust_pool".to_owned(),
        "client_certificate_file" | "client_certificate_automate" => "tls_client_auth".to_owned(),
        other => format!("tls_{other}"),
    }
}

/// Durations are texts, or numbers of nanoseconds.
fn duration(value: &Value) -> Option<u64> {
    value.text().map_or_else(|| units::of_nanoseconds(value.number()?), units::milliseconds)
}

fn shown(name: &str, value: &Value) -> String {
    let time = ["timeout", "duration", "interval", "delay"].iter().any(|what| name.ends_with(what));
    let number = value.number().and_then(units::of_nanoseconds).filter(|_| time);
    number.map_or_else(|| value.shown(), |milliseconds| format!("{milliseconds}ms"))
}

fn rewrite(rewrite: &Value, here: &mut Here) {
    if let Some(prefix) = rewrite.at("strip_path_prefix").text() {
        here.rewrite = stripped(here.rewrite.take(), prefix);
    }
    if let Some(uri) = rewrite.at("uri").text() {
        here.rewrite = rewritten(here.rewrite.take(), uri);
    }
}

/// Sets of which one must hold; in each, all members must.
fn matcher(sets: &Value) -> Matcher {
    let mut all: Vec<Matcher> = sets.items().iter().map(of_set).collect();
    if all.len() < 2 {
        return all.pop().unwrap_or_else(Matcher::any);
    }
    let text = all.iter().map(|one| one.text.as_str()).collect::<Vec<_>>().join(" or ");
    let hosts: Option<Vec<String>> =
        all.iter().map(|one| one.hosts.clone()).collect::<Option<Vec<_>>>().map(|hosts| hosts.concat());
    let plain = all.iter().all(|one| one.other.is_none() && one.path == all[0].path);
    let first = all.swap_remove(0);
    let other = (!plain).then(|| text.clone());
    Matcher { hosts, other, text, ..first }
}

fn of_set(set: &Value) -> Matcher {
    let mut all = Matcher::any();
    for (name, value) in set.members() {
        let shown = format!("{name} {}", value.shown());
        let one = match name.as_str() {
            "path" => Matcher::paths(&value.texts()),
            "path_regexp" => {
                let regex = value.at("pattern").text().unwrap_or_default().to_owned();
                Matcher { path: crate::model::PathMatch::Pattern(regex), text: shown, ..Matcher::any() }
            }
            "host" => Matcher { hosts: Some(value.texts()), text: shown, ..Matcher::any() },
            "method" if value.texts().iter().any(|method| method == "GET") => Matcher { text: shown, ..Matcher::any() },
            _ => Matcher { other: Some(shown.clone()), text: shown, ..Matcher::any() },
        };
        all = all.and(&one, None);
    }
    all
}

/// `:443`, `tcp/127.0.0.1:80`, `unix//run/caddy.sock`, `:8000-8003`.
fn addresses(text: &str) -> Vec<Address> {
    if text.starts_with("unix") {
        return site::listens(&[text.to_owned()], 0);
    }
    let (network, rest) = text.split_once('/').unwrap_or(("", text));
    let (host, ports) = rest.rsplit_once(':').unwrap_or((rest, ""));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else { return Vec::new() };
    let bind = if host.is_empty() && network.is_empty() { Vec::new() } else { vec![format!("{network}/{host}")] };
    (first..=last.min(first.saturating_add(RANGE))).flat_map(|port| site::listens(&bind, port)).collect()
}
