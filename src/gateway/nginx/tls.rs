//! How nginx speaks TLS to an upstream: `proxy_ssl_*` and the like of its other modules.

use std::path::PathBuf;

use compact_str::CompactString;

use super::{
    scope::Scope,
    target::{Authority, Module, Target},
    vars::Variables,
    world::World,
};
use crate::model::{TlsVersion, TrustSettings, Verifier};

/// `proxy_ssl_verify_depth` where none is set, in all modules.
const VERIFY_DEPTH: u32 = 1;
/// From this version on TLS 1.3 is offered unless told otherwise (CHANGES of 1.23.4) ...
const OFFERS_TLS13: [u32; 3] = [1, 23, 4];
/// ... and from this one on TLS 1.0 and 1.1 are not (CHANGES of 1.27.3).
const DROPS_TLS11: [u32; 3] = [1, 27, 3];

/// One `*_pass` with what is in force there.
pub struct Tls<'s, 'a> {
    pub scope: &'s Scope<'a>,
    pub module: Module,
    pub target: Option<&'s Target>,
    pub variables: &'s Variables<'s, 'a>,
    /// Whether its scheme says TLS; the stream module has `proxy_ssl on` instead.
    pub speaks: bool,
}

impl Tls<'_, '_> {
    fn key(&self, name: &str) -> CompactString {
        let mut key = self.module.key("ssl");
        key.push_str(name);
        key
    }

    fn spoken(&self) -> bool {
        self.speaks || self.scope.on(&self.key(""))
    }

    /// The server name that is sent; nginx sends none unless told to, and never an IP address (ngx_http_upstream_ssl_name).
    pub fn sni(&self) -> Option<String> {
        if !self.spoken() || !self.scope.on(&self.key("_server_name")) {
            return None;
        }
        self.name().filter(|name| name.parse::<std::net::IpAddr>().is_err() && !name.is_empty())
    }

    /// The name that the certificate must bear, without its port (ngx_http_upstream_ssl_name): `proxy_ssl_name`, else the host
    /// of the `*_pass`, which is the name of the group where it names one.
    fn name(&self) -> Option<String> {
        let name = match self.scope.value(&self.key("_name")) {
            None | Some("$proxy_host") => self.target.map(|target| match &target.authority {
                Authority::Host(host, _) => host.clone(),
                Authority::Unix(_) => "localhost".to_owned(),
            }),
            Some(value) => self.variables.expand(value).map(|name| match name.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') => host.to_owned(),
                Some(_) | None => name,
            }),
        }?;
        Some(name.trim_start_matches('[').trim_end_matches(']').to_owned())
    }

    /// The settings, where TLS is spoken.
    pub fn trust(&self, world: &World<'_>) -> Option<TrustSettings> {
        if !self.spoken() {
            return None;
        }
        let mut unclear = Vec::new();
        let verify = self.scope.on(&self.key("_verify"));
        let name = self.name().filter(|_| verify);
        if verify && name.is_none() {
            unclear.push(format!("the name that {} asks for", self.key("_verify")));
        }
        let mut file = |name: &str| -> Option<PathBuf> {
            let key = self.key(name);
            let value = self.scope.value(&key).filter(|value| !value.is_empty())?;
            // A key in an engine or store is no file.
            if let Some(value) =
                self.variables.expand(value).filter(|value| !value.starts_with("engine:") && !value.starts_with("data:"))
            {
                Some(world.config_dir.join(value))
            } else {
                unclear.push(key.into());
                None
            }
        };
        let (ca_file, crl_file) = (file("_trusted_certificate"), file("_crl"));
        let (client_cert, client_key) = (file("_certificate"), file("_certificate_key"));
        if self.scope.get(&self.key("_conf_command")).is_some() {
            unclear.push(self.key("_conf_command").into());
        }
        let depth = self.scope.value(&self.key("_verify_depth")).map_or(Some(VERIFY_DEPTH), |depth| depth.parse().ok());
        Some(TrustSettings {
            verify,
            dates: verify,
            name,
            known_as: self.name(),
            verifier: Verifier::Openssl,
            ca_file: ca_file.filter(|_| verify),
            crl_file: crl_file.filter(|_| verify),
            depth: depth.filter(|_| verify),
            protocols: self.protocols(world),
            ciphers: self.scope.value(&self.key("_ciphers")).map(str::to_owned),
            client_cert,
            client_key,
            unclear: (!unclear.is_empty()).then(|| unclear.join(", ")),
            ..TrustSettings::default()
        })
    }

    /// The versions that are offered: those that are set, else the default of this nginx.
    fn protocols(&self, world: &World<'_>) -> Vec<TlsVersion> {
        let mut all: Vec<TlsVersion> = match self.scope.get(&self.key("_protocols")) {
            Some(set) => set.args.iter().filter_map(|word| word.parse().ok()).collect(),
            None => world.version.and_then(default_versions).unwrap_or_default(),
        };
        let lowered = self.scope.value(&self.key("_ciphers")).is_some_and(|list| list.contains("@SECLEVEL=0"));
        // What is asked for and what the library does differ; where nothing newer is left, what is written tells more.
        if world.no_old_tls && !lowered && all.iter().any(|version| *version >= TlsVersion::Tls12) {
            all.retain(|version| *version >= TlsVersion::Tls12);
        }
        all
    }
}

/// What this release offers where nothing is set. Of OpenResty's `1.21.4.1` the first three are nginx's own.
fn default_versions(release: &str) -> Option<Vec<TlsVersion>> {
    let mut parts = release.split('.').map(|part| part.parse::<u32>().ok());
    let release = [parts.next()??, parts.next()??, parts.next()??];
    let oldest = if release >= DROPS_TLS11 { TlsVersion::Tls12 } else { TlsVersion::Tls10 };
    let newest = if release >= OFFERS_TLS13 { TlsVersion::Tls13 } else { TlsVersion::Tls12 };
    Some(TlsVersion::between(oldest, newest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TlsVersion::{Tls10, Tls12, Tls13};

    #[test]
    fn the_default_versions_are_those_of_the_release() {
        let bounds = |version| default_versions(version).map(|all| (all[0], all[all.len() - 1]));
        assert_eq!(bounds("1.22.1"), Some((Tls10, Tls12)), "Debian 12: no TLS 1.3 to an upstream unless it is asked for");
        assert_eq!(bounds("1.24.0"), Some((Tls10, Tls13)));
        assert_eq!(bounds("1.27.3"), Some((Tls12, Tls13)));
        assert_eq!(bounds("1.21.4.1"), Some((Tls10, Tls12)), "OpenResty");
        assert_eq!(bounds("odd"), None);
    }
}
