//! How Apache speaks TLS to an upstream: `SSLProxy*` (mod_ssl, ssl_engine_io.c and ssl_engine_init.c).

use std::path::{Path, PathBuf};

use super::scope::Scope;
use crate::model::{TlsVersion, TrustSettings, Verifier};

/// `SSLProxyVerifyDepth` where none is set.
const VERIFY_DEPTH: u32 = 1;

/// The settings towards an upstream of this name. `name`: the host that is asked for, as written; `None`: the client's own.
pub fn trust(scope: &Scope<'_>, base: &Path, name: Option<&str>) -> TrustSettings {
    let file = |directive: &str| -> Option<PathBuf> {
        let value = scope.value(directive).filter(|value| !value.is_empty())?;
        Some(base.join(value))
    };
    let verify =
        scope.value("sslproxyverify").is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "require" | "optional"));
    if !scope.on("sslproxyengine") {
        // No handshake is ever begun: AH01961, and 500 for the client.
        return TrustSettings {
            verifier: Verifier::Apache,
            unclear: Some("SSLProxyEngine is off".to_owned()),
            ..TrustSettings::default()
        };
    }
    let off = |directive: &str| scope.get(directive).is_some_and(|one| !one.on());
    // Dates and name are checked whether or not the chain is, unless that is switched off; `CheckPeerCN off` is of old, and
    // counts where `CheckPeerName` is not set.
    let named = !off("sslproxycheckpeername") && (scope.get("sslproxycheckpeername").is_some() || !off("sslproxycheckpeercn"));
    let mut unclear = Vec::new();
    if scope.get("sslproxymachinecertificatepath").is_some() {
        unclear.push("SSLProxyMachineCertificatePath");
    }
    let ciphers = scope.get("sslproxyciphersuite").map(super::tree::Directive::args);
    // `SSLProxyCipherSuite TLSv1.3 SUITES` is of TLS 1.3 only.
    let (ciphers, ciphersuites) = match ciphers.as_deref() {
        Some([protocol, suites]) if protocol.eq_ignore_ascii_case("tlsv1.3") => (None, Some(suites.clone())),
        Some([.., list]) => (Some(list.clone()), None),
        Some([]) | None => (None, None),
    };
    // None is looked into unless it is asked for (mod_ssl: SSLProxyCARevocationCheck, `none` by default).
    let revocation =
        scope.value("sslproxycarevocationcheck").map(|check| check.to_ascii_lowercase()).filter(|check| check != "none");
    if scope.get("sslproxycarevocationcheck").is_some_and(|check| check.args().iter().any(|arg| arg == "no_crl_for_cert_ok")) {
        unclear.push("SSLProxyCARevocationCheck with no_crl_for_cert_ok");
    }
    let depth = scope.value("sslproxyverifydepth").map_or(Some(VERIFY_DEPTH), |depth| depth.parse().ok());
    TrustSettings {
        verify,
        dates: !off("sslproxycheckpeerexpire"),
        name: name.filter(|_| named).map(str::to_owned),
        known_as: name.map(str::to_owned),
        of_request: named && name.is_none(),
        verifier: Verifier::Apache,
        ca_file: file("sslproxycacertificatefile").filter(|_| verify),
        ca_dir: file("sslproxycacertificatepath").filter(|_| verify),
        crl_file: file("sslproxycarevocationfile").filter(|_| verify && revocation.is_some()),
        crl_dir: file("sslproxycarevocationpath").filter(|_| verify && revocation.is_some()),
        crl_depth: (revocation.as_deref() == Some("leaf")).then_some(1),
        // It counts the anchor; OpenSSL since 1.1.0 does not.
        depth: depth.map(|depth| depth.saturating_sub(1)).filter(|_| verify && scope.get("sslproxyverifydepth").is_some()),
        protocols: protocols(scope.get("sslproxyprotocol").map(super::tree::Directive::args).as_deref()),
        ciphers,
        ciphersuites,
        client_cert: file("sslproxymachinecertificatefile"),
        unclear: (!unclear.is_empty()).then(|| unclear.join(", ")),
        ..TrustSettings::default()
    }
}

/// `all -SSLv3 +TLSv1.2`: each word adds, takes away, or begins anew (`ssl_cmd_protocol_parse`).
fn protocols(words: Option<&[String]>) -> Vec<TlsVersion> {
    let all = TlsVersion::between(TlsVersion::Tls10, TlsVersion::Tls13);
    let Some(words) = words else { return all };
    let mut found: Vec<TlsVersion> = Vec::new();
    for word in words {
        let (sign, name) = match word.split_at_checked(1) {
            Some((sign @ ("+" | "-"), name)) => (Some(sign), name),
            Some(_) | None => (None, word.as_str()),
        };
        let meant = if name.eq_ignore_ascii_case("all") { all.clone() } else { name.parse().into_iter().collect() };
        match sign {
            Some("-") => found.retain(|known| !meant.contains(known)),
            Some(_) => found.extend(meant.into_iter().filter(|one| !found.contains(one)).collect::<Vec<_>>()),
            None => found = meant,
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TlsVersion::{Tls12, Tls13};

    #[test]
    fn protocols_are_added_and_taken_away() {
        let of = |text: &str| protocols(Some(&text.split(' ').map(str::to_owned).collect::<Vec<_>>()));
        assert_eq!(of("TLSv1.2"), [Tls12]);
        assert_eq!(of("all -SSLv3 -TLSv1 -TLSv1.1"), [Tls12, Tls13]);
        assert_eq!(of("-all +TLSv1.3 +TLSv1.2"), [Tls12, Tls13]);
        assert_eq!(protocols(None).len(), 4);
    }
}
