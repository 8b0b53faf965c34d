//! What the gateway brings to a handshake: its offer, its client certificate, its trust.

use std::sync::Arc;

use rustls::sign::CertifiedKey;

use super::{
    ASK,
    handshake::{self, Offer},
    hello::{Answer, Question},
    store, suites,
};
use crate::{
    model::{Outcome, Phase, ProbeJob, TlsFault, TlsVersion, TrustSettings, TrustVerdict},
    probe::{
        wire::Peer,
        x509::{Cert, verify::Judge},
    },
    sys::Sys,
};

/// What the gateway would bring, as far as we have it.
pub(super) struct Us {
    pub(super) trust: Option<TrustSettings>,
    pub(super) offer: Offer,
    /// Why its client certificate could not be used.
    pub(super) client_problem: Option<String>,
}

impl Us {
    pub(super) async fn of(sys: &Sys, job: &ProbeJob) -> Self {
        let client: Option<Result<Arc<CertifiedKey>, String>> = match &job.trust {
            Some(trust) => store::client(sys, trust).await,
            None => None,
        };
        let problem = client.as_ref().and_then(|read| read.as_ref().err());
        let client_problem = problem.map(|why| format!("the gateway's client certificate can't be used here: {why}"));
        let offer = Offer::of(job, client.and_then(Result::ok));
        Self { trust: job.trust.as_deref().cloned(), offer, client_problem }
    }

    /// Whether the gateway would trust this chain, and by what that was judged.
    pub(super) async fn judge(&self, sys: &Sys, chain: &[Cert]) -> (TrustVerdict, String) {
        let Some(settings) = &self.trust else { return (TrustVerdict::NotVerified, String::new()) };
        let now = sys.clock.now().wall_s();
        let lists = store::lists(sys, settings).await;
        let lists = lists.as_deref();
        let verdict = |settings: &TrustSettings, anchors: &[&Cert]| Judge { settings, anchors, lists, now }.judge(chain);
        let name = settings.name.as_ref().map(|name| format!("the name \"{name}\""));
        if !settings.verify {
            return (verdict(settings, &[]), name.unwrap_or_else(|| "its dates".to_owned()));
        }
        let anchors = match &settings.unclear {
            Some(unclear) => Err(format!("the configuration leaves open {unclear}")),
            None => store::anchors(sys, settings).await,
        };
        match anchors {
            Ok((files, from)) => {
                let anchors: Vec<&Cert> = files.iter().flat_map(|file| file.iter()).collect();
                let by = [Some(format!("{} certificates of {from}", anchors.len())), name].into_iter().flatten();
                (verdict(settings, &anchors), by.collect::<Vec<_>>().join(" and "))
            }
            // Without anchors, dates and name still tell for certain what can't be trusted.
            Err(why) => match verdict(&TrustSettings { verify: false, ..settings.clone() }, &[]) {
                refused @ TrustVerdict::Refused(_) => (refused, name.unwrap_or_else(|| "its dates".to_owned())),
                not_seen @ TrustVerdict::NotSeen => (not_seen, String::new()),
                TrustVerdict::NotVerified | TrustVerdict::Trusted | TrustVerdict::Unknown(_) => {
                    (TrustVerdict::Unknown(why), String::new())
                }
            },
        }
    }

    /// Versions that the gateway offers; what OpenSSL 3 and Go offer where it is not known.
    fn versions(&self) -> Vec<TlsVersion> {
        let known = self.offer.versions.clone();
        if known.is_empty() { TlsVersion::between(TlsVersion::Tls12, TlsVersion::Tls13) } else { known }
    }

    /// What the gateway would say first.
    pub(super) fn question(&self) -> Option<Question> {
        let trust = self.trust.clone().unwrap_or_default();
        let old = suites::of_list(trust.ciphers.as_deref())?;
        let new = suites::of_tls13(trust.ciphersuites.as_deref())?;
        Some(Question { versions: self.versions(), suites: [new, old].concat(), sni: self.offer.sni.clone() })
    }

    /// Asks the gateway's own question after this outcome of ours. `Ok`: the peer would go on, and it is we who can't; else what it answered.
    pub(super) async fn ask(&self, peer: &Peer, outcome: &Outcome) -> Result<Outcome, Answer> {
        if matches!(outcome, Outcome::Tls(TlsFault::Other(why)) if why == handshake::TOO_LARGE) {
            return Ok(Outcome::Skipped(handshake::TOO_LARGE.to_owned()));
        }
        let Some(question) = self.question() else {
            return Ok(Outcome::Skipped("the list of cipher suites has words that are not known here".to_owned()));
        };
        match question.ask(peer, ASK).await {
            Answer::Hello(version, suite) if question.versions.contains(&version) => {
                let suite = suites::name(suite);
                Ok(Outcome::Skipped(format!("this program does not speak {version} with {suite}, which gateway and peer agree on")))
            }
            answer => Err(answer),
        }
    }

    /// What an answer to it means for a request.
    pub(super) fn meaning(answer: &Answer) -> Outcome {
        match answer {
            Answer::Hello(version, _) => {
                Outcome::Tls(TlsFault::Other(format!("the peer answers in {version}, which is not offered")))
            }
            Answer::Alert(number) => Outcome::Tls(TlsFault::Alert(handshake::alert(*number))),
            Answer::Closed => Outcome::Closed(Phase::Tls),
            Answer::NotTls => Outcome::Tls(TlsFault::NotTls),
            Answer::Nothing => Outcome::Timeout(Phase::Tls),
        }
    }
}
