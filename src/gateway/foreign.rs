//! What gateways' files and pages are read by, as functions of bytes: for `tests/fuzz`, by way of [`crate::shell::foreign`].

use std::path::Path;

use super::{Found, Overrides, apache, caddy, haproxy, nginx, recognised};
use crate::sys::Root;

/// Reads a file below a root as the main configuration of a gateway of this kind that does not run. `None`: no such kind.
pub fn configuration(kind: &str, root: &Root, config: &Path) -> Option<Found> {
    let overrides = Overrides { kind: Some(kind.to_owned()), config: Some(config.to_owned()), ..Overrides::default() };
    let none = Some(&[][..]);
    Some(match kind {
        "nginx" => nginx::look(root, none, &overrides, &nginx::binary::Builds::default()),
        "apache" => apache::look(root, none, &overrides, &apache::binary::Builds::default()),
        "haproxy" => haproxy::look(root, none, &overrides, &haproxy::binary::Versions::default()),
        "caddy" => caddy::look(root, none, &overrides),
        "lighttpd" => recognised::LIGHTTPD.find(root, none, &overrides),
        "varnish" => recognised::VARNISH.find(root, none, &overrides),
        "squid" => recognised::SQUID.find(root, none, &overrides),
        "traefik" => recognised::TRAEFIK.find(root, none, &overrides),
        "envoy" => recognised::ENVOY.find(root, none, &overrides),
        _ => return None,
    })
}

/// Reads what a gateway answers about itself, by the readers of all kinds; gives how many servers they found.
pub fn live(answer: &[u8]) -> usize {
    let text = String::from_utf8_lossy(answer);
    let lists = [
        haproxy::live::read(&text).map(|(servers, _)| servers),
        apache::live::read(&text, 400).map(|(servers, _)| servers),
        recognised::live::envoy(answer),
        recognised::live::traefik(answer),
    ];
    let page = caddy::live::body(answer);
    let caddy = caddy::live::connects(page.as_deref().unwrap_or(&text), &caddy::environment::Environment::default());
    lists.into_iter().flatten().map(|servers| servers.len()).sum::<usize>() + caddy.map_or(0, |addresses| addresses.len())
}
