//! Calls that may hang or take their time (a stat, a read, a walk through /proc), off the async threads.
//!
//! tokio's pool wakes another thread for each call. Those who look again do so together, on the beat of the run, so their calls are
//! short and come in bundles: here one thread makes them one after the other, and sleeps in between. One that takes longer keeps that
//! thread for itself, and the others get another one, so that nobody waits behind what hangs. Their answers come in bundles, too: each by
//! itself would wake whoever asked once more.
//!
//! What must not be here: how long whoever asked waits, and how many calls may hang. To each its own deadline.

use std::{
    collections::{HashMap, VecDeque},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    sync::oneshot,
    time::Instant,
};

/// How long a call may take before those behind it get another thread.
const SHORT: Duration = Duration::from_millis(5);
/// How long a call waits for its turn before it gets another thread.
const TURN: Duration = Duration::from_millis(20);

/// Gives its answer to whoever asked.
type Delivery = Box<dyn FnOnce() + Send>;

/// What is to be done.
type Call = Box<dyn FnOnce() -> Option<Delivery> + Send>;

/// A call, and when it was asked for.
struct Job {
    asked: Instant,
    call: Call,
}

/// The calls of one runtime: the tests have several in a process.
#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    /// Answers that wait for those of the calls behind them.
    done: Vec<Delivery>,
    /// The thread that takes from it, by a number, and when it began with its present call.
    taker: Option<(u64, Instant)>,
}

/// Threads that took from any line so far: no number is given twice.
static TAKERS: AtomicU64 = AtomicU64::new(0);
static LINES: Mutex<Option<HashMap<Id, Line>>> = Mutex::new(None);

/// The lines of all runtimes.
fn lines() -> MutexGuard<'static, Option<HashMap<Id, Line>>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a call where nothing waits for it but the one who asks. `None`: it panicked, or the run is over.
pub async fn aside<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, mut answer) = oneshot::channel();
    let call: Call = Box::new(move || {
        // A defect in one call is no reason to leave those behind it undone.
        let result = catch_unwind(AssertUnwindSafe(call)).ok()?;
        let deliver: Delivery = Box::new(move || {
            // Who asked may have given up.
            let _ = done.send(result);
        });
        Some(deliver)
    });
    let handle = ask(call).await;
    loop {
        tokio::select! {
            biased;
            answered = &mut answer => return answered.ok(),
            () = tokio::time::sleep(TURN) => {
                let (held, taker) = match lines().get_or_insert_default().get_mut(&handle.id()) {
                    Some(line) => (std::mem::take(&mut line.done), (!line.jobs.is_empty()).then(|| line.next_taker())),
                    None => (Vec::new(), None),
                };
                // The thread that was to do so is at a call that takes its time.
                for deliver in held {
                    deliver();
                }
                if let Some(taker) = taker {
                    hire(&handle, taker);
                } else {
                    // It is under way, or gone.
                    return answer.await.ok();
                }
            }
        }
    }
}

/// The same where nobody waits for an answer: who makes it tells those whom it concerns, and wakes nobody where it concerns none. Another
/// one may be asked for when what this gives is gone.
pub async fn left(call: impl FnOnce() + Send + 'static) -> Weak<()> {
    let under_way = Arc::new(());
    let left = Arc::downgrade(&under_way);
    let call = move || {
        // As above.
        let _ = catch_unwind(AssertUnwindSafe(call));
        drop(under_way);
        None
    };
    ask(Box::new(call)).await;
    left
}

/// Puts a call into the line of this runtime.
async fn ask(call: Call) -> Handle {
    let handle = Handle::current();
    let wants_thread = |line: &Line| !line.jobs.is_empty() && line.taker.is_none_or(|(_, began)| began.elapsed() >= SHORT);
    let wanted = {
        let mut lines = lines();
        let line = lines.get_or_insert_default().entry(handle.id()).or_default();
        line.jobs.push_back(Job { asked: Instant::now(), call });
        wants_thread(line)
    };
    if wanted {
        // Those who were woken by the same moment have calls, too: one thread is woken for all of them.
        tokio::task::yield_now().await;
        let taker = lines().get_or_insert_default().get_mut(&handle.id()).filter(|line| wants_thread(line)).map(Line::next_taker);
        if let Some(taker) = taker {
            hire(&handle, taker);
        }
    }
    handle
}

/// [`aside`] before there is a runtime, and waited for so long at most. `None`: it took longer, or panicked; its thread ends with it, or with
/// the process. An error: there is no thread to be had.
pub fn within<T: Send + 'static>(patience: Duration, call: impl FnOnce() -> T + Send + 'static) -> io::Result<Option<T>> {
    let (tell, told) = mpsc::channel();
    // Nobody waits for what comes late.
    std::thread::Builder::new().spawn(move || tell.send(call()))?;
    Ok(told.recv_timeout(patience).ok())
}

impl Line {
    /// Has another thread take from it, which is to be hired by this number when nobody holds the line: it would have to wait at once. The one
    /// before ends with the call that it is at.
    fn next_taker(&mut self) -> u64 {
        let taker = TAKERS.fetch_add(1, Ordering::Relaxed);
        self.taker = Some((taker, Instant::now()));
        taker
    }
}

fn hire(handle: &Handle, me: u64) {
    let (id, runtime) = (handle.id(), handle.clone());
    handle.spawn_blocking(move || {
        while let Some(job) = next(&runtime, me) {
            let asked = job.asked;
            if let Some(deliver) = (job.call)() {
                hand_over(id, me, asked, deliver);
            }
        }
    });
}

/// Gives an answer with those of the calls behind it, where there are some; at once where whoever asked may not look for it any more:
/// after [`TURN`] nobody does.
fn hand_over(id: Id, me: u64, asked: Instant, deliver: Delivery) {
    if asked.elapsed() < TURN / 2
        && let Some(line) = lines().as_mut().and_then(|all| all.get_mut(&id))
        && line.taker.is_some_and(|(taker, _)| taker == me)
    {
        line.done.push(deliver);
    } else {
        deliver();
    }
}

/// The next call for this thread. `None`: there is none, or another thread has taken over.
fn next(runtime: &Handle, me: u64) -> Option<Job> {
    let held = {
        let mut lines = lines();
        let all = lines.as_mut()?;
        let line = all.get_mut(&runtime.id()).filter(|line| line.taker.is_some_and(|(taker, _)| taker == me))?;
        if let Some(job) = line.jobs.pop_front() {
            line.taker = Some((me, Instant::now()));
            return Some(job);
        }
        all.remove(&runtime.id())?.done
    };
    // Each would wake the runtime by itself.
    if !held.is_empty() {
        runtime.spawn(async move {
            for deliver in held {
                deliver();
            }
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn short_calls_share_a_thread_and_one_that_hangs_holds_up_nobody() {
        let threads = futures_util::future::join_all((0..20).map(|_| aside(|| std::thread::current().id()))).await;
        let threads: std::collections::HashSet<_> = threads.into_iter().map(|id| id.expect("an answer")).collect();
        assert!(threads.len() < 20, "{threads:?}");
        let (free, stuck) = mpsc::channel::<()>();
        let hangs = tokio::spawn(aside(move || stuck.recv().is_ok()));
        let behind = futures_util::future::join_all((0..20).map(|n| aside(move || n))).await;
        assert_eq!(behind, (0..20).map(Some).collect::<Vec<_>>());
        assert!(!hangs.is_finished());
        free.send(()).expect("it hangs");
        assert_eq!(hangs.await.expect("no panic"), Some(true));
    }

    /// What is done is not held back by what hangs behind it.
    #[tokio::test]
    async fn an_answer_before_a_call_that_hangs_comes_all_the_same() {
        let (free, stuck) = mpsc::channel::<()>();
        let (done, hangs) = (tokio::spawn(aside(|| 1)), tokio::spawn(aside(move || stuck.recv().is_ok())));
        assert_eq!(done.await.expect("no panic"), Some(1));
        assert!(!hangs.is_finished());
        free.send(()).expect("it hangs");
        assert_eq!(hangs.await.expect("no panic"), Some(true));
    }

    #[test]
    fn what_hangs_before_the_runtime_is_waited_for_so_long_and_no_longer() {
        let (free, stuck) = mpsc::channel::<()>();
        let hangs = within(Duration::from_millis(10), move || stuck.recv().is_ok());
        assert_eq!(hangs.expect("a thread"), None);
        drop(free);
        assert_eq!(within(Duration::from_mins(1), || 7).expect("a thread"), Some(7));
    }

    #[tokio::test]
    async fn a_defect_in_one_call_leaves_the_others_alone() {
        let (broken, fine) = tokio::join!(aside(|| -> u8 { std::panic::panic_any("as the test asks") }), aside(|| 7));
        assert_eq!((broken, fine), (None, Some(7)));
    }

    #[test]
    fn a_runtime_that_went_away_leaves_nothing_behind() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        assert_eq!(runtime.block_on(aside(|| 1)), Some(1));
        let id = runtime.handle().id();
        drop(runtime);
        assert!(lines().as_ref().is_none_or(|lines| !lines.contains_key(&id)));
    }

    #[tokio::test]
    async fn what_is_left_behind_is_done_and_says_when() {
        let (free, stuck) = mpsc::channel::<()>();
        let left = left(move || assert!(stuck.recv().is_ok())).await;
        assert_eq!(aside(|| 1).await, Some(1), "nobody waits behind it");
        assert!(left.upgrade().is_some());
        free.send(()).expect("it waits");
        while left.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    }
}
