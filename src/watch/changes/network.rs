//! Addresses and routes of the host: what became other while we look, what those who manage them wrote before, and their own settings.
//!
//! What must not be here: whether a route is the right one; that is tried by probes.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
};

use super::Looker;
use crate::{
    model::{Change, ChangeKind, logline},
    sys::{JournalQuery, Rights, Root, local_addresses},
};

/// Changes that were seen and are kept, at most: a router's table moves all the time, and explains nothing then.
const SEEN: usize = 40;
/// Addresses and routes that are looked at, at most; beyond that it is a router.
const LINES: usize = 2_000;
/// Flags of a route (linux/route.h, linux/ipv6_route.h): in use; of this host itself.
const RTF_UP: u32 = 1;
const RTF_LOCAL: u32 = 0x8000_0000;
/// Devices that come and go with containers.
const OF_CONTAINERS: [&str; 9] = ["veth", "docker", "br-", "cali", "cni", "flannel", "lxc", "virbr", "podman"];
/// Where those who manage a network write, where that is no part of the journal.
const LOGS: [&str; 2] = ["/var/log/syslog", "/var/log/messages"];
/// The units of those who do, and where they keep what they do now.
const MANAGERS: [(&str, &str); 2] =
    [("NetworkManager.service", "/run/NetworkManager"), ("systemd-networkd.service", "/run/systemd/netif/links")];
/// Entries of theirs that are read.
const ENTRIES: u32 = 60;
/// Bytes of them.
const ENTRY_BYTES: usize = 256 << 10;
/// Where it is set what the network is to be, and files in each that are looked at.
const SETTINGS: [&str; 8] = [
    "/etc/network/interfaces",
    "/etc/network/interfaces.d",
    "/etc/netplan",
    "/etc/systemd/network",
    "/etc/NetworkManager/system-connections",
    "/etc/sysconfig/network-scripts",
    "/etc/sysconfig/network",
    "/etc/dhcpcd.conf",
];
const NAMES: usize = 64;
/// What they say when an address or a route came or went (systemd: src/network/networkd-dhcp4.c, networkd-link.c; NetworkManager:
/// src/core/devices/nm-device.c, nm-policy.c; dhcpcd: src/dhcp.c, src/route.c; ISC dhclient: client/dhclient.c).
const SAID: [&str; 16] = [
    "DHCPv4 address ",
    "DHCP lease lost",
    "Lost carrier",
    "Gained carrier",
    ": Link DOWN",
    ": Link UP",
    "Removing address",
    "state changed new lease",
    "as default for IPv4 routing",
    "as default for IPv6 routing",
    "state change: activated -> ",
    "-> activated (reason",
    "changing default route",
    "deleting route to",
    "adding route to",
    "bound to ",
];

/// What the addresses and routes are, and what became other.
#[derive(Debug, Clone, Default)]
pub(super) struct Network {
    before: Option<BTreeSet<String>>,
    seen: Vec<Change>,
    /// What the managers' journals told, asked for once.
    told: Option<Vec<Change>>,
}

impl Network {
    /// Looks again. `true`: something has changed.
    pub(super) fn look(&mut self, root: &Root, now: i64) -> bool {
        if !root.is_host() {
            return false;
        }
        let now_is = picture(root);
        let Some(before) = self.before.replace(now_is.clone()) else { return false };
        let gone = before.difference(&now_is).map(|line| format!("{line} is gone"));
        let come = now_is.difference(&before).map(|line| format!("{line} is new"));
        let what: Vec<String> = gone.chain(come).take(SEEN).collect();
        let known = self.seen.len();
        self.seen.extend(what.into_iter().map(|what| change(what, now, "addresses and routes, between two looks")));
        let changed = self.seen.len() > known;
        if self.seen.len() > SEEN {
            self.seen.drain(..self.seen.len() - SEEN);
        }
        changed
    }

    /// What the managers' journals say, once.
    pub(super) async fn ask(&mut self, root: &Root, rights: &Rights) {
        if self.told.is_some() {
            return;
        }
        let runs = |place: &str| root.stat(Path::new(place)).is_ok();
        let units = MANAGERS.iter().filter(|(_, place)| runs(place)).map(|(unit, _)| (*unit).to_owned()).collect::<Vec<_>>();
        let mut told = Vec::new();
        if !units.is_empty()
            && let Ok(mut stream) = rights.journal(&JournalQuery { units, lines: ENTRIES, follow: false })
        {
            let (mut export, mut read) = (logline::JournalExport::default(), 0);
            while let Ok(bytes) = stream.read().await {
                if bytes.is_empty() || read > ENTRY_BYTES {
                    break;
                }
                read += bytes.len();
                export.push(&bytes, |entry| {
                    let text = String::from_utf8_lossy(&entry.message);
                    if let (Some(us), Some(what)) = (entry.realtime_us, said(&text)) {
                        told.push(change(what, us.div_euclid(1_000_000), "journal"));
                    }
                });
            }
        }
        self.told = Some(told);
    }

    /// Adds what is known to one look.
    pub(super) fn tell(&self, looker: &mut Looker<'_>) {
        for known in self.seen.iter().chain(self.told.iter().flatten()) {
            looker.add(known.clone());
        }
        if self.before.is_some() {
            let newest = self.seen.iter().chain(self.told.iter().flatten()).map(|change| change.at).max();
            looker.looked(ChangeKind::Network, "addresses and routes", newest);
        }
    }
}

fn change(what: String, at: i64, source: &str) -> Change {
    Change { kind: ChangeKind::Network, what, at, source: source.to_owned(), by: None, concerns: Vec::new(), first: false }
}

/// Looks at logs and settings.
pub(super) fn look(looker: &mut Looker<'_>) {
    for path in LOGS {
        let Some(text) = looker.end_of(Path::new(path)) else { continue };
        let mut lease = None;
        for line in text.lines().filter(|line| SAID.iter().any(|word| line.contains(word))) {
            let carried = logline::carried(line);
            let Some(at) = carried.time.and_then(|time| time.second(&looker.zone, looker.now)) else { continue };
            let Some(what) = said(carried.text) else { continue };
            // A lease that is kept is told with each renewal, and is none.
            if what.contains("bound to ") && lease.replace(what.clone()).is_none_or(|before| before == what) {
                continue;
            }
            looker.add(change(what, at, path));
        }
    }
    for place in SETTINGS.map(Path::new) {
        if !looker.mounts.answers(place) {
            continue;
        }
        let names = looker.root.list_at_most(place, NAMES).unwrap_or_default();
        let mut files: Vec<_> = names.into_iter().map(|name| place.join(name)).collect();
        if files.is_empty() {
            files.push(place.to_owned());
        }
        for file in files {
            let Ok(info) = looker.root.stat(&file).map(|info| info.modified) else { continue };
            let path = file.display().to_string();
            looker.add(change(format!("{path} was changed"), info, &format!("time of {path}")));
        }
    }
}

/// What a line says of it, without what a manager puts around it.
fn said(text: &str) -> Option<String> {
    SAID.iter().any(|word| text.contains(word)).then_some(())?;
    let text = text.split_once("] ").filter(|(head, _)| head.starts_with("<info>  [")).map_or(text, |(_, rest)| rest);
    let text = text.split(" -- renewal in").next().unwrap_or(text);
    Some(text.trim().chars().take(160).collect())
}

/// All addresses and routes, as lines for a person.
fn picture(root: &Root) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    let own = local_addresses(root).into_iter().filter(|ip| match ip {
        std::net::IpAddr::V4(_) => true,
        // What a link gives itself (RFC 4291, 2.5.6) comes with the link.
        std::net::IpAddr::V6(six) => !six.is_unicast_link_local(),
    });
    found.extend(own.map(|ip| format!("address {ip}")));
    let text = |name: &str| root.text(format!("/proc/net/{name}")).unwrap_or_default();
    found.extend(text("route").lines().skip(1).filter_map(four).take(LINES));
    found.extend(text("ipv6_route").lines().filter_map(six).take(LINES));
    found
}

fn of_containers(device: &str) -> bool {
    device == "lo" || OF_CONTAINERS.iter().any(|prefix| device.starts_with(prefix))
}

fn sentence(to: &str, via: Option<String>, device: &str) -> String {
    let via = via.map_or_else(String::new, |via| format!(" via {via}"));
    format!("route {to}{via} dev {device}")
}

/// A line of /proc/net/route: device, then destination, gateway, flags, three counters and the mask, in hex of the host's byte order
/// (net/ipv4/fib_trie.c, fib_route_seq_show).
fn four(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [device, to, via, flags, _, _, _, mask, ..] = words.as_slice() else { return None };
    let address = |hex: &str| Some(Ipv4Addr::from(u32::from_str_radix(hex, 16).ok()?.to_ne_bytes()));
    let (to, via, mask) = (address(to)?, address(via)?, u32::from_be_bytes(address(mask)?.octets()));
    let flags = u32::from_str_radix(flags, 16).ok()?;
    if flags & RTF_UP == 0 || of_containers(device) {
        return None;
    }
    let to = if mask == 0 { "default".to_owned() } else { format!("{to}/{}", mask.leading_ones()) };
    Some(sentence(&to, (!via.is_unspecified()).then(|| via.to_string()), device))
}

/// A line of /proc/net/ipv6_route: destination, its length, source, its length, gateway, metric, two counters, flags, device, all in hex
/// (net/ipv6/route.c, ipv6_route_native_seq_show).
fn six(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [to, length, _, _, via, _, _, _, flags, device] = words.as_slice() else { return None };
    let address = |hex: &str| u128::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 32).map(Ipv6Addr::from);
    let (to, via, length) = (address(to)?, address(via)?, u8::from_str_radix(length, 16).ok()?);
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let local = to.is_unicast_link_local() || to.is_multicast() || to.is_loopback();
    if flags & RTF_UP == 0 || flags & RTF_LOCAL != 0 || local || of_containers(device) {
        return None;
    }
    let to = if length == 0 { "default".to_owned() } else { format!("{to}/{length}") };
    Some(sentence(&to, (!via.is_unspecified()).then(|| via.to_string()), device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_as_the_kernel_writes_them_and_garbage() {
        let line = "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0";
        assert_eq!(four(line).as_deref(), Some("route default via 192.168.1.1 dev eth0"));
        assert_eq!(
            four("eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0").as_deref(),
            Some("route 192.168.1.0/24 dev eth0")
        );
        assert_eq!(four("veth7a\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0"), None);
        let line = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 \
            00000400 00000001 00000000 00000003     eth0";
        assert_eq!(six(line).as_deref(), Some("route default via fe80::1 dev eth0"));
        for garbage in ["", "eth0", "eth0 x y z", "eth0 1 2 3 4 5 6", "\u{1b}[2J 0 0 0 0 0 0 0 0 0"] {
            assert_eq!((four(garbage), six(garbage)), (None, None));
        }
    }

    #[test]
    fn what_became_other_between_two_looks_is_a_change() {
        let mut network = Network::default();
        assert!(!network.look(&Root::host(), 100), "the first look has nothing to compare with");
        assert!(!network.look(&Root::host(), 110), "nothing has changed");
        network.before.get_or_insert_default().insert("address 192.0.2.7".to_owned());
        assert!(network.look(&Root::host(), 120));
        let seen: Vec<(&str, i64)> = network.seen.iter().map(|change| (change.what.as_str(), change.at)).collect();
        assert_eq!(seen, [("address 192.0.2.7 is gone", 120)]);
    }

    #[test]
    fn words_of_those_who_manage_the_network() {
        let told = [
            ("eth0: DHCPv4 address 10.0.0.5/24, gateway 10.0.0.1 acquired from 10.0.0.1", true),
            ("eth0: Lost carrier", true),
            ("<info>  [1795227460.1] device (eth0): state change: activated -> deactivating (reason 'connection-removed')", true),
            ("bound to 10.0.0.5 -- renewal in 3000 seconds.", true),
            ("eth0: Configured", false),
        ];
        for (line, is) in told {
            assert_eq!(said(line).is_some(), is, "{line}");
        }
        assert_eq!(said(told[3].0).as_deref(), Some("bound to 10.0.0.5"));
        assert!(said(told[2].0).is_some_and(|what| what.starts_with("device (eth0)")));
    }
}
