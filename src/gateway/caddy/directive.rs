//! `reverse_proxy`, `php_fastcgi` and `forward_auth` of a Caddyfile to a [`Proxy`] (modules/caddyhttp/reverseproxy/caddyfile.go).
//!
//! To follow another setting: a line in [`SETTINGS`].

use std::path::PathBuf;

use compact_str::CompactString;

use super::{
    environment::Environment,
    proxy::{HostHeader, Proxy},
    tree::Directive,
    units,
};
use crate::model::{Place, Protocol, Resolution, Server};

/// Settings of the proxy itself that bear on a failing request.
const SETTINGS: &[&str] = &[
    "lb_policy",
    "lb_retries",
    "lb_try_duration",
    "lb_try_interval",
    "lb_retry_match",
    "health_uri",
    "health_path",
    "health_port",
    "health_upstream",
    "health_interval",
    "health_timeout",
    "health_status",
    "health_body",
    "health_method",
    "health_request_body",
    "health_passes",
    "health_fails",
    "fail_duration",
    "max_fails",
    "unhealthy_status",
    "unhealthy_latency",
    "unhealthy_request_count",
    "stream_timeout",
    "trusted_proxies",
];
/// Settings of its transport.
const TRANSPORT: &[&str] = &[
    "dial_timeout",
    "dial_fallback_delay",
    "response_header_timeout",
    "read_timeout",
    "write_timeout",
    "expect_continue_timeout",
    "max_response_header",
    "max_conns_per_host",
    "keepalive",
    "keepalive_interval",
    "keepalive_idle_conns",
    "keepalive_idle_conns_per_host",
    "versions",
    "resolvers",
    "proxy_protocol",
    "tls",
    "tls_server_name",
    "tls_insecure_skip_verify",
    "tls_trust_pool",
    "tls_trusted_ca_certs",
    "tls_client_auth",
    "tls_timeout",
    "tls_renegotiation",
    "tls_except_ports",
    "root",
    "split",
    "resolve_root_symlink",
];

/// What is read, and what Caddy would refuse of it.
#[derive(Debug)]
pub struct Read {
    /// The proxy.
    pub proxy: Proxy,
    /// What Caddy would refuse.
    pub problems: Vec<(Place, String)>,
    /// The URI that replaces that of the request (`rewrite`).
    pub rewrite: Option<String>,
}

/// Reads the directive. `skip`: the parameters that its matcher takes up.
pub fn read(directive: &Directive, skip: usize, environment: &Environment) -> Read {
    let at = directive.place();
    let mut read = Read { proxy: Proxy::new(at.clone()), problems: Vec::new(), rewrite: None };
    if directive.name == "php_fastcgi" {
        read.proxy.protocol = Protocol::Fastcgi;
    }
    read.upstreams(&directive.args[skip.min(directive.args.len())..], &at, environment);
    for line in directive.children() {
        read.line(line, environment);
    }
    read
}

impl Read {
    fn upstreams(&mut self, words: &[CompactString], at: &Place, environment: &Environment) {
        for word in words {
            if let Err(problem) = self.proxy.add(word, at, environment) {
                self.problems.push((at.clone(), problem));
            }
        }
    }

    fn line(&mut self, line: &Directive, environment: &Environment) {
        let at = line.place();
        let value = line.args.join(" ");
        if SETTINGS.contains(&line.name.as_str()) {
            self.proxy.set(&line.name, &value, &at);
        }
        match line.name.as_str() {
            "to" => self.upstreams(&line.args, &at, environment),
            "dynamic" => self.dynamic(line),
            "lb_policy" => self.proxy.first = line.arg(0) == Some("first"),
            "rewrite" | "uri" => self.rewrite = line.args.last().map(CompactString::to_string),
            "header_up" if line.arg(0).is_some_and(|name| name.eq_ignore_ascii_case("Host")) => {
                self.proxy.host = line.arg(1).map_or(HostHeader::Client, HostHeader::parse);
                self.proxy.set("header_up Host", line.arg(1).unwrap_or_default(), &at);
            }
            "health_headers" => {
                for header in line.children() {
                    self.proxy.check_header(&header.name, header.arg(0).unwrap_or_default(), &header.place());
                }
            }
            "transport" => {
                if line.arg(0) == Some("fastcgi") {
                    self.proxy.protocol = Protocol::Fastcgi;
                }
                line.children().iter().for_each(|line| self.transport(line));
            }
            // `php_fastcgi` takes those of its transport without a block of their own.
            "root" | "split" | "dial_timeout" | "read_timeout" | "write_timeout" | "resolve_root_symlink" => self.transport(line),
            "index" => self.proxy.set("index", &value, &at),
            "try_files" => self.proxy.set("try_files", &value, &at),
            _ => {}
        }
    }

    /// `dynamic a app.internal 8080`, `dynamic srv _http._tcp.app.internal`, or a block.
    fn dynamic(&mut self, line: &Directive) {
        let inside = line.children().iter().map(Directive::words);
        let text = std::iter::once(line.args.join(" ")).chain(inside).collect::<Vec<_>>().join(" ");
        self.proxy.set("dynamic", &text, &line.place());
        let option = |name: &str| line.children().iter().find(|one| one.name == name).and_then(|one| one.arg(0));
        let name = option("name").or(line.arg(1));
        let port = option("port").or(line.arg(2)).unwrap_or("80");
        // Its address records are looked up for each request: that is what a name and a port say.
        match (line.arg(0), name) {
            (Some("a"), Some(name)) => {
                if let Ok(address) = format!("{name}:{port}").parse() {
                    let server = Server { names: Resolution::AtEachUse, ..Server::new(address, line.place()) };
                    self.proxy.servers.push(server);
                }
            }
            _ => self.proxy.dynamic = Some(format!("dynamic {text}")),
        }
    }

    fn transport(&mut self, line: &Directive) {
        let at = line.place();
        let value = line.args.join(" ");
        let first = line.arg(0).unwrap_or_default();
        if TRANSPORT.contains(&line.name.as_str()) {
            self.proxy.set(&line.name, &value, &at);
        }
        match line.name.as_str() {
            "dial_timeout" => self.proxy.connect_ms = units::milliseconds(first).unwrap_or(self.proxy.connect_ms),
            "response_header_timeout" | "read_timeout" => self.proxy.limit_read(units::milliseconds(first)),
            "max_response_header" => self.proxy.header_limit = units::bytes(first),
            "root" => self.proxy.root = Some(first.to_owned()),
            "versions" if line.args.iter().any(|version| version == "h2c") => self.proxy.protocol = Protocol::Grpc,
            "tls_server_name" => {
                self.proxy.tls();
                self.proxy.sni = Some(first.to_owned()).filter(|name| !name.is_empty() && !name.contains('{'));
            }
            // All of these turn it on (HTTPTransport.UnmarshalCaddyfile).
            "tls" | "tls_timeout" | "tls_renegotiation" => self.proxy.tls(),
            "tls_insecure_skip_verify" | "tls_trusted_ca_certs" | "tls_trust_pool" | "tls_client_auth" => {
                self.proxy.tls();
                self.trust(line);
            }
            _ => {}
        }
    }

    fn trust(&mut self, line: &Directive) {
        let path = |word: &str| PathBuf::from("/").join(word);
        let trust = &mut self.proxy.trust;
        match (line.name.as_str(), &*line.args) {
            ("tls_insecure_skip_verify", _) => trust.insecure = true,
            ("tls_trusted_ca_certs", [file]) => trust.ca_file = Some(path(file)),
            ("tls_client_auth", [cert, key]) => trust.client = Some((path(cert), path(key))),
            ("tls_trust_pool", [kind, files @ ..]) if kind == "file" => {
                // `tls_trust_pool file /x` or `tls_trust_pool file { pem_file /x }`.
                let inside = line.children().iter().filter(|one| one.name == "pem_file").flat_map(|one| &one.args);
                let all: Vec<&CompactString> = files.iter().chain(inside).collect();
                match all.as_slice() {
                    [one] => trust.ca_file = Some(path(one)),
                    _ => trust.unclear = Some("several files with anchors".to_owned()),
                }
            }
            _ => trust.unclear = Some(line.words()),
        }
    }
}
