//! Requests of others that go on to fail while our own are served: what we ask for is one page, without cookies, by GET.
//!
//! Only an access log tells of them, and what it has of before we looked may be over. Nothing here says what is broken.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{LogGroup, Scene, recent::RecentLine};
use crate::model::{Share, SourceKind, logline};

/// Seconds of the logs that are looked at.
const NOW_S: i64 = 60;
/// Requests of one kind that must have failed.
const FAILURES: u64 = 3;
/// Requests of others of which they must be so many, as a share: less is what a busy site has in its best hours.
const SHARE: f64 = 0.02;
/// Seconds without a failure after which it is over, whatever the pauses were before.
const QUIET_S: i64 = 10;
/// Pauses between failures, on an average, that may have passed since the last one.
const PAUSES: i64 = 3;
/// What a server says of a method or a version that it does not know (RFC 9110 sections 15.6.2 and 15.6.6): scanners ask so.
const STRANGE: &[u16] = &[501, 505];
/// What is so unlikely is no chance: so many served in a row, of those that fail by chance.
const CHANCE: f64 = 0.05;
/// Requests that must have failed after our own was served, to tell that it is others who are not.
const BEHIND_OURS: u64 = 2;
/// RFC 9110 section 15.6.5.
const GATEWAY_TIMEOUT: u16 = 504;
/// Requests of other kinds that must have been served meanwhile, to tell a fault of this kind from an outage of all that may be over.
const MEANWHILE: u64 = 3;

/// A line of the access log: requests of one kind in one second.
#[derive(Debug)]
struct Requests<'a> {
    kind: Kind,
    second: i64,
    count: u64,
    /// The status by which they failed.
    failed: Option<u16>,
    /// Whether we asked.
    ours: bool,
    /// Who asked, where the line tells.
    client: Option<Cow<'a, str>>,
}

/// What may fail as one: method and path, and whether there is a query, which a page may fail by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    method: String,
    path: String,
    query: bool,
}

/// The share of the latest requests of others that are of a kind which fails now, and its commonest status. `None`: none is.
pub fn ongoing(scene: &Scene) -> Option<(Share, u16)> {
    let lines = latest(scene);
    let all = lines.iter().filter(|line| !line.ours).map(|line| line.count).sum();
    let (mut failing, mut statuses) = (Share { hits: 0, all }, BTreeMap::<u16, u64>::new());
    for kind in of_others(&lines).values().filter(|kind| goes_on(scene, kind, &lines)) {
        for (count, status) in kind.iter().filter_map(|(_, line)| Some((line.count, line.failed?))) {
            failing.hits += count;
            *statuses.entry(status).or_default() += count;
        }
    }
    let (status, _) = statuses.into_iter().max_by_key(|(status, count)| (*count, *status))?;
    failing.value().filter(|share| *share >= SHARE).map(|_| (failing, status))
}

/// Whether requests of others failed within the last seconds: a little later it is known whether they go on to.
pub fn may_go_on(scene: &Scene) -> bool {
    let lines = latest(scene);
    let from = scene.now.wall_s() - QUIET_S;
    let failed = lines.iter().filter(|line| line.failed.is_some() && line.second >= from).map(|line| line.count);
    failed.sum::<u64>() >= FAILURES
}

/// Whether others' requests have begun to fail behind our own that was served: another one tells that they go on to.
pub fn one_more_tells(scene: &Scene) -> bool {
    let lines = latest(scene);
    of_others(&lines).values().any(|kind| (1..BEHIND_OURS).contains(&behind_ours(kind, &lines)))
}

/// Requests of others by kind, each with its place among all.
fn of_others<'a>(lines: &'a [Requests<'a>]) -> BTreeMap<&'a Kind, Vec<(usize, &'a Requests<'a>)>> {
    let mut kinds: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.ours) {
        kinds.entry(&line.kind).or_default().push((at, line));
    }
    kinds
}

/// The latest requests, oldest first; none where all of others were served.
fn latest(scene: &Scene) -> Vec<Requests<'_>> {
    let requests = |group: &&LogGroup| matches!(group.kind, SourceKind::Access | SourceKind::Error);
    let groups: BTreeMap<u64, (u16, bool)> = scene
        .logs
        .values()
        .filter(requests)
        .filter_map(|group| Some((group.number, (group.meaning.status?, group.ours()))))
        .collect();
    if !groups.values().any(|(status, ours)| fails(*status) && !ours) {
        return Vec::new();
    }
    let from = scene.now.wall_s() - NOW_S;
    let recent = scene.recent.latest().map(|(_, line)| line).take_while(|line| line.second > from);
    let mut lines: Vec<_> = recent.filter_map(|line| requests_of(line, *groups.get(&line.group)?)).collect();
    lines.reverse();
    lines
}

/// Whether a request was not served that a server knows.
fn fails(status: u16) -> bool {
    status >= 500 && !STRANGE.contains(&status)
}

fn requests_of(line: &RecentLine, (status, ours): (u16, bool)) -> Option<Requests<'_>> {
    // The common format quotes the request; others are read by what comes before the protocol.
    let quoted = || line.text.split('"').find_map(|part| logline::request_line(part).filter(|(_, path)| path.starts_with('/')));
    let asked = logline::request_line(&line.text).or_else(quoted);
    let leading = line.text.split(' ').next().filter(|word| word.parse::<IpAddr>().is_ok());
    // As members of JSON, or behind the words of whoever carried the line.
    let entry = (asked.is_none() || leading.is_none()).then(|| logline::read(&line.text));
    let kind = match (asked, &entry) {
        (Some(asked), _) => Kind::of(asked),
        (None, Some(entry)) => Kind::of(logline::request_line(entry.request.as_deref()?)?),
        (None, None) => return None,
    };
    let client = leading.map(Cow::from).or_else(|| entry?.client.map(without_port));
    Some(Requests {
        kind,
        second: line.second,
        count: 1 + u64::from(line.more),
        failed: Some(status).filter(|status| fails(*status)),
        ours,
        client,
    })
}

/// A client of whom HAProxy tells the port too, which differs from connection to connection.
fn without_port(client: Cow<'_, str>) -> Cow<'_, str> {
    match client.rsplit_once(':') {
        Some((ip, _)) if ip.parse::<IpAddr>().is_ok() && client.parse::<IpAddr>().is_err() => ip.to_owned().into(),
        _ => client,
    }
}

impl Kind {
    fn of((method, target): (&str, &str)) -> Self {
        let path = target.split('?').next().unwrap_or_default();
        Self { method: method.to_owned(), path: path.to_owned(), query: path.len() < target.len() }
    }
}

/// Whether requests of this kind fail now. `all`: those of all kinds; each of this kind is given with its place there.
fn goes_on(scene: &Scene, kind: &[(usize, &Requests<'_>)], all: &[Requests<'_>]) -> bool {
    let failed = || kind.iter().filter(|(_, line)| line.failed.is_some());
    let (Some((first, begin)), Some((last, end))) = (failed().next(), failed().next_back()) else { return false };
    let failures: u64 = failed().map(|(_, line)| line.count).sum();
    let pause = (end.second - begin.second) / i64::try_from(failures).unwrap_or(i64::MAX).max(1);
    let silence = scene.now.wall_s() - end.second;
    if failures < FAILURES || silence > QUIET_S.max(pause.saturating_mul(PAUSES)) {
        return false;
    }
    // One client who is sent away while others are served has met a limit, or does not understand.
    let clients: BTreeSet<_> = failed().map(|(_, line)| line.client.as_deref()).collect();
    let other = |line: &Requests<'_>| !line.ours && line.client.is_some() && !clients.contains(&line.client.as_deref());
    if clients.len() == 1 && all.iter().any(other) {
        return false;
    }
    let served = |lines: &[Requests<'_>], ours: bool, of_kind: bool| -> u64 {
        let meant = |line: &&Requests<'_>| line.failed.is_none() && line.ours == ours && (line.kind == begin.kind) == of_kind;
        lines.iter().filter(meant).map(|line| line.count).sum()
    };
    let meanwhile = &all[*first..*last];
    let (chances, after) = (served(meanwhile, false, true), served(&all[*last..], false, true));
    if chances > 0 {
        // By chance: so many in a row are served of those that do not fail any more.
        let chance = failures as f64 / (failures + chances) as f64;
        return (1.0 - chance).powf(after as f64) >= CHANCE;
    }
    // As a whole: what we ask for ourselves is served, and an outage of all kinds may be over. It is not where it goes on behind us, be it
    // for another host, which few logs name.
    let others = served(meanwhile, true, false) > 0 || served(meanwhile, false, false) >= MEANWHILE;
    after == 0 && (!asked(scene, &begin.kind) && others || behind_ours(kind, all) >= BEHIND_OURS)
}

/// Requests of this kind that failed after one of our own of this kind was served. What timed out may have been under way since before.
fn behind_ours(kind: &[(usize, &Requests<'_>)], all: &[Requests<'_>]) -> u64 {
    let Some((_, one)) = kind.first() else { return 0 };
    let served = |line: &Requests<'_>| line.ours && line.failed.is_none() && line.kind == one.kind;
    let Some(first) = all.iter().position(served) else { return 0 };
    let failed = |line: &Requests<'_>| line.failed.is_some_and(|status| status != GATEWAY_TIMEOUT);
    kind.iter().filter(|(at, line)| *at > first && failed(line)).map(|(_, line)| line.count).sum()
}

/// Whether we ask for this ourselves.
fn asked(scene: &Scene, kind: &Kind) -> bool {
    let mut requests = scene.probes_of("gateway").filter_map(|history| history.last.job.request.as_ref());
    kind.method == "GET" && requests.any(|request| request.path == kind.path && request.query.is_some() == kind.query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LogBatch, LogCount, LogFormat, Observation, Stamp};

    /// What is known at second 100 of a log with these lines, oldest first: second, client, request, status, and whether we asked.
    fn log(lines: &[Row<'_>]) -> Option<(u64, u64, u16)> {
        log_of(SourceKind::Access, lines, common)
    }

    /// A line of the common format.
    fn common(client: &str, request: &str, status: u16, ours: bool) -> String {
        let agent = if ours { "why502/0.1.0 (+probe)" } else { "Mozilla/5.0" };
        format!("{client} - - [01/Jan/1970:00:00:00 +0000] \"{request} HTTP/1.1\" {status} 150 \"-\" \"{agent}\"")
    }

    /// The same of a log whose lines are made so.
    fn log_of(kind: SourceKind, lines: &[Row<'_>], made: impl Fn(&str, &str, u16, bool) -> String) -> Option<(u64, u64, u16)> {
        ongoing(&scene_of(kind, lines, made)).map(|(share, status)| (share.hits, share.all, status))
    }

    fn scene_of(kind: SourceKind, lines: &[Row<'_>], made: impl Fn(&str, &str, u16, bool) -> String) -> Scene {
        let at = Stamp { run_ms: 1_000, wall_ms: 100_000 };
        let mut scene = Scene::default();
        scene.now = at;
        for (second, client, request, status, ours) in lines {
            let first = made(client, request, *status, *ours);
            let method = request.split(' ').next().unwrap_or_default();
            let mut key = format!("{status} {method}");
            if *ours {
                logline::mark_ours(&mut key);
            }
            let count = LogCount { second: Some(*second), key, count: 1, first, ..LogCount::default() };
            let batch = LogBatch {
                source: "/var/log/nginx/access.log".to_owned(),
                kind,
                format: LogFormat::Plain,
                counts: vec![count],
                lookback: false,
                dropped: 0,
            };
            scene.observe(at, Observation::Log(batch));
        }
        scene
    }

    type Row<'a> = (i64, &'a str, &'a str, u16, bool);

    fn row(seconds: impl IntoIterator<Item = i64>, request: &str, status: u16) -> Vec<Row<'_>> {
        seconds.into_iter().map(|second| (second, "10.0.0.9", request, status, false)).collect()
    }

    #[test]
    fn forms_that_fail_while_pages_are_served_go_on_to_fail() {
        let mut lines = [row(90..100, "POST /cart", 502), row(90..100, "GET /", 200)].concat();
        lines.sort_by_key(|line| line.0);
        assert_eq!(log(&lines), Some((10, 20, 502)));
    }

    #[test]
    fn who_asked_for_what_is_known_in_logs_of_other_shapes() {
        let mut lines = [row(90..100, "POST /cart", 502), row(90..100, "GET /", 200)].concat();
        lines.sort_by_key(|line| line.0);
        let mut other: Vec<_> = (90..100).map(|at| (at, "192.0.2.6", "POST /cart", 502, false)).collect();
        other.extend(row(90..100, "GET /", 200));
        other.sort_by_key(|line| line.0);
        let haproxy = |client: &str, request: &str, status: u16, _: bool| {
            let port = 40_000 + client.len() + request.len();
            format!(
                "Jan  1 00:00:00 gw1 haproxy[7]: {client}:{port} [01/Jan/1970:00:00:00.000] www shop/a1 0/0/0/1/1 {status} 209 - - \
                 SH-- 1/1/0/0/0 0/0 \"{request} HTTP/1.1\""
            )
        };
        let caddy = |client: &str, request: &str, status: u16, _: bool| {
            let (method, uri) = request.split_once(' ').expect("two words");
            format!(
                r#"{{"level":"info","ts":1.0,"logger":"http.log.access.log0","msg":"handled request","request":{{"remote_ip":"{client}","remote_port":"40000","proto":"HTTP/1.1","method":"{method}","host":"shop.test","uri":"{uri}","headers":{{}}}},"duration":0.1,"size":0,"status":{status},"resp_headers":{{}}}}"#
            )
        };
        assert_eq!(log_of(SourceKind::Error, &lines, haproxy), Some((10, 20, 502)));
        assert_eq!(log_of(SourceKind::Access, &lines, caddy), Some((10, 20, 502)));
        // One client among others.
        assert_eq!(log_of(SourceKind::Error, &other, haproxy), None);
        assert_eq!(log_of(SourceKind::Access, &other, caddy), None);
    }

    #[test]
    fn an_outage_of_all_that_may_be_over_does_not() {
        let before = row(80..90, "GET /", 200);
        let outage = [row(90..99, "GET /", 502), row(90..99, "POST /cart", 502)].concat();
        assert_eq!(log(&[before, outage, row([99], "GET /", 200)].concat()), None);
    }

    #[test]
    fn it_goes_on_where_our_own_request_was_served_in_between() {
        let outage = row(90..99, "POST /cart", 502);
        let ours = vec![(99, "127.0.0.1", "GET /", 200, true)];
        assert_eq!(log(&[outage.clone(), ours.clone()].concat()), None);
        // Who asks is one client all the same.
        let ours = vec![(99, "10.0.0.9", "GET /", 200, true)];
        assert_eq!(log(&[outage, ours, row([99], "POST /cart", 502)].concat()), Some((10, 10, 502)));
    }

    #[test]
    fn what_fails_for_others_while_our_own_is_served_goes_on() {
        let outage = row(90..98, "GET /", 503);
        let ours = vec![(98, "127.0.0.1", "GET /", 200, true); 4];
        assert_eq!(log(&[outage.clone(), ours.clone()].concat()), None, "it may be over");
        assert_eq!(log(&[outage.clone(), ours.clone(), row([99], "GET /", 503)].concat()), None, "one may have come late");
        assert_eq!(log(&[outage.clone(), ours.clone(), row([98, 99], "GET /", 503)].concat()), Some((10, 10, 503)));
        assert_eq!(log(&[outage, ours, row([98, 99], "GET /", 504)].concat()), None, "these hung before");
    }

    #[test]
    fn one_failure_behind_our_own_is_worth_a_wait_for_the_next() {
        let outage = [row(90..98, "GET /", 503), vec![(98, "127.0.0.1", "GET /", 200, true); 4]].concat();
        let behind = |seconds: &[i64]| {
            let lines = [outage.clone(), row(seconds.iter().copied(), "GET /", 503)].concat();
            one_more_tells(&scene_of(SourceKind::Access, &lines, common))
        };
        assert_eq!([behind(&[]), behind(&[99]), behind(&[98, 99])], [false, true, false]);
    }

    #[test]
    fn what_fails_by_chance_is_over_when_many_were_served_since() {
        let mixed: Vec<_> = (66..96).map(|at| (at, "10.0.0.9", "GET /", if at % 3 == 0 { 500 } else { 200 }, false)).collect();
        assert_eq!(log(&[mixed.clone(), row(96..98, "GET /", 200)].concat()), Some((10, 32, 500)));
        assert_eq!(log(&[mixed, row(96..100, "GET /", 200), row(96..100, "GET /", 200)].concat()), None);
    }

    #[test]
    fn one_client_among_others_and_methods_that_nobody_knows_are_no_fault() {
        let scanner: Vec<_> = (90..99).map(|at| (at, "192.0.2.6", "GET /wp-login.php", 503, false)).collect();
        let mut lines = [scanner, row(90..99, "GET /", 200)].concat();
        lines.sort_by_key(|line| line.0);
        assert_eq!(log(&lines), None);
        let mut lines = [row(90..99, "PROPFIND /", 501), row(90..99, "GET /", 200)].concat();
        lines.sort_by_key(|line| line.0);
        assert_eq!(log(&lines), None);
    }
}
