//! How a gateway speaks TLS to its upstreams: what it offers, and what of their answer it accepts.
//!
//! Neutral words for what each kind of gateway spells differently; `gateway/` fills them, `probe/` acts by them. What a
//! configuration does not set is filled in with that gateway's own default, because defaults differ: nginx does not verify,
//! Caddy does, Apache verifies name and dates even where it does not verify the chain.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

/// A version of TLS, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TlsVersion {
    /// SSL 3.0 (RFC 6101).
    #[serde(rename = "SSLv3")]
    Ssl3,
    /// TLS 1.0 (RFC 2246).
    #[serde(rename = "TLSv1.0")]
    Tls10,
    /// TLS 1.1 (RFC 4346).
    #[serde(rename = "TLSv1.1")]
    Tls11,
    /// TLS 1.2 (RFC 5246).
    #[serde(rename = "TLSv1.2")]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "TLSv1.3")]
    Tls13,
}

impl TlsVersion {
    /// All, oldest first.
    pub const ALL: [Self; 5] = [Self::Ssl3, Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13];

    /// All between these two, both included.
    pub fn between(oldest: Self, newest: Self) -> Vec<Self> {
        Self::ALL.into_iter().filter(|version| (oldest..=newest).contains(version)).collect()
    }

    /// Its number on the wire (RFC 8446 section 4.2.1).
    pub fn wire(self) -> u16 {
        match self {
            Self::Ssl3 => 0x0300,
            Self::Tls10 => 0x0301,
            Self::Tls11 => 0x0302,
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }

    /// The version of this number.
    pub fn of_wire(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.wire() == number)
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ssl3 => "SSL 3.0",
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

impl FromStr for TlsVersion {
    type Err = ();

    /// As configurations write it: `TLSv1` and `TLSv1.0` (nginx, Apache, HAProxy), `tls1.2` (Caddy), in any case.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "sslv3" | "ssl3" => Ok(Self::Ssl3),
            "tlsv1" | "tlsv1.0" | "tlsv10" | "tls1.0" | "tls1" => Ok(Self::Tls10),
            "tlsv1.1" | "tlsv11" | "tls1.1" => Ok(Self::Tls11),
            "tlsv1.2" | "tlsv12" | "tls1.2" => Ok(Self::Tls12),
            "tlsv1.3" | "tlsv13" | "tls1.3" => Ok(Self::Tls13),
            _ => Err(()),
        }
    }
}

/// By whose rules a certificate is judged: they differ in what they accept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verifier {
    /// OpenSSL, with names by X509_check_host(3): the subject's CN counts where there is no DNS name among the alternative
    /// names; an address is compared as if it were a name. nginx, HAProxy, lighttpd, Squid.
    #[default]
    Openssl,
    /// OpenSSL, with mod_ssl's own name check: the CN counts beside the alternative names (SSL_X509_match_name).
    Apache,
    /// Go's crypto/x509: the CN never counts, an address must be an IP address among the alternative names, and any
    /// certificate in the store is an anchor. Caddy, Traefik.
    Go,
}

/// How a gateway speaks TLS to an upstream.
///
/// `Route::trust` is `Some` exactly where the gateway speaks TLS there, whatever the protocol above it (also FastCGI, uwsgi or a
/// plain stream over TLS). The server name that it sends is `Route::sni`. Paths are absolute, as the gateway sees them.
///
/// | field | nginx | HAProxy `server` | Apache | Caddy `transport http` |
/// |---|---|---|---|---|
/// | `verify` | `proxy_ssl_verify on` | `ssl verify required` (or the global `ssl-server-verify`) | `SSLProxyVerify require` | unless `tls_insecure_skip_verify` |
/// | `dates` | as `verify` | as `verify` | `SSLProxyCheckPeerExpire`, on by default | as `verify` |
/// | `name` | `proxy_ssl_name`, else the host of proxy_pass (the name of the group!) | `verifyhost`, else `sni` | the host of the worker, unless `SSLProxyCheckPeerName off` | `tls_server_name`, else the host of the upstream |
/// | `ca_file`, `ca_dir` | `proxy_ssl_trusted_certificate` | `ca-file` (a file or folder) | `SSLProxyCACertificateFile`, `..Path` | `tls_trust_pool file` |
/// | `system_roots` | never | `ca-file @system-ca` | never | where no pool is named |
/// | `crl_file`, `crl_dir` | `proxy_ssl_crl` | `crl-file` | `SSLProxyCARevocationFile`, `..Path`, only with `SSLProxyCARevocationCheck` | never |
/// | `depth` | `proxy_ssl_verify_depth`, 1 | none | `SSLProxyVerifyDepth` less 1 (it counts the anchor) | none |
/// | `protocols` | `proxy_ssl_protocols` | `ssl-min-ver` .. `ssl-max-ver` | `SSLProxyProtocol` | `tls_versions`, 1.2 .. 1.3 |
/// | `client_cert`, `client_key` | `proxy_ssl_certificate`, `.._key` | `crt` (both in one file) | `SSLProxyMachineCertificateFile` (both) | `tls_client_auth` |
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct TrustSettings {
    /// Whether the chain must lead to an anchor, each certificate in it being valid now.
    pub verify: bool,
    /// Whether the dates of the upstream's own certificate are checked. Usually as `verify`.
    pub dates: bool,
    /// The name that the certificate must bear; `None`: none is asked for. Without port and brackets. Only set where it is
    /// checked: not where nothing is verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The name by which the configuration knows the upstream, whether it is sent or asked for, or not: what a server that wants
    /// a name may want to hear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_as: Option<String>,
    /// Whether both, and the server name that is sent, are the name that the client asks for, which only a request tells.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub of_request: bool,
    /// By whose rules.
    pub verifier: Verifier,
    /// File with the anchors, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Folder with anchors, PEM, one a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_dir: Option<PathBuf>,
    /// Whether the host's own anchors count (besides those above).
    pub system_roots: bool,
    /// File with revocation lists, PEM, where the gateway looks into them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl_file: Option<PathBuf>,
    /// Folder with revocation lists, PEM, one a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl_dir: Option<PathBuf>,
    /// How many certificates of the path are looked for in them, from the upstream's own on. `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl_depth: Option<u32>,
    /// Intermediate certificates that a chain may have at most, as OpenSSL counts since 1.1.0: neither the upstream's own nor
    /// the anchor. `None`: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
    /// Versions that it offers. Empty: not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<TlsVersion>,
    /// Cipher list up to TLS 1.2, in OpenSSL's words (ciphers(1)). `None`: the library's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ciphers: Option<String>,
    /// Cipher suites of TLS 1.3, separated by colons. `None`: the library's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ciphersuites: Option<String>,
    /// Protocols offered by ALPN, in order. Empty: the extension is not sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// File with the client certificate, PEM, with its chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<PathBuf>,
    /// File with its key, PEM; `None`: it is in the same file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
    /// What of this the configuration decides at run time, or what we could not follow; then nothing is concluded from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unclear: Option<String>,
}

impl TrustSettings {
    /// The same for a request of this name, without its port; and the server name that is sent then, where the request tells it.
    pub fn asked_for(self, host: &str) -> (Self, Option<String>) {
        if !self.of_request {
            return (self, None);
        }
        let name = Some(host.to_owned()).filter(|host| host.parse::<std::net::IpAddr>().is_err());
        let checked = Some(host.to_owned()).filter(|_| self.verify || self.verifier == Verifier::Apache);
        (Self { name: checked, known_as: name.clone(), of_request: false, ..self }, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_configurations_write_them() {
        for (text, version) in [("TLSv1", TlsVersion::Tls10), ("TLSv1.2", TlsVersion::Tls12), ("tls1.3", TlsVersion::Tls13)] {
            assert_eq!(text.parse(), Ok(version));
        }
        assert_eq!("SSLv2".parse::<TlsVersion>(), Err(()));
        assert_eq!(TlsVersion::between(TlsVersion::Tls12, TlsVersion::Tls13), [TlsVersion::Tls12, TlsVersion::Tls13]);
        assert!(TlsVersion::ALL.iter().all(|version| TlsVersion::of_wire(version.wire()) == Some(*version)));
    }
}
