//! What the probes found so far, with what it takes to find one of thousands: by job, by subject, by the server behind.
//!
//! A host with a pool of a thousand servers asks for one of them a thousand times in each assessment, so nothing here looks
//! through all.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    ops::Deref,
};

use foldhash::fast::RandomState;

use crate::model::{Outcome, ProbeJob, ProbeReport, Stamp, Subject};

/// Results that are kept of each probe: a minute of the fast cadence, and what a row on the screen shows.
pub const PROBE_RESULTS: usize = 30;
/// Probes that are kept: those of a pool of a thousand servers, and of the plan before. Each takes 1 to 4 KB.
const PROBES: usize = 3_000;
/// So many go at once when there is no room: those that were told of longest ago.
const PROBES_GONE: usize = 300;

/// Probes that show the one request which is looked at in another shape.
const SHAPES: &[&str] = &["no-cache", "as-browser", "http2", "other-family"];
/// Probes that show it as clients of this name see it.
const CLIENTS: &[&str] = &["client", "public-name", "via"];

/// One result of a probe.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeResult {
    /// When it was told.
    pub at: Stamp,
    /// What came of it.
    pub outcome: Outcome,
    /// Milliseconds from begin to end.
    pub ms: f64,
}

/// What a probe found so far.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeHistory {
    /// The last report, whole.
    pub last: ProbeReport,
    /// The last results, oldest first.
    pub results: VecDeque<ProbeResult>,
    /// Results since the run began.
    pub tries: u64,
}

/// All of them, in the order in which they were first told of.
#[derive(Debug, Clone, Default)]
pub struct Histories {
    all: Vec<ProbeHistory>,
    /// Places in `all`, in order.
    by_kind: Places<String>,
    by_subject: Places<Subject>,
    /// Of requests through a gateway, by the servers that they can reach.
    by_upstream: Places<Subject>,
    /// Servers that a request could reach before, and reaches no more: the configuration was changed.
    left: HashSet<Subject, RandomState>,
}

type Places<K> = HashMap<K, Vec<usize>, RandomState>;

impl Histories {
    /// Takes a report in.
    pub fn take(&mut self, at: Stamp, report: ProbeReport) {
        if self.of_kind(&report.job.probe).any(|history| replaces(&report.job, &history.last.job)) {
            self.all.retain(|history| !replaces(&report.job, &history.last.job));
            self.index_all();
        }
        let result = ProbeResult { at, outcome: report.outcome.clone(), ms: report.phases.total };
        if let Some(place) = self.place(&report.job) {
            let history = &mut self.all[place];
            if history.results.len() == PROBE_RESULTS {
                history.results.pop_front();
            }
            history.results.push_back(result);
            history.tries += 1;
            let before = std::mem::replace(&mut history.last, report).job.upstreams;
            if history.last.job.upstreams != before {
                let now = &history.last.job.upstreams;
                self.left.extend(before.into_iter().filter(|upstream| !now.contains(upstream)));
                self.index_all();
            }
            return;
        }
        if self.all.len() >= PROBES {
            self.make_room();
        }
        self.all.push(ProbeHistory { last: report, results: VecDeque::from([result]), tries: 1 });
        self.index(self.all.len() - 1);
    }

    /// The history of one job.
    pub fn of(&self, job: &ProbeJob) -> Option<&ProbeHistory> {
        self.place(job).map(|place| &self.all[place])
    }

    /// Those of one kind of probe.
    pub fn of_kind(&self, probe: &str) -> impl Iterator<Item = &ProbeHistory> + use<'_> {
        self.by_kind.get(probe).into_iter().flatten().map(|place| &self.all[*place])
    }

    /// Those of one kind of probe about one subject.
    pub fn about<'a>(&'a self, probe: &'a str, subject: &Subject) -> impl Iterator<Item = &'a ProbeHistory> + use<'a> {
        let all = self.by_subject.get(subject).into_iter().flatten().map(|place| &self.all[*place]);
        all.filter(move |history| history.last.job.probe == probe)
    }

    /// Those of requests through a gateway that can reach this server.
    pub fn through(&self, upstream: &Subject) -> impl Iterator<Item = &ProbeHistory> + use<'_> {
        self.by_upstream.get(upstream).into_iter().flatten().map(|place| &self.all[*place])
    }

    /// Lets go of what was found in a way in which nothing is tried any more, once the present way has told something: of a server,
    /// as one of a large pool is now asked for a page, now only connected to, and now seldom; and of servers that no request reaches any
    /// more. `loaded`: what is planned is what runs; until then requests go where they went before the edit.
    pub fn supersede(&mut self, planned: &[ProbeJob], loaded: bool) {
        let left = if loaded { self.left_over(planned) } else { Vec::new() };
        let over: HashSet<usize> = self.servers_over(planned).into_iter().chain(left).collect();
        if !over.is_empty() {
            let mut place = 0..;
            self.all.retain(|_| place.next().is_none_or(|place| !over.contains(&place)));
            self.index_all();
        }
    }

    fn servers_over(&self, planned: &[ProbeJob]) -> Vec<usize> {
        let planned: Vec<&ProbeJob> = planned.iter().filter(|job| job.probe == "upstream").collect();
        let known = self.by_kind.get("upstream").map(Vec::as_slice).unwrap_or_default();
        if known.len() <= planned.len() {
            return Vec::new();
        }
        let light = |job: &ProbeJob| job.request.is_none() || job.every_ms.is_some();
        let mut of_subject: HashMap<&Subject, Vec<&ProbeJob>> = HashMap::new();
        for job in planned.into_iter().filter(|job| self.of(job).is_some()) {
            of_subject.entry(&job.subject).or_default().push(job);
        }
        let over = |place: &usize| {
            let job = &self.all[*place].last.job;
            let now = of_subject.get(&job.subject);
            now.is_some_and(|now| !now.contains(&job) && now.iter().any(|other| light(other) || light(job)))
        };
        known.iter().copied().filter(over).collect()
    }

    fn left_over(&mut self, planned: &[ProbeJob]) -> Vec<usize> {
        let in_use = |subject: &Subject| planned.iter().any(|job| job.subject == *subject || job.upstreams.contains(subject));
        let gone: Vec<Subject> = self.left.extract_if(|subject| !in_use(subject)).collect();
        gone.iter().filter_map(|subject| self.by_subject.get(subject)).flatten().copied().collect()
    }

    fn place(&self, job: &ProbeJob) -> Option<usize> {
        self.by_subject.get(&job.subject)?.iter().copied().find(|place| same(&self.all[*place].last.job, job))
    }

    fn index(&mut self, place: usize) {
        let job = &self.all[place].last.job;
        self.by_kind.entry(job.probe.clone()).or_default().push(place);
        self.by_subject.entry(job.subject.clone()).or_default().push(place);
        if job.probe == "gateway" {
            for upstream in &job.upstreams {
                let places = self.by_upstream.entry(upstream.clone()).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
    }

    /// Lets go of what was told of longest ago: what is planned now is told of again and again.
    fn make_room(&mut self) {
        let told = |history: &ProbeHistory| history.results.back().map(|result| result.at);
        let mut times: Vec<Option<Stamp>> = self.all.iter().map(told).collect();
        times.sort_unstable();
        let (limit, mut left) = (times[PROBES_GONE.min(times.len()) - 1], PROBES_GONE);
        self.all.retain(|history| {
            let goes = left > 0 && told(history) <= limit;
            left -= usize::from(goes);
            !goes
        });
        self.index_all();
    }

    fn index_all(&mut self) {
        (self.by_kind, self.by_subject, self.by_upstream) = Default::default();
        (0..self.all.len()).for_each(|place| self.index(place));
    }
}

/// Whether a view of a request takes the place of another: once the logs have named one that fails, nobody looks at the former.
fn replaces(job: &ProbeJob, before: &ProbeJob) -> bool {
    let probe = job.probe.as_str();
    let view = SHAPES.contains(&probe) || CLIENTS.contains(&probe) && job.address == before.address;
    view && probe == before.probe && job != before
}

/// Whether two jobs are one and the same probe. What is asked of a gateway is the same whoever answers behind it: an outage that an edit
/// of its configuration has ended is one that is over, and no other.
fn same(one: &ProbeJob, other: &ProbeJob) -> bool {
    one == other
        || one.probe == "gateway"
            && one.upstreams != other.upstreams
            && (&one.probe, &one.subject, &one.address, one.protocol)
                == (&other.probe, &other.subject, &other.address, other.protocol)
            && (&one.request, &one.sni, &one.via) == (&other.request, &other.sni, &other.via)
}

impl PartialEq for Histories {
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

impl Deref for Histories {
    type Target = [ProbeHistory];

    fn deref(&self) -> &[ProbeHistory] {
        &self.all
    }
}

/// What a report tells may be changed so, not what it is about.
impl<'a> IntoIterator for &'a mut Histories {
    type Item = &'a mut ProbeHistory;
    type IntoIter = std::slice::IterMut<'a, ProbeHistory>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter_mut()
    }
}

impl<'a> IntoIterator for &'a Histories {
    type Item = &'a ProbeHistory;
    type IntoIter = std::slice::Iter<'a, ProbeHistory>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Phases, Protocol};

    fn report(probe: &str, address: &str, upstreams: &[&str], outcome: Outcome) -> ProbeReport {
        let job = ProbeJob {
            upstreams: upstreams.iter().map(|one| Subject((*one).to_owned())).collect(),
            ..ProbeJob::new(probe, Subject(address.to_owned()), address.parse().expect("address"), Protocol::Http, (1_000, 1_000))
        };
        ProbeReport { phases: Phases { total: 1.0, ..Phases::default() }, ..ProbeReport::new(job, outcome) }
    }

    fn at(ms: u64) -> Stamp {
        Stamp { run_ms: ms, wall_ms: 0 }
    }

    #[test]
    fn each_is_found_by_what_it_is_about() {
        let mut known = Histories::default();
        known.take(at(1), report("gateway", "127.0.0.1:80", &["10.0.0.1:80", "10.0.0.2:80"], Outcome::Status(502)));
        known.take(at(2), report("upstream", "10.0.0.1:80", &[], Outcome::Refused));
        known.take(at(3), report("reach", "10.0.0.1:80", &[], Outcome::Open));
        known.take(at(4), report("upstream", "10.0.0.1:80", &[], Outcome::Refused));
        let subject = Subject("10.0.0.1:80".to_owned());
        let found: Vec<u64> = known.about("upstream", &subject).map(|history| history.tries).collect();
        assert_eq!((known.len(), found), (3, vec![2]));
        assert_eq!(known.through(&subject).count(), 1);
        assert_eq!(known.through(&Subject("10.0.0.3:80".to_owned())).count(), 0);
        assert_eq!(known.of_kind("reach").count(), 1);
        let job = report("upstream", "10.0.0.1:80", &[], Outcome::Open).job;
        assert_eq!(known.of(&job).map(|history| history.results.len()), Some(2));
    }

    #[test]
    fn a_server_that_is_tried_in_another_way_is_told_of_in_that_way_alone() {
        let mut known = Histories::default();
        let bare = report("upstream", "10.0.0.1:80", &[], Outcome::Refused);
        let mut asked = bare.clone();
        asked.job.request = Some(crate::model::HttpRequest {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            query: None,
            host: "shop".to_owned(),
            headers: Vec::new(),
            params: Vec::new(),
        });
        asked.outcome = Outcome::Status(200);
        let other = report("upstream", "10.0.0.2:80", &[], Outcome::Refused);
        known.take(at(1), bare.clone());
        known.take(at(1), other);
        known.supersede(std::slice::from_ref(&asked.job), true);
        assert_eq!(known.len(), 2, "nothing is known of it in the new way yet");
        known.take(at(2), asked.clone());
        known.supersede(&[asked.job.clone(), bare.job], true);
        assert_eq!(known.len(), 3, "both ways are planned");
        known.supersede(std::slice::from_ref(&asked.job), true);
        let left: Vec<&Outcome> = known.iter().map(|history| &history.last.outcome).collect();
        assert_eq!(left, [&Outcome::Refused, &Outcome::Status(200)], "that of the other server, and the new way");
    }

    #[test]
    fn a_view_of_another_request_takes_the_place_of_the_former() {
        let mut known = Histories::default();
        let views = |subject: &str, outcome: Outcome| {
            ["as-browser", "client"].map(|probe| {
                let mut view = report(probe, "127.0.0.1:80", &[], outcome.clone());
                view.job.subject = Subject(subject.to_owned());
                view
            })
        };
        for view in views("/", Outcome::Status(502)) {
            known.take(at(1), view);
        }
        known.take(at(1), report("client", "10.0.0.9:80", &[], Outcome::Refused));
        known.take(at(1), report("gateway", "127.0.0.1:80", &[], Outcome::Status(502)));
        for view in views("/cart", Outcome::Status(200)) {
            known.take(at(2), view);
        }
        let left: Vec<(&str, &Outcome)> =
            known.iter().map(|history| (history.last.job.probe.as_str(), &history.last.outcome)).collect();
        let served = Outcome::Status(200);
        let others = [("client", &Outcome::Refused), ("gateway", &Outcome::Status(502))];
        assert_eq!(
            left,
            [others[0], others[1], ("as-browser", &served), ("client", &served)],
            "another name's and the request itself stay"
        );
    }

    #[test]
    fn a_request_stays_the_same_when_an_edit_sends_it_elsewhere() {
        let mut known = Histories::default();
        known.take(at(1), report("gateway", "127.0.0.1:80", &["10.0.0.1:80", "10.0.0.2:80"], Outcome::Status(502)));
        known.take(at(1), report("upstream", "10.0.0.1:80", &[], Outcome::Refused));
        known.take(at(1), report("upstream", "10.0.0.2:80", &[], Outcome::Open));
        let now = report("gateway", "127.0.0.1:80", &["10.0.0.2:80", "10.0.0.3:80"], Outcome::Status(200));
        known.take(at(2), now.clone());
        let results: Vec<usize> = known.of_kind("gateway").map(|history| history.results.len()).collect();
        assert_eq!(results, [2], "it failed, and is served");
        let through = |address: &str| known.through(&Subject(address.to_owned())).count();
        assert_eq!(["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"].map(through), [0, 1, 1]);
        known.supersede(std::slice::from_ref(&now.job), false);
        assert_eq!(known.of_kind("upstream").count(), 2, "what runs connects to it");
        known.supersede(&[now.job], true);
        let left: Vec<&str> = known.of_kind("upstream").map(|history| history.last.job.subject.0.as_str()).collect();
        assert_eq!(left, ["10.0.0.2:80"], "nobody connects to the other any more");
    }

    #[test]
    fn what_was_told_of_longest_ago_makes_room() {
        let mut known = Histories::default();
        let address = |number: usize| format!("10.{}.{}.1:80", number / 250, number % 250);
        for number in 0..PROBES {
            known.take(at(number as u64), report("upstream", &address(number), &[], Outcome::Open));
        }
        // The first is still planned, and told of again.
        known.take(at(PROBES as u64), report("upstream", &address(0), &[], Outcome::Open));
        known.take(at(PROBES as u64 + 1), report("upstream", &address(PROBES), &[], Outcome::Open));
        assert_eq!(known.len(), PROBES - PROBES_GONE + 1);
        let there = |number: usize| known.about("upstream", &Subject(address(number))).count();
        assert_eq!([there(0), there(1), there(PROBES_GONE), there(PROBES_GONE + 1), there(PROBES)], [1, 0, 0, 1, 1]);
    }
}
