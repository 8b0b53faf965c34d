//! Chains made by rcgen, judged as gateways judge them; and bytes that are no certificates.

use std::time::Duration;

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use super::{Cert, crl::Crl, verify::Judge};
use crate::model::{TrustFault, TrustSettings, TrustVerdict, Verifier};

/// 2026-01-01.
const NOW: i64 = 1_767_225_600;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn params(name: &str, alternatives: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(alternatives.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn root(name: &str) -> Issuer {
    CertifiedIssuer::self_signed(authority(name), key()).expect("a root")
}

fn below(issuer: &Issuer, name: &str) -> Issuer {
    CertifiedIssuer::signed_by(authority(name), key(), issuer).expect("an intermediate")
}

fn leaf(params: &CertificateParams, issuer: &Issuer) -> Cert {
    Cert::read(params.signed_by(&key(), issuer).expect("a certificate").der()).expect("readable")
}

fn cert(issuer: &Issuer) -> Cert {
    Cert::read(issuer.der()).expect("readable")
}

/// Verifies with this name and no more than the default depth of nginx.
fn nginx(name: &str) -> TrustSettings {
    TrustSettings { verify: true, dates: true, name: Some(name.to_owned()), depth: Some(1), ..TrustSettings::default() }
}

/// The first word of what is wrong, or `trusted`, `unknown`.
fn judged(settings: &TrustSettings, anchors: &[Cert], chain: &[Cert]) -> String {
    match (Judge { settings, anchors: &anchors.iter().collect::<Vec<_>>(), lists: None, now: NOW }).judge(chain) {
        TrustVerdict::Trusted => "trusted".to_owned(),
        TrustVerdict::Refused(findings) => findings.iter().map(|one| one.fault.word()).collect::<Vec<_>>().join(" "),
        TrustVerdict::Unknown(_) => "unknown".to_owned(),
        TrustVerdict::NotVerified => "not verified".to_owned(),
        TrustVerdict::NotSeen => "not seen".to_owned(),
    }
}

#[test]
fn a_path_is_built_from_anchors_and_what_was_sent() {
    let (top, stranger) = (root("Root"), root("Stranger"));
    let inter = below(&top, "Shop Issuing CA");
    let deep = below(&inter, "Deep CA");
    let own = params("app", &["app.test"]);
    let (direct, second, third) = (leaf(&own, &top), leaf(&own, &inter), leaf(&own, &deep));
    let settings = nginx("app.test");
    let roots = [cert(&stranger), cert(&top)];
    let judged = |anchors: &[Cert], chain: &[Cert]| judged(&settings, anchors, chain);
    assert_eq!(judged(&roots, std::slice::from_ref(&direct)), "trusted");
    assert_eq!(judged(&roots, &[second.clone(), cert(&inter)]), "trusted");
    assert_eq!(judged(&roots, &[second.clone(), cert(&inter), cert(&top)]), "trusted", "a root may be sent along");
    assert_eq!(judged(&roots, &[second.clone(), cert(&stranger), cert(&inter)]), "trusted", "in any order, with others between");
    assert_eq!(
        judged(&[cert(&top), cert(&inter)], std::slice::from_ref(&second)),
        "trusted",
        "the intermediate from the gateway's own file"
    );
    assert_eq!(judged(&roots, std::slice::from_ref(&second)), "chain", "an issuing CA is no root");
    assert_eq!(judged(&roots, &[third, cert(&deep), cert(&inter)]), "chain", "deeper than the gateway goes");
    assert_eq!(judged(&roots[..1], std::slice::from_ref(&direct)), "unknown-ca");
    assert_eq!(judged(&roots[..1], &[second.clone(), cert(&inter), cert(&top)]), "unknown-ca");
    assert_eq!(judged(&[cert(&inter)], &[second.clone(), cert(&inter)]), "chain", "OpenSSL wants a root");
    let go = TrustSettings { verifier: Verifier::Go, depth: None, ..settings.clone() };
    assert_eq!(super::tests::judged(&go, &[cert(&inter)], &[second, cert(&inter)]), "trusted", "Go does not");
    assert_eq!(judged(&[cert(&root("Root"))], &[direct]), "unknown-ca", "the same name, another key");
}

#[test]
fn what_stricter_libraries_refuse_is_taken() {
    // As `openssl req -x509` makes it: an authority's certificate, used as the server's own, trusted by itself.
    let mut own = authority("app.test");
    own.key_usages.clear();
    let own = CertifiedIssuer::self_signed(own, key()).expect("a certificate");
    let settings = nginx("app.test");
    assert_eq!(judged(&settings, &[cert(&own)], &[cert(&own)]), "trusted", "the common name counts, too");
    assert_eq!(judged(&settings, &[cert(&root("Root"))], &[cert(&own)]), "unknown-ca");
    let go = TrustSettings { verifier: Verifier::Go, ..settings };
    assert_eq!(judged(&go, &[cert(&own)], &[cert(&own)]), "wrong-name", "not to Go");
}

#[test]
fn dates_names_and_purposes() {
    let top = root("Root");
    let roots = [cert(&top)];
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let mut own = params("app", &["app.test", "127.0.0.1"]);
        change(&mut own);
        [leaf(&own, &top)]
    };
    let good = with(&|_| {});
    let expired = with(&|own| own.not_after = date_time_ymd(2025, 12, 31));
    let early = with(&|own| own.not_before = date_time_ymd(2026, 1, 2));
    let client = with(&|own| own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let server = with(&|own| own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    let settings = nginx("app.test");
    assert_eq!(judged(&settings, &roots, &good), "trusted");
    assert_eq!(judged(&settings, &roots, &server), "trusted");
    assert_eq!(judged(&settings, &roots, &expired), "expired");
    assert_eq!(judged(&settings, &roots, &early), "not-yet-valid");
    assert_eq!(judged(&settings, &roots, &client), "purpose");
    assert_eq!(judged(&nginx("else.test"), &roots, &expired), "expired wrong-name");
    assert_eq!(judged(&nginx("127.0.0.1"), &roots, &good), "wrong-name", "OpenSSL compares names");
    let go = TrustSettings { verifier: Verifier::Go, ..nginx("127.0.0.1") };
    assert_eq!(judged(&go, &roots, &good), "trusted");
    let apache =
        TrustSettings { dates: true, name: Some("app".to_owned()), verifier: Verifier::Apache, ..TrustSettings::default() };
    assert_eq!(judged(&apache, &[], &good), "trusted", "no chain, and the CN beside the alternative names");
    assert_eq!(judged(&apache, &[], &expired), "expired");
    assert_eq!(judged(&TrustSettings::default(), &[], &expired), "not verified");
    let listed = TrustSettings { crl_file: Some("/crl".into()), ..settings.clone() };
    assert_eq!(judged(&listed, &roots, &good), "unknown");
    assert_eq!(judged(&listed, &roots, &expired), "expired");
    assert_eq!(judged(&settings, &roots, &[]), "not seen");
    let TrustVerdict::Refused(findings) =
        (Judge { settings: &settings, anchors: &[&roots[0]], lists: None, now: NOW }).judge(&expired)
    else {
        panic!("refused")
    };
    assert_eq!(findings[0].fault, TrustFault::Expired);
    assert_eq!(findings[0].text, "the certificate expired at 2025-12-31T00:00:00Z (1d0h ago)");
}

#[test]
fn revocation_lists_are_looked_into_as_openssl_does() {
    use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
    let mut authority = authority("Root");
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let top = CertifiedIssuer::self_signed(authority.clone(), key()).expect("a root");
    let stranger = CertifiedIssuer::self_signed(authority, key()).expect("another of the same name");
    let mut own = params("app", &["app.test"]);
    own.serial_number = Some(SerialNumber::from(0x1234_u64));
    let chain = [leaf(&own, &top)];
    let list = |serial: u64, until: (i32, u8), by: &CertifiedIssuer<'_, KeyPair>| {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2025, 6, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 6, 1),
            next_update: date_time_ymd(until.0, until.1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Crl::read(list.signed_by(by).expect("a list").der()).expect("it is read")
    };
    let settings = TrustSettings { crl_file: Some("/crl".into()), ..nginx("app.test") };
    let root = cert(&top);
    let judged =
        |lists: &[Crl]| match (Judge { settings: &settings, anchors: &[&root], lists: Some(lists), now: NOW }).judge(&chain) {
            TrustVerdict::Trusted => "trusted".to_owned(),
            TrustVerdict::Refused(found) => found.iter().map(|one| one.fault.word()).collect::<Vec<_>>().join(" "),
            other => format!("{other:?}"),
        };
    assert_eq!(judged(&[list(0x99, (2027, 1), &top)]), "trusted");
    assert_eq!(judged(&[list(0x1234, (2027, 1), &top)]), "revoked");
    assert_eq!(judged(&[list(0x99, (2025, 12), &top)]), "revocation-list", "out of date");
    assert_eq!(judged(&[list(0x99, (2025, 12), &top), list(0x99, (2027, 1), &top)]), "trusted", "the one that is in force");
    assert_eq!(judged(&[list(0x99, (2027, 1), &stranger)]), "revocation-list", "of another key");
    assert_eq!(judged(&[]), "revocation-list revocation-list", "none for the certificate, nor for the root");
}

#[test]
fn what_is_none_of_an_authority_signs_nothing() {
    let top = root("Root");
    let mut fake = params("Somebody", &[]);
    fake.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    fake.is_ca = IsCa::ExplicitNoCa;
    let fake = CertifiedIssuer::signed_by(fake, key(), &top).expect("a certificate");
    let chain = [leaf(&params("app", &["app.test"]), &fake), cert(&fake)];
    assert_eq!(judged(&nginx("app.test"), &[cert(&top)], &chain), "chain");
    let mut narrow = authority("Narrow");
    narrow.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let narrow = CertifiedIssuer::self_signed(narrow, key()).expect("a root");
    let inter = below(&narrow, "Below");
    let chain = [leaf(&params("app", &["app.test"]), &inter), cert(&inter)];
    assert_eq!(judged(&nginx("app.test"), &[cert(&narrow)], &chain), "chain", "no authority may be below it");
}

#[test]
fn a_certificate_is_shown_as_it_is() {
    let mut own = params("app", &["app.test", "*.app.test", "::1"]);
    own.distinguished_name.push(DnType::OrganizationName, "Sh\u{1b}[2Jop");
    own.not_before = date_time_ymd(2025, 1, 1);
    let view = leaf(&own, &root("Root")).view();
    assert_eq!((view.subject.as_str(), view.issuer.as_str()), ("CN=app, O=Sh\u{1b}[2Jop", "CN=Root"), "raw: screens make it safe");
    assert_eq!(view.names, ["app.test", "*.app.test", "::1"]);
    assert_eq!((view.not_before, view.key.as_str(), view.signature.as_str()), (1_735_689_600, "ECDSA P-256", "SHA-256 with ECDSA"));
    assert!(!view.ca && !view.self_issued);
}

#[test]
fn a_ring_of_issuers_ends() {
    let (one, two) = (authority("One"), authority("Two"));
    let (one_key, two_key) = (key(), key());
    let by_two = CertifiedIssuer::signed_by(one.clone(), one_key, &CertifiedIssuer::self_signed(two.clone(), key()).expect("two"))
        .expect("one");
    let by_one = CertifiedIssuer::signed_by(two, two_key, &by_two).expect("two");
    let chain: Vec<Cert> = std::iter::once(leaf(&params("app", &["app.test"]), &by_one))
        .chain(std::iter::repeat_n([cert(&by_one), cert(&by_two)], 40).flatten())
        .collect();
    let began = std::time::Instant::now();
    assert_eq!(judged(&nginx("app.test"), &[cert(&root("Root"))], &chain), "unknown-ca");
    assert!(began.elapsed() < Duration::from_secs(20));
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = (Cert::read(&bytes), Crl::read(&bytes));
    }

    #[test]
    fn nor_is_a_certificate_with_a_few_wrong_bytes(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8)) {
        static GOOD: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
            params("app", &["app.test"]).signed_by(&key(), &root("Root")).expect("a certificate").der().to_vec()
        });
        let mut bytes = GOOD.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cert) = Cert::read(&bytes) {
            let _ = (cert.view(), judged(&nginx("app.test"), std::slice::from_ref(&cert), std::slice::from_ref(&cert)));
        }
    }
}
