//! One probe as another user: this program, executed again by `Rights::probe_as`.
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
    model::{ProbeJob, ProbeReport},
    sys::{self, Root, Sys},
};

/// Bytes of a job: parameters and a path, with room.
const JOB_BYTES: u64 = 256 << 10;

/// Reads a job from standard input, becomes its user, makes the probe, and writes the report to standard output.
///
/// On any failure it writes nothing and fails: the parent then probes as itself and says so.
pub fn serve() -> ExitCode {
    let mut text = Vec::new();
    let read = std::io::stdin().lock().take(JOB_BYTES).read_to_end(&mut text);
    let Some(job) = read.ok().and_then(|_| serde_json::from_slice::<ProbeJob>(&text).ok()) else { return ExitCode::FAILURE };
    let Some(identity) = &job.identity else { return ExitCode::FAILURE };
    if sys::assume(identity).is_err() {
        return ExitCode::FAILURE;
    }
    // Only now: a change of ids forgets it (prctl(2), PR_SET_PDEATHSIG).
    if sys::die_with_parent().is_err() {
        return ExitCode::FAILURE;
    }
    let Some(report) = probe(&job) else { return ExitCode::FAILURE };
    let written = serde_json::to_vec(&report).ok().map(|bytes| std::io::stdout().lock().write_all(&bytes));
    if matches!(written, Some(Ok(()))) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn probe(job: &ProbeJob) -> Option<ProbeReport> {
    let probe = by_id(&job.probe)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let mut report = runtime.block_on(async {
        let sys = Sys::new(Root::host(), true);
        // Not `make`: a child makes no children.
        probe.run(&sys, job).await
    });
    // A call that hangs in a dead file system is not waited for.
    runtime.shutdown_background();
    report.as_gateway = true;
    Some(report)
}
