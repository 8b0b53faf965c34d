//! Each name server that decides about an upstream's name, asked again and again: whether it answers each time, and always the same.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Probe, report};
use crate::{
    model::{Address, NameFault, Outcome, ProbeJob, ProbeReport, View},
    sys::{Stopwatch, Sys},
};

/// Questions of one look, over all servers.
const QUESTIONS: u32 = 40;
/// Between two of them: 40 a second (DESIGN promise 3 has lookups among the 50 bare connections).
const APART: Duration = Duration::from_millis(25);
/// From one look to the next, in milliseconds.
const REST_MS: u64 = 20_000;

/// The probe.
#[derive(Debug)]
pub(super) struct Resolvers;

impl Probe for Resolvers {
    fn id(&self) -> &'static str {
        "resolvers"
    }

    fn title(&self) -> &'static str {
        "each name server, again and again"
    }

    fn emits(&self) -> &'static [&'static str] {
        &["open", "unresolved", "skipped"]
    }

    fn sends_request(&self, _job: &ProbeJob) -> bool {
        false
    }

    fn connects(&self) -> u32 {
        QUESTIONS
    }

    fn rest_ms(&self) -> u64 {
        REST_MS
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
    let within = Duration::from_millis(job.total_ms);
    let asked = tokio::time::timeout(within, sys.dns.again(host, &job.names, QUESTIONS, APART)).await;
    let mut report = match asked {
        Err(_) => report(job, Outcome::Skipped(format!("the name servers' answers took longer than {} ms", job.total_ms))),
        Ok(Err(error)) => report(job, Outcome::Skipped(error.to_string())),
        Ok(Ok(view)) => {
            let fault = || view.servers.iter().find_map(|answer| answer.fault).unwrap_or(NameFault::NoServer);
            let good = view.servers.iter().any(|answer| !answer.ips.is_empty());
            let mut report = report(job, if good { Outcome::Open } else { Outcome::Name(fault()) });
            let words = view.servers.iter().map(|answer| format!("{}: {}", answer.server, answer.words()));
            report.detail = words.collect::<Vec<_>>().join("; ");
            report.view = Some(View::Names(Box::new(view)));
            report
        }
    };
    report.phases.total = watch.ms();
    report.phases.resolve = Some(report.phases.total);
    report
}
