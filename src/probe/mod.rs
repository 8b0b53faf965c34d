//! Layer 2: probes. Each tries one link of the request's chain, as the gateway would, and keeps what the operating system said.
//!
//! A probe never fails upwards: whatever happens is a [`crate::model::Outcome`]. It knows its [`ProbeJob`] and nothing else: not why it was
//! planned, nor what the result means. It sends nothing but GET, HEAD and protocol greetings, under an own User-Agent, and
//! is bounded in time and memory against any peer. `schedule` decides when probes are made, `child` makes one as another user.
//!
//! To add a probe: a file here with a `Probe`, its `mod` line, and its place in [`ALL`]. Tests walk that list.

use futures_util::future::BoxFuture;

use crate::{
    model::{Address, Outcome, Phases, ProbeJob, ProbeReport},
    sys::{self, Sys},
};

pub mod child;
mod client;
mod emitter;
mod exchange;
mod fastcgi;
mod http1;
mod look;
mod name;
mod pace;
pub mod schedule;
mod sniff;
mod socket_path;
mod tls;
mod uwsgi;
mod wire;

/// One kind of probe.
pub trait Probe: Sync + std::fmt::Debug {
    /// The middle of its facts' names: `probe:<id>:<outcome>`.
    fn id(&self) -> &'static str;

    /// What it tries, in a few words for a heading.
    fn title(&self) -> &'static str;

    /// The outcomes that it can have: words of [`Outcome::NAMES`].
    fn emits(&self) -> &'static [&'static str];

    /// Whether it sends a request, and so counts against the cap for requests rather than for bare connections.
    fn sends_request(&self, job: &ProbeJob) -> bool;

    /// Whether it only reads the host: such a probe is made with `--no-probe` too.
    fn only_reads(&self) -> bool {
        false
    }

    /// Makes it once.
    fn run<'a>(&'a self, sys: &'a Sys, job: &'a ProbeJob) -> BoxFuture<'a, ProbeReport>;
}

/// All probes.
pub static ALL: &[&dyn Probe] =
    &[&exchange::GATEWAY, &exchange::UPSTREAM, &exchange::CANDIDATE, &socket_path::SocketPath, &name::Name, &client::Client];

/// The probe of this id.
pub fn by_id(id: &str) -> Option<&'static dyn Probe> {
    ALL.iter().copied().find(|probe| probe.id() == id)
}

/// Makes the probe that a job asks for, as the user whom it names as far as that is possible and makes a difference.
///
/// Over TCP the user makes none on an ordinary host (only a filter's owner match or a MAC policy would see it), and a process
/// per probe is not cheap: TCP is tried from here, and the report says that it was not made as the gateway. A unix socket's
/// answer hangs on the user, so it is tried by a child that has become that user.
pub async fn make(sys: &Sys, job: &ProbeJob) -> ProbeReport {
    let Some(probe) = by_id(&job.probe) else {
        return report(job, Outcome::Skipped(format!("no probe is called {}", job.probe)));
    };
    if !sys.probing && !probe.only_reads() {
        return report(job, Outcome::Skipped("probing is off".to_owned()));
    }
    let other = job.identity.as_ref().filter(|identity| !sys::is_ours(identity));
    let by_child = other.is_some() && !probe.only_reads() && matches!(job.address, Address::Unix(_)) && sys::can_assume();
    if by_child {
        match sys.rights.probe_as(job).await {
            Ok(report) if report.job == *job => return report,
            refused => {
                let why = refused.err().map_or_else(|| "another probe's answer".to_owned(), |refusal| refusal.to_string());
                let mut report = probe.run(sys, job).await;
                report.detail = format!("as ourselves ({why}); {}", report.detail);
                return report;
            }
        }
    }
    let mut report = probe.run(sys, job).await;
    report.as_gateway |= job.identity.is_some() && other.is_none();
    report
}

/// A report with an outcome, and nothing else known yet.
fn report(job: &ProbeJob, outcome: Outcome) -> ProbeReport {
    ProbeReport {
        job: job.clone(),
        outcome,
        phases: Phases::default(),
        detail: String::new(),
        emitter: None,
        head_bytes: None,
        as_gateway: false,
    }
}

#[cfg(test)]
mod tests;
