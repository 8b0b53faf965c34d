//! Does the upstream's name resolve here?

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Probe, report};
use crate::{
    model::{Address, NameFault, Outcome, ProbeJob, ProbeReport},
    sys::{Stopwatch, Sys},
};

/// Addresses that are named in the detail.
const SHOWN: usize = 8;

/// The probe.
#[derive(Debug)]
pub(super) struct Name;

impl Probe for Name {
    fn id(&self) -> &'static str {
        "name"
    }

    fn title(&self) -> &'static str {
        "the upstream's name"
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
    let Address::Name(host, _) = &job.address else {
        return report(job, Outcome::Skipped("the address is no name".to_owned()));
    };
    let found = tokio::time::timeout(Duration::from_millis(job.total_ms), sys.dns.lookup(host)).await;
    let (outcome, detail) = match found {
        Err(_) => (Outcome::Name(NameFault::Silent), format!("{host}: no answer of a name server within {} ms", job.total_ms)),
        Ok(Err(error)) => (Outcome::Name(error.fault), error.to_string()),
        Ok(Ok(ips)) => {
            let mut shown: Vec<String> = ips.iter().take(SHOWN).map(ToString::to_string).collect();
            if ips.len() > SHOWN {
                shown.push(format!("and {} more", ips.len() - SHOWN));
            }
            (Outcome::Open, shown.join(", "))
        }
    };
    let mut report = report(job, outcome);
    report.detail = detail;
    report.phases.total = watch.ms();
    report.phases.resolve = Some(report.phases.total);
    report
}
