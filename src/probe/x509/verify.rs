//! Would the gateway accept this chain? Its own rules, not a stricter library's.
//!
//! The path is built as OpenSSL does since 1.1.0 (X509_verify_cert, `build_chain`): an issuer is looked for among the anchors
//! first, then among what was sent, and the path must end in a self-signed anchor. Go takes any anchor. What only a library's
//! configuration decides (security level, constraints that we don't evaluate) makes the answer unknown, unless
//! something else fails for certain.

use super::{
    Cert, DIGITAL_SIGNATURE, KEY_AGREEMENT, KEY_ENCIPHERMENT,
    crl::{self, Crl, Standing},
    name,
};
use crate::model::{TrustFault, TrustFinding, TrustSettings, TrustVerdict, Verifier, rfc3339};

/// Certificates of a path, at most: longer ones are nobody's.
const PATH: usize = 12;
/// Words in an issuer's name that only an intermediate authority has.
const INTERMEDIATE_WORDS: &[&str] = &["intermediate", "issuing", "subordinate", "sub ca", "subca", "sub-ca", "signing ca"];

/// What is judged by.
#[derive(Debug, Clone, Copy)]
pub(in crate::probe) struct Judge<'a> {
    pub(in crate::probe) settings: &'a TrustSettings,
    /// Certificates that are trusted.
    pub(in crate::probe) anchors: &'a [&'a Cert],
    /// Revocation lists. `None`: the gateway uses none, or they could not be read.
    pub(in crate::probe) lists: Option<&'a [Crl]>,
    /// Seconds since the Unix epoch.
    pub(in crate::probe) now: i64,
}

/// How a path ends.
enum End {
    Anchor,
    /// The certificate of this number is self-signed, and no anchor.
    SelfSigned(usize),
    /// The issuer of this one is nowhere.
    NoIssuer(usize),
    /// The path ends in an anchor that is no root, and its own issuer is nowhere.
    NoRoot(usize),
    /// An issuer of this one is known by name, and its key did not sign.
    WrongKey(usize),
    TooLong,
}

/// What was found on the way.
#[derive(Default)]
struct Notes {
    faults: Vec<TrustFinding>,
    unsure: Vec<String>,
}

impl Notes {
    fn fault(&mut self, fault: TrustFault, text: String) {
        self.faults.push(TrustFinding { fault, text });
    }
}

impl Judge<'_> {
    /// Judges the certificates in the order in which they were sent.
    pub(in crate::probe) fn judge(&self, chain: &[Cert]) -> TrustVerdict {
        let settings = self.settings;
        if !settings.verify && !settings.dates && settings.name.is_none() {
            return TrustVerdict::NotVerified;
        }
        let Some(own) = chain.first() else { return TrustVerdict::NotSeen };
        let mut notes = Notes::default();
        if settings.verify {
            let (path, end) = self.path(chain);
            self.end(&path, &end, &mut notes);
            if matches!(end, End::Anchor) {
                self.check(&path, &mut notes);
                self.revocation(&path, &mut notes);
            } else {
                // Dates are checked only of a path that ends well; one's own are worth knowing all the same.
                self.dates(own, "the certificate", &mut notes);
            }
        } else if settings.dates {
            self.dates(own, "the certificate", &mut notes);
        }
        if let Some(wanted) = &settings.name
            && !name::bears(own, wanted, settings.verifier)
        {
            let bears = self.bears(own);
            notes.fault(
                TrustFault::WrongName,
                format!("the gateway asks for the name \"{wanted}\", and the certificate is for {bears}"),
            );
        }
        if !notes.faults.is_empty() {
            return TrustVerdict::Refused(notes.faults);
        }
        if let Some(crl) = settings.crl_file.as_ref().or(settings.crl_dir.as_ref()).filter(|_| self.lists.is_none()) {
            notes.unsure.push(format!("the revocation list {} was not read", crl.display()));
        }
        match notes.unsure.into_iter().next() {
            Some(why) => TrustVerdict::Unknown(why),
            None => TrustVerdict::Trusted,
        }
    }

    fn is_anchor(&self, cert: &Cert) -> bool {
        self.anchors.contains(&cert)
    }

    fn path<'c>(&'c self, sent: &'c [Cert]) -> (Vec<&'c Cert>, End) {
        let mut path: Vec<&Cert> = vec![&sent[0]];
        loop {
            let at = path.len() - 1;
            let last = path[at];
            let go = self.settings.verifier == Verifier::Go;
            let self_signed = last.self_issued() && last.is_signed_by(last) != Some(false);
            if self.is_anchor(last) && (self_signed || go) {
                return (path, End::Anchor);
            }
            if path.len() > PATH {
                return (path, End::TooLong);
            }
            let named = |cert: &&Cert| last.may_be_issued_by(cert) && !path.contains(cert);
            // A signature that can't be checked is taken for good here, and noted later.
            let signs = |cert: &&Cert| last.is_signed_by(cert) != Some(false);
            let next =
                self.anchors.iter().copied().filter(named).find(signs).or_else(|| sent[1..].iter().filter(named).find(signs));
            match next {
                Some(next) if !self_signed => path.push(next),
                Some(_) | None if self_signed => return (path, End::SelfSigned(at)),
                Some(_) | None => {
                    let known = self.anchors.iter().copied().chain(&sent[1..]).any(|cert| last.issuer.same(&cert.subject));
                    let end = if self.is_anchor(last) {
                        End::NoRoot(at)
                    } else if known {
                        End::WrongKey(at)
                    } else {
                        End::NoIssuer(at)
                    };
                    return (path, end);
                }
            }
        }
    }

    /// What a path that does not end in an anchor means.
    fn end(&self, path: &[&Cert], end: &End, notes: &mut Notes) {
        let whose = |at: usize| {
            if at == 0 { "the certificate".to_owned() } else { format!("the certificate of {}", path[at].subject.short()) }
        };
        match end {
            End::Anchor => {}
            End::SelfSigned(0) => {
                let text = "the certificate is self-signed, and not among those that the gateway trusts";
                notes.fault(TrustFault::UnknownCa, text.to_owned());
            }
            End::SelfSigned(at) => {
                let text = format!("the chain ends in {}, which the gateway does not trust", path[*at].subject.short());
                notes.fault(TrustFault::UnknownCa, text);
            }
            End::NoIssuer(at) => {
                let (issuer, sent) = (path[*at].issuer.short(), path.len());
                let sent =
                    if sent == 1 { "no other certificate was sent".to_owned() } else { format!("{sent} certificates were sent") };
                if self.is_intermediate(path[*at]) {
                    let text =
                        format!("the chain is incomplete: {} was issued by {issuer}, which was not sent ({sent})", whose(*at));
                    notes.fault(TrustFault::Chain, text);
                } else {
                    let text = format!("{} was issued by {issuer}, which the gateway does not trust", whose(*at));
                    notes.fault(TrustFault::UnknownCa, text);
                }
            }
            End::NoRoot(at) => {
                let text = format!(
                    "the gateway trusts {}, which is no root: its issuer {} is missing",
                    path[*at].subject.short(),
                    path[*at].issuer.short()
                );
                notes.fault(TrustFault::Chain, text);
            }
            End::WrongKey(at) => {
                let text = format!(
                    "{} names {} as its issuer, but was signed with another key than the one of that name",
                    whose(*at),
                    path[*at].issuer.short()
                );
                notes.fault(TrustFault::UnknownCa, text);
            }
            End::TooLong => notes.fault(TrustFault::Chain, format!("the chain has more than {PATH} certificates")),
        }
    }

    /// Whether who issued this is likely an intermediate authority whose certificate should have been sent, rather than a root
    /// that nobody trusts. The certificate itself does not tell for sure; an authorityKeyIdentifier with a name does.
    fn is_intermediate(&self, cert: &Cert) -> bool {
        if let Some((above, _)) = &cert.extensions.authority {
            // It names the issuer's issuer: a root's is the root itself.
            return !above.same(&cert.issuer);
        }
        let issuer = cert.issuer.to_string().to_lowercase();
        // Public authorities tell where the issuer's certificate is to be had, and never issue from a root.
        let public = self.settings.system_roots && cert.extensions.authority_info;
        let of_an_anchor = || {
            self.anchors
                .iter()
                .any(|anchor| cert.issuer.organizations().any(|own| anchor.subject.organizations().any(|known| known == own)))
        };
        public || INTERMEDIATE_WORDS.iter().any(|word| issuer.contains(word)) || of_an_anchor()
    }

    /// Checks a path that ends in an anchor.
    fn check(&self, path: &[&Cert], notes: &mut Notes) {
        let openssl = self.settings.verifier != Verifier::Go;
        let inner = path.len().saturating_sub(2);
        if self.settings.depth.is_some_and(|depth| inner > depth as usize) {
            let depth = self.settings.depth.unwrap_or_default();
            notes.fault(
                TrustFault::Chain,
                format!("the chain has {inner} intermediate certificates, and the gateway takes {depth}"),
            );
        }
        for (at, cert) in path.iter().enumerate() {
            let whose = if at == 0 { "the certificate".to_owned() } else { format!("the certificate of {}", cert.subject.short()) };
            self.dates(cert, &whose, notes);
            let extensions = &cert.extensions;
            if at > 0 {
                // X509_check_ca(3): a root of version 1 is one, and who may sign without basicConstraints.
                let ca = match extensions.ca {
                    Some((ca, _)) => ca,
                    None => openssl && (cert.version == 1 && cert.self_issued() || extensions.key_usage.is_some()),
                };
                if !ca {
                    notes.fault(TrustFault::Chain, format!("{whose} is none of an authority, and signed another one"));
                }
                let below = path[1..at].iter().filter(|cert| !cert.self_issued()).count();
                if let Some((_, Some(most))) = extensions.ca
                    && below > most as usize
                {
                    notes.fault(TrustFault::Chain, format!("{whose} allows {most} authorities below it, and there are {below}"));
                }
            }
            let for_servers = KEY_ENCIPHERMENT | DIGITAL_SIGNATURE | KEY_AGREEMENT;
            let unfit = at == 0 && openssl && extensions.key_usage.is_some_and(|usage| usage & for_servers == 0);
            if extensions.server_auth == Some(false) || unfit {
                notes.fault(TrustFault::Purpose, format!("{whose} is not meant for servers (extended key usage)"));
            }
            if let Some(unchecked) = &extensions.unchecked {
                notes.unsure.push(format!("{whose} has a constraint that is not evaluated here ({unchecked})"));
            }
            // The anchor's own signature and strength count for nothing.
            if let Some(issuer) = path.get(at + 1) {
                if cert.is_signed_by(issuer).is_none() {
                    notes.unsure.push(format!("the signature of {whose} can't be checked here ({})", cert.view().signature));
                }
                if cert.weak_signature() || cert.weak_key() {
                    notes.unsure.push(format!(
                        "{whose} is weak ({}, {}): the gateway's library decides",
                        cert.view().key,
                        cert.view().signature
                    ));
                }
            }
        }
    }

    /// Whether the lists know one of the path; a root is its own issuer.
    fn revocation(&self, path: &[&Cert], notes: &mut Notes) {
        let Some(lists) = self.lists else { return };
        let checked = self.settings.crl_depth.map_or(path.len(), |depth| depth as usize);
        for (at, cert) in path.iter().enumerate().take(checked) {
            let whose = if at == 0 { "the certificate".to_owned() } else { format!("the certificate of {}", cert.subject.short()) };
            match crl::standing(lists, cert, path.get(at + 1).unwrap_or(cert), &whose, self.now) {
                Standing::Good => {}
                // What is wrong with a list is wrong for all whom it is about.
                Standing::Refused(finding) if notes.faults.contains(&finding) => {}
                Standing::Refused(finding) => notes.faults.push(finding),
                Standing::Unknown(why) => notes.unsure.push(why),
            }
        }
    }

    fn dates(&self, cert: &Cert, whose: &str, notes: &mut Notes) {
        let moment = |seconds: i64| rfc3339(seconds);
        let ago = |seconds: i64| crate::model::text::duration(seconds);
        if self.now > cert.not_after {
            let text = format!("{whose} expired at {} ({} ago)", moment(cert.not_after), ago(self.now - cert.not_after));
            notes.fault(TrustFault::Expired, text);
        }
        if self.now < cert.not_before {
            let text = format!(
                "{whose} is valid only from {} (in {}), and this host's clock says {}",
                moment(cert.not_before),
                ago(cert.not_before - self.now),
                moment(self.now)
            );
            notes.fault(TrustFault::NotYetValid, text);
        }
    }

    /// The names that a certificate is for, in a sentence.
    fn bears(&self, cert: &Cert) -> String {
        /// Names in a sentence.
        const SHOWN: usize = 4;
        let extensions = &cert.extensions;
        let mut names: Vec<String> = extensions.dns_names.iter().map(|name| format!("\"{name}\"")).collect();
        names.extend(extensions.addresses.iter().map(|address| format!("the address {address}")));
        if names.is_empty() || self.settings.verifier == Verifier::Apache {
            names.extend(cert.subject.common_names().map(|name| format!("\"{name}\"")));
        }
        names.dedup();
        let more = names.len().saturating_sub(SHOWN);
        names.truncate(SHOWN);
        match (names.is_empty(), more) {
            (true, _) => "nobody".to_owned(),
            (false, 0) => names.join(", "),
            (false, more) => format!("{} and {more} more", names.join(", ")),
        }
    }
}
