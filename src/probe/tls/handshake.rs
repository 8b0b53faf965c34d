//! The handshake, with what the gateway would offer: takes any certificate, and keeps what it saw.
//!
//! Trust is judged afterwards, by the gateway's rules (`x509::verify`): a probe that refused a certificate that the gateway takes
//! would see less than the gateway. Never use this for anything but looking.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, InvalidMessage, SignatureScheme, SupportedProtocolVersion,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    super::{
        patience,
        wire::{Tap, outcome_of},
        x509::Cert,
    },
    suites,
};
use crate::model::{Outcome, Phase, ProbeJob, TlsFault, TlsVersion};

/// Certificates of a chain that are kept: a real one has four at most.
const CHAIN: usize = 10;

/// What only this program refuses.
pub(super) const TOO_LARGE: &str = "it sends more than 64 kB of certificates, which this program does not read";

/// What is offered to the peer.
#[derive(Debug, Clone, Default)]
pub(in crate::probe) struct Offer {
    /// The server name; `None`: none is sent.
    pub(super) sni: Option<String>,
    /// Protocols by ALPN. nginx sends none to an upstream but for gRPC.
    pub(super) alpn: Vec<String>,
    /// Versions; empty: all that we speak.
    pub(super) versions: Vec<TlsVersion>,
    /// Suites of all versions; `None`: all that we speak.
    pub(super) suites: Option<Vec<u16>>,
    /// The gateway's client certificate.
    pub(super) client: Option<Arc<CertifiedKey>>,
}

impl Offer {
    /// What the gateway offers, as far as its configuration is known.
    pub(super) fn of(job: &ProbeJob, client: Option<Arc<CertifiedKey>>) -> Self {
        let trust = job.trust.clone().unwrap_or_default();
        let alpn = if job.protocol == crate::model::Protocol::Grpcs { vec!["h2".to_owned()] } else { trust.alpn };
        // A list that we can't read bounds nothing.
        let suites = match (&trust.ciphers, &trust.ciphersuites) {
            (None, None) => None,
            (old, new) => {
                suites::of_list(old.as_deref()).zip(suites::of_tls13(new.as_deref())).map(|(old, new)| [new, old].concat())
            }
        };
        Self { sni: job.sni.clone(), alpn, versions: trust.protocols, suites, client }
    }

    /// Whether rustls can speak any of it.
    pub(super) fn speakable(&self) -> bool {
        let version = self.versions.is_empty() || self.versions.iter().any(|version| *version >= TlsVersion::Tls12);
        version && !self.provider().cipher_suites.is_empty()
    }

    fn provider(&self) -> CryptoProvider {
        let mut provider = ring::default_provider();
        if let Some(offered) = &self.suites {
            provider.cipher_suites.retain(|suite| offered.contains(&u16::from(suite.suite())));
        }
        let spoken = self.versions();
        provider.cipher_suites.retain(|suite| spoken.contains(&suite.version()));
        provider
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let offered = |version| self.versions.is_empty() || self.versions.contains(&version);
        let both = [(TlsVersion::Tls13, &TLS13), (TlsVersion::Tls12, &TLS12)];
        both.into_iter().filter(|(version, _)| offered(*version)).map(|(_, known)| known).collect()
    }
}

/// What a handshake showed, also one that failed.
#[derive(Debug, Default)]
pub(in crate::probe) struct Seen {
    /// Version and suite that were agreed.
    pub(super) version: Option<TlsVersion>,
    pub(super) suite: Option<String>,
    pub(super) alpn: Option<String>,
    /// The certificates that the peer sent, its own first. Empty where that can't be read; others that can't be are left out.
    pub(super) chain: Vec<Cert>,
    /// Its own certificate came, and can't be read.
    pub(super) unreadable: bool,
    /// Certificates that are not kept.
    pub(super) more_certs: u32,
    /// Whether it asked for a client certificate.
    pub(super) asked: bool,
}

impl Seen {
    /// Whether the peer showed no certificate at all.
    pub(super) fn nothing(&self) -> bool {
        self.chain.is_empty() && !self.unreadable
    }

    /// Version, suite and number of certificates, for a person.
    pub(in crate::probe) fn terms(&self) -> String {
        let version = self.version.map_or_else(|| "TLS".to_owned(), |version| version.to_string());
        let suite = self.suite.as_deref().unwrap_or("an unknown cipher");
        format!("{version} {suite}, {} certificates", self.chain.len())
    }
}

/// Takes every certificate and keeps it. Signatures of the handshake are still checked: a broken one fails at every gateway.
#[derive(Debug, Default)]
struct Recorder {
    chain: Mutex<(Vec<CertificateDer<'static>>, u32)>,
    asked: AtomicBool,
    client: Option<Arc<CertifiedKey>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(end_entity).chain(intermediates).take(CHAIN);
        let more = u32::try_from((intermediates.len() + 1).saturating_sub(CHAIN)).unwrap_or(u32::MAX);
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = (all.map(|der| der.clone().into_owned()).collect(), more);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        signed(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        signed(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Not webpki's own check, which first reads the certificate with a strictness that OpenSSL has not. What can't be checked here
/// (an odd certificate, a small key) is let pass: the gateway decides.
fn signed(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    match Cert::read(cert).and_then(|cert| cert.signed(dss.scheme, message, dss.signature())) {
        Some(false) => Err(rustls::Error::InvalidCertificate(rustls::CertificateError::BadSignature)),
        Some(true) | None => Ok(HandshakeSignatureValid::assertion()),
    }
}

impl ResolvesClientCert for Recorder {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.client.clone()
    }

    fn has_certs(&self) -> bool {
        self.client.is_some()
    }
}

/// Settings for one handshake, and the name to ask for. rustls sends no server name for an address, as RFC 6066 section 3 wants.
fn settings(offer: &Offer) -> Result<(ClientConfig, ServerName<'static>, Arc<Recorder>), rustls::Error> {
    let recorder = Arc::new(Recorder { client: offer.client.clone(), ..Recorder::default() });
    let mut config = ClientConfig::builder_with_provider(Arc::new(offer.provider()))
        .with_protocol_versions(&offer.versions())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>)
        .with_client_cert_resolver(Arc::clone(&recorder) as Arc<dyn ResolvesClientCert>);
    config.alpn_protocols = offer.alpn.iter().map(|name| name.clone().into_bytes()).collect();
    config.resumption = rustls::client::Resumption::disabled();
    let name = offer.sni.as_ref().and_then(|name| ServerName::try_from(name.clone()).ok());
    config.enable_sni = name.is_some();
    Ok((config, name.unwrap_or(ServerName::IpAddress(IpAddr::from(Ipv4Addr::LOCALHOST).into())), recorder))
}

/// How long an answer to the end of a line may take, of the time for the handshake: who waited for nothing else has it at once.
const ENDED: Duration = Duration::from_millis(150);

/// Ends the line that a ClientHello may be to a server of plain HTTP, and waits for its answer, which the tap keeps: where nobody answers
/// a handshake, such a server waits for the rest of a request line, and of one that works on a request at a time all workers may, so
/// that no other connection is taken any more. A server of TLS is told nothing new: the handshake is given up as it is.
async fn end_line(tap: &mut Tap) {
    let asked = async {
        tap.write_all(b"\r\n\r\n").await?;
        tap.read(&mut [0; 64]).await
    };
    let _ = tokio::time::timeout(ENDED, asked).await;
}

/// Makes the handshake. What was seen is told also where it fails.
pub(super) async fn handshake(tap: Tap, offer: &Offer, within: Duration) -> (Result<TlsStream<Tap>, Outcome>, Seen) {
    let (config, name, recorder) = match settings(offer) {
        Ok(settings) => settings,
        Err(error) => return (Err(Outcome::Tls(fault(&error))), Seen::default()),
    };
    let mut connect = TlsConnector::from(Arc::new(config)).connect(name, tap);
    let long = within >= patience::LEAST;
    let made = tokio::select! {
        made = &mut connect => Some(made),
        () = tokio::time::sleep(if long { within.saturating_sub(ENDED * 2) } else { within }) => None,
        () = patience::cut() => None,
    };
    let stream = match made {
        None => {
            if let Some(tap) = connect.get_mut().filter(|_| long) {
                end_line(tap).await;
            }
            Err(Outcome::Timeout(Phase::Tls))
        }
        Some(Err(error)) => Err(outcome_of(&error, Phase::Tls)),
        Some(Ok(stream)) => Ok(stream),
    };
    let (chain, more_certs) = std::mem::take(&mut *recorder.chain.lock().unwrap_or_else(PoisonError::into_inner));
    let unreadable = chain.first().is_some_and(|der| Cert::read(der).is_none());
    let mut seen = Seen {
        unreadable,
        chain: if unreadable { Vec::new() } else { chain.iter().filter_map(|der| Cert::read(der)).collect() },
        more_certs,
        asked: recorder.asked.load(Ordering::Relaxed),
        ..Seen::default()
    };
    if let Ok(stream) = &stream {
        let session = stream.get_ref().1;
        seen.version = session.protocol_version().and_then(|version| TlsVersion::of_wire(u16::from(version)));
        seen.suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).map(str::to_owned);
        seen.alpn = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    }
    (stream, seen)
}

/// The bytes of a ClientHello, for asking whether anything answers to it.
pub(in crate::probe) fn client_hello(sni: Option<&str>) -> Option<Vec<u8>> {
    let (config, name, _) = settings(&Offer { sni: sni.map(str::to_owned), ..Offer::default() }).ok()?;
    let mut bytes = Vec::new();
    let written: io::Result<usize> = ClientConnection::new(Arc::new(config), name).ok()?.write_tls(&mut bytes);
    written.ok()?;
    Some(bytes)
}

/// What an error of rustls means.
pub(in crate::probe) fn fault(error: &rustls::Error) -> TlsFault {
    match error {
        rustls::Error::AlertReceived(description) => TlsFault::Alert(alert(u8::from(*description))),
        // OpenSSL takes 100 kB of certificates (SSL_CTX_set_max_cert_list(3)), rustls 64 kB.
        rustls::Error::InvalidMessage(InvalidMessage::CertificatePayloadTooLarge | InvalidMessage::HandshakePayloadTooLarge) => {
            TlsFault::Other(TOO_LARGE.to_owned())
        }
        other => TlsFault::Other(other.to_string()),
    }
}

/// The name of an alert's number.
pub(super) fn alert(number: u8) -> String {
    match rustls::AlertDescription::from(number) {
        rustls::AlertDescription::UnrecognisedName => "unrecognized_name".to_owned(),
        rustls::AlertDescription::Unknown(number) => format!("alert {number}"),
        known => alert_name(&format!("{known:?}")),
    }
}

/// `HandshakeFailure` as RFC 8446 section 6 writes it: `handshake_failure`.
fn alert_name(debug: &str) -> String {
    let mut name = String::with_capacity(debug.len() + 4);
    let mut before = '_';
    for c in debug.chars() {
        if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
        before = c;
    }
    name
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription as A;

    use super::*;

    #[test]
    fn alerts_have_the_names_of_the_rfc() {
        let named = |alert| fault(&rustls::Error::AlertReceived(alert));
        assert_eq!(named(A::HandshakeFailure), TlsFault::Alert("handshake_failure".to_owned()));
        assert_eq!(named(A::UnrecognisedName), TlsFault::Alert("unrecognized_name".to_owned()));
        // rustls writes this one as `UnknownCA`, the RFC as unknown_ca.
        assert_eq!(named(A::UnknownCA), TlsFault::Alert("unknown_ca".to_owned()));
    }

    #[test]
    fn a_client_hello_is_one_handshake_record() {
        let bytes = client_hello(Some("app.example.com")).expect("a hello");
        assert_eq!(bytes[..2], [0x16, 0x03]);
        assert!(bytes.windows(15).any(|part| part == b"app.example.com"));
        let without = client_hello(None).expect("a hello");
        assert!(!without.windows(9).any(|part| part == b"127.0.0.1"), "an address is no server name");
    }
}
