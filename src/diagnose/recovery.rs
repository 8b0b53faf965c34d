//! The all-clear: whether what failed while we looked is over, by numbers. One request that is served proves little; so many of so
//! many bound the share that still fails.

use super::{LogGroup, Moment, MomentKind, Scene, symptom};
use crate::model::{ChangeKind, ProbeReport, Share, Stamp, clock_of, text};

/// The share of requests that may still fail, at the confidence of [`Share::interval`] (95 %), when the all-clear is given. Of what
/// failed for a few all the while, it is half of their share.
const CLEAR: f64 = 0.05;
/// The share of the users' requests that failed, above which the end of it is told: on large sites a few fail at all times.
const NOTABLE: f64 = 0.01;
/// Seconds up to the last failure of a user's request, in which the share is counted.
const BEFORE_S: i64 = 60;
/// Seconds before the first request that was served again in which a change is told as what made the difference: what was changed may
/// have to start first.
const DIFFERENCE_S: i64 = 60;

/// Failures of requests through a gateway, and what came after the last of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Track {
    failed: Option<Stamp>,
    served: Option<Stamp>,
    count: u64,
}

impl Track {
    /// Takes a report in.
    pub(super) fn take(&mut self, at: Stamp, report: &ProbeReport) {
        use crate::model::Outcome;
        if report.job.probe != "gateway" || matches!(report.outcome, Outcome::Skipped(_) | Outcome::Open) {
            return;
        }
        if symptom::failed(&report.outcome) {
            *self = Self { failed: Some(at), ..Self::default() };
        } else if self.failed.is_some() {
            self.served.get_or_insert(at);
            self.count += 1;
        }
    }
}

/// Failures of the users' requests while ours were all served, as on one page of many.
#[derive(Debug, Clone, Copy)]
struct UsersFailed {
    /// The last of them, in seconds since the Unix epoch.
    last: i64,
    /// The share that failed before.
    share: f64,
}

impl UsersFailed {
    fn of(scene: &Scene) -> Option<Self> {
        let fails = |group: &LogGroup| matches!(group.meaning.status, Some(500..=599));
        let failures = symptom::requests_of_others(scene, i64::MIN).filter(|(group, _)| fails(group));
        let last = failures.filter_map(|(group, _)| group.seconds.back()).map(|(second, _)| *second).max()?;
        let mut before = Share::default();
        for (group, lines) in symptom::requests_of_others(scene, last - BEFORE_S) {
            let after: u32 = group.seconds.iter().filter(|(second, _)| *second > last).map(|(_, lines)| *lines).sum();
            let lines = lines.saturating_sub(u64::from(after));
            before.all += lines;
            before.hits += if fails(group) { lines } else { 0 };
        }
        before.value().filter(|share| *share >= NOTABLE).map(|share| Self { last, share })
    }
}

/// How it stands after failures that we saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// When the first request was served again, in seconds since the Unix epoch.
    pub since: i64,
    /// Requests that failed since then, of all: our own and the users'.
    pub share: Share,
    /// Of those, the users'.
    pub users: u64,
    /// The largest share that may still fail, at 95 %.
    pub at_most: f64,
    /// The share that may still fail when the all-clear is given.
    pub clear_at: f64,
    /// What was changed right before.
    pub change: Option<(String, i64)>,
}

impl Recovery {
    /// How it stands. `None`: nothing failed while we looked, or nobody was served since.
    pub fn of(scene: &Scene, moments: &[Moment]) -> Option<Self> {
        let (failed, since, ours, clear_at) = match scene.track {
            Track { failed: Some(failed), served, count } => (failed.wall_s(), served?.wall_s(), count, CLEAR),
            // What always was served proves nothing of what was not.
            Track { failed: None, .. } => {
                UsersFailed::of(scene).map(|users| (users.last, users.last, 0, CLEAR.min(users.share / 2.0)))?
            }
        };
        let mut users = Share::default();
        // The second in which it turned may hold failures of before.
        for (group, lines) in symptom::requests_of_others(scene, since + 1) {
            users.all += lines;
            users.hits += if matches!(group.meaning.status, Some(500..=599)) { lines } else { 0 };
        }
        let share = Share { hits: users.hits, all: users.all + ours };
        if share.all == 0 {
            return None;
        }
        let made = |moment: &&Moment| {
            let kind = match moment.kind {
                MomentKind::Change(ChangeKind::Login | ChangeKind::Job)
                | MomentKind::Died
                | MomentKind::Onset
                | MomentKind::Served
                | MomentKind::Look
                | MomentKind::Turn
                | MomentKind::Note => false,
                MomentKind::Change(_) | MomentKind::Edit | MomentKind::Load => true,
            };
            kind && moment.at <= since + 1 && moment.at >= failed - DIFFERENCE_S
        };
        let change = moments.iter().rfind(made).map(|moment| (moment.what.clone(), moment.at));
        Some(Self { since, share, users: users.all, at_most: share.interval().1, clear_at, change })
    }

    /// The moment for the line of time.
    pub fn moment(&self, scene: &Scene) -> Moment {
        let what = if self.clear() { "requests are served again: all-clear" } else { "requests are served again" };
        Moment {
            kind: MomentKind::Served,
            what: what.to_owned(),
            at: self.since,
            source: "probes and logs".to_owned(),
            by: None,
            concerns: Vec::new(),
            before: super::changes::onset(scene).map(|onset| onset - self.since),
            suspect: false,
            first: false,
        }
    }

    /// Whether the all-clear is given.
    pub fn clear(&self) -> bool {
        self.at_most <= self.clear_at
    }

    /// One sentence.
    pub fn words(&self) -> String {
        let (hits, all) = (text::thousands(self.share.hits), text::thousands(self.share.all));
        let users = if self.users > 0 { format!(", {} of them users'", text::thousands(self.users)) } else { String::new() };
        let at = format!("{}Z", clock_of(self.since));
        let change =
            self.change.as_ref().map_or_else(String::new, |(what, at)| format!("; just before, at {}Z: {what}", clock_of(*at)));
        let bound = format!("at most {:.1} % fail, at 95 %", self.at_most * 100.0);
        if self.clear() {
            return format!("recovered at {at}: {hits} of {all} requests failed since{users} ({bound}){change}");
        }
        let digits = usize::from(self.clear_at < CLEAR);
        let wait = format!("the all-clear waits for {:.digits$} %", self.clear_at * 100.0);
        format!("served again since {at}: {hits} of {all} requests failed{users} ({bound}; {wait}){change}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Address, LogBatch, LogCount, LogFormat, Outcome, ProbeJob, Protocol, SourceKind, Subject};

    fn at(second: i64) -> Stamp {
        Stamp { run_ms: u64::try_from(second).unwrap_or(0) * 1000, wall_ms: second * 1000 }
    }

    fn tell(scene: &mut Scene, second: i64, status: u16) {
        let address = Address::Tcp(([127, 0, 0, 1], 80).into());
        let job = ProbeJob::new("gateway", Subject("nginx".to_owned()), address, Protocol::Http, (1_000, 10_000));
        scene.observe(at(second), crate::model::Observation::Probe(Box::new(ProbeReport::new(job, Outcome::Status(status)))));
    }

    fn moment(kind: MomentKind, what: &str, at: i64) -> Moment {
        let (what, source) = (what.to_owned(), String::new());
        Moment { kind, what, at, source, by: None, concerns: Vec::new(), before: None, suspect: false, first: false }
    }

    #[test]
    fn the_users_of_a_gateway_with_one_log_for_all_count_too() {
        let mut scene = Scene::default();
        tell(&mut scene, 101, 503);
        tell(&mut scene, 102, 200);
        let line = "Nov 21 02:17:41 gw1 haproxy[58]: 10.0.0.9:41782 [21/Nov/2026:02:17:41.003] web app/a 0/0/1/2/3 200 145 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"";
        let count =
            LogCount { second: Some(104), key: "200 GET".to_owned(), count: 40, first: line.to_owned(), ..LogCount::default() };
        let batch = LogBatch {
            source: "/var/log/haproxy.log".to_owned(),
            kind: SourceKind::Error,
            format: LogFormat::Plain,
            counts: vec![count],
            lookback: false,
            dropped: 0,
        };
        scene.observe(at(105), crate::model::Observation::Log(batch));
        let recovery = Recovery::of(&scene, &[]).expect("it is served again");
        assert_eq!((recovery.share, recovery.users), (Share { hits: 0, all: 41 }, 40));
    }

    /// Lines of an access log: so many in one second.
    fn users(scene: &mut Scene, second: i64, status: u16, count: u32) {
        let line = format!("10.0.0.9 - - [01/Jan/1970:00:00:00 +0000] \"GET /api HTTP/1.1\" {status} 150 \"-\" \"Mozilla/5.0\"");
        let count = LogCount { second: Some(second), key: format!("{status} GET"), count, first: line, ..LogCount::default() };
        let batch = LogBatch {
            source: "/var/log/nginx/access.log".to_owned(),
            kind: SourceKind::Access,
            format: LogFormat::Plain,
            counts: vec![count],
            lookback: false,
            dropped: 0,
        };
        scene.observe(at(second), crate::model::Observation::Log(batch));
    }

    #[test]
    fn a_page_that_failed_for_others_recovers_too() {
        let mut scene = Scene::default();
        tell(&mut scene, 100, 200);
        users(&mut scene, 101, 200, 90);
        assert_eq!(Recovery::of(&scene, &[]), None, "nothing failed");
        users(&mut scene, 102, 502, 10);
        tell(&mut scene, 103, 200);
        assert_eq!(Recovery::of(&scene, &[]), None, "of what failed nobody knows yet");
        users(&mut scene, 104, 200, 60);
        let first = Recovery::of(&scene, &[]).expect("they are served");
        assert_eq!((first.since, first.share, first.clear()), (102, Share { hits: 0, all: 60 }, false));
        assert!(
            first
                .words()
                .contains("of 60 requests failed, 60 of them users' (at most 6.0 % fail, at 95 %; the all-clear waits for 5 %)"),
            "{}",
            first.words()
        );
        users(&mut scene, 105, 200, 60);
        assert!(Recovery::of(&scene, &[]).expect("they are served").clear());
        users(&mut scene, 106, 200, 5_000);
        users(&mut scene, 107, 502, 2);
        users(&mut scene, 109, 200, 5_000);
        assert_eq!(Recovery::of(&scene, &[]), None, "a few fail at all times");
    }

    #[test]
    fn one_lucky_request_is_no_all_clear_and_seventy_three_are() {
        let mut scene = Scene::default();
        tell(&mut scene, 100, 200);
        assert_eq!(Recovery::of(&scene, &[]), None, "nothing failed");
        tell(&mut scene, 101, 502);
        assert_eq!(Recovery::of(&scene, &[]), None, "it fails");
        tell(&mut scene, 102, 200);
        let first = Recovery::of(&scene, &[]).expect("it is served again");
        assert!(!first.clear());
        assert_eq!(
            first.words(),
            "served again since 00:01:42Z: 0 of 1 requests failed (at most 79.3 % fail, at 95 %; the all-clear waits for 5 %)"
        );
        (103..175).for_each(|second| tell(&mut scene, second, 200));
        let moments = [
            moment(MomentKind::Change(ChangeKind::Start), "nginx loaded its configuration", 101),
            moment(MomentKind::Change(ChangeKind::Login), "root logged in", 102),
            moment(MomentKind::Change(ChangeKind::Config), "a later edit", 140),
        ];
        let then = Recovery::of(&scene, &moments).expect("it is served again");
        assert_eq!((then.share, then.clear()), (Share { hits: 0, all: 73 }, true));
        assert_eq!(
            then.words(),
            "recovered at 00:01:42Z: 0 of 73 requests failed since (at most 5.0 % fail, at 95 %); just before, at 00:01:41Z: nginx loaded its configuration"
        );
        tell(&mut scene, 180, 502);
        assert_eq!(Recovery::of(&scene, &[]), None, "it fails again");
        tell(&mut scene, 181, 200);
        assert!(!Recovery::of(&scene, &[]).expect("served").clear(), "it counts from the last failure");
    }
}
