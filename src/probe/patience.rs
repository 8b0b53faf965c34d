//! When an answer is no longer waited for, before the deadline of the job: others wait there for longer than we would, or the plan
//! says that none will come.
//!
//! Nothing is concluded from the first second: what is well answers within it, or is slow for reasons of its own.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    model::{Outcome, Phase, ProbeJob, ProbeReport, Siblings},
    sys::{self, Stopwatch},
};

/// How long any answer is waited for.
pub(super) const LEAST: Duration = Duration::from_secs(1);
/// How long until the requests of others are looked at again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a look holds: all that wait for one server look together.
const HOLDS: Duration = Duration::from_millis(300);
/// Looks that are remembered.
const KEPT: usize = 64;
/// A request that nobody waits for any more may have been forgotten rather than be worked at: after so many milliseconds it tells nothing.
const FORGOTTEN_MS: u32 = 60_000;
/// Servers whose requests are looked at: each costs up to four questions to the kernel.
const SERVERS: usize = 8;
/// How long a probe that was cut short may take to end by itself: only it knows what it waited for.
const GRACE: Duration = Duration::from_millis(200);

tokio::task_local! {
    static CUT: CancellationToken;
    static SERVED: Arc<AtomicBool>;
}

/// Makes a probe that may be cut short. One that does not end by itself then was waiting for an answer. `served`: whether users are known
/// to be served, which may turn out meanwhile.
pub(super) async fn until_cut(
    cut: CancellationToken,
    served: Arc<AtomicBool>,
    job: &ProbeJob,
    made: impl Future<Output = ProbeReport>,
) -> ProbeReport {
    let watch = Stopwatch::start();
    let late = async {
        cut.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        report = CUT.scope(cut.clone(), SERVED.scope(served, made)) => report,
        () = late => {
            let mut report = super::report(job, Outcome::Timeout(Phase::Head));
            report.phases.total = watch.ms();
            report
        }
    }
}

/// Whether the probe that asks was cut short.
pub(super) fn is_cut() -> bool {
    CUT.try_with(CancellationToken::is_cancelled).unwrap_or(false)
}

/// Ends when the probe that asks is cut short.
pub(super) async fn cut() {
    match CUT.try_with(CancellationToken::clone) {
        Ok(cut) => cut.cancelled().await,
        Err(_) => std::future::pending().await,
    }
}

/// What a look found, and when it was made.
type Looks = HashMap<SocketAddr, (Stopwatch, Vec<sys::Unanswered>)>;
static LOOKS: Mutex<Option<Looks>> = Mutex::new(None);

/// The requests that wait there now, or did a moment ago.
async fn unanswered(at: SocketAddr) -> Vec<sys::Unanswered> {
    let fresh = |(made, _): &&(Stopwatch, Vec<sys::Unanswered>)| !made.left(HOLDS).is_zero();
    let known =
        LOOKS.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|looks| looks.get(&at).filter(fresh).cloned());
    if let Some((_, known)) = known {
        return known;
    }
    let found = sys::unanswered(at).await.unwrap_or_default();
    let mut looks = LOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    let looks = looks.get_or_insert_default();
    if looks.len() >= KEPT {
        looks.clear();
    }
    looks.insert(at, (Stopwatch::start(), found.clone()));
    found
}

/// Ends when another request has waited as long as ours would be waited for, with a sentence about it.
pub(super) async fn others_hang(siblings: Option<&Siblings>) -> String {
    let Some(siblings) = siblings else { return std::future::pending().await };
    tokio::time::sleep(LEAST).await;
    loop {
        for at in siblings.at.iter().take(SERVERS) {
            let waiting = unanswered(*at).await;
            let counts = |one: &&sys::Unanswered| {
                u64::from(one.waited_ms) >= siblings.waited_ms && !(one.given_up && one.waited_ms > FORGOTTEN_MS)
            };
            let long: Vec<u32> = waiting.iter().filter(counts).map(|one| one.waited_ms).collect();
            // Where users are served, those who wait may do so on purpose.
            let served = SERVED.try_with(|served| served.load(Ordering::Relaxed)).unwrap_or(false);
            if let Some(oldest) = long.iter().max().filter(|_| !served) {
                let (count, seconds) = (long.len(), oldest / 1_000);
                let (requests, wait) = if count == 1 { ("another request", "waits") } else { ("other requests", "wait") };
                let many = if count == 1 { String::new() } else { format!("{count} ") };
                let oldest = if count == 1 { format!("for {seconds} s") } else { format!("the oldest for {seconds} s") };
                return format!("{many}{requests} {wait} there without a byte of an answer, {oldest}");
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
