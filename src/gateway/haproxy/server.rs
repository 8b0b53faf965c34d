//! `server`, `server-template` and `default-server` lines: where they connect, how, and what for.

use std::{collections::BTreeMap, net::IpAddr, path::Path};

use compact_str::{CompactString, format_compact};

use super::{load::Line, names::Sections};
use crate::model::{Address, Protocol, Role, Server, Setting, TlsVersion, TrustSettings, Verifier};

/// Servers of one template at most: HAProxy makes them all, they differ in nothing but their names.
const OF_TEMPLATE: usize = 64;
/// Parameters that are followed by a value (srv_kws in src/server.c, ssl_sock.c, check.c, tcpcheck.c).
const VALUED: &[&str] = &[
    "addr",
    "agent-addr",
    "agent-inter",
    "agent-port",
    "agent-send",
    "alpn",
    "ca-file",
    "check-alpn",
    "check-proto",
    "check-sni",
    "ciphers",
    "ciphersuites",
    "client-sigalgs",
    "cookie",
    "crl-file",
    "crt",
    "curves",
    "downinter",
    "error-limit",
    "fall",
    "fastinter",
    "guid",
    "hash-key",
    "id",
    "idle-ping",
    "init-addr",
    "init-state",
    "inter",
    "log-bufsize",
    "log-proto",
    "max-reuse",
    "maxconn",
    "maxqueue",
    "minconn",
    "namespace",
    "npn",
    "observe",
    "on-error",
    "on-marked-down",
    "on-marked-up",
    "pool-conn-name",
    "pool-low-conn",
    "pool-max-conn",
    "pool-purge-delay",
    "port",
    "proto",
    "proxy-v2-options",
    "redir",
    "resolve-net",
    "resolve-opts",
    "resolve-prefer",
    "resolvers",
    "rise",
    "set-proxy-v2-tlv-fmt",
    "shard",
    "sigalgs",
    "slowstart",
    "sni",
    "socks4",
    "source",
    "ssl-max-ver",
    "ssl-min-ver",
    "tcp-ut",
    "track",
    "verify",
    "verifyhost",
    "weight",
    "ws",
];
/// Parameters of a server that bear on a failing request.
const TOLD: &[&str] = &[
    "alpn",
    "ca-file",
    "check",
    "check-sni",
    "check-ssl",
    "check-send-proxy",
    "crt",
    "fall",
    "init-addr",
    "inter",
    "maxconn",
    "maxqueue",
    "observe",
    "on-marked-down",
    "port",
    "proto",
    "proxy-v2-options",
    "resolvers",
    "rise",
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "sni",
    "source",
    "ssl",
    "ssl-max-ver",
    "ssl-min-ver",
    "track",
    "verify",
    "verifyhost",
    "weight",
    "addr",
];

/// Parameters that hold, by name.
#[derive(Debug, Clone, Default)]
pub struct Parameters(BTreeMap<String, Setting>);

impl Parameters {
    /// Takes the words of a line from this one on; a later one of the same name wins, `no-x` takes `x` back.
    pub fn take(&mut self, line: &Line, from: usize) {
        let mut words = line.words().skip(from);
        while let Some(word) = words.next() {
            let value = VALUED.contains(&word).then(|| words.next().map(CompactString::from));
            let value = value.flatten().unwrap_or_default();
            match word.strip_prefix("no-").filter(|name| !matches!(*name, "sslv3" | "tlsv10" | "tlsv11" | "tlsv12" | "tlsv13")) {
                Some(name) => drop(self.0.remove(name)),
                None if word == "enabled" => drop(self.0.remove("disabled")),
                None => {
                    self.0.insert(word.to_owned(), Setting { value, at: Some(line.place()) });
                }
            }
        }
    }

    /// Sets one to the second word of a line.
    pub fn set(&mut self, name: &str, line: &Line) {
        self.0.insert(name.to_owned(), Setting { value: line.word(1).into(), at: Some(line.place()) });
    }

    /// Whether it stands there.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether a PROXY header goes before everything else.
    pub fn sends_proxy(&self) -> bool {
        ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"].iter().any(|name| self.has(name))
    }

    /// Its value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|setting| setting.value.as_str()).filter(|value| !value.is_empty())
    }

    /// Those that bear on a failing request.
    pub fn told(&self) -> impl Iterator<Item = (CompactString, Setting)> {
        self.0.iter().filter(|(name, _)| TOLD.contains(&name.as_str())).map(|(name, setting)| (name.into(), setting.clone()))
    }
}

/// What all servers of a configuration share.
#[derive(Debug, Clone, Default)]
pub struct Around<'a> {
    /// What unix sockets are relative to: the process sees nothing else once it serves.
    pub chroot: Option<&'a str>,
    /// What relative `ca-file`s and `crt`s are relative to.
    pub ca_base: Option<&'a str>,
    pub crt_base: Option<&'a str>,
    /// `ssl-server-verify none`.
    pub verify_none: bool,
    /// The `resolvers` sections.
    pub resolvers: Sections,
    /// Words of `ssl-default-server-options`.
    pub default_options: Parameters,
}

/// One server as written.
#[derive(Debug, Clone)]
pub struct Written {
    /// As the model has it.
    pub server: Server,
    /// What is spoken there, as far as the server's own line tells.
    pub protocol: Protocol,
    /// What holds for it.
    pub parameters: Parameters,
}

/// The servers of one line. `port`: where the client came in, which is used where no port is written.
pub fn servers(
    line: &Line,
    defaults: &Parameters,
    http: bool,
    port: Option<u16>,
    around: &Around<'_>,
) -> Result<Vec<Written>, String> {
    let template = line.word(0) == "server-template";
    let at = if template { 3 } else { 2 };
    if line.len() <= at {
        return Err(format!("'{}' expects <name> and <addr>[:<port>] as arguments.", line.word(0)));
    }
    let mut parameters = defaults.clone();
    parameters.take(line, at + 1);
    let Some(address) = address(line.word(at), port, around.chroot)? else { return Ok(Vec::new()) };
    let protocol = protocol(&parameters, http);
    let server = Server { name: None, address, role: role(&parameters), names: around.names(&parameters), at: line.place() };
    if !template {
        let server = Server { name: Some(line.word(1).into()), ..server };
        return Ok(vec![Written { server, protocol, parameters }]);
    }
    let one = |name: CompactString| Written {
        server: Server { name: Some(name), ..server.clone() },
        protocol,
        parameters: parameters.clone(),
    };
    // `N`, or `FROM-TO`.
    let (first, last) = line.word(2).split_once('-').unwrap_or(("1", line.word(2)));
    let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else {
        return Err(format!("'server-template' : invalid range '{}'", line.word(2)));
    };
    Ok((first..=last).take(OF_TEMPLATE).map(|number| one(format_compact!("{}{number}", line.word(1)))).collect())
}

fn role(parameters: &Parameters) -> Role {
    // A server of weight 0 gets no new requests: it is drained.
    if parameters.has("disabled") || parameters.value("weight") == Some("0") {
        Role::Down
    } else if parameters.has("backup") {
        Role::Backup
    } else {
        Role::Primary
    }
}

fn protocol(parameters: &Parameters, http: bool) -> Protocol {
    let tls = parameters.has("ssl");
    if !http {
        return Protocol::Stream;
    }
    match (parameters.value("proto"), tls) {
        (Some("fcgi"), _) => Protocol::Fastcgi,
        (Some("h2"), true) => Protocol::Grpcs,
        (Some("h2"), false) => Protocol::Grpc,
        (_, true) if parameters.value("alpn") == Some("h2") => Protocol::Grpcs,
        (_, true) => Protocol::Https,
        (_, false) => Protocol::Http,
    }
}

/// `127.0.0.1:80`, `[::1]:80`, `::1:80`, `app.internal:80`, `/run/app.sock`, `unix@/run/app.sock`, `abns@name`, `ipv4@1.2.3.4:80`.
/// `None`: it is decided for each request.
pub fn address(text: &str, port: Option<u16>, chroot: Option<&str>) -> Result<Option<Address>, String> {
    let unix = |path: &str| {
        let inside = Path::new(path.trim_start_matches('/'));
        match chroot {
            Some(chroot) => Address::Unix(Path::new(chroot).join(inside)),
            None => Address::Unix(path.into()),
        }
    };
    let rest = match text.split_once('@') {
        Some(("unix" | "uxst" | "unix+stream", path)) => return Ok(Some(unix(path))),
        Some(("abns" | "abnsz", name)) => return Ok(Some(Address::Unix(format!("@{name}").into()))),
        Some(("ipv4" | "ipv6" | "tcp" | "tcp4" | "tcp6" | "ipv4+tcp" | "mptcp" | "mptcp4" | "mptcp6", rest)) => rest,
        Some(("fd" | "sockpair" | "rhttp" | "rev" | "udp" | "udp4" | "udp6" | "quic4" | "quic6", _)) => return Ok(None),
        Some(_) | None if text.starts_with('/') => return Ok(Some(unix(text))),
        Some(_) | None => text,
    };
    // The last colon parts the port, also behind an IPv6 address without brackets (str2sa_range).
    let (host, written) = match rest.rsplit_once(':') {
        Some((host, digits)) if !digits.contains(']') => (host, digits),
        Some(_) | None => (rest, ""),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = match written.as_bytes().first() {
        None => port,
        // An offset to the port where the client came in.
        Some(b'+' | b'-') => {
            let offset: i32 = written.parse().map_err(|_| format!("invalid port offset '{written}' in '{text}'"))?;
            port.and_then(|port| u16::try_from(i32::from(port) + offset).ok())
        }
        Some(_) => Some(written.parse().map_err(|_| format!("invalid port number '{written}' in '{text}'"))?),
    };
    if host.is_empty() || host == "*" || host == "0.0.0.0" || host == "::" {
        return Ok(None);
    }
    let Some(port) = port.filter(|port| *port > 0) else { return Ok(None) };
    if host.contains(|c: char| c.is_whitespace() || c.is_control() || "/[]".contains(c)) {
        return Err(format!("invalid address: '{host}' in '{text}'"));
    }
    Ok(Some(host.parse::<IpAddr>().map_or_else(|_| Address::Name(host.to_owned(), port), |ip| Address::Tcp((ip, port).into()))))
}

/// How it speaks TLS. `None`: it does not. `host`: the name of a request that a client makes.
pub fn trust(parameters: &Parameters, around: &Around<'_>, host: Option<&str>) -> Option<TrustSettings> {
    if !parameters.has("ssl") {
        return None;
    }
    let value = |name: &str| parameters.value(name).or_else(|| around.default_options.value(name));
    let based = |base: Option<&str>, path: &str| match base {
        Some(base) if !path.starts_with('/') => Path::new(base).join(path),
        Some(_) | None => path.into(),
    };
    let verify = match value("verify") {
        Some(word) => word != "none",
        None => !around.verify_none,
    };
    let sni = sni(parameters, host);
    let of_request =
        host.is_none() && value("verifyhost").is_none() && self::sni(parameters, Some("")).is_some_and(|name| name.is_empty());
    let ca = value("ca-file").filter(|_| verify);
    let system = ca == Some("@system-ca");
    let version = |name: &str| value(name).and_then(|text| text.parse::<TlsVersion>().ok());
    // OpenSSL's own bounds where none are set; HAProxy offers TLS 1.2 and later since 2.2.
    let (oldest, newest) =
        (version("ssl-min-ver").unwrap_or(TlsVersion::Tls12), version("ssl-max-ver").unwrap_or(TlsVersion::Tls13));
    let mut protocols = TlsVersion::between(oldest.min(newest), newest);
    for (word, version) in [
        ("sslv3", TlsVersion::Ssl3),
        ("tlsv10", TlsVersion::Tls10),
        ("tlsv11", TlsVersion::Tls11),
        ("tlsv12", TlsVersion::Tls12),
        ("tlsv13", TlsVersion::Tls13),
    ] {
        let holds = |name: String| parameters.has(&name) || around.default_options.has(&name);
        if holds(format!("force-{word}")) {
            protocols = vec![version];
        } else if holds(format!("no-{word}")) {
            protocols.retain(|known| *known != version);
        }
    }
    Some(TrustSettings {
        verify,
        dates: verify,
        known_as: sni.clone(),
        name: value("verifyhost").map(str::to_owned).or_else(|| sni.clone()).filter(|_| verify),
        verifier: Verifier::Openssl,
        ca_file: ca.filter(|_| !system).map(|path| based(around.ca_base, path)),
        system_roots: system,
        crl_file: value("crl-file").map(|path| based(around.ca_base, path)),
        protocols,
        ciphers: value("ciphers").map(str::to_owned),
        ciphersuites: value("ciphersuites").map(str::to_owned),
        alpn: value("alpn").map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default(),
        client_cert: value("crt").map(|path| based(around.crt_base, path)),
        of_request,
        unclear: parameters
            .value("sni")
            .filter(|_| sni.is_none() && !of_request && verify && value("verifyhost").is_none())
            .map(|text| format!("sni {text}")),
        ..TrustSettings::default()
    })
}

/// The server name that is sent. `None`: none is, or it is not known before there is a request.
pub fn sni(parameters: &Parameters, host: Option<&str>) -> Option<String> {
    let text = parameters.value("sni").filter(|_| parameters.has("ssl"))?;
    if let Some(name) = text.strip_prefix("str(").and_then(|rest| rest.split(')').next()) {
        return Some(name.trim_matches(['"', '\'']).to_owned());
    }
    let of_client = ["req.hdr(host)", "hdr(host)", "ssl_fc_sni", "req.hdr(Host)", "req.fhdr(host)", "req.ssl_sni"];
    of_client.iter().any(|known| text.starts_with(known)).then(|| host.map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_haproxy_reads_them() {
        let of = |text: &str, chroot| match address(text, Some(443), chroot) {
            Ok(Some(address)) => address.to_string(),
            Ok(None) => "-".to_owned(),
            Err(error) => format!("!{error}"),
        };
        for (text, expected) in [
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("127.0.0.1", "127.0.0.1:443"),
            ("127.0.0.1:+1000", "127.0.0.1:1443"),
            ("[::1]:80", "[::1]:80"),
            ("::1:80", "[::1]:80"),
            ("ipv6@::1:80", "[::1]:80"),
            ("app.internal:8080", "app.internal:8080"),
            ("app.internal", "app.internal:443"),
            ("/run/app.sock", "unix:/run/app.sock"),
            ("unix@/run/app.sock", "unix:/run/app.sock"),
            ("abns@app", "unix:@app"),
            ("*:80", "-"),
            ("sockpair@3", "-"),
            ("127.0.0.1:99999", "!invalid port number '99999' in '127.0.0.1:99999'"),
        ] {
            assert_eq!(of(text, None), expected, "{text}");
        }
        assert_eq!(of("/run/app.sock", Some("/var/lib/haproxy")), "unix:/var/lib/haproxy/run/app.sock");
    }
}
