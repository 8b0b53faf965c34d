//! One probe as another user, or in other namespaces: this program, executed again by `Rights::probe_as`.
//!
//! The child reads its job, gives up root for good while it has one thread and has touched nothing foreign, and only then
//! starts a runtime and makes the one probe. `main` must call [`serve`] before anything else when its first argument is
//! [`crate::sys::PROBE_AS_MODE`].

use std::{
    io::{Read as _, Write as _},
    process::ExitCode,
};

use super::by_id;
use crate::{
    model::{Address, Outcome, ProbeJob, ProbeReport},
    sys::{self, Errand, Root, Sys},
};

/// Bytes of a job: parameters and a path, with room.
const JOB_BYTES: u64 = 256 << 10;

/// Reads a job from standard input, enters its namespaces, becomes its user, makes the probe, and writes the report to standard output.
///
/// On any failure it writes nothing and fails: the parent then probes as itself and says so.
pub fn serve() -> ExitCode {
    let mut text = Vec::new();
    let read = std::io::stdin().lock().take(JOB_BYTES).read_to_end(&mut text);
    let Some(errand) = read.ok().and_then(|_| serde_json::from_slice::<Errand>(&text).ok()) else { return ExitCode::FAILURE };
    let Errand { job, way, ourselves } = errand;
    if job.identity.is_none() && way.is_none() && !ourselves {
        return ExitCode::FAILURE;
    }
    // What is not to be had there is a result of its own: to probe from here would answer another question.
    if let Some(way) = &way
        && let Err(error) = way.enter(needs_files(&job))
    {
        return told(&super::report(&job, Outcome::Skipped(format!("its namespaces could not be entered: {error}"))));
    }
    let ourselves = ourselves || way.is_some() && by_id(&job.probe).is_some_and(super::Probe::as_ourselves);
    let becomes = |identity: &&crate::model::Identity| !ourselves && !sys::is_ours(identity);
    if job.identity.as_ref().filter(becomes).is_some_and(|identity| sys::assume(identity).is_err()) {
        return ExitCode::FAILURE;
    }
    // Only now: a change of ids forgets it (prctl(2), PR_SET_PDEATHSIG).
    if sys::die_with_parent().is_err() {
        return ExitCode::FAILURE;
    }
    let Some(report) = probe(&job) else { return ExitCode::FAILURE };
    told(&report)
}

fn told(report: &ProbeReport) -> ExitCode {
    let written = serde_json::to_vec(report).ok().map(|bytes| std::io::stdout().lock().write_all(&bytes));
    if matches!(written, Some(Ok(()))) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the answer hangs on the files that are seen there: a socket's path, or the resolver's files.
fn needs_files(job: &ProbeJob) -> bool {
    matches!(job.address.bare(), Address::Unix(_) | Address::Name(..))
}

/// Makes the probe. In other namespaces addresses are written as they are written there, and told as they are called here.
fn probe(wanted: &ProbeJob) -> Option<ProbeReport> {
    let probe = by_id(&wanted.probe)?;
    let job = &ProbeJob { address: wanted.address.inside(None), ..wanted.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let mut report = runtime.block_on(async {
        let sys = Sys::new(Root::host(), true);
        // Not `make`: a child makes no children.
        probe.run(&sys, job).await
    });
    // A call that hangs in a dead file system is not waited for.
    runtime.shutdown_background();
    report.as_gateway = wanted.identity.is_some();
    report.peer = report.peer.map(|peer| peer.inside(wanted.address.place()));
    report.job = wanted.clone();
    Some(report)
}
