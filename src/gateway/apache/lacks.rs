//! Targets that load and never work: a scheme without its module (AH01144), TLS without `SSLProxyEngine` (AH01961).

use super::{modules::Modules, scope::Scope, target::Target};
use crate::model::Protocol;

/// What a target needs and does not have, and what would help.
pub fn lacks(modules: &Modules, scope: &Scope<'_>, target: &Target, protocol: Protocol) -> Option<(String, String)> {
    let module = |name: &str| modules.lacks(&format!("{name}_module"));
    let missing = |name: &str| {
        let cure = format!("load mod_{name} (Debian: a2enmod {name}) and restart or reload");
        (format!("mod_{name} is not loaded, and no other module speaks it"), cure)
    };
    if target.balancer.is_some() && module("proxy_balancer") {
        return Some(missing("proxy_balancer"));
    }
    let needed = match protocol {
        // Upgrades are of mod_proxy_wstunnel, or since 2.4.47 of mod_proxy_http.
        Protocol::Http | Protocol::Https if target.websocket => {
            if module("proxy_wstunnel") && module("proxy_http") {
                Some("proxy_wstunnel")
            } else {
                None
            }
        }
        Protocol::Http | Protocol::Https => Some("proxy_http"),
        Protocol::Fastcgi => Some("proxy_fcgi"),
        Protocol::Uwsgi => Some("proxy_uwsgi"),
        Protocol::Scgi => Some("proxy_scgi"),
        Protocol::Ajp => Some("proxy_ajp"),
        Protocol::Grpc | Protocol::Grpcs => Some("proxy_http2"),
        Protocol::Stream => None,
    };
    if let Some(name) = needed.filter(|name| module(name)) {
        return Some(missing(name));
    }
    if !protocol.tls() {
        return None;
    }
    if module("ssl") {
        return Some(missing("ssl"));
    }
    (!scope.on("sslproxyengine")).then(|| {
        (
            "SSLProxyEngine is not on here, so no TLS handshake is ever begun".to_owned(),
            "SSLProxyEngine on in this <VirtualHost>".to_owned(),
        )
    })
}
