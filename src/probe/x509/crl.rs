//! Revocation lists (RFC 5280 section 5), judged as OpenSSL does with X509_V_FLAG_CRL_CHECK: each certificate wants the list of its
//! issuer, signed by it and not past its own date; one that is missing is a refusal, too.

use std::collections::HashSet;

use super::{
    Cert,
    der::{BIT_STRING, Der, GENERALIZED_TIME, INTEGER, OID, SEQUENCE, UTC_TIME},
    subject::Name,
    time,
};
use crate::model::{TrustFault, TrustFinding, text};

/// Entries of one list that are read: the largest public ones have some hundred thousand, 40 bytes each.
const ENTRIES: usize = 500_000;
/// id-ce-deltaCRLIndicator and id-ce-issuingDistributionPoint (sections 5.2.4 and 5.2.5): such a list says something about a part only.
const PARTIAL: [&[u8]; 2] = [&[0x55, 0x1d, 0x1b], &[0x55, 0x1d, 0x1c]];

/// One list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::probe) struct Crl {
    issuer: Name,
    next_update: Option<i64>,
    this_update: i64,
    revoked: HashSet<Vec<u8>>,
    /// Why nothing is concluded from what it does not list.
    partial: bool,
    tbs: Vec<u8>,
    signature_algorithm: Vec<u8>,
    signature: Vec<u8>,
}

/// What the lists say of one certificate.
pub(super) enum Standing {
    Good,
    Refused(TrustFinding),
    Unknown(String),
}

impl Crl {
    /// Reads one. `None`: these bytes are no list.
    pub(in crate::probe) fn read(der: &[u8]) -> Option<Self> {
        let mut whole = Der::new(der).take(SEQUENCE)?.inner();
        let tbs = whole.take(SEQUENCE)?;
        let signature_algorithm = whole.take(SEQUENCE)?;
        let signature = whole.take(BIT_STRING)?.value.get(1..)?;
        let mut fields = tbs.inner();
        fields.optional(INTEGER);
        fields.take(SEQUENCE)?;
        let issuer = Name::read(fields.take(SEQUENCE)?)?;
        let this_update = time(fields.any()?)?;
        let next_update = match fields.peek() {
            Some(UTC_TIME | GENERALIZED_TIME) => Some(time(fields.any()?)?),
            _ => None,
        };
        let mut revoked = HashSet::new();
        if let Some(entries) = fields.optional(SEQUENCE) {
            let mut entries = entries.inner();
            while let Some(entry) = entries.take(SEQUENCE) {
                if revoked.len() >= ENTRIES {
                    return None;
                }
                revoked.insert(entry.inner().take(INTEGER)?.value.to_vec());
            }
            if !entries.is_empty() {
                return None;
            }
        }
        let mut partial = false;
        if let Some(extensions) = fields.optional(0xa0) {
            let mut extensions = extensions.inner().take(SEQUENCE)?.inner();
            while let Some(extension) = extensions.take(SEQUENCE) {
                partial |= PARTIAL.contains(&extension.inner().take(OID)?.value);
            }
        }
        Some(Self {
            issuer,
            next_update,
            this_update,
            revoked,
            partial,
            tbs: tbs.whole.to_vec(),
            signature_algorithm: signature_algorithm.value.to_vec(),
            signature: signature.to_vec(),
        })
    }
}

/// What these lists say of a certificate that `issuer` has signed. `whose`: what it is called in a sentence.
pub(super) fn standing(lists: &[Crl], cert: &Cert, issuer: &Cert, whose: &str, now: i64) -> Standing {
    let finding = |fault, text| Standing::Refused(TrustFinding { fault, text });
    let own: Vec<&Crl> = lists.iter().filter(|list| list.issuer.same(&cert.issuer)).collect();
    // Of several the one that is in force; else the newest.
    let in_force = |list: &&&Crl| list.next_update.is_none_or(|until| now <= until) && list.this_update <= now;
    let Some(list) = own.iter().find(in_force).or_else(|| own.iter().max_by_key(|list| list.this_update)) else {
        let text = format!("{whose} was issued by {}, of whom the gateway has no revocation list", cert.issuer.short());
        return finding(TrustFault::RevocationList, text);
    };
    let by = list.issuer.short();
    match issuer.has_signed(&list.signature_algorithm, &list.tbs, &list.signature) {
        Some(true) => {}
        Some(false) => {
            return finding(
                TrustFault::RevocationList,
                format!("the revocation list of {by} was signed with another key than its own"),
            );
        }
        None => return Standing::Unknown(format!("the signature of the revocation list of {by} can't be checked here")),
    }
    if let Some(until) = list.next_update.filter(|until| now > *until) {
        let (at, ago) = (crate::model::rfc3339(until), text::duration(now - until));
        return finding(TrustFault::RevocationList, format!("the gateway's revocation list of {by} expired at {at} ({ago} ago)"));
    }
    if list.this_update > now {
        let from = crate::model::rfc3339(list.this_update);
        return finding(TrustFault::RevocationList, format!("the gateway's revocation list of {by} is valid only from {from}"));
    }
    if list.revoked.contains(&cert.serial) {
        let serial = cert.serial.iter().take(20).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        return finding(TrustFault::Revoked, format!("{whose} (serial {serial}) was revoked by {by}, says the gateway's own list"));
    }
    if list.partial {
        return Standing::Unknown(format!("the revocation list of {by} is about a part only"));
    }
    Standing::Good
}
