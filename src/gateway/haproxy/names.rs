//! When and by whom HAProxy has the names of servers resolved: at start by the host, and after that never again, unless the server
//! names a `resolvers` section (management.txt and configuration.txt 5.3: Server IP address resolution using DNS).

use std::collections::HashMap;

use super::{
    load::Loaded,
    server::{Around, Parameters},
};
use crate::model::{OwnResolvers, Resolution};

/// The `resolvers` sections by their names.
pub type Sections = HashMap<String, Resolution>;

/// Name servers of one section that are kept.
const SERVERS: usize = 16;
/// Where name servers listen (RFC 1035 section 4.2).
const PORT: &str = ":53";

/// The `resolvers` sections.
pub fn sections(loaded: &Loaded) -> Sections {
    let section = |section: &super::load::Section| {
        let mut own = OwnResolvers::default();
        let mut of_host = false;
        for line in &section.lines {
            match line.word(0) {
                "nameserver" if own.servers.len() < SERVERS => own.servers.push(place(line.word(2))),
                "parse-resolv-conf" => of_host = true,
                _ => {}
            }
        }
        // Those of the host come to its own; of both, what the host would say is the nearer.
        let resolution =
            if of_host || own.servers.is_empty() { Resolution::AtEachUse } else { Resolution::ByServers(Box::new(own)) };
        (section.name.to_string(), resolution)
    };
    loaded.of("resolvers").map(section).collect()
}

impl Around<'_> {
    /// How a server with these parameters is resolved. A section that is not there is the one called `default`, which HAProxy makes of
    /// /etc/resolv.conf (2.6), or one that it would refuse.
    pub fn names(&self, parameters: &Parameters) -> Resolution {
        let named = parameters.value("resolvers");
        named.map_or(Resolution::AtStart, |name| self.resolvers.get(name).cloned().unwrap_or(Resolution::AtEachUse))
    }
}

/// `udp@10.0.0.2:53` as a plain address.
fn place(written: &str) -> String {
    let bare = written.split_once('@').map_or(written, |(_, bare)| bare);
    bare.strip_suffix(PORT).filter(|host| !host.contains(':')).unwrap_or(bare).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lose_what_is_understood() {
        assert_eq!(
            ["udp@10.0.0.2:53", "10.0.0.2:5353", "[::1]:53", "ipv4@127.0.0.1:53"].map(place),
            ["10.0.0.2", "10.0.0.2:5353", "[::1]:53", "127.0.0.1"]
        );
    }
}
