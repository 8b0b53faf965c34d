//! Addresses and names of hosts, replaced by placeholders of their own kind, for who hands over without telling where it was.
//!
//! A placeholder is an address or a name again, so that a recording can be read and gives the same verdict: public IPv4 addresses become
//! reserved ones (240.0.0.0/4, RFC 1112), private ones others of the same private network, IPv6 addresses those of documentation
//! (2001:db8::/32, RFC 3849), names end in `.invalid` (RFC 2606). Equal ones stay equal, and what shares a network shares one afterwards.
//! Loopback, multicast and unspecified addresses tell nothing and stay. The key is made anew for each run and kept nowhere: who has only the
//! placeholders cannot try all addresses.
//!
//! Names are replaced where they are known: of this host, of sites, upstreams and URLs, of what is looked up; in foreign text also behind
//! `://`, `@` and `host: "`.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Mutex,
};

use serde_json::Value;

use crate::model::{Address, Document, Gateway, Observation, document::Block};

/// Names that are remembered: more than any configuration that is read has upstreams and sites by name.
const NAMES: usize = 50_000;
/// How placeholders of names end.
const INVALID: &str = ".invalid";
/// Ends of dotted words that are no names of hosts: files and units.
const ENDS: &[&str] = &[
    "conf", "cfg", "log", "sock", "socket", "service", "slice", "scope", "timer", "mount", "target", "d", "so", "js", "py", "php",
    "rb", "go", "rs", "pid", "toml", "json", "yaml", "yml", "pem", "crt", "key", "html", "txt", "gz", "sh", "invalid", "w502",
    "md",
];
/// Names of one word that are words of our sentences as well.
const WORDS: &[&str] = &[
    "localhost",
    "app",
    "web",
    "www",
    "db",
    "api",
    "nginx",
    "apache",
    "apache2",
    "httpd",
    "haproxy",
    "caddy",
    "gateway",
    "upstream",
    "server",
    "host",
    "client",
    "edge",
    "backend",
    "frontend",
    "proxy",
    "root",
    "kernel",
    "shop",
    "test",
    "default",
    "name",
    "none",
    "all",
];

/// Replaces addresses and names.
#[derive(Debug)]
pub struct Mask {
    key: (u64, u64),
    names: Mutex<BTreeSet<String>>,
}

/// A mask is that of its key.
impl PartialEq for Mask {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Mask {
    /// One with this key, which nobody may know.
    pub fn new(key: (u64, u64)) -> Self {
        Self { key, names: Mutex::default() }
    }

    fn hash(&self, what: &str, bytes: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.key, what, bytes).hash(&mut hasher);
        hasher.finish()
    }

    /// A byte of an address behind these: others behind the same stay apart, and equal ones equal.
    fn byte(&self, before: &[u8], byte: u8) -> u8 {
        byte ^ self.hash("byte", before).to_le_bytes()[0]
    }

    fn v4(&self, address: Ipv4Addr) -> Ipv4Addr {
        let [a, b, c, d] = address.octets();
        let kept = address.is_loopback() || address.is_unspecified() || a == 0 || a >= 224;
        if kept {
            return address;
        }
        let second = self.byte(&[a], b);
        let (a2, b2) = match (a, b) {
            (10, _) => (a, second),
            (172, 16..=31) => (a, b & 0xf0 | second & 0x0f),
            (192, 168) | (169, 254) => (a, b),
            (100, 64..=127) => (a, b & 0xc0 | second & 0x3f),
            // Not 255, which is where broadcasts go.
            _ => (240 + self.hash("first", &[a]).to_le_bytes()[0] % 15, second),
        };
        Ipv4Addr::new(a2, b2, self.byte(&[a, b], c), self.byte(&[a, b, c], d))
    }

    fn v6(&self, address: Ipv6Addr) -> Ipv6Addr {
        if let Some(v4) = address.to_ipv4_mapped() {
            return self.v4(v4).to_ipv6_mapped();
        }
        let bytes = address.octets();
        let documentation = bytes[..4] == [0x20, 0x01, 0x0d, 0xb8];
        if address.is_loopback() || address.is_unspecified() || address.is_multicast() || documentation {
            return address;
        }
        let (network, host) = bytes.split_at(8);
        let mut out = [0; 16];
        match bytes[0] {
            // Link-local and unique local ones stay what they are.
            0xfe => out[..8].copy_from_slice(network),
            0xfc | 0xfd => {
                out[..8].copy_from_slice(&self.hash("network", network).to_be_bytes());
                out[0] = bytes[0];
            }
            _ => {
                out[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
                out[4..8].copy_from_slice(&self.hash("network", network).to_be_bytes()[..4]);
            }
        }
        for (to, (byte, key)) in out[8..].iter_mut().zip(host.iter().zip(self.hash("host", network).to_be_bytes())) {
            *to = byte ^ key;
        }
        out.into()
    }

    /// An address in the place of this one.
    pub fn ip(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(v4) => self.v4(v4).into(),
            IpAddr::V6(v6) => self.v6(v6).into(),
        }
    }

    /// A name in the place of this one.
    fn name(&self, name: &str) -> String {
        let plain = name.to_ascii_lowercase();
        format!("host-{:06x}{INVALID}", self.hash("name", plain.as_bytes()) >> 40)
    }

    /// This is the name of a host, wherever it stands from now on.
    fn learn(&self, name: &str) {
        let name = name.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
        let named =
            name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_')) && name.chars().any(char::is_alphabetic);
        let end = name.rsplit('.').next().unwrap_or_default();
        // One word may be a word of a sentence; one that was made up is none.
        let telling = if name.contains('.') { !ENDS.contains(&end) } else { name.len() > 2 && !WORDS.contains(&name.as_str()) };
        if let Ok(mut names) = self.names.lock()
            && named
            && telling
            && names.len() < NAMES
        {
            names.insert(name);
        }
    }

    fn learn_address(&self, address: &Address) {
        match address {
            Address::Name(name, _) => self.learn(name),
            Address::Inside(_, inner) => self.learn_address(inner),
            Address::Tcp(_) | Address::Unix(_) => {}
        }
    }

    fn learn_url(&self, url: &str) {
        if let Some(host) = url::Url::parse(url).ok().and_then(|url| Some(url.domain()?.to_owned())) {
            self.learn(&host);
        }
    }

    /// The names of a gateway's sites and upstreams.
    pub fn learn_gateway(&self, gateway: &Gateway) {
        gateway.sites.iter().flat_map(|site| &site.names).for_each(|name| self.learn(name));
        let routes = gateway.sites.iter().flat_map(|site| &site.routes).flat_map(|route| &route.servers);
        let servers = gateway.pools.iter().flat_map(|pool| &pool.servers).chain(routes);
        servers.for_each(|server| self.learn_address(&server.address));
    }

    /// The names that an observation tells.
    pub fn learn_from(&self, seen: &Observation) {
        match seen {
            Observation::Run(run) => {
                self.learn(&run.host);
                run.url.iter().for_each(|url| self.learn_url(url));
            }
            Observation::Gateways(all) => all.iter().for_each(|gateway| self.learn_gateway(gateway)),
            Observation::Vantage(seen) => self.learn(&seen.host),
            Observation::Probe(report) => {
                self.learn_address(&report.job.address);
                report
                    .job
                    .request
                    .iter()
                    .for_each(|request| self.learn(request.host.rsplit_once(':').map_or(&request.host, |(host, _)| host)));
            }
            Observation::Edited(_)
            | Observation::Live(_)
            | Observation::Workers(_)
            | Observation::Listeners(_)
            | Observation::Sources(_)
            | Observation::Apps(_)
            | Observation::Log(_)
            | Observation::Onset(_)
            | Observation::Load(_)
            | Observation::Changes(_)
            | Observation::Life(_)
            | Observation::Services(_)
            | Observation::Upkeep(_)
            | Observation::Blind(_)
            | Observation::Seen { .. }
            | Observation::Dropped { .. }
            | Observation::Done(_)
            | Observation::Answered { .. }
            | Observation::Operator(_)
            | Observation::End => {}
        }
    }

    /// Whether a word is the name of a host, or of one below it.
    fn knows(&self, word: &str) -> bool {
        let plain = word.to_ascii_lowercase();
        let Ok(names) = self.names.lock() else { return false };
        names.contains(&plain)
            || plain
                .match_indices('.')
                .any(|(at, _)| plain[..at].len() > 1 && names.contains(&plain[at + 1..]) && plain[at + 1..].contains('.'))
    }

    /// A text without addresses and names. `None`: it has none.
    pub fn text(&self, text: &str) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        let (mut at, mut changed) = (0, false);
        while at < text.len() {
            let rest = &text[at..];
            let before = text[..at].chars().next_back();
            let joined = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
            if !joined && let Some((length, address)) = address_at(rest) {
                let instead = self.ip(address);
                changed |= instead != address;
                out.push_str(&instead.to_string());
                at += length;
                continue;
            }
            if !joined {
                let length = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '.' | '_'))).unwrap_or(rest.len());
                let word = rest[..length].trim_end_matches(['.', '-']);
                if !word.is_empty() && !word.ends_with(INVALID) && (self.knows(word) || told(&text[..at], word)) {
                    out.push_str(&self.name(word));
                    at += word.len();
                    changed = true;
                    continue;
                }
                // Also below this word nothing is a name that is not one from here on: `app.service` is no `service`.
                if length > 0 && address_within(&rest[..length]).is_none() {
                    out.push_str(&rest[..length]);
                    at += length;
                    continue;
                }
            }
            let Some(c) = rest.chars().next() else { break };
            out.push(c);
            at += c.len_utf8();
        }
        changed.then_some(out)
    }

    /// Replaces in place.
    pub fn put(&self, text: &mut String) {
        if let Some(masked) = self.text(text) {
            *text = masked;
        }
    }

    /// Everything in a value, the names of its fields as well: maps have addresses for keys.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.put(text),
            Value::Array(list) => list.iter_mut().for_each(|item| self.value(item)),
            Value::Object(map) => {
                let all = std::mem::take(map);
                for (mut name, mut item) in all {
                    self.put(&mut name);
                    self.value(&mut item);
                    map.insert(name, item);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Everything in a document.
    pub fn document(&self, document: &mut Document) {
        self.put(&mut document.title);
        for block in &mut document.blocks {
            match block {
                Block::Heading(_, text) | Block::Text(text) | Block::Code(text) => self.put(text),
                Block::Fields(fields) => fields.iter_mut().for_each(|(_, value)| self.put(value)),
                Block::List(items) => items.iter_mut().for_each(|item| {
                    self.put(&mut item.text);
                    self.put(&mut item.source);
                }),
                Block::Steps(steps) => steps.iter_mut().for_each(|(text, command)| {
                    self.put(text);
                    if let Some(command) = command {
                        self.put(command);
                    }
                }),
                Block::Table(_, rows) => rows.iter_mut().flat_map(|(_, cells)| cells).for_each(|cell| self.put(cell)),
                Block::Checks(checks) => checks.iter_mut().for_each(|check| {
                    self.put(&mut check.text);
                    check.notes.iter_mut().for_each(|note| self.put(note));
                }),
                Block::Chart { .. } => {}
            }
        }
    }
}

/// Whether what stands before a word says that it is the name of a host.
fn told(before: &str, word: &str) -> bool {
    let begins = ["://", "host: \"", "server: ", "Host: "].iter().any(|sign| before.ends_with(sign));
    let mail = before.ends_with('@') && word.contains('.');
    let end = word.rsplit('.').next().unwrap_or_default();
    (begins || mail) && word.chars().any(char::is_alphabetic) && !WORDS.contains(&word) && !ENDS.contains(&end) && word != "_"
}

/// An address at the begin of a text, and its length.
fn address_at(text: &str) -> Option<(usize, IpAddr)> {
    let end = text.find(|c: char| !(c.is_ascii_hexdigit() || matches!(c, ':' | '.'))).unwrap_or(text.len());
    let run = &text[..end];
    let follows = text[end..].chars().next();
    // Three parts are a version, and five are no address either.
    let digits = run.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(run.len());
    let plain = run[..digits].trim_end_matches('.');
    if plain.bytes().filter(|byte| *byte == b'.').count() == 3
        && let Ok(v4) = plain.parse::<Ipv4Addr>()
        && !text[plain.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
    {
        return Some((plain.len(), v4.into()));
    }
    let word = run.trim_end_matches([':', '.']);
    let six = word.matches(':').count() >= 2 && word.bytes().any(|byte| byte.is_ascii_digit());
    let ends = word.len() < run.len() || !follows.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let v6 = word.parse::<Ipv6Addr>().ok().filter(|_| six && ends)?;
    Some((word.len(), v6.into()))
}

/// Whether an address begins somewhere in a word.
fn address_within(word: &str) -> Option<usize> {
    let starts = word
        .char_indices()
        .filter(|(at, c)| c.is_ascii_digit() && !word[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '.'));
    starts.map(|(at, _)| at).find(|at| *at > 0 && address_at(&word[*at..]).is_some())
}

#[cfg(test)]
mod tests;
