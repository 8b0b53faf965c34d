//! The TLS handshake of a probe: accepts any certificate, but keeps what it saw.
//!
//! Trust is judged elsewhere, from [`Handshake::chain`]: a probe that refused a certificate that the gateway takes would see
//! less than the gateway. Never use this for anything but looking.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::wire::{Tap, outcome_of};
use crate::model::{Outcome, Phase, TlsFault};

/// Certificates of a chain that are kept: a real one has four at most.
const CHAIN: usize = 10;

/// What a handshake showed.
#[derive(Debug)]
pub(super) struct Handshake {
    /// Version and cipher suite, for a person.
    pub(super) terms: String,
    /// The certificates that the peer sent, its own first, as DER.
    pub(super) chain: Vec<CertificateDer<'static>>,
}

/// Takes every certificate and keeps it. Signatures of the handshake are still checked: a broken one fails at every gateway.
#[derive(Debug)]
struct Recorder {
    provider: Arc<CryptoProvider>,
    chain: Mutex<Vec<CertificateDer<'static>>>,
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
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = all.map(|der| der.clone().into_owned()).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Settings for one handshake, and the name to ask for. rustls sends no server name for an address, as RFC 6066 section 3 wants.
fn settings(sni: Option<&str>, h2: bool) -> Result<(ClientConfig, ServerName<'static>, Arc<Recorder>), rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let recorder = Arc::new(Recorder { provider: Arc::clone(&provider), chain: Mutex::default() });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    // nginx sends no ALPN to an upstream but for gRPC.
    config.alpn_protocols = if h2 { vec![b"h2".to_vec()] } else { Vec::new() };
    let name = sni.and_then(|name| ServerName::try_from(name.to_owned()).ok());
    config.enable_sni = name.is_some();
    Ok((config, name.unwrap_or(ServerName::IpAddress(IpAddr::from(Ipv4Addr::LOCALHOST).into())), recorder))
}

/// Makes the handshake.
pub(super) async fn handshake(
    tap: Tap,
    sni: Option<&str>,
    h2: bool,
    within: Duration,
) -> Result<(TlsStream<Tap>, Handshake), Outcome> {
    let (config, name, recorder) = settings(sni, h2).map_err(|error| Outcome::Tls(fault(&error)))?;
    let connect = TlsConnector::from(Arc::new(config)).connect(name, tap);
    let stream = match tokio::time::timeout(within, connect).await {
        Err(_) => return Err(Outcome::Timeout(Phase::Tls)),
        Ok(Err(error)) => return Err(outcome_of(&error, Phase::Tls)),
        Ok(Ok(stream)) => stream,
    };
    let session = stream.get_ref().1;
    let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS of an unknown version");
    let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("an unknown cipher");
    let terms = format!("{version} {suite}");
    let chain = std::mem::take(&mut *recorder.chain.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((stream, Handshake { terms, chain }))
}

/// The bytes of a ClientHello, for asking whether anything answers to it.
pub(super) fn client_hello(sni: Option<&str>) -> Option<Vec<u8>> {
    let (config, name, _) = settings(sni, false).ok()?;
    let mut bytes = Vec::new();
    let written: io::Result<usize> = ClientConnection::new(Arc::new(config), name).ok()?.write_tls(&mut bytes);
    written.ok()?;
    Some(bytes)
}

/// What an error of rustls means.
pub(super) fn fault(error: &rustls::Error) -> TlsFault {
    match error {
        rustls::Error::AlertReceived(rustls::AlertDescription::UnrecognisedName) => TlsFault::Alert("unrecognized_name".to_owned()),
        rustls::Error::AlertReceived(alert) => TlsFault::Alert(alert_name(&format!("{alert:?}"))),
        other => TlsFault::Other(other.to_string()),
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
