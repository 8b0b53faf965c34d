//! Why a handshake failed: what was refused, and what the peer would take instead.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{
    ASK,
    handshake::{Offer, Seen, handshake},
    hello::{self, Answer, Question},
    suites,
    us::Us,
};
use crate::{
    model::{Outcome, Phase, ProbeJob, TlsFault, TlsMisfit, TlsVersion, TlsView, TrustVerdict},
    probe::{
        wire::{Peer, Tap},
        x509::Cert,
    },
    sys::{Stopwatch, Sys},
};

/// How long what was found of a refusal holds: versions and names of a server change with its configuration.
const HOLDS: Duration = Duration::from_secs(30);
/// Refusals that are remembered.
const KEPT: usize = 1024;
/// Connections that finding out about one refusal takes at most: three names, the gateway's own question, five versions.
const QUESTIONS: u32 = 9;
/// Further connections in one second, of all probes together: DESIGN's cap for bare connects is 50/s, and probes need some.
/// Unit tests are many runs side by side in one process.
const A_SECOND: u32 = if cfg!(test) { 10_000 } else { 36 };

/// Of what a refusal was: peer, what the gateway offers it, outcome.
type Key = (String, Option<Question>, Outcome);

/// What was found of it.
#[derive(Debug, Clone)]
struct Found {
    misfit: Option<(TlsMisfit, String)>,
    offers: Vec<(TlsVersion, String)>,
    other_sni: Option<String>,
    beyond_us: Option<String>,
    outcome: Outcome,
}

static MEMORY: Mutex<Option<HashMap<Key, (Stopwatch, Found)>>> = Mutex::new(None);
/// When the running second began, and the connections in it.
static ASKED: Mutex<Option<(Stopwatch, u32)>> = Mutex::new(None);

fn remembered(key: &Key) -> Option<Found> {
    let memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let (when, found) = memory.as_ref()?.get(key)?;
    (!when.left(HOLDS).is_zero()).then(|| found.clone())
}

fn remember(key: Key, found: Found) {
    let mut memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let memory = memory.get_or_insert_default();
    if memory.len() >= KEPT {
        memory.retain(|_, (when, _)| !when.left(HOLDS).is_zero());
    }
    if memory.len() < KEPT {
        memory.insert(key, (Stopwatch::start(), found));
    }
}

/// Whether so many further connections may be made now.
fn may_ask(count: u32) -> bool {
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let (since, made) = asked.get_or_insert_with(|| (Stopwatch::start(), 0));
    if since.left(Duration::from_secs(1)).is_zero() {
        (*since, *made) = (Stopwatch::start(), 0);
    }
    let may = *made + count <= A_SECOND;
    *made += if may { count } else { 0 };
    may
}

/// Whether the peer refused what it was offered.
pub(super) fn before_certificate(outcome: &Outcome) -> bool {
    // That one is about ALPN, which no other offer of versions and suites would change.
    let of_alpn = matches!(outcome, Outcome::Tls(TlsFault::Alert(alert)) if alert == "no_application_protocol");
    !of_alpn
        && matches!(
            outcome,
            Outcome::Tls(TlsFault::Alert(_) | TlsFault::Other(_)) | Outcome::Closed(Phase::Tls) | Outcome::Reset(Phase::Tls)
        )
}

/// The peer asked for a client certificate, and refused.
pub(super) fn client_certificate(outcome: Outcome, us: &Us, view: &mut TlsView) -> Outcome {
    if let Some(problem) = &us.client_problem {
        view.beyond_us = Some(problem.clone());
        return Outcome::Skipped(problem.clone());
    }
    let why = outcome.to_string();
    let misfit = match &view.client_cert {
        Some(subject) => (
            TlsMisfit::ClientCertRefused,
            format!("the upstream does not accept the gateway's client certificate {subject}: {why}"),
        ),
        None => {
            (TlsMisfit::ClientCertRequired, format!("the upstream wants a client certificate, and the gateway has none: {why}"))
        }
    };
    view.misfit = Some(misfit);
    outcome
}

/// Server names that the peer may know, apart from the one that is sent.
fn other_names(job: &ProbeJob) -> Vec<String> {
    let host = job.request.as_ref().map(|request| request.host.split(':').next().unwrap_or_default().to_owned());
    let trust = job.trust.as_ref();
    let wanted = trust.and_then(|trust| trust.name.clone());
    let known_as = trust.and_then(|trust| trust.known_as.clone());
    let mut names: Vec<String> = wanted.into_iter().chain(known_as).chain(host).collect();
    names.retain(|name| name.contains('.') && name.parse::<std::net::IpAddr>().is_err() && job.sni.as_ref() != Some(name));
    names.dedup();
    names
}

/// The handshake once more with another server name, or without.
async fn with_name(us: &Us, peer: &Peer, sni: Option<&String>) -> Option<Seen> {
    let (tap, _) = Tap::new(peer.connect(ASK).await.ok()?);
    let offer = Offer { sni: sni.cloned(), ..us.offer.clone() };
    let (stream, seen) = Box::pin(handshake(tap, &offer, ASK)).await;
    // A client certificate is asked for after the name was taken.
    (stream.is_ok() || seen.asked).then_some(seen)
}

/// The gateway does not trust the certificate: whether the peer has another one for a name that the gateway does not send.
pub(super) async fn other_certificate(sys: &Sys, job: &ProbeJob, us: &Us, peer: &Peer, view: &mut TlsView) {
    for name in other_names(job) {
        if !may_ask(1) {
            return;
        }
        let Some(seen) = with_name(us, peer, Some(&name)).await else { continue };
        let shown = seen.chain.first().map(Cert::view);
        if shown.as_ref() == view.chain.first() {
            continue;
        }
        let better = us.judge(sys, &seen.chain).await.0 == TrustVerdict::Trusted;
        let judged = if better { "which the gateway would trust" } else { "which the gateway would not trust either" };
        view.other_sni = Some(format!("with the server name \"{name}\" it shows another certificate, {judged}"));
        if better {
            return;
        }
    }
}

/// The peer refused what it was offered, before it showed a certificate: why. What was found holds for a while, and where many
/// upstreams fail at once, some have to wait for their turn: further questions keep within the cap for bare connections.
pub(super) async fn refused(job: &ProbeJob, us: &Us, peer: &Peer, outcome: Outcome, view: &mut TlsView) -> Outcome {
    let key: Key = (peer.to_string(), us.question(), outcome.clone());
    if let Some(found) = remembered(&key) {
        let Found { misfit, offers, other_sni, beyond_us, outcome } = found;
        (view.misfit, view.offers, view.other_sni, view.beyond_us) = (misfit, offers, other_sni, beyond_us);
        return outcome;
    }
    if !may_ask(QUESTIONS) {
        return outcome;
    }
    let outcome = Box::pin(ask(job, us, peer, outcome, view)).await;
    let found = Found {
        misfit: view.misfit.clone(),
        offers: view.offers.clone(),
        other_sni: view.other_sni.clone(),
        beyond_us: view.beyond_us.clone(),
        outcome: outcome.clone(),
    };
    remember(key, found);
    outcome
}

async fn ask(job: &ProbeJob, us: &Us, peer: &Peer, outcome: Outcome, view: &mut TlsView) -> Outcome {
    for name in other_names(job).into_iter().map(Some).chain([None]) {
        if name == job.sni {
            continue;
        }
        if let Some(seen) = with_name(us, peer, name.as_ref()).await {
            let sent = |name: Option<&String>| {
                name.map_or_else(|| "no server name".to_owned(), |name| format!("the server name \"{name}\""))
            };
            let text = format!(
                "the gateway sends {}, and the upstream refuses it ({outcome}); with {} the handshake succeeds",
                sent(job.sni.as_ref()),
                sent(name.as_ref())
            );
            view.other_sni = Some(format!("with {} it goes on ({})", sent(name.as_ref()), seen.terms()));
            view.misfit = Some((TlsMisfit::Sni, text));
            return outcome;
        }
    }
    if job.trust.is_none() {
        return outcome;
    }
    // RFC 6066 section 3: this alert is about nothing else.
    if matches!(&outcome, Outcome::Tls(TlsFault::Alert(alert)) if alert == "unrecognized_name") {
        let sent = job.sni.as_ref().map_or_else(|| "no server name".to_owned(), |name| format!("the server name \"{name}\""));
        view.misfit = Some((TlsMisfit::Sni, format!("the gateway sends {sent}, and the upstream wants another one ({outcome})")));
        return outcome;
    }
    match us.ask(peer, &outcome).await {
        Ok(beyond) => {
            view.beyond_us = Some(match &beyond {
                Outcome::Skipped(why) => why.clone(),
                other => other.to_string(),
            });
            return beyond;
        }
        Err(Answer::Nothing) => return outcome,
        Err(_) => {}
    }
    let spoken = hello::spoken(peer, job.sni.as_deref(), ASK).await;
    view.offers = spoken.iter().map(|(version, suite)| (*version, suites::name(*suite))).collect();
    view.misfit = misfit(&us.offer.versions, &spoken);
    outcome
}

/// What gateway and peer don't have in common, where that is known for certain.
fn misfit(offered: &[TlsVersion], spoken: &[(TlsVersion, u16)]) -> Option<(TlsMisfit, String)> {
    let (oldest, newest) = (offered.iter().min()?, offered.iter().max()?);
    if spoken.is_empty() {
        return None;
    }
    let theirs: Vec<String> = spoken.iter().map(|(version, _)| version.to_string()).collect();
    let offers = if oldest == newest { oldest.to_string() } else { format!("{oldest} to {newest}") };
    let common: Vec<_> = spoken.iter().filter(|(version, _)| offered.contains(version)).collect();
    Some(match common.last() {
        None => (TlsMisfit::Version, format!("the gateway offers {offers}, and the upstream speaks only {}", theirs.join(", "))),
        Some((version, suite)) => {
            let suite = suites::name(*suite);
            let text = format!(
                "both speak {version}, but have no cipher suite in common: offered everything, the upstream chooses {suite}"
            );
            (TlsMisfit::Cipher, text)
        }
    })
}
