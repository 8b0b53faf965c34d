//! Extensions of a certificate (RFC 5280 section 4.2), as far as a chain is judged by them.

use std::net::IpAddr;

use super::{
    der::{BIT_STRING, BOOLEAN, Der, Element, INTEGER, OCTET_STRING, OID, SEQUENCE},
    subject::{Name, text},
};

/// Alternative names that are kept of one certificate: those of a large CDN have 100.
const NAMES: usize = 256;

/// What the extensions say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::probe) struct Extensions {
    /// basicConstraints: whether it is a CA, and how many may follow.
    pub(super) ca: Option<(bool, Option<u32>)>,
    pub(super) key_usage: Option<u16>,
    /// extKeyUsage: whether it has serverAuth.
    pub(super) server_auth: Option<bool>,
    /// Of subjectAltName.
    pub(super) dns_names: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) subject_key: Option<Vec<u8>>,
    pub(super) authority_key: Option<Vec<u8>>,
    /// Issuer and serial number of the issuer's own certificate, where authorityKeyIdentifier has them.
    pub(super) authority: Option<(Name, Vec<u8>)>,
    /// authorityInfoAccess is there: public authorities set it.
    pub(super) authority_info: bool,
    /// Something critical that we don't check, by its number: nameConstraints, policies, or what nobody knows.
    pub(super) unchecked: Option<String>,
}

/// Up to 16 bits of a BIT STRING, the first in the highest.
fn bits(element: Element<'_>) -> u16 {
    let bytes = element.value.get(1..).unwrap_or_default();
    u16::from(bytes.first().copied().unwrap_or(0)) << 8 | u16::from(bytes.get(1).copied().unwrap_or(0))
}

/// `2.5.29.30` of an OID's bytes.
fn dotted(oid: &[u8]) -> String {
    let (mut parts, mut number) = (Vec::new(), 0_u64);
    for byte in oid.iter().take(32) {
        number = number << 7 & 0xffff_ffff | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if parts.is_empty() {
                parts.push((number / 40).min(2));
                number -= parts[0] * 40;
            }
            parts.push(std::mem::take(&mut number));
        }
    }
    parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}

impl Extensions {
    pub(super) fn read(field: Element<'_>) -> Option<Self> {
        let mut found = Self::default();
        let mut list = field.inner().take(SEQUENCE)?.inner();
        while !list.is_empty() {
            let mut one = list.take(SEQUENCE)?.inner();
            let oid = one.take(OID)?.value;
            let critical = one.optional(BOOLEAN).is_some_and(|flag| flag.value != [0]);
            let value = one.take(OCTET_STRING)?.value;
            found.one(oid, critical, Der::new(value))?;
        }
        Some(found)
    }

    fn one(&mut self, oid: &[u8], critical: bool, mut value: Der<'_>) -> Option<()> {
        match oid {
            // basicConstraints
            [0x55, 29, 19] => {
                let mut inner = value.take(SEQUENCE)?.inner();
                let ca = inner.optional(BOOLEAN).is_some_and(|flag| flag.value != [0]);
                let number = |bytes: &[u8]| bytes.iter().take(4).fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
                self.ca = Some((ca, inner.optional(INTEGER).map(|length| number(length.value))));
            }
            [0x55, 29, 15] => self.key_usage = Some(bits(value.take(BIT_STRING)?)),
            // extKeyUsage
            [0x55, 29, 37] => {
                let mut uses = value.take(SEQUENCE)?.inner();
                let mut server_auth = false;
                while !uses.is_empty() {
                    // id-kp-serverAuth, 1.3.6.1.5.5.7.3.1.
                    server_auth |= uses.take(OID)?.value == [0x2b, 6, 1, 5, 5, 7, 3, 1];
                }
                self.server_auth = Some(server_auth);
            }
            // subjectAltName
            [0x55, 29, 17] => {
                let mut names = value.take(SEQUENCE)?.inner();
                while !names.is_empty() && self.dns_names.len() + self.addresses.len() < NAMES {
                    let name = names.any()?;
                    match (name.tag, name.value) {
                        (0x82, _) => self.dns_names.push(text(name)),
                        (0x87, bytes) => self.addresses.extend(
                            <[u8; 4]>::try_from(bytes)
                                .map(IpAddr::from)
                                .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
                                .ok(),
                        ),
                        _ => {}
                    }
                }
            }
            [0x55, 29, 14] => self.subject_key = Some(value.take(OCTET_STRING)?.value.to_vec()),
            // authorityKeyIdentifier
            [0x55, 29, 35] => {
                let mut inner = value.take(SEQUENCE)?.inner();
                self.authority_key = inner.optional(0x80).map(|key| key.value.to_vec());
                let issuer = inner.optional(0xa1).and_then(|names| names.inner().take(0xa4)?.inner().take(SEQUENCE));
                let serial = inner.optional(0x82).map(|serial| serial.value.to_vec());
                self.authority = issuer.and_then(Name::read).zip(serial);
            }
            // authorityInfoAccess
            [0x2b, 6, 1, 5, 5, 7, 1, 1] => self.authority_info = true,
            // Policies that nobody requires, and where revocation lists are: critical or not, they change nothing for a gateway.
            [0x55, 29, 31 | 32] => {}
            // nameConstraints binds critical or not.
            [0x55, 29, 30] => self.unchecked = Some(dotted(oid)),
            _ if critical => self.unchecked = Some(dotted(oid)),
            _ => {}
        }
        Some(())
    }
}
