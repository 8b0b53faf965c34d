//! Layer 2: probes. Each tries one link of the request's chain, as the gateway would, and keeps what the operating system said.
//!
//! A probe never fails upwards: whatever happens is a [`crate::model::Outcome`]. It knows its [`ProbeJob`] and nothing else: not why it was
//! planned, nor what the result means. It sends nothing but GET, HEAD and protocol greetings, under an own User-Agent, and
//! is bounded in time and memory against any peer. `schedule` decides when probes are made, `child` makes one as another user.
//!
//! To add a probe: a file here with a `Probe`, its `mod` line, and its place in [`ALL`]. Tests walk that list.

use futures_util::future::BoxFuture;

use crate::{
    model::{Address, Outcome, ProbeJob, ProbeReport},
    sys::{self, Sys},
};

mod ajp;
pub mod child;
mod client;
mod emitter;
mod exchange;
mod fastcgi;
#[doc(hidden)]
pub mod foreign;
mod http1;
mod http2;
mod keepalive;
mod look;
mod name;
mod pace;
mod patience;
mod reach;
mod resolvers;
mod retry_after;
pub mod schedule;
mod sniff;
mod socket_path;
mod tls;
mod uwsgi;
mod wire;
mod x509;

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

    /// How many bare connections it makes at most, where it sends no request.
    fn connects(&self) -> u32 {
        1
    }

    /// Milliseconds from the begin of one to the begin of the next, at least: what costs more is made less often.
    fn rest_ms(&self) -> u64 {
        0
    }

    /// Whether it only reads the host: such a probe is made with `--no-probe` too.
    fn only_reads(&self) -> bool {
        false
    }

    /// Whether it is made as ourselves in other namespaces, too: it sends what takes rights, and no request.
    fn as_ourselves(&self) -> bool {
        false
    }

    /// Makes it once.
    fn run<'a>(&'a self, sys: &'a Sys, job: &'a ProbeJob) -> BoxFuture<'a, ProbeReport>;
}

/// All probes.
pub static ALL: &[&dyn Probe] = &[
    &exchange::GATEWAY,
    &exchange::UPSTREAM,
    &exchange::CANDIDATE,
    &exchange::ADDRESS,
    &exchange::CHECK,
    &exchange::NO_CACHE,
    &exchange::BROWSER,
    &exchange::HTTP2,
    &exchange::OTHER_FAMILY,
    &socket_path::SocketPath,
    &name::UPSTREAM,
    &name::PUBLIC,
    &resolvers::Resolvers,
    &keepalive::Keepalive,
    &client::CLIENT,
    &client::VIA,
    &tls::UPSTREAM,
    &tls::EDGE,
    &reach::Reach,
];

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
    if let Some(place) = job.address.place() {
        return make_inside(sys, job, probe, place).await;
    }
    let other = job.identity.as_ref().filter(|identity| !sys::is_ours(identity));
    let by_child = other.is_some() && !probe.only_reads() && matches!(job.address, Address::Unix(_)) && sys::can_assume();
    if by_child {
        match sys.rights.probe_as(job, None).await {
            Ok(mut report) if report.job == *job => {
                // Whoever tries it by hand as root sees another answer: both are told.
                if report.outcome == Outcome::Denied {
                    let ours = as_started(sys, job, probe).await;
                    let name = job.identity.as_ref().map_or("the gateway", |identity| identity.name.as_str());
                    report.detail = format!("you: {}, {name}: {}", ours.outcome, report.detail);
                }
                return report;
            }
            refused => {
                let why = refused.err().map_or_else(|| "another probe's answer".to_owned(), |refusal| refusal.to_string());
                let mut report = as_started(sys, job, probe).await;
                report.detail = format!("as ourselves ({why}); {}", report.detail);
                return report;
            }
        }
    }
    let mut report = as_started(sys, job, probe).await;
    report.as_gateway |= job.identity.is_some() && other.is_none();
    report
}

/// Makes a probe with the rights that the program was started with. A socket of the file system is the one thing that asks for them: on
/// the way to it root passes where others do not (capabilities(7), CAP_DAC_OVERRIDE), and this process may have given that up.
async fn as_started(sys: &Sys, job: &ProbeJob, probe: &dyn Probe) -> ProbeReport {
    if matches!(job.address, Address::Unix(_))
        && !probe.only_reads()
        && let Some(made) = sys.rights.probe_as_started(job).await
    {
        return match made {
            Ok(made) if made.job == *job => ProbeReport { as_gateway: false, ..made },
            Ok(_) => report(job, Outcome::Skipped("another probe's answer".to_owned())),
            Err(refusal) => report(job, Outcome::Skipped(refusal.to_string())),
        };
    }
    probe.run(sys, job).await
}

/// Makes a probe of an address in other namespaces. A path is walked from here, below the root of a process there; all else is made
/// by a child that has entered them: nothing from here would reach it, or it would be another.
async fn make_inside(sys: &Sys, job: &ProbeJob, probe: &dyn Probe, place: &str) -> ProbeReport {
    let Some(way) = sys.namespaces.way(place) else {
        return report(job, Outcome::Skipped(format!("no process is known in {place}")));
    };
    if probe.only_reads() {
        let (within, host) = (std::time::Duration::from_millis(job.total_ms), sys.clone());
        let there = sys::blocking(within, move || host.inside(&way, [way.pid])).await;
        return match there {
            Some(Ok(there)) => {
                let bare = ProbeJob { address: job.address.inside(None), ..job.clone() };
                ProbeReport { job: job.clone(), ..probe.run(&there, &bare).await }
            }
            Some(Err(error)) => report(job, Outcome::Skipped(format!("the files of {place} may not be seen: {error}"))),
            None => report(job, Outcome::Skipped(format!("the files of {place} were not there within {} ms", job.total_ms))),
        };
    }
    match sys.rights.probe_as(job, Some(way)).await {
        Ok(made) if made.job == *job => made,
        Ok(_) => report(job, Outcome::Skipped("another probe's answer".to_owned())),
        Err(refusal) => report(job, Outcome::Skipped(format!("{place} could not be entered: {refusal}"))),
    }
}

/// The outcome of a probe that found itself outside of the namespaces of its address.
fn inside() -> Outcome {
    Outcome::Skipped("the address is meant in other namespaces, which were not entered".to_owned())
}

/// A report with an outcome, and nothing else known yet.
fn report(job: &ProbeJob, outcome: Outcome) -> ProbeReport {
    ProbeReport::new(job.clone(), outcome)
}

#[cfg(test)]
mod tests;
