//! What a TLS peer showed: its certificates, what was agreed, and what of it the gateway would not accept.

use serde::{Deserialize, Serialize};

use super::super::{TlsVersion, rfc3339};

/// One certificate. Foreign text: sanitise before showing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertView {
    /// `C=DE, O=Shop, CN=app.test`.
    pub subject: String,
    /// In the same form.
    pub issuer: String,
    /// Alternative names: DNS names and addresses.
    pub names: Vec<String>,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Valid from, in seconds since the Unix epoch.
    pub not_before: i64,
    /// Valid until, in seconds since the Unix epoch.
    pub not_after: i64,
    /// `RSA 2048`, `ECDSA P-256`.
    pub key: String,
    /// `SHA-256 with RSA`.
    pub signature: String,
    /// Whether it is a CA's.
    pub ca: bool,
    /// Whether issuer and subject are one.
    pub self_issued: bool,
}

/// Why a certificate does not verify: the reasons of `upstream-tls-untrusted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrustFault {
    /// It leads to no anchor that the gateway knows.
    UnknownCa,
    /// A part of its chain is missing, too long, or may not sign.
    Chain,
    /// It, or one of its chain, has expired.
    Expired,
    /// It, or one of its chain, is not valid yet by this host's clock.
    NotYetValid,
    /// It does not bear the name that the gateway asks for.
    WrongName,
    /// It is not meant for servers.
    Purpose,
    /// It, or one of its chain, was revoked, as the gateway's own list says.
    Revoked,
    /// The gateway has no list of revoked certificates of its issuer, or one that is out of date.
    RevocationList,
}

impl TrustFault {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::UnknownCa,
        Self::Chain,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongName,
        Self::Purpose,
        Self::Revoked,
        Self::RevocationList,
    ];

    /// The word: the last part of the fact's name, and the reason of the cause.
    pub fn word(self) -> &'static str {
        match self {
            Self::UnknownCa => "unknown-ca",
            Self::Chain => "chain",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::WrongName => "wrong-name",
            Self::Purpose => "purpose",
            Self::Revoked => "revoked",
            Self::RevocationList => "revocation-list",
        }
    }
}

/// Something that the gateway does not accept, with a sentence about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TrustFinding {
    /// What kind.
    pub fault: TrustFault,
    /// One sentence. Foreign text: sanitise before showing.
    pub text: String,
}

/// Whether the gateway would accept the certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrustVerdict {
    /// It does not look: every certificate is accepted.
    NotVerified,
    /// It would.
    Trusted,
    /// It would not, for these reasons, the first being what it would say first.
    Refused(Vec<TrustFinding>),
    /// It can't be told from here.
    Unknown(String),
    /// No certificate was seen.
    #[default]
    NotSeen,
}

/// Why the handshake that the gateway would make can't succeed: the reasons of `upstream-tls-failure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMisfit {
    /// They have no version in common.
    Version,
    /// They have a version, and no cipher suite in common.
    Cipher,
    /// The peer wants a server name, and the gateway sends none, or another one than it knows.
    Sni,
    /// The peer wants a client certificate, and the gateway has none.
    ClientCertRequired,
    /// The peer does not accept the gateway's client certificate.
    ClientCertRefused,
}

impl TlsMisfit {
    /// All.
    pub const ALL: [Self; 5] = [Self::Version, Self::Cipher, Self::Sni, Self::ClientCertRequired, Self::ClientCertRefused];

    /// The word: the last part of the fact's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Cipher => "cipher",
            Self::Sni => "sni-needed",
            Self::ClientCertRequired => "client-cert-required",
            Self::ClientCertRefused => "client-cert-refused",
        }
    }
}

/// What a TLS peer showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsView {
    /// The version agreed.
    pub version: Option<TlsVersion>,
    /// The cipher suite agreed, as IANA names it.
    pub suite: Option<String>,
    /// The protocol agreed by ALPN.
    pub alpn: Option<String>,
    /// The server name that was sent; `None`: none.
    pub sni: Option<String>,
    /// Certificates as they were sent, its own first.
    pub chain: Vec<CertView>,
    /// Certificates that were sent beyond those that are kept.
    pub more_certs: u32,
    /// Whether the gateway would accept the chain.
    pub verdict: TrustVerdict,
    /// By what that was judged: files, names, rules.
    pub judged_by: String,
    /// Whether the peer asked for a client certificate.
    pub client_cert_asked: bool,
    /// Subject of the client certificate that was sent: the gateway's own.
    pub client_cert: Option<String>,
    /// What was tried of another server name, and what came of it.
    pub other_sni: Option<String>,
    /// Versions that the peer speaks, each with the suite it chose; only asked where the handshake failed.
    pub offers: Vec<(TlsVersion, String)>,
    /// Why the gateway's handshake fails, with a sentence about it.
    pub misfit: Option<(TlsMisfit, String)>,
    /// The gateway's handshake would succeed where ours does not: this program's own limit.
    pub beyond_us: Option<String>,
}

impl TlsView {
    /// What the gateway does not accept.
    pub fn findings(&self) -> &[TrustFinding] {
        match &self.verdict {
            TrustVerdict::Refused(findings) => findings,
            TrustVerdict::NotVerified | TrustVerdict::Trusted | TrustVerdict::Unknown(_) | TrustVerdict::NotSeen => &[],
        }
    }

    /// For a person, line by line. Foreign text: sanitise before showing.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let (Some(version), Some(suite)) = (self.version, &self.suite) {
            let alpn = self.alpn.as_ref().map_or_else(String::new, |alpn| format!(", ALPN {alpn}"));
            lines.push(format!("agreed: {version}, {suite}{alpn}"));
        }
        lines.push(self.sni.as_ref().map_or_else(|| "server name sent: none".to_owned(), |sni| format!("server name sent: {sni}")));
        lines.extend(self.misfit.iter().map(|(_, text)| format!("fails: {text}")));
        lines.extend(self.beyond_us.iter().map(|text| format!("not tried to the end: {text}")));
        if !self.offers.is_empty() {
            let all: Vec<_> = self.offers.iter().map(|(version, suite)| format!("{version} ({suite})")).collect();
            lines.push(format!("the peer speaks: {}", all.join(", ")));
        }
        lines.push(match (&self.verdict, self.judged_by.as_str()) {
            (TrustVerdict::NotVerified, _) => "the gateway accepts any certificate".to_owned(),
            (TrustVerdict::Trusted, by) => format!("the gateway trusts it, by {by}"),
            (TrustVerdict::Refused(_), by) => format!("the gateway does not trust it, by {by}"),
            (TrustVerdict::Unknown(why), _) => format!("whether the gateway trusts it is not known: {why}"),
            (TrustVerdict::NotSeen, _) => "no certificate was seen".to_owned(),
        });
        lines.extend(self.findings().iter().map(|finding| format!("{}: {}", finding.fault.word(), finding.text)));
        lines.extend(self.other_sni.clone());
        match (self.client_cert_asked, &self.client_cert) {
            (true, Some(subject)) => lines.push(format!("client certificate: asked for, sent {subject}")),
            (true, None) => lines.push("client certificate: asked for, the gateway has none".to_owned()),
            (false, Some(_)) => lines.push("client certificate: not asked for, though the gateway has one".to_owned()),
            (false, None) => {}
        }
        for (index, cert) in self.chain.iter().enumerate() {
            lines.push(format!("certificate {index}: {}", cert.subject));
            if !cert.names.is_empty() {
                lines.push(format!("  names: {}", some(&cert.names)));
            }
            lines.push(format!("  issuer: {}", if cert.self_issued { "itself" } else { &cert.issuer }));
            lines.push(format!("  valid: {} to {}", rfc3339(cert.not_before), rfc3339(cert.not_after)));
            lines.push(format!("  {}, {}, serial {}", cert.key, cert.signature, cert.serial));
        }
        if self.more_certs > 0 {
            lines.push(format!("and {} certificates more", self.more_certs));
        }
        lines
    }
}

/// A few of many names.
fn some(names: &[String]) -> String {
    /// Names in one line.
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}
