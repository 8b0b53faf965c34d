//! What the host's files say of names: /etc/hosts, /etc/resolv.conf, /etc/nsswitch.conf.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use super::super::{Root, local_addresses};
use crate::model::{HostsLine, Order as _};

/// Bytes of /etc/hosts that are read: block lists of ten thousands of names are there on some hosts, and fit.
const HOSTS_BYTES: u64 = 4 << 20;
/// Bytes of the other files that are read.
const FILE_BYTES: u64 = 64 << 10;
/// Lines of /etc/hosts that are kept of one name.
const LINES: usize = 64;
/// Name servers that are asked, as glibc does (resolv.conf(5): MAXNS).
const SERVERS: usize = 3;
/// Search domains that are tried. glibc has no limit since 2.26; each is a question to each server.
const SEARCH: usize = 6;
/// Modules of nsswitch.conf that are kept.
const MODULES: usize = 16;
/// Where systemd-resolved answers plain DNS (systemd-resolved.service(8)).
const STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
/// The socket by which `nss-resolve` asks systemd-resolved: only there while it runs.
const RESOLVED: &str = "/run/systemd/resolve/io.systemd.Resolve";

/// What the files say about a name.
#[derive(Debug, Default)]
pub(in crate::sys) struct Files {
    /// Its lines in the hosts file.
    pub(super) hosts: Vec<HostsLine>,
    /// The modules that the host asks, in order (nsswitch.conf(5)).
    pub(super) modules: Vec<String>,
    /// Name servers of the host, in order. Where none is named, glibc asks this host itself (resolv.conf(5)).
    pub(super) servers: Vec<IpAddr>,
    /// Whether no server is named at all.
    pub(super) none_named: bool,
    /// The names that are asked for, in order: with search domains, and as it stands.
    pub(super) candidates: Vec<String>,
    /// Search domains that apply to this name.
    pub(super) search: Vec<String>,
    /// The addresses that the module `myhostname` gives, where the name is this host's own.
    pub(super) own: Vec<IpAddr>,
    /// Modules that may know the name and cannot be asked from here.
    pub(super) opaque: Vec<String>,
}

/// Reads them. May block on a dead file system.
pub(in crate::sys) fn read(root: &Root, name: &str) -> Files {
    let text = |path: &str, limit| {
        let read = root.read_at_most(Path::new(path), limit).ok();
        read.map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned())
    };
    let is_there = |path: &str| root.stat(Path::new(path)).is_ok();
    let mut files = Files {
        hosts: in_hosts(&text("/etc/hosts", HOSTS_BYTES).unwrap_or_default(), name),
        modules: modules(&text("/etc/nsswitch.conf", FILE_BYTES).unwrap_or_default()),
        ..Files::default()
    };
    let (mut search, mut dots_needed) = (Vec::new(), 1);
    let resolv = text("/etc/resolv.conf", FILE_BYTES).unwrap_or_default();
    // A line that it does not understand is one that glibc skips.
    let (config, _) = resolv_conf::Config::parse_with_errors(resolv.as_bytes());
    files.servers = config.nameservers.iter().map(IpAddr::from).collect();
    let domains = config.get_last_search_or_domain().filter(|domain| !matches!(domain.as_str(), "--" | "."));
    search.extend(domains.take(SEARCH).map(|domain| domain.trim_end_matches('.').to_owned()));
    dots_needed = usize::try_from(config.ndots).unwrap_or(dots_needed);
    files.servers.dedup();
    files.servers.truncate(SERVERS);
    files.none_named = files.servers.is_empty();
    if files.none_named {
        files.servers.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let place = |module: &str| files.modules.iter().position(|known| known == module);
    if place("resolve") < place("dns").or(Some(usize::MAX)) && place("resolve").is_some() && is_there(RESOLVED) {
        files.servers.retain(|server| *server != STUB);
        files.servers.insert(0, STUB);
    }
    (files.candidates, files.search) = candidates(name, &search, dots_needed);
    let host = text("/proc/sys/kernel/hostname", FILE_BYTES).unwrap_or_default();
    if !host.trim().is_empty() && host.trim().eq_ignore_ascii_case(name.trim_end_matches('.')) {
        files.own = local_addresses(root);
        files.own.order_by_key(IpAddr::is_ipv6);
        if files.own.is_empty() {
            files.own.push(IpAddr::from([127, 0, 0, 2]));
        }
    }
    let local = name.trim_end_matches('.').to_ascii_lowercase().ends_with(".local");
    files.opaque = files.modules.iter().filter(|module| knows_more(module, local)).cloned().collect();
    let machine = format!("/run/systemd/machines/{name}");
    if !name.contains('/') && files.modules.iter().any(|module| module == "mymachines") && is_there(&machine) {
        files.opaque.push("mymachines".to_owned());
    }
    files
}

/// Whether this module may know a name that files and name servers do not. `local`: the name is one of multicast DNS.
fn knows_more(module: &str, local: bool) -> bool {
    match module {
        "files" | "dns" | "resolve" | "myhostname" | "mymachines" => false,
        mdns if mdns.starts_with("mdns") => local,
        _ => true,
    }
}

/// The modules of the line `hosts:`, without what is done on their answers. Without that line: the files, then DNS.
fn modules(text: &str) -> Vec<String> {
    let mut lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let line = lines.find_map(|line| line.strip_prefix("hosts:"));
    let mut inside = false;
    let word = |word: &&str| {
        let action = inside || word.starts_with('[');
        inside = action && !word.ends_with(']');
        !action
    };
    let found: Vec<String> =
        line.unwrap_or_default().split_ascii_whitespace().filter(word).take(MODULES).map(str::to_owned).collect();
    if found.is_empty() { vec!["files".to_owned(), "dns".to_owned()] } else { found }
}

/// The names to ask for, in order, and the search domains among them (resolv.conf(5): search, ndots).
fn candidates(name: &str, search: &[String], dots_needed: usize) -> (Vec<String>, Vec<String>) {
    let plain = || name.trim_end_matches('.').to_owned();
    if name.ends_with('.') {
        return (vec![plain()], Vec::new());
    }
    let within = search.iter().filter(|domain| !domain.is_empty()).map(|domain| format!("{name}.{domain}"));
    let used = search.iter().filter(|domain| !domain.is_empty()).cloned().collect();
    let dots = name.matches('.').count();
    if dots >= dots_needed {
        (std::iter::once(plain()).chain(within).collect(), used)
    } else {
        (within.chain([plain()]).collect(), used)
    }
}

/// The lines of a name in a hosts file (hosts(5)): all of them, as glibc takes them.
fn in_hosts(text: &str, name: &str) -> Vec<HostsLine> {
    let name = name.trim_end_matches('.');
    let mut found: Vec<HostsLine> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let mut words = text.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(ip) = words.next().and_then(|word| word.parse().ok()) else { continue };
        if words.any(|word| word.eq_ignore_ascii_case(name)) && !found.iter().any(|known| known.ip == ip) {
            found.push(HostsLine { ip, line });
        }
        if found.len() == LINES {
            break;
        }
    }
    found.order_by_key(|line| line.ip.is_ipv6());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_stand_without_their_actions() {
        let text =
            "passwd: files\nhosts:  files mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return SUCCESS=continue] dns # x y\n";
        assert_eq!(modules(text), ["files", "mdns4_minimal", "resolve", "dns"]);
        assert_eq!(modules("passwd: files\n#hosts: nis\n"), ["files", "dns"]);
        assert!(knows_more("mdns4_minimal", true) && !knows_more("mdns4_minimal", false) && knows_more("sss", false));
    }

    #[test]
    fn search_domains_come_before_or_after_the_name_by_its_dots() {
        let search = ["prod.internal".to_owned(), "internal".to_owned()];
        let names = |name, dots| candidates(name, &search, dots).0;
        assert_eq!(names("app", 1), ["app.prod.internal", "app.internal", "app"]);
        assert_eq!(names("app.shop", 1), ["app.shop", "app.shop.prod.internal", "app.shop.internal"]);
        assert_eq!(names("app.shop", 5), ["app.shop.prod.internal", "app.shop.internal", "app.shop"]);
        assert_eq!(names("app.", 1), ["app"]);
    }
}
