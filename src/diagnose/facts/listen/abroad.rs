//! The classic of containers in words: the address is right, but in other namespaces it is another place.

use std::path::Path;

use super::owner;
use crate::model::{Address, Listener, ListenerTable};

/// What `127.0.0.1:8000` or `/tmp/app.sock` is where the gateway runs, while the application listens elsewhere; and what to do about
/// it. `None`: both are in the same namespaces.
pub(super) fn words(table: &ListenerTable, upstream: &Address, listener: &Listener) -> Option<(String, String)> {
    if table.home(upstream).place() == listener.address.place() {
        return None;
    }
    let at = upstream.bare();
    let (here, there) = (named(upstream.place()), named(listener.address.place()));
    let (who, bare) = (owner(listener), listener.address.bare());
    if let (Address::Unix(wanted), Address::Unix(path)) = (at, bare) {
        let dir = wanted.parent().unwrap_or(Path::new("/")).display();
        let said = if wanted == path {
            format!(
                "{dir} of {here} is not that of {there}: {who} listens on {} of {there}, a file that {here} does not see",
                path.display()
            )
        } else {
            format!("there is no such socket in {here}, and {who} listens on {} of {there}", path.display())
        };
        let private = wanted.starts_with("/tmp") || wanted.starts_with("/var/tmp");
        let remedy = if private {
            format!(
                "Put the socket into a directory that both see, as RuntimeDirectory= makes one below /run, not into {dir}, which PrivateTmp= gives to each service for itself"
            )
        } else {
            format!("Share the directory of the socket between both, as by a volume that {here} mounts at {dir}")
        };
        return Some((said, remedy));
    }
    let Address::Tcp(to) = at else {
        return Some((format!("{at} in {here} is another place than {bare} of {there}, where {who} listens"), together(&here)));
    };
    let said = if to.ip().is_loopback() || to.ip().is_unspecified() {
        format!(
            "for {here}, {} is {here} itself, where nothing listens on port {}; {who} listens on {bare} of {there}",
            to.ip(),
            to.port()
        )
    } else {
        format!("nothing listens on {to} of {here}; {who} listens on {bare} of {there}")
    };
    Some((said, remedy(table, upstream, listener).unwrap_or_else(|| together(&here))))
}

/// An address of the application's place that the gateway can use, where one is known.
fn remedy(table: &ListenerTable, upstream: &Address, listener: &Listener) -> Option<String> {
    let port = listener.address.port()?;
    let local = match listener.address.place() {
        None => &table.local,
        Some(place) => &table.abroad.iter().find(|known| known.place == place)?.local,
    };
    let own: Vec<_> = match upstream.place() {
        None => table.local.iter().collect(),
        Some(place) => table.abroad.iter().filter(|known| known.place == place).flat_map(|known| &known.local).collect(),
    };
    // In the same network as one of its own addresses: a bridge's networks are of this size as a rule.
    let near = |ip: &&std::net::IpAddr| match ip {
        std::net::IpAddr::V4(ip) => {
            own.iter().any(|own| matches!(own, std::net::IpAddr::V4(own) if own.octets()[..3] == ip.octets()[..3]))
        }
        std::net::IpAddr::V6(_) => false,
    };
    let ip = local.iter().find(near)?;
    let Address::Tcp(at) = listener.address.bare() else { return None };
    let open = at.ip() == *ip || at.ip().is_unspecified();
    let bind = if open { String::new() } else { format!(", and let the application listen there instead of on {}", at.ip()) };
    let (there, here) = (named(listener.address.place()), named(upstream.place()));
    Some(format!("Name {ip}:{port} instead, by which {here} reaches {there}{bind}"))
}

fn together(here: &str) -> String {
    format!(
        "Name an address by which {here} reaches the application: its service or container name in a network that both share, or the \
         host's address there (host.docker.internal with docker), and let the application listen on it and not on 127.0.0.1"
    )
}

fn named(place: Option<&str>) -> String {
    place.map_or_else(|| "the host".to_owned(), str::to_owned)
}
