//! Certificates as their issuers wrote them, also odd ones: version 1, without alternative names, with weak keys.
//!
//! Only what verifying and showing them needs (RFC 5280). rustls brings webpki, which hides the fields and refuses what OpenSSL
//! takes; it would see less than the gateway does. Whether a certificate is good is judged in `verify`, by the gateway's rules.
//! Everything read here is hostile: what can't be read is `None`, never a guess.

pub(super) mod crl;
mod der;
mod extensions;
pub(super) mod name;
mod subject;
pub(super) mod verify;

use rustls::{
    crypto::{WebPkiSupportedAlgorithms, ring},
    pki_types::SignatureVerificationAlgorithm,
};

use self::{
    der::{BIT_STRING, Der, Element, GENERALIZED_TIME, INTEGER, OID, SEQUENCE, UTC_TIME},
    extensions::Extensions,
    subject::Name,
};
use crate::model::CertView;

/// What a chain is checked by, in OpenSSL's words of bits (RFC 5280 section 4.2.1.3; bit 0 is the first).
pub(super) const DIGITAL_SIGNATURE: u16 = 1 << 15;
pub(super) const KEY_ENCIPHERMENT: u16 = 1 << 13;
pub(super) const KEY_AGREEMENT: u16 = 1 << 11;
pub(super) const KEY_CERT_SIGN: u16 = 1 << 10;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cert {
    /// The signed part.
    tbs: Vec<u8>,
    signature_algorithm: Vec<u8>,
    signature: Vec<u8>,
    /// 1 to 3.
    pub(super) version: u8,
    pub(super) serial: Vec<u8>,
    pub(super) issuer: Name,
    pub(super) subject: Name,
    /// Seconds since the Unix epoch.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    key_algorithm: Vec<u8>,
    key: Vec<u8>,
    pub(super) extensions: Extensions,
}

/// Seconds since the Unix epoch of UTCTime or GeneralizedTime, in the one form that RFC 5280 section 4.1.2.5 allows.
fn time(element: Element<'_>) -> Option<i64> {
    let text = std::str::from_utf8(element.value).ok()?.strip_suffix('Z')?;
    let (year, rest) = match element.tag {
        UTC_TIME => {
            let year: i16 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2).and_then(|part| part.parse::<i8>().ok());
    let seconds = part(8).unwrap_or(0);
    let at = jiff::civil::DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, seconds.min(59), 0).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

impl Cert {
    /// Reads one. `None`: these bytes are no certificate.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let mut whole = Der::new(der).take(SEQUENCE)?.inner();
        let tbs = whole.take(SEQUENCE)?;
        let signature_algorithm = whole.take(SEQUENCE)?;
        // A BIT STRING begins with the number of its unused bits.
        let signature = whole.take(BIT_STRING)?.value.get(1..)?;
        let mut fields = tbs.inner();
        let version = match fields.optional(0xa0) {
            Some(version) => version.inner().take(INTEGER)?.value.last()?.saturating_add(1),
            None => 1,
        };
        let serial = fields.take(INTEGER)?.value.to_vec();
        fields.take(SEQUENCE)?;
        let issuer = Name::read(fields.take(SEQUENCE)?)?;
        let mut dates = fields.take(SEQUENCE)?.inner();
        let (not_before, not_after) = (time(dates.any()?)?, time(dates.any()?)?);
        let subject = Name::read(fields.take(SEQUENCE)?)?;
        let mut key_info = fields.take(SEQUENCE)?.inner();
        let key_algorithm = key_info.take(SEQUENCE)?.value.to_vec();
        let key = key_info.take(BIT_STRING)?.value.get(1..)?.to_vec();
        let mut extensions = Extensions::default();
        while !fields.is_empty() {
            let field = fields.any()?;
            if field.tag == 0xa3 {
                extensions = Extensions::read(field)?;
            }
        }
        Some(Self {
            tbs: tbs.whole.to_vec(),
            signature_algorithm: signature_algorithm.value.to_vec(),
            signature: signature.to_vec(),
            version,
            serial,
            issuer,
            subject,
            not_before,
            not_after,
            key_algorithm,
            key,
            extensions,
        })
    }

    /// Whether issuer and subject are one: a root, or somebody's own.
    pub(super) fn self_issued(&self) -> bool {
        self.subject.same(&self.issuer)
    }

    /// Whether it may have been signed by this one, by all but the signature (X509_check_issued(3)).
    pub(super) fn may_be_issued_by(&self, other: &Self) -> bool {
        let mine = &self.extensions;
        let by_name = other.subject.same(&self.issuer);
        let by_key = match (&mine.authority_key, &other.extensions.subject_key) {
            (Some(wanted), Some(known)) => wanted == known,
            _ => true,
        };
        let by_serial =
            mine.authority.as_ref().is_none_or(|(issuer, serial)| issuer.same(&other.issuer) && *serial == other.serial);
        let may_sign = other.extensions.key_usage.is_none_or(|usage| usage & KEY_CERT_SIGN != 0);
        by_name && by_key && by_serial && may_sign
    }

    /// Whether its signature is that of this one's key. `None`: the algorithm or key is none that we can check.
    pub(super) fn is_signed_by(&self, other: &Self) -> Option<bool> {
        other.has_signed(&self.signature_algorithm, &self.tbs, &self.signature)
    }

    /// Whether its key has made this signature over these bytes. `None`: the algorithm or key is none that we can check.
    fn has_signed(&self, signature_algorithm: &[u8], bytes: &[u8], signature: &[u8]) -> Option<bool> {
        let known = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
            algorithm.signature_alg_id().as_ref() == signature_algorithm
                && algorithm.public_key_alg_id().as_ref() == self.key_algorithm
        };
        let algorithm = algorithms().all.iter().find(known)?;
        if self.weak_key() {
            return None;
        }
        Some(algorithm.verify_signature(&self.key, bytes, signature).is_ok())
    }

    /// Whether this was signed with its key in a handshake. `None`: the algorithm or key is none that we can check.
    pub(super) fn signed(&self, scheme: rustls::SignatureScheme, message: &[u8], signature: &[u8]) -> Option<bool> {
        let of_scheme = algorithms().mapping.iter().find(|(known, _)| *known == scheme)?.1;
        let algorithm = of_scheme.iter().find(|algorithm| algorithm.public_key_alg_id().as_ref() == self.key_algorithm)?;
        if self.weak_key() {
            return None;
        }
        Some(algorithm.verify_signature(&self.key, message, signature).is_ok())
    }

    /// Bits of an RSA key's modulus.
    fn rsa_bits(&self) -> Option<usize> {
        let oid = Der::new(&self.key_algorithm).take(OID)?.value;
        // rsaEncryption, 1.2.840.113549.1.1.1.
        if oid != [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1] {
            return None;
        }
        let modulus = Der::new(&self.key).take(SEQUENCE)?.inner().take(INTEGER)?.value;
        let lead = modulus.iter().position(|byte| *byte != 0)?;
        Some((modulus.len() - lead) * 8 - modulus[lead].leading_zeros() as usize)
    }

    /// Whether our library refuses its key for its size (ring: RSA from 2048 bits on).
    pub(super) fn weak_key(&self) -> bool {
        self.rsa_bits().is_some_and(|bits| bits < 2048)
    }

    /// Whether it is signed over a hash that a gateway may refuse for its weakness: MD5 or SHA-1.
    pub(super) fn weak_signature(&self) -> bool {
        matches!(signature_name(&self.signature_algorithm).as_str(), "MD5 with RSA" | "SHA-1 with RSA" | "SHA-1 with ECDSA")
    }

    fn key_name(&self) -> String {
        if let Some(bits) = self.rsa_bits() {
            return format!("RSA {bits}");
        }
        let mut algorithm = Der::new(&self.key_algorithm);
        let oid = algorithm.take(OID).map(|oid| oid.value).unwrap_or_default();
        let curve = algorithm.take(OID).map(|oid| oid.value).unwrap_or_default();
        match (oid, curve) {
            // id-ecPublicKey with RFC 5480's curves.
            ([0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]) => "ECDSA P-256".to_owned(),
            ([0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], [0x2b, 0x81, 4, 0, 34]) => "ECDSA P-384".to_owned(),
            ([0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], [0x2b, 0x81, 4, 0, 35]) => "ECDSA P-521".to_owned(),
            ([0x2b, 0x65, 0x70], _) => "Ed25519".to_owned(),
            ([0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1], _) => "DSA".to_owned(),
            _ => "unknown".to_owned(),
        }
    }

    /// As data for screens and recordings.
    pub(super) fn view(&self) -> CertView {
        let names = self.extensions.dns_names.iter().cloned();
        CertView {
            subject: self.subject.to_string(),
            issuer: self.issuer.to_string(),
            names: names.chain(self.extensions.addresses.iter().map(ToString::to_string)).collect(),
            serial: self.serial.iter().take(20).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")),
            not_before: self.not_before,
            not_after: self.not_after,
            key: self.key_name(),
            signature: signature_name(&self.signature_algorithm),
            ca: self.extensions.ca.is_some_and(|(ca, _)| ca),
            self_issued: self.self_issued(),
        }
    }
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    ring::default_provider().signature_verification_algorithms
}

fn signature_name(algorithm: &[u8]) -> String {
    let oid = Der::new(algorithm).take(OID).map(|oid| oid.value).unwrap_or_default();
    match oid {
        // RFC 8017 appendix C, RFC 5758, RFC 8410.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, last] => match last {
            4 => "MD5 with RSA",
            5 => "SHA-1 with RSA",
            10 => "RSA-PSS",
            11 => "SHA-256 with RSA",
            12 => "SHA-384 with RSA",
            13 => "SHA-512 with RSA",
            _ => "unknown",
        },
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1] => "SHA-1 with ECDSA",
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, last] => match last {
            2 => "SHA-256 with ECDSA",
            3 => "SHA-384 with ECDSA",
            4 => "SHA-512 with ECDSA",
            _ => "unknown",
        },
        [0x2b, 0x65, 0x70] => "Ed25519",
        _ => "unknown",
    }
    .to_owned()
}

#[cfg(test)]
mod tests;
