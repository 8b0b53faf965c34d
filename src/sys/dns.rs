//! Names to addresses, by the hosts file and the name servers below the root. getaddrinfo is never called: it blocks, and in
//! a static binary it needs the host's own libc. Known gap: nsswitch.conf is not read, so names that only mDNS, NIS or
//! `myhostname` know are not found.

use std::{net::IpAddr, path::Path, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::op::ResponseCode,
    system_conf::parse_resolv_conf,
};
use thiserror::Error;

use super::Root;
use crate::model::NameFault;

/// Bytes of /etc/hosts that are read: block lists of ten thousands of names are there on some hosts, and fit.
const HOSTS_BYTES: u64 = 4 << 20;
/// Bytes of /etc/resolv.conf that are read.
const RESOLV_BYTES: u64 = 64 << 10;
/// How long those two files may take: they are local, unless something is very wrong.
const FILES: Duration = Duration::from_secs(1);
/// One name server's time for an answer. One try only: the probe is repeated anyway, and a fault must show at once.
const SERVER: Duration = Duration::from_secs(1);
/// Name servers that are asked, as glibc does (resolv.conf(5): MAXNS).
const SERVERS: usize = 3;
/// The whole of one lookup: all servers in turn, with room for search domains.
const LOOKUP: Duration = Duration::from_secs(4);
/// Addresses that are kept of one answer.
const ADDRESSES: usize = 64;
/// Characters of a name at most (RFC 1035 section 2.3.4).
const NAME_CHARS: usize = 253;

/// Why a name has no address.
#[derive(Debug, Error)]
#[error("{name}: {detail}")]
pub struct NameError {
    /// The name.
    pub name: String,
    /// Which kind of failure.
    pub fault: NameFault,
    /// In words.
    pub detail: String,
}

/// Resolves names as the host would.
#[derive(Debug, Clone)]
pub struct Dns {
    root: Root,
    /// Where name servers listen; 53, but in tests.
    port: u16,
}

/// What the files say about a name.
struct Files {
    /// Its addresses in the hosts file.
    hosts: Vec<IpAddr>,
    /// `/etc/resolv.conf`; `None`: not there, or not readable.
    resolv: Option<Vec<u8>>,
}

impl Dns {
    /// By the files below this root.
    pub fn new(root: Root) -> Self {
        Self { root, port: 53 }
    }

    /// With name servers that listen on another port than 53.
    #[cfg(test)]
    pub fn at_port(root: Root, port: u16) -> Self {
        Self { root, port }
    }

    /// All addresses of a name, IPv4 first. Both files are read anew each time: mending them is a way out of an outage.
    pub async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, NameError> {
        let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
        if let Ok(ip) = bare.parse() {
            return Ok(vec![ip]);
        }
        let fail = |fault, detail: String| NameError { name: name.to_owned(), fault, detail };
        if name.is_empty() || name.len() > NAME_CHARS || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(fail(NameFault::NxDomain, "this can be nobody's name".to_owned()));
        }
        let (root, asked) = (self.root.clone(), name.to_owned());
        let files = super::blocking(FILES, move || read_files(&root, &asked)).await;
        let files =
            files.ok_or_else(|| fail(NameFault::Silent, "/etc/hosts and /etc/resolv.conf could not be read in time".to_owned()))?;
        if !files.hosts.is_empty() {
            return Ok(files.hosts);
        }
        if is_localhost(name) {
            return Ok(vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]);
        }
        let resolver = self.resolver(files.resolv.as_deref()).map_err(|why| fail(NameFault::NoServer, why))?;
        match tokio::time::timeout(LOOKUP, resolver.lookup_ip(name)).await {
            Err(_) => Err(fail(NameFault::Silent, format!("no answer within {} s", LOOKUP.as_secs()))),
            Ok(Err(error)) => Err(fail(fault(&error), error.to_string())),
            Ok(Ok(answer)) => {
                let mut found: Vec<IpAddr> = answer.iter().take(ADDRESSES).collect();
                found.sort_by_key(IpAddr::is_ipv6);
                found.dedup();
                if found.is_empty() { Err(fail(NameFault::NoData, "an answer without an address".to_owned())) } else { Ok(found) }
            }
        }
    }

    fn resolver(&self, resolv: Option<&[u8]>) -> Result<TokioResolver, String> {
        let text = resolv.ok_or("/etc/resolv.conf cannot be read")?;
        let (config, options) = parse_resolv_conf(text).map_err(|error| format!("/etc/resolv.conf: {error}"))?;
        let (domain, search, mut servers) = config.into_parts();
        servers.truncate(SERVERS);
        for connection in servers.iter_mut().flat_map(|server| &mut server.connections) {
            connection.port = self.port;
        }
        let config = ResolverConfig::from_parts(domain, search, servers);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = ours(options);
        builder.build().map_err(|error| error.to_string())
    }
}

/// The host's options, with our own bounds: hickory counts `attempts` beyond the first try.
fn ours(mut options: ResolverOpts) -> ResolverOpts {
    options.timeout = SERVER;
    options.attempts = 0;
    options.cache_size = 0;
    options.num_concurrent_reqs = 1;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options.use_hosts_file = ResolveHosts::Never;
    options
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") // RFC 6761 section 6.3
}

fn read_files(root: &Root, name: &str) -> Files {
    let read = |path, limit| root.read_at_most(Path::new(path), limit).ok().map(|(bytes, _)| bytes);
    let hosts = read("/etc/hosts", HOSTS_BYTES).unwrap_or_default();
    Files { hosts: in_hosts(&String::from_utf8_lossy(&hosts), name), resolv: read("/etc/resolv.conf", RESOLV_BYTES) }
}

/// The addresses of a name in a hosts file (hosts(5)): those of all its lines, as glibc does it with `multi on`.
fn in_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let name = name.trim_end_matches('.');
    let mut found: Vec<IpAddr> = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(ip) = words.next().and_then(|word| word.parse().ok()) else { continue };
        if found.len() < ADDRESSES && !found.contains(&ip) && words.any(|word| word.eq_ignore_ascii_case(name)) {
            found.push(ip);
        }
    }
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

fn fault(error: &NetError) -> NameFault {
    let by_code = |code: ResponseCode| match code {
        ResponseCode::NXDomain => NameFault::NxDomain,
        ResponseCode::NoError => NameFault::NoData,
        // SERVFAIL, REFUSED and whatever else a server says instead of an answer.
        _ => NameFault::ServFail,
    };
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => by_code(none.response_code),
        NetError::Dns(DnsError::ResponseCode(code)) => by_code(*code),
        NetError::Timeout | NetError::NoConnections | NetError::Io(_) | NetError::Busy => NameFault::Silent,
        _ => NameFault::ServFail,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::UdpSocket;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Dns) {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir(dir.path().join("etc")).expect("directory");
        for (name, text) in files {
            std::fs::write(dir.path().join("etc").join(name), text).expect("file");
        }
        let dns = Dns::new(Root::below(dir.path()));
        (dir, dns)
    }

    /// A name server on loopback that answers each question with this code and, when it is 0, with 192.0.2.7 for A.
    async fn server(code: Option<u8>) -> u16 {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
        let port = socket.local_addr().expect("address").port();
        tokio::spawn(async move {
            let mut buf = [0_u8; 1500];
            while let Ok((len, from)) = socket.recv_from(&mut buf).await {
                let Some(code) = code else { continue };
                // The question: a 12-byte header, the name, type and class; additional records of the query are left out.
                let end = 12 + buf[12..len].iter().position(|b| *b == 0).expect("end of the name") + 5;
                let is_a = buf[end - 4..end - 2] == [0, 1];
                let mut answer = buf[..end].to_vec();
                answer[2] |= 0x80;
                answer[3] = 0x80 | code;
                answer[6..12].fill(0);
                if code == 0 && is_a {
                    answer[7] = 1;
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
                }
                socket.send_to(&answer, from).await.expect("answer");
            }
        });
        port
    }

    async fn ask(code: Option<u8>) -> Result<Vec<IpAddr>, NameError> {
        let (_dir, mut dns) = tree(&[("resolv.conf", "nameserver 127.0.0.1\n")]);
        dns.port = server(code).await;
        dns.lookup("app.example.com").await
    }

    #[tokio::test]
    async fn the_hosts_file_comes_first_and_ipv4_before_ipv6() {
        let (_dir, dns) =
            tree(&[("hosts", "# x app\n::1 app\n10.0.0.9  web App app.internal # app2\nbad app\n127.0.0.1 localhost\n")]);
        let found = dns.lookup("APP").await.expect("in the hosts file");
        assert_eq!(found, ["10.0.0.9".parse::<IpAddr>().expect("ip"), "::1".parse().expect("ip")]);
        assert_eq!(dns.lookup("localhost").await.expect("localhost").len(), 1, "the file's own localhost wins");
        assert_eq!(dns.lookup("[::1]").await.expect("literal"), ["::1".parse::<IpAddr>().expect("ip")]);
        assert_eq!(dns.lookup("app2").await.expect_err("only in a comment").fault, NameFault::NoServer);
    }

    #[tokio::test]
    async fn localhost_needs_no_file_and_other_names_a_server() {
        let (_dir, dns) = tree(&[]);
        assert_eq!(dns.lookup("localhost").await.expect("RFC 6761").len(), 2);
        assert_eq!(dns.lookup("app").await.expect_err("no resolv.conf").fault, NameFault::NoServer);
        let (_dir, dns) = tree(&[("resolv.conf", "search example.com\n")]);
        assert_eq!(dns.lookup("app").await.expect_err("no nameserver").fault, NameFault::NoServer);
        assert_eq!(dns.lookup("a b\u{1b}").await.expect_err("no name").fault, NameFault::NxDomain);
    }

    #[tokio::test]
    async fn each_answer_of_a_name_server_is_told_apart() {
        assert_eq!(ask(Some(0)).await.expect("an address"), ["192.0.2.7".parse::<IpAddr>().expect("ip")]);
        assert_eq!(ask(Some(3)).await.expect_err("NXDOMAIN").fault, NameFault::NxDomain);
        assert_eq!(ask(Some(2)).await.expect_err("SERVFAIL").fault, NameFault::ServFail);
        assert_eq!(ask(Some(5)).await.expect_err("REFUSED").fault, NameFault::ServFail);
    }

    #[tokio::test]
    async fn a_silent_server_costs_a_second() {
        let began = Instant::now();
        assert_eq!(ask(None).await.expect_err("silence").fault, NameFault::Silent);
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    }
}
