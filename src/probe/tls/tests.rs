//! Handshakes with real servers on loopback, and with peers that are none.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::{
    make,
    tests::lab::{job, read_some, serve},
};
use crate::{
    model::{
        Address, Outcome, Phase, ProbeReport, Protocol, TlsFault, TlsMisfit, TlsVersion, TlsView, TrustFault, TrustSettings,
        TrustVerdict, View,
    },
    sys::{Root, Sys},
};

/// A self-signed certificate of this name with its key, and both in one PEM text.
fn identity(name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    let cert = params.self_signed(&key).expect("a certificate");
    let pem = cert.pem() + &key.serialize_pem();
    (cert.der().clone(), PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())), pem)
}

/// A server with this configuration, which answers requests.
async fn server(config: ServerConfig) -> SocketAddr {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut request = [0; 2048];
            if stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                let _ = stream.shutdown().await;
            }
        }
    })
    .await
}

fn plain(versions: &[&'static rustls::SupportedProtocolVersion], name: &str) -> ServerConfig {
    let (cert, key, _) = identity(name);
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .expect("certificate")
}

async fn look(probe: &str, at: SocketAddr, trust: Option<TrustSettings>, sni: Option<&str>) -> ProbeReport {
    let mut job = job(probe, Address::Tcp(at), Protocol::Https);
    (job.trust, job.sni) = (trust.map(Box::new), sni.map(str::to_owned));
    make(&Sys::new(Root::host(), true), &job).await
}

fn seen(report: &ProbeReport) -> &TlsView {
    match &report.view {
        Some(View::Tls(view)) => view,
        other => panic!("no view of TLS: {other:?}"),
    }
}

fn offering(versions: &[TlsVersion]) -> TrustSettings {
    TrustSettings { protocols: versions.to_vec(), ..TrustSettings::default() }
}

#[tokio::test]
async fn what_a_good_peer_shows_is_kept() {
    let at = server(plain(&[&TLS12, &TLS13], "app.test")).await;
    let report = look("tls", at, Some(TrustSettings::default()), Some("app.test")).await;
    let view = seen(&report);
    assert_eq!(
        (&report.outcome, view.version, &view.verdict),
        (&Outcome::Open, Some(TlsVersion::Tls13), &TrustVerdict::NotVerified)
    );
    assert_eq!((view.chain.len(), view.chain[0].names.as_slice()), (1, ["app.test".to_owned()].as_slice()));
    assert!(!view.client_cert_asked && view.misfit.is_none() && view.offers.is_empty(), "{view:?}");
    let lines = view.lines().join("\n");
    assert!(lines.contains("agreed: TLS 1.3") && lines.contains("server name sent: app.test"), "{lines}");
}

#[tokio::test]
async fn versions_without_a_common_one_are_told() {
    for (spoken, offered, only) in [(&TLS13, TlsVersion::Tls12, "only TLS 1.3"), (&TLS12, TlsVersion::Tls13, "only TLS 1.2")] {
        let at = server(plain(&[spoken], "app.test")).await;
        let report = look("tls", at, Some(offering(&[offered])), None).await;
        let view = seen(&report);
        let (misfit, text) = view.misfit.as_ref().expect("a misfit");
        assert_eq!((*misfit, text.contains(only)), (TlsMisfit::Version, true), "{text}");
        assert!(
            matches!(&report.outcome, Outcome::Tls(TlsFault::Alert(alert)) if alert == "protocol_version"),
            "{:?}",
            report.outcome
        );
        let request = look("upstream", at, Some(offering(&[offered])), None).await;
        assert_eq!(request.outcome, report.outcome, "the request as the gateway makes it fails in the same way");
    }
}

#[tokio::test]
async fn what_only_this_program_can_not_is_no_failure() {
    // A ServerHello of TLS 1.2 with AES128-SHA, which rustls never speaks.
    let at = serve(|mut stream| async move {
        let hello = read_some(&mut stream).await;
        let offered = hello.windows(2).any(|pair| pair == [0x00, 0x2f]);
        let mut answer = vec![0x16, 3, 3, 0, 44, 2, 0, 0, 40, 3, 3];
        answer.extend([7; 32]);
        answer.extend([0, 0x00, 0x2f, 0, 0, 0]);
        let alert = [0x15, 3, 3, 0, 2, 2, 40];
        let _ = stream.write_all(if offered { &answer } else { &alert }).await;
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    for probe in ["tls", "upstream"] {
        let report = look(probe, at, Some(offering(&[TlsVersion::Tls12])), None).await;
        assert!(matches!(&report.outcome, Outcome::Skipped(why) if why.contains("AES128-SHA")), "{probe}: {:?}", report.outcome);
    }
    let modern = TrustSettings { ciphers: Some("ECDHE+AESGCM".to_owned()), ..offering(&[TlsVersion::Tls12]) };
    let report = look("tls", at, Some(modern.clone()), None).await;
    assert_eq!(seen(&report).misfit.as_ref().map(|(misfit, _)| *misfit), Some(TlsMisfit::Cipher));
    assert_eq!(
        look("upstream", at, Some(modern), None).await.outcome,
        Outcome::Tls(TlsFault::Alert("handshake_failure".to_owned()))
    );
    let unknown = TrustSettings { ciphers: Some("FANCY".to_owned()), ..offering(&[TlsVersion::Tls12]) };
    assert!(seen(&look("tls", at, Some(unknown), None).await).misfit.is_none(), "a list that can't be read proves nothing");
}

/// A certificate for one name only.
#[derive(Debug)]
struct ByName(&'static str, Arc<CertifiedKey>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        (hello.server_name() == Some(self.0)).then(|| Arc::clone(&self.1))
    }
}

#[tokio::test]
async fn the_need_of_a_server_name_is_found_out() {
    let (cert, key, _) = identity("app.test");
    let provider = rustls::crypto::ring::default_provider();
    let key = provider.key_provider.load_private_key(key).expect("key");
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ByName("app.test", Arc::new(CertifiedKey::new(vec![cert], key)))));
    let at = server(config).await;
    let known = TrustSettings { known_as: Some("app.test".to_owned()), ..TrustSettings::default() };
    let without = look("tls", at, Some(known.clone()), None).await;
    let (misfit, text) = seen(&without).misfit.as_ref().expect("a misfit");
    assert!(*misfit == TlsMisfit::Sni && text.contains("with the server name \"app.test\" the handshake succeeds"), "{text}");
    assert_eq!(look("tls", at, Some(known), Some("app.test")).await.outcome, Outcome::Open);
}

#[tokio::test]
async fn client_certificates_are_asked_for_sent_and_refused() {
    let (ours, strangers) = (identity("gw1"), identity("gw1"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ours.0.clone()).expect("anchor");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().expect("verifier");
    let (cert, key, _) = identity("app.test");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![cert], key)
        .expect("certificate");
    let at = server(config).await;
    let dir = tempfile::tempdir().expect("directory");
    let with = |name: &str, pem: Option<&str>| {
        let path = dir.path().join(name);
        if let Some(pem) = pem {
            std::fs::write(&path, pem).expect("file");
        }
        Some(TrustSettings { client_cert: Some(path), ..TrustSettings::default() })
    };
    let kind = |report: &ProbeReport| seen(report).misfit.as_ref().map(|(misfit, _)| *misfit);
    let none = look("tls", at, Some(TrustSettings::default()), None).await;
    assert_eq!(kind(&none), Some(TlsMisfit::ClientCertRequired), "{none:?}");
    let strange = look("tls", at, with("strange", Some(&strangers.2)), None).await;
    assert_eq!(kind(&strange), Some(TlsMisfit::ClientCertRefused), "{strange:?}");
    let good = look("tls", at, with("good", Some(&ours.2)), None).await;
    assert_eq!((&good.outcome, kind(&good)), (&Outcome::Open, None));
    assert!(seen(&good).client_cert_asked && seen(&good).client_cert.is_some());
    let gone = look("tls", at, with("gone", None), None).await;
    assert!(matches!(gone.outcome, Outcome::Skipped(_)) && kind(&gone).is_none(), "what we may not read proves nothing: {gone:?}");
    assert_eq!(look("upstream", at, with("good", None), None).await.outcome, Outcome::Status(200));
}

#[tokio::test]
async fn trust_is_judged_by_the_gateways_own_file() {
    let (cert, key, pem) = identity("app.test");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .expect("certificate");
    let at = server(config).await;
    let dir = tempfile::tempdir().expect("directory");
    let (own, other) = (dir.path().join("own.pem"), dir.path().join("other.pem"));
    std::fs::write(&own, &pem).expect("file");
    std::fs::write(&other, identity("else.test").2).expect("file");
    let with = |ca: &std::path::Path, name: &str| {
        Some(TrustSettings {
            verify: true,
            dates: true,
            name: Some(name.to_owned()),
            ca_file: Some(ca.to_owned()),
            ..TrustSettings::default()
        })
    };
    assert_eq!(seen(&look("tls", at, with(&own, "app.test"), None).await).verdict, TrustVerdict::Trusted);
    assert_eq!(look("upstream", at, with(&own, "app.test"), None).await.outcome, Outcome::Status(200));
    let untrusted = |fault| Outcome::Tls(TlsFault::Untrusted(fault));
    for probe in ["tls", "upstream"] {
        assert_eq!(look(probe, at, with(&other, "app.test"), None).await.outcome, untrusted(TrustFault::UnknownCa), "{probe}");
        assert_eq!(look(probe, at, with(&own, "else.test"), None).await.outcome, untrusted(TrustFault::WrongName), "{probe}");
    }
    assert_eq!(look("edge-tls", at, with(&other, "app.test"), None).await.outcome, Outcome::Open, "no failure of a request");
    let unread = look("tls", at, with(&dir.path().join("gone.pem"), "app.test"), None).await;
    assert!(
        matches!(&seen(&unread).verdict, TrustVerdict::Unknown(why) if why.contains("gone.pem")),
        "{:?}",
        seen(&unread).verdict
    );
}

#[tokio::test]
async fn hostile_peers_are_bounded() {
    let fast = |mut job: crate::model::ProbeJob| async move {
        (job.connect_ms, job.total_ms) = (600, 900);
        job.trust = Some(Box::new(TrustSettings::default()));
        let began = std::time::Instant::now();
        let report = make(&Sys::new(Root::host(), true), &job).await;
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", report.outcome);
        report
    };
    let tls = |at| job("tls", Address::Tcp(at), Protocol::Https);
    let garbage = serve(|mut stream| async move {
        let _ = stream.write_all(&vec![0x16; 70_000]).await;
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let report = fast(tls(garbage)).await;
    assert!(matches!(report.outcome, Outcome::Tls(_)), "{:?}", report.outcome);
    // A handshake message that claims 16 MB, and record after record of it.
    let endless = serve(|mut stream| async move {
        let mut record = vec![0x16, 3, 3, 0x40, 0];
        record.extend([11, 0xff, 0xff, 0xff]);
        record.resize(5 + 0x4000, 0);
        while stream.write_all(&record).await.is_ok() {}
    })
    .await;
    let report = fast(tls(endless)).await;
    // More than we read is not more than the gateway reads, as far as we can know.
    let bounded = matches!(report.outcome, Outcome::Tls(_) | Outcome::Timeout(Phase::Tls) | Outcome::Skipped(_));
    assert!(bounded && seen(&report).misfit.is_none(), "{report:?}");
    let drip = serve(|mut stream| async move {
        for byte in [0x16, 3, 3, 0x40, 0].into_iter().chain(std::iter::repeat(0)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    })
    .await;
    assert_eq!(fast(tls(drip)).await.outcome, Outcome::Timeout(Phase::Tls));
    let http = serve(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    assert_eq!(fast(tls(http)).await.outcome, Outcome::Tls(TlsFault::NotTls));
}

#[tokio::test]
async fn a_certificate_of_a_megabyte_is_bounded() {
    /// Names that make a certificate of a megabyte.
    const NAMES: usize = 22_000;
    let key = KeyPair::generate().expect("a key");
    let names: Vec<String> = (0..NAMES).map(|n| format!("{n:05}.{}.example.com", "x".repeat(32))).collect();
    let cert = CertificateParams::new(names).expect("names").self_signed(&key).expect("a certificate");
    assert!(cert.der().len() > 1 << 20, "{}", cert.der().len());
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signing = rustls::crypto::ring::sign::any_supported_type(&private).expect("a signing key");
    let certified = CertifiedKey::new(vec![cert.der().clone()], signing);
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&TLS12])
        .expect("versions")
        .with_no_client_auth()
        // Not `with_single_cert`, which reads it and finds it too large.
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    let at = server(config).await;
    let began = std::time::Instant::now();
    let trust = TrustSettings { verify: true, name: Some("00000.example.com".to_owned()), ..TrustSettings::default() };
    let report = look("tls", at, Some(trust), Some("00000.example.com")).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // Larger than OpenSSL takes, too (SSL_CTX_set_max_cert_list(3): 100 KB); what was seen of it is told, and little is kept.
    assert_ne!(report.outcome.serves(), Some(true), "{:?}", report.outcome);
    let kept = serde_json::to_string(&report).expect("JSON").len();
    assert!(kept < 64 << 10, "{kept} bytes are kept of it");
    // The parser by itself, which reads what a gateway's file may hold.
    let began = std::time::Instant::now();
    assert!(crate::probe::x509::Cert::read(cert.der()).is_some());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
