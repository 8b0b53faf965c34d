//! Does the name resolve, for whom, to what: asked of every name server of the host and of the gateway, side by side.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use futures_util::future::BoxFuture;

use super::{Probe, report};
use crate::{
    model::{Address, NameFault, NamesView, Outcome, PeerSeen, ProbeJob, ProbeReport, View},
    sys::{self, Dns, Stopwatch, Sys},
};

/// Addresses that are named in the detail.
const SHOWN: usize = 8;
/// Addresses that connections lead to which are kept.
const PEERS: usize = 64;

/// The name of an upstream, as its gateway resolves it.
pub(super) static UPSTREAM: Name = Name { id: "name", title: "the upstream's name" };
/// The name that the operator asks for, as a client on this host resolves it.
pub(super) static PUBLIC: Name = Name { id: "public-name", title: "the name of the URL" };

/// A probe of a name.
#[derive(Debug)]
pub(super) struct Name {
    id: &'static str,
    title: &'static str,
}

impl Probe for Name {
    fn id(&self) -> &'static str {
        self.id
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn emits(&self) -> &'static [&'static str] {
        &["open", "unresolved", "skipped"]
    }

    fn sends_request(&self, _job: &ProbeJob) -> bool {
        false
    }

    fn run<'a>(&'a self, sys: &'a Sys, job: &'a ProbeJob) -> BoxFuture<'a, ProbeReport> {
        Box::pin(run(sys, job))
    }
}

async fn run(sys: &Sys, job: &ProbeJob) -> ProbeReport {
    let watch = Stopwatch::start();
    let Address::Name(host, port) = &job.address else {
        return report(job, Outcome::Skipped("the address is no name".to_owned()));
    };
    if job.names.servers().is_some_and(|own| own.servers.is_empty()) {
        return report(job, Outcome::Skipped("the gateway has no name server to ask".to_owned()));
    }
    let within = Duration::from_millis(job.total_ms);
    let asked = async { tokio::join!(sys.dns.view(host, &job.names), peers(sys, job, *port)) };
    let mut report = match tokio::time::timeout(within, asked).await {
        Err(_) => {
            let mut report = report(job, Outcome::Name(NameFault::Silent));
            report.detail = format!("{host}: no answer of a name server within {} ms", job.total_ms);
            report
        }
        Ok((Err(error), _)) => {
            let mut report = report(job, Outcome::Name(error.fault));
            report.detail = error.to_string();
            report
        }
        Ok((Ok(view), peers)) => {
            let view = NamesView { peers, ..view };
            let mut report = report(job, outcome(&view));
            report.detail = detail(&view);
            report.view = Some(View::Names(Box::new(view)));
            report
        }
    };
    report.phases.total = watch.ms();
    report.phases.resolve = Some(report.phases.total);
    report
}

fn outcome(view: &NamesView) -> Outcome {
    match view.unsure.as_slice() {
        _ if !view.ips.is_empty() => Outcome::Open,
        [] => Outcome::Name(Dns::fault(view).fault),
        // Not there is what nobody can say who did not ask all.
        modules => Outcome::Skipped(format!("{} may know it, and cannot be asked from here", modules.join(" "))),
    }
}

fn detail(view: &NamesView) -> String {
    if view.ips.is_empty() {
        return Dns::fault(view).to_string();
    }
    let mut shown: Vec<String> = view.ips.iter().take(SHOWN).map(ToString::to_string).collect();
    if view.ips.len() > SHOWN {
        shown.push(format!("and {} more", view.ips.len() - SHOWN));
    }
    format!("{} from {}", shown.join(", "), view.by)
}

/// Where connections of the gateway's user to this port lead. Our own are not to be told from those of a gateway that runs as we do.
async fn peers(sys: &Sys, job: &ProbeJob, port: u16) -> Option<Vec<PeerSeen>> {
    let identity = job.identity.as_ref().filter(|identity| sys.root.is_host() && !sys::is_ours(identity))?;
    let mut seen: BTreeMap<IpAddr, PeerSeen> = BTreeMap::new();
    for connection in sys::connections_to(port).await? {
        if seen.len() == PEERS && !seen.contains_key(&connection.ip) {
            continue;
        }
        let peer = seen.entry(connection.ip).or_insert(PeerSeen { ip: connection.ip, open: 0, closed: 0 });
        match connection.uid {
            Some(uid) if uid == identity.uid => peer.open += 1,
            Some(_) => {}
            None => peer.closed += 1,
        }
    }
    Some(seen.into_values().filter(|peer| peer.open + peer.closed > 0).collect())
}
